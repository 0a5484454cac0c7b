"""Values that are computed once and kept, where XLA's CPU compiler would compute them anew in each of their consumers.

The compiler fuses cheap elementwise operations into whatever uses them, sums of a hundred products included, and drops
``lax.optimization_barrier`` before it does so. What is to be computed once is therefore put into a branch of a
conditional on something that always holds but that the compiler cannot know: that training goes on. Once all networks
have stopped, the same conditionals skip the work. Accelerators need no such fence.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool

from jaxgeom._typing import PyTree
from jaxgeom.training.traced import evaluated

Once: TypeAlias = Callable[..., Any]
"""``once(function, *arrays)`` is ``function(*arrays)``, computed once and kept for all who need it."""


def once_while(is_training: Bool[Array, ""]) -> Once:
    """How to compute something once, while ``is_training``; afterwards the results are zeros."""
    if jax.default_backend() != "cpu":
        return lambda function, *arrays: function(*arrays)

    def once(function: Callable, *arrays: PyTree) -> PyTree:
        # Traced here once, for the shapes of its results and for the branch.
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arrays)
        structure = jax.tree.structure(shapes)

        def compute(*given: PyTree) -> PyTree:
            return jax.tree.unflatten(structure, evaluated(closed, closed.consts, jax.tree.leaves(given)))

        zeros = lambda *_: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)  # noqa: E731
        return lax.cond(is_training, compute, zeros, *arrays)

    return once


def chain(terms: Iterable[Array]) -> Array:
    """A sum, written out, which the compiler turns into multiply-adds without a loop."""
    return reduce(jnp.add, terms)
