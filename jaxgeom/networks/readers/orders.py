"""[edge] Numbers in order, and running maxima, as networks of comparisons: of two numbers, one unit gives the larger
and the smaller one."""

from collections.abc import Sequence

import numpy as np

from jaxgeom.networks.readers.expressions import (
    Tape,
    Values,
    below_relu,
    concatenated,
    minus,
    places_of,
    plus,
    rearranged,
    reshaped,
    scaled,
    select,
    unit,
)
from jaxgeom.networks.readers.operations import NotLinear

_MOST_SORTED = 256
"""Numbers that are put in order, along an axis; a network for n of them has n log²(n) / 4 comparisons."""

_MOST_COMPARED = 2**20


def in_order(
    tape: Tape, values: Values, axis: int, name: str, *, descending: bool = False, num: int | None = None
) -> Values:
    """The numbers along an axis in ascending or descending order, all or the first ``num`` of them."""
    turned = rearranged(values, lambda places: np.moveaxis(places, axis, -1))
    length = turned.shape[-1] if turned.shape else 0
    num = length if num is None else num
    if length > _MOST_SORTED:
        raise NotLinear(f"it puts {length:,} numbers in order; at most {_MOST_SORTED} are read")
    if not 0 <= num <= length:
        raise ValueError(f"{num} of {length} numbers are asked for")

    def ordered(inner: Values) -> Values:
        found = scaled(inner, -1.0) if descending else inner
        for pairs in _needed(_comparisons(length), num):
            found = _compared(tape, found, pairs, name)
        return scaled(found, -1.0) if descending else found

    found = below_relu(tape, turned, ordered)
    return rearranged(found, lambda places: np.moveaxis(places[..., :num], -1, axis))


def running_extreme(
    tape: Tape, values: Values, axis: int, name: str, *, sign: float = 1.0, reverse: bool = False
) -> Values:
    """The largest (sign 1) or smallest (sign -1) of all numbers up to each one along an axis."""

    def turn(places: np.ndarray) -> np.ndarray:
        moved = np.moveaxis(places, axis, -1)
        return moved[..., ::-1] if reverse else moved

    found = scaled(rearranged(values, turn), sign)
    step = 1
    while step < found.shape[-1]:
        before = rearranged(found, lambda places, step=step: places[..., :-step])  # type: ignore[misc]
        behind = rearranged(found, lambda places, step=step: places[..., step:])  # type: ignore[misc]
        _check(len(behind.const))
        above = unit(tape, minus(before, behind), 0.0, name)
        carried = unit(tape, found, 1.0, name)
        rest = rearranged(carried, lambda places, step=step: places[..., step:])  # type: ignore[misc]
        first = rearranged(carried, lambda places, step=step: places[..., :step])  # type: ignore[misc]
        found = concatenated([first, plus(above, rest)], len(found.shape) - 1)
        step *= 2
    found = scaled(found, sign)
    return rearranged(found, lambda places: np.moveaxis(places[..., ::-1] if reverse else places, -1, axis))


def _comparisons(length: int) -> list[list[tuple[int, int]]]:
    """Batcher's merge exchange sort: places that are compared at once, the smaller number going to the first one."""
    stages = []
    top = 1 << max(length - 1, 0).bit_length() >> 1
    step = top
    while step:
        reach, offset, apart = top, 0, step
        while True:
            stages.append([(i, i + apart) for i in range(length - apart) if i & step == offset])
            if reach == step:
                break
            apart, reach, offset = reach - step, reach // 2, step
        step //= 2
    return stages


def _needed(stages: list[list[tuple[int, int]]], num: int) -> list[list[tuple[int, int]]]:
    """The comparisons that the first ``num`` numbers depend on."""
    used, found = set(range(num)), []
    for stage in reversed(stages):
        pairs = [pair for pair in stage if used.intersection(pair)]
        used.update(*pairs)
        found.append(pairs)
    return [pairs for pairs in reversed(found) if pairs]


def _compared(tape: Tape, values: Values, pairs: Sequence[tuple[int, int]], name: str) -> Values:
    """The smaller number of each pair in the first place, the larger one in the second."""
    first, second = np.array(pairs).T
    places = places_of(values)
    _check(places[..., first].size)
    above = unit(tape, minus(select(values, places[..., first]), select(values, places[..., second])), 0.0, name)
    carried = unit(tape, values, 1.0, name)
    lower = minus(select(carried, places[..., first]), above)
    upper = plus(select(carried, places[..., second]), above)
    whole = concatenated([reshaped(part, (-1,)) for part in (carried, lower, upper)], 0)
    size, of_pair = places.size, np.arange(places[..., first].size).reshape(*places.shape[:-1], -1)
    places = places.copy()
    places[..., first], places[..., second] = size + of_pair, size + of_pair.size + of_pair
    return select(whole, places)


def _check(num: int) -> None:
    if num > _MOST_COMPARED:
        raise NotLinear(f"it compares {num:,} pairs of numbers at once; at most {_MOST_COMPARED:,} are read")
