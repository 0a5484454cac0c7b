"""[host] Topology of decision regions in the plane: components, holes and boundaries of each class, exactly.

The zero sets of the outputs, or of their differences, cut the linear regions of a network into cells on which the class
is one (:func:`jaxgeom.enumerate_population`), with vertices at which the engine knows every sign. A decision region is
a union of open cells (faces, edges, vertices), and has the homotopy type of the simplicial complex whose simplices are
chains of these cells, each in the boundary of the next (for closed unions that is the barycentric subdivision; Björner
1995, Topological methods, Handbook of Combinatorics, 10). Its components and its Euler characteristic give the Betti
numbers: in the plane, holes are components minus characteristic.
"""

from itertools import combinations
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Int

from jaxgeom._reprs import readable
from jaxgeom.domains import PlanarDomain, start_of
from jaxgeom.layers import Activation, Layers, check_finite, with_activation
from jaxgeom.regions.cells import NOT_COUNTED, check_planar, with_one_axis
from jaxgeom.regions.complex import PlanarComplex, connected
from jaxgeom.regions.count import with_differences
from jaxgeom.regions.enumerate import enumerate_population


@readable
class Topology(NamedTuple):
    """Decision regions of networks on a domain of the plane, counted; -1 where a member of a population is not finite.

    The last axis of ``num_components`` and ``num_holes`` are the classes. With one output f these are f ≤ 0, then
    f > 0; with several, the largest output wins, of equal ones the first.
    """

    num_components: Int[np.ndarray, "*networks classes"]
    """Connected components of each class's region: Betti number 0."""
    num_holes: Int[np.ndarray, "*networks classes"]
    """Holes of each class's region: Betti number 1. What reaches the border of the domain is no hole."""
    num_boundaries: Int[np.ndarray, "*networks"]
    """Connected components of the decision boundary, where faces of different classes meet."""
    num_closed_boundaries: Int[np.ndarray, "*networks"]
    """Those of them that do not reach the border of the domain."""
    degenerate: Bool[np.ndarray, "*networks"]
    """Whether an exact zero was met, as where an output is zero at a vertex of its regions or on a whole one."""


def topology(
    layers: Layers,
    domain: PlanarDomain,
    *,
    activation: Activation | None = None,
    chunk_size: int | None = None,
    progress: bool | str = False,
) -> Topology:
    """Numbers of components, holes and boundaries of the decision regions of networks with two inputs, exactly.

    Regions that touch in a point are connected there only if the point belongs to them: with f(x, y) = |x| - |y| on a
    square, f > 0 has two components and f ≤ 0, with the origin, one.

    Args:
        layers: one network, or a population with any leading axes. One output decides by its sign; of several, each
            pair is compared, which for many classes makes many more cells.
        domain: a bounded one: :func:`jaxgeom.box` or :func:`jaxgeom.polygon`.
        activation: what follows the hidden layers, if they do not say it; see :func:`jaxgeom.enumerate_regions`.
        chunk_size: networks cut at once; default by memory.
        progress: show a progress bar; a string is its title.

    Raises:
        TypeError: for anything that is not a network or a planar domain.
        ValueError: for inputs that are not two-dimensional, networks without outputs, the whole plane, activations
            without linear regions, or NaN or infinite weights in a single network.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> size = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))
        >>> ring = (*size, jg.Dense(np.ones((1, 1)), np.full(1, -0.5)))  # ||x| + |y| - 1| - 1/2
        >>> found = jg.topology(ring, jg.box(-2, 2), activation="abs")
        >>> found.num_components.tolist(), found.num_holes.tolist()
        ([1, 2], [1, 1])
    """
    network = jax.tree.map(np.asarray, check_planar(with_activation(layers, activation)))
    if (start_of(domain).vertices[:, 2] == 0).any():
        raise ValueError("a bounded domain is needed, jaxgeom.box or jaxgeom.polygon, but the whole plane was given.")
    leading, num_outputs = network[-1].bias.shape[:-1], network[-1].bias.shape[-1]
    if num_outputs < 1:
        raise ValueError("networks need at least one output to decide by, but these have none.")
    if not leading:
        check_finite(network)
    flat = with_one_axis(network)
    if num_outputs > 1:
        flat, _ = with_differences(flat)
    num_classes = max(2, num_outputs)
    rows = [
        _not_counted(num_classes) if complex_ is None else _topology_of(complex_, num_outputs)
        for complex_ in enumerate_population(flat, domain, cut_output=True, chunk_size=chunk_size, progress=progress)
    ]
    each = zip(*rows, strict=True) if rows else [()] * 5
    shapes, dtypes = [(num_classes,)] * 2 + [()] * 3, (*[np.int64] * 4, bool)
    return Topology(
        *(
            np.array(column, dtype).reshape((*leading, *shape))
            for column, dtype, shape in zip(each, dtypes, shapes, strict=True)
        )
    )


def _not_counted(num_classes: int) -> tuple:
    none = np.full(num_classes, NOT_COUNTED)
    return none, none, NOT_COUNTED, NOT_COUNTED, False


def _topology_of(complex_: PlanarComplex, num_outputs: int) -> tuple:
    """The fields of :class:`Topology` for one complex, which the differences of outputs cut as well."""
    num_vertices, num_edges, num_faces = len(complex_.vertices), len(complex_.edges), complex_.num_faces
    ends, sizes = complex_.edges, np.diff(complex_.face_offsets)
    face = np.repeat(np.arange(num_faces), sizes)
    at_vertices = np.sign(complex_.outputs).astype(np.int8)
    at_edges = _common(at_vertices[ends[:, 0]], at_vertices[ends[:, 1]])
    around = at_vertices[complex_.face_vertices]
    offsets = complex_.face_offsets[:-1]
    at_faces = _common(np.maximum.reduceat(around, offsets), np.minimum.reduceat(around, offsets))
    classes = _classes(np.concatenate([at_vertices, at_edges, at_faces]), num_outputs)
    num_classes = max(2, num_outputs)

    # pairs of cells, one in the boundary of the other, and chains of three
    edge, side = np.arange(num_edges), complex_.face_edges
    lower = np.concatenate([ends[:, 0], ends[:, 1], num_vertices + side, complex_.face_vertices])
    upper = np.concatenate([num_vertices + edge] * 2 + [num_vertices + num_edges + face] * 2)
    is_one = classes[lower] == classes[upper]
    pairs = np.stack([lower, upper], axis=1)[is_one]
    of_side, of_face = classes[num_vertices + side], classes[num_vertices + num_edges + face]
    chains = [of_side[(classes[ends[side, i]] == of_side) & (of_side == of_face)] for i in (0, 1)]

    def numbers(of: np.ndarray) -> np.ndarray:
        return np.bincount(of, minlength=num_classes)

    characteristic = numbers(classes) - numbers(classes[pairs[:, 0]]) + numbers(np.concatenate(chains))
    components = numbers(classes[np.unique(connected(len(classes), pairs))])

    # the boundary: edges between faces of different classes
    faces = complex_.edge_faces
    is_inner = (faces >= 0).all(axis=1)
    of_faces = classes[num_vertices + num_edges :]
    is_between = is_inner & (of_faces[faces[:, 0]] != of_faces[faces[:, 1]])
    label = connected(num_vertices, ends[is_between])
    found = np.unique(label[ends[is_between]])
    reached = np.unique(label[ends[~is_inner]])
    closed = np.setdiff1d(found, reached)
    return components, components - characteristic, len(found), len(closed), complex_.degenerate


def _common(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The sign of a function on an open cell that it does not change sign on, from signs at its corners."""
    return np.where(one != 0, one, other)


def _classes(signs: Int[np.ndarray, "cells pairs"], num_outputs: int) -> Int[np.ndarray, " cells"]:
    """The class of each cell: the largest output, of equal ones the first; of one output, whether it is positive."""
    if num_outputs == 1:
        return (signs[:, 0] > 0).astype(np.int64)
    best = np.zeros(len(signs), np.int64)
    column = {pair: index for index, pair in enumerate(combinations(range(num_outputs), 2))}
    for rival in range(1, num_outputs):
        columns = np.array([column[one, rival] for one in range(rival)])
        best = np.where(signs[np.arange(len(signs)), columns[best]] < 0, rival, best)
    return best
