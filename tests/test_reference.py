"""The reference itself, held against truths made by hand: nothing here needs jax or jaxgeom."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from reference import (
    Cell,
    Layers,
    activation_patterns,
    affine_map_at,
    exact_areas,
    exact_forward,
    exact_region_count,
    exact_regions,
    forward,
    has_exact_zero,
    mean_count_disc,
    mean_count_one_layer_default_init,
    num_distinct_maps_exact,
    num_distinct_patterns,
    num_linear_regions,
    polygon_area,
    segment_sides,
    sequential_distinct_maps,
    zaslavsky,
)

BOX = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
BIG_BOX = [(-1000.0, -1000.0), (1000.0, -1000.0), (1000.0, 1000.0), (-1000.0, 1000.0)]
HEXAGON = [(2, 0), (1, 2), (-1, 2), (-2, 0), (-1, -2), (1, -2)]


def lines(*coefficients: tuple[float, float, float]) -> Layers:
    """One hidden layer whose units are the lines a x + b y + c, all added up at the output."""
    table = np.array(coefficients, np.float64)
    return [(table[:, :2].T, table[:, 2]), (np.ones((len(table), 1)), np.zeros(1))]


def default_init(rng: np.random.Generator, *widths: int) -> Layers:
    """PyTorch's default: weights and biases uniform on ±1/sqrt(fan_in)."""
    return [
        (rng.uniform(-1, 1, (a, b)) / math.sqrt(a), rng.uniform(-1, 1, b) / math.sqrt(a))
        for a, b in itertools.pairwise(widths)
    ]


def small_integers(rng: np.random.Generator, *widths: int) -> Layers:
    """Weights in {-1, -½, 0, ½, 1}: parallel, coincident and concurrent lines, dead and constant units."""
    return [(rng.integers(-2, 3, (a, b)) / 2, rng.integers(-2, 3, b) / 2) for a, b in itertools.pairwise(widths)]


def tent(depth: int) -> Layers:
    """The tent map 2 relu(t) - 4 relu(t - ½) on [0, 1], composed with itself; y is ignored."""
    inner = np.array([[2.0, 2.0], [-4.0, -4.0]])
    first = (np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([0.0, -0.5]))
    return [first, *[(inner, np.array([0.0, -0.5]))] * (depth - 1), (inner[:, :1], np.zeros(1))]


def certify(layers: Layers, polygon: list[tuple[float, float]], cells: list[Cell]) -> None:
    """Prove the list of cells complete and right, from values of the network at points alone.

    If no pre-activation changes sign over a convex cell's vertices, layer after layer is affine on it and its
    inside lies within one activation pattern. If the patterns differ from cell to cell, the insides are
    disjoint, and if the areas add up, nothing is missing.
    """
    assert len({cell.pattern for cell in cells}) == len(cells)
    assert sum(cell.area for cell in cells) == polygon_area(polygon)
    for cell in cells:
        v = cell.vertices
        turns = [
            (v[i - 1][0] - v[i - 2][0]) * (v[i][1] - v[i - 1][1])
            - (v[i - 1][1] - v[i - 2][1]) * (v[i][0] - v[i - 1][0])
            for i in range(len(v))
        ]
        assert all(turn > 0 for turn in turns)
        for vertex in v:
            outputs, pre_activations = exact_forward(layers, vertex)
            assert all(z >= 0 if on else z <= 0 for z, on in zip(pre_activations, cell.pattern, strict=True))
            assert outputs == values(cell, vertex)
        outputs, pre_activations = exact_forward(layers, cell.centroid)
        assert tuple(z > 0 for z in pre_activations) == cell.pattern
        assert outputs == values(cell, cell.centroid)


def values(cell: Cell, point: tuple[Fraction, Fraction]) -> list[Fraction]:
    """The cell's affine map at a point."""
    x, y = point
    return [a * x + b * y + c for (a, b), c in zip(cell.gradient, cell.intercept, strict=True)]


# --- floats ----------------------------------------------------------------------------------------------


def test_forward_by_hand() -> None:
    # units x - y, x + y - 1; output 2 relu(x - y) - 3 relu(x + y - 1) + 1/2
    layers = [(np.array([[1, 1], [-1, 1]]), np.array([0, -1])), (np.array([[2], [-3]]), np.array([0.5]))]
    outputs, (z,) = forward(layers, [[3.0, 1.0], [0.0, 1.0], [-1.0, 0.0]])
    np.testing.assert_array_equal(z, [[2.0, 3.0], [-1.0, 0.0], [-1.0, -2.0]])
    np.testing.assert_array_equal(outputs, [[-4.5], [0.5], [0.5]])
    patterns = activation_patterns(layers, [[3.0, 1.0], [0.0, 1.0], [-1.0, 0.0]])
    np.testing.assert_array_equal(patterns, [[True, True], [False, False], [False, False]])
    assert num_distinct_patterns(layers, [[3.0, 1.0], [0.0, 1.0], [-1.0, 0.0]]) == 2


@pytest.mark.parametrize("intercept", ["direct", "residual"])
def test_affine_map_by_hand(intercept: str) -> None:
    layers = [(np.array([[1, 1], [-1, 1]]), np.array([0, -1])), (np.array([[2], [-3]]), np.array([0.5]))]
    gradients, intercepts = affine_map_at(layers, [[3.0, 1.0], [0.0, 1.0]], intercept)
    np.testing.assert_array_equal(gradients, [[[-1.0, -5.0]], [[0.0, 0.0]]])
    np.testing.assert_array_equal(intercepts, [[3.5], [0.5]])


def test_affine_maps_are_the_cells_maps() -> None:
    rng = np.random.default_rng(0)
    layers = default_init(rng, 2, 6, 5, 2)
    cells = exact_regions(layers, BOX)
    points = np.array([cell.centroid for cell in cells], float)
    for intercept in ("direct", "residual"):
        gradients, intercepts = affine_map_at(layers, points, intercept)
        np.testing.assert_allclose(gradients, np.array([cell.gradient for cell in cells], float), atol=1e-13)
        np.testing.assert_allclose(intercepts, np.array([cell.intercept for cell in cells], float), atol=1e-13)


def test_affine_map_is_the_slope_of_forward() -> None:
    rng = np.random.default_rng(1)
    layers = default_init(rng, 3, 7, 5, 2)
    points = rng.uniform(-1, 1, (20, 3))
    gradients, _ = affine_map_at(layers, points)
    for i in range(3):
        step = 1e-7 * np.eye(3)[i]
        slope = (forward(layers, points + step)[0] - forward(layers, points - step)[0]) / 2e-7
        np.testing.assert_allclose(gradients[:, :, i], slope, atol=1e-7)


def test_affine_map_refuses_an_unknown_intercept() -> None:
    with pytest.raises(ValueError, match="allowed"):
        affine_map_at(lines((1, 0, 0)), [[0.0, 0.0]], "other")


def test_sequential_rule() -> None:
    assert sequential_distinct_maps([[0.0], [0.9], [1.8]], atol=1.0) == [0, 2]
    assert sequential_distinct_maps([[0.9], [0.0], [1.8]], atol=1.0) == [0]  # the order matters
    assert sequential_distinct_maps([[0.0], [1.0], [2.0]], atol=1.0) == [0, 1, 2]  # at the tolerance: kept
    assert sequential_distinct_maps([[0.0, 0.0], [0.8, 0.8], [0.6, 0.6]], atol=1.0) == [0, 1]  # Euclidean
    assert sequential_distinct_maps(np.zeros((4, 1, 3))) == [0]
    assert sequential_distinct_maps(np.zeros((0, 3))) == []


# --- one hidden layer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "count"), [(3, 7), (5, 16), (10, 56), (20, 211)])
def test_generic_lines(n: int, count: int) -> None:
    # tangents of the parabola y = x²: 2 t x - y - t² = 0; those at s and t meet at ((s + t) / 2, s t)
    layers = lines(*[(2.0 * t, -1.0, -1.0 * t * t) for t in range(n)])
    cells = exact_regions(layers, BIG_BOX)
    assert len(cells) == count == zaslavsky(n, 2)
    assert num_distinct_maps_exact(cells) == num_linear_regions(cells) == count
    assert sum(exact_areas(layers, BIG_BOX)) == 2000**2


def test_parallel_lines() -> None:
    cells = exact_regions(lines((1, 2, 0), (1, 2, 0.5), (2, 4, -1), (-1, -2, 0.25)), BOX)
    assert len(cells) == 5
    assert all(len(cell.pattern) == 4 for cell in cells)


def test_duplicate_lines() -> None:
    once = [(1.0, 0.3, 0.1), (0.2, -1.0, 0.0)]
    again = [(2.0, 0.6, 0.2), (-0.1, 0.5, 0.0)]  # twice the first; minus half of the second
    assert exact_region_count(lines(*once), BOX) == exact_region_count(lines(*once, *again), BOX) == 4


def test_nearly_duplicate_lines_are_two() -> None:
    assert exact_region_count(lines((1, 0.1, 0), (1, 0.1, 2.0**-60)), BOX) == 3
    assert exact_region_count(lines((1, 0.1, 0), (1, math.nextafter(0.1, 1), 0)), BOX) == 4


def test_concurrent_lines() -> None:
    assert exact_region_count(lines((1, 0, 0), (0, 1, 0), (1, 1, 0)), BOX) == 6
    assert exact_region_count(lines((1, 0, 0), (0, 1, 0), (1, 1, 0.5)), BOX) == 7


def test_lines_at_corners_and_edges() -> None:
    assert exact_region_count(lines((1, 1, -2)), BOX) == 1  # touches the corner (1, 1)
    assert exact_region_count(lines((1, -1, 0)), BOX) == 2  # through two corners
    assert exact_areas(lines((1, -1, 0)), BOX) == [2, 2]
    assert exact_areas(lines((2, 1, -1)), BOX) == [1, 3]  # through (1, -1) and (0, 1)
    assert exact_region_count(lines((1, 0, -1)), BOX) == 1  # along an edge
    assert exact_region_count(lines((1, 0, -1.5)), BOX) == 1  # outside


@pytest.mark.parametrize(
    ("lines", "slopes", "expected"),
    [
        ([(1, 0, 0), (0, 1, 0)], [0, 0], False),
        ([(1, 0, 0), (0, 1, 0), (1, 1, 0)], [0, 0, 0], True),
        ([(1, 0, 0), (0, 1, 0), (1, 1, 2**-40)], [0, 0, 0], False),
        ([(1, 0, 0), (0, 1, 0), (1, 1, 0)], [0, -1, 1], False),  # one does not cut
        ([(1, 0, 0.5), (1, 1, 0.5)], [0, 0], False),
        ([(1, 0, 0.5), (1, 1, -0.5)], [0, 0], True),  # on a side
        ([(1, -1, 0)], [0], True),  # through corners
        ([(1, -2, -3)], [0], True),  # touches one
        ([(1, 0, 0.5), (-3, 0, -1.5)], [0, 0], True),
        ([(0, 0, 0), (0, 0, 1), (0, 0, -1)], [0, 0, 0], False),
    ],
)
def test_exact_zeros(lines: list[tuple[float, float, float]], slopes: list[float], expected: bool) -> None:
    units = np.array(lines, float)
    layers = [(units[:, :2].T, units[:, 2]), (np.ones((len(lines), 1)), np.zeros(1))]
    cells = exact_regions(layers, BOX, [slopes])
    assert has_exact_zero(layers, BOX, cells, [slopes]) == expected
    # the same units behind a layer that hands the square on, doubled
    first = (np.array([[2.0, 0], [0, 2.0]]), np.array([4.0, 4.0]))
    second = (units[:, :2].T / 2, units[:, 2] - 2 * units[:, 0] - 2 * units[:, 1])
    layers, slopes_of = [first, second, layers[-1]], [[0.0, 0.25], slopes]
    assert has_exact_zero(layers, BOX, exact_regions(layers, BOX, slopes_of), slopes_of) == expected


def test_units_that_are_zero_on_a_cell_are_exact_zeros() -> None:
    layers = [(np.array([[1.0], [0.5]]), np.zeros(1)), (np.ones((1, 1)), np.zeros(1)), (np.ones((1, 1)), np.zeros(1))]
    assert has_exact_zero(layers, BOX, exact_regions(layers, BOX))


def test_pattern_on_a_cell_that_only_touches_the_line() -> None:
    (cell,) = exact_regions(lines((1, 0, -1), (1, 0, 1)), BOX)
    assert cell.pattern == (False, True)
    assert cell.gradient == [[1, 0]]
    assert cell.intercept == [1]


def test_zero_rows_and_dead_units() -> None:
    layers = lines((0, 0, 0), (0, 0, 1), (0, 0, -1), (1, 0, 5), (1, 0, -5), (1, 1, 0))
    cells = exact_regions(layers, BOX)
    assert {cell.pattern for cell in cells} == {
        (False, True, False, True, False, True),
        (False, True, False, True, False, False),
    }


def test_dead_unit_hides_its_lines_but_not_its_patterns() -> None:
    # the second unit is active or not, but its outgoing weight is 0: two patterns, one map
    layers = [(np.array([[1.0, 0.0], [0.0, 1.0]]), np.zeros(2)), (np.array([[1.0], [0.0]]), np.zeros(1))]
    cells = exact_regions(layers, BOX)
    assert len(cells) == 4
    assert num_distinct_maps_exact(cells) == num_linear_regions(cells) == 2


def test_crossings_counted_otherwise() -> None:
    # 1 + lines that cross the box + pairs that cross inside it: Cramer's rule in rationals, generic lines
    rng = np.random.default_rng(2)
    for _ in range(10):
        layers = default_init(rng, 2, 9, 1)
        units = [
            (Fraction(a), Fraction(b), Fraction(c)) for (a, b), c in zip(layers[0][0].T, layers[0][1], strict=True)
        ]
        crossing = sum(abs(c) < abs(a) + abs(b) for a, b, c in units)
        pairs = 0
        for (a, b, c), (d, e, f) in itertools.combinations(units, 2):
            pairs += max(abs(b * f - c * e), abs(c * d - a * f)) < abs(a * e - b * d)
        assert exact_region_count(layers, BOX) == 1 + crossing + pairs


def test_mean_count_default_init() -> None:
    rng = np.random.default_rng(3)
    counts = [exact_region_count(default_init(rng, 2, 5, 1), BOX) for _ in range(400)]
    assert mean_count_one_layer_default_init(5) == pytest.approx(8.5)
    assert abs(np.mean(counts) - 8.5) < 3 * np.std(counts) / math.sqrt(len(counts))
    assert mean_count_one_layer_default_init(20) == pytest.approx(81.0)
    assert mean_count_one_layer_default_init(100) == pytest.approx(1734.0, abs=0.5)
    assert mean_count_one_layer_default_init(256) == pytest.approx(11094.0, abs=0.5)


def test_mean_count_disc() -> None:
    rng = np.random.default_rng(4)
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    disc = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    counts = [exact_region_count(lines(*(rng.normal(size=(10, 3)) * [1, 1, 1.0])), disc) for _ in range(300)]
    assert abs(np.mean(counts) - mean_count_disc(10, 1.0, 1.0)) < 3 * np.std(counts) / math.sqrt(len(counts))
    assert mean_count_disc(10, 1.0, 1.0) == pytest.approx(21.251, abs=5e-4)
    assert mean_count_disc(20, 0.5, 1.0) == pytest.approx(123.918, abs=5e-4)
    assert mean_count_disc(30, 1.0, 2.0) == pytest.approx(268.295, abs=5e-4)


def test_zaslavsky() -> None:
    assert [zaslavsky(n, 2) for n in (3, 5, 10, 20)] == [7, 16, 56, 211]
    assert [zaslavsky(n, 4) for n in (4, 8, 16)] == [16, 163, 2517]


# --- deep networks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_tent_maps(depth: int) -> None:
    cells = exact_regions(tent(depth), [(0, 0), (1, 0), (1, 1), (0, 1)])
    assert len(cells) == num_distinct_maps_exact(cells) == num_linear_regions(cells) == 2**depth
    assert all(cell.area == Fraction(1, 2**depth) for cell in cells)
    assert {abs(cell.gradient[0][0]) for cell in cells} == {2**depth}
    points = np.stack([np.arange(2**depth + 1) / 2**depth, np.zeros(2**depth + 1)], axis=1)
    np.testing.assert_array_equal(forward(tent(depth), points)[0][:, 0], np.arange(2**depth + 1) % 2)


def test_three_kinds_of_region_differ() -> None:
    # the example of arXiv:2505.16716, max(-y, min(0, -x)):
    # h = relu(x, y, -y), g = relu(h1 - h2 + h3, h1), f = g1 - g2
    layers = [
        (np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -1.0]]), np.zeros(3)),
        (np.array([[1.0, 1.0], [-1.0, 0.0], [1.0, 0.0]]), np.zeros(2)),
        (np.array([[1.0], [-1.0]]), np.zeros(1)),
    ]
    x, y = points = np.random.default_rng(5).uniform(-1, 1, (2, 1000))
    np.testing.assert_allclose(forward(layers, points.T)[0][:, 0], np.maximum(-y, np.minimum(0, -x)), atol=1e-15)
    cells = exact_regions(layers, BOX)
    certify(layers, BOX, cells)
    assert len(cells) == 5
    assert num_linear_regions(cells) == 3
    assert num_distinct_maps_exact(cells) == 3


def test_one_map_in_two_places() -> None:
    # a hat, relu(x) - 2 relu(x - 1/4) + relu(x - 1/2): left and right of it the map is 0
    layers = [
        (np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]), np.array([0, -0.25, -0.5])),
        (np.array([[1.0], [-2.0], [1.0]]), np.zeros(1)),
    ]
    cells = exact_regions(layers, BOX)
    assert (len(cells), num_linear_regions(cells), num_distinct_maps_exact(cells)) == (4, 4, 3)


def test_cells_that_meet_in_a_point_are_not_connected() -> None:
    # |x| + |y| - |x + y| is 0 where the signs agree: two quadrants with one map that share only the origin
    layers = [
        (np.array([[1.0, -1, 0, 0, 1, -1], [0, 0, 1, -1, 1, -1]]), np.zeros(6)),
        (np.array([[1.0], [1], [1], [1], [-1], [-1]]), np.zeros(1)),
    ]
    cells = exact_regions(layers, BOX)
    assert len(cells) == 6
    # 0 twice; in the quadrant x > 0 > y the map is -2 y or 2 x, in the other one 2 y or -2 x
    assert num_distinct_maps_exact(cells) == 5
    assert num_linear_regions(cells) == 6


def test_neighbours_across_part_of_an_edge() -> None:
    # made by hand: a left half, and a right half in two parts of which the upper one has the left's map
    left = Cell(((0, 0, 1), (1, 0, 1), (1, 2, 1), (0, 2, 1)), (), ((1, 0, 0),), 1)
    lower = Cell(((1, 0, 1), (2, 0, 1), (2, 1, 1), (1, 1, 1)), (), ((0, 0, 0),), 1)
    upper = Cell(((1, 1, 1), (2, 1, 1), (2, 2, 1), (1, 2, 1)), (), ((1, 0, 0),), 1)
    assert num_linear_regions([left, lower, upper]) == 2
    sides = segment_sides([left, lower, upper])
    assert sorted(len(cells) for cells in sides.values()) == [1] * 7 + [2] * 3


@pytest.mark.parametrize("widths", [(20,), (6, 6), (4, 4, 4)])
def test_euler(widths: tuple[int, ...]) -> None:
    cells = exact_regions(default_init(np.random.default_rng(6), 2, *widths, 1), BOX)
    sides = segment_sides(cells)
    corners = {corner for cell in cells for corner in cell.corners}
    assert len(corners) - len(sides) + len(cells) == 1
    assert all(len(cells_beside) in (1, 2) for cells_beside in sides.values())
    # a segment with one side only lies on the boundary of the box
    for (p, q), cells_beside in sides.items():
        is_outer = any(p[i] * q[2] == q[i] * p[2] and abs(p[i]) == p[2] for i in (0, 1))
        assert is_outer == (len(cells_beside) == 1)


@pytest.mark.parametrize("widths", [(8,), (5, 5), (4, 4, 4)])
@pytest.mark.parametrize("polygon", [BOX, HEXAGON, [(0.1, 0.2), (0.9, 0.3), (0.4, 0.7)]])
def test_certificate_of_random_nets(widths: tuple[int, ...], polygon: list[tuple[float, float]]) -> None:
    layers = default_init(np.random.default_rng(7), 2, *widths, 2)
    cells = exact_regions(layers, polygon)
    certify(layers, polygon, cells)
    assert exact_region_count(layers, polygon) == len(cells)


@pytest.mark.parametrize("widths", [(8,), (4, 4), (3, 3, 3)])
def test_certificate_of_degenerate_nets(widths: tuple[int, ...]) -> None:
    rng = np.random.default_rng(8)
    for _ in range(15):
        layers = small_integers(rng, 2, *widths, 1)
        cells = exact_regions(layers, BOX)
        certify(layers, BOX, cells)
        assert num_distinct_maps_exact(cells) <= num_linear_regions(cells) <= len(cells)


@pytest.mark.parametrize("widths", [(20,), (10, 10), (6, 6, 6)])
def test_random_points_and_cells_agree(widths: tuple[int, ...]) -> None:
    rng = np.random.default_rng(9)
    layers = default_init(rng, 2, *widths, 1)
    cells = exact_regions(layers, BOX)
    patterns = {cell.pattern for cell in cells}
    met = {tuple(row.tolist()) for row in activation_patterns(layers, rng.uniform(-1, 1, (20_000, 2)))}
    assert met <= patterns
    # a cell of 1/400 of the box is missed by all the points with probability e^-50
    assert {cell.pattern for cell in cells if cell.area > 0.01} <= met
    centroids = np.array([cell.centroid for cell in cells], float)
    assert [tuple(row.tolist()) for row in activation_patterns(layers, centroids)] == [c.pattern for c in cells]
    assert num_distinct_patterns(layers, centroids) == len(cells)


def test_areas_add_up_exactly() -> None:
    rng = np.random.default_rng(10)
    assert sum(exact_areas(default_init(rng, 2, 30, 1), BOX)) == 4
    assert sum(exact_areas(default_init(rng, 2, 8, 8, 8, 1), HEXAGON)) == polygon_area(HEXAGON) == 12
    assert polygon_area(HEXAGON[::-1]) == 12


def test_the_way_round_and_the_number_type_do_not_matter() -> None:
    layers = default_init(np.random.default_rng(11), 2, 12, 1)
    single = [(kernel.astype(np.float32), bias.astype(np.float32)) for kernel, bias, *_ in layers]
    double = [(kernel.astype(np.float64), bias.astype(np.float64)) for kernel, bias, *_ in single]
    patterns = {cell.pattern for cell in exact_regions(double, BOX)}
    assert {cell.pattern for cell in exact_regions(double, BOX[::-1])} == patterns
    assert {cell.pattern for cell in exact_regions(single, np.array(BOX, np.float32))} == patterns


def test_no_hidden_layer_is_one_cell() -> None:
    (cell,) = exact_regions([(np.array([[1.0], [2.0]]), np.array([3.0]))], BOX)
    assert (cell.pattern, cell.gradient, cell.intercept, cell.area) == ((), [[1, 2]], [3], 4)
    assert activation_patterns([(np.array([[1.0], [2.0]]), np.array([3.0]))], [[0.0, 0.0]]).shape == (1, 0)


@pytest.mark.parametrize(
    "polygon",
    [
        [(0, 0), (2, 0), (1, 1), (2, 2), (0, 2)],  # a dent
        [(0, 0), (1, 1), (2, 2)],  # no area
        [(0, 0), (1, 0), (1, 0), (0, 1)],  # a repeated vertex
    ],
)
def test_bad_polygons_are_refused(polygon: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="convex"):
        exact_regions(lines((1, 0, 0)), polygon)
