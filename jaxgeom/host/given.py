"""[host] Numbers as callers give them, in arrays of real numbers, or an error that says what to do.

Lists, NumPy arrays of any byte order and precision, PyTorch tensors, fractions and Python integers are welcome as long
as float64 holds each of their numbers: geometry that is exact must not begin with rounding.
"""

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxgeom._typing import MATRIX

FLOAT64_BYTES = 8
"""Size of a float64. Wider numbers, and integers as wide, may not fit into one."""

_MOST = 2**53
"""All smaller integers are float64 numbers."""

_PLAIN = np.dtype(np.float32), np.dtype(np.float64)


def is_positive(value: Any) -> bool:
    """Whether the value is an integer of at least 1. Truth values, and floats like 3.0, are none."""
    try:
        return not isinstance(value, bool | np.bool_) and operator.index(value) >= 1
    except TypeError:
        return False


def check_positive(name: str, value: Any, remedy: str = "") -> None:
    """Raise a ValueError unless the value is an integer of at least 1. Truth values, and floats like 3.0, are none."""
    if not is_positive(value):
        raise ValueError(f"{name} must be a positive integer, but {value!r} was given.{' ' * bool(remedy)}{remedy}")


def check_numbers(**values: Any) -> None:
    """Raise a TypeError unless all values are numbers: text that looks like one, lists and None are none."""
    for name, value in values.items():
        if not hasattr(value, "__float__"):
            raise TypeError(f"{name} must be a number, but {value!r} was given.")


def check_flags(**values: Any) -> None:
    """Raise a TypeError unless all values are True or False: words like "no", and arrays, have truth values, too."""
    for name, value in values.items():
        if not isinstance(value, bool | np.bool_):
            raise TypeError(f"{name} must be True or False, but {value!r} was given.")


def check_progress(progress: Any) -> None:
    """Raise a TypeError unless it is True, False or a title: numbers, None and lists have truth values, too."""
    if not isinstance(progress, bool | np.bool_ | str):
        raise TypeError(f"progress must be True, False or a string, the title of the bar, but {progress!r} was given.")


def where_layers_are(given: Any, remedy: str = "") -> str:
    """What to give in place of something that has a network's layers but is not them: a sentence after a space."""
    kind = type(given).__name__
    article = "An" if kind[0] in "AEIOU" else "A"
    if hasattr(given, "_fields") and "kernel" in given._fields:
        return " This is one layer; a network of it alone is (layer,)."
    if getattr(given, "_fields", ())[:2] == ("init", "apply"):
        return (
            f" {article} {kind} holds no parameters: params = model.init(key) are some, and jaxgeom.layers_of(params) "
            "their layers."
        )
    if "layers" in getattr(given, "_fields", ()):
        return f" {article} {kind} has them: give its .layers."
    if "params" in getattr(given, "_fields", ()):
        return f" {article} {kind} has parameters: give jaxgeom.layers_of(….params)."
    if hasattr(given, "named_parameters") and hasattr(given, "state_dict"):
        return " Of a PyTorch module, they are jaxgeom.from_torch(module, example).layers."
    return f" {remedy}" if remedy else ""


def is_plain(value: Any) -> bool:
    """Whether the value is what most are, a NumPy array of float32 or float64, which is right whatever its numbers."""
    return type(value) is np.ndarray and value.dtype in _PLAIN


def check_one_array(value: Any, what: str) -> None:
    """Raises TypeError for a named tuple: NumPy would stack the ends of a box, say, as two points."""
    fields = getattr(value, "_fields", None)
    if isinstance(value, tuple) and fields:
        remedy = ", or jaxgeom.grid_points(domain) for points in a box" if fields == ("low", "high") else ""
        raise TypeError(
            f"{what} must be one array, but a {type(value).__name__} was given, which has the fields "
            f"{', '.join(fields)}. Give one of these{remedy}."
        )


def as_array(value: Any, what: str) -> Array | np.ndarray:
    """The value as an array of real numbers: JAX arrays and tracers as they are, everything else as NumPy.

    Args:
        value: an array, tensor or nest of lists.
        what: its name in messages, such as "the points".

    Raises:
        TypeError: for truth values, complex numbers, text, traced 64-bit integers, and what is no array.
        ValueError: for ragged lists, masked values, and numbers that float64 would round.
    """
    if is_plain(value):
        plain: np.ndarray = value
        return plain
    if isinstance(value, jax.core.Tracer):
        _check_type(value.dtype, what)
        if jnp.issubdtype(value.dtype, np.integer) and value.dtype.itemsize == FLOAT64_BYTES:
            raise TypeError(
                f"{what} must be floating-point numbers under jit, but {value.dtype} was given, which float64 may "
                "round. Convert them before: .astype(float)."
            )
        return value
    if isinstance(value, jax.Array):
        if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            raise TypeError(f"{what} must be real numbers, but random keys were given.")
        if value.dtype in (jnp.float32, jnp.float64):
            return value
        array = np.asarray(value)
        exact = _exact(array, what)
        return value if exact is array else exact
    if callable(getattr(value, "detach", None)) and callable(getattr(value, "cpu", None)):  # a tensor of PyTorch's
        value = value.detach().cpu()
        value = (value.float() if "bfloat16" in str(value.dtype) else value).numpy()
    check_one_array(value, what)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{what} must be numbers, but some are masked. Leave these out, or fill them.")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{what} must be an array of numbers, with rows of one length, but got: {error}") from error
    if isinstance(value, list | tuple) and array.dtype == np.float64 and (np.abs(array) >= _MOST).any():
        array = np.asarray(value, object)  # NumPy rounds integers that come with other numbers
    return _exact(array, what)


def known(value: Any, what: str) -> Any:
    """The value, if no part of it is traced.

    Raises:
        TypeError: if some is, which says what to do.
    """
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
        raise TypeError(
            f"{what} must be known before tracing, but a traced array was given. Make the domain outside of the "
            "program (for jit, an argument named in static_argnames), or keep it and transform the first layer."
        )
    return value


def as_float64(value: Array | np.ndarray) -> Array | np.ndarray:
    """The array in float64; to be called where x64 is enabled. Values at hand go through NumPy, which keeps
    subnormal numbers."""
    if isinstance(value, jax.core.Tracer):
        return value.astype(jnp.float64)
    return np.asarray(value).astype(np.float64)


def float64_of(value: Any, what: str) -> Array | np.ndarray:
    """:func:`as_array` in float64; to be called where x64 is enabled, if the value may be traced."""
    return as_float64(as_array(value, what))


def points_of(points: Any, dim: int | None = None, what: str = "points") -> Float[Array | np.ndarray, "points in"]:
    """Points (points, in) in float64, finite as far as that is known.

    Args:
        points: any number of them.
        dim: of the space that they must lie in; None for any.
        what: their name in messages.

    Raises:
        TypeError: as :func:`as_array`.
        ValueError: for another shape, numbers that float64 would round, NaN and infinity.
    """
    array = float64_of(points, what)
    shape = np.shape(array)
    if len(shape) != MATRIX or (dim is not None and shape[1] != dim):
        raise ValueError(
            f"{what} must have shape (points, {'in' if dim is None else dim}), but {shape} was given. "
            "A single point is one row: points[None]."
        )
    check_finite_points(array, what)
    return array


def check_finite_points(array: Array | np.ndarray, what: str = "points") -> None:
    """Raise a ValueError if there are NaN or infinite coordinates; those of tracers are not known."""
    if not isinstance(array, jax.core.Tracer) and not np.isfinite(np.asarray(array)).all():
        raise ValueError(f"{what} must be finite, but some coordinates are NaN or infinite. Leave these out.")


def _check_type(dtype: Any, what: str) -> None:
    if not (jnp.issubdtype(dtype, np.floating) or jnp.issubdtype(dtype, np.integer)):
        remedy = "Take .astype(float) if 0 and 1 are meant" if str(dtype) == "bool" else "Convert them to real numbers"
        raise TypeError(f"{what} must be real numbers, but {dtype} was given. {remedy}.")


def _exact(array: np.ndarray, what: str) -> np.ndarray:
    """The same numbers in a type that float64 holds, in the byte order of the machine."""
    if array.dtype == object:
        return _of_objects(array, what)
    _check_type(array.dtype, what)
    if array.dtype.kind not in "fiu":  # such as bfloat16
        return array.astype(np.float32 if jnp.issubdtype(array.dtype, np.floating) else np.int64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind in "iu" and array.dtype.itemsize == FLOAT64_BYTES:
        is_large = (array > _MOST) | (array < -_MOST) if array.dtype.kind == "i" else array > _MOST
        for number in array[is_large].tolist():
            _check_exact(number, what, array.dtype)
    elif array.dtype.itemsize > FLOAT64_BYTES:
        with np.errstate(over="ignore"):
            short = array.astype(np.float64)
        is_same = (short == array) | (np.isnan(short) & np.isnan(array))
        if not is_same.all():
            _refuse(array[~is_same].flat[0], what, array.dtype)
        return short
    return array


def _of_objects(array: np.ndarray, what: str) -> np.ndarray:
    """Python's integers, fractions and the like."""
    for number in array.flat:
        if isinstance(number, bool | np.bool | str | bytes | complex) or not hasattr(number, "__float__"):
            raise TypeError(
                f"{what} must be real numbers, but {type(number).__name__} was given. Convert them to float first."
            )
        _check_exact(number, what, type(number).__name__)
    return array.astype(np.float64)


def _check_exact(number: Any, what: str, kind: Any) -> None:
    try:
        nearest = float(number)
    except OverflowError:
        _refuse(number, what, kind)
    if nearest != number and nearest == nearest:
        _refuse(number, what, kind)


def _refuse(number: Any, what: str, kind: Any) -> None:
    raise ValueError(
        f"{what} must be numbers that float64 holds, but one of them is {number} ({kind}), which it would round. "
        "Scale or round them first: np.asarray(numbers, np.float64) takes the nearest."
    )
