"""Rings and regression: sweeps against networks trained alone, tables against counting by hand, files decoded."""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import pytest
from matplotlib.quiver import Quiver
from pictures import faults_of_file
from PIL import Image

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.recipes.regression import experiment as regression
from jaxgeom.recipes.regression import pictures as regression_pictures
from jaxgeom.recipes.rings import experiment as rings
from jaxgeom.recipes.rings import pictures as rings_pictures
from jaxgeom.recipes.sweep import loss_statistics, loss_table, median_seed, train_widths

# Lines that fence in the disk: a triangle of inner radius 1.2, every unit on towards the middle; and one with only two.
ANGLES = np.array([0.5, 0.5 + 2 * np.pi / 3, 0.5 + 4 * np.pi / 3])
INWARDS = -np.stack([np.cos(ANGLES), np.sin(ANGLES)])
DATA = jg.rings(jax.random.key(0), num_per_class=200)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def study_of(width, seed, step, **variables) -> jg.Study:
    dims = {name: ("width", "seed", "step", *("in", "out")[: np.ndim(array) - 3]) for name, array in variables.items()}
    coords = {"width": np.array(width), "seed": np.array(seed), "step": np.array(step)}
    arrays = {name: np.asarray(array, np.float32) for name, array in variables.items()}
    return jg.Study(arrays, dims, coords, {}, {}, np.ones((len(width), len(seed)), bool))


def study_by_hand() -> jg.Study:
    """A network with three lines and one with two, filled up with a unit that was not measured."""
    absent = np.where([1, 1, 0], 1, np.nan)
    weights = {
        "dense0_sigmoid_kernel": 20 * np.stack([INWARDS * absent, INWARDS]),
        "dense0_sigmoid_bias": 20 * 1.2 * np.array([absent, [1, 1, 1]]),
        "dense1_linear_kernel": -20 * np.stack([absent, np.ones(3)])[..., None],
        "dense1_linear_bias": np.full((2, 1), 50),
    }
    params = {f"params_{name}": array[:, None, None] for name, array in weights.items()}
    return study_of([2, 3], [0], [0], loss=[[[0.5]], [[0.1]]], accuracy=[[[0.8]], [[1.0]]], **params)


@pytest.mark.slow
def test_a_study_of_widths_is_its_networks_trained_alone() -> None:
    settings = {"loss": jg.losses.binary_cross_entropy, "is_right": jg.losses.side_is_right, "learning_rate": 0.05}
    study = train_widths(DATA, (3, 4), 2, key=5, num_epochs=20, num_records=4, **settings)
    np.testing.assert_array_equal(study.coords["step"], [0, 5, 10, 15, 20])
    own_key, _ = jax.random.split(jax.random.fold_in(jax.random.key(5), 1))
    alone = jax.jit(
        lambda key: jg.fit(
            key,
            jg.mlp((2, 3, 1), activation="sigmoid"),  # in the study it is padded to 4
            optax.adam(0.05),
            jg.losses.binary_cross_entropy,
            DATA,
            num_epochs=20,
            record=5,
        )
    )(own_key)
    np.testing.assert_allclose(study.variables["loss"][0, 1], alone.train_loss, rtol=1e-5)
    found = jg.study.networks(study, width=3, seed=1, step=20)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(alone.params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_statistics_are_those_of_the_losses() -> None:
    loss = np.random.default_rng(0).random((3, 3, 3)).astype(np.float32)
    study = study_of([2, 7, 3], range(3), [0, 10, 20], loss=loss)
    rows = loss_statistics(study, 19, {7: float(np.sort(loss[1, :, 1])[1]) + 1e-6})
    assert [row.width for row in rows] == [2, 7, 3]
    assert rows[1].median == pytest.approx(np.median(loss[1, :, 1]))
    assert (rows[0].min, rows[0].max) == (loss[0, :, 1].min(), loss[0, :, 1].max())
    assert (rows[0].published, rows[0].rank) == (None, None)
    assert rows[1].rank == pytest.approx(2 / 3)
    assert (rows[0].rank_low, rows[0].rank_high) == (None, None)
    for end in (rows[1].rank_low, rows[1].rank_high):  # each is 1.96 of its own standard errors away
        assert abs(end - 2 / 3) == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / 3), rel=1e-5)
    assert f"67 % ({100 * rows[1].rank_low:.0f}–{100 * rows[1].rank_high:.0f})" in loss_table(rows)
    assert loss_statistics(study, 21, {7: 0.5})[1].published is None  # trained for less than that
    for row, width in enumerate((2, 7, 3)):
        assert median_seed(study, width) == np.argsort(loss[row, :, -1])[1]
    with pytest.raises(ValueError, match=r"width has the values \[2, 7, 3\]"):
        median_seed(study, 4)


def test_three_lines_seven_regions_and_the_disk_lives_alone() -> None:
    study = study_by_hand()
    found = rings.occupancy(study, DATA)
    np.testing.assert_array_equal(found.num_regions, [[4], [7]])
    labels, on = np.asarray(DATA.y), np.asarray(DATA.x) @ INWARDS + 1.2 > 0
    for row, bits in enumerate((on[:, :2], on)):
        of_disk, of_ring = ({tuple(code) for code in bits[labels == label]} for label in (0, 1))
        assert found.num_occupied[row, 0] == len(of_disk | of_ring)
        assert found.num_mixed[row, 0] == len(of_disk & of_ring)
    np.testing.assert_array_equal(found.num_mixed, [[1], [0]])
    assert "100 %" in rings.occupancy_table(found, study)

    params = jg.study.networks(study, width=3, seed=0, step=0)
    table = rings.region_table(params, DATA, jg.box(-4.6, 4.6))
    assert sorted(table.codes) == ["001", "010", "011", "100", "101", "110", "111"]
    np.testing.assert_array_equal(table.counts.sum(axis=0), [200, 200])
    np.testing.assert_array_equal(table.counts[table.codes.index("111")], [200, 0])
    for name, count in zip(table.codes, table.counts, strict=True):
        bits = np.array(list(name)) == "1"
        assert count[1] == np.sum((on == bits).all(axis=1) & (labels == 1))


def test_pictures_of_rings_hold_the_data() -> None:
    study = study_by_hand()
    params = rings_pictures.median_network(study, 3)
    figure, table = rings_pictures.draw_codes(params, DATA)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert texts == {f"{name}\n{a:,} | {b:,}" for name, (a, b) in zip(table.codes, table.counts, strict=True)}
    assert figure.axes[0].get_xlim() == rings_pictures.LIMITS
    figure.canvas.draw()
    boxes = [text.get_bbox_patch().get_window_extent() for text in figure.axes[0].texts]
    (arrows,) = (each for each in figure.axes[0].collections if isinstance(each, Quiver))
    for start, along in zip(np.asarray(arrows.get_offsets()), np.column_stack([arrows.U, arrows.V]), strict=True):
        for share in np.linspace(0, 1, 9):  # labels cover no arrow
            place = figure.axes[0].transData.transform(start + share * along)
            assert not any(box.contains(*place) for box in boxes)
    lines = rings_pictures.draw_lines(study, DATA)
    assert ["3 hidden" in lines.axes[1].get_title(), "0.500" in lines.axes[0].get_title()] == [True, True]
    assert rings_pictures.draw_hidden(params, DATA).axes[0].name == "3d"
    assert rings_pictures.shown_records(101, 3) == [0, 25, 100]


def test_pictures_of_one_width_hold_their_words(tmp_path: Path) -> None:
    study = regression.train_regression("as it is", (1,), 1, num_epochs=2)
    figures = [regression_pictures.draw_fits(study, regression.regression_data("as it is"), [1])]
    study = rings.train_rings((1,), 1, num_epochs=2)
    figures.append(rings_pictures.draw_lines(study, DATA))
    for figure in figures:
        figure.savefig(tmp_path / "one.png")
        assert faults_of_file(figure, tmp_path / "one.png") == []


def test_labels_of_a_narrow_region_hide_hardly_any_points() -> None:
    kernel = [[2.01, 1.03, -2.69], [1.81, -2.59, 0.64]]  # the disk touches two of these lines
    params = {
        "dense0_sigmoid": {"kernel": np.array(kernel), "bias": np.array([-3.23, -3.36, -3.28])},
        "dense1_linear": {"kernel": np.array([[3.3], [3.32], [3.4]]), "bias": np.array([-2.12])},
    }
    data = rings.ring_data(0)
    figure, _ = rings_pictures.draw_codes(params, data)
    figure.canvas.draw()
    (ax,) = figure.axes
    places = ax.transData.transform(np.asarray(data.x))
    for text in ax.texts:
        box = text.get_bbox_patch().get_window_extent()
        assert np.sum((places > box.min).all(axis=1) & (places < box.max).all(axis=1)) <= 5  # of 2,000; 28 before
        assert ax.get_window_extent().padded(1).containsy(box.y1)


def test_experiments_and_their_halves() -> None:
    forward, backward, percent = (regression.regression_data(name) for name in regression.EXPERIMENTS)
    np.testing.assert_array_equal(forward.y, backward.y[::-1])
    assert len(percent.x) == 199
    assert np.abs(percent.y).min() > 1e-3
    with pytest.raises(ValueError, match="reversed"):
        regression.regression_data("upside down")
    y = np.asarray(forward.y, np.float64)
    right = y[100:]
    outputs = np.stack([np.asarray(forward.y), np.where(np.arange(200)[:, None] < 100, forward.y, 0)])
    found = regression.unexplained_by_half(outputs, forward)
    np.testing.assert_allclose(found[0], 0, atol=1e-12)
    np.testing.assert_allclose(found[1], [0, np.mean(right**2) / np.var(right)], rtol=1e-6)


@pytest.mark.slow
def test_regression_trains_the_same_networks_in_all_experiments() -> None:
    studies = {}
    for name in regression.EXPERIMENTS:
        studies[name] = regression.train_regression(name, (1, 2) if name == "as it is" else (2,), 2, num_epochs=6)
    start, *others = (jg.study.networks(study, width=2, step=0) for study in studies.values())
    for other in others:
        jax.tree.map(np.testing.assert_array_equal, start, other)
    for name, of_point in (
        ("reversed", lambda outputs, y: (outputs - y) ** 2),
        ("loss in percent", lambda outputs, y: np.abs(outputs / y - 1)),
    ):
        data = regression.regression_data(name)
        outputs = regression.outputs_of(jg.study.networks(studies[name], width=2, step=6), data.x)
        mean = np.mean(of_point(outputs, np.asarray(data.y)), axis=(1, 2))
        np.testing.assert_allclose(mean, studies[name].variables["loss"][0, :, -1], rtol=1e-4)
    figure = regression_pictures.draw_halves(studies, 2)
    assert [ax.get_title().split(":")[0] for ax in figure.axes] == [*regression.EXPERIMENTS, "all 2 seeds of 2 units"]
    with pytest.raises(ValueError, match="at least one value"):
        regression.train_regression("as it is", ())


@pytest.mark.usefixtures("sound_pictures")
@pytest.mark.slow
def test_the_command_writes_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["rings", "--quick", "--quiet", "--out", str(tmp_path), "--widths", "1", "3", "--seeds", "2"]
    arguments += ["--formats", "png", "gif", "html"]
    small = ["--epochs", "40", "--regression-widths", "1", "3", "--regression-seeds", "2", "--regression-epochs", "40"]
    assert main([*arguments, *small]) == 0
    printed = capsys.readouterr().out
    assert "occupied" in printed
    assert "left half" in printed
    pictures = {"rings_losses", "rings_lines", "rings_codes", "rings_hidden", "rings_triples"}
    pictures |= {"regression_losses", "regression_fits", "regression_halves"}
    files = {path.name for path in tmp_path.iterdir()}
    moving = {f"{name}.{ending}" for name in ("rings", "regression") for ending in ("gif", "html")}
    assert files == {f"{name}.png" for name in pictures} | {"rings.json", "rings.npz"} | moving
    for name, inputs in (("rings", 2), ("regression", 1)):
        about = json.loads(re.search(r'id="about">([^<]*)<', (tmp_path / f"{name}.html").read_text())[1])
        assert (about["inputs"], about["activations"]) == (inputs, [["sigmoid"], ["sigmoid"]])
        assert [axis["values"] for axis in about["axes"]] == [[1, 3], [0, 1]]
    report = json.loads((tmp_path / "rings.json").read_text())
    assert report["settings"]["widths"] == [1, 3]
    assert report["statistics"]["regions"]["num_regions"] == [2, 2, 7, 7]
    assert np.sum(list(report["statistics"]["codes"].values()), axis=0).tolist() == [1000, 1000]
    with np.load(tmp_path / "rings.npz") as arrays:
        np.testing.assert_array_equal(arrays["rings_width"], [1, 3])
        z = arrays["x"] @ arrays["rings_first_kernel"][1, 1] + arrays["rings_first_bias"][1, 1]
        outputs = 1 / (1 + np.exp(-z)) @ arrays["rings_last_kernel"][1, 1] + arrays["rings_last_bias"][1, 1]
        loss = np.mean(np.logaddexp(0, np.where(arrays["y"] > 0, -1, 1) * outputs[:, 0]))
        assert arrays["rings_loss"][1, 1, -1] == pytest.approx(loss, rel=1e-5)
    for name in ("rings", "regression"):
        with Image.open(tmp_path / f"{name}.gif") as movie:
            assert movie.n_frames == len(rings_pictures.shown_records(41, 12))
    assert main([*arguments, "--widths", "17"]) == 2
    assert jnp.isfinite(loss)
