"""[edge] Networks from files of named arrays in the safetensors format, read by its published description."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgeom.networks.layers import check_finite, layers_of
from jaxgeom.networks.readers.expressions import size_of
from jaxgeom.networks.readers.given_files import file_at
from jaxgeom.networks.readers.imported import Imported
from jaxgeom.networks.readers.named_arrays import from_named_arrays
from jaxgeom.networks.writers.safetensors_files import NETWORK

_KINDS = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(jnp.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_MOST_HEADER = 100_000_000
_LENGTH = 8


def from_safetensors(
    path: str | Path, *, order: Sequence[str] | None = None, activation: str | float | None = None
) -> Imported:
    """The layers of a network or population in a file of named arrays.

    Args:
        path: of a file that :func:`jaxgeom.to_safetensors` wrote, which says all; or of one with ``NAME.weight``
            (out, in) or ``NAME.kernel`` (in, out), and ``NAME.bias`` for each layer, and an order.
        order: the names of the layers from input to output, such as ("fc1", "fc2").
        activation: what is between the layers, by name or slope; "relu" where the file does not say.

    Raises:
        ValueError: for files that cannot be read, without an order where it is needed, for names that are not there or
            not used, shapes that do not fit, and activations that are not piecewise linear.

    Example:
        >>> import tempfile, numpy as np, jaxgeom as jg
        >>> layers = jg.Dense(np.ones((2, 3)), np.zeros(3), 0.1), jg.Dense(np.ones((3, 1)), np.zeros(1))
        >>> path = tempfile.mkdtemp() + "/network.safetensors"
        >>> jg.to_safetensors(layers, path)
        >>> jg.from_safetensors(path).layers[0].slope.tolist()
        [0.1, 0.1, 0.1]
    """
    path = Path(path)
    arrays, notes = read_arrays(path)
    described = notes.get(NETWORK)
    if described is None or order is not None or activation is not None:
        plain = {name: array for name, array in arrays.items() if described is None or not name.endswith(".slope")}
        return from_named_arrays(plain, order, "relu" if activation is None else activation)
    try:
        between = [(str(name), what) for name, what in json.loads(described)]
        layers = layers_of(_layers(arrays, between))
    except (KeyError, TypeError, RecursionError, json.JSONDecodeError, ValueError) as error:
        raise ValueError(f"{path.name} does not hold the network that it describes: {_line(error)}.") from error
    check_finite(layers)
    return Imported(layers, (), (layers[0].kernel.shape[-2],), (layers[-1].kernel.shape[-1],))


def _layers(arrays: Mapping[str, np.ndarray], between: list[tuple[str, Any]]) -> Any:
    """What :func:`jaxgeom.layers_of` reads: parameters of an MLP, or layers with the slopes of their units."""
    found: Any = []
    used = set()
    for name, what in between:
        kernel = np.asarray(arrays[f"{name}.weight"], np.float64).swapaxes(-1, -2)
        bias = np.asarray(arrays[f"{name}.bias"], np.float64)
        slope = np.asarray(arrays[f"{name}.slope"], np.float64) if what == "slope" else None
        used |= {f"{name}.weight", f"{name}.bias"} | ({f"{name}.slope"} if what == "slope" else set())
        found.append((np.ascontiguousarray(kernel), bias, what, slope))
    if used != set(arrays):
        raise ValueError(f"arrays that no layer uses: {sorted(set(arrays) - used)[:3]}")
    if all(slope is None for *_, slope in found):
        names = [what if isinstance(what, str) else repr(float(what)) for _, _, what, _ in found]
        return {f"dense{i}_{names[i]}": {"kernel": kernel, "bias": bias} for i, (kernel, bias, *_) in enumerate(found)}
    slopes = {"relu": 0.0, "linear": 1.0, "abs": -1.0}
    layers = []
    for place, (kernel, bias, what, slope) in enumerate(found):
        is_last = place == len(found) - 1
        given = slope if slope is not None else slopes[what] if isinstance(what, str) else float(what)
        layers.append((kernel, bias) if is_last and what == "linear" else (kernel, bias, given))
    return tuple(layers)


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a file by name, memory-mapped, and its metadata.

    Raises:
        ValueError: for what is no such file.
    """
    file_at(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH), "little")
            if size < _LENGTH or length > min(size - _LENGTH, _MOST_HEADER):
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length).decode(), object_pairs_hook=_once)
        if not isinstance(header, dict):
            raise ValueError("its header is no dictionary")
        notes = header.pop("__metadata__", {})
        if not isinstance(notes, dict) or not all(isinstance(value, str) for value in notes.values()):
            raise ValueError("its metadata are no texts")
        content = np.memmap(path, np.uint8, "r", _LENGTH + length) if size > _LENGTH + length else np.zeros(0, np.uint8)
        _check_apart(header, len(content))
        arrays = {name: _array(name, entry, content) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, RecursionError, OSError) as error:
        raise ValueError(f"{path.name} cannot be read as a safetensors file: {_line(error)}.") from error
    return arrays, notes


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _check_apart(header: Mapping[str, Any], length: int) -> None:
    """A ValueError for arrays that overlap or are not in the file: what is read is never larger than that."""
    ends = []
    for name, entry in header.items():
        if not isinstance(entry, dict):
            raise ValueError(f"{name[:60]!r} is not described")
        start, end = entry["data_offsets"]
        if not (type(start) is int and type(end) is int and 0 <= start <= end <= length):
            raise ValueError(f"{name[:60]!r} is not inside of the file")
        ends.append((start, end))
    ends.sort()
    if any(before[1] > after[0] for before, after in pairwise(ends)):
        raise ValueError("arrays overlap")


def _array(name: str, entry: Mapping[str, Any], content: np.ndarray) -> np.ndarray:
    kind, shape = entry["dtype"], entry["shape"]
    if kind not in _KINDS:
        raise ValueError(f"{name[:60]!r} is of type {str(kind)[:20]!r}, but {', '.join(_KINDS)} are read")
    if not (isinstance(shape, list) and all(type(n) is int for n in shape)):
        raise ValueError(f"{name[:60]!r} has no shape")
    start, end = entry["data_offsets"]
    if size_of(shape) * _KINDS[kind].itemsize != end - start:
        raise ValueError(f"{name[:60]!r} does not have the numbers of its shape")
    found: np.ndarray = content[start:end].view(_KINDS[kind]).reshape(shape)
    return found


def _line(error: Exception) -> str:
    text = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
    lines = text.strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]
