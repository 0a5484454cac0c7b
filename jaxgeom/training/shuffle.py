"""Random orders of the points, without sorting: a small Feistel network with random round functions.

A position is written as two digits, and each round adds a random function of one digit to the other, which is a
bijection of the grid of digits; positions outside of the range walk on until they are back inside. Sorting random
numbers, the customary way, takes longer on a CPU than training a small network for an epoch.

Sources: M. Luby and C. Rackoff, How to construct pseudorandom permutations (SIAM J. Comput. 17, 1988); J. Black and
P. Rogaway, Ciphers with arbitrary finite domains (CT-RSA 2002); R. Mitchell et al., Bandwidth-optimal random
shuffling for GPUs (arXiv:2106.06161), for shuffling by a bijection.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int, Int32, UInt32

from jaxgeom._typing import RandomKey
from jaxgeom.host.inputs import as_key

_ROUNDS = ((64, 16), (1024, 8))
"""Below the first number of points, so many rounds; from there on 6. A random function of few values is a poor one."""


def random_order(key: RandomKey, num_points: int, epoch: int | Int[Array, ""] = 0) -> Int32[Array, " points"]:
    """A pseudorandom permutation of 0 … num_points - 1.

    Args:
        key: decides the permutations.
        num_points: at least one, at most 2^31 - 1.
        epoch: which of the permutations.

    Example:
        >>> import jax, jaxgeom as jg
        >>> sorted(jg.random_order(jax.random.key(0), 5, epoch=1).tolist())
        [0, 1, 2, 3, 4]
    """
    keys = keys_of_epoch(shuffle_keys(as_key(key), num_points), epoch)
    return shuffled(keys, np.arange(num_points), num_points)


def shuffle_keys(key: RandomKey, num_points: int) -> UInt32[Array, "rounds two"]:
    """Keys of the rounds, for permutations of so many points."""
    # A random function of few values is a poor one: more rounds make up for that.
    num_rounds = next((rounds for below, rounds in _ROUNDS if num_points < below), 6)
    return jax.random.bits(key, (num_rounds, 2), jnp.uint32)


def keys_of_epoch(keys: UInt32[Array, "*shape"], epoch: int | Int[Array, ""]) -> UInt32[Array, "*shape"]:
    """Other keys for every epoch: hashed, since a random number generator takes a second to compile."""
    mixed = keys + jnp.asarray(epoch).astype(jnp.uint32) * np.uint32(0x9E3779B9)
    for factor in (0x85EBCA6B, 0xC2B2AE35):
        mixed = (mixed ^ (mixed >> 16)) * np.uint32(factor)
    return mixed ^ (mixed >> 16)


def shuffled(
    keys: UInt32[Array, "rounds two"] | Sequence[Sequence[Array]],
    positions: Int[Array | np.ndarray, " positions"],
    num_points: int,
) -> Int32[Array, " positions"]:
    """The points at some positions of the permutation that the keys stand for.

    Args:
        keys: two of each round: numbers, or arrays with one for each position.
        positions: in the permutation.
        num_points: that are permuted.
    """
    high_base, low_base = _bases(num_points)

    def permuted(order: Array) -> Array:
        high, low = order // np.uint32(low_base), order % np.uint32(low_base)
        for number in range(0, len(keys), 2):
            high = _add(high, _random(low, keys[number], high_base), high_base)
            low = _add(low, _random(high, keys[number + 1], low_base), low_base)
        return high * np.uint32(low_base) + low

    def walk(order: Array) -> Array:
        return jnp.where(order < np.uint32(num_points), order, permuted(order))

    order = permuted(jnp.asarray(positions).astype(jnp.uint32))
    if high_base * low_base > num_points:
        order = lax.while_loop(lambda order: jnp.max(order) >= np.uint32(num_points), walk, order)
    return order.astype(jnp.int32)


def _bases(num_points: int) -> tuple[int, int]:
    """Bases of the digits, of similar size: their product is the number of points, or else a little more."""
    root = math.isqrt(num_points - 1) + 1
    for high_base in range(root, root // 2, -1):
        if num_points % high_base == 0:
            return high_base, num_points // high_base
    return root, -(-num_points // root)


def _random(
    digit: UInt32[Array, " points"], keys: Sequence[Array] | UInt32[Array, " two"], base: int
) -> UInt32[Array, " points"]:
    """A random function of a digit, with values below ``base`` < 2^16: a keyed hash, scaled down."""
    mixed = (digit + keys[0]) * (keys[1] | 1)
    mixed = (mixed ^ (mixed >> 16)) * np.uint32(0x85EBCA6B)
    return ((mixed >> 16) * np.uint32(base)) >> 16


def _add(a: UInt32[Array, " points"], b: UInt32[Array, " points"], base: int) -> UInt32[Array, " points"]:
    """Sum modulo ``base``: where nothing is to be taken off, the difference wraps around and is the larger."""
    total = a + b
    return jnp.minimum(total, total - np.uint32(base))
