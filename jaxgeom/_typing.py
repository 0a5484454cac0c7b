"""Types that several rooms share, and names of small numbers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias, dataclass_transform

import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray, UInt32

PyTree: TypeAlias = Any
"""Any nest of dicts, tuples and named tuples with arrays at its leaves."""

Params: TypeAlias = Any
"""The parameters of one network; of a population, when every leaf has a leading axis."""

RandomKey: TypeAlias = PRNGKeyArray
"""A key from ``jax.random.key(seed)``, or of the old style. It comes first among the arguments and is used up by the
call."""

Keys: TypeAlias = Key[Array, " networks"] | UInt32[Array | np.ndarray, "networks words"]
"""One random key for each network of a population, of the new style or of the old one."""

Apply: TypeAlias = Callable[[Params, Array], Array]
"""``apply(params, x)`` maps a batch ``(points, in)`` to outputs ``(points, out)``."""

MATRIX = 2
"""Axes of an array of points (points, dim), or of a kernel (in, out)."""

PLANE, SPACE = 2, 3
"""Dimensions of domains that can be drawn."""

PAIR = 2
"""Length of what has two members, such as a vertex (x, y), the ends of an edge or (low, high)."""

if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True)
    class Record:
        """A named tuple that is also indexed by names. Type checkers allow only integers in the brackets of tuples, so
        that to them it is a class with fields."""

        _fields: tuple[str, ...]

        def _replace(self, **changes: Any) -> Self: ...

        def _asdict(self) -> dict[str, Any]: ...
else:
    Record = NamedTuple
