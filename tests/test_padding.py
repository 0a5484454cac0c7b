"""Networks padded with zero units: the same as without padding, whatever their width, and nothing else."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import mlp_truth
import numpy as np
import optax
import pytest
from training_truth import EPS, OPTIMIZERS, assert_close, assert_same, double, member, numpy, stacked

from jaxgeom import fit, mlp, trainer
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import squared_error
from jaxgeom.networks.models import INITIALIZERS
from jaxgeom.training.shuffle import random_order

MOST, SEEDS = 6, 3
WIDTHS = np.tile(np.arange(1, MOST + 1, dtype=np.int32), SEEDS)
KEYS = jax.random.split(jax.random.key(61), len(WIDTHS))
FEATURES = (2, MOST, MOST, 1)
RNG = np.random.default_rng(61)
X = RNG.normal(size=(5, 2)).astype(np.float32)
Y = RNG.normal(size=(5, 1)).astype(np.float32)
DATA = Dataset(jnp.asarray(X), jnp.asarray(Y))
NUM_EPOCHS, BATCH = 3, 3
# Two steps an epoch.
ATOL = 2 * NUM_EPOCHS * (1 + 2 * 50) * EPS


def cut(params, width):
    """Parameters without the padding."""
    first, second, last = params
    sizes = {first: (2, width), second: (width, width), last: (width, 1)}
    return {
        name: {
            leaf: value[: sizes[name][0], : sizes[name][1]] if leaf == "kernel" else value[: sizes[name][1]]
            for leaf, value in layer.items()
        }
        for name, layer in params.items()
    }


def assert_padded_with_zeros(params, width):
    real = sum(np.count_nonzero(leaf) for leaf in jax.tree.leaves(cut(params, width)))
    assert sum(np.count_nonzero(leaf) for leaf in jax.tree.leaves(params)) == real


# Initial parameters


@pytest.mark.slow
@pytest.mark.parametrize(("init", "use_bias"), [*((name, True) for name in INITIALIZERS), ("pytorch", False)])
def test_initial_parameters_are_those_without_padding(init, use_bias):
    padded = jax.jit(
        jax.vmap(lambda width, key: mlp(FEATURES, init=init, use_bias=use_bias, widths=(width, width)).init(key))
    )
    every = numpy(padded(WIDTHS[:MOST], KEYS[:MOST]))
    for i in (0, 2, MOST - 1):
        width = int(WIDTHS[i])
        alone = numpy(jax.jit(mlp((2, width, width, 1), init=init, use_bias=use_bias).init)(KEYS[i]))
        mine = member(every, i)
        assert_padded_with_zeros(mine, width)
        # A scale is a power of the number of inputs, which is traced or not.
        jax.tree.map(partial(np.testing.assert_allclose, rtol=2 * EPS), cut(mine, width), alone)
        assert use_bias == ("bias" in mine["dense0_relu"])


# Training

CASES = {
    "relu, momentum": ("relu", "momentum", True),
    "tanh, adam": ("tanh", "adam", True),
    "sigmoid, adamw": ("sigmoid", "adamw", True),
    "sigmoid, adamw, general path": ("sigmoid", "adamw", False),
    "without biases": ("tanh", "momentum", True),
}


@cache
def trained(name):
    activation, optimizer, is_mlp = CASES[name]
    rate = {"momentum": 0.1, "adam": 0.01, "adamw": 0.01}[optimizer]

    def run(key, width, scale):
        model = mlp(FEATURES, activation=activation, use_bias=name != "without biases", widths=(width, width))
        # A traced learning rate.
        rates = {
            "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
            "adam": optax.adam,
            "adamw": partial(optax.adamw, weight_decay=0.1),
        }
        return fit(
            key,
            model._replace(is_mlp=is_mlp),
            rates[optimizer](rate * scale),
            squared_error,
            DATA,
            num_epochs=NUM_EPOCHS,
            batch_size=BATCH,
            drop_last=False,
            record=None,
            snapshot_every=1,
        )

    return numpy(jax.jit(jax.vmap(run))(KEYS, WIDTHS, np.ones(len(WIDTHS), np.float32)))


@cache
def orders():
    one = lambda key: jax.vmap(lambda epoch: random_order(jax.random.split(key)[1], 5, epoch))(np.arange(NUM_EPOCHS))  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(one))(KEYS))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_training_is_that_without_padding(name):
    result, update = trained(name), OPTIMIZERS[CASES[name][1]][1]
    for i, width in enumerate(WIDTHS):
        mine = member(result, i)
        batches = mlp_truth.batches_of(5, NUM_EPOCHS, BATCH, False, lambda epoch, i=i: orders()[i, epoch])
        run = mlp_truth.run_of(
            double(cut(mine.initial_params, width)), double(X), double(Y), batches, "squared", update
        )
        assert len(run.batch_losses) == 2 * NUM_EPOCHS
        for step, params in enumerate(run.history):
            snapshot = member(mine.snapshots, step)
            assert_padded_with_zeros(snapshot, width)
            assert_close(cut(snapshot, width), params, ATOL)
        assert_padded_with_zeros(mine.params, width)


def test_a_padded_network_is_the_one_of_its_key_without_padding():
    run = partial(fit, optimizer=OPTIMIZERS["momentum"][0], loss=squared_error, train=DATA, num_epochs=NUM_EPOCHS)
    run = partial(run, batch_size=BATCH, drop_last=False, record=None, snapshot_every=1)
    i = 2
    alone = numpy(jax.jit(partial(run, model=mlp((2, 3, 3, 1))))(KEYS[i]))
    mine = member(trained("relu, momentum"), i)
    assert WIDTHS[i] == 3
    snapshots = stacked(*(cut(member(mine.snapshots, step), 3) for step in range(2 * NUM_EPOCHS + 1)))
    assert_close(snapshots, alone.snapshots, ATOL)


@pytest.mark.slow
def test_optimizers_whose_states_hold_booleans_of_python_train_padded_networks():
    run = partial(fit, KEYS[0], optimizer=optax.optimistic_gradient_descent(0.1), loss=squared_error, train=DATA)
    padded, alone = (
        numpy(run(model=model, num_epochs=NUM_EPOCHS, record=None))
        for model in (mlp(FEATURES, widths=(3, 3)), mlp((2, 3, 3, 1)))
    )
    assert_close(cut(padded.params, 3), alone.params, ATOL)


# Errors


@pytest.mark.parametrize("widths", [(0, 1), (1, 7), (-1, 1), (3,), (3, 3, 3), ()])
def test_widths_out_of_bounds(widths):
    with pytest.raises(ValueError, match=r"each of the 2 hidden layers, between 1 and \(6, 6\)"):
        mlp(FEATURES, widths=widths)


def test_traced_widths_out_of_bounds_are_marked_and_leave_neighbours_alone():
    def run(width):
        return fit(
            KEYS[0], mlp(FEATURES, widths=(width, 3)), optax.sgd(0.1), squared_error, DATA, num_epochs=2, record=None
        )

    program = jax.jit(jax.vmap(run))
    widths = np.array([0, 1, MOST, MOST + 1, -1, 3, 2, 1000], np.int32)
    result = numpy(program(widths))
    is_wrong = (widths < 1) | (widths > MOST)
    np.testing.assert_array_equal(result.diverged, is_wrong)
    assert (result.diverged_step[is_wrong] == 1).all()
    right = numpy(program(np.where(is_wrong, 1, widths)))
    assert_same(*(member(tree.params, ~is_wrong) for tree in (result, right)))


def run_with(optimizer, width=3):
    model = mlp(FEATURES, widths=(width, width))
    return fit(KEYS[0], model, optimizer, squared_error, DATA, num_epochs=1, record=None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1)), "treats every parameter by itself"),
        (optax.lamb(0.1), "treats every parameter by itself"),
        (optax.noisy_sgd(0.1), "treats every parameter by itself"),
        (optax.adam(0.1, eps=0.0), "leaves zeros without gradient at zero"),
    ],
    ids=["clipping", "lamb", "noise", "no epsilon"],
)
def test_optimizers_that_notice_padding(optimizer, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(partial(run_with, optimizer))
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(partial(run_with, optimizer), width=jax.ShapeDtypeStruct((), np.int32))


def test_a_traced_learning_rate_does_not_disturb_the_check():
    rate = jax.ShapeDtypeStruct((), np.float32)
    assert jax.eval_shape(lambda rate: run_with(optax.adam(rate)), rate).params["dense0_relu"]["bias"].shape == (MOST,)
    with pytest.raises(ValueError, match="leaves zeros without gradient at zero"):
        jax.eval_shape(lambda rate: run_with(optax.adam(rate, eps=0.0)), rate)
    with pytest.raises(ValueError, match="treats every parameter by itself"):
        jax.eval_shape(lambda rate: run_with(optax.lamb(rate)), rate)


@pytest.mark.parametrize("kind", ["numbers", "shape", "structure"])
def test_masks_that_are_none_are_refused(kind):
    model = mlp((2, 3, 1), widths=(2,))
    change = {
        "numbers": lambda mask: jax.tree.map(lambda leaf: leaf.astype(np.float32), mask),
        "shape": lambda mask: jax.tree.map(lambda leaf: leaf[..., :1], mask),
        "structure": jax.tree.leaves,
    }[kind]
    error = TypeError if kind == "numbers" else ValueError
    with pytest.raises(error, match="must be bool" if kind == "numbers" else kind):
        fit(KEYS[0], model._replace(mask=change(model.mask)), optax.sgd(0.1), squared_error, DATA, num_epochs=1)
    with pytest.raises(error):
        trainer(model._replace(mask=change(model.mask)), optax.sgd(0.1), squared_error)
