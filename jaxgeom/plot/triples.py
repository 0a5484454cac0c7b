"""[edge] The affine maps of networks as points: gradients in the plane, with intercepts in space."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from jaxgeom.plot.style import COLORS, new_axes

_LOOKS: tuple[dict[str, Any], ...] = (
    {"s": 46, "facecolors": "none", "edgecolors": COLORS[0], "linewidths": 1.4},
    {"s": 46, "facecolors": "none", "edgecolors": COLORS[1], "linewidths": 1.4, "marker": "s"},
    {"s": 16, "color": COLORS[3], "linewidths": 0},
    {"s": 16, "color": COLORS[2], "linewidths": 0, "marker": "D"},
)


def plot_triples(
    triples: Mapping[str, Float[np.ndarray, "_ 3"]], *, ax: Axes | None = None, **style: Any
) -> list[PathCollection]:
    """The affine maps of two networks, and their images, as points.

    Args:
        triples: by the name that the legend shows: rows (∂f/∂x, ∂f/∂y, c). The first two sets are networks (large open
            marks), those after them images (small filled ones); at most four.
        ax: plane axes show the gradients, axes of a space the intercepts as well; default is a new plane figure.
        style: passed on to ``scatter``.

    Raises:
        ValueError: for more than four sets.
    """
    if len(triples) > len(_LOOKS):
        raise ValueError(f"at most {len(_LOOKS)} sets can be told apart, but {len(triples)} were given.")
    axes: Any = new_axes()[0] if ax is None else ax
    is_space = axes.name == "3d"
    drawn = []
    for (name, rows), look in zip(triples.items(), _LOOKS, strict=False):
        columns = np.asarray(rows).T[: 3 if is_space else 2]
        look = look | {"label": name, "alpha": 0.9} | ({"depthshade": False} if is_space else {"zorder": 2})
        drawn.append(axes.scatter(*columns, **look | style))
    pad: dict[str, Any] = {"labelpad": 3} if is_space else {}
    axes.set_xlabel(r"$\partial f / \partial x$", **pad)
    axes.set_ylabel(r"$\partial f / \partial y$", **pad)
    if is_space:
        axes.set_zlabel("intercept", labelpad=1)
        axes.tick_params(labelsize="small", pad=0)
        axes.locator_params(nbins=5)
        spans = np.ptp([axes.get_xlim(), axes.get_ylim(), axes.get_zlim()], axis=1)
        # intercepts that are nearly equal are to look so
        missing = max(0, spans[:2].max() / 4 - spans[2]) / 2
        low, high = axes.get_zlim()
        axes.set_zlim(low - missing, high + missing)
        axes.set_box_aspect(None, zoom=0.88)
    else:
        axes.set_aspect("equal", adjustable="datalim")
        axes.grid(color="0.92", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.legend(fontsize="small", framealpha=0.9)
    return drawn
