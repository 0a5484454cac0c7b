"""The values at the vertices of a union of networks, times the kernels of their networks.

Vertices of one network should lie together: each run of them is one matrix product.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from jaxgeom.regions.ragged import Numbers


def product(
    values: Float[Numbers, "vertices in"],
    kernel: Float[Numbers, "*networks in out"],
    network: Int[Numbers, " vertices"],
    out: Float[np.ndarray, "vertices out"] | None = None,
) -> Float[Numbers, "vertices out"]:
    """The values of each vertex times the kernel of its network; in NumPy they can be written into ``out``."""
    if not isinstance(values, np.ndarray):
        return values @ kernel
    found = np.empty((len(values), kernel.shape[2]), values.dtype) if out is None else out
    changes = 1 + np.flatnonzero(network[1:] != network[:-1])
    for first, stop in pairwise([0, *changes.tolist(), len(network)] if len(network) else []):
        _multiply(values[first:stop], kernel[network[first]], found[first:stop])
    return found


_SMALL_PRODUCT = (1 << 19) - 1


def _multiply(
    values: Float[np.ndarray, "vertices in"],
    kernel: Float[np.ndarray, "in out"],
    out: Float[np.ndarray, "vertices out"],
) -> None:
    """A product in NumPy, by blocks of rows so small that OpenBLAS computes each in the present thread: all cores are
    at work on other networks, and its threads would wait for each other most of the time."""
    block = _SMALL_PRODUCT // kernel.size // 8 * 8
    if block < 16:  # too few for blocks to pay
        block = len(values)
    whole = len(values) // max(1, block) * block
    blocks = (array[:whole].reshape(-1, block, array.shape[1]) for array in (values, out))
    np.matmul(next(blocks), kernel, out=next(blocks))
    np.matmul(values[whole:], kernel, out=out[whole:])
