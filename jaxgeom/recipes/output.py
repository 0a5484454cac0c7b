"""[edge] What recipes write: reports with settings and versions, arrays, figures and animations, into one directory."""

import json
import os
import platform
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from jaxgeom.host.files import whole_file
from jaxgeom.host.names import did_you_mean

FORMATS = ("png", "svg", "gif", "mp4", "html")
"""What pictures can be written as: figures as png and svg, animations as the others."""
MOST_NAMED = 4
"""Files that a command names when it is done; of more it says how many there are of each kind."""


def check_formats(formats: str | Sequence[str]) -> tuple[str, ...]:
    """Whether pictures can be written in these formats; to be called before any work is done.

    Raises:
        ValueError: for unknown formats, or mp4 without ffmpeg.
    """
    from jaxgeom.plot.animate import check_movies

    formats = [formats] if isinstance(formats, str) else formats
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        near = did_you_mean(unknown[0], FORMATS) if unknown else ""
        raise ValueError(f"formats must be some of {', '.join(FORMATS)}, but {list(formats)} was given.{near}")
    check_movies(movie_paths(Path("movie"), formats))
    return tuple(dict.fromkeys(formats))


def check_writable(directory: str | os.PathLike[str]) -> Path:
    """Create a directory and try to write into it.

    Raises:
        ValueError: if that is impossible.
    """
    if not os.fspath(directory):
        raise ValueError("a directory for the results is needed, but an empty name was given.")
    path = Path(directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            f"cannot write to the directory {str(directory)!r}: {error.filename!r} is a file; give another --out."
        ) from error
    except OSError as error:
        raise ValueError(f"cannot write to the directory {str(directory)!r}: {error.strerror}.") from error
    return path


def what_is_written(paths: Sequence[Path]) -> str:
    """Files in words: paths of a few, or the directories of many with the number of files of each kind."""
    if len(paths) <= MOST_NAMED:
        return ", ".join(map(str, paths))
    kinds: dict[Path, Counter[str]] = {}
    for path in dict.fromkeys(paths):
        kinds.setdefault(path.parent, Counter())[path.suffix.removeprefix(".") or path.name] += 1
    return "; ".join(
        f"{folder}{os.sep}: {', '.join(f'{num} {kind}' for kind, num in sorted(of_folder.items()))}"
        for folder, of_folder in kinds.items()
    )


def save_report(path: Path, settings: Mapping[str, Any], statistics: Any) -> Path:
    """Write settings, versions and statistics as JSON; NaN becomes null."""
    import jaxgeom

    report = {
        "settings": settings,
        "versions": {
            "python": platform.python_version(),
            "jaxgeom": jaxgeom.__version__,
            **{name: version(name) for name in ("jax", "jaxlib", "flax", "optax", "numpy")},
        },
        "statistics": statistics,
    }
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(_plain(report), indent=2) + "\n")
    return path


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> Path:
    """Write arrays as a compressed ``.npz``."""
    named: dict[str, Any] = dict(arrays)
    with whole_file(path) as temporary:
        np.savez_compressed(temporary, **named)
    return path


def growing_arrays(path: Path) -> Callable[[Mapping[str, Any]], None]:
    """A function that adds arrays to a ``.npz``, from any thread: what is finished is saved while more is computed."""
    arrays: dict[str, Any] = {}
    lock = threading.Lock()

    def add(more: Mapping[str, Any]) -> None:
        with lock:
            arrays.update(more)
            save_arrays(path, arrays)

    return add


def save_figure(figure: Any, path: Path, formats: Sequence[str], *, dpi: float = 150) -> list[Path]:
    """Write a figure, under a path without ending, in those of the formats that are for figures, and close it."""
    import matplotlib.pyplot as plt

    written = [path.with_name(f"{path.name}.{name}") for name in formats if name in ("png", "svg")]
    figure.set_dpi(dpi)
    if "svg" in formats:
        _rasterize_many(figure)
    layout = figure.get_layout_engine()
    if layout is not None:  # savefig would settle it by drawing once more
        pads = layout.get()
        layout.set(**{name: max(pads[name], _PADDING) for name in ("w_pad", "h_pad") if name in pads})
        layout.execute(figure)
        figure.set_layout_engine("none")
    for place in written:
        with whole_file(place) as temporary:
            figure.savefig(temporary, dpi=dpi)
    plt.close(figure)
    return written


_PADDING = 0.09
"""Inches between what is drawn and the edges of a picture, at least."""
_MANY, _FEWER, _MANY_IN_ALL = 800, 150, 6000
"""Dots, lines or polygons of one kind that are pixels in an SVG; the same if there are many kinds; when that is."""


def _rasterize_many(figure: Any) -> None:
    """What there are many of, as one picture inside an SVG, which would have megabytes otherwise."""
    from matplotlib.collections import Collection

    figure.draw_without_rendering()  # only then are there paths of what is in a space
    sizes = {}
    for artist in figure.findobj(Collection):
        corners = sum(len(outline.vertices) for outline in artist.get_paths())
        sizes[artist] = max(len(artist.get_offsets()), len(artist.get_paths()), corners / 2)
    most = _MANY if sum(sizes.values()) < _MANY_IN_ALL else _FEWER
    for artist, size in sizes.items():
        if size > most:
            with warnings.catch_warnings():  # of dots in space matplotlib says that it will not, and does
                warnings.simplefilter("ignore", UserWarning)
                artist.set_rasterized(True)


def movie_paths(path: Path, formats: Sequence[str]) -> list[Path]:
    """Where an animation goes, given a path without ending: the formats that are for animations."""
    return [path.with_name(f"{path.name}.{name}") for name in formats if name in ("gif", "mp4")]


HOLD = 2.0
"""Seconds that the last frame of a recipe's animation stays."""
_LEAST_SECONDS = 4.0


def rate_of(num_frames: int, usual: float) -> float:
    """Frames a second of an animation: the usual ones, or fewer, so that a few frames last four seconds too."""
    return min(usual, num_frames / _LEAST_SECONDS)


MOST_EXPLORED = 64
"""Networks of a page."""
_WEIGHT_BYTES = 2.4e6
"""Weights of a page: of its five megabytes what leaves room for regions."""
_FRAMES = 60
_ENOUGH_FRAMES = 30
"""Of each network of a page, before there are fewer networks."""


def save_explorer(
    networks: Any,
    path: Path,
    formats: Sequence[str],
    *,
    title: str,
    steps: Sequence[int] | None = None,
    curves: Mapping[str, tuple[Any, Any]] | None = None,
    **options: Any,
) -> list[Path]:
    """Write the page of :func:`jaxgeom.explore`, under a path without ending, if "html" is among the formats.

    Frames give way before networks do, as long as each has thirty.

    Args:
        networks: layers or runs, with a leading axis (networks), then (frames); of more than fit, the first ones.
        path: without ending.
        formats: those of all pictures.
        title: heading; of networks that are left out, it says how many are there.
        steps: those of the frames, for layers.
        curves: of all networks, as ``explore`` takes them.
        options: of ``explore``.
    """
    if "html" not in formats:
        return []
    import jax

    from jaxgeom.plot.explorer.page import explore

    weights = jax.tree.leaves(getattr(networks, "snapshots", networks))
    num, num_frames = weights[0].shape[:2]
    size = sum(array.nbytes for array in weights) / num / num_frames
    frames, some = _frames_and_networks(size, num_frames, num)
    most = max(5.0, 2e-6 * size * frames * some)  # single networks may be larger
    few = jax.tree.map(lambda array: array[:some], networks)
    axes = None if steps is None else {"network": range(some), "step": steps}
    page = path.with_name(f"{path.name}.html")
    options["curves"] = {name: (records, values[:some]) for name, (records, values) in (curves or {}).items()}
    title = title if some == num else f"{title} ({some} of {num:,} networks here)"
    return [explore(few, page, axes=axes, title=title, max_frames=frames, max_megabytes=most, **options).path]


def _frames_and_networks(size: float, num_frames: int, num: int) -> tuple[int, int]:
    """How many of each fit, if each takes so many bytes: all networks, as long as there are enough frames."""
    wanted, all_frames = min(MOST_EXPLORED, num), min(_FRAMES, num_frames)
    fewest = float(np.clip(_WEIGHT_BYTES / size, min(2, all_frames), min(_ENOUGH_FRAMES, all_frames)))
    frames = int(np.clip(_WEIGHT_BYTES / size / wanted, fewest, all_frames))
    return frames, int(np.clip(_WEIGHT_BYTES / size / frames, 1, wanted))


def save_study_explorer(study: Any, path: Path, formats: Sequence[str], *, title: str, **options: Any) -> list[Path]:
    """Write the page of a study that measured its networks, under a path without ending, if "html" is among the
    formats; of more seeds than fit, the first ones.

    Args:
        study: with an axis "seed".
        path: without ending.
        formats: those of all pictures.
        title: heading; of seeds that are left out, it says how many are there.
        options: of ``explore``.
    """
    if "html" not in formats:
        return []
    from jaxgeom.plot.explorer.page import explore
    from jaxgeom.study.result import select

    seeds, steps = study.coords["seed"], study.coords["step"]
    weights = [array.size for name, array in study.variables.items() if name.endswith(("_kernel", "_bias"))]
    size = 4 * sum(weights) / len(seeds) / len(steps)
    frames, some = _frames_and_networks(size, len(steps), len(seeds))
    most = max(5.0, 2e-6 * size * frames * some)
    page = path.with_name(f"{path.name}.html")
    few = select(study, seed=seeds[:some].tolist())
    title = title if some == len(seeds) else f"{title} ({some} of {len(seeds)} seeds here)"
    return [explore(few, page, title=title, max_frames=frames, max_megabytes=most, **options).path]


def _plain(value: Any) -> Any:
    """What JSON can hold: no arrays, no NaN."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
