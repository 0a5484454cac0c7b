"""Traces of JAX read as graphs of single numbers (:mod:`jaxgeom.training.scalar_graph`).

An array of a trace becomes a NumPy array of nodes, and every operation on arrays many operations on numbers. Where all
elements of an array are treated alike (parameters, by an optimizer), one node stands for all of them.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgeom.training.scalar_graph import CONSTANT, STRIP, Graph, Node, Unsupported

SELECT_OF_TWO = 3
"""Operands of a ``select_n`` between two values: the condition and these."""

_OPERATIONS = {
    **{"add": "ADD", "add_any": "ADD", "sub": "SUB", "mul": "MUL", "div": "DIV", "max": "MAX", "min": "MIN"},
    **{"neg": "NEG", "abs": "ABS", "sqrt": "SQRT", "exp": "EXP", "expm1": "EXPM1", "log": "LOG", "log1p": "LOG1P"},
    **{"tanh": "TANH", "logistic": "LOGISTIC", "sin": "SIN", "cos": "COS", "erf": "ERF", "sign": "SIGN"},
    **{"eq": "EQ", "ne": "NE", "lt": "LT", "le": "LE", "gt": "GT", "ge": "GE", "and": "AND", "or": "OR", "not": "NOT"},
    **{"is_finite": "FINITE", "floor": "FLOOR", "rem": "REM", "square": "SQUARE", "pow": "POW"},
}
"""Operations of JAX on single numbers, and their names here."""
_COPIES = {"copy", "copy_p", "stop_gradient", "optimization_barrier", "reshard", "sharding_constraint"}
_CALLS = {"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint"}
_REDUCTIONS = {"reduce_sum": "ADD", "reduce_max": "MAX", "reduce_min": "MIN", "reduce_or": "OR", "reduce_and": "AND"}
_SCALARS_ONLY = {"broadcast_in_dim", "reshape", "squeeze", "expand_dims"}


def dtype_of(graph: Graph, dtype: Any) -> str:
    """f, i or b for the dtypes that a graph knows: floats as wide as its own, or narrower.

    Raises:
        Unsupported: for others.
    """
    dtype = np.dtype(dtype)
    if dtype in (np.float32, graph.real):
        return "f"
    if dtype == np.bool_:
        return "b"
    if dtype in (np.int32, np.int64):  # narrower ones wrap around
        return "i"
    raise Unsupported(f"numbers of type {dtype}")


def cell(node: Node) -> np.ndarray:
    """An array without axes that holds a node."""
    array = np.empty((), object)
    array[()] = node
    return array


def interpret(
    graph: Graph, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[np.ndarray], *, is_alike: bool
) -> list[Any]:
    """The results of a trace as arrays of nodes.

    Args:
        graph: where nodes are made.
        jaxpr: the trace.
        constants: values of its constants, arrays or arrays of nodes.
        arguments: arrays of nodes; without axes where one node stands for all elements of an array.
        is_alike: whether one node stands for all elements of every array.

    Raises:
        Unsupported: for operations that are unknown, or would mix elements that one node stands for.
    """

    def array_of(value: Any) -> np.ndarray:
        if isinstance(value, np.ndarray) and value.dtype == object:
            return value
        if isinstance(value, jax.core.Tracer):
            raise Unsupported("a traced value")
        if jnp.issubdtype(getattr(value, "dtype", np.float32), jax.dtypes.prng_key):
            raise Unsupported("random numbers")
        numbers = np.asarray(value)
        dtype = dtype_of(graph, numbers.dtype)
        if is_alike and numbers.ndim:
            if numbers.size == 0 or not (numbers == numbers.flat[0]).all():
                raise Unsupported("an array of different constants")
            numbers = np.asarray(numbers.flat[0])
        nodes = np.empty(numbers.shape, object)
        for index in np.ndindex(numbers.shape):
            nodes[index] = graph.constant(numbers[index], dtype)
        return nodes

    def read(variable: Any) -> np.ndarray:
        return array_of(np.asarray(variable.val, variable.aval.dtype)) if hasattr(variable, "val") else known[variable]

    known: dict[Any, np.ndarray] = dict(zip(jaxpr.constvars, map(array_of, constants), strict=True))
    known.update(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        arrays = [read(variable) for variable in equation.invars]
        results = _results(graph, equation, arrays, is_alike)
        if graph.real != np.float32:
            results = [_rounded(graph, *each) for each in zip(equation.outvars, results, strict=True)]
        known.update(zip(equation.outvars, results, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _rounded(graph: Graph, variable: Any, array: np.ndarray) -> np.ndarray:
    """Results that are float32 numbers among float64 ones: what is rounded to float64 and then to float32, a sum, say,
    is as if it had been rounded once."""
    if variable.aval.dtype != np.float32:
        return array
    return _each(functools.partial(graph.apply, "SINGLE"), array)


def _results(graph: Graph, equation: Any, arrays: list[np.ndarray], is_alike: bool) -> Sequence[np.ndarray]:
    """The results of one operation on arrays."""
    name, params = equation.primitive.name, equation.params
    inner = next((params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in params), None)
    if name in _CALLS and inner is not None:
        return interpret(graph, getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), arrays, is_alike=is_alike)
    if name in _OPERATIONS:
        return [_each(functools.partial(graph.apply, _OPERATIONS[name]), *arrays)]
    if name in _COPIES:
        return arrays
    if name == "cond":
        return _chosen(graph, equation, arrays, is_alike)
    one = _elementwise(graph, name, equation)
    if one is not None:
        return [_each(one, *arrays)]
    if is_alike:
        if name in _SCALARS_ONLY and (equation.invars[0].aval.shape == () or arrays[0].item().kind < STRIP):
            return arrays
        if name == "reduce_sum" and equation.outvars[0].aval.shape == ():
            return [cell(graph.total(arrays[0].item()))]
        raise Unsupported(f"the operation {name} on parameters")
    if name in _MOVES:
        return [_MOVES[name](equation, *arrays)]
    if name == "iota":
        return [_constants(graph, np.indices(params["shape"], params["dtype"])[params["dimension"]])]
    if name in _REDUCTIONS:
        return [_folded(functools.partial(graph.apply, _REDUCTIONS[name]), arrays[0], params["axes"])]
    if name == "argmax":
        return [_argmax(graph, arrays[0], params["axes"])]
    if name == "gather":
        return [_gather(graph, equation, *arrays)]
    if name == "scatter-add":
        return [_scatter_add(graph, equation, *arrays)]
    if name == "unstack":
        return list(np.moveaxis(arrays[0], _axis(equation), 0))
    if name == "split":
        return np.split(arrays[0], np.cumsum(params["sizes"])[:-1], params["axis"])
    raise Unsupported(f"the operation {name}")


def _elementwise(graph: Graph, name: str, equation: Any) -> Callable[..., Node] | None:
    """What an operation does to single numbers, if it is not one of the machine's own."""
    apply, params = graph.apply, equation.params
    if name == "convert_element_type":
        dtype = dtype_of(graph, equation.outvars[0].aval.dtype)
        return lambda x: converted(graph, x, dtype)
    if name == "integer_pow":
        return lambda x: _power(graph, x, params["y"])
    if name == "rsqrt":
        return lambda x: apply("DIV", graph.constant(1, "f"), apply("SQRT", x))
    if name == "one_minus_square":  # in derivatives of tanh, from JAX 0.12 on
        return lambda x: apply("SUB", graph.constant(1, "f"), apply("SQUARE", x))
    if name == "exp2":
        return lambda x: apply("POW", graph.constant(2, "f"), x)
    if name == "select_n" and len(equation.invars) == SELECT_OF_TWO and equation.invars[0].aval.dtype == bool:
        return lambda mask, no, yes: apply("SELECT", mask, yes, no)
    if name == "select_n" and equation.invars[0].aval.dtype != bool:

        def chosen(index: Node, *cases: Node) -> Node:
            result = cases[-1]
            for number, case in reversed(list(enumerate(cases[:-1]))):
                result = apply("SELECT", apply("EQ", index, graph.constant(number, "i")), case, result)
            return result

        return chosen
    if name == "clamp":
        return lambda low, x, high: apply("MIN", apply("MAX", x, low), high)
    return None


def converted(graph: Graph, x: Node, dtype: str) -> Node:
    """A number as one of another type."""
    if x.dtype == dtype:
        return x
    if x.dtype == "b":
        return graph.apply("SELECT", x, graph.constant(1, dtype), graph.constant(0, dtype))
    if dtype == "b":
        return graph.apply("NE", x, graph.constant(0, x.dtype))
    return graph.apply("CVT" if dtype == "f" else "CVT_I", x)


def _power(graph: Graph, x: Node, exponent: int) -> Node:
    if exponent < 0:
        return graph.apply("DIV", graph.constant(1, x.dtype), _power(graph, x, -exponent))
    result = graph.constant(1, x.dtype)
    while exponent:
        if exponent & 1:
            result = graph.apply("MUL", result, x)
        exponent >>= 1
        x = graph.apply("SQUARE", x) if exponent else x
    return result


def _each(function: Callable[..., Node], *arrays: np.ndarray) -> np.ndarray:
    same = np.broadcast_arrays(*arrays)
    result = np.empty(same[0].shape, object)
    for index in np.ndindex(result.shape):
        result[index] = function(*[array[index] for array in same])
    return result


def _constants(graph: Graph, numbers: np.ndarray) -> np.ndarray:
    dtype = dtype_of(graph, numbers.dtype)
    return _each(lambda value: graph.constant(value, dtype), numbers.astype(object))


def _folded(function: Callable[[Node, Node], Node], array: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    rows = np.moveaxis(array, axes, range(len(axes)))
    rows = rows.reshape(-1, *rows.shape[len(axes) :])
    return functools.reduce(lambda a, b: _each(function, a, b), [np.asarray(rows[i, ...]) for i in range(len(rows))])


def _argmax(graph: Graph, array: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """The place of the first of the largest numbers; NaN is larger than all others."""
    apply = graph.apply
    rows = np.moveaxis(array, axes[0], 0)
    largest, place = np.asarray(rows[0, ...]), _constants(graph, np.zeros(rows.shape[1:], np.int32))
    for number in range(1, len(rows)):
        own = np.asarray(rows[number, ...])

        def is_larger(x: Node, y: Node) -> Node:
            only_x_is_nan = apply("AND", apply("NE", x, x), apply("EQ", y, y))
            return apply("OR", apply("GT", x, y), only_x_is_nan)

        mask = _each(is_larger, own, largest)
        largest = _each(functools.partial(apply, "SELECT"), mask, own, largest)
        this = _constants(graph, np.full(place.shape, number, np.int32))
        place = _each(functools.partial(apply, "SELECT"), mask, this, place)
    return place


def _chosen(graph: Graph, equation: Any, arrays: list[np.ndarray], is_alike: bool) -> list[np.ndarray]:
    """The results of the branch that a number chooses; all branches are computed, unless the number is known."""
    index, *operands = arrays
    number = index.item()
    branches = [
        interpret(graph, branch.jaxpr, branch.consts, operands, is_alike=is_alike)
        for branch in equation.params["branches"]
    ]
    results = branches[-1]
    for place, branch in reversed(list(enumerate(branches[:-1]))):
        is_this = graph.apply("NOT", number) if number.dtype == "b" else None
        if is_this is None:  # numbers below zero choose the first
            is_this = graph.apply("LE" if place == 0 else "EQ", number, graph.constant(place, "i"))
        select = functools.partial(graph.apply, "SELECT", is_this)
        results = [_each(select, yes, no) for yes, no in zip(branch, results, strict=True)]
    return results


class _Place(NamedTuple):
    """A number of an operand that is chosen by an index, if a condition holds (None: always)."""

    condition: Node | None
    place: tuple[int, ...]


def _places(
    graph: Graph, fixed: dict[int, int], starts: dict[int, Any], window: dict[int, int], largest: dict[int, int]
) -> list[_Place]:
    """Where an index may point, along axes: fixed places, starts that are numbers, and offsets from these."""
    places = [_Place(None, ())]
    for axis in sorted({*fixed, *starts, *window}):
        offset = fixed.get(axis, 0) + window.get(axis, 0)
        longer = []
        for condition, index in places:
            if axis not in starts:
                longer.append(_Place(condition, (*index, offset)))
                continue
            for start in range(largest[axis] + 1):
                own = graph.apply("EQ", starts[axis], graph.constant(start, "i"))
                if own.kind == CONSTANT:
                    if own.value:
                        longer.append(_Place(condition, (*index, start + offset)))
                    continue
                both = own if condition is None else graph.apply("AND", condition, own)
                longer.append(_Place(both, (*index, start + offset)))
        places = longer
    return places


def _gather(graph: Graph, equation: Any, operand: Any, indices: Any) -> np.ndarray:
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    if not str(equation.params["mode"]).endswith(("FILL_OR_DROP", "PROMISE_IN_BOUNDS")):
        raise Unsupported("indices that are clipped")
    nothing = graph.constant(
        *((np.nan, "f") if jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.floating) else (0, "i"))
    )
    result = np.empty(equation.outvars[0].aval.shape, object)
    batch_axes = [axis for axis in range(result.ndim) if axis not in numbers.offset_dims]
    hidden = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    window_axes = [axis for axis in range(operand.ndim) if axis not in hidden]
    largest = {axis: operand.shape[axis] - sizes[axis] for axis in range(operand.ndim)}
    for out in np.ndindex(result.shape):
        batch = tuple(out[axis] for axis in batch_axes)
        pairs = zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True)
        fixed = dict.fromkeys(numbers.collapsed_slice_dims, 0) | {axis: batch[own] for axis, own in pairs}
        starts = {axis: indices[(*batch, k)] for k, axis in enumerate(numbers.start_index_map)}
        window = {axis: out[own] for axis, own in zip(window_axes, numbers.offset_dims, strict=True)}
        value = nothing
        for condition, place in _places(graph, fixed, starts, window, largest):
            own: Any = operand[place]
            value = own if condition is None else graph.apply("SELECT", condition, own, value)
        result[out] = value
    return result


def _scatter_add(graph: Graph, equation: Any, operand: np.ndarray, indices: Any, updates: Any) -> np.ndarray:
    numbers = equation.params["dimension_numbers"]
    if str(equation.params["mode"]).endswith("CLIP"):
        raise Unsupported("indices that are clipped")
    result: np.ndarray = operand.copy()
    zero = graph.constant(0, "f")
    batch_axes = [axis for axis in range(updates.ndim) if axis not in numbers.update_window_dims]
    hidden = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    window_axes = [axis for axis in range(operand.ndim) if axis not in hidden]
    largest = {axis: operand.shape[axis] - 1 for axis in range(operand.ndim)}
    for axis, own in zip(window_axes, numbers.update_window_dims, strict=True):
        largest[axis] = operand.shape[axis] - updates.shape[own]
    for out in np.ndindex(updates.shape):
        batch = tuple(out[axis] for axis in batch_axes)
        pairs = zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True)
        fixed = dict.fromkeys(numbers.inserted_window_dims, 0) | {axis: batch[own] for axis, own in pairs}
        starts = {axis: indices[(*batch, k)] for k, axis in enumerate(numbers.scatter_dims_to_operand_dims)}
        window = {axis: out[own] for axis, own in zip(window_axes, numbers.update_window_dims, strict=True)}
        for condition, index in _places(graph, fixed, starts, window, largest):
            own = updates[out] if condition is None else graph.apply("SELECT", condition, updates[out], zero)
            result[index] = graph.apply("ADD", result[index], own)
    return result


def _broadcast(equation: Any, array: np.ndarray) -> np.ndarray:
    shape, dimensions = equation.params["shape"], equation.params["broadcast_dimensions"]
    sizes = [1] * len(shape)
    for axis, dimension in enumerate(dimensions):
        sizes[dimension] = array.shape[axis]
    return np.broadcast_to(array.reshape(sizes), shape)


def _padded(array: np.ndarray, value: Node, config: Sequence[Any]) -> np.ndarray:
    """An array with edges of a value; where their width is negative, without its own edges."""
    for axis, (low, high, between) in enumerate(config):
        if between:
            raise Unsupported("values between those of an array")
        numbers = range(max(0, -low), array.shape[axis] - max(0, -high))
        array = np.take(array, numbers, axis)
        edges = []
        for width in (low, high):
            edge = np.empty((*array.shape[:axis], max(0, width), *array.shape[axis + 1 :]), object)
            edge[...] = value
            edges.append(edge)
        array = np.concatenate([edges[0], array, edges[1]], axis)
    return array


def _axis(equation: Any) -> int:
    number: int = next(equation.params[name] for name in ("axis", "dimension") if name in equation.params)
    return number


def _slice(equation: Any, array: np.ndarray) -> np.ndarray:
    params = equation.params
    steps = params["strides"] or [1] * array.ndim
    return array[tuple(map(slice, params["start_indices"], params["limit_indices"], steps))]


_MOVES: dict[str, Callable[..., np.ndarray]] = {
    "broadcast_in_dim": _broadcast,
    "slice": _slice,
    "reshape": lambda equation, array: array.reshape(equation.outvars[0].aval.shape),
    "squeeze": lambda equation, array: array.reshape(equation.outvars[0].aval.shape),
    "expand_dims": lambda equation, array: array.reshape(equation.outvars[0].aval.shape),
    "transpose": lambda equation, array: np.transpose(array, equation.params["permutation"]),
    "rev": lambda equation, array: np.flip(array, equation.params["dimensions"]),
    "pad": lambda equation, array, value: _padded(array, value.item(), equation.params["padding_config"]),
    "stack": lambda equation, *arrays: np.stack(
        arrays, equation.params.get("axis", equation.params.get("dimension", 0))
    ),
    "concatenate": lambda equation, *arrays: np.concatenate(arrays, equation.params["dimension"]),
}
"""Operations that move numbers about."""
