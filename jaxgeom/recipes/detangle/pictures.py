"""[edge] The pictures of detangling: layers side by side, losses, who died, and the movie."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter, NullLocator

from jaxgeom import plot
from jaxgeom._reprs import readable
from jaxgeom.analysis.embeddings import PrincipalAxes
from jaxgeom.data.datasets import Dataset
from jaxgeom.domains import box
from jaxgeom.plot.stages import Morph
from jaxgeom.plot.style import following_limits, legend_below, percent, percent_of, set_padding
from jaxgeom.recipes.detangle.experiment import (
    BATCH_SIZE,
    Detangled,
    Recording,
    decision_of,
    recording_of,
    shown_layers,
)
from jaxgeom.regions.boundary import Boundary, decision_boundary
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.regions.enumerate import enumerate_population

_LEAST_GAIN = 1e-4
"""Losses this far below ln 2 are below it."""
_NO_GAIN, _APART, _BOTTOM = 5e-5, 2.0, 4e-6
"""Where those that are not are drawn, in three rows, and where the axes end below them."""
_DECADES = np.logspace(-4, 0, 5)
_POINTS: dict[str, Any] = {"s": 9, "alpha": 0.6}
_LEAST_WIDTH = 7.8
"""Inches of a movie of fates, for its legend."""
_FEW = 900
"""Points of each panel of the movie, about."""
_NIGHT_POINTS: dict[str, Any] = {"s": 9, "linewidths": 0, "zorder": 4}
NIGHT_SIDES = ("#62b2ee", "#ffdc7d")  # the second one is lighter, for readers who see no colours
CURVES = (("#98a2ae", "--"), ("#c257b8", ":"), ("#5fd3a8", "-."), ("#ffffff", "-"))
"""Of networks, in colours that no class has, each lighter or darker than the others."""
_CLASSES = ("class 0", "class 1")


@readable
class Column(NamedTuple):
    """One network of the movie."""

    fate: str
    """What became of it."""
    share: str
    """Of how many networks that is true, with its interval; may be empty."""
    net: str
    """How it was made."""
    recording: Recording
    """Its points."""
    regions: list[PlanarComplex]
    """Its linear regions at each frame, of the second output less the first."""
    boundaries: list[Boundary]
    """Where both outputs are alike, at each frame."""
    accuracy: Float[np.ndarray, " frames"]
    """Fraction of points that are right."""


def column_of(found: Detangled, member: int, data: Dataset, fate: str, share: str, net: str) -> Column:
    """A network with its exact regions on the square around the data, at all frames."""
    recording = recording_of(found, member, data.x)
    low, high = _square(np.asarray(data.x))
    regions = enumerate_population(decision_of(found, member), box(low, high))
    complete = [each for each in regions if each is not None]  # snapshots are finite
    output = recording.layers[-1]
    right = ((output[..., 1] > output[..., 0]) == np.asarray(data.y, bool)).mean(axis=1)
    return Column(fate, share, net, recording, complete, [decision_boundary(each) for each in complete], right)


def draw_layers(
    recording: Recording,
    labels: Int[Any, " points"],
    frame: int = 0,
    *,
    column: Column | None = None,
    title: str = "",
) -> Figure:
    """All layers side by side at one frame; with a column, its regions and decision on the input, and with a title,
    that before what its counts say. Among the outputs the decision boundary is the diagonal."""
    shown, axes = shown_layers(recording)
    places = plot.new_axes(len(shown), size=3.5)
    handles: list[Any] = []
    for layer, ax in enumerate(places):
        _prepare(ax, layer, axes[layer])
        handles = plot.plot_points(shown[layer][frame], np.asarray(labels), names=_CLASSES, ax=ax, **_POINTS)
        if (legend := ax.get_legend()) is not None:
            legend.remove()
        (left, right), (bottom, top) = following_limits(shown[layer][[frame]])[0]
        ax.set_aspect("equal", adjustable="box")
        ax.set(xlim=(left, right), ylim=(bottom, top))
    figure = places[0].figure
    assert isinstance(figure, Figure)
    figure.set_size_inches(3.5 * len(shown), 4.1)
    places[-1].axline((0, 0), slope=1, color="black", linewidth=1.6, zorder=0.6)
    handles = [*handles, Line2D([], [], color="black", linewidth=1.6, label="decision boundary")]
    heading = "before training" if frame == 0 else f"after {recording.steps[frame]:,} steps"
    if column is not None:
        plot.plot_decision(column.regions[frame], ax=places[0], strength=0.3, least=0.35, zorder=0.5)
        plot.plot_boundary(column.boundaries[frame], legend=False, ax=places[0], linewidths=1.6, zorder=0.8)
        handles = [*handles, _undecided("white", "black")] if _has_ties(column.regions[frame]) else handles
        told = f"{title}: " if title else ""
        heading = f"{told}{column.net} ({column.fate}), {heading}: {_words(column, frame)}"
    figure.suptitle(heading)
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, markerscale=1.5)
    return figure


def draw_loss(recording: Recording, *, title: str = "") -> Figure:
    """The loss of one network: the mean of each epoch, the range of its batches, and ln 2, the loss of guesses."""
    (ax,) = plot.new_axes(size=4.8)
    losses = _epoch_losses(recording)
    middle = np.arange(len(losses)) + 0.5
    ax.fill_between(
        middle, losses.min(axis=1), losses.max(axis=1), color="0.85", linewidth=0, label="range of its batches"
    )
    ax.plot(middle, losses.mean(axis=1), color=plot.COLORS[0], linewidth=2, label="mean of the epoch")
    ax.axhline(np.log(2), color="0.4", linewidth=1, linestyle="--", label="ln 2, that of guesses")
    ax.set(xlabel="epoch", ylabel="cross-entropy", xlim=(0, len(losses)), title=title)
    legend_below(ax, ncols=2)
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
        ax.axhspan(_BOTTOM, _LEAST_GAIN, color="0.93", zorder=0)
        ax.text(0.03, 0.03, "not below ln 2: guesses", transform=ax.transAxes, fontsize="small", color="0.35")
        was_dead = found.was_dead[order]
        kinds = (
            (~dead, plot.COLORS[0], "o", "alive"),
            (dead & ~was_dead, plot.COLORS[1], "^", "died in training"),
            (dead & was_dead, "black", "|", "born dead"),
        )
        for row, (is_shown, color, marker, label) in enumerate(kinds):
            named = f"{label}, {percent_of(int(is_shown.sum()), len(is_shown))}"
            height = np.where(has_learned, gain, _NO_GAIN * _APART**-row)[is_shown]
            ax.plot(rank[is_shown], height, linestyle="", color=color, marker=marker, markersize=4, label=named)
        ax.set_title(f"{name}, {'-'.join(map(str, (2, *hidden, 2)))}")
        ax.set_xlabel("network, best first")
        if place == 0:
            ax.set_ylabel("ln 2 − cross-entropy at the end")
        ax.legend(fontsize="small", loc="upper right")
        ax.set(yscale="log", ylim=(_BOTTOM, 2.0))
        ax.yaxis.set_major_locator(FixedLocator(_DECADES.tolist()))  # none where heights are rows, not losses
        ax.yaxis.set_minor_locator(FixedLocator(np.outer(_DECADES[:-1], np.arange(2, 10)).ravel().tolist()))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
    figure = axes[0].figure
    assert isinstance(figure, Figure)
    num = len(rows[0][2].is_dead)
    figure.suptitle(f"{num:,} networks of each kind after SGD: what became of them, with 95 % intervals")
    figure.set_figheight(figure.get_figheight() + 0.35)
    return figure


def fates_movie(columns: Sequence[Column], data: Dataset) -> Morph:
    """Networks side by side on one clock: the input with exact regions and decision boundary, the last hidden layer,
    the outputs with the diagonal, where both are alike, and the mean loss of every epoch.

    Limits follow the points. Below each column's title stands what its counts say: how many points are right and how
    many units live, or which layer is dead.

    Args:
        columns: as :func:`column_of` gives them, trained in as many steps on the same points.
        data: those points.
    """
    num, labels = len(columns), np.asarray(data.y)
    few = slice(None, None, max(1, len(labels) // _FEW))
    with plot.dark():
        figure = plt.figure(figsize=(max(2.6 * num, _LEAST_WIDTH), 10.0), layout="constrained")
        set_padding(figure, 0.06)
        grid = figure.add_gridspec(4, num, height_ratios=[1, 1, 1, 0.62])
        axes = np.array([[figure.add_subplot(grid[row, place]) for place in range(num)] for row in range(3)])
        curve = figure.add_subplot(grid[3, :])
        heading = figure.suptitle("epoch 0", x=0.02, ha="left", fontsize=16)
        for ax in axes[2]:
            ax.axline((0, 0), slope=1, color="white", linewidth=1.2, zorder=1)
    shown, limits, clouds, marks = [], [], [], []
    for place, column in enumerate(columns):
        layers, _ = shown_layers(column.recording._replace(layers=column.recording.layers[-2:]))
        shown.append([layer[:, few] for layer in layers])
        limits.append([following_limits(layer) for layer in shown[-1]])
        clouds.append(
            [_night_points(layer[0], labels[few], ax) for layer, ax in zip(shown[-1], axes[1:, place], strict=True)]
        )
        marks.append(_draw_epochs(curve, column, place))
    marks_of_classes = [
        Line2D([], [], linestyle="", marker=marker, color=color, label=name)
        for marker, color, name in zip("os", NIGHT_SIDES, _CLASSES, strict=True)
    ]
    undecided = _undecided(figure.get_facecolor(), "white")
    look: Any = {"fontsize": 11, "frameon": False, "labelcolor": "white", "ncols": 3}
    figure.legend(handles=[*marks_of_classes, undecided], loc="upper right", **look)
    for row, name in enumerate(("input", "last hidden layer", "outputs")):
        axes[row, 0].set_ylabel(name, fontsize=12)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[], box_aspect=1)
    curve.set(yscale="log", xlabel="epoch", ylabel="cross-entropy")
    curve.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    curve.yaxis.set_major_formatter("{x:g}")
    curve.yaxis.set_minor_locator(NullLocator())
    above: Any = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "borderaxespad": 0.2}
    curve.legend(**above, ncols=num, fontsize=11, frameon=False, labelcolor="white")
    if any(column.share for column in columns):
        figure.supxlabel("above: shares of the networks trained, with 95 % intervals", fontsize=9, color="0.7")
    steps, epochs = columns[0].recording.steps, _epochs(columns[0].recording)
    curve.set_xlim(0, epochs)

    def draw(frame: int) -> None:
        heading.set_text(f"epoch {steps[frame] / steps[-1] * epochs:.0f} of {epochs:,}")
        for place, column in enumerate(columns):
            ax = axes[0, place]
            for artist in [*ax.collections]:
                artist.remove()
            plot.plot_decision(column.regions[frame], ax=ax)
            plot.plot_edges(column.regions[frame], ax=ax, colors=("#ffffff90",), linewidths=0.5)
            plot.plot_boundary(column.boundaries[frame], ax=ax, legend=False, colors="white", linewidths=2.2)
            seen, of_seen = np.asarray(data.x)[few], labels[few]
            ax.scatter(*seen.T, s=18, linewidths=0, color="#0e1116", zorder=3.9)  # apart from faces of their colour
            _night_points(seen, of_seen, ax)
            known = f"{column.fate}: {column.share}" if column.share else column.fate
            words = f"{known}\n{column.net}\n{_words(column, frame)}"
            ax.set_title(words, fontsize=11, color=CURVES[place % len(CURVES)][0])
            for part, (layer, cloud) in enumerate(zip(shown[place], clouds[place], strict=True)):
                for label, dots in enumerate(cloud):
                    dots.set_offsets(layer[frame][labels[few] == label])
                (left, right), (bottom, top) = limits[place][part][frame]
                axes[1 + part, place].set(xlim=(left, right), ylim=(bottom, top))
            mark, losses = marks[place]
            epoch = min(int(steps[frame] / steps[-1] * epochs), epochs - 1)
            mark.set_data([epoch + 0.5], [losses[epoch]])

    return Morph(figure, draw, len(steps))


def _undecided(color: Any, line: str) -> Patch:
    """For the legend: what regions look like on which no class is decided."""
    return Patch(facecolor=color, edgecolor=line, linewidth=0.8, label="outputs alike")


def _has_ties(regions: PlanarComplex) -> bool:
    """Whether there are regions on which both outputs are alike, such as both zero."""
    return bool(((regions.gradient == 0).all(axis=(1, 2)) & (regions.intercept == 0).all(axis=1)).any())


def _words(column: Column, frame: int) -> str:
    """What the counts of a frame say."""
    living = [int((layer[frame] > 0).any(axis=0).sum()) for layer in column.recording.layers[1:]]
    if 0 in living:
        return f"layer {living.index(0) + 1} is dead"
    total = sum(layer.shape[-1] for layer in column.recording.layers[1:])
    return f"{percent(column.accuracy[frame])} right, {sum(living)}/{total} units alive"


def _night_points(points: np.ndarray, labels: np.ndarray, ax: Axes) -> list[Any]:
    looks = zip("os", NIGHT_SIDES, strict=True)
    return [
        ax.scatter(*points[labels == label].T, **_NIGHT_POINTS, marker=marker, color=color)
        for label, (marker, color) in enumerate(looks)
    ]


def _epochs(recording: Recording) -> int:
    return len(_epoch_losses(recording))


def _epoch_losses(recording: Recording) -> Float[np.ndarray, "epochs batches"]:
    batches = -(-recording.layers[0].shape[1] // BATCH_SIZE)
    losses: Float[np.ndarray, "epochs batches"] = np.asarray(recording.loss, np.float64).reshape(-1, batches)
    return losses


def _draw_epochs(ax: Axes, column: Column, place: int) -> tuple[Any, np.ndarray]:
    """The mean loss of each epoch as a line, and a dot to move along it."""
    losses = _epoch_losses(column.recording).mean(axis=1)
    color, dashes = CURVES[place % len(CURVES)]
    middle = np.arange(len(losses)) + 0.5
    ax.plot(middle, losses, color=color, linestyle=dashes, linewidth=2, label=column.fate)
    (mark,) = ax.plot([], [], "o", color=color, markeredgecolor="white", markersize=8, zorder=5)
    return mark, losses


def _square(points: Float[np.ndarray, "points 2"]) -> tuple[np.ndarray, np.ndarray]:
    low, high = points.min(axis=0), points.max(axis=0)
    reach = 0.56 * float((high - low).max())
    return (low + high) / 2 - reach, (low + high) / 2 + reach


def _prepare(ax: Axes, layer: int, axes: PrincipalAxes | None) -> None:
    ax.set_title(f"layer {layer}" if layer else "input")
    ax.locator_params(nbins=5)
    if axes is None:
        ax.set(xlabel="unit 1" if layer else "$x_1$", ylabel="unit 2" if layer else "$x_2$")
    else:
        first, second = 100 * np.asarray(axes.explained_ratio)
        ax.set(
            xlabel=f"1st principal axis of all steps\n({first:.0f} % of their variance)",
            ylabel=f"2nd principal axis of all steps\n({second:.0f} % of their variance)",
        )
