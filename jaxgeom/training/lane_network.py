"""A multilayer perceptron written out, weight by weight: every number is an array, with a network in each lane.

So nothing needs shapes that hardware likes, and a compiler sees a straight line of multiply-adds on registers.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgeom._typing import Params
from jaxgeom.networks.layers import named_layers
from jaxgeom.training.lane_graph import Arithmetic, Values, no_input
from jaxgeom.training.point_graph import PRE_ACTIVATION, activation_graph
from jaxgeom.training.scalar_graph import STRIP, Graph

Numbers = list[Any]
"""Arrays over lanes."""
PullBack = Callable[[Numbers], Numbers]
"""Derivatives by what goes in, of those by what comes out."""
Activation = Callable[[Arithmetic, Numbers], tuple[Numbers, PullBack]]
"""The units of a layer of its pre-activations, and how derivatives go back."""


class LaneLayer(NamedTuple):
    """A layer, by the places of its weights among all parameters of the network."""

    kernel: np.ndarray
    """(in, out)."""
    bias: np.ndarray | None
    """(out,)."""
    activation: Activation


def lane_layers(graph: Graph, params: Params) -> list[LaneLayer]:
    """The layers of a network; what follows the last one belongs to the loss, unless it is maxout.

    Args:
        graph: where activations are traced.
        params: of :func:`jaxgeom.mlp`; only names and shapes matter.

    Raises:
        Unsupported: for activations that do not act on single numbers.
    """
    layers = named_layers(params)
    names = [activation for _, activation, _ in layers]
    if names[-1] != "maxout":
        names[-1] = "linear"
    places = places_of(params)
    return [
        LaneLayer(places[layer]["kernel"], places[layer].get("bias"), _activation(graph, name))
        for (layer, *_), name in zip(layers, names, strict=True)
    ]


def places_of(params: Params) -> Any:
    """The place of every parameter among all, counted along the leaves."""
    leaves, structure = jax.tree.flatten(params)
    ends = np.cumsum([leaf.size for leaf in leaves])
    places = [np.arange(end - leaf.size, end).reshape(leaf.shape) for leaf, end in zip(leaves, ends, strict=True)]
    return jax.tree.unflatten(structure, places)


def forward(
    arithmetic: Arithmetic, layers: Sequence[LaneLayer], params: Numbers, x: Numbers
) -> tuple[Numbers, Callable[[Numbers, Numbers], Numbers]]:
    """The outputs of a network at a point, and a function of their derivatives and of gradients so far, which adds the
    gradients by all parameters to these."""
    multiply_add = arithmetic.multiply_add
    steps = []
    for layer in layers:
        z = []
        for j in range(layer.kernel.shape[1]):
            total: Any = 0 if layer.bias is None else params[layer.bias[j]]
            for k, number in enumerate(x):
                total = multiply_add(number, params[layer.kernel[k, j]], total)
            z.append(total)
        units, pull_back = layer.activation(arithmetic, z)
        steps.append((layer, x, pull_back))
        x = units

    def product(places: np.ndarray, numbers: Numbers) -> Any:
        total: Any = params[places[0]] * numbers[0]
        for place, number in zip(places[1:], numbers[1:], strict=True):
            total = multiply_add(params[place], number, total)
        return total

    def backward(derivatives: Numbers, gradients: Numbers) -> Numbers:
        gradients = list(gradients)
        for layer, inputs, pull_back in reversed(steps):
            own = pull_back(derivatives)
            for j, d in enumerate(own):
                if layer.bias is not None:
                    gradients[layer.bias[j]] = gradients[layer.bias[j]] + d
                for k, number in enumerate(inputs):
                    gradients[layer.kernel[k, j]] = multiply_add(number, d, gradients[layer.kernel[k, j]])
            if layer is not layers[0]:
                derivatives = [product(layer.kernel[k], own) for k in range(len(inputs))]
        return gradients

    return x, backward


def _activation(graph: Graph, name: str) -> Activation:
    if name == "linear":
        return lambda _, z: (z, lambda d: d)
    if name == "relu":
        return lambda _, z: _relu(z)
    if name == "maxout":
        return lambda _, z: _maxout(z)
    h, slope = activation_graph(graph, name)

    def traced(arithmetic: Arithmetic, z: Numbers) -> tuple[Numbers, PullBack]:
        numbers: Values = {}
        own = [{graph.input(PRE_ACTIVATION, STRIP).number: x} for x in z]
        units, slopes = ([arithmetic.evaluate(node, numbers, known, no_input) for known in own] for node in (h, slope))

        def pull_back(d: Numbers) -> Numbers:
            return [a * b for a, b in zip(d, slopes, strict=True)]

        return units, pull_back

    return traced


def _relu(z: Numbers) -> tuple[Numbers, PullBack]:
    units = [jnp.maximum(x, 0) for x in z]
    return units, lambda d: [jnp.where(unit > 0, each, 0) for unit, each in zip(units, d, strict=True)]


def _maxout(z: Numbers) -> tuple[Numbers, PullBack]:
    first, second = z[: len(z) // 2], z[len(z) // 2 :]
    chosen = [a > b for a, b in zip(first, second, strict=True)]
    units = [jnp.where(*each) for each in zip(chosen, first, second, strict=True)]

    def pull_back(d: Numbers) -> Numbers:
        pairs = list(zip(chosen, d, strict=True))
        return [jnp.where(mask, each, 0) for mask, each in pairs] + [jnp.where(mask, 0, each) for mask, each in pairs]

    return units, pull_back
