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

from jaxgeom.domains import Box, domain_numbers, exact_domain
from jaxgeom.engine import library
from jaxgeom.host.given import is_plain
from jaxgeom.networks.layers import Dense

_MOST = 2**14  # numbers, which are copied, and whose regions are counted before Ctrl-C should be able to end it


# These very objects are the types of most arrays; others, as those of another byte order, go the long way.
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def small_count(layers: Any, domain: Any) -> tuple[int, bool] | None:
    """The number of regions, and whether an exact zero was met, of one small ReLU network in arrays of one type,
    float32 or float64; None for everything else, weights that are not finite included.

    Raises:
        ValueError: if the domain is none.
    """
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
    shapes = []
    dtype = getattr(arrays[0], "dtype", None) if arrays else None
    if not (dtype is _FLOAT32 or dtype is _FLOAT64):
        return None
    for index, array in enumerate(arrays):
        if type(array) is not np.ndarray:
            if not isinstance(array, jax.Array) or not is_plain(array := _on_host(array)):
                return None
            arrays[index] = array
        if array.dtype is not dtype:
            return None
        shapes.append(array.shape)
    numbers_of_domain = domain_numbers(domain)
    if numbers_of_domain is None:
        return None
    problem = _problem(dtype is _FLOAT32, numbers_of_domain, *shapes)
    if problem is None:
        return None
    try:
        numbers = b"".join(arrays)
    except TypeError:  # not contiguous, as transposed kernels are
        numbers = b"".join(array.tobytes() for array in arrays)
    found = library.count_one(problem, numbers)
    return None if found[0] < 0 else found


def _on_host(array: jax.Array) -> jax.Array | np.ndarray:
    """The array as NumPy's, if it is small, known, and of a type that needs no conversion."""
    is_small = not isinstance(array, Tracer) and array.dtype in (np.float32, np.float64) and array.size <= _MOST
    return np.asarray(array) if is_small else array


@functools.lru_cache(maxsize=1024)
def _problem(is_float32: bool, domain: tuple[Any, ...], *shapes: tuple[int, ...]) -> library.OneNetwork | None:
    """What the engine is to count, but for the numbers of the network, if these are the type and the shapes of a small
    one and the domain is in the plane."""
    widths = (2, *[shape[-1] if shape else 0 for shape in shapes[1::2]])
    layers = list(pairwise(widths))
    fits = list(zip(shapes[::2], shapes[1::2], strict=True)) == [(layer, layer[1:]) for layer in layers]
    if not fits or not layers or sum((a + 1) * b for a, b in layers) > _MOST:
        return None
    kind, *fields = domain
    start = exact_domain(kind(*(np.frombuffer(numbers).reshape(shape) for shape, numbers in fields)))
    return None if isinstance(start, Box) else library.one_network(widths, is_float32, *start)
