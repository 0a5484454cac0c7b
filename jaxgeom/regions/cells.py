"""[host] Counts and complexes of stacked networks: by the compiled engine or, where it is not built, in integers.

Both give the same answers. The recursions in Python integers (:mod:`jaxgeom.regions.exact_plane` in the plane,
:mod:`jaxgeom.regions.exact_space` on boxes of other dimensions) are the engine's specification: the same rules, written
out for reading, and some ten thousand times slower.
"""

import functools
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int64

from jaxgeom._typing import PLANE
from jaxgeom.domains import Box, ProjectiveDomain
from jaxgeom.engine import library, planes, spaces
from jaxgeom.host.memory import free_memory, in_words
from jaxgeom.host.sparse import SparseKernel, on_host
from jaxgeom.networks.layers import Dense, Layers, slope_of
from jaxgeom.regions.complex import PlanarComplex, unbounded_faces, without_artificial_edges
from jaxgeom.regions.exact_plane import complex_of_cells, exact_cells, exact_count
from jaxgeom.regions.exact_space import exact_space_count

_SURELY_FITS = 2**28
"""Bytes of complexes, by a guess, up to which free memory is not asked for, which takes as long as a small one."""
_SHARE = 1 / 4
"""Of free memory: what complexes may take, by a guess, without that regions are counted before to know better."""
_COPIES = 2.5
"""Times the size of a complex that making it takes, by measurement."""
_AT_ONCE = 2**29
"""Bytes of complexes, by a guess, that are made at once, where that is enough for all cores."""
NOT_COUNTED = -1
"""Stands in place of a count where a member of a population has NaN or infinite weights."""


def check_planar(layers: Layers) -> Layers:
    """The network or population, if it has two inputs; a ValueError that says what to do if not."""
    if layers[0].kernel.shape[-2] != PLANE:
        raise ValueError(
            f"two inputs are needed, but the first layer takes {layers[0].kernel.shape[-2]}. Use "
            "jaxgeom.on_plane for a slice through networks with more, or a jaxgeom.box with dim as many as inputs."
        )
    return layers


def check_inputs(layers: Layers, start: ProjectiveDomain | Box) -> Layers:
    """The network or population, if it has as many inputs as what it cuts has dimensions; else a ValueError."""
    if isinstance(start, ProjectiveDomain):
        return check_planar(layers)
    dim, inputs = len(start.low), layers[0].kernel.shape[-2]
    if inputs != dim:
        raise ValueError(
            f"a box in {dim} dimensions was given, but the first layer takes {inputs} inputs. Give "
            f"jaxgeom.box(low, high, dim={inputs})."
        )
    return layers


def with_one_axis(layers: Layers) -> Layers:
    """The network or population as NumPy arrays with one leading axis instead of all."""
    leading = layers[0].bias.ndim - 1
    num = math.prod(layers[0].bias.shape[:-1])

    def flat(array: Any) -> Any:
        array = on_host(array)
        if isinstance(array, SparseKernel) and leading:
            return array
        return array.reshape(num, *array.shape[leading:]) if leading else array[None]

    flattened: Layers = jax.tree.map(flat, layers)
    return flattened


def cell_counts(
    networks: Layers, start: ProjectiveDomain | Box
) -> tuple[Int64[np.ndarray, " networks"], Bool[np.ndarray, " networks"]]:
    """Numbers of regions of networks, -1 where weights are not finite; and who met an exact zero.

    Args:
        networks: arrays with one leading axis. The last layer is the affine output, which cuts nothing.
        start: the domain; see :func:`jaxgeom.domains.exact_domain`.
    """
    if library.is_available() and (shared := shared_slopes(networks)) is not None:
        return _counts(weights_of(networks), shared, start)
    num = len(networks[0].bias)
    counts, degenerate = np.full(num, NOT_COUNTED, np.int64), np.zeros(num, bool)
    if library.is_available():
        for members, slopes in by_slopes(networks):
            found = _counts(weights_of(networks, members), slopes, start)
            counts[members], degenerate[members] = found
        return counts, degenerate
    warn_once()
    for index in range(num):
        if (network := finite_member(networks, index)) is not None:
            if isinstance(start, Box):
                counts[index], degenerate[index] = exact_space_count(network, start)
            else:
                counts[index], degenerate[index] = exact_count(network, start)
    return counts, degenerate


def _counts(arrays: list[Any], slopes: np.ndarray, start: ProjectiveDomain | Box) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(start, Box):
        return spaces.count_in_box(arrays, slopes, *start)
    return library.count(arrays, slopes, *start)


def traced_cell_counts(
    networks: Layers, slopes: Float[np.ndarray, " units"], start: ProjectiveDomain, integer: Any
) -> tuple[Int[Array, "*networks"], Bool[Array, "*networks"]]:
    """:func:`cell_counts` inside programs that JAX compiles.

    Args:
        networks: with any leading axes; slopes of theirs are not looked at.
        slopes: of all hidden units, the same for all networks; see :func:`shared_slopes`.
        start: the domain.
        integer: dtype of the counts.
    """
    last = np.cumsum([0, *(jnp.shape(layer.bias)[-1] for layer in networks[:-1])])

    def otherwise(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        leading = arrays[1].shape[:-1]
        flat = [array.reshape(math.prod(leading), *array.shape[len(leading) :]) for array in arrays]
        hidden = [np.broadcast_to(slopes[a:b], (len(flat[0]), b - a)) for a, b in pairwise(last)]
        counts, degenerate = cell_counts(tuple(map(Dense, flat[::2], flat[1::2], [*hidden, None])), start)
        return counts.reshape(leading), degenerate.reshape(leading)

    arrays = [array for layer in networks for array in (layer.kernel, layer.bias)]
    return library.traced_count(arrays, slopes, *start, otherwise, integer)


def complexes(networks: Layers, start: ProjectiveDomain) -> list[PlanarComplex | None]:
    """The complexes of networks with two inputs, None where weights are not finite; arguments as for
    :func:`cell_counts`.

    Raises:
        ValueError: if they would take more memory than is free.
    """
    _check_memory(networks, start)
    each: list[PlanarComplex | None] = [None] * len(networks[0].bias)
    if library.is_available():
        for members, slopes in by_slopes(networks):
            found = planes.cells(weights_of(networks, members), slopes, *start)
            for index, cells in zip(members, found, strict=True):
                each[index] = None if cells is None else _complex_of(cells, member_of(networks, index))
    else:
        warn_once()
        for index in range(len(each)):
            if (network := finite_member(networks, index)) is not None:
                complex_ = complex_of_cells(exact_cells(network, start))
                each[index] = complex_._replace(layers=member_of(networks, index))
    if len(start.cycles) > 1:
        each = [found if found is None else without_artificial_edges(found) for found in each]
    return each


def complexes_at_once(networks: Layers) -> int:
    """Networks whose complexes are made at once: as many as there are cores or more, if those fit into memory."""
    units: int = max(1, sum(np.shape(layer.bias)[-1] for layer in networks[:-1]))
    bytes_each = units**2 * _bytes_a_face(networks)
    fitting = max(1, int(free_memory() * _SHARE / bytes_each))
    return min(max(int(_AT_ONCE / bytes_each), os.cpu_count() or 1), fitting, 256)


def _bytes_a_face(networks: Layers) -> float:
    """What a face takes, with two edges and a vertex, its making included."""
    units: int = sum(np.shape(layer.bias)[-1] for layer in networks[:-1])
    outputs: int = np.shape(networks[-1].bias)[-1]
    return _COPIES * (216 + units + 32 * outputs)


def _check_memory(networks: Layers, start: ProjectiveDomain) -> None:
    """Raise a ValueError if large complexes take more memory than is free: their faces are counted before."""
    units, bytes_each = sum(layer.bias.shape[-1] for layer in networks[:-1]), _bytes_a_face(networks)
    guess = len(networks[0].bias) * units**2 * bytes_each
    if guess <= _SURELY_FITS or not library.is_available() or guess <= _SHARE * (free := free_memory()):
        return
    counts, _ = cell_counts(networks, start)
    needed = bytes_each * int(np.maximum(counts, 0).sum())
    if needed > free:
        raise ValueError(
            f"complexes of {counts.sum():,} regions with patterns of {units:,} units take {in_words(needed)}, but "
            f"{in_words(free)} of memory are free. Take a smaller domain, fewer networks at once (chunk_size), or "
            "max_regions, which stops before the layer that makes more; count_regions needs no complex for "
            'kind="activation".'
        )


def member_of(networks: Layers, index: int) -> Layers:
    """One network of a stack, as it is."""
    return tuple(
        Dense(layer.kernel[index], layer.bias[index], None if layer.slope is None else layer.slope[index])
        for layer in networks
    )


def shared_slopes(networks: Layers) -> Float[np.ndarray, " units"] | None:
    """The slopes of all hidden units, if all networks have the same and they are known: not traced, and finite."""
    if all(layer.slope is None for layer in networks[:-1]):
        return np.zeros(sum(layer.bias.shape[-1] for layer in networks[:-1]))
    shared = [np.zeros(0)]
    for layer in networks[:-1]:
        if layer.slope is None or not np.shape(layer.bias)[-1]:
            shared.append(np.zeros(np.shape(layer.bias)[-1]))
            continue
        if isinstance(layer.slope, jax.core.Tracer):
            return None
        rows = np.asarray(layer.slope, np.float64).reshape(-1, np.shape(layer.bias)[-1])
        if not len(rows) or not (rows == rows[0]).all() or not np.isfinite(rows[0]).all():
            return None
        shared.append(rows[0])
    return np.concatenate(shared)


def by_slopes(networks: Layers) -> Iterator[tuple[Sequence[int], np.ndarray]]:
    """The networks in groups of the same slopes, which the engine takes for all networks of a call; those with slopes
    that are not finite are left out."""
    num = len(networks[0].bias)
    shared = shared_slopes(networks)
    if shared is not None:
        yield range(num), shared
        return
    rows = np.concatenate([np.asarray(slope_of(layer), np.float64) for layer in networks[:-1]], axis=1)
    finite = np.flatnonzero(np.isfinite(rows).all(axis=1))
    distinct, group = np.unique(rows[finite], axis=0, return_inverse=True)
    for number, slopes in enumerate(distinct):
        yield finite[group.ravel() == number].tolist(), slopes


def weights_of(networks: Layers, members: Sequence[int] | None = None) -> list[Any]:
    """Kernels and biases in turn; of some members, or of all."""
    arrays = [on_host(array) for kernel, bias, _ in networks for array in (kernel, bias)]
    return arrays if members is None or isinstance(members, range) else [array[members] for array in arrays]


def _complex_of(cells: planes.Cells, layers: Layers) -> PlanarComplex:
    """The engine's arrays as a complex."""
    if cells.is_ideal.any():
        unbounded, inner = unbounded_faces(cells.vertices, cells.is_ideal, cells.face_offsets, cells.face_vertices)
        cells.centroid[unbounded] = inner
    return PlanarComplex(*cells, True, layers)


def finite_member(networks: Layers, index: int) -> Layers | None:
    """One network in float64, as NumPy; None where it is not finite."""
    member = jax.tree.map(lambda array: np.asarray(array[index], np.float64), networks)
    return member if all(np.isfinite(array).all() for array in jax.tree.leaves(member)) else None


@functools.cache
def warn_once() -> None:
    """One warning a process that exact functions are slow, and what makes them fast."""
    warnings.warn(
        "jaxgeom's compiled engine is not built, so exact regions are found in Python integers: right, and some ten "
        "thousand times slower. Install a C++ compiler (or `pip install ziglang`) and install jaxgeom again.",
        RuntimeWarning,
        stacklevel=4,
    )
