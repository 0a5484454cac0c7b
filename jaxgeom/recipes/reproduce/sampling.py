"""[edge] Estimated numbers of linear regions in up to twelve dimensions, beside published counts and bounds.

Knuth (1975, "Estimating the efficiency of backtrack programs") gave an unbiased estimate of the number of leaves of a
tree. A network's regions are the leaves of a tree that branches where a unit cuts a region of the units before it. For
one hidden layer in general position Zaslavsky (1975) says how many regions there are, in any dimension; for deep
networks there is the upper bound of Serra, Tjandraatmadja & Ramalingam (2018).
"""

import jax
import numpy as np
from matplotlib.axes import Axes

from jaxgeom.analysis.estimate import estimate_regions
from jaxgeom.domains import box
from jaxgeom.recipes.reproduce.claims import AGREEMENT, Claim, Row, at_most
from jaxgeom.recipes.reproduce.networks import normal_networks
from jaxgeom.theory import serra_2018, zaslavsky

SHALLOW = 2
"""Widths of a network with one hidden layer: inputs and hidden units."""

_SHALLOW = (4, 40), (6, 20), (8, 24), (10, 20), (12, 40)
"""Input dimension and units of one hidden layer; the last has 9.1e9 regions."""
_DEEP = (6, 8, 8), (6, 6, 6, 6), (10, 10, 10)
_NEAR = 1e-4
"""Standard deviation of biases: next to all points in which hyperplanes of one layer meet are in [-1, 1]^d."""


def sampling(key: int, quick: bool) -> Claim:
    """Estimated numbers of regions in up to twelve dimensions, beside formula and bound."""
    rng = np.random.default_rng(key)
    rows, published, estimates, errors = [], [], [], []
    num_samples = 1000 if quick else 8000
    for place, widths in enumerate((*_SHALLOW, *_DEEP)):
        is_shallow = len(widths) == SHALLOW
        dim = widths[0]
        layers = normal_networks(rng, widths, bias_scale=_NEAR if is_shallow else 0.1)
        of_network = jax.random.fold_in(jax.random.key(key), place)
        found = estimate_regions(of_network, layers, box(-1, 1, dim=dim), num_samples=num_samples)
        estimate, error = float(found.estimate), float(found.standard_error)
        shape = "-".join(map(str, (*widths, 1)))
        if is_shallow:
            number = zaslavsky(widths[1], dim)
            agrees = abs(estimate - number) <= AGREEMENT * error
            rows.append(Row(f"{shape}: regions, by Zaslavsky", number, estimate, error, agrees))
            published.append(number)
            estimates.append(estimate)
            errors.append(error)
        else:
            rows.append(at_most(f"{shape}: regions, by Serra et al. at most", serra_2018(widths[1:], dim), estimate))

    def draw(ax: Axes) -> None:
        order = np.argsort(published)
        true = np.array(published, float)[order]
        ratio, spread = np.array(estimates)[order] / true, 2 * np.array(errors)[order] / true
        ax.axhline(1, color="black", linewidth=0.8, linestyle="--")
        ax.errorbar(range(len(true)), ratio, spread, fmt="o", capsize=3)
        ax.set_xticks(range(len(true)), [f"{_SHALLOW[i][0]}-{_SHALLOW[i][1]}\n{published[i]:.3g}" for i in order])
        ax.set(xlabel="inputs-units and true number of regions", ylabel="estimated / true, ± 2 standard errors")

    return Claim(
        "Numbers of linear regions in many dimensions, by Knuth's estimate",
        "Knuth (1975), doi:10.2307/2005469; Zaslavsky (1975), doi:10.1090/memo/0154; Serra et al. (2018), "
        "arXiv:1711.02114",
        rows,
        "Random networks, normal weights; biases so small that next to all of one layer meets in the box. "
        f"{num_samples:,} cells go down the tree together. Errors are standard errors of the estimates; the estimates "
        "beside bounds have errors of some percent, too.",
        draw,
    )
