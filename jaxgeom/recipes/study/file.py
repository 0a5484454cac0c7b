"""[edge] Studies written down as TOML files, for ``python -m jaxgeom study FILE.toml``.

The tables are ``[axes]``, ``[data]``, ``[test]``, ``[model]``, ``[optimizer]``, ``[train]``, and one
``[measure.NAME]`` for each measurement; see ``examples/study.toml``.
"""

import inspect
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from jaxgeom.data import losses
from jaxgeom.networks.models import mlp
from jaxgeom.recipes.study import parts
from jaxgeom.recipes.study.measures import ACCURACIES, measurement
from jaxgeom.recipes.study.own import is_own, own_function, place_of, said
from jaxgeom.recipes.study.values import check_keys, check_setting, is_integer, is_list, named, shown
from jaxgeom.study import measurements
from jaxgeom.study.result import Study
from jaxgeom.study.run import num_chunks, run_study

TABLES = ("axes", "data", "test", "model", "optimizer", "train", "measure")
TOP_LEVEL = ("key", "static", "chunk_size", "any_versions")
TRAIN = ("loss", "num_epochs", "batch_size", "at_steps", "inputs", "outputs", "until", "max_tries")
LOSSES = (
    *("squared_error", "softmax_cross_entropy", "binary_cross_entropy", "probability_cross_entropy"),
    *("percentage_error", "squared_percentage_error"),
)
OF_CLASSES = ("softmax_cross_entropy", "binary_cross_entropy", "probability_cross_entropy")
"""Losses for which the targets in files are classes."""
ARCHITECTURE = ("width", "depth", "hidden", "seed")
FULL = "full"
"""As a size of batches."""


def run_file(
    path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None,
    any_versions: bool = False,
    progress: bool = True,
    shard: tuple[int, int] | None = None,
) -> Study:
    """Run the study that a file describes.

    Args:
        path: a TOML file.
        out: directory of the study.
        any_versions: go on with a study that was begun with other versions, as for :func:`jaxgeom.run_study`.
        progress: show a progress bar.
        shard: the part that this process computes, as for :func:`jaxgeom.run_study`.

    Raises:
        ValueError: for what is no TOML, and for unknown keys and values; the message names those that are allowed.
    """
    arguments = study_arguments(read(path), Path(path).parent)
    if any_versions:
        arguments["any_versions"] = True
    with _one_line(path):
        return run_study(**arguments, out=out, progress=progress, shard=shard)


def check_file(path: str | os.PathLike[str]) -> int:
    """The number of chunks of the study that a file describes; raises a ValueError if it cannot be run."""
    arguments = study_arguments(read(path), Path(path).parent)
    arguments.pop("any_versions", None)
    with _one_line(path):
        return num_chunks(**arguments)


@contextmanager
def _one_line(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of functions of one's own, and of values in the file, as ValueErrors that say where they are from."""
    try:
        yield
    except Exception as error:
        place = place_of(error)
        if place is not None:
            raise ValueError(f"the study in {str(path)!r} cannot be run: {place} raised {said(error)}") from error
        if isinstance(error, TypeError | OverflowError | MemoryError):  # of the file's values, one of which is to blame
            what = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ValueError(f"the study in {str(path)!r} cannot be run: {what}") from error
        raise


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        content = Path(path).read_bytes().decode()
        if content.startswith("\ufeff"):
            raise ValueError(f"{str(path)!r} begins with a byte order mark; save it as UTF-8 without one.")
        return tomllib.loads(content)
    except OSError as error:
        raise ValueError(f"cannot read {str(path)!r}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(path)!r} is not TOML: byte {error.start} is not UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{str(path)!r} is not TOML: {error}.") from error
    except RecursionError as error:
        raise ValueError(f"{str(path)!r} nests lists or tables too deep to be read.") from error


def study_arguments(file: Mapping[str, Any], folder: str | os.PathLike[str] = ".") -> dict[str, Any]:
    """The arguments of :func:`jaxgeom.run_study` that the content of a file stands for.

    Args:
        file: the content.
        folder: that of the file, from which paths of data and modules of one's own count.
    """
    folder = Path(folder)
    check_keys("the file", file, (*TOP_LEVEL, *TABLES), needed=("axes", "measure"))
    for name in TABLES:
        if not isinstance(file.get(name, {}), Mapping):
            raise ValueError(f"[{name}] must be a table, but {shown(file[name])} was given.")
    train = file.get("train", {})
    check_keys("[train]", train, TRAIN)
    found: dict[str, Any] = {name: file[name] for name in TOP_LEVEL if name in file}
    found |= {name: value for name, value in train.items() if name not in ("loss", "until")}
    _check_numbers(found)
    if "until" in train:
        found["until"] = _until(train["until"], folder)
    if "loss" in train:
        found["loss"] = _loss("the loss in [train]", train["loss"], folder)
    others = {name: values for name, values in file["axes"].items() if name not in parts.PARTS}
    found["axes"] = {name: _axis(name, values) for name, values in others.items()}
    if "model" in file:
        found["model"] = parts.model("[model]", file["model"], folder)
    for name, values in _parts(file, folder).items():
        if list(values) == [""]:
            found[name] = values[""]
        elif name == "test":
            found["test"] = values
        else:
            found["axes"][name] = values
    for name, values in found["axes"].items():
        if name not in (*ARCHITECTURE, *parts.PARTS, "batch_size"):
            _check_axis(name, values, found)
    found["measure"] = {name: measurement(name, table, folder) for name, table in file["measure"].items()}
    order = [name for name in file["axes"] if name in found["axes"]]
    found["axes"] = {name: found["axes"][name] for name in (*order, *found["axes"])}
    return found


def _loss(where: str, given: Any, folder: Path) -> Any:
    return own_function(where, given, folder) if is_own(given) else named(where, given, LOSSES, losses)


def _until(given: Any, folder: Path) -> Any:
    if is_own(given):
        return own_function("until in [train]", given, folder)
    return measurements.all_right(is_right=named("until in [train]", given, ACCURACIES, losses))


def _parts(file: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Data, second splits and optimizers by their names."""
    has_classes = file.get("train", {}).get("loss") in OF_CLASSES

    def make_data(where: str, table: Mapping[str, Any]) -> Any:
        first = file.get("data", {})
        first = first.get(where.partition(".")[2].removesuffix("]"), first)
        like = first if isinstance(first, Mapping) else {}
        return parts.data(where, table, folder, has_classes=has_classes, like=like)

    def make_optimizer(where: str, table: Mapping[str, Any]) -> Any:
        return parts.optimizer(where, table, folder)

    return {
        kind: parts.several(kind, file, make)
        for kind, make in (("data", make_data), ("test", make_data), ("optimizer", make_optimizer))
        if kind in file or kind in file["axes"]
    }


def _check_numbers(found: Mapping[str, Any]) -> None:
    """Raise a ValueError unless numbers are such, and lists hold what they have to."""
    for name, value in found.items():
        if name in ("key", "chunk_size", "num_epochs", "batch_size", "inputs", "outputs", "max_tries"):
            if not is_integer(value):
                raise ValueError(f"{name} must be an integer, but {shown(value)} was given.")
        elif name == "at_steps":
            if not is_list(value) or not all(map(is_integer, value)):
                raise ValueError(
                    f"at_steps must be a list of integers, such as [0, 100], but {shown(value)} was given."
                )
        elif name == "static":
            if not is_list(value) or not all(isinstance(item, str) for item in value):
                raise ValueError(
                    f'static must be a list of names, such as ["num_points"], but {shown(value)} was given.'
                )
        elif name == "any_versions" and not isinstance(value, bool):
            raise ValueError(f"any_versions must be true or false, but {shown(value)} was given.")


def _axis(name: str, values: Any) -> Any:
    """A value, a list, or a table with the numbers from ``start`` up to but without ``stop``."""
    if isinstance(values, Mapping):
        check_keys(f"the axis {name!r}", values, ("start", "stop", "step"), needed=("stop",))
        start, stop, step = values.get("start", 0), values["stop"], values.get("step", 1)
        if not all(map(is_integer, (start, stop, step))) or step == 0:
            raise ValueError(
                f"the axis {name!r} needs integers for start, stop and step, and a step that is not 0, but "
                f"{shown(dict(values))} was given."
            )
        return range(start, stop, step)
    if name == "batch_size":
        sizes = values if is_list(values) else [values]
        if not all(is_integer(size) or size == FULL for size in sizes):
            raise ValueError(f"the axis 'batch_size' takes integers and \"{FULL}\", but {shown(values)} was given.")
        return {str(size): None if size == FULL else size for size in sizes} if FULL in sizes else values
    for item in values if is_list(values) else [values]:
        is_value = isinstance(item, bool | int | float | str)
        if not is_value and not (is_list(item) and all(isinstance(part, int | float | str) for part in item)):
            raise ValueError(
                f"the axis {name!r} takes numbers, true and false, texts and lists, but {shown(item)} was given."
            )
    return [tuple(item) if is_list(item) else item for item in values] if is_list(values) else values


def _check_axis(name: str, values: Any, found: Mapping[str, Any]) -> None:
    """Raise a ValueError unless the part of the study that takes an axis can take its values."""
    takers = [("model", found.get("model", mlp))]
    for part in parts.PARTS:
        several = found["axes"].get(part, found.get(part))
        takers += [(part, one) for one in (several.values() if isinstance(several, Mapping) else [several])]
    for part, function in takers:
        if not callable(function):
            continue
        parameter = inspect.signature(function).parameters.get(name)
        if parameter is None or (part == "model" and parameter.name in ("features", "widths")):
            continue
        inner = function.func if isinstance(function, partial) else function
        if (inner.__module__ or "").partition(".")[0] in ("jaxgeom", "optax"):
            for value in values if isinstance(values, list | range) else [values]:
                check_setting(f"the axis {name!r}", value, parameter)
        if isinstance(values, list | range) and parameter.annotation is int and name not in found.get("static", ()):
            raise ValueError(f"the axis {name!r} decides sizes of arrays: name it in static = [{name!r}].")
