"""[host] Exact breakpoints along a path of straight segments, such as a curve that has been sampled.

Each segment is treated as in :mod:`jaxgeom.regions.breakpoints`. The first layer looks at each corner once. A unit that
vanishes exactly at a corner is a tie at the ends of both segments, so that integer arithmetic decides both; whether it
makes a breakpoint shows in the activation patterns before and after the corner.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from jaxgeom._reprs import readable
from jaxgeom.chunks import check_chunk_size
from jaxgeom.given import float64_of
from jaxgeom.layers import Activation, Layers, with_activation, with_units
from jaxgeom.regions.batches import flattened
from jaxgeom.regions.breakpoints import checked_points, decided, found_along
from jaxgeom.regions.exact_lines import ExactLine
from jaxgeom.regions.lines import Breakpoints


@readable
class PathBreakpoints(NamedTuple):
    """Where a network bends along a path of straight segments, all as NumPy arrays.

    Breakpoints are the points where the activation pattern changes, at corners or in between; the ends of the path are
    none. Pieces end at breakpoints and at corners.
    """

    count: int  # type: ignore[assignment]
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
    """Whether integer arithmetic decided ties."""


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

    Raises:
        TypeError: for anything that is not a network.
        ValueError: for a population, for fewer than two points, equal neighbours, or other bad input as for
            :func:`jaxgeom.breakpoints`.
    """
    check_chunk_size(chunk_size)
    flat, leading, _ = flattened(with_activation(layers, activation))
    if leading or np.ndim(points) != 2 or len(points) < 2:
        raise ValueError(
            "one network and an array (points, in) of at least two points are needed, but the layers have leading axes "
            f"{leading}, and the points shape {np.shape(points)}."
        )
    num_outputs = flat[-1].bias.shape[1]
    flat = with_units(flat)
    corners = np.asarray(float64_of(points, "points"))
    ends, _ = checked_points(corners[:-1], corners[1:], (), flat[0].kernel.shape[1])
    found = found_along(flat, ends, "path", chunk_size, progress)
    found, exact = decided(found, flat, ends, "segment", progress)
    found = found._replace(slope=found.slope[..., :num_outputs], intercept=found.intercept[..., :num_outputs])
    return _joined(found, corners, exact, [layer.bias.shape[1] for layer in flat[:-1]])


def _joined(
    found: Breakpoints, points: Float[np.ndarray, "points in"], exact: dict[int, ExactLine], widths: Sequence[int]
) -> PathBreakpoints:
    """The segments of a path one after the other, with the breakpoints at its corners."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    corners = np.concatenate([[0.0], np.cumsum(lengths)])
    segment, column = np.nonzero(found.valid)
    rows = [np.stack([segment, found.layer[segment, column], found.unit[segment, column]], axis=1)]
    t = [found.t[segment, column]]
    first = np.cumsum([0, *widths])
    for number, line in sorted(exact.items()):
        if number + 1 in exact:  # a corner where a unit vanishes is an end of two such segments
            changes = np.flatnonzero(line.patterns[-1] != exact[number + 1].patterns[0])
            if len(changes):
                layer = int(np.searchsorted(first, changes[0], side="right")) - 1
                rows.append(np.array([[number, layer, changes[0] - first[layer]]]))
                t.append(np.ones(1))
    makers, places = np.concatenate(rows), np.concatenate(t)
    order = np.lexsort((places, makers[:, 0]))
    (segment_, layer_, unit_), places = makers[order].T, places[order]
    position = corners[segment_] + places * lengths[segment_]
    segment, piece = np.nonzero(np.arange(found.slope.shape[1]) <= found.count[:, None])
    slope = found.slope[segment, piece] / lengths[segment, None]
    inside = corners[:-1, None] + np.where(found.valid, found.t, 0.0) * lengths[:, None]
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
        degenerate=bool(exact),
    )
