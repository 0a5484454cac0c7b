"""Learning curves: smoothing against its recursion, lines and bands against quantiles."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxgeom import plot

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_smoothing_starts_at_the_first_loss_and_forgets_exponentially() -> None:
    values = RNG.random((3, 20))
    smooth = plot.exponential_smoothing(values, 0.9)
    weights = 0.1 * 0.9 ** np.arange(19, -1, -1.0)
    weights[0] = 0.9**19
    np.testing.assert_allclose(smooth[:, -1], values @ weights, rtol=1e-12)
    np.testing.assert_array_equal(smooth[:, 0], values[:, 0])
    np.testing.assert_allclose(plot.exponential_smoothing(np.full(5, 0.7)), 0.7, rtol=1e-15)
    np.testing.assert_array_equal(plot.exponential_smoothing(values, 0), values)
    with pytest.raises(ValueError, match="below 1"):
        plot.exponential_smoothing(values, 1.0)


def test_loss_is_drawn_raw_and_smoothed() -> None:
    losses = RNG.random(30)
    drawn = plot.plot_loss(losses, smoothing=0.5, color="red")
    np.testing.assert_array_equal(drawn.raw.get_xydata(), np.column_stack([np.arange(30), losses]))
    np.testing.assert_array_equal(drawn.smooth.get_ydata(), plot.exponential_smoothing(losses, 0.5))
    assert drawn.smooth.get_color() == "red"
    assert drawn.raw.axes.get_xlabel() == "step"


def test_curves_are_median_and_quantiles() -> None:
    steps, values = np.arange(4) * 10, RNG.random((11, 4))
    values[0, 2] = np.nan
    ax = plt.figure().subplots()
    drawn = plot.plot_curves(steps, values, quantiles=(0.2, 0.8), ax=ax, label="eleven", color="green")
    np.testing.assert_array_equal(drawn.median.get_xdata(), steps)
    np.testing.assert_allclose(drawn.median.get_ydata(), np.nanmedian(values, axis=0))
    corners = drawn.band.get_paths()[0].vertices
    for step, column in zip(steps, values.T, strict=True):
        edges = corners[corners[:, 0] == step, 1]
        np.testing.assert_allclose([edges.min(), edges.max()], np.nanquantile(column, [0.2, 0.8]))
    assert drawn.median.axes is ax
    assert drawn.median.get_label() == "eleven"
    assert plot.plot_curves(steps, values[1:2], ax=ax).band is None


def test_curves_that_do_not_fit(unchecked) -> None:
    with pytest.raises(ValueError, match="in order"):
        plot.plot_curves(np.arange(3), np.zeros((2, 3)), quantiles=(0.9, 0.1))
    with pytest.raises(ValueError, match="shape"):
        plot.plot_curves(np.arange(3), np.zeros((2, 4)))
    for draw in (plot.plot_curves, plot.plot_distribution):
        with pytest.raises(ValueError, match=r"have shape \(100, 21\).*steps\[0\]"):
            draw(np.zeros((100, 21)), np.zeros((100, 21)))
