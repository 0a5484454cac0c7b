"""[host] The complex that a network cuts a box of any dimension into: vertices, edges, facets, cells.

Cells are the linear regions, convex polytopes with one activation pattern each; facets are pieces of the (bent)
hyperplanes of single units or of the sides of the box. :func:`jaxgeom.enumerate_regions` makes one,
:func:`jaxgeom.check_complex` certifies it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from jaxgeom._reprs import readable
from jaxgeom.engine.spaces import Spaces
from jaxgeom.networks.layers import Layers


@readable
class SpatialComplex(NamedTuple):
    """The linear regions of one network on a box in any dimension but two, and their faces, all as NumPy arrays."""

    vertices: Float[np.ndarray, "vertices dim"]
    """Positions."""
    signs: Int8[np.ndarray, "vertices units"]
    """Signs of the pre-activations of all hidden units at the vertices, first layer first: -1, 0 or 1, exact. Zero for
    units of slope 1, which have no kink."""
    is_on_side: Bool[np.ndarray, "vertices sides"]
    """Which sides of the box each vertex lies on; 2i is the lower end of coordinate i, 2i + 1 its upper end."""
    edges: Int[np.ndarray, "edges 2"]
    """The two vertices of each edge."""
    facet_offsets: Int[np.ndarray, " facets+1"]
    """Where the vertices of each facet begin in ``facet_vertices``; the last entry is their length."""
    facet_vertices: Int[np.ndarray, " corners"]
    """The vertices of each facet (face of dimension dim - 1). In three dimensions they go around it, counter-clockwise
    as seen from outside of its first cell; in others they ascend."""
    facet_cells: Int[np.ndarray, "facets 2"]
    """The cells on both sides of each facet: first the one where the unit that made it is active. On the boundary of
    the box, the one cell and -1."""
    facet_layer: Int[np.ndarray, " facets"]
    """Which hidden layer made the facet, counted from 0; -1 on the boundary of the box."""
    facet_unit: Int[np.ndarray, " facets"]
    """Which unit of that layer made it, the first if several share it; on the boundary, which side of the box it is."""
    cell_offsets: Int[np.ndarray, " cells+1"]
    """Where the vertices of each cell begin in ``cell_vertices``; the last entry is their length."""
    cell_vertices: Int[np.ndarray, " corners"]
    """The vertices of each cell, in ascending order."""
    patterns: Bool[np.ndarray, "cells units"]
    """Which hidden units are active on each cell, first layer first. False for units of slope 1."""
    gradient: Float[np.ndarray, "cells out dim"]
    """Gradient of the outputs on each cell."""
    intercept: Float[np.ndarray, "cells out"]
    """And intercept: the outputs are ``gradient @ x + intercept``."""
    volume: Float[np.ndarray, " cells"]
    """Volume, in units of the input to the power dim; right to about 1e-14 of the box's."""
    centroid: Float[np.ndarray, "cells dim"]
    """Centre of mass."""
    num_faces: tuple[int, ...]
    """Numbers of faces of dimension 0 (vertices) to dim (cells), the f-vector. Σ (-1)^k num_faces[k] = 1."""
    degenerate: bool
    """Whether an exact zero was met: a unit that is zero at a vertex that others make."""
    complete: bool
    """False if ``max_regions`` stopped the enumeration after fewer layers than the network has."""
    layers: Layers | None = None
    """The network, with one kink a unit: of layers with hard tanh or maxout, what they were rewritten as."""

    @property
    def num_cells(self) -> int:
        """Number of cells, the linear regions."""
        return len(self.patterns)


def space_of(found: Spaces, layers: Layers) -> SpatialComplex:
    """The engine's arrays as a complex."""
    return SpatialComplex(
        found.vertices,
        found.signs,
        found.sides.view(bool),
        found.edges,
        found.facet_offsets,
        found.facet_vertices,
        found.facet_cells,
        found.facet_labels[:, 0],
        found.facet_labels[:, 1],
        found.cell_offsets,
        found.cell_vertices,
        found.patterns.view(bool),
        found.maps[..., :-1],
        found.maps[..., -1],
        found.volume,
        found.centroid,
        tuple(map(int, found.num_faces)),
        found.degenerate,
        True,
        layers,
    )
