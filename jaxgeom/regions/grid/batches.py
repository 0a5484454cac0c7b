"""Populations as counts on a grid take them: one leading axis, float64, widths rounded so that they share programs."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool

from jaxgeom._typing import PyTree
from jaxgeom.host.given import as_float64
from jaxgeom.host.sizes import round_up
from jaxgeom.networks.layers import Layers, check_finite, pad_widths

_STEPS = ((32, 4), (128, 16))
"""Widths up to the first number are rounded up to multiples of the second; wider ones to multiples of 64."""


def flattened(layers: Layers) -> tuple[Layers, tuple[int, ...], Bool[np.ndarray, " networks"]]:
    """The population with one leading axis and rounded widths, as NumPy; its leading axes; who is finite."""
    leading = np.shape(layers[0].bias)[:-1]
    if not leading:
        check_finite(layers)
    num = int(np.prod(leading))
    flat = jax.tree.map(lambda array: as_float64(array).reshape(num, *array.shape[len(leading) :]), layers)
    flat = pad_widths(flat, [round_width(layer.bias.shape[-1]) for layer in flat[:-1]])
    is_finite = np.ones(len(flat[0].bias), bool)
    for array in jax.tree.leaves(flat):
        is_finite &= np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    return flat, leading, is_finite


def round_width(width: int) -> int:
    """Up to the next of 4, 8, …, 32, 48, …, 128, 192, …: so few widths are compiled, and little work is added."""
    step = next((step for most, step in _STEPS if width <= most), 64)
    return max(step, round_up(width, step))


def in_float64(function: Callable[..., PyTree], **constants: Any) -> Callable[[PyTree], PyTree]:
    """The function with x64 enabled around each call, in whichever thread that is."""

    def call(chunk: PyTree) -> PyTree:
        with jax.enable_x64(True):
            return function(chunk, **constants)

    return call
