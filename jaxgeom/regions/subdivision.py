"""Cut a planar complex along the chords of a layer: new vertices, edges, and faces found as cycles of half-edges.

At a crossing of an edge and a chord, and at a meeting of two chords, it is known locally which half-edge follows which
along a face: the signs at the ends of a chord tell on which side of another they lie. Faces then are the cycles of this
relation: in NumPy :mod:`jaxgeom.regions.cycles` goes through them, in JAX pointer doubling gives every half-edge the
smallest number in its cycle within a logarithmic number of rounds. That there are as many cycles as
:mod:`jaxgeom.regions.planar` counted certifies the result.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt64

from jaxgeom.regions.cycles import cycles, labels, strays
from jaxgeom.regions.planar import (
    ANY,
    NOBODY,
    Capacities,
    Chords,
    Mask,
    Meetings,
    Planar,
    Signs,
    Weights,
    between,
    meetings,
    totals,
)
from jaxgeom.regions.ragged import (
    Numbers,
    below,
    bit,
    columns,
    entries,
    has_bit,
    inverse,
    kept,
    looked_up,
    namespace,
    num_bits,
    positions,
    replaced,
    rows,
    running_sum,
    running_xor,
    upto,
)


class Parts(NamedTuple):
    """What became of the faces that were there, in NumPy."""

    parent: Int[np.ndarray, " faces"]
    """The face that each new one is a part of."""
    words: UInt64[np.ndarray, "words faces"]
    """Which units of the layer are active on it."""
    network: Int[np.ndarray, " faces"]
    """Which network of the union it belongs to."""
    first: Int[np.ndarray, " faces"]
    """The lowest of its half-edges; faces are in order of these."""
    num_corners: Int[np.ndarray, " faces"]


class _Places(NamedTuple):
    """The chords and meetings of a layer, as new edges and vertices want them."""

    unit: Int[Numbers, " chords"]
    face: Int[Numbers, " chords"]
    chord: Int[Numbers, " places"]
    """In order along the chords, like all that follows."""
    twin: Int[Numbers, " places"]
    """Where the other chord has the same meeting."""
    vertex: Int[Numbers, " places"]
    """Number of the meeting."""
    is_place: Mask
    vertex_place: Int[Numbers, " meetings"]
    """Of each meeting, the place in order of the units, on the chord of lower unit."""
    is_vertex: Mask


def subdivide(
    state: Planar,
    found: Signs,
    cut: Chords,
    weights: Weights,
    first_number: int | Array,
    capacities: Capacities = ANY,
    *,
    with_parts: bool = False,
    is_last: bool = False,
) -> tuple[Planar, Parts | None, Bool[Numbers, "*networks"], Bool[Numbers, "*networks"]]:
    """The complex cut by the units of one layer, with the pre-activations of that layer at its vertices.

    Vertices are the old ones, the crossings, the meetings. Edges are the first piece of each old edge, the piece behind
    each crossing, the first piece of each chord, the piece behind each meeting.

    Args:
        state, found, cut, weights: the complex, the signs and the chords of the layer, and the layer.
        first_number: number of the layer's first unit, for ``made``.
        capacities: room.
        with_parts: tell what became of the faces; in NumPy.
        is_last: of the activations keep the coordinates w, x, y only, and no bounds of errors; in NumPy.

    Returns:
        The new complex, the parts, whether a decision was uncertain, and whether the cycles are as many as predicted.
    """
    met = meetings(state, found, cut, capacities, once=False)
    places = _places(state, cut, met, found.z.shape[1], capacities)
    vertices = (_points if is_last else _vertices)(state, found, cut, met, places, weights)
    ends, made, face = _edges(state, found, cut, met, places, first_number)
    following = _followers(state, found, cut, met, places)

    flat_face, flat_following = face.reshape(-1), following.reshape(-1)
    is_inside, network = flat_face >= 0, rows(vertices[2], ends[:, 0])
    parts = None
    new_face: Numbers
    if isinstance(ends, np.ndarray):
        new_face, first, num_corners = _numbered(flat_following, is_inside, network)
        of_faces = network.take(first >> 1)
        num_faces = totals(np.ones(len(first), bool), of_faces, state.num_faces)
        if with_parts:
            patterns = _patterns(_words(found, cut, met, places), ends, flat_following, first)
            parts = Parts(flat_face.take(first), patterns, of_faces, first, num_corners)
    else:
        own = upto(len(flat_face), flat_face)
        label = _cycle_labels(jnp.where(is_inside, flat_following, own))
        is_first = (label == own) & is_inside
        new_face = jnp.where(is_inside, rows(running_sum(is_first) - 1, label), NOBODY)
        num_faces = totals(is_first, jnp.repeat(network, 2), state.num_faces)
    new_face = new_face.reshape(face.shape)
    consistent = num_faces == state.num_faces + cut.num_chords + cut.num_meetings
    if isinstance(ends, np.ndarray) and not is_last:
        vertices, ends = _by_network(vertices, ends)
    values, spread, network = vertices
    after = Planar(values, spread, network, ends, made, new_face, following, num_faces)
    return after, parts, met.uncertain, consistent


_ROWS_WORTH_A_PRODUCT = 200


def _by_network(
    vertices: tuple[np.ndarray, np.ndarray, np.ndarray], ends: Int[np.ndarray, "edges 2"]
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], Int[np.ndarray, "edges 2"]]:
    """The vertices of the union in order of their networks, so that each network's are multiplied at once: where that
    saves more products of few rows than moving the rows costs."""
    network = vertices[2]
    num_runs = 1 + np.count_nonzero(network[1:] != network[:-1])
    if len(network) > _ROWS_WORTH_A_PRODUCT * num_runs or num_runs == network.max() + 1:
        return vertices, ends
    order = np.argsort(network, kind="stable")
    values, spread, network = (array.take(order, axis=0) for array in vertices)
    return (values, spread, network), inverse(order).take(ends)


def _places(state: Planar, cut: Chords, met: Meetings, width: int, capacities: Capacities) -> _Places:
    """Find for each meeting that is listed where the other chord lists it."""
    xp, num_words = namespace(met.chord), len(cut.words)
    unit = rows(cut.unit, cut.start >> 1)
    face = entries(state.face, rows(cut.edge, cut.start >> 1), cut.start & 1)
    num_faces = capacities.faces or int(state.num_faces.sum())
    own = rows(unit, met.chord)
    is_lower = kept(own < met.other, met.is_meeting, False)
    lower, is_vertex = positions(is_lower, capacities.meetings)
    chord, own, other = rows(met.chord, lower), rows(own, lower), rows(met.other, lower)
    wanted = rows(face, chord) * width + other
    other_chord = looked_up(face * width + unit, cut.is_chord, wanted, num_faces * width)
    before = columns(cut.crossed, other_chord) & below(own, num_words)
    upper = xp.minimum(rows(met.first, other_chord) + num_bits(before), max(len(met.chord) - 1, 0))
    # In inconsistent complexes it may not be there; then nobody else's shall be taken.
    is_found = (rows(met.chord, upper) == other_chord) & (rows(met.other, upper) == own)
    is_found &= rows(face, other_chord) == rows(face, chord)
    upper = xp.where(is_found, upper, lower)

    # From the order of the units to that along the chords.
    position = inverse(met.order)
    here, there = rows(position, lower), rows(position, upper)
    both, twice = xp.concatenate([here, there]), None if is_vertex is None else xp.concatenate([is_vertex, is_vertex])
    number = upto(len(lower), lower)
    place = upto(len(met.chord), met.chord)
    twin = replaced(place, both, xp.concatenate([there, here]), twice)
    vertex = replaced(xp.zeros_like(place), both, xp.concatenate([number, number]), twice)
    return _Places(unit, face, met.chord, twin, vertex, met.is_meeting, lower, is_vertex)


def _vertices(
    state: Planar, found: Signs, cut: Chords, met: Meetings, places: _Places, weights: Weights
) -> tuple[Numbers, Numbers, Numbers]:
    """Pre-activations, their errors and the networks of old and new vertices."""
    xp, width, num_columns = namespace(found.z), weights.can_cut.shape[-1], found.z.shape[1]
    sizes = np.cumsum([len(found.z), len(cut.edge), len(places.vertex_place)])
    grown, new, newer = None, None, None
    if isinstance(found.z, np.ndarray):
        grown = np.empty((sizes[2], num_columns), found.z.dtype)
        new, newer = grown[sizes[0] : sizes[1]], grown[sizes[1] :]
    ends = cut.ends[:, 0], cut.ends[:, 1]
    crossed, spread = between(found.z, state.spread, *ends, cut.fraction, cut.error, width + 1, new)
    crossed = _zeroed(kept(crossed, cut.is_crossing, 0.0), cut.unit)
    chord, other = rows(met.chord, places.vertex_place), rows(met.other, places.vertex_place)
    p, q = rows(cut.start >> 1, chord), rows(cut.stop >> 1, chord)
    fraction, error = rows(met.fraction, places.vertex_place), rows(met.error, places.vertex_place)
    both, met_spread = between(crossed, spread, p, q, fraction, error, width + 1, newer)
    both = _zeroed(_zeroed(kept(both, places.is_vertex, 0.0), rows(places.unit, chord)), other)
    if grown is None:
        grown = xp.concatenate([found.z, crossed, both])
    else:
        grown[: sizes[0]] = found.z
    spreads = [state.spread, kept(spread, cut.is_crossing, -xp.inf), kept(met_spread, places.is_vertex, -xp.inf)]
    network = xp.concatenate([state.network, cut.network, rows(cut.network, p)])
    return grown, xp.concatenate(spreads), network


def _points(
    state: Planar, found: Signs, cut: Chords, met: Meetings, places: _Places, weights: Weights
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of the coordinates alone, each in one stretch of memory; errors are not bounded. In NumPy."""
    chord = met.chord.take(places.vertex_place)
    p, q = (cut.start >> 1).take(chord), (cut.stop >> 1).take(chord)
    u, v = np.ascontiguousarray(cut.ends.T)
    fraction = met.fraction.take(places.vertex_place)
    found_columns = []
    for old in np.ascontiguousarray(found.z[:, weights.can_cut.shape[-1] :].T):
        crossed = _between(old, u, v, cut.fraction)
        found_columns.append(np.concatenate([old, crossed, _between(crossed, p, q, fraction)]))
    network = np.concatenate([state.network, cut.network, cut.network.take(p)])
    return np.stack(found_columns).T, np.full(len(network), np.inf), network


def _between(
    values: Float[np.ndarray, " vertices"],
    u: Int[np.ndarray, " new"],
    v: Int[np.ndarray, " new"],
    fraction: Float[np.ndarray, " new"],
) -> Float[np.ndarray, " new"]:
    """A coordinate between vertices u and v, by fractions of the way."""
    low = values.take(u)
    found = values.take(v)
    found -= low
    found *= fraction
    found += low
    return found


def _words(found: Signs, cut: Chords, met: Meetings, places: _Places) -> UInt64[np.ndarray, "words vertices"]:
    """Which units of the layer are positive at old and new vertices; along a chord, each meeting changes one. In
    NumPy."""
    num_words = len(cut.words)
    at_crossings = cut.words & ~bit(cut.unit, num_words)
    other = bit(rows(met.other, met.order), num_words)
    passed = running_xor(other) ^ other
    passed ^= columns(passed, rows(met.first, met.chord))
    at_meetings = np.zeros((num_words, len(places.vertex_place)), np.uint64)
    at_meetings[:, places.vertex] = (columns(at_crossings, rows(cut.start >> 1, met.chord)) ^ passed) & ~other
    return np.concatenate([found.words, at_crossings, at_meetings], axis=1)


def _zeroed(values: Numbers, unit: Int[Numbers, " rows"]) -> Numbers:
    """The values with a zero for one unit of each row."""
    if isinstance(values, np.ndarray):
        values[np.arange(len(unit)), unit] = 0
        return values
    return jnp.where(jnp.arange(values.shape[1], dtype=jnp.int32) == unit[:, None], 0.0, values)


def _edges(
    state: Planar, found: Signs, cut: Chords, met: Meetings, places: _Places, first_number: int | Array
) -> tuple[Int[Numbers, "edges 2"], Int[Numbers, " edges"], Int[Numbers, "edges 2"]]:
    """Ends of the new edges, who made them, and the old faces on both sides."""
    xp = namespace(cut.edge)
    first_crossing = len(state.spread)
    first_meeting = first_crossing + len(cut.edge)
    crossing, place = upto(len(cut.edge), cut.edge), upto(len(met.chord), met.chord)
    until = xp.where(found.counts > 0, first_crossing + cut.first, state.ends[:, 1])
    old = xp.stack([state.ends[:, 0], until], axis=1)
    is_last = crossing == rows(cut.first + found.counts - 1, cut.edge)
    behind = xp.where(is_last, cut.ends[:, 1], first_crossing + crossing + 1)
    pieces = xp.stack([first_crossing + crossing, behind], axis=1)
    vertex = first_meeting + places.vertex
    stop = first_crossing + (cut.stop >> 1)
    until = xp.where(cut.counts > 0, _at_first(vertex, met.first), stop)
    chords = xp.stack([first_crossing + (cut.start >> 1), until], axis=1)
    is_last = place == rows(met.first + cut.counts - 1, met.chord)
    behind = xp.where(is_last, rows(stop, met.chord), xp.roll(vertex, -1))
    chord_pieces = xp.stack([vertex, behind], axis=1)
    ends = [kept(pieces, cut.is_crossing, 0), kept(chords, cut.is_chord, 0), kept(chord_pieces, met.is_meeting, 0)]
    number = first_number + places.unit
    made = [state.made, rows(state.made, cut.edge), number, rows(number, met.chord)]
    sides = xp.stack([places.face, places.face], axis=1)
    faces = [
        kept(rows(state.face, cut.edge), cut.is_crossing, NOBODY),
        kept(sides, cut.is_chord, NOBODY),
        kept(rows(sides, met.chord), met.is_meeting, NOBODY),
    ]
    return xp.concatenate([old, *ends]), xp.concatenate(made), xp.concatenate([state.face, *faces])


def _at_first(values: Int[Numbers, " entries"], first: Int[Numbers, " lists"]) -> Int[Numbers, " lists"]:
    """The value of each list's first entry; anything for lists without entries."""
    if len(values) == 0:
        return namespace(first).zeros_like(first)
    return rows(values, namespace(first).minimum(first, len(values) - 1))


def _followers(state: Planar, found: Signs, cut: Chords, met: Meetings, places: _Places) -> Int[Numbers, "edges 2"]:
    """The half-edge that follows each half-edge along its face."""
    xp = namespace(cut.edge)
    edge, crossing = upto(len(state.ends), cut.edge), upto(len(cut.edge), cut.edge)
    chord, place = upto(len(cut.start), cut.edge), upto(len(met.chord), cut.edge)
    first_piece = len(edge)
    first_chord = first_piece + len(crossing)
    first_chord_piece = first_chord + len(chord)
    is_cut, is_met = found.counts > 0, cut.counts > 0
    last_piece = xp.where(is_cut, first_piece + cut.first + found.counts - 1, edge)
    last_chord_piece = xp.where(is_met, first_chord_piece + met.first + cut.counts - 1, first_chord + chord)

    # What an old half-edge is followed by, as a piece of that one.
    old = xp.where((state.following & 1) == 0, state.following, 2 * rows(last_piece, (state.following >> 1)) + 1)

    # From a crossing on along the boundary of the face on either side of its edge, or into the chord.
    is_first = crossing == rows(cut.first, cut.edge)
    backwards = xp.where(is_first, cut.edge, first_piece + crossing - 1)
    leaving = xp.stack([2 * (first_piece + crossing), 2 * backwards + 1], axis=1).reshape(-1)
    entering = replaced(leaving, cut.start, 2 * (first_chord + chord), cut.is_chord)
    entering = replaced(entering, cut.stop, 2 * last_chord_piece + 1, cut.is_chord)
    forth, back = entering[0::2], entering[1::2]
    of_old = xp.stack([xp.where(is_cut, _at_first(forth, cut.first), old[:, 0]), old[:, 1]], axis=1)
    is_last = crossing == rows(cut.first + found.counts - 1, cut.edge)
    of_pieces = xp.stack([xp.where(is_last, rows(old[:, 0], cut.edge), xp.roll(forth, -1)), back], axis=1)

    # Chords end at crossings, and turn left at meetings: towards the other chord's end if that lies to the left.
    left_vertex = entries(state.ends, rows(cut.edge, cut.stop >> 1), 1 - (cut.stop & 1))
    is_left_active = has_bit(found.words, left_vertex, places.unit)
    other_chord = rows(met.chord, places.twin)
    is_end_active = has_bit(cut.words, rows(cut.stop >> 1, other_chord), rows(places.unit, met.chord))
    is_end_left = is_end_active == rows(is_left_active, met.chord)
    is_first = places.twin == rows(met.first, other_chord)
    forth = 2 * (first_chord_piece + places.twin)
    back = 2 * xp.where(is_first, first_chord + other_chord, first_chord_piece + places.twin - 1) + 1
    turn_forth, turn_back = xp.where(is_end_left, forth, back), xp.where(is_end_left, back, forth)
    ending, beginning = rows(leaving, cut.stop), rows(leaving, cut.start)
    of_chords = xp.stack([xp.where(is_met, _at_first(turn_forth, met.first), ending), beginning], axis=1)
    is_last = place == rows(met.first + cut.counts - 1, met.chord)
    ahead = xp.where(is_last, rows(ending, met.chord), xp.roll(turn_forth, -1))
    return xp.concatenate([of_old, of_pieces, of_chords, xp.stack([ahead, turn_back], axis=1)])


def _cycle_labels(following: Int[Array, " halfedges"]) -> Int[Array, " halfedges"]:
    """The smallest half-edge of the cycle of each, by pointer doubling."""

    def double(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        label, ahead, _ = carry
        smaller = jnp.minimum(label, rows(label, ahead))
        return smaller, rows(ahead, ahead), jnp.any(smaller != label)

    own = jnp.arange(len(following), dtype=jnp.int32)
    return lax.while_loop(lambda carry: carry[-1], double, (own, following, jnp.asarray(True)))[0]


def _numbered(
    following: Int[np.ndarray, " halfedges"],
    is_inside: Bool[np.ndarray, " halfedges"],
    network: Int[np.ndarray, " edges"],
) -> tuple[Int[np.ndarray, " halfedges"], Int[np.ndarray, " faces"], Int[np.ndarray, " faces"]]:
    """The face of each half-edge, the first half-edge of each face, and how many it has; in NumPy."""
    following = np.where(is_inside, following, np.arange(len(following)))
    while len(stray := strays(following, is_inside)):
        # Only of inconsistent complexes. They lose all of their faces, so that the number tells.
        is_lost = np.isin(network, network[stray >> 1]).repeat(2)
        is_inside = is_inside & ~is_lost
        following = np.where(is_lost, np.arange(len(following)), following)
    first, num_corners = cycles(following)
    return labels(following, first, num_corners), first, num_corners


def _patterns(
    words: UInt64[np.ndarray, "words vertices"],
    ends: Int[np.ndarray, "edges 2"],
    following: Int[np.ndarray, " halfedges"],
    first: Int[np.ndarray, " faces"],
) -> UInt64[np.ndarray, "words faces"]:
    """Which units are active on each face, given its first half-edge. Of three corners of a face, at least one does not
    lie on a given line, and tells on which side the face is."""
    second = following.take(first)
    patterns = words.take(ends.reshape(-1).take(first), axis=1)
    for half in (second, following.take(second)):
        patterns |= words.take(ends.reshape(-1).take(half), axis=1)
    return patterns
