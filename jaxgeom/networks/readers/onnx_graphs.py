"""[edge] The part of an ONNX graph that one output depends on: nodes, inputs and shapes, without a last softmax."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgeom._typing import MATRIX
from jaxgeom.networks.readers.expressions import size_of
from jaxgeom.networks.readers.given_files import short
from jaxgeom.networks.readers.imported import refusal
from jaxgeom.networks.readers.onnx_files import array_of

MOST_NODES = 2**16
"""Nodes that one output needs."""


_LEFT_OFF = {
    "Softmax": "its outputs here are what it normalises, with the same order of classes",
    "LogSoftmax": "its outputs here are what it normalises, with the same order of classes",
    "Sigmoid": "probability 1/2 is 0 here",
}
_ML = "ai.onnx.ml"
"""The domain of what converters of scikit-learn write."""

_SHAPES_ONLY = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast")


class Graph(NamedTuple):
    """What of a model an output needs."""

    nodes: list[Any]
    """In their order."""
    inputs: dict[str, tuple[int, ...]]
    """Shapes of the graph's inputs, with the axis of batches, in their order."""
    constants: dict[str, Any]
    """Tensors that the model holds, by name, or arrays in place of them."""
    target: str
    """The tensor that is read."""
    notes: list[str]
    ending: Any = None
    """The softmax or sigmoid that was left off behind the target."""


def needed(graph: Any, output: str | None, shapes: Any) -> Graph:
    """The part of a graph that an output needs.

    Raises:
        ValueError: if there is no such output, or the graph is not one.
    """
    makers: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if makers.setdefault(name, index) != index:
                raise ValueError(f"the graph makes {short(name)!r} twice.")
    notes: list[str] = []
    target = _output_name(graph, output, makers)
    both = None if output is not None else _of_two_classes(graph, target, makers)
    if both is not None:
        notes.append("of probabilities 1 - p and p, p is read")
    end = _without_softmax(graph, both or target, makers)
    if end is not None:
        target = end.input[0]
        notes.append(f"{end.op_type} at the end was left off: {_LEFT_OFF[end.op_type]}")
    wanted, waiting = set(), [target]
    used: set[str] = set()
    while waiting:
        name = waiting.pop()
        used.add(name)
        index = makers.get(name, -1)
        if index >= 0 and index not in wanted:
            wanted.add(index)
            waiting.extend(each for each in graph.node[index].input if each and each not in used)
    if len(wanted) > MOST_NODES:
        raise ValueError(f"the output needs {len(wanted):,} nodes; at most {MOST_NODES:,} are read.")
    constants = {tensor.name: tensor for tensor in graph.initializer}
    sources = {each.name: each for each in graph.input if each.name not in constants}
    inputs = [each for name, each in sources.items() if name in used and name not in makers]
    notes += [f"input {short(name)!r} is not used, and was left out" for name in sources if name not in used]
    found = {each.name: _input_shape(each, shapes, len(inputs)) for each in inputs}
    if not found:
        raise ValueError(f"{short(target)!r} does not depend on any input of the graph.")
    unknown = [] if not isinstance(shapes, Mapping) else sorted(set(shapes) - set(found))
    if unknown:
        raise ValueError(f"shapes were given for {unknown}, but the inputs are {[short(name) for name in found]}.")
    if len(found) > 1:
        order = ", ".join(f"{short(name)!r} {shape}" for name, shape in found.items())
        notes.append(f"the inputs are one behind the other: {order}")
    nodes: list[Any] = []
    for index in sorted(wanted):
        nodes.extend(_written_out(graph.node[index], constants))
    return Graph(nodes, found, constants, target, notes, end)


def _written_out(node: Any, constants: dict[str, Any]) -> list[Any]:
    """A scaler of scikit-learn as a difference and a product; other nodes as they are."""
    import onnx

    if (node.domain, node.op_type) != (_ML, "Scaler"):
        return [node]
    name, result = node.name or "Scaler", node.output[0]
    known = {each.name: np.asarray(each.floats, np.float32) for each in node.attribute}
    for part in ("offset", "scale"):
        if not known.get(part, np.zeros(0)).size:
            raise ValueError(f"the scaler {short(name)!r} has no {part}.")
        constants[f"{result} {part}"] = known[part]
    made = onnx.helper.make_node
    return [
        made("Sub", [node.input[0], f"{result} offset"], [f"{result} centred"], name=name),
        made("Mul", [f"{result} centred", f"{result} scale"], [result], name=name),
    ]


def _output_name(graph: Any, output: str | None, makers: Mapping[str, int]) -> str:
    import onnx

    if output is not None:
        if output not in makers:
            raise ValueError(f"no node makes {output!r}; the outputs of the graph are {_names(graph.output)}.")
        return output
    real = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, 0)
    found = [
        each.name
        for each in graph.output
        if each.type.WhichOneof("value") in (None, "tensor_type") and each.type.tensor_type.elem_type in real
    ]
    if not found:  # probabilities as dictionaries, one a point
        outputs = {each.name for each in graph.output}
        found = [
            node.input[0]
            for node in graph.node
            if (node.domain, node.op_type) == (_ML, "ZipMap") and len(node.input) == 1 and outputs & set(node.output)
        ]
    if len(found) != 1:
        raise ValueError(
            f"the graph has the outputs {_names(graph.output)}, of which {len(found)} are tensors of real numbers. "
            "Say which tensor is to be read: from_onnx(model, output=name)."
        )
    if found[0] not in makers:
        raise ValueError(f"no node makes the output {short(found[0])!r}.")
    return str(found[0])


def _names(sides: Any) -> list[str]:
    most = 8
    return [short(each.name) for each in sides][:most] + ["…"] * (len(sides) > most)


def _of_two_classes(graph: Any, name: str, makers: Mapping[str, int]) -> str | None:
    """The probability p that a tensor is the pair (1 - p, p) of; or None."""
    pair = graph.node[makers[name]] if name in makers else None
    if pair is None or pair.op_type != "Concat" or len(pair.input) != 2:  # noqa: PLR2004
        return None
    axes = [each.i for each in pair.attribute if each.name == "axis"]
    if axes not in ([1], [-1]):  # two points, not two classes
        return None
    first, second = pair.input
    rest = graph.node[makers[first]] if first in makers else None
    maker = graph.node[makers[second]] if second in makers else None
    if rest is None or maker is None or (rest.op_type, maker.op_type) != ("Sub", "Sigmoid"):
        return None
    held = next((tensor for tensor in graph.initializer if tensor.name == rest.input[0]), None)
    if list(rest.input[1:]) != [second] or held is None or math.prod(held.dims) != 1:
        return None
    return str(second) if array_of(held, None).item() == 1 else None


def _without_softmax(graph: Any, name: str, makers: Mapping[str, int]) -> Any:
    """The softmax or sigmoid that a tensor is the result of, but for its shape; or None."""
    for _ in range(len(graph.node)):
        node = graph.node[makers[name]] if name in makers else None
        if node is None or node.domain not in ("", "ai.onnx") or not node.input:
            return None
        if node.op_type in _LEFT_OFF:
            return node
        if node.op_type not in _SHAPES_ONLY or _is_rounding(node):
            return None
        name = node.input[0]
    return None


def _is_rounding(node: Any) -> bool:
    """Whether a cast is to whole numbers or truth values, of which a probability keeps hardly anything."""
    import onnx

    kinds = [each.i for each in node.attribute if node.op_type == "Cast" and each.name == "to"]
    return any(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind)).kind in "iub" for kind in kinds)


def check_ending(graph: Graph, shape: Sequence[int], version: int) -> None:
    """A softmax can be left off only if it is one over several numbers of one point.

    Raises:
        ValueError: if it runs over the points of a batch, or over single numbers.
    """
    if graph.ending is None or graph.ending.op_type == "Sigmoid":
        return
    is_flat = version < _ONE_AXIS
    named = [each.i for each in graph.ending.attribute if each.name == "axis"]
    axis = (named or [1 if is_flat else -1])[0] % max(len(shape), 1)
    if axis == 0 and has_batches(graph):
        reason = "it normalises over the points of a batch"
    elif math.prod(shape[axis:] if is_flat else shape[axis : axis + 1]) == 1:
        reason = "it normalises single numbers, so that it is constant"
    else:
        return
    raise ValueError(f"{refusal(graph.ending.op_type, short(graph.ending.name))} Reason: {reason}.")


_ONE_AXIS = 13
"""Since this version of ONNX's operations a softmax is over one axis, before over all from one on."""


def _input_shape(side: Any, shapes: Any, num_inputs: int) -> tuple[int, ...]:
    """The shape of an input, with 1 for an open axis of batches."""
    import onnx

    name = short(side.name)
    if side.type.WhichOneof("value") != "tensor_type":
        raise ValueError(f"the input {name!r} is no tensor.")
    number = side.type.tensor_type.elem_type or onnx.TensorProto.FLOAT
    if number not in onnx.TensorProto.DataType.values():
        raise ValueError(f"the input {name!r} is of type {number}, which ONNX does not have.")
    kind = onnx.helper.tensor_dtype_to_np_dtype(number)
    if np.dtype(kind).kind in "biuOUSc":
        raise ValueError(f"the input {name!r} holds {kind}, but real numbers are what a network is cut along.")
    dims = side.type.tensor_type.shape.dim
    known: list[int | None] = [each.dim_value if each.HasField("dim_value") else None for each in dims]
    given = shapes.get(side.name) if isinstance(shapes, Mapping) else shapes
    if given is not None:
        if num_inputs > 1 and not isinstance(shapes, Mapping):
            raise ValueError(f"there are {num_inputs} inputs; give a shape for each name, such as {{{name!r}: …}}.")
        given = [int(length) for length in given]
        has_shape = side.type.tensor_type.HasField("shape")
        if has_shape and (
            len(given) != len(known) or any(k not in (None, g) for k, g in zip(known, given, strict=True))
        ):
            raise ValueError(f"the input {name!r} has the shape {_shown(known)}, but {tuple(given)} was given.")
        known = list(given)
    if not side.type.tensor_type.HasField("shape") and given is None:
        raise ValueError(f"the shape of the input {name!r} is not known. Give it: from_onnx(model, shapes=(1, …)).")
    known = [1 if axis == 0 and not length else length for axis, length in enumerate(known)]
    if any(not length or length < 1 for length in known):
        raise ValueError(
            f"the input {name!r} has the shape {_shown(known)}, of which not all is known. Give it, with the axis of "
            "batches: from_onnx(model, shapes=(1, …))."
        )
    shape = tuple(int(length or 0) for length in known)
    size_of(shape)
    return shape


def _shown(shape: Sequence[int | None]) -> str:
    return f"({', '.join('?' if length is None else str(length) for length in shape)})"


def has_batches(graph: Graph) -> bool:
    return all(len(shape) >= MATRIX and shape[0] == 1 for shape in graph.inputs.values())


def of_one_point(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without the axis of batches."""
    return shape[1:] if len(shape) >= MATRIX and shape[0] == 1 else shape


def shape_of_inputs(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    return of_one_point(shapes[0]) if len(shapes) == 1 else (sum(map(math.prod, shapes)),)
