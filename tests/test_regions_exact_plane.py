"""Exact cells of the whole plane: closed forms, and boxes around all that is finite."""

import math
from fractions import Fraction

import numpy as np
import pytest
import reference
from exact_networks import PLANE, SYMMETRIC_PLANE, lines, maps, relu, sloped, small_integers, turned, uniform, wedge

from jaxgeom.domains import WholePlane, box, projective_domain
from jaxgeom.regions.certificates import check_complex
from jaxgeom.regions.complex import ARTIFICIAL, without_artificial_edges
from jaxgeom.regions.exact_plane import complex_of_cells, exact_cells, exact_count


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
    assert len(patterns) == complex_.num_faces == exact_count(sloped(layers, slopes), start)[0]
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


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(6,), (6, 6), (4, 4, 4)])
@pytest.mark.parametrize("draw", [uniform, small_integers])
def test_the_plane_is_a_box_around_all_vertices(widths, draw):
    rng = np.random.default_rng(10)
    num_bounded = 0
    for index in range(6):
        layers = draw(rng, *widths)
        slopes = relu(layers) if index % 2 else [rng.choice([0.0, 0.25, -1, 1], width) for width in widths]
        plane, cells = in_the_plane(layers, slopes=slopes)
        around = projective_domain(finite_box(cells))
        bounded = complex_of_cells(exact_cells(sloped(layers, slopes), around))
        assert plane.num_faces == bounded.num_faces == exact_count(sloped(layers, slopes), around)[0]
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
        for start in (SYMMETRIC_PLANE, *map(projective_domain, centers)):
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
