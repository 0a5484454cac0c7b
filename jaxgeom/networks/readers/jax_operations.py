"""[edge] Primitives of JAX on symbolic tensors, by the names that jaxprs give them.

What only moves numbers (slices, gathers, concatenations) is done by JAX itself to the places of the numbers, and what
depends on constants only is calculated by JAX: there are rules here for the rest.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse

from jaxgeom.networks.readers import operations as ops
from jaxgeom.networks.readers.expressions import (
    MOST_TERMS,
    Values,
    applied,
    broadcast,
    places_of,
    plus,
    rearranged,
    reshaped,
    scaled,
    select,
    summed,
)
from jaxgeom.networks.readers.jax_loops import branched, repeated, scanned
from jaxgeom.networks.readers.jax_programs import Equation
from jaxgeom.networks.readers.jax_reader import SYMBOLIC, Indices, Reader, Step, all_known, tensor_of, together
from jaxgeom.networks.readers.operations import Condition
from jaxgeom.networks.readers.orders import in_order, running_extreme
from jaxgeom.networks.readers.stencils import convolved, max_pooled, spread


def _bound(equation: Equation, *operands: Any) -> Any:
    """What JAX makes of an equation whose operands are places."""
    params = dict(equation.params)
    if "fill_value" in params:
        params["fill_value"] = -1
    arrays = [o if isinstance(o, jax.Array) else jnp.asarray(o) for o in operands]
    found = equation.primitive.bind(*arrays, **params)
    return list(map(np.asarray, found)) if equation.primitive.multiple_results else np.asarray(found)


def _int32(places: np.ndarray) -> np.ndarray:
    return places.astype(np.int32)


def _ints(numbers: Any) -> tuple[int, ...]:
    return tuple(map(int, numbers))


def _filled(values: Values, places: np.ndarray, fill: Any) -> Values:
    if fill is None and (places < 0).any():
        raise ops.NotLinear("its indices are out of range")
    return select(values, places, 0.0 if fill is None else float(fill))


def _moved(reader: Reader, equation: Equation, x: Any, *rest: Any) -> Any:
    all_known(rest, "its indices")
    if isinstance(x, Condition):
        return Condition(_moved(reader, equation, x.values, *rest))
    if isinstance(x, Step):
        return Step(_moved(reader, equation, x.condition, *rest), x.high, x.low)
    if not isinstance(x, Values):
        raise ops.NotLinear("its indices depend on the inputs")
    fill = equation.params.get("fill_value")
    found = _bound(equation, _int32(places_of(x)), *rest)
    return [select(x, places) for places in found] if isinstance(found, list) else _filled(x, found, fill)


def _pad(reader: Reader, equation: Equation, x: Any, fill: Any) -> Values:
    all_known([fill], "the numbers around")
    return _filled(tensor_of(x), _bound(equation, _int32(places_of(x)), np.int32(-1)), np.asarray(fill, np.float64))


def _joined(reader: Reader, equation: Equation, *parts: Any) -> Values:
    whole, places = together([tensor_of(part) for part in parts])
    return select(whole, _bound(equation, *map(_int32, places)))


def _updated(reader: Reader, equation: Equation, x: Any, update: Any, *indices: Any) -> Values:
    all_known(indices, "its indices")
    whole, (first, second) = together([tensor_of(x), tensor_of(update)])
    return select(whole, _bound(equation, _int32(first), _int32(second), *indices))


def _scattered(reader: Reader, equation: Equation, x: Any, indices: Any, update: Any) -> Values:
    all_known([indices], "its indices")
    whole, (first, second) = together([tensor_of(x), tensor_of(update)])
    return select(whole, _bound(equation, _int32(first), indices, _int32(second)))


def _scattered_sum(reader: Reader, equation: Equation, x: Any, indices: Any, update: Any) -> Values:
    all_known([indices, update], "its indices or its updates")
    return ops.add(tensor_of(x), _bound(equation, np.zeros(x.shape), indices, np.asarray(update, np.float64)))


def _scattered_product(reader: Reader, equation: Equation, x: Any, indices: Any, update: Any) -> Values:
    all_known([indices, update], "its indices or its updates")
    return scaled(tensor_of(x), _bound(equation, np.ones(x.shape), indices, np.asarray(update, np.float64)))


def _added(sign: float) -> Callable[..., Any]:
    def added(reader: Reader, equation: Equation, a: Any, b: Any) -> Any:
        if isinstance(a, Step) and np.size(b) == 1 and not isinstance(b, SYMBOLIC):
            return Step(
                a.condition, a.high + sign * float(np.asarray(b).item()), a.low + sign * float(np.asarray(b).item())
            )
        if isinstance(b, Step) and np.size(a) == 1 and not isinstance(a, SYMBOLIC):
            number = float(np.asarray(a).item())
            return Step(b.condition, number + sign * b.high, number + sign * b.low)
        return ops.add(tensor_of(a), tensor_of(b)) if sign > 0 else ops.subtract(tensor_of(a), tensor_of(b))

    return added


def _product(reader: Reader, equation: Equation, a: Any, b: Any) -> Any:
    if isinstance(b, Step):
        a, b = b, a
    if isinstance(a, Step):
        if isinstance(b, Values):
            return _by_condition(reader, a.condition, _times(reader, b, a.high), _times(reader, b, a.low))
        if isinstance(b, Condition | Step) or np.size(b) != 1:
            raise ops.NotLinear("truth values are multiplied")
        number = float(np.asarray(b).item())
        return Step(a.condition, a.high * number, a.low * number)
    a, b = tensor_of(a), tensor_of(b)
    if isinstance(a, Values) and isinstance(b, Values):
        return ops.multiply(a, b)
    return _times(reader, a, b) if isinstance(a, Values) else _times(reader, b, a)


def _times(reader: Reader, values: Values, factor: Any) -> Values:
    return reader.is_multiple(scaled(values, factor), values, factor)


def _divided(reader: Reader, equation: Equation, a: Any, b: Any) -> Values:
    a, b = tensor_of(a), tensor_of(b)
    found = ops.divide(a, b)
    return reader.is_multiple(found, a, 1.0 / b) if isinstance(a, Values) and np.size(b) == 1 else found


def _negated(reader: Reader, equation: Equation, x: Any) -> Any:
    if isinstance(x, Step):
        return Step(x.condition, -x.high, -x.low)
    return _times(reader, tensor_of(x), -1.0)


def _compared(sign: float) -> Callable[..., Any]:
    def compared(reader: Reader, equation: Equation, a: Any, b: Any) -> Condition:
        a, b = tensor_of(a), tensor_of(b)
        values = scaled(ops.subtract(a, b), sign)
        if not isinstance(b, Values) and not b.any():
            return Condition(values, a, sign)
        if not isinstance(a, Values) and not a.any():
            return Condition(values, b, -sign)
        return Condition(values)

    return compared


def _equal(is_equal: bool) -> Callable[..., Any]:
    """Only a tensor and itself, which is how NaN is looked for."""

    def equal(reader: Reader, equation: Equation, a: Any, b: Any) -> Any:
        if a is not b or not isinstance(a, Values):
            raise ops.NotLinear("whether numbers are equal depends on the inputs")
        return np.full(a.shape, is_equal)

    return equal


def _inverted(reader: Reader, equation: Equation, x: Any) -> Condition:
    if not isinstance(x, Condition):
        raise ops.NotLinear("it takes whole numbers")
    return Condition(scaled(x.values, -1.0), x.base, -x.sign)


def _selected(reader: Reader, equation: Equation, which: Any, *cases: Any) -> Values:
    if isinstance(which, Condition):
        return _by_condition(reader, which, tensor_of(cases[1]), tensor_of(cases[0]))
    all_known([which], "its numbers")
    whole, places = together([tensor_of(case) for case in cases])
    return select(whole, np.choose(np.broadcast_to(np.asarray(which, np.int64), places[0].shape), places))


def _by_condition(reader: Reader, condition: Condition, above: Any, below: Any) -> Values:
    """One tensor where a condition is true, another elsewhere. Where both are multiples of what is compared with zero,
    units of one slope."""
    base = condition.base
    if condition.sign < 0:
        above, below = below, above
    if base is not None and base.shape == np.broadcast_shapes(np.shape(_shaped(above)), np.shape(_shaped(below))):
        factors = [_factor(reader, base, part) for part in (above, below)]
        if factors[0] is not None and factors[1] is not None and (factors[0] != 0).all():
            return _times(reader, reader.unit(base, factors[1] / factors[0]), factors[0])
    values = condition.values if condition.sign > 0 else scaled(condition.values, -1.0)
    return ops.chosen(reader.tape, values, above, below, reader.node())


def _shaped(part: Any) -> np.ndarray:
    return np.broadcast_to(0.0, part.shape) if isinstance(part, Values) else np.asarray(part)


def _factor(reader: Reader, base: Values, part: Any) -> np.ndarray | None:
    """The factors that make a tensor of another one, if they are known."""
    if not isinstance(part, Values):
        return None if np.any(part) else np.zeros(())
    root, factor = reader.multiple(part)
    origin, known = reader.multiple(base)
    if root is not origin or not np.all(known):
        return None
    return np.asarray(factor / known)


def _extreme(sign: float) -> Callable[..., Any]:
    """The larger of two tensors (sign 1), or the smaller one (sign -1)."""

    def extreme(reader: Reader, equation: Equation, a: Any, b: Any) -> Values:
        a, b = tensor_of(a), tensor_of(b)
        if not isinstance(a, Values):
            a, b = b, a
        if not isinstance(b, Values):
            return _bounded(reader, a, b, sign)
        roots = reader.multiple(a), reader.multiple(b)
        if roots[0][0] is roots[1][0]:
            above, below = (factor * sign for _, factor in roots)
            if (above < below).all():
                above, below = below, above
            if (above >= below).all() and (above != 0).all():
                return _times(reader, reader.unit(roots[0][0], below / above), sign * above)
        shape = np.broadcast_shapes(a.shape, b.shape)
        return reader.extreme(broadcast(a, shape), broadcast(b, shape), is_largest=sign > 0)

    return extreme


def _bounded(reader: Reader, x: Values, bound: np.ndarray, sign: float) -> Values:
    """Tensors above (sign 1) or below (sign -1) constants."""
    if np.isnan(bound).any() or (sign * bound == np.inf).any():
        raise ops.NotLinear("its bound is infinite or NaN")
    if np.isinf(bound).any():
        if np.isinf(bound).all():
            return broadcast(x, np.broadcast_shapes(x.shape, bound.shape))
        raise ops.NotLinear("only some of its bounds are infinite")
    other = reader.clipped(x, -sign)
    if other is not None and (sign * other[1] >= sign * bound).all():  # clip(z, low, high): both kinks in one layer
        return plus(x, scaled(reader.unit(scaled(ops.subtract(other[0], bound), -sign), 0.0), sign))
    found = ops.add(scaled(reader.unit(scaled(ops.subtract(x, bound), sign), 0.0), sign), bound)
    return reader.is_clipped(found, x, bound, sign)


def _clamped(reader: Reader, equation: Equation, low: Any, x: Any, high: Any) -> Values:
    all_known([low, high], "its bounds")
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if not (low <= high).all():
        raise ops.NotLinear("its bounds are no intervals")
    return _bounded(reader, _bounded(reader, tensor_of(x), low, 1.0), high, -1.0)


def _absolute(reader: Reader, equation: Equation, x: Any) -> Values:
    return reader.unit(tensor_of(x), -1.0)


def _power(reader: Reader, equation: Equation, x: Any) -> Any:
    if equation.params["y"] != 1:
        raise ops.NotLinear(f"it is the power {equation.params['y']}")
    return x


def _converted(reader: Reader, equation: Equation, x: Any) -> Any:
    dtype = equation.params["new_dtype"]
    if isinstance(x, Condition):
        return x if dtype == np.bool_ else Step(x, 1.0, 0.0)
    if isinstance(x, Values) and not jnp.issubdtype(dtype, jnp.floating):
        raise ops.NotLinear(f"it makes numbers of type {np.dtype(dtype).name} of them")
    return x


def _same(reader: Reader, equation: Equation, *operands: Any) -> Any:
    return operands if equation.primitive.multiple_results else operands[0]


def _sum(reader: Reader, equation: Equation, x: Any) -> Values:
    return summed(tensor_of(x), _ints(equation.params["axes"]))


def _largest_along(sign: float) -> Callable[..., Any]:
    def reduced(reader: Reader, equation: Equation, x: Any) -> Values:
        return ops.largest_along(reader.tape, tensor_of(x), _ints(equation.params["axes"]), reader.node(), sign=sign)

    return reduced


def _cumulated(reader: Reader, equation: Equation, x: Any) -> Values:
    return ops.cumulated(tensor_of(x), equation.params["axis"], reverse=equation.params["reverse"])


def _running(sign: float) -> Callable[..., Any]:
    def running(reader: Reader, equation: Equation, x: Any) -> Values:
        axis, reverse = equation.params["axis"], equation.params["reverse"]
        return running_extreme(reader.tape, tensor_of(x), axis, reader.node(), sign=sign, reverse=reverse)

    return running


def _sorted(reader: Reader, equation: Equation, x: Any, *others: Any) -> list[Any]:
    if any(isinstance(other, SYMBOLIC) for other in others):
        raise ops.NotLinear("several tensors that depend on the inputs are sorted at once")
    found = in_order(reader.tape, tensor_of(x), equation.params["dimension"], reader.node())
    return [found, *(Indices() for _ in others)]


def _top(reader: Reader, equation: Equation, x: Any) -> list[Any]:
    x = tensor_of(x)
    axis, num = equation.params.get("axis", len(x.shape) - 1), equation.params["k"]
    return [in_order(reader.tape, x, axis, reader.node(), descending=True, num=num), Indices()]


def _dot(reader: Reader, equation: Equation, a: Any, b: Any) -> Values:
    (left, right), (left_batch, right_batch) = equation.params["dimension_numbers"]
    a, b = tensor_of(a), tensor_of(b)
    if isinstance(a, Values) and isinstance(b, Values):
        raise ops.NotLinear("both factors depend on the inputs")
    if isinstance(a, Values):
        return _contracted(a, b, left, right, left_batch, right_batch)
    found = _contracted(b, a, right, left, right_batch, left_batch)
    ahead, free = len(left_batch), len(b.shape) - len(right_batch) - len(right)  # (batch, of b, of a)
    order = (*range(ahead), *range(ahead + free, len(found.shape)), *range(ahead, ahead + free))
    return rearranged(found, lambda places: places.transpose(order))


def _contracted(x: Values, array: np.ndarray, axes: Any, array_axes: Any, batch: Any, array_batch: Any) -> Values:
    """Sums of products over some axes, the same ones of some others: (batch, others of x, others of the array)."""
    rest = [axis for axis in range(len(x.shape)) if axis not in (*axes, *batch)]
    others = [axis for axis in range(array.ndim) if axis not in (*array_axes, *array_batch)]
    ahead, free = tuple(x.shape[axis] for axis in batch), tuple(x.shape[axis] for axis in rest)
    new = tuple(array.shape[axis] for axis in others)
    num = math.prod(ahead), math.prod(free), math.prod(new), math.prod(x.shape[axis] for axis in axes)
    if math.prod(num) > MOST_TERMS:
        raise ValueError(f"a matrix of {math.prod(num):,} weights is too large; at most {MOST_TERMS:,} are read.")
    places = places_of(x).transpose(*batch, *rest, *axes).reshape(num[0], num[1], 1, num[3])
    weights = array.transpose(*array_batch, *others, *array_axes).reshape(num[0], 1, num[2], num[3])
    weights = np.broadcast_to(weights, num)
    is_there = weights != 0
    ends = np.concatenate([[0], np.cumsum(is_there.reshape(-1, num[3]).sum(axis=1))])
    matrix = scipy.sparse.csr_array(
        (weights[is_there], np.broadcast_to(places, num)[is_there], ends), shape=(math.prod(num[:3]), len(x.const))
    )
    return applied(matrix, x, (*ahead, *free, *new))


def _convolution(reader: Reader, equation: Equation, x: Any, weight: Any) -> Values:
    params = equation.params
    x = tensor_of(x)
    if isinstance(weight, SYMBOLIC):
        raise ops.NotLinear("its weights depend on the inputs")
    if params["batch_group_count"] != 1:
        raise ops.NotLinear("it has groups of points (batch_group_count)")
    numbers = params["dimension_numbers"]
    spread_out = spread(rearranged(x, lambda places: places.transpose(numbers.lhs_spec)), _ints(params["lhs_dilation"]))
    found = convolved(
        spread_out,
        np.asarray(weight, np.float64).transpose(numbers.rhs_spec),
        strides=_ints(params["window_strides"]),
        pads=[(int(low), int(high)) for low, high in params["padding"]],
        dilations=_ints(params["rhs_dilation"]),
        groups=int(params["feature_group_count"]),
    )
    channels = numbers.out_spec[1]
    reader.tape.channel_axis = channels - len(x.shape)
    return rearranged(found, lambda places: places.transpose(np.argsort(numbers.out_spec)))


def _window(equation: Equation) -> tuple[Any, ...]:
    params = equation.params
    pads = [(int(low), int(high)) for low, high in params["padding"]]
    lengths, strides, dilations, apart = (
        _ints(params[name]) for name in ("window_dimensions", "window_strides", "window_dilation", "base_dilation")
    )
    return lengths, strides, pads, dilations, apart


def _window_sum(reader: Reader, equation: Equation, x: Any) -> Values:
    lengths, strides, pads, dilations, apart = _window(equation)
    x = spread(tensor_of(x), apart)
    found = convolved(
        reshaped(x, (1, 1, *x.shape)), np.ones((1, 1, *lengths)), strides=strides, pads=pads, dilations=dilations
    )
    return reshaped(found, found.shape[2:])


def _window_extreme(sign: float) -> Callable[..., Any]:
    def pooled(reader: Reader, equation: Equation, x: Any) -> Values:
        lengths, strides, pads, dilations, apart = _window(equation)
        if any(step != 1 for step in apart):
            raise ops.NotLinear("it puts numbers between those of the tensor (base_dilation)")
        x = tensor_of(x) if sign > 0 else scaled(tensor_of(x), -1.0)
        name = reader.node()
        found = max_pooled(reader.tape, x, lengths, strides=strides, pads=pads, dilations=dilations, name=name)
        return found if sign > 0 else scaled(found, -1.0)

    return pooled


PRIMITIVES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(
        ("transpose", "reshape", "squeeze", "expand_dims", "slice", "dynamic_slice", "gather", "rev", "split"), _moved
    ),
    **dict.fromkeys(("broadcast_in_dim", "broadcast_to", "tile", "unstack"), _moved),
    "pad": _pad,
    **dict.fromkeys(("concatenate", "stack"), _joined),
    "dynamic_update_slice": _updated,
    "scatter": _scattered,
    **dict.fromkeys(("scatter-add", "scatter-sub"), _scattered_sum),
    "scatter-mul": _scattered_product,
    **dict.fromkeys(("add", "add_any"), _added(1.0)),
    "sub": _added(-1.0),
    "mul": _product,
    "div": _divided,
    "neg": _negated,
    "abs": _absolute,
    "integer_pow": _power,
    "max": _extreme(1.0),
    "min": _extreme(-1.0),
    "clamp": _clamped,
    **dict.fromkeys(("gt", "ge"), _compared(1.0)),
    **dict.fromkeys(("lt", "le"), _compared(-1.0)),
    "eq": _equal(True),
    "ne": _equal(False),
    "is_finite": lambda reader, equation, x: np.ones(tensor_of(x).shape, bool),
    "not": _inverted,
    "select_n": _selected,
    "convert_element_type": _converted,
    **dict.fromkeys(
        (
            *("copy", "copy_p", "stop_gradient", "reduce_precision", "name", "optimization_barrier", "device_put"),
            *("sharding_constraint", "layout_constraint", "pvary", "pcast"),
        ),
        _same,
    ),
    "reduce_sum": _sum,
    "reduce_max": _largest_along(1.0),
    "reduce_min": _largest_along(-1.0),
    "cumsum": _cumulated,
    "cummax": _running(1.0),
    "cummin": _running(-1.0),
    "sort": _sorted,
    "top_k": _top,
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    "reduce_window_sum": _window_sum,
    "reduce_window_max": _window_extreme(1.0),
    "reduce_window_min": _window_extreme(-1.0),
    "scan": scanned,
    "while": repeated,
    "cond": branched,
}
"""What primitives do to symbolic tensors: functions of the reader, the equation and its operands."""
