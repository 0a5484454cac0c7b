"""Mistakes in the arguments of fit are named, compiled or not."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_truth import (
    DATA,
    KEY,
    NET,
    SGD,
)

from jaxgeom import fit, mlp
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import side_is_right, softmax_cross_entropy, squared_error

LABELS = jnp.array([0, 1, 0, 1, 0, 1, 0])
GOOD = {"model": NET, "optimizer": SGD, "loss": squared_error, "train": DATA, "num_epochs": 1}
CLASSES = {"model": mlp((2, 3, 3)), "loss": softmax_cross_entropy, "train": Dataset(DATA.x, LABELS)}

RIGHT = {"accuracy": side_is_right}

VALUE_ERRORS = {
    "no epochs": ({"num_epochs": 0}, "num_epochs must be a positive integer, but 0"),
    "negative epochs": ({"num_epochs": -1}, "num_epochs"),
    "empty batch": ({"batch_size": 0}, "batch_size must be a positive integer, but 0"),
    "no snapshots": ({"snapshot_every": 0}, "snapshot_every must be a positive integer, but 0"),
    "batch too large": ({"batch_size": 8}, "batch_size = 8 is larger than the 7 points"),
    "batch of truth": ({"batch_size": True}, "batch_size must be a positive integer, but True"),
    "record of truth": ({"record": True}, "or a number of steps, but True"),
    "record of a float": ({"record": 1.5}, r"or a number of steps, but 1\.5"),
    "snapshots at floats": ({"snapshot_steps": [0.0, 1.0]}, r"ascending integers from 0 to 1.*\[0\.0, 1\.0\]"),
    "stop at a string": (RIGHT | {"stop_accuracy": "1"}, "stop_accuracy must be a number .* but '1'"),
    "stop at NaN": (RIGHT | {"stop_accuracy": float("nan")}, "stop_accuracy must be a number, .* but nan"),
    "name of what to keep": ({"keep": "bias", "snapshot_every": 1}, "keep must be a function .* but it is 'bias'"),
    "unknown record": ({"record": "batch"}, "'epoch', 'step' or None, or a number of steps, but 'batch'"),
}
SHAPE_ERRORS = {
    "lengths": ({"train": Dataset(DATA.x, DATA.y[:-1])}, r"train needs points .*\(7, 2\).*\(6, 1\)"),
    "no points": ({"train": Dataset(DATA.x[:0], DATA.y[:0])}, r"\(0, 2\)"),
    "flat points": ({"train": Dataset(DATA.x[:, 0], DATA.y)}, r"x has shape \(7,\)"),
    "lengths of test": ({"test": Dataset(DATA.x[:5], DATA.y)}, "test needs points"),
    "point dimension": ({"train": Dataset(DATA.x[:, :1], DATA.y)}, "1 coordinates"),
    "point dimension of test": ({"test": Dataset(DATA.x[:, :1], DATA.y)}, "test: .* 1 coordinates"),
    "number of outputs": ({"train": Dataset(DATA.x, jnp.ones((7, 2)))}, r"shape of the outputs, \(7, 1\).*\(7, 2\)"),
    "numbers as labels": (CLASSES | {"train": DATA}, "class labels that are integers"),
    "accuracy as a loss": ({"loss": side_is_right}, "the loss must give floats, but it gives bool"),
    "whole numbers as a loss": ({"loss": lambda outputs, targets: jnp.argmax(outputs, 1)}, "floats, .* gives int32"),
    "complex loss": ({"loss": lambda outputs, targets: outputs[:, 0] + 1j}, "real numbers, but it gives complex64"),
    "loss of all points": ({"loss": lambda outputs, targets: jnp.mean(outputs)}, r"shape \(7,\), but gives shape \(\)"),
}
LABEL_ERRORS = {
    "point with NaN": (
        {"train": Dataset(DATA.x.at[2:4, 1].set(jnp.nan), DATA.y)},
        r"train\.x .* 2 of 7 .*number 2",
    ),
    "infinite target": ({"test": Dataset(DATA.x, DATA.y.at[6].set(jnp.inf))}, r"test\.y .* 1 of 7 .*number 6"),
    "point too large": ({"train": Dataset(np.full((7, 2), 1e300), DATA.y)}, r"train\.x .* float32 .* size 1e\+300"),
    "target too large": ({"train": Dataset(DATA.x, np.full(7, -1e39))}, r"train\.y .* float32 .* size 1e\+39"),
    "integer too large": ({"train": Dataset(DATA.x, np.full(7, 2**40))}, r"train\.y .* int32 holds.*to 1099511627776"),
    "negative integer too large": ({"test": Dataset(np.full((7, 2), -(2**33)), DATA.y)}, r"test\.x .* int32 holds"),
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


@pytest.mark.usefixtures("unchecked")
def test_data_by_names_and_traced_accuracies_are_named():
    with pytest.raises(TypeError, match=r"train must be a Dataset, or a pair"):
        fit(KEY, **GOOD | {"train": {"x": DATA.x, "y": DATA.y}})
    with pytest.raises(TypeError, match="known before tracing"):
        jax.jit(lambda key, stop: fit(key, **GOOD | RIGHT, stop_accuracy=stop))(KEY, 0.9)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("number", [np.int64(2), jnp.int32(2)])
def test_numbers_of_steps_may_be_integers_of_any_library(number):
    run = fit(KEY, **GOOD | {"num_epochs": number}, batch_size=number, snapshot_every=number, record=number)
    same = fit(KEY, **GOOD | {"num_epochs": 2}, batch_size=2, snapshot_every=2, record=2)
    assert run.snapshot_steps.tolist() == run.record_steps.tolist() == [0, 2, 4, 6]
    np.testing.assert_array_equal(run.train_loss, same.train_loss)
