"""A network along straight lines, layer by layer: the pieces on which it is affine, with bounds of all rounding errors.

The parameter of every line runs from 0 to 1. Pre-activations are piecewise linear in it; those of one layer bend only
where units of earlier layers change between active and inactive. So the pieces known so far are passed through from
0 to 1 with a whole layer's slopes and values, and a unit whose values at the two ends of a piece have strictly opposite
signs has a breakpoint in between, at the root of its linear function there. All lines are passed through together:
arrays have the pieces along their first axis, then lines, then units.

Slopes are those of the pieces' own affine maps, not differences of values. Where a unit of the layer just before bends,
the slopes of the whole layer change by a multiple of that unit's weights, one row of the kernel; products with the
whole kernel are needed only where earlier layers bend. Values are summed up along the line.

Along a *ray* towards infinity, points are homogeneous, (x, w) with w = 1 - p at the parameter p. On them a network is
one whose biases are multiplied by w, and everything is linear up to infinity.

Bounds of errors. A layer's values at p are off by at most e_0 + p e_1, unit by unit: by the errors of the layer before,
whose Euclidean length grows by no more than the kernel's spectral norm; and by rounding, which is bounded by the number
of operations, the lengths of the vectors in the products and those of the unit's weights. Where a value at the end of a
piece is within its bound, or two breakpoints are closer than theirs allow, the line is marked as degenerate. For all
others the number and order of breakpoints and the units that make them are those of exact arithmetic: values are off by
less than they are away from zero wherever a sign is taken, and every breakpoint has an interval of its own, in which
the unit's true function has exactly one root.
"""

from itertools import pairwise
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int32, Shaped, UInt32

from jaxgeom.contract import times
from jaxgeom.layers import Dense, Layers, slope_of
from jaxgeom.regions.words import nth_bit, num_bits, packed

NO_UNIT = -1
"""Stands for the layer and the unit where there is no breakpoint."""

_UNIT_ROUNDOFF = float(np.finfo(np.float64).eps) / 2
_TINY = 1e-260  # added to biases in bounds of errors, so that underflow is within them

Rooms = tuple[tuple[int, int], ...]
"""For each hidden layer, how many breakpoints it may add to a line, and how many pieces there may be with them."""


class Sizes(NamedTuple):
    """What bounds of errors need to know of one layer."""

    columns: Float[Array, " units"]
    """Length of each unit's vector of weights."""
    biases: Float[Array, " units"]
    """Absolute values; positive for all units but zero ones."""
    kernel: Float[Array, ""]
    """Frobenius norm."""
    bias: Float[Array, ""]
    """Length of the vector of biases."""
    spectral: Float[Array, ""]
    """At least the spectral norm of the kernel."""


class Rays(NamedTuple):
    """Lines as the first layer sees them."""

    value: Float[Array, "lines units"]
    """Pre-activations of the first layer at 0,"""
    change: Float[Array, "lines units"]
    """and what is added to them up to 1."""
    value_size: Float[Array, " lines"]
    """Length of the input at 0,"""
    change_size: Float[Array, " lines"]
    """and at least the length of what is added to it."""


class Pieces(NamedTuple):
    """What the layers so far cut lines into, in order. Surplus rows have length zero and come last."""

    start: Float[Array, "pieces lines"]
    """Where each piece starts: 0, or the breakpoint that the other fields are about."""
    coarse: Int32[Array, "pieces lines"]
    """The piece of the layers before the last one that it is part of."""
    is_new: Bool[Array, "pieces lines"]
    """Whether the last layer made the breakpoint."""
    jump: Float[Array, "pieces lines"]
    """By how much the slope of that unit's activation grows there."""
    maker: Int32[Array, "pieces lines"]
    """Which unit makes the breakpoint, numbered through all hidden layers; -1 at 0."""
    error: Float[Array, "pieces lines"]
    """How far away the true breakpoint may be."""


class Traced(NamedTuple):
    """A network along lines."""

    pieces: Pieces
    num: Int32[Array, " lines"]
    """Number of breakpoints, where several in one point count several times."""
    slope: Float[Array, "pieces lines out"]
    """Of the outputs, on each piece."""
    value: Float[Array, "pieces lines out"]
    """The outputs where each piece starts."""
    overflow: Bool[Array, " lines"]
    """Whether there was not enough room."""
    degenerate: Bool[Array, " lines"]
    """Whether the sign of some value was not certain."""


class _Sweep(NamedTuple):
    """One hidden layer along all pieces."""

    slope: Float[Array, "pieces lines units"]
    value: Float[Array, "pieces lines units"]
    """Where each piece starts."""
    flips: UInt32[Array, "pieces lines words"]
    """Units with a breakpoint inside the piece."""
    before: Int32[Array, "pieces lines"]
    """Number of the layer's breakpoints on earlier pieces."""
    total: Int32[Array, " lines"]
    """On all of them."""
    near: Bool[Array, " lines"]
    """Whether some value at the end of a piece is within its error."""


class _Bends(NamedTuple):
    """The breakpoints that one layer adds."""

    position: Float[Array, "bends lines"]
    """Infinity for those that are none."""
    piece: Int32[Array, "bends lines"]
    unit: Int32[Array, "bends lines"]
    jump: Float[Array, "bends lines"]
    error: Float[Array, "bends lines"]


def trace(
    layers: Layers,
    sizes: tuple[Sizes, ...],
    rays: Rays,
    *,
    rooms: Rooms,
    fades: bool,
) -> Traced:
    """Follow one network along lines, to be called where x64 is enabled.

    Args:
        layers: one network, float64.
        sizes: those of its layers.
        rays: the lines.
        rooms: how much there may be.
        fades: whether the lines are rays towards infinity.
    """
    num_lines = rays.value.shape[0]
    zeros = jnp.zeros((1, num_lines))
    none = jnp.full((1, num_lines), NO_UNIT, jnp.int32)
    pieces = Pieces(zeros, none + 1, zeros > 0, zeros, none, zeros)
    value, coarse_slopes = rays.value, rays.change[None]
    value_size, change_size = rays.value_size, rays.change_size
    value_error = change_error = jnp.zeros(num_lines)
    overflow = degenerate = jnp.zeros(num_lines, bool)
    num = jnp.zeros(num_lines, jnp.int32)
    first = 0  # number of the layer's first unit
    for index, (layer, following) in enumerate(pairwise(layers)):
        size, slope = sizes[index], jnp.asarray(slope_of(layer))
        num_new, num_pieces = rooms[index]
        # operations that a value goes through, with those that place its breakpoints
        rounding = (layer.kernel.shape[0] + 16 * (pieces.start.shape[0] + num_new) + 64) * _UNIT_ROUNDOFF
        errors = tuple(
            jnp.where(slope == 1, 0.0, size.columns * (error + rounding * length)[:, None] + rounding * size.biases)
            for error, length in ((value_error, value_size), (change_error, change_size))
        )
        swept = _swept(pieces, first, coarse_slopes, value, layer.kernel, slope != 1, errors)  # type: ignore[arg-type]
        bends = _bends(pieces, swept, slope, errors, num_new)  # type: ignore[arg-type]
        overflow, degenerate, num = overflow | (swept.total > num_new), degenerate | swept.near, num + swept.total
        # the layer's activations
        is_active = (swept.value > 0) | ((swept.value == 0) & (swept.slope > 0))
        coarse_slopes = times(jnp.where(is_active, swept.slope, slope * swept.slope), following.kernel)
        if fades:
            coarse_slopes = coarse_slopes - following.bias
        activation = jnp.where(is_active[0], value, slope * value)
        value = times(activation, following.kernel) + following.bias
        pieces = _merged(pieces, bends, swept.before, num_pieces, first)
        first += layer.bias.shape[0]
        steepest = jnp.max(jnp.abs(slope), initial=1.0)
        value_error, change_error = (
            steepest * (size.spectral * error + rounding * (size.kernel * length + size.bias))
            for error, length in ((value_error, value_size), (change_error, change_size))
        )
        value_size = length_of(activation)
        change_size = steepest * (size.spectral * change_size + (size.bias if fades else 0.0))
    slope_, value_ = _swept_outputs(pieces, first, coarse_slopes, value, layers[-1].kernel)  # type: ignore[arg-type]
    overflow |= num >= pieces.start.shape[0]
    degenerate |= ~jnp.isfinite(value_error + change_error)
    return Traced(pieces, num, slope_, value_, overflow, degenerate)


def _swept(
    pieces: Pieces,
    first: int,
    coarse_slopes: Float[Array, "coarse lines units"],
    value: Float[Array, "lines units"],
    kernel: Float[Array, "in units"],
    bends: Bool[Array, " units"],
    errors: tuple[Float[Array, "lines units"], Float[Array, "lines units"]],
) -> _Sweep:
    """A hidden layer's slopes and values on all pieces, and what changes sign on them.

    Args:
        pieces: those of the layers before.
        first: number of the layer's first unit.
        coarse_slopes: the layer's slopes on the pieces of the layers before the last one.
        value: at 0.
        kernel: of the layer.
        bends: which units have a kink.
        errors: bounds of the errors of values, at 0 and for the way to 1.
    """

    def is_near(value: Array, position: Array) -> Array:
        return packed(~(jnp.abs(value) >= errors[0] + errors[1] * position[:, None]))

    def step(carry: tuple, row: tuple) -> tuple[tuple, tuple]:
        slope, value, signs, total, near = carry
        *place, start, stop = row
        slope = _turned(slope, coarse_slopes, kernel, *place)
        after = value + slope * (stop - start)[:, None]
        signs_after = packed((after > 0) & bends)
        flips = signs ^ signs_after
        carry = slope, after, signs_after, total + num_bits(flips), near | is_near(after, stop)
        return carry, (slope, value, flips, total)

    num_lines = value.shape[0]
    rises = coarse_slopes[0] > 0  # on the first piece
    signs = packed(((value > 0) | ((value == 0) & rises)) & bends)
    total = jnp.zeros(num_lines, jnp.int32)
    carry = jnp.zeros_like(value), value, signs, total, is_near(value, jnp.zeros(num_lines))
    (*_, total, near), rows = lax.scan(
        step, carry, (*_places(pieces, first - len(kernel)), pieces.start, _stops(pieces))
    )
    return _Sweep(*rows, total, jnp.any(near != 0, axis=1))  # type: ignore[call-arg]


def _swept_outputs(
    pieces: Pieces,
    first: int,
    coarse_slopes: Float[Array, "coarse lines out"],
    value: Float[Array, "lines out"],
    kernel: Float[Array, "in out"],
) -> tuple[Float[Array, "pieces lines out"], Float[Array, "pieces lines out"]]:
    """The outputs' slopes on all pieces, and their values where pieces start; arguments as of :func:`_swept`."""

    def step(carry: tuple, row: tuple) -> tuple[tuple, tuple]:
        slope, value = carry
        *place, length = row
        slope = _turned(slope, coarse_slopes, kernel, *place)
        return (slope, value + slope * length[:, None]), (slope, value)

    rows = (*_places(pieces, first - len(kernel)), _stops(pieces) - pieces.start)
    return lax.scan(step, (jnp.zeros_like(value), value), rows)[1]


def _places(pieces: Pieces, first: int) -> tuple[Array, ...]:
    """What the slopes on each piece are made of, where ``first`` is the number of the last layer's first unit."""
    return pieces.is_new, pieces.jump, jnp.where(pieces.is_new, pieces.maker - first, 0), pieces.coarse


def _stops(pieces: Pieces) -> Float[Array, "pieces lines"]:
    return jnp.concatenate([pieces.start[1:], jnp.ones_like(pieces.start[:1])])


def _turned(
    slope: Float[Array, "lines units"],
    coarse_slopes: Float[Array, "coarse lines units"],
    kernel: Float[Array, "in units"],
    is_new: Bool[Array, " lines"],
    jump: Float[Array, " lines"],
    unit: Int32[Array, " lines"],
    coarse: Int32[Array, " lines"],
) -> Float[Array, "lines units"]:
    """The slopes on the next piece: with a multiple of one row of the kernel, or those of another coarse piece."""
    own = _taken(coarse_slopes.reshape(-1, slope.shape[1]), _flat(coarse))
    return jnp.where(is_new[:, None], slope + jump[:, None] * _taken(kernel, unit), own)


def _bends(
    pieces: Pieces,
    swept: _Sweep,
    slope: Float[Array, " units"],
    errors: tuple[Float[Array, "lines units"], Float[Array, "lines units"]],
    num_new: int,
) -> _Bends:
    """The layer's breakpoints, ordered by piece and unit."""
    _, num_lines, width = swept.slope.shape
    entry = jnp.broadcast_to(jnp.arange(num_new, dtype=jnp.int32)[:, None], (num_new, num_lines))
    is_one = entry < swept.total
    piece = jnp.sum(swept.before <= entry[:, None], axis=1, dtype=jnp.int32) - 1
    row = _flat(piece)
    rank = entry - _taken(swept.before.reshape(-1), row)
    words = _taken(swept.flips.reshape(-1, swept.flips.shape[2]), row)
    unit = nth_bit(words.reshape(-1, words.shape[2]), rank.reshape(-1)).reshape(num_new, num_lines)
    unit = jnp.minimum(unit, width - 1)
    value, steep = (_taken(array.reshape(-1), row * width + unit) for array in (swept.value, swept.slope))
    steep = jnp.where(is_one, steep, 1.0)
    start, stop = (_taken(array.reshape(-1), row) for array in (pieces.start, _stops(pieces)))
    position = jnp.clip(start - value / steep, start, stop)
    at_zero, along = (_taken(array.reshape(-1), _flat(jnp.zeros_like(unit)) * width + unit) for array in errors)
    error = (at_zero + along * position) / jnp.abs(steep) + 16 * _UNIT_ROUNDOFF
    jump = (1 - _taken(slope, unit)) * jnp.abs(steep)
    return _Bends(jnp.where(is_one, position, jnp.inf), piece, unit, jump, error)


def _merged(pieces: Pieces, bends: _Bends, before: Int32[Array, "pieces lines"], num_pieces: int, first: int) -> Pieces:
    """The pieces with the breakpoints of one more layer; where there is no room, the last ones are left out."""
    num_old, num_lines = pieces.start.shape
    num_new = bends.unit.shape[0]
    number = jnp.arange(num_new, dtype=jnp.int32)[:, None]
    theirs, own = bends.position, bends.position[:, None]
    comes_before = (theirs < own) | ((theirs == own) & (number < number[:, None]))
    rank = jnp.sum(comes_before, axis=1, dtype=jnp.int32)
    places = [
        jnp.arange(num_old, dtype=jnp.int32)[:, None] + before,
        jnp.where(bends.position < jnp.inf, rank + bends.piece + 1, num_pieces),
    ]
    place = jnp.concatenate(places)
    size, num_both = num_pieces * num_lines, num_old + num_new
    target = jnp.where(place < num_pieces, _flat(place), size)
    source = jnp.broadcast_to(jnp.arange(num_both, dtype=jnp.int32)[:, None], place.shape)
    source = jnp.full(size, num_both, jnp.int32).at[target].set(source, mode="drop", unique_indices=True)
    source = source.reshape(num_pieces, num_lines)

    def both(old: Array, new: Array, padding: float) -> Array:
        rows = jnp.concatenate([old, new, jnp.full_like(old[:1], padding)])
        return _taken(rows.reshape(-1), _flat(source))

    old = jnp.broadcast_to(jnp.arange(num_old, dtype=jnp.int32)[:, None], (num_old, num_lines))
    return Pieces(
        start=both(pieces.start, bends.position, 1.0),
        coarse=both(old, bends.piece, num_old - 1),
        is_new=(source >= num_old) & (source < num_both),
        jump=both(jnp.zeros_like(pieces.start), bends.jump, 0.0),
        maker=both(pieces.maker, bends.unit + first, NO_UNIT),
        error=both(pieces.error, bends.error, 0.0),
    )


def _taken(array: Shaped[Array, "entries ..."], index: Int32[Array, "..."]) -> Shaped[Array, "..."]:
    return array.at[index].get(mode="promise_in_bounds")


def _flat(row: Int32[Array, "*rows lines"]) -> Int32[Array, "*rows lines"]:
    """Indices into an array (rows, lines) of which both axes have been joined."""
    num_lines = row.shape[-1]
    return row * num_lines + jnp.arange(num_lines, dtype=jnp.int32)


def sizes_of(layers: Layers) -> tuple[Sizes, ...]:
    """The sizes of all layers of one network, float64."""
    return tuple(_sizes_of(layer) for layer in layers)


def _sizes_of(layer: Dense) -> Sizes:
    kernel, bias = jnp.asarray(layer.kernel), jnp.asarray(layer.bias)
    columns = length_of(kernel.T)
    biases = jnp.where((columns == 0) & (bias == 0), 0.0, jnp.abs(bias) + _TINY)
    # the eighth root of the sum of the eighth powers of all singular values
    scale = jnp.maximum(jnp.max(jnp.abs(kernel), initial=0.0), _TINY)
    square = kernel / scale
    square = times(square.T, square) if kernel.shape[0] > kernel.shape[1] else times(square, square.T)
    square = times(square, square)
    spectral = (1 + 1e-6) * scale * jnp.sum(square**2) ** 0.125
    return Sizes(columns, biases, length_of(columns), length_of(biases), spectral)


def length_of(vectors: Float[Array, "*vectors entries"]) -> Float[Array, "*vectors"]:
    """Euclidean lengths, without overflow or underflow on the way."""
    largest = jnp.max(jnp.abs(vectors), axis=-1, initial=0.0)
    scaled = vectors / jnp.where(largest > 0, largest, 1.0)[..., None]
    return largest * jnp.sqrt(jnp.sum(scaled**2, axis=-1))
