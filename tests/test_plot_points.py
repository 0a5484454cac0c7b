"""Points: what is drawn, where and in which colours; the dark look stays inside its context."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from jaxgeom import plot

X = np.random.default_rng(0).normal(size=(30, 3))
LABELS = np.repeat([0, 1, 2], 10)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_one_collection_a_class() -> None:
    drawn = plot.plot_points(X[:, :2], LABELS, names=("a", "b", "c"))
    for label, collection in enumerate(drawn):
        np.testing.assert_array_equal(collection.get_offsets(), X[label == LABELS, :2])
        np.testing.assert_array_equal(collection.get_facecolor()[0, :3], to_rgba(plot.COLORS[label])[:3])
    shapes = [collection.get_paths()[0].vertices for collection in drawn]
    assert len({shape.tobytes() for shape in shapes}) == 3  # told apart in greyscale, too
    ax = drawn[0].axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "c"]
    assert ax.get_aspect() == 1


def test_space_line_numbers_and_colours() -> None:
    (in_space,) = plot.plot_points(X, X[:, 0])
    assert in_space.axes.name == "3d"
    np.testing.assert_array_equal(in_space.get_array(), X[:, 0])
    (on_line,) = plot.plot_points(X[:, :1])
    np.testing.assert_array_equal(on_line.get_offsets(), np.column_stack([X[:, 0], np.zeros(30)]))
    colors = np.random.default_rng(1).random((30, 3))
    (colored,) = plot.plot_points(X[:, :2], colors, alpha=1)
    np.testing.assert_array_equal(colored.get_facecolor()[:, :3], colors)


def test_bad_input(unchecked) -> None:
    with pytest.raises(ValueError, match=r"jaxgeom\.pca"):
        plot.plot_points(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="as many labels"):
        plot.plot_points(X, LABELS[:5])
    with pytest.raises(ValueError, match="axes of kind"):
        plot.plot_points(X, ax=plt.figure().subplots())


def test_dark_is_dark_only_inside() -> None:
    before = dict(mpl.rcParams)
    with plot.dark():
        axes = plot.new_axes(3, dim=[2, 3, 2], num_columns=2)
    assert dict(mpl.rcParams) == before
    assert [ax.name for ax in axes] == ["rectilinear", "3d", "rectilinear"]
    assert sum(to_rgba(axes[0].get_facecolor())[:3]) < 0.5
    assert sum(to_rgba(axes[0].xaxis.label.get_color())[:3]) > 2.5
    (light,) = plot.new_axes()
    assert sum(to_rgba(light.get_facecolor())[:3]) == 3
