"""Exact breakpoints of networks along lines in input space, and the affine piece between each two.

On a segment x(t) = start + t (stop - start), a network of layers is piecewise linear in t. Its breakpoints are computed
layer by layer from the affine maps of the pieces (:mod:`jaxgeom.regions.sweep`), at the cost of a product with each
kernel per breakpoint of earlier layers; nothing is searched for. Sotoudeh & Thakur 2019 (arXiv:1908.06214) restrict
networks to segments in this way; Hanin & Rolnick 2019 (arXiv:1901.09021) count breakpoints of random networks.

An infinite line is two rays from one of its points. On homogeneous points (x, w) a network is one whose biases are
multiplied by w, and a ray from a is the segment from (a, 1) to (direction, 0): no length is long enough, but none is
needed.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32

from jaxgeom._reprs import readable
from jaxgeom.contract import times
from jaxgeom.given import as_float64, check_finite_points, float64_of
from jaxgeom.layers import Activation, Dense, Layers, check_finite, check_layers, with_activation, with_units
from jaxgeom.regions.sweep import NO_UNIT, Rays, Rooms, Sizes, Traced, length_of, sizes_of, trace

KINDS = ("segment", "line")


@readable
class Breakpoints(NamedTuple):
    """Where networks bend along lines x(t) = start + t (stop - start), and their affine maps in between.

    A breakpoint is a point of the line, no end of it, where the activation pattern changes. Several units that change
    in one point make one breakpoint.
    """

    count: Int[Array | np.ndarray, "*lines"]  # type: ignore[assignment]
    """Number of breakpoints; there is one piece more. Where ``overflow``, those that there was room for."""
    t: Float[Array | np.ndarray, "*lines capacity"]
    """Where they are, in increasing order; infinity after the last one."""
    layer: Int[Array | np.ndarray, "*lines capacity"]
    """Which hidden layer bends there, counted from 0; of several the first. -1 after the last breakpoint."""
    unit: Int[Array | np.ndarray, "*lines capacity"]
    """Which unit of that layer; of several the first. -1 after the last breakpoint."""
    valid: Bool[Array | np.ndarray, "*lines capacity"]
    """Which entries are breakpoints: the first ``count``."""
    slope: Float[Array | np.ndarray, "*lines pieces out"]
    """Slopes of the outputs with respect to t, on each piece; zero after the last one."""
    intercept: Float[Array | np.ndarray, "*lines pieces out"]
    """The outputs on a piece are ``slope * t + intercept``; zero after the last one."""
    overflow: Bool[Array | np.ndarray, "*lines"]
    """Whether the capacity did not suffice."""
    degenerate: Bool[Array | np.ndarray, "*lines"]
    """Whether some decision lay within rounding error. Then near ties are taken as ties, and nothing is certain."""


class _Distinct(NamedTuple):
    """Breakpoints as functions of the parameter from 0 to 1, those in one point taken as one."""

    count: Int32[Array, " lines"]  # type: ignore[assignment]
    position: Float[Array, "capacity lines"]
    maker: Int32[Array, "capacity lines"]
    slope: Float[Array, "pieces lines out"]
    offset: Float[Array, "pieces lines out"]
    """The outputs at parameter p are ``slope * p + offset``."""
    overflow: Bool[Array, " lines"]
    degenerate: Bool[Array, " lines"]


def line_breakpoints(
    layers: Layers,
    start: Float[Array | np.ndarray, "*lines in"],
    stop: Float[Array | np.ndarray, "*lines in"],
    *,
    capacity: int,
    kind: str = "segment",
    activation: Activation | None = None,
) -> Breakpoints:
    """Breakpoints of one network along one line, or along many, with fixed capacity.

    Works under ``jit``, ``vmap`` and ``grad``, in float64 whatever the x64 setting. Many lines in one call are faster
    than ``vmap``. Zero units never bend, and serve as padding. :func:`jaxgeom.breakpoints` does the same on the host,
    with capacities that always suffice, and settles in integers what rounding left open.

    Args:
        layers: one network.
        start, stop: two points of the line, shape (in,); or of many lines, shape (lines, in).
        capacity: room for so many breakpoints on a line, of all layers together.
        kind: "segment" from start to stop, or the infinite "line" through both.
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.

    Raises:
        ValueError: if shapes do not fit, for an unknown kind, or a capacity below 1.
    """
    check_kind(kind)
    if capacity < 1:
        raise ValueError(f"capacity must be a positive integer, but {capacity} was given.")
    with jax.enable_x64(True):
        start, stop = (float64_of(point, "the points of a line") for point in (start, stop))
    if np.shape(start) != np.shape(stop) or np.ndim(start) not in (1, 2):
        raise ValueError(
            "start and stop must have one shape, (in,) or (lines, in), but they have shapes "
            f"{np.shape(start)} and {np.shape(stop)}."
        )
    layers = check_layers(with_activation(layers, activation), dim=np.shape(start)[-1])
    if np.ndim(layers[0].bias) != 1:
        raise ValueError(
            f"one network is needed, but the layers have leading axes {np.shape(layers[0].bias)[:-1]}. Use "
            "jax.vmap, or jaxgeom.breakpoints for populations."
        )
    for point in (start, stop):
        check_finite_points(point, "the points of a line")
    check_finite(layers)
    with jax.enable_x64(True):
        layers = jax.tree.map(as_float64, layers)
        points = (start[None], stop[None]) if np.ndim(start) == 1 else (start, stop)
        num_outputs = layers[-1].bias.shape[-1]
        found = _along(with_units(layers), *points, capacity=capacity, is_infinite=kind == "line")
        found = found._replace(
            slope=found.slope[..., :num_outputs],
            intercept=found.intercept[..., :num_outputs],
        )
        return jax.tree.map(lambda array: array[0], found) if np.ndim(start) == 1 else found


def check_kind(kind: str) -> None:
    """Raise a ValueError unless there is this kind of line."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, but {kind!r} was given.")


@partial(jax.jit, static_argnames=("capacity", "is_infinite"))
def _along(
    layers: Layers,
    start: Float[Array, "lines in"],
    stop: Float[Array, "lines in"],
    *,
    capacity: int,
    is_infinite: bool,
) -> Breakpoints:
    sizes = sizes_of(layers)
    rooms, pieces = [], 1
    for layer in layers[:-1]:
        new = min(capacity, layer.bias.shape[0] * pieces)
        pieces = min(pieces + new, capacity + 1)
        rooms.append((new, pieces))
    if is_infinite:
        found = along_lines(layers, sizes, *two_rays(layers[0], start, stop), rooms=tuple(rooms))
    else:
        found = along_segments(layers, sizes, segments(layers[0], start, stop), rooms=tuple(rooms))
    return _with_capacity(found, capacity)


def _with_capacity(found: Breakpoints, capacity: int) -> Breakpoints:
    """Cut off or filled up."""
    missing = max(0, capacity - found.t.shape[1])

    def sized(array: Array | np.ndarray, size: int, padding: float) -> Array:
        width = [(0, 0), (0, missing)] + [(0, 0)] * (array.ndim - 2)
        return jnp.pad(array[:, :size], width, constant_values=padding)

    return Breakpoints(
        count=jnp.minimum(found.count, capacity),
        t=sized(found.t, capacity, jnp.inf),
        layer=sized(found.layer, capacity, NO_UNIT),
        unit=sized(found.unit, capacity, NO_UNIT),
        valid=sized(found.valid, capacity, False),
        slope=sized(found.slope, capacity + 1, 0),
        intercept=sized(found.intercept, capacity + 1, 0),
        overflow=found.overflow | (found.count > capacity),
        degenerate=found.degenerate,
    )


def segments(layer: Dense, start: Float[Array, "lines in"], stop: Float[Array, "lines in"]) -> Rays:
    """Segments as the first layer sees them."""
    change = stop - start
    return Rays(
        times(start, layer.kernel) + layer.bias, times(change, layer.kernel), length_of(start), length_of(change)
    )


def between(
    value: Float[Array, "lines units"],
    following: Float[Array, "lines units"],
    size: Float[Array, " lines"],
    following_size: Float[Array, " lines"],
) -> Rays:
    """Segments between points of which the first layer's pre-activations and the Euclidean lengths are known."""
    return Rays(value, following - value, size, size + following_size)


def two_rays(
    layer: Dense, start: Float[Array, "lines in"], stop: Float[Array, "lines in"]
) -> tuple[Rays, Float[Array, " lines"]]:
    """Both halves of infinite lines as the first layer sees them, all those with t < 0 first; and a scale.

    The parameter p of a ray means t = ± scale · p / (1 - p). The scale is that at which the first layer bends.
    """
    direction = stop - start
    value, change = times(start, layer.kernel) + layer.bias, times(direction, layer.kernel)
    scale = jnp.sum(jnp.abs(value), axis=1) / jnp.sum(jnp.abs(change), axis=1)
    scale = jnp.where((scale > 0) & (scale < jnp.inf), scale, 1.0)
    far = scale[:, None] * change
    value, far = jnp.concatenate([value, value]), jnp.concatenate([-far, far])
    size = length_of(start)
    return Rays(value, far - value, jnp.tile(size, 2), jnp.tile(size + scale * length_of(direction), 2)), scale


def along_segments(
    layers: Layers,
    sizes: tuple[Sizes, ...],
    rays: Rays,
    *,
    rooms: Rooms,
) -> Breakpoints:
    """Breakpoints along segments; arguments as for :func:`jaxgeom.regions.sweep.trace`."""
    widths = [layer.bias.shape[0] for layer in layers[:-1]]
    return _in_rows(_distinct(trace(layers, sizes, rays, rooms=rooms, fades=False)), widths)


def along_lines(
    layers: Layers,
    sizes: tuple[Sizes, ...],
    rays: Rays,
    scale: Float[Array, " lines"],
    *,
    rooms: Rooms,
) -> Breakpoints:
    """Breakpoints along infinite lines, with room for those of both halves; the rays are those of :func:`two_rays`."""
    found = _distinct(trace(layers, sizes, rays, rooms=rooms, fades=True))
    num_lines, room = scale.shape[0], found.position.shape[0]
    count, overflow, degenerate = (
        array.reshape(2, num_lines) for array in (found.count, found.overflow, found.degenerate)
    )
    factor = jnp.concatenate([-scale, scale])
    t = factor * found.position / (1 - found.position)
    slope = (found.slope + found.offset) / factor[:, None]

    def joined(array: Array, padding: float, is_about_pieces: bool = False) -> Array:
        """The negative halves backwards, then the positive ones; the first pieces of both are one."""
        back, forth = array[is_about_pieces:, :num_lines][::-1], array[:, num_lines:]
        rows = jnp.concatenate([back, forth, jnp.full_like(forth[:1], padding)])
        row = jnp.arange(len(rows) - 1, dtype=jnp.int32)[:, None] + room - count[0]
        row = jnp.minimum(row, len(rows) - 1).reshape(row.shape + (1,) * (array.ndim - 2))
        return jnp.take_along_axis(rows, row, axis=0, mode="promise_in_bounds")

    return _in_rows(
        _Distinct(
            count=count[0] + count[1],
            position=joined(jnp.where(found.position < jnp.inf, t, jnp.inf), jnp.inf),
            maker=joined(found.maker, NO_UNIT),
            slope=joined(slope, 0, is_about_pieces=True),
            offset=joined(found.offset, 0, is_about_pieces=True),
            overflow=overflow[0] | overflow[1],
            degenerate=degenerate[0] | degenerate[1],
        ),
        [layer.bias.shape[0] for layer in layers[:-1]],
    )


def _distinct(traced: Traced) -> _Distinct:
    """Breakpoints and pieces, without those that cannot be told apart from others, or from an end of the line."""
    pieces = traced.pieces
    num_rows, num_lines = pieces.start.shape
    room = num_rows - 1
    row = jnp.arange(num_rows, dtype=jnp.int32)[:, None]
    is_one = (row >= 1) & (row <= traced.num)
    before, error_before = (jnp.concatenate([a[:1], a[:-1]]) for a in (pieces.start, pieces.error))
    is_tie = is_one & (pieces.start - before <= pieces.error + error_before)
    is_end = is_one & (1 - pieces.start <= pieces.error)
    is_kept = is_one & ~is_tie & ~is_end
    number = _running_sum(is_kept.astype(jnp.int32))
    line = jnp.arange(num_lines, dtype=jnp.int32)
    target = jnp.where(is_kept, (number - 1) * num_lines + line, room * num_lines)
    at = jnp.full(room * num_lines, num_rows, jnp.int32)
    at = at.at[target].set(jnp.broadcast_to(row, target.shape), mode="drop", unique_indices=True)
    at = at.reshape(room, num_lines)
    is_there = at < num_rows

    def taken(array: Array, padding: float) -> Array:
        values = jnp.take_along_axis(array, jnp.minimum(at, num_rows - 1), axis=0, mode="promise_in_bounds")
        return jnp.where(is_there, values, padding)

    # of the pieces between two neighbours that were kept, the last one is not a sliver
    stop = jnp.min(jnp.where(is_end, row, jnp.minimum(traced.num + 1, num_rows)), axis=0)
    last = jnp.minimum(jnp.pad(at, ((0, 1), (0, 0)), constant_values=num_rows), stop) - 1
    is_piece = jnp.pad(is_there, ((1, 0), (0, 0)), constant_values=True)[..., None]
    start = jnp.take_along_axis(pieces.start, last, axis=0, mode="promise_in_bounds")
    slope, value = (
        jnp.take_along_axis(array, last[..., None], axis=0, mode="promise_in_bounds")
        for array in (traced.slope, traced.value)
    )
    return _Distinct(
        count=number[-1],
        position=taken(pieces.start, jnp.inf),
        maker=taken(pieces.maker, NO_UNIT),
        slope=jnp.where(is_piece, slope, 0.0),
        offset=jnp.where(is_piece, value - slope * start[..., None], 0.0),
        overflow=traced.overflow,
        degenerate=(traced.degenerate | jnp.any(is_tie | is_end, axis=0)) & ~traced.overflow,
    )


def _running_sum(numbers: Int32[Array, "rows lines"]) -> Int32[Array, "rows lines"]:
    """Sums of all rows up to each, in so few steps that compilers make little of it."""
    step = 1
    while step < len(numbers):
        numbers = numbers + jnp.pad(numbers[:-step], ((step, 0), (0, 0)))
        step *= 2
    return numbers


def _in_rows(found: _Distinct, widths: Sequence[int]) -> Breakpoints:
    """With the lines along the first axis, and units named by their layer and their number in it."""
    t, maker, slope, intercept = (
        jnp.moveaxis(array, 1, 0) for array in (found.position, found.maker, found.slope, found.offset)
    )
    first = np.cumsum([0, *widths]).astype(np.int32)
    layer = jnp.sum(maker[..., None] >= first, axis=-1, dtype=jnp.int32) - 1
    unit = jnp.where(layer >= 0, maker - jnp.asarray(first)[layer], NO_UNIT)
    valid = jnp.arange(t.shape[1]) < found.count[:, None]
    return Breakpoints(found.count, t, layer, unit, valid, slope, intercept, found.overflow, found.degenerate)
