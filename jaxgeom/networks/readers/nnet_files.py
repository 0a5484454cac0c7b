"""[edge] Networks from .nnet files, the text format of ACAS Xu."""

import io
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgeom.host.given import check_flags
from jaxgeom.networks.layers import Dense
from jaxgeom.networks.readers.check import check_agrees
from jaxgeom.networks.readers.expressions import MOST_NUMBERS
from jaxgeom.networks.readers.given_files import file_at
from jaxgeom.networks.readers.imported import Imported

_MOST_LAYERS = 10_000


class _File(NamedTuple):
    layers: tuple[Dense, ...]
    """As they are written, between normalised inputs and outputs."""
    low: np.ndarray
    high: np.ndarray
    means: np.ndarray
    """Of the inputs, and one of all outputs."""
    ranges: np.ndarray


def from_nnet(path: str | Path, *, normalised: bool = False) -> Imported:
    """The layers of a ReLU network in a .nnet file, the text format of ACAS Xu.

    Such a file holds bounds of the inputs, and means and ranges by which inputs and outputs are normalised. They become
    part of the first and the last layer: the network takes physical inputs and gives physical outputs. Inputs are not
    clipped to the bounds, which are in the notes. What was read is compared with the file's numbers, evaluated step by
    step.

    Args:
        path: of the file.
        normalised: whether to leave the layers as they are written: normalised inputs, normalised outputs.

    Raises:
        ValueError: for a file that cannot be read, with the line.

    Example:
        >>> import pathlib, tempfile, jaxgeom as jg
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "absolute_value.nnet"
        >>> sizes, bounds, normalisation = ["2,1,1,2,", "1,2,1,", "0,"], ["-1,", "1,"], ["0,0,", "1,1,"]
        >>> weights = ["1,", "-1,", "0,", "0,", "1,1,", "0,"]
        >>> _ = path.write_text("\\n".join(sizes + bounds + normalisation + weights))
        >>> jg.from_nnet(path).layers[0].kernel.tolist()
        [[1.0, -1.0]]
    """
    check_flags(normalised=normalised)
    path = file_at(path)
    try:
        with path.open(encoding="utf-8") as lines:
            found = _parsed(lines)
    except (_Malformed, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"{path.name} cannot be read as a .nnet file: {str(error).splitlines()[0]}.") from error
    layers = list(found.layers)
    if not normalised:
        first, last = layers[0], layers[-1]
        scaled = first.kernel / found.ranges[:-1, None]
        layers[0] = Dense(scaled, first.bias - found.means[:-1] @ scaled)
        first, last = layers[0], layers[-1]
        layers[-1] = Dense(last.kernel * found.ranges[-1], last.bias * found.ranges[-1] + found.means[-1])
    num_inputs, num_outputs = len(found.low), len(layers[-1].bias)
    box = ", ".join(f"[{low:.9g}, {high:.9g}]" for low, high in zip(found.low, found.high, strict=True))
    points = np.random.default_rng(0).normal(size=(1000, num_inputs))
    if not normalised:
        points = points * found.ranges[:-1] + found.means[:-1]
    check_agrees(
        tuple(layers),
        lambda x: _evaluated(found, x, normalised=normalised),
        num_inputs,
        precision=float(np.finfo(np.float64).eps),
        what="the file",
        points=points,
    )
    of_what = "normalised inputs and outputs, of physical inputs" if normalised else "inputs"
    return Imported(tuple(layers), (), (num_inputs,), (num_outputs,), (f"bounds of the {of_what} in {box}",))


def _evaluated(found: _File, points: np.ndarray, *, normalised: bool) -> np.ndarray:
    x = points if normalised else (points - found.means[:-1]) / found.ranges[:-1]
    for index, (kernel, bias, _) in enumerate(found.layers):
        x = x @ kernel + bias
        if index < len(found.layers) - 1:
            x = np.maximum(x, 0)
    return np.asarray(x if normalised else x * found.ranges[-1] + found.means[-1])


class _Malformed(ValueError):
    pass


class _Lines:
    """The lines of a file, with their numbers, without comments."""

    def __init__(self, lines: io.TextIOBase) -> None:
        self._lines = enumerate(lines, 1)

    def numbers(self, what: str, count: int | None = None) -> np.ndarray:
        """The numbers of the next line.

        Raises:
            _Malformed: if there are not so many, or if they are none.
        """
        for number, line in self._lines:
            text = line.split("//")[0].strip()
            if not text:
                continue
            try:
                found = np.array([float(part) for part in text.rstrip(", ").split(",")])
            except ValueError as error:
                raise _Malformed(f"line {number} should hold {what}, but it is {text[:40]!r}") from error
            if (count is not None and len(found) != count) or not np.isfinite(found).all():
                raise _Malformed(f"line {number} should hold {what}, {count} finite numbers, but it has {len(found)}")
            return found
        raise _Malformed(f"it ends where {what} should be")

    def sizes(self, what: str, count: int | None = None) -> list[int]:
        """The whole numbers of the next line, from 1 on."""
        found = self.numbers(what, count)
        if (found != np.rint(found)).any() or (found < 1).any() or (found > MOST_NUMBERS).any():
            raise _Malformed(f"{what} should be whole numbers from 1 to {MOST_NUMBERS:,}, but they are {found[:9]}")
        return [int(size) for size in found]


def _parsed(text: io.TextIOBase) -> _File:
    lines = _Lines(text)
    header = lines.sizes("numbers of layers, inputs and outputs, and the largest width")
    if len(header) < 3:  # noqa: PLR2004  (layers, inputs, outputs)
        raise _Malformed(f"its first line should hold numbers of layers, inputs and outputs, but it is {header}")
    num_layers, num_inputs, num_outputs = header[:3]
    if num_layers > _MOST_LAYERS:
        raise _Malformed(f"it should have {num_layers:,} layers; at most {_MOST_LAYERS:,} are read")
    widths = lines.sizes("the sizes of all layers", num_layers + 1)
    if widths[0] != num_inputs or widths[-1] != num_outputs:
        raise _Malformed(f"its layers have sizes {widths}, but it has {num_inputs} inputs and {num_outputs} outputs")
    if max(a * b for a, b in itertools.pairwise(widths)) > MOST_NUMBERS:
        raise _Malformed(f"its layers have sizes {widths}; at most {MOST_NUMBERS:,} weights a layer are read")
    lines.numbers("a flag that is not used")
    low, high = lines.numbers("the least inputs", num_inputs), lines.numbers("the largest inputs", num_inputs)
    means = lines.numbers("means of inputs and outputs", num_inputs + 1)
    ranges = lines.numbers("ranges of inputs and outputs", num_inputs + 1)
    if (ranges == 0).any() or (low > high).any():
        raise _Malformed("ranges should not be zero, nor least inputs above the largest ones")
    layers = []
    for index, (before, width) in enumerate(itertools.pairwise(widths)):
        name = f"layer {index + 1}"
        rows = [lines.numbers(f"weights of a unit of {name}", before) for _ in range(width)]
        bias = np.concatenate([lines.numbers(f"a bias of {name}", 1) for _ in range(width)])
        layers.append(Dense(np.ascontiguousarray(np.array(rows).T), bias))
    return _File(tuple(layers), low, high, means, ranges)
