"""[edge] Pictures of the regions of a network while it trains: the movie, counts against steps, and the last network
seen in four colourings, unit by unit, and through a grid of points."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from jaxgeom import plot
from jaxgeom.domains import grid_points
from jaxgeom.networks.layers import forward
from jaxgeom.plot.maps import SIDES
from jaxgeom.plot.style import percent, set_padding
from jaxgeom.plot.units import LEGEND
from jaxgeom.recipes.movie.experiment import RegionMovie, phases
from jaxgeom.regions.colors import LAYER_COLORS, face_colors
from jaxgeom.regions.locate import locate

ONE_HIDDEN = 2
"""Affine layers of a network with one hidden layer."""

_NAMES = ("class 0", "class 1")
NIGHT_EDGES = ("#c4c9cf", "#6cc0f2", "#f2a365", "#8dc096", "#d06aa6")
NIGHT_SIDES = ("#56b4e9", "#ffb000")
NIGHT_CURVES, DAY_CURVES = ("#3a424c", "#9aa4b0", "white"), ("0.85", "0.5", "black")
"""Of the band, the median and the network shown: greys, since colours are of classes."""


def movie_figure(movie: RegionMovie) -> tuple[Figure, Callable[[int], None], int]:
    """The movie: a figure, what draws a frame, and the number of frames.

    Colours say which class and how certain; a region keeps its shade while it moves. A line of words says what happens
    to the regions.
    """
    with plot.dark():
        figure = plt.figure(figsize=(10.4, 6.1), layout="constrained")
        set_padding(figure, 0.08)
        halves: Any = figure.subfigures(1, 2, width_ratios=[1.3, 1])
        left, right = halves
        ax = left.subplots()
        loss, count = right.subplots(2, 1, sharex=True)
        _draw_curves(loss, movie, movie.losses, "mean loss", is_dark=True)
        counts = np.where(movie.counts < 0, np.nan, movie.counts)
        _draw_curves(count, movie, counts, "regions, exact", is_dark=True)
        count.set_xlabel("step")
        loss.legend(loc="lower left", fontsize="medium", frameon=False)
        dot: Any = {"color": "white", "markersize": 9, "zorder": 5, "clip_on": False}
        marks = [axes.plot([], [], "o", **dot)[0] for axes in (loss, count)]
        title = right.suptitle("step", x=0.03, ha="left", fontsize=16)
        words = loss.set_title(" ", loc="left", fontsize=12)
        _legend(left, movie, is_dark=True)
    said = phases(movie.counts[movie.member], movie.accuracies[movie.member])

    def draw(frame: int) -> None:
        ax.clear()
        _draw_night(ax, movie, frame)
        for mark, values in zip(marks, (movie.losses, counts), strict=True):
            mark.set_data([movie.steps[frame]], [values[movie.member, frame]])
        regions, right = movie.complexes[frame].num_faces, movie.accuracies[movie.member, frame]
        title.set_text(f"step {movie.steps[frame]:,}: {regions} regions, {percent(right)} right")
        words.set_text(said[frame])

    return figure, draw, len(movie.steps)


def frames_figure(movie: RegionMovie, num: int = 6) -> Figure:
    """Some frames of the movie side by side."""
    frames = np.unique(np.round(np.linspace(0, len(movie.steps) - 1, num)).astype(int))
    with plot.dark():
        figure = plt.figure(figsize=(12, 9.2), layout="constrained")
        set_padding(figure, 0.12)
        for ax, frame in zip(figure.subplots(2, -(-num // 2), squeeze=False).flat, frames, strict=False):
            _draw_night(ax, movie, int(frame), size=20)
            ax.set_title(f"step {movie.steps[frame]:,}: {movie.complexes[frame].num_faces} regions", fontsize=16)
        _legend(figure, movie, is_dark=True)
    return figure


def counts_figure(movie: RegionMovie) -> Figure:
    """Region counts and losses of all networks against the step."""
    figure = plt.figure(figsize=(7.5, 6), layout="constrained")
    loss, count = figure.subplots(2, 1, sharex=True)
    _draw_curves(loss, movie, movie.losses, "mean loss")
    _draw_curves(count, movie, np.where(movie.counts < 0, np.nan, movie.counts), "regions, exact")
    count.set_xlabel("step")
    loss.legend(loc="lower left", fontsize="small", frameon=False)
    loss.set_title(f"{len(movie.counts)} networks {_architecture(movie)}")
    return figure


def colors_figure(movie: RegionMovie) -> Figure:
    """The last network's regions, coloured by pattern, by the first layer's pattern (of one hidden layer: by active
    units), by slope and by value."""
    regions, boundary = movie.complexes[-1], movie.boundaries[-1]
    width = movie.layers[0].bias.shape[-1]
    of_first = face_colors(regions._replace(patterns=regions.patterns[:, :width]))
    looks: dict[str, Any] = {
        "activation pattern": "random",
        **({"pattern of the first layer": of_first} if len(movie.layers) > ONE_HIDDEN else {"active units": "active"}),
        "slope": "slope",
    }
    figure = plt.figure(figsize=(11.4, 10.4), layout="compressed")
    axes = figure.subplots(2, 2).flat
    for ax, (name, look) in zip(axes, looks.items(), strict=False):
        plot.plot_regions(regions, color_by=look, ax=ax)
        plot.plot_boundary(boundary, legend=False, ax=ax)
        ax.get_legend().remove()
        ax.set(title=f"coloured by {name}", xlabel="$x$", ylabel="$y$")
    ax = axes[-1]
    corners = regions.vertices[regions.face_vertices]
    face = np.repeat(np.arange(regions.num_faces), np.diff(regions.face_offsets))
    values = np.sum(regions.gradient[face, 0] * corners, axis=1) + regions.intercept[face, 0]
    mesh = plot.plot_decision_map(
        regions, limit=float(np.quantile(np.abs(values), 0.9)) or 1.0, ax=ax, linewidths=0
    ).mesh
    figure.colorbar(mesh, ax=ax, label="output", fraction=0.05, pad=0.02, extend="both")
    plot.plot_edges(regions, ax=ax)
    plot.plot_boundary(boundary, legend=False, ax=ax)
    ax.set(title="coloured by value", xlabel="$x$", ylabel="$y$")
    ax.locator_params(nbins=5)
    title = f"The {regions.num_faces} regions of a network {_architecture(movie)}, and its decision boundary (thick)"
    figure.suptitle(title, fontsize="x-large")
    if len(movie.layers) > ONE_HIDDEN:
        figure.legend(handles=_edges(movie, LAYER_COLORS), loc="outside lower center", ncols=4, frameon=False)
    return figure


def units_figure(movie: RegionMovie) -> Figure:
    """What every hidden unit of the last network does, with the lines where it bends."""
    num = 61
    layers = jax.tree.map(lambda array: array[-1], movie.layers)
    states = forward(layers, grid_points(movie.domain, num))
    pictures = [np.asarray(layer).T.reshape(-1, num, num) for layer in states.activations]
    columns = min(8, max(len(layer) for layer in pictures))
    ax: Any = plot.plot_units(pictures, movie.domain, complex_=movie.complexes[-1], num_columns=columns).axes
    ax.set_title(f"The hidden units of a network {_architecture(movie)}")
    result: Figure = ax.figure
    result.set_figheight(result.get_figheight() + 0.7)
    result.supxlabel(LEGEND, fontsize="small", color="0.3")
    return result


def grid_view_figure(movie: RegionMovie, *, num_grid: int = 41) -> tuple[Figure, dict[str, int]]:
    """What a grid of points sees of the last network's regions and what it misses; also the numbers."""
    regions = movie.complexes[-1]
    layers = jax.tree.map(lambda array: array[-1], movie.layers)
    # in single precision those on the border may be outside
    points = np.clip(np.asarray(grid_points(movie.domain, num_grid), np.float64), movie.domain.low, movie.domain.high)
    face = locate(regions, layers, points)
    seen = np.unique(face[face >= 0])
    figure = plt.figure(figsize=(7.2, 8.0), layout="compressed")
    drawn = plot.plot_grid_view(regions, points, face, ax=figure.subplots())
    drawn.axes.set(xlabel="$x$", ylabel="$y$")
    drawn.axes.set_title(
        f"{_architecture(movie)}: {regions.num_faces} regions, exact.\nA grid of {num_grid} × {num_grid} points sees "
        f"{len(seen)} of them, and misses {regions.num_faces - len(seen)}."
    )
    return figure, {"num_grid": num_grid, "exact_regions": regions.num_faces, "regions_seen": len(seen)}


def _draw_night(ax: Axes, movie: RegionMovie, frame: int, *, size: float = 30) -> None:
    """Regions, decision boundary and data on dark, without axes: the square is always the same."""
    regions = movie.complexes[frame]
    plot.plot_decision(regions, ax=ax)
    plot.plot_edges(regions, colors=NIGHT_EDGES, ax=ax)
    plot.plot_boundary(movie.boundaries[frame], legend=False, ax=ax, colors="white", linewidths=3.2)
    plot.mark_classes(movie.data.x, movie.data.y, ax=ax, s=size, linewidths=0.7, colors=NIGHT_SIDES)
    ax.set(xlabel="", ylabel="", xticks=[], yticks=[])


def _legend(figure: Any, movie: RegionMovie, *, is_dark: bool = False) -> None:
    """The same for all frames, whatever layers make edges in them."""
    edges, boundary, sides = (NIGHT_EDGES, "white", NIGHT_SIDES) if is_dark else (LAYER_COLORS, "black", SIDES)
    handles = _edges(movie, edges)
    handles.append(Line2D([], [], color=boundary, linewidth=3.2, label="decision boundary"))
    handles += [
        Line2D([], [], linestyle="", marker=marker, color=color, markeredgecolor="white", markersize=8, label=name)
        for marker, color, name in zip("os", sides, _NAMES, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize="medium")


def _edges(movie: RegionMovie, colors: Sequence[str]) -> list[Any]:
    """Handles for a legend, one a hidden layer."""
    return [
        Line2D([], [], color=colors[layer % len(colors)], linewidth=1.3, label=f"edges of layer {layer + 1}")
        for layer in range(len(movie.layers) - 1)
    ]


def _draw_curves(
    ax: Axes, movie: RegionMovie, values: Float[np.ndarray, "networks steps"], label: str, *, is_dark: bool = False
) -> None:
    """The network shown, the median of all, and the band of the middle 80 %; losses on a logarithmic axis."""
    band, middle_line, shown = NIGHT_CURVES if is_dark else DAY_CURVES
    steps = movie.steps
    if len(values) > 1:
        low, middle, high = np.nanquantile(values, [0.1, 0.5, 0.9], axis=0)
        ax.fill_between(steps, low, high, color=band, linewidth=0, label=f"80 % of {len(values)} networks")
        ax.plot(steps, middle, color=middle_line, linewidth=1.4, linestyle="--", label="their median")
    ax.plot(steps, values[movie.member], color=shown, linewidth=2.0, label="the network shown")
    ax.set_ylabel(label)
    if values is movie.losses:
        ax.set_yscale("log")
    else:
        ax.set_ylim(0, None)
    ax.set_xscale("symlog", linthresh=10, linscale=0.6)
    last = int(steps[-1])
    ax.set_xlim(steps[0], last)
    ticks = [0, *(ten for ten in (10, 100, 1000, 10_000, 100_000, 1_000_000) if ten <= last)]
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.grid(color="0.25" if is_dark else "0.93")


def _architecture(movie: RegionMovie) -> str:
    return "-".join(["2", *(str(layer.bias.shape[-1]) for layer in movie.layers)])


def close(figure: Figure) -> None:
    """Let go of a figure."""
    plt.close(figure)
