"""[host] Exact breakpoints along a path of straight segments, such as a curve that has been sampled.

Each segment is treated as in :mod:`jaxgeom.regions.lines`. A unit that is zero at a corner is an end of both segments
and no breakpoint of either; whether it makes one of the path shows in the activation patterns before and after it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX, PAIR
from jaxgeom.engine.library import Lines
from jaxgeom.host.chunks import check_chunk_size
from jaxgeom.host.given import check_progress, float64_of
from jaxgeom.networks.layers import Activation, Layers, check_finite, with_activation
from jaxgeom.regions.lines import checked_points, in_chunks


@readable
class PathBreakpoints(NamedTuple):
    """Breakpoints of a network along a path of straight segments, all as NumPy arrays.

    Breakpoints are the points where the activation pattern changes, at corners or in between; the ends of the path are
    none. Pieces end at breakpoints and at corners.
    """

    count: int  # type: ignore[assignment]  # the name of a method of tuples
    """Number of breakpoints."""
    position: Float[np.ndarray, " breakpoints"]
    """How far along the path they are, in units of the input, in increasing order."""
    segment: Int[np.ndarray, " breakpoints"]
    """On which segment; at corners, the one that ends there."""
    t: Float[np.ndarray, " breakpoints"]
    """Where on it, from 0 to 1."""
    layer: Int[np.ndarray, " breakpoints"]
    """Which hidden layer bends there, counted from 0; of several the first."""
    unit: Int[np.ndarray, " breakpoints"]
    """Which unit of that layer; of several the first."""
    ends: Float[np.ndarray, " pieces+1"]
    """How far along the path pieces begin and end: zero, all breakpoints and corners, the length of the path."""
    slope: Float[np.ndarray, "pieces out"]
    """Slopes of the outputs per unit of length, on each piece."""
    intercept: Float[np.ndarray, "pieces out"]
    """The outputs at a position on the piece are ``slope * position + intercept``."""
    degenerate: bool
    """Whether an exact zero was met: units that bend in one point, or one that is zero at a corner or an end."""


def polyline_breakpoints(
    layers: Layers,
    points: Float[Array | np.ndarray, "points in"],
    *,
    activation: Activation | None = None,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> PathBreakpoints:
    """Breakpoints of one network along a path of straight segments in input space, and the affine pieces, exactly.

    Args:
        layers: one network.
        points: the corners of the path, at least two; neighbours must differ.
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.
        chunk_size: segments computed at once; default by memory.
        progress: show a progress bar; a string is its title.

    Returns:
        The breakpoints in order, with their units and their places along the path and on its segments, and the affine
        pieces between them, as NumPy arrays.

    Raises:
        TypeError: for anything that is not a network.
        ValueError: for a population, for fewer than two points, equal neighbours, or other bad input as for
            :func:`jaxgeom.breakpoints`.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> found = jg.polyline_breakpoints(network, [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0]])
        >>> found.position.tolist(), found.segment.tolist(), found.unit.tolist()  # distances from the start of the path
        ([1.0, 3.0], [0, 1], [0, 1])
    """
    check_progress(progress)
    check_chunk_size(chunk_size)
    network = with_activation(layers, activation)
    leading = np.shape(network[0].bias)[:-1]
    if leading or np.ndim(points) != MATRIX or len(points) < PAIR:
        raise ValueError(
            "one network and an array (points, in) of at least two points are needed, but the layers have leading axes "
            f"{leading}, and the points shape {np.shape(points)}."
        )
    check_finite(network)
    corners = np.asarray(float64_of(points, "points"))
    ends, _ = checked_points(corners[:-1], corners[1:], (), np.shape(network[0].kernel)[0])
    start, stop = (np.asarray(array)[None] for array in ends)
    flat = jax.tree.map(lambda array: np.asarray(array)[None], network)
    found = in_chunks(flat, (start, stop), "segment", chunk_size, progress, has_ends=True)
    return _path(found, corners, [layer.bias.shape[1] for layer in flat[:-1]])


def _path(found: Lines, points: Float[np.ndarray, "points in"], widths: Sequence[int]) -> PathBreakpoints:
    """The segments of a path one after the other, with the breakpoints at its corners."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    corners = np.concatenate([[0.0], np.cumsum(lengths)])
    valid = np.arange(found.t.shape[1]) < found.counts[:, None]
    segment, column = np.nonzero(valid)
    first = np.cumsum([0, *widths])
    changes = found.ends[:-1, 1] != found.ends[1:, 0]
    turn = np.flatnonzero(changes.any(axis=1))  # segments that end where the pattern changes
    changed = changes[turn].argmax(axis=1) if len(turn) else np.zeros(0, np.int64)
    layer = np.searchsorted(first, changed, side="right") - 1
    segment_ = np.concatenate([segment, turn])
    places = np.concatenate([found.t[segment, column], np.ones(len(turn))])
    layer_ = np.concatenate([found.layers[segment, column], layer])
    unit_ = np.concatenate([found.units[segment, column], changed - first[layer]])
    order = np.argsort(segment_, kind="stable")  # those at a corner behind those before it
    segment_, places, layer_, unit_ = (array[order] for array in (segment_, places, layer_, unit_))
    position = corners[segment_] + places * lengths[segment_]
    segment, piece = np.nonzero(np.arange(found.slope.shape[1]) <= found.counts[:, None])
    slope = found.slope[segment, piece] / lengths[segment, None]
    inside = corners[:-1, None] + np.where(valid, found.t, 0.0) * lengths[:, None]
    begins = np.concatenate([corners[:-1, None], inside], axis=1)[segment, piece]
    return PathBreakpoints(
        count=len(position),
        position=position,
        segment=segment_,
        t=places,
        layer=layer_,
        unit=unit_,
        ends=np.append(begins, corners[-1]),
        slope=slope,
        intercept=found.intercept[segment, piece] - slope * corners[segment, None],
        degenerate=bool(found.degenerate.any()),
    )
