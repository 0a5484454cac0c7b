"""The compiled engine against polygons cut in rational arithmetic, on networks that are made to break it.

Ties of all kinds, scales at both ends of float64, slivers, deep networks: counts, ties and complexes are those of the
rationals, whatever the number of threads. Where rationals are too slow, closed forms and identities take their place.
"""

import ctypes
import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import reference
from engine_families import FAMILIES, lattice, mixed, near_pairs, network, no_biases, of_family, seeded

from jaxgeom.domains import box, polygon, polygon_vertices, projective_domain, whole_plane
from jaxgeom.engine import library, planes
from jaxgeom.engine.arguments import Network, pointer

pytestmark = pytest.mark.skipif(not library.is_available(), reason="the engine is not compiled here")

SQUARE = box(-1, 1)
IN_PARTS = 96  # units from which on the complexes of bounded domains are built in parts
FAR = 2**4000  # lines of float64 networks of one layer meet nowhere beyond


def slopes_of(layers, slope=0.0):
    return [np.full(len(bias), slope) for _, bias, *_ in layers[:-1]]


def arguments(layers, slopes, domain, dtype=np.float64):
    arrays = [np.asarray(array, dtype)[None] for layer in layers for array in layer]
    start = projective_domain(domain)
    return arrays, np.concatenate([np.zeros(0), *slopes]), start.vertices, start.cycles


def count(layers, slopes, domain, threads=1, dtype=np.float64):
    arrays, *rest = arguments(layers, slopes, domain, dtype)
    counts, ties = library.count(arrays, *rest, threads=threads)
    return int(counts[0]), bool(ties[0])


def complex_of(layers, slopes, domain, threads=1):
    (cells,) = planes.cells(*arguments(layers, slopes, domain), threads=threads)
    return cells


def corners_of(domain):
    if domain == "plane":
        return [[-FAR, -FAR], [FAR, -FAR], [FAR, FAR], [-FAR, FAR]]
    return polygon_vertices(domain).tolist()


def has_tie(layers, slopes, cells, corners):
    """Whether more units and sides than needed run through some vertex."""
    corners = [tuple(map(Fraction, point)) for point in corners]
    sides = list(zip(corners, corners[1:] + corners[:1], strict=True))
    kinked = [slope != 1 for own in slopes for slope in own]
    is_zero = [not any(column) for k, b, *_ in layers[:-1] for column in np.concatenate([k, [b]]).T.tolist()]
    for point in {vertex for cell in cells for vertex in cell.vertices}:
        _, pre = forward(layers, slopes, point)
        through = sum(z == 0 and k and not dead for z, k, dead in zip(pre, kinked, is_zero, strict=True))
        x, y = point
        on = {((q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])) == 0 and point not in (p, q) for p, q in sides}
        if through > (0 if point in corners else 1 if True in on else 2):
            return True
    return False


def forward(layers, slopes, point):
    h, pre = list(point), []
    for index, (kernel, bias, *_) in enumerate(layers):
        columns = np.asarray(kernel).T.tolist()
        z = [
            Fraction(b) + sum((Fraction(w) * v for w, v in zip(column, h, strict=True)), Fraction(0))
            for column, b in zip(columns, np.asarray(bias).tolist(), strict=True)
        ]
        if index == len(layers) - 1:
            return z, pre
        pre += z
        h = [v if v > 0 else Fraction(s) * v for v, s in zip(z, np.asarray(slopes[index]).tolist(), strict=True)]
    raise ValueError("no layers")


def centroid(vertices):
    """Centre of mass of a convex polygon, from its triangles."""
    (x0, y0), *rest = vertices
    total, sx, sy = Fraction(0), Fraction(0), Fraction(0)
    for (x1, y1), (x2, y2) in pairwise(rest):
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        total, sx, sy = total + area, sx + area * (x0 + x1 + x2) / 3, sy + area * (y0 + y1 + y2) / 3
    return sx / total, sy / total


def near(got, want, scale, tolerance=Fraction(1, 10**9)):
    """Whether a float is a rational up to rounding, of a scale that may lie beyond float64."""
    if math.isinf(got):
        return abs(want) > Fraction(2) ** 1000
    return abs(Fraction(got) - want) <= tolerance * abs(scale) + Fraction(5, 10**324)


def check(layers, slopes, domain, *, ties=True):
    """Everything that the engine says of a network on a bounded domain. Returns the number of regions."""
    corners = corners_of(domain)
    right = reference.exact_regions(layers, corners, slopes)
    found = count(layers, slopes, domain)
    assert found[0] == len(right)
    if ties:
        assert found[1] == has_tie(layers, slopes, right, corners)
    cells = complex_of(layers, slopes, domain)
    assert cells.degenerate == found[1]
    num_faces = len(cells.face_offsets) - 1
    assert len(cells.vertices) - len(cells.edges) + num_faces == 1
    is_inner = cells.edge_layer >= 0
    assert ((cells.edge_faces >= 0).sum(axis=1) == 1 + is_inner).all()
    by_pattern = {cell.pattern: cell for cell in right}
    assert len(by_pattern) == num_faces
    assert {tuple(row) for row in cells.patterns.tolist()} == set(by_pattern)
    size = max(abs(Fraction(value)) for corner in corners for value in corner)
    for face in range(num_faces):
        cell = by_pattern[tuple(cells.patterns[face].tolist())]
        assert cells.area[face] > 0 or cell.area < Fraction(1, 10**320)
        assert near(cells.area[face], cell.area, cell.area, Fraction(1, 10**8))
        for got, want in zip(cells.centroid[face].tolist(), centroid(cell.vertices), strict=True):
            assert near(got, want, size) or cell.area < Fraction(1, 10**300), (got, float(want))
        for output, gradient in enumerate(cell.gradient):
            scale = max(map(abs, gradient))
            for got, want in zip(cells.gradient[face, output].tolist(), gradient, strict=True):
                assert near(got, want, scale)
            intercept = cell.intercept[output]
            assert near(cells.intercept[face, output], intercept, max(scale * size, abs(intercept)))
        places = cells.vertices[cells.face_vertices[cells.face_offsets[face] : cells.face_offsets[face + 1]]]
        assert len(places) == len(cell.vertices)
        for x, y in places.tolist():
            assert any(near(x, p, size) and near(y, q, size) for p, q in cell.vertices)
    return len(right)


@pytest.mark.parametrize("change", FAMILIES, ids=lambda change: change.__name__ if change else "random")
@pytest.mark.parametrize("seed", range(4))
def test_families(change, seed):
    layers = of_family(change, 1, seed)
    check(layers, slopes_of(layers), SQUARE)
    check(layers, mixed(seeded(seed), layers), SQUARE)


@pytest.mark.slow
@pytest.mark.parametrize("change", FAMILIES, ids=lambda change: change.__name__ if change else "random")
def test_complexes_that_are_built_in_parts(change):
    """With so many units that threads share it, though most are dead: right, and the same bits from any number."""
    layers = of_family(change, 2, 0)
    (kernel, bias, *_), (above, *rest) = layers[:2]
    dead = IN_PARTS - len(bias)
    layers[0] = np.hstack([kernel, np.zeros((2, dead))]), np.concatenate([bias, -np.ones(dead)])
    layers[1] = np.vstack([above, np.zeros((dead, above.shape[1]))]), *rest
    for slopes in (slopes_of(layers), mixed(seeded(2), layers)):
        check(layers, slopes, SQUARE)
        alone, *others = (complex_of(layers, slopes, SQUARE, threads) for threads in (1, 2, 5))
        for other in others:
            assert all(np.array_equal(*pair, equal_nan=True) for pair in zip(alone[:12], other[:12], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("width", "depth", "size"), [(12, 10, 0.02), (6, 16, 0.1)])
def test_deep_networks(width, depth, size):
    """Bounds of errors grow with every layer, until functions are computed in twice the precision."""
    layers = network(seeded(11, depth), *[width] * depth, out=2, bias=0.2, gain=6**0.5)
    check(layers, slopes_of(layers), box(-size, size))


# ---------------------------------------------------------------------------------------------------------
# Scales and domains
# ---------------------------------------------------------------------------------------------------------


def test_units_that_are_zero_on_a_cell_are_not_active_nor_are_their_opposites():
    layers = [
        (np.array([[1.0, 1], [0.5, -1]]), np.array([-0.25, 0])),
        (np.array([[1.0, -1, 1], [0, 0, 1]]), np.zeros(3)),  # the first two are zero where the first unit is off
        (np.ones((3, 1)), np.zeros(1)),
    ]
    for slope in (0.0, 0.5, -1.0):
        check(layers, [np.zeros(2), np.full(3, slope)], SQUARE)


@pytest.mark.slow
@pytest.mark.parametrize("exponent", [-300, -170, -100, -36, 36, 100, 300])
def test_layers_at_the_ends_of_float64(exponent):
    for seed, widths in enumerate([(6, 5), (4, 4, 4), (3,) * 6]):
        layers = network(seeded(2, seed), *widths, gain=2.0)
        factor = 10.0**exponent
        sizes = [0.0] * len(layers)
        for index in range(len(layers)):  # biases at the scale of the values that they are added to, as far as it goes
            size = Fraction(10) ** (exponent * (index + 1))
            sizes[index] = float(size) if abs(size) < Fraction(10) ** 307 else 0.0
        scaled = [(k * factor, b * size) for (k, b), size in zip(layers, sizes, strict=True)]
        check(scaled, slopes_of(scaled), SQUARE)
        check(scaled, slopes_of(scaled, -1.0), SQUARE)


@pytest.mark.parametrize("slope", [-1e145, 1e145, -1e200, 1e-300, -1e308])
def test_slopes_beyond_what_float64_can_multiply(slope):
    layers = [
        (np.array([[1.0], [0.3]]), np.array([0.1])),
        (np.array([[1.0, 0.0]]), np.array([0.0, 1.0])),
        (np.array([[-1e-140, 1.0], [0.0, 1.0]]), np.array([1e5, 1.0])),
        (np.ones((2, 1)), np.zeros(1)),
    ]
    check(layers, [np.array([slope]), np.zeros(2), np.zeros(2)], SQUARE)
    layers = network(seeded(3), 4, 4, 4, gain=2.0)
    check(layers, slopes_of(layers, slope), SQUARE)


BOXES = {
    "far from the origin": (1e6 - 1e-3, 1e6 + 1e-3),
    "very far": (1 - 1e-12, 1.0),
    "tiny": (-1e-150, 1e-150),
    "subnormal": (1e-320, 3e-320),
    "huge": (-1e150, 1e150),
    "all of float64": (-1.7e308, 1.7e308),
    "at its end": (1e300, 1.7e308),
}


@pytest.mark.parametrize("name", BOXES)
def test_boxes(name):
    low, high = BOXES[name]
    for seed, widths in enumerate([(8,), (5, 5), (4, 4, 4)]):
        layers = network(seeded(4, seed), *widths, gain=2.0)
        kernel, bias = layers[0]
        if not -1e-100 < high < 1e-100 and high < 1e100:
            layers[0] = kernel, bias * (high - low) - kernel.sum(axis=0) * (low / 2 + high / 2)
        elif high > 1e100:  # lines all over the box, without overflow
            layers[0] = kernel / high, bias - (kernel / high * (low / 2 + high / 2)).sum(axis=0)
        else:
            layers[0] = kernel, bias * high
        check(layers, slopes_of(layers), box(low, high))


def on_a_circle(num):
    angles = 2 * np.pi * np.arange(num) / num
    return polygon(np.stack([np.cos(angles), np.sin(angles)], axis=1))


POLYGONS = {
    "thin": polygon([[0, 0], [1, 1e-13], [1, 2e-13], [-1, 0]]),
    "next to nothing": polygon([[0, 0], [1, 0], [1, 5e-324]]),
    "straight angles": polygon([[-1, -1], [-0.5, -1], [0, -1], [0.25, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1]]),
    "circle": on_a_circle(60),
    "neighbours": polygon([[0, 0], [1, 0], [1 + 1e-15, 1e-15], [1 + 1e-15, 1]]),
}


@pytest.mark.parametrize("name", POLYGONS)
def test_polygons(name):
    for seed, widths in enumerate([(7,), (4, 4), (3, 3, 3)]):
        layers = network(seeded(5, seed), *widths, gain=2.0, bias=0.3)
        check(layers, slopes_of(layers), POLYGONS[name])
        layers = lattice(seeded(6, seed), layers)
        check(layers, slopes_of(layers), POLYGONS[name])


def test_polygon_of_many_vertices():
    layers = network(seeded(7), 5, 4, gain=2.0, bias=0.5)
    check(layers, slopes_of(layers), on_a_circle(1000), ties=False)


@pytest.mark.parametrize("change", FAMILIES, ids=lambda change: change.__name__ if change else "random")
def test_whole_plane(change):
    """As many regions as in a square around all points where lines meet."""
    for seed in range(3):
        layers = of_family(change, 8, seed)
        for slopes in (slopes_of(layers), slopes_of(layers, -1.0)):
            right = reference.exact_regions(layers, corners_of("plane"), slopes)
            assert count(layers, slopes, whole_plane())[0] == len(right)
            cells = complex_of(layers, slopes, whole_plane())
            assert {tuple(row) for row in cells.patterns.tolist()} == {cell.pattern for cell in right}


def test_lines_along_the_artificial_rays_and_through_their_centre():
    center, *directions = projective_domain(whole_plane()).vertices
    x, y = center[:2]
    normals = [np.array([-d[1], d[0]]) for d in directions]
    normals += [np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([1.0, 1.0])]
    for seed in range(12):
        rng = seeded(9, seed)
        chosen = [normals[i] for i in rng.permutation(len(normals))[: 1 + seed % 5]]
        kernel = np.stack(chosen, axis=1)
        # the centre is a dyadic number: the products are exact for the rays, whose digits are few
        bias = -np.array([float(Fraction(n[0]) * Fraction(x) + Fraction(n[1]) * Fraction(y)) for n in chosen])
        bias = bias + rng.choice([0, 0, 0.5], len(bias))
        upper = rng.uniform(-1, 1, (len(bias), 3)), rng.choice([0, 0.25], 3)
        layers = [(kernel, bias), upper, (np.ones((3, 1)), np.zeros(1))]
        right = reference.exact_regions(layers, corners_of("plane"))
        assert count(layers, slopes_of(layers), whole_plane())[0] == len(right), seed


# ---------------------------------------------------------------------------------------------------------
# Small and deep networks
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [(), (0,), (0, 3), (3, 0), (1,), (1, 1, 1), (3, 1, 3), (1, 5)])
def test_widths_of_nothing_and_one(widths):
    layers = network(seeded(10, *widths), *widths)
    check(layers, slopes_of(layers), SQUARE)
    constant = [(0 * k, b) for k, b, *_ in layers]
    assert count(constant, slopes_of(constant), SQUARE)[0] == 1


def test_hundred_layers():
    layers = network(seeded(11), *[2] * 100, gain=1.7)
    assert check(layers, slopes_of(layers, -0.5), SQUARE, ties=False) > 5


@pytest.mark.parametrize(("widths", "gain"), [((8,) * 12, 2.4), ((20,) * 8, 1.0), ((20,) * 5, 2.4)])
def test_deep_networks_have_as_many_cells_as_counted(widths, gain):
    for seed, size in enumerate([0.2, 1, 5]):
        layers = network(seeded(12, seed), *widths, gain=gain, bias=0.2)
        domain = box(-size, size)
        number, ties = count(layers, slopes_of(layers), domain)
        cells = complex_of(layers, slopes_of(layers), domain)
        assert number == len(cells.area)
        assert not ties
        assert len(cells.vertices) - len(cells.edges) + number == 1
        assert math.isclose(math.fsum(cells.area), 4 * size**2, rel_tol=1e-12)
        assert (cells.area > 0).all()
        assert len(np.unique(cells.patterns, axis=0)) == number
        for face in seeded(seed).integers(0, number, 5).tolist():
            point = [Fraction(value) for value in cells.centroid[face].tolist()]
            (output,), pre = forward(layers, slopes_of(layers), point)
            assert [z > 0 for z in pre] == cells.patterns[face].tolist()
            a, b, c = map(Fraction, [*cells.gradient[face, 0].tolist(), float(cells.intercept[face, 0])])
            assert near(float(a * point[0] + b * point[1] + c), output, abs(output) + abs(c))


@pytest.mark.slow
@pytest.mark.parametrize("step", [2**-3, 2**-40])
@pytest.mark.parametrize("widths", [(7,) * 6, (5, 9, 4, 9, 5)])
def test_deep_networks_whose_cells_few_units_change_on(widths, step):
    """Counts go on with these units alone, some of them linear; lines of short weights meet in points."""
    ties = []
    for seed in range(3):
        rng = seeded(16, seed, len(widths))
        layers = [(np.round(k / step) * step, np.round(b / step) * step) for k, b in network(rng, *widths, gain=2.2)]
        slopes = [np.where(rng.random(width) < 0.2, 1.0, 0.0) for width in widths]
        number = check(layers, slopes, box(-0.7, 0.7))
        ties.append(count(layers, slopes, box(-0.7, 0.7))[1])
        assert all(count(layers, slopes, box(-0.7, 0.7), threads) == (number, ties[-1]) for threads in (2, 5))
    assert any(ties) == (step == 2**-3), ties


@pytest.mark.slow
@pytest.mark.parametrize(("widths", "seeds"), [((3,) * 20, (251, 298, 513)), ((4,) * 16, (58, 99, 117))])
def test_deep_networks_with_nearly_equal_units(widths, seeds):
    """Where lines meet that are next to parallel is hardly known, and bounds of what follows from it have all sizes.

    In the networks of these seeds they grow beyond float64 over the layers.
    """
    for seed in (*seeds, *range(100)):
        rng = seeded(17, seed, len(widths))
        layers = near_pairs(rng, network(rng, *widths, gain=3.2, bias=0.2))
        slopes = slopes_of(layers)
        found, *others = (count(layers, slopes, SQUARE, threads) for threads in (1, 2))
        assert others == [found]
        assert found[0] == len(complex_of(layers, slopes, SQUARE).area), seed
        if seed in seeds:
            check(layers, slopes, SQUARE)  # against rationals


def test_bottleneck_of_linear_units_with_ties():
    """Three lines that meet in one point only if nothing is rounded on the way through the linear layer."""
    rng = seeded(13)
    for _ in range(10):
        kernel = rng.uniform(-1, 1, (2, 2))
        x, y = rng.integers(-8, 9, 2) / 16
        bottleneck = (kernel, -(kernel[0] * x + kernel[1] * y) + 0 * kernel[0])
        layers = [bottleneck, (rng.uniform(-1, 1, (2, 6)), np.zeros(6)), (np.ones((6, 1)), np.zeros(1))]
        check(layers, [np.ones(2), np.zeros(6)], SQUARE)
        layers[0] = kernel, bottleneck[1] + 1e-17
        check(layers, [np.ones(2), np.zeros(6)], SQUARE)


def test_minima_and_maxima():
    """min(a, b) = a - relu(a - b), in turn with the maximum: nothing but ties."""
    rng = seeded(14)
    for _ in range(6):
        n = 4
        first = rng.integers(-3, 4, (2, n)).astype(float), rng.integers(-2, 3, n) / 2
        split = np.zeros((n, n))  # a - b and b, for pairs
        for pair in range(n // 2):
            split[2 * pair, 2 * pair], split[2 * pair + 1, 2 * pair] = 1, -1
            split[2 * pair + 1, 2 * pair + 1] = 1
        join = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]) @ np.array([[1.0, 0], [-1, 1]])
        layers = [first, (split, np.zeros(n)), (join, np.zeros(2)), (np.ones((2, 1)), np.zeros(1))]
        check(layers, [np.ones(n), np.array([0.0, 1, 0, 1]), np.array([0.0, 1])], SQUARE)


# ---------------------------------------------------------------------------------------------------------
# Threads, dtypes, closed forms
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num", [100, 300, 600])
def test_lines_in_general_position_in_the_plane(num):
    layers = network(seeded(15), num)
    right = 1 + num + math.comb(num, 2)
    assert [count(layers, slopes_of(layers), whole_plane(), threads)[0] for threads in (1, 2, 5)] == [right] * 3


@pytest.mark.parametrize(
    ("widths", "change"),
    [((300,), None), ((64, 64), None), ((64, 64), no_biases), ((24,) * 5, None), ((24,) * 5, lattice)],
)
@pytest.mark.parametrize("domain", [SQUARE, whole_plane(), on_a_circle(7)], ids=["box", "plane", "polygon"])
def test_threads_share_one_network(widths, domain, change):
    layers = network(seeded(16), *widths, gain=1.5)
    if change is not None:
        layers = change(seeded(17), layers)
    alone = count(layers, slopes_of(layers), domain, 1)
    assert count(layers, slopes_of(layers), domain, 2) == alone
    assert count(layers, slopes_of(layers), domain, 5) == alone


def test_populations_and_threads():
    members = [of_family(FAMILIES[seed % len(FAMILIES)], 18, 4 * seed + 1) for seed in range(60)]
    members = [[(k, b) for k, b, *_ in layers[:-1]] + [(np.ones((5, 1)), np.zeros(1))] for layers in members]
    arrays = [np.stack([layers[i][part] for layers in members]) for i in range(3) for part in (0, 1)]
    start = projective_domain(SQUARE)
    alone = [count(layers, slopes_of(layers), SQUARE) for layers in members]
    for threads in (1, 2, 5):
        counts, ties = library.count(arrays, np.zeros(11), start.vertices, start.cycles, threads=threads)
        assert list(zip(counts.tolist(), ties.tolist(), strict=True)) == alone
        cells = planes.cells(arrays, np.zeros(11), start.vertices, start.cycles, threads=threads)
        assert [(len(each.area), each.degenerate) for each in cells] == alone


def test_float32_weights_are_what_they_are():
    for seed in range(10):
        layers = [tuple(array.astype(np.float32) for array in layer) for layer in network(seeded(19, seed), 6, 5)]
        found = count(layers, slopes_of(layers), SQUARE, dtype=np.float32)
        assert found[0] == reference.exact_region_count(layers, corners_of(SQUARE))
        assert found == count(layers, slopes_of(layers), SQUARE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_networks_that_are_not_finite(value):
    layers = network(seeded(20), 4, 4)
    layers[1][0][2, 3] = value
    assert count(layers, slopes_of(layers), SQUARE)[0] == -1
    assert complex_of(layers, slopes_of(layers), SQUARE) is None


def test_stopped_in_time():
    """A call whose flag is set ends, however many threads share its network."""
    layers = network(seeded(21), 3000)
    arrays, slopes, corners, cycles = arguments(layers, slopes_of(layers), SQUARE)
    given = Network(arrays, slopes, corners, cycles).arguments
    counts, ties = np.zeros(1, np.int64), np.zeros(1, np.uint8)
    outputs = [ctypes.c_void_p(array.ctypes.data) for array in (counts, ties)]
    stop = ctypes.c_int(1)
    assert library.loaded().jaxgeom_count(ctypes.c_int64(1), *given, 3, *outputs, ctypes.byref(stop)) == 2


@pytest.mark.parametrize("at_surface", [0, 1])
def test_stopped_in_space(at_surface):
    """Counts and complexes of boxes end as well: all regions of this network, or of its surface, would take hours."""
    layers = network(seeded(22), 200, 200, 200)
    layers[0] = seeded(23).uniform(-0.5, 0.5, (4, 200)), layers[0][1]
    given = Network([np.asarray(a, np.float64)[None] for layer in layers for a in layer], np.zeros(600)).arguments
    low, high, counts, ties = -np.ones(4), np.ones(4), np.zeros(1, np.int64), np.zeros(1, np.uint8)
    ends, outputs = ([pointer(array) for array in pair] for pair in ((low, high), (counts, ties)))
    stop = ctypes.c_int(1)
    assert library.loaded().jaxgeom_count_in_box(1, *given, *ends, 3, *outputs, ctypes.byref(stop)) == 2
    assert library.loaded().jaxgeom_spaces(1, *given, *ends, 2**62, at_surface, 3, ctypes.byref(stop)) is None
