"""Points without labels: grids in any dimension, and a Gaussian cloud."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from jaxgeom._typing import RandomKey
from jaxgeom.data.arguments import check_limits, size
from jaxgeom.data.sampling import half_open
from jaxgeom.host.inputs import as_key


def mesh_grid(*, low: float = -5.0, high: float = 5.0, step: float = 0.1, dim: int = 2) -> Float32[Array, "points dim"]:
    """A grid without labels: ``low, low + step, ...`` below ``high`` on each axis, first coordinate slowest.

    The defaults give exactly 100 values an axis, 10,000 points; computed in float64 and rounded once.
    Raises unless ``low < high`` and ``step > 0``, all finite, and ``dim`` is an integer from 1 up.
    Source: the space-stretching demonstration, which follows points through the layers of a network.

    Example:
        >>> import jaxgeom as jg
        >>> jg.mesh_grid(low=0, high=1, step=0.5).tolist()
        [[0.0, 0.0], [0.0, 0.5], [0.5, 0.0], [0.5, 0.5]]
    """
    axes = [half_open(low, high, step)] * size("dim", dim)
    return jnp.asarray(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, dim), jnp.float32)


def line_grid(*, low: float = -1.0, high: float = 1.0, num_points: int = 50) -> Float32[Array, "points 1"]:
    """A column of evenly spaced points without labels, from ``low`` to ``high``, both included.

    Raises unless ``low < high``, both finite, and ``num_points >= 2``. Source: the space-stretching demonstration.

    Example:
        >>> import jaxgeom as jg
        >>> jg.datasets.line_grid(num_points=5)[:, 0].tolist()
        [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    check_limits(low, high)
    num_points = size("num_points", num_points, minimum=2)
    return jnp.asarray(np.linspace(low, high, num_points)[:, None], jnp.float32)


def gaussian_cloud(key: RandomKey, *, num_points: int = 1000, dim: int = 2) -> Float32[Array, "points dim"]:
    """Independent standard normal points without labels.

    Raises unless the sizes are integers from 1 up. Source: the space-stretching demonstration.

    Example:
        >>> import jax, jaxgeom as jg
        >>> jg.gaussian_cloud(jax.random.key(0), num_points=10, dim=3).shape
        (10, 3)
    """
    key = as_key(key)
    return jax.random.normal(key, (size("num_points", num_points), size("dim", dim)), jnp.float32)
