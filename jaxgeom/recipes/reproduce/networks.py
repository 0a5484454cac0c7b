"""[edge] Random networks for published results: normal weights and biases."""

import numpy as np

from jaxgeom.networks.layers import Dense, Layers


def normal_networks(
    rng: np.random.Generator, widths: tuple[int, ...], *, bias_scale: float = 1.0, leading: tuple[int, ...] = ()
) -> Layers:
    """Networks with one output: weights of variance 1 / fan-in, biases of variance bias_scale².

    Args:
        rng: where the numbers come from.
        widths: of the input and of the hidden layers.
        bias_scale: standard deviation of the biases.
        leading: axes of a population; () for one network.
    """
    shapes = zip(widths, (*widths[1:], 1), strict=True)
    return tuple(
        Dense(rng.normal(size=(*leading, a, b)) / a**0.5, bias_scale * rng.normal(size=(*leading, b)))
        for a, b in shapes
    )
