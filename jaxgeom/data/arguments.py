"""Arguments of data sets, checked: sizes, numbers that may be traced, limits and radii."""

import math
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from jaxgeom._typing import PAIR


def require(ok: bool, name: str, value: Any, allowed: str, fix: str = "", error: type = ValueError) -> None:
    if not ok:
        raise error(f"{name} is {value!r}; allowed: {allowed}. {fix}".rstrip())


def size(name: str, value: Any, minimum: int = 1, fix: str = "") -> int:
    is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    static = "Sizes are Python integers; under jit bind them with functools.partial."
    require(is_integer, name, value, f"integers from {minimum} up", static, TypeError)
    require(value >= minimum, name, value, f"integers from {minimum} up", fix)
    return int(value)


def check_limits(low: float, high: float) -> None:
    ok = -math.inf < low < high < math.inf
    require(ok, "(low, high)", (low, high), "finite numbers, low < high", "Swap or widen them.")


def scalar(name: str, value: Any, *, is_zero_allowed: bool = False) -> Float32[Array, ""]:
    ok = value.shape == () if isinstance(value, jax.Array) else isinstance(value, Real)
    require(ok, name, value, "numbers and array scalars", "Map with jax.vmap.", TypeError)
    ok = 0 < known(value, 1.0) < math.inf or (is_zero_allowed and known(value, 1.0) == 0)
    require(ok, name, value, f"finite numbers {'from 0 up' if is_zero_allowed else 'above 0'}")
    return jnp.asarray(value, jnp.float32)


def known(value: Any, otherwise: float) -> float:
    """``otherwise`` takes the place of arrays, whose values may be traced."""
    return otherwise if isinstance(value, jax.Array) else value


def radius_range(name: str, value: Any) -> tuple[Array, Array]:
    is_pair = isinstance(value, tuple) and len(value) == PAIR
    require(is_pair, name, value, "pairs of radii, as in (0.2, 1.0)", error=TypeError)
    low, high = (scalar(f"{name}[{i}]", value[i], is_zero_allowed=True) for i in range(2))
    return low, high


def disk_radii(num_on_circle: int, radius: Any, hole: Any, positive: Any) -> tuple[Array, Array, Array]:
    scalars = scalar("radius", radius), scalar("hole_radius", hole), scalar("positive_radius", positive)
    limit = known(radius, math.inf) * (1 + 1e-9) / 6  # forgives rounding, as in 0.3 / 6 < 0.05
    allowed = f"up to radius / 6 = {limit:.6g}"
    require(known(hole, 0.0) <= limit, "hole_radius", hole, allowed, "Use smaller holes or a larger disk.")
    touching = 3 * limit * math.sin(math.pi / max(num_on_circle, 2))
    allowed = f"below {touching:.6g}, where {num_on_circle} holes on a circle touch"
    require(known(hole, 0.0) < touching, "hole_radius", hole, allowed, "Use fewer or smaller holes.")
    ok = known(positive, 0.0) <= known(hole, math.inf) * (1 + 1e-9)
    require(ok, "positive_radius", positive, f"up to hole_radius = {hole}", "Class 1 must lie in the holes.")
    return scalars
