"""Exact regions in three, four and other dimensions, against polytopes clipped in rationals, and theory."""

import itertools
import math

import jax
import numpy as np
import pytest
import reference
from spatial_truth import exact_num_faces, exact_spatial_regions, exact_volume

from jaxgeom import Dense, box, check_complex, count_regions, enumerate_population, enumerate_regions, zaslavsky
from jaxgeom.domains import corners
from jaxgeom.engine import library, spaces
from jaxgeom.regions.cells import weights_of, with_one_axis
from jaxgeom.regions.complex import OUTSIDE
from jaxgeom.theory import serra_2018, zaslavsky_central


def random_network(rng, dim, widths, num_outputs=1):
    """PyTorch's initialisation."""
    sizes = itertools.pairwise([dim, *widths, num_outputs])
    return tuple(Dense(*(rng.uniform(-1, 1, shape) / m**0.5 for shape in ((m, n), n))) for m, n in sizes)


def integer_network(rng, dim, widths):
    """Weights that are small multiples of ½: ties of all kinds."""
    sizes = itertools.pairwise([dim, *widths, 1])
    return tuple(Dense(rng.integers(-2, 3, (m, n)) / 2, rng.integers(-2, 3, n) / 2) for m, n in sizes)


def one_layer(units):
    """The network whose units have the given rows (w_1, …, w_d, b)."""
    units = np.asarray(units, float)
    return Dense(units[:, :-1].T, units[:, -1]), Dense(np.ones((len(units), 1)), np.zeros(1))


def hyperplanes_through(rng, points, error=0.0):
    """Hyperplanes of random directions through given points, off by -1, 0 or 1 times an error."""
    normals = rng.uniform(-1, 1, np.shape(points))
    offsets = -np.sum(normals * points, axis=1) + error * rng.integers(-1, 2, len(points))
    return np.column_stack([normals, offsets])


def check_structure(layers, found, *, is_generic=False):
    """What holds of every complex, by its own signs and patterns."""
    check_complex(found)
    num_faces = found.num_faces
    dim = found.vertices.shape[1]
    assert num_faces[0] == len(found.vertices) == len(found.signs)
    assert (num_faces[1], num_faces[-2], num_faces[-1]) == (len(found.edges), len(found.facet_cells), found.num_cells)
    assert sum((-1) ** k * num for k, num in enumerate(num_faces)) == 1
    assert len({pattern.tobytes() for pattern in found.patterns}) == found.num_cells
    # A vertex belongs to a cell iff no sign contradicts the pattern.
    active = found.patterns.astype(float)
    contradictions = active @ (found.signs.T < 0) + (1 - active) @ (found.signs.T > 0)
    cells, vertices = np.nonzero(contradictions == 0)
    np.testing.assert_array_equal(found.cell_vertices, vertices)
    np.testing.assert_array_equal(np.diff(found.cell_offsets), np.bincount(cells))
    # A vertex lies on hyperplanes of all directions, an edge on those of all but one.
    is_zero = np.concatenate([found.signs == 0, found.is_on_side], axis=1)
    num_at_vertices, num_along_edges = is_zero.sum(axis=1), is_zero[found.edges].all(axis=1).sum(axis=1)
    assert num_at_vertices.min() >= dim
    assert num_along_edges.min() >= dim - 1
    # Facets part the two sides of their unit; those with one cell are the sides of the box.
    is_outer = found.facet_layer == OUTSIDE
    np.testing.assert_array_equal(is_outer, found.facet_cells[:, 1] == OUTSIDE)
    assert set(found.facet_unit[is_outer]) == set(range(2 * dim))
    starts = np.cumsum([0, *(len(layer.bias) for layer in layers[:-1])])
    inner = np.flatnonzero(~is_outer)
    unit = starts[found.facet_layer[inner]] + found.facet_unit[inner]
    first, second = found.patterns[found.facet_cells[inner]].swapaxes(0, 1)
    rows = np.arange(len(inner))
    assert first[rows, unit].all()
    assert not second[rows, unit].any()
    if is_generic:
        assert np.all(np.sum(first != second, axis=1) == 1)
        assert num_at_vertices.max() == dim
        assert num_along_edges.max() == dim - 1
        assert not found.degenerate


def check(layers, domain, *, is_generic=False):
    """The complex is the true one: patterns, faces of all dimensions, vertices, maps and volumes."""
    found = enumerate_regions(layers, domain)
    check_structure(layers, found, is_generic=is_generic)
    counted = count_regions(layers, domain)
    truth = {cell.pattern: cell for cell in exact_spatial_regions(layers, domain.low, domain.high)}
    assert {tuple(pattern.tolist()) for pattern in found.patterns} == set(truth)
    assert counted.count == found.num_cells == len(truth)
    assert list(found.num_faces) == exact_num_faces(list(truth.values()))
    assert counted.degenerate == found.degenerate
    size = np.abs(corners(domain)).max()
    total = float(np.prod(domain.high - domain.low))
    for cell, pattern in enumerate(found.patterns):
        expected = truth[tuple(pattern.tolist())]
        assert abs(found.volume[cell] - float(exact_volume(expected))) < 1e-12 * total
        rows = np.array(expected.rows, float)
        np.testing.assert_allclose(found.gradient[cell], rows[:, :-1], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found.intercept[cell], rows[:, -1], rtol=1e-12, atol=1e-12)
        members = found.cell_vertices[found.cell_offsets[cell] : found.cell_offsets[cell + 1]]
        assert len(members) == len(expected.vertices)
        vertices = np.array(list(expected.vertices), float)
        distances = np.abs(found.vertices[members, None] - vertices).max(axis=2)
        assert distances.min(axis=1).max() < 1e-11 * size
    return found


# Random networks


@pytest.mark.parametrize(
    ("dim", "widths", "num"),
    [(1, (6, 5), 3), (3, (5,), 3), (3, (4, 4), 2), (3, (3, 3, 3), 3), (4, (4,), 1), (4, (3, 2), 1)],
)
def test_random_networks(dim, widths, num):
    rng = np.random.default_rng(dim)
    for _ in range(num):
        check(random_network(rng, dim, widths, num_outputs=2), box(dim=dim), is_generic=True)


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "widths"), [(1, (6, 5)), (3, (4, 3)), (3, (3, 2, 2)), (4, (3, 2))])
@pytest.mark.parametrize("draw", [random_network, integer_network])
def test_slopes(dim, widths, draw):
    rng = np.random.default_rng([17, dim])
    for slopes in ([0.01], [-1.0], [0.0, 0.25, -1.0, 1.0, -0.3], [1.0], [1e300, -1e-300, 0.0, 1.0]):
        *hidden, last = draw(rng, dim, widths)
        layers = (*(layer._replace(slope=rng.choice(slopes, len(layer.bias))) for layer in hidden), last)
        if max(np.abs(slopes)) < 10:
            check(layers, box(dim=dim))
        else:  # the maps have sizes beyond comparison
            truth = exact_spatial_regions(layers, [-1] * dim, [1] * dim)
            with np.errstate(over="ignore", invalid="ignore"):
                found = enumerate_regions(layers, box(dim=dim))
            assert {tuple(pattern.tolist()) for pattern in found.patterns} == {cell.pattern for cell in truth}


def test_five_dimensions():
    layers = random_network(np.random.default_rng(1), 5, (3, 2))
    found = enumerate_regions(layers, box(dim=5))
    check_structure(layers, found, is_generic=True)
    truth = exact_spatial_regions(layers, [-1] * 5, [1] * 5)
    assert {tuple(pattern.tolist()) for pattern in found.patterns} == {cell.pattern for cell in truth}
    assert found.num_faces[0] == len({vertex for cell in truth for vertex in cell.vertices})


@pytest.mark.parametrize(
    ("dim", "widths"), [(3, (24,)), (3, (16, 16)), (3, (8, 8, 8, 8)), (4, (16,)), (4, (8, 8)), (5, (8,))]
)
def test_points_and_cells_agree(dim, widths):
    rng = np.random.default_rng(dim)
    layers = random_network(rng, dim, widths, num_outputs=3)
    domain = box(-1.5, 2, dim=dim)
    found = enumerate_regions(layers, domain)
    check_structure(layers, found, is_generic=True)
    assert found.num_cells <= serra_2018(widths, dim)
    number = {pattern.tobytes(): cell for cell, pattern in enumerate(found.patterns)}
    points = rng.uniform(-1.5, 2, (5000, dim))
    cells = np.array([number[pattern.tobytes()] for pattern in reference.activation_patterns(layers, points)])
    # the maps of the cells are the network there, the centroids are inside, and large cells are hit often
    output = np.einsum("poi,pi->po", found.gradient[cells], points) + found.intercept[cells]
    np.testing.assert_allclose(output, reference.forward(layers, points)[0], atol=1e-12)
    np.testing.assert_array_equal(reference.activation_patterns(layers, found.centroid), found.patterns)
    assert np.all(found.volume > 0)
    assert found.volume.sum() == pytest.approx(3.5**dim, rel=1e-12)
    largest = np.argmax(found.volume)
    share = found.volume[largest] / 3.5**dim
    assert abs(np.mean(cells == largest) - share) < 4 * math.sqrt(share / 5000)
    # centroids weighted by volume meet in the centre of the box
    np.testing.assert_allclose(found.volume @ found.centroid / found.volume.sum(), 0.25, atol=1e-12)


# Theory


@pytest.mark.parametrize(("dim", "num"), [(1, 9), (3, 3), (3, 16), (4, 4), (4, 8), (4, 16), (5, 7)])
def test_generic_hyperplanes_in_a_big_box_reach_zaslavskys_bound(dim, num):
    units = np.random.default_rng(num).normal(size=(num, dim + 1))
    found = count_regions(one_layer(units), box(-1e6, 1e6, dim=dim))
    assert found.count == zaslavsky(num, dim)
    assert not found.degenerate
    if dim == 4:
        assert found.count == {4: 16, 8: 163, 16: 2517}[num]


@pytest.mark.parametrize(("dim", "num"), [(3, 3), (3, 10), (4, 9), (5, 6)])
def test_hyperplanes_through_the_origin(dim, num):
    units = np.random.default_rng(num).normal(size=(num, dim + 1))
    units[:, -1] = 0
    assert count_regions(one_layer(units), box(-2, 1, dim=dim)).count == zaslavsky_central(num, dim)


@pytest.mark.parametrize("dim", [3, 4])
def test_coxeter_arrangements(dim):
    # chambers are as many as permutations, and as signed permutations; n! or 2^n n! of them meet in the middle
    pairs = [np.eye(dim)[i] - np.eye(dim)[j] for i, j in itertools.combinations(range(dim), 2)]
    sums = [np.eye(dim)[i] + np.eye(dim)[j] for i, j in itertools.combinations(range(dim), 2)]
    signed = np.array([*pairs, *sums, *np.eye(dim)])
    for normals, count in ((np.array(pairs), math.factorial(dim)), (signed, 2**dim * math.factorial(dim))):
        found = enumerate_regions(one_layer(np.column_stack([normals, np.zeros(len(normals))])), box(dim=dim))
        assert found.num_cells == count
        assert found.degenerate
    # all vertices of this one: the origin, and the cube's faces' centres (its edges' and corners, too)
    assert found.num_faces[0] == 3**dim


@pytest.mark.parametrize("dim", [1, 3, 4])
def test_lattice_of_boxes(dim):
    units = [(*np.eye(dim)[i], k / 4) for i in range(dim) for k in (-4, -2, -1, 0, 3, 4)]
    found = enumerate_regions(one_layer(units), box(dim=dim))
    check_structure(one_layer(units), found)
    # in each coordinate five parts; a k-face is a part in k coordinates and an end of parts in the others
    assert list(found.num_faces) == [math.comb(dim, k) * 5**k * 6 ** (dim - k) for k in range(dim + 1)]
    ends = np.array([-1, -0.75, 0, 0.25, 0.5, 1])
    assert {tuple(vertex) for vertex in found.vertices.tolist()} == set(itertools.product(ends.tolist(), repeat=dim))
    sizes = sorted(math.prod(sides) for sides in itertools.product(np.diff(ends).tolist(), repeat=dim))
    np.testing.assert_allclose(np.sort(found.volume), sizes, rtol=1e-14)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_tent_maps(depth):
    # 2 relu(x) - 4 relu(x - 1/2) over and over: 2^depth pieces of equal size along the first coordinate
    first = Dense(np.array([[1.0, 1.0], [0, 0], [0, 0]]), np.array([0.0, -0.5]))
    again = Dense(np.outer([2.0, -4.0], [1.0, 1.0]), np.array([0.0, -0.5]))
    layers = (first, *[again] * (depth - 1), Dense(np.array([[2.0], [-4.0]]), np.zeros(1)))
    found = enumerate_regions(layers, box(0, 1, dim=3))
    check_structure(layers, found)
    assert found.num_cells == 2**depth
    np.testing.assert_allclose(found.volume, 2.0**-depth, rtol=1e-14)
    assert set(np.abs(found.gradient[:, 0, 0])) == {2.0**depth}


# Degenerate networks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dim", "widths", "num"),
    [(1, (5, 5), 15), (3, (5,), 8), (3, (3, 4), 12), (3, (3, 2, 3), 8), (4, (3, 2), 4)],
)
def test_integer_networks(dim, widths, num):
    rng = np.random.default_rng(dim)
    found = [check(integer_network(rng, dim, widths), box(dim=dim)) for _ in range(num)]
    assert np.mean([each.degenerate for each in found]) > 0.5


def degenerate_layers():
    """Layers with ties of many kinds, by name, as rows of units in R^3."""
    rng = np.random.default_rng(7)
    a, b, c = rng.uniform(-1, 1, (3, 4))
    axes = np.column_stack([np.eye(3), np.zeros(3)])
    sides = np.array([[1.0, 0, 0, 1], [1, 0, 0, -1], [0, 1, 0, 1], [0, 0, 1, -1]])
    point, line = rng.uniform(-1, 1, 3), rng.uniform(-1, 1, (2, 3))
    on_line = line[0] + np.outer(rng.uniform(-1, 1, 2), line[1])
    through_line = [(*np.cross(line[1], normal), -np.cross(line[1], normal) @ line[0]) for normal in np.eye(3)]
    found = {
        "no unit": np.zeros((1, 4)),
        "constant units": np.array([[0, 0, 0, 1.0], [0, 0, 0, -1], [0, 0, 0, 0]]),
        "dead units": np.stack([a, b, [0.1, 0.1, 0.1, -9], [0.1, 0.1, 0.1, 9]]),
        "duplicates": np.stack([a, b, a, c, b]),
        "negatives": np.stack([a, b, -a, c, -c]),
        "multiples": np.stack([a, 3 * a, b, -0.1 * b, 1e-9 * c, 1e9 * c]),
        "parallels": a + np.array([[0, 0, 0, shift] for shift in (0, 0.1, 0.2, -0.3, 9)]),
        "axes": np.concatenate([axes, -2 * axes, [a]]),
        "sides of the box": np.concatenate([sides, -sides, [a]]),
        "diagonals": np.array([[1.0, -1, 0, 0], [1, 1, 0, 0], [0, 1, -1, 0], [1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 3]]),
        "edges of the box": np.array([[1.0, 1, 0, 2], [1, -1, 0, 2], [1, 1, 0, 1.5], [1, 0, 1, 0]]),
        "corners of the box": hyperplanes_through(rng, corners(box(dim=3))[[0, 0, 1, 5, 7]]),
    }
    for error in (0, 1e-16, 1e-12, 1e-8):
        found |= {
            f"four planes through a point up to {error}": hyperplanes_through(rng, np.tile(point, (4, 1)), error),
            f"six planes through a point up to {error}": hyperplanes_through(rng, np.tile(point, (6, 1)), error),
            f"planes through a line up to {error}": np.concatenate(
                [through_line + error * rng.integers(-1, 2, (3, 4)), hyperplanes_through(rng, on_line, error)]
            ),
            f"planes through a corner up to {error}": hyperplanes_through(rng, np.ones((4, 3)), error),
            f"parallels up to {error}": a + error * rng.integers(-3, 4, (5, 1)) * [0, 0, 0, 1],
            f"one plane up to {error}": a + error * rng.integers(-3, 4, (5, 4)),
            f"sides up to {error}": np.concatenate([sides * [1, 1, 1, 1 + error], sides * [1, 1, 1, 1 - error]]),
        }
    return found


@pytest.mark.slow
@pytest.mark.parametrize("single", [True, False])
def test_degenerate_layers(single):
    for name, units in degenerate_layers().items():
        layers = one_layer(units)
        if single:
            if "e-" in name:  # float32 rounds to more than that
                continue
            layers = jax.tree.map(np.float32, tuple(layers))
        found = enumerate_regions(layers, box(dim=3))
        check_structure(layers, found)
        truth = exact_spatial_regions(layers, [-1] * 3, [1] * 3)
        assert {tuple(pattern.tolist()) for pattern in found.patterns} == {cell.pattern for cell in truth}
        assert list(found.num_faces) == exact_num_faces(truth)


def deep_degenerate_networks():
    """Deep networks with ties of many kinds, by name, on [-1, 1]^3."""
    rng = np.random.default_rng(8)
    first, second, last = random_network(rng, 3, (4, 4))
    no_bias = np.zeros(4)
    dead = Dense(first.kernel, np.full(4, -9.0))
    identity = Dense(np.eye(4), no_bias)
    twice = Dense(
        np.concatenate([second.kernel, -second.kernel[:, :2]], axis=1), np.append(second.bias, -second.bias[:2])
    )
    wide_last = Dense(np.ones((6, 1)), np.zeros(1))
    return {
        "no biases": (Dense(first.kernel, no_bias), Dense(second.kernel, no_bias), last),
        "dead first layer": (dead, second, last),
        "dead first layer, no biases behind it": (dead, Dense(second.kernel, no_bias), last),
        "no biases in the second layer": (first, Dense(second.kernel, no_bias), last),
        "the same hyperplanes again": (first, identity, last),
        "and half of them moved": (first, Dense(np.eye(4), np.array([0, 0, -0.1, -0.2])), last),
        "± pairs behind": (first, twice, wide_last),
        "a layer of zeros": (first, Dense(np.zeros((4, 4)), no_bias), second, last),
        "constants behind": (first, Dense(np.zeros((4, 4)), np.array([1.0, -1, 0, 2])), second, last),
        "sorted": (
            Dense(np.array([[1.0, -1, 0, 0], [-1, 0, 1, 0], [0, 1, -1, 0]]), no_bias),
            Dense(np.array([[1.0, -1, 1, 0], [-1, 1, 1, 0], [1, 1, -1, 0], [0, 0, 0, 0]]), no_bias),
            last,
        ),
    }


@pytest.mark.parametrize("name", deep_degenerate_networks())
def test_deep_degenerate_networks(name):
    check(deep_degenerate_networks()[name], box(dim=3))


@pytest.mark.parametrize("scale", [1e-300, 1e-40, 1e-12, 1e12, 1e300])
def test_weights_of_any_size(scale):
    # every unit is scaled, and the next layer undoes it: the same regions, but for the rounding of the weights
    rng = np.random.default_rng(3)
    layers = [Dense(*layer) for layer in random_network(rng, 3, (4, 3))]
    plain = check(tuple(layers), box(dim=3))
    scales = np.array([1, scale, scale, 1])
    layers[0] = Dense(layers[0].kernel * scales, layers[0].bias * scales)
    layers[1] = Dense(layers[1].kernel / scales[:, None], layers[1].bias)
    found = enumerate_regions(tuple(layers), box(dim=3))
    assert not found.degenerate
    np.testing.assert_array_equal(found.patterns, plain.patterns)
    np.testing.assert_array_equal(found.signs, plain.signs)
    np.testing.assert_allclose(found.vertices, plain.vertices, atol=1e-13)


@pytest.mark.parametrize("scale", [8.0, 0.125])
def test_many_layers(scale):
    # 400 layers that only scale, beyond all floats in the end, change no region of a network without biases
    first, second, last = random_network(np.random.default_rng(14), 3, (6, 6))
    network = first._replace(bias=np.zeros(6)), second._replace(bias=np.zeros(6)), last
    plain = enumerate_regions(network, box(0.1, 1, dim=3))
    found = enumerate_regions((*[Dense(scale * np.eye(3), np.zeros(3))] * 400, *network), box(0.1, 1, dim=3))
    assert found.num_faces == plain.num_faces
    assert plain.num_cells > 3


@pytest.mark.parametrize("size", [1e-200, 1e-20, 1e20, 1e200])
def test_boxes_of_any_size(size):
    rng = np.random.default_rng(4)
    layers = random_network(rng, 3, (4, 3))
    plain = check(layers, box(dim=3))
    layers = (Dense(layers[0].kernel / size, layers[0].bias), *layers[1:])
    found = enumerate_regions(layers, box(-size, size, dim=3))
    np.testing.assert_array_equal(found.patterns, plain.patterns)
    np.testing.assert_allclose(found.vertices / size, plain.vertices, atol=1e-13)


@pytest.mark.parametrize("dim", [1, 3, 4])
def test_units_of_sizes_that_do_not_fit_together(dim):
    # behind them, products of weights are beyond all floats, on both sides
    rng = np.random.default_rng(6)
    for widths in [(5, 4)] * 3 if dim < 4 else [(4, 3)]:  # the truth takes long in many dimensions
        first, second, last = random_network(rng, dim, widths)
        first, second = (
            Dense(layer.kernel * scale, layer.bias * scale)
            for layer, scale in ((each, np.resize([1e-200, 1e200], len(each.bias))) for each in (first, second))
        )
        layers = (first, second, last)
        found = enumerate_regions(layers, box(dim=dim))
        check_structure(layers, found)
        truth = {cell.pattern: cell for cell in exact_spatial_regions(layers, [-1] * dim, [1] * dim)}
        assert {tuple(pattern.tolist()) for pattern in found.patterns} == set(truth)
        volumes = [float(exact_volume(truth[tuple(pattern.tolist())])) for pattern in found.patterns]
        np.testing.assert_allclose(found.volume, volumes, rtol=0, atol=1e-10)


def test_subnormal_weights():
    # few digits are left of them, and the truth is that of those digits
    rng = np.random.default_rng(5)
    for scale in (1e-305, 1e-318, 1e-322):
        layers = one_layer(rng.uniform(-1, 1, (4, 4)) * scale)
        assert count_regions(layers, box(dim=3)).count == len(exact_spatial_regions(layers, [-1] * 3, [1] * 3))


def test_boxes_far_from_the_origin():
    rng = np.random.default_rng(6)
    for size in (1.2e-7, 1.0):
        domain = box(1e8, 1e8 + size, dim=3)
        units = hyperplanes_through(rng, rng.uniform(domain.low, domain.high, (4, 3)))
        truth = exact_spatial_regions(one_layer(units), domain.low, domain.high)
        assert count_regions(one_layer(units), domain).count == len(truth)


# Invariances


def test_what_leaves_the_faces_alone():
    rng = np.random.default_rng(11)
    for draw in (random_network, integer_network):
        first, second, last = draw(rng, 3, (5, 4))
        plain = enumerate_regions((first, second, last), box(dim=3)).num_faces
        p, q = rng.permutation(5), rng.permutation(4)
        permuted = (
            Dense(first.kernel[:, p], first.bias[p]),
            Dense(second.kernel[p][:, q], second.bias[q]),
            Dense(last.kernel[q], last.bias),
        )
        padded = (
            Dense(np.pad(first.kernel, ((0, 0), (1, 2))), np.pad(first.bias, (1, 2))),
            Dense(np.pad(second.kernel, ((1, 2), (0, 0))), second.bias),
            last,
        )
        turned = (Dense(-first.kernel[[2, 0, 1]], first.bias), second, last)
        doubled = (Dense(2 * first.kernel, 2 * first.bias), second._replace(kernel=second.kernel / 2), last)
        for changed in (permuted, padded, turned, doubled):
            assert enumerate_regions(changed, box(dim=3)).num_faces == plain


def test_box_in_parts():
    # a cell of the whole is in both parts iff the plane between them, x_1 = 0.3, runs through it
    layers = random_network(np.random.default_rng(12), 3, (6, 6))
    lower, upper = box((-1, -1, -1), (0.3, 1, 1), dim=3), box((0.3, -1, -1), (1, 1, 1), dim=3)
    whole, *parts = (int(count_regions(layers, domain).count) for domain in (box(dim=3), lower, upper))
    in_plane = Dense(layers[0].kernel[1:], layers[0].bias + 0.3 * layers[0].kernel[0])
    assert sum(parts) == whole + count_regions((in_plane, *layers[1:]), box(dim=2)).count
    assert min(parts) > 1


# Populations, no hidden layers


@pytest.mark.skipif(not library.is_available(), reason="threads are the engine's")
@pytest.mark.parametrize("at_surface", [False, True])
@pytest.mark.parametrize("draw", [random_network, integer_network])
@pytest.mark.parametrize(("dim", "widths"), [(3, [40]), (3, [14, 9, 5]), (4, [9, 6]), (5, [8])])
def test_any_number_of_threads(dim, widths, draw, at_surface):
    layers = draw(np.random.default_rng(dim), dim, widths)
    arrays, ends = weights_of(with_one_axis(layers)), (np.full(dim, -1.5), np.full(dim, 1.0))
    one, *others = (
        spaces.spaces(arrays, np.zeros(sum(widths)), *ends, at_surface=at_surface, threads=threads)[0]
        for threads in (1, 2, 5)
    )
    assert at_surface or len(one.volume) > 20
    for other in others:
        for array, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(array, same)


def test_populations():
    rng = np.random.default_rng(13)
    networks = [random_network(rng, 3, (4, 3)) for _ in range(6)]
    networks[4] = (networks[4][0]._replace(bias=np.array([0, np.nan, 0, 0])), *networks[4][1:])
    population = jax.tree.map(lambda *arrays: np.stack(arrays), *networks)
    shaped = jax.tree.map(lambda array: array.reshape(2, 3, *array.shape[1:]), population)
    found = count_regions(shaped, box(dim=3))
    assert found.count.shape == found.degenerate.shape == (2, 3)
    complexes = enumerate_population(population, box(dim=3))
    for index, layers in enumerate(networks):
        if index == 4:
            assert found.count[1, 1] == -1
            assert complexes[4] is None
        else:
            alone = enumerate_regions(layers, box(dim=3))
            assert found.count.reshape(-1)[index] == alone.num_cells == count_regions(layers, box(dim=3)).count
            for one, other in zip(alone[:-1], complexes[index][:-1], strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dim", [1, 3, 5])
def test_no_hidden_layer(dim):
    kernel = np.arange(2.0 * dim).reshape(dim, 2)
    found = enumerate_regions((Dense(kernel, np.array([3.0, 4.0])),), box(0, 2, dim=dim))
    assert list(found.num_faces) == [math.comb(dim, k) * 2 ** (dim - k) for k in range(dim + 1)]
    assert found.patterns.shape == (1, 0)
    np.testing.assert_array_equal(found.gradient[0], kernel.T)
    np.testing.assert_array_equal(found.intercept[0], [3, 4])
    assert found.volume == pytest.approx(2.0**dim)
    np.testing.assert_allclose(found.centroid, np.ones((1, dim)))
    assert set(found.facet_unit) == set(range(2 * dim))
