"""Limits and labels of pictures: nothing that matplotlib warns of, whatever is drawn over what."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from pictures import faults_of_file, overlapping_texts

import jaxgeom as jg
from jaxgeom import plot
from jaxgeom.plot.style import following_limits, percent
from jaxgeom.recipes.output import save_figure

DEAD = (jg.Dense(np.zeros((2, 3)), -np.ones(3)), jg.Dense(np.ones((3, 1)), np.zeros(1)))
FOUR = (jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.zeros((2, 1)), np.zeros(1)))


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.mark.slow
@pytest.mark.filterwarnings("error", "ignore:.*deprecated:DeprecationWarning")  # of Matplotlib's by pyparsing
@pytest.mark.parametrize("layers", [DEAD, FOUR], ids=["one region", "four equal regions"])
@pytest.mark.parametrize("color_by", ["random", "area", "output", "slope", "active"])
def test_points_and_lines_over_regions_leave_their_limits(layers: Any, color_by: str) -> None:
    regions = jg.enumerate_regions(layers, jg.box(-1, 2))
    drawn = plot.plot_regions(regions, color_by=color_by)
    ax = drawn.axes
    plot.plot_points(np.array([[0.0, 0.5], [5.0, 0.0]]), np.array([0, 1]), ax=ax)
    plot.plot_warped_grid(jg.grid_lines(jg.box(-1, 1), 3), ax=ax)
    plot.plot_boundary(jg.decision_boundary(regions), ax=ax)
    ax.figure.canvas.draw()
    np.testing.assert_allclose([ax.get_xlim(), ax.get_ylim()], [[-1, 2], [-1, 2]])


@pytest.mark.filterwarnings("error", "ignore:.*deprecated:DeprecationWarning")  # of Matplotlib's by pyparsing
@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot.plot_curves(np.array([0]), np.ones((3, 1))),
        lambda: plot.plot_curves(np.array([0, 1]), np.full((3, 2), np.nan)),
        lambda: plot.plot_curves(np.array([0, 1]), np.array([[1.0, np.nan], [2.0, np.nan]])),
        lambda: plot.plot_loss(np.ones(1)),
        lambda: plot.region_counts(np.full(5, 3), {"a": np.full(5, 4)}),
        lambda: plot.plot_points(np.zeros((5, 2)), np.zeros(5, int)),
        lambda: plot.plot_fit(np.zeros((5, 1)), np.zeros((5, 1)), np.zeros((5, 1))),
        lambda: plot.plot_stages([np.zeros((5, 2))] * 2, np.zeros(5), ["a", "b"]),
        lambda: plot.sandwich([np.zeros((5, 6))] * 2, (0, 1, 2, 3, 4, 5)),
    ],
)
def test_equal_values_have_limits(draw: Callable[[], Any]) -> None:
    draw()
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()


def test_points_by_themselves_fill_the_axes() -> None:
    (ax,) = plot.plot_points(np.eye(2) * 3)[0].figure.axes
    assert ax.get_adjustable() == "datalim"


def test_curves_are_labelled() -> None:
    plot.plot_curves(np.array([0, 1]), np.ones((3, 2)), ylabel="regions")
    assert plt.gca().get_ylabel() == "regions"
    plot.plot_curves(np.array([0, 1]), np.ones((3, 2)), ax=plt.gca())
    plot.plot_distribution(np.array([0, 1]), np.ones((3, 2)), ax=plt.gca())
    assert plt.gca().get_ylabel() == "regions"
    assert plot.plot_curves(np.array([0, 1]), np.ones((3, 2))).median.axes.get_ylabel() == ""
    plot.plot_loss(np.ones(3), ylabel="cross-entropy")
    assert plt.gca().get_ylabel() == "cross-entropy"
    curve = plot.plot_curves(np.array([0, 1]), np.array([[1.0, np.nan], [2.0, 4.0]]))
    np.testing.assert_array_equal(curve.median.get_ydata(), [1.5, 4.0])


def test_faults_of_pictures_are_found(tmp_path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(4, 2))
    figure.savefig(tmp_path / "sound.png")
    assert faults_of_file(figure, tmp_path / "sound.png") == []
    left.set_title("a title that is too long for its axes, and runs into the next, and far beyond the edge")
    right.set_title("another")
    right.set_xticks([0.5, 0.51], ["0.50", "0.51"])
    figure.savefig(tmp_path / "faulty.png")
    faults = faults_of_file(figure, tmp_path / "faulty.png")
    assert any("on the left border" in fault for fault in faults)
    assert any("'another' overlap" in fault for fault in faults)
    assert "'0.50' and '0.51' overlap" in faults
    right.axis("off")
    assert not any("0.50" in fault for fault in overlapping_texts(figure))


def test_many_things_are_pixels_in_svgs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    figure, axes = plt.subplots(1, 4, layout="constrained")
    points = rng.normal(size=(60_000, 2))
    plot.plot_points(points, ax=axes[0])
    lines = np.stack([points[:-1], points[1:]], axis=1)
    axes[1].add_collection(LineCollection(list(lines)))
    axes[2].fill_between(np.arange(60_000), *points.T)
    plot.plot_points(points[:100], ax=axes[3])
    (path,) = save_figure(figure, tmp_path / "many", ("svg",), dpi=60)
    content = path.read_text()
    assert len(content) < 5e5
    assert content.count("<image") == 3  # a hundred points stay as they are
    assert content.count("<use") >= 100


def test_limits_that_follow_hold_all_points_and_move_smoothly() -> None:
    rng = np.random.default_rng(0)
    scale = np.geomspace(0.1, 10, 40)[:, None, None]
    points = rng.normal(size=(40, 30, 2)) * scale + 3 * scale
    low, high = np.moveaxis(following_limits(points), -1, 0)
    assert (low[:, None] < points).all()
    assert (high[:, None] > points).all()
    width = (high - low)[:, 0]
    np.testing.assert_allclose(width, (high - low)[:, 1])
    tight = np.ptp(points, axis=1).max(axis=1)
    assert np.abs(np.diff(np.log(width))).max() < np.abs(np.diff(np.log(tight))).max()
    assert (width < 4 * tight).all()
    assert following_limits(np.zeros((3, 5, 2))).shape == (3, 2, 2)
    assert (percent(0.999), percent(1.0), percent(0.123)) == ("99 %", "100 %", "12 %")
    assert (percent(0.0), percent(3 / 1024), percent(0.0101)) == ("0 %", "0.3 %", "1 %")
