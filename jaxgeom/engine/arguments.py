"""Networks and domains as the arguments of the engine's C interface (``engine.h``); nothing is copied on the way but
what is not contiguous."""

import ctypes
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Array

from jaxgeom.host.sparse import SparseKernel

_SPARSE = 2
"""Stands among the types of arrays for kernels that are sparse; 1 for float32, 0 for float64."""


class Network:
    """A population, and a domain of the plane, as the C interface takes them; the arrays live as long as this does."""

    def __init__(
        self,
        arrays: Sequence[Array | np.ndarray | SparseKernel],
        slopes: np.ndarray,
        corners: np.ndarray | None = None,
        cycles: Sequence[Sequence[int]] = (),
    ) -> None:
        # sparse kernels only in the plane, and not in the first layer, which has two rows
        is_planar = corners is not None
        own: list[Any] = [
            array if is_planar and index > 0 and isinstance(array, SparseKernel) else _as_float(array)
            for index, array in enumerate(arrays)
        ]
        shapes = [bias.shape for bias in own[1::2]]
        alive: list[Any] = []
        pointers = ctypes.c_void_p * len(shapes)
        self.num = len(own[1])
        self.num_units = len(slopes)
        self.arguments = (
            len(shapes) - 1,
            (ctypes.c_int64 * (len(shapes) + 1))(own[0].shape[-2], *[shape[-1] for shape in shapes]),
            pointers(*[_place_of(kernel, alive) for kernel in own[::2]]),
            pointers(*map(pointer, own[1::2])),
            bytes([_SPARSE if isinstance(array, SparseKernel) else array.dtype == np.float32 for array in own]),
            np.asarray(slopes, np.float64).tobytes(),
        )
        if corners is not None:
            self.arguments += domain_of(np.asarray(corners, np.float64).tobytes(), tuple(map(tuple, cycles)))
        self._alive = own, alive


@functools.lru_cache(maxsize=64)
def domain_of(corners: bytes, cycles: tuple[tuple[int, ...], ...]) -> tuple[Any, ...]:
    """Corners (corners, 3) in float64 and the faces on them as the C interface takes them."""
    numbers = (ctypes.c_double * (len(corners) // 8)).from_buffer_copy(corners)
    offsets = (ctypes.c_int * (len(cycles) + 1))(0, *itertools.accumulate(map(len, cycles)))
    around = (ctypes.c_int * offsets[-1])(*itertools.chain(*cycles))
    return len(numbers) // 3, numbers, len(cycles), offsets, around, int(0.0 in numbers[2::3])


class _SparseKernel(ctypes.Structure):
    """A kernel as ``SparseKernel`` of network.h has it."""

    _fields_ = (
        ("num", ctypes.c_int64),
        ("offsets", ctypes.c_void_p),
        ("outputs", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
    )


def _place_of(kernel: np.ndarray | SparseKernel, alive: list[Any]) -> int:
    """Where kernels are; of sparse ones, a structure for each network, and ``alive`` gets what is there."""
    if not isinstance(kernel, SparseKernel):
        return pointer(kernel)
    each = (_SparseKernel * len(kernel.matrices))()
    for place_, matrix in zip(each, kernel.matrices, strict=True):
        arrays = (
            np.ascontiguousarray(matrix.indptr, np.int64),
            np.ascontiguousarray(matrix.indices, np.int32),
            np.ascontiguousarray(matrix.data, np.float64),
        )
        place_.num, place_.offsets, place_.outputs, place_.weights = matrix.nnz, *[pointer(array) for array in arrays]
        alive.append(arrays)
    alive.append(each)
    return ctypes.addressof(each)


def _as_float(array: Any) -> np.ndarray:
    array = np.asarray(array)
    return np.ascontiguousarray(array, np.float32 if array.dtype == np.float32 else np.float64)


def pointer(array: np.ndarray) -> int:
    """Where an array's numbers begin."""
    number: int = array.__array_interface__["data"][0]  # a third of the time of array.ctypes
    return number
