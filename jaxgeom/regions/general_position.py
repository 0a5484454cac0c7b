"""[host] Regions of one hidden layer whose lines are in general position: fast where certain, or else it says so.

Lines of which no three meet in one point inside the polygon, and no two on its boundary except at vertices, make

    1 + lines that cross it + pairs of them that meet inside

cells (Buck 1943). Two lines meet inside iff the ends of their chords alternate along the boundary. So there are three
things to make sure of, none of which needs all triples of lines:

- on which side of each line the vertices are, or that they are exactly on it;
- the order of the chords' ends along the boundary: sorted, no two are within each other's error;
- that no three lines meet in one point. Three that did would make three of the meetings one point; so it is enough that
  no three of all the meetings coincide in one coordinate. That takes one sort of as many numbers as there are meetings.
  The coordinate runs in a direction that no line of ordinary weights has.

Pairs are taken by the distance of their numbers, modulo the number of units: each unit with the next one, then with the
next but one, and so on. All networks' first units come first, then all second ones, so that the partners of all units
are one stretch of memory, and every step of the loop is elementwise work on long vectors.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxgeom.layers import Dense
from jaxgeom.regions.arrangement import EPS, is_single, values_at

_DIRECTION = (0.5403023058681398, 0.8414709848078965)
"""Along which meetings are compared: one radian, off all directions that weights have by design."""
_LEAST_SINE = 2.0**-16  # of lines' angles; few meet at smaller ones, and places of the rest are known well enough
_MOST_UNROLLED = 8  # edges of a polygon that are written out: twice as fast as a loop, and longer to compile
_LEAST = 1e-250  # what is smaller may have lost digits to underflow


class _Lines(NamedTuple):
    """Lines a x + b y + c = 0, where x runs along the direction, and their chords."""

    a: Float[Array, " lines"]
    b: Float[Array, " lines"]
    c: Float[Array, " lines"]
    start: Float[Array, " lines"]
    """Where the chord's first end is along the boundary, in [0, vertices); infinite if the line does not cross."""
    stop: Float[Array, " lines"]
    """Where its other end is; minus infinity if the line does not cross."""


class _Found(NamedTuple):
    """What the compiled part finds."""

    is_sure: Bool[Array, " networks"]
    """Whether it is certain on which sides of the lines all vertices are."""
    num_lines: Int[Array, " networks"]
    """How many lines cross the polygon."""
    ends: Float[Array, "ends networks"]
    """Where chords end along the boundary; infinite for lines that do not cross, and for ends at vertices, which are
    known exactly, and for which no other end is taken."""
    end_error: Float[Array, " networks"]
    """Largest error of the ends."""
    places: Float[Array, "pairs networks"]
    """Where lines meet inside, as coordinates along the direction; infinite where they do not, and NaN where they are
    so nearly parallel that the place is uncertain."""
    place_error: Float[Array, " networks"]
    """Largest error of the places."""


def general_counts(
    hidden: Dense, vertices: Float[np.ndarray, "vertices 2"]
) -> tuple[Int[np.ndarray, " networks"], Bool[np.ndarray, " networks"]]:
    """Counts of a population of hidden layers, and which of them are certain; the others mean nothing.

    Args:
        hidden: kernel (networks, 2, units) and bias in float64, no coefficient of which is greater than one.
        vertices: the polygon's vertices in order.
    """
    with jax.enable_x64(True):
        found = jax.tree.map(np.asarray, _find(hidden, vertices))
    have_common_end, _ = _coincide(found.ends.T, found.end_error, 2)
    have_common_place, num_places = _coincide(found.places.T, found.place_error, 3)
    count = 1 + found.num_lines.astype(np.int64) + num_places
    return count, found.is_sure & ~have_common_end & ~have_common_place


def _coincide(
    numbers: Float[np.ndarray, "networks numbers"], error: Float[np.ndarray, " networks"], num: int
) -> tuple[Bool[np.ndarray, " networks"], Int[np.ndarray, " networks"]]:
    """Whether some ``num`` of a network's numbers may be one, if they are known up to an error; infinite ones are none,
    and NaN may be anything.

    Returns:
        that, and how many numbers are finite.
    """
    ordered = np.array(numbers, order="C")
    ordered.sort(axis=-1)  # NaN comes last
    num_finite = np.where(ordered[:, -1] < np.inf, ordered.shape[1], (ordered == np.inf).argmax(axis=-1))
    is_tied = np.isnan(ordered[:, -1]) | ~np.isfinite(error)
    ordered = ordered[:, : max(num_finite.max(initial=0), num)]
    with np.errstate(invalid="ignore"):  # infinite minus infinite is no tie
        is_tied |= np.any(ordered[:, num - 1 :] - ordered[:, : 1 - num] <= 2 * error[:, None], axis=-1)
    return is_tied, num_finite


@jax.jit
def _find(hidden: Dense, vertices: Float[Array, "vertices 2"]) -> _Found:
    """All chords, and all meetings, one distance after the other."""
    coefficients = jnp.concatenate([hidden.kernel, hidden.bias[:, None]], axis=1).transpose(1, 2, 0)
    # With an odd number of units, each pair has one distance. A unit of zeros is nowhere.
    coefficients = jnp.pad(coefficients, ((0, 0), (0, 1 - coefficients.shape[1] % 2), (0, 0)))
    _, units, num = coefficients.shape
    first, second, constant = coefficients.reshape(3, -1)
    start, stop, end_error, is_sure = _chords((first, second, constant), vertices)
    cos, sin = _DIRECTION
    lines = _Lines(cos * first + sin * second, cos * second - sin * first, constant, start, stop)
    following = [jnp.concatenate([array, array[: units // 2 * num]]) for array in lines]
    reach = jnp.max(jnp.abs(vertices) @ jnp.asarray(_DIRECTION))
    # Lines that cross a polygon of such reach have weights of one over it, if not more.
    least = _LEAST_SINE / jnp.maximum(1, reach) ** 2

    def step(distance: Array, places: Array) -> Array:
        others = (lax.dynamic_slice(array, ((distance + 1) * num,), (units * num,)) for array in following)
        return places.at[distance].set(_meetings(lines, _Lines(*others), least))

    places = lax.fori_loop(0, units // 2, step, jnp.zeros((units // 2, units * num)))
    ends = jnp.stack([start, stop])
    is_open = (start < stop) & (ends != jnp.floor(ends))

    def of_networks(array: Array) -> Array:
        return array.reshape(-1, num)

    return _Found(
        jnp.all(of_networks(is_sure), axis=0),
        jnp.sum(of_networks(start < stop), axis=0, dtype=jnp.int32),
        of_networks(jnp.where(is_open, ends, jnp.inf)),
        jnp.max(of_networks(end_error), axis=0),
        of_networks(places),
        jnp.full(num, (24 * EPS) * (1 + reach) / least),
    )


def _meetings(lines: _Lines, others: _Lines, least: Float[Array, ""]) -> Float[Array, " lines"]:
    """Where lines meet others inside, as coordinates along the direction; NaN if the denominator is below the least.

    With d and e what is lost of the numerator and the denominator, the quotient is off by (d - x e) / denominator.
    Coefficients are at most 1, and 1.4 after the change of coordinates, in which 1.4 eps is lost: d is below 6 eps,
    e is below 12 eps. A meeting inside has |x| <= reach, and so its error is below 24 eps (1 + reach) / denominator.
    """
    a, b, c, start, stop = lines
    other_a, other_b, other_c, other_start, other_stop = others
    meets = ((start < other_start) & (other_start < stop) & (stop < other_stop)) | (
        (other_start < start) & (start < other_stop) & (other_stop < stop)
    )
    denominator = a * other_b - b * other_a
    place = jnp.where(jnp.abs(denominator) > least, (b * other_c - c * other_b) / denominator, jnp.nan)
    return jnp.where(meets, place, jnp.inf)


def _chords(
    lines: tuple[Float[Array, " lines"], Float[Array, " lines"], Float[Array, " lines"]],
    vertices: Float[Array, "vertices 2"],
) -> tuple[
    Float[Array, " lines"],
    Float[Array, " lines"],
    Float[Array, " lines"],
    Bool[Array, " lines"],
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
