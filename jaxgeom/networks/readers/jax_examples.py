"""[edge] Parameters in float64, and the size of the inputs of a network of vectors."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgeom._typing import MATRIX
from jaxgeom.networks.readers.jax_programs import precisely


def in_double(tree: Any) -> Any:
    """The same tree with real arrays in float64, as NumPy's."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64) if _is_real(leaf) else leaf, tree)


def _is_real(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and hasattr(leaf, "shape") and bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def vector_example(function: Callable[..., Any], tree: Any, what: str, call: str, *, takes_batch: bool) -> np.ndarray:
    """A vector that a network takes, or a batch of one: its size is a length of one of its matrices, the only one that
    fits.

    Args:
        function: the network.
        tree: its parameters.
        what: it is, in messages.
        call: that gives an example.
        takes_batch: whether it takes a batch of points, or one point.

    Raises:
        ValueError: if no size fits, or several do.
    """
    leaves = [leaf for leaf in jax.tree.leaves(tree) if _is_real(leaf)]
    sizes = sorted({length for leaf in leaves if len(leaf.shape) == MATRIX for length in leaf.shape})
    found = []
    with precisely():
        for size in sizes:
            example = np.zeros((1, size) if takes_batch else size)
            try:
                jax.eval_shape(function, example)
            except Exception:  # whatever a network raises for inputs of another size
                continue
            found.append(example)
    if len(found) != 1:
        raise ValueError(f"the shape of the inputs of {what} is not known. Give an example, such as {call}.")
    return found[0]
