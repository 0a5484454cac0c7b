"""[host] Cycles of half-edges, which are the faces of a planar complex: where each begins, and which belong to it.

The first half-edge of a cycle, the one of lowest number, is lower than both of its neighbours. From all half-edges of
which that is true walks set out along their cycles at once; one that comes upon a lower number than it began with is
given up, one that comes back has found its cycle. Nearly all are given up after a step or two, so that all walks
together take hardly more steps than there are half-edges. Then the cycles are gone through once more, all at the same
pace and the longest ones first, so that those that are still on their way are always the first so many.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int

OUTSIDE = -1
"""Stands for the face of half-edges that belong to none."""


def strays(
    following: Int[np.ndarray, " halfedges"], is_inside: Bool[np.ndarray, " halfedges"]
) -> Int[np.ndarray, " strays"]:
    """The half-edges that no other one leads to, though they lie inside: without any, there are cycles only.

    Args:
        following: the half-edge that follows each; outside, that is itself.
        is_inside: which half-edges belong to a face.
    """
    own = np.arange(len(following))
    is_alone = np.ones(len(following), bool)
    is_alone[following] = False
    is_alone |= (following == own) & is_inside
    return np.flatnonzero(is_alone)


def cycles(following: Int[np.ndarray, " halfedges"]) -> tuple[Int[np.ndarray, " cycles"], Int[np.ndarray, " cycles"]]:
    """The lowest half-edge of each cycle, in order, and how long the cycle is; half-edges that follow themselves are
    none.

    Args:
        following: the half-edge that follows each; a permutation.
    """
    is_low = following > np.arange(len(following))
    is_preceded = np.empty(len(following), bool)
    is_preceded[following] = is_low
    is_low &= ~is_preceded
    begin = np.flatnonzero(is_low)
    current = following.take(begin)
    length, steps = np.zeros(len(following), np.intp), 1
    while len(begin):
        current = following.take(current)
        steps += 1
        length[begin.take(np.flatnonzero(current == begin))] = steps
        on = np.flatnonzero(current > begin)
        begin, current = begin.take(on), current.take(on)
    first = np.flatnonzero(length)
    return first, length.take(first)


def paces(
    following: Int[np.ndarray, " halfedges"], first: Int[np.ndarray, " cycles"], length: Int[np.ndarray, " cycles"]
) -> Iterator[tuple[Int[np.ndarray, " some"], Int[np.ndarray, " some"]]]:
    """Go through all cycles at one pace: at each step the numbers of those that are not through, and where they are."""
    order, counts = longest_first(length)
    current = first.take(order)
    for num in counts:
        current = current[:num]
        yield order[:num], current
        current = following.take(current)


def longest_first(length: Int[np.ndarray, " lists"]) -> tuple[Int[np.ndarray, " lists"], list[int]]:
    """The order of lists from the longest to the shortest, and how many are longer than 0, 1, 2, …"""
    longest = int(length.max(initial=0))
    shortness = (longest - length).astype(np.min_scalar_type(longest))  # few bits are sorted faster
    counts = np.cumsum(np.bincount(shortness, minlength=longest + 1))[:longest]
    return np.argsort(shortness, kind="stable"), counts[::-1].tolist()


def labels(
    following: Int[np.ndarray, " halfedges"], first: Int[np.ndarray, " cycles"], length: Int[np.ndarray, " cycles"]
) -> Int[np.ndarray, " halfedges"]:
    """The cycle that each half-edge belongs to."""
    found = np.full(len(following), OUTSIDE)
    for number, current in paces(following, first, length):
        found[current] = number
    return found


def in_turn(
    following: Int[np.ndarray, " halfedges"], first: Int[np.ndarray, " cycles"], length: Int[np.ndarray, " cycles"]
) -> tuple[Int[np.ndarray, " offsets"], Int[np.ndarray, " corners"]]:
    """Where each cycle begins in the list of their half-edges, one cycle after the other, and that list."""
    offsets = np.concatenate([[0], np.cumsum(length)])
    found = np.empty(offsets[-1], np.intp)
    for step, (number, current) in enumerate(paces(following, first, length)):
        found[offsets.take(number) + step] = current
    return offsets, found
