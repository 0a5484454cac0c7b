"""Exact cells of deep networks, against polygons cut in rationals, samples of the network, and closed forms."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import reference

from jaxgeom.domains import Start, WholePlane, box, polygon, polygon_vertices, start_of, whole_plane
from jaxgeom.layers import Dense
from jaxgeom.regions.complex import ARTIFICIAL, OUTSIDE, check_complex, without_artificial_edges
from jaxgeom.regions.exact import complex_of_cells, exact_cells, exact_count

SQUARE = start_of(box())
PLANE = start_of(whole_plane())
# a centre and rays that lines with small integer coefficients run through
SYMMETRIC_PLANE = Start(np.array([[0.0, 0, 1], [1, 0, 0], [-1, 1, 0], [-1, -1, 0]]), PLANE.cycles)


def network(*pairs):
    return tuple(Dense(np.float64(kernel), np.float64(bias)) for kernel, bias, *_ in pairs)


def of_widths(draw, *widths):
    return network(*((draw(a, b), draw(1, b)[0]) for a, b in itertools.pairwise((2, *widths, 1))))


def uniform(rng, *widths):
    return of_widths(lambda a, b: rng.uniform(-1, 1, (a, b)), *widths)


def small_integers(rng, *widths):
    """Weights in {-1, -½, 0, ½, 1}: parallel, coincident and concurrent lines, dead and constant units, flat pieces."""
    return of_widths(lambda a, b: rng.integers(-2, 3, (a, b)) / 2, *widths)


def lines(*rows):
    """One hidden layer with these lines a x + b y + c, added up at the output."""
    rows = np.float64(rows)
    return network((rows[:, :2].T, rows[:, 2]), (np.ones((len(rows), 1)), [0.0]))


def tent(depth):
    """The tent map on [0, 1], composed with itself; y is ignored."""
    inner = [[2.0, 2], [-4, -4]]
    return network(([[1, 1], [0, 0]], [0, -0.5]), *[(inner, [0, -0.5])] * (depth - 1), (np.array(inner)[:, :1], [0]))


def wedge():
    """max(-y, min(0, -x)), from arXiv:2505.16716."""
    return network(
        ([[1, 0, 0], [0, 1, -1]], np.zeros(3)), ([[1, 1], [-1, 0], [1, 0]], np.zeros(2)), ([[1], [-1]], np.zeros(1))
    )


def sloped(layers, slopes):
    """The layers with slopes, one array for each hidden layer."""
    hidden = [Dense(layer.kernel, layer.bias, slope) for layer, slope in zip(layers[:-1], slopes, strict=True)]
    return (*hidden, layers[-1])


def relu(layers):
    return [np.zeros_like(layer.bias) for layer in layers[:-1]]


def maps(cell):
    return tuple(Fraction(value, cell.denominator) for row in cell.rows for value in row)


def turned(points):
    """A cycle, begun at its least vertex."""
    start = points.index(min(points))
    return (*points[start:], *points[:start])


def as_set(cells):
    """Reference or exact cells as a set of vertices, patterns and affine maps."""
    return {
        (turned(cell.vertices if hasattr(cell, "labels") else cell.corners), cell.pattern, maps(cell)) for cell in cells
    }


def check(layers, domain):
    """The cells are the reference's, are counted right, and hang together."""
    vertices = polygon_vertices(domain).tolist()
    found, expected = exact_cells(layers, start_of(domain)), reference.exact_regions(layers, vertices)
    assert as_set(found) == as_set(expected)
    assert len(found) == len(expected) == exact_count(layers, start_of(domain))
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
        return exact_count(layers, domain)

    for depth in (1, 2, 5):
        assert count(tent(depth), start_of(box(0.0, 1.0))) == 2**depth
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
            assert exact_count(layers, start) == 1
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
        assert exact_count(sloped(layers, slopes), SQUARE) == len(found)
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
    assert exact_count(sloped(layers, [np.ones(5), np.ones(4)]), PLANE) == 1


# The whole plane


def in_the_plane(layers, start=PLANE, slopes=None):
    """The complex of the whole plane, certified."""
    slopes = relu(layers) if slopes is None else slopes
    cells = exact_cells(sloped(layers, slopes), start)
    parted = complex_of_cells(cells)
    check_complex(parted)
    complex_ = without_artificial_edges(parted)
    check_complex(complex_)
    assert not (complex_.edge_layer == ARTIFICIAL).any()
    patterns = {tuple(pattern) for pattern in complex_.patterns.tolist()}
    assert len(patterns) == complex_.num_faces == exact_count(sloped(layers, slopes), start)
    return complex_, cells


@pytest.mark.parametrize("num", [1, 2, 3, 5, 10, 20])
def test_generic_lines(num):
    complex_, _ = in_the_plane(lines(*np.random.default_rng(num).uniform(-1, 1, (num, 3))))
    assert complex_.num_faces == 1 + num + math.comb(num, 2) == reference.zaslavsky(num, 2)
    assert np.isinf(complex_.area).sum() == 2 * num
    # three of the vertices at infinity are the start's; a line alone keeps one finite vertex
    assert complex_.is_ideal.sum() == 2 * num + 3
    assert (~complex_.is_ideal).sum() == max(math.comb(num, 2), 1)
    assert (complex_.edge_layer >= 0).sum() == max(num**2, 2)


@pytest.mark.parametrize("num", [1, 2, 6])
@pytest.mark.parametrize("start", [PLANE, SYMMETRIC_PLANE], ids=["generic", "symmetric"])
def test_parallel_lines(num, start):
    for normal in ((1, 0), (0.3, -0.7), (1, 1)):
        layers = lines(*((*normal, c) for c in range(num)))
        complex_, _ = in_the_plane(layers, start)
        assert complex_.num_faces == num + 1
        assert np.isinf(complex_.area).all()
        # each line keeps the point that is nearest to the origin
        expected = [-c * np.array(normal) / np.dot(normal, normal) for c in range(num)]
        found = complex_.vertices[~complex_.is_ideal]
        np.testing.assert_allclose(sorted(found.tolist()), sorted(np.array(expected).tolist()), atol=1e-15)


def test_concurrent_and_coincident_lines():
    rng = np.random.default_rng(9)
    for num in (2, 3, 7):
        layers = lines(*np.column_stack([rng.uniform(-1, 1, (num, 2)), np.zeros(num)]))
        complex_, _ = in_the_plane(layers)
        assert complex_.num_faces == 2 * num
    assert in_the_plane(lines([1, 2, 3], [2, 4, 6], [-1, -2, -3]))[0].num_faces == 2
    assert in_the_plane(lines([0, 0, 1], [0, 0, 0]))[0].num_faces == 1


def test_regions_of_the_wedge():
    complex_, cells = in_the_plane(wedge())
    assert complex_.num_faces == 5
    assert len({maps(cell) for cell in cells}) == 3
    assert in_the_plane(wedge(), SYMMETRIC_PLANE)[0].num_faces == 5


def finite_box(cells):
    """A box around all finite vertices of the plane's cells, with a margin."""
    finite = [(Fraction(x, w), Fraction(y, w)) for cell in cells for x, y, w in cell.vertices if w]
    low, high = ([f(p[axis] for p in finite) for axis in (0, 1)] for f in (min, max))
    return box([float(v) - 1 for v in low], [float(v) + 1 for v in high])


def faces_of(complex_):
    """Positions of the vertices of each face by its pattern, begun at the least, and the face."""
    cycles = np.split(complex_.vertices[complex_.face_vertices], complex_.face_offsets[1:-1])
    return {
        tuple(pattern): (turned(tuple(map(tuple, cycle.tolist()))), face)
        for face, (pattern, cycle) in enumerate(zip(complex_.patterns.tolist(), cycles, strict=True))
    }


@pytest.mark.parametrize("widths", [(6,), (6, 6), (4, 4, 4)])
@pytest.mark.parametrize("draw", [uniform, small_integers])
def test_the_plane_is_a_box_around_all_vertices(widths, draw):
    rng = np.random.default_rng(10)
    num_bounded = 0
    for index in range(6):
        layers = draw(rng, *widths)
        slopes = relu(layers) if index % 2 else [rng.choice([0.0, 0.25, -1, 1], width) for width in widths]
        plane, cells = in_the_plane(layers, slopes=slopes)
        around = start_of(finite_box(cells))
        bounded = complex_of_cells(exact_cells(sloped(layers, slopes), around))
        assert plane.num_faces == bounded.num_faces == exact_count(sloped(layers, slopes), around)
        inside = faces_of(bounded)
        assert set(faces_of(plane)) == set(inside)
        for pattern, (vertices, face) in faces_of(plane).items():
            other_vertices, other = inside[pattern]
            np.testing.assert_array_equal(plane.gradient[face], bounded.gradient[other])
            if np.isfinite(plane.area[face]):
                num_bounded += 1
                assert vertices == other_vertices
                assert plane.area[face] == pytest.approx(bounded.area[other], rel=1e-12)
                scale = np.ptp(np.array(vertices), axis=0).max()
                np.testing.assert_allclose(
                    plane.centroid[face], bounded.centroid[other], rtol=1e-12, atol=1e-12 * scale
                )
    assert num_bounded > 0


@pytest.mark.parametrize("draw", [uniform, small_integers])
def test_the_centre_and_its_rays_do_not_matter(draw):
    rng = np.random.default_rng(11)
    centers = [WholePlane(np.array([0.7, 5.3])), WholePlane(np.array([-1e3, 0.1]))]
    for _ in range(5):
        layers = draw(rng, 5, 5)
        expected, _ = in_the_plane(layers)
        for start in (SYMMETRIC_PLANE, *map(start_of, centers)):
            found, _ = in_the_plane(layers, start)
            assert summary(found) == summary(expected)


def summary(complex_):
    """What is the same wherever the plane was parted: for each face the finite vertices where edges meet, and whether
    it is bounded."""
    meets = (np.bincount(complex_.edges.ravel()) > 2) & ~complex_.is_ideal
    found = {}
    for pattern, (_, face) in faces_of(complex_).items():
        numbers = complex_.face_vertices[complex_.face_offsets[face] : complex_.face_offsets[face + 1]]
        found[pattern] = (
            set(map(tuple, complex_.vertices[numbers[meets[numbers]]].tolist())),
            complex_.area[face] < np.inf,
        )
    return found


def test_sides_of_the_start():
    cells = exact_cells(lines([1, 0, -0.25]), PLANE)
    names = {label for cell in cells for label in cell.labels}
    assert names == {(-2, 0), (-1, 1), (-2, 2), (-1, 3), (-2, 4), (-1, 5), (0, 0)}
    # a ray along the unit's line is the unit's, not an artificial edge
    cells = exact_cells(lines([0, 1, 0]), SYMMETRIC_PLANE)
    ray = {((0, 0, 1), (1, 0, 0)), ((1, 0, 0), (0, 0, 1))}
    found = [
        label
        for cell in cells
        for p, q, label in zip(cell.vertices, (*cell.vertices[1:], cell.vertices[0]), cell.labels, strict=True)
        if (p, q) in ray
    ]
    assert found == [(0, 0), (0, 0)]


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
