"""Sets and lists of varying length in arrays of fixed size, for the complexes of :mod:`jaxgeom.regions.planar`.

Sets of units are packed into 32-bit words, unit n as bit n mod 32 of word n // 32, on the last axis. Lists of varying
length lie one after the other in one array: their lengths say where each begins, and every entry can be told which
list it is in. All functions work on int32 whatever the x64 setting, and clamp no index: those given are in bounds.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Bool, Float, Int32, Shaped, UInt32

WORD_BITS = 32
_SHIFTS = np.arange(WORD_BITS, dtype=np.uint32)


@custom_vmap
def rows(array: Shaped[Array, "entries ..."], index: Int32[Array, "..."]) -> Shaped[Array, "..."]:
    """``array[index]``. Of many arrays at once, too, this is one plain look-up, which compilers join with what follows;
    JAX would make it one with an index of two numbers."""
    array, rest = jnp.asarray(array), jnp.shape(array)[1:]
    dimensions = lax.GatherDimensionNumbers(
        offset_dims=tuple(range(index.ndim, index.ndim + len(rest))), collapsed_slice_dims=(0,), start_index_map=(0,)
    )
    in_bounds = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    return lax.gather(array, index[..., None], dimensions, (1, *rest), mode=in_bounds)


@rows.def_vmap
def _rows_of_many(size: int, batched: list, array: Array, index: Array) -> tuple[Array, bool]:
    if not batched[0]:
        return rows(array, index), True
    flat, index = _joined(size, batched, array, index)
    return rows(flat, index), True


@custom_vmap
def added(array: Int32[Array, " entries"], index: Int32[Array, "..."], terms: Int32[Array, "..."]) -> Array:
    """The array with terms added at these indices."""
    return array.at[index].add(terms, mode="promise_in_bounds")


@added.def_vmap
def _added_of_many(size: int, batched: list, array: Array, index: Array, terms: Array) -> tuple[Array, bool]:
    array, terms = (
        a if is_batched else jnp.broadcast_to(a, (size, *a.shape))
        for a, is_batched in ((array, batched[0]), (terms, batched[2]))
    )
    flat, index = _joined(size, [True, batched[1]], array, jnp.clip(index, 0, array.shape[1] - 1))
    return added(flat, index, terms).reshape(array.shape), True


@custom_vmap
def replaced(array: Int32[Array, " entries"], index: Int32[Array, "..."], values: Int32[Array, "..."]) -> Array:
    """The array with other values at these indices; where an index comes twice, with one of them."""
    return array.at[index].set(values, mode="promise_in_bounds")


@replaced.def_vmap
def _replaced_of_many(size: int, batched: list, array: Array, index: Array, values: Array) -> tuple[Array, bool]:
    array, values = (
        a if is_batched else jnp.broadcast_to(a, (size, *a.shape))
        for a, is_batched in ((array, batched[0]), (values, batched[2]))
    )
    flat, index = _joined(size, [True, batched[1]], array, jnp.clip(index, 0, array.shape[1] - 1))
    return replaced(flat, index, values).reshape(array.shape), True


def _joined(size: int, batched: list, array: Array, index: Array) -> tuple[Array, Array]:
    """Many arrays one after the other, and indices into that."""
    if not batched[1]:
        index = jnp.broadcast_to(index, (size, *index.shape))
    offset = array.shape[1] * jnp.arange(size, dtype=jnp.int32)
    return array.reshape(-1, *array.shape[2:]), index + offset.reshape(-1, *[1] * (index.ndim - 1))


def entries(matrix: Shaped[Array, "rows columns"], row: Int32[Array, "..."], column: Int32[Array, "..."]) -> Array:
    """``matrix[row, column]``, by one index."""
    return rows(matrix.reshape(-1), row * matrix.shape[1] + column)


def packed(bits: Bool[Array, "rows units"]) -> UInt32[Array, "rows words"]:
    """Sets of units as words."""
    num_words = -(-bits.shape[1] // WORD_BITS)
    size = min(bits.shape[1], WORD_BITS)
    bits = jnp.pad(bits, ((0, 0), (0, num_words * size - bits.shape[1])))
    return jnp.sum(bits.reshape(-1, num_words, size).astype(jnp.uint32) << _SHIFTS[:size], axis=2, dtype=jnp.uint32)


def num_bits(words: UInt32[Array, "*sets words"]) -> Int32[Array, "*sets"]:
    """How many units each set has."""
    return jnp.sum(lax.population_count(words).astype(jnp.int32), axis=-1, dtype=jnp.int32)


def bit(unit: Int32[Array, "*sets"], num_words: int) -> UInt32[Array, "*sets words"]:
    """The set of one unit."""
    word = jnp.arange(num_words, dtype=jnp.int32)
    one = jnp.uint32(1) << (unit % WORD_BITS).astype(jnp.uint32)
    return jnp.where(word == unit[..., None] // WORD_BITS, one[..., None], jnp.uint32(0))


def below(unit: Int32[Array, "*sets"], num_words: int) -> UInt32[Array, "*sets words"]:
    """The set of all units of lower number."""
    word = jnp.arange(num_words, dtype=jnp.int32)
    own = unit[..., None] // WORD_BITS
    part = (jnp.uint32(1) << (unit % WORD_BITS).astype(jnp.uint32)) - jnp.uint32(1)
    return jnp.where(word < own, jnp.uint32(0xFFFFFFFF), jnp.where(word == own, part[..., None], jnp.uint32(0)))


def has_bit(
    words: UInt32[Array, "sets words"], row: Int32[Array, "..."], unit: Int32[Array, "..."]
) -> Bool[Array, "..."]:
    """Whether the set in that row has the unit."""
    return (entries(words, row, unit // WORD_BITS) >> (unit % WORD_BITS).astype(jnp.uint32)) & 1 == 1


def nth_bit(words: UInt32[Array, "sets words"], rank: Int32[Array, " sets"]) -> Int32[Array, " sets"]:
    """The unit of that rank in each set, counted from 0; some unit if there are not so many."""
    word = jnp.zeros_like(rank)
    chosen = words[:, 0]
    passed = jnp.zeros_like(rank)
    total = jnp.zeros_like(rank)
    for w in range(words.shape[1]):
        is_past = rank >= total
        word, chosen, passed = (
            jnp.where(is_past, new, old) for new, old in ((w, word), (words[:, w], chosen), (total, passed))
        )
        total = total + lax.population_count(words[:, w]).astype(jnp.int32)
    rank = rank - passed
    unit = jnp.zeros_like(rank)
    for width in (16, 8, 4, 2, 1):
        low = chosen & jnp.uint32((1 << width) - 1)
        num_low = lax.population_count(low).astype(jnp.int32)
        is_high = rank >= num_low
        unit = jnp.where(is_high, unit + width, unit)
        rank = jnp.where(is_high, rank - num_low, rank)
        chosen = jnp.where(is_high, chosen >> jnp.uint32(width), low)
    return word * WORD_BITS + jnp.minimum(unit, WORD_BITS - 1)


def running_sum(numbers: Int32[Array, " entries"] | Bool[Array, " entries"]) -> Int32[Array, " entries"]:
    """The sum of each entry and all before it. On CPUs a plain loop is faster than parallel prefix sums, and compiles
    in a fraction of the time."""

    def one_by_one(numbers: Array) -> Array:
        def add(index: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            sums, total = carry
            total = total + lax.dynamic_index_in_dim(numbers, index, keepdims=False)
            return lax.dynamic_update_index_in_dim(sums, total, index, 0), total

        return lax.fori_loop(jnp.int32(0), jnp.int32(len(numbers)), add, (jnp.zeros_like(numbers), jnp.int32(0)))[0]

    return lax.platform_dependent(numbers.astype(jnp.int32), cpu=one_by_one, default=jnp.cumsum)


def starts(lengths: Int32[Array, " lists"]) -> Int32[Array, " lists"]:
    """Where each list begins."""
    return running_sum(lengths) - lengths


def expanded(
    lengths: Int32[Array, " lists"], first: Int32[Array, " lists"], capacity: int
) -> tuple[Int32[Array, " entries"], Int32[Array, " entries"], Bool[Array, " entries"]]:
    """For each entry its list, its place in the list, and whether it is one; the lists begin at ``first``."""
    marks = jnp.zeros(capacity + 1, jnp.int32)
    marks = added(marks, jnp.minimum(first, capacity), jnp.ones_like(first))
    owner = jnp.clip(running_sum(marks[:-1]) - 1, 0, len(lengths) - 1)
    entry = jnp.arange(capacity, dtype=jnp.int32)
    is_entry = entry < jnp.sum(lengths, dtype=jnp.int32)
    return owner, jnp.where(is_entry, entry - rows(first, owner), 0), is_entry


def positions(chosen: Bool[Array, " entries"], capacity: int) -> Int32[Array, " chosen"]:
    """Indices of what is chosen, in order; then zeros."""
    target = jnp.where(chosen, jnp.minimum(running_sum(chosen) - 1, capacity), capacity)
    return replaced(jnp.zeros(capacity + 1, jnp.int32), target, jnp.arange(len(chosen), dtype=jnp.int32))[:-1]


def inverse(permutation: Int32[Array, " entries"]) -> Int32[Array, " entries"]:
    """Which entry goes where, from where each entry goes."""
    index = jnp.arange(len(permutation), dtype=jnp.int32)
    return replaced(jnp.zeros_like(permutation), permutation, index)


def in_order(
    owner: Int32[Array, " entries"],
    is_entry: Bool[Array, " entries"],
    value: Float[Array, " entries"],
    error: Float[Array, " entries"],
    longest: int,
    unit: Int32[Array, " entries"],
    num_words: int,
) -> tuple[Int32[Array, " entries"], UInt32[Array, "entries words"], Bool[Array, ""]]:
    """Order of the values within each list, by comparison with all others there.

    Args:
        owner: the list of each entry; lists lie one after the other.
        is_entry: which entries count.
        value, error: what to order by, and bounds of its error.
        longest: bound of the length of a list.
        unit, num_words: what the set of those that come before is made of; no set if ``num_words`` is 0.

    Returns:
        How many come before each entry, the set of their units, and whether two were too close to tell.
    """
    size, per_round = len(owner), 4
    reach = longest - 1
    rounds = -(-reach // per_round)
    pad = rounds * per_round
    owner = jnp.where(is_entry, owner, -1)
    wide = [
        jnp.pad(array, pad, constant_values=constant)
        for array, constant in ((owner, -2), (value, 0), (error, 0), (unit, 0))
    ]

    def compare(offset: Array | int, carry: tuple, is_later: bool) -> tuple:
        count, passed, unclear = carry
        o, v, e, u = (lax.dynamic_slice_in_dim(array, pad + offset, size) for array in wide)
        is_same = (o == owner) & (owner >= 0)
        comes_before = is_same & ((v < value) if is_later else (v <= value))
        unclear = unclear | (is_same & ~(jnp.abs(v - value) > e + error))
        if num_words:
            passed = passed ^ jnp.where(comes_before[:, None], bit(u, num_words), jnp.uint32(0))
        return count + comes_before, passed, unclear

    def body(number: Array, carry: tuple) -> tuple:
        for shift in range(1, per_round + 1):
            offset = number * per_round + shift
            carry = compare(offset, compare(-offset, carry, False), True)
        return carry

    none = (jnp.zeros(size, jnp.int32), jnp.zeros((size, num_words), jnp.uint32), jnp.zeros(size, bool))
    carry = lax.fori_loop(0, rounds, body, none) if rounds > 1 else body(jnp.int32(0), none) if rounds else none
    return carry[0], carry[1], jnp.any(carry[2])
