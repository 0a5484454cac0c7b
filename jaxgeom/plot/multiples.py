"""[edge] Many networks in one picture: a decision map for each, in rows and columns."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.image import AxesImage

from jaxgeom._reprs import readable
from jaxgeom.domains import Box
from jaxgeom.plot.colormaps import side_colormap
from jaxgeom.plot.style import new_axes
from jaxgeom.regions.boundary import Boundary

_GAP = 0.07
"""Between maps, in units of their sides."""
_MAPS = 3
"""Axes of an array of maps."""


@readable
class MultiplesArtists(NamedTuple):
    """What :func:`plot_multiples` drew."""

    axes: Axes
    """Where it was drawn."""
    image: AxesImage
    """All maps in one picture; empty between them."""
    boundaries: LineCollection | None
    """Decision boundaries; None if none were given."""


def plot_multiples(
    values: Float[np.ndarray, "networks rows columns"],
    *,
    boundaries: Sequence[Boundary] | None = None,
    domain: Box | None = None,
    num_columns: int | None = None,
    limit: float = 1.5,
    ax: Axes | None = None,
    **style: Any,
) -> MultiplesArtists:
    """Decision maps of many networks as small multiples, from the upper left to the lower right.

    To animate them, clear the axes and draw the maps of the next step.

    Args:
        values: outputs of each network on a grid over the domain, one row for each second coordinate, from below, as
            for :func:`plot_map`.
        boundaries: decision boundaries of the networks, drawn as lines.
        domain: what the grids span; needed with ``boundaries``.
        num_columns: maps in a row; default makes as many rows as columns, about.
        limit: values from ``limit`` on, and down from ``-limit``, have the full colour.
        ax: where to draw; default is a new figure.
        style: passed on to ``imshow``.

    Raises:
        ValueError: for an array without maps, or boundaries without domain or of another number.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> drawn = jg.plot.plot_multiples(np.random.default_rng(0).normal(size=(12, 20, 20)))
        >>> drawn.image.get_array().shape  # four columns of 20 and gaps of one, three rows
        (62, 83)
    """
    values = np.asarray(values)
    if values.ndim != _MAPS or not values.size:
        raise ValueError(f"needed are maps of shape (networks, rows, columns), but {values.shape} was given.")
    num = len(values)
    if boundaries is not None and (domain is None or len(boundaries) != num):
        raise ValueError(
            f"{num} maps take as many boundaries, and the domain they are in, but {len(boundaries)} boundaries and "
            f"{'no' if domain is None else 'a'} domain were given."
        )
    if ax is None:
        (ax,) = new_axes(size=7)
    columns = num_columns or int(np.ceil(np.sqrt(num)))
    places = [(place // columns, place % columns) for place in range(num)]
    height, width = values.shape[1:]
    gap = max(1, round(_GAP * width))
    rows = places[-1][0] + 1
    tiles = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for (row, column), each in zip(places, values, strict=True):
        top, left = row * (height + gap), column * (width + gap)
        tiles[top : top + height, left : left + width] = each[::-1]
    look: dict[str, Any] = {"cmap": side_colormap(), "vmin": -limit, "vmax": limit, "interpolation": "nearest"}
    image = ax.imshow(tiles, extent=(0, tiles.shape[1], tiles.shape[0], 0), **look | style)
    lines = None
    if boundaries is not None and domain is not None:
        # points of the grid are the middles of pixels
        low, scale = domain.low, (np.array([width, height]) - 1) / (domain.high - domain.low)
        moved = []
        for (row, column), boundary in zip(places, boundaries, strict=True):
            local = (np.asarray(boundary.segments) - low) * scale + 0.5
            corner = np.array([column * (width + gap), row * (height + gap) + height])
            moved.append(corner + local * [1, -1])
        lines = LineCollection(list(np.concatenate(moved)), colors="0.15", linewidths=0.9, capstyle="round")
        ax.add_collection(lines, autolim=False)
    ax.set_axis_off()
    return MultiplesArtists(ax, image, lines)
