"""[edge] Networks from ONNX models: the nodes that an output needs, followed with symbolic tensors."""

import math
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgeom._typing import MATRIX
from jaxgeom.networks.readers import operations as ops
from jaxgeom.networks.readers.check import DOUBLE_PRECISION, SINGLE_PRECISION
from jaxgeom.networks.readers.expressions import Tape, Values, new_input, size_of
from jaxgeom.networks.readers.imported import Imported, finished, refusal
from jaxgeom.networks.readers.onnx_arrays import FOLDED, attributes_of, computed, on_arrays
from jaxgeom.networks.readers.onnx_files import array_of, first_line, model_of, opset_of, short
from jaxgeom.networks.readers.onnx_operations import OPERATIONS, Node

MOST_NODES = 2**16
"""Nodes that one output needs."""

MOST_IN_ALL = 2**28
"""Numbers in all tensors together, of which those that depend on the inputs count eight times."""

CHECK_SECONDS = 2.0
"""How long a model may be compared with its layers; slow ones are at fewer points."""

Evaluation = Callable[[np.ndarray], np.ndarray]
"""Outputs (points, out) of points (points, in), in float64."""

_LEAST_POINTS, _MOST_POINTS = 4, 1024
_LEFT_OFF = {
    "Softmax": "its outputs here are what it normalises, with the same order of classes",
    "LogSoftmax": "its outputs here are what it normalises, with the same order of classes",
    "Sigmoid": "probability 1/2 is 0 here",
}
_SHAPES_ONLY = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast")


class _Graph(NamedTuple):
    """What of a model an output needs."""

    nodes: list[Any]
    """In their order."""
    inputs: dict[str, tuple[int, ...]]
    """Shapes of the graph's inputs, with the axis of batches, in their order."""
    constants: dict[str, Any]
    """Tensors that the model holds, by name."""
    target: str
    """The tensor that is read."""
    notes: list[str]


def from_onnx(
    model: Any, *, output: str | None = None, shapes: Mapping[str, Sequence[int]] | Sequence[int] | None = None
) -> Imported:
    """The layers of a network in the ONNX format.

    Gemm, MatMul and arithmetic with constants, convolution and its transpose, pooling, batch normalisation, ReLU and
    other piecewise linear activations, maxima, reductions, and everything that moves numbers, in all versions of ONNX's
    operations; constants are folded. What was read is compared with onnx's reference implementation in float64.

    Args:
        model: the path of a file, or an ``onnx.ModelProto``. Weights beside the file are read only from its folder.
        output: the name of the tensor to read, any one of the graph; not needed if the graph has one output of real
            numbers. A softmax or sigmoid right at the end is left off, with a note.
        shapes: of the inputs, with the axis of batches, where the model leaves them open: one shape, or one for each
            name. An open first axis is the axis of batches.

    Returns:
        The layers, whose inputs are those of the graph that the output needs, one behind the other.

    Raises:
        ValueError: for an operation that is not piecewise linear, which is named with its node; for files that cannot
            be read; if the layers are not what the model computes.
        TypeError: for what is neither a path nor a model.

    Example:
        >>> import numpy as np, onnx, jaxgeom as jg
        >>> nodes = [onnx.helper.make_node("Gemm", ["x", "W"], ["z"]), onnx.helper.make_node("Relu", ["z"], ["y"])]
        >>> sides = [onnx.helper.make_tensor_value_info(name, 1, ["batch", 2]) for name in "xy"]
        >>> weights = [onnx.numpy_helper.from_array(np.eye(2, dtype=np.float32), "W")]
        >>> graph = onnx.helper.make_graph(nodes, "net", sides[:1], sides[1:], weights)
        >>> [layer.kernel.shape for layer in jg.from_onnx(onnx.helper.make_model(graph)).layers]
        [(2, 2), (2, 2)]
    """
    proto, folder = model_of(model)
    graph = _needed(proto.graph, output, shapes)
    version = opset_of(proto)
    tape = Tape(channel_axis=1)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        values, rest = _followed(graph, tape, version, folder)
        if not rest.nodes:
            raise ValueError(f"{short(graph.target)!r} does not depend on any input of the graph.")
        read = partial(
            finished,
            tape,
            values,
            input_shape=_shape_of_inputs(list(graph.inputs.values())),
            output_shape=_of_one_point(values.shape) if _has_batches(graph) else values.shape,
            what="the model",
            notes=graph.notes,
        )
        try:
            source = _evaluation(graph, rest, version)
            most_points = _affordable(source, tape.num_inputs)
            return read(source=source, precision=DOUBLE_PRECISION, most_points=most_points)
        except Exception as error:
            runtime = _in_runtime(proto, graph, folder)
            if runtime is None:
                raise ValueError(
                    f"the layers cannot be compared with the model: {first_line(error)}. Where onnx's reference "
                    "implementation is at fault, they are compared with onnxruntime, if that is installed."
                ) from error
            return read(source=runtime, precision=SINGLE_PRECISION, most_points=_affordable(runtime, tape.num_inputs))


def _needed(graph: Any, output: str | None, shapes: Any) -> _Graph:
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
    end = _without_softmax(graph, target, makers)
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
    return _Graph([graph.node[index] for index in sorted(wanted)], found, constants, target, notes)


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


def _without_softmax(graph: Any, name: str, makers: Mapping[str, int]) -> Any:
    """The softmax or sigmoid that a tensor is the result of, but for its shape; or None."""
    for _ in range(len(graph.node)):
        node = graph.node[makers[name]] if name in makers else None
        if node is None or node.domain not in ("", "ai.onnx") or not node.input:
            return None
        if node.op_type in _LEFT_OFF:
            return node
        if node.op_type not in _SHAPES_ONLY:
            return None
        name = node.input[0]
    return None


def _input_shape(side: Any, shapes: Any, num_inputs: int) -> tuple[int, ...]:
    """The shape of an input, with 1 for an open axis of batches."""
    import onnx

    name = short(side.name)
    if side.type.WhichOneof("value") != "tensor_type":
        raise ValueError(f"the input {name!r} is no tensor.")
    kind = onnx.helper.tensor_dtype_to_np_dtype(side.type.tensor_type.elem_type or onnx.TensorProto.FLOAT)
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


def _has_batches(graph: _Graph) -> bool:
    return all(len(shape) >= MATRIX and shape[0] == 1 for shape in graph.inputs.values())


def _of_one_point(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without the axis of batches."""
    return shape[1:] if len(shape) >= MATRIX and shape[0] == 1 else shape


def _shape_of_inputs(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    return _of_one_point(shapes[0]) if len(shapes) == 1 else (sum(map(math.prod, shapes)),)


class _Rest(NamedTuple):
    """What is left of a graph when constants are folded: it is evaluated for the comparison."""

    nodes: list[Any]
    constants: dict[str, np.ndarray]
    """What the nodes take."""


def _followed(graph: _Graph, tape: Tape, version: int, folder: Path | None) -> tuple[Values, _Rest]:
    """The symbolic tensor that is read, and the nodes that do not only calculate with constants."""
    found: dict[str, Any] = {name: new_input(tape, shape) for name, shape in graph.inputs.items()}
    uses = Counter(name for node in graph.nodes for name in node.input)
    uses[graph.target] += 1
    rest = _Rest([], {})
    total = 0

    def value(name: str) -> Any:
        if not name:
            return None
        if name not in found:
            if name not in graph.constants:
                raise ValueError(f"nothing makes the tensor {short(name)!r} before it is used.")
            found[name] = array_of(graph.constants[name], folder)
        return found[name]

    for proto in graph.nodes:
        inputs = [value(name) for name in proto.input]
        is_symbolic = any(isinstance(each, Values | ops.Condition) for each in inputs)
        results = _done(tape, proto, version, inputs, folder, is_symbolic=is_symbolic)
        if is_symbolic and any(isinstance(each, Values | ops.Condition) for each in results):
            rest.nodes.append(proto)
            rest.constants.update(
                (name, each) for name, each in zip(proto.input, inputs, strict=True) if isinstance(each, np.ndarray)
            )
        for name, result in zip(proto.output, results, strict=False):
            if name:
                found[name] = result
                total += _size(result)
        if total > MOST_IN_ALL:
            raise ValueError(f"the tensors have more than {MOST_IN_ALL:,} numbers in all, the most that are read.")
        for name in proto.input:
            uses[name] -= 1
            if not uses[name]:
                found.pop(name, None)
    if graph.target not in found:
        raise ValueError(f"the tensor {short(graph.target)!r} is an output of its node that is not read.")
    target = found[graph.target]
    if isinstance(target, ops.Condition) or target is None:
        raise ValueError(f"the tensor {short(graph.target)!r} holds no real numbers.")
    return ops.lifted(target), rest


def _size(result: Any) -> int:
    result = result.values if isinstance(result, ops.Condition) else result
    return 8 * len(result.const) if isinstance(result, Values) else int(np.size(result))


def _done(
    tape: Tape, proto: Any, version: int, inputs: list[Any], folder: Path | None, *, is_symbolic: bool
) -> Sequence[Any]:
    """The outputs of a node: symbolic tensors, conditions or arrays."""
    operation = short(proto.op_type)
    is_own = proto.domain in ("", "ai.onnx")
    where = short(proto.name or next(iter(proto.output), ""))
    shown = operation if is_own else f"{short(proto.domain)}.{operation}"
    try:
        attributes = attributes_of(proto)
        if is_own and not is_symbolic and proto.op_type in FOLDED:
            if proto.op_type == "Constant" and hasattr(attributes.get("value"), "data_type"):
                return [array_of(attributes["value"], folder)]
            return [np.asarray(each) for each in computed(proto, version, inputs)]
        function = OPERATIONS.get(proto.op_type) if is_own else None
        if function is None:
            raise ValueError(refusal(shown, where))
        if attributes.get("broadcast") or attributes.get("consumed_inputs"):
            raise ops.NotLinear("it is of a version of ONNX before 7; convert the model with onnx.version_converter")
        if isinstance(inputs[0], ops.Condition) and proto.op_type not in _OF_CONDITIONS:
            raise ops.NotLinear("it calculates with truth values")
        node = Node(where, proto.op_type, version, attributes, partial(computed, proto, version))
        results = function(tape, node, *inputs)
        return results if isinstance(results, tuple) and not isinstance(results, Values) else (results,)
    except Exception as error:
        message = str(error)
        if isinstance(error, ValueError) and "the network has the operation" in message:
            raise
        raise ValueError(f"{refusal(shown, where)} Reason: {first_line(error)}.") from error


_OF_CONDITIONS = ("Not", "Where", "Cast", "CastLike", "Mul", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Expand")


def _evaluation(graph: _Graph, rest: _Rest, version: int) -> Evaluation:
    """The model in float64, point by point, as onnx's reference implementation runs its nodes."""
    steps = [(node, on_arrays(_in_float64(node), version)) for node in rest.nodes]
    constants = {
        name: array if array.dtype.kind in "biu" else array.astype(np.float64) for name, array in rest.constants.items()
    }

    def output(point: dict[str, np.ndarray]) -> np.ndarray:
        found = {**constants, **point}
        for node, run in steps:
            found.update(zip(node.output, run([found[name] if name else None for name in node.input]), strict=False))
        return found[graph.target]

    return partial(_at_points, graph, output)


def _at_points(graph: _Graph, output: Callable[[dict[str, np.ndarray]], np.ndarray], points: np.ndarray) -> np.ndarray:
    """The outputs (points, out) of a function of the graph's inputs."""
    ends = np.cumsum([math.prod(shape) for shape in graph.inputs.values()])[:-1]
    found = []
    for point in points:
        parts = zip(graph.inputs.items(), np.split(point, ends), strict=True)
        found.append(np.ravel(output({name: part.reshape(shape) for (name, shape), part in parts})))
    return np.array(found, np.float64)


def _in_float64(proto: Any) -> Any:
    """The same node, or one that casts to float64 what it cast to another real type."""
    import onnx

    if proto.op_type != "Cast":
        return proto
    return onnx.helper.make_node("Cast", proto.input, proto.output, to=onnx.TensorProto.DOUBLE)


def _in_runtime(model: Any, graph: _Graph, folder: Path | None) -> Evaluation | None:
    """The model as onnxruntime runs it, if that is installed and takes it."""
    import onnx

    try:
        import onnxruntime
    except ImportError:
        return None
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    del whole.graph.output[:]
    whole.graph.output.append(onnx.helper.make_tensor_value_info(graph.target, onnx.TensorProto.FLOAT, None))
    for tensor in whole.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array_of(tensor, folder), tensor.name))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(whole.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:
        return None
    kinds = {each.name: np.float64 if "double" in each.type else np.float32 for each in session.get_inputs()}

    def output(point: dict[str, np.ndarray]) -> np.ndarray:
        feeds = {name: array.astype(kinds[name]) for name, array in point.items()}
        return np.asarray(session.run([graph.target], feeds)[0])

    return partial(_at_points, graph, output)


def _affordable(source: Any, num_inputs: int) -> int:
    """At how many points the source can be run in the time for it."""
    start = time.perf_counter()
    source(np.zeros((1, num_inputs)))
    taken = time.perf_counter() - start
    return int(np.clip(CHECK_SECONDS / max(taken, 1e-9), _LEAST_POINTS, _MOST_POINTS))
