"""Types that several rooms share."""

from collections.abc import Callable
from typing import Any, TypeAlias

from jaxtyping import Array, Key, PRNGKeyArray

PyTree: TypeAlias = Any
"""Any nest of dicts, tuples and named tuples with arrays at its leaves."""

Params: TypeAlias = Any
"""The parameters of one network; of a population, when every leaf has a leading axis."""

RandomKey: TypeAlias = PRNGKeyArray
"""A key from ``jax.random.key(seed)``. It comes first among the arguments and is used up by the call."""

Keys: TypeAlias = Key[Array, " networks"]
"""One random key for each network of a population."""

Apply: TypeAlias = Callable[[Params, Array], Array]
"""``apply(params, x)`` maps a batch ``(points, in)`` to outputs ``(points, out)``."""
