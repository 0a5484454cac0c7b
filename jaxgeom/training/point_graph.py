"""Losses, accuracies and activations as graphs of single numbers, for one point of one network."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxgeom.data.losses import OF_NUMBERS, OWN, PerPoint
from jaxgeom.networks.models import activation_function
from jaxgeom.training.scalar_graph import LANE, STRIP, Graph, Node, Unsupported
from jaxgeom.training.trace_graph import cell, converted, dtype_of, interpret

SHARE = ("share",)
"""Name of the input that is the share of a point in the mean over its batch."""
WORD = 4
"""Bytes of the integers that the kernel takes."""
PRE_ACTIVATION = ("pre-activation", 0)
"""Name of the input of activations."""


class PointGraph(NamedTuple):
    """A loss or an accuracy of a point, as a function of the inputs ("target", dtype, number, 0) and
    ("output", number, 0)."""

    targets: tuple[Node, ...]
    """The inputs that are the targets of the point, all of one dtype, f or i."""
    outputs: tuple[Node, ...]
    """The inputs that are the outputs of the network, before what follows its last layer."""
    value: Node
    """The loss or the accuracy, a float; with gradients multiplied by the share of the point."""
    gradient: tuple[Node, ...]
    """Derivatives of that by the outputs; empty if they were not asked for."""


def activation_graph(graph: Graph, name: str) -> tuple[Node, Node]:
    """An activation and its derivative, as functions of the input ``PRE_ACTIVATION``.

    Raises:
        Unsupported: for what does not act on single numbers.
    """
    function = activation_function(name)

    def both(z: Array) -> tuple[Array, Array]:
        h, pull_back = jax.vjp(function, z)
        return h, pull_back(jnp.ones_like(h))[0]

    closed = jax.make_jaxpr(both)(jax.ShapeDtypeStruct((), graph.real))
    arguments = [cell(graph.input(PRE_ACTIVATION, STRIP))]
    h, slope = interpret(graph, closed.jaxpr, closed.consts, arguments, is_alike=False)
    return h[()], slope[()]


def where_finite(graph: Graph, value: Node) -> Node:
    """A cheaper node of a graph of operations that is finite at the same points as a given one, such as a loss.

    Of ``max(z, 0) + log1p(exp(-|z|))``, it is the first part: the second is between 0 and 1, or NaN where the first is.
    """
    if value.op == "MUL":
        parts = [part if part.kind < STRIP else where_finite(graph, part) for part in value.args]
        return graph.apply("MUL", *parts)
    if value.op != "ADD":
        return value
    for first, second in (value.args, value.args[::-1]):
        z = first.args[0] if first.op == "MAX" else None
        chain = [second]
        while len(chain[-1].args) == 1:
            chain.append(chain[-1].args[0])
        if z is not None and [node.op for node in chain[:4]] == ["LOG1P", "EXP", "NEG", "ABS"] and z is chain[4]:
            return first
    return value


def point_graph(
    graph: Graph,
    function: PerPoint,
    output: Callable[[Array], Array],
    num_outputs: int,
    y: Any,
    *,
    with_gradient: bool,
) -> PointGraph:
    """The graph of a loss or an accuracy.

    Args:
        graph: where nodes are made.
        function: the loss or the accuracy.
        output: what follows the last layer, as a function of so many numbers.
        num_outputs: outputs of the network.
        y: shape and type of the targets.
        with_gradient: whether the loss is multiplied by the share of its point in the mean, and derivatives of that
            are asked for.

    Raises:
        Unsupported: for what is not the same function of each point.
    """
    is_condition = y.dtype == bool
    if is_condition or jnp.issubdtype(y.dtype, jnp.floating):
        dtype, y_dtype = "i" if is_condition else dtype_of(graph, y.dtype), y.dtype
    elif y.dtype == jnp.int32 or (function in OWN and (function not in OF_NUMBERS or y.dtype.itemsize < WORD)):
        # labels may be as wide as they like
        dtype, y_dtype = "i", np.dtype(np.int32)
    else:
        raise Unsupported(f"targets of type {y.dtype}")
    if dtype == "i" and function not in OWN and jnp.asarray(0).dtype == jnp.int64:
        raise Unsupported("whole numbers that may become wider than 32 bits")
    num_targets = math.prod(y.shape[1:])

    def value(outputs: Array, y: Array) -> Array:
        return function(output(outputs), y)

    def value_and_gradient(outputs: Array, y: Array, share: Array) -> tuple[Array, Array]:
        losses, pull_back = jax.vjp(lambda outputs: value(outputs, y), outputs)
        return losses * share, pull_back(jnp.full_like(losses, share))[0]

    def nodes_of(num_points: int, with_gradient: bool) -> list[Any]:
        outputs = np.empty((num_points, num_outputs), object)
        targets = np.empty((num_points, num_targets), object)
        for p, j in np.ndindex(outputs.shape):
            outputs[p, j] = graph.input(("output", j, p), STRIP)
        for p, j in np.ndindex(targets.shape):
            node = graph.input(("target", dtype, j, p), STRIP, dtype)
            targets[p, j] = converted(graph, node, "b") if is_condition else node
        arrays = [outputs, targets.reshape(num_points, *y.shape[1:])]
        dtypes = [graph.real, y_dtype]
        if with_gradient:
            arrays.append(cell(graph.input(SHARE, LANE)))
            dtypes.append(graph.real)
        shapes = [jax.ShapeDtypeStruct(array.shape, dtype) for array, dtype in zip(arrays, dtypes, strict=True)]
        try:
            closed = jax.make_jaxpr(value_and_gradient if with_gradient else value)(*shapes)
        except Exception as error:  # a function for one number of points only
            raise Unsupported(f"a loss or an accuracy that is not for any number of points ({error})") from error
        return interpret(graph, closed.jaxpr, closed.consts, arrays, is_alike=False)

    # Neither the other points nor their number may matter.
    results = nodes_of(2, with_gradient)
    values = nodes_of(2, False)[0] if with_gradient else results[0]
    if nodes_of(3, False)[0][0] is not values[0]:
        raise Unsupported("a loss or an accuracy of a point that depends on the number of points")
    first, second = ([node for array in results for node in np.atleast_1d(array[p])] for p in (0, 1))
    of_first: dict[int, Node] = {}
    of_second: dict[int, Node] = {}
    for one, other in zip(first, second, strict=True):
        if graph.moved(one, 0, of_first) is not graph.moved(other, 1, of_second):
            raise Unsupported("a loss or an accuracy that treats points differently")

    return PointGraph(
        tuple(graph.input(("target", dtype, j, 0), STRIP, dtype) for j in range(num_targets)),
        tuple(graph.input(("output", j, 0), STRIP) for j in range(num_outputs)),
        converted(graph, results[0][0], "f"),
        tuple(results[1][0]) if with_gradient else (),
    )
