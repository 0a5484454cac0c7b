"""Random orders of the points: permutations, all of them alike, whatever the number of points."""

from functools import cache, partial
from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgeom.training.shuffle import keys_of_epoch, random_order, shuffle_keys, shuffled

KEY = jax.random.key(42)
NUM_KEYS = 40_000
SIZES = (5, 12, 100)
MOST = 70


@cache
def orders(num_points, num_keys=NUM_KEYS):
    order = jax.jit(jax.vmap(partial(random_order, num_points=num_points)))
    return np.asarray(order(jax.random.split(KEY, num_keys)))


def assert_chi2(statistic, freedom):
    """At most 5 standard deviations above, or below, the mean of a chi-squared variable."""
    assert abs(statistic - freedom) < 5 * np.sqrt(2 * freedom), (statistic, freedom)


def chi2(codes, num_codes):
    """Pearson's statistic of numbers that should be uniform below ``num_codes``."""
    counts = np.bincount(codes, minlength=num_codes)
    assert len(counts) == num_codes
    expected = len(codes) / num_codes
    return ((counts - expected) ** 2 / expected).sum()


# Permutations


@pytest.mark.slow
def test_orders_of_all_small_sizes_are_permutations():
    # Every round is a bijection, so that two of them will do here. Without compilation, and with as many positions for
    # every size: then operations are compiled once for all sizes.
    for size in range(1, MOST + 1):
        keys, positions = shuffle_keys(KEY, size)[:2], jnp.minimum(np.arange(MOST), size - 1)
        with jax.disable_jit():
            order = np.asarray(shuffled(keys, positions, size))[:size]
            np.testing.assert_array_equal(np.sort(order), np.arange(size), err_msg=f"{size} points")


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 97, 1024, 2400, 7919, 65536, 65537])
def test_orders_are_permutations(size):
    few = orders(size, 3)
    assert few.dtype == np.int32
    assert few.shape == (3, size)
    np.testing.assert_array_equal(np.sort(few, axis=1), [np.arange(size)] * 3)


@pytest.mark.parametrize("size", [97, 2400])
def test_parts_of_an_order_are_parts_of_the_whole(size):
    positions = np.array([0, size - 1, 7, 7, size // 2], np.int32)
    part = jax.jit(lambda key, positions: shuffled(keys_of_epoch(shuffle_keys(key, size), 3), positions, size))
    key = jax.random.split(KEY, 3)[1]
    whole = np.asarray(jax.jit(partial(random_order, num_points=size))(key, epoch=3))
    np.testing.assert_array_equal(part(key, positions), whole[positions])


# Chance


@pytest.mark.parametrize("size", SIZES)
def test_every_point_is_as_often_at_every_position(size):
    # One permutation adds one to every row and column, which leaves (N - 1)² degrees of freedom.
    counts = np.stack([np.bincount(column, minlength=size) for column in orders(size).T])
    expected = NUM_KEYS / size
    assert_chi2(((counts - expected) ** 2 / expected).sum() * (size - 1) / size, (size - 1) ** 2)


@pytest.mark.parametrize("size", SIZES)
def test_every_pair_is_as_often_adjacent(size):
    # At one place, pairs of different keys are independent: N (N - 1) ordered pairs, all alike.
    for place in {0, 1, size // 2, size - 2}:
        first, second = orders(size)[:, place : place + 2].T.astype(np.int64)
        codes = first * (size - 1) + second - (second > first)
        assert_chi2(chi2(codes, size * (size - 1)), size * (size - 1) - 1)


@pytest.mark.parametrize("size", SIZES)
def test_every_distance_of_neighbours_is_as_frequent_as_by_chance(size):
    # Of the second from the first, modulo the number of points: 1 … N - 1, all alike. Strides would show here.
    first, second = orders(size)[:, :2].T
    assert_chi2(chi2((second - first) % size - 1, size - 1), size - 2)


def test_all_orders_of_five_points_are_alike():
    number = {order: place for place, order in enumerate(permutations(range(5)))}
    assert_chi2(chi2(np.array([number[tuple(order)] for order in orders(5).tolist()]), 120), 119)


def test_fixed_points_are_as_frequent_as_by_chance():
    # Their number has mean 1 and variance 1, for any number of points.
    for size in SIZES:
        fixed = (orders(size) == np.arange(size)).sum(axis=1)
        assert abs(fixed.mean() - 1) < 4 / np.sqrt(NUM_KEYS)
        # The fourth central moment is 4, as of Poisson's distribution (from four points on).
        assert abs(((fixed - 1) ** 2).mean() - 1) < 4 * np.sqrt(3 / NUM_KEYS)


@cache
def first_of_epochs(num_epochs):
    """The first point of every epoch, for many keys or for many epochs."""
    run = jax.vmap(lambda key, epoch: random_order(key, 12, epoch)[0], in_axes=(0, None))
    run = jax.jit(jax.vmap(run, in_axes=(None, 0), out_axes=1))
    return np.asarray(run(jax.random.split(KEY, NUM_KEYS // num_epochs), np.arange(num_epochs)))


def test_successive_epochs_are_independent():
    first, second, third = first_of_epochs(3).T
    assert_chi2(chi2(12 * first + second, 144), 143)
    assert_chi2(chi2(12 * first + third, 144), 143)
    assert (orders(100)[0] == random_order(jax.random.split(KEY, NUM_KEYS)[0], 100, 0)).all()


def test_epochs_of_one_key_are_as_different_as_keys():
    epochs = first_of_epochs(NUM_KEYS)[0]
    assert_chi2(chi2(epochs, 12), 11)
    assert_chi2(chi2(12 * epochs[1:] + epochs[:-1], 144), 143)


# Keys


def test_different_keys_give_different_orders():
    assert len(np.unique(orders(100), axis=0)) == NUM_KEYS
    # Long orders have next to nothing in common: one fixed point, on average.
    assert (orders(2400, 3)[0] == orders(2400, 3)[1]).mean() < 0.01
    assert (orders(65537, 3)[0] == orders(65537, 3)[1]).mean() < 0.001


@pytest.mark.parametrize("size", [12, 97])
def test_vmap_is_a_loop(size):
    one = jax.jit(partial(random_order, num_points=size))
    keys = jax.random.split(KEY, 3)
    np.testing.assert_array_equal(orders(size, 3), np.stack([one(key) for key in keys]))
    np.testing.assert_array_equal(one(keys[0]), one(keys[0]))
