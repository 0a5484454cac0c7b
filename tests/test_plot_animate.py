"""Animations: what was written is decoded again and compared with what was drawn."""

import base64
import io
from pathlib import Path

import imageio_ffmpeg
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from jaxgeom.plot import Morph, animate, check_movies, save_animation

NUM_FRAMES = 12


@pytest.fixture
def moving():
    """A figure with a bar that moves to the right, 123 pixels wide and 80 high, and what draws a frame of it."""
    figure = plt.figure(figsize=(1.23, 0.8))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set(xlim=(0, NUM_FRAMES), ylim=(0, 1))
    (bar,) = ax.bar([0.5], [1], width=1, color="#d55e00")
    yield figure, bar.set_x
    plt.close(figure)


def place_of_bar(picture: Image.Image) -> int:
    pixels = np.asarray(picture.convert("RGB"), np.int64)
    is_bar = (np.abs(pixels - np.array([0xD5, 0x5E, 0x00])).sum(axis=2) < 60).mean(axis=0) > 0.5
    return round(float(np.flatnonzero(is_bar).mean()) / pixels.shape[1] * NUM_FRAMES - 0.5)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # imageio-ffmpeg leaves pipes of its reader open
def test_all_formats_hold_every_frame(moving, tmp_path: Path) -> None:
    figure, draw = moving
    paths = [tmp_path / "new" / f"bar.{ending}" for ending in ("gif", "mp4")]
    dpi, canvas = figure.dpi, figure.canvas
    assert save_animation(figure, draw, NUM_FRAMES, paths, frames_per_second=10, dpi=100) == paths
    assert sorted(paths[0].parent.iterdir()) == sorted(paths)
    assert (figure.dpi, figure.canvas) == (dpi, canvas)

    with Image.open(paths[0]) as gif:
        assert gif.n_frames == NUM_FRAMES
        assert gif.info["loop"] == 0
        for frame in range(NUM_FRAMES):
            gif.seek(frame)
            assert gif.info["duration"] == 100
            assert gif.size == (123, 80)
            assert place_of_bar(gif) == frame

    movie = imageio_ffmpeg.read_frames(str(paths[1]))
    size = next(movie)["size"]
    assert size == (124, 80)  # filled up to an even number
    shown = [Image.frombytes("RGB", size, frame) for frame in movie]
    assert [place_of_bar(picture) for picture in shown] == list(range(NUM_FRAMES))


def test_colours_do_not_flicker(tmp_path: Path) -> None:
    figure = plt.figure(figsize=(1, 1))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    image = ax.imshow(np.random.default_rng(0).random((50, 50, 3)))
    path = tmp_path / "noise.gif"
    save_animation(figure, lambda frame: image.set_alpha(1), 5, [path])
    with Image.open(path) as gif:
        first = np.asarray(gif.convert("RGB"))
        for frame in range(getattr(gif, "n_frames", 1)):
            gif.seek(frame)
            np.testing.assert_array_equal(np.asarray(gif.convert("RGB")), first)


def test_a_frame_that_fails_leaves_no_file(moving, tmp_path: Path) -> None:
    figure, _ = moving

    def draw(frame: int) -> None:
        if frame == 3:
            raise RuntimeError("no such frame")

    paths = [tmp_path / f"bar.{ending}" for ending in ("gif", "mp4")]
    paths[0].write_bytes(b"what was there")
    with pytest.raises(RuntimeError, match="no such frame"):
        save_animation(figure, draw, 5, paths)
    assert [path.name for path in tmp_path.iterdir()] == ["bar.gif"]
    assert paths[0].read_bytes() == b"what was there"


def test_bad_input_is_refused_before_any_frame(moving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure, _ = moving

    def draw(frame: int) -> None:
        raise AssertionError("nothing should be drawn")

    with pytest.raises(ValueError, match=r"ends in .gif or .mp4, but 'bar.avi'"):
        save_animation(figure, draw, 3, [tmp_path / "bar.avi"])
    with pytest.raises(ValueError, match=r"jaxgeom.explore writes pages"):
        save_animation(figure, draw, 3, [tmp_path / "bar.html"])
    with pytest.raises(ValueError, match="at least one frame"):
        save_animation(figure, draw, 0, [tmp_path / "bar.gif"])
    with pytest.raises(ValueError, match="positive rate"):
        save_animation(figure, draw, 1, [tmp_path / "bar.gif"], frames_per_second=0)
    monkeypatch.setattr(animate, "_ffmpeg", lambda: None)
    with pytest.raises(ValueError, match=r"jaxgeom\[video\]"):
        save_animation(figure, draw, 3, [tmp_path / "bar.mp4"])
    assert check_movies([tmp_path / "bar.gif"]) == [tmp_path / "bar.gif"]


def test_endings_in_capitals_and_single_paths(moving, tmp_path: Path) -> None:
    figure, draw = moving
    for ending in ("GIF", "MP4"):
        written = save_animation(figure, draw, 2, str(tmp_path / f"A:1.{ending}"))
        assert written == [tmp_path / f"A:1.{ending}"]
        assert written[0].stat().st_size > 100
    with Image.open(tmp_path / "A:1.GIF") as gif:
        assert gif.n_frames == 2
    assert check_movies(str(tmp_path / "a.gif")) == check_movies(tmp_path / "a.gif") == [tmp_path / "a.gif"]


def test_notebooks_show_animations(moving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure, draw = moving
    gif = save_animation(figure, draw, 2, tmp_path / "a.gif")._repr_html_()
    assert gif is not None
    content = base64.b64decode(gif.partition("base64,")[2].partition('"')[0])
    assert content == (tmp_path / "a.gif").read_bytes()
    both = save_animation(figure, draw, 2, [tmp_path / "a.gif", tmp_path / "a.mp4"])
    shown = both._repr_html_()
    assert shown is not None
    assert base64.b64decode(shown.partition("base64,")[2].partition('"')[0]) == (tmp_path / "a.mp4").read_bytes()
    assert both._mime_() == ("text/html", shown)
    assert "<video controls" in Morph(figure, draw, 3)._repr_html_()
    monkeypatch.setattr(animate, "_ffmpeg", lambda: None)
    kind, moved = Morph(figure, draw, 3)._mime_()
    assert kind == "text/html"
    with Image.open(io.BytesIO(base64.b64decode(moved.partition("base64,")[2].partition('"')[0]))) as picture:
        assert picture.n_frames == 3
    (tmp_path / "a.gif").unlink()
    assert check_movies(tmp_path / "a.gif")._repr_html_() is None


def test_a_small_shaded_patch_has_no_bands(tmp_path: Path) -> None:
    whole = np.linspace(0.05, 0.3, 400)[:, None, None] * np.ones((1, 400, 1)) * [0.9, 1.0, 1.2]  # a large dark one
    u, v = np.meshgrid(np.linspace(-0.3, 0.3, 20), np.linspace(-0.3, 0.3, 20))
    patch = np.stack([0.6 + u, 0.6 + v, 0.6 - u], axis=-1)
    whole[100:120, 200:220] = patch
    figure = plt.figure(figsize=(4, 4))
    figure.figimage(whole)
    (path,) = save_animation(figure, lambda frame: None, 1, tmp_path / "patch.gif", dpi=100)
    plt.close(figure)
    with Image.open(path) as gif:
        seen = np.asarray(gif.convert("RGB"))[100:120, 200:220] / 255
    assert np.abs(seen - patch).max() < 0.07


def test_shades_that_hardly_change_take_no_room_and_are_not_far_off(tmp_path: Path) -> None:
    base = np.add.outer(np.linspace(30, 110, 300), np.linspace(0, 60, 300)) + np.random.default_rng(0).random(
        (300, 300)
    )
    drift = [base + 0.8 * frame for frame in range(20)]
    drift[10] = drift[10] + np.where(np.arange(300) < 20, 50, 0)  # what changes at once is seen at once
    figure = plt.figure(figsize=(3, 3))

    def draw(frame: int) -> None:
        figure.images.clear()
        figure.figimage(np.repeat(drift[frame].astype(np.uint8)[..., None], 3, axis=2))

    (path,) = save_animation(figure, draw, 20, tmp_path / "drift.gif", dpi=100)
    plt.close(figure)
    with Image.open(path) as gif:
        shown = []
        for frame in range(getattr(gif, "n_frames", 1)):  # one that equals the last one makes that stay longer
            gif.seek(frame)
            shown += [np.asarray(gif.convert("RGB")).astype(int)] * round(gif.info["duration"] / 50)
        assert len(shown) == 20
        for seen, expected in zip(shown, drift, strict=True):
            assert np.abs(seen - expected.astype(np.uint8)[..., None]).max() <= animate.NEARLY + 2
    whole = [Image.fromarray(shades.astype(np.uint8)) for shades in drift]
    whole[0].save(tmp_path / "whole.gif", save_all=True, append_images=whole[1:], optimize=False)
    assert path.stat().st_size < 0.5 * (tmp_path / "whole.gif").stat().st_size
