"""[edge] Pictures of the regions of a network while it trains: the movie, counts against steps, and the last network
seen in four colourings, unit by unit, and through a grid of points."""

from collections.abc import Callable
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxgeom import plot
from jaxgeom.domains import grid_points
from jaxgeom.networks.layers import forward
from jaxgeom.plot.maps import SIDES
from jaxgeom.recipes.movie.experiment import RegionMovie
from jaxgeom.regions.colors import LAYER_COLORS, face_colors
from jaxgeom.regions.locate import locate

ONE_HIDDEN = 2
"""Affine layers of a network with one hidden layer."""

_NAMES = ("class 0", "class 1")


def movie_figure(movie: RegionMovie) -> tuple[Figure, Callable[[int], None], int]:
    """The movie: a figure, what draws a frame, and the number of frames.

    Faces take their colours from their activation patterns, so that a region keeps its colour while it moves.
    """
    figure = plt.figure(figsize=(11, 6.2), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=[1.25, 1])
    left, right = halves
    ax = left.subplots()
    loss, count = right.subplots(2, 1, sharex=True)
    _draw_curves(loss, movie.steps, movie.losses, "mean loss")
    counts = np.where(movie.counts < 0, np.nan, movie.counts)
    _draw_curves(count, movie.steps, counts, "regions, exact")
    count.set_xlabel("step")
    loss.legend(loc="upper right", fontsize="small", frameon=False)
    marks = [axes.plot([], [], "o", color="black", markersize=7, zorder=5)[0] for axes in (loss, count)]
    _legend(left, movie)

    def draw(frame: int) -> None:
        ax.clear()
        _draw_regions(ax, movie, frame)
        for mark, values in zip(marks, (movie.losses, counts), strict=True):
            mark.set_data([movie.steps[frame]], [values[0, frame]])
        regions = movie.complexes[frame].num_faces
        ax.set_title(f"step {movie.steps[frame]}: {regions} regions, {movie.accuracies[0, frame]:.0%} right")

    return figure, draw, len(movie.steps)


def frames_figure(movie: RegionMovie, num: int = 6) -> Figure:
    """Some frames of the movie side by side."""
    frames = np.unique(np.round(np.linspace(0, len(movie.steps) - 1, num)).astype(int))
    figure = plt.figure(figsize=(12, 8.6), layout="constrained")
    for ax, frame in zip(figure.subplots(2, -(-num // 2), squeeze=False).flat, frames, strict=False):
        _draw_regions(ax, movie, int(frame), size=9)
        ax.set_title(f"step {movie.steps[frame]}: {movie.complexes[frame].num_faces} regions")
    _legend(figure, movie)
    return figure


def counts_figure(movie: RegionMovie) -> Figure:
    """Region counts and losses of all networks against the step."""
    figure = plt.figure(figsize=(7.5, 6), layout="constrained")
    loss, count = figure.subplots(2, 1, sharex=True)
    _draw_curves(loss, movie.steps, movie.losses, "mean loss")
    _draw_curves(count, movie.steps, np.where(movie.counts < 0, np.nan, movie.counts), "regions, exact")
    count.set_xlabel("step")
    loss.legend(loc="upper right", fontsize="small", frameon=False)
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
        "value": "output",
    }
    figure = plt.figure(figsize=(11.4, 10.4), layout="compressed")
    for ax, (name, look) in zip(figure.subplots(2, 2).flat, looks.items(), strict=True):
        plot.plot_regions(regions, color_by=look, ax=ax)
        plot.plot_boundary(boundary, ax=ax)
        ax.get_legend().remove()
        ax.set(title=f"coloured by {name}", xlabel="$x$", ylabel="$y$")
    figure.suptitle(f"The {regions.num_faces} regions of a network {_architecture(movie)}", fontsize="x-large")
    return figure


def units_figure(movie: RegionMovie) -> Figure:
    """What every hidden unit of the last network does, with the lines where it bends."""
    num = 61
    layers = jax.tree.map(lambda array: array[-1], movie.layers)
    states = forward(layers, grid_points(movie.domain, num))
    pictures = [np.asarray(layer).T.reshape(-1, num, num) for layer in states.activations]
    columns = min(8, max(len(layer) for layer in pictures))
    ax: Any = plot.plot_units(pictures, movie.domain, complex_=movie.complexes[-1], num_columns=columns).axes
    ax.set_title(f"The hidden units of a network {_architecture(movie)} and where they bend")
    result: Figure = ax.figure
    return result


def grid_view_figure(movie: RegionMovie, *, num_grid: int = 41) -> tuple[Figure, dict[str, int]]:
    """What a grid of points sees of the last network's regions and what it misses; also the numbers."""
    regions = movie.complexes[-1]
    layers = jax.tree.map(lambda array: array[-1], movie.layers)
    points = grid_points(movie.domain, num_grid)
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


def _draw_regions(ax: Axes, movie: RegionMovie, frame: int, *, size: float = 16) -> None:
    plot.plot_regions(movie.complexes[frame], ax=ax)
    plot.plot_boundary(movie.boundaries[frame], ax=ax)
    plot.mark_classes(movie.data.x, movie.data.y, ax=ax, s=size, linewidths=0.5)
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()
    ax.set(xlabel="$x$", ylabel="$y$")


def _legend(figure: Any, movie: RegionMovie) -> None:
    """The same for all frames, whatever layers make edges in them."""
    handles = [
        Line2D([], [], color=LAYER_COLORS[layer % len(LAYER_COLORS)], linewidth=2, label=f"edges of layer {layer}")
        for layer in range(len(movie.layers) - 1)
    ]
    handles.append(Line2D([], [], color="black", linewidth=3.2, label="decision boundary"))
    handles += [
        Line2D([], [], linestyle="", marker=marker, color=color, markeredgecolor="white", markersize=8, label=name)
        for marker, color, name in zip("os", SIDES, _NAMES, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize="small")


def _draw_curves(ax: Axes, steps: np.ndarray, values: Float[np.ndarray, "networks steps"], label: str) -> None:
    """The first network, the median of all, and the band of the middle 80 %."""
    if len(values) > 1:
        low, middle, high = np.nanquantile(values, [0.1, 0.5, 0.9], axis=0)
        ax.fill_between(steps, low, high, color="0.85", linewidth=0, label=f"80 % of {len(values)} networks")
        ax.plot(steps, middle, color="0.5", linewidth=1.4, label="their median")
    ax.plot(steps, values[0], color=SIDES[0], linewidth=1.6, label="the network shown")
    ax.set_ylabel(label)
    ax.set_ylim(0, None)
    ax.set_xlim(steps[0], steps[-1])
    ax.margins(x=0.02)
    ax.grid(color="0.93")


def _architecture(movie: RegionMovie) -> str:
    return "-".join(["2", *(str(layer.bias.shape[-1]) for layer in movie.layers)])


def close(figure: Figure) -> None:
    """Let go of a figure."""
    plt.close(figure)
