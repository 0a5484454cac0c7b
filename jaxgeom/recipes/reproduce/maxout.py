"""[edge] A network of maxout units whose regions its authors counted by linear programs.

Their example has two inputs, hidden layers of 7, 7 and 6 units that are each the maximum of two affine functions, and
two outputs, compared on [-3, 3]². Weights and biases are normal with variance 1/inputs, those of the outputs 2/inputs,
and drawn one layer after the other from NumPy's generator of 1995 with the seed 123: the same numbers everywhere.
"""

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes

from jaxgeom.domains import box
from jaxgeom.networks.layers import Dense, Layers
from jaxgeom.recipes.reproduce.claims import Claim, exact
from jaxgeom.regions.boundary import decision_boundary
from jaxgeom.regions.count import count_regions
from jaxgeom.regions.enumerate import enumerate_regions

_WIDTHS = (2, 7, 7, 6)
_PIECES = 2
_SEED = 123


def maxout(_key: int, _quick: bool) -> Claim:
    """Linear regions of the example, and pieces of its decision boundary; neither depends on the key."""
    layers, domain = example(), box(-3, 3)
    regions = enumerate_regions(layers, domain, activation="maxout")
    boundary = decision_boundary(regions)
    rows = [
        exact("linear regions", 216, int(count_regions(layers, domain, activation="maxout", kind="linear").count)),
        exact("pieces of the decision boundary", 30, len(boundary.face)),
    ]

    def draw(ax: Axes) -> None:
        from jaxgeom.plot import plot_boundary, plot_regions

        plot_regions(regions, ax=ax)
        plot_boundary(boundary, ax=ax)

    return Claim(
        "Regions of a maxout network",
        "Tseran & Montúfar (2021), On the expected complexity of maxout networks, arXiv:2107.00379: the example that "
        "comes with their code",
        rows,
        f"Widths {_WIDTHS}, maxima of {_PIECES} functions, on [-3, 3]². The smallest region has an area of "
        f"{regions.area.min():.1e}. Their linear programs leave out points within 1e-6 of a tie.",
        draw,
    )


def example() -> Layers:
    """The network, whose output is the difference of the two that are compared; hidden layers are of maxout units."""
    rng = np.random.RandomState(_SEED)
    layers = []
    for inputs, units in pairwise(_WIDTHS):
        scale = (1 / inputs) ** 0.5
        kernel, bias = rng.normal(0, scale, (units, _PIECES, inputs)), rng.normal(0, scale, (units, _PIECES))
        layers.append(Dense(np.moveaxis(kernel, -1, 0).swapaxes(1, 2).reshape(inputs, -1), bias.T.ravel()))
    scale = (2 / _WIDTHS[-1]) ** 0.5
    kernel, bias = rng.normal(0, scale, (2, _WIDTHS[-1])), rng.normal(0, scale, 2)
    return (*layers, Dense((kernel[1] - kernel[0])[:, None], bias[1:] - bias[:1]))
