"""Populations of MLPs with the networks in the lanes: the last axis of every array counts networks.

A step of a small network is some thousand multiply-adds, far too few for a matrix library. With the networks along
the last axis every operation is elementwise over networks and fills the processor's vectors, whatever the widths.
The forward and the backward pass are therefore written out as sums of products, for blocks of points that stay in
cache.

Each ``once`` (:mod:`jaxgeom.training.fences`) is a loop of its own, and a whole run is one kernel
(:mod:`jaxgeom.training.cpu_kernel`). What is written here therefore avoids sums of arrays and products of matrices,
which that cannot hold.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Num

from jaxgeom._typing import Params, PyTree
from jaxgeom.networks.layers import named_layers
from jaxgeom.networks.models import activation_function, maxout
from jaxgeom.training.fences import Once, chain, once_while
from jaxgeom.training.lane_losses import PerPoint, losses_and_cotangent, losses_in_lanes
from jaxgeom.training.loop import Engine, StepFunctions

BLOCK = 32
"""Points that are worked on at once."""
CACHED_POINTS = 8
"""Points whose outer products are added up at once."""
MAX_TERMS = 32
"""Sums over all parameters of more terms are not written out, which would take a second to compile."""

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
    update: Callable[..., tuple[Params, PyTree]],
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
        splits = [train] if test is None else [train, test]
        results = [(*means, None, None)[:2] for means in means_of(once, layers, functions, splits)]
        return (*results, (None, None))[:2]

    def update_once(is_training: Array, *arguments: PyTree) -> tuple[Params, PyTree]:
        *given, _ = arguments  # without the batch, which optimizers that evaluate the loss would want
        return once_while(is_training)(lambda *given: update(*given, None), *given)

    return Engine(
        StepFunctions(of_batch, update_once, lambda p, is_training: all_finite(once_while(is_training), p), choose),
        shuffle,
        batch,
        evaluate,
        jax.vmap(keep, in_axes=-1, out_axes=-1),
    )


def forward(once: Once, layers: Sequence[Layer], x: Float[Array, "points in #lanes"]) -> list[tuple[Array, Array]]:
    """Pre-activations (only where their slopes need them) and activations after each layer, (points, width, lanes)."""
    states = []
    for kernel, bias, name in layers:
        function = _activation(name)
        if name in _SLOPES:
            x = once(lambda *arrays, f=function: f(_affine(*arrays)), x, kernel, bias)
            states.append((x, x))
        else:
            z = once(_affine, x, kernel, bias)
            x = once(function, z)
            states.append((z, x))
    return states


def backward(
    once: Once,
    layers: Sequence[Layer],
    x: Float[Array, "points in #lanes"],
    states: Sequence[tuple[Array, Array]],
    cotangent: Float[Array, "points out lanes"],
    totals: Sequence[tuple[Array, Array | None]],
) -> list[tuple[Array, Array | None]]:
    """Gradients of the kernels and biases, given those of the outputs, added to ``totals``."""
    if layers[-1].activation != "linear":
        cotangent = once(partial(_through, layers[-1].activation), cotangent, *states[-1])
    gradients = []
    for index in reversed(range(len(layers))):
        kernel, bias, _ = layers[index]
        before = states[index - 1][1] if index else x
        of_kernel, of_bias = totals[index]
        of_kernel = _add_outer(once, of_kernel, before, cotangent)
        gradients.append((of_kernel, None if bias is None else once(_add_points, of_bias, cotangent)))
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
    kernel_dtype = layers[0].kernel.dtype

    def add(totals: tuple, block: Points) -> tuple[tuple, None]:
        total, gradients = totals
        states = forward(once, layers, block.x)
        shares = share if block.weight is None else (block.weight * share)[:, None]
        losses, cotangent = losses_and_cotangent(once, loss, states[-1][1], block.y, shares)
        gradients = backward(once, layers, block.x, states, cotangent, gradients)
        return (once(_add_points, total, losses.astype(kernel_dtype)), gradients), None

    if num_points <= 2 * BLOCK:
        nothing = jnp.float32(0)
        return add((nothing, [(nothing, nothing)] * len(layers)), points)[0]
    zeros = [(jnp.zeros_like(kernel), None if bias is None else jnp.zeros_like(bias)) for kernel, bias, _ in layers]
    return lax.scan(add, (jnp.zeros_like(layers[0].kernel[0, 0]), zeros), _in_blocks(points))[0]


def means_of(
    once: Once, layers: Sequence[Layer], functions: Sequence[PerPoint], splits: Sequence[Points]
) -> list[list[Float[Array, " lanes"]]]:
    """Means over all points of each split of functions of outputs and targets, such as losses and accuracies."""
    blocks = [_in_blocks(points) for points in splits]
    number = jnp.asarray(np.repeat(np.arange(len(splits)), [block.x.shape[0] for block in blocks]))
    lanes = max(points.x.shape[-1] for points in splits), max(points.y.shape[-1] for points in splits)
    nothing = jnp.zeros_like(layers[0].kernel[0, 0])

    def wide(block: Points) -> Points:
        x, y, weight = block
        return Points(
            jnp.broadcast_to(x, (*x.shape[:-1], lanes[0])), jnp.broadcast_to(y, (*y.shape[:-1], lanes[1])), weight
        )

    def add(totals: list[Array], given: tuple[Points, Array]) -> tuple[list[Array], None]:
        block, number = given
        outputs = forward(once, layers, block.x)[-1][1]
        values = [losses_in_lanes(once, function, outputs, block.y) for function in functions]
        is_own = lax.expand_dims(jnp.arange(len(splits)) == number, (1,))
        return [once(add_weighted, *each, block.weight, is_own) for each in zip(totals, values, strict=True)], None

    def add_weighted(totals: Array, values: Array, weight: Array, is_own: Array) -> Array:
        return jnp.where(
            is_own, _add_points(totals, lax.expand_dims((values * weight[:, None]).astype(totals.dtype), (1,))), totals
        )

    together = jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *map(wide, blocks))
    zeros = [jnp.stack([nothing] * len(splits))] * len(functions)
    totals, _ = lax.scan(add, zeros, (together, number))
    return [[total[split] / points.x.shape[0] for total in totals] for split, points in enumerate(splits)]


def all_finite(once: Once, params: Params) -> Bool[Array, " lanes"]:
    """Whether the parameters of each network are finite: then zero times them adds up to zero."""

    def total(leaf: Float[Array, "*shape lanes"]) -> Float[Array, " lanes"]:
        rows = leaf.reshape(-1, leaf.shape[-1])
        while rows.shape[0] > MAX_TERMS:
            rows = once(_folded, rows)
        return chain(_unit(rows, k, 0) * 0 for k in range(rows.shape[0]))

    return once(lambda leaves: chain(map(total, leaves)) == 0, jax.tree.leaves(params))


def _folded(rows: Float[Array, "rows lanes"]) -> Float[Array, "fewer lanes"]:
    """Zero times the rows, added up to fewer rows."""
    num = -(-rows.shape[0] // MAX_TERMS)
    starts = [min(start, rows.shape[0] - num) for start in range(0, rows.shape[0], num)]
    return chain(rows[start : start + num] * 0 for start in starts)


def choose(is_taken: Bool[Array, " lanes"], new: PyTree, old: PyTree) -> PyTree:
    """The new arrays of some networks, and the old ones of the others.

    On CPUs, a loop of one turn, or of none where all are new, as they nearly always are.
    """
    if jax.default_backend() != "cpu":
        return jax.tree.map(partial(jnp.where, is_taken), new, old)

    def turn(carry: tuple[Array, PyTree]) -> tuple[Array, PyTree]:
        return jnp.bool_(False), jax.tree.map(partial(jnp.where, is_taken), carry[1], old)

    return lax.while_loop(lambda carry: carry[0], turn, (~jnp.all(is_taken), new))[1]


def rows_of(array: Num[Array, "points *out #lanes"], rows: Int[Array, "rows *lanes"]) -> Num[Array, "rows *out lanes"]:
    """Some rows: the same for all networks (rows,), or for each its own (rows, lanes)."""
    if rows.ndim == 1:
        return array[rows]
    if array.shape[-1] > 1:
        index = rows.reshape(rows.shape[0], *[1] * (array.ndim - 2), rows.shape[1])
        return jnp.take_along_axis(array, index, axis=0, mode="promise_in_bounds")
    num = math.prod(array.shape[1:])
    places = lax.expand_dims(rows, (1,)) * num + np.arange(num, dtype=np.int32)[:, None]
    # Unsigned places: signed ones could count from the end.
    numbers = array.reshape(-1).at[places.astype(jnp.uint32)].get(mode="promise_in_bounds")
    return numbers.reshape(rows.shape[0], *array.shape[1:-1], rows.shape[1])


def _in_blocks(points: Points) -> Points:
    """The points in blocks, with weights; the last block is filled up with its last point, of weight zero."""
    num_points = points.x.shape[0]
    weight = jnp.ones(num_points, jnp.float32) if points.weight is None else points.weight
    missing = -num_points % BLOCK

    def blocks(array: Array, mode: str) -> Array:
        array = jnp.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1), mode=mode)
        return array.reshape(-1, BLOCK, *array.shape[1:])

    return Points(blocks(points.x, "edge"), blocks(points.y, "edge"), blocks(weight, "constant"))


def _affine(x: Array, kernel: Array, bias: Array | None) -> Array:
    product = chain(_row(x, k, 1) * _unit(kernel, k, 0) for k in range(kernel.shape[0]))
    return product if bias is None else product + bias


def _transposed(cotangent: Array, kernel: Array) -> Array:
    return chain(_row(cotangent, k, 1) * _unit(kernel, k, 1) for k in range(kernel.shape[1]))


def _add_outer(once: Once, total: Array, before: Array, cotangent: Array) -> Array:
    """Sums over the points of products, for a few points at once: their rows stay in the innermost cache."""
    for start in range(0, cotangent.shape[0], CACHED_POINTS):

        def add(total: Array, before: Array, cotangent: Array, start: int = start) -> Array:
            points = range(start, min(start + CACHED_POINTS, cotangent.shape[0]))
            return total + chain(lax.expand_dims(_unit(before, b, 0), (1,)) * _row(cotangent, b, 0) for b in points)

        total = once(add, total, before, cotangent)
    return total


def _add_points(total: Array, values: Array) -> Array:
    return total + chain(_unit(values, b, 0) for b in range(values.shape[0]))


def _through(activation: str, cotangent: Array, z: Array, h: Array) -> Array:
    """From the gradient in an activation to that in its pre-activation."""
    if activation == "linear":
        return cotangent
    if activation in _SLOPES:
        return cotangent * _SLOPES[activation](h)
    return jax.vjp(_activation(activation), z)[1](cotangent)[0]


def _activation(name: str) -> Callable[[Array], Array]:
    """The activation of pre-activations (points, width, lanes)."""
    return partial(maxout, axis=1) if name == "maxout" else activation_function(name)


# Indexing by hand, which is traced ten times faster than brackets.
_row = partial(lax.index_in_dim, keepdims=True)
_unit = partial(lax.index_in_dim, keepdims=False)
