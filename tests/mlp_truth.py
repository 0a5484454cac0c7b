"""Training of MLPs of any depth, written out in NumPy: forward, backward by hand, losses, and whole runs.

Nothing here is shared with the package. A network is the dictionary of its layers, named as by ``jaxgeom.mlp``:
``{"dense0_relu": {"kernel": (in, out), "bias": (out,)}, "dense1_linear": ...}``.
"""

from typing import NamedTuple

import jax
import numpy as np


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _maxout(z):
    return np.maximum(*np.split(z, 2, axis=1))


def _maxout_slope(z):
    first, second = np.split(z, 2, axis=1)
    return np.concatenate([first > second, first <= second], axis=1)


# Values and slopes at the pre-activations. At a kink: the slope that JAX takes.
ACTIVATIONS = {
    "linear": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.where(z > 0, z, 0), lambda z: z > 0),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "leaky_relu": (lambda z: np.where(z < 0, 0.01 * z, z), lambda z: np.where(z < 0, 0.01, 1)),
    "abs": (np.abs, np.sign),
    "hard_tanh": (lambda z: np.clip(z, -1, 1), lambda z: np.where(np.abs(z) <= 1, 1, 0)),
    "maxout": (_maxout, _maxout_slope),
    "softplus": (lambda z: np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0), _sigmoid),
    "sin": (np.sin, np.cos),
}


def _softmax(outputs, labels):
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    one_hot = np.eye(outputs.shape[1])[labels]
    return -np.log((probabilities * one_hot).sum(axis=1)), probabilities - one_hot


def _binary(outputs, labels):
    margins = np.where(labels > 0, 1, -1)[:, None] * outputs
    return np.log1p(np.exp(-margins))[:, 0], -np.where(labels > 0, 1, -1)[:, None] * _sigmoid(-margins)


def _squared(outputs, targets):
    residuals = outputs - targets
    return (residuals**2).mean(axis=1), 2 * residuals / outputs.shape[1]


def _percentage(outputs, targets):
    sizes = np.maximum(np.abs(targets), 1e-8)
    return (np.abs(outputs - targets) / sizes).mean(axis=1), np.sign(outputs - targets) / sizes / outputs.shape[1]


def _log_cosh(outputs, targets):
    """The user's own loss in the tests: log cosh of the residuals, added up."""
    residuals = outputs - targets
    return np.log(np.cosh(residuals)).sum(axis=1), np.tanh(residuals)


# Losses of the points, and their gradients in the outputs.
LOSSES = {"softmax": _softmax, "binary": _binary, "squared": _squared, "percentage": _percentage, "log_cosh": _log_cosh}


def activations_of(params):
    return [name.split("_", 1)[1] for name in params]


def outputs_of(params, x):
    for name, activation in zip(params, activations_of(params), strict=True):
        x = ACTIVATIONS[activation][0](x @ params[name]["kernel"] + params[name].get("bias", 0))
    return x


def loss_and_gradient(params, x, y, loss):
    """Mean loss over the points, and its gradient."""
    inputs, slopes = [], []
    for name, activation in zip(params, activations_of(params), strict=True):
        function, slope = ACTIVATIONS[activation]
        z = x @ params[name]["kernel"] + params[name].get("bias", 0)
        inputs.append(x)
        slopes.append(slope(z))
        x = function(z)
    values, cotangent = LOSSES[loss](x, y)
    cotangent = cotangent / len(x)
    gradient = {}
    for name, before, slope in reversed(list(zip(params, inputs, slopes, strict=True))):
        cotangent = np.tile(cotangent, slope.shape[1] // cotangent.shape[1]) * slope
        gradient[name] = {"kernel": before.T @ cotangent}
        if "bias" in params[name]:
            gradient[name]["bias"] = cotangent.sum(axis=0)
        cotangent = cotangent @ params[name]["kernel"].T
    return values.mean(), gradient


class Run(NamedTuple):
    batch_losses: np.ndarray
    """Before each step."""
    history: list
    """Parameters before the first and after every step."""


def run_of(params, x, y, batches, loss, update, scale=1.0):
    """Training on some rows a step; ``update`` as in training_truth, its steps scaled."""
    memory = jax.tree.map(lambda leaf: (np.zeros_like(leaf),) * 2, params)
    losses, history = [], [params]
    for number, rows in enumerate(batches, start=1):
        value, gradient = loss_and_gradient(params, x[rows], y[rows], loss)
        new_params, new_memory = {}, {}
        for name, layer in params.items():
            new_params[name], new_memory[name] = {}, {}
            for leaf, p in layer.items():
                stepped, new_memory[name][leaf] = update(number, p, gradient[name][leaf], memory[name][leaf])
                new_params[name][leaf] = stepped if scale == 1 else p + scale * (stepped - p)
        params, memory = new_params, new_memory
        losses.append(value)
        history.append(params)
    return Run(np.array(losses), history)


def batches_of(num_points, num_epochs, batch_size=None, drop_last=True, order=None):
    """Rows of every step; ``order(epoch)`` is a permutation, or None for the order as given."""
    if batch_size is None or batch_size >= num_points:
        return [np.arange(num_points)] * num_epochs
    batches = []
    for epoch in range(num_epochs):
        rows = np.arange(num_points) if order is None else order(epoch)
        parts = [rows[start : start + batch_size] for start in range(0, num_points, batch_size)]
        batches += [part for part in parts if len(part) == batch_size or not drop_last]
    return batches


def num_roundings(params, num_points):
    """Roundings on the way to one entry of a gradient: sums forth and back, sums over the points, and some more."""
    return sum(sum(layer["kernel"].shape) + 4 for layer in params.values()) + num_points + 8
