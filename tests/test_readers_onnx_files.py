"""Files of ONNX that are not what they should be: weights elsewhere, huge, hostile and damaged ones end in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom.networks.readers import onnx_evaluation, onnx_nodes

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402
from onnx_protos import FLOAT, control_network, floats, model, whole  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


def saved_beside(folder: Path, **changed: str) -> Path:
    """A model with its weights in a file of their own."""
    (folder / "weights.bin").write_bytes(floats(3, 2).tobytes())
    tensor = onnx.TensorProto(name="W", data_type=FLOAT, dims=[3, 2], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in ({"location": "weights.bin"} | changed).items():
        tensor.external_data.add(key=key, value=value)
    proto = model([helper.make_node("MatMul", ["x", "W"], ["y"])], {"x": (1, 3)}, "y", {})
    proto.graph.initializer.append(tensor)
    path = folder / f"beside{len(list(folder.iterdir()))}.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_weights_beside_the_model_and_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    np.testing.assert_array_equal(jg.from_onnx(saved_beside(folder)).layers[0].kernel, floats(3, 2))
    (tmp_path / "secret.bin").write_bytes(bytes(24))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    for location in ("../secret.bin", str(tmp_path / "secret.bin"), "link.bin", "a/../../secret.bin"):
        with pytest.raises(ValueError, match=r"'W' cannot be read: its data are outside of the model's folder"):
            jg.from_onnx(saved_beside(folder, location=location))
    for changed in ({"offset": "8"}, {"length": "24000"}, {"offset": "-4"}, {"length": "x"}, {"location": "none.bin"}):
        with pytest.raises(ValueError, match=r"'W' cannot be read"):
            jg.from_onnx(saved_beside(folder, **changed))
    with pytest.raises(ValueError, match=r"give the path of the model"):
        jg.from_onnx(onnx.load_model(str(saved_beside(folder)), load_external_data=False))


def huge(kind: str) -> Any:
    """Models of a few bytes that ask for terabytes, or for ever."""
    node, big = helper.make_node, whole(10**5, 10**5, 10**3)
    if kind == "input":
        return model([node("Relu", ["x"], ["y"])], {"x": (1, 10**6, 10**6)}, "y", {})
    if kind == "tensor":
        proto = model([node("Add", ["x", "W"], ["y"])], {"x": (1, 3)}, "y", {"W": floats(3)})
        proto.graph.initializer[0].dims[:] = [10**6, 10**6]
        return proto
    if kind == "functions":
        calls = [
            helper.make_function(
                "own",
                f"f{i}",
                ["a"],
                ["c"],
                [node(f"f{i + 1}", ["a"], ["b"], domain="own"), node(f"f{i + 1}", ["b"], ["c"], domain="own")],
                [helper.make_opsetid("own", 1)],
            )
            for i in range(60)
        ]
        return model([node("f0", ["x"], ["y"], domain="own")], {"x": (1, 3)}, "y", {}, functions=calls)
    if kind == "recursion":
        call = helper.make_function("own", "f", ["a"], ["b"], [node("f", ["a"], ["b"], domain="own")], [])
        return model([node("f", ["x"], ["y"], domain="own")], {"x": (1, 3)}, "y", {}, functions=[call])
    middle = {
        "constant": [node("ConstantOfShape", ["big"], ["h"])],
        "expand": [node("Expand", ["x", "big"], ["h"])],
        "tile": [node("Tile", ["x", "pair"], ["h"])],
        "range": [node("Range", ["start", "end", "step"], ["h"])],
        "pad": [node("Pad", ["x", "pads"], ["h"])],
        "resize": [node("Resize", ["image", "", "", "sizes"], ["h"])],
        "outer": [node("Mul", ["column", "row"], ["h"])],
        "doubling": [node("Concat", [f"h{i}", f"h{i}"], [f"h{i + 1}"], axis=0) for i in range(60)],
    }[kind]
    first = [node("Identity", ["x"], ["h0"]), node("Reshape", ["x", "four"], ["image"])]
    arrays = {
        "big": big, "pair": whole(10**6, 10**6), "pads": whole(0, 10**6, 0, 10**6), "four": whole(1, 1, 1, 3),
        "start": np.int64(0), "end": np.int64(2**62), "step": np.int64(1), "sizes": whole(1, 1, 10**6, 10**6),
        "column": np.ones((10**5, 1), np.float32), "row": np.ones((1, 10**5), np.float32),
    }  # fmt: skip
    last = node("Add", ["h60" if kind == "doubling" else "h", "x"], ["y"])
    return model([*first, *middle, last], {"x": (1, 3)}, "y", arrays)


HUGE = ("input", "tensor", "functions", "recursion", "constant", "expand", "tile", "range", "pad", "resize", "outer")


@pytest.mark.parametrize("kind", [*HUGE, "doubling"])
def test_what_would_take_all_memory_ends_in_one_line(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_nodes, "MOST_IN_ALL", 2**20)
    with pytest.raises(ValueError, match=r".") as caught:
        jg.from_onnx(huge(kind))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_hostile_files_end_in_one_line(tmp_path: Path) -> None:
    whole_file = control_network((5, 4, 3))[0].SerializeToString()
    noise = np.random.default_rng(0)
    files = {
        "empty": b"",
        "noise": noise.bytes(4000),
        "text": b"a model\n" * 9,
        "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00.",
        "no_graph": onnx.ModelProto(ir_version=8).SerializeToString(),
        "kind": model([], {"x": (1, 3)}, "x", {}).SerializeToString().replace(b"\x08\x01\x12", b"\x08\x6f\x12"),
        "name": whole_file.replace(b"MatMul", b"Mat\xcdul"),
        "cut": whole_file[: len(whole_file) // 2],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for name in (*files, "missing", "folder/x", "nul\0"):
        with pytest.raises(ValueError, match=r".") as caught:
            jg.from_onnx(tmp_path / name)
        assert "\n" not in str(caught.value), name
    with pytest.raises(TypeError, match=r"a path or an onnx\.ModelProto is needed, but list was given"):
        jg.from_onnx([1])


def refused(path: Path) -> str:
    """Why a file cannot be read, or nothing if it can."""
    try:
        read = jg.from_onnx(path)
    except ValueError as error:
        return str(error)
    assert all(np.isfinite(layer.kernel).all() for layer in read.layers)
    return ""


def test_damaged_files_are_refused_or_read_as_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes changed, cut out and put in at random, everywhere in the file."""
    monkeypatch.setattr(onnx_evaluation, "CHECK_SECONDS", 0.001)
    original = control_network((5, 4, 3))[0].SerializeToString()
    rng = np.random.default_rng(0)
    outcomes = {"read": 0, "refused": 0}
    for trial in range(400):
        content = bytearray(original)
        place = int(rng.integers(len(content)))
        if trial % 4 == 0:
            del content[place:]
        elif trial % 4 == 1:
            del content[place : place + int(rng.integers(1, 9))]
        elif trial % 4 == 2:
            content[place] ^= 1 << int(rng.integers(8))
        else:
            content[place:place] = rng.bytes(int(rng.integers(1, 9)))
        path = tmp_path / "damaged.onnx"
        path.write_bytes(bytes(content))
        message = refused(path)
        assert "\n" not in message
        assert len(message) < 900
        outcomes["refused" if message else "read"] += 1
    assert min(outcomes.values()) > 20
