"""[edge] Bounded components of decision regions of networks with one hidden layer, one unit wider than the input.

A network with n inputs and one hidden layer of n + 1 units has decision regions with at most one bounded connected
component each, and for some weights there is one (Grigsby & Lindsey 2022, "On transversality of bent hyperplane
arrangements and the topological expressiveness of ReLU neural networks", arXiv:2008.09052). Of networks
without a layer wider than the input no component is bounded, see :mod:`jaxgeom.recipes.reproduce.narrow`.
"""

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes

from jaxgeom._typing import PLANE
from jaxgeom.analysis.fractions import fraction_interval
from jaxgeom.analysis.topology import topology
from jaxgeom.domains import box
from jaxgeom.networks.layers import Layers
from jaxgeom.recipes.reproduce.bars import draw_shares
from jaxgeom.recipes.reproduce.claims import Claim, at_most, exact
from jaxgeom.recipes.reproduce.networks import normal_networks

_FAR = 100.0
"""Half the width of the box: what is bounded, but reaches out of it, is not seen."""
_SHAPES = (2, 3), (3, 4)
"""Inputs and units of which the theorem speaks."""
_WIDER = (2, 4, 4)
"""Where more than one bounded component is expected in some networks."""


def enclosures(key: int, quick: bool) -> Claim:
    """How many bounded components the decision regions of random networks have."""
    rng = np.random.default_rng(key)
    rows, shares = [], {}
    for widths in (*_SHAPES, _WIDER):
        num = {2: 20_000, 3: 5_000}[widths[0]] // (4 if quick else 1)
        most = num_bounded(normal_networks(rng, widths, leading=(num,)), _FAR).max(axis=1)
        shape = "-".join(map(str, (*widths, 1)))
        shares[shape] = fraction_interval([int((most >= least).sum()) for least in (1, 2)], num)
        if widths in _SHAPES:
            rows.append(at_most(f"{shape}: most bounded components of a decision region", 1, int(most.max())))
            rows.append(exact(f"{shape}: whether some decision region has one", 1, int(most.max() > 0)))
        else:
            rows.append(exact(f"{shape}: whether some decision region has several", 1, int(most.max() > 1)))

    def draw(ax: Axes) -> None:
        one, two = np.transpose([np.stack(found) for found in shares.values()], (2, 1, 0))
        draw_shares(ax, {"one or more": one, "two or more": two}, list(shares), "networks")
        ax.set_title("bounded components of one decision region")
        ax.set(xlabel="network")

    return Claim(
        "One hidden layer one unit wider than the input encloses once",
        "Grigsby & Lindsey (2022), On transversality of bent hyperplane arrangements, arXiv:2008.09052",
        rows,
        f"Random networks, normal weights and biases, on boxes of half-width {_FAR:g}: components that reach their "
        "border are not counted. The wider and deeper 2-4-4-1 is there to show that the limit belongs to the shape. "
        "Components are exact: Betti numbers of the cells, nothing is sampled. Bars have 95 % intervals.",
        draw,
    )


def num_bounded(networks: Layers, size: float) -> Int[np.ndarray, "networks classes"]:
    """Components of f ≤ 0 and of f > 0 that do not reach the border of a box: holes or cavities of the other one."""
    dim = networks[0].kernel.shape[-2]
    found = topology(networks, box(-size, size, dim=dim))
    return (found.num_holes if dim == PLANE else found.num_cavities)[:, ::-1]
