"""[host] Region counts of whole populations: capacities sized from the data, chunks, progress, nothing cut off.

:func:`count_grid_regions` drives the dense grid of :mod:`jaxgeom.regions.grid`; :func:`count_regions` the exact
count of :mod:`jaxgeom.regions.arrangement`, and decides by integer arithmetic what rounding left open.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int64

from jaxgeom._typing import PyTree
from jaxgeom.chunks import check_chunk_size, map_chunks
from jaxgeom.domains import Box, polygon_vertices
from jaxgeom.layers import Dense, Layers, as_float64, check_finite, check_layers, pad_widths
from jaxgeom.regions.arrangement import ArrangementCount, arrangement_count
from jaxgeom.regions.bounds import zaslavsky
from jaxgeom.regions.grid import check_points, grid_regions
from jaxgeom.regions.rational import exact_arrangement_count

NOT_COUNTED = -1
"""Stands in place of a count where a member of a population has NaN or infinite weights."""

_CHUNK_BYTES = 2**26
_FIRST_CAPACITY = 2048


class GridCounts(NamedTuple):
    """What a grid of points sees of each network's regions; shapes are the leading axes of the layers."""

    num_patterns: Int64[np.ndarray, "*networks"]
    """Distinct activation patterns over the points."""
    num_maps: Int64[np.ndarray, "*networks"]
    """Distinct affine maps over the points, by the rule of the XOR study."""


class RegionCounts(NamedTuple):
    """Exact numbers of linear regions; shapes are the leading axes of the layers."""

    count: Int64[np.ndarray, "*networks"]  # type: ignore[assignment]
    """Number of regions, exact for the weights as given; -1 where a member of a population is not finite."""
    degenerate: Bool[np.ndarray, "*networks"]
    """Where the float64 count met a tie (several lines in one point, say) and integer arithmetic decided."""


def count_grid_regions(
    layers: Layers,
    points: Float[Array | np.ndarray, "points in"],
    atol: float = 1e-3,
    *,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> GridCounts:
    """Count the activation patterns and affine maps that many networks show on a grid of points.

    The counts of :func:`jaxgeom.grid_regions` for one network or a population of any size, on the host: never
    truncated, in bounded memory, in float64.

    Args:
        layers: one network, or a population with any leading axes.
        points: where to look, for instance :func:`jaxgeom.grid_points`.
        atol: tolerance on the distance between affine maps.
        chunk_size: networks computed at once; default by memory.
        progress: show a progress bar; a string is its title.

    Raises:
        ValueError: as :func:`jaxgeom.grid_regions`. In a population, members with NaN or infinite weights do not
            raise but get the count -1.
    """
    check_chunk_size(chunk_size)
    check_points(points, atol)
    points = np.asarray(points)
    layers, leading, is_finite = _flattened(check_layers(layers, dim=points.shape[1]))
    num_points = len(points)
    counts = np.full((2, len(is_finite)), NOT_COUNTED, np.int64)
    pending = np.flatnonzero(is_finite)
    capacity = min(num_points, _FIRST_CAPACITY, _most_regions_of_one_layer(layers) or _FIRST_CAPACITY)
    while len(pending):
        units = sum(layer.bias.shape[-1] for layer in layers[:-1])
        bytes_each = num_points * (units // 4 + 64) + capacity * units * 8 * (points.shape[1] + 2)
        size = chunk_size or int(np.clip(_CHUNK_BYTES // bytes_each, 1, 16))
        function = _in_float64(_grid_counts, points=points, atol=atol, capacity=capacity)
        members = jax.tree.map(lambda array, pending=pending: array[pending], layers)
        found, maps = map_chunks(function, members, chunk_size=size, progress=progress)
        is_complete = found <= capacity
        counts[:, pending[is_complete]] = found[is_complete], maps[is_complete]
        pending = pending[~is_complete]
        if len(pending):
            capacity = min(num_points, 1 << int(found.max() - 1).bit_length())
    return GridCounts(*counts.reshape(2, *leading))


def _in_float64(function: Callable[..., PyTree], **constants: Any) -> Callable[[PyTree], PyTree]:
    """The function with x64 enabled around each call, in whichever thread that is."""

    def call(chunk: PyTree) -> PyTree:
        with jax.enable_x64(True):
            return function(chunk, **constants)

    return call


@partial(jax.jit, static_argnames="capacity")
def _grid_counts(layers: Layers, points: Array, atol: float | Array, *, capacity: int) -> tuple[Array, Array]:
    def single(layers: Layers) -> tuple[Array, Array]:
        regions = grid_regions(layers, points, atol, capacity=capacity)
        return regions.num_patterns, regions.num_maps

    return jax.vmap(single)(layers)


def count_regions(
    layers: Layers,
    domain: Box,
    *,
    kind: str = "activation",
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> RegionCounts:
    """Count the linear regions of ReLU networks with one hidden layer on a two-dimensional domain, exactly.

    A region is a full-dimensional cell of the domain's interior with one activation pattern of the hidden units,
    however small; the sign of the output does not cut. The count is that of real arithmetic on the weights as
    they are: float64 with error bounds, and integers where rounding could matter.

    Args:
        layers: one network, or a population with any leading axes; zero units are allowed as padding.
        domain: where to count, for instance :func:`jaxgeom.box`.
        kind: "activation" is the only kind so far.
        chunk_size: networks computed at once; default by memory, which grows with the square of the width.
        progress: show a progress bar; a string is its title.

    Raises:
        ValueError: for more than one hidden layer, inputs that are not two-dimensional, an unknown kind, or NaN or
            infinite weights in a single network. In a population such members get the count -1.
    """
    if kind != "activation":
        raise ValueError(f"kind must be 'activation', but {kind!r} was given.")
    check_chunk_size(chunk_size)
    vertices = polygon_vertices(domain)
    layers, leading, is_finite = _flattened(check_layers(layers, dim=2))
    if len(layers) > 2:
        raise ValueError(
            f"the exact count covers networks with one hidden layer, but this one has {len(layers) - 1}. Use "
            "count_grid_regions, which takes any depth."
        )
    counts = np.where(is_finite, 1, NOT_COUNTED).astype(np.int64)
    degenerate = np.zeros(len(is_finite), bool)
    if len(layers) == 2 and is_finite.any():
        hidden = _scaled(Dense(*(array[is_finite] for array in layers[0])))
        units = hidden.bias.shape[-1]
        size = chunk_size or int(np.clip(_CHUNK_BYTES // (100 * units**2), 1, 64))
        found = map_chunks(_in_float64(_counts, vertices=vertices), hidden, chunk_size=size, progress=progress)
        count = found.count.astype(np.int64)
        for member in np.flatnonzero(found.degenerate):
            count[member] = exact_arrangement_count(Dense(*(array[member] for array in hidden)), vertices)
        counts[is_finite], degenerate[is_finite] = count, found.degenerate
    return RegionCounts(counts.reshape(leading), degenerate.reshape(leading))


@jax.jit
def _counts(hidden: Dense, vertices: Array) -> ArrangementCount:
    return jax.vmap(lambda layer: arrangement_count(layer, vertices))(hidden)


def _flattened(layers: Layers) -> tuple[Layers, tuple[int, ...], Bool[np.ndarray, " networks"]]:
    """The population with one leading axis and rounded widths, as NumPy; its leading axes; who is finite."""
    leading = np.shape(layers[0].bias)[:-1]
    if not leading:
        check_finite(layers)
    num = int(np.prod(leading))
    flat = jax.tree.map(as_float64, layers)
    flat = tuple(Dense(k.reshape(num, *k.shape[-2:]), b.reshape(num, b.shape[-1])) for k, b in flat)
    flat = pad_widths(flat, [_round_width(layer.bias.shape[-1]) for layer in flat[:-1]])
    is_finite = np.ones(len(flat[0].bias), bool)
    for kernel, bias in flat:
        is_finite &= np.isfinite(kernel).all(axis=(1, 2)) & np.isfinite(bias).all(axis=1)
    return flat, leading, is_finite


def _scaled(hidden: Dense) -> Dense:
    """The same lines with coefficients around one: each unit times a power of two, which is exact."""
    largest = np.maximum(np.abs(hidden.kernel).max(axis=1), np.abs(hidden.bias))
    exponent = -np.frexp(largest)[1]
    return Dense(np.ldexp(hidden.kernel, exponent[:, None, :]), np.ldexp(hidden.bias, exponent))


def _round_width(width: int) -> int:
    """Up to the next of 4, 8, …, 32, 48, …, 128, 192, …: so few widths are compiled, and little work is added."""
    step = 4 if width <= 32 else 16 if width <= 128 else 64
    return max(step, -(-width // step) * step)


def _most_regions_of_one_layer(layers: Layers) -> int | None:
    """Zaslavsky's bound on the patterns of one hidden layer; None for deeper networks."""
    if len(layers) > 2:
        return None
    dim, units = layers[0].kernel.shape[-2:]
    return zaslavsky(units, dim) if len(layers) == 2 else 1
