"""[host] Counts of one small network without the checks for populations, which take ten times as long as the count.

What is checked are shapes and types, once for each combination of them. Whatever is not an ordinary ReLU network goes
the long way, to its count or to an error that says what is wrong.
"""

import functools
from itertools import pairwise
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jaxgeom.domains import ProjectiveDomain
from jaxgeom.engine import library
from jaxgeom.host.given import is_plain
from jaxgeom.networks.layers import Dense

_MOST = 2**14  # numbers, which are copied, and whose regions are counted before Ctrl-C should be able to end it


def small_count(layers: Any, start: ProjectiveDomain) -> tuple[int, bool] | None:
    """The number of regions, and whether an exact zero was met, of one small ReLU network in arrays of one type,
    float32 or float64; None for everything else, weights that are not finite included."""
    if not isinstance(layers, tuple | list) or not library.is_available():
        return None
    arrays: list[Any] = []
    for layer in layers:
        if type(layer) is not Dense:
            return None
        kernel, bias, slope = layer
        if slope is not None:
            return None
        arrays += (kernel, bias)
    for index, array in enumerate(arrays):
        if type(array) is not np.ndarray:
            if not isinstance(array, jax.Array) or not is_plain(array := _on_host(array)):
                return None
            arrays[index] = array
    network = _network(*[(array.shape, array.dtype) for array in arrays])
    if network is None:
        return None
    try:
        numbers = b"".join(arrays)
    except TypeError:  # not contiguous, as transposed kernels are
        numbers = b"".join(map(np.ascontiguousarray, arrays))
    found = library.count_one(numbers, *network, *start)
    return None if found[0] < 0 else found


def _on_host(array: jax.Array) -> jax.Array | np.ndarray:
    """The array as NumPy's, if it is small, known, and of a type that needs no conversion."""
    is_small = not isinstance(array, Tracer) and array.dtype in (np.float32, np.float64) and array.size <= _MOST
    return np.asarray(array) if is_small else array


@functools.lru_cache(maxsize=1024)
def _network(*arrays: tuple[tuple[int, ...], np.dtype]) -> tuple[tuple[int, ...], bool] | None:
    """The widths of all layers, inputs and outputs included, and whether the numbers are float32, if these are the
    shapes and the one type of a small network."""
    shapes, types = [shape for shape, _ in arrays], {dtype for _, dtype in arrays}
    if types not in ({np.dtype(np.float32)}, {np.dtype(np.float64)}):
        return None
    widths = (2, *[shape[-1] if shape else 0 for shape in shapes[1::2]])
    layers = list(pairwise(widths))
    fits = list(zip(shapes[::2], shapes[1::2], strict=True)) == [(layer, layer[1:]) for layer in layers]
    is_small = fits and layers and sum((a + 1) * b for a, b in layers) <= _MOST
    return (widths, np.dtype(np.float32) in types) if is_small else None
