"""[edge] Networks and populations as ONNX models."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxgeom.host.files import whole_file
from jaxgeom.host.packages import optional
from jaxgeom.networks.writers.steps import Step, num_networks, steps_of

POPULATION = "jaxgeom.networks"
"""Under this name a model says how many networks it holds; :func:`jaxgeom.from_onnx` reads them as a population."""

_OPSET, _OPSET_OF_GELU, _IR = 17, 20, 8
_OPERATIONS = {"relu": "Relu", "abs": "Abs", "tanh": "Tanh", "sigmoid": "Sigmoid", "elu": "Elu", "softplus": "Softplus"}


def to_onnx(network: Any, path: str | Path) -> None:
    """A file in the ONNX format with a network or a whole population, written whole or not at all.

    A network has an input "x" (points, in) and an output "y" (points, out); its layers are Gemm nodes. A population is
    one graph as well, since a runtime then evaluates all networks at once: its weights have a leading axis, its layers
    are MatMul nodes, and its output is (networks, points, out). Numbers keep their bits and their dtype, float32 or
    float64.

    Args:
        network: the parameters of a :func:`jaxgeom.mlp` with any activation, or layers; of one network, or of a
            population with one leading axis.
        path: of the file, usually with the ending .onnx.

    Raises:
        ValueError: for parameters of other networks, or with more leading axes.
        TypeError: for what is neither parameters nor layers.

    Example:
        >>> import tempfile, jax, jaxgeom as jg
        >>> params = jg.mlp((2, 8, 1)).init(jax.random.key(0))
        >>> path = tempfile.mkdtemp() + "/network.onnx"
        >>> jg.to_onnx(params, path)
        >>> [layer.kernel.shape for layer in jg.from_onnx(path).layers]
        [(2, 8), (8, 1)]
    """
    with whole_file(Path(path)) as file:
        file.write_bytes(onnx_model(network).SerializeToString())


def onnx_model(network: Any) -> Any:
    """The ``onnx.ModelProto`` that :func:`to_onnx` writes."""
    import jaxgeom

    onnx = optional("onnx", "readers")
    helper = onnx.helper
    steps = steps_of(network)
    num = num_networks(steps)
    nodes: list[Any] = []
    weights: dict[str, np.ndarray] = {}
    name = "x"
    for index, step in enumerate(steps):
        name = _add_step(nodes, weights, step, name, index, is_population=num is not None)
    nodes.append(helper.make_node("Identity", [name], ["y"]))
    kind = helper.np_dtype_to_tensor_dtype(steps[0].kernel.dtype)
    num_outputs = steps[-1].bias.shape[-1] // (2 if steps[-1].activation == "maxout" else 1)
    graph = helper.make_graph(
        nodes,
        "population" if num is not None else "network",
        [helper.make_tensor_value_info("x", kind, ["points", steps[0].kernel.shape[-2]])],
        [helper.make_tensor_value_info("y", kind, [*([] if num is None else [num]), "points", num_outputs])],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(array), key) for key, array in weights.items()],
    )
    opset = _OPSET_OF_GELU if any(step.activation == "gelu" for step in steps) else _OPSET
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=_IR,
        producer_name="jaxgeom",
        producer_version=jaxgeom.__version__,
    )
    if num is not None:
        model.metadata_props.add(key=POPULATION, value=str(num))
    return model


def _add_step(
    nodes: list[Any], weights: dict[str, np.ndarray], step: Step, name: str, index: int, *, is_population: bool
) -> str:
    """The name of what a step makes of a tensor."""
    import onnx

    node = onnx.helper.make_node
    kernel, bias, z, h = f"kernel{index}", f"bias{index}", f"z{index}", f"h{index}"
    weights[kernel] = step.kernel
    if is_population:
        weights[bias] = step.bias[:, None, :]
        nodes += [node("MatMul", [name, kernel], [f"product{index}"]), node("Add", [f"product{index}", bias], [z])]
    else:
        weights[bias] = step.bias
        nodes.append(node("Gemm", [name, kernel, bias], [z]))
    dtype = step.kernel.dtype
    if step.activation == "linear":
        return z
    if step.activation in _OPERATIONS:
        nodes.append(node(_OPERATIONS[step.activation], [z], [h]))
    elif step.activation == "sin":
        nodes.append(node("Sin", [z], [h]))
    elif step.activation == "gelu":
        nodes.append(node("Gelu", [z], [h], approximate="tanh"))
    elif step.activation == "hard_tanh":
        weights["low"], weights["high"] = np.full((), -1, dtype), np.full((), 1, dtype)
        nodes.append(node("Clip", [z, "low", "high"], [h]))
    elif step.activation == "maxout":
        nodes += [node("Split", [z], [f"{z}_first", f"{z}_second"], axis=-1)]
        nodes += [node("Max", [f"{z}_first", f"{z}_second"], [h])]
    elif step.slope is None:
        raise ValueError(f"ONNX has no operation for the activation {step.activation!r} that to_onnx knows.")
    else:
        slope = np.asarray(step.slope, dtype)
        weights[f"slope{index}"] = np.atleast_1d(slope[:, None, :] if slope.ndim and is_population else slope)
        nodes.append(node("PRelu", [z, f"slope{index}"], [h]))
    return h
