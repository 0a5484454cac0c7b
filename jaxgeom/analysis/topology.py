"""[host] Topology of decision regions in the plane and in space: components, holes, cavities, boundaries, exactly.

The zero sets of the outputs, or of their differences, cut the linear regions of a network into cells on which the class
is one (:func:`jaxgeom.enumerate_population`), with vertices at which the engine knows every sign. A decision region is
a union of open cells (of all dimensions), and has the homotopy type of the simplicial complex whose simplices are
chains of these cells, each in the boundary of the next (for closed unions that is the barycentric subdivision; Björner
1995, Topological methods, Handbook of Combinatorics, 10). Its components and its Euler characteristic are counted; in
the plane, holes are components minus characteristic. In space, cavities are those components of the other classes
together that do not reach the border of the box (Alexander duality), and holes the rest of the characteristic.
"""

from itertools import combinations
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import PAIR, SPACE
from jaxgeom.analysis.incidence import Incidence, characteristics, components, incidence
from jaxgeom.domains import Box, PlanarDomain, exact_domain
from jaxgeom.host.given import check_progress
from jaxgeom.host.sparse import on_host
from jaxgeom.networks.layers import Activation, Layers, check_finite, with_activation
from jaxgeom.regions.cells import NOT_COUNTED, check_inputs, with_one_axis
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, connected
from jaxgeom.regions.count import with_differences
from jaxgeom.regions.enumerate import complexes_by_chunks
from jaxgeom.regions.space import SpatialComplex

NOT_ENCLOSED = -1
"""Stands for the boundary around one that no other encloses."""
NO_BOUNDARY = -2
"""Fills rows of networks that have fewer boundaries than others."""


@readable
class Topology(NamedTuple):
    """Decision regions of networks on a bounded domain, counted; -1 where a member of a population is not finite.

    The last axis of ``num_components``, ``num_holes`` and ``num_cavities`` are the classes. With one output f these are
    f ≤ 0, then f > 0; with several, the largest output wins, of equal ones the first.
    """

    num_components: Int[np.ndarray, "*networks classes"]
    """Connected components of each class's region: Betti number 0."""
    num_holes: Int[np.ndarray, "*networks classes"]
    """Holes of each class's region, in space the tunnels through it: Betti number 1. In the plane, what reaches the
    border of the domain is no hole."""
    num_boundaries: Int[np.ndarray, "*networks"]
    """Connected components of the decision boundary, where cells of different classes meet."""
    num_closed_boundaries: Int[np.ndarray, "*networks"]
    """Those of them that do not reach the border of the domain."""
    degenerate: Bool[np.ndarray, "*networks"]
    """Whether an exact zero was met, as where an output is zero at a vertex of its regions or on a whole one."""
    num_cavities: Int[np.ndarray, "*networks classes"]
    """Hollows inside of each class's region: Betti number 2. In the plane there are none."""
    boundary_is_closed: Bool[np.ndarray, "*networks boundaries"]
    """Which boundaries do not reach the border of the domain. False where a network has fewer."""
    boundary_parent: Int[np.ndarray, "*networks boundaries"]
    """The innermost closed boundary that encloses each, as its number; -1 for none, -2 where a network has fewer."""
    boundary_depth: Int[np.ndarray, "*networks boundaries"]
    """How many closed boundaries enclose each; -2 where a network has fewer."""


def topology(
    layers: Layers,
    domain: PlanarDomain,
    *,
    activation: Activation | None = None,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> Topology:
    """Components, holes, cavities and boundaries of the decision regions of networks with two or three inputs, exactly.

    Regions that touch in a point are connected there only if the point belongs to them: with f(x, y) = |x| - |y| on a
    square, f > 0 has two components and f ≤ 0, with the origin, one. 1,000 networks 2-16-16-1 take about two seconds.

    Args:
        layers: one network, or a population with any leading axes. One output decides by its sign; of several, each
            pair is compared, which for many classes makes many more cells.
        domain: a bounded one: :func:`jaxgeom.box` with dim=2 or dim=3, or :func:`jaxgeom.polygon`.
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.
        chunk_size: networks cut at once; default by memory.
        progress: show a progress bar; a string is its title.

    Raises:
        TypeError: for anything that is not a network or a domain.
        ValueError: for inputs of another dimension than the domain, other domains than those above, networks without
            outputs, activations without linear regions, NaN or infinite weights in a single network, or complexes that
            take more memory than is free.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> size = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))
        >>> ring = (*size, jg.Dense(np.ones((1, 1)), np.full(1, -0.5)))  # ||x| + |y| - 1| - 1/2
        >>> found = jg.topology(ring, jg.box(-2, 2), activation="abs")
        >>> found.num_components.tolist(), found.num_holes.tolist(), found.boundary_parent.tolist()
        ([1, 2], [1, 1], [1, -1])
    """
    check_progress(progress)
    network = jax.tree.map(on_host, check_bounded(with_activation(layers, activation, keep_sparse=True), domain))
    leading, num_outputs = network[-1].bias.shape[:-1], network[-1].bias.shape[-1]
    if num_outputs < 1:
        raise ValueError("networks need at least one output to decide by, but these have none.")
    if not leading:
        check_finite(network)
    flat = with_one_axis(network)
    if num_outputs > 1:
        flat, _ = with_differences(flat)
    parts = []
    for some in complexes_by_chunks(flat, domain, cut_output=True, chunk_size=chunk_size, progress=progress):
        counted = [index for index, complex_ in enumerate(some) if complex_ is not None]
        found = _topologies([some[index] for index in counted], num_outputs) if counted else _none(num_outputs)
        parts.append([_filled(values, fill, counted, len(some)) for values, fill in zip(found, _FILL, strict=True)])
    columns = [
        _stacked(values, fill) for values, fill in zip(zip(_none(num_outputs), *parts, strict=True), _FILL, strict=True)
    ]
    return Topology(*(column.reshape((*leading, *column.shape[1:])) for column in columns))


_FILL = (*[NOT_COUNTED] * 4, False, NOT_COUNTED, False, *[NO_BOUNDARY] * 2)  # of each field, where it is not counted


def check_bounded(layers: Layers, domain: PlanarDomain) -> Layers:
    """The network or population, if it has two or three inputs and the domain is a bounded one of as many dimensions.

    Raises:
        TypeError: for anything that is not a domain.
        ValueError: for other inputs and domains.
    """
    start = exact_domain(domain)
    if isinstance(start, Box):
        if len(start.low) != SPACE:
            raise ValueError(
                f"a domain of two or three dimensions is needed, but the box has {len(start.low)}. Take a slice: "
                "jaxgeom.on_plane for planes."
            )
    elif (start.vertices[:, 2] == 0).any():
        raise ValueError("a bounded domain is needed, jaxgeom.box or jaxgeom.polygon, but the whole plane was given.")
    return check_inputs(layers, start)


def _none(num_outputs: int) -> Topology:
    """Of no network."""
    classes, no, none = np.zeros((0, max(2, num_outputs)), int), np.zeros(0, int), np.zeros((0, 0), int)
    return Topology(classes, classes, no, no, no.astype(bool), classes, none.astype(bool), none, none)


def _filled(values: np.ndarray, fill: int | bool, members: list[int], num: int) -> np.ndarray:
    """Values of some members among all of them."""
    filled = np.full((num, *values.shape[1:]), fill)
    filled[members] = values
    return filled


def _stacked(parts: tuple[np.ndarray, ...], fill: int | bool) -> np.ndarray:
    """Parts of a population one after the other, with rows of one length."""
    if parts[0].ndim == 1 or len(parts) == 1:
        return np.concatenate(parts)
    length = max(part.shape[1] for part in parts)
    return np.concatenate(
        [np.pad(p, ((0, 0), (0, length - p.shape[1])), constant_values=fill) for p in parts if len(p)] or parts[:1]
    )


def _topologies(complexes: list[PlanarComplex] | list[SpatialComplex], num_outputs: int) -> Topology:
    """The topology of each complex, which the differences of outputs cut as well."""
    cells = incidence(complexes)
    num, num_classes = len(complexes), max(2, num_outputs)
    classes = _classes(_signs(complexes, cells), num_outputs)
    own = cells.network * num_classes + classes

    def numbers(of: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """How often each class of each network occurs."""
        found = np.bincount(of, weights, minlength=num * num_classes)
        return np.rint(found).astype(np.int64).reshape(num, num_classes)

    component = components(cells, own)
    num_components = numbers(own[np.unique(component)])
    euler = numbers(own, characteristics(cells, own))
    num_cavities = np.zeros_like(num_components)
    if cells.dim == SPACE:
        if num_classes == PAIR:  # what the one class leaves is the other
            num_cavities = numbers(own[_inner(cells, component)])[:, ::-1]
        else:
            for index in range(num_classes):
                others = np.where(classes == index, -1, cells.network)
                inner = _inner(cells, components(cells, others))
                inner = inner[classes[inner] != index]
                num_cavities[:, index] = np.bincount(cells.network[inner], minlength=num)
    boundaries = _boundaries(cells, classes, num)
    return Topology(
        num_components,
        num_components + num_cavities - euler,
        (boundaries[1] != NO_BOUNDARY).sum(axis=1),
        boundaries[0].sum(axis=1),
        np.array([complex_.degenerate for complex_ in complexes]),
        num_cavities,
        *boundaries,
    )


def _signs(complexes: list[PlanarComplex] | list[SpatialComplex], cells: Incidence) -> np.ndarray:
    """(cells, outputs), the signs of the outputs that cut the complexes."""
    at_vertices = []
    for complex_ in complexes:
        if isinstance(complex_, PlanarComplex):
            at_vertices.append(np.sign(complex_.outputs).astype(np.int8))
        else:
            num_outputs = complex_.gradient.shape[1]
            at_vertices.append(complex_.signs[:, complex_.signs.shape[1] - num_outputs :])
    low, high = cells.extremes(np.concatenate(at_vertices))
    return np.where(high > 0, high, low)  # no function changes its sign on a cell


def _classes(signs: Int[np.ndarray, "cells pairs"], num_outputs: int) -> Int[np.ndarray, " cells"]:
    """The class of each cell: the largest output, of equal ones the first; of one output, whether it is positive."""
    if num_outputs == 1:
        return (signs[:, 0] > 0).astype(np.int64)
    best = np.zeros(len(signs), np.int64)
    column = {pair: index for index, pair in enumerate(combinations(range(num_outputs), 2))}
    for rival in range(1, num_outputs):
        columns = np.array([column[one, rival] for one in range(rival)])
        best = np.where(signs[np.arange(len(signs)), columns[best]] < 0, rival, best)
    return best


def _inner(cells: Incidence, component: Int[np.ndarray, " cells"]) -> Int[np.ndarray, " inner"]:
    """The components, each as the cell that stands for it, that do not reach the border of the domain."""
    reaching = np.zeros(len(component), bool)
    reaching[component[cells.is_on_border]] = True
    found = np.unique(component)
    result: Int[np.ndarray, " inner"] = found[~reaching[found]]
    return result


def _boundaries(cells: Incidence, classes: Int[np.ndarray, " cells"], num: int) -> tuple[np.ndarray, ...]:
    """The last three fields of :class:`Topology`.

    Closed boundaries, and all others together with the border of the domain, are connected sets that do not meet. In a
    domain without holes, these sets and the parts that they leave hang together as a tree; the border is its root.
    """
    walls = cells.of_dimension(cells.dim - 1)
    is_inner = (cells.walls != OUTSIDE).all(axis=1)
    one, other = cells.walls.T
    is_between = is_inner & (classes[one] != classes[other])
    # boundaries, as components of vertices
    wall = cells.corners[:, 1] - walls.start
    is_corner = (wall >= 0) & (wall < walls.stop - walls.start)
    at, wall = cells.corners[is_corner, 0], wall[is_corner]
    at, wall = at[is_between[wall]], wall[is_between[wall]]
    first = np.zeros(len(is_inner), int)
    first[wall] = at
    num_vertices = int(cells.starts[1])
    vertex = connected(num_vertices, np.stack([first[wall], at], axis=1))
    names, boundary = np.unique(vertex[first[is_between]], return_inverse=True)
    is_open = np.isin(names, vertex[np.flatnonzero(cells.is_on_border[:num_vertices])])
    network = cells.network[names]
    # the parts that boundaries leave, as components of regions
    parts = connected(len(classes), np.stack([one, other], axis=1)[is_inner & ~is_between])
    pairs = np.unique(
        np.concatenate([np.stack([boundary, parts[side[is_between]]], axis=1) for side in (one, other)]), axis=0
    )
    depth, parent = np.where(is_open, 0, NO_BOUNDARY), np.full(len(names), NOT_ENCLOSED)
    around = np.full(len(classes), NO_BOUNDARY)  # the boundary around each part, once it is known
    around[parts[cells.walls[~is_inner].max(axis=1)]] = NOT_ENCLOSED
    around[pairs[is_open[pairs[:, 0]], 1]] = NOT_ENCLOSED
    level = 0
    while (depth == NO_BOUNDARY).any():
        fresh = (around[pairs[:, 1]] != NO_BOUNDARY) & (depth[pairs[:, 0]] == NO_BOUNDARY)
        found = pairs[fresh, 0]
        depth[found], parent[found] = level, around[pairs[fresh, 1]]
        inside = pairs[np.isin(pairs[:, 0], found) & (around[pairs[:, 1]] == NO_BOUNDARY)]
        around[inside[:, 1]] = inside[:, 0]
        level += 1
    # one row a network
    sizes = np.bincount(network, minlength=num)
    order = np.argsort(network, kind="stable")
    begins = np.cumsum(sizes) - sizes
    place = np.empty(len(names), int)
    place[order] = np.arange(len(names)) - begins[network[order]]
    parent = np.where(parent >= 0, place[parent], parent)
    rows = [np.full((num, sizes.max(initial=0)), fill) for fill in (False, NO_BOUNDARY, NO_BOUNDARY)]
    for row, values in zip(rows, (~is_open, parent, depth), strict=True):
        row[network, place] = values
    return tuple(rows)
