"""Minibatches: which rows every step takes, in which order, and with which weight."""

from functools import cache, partial

import jax
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
    ROW_DATA,
    ROWS,
    X,
    Y,
    assert_close,
    double,
    member,
    momentum_update,
    numpy_loss,
    numpy_run,
    stacked,
)

from jaxgeom import fit
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import squared_error

# Batches, watched by a model that counts how often it is trained on each row

EPOCHS = 3


@cache
def counting_run(num_rows=ROWS, **options):
    data = Dataset(ROW_DATA.x[:num_rows], ROW_DATA.y[:num_rows])
    run = partial(fit, model=COUNTER, optimizer=optax.sgd(1.0), loss=lambda outputs, targets: -outputs[:, 0])
    return jax.jit(partial(run, train=data, num_epochs=EPOCHS, snapshot_every=1, record=None, **options))


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
    used = jax.jit(jax.vmap(run))(jax.random.split(KEY, num_runs)).snapshots["used"]
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
    result = jax.jit(partial(run, model=NET, optimizer=OPTIMIZERS["momentum"][0], loss=squared_error))(KEY)
    # The same key draws the same rows whatever the model: ask the one that counts.
    counted = Dataset(ROW_DATA.x[:POINTS], ROW_DATA.y[:POINTS])
    watch = partial(run, model=COUNTER, optimizer=optax.sgd(1.0), loss=lambda outputs, targets: -outputs[:, 0])
    used = jax.jit(partial(watch, train=counted))(KEY).snapshots["used"]
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
