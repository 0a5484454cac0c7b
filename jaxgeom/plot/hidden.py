"""[edge] Hidden units as coordinates: points in the cube that three units span, and all such cubes."""

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

from jaxgeom._typing import SPACE
from jaxgeom.plot.points import plot_points
from jaxgeom.plot.style import new_axes

LEAST_CORNERS = 3
"""Corners of a triangle; fewer of them have no area."""
MOST_UNITS = 10
"""Hidden units of which all triples are drawn: 120 cubes."""

_CORNERS = np.array(list(product((0.0, 1.0), repeat=3)))
_CUBE_EDGES = [pair for pair in combinations(_CORNERS, 2) if np.abs(pair[0] - pair[1]).sum() == 1]


def plot_hidden(
    hidden: Float[Any, "points units"],
    labels: Int[Any, " points"] | None = None,
    *,
    units: Sequence[int] = (0, 1, 2),
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    **style: Any,
) -> list[PathCollection]:
    """Three hidden units as coordinates, in the unit cube.

    Args:
        hidden: activations between 0 and 1, as sigmoid units have them.
        labels: classes.
        units: which three, from 0; axes are labelled "unit 1", …
        names: of the classes, for a legend.
        ax: 3-D axes; default is a new figure.
        style: passed on to ``scatter``.

    Raises:
        ValueError: unless ``units`` are three that exist.
    """
    hidden = np.asarray(hidden)
    if len(units) != SPACE or not all(0 <= unit < hidden.shape[1] for unit in units):
        raise ValueError(
            f"three units from 0 to {hidden.shape[1] - 1} span a space to draw in, but {tuple(units)} was given."
        )
    if ax is None:
        (ax,) = new_axes(dim=3, size=5)
    chosen: Any = hidden[:, list(units)]
    drawn = plot_points(chosen, labels, names=names, ax=ax, **{"s": 8} | style)
    cube: Any = ax
    cube.add_collection(Line3DCollection(_CUBE_EDGES, colors="0.6", linewidths=0.8, zorder=0.5), autolim=False)
    cube.set(xlim=(0, 1), ylim=(0, 1), zlim=(0, 1), xticks=(0, 1), yticks=(0, 1), zticks=(0, 1))
    cube.set(**{f"{axis}label": f"unit {unit + 1}" for axis, unit in zip("xyz", units, strict=True)})
    for axis in (cube.xaxis, cube.yaxis, cube.zaxis):
        axis.labelpad = -6
        axis.set_tick_params(pad=-2)
    for labels, side in ((cube.get_xticklabels(), "right"), (cube.get_yticklabels(), "left")):
        for label in labels:  # off each other, in the near corner
            label.set_horizontalalignment(side)
    cube.grid(False)
    cube.set_box_aspect((1, 1, 1), zoom=0.9)
    return drawn


def plot_cube_plane(weight: Float[Any, " 3"], bias: float, *, ax: Axes, **style: Any) -> Poly3DCollection:
    """The plane ``weight @ h + bias = 0`` within the unit cube, such as a network's decision boundary among its hidden
    units. Empty where the plane misses the cube.

    Args:
        weight: normal of the plane.
        bias: its offset.
        ax: 3-D axes.
        style: passed on to ``Poly3DCollection``.
    """
    drawn = Poly3DCollection(
        cube_section(weight, bias),
        **{"facecolors": (0.4, 0.4, 0.4, 0.25), "edgecolors": "0.3", "linewidths": 1.0} | style,
    )
    cube: Any = ax
    cube.add_collection(drawn, autolim=False)  # add_collection3d takes no autolim before Matplotlib 3.10
    return drawn


def cube_section(weight: Float[Any, " 3"], bias: float) -> list[Float[np.ndarray, "_ 3"]]:
    """The polygon in which a plane cuts the unit cube, or none."""
    weight = np.asarray(weight, np.float64)
    starts, ends = (np.array(side) for side in zip(*_CUBE_EDGES, strict=True))
    before, after = starts @ weight + bias, ends @ weight + bias
    is_cut = (before > 0) != (after > 0)
    share = before[is_cut] / (before - after)[is_cut]
    corners = starts[is_cut] + share[:, None] * (ends - starts)[is_cut]
    if len(corners) < LEAST_CORNERS:
        return []
    first = corners[0] - corners.mean(axis=0)
    second = np.cross(weight, first)
    around = corners - corners.mean(axis=0)
    return [corners[np.argsort(np.arctan2(around @ second / np.linalg.norm(weight), around @ first))]]


def plot_hidden_triples(
    hidden: Float[Any, "points units"],
    labels: Int[Any, " points"] | None = None,
    *,
    names: Sequence[str] | None = None,
    num_columns: int = 5,
    **style: Any,
) -> list[Axes]:
    """All choices of three hidden units as coordinates, each in a cube of its own, in a new figure.

    Args:
        hidden: activations between 0 and 1, as sigmoid units have them.
        labels: classes.
        names: of the classes, for a legend below the cubes.
        num_columns: cubes in a row.
        style: passed on to ``scatter``.

    Raises:
        ValueError: for fewer than three units, or more than 10, which make more than 120 cubes.
    """
    num_units = np.asarray(hidden).shape[1]
    if not SPACE <= num_units <= MOST_UNITS:
        raise ValueError(f"triples of units are drawn for 3 to 10 of them, but there are {num_units}.")
    triples = list(combinations(range(num_units), 3))
    axes = new_axes(len(triples), dim=3, size=2.7, num_columns=num_columns)
    for place, (triple, ax) in enumerate(zip(triples, axes, strict=True)):
        plot_hidden(hidden, labels, units=triple, names=names if place == 0 else None, ax=ax, **{"s": 4} | style)
        ax.set(xticklabels=["0", ""], yticklabels=["", "1"], zticklabels=["", "1"])  # one end each, clear of the others
        ax.tick_params(labelsize="small")
        if (legend := ax.get_legend()) is not None:
            handles = ax.get_legend_handles_labels()
            legend.remove()
            figure: Any = ax.figure
            figure.legend(*handles, loc="outside lower center", ncols=len(handles[1]), frameon=False, markerscale=3)
    return axes
