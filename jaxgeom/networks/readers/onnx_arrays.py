"""[edge] Nodes of ONNX graphs on arrays: onnx's own reference implementation, asked only for what fits into memory.

Nodes of constants are folded by it. Nodes that only move numbers (reshape, slice, gather, resize by nearest numbers) do
to the flat indices of a symbolic tensor what they do to numbers, so that all versions and options of theirs are as onnx
defines them.
"""

import math
import warnings
from collections.abc import Sequence
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


def computed(proto: Any, version: int, arrays: Sequence[np.ndarray | None]) -> list[Any]:
    """The outputs of one node.

    Args:
        proto: an ``onnx.NodeProto``.
        version: of ONNX's operations.
        arrays: its inputs; None where one is left out.

    Raises:
        ValueError: if outputs would be too large, or cannot be computed.
    """
    from onnx.reference import ReferenceEvaluator

    size = _most_numbers(proto, arrays)
    if size > MOST_NUMBERS:
        raise ValueError(f"it would make {size:,} numbers; at most {MOST_NUMBERS:,} are read")
    feeds = {name: array for name, array in zip(proto.input, arrays, strict=True) if name}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return list(ReferenceEvaluator(proto, opsets={"": version}).run(None, feeds))


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
