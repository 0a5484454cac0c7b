"""Exact cells of deep networks, against polygons cut in rationals, samples of the network, and closed forms."""

import math
from fractions import Fraction

import numpy as np
import pytest
import reference
from exact_networks import PLANE, SQUARE, lines, maps, network, sloped, small_integers, tent, turned, uniform, wedge

from jaxgeom.domains import box, polygon, polygon_vertices, projective_domain
from jaxgeom.networks.layers import Dense
from jaxgeom.regions.certificates import check_complex
from jaxgeom.regions.complex import OUTSIDE
from jaxgeom.regions.exact_plane import complex_of_cells, exact_cells, exact_count


def as_set(cells):
    """Reference or exact cells as a set of vertices, patterns and affine maps."""
    return {
        (turned(cell.vertices if hasattr(cell, "labels") else cell.corners), cell.pattern, maps(cell)) for cell in cells
    }


def check(layers, domain):
    """The cells are the reference's, are counted right, and hang together."""
    vertices = polygon_vertices(domain).tolist()
    found, expected = exact_cells(layers, projective_domain(domain)), reference.exact_regions(layers, vertices)
    assert as_set(found) == as_set(expected)
    assert len(found) == len(expected) == exact_count(layers, projective_domain(domain))[0]
    complex_ = complex_of_cells(found)
    check_complex(complex_)
    check_labels(layers, found, len(vertices))
    for face, cell in enumerate(found):
        truth = reference.polygon_area([(Fraction(x, w), Fraction(y, w)) for x, y, w in cell.vertices])
        assert complex_.area[face] == pytest.approx(float(truth), rel=1e-14, abs=0)
    return found


def check_labels(layers, cells, num_sides):
    """The unit that made an edge vanishes at both of its ends, and changes sign across it."""
    numbers = {
        (layer, unit): sum(layers[before].bias.size for before in range(layer)) + unit
        for layer in range(len(layers) - 1)
        for unit in range(layers[layer].bias.size)
    }
    points = {vertex for cell in cells for vertex in cell.vertices}
    values = {
        (x, y, w): reference.exact_forward(layers, (Fraction(x, w), Fraction(y, w)))[1] for x, y, w in sorted(points)
    }
    across = {
        (p, q): (cell.pattern, label)
        for cell in cells
        for p, q, label in zip(cell.vertices, (*cell.vertices[1:], cell.vertices[0]), cell.labels, strict=True)
    }
    sides = set()
    for (p, q), (pattern, label) in across.items():
        if label[0] == OUTSIDE:
            assert (q, p) not in across
            sides.add(label[1])
        else:
            assert across[q, p][1] == label
            assert across[q, p][0][numbers[label]] != pattern[numbers[label]]
            assert values[p][numbers[label]] == values[q][numbers[label]] == 0
    assert sides == set(range(num_sides))


DOMAINS = [
    box(),
    box((0.1, -3), (0.3, 2.5)),
    polygon([(0, 0), (1, 0.25), (0.5, 1)]),
    polygon([(2, 0), (1, 2), (-1, 2), (-2, 0), (-1, -2), (0, -2), (1, -2)]),  # with a straight angle
]


@pytest.mark.parametrize("widths", [(5,), (8, 8), (4, 4, 4)])
@pytest.mark.parametrize("domain", DOMAINS, ids=["square", "thin box", "triangle", "hexagon"])
def test_random_networks(widths, domain):
    rng = np.random.default_rng(0)
    found = [check(uniform(rng, *widths), domain) for _ in range(3)]
    assert any(len(cells) > 1 for cells in found)


@pytest.mark.parametrize("widths", [(5,), (8,), (8, 8), (4, 4, 4), (3, 3, 3, 3)])
def test_integer_networks(widths):
    rng = np.random.default_rng(1)
    for index in range(12):
        check(small_integers(rng, *widths), DOMAINS[index % len(DOMAINS)])


def test_wider_network():
    assert len(check(uniform(np.random.default_rng(0), 16, 16), box())) > 100


def degenerate_networks():
    rng = np.random.default_rng(2)
    plain = uniform(rng, 4, 4)
    (kernel, bias, _), (inner, inner_bias, _), output = plain
    twice, opposite = [0, 1, 2, 3, 0, 1], np.array([1, 1, 1, 1, -1, -1])
    grown = rng.uniform(-1, 1, (6, 4))
    k = np.arange(-4, 5) / 4
    point = rng.uniform(-1, 1, 2)
    normals = rng.integers(-4, 5, (6, 2)) / 4
    flat = network(*plain[:2])
    return {
        "duplicate units": network((kernel[:, twice], bias[twice]), (grown, inner_bias), output),
        "opposite units": network((kernel[:, twice] * opposite, (bias[twice]) * opposite), (grown, inner_bias), output),
        "duplicates in the second layer": network(
            plain[0], (inner[:, twice], inner_bias[twice]), (np.ones((6, 1)), [0.0])
        ),
        "a layer twice": network(plain[0], (np.eye(4), np.zeros(4)), (np.eye(4), np.zeros(4)), plain[1], output),
        "the negative of a layer": network(plain[0], (-np.eye(4), np.zeros(4)), plain[1], output),
        "no biases": network(*((k, np.zeros_like(b)) for k, b, *_ in uniform(rng, 6, 6, 4))),
        "dead units": network((kernel, [9, -9, *bias[2:]]), (inner, [9, -9, *inner_bias[2:]]), output),
        "dead layer": network((kernel, [-9.0] * 4), (inner, inner_bias), output),
        "dead second layer": network(plain[0], (inner, [-9.0] * 4), output),
        "zero units": network(*((k * [1, 0, 1, 0], b * [1, 0, 1, 0]) for k, b, *_ in plain[:2]), output),
        "zero weights in the second layer": network(plain[0], (0 * inner, inner_bias), output),
        "zero network": network(*((0 * k, 0 * b) for k, b, *_ in plain)),
        "grid of lines": lines(*([1, 0, c] for c in k), *([0, 1, c] for c in k), [1, 1, 0], [1, -1, 0]),
        "concurrent lines": lines(*((*normal, -(normal[0] / 2 + normal[1] / 4)) for normal in normals)),
        "nearly concurrent lines": lines(*((*normal, -(normal @ point)) for normal in normals)),
        "nearly one line": lines(
            *([1, 0.5, 0.1 + 1e-16 * j] for j in range(4)), *([1, 0.5 + 2e-16 * j, 0.1] for j in (1, 2))
        ),
        "lines along the sides": lines([1, 0, 1], [-1, 0, 1], [0, 1, 1], [0, 2, -2], [1, 1, 0], [1, 1, -2], [1, 1, 2]),
        "tents": tent(4),
        "wedge": wedge(),
        "several outputs": flat,
    }


@pytest.mark.parametrize("name", degenerate_networks())
def test_degenerate_networks(name):
    layers = degenerate_networks()[name]
    check(layers, box())
    check(layers, DOMAINS[3])


def test_counts_by_hand():
    def count(layers, domain=SQUARE):
        return exact_count(layers, domain)[0]

    for depth in (1, 2, 5):
        assert count(tent(depth), projective_domain(box(0.0, 1.0))) == 2**depth
    assert count(lines([1, 0, 0], [2, 0, 0], [-3, 0, 0])) == 2
    assert count(lines([1, 0, 0], [0, 1, 0], [1, 1, 0], [1, -1, 0])) == 8
    assert count(wedge()) == 5
    # the second layer sees h = |x| with its fold, and cuts it twice: at |x| = ½
    fold = network(([[1, -1], [0, 0]], [0, 0]), ([[1], [1]], [-0.5]), ([[1]], [0]))
    assert count(fold) == 4


@pytest.mark.parametrize("exponent", [-1060, -300, -30, 30, 300])
def test_the_scale_of_units_does_not_matter(exponent):
    (kernel, bias, *_), *rest = small_integers(np.random.default_rng(3), 6, 5)
    scaled = network(
        (np.ldexp(kernel, exponent), np.ldexp(bias, exponent)), (rest[0].kernel, 0 * rest[0].bias), rest[1]
    )
    plain = network((kernel, bias), *scaled[1:])
    found, expected = (exact_cells(layers, SQUARE) for layers in (scaled, plain))
    assert [cell[:3] for cell in found] == [cell[:3] for cell in expected]
    check_complex(complex_of_cells(found))


@pytest.mark.parametrize("size", [1.2e-7, 1e-4])
def test_far_from_the_origin(size):
    rng = np.random.default_rng(4)
    normals, middle = rng.uniform(-1, 1, (8, 2)), 1e8 + size * rng.uniform(0, 1, (8, 2))
    layers = lines(*np.column_stack([normals, -np.sum(normals * middle, axis=1)]))
    check(layers, box(1e8, 1e8 + size))


def test_networks_without_hidden_units():
    affine = network(([[1.0], [2]], [3.0]))
    (cell,) = exact_cells(affine, SQUARE)
    assert maps(cell) == (1, 2, 3)
    assert cell.pattern == ()
    assert cell.labels == ((-1, 0), (-1, 1), (-1, 2), (-1, 3))
    empty = network((np.zeros((2, 0)), np.zeros(0)), (np.zeros((0, 1)), [3.0]))
    (cell,) = exact_cells(empty, SQUARE)
    assert maps(cell) == (0, 0, 3)
    for layers in (affine, empty):
        for start in (SQUARE, PLANE):
            assert exact_count(layers, start)[0] == 1
        check_complex(complex_of_cells(exact_cells(layers, SQUARE)))


def test_order_of_units_and_layers_of_the_pattern():
    rng = np.random.default_rng(5)
    layers = uniform(rng, 5, 4)
    order, inner = rng.permutation(5), rng.permutation(4)
    (k0, b0, _), (k1, b1, _), (k2, b2, _) = layers
    permuted = network((k0[:, order], b0[order]), (k1[order][:, inner], b1[inner]), (k2[inner], b2))
    found = exact_cells(permuted, SQUARE)
    back = np.argsort([*order, *(5 + inner)])
    found = [cell._replace(pattern=tuple(cell.pattern[i] for i in back)) for cell in found]
    assert as_set(found) == as_set(exact_cells(layers, SQUARE))


# Slopes


def relu_twin(layers, slopes):
    """The same function and the same regions with ReLU only, of twice the width: h = relu(z) - slope relu(-z), and for
    linear units h = relu(z + 1024) - 1024 while |z| < 1024. Exact for small integers and binary slopes."""
    twin = []
    before = None
    for (kernel, bias, _), slope in zip(layers, [*slopes, None], strict=True):
        if before is not None:
            is_linear = before == 1
            bias = bias - 1024 * kernel[is_linear].sum(axis=0)
            kernel = np.concatenate([kernel, -np.where(is_linear, 0, before)[:, None] * kernel])
        if slope is not None:
            is_linear = slope == 1
            kernel = np.concatenate([kernel, np.where(is_linear, 0, -kernel)], axis=1)
            bias = np.concatenate([bias + 1024 * is_linear, np.where(is_linear, 0, -bias)])
        twin.append((kernel, bias))
        before = slope
    return twin


@pytest.mark.parametrize("widths", [(6,), (4, 4), (3, 3, 3)])
@pytest.mark.parametrize(
    "values", [[0.25], [-1], [1], [0, 0.25, -1, 1, -0.5, 2]], ids=["leaky", "abs", "linear", "mixed"]
)
def test_slopes_are_those_of_the_relu_twin(widths, values):
    rng = np.random.default_rng(6)
    for _ in range(6):
        layers = small_integers(rng, *widths)
        slopes = [rng.choice(np.float64(values), width) for width in widths]
        found = exact_cells(sloped(layers, slopes), SQUARE)
        expected = reference.exact_regions(relu_twin(layers, slopes), polygon_vertices(box()).tolist())
        first = np.concatenate([np.arange(2 * width) < width for width in widths])
        linear = np.concatenate(slopes) == 1

        def own(pattern, first=first, linear=linear):
            return tuple(bool(on) for on in np.array(pattern)[first] & ~linear)

        assert as_set(found) == as_set(cell._replace(pattern=own(cell.pattern)) for cell in expected)
        assert exact_count(sloped(layers, slopes), SQUARE)[0] == len(found)
        check_complex(complex_of_cells(found))


@pytest.mark.parametrize(
    "values", [[0.01], [-1.0], [1.0], [0.0, 0.01, -1.0, 1.0, -0.3]], ids=["leaky", "abs", "linear", "mixed"]
)
def test_slopes_against_samples(values):
    rng = np.random.default_rng(7)
    layers = uniform(rng, 6, 6)
    slopes = [rng.choice(values, 6), rng.choice(values, 6)]
    found = exact_cells(sloped(layers, slopes), SQUARE)
    complex_ = complex_of_cells(found)
    check_complex(complex_._replace(degenerate=False))
    h = x = rng.uniform(-1, 1, (20_000, 2))
    patterns, is_clear = [], np.ones(len(x), bool)
    for (kernel, bias, _), slope in zip(layers[:-1], slopes, strict=True):
        z = h @ kernel + bias
        is_clear &= (np.abs(z) > 1e-9).all(axis=1)
        patterns.append((z > 0) & (slope != 1))
        h = np.where(z > 0, z, slope * z)
    outputs = h @ layers[-1].kernel + layers[-1].bias
    face = {cell.pattern: index for index, cell in enumerate(found)}
    assert len(face) == len(found)
    met = np.array([face[tuple(pattern)] for pattern in np.concatenate(patterns, axis=1)[is_clear].tolist()])
    x = x[is_clear]
    linear = np.einsum("pox,px->po", complex_.gradient[met], x) + complex_.intercept[met]
    np.testing.assert_allclose(linear, outputs[is_clear], rtol=1e-12, atol=1e-12)
    # what is not met is small, and each share is about the area's
    share = np.bincount(met, minlength=len(found)) / len(x)
    assert np.abs(share - complex_.area / 4).max() < 5 * 0.5 / math.sqrt(len(x))
    corners = complex_.vertices[complex_.face_vertices]
    low, high = (f.reduceat(corners, complex_.face_offsets[:-1]) for f in (np.minimum, np.maximum))
    assert ((low[met] <= x) & (x <= high[met])).all()


def test_linear_units_cut_nothing():
    layers = uniform(np.random.default_rng(8), 5, 4)
    (k0, b0, _), (k1, b1, _), output = layers
    joined = network((k0 @ k1, b0 @ k1 + b1), output)
    found = exact_cells(sloped(layers, [np.ones(5), np.zeros(4)]), SQUARE)
    expected = exact_cells(joined, SQUARE)
    assert len(found) == len(expected) > 4
    assert {cell.pattern for cell in found} == {(False,) * 5 + cell.pattern for cell in expected}
    assert len(exact_cells(sloped(layers, [np.ones(5), np.ones(4)]), PLANE)) == 3
    assert exact_count(sloped(layers, [np.ones(5), np.ones(4)]), PLANE)[0] == 1


# Bad input


def test_bad_input_is_refused():
    layers = uniform(np.random.default_rng(0), 3, 3)
    for function in (exact_cells, exact_count):
        with pytest.raises(ValueError, match=r"layer 1 has a bias of shape \(3,\) and a slope of shape \(2,\)"):
            function(sloped(layers, [np.zeros(3), np.zeros(2)]), SQUARE)
        with pytest.raises(ValueError, match="layer 1 of the network has NaN"):
            function(sloped(layers, [np.zeros(3), np.array([0, np.nan, 0])]), SQUARE)
        with pytest.raises(ValueError, match="layer 1 of the network has NaN"):
            function((layers[0], Dense(layers[1].kernel * np.inf, layers[1].bias), layers[2]), SQUARE)
        with pytest.raises(ValueError, match="takes 3 inputs"):
            function(layers[1:], SQUARE)
        population = tuple(Dense(kernel[None], bias[None]) for kernel, bias, *_ in layers)
        with pytest.raises(ValueError, match="one network is needed"):
            function(population, SQUARE)
