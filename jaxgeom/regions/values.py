"""[host] Pre-activations at the vertices of a subdivision, with bounds of their error, and their signs without error.

A vertex is a corner of the box, or the point of an edge at which a unit vanishes. Along an edge, all units of the
layer at work are affine, so that a new vertex inherits its values from the edge's ends by interpolation, and is not
computed from the hyperplanes that meet there. Each float64 value carries a bound of its error: that of the ends, of
the place on the edge, and of rounding. A value beyond its bound has a known sign. The others are computed anew in
integers: weights and corners are dyadic rationals, new vertices are rational, in homogeneous coordinates
(x_1, …, x_d, w) with w > 0, and Python's integers hold them all. So every sign is right, zeros included, and the
price of exactness is paid where rounding matters only.

Each unit is scaled by a power of two, which changes no sign and rounds nothing: weights of any size are welcome.
"""

import math
from operator import mul
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from jaxgeom.layers import Layers, slope_of

_EPS = float(np.finfo(np.float64).eps)
_TINY = 1e-290  # what products and scaled weights may have lost to underflow


class Values(NamedTuple):
    """The scaled units of one layer at all vertices. Arrays of :func:`decide` are changed in place."""

    value: Float[np.ndarray, "vertices units"]
    error: Float[np.ndarray, "vertices units"]
    """Bound of the value's error, which is 0 where it is known to be exact."""


class Ancestry(NamedTuple):
    """Where vertices come from; all entries of the corners of the box are -1."""

    ends: Int[np.ndarray, "vertices 2"]
    """Two vertices on whose straight connection the vertex lies,"""
    maker: Int[np.ndarray, "vertices 2"]
    """and the layer and the unit that vanishes there, having strictly opposite signs at those two."""


class Exact(NamedTuple):
    """A network in integers, and what has been computed of it: the dictionaries fill up."""

    kernels: tuple[list[list[int]], ...]
    """For each layer and unit, its weights over a power of two."""
    biases: tuple[list[int], ...]
    """The biases over the same power of two."""
    powers: tuple[int, ...]
    """Its exponent, for each layer."""
    slopes: tuple[tuple[list[int], int], ...]
    """For each layer, the slopes of its units over a power of two, and its exponent."""
    points: dict[int, tuple[int, ...]]
    """Homogeneous coordinates of vertices."""
    inputs: dict[tuple[int, int], tuple[list[int], int]]
    """What layer l gets at vertex v, and the common denominator, under (l, v)."""


def exact_network(layers: Layers, corners: Float[np.ndarray, "corners dim"]) -> Exact:
    """The hidden layers and the corners of the box as integers."""
    kernels, biases, powers, slopes = [], [], [], []
    for layer in layers[:-1]:
        numbers, power = _integers(np.concatenate([layer.kernel, np.asarray(layer.bias)[None]]).T)
        kernels.append([row[:-1] for row in numbers])
        biases.append([row[-1] for row in numbers])
        powers.append(power)
        (numerators,), power = _integers(np.asarray(slope_of(layer))[None])
        slopes.append((numerators, power))
    numbers, power = _integers(corners)
    points = {vertex: (*row, 1 << power) for vertex, row in enumerate(numbers)}
    return Exact(tuple(kernels), tuple(biases), tuple(powers), tuple(slopes), points, {})


def _integers(array: Float[np.ndarray, "rows columns"]) -> tuple[list[list[int]], int]:
    """The numbers times the smallest 2^power, power ≥ 0, that makes integers of all of them."""
    ratios = [[value.as_integer_ratio() for value in row] for row in array.tolist()]
    power = max((d.bit_length() - 1 for row in ratios for _, d in row), default=0)
    return [[n << (power - d.bit_length() + 1) for n, d in row] for row in ratios], power


def first_inputs(corners: Float[np.ndarray, "corners dim"]) -> tuple[Values, Int[np.ndarray, " dim"]]:
    """The coordinates of the corners as values, scaled below 1, and the exponents of their scales."""
    exponents = np.frexp(np.abs(corners).max(axis=0))[1].astype(np.int64)
    return Values(np.ldexp(corners, -exponents), _TINY * (corners != 0)), exponents


def pre_activations(
    inputs: Values,
    in_exponents: Int[np.ndarray, " in"],
    kernel: Float[np.ndarray, "in units"],
    bias: Float[np.ndarray, " units"],
) -> tuple[Values, Int[np.ndarray, " units"]]:
    """One layer applied to its inputs at all vertices.

    Args:
        inputs: activations of the layer before, each divided by a power of two.
        in_exponents: the exponents of those powers.
        kernel, bias: the layer.

    Returns:
        The pre-activations, each over a power of two, and the exponents of those powers.
    """
    rows = np.concatenate([kernel, bias[None]])
    into = np.append(in_exponents, 0)[:, None]
    exponents = np.frexp(rows)[1] + into
    exponents = np.where(rows != 0, exponents, np.iinfo(np.int64).min).max(axis=0)
    exponents = np.where(np.any(rows != 0, axis=0), exponents, 0)
    scaled = np.ldexp(rows, np.clip(into - exponents, -4000, 4000))
    ones = np.ones((len(inputs.value), 1))
    h, error = np.concatenate([inputs.value, ones], axis=1), np.concatenate([inputs.error, 0 * ones], axis=1)
    is_term = ((h != 0) | (error > 0)).astype(np.float64)
    terms, products = (is_term[:, :some] @ (rows[:some] != 0) for some in (len(rows), len(kernel)))
    size = np.where(products > 0, np.abs(h) @ np.abs(scaled), 0)
    bound = error @ np.abs(scaled) + (len(rows) + 2) * _EPS * size
    return Values(h @ scaled, 1.01 * (bound + _TINY * terms)), exponents


def activations(
    values: Values,
    signs: Int8[np.ndarray, "vertices units"],
    exponents: Int[np.ndarray, " units"],
    slope: Float[np.ndarray, " units"],
) -> tuple[Values, Int[np.ndarray, " units"]]:
    """The activations, scaled below 1, with new exponents: those of ReLU are zero, exactly, where a unit is not active.

    Args:
        values: the pre-activations.
        signs: theirs. Of units without a kink, whose slope is 1, they do not matter.
        exponents: of the scales of the units.
        slope: what pre-activations that are not positive are multiplied by.
    """
    value, error = values
    factor, steep = np.frexp(slope)
    steep = np.maximum(steep, 0) * (slope != 1)  # steep units are scaled down, so that nothing overflows
    factor = np.where(slope == 1, 1.0, np.ldexp(slope, -steep))
    is_rounded = (np.abs(np.frexp(slope)[0]) != 0.5) & (slope != 0)
    below = value * factor
    error_below = error * np.abs(factor) + np.where(is_rounded, _EPS * np.abs(below), 0.0)
    above, error_above = (np.ldexp(array, -steep) for array in values)
    may_underflow = ((value != 0) | (error > 0)) & (slope != 0) & (np.abs(slope) != 1)
    value = np.where(signs > 0, above, np.where(slope == 0, 0.0, below))
    error = np.where(signs > 0, error_above, np.where(slope == 0, 0.0, 1.01 * error_below))
    error = error + np.where(may_underflow, _TINY, 0.0)
    shift = np.frexp(np.abs(value).max(axis=0))[1]
    return Values(np.ldexp(value, -shift), np.ldexp(error, -shift)), exponents + steep + shift


def on_edges(values: Values, ends: Int[np.ndarray, "new 2"], unit: int) -> tuple[Values, Float[np.ndarray, " new"]]:
    """The values where a unit vanishes between two vertices at which it has strictly opposite signs.

    Returns:
        The values, and the places on the edges, from 0 to 1. Both are nan where float64 does not determine the place.
    """
    (a, b), (error_a, error_b) = values.value[ends.T], values.error[ends.T]
    size_a, size_b = np.abs(a[:, unit]), np.abs(b[:, unit])
    off_a, off_b = error_a[:, unit], error_b[:, unit]
    span = size_a + size_b
    with np.errstate(all="ignore"):
        place = np.where(off_a + off_b < span / 1024, size_a / span, np.nan)
        off = 1.01 * (size_a / span * off_b + size_b / span * off_a) / (span - off_a - off_b)
        place, off = place[:, None], off[:, None]
        value = (1 - place) * a + place * b
        error = (1 - place) * error_a + place * error_b + off * (np.abs(b - a) + error_a + error_b)
        error += 4 * _EPS * (np.abs(a) + np.abs(b))
        error = 1.01 * (error + _TINY * ((error > 0) | (a != 0) | (b != 0)))
    value[:, unit] = np.where(np.isnan(place[:, 0]), np.nan, 0.0)
    error[:, unit] = value[:, unit]
    return Values(value, error), place[:, 0]


def is_open(values: Values) -> Bool[np.ndarray, "vertices units"]:
    """Whether the sign is not certain: the value may be zero, and is not known to be."""
    return ~((np.abs(values.value) > values.error) | (values.error == 0))


def decide(
    exact: Exact,
    ancestry: Ancestry,
    values: Values,
    open_: Bool[np.ndarray, "chosen units"],
    vertices: Int[np.ndarray, " chosen"],
    layer: int,
    exponents: Int[np.ndarray, " units"],
) -> Int8[np.ndarray, "chosen units"]:
    """Signs of the values at the chosen vertices, after those that are open have been replaced by exact ones.

    Args:
        exact: the network.
        ancestry: of all vertices.
        values: at the chosen vertices; changed in place.
        open_: which of them to compute in integers.
        vertices: their numbers.
        layer: whose units they are.
        exponents: of the scales of the units.
    """
    signs = np.sign(np.nan_to_num(values.value)).astype(np.int8)
    for row, unit in zip(*map(np.ndarray.tolist, np.nonzero(open_)), strict=True):
        numerator, denominator = _exact_value(exact, ancestry, layer, int(vertices[row]), unit)
        signs[row, unit] = (numerator > 0) - (numerator < 0)
        value = _ratio(numerator, denominator, -int(exponents[unit]))
        values.value[row, unit] = value
        values.error[row, unit] = _EPS * abs(value) + _TINY if numerator else 0.0
    return signs


def exact_position(exact: Exact, ancestry: Ancestry, vertex: int) -> list[float]:
    """The position of a vertex, correctly rounded."""
    *point, w = _exact_point(exact, ancestry, vertex)
    return [_ratio(x, w, 0) for x in point]


def _ratio(numerator: int, denominator: int, power: int) -> float:
    """numerator / denominator · 2^power, correctly rounded."""
    return (numerator << power) / denominator if power > 0 else numerator / (denominator << -power)


def _exact_point(exact: Exact, ancestry: Ancestry, vertex: int) -> tuple[int, ...]:
    """Homogeneous coordinates of a vertex; those of its ancestors are computed first."""
    missing, stack = set(), [vertex]
    while stack:
        v = stack.pop()
        if v not in exact.points and v not in missing:
            missing.add(v)
            stack += ancestry.ends[v].tolist()
    for v in sorted(missing):
        (a, b), (layer, unit) = ancestry.ends[v].tolist(), ancestry.maker[v].tolist()
        at_a, at_b = (abs(_exact_value(exact, ancestry, layer, end, unit)[0]) for end in (a, b))
        # The denominators of the values are those of the points, up to a common factor, and cancel.
        point = [at_b * p + at_a * q for p, q in zip(exact.points[a], exact.points[b], strict=True)]
        divisor = math.gcd(*point)
        exact.points[v] = tuple(x // divisor for x in point)
    return exact.points[vertex]


def _exact_value(exact: Exact, ancestry: Ancestry, layer: int, vertex: int, unit: int) -> tuple[int, int]:
    """Numerator and denominator of a pre-activation."""
    inputs, denominator = _exact_inputs(exact, ancestry, layer, vertex)
    value = sum(map(mul, exact.kernels[layer][unit], inputs)) + exact.biases[layer][unit] * denominator
    return value, denominator << exact.powers[layer]


def _exact_inputs(exact: Exact, ancestry: Ancestry, layer: int, vertex: int) -> tuple[list[int], int]:
    """Numerators of what a layer gets at a vertex, and their denominator."""
    key = (layer, vertex)
    if key not in exact.inputs:
        if layer == 0:
            *inputs, denominator = _exact_point(exact, ancestry, vertex)
        else:
            units = range(len(exact.biases[layer - 1]))
            values = [_exact_value(exact, ancestry, layer - 1, vertex, unit) for unit in units]
            slopes, power = exact.slopes[layer - 1]
            inputs = [
                value << power if value > 0 else slope * value for (value, _), slope in zip(values, slopes, strict=True)
            ]
            denominator = values[0][1] << power
        exact.inputs[key] = inputs, denominator
    return exact.inputs[key]
