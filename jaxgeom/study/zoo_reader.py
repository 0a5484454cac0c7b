"""[host] Zoos read: single networks, all labels, and weights with labels for training loops, memory-mapped."""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import Params
from jaxgeom.host.given import check_flags, check_positive
from jaxgeom.host.names import did_you_mean
from jaxgeom.networks.canonical import canonical_form
from jaxgeom.networks.layers import named_layers
from jaxgeom.study import store
from jaxgeom.study.result import Study, UnknownVariable, assembled, coordinate_places
from jaxgeom.study.shards import MANIFEST, labels_of, params_of, read_shard, shard_path
from jaxgeom.study.zoo_plan import Plan, array_of, from_json, grouped


@readable
class ZooNetwork(NamedTuple):
    """One network of a zoo."""

    params: Params
    """Its weights, as :func:`jaxgeom.mlp` has them, memory-mapped."""
    settings: dict[str, Any]
    """All settings that it was trained with."""
    labels: dict[str, Any]
    """What is known of it, by name; ``Zoo.meanings`` says what that is."""


@readable
class Zoo(NamedTuple):
    """A zoo in a directory; ``zoo["regions"]`` is a label of all networks, ``zoo["seed"]`` the values of an axis."""

    directory: Path
    """Where it lies."""
    coords: dict[str, np.ndarray]
    """Values along the axes."""
    meanings: dict[str, str]
    """What each label is, by name."""
    is_finished: Bool[np.ndarray, " shards"]
    """Which shards are there."""
    manifest: dict[str, Any]
    """All that decides it: axes, settings, key, groups with their data's digests and splits, versions, licence."""
    plan: Plan
    """How its networks are grouped and numbered."""

    @property
    def num_networks(self) -> int:
        """Number of networks, in C order over the axes."""
        return int(self.manifest["num_networks"])

    def __getitem__(self, name: Any) -> Any:
        if not isinstance(name, str):
            return tuple.__getitem__(self, name)
        if name in self.coords:
            return self.coords[name]
        return zoo_labels(self, [name]).variables[name]

    def network(self, number: int | None = None, **values: Any) -> ZooNetwork:
        """One network, by its number, or by its value on each axis.

        Raises:
            ValueError: for no such network, and one whose shard is not finished.
        """
        return _network(self, number, values)

    def shard(self, number: int) -> dict[str, np.ndarray]:
        """The arrays of a shard by name, memory-mapped: weights as ``dense0_relu.kernel``, labels as ``label.NAME``.

        Raises:
            ValueError: for a shard that is not there, is damaged, or is none of this zoo.
        """
        try:
            found = shard_path(self.directory, number).stat()
        except OSError as error:
            raise ValueError(
                f"shard {number} of the zoo in {str(self.directory)!r} cannot be read: {error.strerror}. The zoo "
                "command, or jaxgeom.zoo, makes it again."
            ) from error
        stamp = found.st_ino, found.st_mtime_ns, found.st_size
        return _shard(self.directory, number, self.manifest["digest"], stamp)

    def _note(self) -> str:
        if not isinstance(self.is_finished, np.ndarray) or not isinstance(self.manifest, dict):
            return "networks unknown"
        text = f"{self.num_networks:,} networks"
        done = int(self.is_finished.sum())
        return text if self.is_finished.all() else f"{text}, {done} of {len(self.is_finished)} shards finished"


def open_zoo(path: str | os.PathLike[str]) -> Zoo:
    """A zoo read from its directory, finished or not.

    Raises:
        ValueError: for a directory without a zoo, or with a manifest that is damaged or of another version.

    Example:
        >>> import tempfile, jaxgeom as jg
        >>> axes = {"width": 4, "seed": range(3), "num_epochs": 1, "num_points": 60, "batch_size": 16}
        >>> made = jg.zoo(axes, out=tempfile.mkdtemp() + "/zoo", progress=False)
        >>> found = jg.open_zoo(made.directory)
        >>> found.network(seed=2).params["dense0_relu"]["kernel"].shape
        (2, 4)
    """
    directory = Path(path)
    try:
        manifest = store.read_manifest(directory, MANIFEST)
    except OSError as error:
        raise ValueError(f"cannot read the zoo in {str(directory)!r}: {error.strerror}.") from error
    if manifest is None:
        raise ValueError(f"{str(directory)!r} is no zoo: it has no {MANIFEST}.")
    plan = planned(manifest)
    there = np.array([shard_path(directory, number).exists() for number in range(manifest["num_shards"])], bool)
    coords = {name: array_of(values) for name, values in plan.values.items()}
    return Zoo(directory, coords, manifest["variables"], there, manifest, plan)


def planned(manifest: dict[str, Any]) -> Plan:
    """The plan of a zoo from its manifest."""
    return grouped({name: from_json(values) for name, values in manifest["axes"].items()}, manifest["settings"])


def zoo_arguments(zoo: Zoo) -> tuple[dict[str, Any], dict[str, Any]]:
    """The axes of a zoo, and the other arguments of :func:`jaxgeom.zoo` that make it again."""
    names = ("labels", "domain", "key", "licence")
    return {**zoo.plan.values, **zoo.plan.fixed}, {name: zoo.manifest[name] for name in names}


def zoo_labels(zoo: Zoo, names: Sequence[str] | None = None) -> Study:
    """The labels of all networks of a zoo as a study: arrays along its axes, to select from, save and convert.

    Args:
        zoo: finished or not.
        names: of labels; default is all.

    Raises:
        ValueError: for an unknown name, and a zoo without a finished shard.
        TypeError: for what is no zoo, such as its directory.
    """
    if not isinstance(zoo, Zoo):
        raise TypeError(f"a zoo is needed, such as jaxgeom.open_zoo(directory), but {type(zoo).__name__} was given.")
    unknown = [name for name in names or () if name not in zoo.meanings]
    if unknown:
        raise UnknownVariable(
            f"the zoo has the labels {', '.join(zoo.meanings)} and the axes {', '.join(zoo.coords) or 'none'}, but "
            f"{unknown[0]!r} was given.{did_you_mean(unknown[0], (*zoo.meanings, *zoo.coords))}"
        )
    wanted = list(zoo.meanings if names is None else names)
    parts = []
    for number in np.flatnonzero(zoo.is_finished).tolist():
        arrays = zoo.shard(number)
        own = labels_of(arrays)
        parts.append((arrays["network"], {name: own[name] for name in wanted}))
    if not parts:
        raise ValueError(f"no shard of the zoo in {str(zoo.directory)!r} is finished yet.")
    axes = tuple(zoo.coords)
    shape = [len(values) for values in zoo.coords.values()]
    variables = assembled(parts, shape)
    dims = {name: (*axes, *["class"][: array.ndim - len(axes)]) for name, array in variables.items()}
    is_finished = np.zeros(shape, bool)
    for members, _ in parts:
        is_finished.flat[members] = True
    attrs = {name: {"units": "1", "meaning": zoo.meanings[name]} for name in variables}
    return Study(variables, dims, dict(zoo.coords), attrs, zoo.manifest, is_finished)


class ZooExamples:
    """Weights of networks with one label of each, for learning from weights; what PyTorch's ``DataLoader`` takes.

    ``len(examples)`` is their number and ``examples[i]`` the pair of weights (numbers,) in float32, layer after layer,
    each kernel row by row and then its bias, and label; of an array of numbers, the pair has a leading axis. Where the
    zoo has several architectures, values of its axes have to leave one.

    Args:
        zoo: the zoo, of which unfinished shards are left out.
        label: what goes with the weights, by name.
        canonical: bring networks to the form of :func:`jaxgeom.canonical_form`.
        values: as for :func:`jaxgeom.study.select`: for any axis one value, or several.

    Raises:
        ValueError: for unknown labels, axes and values, and for networks of several architectures.
    """

    def __init__(self, zoo: Zoo, label: str, *, canonical: bool = False, **values: Any):
        check_flags(canonical=canonical)
        if label not in zoo.meanings:
            raise UnknownVariable(
                f"the zoo has the labels {', '.join(zoo.meanings)}, but {label!r} was given."
                f"{did_you_mean(label, zoo.meanings)}"
            )
        members = _chosen(zoo, values)
        group, row = zoo.plan.places_of(members)
        is_there = zoo.is_finished[_shard_numbers(zoo)[group] + row // _shard_sizes(zoo)[group]]
        self.zoo, self.label, self.canonical = zoo, label, canonical
        self.networks: Int[np.ndarray, " networks"] = members[is_there]
        """Numbers of the networks in the zoo."""
        self._place = group[is_there], row[is_there]
        shapes = {tuple(zoo.manifest["groups"][g]["features"]) for g in np.unique(self._place[0]).tolist()}
        if len(shapes) != 1:
            raise ValueError(
                f"examples are networks of one architecture, but {len(shapes)} were chosen. Give width=…, depth=… or "
                "data=…, so that one is left."
            )

    def __len__(self) -> int:
        return len(self.networks)

    def __getitem__(self, index: Any) -> tuple[Float[np.ndarray, "*networks numbers"], Any]:
        if np.ndim(index) == 0:
            weights, label = self._take(np.array([index]))
            return weights[0], label[0]
        return self._take(np.asarray(index))

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[np.ndarray, Any]]:
        """Several at once, as PyTorch asks for a batch."""
        return list(zip(*self._take(np.asarray(indices)), strict=True))

    def _take(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if ((indices < -len(self)) | (indices >= len(self))).any():
            raise IndexError(f"there are {len(self)} networks, but one of {indices.tolist()[:10]} was asked for.")
        group, row = (place[indices] for place in self._place)
        sizes = _shard_sizes(self.zoo)[group]
        shard, row = _shard_numbers(self.zoo)[group] + row // sizes, row % sizes
        weights, labels = [], []
        order = np.argsort(shard, kind="stable")
        for some in np.split(order, np.flatnonzero(np.diff(shard[order])) + 1):
            arrays = self.zoo.shard(int(shard[some[0]]))
            weights.append({name: array[row[some]] for name, array in _weights(arrays).items()})
            labels.append(labels_of(arrays)[self.label][row[some]])
        back = np.argsort(order, kind="stable")
        params = {name: np.concatenate([part[name] for part in weights])[back] for name in weights[0]}
        vectors = flat(_canonical(params_of(params)) if self.canonical else params_of(params))
        return vectors, np.concatenate(labels)[back]


def zoo_batches(
    examples: ZooExamples, batch_size: int, *, seed: int = 0, num_epochs: int = 1, drop_last: bool = True
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weights and labels in batches, in a new order every epoch, for training loops in JAX or NumPy.

    Args:
        examples: what to go through.
        batch_size: networks of a batch.
        seed: decides the order.
        num_epochs: how often.
        drop_last: leave out the incomplete batch at the end of an epoch.

    Raises:
        ValueError: for sizes below one, and fewer networks than a batch has.
    """
    check_flags(drop_last=drop_last)
    check_positive("batch_size", batch_size)
    check_positive("num_epochs", num_epochs)
    if drop_last and batch_size > len(examples):
        raise ValueError(f"batch_size = {batch_size} is more than the {len(examples)} networks; take smaller batches.")
    return _batches(examples, batch_size, seed, num_epochs, drop_last)


def _batches(
    examples: ZooExamples, batch_size: int, seed: int, num_epochs: int, drop_last: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for epoch in range(num_epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(examples))
        stop = len(order) // batch_size * batch_size if drop_last else len(order)
        for start in range(0, stop, batch_size):
            yield examples[order[start : start + batch_size]]


def flat(params: Params) -> Float[np.ndarray, "networks numbers"]:
    """All weights of each network of a population in one row."""
    parts = []
    for name, _, _ in named_layers(params):
        parts += [np.asarray(params[name][part]) for part in ("kernel", "bias")]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


_canonical = jax.jit(canonical_form)


@lru_cache(maxsize=1024)
def _shard(directory: Path, number: int, digest: str, _stamp: tuple[int, ...]) -> dict[str, np.ndarray]:
    """A shard as it is in the file of that time."""
    return read_shard(directory, number, digest)


def _weights(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if name.endswith((".kernel", ".bias"))}


def _shard_numbers(zoo: Zoo) -> Int[np.ndarray, " groups"]:
    return np.array([group["shards"][0] for group in zoo.manifest["groups"]])


def _shard_sizes(zoo: Zoo) -> Int[np.ndarray, " groups"]:
    return np.array([group["shard_size"] for group in zoo.manifest["groups"]])


def _chosen(zoo: Zoo, values: dict[str, Any]) -> Int[np.ndarray, " networks"]:
    """Numbers of the networks with these values on their axes."""
    unknown = [name for name in values if name not in zoo.coords]
    if unknown:
        raise ValueError(
            f"the zoo has the axes {', '.join(zoo.coords) or 'none'}, but {unknown[0]!r} was given."
            f"{did_you_mean(unknown[0], zoo.coords)}"
        )
    numbers = np.arange(zoo.num_networks).reshape(zoo.plan.shape)
    for axis, name in enumerate(zoo.coords):
        if name in values:
            places = np.atleast_1d(coordinate_places(name, zoo.coords[name], values[name]))
            numbers = np.take(numbers, places, axis=axis)
    return numbers.ravel()


def _network(zoo: Zoo, number: int | None, values: dict[str, Any]) -> ZooNetwork:
    if number is None:
        found = _chosen(zoo, values)
        if len(found) != 1:
            raise ValueError(
                f"these values are those of {len(found):,} networks: give one for each axis, {', '.join(zoo.coords)}."
            )
        number = int(found[0])
    elif values:
        raise ValueError("a network is given by its number, or by its value on each axis, but not by both.")
    if not 0 <= number < zoo.num_networks:
        raise ValueError(f"the zoo has networks 0 to {zoo.num_networks - 1:,}, but {number} was given.")
    index, row = (int(place[0]) for place in zoo.plan.places_of(np.array([number])))
    group = zoo.manifest["groups"][index]
    shard, row = group["shards"][0] + row // group["shard_size"], row % group["shard_size"]
    if not zoo.is_finished[shard]:
        raise ValueError(f"network {number} is in shard {shard}, which is not finished yet.")
    arrays = zoo.shard(shard)
    params = jax.tree.map(lambda array: array[row], params_of(arrays))
    own = {"seed": int(arrays["seed"][row]), "learning_rate": float(arrays["learning_rate"][row])}
    labels = {name: np.asarray(array)[row] for name, array in labels_of(arrays).items()}
    return ZooNetwork(params, group["settings"] | own, labels)
