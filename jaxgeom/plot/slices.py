"""[edge] A network on a plane of its input space: regions of classes, decision boundary, data and their distances."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Polygon as Outline
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX
from jaxgeom.analysis.measures import nearest_on_segments
from jaxgeom.analysis.slices import Slice
from jaxgeom.host.given import check_flags
from jaxgeom.networks.slices import project
from jaxgeom.plot.regions import set_rim
from jaxgeom.plot.style import legend_below
from jaxgeom.regions.colors import class_colors, lighter
from jaxgeom.regions.decision_regions import DecisionRegions

_LARGEST, _SMALLEST = 46.0, 5.0
"""Area of the dots of points on the plane, and of those farthest away, in square points."""
_LEAST_LABELLED = 0.004
"""Parts of the domain that are smaller have no name written on them."""
_THUMBNAIL = 32.0
"""Longer side of a thumbnail, in points."""
_ASIDE = 30.0
"""How far its middle is from the point, in points."""
_BESIDE = 11.0
"""How far the near side of a name is from its point, in points."""
_AROUND = 0.9
"""Inches that labels and the legend take."""
_DISTANCES = 3
"""Dots in the legend."""


@readable
class SliceArtists(NamedTuple):
    """What :func:`plot_slice` drew."""

    axes: Axes
    """Where it was drawn."""
    regions: list[PolyCollection]
    """The regions of each class, in their order."""
    edges: LineCollection | None
    """The borders of linear regions."""
    boundary: dict[tuple[int, int], LineCollection]
    """The decision boundary between each pair of classes, the smaller one first."""
    points: PathCollection | None
    """The data, in the order of ``drawn``."""
    drawn: Int[np.ndarray, " drawn"]
    """Which of the data lie over the domain."""
    anchors: list[Text | AnnotationBbox]
    """Names or thumbnails of the anchors."""


def plot_slice(
    slice_: Slice,
    x: Float[Array | np.ndarray, "points in"] | None = None,
    labels: Int[Array | np.ndarray, " points"] | None = None,
    *,
    anchors: Float[Array | np.ndarray, "anchors in"] | None = None,
    anchor_names: Sequence[str] | None = None,
    image_shape: tuple[int, ...] | None = None,
    names: Sequence[str] | None = None,
    max_distance: float | None = None,
    edges: bool = True,
    ax: Axes | None = None,
) -> SliceArtists:
    """A network on a plane: regions in the colours of their classes, the boundary thick, linear regions thin, and data.

    Data are projected onto the plane. The nearer a point is to it, the larger and darker is its dot, which the legend
    says in figures. Points beyond the domain are left out.

    Args:
        slice_: as :func:`jaxgeom.slice_network` gives it.
        x: data, points of input space.
        labels: the class of each point. Without, dots are grey.
        anchors: points of input space to name, such as the three that the plane goes through.
        anchor_names: of the anchors. Without, their numbers.
        image_shape: of the inputs as an image, (height, width) or (height, width, channels), values from 0 to 1: then
            anchors are shown as thumbnails.
        names: of the classes. Without, their numbers.
        max_distance: points farther away are left out.
        edges: draw the borders of linear regions, too.
        ax: where to draw; default is a new figure.

    Raises:
        TypeError: for regions, or anything else that is no slice.
        ValueError: for labels, names or shapes that do not fit.

    Example:
        >>> import jax, jaxgeom as jg
        >>> network = jg.layers_of(jg.mlp((64, 16, 3), activation="relu").init(jax.random.key(0)))
        >>> x = jax.random.uniform(jax.random.key(1), (20, 64))
        >>> plane = jg.plane_through(*x[:3])
        >>> found = jg.slice_network(network, plane, jg.box_on_plane(plane, 0, 1))
        >>> artists = jg.plot.plot_slice(found, x, anchors=x[:3])
        >>> [text.get_text() for text in artists.anchors]
        ['0', '1', '2']
    """
    check_flags(edges=edges)
    if not hasattr(slice_, "plane"):
        raise TypeError(
            f"a slice is needed, but {type(slice_).__name__} was given. Give jaxgeom.slice_network(layers, plane, "
            "domain), or draw regions of the plane with plot_regions and their jaxgeom.decision_boundary with "
            "plot_boundary."
        )
    num_classes = slice_.regions.num_classes
    names = [str(index) for index in range(num_classes)] if names is None else list(names)
    if len(names) < num_classes:
        raise ValueError(f"{num_classes} classes need as many names, but {len(names)} were given.")
    if labels is not None and (x is None or np.shape(labels) != (len(x),)):
        raise ValueError(f"labels need as many points, but have shape {np.shape(labels)}.")
    if ax is None:
        ax = plt.figure(figsize=(6.4, 6.4), layout="constrained").subplots()
    colors = class_colors(num_classes)
    regions = _draw_regions(slice_.regions, colors, names, ax)
    thin = _draw_edges(slice_, ax) if edges else None
    thick = _draw_boundary(slice_, names, ax)
    outline = Outline(slice_.domain, closed=True, fill=False, edgecolor="0.15", linewidth=1.0, zorder=3.1)
    ax.add_patch(outline)
    dots, drawn = None, np.zeros(0, np.int64)
    if x is not None:
        dots, drawn = _draw_points(slice_, x, labels, colors, max_distance, ax)
    taken = np.zeros((0, 2)) if anchors is None else project(slice_.plane, anchors).coordinates
    _name_regions(slice_, colors, names, taken, ax)
    low, high = slice_.domain.min(axis=0), slice_.domain.max(axis=0)
    placed: list[Text | AnnotationBbox] = []
    room = 4.0
    if anchors is not None:
        placed = _draw_anchors(slice_, anchors, anchor_names, image_shape, ax)
        longest = max(map(len, anchor_names or [""]))
        room = max(30.0, _BESIDE + 6.0 * longest + 8.0) if image_shape is None else _ASIDE + 0.6 * _THUMBNAIL
    part = min(0.3, room / (72 * float(_size_of(ax).min())))  # so many points on each side
    margin = part / (1 - 2 * part) * float((high - low).max())
    ax.set_aspect("equal")
    ax.set_xlim(low[0] - margin, high[0] + margin)
    ax.set_ylim(low[1] - margin, high[1] + margin)
    ax.locator_params(nbins=5)
    ax.set_xlabel("$u$, along the plane's first direction")
    ax.set_ylabel("$v$, along its second")
    ax.set_axisbelow(True)
    return SliceArtists(ax, regions, thin, thick, dots, drawn, placed)


def _size_of(ax: Axes) -> np.ndarray:
    """Width and height in inches: of axes in a grid what they will have, about, when their layout is settled."""
    figure, cell = ax.get_figure(root=True), ax.get_subplotspec()
    assert figure is not None
    if cell is not None and ax.figure is figure:
        rows, columns = cell.get_gridspec().get_geometry()
        size = figure.get_size_inches() / [columns, rows]
        return np.asarray(np.maximum(size - _AROUND, 0.4 * size))
    box = ax.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    return np.array([box.width, box.height])


def _draw_regions(
    regions: DecisionRegions, colors: Float[np.ndarray, "classes 3"], names: Sequence[str], ax: Axes
) -> list[PolyCollection]:
    """The polygons of each class, outlined in their own colour, so that nothing shines through between them."""
    polygons = regions.polygons
    drawn = []
    for label, color in enumerate(colors):
        light = tuple(lighter(color))
        own = [polygons[index] for index in np.flatnonzero(regions.label == label)]
        faces = PolyCollection(own, facecolors=[light], edgecolors="face", linewidths=0.3, zorder=1.0)
        faces.set_label(names[label])
        ax.add_collection(faces, autolim=False)
        drawn.append(faces)
    return drawn


def _draw_edges(slice_: Slice, ax: Axes) -> LineCollection:
    """All inner edges of linear regions; the finer, the more there are."""
    complex_ = slice_.complex_
    width = float(np.clip(9 / np.sqrt(complex_.num_faces), 0.12, 0.7))
    segments = complex_.vertices[complex_.edges[complex_.edge_layer >= 0]]
    lines = LineCollection(list(segments), colors="0.25", linewidths=width, alpha=0.55, capstyle="round", zorder=2.0)
    ax.add_collection(lines, autolim=False)
    return lines


def _draw_boundary(slice_: Slice, names: Sequence[str], ax: Axes) -> dict[tuple[int, int], LineCollection]:
    """One collection for each pair of classes; pieces along which no class changes belong to none."""
    pairs = np.sort(slice_.boundary.classes, axis=1)
    drawn = {}
    for one, other in np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0).tolist():
        own = slice_.boundary.segments[(pairs == [one, other]).all(axis=1)]
        lines = LineCollection(list(own), colors="0.05", linewidths=2.0, capstyle="round", zorder=3.0)
        lines.set_label(f"{names[one]} | {names[other]}")
        set_rim(lines)
        ax.add_collection(lines, autolim=False)
        drawn[one, other] = lines
    return drawn


def _draw_points(
    slice_: Slice,
    x: Any,
    labels: Any,
    colors: Float[np.ndarray, "classes 3"],
    max_distance: float | None,
    ax: Axes,
) -> tuple[PathCollection, Int[np.ndarray, " drawn"]]:
    """Dots over the domain, those far from the plane smaller and paler, and below."""
    places, distance = project(slice_.plane, x)
    sides = np.roll(slice_.domain, -1, axis=0) - slice_.domain
    offset = places[:, None] - slice_.domain
    # those on the border, as points that span the plane are, may be beyond it by rounding
    reach = 1e-9 * float(np.ptp(slice_.domain, axis=0).max()) * np.hypot(*sides.T)
    is_over = (sides[:, 0] * offset[..., 1] - sides[:, 1] * offset[..., 0] >= -reach).all(axis=1)
    if max_distance is not None:
        is_over &= distance <= max_distance
    drawn = np.flatnonzero(is_over)
    drawn = drawn[np.argsort(-distance[drawn], kind="stable")]
    farthest = float(distance[drawn].max(initial=0.0)) if max_distance is None else float(max_distance)
    size, alpha = _look_of(distance[drawn], farthest)
    grey = np.full((len(drawn), 3), 0.25)
    inner = grey if labels is None else colors[np.asarray(labels)[drawn] % len(colors)]
    rgba = np.concatenate([inner, alpha[:, None]], axis=1)
    border = np.concatenate([np.zeros((len(drawn), 3)), alpha[:, None]], axis=1)
    u, v = places[drawn].T
    dots = ax.scatter(u, v, s=size, c=rgba, edgecolors=list(map(tuple, border)), linewidths=0.5, zorder=2.5)
    if len(drawn) and farthest > 0:
        _legend(farthest, ax)
    return dots, drawn


def _look_of(distance: np.ndarray, farthest: float) -> tuple[np.ndarray, np.ndarray]:
    """Area and opacity of dots at these distances."""
    near = 1 - distance / farthest if farthest > 0 else np.ones(len(distance))
    return _SMALLEST + (_LARGEST - _SMALLEST) * near**2, 0.15 + 0.8 * near


def _legend(farthest: float, ax: Axes) -> None:
    """Dots at some distances, below the axes."""
    distances = np.linspace(0, farthest, _DISTANCES)
    handles = []
    for size, alpha in zip(*_look_of(distances, farthest), strict=True):
        look = {"marker": "o", "markersize": np.sqrt(size), "markerfacecolor": (0.25, 0.25, 0.25, alpha)}
        handles.append(Line2D([], [], linestyle="none", markeredgecolor=(0, 0, 0, alpha), markeredgewidth=0.5, **look))
    legend_below(
        ax,
        [Line2D([], [], linestyle="none"), *handles],
        ["distance from the plane", *(f"{distance:.3g}" for distance in distances)],
        ncols=_DISTANCES + 1,
        handletextpad=0.2,
        columnspacing=1.2,
    )


def _name_regions(
    slice_: Slice, colors: Float[np.ndarray, "classes 3"], names: Sequence[str], taken: np.ndarray, ax: Axes
) -> None:
    """The name of each class where most of its region is around, away from anchors."""
    regions = slice_.regions
    middles = np.array([corners.mean(axis=0) for corners in regions.polygons])
    sides = np.stack([slice_.domain, np.roll(slice_.domain, -1, axis=0)], axis=1)
    points = np.repeat(taken[:, None], 2, axis=1)
    apart = nearest_on_segments(np.concatenate([slice_.boundary.segments, sides, points]), middles).distance
    for label, area in enumerate(regions.class_area):
        if area < _LEAST_LABELLED * regions.area.sum():
            continue
        own = np.flatnonzero(regions.label == label)
        x, y = middles[own[np.argmax(apart[own])]]
        dark = tuple(0.35 * colors[label])
        name = ax.text(x, y, names[label], color=dark, ha="center", va="center", fontsize=14, weight="bold", zorder=5)
        name.set_path_effects([withStroke(linewidth=3, foreground=(1, 1, 1, 0.75))])


def _draw_anchors(
    slice_: Slice, anchors: Any, names: Sequence[str] | None, image_shape: tuple[int, ...] | None, ax: Axes
) -> list[Text | AnnotationBbox]:
    """A name at each anchor, or its image beside it, on the side away from the middle of the domain."""
    given = np.asarray(anchors, np.float64)
    places = project(slice_.plane, given).coordinates
    names = [str(index) for index in range(len(given))] if names is None else list(names)
    if len(names) != len(given):
        raise ValueError(f"{len(given)} anchors need as many names, but {len(names)} were given.")
    if image_shape is not None and (
        len(image_shape) not in (MATRIX, MATRIX + 1) or np.prod(image_shape) != given.shape[1]
    ):
        raise ValueError(
            f"image_shape must be (height, width) or (height, width, channels) of {given.shape[1]} inputs, but "
            f"{image_shape} was given."
        )
    middle = (slice_.domain.min(axis=0) + slice_.domain.max(axis=0)) / 2
    placed: list[Text | AnnotationBbox] = []
    for point, place, name in zip(given, places, names, strict=True):
        ax.plot(*place, marker="o", markersize=5, color="0.05", markeredgecolor="white", zorder=6)
        away = place - middle
        away = away / max(float(np.hypot(*away)), 1e-300)
        if image_shape is None:
            look: dict[str, Any] = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "0.3"}
            placed.append(
                ax.annotate(
                    name, place, _BESIDE * away, textcoords="offset points", **_beside(away), bbox=look, zorder=7
                )
            )
            continue
        pixels = np.clip(point.reshape(image_shape), 0, 1)
        zoom = _THUMBNAIL / max(image_shape[:2])
        picture = OffsetImage(pixels, zoom=zoom, cmap="gray_r", norm=Normalize(0, 1), interpolation="nearest")
        framed = AnnotationBbox(
            picture,
            tuple(place),
            tuple(_ASIDE * away),
            boxcoords="offset points",
            pad=0.15,
            bboxprops={"edgecolor": "0.3"},
            arrowprops={"arrowstyle": "-", "color": "0.3"},
            zorder=6.5,
        )
        ax.add_artist(framed)
        placed.append(framed)
    return placed


def _beside(direction: np.ndarray) -> dict[str, Any]:
    """How a text lies that begins where one gets by going from a point in a direction, and covers the point in none."""
    x, y = direction.tolist()
    if abs(x) >= abs(y):
        return {"ha": "left" if x > 0 else "right", "va": "center"}
    return {"ha": "center", "va": "bottom" if y > 0 else "top"}
