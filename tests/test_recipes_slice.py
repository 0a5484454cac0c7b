"""``python -m jaxgeom slice``: files of every kind, what is saved, and errors in one line."""

import itertools
import json
import re

import numpy as np
import pytest
from PIL import Image

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.recipes.slice import pictures
from jaxgeom.recipes.slice.experiment import anchor_rows, slices_of
from jaxgeom.recipes.slice.files import read_labels, read_network, read_points

RNG = np.random.default_rng(5)
X = RNG.uniform(0, 1, (12, 4))
Y = np.arange(12) % 3
WIDTHS = (4, 6, 5, 3)
KERNELS = [RNG.normal(size=(a, b)).astype(np.float32) for a, b in itertools.pairwise(WIDTHS)]
BIASES = [RNG.normal(size=width).astype(np.float32) for width in WIDTHS[1:]]
LAYERS = tuple(map(jg.Dense, KERNELS, BIASES))


@pytest.fixture
def folder(tmp_path):
    arrays = {f"W{i}": kernel for i, kernel in enumerate(KERNELS)} | {f"b{i}": bias for i, bias in enumerate(BIASES)}
    np.savez(tmp_path / "net.npz", **arrays)
    np.savez(tmp_path / "half.npz", **{name: 0.5 * array for name, array in arrays.items()})
    np.savez(tmp_path / "points.npz", x=X.reshape(12, 2, 2), y=Y)
    np.save(tmp_path / "points.npy", X)
    np.save(tmp_path / "labels.npy", Y)
    np.savetxt(tmp_path / "points.csv", X, delimiter=",", header="a,b,c,d", comments="")
    np.savetxt(tmp_path / "plain.csv", X, delimiter=",")
    (tmp_path / "labels.csv").write_text("\n".join(map(str, Y)))
    return tmp_path


def same(layers):
    return all(
        np.array_equal(np.asarray(part), array)
        for layer, wanted in zip(layers, LAYERS, strict=True)
        for part, array in zip(layer[:2], wanted[:2], strict=True)
    )


def test_networks_from_arrays_and_weights(folder):
    assert same(read_network(folder / "net.npz"))
    names = ("first", "second", "third")
    state = {f"{name}.weight": kernel.T for name, kernel in zip(names, KERNELS, strict=True)}
    state |= {f"{name}.bias": bias for name, bias in zip(names, BIASES, strict=True)}
    np.savez(folder / "state.npz", **state)
    assert same(read_network(folder / "state.npz", names))
    leaky = read_network(folder / "net.npz", activation=0.2)
    assert (np.asarray(leaky[0].slope) == 0.2).all()
    with pytest.raises(ValueError, match=r"order"):
        read_network(folder / "state.npz")
    torch = pytest.importorskip("torch")
    torch.save({name: torch.as_tensor(np.ascontiguousarray(array)) for name, array in state.items()}, folder / "net.pt")
    assert same(read_network(folder / "net.pt", names))
    with pytest.raises(ValueError, match=r"input to output: --order\.$"):
        read_network(folder / "net.pt")


def test_networks_from_safetensors(folder):
    safetensors = pytest.importorskip("safetensors.numpy")
    names = ("first", "second", "third")
    state = {f"{name}.weight": np.ascontiguousarray(kernel.T) for name, kernel in zip(names, KERNELS, strict=True)}
    state |= {f"{name}.bias": bias for name, bias in zip(names, BIASES, strict=True)}
    safetensors.save_file(state, folder / "net.safetensors")
    assert same(read_network(folder / "net.safetensors", names))
    assert (np.asarray(read_network(folder / "net.safetensors", names, -1.0)[0].slope) == -1).all()


def test_networks_from_onnx(folder):
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    tensors, nodes = [], []
    for i, (kernel, bias) in enumerate(zip(KERNELS, BIASES, strict=True)):
        tensors += [numpy_helper.from_array(kernel, f"W{i}"), numpy_helper.from_array(bias, f"b{i}")]
        out = "y" if i == len(KERNELS) - 1 else f"z{i}"
        nodes.append(helper.make_node("Gemm", ["x" if i == 0 else f"h{i - 1}", f"W{i}", f"b{i}"], [out]))
        nodes += [helper.make_node("Relu", [out], [f"h{i}"])] * (out != "y")
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, (1, w)) for n, w in (("x", 4), ("y", 3))]
    onnx.save(helper.make_model(helper.make_graph(nodes, "net", ends[:1], ends[1:], tensors)), folder / "net.onnx")
    assert same(read_network(folder / "net.onnx"))


def test_points_of_every_kind(folder):
    for name in ("points.npz", "points.npy", "points.csv", "plain.csv"):
        x, labels = read_points(folder / name)
        np.testing.assert_allclose(x, X, rtol=1e-15)
        assert (labels is not None) == (name == "points.npz")
    for name in ("labels.npy", "labels.csv"):
        np.testing.assert_array_equal(read_labels(folder / name, 12), Y)
    np.testing.assert_array_equal(read_points(folder / "points.npz")[1], Y)


@pytest.mark.usefixtures("sound_pictures")
@pytest.mark.slow
def test_files_hold_what_they_promise(folder, capsys):
    pytest.importorskip("shapely")
    out = folder / "out"
    first, second, points = (str(folder / name) for name in ("net.npz", "half.npz", "points.npz"))
    command = ["slice", first, second, "--points", points]
    more = ["--planes", "3", "--quiet", "--formats", "png", "svg", "--geojson", "--rows", "4", "2", "7", "--quick"]
    assert main([*command, *more, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    study, report = jg.study.load(out / "slice.npz"), json.loads((out / "slice.json").read_text())
    assert study["network"].tolist() == ["net.npz", "half.npz"]
    assert study["num_holes"].shape == (2, 3, 3)
    plane = jg.plane_through(*X[[4, 2, 7]])
    found = jg.slice_network(LAYERS, plane, jg.box_on_plane(plane, X.min(axis=0), X.max(axis=0)))
    assert study["num_regions"][0, 0] == found.complex_.num_faces
    np.testing.assert_allclose(study["class_area"][0, 0], found.regions.class_area, atol=1e-12)
    row = report["statistics"][0]
    assert row["num_regions"]["mean"] == pytest.approx(study["num_regions"][0].mean())
    np.testing.assert_allclose(row["class_shares"], found.regions.class_area / found.regions.area.sum(), atol=1e-12)
    assert report["settings"]["rows"] == [4, 2, 7]
    assert f"{found.complex_.num_faces} ({study['num_regions'][0].mean():.4g})" in printed
    assert "mean of 3 planes" in printed
    assert json.loads((out / "slice_net.geojson").read_text())["type"] == "FeatureCollection"
    for name in ("slice", "slice_numbers"):
        with Image.open(out / f"{name}.png") as picture:
            assert min(picture.size) > 200
        assert (out / f"{name}.svg").exists()
    along = [
        "slice",
        first,
        "--points",
        points,
        "--along",
        "2",
        "0",
        "--rows",
        "5",
        "--bounds",
        "0",
        "1",
        "--planes",
        "1",
    ]
    assert main([*along, "--quiet", "--formats", "png", "--out", str(folder / "along")]) == 0
    plane = jg.plane_along_inputs(X[5], (2, 0))
    count = jg.count_regions(jg.on_plane(LAYERS, plane), jg.box(0, 1)).count
    assert jg.study.load(folder / "along" / "slice.npz")["num_regions"].tolist() == [[count]]


def test_the_points_of_the_first_plane():
    assert anchor_rows(12, Y, None).tolist() == [0, 1, 2]
    assert anchor_rows(12, Y[::-1].copy(), None).tolist() == [2, 1, 0]
    assert anchor_rows(5, np.zeros(5, int), None).tolist() == [0, 1, 2]
    assert anchor_rows(5, None, [4, 0, 1]).tolist() == [4, 0, 1]
    with pytest.raises(ValueError, match="there are 2"):
        anchor_rows(2, None, None)


def test_pictures_show_every_network_and_plane():
    found = slices_of({"a": LAYERS, "b": LAYERS}, X, Y, num_planes=5)
    figure = pictures.slices_figure(found, X, Y, image_shape=(2, 2), names=["x", "y", "z"])
    assert [ax.get_title() for ax in figure.axes] == [
        f"{k}: {found.shown[k].complex_.num_faces} linear regions" for k in "ab"
    ]
    assert "colours of their classes" in figure.get_supxlabel()
    numbers = pictures.numbers_figure(found)
    assert "of 5" in numbers.get_suptitle()
    for ax, key in zip(
        numbers.axes, ("region_density", "boundary_length", "num_components", "local_complexity"), strict=True
    ):
        values = found.study[key].sum(axis=-1) if key == "num_components" else found.study[key]
        shown = [np.asarray(dots.get_offsets())[:, 0] for dots in ax.collections]
        np.testing.assert_allclose(shown, values)


@pytest.mark.parametrize(
    ("file", "arguments", "message"),
    [
        ("net.h5", [], r"networks are read from files .onnx"),
        ("none.npz", [], "there is no file"),
        ("net.nnet", [], r"no \.nnet|cannot be read|\.nnet"),
        ("broken.npz", [], "'broken.npz' cannot be read"),
        ("odd.npz", [], "needs kernels W0"),
        ("net.npz", ["--points", "points.txt"], "points are read from files"),
        ("net.npz", ["--points", "odd.npz"], "needs an array x"),
        ("net.npz", ["--points", "words.csv"], "cannot be read as numbers"),
        ("net.npz", ["--points", "empty.csv"], "needs numbers|cannot be read"),
        ("net.npz", ["--points", "wide.npy"], "takes 4 inputs, but the points"),
        ("net.npz", ["--points", "nan.npy"], "NaN or infinite"),
        ("net.npz", ["--points", "pickled.npy"], "'pickled.npy' cannot be read"),
        ("net.npz", ["--labels", "plain.csv"], "must be 12 integers"),
        ("net.npz", ["--rows", "0", "1"], "three rows must be given"),
        ("net.npz", ["--rows", "0", "1", "12"], "from 0 to 11"),
        ("net.npz", ["--rows", "0", "1", "1"], "three different rows"),
        ("net.npz", ["--along", "0", "4"], "two different inputs from 0 to 3"),
        ("net.npz", ["--along", "0", "1", "--rows", "99"], "rows go from 0 to 11"),
        ("net.npz", ["--bounds", "1", "0"], "low must lie below high"),
        ("net.npz", ["--bounds", "5", "6"], "does not meet the box"),
        ("net.npz", ["--planes", "0"], "planes must be a positive"),
        ("net.npz", ["--radius", "-1"], "radius must be a positive"),
        ("net.npz", ["--names", "a"], "3 classes need as many names"),
        ("net.npz", ["--activation", "tanh"], "activation must be one of"),
        ("net.npz", ["--formats", "jpg"], "formats must be some of"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder, monkeypatch, capsys, unchecked, file, arguments, message):
    monkeypatch.chdir(folder)
    np.savez("odd.npz", a=np.zeros(3))
    np.save("wide.npy", np.zeros((5, 9)))
    np.save("nan.npy", np.full((5, 4), np.nan))
    np.save("pickled.npy", np.array([{}]), allow_pickle=True)
    for name, content in (("broken.npz", b"PK\x03\x04"), ("net.h5", b"x"), ("net.nnet", b"x"), ("points.txt", b"1")):
        (folder / name).write_bytes(content)
    (folder / "words.csv").write_text("a,b\nc,d\n")
    (folder / "empty.csv").write_text("")
    points = [] if "--points" in arguments else ["--points", "points.npy"]
    assert main(["slice", file, *points, *arguments, "--quiet"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert re.search(message, error), error
    assert not (folder / "out" / "slice" / "slice.npz").exists()
