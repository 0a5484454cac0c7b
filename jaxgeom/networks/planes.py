"""[host] Planes to look at a network on: through its data, along inputs and principal axes, and at random.

Together with :func:`jaxgeom.plane_through`, they give :class:`jaxgeom.Plane`, or lists of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import PLANE, SPACE, RandomKey
from jaxgeom.host.given import check_flags, check_positive, float64_of, points_of
from jaxgeom.host.inputs import as_key
from jaxgeom.networks.slices import Plane, orthonormal, plane_through

_MOST_TRIES = 100
"""Triples that are drawn in place of one that lies on a line."""


@readable
class DataPlanes(NamedTuple):
    """Planes through three data points each."""

    planes: list[Plane]
    """The planes."""
    rows: Int[np.ndarray, "planes 3"]
    """Which points they go through; the first has the coordinates (0, 0)."""


def plane_along_inputs(
    point: Float[Array | np.ndarray, " in"] | Sequence[float], inputs: tuple[int, int] = (0, 1)
) -> Plane:
    """The plane on which two inputs vary and all others are those of a point.

    Its coordinates are the values of the two inputs. Networks on it (:func:`jaxgeom.on_plane`) have two rows of their
    first kernel, to the bit, and biases rounded once.

    Args:
        point: gives all inputs but the two.
        inputs: which two, the first one along the first axis.

    Raises:
        ValueError: if they are not two different inputs, or the point is not finite.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> plane = jg.plane_along_inputs([0.5, 0.25, 8.0], (2, 0))
        >>> jg.lift(plane, [[3.0, 4.0]]).tolist()
        [[4.0, 0.25, 3.0]]
    """
    origin = np.array(points_of(np.asarray(float64_of(point, "the point"))[None], what="the point")[0])
    pair = [int(place) for place in inputs]
    if len(pair) != PLANE or pair[0] == pair[1] or not all(0 <= place < len(origin) for place in pair):
        raise ValueError(f"two different inputs from 0 to {len(origin) - 1} are needed, but {inputs} were given.")
    origin[pair] = 0.0
    directions = np.zeros((PLANE, len(origin)))
    directions[[0, 1], pair] = 1.0
    return Plane(origin, directions)


def plane_along_principal_axes(x: Float[Array | np.ndarray, "points in"], axes: tuple[int, int] = (0, 1)) -> Plane:
    """The plane through the mean of data along two of their principal axes, by default those of largest variance.

    Args:
        x: data, at least three points.
        axes: which two, counted from 0 by descending variance. Of each axis, the input that counts most is positive.

    Raises:
        ValueError: for other axes, or data without variance along them.

    Example:
        >>> import jaxgeom as jg
        >>> x = [[0.0, 1.0, 5.0], [4.0, 1.0, 5.0], [0.0, 1.0, 7.0], [4.0, 1.0, 7.0]]
        >>> plane = jg.plane_along_principal_axes(x)
        >>> plane.origin.tolist(), plane.directions.round(6).tolist()
        ([2.0, 1.0, 6.0], [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    """
    points = np.asarray(points_of(x))
    mean = points.mean(axis=0)
    offset = points - mean
    if len(points) > points.shape[1]:
        variance, vectors = np.linalg.eigh(offset.T @ offset)
        variance, vectors = variance[::-1], vectors.T[::-1]
    else:
        _, sizes, vectors = np.linalg.svd(offset, full_matrices=False)
        variance = sizes**2
    pair = [int(axis) for axis in axes]
    num = int(np.sum(variance > 1e-20 * max(float(variance.max(initial=0.0)), 1e-300)))
    if len(pair) != PLANE or pair[0] == pair[1] or not all(0 <= axis < num for axis in pair):
        raise ValueError(
            f"two different axes of the {num} along which the data vary are needed, counted from 0, but {axes} were "
            "given."
        )
    chosen = vectors[pair]
    chosen = chosen * np.sign(chosen[[0, 1], np.abs(chosen).argmax(axis=1)])[:, None]
    directions = orthonormal(*chosen)
    assert directions is not None
    return Plane(mean, directions)


def plane_through_class_means(
    x: Float[Array | np.ndarray, "points in"], labels: Int[Array | np.ndarray, " points"], classes: Sequence[int]
) -> Plane:
    """The plane through the means of three classes of data. The first one has the coordinates (0, 0).

    Args:
        x: data.
        labels: the class of each point.
        classes: which three.

    Raises:
        ValueError: if there are not three different classes, one has no points, or the means lie on a line.

    Example:
        >>> import jaxgeom as jg
        >>> x = [[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, 4.0]]
        >>> jg.project(jg.plane_through_class_means(x, [0, 0, 1, 2], (0, 1, 2)), x).coordinates.tolist()
        [[-1.0, 0.0], [1.0, 0.0], [4.0, 0.0], [-1.0, 4.0]]
    """
    points, labels = np.asarray(points_of(x)), _labels(labels, len(x))
    members = [np.flatnonzero(labels == label) for label in classes]
    if len(set(classes)) != SPACE or len(members) != SPACE or not all(map(len, members)):
        raise ValueError(
            f"three different classes that have points are needed, but {tuple(classes)} were given; there are "
            f"{np.unique(labels).tolist()[:20]}."
        )
    return plane_through(*(points[rows].mean(axis=0) for rows in members))


def planes_through_data(
    key: RandomKey,
    x: Float[Array | np.ndarray, "points in"],
    labels: Int[Array | np.ndarray, " points"] | None = None,
    *,
    num_planes: int = 1,
    one_class: bool = False,
) -> DataPlanes:
    """Planes through three random data points each.

    Args:
        key: random key.
        x: data, at least three points.
        labels: the class of each point. Then the three are of three classes, or of one.
        num_planes: how many.
        one_class: the three points are of one class, which is drawn first, of those that have three points.

    Raises:
        ValueError: for fewer than three points or classes, or data on a line.

    Example:
        >>> import jax, jaxgeom as jg
        >>> found = jg.planes_through_data(jax.random.key(0), jax.numpy.eye(5), num_planes=2)
        >>> jg.project(found.planes[1], jax.numpy.eye(5)[found.rows[1]]).distance.round(12).tolist()
        [0.0, 0.0, 0.0]
    """
    check_flags(one_class=one_class)
    check_positive("num_planes", num_planes)
    points, random = np.asarray(points_of(x)), _generator(key)
    groups = [np.arange(len(points))]
    if labels is not None:
        found = _labels(labels, len(points))
        groups = [np.flatnonzero(found == label) for label in np.unique(found)]
    elif one_class:
        raise ValueError("one_class needs the labels of the points: planes_through_data(key, x, labels).")
    is_of_three = labels is not None and not one_class
    if not is_of_three:
        groups = [group for group in groups if len(group) >= SPACE]
    if len(groups) < (SPACE if is_of_three else 1):
        raise ValueError(
            f"three points of {'three classes' if is_of_three else 'one class'} are needed for a plane, but there are "
            f"{len(points)} points{'' if labels is None else ' with these labels'}."
        )
    planes: list[Plane] = []
    rows: list[np.ndarray] = []
    for _ in range(_MOST_TRIES * num_planes):
        if is_of_three:
            chosen = random.choice(len(groups), SPACE, replace=False)
            three = np.array([random.choice(groups[group]) for group in chosen])
        else:
            three = random.choice(groups[random.integers(len(groups))], SPACE, replace=False)
        directions = orthonormal(points[three[1]] - points[three[0]], points[three[2]] - points[three[0]])
        if directions is not None:
            planes.append(Plane(points[three[0]], directions))
            rows.append(three)
        if len(planes) == num_planes:
            return DataPlanes(planes, np.array(rows))
    raise ValueError("nearly all triples of these points lie on lines, which span no plane. Take other data.")


def random_planes(
    key: RandomKey, center: Float[Array | np.ndarray, " in"] | Sequence[float], *, num_planes: int = 1
) -> list[Plane]:
    """Planes through one point in random directions, uniformly distributed over all planes.

    Args:
        key: random key.
        center: the point, which has the coordinates (0, 0) on each.
        num_planes: how many.

    Raises:
        ValueError: for a point with fewer than two inputs.

    Example:
        >>> import jax, jaxgeom as jg
        >>> planes = jg.random_planes(jax.random.key(0), [1.0, 2.0, 3.0], num_planes=4)
        >>> len(planes), planes[3].origin.tolist()
        (4, [1.0, 2.0, 3.0])
    """
    check_positive("num_planes", num_planes)
    origin = np.array(points_of(np.asarray(float64_of(center, "the centre"))[None], what="the centre")[0])
    if len(origin) < PLANE:
        raise ValueError(f"a plane needs a space of at least 2 inputs, but the centre has {len(origin)}.")
    random = _generator(key)
    planes: list[Plane] = []
    while len(planes) < num_planes:
        directions = orthonormal(*random.normal(size=(PLANE, len(origin))))
        if directions is not None:
            planes.append(Plane(origin, directions))
    return planes


def _generator(key: RandomKey) -> np.random.Generator:
    """NumPy's, in float64 whatever the x64 setting."""
    return np.random.default_rng(np.asarray(jax.random.key_data(as_key(key))).ravel().tolist())


def _labels(labels: object, num: int) -> Int[np.ndarray, " points"]:
    found = np.asarray(labels)
    if found.shape != (num,) or not np.issubdtype(found.dtype, np.integer):
        raise ValueError(
            f"labels must be {num} integers, one for each point, but {found.dtype} {found.shape} was given."
        )
    return found
