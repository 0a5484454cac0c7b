"""[host] Which classes are the largest where: outputs compared at the vertices of a complex, and cut where need be.

On the faces of a complex all outputs are affine, so that their differences at the vertices tell which class can be the
largest on a face. Where signs at vertices do not tell enough, the largest output so far, max(y₀, …, yₖ), becomes a
hidden layer for each k: where yₖ is larger than all before it, a unit is active, so that patterns say which class is
the largest. These units cut the faces along lines of which no three meet in a point because of how they are made, as
the differences of all pairs do wherever three classes are equal.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import PAIR
from jaxgeom.domains import ProjectiveDomain
from jaxgeom.networks.layers import Dense, Layers
from jaxgeom.regions.cells import complexes, with_one_axis
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, faces_of_corners, side_by_side
from jaxgeom.regions.count import with_output_cutting
from jaxgeom.regions.differences import ANOTHER, Differences, differences_of


@readable
class Compared(NamedTuple):
    """A complex, whose faces are those of the given one or parts of them, each with one class that is the largest, or
    two with a straight line between them."""

    complex_: PlanarComplex
    """The complex that was given, or one whose faces are parts of its."""
    face: Int[np.ndarray, " faces"]
    """Of which of the given faces each is a part."""
    classes: Int[np.ndarray, "faces 2"]
    """The classes that are the largest on it, the first one smaller; or one class twice."""
    difference: Float[np.ndarray, " corners"]
    """By how much the first one's output is larger than the second one's, at each corner of each face, divided by a
    power of two; zero exactly for ties, 1 on faces of one class."""
    exponent: Int[np.ndarray, " corners"]
    """That of this power."""
    tied: Int[np.ndarray, " tied"]
    """Edges along which the largest output is equal to another one."""
    beside: Int[np.ndarray, "tied 2"]
    """The classes that are the largest to the left and to the right along such an edge; equal on the domain's
    boundary."""
    has_twin: Bool[np.ndarray, "given classes"]
    """Classes that have the map of another one, on each of the given faces."""
    has_ties: bool
    """Whether two outputs are equal at a vertex of the given complex."""


@readable
class Signs(NamedTuple):
    """The differences of pairs of outputs at the vertices of a complex, and what they tell of its faces."""

    pairs: Int[np.ndarray, "pairs 2"]
    """The two outputs of each pair, the first one smaller."""
    difference: Float[np.ndarray, "vertices pairs"]
    """The first output minus the second one at each vertex, divided by a power of two; zero exactly where they are
    equal."""
    exponent: Int[np.ndarray, "vertices pairs"]
    """That of this power."""
    is_left: Bool[np.ndarray, "faces classes"]
    """Classes than which no other one is as large everywhere on the face, or the first of those with equal maps."""
    has_twin: Bool[np.ndarray, "faces classes"]
    """Classes that have the map of another one on the face."""
    is_same: Bool[np.ndarray, "faces pairs"]
    """Pairs of one map on the face."""
    ties: Bool[np.ndarray, "edges pairs"]
    """Pairs that are equal along the edge."""


def compare(complex_: PlanarComplex) -> Compared:
    """The outputs of a network compared on its complex.

    Raises:
        ValueError: if the complex has several outputs and no ``layers``, or is not that of its network.
    """
    signs = _signs(complex_)
    compared, to_cut = as_it_is(complex_, signs)
    if not len(to_cut):
        return compared
    return cut(complex_, signs, with_one_axis(_layers_of(complex_)), _start_of(complex_))


def _signs(complex_: PlanarComplex) -> Signs:
    knows = complex_.layers is not None or complex_.outputs.shape[1] > 1
    networks, start = (with_one_axis(_layers_of(complex_)), _start_of(complex_)) if knows else (None, None)
    pairs, found = differences_of(networks, [complex_], start)
    return signs_of(complex_, pairs, found)


def signs_of(complex_: PlanarComplex, pairs: list[tuple[int, int]], differences: list[Differences]) -> Signs:
    """What differences of pairs of outputs at the vertices tell, of one network or of several side by side."""
    difference, exponent = map(np.concatenate, zip(*differences, strict=True))
    starts = complex_.face_offsets[:-1]
    around = np.sign(difference).astype(np.int8)[complex_.face_vertices]
    highest, lowest = (reduce(around, starts, axis=0) for reduce in (np.maximum.reduceat, np.minimum.reduceat))
    is_left = np.ones((complex_.num_faces, max(2, complex_.outputs.shape[1])), bool)
    has_twin, is_same = np.zeros_like(is_left), (highest == 0) & (lowest == 0)
    for (a, b), high, low, same_map in zip(pairs, highest.T, lowest.T, is_same.T, strict=True):
        is_left[:, a] &= same_map | (high > 0)
        is_left[:, b] &= low < 0
        has_twin[same_map, a] = has_twin[same_map, b] = True
    ties = (difference[complex_.edges] == 0).all(axis=1)
    return Signs(np.array(pairs), difference, exponent, is_left, has_twin, is_same, ties)


def _layers_of(complex_: PlanarComplex) -> Layers:
    """The network that has the faces of a complex as regions."""
    layers = complex_.layers
    if layers is None:
        raise ValueError(
            "this complex does not say which network it is of, so that its outputs cannot be compared. Take it from "
            "enumerate_regions, or give it the network: complex_._replace(layers=layers)."
        )
    has_cut = complex_.patterns.shape[1] > sum(len(layer.bias) for layer in layers[:-1])
    return with_output_cutting(layers) if has_cut else layers


def _start_of(complex_: PlanarComplex) -> ProjectiveDomain:
    """The bounded domain of a complex: its corners, where one side ends and another begins."""
    sides = np.flatnonzero(complex_.edge_layer == OUTSIDE)
    number = complex_.edge_unit[sides]
    num = int(number.max()) + 1
    ends = complex_.edges[sides]  # counter-clockwise, with the face to the left
    corners = [np.setdiff1d(ends[number == side, 0], ends[number == side, 1]).item() for side in range(num)]
    points = np.concatenate([complex_.vertices[corners], np.ones((num, 1))], axis=1)
    return ProjectiveDomain(points, (tuple(range(num)),))


def as_it_is(complex_: PlanarComplex, signs: Signs) -> tuple[Compared, Int[np.ndarray, " faces"]]:
    """The faces of the complex as they are; and those of them that have to be cut, since more than two classes are left
    there, or two of them change places along an edge where others tie."""
    is_left, pairs = signs.is_left, signs.pairs
    num_classes = is_left.shape[1]
    first = is_left.argmax(axis=1)
    last = num_classes - 1 - is_left[:, ::-1].argmax(axis=1)
    number = np.zeros((num_classes, num_classes), np.int64)
    number[tuple(pairs.T)] = np.arange(len(pairs))
    pair = number[first, last]  # of faces with one class, some pair
    tied = np.flatnonzero(signs.ties.any(axis=1))
    ends, ties, sides = np.sign(signs.difference)[complex_.edges[tied]], signs.ties[tied], complex_.edge_faces[tied]
    sides = np.where(sides == OUTSIDE, sides[:, ::-1], sides)
    # on each side, that one of two classes which is larger at an end, unless they change places
    at_ends = ends[np.arange(len(tied))[:, None], :, pair[sides]]
    changes = (first != last)[sides] & (at_ends.prod(axis=2) < 0)
    is_unclear = changes & (ties[:, None] & ~signs.is_same[sides]).any(axis=2)
    to_cut = np.concatenate([np.flatnonzero(is_left.sum(axis=1) > PAIR), sides[is_unclear]])
    beside = np.where(at_ends.sum(axis=2) < 0, last[sides], first[sides])
    is_largest = (ties[:, :, None] & (pairs == beside[:, :1, None])).any(axis=(1, 2))
    of_corner = faces_of_corners(complex_.face_offsets)
    at_corner = complex_.face_vertices, pair[of_corner]
    compared = Compared(
        complex_,
        np.arange(complex_.num_faces),
        np.stack([first, last], axis=1),
        np.where((first != last)[of_corner], signs.difference[at_corner], 1.0),
        np.where((first != last)[of_corner], signs.exponent[at_corner], 0),
        tied[is_largest],
        beside[is_largest],
        signs.has_twin,
        bool((signs.difference == 0).any()),
    )
    return compared, to_cut


def cut(complex_: PlanarComplex, signs: Signs, given: Layers, start: ProjectiveDomain) -> Compared:
    """The complex, cut where a class becomes larger than those before it, so that each face has one class.

    Args:
        complex_: that of one network, or of several side by side (:func:`jaxgeom.regions.complex.side_by_side`), of
            which all have the same classes left somewhere.
        signs: of their outputs.
        given: the networks, with one leading axis.
        start: their domain.
    """
    classes = np.flatnonzero(signs.is_left.any(axis=0))
    found = [each for each in complexes(with_running_maximum(given, classes), start) if each is not None]
    parts = side_by_side(found)
    own = parts.patterns[:, : complex_.patterns.shape[1]]
    is_next = np.concatenate([[True], (own[1:] != own[:-1]).any(axis=1)])
    is_next[np.cumsum([each.num_faces for each in found[:-1]], dtype=int)] = True
    if not np.array_equal(own[is_next], complex_.patterns):
        raise ValueError(ANOTHER)
    face = np.cumsum(is_next) - 1
    top = largest_classes(parts.patterns, given, classes)
    sides = np.where(parts.edge_faces == OUTSIDE, parts.edge_faces[:, ::-1], parts.edge_faces)
    beside = top[sides]
    # Within a face, two classes tie above the others where the class changes. On its sides others may tie, too.
    is_tied = beside[:, 0] != beside[:, 1]
    is_side = parts.edge_layer < len(given) - 1
    is_tied[is_side] |= _ties_along(complex_, signs, parts, face, beside[:, 0])[is_side]
    return Compared(
        parts,
        face,
        np.stack([top, top], axis=1),
        np.ones(len(parts.face_vertices)),
        np.zeros(len(parts.face_vertices), np.int32),
        np.flatnonzero(is_tied),
        beside[is_tied],
        signs.has_twin,
        bool((signs.difference == 0).any()),
    )


def with_running_maximum(layers: Layers, classes: Int[np.ndarray, " classes"]) -> Layers:
    """Networks with one more layer for each of these outputs but the first: a unit for what the output is larger by
    than the largest before it, and linear ones for that largest one and for the outputs that follow."""
    *hidden, last = layers
    leading, num = last.bias.shape[:-1], last.bias.shape[-1]

    def of_each(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, (*leading, *array.shape))

    found = [*hidden, last._replace(slope=of_each(np.ones(num)))]
    largest, rest = np.eye(num)[:, classes[0]], np.eye(num)[:, classes[1:]]  # as sums of the units before
    for _ in classes[1:]:
        weights = np.column_stack([rest[:, 0] - largest, largest, rest[:, 1:]])
        width = weights.shape[1]
        slopes = np.repeat([0.0, 1.0], [1, width - 1])
        found.append(Dense(of_each(weights), of_each(np.zeros(width)), of_each(slopes)))
        largest, rest = np.eye(width)[:, :2].sum(axis=1), np.eye(width)[:, 2:]
    return (*found, Dense(of_each(np.zeros((len(largest), 0))), of_each(np.zeros(0))))


def largest_classes(
    patterns: Bool[np.ndarray, "faces units"], given: Layers, classes: Int[np.ndarray, " classes"]
) -> Int[np.ndarray, " faces"]:
    """Which of these outputs is the largest on each face of a complex of :func:`with_running_maximum`.

    Args:
        patterns: of its faces.
        given: the networks whose outputs these are.
        classes: as they were given to that function.
    """
    top = np.full(len(patterns), classes[0])
    at = sum(layer.bias.shape[-1] for layer in given)  # behind the outputs
    for index in range(1, len(classes)):
        top[patterns[:, at]] = classes[index]
        at += len(classes) - index + 1
    return top


def _ties_along(
    complex_: PlanarComplex, signs: Signs, parts: PlanarComplex, face: np.ndarray, top: np.ndarray
) -> Bool[np.ndarray, " edges"]:
    """Along which edges of the parts this class ties with another one, if these are edges of the given complex too."""
    found = np.zeros(len(parts.edges), bool)
    given = np.flatnonzero(signs.ties.any(axis=1))
    if not len(given):
        return found
    # two faces, or a face and a side of the domain, have one line in common
    one = _between(complex_, np.arange(complex_.num_faces))[given]
    other = _between(parts, face)
    _, number = np.unique(np.concatenate([one, other]), axis=0, return_inverse=True)
    place = np.full(number.max() + 1, OUTSIDE)
    place[number.ravel()[: len(given)]] = given
    edge = place[number.ravel()[len(given) :]]
    is_known = edge != OUTSIDE
    ties = signs.ties[edge[is_known]]
    found[is_known] = (ties[:, :, None] & (signs.pairs == top[is_known, None, None])).any(axis=(1, 2))
    return found


def _between(complex_: PlanarComplex, face: np.ndarray) -> Int[np.ndarray, "edges 3"]:
    """For each edge, the two given faces beside it, the smaller one first, and which side of the domain it is on."""
    faces = np.where(complex_.edge_faces == OUTSIDE, OUTSIDE, face[complex_.edge_faces])
    side = np.where(complex_.edge_layer == OUTSIDE, complex_.edge_unit, OUTSIDE)
    return np.column_stack([np.sort(faces, axis=1), side])
