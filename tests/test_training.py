"""Training against hand-written NumPy: steps, whole runs, records, snapshots, divergence, and what may not matter."""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_truth import (
    COUNTER,
    DATA,
    EPS,
    KEY,
    NET,
    OPS,
    OPTIMIZERS,
    POINTS,
    RNG,
    ROW_DATA,
    ROWS,
    SGD,
    TEST_DATA,
    X,
    Y,
    assert_close,
    assert_same,
    double,
    draw,
    member,
    net,
    numpy,
    numpy_loss,
    numpy_run,
    stacked,
)

from jaxgeom import fit, mlp, trainer
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import class_is_right, side_is_right, softmax_cross_entropy, squared_error
from jaxgeom.networks.models import Model
from jaxgeom.training.loop import NEVER

# One step


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "activation"),
    [("sgd", "tanh"), ("sgd", "relu"), ("momentum", "tanh"), ("adam", "relu"), ("adam", "tanh"), ("adamw", "relu")],
)
def test_steps_are_numpys(name, activation):
    # In float64, where rounding cannot hide a mistake.
    optimizer, update = OPTIMIZERS[name]
    model = net(activation)
    weights = [np.array(w, np.float64) for w in ([1] * POINTS, [1, 1, 1, 0, 0, 0, 0], [1, 2, 0, 3, 1, 0.5, 1])]
    batches = [(double(X) + step, double(Y), weights[step % 3]) for step in range(6)]
    initial = double(jax.jit(model.init)(KEY))
    with jax.enable_x64(True):
        init, step = trainer(model, optimizer, squared_error)
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), initial)
        state = jax.eval_shape(init, KEY)._replace(
            params=params, opt_state=optimizer.init(params), step=jnp.int32(0), diverged_step=jnp.int32(NEVER)
        )
        compiled, states, losses = jax.jit(step), [], []
        for batch in batches:
            state, loss = compiled(state, *batch)
            states.append(state)
            losses.append(loss)
    true_losses, history = numpy_run(initial, batches, update, activation)
    np.testing.assert_allclose(np.array(losses), true_losses, rtol=1e-12)
    assert_close([state.params for state in states], history[1:], atol=1e-12)
    assert [int(state.step) for state in states] == [1, 2, 3, 4, 5, 6]
    assert {int(state.diverged_step) for state in states} == {NEVER}


def test_a_new_state_is_the_models_own():
    init, _ = trainer(NET, optax.adam(0.1), squared_error)
    state = jax.jit(init)(KEY)
    assert_same(state.params, jax.jit(NET.init)(KEY))
    assert (int(state.step), int(state.diverged_step)) == (0, NEVER)
    assert_same(state.opt_state, jax.jit(optax.adam(0.1).init)(state.params))


def test_points_of_weight_zero_are_left_out():
    init, step = trainer(NET, SGD, squared_error)
    state, step = jax.jit(init)(KEY), jax.jit(step)
    weight = jnp.array([1.0, 1, 1, 1, 0, 0, 0])
    for_four, loss = step(state, DATA.x, DATA.y, weight)
    of_four, loss_of_four = step(state, DATA.x[:4], DATA.y[:4])
    assert_close((for_four.params, loss), (of_four.params, loss_of_four), atol=OPS * EPS)
    nothing, loss = step(state, DATA.x, DATA.y, jnp.zeros(POINTS))
    assert_same(nothing.params, state.params)
    assert float(loss) == 0


# A whole run of full batches

NUM_STEPS = 20


@cache
def full_run(**options):
    run = partial(fit, model=NET, optimizer=SGD, loss=squared_error, train=DATA, num_epochs=NUM_STEPS)
    return jax.jit(partial(run, **options))(KEY)


def test_fit_is_numpys_loop():
    result = full_run(snapshot_every=1)
    initial = double(member(result.snapshots, 0))
    losses, history = numpy_run(initial, [(double(X), double(Y), None)] * NUM_STEPS)
    # Gradient descent at a small rate is stable: roundings add up, step by step, and no more.
    assert_close(result.snapshots, stacked(*history), atol=NUM_STEPS * OPS * EPS)
    assert_close(result.params, history[-1], atol=NUM_STEPS * OPS * EPS)
    assert_same(numpy(result.initial_params), numpy(member(result.snapshots, 0)))
    expected = [*losses, numpy_loss(history[-1], double(X), double(Y))[0]]
    assert_close(result.train_loss, np.array(expected), atol=NUM_STEPS * OPS * EPS)
    assert losses[-1] < 0.5 * losses[0]


def test_fit_is_a_loop_over_trainer_step():
    result = full_run(snapshot_every=1)
    init, step = trainer(NET, SGD, squared_error)
    state, step = jax.jit(init)(KEY), jax.jit(step)
    # What fit draws from its key is its own business; it starts from a snapshot.
    state = state._replace(params=member(result.snapshots, 0))
    losses, history = [], [state.params]
    for _ in range(NUM_STEPS):
        state, loss = step(state, DATA.x, DATA.y)
        losses.append(loss)
        history.append(state.params)
    assert_close(result.snapshots, stacked(*history), atol=NUM_STEPS * 8 * EPS)
    assert_close(result.train_loss[:-1], np.array(losses), atol=NUM_STEPS * 8 * EPS)


def test_initial_parameters_follow_the_models_distribution():
    run = partial(fit, model=NET, optimizer=SGD, loss=squared_error, train=DATA, num_epochs=1, snapshot_every=1)
    keys = jax.random.split(KEY, 1000)
    kernel = jax.jit(jax.vmap(run))(keys).snapshots["dense0_tanh"]["kernel"][:, 0]
    assert len(np.unique(kernel)) > 9990  # of 10,000 numbers with 24 bits
    # Uniform within ±1/√2: variance 1/6 and fourth moment 1/20.
    error = np.sqrt((1 / 20 - 1 / 36) / kernel.size)
    assert abs(np.mean(double(kernel) ** 2) - 1 / 6) < 4 * error


# Records and snapshots


@cache
def recorded_run(record, batch_size):
    run = partial(fit, model=NET, optimizer=SGD, loss=squared_error, train=DATA, test=TEST_DATA, batch_size=batch_size)
    return jax.jit(partial(run, accuracy=side_is_right, num_epochs=3, snapshot_every=1, record=record))(KEY)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("record", "batch_size", "expected_steps"),
    [("epoch", 3, [0, 2, 4, 6]), ("step", 3, range(7)), ("step", None, range(4))],
)
def test_records_are_what_the_snapshots_give(record, batch_size, expected_steps):
    result = recorded_run(record, batch_size)
    np.testing.assert_array_equal(result.record_steps, expected_steps)
    snapshots = [member(double(result.snapshots), i) for i in expected_steps]
    for data, loss, accuracy in (
        (DATA, result.train_loss, result.train_accuracy),
        (TEST_DATA, result.test_loss, result.test_accuracy),
    ):
        x, y = double(data)
        outputs = [
            np.tanh(x @ p["dense0_tanh"]["kernel"] + p["dense0_tanh"]["bias"]) @ p["dense1_linear"]["kernel"]
            + p["dense1_linear"]["bias"]
            for p in snapshots
        ]
        assert_close(loss, np.mean((np.stack(outputs) - y) ** 2, axis=(1, 2)), atol=OPS * EPS)
        right = np.mean((np.stack(outputs) > 0) == (y > 0), axis=(1, 2))
        np.testing.assert_allclose(accuracy, right, rtol=2 * EPS)
    assert result.train_loss[0] != result.train_loss[-1]


def test_nothing_recorded():
    result = full_run(record=None)
    # None, not arrays without elements, which lax.map cannot stack.
    absent = (result.record_steps, result.train_loss, result.train_accuracy, result.test_loss, result.test_accuracy)
    absent += (result.snapshot_steps, result.snapshots, result.batch_losses, result.stopped_step)
    assert all(value is None for value in absent)


def test_records_and_snapshots_do_not_change_the_run():
    assert_close(full_run(record=None).params, full_run(snapshot_every=1).params, atol=NUM_STEPS * 8 * EPS)
    assert_close(recorded_run("epoch", 3).snapshots, recorded_run("step", 3).snapshots, atol=6 * 8 * EPS)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [None, 3])
def test_snapshots_are_the_ends_of_shorter_runs(batch_size):
    def run(num_epochs, snapshot_every=None):
        data = {"train": DATA, "batch_size": batch_size, "num_epochs": num_epochs, "record": None}
        return jax.jit(
            partial(fit, model=NET, optimizer=SGD, loss=squared_error, snapshot_every=snapshot_every, **data)
        )(KEY)

    steps_in_epoch = 1 if batch_size is None else 2
    long = run(5, snapshot_every=steps_in_epoch)
    assert all(len(leaf) == 6 for leaf in jax.tree.leaves(long.snapshots))
    np.testing.assert_array_equal(long.snapshot_steps, np.arange(6) * steps_in_epoch)
    assert_close(run(2).params, member(long.snapshots, 2), atol=2 * steps_in_epoch * 8 * EPS)
    assert_same(member(long.snapshots, 5), long.params)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("every", [2, 3, 100])
def test_snapshots_at_every_few_steps(batch_size, every):
    # The counter's parameters add up to the number of steps, with every batch and every row.
    run = partial(fit, model=COUNTER, optimizer=optax.sgd(1.0), loss=lambda outputs, targets: -outputs[:, 0])
    num_epochs = 7 if batch_size is None else 3
    run = partial(run, train=ROW_DATA, num_epochs=num_epochs, record=None, snapshot_every=every)
    result = jax.jit(partial(run, batch_size=batch_size, drop_last=False))(KEY)
    num_steps = 7 if batch_size is None else 9
    np.testing.assert_array_equal(result.snapshot_steps, np.arange(0, num_steps + 1, every))
    assert_close(result.snapshots["used"].sum(axis=1), np.arange(0.0, num_steps + 1, every), atol=ROWS * EPS)
    assert_close(result.params["used"].sum(), np.float64(num_steps), atol=ROWS * EPS)


# Classification


def test_classes_and_their_accuracy():
    # Three clouds on the corners of a triangle.
    corners = np.array([[0, 2], [-2, -1], [2, -1]])
    labels = [np.repeat(np.arange(3), n).astype(np.int32) for n in (12, 5)]
    splits = [(RNG.normal(size=(len(y), 2)) / 2 + corners[y]).astype(np.float32) for y in labels]
    train, test = (Dataset(jnp.asarray(x), jnp.asarray(y)) for x, y in zip(splits, labels, strict=True))
    model = mlp((2, 6, 3))
    run = partial(fit, model=model, optimizer=optax.sgd(0.2), loss=softmax_cross_entropy, train=train, test=test)
    run = partial(run, num_epochs=50, accuracy=class_is_right, snapshot_every=10)
    result = jax.jit(run)(KEY)
    for data, losses, accuracies in (
        (train, result.train_loss, result.train_accuracy),
        (test, result.test_loss, result.test_accuracy),
    ):
        x, answers = double(data.x), np.asarray(data.y)
        for place in range(6):
            params = member(double(result.snapshots), place)
            hidden = np.maximum(x @ params["dense0_relu"]["kernel"] + params["dense0_relu"]["bias"], 0)
            logits = hidden @ params["dense1_linear"]["kernel"] + params["dense1_linear"]["bias"]
            of_label = logits[np.arange(len(x)), answers]
            loss = np.mean(np.log(np.exp(logits).sum(axis=1)) - of_label)
            np.testing.assert_allclose(losses[10 * place], loss, rtol=0, atol=40 * EPS * np.abs(logits).max())
            right = np.mean(of_label == logits.max(axis=1))
            np.testing.assert_allclose(accuracies[10 * place], right, rtol=2 * EPS)
    assert result.train_accuracy[-1] > 0.9


# Divergence


class Run(NamedTuple):
    params: dict
    diverged_step: int


def one_weight(start):
    """Output w · x, so that with x = 1, target 0 and learning rate 8.5 a step multiplies w by 1 - 2 · 8.5 = -16."""
    model = Model(lambda key: {"w": jnp.float32(start)}, lambda params, x: params["w"] * x)
    data = Dataset(jnp.ones((1, 1)), jnp.zeros((1, 1)))
    return partial(fit, model=model, optimizer=optax.sgd(8.5), loss=squared_error, train=data, snapshot_every=1)


def test_divergence_stops_at_the_last_finite_parameters():
    # w² is infinite in float32 from |w| = 2^64 on, which is after 16 steps: step 17 finds an infinite loss.
    powers = (-16.0) ** np.arange(17)
    result = jax.jit(partial(one_weight(1.0), num_epochs=20))(KEY)
    assert bool(result.diverged)
    assert int(result.diverged_step) == 17
    assert float(result.params["w"]) == powers[-1]
    np.testing.assert_array_equal(result.snapshots["w"], [*powers, *[powers[-1]] * 4])
    np.testing.assert_array_equal(result.train_loss, [*powers[:-1] ** 2, *[np.inf] * 5])


def test_no_divergence_yet():
    result = jax.jit(partial(one_weight(1.0), num_epochs=16))(KEY)
    assert not bool(result.diverged)
    assert int(result.diverged_step) == NEVER
    assert float(result.params["w"]) == 2.0**64


@pytest.mark.parametrize("start", [np.nan, np.inf])
def test_networks_that_start_broken_diverge_at_once(start):
    result = jax.jit(partial(one_weight(start), num_epochs=3))(KEY)
    assert bool(result.diverged)
    assert int(result.diverged_step) == 1


def test_an_infinite_step_with_a_finite_loss_is_not_taken():
    model = Model(lambda key: {"w": jnp.float32(1)}, lambda params, x: params["w"] * x)
    init, step = trainer(model, optax.sgd(1e30), squared_error)
    state, loss = jax.jit(step)(init(KEY), jnp.full((1, 1), 1e10), jnp.zeros((1, 1)))
    assert float(loss) == np.float32(1e10) ** 2
    assert (float(state.params["w"]), int(state.diverged_step), int(state.step)) == (1, 1, 1)
    # Once diverged, a network stays as it is, even where the next step would be harmless.
    state, _ = jax.jit(step)(state, jnp.full((1, 1), 1e-20), jnp.ones((1, 1)))
    assert (float(state.params["w"]), int(state.diverged_step), int(state.step)) == (1, 1, 2)


def numpy_divergence(params, rate, num_steps):
    """Gradient descent in NumPy's float32, until something is not finite."""
    params = jax.tree.map(np.asarray, params)
    with np.errstate(all="ignore"):
        for number in range(1, num_steps + 1):
            loss, gradient = numpy_loss(params, X, Y, "relu")
            new = jax.tree.map(lambda p, g: p - np.float32(rate) * g, params, gradient)
            if not all(np.isfinite(leaf).all() for leaf in [loss, *jax.tree.leaves(new)]):
                return Run(params, number)
            params = new
    return Run(params, NEVER)


def some_explode(key):
    """Networks of a population, a third of which are so large that they diverge."""
    params = draw(key, "relu")
    is_large = jax.random.uniform(jax.random.fold_in(key, 1)) < 1 / 3
    return jax.tree.map(lambda leaf: jnp.where(is_large, 8 * leaf, leaf), params)


def test_divergence_in_a_population_is_numpys_and_leaves_neighbours_alone():
    model, num_epochs = Model(some_explode, net("relu").apply), 30
    run = partial(fit, model=model, optimizer=optax.sgd(0.05), loss=squared_error, train=DATA, num_epochs=num_epochs)
    population = jax.jit(jax.vmap(partial(run, snapshot_every=1, record=None)))
    keys = jax.random.split(KEY, 16)
    result = population(keys)
    diverged = np.asarray(result.diverged)
    assert 1 <= diverged.sum() <= 8
    np.testing.assert_array_equal(diverged, np.asarray(result.diverged_step) != NEVER)
    for i in range(16):
        initial = member(result.initial_params, i)
        expected = numpy_divergence(initial, 0.05, num_epochs)
        assert int(result.diverged_step[i]) == expected.diverged_step
        final = member(result.params, i)
        if diverged[i]:
            kept = member(member(result.snapshots, i), expected.diverged_step - 1)
            assert_same(final, kept)
        else:
            assert_close(final, expected.params, atol=num_epochs * OPS * EPS)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(final))
    # Others in the places of those that diverged: the same program, so every bit must agree.
    calm = np.where(diverged, np.flatnonzero(~diverged)[0], np.arange(16))
    without = population(keys[calm])
    assert not without.diverged.any()
    assert_same(*(member(numpy(tree), ~diverged) for tree in (result, without)))


# What may not matter


minibatch_run = partial(fit, model=NET, optimizer=SGD, loss=squared_error, train=DATA, num_epochs=NUM_STEPS)
minibatch_run = partial(minibatch_run, batch_size=3, record=None)


@cache
def population_run(size):
    # With all optimizations, as in real life, where rounding to the same bits is at stake.
    compiled = jax.jit(jax.vmap(minibatch_run), compiler_options={"xla_backend_optimization_level": 3})
    keys = jax.random.split(KEY, 64)
    return compiled(keys[:size]), compiled(keys[size - 1 :: -1])


MINIBATCH_STEPS = 2 * NUM_STEPS


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 7])
def test_the_size_of_the_population_does_not_matter(size):
    # Different programs may round differently, so not to the last bit.
    (few, _), (many, _) = population_run(size), population_run(64)
    assert_close(few, member(many, slice(size)), atol=MINIBATCH_STEPS * OPS * EPS)


def test_the_place_in_the_population_does_not_matter():
    forth, back = population_run(64)
    assert_same(forth, member(back, slice(None, None, -1)))


def test_vmap_is_a_loop_and_jit_changes_nothing():
    one, keys = jax.jit(minibatch_run), jax.random.split(KEY, 64)
    population, _ = population_run(64)
    loop = [one(key) for key in keys[:4]]
    first_four = member(population, slice(4))
    assert_close(first_four, stacked(*loop), atol=MINIBATCH_STEPS * OPS * EPS)
    assert_close(minibatch_run(keys[0]), loop[0], atol=MINIBATCH_STEPS * OPS * EPS)
    assert_same(one(keys[0]), loop[0])


def test_the_model_can_be_vmapped_over_data_and_rates():
    # Settings that are arrays: learning rates and targets, one for each run.
    rates, shifts = jnp.array([0.05, 0.1]), jnp.array([0.0, 1.0])

    def run(rate, shift):
        data = Dataset(DATA.x, DATA.y + shift)
        return fit(KEY, NET, optax.sgd(rate), squared_error, data, num_epochs=5, snapshot_every=1)

    result = jax.jit(jax.vmap(run))(rates, shifts)
    for i in range(2):
        snapshots = member(double(result.snapshots), i)
        initial = member(snapshots, 0)
        update = lambda number, p, g, memory, rate=float(rates[i]): (p - rate * g, memory)  # noqa: E731
        _, history = numpy_run(initial, [(double(X), double(Y) + float(shifts[i]), None)] * 5, update)
        assert_close(snapshots, stacked(*history), atol=5 * OPS * EPS)
