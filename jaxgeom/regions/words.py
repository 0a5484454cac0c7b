"""Sets of units packed into 32-bit words, unit n as bit n mod 32 of word n // 32, on the last axis."""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int32, UInt32

WORD_BITS = 32
_SHIFTS = np.arange(WORD_BITS, dtype=np.uint32)


def packed(bits: Bool[Array, "rows units"]) -> UInt32[Array, "rows words"]:
    """Sets of units as words."""
    num_words = -(-bits.shape[1] // WORD_BITS)
    size = min(bits.shape[1], WORD_BITS)
    bits = jnp.pad(bits, ((0, 0), (0, num_words * size - bits.shape[1])))
    return jnp.sum(bits.reshape(-1, num_words, size).astype(jnp.uint32) << _SHIFTS[:size], axis=2, dtype=jnp.uint32)


def num_bits(words: UInt32[Array, "*sets words"]) -> Int32[Array, "*sets"]:
    """How many units each set has."""
    return jnp.sum(lax.population_count(words).astype(jnp.int32), axis=-1, dtype=jnp.int32)


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
