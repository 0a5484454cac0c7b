"""The movie: regions, counts and colours at every frame, and what is drawn of them."""

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from complexes import complex_of
from matplotlib.collections import PolyCollection
from PIL import Image

from jaxgeom.networks.layers import Dense
from jaxgeom.plot.animate import save_animation
from jaxgeom.recipes.movie import pictures as movie_pictures
from jaxgeom.recipes.movie.experiment import MOVIE_DOMAIN, movie_steps, region_movie
from jaxgeom.regions.colors import face_colors


@pytest.fixture(scope="module")
def movie():
    return region_movie(jax.random.key(0), widths=(6,), num_networks=8, num_steps=40, num_frames=4)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_steps_are_close_at_first():
    steps = movie_steps(1500, 90)
    assert (steps[0], steps[-1]) == (0, 1500)
    assert (np.diff(steps) > 0).all()
    assert np.diff(steps)[:10].max() < np.diff(steps)[-10:].min()
    np.testing.assert_array_equal(movie_steps(2, 10), [0, 1, 2])


def test_regions_and_counts_are_those_of_the_network_at_each_frame(movie):
    assert movie.counts.shape == movie.losses.shape == movie.accuracies.shape == (8, 4)
    for frame, found in enumerate(movie.complexes):
        layers = tuple(Dense(kernel[frame], bias[frame]) for kernel, bias, *_ in movie.layers)
        assert found.num_faces == complex_of(layers, MOVIE_DOMAIN).num_faces == movie.counts[0, frame]
        outputs = np.maximum(movie.data.x @ layers[0].kernel + layers[0].bias, 0) @ layers[1].kernel + layers[1].bias
        is_right = (outputs[:, 0] > 0) == (movie.data.y > 0)
        assert movie.accuracies[0, frame] == pytest.approx(is_right.mean())
        signs = np.where(movie.data.y > 0, 1.0, -1.0) * outputs[:, 0]
        assert movie.losses[0, frame] == pytest.approx(np.log1p(np.exp(-signs)).mean(), rel=1e-4)
    np.testing.assert_allclose(np.mean(movie.data.x, axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.std(movie.data.x, axis=0), 1, atol=1e-5)


def test_frames_show_the_regions_in_colours_that_follow_their_patterns(movie, tmp_path):
    figure, draw, num = movie_pictures.movie_figure(movie)
    assert num == 4
    color_of = {}
    for frame in range(num):
        draw(frame)
        ax = next(ax for ax in figure.axes if any(isinstance(c, PolyCollection) for c in ax.collections))
        faces = next(c for c in ax.collections if isinstance(c, PolyCollection))
        assert len(faces.get_paths()) == movie.counts[0, frame]
        assert (ax.get_xlim(), ax.get_ylim()) == ((-2.2, 2.2), (-2.2, 2.2))
        for pattern, color in zip(movie.complexes[frame].patterns, faces.get_facecolor(), strict=True):
            same = color_of.setdefault(pattern.tobytes(), tuple(color))
            assert same == tuple(color)
        np.testing.assert_allclose(faces.get_facecolor()[:, :3], face_colors(movie.complexes[frame]))
        assert f"{movie.counts[0, frame]} regions" in ax.get_title()
    (path,) = save_animation(figure, draw, num, [tmp_path / "movie.gif"], dpi=40)
    with Image.open(path) as read:
        assert read.n_frames == 4


def test_the_other_pictures(movie):
    figure, facts = movie_pictures.grid_view_figure(movie, num_grid=5)
    assert facts["exact_regions"] == movie.counts[0, -1]
    assert facts["regions_seen"] <= 25
    band = movie_pictures.counts_figure(movie).axes[1]
    shown = next(line for line in band.lines if line.get_label() == "the network shown")
    np.testing.assert_array_equal(shown.get_ydata(), movie.counts[0])
    median = next(line for line in band.lines if line.get_label() == "their median")
    np.testing.assert_allclose(median.get_ydata(), np.median(movie.counts, axis=0))
    for make in (movie_pictures.frames_figure, movie_pictures.colors_figure, movie_pictures.units_figure):
        make(movie).canvas.draw()
    figure.canvas.draw()


def test_what_is_refused():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="data must be one of moons"):
        region_movie(key, data="stars")
    with pytest.raises(ValueError, match="hidden layer"):
        region_movie(key, widths=())
    with pytest.raises(ValueError, match="num_frames"):
        region_movie(key, num_frames=1)
