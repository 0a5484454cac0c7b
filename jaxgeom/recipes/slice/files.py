"""[edge] Networks and points from files, by the endings of their names."""

import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

import jaxgeom
from jaxgeom._typing import MATRIX
from jaxgeom.networks.layers import Dense, Layers, check_finite, check_layers, with_activation
from jaxgeom.networks.readers.named_arrays import from_named_arrays

READERS = {
    ".onnx": "from_onnx",
    ".pt": "from_torch",
    ".pth": "from_torch",
    ".nnet": "from_nnet",
    ".keras": "from_keras",
    ".safetensors": "from_safetensors",
    ".npz": "",
}
"""Functions of jaxgeom that read a format; arrays are read here."""
_WITH_ORDER = (".pt", ".pth", ".safetensors")
"""Formats of weights alone, which do not say how they hang together."""
_MOST_BYTES = 2**29
POINTS = (".npy", ".npz", ".csv")


def read_network(path: str | Path, order: Sequence[str] | None = None, activation: str | float | None = None) -> Layers:
    """The layers of a network in a file.

    Args:
        path: a file .onnx, .nnet, .keras; .pt, .pth or .safetensors with weights; or .npz, with kernels W0, W1, …
            (in, out) and biases b0, b1, …, or with names as in a state dict.
        order: names of the layers from input to output, for weights with names.
        activation: between the layers, for files that hold weights alone; by default what they say, or ReLU.

    Raises:
        ValueError: for other files, and what cannot be read.
        ImportError: without the package that reads the format.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in READERS:
        raise ValueError(f"networks are read from files {', '.join(READERS)}, but {path.name!r} was given.")
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}.")
    if kind == ".npz":
        layers = _from_arrays(path, order, "relu" if activation is None else activation)
    else:
        reader = getattr(jaxgeom, READERS[kind], None)
        if reader is None:
            raise ValueError(
                f"this version of jaxgeom reads no {kind}; it reads "
                f"{', '.join(ending for ending, name in READERS.items() if not name or hasattr(jaxgeom, name))}."
            )
        given: dict[str, Any] = {"order": order, "activation": activation} if kind in _WITH_ORDER else {}
        try:
            layers = reader(path, **{name: value for name, value in given.items() if value is not None}).layers
        except ValueError as error:
            if order is None and "order=(" in str(error):
                raise ValueError(
                    str(error).partition(" Give it")[0] + " Give it from input to output: --order."
                ) from error
            raise
    layers = check_layers(layers, keep_sparse=True)
    if np.ndim(layers[0].bias) != 1:
        raise ValueError(f"{path.name!r} holds {len(layers[0].bias)} networks, but one is needed. Save it by itself.")
    check_finite(layers)
    return layers


def read_points(path: str | Path) -> tuple[Float[np.ndarray, "points in"], np.ndarray | None]:
    """Points in a file, each flattened, and their classes if it has some.

    Args:
        path: .npy with an array (points, …); .npz with ``x`` and, if there are classes, ``y``; or .csv with a point in
            each row, and perhaps names in the first.

    Raises:
        ValueError: for other files, and what holds no finite numbers.
    """
    path = Path(path)
    if path.suffix.lower() not in POINTS:
        raise ValueError(f"points are read from files {', '.join(POINTS)}, but {path.name!r} was given.")
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}.")
    labels = None
    if path.suffix.lower() == ".csv":
        x = _from_csv(path)
    else:
        arrays = _loaded(path)
        if isinstance(arrays, dict) and "x" not in arrays:
            raise ValueError(f"{path.name!r} needs an array x with the points, but has {', '.join(arrays) or 'none'}.")
        x = arrays["x"] if isinstance(arrays, dict) else arrays
        labels = arrays.get("y") if isinstance(arrays, dict) else None
    if x.ndim < MATRIX or not len(x) or not np.issubdtype(x.dtype, np.number) or np.iscomplexobj(x):
        raise ValueError(f"{path.name!r} needs numbers (points, in), but has {x.dtype} of shape {x.shape}.")
    x = x.reshape(len(x), -1).astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError(f"{path.name!r} has points that are NaN or infinite. Leave these out.")
    return x, None if labels is None else checked_labels(labels, len(x), path.name)


def read_labels(path: str | Path, num: int) -> np.ndarray:
    """Classes in a file .npy or .csv, one a point."""
    path = Path(path)
    if not path.is_file() or path.suffix.lower() not in (".npy", ".csv"):
        raise ValueError(f"classes are read from a file .npy or .csv, but {str(path)!r} was given.")
    return checked_labels(_from_csv(path).ravel() if path.suffix.lower() == ".csv" else _loaded(path), num, path.name)


def checked_labels(labels: Any, num: int, name: str) -> np.ndarray:
    """Integers, one a point."""
    labels = np.asarray(labels)
    is_number = np.issubdtype(labels.dtype, np.number) and not np.iscomplexobj(labels)
    if labels.shape != (num,) or not is_number or not (labels >= 0).all() or not (labels == labels.astype(int)).all():
        raise ValueError(
            f"the classes in {name!r} must be {num} integers from 0, but {labels.dtype} {labels.shape} is there."
        )
    whole: np.ndarray = labels.astype(np.int64)
    return whole


def _from_arrays(path: Path, order: Sequence[str] | None, activation: str | float) -> Layers:
    arrays = _loaded(path)
    assert isinstance(arrays, dict)
    num = len(arrays) // 2
    if num and set(arrays) == {f"{kind}{index}" for index in range(num) for kind in "Wb"}:
        layers = tuple(Dense(arrays[f"W{index}"], arrays[f"b{index}"]) for index in range(num))
        return with_activation(layers, activation)
    if order is None and all("." not in name for name in arrays):
        raise ValueError(
            f"{path.name!r} needs kernels W0, W1, … and biases b0, b1, …, or weights with names and --order, but has "
            f"{', '.join(sorted(arrays)[:6]) or 'no arrays'}."
        )
    return from_named_arrays(arrays, order, activation).layers


def _loaded(path: Path) -> Any:
    """An array, or a dictionary of arrays; never a pickle."""
    try:
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(path) as archive:
                size = sum(part.file_size for part in archive.infolist())
            if size > _MOST_BYTES:
                raise ValueError(f"it unpacks to {size:,} bytes; at most {_MOST_BYTES:,} are read")
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            return found if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except Exception as error:  # damaged archives fail in many ways
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path.name!r} cannot be read: {first.rstrip('.')[:200]}.") from error


def _from_csv(path: Path) -> np.ndarray:
    """Numbers between commas; a first line that is none has names."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
        skipped = int(not all(map(_is_number, first.split(","))))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an empty file, which is an error of its own
            return np.loadtxt(path, delimiter=",", skiprows=skipped, ndmin=2, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError, OSError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path.name!r} cannot be read as numbers between commas: {first.rstrip('.')}.") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
