"""[host] Distinct patterns and distinct maps of one network by NumPy, whose programs are compiled already.

The rules, and so the results, are those of :mod:`jaxgeom.regions.grid.distinct_patterns` and
:mod:`jaxgeom.regions.grid.distinct_maps`, which XLA takes seconds to compile; on a CPU what follows here is as fast.
"""

import numpy as np
from jaxtyping import Float, Int, UInt32

from jaxgeom.host.sizes import power_of_two

_FACTORS = np.array([0x85EBCA6B, 0xC2B2AE35], np.uint32)
_FEW_PAIRS = 32
"""So many pairs of rows in neighbouring bins, for each row, are looked at one by one."""


def first_columns(words: UInt32[np.ndarray, "words points"]) -> Int[np.ndarray, " columns"]:
    """The columns that no earlier column equals, in ascending order.

    Every column is hashed to a slot of a table that its first column wins; those that share a slot with other words
    try again with another hash.
    """
    num = words.shape[1]
    if not len(words):
        return np.arange(min(num, 1))
    size = power_of_two(max(2, 2 * num))
    table = np.empty(size, np.intp)
    pending, found, salt = np.arange(num), [], 0
    while len(pending):
        salt += 1
        some = words if len(pending) == num else words[:, pending]
        slot = (_mixed(some, salt) & np.uint32(size - 1)).astype(np.intp)
        places = np.arange(len(pending))
        table[slot[::-1]] = places[::-1]  # of several, the last assignment holds
        winner = table[slot]
        is_equal = np.ones(len(pending), bool)
        for row in some:
            is_equal &= row[winner] == row
        found.append(pending[winner == places])
        pending = pending[~is_equal]
    return np.sort(np.concatenate(found))


def _mixed(words: UInt32[np.ndarray, "words points"], salt: int) -> UInt32[np.ndarray, " points"]:
    """A 32-bit hash of each column: multiply and shift, word by word (after MurmurHash3's finaliser)."""
    state = np.full(words.shape[1], salt * 0x9E3779B9 & 0xFFFFFFFF, np.uint32)
    for row in words:
        state = (state ^ row) * _FACTORS[0]
        state = (state ^ (state >> np.uint32(15))) * _FACTORS[1]
        state ^= state >> np.uint32(13)
    return state


def num_kept(rows: Float[np.ndarray, "rows values"], atol: float) -> int:
    """How many rows the rule "first come, first kept" keeps: those with no kept row before them nearer than atol."""
    if not rows.size:
        return min(len(rows), 1)
    columns = np.ascontiguousarray(rows.T)
    with np.errstate(over="ignore", invalid="ignore"):
        crowded = _crowded(columns, atol)
        kept = len(rows) - len(crowded)
        near = columns[:, crowded]
        while near.shape[1]:
            kept += 1
            near = near[:, 1:][:, ~(_squared_distance(near[:, 1:], near[:, :1]) < atol**2)]
    return kept


def _crowded(columns: Float[np.ndarray, "values rows"], atol: float) -> Int[np.ndarray, " crowded"]:
    """The rows that have another one near them; or all, if too many pairs are candidates."""
    num = columns.shape[1]
    widest = columns[np.argmax(np.ptp(columns, axis=1))]
    bins = np.floor(np.clip(widest / atol, -(2.0**52), 2.0**52))
    order = np.argsort(bins, kind="stable")
    bins = bins[order]
    reach = np.searchsorted(bins, bins + 1, side="right") - np.arange(1, num + 1)
    total = int(reach.sum())
    if np.isnan(widest).any() or total > _FEW_PAIRS * num:
        return np.arange(num)
    first = np.repeat(np.arange(num), reach)
    second = first + 1 + np.arange(total) - np.repeat(np.cumsum(reach) - reach, reach)
    pairs = order[np.stack([first, second])]
    is_near = _squared_distance(columns[:, pairs[0]], columns[:, pairs[1]]) < atol**2
    return np.unique(pairs[:, is_near])


def _squared_distance(a: Float[np.ndarray, "values _"], b: Float[np.ndarray, "values _"]) -> Float[np.ndarray, " _"]:
    """Sums of squares in the order of the values, as in :mod:`jaxgeom.regions.grid.distinct_maps`."""
    total: Float[np.ndarray, " _"] = (a[0] - b[0]) ** 2
    for x, y in zip(a[1:], b[1:], strict=True):
        total += (x - y) ** 2
    return total
