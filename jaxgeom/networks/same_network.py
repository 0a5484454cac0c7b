"""[host] Whether layers compute what a model computes, by comparison at random points of all sizes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxgeom._typing import Params

_SCALES = 2.0 ** np.arange(-12, 21)
_POINTS_PER_SCALE = 32
_MOST_MEMBERS = 8
_TERMS = 256
"""So many times the precision of a layer's terms, each layer may be off."""


def check_computes(layers: Any, apply: Callable[[Params, Any], Any], params: Params) -> None:
    """Raise a ValueError unless layers and ``apply`` agree to rounding at random points.

    Of a population, up to eight members are compared: one program computes them all. Traced weights are not known,
    and not compared.

    Args:
        layers: one network or a population.
        apply: maps parameters of one network and points (points, in) to outputs (points, out).
        params: those that the layers were read off.
    """
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((layers, params))):
        return
    layers = jax.tree.map(lambda array: np.asarray(array, np.float64), layers)
    leading = layers[0].bias.shape[:-1]
    num = int(np.prod(leading))
    members = np.unique(np.linspace(0, num - 1, min(num, _MOST_MEMBERS)).astype(int))
    random = np.random.default_rng(0).normal(size=(len(_SCALES) * _POINTS_PER_SCALE, layers[0].kernel.shape[-2]))
    points = random * np.repeat(_SCALES, _POINTS_PER_SCALE)[:, None]
    for member in members:
        at = np.unravel_index(member, leading) if leading else ()
        own = jax.tree.map(lambda array, at=at: array[at], layers)
        if not all(np.isfinite(array).all() for array in jax.tree.leaves(own)):
            continue
        with jax.enable_x64(True), jax.default_matmul_precision("highest"):
            got = np.asarray(apply(jax.tree.map(lambda leaf, at=at: np.asarray(leaf, np.float64)[at], params), points))
        limits = jnp.finfo(got.dtype if jnp.issubdtype(got.dtype, np.floating) else np.float32)
        precision = max(float(limits.eps), float(jnp.finfo(np.float32).eps))
        expected, size, least, largest = _outputs(own, points, float(limits.tiny))
        if got.shape != expected.shape:
            raise ValueError(
                f"the model maps points of shape {points.shape} to shape {got.shape}, but the layers to "
                f"{expected.shape}. The order of the layers, or the model, is another one."
            )
        off = np.abs(got.astype(np.float64) - expected)
        is_off = ~(off <= _TERMS * len(layers) * precision * size + least) & (largest < 1e-3 * float(limits.max))
        if is_off.any():
            between = "ReLU" if all(layer.slope is None for layer in layers) else "units of their slopes"
            place = np.unravel_index(np.argmax(np.where(is_off, off / np.where(size > 0, size, 1), -1)), off.shape)
            raise ValueError(
                f"the layers are not what the model computes: at {points[place[0]].tolist()} output {place[1]} is "
                f"{got[place]:.6g}, but affine layers in this order with {between} between give {expected[place]:.6g}. "
                "Networks with other activations, residual connections or normalisation have no such layers; "
                "grid_regions(lambda x: apply(params, x), points) takes any function."
            )


def _outputs(layers: Any, x: Float[np.ndarray, "points in"], tiny: float) -> tuple[np.ndarray, ...]:
    """The outputs of a network (points, out) with the sums of the absolute values of all their terms, what may be
    lost to underflow, and the largest number on the way (points, 1)."""
    size, least = np.abs(x), np.zeros_like(x)
    largest = size.max(axis=1, keepdims=True, initial=0.0)
    with np.errstate(over="ignore"):
        for index, (kernel, bias, slope) in enumerate(layers):
            x, size = x @ kernel + bias, size @ np.abs(kernel) + np.abs(bias)
            least = least @ np.abs(kernel) + tiny * (len(kernel) + 1)
            largest = np.maximum(largest, size.max(axis=1, keepdims=True, initial=0.0))
            if index < len(layers) - 1:
                slope = np.zeros(len(bias)) if slope is None else slope
                x = np.where(x > 0, x, slope * x)
                size, least = (np.maximum(1.0, np.abs(slope)) * array for array in (size, least))
                largest = np.maximum(largest, size.max(axis=1, keepdims=True, initial=0.0))
    return x, size, least, largest
