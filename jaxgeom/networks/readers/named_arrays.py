"""[edge] Networks from arrays with names, such as "fc1.weight" and "fc1.bias", in a given order."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxgeom._typing import MATRIX
from jaxgeom.networks.layers import Dense, check_finite, layers_of, with_activation
from jaxgeom.networks.readers.given_files import listed
from jaxgeom.networks.readers.imported import Imported

_TRANSPOSED = ("weight",)
_KERNELS = ("kernel",)


def from_named_arrays(
    arrays: Mapping[str, np.ndarray], order: Sequence[str] | None, activation: str | float = "relu"
) -> Imported:
    """A chain of layers from named arrays.

    Args:
        arrays: by name: ``NAME.weight`` (out, in) or ``NAME.kernel`` (in, out), and ``NAME.bias`` (out,) if there is
            one. A population has a leading axis on all of them.
        order: the names of the layers from input to output.
        activation: what is between them, by name or slope.

    Raises:
        ValueError: without an order, for names that are not there or not used, and shapes that do not fit.
    """
    names = sorted({name.rpartition(".")[0] for name in arrays})
    if order is None:
        raise ValueError(
            f"the order of the layers cannot be told from their names, {listed(names)}. Give it from input to output: "
            'order=("first", …, "last").'
        )
    if isinstance(order, str) or sorted(order) != names:
        raise ValueError(f"order must name each of the layers {listed(names)} once, but {order!r} was given.")
    found = []
    for name in order:
        parts = {key.rpartition(".")[2]: array for key, array in arrays.items() if key.rpartition(".")[0] == name}
        kinds = [kind for kind in (*_TRANSPOSED, *_KERNELS) if kind in parts]
        if len(kinds) != 1 or not set(parts) <= {*kinds, "bias"}:
            raise ValueError(
                f"layer {name!r} holds {listed(sorted(parts))}, but weight or kernel, and bias, are what an "
                "affine layer has. Networks of other layers are read from the module: from_torch(module, example)."
            )
        kernel = np.asarray(parts[kinds[0]], np.float64)
        if kernel.ndim < MATRIX:
            raise ValueError(f"layer {name!r} has weights of shape {kernel.shape}, but (out, in) is needed.")
        if not kernel.size:
            raise ValueError(f"layer {name!r} has weights of shape {kernel.shape}, which are none.")
        kernel = kernel.swapaxes(-1, -2) if kinds[0] in _TRANSPOSED else kernel
        bias = parts.get("bias", np.zeros((*kernel.shape[:-2], kernel.shape[-1])))
        found.append(Dense(np.ascontiguousarray(kernel), np.asarray(bias, np.float64)))
    layers = layers_of(with_activation(tuple(found), activation))
    check_finite(layers)
    return Imported(
        layers,
        (),
        (layers[0].kernel.shape[-2],),
        (layers[-1].kernel.shape[-1],),
        (f"{activation} is between the layers because it was said so: arrays do not tell",),
    )
