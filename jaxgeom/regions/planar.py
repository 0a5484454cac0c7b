"""Regions of deep ReLU networks in the plane, one layer at a time: all units of a layer cut all faces at once.

The domain starts as a planar complex of one face, whose edges are stored as pairs of half-edges: each knows the face
on its left and the half-edge that follows along that face. A unit of the next layer is affine on every face, and so:

1. :func:`signs`: pre-activations at the vertices; an edge whose ends differ in sign is crossed there, by linear
   interpolation (both faces use the same numbers, so that the complex stays consistent);
2. :func:`chords`: a unit enters and leaves a face through exactly two crossings, the ends of a chord; two chords of a
   face cross iff the ends of one lie on different sides of the other. The layer adds to the number of faces that of
   the chords and that of their crossings;
3. :func:`jaxgeom.regions.subdivision.subdivide`: old edges and chords are cut where they are crossed, every
   half-edge learns locally who follows it, and the faces are the cycles of that relation, found by pointer doubling.
   The last layer need not be built: :func:`ties` does of it only what tells whether three chords meet in one point.

Points are homogeneous (x, y, w), on which a network is one without biases, so that points at infinity are points like
others. Arrays have fixed capacities; each result says how much was needed. Every pre-activation comes with a bound of
its rounding error, made of the error of the vertex and of the unit's sums; where a decision lies within it, the
result is marked uncertain, and the host decides anew in integer arithmetic (:mod:`jaxgeom.regions.exact`).

Ideas: Humayun et al. 2023 (SplineCam, arXiv:2302.12828), Berzins 2023 (arXiv:2306.07212), Baker 1984 (half-edges).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, UInt32

from jaxgeom.domains import Start
from jaxgeom.layers import Dense
from jaxgeom.regions.ragged import (
    added,
    below,
    bit,
    entries,
    expanded,
    in_order,
    inverse,
    nth_bit,
    num_bits,
    packed,
    positions,
    rows,
    starts,
)

NOBODY = -1
"""Stands for the face outside of the domain, and for what does not exist."""


class Capacities(NamedTuple):
    """How much room a layer gets; static integers. :class:`Needs` says how much it takes."""

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


class Planar(NamedTuple):
    """A planar complex under construction, with the activations at its vertices. Edge e has half-edges 2e, 2e + 1."""

    points: Float[Array, "vertices 3"]
    """Homogeneous positions, scaled so that those of the start lie in [-1, 1]; zero for padding."""
    spread: Float[Array, " vertices"]
    """Bound of what is wrong with the values at a vertex because of its position, in units of ``scale``."""
    values: Float[Array, "vertices width"]
    """Activations of the layer before."""
    ends: Int32[Array, "edges 2"]
    """First and last vertex of each edge; twice the same for padding."""
    made: Int32[Array, " edges"]
    """Number of the hidden unit that made the edge; negative on sides of the start."""
    face: Int32[Array, "edges 2"]
    """The face to the left of each half-edge; -1 outside, and for padding."""
    following: Int32[Array, "edges 2"]
    """The half-edge that follows along that face."""
    num_faces: Int32[Array, ""]


class Signs(NamedTuple):
    """A layer's pre-activations at the vertices, and which edges they cross."""

    z: Float[Array, "vertices width"]
    scale: Float[Array, " width"]
    """Bound of the size of each unit's terms."""
    rounding: Float[Array, ""]
    """Bound of the rounding error of z in units of ``scale``, apart from that of the position."""
    words: UInt32[Array, "vertices words"]
    """Bit n of the words is set where unit n is active."""
    flips: UInt32[Array, "edges words"]
    """Which units change sign along each edge."""
    num_crossings: Int32[Array, ""]
    crossings_per_edge: Int32[Array, ""]
    uncertain: Bool[Array, ""]


class Chords(NamedTuple):
    """Crossings of edges and units, in order along each edge, and the chords between them."""

    edge: Int32[Array, " crossings"]
    unit: Int32[Array, " crossings"]
    fraction: Float[Array, " crossings"]
    """Where along its edge the crossing lies, from 0 to 1."""
    error: Float[Array, " crossings"]
    """Bound of the rounding error of ``fraction``."""
    words: UInt32[Array, "crossings words"]
    """Signs of the units just before the crossing."""
    is_crossing: Bool[Array, " crossings"]
    first: Int32[Array, " edges"]
    """Index of each edge's first crossing, if it has any."""
    partner: Int32[Array, "crossings 2"]
    """The other end of the chord in the face to the left and to the right of the edge; -1 if there is no chord."""
    crossed: UInt32[Array, "crossings 2 words"]
    """Which other chords that chord crosses."""
    num_chords: Int32[Array, ""]
    num_artificial: Int32[Array, ""]
    """Crossings of sides that two faces of the start share."""
    num_meetings: Int32[Array, ""]
    """Crossings of two chords."""
    meetings_per_chord: Int32[Array, ""]
    uncertain: Bool[Array, ""]
    consistent: Bool[Array, ""]


class Meetings(NamedTuple):
    """Where chords cross, in order along each chord; each meeting stands in the list of both of its chords."""

    start: Int32[Array, " chords"]
    """The crossing at which each chord begins."""
    side: Int32[Array, " chords"]
    """On which side of that crossing's edge it lies."""
    stop: Int32[Array, " chords"]
    """The crossing at which it ends."""
    unit: Int32[Array, " chords"]
    is_chord: Bool[Array, " chords"]
    num: Int32[Array, " chords"]
    """Meetings along each chord."""
    first: Int32[Array, " chords"]
    """Index of each chord's first meeting, if it has any."""
    chord: Int32[Array, " places"]
    other: Int32[Array, " places"]
    """The unit whose chord is met."""
    fraction: Float[Array, " places"]
    """Where along the chord, from 0 to 1."""
    error: Float[Array, " places"]
    position: Int32[Array, " places"]
    """Place in the order along the chord of what is listed here in order of the units."""
    is_meeting: Bool[Array, " places"]
    uncertain: Bool[Array, ""]


ARTIFICIAL = -(1 << 20)
"""Sides that two faces of the start share are made by units with numbers from here downwards."""


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
    points = start.vertices / size
    numbers: list[Any] = [np.array(ends), np.array(made), np.reshape(face, (-1, 2)), np.reshape(following, (-1, 2))]
    numbers = [array.astype(np.int32) for array in (*numbers, np.array(len(start.cycles)))]
    real: list[Any] = [points, np.zeros(len(points)), points[:, :2]]
    return Planar(*real, *numbers), size


def signs(
    state: Planar, layer: Dense, cuts: Bool[Array, " width"], scale: Float[Array, " in"], rounding: Float[Array, ""]
) -> Signs:
    """Pre-activations of a layer at all vertices, and the edges that its units cross.

    Args:
        state: the complex.
        layer: the next layer; zero units never cut, and serve as padding.
        cuts: which units bend at zero at all.
        scale: bounds of the terms of the layer before; ones at the input.
        rounding: bound of the rounding error of ``state.values``, in units of ``scale``.
    """
    z = state.values @ layer.kernel + state.points[:, 2:] * layer.bias
    scale = scale @ jnp.abs(layer.kernel) + jnp.abs(layer.bias)
    rounding = rounding + (layer.kernel.shape[0] + 4) * float(jnp.finfo(z.dtype).eps)
    error = rounding + state.spread
    can_cut = cuts & (scale > 0) & jnp.any(state.points != 0, axis=1, keepdims=True)
    # "not greater" and not "at most": NaN is uncertain, too.
    uncertain = jnp.any(~(jnp.abs(z) > error[:, None] * scale) & can_cut)
    words = packed((z > 0) & can_cut)
    flips = rows(words, state.ends[:, 0]) ^ rows(words, state.ends[:, 1])
    each = num_bits(flips)
    return Signs(z, scale, rounding, words, flips, jnp.sum(each, dtype=jnp.int32), jnp.max(each), uncertain)


def chords(state: Planar, found: Signs, capacities: Capacities) -> Chords:
    """The crossings of edges and units, put in order along each edge, and joined to chords."""
    num_units = found.z.shape[1]
    num_words = found.words.shape[1]
    counts = num_bits(found.flips)
    first = starts(counts)
    edge, rank, is_crossing = expanded(counts, first, capacities.crossings)
    unit = nth_bit(rows(found.flips, edge), rank)
    ends = rows(state.ends, edge)
    at_first, at_last = (entries(found.z, ends[:, i], unit) for i in (0, 1))
    drop = jnp.where(is_crossing, at_first - at_last, 1.0)
    fraction = jnp.where(is_crossing, at_first / drop, 0.0)
    doubt = 2 * found.rounding + rows(state.spread, ends[:, 0]) + rows(state.spread, ends[:, 1])
    error = doubt * rows(found.scale, unit) / jnp.abs(drop) + 4 * float(jnp.finfo(drop.dtype).eps)
    before, passed, uncertain = in_order(
        edge, is_crossing, fraction, error, capacities.crossings_per_edge, unit, num_words
    )
    order = inverse(jnp.where(is_crossing, rows(first, edge) + before, jnp.arange(len(edge), dtype=jnp.int32)))
    unit, fraction, error = (rows(array, order) for array in (unit, fraction, error))
    words = rows(found.words, ends[:, 0]) ^ rows(passed, order)

    # Two crossings share a face and a unit; their sum is stored under both, and each finds the other by subtraction.
    face = rows(state.face, edge)
    key = jnp.where(is_crossing[:, None] & (face >= 0), face * num_units + unit[:, None], capacities.faces * num_units)
    own = jnp.arange(1, len(edge) + 1, dtype=jnp.int32)[:, None]
    sums = added(jnp.zeros(capacities.faces * num_units + 1, jnp.int32), key, jnp.broadcast_to(own, key.shape))
    has_chord = key < capacities.faces * num_units
    partner = jnp.where(has_chord, rows(sums, key) - own - 1, NOBODY)
    found_partner = jnp.clip(partner, 0, len(edge) - 1)
    consistent = jnp.all(
        ~has_chord | ((partner == found_partner) & (rows(unit, found_partner) == unit[:, None]) & (partner != own - 1))
    )
    differs = (words[:, None] ^ rows(words, found_partner)) & ~bit(unit, num_words)[:, None]
    crossed = jnp.where(has_chord[..., None], differs, jnp.uint32(0))
    each = num_bits(crossed)
    return Chords(
        edge,
        unit,
        fraction,
        error,
        words,
        is_crossing,
        first,
        partner,
        crossed,
        jnp.sum(has_chord, dtype=jnp.int32) // 2,
        jnp.sum(is_crossing & (rows(state.made, edge) <= ARTIFICIAL), dtype=jnp.int32),
        jnp.sum(each, dtype=jnp.int32) // 4,
        jnp.max(each),
        uncertain,
        consistent,
    )


def between(
    points: Float[Array, "vertices 3"],
    z: Float[Array, "vertices width"],
    spread: Float[Array, " vertices"],
    scale: Float[Array, " width"],
    u: Int32[Array, " pairs"],
    v: Int32[Array, " pairs"],
    fraction: Float[Array, " pairs"],
    error: Float[Array, " pairs"],
) -> tuple[Float[Array, "pairs 3"], Float[Array, "pairs width"], Float[Array, " pairs"]]:
    """Points on the way from one vertex to another, pre-activations there, and the errors of these.

    What is wrong with ``fraction`` moves a point along the way, and each pre-activation by what it changes there.
    """
    start, way = rows(points, u), rows(points, v) - rows(points, u)
    low, change = rows(z, u), rows(z, v) - rows(z, u)
    relative = jnp.abs(change) / jnp.where(scale > 0, scale, jnp.inf)
    most = jnp.maximum(jnp.max(relative, axis=1, initial=0.0), jnp.abs(way[:, 2]))
    moved = jnp.maximum(rows(spread, u), rows(spread, v)) + error * most
    return start + fraction[:, None] * way, low + fraction[:, None] * change, moved


def at_crossings(
    state: Planar, found: Signs, cut: Chords
) -> tuple[Float[Array, "crossings 3"], Float[Array, "crossings width"], Float[Array, " crossings"]]:
    """Positions of the crossings, pre-activations there, and bounds of the errors of these."""
    ends = rows(state.ends, cut.edge)
    return between(state.points, found.z, state.spread, found.scale, ends[:, 0], ends[:, 1], cut.fraction, cut.error)


def meetings(
    state: Planar, found: Signs, cut: Chords, spread: Float[Array, " crossings"], capacities: Capacities, *, once: bool
) -> Meetings:
    """Where the chords cross each other, put in order along each of them.

    Args:
        state, found, cut: the complex, the signs and the chords of one layer.
        spread: bounds of the errors that the positions of the crossings bring.
        capacities: room.
        once: list a meeting with the first of its two chords only, which is enough to see three meet in one point.
    """
    num_words = cut.words.shape[1]
    index = jnp.arange(len(cut.edge), dtype=jnp.int32)
    begins = (cut.partner > index[:, None]).reshape(-1)
    entry = positions(begins, len(cut.edge))
    is_chord = index < jnp.sum(begins, dtype=jnp.int32)
    start, side = entry // 2, entry % 2
    stop = jnp.maximum(rows(cut.partner.reshape(-1), entry), 0)
    unit = rows(cut.unit, start)
    crossed = jnp.where(is_chord[:, None], rows(cut.crossed.reshape(-1, num_words), entry), jnp.uint32(0))
    if once:
        crossed &= ~(below(unit, num_words) | bit(unit, num_words))
    count = num_bits(crossed)
    first = starts(count)
    chord, rank, is_meeting = expanded(count, first, capacities.meetings * (1 if once else 2))
    other = nth_bit(rows(crossed, chord), rank)
    p, q = rows(start, chord), rows(stop, chord)

    def value(crossing: Array) -> Array:
        ends = rows(state.ends, rows(cut.edge, crossing))
        low, high = (entries(found.z, ends[:, i], other) for i in (0, 1))
        return low + rows(cut.fraction, crossing) * (high - low)

    at_start = value(p)
    drop = jnp.where(is_meeting, at_start - value(q), 1.0)
    fraction = jnp.where(is_meeting, at_start / drop, 0.0)
    doubt = 2 * found.rounding + rows(spread, p) + rows(spread, q)
    error = doubt * rows(found.scale, other) / jnp.abs(drop) + 4 * float(jnp.finfo(drop.dtype).eps)
    before, _, uncertain = in_order(chord, is_meeting, fraction, error, capacities.meetings_per_chord, other, 0)
    place = jnp.arange(len(chord), dtype=jnp.int32)
    position = jnp.where(is_meeting, rows(first, chord) + before, place)
    return Meetings(
        start, side, stop, unit, is_chord, count, first, chord, other, fraction, error, position, is_meeting, uncertain
    )


def ties(state: Planar, found: Signs, cut: Chords, capacities: Capacities) -> Bool[Array, ""]:
    """Whether three chords may meet in one point, so that counting pairs would count too much."""
    _, _, spread = at_crossings(state, found, cut)
    return meetings(state, found, cut, spread, capacities, once=True).uncertain
