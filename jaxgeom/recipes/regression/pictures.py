"""[edge] The pictures of the regression: fits with their thresholds and steps, the neglected half, and training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxgeom import plot
from jaxgeom._typing import Params
from jaxgeom.analysis.embeddings import step_output, thresholds
from jaxgeom.data.datasets import Dataset
from jaxgeom.networks.models import hidden_states
from jaxgeom.plot.animate import Paths
from jaxgeom.plot.lines import FitArtists
from jaxgeom.plot.style import legend_below
from jaxgeom.recipes.output import HOLD, rate_of
from jaxgeom.recipes.regression.experiment import regression_data, shares_of
from jaxgeom.recipes.rings.pictures import dot_size, loss_so_far, median_network, shown_records
from jaxgeom.recipes.sweep import median_seed
from jaxgeom.study.networks import networks
from jaxgeom.study.result import Study, select

NUM_FRAMES = 60
_Y_LIMITS = (-4.6, 4.6)
HALVES = (plot.COLORS[0], plot.COLORS[3])
"""Left and right; the prediction has another colour."""


def draw_fits(study: Study, data: Dataset, widths: Sequence[int]) -> Figure:
    """Data, prediction, thresholds and the piecewise constant prediction of the median network of some widths."""
    size = 4.4 if len(widths) > 1 else 5.4  # for the words beneath
    axes = plot.new_axes(len(widths), size=size, num_columns=min(3, len(widths)))
    for place, (width, ax) in enumerate(zip(widths, axes, strict=True)):
        loss = select(study, width=width, seed=median_seed(study, width)).variables["loss"][-1]
        _draw_fit(median_network(study, width), data, ax)
        units = "hidden unit" if width == 1 else "hidden units"
        ax.set_title(f"{width} {units}: mean squared error {loss:.2f}", fontsize="medium")
        if place == 0:
            ax.legend(loc="upper right", fontsize="small")
    figure = axes[0].figure
    assert isinstance(figure, Figure)
    between = " " if len(widths) > 1 else "\n"
    figure.supxlabel(
        f"The network with the median loss, of {len(study.coords['seed'])} of each width."
        f"{between}Steps: the same network with every unit on or off.\nTriangles: the steps go on beyond the panel.",
        fontsize="medium",
        color="0.3",
    )
    return figure


def draw_halves(studies: Mapping[str, Study], width: int) -> Figure:
    """The experiments side by side: the median network of each, and what all of them leave unexplained in each half.

    Args:
        studies: by the name of the experiment.
        width: of the networks that are compared.
    """
    axes = plot.new_axes(len(studies) + 1, size=4.2, num_columns=2)
    shares = axes[-1]
    for place, (name, study) in enumerate(studies.items()):
        ax = axes[place]
        _draw_fit(median_network(study, width), regression_data(name), ax, with_steps=False)
        found = shares_of(name, study, width)
        left, right = found[study.coords["seed"].tolist().index(median_seed(study, width))]
        ax.axvline(0, color="0.7", linewidth=1, linestyle="--", zorder=0)
        ax.set_title(f"{name}: unexplained {100 * left:.0f} % left, {100 * right:.0f} % right", fontsize="medium")
        if place == 0:
            ax.legend(loc="upper right", fontsize="small")
        spread = (np.arange(len(found)) * 0.618 % 1 - 0.5) * 0.3
        for half, shift in ((0, -0.2), (1, 0.2)):
            label = ("left half, x < 0", "right half")[half] if place == 0 else None
            values = 100 * found[:, half]
            look: dict[str, Any] = {
                "color": HALVES[half],
                "alpha": 0.6,
                "markersize": dot_size(len(found)) / 2,
                "markeredgewidth": 0,
            }
            shares.plot(place + shift + spread, values, "os"[half], label=label, **look)
            (bar,) = shares.plot([place + shift - 0.17, place + shift + 0.17], [np.median(values)] * 2, color="black")
    bar.set_label("median")
    shares.set_xticks(range(len(studies)), list(studies))
    shares.set(ylabel="unexplained variation [%]\n100: no better than a constant", ylim=(-4, None))
    shares.set_title(f"all {len(found)} seeds of {width} units")
    shares.title.set_fontsize("medium")
    shares.axhline(100, color="0.7", linewidth=1, linestyle=":", zorder=0)
    legend_below(shares, ncols=3, markerscale=1.2)
    assert isinstance(shares.figure, Figure)
    return shares.figure


def animate_regression(
    study: Study,
    width: int,
    data: Dataset,
    paths: Paths,
    *,
    num_frames: int = NUM_FRAMES,
    progress: bool | str = False,
) -> list[Path]:
    """The median network of a width while it trains: its loss so far, and its fit with the thresholds of its units."""
    steps, chosen = study.coords["step"], select(study, seed=median_seed(study, width))
    records = shown_records(len(steps), num_frames)
    curve, ax = plot.new_axes(2, size=4.4)
    show = loss_so_far(steps, select(chosen, width=width).variables["loss"], curve, what="mean squared error")

    def draw(frame: int) -> None:
        record = records[frame]
        show(record)
        ax.clear()
        _draw_fit(networks(chosen, width=width, step=steps[record]), data, ax)
        ax.set_title(f"after {steps[record]:,} steps")
        ax.legend(loc="upper right", fontsize="small")

    figure = ax.figure
    assert isinstance(figure, Figure)
    num = len(study.coords["seed"])
    figure.suptitle(f"{width} hidden unit{'s' * (width > 1)}: the network with the median loss, of {num}")
    figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() + 0.3)
    return plot.save_animation(
        figure, draw, len(records), paths, frames_per_second=rate_of(len(records), 12), hold=HOLD, progress=progress
    )


def _draw_fit(params: Params, data: Dataset, ax: Axes, *, with_steps: bool = True) -> FitArtists:
    outputs, steps, places = map(np.asarray, _of_fit(params, data.x))
    drawn = plot.plot_fit(data.x, data.y, outputs, steps=steps if with_steps else None, thresholds=places, ax=ax)
    ax.set_ylim(_Y_LIMITS)
    if with_steps:
        _mark_outside(np.asarray(data.x)[:, 0], steps[:, 0], ax)
    ax.set_xticks((-10, -5, 0, 5, 10))
    ax.set_xlim(-10, 10)
    return drawn


def _mark_outside(x: np.ndarray, steps: np.ndarray, ax: Axes) -> None:
    """A triangle at the edge of the axes for each step that is beyond it."""
    for limit, marker, is_out in ((_Y_LIMITS[1], 6, steps > _Y_LIMITS[1]), (_Y_LIMITS[0], 7, steps < _Y_LIMITS[0])):
        changes = np.flatnonzero(np.diff(np.concatenate([[False], is_out, [False]]).astype(int)))
        middles = [x[start:end].mean() for start, end in changes.reshape(-1, 2)]
        look: dict[str, Any] = {"color": plot.COLORS[0], "linestyle": "", "marker": marker, "markersize": 8}
        ax.plot(middles, [limit] * len(middles), **look, clip_on=False, zorder=4, in_layout=False)


@jax.jit
def _of_fit(params: Params, x: Array) -> tuple[Array, Array, Array]:
    """Prediction, piecewise constant prediction, and thresholds."""
    return hidden_states(params, x)[-1].activation, step_output(params, x), thresholds(params)
