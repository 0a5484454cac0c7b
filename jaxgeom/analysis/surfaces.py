"""[host] Decision surfaces in space: the exact set of points at which a network with three inputs is zero."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import PAIR, SPACE
from jaxgeom.domains import Box, checked_box
from jaxgeom.networks.layers import Activation, Layers, check_finite, check_layers, with_activation
from jaxgeom.regions.cells import with_one_axis
from jaxgeom.regions.complex import OUTSIDE, connected
from jaxgeom.regions.count import with_output_cutting
from jaxgeom.regions.enumerate import enumerate_regions
from jaxgeom.regions.space import SpatialComplex
from jaxgeom.regions.space_cells import space_complexes


@readable
class DecisionSurface(NamedTuple):
    """The border of f > 0 in a box, f a network's output: flat polygons, with normals towards f ≤ 0."""

    vertices: Float[np.ndarray, "vertices 3"]
    """Positions."""
    polygon_offsets: Int[np.ndarray, " polygons+1"]
    """Where the corners of each polygon begin in ``polygon_vertices``; the last entry is their length."""
    polygon_vertices: Int[np.ndarray, " corners"]
    """The vertices of each polygon, counter-clockwise as seen from where f ≤ 0. Each is convex, and part of one linear
    region's border or inside."""
    triangles: Int[np.ndarray, "triangles 3"]
    """The polygons cut into triangles, with the same vertices and orientation."""
    triangle_polygon: Int[np.ndarray, " triangles"]
    """The polygon of each triangle."""
    patterns: Bool[np.ndarray, "polygons units"]
    """Which hidden units are active beside each polygon, where f > 0."""
    component: Int[np.ndarray, " polygons"]
    """The connected component of each polygon, numbered from 0; polygons are connected where they share an edge."""
    area: float
    """Of all polygons, in squared units of the input."""
    volume: float
    """Of the points of the box with f > 0."""
    num_components: int
    """How many pieces of surface there are."""
    euler_characteristic: Int[np.ndarray, " components"]
    """Vertices - edges + polygons of each component: 2 of a sphere, 0 of a torus, 1 of a disc."""
    is_closed: Bool[np.ndarray, " components"]
    """Which components have no border: they do not leave the box."""
    genus: Int[np.ndarray, " components"]
    """Handles of each closed component: 0 of a sphere, 1 of a torus. -1 for components that leave the box, or touch
    themselves along an edge."""
    is_watertight: bool
    """Whether all components are closed, and no edge has more than two polygons."""
    degenerate: bool
    """Whether an exact zero was met: a unit, or f, that is zero at a vertex which others make."""


def decision_surface(
    layers: Layers,
    domain: Box,
    *,
    activation: Activation | None = None,
) -> DecisionSurface:
    """The exact decision surface of a network with three inputs and one output f: the border of f > 0 in a box.

    Regions are found as by :func:`jaxgeom.enumerate_regions`, but only those that the surface meets are kept, and
    most of the others are never visited. Which polygons there are, and how they hang together, is exact; positions are
    right to about 1e-11 of the box. Flat regions with f = 0 count as f ≤ 0. Random networks take 0.01 s
    (3-16-16-1) to 3 s (3-64-64-64-1).

    Args:
        layers: one network. Of several outputs, take one or a difference of two first.
        domain: a :func:`jaxgeom.box` with ``dim=3``.
        activation: as for :func:`jaxgeom.enumerate_regions`.

    Raises:
        TypeError: for anything that is not a network or a box.
        ValueError: for other numbers of inputs or outputs than 3 and 1, a population, weights that are not finite, and
            surfaces that take more memory than is free.

    Example:
        The octahedron |x| + |y| + |z| = 1:

        >>> import numpy as np, jaxgeom as jg
        >>> first = jg.Dense(np.concatenate([np.eye(3), -np.eye(3)], axis=1), np.zeros(6))
        >>> network = (first, jg.Dense(-np.ones((6, 1)), np.ones(1)))
        >>> surface = jg.decision_surface(network, jg.box(-2, 2, dim=3))
        >>> len(surface.polygon_offsets) - 1, surface.is_watertight, surface.genus.tolist(), round(surface.volume, 12)
        (8, True, [0], 1.333333333333)
    """
    domain = checked_box(domain)
    network = check_layers(jax.tree.map(np.asarray, with_activation(layers, activation)))
    check_has_surface(network, domain)
    if network[0].bias.ndim > 1:
        raise ValueError(
            f"one network is needed, but the last layer has a bias of shape {network[-1].bias.shape}. Take one member "
            "of the population."
        )
    check_finite(network)
    cutting = with_output_cutting(network)
    (cells,) = space_complexes(with_one_axis(cutting), domain, at_surface=True)
    assert cells is not None
    is_inner = cells.facet_cells[:, 1] != OUTSIDE
    output = cells.patterns.shape[1] - 2  # behind it comes its copy
    is_positive = cells.patterns[:, output]
    first, second = cells.facet_cells.T
    facets = np.flatnonzero(is_inner & (is_positive[first] != is_positive[second]))
    turned = is_positive[second[facets]].tolist()
    corners = [_around(cells, *which) for which in zip(facets.tolist(), turned, strict=True)]
    kept, flat = np.unique(np.concatenate([np.zeros(0, int), *corners]), return_inverse=True)
    offsets = np.cumsum([0, *map(len, corners)])
    vertices = cells.vertices[kept]
    inside = np.where(is_positive[first[facets]], first[facets], second[facets])
    triangles, polygon = _fans(offsets, flat)
    component, euler, is_closed, is_plain = _components(offsets, flat)
    a, b, c = vertices[triangles].swapaxes(0, 1) - (domain.low + domain.high) / 2
    normals = np.cross(b - a, c - a)
    return DecisionSurface(
        vertices,
        offsets,
        flat,
        triangles,
        polygon,
        cells.patterns[inside, :output],
        component,
        float(np.linalg.norm(normals, axis=1).sum() / 2),
        float(np.sum(a * normals) / 6 + _beside_sides(network, domain)),
        len(euler),
        euler,
        is_closed,
        np.where(is_closed & is_plain, (2 - euler) // 2, -1),
        bool(is_closed.all() and is_plain.all()),
        cells.degenerate,
    )


def check_has_surface(networks: Layers, domain: Box) -> None:
    """A ValueError for networks that have no decision surface in a box: with other than three inputs or one output."""
    inputs, outputs, dim = networks[0].kernel.shape[-2], networks[-1].bias.shape[-1], len(domain.low)
    if not inputs == dim == SPACE:
        raise ValueError(
            f"a decision surface needs three inputs and a box with dim=3, but the first layer takes {inputs} inputs "
            f"and the box has {dim} dimensions."
        )
    if outputs != 1:
        raise ValueError(
            f"a decision surface needs one output, but the networks have {outputs}. Take one, or the difference of "
            "two: Dense(kernel[:, [i]] - kernel[:, [j]], bias[[i]] - bias[[j]]) in place of the last layer."
        )


def _around(cells: SpatialComplex, facet: int, is_turned: bool) -> Int[np.ndarray, " corners"]:
    corners = cells.facet_vertices[cells.facet_offsets[facet] : cells.facet_offsets[facet + 1]]
    return corners[::-1] if is_turned else corners


def _fans(
    offsets: Int[np.ndarray, " offsets"], corners: Int[np.ndarray, " corners"]
) -> tuple[Int[np.ndarray, "triangles 3"], Int[np.ndarray, " triangles"]]:
    """Convex polygons cut into triangles from their first corners."""
    sizes = np.diff(offsets)
    polygon = np.repeat(np.arange(len(sizes)), sizes - 2)
    place = np.arange(len(polygon)) - np.repeat(np.cumsum(sizes - 2) - (sizes - 2), sizes - 2)
    start = offsets[:-1][polygon]
    return np.stack([corners[start], corners[start + place + 1], corners[start + place + 2]], axis=1), polygon


def _components(
    offsets: Int[np.ndarray, " offsets"], corners: Int[np.ndarray, " corners"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The component of each polygon; Euler characteristics of all components; which are closed; and in which no edge
    has more than two polygons and no vertex is where two parts of the surface only touch."""
    num = len(offsets) - 1
    polygon = np.repeat(np.arange(num), np.diff(offsets))
    next_corner = np.arange(len(corners)) + 1
    next_corner[offsets[1:] - 1] = offsets[:-1]
    ends = np.sort(np.stack([corners, corners[next_corner]], axis=1), axis=1)
    _, edge, times = np.unique(ends, axis=0, return_inverse=True, return_counts=True)
    edge = edge.ravel()
    order = np.argsort(edge, kind="stable")
    is_same = edge[order][1:] == edge[order][:-1]
    pairs = np.stack([polygon[order][:-1], polygon[order][1:]], axis=1)[is_same]
    _, component = np.unique(connected(num, pairs), return_inverse=True)
    count = int(component.max(initial=-1)) + 1
    # a vertex that two fans of polygons share counts once for each: corners are joined across edges
    one, other = order[:-1][is_same], order[1:][is_same]
    # edges are passed in opposite directions where two polygons meet, so that starts meet ends
    joints = np.concatenate([np.stack([one, next_corner[other]], axis=1), np.stack([next_corner[one], other], axis=1)])
    joints = joints[corners[joints[:, 0]] == corners[joints[:, 1]]]
    fan = connected(len(corners), joints)
    of_fan = component[polygon[np.unique(fan, return_index=True)[1]]]
    num_vertices = np.bincount(of_fan, minlength=count)
    num_edges = np.bincount(component[polygon[order[np.append(True, ~is_same)[: len(order)]]]], minlength=count)
    num_polygons = np.bincount(component, minlength=count)
    is_closed = np.bincount(component[polygon], times[edge] == 1, minlength=count) == 0
    is_plain = np.bincount(component[polygon], times[edge] > PAIR, minlength=count) == 0
    return component, num_vertices - num_edges + num_polygons, is_closed, is_plain


def _beside_sides(network: Layers, domain: Box) -> float:
    """A third of the integral of x · n, from the middle of the box, over the parts of its sides with f > 0."""
    total, half = 0.0, (domain.high - domain.low) / 2
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        for end in (domain.low, domain.high):
            kernel, bias, *rest = network[0]
            first = type(network[0])(kernel[others], bias + end[axis] * kernel[axis], *rest)
            side = Box(domain.low[others], domain.high[others])
            cells = enumerate_regions((first, *network[1:]), side, cut_output=True)
            total += half[axis] / 3 * cells.area[cells.patterns[:, -1]].sum()
    return total
