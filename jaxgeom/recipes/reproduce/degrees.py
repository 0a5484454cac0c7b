"""[edge] Neighbours of linear regions: on average at most twice the input dimension, whatever the depth.

Two regions are neighbours where they share a facet. Of n hyperplanes in general position in d dimensions each carries
r(n - 1, d - 1) facets, where r(n, d) = Σ C(n, k) over k ≤ d is the number of regions. So every network with one hidden
layer of n units has the same average degree 2 n r(n - 1, d - 1) / r(n, d), unless it is degenerate; trained or not.
"""

import numpy as np
from matplotlib.axes import Axes

from jaxgeom._typing import PLANE
from jaxgeom.domains import Box, PlanarDomain, box, whole_plane
from jaxgeom.networks.layers import Layers
from jaxgeom.recipes.reproduce.claims import Claim, Row, at_most, exact, within
from jaxgeom.recipes.reproduce.networks import normal_networks
from jaxgeom.regions.complex import OUTSIDE, PlanarComplex
from jaxgeom.regions.enumerate import enumerate_regions

SHALLOW = {
    (3, 8): (93, 4.9892),
    (3, 16): (697, 5.5552),
    (4, 4): (16, 4.0),
    (4, 8): (163, 6.2822),
    (4, 12): (794, 7.0126),
    (5, 8): (219, 7.2329),
}
"""Input dimension and units: regions, average degree."""
_ROUNDING = 5e-5
"""Of four decimals."""
_NEAR = 1e-6
"""Biases so small that all hyperplanes of one layer meet in a box of side 2."""
_DEEP = ((2, 4), (2, 8), (2, 16), (3, 4), (3, 8), (4, 4))
"""Input dimension and units a layer."""
_FAR = 1e8
"""So far from the origin no units of a random network meet any more, or next to none."""


def degrees(key: int, quick: bool) -> Claim:
    """Average numbers of neighbours: of one hidden layer, as printed; of several, below the bound."""
    rng = np.random.default_rng(key)
    rows: list[Row] = []
    for (dim, width), (cells, published) in SHALLOW.items():
        layers = normal_networks(rng, (dim, width), bias_scale=_NEAR)
        num, degree = num_and_degree(layers, box(-1, 1, dim=dim))
        rows.append(exact(f"regions of {dim}-{width}", cells, num))
        rows.append(within(f"average degree of {dim}-{width}", published, degree, _ROUNDING))
    drawn = []
    for dim, width in _DEEP:
        for depth in (2, 4) if quick else (2, 3, 4):
            domain: Box | PlanarDomain = whole_plane() if dim == PLANE else box(-_FAR, _FAR, dim=dim)
            networks = [normal_networks(rng, (dim, *(width,) * depth)) for _ in range(2 if quick else 10)]
            found = [num_and_degree(layers, domain) for layers in networks]
            drawn += [(num, degree / (2 * dim)) for num, degree in found]
            largest = max(degree for _, degree in found)
            rows.append(at_most(f"largest average degree of {dim}-{'-'.join([str(width)] * depth)}", 2 * dim, largest))

    def draw(ax: Axes) -> None:
        cells, degrees = zip(*drawn, strict=True)
        ax.scatter(cells, degrees, s=12, label="two to four hidden layers")
        shallow = [(num, published / (2 * dim)) for (dim, _), (num, published) in SHALLOW.items()]
        cells, degrees = zip(*shallow, strict=True)
        ax.scatter(cells, degrees, marker="x", color="black", label="one hidden layer, as published")
        ax.axhline(1, color="black", linewidth=0.8, linestyle="--", label="bound")
        ax.set(xlabel="regions", ylabel="average degree / 2d", xscale="log", ylim=(0, 1.1))
        ax.legend(fontsize="small", loc="lower right")

    return Claim(
        "Linear regions have at most 2 d neighbours on average",
        "Gaines & Bi (2026), Characterizing the discrete geometry of ReLU networks, arXiv:2606.07728",
        rows,
        "Of one hidden layer, the shapes are those with the published numbers of regions; the average degree is the "
        "same for all networks of a shape. Here the weights are random, and the box holds all points in which "
        "hyperplanes meet. The networks with more layers are random, too: those with two inputs on the "
        f"whole plane, the others on boxes of half-width {_FAR:g}. Their published figures are bounds.",
        draw,
    )


def num_and_degree(layers: Layers, domain: Box | PlanarDomain) -> tuple[int, float]:
    """The number of linear regions of a network on a domain, and their average number of neighbours."""
    found = enumerate_regions(layers, domain)
    if isinstance(found, PlanarComplex):
        num, sides = found.num_faces, found.edge_faces
    else:
        num, sides = found.num_cells, found.facet_cells
    # convex regions share one facet at most, but a line that meets no other comes in two edges
    neighbours = np.unique(np.sort(sides[(sides != OUTSIDE).all(axis=1)], axis=1), axis=0)
    return num, 2 * len(neighbours) / num
