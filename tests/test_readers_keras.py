"""Models of Keras read into layers: outputs and gradients against Keras on JAX, refusals, hostile files."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from read_truth import gradients, outputs

import jaxgeom as jg

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
if keras.backend.backend() != "jax":
    pytest.skip("Keras runs on another backend", allow_module_level=True)
L = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")


def unet() -> Any:
    start = keras.Input((6, 6, 2))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(3, 3, padding="same", use_bias=False)(start)))
    y = L.LeakyReLU(0.1)(L.DepthwiseConv2D(3, padding="same")(L.MaxPooling2D()(x)))
    y = L.Concatenate()([L.UpSampling2D()(L.Add()([y, L.AveragePooling2D(2)(x)])), x])
    y = L.SeparableConv2D(2, 3, activation="relu6")(y)
    y = L.Dropout(0.5)(L.GlobalMaxPooling2D()(L.Conv2DTranspose(2, 2, strides=2)(y)))
    return keras.Model(start, L.Dense(2)(y))


def sequence(*parts: Any) -> Any:
    return keras.Sequential(list(parts))


MODELS: dict[str, Callable[[], Any]] = {
    "mlp": lambda: sequence(
        keras.Input((3,)), L.Dense(8, activation="relu"), L.Dense(8, activation="leaky_relu"), L.Dense(1)
    ),
    "classifier": lambda: sequence(keras.Input((3,)), L.Dense(8, activation="relu"), L.Dense(4, activation="softmax")),
    "binary": lambda: sequence(keras.Input((3,)), L.Dense(8, activation="hard_tanh"), L.Dense(1, activation="sigmoid")),
    "unet": unet,
    "maxout": lambda: sequence(
        keras.Input((3,)), L.Dense(8), L.Reshape((4, 2)), L.PReLU(), L.GlobalMaxPooling1D(), L.Dense(1)
    ),
}
ENDINGS = {"classifier": jax.nn.softmax, "binary": jax.nn.sigmoid}


def built(name: str) -> Any:
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    random = np.random.default_rng(0)
    for variable in model.variables:
        if "float" in str(variable.dtype):
            variable.assign(np.asarray(variable) + np.abs(random.normal(size=variable.shape)) / 5)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_outputs_and_gradients_are_those_of_keras(name: str) -> None:
    model = built(name)
    read = jg.from_keras(model)
    shape = model.input_shape[1:]
    assert read.input_shape == shape
    x = np.random.default_rng(1).normal(size=(1000, *shape)).astype(np.float32)
    expected = np.asarray(model.predict(x, verbose=0)).reshape(1000, -1)
    got = ENDINGS.get(name, lambda z: z)(outputs(read.layers, x))
    np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())
    assert bool(read.notes) == (name in ENDINGS)
    if name in ENDINGS:
        return
    points = np.random.default_rng(2).normal(size=(10_000 if len(shape) == 1 else 200, *shape)).astype(np.float32)
    wanted = jax.jit(jax.vmap(jax.grad(lambda x: model(x[None]).ravel()[-1])))(points)
    got, wanted = gradients(read.layers, points, expected.shape[1] - 1), np.asarray(wanted).reshape(len(points), -1)
    is_off = np.abs(got - wanted).max(axis=1) > 1e-4 * np.abs(wanted).max()
    assert is_off.mean() < 0.005  # in float32, a few points are on the other side of a kink


@pytest.mark.parametrize(
    ("part", "operation"),
    [
        (lambda: L.Dense(4, activation="tanh"), r"operation tanh \(.*dense"),
        (lambda: L.Dense(4, activation="gelu"), r"operation \w+ \(.*dense"),
        (lambda: L.LayerNormalization(), r"operation \w+ \(.*layer_normalization"),
        (lambda: L.GroupNormalization(2), r"operation \w+ \(.*group_normalization"),
        (lambda: L.Softmax(), r"operation exp"),
    ],
)
def test_what_is_not_piecewise_linear_is_refused_by_name(part: Any, operation: str) -> None:
    with pytest.raises(ValueError, match=operation + r".*grid_regions") as caught:
        jg.from_keras(sequence(keras.Input((3,)), L.Dense(4), part(), L.Dense(2)))
    assert "\n" not in str(caught.value)


def test_models_that_do_not_say_enough() -> None:
    with pytest.raises(ValueError, match=r"not built\. Call it once"):
        jg.from_keras(sequence(L.Dense(3)))
    images = sequence(keras.Input((None, None, 1)), L.Conv2D(2, 3), L.GlobalAveragePooling2D())
    with pytest.raises(ValueError, match=r"input shape is \(None, None, None, 1\)\. Give a batch"):
        jg.from_keras(images)
    assert jg.from_keras(images, np.zeros((1, 4, 4, 1))).output_shape == (2,)
    a, b = keras.Input((2,)), keras.Input((2,))
    with pytest.raises(ValueError, match=r"takes several inputs"):
        jg.from_keras(keras.Model([a, b], L.Add()([a, b])))
    with pytest.raises(TypeError, match=r"keras\.Model is needed, but list was given"):
        jg.from_keras([1])


def test_files(tmp_path: Path) -> None:
    model = built("unet")
    model.compile("adam", "mse")
    model.save(tmp_path / "net.keras")
    read, wanted = jg.from_keras(tmp_path / "net.keras"), jg.from_keras(model)
    np.testing.assert_array_equal(read.layers[-1].kernel, wanted.layers[-1].kernel)


def test_hostile_files_end_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = tmp_path / "whole.keras"
    sequence(keras.Input((3,)), L.Dense(300), L.Dense(2)).save(whole)
    with zipfile.ZipFile(whole) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}

    def written(name: str, **changed: bytes) -> None:
        with zipfile.ZipFile(tmp_path / f"{name}.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            for part, text in parts.items():
                archive.writestr(part, changed.get(part.partition(".")[0], text))

    def with_layer(name: str, **layer: Any) -> None:
        config = json.loads(parts["config.json"])
        config["config"]["layers"][1] |= layer
        written(name, config=json.dumps(config).encode())

    sequence(keras.Input((3,)), L.Lambda(lambda x: x + 1)).save(tmp_path / "lambda.keras")
    with_layer("call", module="builtins", class_name="exec", config={"x": "open('trapped', 'w')"})
    with_layer("function", module="keras.utils", class_name="function", config="get_file")
    with_layer("own", module="os", class_name="system", registered_name="os>system")
    written("text", config=b"no json")
    written("deep", config=b"[" * 10**6)
    written("weights", model=parts["model.weights.h5"][:3000])
    (tmp_path / "cut.keras").write_bytes(whole.read_bytes()[:2000])
    (tmp_path / "empty.keras").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("data.pkl", b"")
    names = ("lambda", "call", "function", "own", "text", "deep", "weights", "cut", "empty", "other", "missing")
    for name in names:
        with pytest.raises(ValueError, match=rf"{name}\.keras (holds|cannot be read|is no file)") as caught:
            jg.from_keras(str(tmp_path / f"{name}.keras"))
        assert "\n" not in str(caught.value), name
    assert not (tmp_path / "trapped").exists()


@pytest.mark.slow
def test_the_backend_is_jax_where_nobody_chose(tmp_path: Path) -> None:
    built("mlp").save(tmp_path / "net.keras")
    code = "import jaxgeom as jg, os; print(jg.from_keras('net.keras').input_shape, 'KERAS_BACKEND' in os.environ)"
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert done.stdout.strip() == "(3,) False"
