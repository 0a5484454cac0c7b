"""Features of points by name, by hand in NumPy, for one, two and three coordinates; and networks of these."""

from collections.abc import Callable
from typing import Any

import numpy as np

FEATURES: dict[int, dict[str, Callable[[Any], Any]]] = {
    1: {"x1": lambda x: x[:, 0], "x1^2": lambda x: np.square(x[:, 0]), "sin(x1)": lambda x: np.sin(x[:, 0])},
    2: {
        "x1": lambda x: x[:, 0],
        "x2": lambda x: x[:, 1],
        "x1^2": lambda x: np.square(x[:, 0]),
        "x2^2": lambda x: np.square(x[:, 1]),
        "x1*x2": lambda x: np.prod(x, axis=1),
        "sin(x1)": lambda x: np.sin(x[:, 0]),
        "sin(x2)": lambda x: np.sin(x[:, 1]),
    },
    3: {
        "x1": lambda x: x[:, 0],
        "x2": lambda x: x[:, 1],
        "x3": lambda x: x[:, 2],
        "x1^2": lambda x: np.square(x[:, 0]),
        "x2^2": lambda x: np.square(x[:, 1]),
        "x3^2": lambda x: np.square(x[:, 2]),
        "x1*x2": lambda x: np.prod(x[:, [0, 1]], axis=1),
        "x1*x3": lambda x: np.prod(x[:, [0, 2]], axis=1),
        "x2*x3": lambda x: np.prod(x[:, [1, 2]], axis=1),
        "sin(x1)": lambda x: np.sin(x[:, 0]),
        "sin(x2)": lambda x: np.sin(x[:, 1]),
        "sin(x3)": lambda x: np.sin(x[:, 2]),
    },
}
"""In the order in which they are listed."""

ACTIVATIONS = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "linear": lambda z: z}


def by_hand(x: Any, names: Any) -> np.ndarray:
    """Features (points, features) in float64."""
    x = np.asarray(x, np.float64)
    return np.stack([FEATURES[x.shape[1]][name](x) for name in names], axis=1)


def pre_activations(params: Any, x: Any, names: Any) -> list[np.ndarray]:
    """Of all layers of a network of features with the parameters of an mlp, at points, in float64."""
    found, values = [], by_hand(x, names)
    for name, layer in params.items():
        found.append(values @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"], np.float64))
        values = ACTIVATIONS[name.partition("_")[2]](found[-1])
    return found
