"""[edge] How a number is spread over a population while it trains: its density at each step, and bands of quantiles."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Num, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D

from jaxgeom._reprs import readable
from jaxgeom._typing import MATRIX
from jaxgeom.host.given import check_flags
from jaxgeom.plot.style import COLORS, new_axes

_DASHES: tuple[Any, ...] = ((0, (1, 2)), (0, (4, 2)), "-")


@readable
class DistributionArtists(NamedTuple):
    """What :func:`plot_distribution` drew."""

    axes: Axes
    """Where it was drawn."""
    density: QuadMesh
    """The share of the networks in each interval of values, at each step; the strongest colour is the largest share of
    that step."""
    bands: Sequence[PolyCollection]
    """Between pairs of quantiles, the widest band first."""
    median: Line2D
    """The median."""


def plot_distribution(
    steps: Shaped[Any, " records"],
    values: Num[Any, "networks records"],
    *,
    quantiles: Sequence[tuple[float, float]] = ((0.05, 0.95), (0.25, 0.75)),
    num_bins: int = 60,
    is_log: bool = False,
    color: str = COLORS[0],
    ylabel: str = "",
    ax: Axes | None = None,
    **style: Any,
) -> DistributionArtists:
    """How a number is spread over networks at each step: its density as shades, quantiles as lines round the median.

    Where networks fall into kinds, the density has several ridges, which bands alone do not show.

    Args:
        steps: of the records, ascending, at least two.
        values: one row a network; values that are not finite are left out, on a logarithmic axis also those up to 0.
        quantiles: lower and upper edges of the bands, the widest first.
        num_bins: intervals of the values.
        is_log: make the axis of the values logarithmic.
        color: of all that is drawn.
        ylabel: what the values are; default leaves the label of the axes as it is.
        ax: where to draw; default is a new figure.
        style: passed on to ``Axes.plot``, for the median.

    Raises:
        ValueError: for arrays that do not fit, fewer than two steps, or no finite value.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> losses = np.random.default_rng(0).lognormal(size=(50, 8))
        >>> drawn = jg.plot.plot_distribution(np.arange(8), losses, num_bins=20, is_log=True)
        >>> drawn.density.get_array().shape, len(drawn.bands)
        ((20, 8), 2)
    """
    check_flags(is_log=is_log)
    steps, values = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    if steps.ndim > 1:
        raise ValueError(f"steps are one row for all networks, but have shape {steps.shape}. Give one row, steps[0].")
    if values.ndim != MATRIX or values.shape[1:] != steps.shape or len(steps) < 2:  # noqa: PLR2004
        raise ValueError(
            f"needed are two steps or more and values of shape (networks, steps), but {steps.shape} and {values.shape} "
            "were given."
        )
    is_shown = np.isfinite(values) & ((values > 0) | (not is_log))
    if not is_shown.any():
        raise ValueError("none of the values can be drawn: they are not finite, or not positive on a logarithmic axis.")
    if ax is None:
        (ax,) = new_axes(size=5)
    low, high = values[is_shown].min(), values[is_shown].max()
    if low == high:
        low, high = (low / 2, high * 2) if is_log else (low - 0.5, high + 0.5)
    edges = np.geomspace(low, high, num_bins + 1) if is_log else np.linspace(low, high, num_bins + 1)
    shown = np.where(is_shown, values, np.nan)
    share = np.stack([np.histogram(column[~np.isnan(column)], edges)[0] for column in shown.T], axis=1)
    density = share / np.maximum(share.max(axis=0), 1)
    middles = (steps[1:] + steps[:-1]) / 2
    borders = np.concatenate([steps[:1], middles, steps[-1:]])
    shades = LinearSegmentedColormap.from_list("density", [(0, "#ffffff00"), (1, color)])
    mesh: QuadMesh = ax.pcolormesh(borders, edges, np.sqrt(density), cmap=shades, alpha=0.75, rasterized=True, zorder=1)
    is_known = is_shown.any(axis=0)
    bands, look = [], dict[str, Any]()
    for place, (low_edge, high_edge) in enumerate(quantiles):
        band = np.nanquantile(shown[:, is_known], [low_edge, high_edge], axis=0)
        look = {"facecolor": "none", "edgecolor": "black", "linewidth": 0.9, "zorder": 2}
        look |= {"linestyle": _DASHES[place % len(_DASHES)], "label": f"{100 * low_edge:g}–{100 * high_edge:g} %"}
        bands.append(ax.fill_between(steps[is_known], *band, **look))
    middle = np.nanmedian(shown[:, is_known], axis=0)
    look = {"color": "black", "linewidth": 2.0, "zorder": 3, "label": "median"}
    (line,) = ax.plot(steps[is_known], middle, **look | style)
    if is_log:
        ax.set_yscale("log")
    ax.set(xlim=(steps[0], steps[-1]), ylim=(edges[0], edges[-1]), xlabel="step")
    if ylabel:
        ax.set_ylabel(ylabel)
    finite = middle[np.isfinite(middle)]  # "best" takes seconds on the outlines of many steps
    corner = "upper left" if finite.size and finite[-1] > finite[0] else "upper right"
    look = {"loc": corner, "frameon": False, "fontsize": "small", "title_fontsize": "small"}
    ax.legend(title=f"{len(values):,} networks", **look)
    return DistributionArtists(ax, mesh, bands, line)
