"""[edge] What all readers return."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgeom._reprs import readable
from jaxgeom.networks.layers import Layers
from jaxgeom.networks.readers.chain import UnitSources, chain_of
from jaxgeom.networks.readers.check import check_agrees
from jaxgeom.networks.readers.expressions import Tape, Values


@readable
class Imported(NamedTuple):
    """A network that was read."""

    layers: Layers
    """The network as all region functions take it: its inputs and outputs are those of the source, in C order. Large
    kernels that are mostly zero are of type ``scipy.sparse.csr_array``."""
    units: tuple[UnitSources, ...]
    """For each hidden layer, where its units come from."""
    input_shape: tuple[int, ...]
    """Shape of the source's inputs, for one point."""
    output_shape: tuple[int, ...]
    """Shape of the source's outputs, for one point."""
    notes: tuple[str, ...] = ()
    """What differs from the source, such as a softmax that was left off."""


def finished(
    tape: Tape,
    outputs: Values,
    *,
    input_shape: Sequence[int],
    output_shape: Sequence[int],
    source: Callable[[np.ndarray], np.ndarray] | None,
    precision: float = float(np.finfo(np.float32).eps),
    what: str = "the network",
    notes: Sequence[str] = (),
    most_points: int | None = None,
) -> Imported:
    """The chain of layers of a tensor, compared with its source.

    Args:
        tape: the units that were noted.
        outputs: the tensor.
        input_shape: of one point.
        output_shape: of one point.
        source: outputs (points, out) of points (points, in); None if the source cannot be run.
        precision: of the source's arithmetic.
        what: the source, in messages.
        notes: what differs from the source.
        most_points: at which it is compared, for sources that are slow.
    """
    layers, units = chain_of(tape, outputs)
    for layer in layers:
        kernel: Any = layer.kernel
        weights = kernel.data if hasattr(kernel, "nnz") else kernel
        if not (np.isfinite(weights).all() and np.isfinite(layer.bias).all()):
            raise ValueError(f"{what} has weights that are NaN or infinite.")
    if source is not None:
        check_agrees(layers, source, tape.num_inputs, precision=precision, what=what, most_points=most_points)
    return Imported(layers, units, tuple(input_shape), tuple(output_shape), tuple(notes))


def refusal(operation: str, where: str = "") -> str:
    """The message for what has no layers."""
    place = f" ({where})" if where else ""
    return (
        f"the network has the operation {operation}{place}, which is not piecewise linear or has no layers here. "
        "Leave it off if it is the last one; grid_regions(function, points) takes any function."
    )
