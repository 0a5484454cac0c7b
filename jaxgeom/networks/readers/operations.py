"""[edge] What formats call add, multiply or where, on symbolic tensors and constant arrays alike."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from jaxgeom._typing import MATRIX
from jaxgeom.networks.readers.expressions import (
    Tape,
    Values,
    applied,
    below_relu,
    broadcast,
    constant,
    is_constant,
    largest,
    minus,
    multiplied,
    places_of,
    plus,
    rearranged,
    scaled,
    size_of,
    summed,
    unit,
    wide,
)
from jaxgeom.networks.readers.signs import where_positive

_EQUAL = 1e-6
"""Two affine functions are taken for multiples of each other if their weights agree to this part of the largest."""

_ROUNDING = 1e-12


class NotLinear(ValueError):
    """An operation that no piecewise linear layers compute; the message is the reason."""


class Condition:
    """A tensor of truth values: where an affine function is positive, up to its zeros."""

    def __init__(self, values: Values, base: Values | None = None, sign: float = 1.0) -> None:
        self.values = values
        self.base = base
        """The tensor that is compared with zero, if it is, for readers that tell tensors apart."""
        self.sign = sign
        """Whether its positive numbers, or its negative ones, make the condition true."""


def lifted(value: Any) -> Values:
    """A symbolic tensor as it is, and a constant as one."""
    if value is None:
        raise NotLinear("an input is missing")
    return value if isinstance(value, Values) else constant(value)


def numbers_of(value: Any, what: str = "this operand") -> np.ndarray:
    """A constant as an array.

    Raises:
        NotLinear: if it depends on the inputs.
    """
    if not isinstance(value, Values):
        return np.asarray(value, np.float64)
    if not is_constant(value):
        raise NotLinear(f"{what} depends on the inputs")
    return value.const.reshape(value.shape)


def add(a: Any, b: Any) -> Values:
    """The sum of two tensors or constants."""
    return plus(lifted(a), lifted(b))


def subtract(a: Any, b: Any) -> Values:
    """The difference of two tensors or constants."""
    return minus(lifted(a), lifted(b))


def multiply(a: Any, b: Any) -> Values:
    """The product, one factor of which is constant."""
    a, b = lifted(a), lifted(b)
    if is_constant(b):
        return scaled(a, numbers_of(b))
    if is_constant(a):
        return scaled(b, numbers_of(a))
    raise NotLinear("both factors depend on the inputs")


def divide(a: Any, b: Any) -> Values:
    """The quotient by a constant."""
    divisor = numbers_of(b, "the divisor")
    if (divisor == 0).any():
        raise NotLinear("the divisor is zero")
    a = lifted(a)
    shape = np.broadcast_shapes(a.shape, divisor.shape)
    found = scaled(a, np.ones(shape))
    rows = np.broadcast_to(divisor, shape).ravel()
    found.matrix.data = found.matrix.data / np.repeat(rows, np.diff(found.matrix.indptr))  # rounded once
    return found._replace(const=found.const / rows)


def matmul(a: Any, b: Any) -> Values:
    """The matrix product, one factor of which is a constant matrix."""
    if isinstance(b, Values) and not is_constant(b):
        left = numbers_of(a, "a factor")
        while left.ndim > MATRIX and left.shape[0] == 1:
            left = left[0]
        if left.ndim == 1 or len(b.shape) == 1:
            column = b if len(b.shape) > 1 else b._replace(shape=(*b.shape, 1))
            found = matmul(np.atleast_2d(left), column)
            shape = found.shape[:-1] if len(b.shape) == 1 else found.shape
            shape = tuple(np.delete(shape, len(found.shape) - 2)) if left.ndim == 1 else shape
            return found._replace(shape=tuple(int(n) for n in shape))
        turned = multiplied(swapped(b), left.T)
        return swapped(turned)
    right = numbers_of(b)
    while right.ndim > MATRIX and right.shape[0] == 1:
        right = right[0]
    a = lifted(a)
    if right.ndim > MATRIX:
        return _by_stack(a, right)
    if right.ndim == 1:
        found = multiplied(a, right[:, None])
        return found._replace(shape=found.shape[:-1])
    return multiplied(a, right)


def _by_stack(values: Values, kernels: np.ndarray) -> Values:
    """The product with a matrix for each of the axes ahead, by NumPy's rules of broadcasting."""
    shape = np.broadcast_shapes(values.shape[:-2], kernels.shape[:-2])
    size_of((*shape, *kernels.shape[-2:]))
    values = broadcast(values, (*shape, *values.shape[-2:]))
    kernels = np.broadcast_to(kernels, (*shape, *kernels.shape[-2:])).reshape(-1, *kernels.shape[-2:])
    rows = scipy.sparse.eye_array(values.shape[-2])
    matrix = scipy.sparse.block_diag([scipy.sparse.kron(rows, kernel.T) for kernel in kernels], format="csr")
    return applied(matrix, values, (*values.shape[:-1], kernels.shape[-1]))


def swapped(values: Values) -> Values:
    """The tensor with its last two axes exchanged."""
    return rearranged(values, lambda places: places.swapaxes(-1, -2))


def mean(values: Values, axes: Sequence[int], *, keepdims: bool = False) -> Values:
    """Means along axes."""
    found = summed(values, axes, keepdims=keepdims)
    return divide(found, float(len(values.const) / max(len(found.const), 1)))


def largest_along(
    tape: Tape, values: Values, axes: Sequence[int], name: str, *, sign: float = 1.0, keepdims: bool = False
) -> Values:
    """Maxima along axes, or minima, for the sign -1."""
    rest = [axis for axis in range(len(values.shape)) if axis not in axes]
    groups = places_of(values).transpose(*rest, *axes).reshape(*(values.shape[axis] for axis in rest), -1)

    def found(inner: Values) -> Values:
        return largest(tape, inner, groups, name)

    y = below_relu(tape, values, found) if sign > 0 else scaled(found(scaled(values, -1.0)), -1.0)
    if keepdims:
        y = y._replace(shape=tuple(1 if axis in axes else n for axis, n in enumerate(values.shape)))
    return y


def cumulated(values: Values, axis: int, *, reverse: bool = False, is_exclusive: bool = False) -> Values:
    """Sums of all numbers up to each one along an axis, with it or without."""
    length = values.shape[axis]
    ones = np.triu(np.ones((length, length)), int(is_exclusive))
    turned = rearranged(values, lambda places: np.moveaxis(places, axis, -1))
    found = matmul(turned, ones.T if reverse else ones)
    return rearranged(found, lambda places: np.moveaxis(places, -1, axis))


def normalised(values: Values, mean_: Any, variance: Any, weight: Any, bias: Any, epsilon: float, axis: int) -> Values:
    """Batch normalisation at inference: (values - mean) / sqrt(variance + epsilon) · weight + bias, along an axis."""
    shape = [1] * len(values.shape)
    shape[axis] = -1
    mean_, variance = (np.asarray(array, np.float64).reshape(shape) for array in (mean_, variance))
    factor = 1.0 / np.sqrt(variance + epsilon)
    factor = factor if weight is None else factor * np.asarray(weight, np.float64).reshape(shape)
    offset = -mean_ * factor
    offset = offset if bias is None else offset + np.asarray(bias, np.float64).reshape(shape)
    return add(scaled(values, factor), offset)


def chosen(tape: Tape, condition: Values, above: Any, below: Any, name: str) -> Values:
    """``above`` where the condition is positive and ``below`` elsewhere, if this is continuous: if the two differ by
    a multiple of the condition, below + multiple · relu(condition).

    Raises:
        NotLinear: if it is not.
    """
    above, below = lifted(above), lifted(below)
    shape = np.broadcast_shapes(condition.shape, above.shape, below.shape)
    if condition.shape != shape:
        condition = rearranged(condition, lambda places: np.broadcast_to(places, shape))
    step = rearranged(minus(above, below), lambda places: np.broadcast_to(places, shape))
    multiple = _multiple(step, condition)
    if multiple is not None and is_constant(above):
        beyond = unit(tape, scaled(condition, -1.0), 0.0, name)
        return add(above, scaled(beyond, multiple.reshape(shape)))
    if multiple is None:
        multiple = _multiple(where_positive(tape, step, condition), condition)
    if multiple is None:
        raise NotLinear("it jumps where its condition changes")
    return add(below, scaled(unit(tape, condition, 0.0, name), multiple.reshape(shape)))


def _multiple(step: Values, condition: Values) -> np.ndarray | None:
    """The numbers (numbers,) by which a tensor is the multiple of another one; None if it is none."""
    columns = max(step.matrix.shape[1], condition.matrix.shape[1])
    parts = [
        scipy.sparse.hstack([wide(v.matrix, columns), scipy.sparse.csr_array(v.const[:, None])], format="csr")
        for v in (condition, step)
    ]
    size = np.asarray(parts[0].multiply(parts[0]).sum(axis=1)).ravel()
    product = np.asarray(parts[0].multiply(parts[1]).sum(axis=1)).ravel()
    multiple = _round(product / np.where(size > 0, size, 1.0))
    rest = parts[1] - scipy.sparse.csr_array(scipy.sparse.diags_array(multiple) @ parts[0])
    # number by number: next to a large one, any jump of a small one would be taken for rounding
    off, largest = (np.asarray(abs(part).max(axis=1).todense()).ravel() for part in (rest.tocsr(), parts[1]))
    return multiple if (off <= _EQUAL * largest).all() else None


def _round(multiple: np.ndarray) -> np.ndarray:
    """Multiples that are 1 but for rounding, as in where(z > 0, z, 0)."""
    nearest = np.rint(multiple)
    return np.where((np.abs(multiple - nearest) < _ROUNDING) & (nearest != 0), nearest, multiple)
