"""Mistakes in the arguments of fit are named, compiled or not."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest
from training_truth import (
    DATA,
    KEY,
    NET,
    SGD,
)

from jaxgeom import fit, mlp
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import softmax_cross_entropy, squared_error

LABELS = jnp.array([0, 1, 0, 1, 0, 1, 0])
GOOD = {"model": NET, "optimizer": SGD, "loss": squared_error, "train": DATA, "num_epochs": 1}
CLASSES = {"model": mlp((2, 3, 3)), "loss": softmax_cross_entropy, "train": Dataset(DATA.x, LABELS)}

VALUE_ERRORS = {
    "no epochs": ({"num_epochs": 0}, "num_epochs must be a positive integer, but 0"),
    "negative epochs": ({"num_epochs": -1}, "num_epochs"),
    "empty batch": ({"batch_size": 0}, "batch_size must be a positive integer, but 0"),
    "no snapshots": ({"snapshot_every": 0}, "snapshot_every must be a positive integer, but 0"),
    "batch too large": ({"batch_size": 8}, "batch_size = 8 is larger than the 7 points"),
    "unknown record": ({"record": "batch"}, "'epoch', 'step' or None, or a number of steps, but 'batch'"),
}
SHAPE_ERRORS = {
    "lengths": ({"train": Dataset(DATA.x, DATA.y[:-1])}, r"train needs points .*\(7, 2\).*\(6, 1\)"),
    "no points": ({"train": Dataset(DATA.x[:0], DATA.y[:0])}, r"\(0, 2\)"),
    "flat points": ({"train": Dataset(DATA.x[:, 0], DATA.y)}, r"x has shape \(7,\)"),
    "lengths of test": ({"test": Dataset(DATA.x[:5], DATA.y)}, "test needs points"),
    "point dimension": ({"train": Dataset(DATA.x[:, :1], DATA.y)}, "1 coordinates"),
    "point dimension of test": ({"test": Dataset(DATA.x[:, :1], DATA.y)}, "1 coordinates"),
    "number of outputs": ({"train": Dataset(DATA.x, jnp.ones((7, 2)))}, r"shape of the outputs, \(7, 1\).*\(7, 2\)"),
    "numbers as labels": (CLASSES | {"train": DATA}, "class labels that are integers"),
    "loss of all points": ({"loss": lambda outputs, targets: jnp.mean(outputs)}, r"shape \(7,\), but gives shape \(\)"),
}
LABEL_ERRORS = {
    "point with NaN": (
        {"train": Dataset(DATA.x.at[2:4, 1].set(jnp.nan), DATA.y)},
        r"train\.x .* 2 of 7 .*number 2",
    ),
    "infinite target": ({"test": Dataset(DATA.x, DATA.y.at[6].set(jnp.inf))}, r"test\.y .* 1 of 7 .*number 6"),
    "label too large": (CLASSES | {"train": Dataset(DATA.x, LABELS.at[2].set(3))}, "between 0 and 2 .* 0 to 3"),
    "label negative": (CLASSES | {"train": Dataset(DATA.x, LABELS.at[2].set(-1))}, "between 0 and 2 .* -1 to 1"),
    "label of test": (CLASSES | {"test": Dataset(DATA.x, LABELS + 2)}, "test: .* between 0 and 2"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", [*VALUE_ERRORS, *SHAPE_ERRORS, *LABEL_ERRORS])
def test_mistakes_are_named(name, compiled):
    options, message = {**VALUE_ERRORS, **SHAPE_ERRORS, **LABEL_ERRORS}[name]
    run = partial(fit, **(GOOD | options))
    with pytest.raises((TypeError, ValueError), match=message):
        (jax.jit(run) if compiled else run)(KEY)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", SHAPE_ERRORS)
def test_mistakes_in_the_shapes_of_traced_data_are_named(name):
    options, message = SHAPE_ERRORS[name]
    options = GOOD | options
    data = {split: options.pop(split) for split in ("train", "test") if split in options}
    with pytest.raises((TypeError, ValueError), match=message):
        jax.jit(lambda key, data: fit(key, **options, **data))(KEY, data)
