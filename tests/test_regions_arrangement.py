"""Counts of one hidden layer, and who is called degenerate, against polygons cut and ties found in rationals.

A network is given by the rows (w1, w2, b) of its units.
"""

import itertools
import math
from fractions import Fraction

import jax
import numpy as np
import pytest
import reference

from jaxgeom import Dense, box, count_regions, grid_points, grid_regions, layers_of, polygon, polygon_vertices
from jaxgeom.networks.layers import pad_widths
from jaxgeom.study import networks

SQUARE = polygon_vertices(box())


def layer_of(units, width=None):
    units = np.asarray(units)
    padded = np.zeros((width or len(units), 3), units.dtype)
    padded[: len(units)] = units
    return Dense(padded[:, :2].T, padded[:, 2])


def truth(units, vertices=SQUARE):
    return reference.exact_region_count([layer_of(units), (np.ones((len(units), 1)), np.zeros(1))], vertices.tolist())


def has_tie(units, vertices=SQUARE):
    """Whether three of the units' lines and the polygon's sides have a point of the polygon in common."""
    corners = [_integers((*vertex, 1.0)) for vertex in vertices.tolist()]
    sides = [reference._cross(p, q) for p, q in itertools.pairwise([*corners, corners[0]])]
    bounds = list({reference._reduced(*side) for side in sides})  # once, where sides are in one line
    turn = 1 if sum(_dot(side, corner) for side in sides for corner in corners) > 0 else -1
    lines = [_integers(unit) for unit in np.asarray(units).tolist() if any(unit[:2])]
    for index, unit in enumerate(lines):
        at_corners = [_dot(unit, corner) for corner in corners]
        is_crossing = min(at_corners) < 0 < max(at_corners)
        points = [reference._cross(unit, side) for side in sides] if is_crossing else []
        points += [reference._cross(unit, other) for other in lines[:index]]
        for x, y, w in points:
            point = (x, y, w) if w > 0 else (-x, -y, -w)
            is_inside = w and all(turn * _dot(side, point) >= 0 for side in sides)
            if is_inside and sum(_dot(line, point) == 0 for line in lines + bounds) > 2:
                return True
        if 0 in at_corners and not is_crossing:
            return True
    return False


def _integers(values):
    """A positive multiple of the values."""
    fractions = list(map(Fraction, values))
    scale = math.lcm(*(value.denominator for value in fractions))
    return tuple(int(value * scale) for value in fractions)


def _dot(row, point):
    return sum(a * b for a, b in zip(row, point, strict=True))


def population_of(networks, width=None, dtype=np.float64):
    """One-hidden-layer networks, padded with zero units to one width, as a population of layers."""
    width = width or max(map(len, networks))
    layers = [layer_of(np.asarray(units, dtype), width) for units in networks]
    hidden = jax.tree.map(lambda *arrays: np.stack(arrays), *layers)
    return hidden, Dense(np.ones((len(layers), width, 1), dtype), np.zeros((len(layers), 1), dtype))


def counted(networks, domain=None, width=None, dtype=np.float64):
    return count_regions(population_of(list(networks), width, dtype), domain or box())


def check(networks, domain=None, width=None):
    """Every network has the count of rationals, and is degenerate iff there is a tie.

    Where a single line cuts, there are two regions wherever it ends; whether at a corner, nobody asks.
    """
    networks, domain = list(networks), domain or box()
    vertices = polygon_vertices(domain)
    found = counted(networks, domain, width)
    for units, count, degenerate in zip(networks, found.count, found.degenerate, strict=True):
        assert count == truth(units, vertices), units
        assert degenerate == has_tie(units, vertices), units
    return found


def uniform(rng, num):
    return rng.uniform(-1, 1, (num, 3))


def through(rng, points, error=0.0):
    """Lines of random directions through given points, off by -1, 0 or 1 times an error."""
    units = uniform(rng, len(points))
    units[:, 2] = -np.sum(units[:, :2] * points, axis=1) + error * rng.integers(-1, 2, len(points))
    return units


# Random networks


@pytest.mark.parametrize("num_units", [1, 2, 5, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_networks(num_units, dtype):
    rng = np.random.default_rng(num_units)
    networks = [uniform(rng, num_units).astype(dtype) for _ in range(25 if num_units == 20 else 40)]
    assert not check(networks).degenerate.any()


def test_wide_networks():
    rng = np.random.default_rng(0)
    assert not check([uniform(rng, 60) for _ in range(3)], width=100).degenerate.any()


@pytest.mark.slow
@pytest.mark.parametrize("width", [2, 20, 100])
def test_trained_xor_networks(trained_xor, width):
    trained = trained_xor(width)
    # before training such networks are random: fewer are enough
    for step, num in ((100, 300 // width), (0, 100 // width)):
        layers = pad_widths(layers_of(networks(trained, width=width, step=step)), (max(width, 20),))
        found = count_regions(layers, box(), chunk_size=16)
        for index in range(min(num, len(found.count))):
            hidden = Dense(*(array[index] for array in layers[0][:2]))
            units = np.column_stack([hidden.kernel.T, hidden.bias])
            assert found.count[index] == truth(units)
            if width < 100:
                assert found.degenerate[index] == has_tie(units)


# Degenerate networks


@pytest.mark.parametrize("num_units", [2, 3, 5, 8, 16, 20])
def test_integer_networks(num_units):
    rng = np.random.default_rng(num_units)
    networks = [rng.integers(-2, 3, (num_units, 3)) / 2 for _ in range(10 if num_units >= 16 else 40)]
    found = check(networks)
    assert found.degenerate.all() if num_units >= 16 else found.degenerate.any()


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
    found = check(networks.values())
    is_degenerate = dict(zip(networks, found.degenerate, strict=True))
    for name in ("duplicates", "negatives", "no biases", "all through the middle", "diagonals"):
        assert is_degenerate[name]
    assert not is_degenerate["dead units"]


@pytest.mark.parametrize("error", [0, 1e-16, 1e-15, 1e-14, 1e-12, 1e-9])
def test_nearly_degenerate_networks(error):
    rng = np.random.default_rng(1)
    networks = []
    for _ in range(20):
        base = uniform(rng, 3)
        networks += [
            np.concatenate([through(rng, np.tile(rng.uniform(-1, 1, 2), (3, 1)), error), base]),
            np.concatenate([base, base + error * rng.integers(-2, 3, (3, 3))]),
            np.concatenate([through(rng, SQUARE, error), through(rng, SQUARE[:3], error)]),
            np.concatenate([through(rng, np.array([[x, 1.0], [x, 1.0]]), error) for x in rng.uniform(-1, 1, 3)]),
        ]
    check(networks)


@pytest.mark.parametrize("scale", [63, 64])
def test_lines_exactly_through_corners(scale):
    rng = np.random.default_rng(scale)
    networks = []
    for _ in range(30):
        units = rng.integers(-scale, scale + 1, (12, 3)) / 64
        units[:6, 2] = -np.sum(units[:6, :2] * SQUARE[rng.integers(0, 4, 6)], axis=1)
        units[6:] = uniform(rng, 6).astype(np.float32)
        networks.append(units)
    assert check(networks).degenerate.all()


@pytest.mark.slow
@pytest.mark.parametrize("places", [(0, 1, 2), (0, 33, 67), (5, 40, 99), (0, 99, 50), (97, 98, 99)])
def test_three_of_many_lines_through_one_point(places):
    rng = np.random.default_rng(0)
    units = uniform(rng, 100)
    assert counted([units]).count.tolist() == [1 + is_crossing(units).sum() + num_meetings(units)]
    point = rng.integers(-57, 58, 2) / 64
    for error in (0, 1e-13):
        normals = rng.integers(-64, 65, (3, 2)) / 64
        units[list(places)] = np.column_stack([normals, -(normals @ point)])
        units[places[0], 2] += error
        found = counted([units])
        assert found.count.tolist() == [truth(units)]
        assert found.degenerate.tolist() == [error == 0]


def is_crossing(units):
    """Which lines cross the square: some corner is on each side. In floats, for lines that are nowhere near corners."""
    a, b, c = units.T
    return np.abs(c) < np.abs(a) + np.abs(b)


def num_meetings(units):
    """How many pairs of lines meet inside the square, in floats."""
    a, b, c = units.T
    i, j = np.triu_indices(len(units), 1)
    determinant = a[i] * b[j] - a[j] * b[i]
    x = (b[i] * c[j] - b[j] * c[i]) / determinant
    y = (a[j] * c[i] - a[i] * c[j]) / determinant
    return ((np.abs(x) < 1) & (np.abs(y) < 1)).sum()


@pytest.mark.parametrize("num_units", [101, 257, 700, 1024])
def test_wide_layers_have_as_many_regions_as_lines_and_meetings_make(num_units):
    units = uniform(np.random.default_rng(num_units), num_units)
    found = counted([units])
    assert found.count.tolist() == [1 + is_crossing(units).sum() + num_meetings(units)]
    assert not found.degenerate.any()


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
    assert list(check(np.float64(units) for units in networks.values()).count) == list(networks)
    assert list(counted(networks.values(), dtype=np.float32).count) == list(networks)


# Other domains


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ((0.1, 0.1), (0.3, 0.3)),
        ((-3, 0.1), (2.5, 0.7)),
        ((1e3, -1e3), (1e3 + 1, 1 - 1e3)),
        ((-1e3, -1e-3), (1e3, 1e-3)),
        ((30, 30), (31, 31)),
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
    check(networks, box(low, high))


@pytest.mark.parametrize("scale", [1e-310, 1e-300, 1e-100, 1e-20, 1e20, 1e100, 1e300])
def test_weights_of_any_size(scale):
    # the truth does not depend on it, but for the rounding of scale times weight
    rng = np.random.default_rng(3)
    networks = [scale * uniform(rng, 8) for _ in range(20)]
    networks += [scale * through(rng, np.zeros((8, 2))) for _ in range(10)]
    networks += [scale * np.concatenate([uniform(rng, 4)] * 2) for _ in range(10)]
    networks += [uniform(rng, 5) * [1, 1, scale] for _ in range(5)]
    check(networks)


@pytest.mark.parametrize("scale", [1e-300, 1e-100, 1e-20, 1e20, 1e100, 1e300])
def test_boxes_of_any_size(scale):
    rng = np.random.default_rng(4)
    networks = [uniform(rng, 8) * [1, 1, scale] for _ in range(20)]
    networks += [through(rng, scale * SQUARE) for _ in range(10)]
    check(networks, box(-scale, scale))


@pytest.mark.parametrize("scale", [1e-40, 1e-44])
def test_subnormal_weights(scale):
    # processors that compile for speed take such numbers for zero
    rng = np.random.default_rng(5)
    networks = [np.float32(scale * uniform(rng, 6)) for _ in range(10)]
    networks += [np.float32(uniform(rng, 6) * [1, 1, scale]) for _ in range(10)]
    check(networks)
    found = counted(networks, dtype=np.float32)
    np.testing.assert_array_equal(found.count, [truth(units) for units in networks])


@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1e-40), (np.float64, 1e-310)])
def test_subnormal_weights_inside_jit(dtype, scale):
    units = (scale * uniform(np.random.default_rng(5), 10)).astype(dtype)
    with jax.enable_x64(dtype == np.float64):
        found = jax.jit(lambda layers: count_regions(layers, box()))(population_of([units], dtype=dtype))
        assert found.count.tolist() == [truth(units)]


def test_products_that_underflow():
    # a line across a box of size 1e-300, with weights 1e-20: the products are below the smallest number
    check([np.array([[1e-20, 0, -1.5e-320]]), np.array([[1e-20, -1e-20, 0]])], box(1e-300, 2e-300))


@pytest.mark.parametrize("size", [1.2e-7, 1e-6, 1.0])
def test_boxes_far_from_the_origin(size):
    # all vertices are within rounding error of each line
    rng = np.random.default_rng(6)
    networks = [np.array([[1, 0, -(1e8 + size / 2)], [0, 1, -(1e8 + size / 2)]])]
    networks += [through(rng, rng.uniform(1e8, 1e8 + size, (5, 2))) for _ in range(9)]
    check(networks, box(1e8, 1e8 + size))


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
    for vertices in polygons(num_vertices, 25):
        middle, size = vertices.mean(axis=0), np.ptp(vertices, axis=0)
        following = np.roll(vertices, -1, axis=0)
        i, j = rng.integers(0, num_vertices, (2, 12))
        diagonals = np.stack([vertices[j] - vertices[i]])[0] @ [[0, 1], [-1, 0]]
        networks = [
            through(rng, middle + 0.4 * size * rng.uniform(-1, 1, (12, 2))),
            np.concatenate([through(rng, vertices), through(rng, (vertices + following) / 2)]),
            np.column_stack([diagonals, -np.sum(diagonals * vertices[i], axis=1)]),
        ]
        assert not check(networks, polygon(vertices)).degenerate[0]


@pytest.mark.parametrize(
    "corners",
    [
        [(0, 0), (1, 0.25), (0.5, 1)],
        [(2, 0), (1, 2), (-1, 2), (-2, 0), (-1, -2), (0, -2), (1, -2)],  # with a straight angle
        [(np.cos(t), np.sin(t)) for t in np.arange(12) * np.pi / 6],
    ],
    ids=["triangle", "hexagon", "twelve sides"],
)
def test_lines_in_and_at_the_corners_of_polygons(corners):
    domain = polygon(corners)
    vertices = polygon_vertices(domain)
    rng = np.random.default_rng(3)
    weights = rng.dirichlet(np.ones(len(vertices)), (20, 10))
    networks = [through(rng, w @ vertices) for w in weights]
    assert not check(networks, domain).degenerate.any()
    check([np.concatenate([units[:4], through(rng, vertices)]) for units in networks], domain)


@pytest.mark.parametrize("num_vertices", [3, 7])
def test_lattice_polygons_and_their_diagonals(num_vertices):
    # whole coordinates: chords end exactly at vertices
    corners = np.array([[0, 0], [4, 0], [7, 2], [8, 5], [6, 8], [2, 8], [0, 5]], float)
    corners = corners if num_vertices == 7 else corners[[0, 2, 5]]
    networks = []
    for turn in range(num_vertices):
        p = np.roll(corners, turn, axis=0)
        pairs = list(itertools.combinations(range(num_vertices), 2))[:18]
        normals = np.array([(p[i][1] - p[j][1], p[j][0] - p[i][0]) for i, j in pairs])
        offsets = [-normal @ p[i] for normal, (i, _) in zip(normals, pairs, strict=True)]
        networks.append(np.column_stack([normals, offsets]))
        networks.append(np.concatenate([networks[-1][:5], [[1, 0, -3], [0, 1, -2.5]]]))
    found = check(networks, polygon(corners))
    assert len(set(found.count.tolist())) > 1


# Symmetries and identities


def test_what_leaves_the_count_alone():
    rng = np.random.default_rng(9)
    networks = [uniform(rng, 12) for _ in range(16)] + list(degenerate_networks(single=True).values())
    permuted = [rng.permutation(units) for units in networks]
    scaled = [units * np.exp2(rng.integers(-30, 30, (len(units), 1))) for units in networks]
    negated = [units * rng.choice([-1, 1], (len(units), 1)) for units in networks]
    gaps = [np.insert(units, rng.integers(0, len(units), 2), 0, axis=0) for units in networks]
    plain = counted(networks)
    assert plain.degenerate.any()
    for changed in (permuted, scaled, negated, gaps):
        jax.tree.map(np.testing.assert_array_equal, counted(changed), plain)


def test_symmetries_of_the_square():
    rng = np.random.default_rng(10)
    networks = [uniform(rng, 15).astype(np.float32) for _ in range(20)]
    networks += list(degenerate_networks(single=True).values())
    plain = counted(networks)
    for turned in (
        [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
        [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
        [[-1, 0, 0], [0, 1, 0], [0, 0, 1]],
    ):
        jax.tree.map(np.testing.assert_array_equal, counted([units @ turned for units in networks]), plain)


def test_vertices_may_start_anywhere_and_run_either_way():
    rng = np.random.default_rng(11)
    networks = [uniform(rng, 12) for _ in range(16)] + [np.concatenate([through(rng, SQUARE), uniform(rng, 5)])]
    plain = check(networks)
    for vertices in (np.roll(SQUARE, 1, axis=0), np.roll(SQUARE, 2, axis=0), SQUARE[::-1]):
        jax.tree.map(np.testing.assert_array_equal, counted(networks, polygon(vertices)), plain)


def test_float64_is_kept_by_the_host_without_x64():
    assert not jax.config.jax_enable_x64
    units = np.array([[1, 1, 2 - 1e-12], [1, -1, 2 + 1e-12], [1, 0, -1 + 1e-12]])
    assert counted([units]).count.tolist() == [truth(units)] == [3]
    # between 0.1 and float32(0.1)
    low = (0.1 + float(np.float32(0.1))) / 2
    assert counted([[[1, 0, -low]]], box(0.1, 0.3)).count.tolist() == [2]


def test_patterns_on_a_grid_are_at_most_the_regions():
    # random lines: no grid point lies on one exactly, so each pattern belongs to a full-dimensional cell
    rng = np.random.default_rng(13)
    networks = [uniform(rng, 20) for _ in range(32)]
    points = grid_points(box(), 25)
    layers = population_of(networks, dtype=np.float32)
    on_grid = jax.jit(jax.vmap(lambda layers: grid_regions(layers, points)))(layers)
    exact = count_regions(layers, box())
    assert np.all(on_grid.num_patterns <= exact.count)
    assert np.all(on_grid.num_maps <= on_grid.num_patterns)
    assert np.any(on_grid.num_patterns < exact.count)
