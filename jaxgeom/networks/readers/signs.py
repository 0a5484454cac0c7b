"""[edge] Units whose signs are settled where a condition holds, such as the outer one of two nested clips."""

from typing import Any

import numpy as np
import scipy.sparse

from jaxgeom.networks.readers.expressions import Tape, Values, wide

_EQUAL = 1e-12
"""Weights are multiples of others if they are off by no more than this part of the largest."""


def where_positive(tape: Tape, values: Values, condition: Values) -> Values:
    """The same numbers where conditions are positive: of a unit z = alpha * condition + beta, alpha and beta of one
    sign, it is known whether it is active there.

    Args:
        tape: where units are noted.
        values: the numbers.
        condition: of the same shape.
    """
    matrix, const = wide(values.matrix, tape.num_columns), values.const
    for units in reversed(tape.units):
        row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        at = np.flatnonzero((matrix.indices >= units.start) & (matrix.indices < units.start + len(units.const)))
        if not len(at):
            continue
        row, column, weight = row[at], matrix.indices[at], matrix.data[at]
        unit = column - units.start
        z, c = wide(units.matrix[unit], tape.num_columns), wide(condition.matrix[row], tape.num_columns)
        size = _sums(c.multiply(c))
        alpha = _sums(z.multiply(c)) / np.where(size > 0, size, 1.0)
        beta = units.const[unit] - alpha * condition.const[row]
        off = _largest(z - scipy.sparse.diags_array(alpha) @ c) > _EQUAL * _largest(z)
        is_active = (alpha >= 0) & (beta >= 0)
        known = (size > 0) & ~off & (is_active | ((alpha <= 0) & (beta <= 0)))
        if not known.any():
            continue
        row, column, weight, unit = (array[known] for array in (row, column, weight, unit))
        factor = weight * np.where(is_active[known], 1.0, units.slope[unit])
        num = np.arange(len(row))
        into = scipy.sparse.csr_array((factor, (row, num)), shape=(matrix.shape[0], len(row)))
        gone = scipy.sparse.csr_array((weight, (row, column)), shape=matrix.shape)
        matrix = scipy.sparse.csr_array(matrix + into @ wide(units.matrix[unit], tape.num_columns) - gone)
        matrix.eliminate_zeros()
        const = const + into @ units.const[unit]
    return Values(values.shape, matrix, const)


def _sums(matrix: Any) -> np.ndarray:
    return np.asarray(matrix.sum(axis=1)).ravel()


def _largest(matrix: Any) -> np.ndarray:
    """The largest size of the entries of each row."""
    found = abs(scipy.sparse.csr_array(matrix)).max(axis=1)
    return np.asarray(found.toarray()).ravel()
