"""[edge] Pictures of slices: each network on the first plane, and its numbers on all."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxgeom.plot.slices import plot_slice
from jaxgeom.plot.style import COLORS
from jaxgeom.recipes.slice.experiment import Slices

MOST_SHOWN = 6
"""Networks drawn beside each other."""
_COLUMNS = 3
_SIDE, _AROUND_AXES, _BELOW_AXES = 5.6, 0.7, 1.4
"""Inches: the width of a panel, and what is beside its axes, and above and below them."""
_CAPTION = 0.55
"""Inches of what is said below all panels."""
_MOST_DOTS = 2000
"""Points drawn on a plane; more hide it."""
_NUMBERS = {
    "region_density": "linear regions per unit of area",
    "boundary_length": "length of the decision boundary",
    "num_components": "components of classes",
    "local_complexity": "units near a point",
}


def slices_figure(
    found: Slices, x: Any, labels: Any, *, image_shape: tuple[int, ...] | None, names: Sequence[str] | None
) -> Figure:
    """Each network on the first plane, with the points that are over it."""
    networks = list(found.shown)[:MOST_SHOWN]
    columns = min(len(networks), _COLUMNS)
    rows = -(-len(networks) // columns)
    figure = plt.figure(figsize=(_SIDE * columns, _SIDE * rows), layout="constrained")
    some = np.random.default_rng(0).permutation(len(x))[:_MOST_DOTS]
    some = np.union1d(some, found.rows)
    for place, name in enumerate(networks):
        ax = figure.add_subplot(rows, columns, place + 1)
        plot_slice(
            found.shown[name],
            x[some],
            None if labels is None else labels[some],
            anchors=x[found.rows],
            anchor_names=[f"row {row}" for row in found.rows],
            image_shape=image_shape,
            names=names,
            ax=ax,
        )
        ax.set_title(f"{name}: {found.shown[name].complex_.num_faces:,} linear regions")
    if labels is not None:
        text = "Areas: classes that the network gives.\nDots: points over the plane, in the colours of their classes."
        figure.supxlabel(text, fontsize="small", color="0.3")
    shapes = [float(np.ptp(ax.get_ylim()) / np.ptp(ax.get_xlim())) for ax in figure.axes]
    height = rows * ((_SIDE - _AROUND_AXES) * max(shapes) + _BELOW_AXES) + (0 if labels is None else _CAPTION)
    figure.set_size_inches(_SIDE * columns, height)
    return figure


def numbers_figure(found: Slices) -> Figure:
    """Numbers on all planes: a dot for each, and their median."""
    figure = plt.figure(figsize=(11, 2.0 + 0.45 * len(found.shown) * 2), layout="constrained")
    axes = figure.subplots(2, 2, sharey=True).ravel()
    names = list(found.shown)
    num_planes = len(found.study.coords["plane"])
    figure.suptitle(f"One dot a plane, of {num_planes:,}; bars: medians", fontsize="medium")
    random = np.random.default_rng(0)
    for ax, (key, label) in zip(axes, _NUMBERS.items(), strict=True):
        values = found.study.variables[key]
        values = values.sum(axis=-1) if values.ndim > 2 else values  # noqa: PLR2004
        for place, row in enumerate(values):
            spread = place + random.uniform(-0.18, 0.18, len(row))
            color = COLORS[place % len(COLORS)]
            ax.scatter(row, spread, s=14, color=color, alpha=0.6, linewidths=0, clip_on=False, zorder=3)
            ax.plot([np.median(row)] * 2, [place - 0.32, place + 0.32], color="0.1", linewidth=1.6, zorder=4)
        ax.set_xlabel(label)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_xlim(left=0)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=key == "num_components", steps=[1, 2, 5, 10]))
        ax.grid(axis="x", color="0.9")
        ax.set_axisbelow(True)
        for side in ("top", "right", "left"):
            ax.spines[side].set_visible(False)
        ax.tick_params(axis="y", length=0)
    return figure
