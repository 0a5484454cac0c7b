"""[host] The affine maps of activation patterns: in float64, and in fractions where that may overflow."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float

from jaxgeom.layers import Layers

_MOST_EXPONENT = 900


def maps_of_patterns(
    layers: Layers, slopes: Sequence[Float[np.ndarray, " width"]], patterns: Bool[np.ndarray, "faces units"]
) -> tuple[Float[np.ndarray, "faces out in"], Float[np.ndarray, "faces out"]]:
    """Gradient and intercept of the outputs for each pattern of the hidden units, rounded as little as float64 can.

    Args:
        layers: one network in float64.
        slopes: for each hidden layer and unit, what negative pre-activations are multiplied with.
        patterns: which units are active.
    """
    found = _in_fractions if is_extreme(layers, slopes) else _in_floats
    rows = found(layers, slopes, patterns)
    return np.swapaxes(rows[:, :-1], 1, 2).copy(), rows[:, -1].copy()


def is_extreme(layers: Layers, slopes: Sequence[Float[np.ndarray, " width"]]) -> bool:
    """Whether products of the weights of all layers may overflow, or underflow."""
    high, low = 0, 0
    for array in (*(array for layer in layers for array in layer), *slopes):
        exponents = np.frexp(array[array != 0])[1]
        high += max(0, int(exponents.max(initial=0))) + max(array.shape, default=1).bit_length()
        low += min(0, int(exponents.min(initial=0)))
    return high > _MOST_EXPONENT or low < -_MOST_EXPONENT


def _in_floats(
    layers: Layers, slopes: Sequence[np.ndarray], patterns: Bool[np.ndarray, "faces units"]
) -> Float[np.ndarray, "faces rows out"]:
    rows = np.concatenate([layers[0].kernel, layers[0].bias[None]])
    rows = np.broadcast_to(rows, (len(patterns), *rows.shape))
    start = 0
    for (kernel, bias), slope in zip(layers[1:], slopes, strict=True):
        active = patterns[:, start : start + len(slope)]
        rows = (rows * np.where(active, 1.0, slope)[:, None]) @ kernel
        rows[:, -1] += bias
        start += len(slope)
    return rows


def _in_fractions(
    layers: Layers, slopes: Sequence[np.ndarray], patterns: Bool[np.ndarray, "faces units"]
) -> Float[np.ndarray, "faces rows out"]:
    kernels = [[[Fraction(x) for x in row] for row in kernel.tolist()] for kernel, _ in layers]
    biases = [[Fraction(x) for x in bias.tolist()] for _, bias in layers]
    factors = [[Fraction(x) for x in slope.tolist()] for slope in slopes]
    rows = np.empty((len(patterns), len(layers[0].kernel) + 1, len(layers[-1].bias)))
    for face, pattern in enumerate(patterns.tolist()):
        carried = [*kernels[0], biases[0]]
        start = 0
        for kernel, bias, slope in zip(kernels[1:], biases[1:], factors, strict=True):
            active = pattern[start : start + len(slope)]
            passed = [[x if on else x * s for x, on, s in zip(row, active, slope, strict=True)] for row in carried]
            carried = [
                [
                    sum((x * weights[out] for x, weights in zip(row, kernel, strict=True) if x), Fraction(0))
                    for out in range(len(bias))
                ]
                for row in passed
            ]
            carried[-1] = [x + b for x, b in zip(carried[-1], bias, strict=True)]
            start += len(slope)
        rows[face] = [[_rounded(x) for x in row] for row in carried]
    return rows


def _rounded(number: Fraction) -> float:
    """The nearest float64, infinite beyond the largest."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")
