"""[edge] Decisions over linear regions: which class each piece of the plane belongs to, and how certain that is."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb

from jaxgeom.plot.pieces import cut_at_zero
from jaxgeom.regions.boundary import check_bounded
from jaxgeom.regions.complex import PlanarComplex

_SIDES = np.array([[0.06, 0.37, 0.69], [0.97, 0.60, 0.16]])
"""Blue and orange, for dark and light pictures: all shades of the one are darker than those of the other."""
_SHADES = (1.0, 0.76)
"""Of faces with an even and an odd number of active units: neighbours differ."""


def plot_decision(
    complex_: PlanarComplex, *, strength: float = 1.0, least: float = 0.0, ax: Axes | None = None, **style: Any
) -> PolyCollection:
    """The regions of a network with one output, cut once more by its decision boundary, in the colours of the classes.

    Blue where the output is negative and orange where it is positive, mixed with the background of the axes the more,
    the nearer the probability, sigmoid(output), is to 1/2 in the middle of the piece. Shades come from activation
    patterns: neighbours differ, and a region keeps its shade while the network moves.

    Args:
        complex_: regions on a bounded domain, as :func:`jaxgeom.enumerate_regions` gives them.
        strength: the share of the colour where the network is certain; less lets data stand out.
        least: the share of that where the network is hardly certain, but the output is not zero; more shows sides early
            in training.
        ax: where to draw; default is a new figure.
        style: passed on to ``matplotlib.collections.PolyCollection``.

    Raises:
        ValueError: if the complex covers the whole plane.

    Example:
        >>> import numpy as np, jaxgeom as jg
        >>> network = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1))  # relu(x) + relu(y) - 1
        >>> complex_ = jg.enumerate_regions(network, jg.box(-1, 1))
        >>> len(jg.plot.plot_decision(complex_).get_paths())  # four faces, one of them in two pieces
        5
    """
    check_bounded(complex_, "a picture of decisions")
    if ax is None:
        ax = plt.figure(figsize=(5.2, 5.2), layout="constrained").subplots()
    pieces = cut_at_zero(complex_)
    face = pieces.face
    middle = np.array([corners[:, :2].mean(axis=0) for corners in pieces.corners])
    output = np.sum(complex_.gradient[face, 0] * middle, axis=1) + complex_.intercept[face, 0]
    certainty = np.tanh(np.abs(output) / 2)  # |2 sigmoid(output) - 1|
    certainty = strength * np.maximum(certainty, np.where(output != 0, least, 0.0))[:, None]
    turns = np.random.default_rng(0).uniform(0.2, 0.8, complex_.patterns.shape[1])
    shade = np.take(_SHADES, complex_.patterns.sum(axis=1) % 2) + 0.08 * np.cos(2 * np.pi * complex_.patterns @ turns)
    paper = np.array(to_rgb(ax.get_facecolor()))
    is_dark = paper.mean() < 0.5  # noqa: PLR2004
    certainty = certainty * (1.0 if is_dark else shade[face][:, None])
    colors = (1 - certainty) * paper + certainty * np.take(_SIDES, output > 0, axis=0)
    colors = np.clip(colors * shade[face][:, None] if is_dark else colors, 0.0, 1.0)
    look: dict[str, Any] = {"facecolors": colors, "edgecolors": "face", "linewidths": 0.3, "zorder": 1.0}
    drawn = PolyCollection([corners[:, :2] for corners in pieces.corners], **look | style)
    ax.add_collection(drawn, autolim=False)
    low, high = complex_.vertices.min(axis=0), complex_.vertices.max(axis=0)
    ax.set(aspect="equal", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    return drawn
