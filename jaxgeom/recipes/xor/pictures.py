"""[edge] XOR: the pictures of the data, of the network by hand, of training, of pairs of networks, and of one network's
hidden units and regions. Each function makes one figure."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxgeom import plot
from jaxgeom.analysis.formula import latex_sum
from jaxgeom.data.datasets import parity
from jaxgeom.domains import box, grid_points
from jaxgeom.networks.layers import Layers, forward, layers_of
from jaxgeom.plot.maps import SIDES
from jaxgeom.recipes.xor.networks import SNAPSHOT_EVERY, Pair, PairScores, xor_by_hand, xor_values
from jaxgeom.regions.boundary import decision_boundary
from jaxgeom.regions.enumerate import enumerate_regions
from jaxgeom.regions.labels import region_labels
from jaxgeom.regions.locate import locate
from jaxgeom.study.networks import networks
from jaxgeom.study.result import Study

DOMAIN = box(-1, 1)
X, Y = (np.asarray(array) for array in parity(2))
_NUM_FINE = 101
_TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)
_AXES: dict[str, Any] = {"xlabel": "$x$", "ylabel": "$y$", "xticks": _TICKS, "yticks": _TICKS}


def data_figure() -> Figure:
    """The four points, in the plane and with their targets as height."""
    flat, space = _flat_and_space()
    plot.mark_classes(X, Y[:, 0], ax=flat, s=140)
    flat.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", xlabel="$x$", ylabel="$y$", title="XOR")
    flat.legend(loc="center", framealpha=0.9)
    plot.mark_classes(np.column_stack([X, Y]), Y[:, 0], ax=space, s=140)
    for point, target in zip(X, Y[:, 0], strict=True):
        space.plot(*[[value] * 2 for value in point], [0, target], color="0.6", linewidth=1)
    space.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), zlim=(-1.2, 1.2), xlabel="$x$", ylabel="$y$", zlabel="target")
    space.set_box_aspect(None, zoom=0.85)
    return _with_margin(flat.figure)


def by_hand_figure() -> Figure:
    """The network by hand: its regions with their affine functions, its kinks and zeros, and its surface."""
    layers, domain = xor_by_hand(), box(-2, 2)
    regions = enumerate_regions(layers, domain)
    pieces = enumerate_regions(layers, domain, cut_output=True)
    positive = np.sum(pieces.gradient[:, 0] * pieces.centroid, axis=1) + pieces.intercept[:, 0] > 0
    tints = np.where(positive[:, None], [0.973, 0.851, 0.761], [0.765, 0.875, 0.941])
    flat, space = _flat_and_space(size=5.6)
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
    values, limits = _snapshot_values(run)
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
        _draw_map(flat, values[chosen[number]])
        _draw_wires(space, values[chosen[number]], limits)
        flat.set_title(_title(run, int(chosen[number])))
        for ax in (flat, space):
            ax.set(xlabel="", ylabel="")
        space.set_zlabel("")
        space.set(xticklabels=[], yticklabels=[])
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
    """The same as an animation: a figure, what draws a frame, and the number of frames."""
    values, limits = _snapshot_values(run)
    figure = plt.figure(figsize=(11, 3.9), layout="constrained")
    layout: Any = figure.get_layout_engine()
    layout.set(w_pad=0.16, h_pad=0.1)
    flat = figure.add_subplot(1, 3, 1)
    space: Any = figure.add_subplot(1, 3, 2, projection="3d")
    loss = figure.add_subplot(1, 3, 3)
    image = _draw_map(flat, values[0])
    _draw_loss(loss, run)
    (mark,) = loss.plot([], [], "o", color="black", markersize=8, zorder=5)

    def draw(frame: int) -> None:
        image.set_data(values[frame])
        space.clear()
        _draw_wires(space, values[frame], limits)
        mark.set_data(run.coords["step"][[frame]], run.variables["loss"][[frame]])
        flat.set_title(_title(run, frame))
        space.set_title(f"2-{width}-1")

    return figure, draw, len(values)


def triples_figure(pair: Pair, names: tuple[str, str]) -> Figure:
    """The distinct affine maps of two networks and their images: gradients in the plane, with intercepts in space."""
    flat, space = _flat_and_space(size=5.2)
    sets = _triples_by_name(pair)
    plot.plot_triples(sets, ax=flat)
    plot.plot_triples(sets, ax=space)
    flat.set_title("gradients")
    space.set_title("gradients and intercepts")
    _suptitle(flat.figure, "Affine maps", names)
    result: Figure = flat.figure
    return result


def maps_figure(pair: Pair, names: tuple[str, str]) -> Figure:
    """Decision maps of two networks, and of the affine maps of each sent to those of the other."""
    axes: list[Any] = plot.new_axes(4, size=3.6, num_columns=2)
    for ax, (title, values) in zip(axes, _four(pair, names), strict=True):
        _draw_map(ax, values)
        ax.set_title(title)
    _suptitle(axes[0].figure, "Decision maps", names)
    result: Figure = axes[0].figure
    return result


def surfaces_figure(pair: Pair, names: tuple[str, str]) -> Figure:
    """The surfaces of the same four."""
    axes: list[Any] = plot.new_axes(4, dim=3, size=4.0, num_columns=2)
    four = _four(pair, names)
    limits = (min(float(values.min()) for _, values in four), max(float(values.max()) for _, values in four))
    for ax, (title, values) in zip(axes, four, strict=True):
        _draw_wires(ax, values, limits)
        ax.set_title(title)
    _suptitle(axes[0].figure, "Surfaces", names)
    result: Figure = axes[0].figure
    return result


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
            ax.scatter(center + spread, shown, s=13, color=SIDES[index], alpha=0.5, linewidths=0, label=label)
            ax.plot([center - 0.17, center + 0.17], [max(float(np.median(values)), lowest)] * 2, color="black", lw=1.8)
            num_below = int((values < lowest).sum())
            if num_below:
                ax.text(center, lowest - 0.06, f"{num_below} below", ha="center", va="top", fontsize="x-small")
    ax.axhline(0, color="0.8", linewidth=1, zorder=0)
    ax.set_ylim(lowest - 0.22, 1.05)
    ax.set_xticks(range(len(scores)), [f"{each.widths[0]} → {each.widths[1]}" for each in scores])
    ax.set_xlabel("hidden units of both networks")
    ax.set_ylabel("R² over the grid")
    legend = ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False, fontsize="small")
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1.0)
    return figure


def units_figure(layers: Layers, *, title: str) -> Figure:
    """What every hidden unit does over the square, with the lines where they bend."""
    num = 61
    states = forward(layers, grid_points(DOMAIN, num))
    pictures = [np.asarray(layer).T.reshape(-1, num, num) for layer in states.activations]
    ax: Any = plot.plot_units(pictures, DOMAIN, complex_=enumerate_regions(layers, DOMAIN)).axes
    ax.set_title(title)
    result: Figure = ax.figure
    return result


def regions_figure(layers: Layers, *, title: str) -> Figure:
    """Exact regions coloured by pattern, slope, active units and value, with the decision boundary."""
    regions = enumerate_regions(layers, DOMAIN)
    boundary = decision_boundary(regions)
    figure = plt.figure(figsize=(11, 10), layout="compressed")
    looks = {"random": "activation pattern", "slope": "slope", "active": "active units", "output": "value"}
    for ax, (look, name) in zip(figure.subplots(2, 2).flat, looks.items(), strict=True):
        plot.plot_regions(regions, color_by=look, ax=ax)
        plot.plot_boundary(boundary, ax=ax)
        ax.set(title=f"coloured by {name}", **_AXES)
    figure.suptitle(f"{title}: {regions.num_faces} regions, exact", fontsize="x-large")
    return figure


def grid_view_figure(layers: Layers, *, num_grid: int, title: str) -> tuple[Figure, dict[str, int]]:
    """What a grid of points sees of one network's regions and what it misses; also the numbers."""
    regions = enumerate_regions(layers, DOMAIN)
    points = grid_points(DOMAIN, num_grid)
    face = locate(regions, layers, points)
    labels = region_labels(regions, "map")
    seen = np.unique(face[face >= 0])
    facts = {"exact_regions": regions.num_faces, "regions_seen": len(seen), "maps_seen": len(np.unique(labels[seen]))}
    figure = plt.figure(figsize=(7.2, 8.3), layout="constrained")
    size = float(np.clip(400 / num_grid, 2, 30))
    drawn = plot.plot_grid_view(regions, points, face, labels, ax=figure.subplots(), s=size)
    drawn.axes.set(**_AXES)
    drawn.axes.set_title(
        f"{title}: {regions.num_faces} regions, exact.\nA grid of {num_grid} × {num_grid} points sees {len(seen)} of "
        f"them, and misses {regions.num_faces - len(seen)}."
    )
    return figure, facts


def _flat_and_space(size: float = 4.2) -> list[Any]:
    return plot.new_axes(2, dim=[2, 3], size=size)


def _draw_map(ax: Axes, values: Float[np.ndarray, "rows columns"]) -> Any:
    image = plot.plot_map(values, DOMAIN, ax=ax)
    plot.mark_classes(X, Y[:, 0], ax=ax, clip_on=False)
    ax.set(**_AXES)
    return image


def _draw_wires(ax: Any, values: Float[np.ndarray, "rows columns"], limits: tuple[float, float]) -> None:
    plot.plot_wireframe(values, DOMAIN, limits=limits, ax=ax)
    plot.mark_classes(np.column_stack([X, Y]), Y[:, 0], ax=ax, s=45)


def _draw_loss(ax: Axes, run: Study) -> None:
    ax.plot(run.coords["step"], run.variables["loss"], color="black", linewidth=1.6)
    ax.set(xlabel="step", ylabel="mean squared error", ylim=(0, None))
    ax.grid(color="0.92")


def _snapshot_values(run: Study) -> tuple[Float[np.ndarray, "snapshots rows columns"], tuple[float, float]]:
    """Outputs over the grid at each snapshot, and the range that holds them and the targets."""
    values = xor_values(layers_of(networks(run)), grid_points(DOMAIN, _NUM_FINE)).reshape(-1, _NUM_FINE, _NUM_FINE)
    return values, (min(-1.0, float(values.min())), max(1.0, float(values.max())))


def _title(run: Study, number: int) -> str:
    return f"step {run.coords['step'][number]}: {run.variables['accuracy'][number]:.0%} right"


def _four(pair: Pair, names: tuple[str, str]) -> list[tuple[str, Float[np.ndarray, "rows columns"]]]:
    """Values over the grid of network 1, of its image, of the image of network 2, and of network 2."""
    num = int(len(pair.points) ** 0.5)
    homogeneous = np.column_stack([pair.points, np.ones(len(pair.points))])
    there, back = pair.r_squared
    titles = (f"1: {names[0]}", f"1 → 2, R² = {_score(there)}", f"2 → 1, R² = {_score(back)}", f"2: {names[1]}")
    rows = (pair.triples[0], *pair.images, pair.triples[1])
    values = [np.sum(homogeneous * each, axis=1)[: num * num].reshape(num, num) for each in rows]
    return list(zip(titles, values, strict=True))


def _triples_by_name(pair: Pair) -> dict[str, Float[np.ndarray, "_ 3"]]:
    one, two = pair.distinct
    return {
        f"1 ({one.sum()} maps)": pair.triples[0][one],
        f"2 ({two.sum()} maps)": pair.triples[1][two],
        f"1 → 2, R² = {_score(pair.r_squared[0])}": pair.images[0][one],
        f"2 → 1, R² = {_score(pair.r_squared[1])}": pair.images[1][two],
    }


def _suptitle(figure: Any, what: str, names: tuple[str, str]) -> None:
    figure.suptitle(f"{what} of two networks, {names[0]} and {names[1]}", fontsize="large")


def _score(value: float) -> str:
    return f"{value + 0.0:.2f}".replace("-0.00", "0.00")


def _with_margin(figure: Any) -> Figure:
    """With air around: axes in space are measured without their labels."""
    figure.get_layout_engine().set(rect=(0.01, 0.02, 0.97, 0.94))
    laid_out: Figure = figure
    return laid_out


def _values_at(layers: Layers, segments: np.ndarray) -> np.ndarray:
    return xor_values(layers, segments.reshape(-1, 2)).reshape(-1, 2)


def pair_figures(pair: Pair, names: tuple[str, str]) -> dict[str, Figure]:
    """All three pictures of two networks."""
    return {
        "triples": triples_figure(pair, names),
        "maps": maps_figure(pair, names),
        "surfaces": surfaces_figure(pair, names),
    }


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
