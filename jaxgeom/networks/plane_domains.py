"""[host] Domains on planes through an input space: where all inputs are within bounds, and hulls of points."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Array, Float

from jaxgeom._typing import PAIR
from jaxgeom.domains import Polygon, polygon
from jaxgeom.host.given import float64_of
from jaxgeom.networks.slices import Plane, project

_ROUNDINGS = 16.0 * float(np.finfo(np.float64).eps)
"""Relative error of a sum of a few products, by far."""

_PARALLEL = 1e-10
"""The smallest singular value of two directions, in parts of the largest, below which they are one."""

Point = tuple[Fraction, Fraction]


def box_on_plane(
    plane: Plane,
    low: float | Sequence[float] | Float[Array | np.ndarray, " in"],
    high: float | Sequence[float] | Float[Array | np.ndarray, " in"],
) -> Polygon:
    """The part of a plane whose points have every input between its bounds, such as the valid images.

    The corners are those of real arithmetic on the plane's numbers, each coordinate rounded once. An input that is the
    same on the whole plane may have equal bounds.

    Args:
        plane: in a space of any dimension.
        low: the lowest value, one for all inputs or one for each.
        high: the highest value, likewise.

    Raises:
        ValueError: if bounds are not finite or not in order, there are not as many as inputs, or the plane meets the
            box in less than an area.

    Example:
        >>> import jaxgeom as jg
        >>> plane = jg.plane_through([0, 0, 0.5], [1, 0, 0.5], [0, 1, 0.5])
        >>> sorted(jg.box_on_plane(plane, 0, 1).vertices.tolist())
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
        >>> jg.box_on_plane(plane, [0, 0, 0], [1, 2, 0.5]).vertices.max(axis=0).tolist()
        [1.0, 2.0]
    """
    low, high = (_bounds(bound, name, len(plane.origin)) for bound, name in ((low, "low"), (high, "high")))
    if not ((low <= high).all() and (low < high).any()):
        where = np.flatnonzero(low > high)
        place = where[0] if len(where) else 0
        raise ValueError(
            f"low must lie below high, but {low[place]} and {high[place]} were given for input {place}. Only inputs "
            "that the plane holds still may have equal bounds."
        )
    corners = _corners(plane, low, high)
    if len(corners) > PAIR:
        hull = convex_hull(np.array([[float(x), float(y)] for x, y in corners]))
        if len(hull) > PAIR:
            return polygon(hull)
    raise ValueError(
        f"the plane does not meet the box of inputs between {low.min()} and {high.max()} in an area. Move its origin "
        "into the box, or widen the bounds."
    )


def hull_on_plane(plane: Plane, points: Float[Array | np.ndarray, "points in"]) -> Polygon:
    """The convex hull of points of input space, projected onto a plane: the triangle of the three that span it, say.

    Raises:
        ValueError: if the projections lie on a line.

    Example:
        >>> import jaxgeom as jg
        >>> corners = [[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 5.0]]
        >>> jg.hull_on_plane(jg.plane_through(*corners), corners).vertices.tolist()
        [[0.0, 0.0], [2.0, 0.0], [0.0, 5.0]]
    """
    hull = convex_hull(project(plane, points).coordinates)
    if len(hull) <= PAIR:
        raise ValueError("the points span no area on this plane. Take three points, or more, that are not on a line.")
    return polygon(hull)


def _bounds(given: object, name: str, num: int) -> Float[np.ndarray, " in"]:
    bound = np.asarray(float64_of(given, name))
    if bound.shape not in ((), (1,), (num,)):
        raise ValueError(f"{name} must be one number or {num}, one for each input, but has shape {bound.shape}.")
    if not np.isfinite(bound).all():
        raise ValueError(f"{name} must be finite, but NaN or infinity was given. Take a wide bound instead.")
    return np.broadcast_to(bound, (num,))


def _corners(plane: Plane, low: Float[np.ndarray, " in"], high: Float[np.ndarray, " in"]) -> list[Point]:
    """The corners, by cutting a square that is too large with the bound that is most violated, until none is.

    Floats choose the bound and sort out corners that are beyond doubt; all else is done with fractions.
    """
    origin, directions = np.asarray(plane.origin, np.float64), np.asarray(plane.directions, np.float64)
    reach = float(np.linalg.norm(np.maximum(np.abs(low - origin), np.abs(high - origin))))
    largest, smallest = np.linalg.svd(directions, compute_uv=False).tolist()
    if not smallest > _PARALLEL * largest:
        raise ValueError("the directions of the plane are parallel. Take jaxgeom.plane_through.")
    side = Fraction(2.0 ** np.ceil(np.log2(max(reach, np.finfo(np.float64).tiny)) + 1)) / Fraction(min(smallest, 1.0))
    corners: list[Point] = [(-side, -side), (side, -side), (side, side), (-side, side)]
    # slopes @ (u, v) + offset >= 0, where offset is the difference of two numbers
    slopes = np.concatenate([directions.T, -directions.T])
    offset = np.concatenate([origin - low, high - origin])
    size = np.concatenate([np.abs(origin) + np.abs(low), np.abs(origin) + np.abs(high)])
    bounds = zip(origin.tolist() + high.tolist(), low.tolist() + origin.tolist(), strict=True)
    exact = [(Fraction(plus), Fraction(minus)) for plus, minus in bounds]
    is_open = np.ones(len(offset), bool)
    while len(corners) > PAIR:
        values, errors = _values(corners, slopes, offset, size)
        lowest = np.where(is_open, (values - errors).min(axis=0), np.inf)
        worst = int(lowest.argmin())
        if not lowest[worst] <= 0:
            break
        is_open[worst] = False
        a, b = map(Fraction, slopes[worst].tolist())
        plus, minus = exact[worst]
        corners = _clipped(corners, (a, b, plus - minus), values[:, worst], errors[:, worst])
    return corners


def _values(
    corners: list[Point], slopes: np.ndarray, offset: np.ndarray, size: np.ndarray
) -> tuple[Float[np.ndarray, "corners bounds"], Float[np.ndarray, "corners bounds"]]:
    """What is to be positive, at each corner, and by how much these floats may be off."""
    places = np.array([[float(x), float(y)] for x, y in corners])
    values = places @ slopes.T + offset
    return values, _ROUNDINGS * (np.abs(places) @ np.abs(slopes).T + size) + np.finfo(np.float64).tiny


def _clipped(
    corners: list[Point], line: tuple[Fraction, Fraction, Fraction], values: np.ndarray, errors: np.ndarray
) -> list[Point]:
    """The part of a convex polygon where ``a x + b y + c >= 0``."""
    a, b, c = line

    def at(corner: int) -> Fraction:
        x, y = corners[corner]
        return a * x + b * y + c

    is_sure = np.abs(values) > errors
    exact = {corner: at(corner) for corner in np.flatnonzero(~is_sure).tolist()}
    signs = [int(np.sign(values[i])) if is_sure[i] else (exact[i] > 0) - (exact[i] < 0) for i in range(len(corners))]
    kept: list[Point] = []
    for index, sign in enumerate(signs):
        following = (index + 1) % len(corners)
        if sign >= 0:
            kept.append(corners[index])
        if sign * signs[following] < 0:
            (px, py), (qx, qy) = corners[index], corners[following]
            here = at(index)
            part = here / (here - at(following))
            kept.append((px + part * (qx - px), py + part * (qy - py)))
    return kept


def convex_hull(corners: Float[np.ndarray, "corners 2"]) -> Float[np.ndarray, "hull 2"]:
    """The strictly convex corners of the hull of points, counter-clockwise, decided exactly."""
    order = np.lexsort(corners.T[::-1])
    points = [tuple(corner) for corner in (corners[order] + 0.0).tolist()]  # without negative zeros
    hull: list[tuple[float, ...]] = []
    for half in (points, points[::-1]):
        chain: list[tuple[float, ...]] = []
        for point in half:
            while len(chain) > 1 and not _turns_left(chain[-2], chain[-1], point):
                chain.pop()
            if not chain or chain[-1] != point:
                chain.append(point)
        hull += chain[:-1]
    return np.array(hull).reshape(-1, 2)


def _turns_left(p: tuple[float, ...], q: tuple[float, ...], r: tuple[float, ...]) -> bool:
    (px, py), (qx, qy), (rx, ry) = ([Fraction(number) for number in point] for point in (p, q, r))
    return (qx - px) * (ry - py) > (qy - py) * (rx - px)
