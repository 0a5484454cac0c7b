"""[edge] Local complexity, integrated over the domain, is the length of the boundaries of regions.

The number of units whose bent line passes within r of a point, averaged over the square and divided by 2r, tends to the
length of all bent lines per area as r goes to zero (a tube of radius r around a curve has the area 2r × length). The
length is exact, from the complex.
"""

import jax
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxgeom.analysis.measures import boundary_length, local_complexity
from jaxgeom.domains import box
from jaxgeom.networks.layers import Layers, layers_of
from jaxgeom.networks.models import mlp
from jaxgeom.recipes.reproduce.claims import Claim, mean
from jaxgeom.regions.enumerate import enumerate_regions

_RADIUS = 1e-3
_FEATURES = (2, 16, 16, 1)


def complexity(key: int, quick: bool) -> Claim:
    """The integral of local complexity against the exact length of all boundaries."""
    rng = np.random.default_rng(key)
    num_points = 20_000 if quick else 400_000
    points = rng.uniform(-1, 1, (num_points, 2))
    population = layers_of(jax.vmap(mlp(_FEATURES).init)(jax.random.split(jax.random.key(key), 4 if quick else 12)))
    networks = [jax.tree.map(lambda array, i=i: array[i], population) for i in range(len(population[0].bias))]
    rows, lengths = [], []
    for number, network in enumerate(networks):
        exact = sum(float(length.sum()) for length in boundary_length(enumerate_regions(network, box(-1, 1))))
        rows.append(mean(f"network {number}: length from local complexity", exact, _sampled(network, points)))
        lengths.append((exact, rows[-1].measured, rows[-1].error))

    def draw(ax: Axes) -> None:
        exact, measured, error = np.array(lengths).T
        ax.errorbar(exact, measured, 2 * error, fmt="o", label="networks, ± 2 standard errors")
        limits = [exact.min() * 0.95, exact.max() * 1.05]
        ax.plot(limits, limits, color="black", linewidth=0.8, label="equal")
        ax.set(xlabel="exact length of all boundaries", ylabel=f"∫ local complexity / 2r, r = {_RADIUS:g}")
        ax.legend(fontsize="small")

    return Claim(
        "Local complexity integrates to the length of the boundaries",
        "Humayun, Balestriero & Baraniuk (2024), arXiv:2402.15555, with a disc for their neighbourhood",
        rows,
        f"Networks {_FEATURES} at PyTorch's initialisation on [-1, 1]²; {num_points:,} random points. The published "
        "figure is here the exact length, from the complex of all regions.",
        draw,
    )


def _sampled(network: Layers, points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, " points"]:
    """What each point adds to the mean: area × units within the radius / 2 r."""
    return 4.0 * np.asarray(local_complexity(network, points, _RADIUS)) / (2 * _RADIUS)
