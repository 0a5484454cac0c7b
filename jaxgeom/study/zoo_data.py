"""[host] Data sets of a zoo: points of the plane in about [-1, 1]², with classes, noise and a target, by name.

They are those of :mod:`jaxgeom.data.datasets` for the same key, but computed in float64 by NumPy and rounded once. XLA
rounds otherwise from version to version and from device to device; what JAX is asked for here, uniform numbers and
orders, has the same bits in all of them. So a shard can be made again where JAX is another one.
"""

import hashlib
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgeom._reprs import readable
from jaxgeom._typing import RandomKey
from jaxgeom.data.datasets import Dataset, split

_Points = tuple[np.ndarray, np.ndarray]
"""Points (points, 2) in float64, and their classes."""


class _Source(NamedTuple):
    """How a data set is drawn, and what its points are moved by."""

    draw: Callable[[RandomKey, int, float], _Points]
    """``draw(key, num_points, noise)``; only spirals take the noise."""
    center: tuple[float, float]
    half_side: float
    """Half of the side of a square around ``center`` that holds the points but for their noise."""


def _uniform(key: RandomKey, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(jax.random.uniform(key, shape, jnp.float32), np.float64)


def _normal(key: RandomKey, shape: tuple[int, ...]) -> np.ndarray:
    """What ``jax.random.normal`` gives, from the same uniform numbers."""
    between = jax.random.uniform(key, shape, jnp.float32, np.nextafter(np.float32(-1), np.float32(0)), 1)
    quantile = NormalDist().inv_cdf
    return np.reshape([quantile((1 + u) / 2) for u in np.ravel(between).tolist()], shape)


def _polar(radius: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Points of the plane by radius and angle, that as a part of the whole turn; coordinates on the last axis."""
    angle = 2 * np.pi * turn
    points: np.ndarray = np.asarray(radius)[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return points


def _in_order(key: RandomKey, x: np.ndarray, y: np.ndarray) -> _Points:
    order = np.asarray(jax.random.permutation(key, len(x)))
    return x[order], y[order]


def _pair(key: RandomKey, first: np.ndarray, second: np.ndarray) -> _Points:
    """Points of two classes in random order."""
    return _in_order(key, np.concatenate([first, second]), np.repeat([0, 1], [len(first), len(second)]))


def _spirals(key: RandomKey, num: int, noise: float) -> _Points:
    along, k = np.linspace(0, 1, num // 3), np.arange(3)[:, None]
    turn = (2 * along + k) / 3 + noise * _normal(key, (3, num // 3)) / (2 * np.pi)
    x = _polar(0.2 + 0.8 * along, turn)[..., ::-1]
    return x.reshape(-1, 2), np.repeat(np.arange(3), num // 3)


def _rings(key: RandomKey, num: int, _: float) -> _Points:
    place, turn = _uniform(key, (2, num // 2, 2))
    return _polar(np.array([0, 3]) + place, turn).reshape(-1, 2), np.tile([0, 1], num // 2)


def _disk_with_holes(key: RandomKey, num: int, _: float) -> _Points:
    num_points, num_holes, hole_radius = num // 2, 9, 0.1
    negative_key, positive_key, order_key = jax.random.split(key, 3)
    centers = np.append(_polar(np.array(0.5), np.arange(num_holes - 1) / (num_holes - 1)), np.zeros((1, 2)), axis=0)
    negative, is_placed, tries = np.zeros((num_points, 2)), np.zeros(num_points, bool), 0
    while not is_placed.all():
        area, turn = _uniform(jax.random.fold_in(negative_key, tries), (2, num_points))
        proposal = _polar(np.sqrt(area), turn)
        is_free = (((proposal[:, None] - centers) ** 2).sum(axis=-1) > hole_radius**2).all(axis=1)
        negative[is_free & ~is_placed] = proposal[is_free & ~is_placed]
        is_placed |= is_free
        tries += 1
    area, turn = _uniform(positive_key, (2, num_points))
    return _pair(order_key, negative, centers[np.arange(num_points) % num_holes] + _polar(0.02 * np.sqrt(area), turn))


def _line_segments(key: RandomKey, num: int, _: float) -> _Points:
    num_each, num_segments = num // 20, 20
    segment_key, along_key, label_key = jax.random.split(key, 3)
    segments = _uniform(segment_key, (num_segments, 1, 3))
    classes = (np.arange(num_segments) >= num_segments // 2).astype(np.int32)
    classes = np.asarray(jax.random.permutation(label_key, classes))
    along = _polar(0.1 * _uniform(along_key, (num_segments, num_each)), segments[..., 2])
    return (2 * segments[..., :2] - 1 + along).reshape(-1, 2), np.repeat(classes, num_each)


def _moons(key: RandomKey, num: int, _: float) -> _Points:
    upper = _polar(np.array(1), np.linspace(0, 0.5, num // 2))
    lower = np.array([1, 0.5]) - _polar(np.array(1), np.linspace(0, 0.5, num - num // 2))
    return _pair(jax.random.split(key)[1], upper, lower)


def _circles(key: RandomKey, num: int, _: float) -> _Points:
    sizes = num // 2, num - num // 2
    outer, inner = (_polar(np.array(1), np.arange(size) / size) for size in sizes)
    return _pair(jax.random.split(key)[1], outer, 0.5 * inner)


def _blobs(key: RandomKey, num: int, _: float) -> _Points:
    center_key, noise_key, order_key = jax.random.split(key, 3)
    y = np.arange(num) % 3
    return _in_order(order_key, (20 * _uniform(center_key, (3, 2)) - 10)[y] + _normal(noise_key, (num, 2)), y)


def _checkerboard(key: RandomKey, num: int, _: float) -> _Points:
    position = 4 * _uniform(key, (num, 2))
    return position / 2 - 1, np.floor(position).sum(axis=1).astype(np.int32) % 2


SOURCES: dict[str, _Source] = {
    "spirals": _Source(_spirals, (0, 0), 1),
    "rings": _Source(_rings, (0, 0), 4),
    "disk_with_holes": _Source(_disk_with_holes, (0, 0), 1),
    "line_segments": _Source(_line_segments, (0, 0), 1),
    "moons": _Source(_moons, (0.5, 0.25), 1.5),
    "circles": _Source(_circles, (0, 0), 1),
    "blobs": _Source(_blobs, (0, 0), 12),
    "checkerboard": _Source(_checkerboard, (0, 0), 1),
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
    """The data of some networks of a zoo, the same bits in every process, version and device.

    Args:
        key: of the zoo.
        data: the name of the data set, one of :data:`SOURCES`.
        noise: of the angles of spirals; of others the standard deviation of normal noise in each coordinate.
        target: one of :data:`TARGETS`.
        num_points: points of both splits together; a few fewer where classes are of one size.
        train_fraction: of the points that networks are trained on.
        data_seed: which of all draws.
    """
    source = SOURCES[data]
    of_draw = jax.random.fold_in(jax.random.fold_in(jax.random.key(key), 1), np.uint32(data_seed))
    draw_key, noise_key, split_key, order_key = jax.random.split(of_draw, 4)
    x, y = source.draw(draw_key, num_points, float(noise))
    x = (x - np.array(source.center)) / source.half_side
    if data != "spirals":
        x = x + float(noise) * _normal(noise_key, x.shape)
    if target == "shuffled":
        y = y[np.asarray(jax.random.permutation(order_key, len(y)))]
    points = Dataset(jnp.asarray(x.astype(np.float32)), jnp.asarray(y.astype(np.int32)))
    train, test = split(split_key, points, train_fraction=train_fraction)
    return ZooData(train, test, int(max(np.max(train.y), np.max(test.y))) + 1, _digest(train, test))


def _digest(*parts: Dataset) -> str:
    found = hashlib.sha256()
    for array in (np.asarray(array) for part in parts for array in part):
        found.update(f"{array.dtype.str} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()
