"""Models of ONNX, built node by node."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402

FLOAT = onnx.TensorProto.FLOAT


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def model(
    nodes: list[Any],
    inputs: dict[str, Any],
    output: str,
    weights: dict[str, np.ndarray],
    opset: int = 17,
    **options: Any,
) -> Any:
    sides = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "graph", sides, [helper.make_tensor_value_info(output, FLOAT, None)], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **options)


def of_one(
    operation: str, shape: Any, *weights: Any, opset: int = 17, num_outputs: int = 1, which: int = -1, **attributes: Any
) -> Any:
    """A model of an activation, and the operation behind it, one of whose outputs is that of the model."""
    names = ["h", *(f"w{i}" if weight is not None else "" for i, weight in enumerate(weights))]
    results = [f"y{i}" for i in range(num_outputs)]
    nodes = [helper.make_node("LeakyRelu", ["x"], ["h"], alpha=0.3)]
    nodes.append(helper.make_node(operation, names, results, name="it", **attributes))
    arrays = {f"w{i}": np.asarray(weight) for i, weight in enumerate(weights) if weight is not None}
    return model(nodes, {"x": shape}, results[which], arrays, opset)


def control_network(widths: tuple[int, ...], *, is_gemm: bool = False) -> tuple[Any, list[tuple[Any, Any]]]:
    """As ACAS Xu's networks are written: inputs (1, 1, 1, in) that are normalised, matrix products, biases apart."""
    rng = np.random.default_rng(3)
    weights = {"mean": rng.normal(size=(1, 1, 1, widths[0])).astype(np.float32), "range": np.float32(2.0)}
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "range"], ["scaled"]),
        helper.make_node("Flatten", ["scaled"], ["h0"], axis=1),
    ]
    pairs = []
    for i, (before, after) in enumerate(pairwise(widths)):
        kernel, bias = rng.normal(size=(before, after)).astype(np.float32), rng.normal(size=after).astype(np.float32)
        pairs.append((kernel, bias))
        last = i == len(widths) - 2
        weights |= {f"W{i}": kernel.T if is_gemm else kernel, f"b{i}": bias}
        result = "y" if last else f"z{i}"
        if is_gemm:
            nodes.append(helper.make_node("Gemm", [f"h{i}", f"W{i}", f"b{i}"], [result], transB=1))
        else:
            nodes.append(helper.make_node("MatMul", [f"h{i}", f"W{i}"], [f"p{i}"]))
            nodes.append(helper.make_node("Add", [f"p{i}", f"b{i}"], [result]))
        if not last:
            nodes.append(helper.make_node("Relu", [result], [f"h{i + 1}"], name=f"relu_{i}"))
    return model(nodes, {"x": (1, 1, 1, widths[0])}, "y", weights, opset=8), pairs
