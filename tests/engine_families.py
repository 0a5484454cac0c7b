"""Networks that are made to break exact counts: ties of all kinds, slivers, scales at both ends of float64."""

from itertools import pairwise

import numpy as np


def seeded(*seed):
    return np.random.default_rng(seed)


def network(rng, *widths, out=1, bias=1.0, gain=1.0):
    """Uniform weights as PyTorch draws them; gain 6**.5 is He's."""
    layers = []
    for fan_in, fan_out in pairwise((2, *widths, out)):
        size = max(fan_in, 1) ** -0.5
        layers.append((gain * rng.uniform(-size, size, (fan_in, fan_out)), bias * rng.uniform(-size, size, fan_out)))
    return layers


WIDTHS = [(9,), (6, 5), (4, 4, 4), (3,) * 7]


def quantised(rng, layers, levels=127):
    """Weights rounded to so many levels on each side of 0."""
    return [
        tuple(np.round(array / (size := np.abs(kernel).max()) * levels) * size / levels for array in (kernel, bias))
        for kernel, bias, *_ in layers
    ]


def ternary(rng, layers):
    return [(np.sign(np.round(2 * k)), np.sign(np.round(2 * b))) for k, b, *_ in layers]


def one_bit(rng, layers):
    return [(np.where(k > 0, 1.0, -1.0), np.where(b > 0, 0.5, -0.5)) for k, b, *_ in layers]


def multiples(rng, layers):
    """Units that are multiples of the first, by numbers that are powers of two, and by others."""
    changed = []
    for kernel, bias, *_ in layers[:-1]:
        kernel, bias = kernel.copy(), bias.copy()
        for unit in range(1, len(bias), 2):
            factor = rng.choice([1, -1, 3, -3, 0.25, -8, 2.0**-40, 0.1])
            kernel[:, unit], bias[unit] = factor * kernel[:, 0], factor * bias[0]
        changed.append((kernel, bias))
    return [*changed, layers[-1]]


def twins(rng, layers):
    """The second half of each layer repeats the first: sums of twins' weights are rounded."""
    return [
        (
            np.concatenate([k[:, : (n := len(b) // 2)], k[:, : len(b) - n]], axis=1),
            np.concatenate([b[:n], b[: len(b) - n]]),
        )
        for k, b, *_ in layers[:-1]
    ] + [layers[-1]]


def no_biases(rng, layers):
    return [(kernel, 0 * bias) for kernel, bias, *_ in layers]


def no_biases_behind(rng, layers):
    return [layers[0], *no_biases(rng, layers[1:])]


def dead(rng, layers):
    return [(k, np.where(rng.random(len(b)) < 0.4, -9.0, b)) for k, b, *_ in layers[:-1]] + [layers[-1]]


def zero_units(rng, layers):
    return [(k * (keep := rng.random(len(b)) < 0.6), b * keep) for k, b, *_ in layers[:-1]] + [layers[-1]]


def lattice(rng, layers):
    directions = np.array([[1, 0], [0, 1], [1, 1], [1, -1]])
    first = len(layers[0][1])
    lines = (directions[rng.integers(0, 4, first)].T.astype(float), rng.integers(-4, 5, first) / 4)
    return [lines, *((np.round(4 * k) / 4, np.round(4 * b) / 4) for k, b, *_ in layers[1:])]


def through_corners(rng, layers):
    """Lines through corners of the square and along its sides."""
    kernel, _ = layers[0]
    kernel = np.where(rng.random(kernel.shape) < 0.3, 0, kernel)
    corner = rng.choice([-1.0, 1.0], kernel.shape)
    return [(kernel, -(kernel[0] * corner[0] + kernel[1] * corner[1])), *layers[1:]]


def one_point(rng, layers):
    """All lines of the first layer through a point that float64 holds exactly."""
    kernel = np.round(64 * layers[0][0]) / 64
    return [(kernel, -(kernel[0] * 0.25 + kernel[1] * 0.375)), *layers[1:]]


def slivers(rng, layers):
    """Pairs of lines, and of units further up, that differ by next to nothing."""
    changed = []
    for kernel, bias, *_ in layers[:-1]:
        kernel, bias = kernel.copy(), bias.copy()
        for unit in range(1, len(bias), 2):
            nudge = 10.0 ** -rng.integers(12, 17)
            kernel[:, unit], bias[unit] = (
                kernel[:, unit - 1] * (1 + nudge * rng.choice([0, 1], len(kernel))),
                bias[unit - 1],
            )
            bias[unit] *= 1 + 2e-16 * rng.integers(-1, 2)
        changed.append((kernel, bias))
    return [*changed, layers[-1]]


def near_pairs(rng, layers):
    """The second unit of every layer next to the first one; the others as they are."""
    changed = []
    for kernel, bias, *_ in layers[:-1]:
        kernel, bias = kernel.copy(), bias.copy()
        nudge = 10.0 ** -rng.integers(12, 16)
        kernel[:, 1] = kernel[:, 0] * (1 + nudge * rng.integers(-1, 2, len(kernel)))
        bias[1] = bias[0] * (1 + 2e-16 * rng.integers(-2, 3))
        changed.append((kernel, bias))
    return [*changed, layers[-1]]


def hair(rng, layers):
    """Lines next to the axes, as near as float64 can have them."""
    kernel = rng.choice([1.0, -1.0, 1e-17, 1e-200, 5e-324], layers[0][0].shape)
    bias = rng.choice([0.0, 5e-324, -1e-300, 1e-150, -1e-17, 0.5], len(layers[0][1]))
    return [(kernel, bias), *layers[1:]]


def single_scales(rng, layers):
    """Units and weights at scales of their own."""
    changed = []
    for kernel, bias, *_ in layers:
        factor = 10.0 ** rng.choice([0, 0, 0, -5, -160, -300, 20], len(bias))
        one = np.where(rng.random(kernel.shape) < 0.2, 10.0 ** rng.choice([-310, -160, -20], kernel.shape), 1)
        changed.append((kernel * factor * one, bias * factor))
    return changed


FAMILIES = [
    None, quantised, ternary, one_bit, multiples, twins, no_biases, no_biases_behind, dead, zero_units, lattice,
    through_corners, one_point, slivers, hair, single_scales,
]  # fmt: skip


def of_family(change, *seed):
    rng = seeded(*seed, FAMILIES.index(change))
    layers = network(rng, *WIDTHS[seed[-1] % len(WIDTHS)], out=1 + seed[-1] % 2, gain=2.0)
    return layers if change is None else change(rng, layers)


def mixed(rng, layers):
    """Every unit with a slope of its own: ReLU, leaky, linear, absolute values, steep and falling ones."""
    return [rng.choice([0, 0, 0.01, 1, -1, 0.25, -0.3, 1e10], len(bias)) for _, bias, *_ in layers[:-1]]
