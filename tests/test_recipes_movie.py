"""The movie: regions, counts and colours at every frame, and what is drawn of them."""

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from complexes import complex_of
from matplotlib.collections import PolyCollection
from matplotlib.text import Text
from PIL import Image

from jaxgeom.networks.layers import Dense
from jaxgeom.plot.animate import save_animation
from jaxgeom.plot.pieces import cut_at_zero
from jaxgeom.recipes.movie import pictures as movie_pictures
from jaxgeom.recipes.movie.experiment import (
    MOVIE_DOMAIN,
    frames_by_change,
    middle_network,
    movie_steps,
    phases,
    region_movie,
)
from jaxgeom.recipes.output import save_figure


@pytest.fixture(scope="module")
def movie():
    return region_movie(jax.random.key(0), widths=(6,), num_networks=8, num_steps=40, num_frames=4)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_frames_are_where_edges_move():
    np.testing.assert_array_equal(movie_steps(2, 10), [0, 1, 2])
    # one unit, whose line crosses the square between the third and the fourth snapshot, and rests before and after
    places = np.array([-2.0, -2.0, -2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    kernel = np.tile(np.array([[1.0], [0.0]]), (1, 9, 1, 1))
    layers = (Dense(kernel, -places[None, :, None]), Dense(np.ones((1, 9, 1, 1)), np.zeros((1, 9, 1))))
    frames = frames_by_change(layers, MOVIE_DOMAIN, 4)
    assert (frames[0], frames[-1]) == (0, 8)
    assert 3 in frames
    assert len(frames) <= 4


def test_the_network_in_the_middle_and_what_is_said_of_it():
    counts = np.array([[9, 8], [5, 5], [1, 2], [-1, -1]])
    losses = np.array([[0.5, 0.5], [0.4, 0.2], [0.3, 0.1], [np.nan, np.nan]])
    assert middle_network(counts, losses) == 1
    said = phases(np.array([100, 80, 60, 90, 100, 101]), np.array([0.5, 0.6, 0.7, 0.9, 1.0, 1.0]))
    assert said == [
        *("Before training: lines at random", "Regions die: 100 → 80", "Regions die: 100 → 60"),
        *("Regions are born: 60 → 90", "Settled, and all points are right", "Settled, and all points are right"),
    ]
    same = phases(np.array([73, 75, 74, 73, 66, 66]), np.full(6, 0.5))
    assert same[1:5] == [
        "Regions move: 73 → 75",
        "Regions move: 73 → 74",
        "Regions move: 73 → 73",
        "Regions die: 73 → 66",
    ]
    assert phases(np.array([10, 10, 10]), np.full(3, 0.5))[1:] == ["The regions have settled"] * 2


def test_regions_and_counts_are_those_of_the_network_at_each_frame(movie):
    assert movie.counts.shape == movie.losses.shape == movie.accuracies.shape == (8, len(movie.steps))
    assert (movie.steps[0], movie.steps[-1]) == (0, 40)
    for frame, found in enumerate(movie.complexes):
        layers = tuple(Dense(kernel[frame], bias[frame]) for kernel, bias, *_ in movie.layers)
        assert found.num_faces == complex_of(layers, MOVIE_DOMAIN).num_faces == movie.counts[movie.member, frame]
        outputs = np.maximum(movie.data.x @ layers[0].kernel + layers[0].bias, 0) @ layers[1].kernel + layers[1].bias
        is_right = (outputs[:, 0] > 0) == (movie.data.y > 0)
        assert movie.accuracies[movie.member, frame] == pytest.approx(is_right.mean())
        signs = np.where(movie.data.y > 0, 1.0, -1.0) * outputs[:, 0]
        assert movie.losses[movie.member, frame] == pytest.approx(np.log1p(np.exp(-signs)).mean(), rel=1e-4)
    np.testing.assert_allclose(np.mean(movie.data.x, axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.std(movie.data.x, axis=0), 1, atol=1e-5)


def test_frames_show_the_regions_cut_by_the_decision(movie, tmp_path):
    figure, draw, num = movie_pictures.movie_figure(movie)
    assert num == len(movie.steps)
    for frame in range(num):
        draw(frame)
        ax = next(ax for ax in figure.axes if any(isinstance(c, PolyCollection) for c in ax.collections))
        shown = next(c for c in ax.collections if isinstance(c, PolyCollection))
        found = cut_at_zero(movie.complexes[frame])
        pieces, face = [corners[:, :2] for corners in found.corners], found.face
        assert len(shown.get_paths()) == len(pieces)
        assert (ax.get_xlim(), ax.get_ylim()) == ((-2.2, 2.2), (-2.2, 2.2))
        layers = tuple(Dense(kernel[frame], bias[frame]) for kernel, bias, *_ in movie.layers)
        hidden = np.maximum(np.array([piece.mean(axis=0) for piece in pieces]) @ layers[0].kernel + layers[0].bias, 0)
        output = (hidden @ layers[1].kernel + layers[1].bias)[:, 0]
        red, _, blue, _ = shown.get_facecolor().T
        clear = np.abs(output) > 0.2  # near the boundary all are as dark as the background
        np.testing.assert_array_equal(red[clear] > blue[clear], output[clear] > 0)
        areas = np.bincount(face, [_area(piece) for piece in pieces])
        np.testing.assert_allclose(areas, movie.complexes[frame].area, rtol=1e-9, atol=1e-12)
        texts = [text.get_text() for text in figure.findobj(Text)]
        assert any(f"{movie.counts[movie.member, frame]} regions" in text for text in texts)
    (path,) = save_animation(figure, draw, num, [tmp_path / "movie.gif"], dpi=40, hold=1)
    with Image.open(path) as read:
        assert read.n_frames == num
        read.seek(num - 1)
        assert read.info["duration"] == 1050


def _area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


def test_the_other_pictures(movie, sound_pictures, tmp_path):
    figure, facts = movie_pictures.grid_view_figure(movie, num_grid=5)
    assert facts["exact_regions"] == movie.counts[movie.member, -1]
    assert facts["regions_seen"] <= 25
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend[1] == "grid points (25)"  # those on the border, 2.2 in single precision, are inside
    band = movie_pictures.counts_figure(movie).axes[1]
    shown = next(line for line in band.lines if line.get_label() == "the network shown")
    np.testing.assert_array_equal(shown.get_ydata(), movie.counts[movie.member])
    median = next(line for line in band.lines if line.get_label() == "their median")
    np.testing.assert_allclose(median.get_ydata(), np.median(movie.counts, axis=0))
    makes = ("frames", "counts", "colors", "units")
    figures = {name: getattr(movie_pictures, f"{name}_figure")(movie) for name in makes}
    for name, drawn in {"grid": figure, **figures}.items():
        save_figure(drawn, tmp_path / name, ("png",), dpi=70)
    assert len(sound_pictures) == 5


def test_what_is_refused():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="data must be one of moons"):
        region_movie(key, data="stars")
    with pytest.raises(ValueError, match="hidden layer"):
        region_movie(key, widths=())
    with pytest.raises(ValueError, match="num_frames"):
        region_movie(key, num_frames=1)
