"""Populations of MLPs with the networks in the lanes: the last axis of every array counts networks.

A step of a small network is some thousand multiply-adds, far too few for a matrix library. With the networks along
the last axis every operation is elementwise over networks and fills the processor's vectors, whatever the widths.
The forward and the backward pass are therefore written out as sums of products, for blocks of points that stay in
cache.

XLA's CPU compiler would compute every intermediate result anew in each of its consumers. What is to be computed once
is put into a branch of a conditional on whether any network is still being trained, which the compiler cannot see
through; that also skips the work once all networks have stopped. Accelerators need no such fence.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Num

from jaxgeom._typing import Params, PyTree
from jaxgeom.layers import named_layers
from jaxgeom.loop import Engine, StepFunctions
from jaxgeom.losses import softmax_cross_entropy
from jaxgeom.models import ACTIVATIONS

BLOCK = 32
"""Points that are worked on at once."""
CACHED_POINTS = 8
"""Points whose outer products are added up at once."""
MAX_TERMS = 128
"""Sums of more terms are not written out."""

Once: TypeAlias = Callable[..., Any]
"""``once(function, *arrays)`` is ``function(*arrays)``, computed once and kept for all who need it."""

PerPoint: TypeAlias = Callable[[Array, Array], Array]
"""A loss or an accuracy: from outputs (points, out) and targets to numbers (points,)."""

# Derivatives of activations by their values; those of the others are taken at the pre-activations.
_SLOPES: dict[str, Callable[[Array], Array]] = {
    "linear": jnp.ones_like,
    "relu": lambda h: (h > 0).astype(h.dtype),
    "tanh": lambda h: (1 + h) * (1 - h),
    "sigmoid": lambda h: h * (1 - h),
}


class Layer(NamedTuple):
    """An affine layer of every network, and the activation that follows."""

    kernel: Float[Array, "in out lanes"]
    bias: Float[Array, "out lanes"] | None
    activation: str


class Points(NamedTuple):
    """Points, targets and weights. Of what all networks share, the last axis has length 1."""

    x: Float[Array, "points in #lanes"]
    y: Num[Array, "points *out #lanes"]
    weight: Float[Array, " points"] | None = None


def lanes_engine(
    params: Params,
    *,
    loss: PerPoint,
    accuracy: PerPoint | None,
    update: Callable[[Params, PyTree, Params], tuple[Params, PyTree]],
    shuffle: Callable[[Array], PyTree],
    rows: Callable[[PyTree, Array], Array],
    keep: Callable[[Params], PyTree],
    train: Points,
    test: Points | None,
) -> Engine:
    """The engine of a population of networks that :func:`jaxgeom.mlp` made.

    Args:
        params: of the population, networks last; only their names and shapes matter.
        loss, accuracy, keep: for one network.
        update: for the population, networks last.
        shuffle, rows: the order of an epoch, and the rows (points,) or (points, lanes) at some positions of it.
        train, test: the splits.
    """
    names = [(name, activation) for name, activation, _ in named_layers(params)]

    def layers_of(params: Params) -> list[Layer]:
        return [Layer(params[name]["kernel"], params[name].get("bias"), activation) for name, activation in names]

    def of_batch(params: Params, x: Array, y: Array, weight: Array | None, is_training: Array) -> tuple[Array, Params]:
        once = once_while(is_training)
        value, gradients = loss_and_gradient(once, layers_of(params), loss, Points(x, y, weight))
        named = {}
        for (name, _), (kernel, bias) in zip(names, gradients, strict=True):
            named[name] = {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias}
        return value, named

    def batch(order: PyTree, positions: Array | None, is_training: Array) -> tuple[Array, Array]:
        if positions is None:
            return train.x, train.y
        once = once_while(is_training)
        at = once(rows, order, positions)
        return once(lambda at, *arrays: tuple(rows_of(array, at) for array in arrays), at, train.x, train.y)

    def evaluate(params: Params, is_training: Array) -> tuple[tuple[Array | None, ...], ...]:
        once, layers = once_while(is_training), layers_of(params)
        functions = [loss] if accuracy is None else [loss, accuracy]
        results: list[tuple[Array | None, ...]] = []
        for split in (train, test):
            means = [] if split is None else means_of(once, layers, functions, split)
            results.append((*means, None, None)[:2])
        return tuple(results)

    def update_once(is_training: Array, *arguments: PyTree) -> tuple[Params, PyTree]:
        return once_while(is_training)(update, *arguments)

    return Engine(
        StepFunctions(of_batch, update_once, lambda params, is_training: once_while(is_training)(all_finite, params)),
        shuffle,
        batch,
        evaluate,
        jax.vmap(keep, in_axes=-1, out_axes=-1),
    )


def once_while(is_training: Bool[Array, ""]) -> Once:
    """How to compute something once, while ``is_training``; afterwards the results are zeros."""
    if jax.default_backend() != "cpu":
        return lambda function, *arrays: function(*arrays)

    def once(function: Callable, *arrays: PyTree) -> PyTree:
        shapes = jax.eval_shape(function, *arrays)
        zeros = lambda *_: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)  # noqa: E731
        return lax.cond(is_training, function, zeros, *arrays)

    return once


def forward(once: Once, layers: Sequence[Layer], x: Float[Array, "points in #lanes"]) -> list[tuple[Array, Array]]:
    """Pre-activations (only where their slopes need them) and activations after each layer, (points, width, lanes)."""
    states = []
    for kernel, bias, name in layers:
        if name in _SLOPES:
            x = once(lambda *arrays, f=ACTIVATIONS[name]: f(_affine(*arrays)), x, kernel, bias)
            states.append((x, x))
        else:
            z = once(_affine, x, kernel, bias)
            x = once(ACTIVATIONS[name], z)
            states.append((z, x))
    return states


def backward(
    once: Once,
    layers: Sequence[Layer],
    x: Float[Array, "points in #lanes"],
    states: Sequence[tuple[Array, Array]],
    cotangent: Float[Array, "points out lanes"],
) -> list[tuple[Array, Array | None]]:
    """Gradients of the kernels and biases, given those of the outputs."""
    if layers[-1].activation != "linear":
        cotangent = once(partial(_through, layers[-1].activation), cotangent, *states[-1])
    gradients = []
    for index in reversed(range(len(layers))):
        kernel, bias, _ = layers[index]
        before = states[index - 1][1] if index else x
        of_kernel = _outer(once, before, cotangent)
        gradients.append((of_kernel, None if bias is None else once(_sum_points, cotangent)))
        if index:
            through = partial(_through, layers[index - 1].activation)
            cotangent = once(
                lambda d, w, z, h, f=through: f(_transposed(d, w), z, h), cotangent, kernel, *states[index - 1]
            )
    return gradients[::-1]


def loss_and_gradient(
    once: Once, layers: Sequence[Layer], loss: PerPoint, points: Points
) -> tuple[Float[Array, " lanes"], list[tuple[Array, Array | None]]]:
    """Weighted mean of the loss, and its gradient in kernels and biases."""
    num_points = points.x.shape[0]
    total = jnp.float32(num_points) if points.weight is None else jnp.sum(points.weight)
    share = 1 / jnp.where(total > 0, total, 1)

    def of_block(block: Points) -> tuple[Array, list]:
        states = forward(once, layers, block.x)
        value, cotangent = _loss_and_cotangent(once, loss, states[-1][1], block, share)
        return value, backward(once, layers, block.x, states, cotangent)

    if num_points <= 2 * BLOCK:
        return of_block(points)

    def add(totals: tuple, block: Points) -> tuple[tuple, None]:
        return once(lambda *both: jax.tree.map(jnp.add, *both), totals, of_block(block)), None

    blocks = _in_blocks(points)
    shapes = jax.eval_shape(of_block, jax.tree.map(lambda leaf: leaf[0], blocks))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return lax.scan(add, zeros, blocks)[0]


def means_of(
    once: Once, layers: Sequence[Layer], functions: Sequence[PerPoint], points: Points
) -> list[Float[Array, " lanes"]]:
    """Means over all points of functions of outputs and targets, such as losses and accuracies."""
    lanes = layers[0].kernel.shape[-1]

    def add(totals: list[Array], block: Points) -> tuple[list[Array], None]:
        outputs = forward(once, layers, block.x)[-1][1]

        def total(function: PerPoint, *arrays: Array) -> Array:
            outputs, y, weight = arrays
            return jnp.sum(_for_each_lane(function, y)(outputs) * weight[:, None], axis=0, dtype=jnp.float32)

        values = [once(partial(total, function), outputs, block.y, block.weight) for function in functions]
        return [total + value for total, value in zip(totals, values, strict=True)], None

    totals, _ = lax.scan(add, [jnp.zeros(lanes, jnp.float32)] * len(functions), _in_blocks(points))
    return [total / points.x.shape[0] for total in totals]


def all_finite(params: Params) -> Bool[Array, " lanes"]:
    """Whether the parameters of each network are finite: then zero times them adds up to zero."""

    def total(leaf: Float[Array, "*shape lanes"]) -> Float[Array, " lanes"]:
        rows = leaf.reshape(-1, leaf.shape[-1]) * 0
        while rows.shape[0] > MAX_TERMS:
            rows = jnp.pad(rows, ((0, -rows.shape[0] % BLOCK), (0, 0))).reshape(BLOCK, -1, rows.shape[1]).sum(axis=0)
        return _chain(rows[k] for k in range(rows.shape[0]))

    return _chain(total(leaf) for leaf in jax.tree.leaves(params)) == 0


def rows_of(array: Num[Array, "points *out #lanes"], rows: Int[Array, "rows *lanes"]) -> Num[Array, "rows *out lanes"]:
    """Some rows: the same for all networks (rows,), or for each its own (rows, lanes)."""
    if rows.ndim == 1:
        return array[rows]
    if array.shape[-1] > 1:
        index = rows.reshape(rows.shape[0], *[1] * (array.ndim - 2), rows.shape[1])
        return jnp.take_along_axis(array, index, axis=0, mode="promise_in_bounds")
    columns = array.reshape(array.shape[0], -1)
    gathered = [columns[:, k].at[rows].get(mode="promise_in_bounds") for k in range(columns.shape[1])]
    return jnp.stack(gathered, axis=1).reshape(rows.shape[0], *array.shape[1:-1], rows.shape[1])


def _in_blocks(points: Points) -> Points:
    """The points in blocks, with weights; the last block is filled up with its last point, of weight zero."""
    num_points = points.x.shape[0]
    weight = jnp.ones(num_points, jnp.float32) if points.weight is None else points.weight
    missing = -num_points % BLOCK

    def blocks(array: Array, mode: str) -> Array:
        array = jnp.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1), mode=mode)
        return array.reshape(-1, BLOCK, *array.shape[1:])

    return Points(blocks(points.x, "edge"), blocks(points.y, "edge"), blocks(weight, "constant"))


def _for_each_lane(function: PerPoint, y: Array) -> Callable[[Array], Array]:
    """The function over lanes: outputs (points, out, lanes) to numbers (points, lanes)."""
    if y.shape[-1] == 1:
        return jax.vmap(lambda outputs: function(outputs, y[..., 0]), in_axes=-1, out_axes=-1)
    return lambda outputs: jax.vmap(function, in_axes=-1, out_axes=-1)(outputs, y)


def _loss_and_cotangent(
    once: Once, loss: PerPoint, outputs: Array, points: Points, share: Array
) -> tuple[Float[Array, " lanes"], Float[Array, "points out lanes"]]:
    """Sum of the losses of a block of points, each weighted with its share, and its gradient in the outputs."""
    shares = share if points.weight is None else (points.weight * share)[:, None]
    if loss is softmax_cross_entropy:
        # Exponentials are dear, and both the loss and its gradient need them.
        exponentials = once(_exponentials, outputs)
        values = once(_softmax_losses, outputs, exponentials, points.y, shares)
        cotangent = once(_softmax_cotangent, exponentials, points.y, shares)
    else:

        def both(outputs: Array, y: Array, shares: Array) -> tuple[Array, Array]:
            values, pull_back = jax.vjp(_for_each_lane(loss, y), outputs)
            shares = jnp.broadcast_to(shares, values.shape).astype(values.dtype)
            return values * shares, pull_back(shares)[0]

        values, cotangent = once(both, outputs, points.y, shares)
    return once(_sum_points, values), cotangent


def _exponentials(outputs: Array) -> Array:
    return jnp.exp(outputs - _largest(outputs)[:, None])


def _softmax_losses(outputs: Array, exponentials: Array, y: Array, shares: Array) -> Array:
    classes = range(outputs.shape[1])
    total = _chain(exponentials[:, k] for k in classes)
    of_target = _chain(jnp.where(y == k, outputs[:, k], 0) for k in classes)
    return (jnp.log(total) + _largest(outputs) - of_target) * shares


def _softmax_cotangent(exponentials: Array, y: Array, shares: Array) -> Array:
    total = _chain(exponentials[:, k] for k in range(exponentials.shape[1]))
    is_target = y[:, None] == np.arange(exponentials.shape[1])[:, None]
    return (exponentials / total[:, None] - is_target) * (shares if shares.ndim == 0 else shares[:, None])


def _largest(outputs: Array) -> Array:
    return reduce(jnp.maximum, (outputs[:, k] for k in range(outputs.shape[1])))


def _affine(x: Array, kernel: Array, bias: Array | None) -> Array:
    product = _chain(x[:, k, None] * kernel[k] for k in range(kernel.shape[0]))
    return product if bias is None else product + bias


def _transposed(cotangent: Array, kernel: Array) -> Array:
    return _chain(cotangent[:, k, None] * kernel[:, k] for k in range(kernel.shape[1]))


def _outer(once: Once, before: Array, cotangent: Array) -> Array:
    """Sums over the points of products, for a few points at once: their rows stay in the innermost cache."""

    def products(before: Array, cotangent: Array) -> Array:
        return _chain(before[b, :, None] * cotangent[b, None] for b in range(cotangent.shape[0]))

    first, *rest = (slice(start, start + CACHED_POINTS) for start in range(0, cotangent.shape[0], CACHED_POINTS))
    total = once(lambda h, d: products(h[first], d[first]), before, cotangent)
    for few in rest:
        total = once(lambda total, h, d, few=few: total + products(h[few], d[few]), total, before, cotangent)
    return total


def _sum_points(cotangent: Array) -> Array:
    return _chain(cotangent[b] for b in range(cotangent.shape[0]))


def _through(activation: str, cotangent: Array, z: Array, h: Array) -> Array:
    """From the gradient in an activation to that in its pre-activation."""
    if activation == "linear":
        return cotangent
    if activation in _SLOPES:
        return cotangent * _SLOPES[activation](h)
    return jax.vjp(ACTIVATIONS[activation], z)[1](cotangent)[0]


def _chain(terms: Iterable[Array]) -> Array:
    """A sum, written out, which the compiler turns into multiply-adds without a loop."""
    return reduce(jnp.add, terms)
