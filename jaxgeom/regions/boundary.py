"""[host] The decision boundary of a network in the plane, as line pieces: within each region it is straight.

A network with one output decides whether that output is positive, which is to compare it with zero: class 1 where it
is, class 0 elsewhere. A network with several outputs decides for the largest one, and for the first of equals. Both are
the upper envelope of affine functions on each face, with the constant 0 as the first of two in the former case. For
each pair of classes, the line where they are equal is followed from one side of the face to the other, and cut back to
where no further class is larger.

Which classes tie at a vertex is certain: the differences of outputs are outputs of a network with one more layer, whose
signs the engine decides. All faces at a vertex use the same values there. So pieces of neighbouring faces end in the
very same points, a line that runs along an edge is found once, as that edge, and maps are equal that have equal values
at all corners of a face. Only between vertices, where three classes meet within rounding in one point of an edge or of
a face, they are taken to do so.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom.domains import Start
from jaxgeom.regions.cells import complexes, with_one_axis
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex
from jaxgeom.regions.count import with_differences, with_output_cutting

_SNAP = 1e-12  # of the terms of a value between two vertices: closer to a tie than this is a tie
_LEAST = 1e-6  # of the difference of two classes, that a third one must rise above them to part them


@readable
class Boundary(NamedTuple):
    """Where a network changes its decision, piece by piece."""

    segments: Float[np.ndarray, "pieces 2 2"]
    """The two ends of each piece."""
    face: Int[np.ndarray, " pieces"]
    """The face that the piece runs through; for pieces along an edge, one of its faces. In ascending order."""
    classes: Int[np.ndarray, "pieces 2"]
    """The classes to the left and to the right, seen from the first end. They are equal where the output touches zero
    (or a tie) without a change, and on the domain's boundary."""
    length: Float[np.ndarray, " pieces"]
    """Length of each piece; ``length.sum()`` is that of the boundary."""
    is_flat: Bool[np.ndarray, " faces"]
    """Faces where the output vanishes identically, or two classes tie on more than a line. The zero set has an area
    there; there is no piece inside, and along the edges only where the class changes."""


class _Outputs(NamedTuple):
    """The functions whose largest one is the class. For one output these are zero and the output."""

    maps: np.ndarray  # (faces, classes, 3), rows (a, b, c) of a x + b y + c
    above: np.ndarray  # (vertices, classes, classes), by how much the second one is larger, zero for ties
    first: np.ndarray  # (faces, classes), the first class with the same map on this face
    has_twin: np.ndarray  # (faces, classes), whether another class has that map


class _Pieces(NamedTuple):
    """Pieces on each of which two classes tie, above all others."""

    segments: np.ndarray  # (pieces, 2, 2)
    face: np.ndarray  # (pieces,)
    classes: np.ndarray  # (pieces, 2), to the left and to the right


def decision_boundary(complex_: PlanarComplex) -> Boundary:
    """The set where the decision changes, as exact line pieces: the zero set of a single output, or argmax's jumps.

    Args:
        complex_: regions of one network on a bounded domain, as :func:`jaxgeom.enumerate_regions` gives them.

    Returns:
        Pieces that together with the faces marked ``is_flat`` are the zero set of a single output, or the set where
        two outputs tie for the largest.

    Raises:
        ValueError: if the complex covers the whole plane, is not complete and so has no maps, or has several outputs
            and no ``layers``.
    """
    check_bounded(complex_, "the decision boundary")
    if not complex_.complete:
        raise ValueError("this complex is not complete, so that its faces have no affine maps. Raise max_regions.")
    outputs = _outputs(complex_)
    none = _Pieces(np.zeros((0, 2, 2)), np.zeros(0, np.int64), np.zeros((0, 2), np.int64))
    across, along = [none], [none]
    for a, b in combinations(range(outputs.maps.shape[1]), 2):
        difference = outputs.above[:, b, a]
        across.append(_across_faces(complex_, outputs, difference, a, b))
        along.append(_along_edges(complex_, outputs, difference, a, b))
    inner = _Pieces(*map(np.concatenate, zip(*across, strict=True)))
    segments, face, classes = map(np.concatenate, zip(inner, *along, strict=True))
    order = np.argsort(face, kind="stable")
    segments = segments[order]
    length = np.hypot(*(segments[:, 1] - segments[:, 0]).T)
    return Boundary(segments, face[order], classes[order], length, _flat_faces(complex_, outputs, inner))


def check_bounded(complex_: PlanarComplex, what: str) -> None:
    """Raise a ValueError that names a box, if a complex covers the whole plane."""
    if complex_.is_ideal.any():
        finite = complex_.vertices[~complex_.is_ideal]
        finite = finite if len(finite) else np.zeros((1, 2))
        low, high = finite.min(axis=0), finite.max(axis=0)
        margin = max(1.0, 0.1 * (high - low).max(), 0.001 * np.abs(finite).max())
        names = ", ".join(f"[{x:.4g}, {y:.4g}]" for x, y in (low - margin, high + margin))
        raise ValueError(
            f"{what} needs a bounded domain, but this complex covers the whole plane. Enumerate the regions on a box; "
            f"box({names}) holds all vertices of this complex."
        )


def _outputs(complex_: PlanarComplex) -> _Outputs:
    maps = np.concatenate([complex_.gradient, complex_.intercept[..., None]], axis=2)
    if maps.shape[1] == 1:
        maps = np.concatenate([np.zeros_like(maps), maps], axis=1)
    num = maps.shape[1]
    above = _differences(complex_, num)
    first = np.broadcast_to(np.arange(num), maps.shape[:2]).copy()
    has_twin = np.zeros(first.shape, bool)
    for a, b in combinations(range(num), 2):
        is_same = np.logical_and.reduceat(above[complex_.face_vertices, a, b] == 0, complex_.face_offsets[:-1])
        is_same &= (first[:, a] == a) & (first[:, b] == b)
        first[is_same, b] = a
        maps[is_same, b] = maps[is_same, a]
        has_twin[is_same, a] = has_twin[is_same, b] = True
    return _Outputs(maps, above, first, has_twin)


def _differences(complex_: PlanarComplex, num: int) -> np.ndarray:
    """At each vertex, by how much the second of two classes is larger than the first, (vertices, classes, classes)."""
    differences = np.zeros((len(complex_.vertices), num, num))
    if complex_.outputs.shape[1] == 1:
        differences[:, 0, 1], differences[:, 1, 0] = complex_.outputs[:, 0], -complex_.outputs[:, 0]
        return differences
    if complex_.layers is None:
        raise ValueError(
            "this complex does not say which network it is of, so that its outputs cannot be compared. Take it from "
            "enumerate_regions, or give it the network: complex_._replace(layers=layers)."
        )
    layers = complex_.layers
    if complex_.patterns.shape[1] > sum(len(layer.bias) for layer in layers[:-1]):
        layers = with_output_cutting(layers)
    layers, pairs = with_differences(layers)
    a, b = np.array(pairs).T
    (same,) = complexes(with_one_axis(layers), _start_of(complex_))
    if same is None or not np.array_equal(same.face_vertices, complex_.face_vertices):
        raise ValueError(
            "this complex is not the one of its network on its domain, face by face, as this installation finds it. "
            "Take it from enumerate_regions once more."
        )
    differences[:, a, b], differences[:, b, a] = -same.outputs, same.outputs
    return differences


def _start_of(complex_: PlanarComplex) -> Start:
    """The bounded domain of a complex: its corners, where one side ends and another begins."""
    sides = np.flatnonzero(complex_.edge_layer == OUTSIDE)
    number = complex_.edge_unit[sides]
    num = int(number.max()) + 1
    ends = complex_.edges[sides]  # counter-clockwise, with the face to the left
    corners = [np.setdiff1d(ends[number == side, 0], ends[number == side, 1]).item() for side in range(num)]
    points = np.concatenate([complex_.vertices[corners], np.ones((num, 1))], axis=1)
    return Start(points, (tuple(range(num)),))


def _across_faces(complex_: PlanarComplex, outputs: _Outputs, difference: np.ndarray, a: int, b: int) -> _Pieces:
    """Where two classes tie inside faces, those that have corners on both sides."""
    starts, corners = complex_.face_offsets[:-1], complex_.face_vertices
    at = difference[corners]
    is_both = (np.maximum.reduceat(at, starts) > 0) & (np.minimum.reduceat(at, starts) < 0)
    faces = np.flatnonzero(is_both & (outputs.first[:, a] == a) & (outputs.first[:, b] == b))
    following = np.arange(1, len(corners) + 1)
    following[complex_.face_offsets[1:] - 1] = starts
    # Counter-clockwise, the sign falls at one place and rises at one: from there to here, class a is to the left.
    positive = at > 0
    ends, above = [], []
    for changes in (positive & ~positive[following], ~positive & positive[following]):
        place = np.where(changes, np.arange(len(at)), len(at))
        edge = complex_.face_edges[np.minimum.reduceat(place, starts)[faces]]
        one, other = complex_.edges[edge].T
        fraction = (difference[one] / (difference[one] - difference[other]))[:, None]
        ends.append(_between(complex_.vertices[one], complex_.vertices[other], fraction))
        start, stop = outputs.above[one, a], outputs.above[other, a]
        value = _between(start, stop, fraction)
        value[np.abs(value) <= _SNAP * np.maximum(np.abs(start), np.abs(stop))] = 0.0
        above.append(_except(value, a, b))
    keeps, first, last = _below_zero(*above)
    keeps &= _stays_below(outputs.maps[faces], (above[0] == 0) & (above[1] == 0), a, b)
    tail, head = ends
    start, stop = _between(tail, head, first[:, None]), _between(tail, head, last[:, None])
    classes = np.broadcast_to(np.array([a, b]), (len(faces), 2))
    return _Pieces(np.stack([start, stop], axis=1)[keeps], faces[keeps], classes[keeps])


def _along_edges(complex_: PlanarComplex, outputs: _Outputs, difference: np.ndarray, a: int, b: int) -> _Pieces:
    """Where two classes tie along an edge, above all others, and perhaps together with others."""
    edges = np.flatnonzero((difference[complex_.edges] == 0).all(axis=1))
    ends, sides = complex_.edges[edges], complex_.edge_faces[edges]
    above = [_except(outputs.above[end, a], a, b) for end in ends.T]
    keeps, first, last = _below_zero(*above)
    ties = (above[0] == 0) & (above[1] == 0)
    keeps &= ties[:, : b + 1].sum(axis=1) == 2  # of several that tie, one pair is enough
    tail, head = np.moveaxis(complex_.vertices[ends], 1, 0)
    # on each side, that class of those that tie is the largest which is so at a corner off the edge
    classes, is_flat = [], []
    for faces in sides.T:
        above = outputs.above[_corners_off(complex_, edges, faces)]
        is_largest = ties & ((above >= 0) | ~ties[:, :, None]).all(axis=1)
        top = outputs.first[faces, is_largest.argmax(axis=1)]
        classes.append(top)
        is_flat.append(outputs.has_twin[faces, top] & (faces != OUTSIDE))
    left = np.where(sides[:, 0] == OUTSIDE, classes[1], classes[0])
    right = np.where(sides[:, 1] == OUTSIDE, classes[0], classes[1])
    keeps &= ~(is_flat[0] | is_flat[1]) | (left != right)
    start, stop = _between(tail, head, first[:, None]), _between(tail, head, last[:, None])
    face = np.where(sides[:, 0] == OUTSIDE, sides[:, 1], sides[:, 0])
    return _Pieces(np.stack([start, stop], axis=1)[keeps], face[keeps], np.stack([left, right], axis=1)[keeps])


def _corners_off(complex_: PlanarComplex, edges: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """For each edge, the corner of its face that is farthest from its line; one of its ends on the outside."""
    found = complex_.edges[edges, 0].copy()
    for index in np.flatnonzero(faces != OUTSIDE):
        first, last = complex_.face_offsets[faces[index] : faces[index] + 2]
        corners = complex_.face_vertices[first:last]
        tail, head = complex_.vertices[complex_.edges[edges[index]]]
        (x, y), offset = head - tail, complex_.vertices[corners] - tail
        found[index] = corners[np.abs(x * offset[:, 1] - y * offset[:, 0]).argmax()]
    return found


def _except(above: np.ndarray, a: int, b: int) -> np.ndarray:
    """By how much each class is larger than a and b, which tie; zero for these two."""
    above = above.copy()
    above[:, [a, b]] = 0.0
    return above


def _below_zero(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether linear functions with these values at both ends are all at most zero somewhere between, from where and
    to where (from 0 to 1)."""
    falls, rises = (start > 0) & (stop < 0), (start < 0) & (stop > 0)
    fraction = start / np.where(falls | rises, start - stop, 1.0)
    first = np.where(falls, fraction, 0.0).max(axis=1, initial=0.0)
    last = np.where(rises, fraction, 1.0).min(axis=1, initial=1.0)
    is_never = ((start >= 0) & (stop >= 0) & (start + stop > 0)).any(axis=1)
    return ~is_never & (first < last), first, last


def _stays_below(maps: np.ndarray, ties: np.ndarray, a: int, b: int) -> np.ndarray:
    """Whether on both sides of the line where a and b tie, classes that tie there as well are not the largest."""
    gradient = maps[:, :, :2]
    gradient = gradient / np.abs(gradient[:, [a]] - gradient[:, [b]]).max(axis=2, keepdims=True)
    slope = gradient[:, a] - gradient[:, b]
    # on the line c = a + share (a - b)
    share = np.einsum("pci,pi->pc", gradient - gradient[:, [a]], slope) / np.sum(slope**2, axis=1)[:, None]
    return ~(ties & ((share > _LEAST) | (share < -1 - _LEAST))).any(axis=1)


def _between(start: np.ndarray, stop: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    return np.where(fraction == 1, stop, start + fraction * (stop - start))


def _flat_faces(complex_: PlanarComplex, outputs: _Outputs, inner: _Pieces) -> np.ndarray:
    """Faces where two classes have one map and are the largest somewhere: at the centroid or at a piece inside."""
    points = np.column_stack([complex_.centroid, np.ones(complex_.num_faces)])
    faces = np.arange(complex_.num_faces)
    top = outputs.first[faces, np.einsum("fci,fi->fc", outputs.maps, points).argmax(axis=1)]
    is_flat = outputs.has_twin[faces, top]
    is_flat[inner.face[outputs.has_twin[inner.face[:, None], inner.classes].any(axis=1)]] = True
    return is_flat
