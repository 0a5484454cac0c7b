"""Exact breakpoints of networks along lines in input space, and the affine piece between each two.

Sotoudeh & Thakur 2019 (arXiv:1908.06214) restrict networks to segments of a line; Hanin & Rolnick 2019
(arXiv:1901.09021) count breakpoints of random networks.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxgeom.host.chunks import check_chunk_size
from jaxgeom.host.contract import times
from jaxgeom.host.given import as_float64, check_positive, check_progress
from jaxgeom.networks.layers import Activation, Layers, check_finite, slope_of, with_activation
from jaxgeom.regions.cells import NOT_COUNTED, with_one_axis
from jaxgeom.regions.lines import Breakpoints, as_breakpoints, check_kind, checked_points, in_chunks


def breakpoints(
    layers: Layers,
    start: Float[Array | np.ndarray, "*lines in"],
    stop: Float[Array | np.ndarray, "*lines in"],
    *,
    kind: str = "segment",
    capacity: int | None = None,
    activation: Activation | None = None,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> Breakpoints:
    """Breakpoints of networks along segments or infinite lines in input space, and the affine pieces, exactly.

    A breakpoint is a point of the line where the activation pattern of the hidden units changes; the ends of a segment
    are none, and the output's sign does not matter. Count and order are those of real arithmetic on the numbers as they
    are. Positions are right to ten digits at least, affine maps to eight, and nearly always to twelve.

    The function may be called on arrays, and inside ``jit``, ``vmap``, ``scan`` and the like, where it needs a
    capacity. There, ``t``, ``slope`` and ``intercept`` are float64 whatever the x64 setting, and have derivatives with
    respect to weights and points: those of the lines' pieces as they are.

    Args:
        layers: one network, or a population with any leading axes.
        start: a point of the line, or of many lines. Shapes (in,) and (lines, in) are lines that all networks get; with
            (*networks, lines, in), each network has its own.
        stop: another point of each line. The two are broadcast against each other.
        kind: "segment" from start to stop, or the infinite "line" through both.
        capacity: room for so many breakpoints on a line; default as many as there are.
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.
        chunk_size: lines computed at once; default by memory. Results do not depend on it.
        progress: show a progress bar; a string is its title.

    Returns:
        Arrays with the leading axes of the networks, then of the lines, as wide as the capacity, or the most
        breakpoints.

    Raises:
        TypeError: for anything that is not a network.
        ValueError: for shapes that do not fit, an unknown kind, activations without linear regions, lines whose two
            points are equal or not finite, a capacity below 1, none under tracing, or NaN or infinite weights in a
            single network. In a population such networks get the count -1, as do, under tracing, networks and
            lines that are not finite; lines of two equal points have no breakpoints there.

    Example:
        >>> import jax, jaxgeom as jg
        >>> network = jg.layers_of(jg.mlp((2, 16, 16, 1), activation="relu").init(jax.random.key(0)))
        >>> found = jg.breakpoints(network, [-1.0, -1.0], [1.0, 1.0])
        >>> found.slope.shape == (found.count + 1, 1)
        True
    """
    check_progress(progress)
    check_kind(kind)
    check_chunk_size(chunk_size)
    if capacity is not None:
        check_positive("capacity", capacity)
    network = with_activation(layers, activation)
    is_traced = any(isinstance(array, jax.core.Tracer) for array in jax.tree.leaves((network, start, stop)))
    leading = np.shape(network[0].bias)[:-1]
    dim = np.shape(network[0].kernel)[-2]
    if is_traced:
        with jax.enable_x64(True):
            points, axes = checked_points(start, stop, leading, dim)
        if capacity is None:
            raise ValueError("under tracing, arrays have fixed shapes: give a capacity, room for so many breakpoints.")
        found = _traced(network, points, kind, capacity)
    else:
        points, axes = checked_points(start, stop, leading, dim)
        start, stop = (np.asarray(array).reshape(-1, *array.shape[-2:]) for array in points)
        found = as_breakpoints(in_chunks(with_one_axis(network), (start, stop), kind, chunk_size, progress), capacity)
        if not leading and found.count[0] == NOT_COUNTED:
            check_finite(network)
    own = points[0].shape[-2:-1] if axes else ()
    return Breakpoints(*(array.reshape((*leading, *own, *array.shape[1:])) for array in found))


def _traced(
    layers: Layers, points: tuple[Array | np.ndarray, Array | np.ndarray], kind: str, capacity: int
) -> Breakpoints:
    """The same as part of the program that is being traced, with one axis for networks and lines.

    The engine is called on the host. Callbacks round float64 where x64 is off, and so get its bits, and return them.
    """
    leading = np.shape(layers[0].bias)[:-1]
    num_lines, num_outputs = points[0].shape[-2], np.shape(layers[-1].bias)[-1]
    with jax.enable_x64(True):
        ends = tuple(jnp.broadcast_to(array, (*leading, *array.shape[-2:])) for array in points)
        given, structure = jax.tree.flatten((layers, ends))
        arrays = [_as_float(array) for array in given]
        # float32 stays what it is for the engine: programs take subnormal numbers for zero when they convert them
        bits_of = [
            jnp.asarray(jax.lax.stop_gradient(array))
            if array.dtype == np.float32
            else jax.lax.bitcast_convert_type(jax.lax.stop_gradient(as_double), jnp.uint32)
            for array, as_double in zip(given, arrays, strict=True)
        ]
        num = math.prod(leading) * num_lines
        lines = jax.ShapeDtypeStruct((*leading, num_lines), np.int32)
        listed = jax.ShapeDtypeStruct((*leading, num_lines, capacity), np.int32)
        floats = [(capacity + 1,), *[(capacity + 1, num_outputs)] * 2]  # also where the last piece ends
        shapes = [lines, lines, listed, listed]
        shapes += [jax.ShapeDtypeStruct((*leading, num_lines, *shape, 2), np.uint32) for shape in floats]

        def on_host(*arrays: Array) -> tuple[np.ndarray, ...]:
            values = [
                np.asarray(array) if array.dtype == np.float32 else np.asarray(array).view(np.float64)[..., 0]
                for array in arrays
            ]
            networks, ends = jax.tree.unflatten(structure, values)
            shape = networks[0].bias.shape[:-1]
            start, stop = (array.reshape(-1, *array.shape[-2:]) for array in ends)
            lines = in_chunks(with_one_axis(networks), (start, stop), kind, None, False)
            found = as_breakpoints(lines, capacity)
            doubles = as_breakpoints(lines, capacity + 1).t, found.slope, found.intercept
            bits = [np.ascontiguousarray(array)[..., None].view(np.uint32) for array in doubles]
            results = map(np.asarray, (found.count, found.degenerate.astype(np.int32), found.layer, found.unit, *bits))
            return tuple(array.reshape(*shape, num_lines, *array.shape[1:]) for array in results)

        count, degenerate, layer, unit, *bits = jax.pure_callback(
            on_host, tuple(shapes), *bits_of, vmap_method="broadcast_all"
        )
        t, slope, intercept = (jax.lax.bitcast_convert_type(array, jnp.float64) for array in bits)
        discrete = layer, unit, count
        t, slope, intercept = _differentiable(
            kind, (t, slope, intercept), discrete, *jax.tree.unflatten(structure, arrays)
        )
        found = Breakpoints(
            count,
            t,
            layer,
            unit,
            jnp.arange(capacity) < count[..., None],
            slope,
            intercept,
            count > capacity,
            degenerate > 0,
        )
        result: Breakpoints = jax.tree.map(lambda array: array.reshape(num, *array.shape[len(leading) + 1 :]), found)
        return result


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _differentiable(
    _kind: str,
    found: tuple[Array, Array, Array],
    _discrete: tuple[Array, Array, Array],
    _layers: Layers,
    _ends: tuple[Array, Array],
) -> tuple[Array, Array, Array]:
    """Positions, slopes and intercepts as they were found, with derivatives. Of the positions, one more is given than
    is returned: where the last piece ends, if the capacity was too small."""
    return found[0][..., :-1], *found[1:]


@_differentiable.defjvp
def _derivatives(kind: str, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    found, discrete, layers, ends = primals

    def again(layers: Layers, ends: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        function = jax.vmap(partial(_recomputed, kind), in_axes=(0, 0, None, 0, 0))
        for _ in range(jnp.ndim(layers[0].bias) - 1):
            function = jax.vmap(function)
        return function(found, discrete, layers, *ends)

    with jax.enable_x64(True):
        return (found[0][..., :-1], *found[1:]), jax.jvp(again, (layers, ends), tangents[2:])[1]


def _recomputed(
    kind: str,
    found: tuple[Array, Array, Array],
    discrete: tuple[Array, Array, Array],
    layers: Layers,
    start: Float[Array, " in"],
    stop: Float[Array, " in"],
) -> tuple[Array, Array, Array]:
    """Positions, slopes and intercepts of one network along one line from the middles of its pieces."""
    t, *_ = found
    layer, unit, count = discrete
    room = t.shape[0] - 1
    is_there = jnp.arange(room) < count
    first: float | Array = 0.0
    last: float | Array = 1.0
    if kind == "line":
        first, last = jnp.where(count > 0, jnp.stack([t[0] - 1, t[jnp.clip(count - 1, 0, room)] + 1]), 0.0)
    ends = jnp.concatenate([jnp.full(1, first), jnp.where(jnp.arange(room + 1) < count, t, last)])
    middle = jax.lax.stop_gradient((ends[1:] + ends[:-1]) / 2)
    direction = stop - start
    value, change = start + middle[:, None] * direction, jnp.broadcast_to(direction, (room + 1, len(direction)))
    values, changes = [jnp.ones((room + 1, 0))], [jnp.ones((room + 1, 0))]
    for own in layers:
        z, dz = times(value, own.kernel) + own.bias, times(change, own.kernel)
        values.append(z)
        changes.append(dz)
        factor = jnp.where(z > 0, 1.0, slope_of(own))
        value, change = factor * z, factor * dz
    offsets = np.cumsum([0, *(own.bias.shape[0] for own in layers)])
    at = jnp.where(is_there, jnp.asarray(offsets)[layer] + unit, 0)
    # not by indices: the transpose of those is made where x64 may be off, and then mixes float32 with float64
    is_at = jnp.arange(offsets[-1]) == at[:, None]
    z, dz = (jnp.sum(jnp.where(is_at, jnp.concatenate(rows, axis=1)[:-1], 0.0), axis=1) for rows in (values, changes))
    place = middle[:-1] - z / jnp.where(is_there & (dz != 0), dz, 1.0)
    is_piece = (jnp.arange(room + 1) <= count)[:, None]
    slope = jnp.where(is_piece, changes[-1], 0.0)
    return jnp.where(is_there, place, 0.0), slope, jnp.where(is_piece, values[-1] - middle[:, None] * changes[-1], 0.0)


def _as_float(array: Array | np.ndarray) -> Array:
    """In float64, differentiably."""
    return jnp.asarray(array if isinstance(array, jax.core.Tracer) else as_float64(array)).astype(jnp.float64)
