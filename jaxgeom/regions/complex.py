"""[host] The planar complex that a network cuts a domain into: vertices, edges, faces and how they hang together.

Faces are the linear regions, convex polygons with one activation pattern each; edges are pieces of the (bent)
hyperplanes of single units or of the domain's boundary; all of them share their vertices. The complex is closed: inside
a domain without holes, vertices - edges + faces = 1. :func:`complex_of_cycles` builds one from faces that are given as
cycles of vertices, :func:`jaxgeom.enumerate_regions` from a network; :func:`jaxgeom.check_complex` certifies it.

Points are homogeneous, (x, y, w) with w >= 0: the finite point (x/w, y/w), or for w = 0 the point at infinity in
direction (x, y), which is how the unbounded faces of the whole plane end.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import PAIR
from jaxgeom.networks.layers import Layers

OUTSIDE = -1
"""Stands for the face beyond the boundary of the domain, and for the layer of edges on that boundary."""

ARTIFICIAL = -2
"""Stands for the layer of edges that part the faces of the start only; see :func:`without_artificial_edges`."""


@readable
class PlanarComplex(NamedTuple):
    """The linear regions of one network on a two-dimensional domain, all as NumPy arrays.

    They stand in one block of memory, which lives as long as any of them: copy what you keep of many complexes.
    """

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
    face_offsets: Int[np.ndarray, " offsets"]
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
    """Centre of mass; for unbounded faces some point inside. Not finite where vertices are so, lying beyond what
    float64 holds."""
    outputs: Float[np.ndarray, "vertices out"]
    """Values of the outputs at the vertices, zero exactly where they are zero; NaN at infinity."""
    degenerate: bool
    """Whether an exact zero was met: a unit that is zero at a vertex, as where three lines meet in one point."""
    complete: bool
    """False if ``max_regions`` stopped the enumeration after fewer layers than the network has."""
    layers: Layers | None = None
    """The network, with one kink a unit: of layers with hard tanh or maxout, what they were rewritten as."""

    @property
    def num_faces(self) -> int:
        """Number of faces, the linear regions."""
        return len(self.face_offsets) - 1


def side_by_side(complexes: Sequence[PlanarComplex]) -> PlanarComplex:
    """One or more complexes as one, whose faces are those of the first, then of the second and so on. It has no
    ``layers``, unless there is one complex only."""
    if len(complexes) == 1:
        return complexes[0]

    def moved(name: str, of: str) -> np.ndarray:
        """Numbers of vertices, edges or faces, after those of the complexes before."""
        lengths = [each.num_faces if of == "faces" else len(getattr(each, of)) for each in complexes]
        befores = np.cumsum([0, *lengths[:-1]])
        arrays = [getattr(each, name) for each in complexes]
        return np.concatenate([np.where(a == OUTSIDE, OUTSIDE, a + b) for a, b in zip(arrays, befores, strict=True)])

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(each, name) for each in complexes])

    corners = np.cumsum([0] + [len(each.face_vertices) for each in complexes])
    offsets = [each.face_offsets[:-1] + before for each, before in zip(complexes, corners, strict=False)]
    moves = {"edges": "vertices", "edge_faces": "faces", "face_vertices": "vertices", "face_edges": "edges"}
    names = ("vertices", "is_ideal", "edge_layer", "edge_unit", "patterns", "gradient", "intercept", "area", "centroid")
    arrays: dict[str, Any] = {name: joined(name) for name in (*names, "outputs")}
    arrays |= {name: moved(name, of) for name, of in moves.items()}
    return PlanarComplex(
        **arrays,
        face_offsets=np.concatenate([*offsets, corners[-1:]]),
        degenerate=any(each.degenerate for each in complexes),
        complete=all(each.complete for each in complexes),
    )


def check_is_planar(complex_: Any, what: str) -> None:
    """Raise a TypeError unless this is a complex of the plane."""
    if not isinstance(complex_, PlanarComplex):
        raise TypeError(
            f"{what} needs regions in the plane, a jaxgeom.PlanarComplex, but {type(complex_).__name__} was given. "
            "enumerate_regions gives one for networks with two inputs, and for slices of others (jaxgeom.on_plane)."
        )


def complex_of_cycles(
    points: Float[np.ndarray, "vertices 3"],
    face_offsets: Int[np.ndarray, " offsets"],
    face_vertices: Int[np.ndarray, " corners"],
    corner_labels: Int[np.ndarray, "corners 2"],
    patterns: Bool[np.ndarray, "faces units"],
    gradient: Float[np.ndarray, "faces out 2"],
    intercept: Float[np.ndarray, "faces out"],
    *,
    degenerate: bool,
    complete: bool,
) -> PlanarComplex:
    """A complex made from its faces, with the edges that they share, their areas and centroids.

    Args:
        points: homogeneous vertices (x, y, w), w >= 0.
        face_offsets: where the cycle of each face begins; the last entry is their length.
        face_vertices: the vertices of each face, counter-clockwise; every face has some.
        corner_labels: layer and unit that made the edge from each of them to the next.
        patterns: which hidden units are active on each face.
        gradient: of the affine map on each face.
        intercept: of the affine map on each face.
        degenerate: whether an exact zero was met.
        complete: whether all layers have cut; otherwise maps are NaN.

    Raises:
        RuntimeError: if the faces do not fit together: an edge has more than two of them, or two on the same side or
            with different labels.
    """
    ends = np.stack([face_vertices, face_vertices[next_corners(face_offsets)]], axis=1)
    keys = ends.min(axis=1).astype(np.int64) * len(points) + ends.max(axis=1)
    face_edges, edges, edge_faces, edge_layer, edge_unit = _paired(keys, ends, corner_labels, face_offsets)
    is_ideal = points[:, 2] == 0
    with np.errstate(over="ignore"):
        size = np.where(is_ideal, np.hypot(points[:, 0], points[:, 1]), points[:, 2])
        vertices = points[:, :2] / size[:, None]
    area, centroid = _areas_and_centroids(vertices, face_offsets, face_vertices)
    unbounded, inner = unbounded_faces(vertices, is_ideal, face_offsets, face_vertices)
    area[unbounded], centroid[unbounded] = np.inf, inner
    face = np.zeros(len(points), np.int64)
    face[face_vertices] = faces_of_corners(face_offsets)
    with np.errstate(all="ignore"):
        outputs = np.einsum("voi,vi->vo", gradient[face], vertices) + intercept[face]
    outputs[is_ideal] = np.nan
    return PlanarComplex(
        vertices,
        is_ideal,
        edges,
        edge_faces,
        edge_layer,
        edge_unit,
        face_offsets,
        face_vertices,
        face_edges,
        patterns,
        gradient,
        intercept,
        area,
        centroid,
        outputs,
        degenerate,
        complete,
    )


def _areas_and_centroids(
    vertices: Float[np.ndarray, "vertices 2"],
    face_offsets: Int[np.ndarray, " offsets"],
    face_vertices: Int[np.ndarray, " corners"],
) -> tuple[Float[np.ndarray, " faces"], Float[np.ndarray, "faces 2"]]:
    """From the triangles of a fan around the first vertex of each face; faces without area keep the mean of their
    vertices."""
    starts, lengths = face_offsets[:-1], np.diff(face_offsets)
    with np.errstate(all="ignore"):
        first = vertices[face_vertices[starts]]
        spoke = vertices[face_vertices] - np.repeat(first, lengths, axis=0)
        following = spoke[next_corners(face_offsets)]
        triangle = spoke[:, 0] * following[:, 1] - spoke[:, 1] * following[:, 0]
        twice = np.add.reduceat(triangle, starts)
        weight = triangle / np.repeat(3 * twice, lengths)
        offset = np.add.reduceat(weight[:, None] * (spoke + following), starts)
        odd = ~(np.isfinite(twice) & (twice > 0))
        offset[odd] = (np.add.reduceat(spoke, starts) / lengths[:, None])[odd]
        return twice / 2, first + offset


@np.errstate(over="ignore", invalid="ignore")  # vertices may lie beyond what float64 holds, at inf
def unbounded_faces(
    vertices: Float[np.ndarray, "vertices 2"],
    is_ideal: Bool[np.ndarray, " vertices"],
    face_offsets: Int[np.ndarray, " offsets"],
    face_vertices: Int[np.ndarray, " corners"],
) -> tuple[Bool[np.ndarray, " faces"], Float[np.ndarray, "unbounded 2"]]:
    """Which faces have vertices at infinity, and a point inside each of these: the mean of its finite vertices, and
    from there a step of their size into each of its directions at infinity."""
    starts = face_offsets[:-1]
    position, at_infinity = vertices[face_vertices], is_ideal[face_vertices]
    unbounded = np.logical_or.reduceat(at_infinity, starts)
    finite = np.where(at_infinity[:, None], 0.0, position)
    mean = np.add.reduceat(finite, starts) / np.maximum(np.add.reduceat(~at_infinity, starts, dtype=int), 1)[:, None]
    size = np.maximum.reduceat(np.abs(finite).max(axis=1), starts)
    step = np.where(size > 0, size, 1.0)[:, None]
    inner = mean + step * np.add.reduceat(np.where(at_infinity[:, None], position, 0.0), starts)
    return unbounded, inner[unbounded]


def certify(holds: bool | np.bool_, otherwise: str) -> None:
    """Raise a RuntimeError that says what is wrong with a complex, unless it holds."""
    if not holds:
        raise RuntimeError(f"the complex is inconsistent: {otherwise}. Please report the network and the domain.")


def next_corners(face_offsets: np.ndarray) -> np.ndarray:
    """For each corner, the next one of its face."""
    following = np.arange(1, face_offsets[-1] + 1)
    following[face_offsets[1:] - 1] = face_offsets[:-1]
    return following


def faces_of_corners(face_offsets: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(face_offsets) - 1), np.diff(face_offsets))


def _paired(
    keys: np.ndarray, ends: np.ndarray, labels: np.ndarray, face_offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The edge of each corner, then vertices, faces, layer and unit of each edge. Corners of one edge have one key."""
    _, first, edge, num = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    certify(num.max() <= PAIR, "an edge has more than two faces")
    is_second = np.ones(len(keys), bool)
    is_second[first] = False
    second = np.flatnonzero(is_second)
    twin = first[edge[second]]
    certify((ends[second] == ends[twin, ::-1]).all(), "two faces run along an edge in the same direction")
    certify((labels[second] == labels[twin]).all(), "an edge has a label on each side")
    face = faces_of_corners(face_offsets)
    right = np.full(len(first), OUTSIDE)
    right[edge[second]] = face[second]
    return edge, ends[first], np.stack([face[first], right], axis=1), labels[first, 0], labels[first, 1]


def without_artificial_edges(complex_: PlanarComplex) -> PlanarComplex:
    """The complex without the edges that part the faces of the start only: for the whole plane.

    The faces on both sides of such an edge become one, with the map of the first. Vertices go that nothing is left at,
    or that are left in the middle of a straight edge. A line that meets no other one keeps a vertex, since its ends
    at infinity do not tell where it is: the point of it that is nearest to the origin.

    Raises:
        RuntimeError: if such an edge has different activation patterns on its sides, or none on one.
    """
    is_artificial = complex_.edge_layer == ARTIFICIAL
    if not is_artificial.any():
        return complex_
    pairs = complex_.edge_faces[is_artificial]
    certify((pairs != OUTSIDE).all(), "an artificial edge has one face")
    certify(
        (complex_.patterns[pairs[:, 0]] == complex_.patterns[pairs[:, 1]]).all(), "an artificial edge is a real one"
    )
    group = connected(complex_.num_faces, pairs)
    vertices, stays, chain = _straightened(complex_, is_artificial)
    faces, face_of_group = np.unique(group, return_inverse=True)
    face = face_of_group[faces_of_corners(complex_.face_offsets)]
    corners = _merged_cycles(complex_, is_artificial, stays, face)
    face_offsets = np.searchsorted(face[corners], np.arange(len(faces) + 1))
    used, face_vertices = np.unique(complex_.face_vertices[corners], return_inverse=True)
    ends = np.stack([face_vertices, face_vertices[next_corners(face_offsets)]], axis=1)
    old_edges = complex_.face_edges[corners]
    face_edges, edges, edge_faces, edge_layer, edge_unit = _paired(
        chain[old_edges], ends, _labels(complex_)[old_edges], face_offsets
    )
    area, centroid = _merged_areas(complex_.area, complex_.centroid, group)
    return PlanarComplex(
        vertices[used],
        complex_.is_ideal[used],
        edges,
        edge_faces,
        edge_layer,
        edge_unit,
        face_offsets,
        face_vertices,
        face_edges,
        complex_.patterns[faces],
        complex_.gradient[faces],
        complex_.intercept[faces],
        area[faces],
        centroid[faces],
        complex_.outputs[used],
        complex_.degenerate,
        complex_.complete,
        complex_.layers,
    )


def _labels(complex_: PlanarComplex) -> np.ndarray:
    return np.stack([complex_.edge_layer, complex_.edge_unit], axis=1)


def connected(num: int, pairs: np.ndarray) -> np.ndarray:
    """For each of ``num`` things, the first of those that it is connected with through the pairs."""
    _, label = numbered_components(num, pairs)
    result: np.ndarray = np.unique(label, return_index=True)[1][label]
    return result


def numbered_components(num: int, pairs: np.ndarray) -> tuple[int, np.ndarray]:
    """How many components ``num`` things have through the pairs, and the number of that of each."""
    from scipy.sparse import coo_array  # importing scipy.sparse takes longer than all of jaxgeom
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(num, num))
    count, label = connected_components(links, directed=False)
    return int(count), label


@np.errstate(over="ignore", invalid="ignore")
def _straightened(complex_: PlanarComplex, is_artificial: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions of the vertices; which of them stay; for each edge, the first of those that it then is one with."""
    kept = np.flatnonzero(~is_artificial)
    ends = complex_.edges[kept].ravel()
    degree = np.bincount(ends, minlength=len(complex_.vertices))
    around = kept[np.argsort(ends, kind="stable") // 2]  # the edges at each vertex, one vertex after the other
    middle = np.flatnonzero(degree == PAIR)
    place = np.cumsum(degree)[middle]
    pairs = np.stack([around[place - 2], around[place - 1]], axis=1)
    label = _labels(complex_)[pairs]
    is_straight = (label[:, 0] == label[:, 1]).all(axis=1)
    middle, pairs = middle[is_straight], pairs[is_straight]
    stays = degree > 0
    stays[middle] = False
    chain = connected(len(complex_.edges), pairs)
    # of chains from one point at infinity to another, the first vertex stays
    is_ideal = complex_.is_ideal[complex_.edges]
    num_ideal = np.bincount(chain, is_ideal.sum(axis=1), minlength=len(chain))
    found, first = np.unique(chain[pairs[:, 0]], return_index=True)
    found, first = found[num_ideal[found] == PAIR], first[num_ideal[found] == PAIR]
    kept_vertices, vertices = middle[first], complex_.vertices.copy()
    outgoing = np.flatnonzero(is_ideal[:, 0] ^ is_ideal[:, 1])
    towards = np.zeros(len(chain), int)
    towards[chain[outgoing]] = np.where(is_ideal[outgoing, 0], *complex_.edges[outgoing].T)
    direction = vertices[towards[found]]
    vertices[kept_vertices] -= direction * np.sum(direction * vertices[kept_vertices], axis=1, keepdims=True)
    stays[kept_vertices] = True
    return vertices, stays, connected(len(complex_.edges), np.delete(pairs, first, axis=0))


def _merged_cycles(
    complex_: PlanarComplex, is_artificial: np.ndarray, stays: np.ndarray, face: np.ndarray
) -> np.ndarray:
    """The corners that are left, new face by new face, each face's in their order around it."""
    artificial = is_artificial[complex_.face_edges]
    crossing = np.flatnonzero(artificial)
    crossing = crossing[np.argsort(complex_.face_edges[crossing], kind="stable")]
    twin = np.full(len(face), -1)
    twin[crossing[::2]], twin[crossing[1::2]] = crossing[1::2], crossing[::2]
    # onwards from each corner across artificial edges, then past vertices that go
    along = next_corners(complex_.face_offsets)
    real = np.flatnonzero(~artificial)
    following = along.copy()
    while len(turning := real[artificial[following[real]]]):
        following[turning] = along[twin[following[turning]]]
    goes = ~stays[complex_.face_vertices]
    while len(skipping := real[goes[following[real]]]):
        following[skipping] = following[following[skipping]]
    left = real[~goes[real]]
    rank = np.arange(len(face))
    is_merged = np.isin(face, face[artificial])
    merged = left[is_merged[left]]
    num_seen = 0
    for start in merged[np.unique(face[merged], return_index=True)[1]].tolist():
        corner = start
        while num_seen < len(merged):
            rank[corner] = num_seen
            num_seen += 1
            corner = int(following[corner])
            if corner == start:
                break
    certify(num_seen == len(merged), "a face has a hole")
    result: np.ndarray = left[np.lexsort((rank[left], face[left]))]
    return result


@np.errstate(over="ignore", invalid="ignore")
def _merged_areas(area: np.ndarray, centroid: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas and centroids of groups of faces, at the number of each group."""
    num = len(group)
    total = np.bincount(group, area, minlength=num)[group]
    weighs = np.isfinite(total) & (total > 0)
    weights = np.where(weighs, area, 1.0) / np.where(weighs, total, np.bincount(group, minlength=num)[group])
    parts = weights[:, None] * (centroid - centroid[group])
    offset = np.stack([np.bincount(group, part, minlength=num) for part in parts.T], axis=1)
    return np.bincount(group, area, minlength=num), centroid + offset
