"""[edge] Points at every stage of a network: side by side, and as an animation that morphs them from stage to stage.

Points keep their colours throughout. One coordinate is drawn along a horizontal line, two in the plane, three in space,
and of more the first three.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D

from jaxgeom._reprs import readable
from jaxgeom._typing import PLANE, SPACE
from jaxgeom.plot.animate import inline_animation
from jaxgeom.plot.points import plot_points
from jaxgeom.plot.sheet import fitted_camera, plot_sheet
from jaxgeom.plot.style import dark, new_axes
from jaxgeom.plot.warp import plot_warped_grid

SIGNED = LinearSegmentedColormap.from_list("signed", ["#2b8cff", "#7cc0ff", "#f4f4f4", "#ffc46b", "#ff8c1a"])
"""Blue below zero, white, orange above it: bright on dark, and told apart by colour-blind readers too."""

_MARGIN = 1.08
_THINNEST = 0.45
_THIN, _MOST_STRETCH = 0.65, 3.0
"""In space, coordinates of smaller extent than this share of the largest are drawn larger, at most so many times."""
_ZOOM = 0.95
_INSIDE = 0.75
"""Where the last ticks of a depth are: at its ends their numbers would meet those of the other axes."""
_LABEL_PADS = (4.0, 6.0, 6.0)
"""Of the axes of a space, in points: numbers along the last two are beside their axis."""


@readable
class Morph(NamedTuple):
    """An animation, ready for :func:`jaxgeom.plot.save_animation`."""

    figure: Figure
    """The figure that ``draw`` changes."""
    draw: Callable[[int], None]
    """``draw(frame)`` shows frame 0, 1, …"""
    num_frames: int
    """Number of frames."""

    def _repr_html_(self) -> str:
        return inline_animation(*self)

    def _mime_(self) -> tuple[str, str]:
        """What marimo shows, which takes tuples for data."""
        return "text/html", self._repr_html_()


def plot_stages(
    stages: Sequence[Float[Any, "points _"]],
    color: Float[Any, "points *channels"],
    titles: Sequence[str],
    *,
    lines: Sequence[Float[Any, "lines _ _"]] | None = None,
    line_color: Float[Any, "lines _ *channels"] | None = None,
    sheets: Sequence[Float[Any, "rows columns _"]] | None = None,
    sheet_color: Float[Any, "rows columns 3"] | None = None,
    axes: Sequence[Axes] | None = None,
    **style: Any,
) -> list[PathCollection]:
    """The same points at every stage, each on axes of its own, which hold just the points.

    Planes have one scale. So have spaces, unless points reach much less far along one axis than along another: such an
    axis is drawn up to three times as large, as its numbers say. Spaces are seen from where points are spread out
    widest.

    Args:
        stages: the points at each stage.
        color: a number for each point, such as its first input coordinate; zero is white. Or a colour for each, such
            as :func:`jaxgeom.plot.position_colors` gives.
        titles: one for each stage.
        lines: at each stage the lines of a grid that is carried along; see :func:`jaxgeom.plot.plot_warped_grid`.
        line_color: a number, or a colour, for each of their points.
        sheets: at each stage the points in rows and columns, drawn as a sheet (:func:`jaxgeom.plot.plot_sheet`) instead
            of as dots.
        sheet_color: a colour for each of its points.
        axes: where to draw; default is a new dark figure.
        style: passed on to ``scatter``.

    Returns:
        The dots of each stage; none if sheets are drawn.

    Raises:
        ValueError: for other numbers of titles, lines, sheets or axes than of stages.
    """
    shown = [_at_most_three(points) for points in stages]
    _check(len(shown), titles=titles, lines=lines, sheets=sheets, axes=axes)
    if axes is None:
        with dark():
            kinds = [3 if points.shape[1] == SPACE else 2 for points in shown]
            axes = new_axes(len(shown), dim=kinds, num_columns=4)
    look = _look(color)
    drawn = []
    for place, (points, ax) in enumerate(zip(shown, axes, strict=True)):
        dim = points.shape[1]
        carried = None if lines is None else _at_most_three(lines[place])
        sheet = None if sheets is None else _at_most_three(sheets[place])
        frame = _Frame.of(*(array for array in (points, carried, sheet) if array is not None))
        frame.limit(ax)
        if sheet is not None and dim > 1:
            assert sheet_color is not None
            plot_sheet(sheet, sheet_color, ax=ax, zorder=1)
            colors: Any = {"color": None, "colors": "white", "linewidths": 0.5, "alpha": 0.45, "zorder": 2}
        else:
            width = 1.2 if carried is not None and len(carried) == 1 else 0.4
            colors = look | {"color": line_color, "linewidths": width, "alpha": 0.6, "zorder": 1}
        if carried is not None:
            plot_warped_grid(carried, ax=ax, **colors)
        if sheet is None or dim == 1:
            drawn += plot_points(points, color, ax=ax, **{"s": 6.0, "zorder": 2} | look | style)
        frame.limit(ax)
        ax.set_title(titles[place], fontsize="large")
        ax.locator_params(nbins=3)
        for axis, number in zip("xyz"[:dim], (1, 2, 3), strict=False):
            getattr(ax, f"set_{axis}label")(f"coordinate {number}", fontsize="medium")
        if dim == 1:
            ax.set_yticks([])
        if isinstance(ax, Axes3D):
            everything = points if sheet is None else sheet
            elevation, azimuth = fitted_camera(frame.fit(everything))
            ax.view_init(elev=elevation, azim=azimuth)
            ax.tick_params(labelsize="small", pad=0)
            for axis, pad in zip((ax.xaxis, ax.yaxis, ax.zaxis), _LABEL_PADS, strict=True):
                axis.labelpad = pad
    return drawn


def morph_stages(
    stages: Sequence[Float[Any, "points _"]],
    color: Float[Any, "points *channels"],
    names: Sequence[str],
    *,
    lines: Sequence[Float[Any, "lines _ _"]] | None = None,
    line_color: Float[Any, "lines _ *channels"] | None = None,
    sheets: Sequence[Float[Any, "rows columns _"]] | None = None,
    sheet_color: Float[Any, "rows columns 3"] | None = None,
    frames_per_step: int = 18,
    frames_of_rest: int = 8,
    rotation: float = 20.0,
    **style: Any,
) -> Morph:
    """An animation in which points move from stage to stage, easing in and out, on one set of axes.

    If any stage has three coordinates (or more), all are shown in space, the others as sheets at height zero, while the
    camera turns slowly about where all are spread out well; otherwise in the plane. Stages differ in scale by far, for
    instance around a tanh. So every stage fills the axes, and the numbers on the axes say how large they are: points
    move straight as seen on the axes, from where they are in one stage to where they are in the next.

    Args:
        stages: the points at each stage.
        color: a number for each point, zero is white, or a colour for each.
        names: of the steps that lead to the stages, for the title; the first names the input.
        lines: at each stage the lines of a grid that is carried along.
        line_color: a number, or a colour, for each of their points.
        sheets: at each stage the points in rows and columns, drawn as a sheet instead of as dots.
        sheet_color: a colour for each of its points.
        frames_per_step: frames from one stage to the next.
        frames_of_rest: frames at each stage.
        rotation: degrees by which the camera turns in all.
        style: passed on to ``scatter``.

    Raises:
        ValueError: for other numbers of names or lines than of stages, or no frames.
    """
    _check(len(stages), names=names, lines=lines, sheets=sheets)
    if frames_per_step < 1 or frames_of_rest < 1:
        raise ValueError(
            f"steps and rests take at least one frame, but {frames_per_step} and {frames_of_rest} were given."
        )
    given = [list(map(_at_most_three, arrays)) for arrays in (stages, lines, sheets) if arrays is not None]
    dim = max(2, *(points.shape[1] for points in given[0]))
    given = [[_padded(array, dim) for array in arrays] for arrays in given]
    frames = [_Frame.of(*arrays) for arrays in zip(*given, strict=True)]
    given = [[frame.fit(array) for frame, array in zip(frames, arrays, strict=True)] for arrays in given]
    shown, carried, folded = (
        given[0],
        given[1] if lines is not None else None,
        given[-1] if sheets is not None else None,
    )
    elevation, azimuth = fitted_camera(*(folded or shown)) if dim == SPACE else (0.0, 0.0)
    with dark():
        figure = plt.figure(figsize=(5.6, 5.6))
        where = (0.02, 0.05, 0.94, 0.89) if dim == SPACE else (0.14, 0.11, 0.82, 0.82)
        ax: Any = figure.add_axes(where, projection="3d" if dim == SPACE else None)
    if dim == SPACE:
        ax.tick_params(pad=6)
    look = _look(color)
    schedule = _schedule(len(shown), frames_per_step, frames_of_rest)
    last: list[Any] = []

    def draw(frame: int) -> None:
        step, share = schedule[frame]
        after = min(step + 1, len(shown) - 1)
        for artist in last:
            artist.remove()
        last.clear()
        if folded is not None:
            assert sheet_color is not None
            last.append(plot_sheet(_between(folded[step], folded[after], share), sheet_color, ax=ax, zorder=1))
            colors: Any = {"color": None, "colors": "white", "linewidths": 0.6, "alpha": 0.5, "zorder": 2}
        else:
            colors = look | {"color": line_color, "linewidths": 0.7, "alpha": 0.7, "zorder": 1}
        if carried is not None:
            last.append(plot_warped_grid(_between(carried[step], carried[after], share), ax=ax, **colors))
        if folded is None:
            points = _between(shown[step], shown[after], share)
            last.extend(plot_points(points, color, ax=ax, **{"s": 7.0, "zorder": 2} | look | style))
        _Frame(np.zeros(dim), np.ones(dim), np.ones(dim)).limit(ax)
        scale = frames[step].scale ** (1 - share) * frames[after].scale ** share
        middle = _between(frames[step].middle, frames[after].middle, share)
        for axis, center, size in zip("xyz", middle, scale, strict=False):
            end = _INSIDE if dim == SPACE and axis == "y" else 1.0
            ticks = (-end, 0.0, end)
            getattr(ax, f"set_{axis}ticks")(ticks, [_label(center + way * size, size) for way in ticks])
            pad: dict[str, Any] = {"labelpad": 9} if dim == SPACE else {}
            getattr(ax, f"set_{axis}label")(f"coordinate {'xyz'.index(axis) + 1}", fontsize="small", **pad)
        arrived = after if share > 0 else step
        ax.set_title(f"{names[arrived]}   ({arrived} of {len(shown) - 1})", fontsize="x-large")
        if dim == SPACE:
            turn = rotation * (frame / max(len(schedule) - 1, 1) - 0.5)
            ax.view_init(elev=elevation, azim=azimuth + turn)

    return Morph(figure, draw, len(schedule))


class _Frame(NamedTuple):
    """What axes show."""

    middle: np.ndarray
    """Of what is drawn, in each coordinate."""
    scale: np.ndarray
    """What is one unit in the picture, in each coordinate: half of the largest extent, or less where little is drawn; 1
    if there are only equal points."""
    half: np.ndarray
    """Half of the extent in each coordinate."""

    @classmethod
    def of(cls, *arrays: np.ndarray) -> "_Frame":
        flat = np.concatenate([array.reshape(-1, array.shape[-1]) for array in arrays]).astype(np.float64)
        low, high = flat.min(axis=0), flat.max(axis=0)
        half = (high - low) / 2
        largest = float(half.max()) or 1.0
        stretch = np.ones(len(half))
        if len(half) == SPACE:
            is_drawn = half > 0
            stretch[is_drawn] = np.clip(_THIN * largest / half[is_drawn], 1.0, _MOST_STRETCH)
        return cls((low + high) / 2, largest / stretch, half)

    def fit(self, array: np.ndarray) -> np.ndarray:
        result: np.ndarray = (array - self.middle) / self.scale
        return result

    def limit(self, ax: Any) -> None:
        """In space, sides of the box are as long as what is drawn, unless that is thin; planes are square."""
        dim = len(self.middle)
        side = np.maximum(self.half / self.scale, _THINNEST) if dim == SPACE else np.ones(dim)
        for axis, middle, reach in zip("xyz", self.middle, _MARGIN * side * self.scale, strict=False):
            getattr(ax, f"set_{axis}lim")(middle - reach, middle + reach)
        if dim == 1:
            ax.set_ylim(-1, 1)
        elif dim == PLANE:
            ax.set_aspect("equal", adjustable="box")
        else:
            ax.set_box_aspect(side, zoom=_ZOOM)


def _label(value: float, size: float) -> str:
    """A number in two digits, or 0 if it is nothing against a size."""
    return f"{round(value, 2 - int(np.floor(np.log10(size)))) + 0.0:.2g}".replace("-", "−")


def _look(color: Any) -> dict[str, Any]:
    """Of numbers, the colour map with white at zero."""
    if np.ndim(color) > 1:
        return {}
    largest = np.abs(np.asarray(color)).max() or 1.0
    return {"cmap": SIGNED, "norm": Normalize(-largest, largest)}


def _schedule(num_stages: int, frames_per_step: int, frames_of_rest: int) -> list[tuple[int, float]]:
    """For each frame the stage that points come from, and how far they are on their way, eased."""
    shares = np.arange(1, frames_per_step) / frames_per_step
    eased = (3 * shares**2 - 2 * shares**3).tolist()
    frames = []
    for stage in range(num_stages):
        frames += [(stage, share) for share in [0.0] * frames_of_rest + (eased if stage < num_stages - 1 else [])]
    return frames


def _between(start: np.ndarray, stop: np.ndarray, share: float) -> np.ndarray:
    return (1 - share) * start + share * stop


def _padded(array: np.ndarray, dim: int) -> np.ndarray:
    """Zeros as further coordinates."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, dim - array.shape[-1])])


def _check(num: int, **given: Sequence[Any] | None) -> None:
    for name, values in given.items():
        if values is not None and len(values) != num:
            raise ValueError(f"{num} stages need as many {name}, but {len(values)} were given.")


def _at_most_three(points: Float[Any, "*batch _"]) -> np.ndarray:
    return np.asarray(points)[..., :3]
