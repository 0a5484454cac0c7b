"""[host] A zoo of trained networks: planned whole, trained and labelled shard by shard, each saved when it is finished.

While a shard is trained, the one before is labelled and written. What a shard holds depends on the manifest alone, so
that whatever was interrupted goes on to the same bits, and one shard can be made again by itself.
"""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from tqdm.auto import tqdm

from jaxgeom._typing import Params
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import class_is_right, softmax_cross_entropy
from jaxgeom.domains import box
from jaxgeom.host.chunks import map_chunks
from jaxgeom.host.devices import alone, platform
from jaxgeom.host.given import check_flags, check_progress
from jaxgeom.host.names import check_name
from jaxgeom.host.processes import process, wait_for_all
from jaxgeom.host.programs import Program, for_population
from jaxgeom.host.sizes import LANES, fitting, round_up
from jaxgeom.host.threads import Future, Threads
from jaxgeom.networks.layers import layers_of
from jaxgeom.networks.models import mlp
from jaxgeom.study import store
from jaxgeom.study.check import check_key
from jaxgeom.study.describe import differences
from jaxgeom.study.plan import JAX_SETTINGS
from jaxgeom.study.shards import MANIFEST, check_shard, params_of, write_shard
from jaxgeom.study.versions import versions
from jaxgeom.study.zoo_data import ZooData, zoo_data
from jaxgeom.study.zoo_labels import LABELS, TRAINED, labelled
from jaxgeom.study.zoo_plan import OF_DATA, Plan, as_json, from_json, plan_of
from jaxgeom.study.zoo_reader import Zoo, open_zoo, planned
from jaxgeom.training.fit import fit
from jaxgeom.training.optimizers import NAMED_OPTIMIZERS
from jaxgeom.training.population import default_chunk_size

_SHARD_NETWORKS, _SHARD_BYTES, _SHARD_CHUNKS = 8192, 2**26, 64
"""At most so many networks, bytes of weights, and chunks of training, so that a shard takes seconds."""
_OF_MACHINE = ("shard_size", "chunk", "shards")
"""Of a group, what does not change its numbers."""


class _Program(NamedTuple):
    """Training of networks with one architecture, optimizer and length."""

    run: Program
    """Of the training split, the test split; and seeds and learning rates."""
    chunk: int
    """Networks trained at once."""


def zoo(
    axes: Mapping[str, Any],
    *,
    out: str | os.PathLike[str],
    labels: Sequence[str] = ("regions",),
    domain: tuple[float, float] = (-1.0, 1.0),
    key: int = 0,
    shard_size: int | None = None,
    licence: str = "not stated",
    any_versions: bool = False,
    progress: bool | str = True,
) -> Zoo:
    """A zoo of trained networks with labels, in a directory: begun, or gone on with where it was left.

    Every combination of the axes is one network, :func:`jaxgeom.mlp` trained with cross-entropy. Those that differ in
    seed or learning rate alone share a compiled program and a data set; any other value of any axis takes a second
    more. Every finished shard is saved at once, and whatever ends the process, the same call goes on from there and
    gives the same bits. A damaged shard is made again. Processes of ``jax.distributed`` that make the same call share
    the shards.

    Args:
        axes: values by name; a single value instead of a list is a setting and makes no axis. ``data`` ("spirals",
            "rings", "disk_with_holes", "line_segments", "moons", "circles", "blobs", "checkerboard", all scaled to
            about [-1, 1]²), ``noise``, ``target`` ("labels", or "shuffled" ones), ``num_points``, ``train_fraction``,
            ``data_seed``, ``width``, ``depth`` (hidden layers), ``activation``, ``init``, ``optimizer`` ("sgd",
            "momentum", "adam", "adamw", "rmsprop", "adagrad", "nadam", "lion"), ``learning_rate``, ``batch_size``,
            ``num_epochs`` and ``seed``.
        out: directory of the zoo, created if need be.
        labels: what geometry says of each network, beside losses and accuracies: "regions" (exact counts),
            "linear_regions", "boundary" (length and pieces of the decision boundary) and "topology". The last three
            take about as long as the training: half a millisecond a network 2-10-10-3.
        domain: low and high end of the square on which geometry is looked at.
        key: seed of the whole zoo.
        shard_size: networks of a shard, at most; by default by memory and time, at most 8,192.
        licence: under which the zoo is given to others; it is written into the manifest.
        any_versions: go on with a zoo that was begun with other versions of Python or of packages.
        progress: show a progress bar; a string is its title.

    Returns:
        The finished zoo, as :func:`jaxgeom.study.open_zoo` gives it.

    Raises:
        ValueError: for an unknown axis, label or value, or a directory with another zoo or other files.
        TypeError: for arguments of another kind than described.
        OSError: if the directory cannot be written, or another process works on it.

    Example:
        >>> import tempfile, jaxgeom as jg
        >>> axes = {"width": [4, 6], "seed": range(3), "num_epochs": 1, "num_points": 60, "batch_size": 16}
        >>> found = jg.zoo(axes, out=tempfile.mkdtemp() + "/zoo", progress=False)
        >>> found.num_networks, found["regions"].shape
        (6, (2, 3))
    """
    check_progress(progress)
    check_flags(any_versions=any_versions)
    plan, directory = plan_of(axes), Path(out)
    check_key(key, "zoo")
    given = {"labels": _checked_labels(labels), "domain": _checked_domain(domain), "key": int(key), "licence": licence}
    if shard_size is not None and (isinstance(shard_size, bool) or not isinstance(shard_size, int) or shard_size < 1):
        raise ValueError(f"shard_size must be a positive integer, but {shard_size!r} was given.")
    data: dict[str, ZooData] = {}
    store.check_is_own(directory, "zoo")
    wanted = _manifest(plan, given, data, shard_size)  # before anything is written: it refuses what cannot be
    if not store.is_writable(directory) and _is_finished(directory):
        found = open_zoo(directory)
        _same(found.manifest, wanted, directory, any_versions)
        return found
    is_first = process()[0] == 0
    with store.locked(directory, "zoo") if is_first else nullcontext():
        if not is_first:
            wait_for_all("manifest of the zoo")
        begun = store.read_manifest(directory, MANIFEST)
        manifest = wanted if begun is None else _same(begun, wanted, directory, any_versions)
        if begun is None and not is_first:
            raise ValueError(f"all processes need the same directory, but {str(directory)!r} has no {MANIFEST}.")
        if is_first:
            store.write_manifest(directory, manifest, MANIFEST)
            wait_for_all("manifest of the zoo")
        with alone():  # processes share shards here, and do not meet within one
            _make(plan, manifest, data, directory, progress)
        wait_for_all("shards of the zoo")
    return open_zoo(directory)


def shard_again(path: str | os.PathLike[str], number: int) -> dict[str, np.ndarray]:
    """One shard of a zoo made again from the manifest alone, by the same steps: the same bits on the same versions.

    Args:
        path: directory of the zoo, or of its ``zoo.json`` alone.
        number: of the shard.

    Returns:
        The arrays of the shard by name, as :func:`jaxgeom.study.open_zoo` reads them.

    Raises:
        ValueError: for a directory without manifest, a number that is none of its shards, or data that are not drawn
            as they were then.
    """
    directory = Path(path)
    manifest = store.read_manifest(directory, MANIFEST)
    if manifest is None:
        raise ValueError(f"{str(directory)!r} is no zoo: it has no {MANIFEST}.")
    if not 0 <= number < manifest["num_shards"]:
        raise ValueError(f"the zoo has shards 0 to {manifest['num_shards'] - 1}, but {number} was given.")
    plan = planned(manifest)
    index = next(i for i, g in enumerate(manifest["groups"]) if number < g["shards"][0] + g["shards"][1])
    data = _data(plan.groups[index], manifest["key"], {})
    if data.sha256 != manifest["groups"][index]["data_sha256"]:
        raise ValueError(
            "these versions draw other data than those of the manifest, so that the shard would be another one: take "
            f"the versions of the manifest, {manifest['versions']}."
        )
    trained = _trained(plan, manifest, index, number, data)
    return _labelled(manifest, trained)


def _is_finished(directory: Path) -> bool:
    """Whether a directory has a zoo, of which every shard is as it was saved."""
    manifest = store.read_manifest(directory, MANIFEST)
    return manifest is not None and all(
        check_shard(directory, number, manifest["digest"]) for number in range(manifest["num_shards"])
    )


def _checked_labels(labels: Sequence[str]) -> list[str]:
    found = [labels] if isinstance(labels, str) else list(labels)
    for name in found:
        check_name("a label of a zoo", name, LABELS)
    return [name for name in LABELS if name in found]


def _checked_domain(domain: Any) -> list[float]:
    try:
        low, high = map(float, domain)
        box(low, high)
    except (TypeError, ValueError) as error:
        raise ValueError(f"domain must be the low and the high end of a square, but {domain!r} was given.") from error
    return [low, high]


def _data(settings: Mapping[str, Any], key: int, known: dict[str, ZooData]) -> ZooData:
    """The data of a group; groups with the same settings of data share them."""
    of_data = {name: settings[name] for name in OF_DATA}
    text = json.dumps(of_data)
    if text not in known:
        known[text] = zoo_data(key, **of_data)
    return known[text]


def _manifest(
    plan: Plan, given: Mapping[str, Any], known: dict[str, ZooData], shard_size: int | None
) -> dict[str, Any]:
    """All that is fixed when a zoo begins."""
    groups: list[dict[str, Any]] = []
    num_shards = 0
    for settings in plan.groups:
        data = _data(settings, given["key"], known)
        num_train, num_test = len(data.train.x), len(data.test.x)
        num_steps = settings["num_epochs"] * (num_train // settings["batch_size"])
        if num_steps < 1:
            raise ValueError(
                f"batch_size = {settings['batch_size']} is larger than the {num_train} points of the training split: "
                "take smaller batches, or more num_points."
            )
        features = (data.train.x.shape[1], *[settings["width"]] * settings["depth"], data.num_classes)
        program = _program(*_of_program(settings, features, num_steps), given["key"], _Data.of(data), platform())
        if given["labels"]:
            _check_has_layers(features, settings["activation"])
        rows = plan.members.shape[1]
        size = fitting(4 * _num_parameters(features), _SHARD_BYTES, min(_SHARD_NETWORKS, _SHARD_CHUNKS * program.chunk))
        count = -(-rows // (shard_size or size))
        even = round_up(-(-rows // count), LANES) if shard_size is None else shard_size
        count = -(-rows // even)
        groups.append(
            {
                "settings": settings,
                "features": features,
                "data_sha256": data.sha256,
                "splits": {"train": num_train, "test": num_test},
                "num_steps": num_steps,
                "shards": [num_shards, count],
                "shard_size": even,
                "chunk": min(program.chunk, round_up(even, LANES)),
            }
        )
        num_shards += count
    meanings = TRAINED | {name: text for label in given["labels"] for name, text in LABELS[label].meaning.items()}
    found: dict[str, Any] = {
        "format": store.ZOO_FORMAT,
        **given,
        "axes": {name: as_json(values) for name, values in plan.values.items()},
        "settings": plan.fixed,
        "keys": "the network of a seed has jax.random.split(jax.random.fold_in(jax.random.key(key), seed))[0]",
        "groups": groups,
        "num_networks": plan.members.size,
        "num_shards": num_shards,
        "variables": meanings,
        "jax": {name: getattr(jax.config, f"jax_{name}") for name in JAX_SETTINGS},
        "versions": versions(),
    }
    found = json.loads(json.dumps(found))
    return found | {
        "digest": store.manifest_digest(found),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _check_has_layers(features: Sequence[int], activation: Any) -> None:
    shapes = jax.eval_shape(mlp(features, activation=activation).init, jax.random.key(0))
    layers_of(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes))


def _num_parameters(features: Sequence[int]) -> int:
    return sum((before + 1) * after for before, after in pairwise(features))


def _same(begun: dict[str, Any], manifest: dict[str, Any], directory: Path, any_versions: bool) -> dict[str, Any]:
    """The manifest of the zoo that was begun; raises a ValueError for that of another one."""
    without = ("versions", "other_versions", "digest", "created", "num_shards", "num_networks", "groups", "axes")

    def compared(of: Mapping[str, Any]) -> dict[str, Any]:
        axes = {name: list(from_json(values)) for name, values in of["axes"].items()}
        return {"axes": axes} | {name: item for name, item in of.items() if name not in without}

    def groups(of: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{name: item for name, item in group.items() if name not in _OF_MACHINE} for group in of["groups"]]

    differ = differences(compared(begun), compared(manifest))
    differ = [line for line in differ if not line.startswith("variables.")] or differ  # they follow from the labels
    differ = differ or differences(groups(begun), groups(manifest), "groups")
    if differ:
        listed = "\n  ".join(differ)
        raise ValueError(
            f"{str(directory)!r} holds another zoo; give this one another directory. They differ in:\n  {listed}"
        )
    others = differences(begun["versions"], manifest["versions"], "versions")
    if others and not any_versions:
        listed = "\n  ".join(others)
        raise ValueError(
            f"the zoo in {str(directory)!r} was begun with other versions, so that the numbers may differ in the last "
            "digits. Go on all the same with any_versions=True (--any-versions on the command line), or give this zoo "
            f"another directory. They differ in:\n  {listed}"
        )
    if not others:
        return begun
    warnings.warn(f"going on with a zoo that was begun with other versions: {'; '.join(others)}", stacklevel=3)
    here = manifest["versions"]
    return begun | {"other_versions": [*(v for v in begun.get("other_versions", []) if v != here), here]}


def _make(
    plan: Plan, manifest: Mapping[str, Any], data: dict[str, ZooData], directory: Path, progress: bool | str
) -> None:
    """Train, label and save what is not there yet; of several processes, each the shards of every n-th number."""
    title = progress if isinstance(progress, str) else None
    own, num_processes = process()
    digest, total = manifest["digest"], manifest["num_networks"] // num_processes
    with tqdm(total=total, unit="net", desc=title, disable=not progress) as bar, Threads(1) as threads:
        waiting: list[tuple[Future, int]] = []

        def finish() -> None:
            while waiting:
                future, num = waiting.pop()
                future.result()
                bar.update(num)

        def save(task: tuple[int, dict[str, np.ndarray]]) -> None:
            number, trained = task
            write_shard(directory, number, digest, _labelled(manifest, trained))

        try:
            for index, group in enumerate(manifest["groups"]):
                first, count = group["shards"]
                for number in range(first + (own - first) % num_processes, first + count, num_processes):
                    num = min(group["shard_size"], plan.members.shape[1] - (number - first) * group["shard_size"])
                    if check_shard(directory, number, digest):
                        bar.update(num)
                        continue
                    trained = _trained(plan, manifest, index, number, _data(plan.groups[index], manifest["key"], data))
                    finish()
                    waiting.append((threads.submit(save, (number, trained)), num))
            finish()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted; {bar.n:,} of {total:,} networks are saved in {str(directory)!r}, and the same call goes "
                "on from there"
            ) from None


def _of_program(settings: Mapping[str, Any], features: Sequence[int], num_steps: int) -> tuple[Any, ...]:
    names = ("activation", "init", "optimizer", "batch_size", "num_epochs")
    return (tuple(features), *(settings[name] for name in names), num_steps)


class _Data(NamedTuple):
    """Shapes of the data that a program is for, which can be compared."""

    train: tuple[int, ...]
    test: tuple[int, ...]

    @classmethod
    def of(cls, data: ZooData) -> "_Data":
        return cls(data.train.x.shape, data.test.x.shape)

    def like(self, shape: tuple[int, ...]) -> Dataset:
        return Dataset(jnp.zeros(shape, jnp.float32), jnp.zeros(shape[0], jnp.int32))


@lru_cache(maxsize=64)
def _program(
    features: tuple[int, ...],
    activation: Any,
    init: str,
    optimizer: str,
    batch_size: int,
    num_epochs: int,
    num_steps: int,
    key: int,
    shapes: _Data,
    _platform: str,
) -> _Program:
    """The program of all groups with these settings, and data of these shapes."""
    model = mlp(features, activation=activation, init=init)

    def member(train: Any, test: Any, seed: Array, rate: Array) -> dict[str, Any]:
        own = jax.random.split(jax.random.fold_in(jax.random.key(key), seed))[0]
        run = fit(
            own,
            model,
            NAMED_OPTIMIZERS[optimizer](rate),
            softmax_cross_entropy,
            train,
            num_epochs=num_epochs,
            batch_size=batch_size,
            test=test,
            accuracy=class_is_right,
            record=num_steps,
        )
        assert run.train_loss is not None
        names = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
        found = {name: getattr(run, name)[-1] for name in names}
        return found | {
            "params": run.params,
            "initial_loss": run.train_loss[0],
            "diverged_step": run.diverged_step,
        }

    one = partial(member, shapes.like(shapes.train), shapes.like(shapes.test))
    chunk = default_chunk_size(one, np.uint32(0), np.float32(0.1), num=_SHARD_NETWORKS)

    return _Program(for_population(member, num_shared=2), chunk)


def _trained(plan: Plan, manifest: Mapping[str, Any], index: int, number: int, data: ZooData) -> dict[str, np.ndarray]:
    """Weights and labels of training of one shard."""
    group, size = manifest["groups"][index], manifest["groups"][index]["shard_size"]
    start = (number - group["shards"][0]) * size
    members = plan.members[index, start : start + size]
    of_networks = plan.of_networks(members)
    key = manifest["key"]
    settings = _of_program(group["settings"], group["features"], group["num_steps"])
    program = _program(*settings, key, _Data.of(data), platform())
    population = of_networks["seed"], of_networks["learning_rate"]
    found = map_chunks(program.run.given(data.train, data.test), population, chunk_size=group["chunk"], any_length=True)
    params: Params = found.pop("params")
    arrays = {f"{layer}.{part}": array for layer, parts in params.items() for part, array in parts.items()}
    arrays |= {f"label.{name}": array for name, array in found.items()}
    about = {"network": members, "seed": of_networks["seed"].astype(np.int64)}
    return arrays | about | {"learning_rate": of_networks["learning_rate"]}


def _labelled(manifest: Mapping[str, Any], trained: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a shard with the labels that geometry gives."""
    found = dict(trained)
    if manifest["labels"]:
        layers, domain = layers_of(params_of(trained)), box(*manifest["domain"])
        for name, values in labelled(manifest["labels"], layers, domain).items():
            found[f"label.{name}"] = np.asarray(values)
    return found
