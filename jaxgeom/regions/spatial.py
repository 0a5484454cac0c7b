"""[host] Exact linear regions of networks in three, four and any few dimensions, on a box.

Unit after unit cuts the cells that are there (:mod:`jaxgeom.regions.lattice`): all its layer's units are affine on
each cell, and the signs of its pre-activation at the vertices, exact ones (:mod:`jaxgeom.regions.values`), say which
edges to subdivide. The idea of finding cells through their edges, with sign vectors at the vertices, is that of
Berzins 2023, "Polyhedral complex extraction from ReLU networks using edge subdivision" (arXiv:2306.07212). All faces
between vertices and cells are kept here as well, so that ties of every kind are met by plain bookkeeping.

The cost is that of the faces of all dimensions, about 8 for each region in three dimensions and 20 in four, times the
number of units, plus some 20 µs for each value that float64 cannot tell from zero, so that even where all are tied a
vertex takes no more than a millisecond or two. One core; see :func:`count_regions_nd` for figures.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Int8, Int64

from jaxgeom._reprs import readable
from jaxgeom.domains import Box, checked_box, corners
from jaxgeom.given import as_float64
from jaxgeom.layers import Activation, Layers, check_finite, check_layers, slope_of, with_activation
from jaxgeom.regions.bounds import zaslavsky
from jaxgeom.regions.complex import OUTSIDE
from jaxgeom.regions.lattice import Lattice, box_lattice, cell_vertices, cut, is_consistent, pairs_of, simplices
from jaxgeom.regions.values import (
    Ancestry,
    Exact,
    Values,
    activations,
    decide,
    exact_network,
    exact_position,
    first_inputs,
    is_open,
    on_edges,
    pre_activations,
)

_MAX_DIM = 10
MAX_MEMORY = 4e9
"""Default of ``max_memory``, in bytes."""
_BYTES_A_FACE, _BYTES_A_VALUE = 900, 40  # by measurement
_FEW_FACES = 20_000  # estimates from fewer are not worth much
_ESTIMATE = 4  # by which estimates may be too large


@readable
class SpatialCount(NamedTuple):
    """Exact numbers of regions and faces on a box; shapes begin with the leading axes of the layers."""

    count: Int64[np.ndarray, "*networks"]  # type: ignore[assignment]
    """Number of regions; -1 where a member of a population is not finite."""
    num_faces: Int64[np.ndarray, "*networks dim+1"]
    """Numbers of faces of dimension 0 (vertices) to dim (regions); -1 where a member is not finite."""
    degenerate: Bool[np.ndarray, "*networks"]
    """Where float64 could not tell a sign (more hyperplanes in one point than dimensions, say) and integers decided."""


@readable
class SpatialComplex(NamedTuple):
    """The linear regions of one network on a box in any dimension, and their faces."""

    vertices: Float[np.ndarray, "vertices dim"]
    """Positions."""
    signs: Int8[np.ndarray, "vertices units"]
    """Signs of the pre-activations of all hidden units at the vertices, first layer first: -1, 0 or 1, exact. Zero for
    units of slope 1, which have no kink."""
    is_on_side: Bool[np.ndarray, "vertices sides"]
    """Which sides of the box each vertex lies on; 2i is the lower end of coordinate i, 2i + 1 its upper end."""
    edges: Int[np.ndarray, "edges 2"]
    """The two vertices of each edge."""
    facet_cells: Int[np.ndarray, "facets 2"]
    """The cells on both sides of each facet (face of dimension dim - 1): first the one where the unit that made it is
    active. On the boundary of the box, the one cell and -1."""
    facet_layer: Int[np.ndarray, " facets"]
    """Which hidden layer made the facet, counted from 0; -1 on the boundary of the box."""
    facet_unit: Int[np.ndarray, " facets"]
    """Which unit of that layer made it, the first if several share it; on the boundary, which side of the box it is."""
    cell_offsets: Int[np.ndarray, " cells+1"]
    """Where the vertices of each cell begin in ``cell_vertices``; the last entry is their length."""
    cell_vertices: Int[np.ndarray, " corners"]
    """The vertices of each cell."""
    patterns: Bool[np.ndarray, "cells units"]
    """Which hidden units are active on each cell, first layer first. False for units of slope 1."""
    gradient: Float[np.ndarray, "cells out dim"]
    """Gradient of the outputs on each cell."""
    intercept: Float[np.ndarray, "cells out"]
    """And intercept: the outputs are ``gradient @ x + intercept``."""
    volume: Float[np.ndarray, " cells"]
    """Volume (in two dimensions: area), in units of the input to the power dim."""
    centroid: Float[np.ndarray, "cells dim"]
    """Centre of mass."""
    num_faces: tuple[int, ...]
    """Numbers of faces of dimension 0 to dim. Σ (-1)^k num_faces[k] = 1."""
    degenerate: bool
    """Whether float64 could not tell some sign, and integers decided."""

    @property
    def num_cells(self) -> int:
        """Number of cells, the linear regions."""
        return len(self.patterns)


def count_regions_nd(
    layers: Layers,
    domain: Box,
    *,
    activation: Activation | None = None,
    max_memory: float | None = MAX_MEMORY,
) -> SpatialCount:
    """Count the linear regions of networks on a box of few dimensions, exactly.

    A region is a full-dimensional cell of the box with one activation pattern of the hidden units, however small; the
    sign of the output does not cut. The count is that of real arithmetic on the weights as they are. Any depth and
    widths; meant for three and four dimensions. For two, :func:`jaxgeom.count_regions` is far faster.

    Cost: 40 to 100 µs and 5 to 8 kB for each region, in five dimensions three times that. Means at PyTorch's
    initialisation on [-1, 1]^dim, on one core:

    ==== ========= ======= ======= ======
    dim  widths    regions seconds memory
    ==== ========= ======= ======= ======
    3    [32]        1,700    0.07   9 MB
    3    [16, 16]    1,100    0.05   6 MB
    3    [32, 32]    9,900    0.31  53 MB
    3    [64, 64]   82,000     5.2 400 MB
    4    [16]          680    0.04  11 MB
    4    [8, 8]        410    0.04   7 MB
    4    [16, 16]    6,900    0.43  67 MB
    4    [32, 32]   96,000     8.3 780 MB
    5    [16]        1,600    0.25  47 MB
    ==== ========= ======= ======= ======

    Args:
        layers: one network, or a population with any leading axes, counted one after the other.
        domain: where to count, for instance ``jaxgeom.box(-1, 1, dim=3)``.
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.
        max_memory: in bytes. A network that would take more is refused within seconds: while its first units cut, the
            number of faces is estimated from what they have made. None for no limit.

    Raises:
        TypeError: if the domain is not a box.
        ValueError: if the box has more than 10 dimensions, the inputs have another dimension than it, a single network
            has NaN or infinite weights, or a network is estimated to take more than ``max_memory``. In a
            population, members that are not finite get the count -1.
    """
    domain = _checked_domain(domain, max_memory)
    layers = check_layers(with_activation(layers, activation), dim=len(domain.low))
    leading = np.shape(layers[0].bias)[:-1]
    if not leading:
        check_finite(layers)
    num = int(np.prod(leading))
    flat = jax.tree.map(lambda a: np.asarray(as_float64(a)).reshape(num, *np.shape(a)[len(leading) :]), layers)
    num_faces = np.full((num, len(domain.low) + 1), -1, np.int64)
    degenerate = np.zeros(num, bool)
    for member in range(num):
        network = jax.tree.map(lambda array, member=member: array[member], flat)
        if all(np.isfinite(array).all() for array in jax.tree.leaves(network)):
            found = _subdivide(network, domain, max_memory)
            num_faces[member] = found.lattice.num_faces
            degenerate[member] = found.degenerate
    shaped = num_faces.reshape(*leading, len(domain.low) + 1)
    return SpatialCount(shaped[..., -1].copy(), shaped, degenerate.reshape(leading))


def enumerate_regions_nd(
    layers: Layers,
    domain: Box,
    *,
    activation: Activation | None = None,
    max_memory: float | None = MAX_MEMORY,
) -> SpatialComplex:
    """The linear regions of one network on a box of few dimensions, with their faces, maps and volumes.

    Regions and exactness are those of :func:`count_regions_nd`, at two or three times the cost; positions, maps and
    volumes are float64.

    Args:
        layers: one network.
        domain: for instance ``jaxgeom.box(-1, 1, dim=3)``.
        activation: as for :func:`count_regions_nd`.
        max_memory: as for :func:`count_regions_nd`.

    Raises:
        TypeError, ValueError: as :func:`count_regions_nd`, and for a population.
    """
    domain = _checked_domain(domain, max_memory)
    layers = check_layers(with_activation(layers, activation), dim=len(domain.low))
    if np.ndim(layers[0].bias) != 1:
        raise ValueError(
            f"one network is needed, but a population of shape {np.shape(layers[0].bias)[:-1]} was given. Take one "
            "member, jax.tree.map(lambda array: array[0], layers), or use count_regions_nd."
        )
    check_finite(layers)
    layers = jax.tree.map(lambda array: np.asarray(as_float64(array)), layers)
    found = _subdivide(layers, domain, max_memory)
    offsets, members = cell_vertices(found.lattice)
    gradient, intercept = _affine_maps(layers, found.patterns)
    volume, centroid = _volumes(found, domain, offsets, members)
    return SpatialComplex(
        vertices=found.position,
        signs=found.signs,
        is_on_side=found.is_on_side,
        edges=found.lattice.ends,
        facet_cells=_cells_of_facets(found, layers),
        facet_layer=found.facet_maker[:, 0],
        facet_unit=found.facet_maker[:, 1],
        cell_offsets=offsets,
        cell_vertices=members,
        patterns=found.patterns,
        gradient=gradient,
        intercept=intercept,
        volume=volume,
        centroid=centroid,
        num_faces=found.lattice.num_faces,
        degenerate=found.degenerate,
    )


def _checked_domain(domain: Box, max_memory: float | None) -> Box:
    if not isinstance(domain, Box):
        raise TypeError(f"regions in any dimension are found on a jaxgeom.box, but {type(domain).__name__} was given.")
    if max_memory is not None and not max_memory > 0:
        raise ValueError(f"max_memory must be a positive number of bytes, or None, but {max_memory} was given.")
    domain = checked_box(domain)
    dim = len(domain.low)
    if dim > _MAX_DIM:
        raise ValueError(
            f"a box in {dim} dimensions has 3^{dim} faces to begin with, and 3^{_MAX_DIM} are allowed. Take a slice: "
            "compose the first layer with the affine map of a plane into the input space."
        )
    return domain


class _Subdivision(NamedTuple):
    """A box cut by some units, and what is known of its faces."""

    lattice: Lattice
    position: Float[np.ndarray, "vertices dim"]
    ancestry: Ancestry
    signs: Int8[np.ndarray, "vertices units"]
    is_on_side: Bool[np.ndarray, "vertices sides"]
    patterns: Bool[np.ndarray, "cells units"]
    facet_maker: Int[np.ndarray, "facets 2"]
    degenerate: bool


def _subdivide(layers: Layers, domain: Box, max_memory: float | None) -> _Subdivision:
    lattice, is_upper, sides = box_lattice(len(domain.low))
    position = corners(domain)
    num = len(position)
    state = _Subdivision(
        lattice,
        position,
        Ancestry(np.full((num, 2), -1), np.full((num, 2), -1)),
        np.zeros((num, 0), np.int8),
        np.stack([~is_upper, is_upper], axis=2).reshape(num, -1),
        np.zeros((1, 0), bool),
        np.stack([np.full(len(sides), OUTSIDE), sides], axis=1),
        False,
    )
    exact = exact_network(layers, position)
    inputs, exponents = first_inputs(position)
    slopes = [np.asarray(slope_of(layer)) for layer in layers[:-1]]
    left = [
        int(((np.asarray(layer.kernel) != 0).any(axis=0) & (slope != 1)).sum())
        for layer, slope in zip(layers, slopes, strict=False)
    ]
    for index, (layer, slope) in enumerate(zip(layers, slopes, strict=False)):
        values, exponents = pre_activations(inputs, exponents, np.asarray(layer.kernel), np.asarray(layer.bias))
        budget = _Budget(max_memory, sum(left[index + 1 :]))
        state, values = _cut_by_layer(state, values, exponents, exact, index, budget, slope != 1)
        signs = state.signs[:, state.signs.shape[1] - len(exponents) :]
        inputs, exponents = activations(values, signs, exponents, slope)
    if not is_consistent(state.lattice):
        raise RuntimeError("the faces of the regions do not fit together. Please report the network and the domain.")
    return state


class _Budget(NamedTuple):
    """How much there may be, and what is to come."""

    max_memory: float | None
    num_later: int
    """Units of later layers."""


def _check_budget(budget: _Budget, state: _Subdivision, num_left: int, width: int) -> None:
    """Raise a ValueError if faces take too much memory, or will, if they go on to grow as in Zaslavsky's bound.

    Args:
        budget, state: as they are.
        num_left: units that have not cut yet.
        width: units of the layer at work, which have values at all vertices.
    """
    num_faces, dim = sum(state.lattice.num_faces), len(state.lattice.num_faces) - 1
    size = _BYTES_A_FACE * num_faces + _BYTES_A_VALUE * width * state.lattice.num_faces[0]
    if budget.max_memory is None or (num_faces < _FEW_FACES and size <= budget.max_memory):
        return
    num_cut = len(np.unique(state.facet_maker[state.facet_maker[:, 0] != OUTSIDE], axis=0))
    growth = zaslavsky(num_cut + num_left, dim) / zaslavsky(num_cut, dim)
    if size <= budget.max_memory and size * growth <= _ESTIMATE * budget.max_memory:
        return
    raise ValueError(
        f"after {num_cut} of {num_cut + num_left} units there are {num_faces:.2g} faces of all dimensions, and at this "
        f"rate there will be some {num_faces * growth:.1g}, which take {size * growth / 1e9:,.3g} GB, but max_memory "
        f"allows {budget.max_memory / 1e9:.3g} GB. Take a smaller network, a slice of fewer dimensions "
        "(jaxgeom.on_plane), or a larger max_memory (bytes; None for no limit)."
    )


def _cut_by_layer(
    state: _Subdivision,
    values: Values,
    exponents: Int[np.ndarray, " units"],
    exact: Exact,
    layer: int,
    budget: _Budget,
    bends: Bool[np.ndarray, " units"],
) -> tuple[_Subdivision, Values]:
    """The subdivision cut by all units of a layer that bend, and the values of all its units at all vertices."""
    unclear = is_open(values) & bends
    everyone = np.arange(len(values.value))
    signs = decide(exact, state.ancestry, values, unclear, everyone, layer, exponents) * bends
    before = state.signs.shape[1]
    state = state._replace(
        signs=np.concatenate([state.signs, signs], axis=1),
        patterns=np.concatenate([state.patterns, np.zeros((len(state.patterns), len(exponents)), bool)], axis=1),
        degenerate=state.degenerate | bool(unclear.any()),
    )
    # New vertices are computed from the ends that their edge had before the layer, or when a unit of it made it.
    long_ends = state.lattice.ends
    for unit in range(len(exponents)):
        found = cut(state.lattice, state.signs[:, before + unit])
        edges = found.split[1]
        patterns = np.concatenate([state.patterns, state.patterns[found.split[-1]]])
        patterns[:, before + unit] = found.is_positive
        state = state._replace(patterns=patterns)
        if not len(found.split[-1]):
            continue
        old_ends = state.lattice.ends[edges]
        state, values = _with_new_vertices(state, values, exponents, exact, (layer, unit), old_ends, long_ends[edges])
        num_parts = len(long_ends) + len(edges)
        long_ends = np.concatenate([long_ends, long_ends[edges], found.lattice.ends[num_parts:]])
        walls = found.split[-2]
        made = np.tile([layer, unit], (len(found.split[-1]), 1))
        maker = np.concatenate([state.facet_maker, state.facet_maker[walls], made])
        state = state._replace(lattice=found.lattice, facet_maker=maker)
        rest = int(np.count_nonzero((values.value[:, unit + 1 :] != 0).any(axis=0) & bends[unit + 1 :]))
        _check_budget(budget, state, rest + budget.num_later, len(exponents))
    return state, values


def _with_new_vertices(
    state: _Subdivision,
    values: Values,
    exponents: Int[np.ndarray, " units"],
    exact: Exact,
    label: tuple[int, int],
    edges: Int[np.ndarray, "new 2"],
    long_edges: Int[np.ndarray, "new 2"],
) -> tuple[_Subdivision, Values]:
    """Vertices where one unit, with its layer as ``label``, vanishes between the ends of edges, and their values.

    Of units that do not change sign along an edge, the sign is known there. The others are decided.
    """
    layer, unit = label
    new, place = on_edges(values, long_edges, unit)
    ancestry = Ancestry(
        np.concatenate([state.ancestry.ends, long_edges]),
        np.concatenate([state.ancestry.maker, np.tile(label, (len(edges), 1))]),
    )
    at_a, at_b = state.signs[edges.T]
    signs = np.where(at_a == 0, at_b, at_a)
    first = signs.shape[1] - len(exponents)
    changes = (at_a * at_b < 0)[:, first:]
    changes[:, : unit + 1] = False
    is_lost = np.isnan(place)
    unclear = (is_open(new) & changes) | is_lost[:, None]
    vertices = len(state.signs) + np.arange(len(edges))
    decided = decide(exact, ancestry, new, unclear, vertices, layer, exponents)
    signs[:, first:] = np.where(changes, decided, signs[:, first:])
    signs[:, first + unit] = 0
    a, b = state.position[long_edges.T]
    position = np.where(a == b, a, (1 - place)[:, None] * a + place[:, None] * b)
    for row in np.flatnonzero(is_lost):
        position[row] = exact_position(exact, ancestry, int(vertices[row]))
    state = state._replace(
        position=np.concatenate([state.position, position]),
        ancestry=ancestry,
        signs=np.concatenate([state.signs, signs]),
        is_on_side=np.concatenate([state.is_on_side, state.is_on_side[edges].all(axis=1)]),
        degenerate=state.degenerate | bool(unclear.any()),
    )
    return state, Values(*(np.concatenate(parts) for parts in zip(values, new, strict=True)))


def _cells_of_facets(found: _Subdivision, layers: Layers) -> Int[np.ndarray, "facets 2"]:
    cell, facet = pairs_of(found.lattice, len(found.lattice.num_faces) - 1)
    order = np.argsort(facet, kind="stable")
    cell, facet = cell[order], facet[order]
    is_second = np.append(False, facet[1:] == facet[:-1])
    cells = np.full((len(found.facet_maker), 2), OUTSIDE)
    cells[:, 0] = cell[~is_second]
    cells[facet[is_second], 1] = cell[is_second]
    starts = np.cumsum([0, *(len(layer.bias) for layer in layers[:-1])])
    layer, unit = found.facet_maker.T
    is_inner = layer != OUTSIDE
    is_active = np.ones(len(cells), bool)
    is_active[is_inner] = found.patterns[cells[is_inner, 0], starts[layer[is_inner]] + unit[is_inner]]
    cells[~is_active] = cells[~is_active, ::-1]
    return cells


def _affine_maps(
    layers: Layers, patterns: Bool[np.ndarray, "cells units"]
) -> tuple[Float[np.ndarray, "cells out dim"], Float[np.ndarray, "cells out"]]:
    """Gradient and intercept of the outputs for each activation pattern."""
    rows = np.concatenate([layers[0].kernel, layers[0].bias[None]])
    carried = np.broadcast_to(rows, (len(patterns), *rows.shape))
    start = 0
    for layer, (kernel, bias, _) in pairwise(layers):
        active = patterns[:, start : start + len(kernel)]
        carried = (carried * np.where(active, 1.0, slope_of(layer))[:, None, :]) @ kernel
        carried[:, -1] += bias
        start += len(kernel)
    return np.moveaxis(carried[:, :-1], 1, 2).copy(), carried[:, -1].copy()


def _volumes(
    found: _Subdivision, domain: Box, offsets: Int[np.ndarray, " offsets"], members: Int[np.ndarray, " corners"]
) -> tuple[Float[np.ndarray, " cells"], Float[np.ndarray, "cells dim"]]:
    """Volumes and centres of mass, from simplices that have the first vertex of their cell in common."""
    cell, vertices = simplices(found.lattice)
    num, dim = len(found.patterns), len(domain.low)
    size = domain.high - domain.low
    spokes = (found.position[vertices[:, 1:]] - found.position[vertices[:, :1]]) / size
    weights = np.abs(np.linalg.det(spokes)) / math.factorial(dim)
    share = np.bincount(cell, weights, num)
    moments = weights[:, None] * spokes.sum(axis=1) / (dim + 1)
    moment = np.stack([np.bincount(cell, moments[:, i], num) for i in range(dim)], axis=1)
    origin = found.position[members[offsets[:-1]]]
    mean = np.add.reduceat(found.position[members] / np.diff(offsets).repeat(np.diff(offsets))[:, None], offsets[:-1])
    with np.errstate(all="ignore"):
        centroid = np.where(share[:, None] > 0, origin + size * moment / share[:, None], mean)
        return share * np.prod(size), centroid
