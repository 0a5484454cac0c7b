"""Slices: planes through an input space of any dimension, as a first affine layer of the network.

A plane is a point and two orthonormal directions. On it a network with 784 inputs is one with two, whose first layer is
the composed one; everything that counts, enumerates and draws regions in the plane then works on the slice. Distances
and areas on the plane are those of the input space.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from jaxgeom._reprs import readable
from jaxgeom._typing import PAIR, PLANE
from jaxgeom.domains import Polygon, polygon
from jaxgeom.host.given import as_float64, float64_of, points_of
from jaxgeom.host.sparse import SparseKernel
from jaxgeom.networks.layers import Dense, Layers, check_layers

_ROUNDING = 1e-10
"""Three points whose triangle is flatter than this lie on one line."""


@readable
class Plane(NamedTuple):
    """A plane in input space: x = origin + u first + v second, for points (u, v)."""

    origin: Float[np.ndarray, " in"]
    """The point with plane coordinates (0, 0)."""
    directions: Float[np.ndarray, "2 in"]
    """Orthonormal."""


@readable
class Projection(NamedTuple):
    """Points of input space as a plane sees them."""

    coordinates: Float[np.ndarray, "points 2"]
    """The point of the plane that is nearest to each."""
    distance: Float[np.ndarray, " points"]
    """And how far away it is."""


def plane_through(
    a: Float[Array | np.ndarray, " in"] | Sequence[float],
    b: Float[Array | np.ndarray, " in"] | Sequence[float],
    c: Float[Array | np.ndarray, " in"] | Sequence[float] | None = None,
) -> Plane:
    """The plane through three points of input space, or through the origin and two.

    The first point has the coordinates (0, 0), the second lies on the positive first axis, the third above it.

    Args:
        a: a point of the plane, which gets the coordinates (0, 0).
        b: a second point.
        c: a third point, not on their line. Without it, the plane goes through the origin, ``a`` and ``b``.

    Raises:
        ValueError: if the points differ in dimension, have fewer than two, are not finite, or lie on one line.

    Example:
        >>> import jaxgeom as jg
        >>> plane = jg.plane_through([0, 0, 0], [2, 0, 0], [0, 0, 5])
        >>> jg.project(plane, [[1.0, 7.0, 3.0]]).coordinates.tolist()
        [[1.0, 3.0]]
    """
    given = [np.zeros_like(float64_of(a, "points")), a, b] if c is None else [a, b, c]
    points = [np.asarray(float64_of(point, "points")) for point in given]
    shapes = [point.shape for point in points]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0][0] < PLANE:
        raise ValueError(
            f"three points of one input space are needed, with at least 2 inputs, but got shapes {shapes}."
        )
    if not all(np.isfinite(point).all() for point in points):
        raise ValueError("the points of a plane must be finite, but NaN or infinity was given.")
    first, second = points[1] - points[0], points[2] - points[0]
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    if min(lengths) > 0:
        first = first / lengths[0]
        rest = second / lengths[1]
        for _ in range(2):  # the second time takes out what rounding left
            rest = rest - (rest @ first) * first
        size = np.linalg.norm(rest)
        if size > _ROUNDING:
            return Plane(points[0], np.stack([first, rest / size]))
    raise ValueError(
        "three points span a plane unless they lie on one line, but these do, up to rounding. Take another third point."
    )


def on_plane(layers: Layers, plane: Plane) -> Layers:
    """The network on a plane: one with two inputs, in float64. Populations are welcome.

    The product is rounded once: regions of the slice are those of these rounded weights.

    Raises:
        ValueError: if the network takes another number of inputs than the plane has.

    Example:
        >>> import jax, jaxgeom as jg
        >>> network = jg.layers_of(jg.mlp((64, 8, 1), activation="relu").init(jax.random.key(0)))
        >>> images = jax.random.uniform(jax.random.key(1), (3, 64))
        >>> part = jg.on_plane(network, jg.plane_through(*images))
        >>> part[0].kernel.shape, bool(jg.count_regions(part, jg.whole_plane()).count <= jg.zaslavsky(8, 2))
        ((2, 8), True)
    """
    layers = check_layers(layers, dim=len(plane.origin), keep_sparse=True)
    kernel, bias = layers[0].kernel, np.asarray(as_float64(layers[0].bias))
    if not isinstance(kernel, SparseKernel):
        kernel = np.asarray(as_float64(kernel))
    return (Dense(plane.directions @ kernel, plane.origin @ kernel + bias, layers[0].slope), *layers[1:])


def project(plane: Plane, points: Float[Array | np.ndarray, "points in"]) -> Projection:
    """Coordinates of points of input space on a plane, and their distances from it.

    Example:
        >>> import jaxgeom as jg
        >>> plane = jg.plane_through([1, 0, 0], [0, 1, 0])
        >>> jg.project(plane, [[0.0, 0.0, 3.0]]).distance.tolist()
        [3.0]
    """
    offset = np.asarray(points_of(points, len(plane.origin))) - plane.origin
    coordinates = offset @ plane.directions.T
    return Projection(coordinates, np.linalg.norm(offset - coordinates @ plane.directions, axis=1))


def lift(plane: Plane, coordinates: Float[Array | np.ndarray, "points 2"]) -> Float[np.ndarray, "points in"]:
    """The points of input space at these coordinates of the plane.

    Example:
        >>> import jaxgeom as jg
        >>> plane = jg.plane_through([0, 0, 1], [2, 0, 1], [0, 2, 1])
        >>> jg.lift(plane, [[0.5, 0.25]]).tolist()
        [[0.5, 0.25, 1.0]]
    """
    result: Float[np.ndarray, "points in"] = (
        plane.origin + np.asarray(points_of(coordinates, 2, "coordinates")) @ plane.directions
    )
    return result


def box_on_plane(plane: Plane, low: float, high: float) -> Polygon:
    """The part of a plane whose points have all inputs between ``low`` and ``high``, such as the valid images.

    Raises:
        ValueError: if the bounds are not in order, or the plane meets the box in less than an area.

    Example:
        >>> import jaxgeom as jg
        >>> plane = jg.plane_through([0, 0, 0.5], [1, 0, 0.5], [0, 1, 0.5])
        >>> sorted(jg.box_on_plane(plane, 0, 1).vertices.round(6).tolist())
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"low must lie below high, and both be finite, but {low} and {high} were given.")
    # Start from a square that holds the box's shadow, and clip by both sides of every input.
    reach = np.linalg.norm(np.maximum(np.abs(low - plane.origin), np.abs(high - plane.origin)))
    corners = reach * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    for direction, offset in zip(plane.directions.T, plane.origin, strict=True):
        for sign, bound in ((1.0, low), (-1.0, high)):
            corners = _clipped(corners, sign * direction, sign * (offset - bound))
    area = 0.0
    if len(corners) > PAIR:
        x, y = (corners - corners[0]).T
        area = 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    if not area > 0:
        raise ValueError(f"the plane does not meet the box of inputs between {low} and {high} in an area.")
    return polygon(_convex(corners))


def _clipped(
    corners: Float[np.ndarray, "corners 2"], direction: Float[np.ndarray, " 2"], offset: float
) -> Float[np.ndarray, "kept 2"]:
    """The part of a convex polygon where ``direction @ x + offset >= 0``."""
    value = corners @ direction + offset
    kept: list[np.ndarray] = []
    for p, q, at_p, at_q in zip(corners, np.roll(corners, -1, axis=0), value, np.roll(value, -1), strict=True):
        if at_p >= 0:
            kept.append(p)
        if min(at_p, at_q) < 0 < max(at_p, at_q):
            kept.append(p + at_p / (at_p - at_q) * (q - p))
    return np.array(kept).reshape(-1, 2)


def _convex(corners: Float[np.ndarray, "corners 2"]) -> Float[np.ndarray, "hull 2"]:
    """The strictly convex corners of a polygon whose rounded corners may repeat or lie on a line, or a hair inside."""
    order = np.lexsort(corners.T[::-1])
    points = [tuple(corner) for corner in corners[order].tolist()]
    hull: list[tuple[float, ...]] = []
    for half in (points, points[::-1]):
        chain: list[tuple[float, ...]] = []
        for point in half:
            while len(chain) > 1 and not _turns_left(chain[-2], chain[-1], point):
                chain.pop()
            if not chain or chain[-1] != point:
                chain.append(point)
        hull += chain[:-1]
    return np.array(hull)


def _turns_left(p: tuple[float, ...], q: tuple[float, ...], r: tuple[float, ...]) -> bool:
    (px, py), (qx, qy), (rx, ry) = ([Fraction(number) for number in point] for point in (p, q, r))
    return (qx - px) * (ry - py) > (qy - py) * (rx - px)
