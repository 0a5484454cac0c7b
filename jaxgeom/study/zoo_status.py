"""[host] How far a zoo is, under way or left: what is finished, damaged and missing, and who works on it."""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from jaxgeom._reprs import readable
from jaxgeom.study.shards import check_shard, shard_path
from jaxgeom.study.status import finished_of, rate
from jaxgeom.study.store import holders
from jaxgeom.study.zoo_reader import open_zoo


@readable
class ZooStatus(NamedTuple):
    """Progress of a zoo in a directory; :func:`jaxgeom.open_zoo` gives its networks so far."""

    num_networks: int
    """Networks of the whole zoo."""
    num_shards: int
    """Shards of the whole zoo."""
    is_finished: Bool[np.ndarray, "*axes"]
    """Whether each network, along the axes of the zoo, is finished."""
    coords: dict[str, np.ndarray]
    """Values along these axes."""
    missing: tuple[int, ...]
    """Numbers of the shards that are not made yet."""
    damaged: tuple[int, ...]
    """Numbers of the shards that are not as they were saved, which will be made again."""
    holders: tuple[str, ...]
    """The process that is at work, in words; empty if there is none."""
    rate: float
    """Networks a second, from the times of the files; NaN where it cannot be told."""

    def _note(self) -> str:
        return finished_of(self.num_networks, self.is_finished)


def zoo_status(path: str | os.PathLike[str]) -> ZooStatus:
    """Progress of the zoo in a directory, while it is made or afterwards.

    Nothing is written there, and the process at work is not disturbed. Every shard is read and its checksum compared.

    Args:
        path: directory of the zoo.

    Raises:
        ValueError: for a directory without a zoo, or with a manifest that is damaged or of another version.

    Example:
        >>> import tempfile, jaxgeom as jg
        >>> axes = {"width": [3, 4], "seed": range(5), "num_epochs": 1, "num_points": 60, "batch_size": 16}
        >>> made = jg.zoo(axes, out=tempfile.mkdtemp() + "/zoo", progress=False)
        >>> found = jg.study.zoo_status(made.directory)
        >>> found.num_shards, found.missing, found.is_finished.shape
        (2, (), (2, 5))
    """
    zoo = open_zoo(path)
    members, manifest = zoo.plan.members, zoo.manifest
    is_finished = np.zeros([len(values) for values in zoo.coords.values()], bool)
    missing: list[int] = []
    damaged: list[int] = []
    sizes, times = [], []
    for own, group in zip(members, manifest["groups"], strict=True):
        first, count = group["shards"]
        for number in range(first, first + count):
            start = (number - first) * group["shard_size"]
            some = own[start : start + group["shard_size"]]
            if not zoo.is_finished[number]:
                missing.append(number)
            elif not check_shard(zoo.directory, number, manifest["digest"]):
                damaged.append(number)
            else:
                is_finished.flat[some] = True
                sizes.append(len(some))
                times.append(shard_path(zoo.directory, number).stat().st_mtime)
    return ZooStatus(
        zoo.num_networks,
        manifest["num_shards"],
        is_finished,
        zoo.coords,
        tuple(missing),
        tuple(damaged),
        tuple(holders(zoo.directory)),
        rate(np.array(sizes, float), np.array(times)),
    )
