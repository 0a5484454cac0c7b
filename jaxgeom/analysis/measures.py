"""Measures of what networks compute: sizes of their regions, distances to boundaries, local complexity, curves.

Of a planar complex, on the host, are measured edges, regions and the decision boundary (the areas are
``complex_.area``). Of a network at points in input space of any dimension, under ``jit`` and ``vmap`` and in float64
whatever the x64 setting, how far away the hyperplanes of its units are, and how curves grow from layer to layer.

The distance of a point to the nearest boundary of a region is the smallest of |z| / ‖∇z‖ over the units (Hanin &
Rolnick, "Complexity of linear regions in deep networks", 2019, arXiv:1901.09021): on the point's region every
pre-activation z is affine, and the region is where none of them changes its sign. Counting units nearer than some
radius is the local complexity of Humayun, Balestriero & Baraniuk ("Deep networks always grok and here is why", 2024,
arXiv:2402.15555), with a ball in place of their cross-polytope. Lengths of images of curves are those of Raghu et al.
("On the expressive power of deep neural networks", 2017, arXiv:1606.05336).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jaxgeom._reprs import readable
from jaxgeom.host.contract import times
from jaxgeom.host.given import as_array, as_float64, points_of
from jaxgeom.host.sparse import is_sparse, on_host
from jaxgeom.networks.layers import Activation, Layers, activated, check_finite, check_layers, slope_of, with_activation
from jaxgeom.regions.boundary import Boundary, check_bounded, decision_boundary
from jaxgeom.regions.complex import PlanarComplex, check_is_planar
from jaxgeom.regions.inscribed import inscribed_circles


def edge_lengths(complex_: PlanarComplex) -> Float[np.ndarray, " edges"]:
    """Length of each edge of a complex; infinite for edges with an end at infinity.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> lengths = jg.edge_lengths(complex_)  # eight edges on the border of the square, four inside
        >>> lengths.shape, float(lengths.sum().round(6))
        ((12,), 12.0)
    """
    check_is_planar(complex_, "the length of edges")
    start, stop = np.moveaxis(complex_.vertices[complex_.edges], 1, 0)
    length = np.hypot(*(stop - start).T)
    return np.where(complex_.is_ideal[complex_.edges].any(axis=1), np.inf, length)


def boundary_length(
    complex_: PlanarComplex, widths: Sequence[int] | None = None
) -> tuple[Float[np.ndarray, " _"], ...]:
    """Lengths of the boundaries that the units of each layer make inside the domain: one array (units,) a layer.

    Edges that several units share belong to the one that :func:`jaxgeom.enumerate_regions` names.

    Args:
        complex_: as :func:`jaxgeom.enumerate_regions` gives it.
        widths: units of each layer. Without it, a layer ends at its last unit that makes an edge, and the network at
            its last layer that makes one.

    Returns:
        For each layer, one length a unit.

    Raises:
        ValueError: if the widths leave out units that make edges.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> [lengths.round(6).tolist() for lengths in jg.boundary_length(complex_)]  # of two units in one layer
        [[2.0, 2.0]]
    """
    check_is_planar(complex_, "the length of boundaries")
    inner = complex_.edge_layer >= 0
    layer, unit, length = complex_.edge_layer[inner], complex_.edge_unit[inner], edge_lengths(complex_)[inner]
    needed = [int(unit[layer == index].max(initial=-1)) + 1 for index in range(layer.max(initial=-1) + 1)]
    widths = needed if widths is None else list(widths)
    if len(widths) < len(needed) or any(a < b for a, b in zip(widths, needed, strict=False)):
        raise ValueError(
            f"the edges of this complex were made by layers of at least {needed} units, but widths = {widths} were "
            "given. Leave widths away, or give those of all layers that cut (the output, too, with cut_output=True)."
        )
    starts = np.cumsum([0, *widths])
    totals = np.bincount(starts[layer] + unit, length, minlength=starts[-1]).astype(np.float64)  # of none, integers
    return tuple(np.split(totals, starts[1:-1])) if widths else ()


def region_density(complex_: PlanarComplex) -> float:
    """Regions per unit of area of the domain.

    Raises:
        ValueError: if the complex covers the whole plane.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> jg.region_density(complex_)
        1.0
    """
    check_bounded(complex_, "the density of regions")
    return complex_.num_faces / float(complex_.area.sum())


def inradius(complex_: PlanarComplex) -> Float[np.ndarray, " faces"]:
    """Radius of the largest circle in each face; NaN for unbounded faces. For the centres, see
    :func:`jaxgeom.regions.inscribed.inscribed_circles`.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> jg.inradius(complex_).round(6).tolist()
        [0.5, 0.5, 0.5, 0.5]
    """
    return inscribed_circles(complex_).radius


@readable
class NearestOnDecisionBoundary(NamedTuple):
    """Distance of each point to the decision boundary, and its nearest point there."""

    distance: Float[np.ndarray, " points"]
    """Infinite if there is no boundary."""
    point: Float[np.ndarray, "points 2"]
    """The nearest point of the boundary, NaN if there is none."""
    piece: Int[np.ndarray, " points"]
    """On which of the pieces it lies, -1 if there is none."""


def distance_to_decision_boundary(
    complex_: PlanarComplex | Boundary, points: Float[Array | np.ndarray, "points 2"]
) -> NearestOnDecisionBoundary:
    """The exact distance of points in the plane to the decision boundary inside the domain.

    In more dimensions there is no such complex. The customary substitute |f| / ‖∇f‖ at a point is the distance to
    where its own affine map vanishes, and that is the distance to the decision boundary only if it lies in the point's
    region: if it is not larger than :func:`distance_to_boundary`. Otherwise all that is known is that the decision
    boundary is not nearer than that distance.

    Args:
        complex_: regions of one network on a bounded domain, or their :func:`jaxgeom.decision_boundary`.
        points: any number of points.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> found = jg.distance_to_decision_boundary(complex_, [[0.5, 0.5], [0.0, 0.0]])
        >>> found.distance.round(4).tolist()
        [0.0, 0.7071]
    """
    boundary = complex_ if isinstance(complex_, Boundary) else decision_boundary(complex_)
    points = np.asarray(points_of(points, 2))
    if not len(boundary.face):
        nowhere = np.full(len(points), np.inf), np.full(points.shape, np.nan), np.full(len(points), -1)
        return NearestOnDecisionBoundary(*nowhere)
    return nearest_on_segments(boundary.segments, points)


def nearest_on_segments(
    segments: Float[np.ndarray, "pieces 2 2"], points: Float[np.ndarray, "points 2"], *, pairs_at_once: int = 1 << 20
) -> NearestOnDecisionBoundary:
    """The nearest one of some line pieces to each point, computed for so many pairs of them at once."""
    blocks = np.array_split(points, max(1, -(-len(points) * len(segments) // pairs_at_once)))
    parts = [_nearest_on_segments(segments, block) for block in blocks]
    return NearestOnDecisionBoundary(*map(np.concatenate, zip(*parts, strict=True)))


def _nearest_on_segments(
    segments: Float[np.ndarray, "pieces 2 2"], points: Float[np.ndarray, "points 2"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    start, along = segments[:, 0], segments[:, 1] - segments[:, 0]
    square = np.sum(along**2, axis=1)
    fraction = np.sum((points[:, None] - start) * along, axis=2) / np.where(square > 0, square, 1.0)
    nearest = start + np.clip(fraction, 0.0, 1.0)[..., None] * along
    distance = np.hypot(*np.moveaxis(points[:, None] - nearest, 2, 0))
    piece = distance.argmin(axis=1)
    rows = np.arange(len(points))
    return distance[rows, piece], nearest[rows, piece], piece


@readable
class NearestBoundary(NamedTuple):
    """Distance of each point to the nearest boundary of a region, and the unit that makes it."""

    distance: Float[Array, " points"]
    """Euclidean distance in input space; infinite if there is none."""
    layer: Int[Array, " points"]
    """Hidden layer of the unit, counted from 0; -1 if there is none."""
    unit: Int[Array, " points"]
    """Its number in the layer; -1 if there is none."""


def distance_to_boundary(
    layers: Layers, x: Float[Array | np.ndarray, "points in"], *, activation: Activation | None = None
) -> NearestBoundary:
    """The distance of each point to the nearest boundary of its linear region, in the whole input space.

    This is exact: the region is a polyhedron, bounded by some of the hyperplanes that the units have with the affine
    map at the point, and the nearest of all these hyperplanes bounds it. (A *region* has an activation pattern of its
    own; the network's map may be the same on both sides.) A point on a boundary has distance 0. Memory grows with
    points × inputs × width.

    Args:
        layers: one network with inputs of any dimension. For populations, ``vmap``.
        x: points, shape (points, in).
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> found = jg.distance_to_boundary(network, [[0.5, 0.25], [-3.0, 4.0]])
        >>> found.distance.tolist(), found.unit.tolist()
        ([0.25, 3.0], [1, 0])
    """
    with jax.enable_x64(True):
        x = points_of(x)
        network = _network(layers, activation, x.shape[1])
        distance, index = _nearest_hyperplane(network, x)
        # where the index points: numbers of layers and units, and -1 for "none" at the end
        widths = [layer.bias.shape[0] for layer in network[:-1]]
        layer = np.concatenate([np.repeat(np.arange(len(widths)), widths), [-1]]).astype(np.int32)
        unit = np.concatenate([*map(np.arange, widths), [-1]]).astype(np.int32)
        return NearestBoundary(distance, jnp.asarray(layer)[index], jnp.asarray(unit)[index])


def local_complexity(
    layers: Layers,
    x: Float[Array | np.ndarray, "points in"],
    radius: float | Float[Array | np.ndarray, ""],
    *,
    activation: Activation | None = None,
) -> Int[Array, " points"]:
    """For each point, the number of units whose hyperplane passes within a radius.

    The hyperplanes are those of the affine map at the point: where the pre-activation of a unit would vanish if all
    units before it stayed as they are. For the first layer they are exact; further ones bend where they cross the
    boundaries of earlier layers, and are exact as long as the radius is not larger than :func:`distance_to_boundary`
    to those.

    Args:
        layers: one network with inputs of any dimension. For populations, ``vmap``.
        x: points, shape (points, in).
        radius: Euclidean, in input space.
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> jg.local_complexity(network, [[0.1, 0.1], [0.1, 3.0], [2.0, 2.0]], 0.5).tolist()
        [2, 1, 0]
    """
    with jax.enable_x64(True):
        given = as_array(radius, "the radius")
        if np.shape(given) != () or (not isinstance(given, jax.core.Tracer) and not given >= 0):
            raise ValueError(f"the radius must be zero or positive, and one number, but {radius} was given.")
        x = points_of(x)
        if any(is_sparse(layer[0]) for layer in layers):
            few = with_activation(layers, activation, keep_sparse=True)
            return jnp.asarray(np.sum(distances_on_host(few, np.asarray(x)) <= float(given), axis=1, dtype=np.int32))
        result: Int[Array, " points"] = _num_hyperplanes(_network(layers, activation, x.shape[1]), x, as_float64(given))
        return result


def image_lengths(
    layers: Layers, curve: Float[Array | np.ndarray, "points in"], *, activation: Activation | None = None
) -> Float[Array, " layers_and_input"]:
    """Length of a polyline in input space, and of its image under each layer.

    The image of each vertex is joined to the next by a straight line. This is exact if the polyline has a vertex at
    every breakpoint, that is wherever it crosses the boundary of a region; otherwise it is a lower bound, which finer
    polylines approach.

    Args:
        layers: one network; for populations, ``vmap``.
        curve: the vertices in order, shape (points, in).
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.

    Returns:
        The lengths of the polyline itself, of its image after each hidden layer, and of that under the whole network.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> jg.image_lengths(network, [[-1.0, 0.5], [0.0, 0.5], [1.0, 0.5]]).tolist()  # input, hidden layer, output
        [2.0, 1.0, 1.0]
    """
    with jax.enable_x64(True):
        curve = points_of(curve, what="the vertices of the curve")
        result: Float[Array, " layers_and_input"] = _image_lengths(_network(layers, activation, curve.shape[1]), curve)
        return result


def _network(layers: Layers, activation: Activation | None, dim: int) -> Layers:
    """The network in float64, checked."""
    network = check_layers(with_activation(layers, activation), dim=dim)
    if np.ndim(network[0].bias) != 1:
        raise ValueError(
            f"one network is needed, but the layers have leading axes {np.shape(network[0].bias)[:-1]}. Use jax.vmap."
        )
    check_finite(network)
    result: Layers = jax.tree.map(as_float64, network)
    return result


def _hyperplane_distances(layers: Layers, x: Array) -> Float[Array, "points units"]:
    """|z| / ‖∇z‖ of all hidden units at each point; infinite for units whose pre-activation is constant, or which have
    no kink."""
    gradient, h = None, x
    distances = [jnp.zeros((x.shape[0], 0))]
    for layer in layers[:-1]:
        slope = slope_of(layer)
        z = times(h, layer.kernel) + layer.bias
        gradient = layer.kernel[None] if gradient is None else times(gradient, layer.kernel)
        square = jnp.sum(gradient**2, axis=1)
        has_line = (square > 0) & (slope != 1)
        norm = jnp.sqrt(jnp.where(has_line, square, 1.0))
        distances.append(jnp.where(has_line, jnp.abs(z) / norm, jnp.inf))
        factor = jnp.where(z > 0, 1.0, slope)
        gradient, h = gradient * factor[:, None], z * factor
    return jnp.concatenate(distances, axis=1)


def distances_on_host(layers: Layers, x: Float[np.ndarray, "points in"]) -> Float[np.ndarray, "points units"]:
    """|z| / ‖∇z‖ of all hidden units at each point, of one network, its kernels dense or sparse: with NumPy, so that
    nothing is compiled for each number of points. Infinite for units whose pre-activation is constant, or which have
    no kink."""
    layers = check_layers(layers, dim=x.shape[1], keep_sparse=True)
    check_finite(layers)
    num, dim = x.shape
    gradient, h = np.broadcast_to(np.eye(dim), (num, dim, dim)), x
    distances = [np.zeros((num, 0))]
    for layer in layers[:-1]:
        slope, kernel = np.asarray(slope_of(layer)), on_host(layer.kernel)
        z = h @ kernel + np.asarray(layer.bias)
        gradient = (gradient.reshape(num * dim, -1) @ kernel).reshape(num, dim, -1)
        square = np.sum(gradient**2, axis=1)
        has_line = (square > 0) & (slope != 1)
        distances.append(np.where(has_line, np.abs(z) / np.sqrt(np.where(has_line, square, 1.0)), np.inf))
        factor = np.where(z > 0, 1.0, slope)
        gradient, h = gradient * factor[:, None], z * factor
    return np.concatenate(distances, axis=1)


@jax.jit
def _nearest_hyperplane(layers: Layers, x: Array) -> tuple[Array, Array]:
    distances = _hyperplane_distances(layers, x)
    distance = jnp.min(distances, axis=1, initial=jnp.inf)
    none = jnp.isinf(distance)
    is_nearest = jnp.concatenate([(distances == distance[:, None]) & ~none[:, None], none[:, None]], axis=1)
    return distance, lax.argmax(is_nearest, 1, jnp.int32)


@jax.jit
def _num_hyperplanes(layers: Layers, x: Array, radius: Array) -> Array:
    return jnp.sum(_hyperplane_distances(layers, x) <= radius, axis=1, dtype=jnp.int32)


@jax.jit
def _image_lengths(layers: Layers, curve: Array) -> Array:
    images = [curve]
    for layer in layers[:-1]:
        images.append(activated(times(images[-1], layer.kernel) + layer.bias, layer.slope))
    images.append(times(images[-1], layers[-1].kernel) + layers[-1].bias)
    return jnp.stack([jnp.sum(jnp.sqrt(jnp.sum(jnp.diff(image, axis=0) ** 2, axis=1))) for image in images])
