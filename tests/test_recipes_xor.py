"""XOR, network by network: by hand, trained, compared, and what the command writes of it."""

import json

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from complexes import complex_of, network
from matplotlib.collections import TriMesh
from PIL import Image

from jaxgeom.__main__ import main
from jaxgeom.data.datasets import parity
from jaxgeom.domains import box
from jaxgeom.networks.layers import layers_of
from jaxgeom.recipes.xor import experiment
from jaxgeom.recipes.xor import networks as xor_networks
from jaxgeom.recipes.xor import pair_pictures as xor_pair_pictures
from jaxgeom.recipes.xor import pictures as xor_pictures
from jaxgeom.recipes.xor.networks import PairScores
from jaxgeom.study import networks


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_network_by_hand_is_xor():
    x, y = parity(2)
    values = xor_networks.xor_values(xor_networks.xor_by_hand(), np.asarray(x))
    np.testing.assert_array_equal(np.sign(values), y[:, 0])
    np.testing.assert_array_equal(values, [-1, 1, 1, -3])
    regions = complex_of(xor_networks.xor_by_hand(), box(-2, 2))
    found = sorted(map(tuple, np.column_stack([regions.gradient[:, 0], regions.intercept]).tolist()))
    assert found == [(-2, -2, 1), (0, 0, -1), (2, 2, 1)]


@pytest.mark.slow
def test_a_training_is_that_of_the_study(trained_xor):
    trained = trained_xor(2)
    run = xor_networks.xor_training(trained, 2, 3)
    once, there = networks(run, step=100), networks(trained, width=2, seed=3, step=100)
    for ours, theirs in zip(jax.tree.leaves(once), jax.tree.leaves(there), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert run.variables["tries"] == trained.variables["tries"][0, 3]
    np.testing.assert_array_equal(run.coords["step"], np.arange(0, 101, 10))
    assert run.variables["accuracy"][-1] == 1
    figure = xor_pictures.training_figure(run, 2)
    meshes = [c for ax in figure.axes for c in ax.collections if isinstance(c, TriMesh)]
    assert len(meshes) == 11
    assert {mesh.get_clim() for mesh in meshes} == {(-1.5, 1.5)}
    corners = np.column_stack([meshes[-1]._triangulation.x, meshes[-1]._triangulation.y])
    values = np.clip(xor_networks.xor_values(layers_of(once), corners), -1.5, 1.5)
    np.testing.assert_allclose(meshes[-1].get_array(), values, atol=1e-5)
    _, draw, num = xor_pictures.training_movie(run, 2)
    for frame in (0, num - 1):
        draw(frame)


@pytest.mark.slow
def test_pairs_are_compared_in_both_directions():
    drawn = [network(seed, 3, 1) for seed in (0, 1, 2, 3)]
    pair = xor_networks.xor_pair(drawn[0], drawn[1], num_grid=11)
    assert pair.points.shape == (125, 2)
    ones = np.column_stack([pair.points, np.ones(125)])
    for layers, triples in zip(drawn, pair.triples, strict=False):
        np.testing.assert_allclose(
            np.sum(ones * triples, axis=1), xor_networks.xor_values(layers, pair.points), atol=1e-6
        )
    # the image is a projection: what is left is orthogonal to the triples and to constants
    for x, y, image in ((0, 1, 0), (1, 0, 1)):
        left = pair.triples[y] - pair.images[image]
        np.testing.assert_allclose(left.sum(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(pair.triples[x].T @ left, 0, atol=1e-9)
    for triples, distinct in zip(pair.triples, pair.distinct, strict=True):
        assert distinct.sum() == len(np.unique(triples.round(6), axis=0))
        assert distinct[0]
    first, second = (jax.tree.map(lambda *arrays: np.stack(arrays), *half) for half in (drawn[::2], drawn[1::2]))
    scores = xor_networks.compare_pairs(first, second, num_grid=11)
    np.testing.assert_allclose(scores.all_points[0], pair.r_squared[0], atol=1e-12)
    assert (scores.all_points >= 0).all()
    assert (scores.data_points <= scores.all_points + 1e-9).all()  # the fit on the grid is the best there is
    fitted = [np.column_stack([regions.gradient[:, 0], regions.intercept]) for regions in pair.sent]
    for maps, images in zip(fitted, pair.images, strict=True):  # those of regions are those of points in them
        assert {tuple(row) for row in images.round(4)} <= {tuple(row) for row in maps.round(4)}
    for kind, num in (("similar", 3), ("width100", 1)):
        figures = xor_pair_pictures.pair_figures(pair, ("a", "b"), kind)
        assert len(figures) == num
        for figure in figures.values():
            figure.canvas.draw()


def test_bars_are_medians_or_the_figure_says_them():
    low, high = np.array([-409.0, -1.5, -1.25, 0.5, 0.7]), np.array([-3.0, 0.1, 0.2, 0.3, 0.4])
    scores = [
        PairScores((2, 2), high, low, np.zeros((5, 2), int)),
        PairScores((2, 5), high, high, np.zeros((5, 2), int)),
    ]
    (ax,) = xor_pair_pictures.pairs_figure(scores).axes
    bars = [line.get_ydata()[0] for line in ax.lines if np.ptp(line.get_xdata()) < 0.5]
    assert bars == [np.median(high)] * 3
    assert {text.get_text() for text in ax.texts} == {"1 below", "3 below,\nmedian −1.25"}


def test_chosen_pairs():
    def scores(widths, values):
        return PairScores(widths, np.array(values), np.array(values), np.arange(2 * len(values)).reshape(-1, 2))

    alike, wide, other = (
        scores((2, 2), [0.3, 0.9, 0.7, -0.1, 0.6]),
        scores((5, 5), [0.3]),
        scores((2, 5), [0.5, 0.1, 0.2]),
    )
    found = xor_networks.chosen_pairs([alike, wide, other])
    # 0.7 is in the middle of those above 0.5
    chosen = {name: row for name, (_, row) in found.items()}
    assert chosen == {
        "similar": 2,
        "dissimilar": 3,
        "width5": 0,
        "widths": 2,
    }  # 0.7 is in the middle of those above 0.5
    assert found["widths"][0] is other
    assert found["width5"][0] is wide
    assert xor_networks.chosen_pairs([scores((2, 2), [0.3, 0.4])])["similar"][1] == 1
    assert xor_networks.chosen_pairs([]) == {}


def test_pictures_of_one_network():
    layers = network(1, 8, 1)
    exact = complex_of(layers)
    figure, facts = xor_pictures.grid_view_figure(layers, num_grid=9, title="a")
    assert facts["exact_regions"] == exact.num_faces
    missed = [c for c in figure.axes[0].collections if "no grid point" in str(c.get_label())]
    assert len(missed[0].get_paths()) == exact.num_faces - facts["regions_seen"]
    assert facts["maps_seen"] <= facts["regions_seen"] <= facts["exact_regions"]
    assert len(xor_pictures.regions_figure(layers, title="a").axes) == 7  # four pictures, three colour bars
    xor_pictures.units_figure(layers, title="a").canvas.draw()
    by_hand = xor_pictures.by_hand_figure()
    texts = {text.get_text() for text in by_hand.axes[0].texts}
    assert "$f(x, y) = 2 x + 2 y + 1$" in texts
    xor_pictures.data_figure().canvas.draw()
    figure, kinds = xor_pictures.kinds_figure(jax.tree.map(lambda array: array[None], network(1, 2, 1)), title="a")
    assert kinds.num_networks.tolist() == [1]
    assert figure.axes[0].get_title().startswith("100 %")
    assert xor_pictures.in_text(xor_networks.xor_by_hand()) == "f(x) = 2 max(x1 + x2 + 1, 0) - 4 max(x1 + x2, 0) - 1"


@pytest.mark.usefixtures("sound_pictures")
@pytest.mark.slow
def test_the_command_writes_networks_and_pairs(tmp_path, capsys, monkeypatch):
    trained, train = [], experiment.train_xor

    def noted(width, *given, **settings):
        trained.append(width)
        return train(width, *given, **settings)

    monkeypatch.setattr(experiment, "train_xor", noted)
    command = ["xor", "--widths", "2", "--seeds", "12", "--grid", "11", "--pairs", "4", "--quick", "--quiet"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    assert trained == [(2,)]  # once, for the table and for the pictures
    assert "R² over the grid" in capsys.readouterr().out
    report = json.loads((tmp_path / "xor_networks.json").read_text())["statistics"]
    with np.load(tmp_path / "xor_pairs.npz") as arrays:
        assert arrays["seeds"].shape == (report["pairs"][0]["num_pairs"], 2)
        assert arrays["r_squared"].max() == pytest.approx(report["pairs"][0]["whole_grid"]["max"])
        is_chosen = (arrays["seeds"] == report["similar"]["seeds"]).all(axis=1)
        (chosen,) = arrays["r_squared"][is_chosen]
        assert (arrays["r_squared"] > max(chosen, 0.5)).sum() <= (arrays["r_squared"] >= 0.5).sum() / 2
    assert report["similar"]["r_squared"][0] == pytest.approx(chosen)
    assert r"\begin{bmatrix}" in report["similar"]["formulas"][0]
    assert "widths" not in report
    with Image.open(tmp_path / "xor_training.gif") as movie:
        assert movie.n_frames == 11
    names = {path.name for path in tmp_path.glob("*.png")}
    assert {"xor.png", "xor_by_hand.png", "xor_similar_maps.png", "xor_grid.png", "xor_kinds.png"} <= names
