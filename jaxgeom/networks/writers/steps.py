"""[edge] A network or population as other formats have it: affine steps, each with an activation behind it by name."""

from typing import Any, NamedTuple

import numpy as np

from jaxgeom._typing import Params
from jaxgeom.host.names import did_you_mean
from jaxgeom.networks.layers import Dense, named_layers, slope_in_name
from jaxgeom.networks.models import ACTIVATIONS, Model

_SLOPES_OF_NAMES = {"relu": 0.0, "linear": 1.0, "abs": -1.0, "leaky_relu": 0.01}


class Step(NamedTuple):
    """An affine map and what follows it."""

    kernel: np.ndarray
    """(*networks, in, out)."""
    bias: np.ndarray
    """(*networks, out)."""
    activation: str
    """A name that :func:`jaxgeom.mlp` knows, or "slope"."""
    slope: float | np.ndarray | None
    """Of "slope": one number for all units, or (*networks, out)."""


def steps_of(network: Any) -> tuple[Step, ...]:
    """The steps of a network or population, all in one dtype: float32, or float64 if any of the weights are.

    Args:
        network: the parameters of a :func:`jaxgeom.mlp`, or layers.

    Raises:
        ValueError: for other parameters.
        TypeError: for what is neither.
    """
    named = named_layers(_given(network))
    kinds = [np.asarray(array).dtype for _, _, layer in named for array in layer[:2]]
    dtype = np.result_type(np.float32, *kinds)
    if dtype not in (np.float32, np.float64):
        dtype = np.dtype(np.float64)
    return tuple(_step(layer, activation, dtype) for _, activation, layer in named)


def _given(network: Any) -> Params | tuple[Dense, ...]:
    if isinstance(network, Model):
        raise TypeError("a Model holds no parameters: give model.init(key), or those of a training result, .params.")
    if isinstance(network, dict) or (isinstance(network, tuple | list) and network):
        return network
    raise TypeError(
        "the parameters of a jaxgeom.mlp, or layers, jaxgeom.layers_of(params), are needed, but "
        f"{type(network).__name__} was given."
    )


def _step(layer: Dense, activation: str, dtype: Any) -> Step:
    kernel, bias = (np.asarray(array, dtype) for array in layer[:2])
    if activation not in ("slope", *ACTIVATIONS):
        slope = slope_in_name(activation)
        if slope is None:
            raise ValueError(
                f"the activation {activation!r} is none of {', '.join(ACTIVATIONS)}, and no slope."
                f"{did_you_mean(activation, ACTIVATIONS)}"
            )
        return Step(kernel, bias, *_with_name(slope))
    if activation == "leaky_relu":
        return Step(kernel, bias, "slope", _SLOPES_OF_NAMES["leaky_relu"])
    if activation != "slope":
        return Step(kernel, bias, activation, None)
    slopes = np.broadcast_to(np.asarray(layer.slope, np.float64), bias.shape)
    first = float(slopes.flat[0]) if slopes.size else 0.0
    if (slopes == first).all():
        return Step(kernel, bias, *_with_name(first))
    return Step(kernel, bias, "slope", slopes.astype(dtype))


def _with_name(slope: float) -> tuple[str, float | None]:
    """The name of an activation by its slope, where it has one."""
    for name in ("relu", "linear", "abs"):
        if slope == _SLOPES_OF_NAMES[name]:
            return name, None
    return "slope", slope


def num_networks(steps: tuple[Step, ...]) -> int | None:
    """The number of networks of a population with one leading axis; None for a single network.

    Raises:
        ValueError: for more leading axes.
    """
    leading = steps[0].bias.shape[:-1]
    if len(leading) > 1:
        raise ValueError(
            f"a network or a population with one leading axis is written, but the leading axes are {leading}. Reshape "
            "them to one: jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), params)."
        )
    return leading[0] if leading else None
