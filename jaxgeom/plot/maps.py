"""[edge] Networks over the plane as pictures: decision maps, formulas of affine pieces, what a grid of points sees."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.image import AxesImage
from matplotlib.text import Text

from jaxgeom._reprs import readable
from jaxgeom.analysis.formula import affine_text
from jaxgeom.domains import Box
from jaxgeom.plot.colormaps import side_colormap
from jaxgeom.plot.regions import plot_regions
from jaxgeom.plot.style import COLORS, legend_below, new_axes
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, check_is_planar

FLAT = 1e-9
"""A gradient smaller than this has no direction that could be seen."""

SIDES = COLORS[:2]
"""Colours of the two decisions: negative (class 0) and positive (class 1)."""


@readable
class GridViewArtists(NamedTuple):
    """What :func:`plot_grid_view` drew."""

    axes: Axes
    """Where it was drawn."""
    seen: PolyCollection
    """Faces with a point."""
    missed: PolyCollection
    """Faces without a point."""
    points: PathCollection
    """The points of the grid."""


def plot_map(
    values: Float[np.ndarray, "rows columns"],
    domain: Box,
    *,
    limit: float = 1.5,
    ax: Axes | None = None,
    **style: Any,
) -> AxesImage:
    """A decision map: which side each point of a grid is on, and how far.

    Args:
        values: outputs on a grid over the domain, one row for each second coordinate, from below; for instance at
            ``grid_points(domain, num)``, reshaped to (num, num).
        domain: what the grid spans, ends included.
        limit: values from ``limit`` on, and down from ``-limit``, have the full colour. The same limit makes pictures
            comparable.
        ax: where to draw; default is a new figure.
        style: passed on to ``imshow``.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> domain = jg.box(-1, 1)
        >>> values = jg.forward(network, jg.grid_points(domain, 21)).output.reshape(21, 21)
        >>> jg.plot.plot_map(np.asarray(values), domain).get_array().shape
        (21, 21)
    """
    if ax is None:
        (ax,) = new_axes()
    values = np.asarray(values)
    step = (domain.high - domain.low) / np.array([values.shape[1] - 1, values.shape[0] - 1])
    (left, below), (right, above) = domain.low - step / 2, domain.high + step / 2
    look: dict[str, Any] = {
        "cmap": side_colormap(),
        "vmin": -limit,
        "vmax": limit,
        "interpolation": "nearest",
        "zorder": 0.5,
    }
    image = ax.imshow(values, origin="lower", extent=(left, right, below, above), **look | style)
    _frame(ax, domain.low, domain.high)
    return image


def plot_formulas(
    complex_: PlanarComplex,
    *,
    positions: Float[np.ndarray, "faces 2"] | None = None,
    names: Sequence[str] = ("x", "y"),
    digits: int = 3,
    ax: Axes | None = None,
    **style: Any,
) -> list[Text]:
    """The affine function of each region written into it, along its level lines.

    Args:
        complex_: regions with one output; for few of them.
        positions: where; default is the centroid of each face.
        names: of the coordinates.
        digits: significant digits.
        ax: where to write; default is a new figure with the regions.
        style: passed on to ``Axes.text``.
    """
    check_is_planar(complex_, "a picture of formulas")
    if ax is None:
        ax = plot_regions(complex_).axes
    positions = complex_.centroid if positions is None else positions
    look: dict[str, Any] = {"ha": "center", "va": "center", "rotation_mode": "anchor", "zorder": 5, "fontsize": 10}
    look["bbox"] = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "0.3", "linewidth": 0.8}
    texts = []
    for place, gradient, intercept in zip(positions, complex_.gradient[:, 0], complex_.intercept[:, 0], strict=True):
        # a constant is written as the rest of the picture: along the lines of the other pieces
        direction = gradient if np.abs(gradient).max() > FLAT else complex_.gradient[:, 0].sum(axis=0)
        angle = np.degrees(np.arctan2(*direction[::-1])) - 90 if np.abs(direction).max() > FLAT else 0.0
        angle = (angle + 90) % 180 - 90
        text = f"$f({', '.join(names)}) = {affine_text(gradient, float(intercept), names=names, digits=digits)}$"
        texts.append(ax.text(place[0], place[1], text, **look | {"rotation": angle} | style))
    return texts


def plot_grid_view(
    complex_: PlanarComplex,
    points: Float[np.ndarray, "points 2"],
    face: Int[np.ndarray, " points"],
    *,
    ax: Axes | None = None,
    **style: Any,
) -> GridViewArtists:
    """What a grid sees of a network's regions, and what it misses: faces without a point stand out, in orange.

    Args:
        complex_: the exact regions.
        points: of the grid.
        face: the face that each of them is in, as :func:`jaxgeom.locate` gives it.
        ax: where to draw; default is a new figure.
        style: passed on to ``scatter``, for the points.
    """
    drawn = plot_regions(complex_, color_by=np.ones((complex_.num_faces, 3)), ax=ax)
    ax = drawn.axes
    is_seen = np.zeros(complex_.num_faces, bool)
    is_seen[face[face != OUTSIDE]] = True
    missed_faces = np.flatnonzero(~is_seen)
    cycles = np.split(complex_.vertices[complex_.face_vertices], complex_.face_offsets[1:-1])
    label = f"regions that hold no grid point ({len(missed_faces):,})"
    # with a rim of their colour, so that the smallest can be seen
    missed = PolyCollection([cycles[f] for f in missed_faces], color=SIDES[1], linewidths=1.2, zorder=2.4, label=label)
    ax.add_collection(missed, autolim=False)
    look: dict[str, Any] = {"s": 5, "linewidths": 0, "zorder": 2.5, "color": "0.55"}
    shown = ax.scatter(*np.asarray(points)[face != OUTSIDE].T, **look | style)
    shown.set_label(f"grid points ({np.sum(face != OUTSIDE):,})")
    for lines in drawn.edges:
        lines.set_label("_edges")
        lines.set_color("0.3")
    legend_below(ax)
    return GridViewArtists(ax, drawn.faces, missed, shown)


def mark_classes(
    x: Float[Any, "points dim"],
    y: Shaped[Any, " points"],
    *,
    names: Sequence[str] = ("even", "odd"),
    colors: Sequence[Any] = SIDES,
    ax: Axes,
    **style: Any,
) -> list[PathCollection]:
    """Data of two classes over a decision map, in its colours, with white rims: circles, and squares where positive."""
    drawn = []
    for is_positive, (marker, color) in enumerate(zip("os", colors, strict=True)):
        chosen = (np.asarray(y) > 0) == bool(is_positive)
        look: dict[str, Any] = {"s": 70, "marker": marker, "color": color, "edgecolors": "white", "linewidths": 1.4}
        look["zorder"] = 4
        look |= {"label": names[is_positive]} | ({"depthshade": False} if ax.name == "3d" else {})
        drawn.append(ax.scatter(*np.asarray(x)[chosen].T, **look | style))
    return drawn


def _frame(ax: Axes, low: np.ndarray, high: np.ndarray) -> None:
    ax.set_aspect("equal")
    ax.locator_params(nbins=5)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_xlabel("$x$")
    ax.set_ylabel("$y$")
    ax.locator_params(nbins=5)
