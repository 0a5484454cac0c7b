"""[edge] Chains of layers from what a reader noted: one layer for all units of a depth, sparse where that is smaller.

A unit's depth is one more than the largest of those that it depends on. Values that are needed deeper than in the next
layer, such as those of skip connections, are carried along by linear units, slope 1.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Int

from jaxgeom._reprs import readable
from jaxgeom.networks.layers import Dense, Layers
from jaxgeom.networks.readers.expressions import Tape, Units, Values

SMALL_KERNEL = 2**16
"""Kernels of so few entries are dense."""

MOSTLY_ZERO = 0.25
"""Larger kernels are sparse if no more than this part of their entries is nonzero."""


@readable
class UnitSources(NamedTuple):
    """Where the units of one hidden layer come from."""

    names: tuple[str, ...]
    """Names of nodes in the source."""
    shapes: tuple[tuple[int, ...], ...]
    """The shape of each node's tensor, as in the source."""
    node: Int[np.ndarray, " units"]
    """For each unit the index of its node in ``names``."""
    place: Int[np.ndarray, " units"]
    """For each unit its flat index in the node's tensor."""
    is_carried: Bool[np.ndarray, " units"]
    """Whether a unit only carries a value on, without a kink."""


def unit_name(sources: UnitSources, unit: int) -> str:
    """The name of a unit: that of its node in the source, with its place in the node's tensor.

    Example:
        >>> import numpy as np
        >>> from jaxgeom.networks.readers.chain import UnitSources, unit_name
        >>> sources = UnitSources(("conv1",), ((1, 6, 24, 24),), np.array([0]), np.array([600]), np.array([False]))
        >>> unit_name(sources, 0)
        'conv1[0, 1, 1, 0]'
    """
    node = int(sources.node[unit])
    place = np.unravel_index(int(sources.place[unit]), sources.shapes[node]) if sources.shapes[node] else ()
    return f"{sources.names[node]}[{', '.join(map(str, map(int, place)))}]"


def chain_of(tape: Tape, outputs: Values) -> tuple[Layers, tuple[UnitSources, ...]]:
    """The layers that compute a tensor, and the sources of the units of the hidden ones.

    Args:
        tape: the units that were noted.
        outputs: the tensor, whose numbers are the outputs in C order.
    """
    live = _live_units(tape, outputs)
    depth = np.zeros(tape.num_columns, np.int64)
    for units in live:
        used = units.matrix.indices
        depth[units.start : units.start + len(units.const)] = 1 + (depth[used].max() if len(used) else 0)
    last_use = np.zeros(tape.num_columns, np.int64)
    deepest = max((int(depth[units.start]) for units in live), default=0)
    for units in live:
        used = units.matrix.indices
        last_use[used] = np.maximum(last_use[used], depth[units.start])
    last_use[outputs.matrix.indices] = deepest + 1

    names = ("input", *(units.name for units in live))
    shapes = ((tape.num_inputs,), *(units.shape for units in live))
    node, place = np.zeros(tape.num_columns, np.int64), np.zeros(tape.num_columns, np.int64)
    place[: tape.num_inputs] = np.arange(tape.num_inputs)
    is_linear = np.ones(tape.num_columns, bool)
    for number, units in enumerate(live, 1):
        columns = slice(units.start, units.start + len(units.const))
        node[columns], place[columns], is_linear[columns] = number, units.places, units.slope == 1

    of_level: dict[int, list[Units]] = {}
    for units in live:
        of_level.setdefault(int(depth[units.start]), []).append(units)
    state = np.arange(tape.num_inputs)  # the columns that the layer before gives
    layers, sources = [], []
    for level in range(1, deepest + 1):
        new = of_level[level]
        carried = state[last_use[state] > level]
        at = _index_of(state, tape.num_columns)
        matrix = _stacked([*(units.matrix for units in new), _rows_of(carried, tape.num_columns)], at, len(state))
        bias = np.concatenate([*(units.const for units in new), np.zeros(len(carried))])
        slope = np.concatenate([*(units.slope for units in new), np.ones(len(carried))])
        layers.append(Dense(_kernel(matrix), bias, slope if slope.any() else None))
        state = np.concatenate([*(np.arange(u.start, u.start + len(u.const)) for u in new), carried]).astype(np.int64)
        is_carried = np.concatenate([is_linear[state[: len(state) - len(carried)]], np.ones(len(carried), bool)])
        used, index = np.unique(node[state], return_inverse=True)
        sources.append(
            UnitSources(
                tuple(names[i] for i in used), tuple(shapes[i] for i in used), index.ravel(), place[state], is_carried
            )
        )
    at = _index_of(state, tape.num_columns)
    layers.append(Dense(_kernel(_stacked([outputs.matrix], at, len(state))), outputs.const))
    return tuple(layers), tuple(sources)


def _live_units(tape: Tape, outputs: Values) -> list[Units]:
    """Those that the outputs depend on, in order."""
    is_used = np.zeros(tape.num_columns, bool)
    is_used[outputs.matrix.indices] = True
    live = []
    for units in reversed(tape.units):
        if is_used[units.start : units.start + len(units.const)].any():
            live.append(units)
            is_used[units.matrix.indices] = True
    return live[::-1]


def _index_of(state: np.ndarray, num_columns: int) -> np.ndarray:
    at = np.full(num_columns, -1)
    at[state] = np.arange(len(state))
    return at


def _rows_of(columns: np.ndarray, num_columns: int) -> Any:
    size = len(columns)
    return scipy.sparse.csr_array((np.ones(size), columns, np.arange(size + 1)), shape=(size, num_columns))


def _stacked(matrices: list[Any], at: np.ndarray, width: int) -> Any:
    """Matrices below each other, with the columns that the layer before gives."""
    found = [scipy.sparse.csr_array((m.data, at[m.indices], m.indptr), shape=(m.shape[0], width)) for m in matrices]
    return scipy.sparse.vstack(found, format="csr")


def _kernel(matrix: Any) -> Any:
    """The kernel (in, out) of a matrix (out, in): sparse with sorted indices, or dense."""
    matrix.eliminate_zeros()
    size = matrix.shape[0] * matrix.shape[1]
    if size <= SMALL_KERNEL or matrix.nnz > MOSTLY_ZERO * size:
        return np.ascontiguousarray(matrix.toarray().T)
    kernel = scipy.sparse.csr_array(matrix.T)
    kernel.sort_indices()
    return kernel
