"""Planar complexes put together from faces: by hand, against Fractions, and broken ones."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import reference

from jaxgeom.domains import ProjectiveDomain, WholePlane, box, polygon, polygon_vertices, projective_domain, whole_plane
from jaxgeom.networks.layers import Dense
from jaxgeom.regions.certificates import check_complex
from jaxgeom.regions.complex import ARTIFICIAL, OUTSIDE, complex_of_cycles, without_artificial_edges
from jaxgeom.regions.enumerate import enumerate_regions
from jaxgeom.regions.exact_plane import complex_of_cells, exact_cells

PLANE = projective_domain(whole_plane())
# rays with directions (1, 0), (-1, 1), (-1, -1) from the origin
RAYS = ProjectiveDomain(np.array([[0.0, 0, 1], [1, 0, 0], [-1, 1, 0], [-1, -1, 0]]), PLANE.cycles)


def complex_of(points, cycles, labels, patterns, degenerate=False):
    points = np.array([(*point, 1) if len(point) == 2 else point for point in points], np.float64)
    return complex_of_cycles(
        points,
        np.cumsum([0, *map(len, cycles)]),
        np.concatenate(cycles),
        np.concatenate(labels).reshape(-1, 2),
        np.array(patterns, bool),
        np.zeros((len(cycles), 1, 2)),
        np.zeros((len(cycles), 1)),
        degenerate=degenerate,
        complete=True,
    )


def network_complex(rng, *widths, start=None, degenerate=False):
    layers = tuple(
        Dense(rng.uniform(-1, 1, (a, b)), rng.uniform(-1, 1, b)) for a, b in itertools.pairwise((2, *widths, 1))
    )
    cells = exact_cells(layers, start or projective_domain(box()))
    return complex_of_cells(cells)._replace(degenerate=degenerate), cells


def lines_in_the_plane(*rows, start=PLANE):
    """The complex of lines a x + b y + c in the whole plane, with its artificial edges."""
    rows = np.float64(rows)
    layers = (Dense(rows[:, :2].T, rows[:, 2]), Dense(np.ones((len(rows), 1)), np.zeros(1)))
    return complex_of_cells(exact_cells(layers, start))


# The square [0, 2]², cut at x = 1 by unit 0, and left of it at y = 1 by unit 1 of the second layer. The point (1, 1) is
# a vertex of the right face, too.
POINTS = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)]
CYCLES = [(0, 1, 4, 3), (3, 4, 6, 5), (1, 2, 7, 6, 4)]
LABELS = [
    [(-1, 0), (0, 0), (1, 1), (-1, 3)],
    [(1, 1), (0, 0), (-1, 2), (-1, 3)],
    [(-1, 0), (-1, 1), (-1, 2), (0, 0), (0, 0)],
]
# Two units in each layer; the last one is active above the edge that it made.
PATTERNS = [(False, False, False, False), (False, False, False, True), (True, False, False, False)]


def test_a_complex_by_hand():
    points = [(0, 0), (1, 0), (2, 0), (0, 2), (1, 2), (2, 2)]
    found = complex_of(
        points,
        [(0, 1, 4, 3), (1, 2, 5, 4)],
        [[(-1, 0), (0, 0), (-1, 2), (-1, 3)], [(-1, 0), (-1, 1), (-1, 2), (0, 0)]],
        [[True], [False]],
    )
    check_complex(found)
    assert found.num_faces == 2
    np.testing.assert_array_equal(found.vertices, points)
    edges = {
        tuple(edge): (tuple(faces), layer, unit)
        for edge, faces, layer, unit in zip(
            found.edges.tolist(),
            found.edge_faces.tolist(),
            found.edge_layer.tolist(),
            found.edge_unit.tolist(),
            strict=True,
        )
    }
    assert edges == {
        (0, 1): ((0, OUTSIDE), -1, 0),
        (1, 4): ((0, 1), 0, 0),
        (4, 3): ((0, OUTSIDE), -1, 2),
        (3, 0): ((0, OUTSIDE), -1, 3),
        (1, 2): ((1, OUTSIDE), -1, 0),
        (2, 5): ((1, OUTSIDE), -1, 1),
        (5, 4): ((1, OUTSIDE), -1, 2),
    }
    assert found.area.tolist() == [2, 2]
    np.testing.assert_allclose(found.centroid, [[0.5, 1], [1.5, 1]], rtol=1e-15)
    assert [found.edges[edge].tolist() for edge in found.face_edges[:4]] == [[0, 1], [1, 4], [4, 3], [3, 0]]


def test_faces_that_do_not_fit_are_refused():
    with pytest.raises(RuntimeError, match="an edge has more than two faces"):
        complex_of(POINTS, [*CYCLES, CYCLES[0]], [*LABELS, LABELS[0]], [*PATTERNS, PATTERNS[0]])
    with pytest.raises(RuntimeError, match="two faces run along an edge in the same direction"):
        complex_of(POINTS, [CYCLES[0], CYCLES[1][::-1]], LABELS[:2], PATTERNS[:2])
    other = [(1, 0), *LABELS[1][1:]]
    with pytest.raises(RuntimeError, match="an edge has a label on each side"):
        complex_of(POINTS, CYCLES, [LABELS[0], other, LABELS[2]], PATTERNS)


@pytest.mark.parametrize("widths", [(10,), (8, 8)])
def test_areas_and_centroids_are_those_of_fractions(widths):
    rng = np.random.default_rng(0)
    _, cells = network_complex(rng, *widths)
    number = {vertex: index for index, vertex in enumerate({vertex for cell in cells for vertex in cell.vertices})}
    points = [(x / w, y / w) for x, y, w in number]
    cycles = [[number[vertex] for vertex in cell.vertices] for cell in cells]
    found = complex_of(points, cycles, [cell.labels for cell in cells], [cell.pattern for cell in cells])
    check_complex(found)
    for face, cycle in enumerate(cycles):
        v = [tuple(map(Fraction, points[vertex])) for vertex in cycle]
        following = [*v[1:], v[0]]
        turns = [p[0] * q[1] - p[1] * q[0] for p, q in zip(v, following, strict=True)]
        area = sum(turns) / 2
        assert area == reference.polygon_area(v)
        centroid = [
            sum(turn * (p[axis] + q[axis]) for turn, p, q in zip(turns, v, following, strict=True)) / (6 * area)
            for axis in (0, 1)
        ]
        size = float(max(abs(a - b) for p in v for a, b in zip(p, v[0], strict=True)))
        # the rounding of differences of coordinates around 1, times the length of the face
        assert found.area[face] == pytest.approx(float(area), rel=1e-15, abs=1e-15 * size)
        np.testing.assert_allclose(found.centroid[face], np.float64(centroid), rtol=0, atol=1e-15 + 1e-13 * size)


def test_exact_areas_of_slivers():
    # lines within rounding of one point: vertices coincide in float64, areas do not vanish
    rng = np.random.default_rng(1)
    normals, point = rng.uniform(-1, 1, (6, 2)), rng.uniform(-1, 1, 2)
    layers = (Dense(normals.T.copy(), -(normals @ point)), Dense(np.ones((6, 1)), np.zeros(1)))
    cells = exact_cells(layers, projective_domain(box()))
    found = complex_of_cells(cells)
    check_complex(found)
    assert 0 < found.area.min() < 1e-30
    for cell, area, centroid in zip(cells, found.area, found.centroid, strict=True):
        v = [(Fraction(x, w), Fraction(y, w)) for x, y, w in cell.vertices]
        assert area == pytest.approx(float(reference.polygon_area(v)), rel=1e-14, abs=0)
        for axis in (0, 1):
            low, high = min(p[axis] for p in v), max(p[axis] for p in v)
            assert low - Fraction(1, 10**15) <= Fraction(centroid[axis]) <= high + Fraction(1, 10**15)


def test_what_leaves_areas_and_centroids_alone():
    found, _ = network_complex(np.random.default_rng(2), 6, 6)
    arguments = found.face_offsets, found.face_vertices
    labels = np.stack([found.edge_layer, found.edge_unit], axis=1)[found.face_edges]
    rest = (labels, found.patterns, found.gradient, found.intercept)
    grid = np.round(found.vertices * 2**20) / 2**20  # shifts are exact on it
    ones = np.ones(len(grid))

    def build(points, w=ones):
        return complex_of_cycles(
            np.column_stack([points * w[:, None], w]), *arguments, *rest, degenerate=False, complete=True
        )

    plain = build(grid)
    moved = build(grid + 2.0**30)
    np.testing.assert_array_equal(moved.area, plain.area)
    np.testing.assert_allclose(moved.centroid - 2.0**30, plain.centroid, atol=2.0**-22)
    scaled = build(2.0**40 * grid)
    np.testing.assert_array_equal(scaled.area, 2.0**80 * plain.area)
    np.testing.assert_array_equal(scaled.centroid, 2.0**40 * plain.centroid)
    homogeneous = build(grid, np.exp2(np.random.default_rng(3).integers(-30, 30, len(grid))))
    for one, other in zip(homogeneous, plain, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("scale", [1.0, 2.0**-70, 2.0**70, 0.0])
def test_unbounded_faces(scale):
    rows = np.random.default_rng(4).uniform(-1, 1, (8, 3)) * [1, 1, scale]
    start = projective_domain(WholePlane(scale * np.array([0.3, 0.2]))) if scale else RAYS
    parted = lines_in_the_plane(*rows, start=start)
    for complex_ in (parted, without_artificial_edges(parted)):
        ideal = complex_.is_ideal
        np.testing.assert_allclose(np.hypot(*complex_.vertices[ideal].T), 1, rtol=1e-15)
        faces = np.repeat(np.arange(complex_.num_faces), np.diff(complex_.face_offsets))
        unbounded = np.isin(np.arange(complex_.num_faces), faces[ideal[complex_.face_vertices]])
        np.testing.assert_array_equal(np.isinf(complex_.area), unbounded)
        np.testing.assert_array_equal(complex_.centroid @ rows[:, :2].T + rows[:, 2] > 0, complex_.patterns)


def test_directions_of_any_length():
    parted = lines_in_the_plane(*np.random.default_rng(5).uniform(-1, 1, (4, 3)))
    points = np.column_stack([parted.vertices, ~parted.is_ideal])
    points *= np.random.default_rng(6).uniform(0.1, 10, len(points))[:, None]
    labels = np.stack([parted.edge_layer, parted.edge_unit], axis=1)[parted.face_edges]
    again = complex_of_cycles(
        points,
        parted.face_offsets,
        parted.face_vertices,
        labels,
        parted.patterns,
        parted.gradient,
        parted.intercept,
        degenerate=True,
        complete=True,
    )
    np.testing.assert_allclose(again.vertices, parted.vertices, rtol=1e-14)
    np.testing.assert_allclose(again.area, parted.area, rtol=1e-12)
    np.testing.assert_array_equal(again.edges, parted.edges)


def test_faces_without_area_keep_a_centroid():
    corners = [(1, 1), (1, 1), (1, 1), (1, 1)]
    found = complex_of(corners, [(0, 1, 2, 3)], [[(-1, 0), (-1, 1), (-1, 2), (-1, 3)]], [[True]])
    assert found.area.tolist() == [0]
    assert found.centroid.tolist() == [[1, 1]]
    for size in (1e-200, 1e200):  # the area is beyond the smallest or largest number
        affine = (Dense(np.ones((2, 1)), np.zeros(1)),)
        found = complex_of_cells(exact_cells(affine, projective_domain(box(size, 2 * size))))
        assert found.area.tolist() == [0 if size < 1 else np.inf]
        np.testing.assert_allclose(found.centroid, [[1.5 * size, 1.5 * size]], rtol=1e-15, atol=0)
        points = np.column_stack([found.vertices, np.ones(4)])
        again = complex_of(points.tolist(), [(0, 1, 2, 3)], [[(-1, 0), (-1, 1), (-1, 2), (-1, 3)]], [[True]])
        np.testing.assert_allclose(again.centroid, found.centroid, rtol=1e-15, atol=0)
    parted = lines_in_the_plane([1, 2, 3], [2, 1, 1])
    joined = without_artificial_edges(parted._replace(area=np.zeros(parted.num_faces)))
    assert np.isfinite(joined.centroid).all()


# Artificial edges


def counts(complex_):
    """Finite vertices, vertices at infinity, edges inside, edges at infinity, faces, bounded faces."""
    assert not (complex_.edge_layer == ARTIFICIAL).any()
    inside = complex_.edge_layer >= 0
    return (
        int((~complex_.is_ideal).sum()),
        int(complex_.is_ideal.sum()),
        int(inside.sum()),
        int((~inside).sum()),
        complex_.num_faces,
        int(np.isfinite(complex_.area).sum()),
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0, 0, 1]], (0, 3, 0, 3, 1, 0)),
        ([[1, 2, 3]], (1, 5, 2, 5, 2, 0)),
        ([[1, 2, 3], [1, 2, 4]], (2, 5, 4, 5, 3, 0)),
        ([[1, 2, 3], [2, 1, 4]], (1, 7, 4, 7, 4, 0)),
        ([[1, 2, 0], [2, 1, 0], [3, 4, 0]], (1, 9, 6, 9, 6, 0)),
        ([[1, 2, 3], [1, 2, 4], [1, 2, 5], [3, 1, 0]], (3, 7, 10, 7, 8, 0)),
        ([[10, 1, -1], [-5, 9, -1], [-5, -8, -1]], (3, 9, 9, 9, 7, 1)),
    ],
    ids=["none", "one", "parallel", "crossing", "concurrent", "comb", "triangle"],
)
def test_lines_in_the_plane(rows, expected):
    for start in (PLANE, RAYS):
        parted = lines_in_the_plane(*rows, start=start)
        check_complex(parted)
        complex_ = without_artificial_edges(parted)
        check_complex(complex_)
        assert counts(complex_) == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0, 1, 0]], (1, 4, 2, 4, 2, 0)),  # along a ray, through the centre
        ([[1, 1, 0]], (1, 4, 2, 4, 2, 0)),
        ([[1, 0, 0]], (1, 5, 2, 5, 2, 0)),  # through the centre
        ([[0, 1, 0], [1, 1, 0], [1, -1, 0]], (1, 6, 6, 6, 6, 0)),  # along all rays
        ([[0, 1, 0], [0, 2, 0], [0, -1, 0]], (1, 4, 2, 4, 2, 0)),
        ([[0, 1, 0], [0, 1, 1]], (2, 4, 4, 4, 3, 0)),
    ],
)
def test_lines_along_rays(rows, expected):
    parted = lines_in_the_plane(*rows, start=RAYS)
    check_complex(parted)
    complex_ = without_artificial_edges(parted)
    check_complex(complex_)
    assert counts(complex_) == expected
    if len(rows) == 1:
        np.testing.assert_array_equal(complex_.vertices[~complex_.is_ideal], [[0, 0]])


def test_faces_that_become_one_add_up():
    # a triangle around the centre consists of three parts
    rows = [[10, 1, -1], [-5, 9, -1], [-5, -8, -1]]
    complex_ = without_artificial_edges(lines_in_the_plane(*rows, start=RAYS))
    face = int(np.argmin(complex_.area))
    corners = [
        np.linalg.solve(np.array(pair)[:, :2], -np.array(pair)[:, 2]) for pair in itertools.combinations(rows, 2)
    ]
    assert complex_.area[face] == pytest.approx(float(reference.polygon_area(corners)), rel=1e-14)
    np.testing.assert_allclose(complex_.centroid[face], np.mean(corners, axis=0), rtol=1e-14)
    cycle = complex_.face_vertices[complex_.face_offsets[face] : complex_.face_offsets[face + 1]]
    np.testing.assert_allclose(
        sorted(complex_.vertices[cycle].tolist()), sorted(np.array(corners).tolist()), rtol=1e-14
    )


def test_without_artificial_edges_nothing_changes():
    found, _ = network_complex(np.random.default_rng(5), 5, 5)
    assert without_artificial_edges(found) is found
    plane = without_artificial_edges(lines_in_the_plane([1, 2, 3], [2, 1, 1]))
    assert without_artificial_edges(plane) is plane


def test_artificial_edges_between_regions_are_refused():
    parted = lines_in_the_plane([1, 2, 3], [2, 1, 1])
    patterns = parted.patterns.copy()
    patterns[parted.edge_faces[parted.edge_layer == ARTIFICIAL][0, 0]] ^= True
    with pytest.raises(RuntimeError, match="an artificial edge is a real one"):
        without_artificial_edges(parted._replace(patterns=patterns))
    faces = parted.edge_faces.copy()
    faces[parted.edge_layer == ARTIFICIAL, 1] = OUTSIDE
    with pytest.raises(RuntimeError, match="an artificial edge has one face"):
        without_artificial_edges(parted._replace(edge_faces=faces))


def squares(n):
    """n × n squares, row by row; their columns and rows."""
    corner = np.arange(n * (n + 1)).reshape(n, n + 1)[:, :-1].ravel()  # row by row
    cycles = np.stack([corner, corner + 1, corner + n + 2, corner + n + 1], axis=1)
    row, column = np.divmod(np.arange(n * n), n)
    points = [(x, y) for y in range(n + 1) for x in range(n + 1)]

    def side(position, outer, first):
        inner = (position > 0) & (position < n)
        return np.stack([np.where(inner, 0, OUTSIDE), np.where(inner, first + position - 1, outer)], axis=1)

    labels = np.stack([side(row, 0, 0), side(column + 1, 1, n), side(row + 1, 2, 0), side(column, 3, n)], axis=1)
    units = np.arange(n - 1)
    patterns = np.concatenate([row[:, None] > units, np.zeros((n * n, 1), bool), column[:, None] > units], axis=1)
    return complex_of(points, cycles, labels, patterns), column, row


def test_a_large_grid():
    n = 150
    found, column, row = squares(n)
    check_complex(found)
    assert (len(found.vertices), len(found.edges), found.num_faces) == ((n + 1) ** 2, 2 * n * (n + 1), n * n)
    assert (found.area == 1).all()
    np.testing.assert_allclose(found.centroid, np.stack([column, row], axis=1) + 0.5, rtol=1e-15)
    # without the line of unit 70
    patterns, layer = found.patterns.copy(), found.edge_layer.copy()
    layer[(layer == 0) & (found.edge_unit == 70)] = ARTIFICIAL
    patterns[:, 70] = False
    joined = without_artificial_edges(found._replace(edge_layer=layer, patterns=patterns))
    check_complex(joined)
    assert (len(joined.vertices), len(joined.edges)) == ((n + 1) * n, 2 * n * (n + 1) - n - (n + 1))
    assert sorted(set(joined.area.tolist())) == [1, 2]
    assert joined.num_faces == n * n - n
    np.testing.assert_allclose(joined.centroid[joined.area == 2][:, 1], 71, rtol=1e-15)


def test_holes_are_refused():
    # eight squares around one become one face, which is no cycle
    found, _, _ = squares(3)
    in_ring = found.edge_faces.min(axis=1) >= 0
    in_ring &= (found.edge_faces != 4).all(axis=1)
    found = found._replace(
        edge_layer=np.where(in_ring, ARTIFICIAL, found.edge_layer), patterns=np.zeros_like(found.patterns)
    )
    with pytest.raises(RuntimeError, match="a face has a hole"):
        without_artificial_edges(found)


# Certificates


def test_a_vertex_in_the_middle_of_a_side():
    found = complex_of(POINTS, CYCLES, LABELS, PATTERNS, degenerate=True)
    check_complex(found)
    assert found.area.tolist() == [1, 1, 2]
    np.testing.assert_allclose(found.centroid, [[0.5, 0.5], [0.5, 1.5], [1.5, 1]], rtol=1e-15)
    assert (len(found.vertices), len(found.edges)) == (8, 10)
    # to the right of x = 1, the unit above is inactive again: a second one that changes there
    with pytest.raises(RuntimeError, match="do not differ in exactly one unit"):
        check_complex(found._replace(degenerate=False))


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def first_edge(complex_, *, inner):
    return int(np.flatnonzero((complex_.edge_layer >= 0) == inner)[0])


BROKEN = {
    r"vertices - edges \+ faces is 2": lambda c: c._replace(vertices=np.append(c.vertices, [[0, 0]], axis=0)),
    "do not join its vertices": lambda c: c._replace(face_edges=changed(c.face_edges, [0, 1], c.face_edges[[1, 0]])),
    "does not know its faces": lambda c: c._replace(
        edge_faces=changed(c.edge_faces, first_edge(c, inner=True), c.edge_faces[first_edge(c, inner=True), ::-1])
    ),
    "does not have one or two faces": lambda c: c._replace(
        vertices=np.append(c.vertices, [[0, 0]], axis=0),
        edges=np.append(c.edges, [[0, len(c.vertices)]], axis=0),
        edge_faces=np.append(c.edge_faces, [[0, 1]], axis=0),
        edge_layer=np.append(c.edge_layer, 0),
        edge_unit=np.append(c.edge_unit, 0),
    ),
    "has a face that does not have it": lambda c: c._replace(
        edge_faces=changed(c.edge_faces, (first_edge(c, inner=False), 1), 0)
    ),
    "with one face is not on the boundary": lambda c: c._replace(
        edge_layer=changed(c.edge_layer, first_edge(c, inner=False), 0)
    ),
    "an edge with one face": lambda c: c._replace(edge_layer=changed(c.edge_layer, first_edge(c, inner=True), OUTSIDE)),
    "the smallest area is 0.0": lambda c: c._replace(area=changed(c.area, 1, 0.0)),
    "the smallest area is nan": lambda c: c._replace(area=changed(c.area, 1, np.nan)),
    r"areas add up to 4\.\d+, but the domain has 4\.0": lambda c: c._replace(area=changed(c.area, 1, c.area[1] + 1e-9)),
    "a face with a vertex at infinity has an area": lambda c: c._replace(is_ideal=changed(c.is_ideal, 3, True)),
    "do not differ in exactly one unit": lambda c: c._replace(
        patterns=changed(c.patterns, (0, 0), not c.patterns[0, 0])
    ),
    "patterns differ across an artificial edge": lambda c: c._replace(
        edge_layer=changed(c.edge_layer, first_edge(c, inner=True), ARTIFICIAL)
    ),
    "an edge of layer 0 does not part": lambda c: c._replace(
        edge_unit=changed(c.edge_unit, np.flatnonzero(c.edge_layer == 0)[0], 7)
    ),
    "an edge of layer 1 does not part": lambda c: c._replace(
        edge_unit=changed(c.edge_unit, np.flatnonzero(c.edge_layer == 1)[0], 1000)
    ),
}


@pytest.mark.parametrize("size", [1e-160, 1e-162, 1e-300])
def test_certificates_hold_where_areas_underflow(size):
    rng = np.random.default_rng(7)
    layers = Dense(rng.normal(size=(2, 6)) / size, rng.normal(size=6)), Dense(np.ones((6, 1)), np.zeros(1))
    found = enumerate_regions(layers, box(-size, size))
    assert found.num_faces > 7
    check_complex(found)


@pytest.mark.parametrize("message", BROKEN)
def test_certificates_fail(message):
    found, _ = network_complex(np.random.default_rng(6), 8, 8)
    check_complex(found)
    with pytest.raises(RuntimeError, match=f"the complex is inconsistent: .*{message}"):
        check_complex(BROKEN[message](found))


def test_patterns_of_degenerate_complexes():
    # two equal units: both change across their line, at which one of them stands
    rows = np.random.default_rng(7).uniform(-1, 1, (4, 3))
    layers = (Dense(rows[[0, 1, 0, 2], :2].T.copy(), rows[[0, 1, 0, 2], 2]), Dense(np.ones((4, 1)), np.zeros(1)))
    found = complex_of_cells(exact_cells(layers, projective_domain(box(-9.0, 9.0))))
    assert set(found.edge_unit[found.edge_layer == 0].tolist()) == {0, 1, 3}
    check_complex(found)
    with pytest.raises(RuntimeError, match="do not differ in exactly one unit"):
        check_complex(found._replace(degenerate=False))
    # but the one that made an edge has to change
    patterns = found.patterns.copy()
    patterns[:, 0] = False
    with pytest.raises(RuntimeError, match="an edge of layer 0 does not part the sides of its unit"):
        check_complex(found._replace(patterns=patterns))


@pytest.mark.parametrize(
    "domain",
    [
        box(),
        box(1e8, 1e8 + 1e-4),
        polygon([(1e8, 1e8), (1e8 + 1e-4, 1e8 + 3e-5), (1e8 + 2e-5, 1e8 + 1e-4)]),
        box(-1e6, 3e6),
        box((-1, 2), (5, 2.001)),
    ],
    ids=["unit", "far", "far triangle", "big", "thin"],
)
@pytest.mark.parametrize("widths", [(), (9,), (6, 6), (4, 4, 4, 4)])
def test_certificates_hold(domain, widths):
    rng = np.random.default_rng(8)
    vertices = polygon_vertices(domain)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    kernels = [rng.uniform(-1, 1, (a, b)) for a, b in itertools.pairwise((2, *widths, 1))]
    layers = [Dense(kernel, rng.uniform(-1, 1, kernel.shape[1])) for kernel in kernels]
    layers[0] = Dense(kernels[0] / (high - low)[:, None], layers[0].bias - (low + high) / 2 / (high - low) @ kernels[0])
    cells = exact_cells(tuple(layers), projective_domain(domain))
    found = complex_of_cells(cells)._replace(degenerate=False)
    check_complex(found)
    assert math.fsum(found.area) == pytest.approx(float(reference.polygon_area(vertices)), rel=1e-13)
