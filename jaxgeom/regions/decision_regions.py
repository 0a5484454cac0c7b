"""[host] The regions of classes in the plane, as convex polygons: parts of linear regions on which one class wins.

Faces of a complex on which two classes are left are cut along the line on which these are equal; its ends on an edge
are the same points for the faces on both sides, and the same as those of the decision boundary.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import PAIR
from jaxgeom.regions.boundary import check_decides, crossings
from jaxgeom.regions.compared import Compared, compare
from jaxgeom.regions.complex import PlanarComplex, faces_of_corners, next_corners


@readable
class DecisionRegions(NamedTuple):
    """Convex polygons that fill the domain, each with one class and within one linear region."""

    vertices: Float[np.ndarray, "vertices 2"]
    """Corners of the polygons; those that several share are there once."""
    polygon_offsets: Int[np.ndarray, " offsets"]
    """Where the cycle of each polygon begins in ``polygon_vertices``; the last entry is their length."""
    polygon_vertices: Int[np.ndarray, " corners"]
    """The vertices of each polygon, counter-clockwise."""
    label: Int[np.ndarray, " polygons"]
    """The class that wins on it: the largest output, of equal ones the first; of a single output, whether it is
    positive."""
    face: Int[np.ndarray, " polygons"]
    """The linear region that it is a part of."""
    area: Float[np.ndarray, " polygons"]
    """Its area."""
    num_classes: int
    """Number of classes; some may win nowhere."""

    @property
    def polygons(self) -> list[Float[np.ndarray, "corners 2"]]:
        """The corners of each polygon, counter-clockwise."""
        return np.split(self.vertices[self.polygon_vertices], self.polygon_offsets[1:-1])

    @property
    def class_area(self) -> Float[np.ndarray, " classes"]:
        """The area on which each class wins."""
        return np.bincount(self.label, self.area, minlength=self.num_classes)


def decision_regions(complex_: PlanarComplex) -> DecisionRegions:
    """The regions in which each class wins, as convex polygons.

    Args:
        complex_: regions of one network on a bounded domain, as :func:`jaxgeom.enumerate_regions` gives them.

    Raises:
        ValueError: as :func:`jaxgeom.decision_boundary`.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> found = jg.decision_regions(jg.enumerate_regions(network, jg.box(-1, 1)))
        >>> found.label.tolist(), found.class_area.tolist()  # the line x + y = 1 cuts one of the four regions
        ([0, 0, 0, 0, 1], [3.5, 0.5])
    """
    check_decides(complex_, "a picture of classes")
    return regions_of(compare(complex_))


def regions_of(compared: Compared) -> DecisionRegions:
    """The regions of classes, where these have been compared."""
    parts, here = compared.complex_, compared.difference
    first, last = compared.classes.T
    face = faces_of_corners(parts.face_offsets)
    following = next_corners(parts.face_offsets)
    is_cut = (first != last)[face]
    changes = is_cut & (np.sign(here) * np.sign(here[following]) < 0)
    # a point between two vertices belongs to an edge and a pair of classes, whatever face it is seen from
    at_change = np.flatnonzero(changes)
    keys = np.column_stack([parts.face_edges[at_change], compared.classes[face[at_change]]])
    _, one, number = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    between = crossings(compared, at_change[one])
    # corners of the parts of each face: vertices with the right sign, and where it changes, in their order
    rows = [
        (face[takes], np.full(takes.sum(), side), 2 * np.flatnonzero(takes), parts.face_vertices[takes])
        for side, takes in enumerate((here >= 0, is_cut & (here <= 0)))
    ]
    at = 2 * np.flatnonzero(changes) + 1
    rows += [
        (face[changes], np.full(changes.sum(), side), at, len(parts.vertices) + number.ravel()) for side in range(PAIR)
    ]
    of_face, side, place, vertex = (np.concatenate(columns) for columns in zip(*rows, strict=True))
    order = np.lexsort((place, side, of_face))
    key = (PAIR * of_face + side)[order]
    offsets = np.append(np.flatnonzero(np.diff(key, prepend=-1)), len(key))
    owner, which = key[offsets[:-1]] // PAIR, key[offsets[:-1]] % PAIR
    points, used = np.concatenate([parts.vertices, between]), vertex[order]
    label = np.where(which == 0, first[owner], last[owner])
    area = _areas(points, offsets, used)
    return DecisionRegions(points, offsets, used, label, compared.face[owner], area, compared.has_twin.shape[1])


def _areas(points: np.ndarray, offsets: np.ndarray, corners: np.ndarray) -> Float[np.ndarray, " polygons"]:
    """From the triangles of a fan around the first corner of each polygon."""
    spoke = points[corners] - np.repeat(points[corners[offsets[:-1]]], np.diff(offsets), axis=0)
    following = spoke[next_corners(offsets)]
    twice = np.add.reduceat(spoke[:, 0] * following[:, 1] - spoke[:, 1] * following[:, 0], offsets[:-1])
    return twice / 2
