"""[edge] ONNX models evaluated point by point: by onnx's reference implementation in float64, or by onnxruntime."""

import importlib.util
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxgeom.networks.readers import onnx_process
from jaxgeom.networks.readers.onnx_arrays import on_arrays
from jaxgeom.networks.readers.onnx_files import array_of
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
    parts = _parts(graph, points)
    found = [np.ravel(output({name: part[i] for name, part in parts.items()})) for i in range(len(points))]
    return np.array(found, np.float64)


def _parts(graph: Graph, points: np.ndarray) -> dict[str, np.ndarray]:
    """The values of each input (points, *shape)."""
    ends = np.cumsum([math.prod(shape) for shape in graph.inputs.values()])[:-1]
    parts = zip(graph.inputs.items(), np.split(points, ends, axis=1), strict=True)
    return {name: part.reshape(len(points), *shape) for (name, shape), part in parts}


def _cast_to_float64(proto: Any) -> Any:
    """The same node, or one that casts to float64 what it cast to another real type."""
    import onnx

    if proto.op_type != "Cast":
        return proto
    return onnx.helper.make_node("Cast", proto.input, proto.output, to=onnx.TensorProto.DOUBLE)


def in_runtime(model: Any, graph: Graph, folder: Path | None) -> Evaluation | None:
    """The model as onnxruntime runs it, in a process of its own, if that is installed."""
    import onnx

    if importlib.util.find_spec("onnxruntime") is None:
        return None
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    del whole.graph.output[:]
    whole.graph.output.append(onnx.ValueInfoProto(name=graph.target))
    for tensor in whole.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array_of(tensor, folder), tensor.name))

    def outputs(points: np.ndarray) -> np.ndarray:
        parts = _parts(graph, points)
        with tempfile.TemporaryDirectory() as name:
            room = Path(name)
            (room / "model.onnx").write_bytes(whole.SerializeToString())
            (room / "target.txt").write_text(graph.target)
            np.savez(room / "points.npz", **parts)  # type: ignore[arg-type]
            command = [sys.executable, str(Path(onnx_process.__file__)), name]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=RUNTIME_SECONDS)
                found: np.ndarray = np.load(room / "outputs.npy")
            except (subprocess.SubprocessError, OSError, ValueError) as error:
                raise ValueError("onnxruntime cannot run the model") from error
        return found

    return outputs


RUNTIME_SECONDS = 60
"""How long onnxruntime may take for all points."""

POINTS_IN_RUNTIME = 64


def affordable_points(source: Any, num_inputs: int) -> int:
    """At how many points the source can be run in the time for it."""
    start = time.perf_counter()
    source(np.zeros((1, num_inputs)))
    taken = time.perf_counter() - start
    return int(np.clip(CHECK_SECONDS / max(taken, 1e-9), _LEAST_POINTS, _MOST_POINTS))
