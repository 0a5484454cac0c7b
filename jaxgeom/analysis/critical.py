"""[host] Critical points of networks with one output: minima, maxima, saddles and flat parts, exactly.

On the cells of its complex a network f is affine, so that only vertices, and cells on which f is constant, can be
critical; those that touch are one set. The cells whose largest value is that of such a set are what levels pass with
it; the homology of these cells (mod 2) says what they add to the points below: nothing at regular points, a component
at a minimum, and so on (Morse theory of piecewise linear functions; Banchoff 1967, Critical points and curvature for
embedded polyhedra; for networks, Grigsby, Lindsey & Masden 2022, Local and global topological complexity measures of
ReLU neural network functions).

Which end of an edge is higher is decided in float64 where it is certain, and else in integers: along an edge between
hyperplanes with normals n, f rises by a determinant of n and its gradient.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import PLANE
from jaxgeom.analysis.incidence import Incidence, incidence
from jaxgeom.analysis.rises import rises
from jaxgeom.analysis.topology import check_bounded
from jaxgeom.domains import PlanarDomain
from jaxgeom.host.given import check_progress
from jaxgeom.networks.layers import Activation, Layers, check_finite, with_activation
from jaxgeom.regions.cells import with_one_axis
from jaxgeom.regions.complex import PlanarComplex, connected
from jaxgeom.regions.enumerate import complexes_by_chunks
from jaxgeom.regions.space import SpatialComplex


@readable
class CriticalPoints(NamedTuple):
    """Where the topology of f ≤ c changes with the level c on a bounded domain, and all extrema and flat regions.

    Points that are connected by edges or cells on which f is constant are one.
    Σ (-1)^k multiplicity[:, k] = 1, the Euler characteristic of the domain.
    """

    position: Float[np.ndarray, "points dim"]
    """A vertex at which f has that value."""
    value: Float[np.ndarray, " points"]
    """Of f."""
    multiplicity: Int[np.ndarray, "points dim+1"]
    """How many cells of dimension k its level adds to the points below, up to homotopy: 1, 0, 0 of a minimum in the
    plane, 0, n, 0 of a saddle at which n + 1 parts meet, 0, 0, 1 of a maximum inside of the domain. All zero where
    the topology does not change: at a maximum that reaches the border, or a flat region on a slope."""
    is_minimum: Bool[np.ndarray, " points"]
    """Whether no point of the domain nearby is lower."""
    is_maximum: Bool[np.ndarray, " points"]
    """Whether no point of the domain nearby is higher."""
    flat_dimension: Int[np.ndarray, " points"]
    """0 for a point, 1 where f is constant on an edge, up to dim where it is constant on a region."""
    is_on_border: Bool[np.ndarray, " points"]
    """Whether it reaches the border of the domain."""


def critical_points(
    layers: Layers,
    domain: PlanarDomain,
    *,
    activation: Activation | None = None,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> CriticalPoints | list[CriticalPoints | None]:
    """Minima, maxima, saddles and flat regions of networks with one output and two or three inputs, exactly.

    Args:
        layers: one network, or a population with one leading axis.
        domain: a bounded one: :func:`jaxgeom.box` with dim=2 or dim=3, or :func:`jaxgeom.polygon`.
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.
        chunk_size: networks cut at once; default by memory.
        progress: show a progress bar; a string is its title.

    Returns:
        The points in ascending order of their values; for a population a list, with None for members with NaN or
        infinite weights.

    Raises:
        TypeError: for anything that is not a network or a domain.
        ValueError: for inputs of another dimension than the domain, other domains than those above, several outputs,
            activations without linear regions, or NaN or infinite weights in a single network.

    Example:
        | |x| + |y| - 1 | has its minima on a diamond and a maximum at the origin, where it is not differentiable:

        >>> import numpy as np, jaxgeom as jg
        >>> size = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))
        >>> found = jg.critical_points((*size, jg.Dense(np.ones((1, 1)), np.zeros(1))), jg.box(-1, 1), activation="abs")
        >>> found.value.tolist(), found.is_maximum.tolist(), found.flat_dimension.tolist()
        ([0.0, 1.0, 1.0, 1.0, 1.0, 1.0], [False, True, True, True, True, True], [1, 0, 0, 0, 0, 0])
        >>> found.multiplicity.sum(axis=0).tolist()  # the four maxima in the corners add nothing
        [1, 1, 1]
    """
    check_progress(progress)
    network = jax.tree.map(np.asarray, check_bounded(with_activation(layers, activation), domain))
    outputs = network[-1].bias.shape[-1]
    if outputs != 1:
        raise ValueError(
            f"critical points are those of one output, but the networks have {outputs}. Take one, or the difference "
            "of two: Dense(kernel[:, [i]] - kernel[:, [j]], bias[[i]] - bias[[j]]) in place of the last layer."
        )
    is_single = network[-1].bias.ndim == 1
    if is_single:
        check_finite(network)
        network = with_one_axis(network)
    found: list[CriticalPoints | None] = []
    for some in complexes_by_chunks(network, domain, chunk_size=chunk_size, progress=progress):
        counted = [complex_ for complex_ in some if complex_ is not None]
        points = iter(_critical(counted, domain) if counted else ())
        found += [None if complex_ is None else next(points) for complex_ in some]
    if is_single:
        assert found[0] is not None
        return found[0]
    return found


def _critical(
    complexes: Sequence[PlanarComplex] | Sequence[SpatialComplex], domain: PlanarDomain
) -> list[CriticalPoints]:
    cells = incidence(complexes)
    dim, num_vertices = cells.dim, int(cells.starts[1])
    edges = cells.corners[: 2 * (cells.starts[2] - cells.starts[1]), 0].reshape(-1, 2)
    rise = rises(complexes, cells, edges, domain)
    level = connected(num_vertices, edges[rise == 0])  # the vertices of one level that hang together, as one of them
    highest = np.concatenate(
        [level, level[np.where(rise > 0, edges[:, 1], edges[:, 0])], _tops(cells, edges, rise, level)]
    )
    is_flat = _flat(cells, rise)
    num = len(highest)

    def per_level(of: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        return np.rint(np.bincount(of, weights, minlength=num_vertices)).astype(np.int64)

    dimension = cells.dimension
    index = per_level(highest, np.where(dimension % 2, -1.0, 1.0))
    is_minimum = per_level(highest[~is_flat]) == 0
    is_maximum = per_level(level[np.where(rise > 0, edges[:, 0], edges[:, 1])[rise != 0]]) == 0
    is_on_border = per_level(level[cells.is_on_border[:num_vertices]]) > 0
    flat_dimension = np.zeros(num_vertices, np.int64)
    np.maximum.at(flat_dimension, highest[is_flat], dimension[is_flat])
    multiplicity = np.zeros((num_vertices, dim + 1), np.int64)
    multiplicity[:, 0], multiplicity[:, dim] = is_minimum, is_maximum & ~is_on_border
    if dim == PLANE:
        multiplicity[:, 1] = multiplicity[:, 0] + multiplicity[:, 2] - index
    else:
        # parts of the cells below that a level joins; where it is no single vertex, by elimination
        faces = np.concatenate([cells.corners, cells.sides])
        lower = np.where(is_flat, -1, highest)
        is_one = (lower[faces[:, 0]] == lower[faces[:, 1]]) & (lower[faces[:, 0]] >= 0)
        part = connected(num, faces[is_one])
        parts = per_level(lower[np.unique(part[~is_flat])])
        multiplicity[:, 1] = np.maximum(parts - 1, 0)
        is_one = (highest[faces[:, 0]] == highest[faces[:, 1]]) & (dimension[faces[:, 1]] == dimension[faces[:, 0]] + 1)
        own = faces[is_one & np.isin(highest[faces[:, 1]], level[edges[rise == 0, 0]])]
        own = own[np.argsort(highest[own[:, 1]], kind="stable")]
        num_edges = per_level(highest[dimension == 1])
        for one, begin in zip(*np.unique(highest[own[:, 1]], return_index=True), strict=True):
            end = begin + np.searchsorted(highest[own[begin:, 1]], one, side="right")
            multiplicity[one, 1] = num_edges[one] - sum(
                _rank(own[begin:end][dimension[own[begin:end, 1]] == k]) for k in (1, 2)
            )
        multiplicity[:, 2] = index - multiplicity[:, 0] + multiplicity[:, 1] + multiplicity[:, 3]
    is_shown = multiplicity.any(axis=1) | is_minimum | is_maximum | (flat_dimension == dim)
    shown = np.flatnonzero(is_shown & (level == np.arange(num_vertices)))
    value = _values(complexes, cells, shown)
    shown, value = shown[order := np.lexsort((shown, value))], value[order]
    network = cells.network[shown]
    fields = (
        cells.positions[shown],
        value,
        *(f[shown] for f in (multiplicity, is_minimum, is_maximum, flat_dimension)),
    )
    return [
        CriticalPoints(*(field[network == member] for field in (*fields, is_on_border[shown])))
        for member in range(len(complexes))
    ]


def _tops(cells: Incidence, edges: np.ndarray, rise: np.ndarray, level: np.ndarray) -> Int[np.ndarray, " cells"]:
    """The level of the highest vertices of each cell of dimension 2 and more: of a corner from which no edge rises."""
    num_vertices, first = cells.starts[1], cells.starts[2]
    corners = cells.corners[cells.corners[:, 1] >= first]
    sides = cells.sides[cells.sides[:, 0] < first]
    edge = sides[:, 0] - num_vertices
    goes_up = rise[edge] != 0
    lower = np.where(rise > 0, edges[:, 0], edges[:, 1])[edge[goes_up]]
    below = sides[goes_up, 1] * num_vertices + lower
    is_top = ~np.isin(corners[:, 1] * num_vertices + corners[:, 0], below)
    found = np.zeros(cells.starts[-1] - first, np.int64)
    found[corners[is_top, 1] - first] = level[corners[is_top, 0]]
    return found


def _flat(cells: Incidence, rise: np.ndarray) -> Bool[np.ndarray, " cells"]:
    """On which cells the function is constant: on none of their edges it rises."""
    num_vertices, first = cells.starts[1], cells.starts[2]
    flat = np.ones(cells.starts[-1], bool)
    flat[num_vertices:first] = rise == 0
    sides = cells.sides[cells.sides[:, 0] < first]
    flat[sides[rise[sides[:, 0] - num_vertices] != 0, 1]] = False
    return flat


def _rank(faces: Int[np.ndarray, "faces 2"]) -> int:
    """The rank mod 2 of the matrix with ones in rows faces[:, 0] and columns faces[:, 1]."""
    columns: dict[int, set[int]] = {}
    for row, column in faces.tolist():
        columns.setdefault(column, set()).add(row)
    pivots: dict[int, set[int]] = {}
    for ones in columns.values():
        while ones and (last := max(ones)) in pivots:
            ones = ones ^ pivots[last]
        if ones:
            pivots[last] = ones
    return len(pivots)


def _values(
    complexes: Sequence[PlanarComplex] | Sequence[SpatialComplex], cells: Incidence, vertices: Int[np.ndarray, " some"]
) -> Float[np.ndarray, " some"]:
    """Of the output at vertices, by the map of a region beside each."""
    first = cells.starts[cells.dim]
    corners = cells.corners[cells.corners[:, 1] >= first]
    region = np.zeros(cells.starts[1], np.int64)
    region[corners[:, 0]] = corners[:, 1] - first
    gradient = np.concatenate([complex_.gradient[:, 0] for complex_ in complexes])
    intercept = np.concatenate([complex_.intercept[:, 0] for complex_ in complexes])
    beside = region[vertices]
    result: Float[np.ndarray, " some"] = (
        np.sum(gradient[beside] * cells.positions[vertices], axis=1) + intercept[beside]
    )
    return result
