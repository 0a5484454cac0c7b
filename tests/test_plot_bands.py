"""Curves with bands: what is drawn is the median and the quantiles."""

import numpy as np
import pytest

from jaxgeom.plot import new_figure, plot_bands


def test_line_and_band_are_quantiles() -> None:
    x = np.array([0, 1, 4])
    values = np.random.default_rng(0).normal(size=(11, 3))
    values[3, 1] = np.nan
    ax = new_figure().subplots()
    drawn = plot_bands(x, values, ax=ax, label="some", color="black", quantiles=(0.0, 1.0))
    assert drawn.axes is ax
    assert drawn.line.get_label() == "some"
    expected = [np.median(column[~np.isnan(column)]) for column in values.T]
    np.testing.assert_allclose(drawn.line.get_xydata(), np.stack([x, expected], axis=1))
    corners = drawn.band.get_paths()[0].vertices
    for place, column in zip(x, values.T, strict=True):
        heights = corners[corners[:, 0] == place, 1]
        assert heights.min() == np.nanmin(column)
        assert heights.max() == np.nanmax(column)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="a row for each"):
        plot_bands([0, 1], np.zeros((4, 3)))
    with pytest.raises(ValueError, match="must ascend"):
        plot_bands([0, 1], np.zeros((4, 2)), quantiles=(0.9, 0.1))
