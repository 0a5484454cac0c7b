"""Rings and regression: sweeps against networks trained alone, tables against counting by hand, files decoded."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import pytest
from PIL import Image

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.recipes.regression import experiment as regression
from jaxgeom.recipes.regression import pictures as regression_pictures
from jaxgeom.recipes.rings import experiment as rings
from jaxgeom.recipes.rings import pictures as rings_pictures
from jaxgeom.recipes.sweep import Sweep, loss_statistics, loss_table, median_member, network_of, rows_of, train_widths

# Lines that fence in the disk: a triangle of inner radius 1.2, every unit on towards the middle; and one with only two.
ANGLES = np.array([0.5, 0.5 + 2 * np.pi / 3, 0.5 + 4 * np.pi / 3])
INWARDS = -np.stack([np.cos(ANGLES), np.sin(ANGLES)])
DATA = jg.rings(jax.random.key(0), num_per_class=200)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def sweep_by_hand() -> Sweep:
    kernel = np.stack([INWARDS, INWARDS * [1, 1, 0]]).astype(np.float32)
    bias = np.array([[1.2, 1.2, 1.2], [1.2, 1.2, 0]], np.float32)
    last = np.array([[[-20], [-20], [-20]], [[-20], [-20], [0]]], np.float32)
    snapshots = {
        "dense0_sigmoid": {"kernel": 20 * kernel[:, None], "bias": 20 * bias[:, None]},
        "dense1_linear": {"kernel": last[:, None], "bias": np.full((2, 1, 1), 50, np.float32)},
    }
    accuracy = np.array([[1.0], [0.8]], np.float32)
    loss = np.array([[0.1], [0.5]], np.float32)
    return Sweep(np.array([3, 2]), np.zeros(2, int), np.array([0]), loss, accuracy, snapshots)


def test_a_sweep_is_its_networks_trained_alone() -> None:
    key = jax.random.key(5)
    settings = {"loss": jg.losses.binary_cross_entropy, "accuracy": jg.losses.side_is_right, "learning_rate": 0.05}
    sweep = train_widths(key, DATA, (1, 4), 2, num_epochs=20, num_records=4, **settings)
    np.testing.assert_array_equal(sweep.width, [1, 1, 4, 4])
    np.testing.assert_array_equal(sweep.seed, [0, 1, 0, 1])
    np.testing.assert_array_equal(sweep.steps, [0, 5, 10, 15, 20])
    member = 1  # the second network of width 1, padded to 4
    own_key = jax.random.fold_in(jax.random.fold_in(key, 1), 1)
    alone = jax.jit(
        lambda key: jg.fit(
            key,
            jg.mlp((2, 1, 1), activation="sigmoid"),
            optax.adam(0.05),
            jg.losses.binary_cross_entropy,
            DATA,
            num_epochs=20,
            record=5,
        )
    )(own_key)
    np.testing.assert_allclose(sweep.loss[member], alone.train_loss, rtol=1e-5)
    for ours, theirs in zip(jax.tree.leaves(network_of(sweep, member)), jax.tree.leaves(alone.params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    some = rows_of(sweep, np.array([3, 0]))
    np.testing.assert_array_equal(some.loss, sweep.loss[[3, 0]])
    np.testing.assert_array_equal(some.steps, sweep.steps)


def test_statistics_are_those_of_the_losses() -> None:
    loss = np.random.default_rng(0).random((9, 3)).astype(np.float32)
    sweep = Sweep(np.repeat([2, 7, 3], 3), np.tile(np.arange(3), 3), np.array([0, 10, 20]), loss, None, None)
    rows = loss_statistics(sweep, 19, {7: float(np.sort(loss[3:6, 1])[1]) + 1e-6})
    assert [row.width for row in rows] == [2, 7, 3]
    assert rows[1].median == pytest.approx(np.median(loss[3:6, 1]))
    assert (rows[0].min, rows[0].max) == (loss[:3, 1].min(), loss[:3, 1].max())
    assert (rows[0].published, rows[0].rank) == (None, None)
    assert rows[1].rank == pytest.approx(2 / 3)
    assert "67 %" in loss_table(rows)
    assert loss_statistics(sweep, 21, {7: 0.5})[1].published is None  # trained for less than that
    for width, first in ((2, 0), (7, 3), (3, 6)):
        assert median_member(sweep, width) == first + np.argsort(loss[first : first + 3, -1])[1]
    with pytest.raises(ValueError, match=r"one of \[2, 3, 7\]"):
        median_member(sweep, 4)


def test_three_lines_seven_regions_and_the_disk_lives_alone() -> None:
    sweep = sweep_by_hand()
    found = rings.occupancy(sweep, DATA)
    np.testing.assert_array_equal(found.num_regions, [7, 4])
    codes = [
        np.asarray(DATA.x) @ kernel[0] + bias[0] > 0
        for kernel, bias in zip(*(sweep.snapshots["dense0_sigmoid"][name] for name in ("kernel", "bias")), strict=True)
    ]
    labels = np.asarray(DATA.y)
    for member, bits in enumerate(codes):
        of_disk, of_ring = ({tuple(row) for row in bits[labels == label]} for label in (0, 1))
        assert found.num_occupied[member] == len(of_disk | of_ring)
        assert found.num_mixed[member] == len(of_disk & of_ring)
    np.testing.assert_array_equal(found.num_mixed, [0, 1])
    assert "100 %" in rings.occupancy_table(found, sweep)

    table = rings.region_table(network_of(sweep, 0), DATA, jg.box(-4.6, 4.6))
    assert sorted(table.codes) == ["001", "010", "011", "100", "101", "110", "111"]
    np.testing.assert_array_equal(table.counts.sum(axis=0), [200, 200])
    np.testing.assert_array_equal(table.counts[table.codes.index("111")], [200, 0])
    for name, count in zip(table.codes, table.counts, strict=True):
        bits = np.array(list(name)) == "1"
        assert count[1] == np.sum((codes[0] == bits).all(axis=1) & (labels == 1))


def test_pictures_of_rings_hold_the_data() -> None:
    sweep = sweep_by_hand()
    figure, table = rings_pictures.draw_codes(network_of(sweep, 0), DATA)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert texts == {f"{name}\n{a:,} | {b:,}" for name, (a, b) in zip(table.codes, table.counts, strict=True)}
    assert figure.axes[0].get_xlim() == rings_pictures.LIMITS
    lines = rings_pictures.draw_lines(sweep, DATA)
    assert ["3 hidden" in lines.axes[0].get_title(), "0.500" in lines.axes[1].get_title()] == [True, True]
    assert rings_pictures.draw_hidden(network_of(sweep, 0), DATA).axes[0].name == "3d"
    assert rings_pictures.shown_records(101, 3) == [0, 25, 100]


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


def test_regression_trains_the_widest_in_all_experiments() -> None:
    sweeps = regression.train_regression(jax.random.key(0), (1, 2), 2, num_epochs=6)
    assert list(sweeps) == list(regression.EXPERIMENTS)
    as_it_is, other, percent = sweeps.values()
    np.testing.assert_array_equal(as_it_is.width, [1, 1, 2, 2])
    np.testing.assert_array_equal(other.width, [2, 2])
    start = jax.tree.map(lambda leaf: leaf[2:, 0], as_it_is.snapshots)
    for sweep in (other, percent):
        jax.tree.map(np.testing.assert_array_equal, start, jax.tree.map(lambda leaf: leaf[:, 0], sweep.snapshots))
    data = regression.regression_data("reversed")
    error = regression.outputs_of(other.params, data.x) - np.asarray(data.y)
    np.testing.assert_allclose(np.mean(error**2, axis=(1, 2)), other.loss[:, -1], rtol=1e-5)
    data = regression.regression_data("loss in percent")
    error = np.abs(regression.outputs_of(percent.params, data.x) / np.asarray(data.y) - 1)
    np.testing.assert_allclose(np.mean(error, axis=(1, 2)), percent.loss[:, -1], rtol=1e-4)
    figure = regression_pictures.draw_halves(sweeps, 2)
    assert [ax.get_title().split(":")[0] for ax in figure.axes] == [*regression.EXPERIMENTS, "all 2 seeds of 2 units"]
    with pytest.raises(ValueError, match="none was given"):
        regression.train_regression(jax.random.key(0), ())


def test_the_command_writes_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["rings", "--quick", "--quiet", "--out", str(tmp_path), "--widths", "1", "3", "--seeds", "2"]
    small = ["--epochs", "40", "--regression-widths", "1", "3", "--regression-seeds", "2", "--regression-epochs", "40"]
    assert main([*arguments, *small]) == 0
    printed = capsys.readouterr().out
    assert "occupied" in printed
    assert "left half" in printed
    pictures = {"rings_losses", "rings_lines", "rings_codes", "rings_hidden", "rings_triples"}
    pictures |= {"regression_losses", "regression_fits", "regression_halves"}
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {f"{name}.png" for name in pictures} | {"rings.json", "rings.npz", "rings.gif", "regression.gif"}
    report = json.loads((tmp_path / "rings.json").read_text())
    assert report["settings"]["widths"] == [1, 3]
    assert report["statistics"]["regions"]["num_regions"] == [2, 2, 7, 7]
    assert np.sum(list(report["statistics"]["codes"].values()), axis=0).tolist() == [1000, 1000]
    with np.load(tmp_path / "rings.npz") as arrays:
        np.testing.assert_array_equal(arrays["rings_width"], [1, 1, 3, 3])
        z = arrays["x"] @ arrays["rings_first_kernel"][3] + arrays["rings_first_bias"][3]
        outputs = 1 / (1 + np.exp(-z)) @ arrays["rings_last_kernel"][3] + arrays["rings_last_bias"][3]
        loss = np.mean(np.logaddexp(0, np.where(arrays["y"] > 0, -1, 1) * outputs[:, 0]))
        assert arrays["rings_loss"][3, -1] == pytest.approx(loss, rel=1e-5)
    for name in ("rings", "regression"):
        with Image.open(tmp_path / f"{name}.gif") as movie:
            assert movie.n_frames == len(rings_pictures.shown_records(41, 12))
    assert main([*arguments, "--widths", "17"]) == 2
    assert jnp.isfinite(loss)
