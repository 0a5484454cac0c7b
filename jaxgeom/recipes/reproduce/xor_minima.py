"""[edge] How often networks solve XOR, and in which minima those of width 2 end."""

import jax
import numpy as np
import optax
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxgeom._typing import RandomKey
from jaxgeom.data.datasets import parity
from jaxgeom.data.losses import squared_error
from jaxgeom.networks.models import mlp
from jaxgeom.recipes.reproduce.claims import Claim, fraction
from jaxgeom.recipes.xor.experiment import LEARNING_RATE, train_xor
from jaxgeom.training.fit import Fit, fit
from jaxgeom.training.population import fit_population

_SOLVED = {2: 0.343, 3: 0.660, 4: 0.839, 5: 0.926, 6: 0.965, 8: 0.995}
_SOLVED_ERROR = 0.006
_MINIMA = {0: 0.349, 1 / 2: 0.245, 2 / 3: 0.307, 1: 0.099}
_MINIMA_ERROR = 0.006
_STEPS = 5000
_NEAR = 0.02
"""A loss so near to a minimum belongs to it."""


def xor_minima(key: int, quick: bool) -> Claim:
    """P(solved) by width, and the losses in which networks of width 2 end."""
    seeds = 500 if quick else 6000
    rows = []
    trained = train_xor(tuple(_SOLVED), range(seeds), key=key, max_tries=1).variables["is_solved"]
    for (width, published), solved in zip(_SOLVED.items(), trained, strict=True):
        rows.append(fraction(f"P(solved), width {width}", published, solved, _SOLVED_ERROR))
    loss = _final_losses(key, seeds)
    near = np.abs(loss[:, None] - np.array(list(_MINIMA))) < _NEAR
    for (value, published), is_there in zip(_MINIMA.items(), near.T, strict=True):
        rows.append(fraction(f"P(loss {value:.3g}), width 2, {_STEPS} steps", published, is_there, _MINIMA_ERROR))

    def draw(ax: Axes) -> None:
        ax.hist(loss, bins=np.linspace(-0.05, 1.15, 61).tolist())
        for number, value in enumerate(_MINIMA):
            name = None if number else "published losses"
            ax.axvline(value, color="black", linewidth=0.8, linestyle="--", label=name)
        ax.set(xlabel=f"loss after {_STEPS:,} steps, width 2", ylabel="networks")
        ax.legend(fontsize="small", loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)

    return Claim(
        "XOR: how often it is solved, and where width 2 gets stuck",
        "the same training in PyTorch: its initialisation, SGD 0.1, full batches, mean squared error",
        rows,
        f"{seeds} networks of each width, 100 steps; {1 - near.any(axis=1).mean():.1%} of the networks of width 2 end "
        f"further than {_NEAR} from the four losses.",
        draw,
    )


def _final_losses(key: int, seeds: int) -> Float[np.ndarray, " networks"]:
    model, data, optimizer = mlp((2, 2, 1)), parity(2), optax.sgd(LEARNING_RATE)

    def run(key: RandomKey) -> Fit:
        return fit(key, model, optimizer, squared_error, data, num_epochs=_STEPS, record=_STEPS)

    result: Float[np.ndarray, " networks"] = fit_population(
        jax.random.split(jax.random.key(key + 1), seeds), run
    ).train_loss[:, -1]
    return result
