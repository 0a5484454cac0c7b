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
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, faces_of_corners
from jaxgeom.regions.count import with_differences, with_output_cutting


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
    """That of this power: differences may be larger or smaller than what float64 holds."""
    tied: Int[np.ndarray, " tied"]
    """Edges along which the largest output is equal to another one."""
    beside: Int[np.ndarray, "tied 2"]
    """The classes that are the largest to the left and to the right along such an edge; equal on the domain's
    boundary."""
    has_twin: Bool[np.ndarray, "given classes"]
    """Classes that have the map of another one, on each of the given faces."""
    has_ties: bool
    """Whether two outputs are equal at a vertex of the given complex."""


class _Signs(NamedTuple):
    """The differences of pairs of outputs at the vertices of a complex, and what they tell of its faces."""

    pairs: np.ndarray  # (pairs, 2), the first one smaller
    difference: np.ndarray  # (vertices, pairs), divided by powers of two
    exponent: np.ndarray  # (vertices, pairs), of these powers
    is_left: np.ndarray  # (faces, classes): no other one is as large everywhere on the face, or the first of equal maps
    has_twin: np.ndarray  # (faces, classes)
    is_same: np.ndarray  # (faces, pairs), of one map
    ties: np.ndarray  # (edges, pairs), equal along the edge


def compare(complex_: PlanarComplex) -> Compared:
    """The outputs of a network compared on its complex.

    Raises:
        ValueError: if the complex has several outputs and no ``layers``, or is not that of its network.
    """
    signs = _signs(complex_)
    if (signs.is_left.sum(axis=1) > PAIR).any():
        return _cut(complex_, signs)
    compared = _as_it_is(complex_, signs)
    return _cut(complex_, signs) if compared is None else compared


def _signs(complex_: PlanarComplex) -> _Signs:
    """Of one output, zero is the first."""
    is_one = complex_.outputs.shape[1] == 1
    layers, pairs = (None, [(0, 1)]) if is_one else with_differences(_layers_of(complex_))
    difference = -complex_.outputs if layers is None else _outputs(layers, complex_)
    exponent = np.zeros(difference.shape, np.int32)
    for power in _POWERS:
        is_lost = (difference != 0) & ~_is_held(difference)
        if not is_lost.any() or (is_one and complex_.layers is None):
            break
        if layers is None:
            layers = _negated(_layers_of(complex_))
        again = _outputs(_multiplied(layers, power), complex_)
        is_found = is_lost & _is_held(again)
        difference, exponent = np.where(is_found, again, difference), np.where(is_found, -power, exponent)
    exponent[difference == 0] = exponent.min(initial=0)  # zeros make no other number small
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
    return _Signs(np.array(pairs), difference, exponent, is_left, has_twin, is_same, ties)


_LEAST, _MOST = 2.0**-900, 2.0**1000
"""Differences of a size between these are known to all digits, and none beside them is too small for float64 to matter.
"""
_POWERS = (1900, -1900, 3800, -3800)
"""Of two, that differences are multiplied with where float64 does not hold them."""
_POWER_OF_A_LAYER = 950


def _outputs(layers: Layers, complex_: PlanarComplex) -> Float[np.ndarray, "vertices out"]:
    """The outputs of a network with the same hidden units that cut, at the vertices of the complex."""
    (same,) = complexes(with_one_axis(layers), _start_of(complex_))
    if same is None or not np.array_equal(same.face_vertices, complex_.face_vertices):
        raise ValueError(_ANOTHER)
    return same.outputs


def _is_held(difference: Float[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
    """Where float64 holds differences so well that positions follow from them."""
    size = np.abs(difference)
    return (size >= _LEAST) & (size <= _MOST)


def _multiplied(layers: Layers, power: int) -> Layers:
    """The network whose outputs are those of the given one times a power of two, by linear layers behind it."""
    *hidden, last = layers
    num = last.bias.shape[-1]
    for _ in range(abs(power) // _POWER_OF_A_LAYER):
        hidden.append(last._replace(slope=np.ones(num)))
        last = Dense(np.eye(num) * 2.0 ** (_POWER_OF_A_LAYER if power > 0 else -_POWER_OF_A_LAYER), np.zeros(num))
    return (*hidden, last)


def _negated(layers: Layers) -> Layers:
    """The network whose outputs have the opposite sign: zero is the first of two classes."""
    last = layers[-1]
    return (*layers[:-1], Dense(-np.asarray(last.kernel), -np.asarray(last.bias)))


_ANOTHER = (
    "this complex is not the one of its network on its domain, face by face, as this installation finds it. Take it "
    "from enumerate_regions once more."
)


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


def _as_it_is(complex_: PlanarComplex, signs: _Signs) -> Compared | None:
    """The faces of the complex, where at most two classes are left on each; None if two of them change places along an
    edge where others tie."""
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
    if (changes & (ties[:, None] & ~signs.is_same[sides]).any(axis=2)).any():
        return None
    beside = np.where(at_ends.sum(axis=2) < 0, last[sides], first[sides])
    is_largest = (ties[:, :, None] & (pairs == beside[:, :1, None])).any(axis=(1, 2))
    of_corner = faces_of_corners(complex_.face_offsets)
    at_corner = complex_.face_vertices, pair[of_corner]
    return Compared(
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


def _cut(complex_: PlanarComplex, signs: _Signs) -> Compared:
    """The complex, cut where a class becomes larger than those before it, so that each face has one class."""
    classes = np.flatnonzero(signs.is_left.any(axis=0))
    given = _layers_of(complex_)
    (parts,) = complexes(with_one_axis(_running_maximum(given, classes)), _start_of(complex_))
    assert parts is not None
    own = parts.patterns[:, : complex_.patterns.shape[1]]
    is_next = np.concatenate([[True], (own[1:] != own[:-1]).any(axis=1)])
    if not np.array_equal(own[is_next], complex_.patterns):
        raise ValueError(_ANOTHER)
    face = np.cumsum(is_next) - 1
    top = np.full(parts.num_faces, classes[0])
    at = sum(layer.bias.shape[-1] for layer in given)  # behind the outputs
    for index in range(1, len(classes)):
        top[parts.patterns[:, at]] = classes[index]
        at += len(classes) - index + 1
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


def _running_maximum(layers: Layers, classes: Int[np.ndarray, " classes"]) -> Layers:
    """The network with one more layer for each of these outputs but the first: a unit for what the output is larger by
    than the largest before it, and linear ones for that largest one and for the outputs that follow."""
    *hidden, last = layers
    num = last.bias.shape[-1]
    found = [*hidden, last._replace(slope=np.ones(num))]
    largest, rest = np.eye(num)[:, classes[0]], np.eye(num)[:, classes[1:]]  # as sums of the units before
    for _ in classes[1:]:
        weights = np.column_stack([rest[:, 0] - largest, largest, rest[:, 1:]])
        width = weights.shape[1]
        found.append(Dense(weights, np.zeros(width), np.repeat([0.0, 1.0], [1, width - 1])))
        largest, rest = np.eye(width)[:, :2].sum(axis=1), np.eye(width)[:, 2:]
    return (*found, Dense(np.zeros((len(largest), 0)), np.zeros(0)))


def _ties_along(
    complex_: PlanarComplex, signs: _Signs, parts: PlanarComplex, face: np.ndarray, top: np.ndarray
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
