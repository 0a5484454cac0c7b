"""Random keys of both styles, and arrays of any library, as what JAX works with; or an error that names the remedy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray

from jaxgeom.host.forks import check_not_forked
from jaxgeom.host.given import check_one_array


def as_key(key: Any) -> PRNGKeyArray:
    """One random key of the new style, from one of either style.

    Raises:
        TypeError: for what is no key.
        ValueError: for several keys.
        RuntimeError: in a process that was forked while JAX was running.
    """
    check_not_forked()
    found = _typed(key, "a random key such as jax.random.key(0) is needed")
    if found.ndim:
        raise ValueError(
            f"one random key is needed, but {found.shape[0]} were given, shape {found.shape}. Map with jax.vmap, or "
            "use fit_population to train one network for each."
        )
    return found


def as_keys(keys: Any) -> Key[Array, " networks"]:
    """Keys of a population (networks,) of the new style, from keys of either style.

    Raises:
        TypeError: for what are no keys.
        ValueError: for a single key, none, or a grid of them.
        RuntimeError: in a process that was forked while JAX was running.
    """
    check_not_forked()
    needed = (
        "a population needs a one-dimensional array of at least one random key, such as "
        "jax.random.split(jax.random.key(0), 1000)"
    )
    found = _typed(keys, needed)
    if found.ndim != 1 or found.shape[0] == 0:
        raise ValueError(f"{needed}, but {found.dtype} of shape {found.shape} was given.")
    return found


def _typed(keys: Any, needed: str) -> Array:
    if isinstance(keys, list | tuple) and keys:
        return jnp.stack([_typed(key, needed) for key in keys])
    dtype, shape = getattr(keys, "dtype", None), getattr(keys, "shape", None)
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
        new_style: Array = keys
        return new_style
    if dtype == np.uint32 and shape:
        try:
            old_style: Array = jax.random.wrap_key_data(jnp.asarray(keys))
            return old_style
        except (TypeError, ValueError):
            pass
    given = repr(keys) if dtype is None else f"{dtype} of shape {shape}"
    raise TypeError(f"{needed}, but {given} was given.")


def as_array(name: str, values: Any) -> Array | np.ndarray:
    """An array that JAX takes: lists, NumPy arrays in either byte order and tensors of PyTorch are converted.

    Arrays of JAX, traced or not, are returned as they are, and others as arrays of NumPy with their dtype.

    Args:
        name: of the argument, for the message.
        values: bool, integers or real floats.

    Raises:
        TypeError: for what has no numbers, or complex ones.
        ValueError: for nested lists of different lengths.
    """
    if hasattr(values, "detach") and hasattr(values, "cpu"):  # PyTorch, on whatever device and with gradients
        values = values.detach().cpu().numpy()
    check_one_array(values, name)
    if not isinstance(values, jax.Array):
        try:
            values = np.asarray(values)
        except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError):
            values = jnp.asarray(values)  # a list with traced numbers
        except ValueError as error:
            raise ValueError(f"{name} must be an array with rows of one length, but it is not: {error}") from error
    dtype = values.dtype
    if (
        not jnp.issubdtype(dtype, jnp.bool_)
        and not jnp.issubdtype(dtype, jnp.integer)
        and not jnp.issubdtype(dtype, jnp.floating)
    ):
        raise TypeError(
            f"{name} must be an array of bool, integers or real floats, but it is {dtype}. Convert it with "
            "np.asarray(values, np.float32)."
        )
    if isinstance(values, np.ndarray) and not dtype.isnative:
        values = values.astype(dtype.newbyteorder("="))
    array: Array | np.ndarray = values
    return array
