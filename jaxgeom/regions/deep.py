"""[host] Exact counts of deep networks: the layers of :mod:`jaxgeom.regions.planar` in turn, for chunks of networks.

Each step is a compiled program of its own, since what it needs room for is known only after the one before: the signs
say how many crossings there are, the chords how many meetings. Capacities are rounded up and remembered, so that few
programs are compiled and nothing ever overflows. Networks with decisions within rounding error are counted anew in
integer arithmetic.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int64

from jaxgeom.domains import Start
from jaxgeom.layers import Dense, Layers, pad_widths
from jaxgeom.regions.batches import round_width
from jaxgeom.regions.planar import ARTIFICIAL, Capacities, Chords, Planar, Signs, begin, chords, signs, ties
from jaxgeom.regions.subdivision import Parts, subdivide

Slopes = Sequence[Float[np.ndarray, " _"]]

_MARGIN = 1.2

Rooms = dict[tuple[int, str], int]
"""Room that chunks of one population needed so far, for each layer and kind."""


class Cut(NamedTuple):
    """A chunk of networks, cut by all their layers."""

    count: Int64[np.ndarray, " networks"]  # type: ignore[assignment]
    """Number of regions."""
    is_certain: Bool[np.ndarray, " networks"]
    """Where no decision lay within its rounding error; elsewhere the number may be wrong."""
    state: Planar | None
    """The complexes, if wanted, in coordinates over ``size``."""
    size: Float[np.ndarray, " 3"]
    parts: list[Parts]
    """For each layer, what became of the faces, if wanted."""


def _mapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function over a leading axis. For one network alone it is not mapped, which is quicker to compile."""

    def run(*arguments: Any) -> Any:
        if len(jax.tree.leaves(arguments)[0]) > 1:
            return jax.vmap(function)(*arguments)
        return jax.tree.map(lambda array: array[None], function(*jax.tree.map(lambda array: array[0], arguments)))

    return run


@jax.jit
def _signs(state: Planar, layer: Dense, cuts: Array, scale: Array, rounding: Array) -> Signs:
    return _mapped(lambda state, layer, *bounds: signs(state, layer, cuts, *bounds))(state, layer, scale, rounding)


@partial(jax.jit, static_argnums=2)
def _chords(state: Planar, found: Signs, capacities: Capacities) -> Chords:
    return _mapped(lambda state, found: chords(state, found, capacities))(state, found)


@partial(jax.jit, static_argnums=3)
def _ties(state: Planar, found: Signs, cut: Chords, capacities: Capacities) -> Array:
    return _mapped(lambda state, found, cut: ties(state, found, cut, capacities))(state, found, cut)


@partial(jax.jit, static_argnums=5, static_argnames="num_parts")
def _subdivide(
    state: Planar,
    found: Signs,
    cut: Chords,
    slopes: Array,
    first_number: int | Array,
    capacities: Capacities,
    *,
    num_parts: int,
) -> tuple[Planar, Parts, Array, Array]:
    def one(state: Planar, found: Signs, cut: Chords) -> tuple[Planar, Parts, Array, Array]:
        return subdivide(state, found, cut, slopes, first_number, capacities, num_parts=num_parts)

    return _mapped(one)(state, found, cut)


def cut_by_layers(
    layers: Layers,
    slopes: Slopes,
    start: Start,
    rooms: Rooms,
    *,
    whole: bool = False,
    max_regions: int | None = None,
    dtype: np.dtype | type = np.float64,
) -> Cut:
    """Cut a domain by all hidden layers of each network of a chunk.

    Args:
        layers: the networks, as float64 NumPy arrays with one leading axis. Widths are rounded up inside, so that
            few programs are compiled.
        slopes: for each hidden layer and unit, what negative pre-activations are multiplied with; units with 1 do
            not cut.
        start: the domain.
        rooms: what earlier chunks needed; gets what this one needs.
        whole: build the complex of the last layer, too.
        dtype: precision of the whole computation.
        max_regions: stop before the first layer that makes more regions than that of some network.
    """
    with jax.enable_x64(True):
        num = len(layers[0].bias)
        one, size = begin(start)
        state = jax.tree.map(
            lambda array: np.broadcast_to(
                array.astype(dtype) if array.dtype == np.float64 else array, (num, *array.shape)
            ),
            one,
        )
        layers = (Dense(layers[0].kernel * size[:2, None], layers[0].bias), *layers[1:])
        scale, rounding = np.ones((num, 2), dtype), np.full(num, np.finfo(dtype).eps, dtype)
        is_certain = np.ones(num, bool)
        num_faces = np.asarray(state.num_faces, np.int64)
        num_artificial = np.full(num, (one.made <= ARTIFICIAL).sum())
        num_units, parts = 0, []
        layers = pad_widths(layers, [round_width(len(slope)) for slope in slopes])
        for index, (layer, slope) in enumerate(zip(layers[:-1], slopes, strict=True)):
            width = len(slope)
            slope = np.pad(slope, (0, layer.bias.shape[-1] - width)).astype(dtype)
            layer = Dense(layer.kernel.astype(dtype), (layer.bias * size[2]).astype(dtype))
            room = partial(_room, rooms, index)
            found = _signs(state, layer, slope != 1, scale, rounding)
            capacities = Capacities(
                room("faces", num_faces.max()),
                room("crossings", found.num_crossings),
                room("crossings per edge", found.crossings_per_edge),
                0,
                0,
            )
            cut = _chords(state, found, capacities)
            capacities = capacities._replace(
                meetings=room("meetings", cut.num_meetings),
                meetings_per_chord=room("meetings per chord", cut.meetings_per_chord),
            )
            after = num_faces + np.asarray(cut.num_chords) + np.asarray(cut.num_meetings)
            if max_regions is not None and after.max() > max_regions:
                break
            num_faces, num_artificial = after, num_artificial + np.asarray(cut.num_artificial)
            is_certain &= ~np.asarray(found.uncertain) & ~np.asarray(cut.uncertain) & np.asarray(cut.consistent)
            if index < len(slopes) - 1 or whole:
                num_parts = _room(rooms, index + 1, "faces", num_faces.max()) if whole else 0
                state, part, uncertain, consistent = _subdivide(
                    state, found, cut, slope, num_units, capacities, num_parts=num_parts
                )
                is_certain &= ~np.asarray(uncertain) & np.asarray(consistent)
                parts.append(part)
            else:
                is_certain &= ~np.asarray(_ties(state, found, cut, capacities))
            num_units += width
            # Activations are larger than pre-activations by the steepest slope at most.
            scale, rounding = found.scale * np.maximum(1, np.abs(slope)), found.rounding
        # Sides between faces of the start part regions. They form a tree, whose centre lies inside of one.
        count = num_faces - num_artificial + (num_artificial > 0)
        return Cut(count, is_certain, state if whole else None, size, parts)


def default_chunk_size(slopes: Sequence[np.ndarray]) -> int:
    """So many networks that what they need at once stays in cache."""
    return int(np.clip(2**18 // max(1, sum(map(len, slopes)) ** 2), 1, 64))


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
