"""[host] The faces of a box that hyperplanes cut, of every dimension, and how they hang together.

A box in R^d has vertices, edges, …, facets (faces of dimension d - 1) and one cell. :func:`cut` divides it by one more
hyperplane, which may be bent as long as it is flat on each cell, given only the side (-1, 0, 1) of every vertex: an
edge with ends on strictly opposite sides gets a new vertex; a face with vertices on both sides falls in two and gets
a section, a face of one dimension less, whose own boundary are the sections of the face's boundary. So cells are
found by subdividing edges (Berzins 2023, arXiv:2306.07212), and the faces between say which new vertices to join, as
in the incremental construction of arrangements (Edelsbrunner, O'Rourke & Seidel 1986). Nothing here is a matter of
precision: with true sides, hyperplanes may be parallel, equal, pass through vertices, or many of them through one
point.

Faces are numbered from 0 within each dimension. The faces "around" a k-face are those of dimension k - 1 that make up
its boundary, kept as a list of pairs.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int8


class Lattice(NamedTuple):
    """Faces of dimension 0, …, d of a box that is cut into convex cells."""

    num_faces: tuple[int, ...]
    """For each dimension, the number of faces."""
    ends: Int[np.ndarray, "edges 2"]
    """The two vertices of each edge."""
    faces: tuple[Int[np.ndarray, "_"], ...]
    """For each dimension k from 2, the k-faces, each as often as it has faces of dimension k - 1 around it."""
    around: tuple[Int[np.ndarray, "_"], ...]
    """And those faces of dimension k - 1."""


class Cut(NamedTuple):
    """What one hyperplane does to a lattice.

    A face that is split keeps its number for the part on the positive side. The new faces of dimension k follow the
    old ones: first the parts on the negative side of ``split[k]``, then the sections of ``split[k + 1]``, in order.
    """

    lattice: Lattice
    """The lattice after the cut."""
    split: tuple[Int[np.ndarray, "_"], ...]
    """For each dimension, which faces are split, in ascending order. No vertex is."""
    is_positive: Bool[np.ndarray, " cells"]
    """For each cell after the cut, whether it is on the positive side."""


def box_lattice(dim: int) -> tuple[Lattice, Bool[np.ndarray, "vertices dim"], Int[np.ndarray, " facets"]]:
    """The box itself.

    Returns:
        The lattice; for each vertex and coordinate, whether the vertex is at the upper end; for each facet, the side
        of the box that it is: 2i for the lower end of coordinate i, 2i + 1 for its upper end. A box in R^1 has no
        edges around its facets, which are its vertices.
    """
    # A face says for each coordinate whether it is at the lower end (0), at the upper end (1), or in between (2).
    every = list(itertools.product(range(3), repeat=dim))
    by_dim = [[face for face in every if face.count(2) == k] for k in range(dim + 1)]
    number = {face: index for faces in by_dim for index, face in enumerate(faces)}
    pairs = [
        np.array([(number[face], number[around]) for face in faces for around in _facets_of(face)], np.int64)
        for faces in by_dim[1:]
    ]
    lattice = Lattice(
        tuple(map(len, by_dim)),
        pairs[0][:, 1].reshape(-1, 2),
        tuple(pair[:, 0] for pair in pairs[1:]),
        tuple(pair[:, 1] for pair in pairs[1:]),
    )
    sides = [next(2 * axis + end for axis, end in enumerate(face) if end < 2) for face in by_dim[-2]]
    return lattice, np.array(by_dim[0], bool), np.array(sides)


def _facets_of(face: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [(*face[:i], end, *face[i + 1 :]) for i, at in enumerate(face) if at == 2 for end in (0, 1)]


def pairs_of(lattice: Lattice, k: int) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """All pairs of a k-face and a (k-1)-face around it, k ≥ 1."""
    if k == 1:
        return np.repeat(np.arange(len(lattice.ends)), 2), lattice.ends.reshape(-1)
    return lattice.faces[k - 2], lattice.around[k - 2]


def cut(lattice: Lattice, side: Int8[np.ndarray, " vertices"]) -> Cut:
    """Divide the lattice by one hyperplane.

    Args:
        lattice: the faces so far.
        side: for each vertex, -1, 0 or 1. It must be the true side.

    Raises:
        RuntimeError: if these cannot be the sides of a hyperplane, as far as that shows.
    """
    num = lattice.num_faces
    dim = len(num) - 1
    pairs = [(np.zeros(0, int), np.zeros(0, int)), *(pairs_of(lattice, k) for k in range(1, dim + 1))]
    above, below = [side > 0], [side < 0]  # for each dimension, which faces have vertices on that side
    for k in range(1, dim + 1):
        face, around = pairs[k]
        for has in (above, below):
            of_face = np.zeros(num[k], bool)
            of_face[face[has[k - 1][around]]] = True
            has.append(of_face)
    is_split = [a & b for a, b in zip(above, below, strict=True)]
    split = tuple(np.flatnonzero(which) for which in is_split)
    if not len(split[dim]):
        return Cut(lattice, split, above[dim])
    counts = [*map(len, split), 0]
    # Numbers of the negative part and of the section of each face that is split
    part, section = [np.full(n, -1) for n in num], [np.full(n, -1) for n in num]
    for k in range(1, dim + 1):
        part[k][split[k]] = num[k] + np.arange(counts[k])
        section[k][split[k]] = num[k - 1] + counts[k - 1] + np.arange(counts[k])
    touched = _faces_inside(lattice, above, below) if np.any(side == 0) else None
    ends = _split_edges(lattice.ends, below[0], split[1], section[1])
    if dim > 1:
        edges, vertices = _around_sections(pairs[2], is_split, section, touched, 1)
        order = np.argsort(edges, kind="stable")
        if not np.array_equal(edges[order], np.repeat(section[2][split[2]], 2)):
            raise RuntimeError("a unit does not vanish in two points of a polygon's boundary: its signs must be wrong.")
        ends = np.concatenate([ends, vertices[order].reshape(-1, 2)])
    all_faces, all_around = [], []
    for k in range(2, dim + 1):
        face, around = pairs[k]
        is_moved = is_split[k][face] & ~above[k - 1][around]
        is_double = is_split[k - 1][around]
        new = split[k]
        faces = [np.where(is_moved, part[k][face], face), part[k][face[is_double]], new, part[k][new]]
        arounds = [around, part[k - 1][around[is_double]], section[k][new], section[k][new]]
        if k < dim:
            of_sections, around_sections = _around_sections(pairs[k + 1], is_split, section, touched, k)
            faces.append(of_sections)
            arounds.append(around_sections)
        all_faces.append(np.concatenate(faces))
        all_around.append(np.concatenate(arounds))
    num_after = tuple(n + counts[k] + counts[k + 1] for k, n in enumerate(num))
    is_positive = np.concatenate([above[dim], np.zeros(counts[dim], bool)])
    return Cut(Lattice(num_after, ends, tuple(all_faces), tuple(all_around)), split, is_positive)


def _split_edges(
    ends: Int[np.ndarray, "edges 2"],
    is_below: Bool[np.ndarray, " vertices"],
    split: Int[np.ndarray, " split"],
    middle: Int[np.ndarray, " edges"],
) -> Int[np.ndarray, "parts 2"]:
    """Ends of the edges after their split: the positive parts in place, the negative ones behind."""
    old, new = ends[split], middle[split][:, None]
    after = np.concatenate([ends, np.where(is_below[old], old, new)])
    after[split] = np.where(is_below[old], new, old)
    return after


def _faces_inside(
    lattice: Lattice, above: list[Bool[np.ndarray, "_"]], below: list[Bool[np.ndarray, "_"]]
) -> list[Int[np.ndarray, "_"]]:
    """For each face, the one around it that lies inside the hyperplane, or -1; at most one if the face does not."""
    found = [np.full(lattice.num_faces[0], -1)]
    for k in range(1, len(lattice.num_faces)):
        face, around = pairs_of(lattice, k)
        is_inside = ~(above[k - 1] | below[k - 1])[around]
        found.append(np.full(lattice.num_faces[k], -1))
        found[k][face[is_inside]] = around[is_inside]
    return found


def _around_sections(
    pairs: tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]],
    is_split: list[Bool[np.ndarray, "_"]],
    section: list[Int[np.ndarray, "_"]],
    touched: list[Int[np.ndarray, "_"]] | None,
    k: int,
) -> tuple[Int[np.ndarray, " new"], Int[np.ndarray, " new"]]:
    """Pairs of the section of a (k+1)-face and a face around that section.

    Those are the sections of the k-faces around, and faces of dimension k - 1 that lie in the hyperplane already.
    """
    face, around = pairs
    is_cut = is_split[k][around]
    faces, arounds = section[k + 1][face[is_cut]], section[k][around[is_cut]]
    if touched is not None:
        is_touching = is_split[k + 1][face] & ~is_cut
        is_touching[is_touching] = touched[k][around[is_touching]] >= 0
        met = np.stack([section[k + 1][face[is_touching]], touched[k][around[is_touching]]])
        met = np.unique(met, axis=1)  # each is met from both sides
        faces, arounds = np.concatenate([faces, met[0]]), np.concatenate([arounds, met[1]])
    return faces, arounds


def is_consistent(lattice: Lattice) -> bool:
    """Whether the lattice is that of a box cut into convex cells, as far as numbers tell.

    Euler's relation holds, Σ (-1)^k f_k = 1; every facet bounds one or two cells; and around every k-face, each face
    of dimension k - 2 lies between exactly two of dimension k - 1.
    """
    num = lattice.num_faces
    dim = len(num) - 1
    num_cells = np.bincount(pairs_of(lattice, dim)[1], minlength=num[dim - 1])
    is_right = sum((-1) ** k * n for k, n in enumerate(num)) == 1
    is_right &= bool(num_cells.min() >= 1 and num_cells.max() <= 2)
    for k in range(2, dim + 1):
        face, around = pairs_of(lattice, k)
        which, below = _steps_down(lattice, k - 1, around)
        times = np.unique(face[which] * num[k - 2] + below, return_counts=True)[1]
        is_right &= bool(np.all(times == 2))
    return is_right


def cell_vertices(lattice: Lattice) -> tuple[Int[np.ndarray, " offsets"], Int[np.ndarray, " corners"]]:
    """The vertices of each cell, as offsets into one array; within a cell they ascend."""
    num = lattice.num_faces
    dim = len(num) - 1
    cell, face = pairs_of(lattice, dim)
    for k in range(dim - 1, 0, -1):
        which, below = _steps_down(lattice, k, face)
        cell, face = np.divmod(np.unique(cell[which] * num[k - 1] + below), num[k - 1])
    order = np.lexsort((face, cell))
    return np.searchsorted(cell[order], np.arange(num[dim] + 1)), face[order]


def simplices(lattice: Lattice) -> tuple[Int[np.ndarray, " simplices"], Int[np.ndarray, "simplices corners"]]:
    """The cells cut into simplices without new vertices: the cell of each simplex, and its d + 1 vertices.

    From the first vertex of a face, pyramids over those faces around it that do not contain the vertex.
    """
    num = lattice.num_faces
    dim = len(num) - 1
    first = [np.arange(num[0])]
    for k in range(1, dim + 1):
        face, around = pairs_of(lattice, k)
        first.append(np.full(num[k], num[0]))
        np.minimum.at(first[k], face, first[k - 1][around])
    cell = face = np.arange(num[dim])
    corners = [first[dim]]
    for k in range(dim, 0, -1):
        which, below = _steps_down(lattice, k, face)
        is_opposite = first[k - 1][below] != corners[-1][which]
        which, face = which[is_opposite], below[is_opposite]
        cell, corners = cell[which], [*(corner[which] for corner in corners), first[k - 1][face]]
    return cell, np.stack(corners, axis=1)


def _steps_down(
    lattice: Lattice, k: int, faces: Int[np.ndarray, " faces"]
) -> tuple[Int[np.ndarray, " steps"], Int[np.ndarray, " steps"]]:
    """All faces around each of the given k-faces: positions among the given ones, and faces of dimension k - 1."""
    face, around = pairs_of(lattice, k)
    order = np.argsort(face, kind="stable")
    start = np.searchsorted(face[order], np.arange(lattice.num_faces[k] + 1))
    lengths = np.diff(start)[faces]
    which = np.repeat(np.arange(len(faces)), lengths)
    place = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return which, around[order][start[faces][which] + place]
