"""Complexes of networks in the plane, by the compiled engine."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int64

from jaxgeom._reprs import readable
from jaxgeom.engine.arguments import Network, pointer
from jaxgeom.engine.library import LONG, interruptible, loaded
from jaxgeom.host.sparse import SparseKernel

_NUMBERS, _INTEGERS, _FLAGS = np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_)


@readable
class Cells(NamedTuple):
    """The complex of one network on a domain, faces, edges and vertices with everything that they share: the fields of
    ``jaxgeom.PlanarComplex`` that arrays are, in its order. All of them are in one block of memory."""

    vertices: Float[np.ndarray, "vertices 2"]
    """Positions; of those at infinity, directions."""
    is_ideal: Bool[np.ndarray, " vertices"]
    """Which vertices lie at infinity."""
    edges: Int64[np.ndarray, "edges 2"]
    """The two vertices of each edge."""
    edge_faces: Int64[np.ndarray, "edges 2"]
    """The faces to the left and to the right; -1 outside of the domain."""
    edge_layer: Int64[np.ndarray, " edges"]
    """Layer that made the edge; -1 on the domain's boundary, -2 between faces of the domain."""
    edge_unit: Int64[np.ndarray, " edges"]
    """The unit of that layer."""
    face_offsets: Int64[np.ndarray, " offsets"]
    """Where the corners of each face begin; the last entry is their number."""
    face_vertices: Int64[np.ndarray, " corners"]
    """The vertices of each face, counter-clockwise."""
    face_edges: Int64[np.ndarray, " corners"]
    """The edge from each of them to the next."""
    patterns: Bool[np.ndarray, "faces units"]
    """Which units are active on each face; linear ones are not."""
    gradient: Float[np.ndarray, "faces out 2"]
    """Gradient of each output."""
    intercept: Float[np.ndarray, "faces out"]
    """And intercept."""
    area: Float[np.ndarray, " faces"]
    """Areas; infinite for unbounded faces."""
    centroid: Float[np.ndarray, "faces 2"]
    """Centres of mass; NaN for unbounded faces."""
    outputs: Float[np.ndarray, "vertices out"]
    """Values of the outputs, each right to six digits of its own at least, zero where it is zero; NaN at infinity."""
    degenerate: bool
    """Whether an exact zero was met."""


def cells(
    arrays: Sequence[Array | np.ndarray | SparseKernel],
    slopes: Float[np.ndarray, " units"],
    corners: Float[np.ndarray, "corners 3"],
    cycles: Sequence[Sequence[int]],
    *,
    threads: int = 0,
) -> list[Cells | None]:
    """The complexes of a population on a domain; arguments as for :func:`jaxgeom.engine.library.count`.

    Returns:
        One complex for each network; None for networks with NaN or infinite weights.

    Raises:
        MemoryError: if there is not enough memory.
        RuntimeError: if a complex does not hang together, which is a fault of the engine.
    """
    network = Network(arrays, slopes, corners, cycles)
    found = np.zeros((network.num, 9), np.int64)

    def call(stop: Any) -> int:
        number: int = loaded().jaxgeom_cells(network.num, *network.arguments, threads, pointer(found), stop)
        return number

    if interruptible(call, network.num * network.num_units**2 > LONG // 8):
        raise MemoryError("not enough memory for the complexes of this population.")
    num_outputs = np.shape(arrays[-1])[-1]
    each = [(sizes, _Memory(*sizes[-2:]) if sizes[-2] else None) for sizes in found.tolist()]
    return [
        None if memory is None else _cells_in(memory, sizes, network.num_units, num_outputs) for sizes, memory in each
    ]


class _Memory:
    """A block of memory of the engine's, which lives as long as arrays in it."""

    __slots__ = ("__array_interface__", "_address", "_free")

    def __init__(self, address: int, num_bytes: int) -> None:
        self._address = address
        self._free = loaded().jaxgeom_free  # which at exit may be all that is left
        self.__array_interface__ = {"data": (address, False), "shape": (num_bytes,), "typestr": "|u1", "version": 3}

    def __del__(self) -> None:
        self._free(self._address)


def _cells_in(memory: _Memory, sizes: Sequence[int], num_units: int, num_outputs: int) -> Cells:
    """The arrays in a block, one after the other, each from a multiple of eight bytes on."""
    vertices, edges, faces, corners, degenerate, consistent, *_ = sizes
    if not consistent:
        raise RuntimeError("the complex is inconsistent: cells do not share their edges. Please report the network.")
    layout = (
        (_NUMBERS, (vertices, 2)),
        (_FLAGS, (vertices,)),
        (_INTEGERS, (edges, 2)),
        (_INTEGERS, (edges, 2)),
        (_INTEGERS, (edges,)),
        (_INTEGERS, (edges,)),
        (_INTEGERS, (faces + 1,)),
        (_INTEGERS, (corners,)),
        (_INTEGERS, (corners,)),
        (_FLAGS, (faces, num_units)),
        (_NUMBERS, (faces, num_outputs, 2)),
        (_NUMBERS, (faces, num_outputs)),
        (_NUMBERS, (faces,)),
        (_NUMBERS, (faces, 2)),
        (_NUMBERS, (vertices, num_outputs)),
    )
    block, at, arrays = np.asarray(memory), 0, []
    for dtype, shape in layout:
        array: np.ndarray = np.ndarray(shape, dtype, block, at)
        arrays.append(array)
        at += (array.nbytes + 7) & -8
    return Cells._make([*arrays, bool(degenerate)])
