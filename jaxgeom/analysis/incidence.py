"""[host] Complexes of many networks as one list of open cells of all dimensions, and which lie in the border of which.

What is asked of the cells (classes, components, Euler characteristics, critical points) is then asked of all networks
at once, in the plane as in space.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, connected, faces_of_corners, next_corners
from jaxgeom.regions.space import SpatialComplex


class Incidence(NamedTuple):
    """The open cells of complexes: first all vertices, then all edges, in space all facets, at last the regions."""

    starts: Int[np.ndarray, " dim+2"]
    """Where the cells of each dimension begin; the last entry is their number."""
    network: Int[np.ndarray, " cells"]
    """Which of the complexes each cell belongs to."""
    corners: Int[np.ndarray, "corners 2"]
    """Each pair of a vertex and a cell of higher dimension that has it, in the order of the cells."""
    sides: Int[np.ndarray, "sides 2"]
    """Each pair of an edge or facet and a cell of higher dimension that has it. None are vertices."""
    walls: Int[np.ndarray, "walls 2"]
    """The regions on both sides of each cell of dimension dim - 1, as cells; -1 outside of the domain."""
    is_on_border: Bool[np.ndarray, " cells"]
    """Which cells lie on the border of the domain."""
    positions: Float[np.ndarray, "vertices dim"]
    """Of the vertices."""

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return len(self.starts) - 2

    @property
    def dimension(self) -> Int[np.ndarray, " cells"]:
        """Of each cell."""
        return np.repeat(np.arange(self.dim + 1), np.diff(self.starts))

    def of_dimension(self, dimension: int) -> slice:
        """The cells of one dimension."""
        return slice(self.starts[dimension], self.starts[dimension + 1])

    def extremes(self, values: Any) -> tuple[np.ndarray, np.ndarray]:
        """The smallest and the largest of values at vertices among the corners of each cell."""
        cell = self.corners[:, 1]
        begin = np.flatnonzero(np.append(True, cell[1:] != cell[:-1])[: len(cell)])
        around = values[self.corners[:, 0]]
        return (
            np.concatenate([values, np.minimum.reduceat(around, begin)]),
            np.concatenate([values, np.maximum.reduceat(around, begin)]),
        )


def incidence(complexes: Sequence[PlanarComplex] | Sequence[SpatialComplex]) -> Incidence:
    """The cells of complexes of one dimension, 2 or 3, at least one of them. Those in the plane are bounded."""
    dim = complexes[0].vertices.shape[1]
    parts = [_planar(c) if isinstance(c, PlanarComplex) else _spatial(c) for c in complexes]
    sizes = np.array([part[0] for part in parts])
    starts = np.append(0, np.cumsum(sizes.sum(axis=0)))
    # where the cells of one network and one dimension begin, there and here
    before = np.concatenate([np.zeros((len(parts), 1), int), np.cumsum(sizes, axis=1)[:, :-1]], axis=1)
    moves = starts[:-1] + np.cumsum(sizes, axis=0) - sizes - before

    def moved(cells: list[np.ndarray], low: int, high: int) -> np.ndarray:
        """Pairs of cells of two dimensions, one array for each network."""
        lengths = [len(pairs) for pairs in cells]
        result: np.ndarray = np.concatenate(cells) + np.repeat(moves[:, [low, high]], lengths, axis=0)
        return result

    corners = [moved([part[1][k - 1] for part in parts], 0, k) for k in range(1, dim + 1)]
    sides = [moved([part[2][j] for part in parts], *levels) for j, levels in enumerate(_levels(dim))]
    walls = [part[3] for part in parts]
    outside = np.concatenate(walls) == OUTSIDE
    walls_here = np.where(outside, OUTSIDE, moved(walls, dim, dim))
    on_border = [
        np.concatenate([part[4][k] for part in parts]) if k < dim else np.zeros(sizes[:, dim].sum(), bool)
        for k in range(dim + 1)
    ]
    return Incidence(
        starts,
        np.concatenate([np.repeat(np.arange(len(parts)), sizes[:, k]) for k in range(dim + 1)]),
        np.concatenate(corners),
        np.concatenate(sides),
        walls_here,
        np.concatenate(on_border),
        np.concatenate([complex_.vertices for complex_ in complexes]),
    )


def _levels(dim: int) -> list[tuple[int, int]]:
    """The dimensions of what :attr:`Incidence.sides` pairs."""
    return [(low, high) for high in range(2, dim + 1) for low in range(1, high)]


def _planar(complex_: PlanarComplex) -> tuple[Any, ...]:
    """Numbers of cells; their corners by dimension; their sides; walls; who is on the border. Cells are numbered as in
    :class:`Incidence`."""
    num_vertices, num_edges, num_faces = len(complex_.vertices), len(complex_.edges), complex_.num_faces
    first_edge, first_face = num_vertices, num_vertices + num_edges
    face = first_face + faces_of_corners(complex_.face_offsets)
    at_edges = np.stack([complex_.edges.ravel(), first_edge + np.repeat(np.arange(num_edges), 2)], axis=1)
    at_faces = np.stack([complex_.face_vertices, face], axis=1)
    sides = np.stack([first_edge + complex_.face_edges, face], axis=1)
    walls = np.where(complex_.edge_faces == OUTSIDE, OUTSIDE, first_face + complex_.edge_faces)
    is_outer = (walls == OUTSIDE).any(axis=1)
    is_border = np.zeros(num_vertices, bool)
    is_border[complex_.edges[is_outer]] = True
    return [num_vertices, num_edges, num_faces], [at_edges, at_faces], [sides], walls, [is_border, is_outer]


def _spatial(complex_: SpatialComplex) -> tuple[Any, ...]:
    """As of :func:`_planar`."""
    num_vertices, num_edges, num_facets, num_cells = complex_.num_faces
    first_edge, first_facet = num_vertices, num_vertices + num_edges
    first_cell = first_facet + num_facets
    facet = np.repeat(np.arange(num_facets), np.diff(complex_.facet_offsets))
    at_edges = np.stack([complex_.edges.ravel(), first_edge + np.repeat(np.arange(num_edges), 2)], axis=1)
    at_facets = np.stack([complex_.facet_vertices, first_facet + facet], axis=1)
    cell = np.repeat(np.arange(num_cells), np.diff(complex_.cell_offsets))
    at_cells = np.stack([complex_.cell_vertices, first_cell + cell], axis=1)
    # the edges around each facet
    ends = np.sort([complex_.facet_vertices, complex_.facet_vertices[next_corners(complex_.facet_offsets)]], axis=0)
    known = np.sort(complex_.edges, axis=1) @ [num_vertices, 1]
    order = np.argsort(known)
    edge = order[np.searchsorted(known, ends[0] * num_vertices + ends[1], sorter=order)]
    of_facets = np.stack([first_edge + edge, first_facet + facet], axis=1)
    is_inner = complex_.facet_cells[:, 1] != OUTSIDE
    beside = np.concatenate([complex_.facet_cells[:, 0], complex_.facet_cells[is_inner, 1]])
    facets = np.concatenate([np.arange(num_facets), np.flatnonzero(is_inner)])
    facets_of_cells = np.stack([first_facet + facets, first_cell + beside], axis=1)
    both = complex_.facet_cells[facet]
    pairs = np.concatenate([np.stack([edge, both[:, i]], axis=1) for i in (0, 1)])
    pairs = pairs[pairs[:, 1] != OUTSIDE]
    keys = np.unique(pairs @ [num_cells, 1])
    edges_of_cells = np.stack([first_edge + keys // num_cells, first_cell + keys % num_cells], axis=1)
    walls = np.where(complex_.facet_cells == OUTSIDE, OUTSIDE, first_cell + complex_.facet_cells)
    is_border = np.zeros(num_vertices, bool), np.zeros(num_edges, bool)
    outer = ~is_inner[facet]
    is_border[0][complex_.facet_vertices[outer]] = True
    is_border[1][edge[outer]] = True
    return (
        list(complex_.num_faces),
        [at_edges, at_facets, at_cells],
        [of_facets, edges_of_cells, facets_of_cells],
        walls,
        [*is_border, ~is_inner],
    )


def characteristics(cells: Incidence, label: Int[np.ndarray, " cells"]) -> Int[np.ndarray, " cells"]:
    """What each cell adds to the Euler characteristic of the union of all cells with its label.

    A union of open cells has the homotopy type of the simplicial complex of chains of its cells, each in the border of
    the next. With a cell added, a cone is put on the chains below it: 1 minus their characteristic is added.
    """
    faces = np.concatenate([cells.corners, cells.sides])
    faces = faces[label[faces[:, 0]] == label[faces[:, 1]]]
    dimension = cells.dimension
    added = np.ones(len(label), np.int64)
    for k in range(1, cells.dim + 1):
        below = faces[dimension[faces[:, 1]] == k]
        sums = np.bincount(below[:, 1], added[below[:, 0]], minlength=len(label))
        own = cells.of_dimension(k)
        added[own] -= np.rint(sums[own]).astype(np.int64)
    return added


def components(cells: Incidence, label: Int[np.ndarray, " cells"]) -> Int[np.ndarray, " cells"]:
    """For each cell, one that stands for its component of the union of cells with its label. Labels below 0 are no
    union: their cells stand for themselves."""
    faces = np.concatenate([cells.corners, cells.sides])
    is_one = (label[faces[:, 0]] == label[faces[:, 1]]) & (label[faces[:, 0]] >= 0)
    return connected(len(label), faces[is_one])
