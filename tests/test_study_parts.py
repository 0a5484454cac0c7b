"""Axes over optimizers, data sets and batch sizes: the networks of one study each, and what is refused."""

from functools import partial
from typing import Any

import numpy as np
import optax
import pytest

import jaxgeom as jg

OPTIMIZERS = {"plain": optax.sgd, "heavy": partial(optax.sgd, momentum=0.9)}
HALF = jg.Dataset(jg.parity(2).x[:3] / 2, jg.parity(2).y[:3])
DATA = {"parity": jg.parity(2), "half": HALF}
TEST = {"parity": HALF, "half": jg.parity(2)}


def run(**changes: Any) -> jg.Study:
    arguments: dict[str, Any] = {
        "axes": {"width": 3, "seed": [0, 5], "learning_rate": [0.1]},
        "measure": {"loss": jg.study.loss_on(), "test": jg.study.loss_on("test"), "params": jg.study.parameters()},
        "loss": jg.losses.squared_error,
        "num_epochs": 3,
        "at_steps": [0, 2],
        "progress": False,
    }
    arguments["axes"] |= changes.pop("axes", {})
    return jg.run_study(**arguments | changes)


def test_each_value_is_a_study_of_its_own(tmp_path: Any) -> None:
    axes = {"optimizer": {"heavy": OPTIMIZERS["heavy"]}, "batch_size": {"two": 2}, "data": DATA}
    whole = run(axes=axes, test=TEST, out=tmp_path)
    assert whole.dims["loss"] == ("seed", "learning_rate", *axes, "step")
    assert [whole[name].tolist() for name in axes] == [["heavy"], ["two"], ["parity", "half"]]
    alone = run(optimizer=OPTIMIZERS["heavy"], batch_size=2, data=HALF, test=TEST["half"])
    found = jg.study.select(whole, optimizer="heavy", batch_size="two", data="half")
    for name in alone.variables:
        np.testing.assert_array_equal(found[name], alone[name], err_msg=name)
    at_end = whole["loss"][..., 1].reshape(2, -1)
    assert (np.diff(np.sort(at_end, axis=1)) > 0).all()  # no two data sets give the same networks
    differ = run_again_message(axes | {"optimizer": {"heavy": optax.adam}}, tmp_path)
    assert "axes.optimizer.heavy" in differ


def run_again_message(axes: Any, out: Any) -> str:
    with pytest.raises(ValueError, match="holds another study") as caught:
        run(axes=axes, test=TEST, out=out)
    return str(caught.value)


def test_settings_go_to_those_that_take_them() -> None:
    axes: dict[str, Any] = {"optimizer": [optax.sgd, optax.adam], "momentum": [0.0, 0.9], "data": DATA["parity"]}
    whole = run(axes=axes, test=HALF)
    found = whole["loss"][..., 1]
    assert (found[:, :, 0, 0] != found[:, :, 0, 1]).all()
    np.testing.assert_array_equal(found[:, :, 1, 0], found[:, :, 1, 1])


def test_studies_of_several_optimizers_are_merged() -> None:
    common = {"data": jg.parity(2), "test": HALF}
    halves = [run(axes={"optimizer": {name: optax.sgd}}, **common) for name in ("one", "other")]
    merged = jg.study.merge(*halves, along="optimizer")
    whole = run(axes={"optimizer": dict.fromkeys(("one", "other"), optax.sgd)}, **common)
    np.testing.assert_array_equal(merged["loss"], whole["loss"])
    assert merged.settings["description"] == whole.settings["description"]
    assert jg.study.compare(halves[0], halves[0]).settings == ()
    with pytest.raises(
        ValueError, match="no value of the axis 'optimizer' in common: one in the first, other in the sec"
    ):
        jg.study.compare(*halves)


def test_sizes_of_batches_are_coordinates() -> None:
    found = run(axes={"batch_size": [1, 2]}, optimizer=optax.sgd, data=jg.parity(2), test=HALF, at_steps=[6])
    assert found["batch_size"].tolist() == [1, 2]
    x, y = (np.asarray(array) for array in jg.parity(2))
    layers = jg.layers_of(jg.study.networks(found, seed=5, learning_rate=0.1, batch_size=2, step=6))
    outputs = np.maximum(x @ layers[0].kernel + layers[0].bias, 0) @ layers[1].kernel + layers[1].bias
    np.testing.assert_allclose(found["loss"][1, 0, 1, 0], np.mean((outputs - y) ** 2), rtol=1e-5)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": {"optimizer": OPTIMIZERS}, "optimizer": optax.sgd}, "optimizer is given twice"),
        ({"axes": {"optimizer": [partial(optax.sgd, momentum=0.9), optax.sgd]}}, "has no name that says which it is"),
        ({"axes": {"optimizer": [optax.sgd, lambda learning_rate: optax.sgd(0.1)]}}, "has no name that says which"),
        ({"axes": {"data": [HALF, jg.parity(2)]}, "data": None, "test": None}, "has no name that says which it is"),
        ({"axes": {"batch_size": [0]}}, "batch sizes are positive integers, or None for the full batch, but 0"),
        ({"axes": {"batch_size": [True]}}, "but True was given"),
        ({"axes": {"seed": {"one": 1}}}, "the axis 'seed' takes a list"),
        (
            {"axes": {"data": DATA}, "data": None, "test": {"parity": HALF}},
            "the axis 'data', parity, half",
        ),
        ({"test": {"parity": HALF}}, "which is missing, but parity was given"),
        ({"axes": {"optimizer": OPTIMIZERS, "decay": [0.5]}, "optimizer": None}, "no part of the study takes 'decay'"),
        ({"axes": {"optimizer": {"sgd": optax.sgd, "none": None}}, "optimizer": None}, "step 0 only"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    given = {"optimizer": optax.sgd, "data": jg.parity(2), "test": HALF} | changes
    with pytest.raises(ValueError, match=message):
        run(**{name: value for name, value in given.items() if value is not None or name not in given})
