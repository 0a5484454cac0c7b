"""[host] Regions of one hidden layer whose lines are in general position: fast where certain, or else it says so.

Lines of which no three meet in one point inside the polygon, and no two on its boundary except at vertices, make

    1 + lines that cross it + pairs of them that meet inside

cells (Buck 1943). Two lines meet inside iff the ends of their chords alternate along the boundary. So there are three
things to make sure of, none of which needs all triples of lines:

- on which side of each line the vertices are, or that they are exactly on it;
- the order of the chords' ends along the boundary: sorted, no two are within each other's error;
- that no three lines meet in one point. On one of the three, two meetings would be one point; so it is enough that no
  two of the meetings on a line coincide in one coordinate: in the first one on lines that are rather flat, and in the
  second one on others. Coordinates become integers of 32 bits, and those of each line are sorted: rows of some hundred
  such numbers are sorted within the processor's registers, at less than a tenth of the cost of one long row.

Units are arranged in a ring, and each takes those that follow it as partners, up to two thirds around. So each pair
occurs, some once and some twice; and of any three units there is one after which both others come within two thirds,
since one of the three gaps is a third or more. All partners of a unit are one stretch of memory, and every step of the
loop is elementwise work on long vectors.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Int32

from jaxgeom.layers import Dense
from jaxgeom.regions.arrangement import EPS, is_single, values_at

_LEAST_SINE = 2.0**-16  # of lines' angles; few meet at smaller ones, and places of the rest are known well enough
_MOST_UNROLLED = 8  # edges of a polygon that are written out: twice as fast as a loop, and longer to compile
_PLACE_ERROR = 4 * EPS  # see _meetings
_LEAST = 1e-250  # what is smaller may have lost digits to underflow
_ONE = 2**30
"""The integer that stands for a place at one. Places are scaled to lie between minus one and one."""
_NOWHERE = _ONE + _ONE // 2
"""What comes from here on stands for pairs that do not meet inside."""
_UNKNOWN = -(2**31)
"""Stands for pairs that meet inside and are so nearly parallel that the place is uncertain."""


class _Lines(NamedTuple):
    """Lines a x + b y + c = 0, and their chords."""

    a: Float[Array, "networks lines"]
    b: Float[Array, "networks lines"]
    c: Float[Array, "networks lines"]
    start: Float[Array, "networks lines"]
    """Where the chord's first end is along the boundary, in [0, vertices); infinite if the line does not cross."""
    stop: Float[Array, "networks lines"]
    """Where its other end is; minus infinity if the line does not cross."""


class _Found(NamedTuple):
    """What the compiled part finds."""

    is_sure: Bool[Array, " networks"]
    """Whether it is certain on which sides of the lines all vertices are."""
    num_lines: Int[Array, " networks"]
    """How many lines cross the polygon."""
    num_meetings: Int[Array, " networks"]
    """How many pairs of them meet inside."""
    ends: Float[Array, "networks ends"]
    """Where chords end along the boundary. Lines that do not cross have numbers of their own beyond all others, and so
    have ends at vertices, which are known exactly, and for which no other end is taken."""
    end_error: Float[Array, " networks"]
    """Largest error of the ends."""
    places: Int32[Array, "networks units partners"]
    """Where lines meet their partners inside: one of the two coordinates, as an integer. Pairs that do not meet have
    numbers of their own from _NOWHERE on, which go down from one unit to the next."""


def general_counts(
    hidden: Dense, vertices: Float[np.ndarray, "vertices 2"], *, size: int | None = None
) -> tuple[Int[np.ndarray, " networks"], Bool[np.ndarray, " networks"]]:
    """Counts of a population of hidden layers, and which of them are certain; the others mean nothing.

    Args:
        hidden: kernel (networks, 2, units) and bias in float64, no coefficient of which is greater than one.
        vertices: the polygon's vertices in order.
        size: what the population is filled up to, so that it shares a program with others.
    """
    num = len(hidden.bias)
    if size is not None and num < size:
        hidden = jax.tree.map(lambda array: array[np.minimum(np.arange(size), num - 1)], hidden)
    reach = float(np.abs(vertices).max())
    # Lines that cross a polygon of such reach have weights of one over it, if not more.
    least = _LEAST_SINE / max(1.0, reach) / max(1.0, reach)
    scale = 2.0 ** -np.ceil(np.log2(reach))
    # Both places may be off by this, and by one half each as they become integers.
    error = 2 * _PLACE_ERROR * (1 + reach) * scale / max(least, _LEAST) * _ONE + 1
    step = int(min(error + 2, (2**31 - _NOWHERE) // (hidden.bias.shape[1] + 1) ** 2))
    with jax.enable_x64(True):
        found = _find(hidden, vertices, least, scale, np.int32(step))
    found = jax.tree.map(np.asarray, found)
    places = np.sort(found.places, axis=-1)
    is_certain = found.is_sure & (places[:, :, 0].min(axis=1) > _UNKNOWN) & (error < step)
    # From one line to the next the numbers go down, so that the difference, without a sign, is huge. Where they do not,
    # because a line meets all of its partners, a small difference costs no more than certainty.
    places = places.reshape(len(places), -1).view(np.uint32)
    is_certain &= np.min(places[:, 1:] - places[:, :-1], axis=-1) > error
    ends = np.sort(found.ends, axis=-1)
    is_certain &= np.min(ends[:, 1:] - ends[:, :-1], axis=-1) > 2 * found.end_error
    count = 1 + found.num_lines.astype(np.int64) + found.num_meetings
    return count[:num], is_certain[:num]


def num_partners(units: int) -> int:
    """How many partners each of so many units has."""
    units += 1 - units % 2
    return min(-(-(2 * units // 3) // 8) * 8, units - 1)  # whole vectors are faster


@jax.jit
def _find(
    hidden: Dense,
    vertices: Float[Array, "vertices 2"],
    least: Float[Array, ""],
    scale: Float[Array, ""],
    step: Int32[Array, ""],
) -> _Found:
    """All chords, and all meetings, one unit after the other.

    Args:
        hidden: as above.
        vertices: as above.
        least: determinant of two lines below which it is uncertain where they meet.
        scale: of places, a power of two.
        step: between the numbers of pairs that do not meet.
    """
    # With an odd number of units, each pair is less than half around the ring once. A unit of zeros is nowhere.
    coefficients = jnp.concatenate([hidden.kernel, hidden.bias[:, None]], axis=1)
    coefficients = jnp.pad(coefficients, ((0, 0), (0, 0), (0, 1 - coefficients.shape[2] % 2)))
    num, _, units = coefficients.shape
    partners = num_partners(units)
    first, second, constant = (coefficients[:, row] for row in range(3))
    start, stop, end_error, is_sure = _chords((first, second, constant), vertices)
    lines = _Lines(first, second, constant * scale, start, stop)
    ring = [jnp.concatenate([array, array[:, :partners]], axis=1) for array in lines]
    apart = step * jnp.arange(partners, dtype=jnp.int32)

    def of_unit(unit: Array, places: Array) -> Array:
        one = _Lines(*(lax.dynamic_slice_in_dim(array, unit, 1, axis=1) for array in lines))
        others = _Lines(*(lax.dynamic_slice_in_dim(array, unit + 1, partners, axis=1) for array in ring))
        meets, place = _meetings(one, others, least)
        nowhere = _NOWHERE + step * partners * (units - 1 - unit) + apart
        row = jnp.where(meets, place, nowhere)[:, None]
        return lax.dynamic_update_slice_in_dim(places, row, unit, axis=1)

    places = lax.fori_loop(np.int32(0), units, of_unit, jnp.zeros((num, units, partners), jnp.int32))
    ends = jnp.concatenate([start, stop], axis=1)
    is_open = (ends != jnp.floor(ends)) & jnp.tile(start < stop, 2)
    return _Found(
        jnp.all(is_sure, axis=1),
        jnp.sum(start < stop, axis=1, dtype=jnp.int32),
        jnp.sum(places[:, :, : units // 2] < _NOWHERE, axis=(1, 2), dtype=jnp.int32),
        jnp.where(is_open, ends, len(vertices) + 1 + jnp.arange(2.0 * units)),
        jnp.max(end_error, axis=1),
        places,
    )


def _meetings(
    lines: _Lines, others: _Lines, least: Float[Array, ""]
) -> tuple[Bool[Array, "networks lines"], Int32[Array, "networks lines"]]:
    """Which lines meet others inside, and where: unknown where the determinant is below the least.

    With d and e what is lost of the numerator and the denominator, the quotient is off by (d - x e) / denominator and
    eps x / 2. Coefficients are at most 1, so that products lose eps / 2 each and their difference eps: d and e are at
    most 2 eps. A meeting inside has |x| <= reach, and so its error is below 4 eps (1 + reach) / denominator.
    """
    a, b, c, start, stop = lines
    other_a, other_b, other_c, other_start, other_stop = others
    meets = ((start < other_start) & (other_start < stop) & (stop < other_stop)) | (
        (other_start < start) & (start < other_stop) & (other_stop < stop)
    )
    denominator = a * other_b - b * other_a
    is_flat = jnp.abs(a) <= jnp.abs(b)  # on others, the second coordinate with its sign changed
    of_line, of_other = jnp.where(is_flat, b, a), jnp.where(is_flat, other_b, other_a)
    place = (of_line * other_c - c * of_other) / denominator
    # After this addition, the last 32 of the number's bits are the place as an integer.
    bits = lax.bitcast_convert_type(place + 1.5 * 2.0**52 / _ONE, jnp.int64)
    return meets, jnp.where(jnp.abs(denominator) > least, bits.astype(jnp.int32), _UNKNOWN)


def _chords(
    lines: tuple[Float[Array, "networks lines"], Float[Array, "networks lines"], Float[Array, "networks lines"]],
    vertices: Float[Array, "vertices 2"],
) -> tuple[
    Float[Array, "networks lines"],
    Float[Array, "networks lines"],
    Float[Array, "networks lines"],
    Bool[Array, "networks lines"],
]:
    """Where the chords start and stop, the larger error of the two, and whether the sides of the vertices are sure."""
    num = len(vertices)
    first, second, constant = lines
    has_exact_products = is_single(first) & is_single(second) & is_single(constant) & jnp.all(is_single(vertices))
    widest = jnp.max(jnp.abs(vertices), axis=0)
    size = jnp.abs(first) * widest[0] + jnp.abs(second) * widest[1] + jnp.abs(constant)

    def value(vertex: Array | int) -> tuple[Array, Array]:
        z, error = values_at(lines, (vertices[vertex, 0], vertices[vertex, 1]), has_exact_products)
        return z, (jnp.abs(z) > error + _LEAST) | ((z == 0) & (error == 0))

    def edge(index: Array | int, found: tuple[Array, ...]) -> tuple[Array, ...]:
        z, start, stop, error, is_sure, is_positive = found
        following, is_following_sure = value((index + 1) % num)
        changes = (z < 0) != (following < 0)
        inverse = 1 / jnp.abs(z - following)
        end = index + jnp.abs(z) * inverse
        is_between = (end > index) & (end < index + 1)
        is_sure &= is_following_sure & (~changes | (z == 0) | (following == 0) | is_between)
        end = jnp.where(following == 0, (index + 1.0) % num, jnp.where(z == 0, index, end))
        return (
            following,
            jnp.where(changes & (end < start), end, start),
            jnp.where(changes & (end > stop), end, stop),
            jnp.where(changes, jnp.maximum(error, 8 * EPS * (size * inverse + num)), error),
            is_sure,
            is_positive | (following > 0),
        )

    z, is_sure = value(0)
    nowhere = jnp.full_like(z, jnp.inf)
    found: tuple[Array, ...] = (z, nowhere, -nowhere, jnp.zeros_like(z), is_sure, z > 0)
    if num <= _MOST_UNROLLED:
        for index in range(num):
            found = edge(index, found)
    else:
        found = lax.fori_loop(0, num, edge, found)
    _, start, stop, error, is_sure, is_positive = found
    # A line that only touches the polygon changes its sign twice, too.
    start, stop = jnp.where(is_positive, start, jnp.inf), jnp.where(is_positive, stop, -jnp.inf)
    # Through the same two vertices there may be several lines, and nothing would tell.
    is_sure &= ~(start < stop) | (start != jnp.floor(start)) | (stop != jnp.floor(stop))
    return start, stop, error, is_sure
