"""[edge] First tries on XOR as a page to explore: those that solve it, and those that get stuck."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import optax

from jaxgeom._typing import RandomKey
from jaxgeom.data.datasets import parity
from jaxgeom.data.losses import side_is_right, squared_error
from jaxgeom.domains import box
from jaxgeom.networks.models import mlp
from jaxgeom.recipes.xor.experiment import LEARNING_RATE, NUM_STEPS
from jaxgeom.training.fit import Fit, fit
from jaxgeom.training.population import fit_population

SNAPSHOT_EVERY = 2
MOST_SEEDS = 32
_WEIGHT_BYTES = 3.2e6


def first_tries(width: int, num_seeds: int, key: RandomKey) -> Fit:
    """Networks 2-width-1 trained once on XOR, with snapshots."""

    def run(key: RandomKey) -> Fit:
        return fit(
            key,
            mlp((2, width, 1)),
            optax.sgd(LEARNING_RATE),
            squared_error,
            parity(2),
            num_epochs=NUM_STEPS,
            accuracy=side_is_right,
            snapshot_every=SNAPSHOT_EVERY,
        )

    result: Fit = fit_population(jax.random.split(jax.random.fold_in(key, width), num_seeds), run)
    return result


def save_page(path: Path, widths: Sequence[int], num_seeds: int, key: RandomKey, formats: Sequence[str]) -> list[Path]:
    """Train first tries of each width and write their page, if "html" is among the formats."""
    if "html" not in formats:
        return []
    from jaxgeom.plot.explorer.page import explore

    size = sum(4 * (4 * width + 1) * (NUM_STEPS // SNAPSHOT_EVERY + 1) for width in widths)
    num = int(np.clip(_WEIGHT_BYTES / size, 1, min(MOST_SEEDS, num_seeds)))
    runs = {width: first_tries(width, num, key) for width in widths}
    title = f"{num} first tries on XOR, of each width" if num > 1 else "A first try on XOR, of each width"
    page = explore(
        runs,
        path,
        data=parity(2),
        domain=box(-1.25, 1.25),
        axis="width",
        title=title,
        max_megabytes=max(5.0, 2e-6 * size),
    )
    return [page.path]
