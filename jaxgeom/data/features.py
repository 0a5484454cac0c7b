"""Features of points, as networks may have them in place of coordinates: squares, products and sines, by names."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from jaxgeom.data.arguments import require, size
from jaxgeom.host.inputs import as_array
from jaxgeom.host.names import check_name


def feature_names(dim: int = 2) -> tuple[str, ...]:
    """Names of all features of points with ``dim`` coordinates that :func:`features_of` computes.

    Coordinates, their squares, products of two, and sines. Raises unless ``dim`` is an integer from 1 up.

    Example:
        >>> import jaxgeom as jg
        >>> jg.datasets.feature_names(2)
        ('x1', 'x2', 'x1^2', 'x2^2', 'x1*x2', 'sin(x1)', 'sin(x2)')
    """
    return tuple(_functions(size("dim", dim)))


def features_of(
    x: Num[Array | np.ndarray, "*points coordinates"], names: Sequence[str]
) -> Float[Array, "*points features"]:
    """Features of points, by their names, such as ``("x1", "x2", "x1^2", "x1*x2", "sin(x1)")``.

    A network of these inputs, ``mlp((5, 8, 1))`` say, is one whose first layer sees more than the plane;
    :func:`jaxgeom.explore` shows it over the plane. Pure, differentiable, and part of any program; names are known
    before tracing.

    Args:
        x: points, their coordinates along the last axis; integers become float32.
        names: of features, in the order of the columns, out of :func:`feature_names` of so many coordinates.

    Raises:
        TypeError: for names that are no sequence of names.
        ValueError: for a name that is not known for so many coordinates, no names, or an array without an axis.

    Example:
        >>> import jaxgeom as jg
        >>> jg.datasets.features_of([[2.0, 3.0], [-1.0, 5.0]], ("x1", "x1^2", "x1*x2")).tolist()
        [[2.0, 4.0, 6.0], [-1.0, 1.0, -5.0]]
    """
    is_sequence = isinstance(names, Sequence) and not isinstance(names, str)
    require(is_sequence, "names", names, 'tuples of names, as in ("x1", "x1^2")', error=TypeError)
    require(len(names) > 0, "names", names, "one name or more", "Coordinates alone are x1, x2, ….")
    points = jnp.asarray(as_array("x", x))
    require(points.ndim > 0, "shape of x", points.shape, "(points, coordinates)")
    if not jnp.issubdtype(points.dtype, jnp.floating):
        points = points.astype(jnp.float32)
    dim = points.shape[-1]
    known = _functions(size("number of coordinates of x", dim))
    for name in names:
        check_name(f"a feature of points with {dim} coordinate{'s' if dim > 1 else ''}", name, known)
    return jnp.stack([known[name](points) for name in names], axis=-1)


def _functions(dim: int) -> dict[str, Callable[[Array], Array]]:
    """All features of points with so many coordinates."""
    axes = range(dim)
    coordinates = {f"x{i + 1}": partial(_product, (i,)) for i in axes}
    squares = {f"x{i + 1}^2": partial(_product, (i, i)) for i in axes}
    products = {f"x{i + 1}*x{j + 1}": partial(_product, (i, j)) for i, j in combinations(axes, 2)}
    sines = {f"sin(x{i + 1})": partial(_sine, i) for i in axes}
    return {**coordinates, **squares, **products, **sines}


def _product(axes: tuple[int, ...], x: Array) -> Array:
    return math.prod((x[..., axis] for axis in axes[1:]), start=x[..., axes[0]])


def _sine(axis: int, x: Array) -> Array:
    return jnp.sin(x[..., axis])
