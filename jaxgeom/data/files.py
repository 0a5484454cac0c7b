"""[edge] Data sets from files: tables as CSV, and arrays as npz. What cannot be a point is refused with its line."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgeom._typing import MATRIX
from jaxgeom.data.datasets import Dataset
from jaxgeom.host.names import did_you_mean

MOST_BAD = 5
"""Lines that a message names."""
_LONG = 40
"""Characters of a cell that a message shows."""
_FEWEST_NUMBERED = 3
"""Columns of a table whose first line 0, 1, … can hardly be a point."""
_Row = tuple[int, list[str]]
"""Number of a line in the file, and its cells."""


def dataset_from_csv(
    path: str | os.PathLike[str],
    *,
    inputs: Sequence[str | int] | None = None,
    target: str | int | Sequence[str | int] | None = None,
    classes: bool = False,
    labels: Sequence[str] | None = None,
    delimiter: str = ",",
) -> Dataset:
    """Points from a CSV file, one line each; a first line without any number has the names of the columns.

    Inputs are float32 of shape ``(points, columns)``, as are targets; classes are int32 of shape ``(points,)``.

    Args:
        path: the file, in UTF-8; empty lines and those that begin with ``#`` are passed over.
        inputs: columns of the inputs, by name or by number from 0; default is all but the target.
        target: column of the target, or several of a regression with as many outputs; default is the last one.
        classes: whether the target is a class: an integer, or a text, which becomes its place in ``labels``.
        labels: the texts of the classes, in order; default is those of the file, sorted.
        delimiter: what separates the cells.

    Raises:
        ValueError: for files without points, unknown columns, and lines with missing cells or what is no finite number;
            the message says which.
        OSError: if the file cannot be read.
    """
    rows = _rows(Path(path), delimiter)
    names = rows.pop(0)[1] if not any(map(_is_number, rows[0][1])) else None
    if names is not None and (not rows or len(set(names)) < len(names)):
        what = "has names of columns, but no points" if not rows else f"has a name of columns twice: {names}"
        raise ValueError(f"{str(path)!r} {what}.")
    width = len(names or rows[0][1])
    _refuse(
        path, [(line, f"it has {len(cells)} cells instead of {width}") for line, cells in rows if len(cells) != width]
    )
    if names is None:
        _refuse_numbered(path, rows)
    is_one = target is None or isinstance(target, str | int)
    given: list[Any] = [-1 if target is None else target] if is_one else list(target)  # type: ignore[arg-type]
    of_target = [_column(path, name, names, width) for name in given]
    of_input = [place for place in range(width) if place not in of_target]
    of_input = of_input if inputs is None else [_column(path, name, names, width) for name in inputs]
    if not of_input or not of_target or {*of_input} & {*of_target}:
        raise ValueError(
            f"{str(path)!r} needs one column or more for the inputs and others for the target, but inputs {inputs} and "
            f"target {target} of {width} columns were given."
        )
    if names is not None and inputs is None and not all(names[place] for place in of_input):
        raise ValueError(
            f"{str(path)!r} has a column without a name, such as the index that pandas writes unless index=False is "
            "given. Name the columns of the inputs, or remove it."
        )
    titles = names or [str(place) for place in range(width)]
    x = _numbers(path, rows, of_input, titles)
    if classes and len(of_target) > 1:
        raise ValueError(f"classes are one column of {str(path)!r}, but {len(of_target)} were given as the target.")
    texts = [place for place in of_target if not any(_is_number(cells[place]) for _, cells in rows)]
    if texts and not classes:
        raise ValueError(
            f"{str(path)!r} has texts in the column {titles[texts[0]]!r} of the target, and no numbers; for classes "
            "with names, say classes = true."
        )
    if not classes:
        return _dataset(x, _numbers(path, rows, of_target, titles))
    return _dataset(x, _classes(path, rows, of_target[0], titles, labels))


def labels_of_csv(path: str | os.PathLike[str], target: str | int | None = None, delimiter: str = ",") -> list[str]:
    """The texts in the column of the classes, sorted; none if they are integers."""
    rows = _rows(Path(path), delimiter)
    names = rows.pop(0)[1] if not any(map(_is_number, rows[0][1])) else None
    place = _column(path, -1 if target is None else target, names, len(names or rows[0][1]))
    cells = {cells[place] for _, cells in rows if place < len(cells)}
    return [] if all(map(_is_integer, cells)) else sorted(cells)


def dataset_from_npz(
    path: str | os.PathLike[str], *, inputs: str = "x", target: str = "y", classes: bool = False
) -> Dataset:
    """Points from two arrays of an npz file, one a row.

    Inputs are float32 of shape ``(points, dim)``, targets ``(points, outputs)``; classes are int32 of shape
    ``(points,)``.

    Args:
        path: the file.
        inputs: name of the array of inputs (points, dim), or (points,) for one input.
        target: name of the array of classes (points,), or of targets (points,) or (points, outputs).
        classes: whether the target is a class, an integer.

    Raises:
        ValueError: for files of another kind, unknown names, and arrays that are no numbers or do not fit.
        OSError: if the file cannot be read.
    """
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in (inputs, target) if name in archive.files}
                there = archive.files
        except Exception as error:  # damaged archives, and files of other kinds, fail in many ways
            raise ValueError(
                f"{str(path)!r} is no npz file of arrays that can be read ({_first_line(error)}). Save it by "
                "numpy.savez."
            ) from error
    missing = [name for name in (inputs, target) if name not in arrays]
    if missing:
        raise ValueError(
            f"{str(path)!r} has the arrays {', '.join(there) or 'none'}, but {missing[0]!r} was asked for."
            f"{did_you_mean(missing[0], there)}"
        )
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.ndim not in (1, MATRIX) or not len(array):
            raise ValueError(
                f"the array {name!r} of {str(path)!r} must hold numbers (points,) or (points, columns), but has shape "
                f"{array.shape} and dtype {array.dtype}."
            )
        with np.errstate(over="ignore"):
            is_finite = np.isfinite(array.astype(np.float32))
        bad = np.flatnonzero(~is_finite.reshape(len(array), -1).all(axis=1))
        if len(bad):
            raise ValueError(
                f"the array {name!r} of {str(path)!r} has {len(bad)} rows with NaN, infinity or what is too large for "
                f"float32, such as row {bad[0]}. Mend them or leave them out."
            )
    x, y = (arrays[name] for name in (inputs, target))
    if len(x) != len(y):
        raise ValueError(f"{str(path)!r} has {len(x)} inputs, but {len(y)} targets.")
    x = x.reshape(len(x), -1).astype(np.float32)
    if not classes:
        return _dataset(x, y.reshape(len(y), -1).astype(np.float32))
    if y.size != len(y) or (y != np.round(y)).any() or not -(2**31) < y.min() <= y.max() < 2**31:
        raise ValueError(
            f"the array {target!r} of {str(path)!r} must hold classes, one integer of int32 a point, but has shape "
            f"{y.shape} and dtype {y.dtype}. For targets that are numbers, say classes = false, or take a loss for "
            "these."
        )
    return _dataset(x, y.reshape(-1).astype(np.int32))


def _dataset(x: np.ndarray, y: np.ndarray) -> Dataset:
    return Dataset(jnp.asarray(x), jnp.asarray(y))


def _rows(path: Path, delimiter: str) -> list[_Row]:
    if len(delimiter) != 1:
        raise ValueError(f"the delimiter is one character, such as ',' or ';', but {delimiter!r} was given.")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            found = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{str(path)!r} is no CSV file that can be read ({_first_line(error)}).") from error
    found = [(line, cells) for line, cells in found if any(cells) and not cells[0].startswith("#")]
    if not found:
        raise ValueError(f"{str(path)!r} has no points: it is empty.")
    widest = max(len(cells) for _, cells in found)
    others = [other for other in ";\t, |" if other != delimiter and other in found[0][1][0]]
    if widest == 1 and others:
        raise ValueError(
            f"{str(path)!r} has a single column, since nothing is separated by {delimiter!r}: give the delimiter "
            f"{others[0]!r}."
        )
    return found


def _column(path: Any, name: str | int, names: list[str] | None, width: int) -> int:
    if isinstance(name, str) and names is not None and name in names:
        return names.index(name)
    if isinstance(name, int) and not isinstance(name, bool) and -width <= name < width:
        return name % width
    columns = (
        f"has the columns {', '.join(names)}" if names else f"has no names of columns, but numbers 0 to {width - 1}"
    )
    raise ValueError(f"{str(path)!r} {columns}, but {name!r} was given.{did_you_mean(name, names or ())}")


def _numbers(path: Any, rows: list[_Row], places: list[int], titles: list[str]) -> np.ndarray:
    bad = []
    found = np.zeros((len(rows), len(places)), np.float32)
    for i, (line, cells) in enumerate(rows):
        for j, place in enumerate(places):
            cell = cells[place]
            with np.errstate(over="ignore"):
                found[i, j] = float(cell) if _is_number(cell) else np.nan
            if not np.isfinite(found[i, j]):
                bad.append((line, f"{titles[place]!r} holds {cell[:_LONG]!r}, which is no finite number of float32"))
    _refuse(path, bad)
    return found


def _classes(path: Any, rows: list[_Row], place: int, titles: list[str], labels: Sequence[str] | None) -> np.ndarray:
    cells = [cells[place] for _, cells in rows]
    if labels:
        known = list(labels)
    else:
        known = [] if all(map(_is_integer, cells)) else sorted({*cells})
        numbers = [cell for cell in known if _is_number(cell)]
        if numbers and known:  # one text among numbers is a slip, and no class
            texts = [cell for cell in known if not _is_integer(cell)]
            of_slips = [(line, row[place]) for line, row in rows if row[place] in texts]
            _refuse(
                path, [(line, f"{titles[place]!r} holds {cell[:_LONG]!r} among integers") for line, cell in of_slips]
            )
    wrong = [line for line, row in rows if known and row[place] not in known]
    _refuse(
        path, [(line, f"{titles[place]!r} holds a class that is none of {', '.join(known)[:80]}") for line in wrong]
    )
    empty = [(line, f"{titles[place]!r} is empty") for line, row in rows if not row[place]]
    _refuse(path, empty)
    found = [known.index(cell) if known else int(cell) for cell in cells]
    outside = [
        (line, "the class is beyond int32")
        for (line, _), number in zip(rows, found, strict=True)
        if abs(number) >= 2**31
    ]
    _refuse(path, outside)
    return np.array(found, np.int32)


def _refuse_numbered(path: Any, rows: list[_Row]) -> None:
    """Raise for a first line that has the numbers of the columns, which pandas writes where they have no names."""
    (line, first), *others = rows
    numbered = [place for place, cell in enumerate(first) if cell == str(place)]
    if len(first) < _FEWEST_NUMBERED or len(numbered) < sum(map(_is_number, first)):
        return
    if any(not _is_integer(cell) for _, cells in others for place, cell in enumerate(cells) if place in numbered):
        raise ValueError(
            f"{str(path)!r}, line {line}: {', '.join(first)[:_LONG]} are numbers of columns and no point, as pandas "
            "writes them unless header=False is given. Give the columns names, or remove the line."
        )


def _refuse(path: Any, bad: list[tuple[int, str]]) -> None:
    """Raise for the first bad line, if there is one, and name some others."""
    if not bad:
        return
    lines = list(dict.fromkeys(line for line, _ in bad))
    others = ", ".join(map(str, lines[1:MOST_BAD])) + (", …" if len(lines) > MOST_BAD else "")
    also = f" ({len(lines)} lines are bad, also {others})" if others else ""
    raise ValueError(f"{str(path)!r}, line {lines[0]}: {bad[0][1]}{also}. Mend the lines or remove them.")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # which Python takes for a separator of digits


def _is_integer(cell: str) -> bool:
    return cell.removeprefix("-").isdecimal() and cell.isascii()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
