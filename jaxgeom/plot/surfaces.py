"""[edge] Networks over the plane as surfaces in space: exact faces, wireframes of sampled values, lines on them."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.colors import LightSource, to_rgb
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

from jaxgeom._typing import MATRIX
from jaxgeom.analysis.surfaces import DecisionSurface
from jaxgeom.domains import Box
from jaxgeom.plot.colormaps import side_colormap
from jaxgeom.plot.style import new_axes
from jaxgeom.regions.boundary import check_bounded
from jaxgeom.regions.complex import PlanarComplex


def plot_surface(
    complex_: PlanarComplex,
    *,
    colors: Float[np.ndarray, "faces channels"] | None = None,
    limit: float = 1.5,
    ax: Any = None,
    **style: Any,
) -> Poly3DCollection:
    """The graph of a network's output: every region as a flat piece, exactly.

    Args:
        complex_: regions on a bounded domain, with one output.
        colors: of the faces; default is that of a decision map, by the value in the middle of each face.
        limit: as for :func:`plot_map`.
        ax: axes of a space; default is a new figure.
        style: passed on to ``Poly3DCollection``.
    """
    check_bounded(complex_, "a picture of the output")
    if ax is None:
        (ax,) = new_axes(dim=3)
    height = heights(complex_)
    cycles = np.split(np.column_stack([complex_.vertices[complex_.face_vertices], height]), complex_.face_offsets[1:-1])
    if colors is None:
        middle = np.sum(complex_.gradient[:, 0] * complex_.centroid, axis=1) + complex_.intercept[:, 0]
        colors = side_colormap()(0.5 + middle / (2 * limit))
    look: dict[str, Any] = {"facecolors": colors, "edgecolors": "none", "alpha": 0.85}
    faces = Poly3DCollection(cycles, **look | style)
    ax.add_collection3d(faces)
    low, high = complex_.vertices.min(axis=0), complex_.vertices.max(axis=0)
    room(ax, Box(low, high), (float(height.min()), float(height.max())))
    return faces


def heights(complex_: PlanarComplex) -> Float[np.ndarray, " corners"]:
    """The output at each corner of each face."""
    face = np.repeat(np.arange(complex_.num_faces), np.diff(complex_.face_offsets))
    position = complex_.vertices[complex_.face_vertices]
    result: Float[np.ndarray, " corners"] = (
        np.sum(complex_.gradient[face, 0] * position, axis=1) + complex_.intercept[face, 0]
    )
    return result


def plot_decision_surface(
    surface: DecisionSurface,
    *,
    colors: Float[np.ndarray, "polygons channels"] | None = None,
    ax: Any = None,
    **style: Any,
) -> Poly3DCollection:
    """The decision surface of a network with three inputs: every flat piece, lit from above.

    Args:
        surface: as :func:`jaxgeom.decision_surface` gives it.
        colors: RGB of each polygon; default is one colour for each connected component.
        ax: axes of a space; default is a new figure.
        style: passed on to ``Poly3DCollection``.

    Raises:
        ValueError: if the surface is empty, or for colors of another shape.
    """
    num = len(surface.patterns)
    if not num:
        raise ValueError("this surface has no polygons: the network does not change its sign in the box.")
    if colors is not None and (np.ndim(colors) != MATRIX or np.shape(colors) not in ((num, 3), (num, 4))):
        given = repr(colors) if isinstance(colors, str) else f"an array {np.shape(colors)}"
        raise ValueError(
            f"colors must be an array ({num}, 3), RGB of each polygon from 0 to 1, but {given} was given. For one "
            f"colour, take np.tile(matplotlib.colors.to_rgb(name), ({num}, 1))."
        )
    if ax is None:
        (ax,) = new_axes(dim=3)
    cycles = np.split(surface.vertices[surface.polygon_vertices], surface.polygon_offsets[1:-1])
    if colors is None:
        palette = np.array([to_rgb(f"C{index}") for index in range(10)])
        colors = palette[surface.component % 10]
    low, high = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
    normals = np.stack([_normal(cycle / np.maximum(high - low, np.finfo(float).tiny)) for cycle in cycles])
    light = LightSource(azdeg=315, altdeg=55).direction
    shade = 0.45 + 0.55 * np.abs(normals @ light)
    shaded = np.clip(np.asarray(colors)[:, :3] * shade[:, None], 0, 1)
    look: dict[str, Any] = {"facecolors": shaded, "edgecolors": (0, 0, 0, 0.25)}
    pieces = Poly3DCollection(cycles, **look | {"linewidths": 0.3} | style)
    ax.add_collection3d(pieces)
    ax.auto_scale_xyz(*np.stack([low, high], axis=1))
    ax.set_aspect("equal")
    extent = (high - low) / (high - low).max()
    for axis, share in zip((ax.xaxis, ax.yaxis, ax.zaxis), extent.tolist(), strict=True):
        axis.set_major_locator(MaxNLocator(max(1, round(6 * share))))  # labels of a short axis do not collide
    for name in "xyz":
        if not getattr(ax, f"get_{name}label")():
            getattr(ax, f"set_{name}label")(f"$x_{'xyz'.index(name) + 1}$")
    return pieces


def _normal(cycle: Float[np.ndarray, "corners 3"]) -> Float[np.ndarray, " 3"]:
    """Of length 1, of a convex polygon; zero if that has no area."""
    spokes = cycle[1:] - cycle[0]
    normal = np.cross(spokes[:-1], spokes[1:]).sum(axis=0)
    length = np.linalg.norm(normal)
    result: Float[np.ndarray, " 3"] = normal / length if length > 0 else normal
    return result


def plot_wireframe(
    values: Float[np.ndarray, "rows columns"],
    domain: Box,
    *,
    num_lines: int = 11,
    limits: tuple[float, float] | None = None,
    ax: Any = None,
    **style: Any,
) -> Line3DCollection:
    """Sampled values as a wireframe: some lines along both coordinates, through all samples.

    Args:
        values: on a grid over the domain, as for :func:`plot_map`.
        domain: what the grid spans, ends included.
        num_lines: lines along each coordinate.
        limits: of the vertical axis; default is the range of the values.
        ax: axes of a space; default is a new figure.
        style: passed on to ``Line3DCollection``.
    """
    if ax is None:
        (ax,) = new_axes(dim=3)
    values = np.asarray(values, np.float64)
    rows, columns = values.shape
    x, y = (np.linspace(domain.low[d], domain.high[d], num) for d, num in ((0, columns), (1, rows)))
    surface = np.stack([np.broadcast_to(x, values.shape), np.broadcast_to(y[:, None], values.shape), values], axis=-1)
    along_x = surface[np.unique(np.linspace(0, rows - 1, num_lines).round().astype(int))]
    along_y = surface[:, np.unique(np.linspace(0, columns - 1, num_lines).round().astype(int))].swapaxes(0, 1)
    # each line in its pieces, so that their colours tell the side
    both = [np.stack([lines[:, :-1], lines[:, 1:]], axis=2).reshape(-1, 2, 3) for lines in (along_x, along_y)]
    pieces = np.concatenate(both)
    colors = side_colormap()(np.where(pieces[:, :, 2].mean(axis=1) > 0, 1.0, 0.0))
    wires = Line3DCollection(list(pieces), **{"colors": colors, "linewidths": 0.9} | style)
    ax.add_collection3d(wires)
    room(ax, domain, (float(values.min()), float(values.max())) if limits is None else limits)
    return wires


def plot_lifted(
    segments: Float[np.ndarray, "pieces 2 2"],
    height: Float[np.ndarray, "pieces 2"],
    *,
    ax: Any = None,
    **style: Any,
) -> Line3DCollection:
    """Line pieces in space: their ends in the plane, and their heights."""
    if ax is None:
        (ax,) = new_axes(dim=3)
    lines = Line3DCollection(list(np.concatenate([segments, height[..., None]], axis=-1)), **style)
    ax.add_collection3d(lines)
    return lines


def room(ax: Any, domain: Box, limits: tuple[float, float]) -> None:
    """Limits and labels of axes in space over a domain; the vertical axis gets a little air."""
    ax.set_xlim(domain.low[0], domain.high[0])
    ax.set_ylim(domain.low[1], domain.high[1])
    air = 0.05 * (limits[1] - limits[0]) or 0.5
    ax.set_zlim(limits[0] - air, limits[1] + air)
    ax.set_xlabel("$x$", labelpad=2)
    ax.set_ylabel("$y$", labelpad=2)
    ax.set_zlabel("$f(x, y)$", labelpad=2)
    ax.tick_params(labelsize="small", pad=-1)
    ax.locator_params(nbins=5)
    for label in ax.get_yticklabels():  # off the last one of the other axis, in the near corner
        label.set_horizontalalignment("left")
    ax.view_init(elev=28, azim=-58)
    ax.set_box_aspect(None, zoom=0.88)  # room for the labels
