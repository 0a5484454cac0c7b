"""[host] Run a study: chunk after chunk, on all devices, saved as it goes, going on where it was left.

Which members make a chunk, and which of them are computed together, depends on the description of the study alone.
So whatever was interrupted, wherever it goes on, and however many processes and CPUs there are, the numbers are the
same; of accelerators :mod:`jaxgeom.study.versions` says what it depends on.
"""

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm.auto import tqdm

from jaxgeom.host.chunks import in_background, map_chunks, num_workers
from jaxgeom.host.devices import alone, platform
from jaxgeom.host.given import check_flags, check_progress
from jaxgeom.host.processes import process, wait_for_all
from jaxgeom.host.sizes import round_up
from jaxgeom.networks.models import mlp
from jaxgeom.study import store
from jaxgeom.study.check import DIVERGED, OF_TRIES, shard_of
from jaxgeom.study.compiled import program_of
from jaxgeom.study.layout import SEED, Group
from jaxgeom.study.measurements import Measurement
from jaxgeom.study.plan import Chunk, Prepared, checked, chunks_of, new_manifest, prepared
from jaxgeom.study.program import Recipe, arguments, join, population_variables, recipe_of
from jaxgeom.study.result import Part, Study, labelled, read_part, save
from jaxgeom.training.fit import Loss
from jaxgeom.training.population import repeat_until_solved

_Arrays = dict[str, np.ndarray]


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
    shard: tuple[int, int] | None = None,
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

    ``data``, ``optimizer`` and ``batch_size`` can be axes themselves instead of arguments. Values without a name, such
    as partial functions, get one in a dictionary: ``{"optimizer": {"plain": optax.sgd, "heavy": partial(optax.sgd,
    momentum=0.9)}}``. A setting that only some of them take is passed to these alone.

    With ``out``, every finished chunk is saved at once; after an interruption the same call goes on from there, and
    gives the same numbers to the bit. A call that describes another study is refused: other values, or functions of
    which the code or anything that they read is another (:mod:`jaxgeom.study.describe`).

    Args:
        axes: values by name; a single value instead of a list is a setting and makes no axis.
        measure: what to measure, by name: measurements of :mod:`jaxgeom.study`, or pure functions of arguments such as
            ``params``, see :mod:`jaxgeom.study.measurements`.
        data: a :class:`jaxgeom.Dataset`, or a function that makes one, such as :func:`jaxgeom.spirals`; an argument
            ``key`` gets a key that depends on the seed alone.
        test: a second split, only evaluated, given likewise; for an axis ``data``, a dictionary with a split for each
            of its names.
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
        shard: ``(index, num)``: compute every ``num``-th chunk only, beside other processes that compute the others in
            the same directory, such as the tasks of a job array. Returns the study with what is finished by then;
            the process that finishes last writes the result.
        chunk_size: networks that are saved together; by default by memory, at most 512 on CPUs.
        any_versions: go on with a study that was begun with other versions of Python or of packages, or on another kind
            of device, with a warning of what differs. Its last digits may then differ from chunk to chunk.
        progress: show a progress bar; a string is its title.

    Raises:
        ValueError: for descriptions that make no sense, an axis that nothing takes, two measurements that give one
            variable, more than there is memory for, a function that cannot be described (with ``out``), or a directory
            with another study or other files.
        TypeError: for measurements that are no functions, and arguments of another kind than described.
        OSError: if the directory cannot be written, or another process works on it.
    """
    check_progress(progress)
    check_flags(any_versions=any_versions)
    study = prepared(
        axes,
        measure,
        model=model,
        data=data,
        test=test,
        optimizer=optimizer,
        loss=loss,
        num_epochs=num_epochs,
        batch_size=batch_size,
        at_steps=at_steps,
        inputs=inputs,
        outputs=outputs,
        key=key,
        static=static,
        until=until,
        max_tries=max_tries,
        out=out,
        chunk_size=chunk_size,
    )
    part = shard_of(shard, out)
    if out is None:
        begun = new_manifest(study)
        return labelled(list(_parts(study, begun, None, progress).values()), begun)
    if study.unknown:
        raise ValueError(
            f"the study cannot be saved in {str(out)!r}, since a change of its code could not be noticed: "
            f"{'; '.join(dict.fromkeys(study.unknown))}. Write that another way, or run without out=…."
        )
    directory = Path(out)
    store.check_is_own(directory)
    if not store.is_writable(directory) and (finished := _finished(study, directory, any_versions)) is not None:
        return finished
    number, _ = process()
    fresh = None if store.has_chunks(directory) else new_manifest(study)  # before anything is written: it may refuse
    with store.locked(directory, shard=part) if number == 0 else nullcontext():
        with nullcontext() if part is None else store.beginning(directory):
            manifest = store.read_manifest(directory) if number == 0 else None
            # Until a chunk is finished, the directory is free for another description.
            is_begun = store.has_chunks(directory) or (part is not None and len(store.holders(directory)) > 1)
            if number == 0 and (manifest is None or not is_begun):
                if store.has_chunks(directory):
                    raise ValueError(
                        f"{str(directory)!r} has chunks of a study, but no {store.MANIFEST} that says of which. Give "
                        "this study another directory, or remove the chunks."
                    )
                manifest = fresh or new_manifest(study)
                store.put_aside(directory, manifest["digest"])
                store.write_manifest(directory, manifest)
            wait_for_all("manifest")
            if manifest is None:
                manifest = store.read_manifest(directory)
            if manifest is None:
                raise ValueError(
                    f"all processes need the same directory, but {str(directory)!r} has no {store.MANIFEST}."
                )
            manifest = checked(manifest, study, directory, any_versions)
            if number == 0:
                store.write_manifest(directory, manifest)
        with alone():  # processes share chunks here, and do not meet within one
            parts = _parts(study, manifest, directory, progress, part)
        wait_for_all("chunks")
        result = labelled([parts[n] for n in sorted(parts)], manifest)
        if number == 0 and result.is_finished.all():
            with nullcontext() if part is None else store.beginning(directory):
                save(result, directory / store.RESULT)
    return result


def num_chunks(**arguments: Any) -> int:
    """Chunks that a study will be saved in, which is how many shards can compute it, known without computing it.

    Args:
        arguments: of :func:`run_study`.
    """
    names = inspect.signature(prepared).parameters
    given = inspect.signature(run_study).bind(**arguments)
    given.apply_defaults()
    study = prepared(**{name: value for name, value in given.arguments.items() if name in names})
    count: int = new_manifest(study)["num_chunks"]
    return count


def _finished(study: Prepared, directory: Path, any_versions: bool) -> Study | None:
    """The study, if all of it is in a directory, as it was saved."""
    manifest = store.read_manifest(directory)
    if manifest is None:
        return None
    manifest = checked(manifest, study, directory, any_versions)
    parts = [read_part(directory, number, manifest["digest"]) for number in range(manifest["num_chunks"])]
    there = [part for part in parts if part is not None]
    return labelled(there, manifest) if len(there) == len(parts) else None


def _parts(
    study: Prepared,
    manifest: Mapping[str, Any],
    directory: Path | None,
    progress: bool | str,
    shard: store.Shard | None = None,
) -> dict[int, Part]:
    """Members and arrays of all chunks, those that exist already read and the others computed; those of other shards
    as far as they are there."""
    recipe, groups = study.recipe, study.groups
    chunks = chunks_of(groups, manifest["sizes"])
    if shard is not None and shard.number >= len(chunks):
        raise ValueError(
            f"the study has {len(chunks)} chunks, which as many shards can compute, but shard {shard.number} of "
            f"{shard.num}, counted from 0, was given. Take fewer shards, or a smaller chunk_size in another directory."
        )
    found: dict[int, Part] = {}

    def read(chunk: Chunk) -> bool:
        part = None if directory is None else read_part(directory, chunk.number, manifest["digest"])
        if part is not None:
            found[chunk.number] = part
        return part is not None

    pending = [chunk for chunk in chunks if not read(chunk)]
    wait_for_all("read")
    number, num_processes = process()
    own = pending[number::num_processes] if shard is None else [c for c in pending if shard.has(c.number)]
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
        if chunk.number not in found and not read(chunk) and shard is None:
            raise ValueError(f"chunk {chunk.number} of another process was not found in {str(directory)!r}.")
    return found


def _computed(
    recipe: Recipe, group: Group, chunks: Sequence[Chunk], sizes: Sequence[int]
) -> Iterator[tuple[Chunk, _Arrays]]:
    """Chunks of one group; as many at once as all local devices need.

    On accelerators, the next ones are trained while the host measures those before, exact geometry above all. On CPUs
    both would want the same cores.
    """
    if not chunks:
        return
    batch, chunk_size = sizes
    recipe = recipe_of(recipe, group)
    program = program_of(recipe, group)
    at_once = round_up(batch * num_workers(), chunk_size) // chunk_size
    steps = [chunks[start : start + at_once] for start in range(0, len(chunks), at_once)]

    def trained(some: Sequence[Chunk]) -> Any:
        rows = np.concatenate([np.arange(chunk.rows.start, chunk.rows.stop) for chunk in some])
        if recipe.until is None:
            return map_chunks(program, arguments(group, rows), chunk_size=batch, any_length=True)
        tried = repeat_until_solved(
            program, arguments(group, rows), itemgetter("is_solved"), max_tries=recipe.max_tries, chunk_size=batch
        )
        return tried.results | {"tries": tried.tries}

    def measured(some: Sequence[Chunk], results: Any) -> Iterator[tuple[Chunk, _Arrays]]:
        begin = 0
        for chunk in some:
            stop = begin + chunk.rows.stop - chunk.rows.start
            part = jax.tree.map(lambda array, place=slice(begin, stop): array[place], results)
            variables = part["measured"] | {name: part[name] for name in (DIVERGED, *OF_TRIES) if name in part}
            if "params" in part:
                seed, widths, traced = arguments(group, chunk.rows)
                settings = {**traced, SEED: seed}
                if group.hidden is not None:
                    settings["widths"] = np.broadcast_to(
                        group.hidden if widths is None else widths, (len(seed), len(group.hidden))
                    )
                join(variables, population_variables(recipe, part["params"], settings), "of the population")
            yield chunk, variables
            begin = stop

    results = trained(steps[0])
    for some, following in pairwise(steps):
        train = partial(trained, following)
        with nullcontext(train) if platform() == "cpu" else in_background(train) as later:
            yield from measured(some, results)
        results = later()
    yield from measured(steps[-1], results)
