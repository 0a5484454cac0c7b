"""[host] The complexes of all networks of a chunk, written out at once.

What :func:`jaxgeom.regions.deep.cut_by_layers` leaves is one disjoint union, in which vertices, edges and faces of one
network lie apart from each other. They are put in order of their networks and numbered anew, the cycles of half-edges
become lists of corners, and everything else is computed for all networks together; then each network gets its part of
every array. Networks with decisions within rounding error, and those whose complex fails a certificate, are cut anew in
integer arithmetic (:mod:`jaxgeom.regions.exact`).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from jaxgeom.domains import Start
from jaxgeom.layers import Layers
from jaxgeom.regions.areas import areas_and_centroids
from jaxgeom.regions.complex import PlanarComplex, without_artificial_edges
from jaxgeom.regions.cycles import OUTSIDE, cycles, in_turn
from jaxgeom.regions.deep import Cut, Slopes
from jaxgeom.regions.exact import complex_of_cells, exact_cells
from jaxgeom.regions.face_maps import activity, affine_maps
from jaxgeom.regions.planar import ARTIFICIAL, Planar
from jaxgeom.regions.subdivision import Parts


def complexes(networks: Layers, slopes: Slopes, start: Start, cut: Cut) -> list[PlanarComplex]:
    """The complexes of a chunk that was cut with ``whole=True``; in integers where need be.

    Args:
        networks: float64 arrays with one leading axis.
        slopes, start: as they were cut.
        cut: the union.
    """
    with np.errstate(all="ignore"):
        written, is_sound = _written_out(networks, slopes, cut)
    found = []
    for member, complex_ in enumerate(written):
        if is_sound[member]:
            try:
                found.append(without_artificial_edges(complex_))
                continue
            except RuntimeError:  # a certificate failed
                pass
        network = jax.tree.map(lambda array, member=member: array[member], networks)
        found.append(without_artificial_edges(complex_of_cells(exact_cells(network, slopes, start))))
    return found


class _Order(NamedTuple):
    """How things of the union are put in order of their networks."""

    order: Int[np.ndarray, " things"]
    offsets: Int[np.ndarray, " offsets"]
    """Where those of each network begin; the last entry is their number."""
    number: Int[np.ndarray, " things"]
    """The number that each of the union has in its own network."""


def _in_order(network: Int[np.ndarray, " things"], num: int) -> _Order:
    # Small integers are sorted in linear time.
    order = np.argsort(network.astype(np.min_scalar_type(num)), kind="stable")
    counts = np.bincount(network, minlength=num)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    number = np.empty(len(order), np.intp)
    number[order] = np.arange(len(order)) - np.repeat(offsets[:-1], counts)
    return _Order(order, offsets, number)


def _split(array: Shaped[np.ndarray, "things ..."], offsets: np.ndarray) -> list[Shaped[np.ndarray, "_ ..."]]:
    """The part of each network, of an array in order."""
    return [array[first:stop] for first, stop in pairwise(offsets.tolist())]


def _written_out(
    networks: Layers, slopes: Slopes, cut: Cut
) -> tuple[list[PlanarComplex], Bool[np.ndarray, " networks"]]:
    """The complexes with their artificial edges, and which of them hold; the others are of no use."""
    assert cut.state is not None
    state, num = cut.state, len(cut.count)
    first, num_corners, face_network = _faces(state, cut.parts)
    vertices, edges, faces = (
        _in_order(network, num) for network in (state.network, state.network.take(state.ends[:, 0]), face_network)
    )
    position, is_ideal = _positions(state, cut.size)

    offsets, half_edges = in_turn(state.following.reshape(-1), first.take(faces.order), num_corners.take(faces.order))
    corners = state.ends.reshape(-1).take(half_edges)
    area, centroid = areas_and_centroids(position, is_ideal, offsets, corners)
    is_sound = cut.is_certain.copy()
    is_sound[face_network.take(faces.order[~(area > 0)])] = False

    face_number = np.append(faces.number, OUTSIDE)  # which is the last entry
    layer, unit = _layers_and_units(state.made.take(edges.order), [len(slope) for slope in slopes])
    maps = _maps(networks, slopes, cut.parts, face_network).take(faces.order, axis=0)
    corner_offsets = offsets.take(faces.offsets)
    columns = [
        _split(position.take(vertices.order, axis=0), vertices.offsets),
        _split(is_ideal.take(vertices.order), vertices.offsets),
        _split(vertices.number.take(state.ends.take(edges.order, axis=0)), edges.offsets),
        _split(face_number.take(state.face.take(edges.order, axis=0)), edges.offsets),
        _split(layer, edges.offsets),
        _split(unit, edges.offsets),
        [offsets[begin : stop + 1] - offsets[begin] for begin, stop in pairwise(faces.offsets.tolist())],
        _split(vertices.number.take(corners), corner_offsets),
        _split(edges.number.take(half_edges >> 1), corner_offsets),
        _split(_patterns(cut.parts, slopes, faces.order), faces.offsets),
        _split(maps[:, :2].transpose(0, 2, 1), faces.offsets),
        _split(maps[:, 2], faces.offsets),
        _split(area, faces.offsets),
        _split(centroid, faces.offsets),
    ]
    flags = [[flag] * num for flag in (False, True)]  # neither degenerate nor incomplete
    return list(map(PlanarComplex, *columns, *flags)), is_sound


def _faces(
    state: Planar, parts: list[Parts]
) -> tuple[Int[np.ndarray, " faces"], Int[np.ndarray, " faces"], Int[np.ndarray, " faces"]]:
    """The first half-edge of each face of the union, how many it has, and the network."""
    if parts:
        return parts[-1].first, parts[-1].num_corners, parts[-1].network
    face, following = state.face.reshape(-1), state.following.reshape(-1)
    first, num_corners = cycles(np.where(face == OUTSIDE, np.arange(len(face)), following))
    order = np.argsort(face[first])
    first = first[order]
    return first, num_corners[order], state.network[state.ends.reshape(-1)[first]]


def _positions(
    state: Planar, size: Float[np.ndarray, " 3"]
) -> tuple[Float[np.ndarray, "vertices 2"], Bool[np.ndarray, " vertices"]]:
    """Where the vertices lie, and which of them at infinity."""
    w, x, y = (state.values[:, column] * size[column + 2] for column in (-3, -2, -1))  # size is of x, y, w
    is_ideal = w == 0
    if is_ideal.any():
        w = np.where(is_ideal, np.hypot(x, y), w)
    found = np.empty((len(w), 2))
    np.divide(x, w, out=found[:, 0])
    np.divide(y, w, out=found[:, 1])
    return found, is_ideal


def _layers_and_units(
    made: Int[np.ndarray, " edges"], widths: Sequence[int]
) -> tuple[Int[np.ndarray, " edges"], Int[np.ndarray, " edges"]]:
    """The layer and unit behind a running number; sides of the domain have the layers -1 and, if shared, -2."""
    num = sum(widths)
    is_side = made < 0
    known = np.where(is_side, num, made)
    layer = np.append(np.repeat(np.arange(len(widths)), widths), OUTSIDE).take(known)
    unit = np.concatenate([*map(np.arange, widths), [0]]).take(known)
    sides = np.flatnonzero(is_side)
    number = made.take(sides)
    is_artificial = number <= ARTIFICIAL
    layer[sides] = np.where(is_artificial, OUTSIDE - 1, OUTSIDE)
    unit[sides] = np.where(is_artificial, ARTIFICIAL - number, -1 - number)
    return layer, unit


def _patterns(parts: list[Parts], slopes: Slopes, faces: Int[np.ndarray, " faces"]) -> Bool[np.ndarray, "faces units"]:
    """The activation patterns of these faces: each layer's is that of the face that they were parts of."""
    patterns = []
    for part, slope in zip(reversed(parts), reversed(slopes), strict=True):
        patterns.append(activity(part.words.take(faces, axis=1), len(slope)))
        faces = part.parent.take(faces)
    return np.concatenate([np.zeros((len(faces), 0), bool), *reversed(patterns)], axis=1)


def _maps(
    networks: Layers, slopes: Slopes, parts: list[Parts], face_network: Int[np.ndarray, " faces"]
) -> Float[np.ndarray, "faces 3 out"]:
    if parts:
        return affine_maps(networks, slopes, parts)
    return np.concatenate([networks[0].kernel, networks[0].bias[:, None]], axis=1)[face_network]
