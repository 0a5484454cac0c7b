"""[host] The largest circle in each face of a complex: its radius is the inradius, its centre the Chebyshev centre.

The centre maximises the smallest distance to the sides, which is a linear program in three unknowns. All faces with one
number of corners are solved together by the dual simplex method: three constraints hold as equalities; as long as
another one is violated, the most violated one comes in, and the one goes whose multiplier would be the first to become
negative. The first three are sides of a bounding box. Each side of a face is taken as the line in its direction
that supports all vertices of the face, so that sides whose length is mere rounding cannot cut into it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxgeom._reprs import readable
from jaxgeom.regions.complex import PlanarComplex, certify, check_is_planar

_NUMBERS_AT_ONCE = 1 << 22
_TOLERANCE = 1e-15  # in coordinates in which a face is about 1 long and wide: a constraint violated by less holds
_ROUNDING = 1e-12  # what rounding may leave of such a violation
_LEAST_PIVOT = 1e-13


@readable
class InscribedCircles(NamedTuple):
    """The largest circle in each face."""

    center: Float[np.ndarray, "faces 2"]
    """One of its centres, if several circles are as large. NaN for unbounded faces."""
    radius: Float[np.ndarray, " faces"]
    """The inradius. NaN for unbounded faces."""


def inscribed_circles(complex_: PlanarComplex) -> InscribedCircles:
    """The largest circle inscribed in each bounded face, to the rounding of its vertices.

    Args:
        complex_: as :func:`jaxgeom.enumerate_regions` gives it.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> circles = jg.inscribed_circles(complex_)
        >>> sorted(circles.center.round(6).tolist())
        [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]
    """
    check_is_planar(complex_, "the largest circle in each region")
    center = np.full((complex_.num_faces, 2), np.nan)
    radius = np.full(complex_.num_faces, np.nan)
    is_unbounded = np.logical_or.reduceat(complex_.is_ideal[complex_.face_vertices], complex_.face_offsets[:-1])
    num_corners = np.where(is_unbounded, 0, np.diff(complex_.face_offsets))
    for num in np.unique(num_corners[num_corners > 0]).tolist():
        faces = np.flatnonzero(num_corners == num)
        for block in np.array_split(faces, -(-len(faces) * num**2 // _NUMBERS_AT_ONCE)):
            corners = complex_.face_offsets[block, None] + np.arange(num)
            center[block], radius[block] = _of_polygons(complex_.vertices[complex_.face_vertices[corners]])
    return InscribedCircles(center, radius)


def _of_polygons(
    vertices: Float[np.ndarray, "faces corners 2"],
) -> tuple[Float[np.ndarray, "faces 2"], Float[np.ndarray, " faces"]]:
    """Centres and radii of the circles inscribed in convex polygons, counter-clockwise."""
    axes, width, placed = _stretched(vertices)
    rows = _constraints(placed, width)
    basis = np.tile(np.arange(3), (len(rows), 1))
    multipliers = np.tile([0.5, 0.5, 0.0], (len(rows), 1))
    center, radius, violation = np.zeros((len(rows), 2)), np.zeros(len(rows)), np.zeros(len(rows))
    active = np.arange(len(rows))
    num_late = 2 * rows.shape[1]
    for num_rounds in range(10 * num_late):
        held = rows[active[:, None], basis[active]]
        solution = np.linalg.solve(held[:, :, :3], -held[:, :, 3:])
        excess = (rows[active, :, :3] @ solution)[:, :, 0] + rows[active, :, 3]
        np.put_along_axis(excess, basis[active], 0.0, axis=1)  # but for rounding
        center[active], radius[active] = solution[:, :2, 0], solution[:, 2, 0]
        violation[active] = -excess.min(axis=1)
        is_open = violation[active] > _TOLERANCE
        active, held, excess = active[is_open], held[is_open], excess[is_open]
        if not len(active):
            break
        # the most violated constraint; after many rounds the first violated one, which cannot go round in circles
        is_late = num_rounds > num_late
        entering = (excess < -_TOLERANCE).argmax(axis=1) if is_late else excess.argmin(axis=1)
        row = rows[active, entering, :3]
        shares = np.linalg.solve(np.swapaxes(held[:, :, :3], 1, 2), row[:, :, None])[:, :, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(shares > _LEAST_PIVOT, multipliers[active] / shares, np.inf)
        step = ratio.min(axis=1, keepdims=True)
        candidates = np.where(ratio == step, -basis[active] if is_late else shares, -np.inf)
        leaving = candidates.argmax(axis=1)[:, None]
        moved = np.maximum(multipliers[active] - step * shares, 0.0)
        np.put_along_axis(moved, leaving, step, axis=1)
        multipliers[active] = moved
        changed = basis[active]
        np.put_along_axis(changed, leaving, entering[:, None], axis=1)
        basis[active] = changed
    certify((violation <= _ROUNDING).all(), "the largest circle in a face was not found")
    center = vertices[:, 0] + np.einsum("fi,fij->fj", center, axes)
    return center, np.hypot(*axes[:, 1].T) * np.maximum(radius, 0.0)


def _stretched(vertices: Float[np.ndarray, "faces corners 2"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates in which a polygon is about as wide as it is long, since slivers may be of any thinness: two
    orthogonal axes, as long as the polygon and as wide; the width as a fraction of the length; and the vertices, from
    the first one."""
    relative = vertices - vertices[:, :1]
    size = np.abs(relative).max(axis=(1, 2))
    size = np.where(size > 0, size, 1.0)
    relative /= size[:, None, None]
    rows = np.arange(len(vertices))
    along = relative[rows, np.sum(relative**2, axis=2).argmax(axis=1)]
    length = np.hypot(*along.T)
    along = np.where(length[:, None] > 0, along / np.where(length > 0, length, 1.0)[:, None], [1.0, 0.0])
    axes = np.stack([along, np.stack([-along[:, 1], along[:, 0]], axis=1)], axis=1)
    placed = relative @ np.swapaxes(axes, 1, 2)
    width = np.ptp(placed[:, :, 1], axis=1)
    width = np.where(width > 0, width, 1.0)
    placed[:, :, 1] /= width[:, None]
    axes *= size[:, None, None]
    axes[:, 1] *= width[:, None]
    return axes, width, placed


def _constraints(
    vertices: Float[np.ndarray, "faces corners 2"], width: Float[np.ndarray, " faces"]
) -> Float[np.ndarray, "faces rows 4"]:
    """Rows (a, b, -s, c): a circle around (x, y) is on the inner side of a line if its radius, as a fraction of the
    width, is at most (a x + b y + c) / s. The first three are sides of the bounding box, those along it first."""
    along = np.roll(vertices, -1, axis=1) - vertices
    # lines from (x, y) in direction (dx, dy width) have the normal (-dy width, dx)
    length = np.hypot(along[..., 0], along[..., 1] * width[:, None])
    sides = np.stack([-along[..., 1], along[..., 0], -length], axis=2)
    sides = np.where((length > 0)[..., None], sides, [0.0, 1.0, -1.0])
    ones = np.ones(len(vertices))
    box = [
        np.stack(row, axis=1) for row in ([0 * ones, ones, -ones], [0 * ones, -ones, -ones], [ones, 0 * ones, -width])
    ]
    rows = np.concatenate([np.stack(box, axis=1), sides], axis=1)
    rows /= np.abs(rows[:, :, :2]).max(axis=2, keepdims=True)
    inner = np.min(rows[:, :, :2] @ np.swapaxes(vertices, 1, 2), axis=2)
    return np.concatenate([rows, -inner[..., None]], axis=2)
