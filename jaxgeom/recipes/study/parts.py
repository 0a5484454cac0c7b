"""[edge] Data sets, models and optimizers in files that describe studies: one each, or several as an axis.

``[data]`` and ``[test]`` are a data set of :mod:`jaxgeom.datasets` (``name``), a file (``csv`` or ``npz``) or a
function of one's own (``function``); ``[optimizer]`` and ``[model]`` a ``name`` or a ``function``. Several tables
such as ``[data.NAME]`` are the values of an axis.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import optax

from jaxgeom.data import datasets
from jaxgeom.data.files import dataset_from_csv, dataset_from_npz, labels_of_csv
from jaxgeom.host.names import did_you_mean
from jaxgeom.networks.models import mlp
from jaxgeom.recipes.study.own import own_function, with_own_settings
from jaxgeom.recipes.study.values import check_keys, check_setting, is_integer, is_list, named, shown

DATA: tuple[str, ...] = ("spirals", "rings", "disk_with_holes", "line_segments", "parity", "damped_sine", "moons")
DATA = (*DATA, "circles", "blobs", "checkerboard")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam", "lion", "adabelief", "novograd")
SOURCES = {
    "data": ("name", "csv", "npz", "function"),
    "test": ("name", "csv", "npz", "function"),
    "optimizer": ("name", "function"),
    "model": ("function",),
}
"""Keys of which a table has one."""
PARTS = ("data", "test", "optimizer")
"""What may be several tables."""
_FILE_KEYS = {"csv": ("inputs", "target", "classes", "delimiter"), "npz": ("inputs", "target", "classes")}


def several(kind: str, file: Mapping[str, Any], make: Callable[[str, Mapping[str, Any]], Any]) -> dict[str, Any]:
    """Parts of a study by their names; the name "" if there is one alone, and none if the file has none.

    Args:
        kind: "data", "test" or "optimizer".
        file: the content of the file.
        make: makes a part of the name of its table and of the table.
    """
    table = file.get(kind, {})
    listed = file["axes"].get(kind) if isinstance(file.get("axes"), Mapping) else None
    has_names = bool(table) and all(isinstance(inner, Mapping) for inner in table.values())
    if listed is None and not has_names:
        return {"": make(f"[{kind}]", table)} if kind in file else {}
    names = list(table) if listed is None else listed if is_list(listed) else [listed]
    if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise ValueError(
            f"the axis {kind!r} takes different names, such as those of tables [{kind}.NAME], but "
            f"{shown(listed)} was given."
        )
    if table and not has_names:
        raise ValueError(
            f"{kind} is given twice, by [{kind}] and as an axis; put the settings of a value of the axis into a table "
            f"[{kind}.NAME]."
        )
    unused = [name for name in table if name not in names]
    if unused:
        raise ValueError(
            f"[{kind}.{unused[0]}] is not among the values of the axis {kind!r}, {', '.join(names)}."
            f"{did_you_mean(unused[0], names)}"
        )
    found = {}
    for name in names:
        inner = table.get(name, {})
        has_source = any(source in inner for source in SOURCES[kind])
        found[name] = make(f"[{kind}.{name}]", inner if has_source else {"name": name, **inner})
    return found


def optimizer(where: str, table: Mapping[str, Any], folder: Path) -> Any:
    """An optimizer of optax, or of one's own, with its settings."""
    if _source(where, table, "optimizer") == "function":
        return _own(where, table, folder)
    return _with_settings(where, table, OPTIMIZERS, optax)


def model(where: str, table: Mapping[str, Any], folder: Path) -> Any:
    """``jaxgeom.mlp``, or a function of one's own, with its settings."""
    if "function" in table:
        return _own(where, table, folder, provided=("features", "widths"))
    return with_checked_settings(where, mlp, table, without=("features", "widths"))


def data(where: str, table: Mapping[str, Any], folder: Path, *, has_classes: bool, like: Mapping[str, Any]) -> Any:
    """A data set of :mod:`jaxgeom.datasets`, of a file or of one's own.

    Args:
        where: name of the table.
        table: its content.
        folder: that of the file.
        has_classes: whether the targets of files are classes, where the table does not say so.
        like: the table of the first split, whose classes have the same texts.
    """
    source = _source(where, table, "data")
    if source == "function":
        return _own(where, table, folder, provided=("key",))
    if source == "name":
        return _with_settings(where, table, DATA, datasets)
    check_keys(where, table, (source, *_FILE_KEYS[source]))
    _check_file_keys(where, table, source)
    settings = {key: value for key, value in table.items() if key != source}
    settings.setdefault("classes", has_classes)
    path = folder / table[source]
    try:
        if source == "npz":
            return dataset_from_npz(path, **settings)
        if settings["classes"] and "csv" in like:
            about = {key: like[key] for key in ("target", "delimiter") if key in like}
            settings["labels"] = labels_of_csv(folder / like["csv"], **about)
        return dataset_from_csv(path, **settings)
    except OSError as error:
        raise ValueError(f"{where}: cannot read {str(path)!r}: {error.strerror or error}.") from error
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def with_checked_settings(
    where: str, function: Callable[..., Any], settings: Mapping[str, Any], without: Sequence[str]
) -> Callable[..., Any]:
    """A function of the library with settings from a file."""
    parameters = inspect.signature(function).parameters
    check_keys(where, settings, [name for name in parameters if name not in (*without, "mask")])
    for name, value in settings.items():
        check_setting(f"{name} in {where}", value, parameters[name])
    fixed = {name: tuple(value) if is_list(value) else value for name, value in settings.items()}
    return partial(function, **fixed) if fixed else function


def _with_settings(where: str, table: Mapping[str, Any], names: Sequence[str], room: Any) -> Callable[..., Any]:
    function = named(f"the name in {where}", table["name"], names, room)
    settings = {key: value for key, value in table.items() if key != "name"}
    return with_checked_settings(where, function, settings, without=("key",))


def _own(where: str, table: Mapping[str, Any], folder: Path, provided: Sequence[str] = ()) -> Any:
    function = own_function(f"function in {where}", table["function"], folder)
    settings = {key: value for key, value in table.items() if key != "function"}
    fixed = with_own_settings(where, function, settings, provided)
    return partial(function, **fixed) if fixed else function


def _source(where: str, table: Mapping[str, Any], kind: str) -> str:
    given = [key for key in SOURCES[kind] if key in table]
    if len(given) != 1:
        names = ", ".join(DATA if kind == "data" else OPTIMIZERS)
        others = ", or ".join(f"a `{key}`" for key in SOURCES[kind][1:])
        also = f", but {' and '.join(given)} were given" if given else ""
        raise ValueError(f"{where} needs a `name`, one of {names}, or {others}{also}.")
    return given[0]


def _check_file_keys(where: str, table: Mapping[str, Any], source: str) -> None:
    def is_column(value: Any) -> bool:
        return isinstance(value, str) or (source == "csv" and is_integer(value))

    kinds: dict[str, tuple[str, Callable[[Any], bool]]] = {
        source: ("the path of a file", lambda value: isinstance(value, str)),
        "classes": ("true or false", lambda value: isinstance(value, bool)),
        "delimiter": ("one character", lambda value: isinstance(value, str)),
        "inputs": ("the name of an array", is_column),
        "target": ("the name of an array", is_column),
    }
    if source == "csv":
        kinds["inputs"] = (
            "a list of columns, by name or number",
            lambda value: is_list(value) and all(map(is_column, value)),
        )
        kinds["target"] = (
            "a column, by name or number, or a list of them",
            lambda value: is_column(value) or (is_list(value) and all(map(is_column, value))),
        )
    for key, value in table.items():
        wanted, is_right = kinds[key]
        if not is_right(value):
            raise ValueError(f"{key} in {where} needs {wanted}, but {shown(value)} was given.")
