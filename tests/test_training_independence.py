"""Networks trained by the compiled engine do not notice each other: divergence, neighbours, chunks, nested maps; and
derivatives through whole runs."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import mlp_truth
import numpy as np
import optax
import pytest
from training_truth import EPS, assert_close, assert_same, double, member, numpy

from jaxgeom import fit, fit_population, mlp
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import squared_error

KEYS = jax.random.split(jax.random.key(43), 8)
LABELS = np.random.default_rng(48).integers(0, 3, 10).astype(np.int32)
POINTS = (np.random.default_rng(49).normal(size=(10, 2)) + 2 * np.eye(3)[LABELS][:, :2]).astype(np.float32)

# Divergence, and independence of the networks

DEEP = mlp((2, 12, 12, 1))  # with more weights than are added up at once
DIVERGING_STEPS = 8
POPULATION = 11


def diverging_member(params, rate, x):
    run = partial(fit, loss=squared_error, num_epochs=DIVERGING_STEPS, record=None, snapshot_every=1)
    data = Dataset(x, jnp.asarray(POINTS[:5, :1]))
    return run(KEYS[0], DEEP._replace(init=lambda key: params), optax.sgd(rate), train=data)


@cache
def diverging_program():
    # With all optimizations, as in real life, where rounding to the same bits is at stake.
    return jax.jit(jax.vmap(diverging_member))


@cache
def diverging_population():
    """Healthy networks, and others that diverge sooner or later, or only come close to it."""
    params = jax.tree.map(np.array, jax.jit(jax.vmap(DEEP.init))(jax.random.split(KEYS[1], POPULATION)))
    rates = np.full(POPULATION, 0.05, np.float32)
    x = np.tile(POINTS[:5], (POPULATION, 1, 1))
    rates[[1, 6]] = 1e4, 1e9
    # A step to infinity from a finite loss.
    x[3], rates[3] = 1e6, 1e38
    # Weights whose sum is infinite, though each is finite: of units that do nothing, at a learning rate of zero.
    first, second, last = params
    params[second]["kernel"][4], params[last]["kernel"][4], x[4], rates[4] = 3e38, 0, 1e-6, 0
    params[first]["bias"][4] = 0
    params[first]["kernel"][8], params[second]["kernel"][8], x[8], rates[8] = 3e38, 0, 1e-6, 0
    return params, rates, x


def numpys_diverged_step(params, rate, x):
    """The first step with a loss or parameters that are not finite, in NumPy's float32; -1 if there is none."""
    update = lambda number, p, g, memory: (p - rate * g, memory)  # noqa: E731
    with np.errstate(all="ignore"):
        run = mlp_truth.run_of(params, x, POINTS[:5, :1], [np.arange(5)] * DIVERGING_STEPS, "squared", update)
        finite = [all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)) for params in run.history[1:]]
    broken = np.flatnonzero(~(np.isfinite(run.batch_losses) & finite))
    return broken[0] + 1 if len(broken) else -1


def test_divergence_is_numpys():
    population = diverging_population()
    result = numpy(diverging_program()(*population))
    expected = [numpys_diverged_step(*member(population, i)) for i in range(POPULATION)]
    np.testing.assert_array_equal(result.diverged_step, expected)
    np.testing.assert_array_equal(result.diverged, result.diverged_step > 0)
    np.testing.assert_array_equal(np.flatnonzero(result.diverged), [1, 3, 6])
    assert expected[3] == 1
    assert expected[1] > expected[6]
    for i in range(POPULATION):
        mine = member(result, i)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(mine.params))
        if mine.diverged:
            # It stays at the last finite parameters.
            for step in range(mine.diverged_step - 1, DIVERGING_STEPS + 1):
                assert_same(mine.params, member(mine.snapshots, step))
    general = numpy(jax.jit(jax.vmap(diverging_member))(*(member(population, slice(7)))))
    np.testing.assert_array_equal(general.diverged_step, expected[:7])


def test_neighbours_and_places_do_not_matter():
    # The same program, so every bit must agree.
    program, population = diverging_program(), diverging_population()
    result = numpy(program(*population))
    healthy = np.where(result.diverged, 0, np.arange(POPULATION))
    without = numpy(program(*member(population, healthy)))
    assert not without.diverged.any()
    assert_same(*(member(tree, ~result.diverged) for tree in (result, without)))
    place = np.roll(np.arange(POPULATION)[::-1], 3)
    assert_same(numpy(program(*member(population, place))), member(result, place))


# Whatever the size of the population, and however it is mapped

SMALL = Dataset(jnp.asarray(POINTS[:4]), jnp.asarray(POINTS[:4, :1] * POINTS[:4, 1:]))
MANY_KEYS = jax.random.split(jax.random.key(50), 16)
SMALL_ATOL = 5 * (1 + 0.2 * 40) * EPS


def small_run(key, rate=0.1, features=(2, 5, 5, 1), loss=squared_error):
    return fit(key, mlp(features, activation="tanh"), optax.sgd(rate), loss, SMALL, num_epochs=5, record=None)


@cache
def small_population():
    return numpy(jax.jit(jax.vmap(small_run))(MANY_KEYS))


@pytest.mark.slow
def test_the_engine_trains_networks_that_are_not_too_large_however_many_there_are(monkeypatch):
    larger = partial(small_run, features=(2, 50, 50, 1))
    by_engine = numpy(jax.jit(jax.vmap(larger))(MANY_KEYS))
    assert by_engine.by_engine.all()
    monkeypatch.setattr("jaxgeom.training.primitive.MOST_PARAMETERS", 2700)
    for num in (1, 2, 16):
        general = numpy(jax.jit(jax.vmap(larger))(MANY_KEYS[:num]))
        assert not general.by_engine.any()
        assert_close(general._replace(by_engine=by_engine.by_engine[:num]), member(by_engine, slice(num)), SMALL_ATOL)
        assert numpy(jax.jit(jax.vmap(small_run))(MANY_KEYS[:num])).by_engine.all()
    # A network of its own is a loop of length 1 neither more nor less than one among others.
    nested = jax.jit(jax.vmap(jax.vmap(larger)))(MANY_KEYS[:4].reshape(2, 2))
    assert_close(
        jax.tree.map(lambda leaf: leaf.reshape(4, *leaf.shape[2:]), nested), member(general, slice(4)), SMALL_ATOL
    )


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [7, 8])
def test_the_size_of_the_population_does_not_matter(chunk_size):
    # Chunks of 7 are filled up.
    assert_close(fit_population(MANY_KEYS, small_run, chunk_size=chunk_size), small_population(), SMALL_ATOL)


def test_chunks_of_any_size_give_the_same_bits():
    # As fit_population compiles, with vectors that 8 and 11 networks do not fill.
    every = fit_population(MANY_KEYS, small_run, chunk_size=16)
    for chunk_size in (8, 11):
        assert_same(fit_population(MANY_KEYS, small_run, chunk_size=chunk_size), every)


def test_vmap_of_vmap_is_one_vmap():
    nested = numpy(jax.jit(jax.vmap(jax.vmap(small_run)))(MANY_KEYS.reshape(2, 8)))
    assert_close(jax.tree.map(lambda leaf: leaf.reshape(16, *leaf.shape[2:]), nested), small_population(), SMALL_ATOL)


def test_jit_does_not_matter():
    assert_close(numpy(jax.vmap(small_run)(MANY_KEYS)), small_population(), SMALL_ATOL)


def test_initial_parameters_are_the_models():
    init = jax.jit(jax.vmap(lambda key: mlp((2, 5, 5, 1), activation="tanh").init(jax.random.split(key)[0])))
    assert_same(numpy(init(MANY_KEYS)), small_population().initial_params)


@pytest.mark.slow
def test_losses_that_close_over_traced_values_and_other_models_take_the_general_path(caplog):
    def scaled(key, factor):
        return small_run(key, 0.1, (2, 5, 5, 1), lambda outputs, y: factor * squared_error(outputs, y))

    factors = np.linspace(0.5, 2, 8, dtype=np.float32)
    with caplog.at_level("INFO", "jaxgeom"):
        by_loss = jax.jit(jax.vmap(scaled))(KEYS, factors)
    assert "a traced value" in caplog.text
    assert not by_loss.by_engine.any()
    # A factor of the loss is one of the learning rate.
    by_rate = jax.jit(jax.vmap(small_run))(KEYS, 0.1 * factors)
    assert by_rate.by_engine.all()
    assert_close(by_loss._replace(by_engine=by_rate.by_engine), by_rate, 2 * SMALL_ATOL)
    other = mlp((2, 5, 5, 1))._replace(is_mlp=False)
    result = jax.jit(jax.vmap(lambda key: fit(key, other, optax.sgd(0.1), squared_error, SMALL, num_epochs=1)))(KEYS)
    assert not result.by_engine.any()


# Derivatives


def final_loss(key, rate):
    return squared_error(
        mlp((2, 5, 5, 1), activation="tanh").apply(small_run(key, rate).params, SMALL.x), SMALL.y
    ).mean()


def numpys_derivative(i, rate, size=1e-6):
    initial = double(member(small_population().initial_params, i))

    def final(rate):
        update = lambda number, p, g, memory: (p - rate * g, memory)  # noqa: E731
        run = mlp_truth.run_of(initial, *double(SMALL), [np.arange(4)] * 5, "squared", update)
        return mlp_truth.loss_and_gradient(run.history[-1], *double(SMALL), "squared")[0]

    return (final(rate + size) - final(rate - size)) / (2 * size)


@pytest.mark.slow
def test_derivatives_in_the_learning_rate():
    rates = jnp.linspace(0.05, 0.2, 16, dtype=jnp.float32)
    expected = np.array([numpys_derivative(i, float(rate)) for i, rate in enumerate(rates)])
    one = jax.jit(lambda key, rate: jax.jvp(partial(final_loss, key), (rate,), (jnp.float32(1),))[1])
    ways = {
        "vmap of grad": jax.jit(jax.vmap(jax.grad(final_loss, 1)))(MANY_KEYS, rates),
        "grad of vmap": jax.jit(jax.grad(lambda rates: jax.vmap(final_loss)(MANY_KEYS, rates).sum()))(rates),
        "jvp": np.array([one(key, rate) for key, rate in zip(MANY_KEYS, rates, strict=True)]),
        "grad": np.array([jax.jit(jax.grad(final_loss, 1))(MANY_KEYS[0], rates[0]), *expected[1:]]),
    }
    for name, derivatives in ways.items():
        # Forth and back through five steps, each of which adds roundings of a gradient.
        np.testing.assert_allclose(
            derivatives, expected, rtol=0, atol=5 * 100 * EPS * np.abs(expected).max(), err_msg=name
        )
