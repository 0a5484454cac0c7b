"""[host] The decision boundary of a network in the plane, as line pieces: within each region it is straight.

A network with one output decides whether that output is positive, which is to compare it with zero: class 1 where it
is, class 0 elsewhere. A network with several outputs decides for the largest one, and for the first of equals.

The differences of outputs are outputs of a network with one more layer, whose signs at vertices the engine decides. A
class that another one is as large as at all corners of a face is not the largest inside it. Where one class is left,
the whole face has it; where two are left, the line on which they are equal is followed from one side of the face to the
other. Where three are left, or where classes that tie along an edge meet a third one within it, nothing more can be
said from signs at vertices: then the complex is cut where a class becomes larger than all before it, and each of its
faces has one class (:mod:`jaxgeom.regions.compared`). So which pieces there are is exact, and their ends are vertices,
or points of edges between vertices of opposite signs, the same for all pieces that end there.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom.regions.compared import Compared, compare
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, certify, check_is_planar, next_corners


@readable
class Boundary(NamedTuple):
    """The decision boundary of a network, in straight pieces."""

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


class _Pieces(NamedTuple):
    """Pieces on each of which two classes tie, above all others."""

    segments: np.ndarray  # (pieces, 2, 2)
    face: np.ndarray  # (pieces,), of the given complex
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

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> boundary = jg.decision_boundary(complex_)  # relu(x) + relu(y) = 1
        >>> boundary.segments.shape, float(boundary.length.sum().round(4))
        ((3, 2, 2), 3.4142)
    """
    check_decides(complex_, "the decision boundary")
    return boundary_of(complex_, compare(complex_))


def boundary_of(complex_: PlanarComplex, compared: Compared) -> Boundary:
    """The decision boundary, where the classes have been compared."""
    across, along = _across_faces(compared), _along_edges(compared)
    segments, face, sides = map(np.concatenate, zip(across, along, strict=True))
    order = np.argsort(face, kind="stable")
    segments = segments[order]
    length = np.hypot(*(segments[:, 1] - segments[:, 0]).T)
    is_flat = np.zeros(complex_.num_faces, bool)
    is_flat[compared.face[compared.has_twin[compared.face[:, None], compared.classes].any(axis=1)]] = True
    return Boundary(segments, face[order], sides[order], length, is_flat)


def check_decides(complex_: PlanarComplex, what: str) -> None:
    """Raise a ValueError unless a complex covers a bounded domain, and has affine maps."""
    check_bounded(complex_, what)
    if not complex_.complete:
        raise ValueError("this complex is not complete, so that its faces have no affine maps. Raise max_regions.")


def check_bounded(complex_: PlanarComplex, what: str) -> None:
    """Raise a ValueError that names a box, if a complex covers the whole plane; a TypeError if it is not of a plane."""
    check_is_planar(complex_, what)
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


def _across_faces(compared: Compared) -> _Pieces:
    """Where the two classes that are left on a face are equal."""
    complex_, starts, at = compared.complex_, compared.complex_.face_offsets[:-1], compared.difference
    faces = np.flatnonzero(compared.classes[:, 0] != compared.classes[:, 1])
    following = next_corners(complex_.face_offsets)
    # Counter-clockwise, the sign falls at one place and rises at one: from there to here, the first is to the left.
    positive = at > 0
    ends = []
    for changes in (positive & ~positive[following], ~positive & positive[following]):
        place = np.where(changes, np.arange(len(at)), len(at))
        ends.append(crossings(compared, np.minimum.reduceat(place, starts)[faces]))
    return _Pieces(np.stack(ends, axis=1), compared.face[faces], compared.classes[faces])


def crossings(compared: Compared, corners: Int[np.ndarray, " corners"]) -> Float[np.ndarray, "corners 2"]:
    """Where the two classes of a face are equal on the edge behind each of these corners: the same points to the bit
    seen from the faces on both sides."""
    complex_ = compared.complex_
    tail, head = complex_.edges[complex_.face_edges[corners]].T
    at = corners, next_corners(complex_.face_offsets)[corners]
    exponents = [compared.exponent[end] for end in at]
    here, there = (
        np.ldexp(compared.difference[end], own - np.maximum(*exponents)) for end, own in zip(at, exponents, strict=True)
    )
    is_along = tail == complex_.face_vertices[corners]
    start, stop = np.where(is_along, here, there), np.where(is_along, there, here)
    fraction = (start / (start - stop))[:, None]
    begin, end = complex_.vertices[tail], complex_.vertices[head]
    found: Float[np.ndarray, "corners 2"] = np.where(fraction == 1, end, begin + fraction * (end - begin))
    return found


def _along_edges(compared: Compared) -> _Pieces:
    """Where classes tie along an edge, above all others. Edges between the same faces and classes are one piece."""
    complex_, edges, top = compared.complex_, compared.tied, compared.beside
    sides = complex_.edge_faces[edges]
    is_outside = sides == OUTSIDE
    face = compared.face[np.where(is_outside, sides[:, ::-1], sides)]
    is_flat = (compared.has_twin[face, top] & ~is_outside).any(axis=1)
    keeps = ~is_flat | (top[:, 0] != top[:, 1])
    return _joined(complex_, edges[keeps], np.where(is_outside, OUTSIDE, face)[keeps], top[keeps])


def _joined(complex_: PlanarComplex, edges: np.ndarray, faces: np.ndarray, classes: np.ndarray) -> _Pieces:
    """Edges with faces of the given complex and classes on both sides, as pieces. Faces are convex, so that edges
    between the same ones follow each other on one line; on the domain's boundary, those of one of its sides."""
    ends = complex_.edges[edges]
    is_turned = (faces[:, 0] > faces[:, 1]) | ((faces[:, 0] == faces[:, 1]) & (classes[:, 0] > classes[:, 1]))
    ends, faces, classes = (np.where(is_turned[:, None], array[:, ::-1], array) for array in (ends, faces, classes))
    side = np.where(complex_.edge_layer[edges] == OUTSIDE, complex_.edge_unit[edges], OUTSIDE)
    kinds, one, piece = np.unique(
        np.column_stack([faces, classes, side]), axis=0, return_index=True, return_inverse=True
    )
    # of all its vertices, a piece begins at the one at which no edge ends, and ends at the one at which none begins
    keys = piece.reshape(-1, 1) * len(complex_.vertices) + ends
    found = [np.setdiff1d(keys[:, index], keys[:, 1 - index]) for index in (0, 1)]
    certify(all(len(ends) == len(kinds) for ends in found), "edges between two faces are not on one line")
    segments = complex_.vertices[np.stack(found, axis=1) % max(1, len(complex_.vertices))]
    turned = is_turned[one]
    segments[turned], kinds[turned, 2:4] = segments[turned, ::-1], kinds[turned, 3:1:-1]
    return _Pieces(segments, np.where(kinds[:, 0] == OUTSIDE, kinds[:, 1], kinds[:, 0]), kinds[:, 2:4])
