"""Losses and accuracies, one number a point: ``loss(outputs, targets) -> (points,)``.

Averaging over the points is left to the trainer, which weights the points of incomplete batches.
"""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num

_SMALLEST_TARGET = 1e-8


def softmax_cross_entropy(
    outputs: Float[Array, "points classes"], targets: Int[Array, " points"]
) -> Float[Array, " points"]:
    """Cross-entropy of the softmax of ``outputs`` with class labels."""
    if outputs.shape[1] < 2:
        raise ValueError("the softmax needs an output for each class; use binary_cross_entropy for a single output.")
    log_probabilities = jax.nn.log_softmax(outputs)
    # Chosen by comparison: the gradient of an indexed choice is a scatter, which is slow in batches.
    is_target = targets[:, None] == jnp.arange(outputs.shape[1])
    return -jnp.sum(jnp.where(is_target, log_probabilities, 0), axis=1)


def binary_cross_entropy(outputs: Float[Array, "points 1"], targets: Int[Array, " points"]) -> Float[Array, " points"]:
    """Cross-entropy of the sigmoid of one logit with labels 0 and 1; stable for large logits."""
    if outputs.shape[1] != 1:
        raise ValueError(f"one output is needed, not {outputs.shape[1]}; use softmax_cross_entropy for several.")
    logits = outputs[:, 0]
    return jax.nn.softplus(jnp.where(targets > 0, -logits, logits))


def squared_error(outputs: Float[Array, "points out"], targets: Float[Array, "points out"]) -> Float[Array, " points"]:
    """Squared error, averaged over the outputs. Its mean over the points is the MSE."""
    chex.assert_equal_shape([outputs, targets])
    return jnp.mean((outputs - targets) ** 2, axis=1)


def percentage_error(
    outputs: Float[Array, "points out"], targets: Float[Array, "points out"]
) -> Float[Array, " points"]:
    """Absolute error over the size of the target, averaged over the outputs (1 is 100 %).

    Targets smaller than 1e-8 in size are taken as 1e-8.
    """
    chex.assert_equal_shape([outputs, targets])
    return jnp.mean(jnp.abs(outputs - targets) / jnp.maximum(jnp.abs(targets), _SMALLEST_TARGET), axis=1)


def class_is_right(outputs: Float[Array, "points classes"], targets: Int[Array, " points"]) -> Bool[Array, " points"]:
    """Whether the largest output is that of the label."""
    chex.assert_rank(targets, 1)
    return jnp.argmax(outputs, axis=1) == targets


def side_is_right(outputs: Float[Array, "points 1"], targets: Num[Array, "points *one"]) -> Bool[Array, " points"]:
    """Whether the output is positive just where the target is: labels 0 and 1 for one logit, or targets ±1."""
    return (outputs[:, 0] > 0) == (targets.reshape(-1) > 0)
