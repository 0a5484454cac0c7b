"""[host] Data sets of a zoo: points of the plane in about [-1, 1]², with classes, noise and a target, by name."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxgeom._reprs import readable
from jaxgeom._typing import RandomKey
from jaxgeom.data import datasets
from jaxgeom.data.datasets import Dataset, split


class _Source(NamedTuple):
    """How a data set is drawn, and what its points are moved by."""

    draw: Callable[[RandomKey, int, Any], Dataset]
    """``draw(key, num_points, noise)``; only spirals take the noise."""
    center: tuple[float, float]
    half_side: float
    """Half of the side of a square around ``center`` that holds the points but for their noise."""


SOURCES: dict[str, _Source] = {
    "spirals": _Source(lambda key, num, noise: datasets.spirals(key, num_per_class=num // 3, noise=noise), (0, 0), 1),
    "rings": _Source(lambda key, num, _: datasets.rings(key, num_per_class=num // 2), (0, 0), 4),
    "disk_with_holes": _Source(
        lambda key, num, _: datasets.disk_with_holes(key, num_negative=num // 2, num_positive=num // 2), (0, 0), 1
    ),
    "line_segments": _Source(lambda key, num, _: datasets.line_segments(key, num_per_segment=num // 20), (0, 0), 1),
    "moons": _Source(lambda key, num, _: datasets.moons(key, num_points=num), (0.5, 0.25), 1.5),
    "circles": _Source(lambda key, num, _: datasets.circles(key, num_points=num, factor=0.5), (0, 0), 1),
    "blobs": _Source(lambda key, num, _: datasets.blobs(key, num_points=num), (0, 0), 12),
    "checkerboard": _Source(lambda key, num, _: datasets.checkerboard(key, num_points=num), (0, 0), 1),
}
"""Data sets of a zoo by name."""

TARGETS = ("labels", "shuffled")
"""What networks learn: the classes of the data set, or the same classes in random order, which can only be
memorised."""
LEAST_POINTS = 40
"""Points of a data set: with fewer, some would have an empty class or split."""


@readable
class ZooData(NamedTuple):
    """The data that networks of a zoo share."""

    train: Dataset
    """What networks are trained on."""
    test: Dataset
    """What they are only evaluated on."""
    num_classes: int
    """Number of classes, which is that of the networks' outputs."""
    sha256: str
    """A digest of all points and classes."""


def zoo_data(
    key: int, *, data: str, noise: float, target: str, num_points: int, train_fraction: float, data_seed: int
) -> ZooData:
    """The data of some networks of a zoo, the same in every process.

    Args:
        key: of the zoo.
        data: the name of the data set, one of :data:`SOURCES`.
        noise: of the angles of spirals; of others the standard deviation of normal noise in each coordinate.
        target: one of :data:`TARGETS`.
        num_points: points of both splits together; a few fewer where classes are of one size.
        train_fraction: of the points that networks are trained on.
        data_seed: which of all draws.
    """
    train, test = _drawn(data, target, num_points, train_fraction, np.float32(noise), np.uint32(data_seed), key)
    return ZooData(train, test, int(max(np.max(train.y), np.max(test.y))) + 1, _digest(train, test))


@partial(jax.jit, static_argnums=range(4))
def _drawn(
    data: str, target: str, num_points: int, train_fraction: float, noise: Array, data_seed: Array, key: Array
) -> tuple[Dataset, Dataset]:
    """Both splits; one program for every noise and seed, since it takes a second to compile."""
    source = SOURCES[data]
    of_draw = jax.random.fold_in(jax.random.fold_in(jax.random.key(key), 1), data_seed)
    draw_key, noise_key, split_key, order_key = jax.random.split(of_draw, 4)
    x, y = source.draw(draw_key, num_points, noise)
    x = (x - jnp.array(source.center, jnp.float32)) / jnp.float32(source.half_side)
    if data != "spirals":
        x = x + noise * jax.random.normal(noise_key, x.shape, x.dtype)
    if target == "shuffled":
        y = jax.random.permutation(order_key, y)
    return split(split_key, Dataset(x, y), train_fraction=train_fraction)


def _digest(*parts: Dataset) -> str:
    found = hashlib.sha256()
    for array in (np.asarray(array) for part in parts for array in part):
        found.update(f"{array.dtype.str} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()
