"""[host] Exact counts of deep networks: the layers of :mod:`jaxgeom.regions.planar` in turn, for chunks of networks.

On CPUs, a chunk is one disjoint union of complexes, and NumPy cuts it: there is nothing to compile, and every array has
just the size that is needed. On accelerators, each step is a compiled program, mapped over the networks: the signs say
how many crossings there are, the chords how many meetings. These capacities are rounded up and remembered, so that few
programs are compiled and nothing ever overflows. Networks with decisions within rounding error are counted anew in
integer arithmetic.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int64

from jaxgeom.chunks import num_workers
from jaxgeom.domains import Start
from jaxgeom.layers import Layers, pad_widths
from jaxgeom.regions.batches import round_width
from jaxgeom.regions.planar import (
    ARTIFICIAL,
    Capacities,
    Chords,
    Planar,
    Signs,
    Weights,
    begin,
    chords,
    copies,
    homogeneous,
    signs,
    ties,
)
from jaxgeom.regions.subdivision import Parts, subdivide

Slopes = Sequence[Float[np.ndarray, " _"]]

Rooms = dict[tuple[int, str], int]
"""Room that chunks of one population needed so far, for each layer and kind."""

_MARGIN = 1.2

_KEPT_BYTES = 30 << 20
"""Once an array of this size was freed, the allocator of glibc keeps what further arrays free, instead of giving it
back to the system: otherwise a third of the time goes into getting it again."""


class Cut(NamedTuple):
    """A chunk of networks, cut by all their layers."""

    count: Int64[np.ndarray, " networks"]  # type: ignore[assignment]
    """Number of regions."""
    is_certain: Bool[np.ndarray, " networks"]
    """Where no decision lay within its rounding error; elsewhere the number may be wrong."""
    state: Planar | None
    """The union of the complexes, if wanted; the last three columns of its values are w, x, y over ``size``."""
    size: Float[np.ndarray, " 3"]
    parts: list[Parts]
    """For each layer, what became of the faces, if wanted."""


def cut_by_layers(
    layers: Layers,
    slopes: Slopes,
    start: Start,
    *,
    whole: bool = False,
    max_regions: int | None = None,
    dtype: np.dtype | type = np.float64,
) -> Cut:
    """Cut a domain by all hidden layers of each network of a chunk, in NumPy.

    Args:
        layers: the networks, as float64 NumPy arrays with one leading axis.
        slopes: for each hidden layer and unit, what negative pre-activations are multiplied with; units with 1 do
            not cut.
        start: the domain.
        whole: build the complex of the last layer, too, and carry positions along.
        max_regions: stop before the first layer that makes more regions than that of some network.
        dtype: precision of the whole computation.
    """
    np.empty(_KEPT_BYTES, np.uint8)
    state, size, steps, rounding = _prepared(layers, slopes, start, dtype, with_points=whole)
    num = len(layers[0].bias)
    is_certain = np.ones(num, bool)
    num_artificial = np.full(num, (state.made <= ARTIFICIAL).sum())
    state = copies(state, num)
    num_faces, num_units = state.num_faces, 0
    parts: list[Parts] = []
    with np.errstate(all="ignore"):
        for index, weights in enumerate(steps):
            # What is uncertain is cut no further.
            weights = weights._replace(can_cut=weights.can_cut & is_certain[:, None])
            found = signs(state, weights, rounding)
            if max_regions is None:  # activations may take more memory than all else
                state = state._replace(values=state.values[:0])
            cut = chords(state, found)
            after = num_faces + cut.num_chords + cut.num_meetings
            if max_regions is not None and after.max() > max_regions:
                break
            num_faces, num_artificial = after, num_artificial + cut.num_artificial
            is_certain &= ~found.uncertain & ~cut.uncertain & cut.consistent
            is_last = index == len(steps) - 1
            if not is_last or whole:
                state, part, uncertain, consistent = subdivide(
                    state, found, cut, weights, num_units, with_parts=whole, is_last=is_last
                )
                is_certain &= ~uncertain & consistent
                parts += [part] if part else []
            else:
                is_certain &= ~ties(state, found, cut)
            num_units += weights.can_cut.shape[-1]
            rounding = found.rounding
    return Cut(_without_artificial(num_faces, num_artificial), is_certain, state if whole else None, size, parts)


def _prepared(
    layers: Layers, slopes: Slopes, start: Start, dtype: np.dtype | type, *, with_points: bool
) -> tuple[Planar, Float[np.ndarray, " 3"], list[Weights], float | Array]:
    """The domain, the scale of its coordinates, the layers, and the rounding error of the start."""
    state, size = begin(start)

    def rounded(array: np.ndarray) -> np.ndarray:
        return array.astype(dtype) if array.dtype == np.float64 else array

    with np.errstate(all="ignore"):
        steps = homogeneous(layers, slopes, size, with_points=with_points)
        return jax.tree.map(rounded, state), size, jax.tree.map(rounded, steps), float(np.finfo(dtype).eps)


def _without_artificial(num_faces: np.ndarray, num_artificial: np.ndarray) -> np.ndarray:
    """Sides between faces of the start part regions. They form a tree, whose centre lies inside of one."""
    return (num_faces - num_artificial + (num_artificial > 0)).astype(np.int64)


# How the steps are mapped over networks.
_SIGNS: Any = Signs._make((0, None, 0, 0, 0, 0))
_WEIGHTS: Any = Weights._make((0, 0, None))


@jax.jit
def _signs(state: Planar, weights: Weights, rounding: float | Array) -> Signs:
    return jax.vmap(signs, (0, _WEIGHTS, None), _SIGNS)(state, weights, rounding)


@partial(jax.jit, static_argnums=2)
def _chords(state: Planar, found: Signs, capacities: Capacities) -> Chords:
    return jax.vmap(partial(chords, capacities=capacities), (0, _SIGNS))(state, found)


@partial(jax.jit, static_argnums=3)
def _ties(state: Planar, found: Signs, cut: Chords, capacities: Capacities) -> Array:
    return jax.vmap(partial(ties, capacities=capacities), (0, _SIGNS, 0))(state, found, cut)


@partial(jax.jit, static_argnums=4)
def _subdivide(
    state: Planar, found: Signs, cut: Chords, weights: Weights, capacities: Capacities
) -> tuple[Planar, Parts | None, Array, Array]:
    one = partial(subdivide, first_number=0, capacities=capacities)
    return jax.vmap(one, (0, _SIGNS, 0, _WEIGHTS))(state, found, cut, weights)


def count_on_device(
    layers: Layers, slopes: Slopes, start: Start, rooms: Rooms, dtype: np.dtype | type = np.float64
) -> Cut:
    """The counts of :func:`cut_by_layers`, by compiled programs.

    Args:
        layers, slopes, start, dtype: as there. Widths are rounded up inside, so that few programs are compiled.
        rooms: what earlier chunks needed; gets what this one needs.
    """
    widths = [round_width(len(slope)) for slope in slopes]
    slopes = [np.pad(slope, (0, width - len(slope))) for slope, width in zip(slopes, widths, strict=True)]
    one, size, steps, rounding = _prepared(pad_widths(layers, widths), slopes, start, dtype, with_points=False)
    num = len(layers[0].bias)
    with jax.enable_x64(True):
        one = jax.tree.map(lambda array: array.astype(np.int32) if array.dtype == np.int64 else array, one)
        state = jax.tree.map(lambda array: np.broadcast_to(array, (num, *array.shape)), one)
        is_certain = np.ones(num, bool)
        num_faces = np.asarray(state.num_faces, np.int64)
        num_artificial = np.full(num, (one.made <= ARTIFICIAL).sum())
        for index, weights in enumerate(steps):
            room = partial(_room, rooms, index)
            weights = weights._replace(can_cut=weights.can_cut & is_certain[:, None])
            found = _signs(state, weights, rounding)
            capacities = Capacities(
                room("faces", num_faces.max()),
                room("crossings", np.sum(found.counts, axis=1)),
                room("crossings per edge", found.counts),
                0,
                0,
            )
            cut = _chords(state, found, capacities)
            capacities = capacities._replace(
                meetings=room("meetings", cut.num_meetings),
                meetings_per_chord=room("meetings per chord", cut.counts),
            )
            num_faces = num_faces + np.asarray(cut.num_chords) + np.asarray(cut.num_meetings)
            num_artificial = num_artificial + np.asarray(cut.num_artificial)
            is_certain &= ~np.asarray(found.uncertain) & ~np.asarray(cut.uncertain) & np.asarray(cut.consistent)
            if index < len(steps) - 1:
                state, _, uncertain, consistent = _subdivide(state, found, cut, weights, capacities)
                is_certain &= ~np.asarray(uncertain) & np.asarray(consistent)
            else:
                is_certain &= ~np.asarray(_ties(state, found, cut, capacities))
            rounding = found.rounding
    return Cut(_without_artificial(num_faces, num_artificial), is_certain, None, size, [])


def default_chunk_size(slopes: Slopes, num: int) -> int:
    """So many networks, of ``num`` in all, that their values at the vertices take some megabytes, and that all cores
    have equally many chunks. The number of vertices grows like the square of that of the units."""
    size = int(np.clip(2**27 // max(1, sum(map(len, slopes)) ** 3), 1, 128))
    num_chunks = num_workers() * -(-num // (size * num_workers()))
    return -(-num // num_chunks)


_LEAST = {"crossings": 64, "meetings": 64, "crossings per edge": 8, "meetings per chord": 8, "faces": 64}


def _room(rooms: Rooms, layer: int, kind: str, needed: Any) -> int:
    """Room for what is needed: as much as before if that is enough, else rounded up with some margin. Small networks
    all get the same, so that they share programs."""
    number = int(np.max(needed))
    if rooms.get((layer, kind), -1) < number:
        is_start = kind == "faces" and layer == 0
        rooms[layer, kind] = number if is_start else max(_LEAST[kind], _rounded_up(int(number * _MARGIN)))
    return rooms[layer, kind]


def _rounded_up(number: int) -> int:
    """Up to a number with three binary digits and then zeros: …, 8, 10, 12, 14, 16, 20, …"""
    step = 1 << max(0, number.bit_length() - 3)
    return -(-number // step) * step
