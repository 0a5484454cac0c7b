"""[edge] Distributions of region counts against width."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator

from jaxgeom._reprs import readable
from jaxgeom.plot.style import COLORS, show_dots

_GOLDEN = (5**0.5 - 1) / 2
_MARKERS = "o^sD"
"""Of kinds of counts, which are told apart without colours, too."""
_NARROW = 1.5
"""A logarithmic axis shorter than from one number to so many times that has hardly any ticks."""


@readable
class CountArtists(NamedTuple):
    """What :func:`region_counts` drew."""

    axes: Axes
    """Where it was drawn."""
    points: list[PathCollection]
    """One collection for each kind of count and width, widths changing fastest."""
    medians: list[Line2D]
    """The median bar of each collection."""
    theory: Line2D | None
    """The curve of expected counts before training; None if not asked for."""
    anecdotes: Line2D | None
    """The marks of the counts given as anecdotes; None without any."""


def new_figure(*, num_columns: int = 3) -> Figure:
    """An empty pyplot figure, wide enough for so many groups side by side."""
    return plt.figure(figsize=(max(6.8, 2.0 + 1.1 * num_columns), 4.8), layout="constrained")


def region_counts(
    width: Int[np.ndarray, " networks"],
    counts: Mapping[str, Int[np.ndarray, " _"]],
    *,
    theory: Callable[[int], float] | None = None,
    anecdotes: Mapping[int, Sequence[float]] | None = None,
    ax: Axes | None = None,
    **style: Any,
) -> CountArtists:
    """Distributions of region counts at each width: one dot a network, a bar at the median.

    Args:
        width: hidden units of each network.
        counts: one array of counts (networks,) for each kind, by the name that the legend shows; negative entries
            (networks not counted) are left out.
        theory: the expected count at initialisation as a function of the width.
        anecdotes: single counts reported elsewhere, by width.
        ax: where to draw; default is a new figure.
        style: passed on to ``Axes.scatter``.

    Raises:
        ValueError: if there is nothing to draw, or arrays differ in length.
    """
    width = np.asarray(width)
    arrays = {name: np.asarray(array) for name, array in counts.items()}
    if width.size == 0 or any(array.shape != width.shape for array in arrays.values()) or not arrays:
        raise ValueError(
            f"needed are a width and a count for each of at least one network, but the widths have shape {width.shape} "
            f"and the counts {[array.shape for array in arrays.values()]}."
        )
    widths = np.unique(width).tolist()
    if ax is None:
        ax = new_figure(num_columns=len(widths)).subplots()
    lane = 0.8 / len(arrays)
    points, medians = [], []
    for index, (name, array) in enumerate(arrays.items()):
        color = COLORS[index % len(COLORS)]
        for place, w in enumerate(widths):
            values = array[(width == w) & (array >= 0)]
            center = place + (index - (len(arrays) - 1) / 2) * lane
            spread = (np.arange(len(values)) * _GOLDEN % 1 - 0.5) * 0.8 * lane
            defaults: dict[str, Any] = {
                "marker": _MARKERS[index % len(_MARKERS)],
                "s": 7,
                "alpha": 0.35,
                "linewidths": 0,
                "color": color,
                "zorder": 1.5,
            }
            label = name if place == 0 else None
            points.append(ax.scatter(center + spread, values, **{**defaults, "label": label, **style}))
            if len(values):
                (bar,) = ax.plot(
                    [center - 0.42 * lane, center + 0.42 * lane],
                    [np.median(values)] * 2,
                    color="black",
                    linewidth=1.6,
                    solid_capstyle="butt",
                    zorder=3,
                )
                medians.append(bar)
    if medians:
        medians[-1].set_label("median")
    expected = marks = None
    if theory is not None:
        edges = np.array([[place - 0.45, place + 0.45, np.nan] for place in range(len(widths))]).ravel()
        values = np.repeat([theory(w) for w in widths], 3)
        (expected,) = ax.plot(edges, values, color="0.35", linewidth=1.2, linestyle=(0, (4, 2)), zorder=2)
        expected.set_label("expected at initialisation")
    if anecdotes:
        # In the lane of the first kind of count, side by side so that equal ones show.
        known = [
            (widths.index(w) - (len(arrays) - 1) / 2 * lane + (i - (len(values) - 1) / 2) * 0.3 * lane, value)
            for w, values in anecdotes.items()
            if w in widths
            for i, value in enumerate(values)
        ]
        if known:
            (marks,) = ax.plot(*zip(*known, strict=True), "x", color="black", markersize=8, markeredgewidth=2, zorder=4)
            marks.set_label("published, two networks each")
    if theory is not None or any((array > 0).any() for array in arrays.values()):
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.7, 0.4)))
        low, high = ax.get_ylim()
        if high < _NARROW * low:  # of counts that are all alike, or but for rounding
            ax.set_ylim(low / _NARROW, high * _NARROW)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    ax.set_xticks(range(len(widths)), [str(w) for w in widths])
    ax.set_xlim(-0.6, len(widths) - 0.4)
    ax.set_xlabel("hidden units")
    ax.set_ylabel("linear regions in [−1, 1]²")
    ax.grid(axis="y", color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)
    legend = ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1.01), ncols=2, frameon=False, fontsize="small", borderaxespad=0
    )
    show_dots(legend)
    return CountArtists(ax, points, medians, expected, marks)
