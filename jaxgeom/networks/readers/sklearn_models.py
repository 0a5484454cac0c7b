"""[edge] Networks from scikit-learn: its perceptrons, and scalers before them."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgeom.networks.layers import Dense
from jaxgeom.networks.readers.check import check_agrees
from jaxgeom.networks.readers.imported import Imported

_PERCEPTRONS = ("MLPClassifier", "MLPRegressor")
_LAST_STEP = -1


def from_sklearn(model: Any) -> Imported:
    """The layers of a fitted ``MLPClassifier`` or ``MLPRegressor`` of scikit-learn, or of a pipeline that ends in one.

    Scalers before it become part of the first layer. Outputs of a classifier are those before its softmax; of two
    classes there is one, whose sign is the class. What was read is compared with the model in float64.

    Args:
        model: the estimator, with ``activation="relu"`` or "identity", or a ``Pipeline`` of ``StandardScaler``,
            ``MinMaxScaler``, ``MaxAbsScaler``, ``RobustScaler`` or ``PCA`` and the estimator.

    Raises:
        ValueError: for an activation or a step that is not piecewise linear, which it names; if it is not fitted; if
            the layers are not what the model computes.
        TypeError: for another model.

    Example:
        >>> from sklearn.neural_network import MLPRegressor
        >>> import jaxgeom as jg
        >>> model = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", random_state=0)
        >>> model = model.fit([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.0, 1.0, 1.0, 0.0])
        >>> [layer.kernel.shape for layer in jg.from_sklearn(model).layers]
        [(2, 8), (8, 1)]
    """
    steps = [step for _, step in model.steps] if type(model).__name__ == "Pipeline" else [model]
    perceptron = steps[_LAST_STEP]
    name = type(perceptron).__name__
    if name not in _PERCEPTRONS:
        raise TypeError(
            f"an {' or '.join(_PERCEPTRONS)} of scikit-learn is needed, or a pipeline that ends in one, but {name} was "
            "given."
        )
    if not hasattr(perceptron, "coefs_"):
        raise ValueError(f"the {name} is not fitted. Call its fit first.")
    if perceptron.activation not in ("relu", "identity"):
        raise ValueError(
            f'the {name} has activation="{perceptron.activation}", which is not piecewise linear; "relu" and '
            '"identity" are read. grid_regions(function, points) takes any function.'
        )
    slope = 0.0 if perceptron.activation == "relu" else 1.0
    layers = [
        Dense(
            np.asarray(kernel, np.float64), np.asarray(bias, np.float64), np.full(len(bias), slope) if slope else None
        )
        for kernel, bias in zip(perceptron.coefs_, perceptron.intercepts_, strict=True)
    ]
    layers[-1] = layers[-1]._replace(slope=None)
    for step in reversed([step for step in steps[:-1] if step not in (None, "passthrough")]):
        layers[0] = _after(step, layers[0])
    outputs = _without_ending(steps)
    precision = float(np.finfo(perceptron.coefs_[0].dtype).eps)
    num_inputs = layers[0].kernel.shape[0]
    check_agrees(tuple(layers), outputs, num_inputs, precision=precision, what="the model")
    ending = perceptron.out_activation_
    notes = () if ending == "identity" else (f"{ending} at the end is left off: the outputs are what it is applied to",)
    return Imported(tuple(layers), (), (num_inputs,), (len(layers[-1].bias),), notes)


def _after(step: Any, layer: Dense) -> Dense:
    """A layer of the inputs of a step, from one of its outputs."""
    kernel, offset = _affine(step)
    bias = offset @ np.asarray(layer.kernel) + layer.bias
    whole = kernel[:, None] * layer.kernel if kernel.ndim == 1 else kernel @ layer.kernel
    return Dense(np.ascontiguousarray(whole), np.asarray(bias), layer.slope)


def _affine(step: Any) -> tuple[np.ndarray, np.ndarray]:
    """What a step computes: factors (in,), or a kernel (in, out), and offsets."""
    name = type(step).__name__
    rule = _STEPS.get(name)
    if rule is None:
        raise ValueError(
            f"the pipeline has the step {name}, which is not affine or not read; {', '.join(sorted(_STEPS))} are. "
            "grid_regions(function, points) takes any function."
        )
    if getattr(step, "clip", False):
        raise ValueError(f"the step {name} clips its outputs (clip=True), which is not affine. Fit it with clip=False.")
    return rule(step)


def _centred(step: Any, centre: Any, scale: Any) -> tuple[np.ndarray, np.ndarray]:
    """(x - centre) / scale, either of which may be None."""
    width = step.n_features_in_
    factors = np.ones(width) if scale is None else 1.0 / np.asarray(scale, np.float64)
    return factors, -(np.zeros(width) if centre is None else np.asarray(centre, np.float64)) * factors


def _projected(step: Any) -> tuple[np.ndarray, np.ndarray]:
    kernel = np.asarray(step.components_, np.float64).T
    if step.whiten:
        scale = np.sqrt(step.explained_variance_)
        kernel = kernel / np.maximum(scale, np.finfo(scale.dtype).eps)
    return kernel, -np.asarray(step.mean_, np.float64) @ kernel


_STEPS: dict[str, Callable[[Any], tuple[np.ndarray, np.ndarray]]] = {
    "StandardScaler": lambda step: _centred(step, step.mean_ if step.with_mean else None, step.scale_),
    "RobustScaler": lambda step: _centred(
        step, step.center_ if step.with_centering else None, step.scale_ if step.with_scaling else None
    ),
    "MaxAbsScaler": lambda step: _centred(step, None, step.scale_),
    "MinMaxScaler": lambda step: (np.asarray(step.scale_, np.float64), np.asarray(step.min_, np.float64)),
    "PCA": _projected,
}


def _without_ending(steps: list[Any]) -> Callable[[np.ndarray], np.ndarray]:
    """The model up to its softmax or sigmoid, as scikit-learn itself computes it."""
    last = copy.copy(steps[_LAST_STEP])
    last.out_activation_ = "identity"

    def outputs(points: np.ndarray) -> np.ndarray:
        x = points
        for step in steps[:-1]:
            x = x if step in (None, "passthrough") else step.transform(x)
        if not hasattr(last, "predict_proba"):
            return np.asarray(last.predict(x)).reshape(len(x), -1)
        found = np.asarray(last.predict_proba(x))
        return found[:, 1:] if last.n_outputs_ == 1 else found

    return outputs
