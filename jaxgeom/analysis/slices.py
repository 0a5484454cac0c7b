"""[host] A network on one plane of its input space: its linear regions, those of classes, and the boundary."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxgeom._reprs import readable
from jaxgeom.analysis.topology import Topology, topology
from jaxgeom.domains import Box, Polygon, polygon, polygon_vertices
from jaxgeom.host.given import check_flags
from jaxgeom.networks.layers import Activation, Dense, Layers, with_activation
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
    has_ties: bool
    """Whether two outputs are exactly equal at a vertex of the complex, as they are where a class wins nowhere but
    touches."""


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
        >>> bool(abs(found.regions.area.sum() - found.complex_.area.sum()) < 1e-9)
        True
    """
    check_flags(exact=exact)
    corners = polygon_vertices(domain)
    network = on_plane(with_activation(layers, activation, keep_sparse=True), plane, exact=exact)
    complex_ = enumerate_regions(network, polygon(corners))
    check_decides(complex_, "a slice")
    compared = compare(complex_)
    return Slice(plane, corners, complex_, regions_of(compared), boundary_of(complex_, compared), compared.has_ties)


def slice_topology(slice_: Slice) -> Topology:
    """Components, holes and boundaries of the regions of classes on a slice: what :func:`jaxgeom.topology` finds.

    Classes that win nowhere on the slice are not compared, unless outputs tie, which takes a fraction of the time where
    there are many classes.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> size = jg.Dense(np.eye(2), np.zeros(2), np.full(2, -1.0)), jg.Dense(np.ones((2, 1)), -np.ones(1))
        >>> found = jg.slice_network(size, jg.plane_along_inputs([0.0, 0.0]), jg.box(-2, 2))  # |x| + |y| - 1
        >>> jg.slice_topology(found).num_holes.tolist()
        [0, 1]
    """
    layers, domain = slice_.complex_.layers, polygon(slice_.domain)
    assert layers is not None
    num_classes = slice_.regions.num_classes
    winners = np.flatnonzero(slice_.regions.class_area > 0)
    *hidden, last = layers
    if slice_.has_ties or len(winners) == num_classes or last.bias.shape[0] == 1:
        return topology(layers, domain)
    if len(winners) == 1:  # a second one, which loses
        winners = np.unique([winners[0], 0 if winners[0] else 1])
    found = topology((*hidden, Dense(np.asarray(last.kernel)[:, winners], np.asarray(last.bias)[winners])), domain)

    def of_all(numbers: Int[np.ndarray, " winners"]) -> Int[np.ndarray, " classes"]:
        spread = np.zeros(num_classes, np.int64)
        spread[winners] = numbers
        return spread

    components, holes, cavities = map(of_all, (found.num_components, found.num_holes, found.num_cavities))
    return found._replace(num_components=components, num_holes=holes, num_cavities=cavities)
