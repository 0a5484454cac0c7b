"""Detangling: what is recorded is what was trained, who is dead really is, and the movie keeps its axes."""

import json
import re
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.text import Text
from pictures import overlapping_texts

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.recipes.detangle import command as detangle_command
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
        detangle_pictures.column_of(found, member, DATA, name, share, "2-2-2")
        for member, name, share in ((alive, "notebook", "20 % (1–90 %) solved"), (dead, "stuck", "100 % (34–100 %)"))
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
                assert said == f"{round(100 * right)} % right, {living}/4 units alive"
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
    movie.figure.draw_without_rendering()
    assert overlapping_texts(movie.figure) == []


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


def shares_in(text: str) -> list[tuple[int, tuple[float, float]]]:
    """Every share of a text with its interval, in percent."""
    found = re.findall(r"(\d+) % \(([\d.]+)–([\d.]+) %\)", text)
    return [(int(share), (float(low), float(high))) for share, low, high in found]


def test_shares_of_networks_come_with_intervals(found: Detangled, capsys: pytest.CaptureFixture[str]) -> None:
    wide = found._replace(accuracy=np.where(np.arange(40) < 9, 1.0, 0.5))
    every = {("lines", (2,), False): found, ("lines", detangle.SOLVERS, True): wide}
    columns = detangle_command._columns(every, "lines", DATA)
    assert [column.fate for column in columns] == ["notebook", "dead", "stuck", "solved"]
    fate = detangle.fate_of(wide)
    numbers = [int((detangle.fate_of(found) == 2).sum()), *(int((fate == kind).sum()) for kind in range(3))]
    for column, number in zip(columns, numbers, strict=True):
        ((share, (low, high)),) = shares_in(column.share)
        assert share == round(100 * number / 40)
        # Wilson's interval holds the fractions p with (number - 40 p)² at most 1.96² · 40 p (1 - p)
        for end in (low, high):
            near = end / 100 + np.array([-0.006, 0.006])
            gap = (number - 40 * near) ** 2 - 1.959964**2 * 40 * near * (1 - near)
            assert end in (0, 100) or gap[0] * gap[1] < 0
    movie = detangle_pictures.fates_movie(columns, DATA)
    movie.draw(0)
    *panels, curve = movie.figure.axes
    for column, ax in zip(columns, panels[: len(columns)], strict=True):
        assert ax.get_title().splitlines()[0] == f"{column.fate}: {column.share}"
    said = [text.get_text() for text in movie.figure.findobj(Text)]
    assert [text for text in said if "%" in text and not shares_in(text) and "% right" not in text] == [
        "above: shares of the networks trained, with 95 % intervals"
    ]
    assert [text.get_text() for text in curve.get_legend().get_texts()] == [column.fate for column in columns]


def test_what_is_not_decided_is_in_the_legend(found: Detangled) -> None:
    for member in (int(np.flatnonzero(found.is_dead)[0]), detangle.median_living(found)):
        column = detangle_pictures.column_of(found, member, DATA, "a", "", "2-2-2")
        figure = detangle_pictures.draw_layers(column.recording, np.asarray(DATA.y), -1, column=column)
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert names.count("decision boundary") == 1  # among the outputs there always is one
        order = [(isinstance(each, PathCollection), each.zorder) for each in figure.axes[0].collections]
        dots, others = ([place for is_dots, place in order if is_dots == wanted] for wanted in (True, False))
        assert max(others) < min(dots)  # nothing hides points
        grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 60)] * 2), axis=-1).reshape(-1, 2)
        low, high = column.regions[-1].vertices.min(axis=0), column.regions[-1].vertices.max(axis=0)
        network = jax.tree.map(lambda array: np.asarray(array, np.float64)[-1], detangle.decision_of(found, member))
        x = (low + high) / 2 + (high - low) / 2 * grid
        for layer in network[:-1]:
            x = np.maximum(x @ layer.kernel + layer.bias, 0)
        x = x @ network[-1].kernel
        assert ("outputs alike" in names) == bool((x == 0).any())
        assert found.is_dead[member] <= ("outputs alike" in names)


def test_no_tick_is_where_heights_are_rows(found: Detangled) -> None:
    figure = detangle_pictures.draw_deaths([("lines", (2,), found)])
    (ax,) = figure.axes
    figure.draw_without_rendering()
    bottom, top = ax.get_ylim()
    ticks = np.concatenate([ax.get_yticks(), ax.get_yticks(minor=True)])
    rows = [line.get_ydata() for line in ax.lines]
    assert min(float(each.min()) for each in rows if len(each)) < 1e-4
    assert ticks[(ticks >= bottom) & (ticks <= top)].min() >= 0.999e-4
