"""[host] Counts and complexes of stacked networks: by the compiled engine or, where it is not built, in integers.

Both give the same answers. The recursion in Python integers (:mod:`jaxgeom.regions.exact`) is the engine's
specification: the same rule, written out for reading, and some ten thousand times slower.
"""

import functools
import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int64

from jaxgeom.domains import Start
from jaxgeom.engine import library
from jaxgeom.layers import Dense, Layers
from jaxgeom.regions.complex import PlanarComplex, unbounded_faces, without_artificial_edges
from jaxgeom.regions.exact import complex_of_cells, exact_cells

NOT_COUNTED = -1
"""Stands in place of a count where a member of a population has NaN or infinite weights."""


def cell_counts(
    networks: Layers, slopes: Sequence[Float[np.ndarray, " _"]], start: Start
) -> tuple[Int64[np.ndarray, " networks"], Bool[np.ndarray, " networks"]]:
    """Numbers of regions of networks with two inputs, -1 where weights are not finite; and who met an exact zero.

    Args:
        networks: arrays with one leading axis. The last layer is the affine output, which cuts nothing.
        slopes: for each hidden layer and unit, what a pre-activation that is not positive is multiplied by.
        start: the domain.
    """
    if library.is_available():
        arrays = [array for layer in networks for array in layer]
        return library.count(arrays, np.concatenate([*slopes, np.zeros(0)]), *start)
    _warn_once()
    num = len(networks[0].bias)
    counts, degenerate = np.full(num, NOT_COUNTED, np.int64), np.zeros(num, bool)
    for index in range(num):
        if (network := _finite_member(networks, index)) is not None:
            cells = exact_cells(network, slopes, start)
            counts[index] = len({cell.pattern for cell in cells})
            degenerate[index] = any(cell.is_tied for cell in cells)
    return counts, degenerate


def traced_cell_counts(
    networks: Layers, slopes: Sequence[Float[np.ndarray, " _"]], start: Start
) -> tuple[Int[Array, "*networks"], Bool[Array, "*networks"]]:
    """:func:`cell_counts` inside programs that JAX compiles; the networks have any leading axes."""

    def otherwise(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        leading = arrays[1].shape[:-1]
        flat = [array.reshape(-1, *array.shape[len(leading) :]) for array in arrays]
        counts, degenerate = cell_counts(tuple(map(Dense, flat[::2], flat[1::2])), slopes, start)
        return counts.reshape(leading), degenerate.reshape(leading)

    arrays = [array for layer in networks for array in layer]
    return library.traced_count(arrays, np.concatenate([*slopes, np.zeros(0)]), *start, otherwise)


def complexes(networks: Layers, slopes: Sequence[Float[np.ndarray, " _"]], start: Start) -> list[PlanarComplex | None]:
    """The complexes of networks with two inputs, None where weights are not finite; arguments as for
    :func:`cell_counts`."""
    if library.is_available():
        arrays = [array for layer in networks for array in layer]
        found = library.cells(arrays, np.concatenate([*slopes, np.zeros(0)]), *start)
        each = [None if cells is None else _complex_of(cells) for cells in found]
    else:
        _warn_once()
        members = [_finite_member(networks, index) for index in range(len(networks[0].bias))]
        each = [m if m is None else complex_of_cells(exact_cells(m, slopes, start)) for m in members]
    return [complex_ if complex_ is None else without_artificial_edges(complex_) for complex_ in each]


def _complex_of(cells: library.Cells) -> PlanarComplex:
    """The engine's arrays as a complex."""
    points, is_ideal = cells.points, cells.points[:, 2] == 0
    vertices = points[:, :2]
    centroid = cells.centroid
    if is_ideal.any():
        size = np.where(is_ideal, np.hypot(points[:, 0], points[:, 1]), points[:, 2])
        vertices = vertices / size[:, None]
        unbounded, inner = unbounded_faces(vertices, is_ideal, cells.face_offsets, cells.face_vertices)
        centroid[unbounded] = inner
    return PlanarComplex(
        vertices,
        is_ideal,
        cells.edges,
        cells.edge_faces,
        cells.edge_labels[:, 0],
        cells.edge_labels[:, 1],
        cells.face_offsets,
        cells.face_vertices,
        cells.face_edges,
        cells.patterns.view(bool),
        cells.maps[..., :2],
        cells.maps[..., 2],
        cells.area,
        centroid,
        cells.outputs,
        cells.degenerate,
        True,
    )


def _finite_member(networks: Layers, index: int) -> Layers | None:
    member = tuple(Dense(*(np.asarray(array[index], np.float64) for array in layer)) for layer in networks)
    return member if all(np.isfinite(array).all() for layer in member for array in layer) else None


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        "jaxgeom's compiled engine is not built, so exact regions are found in Python integers: right, and some ten "
        "thousand times slower. Install a C++ compiler (or `pip install ziglang`) and install jaxgeom again.",
        RuntimeWarning,
        stacklevel=4,
    )
