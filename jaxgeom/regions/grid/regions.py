"""Linear regions seen from a dense grid of points.

At every point the activation pattern of a piecewise linear network gives its affine map, gradient and intercept.
Patterns are made distinct first, the maps are computed at one representative point per pattern, and distinct maps are
counted by the rule of the XOR study: a map is new iff none kept before it, in the order of the points, lies
within ``atol``. Any other function is linearised at every point by batched Jacobians.

A grid misses the regions that lie between its points, and counts separate regions with one map once. The exact
number is :func:`jaxgeom.count_regions`.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, UInt32

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX
from jaxgeom.host.given import as_array, as_float64, check_finite_points, check_positive, float64_of
from jaxgeom.networks.affine import activation_words, affine_maps, affine_maps_of_patterns, num_words
from jaxgeom.networks.layers import Layers, check_finite, check_layers
from jaxgeom.regions.grid.distinct_maps import first_kept
from jaxgeom.regions.grid.distinct_patterns import first_occurrence

NO_POINT = -1
"""Padding of ``representative``, and of ``cell_of_point`` where capacity ran out."""

_SMALLEST_ATOL = 1e-150  # whose square is a normal number


@readable
class GridRegions(NamedTuple):
    """Patterns and maps of one network seen from a grid. A *cell* is a set of points with one pattern.

    Cells are in the order of their first points and padded to the capacity; ``valid`` marks the true ones.
    """

    num_patterns: Int32[Array, ""]
    """Distinct activation patterns over the points, exact even on overflow. For a function that is not given by
    layers each point is a cell of its own, and this is the number of points."""
    num_maps: Int32[Array, ""]
    """Distinct affine maps over the points; on overflow, those among the cells that found room."""
    cell_of_point: Int32[Array, " points"]
    """The cell each point belongs to, or -1 if that cell found no room."""
    representative: Int32[Array, " capacity"]
    """The first point of each cell, -1 in padding."""
    patterns: UInt32[Array, "capacity words"]
    """Packed activation pattern of each cell (see :func:`jaxgeom.unpack_patterns`), zero in padding."""
    gradient: Float[Array, "capacity out in"]
    """Gradient of the affine map in each cell (float64), zero in padding."""
    intercept: Float[Array, "capacity out"]
    """Intercept of the affine map in each cell (float64), zero in padding."""
    is_new_map: Bool[Array, " capacity"]
    """Cells whose map was kept as distinct."""
    valid: Bool[Array, " capacity"]
    """True cells."""
    count: Int32[Array, ""]  # type: ignore[assignment]  # the name of a method of tuples
    """Number of true cells."""
    overflow: Bool[Array, ""]
    """Whether there were more patterns than capacity. It cannot happen at the default capacity."""


def grid_regions(
    layers_or_apply: Layers | Callable[[Array], Array],
    points: Float[Array | np.ndarray, "points in"],
    atol: float | Array = 1e-3,
    *,
    capacity: int | None = None,
) -> GridRegions:
    """Distinct activation patterns and affine maps of one network over many points, and their numbers.

    ``num_maps`` equals the sequential rule "keep a map iff no kept one is within ``atol``", over all points in
    their order, exactly. Signs and maps are evaluated in float64 whatever the x64 setting: float32 leaves
    the sign of units to rounding whose line runs through grid points, as lines of trained networks do, so that
    float32 counts of such networks are partly noise.

    Works under ``jit`` and ``vmap`` with static shapes, also where x64 is disabled. For populations on the host
    :func:`jaxgeom.count_grid_regions` is faster, since it sizes the capacity from the data.

    Args:
        layers_or_apply: one network as a tuple of :class:`jaxgeom.Dense`, with any number of inputs and
            outputs; or any differentiable function from a batch (points, in) to (points, out).
        points: where to look, for instance :func:`jaxgeom.grid_points`.
        atol: tolerance on the Euclidean distance between maps (gradient and intercept of all outputs).
        capacity: how many cells to keep; default and maximum is the number of points, which never overflows.

    Raises:
        ValueError: for points of the wrong dimension, no points, a capacity or tolerance that is not positive,
            or NaN in the weights (naming the layer).
        TypeError: if the first argument is neither layers nor a function.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> found = jg.grid_regions(network, jg.grid_points(jg.box(-1, 1), 10), capacity=8)
        >>> int(found.num_maps), int(found.count), bool(found.overflow)
        (4, 4, False)
    """
    with jax.enable_x64(True):
        points = checked_points(points, atol)
    shape = np.shape(points)
    if capacity is not None:
        check_positive("capacity", capacity, "Leave it out for no limit.")
    capacity = shape[0] if capacity is None else min(capacity, shape[0])
    with jax.enable_x64(True):
        if callable(layers_or_apply):
            points = jnp.asarray(points)
            outputs = jax.eval_shape(layers_or_apply, points)
            if getattr(outputs, "ndim", 0) != MATRIX or outputs.shape[0] != shape[0]:
                raise ValueError(f"the function must map {shape} to ({shape[0]}, out), but gives {outputs}.")
            found: GridRegions = _regions_of_function(layers_or_apply, points, atol, capacity=capacity)
            return found
        layers = check_layers(layers_or_apply, dim=shape[1])
        if np.ndim(layers[0].bias) != 1:
            raise ValueError(
                f"grid_regions takes one network, but the layers have leading axes {np.shape(layers[0].bias)[:-1]}. "
                "Use jax.vmap, or count_grid_regions for a population."
            )
        check_finite(layers)
        found = _regions_of_layers(*jax.tree.map(as_float64, (layers, points)), atol, capacity=capacity)
        return found


def checked_points(points: Array | np.ndarray, atol: float | Array) -> Array | np.ndarray:
    """The points in float64, or an error if they or the tolerance make no sense; where x64 is enabled."""
    points = float64_of(points, "points")
    shape = np.shape(points)
    if len(shape) != MATRIX or shape[0] == 0:
        raise ValueError(f"points must have shape (points, in) with at least one point, but {shape} was given.")
    check_finite_points(points)
    given = as_array(atol, "atol")
    is_known = not isinstance(given, jax.core.Tracer)
    if np.shape(given) != () or (is_known and not _SMALLEST_ATOL <= float(given) < float("inf")):
        raise ValueError(
            f"atol must be positive, one number of at least {_SMALLEST_ATOL} and finite, but {atol} was given."
        )
    return points


@partial(jax.jit, static_argnames="capacity")
def _regions_of_layers(
    layers: Layers, points: Float[Array, "points in"], atol: float | Array, *, capacity: int
) -> GridRegions:
    words = activation_words(layers, points)
    first = first_occurrence(words)
    num_points = points.shape[0]
    is_first = first == jnp.arange(num_points)
    rank = jnp.cumsum(is_first, dtype=jnp.int32) - 1
    num_patterns = rank[-1] + 1
    cell_of_point = rank[first]
    cell_of_point = jnp.where(cell_of_point < capacity, cell_of_point, NO_POINT)
    representative = jnp.full(capacity, NO_POINT, jnp.int32)
    slot = jnp.where(is_first, rank, capacity)
    representative = representative.at[slot].set(jnp.arange(num_points, dtype=jnp.int32), mode="drop")
    count = jnp.minimum(num_patterns, capacity)
    valid = jnp.arange(capacity) < count
    patterns = jnp.where(valid, words[:, jnp.maximum(representative, 0)], 0)
    maps = jax.tree.map(
        lambda array: jnp.where(valid.reshape(-1, *[1] * (array.ndim - 1)), array, 0),
        affine_maps_of_patterns(layers, patterns),
    )
    is_new_map = first_kept(flat_maps(*maps), valid, atol)
    return GridRegions(
        num_patterns=num_patterns,
        num_maps=jnp.sum(is_new_map, dtype=jnp.int32),
        cell_of_point=cell_of_point,
        representative=representative,
        patterns=patterns.T,
        gradient=maps.gradient,
        intercept=maps.intercept,
        is_new_map=is_new_map,
        valid=valid,
        count=count,
        overflow=num_patterns > capacity,
    )


@partial(jax.jit, static_argnames=("apply", "capacity"))
def _regions_of_function(
    apply: Callable[[Array], Array], points: Float[Array, "points in"], atol: float | Array, *, capacity: int
) -> GridRegions:
    num_points = points.shape[0]
    maps = jax.tree.map(lambda array: array[:capacity].astype(jnp.float64), affine_maps(apply, points))
    valid = jnp.ones(capacity, bool)
    is_new_map = first_kept(flat_maps(*maps), valid, atol)
    index = jnp.arange(num_points, dtype=jnp.int32)
    return GridRegions(
        num_patterns=jnp.int32(num_points),
        num_maps=jnp.sum(is_new_map, dtype=jnp.int32),
        cell_of_point=jnp.where(index < capacity, index, NO_POINT),
        representative=index[:capacity],
        patterns=jnp.zeros((capacity, num_words([])), jnp.uint32),
        gradient=maps.gradient,
        intercept=maps.intercept,
        is_new_map=is_new_map,
        valid=valid,
        count=jnp.int32(capacity),
        overflow=jnp.asarray(num_points > capacity),
    )


def flat_maps(gradient: Float[Array, "cells out in"], intercept: Float[Array, "cells out"]) -> Array:
    """Affine maps as rows of numbers, (cells, out * (in + 1)): the gradients of all outputs, then the intercepts."""
    return jnp.concatenate([gradient.reshape(gradient.shape[0], -1), intercept], axis=1)
