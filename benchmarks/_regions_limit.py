"""Counts of regions by a plain C program, ``regions_limit.c``: a referee for many networks, and what speed is possible.

It works in float64 with a tolerance and without certainty; it shares no idea with the library's way for deep networks.
``agreement.py`` compares it with polygons cut in rationals.
"""

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

SQUARE = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])

Layers = Sequence[tuple[Any, Any]]


def is_available() -> bool:
    """Whether there is a compiler."""
    return shutil.which("gcc") is not None


@functools.cache
def _library() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "limit.so"
        flags = ["-std=gnu17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC"]
        source = Path(__file__).with_name("regions_limit.c")
        subprocess.run(["gcc", *flags, "-pthread", str(source), "-o", str(target), "-lm"], check=True)
        library = ctypes.CDLL(str(target))
    library.count_regions.restype = ctypes.c_double
    return library


def count(
    layers: Layers, vertices: np.ndarray = SQUARE, *, is_careful: bool = True, threads: int | None = None
) -> tuple[np.ndarray, float]:
    """Regions of a population of networks with two inputs.

    Args:
        layers: kernel (networks, in, out) and bias (networks, out) of every layer; the last one is not used.
        vertices: of a convex polygon, in order.
        is_careful: cut cells by the units of the last layer, too, instead of counting pairs of chords that cross.
        threads: default is all cores.

    Returns:
        counts, and seconds without compiling and packing.
    """
    num = len(layers[0][1])
    hidden = [[np.asarray(array, np.float64) for array in layer[:2]] for layer in layers[:-1]]
    widths = np.array([hidden[0][0].shape[1], *(bias.shape[1] for _, bias, *_ in hidden)], np.int32)
    weights = np.concatenate([array.reshape(num, -1) for layer in hidden for array in layer], axis=1)
    vertices = np.ascontiguousarray(vertices, np.float64)
    counts = np.zeros(num, np.int64)
    at = [array.ctypes.data_as(ctypes.c_void_p) for array in (widths, weights, vertices, counts)]
    threads = threads or os.cpu_count() or 1
    seconds = _library().count_regions(num, len(hidden), *at[:2], len(vertices), at[2], is_careful, threads, at[3])
    return counts, seconds
