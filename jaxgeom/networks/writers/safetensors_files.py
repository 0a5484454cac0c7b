"""[edge] Networks and populations as files of named arrays in the safetensors format."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgeom.host.files import whole_file
from jaxgeom.networks.writers.steps import Step, num_networks, steps_of

NETWORK = "jaxgeom.network"
"""Under this name a file says what is between the layers, as JSON: ``[[name, activation or slope], …]``; the slopes of
single units are an array ``NAME.slope``."""

_KINDS = {np.dtype(np.float32): "F32", np.dtype(np.float64): "F64", np.dtype(np.int64): "I64"}
_KINDS |= {np.dtype(np.int32): "I32", np.dtype(np.bool_): "BOOL"}
_ALIGNMENT = 8


def to_safetensors(network: Any, path: str | Path) -> None:
    """A file in the safetensors format with a network or a whole population, written whole or not at all.

    Layer i is ``layers.i.weight`` (out, in), as in PyTorch, and ``layers.i.bias`` (out,); slopes of single units are
    ``layers.i.slope`` (out,). A population has a leading axis on all of them. What is between the layers stands in the
    file's metadata, so that :func:`jaxgeom.from_safetensors` needs nothing else; other readers of named arrays take the
    order and the activation. Numbers keep their bits and their dtype, float32 or float64.

    Args:
        network: the parameters of a :func:`jaxgeom.mlp` with any activation, or layers; of one network, or of a
            population with one leading axis.
        path: of the file, usually with the ending .safetensors.

    Raises:
        ValueError: for parameters of other networks, or with more leading axes.
        TypeError: for what is neither parameters nor layers.

    Example:
        >>> import tempfile, jax, jaxgeom as jg
        >>> population = jax.vmap(jg.mlp((2, 8, 1)).init)(jax.random.split(jax.random.key(0), 100))
        >>> path = tempfile.mkdtemp() + "/population.safetensors"
        >>> jg.to_safetensors(population, path)
        >>> [layer.kernel.shape for layer in jg.from_safetensors(path).layers]
        [(100, 2, 8), (100, 8, 1)]
    """
    steps = steps_of(network)
    num_networks(steps)
    arrays: dict[str, np.ndarray] = {}
    between = []
    for index, step in enumerate(steps):
        name = f"layers.{index}"
        arrays[f"{name}.weight"] = step.kernel.swapaxes(-1, -2)
        arrays[f"{name}.bias"] = step.bias
        if isinstance(step.slope, np.ndarray):
            arrays[f"{name}.slope"] = step.slope
        between.append([name, _described(step)])
    with whole_file(Path(path)) as temporary, temporary.open("wb") as file:
        file.write(header_of(arrays, {NETWORK: json.dumps(between)}))
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)


def header_of(arrays: Mapping[str, np.ndarray], notes: Mapping[str, str]) -> bytes:
    """What a file of the safetensors format begins with; the arrays follow in little-endian order, one by one."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **notes}}
    start = 0
    for name, array in arrays.items():
        end = start + array.nbytes
        header[name] = {"dtype": _KINDS[array.dtype], "shape": list(array.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _described(step: Step) -> str | float:
    """The activation in the metadata."""
    return step.slope if isinstance(step.slope, float) else step.activation
