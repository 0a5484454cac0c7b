"""[host] Which face of a complex holds a point: the one with the point's activation pattern.

The network is evaluated at the points, and the packed patterns are looked up among those of the faces, in order of a
64-bit hash; the words themselves are compared as well, so that the hash decides nothing. No geometry is involved but
for the question whether a point lies in the domain.

Points on the lines of units may have patterns that no face has: where z and -z are both zero, both units are inactive.
Pre-activations are continuous, so a face holds a point (its boundary included) if and only if its pattern differs from
the point's in units only whose pre-activation vanishes there. Such points get the face where the largest relative
pre-activation of a differing unit is smallest.
"""

from itertools import pairwise

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxgeom.host.given import as_float64, points_of
from jaxgeom.networks.layers import Activation, Layers, check_finite, check_layers, slope_of, with_activation
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex, check_is_planar

_MOST_FACES = 1 << 12
_ROUNDING = 64 * float(np.finfo(np.float64).eps)  # for each unit, relative to the sums of sizes of all terms
_TINY = 1e-280  # what underflow may do


def locate(
    complex_: PlanarComplex,
    layers: Layers,
    points: Float[Array | np.ndarray, "points 2"],
    *,
    activation: Activation | None = None,
    most_numbers: int = 1 << 22,
) -> Int[np.ndarray, " points"]:
    """The face that holds each point; -1 for points outside of the domain.

    Faces are closed. A point on the line of a unit belongs to the side where the unit is inactive, if there is one
    with the point's pattern, and otherwise to the first of the faces that it is on the boundary of. Signs are those of
    float64: within rounding of a line either side may be found, and within rounding of the domain's boundary a point
    is inside.

    Args:
        complex_: regions of the network, as :func:`jaxgeom.enumerate_regions` gives them.
        layers: the network that the complex belongs to.
        points: any number of points.
        activation: the activation that was given when the complex was made.
        most_numbers: numbers of the largest temporary arrays; points are looked up block by block.

    Raises:
        TypeError: for anything but a complex of the plane, or if the points or the weights are not real numbers.
        ValueError: if the points are not finite, or not two-dimensional; or if the network is not the complex's: if
            it has other units, or other patterns or affine maps on the faces, of which up to 4,096 are looked at.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> faces = jg.locate(complex_, network, [[0.5, 0.5], [0.5, -0.5], [2.0, 0.0]])
        >>> complex_.patterns[faces[:2]].tolist(), int(faces[2])
        ([[True, True], [True, False]], -1)
    """
    check_is_planar(complex_, "locate")
    points = np.asarray(points_of(points, 2))
    faces = np.full(len(points), OUTSIDE, np.int64)
    network, whole = _network(complex_, with_activation(layers, activation))
    _check_is_its_network(complex_, network, whole)
    table = _words(complex_.patterns)
    step = max(1, most_numbers // max(1, complex_.patterns.shape[1]))
    inside = np.flatnonzero(_is_inside(complex_, points))
    for block in np.split(inside, range(step, len(inside), step)):
        patterns, _ = _patterns(network, points[block])
        found = _lookup(table, _words(patterns))
        lost = np.flatnonzero(found == OUTSIDE)
        if len(lost):
            found[lost] = _nearest(
                complex_.patterns, *_patterns(network, points[block[lost]], relative=True), most_numbers
            )
        faces[block] = found
    return faces


def _is_inside(complex_: PlanarComplex, points: Float[np.ndarray, "points 2"]) -> Bool[np.ndarray, " points"]:
    """Which points lie in the domain, to rounding: on the inner side of each of its sides."""
    if complex_.is_ideal.any():
        return np.ones(len(points), bool)
    on_boundary = complex_.edge_layer == OUTSIDE
    faces, edges = complex_.edge_faces[on_boundary], complex_.edges[on_boundary]
    inner = np.where(faces[:, :1] == OUTSIDE, edges[:, ::-1], edges)  # the domain is to the left
    keys = complex_.edge_unit[on_boundary, None] * len(complex_.vertices) + inner
    # each side goes from the vertex where it only begins to the one where it only ends
    tails = np.sort(keys[~np.isin(keys[:, 0], keys[:, 1]), 0]) % len(complex_.vertices)
    heads = np.sort(keys[~np.isin(keys[:, 1], keys[:, 0]), 1]) % len(complex_.vertices)
    tail, side = complex_.vertices[tails], complex_.vertices[heads] - complex_.vertices[tails]
    is_inside = np.ones(len(points), bool)
    for (x, y), (dx, dy) in zip(tail, side, strict=True):
        u, v = points[:, 0] - x, points[:, 1] - y
        size = abs(dx) * (np.abs(points[:, 1]) + abs(y)) + abs(dy) * (np.abs(points[:, 0]) + abs(x))
        is_inside &= dx * v - dy * u >= -4 * np.finfo(np.float64).eps * size
    return is_inside


def _network(complex_: PlanarComplex, layers: Layers) -> tuple[Layers, Layers | None]:
    """The layers that cut the complex; and the layers that its affine maps belong to, if it has some."""
    network = jax.tree.map(lambda array: np.asarray(as_float64(array)), check_layers(layers, dim=2))
    check_finite(network)
    width = network[-1].bias.shape[-1]
    num_units = complex_.patterns.shape[1]
    widths = np.cumsum([0, *(layer.bias.shape[-1] for layer in network)]).tolist()  # the outputs may have cut, too
    if num_units not in widths or np.ndim(network[0].bias) != 1:
        raise ValueError(
            f"the faces of this complex have patterns of {num_units} units, but the layers have biases of shapes "
            f"{[layer.bias.shape for layer in network]}. Give the network and the activation that enumerate_regions "
            "was called with."
        )
    # of layers without units, and of those that cut and those that do not, the last one
    num_layers = len(widths) - 1 - widths[::-1].index(num_units)
    if num_layers == len(network) and width == 0:
        num_layers -= 1
    has_maps = complex_.complete and complex_.gradient.shape[1] == width
    if complex_.complete and (num_layers < len(network) - 1 or not has_maps):
        raise ValueError(_another(f"it has {width} outputs, and its faces {complex_.gradient.shape[1]}"))
    return network[:num_layers], network if has_maps else None


def _another(found: str) -> str:
    return (
        f"this is not the network that the complex was made of: {found}. Give the network and the activation that "
        "enumerate_regions was called with."
    )


def _check_is_its_network(complex_: PlanarComplex, network: Layers, whole: Layers | None) -> None:
    """Raise a ValueError if patterns at centroids, or affine maps of patterns, are not those of the faces."""
    num = complex_.num_faces
    rounding = _ROUNDING * (8 + complex_.patterns.shape[1])
    faces = np.unique(np.linspace(0, num - 1, min(num, _MOST_FACES)).astype(int))
    inner = faces[np.isfinite(complex_.centroid[faces]).all(axis=1)]
    patterns, bounds = _patterns(network, complex_.centroid[inner], bounded=True)
    is_other = (patterns != complex_.patterns[inner]) & (bounds > rounding)
    if is_other.any():
        raise ValueError(_another(f"at the centroid of face {inner[is_other.any(axis=1)][0]}, other units are active"))
    if whole is None:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        rows = np.concatenate([whole[0].kernel, whole[0].bias[None]])
        rows = np.broadcast_to(rows, (len(faces), *rows.shape))
        size = np.abs(rows)
        start = 0
        for layer, (kernel, bias, _) in pairwise(whole):
            slope = slope_of(layer)
            active = complex_.patterns[faces, start : start + len(slope)]
            # "linear" units are inactive on every face, and multiplied with 1
            factor = np.where(active, 1.0, slope)[:, None]
            # maps may come from those of neighbouring faces, and have their rounding
            rows, size = (rows * factor) @ kernel, (size * np.maximum(1.0, np.abs(slope))) @ np.abs(kernel)
            rows[:, 2] += bias
            size[:, 2] += np.abs(bias)
            start += len(slope)
        maps = np.concatenate([complex_.gradient[faces], complex_.intercept[faces, :, None]], axis=2)
        off = np.abs(np.swapaxes(rows, 1, 2) - maps)
        # what maps are right to is a part of their values on the domain
        reach = np.abs(complex_.vertices[~complex_.is_ideal]).max(initial=_TINY)
        units = np.array([reach, reach, 1.0])
        of_values = (np.swapaxes(size, 1, 2) * units).max(axis=2, keepdims=True)
        is_other = off > rounding * of_values / units + _TINY
    if is_other.any():
        raise ValueError(_another(f"on face {faces[is_other.any(axis=(1, 2))][0]}, it has another affine map"))


def _patterns(
    network: Layers,
    points: Float[np.ndarray, "points 2"],
    *,
    relative: bool = False,
    bounded: bool = False,
) -> tuple[Bool[np.ndarray, "points units"], Float[np.ndarray, "points _"]]:
    """Which units are active at each point, and if asked for, how far each pre-activation is from zero: ``relative``,
    as a fraction of its terms; ``bounded``, of the terms of all layers up to it, which its rounding is a fraction of.
    """
    patterns, distances = [np.zeros((len(points), 0), bool)], [np.zeros((len(points), 0))]
    h, last = points, len(network) - 1
    terms = np.abs(points)
    for index, layer in enumerate(network):
        slope = slope_of(layer)
        z = h @ layer.kernel + layer.bias
        patterns.append((z > 0) & (slope != 1))
        if relative:
            size = np.abs(h) @ np.abs(layer.kernel) + np.abs(layer.bias)
            distances.append(np.abs(z) / np.where(size > 0, size, 1.0))
        elif bounded:
            with np.errstate(over="ignore", invalid="ignore"):
                terms = terms @ np.abs(layer.kernel) + np.abs(layer.bias)
                distances.append(np.abs(z) / (terms + _TINY))
            terms = terms * np.maximum(1.0, np.abs(slope))
        if index < last:
            h = np.where(z > 0, z, slope * z)
    return np.concatenate(patterns, axis=1), np.concatenate(distances, axis=1)


def _words(patterns: Bool[np.ndarray, "rows units"]) -> np.ndarray:
    """The patterns in 64-bit words, (rows, words)."""
    words = np.zeros((len(patterns), patterns.shape[1] // 64 + 1), np.uint64)
    packed = np.packbits(patterns, axis=1)
    words.view(np.uint8)[:, : packed.shape[1]] = packed
    return words


def _lookup(table: np.ndarray, wanted: np.ndarray) -> Int[np.ndarray, " wanted"]:
    """The row of the table that equals each wanted row, or -1. Rows of one hash but the first are not found."""
    factors = np.random.default_rng(0).integers(1 << 63, size=table.shape[1], dtype=np.uint64) * np.uint64(2) + 1

    def hashed(words: np.ndarray) -> np.ndarray:
        return np.asarray(((words ^ (words >> np.uint64(31))) * factors).sum(axis=1, dtype=np.uint64))

    keys, hashes = hashed(table), hashed(wanted)
    order = np.argsort(keys, kind="stable")
    found = order[np.minimum(np.searchsorted(keys[order], hashes), len(order) - 1)]
    return np.where((table[found] == wanted).all(axis=1), found, OUTSIDE)


def _nearest(
    table: Bool[np.ndarray, "faces units"],
    patterns: Bool[np.ndarray, "points units"],
    values: Float[np.ndarray, "points units"],
    most_numbers: int,
) -> Int[np.ndarray, " points"]:
    """The row of the table for which the largest value of a differing unit is smallest; the first of several."""
    found, best = np.zeros(len(patterns), np.int64), np.full(len(patterns), np.inf)
    num_rows = max(1, most_numbers // max(1, patterns.size))
    for start in range(0, len(table), num_rows):
        differs = table[start : start + num_rows] != patterns[:, None]
        worst = np.where(differs, values[:, None], 0.0).max(axis=2, initial=0.0)
        row = worst.argmin(axis=1)
        value = np.take_along_axis(worst, row[:, None], axis=1)[:, 0]
        found, best = np.where(value < best, start + row, found), np.minimum(value, best)
    return found
