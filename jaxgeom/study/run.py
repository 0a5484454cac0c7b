"""[host] Run a study: chunk after chunk, on all devices, saved as it goes, going on where it was left.

Which members make a chunk, and which of them are computed together, depends on the description of the study alone.
So whatever was interrupted, wherever it goes on, and however many devices there are, the numbers are the same.
"""

import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int
from tqdm.auto import tqdm

from jaxgeom.chunks import check_chunk_size
from jaxgeom.models import mlp
from jaxgeom.population import result_bytes
from jaxgeom.study import store
from jaxgeom.study.describe import described, differences, digest, versions
from jaxgeom.study.devices import over_devices, process, wait_for_all
from jaxgeom.study.layout import SEED, Group, Layout, groups_of, layout_of
from jaxgeom.study.measurements import Measurement, as_measurement
from jaxgeom.study.program import (
    Recipe,
    check_axes_are_used,
    member_function,
    named_arguments,
    population_variables,
)
from jaxgeom.study.result import Study, labelled, save
from jaxgeom.training import Loss

_CHUNK_BYTES = 2**27
"""Results of a chunk's programs, snapshots included."""
_DIVERGED = "diverged_step"
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
    out: str | os.PathLike[str] | None = None,
    chunk_size: int | None = None,
    progress: bool | str = True,
) -> Study:
    """Measure networks for every combination of named settings, at chosen steps of their training.

    Axes find their way by their names. ``width`` and ``depth`` (or ``hidden``, tuples of widths) are the hidden layers;
    ``seed`` decides the random key; every other axis goes to the data, the model, the optimizer and the measurements
    that have an argument of that name. Numbers are arrays, for which nothing is compiled anew, unless ``static`` names
    them (sizes of data sets, say); other values split the study into parts with programs of their own. Networks with
    the same seed share their data and the first of their random numbers, whatever their other settings.

    With ``out``, every finished chunk is saved at once; after an interruption the same call goes on from there, and
    gives the same numbers to the bit. A call that describes another study is refused.

    Args:
        axes: values by name; a single value instead of a list is a setting and makes no axis.
        measure: what to measure, by name: measurements of :mod:`jaxgeom.study`, or pure functions of arguments such as
            ``params``, see :mod:`jaxgeom.study.measurements`.
        data, test: a :class:`jaxgeom.Dataset`, or a function that makes one, such as :func:`jaxgeom.spirals`; an
            argument ``key`` gets a key that depends on the seed alone.
        model: makes the model from ``features`` and ``widths``, such as :func:`jaxgeom.mlp`; without ``widths``, every
            architecture has its own program. Or a :class:`jaxgeom.Model` or function without these, and no axes of
            architecture.
        optimizer: an optax optimizer, or what makes one from axes, such as ``optax.sgd`` with the axis learning_rate.
            None measures networks before training.
        loss, num_epochs, batch_size: as for :func:`jaxgeom.fit`.
        at_steps: numbers of training steps after which to measure, ascending.
        inputs, outputs: sizes of the networks; by default those of the data (classes for labels, one for
            ``binary_cross_entropy``).
        key: seed of the whole study.
        static: axes of numbers that are Python numbers for the functions that take them.
        out: directory of the study, created if need be.
        chunk_size: networks that are saved together; by default by memory, at most 512 on CPUs.
        progress: show a progress bar; a string is its title.

    Raises:
        ValueError: for descriptions that make no sense, an axis that nothing takes, or a directory with another study.
        TypeError: for measurements that are no functions.
        OSError: if the directory cannot be written, or another process works on it.
    """
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
    )
    _check(recipe, layout, out, chunk_size)
    groups = groups_of(layout, is_padded="widths" in taken)
    description = {
        "axes": {name: described(values) for name, values in layout.coords.items()},
        "settings": described(layout.fixed),
        **{name: described(value) for name, value in recipe._asdict().items()},
        "static": sorted(static),
        "chunk_size": chunk_size,
    }
    if out is None:
        begun = _new_manifest(recipe, layout, groups, description, chunk_size)
        return labelled(list(_parts(recipe, groups, begun, None, progress).values()), begun)
    directory = Path(out)
    number, _ = process()
    with store.locked(directory) if number == 0 else nullcontext():
        # Until a chunk is finished, the directory is free for another description.
        manifest = store.read_manifest(directory) if number == 0 and store.has_chunks(directory) else None
        if number == 0 and manifest is None:
            manifest = _new_manifest(recipe, layout, groups, description, chunk_size)
            store.write_manifest(directory, manifest)
        wait_for_all("manifest")
        if manifest is None:
            manifest = store.read_manifest(directory)
        if manifest is None:
            raise ValueError(f"all processes need the same directory, but {str(directory)!r} has no {store.MANIFEST}.")
        _check_is_the_same(manifest, description, directory)
        parts = _parts(recipe, groups, manifest, directory, progress)
        wait_for_all("chunks")
        study = labelled([parts[n] for n in sorted(parts)], manifest)
        if number == 0:
            save(study, directory / store.RESULT)
    return study


def _check(recipe: Recipe, layout: Layout, out: Any, chunk_size: int | None) -> None:
    if not recipe.measure:
        raise ValueError("a study measures something: pass measure={'regions': jaxgeom.study.exact_regions(domain)}.")
    check_chunk_size(chunk_size)
    taken = {"step", _DIVERGED, *layout.values} & set(recipe.measure) | {"step", "params"} & set(layout.values)
    if taken:
        raise ValueError(f"the names {sorted(taken)} are used for axes or by the study itself; choose others.")
    is_trained = recipe.optimizer is not None
    if is_trained and (recipe.data is None or recipe.loss is None or recipe.num_epochs is None):
        raise ValueError("training needs data, an optimizer, a loss and num_epochs.")
    if not is_trained and recipe.at_steps != (0,):
        raise ValueError(f"without an optimizer there is step 0 only, but at_steps = {recipe.at_steps} was given.")
    if process()[1] > 1 and out is None:
        raise ValueError("several processes share their results through a directory: pass out=….")
    check_axes_are_used(recipe, [name for name in (*layout.values, *layout.fixed) if name not in layout.special])


def _new_manifest(
    recipe: Recipe, layout: Layout, groups: Sequence[Group], description: Mapping[str, Any], chunk_size: int | None
) -> dict[str, Any]:
    """All that is fixed when a study begins, sizes of batches and chunks included."""
    sizes = [_sizes(recipe, group, chunk_size) for group in groups]
    variables: dict[str, dict[str, Any]] = {
        name: {"dims": item.dims, "units": item.units, "meaning": item.meaning, "has_steps": True}
        for name, item in recipe.measure.items()
    }
    for name, item in recipe.measure.items():
        for detail, (units, meaning) in (item.details or {}).items():
            variables[f"{name}_{detail}"] = variables[name] | {"units": units, "meaning": meaning}
    meaning = "training step that met NaN or infinity, after which a network stays as it was; -1 if none"
    variables[_DIVERGED] = {"dims": (), "units": "steps", "meaning": meaning, "has_steps": False}
    found: dict[str, Any] = {
        "description": description,
        "versions": versions(),
        "coords": {n: v.tolist() for n, v in layout.coords.items()} | {"step": list(recipe.at_steps)},
        "variables": {name: {**about, "dims": list(about["dims"])} for name, about in variables.items()},
        "sizes": sizes,
        "num_chunks": len(_chunks(groups, sizes)),
    }
    return found | {"digest": digest(found), "created": datetime.now(UTC).isoformat(timespec="seconds")}


def _sizes(recipe: Recipe, group: Group, chunk_size: int | None) -> list[int]:
    """Networks that a device computes at once, and networks of a chunk."""
    seed, widths, traced = _arguments(group, slice(0, 1))
    first = jax.tree.map(lambda array: array[0], (seed, widths, traced))
    bytes_each = max(1, result_bytes(member_function(recipe, group, is_outline=True), *first))
    in_memory = max(1, _CHUNK_BYTES // bytes_each)
    is_cpu = jax.default_backend() == "cpu"
    batch = min(64 if is_cpu else 8192, in_memory, chunk_size or in_memory)
    return [batch, chunk_size or max(batch, min(512 if is_cpu else 8192, in_memory) // batch * batch)]


def _chunks(groups: Sequence[Group], sizes: Sequence[Sequence[int]]) -> list[Chunk]:
    found: list[Chunk] = []
    for index, (group, (_, chunk)) in enumerate(zip(groups, sizes, strict=True)):
        for start in range(0, len(group.members), chunk):
            found.append(Chunk(len(found), index, slice(start, min(start + chunk, len(group.members)))))
    return found


def _check_is_the_same(manifest: Mapping[str, Any], description: Mapping[str, Any], directory: Path) -> None:
    differ = differences(manifest["description"], described(description))
    differ += differences(manifest["versions"], versions(), "versions")
    if differ:
        raise ValueError(
            f"{str(directory)!r} holds another study; give this one another directory. They differ in:\n  "
            + "\n  ".join(differ)
        )


def _arguments(group: Group, rows: slice | Int[np.ndarray, " rows"]) -> tuple[Any, Any, Any]:
    widths = None if group.widths is None else group.widths[rows]
    return group.seed[rows].astype(np.uint32), widths, {n: v[rows] for n, v in group.traced.items()}


def _parts(
    recipe: Recipe, groups: Sequence[Group], manifest: Mapping[str, Any], directory: Path | None, progress: bool | str
) -> dict[int, tuple[np.ndarray, _Arrays]]:
    """Members and arrays of all chunks, those that exist already read and the others computed."""
    chunks = _chunks(groups, manifest["sizes"])
    found: dict[int, tuple[np.ndarray, _Arrays]] = {}

    def read(chunk: Chunk) -> bool:
        arrays = None if directory is None else store.load_chunk(directory, chunk.number, manifest["digest"])
        if arrays is not None:
            found[chunk.number] = arrays.pop("members"), arrays
        return arrays is not None

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
                if directory is not None:
                    store.save_chunk(directory, chunk.number, manifest["digest"], {**arrays, "members": members})
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
    run = over_devices(member_function(recipe, group), batch)
    at_once = max(1, -(-batch * jax.local_device_count() // chunk_size))
    for start in range(0, len(chunks), at_once):
        some = chunks[start : start + at_once]
        rows = np.concatenate([np.arange(chunk.rows.start, chunk.rows.stop) for chunk in some])
        results = run(_arguments(group, rows))
        begin = 0
        for chunk in some:
            stop = begin + chunk.rows.stop - chunk.rows.start
            part = jax.tree.map(lambda array, place=slice(begin, stop): array[place], results)
            params = part.pop("params", None)
            if params is not None:
                seed, _, traced = _arguments(group, chunk.rows)
                part |= population_variables(recipe, params, {**traced, SEED: seed})
            yield chunk, part
            begin = stop
