"""Cut a planar complex along the chords of a layer: new vertices, edges, and faces found as cycles of half-edges.

At a crossing of an edge and a chord, and at a meeting of two chords, it is known locally which half-edge follows which
along a face: the signs at the ends of a chord tell on which side of another they lie. Faces then are the cycles of this
relation, and pointer doubling gives every half-edge the smallest number in its cycle within a logarithmic number of
rounds. That there are as many cycles as :mod:`jaxgeom.regions.planar` counted certifies the result.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int32, UInt32

from jaxgeom.regions.planar import (
    NOBODY,
    Capacities,
    Chords,
    Meetings,
    Planar,
    Signs,
    at_crossings,
    between,
    meetings,
)
from jaxgeom.regions.ragged import (
    below,
    entries,
    has_bit,
    inverse,
    num_bits,
    packed,
    positions,
    replaced,
    rows,
    running_sum,
    starts,
)


class Parts(NamedTuple):
    """What became of the faces that were there."""

    parent: Int32[Array, " faces"]
    """The face that each new one is a part of."""
    words: UInt32[Array, "faces words"]
    """Which units of the layer are active on it."""


def subdivide(
    state: Planar,
    found: Signs,
    cut: Chords,
    slopes: Float[Array, " width"],
    first_number: int | Array,
    capacities: Capacities,
    *,
    num_parts: int = 0,
) -> tuple[Planar, Parts, Bool[Array, ""], Bool[Array, ""]]:
    """The complex cut by the units of one layer, with the activations of that layer at its vertices.

    Vertices are the old ones, the crossings, the meetings. Edges are the first piece of each old edge, the piece behind
    each crossing, the first piece of each chord, the piece behind each meeting.

    Args:
        state, found, cut: the complex, the signs and the chords of the layer.
        slopes: what each unit multiplies negative pre-activations with; 0 for ReLU.
        first_number: number of the layer's first unit, for ``made``.
        capacities: room.
        num_parts: room for new faces, if their parents and patterns are wanted.

    Returns:
        The new complex, the parts, whether a decision was uncertain, and whether the cycles are as many as predicted.
    """
    points, crossed, spread = at_crossings(state, found, cut)
    met = meetings(state, found, cut, spread, capacities, once=False)
    chord_face = entries(state.face, rows(cut.edge, met.start), met.side)
    twin, vertex = _twins(cut, met, chord_face, found.z.shape[1], capacities)
    order = inverse(met.position)
    met_vertex, twin = rows(vertex, order), rows(rows(met.position, twin), order)

    grown, signs_at = _vertices(
        state, found, cut, met, (points, crossed, spread), vertex, slopes, capacities, bool(num_parts)
    )
    counts = num_bits(found.flips)
    ends, made, face = _edges(state, cut, met, counts, met_vertex, chord_face, first_number)
    following = _followers(state, found, cut, met, counts, twin, chord_face)

    flat_face = face.reshape(-1)
    own = jnp.arange(len(flat_face), dtype=jnp.int32)
    is_inside = flat_face >= 0
    label, words = _cycle_labels(
        jnp.where(is_inside, following.reshape(-1), own), None if signs_at is None else rows(signs_at, ends.reshape(-1))
    )
    is_first = (label == own) & is_inside
    number = running_sum(is_first) - 1
    num_faces = jnp.sum(is_first, dtype=jnp.int32)
    new_face = jnp.where(is_inside, rows(number, label), NOBODY).reshape(face.shape)
    consistent = num_faces == state.num_faces + cut.num_chords + cut.num_meetings
    if words is None:
        parts = Parts(jnp.zeros(0, jnp.int32), jnp.zeros((0, cut.words.shape[1]), jnp.uint32))
    else:
        firsts = positions(is_first, num_parts)
        parts = Parts(rows(flat_face, firsts), rows(words, firsts))
    state = Planar(*grown, ends, made, new_face, following, num_faces)
    return state, parts, met.uncertain, consistent


def _twins(
    cut: Chords, met: Meetings, chord_face: Array, num_units: int, capacities: Capacities
) -> tuple[Int32[Array, " places"], Int32[Array, " places"]]:
    """For each listed meeting, where the other chord lists it, and the number of its vertex."""
    num_words = cut.words.shape[1]
    chord = jnp.arange(len(met.start), dtype=jnp.int32)
    nowhere = capacities.faces * num_units
    table = jnp.zeros(nowhere + 1, jnp.int32)
    table = replaced(table, jnp.where(met.is_chord, chord_face * num_units + met.unit, nowhere), chord)
    unit = rows(met.unit, met.chord)
    key = rows(chord_face, met.chord) * num_units + met.other
    other_chord = rows(table, jnp.where(met.is_meeting, key, nowhere))
    crossed = rows(cut.crossed.reshape(-1, num_words), 2 * met.start + met.side)
    crossed = jnp.where(met.is_chord[:, None], crossed, jnp.uint32(0))
    twin = rows(met.first, other_chord) + num_bits(rows(crossed, other_chord) & below(unit, num_words))
    upper = crossed & ~below(met.unit, num_words)
    first_vertex = starts(num_bits(upper))
    low, low_chord = jnp.where(unit < met.other, met.chord, other_chord), jnp.maximum(unit, met.other)
    vertex = rows(first_vertex, low) + num_bits(rows(upper, low) & below(low_chord, num_words))
    place = jnp.arange(len(met.chord), dtype=jnp.int32)
    return jnp.where(met.is_meeting, twin, place), jnp.where(met.is_meeting, vertex, 0)


def _vertices(
    state: Planar,
    found: Signs,
    cut: Chords,
    met: Meetings,
    at: tuple[Array, Array, Array],
    vertex: Array,
    slopes: Array,
    capacities: Capacities,
    with_signs: bool,
) -> tuple[tuple[Array, Array, Array], Array | None]:
    """Positions, their errors, and activations of old and new vertices; and their signs."""
    unit = jnp.arange(found.z.shape[1], dtype=jnp.int32)
    points, crossed, spread = at
    crossed = jnp.where((unit == cut.unit[:, None]) | ~cut.is_crossing[:, None], 0.0, crossed)

    is_lower = met.is_meeting & (rows(met.unit, met.chord) < met.other)
    listed = jnp.full(capacities.meetings + 1, len(met.chord), jnp.int32)
    place = jnp.arange(len(met.chord), dtype=jnp.int32)
    target = jnp.where(is_lower, jnp.minimum(vertex, capacities.meetings), capacities.meetings)
    listed = replaced(listed, target, place)[:-1]
    is_vertex = listed < len(met.chord)
    listed = jnp.minimum(listed, len(met.chord) - 1)
    chord, other, fraction = (rows(array, listed) for array in (met.chord, met.other, met.fraction))
    p, q = rows(met.start, chord), rows(met.stop, chord)
    is_own = (unit == rows(met.unit, chord)[:, None]) | (unit == other[:, None])
    error = rows(met.error, listed)
    met_points, both, met_spread = between(points, crossed, spread, found.scale, p, q, fraction, error)
    both = jnp.where(is_own | ~is_vertex[:, None], 0.0, both)

    z = jnp.concatenate([found.z, crossed, both])
    grown = (
        jnp.concatenate(
            [
                state.points,
                jnp.where(cut.is_crossing[:, None], points, 0.0),
                jnp.where(is_vertex[:, None], met_points, 0.0),
            ]
        ),
        jnp.concatenate([state.spread, spread, met_spread]),
        jnp.where(z > 0, z, z * slopes),
    )
    if not with_signs:
        return grown, None
    crossing_signs = cut.words & ~_own_bit(cut)
    return grown, jnp.concatenate([found.words, crossing_signs, packed((both > 0) & (slopes != 1))])


def _own_bit(cut: Chords) -> UInt32[Array, "crossings words"]:
    num_words = cut.words.shape[1]
    return below(cut.unit + 1, num_words) ^ below(cut.unit, num_words)


def _edges(
    state: Planar,
    cut: Chords,
    met: Meetings,
    counts: Array,
    met_vertex: Array,
    chord_face: Array,
    first_number: int | Array,
) -> tuple[Int32[Array, "edges 2"], Int32[Array, " edges"], Int32[Array, "edges 2"]]:
    """Ends of the new edges, who made them, and the old faces on both sides."""
    first_crossing = len(state.points)
    first_meeting = first_crossing + len(cut.edge)
    crossing = jnp.arange(len(cut.edge), dtype=jnp.int32)
    place = jnp.arange(len(met.chord), dtype=jnp.int32)
    old = state.ends.at[:, 1].set(jnp.where(counts > 0, first_crossing + cut.first, state.ends[:, 1]))
    is_last = crossing == rows(cut.first + counts - 1, cut.edge)
    behind = jnp.where(is_last, entries(state.ends, cut.edge, jnp.ones_like(crossing)), first_crossing + crossing + 1)
    pieces = jnp.stack([first_crossing + crossing, behind], axis=1)
    place_of_first = jnp.minimum(met.first, len(place) - 1)
    until = jnp.where(met.num > 0, first_meeting + rows(met_vertex, place_of_first), first_crossing + met.stop)
    chords = jnp.stack([first_crossing + met.start, until], axis=1)
    is_last = place == rows(met.first + met.num - 1, met.chord)
    following = first_meeting + jnp.roll(met_vertex, -1)
    behind = jnp.where(is_last, first_crossing + rows(met.stop, met.chord), following)
    chord_pieces = jnp.stack([first_meeting + met_vertex, behind], axis=1)
    is_there = [cut.is_crossing[:, None], met.is_chord[:, None], met.is_meeting[:, None]]
    new_ends = [jnp.where(there, part, 0) for there, part in zip(is_there, (pieces, chords, chord_pieces), strict=True)]
    made = [state.made, rows(state.made, cut.edge), first_number + met.unit, first_number + rows(met.unit, met.chord)]
    faces = [rows(state.face, cut.edge), chord_face[:, None], rows(chord_face, met.chord)[:, None]]
    new_faces = [
        jnp.broadcast_to(jnp.where(there, part, NOBODY), (len(there), 2))
        for there, part in zip(is_there, faces, strict=True)
    ]
    return (
        jnp.concatenate([old, *new_ends]),
        jnp.concatenate(made).astype(jnp.int32),
        jnp.concatenate([state.face, *new_faces]),
    )


def _followers(
    state: Planar, found: Signs, cut: Chords, met: Meetings, counts: Array, twin: Array, chord_face: Array
) -> Int32[Array, "edges 2"]:
    """The half-edge that follows each half-edge along its face."""
    edge = jnp.arange(len(state.ends), dtype=jnp.int32)
    crossing = jnp.arange(len(cut.edge), dtype=jnp.int32)
    chord = jnp.arange(len(met.start), dtype=jnp.int32)
    place = jnp.arange(len(met.chord), dtype=jnp.int32)
    first_piece = len(edge)
    first_chord = first_piece + len(crossing)
    first_chord_piece = first_chord + len(chord)
    last_piece = jnp.where(counts > 0, first_piece + cut.first + counts - 1, edge)
    last_chord_piece = jnp.where(met.num > 0, first_chord_piece + met.first + met.num - 1, first_chord + chord)

    # What an old half-edge is followed by, as a piece of that one.
    old = jnp.where(state.following % 2 == 0, state.following, 2 * rows(last_piece, state.following // 2) + 1)

    # From a crossing on along the boundary of the face on either side of its edge.
    is_first = crossing == rows(cut.first, cut.edge)
    backwards = jnp.where(is_first, cut.edge, first_piece + crossing - 1)
    leaving = jnp.stack([2 * (first_piece + crossing), 2 * backwards + 1], axis=1)
    # And into the chord.
    index = 2 * crossing[:, None] + jnp.arange(2, dtype=jnp.int32)
    other_end = jnp.maximum(cut.partner, 0)
    face = rows(state.face, cut.edge)
    other_side = (rows(state.face[:, 0], rows(cut.edge, other_end)) != face).astype(jnp.int32)
    begins = cut.partner > crossing[:, None]
    entry = jnp.where(begins, index, 2 * other_end + other_side)
    is_start = (cut.partner > crossing[:, None]).reshape(-1)
    chord_at = rows(running_sum(is_start) - 1, entry)
    chord_at = jnp.clip(chord_at, 0, len(chord) - 1)
    entering = jnp.where(begins, 2 * (first_chord + chord_at), 2 * rows(last_chord_piece, chord_at) + 1)
    entering = jnp.where(cut.partner == NOBODY, leaving, entering)

    first_entering = rows(entering[:, 0], jnp.minimum(cut.first, len(crossing) - 1))
    of_old = jnp.stack([jnp.where(counts > 0, first_entering, old[:, 0]), old[:, 1]], axis=1)
    is_last = crossing == rows(cut.first + counts - 1, cut.edge)
    ahead = jnp.where(is_last, rows(old[:, 0], cut.edge), jnp.roll(entering[:, 0], -1))
    of_pieces = jnp.stack([ahead, entering[:, 1]], axis=1)

    # Chords end at crossings, and turn left at meetings: towards the other chord's end if that lies to the left.
    stop_edge = rows(cut.edge, met.stop)
    stop_side = (rows(state.face[:, 0], stop_edge) != chord_face).astype(jnp.int32)
    left_vertex = entries(state.ends, stop_edge, 1 - stop_side)
    is_left_active = has_bit(found.words, left_vertex, met.unit)
    other_chord = rows(met.chord, twin)
    is_end_active = has_bit(cut.words, rows(met.stop, other_chord), rows(met.unit, met.chord))
    is_end_left = is_end_active == rows(is_left_active, met.chord)
    is_first_on_other = twin == rows(met.first, other_chord)
    forth = 2 * (first_chord_piece + twin)
    back = 2 * jnp.where(is_first_on_other, first_chord + other_chord, first_chord_piece + twin - 1) + 1
    turn_forth, turn_back = jnp.where(is_end_left, forth, back), jnp.where(is_end_left, back, forth)
    ending, beginning = entries(leaving, met.stop, stop_side), entries(leaving, met.start, met.side)
    first_turn = rows(turn_forth, jnp.minimum(met.first, len(place) - 1))
    of_chords = jnp.stack([jnp.where(met.num > 0, first_turn, ending), beginning], axis=1)
    is_last = place == rows(met.first + met.num - 1, met.chord)
    ahead = jnp.where(is_last, rows(ending, met.chord), jnp.roll(turn_forth, -1))
    of_chord_pieces = jnp.stack([ahead, turn_back], axis=1)
    return jnp.concatenate([of_old, of_pieces, of_chords, of_chord_pieces])


def _cycle_labels(
    following: Int32[Array, " halfedges"], words: UInt32[Array, "halfedges words"] | None
) -> tuple[Int32[Array, " halfedges"], UInt32[Array, "halfedges words"] | None]:
    """The smallest half-edge of the cycle of each, by pointer doubling; and the union of the words along it."""

    def more(carry: tuple) -> Bool[Array, ""]:
        return carry[-1]

    def double(carry: tuple) -> tuple:
        label, ahead, union, _ = carry
        smaller = jnp.minimum(label, rows(label, ahead))
        union = None if union is None else union | rows(union, ahead)
        return smaller, rows(ahead, ahead), union, jnp.any(smaller != label)

    own = jnp.arange(len(following), dtype=jnp.int32)
    label, _, union, _ = lax.while_loop(more, double, (own, following, words, jnp.asarray(True)))
    return label, union
