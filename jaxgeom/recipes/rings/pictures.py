"""[edge] The pictures of the rings: learning curves, lines, codes, hidden space, and all of them while training."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from jaxgeom import plot
from jaxgeom._typing import SPACE, Params
from jaxgeom.analysis.embeddings import hyperplanes
from jaxgeom.data.datasets import Dataset
from jaxgeom.domains import box, grid_points
from jaxgeom.networks.models import hidden_states
from jaxgeom.plot.animate import Paths
from jaxgeom.plot.style import DASHES
from jaxgeom.recipes.output import HOLD, rate_of
from jaxgeom.recipes.rings.experiment import PUBLISHED_LOSSES, PUBLISHED_STEP, RING_NAMES, RegionTable, region_table
from jaxgeom.recipes.sweep import loss_after, median_seed
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.study.networks import networks
from jaxgeom.study.result import Study, select

_FEW_DECADES = 100.0
"""Numbers between those of the decades are written along a logarithmic axis that is shorter than this."""
FEW_WIDTHS = 5
"""Lines of a legend of one column."""

LIMITS = (-4.6, 4.6)
"""Of the plane in all pictures; the ring ends at 4."""
_DECISION = "0.25"
_ROOM = 0.75
"""Around a label."""
_LABEL = np.array([1.7, 1.0])
"""Proportions of a label: distances are measured in units of its sides."""
_COVERS = np.array([0.6, 0.34])
"""How far a label of a region reaches from its middle."""
_PENALTY = 0.06
"""Off the score of a place for each point that a label hides: it rather touches lines than hides many points."""
LINE_COLORS = ("#009e73", "#cc79a7", "#7a5195", "#e69f00", "#56b4e9")
NUM_FRAMES = 60


def draw_sweep(
    study: Study,
    published: Mapping[int, float] = PUBLISHED_LOSSES,
    step: int = PUBLISHED_STEP,
    *,
    what: str = "loss",
    title: str = "",
) -> Figure:
    """Learning curves of every width, median and band over the seeds, and the losses after a step, one dot a network.

    Args:
        study: networks of several widths.
        published: losses reported elsewhere, by width.
        step: that they were reported after.
        what: name of the loss.
        title: over the figure.
    """
    curves, dots = plot.new_axes(2, size=4.8)
    widths, last = study.coords["width"].tolist(), int(study.coords["step"][-1])
    num, has_many = len(study.coords["seed"]), len(widths) > FEW_WIDTHS
    shades = _shades(len(widths))
    golden = (np.arange(num) * 0.618 % 1 - 0.5) * 0.6
    for place, (loss, after, color) in enumerate(
        zip(study.variables["loss"], loss_after(study, step), shades, strict=True)
    ):
        look = {"color": color, "linestyle": DASHES[place % len(DASHES)], "label": f"{widths[place]}"}
        band = plot.plot_curves(study.coords["step"], loss, ax=curves, **look).band
        if band is not None and has_many:  # the dots show how they are spread
            band.remove()
        look = {"color": color, "alpha": 0.6, "markersize": dot_size(num), "markeredgewidth": 0}
        dots.plot(place + golden, after, ".", **look)
        dots.plot([place - 0.36, place + 0.36], [np.median(after)] * 2, color="black", linewidth=1.6)
    known = {width: loss for width, loss in published.items() if width in widths and step <= last}
    cross: dict[str, Any] = {"color": "black", "markersize": 7, "markeredgewidth": 1.8, "zorder": 4}
    if known:
        curves.plot([step] * len(known), list(known.values()), "x", **cross)
        dots.plot([widths.index(width) for width in known], list(known.values()), "x", **cross)
    spread = "median" if has_many else "median and 10–90 %"
    curves.set(yscale="log", ylabel=f"{what}, {spread} of {num} seeds")
    small: dict[str, Any] = {"fontsize": "small", "title_fontsize": "small", "handlelength": 3.5}
    # where there are no curves
    small |= {"loc": "upper right", "ncols": FEW_WIDTHS} if has_many else {"loc": "lower left"}
    curves.legend(title="hidden units", columnspacing=1.0, handletextpad=0.5, **small)
    shown = min(step, last)
    dots.set(yscale="log", xlabel="hidden units", ylabel=f"{what} after {shown:,} steps; bars: medians")
    low, high = zip(curves.get_ylim(), dots.get_ylim(), strict=True)
    for ax in (curves, dots):
        ax.set_ylim(min(low), max(high))
        plain_ticks(ax, few=bool(max(high) < _FEW_DECADES * min(low)))
    curves.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    dots.set_xticks(range(len(widths)), [str(width) for width in widths])
    if known:
        dots.legend([Line2D([], [], linestyle="", marker="x", **cross)], ["the notebook's network"], fontsize="small")
    for ax in (curves, dots):
        ax.grid(axis="y", color="0.9", linewidth=0.8)
    curves.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    assert isinstance(curves.figure, Figure)
    curves.figure.suptitle(title)
    return curves.figure


def dot_size(num: int) -> float:
    """Of dots for so many networks, in points: fewer ones are larger."""
    return float(np.clip(42 / np.sqrt(num), 5, 13))


def plain_ticks(ax: Axes, *, few: bool) -> None:
    """Numbers such as 0.2 along a logarithmic axis, not powers of ten; if there are few decades, at 2 and 5 as well."""

    def of_minor(value: float, _: float) -> str:
        digit = value / 10 ** np.floor(np.log10(value) + 1e-9)
        return f"{value:g}" if few and round(digit, 6) in (2, 5) else ""

    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(of_minor)


def draw_lines(study: Study, data: Dataset) -> Figure:
    """The lines of the median network of every width, over the data."""
    widths = study.coords["width"].tolist()
    size = 3.6 if len(widths) > 1 else 5.4  # for the title
    axes = plot.new_axes(len(widths), size=size, num_columns=min(4, len(widths)))
    for width, ax in zip(widths, axes, strict=True):
        chosen = select(study, width=width, seed=median_seed(study, width))
        _draw_data(data, ax)
        params = median_network(study, width)
        plot.plot_hyperplanes(_planes(params), limits=LIMITS, colors=LINE_COLORS, ax=ax, linewidths=2.2)
        _draw_decision(params, ax)
        if ax is not axes[0]:
            ax.set_ylabel("")
        ax.set_title(f"{width} hidden unit{'s' * (width > 1)}: loss {chosen.variables['loss'][-1]:.3f}")
    figure = axes[0].figure
    assert isinstance(figure, Figure)
    handles = [
        Line2D([], [], color=LINE_COLORS[0], linewidth=2.2, label="a unit is 1/2; the arrow shows where it is more"),
        Line2D([], [], color=_DECISION, linewidth=2.2, linestyle=(0, (4, 2)), label="the network is 1/2: its decision"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(2, len(widths)), frameon=False)
    between = " " if len(widths) > 1 else "\n"
    figure.suptitle(f"Hidden units are lines in the plane:{between}for each width the network with the median loss")
    figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() + 0.9)
    figure.draw_without_rendering()  # where axes keep their aspect, the layout needs a second pass
    return figure


def median_network(study: Study, width: int) -> Params:
    """The trained network of a width with the median loss."""
    return networks(study, width=width, seed=median_seed(study, width), step=study.coords["step"][-1])


def draw_codes(params: Params, data: Dataset) -> tuple[Figure, RegionTable]:
    """The regions that the lines of one network cut, with their codes and how many points of each class live there."""
    table = region_table(params, data, box(*LIMITS))
    (ax,) = plot.new_axes(size=6.0)
    plot.plot_regions(table.complex_, color_by=_tints(table), edges=False, ax=ax)
    _draw_data(data, ax, s=5)
    look: dict[str, Any] = {"colors": LINE_COLORS, "linestyles": DASHES, "linewidths": 2.4}
    arrows = plot.plot_hyperplanes(_planes(params), limits=LIMITS, ax=ax, **look).arrows
    starts = np.asarray(arrows.get_offsets())
    along = np.column_stack([arrows.U, arrows.V])
    arrow_points = np.concatenate([starts + share * along for share in np.linspace(0, 1, 6)])
    places = _free_places(table.complex_, np.asarray(data.x), arrow_points)
    for name, (disk, ring), place in zip(table.codes, table.counts, places, strict=True):
        ax.annotate(
            f"{name}\n{disk:,} | {ring:,}",
            place,
            ha="center",
            va="center",
            fontsize="small",
            fontweight="bold",
            bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "alpha": 0.85, "linewidth": 0},
            zorder=5,
        )
    units = len(table.codes[0])
    looks = [(LINE_COLORS[unit % len(LINE_COLORS)], DASHES[unit % len(DASHES)]) for unit in range(units)]
    handles = [Line2D([], [], color=color, linestyle=dashes, linewidth=2.4) for color, dashes in looks]
    ax.legend(
        handles,
        [f"unit {unit + 1}" for unit in range(units)],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.1),
        ncols=units,
        frameon=False,
    )
    ax.set_title(
        f"{units} line{'s' * (units > 1)}, {len(table.codes)} regions: their codes, and points of disk | ring in each"
    )
    assert isinstance(ax.figure, Figure)
    return ax.figure, table


def draw_hidden(params: Params, data: Dataset) -> Figure:
    """The hidden space of one network with three units, with the plane that decides."""
    (ax,) = plot.new_axes(dim=3, size=5.6)
    plot.plot_hidden(_hidden(params, data), np.asarray(data.y), names=RING_NAMES, ax=ax)
    _draw_plane(params, ax)
    ax.set_title("three hidden units as coordinates, and the plane that decides")
    assert isinstance(ax.figure, Figure)
    return ax.figure


def draw_triples(params: Params, data: Dataset) -> Figure:
    """All choices of three hidden units of one network as coordinates."""
    hidden = _hidden(params, data)
    axes = plot.plot_hidden_triples(hidden, np.asarray(data.y), names=RING_NAMES)
    figure = axes[0].figure
    assert isinstance(figure, Figure)
    num = hidden.shape[1]
    if num == SPACE:
        _draw_plane(params, axes[0])
    figure.suptitle(
        f"{num} hidden units, three at a time as coordinates from 0 to 1: all {len(axes)} choices"
        if num > SPACE
        else "Hidden units, 0 to 1"
    )
    return figure


def animate_rings(
    study: Study,
    width: int,
    data: Dataset,
    paths: Paths,
    *,
    num_frames: int = NUM_FRAMES,
    progress: bool | str = False,
) -> list[Path]:
    """The median network of a width while it trains: its loss so far, the lines over the data, and, for three units,
    the hidden space."""
    records = shown_records(len(study.coords["step"]), num_frames)
    chosen = select(study, seed=median_seed(study, width))
    is_cube = width == SPACE
    axes = plot.new_axes(2 + is_cube, dim=[2, 2, 3][: 2 + is_cube], size=4.0)
    curve, plane, *cubes = axes
    steps, loss = study.coords["step"], select(chosen, width=width).variables["loss"]
    show = loss_so_far(steps, loss, curve, what="cross-entropy")
    _draw_data(data, plane)
    drawn: list[Any] = []

    def draw(frame: int) -> None:
        record = records[frame]
        params = networks(chosen, width=width, step=steps[record])
        show(record)
        while drawn:
            drawn.pop().remove()
        drawn.extend(
            plot.plot_hyperplanes(_planes(params), limits=LIMITS, colors=LINE_COLORS, ax=plane, linewidths=2.2)
        )
        drawn.extend(_draw_decision(params, plane))
        plane.set_title(f"after {steps[record]:,} steps; dashed: the decision")
        for cube in cubes:
            drawn.extend(plot.plot_hidden(_hidden(params, data), np.asarray(data.y), ax=cube, s=5))
            drawn.append(cube.collections[-1])
            drawn.append(_draw_plane(params, cube))
            cube.set_title("hidden units, and the plane that decides")

    figure = curve.figure
    assert isinstance(figure, Figure)
    num = len(study.coords["seed"])
    figure.suptitle(f"{width} hidden unit{'s' * (width > 1)}: the network with the median loss, of {num}")
    figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() + 0.3)
    return plot.save_animation(
        figure, draw, len(records), paths, frames_per_second=rate_of(len(records), 12), hold=HOLD, progress=progress
    )


def shown_records(num_records: int, num_frames: int) -> list[int]:
    """Which records a movie shows: most of them early, when most happens."""
    result: list[int] = np.unique(np.round((num_records - 1) * np.linspace(0, 1, num_frames) ** 2).astype(int)).tolist()
    return result


def loss_so_far(
    steps: Int[np.ndarray, " records"], loss: Float[np.ndarray, " records"], ax: Axes, *, what: str = "loss"
) -> Callable[[int], None]:
    """Prepare axes for a loss that grows to the right: the function draws it up to a record."""
    ax.set(xlim=(0, steps[-1]), ylim=(0, 1.05 * loss.max()), xlabel="step", ylabel=what, title="loss so far")
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    (line,) = ax.plot([], [], color="black", linewidth=1.8)
    (tip,) = ax.plot([], [], "o", color="black", markersize=5, clip_on=False)

    def show(record: int) -> None:
        line.set_data(steps[: record + 1], loss[: record + 1])
        tip.set_data(steps[record : record + 1], loss[record : record + 1])

    return show


def _shades(num: int) -> list[Any]:
    """Colours for ordered things: those of classes, or more of them along a colour map."""
    if num <= len(plot.COLORS) - 1:
        return list(plot.COLORS[:num])
    return list(colormaps["viridis"](np.linspace(0, 0.9, num)))


def _draw_data(data: Dataset, ax: Axes, **style: Any) -> None:
    plot.plot_points(data.x, np.asarray(data.y), ax=ax, **{"s": 4, "alpha": 0.5, "zorder": 2} | style)
    ax.set_aspect("equal", adjustable="box")
    ax.set(xlim=LIMITS, ylim=LIMITS, xlabel="$x_1$", ylabel="$x_2$")


def _tints(table: RegionTable) -> Float[np.ndarray, "regions 3"]:
    """Light blue for regions of the disk, light orange for those of the ring, grey for both and white for none."""
    disk, ring = np.asarray(table.counts).T > 0
    tints = np.array([[1.0, 1.0, 1.0], [0.99, 0.90, 0.83], [0.84, 0.92, 0.97], [0.85, 0.85, 0.85]])
    chosen: Float[np.ndarray, "regions 3"] = tints[2 * disk + ring]
    return chosen


def _free_places(
    complex_: PlanarComplex, x: Float[np.ndarray, "points 2"], arrows: Float[np.ndarray, "_ 2"]
) -> Float[np.ndarray, "regions 2"]:
    """A place in each region that is far from its sides and from all points, and not on arrows nor the frame: for a
    label."""
    grid = grid_points(box(*LIMITS), 47)
    distance = np.sqrt(np.square((grid[:, None] - x) / _LABEL).sum(axis=2).min(axis=1))
    points_below, arrows_below = ((np.abs(grid[:, None] - some) < _COVERS).all(axis=2) for some in (x, arrows))
    empty = np.minimum(distance, _ROOM) - _PENALTY * points_below.sum(axis=1) - 1.5 * arrows_below.any(axis=1)
    empty -= 0.8 * (np.abs(grid) + _COVERS > LIMITS[1]).any(axis=1)  # over the frame
    places = []
    for start, end in zip(complex_.face_offsets[:-1], complex_.face_offsets[1:], strict=True):
        corner = complex_.vertices[complex_.face_vertices[start:end]]
        side = np.roll(corner, -1, axis=0) - corner
        inwards = np.column_stack([-side[:, 1], side[:, 0]]) / np.hypot(*(side[:, ::-1] * _LABEL).T)[:, None]
        inside = np.sum((grid[:, None] - corner) * inwards, axis=2).min(axis=1)
        score = np.where(inside > 0, 5 * np.minimum(inside, 0.54 * _ROOM) + empty, -np.inf)
        places.append(grid[score.argmax()] if np.isfinite(score.max()) else corner.mean(axis=0))
    return np.array(places)


def _draw_decision(params: Params, ax: Axes) -> list[Any]:
    """Where the output of a network is 1/2: a line, if it is so somewhere."""
    num = 101
    line = np.linspace(*LIMITS, num)
    values = np.asarray(_output(params, grid_points(box(*LIMITS), num))).reshape(num, num)
    if values.min() < 0 < values.max():
        look: dict[str, Any] = {"colors": _DECISION, "linewidths": 2.2, "linestyles": [(0, (4, 2))]}
        return [ax.contour(line, line, values, levels=[0.0], **look)]
    return []


@jax.jit
def _output(params: Params, x: Array) -> Array:
    return hidden_states(params, x)[-1].pre_activation[:, 0]


_planes = jax.jit(hyperplanes)


def _hidden(params: Params, data: Dataset) -> np.ndarray:
    return np.asarray(_first_activation(params, data.x))


@jax.jit
def _first_activation(params: Params, x: Array) -> Array:
    return hidden_states(params, x)[0].activation


def _draw_plane(params: Params, ax: Axes) -> Any:
    last = params[sorted(params)[-1]]
    return plot.plot_cube_plane(np.asarray(last["kernel"])[:, 0], float(last["bias"][0]), ax=ax)
