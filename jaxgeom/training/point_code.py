"""Losses, accuracies and activations as programs for the vector machine of the compiled engine."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxgeom.data.losses import OWN, PerPoint
from jaxgeom.engine.library import Machine
from jaxgeom.networks.models import activation_function
from jaxgeom.training import vector_code
from jaxgeom.training.scalar_graph import LANE, STRIP, Graph, Node, Unsupported
from jaxgeom.training.trace_graph import cell, converted, dtype_of, interpret
from jaxgeom.training.vector_code import Code, Scalars

SHARE = ("share",)
"""Name of the input that is the share of a point in the mean over its batch."""


def activation_code(graph: Graph, machine: Machine, scalars: Scalars, name: str) -> tuple[Code, int]:
    """The program of an activation, and how many temporaries it needs: array 0 holds pre-activations and gets the
    activations, array 1 gets their derivatives.

    Raises:
        Unsupported: for what does not act on single numbers.
    """
    function = activation_function(name)

    def both(z: Array) -> tuple[Array, Array]:
        h, pull_back = jax.vjp(function, z)
        return h, pull_back(jnp.ones_like(h))[0]

    closed = jax.make_jaxpr(both)(jax.ShapeDtypeStruct((), jnp.float32))
    z = ("pre-activation", 0)
    h, slope = interpret(graph, closed.jaxpr, closed.consts, [cell(graph.input(z, STRIP))], is_alike=False)
    return vector_code.strip_code(machine, scalars, [z, None], [(h[()], 0), (slope[()], 1)])


def per_point_code(
    graph: Graph,
    machine: Machine,
    scalars: Scalars,
    function: PerPoint,
    output: Callable[[Array], Array],
    num_outputs: int,
    y: Any,
    *,
    with_gradient: bool,
) -> tuple[Code, int]:
    """The program of a loss or an accuracy, and how many temporaries it needs. The arrays are its values, the targets,
    and the outputs.

    Args:
        graph: the operations of the trace.
        machine: the program under construction.
        scalars: constants and settings that the program reads.
        function: the loss or the accuracy.
        output: what follows the last layer, as a function of so many numbers.
        num_outputs: outputs of the network.
        y: shape and type of the targets.
        with_gradient: whether the loss is multiplied by the share of its point in the mean, and the gradient of that
            comes in place of the outputs.

    Raises:
        Unsupported: for what is not the same function of each point.
    """
    is_condition = y.dtype == bool
    if is_condition or jnp.issubdtype(y.dtype, jnp.floating):
        dtype, y_dtype = "i" if is_condition else dtype_of(y.dtype), y.dtype
    elif y.dtype == jnp.int32 or function in OWN:  # those do not mind how wide labels are
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
        dtypes = [jnp.float32, y_dtype]
        if with_gradient:
            arrays.append(cell(graph.input(SHARE, LANE)))
            dtypes.append(jnp.float32)
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

    inputs: list[tuple[Any, ...] | None] = [None]
    inputs += [("target", dtype, j, 0) for j in range(num_targets)] + [("output", j, 0) for j in range(num_outputs)]
    to = [(converted(graph, results[0][0], "f"), 0)]
    if with_gradient:
        to += [(results[1][0, j], 1 + num_targets + j) for j in range(num_outputs)]
    return vector_code.strip_code(machine, scalars, inputs, to)
