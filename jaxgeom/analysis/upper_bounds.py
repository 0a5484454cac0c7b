"""[host] Upper bounds of numbers of activation regions from the weights of a network."""

from math import comb

import numpy as np
from jaxtyping import Float

from jaxgeom.domains import Box
from jaxgeom.networks.layers import Layers, slope_of
from jaxgeom.theory import zaslavsky

_EPS = np.finfo(np.float64).eps
_TINY = 1e-300


def upper_bound(layers: Layers, domain: Box) -> int:
    """Upper bound on the activation regions of one network on a box: that of Serra et al. 2018 for these weights.

    :func:`jaxgeom.serra_2018` follows regions by the dimensions of their image: a layer of n units cuts a region whose
    image has d dimensions into Σ_{j ≤ d} C(n, j) pieces at most, of which C(n, j) at most have j inactive units, and
    these lose dimensions. Here only those of the n units count that change their sign on the box, by interval bounds
    that hold in spite of rounding; units that are always active hand their dimension on, and always inactive ones lose
    it; equal units, up to a factor, cut once; units that leak lose nothing.

    Args:
        layers: one network, float64.
        domain: a box.

    Returns:
        An exact integer, of any size.
    """
    low, high = np.asarray(domain.low), np.asarray(domain.high)
    ways = {len(low): 1}  # numbers of regions, by the dimensions of their image
    for layer in layers[:-1]:
        kernel, bias, slope = np.asarray(layer.kernel), np.asarray(layer.bias), np.asarray(slope_of(layer))
        low, high = _interval(kernel, bias, low, high)
        bends = slope != 1
        is_cut = bends & ~(low > 0) & ~(high <= 0)
        num_relu = int((is_cut & (slope == 0)).sum())
        num_leaky = int((is_cut & (slope != 0)).sum())
        is_constant = bends & (high <= 0) & (slope == 0) | ~(kernel != 0).any(axis=0)
        num_cut = _num_different(np.concatenate([kernel, bias[None]])[:, is_cut])
        passing = int((~is_constant & ~(is_cut & (slope == 0))).sum())
        following: dict[int, int] = {}
        for dims, number in ways.items():
            left = min(dims, kernel.shape[0])
            pieces = zaslavsky(num_cut, left)
            for inactive in range(num_relu + 1):
                share = min(pieces, comb(num_relu, inactive) << num_leaky)
                pieces -= share
                then = min(left, passing + num_relu - inactive)
                following[then] = following.get(then, 0) + number * share
                if not pieces:
                    break
        ways = following
        low, high = _activated(low, high, slope)
    return sum(ways.values())


def _interval(
    kernel: Float[np.ndarray, "in out"],
    bias: Float[np.ndarray, " out"],
    low: Float[np.ndarray, " in"],
    high: Float[np.ndarray, " in"],
) -> tuple[Float[np.ndarray, " out"], Float[np.ndarray, " out"]]:
    """Bounds of pre-activations. What overflows is no bound, and the unit changes its sign."""
    up, down = np.maximum(kernel, 0), np.minimum(kernel, 0)
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(low), np.abs(high)) @ np.abs(kernel) + np.abs(bias)
        rounding = 1.01 * (2 * len(kernel) + 4) * _EPS * size + _TINY * (size > 0)
        below, above = low @ up + high @ down + bias - rounding, high @ up + low @ down + bias + rounding
    return np.where(np.isnan(below), -np.inf, below), np.where(np.isnan(above), np.inf, above)


def _activated(
    low: Float[np.ndarray, " out"], high: Float[np.ndarray, " out"], slope: Float[np.ndarray, " out"]
) -> tuple[Float[np.ndarray, " out"], Float[np.ndarray, " out"]]:
    """Bounds of activations; a slope may turn values below zero to ones above."""
    with np.errstate(all="ignore"):
        ends = [np.where(z > 0, z, np.where(slope == 0, 0.0, slope * z)) for z in (low, high)]
    straddles = (low < 0) & (high > 0)
    below, above = np.minimum(*ends), np.maximum(*ends)
    below, above = np.where(straddles, np.minimum(below, 0), below), np.where(straddles, np.maximum(above, 0), above)
    return below - _EPS * np.abs(below), above + _EPS * np.abs(above)


def _num_different(units: Float[np.ndarray, "rows units"]) -> int:
    """Number of units that are certainly at least as many as the different zero sets: equal and opposite ones, up to a
    power of two, are one."""
    if not units.size:
        number: int = units.shape[1]
        return number
    with np.errstate(all="ignore"):
        scaled = np.ldexp(units, -np.frexp(np.abs(units).max(axis=0))[1])
    is_exact = (np.ldexp(scaled, np.frexp(np.abs(units).max(axis=0))[1]) == units).all(axis=0)
    first = scaled[(scaled != 0).argmax(axis=0), np.arange(scaled.shape[1])]
    turned = scaled * np.where(first < 0, -1.0, 1.0) + 0.0
    return len({column.tobytes() for column in turned.T[is_exact]}) + int((~is_exact).sum())


def rounded_up(number: int) -> float:
    """The smallest float64 that is no smaller than an integer; infinity beyond the largest one."""
    try:
        value = float(number)
    except OverflowError:
        return np.inf
    return value if value >= number else float(np.nextafter(value, np.inf))
