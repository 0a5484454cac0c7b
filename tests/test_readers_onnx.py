"""ONNX models read into layers: every operation against onnxruntime, exporters, counts in rationals."""

import io
from typing import Any

import numpy as np
import pytest
from read_truth import dense, gradients, outputs
from reference import exact_region_count

import jaxgeom as jg
from jaxgeom.networks.readers import onnx_evaluation, onnx_nodes

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402
from onnx_protos import FLOAT, control_network, floats, model, of_one, whole  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


def squares() -> Any:
    return model([helper.make_node("Mul", ["x", "x"], ["y"], name="it")], {"x": (1, 3)}, "y", {})


def jumps() -> Any:
    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["c"]),
        helper.make_node("Where", ["c", "x", "one"], ["y"], name="it"),
    ]
    return model(nodes, {"x": (1, 3)}, "y", {"zero": np.zeros(1, np.float32), "one": np.ones(1, np.float32)})


def is_likely() -> Any:
    nodes = [helper.make_node("Sigmoid", ["x"], ["p"], name="it"), helper.make_node("Cast", ["p"], ["c"], to=6)]
    return model([*nodes, helper.make_node("Cast", ["c"], ["y"], to=1)], {"x": (1, 3)}, "y", {})


def of_another_domain() -> Any:
    return model(
        [helper.make_node("FusedConv", ["x"], ["y"], name="it", domain="com.microsoft")], {"x": (1, 3)}, "y", {}
    )


ONE, IMAGE, ROW = (1, 3), (1, 2, 7, 6), (1, 3, 4)
NONE = np.array([], np.float32)
RESIZE = {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "ceil"}
OPERATIONS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("Conv", (1, 4, 7, 6), floats(6, 2, 3, 2), floats(6)), {"group": 2, "pads": [1, 0, 2, 1], "dilations": [1, 2]}),
    (("Conv", IMAGE, floats(3, 2, 3, 2)), {"auto_pad": "SAME_UPPER", "strides": [2, 2], "opset": 9}),
    (("Conv", (1, 2, 7), floats(3, 2, 4)), {"auto_pad": "SAME_LOWER"}),
    (("Conv", (1, 1, 4, 4, 4), floats(2, 1, 2, 2, 2), floats(2)), {"auto_pad": "VALID"}),
    (
        ("ConvTranspose", (1, 4, 5, 4), floats(4, 3, 3, 2), floats(6)),
        {"group": 2, "strides": [2, 1], "pads": [1, 0, 1, 1]},
    ),
    (
        ("ConvTranspose", (1, 2, 5, 4), floats(2, 3, 3, 3)),
        {"strides": [2, 3], "output_padding": [1, 0], "dilations": [1, 2]},
    ),
    (("ConvTranspose", (1, 2, 5, 6), floats(2, 3, 3, 2)), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    (("ConvTranspose", (1, 2, 5, 5), floats(2, 3, 3, 3)), {"strides": [2, 2], "output_shape": [10, 10]}),
    (("MaxPool", IMAGE), {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1], "opset": 11}),
    (("MaxPool", IMAGE), {"kernel_shape": [3, 3], "strides": [2, 3], "pads": [1, 1, 0, 0], "ceil_mode": 1}),
    (("MaxPool", IMAGE), {"kernel_shape": [2, 2], "dilations": [2, 3]}),
    (("MaxPool", IMAGE), {"kernel_shape": [3, 2], "auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    (("AveragePool", IMAGE), {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}),
    (
        ("AveragePool", IMAGE),
        {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER", "count_include_pad": 1},
    ),
    (("AveragePool", IMAGE), {"kernel_shape": [3, 3], "strides": [2, 3], "pads": [1, 1, 0, 0], "ceil_mode": 1}),
    (("AveragePool", IMAGE), {"kernel_shape": [2, 2], "dilations": [2, 2], "pads": [1, 1, 1, 1], "opset": 22}),
    (("GlobalAveragePool", (1, 3, 4, 5)), {}),
    (("GlobalMaxPool", ROW), {}),
    (("BatchNormalization", ROW, floats(3), floats(3), floats(3), floats(3) ** 2), {"epsilon": 0.01, "opset": 9}),
    (("BatchNormalization", ONE, floats(3), floats(3), floats(3), floats(3) ** 2), {}),
    (("Gemm", (1, 4), floats(3, 4), floats(1, 3)), {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    (("Gemm", (4, 1), floats(4, 3)), {"transA": 1}),
    (("MatMul", (1, 1, 1, 5), floats(5, 2)), {}),
    (("MatMul", (1, 2, 3, 5), floats(2, 5, 4)), {}),
    (("MatMul", (5,), floats(5, 2)), {}),
    (("PRelu", ROW, floats(3, 1)), {}),
    (("Abs", ONE), {}),
    (("Clip", ONE, np.float32(-0.5), np.float32(0.25)), {}),
    (("Clip", ONE, None, np.float32(0.25)), {}),
    (("Clip", ONE), {"min": -0.5, "opset": 6}),
    (("Clip", ONE, np.float32(-1e30), np.float32(0.5)), {}),
    (("Max", ROW, np.float32([-1e25, 0.5, -2.0, -1e35])), {}),
    (("Min", ROW, np.float32([1e25, 0.5, -2.0, 1e35])), {}),
    (("HardSigmoid", ONE), {}),
    (("ThresholdedRelu", ONE), {"alpha": 0.0}),
    (("Shrink", ONE), {"lambd": 0.25, "bias": 0.25}),
    (("Sub", ROW, floats(3, 1)), {}),
    (("Div", ROW, floats(4)), {}),
    (("Max", ROW, floats(4), floats(1)), {}),
    (("Min", ROW, floats(3, 1)), {}),
    (("Mean", ROW, floats(4), floats(1)), {}),
    (("ReduceMean", ROW), {"axes": [-1], "keepdims": 0, "opset": 11}),
    (("ReduceSum", ROW, whole(1, 2)), {"keepdims": 1}),
    (("ReduceSum", ROW), {"noop_with_empty_axes": 1}),
    (("ReduceMax", ROW, whole(2)), {"opset": 18, "keepdims": 0}),
    (("ReduceMin", ROW), {"opset": 18}),
    (("ReduceL1", ROW), {"axes": [1]}),
    (("CumSum", ROW, whole(-1)), {"reverse": 1, "exclusive": 1}),
    (("TopK", (1, 7), whole(3)), {"axis": 1, "num_outputs": 2, "which": 0}),
    (("TopK", (1, 5, 2), whole(2)), {"axis": -2, "largest": 0, "num_outputs": 2, "which": 0}),
    (("Reshape", ROW, whole(0, -1)), {}),
    (("Flatten", ROW), {"axis": 2}),
    (("Transpose", ROW), {"perm": [2, 0, 1]}),
    (("Squeeze", (1, 3, 1)), {"axes": [2], "opset": 11}),
    (("Unsqueeze", ONE), {"axes": [0, 3], "opset": 11}),
    (("Unsqueeze", ONE, whole(1)), {}),
    (("Split", (1, 6)), {"split": [2, 4], "axis": 1, "num_outputs": 2, "opset": 11}),
    (("Split", (1, 6), whole(2, 4)), {"axis": -1, "num_outputs": 2}),
    (("Slice", (1, 6, 4)), {"starts": [1, 0], "ends": [2**40, -1], "axes": [1, 2], "opset": 9}),
    (("Slice", (1, 6, 4), whole(-1), whole(-(2**60)), whole(1), whole(-2)), {}),
    (("Slice", (1, 6, 4), whole(-(2**63)), whole(-(2**63)), whole(1), whole(-2)), {}),
    (("Gather", (1, 6, 4), whole(3, -1)), {"axis": 1}),
    (("GatherElements", (1, 3, 2), np.array([[[0, 1], [2, 2]]])), {"axis": 1}),
    (("Expand", (1, 3, 1), whole(2, 1, 4)), {}),
    (("Tile", ONE, whole(2, 2)), {}),
    (("Pad", ROW, whole(2, 1), np.float32(-0.5), whole(2)), {"opset": 18}),
    (("Pad", ROW, whole(0, -1, 2, 0, 0, -1)), {}),
    (("Pad", ROW), {"pads": [0, 1, 2, 0, 0, 1], "value": 0.7, "opset": 9}),
    (("Pad", ROW, whole(0, 1, 2, 0, 0, 1)), {"mode": "reflect"}),
    (("Pad", ROW, whole(0, 1, 2, 0, 0, 1)), {"mode": "wrap", "opset": 19}),
    (("Dropout", ONE), {}),
    (("Resize", (1, 2, 3, 4), None, np.array([1, 1, 2, 1.5], np.float32)), RESIZE),
    (("Resize", (1, 2, 3, 4), NONE, NONE, whole(1, 2, 7, 3)), RESIZE | {"opset": 11, "nearest_mode": "floor"}),
    (("Resize", (1, 2, 3, 4), np.array([1, 1, 2, 3], np.float32)), {"opset": 10}),
    (("Upsample", (1, 2, 3, 4)), {"scales": [1.0, 1.0, 2.0, 2.0], "opset": 7}),
    (("DepthToSpace", (1, 8, 2, 3)), {"blocksize": 2, "mode": "CRD"}),
    (("SpaceToDepth", (1, 2, 4, 6)), {"blocksize": 2}),
]


@pytest.mark.parametrize(
    ("args", "options"), OPERATIONS, ids=[f"{args[0]}-{i}" for i, (args, _) in enumerate(OPERATIONS)]
)
def test_operations_are_onnxruntimes(args: Any, options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnx_evaluation, "CHECK_SECONDS", 0.01)
    proto = of_one(*args, **options)
    read = jg.from_onnx(proto)
    session = runtime.InferenceSession(proto.SerializeToString())
    points = np.random.default_rng(1).normal(size=(20, *args[1])).astype(np.float32)
    expected = np.array([session.run(None, {"x": point})[0] for point in points])
    assert np.prod(read.output_shape) == expected[0].size
    np.testing.assert_allclose(outputs(read.layers, points), expected.reshape(20, -1), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("proto", "operation"),
    [
        (of_one("Tanh", ONE), "Tanh (it)"),
        (squares(), "Mul (it).*both factors"),
        (jumps(), "Where (it).*jumps"),
        (of_one("Max", ROW, None, floats(4)), "Max (it).*an input is missing"),
        (of_another_domain(), "com.microsoft.FusedConv (it)"),
        (of_one("ThresholdedRelu", ONE), "ThresholdedRelu (it).*jumps"),
        (of_one("Shrink", ONE), "Shrink (it).*jumps"),
        (of_one("LpPool", IMAGE, kernel_shape=[2, 2]), "LpPool (it)"),
        (of_one("Resize", (1, 2, 3, 4), None, np.ones(4, np.float32), mode="linear"), "Resize (it).*linear"),
        (of_one("BatchNormalization", ONE, *[floats(3)] * 4, training_mode=1), "BatchNormalization (it).*batch"),
        (of_one("Cast", ONE, to=onnx.TensorProto.INT64), "Cast (it).*rounds"),
        (of_one("QuantizeLinear", ONE, np.float32(0.1), np.uint8(0)), "QuantizeLinear (it)"),
        (of_one("Gather", ONE, whole(7), axis=1), "Gather (it).*out of bounds"),
        (of_one("Conv", IMAGE, floats(2, 3, 2, 2)), "Conv (it).*does not fit"),
        (of_one("MaxPool", IMAGE, kernel_shape=[9, 9]), "MaxPool (it).*does not fit"),
        (of_one("Where", ONE, floats(3), floats(3)), "Where (it).*no comparison"),
        (of_one("Softmax", ONE, axis=0), "Softmax (it).*points of a batch"),
        (of_one("Softmax", ONE, axis=0, opset=11), "Softmax (it).*points of a batch"),
        (of_one("LogSoftmax", (1, 3, 1), axis=-1), "LogSoftmax (it).*constant"),
        (is_likely(), "Sigmoid (it)"),
    ],
)
def test_what_has_no_layers_is_refused_by_name(proto: Any, operation: str) -> None:
    with pytest.raises(ValueError, match=operation.replace("(", r"\(").replace(")", r"\)")) as caught:
        jg.from_onnx(proto)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "is_new"), [("residual", False), ("transposed", False), ("residual", True), ("mixed", True)]
)
def test_both_exporters_of_pytorch(name: str, is_new: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_evaluation, "CHECK_SECONDS", 0.05)
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from test_readers_torch import built

    module, shape = built(name)
    if is_new:
        proto = torch.onnx.export(module, (torch.zeros(1, *shape),), dynamo=True, verbose=False).model_proto
    else:
        file = io.BytesIO()
        axes = {"x": {0: "batch"}}
        names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": axes}
        torch.onnx.export(module, (torch.zeros(1, *shape),), file, dynamo=False, **names)
        proto = onnx.load_model_from_string(file.getvalue())
    read = jg.from_onnx(proto)
    assert read.input_shape == shape
    points = np.random.default_rng(1).normal(size=(10_000, *shape)).astype(np.float32)
    x = torch.from_numpy(points)
    with torch.no_grad():
        expected = module(x[:1000]).flatten(1).numpy()
    np.testing.assert_allclose(
        outputs(read.layers, points[:1000]), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
    )
    tensor = x.double().requires_grad_()
    module.double()(tensor).flatten(1)[:, 0].sum().backward()
    found = gradients(read.layers, points, 0)
    np.testing.assert_allclose(found, tensor.grad.flatten(1).numpy(), rtol=1e-6, atol=1e-9)
    sizes = [layer.bias.size for layer in jg.from_torch(module, torch.zeros(1, *shape)).layers]
    assert [layer.bias.size for layer in read.layers] == sizes


@pytest.mark.parametrize("is_gemm", [False, True])
def test_control_networks(is_gemm: bool) -> None:
    proto, pairs = control_network((5, 12, 12, 12, 5), is_gemm=is_gemm)
    read = jg.from_onnx(proto)
    assert read.input_shape == (1, 1, 5)
    assert read.output_shape == (5,)
    assert [layer.bias.size for layer in read.layers] == [12, 12, 12, 5]
    assert jg.unit_name(read.units[1], 7) == "relu_1[0, 7]"
    mean = numpy_helper.to_array(proto.graph.initializer[0]).ravel().astype(np.float64)
    layers = [jg.Dense(kernel.astype(np.float64), bias.astype(np.float64)) for kernel, bias in pairs]
    layers[0] = jg.Dense(layers[0].kernel / 2, layers[0].bias - mean @ layers[0].kernel / 2)
    plane = jg.plane_through(np.zeros(5), np.eye(5)[0], np.eye(5)[1])
    found = jg.count_regions(jg.on_plane(read.layers, plane), jg.box(-5, 5))
    wanted = jg.count_regions(jg.on_plane(tuple(layers), plane), jg.box(-5, 5))
    assert found.count == wanted.count > 50


def test_regions_of_a_convolution_in_rationals() -> None:
    """A picture of 3×3 places on a plane of whole directions, all weights whole: against polygons cut in fractions."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(-3, 4, (2, 1, 2, 2)), rng.integers(-3, 4, (2, 2, 2, 2))
    offsets = rng.integers(-3, 4, 2), rng.integers(-3, 4, 2)
    nodes = [
        helper.make_node("Conv", ["x", "a", "p"], ["u"]),
        helper.make_node("Relu", ["u"], ["v"]),
        helper.make_node("Conv", ["v", "b", "q"], ["w"], pads=[1, 0, 0, 1]),
        helper.make_node("Relu", ["w"], ["r"]),
        helper.make_node("ReduceSum", ["r"], ["y"], keepdims=0),
    ]
    arrays = dict(zip("abpq", (first, second, *offsets), strict=True))
    proto = model(nodes, {"x": (1, 1, 3, 3)}, "y", {name: each.astype(np.float32) for name, each in arrays.items()})
    directions = rng.integers(-2, 3, (2, 9)).astype(float)
    layers = jg.from_onnx(proto).layers
    on_plane = (layers[0]._replace(kernel=directions @ dense(layers[0].kernel)), *layers[1:])

    def by_hand(weight: np.ndarray, size: int, pads: tuple[int, int]) -> np.ndarray:
        """The matrix of a convolution with windows of 2×2 on size×size places, with pads above and on the right."""
        steps = size - 1 + pads[0]
        matrix = np.zeros((weight.shape[1], size, size, weight.shape[0], steps, steps))
        for row in range(steps):
            for column in range(steps):
                for i in range(2):
                    for j in range(2):
                        y, x = row + i - pads[0], column + j
                        if 0 <= y < size and 0 <= x < size:
                            matrix[:, y, x, :, row, column] = weight[:, :, i, j].T
        return matrix.reshape(weight.shape[1] * size**2, -1)

    kernels = directions @ by_hand(first, 3, (0, 0)), by_hand(second, 2, (1, 1))
    biases = [
        np.repeat(offset, kernel.shape[1] // 2).astype(float) for offset, kernel in zip(offsets, kernels, strict=True)
    ]
    truth = [(kernels[0], biases[0]), (kernels[1], biases[1]), (np.ones((8, 1)), np.zeros(1))]
    corners = [(-3, -3), (3, -3), (3, 3), (-3, 3)]
    count = exact_region_count(truth, corners)
    assert jg.count_regions(on_plane, jg.box(-3, 3)).count == count > 20


def test_inputs_and_outputs() -> None:
    node = helper.make_node
    # a weight that is also an input, as files of the first years have it; an open axis of batches
    weights = {"W": floats(3, 2)}
    proto = model([node("MatMul", ["x", "W"], ["z"]), node("Relu", ["z"], ["y"])], {"x": ("batch", 3)}, "y", weights)
    proto.graph.input.append(helper.make_tensor_value_info("W", FLOAT, [3, 2]))
    read = jg.from_onnx(proto)
    assert (read.input_shape, read.output_shape) == ((3,), (2,))
    # a network without an axis of batches
    read = jg.from_onnx(model([node("MatMul", ["x", "W"], ["y"])], {"x": (3,)}, "y", weights))
    assert (read.input_shape, read.output_shape) == ((3,), (2,))
    # two inputs, one of which is a picture, and one that is not used
    nodes = [node("Flatten", ["p"], ["q"]), node("Concat", ["q", "x"], ["z"], axis=1), node("Relu", ["z"], ["y"])]
    read = jg.from_onnx(model(nodes, {"x": (1, 2), "p": (1, 1, 2, 2), "unused": (7,)}, "y", {}))
    np.testing.assert_array_equal(outputs(read.layers, np.arange(1.0, 7)[None]), [[3, 4, 5, 6, 1, 2]])
    assert read.input_shape == (6,)
    assert read.notes == (
        "input 'unused' is not used, and was left out",
        "the inputs are one behind the other: 'x' (1, 2), 'p' (1, 1, 2, 2)",
    )
    # any tensor can be the output
    assert jg.from_onnx(model(nodes, {"x": (1, 2), "p": (1, 1, 2, 2)}, "y", {}), output="q").output_shape == (4,)
    with pytest.raises(ValueError, match=r"no node makes 'r'; the outputs of the graph are \['y'\]"):
        jg.from_onnx(model(nodes, {"x": (1, 2), "p": (1, 1, 2, 2)}, "y", {}), output="r")
    # shapes that the model leaves open
    relu = model([node("Relu", ["x"], ["y"])], {"x": ("batch", 1, "height", "width")}, "y", {})
    with pytest.raises(ValueError, match=r"'x' has the shape \(1, 1, \?, \?\), of which not all is known"):
        jg.from_onnx(relu)
    assert jg.from_onnx(relu, shapes=(1, 1, 2, 3)).input_shape == (1, 2, 3)
    assert jg.from_onnx(relu, shapes={"x": (1, 1, 2, 3)}).input_shape == (1, 2, 3)
    with pytest.raises(ValueError, match=r"has the shape \(\?, 1, \?, \?\), but \(1, 3, 2, 3\) was given"):
        jg.from_onnx(relu, shapes=(1, 3, 2, 3))
    with pytest.raises(ValueError, match=r"shapes were given for \['z'\], but the inputs are \['x'\]"):
        jg.from_onnx(model([node("Relu", ["x"], ["y"])], {"x": (3,)}, "y", {}), shapes={"z": (1,)})


@pytest.mark.parametrize("end", ["Softmax", "LogSoftmax", "Sigmoid"])
def test_a_softmax_at_the_end_is_left_off(end: str) -> None:
    nodes = [helper.make_node("MatMul", ["x", "W"], ["z"]), helper.make_node(end, ["z"], ["s"])]
    nodes.append(helper.make_node("Reshape", ["s", "shape"], ["y"]))
    weights = {"W": floats(3, 2), "shape": whole(-1)}
    read = jg.from_onnx(model(nodes, {"x": (1, 3)}, "y", weights))
    assert read.notes[0].startswith(f"{end} at the end was left off")
    np.testing.assert_allclose(read.layers[-1].kernel, floats(3, 2))
    nodes.append(helper.make_node("Relu", ["y"], ["r"]))
    with pytest.raises(ValueError, match=rf"operation {end} \(s\)"):
        jg.from_onnx(model(nodes, {"x": (1, 3)}, "r", weights))


@pytest.mark.parametrize("has_dictionaries", [False, True])
def test_classifiers_of_scikit_learn(has_dictionaries: bool) -> None:
    """As its converter writes them: a scaler, and probabilities of two classes, in an array or in dictionaries."""
    node, ml = helper.make_node, "ai.onnx.ml"
    nodes = [
        node("Scaler", ["x"], ["s"], domain=ml, offset=[1.0, 2.0], scale=[0.5, 3.0]),
        node("MatMul", ["s", "A"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("MatMul", ["r", "B"], ["z"]),
        node("Sigmoid", ["z"], ["p"]),
        node("Sub", ["one", "p"], ["q"]),
        node("Concat", ["q", "p"], ["both"], axis=1),
        node("ArgMax", ["both"], ["label"], axis=1),
        node("ZipMap", ["both"], ["each"], domain=ml, classlabels_int64s=[0, 1]),
    ]
    weights = {"A": floats(2, 4), "B": floats(4, 1), "one": np.float32(1)}
    proto = model(nodes[: 9 if has_dictionaries else 8], {"x": (None, 2)}, "both", weights)
    proto.opset_import.append(helper.make_opsetid(ml, 1))
    del proto.graph.output[:]
    proto.graph.output.append(helper.make_tensor_value_info("label", onnx.TensorProto.INT64, [None]))
    numbers = helper.make_map_type_proto(onnx.TensorProto.INT64, helper.make_tensor_type_proto(FLOAT, []))
    dictionaries = helper.make_value_info("each", helper.make_sequence_type_proto(numbers))
    array = helper.make_tensor_value_info("both", FLOAT, [None, 2])
    proto.graph.output.append(dictionaries if has_dictionaries else array)
    read = jg.from_onnx(proto)
    assert [note.split(",")[0] for note in read.notes] == [
        "of probabilities 1 - p and p",
        "Sigmoid at the end was left off: probability 1/2 is 0 here",
    ]
    x = np.random.default_rng(0).normal(size=(9, 2))
    expected = np.maximum((x - [1, 2]) * [0.5, 3] @ weights["A"], 0) @ weights["B"]
    np.testing.assert_allclose(outputs(read.layers, x), expected, rtol=1e-6, atol=1e-6)
    (pair,) = [node for node in proto.graph.node if node.op_type == "Concat"]
    pair.attribute[0].i = 0  # then these are two points
    with pytest.raises(ValueError, match=r"Sigmoid \(p\)"):
        jg.from_onnx(proto)
    pair.attribute[0].i = 1
    proto.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.float32(2), "one"))  # then it is no probability
    with pytest.raises(ValueError, match=r"Sigmoid \(p\)"):
        jg.from_onnx(proto)


def test_constants_are_folded() -> None:
    """Shapes that are calculated, quantised weights, constant nodes, functions of the model's own."""
    node = helper.make_node
    nodes = [
        node("DequantizeLinear", ["W", "scale", "zero"], ["kernel"]),
        node("MatMul", ["x", "kernel"], ["z"]),
        node("Shape", ["z"], ["shape"]),
        node("Constant", [], ["index"], value=numpy_helper.from_array(np.int64(0).reshape(()), "")),
        node("Gather", ["shape", "index"], ["batch"]),
        node("Constant", [], ["axis"], value_ints=[0]),
        node("Unsqueeze", ["batch", "axis"], ["first"]),
        node("Constant", [], ["rest"], value_ints=[2, -1]),
        node("Concat", ["first", "rest"], ["sizes"], axis=0),
        node("Reshape", ["z", "sizes"], ["pairs"]),
        node("Twice", ["pairs"], ["y"], domain="own"),
    ]
    twice = helper.make_function(
        "own", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    weights = {"W": np.arange(12, dtype=np.uint8).reshape(3, 4), "scale": np.float32(0.5), "zero": np.uint8(3)}
    proto = model(nodes, {"x": ("n", 3)}, "y", weights, functions=[twice])
    proto.opset_import.append(helper.make_opsetid("own", 1))
    read = jg.from_onnx(proto)
    np.testing.assert_array_equal(read.layers[0].kernel, (np.arange(12.0).reshape(3, 4) - 3))
    assert read.output_shape == (2, 2)


def test_large_convolutions_are_sparse() -> None:
    proto = model(
        [helper.make_node("Conv", ["x", "W"], ["z"], pads=[1] * 4), helper.make_node("Relu", ["z"], ["y"])],
        {"x": (1, 1, 16, 16)},
        "y",
        {"W": floats(4, 1, 3, 3)},
    )
    kernel = jg.from_onnx(proto).layers[0].kernel
    assert kernel.nnz == 4 * (16 * 3 - 2) ** 2


def test_the_layers_are_compared_with_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from jaxgeom.networks.readers import onnx_operations

    wrong = onnx_operations.OPERATIONS | {"Relu": onnx_operations.OPERATIONS["Abs"]}
    monkeypatch.setattr(onnx_nodes, "OPERATIONS", wrong)
    with pytest.raises(ValueError, match=r"not what the model computes: at a random point"):
        jg.from_onnx(model([helper.make_node("Relu", ["x"], ["y"])], {"x": (1, 3)}, "y", {}))


def test_a_runtime_that_comes_down_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime is asked in a process of its own."""
    pytest.importorskip("onnxruntime")
    from jaxgeom.networks.readers import onnx_models, onnx_process

    proto = model([helper.make_node("Relu", ["x"], ["y"])], {"x": (1, 3)}, "y", {})

    def fails(*_: Any) -> Any:
        raise ValueError("it is at fault")

    monkeypatch.setattr(onnx_models, "in_float64", fails)
    assert len(jg.from_onnx(proto).layers) == 2
    monkeypatch.setattr(onnx_process, "__file__", "crash.py")
    with pytest.raises(ValueError, match=r"it is at fault; and in onnxruntime: onnxruntime cannot run the model\.$"):
        jg.from_onnx(proto)
