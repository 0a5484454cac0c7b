"""[edge] A curve with a band: the median of many members, and where most of them are."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.lines import Line2D

from jaxgeom.plot.counts import new_figure


class BandArtists(NamedTuple):
    """What :func:`plot_bands` drew."""

    axes: Axes
    line: Line2D
    band: FillBetweenPolyCollection


def plot_bands(
    x: Num[np.ndarray, " x"] | list[int] | list[float],
    values: Num[np.ndarray, "members x"],
    *,
    quantiles: tuple[float, float] = (0.1, 0.9),
    ax: Axes | None = None,
    label: str | None = None,
    **style: Any,
) -> BandArtists:
    """Draw the median over members as a line, and a band between two quantiles of them.

    Args:
        x: where.
        values: one row a member; NaN are left out.
        quantiles: edges of the band.
        ax: where to draw; default is a new figure.
        label: what the legend says.
        style: passed on to ``Axes.plot``.

    Raises:
        ValueError: if the shapes do not fit, or the quantiles are not ascending between 0 and 1.
    """
    places: Float[np.ndarray, " x"] | Int[np.ndarray, " x"] = np.asarray(x)
    values = np.asarray(values, float)
    if values.ndim != 2 or values.shape[1:] != places.shape or not values.size:
        raise ValueError(
            f"values need a row for each of at least one member, of as many numbers as x, but x has shape "
            f"{places.shape} and the values have shape {values.shape}."
        )
    low, high = quantiles
    if not 0 <= low < high <= 1:
        raise ValueError(f"quantiles must ascend between 0 and 1, but {quantiles} was given.")
    if ax is None:
        ax = new_figure().subplots()
    bottom, middle, top = np.nanquantile(values, [low, 0.5, high], axis=0)
    (line,) = ax.plot(places, middle, label=label, **style)
    band = ax.fill_between(places, bottom, top, color=line.get_color(), alpha=0.2, linewidth=0)
    return BandArtists(ax, line, band)
