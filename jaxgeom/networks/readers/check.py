"""[edge] Chains of layers evaluated in float64, and compared with what they were read from."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxgeom.networks.layers import Layers

ROUNDINGS = 64.0
"""So many standard deviations of independent roundings, outputs may be off."""

DOUBLE_PRECISION = 2.0**-40
"""Of sources that calculate in float64: less than theirs, since sums of constants may cancel out in the layers."""

SINGLE_PRECISION = 2.0**-20
"""Of sources that calculate in float32."""

_SCALES = 2.0 ** np.arange(-6, 9, 2)
_MOST_POINTS = 1024
_MOST_PRODUCTS = 2e8
_LEAST_POINTS = 32


def _with_errors(layers: Layers, points: np.ndarray, precision: float) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (points, out), and the standard deviation of what they are off if all terms are rounded at random."""
    x: Any = np.asarray(points, np.float64).T
    variance: Any = np.zeros_like(x)
    for index, (kernel, bias, slope) in enumerate(layers):
        columns = kernel.T
        if precision:
            squares = columns * columns
            variance = squares @ (variance + (precision * x) ** 2)
        x = columns @ x + np.asarray(bias)[:, None]
        if precision:
            variance = variance + (precision * x) ** 2 + (precision * np.asarray(bias)[:, None]) ** 2
        if index < len(layers) - 1:
            factor = np.zeros(len(bias)) if slope is None else np.asarray(slope)
            x = np.where(x > 0, x, factor[:, None] * x)
            variance = variance * np.maximum(1.0, factor[:, None] ** 2)
    return x.T, np.sqrt(variance.T)


def random_points(layers: Layers, num_inputs: int) -> np.ndarray:
    """Points of several scales at which a network is compared: fewer for large networks."""
    terms = sum(kernel.nnz if hasattr(kernel, "nnz") else kernel.size for kernel, *_ in layers)
    num = int(np.clip(_MOST_PRODUCTS / max(terms, 1), _LEAST_POINTS, _MOST_POINTS)) // len(_SCALES)
    random = np.random.default_rng(0).normal(size=(num * len(_SCALES), num_inputs))
    return random * np.repeat(_SCALES, num)[:, None]


def check_agrees(
    layers: Layers,
    source: Callable[[np.ndarray], np.ndarray],
    num_inputs: int,
    *,
    precision: float = float(np.finfo(np.float32).eps),
    what: str = "the network",
    points: Sequence[Any] | np.ndarray | None = None,
    most_points: int | None = None,
) -> float:
    """Compare a chain with its source at random points of several scales.

    Args:
        layers: what was read.
        source: outputs (points, out) of points (points, in), both float64.
        num_inputs: of the network.
        precision: of the source's arithmetic, as its spacing of numbers at 1.
        what: the source, in messages.
        points: others than random ones.
        most_points: of these, for sources that are slow.

    Returns:
        The largest difference, in standard deviations of the source's rounding.

    Raises:
        ValueError: if outputs differ by more than rounding.
    """
    x = random_points(layers, num_inputs) if points is None else np.asarray(points, np.float64)
    x = x if most_points is None else x[:: -(-len(x) // most_points)]
    got, deviation = _with_errors(layers, x, precision)
    expected = np.asarray(source(x), np.float64).reshape(len(x), -1)
    if expected.shape != got.shape:
        raise ValueError(f"{what} has {expected.shape[1]} outputs, but the layers that were read have {got.shape[1]}.")
    tiny = float(np.finfo(np.float32).tiny)
    off = np.abs(got - expected) / (deviation + tiny)
    off = np.where(got == expected, 0.0, off)
    worst = float(off.max(initial=0.0))
    if not worst <= ROUNDINGS:
        point, output = np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), off.shape)
        raise ValueError(
            f"the layers that were read are not what {what} computes: at a random point of size "
            f"{np.abs(x[point]).max():.3g}, output {output} is {expected[point, output]:.9g}, but the layers give "
            f"{got[point, output]:.9g}. grid_regions(function, points) takes any function."
        )
    return worst
