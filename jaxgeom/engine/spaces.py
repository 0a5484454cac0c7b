"""Exact counts and complexes of networks on boxes of any dimension, by the compiled engine."""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int64, UInt8

from jaxgeom.engine.arguments import Network, pointer
from jaxgeom.engine.library import interruptible, loaded
from jaxgeom.host.sparse import SparseKernel


class Spaces(NamedTuple):
    """The complex of one network on a box: the arrays of :class:`jaxgeom.SpatialComplex`, as the engine has them."""

    vertices: Float[np.ndarray, "vertices dim"]
    """Positions."""
    signs: np.ndarray
    """(vertices, units), int8: signs of all units there, 0 for linear ones."""
    sides: UInt8[np.ndarray, "vertices sides"]
    """1 for the sides of the box that a vertex lies on: 2i the lower end of coordinate i, 2i + 1 its upper end."""
    edges: Int64[np.ndarray, "edges 2"]
    """The two vertices of each edge."""
    facet_offsets: Int64[np.ndarray, " offsets"]
    """Where the vertices of each facet begin."""
    facet_vertices: Int64[np.ndarray, " corners"]
    """In three dimensions around the facet, counter-clockwise as seen from outside of its first cell."""
    facet_cells: Int64[np.ndarray, "facets 2"]
    """The cells on both sides, first the one where the unit that made the facet is active; -1 outside."""
    facet_labels: Int64[np.ndarray, "facets 2"]
    """Layer and unit that made it; -1 and a side of the box."""
    cell_offsets: Int64[np.ndarray, " offsets"]
    """Where the vertices of each cell begin."""
    cell_vertices: Int64[np.ndarray, " corners"]
    """Ascending in each cell."""
    patterns: UInt8[np.ndarray, "cells units"]
    """1 for the units that are active on each cell; 0 for linear ones."""
    maps: Float[np.ndarray, "cells out dim+1"]
    """Gradient and intercept of each output."""
    volume: Float[np.ndarray, " cells"]
    """Volumes."""
    centroid: Float[np.ndarray, "cells dim"]
    """Centres of mass."""
    num_faces: Int64[np.ndarray, " dim+1"]
    """Numbers of faces of dimension 0 to dim."""
    degenerate: bool
    """Whether an exact zero was met."""


def count_in_box(
    arrays: Sequence[Array | np.ndarray | SparseKernel],
    slopes: Float[np.ndarray, " units"],
    low: Float[np.ndarray, " dim"],
    high: Float[np.ndarray, " dim"],
    *,
    threads: int = 0,
) -> tuple[Int64[np.ndarray, " networks"], Bool[np.ndarray, " networks"]]:
    """Numbers of regions of a population on a box with as many dimensions as inputs, and whether an exact zero was met.

    Args:
        arrays: kernels (networks, in, out) and biases (networks, out) in turn, those of the affine output last.
        slopes: for all hidden units, what a pre-activation that is not positive is multiplied by.
        low: lower ends of the box.
        high: upper ends of the box.
        threads: 0 for all cores. The results are the same for any number.

    Returns:
        Counts, -1 for networks with NaN or infinite weights; and flags.

    Raises:
        MemoryError: if there is not enough memory.
    """
    network = Network(arrays, slopes)
    counts, degenerate = np.zeros(network.num, np.int64), np.zeros(network.num, bool)
    ends = [np.ascontiguousarray(end, np.float64) for end in (low, high)]

    def call(stop: Any) -> int:
        results = pointer(counts), pointer(degenerate)
        number: int = loaded().jaxgeom_count_in_box(
            network.num, *network.arguments, *map(pointer, ends), threads, *results, stop
        )
        return number

    if interruptible(call, is_long=True) == 1:
        raise MemoryError("not enough memory to count the regions of this population.")
    return counts, degenerate


def spaces(
    arrays: Sequence[Array | np.ndarray | SparseKernel],
    slopes: Float[np.ndarray, " units"],
    low: Float[np.ndarray, " dim"],
    high: Float[np.ndarray, " dim"],
    *,
    max_cells: int = 2**62,
    at_surface: bool = False,
    threads: int = 0,
) -> list[Spaces | int | None]:
    """The complexes of a population on a box with as many dimensions as inputs.

    Args:
        arrays: kernels (networks, in, out) and biases (networks, out) in turn, those of the affine output last.
        slopes: for all hidden units, what a pre-activation that is not positive is multiplied by.
        low: lower ends of the box.
        high: upper ends of the box.
        max_cells: with more regions than this, a network's complex is given up.
        at_surface: whether, of all regions, only those are wanted at which the first unit of the last hidden layer is
            zero somewhere.
        threads: 0 for all cores. The results are the same for any number.

    Returns:
        For each network its complex; None for networks with NaN or infinite weights; and the number of regions at
        which a complex was given up.

    Raises:
        MemoryError: if there is not enough memory.
        RuntimeError: if a complex does not hang together, which is a fault of the engine.
    """
    network, library = Network(arrays, slopes), loaded()
    ends = [np.ascontiguousarray(end, np.float64) for end in (low, high)]

    def call(stop: Any) -> int | None:
        options = max_cells, int(at_surface), threads
        number: int | None = library.jaxgeom_spaces(
            network.num, *network.arguments, *map(pointer, ends), *options, stop
        )
        return number

    handle = interruptible(call, is_long=True)
    if handle is None:
        raise MemoryError("not enough memory for the complexes of this population.")
    try:
        shape = network.num_units, len(ends[0]), np.shape(arrays[-1])[-1]
        return [_copied(handle, index, *shape) for index in range(network.num)]
    finally:
        library.jaxgeom_spaces_free(handle)


def _copied(handle: int, index: int, units: int, dim: int, out: int) -> Spaces | int | None:
    """One member of a batch of complexes, as arrays."""
    library, sizes = loaded(), (ctypes.c_int64 * 10)()
    library.jaxgeom_spaces_sizes(handle, index, sizes)
    vertices, edges, facets, corners, cells, members, degenerate, consistent, finite, complete = sizes
    if not finite:
        return None
    if not complete:
        return cells
    if not consistent:
        raise RuntimeError("the complex is inconsistent: cells do not share their facets. Please report the network.")
    arrays: Any = (
        np.empty((vertices, dim)),
        np.empty((vertices, units), np.int8),
        np.empty((vertices, 2 * dim), np.uint8),
        np.empty((edges, 2), np.int64),
        np.empty(facets + 1, np.int64),
        np.empty(corners, np.int64),
        np.empty((facets, 2), np.int64),
        np.empty((facets, 2), np.int64),
        np.empty(cells + 1, np.int64),
        np.empty(members, np.int64),
        np.empty((cells, units), np.uint8),
        np.empty((cells, out, dim + 1)),
        np.empty(cells),
        np.empty((cells, dim)),
        np.empty(dim + 1, np.int64),
        bool(degenerate),
    )
    library.jaxgeom_spaces_copy(handle, index, *map(pointer, arrays[:-1]))
    return Spaces(*arrays)
