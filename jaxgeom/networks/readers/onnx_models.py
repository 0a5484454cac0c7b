"""[edge] Networks, and populations that jaxgeom wrote, from ONNX models."""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxgeom.networks.layers import Dense, Layers, check_finite
from jaxgeom.networks.readers.chain import chain_of
from jaxgeom.networks.readers.check import DOUBLE_PRECISION, SINGLE_PRECISION, check_agrees
from jaxgeom.networks.readers.expressions import Tape
from jaxgeom.networks.readers.given_files import short
from jaxgeom.networks.readers.imported import Imported, finished
from jaxgeom.networks.readers.onnx_evaluation import POINTS_IN_RUNTIME, affordable_points, in_float64, in_runtime
from jaxgeom.networks.readers.onnx_files import array_of, first_line, model_of, opset_of
from jaxgeom.networks.readers.onnx_graphs import Graph, check_ending, has_batches, needed, of_one_point, shape_of_inputs
from jaxgeom.networks.readers.onnx_nodes import followed
from jaxgeom.networks.writers.onnx_graphs import POPULATION


def from_onnx(
    model: Any, *, output: str | None = None, shapes: Mapping[str, Sequence[int]] | Sequence[int] | None = None
) -> Imported:
    """The layers of a network in the ONNX format.

    Gemm, MatMul and arithmetic with constants, convolution and its transpose, pooling, batch normalisation, ReLU and
    other piecewise linear activations, maxima, reductions, and everything that moves numbers, in all versions of ONNX's
    operations; constants are folded. What was read is compared with onnx's reference implementation in float64. A
    population that :func:`jaxgeom.to_onnx` wrote is read as one.

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
    graph = needed(proto.graph, output, shapes)
    version = opset_of(proto)
    num = _num_networks(proto)
    if num and output is None:
        return _population(graph, num, version, folder)
    tape = Tape(channel_axis=1)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        values, rest = followed(graph, tape, version, folder)
        if not rest.nodes:
            raise ValueError(f"{short(graph.target)!r} does not depend on any input of the graph.")
        check_ending(graph, values.shape, version)
        read = partial(
            finished,
            tape,
            values,
            input_shape=shape_of_inputs(list(graph.inputs.values())),
            output_shape=of_one_point(values.shape) if has_batches(graph) else values.shape,
            what="the model",
            notes=graph.notes,
        )
        try:
            source = in_float64(graph, rest, version)
            most_points = affordable_points(source, tape.num_inputs)
            return read(source=source, precision=DOUBLE_PRECISION, most_points=most_points)
        except Exception as error:
            runtime = in_runtime(proto, graph, folder)
            if runtime is None:
                raise ValueError(
                    f"the layers cannot be compared with the model: {first_line(error)}. Where onnx's reference "
                    "implementation is at fault, they are compared with onnxruntime, if that is installed."
                ) from error
            try:
                return read(source=runtime, precision=SINGLE_PRECISION, most_points=POINTS_IN_RUNTIME)
            except ValueError as second:
                raise ValueError(
                    f"the layers cannot be compared with the model: {first_line(error)}; and in onnxruntime: "
                    f"{first_line(second)}."
                ) from error


def _num_networks(model: Any) -> int:
    """How many networks a model of :func:`jaxgeom.to_onnx` says that it holds; 0 for others."""
    said = [each.value for each in model.metadata_props if each.key == POPULATION]
    most_digits = 9
    return int(said[0]) if said and said[0].isdecimal() and len(said[0]) <= most_digits else 0


def _population(graph: Graph, num: int, version: int, folder: Path | None) -> Imported:
    """The networks whose weights stand in stacks, each read by itself with its part of them."""
    arrays = {name: array_of(tensor, folder) for name, tensor in graph.constants.items()}
    stacks = [name for name, array in arrays.items() if array.ndim == STACK]
    if not stacks or any(len(arrays[name]) != num for name in stacks):
        raise ValueError(f"the model says that it holds {num} networks, but its weights are not stacks of so many.")
    found = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for index in range(num):
            own = {name: arrays[name][index : index + 1] for name in stacks}
            tape = Tape(channel_axis=1)
            values, _ = followed(graph._replace(constants=arrays | own), tape, version, folder)
            found.append(chain_of(tape, values)[0])
        layers = _stacked(found)
        check_finite(layers)
        tape = Tape(channel_axis=1)
        source = in_float64(graph, followed(graph._replace(constants=arrays), tape, version, folder)[1], version)
        points = np.random.default_rng(0).normal(size=(POINTS_OF_POPULATIONS, tape.num_inputs))
        whole = source(points).reshape(len(points), num, -1)
        for index, network in enumerate(found):
            check_agrees(
                network,
                lambda x, index=index: whole[:, index],  # type: ignore[misc]
                tape.num_inputs,
                precision=DOUBLE_PRECISION,
                what=f"network {index} of the model",
                points=points,
            )
    return Imported(layers, (), (tape.num_inputs,), (whole.shape[-1],))


STACK = 3
"""Axes of weights of a population: networks, inputs, outputs."""

POINTS_OF_POPULATIONS = 16


def _stacked(networks: list[Layers]) -> Layers:
    """The population of networks of one shape."""
    shapes = [[layer.bias.shape for layer in layers] for layers in networks]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("the networks of the model do not have layers of one shape.")
    layers = []
    for parts in zip(*networks, strict=True):
        kernels = [part.kernel.toarray() if hasattr(part.kernel, "toarray") else part.kernel for part in parts]
        slopes = [np.zeros(part.bias.shape) if part.slope is None else part.slope for part in parts]
        slope = np.stack(slopes) if any(part.slope is not None for part in parts) else None
        layers.append(Dense(np.stack(kernels), np.stack([part.bias for part in parts]), slope))
    return tuple(layers)
