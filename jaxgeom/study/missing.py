"""[host] Values that were not measured: NaN, which no mean passes over in silence, whatever the type of the others.

Integers and booleans become float64 where some are missing, as in pandas and xarray, and stay as they are where none
is. Times that are missing are NaT, and texts empty.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgeom.host.given import FLOAT64_BYTES

_MOST_EXACT = 2**53
"""Integers up to this size are exact in float64."""


def filled(shape: Sequence[int], pieces: Sequence[tuple[Any, np.ndarray]], what: str) -> np.ndarray:
    """An array put together from pieces; what none of them covers is missing.

    Args:
        shape: of the whole.
        pieces: indices into it, and arrays of the shape that they have there, which do not overlap.
        what: the name of the array, for messages.

    Raises:
        ValueError: for missing values beside integers beyond 2⁵³.
    """
    arrays = [piece for _, piece in pieces]
    dtype = np.result_type(*arrays)
    is_whole = sum(piece.size for piece in arrays) == np.prod(shape, dtype=np.int64)
    if not is_whole and dtype.kind in "biu":
        if dtype.itemsize == FLOAT64_BYTES and any(piece.size and _largest(piece) > _MOST_EXACT for piece in arrays):
            raise ValueError(
                f"{what} has missing values, which are NaN in float64, beside integers beyond 2⁵³, which float64 does "
                "not hold. Finish the study, give every network as many values, or measure smaller integers or texts."
            )
        dtype = np.dtype(np.float64)
    fill: Any = {"f": np.nan, "c": np.nan, "M": "NaT", "m": "NaT", "U": "", "S": b""}.get(dtype.kind, 0)
    whole = np.full(shape, fill, dtype)
    for place, piece in pieces:
        whole[place] = piece
    return whole


def or_nan(values: Any, is_measured: np.ndarray) -> np.ndarray:
    """Values (networks, ...) as they are if all were measured, or else as floats with NaN for the others.

    Args:
        values: numbers or booleans.
        is_measured: which of them count, of the same shape or with fewer trailing axes.
    """
    array = np.asarray(values)
    if np.all(is_measured):
        return array
    return filled(array.shape, [(np.nonzero(is_measured), array[np.nonzero(is_measured)])], "a count")


def _largest(integers: np.ndarray) -> int:
    return max(abs(int(integers.min())), abs(int(integers.max())))
