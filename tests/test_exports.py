"""Networks and populations written for others: read back to the bit, and evaluated by what they are written for."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from read_truth import outputs

import jaxgeom as jg
from jaxgeom.networks.models import ACTIVATIONS

PIECEWISE = ["relu", "linear", "abs", "leaky_relu", 0.2, "hard_tanh", "maxout"]
SMOOTH = ["tanh", "sigmoid", "elu", "gelu", "softplus"]
POINTS = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32) * 2


def trained(activation: Any, num: int | None = None, *, dtype: Any = jnp.float32) -> tuple[jg.Model, Any]:
    model = jg.mlp((3, 6, 5, 2), activation=activation)
    key = jax.random.key(1)
    params = model.init(key) if num is None else jax.vmap(model.init)(jax.random.split(key, num))
    with jax.enable_x64(dtype == jnp.float64):
        return model, jax.tree.map(lambda a: jnp.asarray(a, dtype) * (1 if dtype == jnp.float32 else 1 / 3), params)


def sloped(num: int | None = None, dtype: Any = np.float32) -> Any:
    """Layers whose units have slopes of their own."""
    ahead = () if num is None else (num,)
    rng = np.random.default_rng(2)
    sizes = (3, 6, 5, 2)
    layers = []
    for index, (before, after) in enumerate(pairwise(sizes)):
        arrays = [rng.normal(size=(*ahead, *shape)).astype(dtype) for shape in ((before, after), (after,), (after,))]
        layers.append(jg.Dense(*arrays[: 3 if index < 2 else 2]))
    return tuple(layers)


def same_bits(found: Any, wanted: Any) -> None:
    """Layers that are equal once the found ones have the dtype of the wanted ones."""
    assert len(found) == len(wanted)
    for got, given in zip(found, wanted, strict=True):
        for name in ("kernel", "bias"):
            array = np.asarray(getattr(given, name))
            np.testing.assert_array_equal(np.asarray(getattr(got, name)).astype(array.dtype), array)
        slopes = [
            np.zeros(layer.bias.shape) if layer.slope is None else np.asarray(layer.slope) for layer in (got, given)
        ]
        np.testing.assert_array_equal(slopes[0].astype(np.float32), slopes[1].astype(np.float32))


def test_every_activation_is_written_in_these_tests() -> None:
    assert set(ACTIVATIONS) <= {*PIECEWISE, *SMOOTH, "sin"}


@pytest.mark.slow
@pytest.mark.parametrize("num", [None, 4])
@pytest.mark.parametrize("activation", [*PIECEWISE, ["relu", 0.1]])
def test_safetensors_there_and_back(activation: Any, num: int | None, tmp_path: Path) -> None:
    for dtype in (jnp.float32, jnp.float64):
        _, params = trained(activation, num, dtype=dtype)
        jg.to_safetensors(params, tmp_path / "net.safetensors")
        found = jg.from_safetensors(tmp_path / "net.safetensors")
        same_bits(found.layers, jg.layers_of(params))
        assert (found.input_shape, found.output_shape) == ((3,), (2,))


@pytest.mark.parametrize("num", [None, 4])
def test_slopes_of_units_there_and_back(num: int | None, tmp_path: Path) -> None:
    for dtype in (np.float32, np.float64):
        layers = sloped(num, dtype)
        jg.to_safetensors(layers, tmp_path / "net.safetensors")
        same_bits(jg.from_safetensors(tmp_path / "net.safetensors").layers, layers)


def test_safetensors_are_what_the_library_reads_and_writes(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    from safetensors.numpy import load_file, save_file

    _, params = trained("relu", 7)
    path = tmp_path / "population.safetensors"
    jg.to_safetensors(params, path)
    arrays = load_file(path)
    assert sorted(arrays) == [f"layers.{i}.{part}" for i in range(3) for part in ("bias", "weight")]
    np.testing.assert_array_equal(arrays["layers.1.weight"], np.asarray(params["dense1_relu"]["kernel"]).swapaxes(1, 2))
    with safetensors.safe_open(path, "np") as file:
        assert json.loads(file.metadata()["jaxgeom.network"])[0] == ["layers.0", "relu"]
    # arrays that others wrote
    rng = np.random.default_rng(0)
    fc = {"fc1.weight": rng.normal(size=(4, 3)), "fc1.bias": rng.normal(size=4), "fc2.weight": rng.normal(size=(2, 4))}
    save_file({name: array.astype(np.float16) for name, array in fc.items()}, path)
    found = jg.from_safetensors(path, order=("fc1", "fc2"), activation=0.1)
    np.testing.assert_array_equal(found.layers[0].kernel, fc["fc1.weight"].astype(np.float16).T)
    np.testing.assert_array_equal(found.layers[1].bias, np.zeros(2))
    with pytest.raises(ValueError, match=r"order of the layers cannot be told"):
        jg.from_safetensors(path)
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as load_torch
    from safetensors.torch import save_file as save_torch

    save_torch({"a.weight": torch.tensor([[1.5, -2.0]], dtype=torch.bfloat16)}, path)
    np.testing.assert_array_equal(jg.from_safetensors(path, order=("a",)).layers[0].kernel, [[1.5], [-2.0]])
    jg.to_safetensors(jax.tree.map(lambda a: a[0], params), path)
    read = jg.from_torch(load_torch(path), order=("layers.0", "layers.1", "layers.2"))
    same_bits(read.layers, jg.layers_of(jax.tree.map(lambda a: a[0], params)))


def safetensors_file(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(start: Any = 0, end: Any = 8, shape: Any = (1, 2), dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


HOSTILE = {
    "empty": b"",
    "short": b"\x01\x02",
    "long_header": (2**63).to_bytes(8, "little") + b"{}",
    "no_json": safetensors_file(b"{" * 100_000),
    "list": safetensors_file([]),
    "twice": safetensors_file(b'{"a":{},"a":{}}'),
    "outside": safetensors_file({"a.weight": entry(end=99)}, bytes(8)),
    "backwards": safetensors_file({"a.weight": entry(8, 0)}, bytes(8)),
    "fraction": safetensors_file({"a.weight": entry(0.0)}, bytes(8)),
    "overlap": safetensors_file({"a.weight": entry(), "b.weight": entry(4, 12)}, bytes(12)),
    "huge": safetensors_file({"a.weight": entry(shape=(10**9, 10**9))}, bytes(8)),
    "negative": safetensors_file({"a.weight": entry(shape=(-1, -2))}, bytes(8)),
    "type": safetensors_file({"a.weight": entry(dtype="C64", shape=(1, 1))}, bytes(8)),
    "missing": safetensors_file({"a.weight": {"dtype": "F32"}}, bytes(8)),
    "text": safetensors_file({"a.weight": "text"}, bytes(8)),
    "metadata": safetensors_file({"__metadata__": {"jaxgeom.network": "[["}, "a.weight": entry()}, bytes(8)),
    "other_layers": safetensors_file(
        {"__metadata__": {"jaxgeom.network": '[["b", "relu"]]'}, "a.weight": entry()}, bytes(8)
    ),
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_safetensors_end_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    with pytest.raises(ValueError, match=rf"^{name} ") as caught:
        jg.from_safetensors(path, order=None if "metadata" in name or "layers" in name else ("a",))
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=rf"{tmp_path.name}.none is no file"):
        jg.from_safetensors(tmp_path / "none")


@pytest.mark.slow
@pytest.mark.parametrize("activation", [*PIECEWISE, *SMOOTH])
def test_torch_computes_the_same(activation: Any) -> None:
    torch = pytest.importorskip("torch")
    model, params = trained(activation)
    module = jg.to_torch(params)
    assert isinstance(module, torch.nn.Sequential)
    with torch.no_grad():
        found = module(torch.from_numpy(POINTS)).numpy()
    np.testing.assert_allclose(found, model.apply(params, POINTS), rtol=1e-5, atol=1e-5)
    linear = [part for part in module if isinstance(part, torch.nn.Linear)]
    for part, layer in zip(linear, params.values(), strict=True):
        np.testing.assert_array_equal(part.weight.detach().numpy().T, layer["kernel"])
        np.testing.assert_array_equal(part.bias.detach().numpy(), layer["bias"])


@pytest.mark.parametrize("activation", ["relu", 0.2, "maxout"])
def test_torch_and_back(activation: Any) -> None:
    pytest.importorskip("torch")
    _, params = trained(activation, dtype=jnp.float64)
    read = jg.from_torch(jg.to_torch(params))
    wanted = jg.layers_of(params)
    np.testing.assert_allclose(outputs(read.layers, POINTS), outputs(wanted, POINTS), atol=1e-12)
    if activation != "maxout":  # whose units come in another order
        same_bits(read.layers, wanted)


def test_torch_populations_and_slopes_of_units() -> None:
    torch = pytest.importorskip("torch")
    layers = sloped(5)
    modules = jg.to_torch(layers)
    assert len(modules) == 5
    with torch.no_grad():
        found = np.array([module(torch.from_numpy(POINTS)).numpy() for module in modules])
    one = [jax.tree.map(lambda array, i=i: array[i], layers) for i in range(5)]
    np.testing.assert_allclose(found, [outputs(network, POINTS) for network in one], rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"PyTorch has no module for the activation 'sin'"):
        jg.to_torch(trained("sin")[1])


@pytest.mark.slow
@pytest.mark.parametrize("num", [None, 4])
@pytest.mark.parametrize("activation", [*PIECEWISE, *SMOOTH, "sin"])
def test_onnxruntime_computes_the_same(activation: Any, num: int | None, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model, params = trained(activation, num)
    jg.to_onnx(params, tmp_path / "net.onnx")
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"))
    (found,) = session.run(None, {"x": POINTS})
    apply = model.apply if num is None else jax.vmap(model.apply, (0, None))
    np.testing.assert_allclose(found, apply(params, POINTS), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("num", [None, 4])
@pytest.mark.parametrize("activation", [*PIECEWISE, "slopes"])
def test_onnx_there_and_back(activation: Any, num: int | None, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    for dtype in (jnp.float32, jnp.float64):
        if activation == "slopes":
            params = wanted = sloped(num, np.dtype(dtype))
        else:
            params = trained(activation, num, dtype=dtype)[1]
            wanted = jg.layers_of(params)
        jg.to_onnx(params, tmp_path / "net.onnx")
        read = jg.from_onnx(tmp_path / "net.onnx")
        assert (read.input_shape, read.output_shape) == ((3,), (2,))
        if activation in ("linear", "hard_tanh", "maxout"):  # the same function with other units
            for index in range(num or 1):
                one, other = (
                    layers if num is None else jax.tree.map(lambda array, i=index: np.asarray(array)[i], layers)
                    for layers in (read.layers, wanted)
                )
                np.testing.assert_allclose(outputs(one, POINTS), outputs(other, POINTS), rtol=1e-6, atol=1e-6)
        else:
            same_bits(read.layers, wanted)


def test_onnx_in_float64(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    for activation in ("relu", 0.2):
        model, params = trained(activation, dtype=jnp.float64)
        jg.to_onnx(params, tmp_path / "net.onnx")
        session = runtime.InferenceSession(str(tmp_path / "net.onnx"))
        with jax.enable_x64(True):
            wanted = model.apply(params, POINTS.astype(np.float64))
        np.testing.assert_allclose(
            session.run(None, {"x": POINTS.astype(np.float64)})[0], wanted, rtol=1e-12, atol=1e-13
        )


def test_counts_of_a_population_read_back(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    params = jax.vmap(jg.mlp((2, 8, 8, 1)).init)(jax.random.split(jax.random.key(3), 20))
    wanted = jg.count_regions(jg.layers_of(params), jg.box(-3, 3)).count
    jg.to_onnx(params, tmp_path / "a.onnx")
    jg.to_safetensors(params, tmp_path / "a.safetensors")
    for read in (jg.from_onnx(tmp_path / "a.onnx"), jg.from_safetensors(tmp_path / "a.safetensors")):
        np.testing.assert_array_equal(jg.count_regions(read.layers, jg.box(-3, 3)).count, wanted)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("write", [jg.to_onnx, jg.to_safetensors, lambda network, path: jg.to_torch(network)])
def test_what_is_no_network_is_refused(write: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("torch")
    path = tmp_path / "net"
    for wrong in (None, "text", [], 3.0):
        with pytest.raises(TypeError, match=r"layers"):
            write(wrong, path)
    with pytest.raises(TypeError, match=r"a Model holds no parameters: give model\.init\(key\)"):
        write(jg.mlp((2, 1)), path)
    with pytest.raises(ValueError, match=r"not the parameters of a jaxgeom\.mlp"):
        write({"fc": {"kernel": np.zeros((2, 2)), "bias": np.zeros(2)}}, path)
    with pytest.raises(ValueError, match=r"one leading axis"):
        write([(np.zeros((2, 2, 3, 4)), np.zeros((2, 2, 4)))], path)
    assert not path.exists()
