"""[edge] A piece of the plane as a sheet that networks bend: filled, shaded, in colours that say where it came from."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from jaxgeom._typing import PLANE, SPACE
from jaxgeom.plot.style import new_axes
from jaxgeom.regions.colors import srgb_of_oklab

_LIGHT = np.array([0.36, -0.48, 0.80])
_FAST = 0.3
"""Power of the distance that saturation goes with."""
_STEP = 0.35
"""Share of the full colour that a half line begins with."""
_BACK = 0.72
"""Brightness of the side that was below."""
_NEAREST = -60.0
"""Azimuth that cameras like best, in degrees: that of matplotlib."""
_ELEVATIONS = (20.0, 30.0, 40.0, 50.0)


def position_colors(points: Float[Any, "*batch dim"], *, reach: float | None = None) -> Float[np.ndarray, "*batch 3"]:
    """A colour for each place in the plane: hue by angle, saturation by distance from the origin, lighter at the top.

    Blue to yellow goes along the first coordinate and dark to light along the second, so that readers who do not see
    red and green as different, and greyscale, have both as well. Saturation grows fast: what is near the origin can be
    told apart when a network has spread it out. On a line, light goes along the one coordinate too, and both halves
    begin in colours of their own at zero.

    Args:
        points: with one coordinate or two.
        reach: distance, along a coordinate, at which colours are full; default is the largest coordinate.
    """
    points = np.asarray(points, np.float64)
    places = np.concatenate([points, np.zeros_like(points)], axis=-1)[..., :PLANE] if points.shape[-1] == 1 else points
    places = places[..., :PLANE] / (reach or np.abs(places).max(initial=0) or 1.0)
    distance = np.abs(places).max(axis=-1, keepdims=True)
    fast = np.clip(places, -1, 1) * np.where(distance > 0, distance, 1.0) ** (_FAST - 1)
    x, y = np.moveaxis(fast, -1, 0)
    if points.shape[-1] == 1:
        x = np.sign(x) * (_STEP + (1 - _STEP) * np.abs(x))
    light = x if points.shape[-1] == 1 else y
    lab = np.stack([0.7 + 0.2 * light, 0.15 * y, 0.16 * x], axis=-1)
    return srgb_of_oklab(lab)


def plot_sheet(
    points: Float[Any, "rows columns dim"],
    color: Float[Any, "rows columns 3"],
    *,
    ax: Axes | None = None,
    **style: Any,
) -> PolyCollection | Poly3DCollection:
    """A grid of points, as a sheet of quadrilaterals, in the plane or in space.

    What was the lower side is darker. In space light comes from above.

    Args:
        points: with two or three coordinates.
        color: of each point.
        ax: where to draw, keeping the limits that are set; default is a new figure.
        style: passed on to the collection.

    Raises:
        ValueError: for other numbers of coordinates, or colours that do not fit.
    """
    points, color = np.asarray(points, np.float64), np.asarray(color, np.float64)
    if points.ndim != SPACE or points.shape[2] not in (PLANE, SPACE):
        raise ValueError(f"a sheet has the shape (rows, columns, 2 or 3), but {points.shape} was given.")
    if color.shape != (*points.shape[:2], 3):
        raise ValueError(f"{points.shape[:2]} points need as many colours, red, green and blue, but {color.shape}.")
    dim = points.shape[2]
    if ax is None:
        (ax,) = new_axes(dim=dim)
    if (dim == SPACE) != isinstance(ax, Axes3D):
        raise ValueError(f"a sheet with {dim} coordinates cannot be drawn on axes of kind {ax.name!r}.")
    corners = np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], axis=2).reshape(-1, 4, dim)
    middle = (color[:-1, :-1] + color[1:, :-1] + color[1:, 1:] + color[:-1, 1:]).reshape(-1, 3) / 4
    faces = np.clip(middle * _brightness(corners)[:, None], 0, 1)
    look: dict[str, Any] = {"facecolors": faces, "edgecolors": faces, "linewidths": 0.3}
    if isinstance(ax, Axes3D):
        drawn: Any = Poly3DCollection(corners, **look | style)
        ax.add_collection3d(drawn)
    else:
        drawn = PolyCollection(list(corners), **look | style)
        ax.add_collection(drawn)
        ax.autoscale_view()
    return drawn


def _brightness(corners: Float[np.ndarray, "faces 4 dim"]) -> Float[np.ndarray, " faces"]:
    first, second = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    if corners.shape[2] == PLANE:
        turned: np.ndarray = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
        return np.where(turned * np.sign(np.median(turned) or 1.0) < 0, _BACK, 1.0)
    normal = np.cross(first, second)
    length = np.linalg.norm(normal, axis=1)
    light = np.abs(normal @ _LIGHT) / np.where(length > 0, length, 1.0)
    return 0.62 + 0.38 * np.where(length > 0, light, 1.0)


def fitted_camera(*points: Float[Any, "*batch 3"]) -> tuple[float, float]:
    """Elevation and azimuth, in degrees, from which points in space are spread out widest; of several clouds, each as
    well as can be: the one that fares worst decides."""
    spreads = [np.cov(np.asarray(cloud, np.float64).reshape(-1, SPACE).T) for cloud in points]
    azimuths = np.arange(-180.0, 180.0, 10.0).tolist()
    views = [(elevation, azimuth) for elevation in _ELEVATIONS for azimuth in azimuths]
    areas = np.array([[_seen(spread, *view) for view in views] for spread in spreads])
    largest = areas.max(axis=1, keepdims=True)
    score = (areas / np.where(largest > 0, largest, 1.0)).min(axis=0)
    off = np.array([abs((azimuth - _NEAREST + 180) % 360 - 180) / 180 for _, azimuth in views])
    return views[int(np.argmax(score * (1 - 0.25 * off)))]


def _seen(spread: Float[np.ndarray, "3 3"], elevation: float, azimuth: float) -> float:
    """The area that points with this covariance have in the plane of a picture."""
    up, around = np.radians(elevation), np.radians(azimuth)
    right = [-np.sin(around), np.cos(around), 0.0]
    above = [-np.sin(up) * np.cos(around), -np.sin(up) * np.sin(around), np.cos(up)]
    plane = np.array([right, above])
    return float(np.sqrt(max(np.linalg.det(plane @ spread @ plane.T), 0.0)))
