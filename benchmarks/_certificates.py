"""What a complex of regions must fulfil, whatever network it is of: checks that share no code with the library."""

import math
from collections.abc import Sequence

import numpy as np
import reference

import jaxgeom as jg

Layers = Sequence[tuple[np.ndarray, np.ndarray]]


def failures(
    found: jg.PlanarComplex, vertices: np.ndarray, layers: Layers | None, cells: Sequence[reference.Cell] | None = None
) -> list[str]:
    """What is wrong with the complex of a network on a convex polygon; empty if nothing is.

    Args:
        found: the complex.
        vertices: of the polygon, in order.
        layers: the network in float64 if all its activations are ReLU, to look up patterns and kinks with; or None.
        cells: the same regions in rationals, if there are any.
    """
    num_faces = len(found.face_offsets) - 1
    face = np.repeat(np.arange(num_faces), np.diff(found.face_offsets))
    start, stop = found.face_vertices, _next(found.face_vertices, found.face_offsets)
    ends = np.sort(found.edges, axis=1)[found.face_edges]
    left, right = found.edge_faces.T
    is_inner = found.edge_layer >= 0
    area = float(reference.polygon_area(vertices))
    wrong = {
        "V - E + F": len(found.vertices) - len(found.edges) + num_faces != 1,
        "cycles": (np.sort(np.stack([start, stop], axis=1), axis=1) != ends).any(),
        "faces of edges": _pairs(found.face_edges, face) != _pairs(*_sides(found.edge_faces)),
        "two faces of inner edges": ((left >= 0) & (right >= 0) & (left != right) != is_inner).any(),
        "areas": not (found.area >= 0).all() or abs(math.fsum(found.area) - area) > 1e-9 * area,
        "patterns occur twice": len(np.unique(found.patterns, axis=0)) != num_faces,
        "kinks": _has_false_kink(found, layers, np.flatnonzero(is_inner)),
    }
    if layers is not None:
        wrong["patterns at centroids"] = _has_false_pattern(found, layers)
    if cells is not None:
        exact = {cell.pattern: cell for cell in cells}
        patterns = [tuple(row) for row in found.patterns.tolist()]
        wrong["patterns of rationals"] = set(patterns) != set(exact)
        wrong["areas of rationals"] = any(
            abs(value - float(exact[pattern].area)) > 1e-8 * value + 1e-320
            for value, pattern in zip(found.area.tolist(), patterns, strict=True)
            if pattern in exact
        )
    return [name for name, is_wrong in wrong.items() if is_wrong]


def _next(of_corners: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return np.concatenate([np.roll(part, -1) for part in np.split(of_corners, offsets[1:-1])])


def _pairs(edges: np.ndarray, faces: np.ndarray) -> list[tuple[int, int]]:
    return sorted(zip(edges.tolist(), faces.tolist(), strict=True))


def _sides(edge_faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edge and face, of all sides of edges that have one."""
    edge, side = np.nonzero(edge_faces >= 0)
    return edge, edge_faces[edge, side]


def _has_false_kink(found: jg.PlanarComplex, layers: Layers | None, inner: np.ndarray) -> bool:
    """Whether the faces of an inner edge do not differ in the unit that made it, or in one that is not zero there.

    Which unit that is, is known from the widths; without exact zeros it is the only one. Where a value counts as zero
    is a matter of rounding: here, below 1e-6 of the unit's largest value at any vertex, or where numbers are subnormal,
    of which float64 holds but a few digits.
    """
    differ = found.patterns[found.edge_faces[inner, 0]] != found.patterns[found.edge_faces[inner, 1]]
    if not differ.any(axis=1).all() or (not found.degenerate and (differ.sum(axis=1) != 1).any()):
        return True
    if layers is None:
        return False
    offsets = np.cumsum([0, *(len(bias) for _, bias in layers[:-1])])
    if not differ[np.arange(len(inner)), offsets[found.edge_layer[inner]] + found.edge_unit[inner]].all():
        return True
    with np.errstate(all="ignore"):
        values = np.abs(np.concatenate(reference.forward(layers, found.vertices)[1], axis=1))
        is_large = (values > 1e-6 * values.max(axis=0)) & (values > np.finfo(np.float64).tiny)
    return bool((differ & is_large[found.edges[inner]].any(axis=1)).any())


def _has_false_pattern(found: jg.PlanarComplex, layers: Layers) -> bool:
    """Whether a face's pattern is not that of the network at its centroid; where floats differ, rationals decide.

    Centroids are rounded: of faces that are narrower than that, they may lie outside.
    """
    with np.errstate(all="ignore"):
        patterns = reference.activation_patterns(layers, found.centroid)
    ends = found.vertices[found.edges[found.face_edges]]
    perimeter = np.add.reduceat(np.hypot(*(ends[:, 0] - ends[:, 1]).T), found.face_offsets[:-1])
    rounding = 1e-12 * np.abs(found.vertices).max()
    is_wide = found.area > rounding * (perimeter + rounding)
    for face in np.flatnonzero((patterns != found.patterns).any(axis=1) & is_wide):
        _, pre_activations = reference.exact_forward(layers, found.centroid[face].tolist())
        if [value > 0 for value in pre_activations] != found.patterns[face].tolist():
            return True
    return False
