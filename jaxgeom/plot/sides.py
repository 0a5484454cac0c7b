"""[edge] Networks with one output over the plane, exactly: maps and sheets of faces that are cut where it is zero."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, TriMesh
from matplotlib.colors import LightSource
from matplotlib.tri import Triangulation
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from jaxgeom._reprs import readable
from jaxgeom.domains import Box
from jaxgeom.plot.colormaps import side_colormap
from jaxgeom.plot.pieces import cut_at_zero
from jaxgeom.plot.style import new_axes
from jaxgeom.plot.surfaces import room
from jaxgeom.regions.boundary import check_bounded
from jaxgeom.regions.complex import PlanarComplex

_TRIANGLE = 3
_THIN = 1e-3
"""Of the square's side: less than a pixel."""
_ELEVATION = 28.0
_SLANTED = 0.4
"""A facet is seen well enough from where the cosine of its normal and the view is so large."""
_QUARTER = 90
_AZIMUTHS = -122.0, -148.0, -32.0, -58.0
_HEIGHT = 0.75
"""Of axes in space, in units of their sides."""


@readable
class MapArtists(NamedTuple):
    """What :func:`plot_decision_map` drew."""

    axes: Axes
    """Where it was drawn."""
    mesh: TriMesh
    """The values, linear on each face."""
    zeros: LineCollection
    """Where the output is zero within faces."""


def plot_decision_map(
    complex_: PlanarComplex, *, limit: float = 1.5, ax: Axes | None = None, **style: Any
) -> MapArtists:
    """A decision map with exact borders: which side each point is on, and how far, linear on each region.

    Args:
        complex_: regions with one output on a bounded domain. With other gradients and intercepts (``_replace``), the
            function that has them is drawn.
        limit: values from ``limit`` on, and down from ``-limit``, have the full colour.
        ax: where to draw; default is a new figure.
        style: passed on to ``LineCollection``, for the zeros.

    Raises:
        ValueError: if the complex covers the whole plane.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> drawn = jg.plot.plot_decision_map(jg.enumerate_regions(network, jg.box(-1, 1)))
        >>> len(drawn.zeros.get_segments())  # the quadrant x, y > 0 is cut
        1
    """
    check_bounded(complex_, "a decision map")
    if ax is None:
        (ax,) = new_axes()
    pieces = cut_at_zero(complex_)
    sizes = np.array([len(each) for each in pieces.corners])
    first = np.cumsum(sizes) - sizes
    fans = [
        np.column_stack([np.full(size - 2, start), np.arange(1, size - 1) + start, np.arange(2, size) + start])
        for size, start in zip(sizes.tolist(), first.tolist(), strict=True)
        if size >= _TRIANGLE
    ]
    corners = np.concatenate(pieces.corners)
    low, high = complex_.vertices.min(axis=0), complex_.vertices.max(axis=0)
    triangles = _not_slivers(corners[:, :2], np.concatenate(fans), _THIN * float((high - low).max()))
    side = np.where(np.repeat(pieces.is_positive, sizes), 1.0, -1.0)
    value = side * np.clip(np.abs(corners[:, 2]), 1e-6 * limit, limit)  # zeros belong to the side of their piece
    axes: Any = ax  # its stubs want keywords one by one
    mesh = axes.tripcolor(
        Triangulation(corners[:, 0], corners[:, 1], triangles),
        value,
        shading="gouraud",
        **{"cmap": side_colormap(), "vmin": -limit, "vmax": limit, "rasterized": True, "zorder": 0.5},
    )
    look: dict[str, Any] = {"colors": "0.25", "linewidths": 1.2, "zorder": 1.5}
    zeros = LineCollection(list(pieces.zeros), **look | style)
    ax.add_collection(zeros, autolim=False)
    ax.set(aspect="equal", xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="$x$", ylabel="$y$")
    ax.locator_params(nbins=5)
    return MapArtists(ax, mesh, zeros)


def _not_slivers(
    corners: Float[np.ndarray, "corners 2"], triangles: Int[np.ndarray, "triangles 3"], thin: float
) -> Int[np.ndarray, "some 3"]:
    """Triangles thick enough to be seen: others would be drawn thicker than they are, as streaks."""
    a, b, c = (corners[triangles[:, place]] for place in range(_TRIANGLE))
    sides = np.stack([np.hypot(*(q - p).T) for p, q in ((a, b), (b, c), (c, a))])
    double_area = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    result: Int[np.ndarray, "some 3"] = triangles[double_area > thin * sides.max(axis=0)]
    return result if len(result) else triangles


def plot_graph(
    complex_: PlanarComplex,
    *,
    limit: float = 1.5,
    limits: tuple[float, float] | None = None,
    azimuth: float | None = None,
    ax: Any = None,
    **style: Any,
) -> Poly3DCollection:
    """The graph of a network's output as lit, of flat facets, its two sides in the colours of a decision map.

    Args:
        complex_: as for :func:`plot_decision_map`.
        limit: values from ``limit`` on have the full colour.
        limits: of the vertical axis; default is the range of the values.
        azimuth: where to look from, in degrees; default is :func:`azimuth_of`.
        ax: axes of a space; default is a new figure.
        style: passed on to ``Poly3DCollection``.

    Raises:
        ValueError: if the complex covers the whole plane.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> sheet = jg.plot.plot_graph(jg.enumerate_regions(network, jg.box(-1, 1)))
        >>> len(sheet.get_facecolor())  # four regions, one of them in two pieces
        5
    """
    check_bounded(complex_, "a graph")
    if ax is None:
        (ax,) = new_axes(dim=3)
    pieces = cut_at_zero(complex_)
    middle = np.array([each[:, 2].mean() for each in pieces.corners])
    side = np.where(pieces.is_positive, 1.0, -1.0)
    colors = side_colormap()(0.5 + side * np.clip(np.abs(middle) / (2 * limit), 1e-3, 0.5))[:, :3]
    heights = np.concatenate([each[:, 2] for each in pieces.corners])
    limits = (float(heights.min()), float(heights.max())) if limits is None else limits
    domain = Box(complex_.vertices.min(axis=0), complex_.vertices.max(axis=0))
    normal = _normals(complex_, domain, limits)[pieces.face]
    light = 0.88 + 0.14 * normal @ LightSource(azdeg=20, altdeg=45).direction
    look: dict[str, Any] = {
        "facecolors": np.clip(colors * light[:, None], 0, 1),
        "edgecolors": (0, 0, 0, 0.35),
        "linewidths": float(np.clip(6 / np.sqrt(len(pieces.corners)), 0.1, 0.8)),
    }
    sheet = Poly3DCollection(pieces.corners, **look | style)
    ax.add_collection3d(sheet)
    room(ax, domain, limits)
    azimuth = azimuth_of(complex_, limits) if azimuth is None else azimuth
    ax.view_init(elev=_ELEVATION, azim=azimuth)
    ax.zaxis.set_rotate_label(False)
    ax.set_zlabel("$f(x, y)$", labelpad=2 if azimuth < -_QUARTER else 1, rotation=90)
    ax.tick_params("z", pad=1)
    if azimuth < -_QUARTER:  # labels of the two axes go apart from their common corner
        ax.set_xlabel("$x$", labelpad=2)
        ax.set_ylabel("$y$", labelpad=-2)
        for labels, side_of in ((ax.get_xticklabels(), "left"), (ax.get_yticklabels(), "right")):
            for label in labels:
                label.set_horizontalalignment(side_of)
    return sheet


def azimuth_of(complex_: PlanarComplex | Sequence[PlanarComplex], limits: tuple[float, float] | None = None) -> float:
    """The direction, in degrees, from which the graph of a network's output shows most of itself; or that for several
    graphs which are compared, so that the one that shows least of itself shows most.

    Facets that are seen from below or edge-on count against a direction. Of equally good ones that nearest to -58°.

    Args:
        complex_: regions with one output on a bounded domain, or those of several networks on one domain.
        limits: of the vertical axis; default is the range of the values.

    Raises:
        ValueError: for no networks.
    """
    complexes = [complex_] if isinstance(complex_, PlanarComplex) else list(complex_)
    if not complexes:
        raise ValueError("a direction to look from takes the regions of at least one network, but none were given.")
    if limits is None:
        heights = np.concatenate([corners[:, 2] for each in complexes for corners in cut_at_zero(each).corners])
        limits = (float(heights.min()), float(heights.max()))
    azimuth = np.array(_AZIMUTHS)
    turn, rise = np.radians(azimuth), np.radians(_ELEVATION)
    view = np.stack([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.full_like(turn, np.sin(rise))])
    scores = []
    for each in complexes:
        domain = Box(each.vertices.min(axis=0), each.vertices.max(axis=0))
        scores.append(each.area / each.area.sum() @ np.minimum(_normals(each, domain, limits) @ view, _SLANTED))
    score = np.min(scores, axis=0) - 1e-3 * np.abs(azimuth + 58) / 90
    return float(azimuth[np.argmax(score)])


def _normals(complex_: PlanarComplex, domain: Box, limits: tuple[float, float]) -> Float[np.ndarray, "faces 3"]:
    """Unit normals of the facets, upwards, in the proportions of the axes."""
    rise = _HEIGHT * (domain.high - domain.low) / ((limits[1] - limits[0]) or 1.0)
    normal = np.column_stack([-complex_.gradient[:, 0] * rise, np.ones(complex_.num_faces)])
    result: Float[np.ndarray, "faces 3"] = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return result
