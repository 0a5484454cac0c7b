"""Where regions are counted: boxes, their corners, and grids of points on them."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Box(NamedTuple):
    """An axis-parallel box, ``low <= x <= high`` in each coordinate."""

    low: Float[np.ndarray, " dim"]
    high: Float[np.ndarray, " dim"]


def box(
    low: float | Sequence[float] | np.ndarray = -1.0,
    high: float | Sequence[float] | np.ndarray = 1.0,
    *,
    dim: int = 2,
) -> Box:
    """The box from ``low`` to ``high``; by default the square [-1, 1]².

    Args:
        low, high: one number for all coordinates, or one for each.
        dim: number of coordinates.

    Raises:
        ValueError: if the bounds are not finite, not in order, or not ``dim`` many.
    """
    if dim < 1:
        raise ValueError(f"dim must be a positive integer, but {dim} was given.")
    try:
        bounds = Box(*(np.broadcast_to(np.asarray(b, np.float64), (dim,)).copy() for b in (low, high)))
    except ValueError as error:
        raise ValueError(
            f"a box in {dim} dimensions needs one bound or {dim} of them, but low = {low} and high = {high} were "
            "given. Set dim to the number of coordinates."
        ) from error
    if not (np.isfinite(bounds.low).all() and np.isfinite(bounds.high).all()):
        raise ValueError(f"the bounds of a box must be finite, but low = {low} and high = {high} were given.")
    if not (bounds.low < bounds.high).all():
        raise ValueError(f"low must lie below high in every coordinate, but {low} and {high} were given.")
    return bounds


def corners(domain: Box) -> Float[np.ndarray, "corners dim"]:
    """The 2^dim corners of a box, float64, the last coordinate changing fastest."""
    return np.array(list(itertools.product(*zip(domain.low, domain.high, strict=True))))


def polygon_vertices(domain: Box) -> Float[np.ndarray, "vertices 2"]:
    """The vertices of a two-dimensional domain in counter-clockwise order, float64.

    Raises:
        ValueError: if the domain is not two-dimensional.
    """
    if len(domain.low) != 2:
        raise ValueError(
            f"a two-dimensional domain is needed, but a box in {len(domain.low)} dimensions was given. Use "
            "box(low, high, dim=2)."
        )
    (x0, y0), (x1, y1) = domain
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def grid_points(domain: Box, num: int = 101, *, with_corners: bool = False) -> Float[np.ndarray, "points dim"]:
    """A dense grid with ``num`` points along each axis, ends included; the first coordinate changes fastest.

    The points are float32. Then products with float32 weights are exact in float64, and a line that runs through
    grid points (as trained networks have them) is seen to do so, instead of leaving signs to rounding.

    Args:
        domain: the box that the grid spans.
        num: points along each axis; 101 is the usual choice for counting regions on [-1, 1]².
        with_corners: append the corners of the box once more, as the XOR study does.

    Returns:
        float32 array of shape (num^dim, dim), or (num^dim + 2^dim, dim) with the corners.

    Raises:
        ValueError: if ``num`` is below 2.
    """
    if num < 2:
        raise ValueError(f"a grid needs at least 2 points along each axis, but num = {num} was given.")
    steps = np.arange(num)
    axes = [
        (low * (num - 1 - steps) + high * steps) / (num - 1) for low, high in zip(domain.low, domain.high, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes[::-1], indexing="ij")[::-1], axis=-1).reshape(-1, len(axes))
    points = np.concatenate([grid, corners(domain)]) if with_corners else grid
    return points.astype(np.float32)
