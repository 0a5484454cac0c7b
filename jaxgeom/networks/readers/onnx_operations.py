"""[edge] ONNX's operations on symbolic tensors, in all versions: attributes that became inputs are found in both."""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from jaxgeom._typing import MATRIX
from jaxgeom.networks.readers import operations as ops
from jaxgeom.networks.readers.expressions import (
    Tape,
    Values,
    broadcast,
    clipped,
    concatenated,
    maximum,
    minimum,
    places_of,
    reshaped,
    scaled,
    select,
    summed,
    unit,
)
from jaxgeom.networks.readers.orders import in_order
from jaxgeom.networks.readers.stencils import (
    average_pooled,
    ceil_pads,
    convolved,
    max_pooled,
    padded,
    per_channel,
    transposed_convolved,
)

NO_LIMIT = float(np.finfo(np.float32).max)
"""What exporters write for a bound that is none."""

_ALPHA_OF_HARD_SIGMOID, _SLOPE_OF_LEAKY_RELU, _EPSILON = map(float, np.array([0.2, 0.01, 1e-5], np.float32))
_AXES_AHEAD = 2
"""Axes before the places: batch and channels."""


class Node(NamedTuple):
    """What operations know of the node that they stand for."""

    name: str
    """In messages, and for units."""
    operation: str
    """Of ONNX."""
    version: int
    """Of ONNX's operations."""
    attributes: dict[str, Any]
    """By name; missing ones have ONNX's defaults."""
    on_arrays: Callable[[Sequence[np.ndarray | None]], list[Any]]
    """What the node does to arrays."""


def _whole(value: Any, what: str) -> list[int]:
    """A constant list of whole numbers."""
    array = np.atleast_1d(np.asarray(ops.numbers_of(value, what) if isinstance(value, Values) else value))
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{what} are no list of whole numbers")
    return [int(each) for each in array]


def _list(node: Node, name: str, num: int, otherwise: int) -> list[int]:
    """An attribute with a whole number for each of the axes of places."""
    found = _whole(node.attributes.get(name, [otherwise] * num), name)
    if len(found) != num:
        raise ValueError(f"{name} has {len(found)} numbers where {num} are needed")
    return found


def _axes(node: Node, x: Values, given: Any = None) -> list[int]:
    """The axes that a node names, as an attribute or an input; all without any."""
    named = node.attributes.get("axes") if given is None else given
    axes = [] if named is None else _whole(named, "axes")
    if any(not -len(x.shape) <= axis < len(x.shape) for axis in axes):
        raise ValueError(f"it has no axes {axes}")
    axes = sorted({axis % len(x.shape) for axis in axes})
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        return []
    return axes or list(range(len(x.shape)))


def _pads(node: Node, x: Values, spans: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """What is added on both sides of each axis of places."""
    num, how = len(spans), node.attributes.get("auto_pad", "NOTSET") or "NOTSET"
    if how == "NOTSET":
        pads = _list(node, "pads", 2 * num, 0)
        if min(pads, default=0) < 0:
            raise ValueError(f"pads are negative: {pads}")
        return list(zip(pads[:num], pads[num:], strict=True))
    if how == "VALID":
        return [(0, 0)] * num
    if how not in ("SAME_UPPER", "SAME_LOWER"):
        raise ValueError(f"auto_pad is {how!r}")
    if min(strides) < 1:
        raise ValueError(f"strides are {strides}")
    total = [
        max((-(-n // stride) - 1) * stride + span - n, 0)
        for n, stride, span in zip(x.shape[_AXES_AHEAD:], strides, spans, strict=True)
    ]
    return [_halves(each, is_less_ahead=how == "SAME_UPPER") for each in total]


def _halves(total: int, *, is_less_ahead: bool) -> tuple[int, int]:
    half = total // 2
    return (half, total - half) if is_less_ahead else (total - half, half)


def _spans(lengths: Sequence[int], dilations: Sequence[int]) -> list[int]:
    return [(length - 1) * dilation + 1 for length, dilation in zip(lengths, dilations, strict=True)]


def _weights(node: Node, x: Any, weight: Any, bias: Any) -> tuple[np.ndarray, np.ndarray | None]:
    kernel = ops.numbers_of(weight, "its weights")
    if kernel.ndim <= _AXES_AHEAD or len(x.shape) != kernel.ndim:
        raise ValueError(f"weights of shape {kernel.shape} do not go with a tensor of shape {x.shape}")
    if _list(node, "kernel_shape", kernel.ndim - _AXES_AHEAD, -1) not in (
        list(kernel.shape[_AXES_AHEAD:]),
        [-1] * (kernel.ndim - _AXES_AHEAD),
    ):
        raise ValueError(f"kernel_shape is not that of the weights, {kernel.shape}")
    return kernel, None if bias is None else ops.numbers_of(bias, "its bias")


def _convolution(tape: Tape, node: Node, x: Any, weight: Any, bias: Any = None) -> Values:
    x = ops.lifted(x)
    kernel, offset = _weights(node, x, weight, bias)
    num = kernel.ndim - _AXES_AHEAD
    strides, dilations = _list(node, "strides", num, 1), _list(node, "dilations", num, 1)
    pads = _pads(node, x, _spans(kernel.shape[_AXES_AHEAD:], dilations), strides)
    groups = int(node.attributes.get("group", 1))
    return convolved(x, kernel, offset, strides=strides, pads=pads, dilations=dilations, groups=groups)


def _transposed(tape: Tape, node: Node, x: Any, weight: Any, bias: Any = None) -> Values:
    x = ops.lifted(x)
    kernel, offset = _weights(node, x, weight, bias)
    num = kernel.ndim - _AXES_AHEAD
    strides, dilations = _list(node, "strides", num, 1), _list(node, "dilations", num, 1)
    more = _list(node, "output_padding", num, 0)
    spans = _spans(kernel.shape[_AXES_AHEAD:], dilations)
    how = node.attributes.get("auto_pad", "NOTSET")
    lengths = node.attributes.get("output_shape")
    if lengths is None and how in ("SAME_UPPER", "SAME_LOWER"):
        lengths = [n * stride for n, stride in zip(x.shape[_AXES_AHEAD:], strides, strict=True)]
    if lengths is None:
        pads = _pads(node, x, spans, strides)
    else:
        total = [
            stride * (n - 1) + extra + span - length
            for n, stride, extra, span, length in zip(
                x.shape[_AXES_AHEAD:], strides, more, spans, _whole(lengths, "output_shape"), strict=True
            )
        ]
        pads = [_halves(each, is_less_ahead=how == "SAME_UPPER") for each in total]
    return transposed_convolved(
        x,
        kernel,
        offset,
        strides=strides,
        pads=pads,
        dilations=dilations,
        groups=int(node.attributes.get("group", 1)),
        output_pads=more,
    )


def _window(node: Node, x: Values) -> tuple[list[int], list[int], list[int], Any]:
    """Lengths, strides, dilations and padding of pooling."""
    num = len(x.shape) - _AXES_AHEAD
    if num < 1 or "kernel_shape" not in node.attributes:
        raise ValueError(f"a tensor of shape {x.shape} has no places to pool")
    lengths = _list(node, "kernel_shape", num, 1)
    strides, dilations = _list(node, "strides", num, 1), _list(node, "dilations", num, 1)
    if min(*lengths, *strides, *dilations) < 1:
        raise ValueError("its window has no size")
    pads = _pads(node, x, _spans(lengths, dilations), strides)
    return lengths, strides, dilations, pads


def _max_pool(tape: Tape, node: Node, x: Values) -> tuple[Values, None]:
    lengths, strides, dilations, pads = _window(node, x)
    if node.attributes.get("ceil_mode", 0):
        pads = ceil_pads(x.shape[_AXES_AHEAD:], lengths, strides, pads, dilations)
    return max_pooled(tape, x, lengths, strides=strides, pads=pads, dilations=dilations, name=node.name), None


def _average_pool(tape: Tape, node: Node, x: Values) -> Values:
    lengths, strides, dilations, pads = _window(node, x)
    counts = pads if node.attributes.get("count_include_pad", 0) else [(0, 0)] * len(lengths)
    if node.attributes.get("ceil_mode", 0):
        pads = ceil_pads(x.shape[_AXES_AHEAD:], lengths, strides, pads, dilations)
    return average_pooled(x, lengths, strides=strides, pads=pads, counts_pads=counts, dilations=dilations)


def _batch_norm(tape: Tape, node: Node, x: Values, *rest: Any) -> tuple[Any, ...]:
    is_test = node.attributes.get("is_test", 1)
    if node.attributes.get("training_mode", 0) or not is_test:
        raise ops.NotLinear("it normalises by the statistics of the batch")
    if not node.attributes.get("spatial", 1):
        raise ops.NotLinear("it normalises each place by itself")
    weight, bias, mean, variance = (ops.numbers_of(each, "what it normalises by") for each in rest)
    epsilon = float(node.attributes.get("epsilon", _EPSILON))
    return (ops.normalised(x, mean, variance, weight, bias, epsilon, 1), *[None] * 4)


def _turned(x: Any) -> Any:
    return ops.swapped(x) if isinstance(x, Values) else np.asarray(x).T


def _gemm(tape: Tape, node: Node, a: Any, b: Any, c: Any = None) -> Values:
    if len(a.shape) != MATRIX or len(b.shape) != MATRIX:
        raise ValueError(f"tensors of shapes {tuple(a.shape)} and {tuple(b.shape)} are no matrices")
    a = _turned(a) if node.attributes.get("transA", 0) else a
    b = _turned(b) if node.attributes.get("transB", 0) else b
    found = ops.matmul(a, b)
    alpha, beta = float(node.attributes.get("alpha", 1.0)), float(node.attributes.get("beta", 1.0))
    found = found if alpha == 1 else scaled(found, alpha)
    return found if c is None else ops.add(found, scaled(ops.lifted(c), beta))


def _prelu(tape: Tape, node: Node, x: Values, slope: Any) -> Values:
    slopes = ops.numbers_of(slope, "its slope")
    if node.version < 7 and slopes.ndim == 1 and slopes.size > 1:  # noqa: PLR2004  one a channel, before NumPy's rules
        slopes = per_channel(slopes, len(x.shape))[0]
    return unit(tape, x, slopes, node.name)


def _clip(tape: Tape, node: Node, x: Values, low: Any = None, high: Any = None) -> Values:
    bounds = []
    for given, name, none in ((low, "min", -math.inf), (high, "max", math.inf)):
        named = node.attributes.get(name)
        array = np.ravel(none if given is None and named is None else ops.numbers_of(named if given is None else given))
        if array.size != 1:
            raise ValueError(f"{name} is not one number")
        bounds.append(none if abs(float(array[0])) >= NO_LIMIT else float(array[0]))
    return clipped(tape, x, bounds[0], bounds[1], node.name)


def _hard_sigmoid(tape: Tape, node: Node, x: Values) -> Values:
    alpha, beta = float(node.attributes.get("alpha", _ALPHA_OF_HARD_SIGMOID)), float(node.attributes.get("beta", 0.5))
    return clipped(tape, ops.add(scaled(x, alpha), beta), 0.0, 1.0, node.name)


def _thresholded(tape: Tape, node: Node, x: Values) -> Values:
    if float(node.attributes.get("alpha", 1.0)) != 0:
        raise ops.NotLinear("it jumps at its threshold, which is not zero")
    return unit(tape, x, 0.0, node.name)


def _shrink(tape: Tape, node: Node, x: Values) -> Values:
    width, bias = float(node.attributes.get("lambd", 0.5)), float(node.attributes.get("bias", 0.0))
    if bias != width or width < 0:
        raise ops.NotLinear("it jumps where it becomes zero")
    return ops.subtract(x, clipped(tape, x, -width, width, node.name))


def _multiply(tape: Tape, node: Node, a: Any, b: Any) -> Values:
    if isinstance(b, ops.Condition):
        a, b = b, a
    if isinstance(a, ops.Condition):
        return ops.chosen(tape, a.values, b, 0.0, node.name)
    return ops.multiply(a, b)


def _extreme(pair: Callable[..., Values]) -> Callable[..., Values]:
    def found(tape: Tape, node: Node, *parts: Any) -> Values:
        return reduce(lambda a, b: pair(tape, a, b, node.name), map(ops.lifted, parts))

    return found


def _total(tape: Tape, node: Node, *parts: Any) -> Values:
    return reduce(ops.add, parts, ops.lifted(0.0))


def _reduced_sum(tape: Tape, node: Node, x: Values, axes: Any = None) -> Values:
    return summed(x, _axes(node, x, axes), keepdims=bool(node.attributes.get("keepdims", 1)))


def _reduced_mean(tape: Tape, node: Node, x: Values, axes: Any = None) -> Values:
    return ops.mean(x, _axes(node, x, axes), keepdims=bool(node.attributes.get("keepdims", 1)))


def _reduced_sizes(tape: Tape, node: Node, x: Values, axes: Any = None) -> Values:
    return _reduced_sum(tape, node, unit(tape, x, -1.0, node.name), axes)


def _reduced_extreme(sign: float) -> Callable[..., Values]:
    def found(tape: Tape, node: Node, x: Values, axes: Any = None) -> Values:
        keepdims = bool(node.attributes.get("keepdims", 1))
        return ops.largest_along(tape, x, _axes(node, x, axes), node.name, sign=sign, keepdims=keepdims)

    return found


def _cumulated(tape: Tape, node: Node, x: Values, axis: Any) -> Values:
    options = node.attributes
    reverse, is_exclusive = bool(options.get("reverse", 0)), bool(options.get("exclusive", 0))
    return ops.cumulated(x, _axes(node, x, axis)[0], reverse=reverse, is_exclusive=is_exclusive)


def _top(tape: Tape, node: Node, x: Values, num: Any = None) -> tuple[Values, None]:
    (count,) = _whole(node.attributes["k"] if num is None else num, "k")
    (axis,) = _axes(node, x, node.attributes.get("axis", -1))
    return in_order(tape, x, axis, node.name, descending=bool(node.attributes.get("largest", 1)), num=count), None


def _global(reduced: Callable[..., Values]) -> Callable[..., Values]:
    def found(tape: Tape, node: Node, x: Values) -> Values:
        return reduced(tape, node, x, np.arange(_AXES_AHEAD, len(x.shape)))

    return found


def _concat(tape: Tape, node: Node, *parts: Any) -> Values:
    return concatenated([ops.lifted(part) for part in parts], int(node.attributes["axis"]))


def _compared(sign: float) -> Callable[..., ops.Condition]:
    def compared(tape: Tape, node: Node, a: Any, b: Any) -> ops.Condition:
        return ops.Condition(scaled(ops.subtract(a, b), sign))

    return compared


def _where(tape: Tape, node: Node, condition: Any, above: Any, below: Any) -> Values:
    if isinstance(condition, ops.Condition):
        return ops.chosen(tape, condition.values, above, below, node.name)
    if isinstance(condition, Values):
        raise ops.NotLinear("its condition is no comparison")
    mask = np.asarray(condition, bool)
    above, below = ops.lifted(above), ops.lifted(below)
    shape = np.broadcast_shapes(mask.shape, above.shape, below.shape)
    above, below = broadcast(above, shape), broadcast(below, shape)
    both = concatenated([reshaped(above, [-1]), reshaped(below, [-1])], 0)
    places = places_of(above)
    return select(both, np.where(mask, places, places + places.size))


def _cast(tape: Tape, node: Node, x: Any, like: Any = None) -> Any:
    import onnx

    if like is None:
        kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(int(node.attributes["to"])))
        if kind.kind in "iub":
            raise ops.NotLinear(f"it rounds to {kind}")
    elif not isinstance(like, Values) and np.asarray(like).dtype.kind in "iub":
        raise ops.NotLinear("it rounds to whole numbers")
    return x


def _dropout(tape: Tape, node: Node, x: Values, *options: Any) -> tuple[Values, None]:
    is_training = options[1] if len(options) > 1 and options[1] is not None else 0
    is_test = node.attributes.get("is_test", 1)
    if np.any(ops.numbers_of(is_training)) or not is_test:
        raise ops.NotLinear("it leaves out units at random")
    return x, None


def _moved(tape: Tape, node: Node, x: Any, *options: Any) -> Any:
    """What only moves numbers, done to their places."""
    options_ = [None if each is None else np.asarray(each) for each in options]
    if any(isinstance(each, Values | ops.Condition) for each in options):
        raise ops.NotLinear("where its numbers come from depends on the inputs")
    values = x.values if isinstance(x, ops.Condition) else ops.lifted(x)
    found = [select(values, np.asarray(each)) for each in node.on_arrays([places_of(values), *options_])]
    if isinstance(x, ops.Condition):
        return tuple(map(ops.Condition, found))
    return tuple(found)


_PADDING = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


def _pad(tape: Tape, node: Node, x: Values, pads: Any = None, fill: Any = None, axes: Any = None) -> Values:
    named = node.attributes.get("pads", node.attributes.get("paddings"))
    numbers = _whole(named if pads is None else pads, "pads")
    number = np.ravel(node.attributes.get("value", 0.0) if fill is None else ops.numbers_of(fill))
    named_axes = list(range(len(x.shape))) if axes is None else _whole(axes, "axes")
    half = len(named_axes)
    if len(numbers) != 2 * half or number.size != 1:
        raise ValueError(f"it has {len(numbers)} pads for {half} axes")
    pairs = [(0, 0)] * len(x.shape)
    for axis, before, behind in zip(named_axes, numbers[:half], numbers[half:], strict=True):
        pairs[axis] = (before, behind)
    return padded(x, pairs, _PADDING[node.attributes.get("mode", "constant")], float(number[0]))


def _resize(tape: Tape, node: Node, x: Values, *options: Any) -> Values:
    attributes = node.attributes
    if attributes.get("mode", "nearest") != "nearest":
        raise ops.NotLinear(f"its mode is {attributes['mode']}, and only the nearest number is taken")
    if attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        raise ops.NotLinear("it crops and resizes at once")
    known = [None if each is None else np.asarray(each) for each in options]
    found = node.on_arrays([places_of(x).astype(np.float64), *known])[0]
    return select(x, np.rint(found).astype(np.int64))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global(_reduced_mean),
    "GlobalMaxPool": _global(_reduced_extreme(1.0)),
    "BatchNormalization": _batch_norm,
    "Gemm": _gemm,
    "MatMul": lambda tape, node, a, b: ops.matmul(a, b),
    "Relu": lambda tape, node, x: unit(tape, x, 0.0, node.name),
    "LeakyRelu": lambda tape, node, x: unit(
        tape, x, float(node.attributes.get("alpha", _SLOPE_OF_LEAKY_RELU)), node.name
    ),
    "PRelu": _prelu,
    "Abs": lambda tape, node, x: unit(tape, x, -1.0, node.name),
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "ThresholdedRelu": _thresholded,
    "Shrink": _shrink,
    "Add": lambda tape, node, a, b: ops.add(a, b),
    "Sub": lambda tape, node, a, b: ops.subtract(a, b),
    "Mul": _multiply,
    "Div": lambda tape, node, a, b: ops.divide(a, b),
    "Neg": lambda tape, node, x: scaled(x, -1.0),
    "Sum": _total,
    "Mean": lambda tape, node, *parts: ops.divide(_total(tape, node, *parts), float(len(parts))),
    "Max": _extreme(maximum),
    "Min": _extreme(minimum),
    "ReduceSum": _reduced_sum,
    "ReduceMean": _reduced_mean,
    "ReduceMax": _reduced_extreme(1.0),
    "ReduceMin": _reduced_extreme(-1.0),
    "ReduceL1": _reduced_sizes,
    "CumSum": _cumulated,
    "TopK": _top,
    "Concat": _concat,
    **dict.fromkeys(("Greater", "GreaterOrEqual"), _compared(1.0)),
    **dict.fromkeys(("Less", "LessOrEqual"), _compared(-1.0)),
    "Not": lambda tape, node, x: ops.Condition(scaled(x.values, -1.0)),
    "Where": _where,
    **dict.fromkeys(("Cast", "CastLike"), _cast),
    "Dropout": _dropout,
    "Shape": lambda tape, node, x: np.asarray(
        x.shape[node.attributes.get("start", 0) : node.attributes.get("end")], np.int64
    ),
    "Size": lambda tape, node, x: np.asarray(math.prod(x.shape), np.int64),
    "Pad": _pad,
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(
        (
            "DepthToSpace",
            "Expand",
            "Flatten",
            "Gather",
            "GatherElements",
            "GatherND",
            "Identity",
            "Reshape",
            "ReverseSequence",
            "Slice",
            "SpaceToDepth",
            "Split",
            "Squeeze",
            "Tile",
            "Transpose",
            "Unsqueeze",
        ),
        _moved,
    ),
}
"""What operations of ONNX do to symbolic tensors: functions of the tape, the node and its inputs."""
