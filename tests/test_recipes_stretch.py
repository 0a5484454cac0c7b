"""Stretching: weights by hand, prefixes and steps against NumPy in float64, and the command."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgeom import mlp
from jaxgeom.__main__ import main
from jaxgeom.recipes.stretch import experiment as stretch

KEY = jax.random.key(0)
NUMPY = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}
X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
# Sums of a few products of numbers below 100, in float64.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        (2, [[3, 0], [0, 3]]),
        (3, [[3, 0], [0, 3], [6, 6]]),
        (4, [[3, 0], [0, 3], [6, 6], [6, 6]]),
    ],
)
def test_first_layer_by_hand(hidden: int, expected: list) -> None:
    np.testing.assert_array_equal(stretch.first_layer(2, hidden).T, expected)
    networks = stretch.stretch_networks(KEY, hidden=hidden)
    for params in networks:
        np.testing.assert_array_equal(params["dense0_tanh"]["kernel"].T, expected)
    np.testing.assert_array_equal(stretch.first_layer(1, 2, scale=5), [[5, 10]])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("weights", ["manual", "random"])
def test_six_prefixes_share_their_weights(activation: str, weights: str) -> None:
    networks = stretch.stretch_networks(KEY, activation=activation, weights=weights)
    first, second, last = (np.asarray(layer["kernel"], np.float64) for layer in networks.long.values())
    assert (first.shape, second.shape, last.shape) == ((2, 3), (3, 3), (3, 2))
    assert max(np.abs(second).max(), np.abs(last).max()) <= 3**-0.5
    f, x = NUMPY[activation], X.astype(np.float64)
    hidden = f(x @ first)
    expected = [
        x,
        x @ first,
        hidden,
        hidden @ last,
        hidden @ second,
        f(hidden @ second),
        f(hidden @ second) @ last,
    ]
    found = stretch.prefixes(networks, X)
    assert list(found) == [
        "input",
        "linear 2 → 3",
        f"linear 2 → 3, {activation}",
        f"linear 2 → 3, {activation}, linear 3 → 2",
        f"linear 2 → 3, {activation}, linear 3 → 3",
        f"linear 2 → 3, {activation}, linear 3 → 3, {activation}",
        f"linear 2 → 3, {activation}, linear 3 → 3, {activation}, linear 3 → 2",
    ]
    for stage, points in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(stage.points, points, **CLOSE)


def test_the_mesh_has_its_numbers_in_float64() -> None:
    mesh = stretch.stretch_inputs(KEY)
    assert mesh.shape == (10_000, 2)
    np.testing.assert_allclose(mesh[:, 0], np.repeat(np.arange(-50, 50) / 10, 100), rtol=0, atol=1e-14)
    np.testing.assert_allclose(mesh[:, 1], np.tile(np.arange(-50, 50) / 10, 100), rtol=0, atol=1e-14)


def test_from_the_line_to_the_plane_and_back() -> None:
    x = np.asarray(stretch.stretch_inputs(KEY, "mesh", dim=1))
    np.testing.assert_array_equal(x, np.linspace(-1, 1, 50)[:, None])
    network = stretch.stretch_networks(KEY, dim=1, hidden=2, activation="relu", weights="random").short
    first, last = (np.asarray(layer["kernel"], np.float64) for layer in network.values())
    shapes = [stage.points.shape for stage in stretch.stages(network, x)]
    assert shapes == [(50, 1), (50, 2), (50, 2), (50, 1)]
    np.testing.assert_allclose(stretch.stages(network, x)[-1].points, np.maximum(x @ first, 0) @ last, **CLOSE)


def test_biases_are_steps_of_their_own_and_lines_keep_their_shape() -> None:
    params = mlp((2, 4, 3, 1), activation=("tanh", "linear")).init(KEY)
    lines = X.reshape(4, 10, 2)
    found = stretch.stages(params, lines)
    assert stretch.step_names(found) == [
        *("input", "linear 2 → 4", "bias", "tanh", "linear 4 → 3", "bias", "linear 3 → 1", "bias")
    ]
    assert [stage.layer for stage in found] == [-1, 0, 0, 0, 1, 1, 2, 2]
    z = lines.astype(np.float64)
    for stage in found[1:]:
        layer = list(params.values())[stage.layer]
        kernel, bias = np.asarray(layer["kernel"], np.float64), np.asarray(layer["bias"], np.float64)
        z = {"linear": lambda z, w=kernel: z @ w, "bias": lambda z, b=bias: z + b, "tanh": np.tanh}[stage.kind](z)
        np.testing.assert_allclose(stage.points, z, **CLOSE)


def test_facts_of_steps() -> None:
    params = stretch.stretch_networks(KEY, hidden=3, activation="relu").short
    facts = stretch.step_facts(params, X)
    # 3 (x, y, 2 x + 2 y) has the squared norm 9 (5 x² + 8 x y + 5 y²): 81 and 9 along the diagonals.
    np.testing.assert_allclose(facts[1].stretch, [9, 3], rtol=1e-6)
    z = np.concatenate([3 * X, 6 * X.sum(axis=1, keepdims=True)], axis=1)
    assert facts[1].extent == pytest.approx(np.abs(z).max(), rel=1e-6)
    assert facts[2].flat == pytest.approx(np.mean(z <= 0), abs=1e-6)
    assert [fact.step for fact in facts] == ["input", "linear 2 → 3", "relu", "linear 3 → 2"]
    assert facts[0].stretch is facts[0].flat is facts[1].flat is facts[2].stretch is None


def test_inputs() -> None:
    assert stretch.stretch_inputs(KEY).shape == (10_000, 2)
    assert stretch.stretch_inputs(KEY, "cloud").shape == (1000, 2)
    assert stretch.stretch_inputs(KEY, "cloud", dim=1).shape == (50, 1)


def test_bad_input(unchecked) -> None:
    with pytest.raises(ValueError, match="at least as many hidden units"):
        stretch.stretch_networks(KEY, hidden=1)
    with pytest.raises(ValueError, match="'manual' or 'random'"):
        stretch.stretch_networks(KEY, weights="found")
    for wrong in (("mash", 2), ("mesh", 3)):
        with pytest.raises(ValueError, match="'mesh' or 'cloud'"):
            stretch.stretch_inputs(KEY, wrong[0], dim=wrong[1])


@pytest.mark.usefixtures("sound_pictures")
@pytest.mark.slow
def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["stretch", "--quick", "--quiet", "--inputs", "cloud", "--activations", "relu", "--hidden", "2"]
    assert main([*command, "--formats", "png", "gif", "html", "--out", str(tmp_path)]) == 0
    names = ("2d_cloud_relu_manual", "1d_cloud_relu_random")
    pictures = {f"stretch_{name}.{ending}" for name in names for ending in ("png", "gif", "html")}
    assert {path.name for path in tmp_path.iterdir()} == {"stretch.json", "stretch.npz", *pictures}
    table = capsys.readouterr().out
    assert table.count("linear 2 → 2") == 3
    assert "relu" in table
    statistics = json.loads((tmp_path / "stretch.json").read_text())["statistics"]
    with np.load(tmp_path / "stretch.npz") as arrays:
        z = arrays[f"{names[0]}/input"].astype(np.float64)
        for name, layer in statistics[names[0]]["weights"].items():
            z = z @ np.array(layer["kernel"])
            z = np.maximum(z, 0) if name.endswith("relu") else z
        path = "linear 2 → 2, relu, linear 2 → 2, relu, linear 2 → 2"
        np.testing.assert_allclose(arrays[f"{names[0]}/{path}"], z, **CLOSE)
    for name, num_stages in zip(names, (6, 4), strict=True):
        with Image.open(tmp_path / f"stretch_{name}.gif") as movie:
            pauses = []
            for frame in range(movie.n_frames):
                movie.seek(frame)
                pauses.append(movie.info["duration"])
        # Pillow joins frames that are alike: 1 frame at rest for each stage, and 2 in between; four seconds in all.
        num_frames = num_stages + 2 * (num_stages - 1)
        assert sum(pauses) == num_frames * round(400 / num_frames) * 10
    assert main([*command, "--weights", "found", "--out", str(tmp_path)]) == 2
    assert "'manual' or 'random'" in capsys.readouterr().err
