"""Slices: planes through an input space of any dimension, as a first affine layer of the network.

A plane is a point and two orthonormal directions. On it a network with 784 inputs is one with two, whose first layer is
the composed one; everything that counts, enumerates and draws regions in the plane then works on the slice. Distances
and areas on the plane are those of the input space.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from jaxgeom._reprs import readable
from jaxgeom._typing import PLANE
from jaxgeom.host.given import as_float64, check_flags, float64_of, points_of
from jaxgeom.host.sparse import SparseKernel
from jaxgeom.networks.exact_products import exact_product
from jaxgeom.networks.layers import Dense, Layers, check_layers

_ROUNDING = 1e-10
"""Three points whose triangle is flatter than this lie on one line."""


@readable
class Plane(NamedTuple):
    """A plane in input space: x = origin + u first + v second, for points (u, v)."""

    origin: Float[np.ndarray, " in"]
    """The point with plane coordinates (0, 0)."""
    directions: Float[np.ndarray, "2 in"]
    """Orthonormal."""


@readable
class Projection(NamedTuple):
    """Points of input space as a plane sees them."""

    coordinates: Float[np.ndarray, "points 2"]
    """The point of the plane that is nearest to each."""
    distance: Float[np.ndarray, " points"]
    """And how far away it is."""


def plane_through(
    a: Float[Array | np.ndarray, " in"] | Sequence[float],
    b: Float[Array | np.ndarray, " in"] | Sequence[float],
    c: Float[Array | np.ndarray, " in"] | Sequence[float] | None = None,
) -> Plane:
    """The plane through three points of input space, or through the origin and two.

    The first point has the coordinates (0, 0), the second lies on the positive first axis, the third above it.

    Args:
        a: a point of the plane, which gets the coordinates (0, 0).
        b: a second point.
        c: a third point, not on their line. Without it, the plane goes through the origin, ``a`` and ``b``.

    Raises:
        ValueError: if the points differ in dimension, have fewer than two, are not finite, or lie on one line.

    Example:
        >>> import jaxgeom as jg
        >>> plane = jg.plane_through([0, 0, 0], [2, 0, 0], [0, 0, 5])
        >>> jg.project(plane, [[1.0, 7.0, 3.0]]).coordinates.tolist()
        [[1.0, 3.0]]
    """
    given = [np.zeros_like(float64_of(a, "points")), a, b] if c is None else [a, b, c]
    points = [np.asarray(float64_of(point, "points")) for point in given]
    shapes = [point.shape for point in points]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0][0] < PLANE:
        raise ValueError(
            f"three points of one input space are needed, with at least 2 inputs, but got shapes {shapes}."
        )
    if not all(np.isfinite(point).all() for point in points):
        raise ValueError("the points of a plane must be finite, but NaN or infinity was given.")
    directions = orthonormal(points[1] - points[0], points[2] - points[0])
    if directions is None:
        raise ValueError(
            "three points span a plane unless they lie on one line, but these do, up to rounding. Take another third "
            "point."
        )
    return Plane(points[0], directions)


def orthonormal(first: Float[np.ndarray, " in"], second: Float[np.ndarray, " in"]) -> Float[np.ndarray, "2 in"] | None:
    """Two orthonormal directions of a plane, of which the first is the one given; None if both lie on one line."""
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    if min(lengths) > 0:
        first = first / lengths[0]
        rest = second / lengths[1]
        for _ in range(2):  # the second time takes out what rounding left
            rest = rest - (rest @ first) * first
        size = np.linalg.norm(rest)
        if size > _ROUNDING:
            return np.stack([first, rest / size])
    return None


def on_plane(layers: Layers, plane: Plane | Sequence[Plane], *, exact: bool = False) -> Layers:
    """The network on a plane: one with two inputs, in float64. Populations, sparse kernels and several planes are
    welcome.

    The plane goes into the first layer, whose new weights are rounded once: regions of the slice are those of the
    rounded weights. Along axes (:func:`jaxgeom.plane_along_inputs`), the kernel is two rows of the given one, to the
    bit, and each bias is the sum of real arithmetic, rounded once; it is exact wherever that sum is a float64.

    Args:
        layers: one network, or a population.
        plane: one plane, or several: then the layers have one more leading axis, for the planes, before any others.
        exact: round nothing. Where the new weights are not float64 numbers, the plane becomes a layer of linear units
            (slope 1) in front, one for each input, which makes no edges; all later layers then have numbers that are
            larger by one. The length of the result tells.

    Raises:
        ValueError: if the network takes another number of inputs than the plane has, or has sparse kernels and a
            leading axis where there are several planes.

    Example:
        >>> import jax, jaxgeom as jg
        >>> network = jg.layers_of(jg.mlp((64, 8, 1), activation="relu").init(jax.random.key(0)))
        >>> images = jax.random.uniform(jax.random.key(1), (3, 64))
        >>> part = jg.on_plane(network, jg.plane_through(*images))
        >>> part[0].kernel.shape, bool(jg.count_regions(part, jg.whole_plane()).count <= jg.zaslavsky(8, 2))
        ((2, 8), True)
    """
    check_flags(exact=exact)
    planes = [plane] if isinstance(plane, Plane) else list(plane)
    if not planes or not all(isinstance(each, Plane) for each in planes):
        raise ValueError("a jaxgeom.Plane or a list of them is needed, but got something else, or none.")
    sizes = {len(each.origin) for each in planes}
    if len(sizes) > 1:
        raise ValueError(f"the planes lie in spaces of different dimensions, {sorted(sizes)}. Slice one after another.")
    layers = check_layers(layers, dim=sizes.pop(), keep_sparse=True)
    first = [_first_layer(layers[0], each, decides=exact) for each in planes]
    if exact and not all(is_exact for _, is_exact in first):
        fronts = [_in_front(each, np.shape(layers[0].bias)[:-1]) for each in planes]
        if isinstance(plane, Plane):
            return (*fronts, *layers)
        return (_stacked(fronts), *(_repeated(layer, len(planes)) for layer in layers))
    if isinstance(plane, Plane):
        return (first[0][0], *layers[1:])
    return (_stacked([layer for layer, _ in first]), *(_repeated(layer, len(planes)) for layer in layers[1:]))


def inputs_along(plane: Plane) -> tuple[int, int] | None:
    """The two inputs that a plane is parallel to the axes of, or None."""
    places = [np.flatnonzero(direction) for direction in plane.directions]
    if any(len(place) != 1 for place in places):
        return None
    first, second = (int(place[0]) for place in places)
    is_unit = plane.directions[0, first] == 1 and plane.directions[1, second] == 1
    return (first, second) if is_unit else None


def _first_layer(layer: Dense, plane: Plane, *, decides: bool) -> tuple[Dense, bool]:
    """The first layer of a network or population on a plane, and whether it is known to be exact."""
    kernel: Any = layer.kernel
    kernel = kernel if isinstance(kernel, SparseKernel) else np.asarray(as_float64(kernel))
    bias = np.asarray(as_float64(layer.bias))
    inputs = inputs_along(plane)
    is_one = bias.ndim == 1
    if inputs is None and not decides and (is_one or not isinstance(kernel, SparseKernel)):
        return Dense(plane.directions @ kernel, plane.origin @ kernel + bias, layer.slope), False
    if is_one:
        row, offset, is_exact = _weights(kernel, bias, plane, inputs)
        return Dense(row, offset, layer.slope), is_exact
    members = range(len(bias)) if isinstance(kernel, SparseKernel) else np.ndindex(bias.shape[:-1])
    each = [_weights(kernel[member], bias[member], plane, inputs) for member in members]
    kernels = np.array([found for found, _, _ in each]).reshape(*bias.shape[:-1], PLANE, bias.shape[-1])
    biases = np.array([found for _, found, _ in each]).reshape(bias.shape)
    return Dense(kernels, biases, layer.slope), all(is_exact for _, _, is_exact in each)


def _weights(
    kernel: Any, bias: Float[np.ndarray, " out"], plane: Plane, inputs: tuple[int, int] | None
) -> tuple[Float[np.ndarray, "2 out"], Float[np.ndarray, " out"], bool]:
    """Kernel and bias of one network on a plane, each number rounded once, and whether none is rounded."""
    offset, is_exact = exact_product(plane.origin[None], kernel, bias)
    if inputs is None:
        rows, rows_exact = exact_product(plane.directions, kernel)
        return rows, offset[0], bool(is_exact.all() and rows_exact.all())
    rows = kernel.matrices[0][list(inputs)].toarray() if isinstance(kernel, SparseKernel) else kernel[list(inputs)]
    return rows, offset[0], bool(is_exact.all())


def _in_front(plane: Plane, leading: tuple[int, ...]) -> Dense:
    """The plane as a layer of linear units, one for each input."""
    num = len(plane.origin)
    shapes = ((PLANE, num), (num,), (num,))
    arrays = (plane.directions, plane.origin, np.ones(num))
    return Dense(*(np.broadcast_to(array, (*leading, *shape)) for array, shape in zip(arrays, shapes, strict=True)))


def _stacked(layers: list[Dense]) -> Dense:
    """Layers of several planes as those of a population."""
    slopes = [layer.slope for layer in layers]
    slope = None if slopes[0] is None else np.stack([np.asarray(slope) for slope in slopes])
    return Dense(np.stack([layer.kernel for layer in layers]), np.stack([layer.bias for layer in layers]), slope)


def _repeated(layer: Dense, num: int) -> Dense:
    """One layer for each of several planes, in the memory of one."""
    if isinstance(layer.kernel, SparseKernel):
        if layer.kernel.is_population:
            raise ValueError("a population with sparse kernels takes one plane at a time. Slice plane by plane.")
        kernel: Any = SparseKernel(layer.kernel.matrices * num, is_population=True)
    else:
        kernel = np.broadcast_to(np.asarray(layer.kernel), (num, *np.shape(layer.kernel)))
    bias, slope = (None if a is None else np.broadcast_to(np.asarray(a), (num, *np.shape(a))) for a in layer[1:])
    assert bias is not None
    return Dense(kernel, bias, slope)


def project(plane: Plane, points: Float[Array | np.ndarray, "points in"]) -> Projection:
    """Coordinates of points of input space on a plane, and their distances from it.

    Example:
        >>> import jaxgeom as jg
        >>> plane = jg.plane_through([1, 0, 0], [0, 1, 0])
        >>> jg.project(plane, [[0.0, 0.0, 3.0]]).distance.tolist()
        [3.0]
    """
    offset = np.asarray(points_of(points, len(plane.origin))) - plane.origin
    coordinates = offset @ plane.directions.T
    return Projection(coordinates, np.linalg.norm(offset - coordinates @ plane.directions, axis=1))


def lift(plane: Plane, coordinates: Float[Array | np.ndarray, "points 2"]) -> Float[np.ndarray, "points in"]:
    """The points of input space at these coordinates of the plane.

    Example:
        >>> import jaxgeom as jg
        >>> plane = jg.plane_through([0, 0, 1], [2, 0, 1], [0, 2, 1])
        >>> jg.lift(plane, [[0.5, 0.25]]).tolist()
        [[0.5, 0.25, 1.0]]
    """
    result: Float[np.ndarray, "points in"] = (
        plane.origin + np.asarray(points_of(coordinates, 2, "coordinates")) @ plane.directions
    )
    return result
