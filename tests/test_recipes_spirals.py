"""Spirals: facts and median seeds by hand, the course of training, what the pictures hold, and the command."""

import json
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from PIL import Image

from jaxgeom import Dataset, plot
from jaxgeom.__main__ import main
from jaxgeom.recipes.spirals import experiment as spirals
from jaxgeom.recipes.spirals import pictures
from jaxgeom.recipes.spirals.experiment import SPIRAL_MODELS, spiral_data, train_spirals
from jaxgeom.training.fit import Fit

KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def trained() -> dict[str, Fit]:
    return train_spirals(KEY, 2, num_epochs=2, num_snapshots=16)


def a_run(accuracy: list, loss: list) -> Fit:
    """A population with these accuracies and losses at the end of two epochs."""
    empty = np.zeros(0)
    curves = [np.column_stack([np.full((len(last), 2), 0.3), last]) for last in (loss, accuracy)]
    steps = np.tile([0, 75, 150], (len(loss), 1))
    diverged = np.arange(len(loss)) == 1
    return Fit({}, {}, steps, curves[0], curves[1], *curves, None, empty, None, diverged, empty, None, empty)


def test_the_median_seed_is_in_the_middle() -> None:
    run = a_run([0.9, 1.0, 1.0, 0.5, 1.0], [0.1, 0.03, 0.01, 2.0, 0.02])
    # From worst to best: seeds 3, 0, then by loss 1, 4, 2.
    assert pictures.median_seed(run) == 1
    facts = pictures.spiral_facts({"MLP": run})
    assert facts["MLP"] == (1.0, 0.5, 1.0, 1, 1)
    assert pictures.median_seed(a_run([0.9, 0.4, 1.0, 0.6], [0.1, 0.1, 0.1, 0.1])) == 0
    table = pictures.spiral_table(facts).splitlines()
    assert table[1].split() == ["MLP", "100.0%", "50.0%", "100.0%", "1"]


def test_learning_curves_show_medians() -> None:
    run = a_run([0.9, 1.0, 1.0, 0.5, 1.0], [0.1, 0.03, 0.01, 2.0, 0.02])
    left, right = pictures.draw_curves({"MLP": run, "deep MLP": run}).axes
    for ax, last in ((left, 0.03), (right, 1.0)):
        for line in ax.get_lines():
            np.testing.assert_array_equal(line.get_xdata(), [1, 2])
            np.testing.assert_array_equal(line.get_ydata(), [0.3, last])
        assert ax.get_xscale() == "log"
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["MLP", "deep MLP"]


def test_predictions_are_drawn_in_the_colours_of_the_predicted_classes() -> None:
    train, _ = spiral_data(KEY)
    data = Dataset(train.x[:200], train.y[:200])
    params = SPIRAL_MODELS["MLP"].init(KEY)
    first, second, last = params.values()
    x = np.maximum(data.x @ first["kernel"] + first["bias"], 0)
    x = np.maximum(x @ second["kernel"] + second["bias"], 0)
    classes = np.argmax(x @ last["kernel"] + last["bias"], axis=1)
    (ax,) = pictures.draw_predictions(data, [("MLP", params, "untrained")]).axes
    assert ax.get_title() == "untrained"
    boundary, areas, *clouds = ax.collections
    middles = np.array(boundary.get_segments()).mean(axis=1)
    assert len(middles) > 0
    outputs = np.sort(SPIRAL_MODELS["MLP"].apply(params, middles), axis=1)
    np.testing.assert_allclose(outputs[:, -1], outputs[:, -2], atol=1e-5)  # where two classes are equal
    for label, points in zip(np.unique(classes), clouds, strict=True):
        np.testing.assert_array_equal(points.get_offsets(), data.x[classes == label])
        np.testing.assert_allclose(points.get_facecolor()[0, :3], plt.matplotlib.colors.to_rgb(plot.COLORS[label]))
    assert_classes_are_filled(areas, params, "MLP")


def assert_classes_are_filled(areas: PolyCollection, params: dict, name: str) -> None:
    """The square is covered once, in the paler colours of the classes that are largest in the middle of each piece."""
    corners = [path.vertices[:-1] for path in areas.get_paths()]
    sizes = [np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2 for x, y in (each.T for each in corners)]
    assert sum(sizes) == pytest.approx(2.3**2)
    outputs = np.asarray(SPIRAL_MODELS[name].apply(params, np.float32([each.mean(axis=0) for each in corners])))
    is_clear = np.ptp(np.sort(outputs, axis=1)[:, -2:], axis=1) > 1e-5
    assert is_clear.mean() > 0.9
    colors = np.array([plt.matplotlib.colors.to_rgb(color) for color in plot.COLORS[:3]])
    paler = 1 - areas.get_facecolors()[:, :3]
    hue = paler / np.linalg.norm(paler, axis=1, keepdims=True)
    likeness = hue @ ((1 - colors) / np.linalg.norm(1 - colors, axis=1, keepdims=True)).T
    np.testing.assert_array_equal(likeness.argmax(axis=1)[is_clear], outputs.argmax(axis=1)[is_clear])


@pytest.mark.slow
def test_spirals_are_trained_on_one_split(trained: dict[str, Fit]) -> None:
    train, test = spiral_data(jax.random.fold_in(KEY, 0))
    assert train.x.shape == (2400, 2)
    assert test.x.shape == (600, 2)
    assert list(trained) == list(SPIRAL_MODELS)
    for name, result in trained.items():
        np.testing.assert_array_equal(result.record_steps[0], [0, 75, 150])
        for params, place in ((result.initial_params, 0), (result.params, 2)):
            for split, accuracy in ((train, result.train_accuracy), (test, result.test_accuracy)):
                outputs = np.asarray(SPIRAL_MODELS[name].apply(jax.tree.map(lambda leaf: leaf[1], params), split.x))
                top = np.sort(outputs, axis=1)
                is_tie = top[:, -1] - top[:, -2] < 1e-5  # rounding may decide these
                right = (outputs.argmax(axis=1) == split.y) & ~is_tie
                assert right.mean() - 1e-6 <= accuracy[1, place] <= right.mean() + is_tie.mean() + 1e-6
    kept = trained["bottleneck MLP"]
    np.testing.assert_array_equal(kept.snapshot_steps[0], [0, 75, 150])
    for ends, place in ((kept.initial_params, 0), (kept.params, -1)):
        jax.tree.map(lambda leaf, end, p=place: np.testing.assert_array_equal(leaf[:, p], end), kept.snapshots, ends)


@pytest.mark.usefixtures("sound_pictures")
@pytest.mark.slow
def test_command(
    trained: dict[str, Fit], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(key: jax.Array, num_seeds: int, **options: object) -> dict[str, Fit]:
        assert (num_seeds, options) == (2, {"num_epochs": 2, "num_snapshots": 16, "progress": False})
        return trained

    monkeypatch.setattr(spirals, "train_spirals", train)
    command = ["spirals", "--quick", "--quiet", "--seeds", "2", "--epochs", "2"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    figures = (
        "data",
        "predictions",
        "truth",
        "embeddings",
        "curves",
        "normalizations",
        *map("sandwich{}".format, range(1, 3)),
    )
    expected = {f"spirals_{name}.png" for name in figures} | {"spirals_training.gif", "spirals.json", "spirals.npz"}
    assert {path.name for path in tmp_path.iterdir()} == expected
    report = json.loads((tmp_path / "spirals.json").read_text())
    assert report["settings"] == {"num_seeds": 2, "num_epochs": 2, "key": 0}
    assert set(report["statistics"]) == set(SPIRAL_MODELS)
    with np.load(tmp_path / "spirals.npz") as arrays:
        x, y, is_test = arrays["x"], arrays["y"], arrays["is_test"]
        assert (len(x), is_test.sum()) == (3000, 600)
        params = {
            layer: {what: arrays[f"bottleneck MLP/{layer}/{what}"][0] for what in ("kernel", "bias")}
            for layer in SPIRAL_MODELS["bottleneck MLP"].init(KEY)
        }
        accuracy = np.mean(pictures.predicted("bottleneck MLP", params, x[is_test]) == y[is_test])
        assert arrays["bottleneck MLP/test_accuracy"].shape == (2, 3)
        assert arrays["bottleneck MLP/test_accuracy"][0, -1] == pytest.approx(accuracy, abs=1e-6)
    assert f"{report['statistics']['bottleneck MLP']['median']:.1%}" in capsys.readouterr().out
    with Image.open(tmp_path / "spirals_training.gif") as movie:
        assert movie.n_frames == 3  # epochs 0, 1 and 2


def test_the_movie_shows_the_median_network_at_each_snapshot() -> None:
    train, _ = spiral_data(jax.random.fold_in(KEY, 0))
    inits = [SPIRAL_MODELS["bottleneck MLP"].init(key) for key in jax.random.split(KEY, 6)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves).reshape(2, 3, *leaves[0].shape), *inits)
    empty = np.zeros(0)
    steps = np.tile([0, 75, 150], (2, 1))
    course = pictures.course_of(Fit({}, {}, steps, *[empty] * 4, None, steps, stacked, empty, empty, None, empty), 1)
    np.testing.assert_array_equal(course.epoch, [0, 1, 2])
    movie = pictures.course_movie(train, course)
    axes = movie.figure.axes
    limits = []
    for frame in range(movie.num_frames):
        movie.draw(frame)
        limits.append([(ax.get_xlim(), ax.get_ylim()) for ax in axes])
        member = inits[3 + frame]
        assert_classes_are_filled(axes[0].collections[0], member, "bottleneck MLP")
        hidden = np.maximum(train.x @ member["dense0_relu"]["kernel"] + member["dense0_relu"]["bias"], 0)
        first = hidden @ member["dense1_linear"]["kernel"] + member["dense1_linear"]["bias"]
        shown = np.concatenate([points.get_offsets() for points in axes[1].collections])
        order = np.argsort(np.asarray(train.y), kind="stable")
        np.testing.assert_allclose(shown, first[order], rtol=1e-4, atol=1e-5)
        (left, right), (bottom, top) = limits[-1][1]
        assert ((shown > [left, bottom]) & (shown < [right, top])).all()
        assert right - left == pytest.approx(top - bottom)
    assert limits[0][0] == limits[1][0] == limits[2][0]  # those of the input stay


def test_bad_values_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spirals", "--seeds", "0", "--quiet", "--out", str(tmp_path)]) == 2
    assert "num_seeds must be a positive integer" in capsys.readouterr().err


def test_the_movie_says_how_far_the_spirals_are_apart() -> None:
    words = [pictures.phase_of(accuracy) for accuracy in (0.35, 0.6, 0.9, 0.99, 1.0)]
    assert len(set(words)) == 4
    assert words[3] == words[4]
