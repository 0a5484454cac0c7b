"""[edge] Studies written down as TOML files, for ``python -m jaxgeom study FILE.toml``.

The tables are ``[axes]``, ``[data]``, ``[test]``, ``[model]``, ``[optimizer]``, ``[train]``, and one
``[measure.NAME]`` for each measurement; see ``examples/study.toml``.
"""

import inspect
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import optax

from jaxgeom import datasets, losses
from jaxgeom.domains import box, grid_points, polygon, whole_plane
from jaxgeom.models import mlp
from jaxgeom.study import measurements
from jaxgeom.study.result import Study
from jaxgeom.study.run import run_study

TABLES = ("axes", "data", "test", "model", "optimizer", "train", "measure")
TOP_LEVEL = ("key", "static", "chunk_size")
TRAIN = ("loss", "num_epochs", "batch_size", "at_steps", "inputs", "outputs")
DATA: tuple[str, ...] = ("spirals", "rings", "disk_with_holes", "line_segments", "parity", "damped_sine", "moons")
DATA = (*DATA, "circles", "blobs", "checkerboard")
LOSSES = ("squared_error", "softmax_cross_entropy", "binary_cross_entropy", "percentage_error")
ACCURACIES = ("class_is_right", "side_is_right")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam", "lion", "adabelief", "novograd")


def run_file(path: str | os.PathLike[str], *, out: str | os.PathLike[str] | None, progress: bool = True) -> Study:
    """Run the study that a file describes.

    Args:
        path: a TOML file.
        out: directory of the study.
        progress: show a progress bar.

    Raises:
        ValueError: for what is no TOML, and for unknown keys and values; the message names those that are allowed.
    """
    return run_study(**study_arguments(read(path)), out=out, progress=progress)


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        return tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise ValueError(f"cannot read {str(path)!r}: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{str(path)!r} is not TOML: {error}.") from error


def study_arguments(file: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of :func:`jaxgeom.run_study` that the content of a file stands for."""
    _check_keys("the file", file, (*TOP_LEVEL, *TABLES), needed=("axes", "measure"))
    for name in TABLES:
        if not isinstance(file.get(name, {}), Mapping):
            raise ValueError(f"[{name}] must be a table, but {file[name]!r} was given.")
    train = file.get("train", {})
    _check_keys("[train]", train, TRAIN)
    found: dict[str, Any] = {name: file[name] for name in TOP_LEVEL if name in file}
    found |= {name: value for name, value in train.items() if name != "loss"}
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
    found["measure"] = {name: _measurement(name, table) for name, table in file["measure"].items()}
    return found


def _axis(name: str, values: Any) -> Any:
    """A value, a list, or a table with the numbers from ``start`` up to but without ``stop``."""
    if not isinstance(values, Mapping):
        return [tuple(item) if isinstance(item, list) else item for item in values] if _is_list(values) else values
    _check_keys(f"the axis {name!r}", values, ("start", "stop", "step"), needed=("stop",))
    return range(values.get("start", 0), values["stop"], values.get("step", 1))


def _measurement(name: str, table: Any) -> measurements.Measurement:
    where = f"[measure.{name}]"
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} must be a table with `what` to measure, but {table!r} was given.")
    _check_keys(where, {"what": table.get("what")}, ("what",))
    kinds: dict[str, Callable[..., measurements.Measurement]] = {
        "loss": measurements.loss_on,
        "accuracy": measurements.accuracy_on,
        "exact_regions": measurements.exact_regions,
        "grid_regions": _grid_regions,
        "boundary_lengths": measurements.boundary_lengths,
        "line_breakpoints": measurements.line_breakpoints,
        "states": measurements.states_at,
    }
    if table.get("what") not in kinds:
        raise ValueError(f"`what` in {where} must be one of {', '.join(kinds)}, but {table.get('what')!r} was given.")
    function = kinds[table["what"]]
    settings = {key: value for key, value in table.items() if key != "what"}
    arguments = inspect.signature(function).parameters
    needed = [n for n, p in arguments.items() if p.default is inspect.Parameter.empty]
    _check_keys(where, settings, tuple(arguments), needed=needed)
    if "domain" in settings:
        settings["domain"] = _domain(where, settings["domain"])
    if "is_right" in settings:
        settings["is_right"] = _named(f"is_right in {where}", settings["is_right"], ACCURACIES, losses)
    return function(**settings)


def _grid_regions(domain: Any, num_grid: int = 101, atol: float = 1e-3) -> measurements.Measurement:
    return measurements.grid_regions(grid_points(domain, num_grid, with_corners=True), atol=atol)


def _domain(where: str, given: Any) -> Any:
    """``[low, high]`` for a square, ``[[x, y], …]`` for a convex polygon, or "plane"."""
    if given == "plane":
        return whole_plane()
    if _is_list(given) and len(given) == 2 and not any(map(_is_list, given)):
        return box(*given)
    if _is_list(given) and len(given) > 2 and all(_is_list(corner) and len(corner) == 2 for corner in given):
        return polygon(given)
    raise ValueError(
        f"the domain in {where} must be [low, high] for a square, the corners [[x, y], …] of a convex polygon, or "
        f'"plane", but {given!r} was given.'
    )


def _with_settings(where: str, table: Mapping[str, Any], names: Sequence[str], room: Any) -> Callable[..., Any]:
    if "name" not in table:
        raise ValueError(f"{where} needs a `name`, one of {', '.join(names)}.")
    function = _named(f"the name in {where}", table["name"], names, room)
    return _partial(where, function, {key: value for key, value in table.items() if key != "name"}, without=("key",))


def _partial(
    where: str, function: Callable[..., Any], settings: Mapping[str, Any], without: Sequence[str]
) -> Callable[..., Any]:
    allowed = [name for name in inspect.signature(function).parameters if name not in without]
    _check_keys(where, settings, allowed)
    fixed = {name: tuple(value) if _is_list(value) else value for name, value in settings.items()}
    return partial(function, **fixed) if fixed else function


def _named(where: str, name: Any, names: Sequence[str], room: Any) -> Any:
    if name not in names:
        raise ValueError(f"{where} must be one of {', '.join(names)}, but {name!r} was given.")
    return getattr(room, name)


def _check_keys(where: str, table: Any, allowed: Sequence[str], needed: Sequence[str] = ()) -> None:
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} must be a table, but {table!r} was given.")
    unknown = [name for name in table if name not in allowed]
    if unknown:
        raise ValueError(f"{where} has the unknown key {unknown[0]!r}; allowed are {', '.join(allowed) or 'none'}.")
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(f"{where} needs {', '.join(missing)}; allowed are {', '.join(allowed)}.")


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
