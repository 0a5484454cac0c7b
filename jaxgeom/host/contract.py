"""Products of matrices that keep float64 wherever they are traced.

``jnp.matmul`` and ``jnp.einsum`` write the type of their result into the program. Where float64 is on for a function
alone, a ``vmap`` around a ``jit``, ``scan``, ``cond`` or ``while_loop`` that holds it rewrites the program outside of
the function, with float64 off, and there that type becomes float32. These products leave it to their arguments.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxgeom.host.precision import full_precision


def times(a: Float[Array | np.ndarray, "*rows in"], b: Float[Array | np.ndarray, "in *columns"]) -> Float[Array, "..."]:
    """``a @ b`` for vectors and matrices: the last axis of one with the first of the other."""
    return contracted(a, b, np.ndim(a) - 1, 0)


def contracted(
    a: Float[Array | np.ndarray, "..."],
    b: Float[Array | np.ndarray, "..."],
    axis_a: int,
    axis_b: int,
    *,
    by_row: bool = False,
) -> Float[Array, "..."]:
    """Sums of products along one axis of each; the other axes of ``a`` come first, then those of ``b``.

    Args:
        a: an array of any dimension.
        b: another one.
        axis_a: the axis of ``a`` that is summed over.
        axis_b: the axis of ``b``, of the same length.
        by_row: the first axes of both are the same, and remain one.
    """
    dtype = jnp.result_type(a, b)
    a, b = (jnp.asarray(array).astype(dtype) for array in (a, b))
    rows = ((0,), (0,)) if by_row else ((), ())
    with full_precision():
        return lax.dot_general(a, b, (((axis_a,), (axis_b,)), rows))
