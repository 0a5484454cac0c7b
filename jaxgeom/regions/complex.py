"""[host] The planar complex that a network cuts a domain into: vertices, edges, faces and how they hang together.

Faces are the linear regions, convex polygons with one activation pattern each; edges are pieces of the (bent)
hyperplanes of single units or of the domain's boundary; all of them share their vertices. The complex is closed: inside
a domain without holes, vertices - edges + faces = 1. :func:`complex_of_cycles` builds one from faces that are given as
cycles of vertices, :func:`jaxgeom.enumerate_regions` from a network.

Points are homogeneous, (x, y, w) with w >= 0: the finite point (x/w, y/w), or for w = 0 the point at infinity in
direction (x, y), which is how the unbounded faces of the whole plane end.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

OUTSIDE = -1
"""Stands for the face beyond the boundary of the domain, and for the layer of edges on that boundary."""


class PlanarComplex(NamedTuple):
    """The linear regions of one network on a two-dimensional domain, all as NumPy arrays."""

    vertices: Float[np.ndarray, "vertices 2"]
    """Positions; of vertices at infinity, their directions (of length 1)."""
    is_ideal: Bool[np.ndarray, " vertices"]
    """Which vertices lie at infinity. There are none unless the domain is the whole plane."""
    edges: Int[np.ndarray, "edges 2"]
    """The two vertices of each edge."""
    edge_faces: Int[np.ndarray, "edges 2"]
    """The faces to the left and to the right of each edge, seen from its first vertex; -1 outside of the domain."""
    edge_layer: Int[np.ndarray, " edges"]
    """Which hidden layer made the edge, counted from 0; -1 for the domain's boundary."""
    edge_unit: Int[np.ndarray, " edges"]
    """Which unit of that layer made it; on the domain's boundary, which side of the domain it is."""
    face_offsets: Int[np.ndarray, " faces+1"]
    """Where the cycle of each face begins in ``face_vertices`` and ``face_edges``; the last entry is their length."""
    face_vertices: Int[np.ndarray, " corners"]
    """The vertices of each face, counter-clockwise."""
    face_edges: Int[np.ndarray, " corners"]
    """The edge from each of them to the next."""
    patterns: Bool[np.ndarray, "faces units"]
    """Which hidden units are active on each face, first layer first."""
    gradient: Float[np.ndarray, "faces out 2"]
    """Gradient of the outputs on each face."""
    intercept: Float[np.ndarray, "faces out"]
    """And intercept: the outputs are ``gradient @ x + intercept``."""
    area: Float[np.ndarray, " faces"]
    """Area, in squared units of the input; infinite for unbounded faces."""
    centroid: Float[np.ndarray, "faces 2"]
    """Centre of mass; for unbounded faces some point inside."""
    degenerate: bool
    """Whether float64 met ties (several lines in one point, say) and integer arithmetic decided them."""
    complete: bool
    """False if ``max_regions`` stopped the enumeration after fewer layers than the network has."""

    @property
    def num_faces(self) -> int:
        """Number of faces, the linear regions."""
        return len(self.face_offsets) - 1
