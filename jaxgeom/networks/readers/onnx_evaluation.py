"""[edge] ONNX models evaluated point by point: by onnx's reference implementation in float64, or by onnxruntime."""

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxgeom.networks.readers.onnx_arrays import on_arrays
from jaxgeom.networks.readers.onnx_files import array_of, first_line
from jaxgeom.networks.readers.onnx_graphs import Graph
from jaxgeom.networks.readers.onnx_nodes import Rest

CHECK_SECONDS = 2.0
"""How long a model may be compared with its layers; slow ones are at fewer points."""

Evaluation = Callable[[np.ndarray], np.ndarray]
"""Outputs (points, out) of points (points, in), in float64."""

_LEAST_POINTS, _MOST_POINTS = 4, 1024


def in_float64(graph: Graph, rest: Rest, version: int) -> Evaluation:
    """The model in float64, point by point, as onnx's reference implementation runs its nodes."""
    steps = [(node, on_arrays(_cast_to_float64(node), version)) for node in rest.nodes]
    constants = {
        name: array if array.dtype.kind in "biu" else array.astype(np.float64) for name, array in rest.constants.items()
    }

    def output(point: dict[str, np.ndarray]) -> np.ndarray:
        found = {**constants, **point}
        for node, run in steps:
            found.update(zip(node.output, run([found[name] if name else None for name in node.input]), strict=False))
        return found[graph.target]

    return partial(_at_points, graph, output)


def _at_points(graph: Graph, output: Callable[[dict[str, np.ndarray]], np.ndarray], points: np.ndarray) -> np.ndarray:
    """The outputs (points, out) of a function of the graph's inputs."""
    ends = np.cumsum([math.prod(shape) for shape in graph.inputs.values()])[:-1]
    found = []
    for point in points:
        parts = zip(graph.inputs.items(), np.split(point, ends), strict=True)
        found.append(np.ravel(output({name: part.reshape(shape) for (name, shape), part in parts})))
    return np.array(found, np.float64)


def _cast_to_float64(proto: Any) -> Any:
    """The same node, or one that casts to float64 what it cast to another real type."""
    import onnx

    if proto.op_type != "Cast":
        return proto
    return onnx.helper.make_node("Cast", proto.input, proto.output, to=onnx.TensorProto.DOUBLE)


def in_runtime(model: Any, graph: Graph, folder: Path | None) -> Evaluation | None:
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
        try:
            return np.asarray(session.run([graph.target], feeds)[0])
        except Exception as error:
            raise ValueError(f"onnxruntime cannot run the model: {first_line(error)}.") from error

    return partial(_at_points, graph, output)


def affordable_points(source: Any, num_inputs: int) -> int:
    """At how many points the source can be run in the time for it."""
    start = time.perf_counter()
    source(np.zeros((1, num_inputs)))
    taken = time.perf_counter() - start
    return int(np.clip(CHECK_SECONDS / max(taken, 1e-9), _LEAST_POINTS, _MOST_POINTS))
