"""[edge] Nodes of ONNX graphs on arrays: onnx's own reference implementation, asked only for what fits into memory.

Nodes of constants are folded by it. Nodes that only move numbers (reshape, slice, gather, resize by nearest numbers) do
to the flat indices of a symbolic tensor what they do to numbers, so that all versions and options of theirs are as onnx
defines them.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxgeom._typing import MATRIX
from jaxgeom.networks.readers.expressions import MOST_NUMBERS

ELEMENTWISE = frozenset(
    """Abs Add And BitShift Cast CastLike Ceil Clip Cos DequantizeLinear Div Dropout Equal Erf Exp Floor Greater
    GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mod Mul Neg
    Not Or PRelu Pow QuantizeLinear Reciprocal Relu Round Sigmoid Sign Sin Softplus Sqrt Sub Sum Tanh Where
    Xor""".split()  # noqa: SIM905  names
)
_OTHERS = frozenset(
    """ArgMax ArgMin BatchNormalization Concat Constant ConstantOfShape CumSum DepthToSpace Expand EyeLike Flatten
    Gather GatherElements GatherND Gemm MatMul Pad Range ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSum ReduceSumSquare Reshape Resize ReverseSequence ScatterElements ScatterND Shape Size Slice Softmax
    SpaceToDepth Split Squeeze Tile Transpose Trilu Unsqueeze Upsample""".split()  # noqa: SIM905  names
)
FOLDED = ELEMENTWISE | _OTHERS
"""Operations that are done on constants."""


OnArrays = Callable[[Sequence[np.ndarray | None]], list[Any]]
"""What a node does to its inputs, None where one is left out."""


def computed(proto: Any, version: int, arrays: Sequence[np.ndarray | None]) -> list[Any]:
    """The outputs of one node.

    Args:
        proto: an ``onnx.NodeProto``.
        version: of ONNX's operations.
        arrays: its inputs; None where one is left out.

    Raises:
        ValueError: if outputs would be too large, or cannot be computed.
    """
    size = _most_numbers(proto, arrays)
    if size > MOST_NUMBERS:
        raise ValueError(f"it would make {size:,} numbers; at most {MOST_NUMBERS:,} are read")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return on_arrays(proto, version)(arrays)


def on_arrays(proto: Any, version: int) -> OnArrays:
    """A node as onnx's reference implementation runs it: where that of an old version is none, as a newer one."""
    operation, attributes = proto.op_type, attributes_of(proto)
    if operation == "ConvTranspose" and attributes.get("group", 1) > 1:
        return _in_groups(proto, version, attributes["group"])
    if operation == "GlobalMaxPool":
        return lambda arrays: [_known(arrays[0]).max(axis=tuple(range(2, _known(arrays[0]).ndim)), keepdims=True)]
    if operation == "BatchNormalization" and version < _NORMALISED:
        names = ("epsilon", "momentum")
        newer = _again(proto, **{name: attributes[name] for name in names if name in attributes})
        return _referred(newer, _NORMALISED)
    if operation in ("Squeeze", "Unsqueeze") and "axes" in attributes:
        run = _referred(_again(proto, inputs=[proto.input[0], "axes"]), _AXES_ARE_INPUTS)
        return lambda arrays: run([arrays[0], np.asarray(attributes["axes"], np.int64)])
    if operation == "Upsample" or (operation == "Resize" and version < _RESIZED):
        options = {"mode": attributes.get("mode", "nearest"), "nearest_mode": "floor"}
        newer = _again(proto, "Resize", ["x", "", "scales"], coordinate_transformation_mode="asymmetric", **options)
        run, scales = _referred(newer, _RESIZED + 2), attributes.get("scales")
        return lambda arrays: run([arrays[0], None, np.asarray(arrays[1] if scales is None else scales, np.float32)])
    if operation == "AveragePool" and not attributes.get("ceil_mode"):
        return _averaged(proto, version, attributes)
    if operation == "Slice":
        return lambda arrays: [_sliced(attributes, *arrays)]
    if operation == "Resize":
        return lambda arrays: _resized(proto, version, arrays)
    return _referred(proto, version)


def _sliced(
    attributes: dict[str, Any], x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None
) -> np.ndarray:
    """A slice, with ends beyond the tensor as ONNX has them: NumPy's rules for them differ where it runs backwards."""
    starts, ends, axes = (
        attributes.get(name) if given is None else given
        for name, given in (("starts", starts), ("ends", ends), ("axes", axes))
    )
    first, last = (np.ravel(each).tolist() for each in (starts, ends))
    places = range(len(first)) if axes is None else np.ravel(axes).tolist()
    strides = [1] * len(first) if steps is None else np.ravel(steps).tolist()
    for start, end, axis, step in zip(first, last, places, strides, strict=True):
        length = x.shape[axis]
        start, end = (place + length if place < 0 else place for place in (start, end))
        low, high = (0, length) if step > 0 else (-1, length - 1)
        start, end = min(max(start, 0), high), min(max(end, low), high)
        x = np.take(x, np.arange(start, end, step), axis=axis)
    return np.asarray(x)


def _averaged(proto: Any, version: int, attributes: dict[str, Any]) -> OnArrays:
    """Average pooling as a convolution with ones: the reference implementation takes it number by number."""
    is_whole = attributes.pop("count_include_pad", 0)
    window = np.ones((1, 1, *attributes["kernel_shape"]))
    run = _referred(_again(proto, "Conv", [proto.input[0], "window"], **attributes), version)

    def found(arrays: Sequence[np.ndarray | None]) -> list[Any]:
        x = _known(arrays[0])
        single = x.reshape(-1, 1, *x.shape[2:])  # channels do not see each other
        total = run([single, window])[0]
        counts = window.size if is_whole else run([np.ones_like(single[:1]), window])[0]
        return [(total / counts).reshape(*x.shape[:2], *total.shape[2:])]

    return found


def _resized(proto: Any, version: int, arrays: Sequence[np.ndarray | None]) -> list[Any]:
    """With empty inputs left out, as newer files have them."""
    given = [array if array is not None and array.size else None for array in arrays]
    names = [name if array is not None else "" for name, array in zip(proto.input, given, strict=True)]
    return _referred(_again(proto, inputs=names, **attributes_of(proto)), version)(given)


_NORMALISED, _AXES_ARE_INPUTS, _RESIZED = 15, 13, 11
"""Versions from which batch normalisation, axes, and resizing are what they are today."""


def _known(array: np.ndarray | None) -> np.ndarray:
    if array is None:
        raise ValueError("an input is missing")
    return array


def _again(proto: Any, operation: str = "", inputs: Sequence[str] = (), **attributes: Any) -> Any:
    """The node with other inputs and attributes."""
    import onnx

    return onnx.helper.make_node(operation or proto.op_type, inputs or proto.input, proto.output, **attributes)


def _referred(proto: Any, version: int) -> OnArrays:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(proto, opsets={"": version})

    def run(arrays: Sequence[np.ndarray | None]) -> list[Any]:
        return list(evaluator.run(None, {n: array for n, array in zip(proto.input, arrays, strict=True) if n}))

    return run


def _in_groups(proto: Any, version: int, groups: int) -> OnArrays:
    """A transposed convolution, group by group: the reference implementation knows one."""
    attributes = attributes_of(proto) | {"group": 1}
    run = _referred(_again(proto, inputs=list(proto.input[:2]), **attributes), version)

    def found(arrays: Sequence[np.ndarray | None]) -> list[Any]:
        parts = zip(np.split(_known(arrays[0]), groups, axis=1), np.split(_known(arrays[1]), groups), strict=True)
        whole = np.concatenate([run(part)[0] for part in parts], axis=1)
        bias = arrays[2] if len(arrays) > 2 else None  # noqa: PLR2004  the third input
        return [whole if bias is None else whole + bias.reshape(-1, *[1] * (whole.ndim - 2))]

    return found


def attributes_of(proto: Any) -> dict[str, Any]:
    """The attributes of a node by name: numbers, lists of numbers, text, tensors, graphs."""
    import onnx

    found = {}
    for attribute in proto.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        found[attribute.name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return found


def _most_numbers(proto: Any, arrays: Sequence[np.ndarray | None]) -> int:
    """How many numbers the outputs of a node have at most, found without computing them."""
    operation, given = proto.op_type, [array for array in arrays if array is not None]
    attributes = attributes_of(proto)
    sizes = [array.size for array in given]
    first = given[0] if given else np.zeros(())
    second = given[1] if len(given) > 1 else None
    if operation == "ConstantOfShape":
        return _product(first)
    if operation in ("Expand", "Tile") and second is not None:
        repeats = second if operation == "Tile" else np.maximum(second, 1)
        return max(first.size, 1) * _product(repeats)
    if operation == "Range" and len(given) > 2:  # noqa: PLR2004  start, end, step
        steps = (float(given[1]) - float(first)) / float(given[2])
        return int(min(max(steps, 0), 2**62)) + 1
    if operation == "Pad":
        pads = attributes.get("pads", attributes.get("paddings")) if second is None else second
        return _padded_size(first.shape, np.abs(np.asarray(pads, np.float64)))
    if operation in ("Resize", "Upsample"):
        return _resized_size(first, given[1:], attributes)
    if operation == "Gemm" and second is not None and first.ndim == second.ndim == MATRIX:
        return int(first.shape[bool(attributes.get("transA"))] * second.shape[not attributes.get("transB")])
    if operation == "MatMul" and second is not None:
        inner = max(first.shape[-1:], default=1) or 1
        return (max(first.size, 1) // inner) * -(-max(second.size, 1) // inner)
    if operation == "Gather" and second is not None and first.ndim:
        axis = int(attributes.get("axis", 0)) % first.ndim
        return int(first.size // max(first.shape[axis], 1) * max(second.size, 1))
    if operation == "GatherND" and second is not None and second.ndim:
        depth = second.shape[-1]
        return int(second.size // max(depth, 1) * math.prod(first.shape[depth:]))
    if operation in ELEMENTWISE and operation != "DequantizeLinear":
        return math.prod(np.broadcast_shapes(*(array.shape for array in given)))
    if operation == "Split" and attributes.get("num_outputs", len(proto.output)) != len(proto.output):
        raise ValueError("it has another number of outputs than it says")
    return sum(sizes)


def _product(lengths: Any) -> int:
    lengths = [int(length) for length in np.asarray(lengths).ravel()]
    return math.prod(lengths) if min(lengths, default=0) >= 0 else 0


def _padded_size(shape: tuple[int, ...], pads: np.ndarray) -> int:
    """At most: as if the largest padding were on all axes that may have it."""
    half = len(pads) // 2
    if half == len(shape):
        added = pads[:half] + pads[half:]
        return int(min(math.prod(n + more for n, more in zip(shape, added, strict=True)), 2**62))
    most = float(pads.max(initial=0.0))
    return int(min(math.prod(n + 2 * most for n in shape), 2**62))


def _resized_size(first: np.ndarray, rest: Sequence[np.ndarray], attributes: dict[str, Any]) -> int:
    if attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("its keep_aspect_ratio_policy is not stretch")
    factors = attributes.get("scales", rest[-1] if rest else [])
    lengths = np.asarray(factors, np.float64).ravel()
    if len(lengths) > first.ndim:
        raise ValueError("it has more sizes than the tensor has axes")
    is_sizes = "scales" not in attributes and np.asarray(factors).dtype.kind == "i"
    size = float(np.prod(np.maximum(lengths, 1.0))) * (1.0 if is_sizes else max(first.size, 1))
    if len(lengths) < first.ndim:
        size *= max(first.size, 1)
    return int(min(size, 2**62))
