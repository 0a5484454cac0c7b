"""[host] Which classes are the largest where: outputs compared at the vertices of a complex, and cut where need be.

On the faces of a complex all outputs are affine, so that their differences at the vertices tell which class can be the
largest on a face. Where signs at vertices do not tell enough, the differences of those classes cut the faces as well.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import PAIR
from jaxgeom.domains import ProjectiveDomain
from jaxgeom.networks.layers import Layers
from jaxgeom.regions.cells import complexes, with_one_axis
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, certify
from jaxgeom.regions.count import with_differences, with_output_cutting


@readable
class Compared(NamedTuple):
    """A complex, whose faces are those of the given one or parts of them, and the classes compared."""

    complex_: PlanarComplex
    """The complex that was given, or one whose faces are parts of its."""
    face: Int[np.ndarray, " faces"]
    """Of which of the given faces each is a part."""
    pairs: Int[np.ndarray, "pairs 2"]
    """Pairs of classes, the first one smaller: all, or those that matter."""
    difference: Float[np.ndarray, "vertices pairs"]
    """By how much the first one's output is larger than the second one's; zero exactly for ties."""


@readable
class Classes(NamedTuple):
    """Which classes are the largest on the faces of a complex."""

    is_left: Bool[np.ndarray, "faces classes"]
    """Classes that no other one is as large as everywhere on the face; of classes with one map, the first may be."""
    is_same: Bool[np.ndarray, "faces pairs"]
    """Pairs of classes with one map."""
    has_twin: Bool[np.ndarray, "faces classes"]
    """Classes that are in such a pair."""


def compare(complex_: PlanarComplex) -> tuple[Compared, Classes]:
    """The outputs of a network compared on its complex, whose faces then have one class each, or two with a straight
    line between them.

    Raises:
        ValueError: if the complex has several outputs and no ``layers``, or is not that of its network.
    """
    compared = _compared(complex_)
    classes = _classes(compared, np.ones((complex_.num_faces, max(2, complex_.outputs.shape[1])), bool))
    if _is_open(compared, classes):
        compared = _cut(complex_, compared, classes)
        classes = _classes(compared, classes.is_left[compared.face])
        certify((classes.is_left.sum(axis=1) == 1).all(), "classes change within its faces")
    return compared, classes


def _compared(complex_: PlanarComplex) -> Compared:
    """The complex as it is, and the differences of its outputs at its vertices. Of one output, zero is the first."""
    faces = np.arange(complex_.num_faces)
    if complex_.outputs.shape[1] == 1:
        return Compared(complex_, faces, np.array([[0, 1]]), -complex_.outputs)
    layers, pairs = with_differences(_layers_of(complex_))
    (same,) = complexes(with_one_axis(layers), _start_of(complex_))
    if same is None or not np.array_equal(same.face_vertices, complex_.face_vertices):
        raise ValueError(_ANOTHER)
    return Compared(complex_, faces, np.array(pairs), same.outputs)


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


def _classes(compared: Compared, is_left: Bool[np.ndarray, "faces classes"]) -> Classes:
    """What pairs tell of those classes that may be the largest."""
    complex_, _, pairs, difference = compared
    starts = complex_.face_offsets[:-1]
    around = np.sign(difference).astype(np.int8)[complex_.face_vertices]
    highest, lowest = (reduce(around, starts, axis=0) for reduce in (np.maximum.reduceat, np.minimum.reduceat))
    is_left = is_left.copy()
    has_twin, is_same = np.zeros_like(is_left), (highest == 0) & (lowest == 0)
    for (a, b), high, low, same in zip(pairs.tolist(), highest.T, lowest.T, is_same.T, strict=True):
        is_left[:, a] &= same | (high > 0)
        is_left[:, b] &= low < 0
        has_twin[same, a] = has_twin[same, b] = True
    return Classes(is_left, is_same, has_twin)


def largest_classes(compared: Compared, classes: Classes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each face, the first and the last of the classes that are left, and the pair of these two; one of the pairs
    if they are one."""
    first = classes.is_left.argmax(axis=1)
    last = classes.is_left.shape[1] - 1 - classes.is_left[:, ::-1].argmax(axis=1)
    number = np.zeros((first.max(initial=0) + 1, classes.is_left.shape[1]), np.int64)
    for index, (a, b) in enumerate(compared.pairs.tolist()):
        if a < len(number):
            number[a, b] = index
    return first, last, number[first, last]


def _is_open(compared: Compared, classes: Classes) -> bool:
    """Whether signs at vertices do not tell where classes change: on a face where three are left, or along an edge
    where classes tie and two change places."""
    if (classes.is_left.sum(axis=1) > PAIR).any():
        return True
    first, last, pair = largest_classes(compared, classes)
    ends = np.sign(compared.difference)[compared.complex_.edges]
    ties = (ends == 0).all(axis=1)
    edge, side = np.nonzero((compared.complex_.edge_faces != OUTSIDE) & ties.any(axis=1)[:, None])
    face = compared.complex_.edge_faces[edge, side]
    changes = (first != last)[face] & (ends[edge, :, pair[face]].prod(axis=1) < 0)
    return bool((changes & (ties[edge] & ~classes.is_same[face]).any(axis=1)).any())


def _cut(complex_: PlanarComplex, compared: Compared, classes: Classes) -> Compared:
    """The complex, cut where two classes are equal that are both left on some face. Beside these pairs, those matter
    that tie along an edge or on a face."""
    a, b = compared.pairs.T
    is_cutting = (classes.is_left[:, a] & classes.is_left[:, b]).any(axis=0)
    ties = (compared.difference[complex_.edges] == 0).all(axis=1).any(axis=0)
    pairs, is_cutting = (array[is_cutting | ties] for array in (compared.pairs, is_cutting))
    layers, _ = with_differences(_layers_of(complex_), list(map(tuple, pairs.tolist())), is_cutting)
    (parts,) = complexes(with_one_axis(layers), _start_of(complex_))
    assert parts is not None
    own = parts.patterns[:, : complex_.patterns.shape[1]]
    is_next = np.concatenate([[True], (own[1:] != own[:-1]).any(axis=1)])
    if not np.array_equal(own[is_next], complex_.patterns):
        raise ValueError(_ANOTHER)
    return Compared(parts, np.cumsum(is_next) - 1, pairs, parts.outputs)
