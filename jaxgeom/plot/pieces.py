"""[host] The faces of a complex, cut where the output is zero: for pictures of decisions."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom.regions.complex import PlanarComplex


@readable
class Pieces(NamedTuple):
    """Faces, cut where the output is zero."""

    corners: list[Float[np.ndarray, "_ 3"]]
    """Position and value at each corner of each piece, counter-clockwise."""
    face: Int[np.ndarray, " pieces"]
    """The face that each is a part of."""
    is_positive: Bool[np.ndarray, " pieces"]
    """The side."""
    zeros: Float[np.ndarray, "cuts 2 2"]
    """The cuts."""


def cut_at_zero(complex_: PlanarComplex) -> Pieces:
    """The faces of a complex, those with both signs in two pieces.

    Args:
        complex_: regions with one output. Its gradients and intercepts may be those of another function, with jumps
            between faces.
    """
    starts, ends = complex_.face_offsets[:-1], complex_.face_offsets[1:]
    face = np.repeat(np.arange(complex_.num_faces), ends - starts)
    position = complex_.vertices[complex_.face_vertices]
    value = np.sum(complex_.gradient[face, 0] * position, axis=1) + complex_.intercept[face, 0]
    all_corners = np.column_stack([position, value])
    corners: list[np.ndarray] = []
    faces: list[int] = []
    sides: list[bool] = []
    zeros = []
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        cycle = all_corners[start:end]
        low, high = cycle[:, 2].min(), cycle[:, 2].max()
        if low >= 0 or high <= 0:
            corners.append(cycle)
            faces.append(number)
            sides.append(bool(high > 0))
            continue
        following = np.roll(cycle, -1, axis=0)
        crosses = (cycle[:, 2] > 0) != (following[:, 2] > 0)
        share = cycle[crosses, 2] / (cycle[crosses, 2] - following[crosses, 2])
        cut = cycle[crosses] + share[:, None] * (following[crosses] - cycle[crosses])
        cut[:, 2] = 0
        zeros.append(cut[:, :2])
        placed = np.insert(cycle, np.flatnonzero(crosses) + 1, cut, axis=0)
        for is_positive in (False, True):
            corners.append(placed[placed[:, 2] >= 0 if is_positive else placed[:, 2] <= 0])
            faces.append(number)
            sides.append(is_positive)
    found = np.array(zeros) if zeros else np.zeros((0, 2, 2))
    return Pieces(corners, np.array(faces), np.array(sides), found)
