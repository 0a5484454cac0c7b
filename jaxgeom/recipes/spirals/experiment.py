"""[edge] Spirals: which of four networks untwist three spirals in the plane?

A deep linear network, an MLP, an MLP with linear bottlenecks of two units, after each of which its hidden states can
be drawn, and a narrow deep MLP are trained on the same 80 % of the points: minibatches of 32, AdamW with learning rate
1e-3 and weight decay 1e-2, softmax cross-entropy, 2,000 epochs; losses and accuracies of the whole splits are recorded
after every epoch.
"""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
import optax

from jaxgeom._typing import RandomKey
from jaxgeom.data.datasets import Dataset, spirals, split
from jaxgeom.data.losses import class_is_right, softmax_cross_entropy
from jaxgeom.host.chunks import in_threads
from jaxgeom.host.given import check_flags, check_positive
from jaxgeom.networks.models import Model, mlp
from jaxgeom.training.fit import Fit, fit
from jaxgeom.training.population import fit_population

SPIRAL_MODELS: dict[str, Model] = {
    "deep linear": mlp((2, 10, 10, 3), activation="linear"),
    "MLP": mlp((2, 10, 10, 3)),
    "bottleneck MLP": mlp((2, 10, 2, 10, 2, 3), activation=("relu", "linear", "relu", "linear")),
    "deep MLP": mlp((2, 6, 6, 6, 6, 6, 3)),
}
"""The four networks; the bottleneck's second and fourth layers are linear maps down to the plane."""

MOST_EPOCHS_COMPILED_FAST = 40
"""Longer trainings are worth optimized programs."""


def spiral_data(key: RandomKey) -> tuple[Dataset, Dataset]:
    """Training and test split of three spirals of 1,000 points each.

    Example:
        >>> import jax, jaxgeom as jg
        >>> train, test = jg.spiral_data(jax.random.key(0))
        >>> train.x.shape, test.x.shape
        ((2400, 2), (600, 2))
    """
    data_key, split_key = jax.random.split(key)
    return split(split_key, spirals(data_key))


def train_spirals(
    key: RandomKey,
    num_seeds: int = 1,
    *,
    num_epochs: int = 2000,
    num_snapshots: int = 0,
    progress: bool = False,
) -> dict[str, Fit]:
    """The four networks of the spirals, many seeds of each trained at once on one data set.

    Args:
        key: decides the data, :func:`spiral_data` of ``jax.random.fold_in(key, 0)``, and the networks.
        num_seeds: networks of each kind.
        num_epochs: passes over the training split, of 75 steps each.
        num_snapshots: about so many snapshots of the bottleneck MLP, at epochs that grow geometrically; the first is
            before training, the last at its end.
        progress: show progress bars.

    Returns:
        For each of :data:`SPIRAL_MODELS` the finished runs, NumPy arrays with a leading axis (networks).

    Raises:
        ValueError: for numbers below one.
    """
    check_flags(progress=progress)
    for name, value in (("num_seeds", num_seeds), ("num_epochs", num_epochs)):
        check_positive(name, value)
    keys = jax.random.split(jax.random.fold_in(key, 1), num_seeds)
    train, test = spiral_data(jax.random.fold_in(key, 0))

    epochs = np.geomspace(1, num_epochs, max(1, num_snapshots - 1)).round().astype(int)
    steps = [0, *(np.unique(epochs) * (len(train.x) // 32)).tolist()] if num_snapshots else None

    def runs_of(name: str, model: Model) -> Callable[[RandomKey], Fit]:
        def run(key: RandomKey) -> Fit:
            return fit(
                key,
                model,
                optax.adamw(1e-3, weight_decay=1e-2),
                softmax_cross_entropy,
                train,
                test=test,
                accuracy=class_is_right,
                num_epochs=num_epochs,
                batch_size=32,
                snapshot_steps=steps if name == "bottleneck MLP" else None,
            )

        return run

    def train_kind(name: str, model: Model) -> Fit:
        result: Fit = fit_population(
            keys,
            runs_of(name, model),
            chunk_size=chunk_size,
            fast_compile=num_epochs <= MOST_EPOCHS_COMPILED_FAST,
            progress=name if progress else False,
        )
        return result

    # Each kind on one core: what the four compile, they compile side by side, and vectors are full.
    chunk_size = min(64, num_seeds)
    populations = [partial(train_kind, name, model) for name, model in SPIRAL_MODELS.items()]
    return dict(zip(SPIRAL_MODELS, in_threads(populations), strict=True))
