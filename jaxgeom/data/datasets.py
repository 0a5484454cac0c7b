"""Toy datasets in a few dimensions, each a pure function of a random key.

The point sets on which the geometry of small networks is usually studied: spirals, rings, a disk with holes,
line segments, parity and a damped sine; grids and a Gaussian cloud without labels; scikit-learn's moons,
circles and blobs; a checkerboard; squares, products and sines of coordinates. Each data set names its source.

``key`` comes first where there is randomness, and is used up. Sizes and grid limits are Python numbers, fixed
before tracing; noise, radii and lengths may also be array scalars, traced or not, whose values go unchecked.
All functions run under ``jit``, and ``jax.vmap(spirals)(jax.random.split(key, 1000))`` makes a thousand
datasets. Inputs are float32 ``(points, dim)``; targets are int32 class labels ``(points,)`` or float32
``(points, 1)``. "Raises" below means ``TypeError`` for a wrong kind and ``ValueError`` for a wrong value.
"""

import math
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32, ScalarLike

from jaxgeom._reprs import readable
from jaxgeom._typing import RandomKey
from jaxgeom.data.arguments import disk_radii, known, radius_range, require, scalar, size
from jaxgeom.data.features import feature_names, features_of
from jaxgeom.data.grids import gaussian_cloud, line_grid, mesh_grid
from jaxgeom.data.sampling import half_open, polar, uniform, uniform_in_disk, uniform_outside_holes, unit_circle
from jaxgeom.host.given import check_flags
from jaxgeom.host.inputs import as_array, as_key
from jaxgeom.host.programs import compiled

__all__ = [
    "Dataset",
    "Segments",
    "blobs",
    "checkerboard",
    "circles",
    "damped_sine",
    "disk_with_holes",
    "feature_names",
    "features_of",
    "gaussian_cloud",
    "hole_centers",
    "line_grid",
    "line_segments",
    "mesh_grid",
    "moons",
    "parity",
    "rings",
    "segments_of",
    "spirals",
    "split",
]


def __dir__() -> list[str]:
    return __all__


Range: TypeAlias = tuple[ScalarLike, ScalarLike]

MAX_PARITY_DIM = 20  # about a million corners


@readable
class Dataset(NamedTuple):
    """Inputs ``x`` and class labels or regression targets ``y``, row by row."""

    x: Float32[Array, "points dim"]
    """Inputs, one row a point."""
    y: Int32[Array, " points"] | Float32[Array, "points 1"]
    """Class labels, one a point, or targets of a regression, one row a point."""


def spirals(
    key: RandomKey,
    *,
    num_per_class: int = 1000,
    num_classes: int = 3,
    noise: ScalarLike = 0.2,
    radius: Range = (0.2, 1.0),
) -> Dataset:
    """Interleaved spirals in the plane, ``num_classes · num_per_class`` points: class by class, inside out.

    With ``t = linspace(0, 1, num_per_class)``, class ``k`` has the points ``r (sin a, cos a)``, where
    ``r = radius[0] + (radius[1] - radius[0]) t`` and ``a = (2 t + k) 2π / num_classes + noise · normal``.

    Raises unless the sizes are integers from 1 up and the noise and both radii at least 0.
    Source: the code of Dan Lu's notebook "Spiraling out of Neural Nets", after Karpathy's CS231n notes.

    Example:
        >>> import jax, jaxgeom as jg
        >>> x, y = jg.spirals(jax.random.key(0), num_per_class=50)
        >>> x.shape, y.shape, int(y.max())
        ((150, 2), (150,), 2)
    """
    key = as_key(key)
    shape = (size("num_classes", num_classes), size("num_per_class", num_per_class))
    noise = scalar("noise", noise, is_zero_allowed=True)
    return _spirals(key, shape, noise, *radius_range("radius", radius))


@compiled(1)
def _spirals(key: RandomKey, shape: tuple[int, int], noise: Array, inner: Array, outer: Array) -> Dataset:
    num_classes, num_per_class = shape
    t = jnp.linspace(0.0, 1.0, num_per_class, dtype=jnp.float32)
    k = jnp.arange(num_classes, dtype=jnp.float32)[:, None]
    angle = (2 * t + k) * (2 * math.pi / num_classes) + noise * jax.random.normal(key, shape, jnp.float32)
    x = polar(inner + (outer - inner) * t, angle)[..., ::-1]  # (sin, cos): the angle starts at the y-axis
    return Dataset(x.reshape(-1, 2), jnp.repeat(jnp.arange(num_classes, dtype=jnp.int32), num_per_class))


def rings(
    key: RandomKey, *, num_per_class: int = 1000, inner: Range = (0.0, 1.0), outer: Range = (3.0, 4.0)
) -> Dataset:
    """A disk inside a ring, ``2 · num_per_class`` points: even rows are of class 0, odd ones of class 1.

    The angle is uniform and so is the radius (not the area), in ``[low, high)`` up to rounding, where
    ``(low, high)`` is ``inner`` for class 0 and ``outer`` for class 1.

    Raises unless ``num_per_class`` is an integer from 1 up and the radii are at least 0.
    Source: two rings as in an introductory notebook on what hidden units do.

    Example:
        >>> import jax, jaxgeom as jg
        >>> x, y = jg.rings(jax.random.key(0), num_per_class=50)
        >>> x.shape, bool((x[y == 0] ** 2).sum(axis=1).max() < (x[y == 1] ** 2).sum(axis=1).min())
        ((100, 2), True)
    """
    key = as_key(key)
    num_per_class = size("num_per_class", num_per_class)
    return _rings(key, num_per_class, radius_range("inner", inner), radius_range("outer", outer))


@compiled(1)
def _rings(key: RandomKey, num_per_class: int, inner: tuple[Array, Array], outer: tuple[Array, Array]) -> Dataset:
    low, high = (jnp.stack(pair) for pair in zip(inner, outer, strict=True))
    place, turn = uniform(key, (2, num_per_class, 2))
    x = polar(low + (high - low) * place, 2 * math.pi * turn)
    return Dataset(x.reshape(-1, 2), jnp.tile(jnp.arange(2, dtype=jnp.int32), num_per_class))


def disk_with_holes(
    key: RandomKey,
    *,
    num_negative: int = 500,
    num_positive: int = 500,
    num_holes: int = 9,
    radius: ScalarLike = 1.0,
    hole_radius: ScalarLike = 0.1,
    positive_radius: ScalarLike = 0.02,
    center: bool = True,
) -> Dataset:
    """A disk with holes: ``num_negative`` points of class 0 fill it, ``num_positive`` of class 1 sit in the holes.

    The holes lie evenly on the circle of radius ``radius / 2``, the first at angle 0; with ``center`` the
    last one is at the origin instead. Class 0 is exactly uniform on the disk minus the holes: every point
    independently keeps the first of its uniform proposals that is in no hole, and a ``lax.while_loop`` goes
    on until all have one (so no reverse-mode derivatives by the radii). Class 1 is uniform in
    disks of ``positive_radius`` around the centres of the holes and shared out evenly, the first holes taking
    the remainder. Rows are shuffled. If traced radii leave class 0 no room, its points are ``UNPLACED`` (NaN).

    Raises unless the sizes are integers from 1 up, the radii are above 0, ``hole_radius <= radius / 6``,
    ``positive_radius <= hole_radius`` and the holes on the circle do not touch.
    Source: Naitzat, Zhitnikov and Lim, "Topology of deep neural networks" (2020), arXiv:2004.06093, with the
    parameters of Matt Johnson's "Animating How Neural Networks Detangle Classes" (2022). His code fails if
    too few of ``5 · num_negative`` points survive, and lets holes merge, which changes the topology.

    Example:
        >>> import jax, jaxgeom as jg
        >>> x, y = jg.disk_with_holes(jax.random.key(0), num_negative=60, num_positive=40, num_holes=4)
        >>> x.shape, int(y.sum())
        ((100, 2), 40)
    """
    check_flags(center=center)
    key = as_key(key)
    num_negative = size("num_negative", num_negative)
    num_positive = size("num_positive", num_positive)
    num_holes = size("num_holes", num_holes, fix="Class 1 needs a hole to sit in.")
    num_on_circle = num_holes - bool(center)
    radii = disk_radii(num_on_circle, radius, hole_radius, positive_radius)
    return _disk_with_holes(key, num_negative, num_positive, num_holes, num_on_circle, *radii)


@compiled(1, 2, 3, 4)
def _disk_with_holes(
    key: RandomKey,
    num_negative: int,
    num_positive: int,
    num_holes: int,
    num_on_circle: int,
    radius: Array,
    hole_radius: Array,
    positive_radius: Array,
) -> Dataset:
    centers = _hole_centers(num_holes, num_on_circle, radius)
    negative_key, positive_key, order_key = jax.random.split(key, 3)
    negative = uniform_outside_holes(negative_key, num_negative, radius, centers, hole_radius)
    offsets = uniform_in_disk(positive_key, num_positive, positive_radius)
    return _shuffled_pair(order_key, negative, centers[np.arange(num_positive) % num_holes] + offsets)


def _hole_centers(num_holes: int, num_on_circle: int, radius: Array) -> Float32[Array, "holes 2"]:
    in_the_middle = jnp.zeros((num_holes - num_on_circle, 2), jnp.float32)
    return radius / 2 * jnp.concatenate([unit_circle(num_on_circle), in_the_middle])


def hole_centers(*, num_holes: int = 9, radius: ScalarLike = 1.0, center: bool = True) -> Float32[Array, "holes 2"]:
    """Centres of the holes that :func:`disk_with_holes` makes of the same settings, float32 of shape ``(holes, 2)``.

    A point of class 1 belongs to the nearest of them.

    Example:
        >>> import jaxgeom as jg
        >>> jg.datasets.hole_centers(num_holes=2, radius=3).tolist()
        [[1.5, 0.0], [0.0, 0.0]]
    """
    check_flags(center=center)
    num_holes = size("num_holes", num_holes)
    return _hole_centers(num_holes, num_holes - bool(center), scalar("radius", radius))


@readable
class Segments(NamedTuple):
    """The segments on which :func:`line_segments` puts points, one a row."""

    start: Float32[Array, "segments 2"]
    """Their first ends."""
    end: Float32[Array, "segments 2"]
    """Their other ends."""
    y: Int32[Array, " segments"]
    """Classes of the points on them, 0 or 1."""


def line_segments(
    key: RandomKey,
    *,
    num_negative: int = 10,
    num_positive: int = 10,
    length: ScalarLike = 0.1,
    num_per_segment: int = 30,
) -> Dataset:
    """Points on random short segments in the plane: ``num_negative`` segments of class 0, ``num_positive`` of class 1.

    A segment starts uniformly in ``[-1, 1)²`` and runs ``length`` in a uniform direction, perhaps out of the
    square; ``num_per_segment`` points are uniform along it. Rows are grouped: row ``i`` is on segment
    ``i // num_per_segment``. Which segments are of class 1 is random.

    Raises unless the sizes are integers from 1 up and ``length > 0``.
    Source: Matt Johnson, "Animating How Neural Networks Detangle Classes" (2022); his demonstration has 5 + 5
    segments of length 0.2 with 50 points each.

    Example:
        >>> import jax, jaxgeom as jg
        >>> x, y = jg.line_segments(jax.random.key(0), num_negative=2, num_positive=1, num_per_segment=5)
        >>> x.shape, int(y.sum())
        ((15, 2), 5)
    """
    num_per_segment = size("num_per_segment", num_per_segment)
    sizes = _segment_sizes(num_negative, num_positive)
    return _line_segments(as_key(key), *sizes, num_per_segment, scalar("length", length))


@compiled(1, 2, 3)
def _line_segments(
    key: RandomKey, num_negative: int, num_segments: int, num_per_segment: int, length: Array
) -> Dataset:
    start, angle, labels, along_key = _segments(key, num_negative, num_segments)
    x = start + polar(length * uniform(along_key, (num_segments, num_per_segment)), angle)
    return Dataset(x.reshape(-1, 2), jnp.repeat(labels, num_per_segment))


def segments_of(
    key: RandomKey, *, num_negative: int = 10, num_positive: int = 10, length: ScalarLike = 0.1
) -> Segments:
    """The segments on which :func:`line_segments` puts points, for the same key and settings.

    Row ``i`` of its data is on segment ``i // num_per_segment``.

    Example:
        >>> import jax, jaxgeom as jg
        >>> segments = jg.datasets.segments_of(jax.random.key(0), num_negative=2, num_positive=1, length=0.2)
        >>> segments.start.shape, int(segments.y.sum())
        ((3, 2), 1)
    """
    return _segment_ends(as_key(key), *_segment_sizes(num_negative, num_positive), scalar("length", length))


@compiled(1, 2)
def _segment_ends(key: RandomKey, num_negative: int, num_segments: int, length: Array) -> Segments:
    start, angle, labels, _ = _segments(key, num_negative, num_segments)
    return Segments(start[:, 0], (start + polar(length, angle))[:, 0], labels)


def _segment_sizes(num_negative: int, num_positive: int) -> tuple[int, int]:
    num_negative = size("num_negative", num_negative)
    return num_negative, num_negative + size("num_positive", num_positive)


def _segments(key: RandomKey, num_negative: int, num_segments: int) -> tuple[Array, Array, Array, RandomKey]:
    """Starts, angles and labels, and a key for what is on them."""
    segment_key, along_key, label_key = jax.random.split(key, 3)
    segments = uniform(segment_key, (num_segments, 1, 3))
    labels = jax.random.permutation(label_key, (np.arange(num_segments) >= num_negative).astype(np.int32))
    return 2 * segments[..., :2] - 1, 2 * math.pi * segments[..., 2], labels, along_key


def parity(dim: int = 2) -> Dataset:
    """All ``2**dim`` corners of ``{-1, 1}^dim``, with the parity of the number of ones; ``parity(2)`` is XOR.

    The target is +1 where an odd number of coordinates is +1, else -1; float32 of shape ``(points, 1)``. The
    last coordinate changes fastest, as in ``itertools.product([-1, 1], repeat=dim)``.
    Raises unless ``dim`` is an integer from 1 to ``MAX_PARITY_DIM``. Source: Minsky and Papert, "Perceptrons" (1969).

    Example:
        >>> import jaxgeom as jg
        >>> x, y = jg.parity(2)
        >>> x.tolist(), y[:, 0].tolist()
        ([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], [-1.0, 1.0, 1.0, -1.0])
    """
    dim = size("dim", dim)
    require(dim <= MAX_PARITY_DIM, "dim", dim, f"1 to {MAX_PARITY_DIM}", "Draw some corners at random.")
    bits = np.arange(2**dim)[:, None] >> np.arange(dim)[::-1] & 1
    is_odd = bits.sum(axis=1, keepdims=True) % 2
    return Dataset(jnp.asarray(2 * bits - 1, jnp.float32), jnp.asarray(2 * is_odd - 1, jnp.float32))


def damped_sine(*, low: float = -10.0, high: float = 10.0, step: float = 0.1, reverse: bool = False) -> Dataset:
    """The curve ``y = sin(3x) exp(-x / 8)`` at ``x = low, low + step, ...`` below ``high``, for regression.

    The defaults give exactly 200 points, -10 to 9.9; ``x`` and ``y`` have shape ``(points, 1)``, computed in
    float64 and rounded once. ``reverse`` turns the targets round, not the inputs: large swings on the right.
    Raises unless ``low < high`` and ``step > 0``, all finite.
    Source: the regression data of an introductory notebook on what hidden units do.

    Example:
        >>> import jaxgeom as jg
        >>> x, y = jg.damped_sine(low=0, high=2, step=0.5)
        >>> x[:, 0].tolist(), y.shape
        ([0.0, 0.5, 1.0, 1.5], (4, 1))
    """
    check_flags(reverse=reverse)
    x = half_open(low, high, step)[:, None]
    y = np.sin(3 * x) * np.exp(-x / 8)
    return Dataset(jnp.asarray(x, jnp.float32), jnp.asarray(y[::-1] if reverse else y, jnp.float32))


def moons(key: RandomKey, *, num_points: int = 100, noise: ScalarLike = 0.0) -> Dataset:
    """Two interleaved half circles, plus ``noise · normal`` in each coordinate. Rows are shuffled.

    With ``t`` evenly spaced from 0 to π, class 0 (``num_points // 2`` points) is ``(cos t, sin t)`` and class
    1 ``(1 - cos t, 1/2 - sin t)``.
    Raises unless ``num_points >= 2`` and ``noise >= 0``. Source: make_moons of scikit-learn.

    Example:
        >>> import jax, jaxgeom as jg
        >>> x, y = jg.datasets.moons(jax.random.key(0), num_points=11)
        >>> x.shape, int(y.sum())
        ((11, 2), 6)
    """
    key = as_key(key)
    num_lower = size("num_points", num_points, minimum=2) - num_points // 2
    first, second = np.linspace(0, np.pi, num_points // 2), np.linspace(0, np.pi, num_lower)
    upper = np.stack([np.cos(first), np.sin(first)], axis=-1)
    lower = np.stack([1 - np.cos(second), 0.5 - np.sin(second)], axis=-1)
    return _noisy_pair(key, jnp.asarray(upper, jnp.float32), jnp.asarray(lower, jnp.float32), noise)


def circles(key: RandomKey, *, num_points: int = 100, noise: ScalarLike = 0.0, factor: ScalarLike = 0.8) -> Dataset:
    """Evenly spaced points on two circles, plus ``noise · normal`` in each coordinate. Rows are shuffled.

    Class 0 (``num_points // 2`` points) has radius 1, class 1 radius ``factor``.
    Raises unless ``num_points >= 2``, ``noise >= 0`` and ``0 <= factor < 1``. Source: make_circles of scikit-learn.

    Example:
        >>> import jax, jaxgeom as jg
        >>> x, y = jg.datasets.circles(jax.random.key(0), num_points=10, factor=0.5)
        >>> sorted({round(float(radius), 3) for radius in (x**2).sum(axis=1) ** 0.5})
        [0.5, 1.0]
    """
    key = as_key(key)
    num_inner = size("num_points", num_points, minimum=2) - num_points // 2
    inner_radius = scalar("factor", factor, is_zero_allowed=True)
    require(known(factor, 0.0) < 1, "factor", factor, "numbers from 0 up and below 1")
    return _noisy_pair(key, unit_circle(num_points // 2), inner_radius * unit_circle(num_inner), noise)


def blobs(
    key: RandomKey, *, num_points: int = 100, num_classes: int = 3, dim: int = 2, cluster_std: ScalarLike = 1.0
) -> Dataset:
    """Normal clusters: points ``centre + cluster_std · normal``, one centre a class, uniform in ``[-10, 10)^dim``.

    Classes are as equal as possible, the first ones taking the remainder. Rows are shuffled.
    Raises unless the sizes are integers from 1 up and ``cluster_std >= 0``. Source: make_blobs of scikit-learn.

    Example:
        >>> import jax, jaxgeom as jg
        >>> x, y = jg.datasets.blobs(jax.random.key(0), num_points=7, dim=4)
        >>> x.shape, sorted(y.tolist())
        ((7, 4), [0, 0, 0, 1, 1, 2, 2])
    """
    key = as_key(key)
    shape = (size("num_points", num_points), size("dim", dim))
    num_classes = size("num_classes", num_classes)
    return _blobs(key, shape, num_classes, scalar("cluster_std", cluster_std, is_zero_allowed=True))


@compiled(1, 2)
def _blobs(key: RandomKey, shape: tuple[int, int], num_classes: int, cluster_std: Array) -> Dataset:
    num_points, dim = shape
    center_key, noise_key, order_key = jax.random.split(key, 3)
    centers = 20 * uniform(center_key, (num_classes, dim)) - 10
    y = jnp.arange(num_points, dtype=jnp.int32) % num_classes
    return _shuffled(order_key, centers[y] + cluster_std * jax.random.normal(noise_key, shape, jnp.float32), y)


def checkerboard(key: RandomKey, *, num_points: int = 1000, num_cells: int = 4) -> Dataset:
    """Uniform points in ``[-1, 1)²``, labelled by the colours of a board of ``num_cells · num_cells`` cells.

    The label is the parity of column plus row, 0 in the corner at ``(-1, -1)``; two cells a side make XOR.
    Raises unless the sizes are integers from 1 up. Source: common in the field, no one definition.

    Example:
        >>> import jax, jaxgeom as jg
        >>> x, y = jg.datasets.checkerboard(jax.random.key(0), num_points=20, num_cells=2)
        >>> bool(((x[:, 0] * x[:, 1] < 0) == y).all())
        True
    """
    key = as_key(key)
    return _checkerboard(key, size("num_points", num_points), size("num_cells", num_cells))


@compiled(1, 2)
def _checkerboard(key: RandomKey, num_points: int, num_cells: int) -> Dataset:
    position = num_cells * uniform(key, (num_points, 2))
    y = jnp.sum(jnp.floor(position), axis=-1).astype(jnp.int32) % 2
    return Dataset(2 * position / num_cells - 1, y)


def split(key: RandomKey, dataset: Dataset, *, train_fraction: float = 0.8) -> tuple[Dataset, Dataset]:
    """A shuffled dataset cut into ``(train, test)``: 3000 points into 2400 and 600.

    ``train`` gets ``train_fraction`` of the points, rounded to the nearest integer.
    Raises when either part would be empty, or ``x`` and ``y`` differ in their number of rows.

    Example:
        >>> import jax, jaxgeom as jg
        >>> train, test = jg.split(jax.random.key(0), jg.parity(4), train_fraction=0.75)
        >>> train.x.shape, test.x.shape
        ((12, 4), (4, 4))
    """
    key = as_key(key)
    x, y = as_array("x", dataset[0]), as_array("y", dataset[1])
    require(x.ndim > 0 and y.ndim > 0, "(shape of x, shape of y)", (x.shape, y.shape), "arrays with a row a point")
    sizes = (x.shape[0], y.shape[0])
    require(sizes[0] == sizes[1], "(rows of x, rows of y)", sizes, "equal numbers", "Check the axes.")
    num_train = math.floor(train_fraction * sizes[0] + 0.5) if 0 < train_fraction < 1 else 0
    allowed = f"between 0 and 1, so that of {sizes[0]} points some are for training and some for testing"
    require(0 < num_train < sizes[0], "train_fraction", train_fraction, allowed, "Change it or add points.")
    x, y = _shuffled(key, jnp.asarray(x), jnp.asarray(y))
    return Dataset(x[:num_train], y[:num_train]), Dataset(x[num_train:], y[num_train:])


# Building blocks


@compiled()
def _shuffled(key: RandomKey, x: Array, y: Array) -> Dataset:
    order = jax.random.permutation(key, x.shape[0])
    return Dataset(x[order], y[order])


def _shuffled_pair(key: RandomKey, first: Array, second: Array) -> Dataset:
    labels = np.repeat(np.arange(2, dtype=np.int32), [len(first), len(second)])
    return _shuffled(key, jnp.concatenate([first, second]), jnp.asarray(labels))


def _noisy_pair(key: RandomKey, first: Array, second: Array, noise: ScalarLike) -> Dataset:
    return _noisy(key, first, second, scalar("noise", noise, is_zero_allowed=True))


@compiled()
def _noisy(key: RandomKey, first: Array, second: Array, noise: Array) -> Dataset:
    noise_key, order_key = jax.random.split(key)
    x, y = _shuffled_pair(order_key, first, second)
    return Dataset(x + noise * jax.random.normal(noise_key, x.shape, jnp.float32), y)
