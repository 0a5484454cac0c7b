"""[edge] Networks no wider than their input cannot enclose anything, however deep they are.

Where no layer is wider than the input, no piece of the set where the output is positive (or negative) is bounded: every
one reaches to infinity (Johnson 2019, "Deep, skinny neural networks are not universal approximators",
arXiv:1810.00393; Hanin & Sellke 2018, arXiv:1710.11278). A disk inside a ring is out of their reach. The pieces are
those of the exact complex of the whole plane.
"""

import jax
import numpy as np
import optax
from jaxtyping import Bool, Float
from matplotlib.axes import Axes

from jaxgeom._typing import RandomKey
from jaxgeom.analysis.fractions import fraction_interval
from jaxgeom.data.datasets import rings
from jaxgeom.data.losses import binary_cross_entropy, side_is_right
from jaxgeom.domains import whole_plane
from jaxgeom.networks.layers import Layers, layers_of
from jaxgeom.networks.models import mlp
from jaxgeom.recipes.reproduce.bars import draw_shares
from jaxgeom.recipes.reproduce.claims import Claim, exact
from jaxgeom.regions.complex import OUTSIDE, connected
from jaxgeom.regions.enumerate import enumerate_regions
from jaxgeom.training.fit import Fit, fit
from jaxgeom.training.population import fit_population

INPUTS = 2
"""Inputs of all networks. Those with no wider hidden layer cannot enclose anything (Johnson 2019)."""

_WIDTHS, _DEPTHS = (2, 3, 4), (1, 2, 3)


def narrow(key: int, quick: bool) -> Claim:
    """Whether networks of some widths and depths tell a disk from the ring around it, and what they enclose."""
    seeds = 8 if quick else 40
    rows, solved, enclosing = [], {}, {}
    for width in _WIDTHS:
        for depth in _DEPTHS[: 2 if quick else 3]:
            layers, accuracy = _trained(key, width, depth, seeds, 500 if quick else 3000)
            networks = [jax.tree.map(lambda array, i=i: array[i], layers) for i in range(seeds)]
            encloses = np.array([num_bounded(network) > 0 for network in networks])
            solved[width, depth] = fraction_interval(int((accuracy == 1).sum()), seeds)
            enclosing[width, depth] = fraction_interval(int(encloses.sum()), seeds)
            shape = f"{depth} × {width}"
            num = int(encloses.sum())
            if width <= INPUTS:
                rows.append(exact(f"{shape}: networks that enclose a piece of the plane", 0, num))
            else:
                rows.append(exact(f"{shape}: whether some network encloses a piece", 1, int(num > 0)))

    def draw(ax: Axes) -> None:
        shares = {
            "tell disk and ring": np.transpose(list(solved.values())),
            "enclose a piece of the plane": np.transpose(list(enclosing.values())),
        }
        draw_shares(ax, shares, [f"{depth} × {width}" for width, depth in solved], "networks")
        ax.set(xlabel="hidden layers × width", ylim=(0, 103))

    return Claim(
        "Narrow networks enclose nothing",
        "Hanin & Sellke (2018), arXiv:1710.11278; Johnson (2019), arXiv:1810.00393",
        rows,
        f"{seeds} networks of each shape, ReLU, Adam 1e-2, full batch, on a disk of radius 1 in a ring from 3 to 4; "
        "fractions with 95 % intervals. "
        "Pieces of either sign are those of the exact complex of the whole plane: the topology is not sampled.",
        draw,
    )


def num_bounded(layers: Layers) -> int:
    """How many connected pieces of the plane, on which the output has one sign, are bounded.

    Args:
        layers: one network with two inputs and one output.
    """
    complex_ = enumerate_regions(layers, whole_plane(), cut_output=True)
    is_positive = complex_.patterns[:, -1]
    inner = complex_.edge_faces[(complex_.edge_faces != OUTSIDE).all(axis=1)]
    same = is_positive[inner[:, 0]] == is_positive[inner[:, 1]]
    piece = connected(complex_.num_faces, inner[same])
    is_unbounded: Bool[np.ndarray, " faces"] = np.zeros(complex_.num_faces, bool)
    np.logical_or.at(is_unbounded, piece, np.isinf(complex_.area))
    return int((~is_unbounded[np.unique(piece)]).sum())


def _trained(key: int, width: int, depth: int, seeds: int, steps: int) -> tuple[Layers, Float[np.ndarray, " networks"]]:
    model, data = mlp((2, *(width,) * depth, 1)), rings(jax.random.key(key), num_per_class=100)
    optimizer = optax.adam(1e-2)

    def run(key: RandomKey) -> Fit:
        return fit(
            key,
            model,
            optimizer,
            binary_cross_entropy,
            data,
            num_epochs=steps,
            record=steps,
            accuracy=side_is_right,
        )

    found = fit_population(jax.random.split(jax.random.key(key + 1), seeds), run)
    return jax.tree.map(np.asarray, layers_of(found.params)), found.train_accuracy[:, -1]
