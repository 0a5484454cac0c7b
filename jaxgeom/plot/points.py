"""[edge] Points on a line, in the plane or in space, coloured by class or by number."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from jaxgeom._typing import MATRIX, SPACE
from jaxgeom.host.given import check_one_array
from jaxgeom.plot.style import COLORS, equal_scales, new_axes

_MARKERS = ("o", "^", "s", "D", "v", "P", "X")
"""Of classes, which are told apart in greyscale too: circle, triangle, square, diamond, triangle down, plus, cross."""


def plot_points(
    x: Float[Any, "points dim"],
    color: Shaped[Any, "points *channels"] | None = None,
    *,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    **style: Any,
) -> list[PathCollection]:
    """Points as dots, with equal scales on all axes; classes by colour and by shape.

    Args:
        x: points with one coordinate (drawn along a horizontal line), two, or three (on axes of a space).
        color: class labels (points,), integers or bool; numbers (points,), for a colour map; or colours
            (points, 3 or 4). Without, all points look alike.
        names: of the classes, for a legend.
        ax: where to draw; default is a new figure.
        style: passed on to ``scatter``.

    Returns:
        One collection for each class that has points, in the order of the labels; otherwise a single one.

    Raises:
        ValueError: for more than three coordinates (project them first, see :func:`jaxgeom.pca`), or colours that do
            not fit.

    Example:
        >>> import jax, jaxgeom as jg
        >>> data = jg.spirals(jax.random.key(0), num_per_class=20)
        >>> len(jg.plot.plot_points(data.x, data.y, names=["a", "b", "c"]))
        3
    """
    check_one_array(x, "x")
    x = np.asarray(x)
    if x.ndim != MATRIX or not 1 <= x.shape[1] <= SPACE:
        raise ValueError(
            f"points with 1, 2 or 3 coordinates can be drawn, but the shape {x.shape} was given. Project them with "
            "jaxgeom.pca, or choose columns."
        )
    color = None if color is None else np.asarray(color)
    if color is not None and (color.shape[0] != len(x) or color.shape[1:] not in ((), (3,), (4,))):
        raise ValueError(f"{len(x)} points need as many labels, numbers or colours, but {color.shape} was given.")
    if ax is None:
        (ax,) = new_axes(dim=3 if x.shape[1] == SPACE else 2)
    if (x.shape[1] == SPACE) != (ax.name == "3d"):
        raise ValueError(f"points with {x.shape[1]} coordinates cannot be drawn on axes of kind {ax.name!r}.")
    columns = [*x.T, np.zeros(len(x))] if x.shape[1] == 1 else list(x.T)
    style = {"s": 12, "linewidths": 0, "alpha": 0.8} | style
    if x.shape[1] == SPACE:
        style = {"depthshade": False} | style
    if color is None or color.ndim == MATRIX or not (color.dtype == bool or np.issubdtype(color.dtype, np.integer)):
        drawn = [ax.scatter(*columns, **({} if color is None else {"c": color}) | style)]
    else:
        drawn = []
        for label in np.unique(color):
            name = names[label] if names is not None else None
            shown = [column[color == label] for column in columns]
            look = {"color": COLORS[int(label) % len(COLORS)], "marker": _MARKERS[int(label) % len(_MARKERS)]}
            drawn.append(ax.scatter(*shown, **look | {"label": name} | style))
        if names is not None:
            legend = ax.legend(loc="best", fontsize="small", framealpha=0.8)
            for handle in legend.legend_handles:
                if isinstance(handle, PathCollection):
                    handle.set_sizes([30])
    if x.shape[1] == 1:
        ax.set_yticks([])
        ax.set_ylim(-1, 1)
    else:
        equal_scales(ax)
    return drawn
