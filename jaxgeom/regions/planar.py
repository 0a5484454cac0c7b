"""Regions of deep ReLU networks in the plane, one layer at a time: all units of a layer cut all faces at once.

The domain starts as a planar complex of one face, whose edges are stored as pairs of half-edges: each knows the face
on its left and the half-edge that follows along that face. A unit of the next layer is affine on every face, and so:

1. :func:`signs`: pre-activations at the vertices; an edge whose ends differ in sign is crossed there, by linear
   interpolation (both faces use the same numbers, so that the complex stays consistent);
2. :func:`chords`: a unit enters and leaves a face through exactly two crossings, the ends of a chord; two chords of a
   face cross iff the ends of one lie on different sides of the other. The layer adds to the number of faces that of
   the chords and that of their crossings;
3. :func:`jaxgeom.regions.subdivision.subdivide`: old edges and chords are cut where they are crossed, every
   half-edge learns locally who follows it, and the faces are the cycles of that relation.
   The last layer need not be built: :func:`ties` does of it only what tells whether three chords meet in one point.

The same functions run in two ways, see :mod:`jaxgeom.regions.ragged`: in NumPy, for the disjoint union of the complexes
of several networks, without any compilation and without padding; and under transformations of JAX, for one network in
arrays of fixed capacities, where each result says how much was needed.

Points are homogeneous (x, y, w), on which a network is one without biases, so that points at infinity are points like
others. These coordinates go through the layers as further, linear units: :func:`homogeneous`. Every pre-activation
comes with a bound of its rounding error, made of the error of the vertex and of the unit's sums; where a decision lies
within it, the result is marked uncertain, and the host decides anew in integer arithmetic
(:mod:`jaxgeom.regions.exact`).

Ideas: Humayun et al. 2023 (SplineCam, arXiv:2302.12828), Berzins 2023 (arXiv:2306.07212), Baker 1984 (half-edges).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt64

from jaxgeom.domains import Start
from jaxgeom.layers import Layers
from jaxgeom.regions.products import product
from jaxgeom.regions.ragged import (
    Mask,
    Numbers,
    below,
    bit,
    columns,
    entries,
    in_order,
    kept,
    listed,
    namespace,
    num_bits,
    packed,
    pairs,
    rows,
    running_xor,
    starts,
)

NOBODY = -1
"""Stands for the face outside of the domain, and for what does not exist."""

ARTIFICIAL = -(1 << 20)
"""Sides that two faces of the start share are made by units with numbers from here downwards."""


class Capacities(NamedTuple):
    """How much room a layer gets in JAX; static integers."""

    faces: int
    """Faces before the layer."""
    crossings: int
    """Crossings of edges and units."""
    crossings_per_edge: int
    """Of these, on one edge."""
    meetings: int
    """Crossings of two chords."""
    meetings_per_chord: int
    """Of these, on one chord."""


ANY = Capacities(0, 0, 0, 0, 0)
"""What NumPy, which needs no capacities, is given in their place."""


class Weights(NamedTuple):
    """A layer as :func:`homogeneous` makes it. Of several networks, arrays but the slopes have a leading axis."""

    kernel: Float[Numbers, "*networks in out"]
    """From the activations before and w (or w, x, y) to the pre-activations and the same coordinates."""
    can_cut: Bool[Numbers, "*networks width"]
    """Which units bend at zero at all; zero units do not, and serve as padding."""
    slopes: Float[Numbers, " in"]
    """What negative pre-activations of the layer before are multiplied with; 1 for coordinates."""


class Planar(NamedTuple):
    """A planar complex under construction, with the values at its vertices. Edge e has half-edges 2e, 2e + 1."""

    values: Float[Numbers, "vertices in"]
    """Pre-activations of the layer before, then the coordinates w, x and y, scaled so that those of the start lie in
    [-1, 1]; x and y may be left out after the first layer."""
    spread: Float[Numbers, " vertices"]
    """Bound of what is wrong with the values at a vertex because of its position; minus infinity for padding."""
    network: Int[Numbers, " vertices"]
    """Which network of the union a vertex belongs to."""
    ends: Int[Numbers, "edges 2"]
    """First and last vertex of each edge; twice the same for padding."""
    made: Int[Numbers, " edges"]
    """Number of the hidden unit that made the edge; negative on sides of the start."""
    face: Int[Numbers, "edges 2"]
    """The face to the left of each half-edge; -1 outside, and for padding."""
    following: Int[Numbers, "edges 2"]
    """The half-edge that follows along that face."""
    num_faces: Int[Numbers, "*networks"]


class Signs(NamedTuple):
    """A layer's pre-activations at the vertices, and which edges they cross."""

    z: Float[Numbers, "vertices out"]
    """Of all units, then the coordinates; every unit's terms add up to 1 at most."""
    rounding: float | Float[Array, ""]
    """Bound of the rounding error of z, apart from that of the position."""
    words: UInt64[Numbers, "words vertices"]
    """Bit n of the words is set where unit n is active."""
    flips: UInt64[Numbers, "words edges"]
    """Which units change sign along each edge."""
    counts: Int[Numbers, " edges"]
    """How many these are."""
    uncertain: Bool[Numbers, "*networks"]


class Chords(NamedTuple):
    """Crossings of edges and units, in order along each edge, and the chords between them.

    Crossing c has two *entries*, 2c into the face to the left of its edge and 2c + 1 into that to the right. A chord
    leads from the entry of lower number to the other one.
    """

    edge: Int[Numbers, " crossings"]
    ends: Int[Numbers, "crossings 2"]
    """The two vertices of the edge."""
    unit: Int[Numbers, " crossings"]
    fraction: Float[Numbers, " crossings"]
    """Where along its edge the crossing lies, from 0 to 1."""
    error: Float[Numbers, " crossings"]
    """Bound of the rounding error of ``fraction``."""
    words: UInt64[Numbers, "words crossings"]
    """Signs of the units just before the crossing."""
    network: Int[Numbers, " crossings"]
    is_crossing: Mask
    first: Int[Numbers, " edges"]
    """Index of each edge's first crossing, if it has any."""
    start: Int[Numbers, " chords"]
    """The entry at which each chord begins."""
    stop: Int[Numbers, " chords"]
    """And that at which it ends."""
    is_chord: Mask
    crossed: UInt64[Numbers, "words chords"]
    """Which other chords each chord crosses."""
    counts: Int[Numbers, " chords"]
    """How many these are."""
    num_chords: Int[Numbers, "*networks"]
    num_artificial: Int[Numbers, "*networks"]
    """Crossings of sides that two faces of the start share."""
    num_meetings: Int[Numbers, "*networks"]
    """Crossings of two chords."""
    uncertain: Bool[Numbers, "*networks"]
    consistent: Bool[Numbers, "*networks"]


class Meetings(NamedTuple):
    """Where chords cross; each meeting is listed with both of its chords, in order of the units met."""

    first: Int[Numbers, " chords"]
    """Index of each chord's first meeting, if it has any."""
    chord: Int[Numbers, " places"]
    other: Int[Numbers, " places"]
    """The unit whose chord is met."""
    fraction: Float[Numbers, " places"]
    """Where along the chord, from 0 to 1."""
    error: Float[Numbers, " places"]
    order: Int[Numbers, " places"]
    """Which one comes at each place along the chords."""
    is_meeting: Mask
    uncertain: Bool[Numbers, "*networks"]


def begin(start: Start) -> tuple[Planar, Float[np.ndarray, " 3"]]:
    """The complex of a domain as NumPy arrays, and the scale of its coordinates."""
    size = np.maximum(np.abs(start.vertices).max(axis=0), np.finfo(np.float64).tiny)
    places = {
        (u, cycle[(place + 1) % len(cycle)]): (number, cycle[(place + 2) % len(cycle)])
        for number, cycle in enumerate(start.cycles)
        for place, u in enumerate(cycle)
    }
    ends = [(u, v) for u, v in places if (v, u) not in places or u < v]
    halves = [half for u, v in ends for half in ((u, v), (v, u))]
    index = {half: number for number, half in enumerate(halves)}
    outer = {half[0]: half for half in halves if half not in places}
    face = [places[half][0] if half in places else NOBODY for half in halves]
    following = [index[(v, places[u, v][1]) if (u, v) in places else outer[v]] for u, v in halves]
    made = [-1 - e if NOBODY in face[2 * e : 2 * e + 2] else ARTIFICIAL - e for e in range(len(ends))]
    points = start.vertices[:, [2, 0, 1]] / size[[2, 0, 1]]
    sides = np.reshape(face, (-1, 2)), np.reshape(following, (-1, 2)), np.array(len(start.cycles))
    network = np.zeros(len(points), np.intp)
    return Planar(points, np.zeros(len(points)), network, np.array(ends), np.array(made), *sides), size


def copies(state: Planar, num: int) -> Planar:
    """The disjoint union of so many copies of a complex, in NumPy."""
    member = np.arange(num)
    vertices, edges = len(state.values), len(state.ends)

    def repeated(array: np.ndarray, offset: int) -> np.ndarray:
        """The numbers in it, but for negative ones, count on from copy to copy."""
        offsets = (offset * member).reshape(-1, *[1] * array.ndim)
        return np.where(array < 0, array, array + offsets).reshape(-1, *array.shape[1:])

    return Planar(
        np.tile(state.values, (num, 1)),
        np.tile(state.spread, num),
        np.repeat(member, vertices),
        repeated(state.ends, vertices),
        np.tile(state.made, num),
        repeated(state.face, int(state.num_faces)),
        repeated(state.following, 2 * edges),
        np.full(num, state.num_faces),
    )


def homogeneous(
    layers: Layers, slopes: Sequence[Numbers], size: Float[np.ndarray, " 3"], *, with_points: bool
) -> list[Weights]:
    """The hidden layers of a network (or of several, along a leading axis) on homogeneous points.

    Each unit is multiplied by a power of two so that the absolute values of its terms add up to 1 at most wherever in
    the domain, which is exact and moves no line.

    Args:
        layers: the networks, in the precision of the results.
        slopes: for each hidden layer and unit, what negative pre-activations are multiplied with; 1 never cuts.
        size: scale of the coordinates x, y, w.
        with_points: carry x and y through all layers.
    """
    xp = namespace(layers[0].kernel)
    found: list[Weights] = []
    num_known, num_carried = 3, 3 if with_points else 1
    power, before, bound = xp.ones(0), xp.ones(3), xp.ones(3)
    for (kernel, bias), slope in zip(layers[:-1], slopes, strict=True):
        offset = bias[..., None, :] * size[2]
        if found:
            nothing = xp.zeros((*bias.shape[:-1], num_known - 1, bias.shape[-1]))
            linear = xp.concatenate([kernel * power[..., :, None], offset, nothing], axis=-2)
        else:
            linear = xp.concatenate([offset, kernel * size[:2, None]], axis=-2)
        scale = xp.sum(xp.abs(linear) * bound[:, None], axis=-2)
        exponent = xp.where((scale > 0) & (scale < xp.inf), exponents(scale), 0)
        power = power_of_two(exponent)
        carried = np.eye(num_known, num_carried)
        carried = np.pad(carried, ((linear.shape[-2] - num_known, 0), (0, 0)))
        carried = xp.broadcast_to(carried, (*bias.shape[:-1], *carried.shape))
        full = xp.concatenate([linear / power[..., None, :], carried], axis=-1)
        found.append(Weights(full, (slope != 1) & (scale > 0), before))
        num_known = num_carried
        before = xp.concatenate([slope, xp.ones(num_known)])
        bound = xp.maximum(1.0, xp.abs(before))
    return found


def exponents(scale: Float[Numbers, "*networks units"]) -> Int[Numbers, "*networks units"]:
    """Exponents as of ``frexp``, by the bits of numbers that are not negative; JAX's own does not trace everywhere."""
    if isinstance(scale, np.ndarray):
        return np.frexp(scale)[1]
    bits = lax.bitcast_convert_type(jnp.stack([scale, scale * 2.0**64]), jnp.int64) >> jnp.int64(52)
    exponent = (bits & jnp.int64(2047)) - 1022
    return jnp.where(exponent[0] > -1022, exponent[0], exponent[1] - 64).astype(jnp.int32)


def power_of_two(exponent: Int[Numbers, "*networks units"]) -> Float[Numbers, "*networks units"]:
    """Two to integers, likewise; halves of exponents are those of normal numbers."""
    if isinstance(exponent, np.ndarray):
        return np.ldexp(1.0, exponent)
    half = exponent // 2
    bits = (jnp.stack([half, exponent - half]).astype(jnp.int64) + 1023) << jnp.int64(52)
    low, high = lax.bitcast_convert_type(bits, jnp.float64)
    return low * high


def totals(
    terms: Numbers, network: Int[Numbers, " terms"], like: Int[Numbers, "*networks"]
) -> Int[Numbers, "*networks"]:
    """Sums of integers or truth values network by network; ``like`` has one entry for each."""
    if isinstance(terms, np.ndarray):
        if terms.dtype == bool:
            network, terms = network[terms], np.ones(np.count_nonzero(terms), np.intp)
        return np.bincount(network, terms, minlength=len(like)).astype(np.intp)
    return jnp.sum(terms, dtype=jnp.int32)


def _activated(values: Float[Numbers, "vertices in"], slopes: Float[Numbers, " in"]) -> Float[Numbers, "vertices in"]:
    """Negative values times their slopes."""
    num = np.count_nonzero(slopes == 0) if isinstance(values, np.ndarray) else 0
    if isinstance(values, np.ndarray) and not slopes[:num].any() and (slopes[num:] == 1).all():
        found = np.maximum(values, 0)
        found[:, num:] = values[:, num:]
        return found
    return namespace(values).where(values > 0, values, values * slopes)


def _decided(
    values: Float[Numbers, "vertices in"],
    weights: Weights,
    network: Int[Numbers, " vertices"],
    error: Float[Numbers, " vertices"],
    cuts: UInt64[Numbers, "words #vertices"],
    out: np.ndarray | None = None,
) -> tuple[Float[Numbers, "vertices out"], UInt64[Numbers, "words vertices"], Bool[Numbers, " vertices"]]:
    """Pre-activations at some vertices, which of the units that cut are positive, and where that lies within the error.
    As a rule no value is anywhere near its error, and NumPy need not look at each."""
    xp, width = namespace(values), weights.can_cut.shape[-1]
    z = product(_activated(values, weights.slopes), weights.kernel, network, out)
    if xp is np and np.abs(z).min() > error.max():
        return z, packed((z > 0)[:, :width]) & cuts, np.zeros(len(z), bool)
    decided, bound = z[:, :width], error[:, None]
    # NaN is neither, hence uncertain.
    positive, negative = packed(decided > bound), packed(decided < -bound)
    return z, positive & cuts, xp.any((positive | negative) & cuts != cuts, axis=0)


def signs(state: Planar, weights: Weights, rounding: float | Float[Array, ""]) -> Signs:
    """Pre-activations of a layer at all vertices, and the edges that its units cross.

    Args:
        state: the complex.
        weights: the next layer.
        rounding: bound of the rounding error of ``state.values``.
    """
    xp, num = namespace(state.values), len(state.values)
    rounding = rounding + (weights.kernel.shape[-2] + 4) * float(np.finfo(state.values.dtype).eps)
    error = rounding + state.spread
    cuts = packed(xp.atleast_2d(weights.can_cut))
    if cuts.shape[1] > 1:
        cuts = columns(cuts, state.network)
    if xp is np:
        num_columns = weights.kernel.shape[-1]
        z, words = np.empty((num, num_columns), error.dtype), np.empty((len(cuts), num), np.uint64)
        unclear = np.empty(num, bool)
        size = max(4 * weights.kernel.shape[-2], 2 * _BLOCK // num_columns)  # kernels stay in cache for some time
        for block in (slice(first, first + size) for first in range(0, num, size)):
            some = cuts if cuts.shape[1] == 1 else cuts[:, block]
            _, words[:, block], unclear[block] = _decided(
                state.values[block], weights, state.network[block], error[block], some, z[block]
            )
    else:
        z, words, unclear = _decided(state.values, weights, state.network, error, cuts)
    flips = columns(words, state.ends[:, 0]) ^ columns(words, state.ends[:, 1])
    uncertain = totals(unclear, state.network, state.num_faces) > 0
    return Signs(z, rounding, words, flips, num_bits(flips), uncertain)


def chords(state: Planar, found: Signs, capacities: Capacities = ANY) -> Chords:
    """The crossings of edges and units, put in order along each edge, and joined to chords."""
    xp, num_words = namespace(found.z), len(found.words)
    first = starts(found.counts)
    edge, unit, is_crossing = listed(found.flips, found.counts, first, capacities.crossings)
    ends = rows(state.ends, edge)
    at_first, at_last = (entries(found.z, ends[:, i], unit) for i in (0, 1))
    drop = kept(at_first - at_last, is_crossing, 1.0)
    fraction = kept(at_first / drop, is_crossing, 0.0)
    doubt = 2 * found.rounding + rows(state.spread, ends[:, 0]) + rows(state.spread, ends[:, 1])
    error = doubt / xp.abs(drop) + 4 * float(np.finfo(drop.dtype).eps)
    order, unclear = in_order(edge, is_crossing, found.counts, first, fraction, error, capacities.crossings_per_edge)
    unit, fraction, error = (rows(array, order) for array in (unit, fraction, error))
    own = bit(unit, num_words)
    passed = running_xor(own) ^ own
    words = columns(found.words, ends[:, 0]) ^ passed ^ columns(passed, rows(first, edge))
    network = rows(state.network, ends[:, 0])

    face = rows(state.face, edge)
    has_chord = kept(face >= 0, is_crossing, False).reshape(-1)
    width, num_faces = found.z.shape[1], capacities.faces or int(state.num_faces.sum())
    key = (face * width + unit[:, None]).reshape(-1)
    start, stop, is_chord, is_odd = pairs(key, has_chord, num_faces * width, len(edge))
    differs = columns(words, start >> 1) ^ columns(words, stop >> 1)
    differs &= ~columns(own, start >> 1)
    crossed = differs if is_chord is None else jnp.where(is_chord, differs, jnp.uint64(0))
    counts = num_bits(crossed)
    chord_network = rows(network, start >> 1)
    is_artificial = kept(rows(state.made, edge) <= ARTIFICIAL, is_crossing, False)
    like = state.num_faces
    return Chords(
        edge,
        ends,
        unit,
        fraction,
        error,
        words,
        network,
        is_crossing,
        first,
        start,
        stop,
        is_chord,
        crossed,
        counts,
        totals(xp.ones_like(start) if is_chord is None else is_chord, chord_network, like),
        totals(is_artificial, network, like),
        totals(counts, chord_network, like) // 2,
        totals(kept(unclear, is_crossing, False), network, like) > 0,
        totals(is_odd[0::2] | is_odd[1::2], network, like) == 0,
    )


def between(
    z: Float[Numbers, "vertices out"],
    spread: Float[Numbers, " vertices"],
    u: Int[Numbers, " pairs"],
    v: Int[Numbers, " pairs"],
    fraction: Float[Numbers, " pairs"],
    error: Float[Numbers, " pairs"],
    num_decided: int,
    out: np.ndarray | None = None,
) -> tuple[Float[Numbers, "pairs out"], Float[Numbers, " pairs"]]:
    """Pre-activations on the way from one vertex to another, and the errors of the first so many of them.

    What is wrong with ``fraction`` changes each of them by so much of its difference. NumPy computes as many rows at
    once as stay in cache, into ``out``.
    """
    xp = namespace(z)
    most_spread = xp.maximum(rows(spread, u), rows(spread, v))
    if out is None:
        low, change = rows(z, u), rows(z, v) - rows(z, u)
        most = xp.max(xp.abs(change[:, :num_decided]), axis=1, initial=0.0)
        return low + fraction[:, None] * change, most_spread + error * most
    most = np.empty_like(error)
    size = max(64, _BLOCK // z.shape[1])
    for first in range(0, len(u), size):
        block = slice(first, first + size)
        change, low = out[block], z.take(u[block], axis=0)
        z.take(v[block], axis=0, out=change, mode="clip")
        change -= low
        np.max(np.abs(change[:, :num_decided]), axis=1, out=most[block])
        change *= fraction[block, None]
        change += low
    return out, most_spread + error * most


_BLOCK = 1 << 15


def meetings(state: Planar, found: Signs, cut: Chords, capacities: Capacities = ANY, *, once: bool) -> Meetings:
    """Where the chords cross each other, put in order along each of them.

    Args:
        state, found, cut: the complex, the signs and the chords of one layer.
        capacities: room.
        once: list only what can tell whether three chords meet in one point: a meeting with the first of its two
            chords, and of chords with two such meetings at least.
    """
    xp, num_words = namespace(found.z), len(cut.words)
    crossed, counts = cut.crossed, cut.counts
    if once:
        unit = rows(cut.unit, cut.start >> 1)
        crossed = crossed & ~below(unit, num_words)
        counts = num_bits(crossed)
        crossed = xp.where(counts > 1, crossed, xp.uint64(0))
        counts = xp.where(counts > 1, counts, 0)
    first = starts(counts)
    chord, other, is_meeting = listed(crossed, counts, first, capacities.meetings * (1 if once else 2))
    moved = xp.maximum(rows(state.spread, cut.ends[:, 0]), rows(state.spread, cut.ends[:, 1])) + found.rounding

    def value(entry: Numbers) -> tuple[Numbers, Numbers]:
        """The other unit at one end of the chord, and its error."""
        crossing = rows(entry >> 1, chord)
        ends = rows(cut.ends, crossing)
        low, high = (entries(found.z, ends[:, i], other) for i in (0, 1))
        change = high - low
        return (
            low + rows(cut.fraction, crossing) * change,
            rows(moved, crossing) + rows(cut.error, crossing) * xp.abs(change),
        )

    (at_start, start_error), (at_stop, stop_error) = value(cut.start), value(cut.stop)
    drop = kept(at_start - at_stop, is_meeting, 1.0)
    fraction = kept(at_start / drop, is_meeting, 0.0)
    error = (start_error + stop_error) / xp.abs(drop) + 4 * float(np.finfo(drop.dtype).eps)
    order, unclear = in_order(chord, is_meeting, counts, first, fraction, error, capacities.meetings_per_chord)
    network = rows(rows(cut.network, cut.start >> 1), chord)
    uncertain = totals(kept(unclear, is_meeting, False), network, state.num_faces) > 0
    return Meetings(first, chord, other, fraction, error, order, is_meeting, uncertain)


def ties(state: Planar, found: Signs, cut: Chords, capacities: Capacities = ANY) -> Bool[Numbers, "*networks"]:
    """Whether three chords may meet in one point, so that counting pairs would count too much."""
    return meetings(state, found, cut, capacities, once=True).uncertain
