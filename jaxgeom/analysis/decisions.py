"""[host] What the decisions of many networks look like in the plane: boundaries measured, regions counted, at once.

Outputs are compared by running maxima (:mod:`jaxgeom.regions.compared`), which cut the domain into faces of one class
each. Where no exact zero is met, at most three classes meet in a point, and each side of an edge between two classes
belongs to one of them; this is checked at every vertex. Then the region of a class is the union of its faces, of the
edges between two of them and of the vertices that only they have, up to homotopy. It has as many components as its
faces have across these edges, and its Euler characteristic is the number of its faces, minus that of these edges, plus
that of these vertices: that of the dual complex, on which it retracts. Holes are components minus characteristic.
All other networks are compared as :func:`jaxgeom.topology` does it, cell by cell.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import PAIR
from jaxgeom.analysis.topology import check_bounded, topology
from jaxgeom.domains import Box, PlanarDomain, exact_domain
from jaxgeom.networks.layers import Dense, Layers
from jaxgeom.regions.boundaries import boundary_sizes
from jaxgeom.regions.cells import NOT_COUNTED, complexes, complexes_at_once, with_one_axis
from jaxgeom.regions.compared import largest_classes, with_running_maximum
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, numbered_components

_MOST_MEETING = 3
"""Classes in a point, where no exact zero is met."""


@readable
class Decisions(NamedTuple):
    """Decision regions of networks on a domain of the plane: what :func:`jaxgeom.topology` counts of them, and the
    lengths of :func:`jaxgeom.decision_boundary`. For members that are not finite, length and pieces are 0, numbers -1.
    """

    boundary_length: Float[np.ndarray, " networks"]
    """Length of the decision boundary."""
    boundary_pieces: Int[np.ndarray, " networks"]
    """Straight pieces of it, within one linear region each."""
    num_components: Int[np.ndarray, "networks classes"]
    """Connected components of the region of each class."""
    num_holes: Int[np.ndarray, "networks classes"]
    """Holes of it; what reaches the border of the domain is none."""
    num_boundaries: Int[np.ndarray, " networks"]
    """Connected components of the decision boundary."""
    num_closed_boundaries: Int[np.ndarray, " networks"]
    """Those of them that do not reach the border of the domain."""


def decisions(layers: Layers, domain: PlanarDomain) -> Decisions:
    """Decision regions of a population, measured and counted, exactly.

    Args:
        layers: a population with one leading axis, whose networks have two inputs.
        domain: :func:`jaxgeom.box` or :func:`jaxgeom.polygon`.

    Raises:
        ValueError: for other networks and domains.
    """
    start = exact_domain(domain)
    if isinstance(start, Box):
        raise ValueError(f"decisions are looked at in the plane, but the box has {len(start.low)} dimensions.")
    networks = with_one_axis(check_bounded(layers, domain))
    num, num_outputs = networks[-1].bias.shape
    if num_outputs < 1:
        raise ValueError("networks need at least one output to decide by, but these have none.")
    found = _none(num, max(PAIR, num_outputs))
    classes = np.arange(num_outputs)
    size = complexes_at_once(networks)
    for first in range(0, num, size):
        some = jax.tree.map(lambda array, first=first: array[first : first + size], networks)
        cut = with_running_maximum(some, classes) if num_outputs > 1 else _with_sign(some)
        parts = complexes(cut, start)
        plain = np.array([i for i, each in enumerate(parts) if each is not None and not each.degenerate], np.int64)
        if len(plain):
            measured, is_certain = _measured([parts[i] for i in plain.tolist()], some, classes)
            plain = plain[is_certain]
            for column, values in zip(found, measured, strict=True):
                column[first + plain] = values[is_certain]
        others = np.setdiff1d([i for i, each in enumerate(parts) if each is not None], plain).astype(np.int64)
        if len(others):
            own = jax.tree.map(lambda array, others=others: array[others], some)
            for column, values in zip(found, _one_by_one(own, domain), strict=True):
                column[first + others] = values
    return found


def _none(num: int, num_classes: int) -> Decisions:
    """Of networks that are not finite."""
    of_classes = [np.full((num, num_classes), NOT_COUNTED) for _ in range(2)]
    return Decisions(np.zeros(num), np.zeros(num, np.int64), *of_classes, *np.full((2, num), NOT_COUNTED))


def _one_by_one(networks: Layers, domain: PlanarDomain) -> Decisions:
    """By ways that know what to do with exact zeros."""
    sizes, counted = boundary_sizes(networks, domain), topology(networks, domain)
    return Decisions(
        sizes.length,
        sizes.pieces,
        counted.num_components,
        counted.num_holes,
        counted.num_boundaries,
        counted.num_closed_boundaries,
    )


def _with_sign(networks: Layers) -> Layers:
    """Networks with one output, which becomes a unit."""
    *hidden, last = networks
    leading = last.bias.shape[:-1]
    nothing = Dense(np.zeros((*leading, 1, 0)), np.zeros((*leading, 0)))
    return (*hidden, last._replace(slope=np.zeros((*leading, 1))), nothing)


def _measured(
    parts: list[PlanarComplex], given: Layers, classes: Int[np.ndarray, " classes"]
) -> tuple[Decisions, Bool[np.ndarray, " networks"]]:
    """What the faces of one class each say of networks; and of which of them it is certain that they are decided as if
    no exact zero had been met."""
    num, num_hidden = len(parts), len(given) - 1
    num_units: int = sum(layer.bias.shape[-1] for layer in given[:-1])
    whole = _side_by_side(parts)
    single = len(classes) == 1
    top = whole.patterns[:, num_units].astype(np.int64) if single else largest_classes(whole.patterns, given, classes)
    num_classes = max(PAIR, len(classes))
    own = whole.network * num_classes + top  # the class of a network
    left, right = whole.edge_faces.T
    is_inner = (left != OUTSIDE) & (right != OUTSIDE)
    differs = is_inner & (top[left] != top[right])
    within = is_inner & ~differs
    beside = whole.edge_faces[differs]

    def numbers(of: np.ndarray) -> np.ndarray:
        return np.bincount(of, minlength=num * num_classes).reshape(num, num_classes)

    def of_networks(of: np.ndarray, weights: Any = None) -> np.ndarray:
        return np.bincount(of, weights, minlength=num)

    # components and holes
    count, label = numbered_components(len(top), whole.edge_faces[within])
    of_component = np.zeros(count, np.int64)
    of_component[label] = own
    num_components = numbers(of_component)
    at = whole.edges[differs]
    meeting = np.bincount(at.ravel(), minlength=len(whole.vertices))  # edges between classes
    is_border = np.zeros(len(whole.vertices), bool)
    is_border[whole.edges[~is_inner]] = True
    of_vertex = np.full(len(whole.vertices), OUTSIDE)
    of_vertex[whole.edges[within]] = own[left[within]][:, None]
    euler = numbers(own) - numbers(own[left[within]]) + numbers(of_vertex[(meeting == 0) & ~is_border])
    # boundaries, as components of their vertices
    met = np.flatnonzero(meeting)
    place = np.zeros(len(meeting), np.int64)
    place[met] = np.arange(len(met))
    count, label = numbered_components(len(met), place[at])
    network, is_open = np.zeros(count, np.int64), np.zeros(count, bool)
    network[label[place[at[:, 0]]]] = whole.network[beside[:, 0]]
    is_open[label[is_border[met]]] = True
    # their pieces: edges of one line that is within a face of the given networks
    patterns = whole.patterns[:, :num_units]
    is_next = np.append(True, (patterns[1:] != patterns[:-1]).any(axis=1) | (np.diff(whole.network) > 0))
    face = np.cumsum(is_next)[beside[:, 0]] - 1
    pairs = np.sort(top[beside], axis=1) @ [num_classes, 1]
    _, first = np.unique(face * num_classes**PAIR + pairs, return_index=True)
    own_network = whole.network[beside[:, 0]]
    step = whole.vertices[at[:, 1]] - whole.vertices[at[:, 0]]
    found = Decisions(
        of_networks(own_network, np.hypot(*step.T)),
        of_networks(own_network[first]),
        num_components,
        num_components - euler,
        of_networks(network),
        of_networks(network[~is_open]),
    )
    most = np.where(is_border[met], 1, _MOST_MEETING)
    is_odd = np.append(whole.edge_layer[differs] < num_hidden, meeting[met] > most)
    is_certain = np.ones(num, bool)
    is_certain[np.append(own_network, network[label])[is_odd]] = False
    return found, is_certain


class _Whole(NamedTuple):
    """Complexes side by side, as far as is needed here."""

    vertices: np.ndarray  # (vertices, 2)
    edges: np.ndarray  # (edges, 2)
    edge_faces: np.ndarray  # (edges, 2)
    edge_layer: np.ndarray  # (edges,)
    patterns: np.ndarray  # (faces, units)
    network: np.ndarray  # (faces,)


def _side_by_side(parts: list[PlanarComplex]) -> _Whole:
    num_vertices, num_edges, num_faces = (
        np.array([len(getattr(each, name)) for each in parts]) for name in ("vertices", "edges", "patterns")
    )

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(each, name) for each in parts])

    def before(numbers: np.ndarray) -> np.ndarray:
        """What is added to numbers in the edges of each complex."""
        return np.repeat(np.cumsum(numbers) - numbers, num_edges)[:, None]

    edge_faces = joined("edge_faces")
    edge_faces = np.where(edge_faces == OUTSIDE, OUTSIDE, edge_faces + before(num_faces))
    return _Whole(
        joined("vertices"),
        joined("edges") + before(num_vertices),
        edge_faces,
        joined("edge_layer"),
        joined("patterns"),
        np.repeat(np.arange(len(parts)), num_faces),
    )
