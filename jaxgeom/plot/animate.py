"""[edge] Animations: every frame is drawn once and written as GIF and mp4.

GIFs are written by Pillow, with one palette for all frames, so that colours do not flicker. An mp4 takes ffmpeg: the
program, or the package imageio-ffmpeg (``pip install "jaxgeom[video]"``). :func:`jaxgeom.explore` writes pages.
"""

import base64
import html
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from tqdm.auto import tqdm

from jaxgeom.host.files import whole_file
from jaxgeom.host.given import check_progress

MOVIE_FORMATS = (".gif", ".mp4")
_SAME = 2
"""Last bits of a channel, which are left out when colours are counted."""
_COLORS = 255
NEARLY = 5
"""Of 255 levels of a channel, by how much a pixel may differ from its colour, for keeping the one before."""
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Animation(list[Path]):
    """The files of an animation, a list of paths. Notebooks show one of them, a movie if there is one."""

    def _repr_html_(self) -> str | None:
        movies_first = sorted(self, key=lambda path: path.suffix.lower() != ".mp4")
        return shown_inline(movies_first)

    def _mime_(self) -> tuple[str, str]:
        """What marimo shows, which takes lists for data."""
        return "text/html", self._repr_html_() or html.escape(repr(list(self)))


def check_movies(paths: Paths) -> Animation:
    """Whether animations can be written to these paths, or to a single one; to be called before any work is done.

    Raises:
        ValueError: for another ending than .gif or .mp4, or if an .mp4 is wanted and there is no ffmpeg.
    """
    checked = Animation(map(Path, [paths] if isinstance(paths, str | os.PathLike) else paths))
    for path in checked:
        if path.suffix.lower() not in MOVIE_FORMATS:
            page = " jaxgeom.explore writes pages." if path.suffix.lower() == ".html" else ""
            raise ValueError(f"an animation ends in {' or '.join(MOVIE_FORMATS)}, but {path.name!r} was given.{page}")
        if path.suffix.lower() == ".mp4" and _ffmpeg() is None:
            raise ValueError(
                'an mp4 takes ffmpeg, which was not found. Install it by pip install "jaxgeom[video]", or write a .gif.'
            )
    return checked


def save_animation(
    figure: Figure,
    draw: Callable[[int], Any],
    num_frames: int,
    paths: Paths,
    *,
    frames_per_second: float = 20.0,
    dpi: float = 80.0,
    hold: float = 0.0,
    progress: bool | str = False,
) -> Animation:
    """An animation, drawn frame by frame and written to files.

    The layout of the figure is settled with the first frame and then stays; limits and colours are up to ``draw``.

    Args:
        figure: what is drawn on.
        draw: ``draw(frame)`` changes the figure to show frame 0, 1, …
        num_frames: how many there are.
        paths: where to write, one path or several; the endings .gif and .mp4 say what.
        frames_per_second: 50 at most in GIFs, whose pauses are whole hundredths of a second.
        dpi: pixels an inch.
        hold: seconds that the last frame is shown longer, before the animation starts again.
        progress: show a progress bar; a string is its title.

    Returns:
        The paths, as a list that notebooks show as the animation. A file is complete or not there at all.

    Raises:
        ValueError: as :func:`check_movies`, before any frame is drawn; or for no frames, or a rate that is not
            positive.
    """
    check_progress(progress)
    if num_frames < 1 or not frames_per_second > 0:
        raise ValueError(
            f"an animation needs at least one frame and a positive rate, but {num_frames} frames at "
            f"{frames_per_second} a second were given."
        )
    if not hold >= 0:
        raise ValueError(f"hold must be seconds from 0 up, but {hold} was given.")
    checked = check_movies(paths)
    canvas, dpi_before, layout = figure.canvas, figure.dpi, figure.get_layout_engine()
    agg = FigureCanvasAgg(figure)
    figure.set_dpi(dpi)
    frames = []
    try:
        draw(0)
        agg.draw()
        figure.set_layout_engine("none")
        size = agg.get_width_height()
        with ExitStack() as files:
            movies = [
                files.enter_context(_encoder(path, size, frames_per_second))
                for path in checked
                if path.suffix.lower() == ".mp4"
            ]
            title = progress if isinstance(progress, str) else "drawing"
            for frame in tqdm(range(num_frames), unit="frame", desc=title, disable=not progress):
                draw(frame)
                agg.draw()
                pixels = bytes(agg.buffer_rgba())
                for movie in movies:
                    movie.write(pixels)
                if len(movies) < len(checked):
                    frames.append(zlib.compress(pixels, 1))
            for movie in movies:
                for _ in range(round(hold * frames_per_second)):
                    movie.write(pixels)
    finally:
        figure.set_canvas(canvas)
        figure.set_dpi(dpi_before)
        figure.set_layout_engine(layout)
    if frames:
        pictures = _with_one_palette(frames, size)
        for path in checked:
            if path.suffix.lower() == ".gif":
                _write_gif(path, pictures, frames_per_second, hold)
    return checked


def _with_one_palette(frames: Sequence[bytes], size: tuple[int, int]) -> list[Image.Image]:
    """The frames with 255 colours in all, chosen from some of them: a colour counts as the root of how often it is
    there, so that what is small, or shaded, gets enough of them beside the background. The last place of the palette is
    for what stays as it was.

    A pixel keeps the colour that it has in the frame before, while that is nearly its own: shades that change by less
    than eyes see would double the size of a file.
    """

    def picture(frame: bytes) -> Image.Image:
        return Image.frombuffer("RGBA", size, zlib.decompress(frame), "raw", "RGBA", 0, 1).convert("RGB")

    chosen = sorted({round(place * (len(frames) - 1) / 7) for place in range(8)})
    pixels = np.concatenate([np.asarray(picture(frames[frame])).reshape(-1, 3) for frame in chosen])
    near = (pixels >> _SAME).astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    _, place, num = np.unique(near, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(place.ravel(), channel) / num for channel in pixels.T], axis=1)
    weighted = np.repeat(means.round().astype(np.uint8), np.sqrt(num).astype(int), axis=0)
    palette = Image.fromarray(weighted[None]).quantize(_COLORS, method=Image.Quantize.MEDIANCUT)
    table = np.array(palette.getpalette() or [], np.int16).reshape(-1, 3)
    pictures: list[Image.Image] = []
    shown = None
    for frame in frames:
        drawn = picture(frame)
        number = np.array(drawn.quantize(palette=palette, dither=Image.Dither.NONE))
        if shown is not None:
            stays = np.abs(table[shown] - np.asarray(drawn)).max(axis=2) <= NEARLY
            number[stays] = shown[stays]
        pictures.append(Image.fromarray(number))
        pictures[-1].putpalette(palette.getpalette() or [])
        shown = number
    return pictures


def _write_gif(path: Path, pictures: Sequence[Image.Image], rate: float, hold: float) -> None:
    pauses = [max(20, round(100 / rate) * 10)] * len(pictures)
    pauses[-1] += round(100 * hold) * 10
    with whole_file(path) as temporary:
        pictures[0].save(
            temporary,
            "GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=pauses,
            loop=0,
            optimize=True,  # what stays as it was is left out of a frame
        )


def shown_inline(paths: Sequence[Path]) -> str | None:
    """HTML that shows the first of some files that is there, a movie with its controls or a picture; else None."""
    for path in paths:
        if path.exists():
            content = base64.b64encode(path.read_bytes()).decode()
            if path.suffix.lower() == ".gif":
                return f'<img alt="animation" src="data:image/gif;base64,{content}">'
            return f'<video controls loop autoplay muted src="data:video/mp4;base64,{content}"></video>'
    return None


def inline_animation(figure: Figure, draw: Callable[[int], Any], num_frames: int) -> str:
    """An animation as HTML, for notebooks: a movie with its controls where there is ffmpeg, else a GIF."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / ("animation.gif" if _ffmpeg() is None else "animation.mp4")
        shown = shown_inline(save_animation(figure, draw, num_frames, path))
        assert shown is not None
        return shown


def _ffmpeg() -> str | None:
    """The program, from the system or from imageio-ffmpeg."""
    found = shutil.which("ffmpeg")
    if found is None:
        try:
            from imageio_ffmpeg import get_ffmpeg_exe

            found = get_ffmpeg_exe()
        except (ImportError, RuntimeError):
            return None
    return found


@contextmanager
def _encoder(path: Path, size: tuple[int, int], rate: float) -> Iterator[IO[bytes]]:
    """Takes the pixels of one frame after the other, red, green, blue and alpha."""
    program = _ffmpeg()
    assert program is not None  # as check_movies made sure
    with whole_file(path) as temporary, tempfile.TemporaryFile() as complaints:
        command = [program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgba"]
        command += ["-s", f"{size[0]}x{size[1]}", "-r", f"{rate:g}", "-i", "-", "-an", "-c:v", "libx264"]
        # players want even sizes and this pixel format
        command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-crf", "18"]
        command += ["-movflags", "+faststart", "-f", "mp4", f"file:{temporary}"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=complaints)
        assert process.stdin is not None
        try:
            yield process.stdin
            process.stdin.close()
            status = process.wait()
        except BrokenPipeError:
            status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            with suppress(OSError):  # of a process that has ended
                process.stdin.close()
        if status:
            complaints.seek(0)
            raise ValueError(f"ffmpeg could not write {str(path)!r}: {complaints.read().decode(errors='replace')}")
