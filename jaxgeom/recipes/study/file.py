"""[edge] Studies written down as TOML files, for ``python -m jaxgeom study FILE.toml``.

The tables are ``[axes]``, ``[data]``, ``[test]``, ``[model]``, ``[optimizer]``, ``[train]``, and one
``[measure.NAME]`` for each measurement; see ``examples/study.toml``.
"""

import inspect
import math
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import optax

from jaxgeom._typing import PAIR
from jaxgeom.data import datasets, losses
from jaxgeom.domains import box, grid_points, polygon, whole_plane
from jaxgeom.networks.models import mlp
from jaxgeom.study import measurements
from jaxgeom.study.demand import check_data
from jaxgeom.study.result import Study
from jaxgeom.study.run import run_study

LINE = 80
"""Characters of a value that a message shows."""

TABLES = ("axes", "data", "test", "model", "optimizer", "train", "measure")
TOP_LEVEL = ("key", "static", "chunk_size", "any_versions")
TRAIN = ("loss", "num_epochs", "batch_size", "at_steps", "inputs", "outputs", "until", "max_tries")
DATA: tuple[str, ...] = ("spirals", "rings", "disk_with_holes", "line_segments", "parity", "damped_sine", "moons")
DATA = (*DATA, "circles", "blobs", "checkerboard")
LOSSES = ("squared_error", "softmax_cross_entropy", "binary_cross_entropy", "percentage_error")
ACCURACIES = ("is_right", "class_is_right", "side_is_right")
DTYPES = ("float32", "bfloat16", "float16", "float64")
ARCHITECTURE = ("width", "depth", "hidden", "seed")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam", "lion", "adabelief", "novograd")


def run_file(
    path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None,
    any_versions: bool = False,
    progress: bool = True,
) -> Study:
    """Run the study that a file describes.

    Args:
        path: a TOML file.
        out: directory of the study.
        any_versions: go on with a study that was begun with other versions, as for :func:`jaxgeom.run_study`.
        progress: show a progress bar.

    Raises:
        ValueError: for what is no TOML, and for unknown keys and values; the message names those that are allowed.
    """
    arguments = study_arguments(read(path))
    if any_versions:
        arguments["any_versions"] = True
    try:
        return run_study(**arguments, out=out, progress=progress)
    except (TypeError, OverflowError, MemoryError) as error:
        # A file holds values alone, so that one of them is to blame.
        what = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"the study in {str(path)!r} cannot be run: {what}") from error


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


def study_arguments(file: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of :func:`jaxgeom.run_study` that the content of a file stands for."""
    _check_keys("the file", file, (*TOP_LEVEL, *TABLES), needed=("axes", "measure"))
    for name in TABLES:
        if not isinstance(file.get(name, {}), Mapping):
            raise ValueError(f"[{name}] must be a table, but {_shown(file[name])} was given.")
    train = file.get("train", {})
    _check_keys("[train]", train, TRAIN)
    found: dict[str, Any] = {name: file[name] for name in TOP_LEVEL if name in file}
    found |= {name: value for name, value in train.items() if name not in ("loss", "until")}
    _check_numbers(found)
    if "until" in train:
        is_right = _named("until in [train]", train["until"], ACCURACIES, losses)
        found["until"] = measurements.all_right(is_right=is_right)
    if "loss" in train:
        found["loss"] = _named("the loss in [train]", train["loss"], LOSSES, losses)
    found["axes"] = {name: _axis(name, values) for name, values in file["axes"].items()}
    for name in ("data", "test"):
        if name in file:
            found[name] = _with_settings(f"[{name}]", file[name], DATA, datasets)
    if "model" in file:
        found["model"] = _partial("[model]", mlp, file["model"], without=("features", "widths"))
    if "optimizer" in file:
        found["optimizer"] = _with_settings("[optimizer]", file["optimizer"], OPTIMIZERS, optax)
    for name, values in found["axes"].items():
        if name not in ARCHITECTURE:
            _check_axis(name, values, found)
    found["measure"] = {name: _measurement(name, table) for name, table in file["measure"].items()}
    return found


def _check_numbers(found: Mapping[str, Any]) -> None:
    """Raise a ValueError unless numbers are such, and lists hold what they have to."""
    for name, value in found.items():
        if name in ("key", "chunk_size", "num_epochs", "batch_size", "inputs", "outputs", "max_tries"):
            if not _is_integer(value):
                raise ValueError(f"{name} must be an integer, but {_shown(value)} was given.")
        elif name == "at_steps":
            if not _is_list(value) or not all(map(_is_integer, value)):
                raise ValueError(
                    f"at_steps must be a list of integers, such as [0, 100], but {_shown(value)} was given."
                )
        elif name == "static":
            if not _is_list(value) or not all(isinstance(item, str) for item in value):
                raise ValueError(
                    f'static must be a list of names, such as ["num_points"], but {_shown(value)} was given.'
                )
        elif name == "any_versions" and not isinstance(value, bool):
            raise ValueError(f"any_versions must be true or false, but {_shown(value)} was given.")


def _axis(name: str, values: Any) -> Any:
    """A value, a list, or a table with the numbers from ``start`` up to but without ``stop``."""
    if isinstance(values, Mapping):
        _check_keys(f"the axis {name!r}", values, ("start", "stop", "step"), needed=("stop",))
        start, stop, step = values.get("start", 0), values["stop"], values.get("step", 1)
        if not all(map(_is_integer, (start, stop, step))) or step == 0:
            raise ValueError(
                f"the axis {name!r} needs integers for start, stop and step, and a step that is not 0, but "
                f"{_shown(dict(values))} was given."
            )
        return range(start, stop, step)
    for item in values if _is_list(values) else [values]:
        is_value = isinstance(item, bool | int | float | str)
        if not is_value and not (_is_list(item) and all(isinstance(part, int | float | str) for part in item)):
            raise ValueError(
                f"the axis {name!r} takes numbers, true and false, texts and lists, but {_shown(item)} was given."
            )
    return [tuple(item) if _is_list(item) else item for item in values] if _is_list(values) else values


def _check_axis(name: str, values: Any, found: Mapping[str, Any]) -> None:
    """Raise a ValueError unless the part of the study that takes an axis can take its values."""
    for part in ("data", "test", "model", "optimizer"):
        parameter = inspect.signature(found.get(part, mlp)).parameters.get(name)
        if parameter is None or (part == "model" and part not in found and parameter.name in ("features", "widths")):
            continue
        for value in values if isinstance(values, list | range) else [values]:
            _check_setting(f"the axis {name!r}", value, parameter)
        if isinstance(values, list | range) and parameter.annotation is int and name not in found.get("static", ()):
            raise ValueError(f"the axis {name!r} decides sizes of arrays: name it in static = [{name!r}].")


def _check_setting(where: str, value: Any, parameter: inspect.Parameter) -> None:
    """Raise a ValueError unless a function can take a value from a file."""
    kind, kinds = parameter.annotation, get_args(parameter.annotation)
    if kind is bool:
        wanted, is_right = "true or false", isinstance(value, bool)
    elif kind is int:
        wanted, is_right = "an integer", _is_integer(value)
    elif kind is str or str in kinds:
        many = parameter.name == "activation" and _is_list(value)
        items = value if many else [value]
        if float in kinds:
            wanted, is_right = "a text or a number", all(isinstance(item, str) or _is_number(item) for item in items)
        else:
            wanted, is_right = "a text", all(isinstance(item, str) for item in items)
    elif parameter.name.endswith("dtype"):
        wanted, is_right = f"one of {', '.join(DTYPES)}", value in DTYPES
    elif isinstance(parameter.default, tuple):
        num = len(parameter.default)
        wanted, is_right = (
            f"a list of {num} numbers",
            _is_list(value) and len(value) == num and all(map(_is_number, value)),
        )
    elif parameter.name in ("start", "stop", "points"):
        wanted, is_right = "a list of points, each a list of as many numbers", _is_array(value)
    elif parameter.name == "learning_rate":
        wanted, is_right = "a number that is not negative", _is_number(value) and value >= 0
    else:
        wanted, is_right = "a finite number", _is_number(value)
    if not is_right:
        raise ValueError(f"{where} needs {wanted}, but {_shown(value)} was given.")


def _measurement(name: str, table: Any) -> measurements.Measurement:
    where = f"[measure.{name}]"
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} must be a table with `what` to measure, but {_shown(table)} was given.")
    kinds: dict[str, Callable[..., measurements.Measurement]] = {
        "loss": measurements.loss_on,
        "accuracy": measurements.accuracy_on,
        "exact_regions": measurements.exact_regions,
        "grid_regions": _grid_regions,
        "boundary_lengths": measurements.boundary_lengths,
        "line_breakpoints": measurements.line_breakpoints,
        "topology": measurements.topology,
        "critical_points": measurements.critical_points,
        "decision_surfaces": measurements.decision_surfaces,
        "functional_dimension": measurements.functional_dimension,
        "states": measurements.states_at,
    }
    if not isinstance(table.get("what"), str) or table["what"] not in kinds:
        given = f"{_shown(table['what'])} was given" if "what" in table else "it is missing"
        raise ValueError(f"`what` in {where} must be one of {', '.join(kinds)}, but {given}.")
    function = kinds[table["what"]]
    settings = {key: value for key, value in table.items() if key != "what"}
    arguments = inspect.signature(function).parameters
    needed = [n for n, p in arguments.items() if p.default is inspect.Parameter.empty]
    _check_keys(where, settings, tuple(arguments), needed=needed)
    for key, value in settings.items():
        if key not in ("domain", "is_right"):
            _check_setting(f"{key} in {where}", value, arguments[key])
    settings |= {key: np.array(value, float) for key, value in settings.items() if key in ("start", "stop", "points")}
    if "domain" in settings:
        settings["domain"] = _domain(where, settings["domain"])
    if "is_right" in settings:
        settings["is_right"] = _named(f"is_right in {where}", settings["is_right"], ACCURACIES, losses)
    return function(**settings)


def _grid_regions(domain: Any, num_grid: int = 101, atol: float = 1e-3) -> measurements.Measurement:
    check_data(f"a grid of {num_grid:,} × {num_grid:,} points", 16 * num_grid**2)
    return measurements.grid_regions(grid_points(domain, num_grid, with_corners=True), atol=atol)


def _domain(where: str, given: Any) -> Any:
    """``[low, high]`` for a square, ``[[x, y], …]`` for a convex polygon, "plane", or ``{low, high, dim}``."""
    if given == "plane":
        return whole_plane()
    if isinstance(given, Mapping):
        _check_keys(f"the domain in {where}", given, ("low", "high", "dim"), needed=("low", "high", "dim"))
        if not (_is_real(given["low"]) and _is_real(given["high"]) and _is_integer(given["dim"])):
            raise ValueError(f"the domain in {where} needs numbers low, high and dim, but {_shown(given)} was given.")
        return box(given["low"], given["high"], dim=given["dim"])
    if _is_list(given) and len(given) == PAIR and all(map(_is_real, given)):
        return box(*given)
    if (
        _is_list(given)
        and len(given) > PAIR
        and all(_is_list(corner) and len(corner) == PAIR and all(map(_is_real, corner)) for corner in given)
    ):
        return polygon(given)
    raise ValueError(
        f"the domain in {where} must be [low, high] for a square, the corners [[x, y], …] of a convex polygon, "
        f'"plane", or {{low = -1, high = 1, dim = 3}} for a box, but {_shown(given)} was given.'
    )


def _with_settings(where: str, table: Mapping[str, Any], names: Sequence[str], room: Any) -> Callable[..., Any]:
    if "name" not in table:
        raise ValueError(f"{where} needs a `name`, one of {', '.join(names)}.")
    function = _named(f"the name in {where}", table["name"], names, room)
    return _partial(where, function, {key: value for key, value in table.items() if key != "name"}, without=("key",))


def _partial(
    where: str, function: Callable[..., Any], settings: Mapping[str, Any], without: Sequence[str]
) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters
    _check_keys(where, settings, [name for name in parameters if name not in (*without, "mask")])
    for name, value in settings.items():
        _check_setting(f"{name} in {where}", value, parameters[name])
    fixed = {name: tuple(value) if _is_list(value) else value for name, value in settings.items()}
    return partial(function, **fixed) if fixed else function


def _named(where: str, name: Any, names: Sequence[str], room: Any) -> Any:
    if not isinstance(name, str) or name not in names:
        raise ValueError(f"{where} must be one of {', '.join(names)}, but {_shown(name)} was given.")
    return getattr(room, name)


def _check_keys(where: str, table: Any, allowed: Sequence[str], needed: Sequence[str] = ()) -> None:
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} must be a table, but {_shown(table)} was given.")
    unknown = [name for name in table if name not in allowed]
    if unknown:
        raise ValueError(f"{where} has the unknown key {unknown[0]!r}; allowed are {', '.join(allowed) or 'none'}.")
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(f"{where} needs {', '.join(missing)}; allowed are {', '.join(allowed)}.")


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_real(value) and math.isfinite(value)


def _is_array(value: Any) -> bool:
    """Whether nested lists are an array of finite numbers."""
    if not _is_list(value):
        return _is_number(value)
    lengths = {len(item) if _is_list(item) else -1 for item in value}
    return len(lengths) == 1 and all(map(_is_array, value))


def _shown(value: Any) -> str:
    """A value in one line that is not long."""
    text = repr(value)
    return text if len(text) <= LINE else f"{text[: LINE - 3]}…"
