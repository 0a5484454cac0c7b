"""[edge] A grid on the input, carried along through a network: what its layers do to space, with bends and folds."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from jaxgeom._typing import PAIR, PLANE, SPACE
from jaxgeom.plot.style import equal_scales, new_axes

LINES = 3
"""Axes of an array of lines (lines, points, dim)."""

_GREY = "#8b949e"


def plot_warped_grid(
    lines: Float[Any, "lines points dim"],
    color: Float[Any, "lines points *channels"] | None = None,
    *,
    ax: Axes | None = None,
    **style: Any,
) -> LineCollection | Line3DCollection:
    """Lines that a network has bent, with equal scales on all axes.

    Args:
        lines: polygonal lines with one coordinate (drawn along a horizontal line), two, or three: those of
            :func:`jaxgeom.grid_lines`, at any layer. The finer they are subdivided, the sharper the bends.
        color: a number for each point, for a colour map, such as an input coordinate, or a colour (lines, points, 3);
            default is grey.
        ax: where to draw, keeping the limits that are set; default is a new figure.
        style: passed on to the collection, for instance ``linewidths`` or ``cmap``.

    Raises:
        ValueError: for more than three coordinates (project them first, see :func:`jaxgeom.pca`), or colours that do
            not fit.
    """
    lines = np.asarray(lines)
    if lines.ndim != LINES or not 1 <= lines.shape[2] <= SPACE or lines.shape[1] < PAIR:
        raise ValueError(
            f"lines are an array (lines, points, dim) of 1, 2 or 3 coordinates, but the shape {lines.shape} was given. "
            "Project them with jaxgeom.pca, or choose columns."
        )
    if color is not None and np.shape(color) not in (lines.shape[:2], (*lines.shape[:2], 3)):
        raise ValueError(
            f"the points of the lines need {lines.shape[:2]} numbers as colours, but {np.shape(color)} were given."
        )
    if ax is None:
        (ax,) = new_axes(dim=3 if lines.shape[2] == SPACE else 2)
    if (lines.shape[2] == SPACE) != (ax.name == "3d"):
        raise ValueError(f"lines with {lines.shape[2]} coordinates cannot be drawn on axes of kind {ax.name!r}.")
    if lines.shape[2] == 1:
        lines = np.concatenate([lines, np.zeros_like(lines)], axis=2)
        ax.set_yticks([])
    elif lines.shape[2] == PLANE:
        equal_scales(ax)
    pieces = lines
    look: dict[str, Any] = {"linewidths": 0.8, "capstyle": "round"}
    if color is None:
        look["colors"] = _GREY
    else:
        # every piece between two points has the mean of their colours
        numbers = np.asarray(color)
        means = (numbers[:, 1:] + numbers[:, :-1]) / 2
        look |= {"array": means.ravel()} if means.ndim == PLANE else {"colors": means.reshape(-1, 3)}
        pieces = np.stack([lines[:, :-1], lines[:, 1:]], axis=2).reshape(-1, 2, lines.shape[2])
    if isinstance(ax, Axes3D):
        drawn = Line3DCollection(pieces, **look | style)
        ax.add_collection3d(drawn)
    else:
        drawn = LineCollection(pieces, **look | style)
        ax.add_collection(drawn)
    ax.autoscale_view()
    return drawn
