"""Populations trained by the compiled engine, against NumPy: every layer, loss, optimizer and way to make batches."""

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mlp_truth
import numpy as np
import optax
import pytest
from training_truth import EPS, OPTIMIZERS, assert_close, assert_same, double, member, numpy, stacked

from jaxgeom import fit, fit_population, mlp
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import (
    binary_cross_entropy,
    class_is_right,
    percentage_error,
    softmax_cross_entropy,
    squared_error,
)
from jaxgeom.training.shuffle import random_order

NUM = 8
KEYS = jax.random.split(jax.random.key(43), NUM)
SHARED_KEY = jax.random.key(44)
LOSSES = {
    "softmax": softmax_cross_entropy,
    "binary": binary_cross_entropy,
    "squared": squared_error,
    "percentage": percentage_error,
    "log_cosh": lambda outputs, targets: jnp.sum(jnp.log(jnp.cosh(outputs - targets)), axis=1),
}
# Learning rates, and for how many steps errors live on: momentum 0.9 keeps them for ten. Adam divides a gradient by its
# own size, and its errors with it: by 0.1, say, in the networks below.
RATES = {"sgd": (0.1, 1), "momentum": (0.1, 10), "adam": (0.01, 10), "adamw": (0.01, 10)}


class Case(NamedTuple):
    """A population to be trained."""

    features: tuple[int, ...]
    activation: Any
    loss: str
    optimizer: str
    num_points: int
    num_epochs: int = 6
    batch_size: int | None = None
    drop_last: bool = True
    shuffle: bool = True
    own: str = ""
    """What each network has of its own: x, y, rates."""
    shared_order: bool = False
    record: str | None = None
    more: tuple = ()
    """Further arguments of mlp."""


CASES = {
    "no hidden layer": Case((3, 2), (), "squared", "sgd", 4, record="epoch"),
    "relu": Case((2, 5, 1), "relu", "binary", "momentum", 64),
    "two layers": Case((2, 4, 3, 3), ("tanh", "sigmoid"), "softmax", "adam", 65),
    "three layers": Case((2, 4, 3, 4, 2), ("leaky_relu", "abs", "hard_tanh"), "squared", "adamw", 100),
    "maxout": Case(
        (2, 4, 3, 2), ("maxout", "maxout"), "squared", "momentum", 65, more=(("output_activation", "maxout"),)
    ),
    "bottleneck without biases": Case(
        (2, 4, 2, 3, 3),
        ("softplus", "linear", "sin"),
        "softmax",
        "momentum",
        10,
        4,
        4,
        False,
        more=(("use_bias", False),),
    ),
    "output activation, blocks with weights": Case(
        (2, 3, 1), "relu", "squared", "adam", 100, 3, 70, False, more=(("output_activation", "tanh"),)
    ),
    "shared batches of data of its own": Case(
        (2, 3, 3), "tanh", "softmax", "adamw", 10, 4, 4, own="x y rates", shared_order=True
    ),
    "batches of its own, data of its own": Case(
        (2, 3, 2), "tanh", "log_cosh", "sgd", 10, 4, 4, False, own="y rates", record="epoch"
    ),
    "in order": Case((2, 3, 1), "sigmoid", "binary", "sgd", 10, 4, 4, False, False, own="x"),
    "percentages": Case((2, 3, 2), "tanh", "percentage", "adam", 10, 4, 4, own="x y"),
}


def data_of(case):
    """Points and targets for each network, (networks, points, ...): the same for all, unless they are its own."""
    rng = np.random.default_rng(47)
    shape, outputs = (NUM, case.num_points), case.features[-1]
    x = rng.normal(size=(*shape, case.features[0])).astype(np.float32)
    y = rng.normal(size=(*shape, outputs)).astype(np.float32)
    if case.loss in ("softmax", "binary"):
        y = rng.integers(0, max(2, outputs), shape).astype(np.int32)
    return tuple(a if name in case.own else np.broadcast_to(a[0], a.shape) for name, a in (("x", x), ("y", y)))


def rates_of(case):
    """The learning rates of the networks, as multiples of those in OPTIMIZERS."""
    return 1 + np.arange(NUM, dtype=np.float32) / 8 if "rates" in case.own else np.ones(NUM, np.float32)


def optimizer_of(case, scale):
    if "rates" not in case.own:
        return OPTIMIZERS[case.optimizer][0]
    # Weight decay is traced, too.
    return (
        optax.sgd(0.1 * scale)
        if case.optimizer == "sgd"
        else optax.adamw(0.01 * scale, weight_decay=0.1 * scale / scale)
    )


def model_of(case):
    return mlp(case.features, activation=case.activation, **dict(case.more))


@cache
def trained(name):
    return train(CASES[name])


def train(case):
    x, y = data_of(case)

    def run(key, scale, x, y):
        return fit(
            key,
            model_of(case),
            optimizer_of(case, scale),
            LOSSES[case.loss],
            Dataset(x, y),
            num_epochs=case.num_epochs,
            batch_size=case.batch_size,
            drop_last=case.drop_last,
            shuffle=case.shuffle,
            batch_losses=True,
            record=case.record,
            snapshot_every=1,
            order_key=SHARED_KEY if case.shared_order else None,
        )

    axes = (0, 0, 0 if "x" in case.own else None, 0 if "y" in case.own else None)
    data = (x if "x" in case.own else x[0], y if "y" in case.own else y[0])
    return numpy(jax.jit(jax.vmap(run, in_axes=axes))(KEYS, rates_of(case), *data))


@cache
def orders_of(num_points, num_epochs, is_shared):
    """Orders of the points, (networks, epochs, points), as documented."""

    def one(key):
        _, order_key = jax.random.split(key)
        order_key = SHARED_KEY if is_shared else order_key
        return jax.vmap(lambda epoch: random_order(order_key, num_points, epoch))(np.arange(num_epochs))

    return np.asarray(jax.jit(jax.vmap(one))(KEYS))


def truth_of(case, i, initial):
    """Training of network i, and the loss over all points after every step."""
    x, y = (array[i] for array in data_of(case))
    x, y = double(x), y if y.dtype == np.int32 else double(y)
    order = None
    if case.shuffle and case.batch_size is not None:
        orders = orders_of(case.num_points, case.num_epochs, case.shared_order)
        order = lambda epoch: orders[i, epoch]  # noqa: E731
    batches = mlp_truth.batches_of(case.num_points, case.num_epochs, case.batch_size, case.drop_last, order)
    update = OPTIMIZERS[case.optimizer][1]
    run = mlp_truth.run_of(initial, x, y, batches, case.loss, update, float(rates_of(case)[i]))
    return run, np.array([mlp_truth.loss_and_gradient(params, x, y, case.loss)[0] for params in run.history])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_lanes_are_numpys(name):
    assert_numpys(CASES[name], trained(name))


def assert_numpys(case, result):
    for i in range(NUM):
        mine = member(result, i)
        run, losses = truth_of(case, i, double(mine.initial_params))
        num_steps = len(run.batch_losses)
        roundings = mlp_truth.num_roundings(mine.params, case.batch_size or case.num_points)
        # A step rounds the parameters once, and adds the rate times the roundings of the gradient.
        rate, memory = RATES[case.optimizer]
        atol = num_steps * (1 + 2 * rate * memory * roundings) * EPS
        assert_close(mine.snapshots, stacked(*run.history), atol)
        assert_same(mine.params, member(mine.snapshots, -1))
        assert_close(mine.batch_losses, run.batch_losses, atol + roundings * EPS)
        if case.record is None:
            assert mine.train_loss is None
            assert mine.record_steps is None
        else:
            np.testing.assert_array_equal(mine.record_steps, np.arange(0, num_steps + 1, num_steps // case.num_epochs))
            assert_close(mine.train_loss, losses[mine.record_steps], atol + roundings * EPS)
        assert not mine.diverged
        assert losses[-1] < losses[0]


def test_with_64_bits_it_is_the_same():
    case = CASES["two layers"]
    with jax.enable_x64(True):
        result = train(case)
    # Sums in float32 and in float64 alike: the tolerance is that of float32.
    assert_numpys(case, result)


# The general path, which is the same to rounding

LABELS = np.random.default_rng(48).integers(0, 3, 10).astype(np.int32)
POINTS = (np.random.default_rng(49).normal(size=(10, 2)) + 2 * np.eye(3)[LABELS][:, :2]).astype(np.float32)
TRAIN = Dataset(jnp.asarray(POINTS), jnp.asarray(LABELS))
TEST = Dataset(jnp.tile(TRAIN.x, (4, 1)) + 0.5, jnp.tile(TRAIN.y, 4))
STOP = 0.75
OPTIONS = {
    "batches": {
        "batch_size": 4,
        "drop_last": False,
        "record": 4,
        "test": TEST,
        "batch_losses": True,
        "snapshot_every": 3,
    },
    "stop": {
        "record": "step",
        "snapshot_steps": (0, 2, 5),
        "keep": lambda params: {
            "norm": jnp.sum(params["dense0_tanh"]["kernel"] ** 2),
            "bias": params["dense1_linear"]["bias"],
        },
        "stop_accuracy": STOP,
    },
}
EPOCHS = 6


@cache
def classified(name, is_mlp=True):
    model = mlp((2, 4, 3), activation="tanh")._replace(is_mlp=is_mlp)
    run = partial(fit, model=model, optimizer=OPTIMIZERS["momentum"][0], loss=softmax_cross_entropy, train=TRAIN)
    run = partial(run, num_epochs=EPOCHS, accuracy=class_is_right, **OPTIONS[name])
    return numpy(jax.jit(jax.vmap(run))(KEYS))


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_every_field_is_that_of_the_general_path(name):
    lanes, general = classified(name), classified(name, False)
    for field, mine, desired in zip(lanes._fields, lanes, general, strict=True):
        assert jax.tree.map(lambda a: (a.shape, a.dtype), mine) == jax.tree.map(
            lambda a: (a.shape, a.dtype), desired
        ), field
        if field == "by_engine":
            assert mine.all()
            assert not desired.any()
        elif field in ("train_accuracy", "test_accuracy", "stopped_step", "diverged_step", "record_steps"):
            jax.tree.map(partial(np.testing.assert_allclose, rtol=2 * EPS), mine, desired)
        else:
            assert_close(mine, desired, 18 * 20 * 10 * EPS)


def test_networks_stop_where_they_are_good_enough():
    result = classified("stop")
    for i in range(NUM):
        mine = member(result, i)
        rows = [np.arange(10)] * EPOCHS
        run = mlp_truth.run_of(
            double(mine.initial_params), double(POINTS), LABELS, rows, "softmax", OPTIMIZERS["momentum"][1]
        )
        outputs = [mlp_truth.outputs_of(params, double(POINTS)) for params in run.history]
        accuracy = np.array([np.mean(each.argmax(axis=1) == LABELS) for each in outputs])
        good = np.flatnonzero(accuracy >= STOP)
        stopped = good[0] if len(good) else EPOCHS
        assert mine.stopped_step == (stopped if len(good) else -1)
        assert_close(mine.params, run.history[stopped], EPOCHS * 20 * EPS)
        # Nothing moves afterwards.
        np.testing.assert_allclose(mine.train_accuracy, accuracy[np.minimum(np.arange(EPOCHS + 1), stopped)], rtol=EPS)
        np.testing.assert_array_equal(mine.train_loss[stopped:], mine.train_loss[stopped])
        kept = [run.history[min(step, stopped)] for step in (0, 2, 5)]
        expected = {"bias": np.stack([params["dense1_linear"]["bias"] for params in kept])}
        expected["norm"] = np.array([np.sum(params["dense0_tanh"]["kernel"] ** 2) for params in kept])
        assert_close(mine.snapshots, expected, EPOCHS * 20 * EPS)
    # All that can happen does happen.
    assert result.stopped_step.min() == -1
    assert len(np.unique(result.stopped_step)) > 3


# What callers hand in


@pytest.mark.parametrize("dtype", [np.uint32, np.int64, np.uint8])
@pytest.mark.parametrize("is_traced", [False, True])
def test_whole_numbers_to_approximate_are_taken_as_they_are(dtype, is_traced):
    """The engine has 32 bits for them and a sign; what is wider takes the general path."""
    y = np.array([0, 200, 7, np.iinfo(np.uint32).max if dtype != np.uint8 else 255]).astype(dtype)
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)

    def run(key, y):
        return fit(key, mlp((2, 3, 1)), optax.sgd(1e-9), squared_error, Dataset(x, y), num_epochs=1)

    with jax.enable_x64(dtype == np.int64):
        if is_traced:
            result = jax.jit(jax.vmap(run, in_axes=(0, None)))(KEYS, y)
        else:
            result = fit_population(KEYS, partial(run, y=y))
    # The outputs are between -10 and 10, so that they are lost against the largest target.
    expected = np.mean(np.square(y.astype(np.float64)))
    np.testing.assert_allclose(result.train_loss[:, 0], expected, rtol=0.2 if dtype == np.uint8 else 1e-6)
    assert np.asarray(result.by_engine).all() == (dtype == np.uint8)


def test_programs_that_jax_does_not_compile_are_trained_as_well():
    data = Dataset(TRAIN.x, POINTS[:, :1])

    def run():
        return fit(KEYS[0], mlp((2, 3, 1)), optax.sgd(0.1), squared_error, data, num_epochs=2)

    with jax.disable_jit():
        result = run()
    assert_same(result, run())
    assert result.by_engine
