"""Losses of networks in lanes, with their gradients, for :mod:`jaxgeom.training.lanes`.

Any loss for one network is mapped over the lanes and differentiated by JAX. For the cross-entropies the stages are
written out: the exponentials are computed once, and both the loss and its gradient take them from there.
"""

from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num, Shaped

from jaxgeom.data.losses import PerPoint, binary_cross_entropy, class_is_right, is_right, softmax_cross_entropy
from jaxgeom.training.fences import Once, chain


def losses_in_lanes(
    once: Once, loss: PerPoint, outputs: Float[Array, "points out lanes"], y: Num[Array, "points *out #lanes"]
) -> Shaped[Array, "points lanes"]:
    """The loss of every point, or any other number a point such as whether it is right."""
    if stages := _stages_of(loss):
        exponentials_of, losses_of, _ = stages
        return once(losses_of, outputs, once(exponentials_of, outputs), _column(y))
    if loss is class_is_right or (loss is is_right and outputs.shape[1] > 1):
        return once(_class_is_right, outputs, _column(y))
    return once(lambda outputs, y: _mapped(loss, y)(outputs), outputs, y)


def losses_and_cotangent(
    once: Once,
    loss: PerPoint,
    outputs: Float[Array, "points out lanes"],
    y: Num[Array, "points *out #lanes"],
    shares: Array,
) -> tuple[Float[Array, "points lanes"], Float[Array, "points out lanes"]]:
    """The loss of every point times its share in the mean, and the gradient of their sum in the outputs.

    Args:
        once: how to compute something once.
        loss: for one network.
        outputs, y: outputs and targets of some points.
        shares: a number, or one for each point (points, 1).
    """
    if stages := _stages_of(loss):
        exponentials_of, losses_of, slopes_of = stages
        exponentials, y = once(exponentials_of, outputs), _column(y)
        losses = once(lambda *arrays: losses_of(*arrays[:-1]) * arrays[-1], outputs, exponentials, y, shares)
        wide = shares if shares.ndim == 0 else shares[:, None]
        return losses, once(lambda *arrays: slopes_of(*arrays[:-1]) * arrays[-1], outputs, exponentials, y, wide)

    def both(outputs: Array, y: Array, shares: Array) -> tuple[Array, Array]:
        losses, pull_back = jax.vjp(_mapped(loss, y), outputs)
        shares = jnp.broadcast_to(shares, losses.shape).astype(losses.dtype)
        return losses * shares, pull_back(shares)[0]

    return once(both, outputs, y, shares)


def _mapped(function: PerPoint, y: Array) -> Callable[[Array], Array]:
    """The function over lanes: outputs (points, out, lanes) to numbers (points, lanes)."""
    if y.shape[-1] == 1:
        return jax.vmap(lambda outputs: function(outputs, y[..., 0]), in_axes=-1, out_axes=-1)
    return lambda outputs: jax.vmap(function, in_axes=-1, out_axes=-1)(outputs, y)


def _column(y: Num[Array, "points *one #lanes"]) -> Num[Array, "points #lanes"]:
    """Labels of shape (points,) or (points, 1), lanes last, as the former."""
    return y if y.ndim == 2 else y.reshape(y.shape[0], y.shape[-1])


def _largest(outputs: Array) -> Array:
    return reduce(jnp.maximum, (outputs[:, k] for k in range(outputs.shape[1])))


def _class_is_right(outputs: Array, y: Array) -> Array:
    """As argmax has it: the first of the largest outputs counts. NaN is larger than all numbers, and never right."""
    largest, label = outputs[:, 0], jnp.int32(0)
    for k in range(1, outputs.shape[1]):
        is_larger = (outputs[:, k] > largest) | (jnp.isnan(outputs[:, k]) & ~jnp.isnan(largest))
        largest, label = jnp.where(is_larger, outputs[:, k], largest), jnp.where(is_larger, k, label)
    return (label == y) & ~jnp.isnan(largest)


def _softmax_exponentials(outputs: Array) -> Array:
    return jnp.exp(outputs - _largest(outputs)[:, None])


def _softmax_losses(outputs: Array, exponentials: Array, y: Array) -> Array:
    of_target = chain(jnp.where(y == k, outputs[:, k], 0) for k in range(outputs.shape[1]))
    total = chain(exponentials[:, k] for k in range(outputs.shape[1]))
    return jnp.log(total) + (_largest(outputs) - of_target)


def _softmax_slopes(outputs: Array, exponentials: Array, y: Array) -> Array:
    total = chain(exponentials[:, k] for k in range(outputs.shape[1]))
    is_target = y[:, None] == jnp.arange(outputs.shape[1])[:, None]
    return exponentials / total[:, None] - is_target


def _margin(outputs: Array, y: Array) -> Array:
    """How far the logit is on the right side."""
    return jnp.where(y > 0, outputs[:, 0], -outputs[:, 0])


def _binary_exponentials(outputs: Array) -> Array:
    return jnp.exp(-jnp.abs(outputs[:, 0]))


def _binary_losses(outputs: Array, exponentials: Array, y: Array) -> Array:
    return jnp.log1p(exponentials) + jnp.maximum(-_margin(outputs, y), 0)


def _binary_slopes(outputs: Array, exponentials: Array, y: Array) -> Array:
    wrong_side = jnp.where(_margin(outputs, y) >= 0, exponentials, 1) / (1 + exponentials)
    return jnp.where(y > 0, -wrong_side, wrong_side)[:, None]


def _stages_of(loss: PerPoint) -> tuple[Callable, Callable, Callable] | None:
    """Exponentials, losses and slopes, where they are written out."""
    if loss is softmax_cross_entropy:
        return _softmax_exponentials, _softmax_losses, _softmax_slopes
    if loss is binary_cross_entropy:
        return _binary_exponentials, _binary_losses, _binary_slopes
    return None
