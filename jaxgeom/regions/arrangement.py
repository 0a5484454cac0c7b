"""Exact number of regions of a network with one hidden layer, on a convex polygon.

Each hidden unit cuts the polygon along a line, so that the regions are the cells of an arrangement of lines. Lines
are added one after the other: a line that crosses the polygon and is not there yet adds one cell, and one more for
every distinct point inside the polygon at which it meets earlier lines. Hence

    count = 1 + sum over distinct crossing lines of (1 + distinct interior points shared with earlier lines),

which also holds for parallel lines, for several lines through one point, and for lines through vertices
(Zaslavsky 1975; Buck 1943). Two lines meet inside iff the ends of their chords alternate along the boundary:
no intersection is computed to decide that.

All decisions are made in float64 with error bounds. Pre-activations at the vertices of float32 networks are sums
of exact products, whose rounding errors are recovered (Knuth's two-sum), so that a line through a vertex is known
to be exactly there: trained networks have such lines as a rule. Where a decision lies within its error bound, the
result is marked ``degenerate``, and :func:`jaxgeom.count_regions` decides it anew in exact integer arithmetic
(:mod:`jaxgeom.regions.rational`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int32

from jaxgeom._reprs import readable
from jaxgeom.contract import times
from jaxgeom.given import as_float64
from jaxgeom.layers import Dense

EPS = float(np.finfo(np.float64).eps)
_TINY = 1e-290  # products below may have lost digits to underflow


@readable
class ArrangementCount(NamedTuple):
    """Cells that one hidden layer cuts a polygon into."""

    count: Int32[Array, ""]  # type: ignore[assignment]
    """Number of cells. Where ``degenerate``, near ties are taken as ties."""
    num_lines: Int32[Array, ""]
    """Number of distinct lines that cross the interior of the polygon."""
    degenerate: Bool[Array, ""]
    """Whether some decision lay within rounding error, so that ``count`` is not certain."""


class _Chords(NamedTuple):
    """Where each line enters and leaves the polygon, as positions along its boundary in [0, vertices)."""

    crosses: Bool[Array, " lines"]
    start: Float[Array, " lines"]
    stop: Float[Array, " lines"]
    error: Float[Array, " lines"]
    start_at_vertex: Bool[Array, " lines"]
    stop_at_vertex: Bool[Array, " lines"]
    uncertain: Bool[Array, " lines"]


class Arrangement(NamedTuple):
    """Lines across a polygon, their meetings counted in pairs, and what tells whether that is right."""

    num_lines: Int32[Array, ""]
    """Number of distinct lines that cross the interior."""
    num_pairs: Int32[Array, ""]
    """Number of pairs of them that meet inside."""
    uncertain: Bool[Array, ""]
    """Whether some other decision lay within rounding error."""
    ends: Float[Array, " ends"]
    """Positions of the ends of all chords along the boundary; infinite for what does not cross."""
    end_errors: Float[Array, " ends"]
    is_at_vertex: Bool[Array, " ends"]
    """Ends that are known to lie exactly at a vertex."""
    places: Float[Array, "lines lines"]
    """Where along each line earlier ones meet it, from 0 to 1; NaN where they do not."""
    place_errors: Float[Array, " lines"]


def arrangement_count(layer: Dense, vertices: Float[Array | np.ndarray, "vertices 2"]) -> ArrangementCount:
    """Count the cells that the units of one layer cut a convex polygon into.

    Works under ``jit`` and ``vmap``, in float64 whatever the x64 setting. Zero columns never cut, and so serve as
    padding. Memory grows with the square of the number of units.

    Args:
        layer: the hidden layer, kernel (2, units).
        vertices: the polygon's vertices in order, see :func:`jaxgeom.polygon_vertices`.
    """
    with jax.enable_x64(True):
        result = _arrangement_count(*jax.tree.map(as_float64, (layer, vertices)))
        return result._replace(degenerate=result.degenerate | _has_subnormal(layer) | _has_subnormal(vertices))


@jax.jit
def _arrangement_count(layer: Dense, vertices: Float[Array, "vertices 2"]) -> ArrangementCount:
    return counted(arrangement(layer, vertices), jnp)


def counted(found: Arrangement, xp: Any) -> ArrangementCount:
    """The count of an arrangement, or of many at once.

    Args:
        found: from :func:`arrangement`, possibly with a leading axis.
        xp: ``jax.numpy``, or on the host ``numpy``, which sorts numbers ten times as fast on CPUs.
    """
    # Ends that lie within each other's error: intervals overlap iff one begins before all earlier ones have ended.
    order = xp.argsort(found.ends - found.end_errors, axis=-1)
    ends, errors, is_at_vertex = (
        xp.take_along_axis(array, order, axis=-1) for array in (found.ends, found.end_errors, found.is_at_vertex)
    )
    reach = xp.where(xp.isfinite(ends), ends + errors, -xp.inf)
    cumulative = lax.cummax(reach, axis=reach.ndim - 1) if xp is jnp else np.maximum.accumulate(reach, axis=-1)
    is_known = is_at_vertex[..., 1:] & is_at_vertex[..., :-1]
    overlaps = (ends - errors)[..., 1:] <= cumulative[..., :-1]
    uncertain = found.uncertain | xp.any(overlaps & ~is_known & xp.isfinite(ends[..., 1:]), axis=-1)
    # Distinct places along each line; several lines through one point are counted once. NaN comes last, and is no tie.
    places = xp.sort(found.places, axis=-1)
    is_tie = places[..., 1:] <= places[..., :-1] + 2 * found.place_errors[..., None]
    num_ties = xp.count_nonzero(is_tie, axis=(-2, -1)).astype(np.int32)
    count = 1 + found.num_lines + found.num_pairs - num_ties
    return ArrangementCount(count, found.num_lines, uncertain | (num_ties > 0))


def arrangement(layer: Dense, vertices: Float[Array, "vertices 2"]) -> Arrangement:
    """Cut a polygon by the lines of one layer; both in float64."""
    # Rows of `lines` are (w1, w2, b) of the line w1 x + w2 y + b = 0.
    lines = jnp.concatenate([layer.kernel, layer.bias[None]]).T
    has_exact_products = jnp.all(is_single(lines), axis=1) & jnp.all(is_single(vertices))
    chords = _chords(lines, vertices, has_exact_products)
    is_same, same_uncertain = _coincidences(lines, chords, has_exact_products)
    earlier = jnp.tri(lines.shape[0], k=-1, dtype=bool)
    is_new = chords.crosses & ~jnp.any(is_same & earlier, axis=1)
    meets = _meetings(chords) & is_new[:, None] & is_new[None, :] & earlier
    places, errors = _places(lines, chords, vertices)
    error = jnp.max(jnp.where(meets, errors, 0), axis=1, initial=0.0)
    # Positions run around the boundary: an end just before its beginning is one just after it, too.
    ends = jnp.where(is_new, jnp.stack([chords.start, chords.stop]), jnp.inf).reshape(-1)
    wrapped = jnp.any(is_new & (chords.stop + chords.error >= vertices.shape[0]) & ~chords.stop_at_vertex)
    return Arrangement(
        jnp.sum(is_new, dtype=jnp.int32),
        jnp.sum(meets, dtype=jnp.int32),
        jnp.any(chords.uncertain) | jnp.any(same_uncertain) | wrapped,
        ends,
        jnp.tile(chords.error, 2),
        jnp.concatenate([chords.start_at_vertex, chords.stop_at_vertex]),
        jnp.where(meets, places, jnp.nan),
        error,
    )


def _chords(
    lines: Float[Array, "lines 3"],
    vertices: Float[Array, "vertices 2"],
    has_exact_products: Bool[Array, " lines"],
) -> _Chords:
    columns = lines[:, :1], lines[:, 1:2], lines[:, 2:]
    z, error = values_at(columns, (vertices[:, 0], vertices[:, 1]), has_exact_products[:, None])
    is_lost = ~(jnp.abs(z) > 2 * error)
    uncertain = jnp.any(is_lost & (error > 0), axis=1)
    z = jnp.where(is_lost, 0.0, z)
    crosses = jnp.any(z > 0, axis=1) & jnp.any(z < 0, axis=1)
    following = jnp.roll(z, -1, axis=1)
    rises = (z < 0) & (following >= 0)
    falls = (z >= 0) & (following < 0)
    uncertain |= crosses & ((jnp.sum(rises, axis=1) != 1) | (jnp.sum(falls, axis=1) != 1))
    drop = jnp.where(z == following, 1.0, z - following)
    fraction = jnp.clip(z / drop, 0.0, 1.0)
    num = vertices.shape[0]
    size = times(jnp.abs(lines[:, :2]), jnp.max(jnp.abs(vertices), axis=0)) + jnp.abs(lines[:, 2])

    def end(changes: Bool[Array, "lines vertices"]) -> tuple[Array, Array, Array]:
        edge = lax.argmax(changes, 1, jnp.int32)[:, None]
        at_edge = [jnp.take_along_axis(array, edge, axis=1)[:, 0] for array in (fraction, drop, z, following)]
        position = (edge[:, 0] + at_edge[0]) % num
        at_vertex = (at_edge[2] == 0) | (at_edge[3] == 0)
        return position, 8 * EPS * (size / jnp.abs(at_edge[1]) + num), at_vertex

    ends = [end(changes) for changes in (rises, falls)]
    is_swapped = ends[0][0] > ends[1][0]
    (start, start_at), (stop, stop_at) = (
        tuple(jnp.where(is_swapped, ends[1 - i][part], ends[i][part]) for part in (0, 2)) for i in (0, 1)
    )
    return _Chords(
        crosses,
        start,
        stop,
        jnp.maximum(ends[0][1], ends[1][1]),
        start_at,
        stop_at,
        uncertain,
    )


def values_at(
    lines: tuple[Array, Array, Array], points: tuple[Array, Array], has_exact_products: Array
) -> tuple[Array, Array]:
    """Value of each line's function at each point, with a bound of its error that is 0 where it is exact.

    Args:
        lines: coefficients w1, w2 and b of w1 x + w2 y + b, in shapes that go with those of the points.
        points: coordinates x and y.
        has_exact_products: of the lines' coefficients with the coordinates, in float64.
    """
    (w1, w2, c), (x, y) = lines, points
    a, b = w1 * x, w2 * y
    c = jnp.broadcast_to(c, a.shape)
    first, lost_first = _two_sum(a, b)
    total, lost = _two_sum(first, c)
    inexact = jnp.where(has_exact_products, 0.0, 4 * EPS * (jnp.abs(a) + jnp.abs(b) + jnp.abs(c)))
    # A product that underflows is not exact, nor is anything that overflows or is no number.
    may_underflow = ((jnp.abs(a) < _TINY) & (w1 != 0) & (x != 0)) | ((jnp.abs(b) < _TINY) & (w2 != 0) & (y != 0))
    error = jnp.abs(lost_first) + jnp.abs(lost) + inexact + jnp.where(may_underflow, 2 * _TINY, 0.0)
    return total, jnp.where(jnp.isfinite(total) & jnp.isfinite(error), error, jnp.inf)


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum, and what rounding lost (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _coincidences(
    lines: Float[Array, "lines 3"], chords: _Chords, has_exact_products: Bool[Array, " lines"]
) -> tuple[Bool[Array, "lines lines"], Bool[Array, "lines lines"]]:
    """Which pairs are one line: their coefficients are proportional."""
    a, b = lines[:, None, :], lines[None, :, :]
    difference = [jnp.abs(a[..., i] * b[..., j] - a[..., j] * b[..., i]) for i, j in ((0, 1), (0, 2), (1, 2))]
    scale = [jnp.abs(a[..., i] * b[..., j]) + jnp.abs(a[..., j] * b[..., i]) for i, j in ((0, 1), (0, 2), (1, 2))]
    both_cross = chords.crosses[:, None] & chords.crosses[None, :]
    is_near = both_cross
    is_equal = both_cross
    for d, s in zip(difference, scale, strict=True):
        is_near &= d <= 4 * EPS * s
        is_equal &= d == 0
    is_exact = has_exact_products[:, None] & has_exact_products[None, :]
    off_diagonal = ~jnp.eye(lines.shape[0], dtype=bool)
    return is_near, is_near & ~(is_equal & is_exact) & off_diagonal


def _meetings(chords: _Chords) -> Bool[Array, "lines lines"]:
    """Which pairs of chords cross in the interior: their ends alternate along the boundary."""
    a, c, b, d = chords.start[:, None], chords.stop[:, None], chords.start[None, :], chords.stop[None, :]
    return ((a < b) & (b < c) & (c < d)) | ((b < a) & (a < d) & (d < c))


def _places(
    lines: Float[Array, "lines 3"], chords: _Chords, vertices: Float[Array, "vertices 2"]
) -> tuple[Float[Array, "lines lines"], Float[Array, "lines lines"]]:
    """Where along each line (row) the others (columns) cross it, from 0 to 1, with a bound of the error."""
    size = jnp.max(jnp.abs(vertices), axis=0)
    magnitude = times(jnp.abs(lines[:, :2]), size) + jnp.abs(lines[:, 2])
    following = jnp.roll(vertices, -1, axis=0)

    def point(position: Float[Array, " lines"]) -> Float[Array, "lines 2"]:
        edge = jnp.minimum(jnp.floor(position).astype(jnp.int32), vertices.shape[0] - 1)
        fraction = (position - edge)[:, None]
        return vertices[edge] + fraction * (following[edge] - vertices[edge])

    def value(points: Float[Array, "lines 2"]) -> Float[Array, "lines lines"]:
        return points[:, :1] * lines[:, 0] + points[:, 1:] * lines[:, 1] + lines[:, 2]

    at_start, at_stop = value(point(chords.start)), value(point(chords.stop))
    span = jnp.abs(at_start - at_stop)
    # An end of the chord is off by at most `error` edge lengths, which are at most twice `size`.
    error = (8 * EPS + 2 * chords.error[:, None]) * magnitude[None, :]
    safe = jnp.where(span > 0, span, 1.0)
    return at_start / jnp.where(span > 0, at_start - at_stop, 1.0), 2 * error / safe


def _has_subnormal(arrays: Dense | Array | np.ndarray) -> Bool[Array, ""]:
    """Whether some number is so small that the hardware takes it for zero. Only its bits tell."""
    found = jnp.asarray(False)
    for array in map(jnp.asarray, jax.tree.leaves(arrays)):
        if jnp.issubdtype(array.dtype, jnp.floating):
            info = jnp.finfo(array.dtype)
            bits = lax.bitcast_convert_type(array, f"uint{info.bits}") & ((1 << (info.bits - 1)) - 1)
            found |= jnp.any((bits > 0) & (bits < (1 << info.nmant)))
    return found


def is_single(array: Array) -> Bool[Array, "..."]:
    """Whether float64 numbers are float32 numbers, so that the product of two is exact in float64."""
    return array.astype(jnp.float32).astype(jnp.float64) == array
