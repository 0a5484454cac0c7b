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

from jaxgeom._reprs import readable
from jaxgeom._typing import PLANE, SPACE
from jaxgeom.plot.animate import inline_animation
from jaxgeom.plot.points import plot_points
from jaxgeom.plot.style import dark, new_axes
from jaxgeom.plot.warp import plot_warped_grid

SIGNED = LinearSegmentedColormap.from_list("signed", ["#2b8cff", "#7cc0ff", "#f4f4f4", "#ffc46b", "#ff8c1a"])
"""Blue below zero, white, orange above it: bright on dark, and told apart by colour-blind readers too."""

_MARGIN = 1.08


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
    color: Float[Any, " points"],
    titles: Sequence[str],
    *,
    lines: Sequence[Float[Any, "lines _ _"]] | None = None,
    line_color: Float[Any, "lines _"] | None = None,
    axes: Sequence[Axes] | None = None,
    **style: Any,
) -> list[PathCollection]:
    """The same points at every stage, each on axes of its own, which show as much in every direction.

    Args:
        stages: the points at each stage.
        color: a number for each point, such as its first input coordinate; zero is white.
        titles: one for each stage.
        lines: at each stage the lines of a grid that is carried along; see :func:`jaxgeom.plot.plot_warped_grid`.
        line_color: a number for each of their points.
        axes: where to draw; default is a new dark figure.
        style: passed on to ``scatter``.

    Raises:
        ValueError: for other numbers of titles, lines or axes than of stages.
    """
    shown = [_at_most_three(points) for points in stages]
    _check(len(shown), titles=titles, lines=lines, axes=axes)
    if axes is None:
        with dark():
            kinds = [3 if points.shape[1] == SPACE else 2 for points in shown]
            axes = new_axes(len(shown), dim=kinds, num_columns=4)
    largest = np.abs(np.asarray(color)).max() or 1.0
    look: dict[str, Any] = {"cmap": SIGNED, "norm": Normalize(-largest, largest)}
    drawn = []
    for place, (points, ax) in enumerate(zip(shown, axes, strict=True)):
        carried = None if lines is None else _at_most_three(lines[place])
        extent = _extent(*(array for array in (points, carried) if array is not None))
        _set_limits(ax, points.shape[1], extent * _MARGIN)
        if carried is not None:
            plot_warped_grid(carried, line_color, ax=ax, **look, linewidths=0.4, alpha=0.6, zorder=1)
        drawn += plot_points(points, color, ax=ax, **{"s": 6.0, "zorder": 2} | look | style)
        _set_limits(ax, points.shape[1], extent * _MARGIN)
        ax.set_title(titles[place], fontsize="medium")
        ax.locator_params(nbins=5)
        for axis, number in zip("xyz"[: points.shape[1]], (1, 2, 3), strict=False):
            getattr(ax, f"set_{axis}label")(f"coordinate {number}", fontsize="small")
        if points.shape[1] == 1:
            ax.set_yticks([])
    return drawn


def morph_stages(
    stages: Sequence[Float[Any, "points _"]],
    color: Float[Any, " points"],
    names: Sequence[str],
    *,
    lines: Sequence[Float[Any, "lines _ _"]] | None = None,
    line_color: Float[Any, "lines _"] | None = None,
    frames_per_step: int = 18,
    frames_of_rest: int = 8,
    rotation: float = 40.0,
    **style: Any,
) -> Morph:
    """An animation in which points move from stage to stage, easing in and out, on one set of axes.

    If any stage has three coordinates (or more), all are shown in space, the others as sheets at height zero, while the
    camera turns slowly; otherwise in the plane. Stages differ in scale by far, for instance around a tanh. So every
    stage fills the axes, scales change geometrically on the way, and the numbers on the axes say how large they are:
    points move straight as seen on the axes, from where they are in one stage to where they are in the next.

    Args:
        stages: the points at each stage.
        color: a number for each point; zero is white.
        names: of the steps that lead to the stages, for the title; the first names the input.
        lines: at each stage the lines of a grid that is carried along.
        line_color: a number for each of their points.
        frames_per_step: frames from one stage to the next.
        frames_of_rest: frames at each stage.
        rotation: degrees by which the camera turns in all.
        style: passed on to ``scatter``.

    Raises:
        ValueError: for other numbers of names or lines than of stages, or no frames.
    """
    _check(len(stages), names=names, lines=lines)
    if frames_per_step < 1 or frames_of_rest < 1:
        raise ValueError(
            f"steps and rests take at least one frame, but {frames_per_step} and {frames_of_rest} were given."
        )
    shown = [_at_most_three(points) for points in stages]
    carried = [np.zeros((0, 2, 1))] * len(shown) if lines is None else [_at_most_three(array) for array in lines]
    dim = max(2, *(points.shape[1] for points in shown))
    extents = [_extent(*pair) for pair in zip(shown, carried, strict=True)]
    shown = [_padded(array, dim) / extent for array, extent in zip(shown, extents, strict=True)]
    carried = [_padded(array, dim) / extent for array, extent in zip(carried, extents, strict=True)]
    with dark():
        figure = plt.figure(figsize=(5.6, 5.6))
        where = (0.0, 0.02, 0.98, 0.92) if dim == SPACE else (0.13, 0.09, 0.82, 0.82)
        ax: Any = figure.add_axes(where, projection="3d" if dim == SPACE else None)
    largest = np.abs(np.asarray(color)).max() or 1.0
    look: dict[str, Any] = {"cmap": SIGNED, "norm": Normalize(-largest, largest)}
    schedule = _schedule(len(shown), frames_per_step, frames_of_rest)
    _set_limits(ax, dim, _MARGIN)
    last: list[Any] = []

    def draw(frame: int) -> None:
        step, share = schedule[frame]
        after = min(step + 1, len(shown) - 1)
        for artist in last:
            artist.remove()
        last.clear()
        if lines is not None:
            grid = _between(carried[step], carried[after], share)
            last.append(plot_warped_grid(grid, line_color, ax=ax, **look, linewidths=0.7, alpha=0.7, zorder=1))
        points = _between(shown[step], shown[after], share)
        last.extend(plot_points(points, color, ax=ax, **{"s": 7.0, "zorder": 2} | look | style))
        _set_limits(ax, dim, _MARGIN)
        extent = extents[step] ** (1 - share) * extents[after] ** share
        for axis in ("x", "y", "z")[:dim]:
            getattr(ax, f"set_{axis}ticks")([-1, 0, 1], [f"{-extent:.2g}", "0", f"{extent:.2g}"])
        arrived = after if share > 0 else step
        ax.set_title(f"{names[arrived]}   ({arrived} of {len(shown) - 1})", fontsize="large")
        if dim == SPACE:
            ax.view_init(elev=24, azim=-70 + rotation * frame / max(len(schedule) - 1, 1))

    return Morph(figure, draw, len(schedule))


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


def _extent(*arrays: np.ndarray) -> float:
    """The largest coordinate regardless of sign, or 1 if there are only zeros."""
    return max(float(np.abs(array).max(initial=0)) for array in arrays) or 1.0


def _set_limits(ax: Any, dim: int, extent: float) -> None:
    """The same scale on all axes, around zero."""
    ax.set_xlim(-extent, extent)
    if dim == 1:
        ax.set_ylim(-1, 1)
        return
    ax.set_ylim(-extent, extent)
    if dim == PLANE:
        ax.set_aspect("equal", adjustable="box")
        return
    ax.set_zlim(-extent, extent)
    ax.set_box_aspect((1, 1, 1))
