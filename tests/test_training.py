"""Training against hand-written NumPy: steps, batches, records, snapshots, divergence, and what may not matter."""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgeom import fit, mlp, trainer
from jaxgeom.datasets import Dataset
from jaxgeom.losses import class_is_right, side_is_right, softmax_cross_entropy, squared_error
from jaxgeom.models import Model
from jaxgeom.training import NEVER

KEY = jax.random.key(23)
EPS = float(np.finfo(np.float32).eps)
RNG = np.random.default_rng(23)

# Compiling takes most of the time, and half as much without optimization.
quick = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

POINTS, WIDTH = 7, 5
X = RNG.normal(size=(POINTS, 2)).astype(np.float32)
Y = RNG.normal(size=(POINTS, 1)).astype(np.float32)
DATA = Dataset(jnp.asarray(X), jnp.asarray(Y))
TEST_DATA = Dataset(DATA.x[:4] + 1, DATA.y[:4] - 0.5)


def draw(key, activation="tanh"):
    """Parameters of a net 2-WIDTH-1, all uniform within ±1/√2: one draw compiles faster than four."""
    numbers = jax.random.uniform(key, (4 * WIDTH + 1,), minval=-(0.5**0.5), maxval=0.5**0.5)
    kernel, bias, last_kernel, last_bias = jnp.split(numbers, [2 * WIDTH, 3 * WIDTH, 4 * WIDTH])
    return {
        f"dense0_{activation}": {"kernel": kernel.reshape(2, WIDTH), "bias": bias},
        "dense1_linear": {"kernel": last_kernel[:, None], "bias": last_bias},
    }


def net(activation="tanh"):
    return Model(partial(draw, activation=activation), mlp((2, WIDTH, 1), activation=activation).apply)


NET = net()
SGD = optax.sgd(0.1)
# Roundings on the way to one entry of a gradient: sums over inputs, units and points, and a few more.
OPS = 2 + WIDTH + POINTS + 8


def double(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def numpy(tree):
    return jax.tree.map(np.asarray, tree)


def member(tree, i):
    """The i-th network of a population, or the i-th snapshot; or several."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[i], tree)


def stacked(*trees):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def assert_close(actual, desired, atol):
    """Trees with the same structure, whose numbers differ by less than ``atol`` times the largest (or 1)."""
    assert jax.tree.structure(actual) == jax.tree.structure(desired)
    for a, b in zip(jax.tree.leaves(double(actual)), jax.tree.leaves(double(desired)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol * max(1.0, np.abs(b).max(initial=0)))


def assert_same(actual, desired):
    assert jax.tree.structure(actual) == jax.tree.structure(desired)
    jax.tree.map(np.testing.assert_array_equal, actual, desired)


# The truth: a net with one hidden layer, its gradient and four optimizers

SLOPES = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
}


def numpy_loss(params, x, y, activation="tanh", weight=None):
    """Mean squared error over the points, and its gradient, in the precision of what comes in."""
    first, second = params[f"dense0_{activation}"], params["dense1_linear"]
    function, slope = SLOPES[activation]
    z = x @ first["kernel"] + first["bias"]
    residual = function(z) @ second["kernel"] + second["bias"] - y
    share = np.full(len(x), 1 / len(x), x.dtype) if weight is None else weight / weight.sum()
    to_output = 2 * residual * share[:, None]
    to_hidden = to_output @ second["kernel"].T * slope(z)
    gradient = {
        f"dense0_{activation}": {"kernel": x.T @ to_hidden, "bias": to_hidden.sum(0)},
        "dense1_linear": {"kernel": function(z).T @ to_output, "bias": to_output.sum(0)},
    }
    return (share * residual[:, 0] ** 2).sum(), gradient


def sgd_update(number, p, g, memory):
    return p - 0.1 * g, memory


def momentum_update(number, p, g, memory):
    velocity = 0.9 * memory[0] + g
    return p - 0.1 * velocity, (velocity,)


def adam_update(number, p, g, memory, decay=0.0):
    mean, square = 0.9 * memory[0] + 0.1 * g, 0.999 * memory[1] + 0.001 * g**2
    direction = mean / (1 - 0.9**number) / (np.sqrt(square / (1 - 0.999**number)) + 1e-8)
    return p - 0.01 * (direction + decay * p), (mean, square)


OPTIMIZERS = {
    "sgd": (optax.sgd(0.1), sgd_update),
    "momentum": (optax.sgd(0.1, momentum=0.9), momentum_update),
    "adam": (optax.adam(0.01), adam_update),
    "adamw": (optax.adamw(0.01, weight_decay=0.1), partial(adam_update, decay=0.1)),
}


def numpy_run(params, batches, update=sgd_update, activation="tanh"):
    """Losses before each step, and the parameters before the first and after every step."""
    zeros = jax.tree.map(np.zeros_like, params)
    memory, losses, history = (zeros, zeros), [], [params]
    is_leaf = lambda node: isinstance(node, tuple)  # noqa: E731
    for number, (x, y, weight) in enumerate(batches, start=1):
        loss, gradient = numpy_loss(params, x, y, activation, weight)
        new = jax.tree.map(lambda p, g, *m, n=number: update(n, p, g, m), params, gradient, *memory)
        params = jax.tree.map(lambda pair: pair[0], new, is_leaf=is_leaf)
        num_memories = len(jax.tree.leaves(new, is_leaf=is_leaf)[0][1])
        memory = tuple(jax.tree.map(lambda pair, i=i: pair[1][i], new, is_leaf=is_leaf) for i in range(num_memories))
        losses.append(loss)
        history.append(params)
    return np.array(losses), history


# One step


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
    initial = double(quick(model.init)(KEY))
    with jax.enable_x64(True):
        init, step = trainer(model, optimizer, squared_error)
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), initial)
        state = jax.eval_shape(init, KEY)._replace(
            params=params, opt_state=optimizer.init(params), step=jnp.int32(0), diverged_step=jnp.int32(NEVER)
        )
        compiled, states, losses = quick(step), [], []
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
    state = quick(init)(KEY)
    assert_same(state.params, quick(NET.init)(KEY))
    assert (int(state.step), int(state.diverged_step)) == (0, NEVER)
    assert_same(state.opt_state, quick(optax.adam(0.1).init)(state.params))


def test_points_of_weight_zero_are_left_out():
    init, step = trainer(NET, SGD, squared_error)
    state, step = quick(init)(KEY), quick(step)
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
    return quick(partial(run, **options))(KEY)


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
    state, step = quick(init)(KEY), quick(step)
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
    kernel = quick(jax.vmap(run))(keys).snapshots["dense0_tanh"]["kernel"][:, 0]
    assert len(np.unique(kernel)) > 9990  # of 10,000 numbers with 24 bits
    # Uniform within ±1/√2: variance 1/6 and fourth moment 1/20.
    error = np.sqrt((1 / 20 - 1 / 36) / kernel.size)
    assert abs(np.mean(double(kernel) ** 2) - 1 / 6) < 4 * error


# Batches, watched by a model that counts how often it is trained on each row

ROWS, EPOCHS = 10, 3
ROW_DATA = Dataset(jnp.arange(ROWS, dtype=jnp.float32)[:, None], jnp.zeros((ROWS, 1)))
COUNTER = Model(
    lambda key: {"used": jnp.zeros(ROWS)}, lambda params, x: params["used"][x[:, 0].astype(jnp.int32)][:, None]
)


@cache
def counting_run(num_rows=ROWS, **options):
    data = Dataset(ROW_DATA.x[:num_rows], ROW_DATA.y[:num_rows])
    run = partial(fit, model=COUNTER, optimizer=optax.sgd(1.0), loss=lambda outputs, targets: -outputs[:, 0])
    return quick(partial(run, train=data, num_epochs=EPOCHS, snapshot_every=1, record=None, **options))


def steps_of_rows(key=KEY, **options):
    """What each step adds to each row's parameter: 1 / (size of the batch) for the rows of the batch."""
    return np.diff(double(counting_run(**options)(key).snapshots["used"]), axis=0)


def epochs_of(steps, num_batches):
    assert len(steps) == EPOCHS * num_batches
    return (steps > 0).reshape(EPOCHS, num_batches, ROWS)


@pytest.mark.parametrize("shuffle", [True, False])
def test_every_epoch_takes_every_point_once(shuffle):
    steps = steps_of_rows(batch_size=4, drop_last=False, shuffle=shuffle)
    epochs = epochs_of(steps, 3)
    np.testing.assert_array_equal(epochs.sum(axis=1), np.ones((EPOCHS, ROWS)))
    np.testing.assert_array_equal(epochs.sum(axis=2), [[4, 4, 2]] * EPOCHS)


@pytest.mark.parametrize("shuffle", [True, False])
def test_dropping_the_last_batch_leaves_whole_batches_of_different_points(shuffle):
    epochs = epochs_of(steps_of_rows(batch_size=4, shuffle=shuffle), 2)
    assert epochs.sum(axis=1).max() == 1
    np.testing.assert_array_equal(epochs.sum(axis=2), [[4, 4]] * EPOCHS)


def test_every_point_of_a_batch_weighs_the_same_and_batches_weigh_the_same():
    # Steps are 1/4 for each of four points and 1/2 for each of the last two: exact, as sums of powers of two.
    steps = steps_of_rows(batch_size=4, drop_last=False)
    for number, step in enumerate(steps):
        np.testing.assert_array_equal(step[step > 0], [1 / 2] * 2 if number % 3 == 2 else [1 / 4] * 4)


def test_unshuffled_batches_come_in_order():
    expected = np.zeros((3, ROWS), bool)
    expected[0, :4] = expected[1, 4:8] = expected[2, 8:] = True
    whole = epochs_of(steps_of_rows(batch_size=4, drop_last=False, shuffle=False), 3)
    np.testing.assert_array_equal(whole, [expected] * EPOCHS)
    dropped = epochs_of(steps_of_rows(batch_size=4, shuffle=False), 2)
    np.testing.assert_array_equal(dropped, [expected[:2]] * EPOCHS)


def test_every_epoch_and_every_key_has_an_order_of_its_own():
    runs = [epochs_of(steps_of_rows(key, batch_size=4, drop_last=False), 3) for key in jax.random.split(KEY)]
    orders = np.concatenate(runs).argmax(axis=1)  # the batch each row is in; 3,150 orders are possible
    assert len(np.unique(orders, axis=0)) == 2 * EPOCHS


def test_shuffling_leaves_no_row_behind():
    # The place of each row in the epoch is uniform: with one row a batch, row i is at place j in 1 of 10 epochs.
    run = partial(fit, model=COUNTER, optimizer=optax.sgd(1.0), loss=lambda outputs, targets: -outputs[:, 0])
    run = partial(run, train=ROW_DATA, num_epochs=1, batch_size=1, snapshot_every=1, record=None)
    num_runs = 2000
    used = quick(jax.vmap(run))(jax.random.split(KEY, num_runs)).snapshots["used"]
    frequency = np.diff(double(used), axis=1).mean(axis=0)
    error = np.sqrt(0.1 * 0.9 / num_runs)
    # 4 standard errors for one of 100 numbers; Bonferroni's correction adds less than 1.
    assert np.abs(frequency - 0.1).max() < 5 * error


@pytest.mark.parametrize("batch_size", [ROWS, ROWS + 3])
def test_a_batch_as_large_as_the_data_is_the_full_batch(batch_size):
    steps = steps_of_rows(num_rows=8, batch_size=batch_size, drop_last=False)
    np.testing.assert_array_equal(steps[:, :8], np.full((EPOCHS, 8), 1 / 8))
    np.testing.assert_array_equal(steps_of_rows(num_rows=8), steps)


def test_minibatches_of_a_network_are_numpys():
    run = partial(fit, train=DATA, num_epochs=3, batch_size=3, drop_last=False, snapshot_every=1)
    result = quick(partial(run, model=NET, optimizer=OPTIMIZERS["momentum"][0], loss=squared_error))(KEY)
    # The same key draws the same rows whatever the model: ask the one that counts.
    counted = Dataset(ROW_DATA.x[:POINTS], ROW_DATA.y[:POINTS])
    watch = partial(run, model=COUNTER, optimizer=optax.sgd(1.0), loss=lambda outputs, targets: -outputs[:, 0])
    used = quick(partial(watch, train=counted))(KEY).snapshots["used"]
    rows = [np.flatnonzero(step) for step in np.diff(double(used), axis=0)]
    assert [len(batch) for batch in rows] == [3, 3, 1] * 3
    initial = double(member(result.snapshots, 0))
    batches = [(double(X)[batch], double(Y)[batch], None) for batch in rows]
    _, history = numpy_run(initial, batches, momentum_update)
    # Momentum 0.9 keeps an error for up to 1 / (1 - 0.9) steps.
    assert_close(result.snapshots, stacked(*history), atol=9 * 10 * OPS * EPS)
    epochs = [numpy_loss(params, double(X), double(Y))[0] for params in history[::3]]
    assert_close(result.train_loss, np.array(epochs), atol=9 * 10 * OPS * EPS)
    np.testing.assert_array_equal(result.record_steps, [0, 3, 6, 9])


# Records and snapshots


@cache
def recorded_run(record, batch_size):
    run = partial(fit, model=NET, optimizer=SGD, loss=squared_error, train=DATA, test=TEST_DATA, batch_size=batch_size)
    return quick(partial(run, accuracy=side_is_right, num_epochs=3, snapshot_every=1, record=record))(KEY)


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
    assert result.record_steps.shape == result.train_loss.shape == result.snapshot_steps.shape == (0,)
    absent = (result.train_accuracy, result.test_loss, result.test_accuracy, result.snapshots)
    assert all(value is None for value in absent)


def test_records_and_snapshots_do_not_change_the_run():
    assert_close(full_run(record=None).params, full_run(snapshot_every=1).params, atol=NUM_STEPS * 8 * EPS)
    assert_close(recorded_run("epoch", 3).snapshots, recorded_run("step", 3).snapshots, atol=6 * 8 * EPS)


@pytest.mark.parametrize("batch_size", [None, 3])
def test_snapshots_are_the_ends_of_shorter_runs(batch_size):
    def run(num_epochs, snapshot_every=None):
        data = {"train": DATA, "batch_size": batch_size, "num_epochs": num_epochs, "record": None}
        return quick(partial(fit, model=NET, optimizer=SGD, loss=squared_error, snapshot_every=snapshot_every, **data))(
            KEY
        )

    steps_in_epoch = 1 if batch_size is None else 2
    long = run(5, snapshot_every=steps_in_epoch)
    assert all(len(leaf) == 6 for leaf in jax.tree.leaves(long.snapshots))
    np.testing.assert_array_equal(long.snapshot_steps, np.arange(6) * steps_in_epoch)
    assert_close(run(2).params, member(long.snapshots, 2), atol=2 * steps_in_epoch * 8 * EPS)
    assert_same(member(long.snapshots, 5), long.params)


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("every", [2, 3, 100])
def test_snapshots_at_every_few_steps(batch_size, every):
    # The counter's parameters add up to the number of steps, with every batch and every row.
    run = partial(fit, model=COUNTER, optimizer=optax.sgd(1.0), loss=lambda outputs, targets: -outputs[:, 0])
    num_epochs = 7 if batch_size is None else 3
    run = partial(run, train=ROW_DATA, num_epochs=num_epochs, record=None, snapshot_every=every)
    result = quick(partial(run, batch_size=batch_size, drop_last=False))(KEY)
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
    result = quick(run)(KEY)
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
    result = quick(partial(one_weight(1.0), num_epochs=20))(KEY)
    assert bool(result.diverged)
    assert int(result.diverged_step) == 17
    assert float(result.params["w"]) == powers[-1]
    np.testing.assert_array_equal(result.snapshots["w"], [*powers, *[powers[-1]] * 4])
    np.testing.assert_array_equal(result.train_loss, [*powers[:-1] ** 2, *[np.inf] * 5])


def test_no_divergence_yet():
    result = quick(partial(one_weight(1.0), num_epochs=16))(KEY)
    assert not bool(result.diverged)
    assert int(result.diverged_step) == NEVER
    assert float(result.params["w"]) == 2.0**64


@pytest.mark.parametrize("start", [np.nan, np.inf])
def test_networks_that_start_broken_diverge_at_once(start):
    result = quick(partial(one_weight(start), num_epochs=3))(KEY)
    assert bool(result.diverged)
    assert int(result.diverged_step) == 1


def test_an_infinite_step_with_a_finite_loss_is_not_taken():
    model = Model(lambda key: {"w": jnp.float32(1)}, lambda params, x: params["w"] * x)
    init, step = trainer(model, optax.sgd(1e30), squared_error)
    state, loss = quick(step)(init(KEY), jnp.full((1, 1), 1e10), jnp.zeros((1, 1)))
    assert float(loss) == np.float32(1e10) ** 2
    assert (float(state.params["w"]), int(state.diverged_step), int(state.step)) == (1, 1, 1)
    # Once diverged, a network stays as it is, even where the next step would be harmless.
    state, _ = quick(step)(state, jnp.full((1, 1), 1e-20), jnp.ones((1, 1)))
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
    compiled = (jax.jit if size == 64 else quick)(jax.vmap(minibatch_run))
    keys = jax.random.split(KEY, 64)
    return compiled(keys[:size]), compiled(keys[size - 1 :: -1])


MINIBATCH_STEPS = 2 * NUM_STEPS


@pytest.mark.parametrize("size", [1, 7])
def test_the_size_of_the_population_does_not_matter(size):
    # Different programs may round differently, so not to the last bit.
    (few, _), (many, _) = population_run(size), population_run(64)
    assert_close(few, member(many, slice(size)), atol=MINIBATCH_STEPS * OPS * EPS)


def test_the_place_in_the_population_does_not_matter():
    forth, back = population_run(64)
    assert_same(forth, member(back, slice(None, None, -1)))


def test_vmap_is_a_loop_and_jit_changes_nothing():
    one, keys = quick(minibatch_run), jax.random.split(KEY, 64)
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

    result = quick(jax.vmap(run))(rates, shifts)
    for i in range(2):
        snapshots = member(double(result.snapshots), i)
        initial = member(snapshots, 0)
        update = lambda number, p, g, memory, rate=float(rates[i]): (p - rate * g, memory)  # noqa: E731
        _, history = numpy_run(initial, [(double(X), double(Y) + float(shifts[i]), None)] * 5, update)
        assert_close(snapshots, stacked(*history), atol=5 * OPS * EPS)


# Errors

LABELS = jnp.array([0, 1, 0, 1, 0, 1, 0])
GOOD = {"model": NET, "optimizer": SGD, "loss": squared_error, "train": DATA, "num_epochs": 1}
CLASSES = {"model": mlp((2, 3, 3)), "loss": softmax_cross_entropy, "train": Dataset(DATA.x, LABELS)}

VALUE_ERRORS = {
    "no epochs": ({"num_epochs": 0}, "num_epochs must be a positive integer, but 0"),
    "negative epochs": ({"num_epochs": -1}, "num_epochs"),
    "empty batch": ({"batch_size": 0}, "batch_size must be a positive integer, but 0"),
    "no snapshots": ({"snapshot_every": 0}, "snapshot_every must be a positive integer, but 0"),
    "batch too large": ({"batch_size": 8}, "batch_size = 8 is larger than the 7 points"),
    "unknown record": ({"record": "batch"}, "'epoch', 'step' or None, but 'batch'"),
}
SHAPE_ERRORS = {
    "lengths": ({"train": Dataset(DATA.x, DATA.y[:-1])}, r"train needs points .*\(7, 2\).*\(6, 1\)"),
    "no points": ({"train": Dataset(DATA.x[:0], DATA.y[:0])}, r"\(0, 2\)"),
    "flat points": ({"train": Dataset(DATA.x[:, 0], DATA.y)}, r"x has shape \(7,\)"),
    "lengths of test": ({"test": Dataset(DATA.x[:5], DATA.y)}, "test needs points"),
    "point dimension": ({"train": Dataset(DATA.x[:, :1], DATA.y)}, "1 coordinates"),
    "point dimension of test": ({"test": Dataset(DATA.x[:, :1], DATA.y)}, "1 coordinates"),
    "flat targets": ({"train": Dataset(DATA.x, DATA.y[:, 0])}, r"targets have shape \(7,\).*\(7, 1\)"),
    "number of outputs": ({"train": Dataset(DATA.x, jnp.ones((7, 2)))}, r"targets have shape \(7, 2\).*\(7, 1\)"),
    "numbers as labels": (CLASSES | {"train": DATA}, r"targets have shape \(7, 1\).*\(7, 3\)"),
    "loss of all points": ({"loss": lambda outputs, targets: jnp.mean(outputs)}, r"shape \(7,\), but gives shape \(\)"),
    "labels as numbers": ({"train": Dataset(DATA.x, LABELS)}, "targets"),
}
LABEL_ERRORS = {
    "label too large": (CLASSES | {"train": Dataset(DATA.x, LABELS.at[2].set(3))}, "between 0 and 2 .* 0 to 3"),
    "label negative": (CLASSES | {"train": Dataset(DATA.x, LABELS.at[2].set(-1))}, "between 0 and 2 .* -1 to 1"),
    "label of test": (CLASSES | {"test": Dataset(DATA.x, LABELS + 2)}, "test labels"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", [*VALUE_ERRORS, *SHAPE_ERRORS, *LABEL_ERRORS])
def test_mistakes_are_named(name, compiled):
    options, message = {**VALUE_ERRORS, **SHAPE_ERRORS, **LABEL_ERRORS}[name]
    run = partial(fit, **(GOOD | options))
    with pytest.raises(ValueError, match=message):
        (jax.jit(run) if compiled else run)(KEY)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", SHAPE_ERRORS)
def test_mistakes_in_the_shapes_of_traced_data_are_named(name):
    options, message = SHAPE_ERRORS[name]
    options = GOOD | options
    data = {split: options.pop(split) for split in ("train", "test") if split in options}
    with pytest.raises(ValueError, match=message):
        jax.jit(lambda key, data: fit(key, **options, **data))(KEY, data)
