"""[host] Linear algebra modulo a prime, for numbers that float64 holds.

Floating-point numbers are integers over powers of two, which have inverses modulo every odd prime. So sums, products
and ranks can be taken in a finite field, without rounding. A rank modulo a prime is never larger than the rank over
the rational numbers, because a minor that is not zero modulo the prime is not zero. It is smaller only if the prime
divides all the largest minors that are not zero.
"""

import numpy as np
from jaxtyping import Float, Int64

PRIMES = (2_147_483_647, 2_147_483_629)
"""The two largest primes below 2^31: products of two residues fit in 63 bits."""


def residues(values: Float[np.ndarray, "*shape"], prime: int) -> Int64[np.ndarray, "*shape"]:
    """The numbers modulo a prime, exactly."""
    fraction, exponent = np.frexp(values)
    mantissa = np.ldexp(fraction, 53).astype(np.int64) % prime
    different, place = np.unique(exponent.astype(np.int64) - 53, return_inverse=True)
    powers = np.array([pow(2, int(power), prime) for power in different], np.int64)
    result: Int64[np.ndarray, "*shape"] = mantissa * powers[place].reshape(np.shape(values)) % prime
    return result


def product(
    left: Int64[np.ndarray, "*#many rows inner"], right: Int64[np.ndarray, "*#many inner columns"], prime: int
) -> Int64[np.ndarray, "*_ rows columns"]:
    """Matrix products modulo a prime."""
    shape = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    total = np.zeros((*shape, left.shape[-2], right.shape[-1]), np.int64)
    for k in range(left.shape[-1]):
        total += left[..., :, k, None] * right[..., None, k, :] % prime
    return total % prime


def echelon(rows: Int64[np.ndarray, "rows columns"], prime: int) -> Int64[np.ndarray, "rank columns"]:
    """A basis of the space that rows span modulo a prime; its length is their rank."""
    rows, rank = rows % prime, 0
    for column in range(rows.shape[1]):
        at = np.flatnonzero(rows[rank:, column])
        if not len(at):
            continue
        rows[[rank, rank + at[0]]] = rows[[rank + at[0], rank]]
        rows[rank] = rows[rank] * pow(int(rows[rank, column]), -1, prime) % prime
        below = rank + 1 + np.flatnonzero(rows[rank + 1 :, column])
        rows[below, column:] = (rows[below, column:] - rows[below, column, None] * rows[rank, column:]) % prime
        rank += 1
        if rank == len(rows):
            break
    return rows[:rank]
