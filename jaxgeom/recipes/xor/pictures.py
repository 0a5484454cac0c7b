"""[edge] XOR: the pictures of the data, of the network by hand, of training, and of one network's hidden units and
regions. Each function makes one figure; those of pairs of networks are in ``pair_pictures.py``."""

from collections.abc import Callable
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxgeom import plot
from jaxgeom.analysis.formula import latex_sum
from jaxgeom.analysis.kinds import Kinds, network_kinds
from jaxgeom.data.datasets import parity
from jaxgeom.domains import box, grid_points
from jaxgeom.networks.layers import Layers, forward, layers_of
from jaxgeom.plot.maps import SIDES
from jaxgeom.plot.pieces import cut_at_zero
from jaxgeom.plot.units import LEGEND
from jaxgeom.recipes.xor.networks import SNAPSHOT_EVERY, xor_by_hand, xor_values
from jaxgeom.regions.boundary import decision_boundary
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.regions.enumerate import enumerate_population, enumerate_regions
from jaxgeom.regions.labels import region_labels
from jaxgeom.regions.locate import locate
from jaxgeom.study.networks import networks
from jaxgeom.study.result import Study

DOMAIN = box(-1, 1)
X, Y = (np.asarray(array) for array in parity(2))
_MOST_FRAMES = 32
_LEAST_KINDS_WIDTH = 9.4
"""Inches that the lines below the kinds take."""
_LEAST_UNITS_WIDTH = 4.2
_MOST_KINDS = 8
_MOST_MEMBERS = 60
"""Of a kind whose decisions are drawn."""
_TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)
_AXES: dict[str, Any] = {"xlabel": "$x$", "ylabel": "$y$", "xticks": _TICKS, "yticks": _TICKS}


def data_figure() -> Figure:
    """The four points, in the plane and with their targets as height."""
    flat, space = flat_and_space()
    plot.mark_classes(X, Y[:, 0], ax=flat, s=140)
    flat.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", xlabel="$x$", ylabel="$y$", title="XOR")
    flat.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)
    plot.mark_classes(np.column_stack([X, Y]), Y[:, 0], ax=space, s=140)
    for point, target in zip(X, Y[:, 0], strict=True):
        space.plot(*[[value] * 2 for value in point], [0, target], color="0.6", linewidth=1)
    space.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), zlim=(-1.2, 1.2), xlabel="$x$", ylabel="$y$", zlabel="target")
    for ax, ticks in ((flat, ("xticks", "yticks")), (space, ("xticks", "yticks", "zticks"))):
        ax.set(**dict.fromkeys(ticks, (-1, 0, 1)))
    space.set_box_aspect(None, zoom=0.85)
    return _with_margin(flat.figure)


def by_hand_figure() -> Figure:
    """The network by hand: its regions with their affine functions, its kinks and zeros, and its surface."""
    layers, domain = xor_by_hand(), box(-2, 2)
    regions = enumerate_regions(layers, domain)
    pieces = enumerate_regions(layers, domain, cut_output=True)
    positive = np.sum(pieces.gradient[:, 0] * pieces.centroid, axis=1) + pieces.intercept[:, 0] > 0
    tints = np.where(positive[:, None], [0.973, 0.851, 0.761], [0.765, 0.875, 0.941])
    flat, space = flat_and_space(size=5.6)
    plot.plot_regions(pieces, color_by=tints, edges=False, ax=flat)
    kinks, zeros = (pieces.vertices[pieces.edges[pieces.edge_layer == layer]] for layer in (0, 1))
    for segments, color, dashes, name in ((kinks, "black", "-", "kinks"), (zeros, "0.35", (0, (4, 2)), "zeros")):
        for number, segment in enumerate(segments):
            flat.plot(*segment.T, color=color, linestyle=dashes, linewidth=2, label=None if number else name)
    total = regions.centroid.sum(axis=1)[:, None]
    positions = np.where(total < -1, [[-1.3, -0.7]], np.where(total < 0, [[-0.25, -0.25]], [[0.55, 0.55]]))
    plot.plot_formulas(regions, positions=positions, ax=flat)
    plot.mark_classes(X, Y[:, 0], ax=flat)
    flat.set(xlabel="$x$", ylabel="$y$", title=r"$f = 2\,\max(x+y+1, 0) - 4\,\max(x+y, 0) - 1$")
    flat.legend(loc="upper right", fontsize="small", framealpha=0.95)
    space.computed_zorder = False  # lines and points lie on the surface, not in it
    plot.plot_surface(pieces, colors=np.column_stack([tints, np.full(len(tints), 0.9)]), alpha=None, ax=space)
    plot.plot_lifted(kinks, _values_at(layers, kinks), ax=space, colors="black", linewidths=2.4)
    plot.plot_lifted(zeros, _values_at(layers, zeros), ax=space, colors="0.35", linewidths=2, linestyles=(0, (4, 2)))
    plot.mark_classes(np.column_stack([X, xor_values(layers, X)]), Y[:, 0], ax=space)
    space.set_title("its surface")
    return _with_margin(flat.figure)


def training_figure(run: Study, width: int) -> Figure:
    """Decision map and surface of one network at each snapshot, and its loss."""
    found, limits, azimuth = _snapshots(run)
    chosen = np.flatnonzero(run.coords["step"] % SNAPSHOT_EVERY == 0)
    num = len(chosen)
    columns = 6
    rows = 2 * -(-(num + 1) // columns)
    figure = plt.figure(figsize=(2.6 * columns, 2.55 * rows), layout="constrained")
    figure.suptitle(
        f"A network 2-{width}-1 learns XOR: decision map and surface, every {SNAPSHOT_EVERY} steps", fontsize="x-large"
    )
    for number in range(num):
        row, column = 2 * (number // columns), number % columns
        flat = figure.add_subplot(rows, columns, row * columns + column + 1)
        space = figure.add_subplot(rows, columns, (row + 1) * columns + column + 1, projection="3d")
        draw_map(flat, found[chosen[number]])
        draw_sheet(space, found[chosen[number]], limits, azimuth)
        flat.set_title(_title(run, int(chosen[number])))
        for ax in (flat, space):
            ax.set(xlabel="", ylabel="")
        space.set_zlabel("")
        space.set(xticklabels=[], yticklabels=[], zticks=[-1, 0, 1])
        space.set_box_aspect(None, zoom=1.0)
        flat.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    row, column = 2 * (num // columns), num % columns
    loss = figure.add_subplot(rows, columns, row * columns + column + 1)
    _draw_loss(loss, run)
    legend = figure.add_subplot(rows, columns, (row + 1) * columns + column + 1)
    legend.axis("off")
    handles = [
        Line2D([], [], linestyle="", marker=marker, markersize=9, color=color, markeredgecolor="white", label=name)
        for marker, color, name in zip("os", SIDES, ("even: target −1", "odd: target +1"), strict=True)
    ]
    legend.legend(handles=handles, loc="center", frameon=False)
    return figure


def training_movie(run: Study, width: int) -> tuple[Figure, Callable[[int], None], int]:
    """The same as an animation, by change: a figure, what draws a frame, and the number of frames."""
    found, limits, azimuth = _snapshots(run)
    shown = _by_change(run)
    figure = plt.figure(figsize=(11, 3.9), layout="constrained")
    layout: Any = figure.get_layout_engine()
    layout.set(w_pad=0.16, h_pad=0.1)
    flat = figure.add_subplot(1, 3, 1)
    space: Any = figure.add_subplot(1, 3, 2, projection="3d")
    loss = figure.add_subplot(1, 3, 3)
    _draw_loss(loss, run)
    (mark,) = loss.plot([], [], "o", color="black", markersize=8, zorder=5, clip_on=False)

    def draw(frame: int) -> None:
        place = shown[frame]
        flat.clear()
        draw_map(flat, found[place])
        space.clear()
        draw_sheet(space, found[place], limits, azimuth)
        mark.set_data(run.coords["step"][[place]], run.variables["loss"][[place]])
        flat.set_title(_title(run, place))
        space.set_title(f"the output of a network 2-{width}-1")

    return figure, draw, len(shown)


def kinds_figure(layers: Layers, *, title: str) -> tuple[Figure, Kinds]:
    """The kinds of networks of a population that solves XOR, the eight most frequent ones with their shares; also the
    kinds themselves.

    Args:
        layers: a population with few hidden units, all of which solve XOR.
        title: their architecture.
    """
    kinds = network_kinds(layers, X, DOMAIN)
    shown = range(min(_MOST_KINDS, len(kinds.num_networks)))
    numbers = [np.flatnonzero(kinds.kind == kind)[:_MOST_MEMBERS] for kind in shown]
    chosen = jax.tree.map(lambda array: array[np.concatenate(numbers)], kinds.layers)
    found = iter(enumerate_population(chosen, DOMAIN))
    members = [[next(found) for _ in each] for each in numbers]
    names = [
        f"{kinds.num_regions[kind]} regions,\nunits on at {' and '.join(map(str, kinds.num_active[kind]))}"
        for kind in shown
    ]
    axes = plot.plot_kinds(
        [each[0] for each in members],
        kinds.num_networks[: len(shown)],
        num_all=int(kinds.num_networks.sum()),
        members=members,
        points=X,
        labels=Y[:, 0],
        names=names,
    )
    figure: Any = axes[0].figure
    figure.set_size_inches(max(figure.get_size_inches()[0], _LEAST_KINDS_WIDTH), figure.get_size_inches()[1])
    most = f"; the {len(shown)} most frequent" if len(shown) < len(kinds.num_networks) else ""
    figure.suptitle(
        f"{kinds.num_networks.sum():,} networks {title} that solve XOR are of {len(kinds.num_networks)} kinds"
        f"{most}: their shares, with 95 % intervals"
    )
    figure.supxlabel(
        "Of one kind: the same regions with the same of the four points in them, up to symmetry. Dashed, dotted: where "
        "its units bend.\nUnits on at 1 and 3: of the four points, one unit is active at one and the other at three. "
        "Faint: the decisions of others of the kind.\n"
        "Regions may be narrower than a line, or lie beneath a point.",
        fontsize="small",
        color="0.3",
    )
    return figure, kinds


def units_figure(layers: Layers, *, title: str) -> Figure:
    """What every hidden unit does over the square, with the lines where they bend."""
    num = 61
    states = forward(layers, grid_points(DOMAIN, num))
    pictures = [np.asarray(layer).T.reshape(-1, num, num) for layer in states.activations]
    ax: Any = plot.plot_units(pictures, DOMAIN, complex_=enumerate_regions(layers, DOMAIN)).axes
    ax.set_title(title)
    result: Figure = ax.figure
    result.set_size_inches(max(result.get_figwidth(), _LEAST_UNITS_WIDTH), result.get_figheight() + 0.7)
    result.supxlabel(LEGEND, fontsize="small", color="0.3")
    return result


def regions_figure(layers: Layers, *, title: str) -> Figure:
    """Exact regions coloured by pattern, slope, active units and value, with the decision boundary."""
    regions = enumerate_regions(layers, DOMAIN)
    boundary = decision_boundary(regions)
    figure = plt.figure(figsize=(11, 9.6), layout="compressed")
    looks = {"random": "activation pattern", "slope": "slope", "active": "active units", "output": "value"}
    for ax, (look, name) in zip(figure.subplots(2, 2).flat, looks.items(), strict=True):
        plot.plot_regions(regions, color_by=look, ax=ax)
        plot.plot_boundary(boundary, ax=ax)
        ax.get_legend().remove()
        ax.set(title=f"coloured by {name}", **_AXES)
    figure.suptitle(
        f"{title}: {regions.num_faces} regions, exact, and the decision boundary (thick)", fontsize="x-large"
    )
    return figure


def grid_view_figure(layers: Layers, *, num_grid: int, title: str) -> tuple[Figure, dict[str, int]]:
    """What a grid of points sees of one network's regions and what it misses; also the numbers."""
    regions = enumerate_regions(layers, DOMAIN)
    points = grid_points(DOMAIN, num_grid)
    face = locate(regions, layers, points)
    labels = region_labels(regions, "map")
    seen = np.unique(face[face >= 0])
    facts = {"exact_regions": regions.num_faces, "regions_seen": len(seen), "maps_seen": len(np.unique(labels[seen]))}
    figure = plt.figure(figsize=(7.2, 8.0), layout="compressed")
    size = float(np.clip(400 / num_grid, 2, 30))
    drawn = plot.plot_grid_view(regions, points, face, ax=figure.subplots(), s=size)
    drawn.axes.set(**_AXES)
    drawn.axes.set_title(
        f"{title}: {regions.num_faces} regions, exact.\nA grid of {num_grid} × {num_grid} points sees {len(seen)} of "
        f"them, and misses {regions.num_faces - len(seen)}."
    )
    return figure, facts


def flat_and_space(size: float = 4.2) -> list[Any]:
    """Axes in the plane, and beside them in space."""
    return plot.new_axes(2, dim=[2, 3], size=size)


def draw_map(ax: Axes, regions: PlanarComplex, **style: Any) -> None:
    """The signs of a network on the square, with the four points."""
    plot.plot_decision_map(regions, ax=ax, **style)
    plot.mark_classes(X, Y[:, 0], ax=ax, clip_on=False)
    ax.set(**_AXES)


def draw_sheet(ax: Any, regions: PlanarComplex, limits: tuple[float, float], azimuth: float) -> None:
    """The graph of a network over the square, with the targets of the four points."""
    ax.computed_zorder = False  # points lie on the sheet, not in it
    plot.plot_graph(regions, limits=limits, azimuth=azimuth, ax=ax)
    plot.mark_classes(np.column_stack([X, Y]), Y[:, 0], ax=ax, s=45, clip_on=False)
    ax.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], zticks=[-1, 0, 1])


def _draw_loss(ax: Axes, run: Study) -> None:
    ax.plot(run.coords["step"], run.variables["loss"], color="black", linewidth=1.6)
    ax.set(xlabel="step", ylabel="mean squared error", ylim=(0, None))
    ax.grid(color="0.92")


def _snapshots(run: Study) -> tuple[list[PlanarComplex], tuple[float, float], float]:
    """The regions at each snapshot, the range of outputs and targets, and the azimuth that suits the last one."""
    found = [each for each in enumerate_population(layers_of(networks(run)), DOMAIN) if each is not None]
    values = np.concatenate([each[:, 2] for regions in found for each in cut_at_zero(regions).corners])
    limits = (min(-1.0, float(values.min())), max(1.0, float(values.max())))
    return found, limits, plot.azimuth_of(found[-1], limits)


def _by_change(run: Study) -> list[int]:
    """Snapshots between which the output changes about equally much, at most so many."""
    values = xor_values(layers_of(networks(run)), grid_points(DOMAIN, 11))
    if len(values) <= _MOST_FRAMES:
        return list(range(len(values)))
    change = np.abs(np.diff(values, axis=0)).max(axis=1)
    clock = np.concatenate([[0], np.cumsum(change / change.sum() + 0.2 / len(change))])
    chosen = np.searchsorted(clock, np.linspace(0, clock[-1], _MOST_FRAMES)).clip(0, len(values) - 1)
    return sorted({0, len(values) - 1, *chosen.tolist()})


def _title(run: Study, number: int) -> str:
    num_right = round(len(X) * float(run.variables["accuracy"][number]))
    return f"step {run.coords['step'][number]}: {num_right} of {len(X)} right"


def _with_margin(figure: Any) -> Figure:
    """With air around: axes in space are measured without their labels."""
    figure.get_layout_engine().set(rect=(0.01, 0.02, 0.97, 0.94))
    laid_out: Figure = figure
    return laid_out


def _values_at(layers: Layers, segments: np.ndarray) -> np.ndarray:
    return xor_values(layers, segments.reshape(-1, 2)).reshape(-1, 2)


def in_text(layers: Layers) -> str:
    """The network as a sum over its units, to be printed: no LaTeX."""
    text = latex_sum(layers).replace("\\max", "max").replace("\\cdot ", "· ")
    return text.replace("_{", "").replace("^{", "^").replace("}", "")


def member(layers: Any, number: int | None) -> Any:
    """One network of a population, as NumPy arrays; with None, a single one."""
    return jax.tree.map(lambda array: np.asarray(array) if number is None else np.asarray(array)[number], layers)


def close(figure: Figure) -> None:
    """Let go of a figure."""
    plt.close(figure)
