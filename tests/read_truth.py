"""What tests of readers share: points, evaluation in NumPy that shares nothing with the readers, and gradients."""

from typing import Any

import numpy as np


def outputs(layers: Any, points: np.ndarray) -> np.ndarray:
    """A chain evaluated with dense kernels."""
    x = np.asarray(points, np.float64).reshape(len(points), -1)
    for index, (kernel, bias, slope) in enumerate(layers):
        x = x @ dense(kernel) + np.asarray(bias)
        if index < len(layers) - 1:
            x = np.where(x > 0, x, (0.0 if slope is None else slope) * x)
    return x


def gradients(layers: Any, points: np.ndarray, output: int) -> np.ndarray:
    """Gradients (points, in) of one output, by hand."""
    x = np.asarray(points, np.float64).reshape(len(points), -1)
    factors = []
    for kernel, bias, slope in layers[:-1]:
        z = x @ dense(kernel) + np.asarray(bias)
        factors.append(np.where(z > 0, 1.0, 0.0 if slope is None else slope))
        x = z * factors[-1]
    back = np.tile(dense(layers[-1].kernel)[:, output], (len(x), 1))
    for (kernel, *_), factor in zip(layers[-2::-1], factors[::-1], strict=True):
        back = (back * factor) @ dense(kernel).T
    return back


def dense(kernel: Any) -> np.ndarray:
    return kernel.toarray() if hasattr(kernel, "toarray") else np.asarray(kernel)
