"""Piecewise linear activations as units with one kink at zero, which is all that the region algorithms know.

Such a unit gives h = z where its pre-activation z is positive and slope · z elsewhere: slope 0 is ReLU, 0.01 the usual
leaky ReLU, -1 the absolute value, and 1 a unit without a kink. Hard tanh, with its two kinks, is relu(z + 1) -
relu(z - 1) - 1, and maxout of two pieces is relu(a - b) + b: networks with these are rewritten as ones with twice the
units, and what follows takes up the sums.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from jaxgeom.given import as_float64
from jaxgeom.layers import Dense, Layers, as_arrays, check_layers

Activation: TypeAlias = str | float | Sequence[str | float]
"""A name, or a negative slope; for all hidden layers, or for each."""

_SLOPES = {"relu": 0.0, "leaky_relu": 0.01, "abs": -1.0, "linear": 1.0}
_NAMES = (*_SLOPES, "hard_tanh", "maxout")


def with_kinks(layers: Layers, activation: Activation = "relu") -> tuple[Layers, list[Float[np.ndarray, " width"]]]:
    """The network with one kink at zero a unit, and the slopes of its units for negative pre-activations.

    Args:
        layers: one network or a population.
        activation: of all hidden layers, or of each: "relu", "leaky_relu" (slope 0.01), a number (a leaky ReLU of that
            slope), "abs", "linear" (no kink), "hard_tanh" (between -1 and 1; a layer of twice the units: those of the
            kinks at -1, then those of the kinks at 1) or "maxout" (units n and n + width/2 are the two pieces; a
            layer of the differences, which cut, and then the second pieces, which do not).

    Returns:
        The network as float64 NumPy arrays, and an array (width,) for each hidden layer.

    Raises:
        ValueError: for other activations, or a wrong number of them, or maxout with an odd width.
        TypeError: for anything that is neither a name nor a number.
    """
    if isinstance(layers, Mapping) or not isinstance(layers, tuple | list) or not has_maxout(activation):
        layers = check_layers(layers)
    layers = tuple(Dense(*(np.asarray(as_float64(array)) for array in layer)) for layer in as_arrays(layers))
    num_hidden = len(layers) - 1
    each = list(activation) if isinstance(activation, list | tuple) else [activation] * num_hidden
    if len(each) != num_hidden:
        raise ValueError(f"there are {num_hidden} hidden layers, but {len(each)} activations were given: {each}.")
    rewritten, slopes = list(layers), []
    for index, name in enumerate(each):
        layer, after = rewritten[index], rewritten[index + 1]
        width = layer.bias.shape[-1]
        if name == "hard_tanh":
            rewritten[index] = Dense(
                np.concatenate([layer.kernel, layer.kernel], axis=-1),
                np.concatenate([layer.bias + 1.0, layer.bias - 1.0], axis=-1),
            )
            rewritten[index + 1] = Dense(
                np.concatenate([after.kernel, -after.kernel], axis=-2), after.bias - after.kernel.sum(axis=-2)
            )
            slopes.append(np.zeros(2 * width))
        elif name == "maxout":
            if width % 2 or after.kernel.shape[-2] * 2 != width:
                raise ValueError(
                    f"maxout halves the number of units, but layer {index} has {width} and the next one takes "
                    f"{after.kernel.shape[-2]} inputs."
                )
            first, second = (Dense(layer.kernel[..., part], layer.bias[..., part]) for part in _halves(width))
            rewritten[index] = Dense(
                np.concatenate([first.kernel - second.kernel, second.kernel], axis=-1),
                np.concatenate([first.bias - second.bias, second.bias], axis=-1),
            )
            rewritten[index + 1] = Dense(np.concatenate([after.kernel, after.kernel], axis=-2), after.bias)
            slopes.append(np.repeat([0.0, 1.0], width // 2))
        else:
            slopes.append(np.full(width, _slope(name)))
    return check_layers(tuple(rewritten)), slopes


def has_maxout(activation: Activation) -> bool:
    """Whether maxout is among the activations, so that layers do not fit before they are rewritten."""
    return "maxout" in (activation if isinstance(activation, list | tuple) else [activation])


def check_planar(layers: Layers, activation: Activation) -> Layers:
    """The network or population, if it has two inputs and its shapes fit; what maxout halves fits where it is
    rewritten.

    Raises:
        TypeError, ValueError: as :func:`jaxgeom.layers.check_layers`, and for other numbers of inputs.
    """
    layers = as_arrays(layers) if has_maxout(activation) else check_layers(layers)
    if np.shape(layers[0].kernel)[-2] != 2:
        raise ValueError(
            f"two inputs are needed, but the first layer takes {np.shape(layers[0].kernel)[-2]}. Use "
            "jaxgeom.on_plane for a slice through networks with more, or jaxgeom.count_regions_nd in 3 or 4 dimensions."
        )
    return layers


def slopes_of(layers: Layers, activation: Activation) -> list[Float[np.ndarray, " width"]] | None:
    """The slopes of the units of networks whose activations have one kink; None if some layer's has more, so that
    :func:`with_kinks` has to rewrite the network."""
    num_hidden = len(layers) - 1
    each = list(activation) if isinstance(activation, list | tuple) else [activation] * num_hidden
    if len(each) != num_hidden:
        raise ValueError(f"there are {num_hidden} hidden layers, but {len(each)} activations were given: {each}.")
    if any(name in ("hard_tanh", "maxout") for name in each):
        return None
    return [np.full(np.shape(layer.bias)[-1], _slope(name)) for layer, name in zip(layers, each, strict=False)]


def _halves(width: int) -> tuple[slice, slice]:
    return slice(0, width // 2), slice(width // 2, width)


def _slope(name: Any) -> float:
    if isinstance(name, str):
        if name in _SLOPES:
            return _SLOPES[name]
        raise ValueError(
            f"the activation must be one of {', '.join(_NAMES)} or a slope, but {name!r} was given. Other functions "
            "have no linear regions: count_grid_regions and grid_regions count the affine maps that any function "
            "shows on a grid."
        )
    if isinstance(name, bool) or not isinstance(name, int | float | np.floating | np.integer):
        raise TypeError(f"an activation is a name or a number, but {type(name).__name__} was given.")
    if not np.isfinite(name):
        raise ValueError(f"a slope must be finite, but {name} was given.")
    return float(name)
