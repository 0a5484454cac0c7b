"""[edge] The affine maps of networks as points and densities: gradients in the plane, with intercepts in space."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import LinearSegmentedColormap

from jaxgeom._typing import MATRIX, SPACE
from jaxgeom.plot.style import COLORS, new_axes

_LOOKS: tuple[dict[str, Any], ...] = (
    {"s": 46, "facecolors": "none", "edgecolors": COLORS[0], "linewidths": 1.4},
    {"s": 46, "facecolors": "none", "edgecolors": COLORS[1], "linewidths": 1.4, "marker": "s"},
    {"s": 16, "color": COLORS[0], "linewidths": 0},
    {"s": 16, "color": COLORS[1], "linewidths": 0, "marker": "D"},
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


def plot_gradient_density(
    triples: Float[np.ndarray, "points _"],
    images: Float[np.ndarray, "points _"] | None = None,
    *,
    color: str = COLORS[0],
    num_bins: int = 80,
    ax: Axes | None = None,
    **style: Any,
) -> QuadMesh:
    """How the gradients of a network are spread over a domain, for more maps than can be told apart as points.

    Args:
        triples: (∂f/∂x, ∂f/∂y, c) at points spread evenly over the domain, so that regions count by their area.
        images: other triples, drawn as lines that hold a half and nine tenths of them.
        color: where they are dense.
        num_bins: along each axis.
        ax: plane axes; default is a new figure.
        style: passed on to ``Axes.pcolormesh``.

    Raises:
        ValueError: for triples of another shape.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> mesh = jg.plot.plot_gradient_density(np.random.default_rng(0).normal(size=(500, 3)), num_bins=20)
        >>> mesh.get_array().shape
        (20, 20)
    """
    sets = [np.asarray(rows) for rows in ([triples] if images is None else [triples, images])]
    for rows in sets:
        if rows.ndim != MATRIX or rows.shape[1] != SPACE or not len(rows):
            raise ValueError(f"needed are rows (∂f/∂x, ∂f/∂y, c), but an array of shape {rows.shape} was given.")
    axes: Any = new_axes()[0] if ax is None else ax
    flat = np.concatenate([rows[:, :2] for rows in sets])
    middle, reach = (flat.max(axis=0) + flat.min(axis=0)) / 2, 0.6 * max(float(np.ptp(flat, axis=0).max()), 1e-6)
    edges = [np.linspace(center - reach, center + reach, num_bins + 1) for center in middle.tolist()]
    dense = [_smooth(np.histogram2d(rows[:, 0], rows[:, 1], edges)[0].T) for rows in sets]
    shades = LinearSegmentedColormap.from_list("density", ["white", color])
    mesh: QuadMesh = axes.pcolormesh(*edges, dense[0], **{"cmap": shades, "rasterized": True} | style)
    for density in dense[1:]:
        centers = [(each[1:] + each[:-1]) / 2 for each in edges]
        ordered = np.sort(density, axis=None)[::-1]
        share = np.cumsum(ordered) / ordered.sum()
        levels = sorted({float(ordered[np.searchsorted(share, part)]) for part in (0.5, 0.9)})
        axes.contour(*centers, density, levels=levels, colors="black", linewidths=[0.9, 1.8][: len(levels)])
    axes.set(aspect="equal", xlabel=r"$\partial f / \partial x$", ylabel=r"$\partial f / \partial y$")
    return mesh


def _smooth(counts: Float[np.ndarray, "rows columns"], width: int = 2) -> Float[np.ndarray, "rows columns"]:
    """Counts blurred by a Gaussian of so many bins."""
    reach = np.arange(-3 * width, 3 * width + 1)
    kernel = np.exp(-0.5 * (reach / width) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        counts = np.apply_along_axis(np.convolve, axis, counts, kernel, "same")
    return counts
