"""[edge] Colours, a dark look, and axes to start from.

Matplotlib's global style is never changed: :func:`dark` is a context manager, and what is made inside stays dark.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.transforms import ScaledTranslation
from numpy.lib.stride_tricks import sliding_window_view

from jaxgeom._typing import SPACE
from jaxgeom.analysis.fractions import fraction_interval
from jaxgeom.regions.colors import CLASS_COLORS

COLORS = CLASS_COLORS
"""Okabe and Ito's colours, told apart by colour-blind readers too: one a class, over again after the last."""

DASHES: Any = ("-", (0, (5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (1.2, 1.2)), (0, (8, 2, 1, 2, 1, 2)))
"""Of lines that stand beside each other, which are told apart without colours too."""
_INK, _NIGHT, _FAINT = "#e8e8e8", "#0e1116", "#30363d"


@contextmanager
def dark() -> Iterator[None]:
    """A context whose figures and axes are dark, with light text: ``with jaxgeom.plot.dark(): ...``."""
    look: Any = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK)
    look |= dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor"), _NIGHT)
    look |= dict.fromkeys(("grid.color", "legend.edgecolor"), _FAINT)
    look |= dict.fromkeys(("axes3d.xaxis.panecolor", "axes3d.yaxis.panecolor", "axes3d.zaxis.panecolor"), "#161b22")
    with mpl.rc_context(look):
        yield


def equal_scales(ax: Axes) -> None:
    """Give both axes one scale, by wider limits; limits that somebody set stay, and the box gives way."""
    is_free = ax.name != "3d" and (ax.get_autoscalex_on() or ax.get_autoscaley_on())
    ax.set_aspect("equal", adjustable="datalim" if is_free else "box")


_LABEL = 0.52
"""Inches below axes that ticks and a label take."""
_ROW, _HANDLE, _LETTER = 0.2, 0.5, 0.065
"""Inches of a small legend: of a row, of a handle with the room around it, of a letter."""
_COLUMNS = 3


def legend_below(ax: Axes, *handles: Any, ncols: int | None = None, **options: Any) -> Legend:
    """A legend below the label of an x axis, in as many columns as there is room for; inside of axes that leave no room
    below, if nothing will move them."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    labels = handles[-1] if handles else ax.get_legend_handles_labels()[1]
    spec, box = ax.get_subplotspec(), ax.get_position()
    share = spec.get_gridspec().get_geometry() if spec is not None else None
    width = figure.get_figwidth() * (1 / share[1] if share is not None else box.width)
    longest = _HANDLE + _LETTER * max(map(len, labels), default=0)
    columns = ncols or min(_COLUMNS, max(1, int(width / longest)))
    height = _LABEL + _ROW * -(-len(labels) // columns)
    if figure.get_layout_engine() is None and box.y0 * figure.get_figheight() < height:
        return ax.legend(*handles, **{"fontsize": "small", "framealpha": 0.8, **options})
    _settle(figure)
    below = ax.transAxes + ScaledTranslation(0, -_LABEL, figure.dpi_scale_trans)
    look: dict[str, Any] = {"frameon": False, "fontsize": "small", "borderaxespad": 0, "ncols": columns}
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "bbox_transform": below}
    return ax.legend(*handles, **place | look | options)


def show_dots(legend: Legend, *, size: float = 36) -> None:
    """Make the dots of a legend opaque, and large enough to tell their colours, however small those of the picture
    are."""
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_alpha(1.0)
            handle.set_sizes([size])


class _Settled(ConstrainedLayoutEngine):
    """Constrained layout that runs twice before the first picture. Axes with one scale on both sides move in the first
    run after room was made for what hangs below them, which left legends of wide axes outside of the picture."""

    is_settled = False

    def execute(self, fig: Figure) -> Any:
        result = super().execute(fig)
        if not self.is_settled:
            result = super().execute(fig)
        self.is_settled = True
        return result


def _settle(figure: Figure) -> None:
    """Have the layout of a figure settle before its next picture, if it is constrained."""
    engine: Any = figure.get_layout_engine()
    if type(engine) is ConstrainedLayoutEngine:
        figure.set_layout_engine(engine := _Settled(**engine.get(), compress=getattr(engine, "_compress", False)))
    if isinstance(engine, _Settled):
        engine.is_settled = False


def set_padding(figure: Figure, inches: float) -> None:
    """Room around everything in a figure whose layout is constrained."""
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=inches, h_pad=inches)


def percent(share: float | np.floating[Any]) -> str:
    """Whole percent; 100 % only of all, and 0 % only of none: shares of less than 1 % in one digit."""
    if 0 < share < _CLOSE:
        return f"{float(f'{100 * float(share):.1g}'):g} %"
    return f"{min(round(100 * float(share)), 99 if share < 1 else 100)} %"


def percent_interval(num: int, num_all: int, *, confidence: float = 0.95) -> str:
    """The interval of :func:`jaxgeom.fraction_interval` in percent, such as "47–91 %": ends below 1 and above 99 with a
    digit more, unless they are 0 or 100."""
    found = fraction_interval(int(num), int(num_all), confidence=confidence)

    def end(share: float) -> str:
        inside = min(share, 1 - share)
        if not 0 < inside < _CLOSE:
            return f"{100 * share:.0f}"
        digit = float(f"{100 * inside:.1g}")
        return f"{digit if share == inside else 100 - digit:g}"

    return f"{end(float(found.low))}–{end(float(found.high))} %"


_CLOSE = 0.01
"""To 0 or to 1."""


def percent_of(num: int, num_all: int) -> str:
    """A share with its 95 % interval, such as "20 % (15–26 %)"."""
    return f"{percent(num / num_all)} ({percent_interval(num, num_all)})"


def following_limits(
    points: Float[Any, "frames points 2"], *, window: int = 5, margin: float = 0.06
) -> Float[np.ndarray, "frames 2 2"]:
    """Limits for each frame of an animation that hold its points and move smoothly: squares.

    Centres are averaged over ``window`` frames around each. The largest distance from there in as many frames is
    averaged in its turn, geometrically: so no point is ever outside.

    Args:
        points: of all frames.
        window: frames that are looked at together, an odd number.
        margin: on each side, as a share of the width.

    Returns:
        At each frame, the limits (low, high) of x and of y.
    """
    points = np.asarray(points, np.float64)

    def around(values: np.ndarray) -> np.ndarray:
        padded = np.pad(values, ((window // 2, window // 2), *[(0, 0)] * (values.ndim - 1)), mode="edge")
        return sliding_window_view(padded, 2 * (window // 2) + 1, axis=0)

    middle = around((points.min(axis=1) + points.max(axis=1)) / 2).mean(axis=-1)
    reach = np.maximum(np.abs(points - middle[:, None]).max(axis=(1, 2)), 1e-6)
    reach = (1 + 2 * margin) * np.exp(around(np.log(around(reach).max(axis=-1))).mean(axis=-1))
    result: Float[np.ndarray, "frames 2 2"] = np.stack([middle - reach[:, None], middle + reach[:, None]], axis=2)
    return result


def new_axes(
    num: int = 1, *, dim: int | list[int] = 2, size: float = 4.2, num_columns: int | None = None
) -> list[Axes]:
    """Square axes of a new figure, side by side.

    Args:
        num: how many.
        dim: 2 for plane axes, 3 for those of a space; one for all, or one for each.
        size: side of each, in inches.
        num_columns: axes in a row; default is all of them.
    """
    dims = [dim] * num if isinstance(dim, int) else dim
    columns = min(num, num_columns or num)
    rows = -(-num // columns)
    figure: Figure = plt.figure(figsize=(size * columns, size * rows), layout="constrained")
    kinds: list[dict[str, Any]] = [{"projection": "3d"} if d == SPACE else {} for d in dims]
    return [figure.add_subplot(rows, columns, place + 1, **kind) for place, kind in enumerate(kinds)]
