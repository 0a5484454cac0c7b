"""Cycles of half-edges, against walks from one to the next; and what they stand for if there are none."""

import numpy as np
import pytest

from jaxgeom.regions.cycles import OUTSIDE, cycles, in_turn, labels, longest_first, strays


def walked(following):
    """Each cycle of more than one half-edge, from its lowest."""
    found, seen = [], set()
    for begin in range(len(following)):
        if begin not in seen:
            cycle = [begin]
            while (after := int(following[cycle[-1]])) != begin:
                cycle.append(after)
            seen.update(cycle)
            found += [cycle] if len(cycle) > 1 else []
    return found


def of_lengths(rng, lengths):
    """A random permutation with cycles of these lengths."""
    order = rng.permutation(sum(lengths))
    following = np.empty(len(order), np.intp)
    for part in np.split(order, np.cumsum(lengths)[:-1]):
        following[part] = np.roll(part, -1)
    return following


@pytest.mark.parametrize("lengths", [[3], [1, 1], [2, 7, 1, 3], [1, 300, 4, 4, 4, 1], [3] * 50, [5, 2, 40] * 9])
def test_cycles_are_those_of_walks(lengths):
    for seed in range(5):
        following = of_lengths(np.random.default_rng(seed), lengths)
        expected = walked(following)
        first, length = cycles(following)
        assert first.tolist() == [cycle[0] for cycle in expected]
        assert length.tolist() == [len(cycle) for cycle in expected]
        offsets, listed = in_turn(following, first, length)
        assert [part.tolist() for part in np.split(listed, offsets[1:-1])] == (expected or [[]])
        number = np.full(len(following), OUTSIDE)
        for index, cycle in enumerate(expected):
            number[cycle] = index
        np.testing.assert_array_equal(labels(following, first, length), number)


def test_the_order_of_lists():
    order, counts = longest_first(np.array([2, 5, 3, 5]))
    assert order.tolist() == [1, 3, 2, 0]
    assert counts == [4, 4, 3, 2, 2]
    order, counts = longest_first(np.zeros(0, np.intp))
    assert order.tolist() == counts == []


def test_strays():
    inside = np.ones(5, bool)
    assert strays(np.array([1, 2, 0, 4, 3]), inside).tolist() == []
    assert strays(np.array([1, 2, 0, 0, 3]), inside).tolist() == [4]  # two lead to 0, none to 4
    assert strays(np.array([1, 2, 0, 4, 4]), inside).tolist() == [3, 4]
    inside[4] = False
    assert strays(np.array([1, 2, 0, 4, 4]), inside).tolist() == [3]
    assert strays(np.array([1, 2, 0, 3, 4]), np.arange(5) < 3).tolist() == []
