"""Limits and labels of pictures: nothing that matplotlib warns of, whatever is drawn over what."""

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom import plot

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
    plot.plot_loss(np.ones(3), ylabel="cross-entropy")
    assert plt.gca().get_ylabel() == "cross-entropy"
    curve = plot.plot_curves(np.array([0, 1]), np.array([[1.0, np.nan], [2.0, 4.0]]))
    np.testing.assert_array_equal(curve.median.get_ydata(), [1.5, 4.0])
