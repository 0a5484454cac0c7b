"""[edge] What each hidden unit does, as small pictures over the input plane: a row for each layer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.image import AxesImage

from jaxgeom._reprs import readable
from jaxgeom.domains import Box
from jaxgeom.plot.colormaps import value_colormap
from jaxgeom.plot.style import new_axes
from jaxgeom.regions.complex import PlanarComplex, check_is_planar

_CORNERS = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
LEGEND = "Line: where a unit bends. Off: zero on the whole square.\nOrange: where it is on, each in a scale of its own."
"""A caption for :func:`plot_units` of units that are never negative, such as those of ReLU networks."""

_GAP = 0.12  # between pictures, in sides of one


@readable
class UnitArtists(NamedTuple):
    """What :func:`plot_units` drew."""

    axes: Axes
    """Where it was drawn."""
    images: list[AxesImage]
    """One a unit, first layer first; each scaled to its own largest size."""
    lines: LineCollection | None
    """The bent lines of all units, each in its own picture."""


def plot_units(
    values: Sequence[Float[np.ndarray, "_ rows columns"]],
    domain: Box,
    *,
    complex_: PlanarComplex | None = None,
    names: Sequence[str] | None = None,
    num_columns: int = 10,
    ax: Axes | None = None,
    **style: Any,
) -> UnitArtists:
    """Every hidden unit as a small picture: its activation over the input plane, and the line where it bends.

    Layers and units are counted from 1. Units that are zero on the whole grid are called "off".

    Args:
        values: for each layer, the activations of its units on a grid over the domain (see :func:`plot_map`).
        domain: what the grid spans.
        complex_: the network's regions on that domain, for the lines of the units; exact, and bent in deeper layers.
        names: of the layers; default is "layer 1", …
        num_columns: pictures in a row.
        ax: where to draw; default is a new figure.
        style: passed on to ``imshow``.
    """
    if complex_ is not None:
        check_is_planar(complex_, "a picture of units")
    rows_of = [-(-len(layer) // num_columns) for layer in values]
    columns = min(num_columns, max(len(layer) for layer in values))
    num_rows = sum(rows_of)
    if ax is None:
        (ax,) = new_axes()
        figure: Any = ax.figure
        figure.set_size_inches(1.1 * columns + 0.9, 1.25 * num_rows + 0.3)
    aspect = float(np.divide(*(domain.high - domain.low)[::-1]))
    images, segments, frames = [], [], []
    row = 0
    for layer, units in enumerate(values):
        for unit, picture in enumerate(np.asarray(units)):
            left = (unit % num_columns) * (1 + _GAP)
            below = -(row + unit // num_columns + 1) * (aspect + 2 * _GAP)
            largest = float(np.abs(picture).max()) or 1.0
            look: dict[str, Any] = {"cmap": value_colormap(), "vmin": -largest, "vmax": largest}
            extent = (left, left + 1, below, below + aspect)
            images.append(ax.imshow(picture, origin="lower", extent=extent, aspect="equal", **look | style))
            frames.append(_CORNERS * (1, aspect) + (left, below))
            label = f"{unit + 1}" if picture.any() else f"{unit + 1}, off"
            ax.text(left + 0.5, below + aspect + 0.02, label, ha="center", va="bottom", fontsize="x-small")
            if complex_ is not None:
                chosen = (complex_.edge_layer == layer) & (complex_.edge_unit == unit)
                share = (complex_.vertices[complex_.edges[chosen]] - domain.low) / (domain.high - domain.low)
                segments += list(share * (1, aspect) + (left, below))
        top = -(row + 1) * (aspect + 2 * _GAP) + aspect
        name = f"layer {layer + 1}" if names is None else names[layer]
        ax.text(-_GAP, top - aspect / 2, name, ha="right", va="center", rotation=90, fontsize="small")
        row += rows_of[layer]
    ax.add_collection(LineCollection(frames, colors="0.6", linewidths=0.6, zorder=2), autolim=False)
    lines = None
    if complex_ is not None:
        lines = LineCollection(segments, colors="black", linewidths=1.2, zorder=3)
        ax.add_collection(lines, autolim=False)
    ax.set_xlim(-3 * _GAP, columns * (1 + _GAP) - _GAP / 2)
    ax.set_ylim(-num_rows * (aspect + 2 * _GAP) - _GAP / 2, 0)
    ax.set_axis_off()
    return UnitArtists(ax, images, lines)
