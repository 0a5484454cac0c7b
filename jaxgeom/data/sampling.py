"""Points in simple shapes: grids of a line; in the plane circles, disks, disks without holes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from jaxgeom._typing import RandomKey
from jaxgeom.data.arguments import check_limits, require

UNPLACED = math.nan  # coordinates of points for which traced radii leave no room
MAX_REJECTION_ROUNDS = 100  # radii that pass the checks leave a point unplaced with probability below 1e-55


def uniform(key: RandomKey, shape: tuple[int, ...]) -> Array:
    """Uniform in [0, 1), float32."""
    return jax.random.uniform(key, shape, jnp.float32)


def polar(radius: Array, angle: Array) -> Array:
    """Points of the plane, their coordinates on the last axis."""
    return radius[..., None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)


def unit_circle(num_points: int) -> Float32[Array, "points 2"]:
    """Points evenly on the unit circle, the first at angle 0."""
    angle = 2 * np.pi * np.arange(num_points) / max(num_points, 1)
    return jnp.asarray(np.stack([np.cos(angle), np.sin(angle)], axis=-1), jnp.float32)


def uniform_in_disk(key: RandomKey, num_points: int, radius: Array) -> Float32[Array, "points 2"]:
    """Points uniform by area in a disk around the origin."""
    area, turn = uniform(key, (2, num_points))
    return polar(radius * jnp.sqrt(area), 2 * math.pi * turn)


def uniform_outside_holes(
    key: RandomKey, num_points: int, radius: Array, centers: Float32[Array, "holes 2"], hole_radius: Array
) -> Float32[Array, "points 2"]:
    """Points uniform in a disk without holes, each by rejection on its own; a placed point stays."""

    def is_unfinished(state: tuple[Array, Array, Array]) -> Array:
        return (state[0] < MAX_REJECTION_ROUNDS) & ~jnp.all(state[2])

    def propose(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        round_number, points, is_placed = state
        proposal = uniform_in_disk(jax.random.fold_in(key, round_number), num_points, radius)
        squared_distance = jnp.sum((proposal[:, None] - centers) ** 2, axis=-1)
        is_free = jnp.all(squared_distance > hole_radius**2, axis=-1)
        points = jnp.where((is_free & ~is_placed)[:, None], proposal, points)
        return round_number + 1, points, is_placed | is_free

    start = (jnp.int32(0), jnp.zeros((num_points, 2), jnp.float32), jnp.zeros(num_points, bool))
    _, points, is_placed = jax.lax.while_loop(is_unfinished, propose, start)
    return jnp.where(is_placed[:, None], points, UNPLACED)


def half_open(low: float, high: float, step: float) -> np.ndarray:
    """Float64 grid; a last value within a millionth of a step of ``high`` is rounding and left out."""
    check_limits(low, high)
    require(0 < step < math.inf, "step", step, "finite numbers above 0")
    return low + step * np.arange(math.ceil(max((high - low) / step - 1e-6, 0.5)))
