"""[host] Breakpoints of networks along lines in input space, exactly, for any number of networks and lines.

On a line x(t) = start + t (stop - start), a network of layers is piecewise linear in t. The compiled engine follows it
layer by layer: a piece is cut at the roots of the units that change sign on it, and nothing is searched for.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from tqdm.auto import tqdm

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX
from jaxgeom.engine import library
from jaxgeom.host.given import check_finite_points, check_progress, float64_of
from jaxgeom.host.names import check_name
from jaxgeom.host.sizes import fitting
from jaxgeom.networks.layers import Layers
from jaxgeom.regions.cells import NOT_COUNTED, by_slopes, finite_member, warn_once, weights_of
from jaxgeom.regions.exact_lines import exact_line

KINDS = ("segment", "line")
NO_UNIT = -1
"""Stands in place of a layer or a unit where there is no breakpoint."""

_CHUNK_BYTES = 2**28

Ends = tuple[Float[np.ndarray, "sets lines in"], Float[np.ndarray, "sets lines in"]]
"""Two points of each line; one set of lines for all networks, or one for each."""


@readable
class Breakpoints(NamedTuple):
    """Breakpoints of networks along lines x(t) = start + t (stop - start), and the affine maps in between.

    A breakpoint is a point of the line, no end of it, where the activation pattern changes. Several units that change
    in one point make one breakpoint. NumPy arrays, or JAX arrays where the layers or points are traced.
    """

    count: Int[Array | np.ndarray, "*lines"]  # type: ignore[assignment]  # the name of a method of tuples
    """Number of breakpoints; there is one piece more. -1 where the network is not finite, or a traced line."""
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
    """Whether there are more breakpoints than the capacity; the first ones are there, and ``count`` is right."""
    degenerate: Bool[Array | np.ndarray, "*lines"]
    """Where an exact zero was met: units that bend in one point, or one that is zero at an end of a segment."""


def checked_points(
    start: Any, stop: Any, leading: tuple[int, ...], dim: int
) -> tuple[tuple[Array | np.ndarray, Array | np.ndarray], bool]:
    """Both points in float64, (lines, in) or (*networks, lines, in), after checks; and whether lines have an axis."""
    points = [float64_of(array, "the points of a line") for array in (start, stop)]
    shapes = [np.shape(array) for array in points]
    allowed = (1, 2, len(leading) + 2) if leading else (1, 2)
    own = ", or (*networks, lines, in)" if leading else ""
    if any(len(shape) not in allowed or shape[-1] != dim or 0 in shape[len(leading) :] for shape in shapes):
        raise ValueError(
            f"start and stop must have shape (in,) or (lines, in){own}, with in = {dim} inputs and at least one line, "
            f"but they have shapes {shapes[0]} and {shapes[1]}."
        )
    xp = jnp if any(isinstance(array, jax.core.Tracer) for array in points) else np
    points = [array if array.ndim > 1 else array[None] for array in points]
    axes = leading if max(array.ndim for array in points) > MATRIX else ()
    lines = max(array.shape[-2] for array in points)
    try:
        shape = (*axes, lines, dim)
        points = [array if array.shape == shape else xp.broadcast_to(array, shape) for array in points]
    except ValueError as error:
        raise ValueError(
            f"start and stop, of shapes {shapes[0]} and {shapes[1]}, do not fit together, or to the leading axes "
            f"{leading} of the layers. Shapes are (in,) or (lines, in){own}."
        ) from error
    for array in points:
        check_finite_points(array, "the points of a line")
    if xp is np and (points[0] == points[1]).all(axis=-1).any():
        same = np.argwhere((points[0] == points[1]).all(axis=-1))
        raise ValueError(
            f"start and stop must be different points, but they are equal for {len(same)} lines, first for line "
            f"{same[0, -1]}. Leave these out."
        )
    return (points[0], points[1]), max(map(len, shapes)) > 1


def check_kind(kind: str) -> None:
    """Raise a ValueError unless there is this kind of line."""
    check_name("kind", kind, KINDS)


def in_chunks(
    networks: Layers,
    points: Ends,
    kind: str,
    chunk_size: int | None,
    progress: bool | str,
    *,
    has_ends: bool = False,
) -> library.Lines:
    """Breakpoints of a population with one leading axis, those of the first network first, so many lines at once."""
    check_progress(progress)
    num, num_lines = len(networks[0].bias), points[0].shape[1]
    units = sum(layer.bias.shape[1] for layer in networks[:-1])
    size = chunk_size or fitting(64 + 16 * (units + 1) * (1 + networks[-1].bias.shape[1]), _CHUNK_BYTES)
    if num * num_lines <= size and not progress:
        return lines_of(networks, points, kind, has_ends=has_ends)
    nets, lines = max(1, size // num_lines), min(num_lines, size)
    parts = []
    title = progress if isinstance(progress, str) else None
    with tqdm(total=num * num_lines, unit="line", desc=title, disable=not progress) as bar:
        for first in range(0, num, nets):
            some = jax.tree.map(lambda array, first=first: array[first : first + nets], networks)
            own = _of_networks(points, slice(first, first + nets))
            for at in range(0, num_lines, lines):
                chunk = own[0][:, at : at + lines], own[1][:, at : at + lines]
                parts.append(lines_of(some, chunk, kind, has_ends=has_ends))
                bar.update(len(parts[-1].counts))
    if not parts:
        return _scattered(0, [], networks[-1].bias.shape[1], units if has_ends else 0)
    return _joined(parts) if len(parts) != 1 else parts[0]


def lines_of(
    networks: Layers,
    points: Ends,
    kind: str,
    *,
    has_ends: bool = False,
) -> library.Lines:
    """Breakpoints of a population with one leading axis: by the compiled engine, or in integers if it is not built."""
    num, num_lines, is_infinite = len(networks[0].bias), points[0].shape[1], kind == "line"
    parts: list[tuple[np.ndarray, library.Lines]] = []
    if library.is_available():
        for members, slopes in by_slopes(networks):
            own = points if isinstance(members, range) else _of_networks(points, members)
            arrays = weights_of(networks, members)
            found = library.lines(arrays, slopes, *own, is_infinite=is_infinite, has_ends=has_ends)
            if len(members) == num:
                return found
            parts.append(((np.asarray(members)[:, None] * num_lines + np.arange(num_lines)).ravel(), found))
    else:
        warn_once()
        for number in range(num * num_lines):
            member, line = divmod(number, num_lines)
            if (network := finite_member(networks, member)) is not None:
                start, stop = (array[0, line] for array in _of_networks(points, slice(member, member + 1)))
                found = exact_line(network, start, stop, is_infinite=is_infinite)
                parts.append((np.array([number]), found if has_ends else found._replace(ends=found.ends[..., :0])))
    num_units = sum(layer.bias.shape[-1] for layer in networks[:-1]) if has_ends else 0
    return _scattered(num * num_lines, parts, networks[-1].bias.shape[-1], num_units)


def _of_networks(points: Ends, members: Any) -> tuple[np.ndarray, np.ndarray]:
    """The lines of some networks, which may be those of all."""
    start, stop = (array if len(array) == 1 else array[members] for array in points)
    return start, stop


def _scattered(
    num: int, parts: list[tuple[np.ndarray, library.Lines]], num_outputs: int, num_units: int
) -> library.Lines:
    """Some of so many lines each, in one; those that are in no part are not counted."""
    most = max((part.t.shape[1] for _, part in parts), default=0)
    every = library.Lines(
        np.full(num, NOT_COUNTED, np.int64),
        np.zeros(num, bool),
        np.full((num, most), np.inf),
        np.full((num, most), NO_UNIT, np.int32),
        np.full((num, most), NO_UNIT, np.int32),
        np.zeros((num, most + 1, num_outputs)),
        np.zeros((num, most + 1, num_outputs)),
        np.zeros((num, 2, num_units), np.uint8),
    )
    for lines, part in parts:
        for into, values in zip(every, part, strict=True):
            into[(lines,) if values.ndim == 1 else (lines, slice(values.shape[1]))] = values
    return every


def _joined(parts: list[library.Lines]) -> library.Lines:
    """One after the other."""
    offsets = np.cumsum([0, *(len(part.counts) for part in parts)])
    index = [np.arange(a, b) for a, b in pairwise(offsets)]
    sizes = parts[0].slope.shape[2], parts[0].ends.shape[2]
    return _scattered(int(offsets[-1]), list(zip(index, parts, strict=True)), *sizes)


def as_breakpoints(lines: library.Lines, capacity: int | None) -> Breakpoints:
    """The engine's arrays, cut off or filled up to a capacity."""
    most = lines.t.shape[1]
    size = most if capacity is None else capacity

    def sized(array: np.ndarray, size: int, padding: float) -> np.ndarray:
        missing = [(0, 0), (0, max(0, size - array.shape[1])), *[(0, 0)] * (array.ndim - 2)]
        return np.pad(array[:, :size], missing, constant_values=padding) if size != array.shape[1] else array

    return Breakpoints(
        lines.counts.astype(np.int32),
        sized(lines.t, size, np.inf),
        sized(lines.layers, size, NO_UNIT),
        sized(lines.units, size, NO_UNIT),
        np.arange(size) < lines.counts[:, None],
        sized(lines.slope, size + 1, 0),
        sized(lines.intercept, size + 1, 0),
        lines.counts > size,
        lines.degenerate,
    )
