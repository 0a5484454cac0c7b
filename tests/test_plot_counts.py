"""The figure of region counts: what is drawn is the data."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxgeom import plot
from jaxgeom.regions.cells import NOT_COUNTED

WIDTH = np.repeat([2, 20], 30)
RANDOM = np.random.default_rng(0)
GRID = RANDOM.integers(2, 100, 60)
EXACT = GRID + RANDOM.integers(0, 10, 60)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_every_network_is_a_dot_in_its_lane() -> None:
    drawn = plot.region_counts(WIDTH, {"grid": GRID, "exact": EXACT})
    expected = [array[w == WIDTH] for array in (GRID, EXACT) for w in (2, 20)]
    assert len(drawn.points) == 4
    for collection, values, place in zip(drawn.points, expected, (0, 1, 0, 1), strict=True):
        x, y = np.asarray(collection.get_offsets()).T
        np.testing.assert_array_equal(y, values)
        assert (np.abs(x - place) < 0.5).all()
    shapes = [collection.get_paths()[0].vertices.tobytes() for collection in drawn.points]
    assert shapes[0] == shapes[1] != shapes[2] == shapes[3], "kinds are told apart without colours"
    lanes = [np.asarray(collection.get_offsets())[:, 0] for collection in drawn.points]
    assert lanes[0].max() < lanes[2].min()
    for bar, values in zip(drawn.medians, expected, strict=True):
        np.testing.assert_array_equal(bar.get_ydata(), [np.median(values)] * 2)


def test_axes_are_labelled_and_the_legend_names_everything_once() -> None:
    drawn = plot.region_counts(
        WIDTH, {"grid": GRID, "exact": EXACT}, theory=lambda w: 3.0 * w, anecdotes={2: (3, 3), 7: (1,)}
    )
    assert drawn.axes.get_xlabel()
    assert drawn.axes.get_ylabel()
    assert [label.get_text() for label in drawn.axes.get_xticklabels()] == ["2", "20"]
    texts = [text.get_text() for text in drawn.axes.get_legend().get_texts()]
    assert len(texts) == len(set(texts)) == 5
    assert "median" in texts
    assert drawn.theory is not None
    heights = np.asarray(drawn.theory.get_ydata(), float)
    assert set(heights) == {6.0, 60.0}
    assert drawn.anecdotes is not None
    np.testing.assert_array_equal(drawn.anecdotes.get_ydata(), [3, 3])  # width 7 is not drawn


def test_numbers_stand_along_the_axis_at_least_every_half_decade() -> None:
    drawn = plot.region_counts(WIDTH, {"grid": GRID, "exact": np.where(WIDTH == 2, 2, 3000)})
    drawn.axes.figure.canvas.draw()
    axis = drawn.axes.yaxis
    low, high = drawn.axes.get_ylim()
    named = [tick.get_loc() for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()) if tick.label1.get_text()]
    places = np.log10(np.sort([low, *(value for value in named if low < value < high), high]))
    assert np.diff(places).max() < 0.55


def test_counts_that_are_all_alike_but_for_rounding_are_seen() -> None:
    alike = np.full(60, 3)
    drawn = plot.region_counts(WIDTH, {"grid": alike, "exact": alike}, theory=lambda width: 3 * (1 + 1e-14 * width))
    drawn.axes.figure.canvas.draw()
    low, high = drawn.axes.get_ylim()
    assert low < 2.5
    assert 3.5 < high < 30
    ticks = [tick.get_loc() for tick in drawn.axes.yaxis.get_major_ticks() if tick.label1.get_text()]
    assert any(low < value < high for value in ticks)
    texts = [tick.label1.get_text() for tick in drawn.axes.yaxis.get_major_ticks()]
    assert [float(text) for text in texts] == pytest.approx(
        [tick.get_loc() for tick in drawn.axes.yaxis.get_major_ticks()]
    )


def test_networks_not_counted_are_left_out() -> None:
    counts = np.where(np.arange(60) % 3 == 0, NOT_COUNTED, GRID)
    drawn = plot.region_counts(WIDTH, {"grid": counts})
    assert sum(len(collection.get_offsets()) for collection in drawn.points) == 40
    nothing = plot.region_counts(WIDTH, {"grid": np.full(60, NOT_COUNTED)})
    nothing.axes.figure.canvas.draw()
    assert nothing.medians == []


def test_given_axes_are_used_and_global_style_is_left_alone() -> None:
    before = dict(plt.rcParams)
    _, ax = plt.subplots()
    drawn = plot.region_counts(WIDTH, {"grid": GRID}, ax=ax, s=3)
    assert drawn.axes is ax
    assert len(plt.get_fignums()) == 1
    assert drawn.points[0].get_sizes() == [3]
    assert dict(plt.rcParams) == before


@pytest.mark.usefixtures("unchecked")
def test_bad_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        plot.region_counts(WIDTH, {"grid": GRID[:-1]})
    with pytest.raises(ValueError, match="at least one"):
        plot.region_counts(np.zeros(0, int), {"grid": np.zeros(0, int)})
