"""The exact count of one hidden layer, against polygons cut in rationals.

``arrangement_count`` must be right or say ``degenerate``; ``exact_arrangement_count`` and ``count_regions`` must be
right. A network is given by the rows (w1, w2, b) of its units.
"""

import itertools
import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from conftest import quick

from jaxgeom import (
    Dense,
    arrangement_count,
    box,
    count_regions,
    grid_points,
    grid_regions,
    layers_of,
    mean_count_one_layer,
    polygon_vertices,
    zaslavsky,
)
from jaxgeom.layers import pad_widths
from jaxgeom.regions.rational import exact_arrangement_count

SQUARE = polygon_vertices(box())
WIDTH = 20
"""Networks are padded with zero units to this width, so that they share one compiled program."""
BATCH = 64

compiled = jax.jit(jax.vmap(arrangement_count))
quickly_compiled = quick(jax.vmap(arrangement_count))


def layer_of(units, width=None):
    units = np.asarray(units)
    padded = np.zeros((width or len(units), 3), units.dtype)
    padded[: len(units)] = units
    return Dense(padded[:, :2].T, padded[:, 2])


def truth(units, vertices=SQUARE):
    return reference.exact_region_count([layer_of(units), (np.ones((len(units), 1)), np.zeros(1))], vertices.tolist())


def fast_counts(networks, polygons=SQUARE, width=WIDTH):
    """``arrangement_count`` of many networks, in batches of one shape, as NumPy."""
    polygons = np.broadcast_to(polygons, (len(networks), *np.shape(polygons)[-2:]))
    layers = [layer_of(np.float64(units), width) for units in networks]
    function = compiled if (width, polygons.shape[1]) == (WIDTH, 4) else quickly_compiled
    parts = []
    for start in range(0, len(layers), BATCH):
        chosen = np.minimum(np.arange(start, start + BATCH), len(layers) - 1)
        batch = jax.tree.map(lambda *arrays: np.stack(arrays), *[layers[index] for index in chosen])
        with jax.enable_x64(True):
            parts.append(jax.tree.map(np.asarray, function(batch, polygons[chosen])))
    return jax.tree.map(lambda *arrays: np.concatenate(arrays)[: len(layers)], *parts)


def check(networks, polygons=SQUARE, width=WIDTH):
    """Every network: the rational count is the truth, and the fast one is, or says that it may not be."""
    networks = list(networks)
    polygons = np.broadcast_to(polygons, (len(networks), *np.shape(polygons)[-2:]))
    found = fast_counts(networks, polygons, width)
    for index, (units, vertices) in enumerate(zip(networks, polygons, strict=True)):
        expected = truth(units, vertices)
        assert exact_arrangement_count(layer_of(units), vertices) == expected
        assert found.degenerate[index] or found.count[index] == expected
    return found


def uniform(rng, num):
    return rng.uniform(-1, 1, (num, 3))


def through(rng, points, error=0.0):
    """Lines of random directions through given points, off by -1, 0 or 1 times an error."""
    units = uniform(rng, len(points))
    units[:, 2] = -np.sum(units[:, :2] * points, axis=1) + error * rng.integers(-1, 2, len(points))
    return units


def population_of(networks, width=WIDTH, dtype=np.float32):
    """One-hidden-layer networks, padded with zero units, as a population of layers."""
    layers = [layer_of(np.asarray(units, dtype), width) for units in networks]
    hidden = jax.tree.map(lambda *arrays: np.stack(arrays), *layers)
    return hidden, Dense(np.ones((len(layers), width, 1), dtype), np.zeros((len(layers), 1), dtype))


def counted(networks, domain, dtype=np.float32):
    """``count_regions`` of many networks, in chunks of one shape."""
    networks = list(networks)
    filled = networks + [np.zeros((1, 3))] * (16 - len(networks))
    found = count_regions(population_of(filled, dtype=dtype), domain, chunk_size=16)
    return jax.tree.map(lambda array: array[: len(networks)], found)


# Random networks


@pytest.mark.parametrize("num_units", [1, 2, 5, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_networks(num_units, dtype):
    rng = np.random.default_rng(num_units)
    networks = [uniform(rng, num_units).astype(dtype) for _ in range(25 if num_units == 20 else 40)]
    found = check(networks)
    assert not found.degenerate.any()
    np.testing.assert_array_equal(found.num_lines, [sum(is_crossing(unit) for unit in units) for units in networks])


def is_crossing(unit, vertices=SQUARE):
    """Whether a unit has both signs among the vertices, in rationals."""
    values = [reference.exact_forward([(unit[:2, None], unit[2:])], vertex)[0][0] for vertex in vertices]
    return min(values) < 0 < max(values)


def test_wide_networks():
    rng = np.random.default_rng(0)
    assert not check([uniform(rng, 60) for _ in range(3)], width=100).degenerate.any()


@pytest.mark.parametrize("width", [2, 20, 100])
def test_trained_xor_networks(trained_xor, width):
    trained = trained_xor(width)
    # before training such networks are random: fewer are enough
    for params, num in ((trained.params, 300 // width), (trained.initial_params, 100 // width)):
        # width 2 is padded to share the compiled program of width 20
        layers = pad_widths(layers_of(params), (max(width, WIDTH),))
        found = count_regions(layers, box(), chunk_size=16)
        for index in range(min(num, len(found.count))):
            hidden = Dense(*(array[index] for array in layers[0]))
            expected = truth(np.column_stack([hidden.kernel.T, hidden.bias]))
            assert found.count[index] == exact_arrangement_count(hidden, SQUARE) == expected


# Degenerate networks


@pytest.mark.parametrize("num_units", [2, 3, 5, 8, 20])
def test_integer_networks(num_units):
    rng = np.random.default_rng(num_units)
    networks = [rng.integers(-2, 3, (num_units, 3)) / 2 for _ in range(10 if num_units == 20 else 40)]
    found = check(networks)
    exact = counted(networks, box())
    np.testing.assert_array_equal(exact.count, [truth(units) for units in networks])
    np.testing.assert_array_equal(exact.degenerate, found.degenerate)


def degenerate_networks(single):
    """Networks with ties of every kind, by name; ``single`` rounds the weights to float32."""
    rng = np.random.default_rng(7)
    corners = SQUARE[rng.integers(0, 4, (100, 12))]
    a, b, c = uniform(rng, 3)
    one, point = uniform(rng, 1), rng.uniform(-1, 1, 2)
    edge = np.stack([rng.uniform(-1, 1, 12), np.ones(12)], axis=1)
    directions = np.array([[1, 0], [0, 1], [1, 1], [1, -1]])[rng.integers(0, 4, 16)]
    sides = np.array([[1.0, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]])
    diagonals = np.array([[1.0, 1, 0], [1, -1, 0]])
    middle = np.array([[1.0, 0, 0], [0, 1, 0]])
    found = {
        "no unit": np.zeros((1, 3)),
        "constant units": np.array([[0, 0, 1.0], [0, 0, -1], [0, 0, 0]]),
        "dead units": np.concatenate([uniform(rng, 8) + np.array([0, 0, 3]), uniform(rng, 4)]),
        "no biases": uniform(rng, 12) * [1, 1, 0],
        "duplicates": np.stack([a, b, c, a, b, a]),
        "negatives": np.stack([a, b, c, -a, -b]),
        "multiples": np.stack([a, b, c, 3 * a, -3 * b, 0.1 * c, 1e-10 * a, 1e10 * c]),
        "powers of two": np.stack([a, 2 * a, -4 * a, b, a / 2**40]),
        "parallels": one + np.array([[0, 0, shift] for shift in (0, 0.1, 0.2, -0.3, 9)]),
        "edges of the box": np.concatenate([sides, -2 * sides, uniform(rng, 3)]),
        "diagonals": np.concatenate([diagonals, -3 * diagonals, middle, uniform(rng, 3)]),
        "all through the middle": np.concatenate([diagonals, middle, through(rng, np.zeros((5, 2)))]),
        "a grid of lines": np.array([[1, 0, k / 4] for k in range(-4, 5)] + [[0, 1, k / 4] for k in range(-4, 5)]),
        "lattice": np.column_stack([directions, rng.integers(-4, 5, 16) / 4]),
        "an inner triangle, and one of no size": np.array(
            [[1, 0, -0.25], [0, 1, -0.25], [1, 1, -0.5], [1, 1, -0.25], [1, -1, 0]]
        ),
    }
    for error in (0, 1e-16, 1e-15, 1e-12, 1e-9, 1e-8):
        found |= {
            f"lines through corners up to {error}": through(rng, corners[0], error),
            f"lines through one corner up to {error}": through(rng, np.ones((8, 2)), error),
            f"three lines through a point up to {error}": np.concatenate(
                [through(rng, np.tile(point, (3, 1)), error), uniform(rng, 5)]
            ),
            f"ten lines through a point up to {error}": through(rng, np.tile(point, (10, 1)), error),
            f"pairs of lines that meet on an edge up to {error}": through(rng, np.repeat(edge[:6], 2, axis=0), error),
            f"edges up to {error}": np.concatenate([sides * [1, 1, 1 + error], sides * [1, 1, 1 - error]]),
            f"parallels up to {error}": one + error * rng.integers(-3, 4, (10, 1)) * [0, 0, 1],
            f"one line up to {error}": one + error * rng.integers(-3, 4, (10, 3)),
        }
    if single:
        found = {name: units.astype(np.float32) for name, units in found.items()}
    return found


@pytest.mark.parametrize("single", [True, False])
def test_degenerate_networks(single):
    networks = degenerate_networks(single)
    check(networks.values())


def test_degenerate_networks_are_counted_exactly():
    networks = degenerate_networks(single=True)
    found = counted(networks.values(), box())
    for name, units, count in zip(networks, networks.values(), found.count, strict=True):
        assert count == truth(units), name


def test_float64_weights_are_counted_exactly():
    networks = degenerate_networks(single=False)
    found = counted(networks.values(), box(), np.float64)
    for name, units, count in zip(networks, networks.values(), found.count, strict=True):
        assert count == truth(units), name


def test_lines_through_corners_of_single_networks_are_certain():
    # as in trained networks: products of float32 numbers are exact, so a corner on a line is known to be there
    rng = np.random.default_rng(1)
    networks = []
    for _ in range(40):
        units = rng.integers(-64, 65, (12, 3)) / 64
        units[:6, 2] = -np.sum(units[:6, :2] * SQUARE[rng.integers(0, 4, 6)], axis=1)
        units[6:] = uniform(rng, 6).astype(np.float32)
        networks.append(units)
    assert check(networks).degenerate.mean() < 0.2


def test_counts_by_hand():
    networks = {
        1: [[0, 0, 0]],
        2: [[1, 0, 0], [2, 0, 0], [-3, 0, 0]],
        4: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        6: [[1, 0, 0], [0, 1, 0], [1, 1, 0]],
        7: [[1, 0, 0], [0, 1, 0], [1, 1, 0.5]],
        3: [[1, 0, 0.5], [1, 0, -0.5], [1, 0, 1], [1, 0, -1], [1, 0, 2]],
        8: [[1, 0, 0], [0, 1, 0], [1, 1, 0], [1, -1, 0]],
        36: [[1, 0, k / 4] for k in range(-4, 4)][1:6] + [[0, 1, k / 4] for k in range(-4, 4)][1:6],
    }
    assert list(check(np.float32(units) for units in networks.values()).count) == list(networks)
    assert list(counted(networks.values(), box()).count) == list(networks)


# Other domains


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ((0.1, 0.1), (0.3, 0.3)),
        ((-3, 0.1), (2.5, 0.7)),
        ((1e3, -1e3), (1e3 + 1, 1 - 1e3)),
        ((-1e3, -1e-3), (1e3, 1e-3)),
    ],
)
def test_other_boxes(low, high):
    rng = np.random.default_rng(2)
    vertices = polygon_vertices(box(low, high))
    inside = rng.uniform(low, high, (30, 12, 2))
    edges = np.array([[1, 0, -low[0]], [1, 0, -high[0]], [0, 1, -low[1]], [0, 3, -3 * high[1]]])
    networks = [through(rng, points) for points in inside]
    networks += [np.concatenate([through(rng, vertices), edges, through(rng, points[:3])]) for points in inside[:15]]
    networks += [through(rng, np.tile(points[0], (5, 1))) for points in inside[:10]]
    check(networks, vertices)
    found = counted(networks, box(low, high), np.float64)
    np.testing.assert_array_equal(found.count, [truth(units, vertices) for units in networks])


@pytest.mark.parametrize("scale", [1e-300, 1e-100, 1e-20, 1e20, 1e100, 1e300])
def test_weights_of_any_size(scale):
    # the truth does not depend on it, but for the rounding of scale times weight
    rng = np.random.default_rng(3)
    networks = [scale * uniform(rng, 8) for _ in range(20)]
    networks += [scale * through(rng, np.zeros((8, 2))) for _ in range(10)]
    networks += [scale * np.concatenate([uniform(rng, 4)] * 2) for _ in range(10)]
    check(networks)


@pytest.mark.parametrize("scale", [1e-100, 1e-20, 1e20, 1e100])
def test_boxes_of_any_size(scale):
    rng = np.random.default_rng(4)
    networks = [uniform(rng, 8) * [1, 1, scale] for _ in range(20)]
    networks += [through(rng, scale * SQUARE) for _ in range(10)]
    check(networks, scale * SQUARE)


@pytest.mark.parametrize("scale", [1e-40, 1e-44])
def test_subnormal_weights(scale):
    # processors that compile for speed take such numbers for zero
    rng = np.random.default_rng(5)
    networks = [np.float32(scale * uniform(rng, 6)) for _ in range(10)]
    networks += [np.float32(uniform(rng, 6) * [1, 1, scale]) for _ in range(10)]
    found = counted(networks, box())
    np.testing.assert_array_equal(found.count, [truth(units) for units in networks])
    check(networks)


@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1e-40), (np.float64, 1e-310)])
def test_subnormal_weights_are_never_certain_to_the_core(dtype, scale):
    # nothing can be scaled beforehand inside jit
    units = (scale * uniform(np.random.default_rng(5), 10)).astype(dtype)
    with jax.enable_x64(dtype == np.float64):
        for function in (arrangement_count, quick(arrangement_count)):
            found = function(layer_of(units), SQUARE)
            assert found.degenerate or found.count == truth(units)


def test_products_that_underflow():
    # a line across a box of size 1e-300, with weights 1e-20: the products are below the smallest number
    vertices = polygon_vertices(box(1e-300, 2e-300))
    check([np.array([[1e-20, 0, -1.5e-320]]), np.array([[1e-20, -1e-20, 0]])], vertices)


@pytest.mark.parametrize("size", [1.2e-7, 1e-6, 1.0])
def test_boxes_far_from_the_origin(size):
    # all vertices are within rounding error of each line
    domain = box(1e8, 1e8 + size)
    vertices = polygon_vertices(domain)
    rng = np.random.default_rng(6)
    networks = [np.array([[1, 0, -(1e8 + size / 2)], [0, 1, -(1e8 + size / 2)]])]
    networks += [through(rng, rng.uniform(1e8, 1e8 + size, (5, 2))) for _ in range(9)]
    check(networks, vertices)


def polygons(num_vertices, num):
    """Random convex polygons with vertices on a circle, of all sizes and places, in counter-clockwise order."""
    rng = np.random.default_rng(num_vertices)
    for _ in range(num):
        turn = 2 * np.pi * (np.arange(num_vertices) + rng.uniform(0, 0.8, num_vertices)) / num_vertices
        circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        yield rng.choice([1e-3, 1, 30]) * (circle + rng.choice([0, 2]) * rng.uniform(-1, 1, 2))


@pytest.mark.parametrize("num_vertices", [3, 7])
def test_convex_polygons(num_vertices):
    rng = np.random.default_rng(num_vertices)
    networks, domains = [], []
    for vertices in polygons(num_vertices, 25):
        middle, size = vertices.mean(axis=0), np.ptp(vertices, axis=0)
        following = np.roll(vertices, -1, axis=0)
        i, j = rng.integers(0, num_vertices, (2, 12))
        diagonals = np.stack([vertices[j] - vertices[i]])[0] @ [[0, 1], [-1, 0]]
        for units in (
            through(rng, middle + 0.4 * size * rng.uniform(-1, 1, (12, 2))),
            np.concatenate([through(rng, vertices), through(rng, (vertices + following) / 2)]),
            np.column_stack([diagonals, -np.sum(diagonals * vertices[i], axis=1)]),
        ):
            networks.append(units)
            domains.append(vertices)
    found = check(networks, np.stack(domains))
    assert not found.degenerate[::3].any()


@pytest.mark.parametrize("num_vertices", [3, 7])
def test_lattice_polygons_and_their_diagonals(num_vertices):
    # whole coordinates: chords end exactly at vertices, and that is known for certain
    corners = np.array([[0, 0], [4, 0], [7, 2], [8, 5], [6, 8], [2, 8], [0, 5]], float)
    corners = corners if num_vertices == 7 else corners[[0, 2, 5]]
    networks = []
    for turn in range(num_vertices):
        p = np.roll(corners, turn, axis=0)
        pairs = list(itertools.combinations(range(num_vertices), 2))[: WIDTH - 2]
        normals = np.array([(p[i][1] - p[j][1], p[j][0] - p[i][0]) for i, j in pairs])
        offsets = [-normal @ p[i] for normal, (i, _) in zip(normals, pairs, strict=True)]
        networks.append(np.column_stack([normals, offsets]))
        networks.append(np.concatenate([networks[-1][:5], [[1, 0, -3], [0, 1, -2.5]]]))
    found = check(networks, corners)
    assert len(set(found.count.tolist())) > 1


# Symmetries and identities


def test_what_leaves_the_count_alone():
    rng = np.random.default_rng(9)
    networks = [uniform(rng, 12) for _ in range(16)] + list(degenerate_networks(single=True).values())
    permuted = [rng.permutation(units) for units in networks]
    scaled = [units * np.exp2(rng.integers(-30, 30, (len(units), 1))) for units in networks]
    negated = [units * rng.choice([-1, 1], (len(units), 1)) for units in networks]
    gaps = [np.insert(units, rng.integers(0, len(units), 2), 0, axis=0) for units in networks]
    plain = fast_counts(networks)
    assert plain.degenerate.any()
    for changed in (permuted, scaled, negated, gaps):
        found = fast_counts(changed)
        is_certain = ~(plain.degenerate | found.degenerate)
        assert is_certain.mean() > 0.2
        np.testing.assert_array_equal(found.count[is_certain], plain.count[is_certain])
        np.testing.assert_array_equal(found.num_lines[is_certain], plain.num_lines[is_certain])
        for before, after in zip(networks, changed, strict=True):
            assert exact_arrangement_count(layer_of(before), SQUARE) == exact_arrangement_count(layer_of(after), SQUARE)
    # scaling by powers of two and zero units change no rounding
    for changed in (scaled, gaps):
        jax.tree.map(np.testing.assert_array_equal, fast_counts(changed), plain)


def test_symmetries_of_the_square():
    rng = np.random.default_rng(10)
    networks = [uniform(rng, 15).astype(np.float32) for _ in range(20)]
    plain = fast_counts(networks)
    for turned in (
        [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
        [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
        [[-1, 0, 0], [0, 1, 0], [0, 0, 1]],
    ):
        jax.tree.map(np.testing.assert_array_equal, fast_counts([units @ turned for units in networks]), plain)


def test_vertices_may_start_anywhere_and_run_either_way():
    rng = np.random.default_rng(11)
    networks = [uniform(rng, 12) for _ in range(16)] + [np.concatenate([through(rng, SQUARE), uniform(rng, 5)])]
    plain = fast_counts(networks)
    for vertices in (np.roll(SQUARE, 1, axis=0), np.roll(SQUARE, 2, axis=0), SQUARE[::-1]):
        found = fast_counts(networks, vertices)
        np.testing.assert_array_equal(found.count[:16], plain.count[:16])
        assert not found.degenerate[:16].any()
        assert found.degenerate[16] or found.count[16] == truth(networks[16])


def test_without_x64_nothing_changes():
    rng = np.random.default_rng(12)
    units = np.concatenate([uniform(rng, 6), through(rng, SQUARE)]).astype(np.float32)
    batched = jax.tree.map(lambda array: array[0], fast_counts([units]))
    assert not jax.config.jax_enable_x64
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = arrangement_count(layer_of(units), SQUARE)
        in_jit = quick(arrangement_count)(layer_of(units), SQUARE)
    assert alone.count == truth(units)
    for found in (in_jit, batched):
        jax.tree.map(np.testing.assert_array_equal, found, alone)
    assert (alone.count.dtype, alone.num_lines.dtype, alone.degenerate.dtype) == (np.int32, np.int32, bool)
    # lines within 1e-12 of a corner, in and out
    units = np.array([[1, 1, 2 - 1e-12], [1, -1, 2 + 1e-12], [1, 0, -1 + 1e-12]])
    found = arrangement_count(layer_of(units, 10), SQUARE)
    assert found.num_lines == 2
    assert found.degenerate or found.count == truth(units) == 3


def test_float64_is_kept_by_the_host_without_x64():
    units = np.array([[1, 1, 2 - 1e-12], [1, -1, 2 + 1e-12], [1, 0, -1 + 1e-12]])
    assert counted([units], box(), np.float64).count.tolist() == [3]
    # between 0.1 and float32(0.1)
    low = (0.1 + float(np.float32(0.1))) / 2
    assert counted([[[1, 0, -low]]], box(0.1, 0.3), np.float64).count.tolist() == [2]


def test_weights_that_are_not_finite_are_never_certain():
    units = uniform(np.random.default_rng(0), 3)
    for bad in (np.nan, np.inf):
        units[1, 2] = bad
        assert fast_counts([units]).degenerate[0]


def test_patterns_on_a_grid_are_at_most_the_regions():
    # random lines: no grid point lies on one exactly, so each pattern belongs to a full-dimensional cell
    rng = np.random.default_rng(13)
    networks = [uniform(rng, 20) for _ in range(32)]
    points = grid_points(box(), 25)
    on_grid = quick(jax.vmap(lambda layers: grid_regions(layers, points)))(population_of(networks))
    exact = counted(networks, box())
    assert np.all(on_grid.num_patterns <= exact.count)
    assert np.all(on_grid.num_maps <= on_grid.num_patterns)
    assert np.any(on_grid.num_patterns < exact.count)


# Theory


def test_bounds_are_the_closed_forms():
    for num, dim in itertools.product(range(12), range(6)):
        assert zaslavsky(num, dim) == reference.zaslavsky(num, dim) == sum(math.comb(num, k) for k in range(dim + 1))
    for width in range(30):
        assert mean_count_one_layer(width) == pytest.approx(reference.mean_count_one_layer_default_init(width))
    assert zaslavsky(20, 2) == 211
    assert mean_count_one_layer(0) == 1
    assert mean_count_one_layer(20) == pytest.approx(81)
    for arguments in ((-1, 2), (2, -1)):
        with pytest.raises(ValueError, match=rf"at least 0, but {arguments[0]} and {arguments[1]}"):
            zaslavsky(*arguments)
    with pytest.raises(ValueError, match="width must be at least 0, but -1"):
        mean_count_one_layer(-1)


def test_generic_lines_in_a_big_box_reach_zaslavskys_bound():
    rng = np.random.default_rng(14)
    networks = [uniform(rng, num) for num in (1, 2, 3, 5, 10, 20)]
    found = fast_counts(networks, 1e5 * SQUARE)
    assert not found.degenerate.any()
    assert found.count.tolist() == [zaslavsky(num, 2) for num in (1, 2, 3, 5, 10, 20)]
    assert found.num_lines.tolist() == [1, 2, 3, 5, 10, 20]


def test_mean_count_at_initialisation():
    # PyTorch's default: weights and biases uniform within ±1/√2, of which the count does not depend on the scale
    rng = np.random.default_rng(15)
    found = counted([uniform(rng, 20) for _ in range(2000)], box())
    error = found.count.std() / math.sqrt(2000)
    assert abs(found.count.mean() - mean_count_one_layer(20)) < 3 * error
    assert error < 1


@pytest.mark.parametrize(("num", "sigma", "radius"), [(10, 1.0, 1.0), (20, 0.5, 1.0), (20, 1.0, 2.0)])
def test_mean_count_in_a_disc(num, sigma, radius):
    # the polygon of 64 sides has 0.9984 of the disc's area, and 0.9996 of its perimeter
    turn = 2 * np.pi * np.arange(64) / 64
    disc = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    rng = np.random.default_rng(16)
    found = fast_counts([rng.normal(size=(num, 3)) * [1, 1, sigma] for _ in range(640)], disc)
    assert not found.degenerate.any()
    error = found.count.std() / math.sqrt(640)
    assert abs(found.count.mean() - reference.mean_count_disc(num, sigma, radius)) < 3 * error


def test_one_network_on_many_boxes():
    units = np.float32([[1, 0, 0], [0, 1, 0], [1, 1, -1]])
    boxes = np.stack([scale * SQUARE for scale in (0.25, 0.5, 1, 2, 4)]).astype(np.float32)
    found = quick(jax.vmap(arrangement_count, (None, 0)))(layer_of(units), jnp.asarray(boxes))
    assert found.count.tolist() == [truth(units, vertices) for vertices in boxes] == [4, 4, 5, 7, 7]
