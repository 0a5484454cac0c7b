"""[host] What a grid of points sees of the regions of whole populations: capacities sized from the data, in chunks.

Drives :mod:`jaxgeom.regions.grid.regions`, and on a CPU its parts one by one; nothing is cut off.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int64

from jaxgeom._reprs import readable
from jaxgeom.host.chunks import check_chunk_size, map_chunks
from jaxgeom.host.devices import at_arrays, platform, with_float64
from jaxgeom.host.given import check_progress
from jaxgeom.host.programs import Program, for_population
from jaxgeom.host.sizes import power_of_two, size_of_grid_chunks
from jaxgeom.networks.affine import activation_words, affine_maps_of_patterns
from jaxgeom.networks.layers import Layers, check_layers
from jaxgeom.regions.cells import NOT_COUNTED
from jaxgeom.regions.grid.batches import flattened, in_float64
from jaxgeom.regions.grid.host import first_columns, num_kept
from jaxgeom.regions.grid.regions import checked_points, flat_maps, grid_regions
from jaxgeom.theory import zaslavsky

ONE_HIDDEN = 2
"""Affine layers of a network with one hidden layer."""

_FIRST_CAPACITY = 2048


@readable
class GridCounts(NamedTuple):
    """Numbers of patterns and maps seen from a grid of points; shapes are the leading axes of the layers."""

    num_patterns: Int64[np.ndarray, "*networks"]
    """Distinct activation patterns over the points."""
    num_maps: Int64[np.ndarray, "*networks"]
    """Distinct affine maps over the points, by the rule of the XOR study."""


def count_grid_regions(
    layers: Layers,
    points: Float[Array | np.ndarray, "points in"],
    atol: float = 1e-3,
    *,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> GridCounts:
    """Numbers of activation patterns and affine maps that networks show on a grid of points.

    The counts of :func:`jaxgeom.grid_regions` for one network or a population of any size, on the host: never
    truncated, in bounded memory, in float64; on the host's CPU where TPUs compute, which have no float64.

    Args:
        layers: one network, or a population with any leading axes.
        points: where to look, for instance :func:`jaxgeom.grid_points`.
        atol: tolerance on the distance between affine maps.
        chunk_size: networks computed at once; default by memory.
        progress: show a progress bar; a string is its title.

    Raises:
        ValueError: as :func:`jaxgeom.grid_regions`. In a population, members with NaN or infinite weights do not
            raise but get the count -1.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> counts = jg.count_grid_regions(network, jg.grid_points(jg.box(-1, 1), 10))
        >>> int(counts.num_patterns), int(counts.num_maps)
        (4, 4)
    """
    check_progress(progress)
    check_chunk_size(chunk_size)
    given = layers, points
    points = np.asarray(checked_points(points, atol))
    layers, leading, is_finite = flattened(check_layers(layers, dim=points.shape[1]))
    with at_arrays(given), with_float64():
        by_numpy = platform() == "cpu"
        counts = grid_counts(
            layers, is_finite, points, atol, by_numpy=by_numpy, chunk_size=chunk_size, progress=progress
        )
    return GridCounts(*counts.reshape(2, *leading))


def grid_counts(
    layers: Layers,
    is_finite: Bool[np.ndarray, " networks"],
    points: np.ndarray,
    atol: float,
    *,
    by_numpy: bool,
    first_capacity: int = _FIRST_CAPACITY,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> Int64[np.ndarray, "2 networks"]:
    """Numbers of patterns and of maps of a population, -1 for members that are not finite.

    Args:
        layers: the population, with one leading axis.
        is_finite: which members to count.
        points: where to look.
        atol: tolerance on the distance between affine maps.
        by_numpy: make patterns and maps distinct by NumPy, as on CPUs, with as many cells as there are. Otherwise by
            compiled programs with a capacity; networks with more cells are counted once more with a larger one.
        first_capacity: cells that such a program has room for at first.
        chunk_size: networks computed at once; default by memory.
        progress: show a progress bar; a string is its title.
    """
    check_progress(progress)
    num_points = len(points)
    counts = np.full((2, len(is_finite)), NOT_COUNTED, np.int64)
    pending = np.flatnonzero(is_finite)
    capacity = min(num_points, first_capacity, _most_regions_of_one_layer(layers) or first_capacity)
    while len(pending):
        units = sum(layer.bias.shape[-1] for layer in layers[:-1])
        bytes_each = num_points * (units // 4 + 64) + capacity * units * 8 * (points.shape[1] + 2)
        size = chunk_size or size_of_grid_chunks(bytes_each)
        members = jax.tree.map(lambda array, pending=pending: array[pending], layers)
        if by_numpy:
            function = in_float64(_counts_by_numpy, points=points, atol=float(atol), rooms=[0])
            found, maps = map_chunks(function, members, chunk_size=size, progress=progress, over_processes=True)
        else:
            with jax.enable_x64(True):
                program = _program(capacity).given(points, np.float64(atol))
                found, maps = map_chunks(program, (members,), chunk_size=size, progress=progress, over_processes=True)
        is_complete = (found <= capacity) | by_numpy
        counts[:, pending[is_complete]] = found[is_complete], maps[is_complete]
        pending = pending[~is_complete]
        if len(pending):
            capacity = min(num_points, power_of_two(int(found.max())))
    return counts


def _counts_by_numpy(
    layers: Layers, *, points: np.ndarray, atol: float, rooms: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """The counts of some networks: two small programs for patterns and maps, and NumPy for what is distinct.

    Args:
        layers: one leading axis.
        points: where to look.
        atol: tolerance on the distance between affine maps.
        rooms: how many cells there was room for so far, which grows at need, so that few sizes are compiled.
    """
    words = np.asarray(_words(layers, points))
    cells = [first_columns(own) for own in words]
    rooms[0] = room = max(rooms[0], power_of_two(max(map(len, cells))))
    patterns = np.zeros((*words.shape[:2], room), np.uint32)
    for own, found, some in zip(patterns, words, cells, strict=True):
        own[:, : len(some)] = found[:, some]
    rows = np.asarray(_maps(layers, patterns))
    kept = [num_kept(own[: len(some)], atol) for own, some in zip(rows, cells, strict=True)]
    return np.array([len(some) for some in cells]), np.array(kept)


@jax.jit
def _words(layers: Layers, points: Array) -> Array:
    return jax.vmap(lambda network: activation_words(network, points.astype(jnp.float64)))(layers)


@jax.jit
def _maps(layers: Layers, patterns: Array) -> Array:
    return jax.vmap(lambda network, words: flat_maps(*affine_maps_of_patterns(network, words)))(layers, patterns)


@lru_cache(maxsize=8)
def _program(capacity: int) -> Program:
    """Of points, tolerance; and layers."""

    def of_one(points: Array, atol: Array, layers: Layers) -> tuple[Array, Array]:
        regions = grid_regions(layers, points, atol, capacity=capacity)
        return regions.num_patterns, regions.num_maps

    return for_population(of_one, num_shared=2)


def _most_regions_of_one_layer(layers: Layers) -> int | None:
    """Zaslavsky's bound on the patterns of one hidden layer; None for deeper networks."""
    if len(layers) > ONE_HIDDEN:
        return None
    dim, units = layers[0].kernel.shape[-2:]
    return zaslavsky(units, dim) if len(layers) == ONE_HIDDEN else 1
