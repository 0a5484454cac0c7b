"""[edge] Kinds of networks side by side, with their shares."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Int, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from jaxgeom.plot.maps import mark_classes
from jaxgeom.plot.pieces import cut_at_zero
from jaxgeom.plot.sides import plot_decision_map
from jaxgeom.plot.style import percent, percent_interval, set_padding
from jaxgeom.regions.complex import PlanarComplex


def plot_kinds(
    complexes: Sequence[PlanarComplex],
    num_networks: Int[np.ndarray, " kinds"],
    *,
    num_all: int | None = None,
    confidence: float | None = 0.95,
    members: Sequence[Sequence[PlanarComplex]] | None = None,
    points: Float[np.ndarray, "points 2"] | None = None,
    labels: Shaped[np.ndarray, " points"] | None = None,
    names: Sequence[str] | None = None,
    num_columns: int = 4,
    axes: Sequence[Axes] | None = None,
    **style: Any,
) -> list[Axes]:
    """One decision map for each kind of network, with the lines where it bends, those of each unit of a layer in dashes
    of its own, and the share of the kind, in brackets with its confidence interval (:func:`jaxgeom.fraction_interval`).

    Args:
        complexes: regions of one network of each kind, the most frequent kind first.
        num_networks: networks of each kind.
        num_all: networks in all, of which shares are taken; default is the sum.
        confidence: probability with which each interval covers the share among all networks that might have been
            drawn; None leaves intervals out, for networks that are all there are.
        members: regions of more networks of each kind, whose decision boundaries are drawn as faint lines.
        points: marked in each map.
        labels: of the points, which are marked by :func:`mark_classes` then: circles, and squares where positive.
        names: what is written below the shares; default is the number of regions.
        num_columns: maps in a row.
        axes: where to draw, one for each kind; default is a new figure.
        style: passed on to :func:`plot_decision_map`.

    Raises:
        ValueError: for numbers that are not as many as complexes, axes that are too few, or a confidence that is not
            between 0 and 1.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> (ax,) = jg.plot.plot_kinds([jg.enumerate_regions(network, jg.box(-1, 1))], np.array([9]), num_all=12)
        >>> ax.get_title().splitlines()
        ['75 % (47–91 %)', '4 regions']
    """
    num_networks = np.asarray(num_networks)
    if len(num_networks) != len(complexes) or (axes is not None and len(axes) < len(complexes)):
        raise ValueError(
            f"{len(complexes)} kinds take as many numbers of networks, and axes if any are given, but "
            f"{len(num_networks)} numbers and {'no' if axes is None else len(axes)} axes were given."
        )
    if axes is None:
        columns = min(num_columns, len(complexes))
        rows = -(-len(complexes) // columns)
        figure = plt.figure(figsize=(2.35 * columns, 2.9 * rows), layout="constrained")
        set_padding(figure, 0.08)
        axes = [figure.add_subplot(rows, columns, place + 1) for place in range(len(complexes))]
        if confidence is not None:
            figure.supxlabel(f"In brackets: {100 * confidence:g} % intervals", fontsize="small", color="0.3")
    total = int(num_networks.sum()) if num_all is None else num_all
    for place, (complex_, num, ax) in enumerate(zip(complexes, num_networks.tolist(), axes, strict=False)):
        plot_decision_map(complex_, ax=ax, **style)
        is_bend = complex_.edge_layer >= 0
        bends = complex_.vertices[complex_.edges[is_bend]]
        dashes = [_DASHES[unit % len(_DASHES)] for unit in complex_.edge_unit[is_bend].tolist()]
        ax.add_collection(LineCollection(list(bends), colors="0.2", linewidths=1.5, linestyles=dashes))
        if members is not None and members[place]:
            zeros = np.concatenate([cut_at_zero(each).zeros for each in members[place]])
            ax.add_collection(LineCollection(list(zeros), colors="black", linewidths=0.5, alpha=0.12), autolim=False)
        if points is not None and labels is not None:
            mark_classes(np.asarray(points), labels, s=34, linewidths=1.0, clip_on=False, ax=ax)
        elif points is not None:
            ax.plot(*np.asarray(points).T, "o", color="white", markeredgecolor="black", markersize=6, clip_on=False)
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
        regions = f"{complex_.num_faces} region{'s' * (complex_.num_faces != 1)}" if names is None else names[place]
        share = percent(num / total) if num >= _FEW * total else f"{num:,} of {total:,}"
        if confidence is not None:
            share += f" ({percent_interval(num, total, confidence=confidence)})"
        ax.set_title(f"{share}\n{regions}", fontsize="medium")
    return list(axes)


_DASHES: tuple[Any, ...] = ((0, (5, 3)), (0, (1.2, 1.6)), (0, (6, 2, 1.2, 2)))
"""Such that two lines in one place, dashed and dotted, are not seen as one that is solid."""
_FEW = 0.01
"""Smaller shares are given as numbers."""
