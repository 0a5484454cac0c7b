"""[host] Run a study: chunk after chunk, on all devices, saved as it goes, going on where it was left.

Which members make a chunk, and which of them are computed together, depends on the description of the study alone.
So whatever was interrupted, wherever it goes on, and however many devices there are, the numbers are the same.
"""

import operator
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm.auto import tqdm

from jaxgeom.host.chunks import map_chunks, num_workers
from jaxgeom.host.given import check_positive
from jaxgeom.host.processes import process, wait_for_all
from jaxgeom.host.programs import for_population
from jaxgeom.host.sizes import LANES, fitting, round_up, size_of_chunks
from jaxgeom.networks.models import mlp
from jaxgeom.study import store
from jaxgeom.study.demand import check_data, check_network, check_results, least_bytes
from jaxgeom.study.describe import Found, described, differences
from jaxgeom.study.layout import SEED, Group, Layout, groups_of, layout_of
from jaxgeom.study.measurements import Measurement, as_measurement
from jaxgeom.study.program import (
    Recipe,
    arguments,
    check_axes_are_used,
    check_measurements,
    check_networks_fit,
    data_bytes,
    join,
    member_function,
    named_arguments,
    num_bytes,
    outline,
    population_variables,
)
from jaxgeom.study.result import Part, Study, labelled, read_part, save
from jaxgeom.study.versions import PYTHON, versions
from jaxgeom.training.fit import Loss
from jaxgeom.training.population import repeat_until_solved

_CHUNK_BYTES = 2**27
"""Results of a chunk's programs, snapshots included."""
_SAVED_TOGETHER, _MOST_TOGETHER = 512, 8192
"""Networks of a chunk, unless one program computes more of them at once; and the most that it does."""
_DIVERGED = "diverged_step"
_OF_TRIES = {
    "is_solved": {"units": "1", "meaning": "whether the last try is what networks were drawn anew for"},
    "tries": {"units": "1", "meaning": "initialisations used"},
}  # variables of studies that draw networks anew
JAX_SETTINGS = ("enable_x64", "default_matmul_precision", "default_prng_impl", "threefry_partitionable")
"""Settings of JAX that decide the numbers."""
_Arrays = dict[str, np.ndarray]


class Chunk(NamedTuple):
    """Members that are saved together."""

    number: int
    group: int
    rows: slice
    """Which members of the group."""


def run_study(
    axes: Mapping[str, Any],
    measure: Mapping[str, Measurement | Callable[..., Any]],
    *,
    data: Any = None,
    test: Any = None,
    model: Any = mlp,
    optimizer: Any = None,
    loss: Loss | None = None,
    num_epochs: int | None = None,
    batch_size: int | None = None,
    at_steps: Sequence[int] = (0,),
    inputs: int | None = None,
    outputs: int | None = None,
    key: int = 0,
    static: Sequence[str] = (),
    until: Callable[..., Any] | None = None,
    max_tries: int = 100,
    out: str | os.PathLike[str] | None = None,
    chunk_size: int | None = None,
    any_versions: bool = False,
    progress: bool | str = True,
) -> Study:
    """Measurements of networks for every combination of named settings, at chosen steps of their training.

    Axes find their way by their names. ``width`` and ``depth`` (or ``hidden``, tuples of widths) are the hidden layers;
    ``seed`` decides the random key; every other axis goes to the data, the model, the optimizer and the measurements
    that have an argument of that name. Numbers are arrays, for which nothing is compiled anew, unless ``static`` names
    them (sizes of data sets, say); other values split the study into parts with programs of their own. Networks with
    the same seed share their data and the first of their random numbers, whatever their other settings.

    With ``out``, every finished chunk is saved at once; after an interruption the same call goes on from there, and
    gives the same numbers to the bit. A call that describes another study is refused: other values, or functions of
    which the code or anything that they read is another (:mod:`jaxgeom.study.describe`).

    Args:
        axes: values by name; a single value instead of a list is a setting and makes no axis.
        measure: what to measure, by name: measurements of :mod:`jaxgeom.study`, or pure functions of arguments such as
            ``params``, see :mod:`jaxgeom.study.measurements`.
        data: a :class:`jaxgeom.Dataset`, or a function that makes one, such as :func:`jaxgeom.spirals`; an argument
            ``key`` gets a key that depends on the seed alone.
        test: a second split, only evaluated, given likewise.
        model: makes the model from ``features`` and ``widths``, such as :func:`jaxgeom.mlp`; without ``widths``, every
            architecture has its own program. Or a :class:`jaxgeom.Model` or function without these, and no axes of
            architecture.
        optimizer: an optax optimizer, or what makes one from axes, such as ``optax.sgd`` with the axis learning_rate.
            None measures networks before training.
        loss: one number a point; see :mod:`jaxgeom.losses`.
        num_epochs: passes over the data; with full batches, steps.
        batch_size: points a step; default is the full batch.
        at_steps: numbers of training steps after which to measure, ascending.
        inputs: inputs of the networks; by default those of the data.
        outputs: outputs of the networks; by default those of the data (classes for labels, one for
            ``binary_cross_entropy``).
        key: seed of the whole study.
        static: axes of numbers that are Python numbers for the functions that take them.
        until: networks are drawn and trained anew until this pure function of the trained network holds, such as
            :func:`jaxgeom.study.all_right`; it takes arguments like a measurement. The variables ``is_solved`` and
            ``tries`` say how that went, and all others are measured of the last try.
        max_tries: networks for which it still does not hold after so many tries stay as they are.
        out: directory of the study, created if need be.
        chunk_size: networks that are saved together; by default by memory, at most 512 on CPUs.
        any_versions: go on with a study that was begun with other versions of Python or of packages, or on another kind
            of device, with a warning of what differs. Its last digits may then differ from chunk to chunk.
        progress: show a progress bar; a string is its title.

    Raises:
        ValueError: for descriptions that make no sense, an axis that nothing takes, two measurements that give one
            variable, more than there is memory for, a function that cannot be described (with ``out``), or a directory
            with another study.
        TypeError: for measurements that are no functions, and arguments of another kind than described.
        OSError: if the directory cannot be written, or another process works on it.
    """
    _check_kinds(measure, at_steps, num_epochs, batch_size, inputs, outputs, key, chunk_size, until, max_tries)
    taken = named_arguments(model) if callable(model) else {}
    layout = layout_of(axes, static, has_architecture="features" in taken)
    recipe = Recipe(
        model,
        data,
        test,
        optimizer,
        loss,
        num_epochs,
        batch_size,
        tuple(map(operator.index, at_steps)),
        inputs,
        outputs,
        operator.index(key),
        {name: as_measurement(item) for name, item in measure.items()},
        until,
        max_tries,
    )
    _check(recipe, layout, out)
    groups = groups_of(layout, is_padded="widths" in taken)
    found = Found(set(), [])
    without = ("until", "max_tries") if until is None else ()
    description = {
        "axes": {name: _described_axis(layout, name, found) for name in layout.values},
        "settings": described(layout.fixed, found),
        **{name: described(value, found) for name, value in recipe._asdict().items() if name not in without},
        "static": sorted(static),
        "chunk_size": chunk_size,
        "jax": {name: getattr(jax.config, f"jax_{name}") for name in JAX_SETTINGS},
    }
    with_versions = versions(found.packages)
    if out is None:
        begun = _new_manifest(recipe, layout, groups, description, with_versions, chunk_size)
        return labelled(list(_parts(recipe, groups, begun, None, progress).values()), begun)
    if found.unknown:
        raise ValueError(
            f"the study cannot be saved in {str(out)!r}, since a change of its code could not be noticed: "
            f"{'; '.join(dict.fromkeys(found.unknown))}. Write that another way, or run without out=…."
        )
    directory = Path(out)
    number, _ = process()
    with store.locked(directory) if number == 0 else nullcontext():
        # Until a chunk is finished, the directory is free for another description.
        manifest = store.read_manifest(directory) if number == 0 and store.has_chunks(directory) else None
        if number == 0 and manifest is None:
            if store.has_chunks(directory):
                raise ValueError(
                    f"{str(directory)!r} has chunks of a study, but no {store.MANIFEST} that says of which. Give this "
                    "study another directory, or remove the chunks."
                )
            manifest = _new_manifest(recipe, layout, groups, description, with_versions, chunk_size)
            store.put_aside(directory, manifest["digest"])
            store.write_manifest(directory, manifest)
        wait_for_all("manifest")
        if manifest is None:
            manifest = store.read_manifest(directory)
        if manifest is None:
            raise ValueError(f"all processes need the same directory, but {str(directory)!r} has no {store.MANIFEST}.")
        manifest = _checked(manifest, description, with_versions, directory, any_versions)
        if number == 0:
            store.write_manifest(directory, manifest)
        parts = _parts(recipe, groups, manifest, directory, progress)
        wait_for_all("chunks")
        study = labelled([parts[n] for n in sorted(parts)], manifest)
        if number == 0:
            save(study, directory / store.RESULT)
    return study


def _check_kinds(
    measure: Any,
    at_steps: Any,
    num_epochs: Any,
    batch_size: Any,
    inputs: Any,
    outputs: Any,
    key: Any,
    chunk_size: Any,
    until: Any,
    max_tries: Any,
) -> None:
    if until is not None and not callable(until):
        raise TypeError(f"until must be a function of arguments such as params, but {until!r} was given.")
    check_positive("max_tries", max_tries)
    if not isinstance(measure, Mapping):
        raise TypeError(f"measure must be a dictionary of measurements by name, but {measure!r} was given.")
    if isinstance(at_steps, str) or not np.iterable(at_steps) or not all(map(_is_integer, at_steps)):
        raise TypeError(
            f"at_steps must be a list of numbers of training steps, such as [0, 100], but {at_steps!r} was given."
        )
    steps = list(map(operator.index, at_steps))
    if not steps or steps != sorted(set(steps)) or steps[0] < 0 or steps[-1] >= 2**31:
        raise ValueError(f"at_steps must be ascending steps from 0 to at most 2³¹ - 1, but {steps} was given.")
    sizes = {"num_epochs": num_epochs, "batch_size": batch_size, "inputs": inputs, "outputs": outputs}
    for name, size in {**sizes, "chunk_size": chunk_size}.items():
        if size is not None and not _is_integer(size):
            raise TypeError(f"{name} must be a positive integer, but {size!r} was given.")
        if size is not None and not 1 <= size < 2**31:
            raise ValueError(f"{name} must be a positive integer below 2³¹, but {size} was given.")
    check_key(key)


def check_key(key: Any, what: str = "study") -> None:
    """Raise unless the key of a study or zoo is an integer that JAX has a key for."""
    if not _is_integer(key):
        raise TypeError(f"the key of a {what} is an integer, but {key!r} was given.")
    if not 0 <= key < 2**32:
        raise ValueError(f"the key of a {what} is an integer from 0 to 2³² - 1, but {key} was given.")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_name(name: Any) -> bool:
    """Whether a measurement can be called so, in files of all kinds."""
    is_text = isinstance(name, str) and name.isprintable() and name == name.strip()
    return is_text and bool(name) and name[0] != "." and not {"/", "\\"} & set(name)


def _check(recipe: Recipe, layout: Layout, out: Any) -> None:
    if not recipe.measure:
        raise ValueError("a study measures something: pass measure={'regions': jaxgeom.study.exact_regions(domain)}.")
    for name in recipe.measure:
        if not _is_name(name):
            raise ValueError(f"measurements have names without slashes, such as 'regions', but {name!r} was given.")
    own = {_DIVERGED} if recipe.until is None else {_DIVERGED, *_OF_TRIES}
    taken = {"step", *own, *layout.values} & set(recipe.measure) | {"step", "params", *own} & set(layout.values)
    if taken:
        raise ValueError(f"the names {sorted(taken)} are used for axes or by the study itself; choose others.")
    reserved = {"is_finished"} & set(recipe.measure)
    if reserved:
        raise ValueError("is_finished is what the study itself says of its networks; choose another name.")
    is_trained = recipe.optimizer is not None
    if is_trained and (recipe.data is None or recipe.loss is None or recipe.num_epochs is None):
        raise ValueError("training needs data, an optimizer, a loss and num_epochs.")
    if not is_trained and recipe.at_steps != (0,):
        raise ValueError(f"without an optimizer there is step 0 only, but at_steps = {recipe.at_steps} was given.")
    if process()[1] > 1 and out is None:
        raise ValueError("several processes share their results through a directory: pass out=….")
    check_axes_are_used(recipe, [name for name in (*layout.values, *layout.fixed) if name not in layout.special])
    check_measurements(recipe, layout)
    declared = [f"{name}_{detail}" for name, item in recipe.measure.items() for detail in item.details or {}]
    twice = [name for name in declared if name in recipe.measure or name in layout.values or declared.count(name) > 1]
    if twice:
        raise ValueError(
            f"two results have the name {twice[0]!r}: a measurement or an axis, and a part of the measurement "
            f"{_measurement_of(twice[0], recipe)!r}; choose another name for one of them."
        )


def _measurement_of(variable: str, recipe: Recipe) -> str:
    return next(n for n, item in recipe.measure.items() for detail in item.details or {} if f"{n}_{detail}" == variable)


def _new_manifest(
    recipe: Recipe,
    layout: Layout,
    groups: Sequence[Group],
    description: Mapping[str, Any],
    with_versions: Mapping[str, str],
    chunk_size: int | None,
) -> dict[str, Any]:
    """All that is fixed when a study begins, sizes of batches and chunks included."""
    sizes = [_sizes(recipe, layout, group, chunk_size) for group in groups]
    variables: dict[str, dict[str, Any]] = {
        name: {"dims": item.dims, "units": item.units, "meaning": item.meaning, "has_steps": True}
        for name, item in recipe.measure.items()
    }
    for name, item in recipe.measure.items():
        for detail, (units, meaning) in (item.details or {}).items():
            variables[f"{name}_{detail}"] = variables[name] | {"units": units, "meaning": meaning}
    meaning = "training step that met NaN or infinity, after which a network stays as it was; -1 if none"
    variables[_DIVERGED] = {"dims": (), "units": "steps", "meaning": meaning, "has_steps": False}
    if recipe.until is not None:
        variables |= {name: about | {"dims": (), "has_steps": False} for name, about in _OF_TRIES.items()}
    found: dict[str, Any] = {
        "description": description,
        "versions": with_versions,
        "coords": {n: v.tolist() for n, v in layout.coords.items()} | {"step": list(recipe.at_steps)},
        "variables": {name: {**about, "dims": list(about["dims"])} for name, about in variables.items()},
        "sizes": sizes,
        "num_chunks": len(_chunks(groups, sizes)),
    }
    return found | {
        "digest": store.manifest_digest(found),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _sizes(recipe: Recipe, layout: Layout, group: Group, chunk_size: int | None) -> list[int]:
    """Networks that a device computes at once, and networks of a chunk.

    Raises:
        ValueError: for networks or results that there is no memory for, and two variables of one name.
    """
    check_data("the data of one network", data_bytes(recipe, group))
    least = least_bytes(group.hidden or ())  # known before the network is looked at, which takes time for wide ones
    check_network(group.hidden or (), least, least * len(recipe.at_steps))
    shapes = outline(recipe, group)
    taken = [name for name in shapes["measured"] if name in layout.values or name in ("step", _DIVERGED, *_OF_TRIES)]
    if taken:
        raise ValueError(
            f"a measurement gives the variable {taken[0]!r}, which is the name of an axis; choose another."
        )
    bytes_each = max(1, num_bytes(shapes))
    check_network(group.hidden or (), num_bytes(shapes.get("params", ())), bytes_each)
    if "params" in shapes:
        check_networks_fit(recipe, shapes["params"])
    check_results(layout.num_members, num_bytes(shapes["measured"]))
    batch = size_of_chunks(None, bytes_each, most_bytes=_CHUNK_BYTES)
    batch = min(batch, _MOST_TOGETHER, round_up(len(group.members), LANES), chunk_size or batch)
    return [batch, chunk_size or max(batch, fitting(bytes_each, _CHUNK_BYTES, _SAVED_TOGETHER) // batch * batch)]


def _chunks(groups: Sequence[Group], sizes: Sequence[Sequence[int]]) -> list[Chunk]:
    found: list[Chunk] = []
    for index, (group, (_, chunk)) in enumerate(zip(groups, sizes, strict=True)):
        for start in range(0, len(group.members), chunk):
            found.append(Chunk(len(found), index, slice(start, min(start + chunk, len(group.members)))))
    return found


def _checked(
    manifest: dict[str, Any],
    description: Mapping[str, Any],
    with_versions: dict[str, str],
    directory: Path,
    any_versions: bool,
) -> dict[str, Any]:
    """The manifest with the present versions among them; raises a ValueError for that of another study."""
    there, here = manifest["versions"], with_versions
    is_other_python = _minor(there[PYTHON]) != _minor(here[PYTHON])
    differ = differences(manifest["description"], described(description), by_source=is_other_python)
    others = differences(there, here, "versions")
    if differ:
        listed = "\n  ".join([*differ, *others])
        raise ValueError(
            f"{str(directory)!r} holds another study; give this one another directory. They differ in:\n  {listed}"
        )
    if others and not any_versions:
        listed = "\n  ".join(others)
        raise ValueError(
            f"the study in {str(directory)!r} was begun with other versions, so that the numbers may differ in the "
            "last digits. Go on all the same with any_versions=True (--any-versions on the command line, any_versions "
            f"= true in a file), or give this study another directory. They differ in:\n  {listed}"
        )
    if not others:
        return manifest
    warnings.warn(f"going on with a study that was begun with other versions: {'; '.join(others)}", stacklevel=3)
    return manifest | {"other_versions": [*(v for v in manifest.get("other_versions", []) if v != here), here]}


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _described_axis(layout: Layout, name: str, found: Found) -> Any:
    coordinate = layout.coords[name]
    is_text = all(isinstance(item, str | tuple | list) for item in layout.values[name])
    if is_text or coordinate.dtype.kind != "U":
        return coordinate.tolist()
    return {str(label): described(value, found) for label, value in zip(coordinate, layout.values[name], strict=True)}


def _parts(
    recipe: Recipe, groups: Sequence[Group], manifest: Mapping[str, Any], directory: Path | None, progress: bool | str
) -> dict[int, Part]:
    """Members and arrays of all chunks, those that exist already read and the others computed."""
    chunks = _chunks(groups, manifest["sizes"])
    found: dict[int, Part] = {}

    def read(chunk: Chunk) -> bool:
        part = None if directory is None else read_part(directory, chunk.number, manifest["digest"])
        if part is not None:
            found[chunk.number] = part
        return part is not None

    pending = [chunk for chunk in chunks if not read(chunk)]
    wait_for_all("read")
    number, num_processes = process()
    own = pending[number::num_processes]
    num_own = sum(chunk.rows.stop - chunk.rows.start for chunk in own)
    num_done = sum(len(members) for members, _ in found.values())
    title = progress if isinstance(progress, str) else None
    with tqdm(total=num_done + num_own, initial=num_done, unit="net", desc=title, disable=not progress) as bar:
        for index, group in enumerate(groups):
            mine = [chunk for chunk in own if chunk.group == index]
            for chunk, arrays in _computed(recipe, group, mine, manifest["sizes"][index]):
                members = group.members[chunk.rows]
                taken = sorted(set(arrays) & set(manifest["coords"]))
                if taken:
                    raise ValueError(
                        f"a measurement gives the variable {taken[0]!r}, which is an axis; choose another name."
                    )
                if directory is not None:
                    saved = {f"variable.{name}": array for name, array in arrays.items()} | {"members": members}
                    store.save_chunk(directory, chunk.number, manifest["digest"], saved)
                found[chunk.number] = members, arrays
                bar.update(len(members))
    wait_for_all("computed")
    for chunk in chunks:
        if chunk.number not in found and not read(chunk):
            raise ValueError(f"chunk {chunk.number} of another process was not found in {str(directory)!r}.")
    return found


def _computed(
    recipe: Recipe, group: Group, chunks: Sequence[Chunk], sizes: Sequence[int]
) -> Iterator[tuple[Chunk, _Arrays]]:
    """Chunks of one group; as many at once as all local devices need."""
    if not chunks:
        return
    batch, chunk_size = sizes
    program = for_population(member_function(recipe, group))
    at_once = round_up(batch * num_workers(), chunk_size) // chunk_size
    for start in range(0, len(chunks), at_once):
        some = chunks[start : start + at_once]
        rows = np.concatenate([np.arange(chunk.rows.start, chunk.rows.stop) for chunk in some])
        if recipe.until is None:
            results = map_chunks(program, arguments(group, rows), chunk_size=batch, any_length=True)
        else:
            tried = repeat_until_solved(
                program, arguments(group, rows), itemgetter("is_solved"), max_tries=recipe.max_tries, chunk_size=batch
            )
            results = tried.results | {"tries": tried.tries}
        begin = 0
        for chunk in some:
            stop = begin + chunk.rows.stop - chunk.rows.start
            part = jax.tree.map(lambda array, place=slice(begin, stop): array[place], results)
            variables = part["measured"] | {name: part[name] for name in (_DIVERGED, *_OF_TRIES) if name in part}
            if "params" in part:
                seed, _, traced = arguments(group, chunk.rows)
                join(
                    variables, population_variables(recipe, part["params"], {**traced, SEED: seed}), "of the population"
                )
            yield chunk, variables
            begin = stop
