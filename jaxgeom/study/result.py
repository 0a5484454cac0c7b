"""[host] The result of a study: arrays with named axes and coordinates, chosen from, merged, saved and loaded."""

import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, SupportsIndex, cast, overload

import numpy as np
from jaxtyping import Bool

from jaxgeom._reprs import readable
from jaxgeom._typing import Record
from jaxgeom.host.given import check_flags
from jaxgeom.host.names import did_you_mean
from jaxgeom.study.describe import differences
from jaxgeom.study.missing import filled
from jaxgeom.study.store import RESULT, load_chunk, read_manifest, write_atomically

MOST_SHOWN = 20
"""Values of an axis that a message lists."""


@readable
class Study(Record):
    """Arrays with names for their axes; ``study["regions"]`` is a variable, ``study["seed"]`` the values of an axis."""

    variables: dict[str, np.ndarray]
    """What was measured. What was not is NaN: members that are not finished, counts of networks that are not finite,
    and entries that other networks have more of (units, say). There integers and booleans are float64."""
    dims: dict[str, tuple[str, ...]]
    """Names of the axes of each variable: the axes of the study, "step", and what the measurement adds."""
    coords: dict[str, np.ndarray]
    """Values along the axes: those of the study, and the numbers of training steps."""
    attrs: dict[str, dict[str, str]]
    """Units and meaning of each variable."""
    settings: dict[str, Any]
    """Description, versions and date, as they can be written to JSON."""
    is_finished: Bool[np.ndarray, "*axes"]
    """Whether each member, along the axes of the study but "step", was measured."""

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes along which members differ."""
        return tuple(name for name in self.coords if name != "step")

    @overload
    def __getitem__(self, name: str) -> np.ndarray: ...

    @overload
    def __getitem__(self, name: SupportsIndex | slice) -> Any: ...

    def __getitem__(self, name: str | SupportsIndex | slice) -> Any:
        if not isinstance(name, str):
            return tuple.__getitem__(cast(tuple[Any, ...], self), name)
        if name in self.variables or name in self.coords:
            return self.variables[name] if name in self.variables else self.coords[name]
        raise UnknownVariable(
            f"the study has the variables {', '.join(self.variables)} and the axes {', '.join(self.coords) or 'none'}, "
            f"but {name!r} was given.{did_you_mean(name, (*self.variables, *self.coords))}"
        )

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            return name in self.variables or name in self.coords
        return any(name is field for field in cast(tuple[Any, ...], self))

    def _note(self) -> str:
        if not isinstance(self.is_finished, np.ndarray):
            return "networks unknown"
        num, done = self.is_finished.size, int(np.sum(self.is_finished))
        networks = f"{num:,} network{'' if num == 1 else 's'}"
        return networks if done == num else f"{networks}, {done:,} finished ({math.floor(100 * done / num)} %)"


class UnknownVariable(ValueError, KeyError):
    """A name that a study does not have: a ValueError as everywhere, and a KeyError as Python has it for brackets."""

    __str__ = Exception.__str__


Part = tuple[np.ndarray, dict[str, np.ndarray]]
"""Numbers of the members of a chunk, and its arrays with a leading axis (members)."""


def assembled(parts: Sequence[Part], shape: Sequence[int]) -> dict[str, np.ndarray]:
    """Arrays of all members from those of chunks.

    Args:
        parts: for each chunk the numbers of its members, and arrays with a leading axis (members).
        shape: lengths of the axes of the study.

    Raises:
        ValueError: if a variable has more axes for some networks than for others.
    """
    found, num = {}, int(np.prod(shape, dtype=np.int64))
    for name in dict.fromkeys(name for _, arrays in parts for name in arrays):
        pieces = [(members, arrays[name]) for members, arrays in parts if name in arrays]
        ranks = sorted({piece.ndim - 1 for _, piece in pieces})
        if len(ranks) > 1:
            raise ValueError(
                f"{name!r} has {ranks[0]} axes for some networks and {ranks[-1]} for others; measure alike."
            )
        most = np.max([piece.shape[1:] for _, piece in pieces], axis=0).astype(int).tolist()
        places = [((members, *map(slice, piece.shape[1:])), piece) for members, piece in pieces]
        found[name] = filled((num, *most), places, repr(name)).reshape((*shape, *most))
    return found


def select(study: Study, **values: Any) -> Study:
    """The part of a study at given coordinates.

    Args:
        study: where to choose.
        values: for any axis, one value (the axis is taken away), or a list, or a slice of values (both ends count).

    Raises:
        TypeError: for anything but a study.
        ValueError: for an unknown axis, or a value that is not on it.
    """
    if not isinstance(study, Study):
        raise TypeError(
            f"a Study is needed, as jaxgeom.run_study or jaxgeom.study.load(path) gives it, but {type(study).__name__} "
            "was given."
        )
    variables, dims, coords = dict(study.variables), dict(study.dims), dict(study.coords)
    axes, is_finished = list(study.axes), study.is_finished
    for name, wanted in values.items():
        if name not in coords:
            raise ValueError(
                f"the study has the axes {', '.join(coords)}, but {name!r} was given.{did_you_mean(name, coords)}"
            )
        index = coordinate_places(name, coords[name], wanted)
        coords[name] = coords[name][index]
        if np.ndim(index) == 0:
            del coords[name]
        for variable in variables:
            if name in dims[variable]:
                axis = dims[variable].index(name)
                variables[variable] = np.take(variables[variable], index, axis=axis)
                if np.ndim(index) == 0:
                    dims[variable] = tuple(dim for dim in dims[variable] if dim != name)
        if name in axes:
            is_finished = np.take(is_finished, index, axis=axes.index(name))
            if np.ndim(index) == 0:
                axes.remove(name)
    return Study(variables, dims, coords, study.attrs, study.settings, np.asarray(is_finished))


def merge(*studies: Study, along: str = "seed", any_versions: bool = False) -> Study:
    """One study from several that differ along one axis only, such as in their seeds.

    Args:
        studies: the studies.
        along: the axis.
        any_versions: merge studies that were made with other versions of Python or of packages, too.

    Raises:
        ValueError: for no studies, or if they differ in anything else (the message names it), or share values of that
            axis.
        TypeError: for anything but studies.
    """
    check_flags(any_versions=any_versions)
    if not studies:
        raise ValueError("there is nothing to merge: pass one study or more, as in merge(first, second).")
    check_studies("merged", studies)
    first, *others = studies
    if along not in first.coords or any(along not in other.coords for other in others):
        axes = "; ".join(", ".join(study.axes) or "none" for study in studies[:MOST_SHOWN])
        raise ValueError(
            f"studies are merged along an axis of all of them, but {along!r} is not one. Their axes are {axes}; a "
            f"setting becomes an axis as a list of one value, {along}=[…]."
        )
    if along == "step":
        raise ValueError("studies are merged along an axis of their networks, not along the steps of their training.")
    for number, other in enumerate(others, 2):
        words = "in the first", f"in number {number}"
        compared = ("description",) if any_versions else ("description", "versions", "other_versions")
        differ = differences(
            _without(first.settings, along, compared), _without(other.settings, along, compared), words=words
        )
        differ += [
            f"coordinates of {name}: {_of(first, name)} {words[0]}, {_of(other, name)} {words[1]}"
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
            raise ValueError(
                f"these studies cannot be merged along {along!r}, since they differ in more than that; select what "
                f"they have in common, or see what differs by jaxgeom.study.compare:\n  {listed}"
            )
    values = np.concatenate([study.coords[along] for study in studies])
    twice = sorted({value for value in values.tolist() if values.tolist().count(value) > 1})
    if twice:
        raise ValueError(
            f"these studies cannot be merged along {along!r}, since several have the values {twice[:10]}; "
            "select others in all but one of them."
        )
    variables = {}
    for name, dims in first.dims.items():
        arrays = [study.variables[name] for study in studies]
        variables[name] = _joined(name, arrays, dims.index(along)) if along in dims else arrays[0]
    settings = json.loads(json.dumps(first.settings))
    settings.pop("digest", None)  # of the first study alone
    given = [study.settings["description"]["axes"][along] for study in studies]
    are_named = all(isinstance(axis, dict) for axis in given)
    merged = {label: item for axis in given for label, item in axis.items()} if are_named else values.tolist()
    settings["description"]["axes"][along] = merged
    used = [v for study in studies for v in (study.settings["versions"], *study.settings.get("other_versions", ()))]
    others_used = [v for place, v in enumerate(used) if v not in used[:place]][1:]
    settings |= {"other_versions": others_used} if others_used else {}
    is_finished = np.concatenate([study.is_finished for study in studies], axis=first.axes.index(along))
    return Study(variables, first.dims, first.coords | {along: values}, first.attrs, settings, is_finished)


def check_studies(verb: str, studies: Sequence[Any]) -> None:
    """Raise a TypeError for anything but studies."""
    if not all(isinstance(study, Study) for study in studies):
        kinds = ", ".join(type(study).__name__ for study in studies)
        raise TypeError(
            f"studies are {verb}, each an argument of its own (*list for a list of them), but {kinds} was given. "
            "jaxgeom.study.load(path) reads one."
        )


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
        arrays |= {"is_finished": study.is_finished, "about": np.array(json.dumps(about))}
        np.savez_compressed(buffer, **arrays)
        content = buffer.getvalue()
    else:
        raise ValueError(f"studies are saved as .npz or .nc, but {str(path)!r} was given.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return path


def load(path: str | os.PathLike[str]) -> Study:
    """A study read from a file that :func:`save` wrote, or from the directory of a study, even of an unfinished one.

    Raises:
        ValueError: for anything else.
        OSError: if it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        return _load_directory(path)
    if path.suffix not in (".npz", ".nc"):
        what = "was given" if path.exists() else "is not there"
        raise ValueError(f"a study is a directory, or a file .npz or .nc, but {str(path)!r} {what}.")
    if path.suffix == ".nc":
        from jaxgeom.study.labels import from_netcdf

        return from_netcdf(path)
    with open(path, "rb") as file:
        try:
            return _read(file)
        except Exception as error:  # damaged archives fail in many ways
            raise ValueError(
                f"{str(path)!r} is damaged, or no study that jaxgeom.study.save wrote ({type(error).__name__}: "
                f"{error})."
            ) from error


def _read(file: IO[bytes]) -> Study:
    with np.load(file) as archive:
        about = json.loads(str(archive["about"]))
        variables, coords = (
            {name.removeprefix(kind): archive[name] for name in archive.files if name.startswith(kind)}
            for kind in ("variable.", "coord.")
        )
        sizes = [len(values) for name, values in coords.items() if name != "step"]
        is_finished = archive["is_finished"] if "is_finished" in archive.files else np.ones(sizes, bool)
    dims = {name: tuple(names) for name, names in about["dims"].items()}
    if any(variables[name].ndim != len(dims[name]) for name in {**variables, **dims}):
        raise ValueError("its variables do not fit their axes")
    return Study(variables, dims, coords, about["attrs"], about["settings"], is_finished)


def read_part(directory: Path, number: int, study: str) -> Part | None:
    """What a finished chunk holds, or None if there is none, or it is not as it was saved."""
    arrays = load_chunk(directory, number, study)
    if arrays is None:
        return None
    members = arrays.pop("members")
    return members, {name.removeprefix("variable."): array for name, array in arrays.items()}


def _load_directory(directory: Path) -> Study:
    """The result, if it is that of the study that is under way, or else what its chunks hold."""
    manifest = read_manifest(directory)
    if manifest is None:
        raise ValueError(f"{str(directory)!r} is not the directory of a study.")
    problem = ""
    if (directory / RESULT).exists():
        try:
            study = load(directory / RESULT)
            if study.settings.get("digest") == manifest["digest"]:
                return study
            problem = f" {RESULT} there is that of another study."
        except ValueError as error:
            problem = f" {error}"
    read = (read_part(directory, number, manifest["digest"]) for number in range(manifest["num_chunks"]))
    parts = [part for part in read if part is not None]
    if not parts:
        raise ValueError(f"no chunk of the study in {str(directory)!r} is finished yet.{problem}")
    return labelled(parts, manifest)


def labelled(parts: Sequence[Part], manifest: Mapping[str, Any]) -> Study:
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
    about_it = ("description", "versions", "other_versions", "created", "digest")
    settings = {name: manifest[name] for name in about_it if name in manifest}
    is_finished = np.zeros([len(coords[name]) for name in axes], bool)
    for members, _ in parts:
        is_finished.flat[members] = True
    return Study(variables, dims, coords, attrs, settings, is_finished)


def _measurement_of(variable: str, manifest: Mapping[str, Any]) -> str:
    names = [name for name in manifest["variables"] if variable.startswith(f"{name}_")]
    text: str = max(names, key=len)
    return text


def coordinate_places(name: str, coordinate: np.ndarray, wanted: Any) -> Any:
    """Where values are on an axis: an array of places, or one place for a single value.

    Raises:
        ValueError: for a value that is not there, and slices with a step.
    """
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


def _of(study: Study, name: str) -> str:
    return _some(study.coords[name]) if name in study.coords else "none"


def _some(coordinate: np.ndarray) -> str:
    values = coordinate.tolist()
    return str(values) if len(values) <= MOST_SHOWN else f"{values[:10]} … {values[-1]}"


def _without(settings: Mapping[str, Any], along: str, compared: Sequence[str]) -> dict[str, Any]:
    """What must agree: all but the axis, and when it was made."""
    kept: dict[str, Any] = json.loads(json.dumps({name: settings[name] for name in compared if name in settings}))
    kept.get("description", {}).get("axes", {}).pop(along, None)
    return kept


def _joined(name: str, arrays: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Along an axis, others filled up to the longest."""
    most = np.max([array.shape for array in arrays], axis=0)
    most[axis] = sum(array.shape[axis] for array in arrays)
    pieces, start = [], 0
    for array in arrays:
        place = [slice(size) for size in array.shape]
        place[axis] = slice(start, start + array.shape[axis])
        pieces.append((tuple(place), array))
        start += array.shape[axis]
    return filled(most.tolist(), pieces, repr(name))
