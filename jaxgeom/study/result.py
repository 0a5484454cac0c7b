"""[host] The result of a study: arrays with named axes and coordinates, chosen from, merged, saved and loaded."""

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgeom._reprs import readable
from jaxgeom.study.describe import differences
from jaxgeom.study.store import RESULT, load_chunk, read_manifest, write_atomically


@readable
class Study(NamedTuple):
    """Arrays with names for their axes."""

    variables: dict[str, np.ndarray]
    """What was measured. Where networks have fewer entries than others (units, say), and in parts of a study that are
    not finished, floats are NaN, integers -1 and booleans False."""
    dims: dict[str, tuple[str, ...]]
    """Names of the axes of each variable: the axes of the study, "step", and what the measurement adds."""
    coords: dict[str, np.ndarray]
    """Values along the axes: those of the study, and the numbers of training steps."""
    attrs: dict[str, dict[str, str]]
    """Units and meaning of each variable."""
    settings: dict[str, Any]
    """Description, versions and date, as they can be written to JSON."""


def fill_value(dtype: np.dtype) -> Any:
    """What stands where nothing was measured."""
    return np.nan if dtype.kind in "fc" else False if dtype.kind == "b" else -1


def assembled(
    parts: Sequence[tuple[np.ndarray, Mapping[str, np.ndarray]]],
    shape: Sequence[int],
) -> dict[str, np.ndarray]:
    """Arrays of all members from those of chunks.

    Args:
        parts: for each chunk the numbers of its members, and arrays with a leading axis (members).
        shape: lengths of the axes of the study.
    """
    found = {}
    for name in dict.fromkeys(name for _, arrays in parts for name in arrays):
        pieces = [(members, arrays[name]) for members, arrays in parts]
        most = np.max([piece.shape[1:] for _, piece in pieces], axis=0).astype(int)
        dtype = np.result_type(*(piece.dtype for _, piece in pieces))
        whole = np.full((int(np.prod(shape)), *most), fill_value(dtype), dtype)
        for members, piece in pieces:
            place: Any = (members, *map(slice, piece.shape[1:]))
            whole[place] = piece
        found[name] = whole.reshape(*shape, *most)
    return found


def select(study: Study, **values: Any) -> Study:
    """The part of a study at given coordinates.

    Args:
        study: where to choose.
        values: for any axis, one value (the axis is taken away), or a list, or a slice of values (both ends count).

    Raises:
        ValueError: for an unknown axis, or a value that is not on it.
    """
    variables, dims, coords = dict(study.variables), dict(study.dims), dict(study.coords)
    for name, wanted in values.items():
        if name not in coords:
            raise ValueError(f"the study has the axes {', '.join(coords)}, but {name!r} was given.")
        index = _index(name, coords[name], wanted)
        coords[name] = coords[name][index]
        if np.ndim(index) == 0:
            del coords[name]
        for variable in variables:
            if name in dims[variable]:
                axis = dims[variable].index(name)
                variables[variable] = np.take(variables[variable], index, axis=axis)
                if np.ndim(index) == 0:
                    dims[variable] = tuple(dim for dim in dims[variable] if dim != name)
    return Study(variables, dims, coords, study.attrs, study.settings)


def merge(*studies: Study, along: str = "seed") -> Study:
    """One study from several that differ along one axis only, such as in their seeds.

    Raises:
        ValueError: if they differ in anything else (the message names it), or share values of that axis.
    """
    first, *others = studies
    if along not in first.coords or any(along not in other.coords for other in others):
        raise ValueError(f"studies are merged along an axis of all of them, but {along!r} is not one.")
    for other in others:
        differ = differences(_without(first.settings, along), _without(other.settings, along))
        differ += [
            f"coordinates of {name}: they are not the same"
            for name in {**first.coords, **other.coords}
            if name != along and not np.array_equal(first.coords.get(name, ()), other.coords.get(name, ()))
        ]
        differ += [
            f"variable {name}: its axes are not the same"
            for name in {**first.dims, **other.dims}
            if first.dims.get(name) != other.dims.get(name)
        ]
        if differ:
            listed = "\n  ".join(differ)
            raise ValueError(f"these studies cannot be merged, since they differ in more than one axis:\n  {listed}")
    values = np.concatenate([study.coords[along] for study in studies])
    twice = sorted({value for value in values.tolist() if values.tolist().count(value) > 1})
    if twice:
        raise ValueError(f"these studies cannot be merged along {along!r}, since several have the values {twice[:10]}.")
    variables = {}
    for name, dims in first.dims.items():
        arrays = [study.variables[name] for study in studies]
        variables[name] = _joined(arrays, dims.index(along)) if along in dims else arrays[0]
    settings = json.loads(json.dumps(first.settings))
    settings["description"]["axes"][along] = values.tolist()
    return Study(variables, first.dims, first.coords | {along: values}, first.attrs, settings)


def save(study: Study, path: str | os.PathLike[str]) -> Path:
    """Save a study as ``.npz`` or, with the extra "labels", as NetCDF (``.nc``); whole or not at all.

    Raises:
        ValueError: for another ending.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    if path.suffix == ".nc":
        from jaxgeom.study.labels import to_netcdf

        content = to_netcdf(study)
    elif path.suffix == ".npz":
        about = {"dims": study.dims, "attrs": study.attrs, "settings": study.settings}
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {f"variable.{name}": array for name, array in study.variables.items()}
        arrays |= {f"coord.{name}": array for name, array in study.coords.items()}
        np.savez_compressed(buffer, **arrays, about=np.array(json.dumps(about)))
        content = buffer.getvalue()
    else:
        raise ValueError(f"studies are saved as .npz or .nc, but {str(path)!r} was given.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return path


def load(path: str | os.PathLike[str]) -> Study:
    """Load a study: a file that :func:`save` wrote, or the directory of a study, even of an unfinished one.

    Raises:
        ValueError: for anything else.
        OSError: if it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        return _load_directory(path)
    if path.suffix == ".nc":
        from jaxgeom.study.labels import from_netcdf

        return from_netcdf(path)
    if path.suffix != ".npz":
        raise ValueError(f"a study is a directory, or a file .npz or .nc, but {str(path)!r} was given.")
    with np.load(path) as file:
        about = json.loads(str(file["about"]))
        parts = {
            kind: {name.removeprefix(f"{kind}."): file[name] for name in file.files if name.startswith(f"{kind}.")}
            for kind in ("variable", "coord")
        }
    dims = {name: tuple(names) for name, names in about["dims"].items()}
    return Study(parts["variable"], dims, parts["coord"], about["attrs"], about["settings"])


def _load_directory(directory: Path) -> Study:
    manifest = read_manifest(directory)
    if manifest is None:
        raise ValueError(f"{str(directory)!r} is not the directory of a study.")
    if (directory / RESULT).exists():
        return load(directory / RESULT)
    parts = []
    for number in range(manifest["num_chunks"]):
        arrays = load_chunk(directory, number, manifest["digest"])
        if arrays is not None:
            parts.append((arrays.pop("members"), arrays))
    if not parts:
        raise ValueError(f"no chunk of the study in {str(directory)!r} is finished yet.")
    return labelled(parts, manifest)


def labelled(parts: Sequence[tuple[np.ndarray, Mapping[str, np.ndarray]]], manifest: Mapping[str, Any]) -> Study:
    """The study from its chunks, and what the manifest says of it."""
    coords = {name: np.array(values) for name, values in manifest["coords"].items()}
    axes = tuple(name for name in coords if name != "step")
    variables = assembled(parts, [len(coords[name]) for name in axes])
    dims, attrs = {}, {}
    for name, array in variables.items():
        about = manifest["variables"].get(name) or manifest["variables"][_measurement_of(name, manifest)]
        leading = (*axes, "step") if about["has_steps"] else axes
        num_trailing = array.ndim - len(leading)
        given = about["dims"]
        names = [f"{name}_axis{i}" for i in range(num_trailing - len(given))] + given[len(given) - num_trailing :]
        dims[name] = (*leading, *(names if num_trailing else ()))
        attrs[name] = {"units": about["units"], "meaning": about["meaning"]}
    settings = {name: manifest[name] for name in ("description", "versions", "created")}
    return Study(variables, dims, coords, attrs, settings)


def _measurement_of(variable: str, manifest: Mapping[str, Any]) -> str:
    names = [name for name in manifest["variables"] if variable.startswith(f"{name}_")]
    return max(names, key=len)


def _index(name: str, coordinate: np.ndarray, wanted: Any) -> Any:
    if isinstance(wanted, slice):
        if wanted.step is not None:
            raise ValueError(f"a slice of values has no step, but {wanted} was given for {name}.")
        is_in = np.ones(len(coordinate), bool)
        is_in &= True if wanted.start is None else coordinate >= wanted.start
        is_in &= True if wanted.stop is None else coordinate <= wanted.stop
        return np.flatnonzero(is_in)
    places = {value: place for place, value in enumerate(coordinate.tolist())}
    listed = wanted.tolist() if isinstance(wanted, np.ndarray | np.generic) else wanted
    many = list(listed) if not isinstance(listed, str) and np.iterable(listed) else [listed]
    missing = [value for value in many if value not in places]
    if missing:
        raise ValueError(f"{name} has the values {_some(coordinate)}, but {missing} was given.")
    found = np.array([places[value] for value in many], np.int64)
    return found if many is not listed and np.iterable(listed) and not isinstance(listed, str) else found[0]


def _some(coordinate: np.ndarray) -> str:
    values = coordinate.tolist()
    return str(values) if len(values) <= 20 else f"{values[:10]} … {values[-1]}"


def _without(settings: Mapping[str, Any], along: str) -> dict[str, Any]:
    """What must agree: all but the axis, and when it was made."""
    kept = json.loads(json.dumps({name: settings[name] for name in ("description", "versions") if name in settings}))
    kept.get("description", {}).get("axes", {}).pop(along, None)
    return kept


def _joined(arrays: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Along an axis, others filled up to the longest."""
    dtype = np.result_type(*arrays)
    most = np.max([array.shape for array in arrays], axis=0)
    most[axis] = sum(array.shape[axis] for array in arrays)
    whole = np.full(most, fill_value(dtype), dtype)
    start = 0
    for array in arrays:
        place = [slice(size) for size in array.shape]
        place[axis] = slice(start, start + array.shape[axis])
        whole[tuple(place)] = array
        start += array.shape[axis]
    return whole
