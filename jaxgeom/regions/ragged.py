"""Sets and lists of varying length, for the complexes of :mod:`jaxgeom.regions.planar`; in NumPy and in JAX.

Whatever is given NumPy arrays computes in NumPy, in arrays of just the size that is needed. Under a transformation of
JAX, sizes are fixed capacities, and masks tell what of an array counts; in NumPy these masks are None. Both give the
same numbers. JAX computes indices in int32 whatever the x64 setting, and clamps none: those given are in bounds.

Sets of units are packed into 64-bit words, unit n as bit n mod 64 of word n // 64, on the first axis. Lists of varying
length lie one after the other in one array: their lengths say where each begins, and every entry can be told which
list it is in.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Bool, Float, Int, Shaped, UInt64

WORD_BITS = 64
_LOG_BITS = 6
_SHIFTS = np.arange(WORD_BITS, dtype=np.uint64)

# Which library it is, a static checker cannot follow.
if TYPE_CHECKING:
    Numbers: TypeAlias = Any
else:
    Numbers = Array | np.ndarray
"""Arrays of either library."""

Mask: TypeAlias = Numbers | None
"""What counts; None where all does."""


def namespace(array: Numbers) -> Any:
    """The library that computes with an array: NumPy or jax.numpy."""
    return np if isinstance(array, np.ndarray) else jnp


def upto(num: int, array: Numbers) -> Int[Numbers, " num"]:
    """The indices 0, 1, … of so many entries, in the library of the array."""
    return np.arange(num) if isinstance(array, np.ndarray) else jnp.arange(num, dtype=jnp.int32)


def kept(values: Numbers, mask: Mask, otherwise: float) -> Numbers:
    """The values, with another one in place of what does not count. The mask may lack the last axes."""
    if mask is None:
        return values
    return jnp.where(mask.reshape(*mask.shape, *[1] * (values.ndim - mask.ndim)), values, otherwise)


def rows(array: Shaped[Numbers, "entries ..."], index: Int[Numbers, "..."]) -> Shaped[Numbers, "..."]:
    """``array[index]``."""
    if isinstance(array, np.ndarray) and isinstance(index, np.ndarray):
        return array.take(index, axis=0)
    return _rows(jnp.asarray(array), index)


@custom_vmap
def _rows(array: Array, index: Array) -> Array:
    """Of many arrays at once, too, this is one plain look-up, which compilers join with what follows; JAX would make it
    one with an index of two numbers."""
    rest = jnp.shape(array)[1:]
    dimensions = lax.GatherDimensionNumbers(
        offset_dims=tuple(range(index.ndim, index.ndim + len(rest))), collapsed_slice_dims=(0,), start_index_map=(0,)
    )
    in_bounds = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    return lax.gather(array, index[..., None], dimensions, (1, *rest), mode=in_bounds)


@_rows.def_vmap
def _rows_of_many(size: int, batched: list, array: Array, index: Array) -> tuple[Array, bool]:
    if not batched[0]:
        return _rows(array, index), True
    flat, index = _joined(size, batched, array, index)
    return _rows(flat, index), True


def replaced(
    array: Int[Numbers, " entries"], index: Int[Numbers, " some"], values: Int[Numbers, " some"], mask: Mask = None
) -> Int[Numbers, " entries"]:
    """The array with other values at these indices; where an index comes twice, with one of them."""
    if isinstance(array, np.ndarray):
        array = array.copy()
        array[index] = values
        return array
    if mask is None:
        return _replaced(array, index, values)
    further = jnp.concatenate([array, jnp.zeros(1, array.dtype)])
    return _replaced(further, jnp.where(mask, index, len(array)), values)[:-1]


@custom_vmap
def _replaced(array: Array, index: Array, values: Array) -> Array:
    return array.at[index].set(values, mode="promise_in_bounds")


@_replaced.def_vmap
def _replaced_of_many(size: int, batched: list, array: Array, index: Array, values: Array) -> tuple[Array, bool]:
    array, values = (
        a if is_batched else jnp.broadcast_to(a, (size, *a.shape))
        for a, is_batched in ((array, batched[0]), (values, batched[2]))
    )
    flat, index = _joined(size, [True, batched[1]], array, jnp.clip(index, 0, array.shape[1] - 1))
    return _replaced(flat, index, values).reshape(array.shape), True


@custom_vmap
def _added(array: Array, index: Array, terms: Array) -> Array:
    """The array with terms added at these indices."""
    return array.at[index].add(terms, mode="promise_in_bounds")


@_added.def_vmap
def _added_of_many(size: int, batched: list, array: Array, index: Array, terms: Array) -> tuple[Array, bool]:
    array, terms = (
        a if is_batched else jnp.broadcast_to(a, (size, *a.shape))
        for a, is_batched in ((array, batched[0]), (terms, batched[2]))
    )
    flat, index = _joined(size, [True, batched[1]], array, jnp.clip(index, 0, array.shape[1] - 1))
    return _added(flat, index, terms).reshape(array.shape), True


def _joined(size: int, batched: list, array: Array, index: Array) -> tuple[Array, Array]:
    """Many arrays one after the other, and indices into that."""
    if not batched[1]:
        index = jnp.broadcast_to(index, (size, *index.shape))
    offset = array.shape[1] * jnp.arange(size, dtype=jnp.int32)
    return array.reshape(-1, *array.shape[2:]), index + offset.reshape(-1, *[1] * (index.ndim - 1))


def entries(matrix: Shaped[Numbers, "rows columns"], row: Int[Numbers, "..."], column: Int[Numbers, "..."]) -> Numbers:
    """``matrix[row, column]``, by one index."""
    return rows(matrix.reshape(-1), row * matrix.shape[1] + column)


def columns(words: UInt64[Numbers, "words sets"], index: Int[Numbers, " some"]) -> UInt64[Numbers, "words some"]:
    """The sets with these numbers."""
    if isinstance(words, np.ndarray):
        return words.take(index, axis=1)
    return jnp.stack([_rows(word, index) for word in words])


def packed(bits: Bool[Numbers, "sets units"]) -> UInt64[Numbers, "words sets"]:
    """Sets of units as words."""
    num_sets, num_units = bits.shape
    if isinstance(bits, np.ndarray):
        num_words = max(1, -(-num_units // WORD_BITS))
        wide = np.zeros((num_sets, num_words * WORD_BITS), bool)
        wide[:, :num_units] = bits
        words = np.packbits(wide.reshape(-1), bitorder="little").view("<u8").astype(np.uint64, copy=False)
        return words[None] if num_words == 1 else np.ascontiguousarray(words.reshape(num_sets, num_words).T)
    num_words, size = max(1, -(-num_units // WORD_BITS)), min(num_units, WORD_BITS)
    bits = jnp.pad(bits, ((0, 0), (0, num_words * size - num_units)))
    ones = bits.reshape(num_sets, num_words, size).astype(jnp.uint64) << _SHIFTS[:size]
    return jnp.sum(ones, axis=2, dtype=jnp.uint64).T


def num_bits(words: UInt64[Numbers, "words sets"]) -> Int[Numbers, " sets"]:
    """How many units each set has."""
    if isinstance(words, np.ndarray):
        return np.bitwise_count(words).sum(axis=0, dtype=np.intp)
    return jnp.sum(lax.population_count(words).astype(jnp.int32), axis=0, dtype=jnp.int32)


def bit(unit: Int[Numbers, " sets"], num_words: int) -> UInt64[Numbers, "words sets"]:
    """The set of one unit."""
    xp = namespace(unit)
    one = xp.uint64(1) << (unit & (WORD_BITS - 1)).astype(xp.uint64)
    if num_words == 1:
        return one[None]
    return xp.where(np.arange(num_words)[:, None] == unit >> _LOG_BITS, one, xp.uint64(0))


def below(unit: Int[Numbers, " sets"], num_words: int) -> UInt64[Numbers, "words sets"]:
    """The set of all units of lower number."""
    xp = namespace(unit)
    part = (xp.uint64(1) << (unit & (WORD_BITS - 1)).astype(xp.uint64)) - xp.uint64(1)
    if num_words == 1:
        return part[None]
    word, own = np.arange(num_words)[:, None], unit >> _LOG_BITS
    return xp.where(word < own, ~xp.uint64(0), xp.where(word == own, part, xp.uint64(0)))


def has_bit(
    words: UInt64[Numbers, "words sets"], index: Int[Numbers, " some"], unit: Int[Numbers, " some"]
) -> Bool[Numbers, " some"]:
    """Whether the set with that number has the unit."""
    one = namespace(words).uint64(1)
    return (entries(words, unit >> _LOG_BITS, index) >> (unit & (WORD_BITS - 1)).astype(np.uint64)) & one == one


def _nth_bit(words: Array, rank: Array) -> Array:
    """The unit of that rank in each set, counted from 0; some unit if there are not so many."""
    word, passed, total = jnp.zeros_like(rank), jnp.zeros_like(rank), jnp.zeros_like(rank)
    chosen = words[0]
    for w in range(len(words)):
        is_past = rank >= total
        word, chosen, passed = (
            jnp.where(is_past, new, old) for new, old in ((w, word), (words[w], chosen), (total, passed))
        )
        total = total + lax.population_count(words[w]).astype(jnp.int32)
    rank = rank - passed
    unit = jnp.zeros_like(rank)
    for width in (32, 16, 8, 4, 2, 1):
        low = chosen & jnp.uint64((1 << width) - 1)
        num_low = lax.population_count(low).astype(jnp.int32)
        is_high = rank >= num_low
        unit = jnp.where(is_high, unit + width, unit)
        rank = jnp.where(is_high, rank - num_low, rank)
        chosen = jnp.where(is_high, chosen >> jnp.uint64(width), low)
    return word * WORD_BITS + jnp.minimum(unit, WORD_BITS - 1)


def running_sum(numbers: Int[Numbers, " entries"] | Bool[Numbers, " entries"]) -> Int[Numbers, " entries"]:
    """The sum of each entry and all before it. In JAX on CPUs a plain loop is faster than parallel prefix sums, and
    compiles in a fraction of the time."""
    if isinstance(numbers, np.ndarray):
        return np.cumsum(numbers, dtype=np.intp)
    return lax.platform_dependent(numbers.astype(jnp.int32), cpu=lambda a: _one_by_one(a, jnp.add), default=jnp.cumsum)


def running_xor(words: UInt64[Numbers, "words entries"]) -> UInt64[Numbers, "words entries"]:
    """The exclusive or of each entry and all before it."""
    if isinstance(words, np.ndarray):
        return np.bitwise_xor.accumulate(words, axis=1)

    def at_once(words: Array) -> Array:
        return lax.associative_scan(jnp.bitwise_xor, words, axis=1)

    return lax.platform_dependent(words, cpu=lambda a: _one_by_one(a.T, jnp.bitwise_xor).T, default=at_once)


def _one_by_one(numbers: Array, operation: Callable) -> Array:
    def step(index: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        results, total = carry
        total = operation(total, lax.dynamic_index_in_dim(numbers, index, keepdims=False))
        return lax.dynamic_update_index_in_dim(results, total, index, 0), total

    none = (jnp.zeros_like(numbers), jnp.zeros(numbers.shape[1:], numbers.dtype))
    return lax.fori_loop(jnp.int32(0), jnp.int32(len(numbers)), step, none)[0]


def starts(lengths: Int[Numbers, " lists"]) -> Int[Numbers, " lists"]:
    """Where each list begins."""
    return running_sum(lengths) - lengths


def listed(
    sets: UInt64[Numbers, "words sets"], lengths: Int[Numbers, " sets"], first: Int[Numbers, " sets"], capacity: int
) -> tuple[Int[Numbers, " entries"], Int[Numbers, " entries"], Mask]:
    """All units of all sets, one set after the other, in order: for each its set, the unit, and whether it counts.

    Args:
        sets, lengths: the sets, and how many units each has.
        first: where the units of each begin.
        capacity: room in JAX.
    """
    if isinstance(sets, np.ndarray):
        some = np.flatnonzero(lengths)
        words = np.ascontiguousarray(sets[:, some].T.astype("<u8", copy=False))
        at = np.flatnonzero(np.unpackbits(words.reshape(-1).view(np.uint8), bitorder="little").view(bool))
        unit = at & (WORD_BITS - 1) if len(sets) == 1 else at % (len(sets) * WORD_BITS)
        return np.repeat(some, lengths[some]), unit, None
    marks = _added(jnp.zeros(capacity + 1, jnp.int32), jnp.minimum(first, capacity), jnp.ones_like(first))
    owner = jnp.clip(running_sum(marks[:-1]) - 1, 0, len(lengths) - 1)
    place = jnp.arange(capacity, dtype=jnp.int32)
    is_entry = place < jnp.sum(lengths, dtype=jnp.int32)
    rank = jnp.where(is_entry, place - rows(first, owner), 0)
    return owner, _nth_bit(columns(sets, owner), rank), is_entry


def positions(chosen: Bool[Numbers, " entries"], capacity: int) -> tuple[Int[Numbers, " chosen"], Mask]:
    """Indices of what is chosen, in order, and which of these count."""
    if isinstance(chosen, np.ndarray):
        return np.flatnonzero(chosen), None
    before = running_sum(chosen)
    target = jnp.where(chosen, jnp.minimum(before - 1, capacity), capacity)
    index = jnp.arange(len(chosen), dtype=jnp.int32)
    found = _replaced(jnp.zeros(capacity + 1, jnp.int32), target, index)[:-1]
    return found, jnp.arange(capacity, dtype=jnp.int32) < before[-1]


def inverse(permutation: Int[Numbers, " entries"]) -> Int[Numbers, " entries"]:
    """Which entry goes where, from where each entry goes."""
    return replaced(permutation, permutation, upto(len(permutation), permutation))


def in_order(
    owner: Int[Numbers, " entries"],
    is_entry: Mask,
    lengths: Int[Numbers, " lists"],
    first: Int[Numbers, " lists"],
    value: Float[Numbers, " entries"],
    error: Float[Numbers, " entries"],
    longest: int,
) -> tuple[Int[Numbers, " entries"], Bool[Numbers, " entries"]]:
    """Put the entries of each list in order of their values, from 0 to 1.

    Args:
        owner: the list of each entry; lists lie one after the other.
        is_entry: which entries count.
        lengths, first: of the lists.
        value, error: what to order by, and bounds of its error.
        longest: bound of the length of a list, in JAX.

    Returns:
        Which entry stands at each place, and which ones are too close to others to tell.
    """
    if isinstance(owner, np.ndarray) or is_entry is None:
        order = np.arange(len(owner))
        unclear = np.zeros(len(owner), bool)
        several = np.flatnonzero(lengths[owner] > 1)
        at = value[several]
        at = np.where(at > 0, np.minimum(at, 1), 0)  # NaN, too, stays in its list
        # Where the sum's rounding puts two in the wrong order, a gap between neighbours is negative.
        order[several] = sequence = several[np.argsort(2 * owner[several] + at)]
        before, after = sequence[:-1], sequence[1:]
        gap, doubt = value[after] - value[before], error[after] + error[before]
        unclear[after] = (owner[before] == owner[after]) & ~(gap > doubt)
        return order, unclear
    num_before, is_unclear = _num_before(jnp.where(is_entry, owner, -1), value, error, longest)
    place = jnp.arange(len(owner), dtype=jnp.int32)
    return inverse(jnp.where(is_entry, rows(first, owner) + num_before, place)), is_unclear


def _num_before(owner: Array, value: Array, error: Array, longest: int) -> tuple[Array, Array]:
    """How many of the same list come before each entry, by comparison with all others there; and which are unclear."""
    size, per_round = len(owner), 4
    rounds = -(-(longest - 1) // per_round)
    pad = rounds * per_round
    wide = [jnp.pad(array, pad, constant_values=fill) for array, fill in ((owner, -2), (value, 0), (error, 0))]

    def compare(offset: Array | int, carry: tuple, is_later: bool) -> tuple:
        count, unclear = carry
        o, v, e = (lax.dynamic_slice_in_dim(array, pad + offset, size) for array in wide)
        is_same = (o == owner) & (owner >= 0)
        comes_before = is_same & ((v < value) if is_later else (v <= value))
        return count + comes_before, unclear | (is_same & ~(jnp.abs(v - value) > e + error))

    def body(number: Array, carry: tuple) -> tuple:
        for shift in range(1, per_round + 1):
            offset = number * per_round + shift
            carry = compare(offset, compare(-offset, carry, False), True)
        return carry

    none = (jnp.zeros(size, jnp.int32), jnp.zeros(size, bool))
    return lax.fori_loop(0, rounds, body, none) if rounds > 1 else body(jnp.int32(0), none) if rounds else none


NOTHING = -1
"""Stands for an entry that does not exist."""

_TABLE = 1 << 22
"""NumPy's tables have so many entries at most; longer ones are gone through part by part."""


def pairs(
    key: Int[Numbers, " entries"], mask: Bool[Numbers, " entries"], size: int, capacity: int
) -> tuple[Int[Numbers, " pairs"], Int[Numbers, " pairs"], Mask, Bool[Numbers, " entries"]]:
    """Entries come in pairs with the same key.

    Args:
        key: from 0 to ``size`` - 1.
        mask: which entries take part.
        size: number of keys.
        capacity: room for pairs in JAX.

    Returns:
        The first and the second entry of each pair, in order of the first ones; which pairs count; and for which
        entries there are more or fewer than two of the same key.
    """
    if isinstance(key, np.ndarray):
        some = np.flatnonzero(mask)
        key = key[some]
        last = np.empty(len(some), np.int32)
        for part, first in _parts(key, size):
            table = np.empty(min(size, _TABLE), np.int32)
            at = key[part] - first
            table[at] = np.arange(len(some), dtype=np.int32)[part]
            last[part] = table[at]
        earlier = np.flatnonzero(last != np.arange(len(some), dtype=np.int32))
        later = last[earlier]
        back = np.full(len(some), NOTHING, np.intp)
        back[later] = earlier
        is_odd = np.zeros(len(mask), bool)
        if 2 * len(earlier) != len(some) or (back[later] != earlier).any():
            _, number, counts = np.unique(key, return_inverse=True, return_counts=True)
            is_odd[some] = counts[number] != 2
        return some[earlier], some[later], None, is_odd
    own = jnp.arange(1, len(key) + 1, dtype=jnp.int32)
    key = jnp.where(mask, key, size)
    sums = _added(jnp.zeros(size + 1, jnp.int32), key, own)
    partner = jnp.where(mask, jnp.clip(rows(sums, key) - own - 1, 0, len(key) - 1), NOTHING)
    there = jnp.maximum(partner, 0)
    is_mutual = (rows(partner, there) == own - 1) & (rows(key, there) == key) & (partner != own - 1)
    start, is_pair = positions(mask & (partner >= own), capacity)
    return start, rows(there, start), is_pair, mask & ~is_mutual


def looked_up(
    key: Int[Numbers, " entries"], mask: Mask, wanted: Int[Numbers, " some"], size: int
) -> Int[Numbers, " some"]:
    """Which entry has each of the wanted keys; no key comes twice. Keys are from 0 to ``size`` - 1."""
    if isinstance(key, np.ndarray):
        found = np.empty(len(wanted), np.intp)
        for (part, first), (some, _) in zip(_parts(key, size), _parts(wanted, size), strict=True):
            table = np.zeros(min(size, _TABLE), np.int32)
            table[key[part] - first] = np.arange(len(key), dtype=np.int32)[part]
            found[some] = table[wanted[some] - first]
        return found
    table = replaced(jnp.zeros(size, jnp.int32), key, jnp.arange(len(key), dtype=jnp.int32), mask)
    return rows(table, jnp.clip(wanted, 0, size - 1))


def _parts(key: np.ndarray, size: int) -> list[tuple[Any, int]]:
    """The entries by parts of the table: for each, which they are, and the first key of the part."""
    num = -(-size // _TABLE)
    if num <= 1:
        return [(slice(None), 0)]
    part = key // _TABLE
    order = np.argsort(part, kind="stable")
    bounds = np.searchsorted(part[order], np.arange(num + 1))
    return [(order[bounds[i] : bounds[i + 1]], i * _TABLE) for i in range(num)]
