"""[edge] Regression of a damped sine: thresholds, steps, and which half a network neglects.

Networks 1-W-1 with sigmoid units, W = 1 to 10, learn y = sin(3x) exp(-x/8): full batches, Adam with learning rate
1e-2, mean squared error, 20,000 epochs. Each unit switches at a threshold of its own; with units that are off or on,
the prediction is piecewise constant. Large swings on the left make large errors, and networks fit them first; with the
targets turned round it is the right half that is fitted. A loss in percent asks the same precision everywhere.
"""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxgeom._typing import Params
from jaxgeom.data.datasets import Dataset, damped_sine
from jaxgeom.data.losses import percentage_error, squared_error
from jaxgeom.host.names import check_name
from jaxgeom.networks.models import hidden_states
from jaxgeom.recipes.sweep import train_widths
from jaxgeom.study.networks import networks
from jaxgeom.study.result import Study

_NEAR_ZERO = 1e-6
"""Targets of this size are left out, by which a percentage would be divided."""

REGRESSION_WIDTHS = tuple(range(1, 11))
EXPERIMENTS = ("as it is", "reversed", "loss in percent")
"""What :func:`train_regression` does."""


def regression_data(experiment: str = "as it is") -> Dataset:
    """The 200 points that an experiment trains on.

    A percentage of zero is no measure: "loss in percent" goes without the point at x = 0, where the target vanishes.

    Raises:
        ValueError: for an unknown experiment.
    """
    check_name("experiment", experiment, EXPERIMENTS)
    data = damped_sine(reverse=experiment == "reversed")
    if experiment == "loss in percent":
        is_kept = np.abs(np.asarray(data.y)[:, 0]) > _NEAR_ZERO
        data = Dataset(data.x[is_kept], data.y[is_kept])
    return data


def train_regression(
    experiment: str = "as it is",
    widths: Sequence[int] = REGRESSION_WIDTHS,
    num_seeds: int = 24,
    *,
    key: int = 0,
    num_epochs: int = 20_000,
    activation: str = "sigmoid",
    progress: bool | str = False,
) -> Study:
    """Networks of several widths trained on the damped sine, many seeds of each.

    Args:
        experiment: "as it is", "reversed" (targets turned round), or "loss in percent" (absolute error over the size of
            the target).
        widths: hidden units.
        num_seeds: networks of each width.
        key: seed of the study; networks of one width and seed start from the same parameters in all experiments.
        num_epochs: full-batch steps.
        activation: of the hidden units, by name.
        progress: show a progress bar; a string is its title.

    Raises:
        ValueError: for an unknown experiment, no widths, repeated widths, or numbers below one.
    """
    return train_widths(
        regression_data(experiment),
        widths,
        num_seeds,
        key=key,
        loss=percentage_error if experiment == "loss in percent" else squared_error,
        learning_rate=1e-2,
        num_epochs=num_epochs,
        activation=activation,
        progress=progress,
    )


def shares_of(experiment: str, study: Study, width: int) -> Float[np.ndarray, "seeds 2"]:
    """:func:`unexplained_by_half` of the trained networks of a width, by the data of their experiment."""
    data = regression_data(experiment)
    return unexplained_by_half(outputs_of(networks(study, width=width, step=study.coords["step"][-1]), data.x), data)


def unexplained_by_half(
    outputs: Float[Array | np.ndarray, "networks points 1"], data: Dataset
) -> Float[np.ndarray, "networks 2"]:
    """How much of the targets' variation a prediction leaves unexplained, left (x < 0) and right of zero.

    The sum of squared errors over the sum of squared deviations from the mean, in each half by itself: 0 is a perfect
    fit, 1 no better than a constant.
    """
    x, y = (np.asarray(array, np.float64)[:, 0] for array in data)
    error = np.asarray(outputs, np.float64)[..., 0] - y
    shares = []
    for is_half in (x < 0, x >= 0):
        variation = np.sum((y[is_half] - y[is_half].mean()) ** 2)
        shares.append(np.sum(error[:, is_half] ** 2, axis=1) / variation)
    return np.stack(shares, axis=1)


def outputs_of(params: Params, x: Float[Array | np.ndarray, "points 1"]) -> Float[np.ndarray, "networks points 1"]:
    """Predictions of a population; padding does not show."""
    return np.asarray(_outputs_of(params, x))


@jax.jit
def _outputs_of(params: Params, x: Array) -> Array:
    return jax.vmap(lambda params: hidden_states(params, x)[-1].activation)(params)
