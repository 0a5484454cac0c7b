"""[edge] Tensors of a network that is being read, each number of them an affine function of the units before it.

Piecewise linear operations become ones with one kink at zero: a maximum is relu(a - b) + b, a clipped value
relu(z - low) - relu(z - high) + low. Each of these kinks is a unit on a :class:`Tape`; everything else (sums,
convolutions, normalisation, reshaping, slices, concatenations) is composed as it comes, in float64.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

MOST_NUMBERS = 2**26
"""Numbers in one tensor; more are refused before memory is asked for."""

MOST_SYMBOLIC = 2**23
"""Numbers in one tensor that depends on the inputs."""

FAR = 2.0**30
"""Bounds that are lower are written so that sums with them do not drown what they bound."""

MOST_TERMS = 2**28
"""Nonzero weights in one matrix, 3 GiB."""

IMAGE_AXES = 3
"""Axes of a tensor with channels and places, at least."""


class Values(NamedTuple):
    """A tensor: ``matrix @ units + const``, with one row a number, in C order."""

    shape: tuple[int, ...]
    matrix: Any
    """Weights, sparse (numbers, columns); the columns are those of the tape: inputs first, then units."""
    const: np.ndarray
    """Offsets (numbers,)."""


class Units(NamedTuple):
    """The units of one activation of the source."""

    name: str
    """Of the node in the source."""
    shape: tuple[int, ...]
    """Of the tensor whose numbers they are."""
    places: np.ndarray
    """For each unit its flat index in that tensor (units,)."""
    matrix: Any
    """Weights of their pre-activations, sparse (units, columns)."""
    const: np.ndarray
    """Offsets of their pre-activations (units,)."""
    slope: np.ndarray
    """What negative pre-activations are multiplied by (units,)."""
    start: int
    """Column of the first unit."""


class Tape:
    """What was read so far: the number of inputs, and units in the order in which they were met."""

    def __init__(self, channel_axis: int = -1) -> None:
        self.channel_axis = channel_axis
        self.num_inputs = 0
        self.num_columns = 0
        self.units: list[Units] = []


def size_of(shape: Sequence[int], most: int = MOST_NUMBERS) -> int:
    """Number of numbers in a tensor.

    Raises:
        ValueError: for negative sizes, and more than ``most``.
    """
    size = math.prod(int(length) for length in shape)
    if any(int(length) < 0 for length in shape):
        raise ValueError(f"a tensor cannot have the shape {tuple(shape)}.")
    if size > most:
        raise ValueError(f"a tensor of shape {tuple(shape)} is too large: at most {most:,} numbers are read.")
    return size


def new_input(tape: Tape, shape: Sequence[int]) -> Values:
    """The next input of the network; all of them come before the first unit."""
    size = size_of(shape, MOST_SYMBOLIC)
    start = tape.num_columns
    tape.num_inputs += size
    tape.num_columns += size
    return Values(tuple(shape), _pick(np.arange(start, start + size), tape.num_columns), np.zeros(size))


def constant(array: Any) -> Values:
    """A tensor that depends on nothing."""
    array = np.asarray(array, np.float64)
    return Values(array.shape, scipy.sparse.csr_array((array.size, 0)), array.ravel())


def is_constant(values: Values) -> bool:
    """Whether a tensor depends on nothing."""
    return bool(values.matrix.nnz == 0)


def places_of(values: Values) -> np.ndarray:
    """The flat index of each number, in the shape of the tensor: what :func:`select` takes, to be cut and turned."""
    return np.arange(len(values.const)).reshape(values.shape)


def select(values: Values, places: np.ndarray, fill: float = 0.0) -> Values:
    """The numbers at flat indices, in the shape of these; ``fill`` where an index is -1."""
    flat = places.ravel()
    size_of(places.shape, MOST_SYMBOLIC)
    if flat.size and flat.min() < 0:
        padded = scipy.sparse.vstack([values.matrix, scipy.sparse.csr_array((1, values.matrix.shape[1]))], format="csr")
        return Values(places.shape, padded[flat], np.append(values.const, fill)[flat])
    return Values(places.shape, values.matrix[flat], values.const[flat])


def rearranged(values: Values, change: Callable[[np.ndarray], np.ndarray]) -> Values:
    """A tensor whose numbers were moved, repeated or left out by a function of arrays."""
    return select(values, np.asarray(change(places_of(values))))


def reshaped(values: Values, shape: Sequence[int]) -> Values:
    """The same numbers in another shape, in which one length may be -1."""
    lengths = [int(length) for length in shape]
    if lengths.count(-1) == 1:
        rest = math.prod(length for length in lengths if length != -1)
        lengths[lengths.index(-1)] = len(values.const) // max(rest, 1)
    if math.prod(lengths) != len(values.const):
        raise ValueError(f"a tensor of shape {values.shape} does not fit into shape {tuple(shape)}.")
    return values._replace(shape=tuple(lengths))


def applied(matrix: Any, values: Values, shape: Sequence[int]) -> Values:
    """A sparse or dense matrix (numbers of ``shape``, numbers of ``values``) times the numbers."""
    matrix = scipy.sparse.csr_array(matrix)
    num_terms = int(np.diff(values.matrix.indptr)[matrix.indices].sum())
    if num_terms > MOST_TERMS:
        raise ValueError(
            f"two affine maps in a row would have up to {num_terms:,} weights; at most {MOST_TERMS:,} are read."
        )
    return Values(tuple(shape), matrix @ values.matrix, matrix @ values.const)


def broadcast(values: Values, shape: Sequence[int]) -> Values:
    """A tensor repeated along axes, by NumPy's rules."""
    if values.shape == tuple(shape):
        return values
    size_of(shape)
    return rearranged(values, lambda places: np.broadcast_to(places, tuple(shape)))


def plus(a: Values, b: Values) -> Values:
    """The sum, by NumPy's rules of broadcasting."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = broadcast(a, shape), broadcast(b, shape)
    columns = max(a.matrix.shape[1], b.matrix.shape[1])
    return Values(shape, wide(a.matrix, columns) + wide(b.matrix, columns), a.const + b.const)


def scaled(values: Values, factor: Any) -> Values:
    """The product with constant factors, by NumPy's rules of broadcasting."""
    factor = np.asarray(factor, np.float64)
    shape = np.broadcast_shapes(values.shape, factor.shape)
    values = broadcast(values, shape)
    rows = np.broadcast_to(factor, shape).ravel()
    matrix = values.matrix.copy()
    matrix.data = matrix.data * np.repeat(rows, np.diff(matrix.indptr))
    return Values(shape, matrix, values.const * rows)


def minus(a: Values, b: Values) -> Values:
    """The difference."""
    return plus(a, scaled(b, -1.0))


def concatenated(parts: Sequence[Values], axis: int) -> Values:
    """Tensors one behind the other along an axis."""
    columns = max(part.matrix.shape[1] for part in parts)
    starts = np.cumsum([0, *(len(part.const) for part in parts)])
    matrix = scipy.sparse.vstack([wide(part.matrix, columns) for part in parts], format="csr")
    whole = Values((int(starts[-1]),), matrix, np.concatenate([part.const for part in parts]))
    places = [places_of(part) + start for part, start in zip(parts, starts[:-1], strict=True)]
    return select(whole, np.concatenate(places, axis=axis))


def summed(values: Values, axes: Sequence[int], *, keepdims: bool = False) -> Values:
    """Sums along axes."""
    axes = tuple(axis % max(len(values.shape), 1) for axis in axes)
    kept = tuple(1 if axis in axes else length for axis, length in enumerate(values.shape))
    rows = np.broadcast_to(np.arange(math.prod(kept)).reshape(kept), values.shape).ravel()
    matrix = scipy.sparse.csr_array(
        (np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(math.prod(kept), len(rows))
    )
    shape = kept if keepdims else tuple(length for axis, length in enumerate(values.shape) if axis not in axes)
    return applied(matrix, values, shape)


def multiplied(values: Values, kernel: np.ndarray) -> Values:
    """``values @ kernel`` along the last axis, for a kernel (in, out)."""
    kernel = np.asarray(kernel, np.float64)
    if not values.shape or values.shape[-1] != kernel.shape[0]:
        raise ValueError(f"a tensor of shape {values.shape} does not go with a kernel of shape {kernel.shape}.")
    rows = len(values.const) // max(kernel.shape[0], 1)
    matrix = scipy.sparse.csr_array(kernel.T)
    if rows > 1:
        if rows * matrix.nnz > MOST_TERMS:
            raise ValueError(
                f"a matrix of {rows * matrix.nnz:,} weights is too large; at most {MOST_TERMS:,} are read."
            )
        matrix = scipy.sparse.kron(scipy.sparse.eye_array(rows), matrix, format="csr")
    return applied(matrix, values, (*values.shape[:-1], kernel.shape[1]))


def unit(tape: Tape, values: Values, slope: Any, name: str) -> Values:
    """The values z where they are positive, and slope · z elsewhere: new units on the tape.

    Args:
        tape: where they are noted.
        values: their pre-activations.
        slope: one number, or several that broadcast to the shape.
        name: of the node in the source.
    """
    values = Values(values.shape, wide(values.matrix, tape.num_columns), values.const)
    order = _channels_last(values.shape, tape.channel_axis)
    slopes = np.broadcast_to(np.asarray(slope, np.float64), values.shape).ravel()
    start, size = tape.num_columns, len(values.const)
    if not np.isfinite(slopes).all():
        raise ValueError(f"{name} has slopes that are NaN or infinite.")
    tape.units.append(Units(name, values.shape, order, values.matrix[order], values.const[order], slopes[order], start))
    tape.num_columns += size
    column = np.empty(size, np.int64)
    column[order] = np.arange(start, start + size)
    return Values(values.shape, _pick(column, tape.num_columns), np.zeros(size))


def maximum(tape: Tape, a: Values, b: Values, name: str) -> Values:
    """The larger ones, relu(a - b) + b, where b is carried to the layer of that unit."""
    if is_constant(a):
        a, b = b, a
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = broadcast(a, shape), broadcast(b, shape)
    if is_constant(b) and (b.const <= -FAR).any():  # relu(a - b) + b would be rounded to nothing: a + relu(b - a)
        is_far = (b.const <= -FAR).reshape(shape)
        above = unit(tape, scaled(minus(a, b), np.where(is_far, -1.0, 1.0)), 0.0, name)
        return plus(above, plus(scaled(a, is_far), scaled(b, ~is_far)))
    above = unit(tape, minus(a, b), 0.0, name)
    return plus(above, b if is_constant(b) else unit(tape, b, 1.0, name))


def minimum(tape: Tape, a: Values, b: Values, name: str) -> Values:
    """The smaller ones."""
    return scaled(maximum(tape, scaled(a, -1.0), scaled(b, -1.0), name), -1.0)


def clipped(tape: Tape, values: Values, low: float, high: float, name: str) -> Values:
    """The values between two numbers, one of which may be infinite."""
    if not low <= high:
        raise ValueError(f"{name} is clipped between {low} and {high}, which is no interval.")
    found = values
    if np.isfinite(low) and low <= -FAR:
        found = plus(values, unit(tape, plus(scaled(values, -1.0), constant(low)), 0.0, name))
    elif np.isfinite(low):
        found = plus(unit(tape, plus(values, constant(-low)), 0.0, name), constant(low))
    if np.isfinite(high):
        above = unit(tape, plus(values, constant(-high)), 0.0, name)
        found = minus(found, above)
    return found


def largest(tape: Tape, values: Values, groups: np.ndarray, name: str) -> Values:
    """Maxima of groups of numbers, as a tree of maxima of pairs.

    Args:
        tape: where units are noted.
        values: the numbers.
        groups: flat indices (*shape, members) of each group; -1 for members that are not there.
        name: of the node in the source.

    Returns:
        A tensor of that shape.
    """
    shape = groups.shape[:-1]
    members: np.ndarray = groups.reshape(-1, groups.shape[-1])
    if (members < 0).all(axis=1).any():
        raise ValueError(f"{name} takes the maximum of no numbers.")
    members = np.take_along_axis(members, np.argsort(members < 0, axis=1, kind="stable"), axis=1)
    members = members[:, : int((members >= 0).sum(axis=1).max())]
    while members.shape[1] > 1:
        if members.shape[1] % 2:
            members = np.pad(members, [(0, 0), (0, 1)], constant_values=-1)
        first, second = members[:, 0::2], members[:, 1::2]
        there = np.flatnonzero(first.ravel() >= 0)
        both = np.flatnonzero(second.ravel() >= 0)
        left = select(values, first.ravel()[both])
        right = second.ravel()
        lower = select(values, np.where(right >= 0, right, first.ravel())[there])  # one alone is carried
        above = unit(tape, minus(left, select(values, right[both])), 0.0, name)
        carried = unit(tape, lower, 1.0, name)
        index = np.full(first.size, -1)
        index[both] = np.arange(len(both))
        values = plus(select(above, index[there]), carried)
        left_over = np.full(first.size, -1)
        left_over[there] = np.arange(len(there))
        members = left_over.reshape(first.shape)
    return select(values, members[:, 0].reshape(shape))


def below_relu(tape: Tape, values: Values, pooled: Callable[[Values], Values]) -> Values:
    """Maxima of numbers. Those of ReLUs are the ReLU of the maxima, the same function with fewer kinks: of two units
    that are off, the difference would be zero on a whole region.

    Args:
        tape: where units are noted.
        values: the numbers.
        pooled: their maxima.
    """
    beneath = _before_relu(tape, values)
    if beneath is None:
        return pooled(values)
    inner, slope, name = beneath
    return unit(tape, pooled(inner), slope, name)


def _before_relu(tape: Tape, values: Values) -> tuple[Values, float, str] | None:
    """The pre-activations, slope and name of ReLUs, if each number is one of those that were met last."""
    matrix = values.matrix
    is_unit = tape.units and matrix.nnz and not values.const.any() and (np.diff(matrix.indptr) == 1).all()
    if not is_unit or (matrix.data != 1).any():
        return None
    units = tape.units[-1]
    index = matrix.indices - units.start
    if index.min() < 0 or index.max() >= len(units.const):
        return None
    slopes = units.slope[index]
    if not ((slopes == slopes[0]).all() and 0 <= slopes[0] < 1):
        return None
    return Values(values.shape, units.matrix[index], units.const[index]), float(slopes[0]), units.name


def _pick(columns: np.ndarray, num_columns: int) -> Any:
    size = len(columns)
    return scipy.sparse.csr_array((np.ones(size), columns, np.arange(size + 1)), shape=(size, num_columns))


def wide(matrix: Any, columns: int) -> Any:
    """The same matrix with more columns, which are zero."""
    return scipy.sparse.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], columns))


def _channels_last(shape: tuple[int, ...], channel_axis: int) -> np.ndarray:
    """Flat indices of a tensor in the order in which units are laid out: all channels of a place together."""
    places = np.arange(math.prod(shape)).reshape(shape)
    return (np.moveaxis(places, channel_axis, -1) if len(shape) >= IMAGE_AXES else places).ravel()
