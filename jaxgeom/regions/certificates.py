"""Certificates of complexes: whether vertices, edges, faces and cells hang together, by what they say of each other."""

import numpy as np
from jaxtyping import Bool, Int

from jaxgeom._typing import PAIR, SPACE
from jaxgeom.networks.layers import slope_of
from jaxgeom.regions.complex import ARTIFICIAL, OUTSIDE, PlanarComplex, certify, faces_of_corners, next_corners
from jaxgeom.regions.space import SpatialComplex


def check_complex(complex_: PlanarComplex | SpatialComplex) -> None:
    """A check that a complex hangs together, whose ValueError says where it does not.

    In the plane, checked are Euler's V - E + F = 1; that the cycles are closed, and every edge has a face on each side
    of which it is not on the boundary; that all areas are positive (or zero, where float64 does not tell them from
    zero), infinite where faces have vertices at infinity, and add up to the domain's; and that the faces on both sides
    of an edge differ in exactly the unit that made it, or, in degenerate complexes where several units may share a
    line, at least in that one.

    In other dimensions, Euler's relation; that no vertex of a cell contradicts its pattern, and all lie on hyperplanes
    enough to be points; that facets part the two sides of the unit that made them, and those with one cell are on the
    sides of the box; in three dimensions that the facets of a cell pass each of its edges once in each direction; and
    that volumes add up to the box's.

    Returns nothing if all is well.

    Raises:
        RuntimeError: says which certificate failed.
        TypeError: for anything but a complex.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> jg.check_complex(complex_)
    """
    if isinstance(complex_, SpatialComplex):
        _check_space(complex_)
    elif isinstance(complex_, PlanarComplex):
        _check_plane(complex_)
    else:
        raise TypeError(
            "check_complex takes what enumerate_regions gives, a PlanarComplex or a SpatialComplex, but "
            f"{type(complex_).__name__} was given."
        )


def _check_plane(complex_: PlanarComplex) -> None:
    faces, edges = complex_.edge_faces, complex_.edges
    euler = len(complex_.vertices) - len(edges) + complex_.num_faces
    certify(euler == 1, f"vertices - edges + faces is {euler}, not 1")
    begin, end = complex_.face_vertices, complex_.face_vertices[next_corners(complex_.face_offsets)]
    first, second = edges[complex_.face_edges].T
    forward, backward = (begin == first) & (end == second), (begin == second) & (end == first)
    certify((forward | backward).all(), "the edges of a face do not join its vertices")
    seen = faces[complex_.face_edges, np.where(forward, 0, 1)]
    certify((seen == faces_of_corners(complex_.face_offsets)).all(), "an edge does not know its faces")
    num = np.bincount(complex_.face_edges, minlength=len(edges))
    certify(((num == 1) | (num == PAIR)).all(), "an edge does not have one or two faces")
    certify((num == (faces != OUTSIDE).sum(axis=1)).all(), "an edge has a face that does not have it")
    certify(((num == 1) == (complex_.edge_layer == OUTSIDE)).all(), "an edge with one face is not on the boundary")
    is_right = (complex_.area > 0) | ((complex_.area == 0) & _are_thin(complex_))
    certify(is_right.all(), f"the smallest area is {complex_.area.min()}")
    is_unbounded = np.logical_or.reduceat(complex_.is_ideal[complex_.face_vertices], complex_.face_offsets[:-1])
    certify(np.isinf(complex_.area[is_unbounded]).all(), "a face with a vertex at infinity has an area")
    if not is_unbounded.any():
        _check_total_area(complex_)
    _check_patterns(complex_)


def _are_thin(complex_: PlanarComplex) -> Bool[np.ndarray, " faces"]:
    """Faces whose vertices as float64 has them span no area, or one that is below its rounding: some areas are zero."""
    starts, lengths = complex_.face_offsets[:-1], np.diff(complex_.face_offsets)
    points = complex_.vertices[complex_.face_vertices]
    spoke = points - np.repeat(points[starts], lengths, axis=0)
    following = spoke[next_corners(complex_.face_offsets)]
    twice = np.add.reduceat(spoke[:, 0] * following[:, 1] - spoke[:, 1] * following[:, 0], starts)
    lengths_of_sides = np.add.reduceat(np.hypot(*(following - spoke).T), starts)
    rounding = 8 * np.finfo(np.float64).eps * np.maximum.reduceat(np.abs(points).max(axis=1), starts) * lengths_of_sides
    thin: Bool[np.ndarray, " faces"] = np.abs(twice) <= rounding + np.finfo(np.float64).tiny
    return thin


def _check_total_area(complex_: PlanarComplex) -> None:
    """Areas add up to that of the polygon of boundary edges, but for the rounding of their vertices."""
    left, right = complex_.edge_faces.T
    inward = np.where((left == OUTSIDE)[:, None], complex_.edges[:, ::-1], complex_.edges)
    boundary = inward[(left == OUTSIDE) | (right == OUTSIDE)]
    p, q = np.moveaxis(complex_.vertices[boundary] - complex_.vertices[boundary[0, 0]], 1, 0)
    expected = np.sum(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]) / 2
    lengths = np.hypot(*np.subtract(*np.moveaxis(complex_.vertices[complex_.edges], 1, 0)).T).sum()
    error = 8 * np.finfo(np.float64).eps * (np.abs(complex_.vertices).max() * lengths + expected)
    error += len(complex_.face_vertices) * np.finfo(np.float64).smallest_subnormal
    total = complex_.area.sum()
    certify(abs(total - expected) <= error, f"areas add up to {total}, but the domain has {expected}")


def _check_patterns(complex_: PlanarComplex) -> None:
    """Patterns on both sides of an edge differ as its label says."""
    words = np.packbits(complex_.patterns, axis=1)
    inner = np.flatnonzero(complex_.edge_layer != OUTSIDE)
    differ = words[complex_.edge_faces[inner, 0]] ^ words[complex_.edge_faces[inner, 1]]
    num, layer, unit = np.bitwise_count(differ).sum(axis=1), complex_.edge_layer[inner], complex_.edge_unit[inner]
    certify((num[layer == ARTIFICIAL] == 0).all(), "patterns differ across an artificial edge")
    if not complex_.degenerate:
        certify((num[layer >= 0] == 1).all(), "patterns do not differ in exactly one unit across an edge")
    before = 0
    for index in range(layer.max(initial=-1) + 1):
        made = np.flatnonzero(layer == index)
        if len(made):
            # the first unit of the layer has the number that explains all of its edges
            changed = np.flatnonzero(np.unpackbits(differ[made[0]])) - unit[made[0]]
            starts = [
                start for start in changed.tolist() if start >= before and _all_bits(differ[made], start + unit[made])
            ]
            certify(len(starts) > 0, f"an edge of layer {index} does not part the sides of its unit")
            before = starts[0] + 1


def _all_bits(words: np.ndarray, bits: np.ndarray) -> bool:
    """Whether in each row of packed bits this bit is set."""
    if bits.max() >= 8 * words.shape[1]:
        return False
    return bool((words[np.arange(len(words)), bits // 8] >> (7 - bits % 8) & 1).all())


def _check_space(complex_: SpatialComplex) -> None:
    num_faces, dim = complex_.num_faces, complex_.vertices.shape[1]
    euler = sum((-1) ** k * num for k, num in enumerate(num_faces))
    certify(euler == 1, f"the alternating sum of the numbers of faces is {euler}, not 1")
    certify(
        (num_faces[0], num_faces[1], num_faces[-2], num_faces[-1])
        == (len(complex_.vertices), len(complex_.edges), len(complex_.facet_cells), complex_.num_cells),
        "the numbers of faces are not those of the arrays",
    )
    _check_cells(complex_)
    is_zero = np.concatenate([complex_.signs == 0, complex_.is_on_side], axis=1)
    certify((is_zero.sum(axis=1) >= dim).all(), "a vertex lies on too few hyperplanes")
    _check_facets(complex_)
    low, high = complex_.vertices.min(axis=0), complex_.vertices.max(axis=0)
    total, expected = complex_.volume.sum(), np.prod(high - low)
    certify(abs(total - expected) <= 1e-12 * expected, f"volumes add up to {total}, but the box has {expected}")


def _check_cells(complex_: SpatialComplex) -> None:
    certify(len(np.unique(complex_.patterns, axis=0)) == complex_.num_cells, "two cells have one pattern")
    cell = np.repeat(np.arange(complex_.num_cells), np.diff(complex_.cell_offsets))
    signs, on = complex_.signs[complex_.cell_vertices], complex_.patterns[cell]
    certify(not ((signs < 0) & on).any() and not ((signs > 0) & ~on).any(), "a vertex contradicts its cell's pattern")


def _check_facets(complex_: SpatialComplex) -> None:
    layer, unit, cells = complex_.facet_layer, complex_.facet_unit, complex_.facet_cells
    certify(((layer == OUTSIDE) == (cells[:, 1] == OUTSIDE)).all(), "a facet with one cell is not on the boundary")
    facet = np.repeat(np.arange(len(cells)), np.diff(complex_.facet_offsets))
    inner = np.flatnonzero(layer != OUTSIDE)
    if len(inner):
        assert complex_.layers is not None
        starts = np.cumsum([0, *(len(slope_of(hidden)) for hidden in complex_.layers[:-1])])
        column = np.zeros(len(cells), int)
        column[inner] = starts[layer[inner]] + unit[inner]
        first, second = complex_.patterns[cells[inner]].swapaxes(0, 1)
        rows = np.arange(len(inner))
        certify(
            bool(first[rows, column[inner]].all() and not second[rows, column[inner]].any()),
            "a facet does not part the sides of its unit",
        )
        is_inner = layer[facet] != OUTSIDE
        on = complex_.signs[complex_.facet_vertices, column[facet]]
        certify((on[is_inner] == 0).all(), "a unit is not zero on a facet that it made")
    on_side = complex_.is_on_side[complex_.facet_vertices, np.where(layer[facet] == OUTSIDE, unit[facet], 0)]
    certify(on_side[layer[facet] == OUTSIDE].all(), "a facet on the boundary is not on its side of the box")
    if complex_.vertices.shape[1] == SPACE:
        _check_orientation(complex_, facet)


def _check_orientation(complex_: SpatialComplex, facet: Int[np.ndarray, " corners"]) -> None:
    """The facets of each cell, seen from outside, pass each of its edges once in each direction."""
    following = np.append(complex_.facet_vertices[1:], 0)
    following[complex_.facet_offsets[1:] - 1] = complex_.facet_vertices[complex_.facet_offsets[:-1]]
    first, second = complex_.facet_cells[facet].T
    steps = [
        np.stack([first, complex_.facet_vertices, following], axis=1),
        np.stack([second, following, complex_.facet_vertices], axis=1)[second != OUTSIDE],
    ]
    forward = np.concatenate(steps)
    certify(len(np.unique(forward, axis=0)) == len(forward), "two facets of a cell pass an edge in one direction")
    backward = np.unique(forward[:, [0, 2, 1]], axis=0)
    certify(np.array_equal(np.unique(forward, axis=0), backward), "an edge of a cell is passed in one direction only")
