"""Detangling: what is recorded is what was trained, who is dead really is, and the movie keeps its axes."""

import json
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.recipes.detangle import experiment as detangle
from jaxgeom.recipes.detangle import pictures as detangle_pictures
from jaxgeom.recipes.detangle.experiment import Detangled, Recording

KEY = jax.random.key(1)
DATA = jg.line_segments(jax.random.key(0), num_negative=5, num_positive=5, length=0.2, num_per_segment=10)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def found() -> Detangled:
    return detangle.train_detangle(KEY, DATA, 40, num_epochs=30, num_frames=7)


@pytest.fixture(scope="module")
def recording(found: Detangled) -> Recording:
    return detangle.recording_of(found, 3, DATA.x)


def of_layers(params: dict) -> list[np.ndarray]:
    x, states = np.asarray(DATA.x, np.float64), []
    for name in sorted(params):
        x = np.maximum(x @ np.asarray(params[name]["kernel"]) + np.asarray(params[name]["bias"]), 0)
        states.append(x)
    return states


def test_data_sets_are_those_of_the_demonstration() -> None:
    lines, holes = (jax.jit(make)(jax.random.key(0)) for make in detangle.DATASETS.values())
    assert lines.x.shape == (500, 2)
    assert holes.x.shape == (4000, 2)
    ring = np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1) / 2
    centers = np.concatenate([ring, [[0, 0]]])
    distance = np.linalg.norm(np.asarray(holes.x)[:, None] - centers, axis=2).min(axis=1)
    labels = np.asarray(holes.y)
    assert distance[labels == 0].min() >= 0.15 - 1e-6
    assert distance[labels == 1].max() <= 0.02 + 1e-6


@pytest.mark.slow
def test_the_living_are_counted_before_training(found: Detangled) -> None:
    params = jax.vmap(detangle.detangle_model().init)(
        jax.vmap(lambda key: jax.random.split(key)[0])(jax.random.split(KEY, 40))
    )
    for member in range(40):
        layers = of_layers(jax.tree.map(lambda leaf, member=member: leaf[member], params))
        np.testing.assert_array_equal(found.living_before[member], [(layer > 0).any(axis=0).sum() for layer in layers])
        is_constant = np.ptp(layers[-1], axis=0).max() == 0
        assert found.was_dead[member] <= is_constant
    assert 0 < found.was_dead.sum() < 40
    assert (found.is_dead >= (found.living == 0).any(axis=1)).all()


def cross_entropy(logits: np.ndarray, points: slice) -> float:
    logits = logits[points].astype(np.float64)
    right = logits[np.arange(len(logits)), np.asarray(DATA.y)[points]]
    return np.mean(np.log(np.exp(logits).sum(axis=1)) - right)


def test_a_recording_is_the_network_of_the_population(found: Detangled, recording: Recording) -> None:
    assert recording.loss.shape == (30 * 2,)  # 100 points: batches of 64 and 36
    np.testing.assert_array_equal(recording.loss, found.loss[3])
    np.testing.assert_array_equal(recording.steps, np.round(60 * (np.arange(7) / 6) ** 1.5))
    assert [layer.shape for layer in recording.layers] == [(7, 100, 2)] * 3
    np.testing.assert_array_equal(recording.layers[0], np.broadcast_to(DATA.x, (7, 100, 2)))
    params = detangle.detangle_model().init(jax.random.split(jax.random.split(KEY, 40)[3])[0])
    for layer, expected in zip(recording.layers[1:], of_layers(params), strict=True):
        np.testing.assert_allclose(layer[0], expected, atol=1e-5)
    # the batches, in the order of the data, make the losses
    for frame, step in enumerate(recording.steps[:-1]):
        batch = slice(0, 64) if step % 2 == 0 else slice(64, None)
        assert recording.loss[step] == pytest.approx(cross_entropy(recording.layers[-1][frame], batch), rel=1e-5)
    assert found.final_loss[3] == pytest.approx(cross_entropy(recording.layers[-1][-1], slice(None)), rel=1e-5)
    np.testing.assert_array_equal(
        [(layer[-1] > 0).any(axis=0).sum() for layer in recording.layers[1:]], found.living[3]
    )
    with pytest.raises(ValueError, match="num_frames must be an integer from 2"):
        detangle.train_detangle(KEY, DATA, 1, num_frames=1)


@pytest.mark.usefixtures("unchecked")
def test_solving_is_true_or_false() -> None:
    with pytest.raises(TypeError, match=r"^solving must be True or False, but 'no' was given"):
        detangle.train_detangle(KEY, DATA, 1, solving="no")  # type: ignore[arg-type]


def test_the_median_of_the_living_is_shown() -> None:
    living = np.array([[2, 2], [0, 2], [2, 2], [1, 2], [2, 2], [2, 0]])
    loss = np.array([0.3, 0.1, 0.2, 0.25, 0.5, 0.0])
    dead = (living == 0).any(axis=1)
    rows = Detangled(np.zeros((6, 1)), loss, loss, living, living, dead, np.arange(2), {})
    assert detangle.median_living(rows) == 0
    crippled = rows._replace(living=np.minimum(living, 1))
    assert detangle.median_living(crippled) == 3
    with pytest.raises(ValueError, match="all 6 networks are dead"):
        detangle.median_living(rows._replace(living=0 * living))


def test_wide_layers_are_projected_once_for_all_frames() -> None:
    rng = np.random.default_rng(0)
    layers = tuple(rng.normal(size=(4, 30, units)).astype(np.float32) for units in (2, 5))
    shown, axes = detangle.shown_layers(Recording(np.zeros(1), np.arange(4), layers))
    assert shown[0] is layers[0]
    assert axes[0] is None
    components = np.asarray(axes[1].components)
    np.testing.assert_allclose(components @ components.T, np.eye(2), atol=1e-5)
    together = layers[1].reshape(-1, 5).astype(np.float64)
    np.testing.assert_allclose(shown[1], (layers[1] - together.mean(axis=0)) @ components.T, atol=1e-5)
    total = np.trace(np.cov(together.T))
    np.testing.assert_allclose(
        np.sum(axes[1].explained_ratio), np.var(shown[1], axis=(0, 1), ddof=1).sum() / total, rtol=1e-4
    )


def test_fates_are_told_apart_and_the_middle_of_each_is_shown() -> None:
    dead = np.array([True, True, False, False, False, False])
    before = np.where([[True], [False], [False], [False], [False], [False]], 0, np.ones((6, 3), int))
    loss = np.array([0.7, 0.8, 0.3, 0.4, 0.5, 0.1])
    accuracy = np.array([0.5, 0.5, 0.94, 0.6, 0.5, 0.95])
    living = np.where(dead[:, None], 0, before + 1)
    rows = Detangled(np.zeros((6, 1)), loss, accuracy, before, living, dead, np.arange(2), {})
    np.testing.assert_array_equal(detangle.fate_of(rows), [0, 0, 1, 1, 1, 2])
    # of the dead the one that was born alive
    assert detangle.middle_of_each_fate(rows) == {"dead": (1, 2 / 6), "stuck": (3, 3 / 6), "solved": (5, 1 / 6)}
    assert list(detangle.middle_of_each_fate(rows._replace(accuracy=np.zeros(6)))) == ["dead", "stuck"]


def test_the_movie_shows_every_frame_of_each_network_on_one_clock(found: Detangled) -> None:
    alive = detangle.median_living(found)
    dead = int(np.flatnonzero(found.is_dead)[0])
    columns = [
        detangle_pictures.column_of(found, member, DATA, name, "2-2-2") for member, name in ((alive, "a"), (dead, "b"))
    ]
    movie = detangle_pictures.fates_movie(columns, DATA)
    assert movie.num_frames == 7
    labels, x = np.asarray(DATA.y), np.asarray(DATA.x)
    for frame in range(7):
        movie.draw(frame)
        *axes, curve = movie.figure.axes
        panels = np.array(axes).reshape(3, 2)
        for place, column in enumerate(columns):
            recording = column.recording
            for layer, ax in zip(recording.layers[1:], panels[1:, place], strict=True):
                (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
                for label, cloud in enumerate(ax.collections):
                    shown = cloud.get_offsets()
                    np.testing.assert_array_equal(shown, layer[frame][labels == label])
                    assert ((shown > [left, bottom]) & (shown < [right, top])).all()
            assert len(column.regions[frame].patterns) >= 1
            output = recording.layers[-1][frame]
            said = panels[0, place].get_title().splitlines()[-1]
            if (output > 0).any() and (recording.layers[1][frame] > 0).any():
                right = np.mean((output[:, 1] > output[:, 0]) == (labels == 1))
                living = sum(int((layer[frame] > 0).any(axis=0).sum()) for layer in recording.layers[1:])
                assert said == f"{round(100 * right)} % right, {living}/4 alive"
            else:
                assert said.endswith("is dead")
            # exact regions hold the network: the second output less the first
            regions, member = column.regions[frame], (alive, dead)[place]
            network = jax.tree.map(lambda array, at=frame: array[at], detangle.decision_of(found, member))
            face = jg.locate(regions, network, x)
            values = np.sum(regions.gradient[face, 0] * x, axis=1) + regions.intercept[face, 0]
            np.testing.assert_allclose(values, output[:, 1] - output[:, 0], atol=1e-5)
            of_epochs = recording.loss.reshape(30, 2).mean(axis=1)
            np.testing.assert_allclose(curve.lines[2 * place].get_ydata(), of_epochs, rtol=1e-6)


@pytest.mark.usefixtures("sound_pictures")
@pytest.mark.slow
def test_the_command_writes_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--quick", "--quiet", "--seeds", "12", "--epochs", "1", "--frames", "3", "--wide", "4"]
    assert main(["detangle", "--out", str(tmp_path), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "dead before" in printed
    names = [
        f"detangle_{data}_{what}.png" for data in ("lines", "holes") for what in ("before", "after", "loss", "fates")
    ]
    names += ["detangle_deaths.png", "detangle_lines.gif", "detangle_holes.gif", "detangle.json", "detangle.npz"]
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    report = json.loads((tmp_path / "detangle.json").read_text())
    with np.load(tmp_path / "detangle.npz") as arrays:
        assert arrays["lines_layer2"].shape == (3, 500, 2)
        assert arrays["holes_layer1"].shape == (3, 4000, 2)
        assert arrays["holes_16_16_adam_is_dead"].shape == (12,)
        assert arrays["lines_smoothed_loss"][0] == arrays["lines_loss"][0]
        dead = arrays["lines_2_is_dead"].mean()
    assert report["statistics"][0]["dead_after"] == pytest.approx(dead)
    assert main(["detangle", "--out", str(tmp_path), "--frames", "1", "--quiet"]) == 2
    assert "at least 2 frames" in capsys.readouterr().err
