"""[host] A network on one plane of its input space: its linear regions, those of classes, and the boundary."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxgeom._reprs import readable
from jaxgeom.domains import Box, Polygon, polygon, polygon_vertices
from jaxgeom.networks.layers import Activation, Layers, with_activation
from jaxgeom.networks.slices import Plane, on_plane
from jaxgeom.regions.boundary import Boundary, boundary_of, check_decides
from jaxgeom.regions.compared import compare
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.regions.decision_regions import DecisionRegions, regions_of
from jaxgeom.regions.enumerate import enumerate_regions


@readable
class Slice(NamedTuple):
    """A network on a plane, all in coordinates of the plane, in which lengths are those of input space."""

    plane: Plane
    """Where it was cut."""
    domain: Float[np.ndarray, "corners 2"]
    """The convex polygon that was looked at, counter-clockwise."""
    complex_: PlanarComplex
    """The linear regions."""
    regions: DecisionRegions
    """The regions of the classes, as convex polygons."""
    boundary: Boundary
    """The decision boundary, in straight pieces."""


def slice_network(
    layers: Layers,
    plane: Plane,
    domain: Box | Polygon,
    *,
    activation: Activation | None = None,
    exact: bool = False,
) -> Slice:
    """Linear regions, regions of classes and the decision boundary of a network on a plane of its input space.

    Args:
        layers: one network with inputs of any dimension, its kernels dense or sparse.
        plane: such as :func:`jaxgeom.plane_through` gives.
        domain: a bounded part of the plane, such as :func:`jaxgeom.box_on_plane` or :func:`jaxgeom.hull_on_plane`
            give, or a :func:`jaxgeom.box` in coordinates of the plane.
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.
        exact: as for :func:`jaxgeom.on_plane`.

    Raises:
        ValueError: as :func:`jaxgeom.on_plane`, :func:`jaxgeom.enumerate_regions` and
            :func:`jaxgeom.decision_boundary`.

    Example:
        >>> import jax, jaxgeom as jg
        >>> network = jg.layers_of(jg.mlp((64, 16, 3), activation="relu").init(jax.random.key(0)))
        >>> images = jax.random.uniform(jax.random.key(1), (3, 64))
        >>> plane = jg.plane_through(*images)
        >>> found = jg.slice_network(network, plane, jg.box_on_plane(plane, 0, 1))
        >>> abs(found.regions.area.sum() - found.complex_.area.sum()) < 1e-9
        True
    """
    corners = polygon_vertices(domain)
    network = on_plane(with_activation(layers, activation, keep_sparse=True), plane, exact=exact)
    complex_ = enumerate_regions(network, polygon(corners))
    check_decides(complex_, "a slice")
    compared, classes = compare(complex_)
    return Slice(plane, corners, complex_, regions_of(compared, classes), boundary_of(complex_, compared, classes))
