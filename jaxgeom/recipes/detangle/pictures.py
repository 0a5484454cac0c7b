"""[edge] The pictures of detangling: layers side by side, losses, who died, and the movie."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxgeom import plot
from jaxgeom.analysis.embeddings import PrincipalAxes
from jaxgeom.plot.animate import Paths
from jaxgeom.recipes.detangle.experiment import Detangled, Recording, shown_layers

_LEAST_GAIN = 1e-4
"""Losses this far below ln 2 are below it."""
_NO_GAIN = 3e-5
"""Where those that are not are drawn."""
_POINTS: dict[str, Any] = {"s": 9, "alpha": 0.6}


def draw_layers(recording: Recording, labels: Int[Any, " points"], frame: int = 0) -> Figure:
    """All layers side by side at one frame."""
    shown, axes = shown_layers(recording)
    places = plot.new_axes(len(shown), size=3.5)
    for layer, ax in enumerate(places):
        _prepare(ax, layer, axes[layer])
        plot.plot_points(shown[layer][frame], np.asarray(labels), ax=ax, **_POINTS)
        _limit(ax, shown[layer])
    figure = places[0].figure
    assert isinstance(figure, Figure)
    figure.suptitle("before training" if frame == 0 else f"after {recording.steps[frame]:,} steps")
    return figure


def draw_loss(loss: Float[Any, " steps"], smoothing: float = 0.95) -> Figure:
    """The loss of every batch of one network, and smoothed."""
    (ax,) = plot.new_axes(size=4.8)
    plot.plot_loss(loss, smoothing=smoothing, ax=ax)
    ax.set_ylabel("cross-entropy")
    ax.legend(fontsize="small")
    assert isinstance(ax.figure, Figure)
    return ax.figure


def draw_deaths(rows: Sequence[tuple[str, Sequence[int], Detangled]]) -> Figure:
    """How far the final losses of all networks are below ln 2, from best to worst, on a logarithmic axis, and at the
    bottom those that are not; one panel for each kind of network."""
    axes = plot.new_axes(len(rows), size=3.6, num_columns=min(4, len(rows)))
    for place, ((name, hidden, found), ax) in enumerate(zip(rows, axes, strict=True)):
        order = np.argsort(found.final_loss, kind="stable")
        rank = np.arange(len(order))
        dead = found.is_dead[order]
        loss = found.final_loss[order]
        gain = np.log(2) - loss
        has_learned = gain > _LEAST_GAIN
        gain = np.where(has_learned, gain, _NO_GAIN)
        ax.axhspan(_NO_GAIN / 2, _LEAST_GAIN, color="0.93", zorder=0)
        ax.text(0.03, 0.035, "not below ln 2: guesses", transform=ax.transAxes, fontsize="small", color="0.35")
        for is_shown, color, label in (
            (~dead, plot.COLORS[0], "alive"),
            (dead & ~found.was_dead[order], plot.COLORS[1], "died in training"),
            (dead & found.was_dead[order], "black", "born dead"),
        ):
            percent = f"{label}, {100 * np.mean(is_shown):.0f} %"
            ax.plot(rank[is_shown], gain[is_shown], ".", color=color, markersize=5, markeredgewidth=0, label=percent)
        ax.set_title(f"{name}, {'-'.join(map(str, (2, *hidden, 2)))}")
        ax.set_xlabel("network, best first")
        if place == 0:
            ax.set_ylabel("ln 2 − cross-entropy at the end")
        ax.legend(fontsize="small", loc="upper right", markerscale=2)
        ax.set(yscale="log", ylim=(_NO_GAIN / 2, 2.0))
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
    assert isinstance(axes[0].figure, Figure)
    return axes[0].figure


def animate_detangle(
    recording: Recording,
    labels: Int[Any, " points"],
    paths: Paths,
    *,
    smoothing: float = 0.95,
    progress: bool | str = False,
) -> list[Path]:
    """The loss so far beside one scatter for each layer, while one network trains; limits and axes are fixed."""
    shown, axes = shown_layers(recording)
    curve, *places = plot.new_axes(len(shown) + 1, size=3.2)
    artists = plot.plot_loss(recording.loss, smoothing=smoothing, ax=curve)
    curve.set(xlim=(0, len(recording.loss)), ylim=curve.get_ylim(), ylabel="cross-entropy", title="training loss")
    curve.xaxis.set_major_locator(MaxNLocator(4))
    curve.legend(fontsize="x-small")
    lines: list[Any] = [(line, *line.get_data()) for line in artists]
    labels = np.asarray(labels)
    clouds = []
    for layer, ax in enumerate(places):
        _prepare(ax, layer, axes[layer])
        clouds.append(plot.plot_points(shown[layer][0], labels, ax=ax, **_POINTS))
        _limit(ax, shown[layer])
    classes = np.unique(labels)

    def draw(frame: int) -> None:
        step = recording.steps[frame]
        for line, x, y in lines:
            line.set_data(x[: step + 1], y[: step + 1])
        for coordinates, cloud in zip(shown, clouds, strict=True):
            for label, points in zip(classes, cloud, strict=True):
                points.set_offsets(coordinates[frame][labels == label])
        curve.set_title(f"loss, {step:,} steps")

    figure = curve.figure
    assert isinstance(figure, Figure)
    return plot.save_animation(figure, draw, len(recording.steps), paths, frames_per_second=15, progress=progress)


def _prepare(ax: Axes, layer: int, axes: PrincipalAxes | None) -> None:
    ax.set_title(f"layer {layer}" if layer else "input")
    if axes is None:
        name = "unit" if layer else "$x_1$"
        ax.set(xlabel=f"{name} 0" if layer else name, ylabel=f"{name} 1" if layer else "$x_2$")
    else:
        first, second = 100 * np.asarray(axes.explained_ratio)
        ax.set(xlabel=f"1st principal axis ({first:.0f} %)", ylabel=f"2nd principal axis ({second:.0f} %)")


def _limit(ax: Axes, frames: Float[np.ndarray, "frames points dim"]) -> None:
    """The square that holds the points of all frames."""
    flat = frames.reshape(-1, frames.shape[-1])
    center = (flat.min(axis=0) + flat.max(axis=0)) / 2
    reach = 0.54 * max(float(np.ptp(flat, axis=0).max()), 1e-3)
    ax.set_aspect("equal", adjustable="box")
    ax.set(xlim=(center[0] - reach, center[0] + reach), ylim=(center[1] - reach, center[1] + reach))
