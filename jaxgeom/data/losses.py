"""Losses and accuracies, one number a point: ``loss(outputs, targets) -> (points,)``.

Outputs have the shape (points, out). Targets of a single output have the shape (points,) or (points, 1) and are bool,
integers or floats; class labels of several outputs are integers, or bool for two classes; numbers to approximate have
the shape of the outputs. Nothing is broadcast: whatever else is given raises, when the function is traced. Values of
labels are checked where they are known, that is outside of ``jit`` and ``vmap``.

Averaging over the points is left to the trainer, which weights the points of incomplete batches.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num, Shaped

from jaxgeom._typing import MATRIX
from jaxgeom.host.inputs import as_array

__all__ = [
    "binary_cross_entropy",
    "class_is_right",
    "is_right",
    "percentage_error",
    "probability_cross_entropy",
    "probability_is_right",
    "side_is_right",
    "softmax_cross_entropy",
    "squared_error",
    "squared_percentage_error",
]


def __dir__() -> list[str]:
    return __all__


MOST_SHOWN = 4
"""Wrong values that a message lists."""

PerPoint: TypeAlias = Callable[[Any, Any], Array]
"""A loss or an accuracy: from outputs (points, out) and targets to numbers (points,)."""

_SMALLEST_TARGET = 1e-8
_HALF = 0.5


def softmax_cross_entropy(
    outputs: Float[Array | np.ndarray, "points classes"], targets: Shaped[Array | np.ndarray, "..."]
) -> Float[Array, " points"]:
    """Cross-entropy of the softmax of ``outputs`` with class labels.

    Args:
        outputs: one for each class, at least two.
        targets: class labels from 0, integers (points,) or (points, 1), or bool for two classes.

    Raises:
        ValueError: for other shapes, one-hot targets, or labels that are no classes.
        TypeError: for targets that are neither integers nor bool.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> loss = jg.losses.softmax_cross_entropy(np.zeros((5, 2)), [0, 1, 1, 0, 1])
        >>> loss.shape, round(float(loss.mean()), 3)  # log 2
        ((5,), 0.693)
    """
    outputs, labels = _classes("softmax_cross_entropy", "binary_cross_entropy", outputs, targets)
    log_probabilities = jax.nn.log_softmax(outputs)
    # Chosen by comparison: the gradient of an indexed choice is a scatter, which is slow in batches.
    is_target = labels[:, None] == jnp.arange(outputs.shape[1])
    return -jnp.sum(jnp.where(is_target, log_probabilities, 0), axis=1)


def binary_cross_entropy(
    outputs: Float[Array | np.ndarray, "points out"], targets: Shaped[Array | np.ndarray, "..."]
) -> Float[Array, " points"]:
    """Cross-entropy of the sigmoid of one logit with two classes; stable for large logits.

    Args:
        outputs: one logit a point.
        targets: labels 0 and 1, or signs -1 and 1: bool, integers or floats, (points,) or (points, 1).

    Raises:
        ValueError: for other shapes, one-hot targets, or other values.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> signs, labels = (jg.losses.binary_cross_entropy(np.array([[3.0], [-1.0]]), y) for y in ([1, -1], [1, 0]))
        >>> signs.shape, bool((signs == labels).all())
        ((2,), True)
    """
    outputs, is_positive = _sides("binary_cross_entropy", "softmax_cross_entropy", outputs, targets)
    logits = outputs[:, 0]
    return _softplus(jnp.where(is_positive, -jnp.ones_like(logits), 1) * logits)


@jax.custom_jvp
def _softplus(z: Array) -> Array:
    """``log(1 + exp(z))``, whose derivative is one sigmoid; that of :func:`jax.nn.softplus` needs the value."""
    return jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))


@_softplus.defjvp
def _softplus_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _softplus(primals[0]), jax.nn.sigmoid(primals[0]) * tangents[0]


def probability_cross_entropy(
    outputs: Float[Array | np.ndarray, "points out"], targets: Shaped[Array | np.ndarray, "..."]
) -> Float[Array, " points"]:
    """Cross-entropy of one probability with two classes, for networks that end with a sigmoid:
    ``mlp(..., output_activation="sigmoid")``.

    Probabilities below the smallest normal number of their dtype are taken as that, so that no loss is above 87.4 in
    float32, and there its gradient is zero: :func:`binary_cross_entropy` of the logit goes on learning where a sigmoid
    is rounded to 0 or 1.

    Args:
        outputs: one probability a point, that of label 1.
        targets: labels 0 and 1, or signs -1 and 1: bool, integers or floats, (points,) or (points, 1).

    Raises:
        ValueError: for other shapes, one-hot targets, or other values.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> probabilities = np.array([[0.01], [0.3], [0.5], [1.0]])  # bad, bad, undecided, right
        >>> [round(float(loss), 4) for loss in jg.losses.probability_cross_entropy(probabilities, [1, 1, 1, 1])]
        [4.6052, 1.204, 0.6931, 0.0]
    """
    outputs, is_positive = _sides("probability_cross_entropy", "softmax_cross_entropy", outputs, targets)
    of_target = jnp.where(is_positive, outputs[:, 0], 1 - outputs[:, 0])
    return 0 - jnp.log(jnp.maximum(of_target, jnp.finfo(of_target.dtype).tiny))  # 0 for certainty, not -0


def squared_error(
    outputs: Float[Array | np.ndarray, "points out"], targets: Shaped[Array | np.ndarray, "..."]
) -> Float[Array, " points"]:
    """Squared error, averaged over the outputs. Its mean over the points is the MSE.

    Args:
        outputs: what is compared.
        targets: bool, integers or floats of the same shape, or (points,) for a single output.

    Raises:
        ValueError: for other shapes, such as class labels of several outputs.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> jg.losses.squared_error(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]])).tolist()
        [2.0]
    """
    outputs, targets = _numbers("squared_error", outputs, targets)
    return jnp.mean((outputs - targets) ** 2, axis=1)


def percentage_error(
    outputs: Float[Array | np.ndarray, "points out"], targets: Shaped[Array | np.ndarray, "..."]
) -> Float[Array, " points"]:
    """Absolute error over the size of the target, averaged over the outputs (1 is 100 %).

    Targets smaller than 1e-8 in size are taken as 1e-8. Arguments and errors are those of :func:`squared_error`. The
    square of it, which outliers decide, is :func:`squared_percentage_error`.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> jg.losses.percentage_error(np.array([[3.0], [1.0]]), np.array([[2.0], [-1.0]])).tolist()
        [0.5, 2.0]
    """
    outputs, targets = _numbers("percentage_error", outputs, targets)
    return jnp.mean(jnp.abs(outputs - targets) / jnp.maximum(jnp.abs(targets), _SMALLEST_TARGET), axis=1)


def squared_percentage_error(
    outputs: Float[Array | np.ndarray, "points out"], targets: Shaped[Array | np.ndarray, "..."]
) -> Float[Array, " points"]:
    """Half the square of the error over the target, averaged over the outputs (0.5 is an error of 100 %).

    Unlike :func:`percentage_error`, its gradient falls with the error, and vanishes where outputs are right. Targets
    smaller than 1e-8 in size are taken as 1e-8. Arguments and errors are those of :func:`squared_error`.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> jg.losses.squared_percentage_error(np.array([[3.0], [1.0]]), np.array([[2.0], [-1.0]])).tolist()
        [0.125, 2.0]
    """
    outputs, targets = _numbers("squared_percentage_error", outputs, targets)
    return jnp.mean(((outputs - targets) / jnp.maximum(jnp.abs(targets), _SMALLEST_TARGET)) ** 2, axis=1) / 2


def class_is_right(
    outputs: Float[Array | np.ndarray, "points classes"], targets: Shaped[Array | np.ndarray, "..."]
) -> Bool[Array, " points"]:
    """Whether the largest output is that of the label; never where an output is NaN.

    Arguments and errors are those of :func:`softmax_cross_entropy`; see :func:`side_is_right` for a single output.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> jg.losses.class_is_right(np.array([[0.1, 0.9], [0.8, 0.2]]), [1, 1]).tolist()
        [True, False]
    """
    outputs, labels = _classes("class_is_right", "side_is_right", outputs, targets)
    return (jnp.argmax(outputs, axis=1) == labels) & ~jnp.any(jnp.isnan(outputs), axis=1)


def side_is_right(
    outputs: Float[Array | np.ndarray, "points out"], targets: Shaped[Array | np.ndarray, "..."]
) -> Bool[Array, " points"]:
    """Whether one output is positive just where the target is; never where it is NaN.

    Args:
        outputs: one a point.
        targets: labels 0 and 1, or numbers of either sign: bool, integers or floats, (points,) or (points, 1).

    Raises:
        ValueError: for other shapes, several outputs, or integers other than 0 and 1, or -1 and 1.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> jg.losses.side_is_right(np.array([[0.3], [-2.0], [1.0]]), [1, 0, 0]).tolist()
        [True, True, False]
    """
    outputs, is_positive = _sides("side_is_right", "class_is_right", outputs, targets)
    return jnp.where(is_positive, outputs[:, 0] > 0, outputs[:, 0] <= 0)


def probability_is_right(
    outputs: Float[Array | np.ndarray, "points out"], targets: Shaped[Array | np.ndarray, "..."]
) -> Bool[Array, " points"]:
    """Whether one probability is above a half just where the target is positive; never where it is NaN.

    Arguments and errors are those of :func:`probability_cross_entropy`; of logits, see :func:`side_is_right`.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> jg.losses.probability_is_right(np.array([[0.3], [0.9], [0.6]]), [0, 1, 0]).tolist()
        [True, True, False]
    """
    outputs, is_positive = _sides("probability_is_right", "class_is_right", outputs, targets)
    return jnp.where(is_positive, outputs[:, 0] > _HALF, outputs[:, 0] <= _HALF)


def is_right(
    outputs: Float[Array | np.ndarray, "points out"], targets: Shaped[Array | np.ndarray, "..."]
) -> Bool[Array, " points"]:
    """Which points are right: :func:`side_is_right` for one output, :func:`class_is_right` for several.

    One output is taken for a logit; of probabilities, see :func:`probability_is_right`.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> one, two = np.array([[0.3]]), np.array([[0.3, 0.7]])
        >>> jg.losses.is_right(one, [1]).tolist(), jg.losses.is_right(two, [0]).tolist()
        ([True], [False])
    """
    outputs = _outputs("is_right", outputs)
    return side_is_right(outputs, targets) if outputs.shape[1] == 1 else class_is_right(outputs, targets)


OWN: tuple[PerPoint, ...] = (
    softmax_cross_entropy,
    binary_cross_entropy,
    probability_cross_entropy,
    squared_error,
    percentage_error,
    squared_percentage_error,
    class_is_right,
    side_is_right,
    probability_is_right,
    is_right,
)
"""The functions of this file, which check what they are given."""


OF_NUMBERS: tuple[PerPoint, ...] = (squared_error, percentage_error, squared_percentage_error)
"""Those whose targets are numbers of any size, and not labels."""


def check_per_point(
    kind: str, function: Any, outputs: jax.ShapeDtypeStruct, targets: Shaped[Array | np.ndarray, "..."]
) -> None:
    """Raise unless a loss or an accuracy, of this file or of one's own, takes the targets, and gives a number a point.

    Args:
        kind: "loss" or "accuracy", for the message.
        function: what to check.
        outputs: shape (points, out) and dtype of the network's outputs.
        targets: what it is to be compared with; values are checked if known.

    Raises:
        TypeError: for what is no function.
        ValueError: for targets that the function does not take, or broadcasts against the outputs.
    """
    if not callable(function):
        raise TypeError(
            f"the {kind} must be a function such as jaxgeom.losses.{'squared_error' if kind == 'loss' else 'is_right'}"
            f", but {function!r} was given."
        )
    if function in OWN:
        # Called with the targets themselves, whose values it checks, within a trace that computes nothing.
        per_point = jax.eval_shape(lambda outputs: function(outputs, targets), outputs)
        _check_dtype(kind, per_point.dtype)
        return
    _check_classes_of(outputs, targets)
    if not jnp.issubdtype(targets.dtype, jnp.integer) and targets.dtype != bool and targets.shape != outputs.shape:
        raise ValueError(
            f"targets have shape {targets.shape}, but the model's outputs have shape {outputs.shape}; for a {kind} of "
            f"one's own on numbers they must agree. Use targets.reshape({outputs.shape}) if they are as many."
        )
    try:
        per_point = jax.eval_shape(function, outputs, targets)
    except Exception as error:
        raise ValueError(
            f"the {kind} does not take targets of shape {targets.shape} ({targets.dtype}) with outputs of shape "
            f"{outputs.shape}: {error}"
        ) from error
    if getattr(per_point, "shape", None) != outputs.shape[:1]:
        raise ValueError(
            f"the {kind} must give one number a point, shape {outputs.shape[:1]}, but gives shape "
            f"{getattr(per_point, 'shape', per_point)}. Average over the outputs, not over the points."
        )
    _check_dtype(kind, per_point.dtype)
    _check_no_pairs(kind, function, outputs, targets)


def _check_dtype(kind: str, dtype: Any) -> None:
    """Raise unless a loss gives real floats, and an accuracy these, integers or truth values."""
    if kind == "loss" and (jnp.issubdtype(dtype, jnp.bool_) or jnp.issubdtype(dtype, jnp.integer)):
        raise ValueError(
            f"the loss must give floats, but it gives {dtype}, whose gradient is zero: it may be an accuracy. Use "
            "jaxgeom.losses.squared_error or the like as the loss, and give this function as accuracy=…."
        )
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise ValueError(f"the {kind} must give real numbers, but it gives {dtype}. Take jnp.real or jnp.abs of it.")


_UNUSUAL = 9973
"""A number of points that is no other size in a loss."""


def _check_no_pairs(kind: str, function: PerPoint, outputs: Any, targets: Any) -> None:
    """Raise if the function compares every output with every target, as (points, 1) against (points,) does."""
    shapes = [jax.ShapeDtypeStruct((_UNUSUAL, *each.shape[1:]), each.dtype) for each in (outputs, targets)]
    try:
        jaxpr: Any = jax.make_jaxpr(function)(*shapes)
    except Exception:  # a function for one number of points only, which the caller has tried
        return
    if any(v.aval.shape.count(_UNUSUAL) > 1 for equation in jaxpr.eqns for v in equation.outvars):
        raise ValueError(
            f"the {kind} compares every output with every target, since outputs of shape {outputs.shape} and targets "
            f"of shape {targets.shape} are broadcast against each other. Use targets[:, None], or outputs[:, 0]."
        )


def _outputs(name: str, outputs: Any) -> Array:
    array = jnp.asarray(as_array(f"the outputs of {name}", outputs))
    if array.ndim != MATRIX or array.shape[1] < 1:
        raise ValueError(
            f"{name} needs outputs of shape (points, out), but they have shape {array.shape}. Use outputs[:, None] "
            "for one output a point, and jax.vmap for populations."
        )
    return array


def _targets(name: str, outputs: Array, targets: Any) -> Array | np.ndarray:
    """Targets as an array, of as many points as there are outputs."""
    array = as_array(f"the targets of {name}", targets)
    if array.ndim < 1 or array.shape[0] != outputs.shape[0]:
        raise ValueError(
            f"{name} needs a target for each point, but outputs have shape {outputs.shape} and targets have shape "
            f"{array.shape}."
        )
    return array


def _column(name: str, outputs: Array, targets: Array | np.ndarray) -> Array | np.ndarray:
    """Labels (points,) from (points,) or (points, 1)."""
    num = outputs.shape[0]
    if targets.shape not in ((num,), (num, 1)):
        is_one_hot = targets.ndim == MATRIX
        remedy = "Use jnp.argmax(targets, axis=1) for one-hot targets." if is_one_hot else "Use one label a point."
        raise ValueError(
            f"{name} needs labels of shape ({num},) or ({num}, 1), but targets have shape {targets.shape}. {remedy}"
        )
    return targets.reshape(num)


def _classes(name: str, other: str, outputs: Any, targets: Any) -> tuple[Array, Array]:
    """Outputs of at least two classes, and their labels (points,)."""
    outputs = _outputs(name, outputs)
    num_classes = outputs.shape[1]
    if num_classes == 1:
        raise ValueError(f"{name} needs an output for each class, but there is one output; use {other} for that.")
    labels = _column(name, outputs, _targets(name, outputs, targets))
    if jnp.issubdtype(labels.dtype, jnp.floating):
        raise TypeError(
            f"{name} needs class labels that are integers, but targets are {labels.dtype}. Use targets.astype(int) for "
            f"labels, and squared_error for numbers to approximate."
        )
    _check_labels(name, num_classes, labels)
    return outputs, jnp.asarray(labels)


def _sides(name: str, other: str, outputs: Any, targets: Any) -> tuple[Array, Array]:
    """A single output (points, 1), and whether its target is positive (points,)."""
    outputs = _outputs(name, outputs)
    if outputs.shape[1] != 1:
        raise ValueError(f"{name} needs one output, not {outputs.shape[1]}; use {other} for several.")
    targets = _column(name, outputs, _targets(name, outputs, targets))
    is_float = jnp.issubdtype(targets.dtype, jnp.floating)
    if not isinstance(targets, jax.core.Tracer) and not (is_float and name == "side_is_right"):
        found = np.unique(np.asarray(targets).astype(np.float64))
        if not (np.isin(found, (0, 1)).all() or np.isin(found, (-1, 1)).all()):
            raise ValueError(
                f"{name} needs labels 0 and 1, or signs -1 and 1, but targets hold {_some(found)}. Use as many outputs "
                f"as classes and {other} for more of them, and squared_error for numbers to approximate."
            )
    return outputs, jnp.asarray(targets) > 0


def _numbers(name: str, outputs: Any, targets: Any) -> tuple[Array, Array]:
    """Outputs, and targets of the same shape (points, out) and dtype."""
    outputs = _outputs(name, outputs)
    targets = _targets(name, outputs, targets)
    if outputs.shape[1] == 1 and targets.ndim == 1:
        targets = targets[:, None]
    if targets.shape != outputs.shape:
        remedy = (
            f"Use jax.nn.one_hot(targets, {outputs.shape[1]}) for class labels."
            if targets.ndim == 1
            else "Use a model with an output for each target."
        )
        raise ValueError(
            f"{name} needs targets of the shape of the outputs, {outputs.shape}, but they have shape {targets.shape}. "
            f"{remedy}"
        )
    if isinstance(targets, np.ndarray):  # of whose integers JAX would take 32 bits
        targets = targets.astype(outputs.dtype)
    return outputs, jnp.asarray(targets).astype(outputs.dtype)


def _check_classes_of(outputs: Any, targets: Num[Array | np.ndarray, "..."]) -> None:
    """Labels (points,) for several outputs are classes, whatever the loss."""
    if outputs.shape[1] > 1 and targets.ndim == 1 and jnp.issubdtype(targets.dtype, jnp.integer):
        _check_labels("the loss", outputs.shape[1], targets)


def _check_labels(name: str, num_classes: int, labels: Any) -> None:
    if isinstance(labels, jax.core.Tracer) or labels.size == 0:
        return
    low, high = int(np.asarray(labels).min()), int(np.asarray(labels).max())
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"{name} needs labels between 0 and {num_classes - 1} for {num_classes} outputs, but they range from {low} "
            f"to {high}. Use as many outputs as classes."
        )


def _some(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values[:MOST_SHOWN]) + (", …" if len(values) > MOST_SHOWN else "")
