"""[host] Exact breakpoints along thousands of lines: capacities that suffice, chunks, progress, ties decided.

:mod:`jaxgeom.regions.lines` does the work, in chunks of lines or of networks. How many breakpoints to make room for is
guessed from changes of sign along a few of the lines; lines with more are done again with twice the room. What float64
cannot decide with certainty is computed anew in integers (:mod:`jaxgeom.regions.exact_lines`).
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float
from tqdm.auto import tqdm

from jaxgeom._typing import PyTree
from jaxgeom.chunks import check_chunk_size, map_chunks
from jaxgeom.given import float64_of
from jaxgeom.layers import Activation, Dense, Layers, slope_of, with_activation, with_units
from jaxgeom.regions.batches import NOT_COUNTED, flattened, in_float64
from jaxgeom.regions.exact_lines import ExactLine, exact_line
from jaxgeom.regions.lines import Breakpoints, along_lines, along_segments, between, check_kind, segments, two_rays
from jaxgeom.regions.sweep import NO_UNIT, Rays, Rooms, Sizes, sizes_of

_CHUNK_BYTES = 20 * 2**20  # beyond 32 MiB, the C library gets fresh pages for every call
_MOST_LANES = 512
_SAMPLE_FLOPS = 2e8
_MANY = 2**18  # so many lines are worth a second program for those with more breakpoints than most
_SMALLEST = 1e-290


def breakpoints(
    layers: Layers,
    start: Float[Array | np.ndarray, "*lines in"],
    stop: Float[Array | np.ndarray, "*lines in"],
    *,
    kind: str = "segment",
    activation: Activation | None = None,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> Breakpoints:
    """Breakpoints of networks along segments or infinite lines in input space, and the affine pieces, exactly.

    A breakpoint is a point of the line where the activation pattern of the hidden units changes; the ends of a segment
    are none, and the output's sign does not matter. Count and order are those of real arithmetic on the numbers as they
    are; positions and affine maps are correct to rounding.

    Args:
        layers: one network, or a population with any leading axes.
        start, stop: two points of the line, or of many lines. Shapes (in,) and (lines, in) are lines that all networks
            get; with (*networks, lines, in), each network has its own. The two are broadcast against each other.
        kind: "segment" from start to stop, or the infinite "line" through both.
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.
        chunk_size: lines computed at once; default by memory.
        progress: show a progress bar; a string is its title.

    Returns:
        NumPy arrays with the leading axes of the networks, then of the lines, as wide as the most breakpoints. Where a
        member of a population has NaN or infinite weights, the count is -1. Nothing overflows. ``degenerate`` marks
        lines that integer arithmetic decided.

    Raises:
        TypeError: for anything that is not a network.
        ValueError: for shapes that do not fit, an unknown kind, activations without linear regions, lines whose two
            points are equal or not finite, or NaN or infinite weights in a single network.
    """
    check_kind(kind)
    check_chunk_size(chunk_size)
    flat, leading, is_finite = flattened(with_activation(layers, activation))
    num_outputs = flat[-1].bias.shape[1]
    flat = with_units(flat)
    both, axes = checked_points(start, stop, leading, flat[0].kernel.shape[1])
    members = jax.tree.map(lambda array: array[is_finite], flat)
    start, stop = (array if len(array) == 1 else array[is_finite] for array in both)
    points = start, stop
    found = found_along(members, points, kind, chunk_size, progress)
    found, _ = decided(found, members, points, kind, progress)
    is_counted = np.repeat(is_finite, start.shape[1])
    found = found._replace(slope=found.slope[..., :num_outputs], intercept=found.intercept[..., :num_outputs])
    everyone = _nothing(len(is_counted), found.t.shape[1], found.slope.shape[2])
    np.asarray(everyone.count)[...] = NOT_COUNTED
    _fill(everyone, np.flatnonzero(is_counted), found)
    return Breakpoints(*(np.reshape(array, (*leading, *axes, *array.shape[1:])) for array in everyone))


def checked_points(
    start: Array | np.ndarray, stop: Array | np.ndarray, leading: tuple[int, ...], dim: int
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[int, ...]]:
    """Both points in float64, (networks or 1, lines, in), after checks; and the axes of the lines."""
    points = [np.asarray(float64_of(array, "the points of a line")) for array in (start, stop)]
    shapes = [array.shape for array in points]
    allowed = (1, 2, len(leading) + 2) if leading else (1, 2)
    own = ", or (*networks, lines, in)" if leading else ""
    if any(len(shape) not in allowed or shape[-1] != dim or 0 in shape for shape in shapes):
        raise ValueError(
            f"start and stop must have shape (in,) or (lines, in){own}, with in = {dim} inputs and at least one line, "
            f"but they have shapes {shapes[0]} and {shapes[1]}."
        )
    points = [np.atleast_2d(array) for array in points]
    axes = leading if max(array.ndim for array in points) > 2 else ()
    lines = max(array.shape[-2] for array in points)
    try:
        points = [np.broadcast_to(array, (*axes, lines, dim)).reshape(-1, lines, dim) for array in points]
    except ValueError as error:
        raise ValueError(
            f"start and stop, of shapes {shapes[0]} and {shapes[1]}, do not fit together, or to the leading axes "
            f"{leading} of the layers. Shapes are (in,) or (lines, in){own}."
        ) from error
    if not all(np.isfinite(array).all() for array in points):
        raise ValueError("the points of a line must be finite, but NaN or infinity was given.")
    same = np.argwhere((points[0] == points[1]).all(axis=-1))
    if len(same):
        raise ValueError(
            f"start and stop must be different points, but they are equal for {len(same)} lines, first for line "
            f"{same[0, 1]}. Leave these out."
        )
    return (points[0], points[1]), (lines,) if max(map(len, shapes)) > 1 else ()


def found_along(
    members: Layers,
    points: tuple[np.ndarray, np.ndarray],
    kind: str,
    chunk_size: int | None,
    progress: bool | str,
) -> Breakpoints:
    """In float64, for all lines of the first network, then the next; ``points`` are (networks or 1, lines, in)."""
    num, num_lines, num_outputs = len(members[0].bias), points[0].shape[1], members[-1].bias.shape[1]
    if not num:
        return _nothing(0, 0, num_outputs)
    with jax.enable_x64(True):
        sizes = jax.tree.map(np.asarray, _sizes_of_networks(members))
    new = _guessed(members, points, kind, 1.0 if num * num_lines < _MANY else 0.9)
    lanes = chunk_size or _lanes(members, new, kind)
    widths = [layer.bias.shape[1] for layer in members[:-1]]
    parts: list[tuple[np.ndarray, Breakpoints]] = []  # indices of lines, and what was found
    if num == 1 or num_lines >= lanes:
        for member in range(num):
            network, size = jax.tree.map(lambda array, member=member: array[member], (members, sizes))
            start, stop = (array[member if len(array) > 1 else 0] for array in points)
            lines = _corners(network[0], start, stop) if kind == "path" else (start, stop)
            run = partial(_of_network, layers=network, sizes=size, kind=kind)
            found, new = _complete(run, lines, new, widths, lanes, progress)
            parts += [(index + member * num_lines, part) for index, part in found]
    else:
        shared = tuple(array[0] for array in points) if len(points[0]) == len(points[1]) == 1 else None
        own = () if shared else tuple(np.broadcast_to(array, (num, *array.shape[1:])) for array in points)
        run = partial(_of_networks, shared=shared, kind=kind)
        found, _ = _complete(run, (members, sizes, *own), new, widths, max(1, lanes // num_lines), progress)
        every = np.arange(num_lines)
        parts += [
            ((index[:, None] * num_lines + every).ravel(), Breakpoints(*(_flat(array) for array in part)))
            for index, part in found
        ]
    together = _nothing(num * num_lines, max(part.t.shape[1] for _, part in parts), num_outputs)
    for index, part in parts:
        _fill(together, index, part)
    return together


def _flat(array: Array | np.ndarray) -> np.ndarray:
    return np.reshape(array, (array.shape[0] * array.shape[1], *array.shape[2:]))


def _fill(into: Breakpoints, lines: np.ndarray, part: Breakpoints) -> None:
    """Write some lines, which need not be as wide."""
    for array, values in zip(map(np.asarray, into), map(np.asarray, part), strict=True):
        array[(lines,) if values.ndim == 1 else (lines, slice(values.shape[1]))] = values


@jax.jit
def _sizes_of_networks(members: Layers) -> tuple[Sizes, ...]:
    return jax.vmap(sizes_of)(members)


def _corners(layer: Dense, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, ...]:
    """The segments of a path as the first layer sees their ends, each of which is looked at once."""
    with jax.enable_x64(True):
        rays = _at_points(layer, np.concatenate([start, stop[-1:]]))
    value, size = np.asarray(rays.value), np.asarray(rays.value_size)
    return value[:-1], value[1:], size[:-1], size[1:]


@jax.jit
def _at_points(layer: Dense, points: Array) -> Rays:
    return segments(layer, points, points)


@partial(jax.jit, static_argnames=("kind", "rooms"))
def _of_network(
    lines: tuple[Array, ...],
    *,
    layers: Layers,
    sizes: tuple[Sizes, ...],
    kind: str,
    rooms: Rooms,
) -> Breakpoints:
    if kind == "line":
        return along_lines(layers, sizes, *two_rays(layers[0], *lines), rooms=rooms)
    rays = between(*lines) if kind == "path" else segments(layers[0], *lines)
    return along_segments(layers, sizes, rays, rooms=rooms)


@partial(jax.jit, static_argnames=("kind", "rooms"))
def _of_networks(chunk: tuple, *, shared: tuple[Array, Array] | None, kind: str, rooms: Rooms) -> Breakpoints:
    def single(layers: Layers, sizes: tuple[Sizes, ...], *lines: Array) -> Breakpoints:
        return _of_network(lines or shared, layers=layers, sizes=sizes, kind=kind, rooms=rooms)

    return jax.vmap(single)(*chunk)


def _complete(
    run: Callable[..., Breakpoints],
    items: PyTree,
    new: list[int],
    widths: Sequence[int],
    chunk_size: int,
    progress: bool | str,
) -> tuple[list[tuple[np.ndarray, Breakpoints]], list[int]]:
    """All items (lines, or networks), those with too little room again with more.

    Returns:
        Which items, with their results, in as many parts as there were rounds; and how much room sufficed.
    """
    parts = []
    pending = np.arange(len(jax.tree.leaves(items)[0]))
    while True:
        pieces = 1 + np.cumsum(new)
        rooms = tuple(zip(new, pieces.tolist(), strict=True))
        some = jax.tree.map(lambda array, pending=pending: array[pending], items)
        found = map_chunks(in_float64(run, rooms=rooms), some, chunk_size=chunk_size, progress=progress)
        is_done = ~found.overflow.reshape(len(pending), -1).any(axis=1)
        most = int(found.count[is_done].max(initial=0))
        sized = found._replace(
            **{name: getattr(found, name)[..., :most] for name in ("t", "layer", "unit", "valid")},
            **{name: getattr(found, name)[..., : most + 1, :] for name in ("slope", "intercept")},
        )
        parts.append((pending[is_done], Breakpoints(*(array[is_done] for array in sized))))
        pending = pending[~is_done]
        if not len(pending):
            return parts, new
        new = _bounded([2 * number for number in new], widths)


def _bounded(new: Sequence[int], widths: Sequence[int]) -> list[int]:
    """No more room for the breakpoints of each layer than there can be: one for each unit and piece."""
    bounded: list[int] = []
    for number, width in zip(new, widths, strict=True):
        bounded.append(int(min(number, width * (1 + sum(bounded)))))
    return bounded


def _guessed(members: Layers, points: tuple[np.ndarray, np.ndarray], kind: str, share: float) -> list[int]:
    """Room for the breakpoints of each layer, by changes of sign along some of the lines.

    Args:
        share: of the lines, that are to have enough.
    """
    widths = [layer.bias.shape[1] for layer in members[:-1]]
    steps = int(np.clip(2 * sum(widths), 64, 512))
    flops = 2 * steps * (widths[0] + sum(a * b for a, b in pairwise(widths))) if widths else 1
    num, num_lines = len(members[0].bias), points[0].shape[1]
    most = min(int(np.clip(_SAMPLE_FLOPS // flops, 2, 64)), num * num_lines)
    p = np.linspace(0, 1, steps, endpoint=kind != "line")[:, None]
    weight = 1 - p if kind == "line" else np.ones_like(p)
    counts = []
    with np.errstate(over="ignore", invalid="ignore"):  # a guess
        for item in np.linspace(0, num * num_lines - 1, most).astype(int):
            member, line = divmod(int(item), num_lines)
            layers = jax.tree.map(lambda array, member=member: array[member], members)
            start, stop = (array[member if len(array) > 1 else 0, line] for array in points)
            value, change = start @ layers[0].kernel + layers[0].bias, (stop - start) @ layers[0].kernel
            scale = np.abs(value).sum() / np.abs(change).sum() if kind == "line" and change.any() else 1.0
            for sign in (1, -1) if kind == "line" else (1,):
                z = weight * value + p * (sign * scale * change)
                count = []
                for before, layer in pairwise(layers):
                    slope = slope_of(before)
                    count.append(np.count_nonzero(((z[1:] > 0) != (z[:-1] > 0)) & (slope != 1)))
                    z = np.where(z > 0, z, slope * z) @ layer.kernel + weight * layer.bias
                counts.append(count)
    enough = np.quantile(np.array(counts).reshape(len(counts), -1), share, axis=0, method="higher")
    return _bounded([_rounded(1.1 * number + 1) for number in enough], widths)


def _rounded(number: float) -> int:
    """Up by an eighth at most, or to a multiple of four, so that few sizes are compiled."""
    step = 2 ** max(2, int(number).bit_length() - 4)
    return step * math.ceil(number / step)


def _lanes(members: Layers, new: Sequence[int], kind: str) -> int:
    """How many lines to compute at once: so many that the slopes and values of a layer stay in memory at hand."""
    pieces = np.cumsum([1, *new])
    widths = [layer.bias.shape[1] for layer in members]
    bytes_each = 32 * max(int(p) * w for p, w in zip(pieces, widths, strict=True)) * (2 if kind == "line" else 1)
    if jax.default_backend() != "cpu":
        return int(np.clip(64 * _CHUNK_BYTES // bytes_each, 1, 2**16))
    return int(np.clip(_CHUNK_BYTES // bytes_each, 1, _MOST_LANES))


def decided(
    found: Breakpoints,
    members: Layers,
    points: tuple[np.ndarray, np.ndarray],
    kind: str,
    progress: bool | str,
) -> tuple[Breakpoints, dict[int, ExactLine]]:
    """With lines that float64 could not decide computed anew in integers; and these, by their number."""
    num, num_lines = len(members[0].bias), points[0].shape[1]
    is_tiny = np.zeros((num, num_lines), bool)
    for ends in points:
        is_tiny |= _has_tiny(ends, axis=2)
    for array in jax.tree.leaves(members):
        is_tiny |= _has_tiny(array, axis=tuple(range(1, array.ndim)))[:, None]
    undecided = np.flatnonzero(found.degenerate | is_tiny.ravel()).tolist()
    exact = {}
    for number in tqdm(undecided, unit="line", desc="in integers", disable=not (progress and undecided)):
        member, line = divmod(number, num_lines)
        network = jax.tree.map(lambda array, member=member: array[member], members)
        start, stop = (array[member if len(array) > 1 else 0, line] for array in points)
        exact[number] = exact_line(network, start, stop, is_infinite=kind == "line")
    width = max([found.t.shape[1], *(len(one.t) for one in exact.values())])
    lines = _nothing(num * num_lines, width, found.slope.shape[2])
    _fill(lines, np.arange(num * num_lines), found)
    for number, one in exact.items():
        part = _nothing(1, width, found.slope.shape[2])
        yes = np.ones((1, len(one.t)), bool)
        own = (one.t[None], one.layer[None], one.unit[None], yes, one.slope[None], one.intercept[None])
        is_it = np.ones(1, bool)
        _fill(part, np.arange(1), Breakpoints(np.array([len(one.t)]), *own, ~is_it, is_it))
        _fill(lines, np.array([number]), part)
    return lines, exact


def _has_tiny(array: Array | np.ndarray, axis: int | tuple[int, ...]) -> Any:
    """Whether there are numbers so small that their products may underflow."""
    return ((np.abs(array) < _SMALLEST) & (np.asarray(array) != 0)).any(axis=axis)


def _nothing(num: int, width: int, num_outputs: int) -> Breakpoints:
    """So many lines without breakpoints."""
    return Breakpoints(
        count=np.zeros(num, np.int32),
        t=np.full((num, width), np.inf),
        layer=np.full((num, width), NO_UNIT, np.int32),
        unit=np.full((num, width), NO_UNIT, np.int32),
        valid=np.zeros((num, width), bool),
        slope=np.zeros((num, width + 1, num_outputs)),
        intercept=np.zeros((num, width + 1, num_outputs)),
        overflow=np.zeros(num, bool),
        degenerate=np.zeros(num, bool),
    )
