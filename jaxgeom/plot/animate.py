"""[edge] Animations: every frame is drawn once and written as GIF, mp4 and a page that plays by itself.

GIFs are written by Pillow, with one palette for all frames, so that colours do not flicker. An mp4 takes ffmpeg: the
program, or the package imageio-ffmpeg (``pip install "jaxgeom[video]"``). A page (.html) holds all frames and a small
player; nothing is loaded from elsewhere.
"""

import base64
import html
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from tqdm.auto import tqdm

from jaxgeom.host.files import whole_file

MOVIE_FORMATS = (".gif", ".mp4", ".html")
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Animation(list[Path]):
    """The files of an animation, a list of paths. Notebooks show the first of them that they can."""

    def _repr_html_(self) -> str | None:
        for path in self:
            if path.suffix.lower() == ".html" and path.exists():
                return _in_a_frame(path.read_text(encoding="utf-8"))
            if path.suffix.lower() in (".gif", ".mp4") and path.exists():
                content = base64.b64encode(path.read_bytes()).decode()
                if path.suffix.lower() == ".gif":
                    return f'<img alt="animation" src="data:image/gif;base64,{content}">'
                return f'<video controls loop src="data:video/mp4;base64,{content}"></video>'
        return None


def check_movies(paths: Paths) -> Animation:
    """Whether animations can be written to these paths, or to a single one; to be called before any work is done.

    Raises:
        ValueError: for another ending than .gif, .mp4 or .html, or if an .mp4 is wanted and there is no ffmpeg.
    """
    checked = Animation(map(Path, [paths] if isinstance(paths, str | os.PathLike) else paths))
    for path in checked:
        if path.suffix.lower() not in MOVIE_FORMATS:
            raise ValueError(f"an animation ends in {', '.join(MOVIE_FORMATS)}, but {path.name!r} was given.")
        if path.suffix.lower() == ".mp4" and _ffmpeg() is None:
            raise ValueError(
                'an mp4 takes ffmpeg, which was not found. Install it by pip install "jaxgeom[video]", or write a '
                ".gif or .html."
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
        paths: where to write, one path or several; the endings .gif, .mp4 and .html say what.
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
            elif path.suffix.lower() == ".html":
                _write_page(path, pictures, frames_per_second, hold)
    return checked


def _with_one_palette(frames: Sequence[bytes], size: tuple[int, int]) -> list[Image.Image]:
    """The frames with 256 colours in all, chosen from some of them."""

    def picture(frame: bytes) -> Image.Image:
        return Image.frombuffer("RGBA", size, zlib.decompress(frame), "raw", "RGBA", 0, 1).convert("RGB")

    chosen = sorted({round(place * (len(frames) - 1) / 7) for place in range(8)})
    together = Image.new("RGB", (size[0], size[1] * len(chosen)))
    for place, frame in enumerate(chosen):
        together.paste(picture(frames[frame]), (0, place * size[1]))
    palette = together.quantize(256, method=Image.Quantize.MEDIANCUT)
    return [picture(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]


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
            optimize=False,
        )


def _write_page(path: Path, pictures: Sequence[Image.Image], rate: float, hold: float) -> None:
    encoded = []
    for picture in pictures:
        memory = io.BytesIO()
        picture.save(memory, "PNG")
        encoded.append("data:image/png;base64," + base64.b64encode(memory.getvalue()).decode())
    values = {"TITLE": html.escape(path.stem), "PAUSE": str(1000 / rate), "FRAMES": json.dumps(encoded)}
    values["HOLD"] = str(1000 * hold)
    page = re.sub(
        "TITLE|PAUSE|HOLD|FRAMES", lambda found: values[found[0]], _PAGE
    )  # at once: a title may be one of these
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")


def inline_page(figure: Figure, draw: Callable[[int], Any], num_frames: int) -> str:
    """An animation as HTML, for notebooks: all frames and the player, in a frame of its own."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "animation.html"
        save_animation(figure, draw, num_frames, path)
        return _in_a_frame(path.read_text(encoding="utf-8"))


def _in_a_frame(page: str) -> str:
    return f'<iframe style="border: 0; width: 100%; height: 40em" srcdoc="{html.escape(page)}"></iframe>'


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


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>TITLE</title>
<style>
body { margin: 0 auto; max-width: max-content; padding: 1em; font: 14px system-ui, sans-serif;
  background: #fff; color: #222; }
img { display: block; max-width: 100%; }
div { display: flex; gap: 0.8em; align-items: center; margin-top: 0.6em; }
#place { flex: 1; }
output { min-width: 6em; text-align: right; font-variant-numeric: tabular-nums; }
@media (prefers-color-scheme: dark) { body { background: #0e1116; color: #e8e8e8; } }
</style>
</head>
<body>
<img id="picture" alt="animation">
<div>
<button id="play">Pause</button>
<input id="place" type="range" min="0" value="0" aria-label="frame">
<select id="speed" aria-label="speed">
<option value="0.25">¼×</option><option value="0.5">½×</option><option value="1" selected>1×</option>
<option value="2">2×</option><option value="4">4×</option></select>
<output id="count"></output>
</div>
<script>
const frames = FRAMES, pause = PAUSE, hold = HOLD;
const [picture, play, place, speed, count] =
  ["picture", "play", "place", "speed", "count"].map((name) => document.getElementById(name));
const images = frames.map((source) => { const image = new Image(); image.src = source; return image; });
let shown = 0, runs = true, last = 0;
place.max = frames.length - 1;
function show(frame) {
  shown = (frame + frames.length) % frames.length;
  picture.src = images[shown].src;
  place.value = shown;
  count.textContent = `${shown + 1} / ${frames.length}`;
}
function run(goes) { runs = goes; play.textContent = runs ? "Pause" : "Play"; }
function tick(now) {
  const stays = (pause + (shown === frames.length - 1 ? hold : 0)) / speed.value;
  if (runs && now - last >= stays) { last = now; show(shown + 1); }
  requestAnimationFrame(tick);
}
play.onclick = () => run(!runs);
place.oninput = () => { run(false); show(+place.value); };
document.onkeydown = (event) => {
  if (event.target === place || event.target === speed) return;
  if (event.key === " ") { run(!runs); event.preventDefault(); }
  if (event.key === "ArrowRight") { run(false); show(shown + 1); }
  if (event.key === "ArrowLeft") { run(false); show(shown - 1); }
};
show(0);
requestAnimationFrame(tick);
</script>
</body>
</html>
"""
