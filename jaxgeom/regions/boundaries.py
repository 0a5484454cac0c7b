"""[host] Decision boundaries of many networks: how long they are, and in how many pieces, with few calls of the engine.

All that :func:`jaxgeom.decision_boundary` does with the faces of one network is done here with those of all at once,
side by side, which takes a fraction of the time for small networks.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxgeom._reprs import readable
from jaxgeom.domains import Box, PlanarDomain, ProjectiveDomain, exact_domain
from jaxgeom.networks.layers import Layers
from jaxgeom.regions.boundary import boundary_of, check_bounded
from jaxgeom.regions.cells import check_inputs, complexes, complexes_at_once, with_one_axis
from jaxgeom.regions.compared import Compared, as_it_is, cut, signs_of
from jaxgeom.regions.complex import PlanarComplex, side_by_side
from jaxgeom.regions.differences import differences_of

_AT_ONCE = 4
"""Complexes of a network that are held together: as it is, with differences of outputs, cut, and side by side."""


@readable
class BoundarySizes(NamedTuple):
    """Decision boundaries of a population, measured; zero for members with weights that are not finite."""

    length: Float[np.ndarray, " networks"]
    """Length of each boundary."""
    pieces: Int[np.ndarray, " networks"]
    """Straight pieces of each."""


def boundary_sizes(layers: Layers, domain: PlanarDomain) -> BoundarySizes:
    """How long decision boundaries are, those of :func:`jaxgeom.decision_boundary` for each network.

    Args:
        layers: a population with one leading axis, whose networks have two inputs.
        domain: :func:`jaxgeom.box` or :func:`jaxgeom.polygon`.

    Raises:
        ValueError: for other networks and domains.
    """
    start = exact_domain(domain)
    if isinstance(start, Box):
        raise ValueError(f"boundaries have lengths in the plane, but the box has {len(start.low)} dimensions.")
    networks = with_one_axis(check_inputs(layers, start))
    num = len(networks[0].bias)
    length, pieces = np.zeros(num), np.zeros(num, np.int64)
    size = max(1, complexes_at_once(networks) // _AT_ONCE)
    for first in range(0, num, size):
        some = jax.tree.map(lambda array, first=first: array[first : first + size], networks)
        found = complexes(some, start)
        own = np.array([index for index, each in enumerate(found) if each is not None], np.int64)
        if len(own):
            there = [each for each in found if each is not None]
            check_bounded(there[0], "the decision boundary")
            measured = _sizes(jax.tree.map(lambda array, own=own: array[own], some), there, start)
            length[first + own], pieces[first + own] = measured
    return BoundarySizes(length, pieces)


def _sizes(
    networks: Layers, given: list[PlanarComplex], start: ProjectiveDomain
) -> tuple[Float[np.ndarray, " networks"], Int[np.ndarray, " networks"]]:
    """Lengths and pieces of networks that have complexes, which have to be cut along running maxima or not."""
    pairs, differences = differences_of(networks, given, start)
    length, pieces = np.zeros(len(given)), np.zeros(len(given), np.int64)

    def measure(members: np.ndarray, whole: PlanarComplex, compared: Compared) -> None:
        found = boundary_of(whole, compared)
        network = members[np.repeat(np.arange(len(members)), [given[m].num_faces for m in members])[found.face]]
        length[members] = np.bincount(network, found.length, minlength=len(given))[members]
        pieces[members] = np.bincount(network, minlength=len(given))[members]

    everyone = np.arange(len(given))
    whole = side_by_side(given)
    signs = signs_of(whole, pairs, differences)
    compared, to_cut = as_it_is(whole, signs)
    if not len(to_cut):
        measure(everyone, whole, compared)
        return length, pieces
    starts = np.cumsum([0] + [each.num_faces for each in given[:-1]])
    is_cut = np.isin(everyone, np.searchsorted(starts, to_cut, side="right") - 1)
    is_left = np.logical_or.reduceat(signs.is_left, starts, axis=0)
    kinds, kind = np.unique(np.column_stack([is_cut, is_left & is_cut[:, None]]), axis=0, return_inverse=True)
    for number, (cuts, *_) in enumerate(kinds):
        members = np.flatnonzero(kind.ravel() == number)
        whole = side_by_side([given[m] for m in members])
        signs = signs_of(whole, pairs, [differences[m] for m in members])
        own = jax.tree.map(lambda array, members=members: array[members], networks)
        measure(members, whole, cut(whole, signs, own, start) if cuts else as_it_is(whole, signs)[0])
    return length, pieces
