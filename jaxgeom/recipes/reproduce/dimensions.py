"""[edge] Functional dimensions of random ReLU networks, beside the bound of parameters less hidden units.

Scaling a unit's inputs and outputs against each other changes no function, so that the rank of the parameters' Jacobian
is at most the number of parameters less the number of hidden units. Networks of which no layer is wider than the one
before reach that bound for some weights (Grigsby, Lindsey, Meyerhoff & Wu 2022, "Functional dimension of feedforward
ReLU neural networks", arXiv:2209.04036). Not all do: the dimension differs from network to network of one shape.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from jaxgeom._typing import PLANE
from jaxgeom.analysis.fractions import fraction_interval
from jaxgeom.analysis.functional_dimension import functional_dimension
from jaxgeom.domains import Box, PlanarDomain, box, whole_plane
from jaxgeom.recipes.reproduce.bars import draw_shares
from jaxgeom.recipes.reproduce.claims import Claim, at_most, exact
from jaxgeom.recipes.reproduce.networks import normal_networks

_NARROWING = (2, 2), (2, 2, 2), (3, 3, 2), (4, 3, 2)
_OTHERS = (2, 4), (2, 4, 4), (2, 3, 3, 3), (3, 4, 4)
_FAR = 50.0
"""Half the width of the boxes for more than two inputs: the rank over some regions is at most that over all."""


def dimensions(key: int, quick: bool) -> Claim:
    """Functional dimensions of random networks, beside the bound."""
    rng = np.random.default_rng(key)
    rows, reached = [], {}
    for widths in (*_NARROWING, *_OTHERS):
        domain: Box | PlanarDomain = whole_plane() if widths[0] == PLANE else box(-_FAR, _FAR, dim=widths[0])
        found = functional_dimension(normal_networks(rng, widths, leading=(20 if quick else 200,)), domain)
        bound = int(found.num_params[0]) - sum(widths[1:])
        shape = "-".join(map(str, (*widths, 1)))
        does_reach = found.dimension == bound
        reached[shape] = fraction_interval(int(does_reach.sum()), len(does_reach))
        row = exact if widths in _NARROWING else at_most
        rows.append(row(f"{shape}: largest functional dimension", bound, int(found.dimension.max())))
    differ = any(0 < found.fraction < 1 for found in reached.values())
    rows.append(exact("whether networks of one shape differ", 1, int(differ)))

    def draw(ax: Axes) -> None:
        draw_shares(ax, {"": np.transpose(list(reached.values()))}, list(reached), "reach the bound")
        plt.setp(ax.get_xticklabels(), rotation=30, ha="right", fontsize="small")
        ax.set(xlabel="network", ylim=(0, 105))

    return Claim(
        "A ReLU network has at least one parameter too many for each hidden unit",
        "Grigsby, Lindsey, Meyerhoff & Wu (2022), arXiv:2209.04036",
        rows,
        "Random networks, normal weights and biases, on the whole plane or on boxes of half-width "
        f"{_FAR:g}. Ranks are exact, by arithmetic in prime fields. Shapes that narrow must reach the bound, for the "
        "others it is a bound only, and here the share that reaches it is shown, with its 95 % interval.",
        draw,
    )
