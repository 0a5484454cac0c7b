"""[edge] XOR: pictures of pairs of networks, compared by their affine maps, and of how alike many pairs are."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxgeom import plot
from jaxgeom.plot.maps import SIDES
from jaxgeom.plot.pieces import cut_at_zero
from jaxgeom.plot.style import show_dots
from jaxgeom.recipes.xor.networks import Pair, PairScores
from jaxgeom.recipes.xor.pictures import draw_map, draw_sheet, flat_and_space
from jaxgeom.regions.complex import PlanarComplex

DENSE = "#009e73"
"""Where gradients are dense, beside the colours of signs."""
_FEW_FACES = 12
"""Networks with more regions have images of maps that jump so often that their zeros are no line."""
_NOTHING = 0.005
"""A smaller R² is written as 0."""
PAIRS = {
    "similar": "Two networks {0} that have much in common",
    "dissimilar": "Two networks {0} with nothing in common, of the pairs compared the least alike",
    "widths": "Networks of two widths, {0} and {1}: a pair in the middle",
}
"""Titles of the pictures of chosen pairs; the fields are the architectures of the two networks."""


def pair_figures(pair: Pair, names: tuple[str, str], kind: str = "") -> dict[str, Figure]:
    """The pictures of two networks by name: three, or one of all for networks with many regions.

    Args:
        pair: the networks.
        names: their architectures.
        kind: one of :data:`PAIRS`; anything else is a pair in the middle of those of one width.
    """
    what = PAIRS.get(kind, "Two networks {0}, a pair in the middle of all").format(*names)
    if kind not in PAIRS and kind:
        return {"maps": density_figure(pair, names, what)}
    return {
        "triples": triples_figure(pair, names, what),
        "maps": maps_figure(pair, names, what),
        "surfaces": surfaces_figure(pair, names, what),
    }


def triples_figure(pair: Pair, names: tuple[str, str], what: str = "") -> Figure:
    """The distinct affine maps of two networks and their images: gradients in the plane, with intercepts in space."""
    flat, space = flat_and_space(size=5.2)
    sets = _triples_by_name(pair, names)
    plot.plot_triples(sets, ax=flat)
    plot.plot_triples(sets, ax=space)
    flat.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
    flat.set_title("gradients")
    space.set_title("gradients and intercepts")
    _explain(flat.figure, pair, what)
    result: Figure = flat.figure
    return result


def maps_figure(pair: Pair, names: tuple[str, str], what: str = "") -> Figure:
    """Decision maps of two networks, and of the affine maps of each sent to those of the other."""
    axes: list[Any] = plot.new_axes(4, size=3.7, num_columns=2)
    for ax, (title, regions) in zip(axes, _four(pair, names), strict=True):
        is_torn = "sent" in title and regions.num_faces > _FEW_FACES  # images jump between regions
        draw_map(ax, regions, linewidths=0.0 if is_torn else 1.2)
        ax.set_title(title)
        ax.label_outer()
    _explain(axes[0].figure, pair, what)
    result: Figure = axes[0].figure
    return result


def surfaces_figure(pair: Pair, names: tuple[str, str], what: str = "") -> Figure:
    """The graphs over the square of two networks, and of the affine maps of each sent to those of the other."""
    axes: list[Any] = plot.new_axes(4, dim=3, size=3.8, num_columns=2)
    four = _four(pair, names)
    heights = [np.concatenate([each[:, 2] for each in cut_at_zero(regions).corners]) for _, regions in four]
    limits = (min(map(np.min, heights), default=-1.0), max(map(np.max, heights), default=1.0))
    # what is sent to a network is below or above it, and seen from the same side
    azimuths = [plot.azimuth_of([four[column][1], four[column + 2][1]], limits) for column in (0, 1)]
    for ax, (title, regions), azimuth in zip(axes, four, 2 * azimuths, strict=True):
        draw_sheet(ax, regions, limits, azimuth)
        ax.set_title(title)
    _explain(axes[0].figure, pair, what)
    result: Figure = axes[0].figure
    return result


def density_figure(pair: Pair, names: tuple[str, str], what: str = "") -> Figure:
    """Two networks with many regions: decision maps of both and of their images, and how their gradients are spread
    over the square, with those that the images have as lines."""
    figure = plt.figure(figsize=(11, 7.6), layout="constrained")
    axes: Any = figure.subplots(2, 3)
    (first, there), (back, second) = _four(pair, names)[:2], _four(pair, names)[2:]
    rows = ((first, there, pair.triples[1], pair.images[0]), (second, back, pair.triples[0], pair.images[1]))
    for row, (own, image, target, sent) in enumerate(rows):
        for ax, (title, regions), width in zip(axes[row], (own, image), (1.2, 0), strict=False):
            draw_map(ax, regions, linewidths=width)  # images jump between regions
            ax.set_title(title)
            ax.label_outer()
        axes[row, 0].set_ylabel("$y$")
        plot.plot_gradient_density(target, sent, color=DENSE, ax=axes[row, 2])
        axes[row, 2].set_title(
            f"shades: gradients of {2 - row}\nlines: those of {row + 1} sent to {2 - row}", fontsize=10
        )
    _explain(
        figure,
        pair,
        what,
        more="Half of the images' gradients lie within the thick lines, nine tenths within the thin ones.",
    )
    return figure


def pairs_figure(scores: Sequence[PairScores]) -> Figure:
    """How R² is distributed over many pairs, fitted at all points and at the four data points only."""
    figure = plt.figure(figsize=(max(6.8, 1.5 * len(scores) + 2), 4.4), layout="constrained")
    ax = figure.subplots()
    lowest = -1.0
    for index, name in enumerate(("fitted on the whole grid", "fitted at the four points")):
        for place, each in enumerate(scores):
            values = each.data_points if index else each.all_points
            spread = (np.arange(len(values)) * (5**0.5 - 1) / 2 % 1 - 0.5) * 0.3
            center = place + (index - 0.5) * 0.4
            label = None if place else name
            shown = np.maximum(values, lowest)
            look: dict[str, Any] = {
                "s": 13,
                "color": SIDES[index],
                "marker": "o^"[index],
                "alpha": 0.5,
                "linewidths": 0,
            }
            ax.scatter(center + spread, shown, label=label, **look)
            median = float(np.median(values))
            if median >= lowest:
                ax.plot([center - 0.17, center + 0.17], [median] * 2, color="black", lw=1.8)
            num_below = int((values < lowest).sum())
            if num_below:
                told = f"{num_below} below" + (f",\nmedian {median:.3g}".replace("-", "−") if median < lowest else "")
                ax.text(center, lowest - 0.06, told, ha="center", va="top", fontsize="x-small")
    ax.axhline(0, color="0.8", linewidth=1, zorder=0)
    ax.set_ylim(lowest - 0.3, 1.05)
    ax.set_xticks(range(len(scores)), [f"{each.widths[0]} → {each.widths[1]}" for each in scores])
    ax.set_xlabel("hidden units of both networks")
    ax.set_ylabel("R² over the grid, the mean of\nthose of ∂f/∂x, ∂f/∂y and the intercept", fontsize="small")
    legend = ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False, fontsize="small")
    show_dots(legend)
    num = max(len(each.members) for each in scores)
    figure.suptitle(
        "How well the affine maps of one network, sent by one affine map, fit those of another:\n"
        f"R² of {num} pairs of each kind, one dot a pair; bars are medians",
        fontsize="medium",
    )
    return figure


def _four(pair: Pair, names: tuple[str, str]) -> list[tuple[str, PlanarComplex]]:
    """The regions of network 1, the same with images of their maps, those of 2 with images, and those of network 2."""
    there, back = pair.r_squared
    titles = (
        f"network 1: {names[0]}",
        f"1 sent to 2: R² = {_score(there)}",
        f"2 sent to 1: R² = {_score(back)}",
        f"network 2: {names[1]}",
    )
    regions = (pair.complexes[0], *pair.sent, pair.complexes[1])
    return list(zip(titles, regions, strict=True))


def _triples_by_name(pair: Pair, names: tuple[str, str]) -> dict[str, Float[np.ndarray, "_ 3"]]:
    one, two = pair.distinct
    return {
        f"network 1: {names[0]}, {one.sum()} maps": pair.triples[0][one],
        f"network 2: {names[1]}, {two.sum()} maps": pair.triples[1][two],
        f"1 sent to 2: R² = {_score(pair.r_squared[0])}": pair.images[0][one],
        f"2 sent to 1: R² = {_score(pair.r_squared[1])}": pair.images[1][two],
    }


def _explain(figure: Any, pair: Pair, what: str, *, more: str = "") -> None:
    """What pair this is, over a figure, and what R² says, below it."""
    figure.suptitle(what or "Two networks, compared by their affine maps", fontsize="large")
    text = (
        "Sent: by the one affine map of (gradient, intercept) that fits best, the same for all regions.\n"
        "R²: over the grid, the mean of those of ∂f/∂x, ∂f/∂y and the intercept."
    )
    text += f"\n{more}" if more else ""
    if min(pair.r_squared) < _NOTHING:
        text += (
            "\nR² = 0: the maps of the one say nothing of those of the other. What fits best is the mean of all maps,\n"
            "one affine function for the whole square."
        )
    figure.supxlabel(text, fontsize="small", color="0.3")


def _score(value: float) -> str:
    return f"{value + 0.0:.2f}".replace("-0.00", "0.00")
