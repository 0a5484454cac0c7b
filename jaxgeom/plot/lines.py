"""[edge] What first-layer units look like over the data: lines in the plane, thresholds on a line."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.quiver import Quiver

from jaxgeom._reprs import readable
from jaxgeom._typing import PLANE
from jaxgeom.analysis.embeddings import Hyperplanes
from jaxgeom.plot.style import COLORS, new_axes

TARGET = "0.7"
"""Data along a line: lighter than all predictions, for readers who see no colours."""


@readable
class HyperplaneArtists(NamedTuple):
    """What :func:`plot_hyperplanes` drew."""

    lines: LineCollection
    """One line for each unit that has one, in the order of the units."""
    arrows: Quiver
    """On each line, to the side where the unit is on."""


@readable
class FitArtists(NamedTuple):
    """What :func:`plot_fit` drew."""

    target: Line2D
    """The curve to be fitted."""
    prediction: Line2D
    """The output of the network."""
    steps: Line2D | None
    """The output with step functions for activations; None if not asked for."""
    thresholds: LineCollection | None
    """Where the units switch; None if not asked for."""


def plot_hyperplanes(
    planes: Hyperplanes,
    *,
    limits: tuple[float, float] | None = None,
    colors: Sequence[Any] = COLORS,
    ax: Axes | None = None,
    **style: Any,
) -> HyperplaneArtists:
    """The line of every first-layer unit in the plane, each with an arrow to the side where the unit is on.

    Args:
        planes: of a network with two inputs, as :func:`jaxgeom.hyperplanes` gives them; padding is not drawn.
        limits: of both axes; default are those that the axes have.
        colors: one a unit, over again after the last.
        ax: where to draw; default is a new figure.
        style: passed on to ``matplotlib.collections.LineCollection``.

    Raises:
        ValueError: unless there are two inputs.
    """
    if planes.weight.shape[-1] != PLANE:
        raise ValueError(f"lines belong to networks with two inputs, but this one has {planes.weight.shape[-1]}.")
    if ax is None:
        (ax,) = new_axes()
        limits = limits or (-1.0, 1.0)
    if limits is not None:
        ax.set_aspect("equal", adjustable="box")
        ax.set(xlim=limits, ylim=limits)
    low, high = np.transpose([ax.get_xlim(), ax.get_ylim()])
    center, reach = (low + high) / 2, float(np.linalg.norm(high - low))
    unit = np.flatnonzero(np.asarray(planes.valid))
    weight, bias = np.asarray(planes.weight, np.float64)[unit], np.asarray(planes.bias, np.float64)[unit]
    length = np.linalg.norm(weight, axis=1, keepdims=True)
    normal = weight / length
    foot = center - normal * ((weight @ center + bias) / length[:, 0])[:, None]  # nearest to the middle
    along = np.column_stack([-normal[:, 1], normal[:, 0]]) * reach
    # arrows are out of the way of what is in the middle: towards the end of what is seen of a line, turn by turn
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(low - foot) / along, (high - foot) / along])
    ends = np.where(np.isnan(ends), np.inf, ends)
    last = np.clip(np.maximum(ends[0], ends[1]).min(axis=1), 0, 1)
    start = foot + (0.8 * last)[:, None] * along
    shades = [colors[int(number) % len(colors)] for number in unit]
    defaults: dict[str, Any] = {"colors": shades, "linewidths": 2.0, "zorder": 3.0}
    lines = LineCollection(list(np.stack([foot - along, foot + along], axis=1)), **defaults | style)
    ax.add_collection(lines, autolim=False)
    arrows = ax.quiver(*start.T, *(normal * reach * 0.05).T, color=shades, zorder=3.1, **_ARROWS)
    return HyperplaneArtists(lines, arrows)


_ARROWS: dict[str, Any] = {
    "angles": "xy",
    "scale_units": "xy",
    "scale": 1,
    "width": 0.008,
    "headwidth": 3.5,
    "headlength": 4,
    "headaxislength": 4,
}


def plot_fit(
    x: Float[Any, "points 1"],
    target: Float[Any, "points 1"],
    prediction: Float[Any, "points 1"],
    *,
    steps: Float[Any, "points 1"] | None = None,
    thresholds: Float[Any, " units"] | None = None,
    ax: Axes | None = None,
) -> FitArtists:
    """A function of one variable, what a network makes of it, and the steps that its units take.

    Args:
        x: inputs, ascending.
        target: values of the data.
        prediction: outputs of the network.
        steps: the piecewise constant function of :func:`jaxgeom.step_output`.
        thresholds: where units switch, as :func:`jaxgeom.thresholds`; those outside of the data are not drawn.
        ax: where to draw; default is a new figure.
    """
    if ax is None:
        (ax,) = new_axes(size=5)
    x, target, prediction = (np.asarray(array)[:, 0] for array in (x, target, prediction))
    (data,) = ax.plot(x, target, color=TARGET, linewidth=1.8, label="data")
    stairs = None
    if steps is not None:
        (stairs,) = ax.plot(x, np.asarray(steps)[:, 0], color=COLORS[0], linewidth=1.2, label="units on or off")
    (predicted,) = ax.plot(x, prediction, color=COLORS[1], linewidth=2.0, label="prediction")
    marks = None
    if thresholds is not None:
        places = np.asarray(thresholds)
        places = places[np.isfinite(places)]
        places = places[(places >= x[0]) & (places <= x[-1])]
        # from the bottom of the axes up, whatever the range of the values
        marks = ax.vlines(places, 0, 0.06, color="black", linewidth=1.2, transform=ax.get_xaxis_transform(), zorder=3)
        marks.set_label("thresholds $-b/w$")
    if x[0] != x[-1]:
        ax.set_xlim(x[0], x[-1])
    ax.set_xlabel("$x$")
    ax.set_ylabel("$y$")
    return FitArtists(data, predicted, stairs, marks)
