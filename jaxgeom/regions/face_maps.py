"""[host] The affine maps of all faces of a union of complexes, from the activation patterns of the faces.

On each face, the inputs of a layer are three rows of numbers, which times a point (x, y, 1) give their values. They
follow from those of the face of the earlier layer that this one is a part of. Faces are put in order of the faces that
they are parts of, so that blocks of faces, as many as stay in cache, need blocks of earlier ones. Of the last layer,
the parts of one face differ in a few units only: the map of one of them is computed as a whole, those of the others by
what these units change. With few outputs, the last layer is gone through backwards, from the outputs to its inputs,
and only those of its units that cut a face are looked at on that face.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from jaxgeom.layers import Dense, Layers
from jaxgeom.regions.products import product
from jaxgeom.regions.ragged import columns, has_bit, inverse, listed, num_bits, starts
from jaxgeom.regions.subdivision import Parts

_NUMBERS_AT_ONCE = 1 << 18
"""So many numbers of maps are held at once."""


class _Level(NamedTuple):
    """The faces after one layer, in order of the faces that they are parts of."""

    parent: Int[np.ndarray, " faces"]
    words: UInt64[np.ndarray, "words faces"]
    network: Int[np.ndarray, " faces"]


class _Block(NamedTuple):
    """Some faces before the last layer, and what the last layers make of them."""

    before: Float[np.ndarray, "faces 3 in"]
    """Pre-activations of the layer before, and what they are multiplied with."""
    before_factors: Float[np.ndarray, "faces in"]
    network: Int[np.ndarray, " faces"]
    hidden: Dense
    readout: Dense
    words: UInt64[np.ndarray, "words faces"]
    """Which units of the last layer are active on one part of each face."""
    factors: Float[np.ndarray, "faces width"]
    """And what its pre-activations are multiplied with there."""


_Coefficients: TypeAlias = Callable[
    [Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]], list[Float[np.ndarray, " pairs"]]
]
"""For pairs of a face and a unit of the last layer, each row of the pre-activation."""


def affine_maps(
    networks: Layers, slopes: Sequence[Float[np.ndarray, " _"]], parts: list[Parts]
) -> Float[np.ndarray, "faces 3 out"]:
    """Gradients and intercepts of all final faces of the union.

    Args:
        networks: float64 arrays with one leading axis.
        slopes: for each hidden layer and unit, what negative pre-activations are multiplied with.
        parts: for each hidden layer, of which there is one at least, what became of the faces.
    """
    last, final, hidden, readout = parts[-1], slopes[-1], networks[-2], networks[-1]
    if len(parts) == 1:
        return _of_one_layer(networks, final, last)
    levels, place = _levels(parts[:-1])
    parent = place.take(last.parent)
    num_parents, num_faces, num_outputs = len(place), len(parent), readout.kernel.shape[2]
    some_part = np.zeros(num_parents, np.intp)
    some_part[parent] = np.arange(num_faces)
    maps = np.empty((num_faces, 3, num_outputs))
    into_units = np.ascontiguousarray(hidden.kernel.transpose(0, 2, 1))
    size = max(1, _NUMBERS_AT_ONCE // (3 * max(kernel.shape[2] for kernel, _ in networks[:-1])))
    for faces, first, stop in _blocks(parent, size, num_parents):
        before, before_factors, network = _before_last(networks, slopes, levels, first, stop)
        words = columns(last.words, some_part[first:stop])
        block = _Block(before, before_factors, network, hidden, readout, words, _factors(words, final))
        if num_outputs < 3 and len(faces) < 4 * size:
            base, coefficients = _backwards(block, into_units)
        else:
            base, coefficients = _forwards(block)
        for piece in np.split(faces, range(4 * size, len(faces), 4 * size)):
            own = parent.take(piece) - first
            maps[piece] = _changed(base, coefficients, block, columns(last.words, piece), own, final)
    return maps


def _of_one_layer(
    networks: Layers, slopes: Float[np.ndarray, " width"], part: Parts
) -> Float[np.ndarray, "faces 3 out"]:
    """The maps where there is only one hidden layer: products of its patterns with what its units contribute."""
    (first, bias), (kernel, offset) = networks
    num, width, num_outputs = kernel.shape
    rows = np.concatenate([first, bias[:, None]], axis=1).transpose(0, 2, 1)
    terms = (rows[..., None] * kernel[:, :, None]).reshape(num, width, 3 * num_outputs)
    maps = np.empty((len(part.network), 3, num_outputs))
    size = max(1, _NUMBERS_AT_ONCE // width)
    order = np.argsort(part.network, kind="stable")
    for faces in np.split(order, range(size, len(order), size)):
        factors = _factors(columns(part.words, faces), slopes)
        maps[faces] = product(factors, terms, part.network.take(faces)).reshape(-1, 3, num_outputs)
    maps[:, 2] += offset[part.network]
    return maps


def _levels(parts: list[Parts]) -> tuple[list[_Level], Int[np.ndarray, " faces"]]:
    """The faces after each layer in order, and which place in order each face of the last of these has."""
    found: list[_Level] = []
    place = np.zeros(0, np.intp)
    for index, part in enumerate(parts):
        parent = place.take(part.parent) if index else part.network
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


def _before_last(
    networks: Layers, slopes: Sequence[Float[np.ndarray, " _"]], levels: list[_Level], first: int, stop: int
) -> tuple[Float[np.ndarray, "faces 3 in"], Float[np.ndarray, "faces in"], Int[np.ndarray, " faces"]]:
    """The pre-activations of the last hidden layer but one on some of the faces after it, what they are multiplied with
    there, and the networks of the faces."""
    spans = [(first, stop)]
    for level in reversed(levels):
        first, stop = int(level.parent[first]), int(level.parent[stop - 1]) + 1
        spans.append((first, stop))
    first, stop = spans.pop()
    network, factors = np.arange(first, stop), np.zeros((0, 0))
    rows = np.concatenate([networks[0].kernel[first:stop], networks[0].bias[first:stop, None]], axis=1)
    for index, (level, slope) in enumerate(zip(levels, slopes[:-1], strict=True)):
        if index:
            rows *= factors[:, None]
            rows = _rows(rows, networks[index], network)
        before, (first, stop) = first, spans.pop()
        rows = rows.take(level.parent[first:stop] - before, axis=0)
        factors = _factors(level.words[:, first:stop], slope)
        network = level.network[first:stop]
    return rows, factors, network


def _rows(
    inputs: Float[np.ndarray, "faces 3 in"], layer: Dense, network: Int[np.ndarray, " faces"]
) -> Float[np.ndarray, "faces 3 out"]:
    """The pre-activations of a layer on some faces, from its inputs."""
    num, _, num_inputs = inputs.shape
    rows = product(inputs.reshape(-1, num_inputs), layer.kernel, np.repeat(network, 3)).reshape(num, 3, -1)
    rows[:, 2] += layer.bias[network]
    return rows


def _forwards(block: _Block) -> tuple[Float[np.ndarray, "faces 3 out"], _Coefficients]:
    """The map of one part of each face, and the coefficients, by way of all pre-activations."""
    rows = _rows(block.before * block.before_factors[:, None], block.hidden, block.network)
    base = _rows(rows * block.factors[:, None], block.readout, block.network)
    flat, width = rows.reshape(-1), rows.shape[2]

    def coefficients(face: np.ndarray, unit: np.ndarray) -> list[np.ndarray]:
        at = face * (3 * width) + unit
        return [flat.take(at + row * width) for row in range(3)]

    return base, coefficients


def _backwards(
    block: _Block, into_units: Float[np.ndarray, "networks width in"]
) -> tuple[Float[np.ndarray, "faces 3 out"], _Coefficients]:
    """The same from what each input contributes to the outputs, given the transposed kernels of the hidden layer. Each
    unit's coefficients are computed when wanted."""
    before, before_factors, network, hidden, readout, _, factors = block
    base = np.empty((len(before), 3, readout.kernel.shape[2]))
    for output in range(base.shape[2]):
        weights = factors * readout.kernel[:, :, output][network]
        of_inputs = product(weights, into_units, network) * before_factors
        base[..., output] = np.vecdot(before, of_inputs[:, None])
        base[:, 2, output] += np.vecdot(weights, hidden.bias[network])
    base[:, 2] += readout.bias[network]

    def coefficients(face: np.ndarray, unit: np.ndarray) -> list[np.ndarray]:
        key = face * factors.shape[1] + unit
        is_there = np.zeros(factors.size, bool)
        is_there[key] = True
        each = np.flatnonzero(is_there)
        number = np.empty(factors.size, np.intp)
        number[each] = np.arange(len(each))
        cut, by = np.divmod(each, factors.shape[1])
        of_network = network.take(cut)
        of_inputs = into_units[of_network, by] * before_factors.take(cut, axis=0)
        found = np.vecdot(before.take(cut, axis=0), of_inputs[:, None])
        found[:, 2] += hidden.bias[of_network, by]
        return list(found.take(number.take(key), axis=0).T)

    return base, coefficients


def _changed(
    base: Float[np.ndarray, "parents 3 out"],
    coefficients: _Coefficients,
    block: _Block,
    words: UInt64[np.ndarray, "words faces"],
    parent: Int[np.ndarray, " faces"],
    slopes: Float[np.ndarray, " width"],
) -> Float[np.ndarray, "faces 3 out"]:
    """The maps of faces, from that of another part of the same face and the units that are active on one of the two."""
    maps = base.take(parent, axis=0)
    flips = words ^ columns(block.words, parent)
    counts = num_bits(flips)
    first = starts(counts)
    face, unit, _ = listed(flips, counts, first, 0)
    some = np.flatnonzero(counts)
    if not len(some):
        return maps
    change = (2.0 * has_bit(words, face, unit) - 1) * (1 - slopes).take(unit)
    of_parent = parent.take(face)
    weights = block.readout.kernel[block.network.take(of_parent), unit] * change[:, None]
    for row, coefficient in enumerate(coefficients(of_parent, unit)):
        for output in range(maps.shape[2]):
            maps[some, row, output] += np.add.reduceat(coefficient * weights[:, output], first.take(some))
    return maps


def _factors(
    words: UInt64[np.ndarray, "words faces"], slopes: Float[np.ndarray, " width"]
) -> Float[np.ndarray, "faces width"]:
    """What the pre-activations of a layer are multiplied with on each face."""
    is_active = activity(words, len(slopes)).astype(np.float64)
    return is_active + (1 - is_active) * slopes if slopes.any() else is_active


def activity(words: UInt64[np.ndarray, "words sets"], num_units: int) -> Bool[np.ndarray, "sets units"]:
    """The sets of units as truth values."""
    by_set = np.ascontiguousarray(words.T.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(by_set, axis=1, bitorder="little", count=num_units).view(bool)
