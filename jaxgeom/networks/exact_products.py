"""[host] Products of matrices in exact arithmetic, rounded once.

Every float64 is an integer times a power of two. With one power for all numbers of an array, a product of matrices is
one of Python's integers, and rounding comes last.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jaxgeom.host.sparse import SparseKernel

_DIGITS = 53
"""Binary digits of a float64."""


def exact_product(
    rows: Float[np.ndarray, "rows in"], kernel: Any, offset: Float[np.ndarray, " out"] | None = None
) -> tuple[Float[np.ndarray, "rows out"], Bool[np.ndarray, "rows out"]]:
    """``rows @ kernel + offset`` of real arithmetic, each number rounded once, and which of them are not rounded.

    A column of the kernel with NaN or infinity in it or in its offset gives NaN.

    Args:
        rows: finite float64 numbers.
        kernel: (in, out), dense or a :class:`SparseKernel` of one network.
        offset: added to each row.
    """
    sparse = isinstance(kernel, SparseKernel)
    weights = kernel.matrices[0].data if sparse else np.asarray(kernel)
    columns = kernel.matrices[0].indices if sparse else np.broadcast_to(np.arange(kernel.shape[1]), weights.shape)
    is_bad = np.zeros(kernel.shape[1], bool) if offset is None else ~np.isfinite(offset)
    is_bad[columns[~np.isfinite(weights)]] = True
    weights = np.where(np.isfinite(weights), weights, 0.0)
    row_integers, row_power = _integers(rows)
    integers, power = _integers(weights)
    power += row_power
    num_out = kernel.shape[1]
    if sparse:
        matrix = kernel.matrices[0]
        inputs = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        sums = np.zeros((len(rows), num_out), object)
        for row, found in zip(row_integers, sums, strict=True):
            np.add.at(found, matrix.indices, row[inputs] * integers)
    else:
        used = np.flatnonzero(rows.any(axis=0))  # axis-parallel planes take a few inputs
        sums = row_integers[:, used] @ integers[used] if len(used) else np.zeros((len(rows), num_out), object)
    if offset is not None:
        added, least = _integers(np.where(is_bad, 0.0, offset))
        if least < power:
            sums, power = sums * 2 ** (power - least), least
        else:
            added = added * 2 ** (least - power)
        sums = sums + added[None]
    rounded = np.array([_rounded(number, power) for number in sums.flat]).reshape(sums.shape)
    is_finite = np.isfinite(rounded)
    back, least = _integers(np.where(is_finite, rounded, 0.0))
    shift = least - power
    same = back * 2**shift == sums if shift >= 0 else back == sums * 2**-shift
    is_exact = np.asarray(same, bool).reshape(sums.shape) & is_finite & ~is_bad
    return np.where(is_bad, np.nan, rounded), is_exact


def _integers(array: np.ndarray) -> tuple[np.ndarray, int]:
    """Integers, as Python's, and the power of two that they are multiples of."""
    mantissa, exponent = np.frexp(np.asarray(array, np.float64))
    whole = (mantissa * 2.0**_DIGITS).astype(np.int64)
    is_zero = whole == 0
    if is_zero.all():
        return whole.astype(object), 0
    exponent = np.where(is_zero, exponent[~is_zero].min(), exponent)
    least = int(exponent.min())
    return whole.astype(object) << (exponent - least).astype(object), least - _DIGITS


def _rounded(number: int, power: int) -> float:
    """The float64 nearest to number · 2^power."""
    try:
        return float(number * 2**power) if power >= 0 else number / 2**-power
    except OverflowError:
        return np.inf if number > 0 else -np.inf
