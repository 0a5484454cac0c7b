"""[host] The affine maps of all faces of a union of complexes, from the activation patterns of the faces.

Before each layer, a face has a map from the plane to the layer's pre-activations, three rows of numbers; it follows
from that of the face of the earlier layer that this one is a part of. Faces are put in order of the faces that they are
parts of, so that blocks of faces, as many as stay in cache, need blocks of earlier ones. Of the last layer, the parts
of one face differ in a few units only: the map of one of them is computed as a whole, those of the others by what
these units change.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from jaxgeom.layers import Layers
from jaxgeom.regions.planar import product
from jaxgeom.regions.ragged import columns, inverse, listed, num_bits, starts
from jaxgeom.regions.subdivision import Parts

_NUMBERS_AT_ONCE = 1 << 18
"""So many numbers of maps are held at once."""

_MANY_PARTS = 32
"""From so many parts of each face on, products are faster than changes."""


class _Level(NamedTuple):
    """The faces after one layer, in order of the faces that they are parts of."""

    parent: Int[np.ndarray, " faces"]
    words: UInt64[np.ndarray, "words faces"]
    network: Int[np.ndarray, " faces"]


def affine_maps(
    networks: Layers, slopes: Sequence[Float[np.ndarray, " _"]], parts: list[Parts]
) -> Float[np.ndarray, "faces 3 out"]:
    """Gradients and intercepts of all final faces of the union.

    Args:
        networks: float64 arrays with one leading axis.
        slopes: for each hidden layer and unit, what negative pre-activations are multiplied with.
        parts: for each hidden layer, of which there is one at least, what became of the faces.
    """
    levels, place = _levels(parts[:-1])
    last = parts[-1]
    parent = last.network if place is None else place.take(last.parent)
    num_parents, num_faces = len(levels[-1].network) if levels else len(networks[0].bias), len(parent)
    some_part = np.zeros(num_parents, np.intp)
    some_part[parent] = np.arange(num_faces)
    readout, final = networks[-1], slopes[-1]
    width, num_outputs = readout.kernel.shape[1:]
    maps = np.empty((num_faces, 3, num_outputs))
    size = max(1, _NUMBERS_AT_ONCE // max(3 * kernel.shape[2] for kernel, _ in networks[:-1]))
    for faces, first, stop in _blocks(parent, size, num_parents):
        rows, network = _rows(networks, slopes, levels, first, stop)
        here = parent.take(faces) - first
        if len(faces) > _MANY_PARTS * len(rows):
            kernel = rows.transpose(0, 2, 1)[..., None] * readout.kernel[network, :, None]
            kernel = kernel.reshape(len(rows), width, 3 * num_outputs)
            for piece in np.split(np.argsort(here, kind="stable"), range(size, len(faces), size)):
                factors = _factors(last.words, faces[piece], final)
                maps[faces[piece]] = product(factors, kernel, here[piece]).reshape(-1, 3, num_outputs)
            maps[faces, 2] += readout.bias[network[here]]
            continue
        one = some_part[first:stop]
        active = rows * _factors(last.words, one, final)[:, None]
        base = product(active.reshape(-1, width), readout.kernel, np.repeat(network, 3)).reshape(-1, 3, num_outputs)
        base[:, 2] += readout.bias[network]
        for piece in np.split(np.arange(len(faces)), range(size, len(faces), size)):
            some, own = faces[piece], here[piece]
            words = columns(last.words, some)
            flips = words ^ columns(last.words, one[own])
            found = base.take(own, axis=0)
            _add_changes(found, flips, words, own, rows, readout.kernel, network, final)
            maps[some] = found
    return maps


def _add_changes(
    maps: Float[np.ndarray, "faces 3 out"],
    flips: UInt64[np.ndarray, "words faces"],
    words: UInt64[np.ndarray, "words faces"],
    parent: Int[np.ndarray, " faces"],
    rows: Float[np.ndarray, "parents 3 width"],
    kernel: Float[np.ndarray, "networks width out"],
    network: Int[np.ndarray, " parents"],
    slopes: Float[np.ndarray, " width"],
) -> None:
    """To the map of each face add what units change that are active there and not in the given map, or vice versa."""
    counts = num_bits(flips)
    face, unit, _ = listed(flips, counts, starts(counts), 0)
    if not len(face):
        return
    is_active = (words[unit >> 6, face] >> (unit & 63).astype(np.uint64)) & np.uint64(1)
    factor = np.where(is_active.view(np.int64) > 0, 1.0, -1.0) * (1 - slopes)[unit]
    of_parent = parent.take(face)
    weights = kernel[network[of_parent], unit] * factor[:, None]
    width = rows.shape[2]
    at = of_parent * (3 * width) + unit
    some = np.flatnonzero(counts)
    first = (np.cumsum(counts) - counts)[some]
    flat = rows.reshape(-1)
    for row in range(3):
        coefficient = flat.take(at + row * width)
        for output in range(maps.shape[2]):
            maps[some, row, output] += np.add.reduceat(coefficient * weights[:, output], first)


def _levels(parts: list[Parts]) -> tuple[list[_Level], Int[np.ndarray, " faces"] | None]:
    """The faces after each layer in order, and which place in order each face of the last of these has."""
    found: list[_Level] = []
    place = None
    for part in parts:
        parent = part.network if place is None else place.take(part.parent)
        order = np.argsort(parent.astype(np.min_scalar_type(parent.max(initial=0))), kind="stable")
        found.append(_Level(parent.take(order), columns(part.words, order), part.network.take(order)))
        place = inverse(order)
    return found, place


def _blocks(
    parent: Int[np.ndarray, " faces"], size: int, num_parents: int
) -> Iterator[tuple[Int[np.ndarray, " some"], int, int]]:
    """The faces block by block, each with those that are parts of the faces from one to another number."""
    num = -(-num_parents // size)
    block = parent // size
    order = np.argsort(block.astype(np.min_scalar_type(num)), kind="stable")
    stops = np.cumsum(np.bincount(block, minlength=num))
    for number, faces in enumerate(np.split(order, stops[:-1])):
        if len(faces):
            yield faces, number * size, min(num_parents, (number + 1) * size)


def _rows(
    networks: Layers, slopes: Sequence[Float[np.ndarray, " _"]], levels: list[_Level], first: int, stop: int
) -> tuple[Float[np.ndarray, "faces 3 width"], Int[np.ndarray, " faces"]]:
    """The maps to the last layer's pre-activations on some of the faces before it, and the networks of these."""
    spans = [(first, stop)]
    for level in reversed(levels):
        first, stop = int(level.parent[first]), int(level.parent[stop - 1]) + 1
        spans.append((first, stop))
    spans.reverse()
    start = slice(*spans[0])
    rows = np.concatenate([networks[0].kernel[start], networks[0].bias[start, None]], axis=1)
    network = np.arange(*spans[0])
    for level, slope, layer, before, span in zip(
        levels, slopes[:-1], networks[1:-1], spans[:-1], spans[1:], strict=True
    ):
        faces, network = np.arange(*span), level.network[slice(*span)]
        active = rows.take(level.parent[slice(*span)] - before[0], axis=0)
        active *= _factors(level.words, faces, slope)[:, None]
        rows = product(active.reshape(-1, len(slope)), layer.kernel, np.repeat(network, 3)).reshape(len(faces), 3, -1)
        rows[:, 2] += layer.bias[network]
    return rows, network


def _factors(
    words: UInt64[np.ndarray, "words faces"], faces: Int[np.ndarray, " some"], slopes: Float[np.ndarray, " width"]
) -> Float[np.ndarray, "some width"]:
    """What the pre-activations of a layer are multiplied with on these faces."""
    is_active = activity(columns(words, faces), len(slopes)).astype(np.float64)
    return is_active + (1 - is_active) * slopes if slopes.any() else is_active


def activity(words: UInt64[np.ndarray, "words sets"], num_units: int) -> Bool[np.ndarray, "sets units"]:
    """The sets of units as truth values."""
    by_set = np.ascontiguousarray(words.T.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(by_set, axis=1, bitorder="little", count=num_units).view(bool)
