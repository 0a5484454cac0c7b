"""[edge] Linear regions in the plane: faces, edges by the layer that made them, the decision boundary."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, to_rgb
from matplotlib.patheffects import Normal, Stroke

from jaxgeom._reprs import readable
from jaxgeom.host.given import check_flags
from jaxgeom.host.names import did_you_mean
from jaxgeom.plot.colormaps import value_colormap
from jaxgeom.plot.style import legend_below
from jaxgeom.regions.boundary import Boundary, check_bounded
from jaxgeom.regions.colors import LAYER_COLORS, face_colors
from jaxgeom.regions.complex import PlanarComplex

_VALUES = {"area": "area of the region", "output": "output", "slope": "norm of the gradient", "active": "active units"}
_TWO = 2
"""Outputs of a network that decides between two classes by their difference."""
_RIM = 0.7
"""Both sides of the rim of a decision boundary, in widths of the line."""


@readable
class RegionArtists(NamedTuple):
    """What :func:`plot_regions` drew."""

    axes: Axes
    """Where it was drawn."""
    faces: PolyCollection
    """The filled regions, in the order of the complex."""
    edges: list[LineCollection]
    """One collection for each layer that makes edges, the first layer first."""
    colorbar: Colorbar | None
    """Beside the axes, if colours stand for numbers."""


def plot_regions(
    complex_: PlanarComplex,
    *,
    color_by: str | Float[np.ndarray, "faces *channels"] = "random",
    edges: bool = True,
    ax: Axes | None = None,
    **style: Any,
) -> RegionArtists:
    """The linear regions of a network in the plane, their edges in the colours of the layers that made them.

    Args:
        complex_: regions on a bounded domain, as :func:`jaxgeom.enumerate_regions` gives them.
        color_by: "random" (light colours, neighbours differ), "area" (logarithmic, down to 1e-4 of the largest),
            "output" (in the middle of each face: the only output; of two, the second minus the first, which is positive
            where the second class is; of more, the first), "slope" (the norm of its gradient), "active" (how many
            hidden units are), or an array: numbers (faces,) or colours (faces, 3 or 4).
        edges: draw the edges, too.
        ax: where to draw; default is a new figure.
        style: passed on to ``matplotlib.collections.PolyCollection``, for instance ``cmap``.

    Raises:
        ValueError: if the complex covers the whole plane, or for another ``color_by``.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> artists = jg.plot.plot_regions(complex_, color_by="active")
        >>> len(artists.faces.get_paths())
        4
    """
    check_flags(edges=edges)
    check_bounded(complex_, "a picture of regions")
    look, label = _look(complex_, color_by)
    if ax is None:
        ax = plt.figure(figsize=(5.6, 5.2), layout="constrained").subplots()
    cycles = np.split(complex_.vertices[complex_.face_vertices], complex_.face_offsets[1:-1])
    # faces are outlined in their own colour, so that nothing shines through between them
    faces = PolyCollection(cycles, **{"edgecolors": "face", "linewidths": 0.3, "zorder": 1.0, **look, **style})
    ax.add_collection(faces)
    colorbar = None
    if faces.get_array() is not None and ax.figure is not None:
        colorbar = ax.figure.colorbar(faces, ax=ax, label=label, fraction=0.05, pad=0.02)
    lines = plot_edges(complex_, ax=ax) if edges else []
    if lines:
        _legend(ax)
    low, high = complex_.vertices.min(axis=0), complex_.vertices.max(axis=0)
    ax.set_aspect("equal")
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.locator_params(nbins=5)
    ax.set_xlabel("$x_1$")
    ax.set_ylabel("$x_2$")
    return RegionArtists(ax, faces, lines, colorbar)


def plot_boundary(boundary: Boundary, *, legend: bool = True, ax: Axes | None = None, **style: Any) -> LineCollection:
    """The decision boundary as a thick line with a rim, over whatever is there.

    The rim is white, around light lines black: edges of regions, which are thin and have none, end at it, so that
    nobody has to tell the two apart by colour. Lines that one looks through (``alpha``) have none.

    Args:
        boundary: as :func:`jaxgeom.decision_boundary` gives it.
        legend: whether to make a legend of all that is there, the boundary among it if there is one.
        ax: where to draw; default is a new figure.
        style: passed on to ``matplotlib.collections.LineCollection``.

    Raises:
        TypeError: for regions, or anything else that is no boundary.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> artists = jg.plot.plot_regions(complex_)
        >>> line = jg.plot.plot_boundary(jg.decision_boundary(complex_), ax=artists.faces.axes, color="black")
        >>> len(line.get_segments())
        3
    """
    check_flags(legend=legend)
    if not hasattr(boundary, "segments"):
        raise TypeError(
            f"a decision boundary is needed, but {type(boundary).__name__} was given. Give "
            "jaxgeom.decision_boundary(regions)."
        )
    is_new = ax is None
    if ax is None:
        ax = plt.figure(figsize=(5.2, 5.2), layout="constrained").subplots()
        ax.set_aspect("equal")
        ax.set_xlabel("$x_1$")
        ax.set_ylabel("$x_2$")
    defaults = {"colors": "black", "linewidths": 2.4, "capstyle": "round", "zorder": 3.0, "label": "decision boundary"}
    lines = LineCollection(list(boundary.segments), **{**defaults, **style})
    if not len(boundary.segments):
        lines.set_label("_nolegend_")
    set_rim(lines)
    ax.add_collection(lines, autolim=is_new)
    if is_new:
        ax.autoscale_view()
    if legend and ax.get_legend_handles_labels()[0]:
        _legend(ax)
    return lines


def set_rim(lines: Any) -> None:
    """Give lines of one colour and width a rim that stands out from them, unless they have effects or an alpha."""
    if lines.get_path_effects() or lines.get_alpha() not in (None, 1):
        return
    width, color = float(np.max(lines.get_linewidth())), lines.get_color()
    red, green, blue = to_rgb(color if isinstance(color, str) else color[0])
    is_light = 0.3 * red + 0.59 * green + 0.11 * blue > 0.6  # noqa: PLR2004
    rim = Stroke(linewidth=(1 + _RIM) * width, foreground="#14171c" if is_light else "white", alpha=0.9)
    lines.set_path_effects([rim, Normal()])


def _look(complex_: PlanarComplex, color_by: str | np.ndarray) -> tuple[dict[str, Any], str | None]:
    """How the faces are coloured: arguments of their collection, and a name for the numbers behind the colours."""
    if not isinstance(color_by, str):
        values = np.asarray(color_by)
        if values.shape[:1] != (complex_.num_faces,) or values.shape[1:] not in ((), (3,), (4,)):
            raise ValueError(
                f"color_by must have one number or colour for each of the {complex_.num_faces} faces, but has shape "
                f"{values.shape}."
            )
        return ({"array": values} if values.ndim == 1 else {"facecolors": values}), None
    if color_by == "random":
        return {"facecolors": face_colors(complex_)}, None
    if color_by not in _VALUES:
        names = ["random", *_VALUES]
        raise ValueError(
            f"color_by must be one of {', '.join(names)} or an array, but {color_by!r} was given."
            f"{did_you_mean(color_by, names)}"
        )
    if color_by in ("output", "slope") and not complex_.complete:
        raise ValueError("this complex is not complete, so that its faces have no affine maps. Raise max_regions.")
    look: dict[str, Any] = {"cmap": _light("YlGnBu", 0.0, 0.6)}
    label = _VALUES[color_by]
    if color_by == "area":
        look["cmap"] = _light("YlGnBu", 0.6, 0.0)
        look |= {"array": complex_.area, "norm": LogNorm(max(complex_.area.min(), 1e-4 * complex_.area.max()))}
    elif color_by == "output":
        gradient, intercept, label = _shown_output(complex_)
        values = np.sum(gradient * complex_.centroid, axis=1) + intercept
        largest = np.abs(values).max() or 1.0
        look = {"array": values, "cmap": value_colormap(0.9), "clim": (-largest, largest)}
    elif color_by == "slope":
        gradient, _, output = _shown_output(complex_)
        look["array"] = np.hypot(*gradient.T)
        label += "" if output == _VALUES["output"] else f" of {output}"
    else:
        look["array"] = complex_.patterns.sum(axis=1)
    return look, label


def _shown_output(complex_: PlanarComplex) -> tuple[np.ndarray, np.ndarray, str]:
    """Gradient and intercept on each face of the output that is shown, and its name; two decide by their difference."""
    gradient, intercept = complex_.gradient, complex_.intercept
    num_outputs = intercept.shape[1]
    if num_outputs == _TWO:
        return gradient[:, 1] - gradient[:, 0], intercept[:, 1] - intercept[:, 0], "output 2 − output 1"
    name = _VALUES["output"] if num_outputs == 1 else f"output 1 of {num_outputs}"
    return gradient[:, 0], intercept[:, 0], name


def _light(name: str, start: float, stop: float) -> Colormap:
    """The part of a colour map on which dark edges can be seen."""
    return LinearSegmentedColormap.from_list(name, plt.get_cmap(name)(np.linspace(start, stop, 256)))


def plot_edges(
    complex_: PlanarComplex, *, colors: Sequence[Any] = LAYER_COLORS, ax: Axes | None = None, **style: Any
) -> list[LineCollection]:
    """The edges of regions in the plane, one collection a layer; the finer, the more there are. Earlier layers lie on
    top.

    Args:
        complex_: regions on a bounded domain.
        colors: of the edges that each layer makes, over again after the last.
        ax: where to draw, keeping its limits; default is a new figure.
        style: passed on to ``matplotlib.collections.LineCollection``.
    """
    check_bounded(complex_, "a picture of edges")
    is_new = ax is None
    if ax is None:
        ax = plt.figure(figsize=(5.2, 5.2), layout="constrained").subplots()
        ax.set_aspect("equal")
    drawn = []
    width = float(np.clip(12 / np.sqrt(complex_.num_faces), 0.25, 1.2))
    for layer in range(complex_.edge_layer.max(initial=-1) + 1):
        segments = complex_.vertices[complex_.edges[complex_.edge_layer == layer]]
        if len(segments):
            color = colors[layer % len(colors)]
            look: dict[str, Any] = {"colors": color, "linewidths": width, "zorder": 2.0 - 0.01 * layer}
            lines = LineCollection(list(segments), **{"capstyle": "round"} | look | style)
            lines.set_label(f"edges of layer {layer + 1}")
            ax.add_collection(lines, autolim=is_new)
            drawn.append(lines)
    if is_new:
        ax.autoscale_view()
    return drawn


def _legend(ax: Axes) -> None:
    legend = legend_below(ax)
    for handle in legend.legend_handles:
        if isinstance(handle, LineCollection):
            handle.set_linewidth(2.0)
