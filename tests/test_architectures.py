"""Populations of several widths, depths and settings, and the spirals that four kinds of networks are trained on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_truth import EPS, member

from jaxgeom import fit, fit_architectures, fit_population, mlp, parity, train_spirals
from jaxgeom.data.losses import squared_error
from jaxgeom.host import sizes as chunks
from jaxgeom.host.chunks import in_threads
from jaxgeom.recipes.spirals.experiment import SPIRAL_MODELS
from jaxgeom.training.population import default_chunk_size, result_bytes

KEY = jax.random.key(7)
XOR = parity(2)
NUM_STEPS = 10


def run(key, features, widths, rate):
    model = mlp(features, activation="tanh", widths=widths)
    return fit(key, model, optax.adam(rate), squared_error, XOR, num_epochs=NUM_STEPS, record=None)


def sizes(shape):
    return (2, *shape, 1)


SHAPES = [(3,), (12,), (5, 2), (3,), (9,), (5, 2), (1,), (8,)]
RATES = np.linspace(0.01, 0.1, len(SHAPES)).astype(np.float32)
KEYS = jax.random.split(KEY, len(SHAPES))


@pytest.mark.slow
def test_architectures_are_grouped_and_each_network_is_as_it_would_be_alone():
    groups = fit_architectures(KEYS, [sizes(shape) for shape in SHAPES], run, RATES)
    # Rounded up to powers of two, at least 8: 1, 3, 3 and 8 units; 9 and 12; two layers.
    assert [group.members.tolist() for group in groups] == [[0, 3, 6, 7], [1, 4], [2, 5]]
    assert [group.features for group in groups] == [(2, 8, 1), (2, 12, 1), (2, 5, 2, 1)]
    alone_of = jax.jit(lambda key, rate, features: run(key, features, None, rate).params, static_argnames="features")
    for group in groups:
        for place, network in enumerate(group.members):
            shape = SHAPES[network]
            assert tuple(group.widths[place]) == shape
            alone = jax.tree.map(np.asarray, alone_of(KEYS[network], RATES[network], sizes(shape)))
            for name, layer in member(group.result.params, place).items():
                kernel, bias = alone[name]["kernel"], alone[name]["bias"]
                rows, columns = kernel.shape
                # A few roundings a step, of numbers below 2; Adam's steps are of size rate whatever the gradient.
                tolerance = {"rtol": 0, "atol": NUM_STEPS * 40 * EPS}
                np.testing.assert_allclose(layer["kernel"][:rows, :columns], kernel, **tolerance)
                np.testing.assert_allclose(layer["bias"][:columns], bias, **tolerance)
                assert not layer["kernel"][rows:].any()
                assert not layer["kernel"][:, columns:].any()
                assert not layer["bias"][columns:].any()


def test_each_network_needs_an_architecture():
    with pytest.raises(ValueError, match="8 keys and 1 architectures"):
        fit_architectures(KEYS, [(2, 3, 1)], run)
    for wrong in ((2, 0, 1), (2,)):
        with pytest.raises(ValueError, match="at least two positive sizes"):
            fit_architectures(KEYS[:2], [(2, 3, 1), wrong], run, RATES[:2])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("sizes", [(2,), (2, 0, 1), (2, 3.5, 1), (2, True, 1)])
def test_architectures_are_positive_integers(sizes):
    with pytest.raises(ValueError, match="an architecture has at least two positive sizes"):
        fit_architectures(jax.random.split(KEY, 1), [sizes], run)


def test_settings_are_arrays_or_trees_of_arrays():
    def scaled(key, rate, shift):
        return rate * jax.random.normal(key) + shift["of"]

    shifts = {"of": np.arange(8.0, dtype=np.float32)}
    result = fit_population(KEYS, scaled, RATES, shifts, chunk_size=3)
    draws = np.array([float(jax.random.normal(key)) for key in KEYS])
    np.testing.assert_allclose(result, RATES * draws + shifts["of"], rtol=4 * EPS)
    with pytest.raises(ValueError, match=r"each of the 8 networks .* settings\[0\] has shape \(3,\)"):
        fit_population(KEYS, scaled, RATES[:3], shifts)


def test_chunks_fill_vectors_and_cores_and_bound_the_memory(monkeypatch):
    def results_of(num_numbers):
        return lambda key: jnp.zeros(num_numbers)

    monkeypatch.setattr(chunks, "num_cores", lambda: 4)
    assert default_chunk_size(results_of(1000), KEY, num=10**6) == 64
    assert default_chunk_size(results_of(1000), KEY, num=100) == 32
    assert default_chunk_size(results_of(1000), KEY, num=3) == 16
    assert default_chunk_size(results_of(2**27), KEY, num=10**6) == 2
    assert chunks.size_of_chunks(None, 1000) == 64


def test_chunks_of_the_engine_are_bounded_by_work_and_memory_only(monkeypatch):
    def training(num_epochs, is_mlp=True):
        model = mlp((2, 3, 1))._replace(is_mlp=is_mlp)

        def run(key):
            return fit(key, model, optax.sgd(0.1), squared_error, parity(2), num_epochs=num_epochs, record=None).params

        return run

    monkeypatch.setattr(chunks, "num_cores", lambda: 4)
    work = 13 * 4 * 100  # parameters, points, steps
    wanted = chunks.ENGINE_WORK // work
    assert 0 <= default_chunk_size(training(100), KEY, num=10**9) - wanted <= 4 * 16
    assert 0 <= default_chunk_size(training(100), KEY, num=wanted + 1000) - wanted / 2 <= 500 + 4 * 16
    assert default_chunk_size(training(10**6), KEY, num=10**6) == 64
    assert default_chunk_size(training(100, is_mlp=False), KEY, num=10**6) == 64
    in_memory = chunks.size_of_chunks(10**6, 2**28, engine_work=1)
    assert in_memory == 4
    # Runs inside of a vmap or a loop are seen, too.
    of_three = default_chunk_size(lambda key: jax.vmap(training(100))(jax.random.split(key, 3)), KEY, num=10**9)
    assert abs(of_three - wanted / 3) <= 4 * 16
    in_loop = default_chunk_size(lambda key: jax.lax.map(training(100), key[None]), KEY, num=10**9)
    assert abs(in_loop - wanted) <= 4 * 16


def test_the_memory_of_the_results_is_stated_before_the_run(capsys):
    result = fit_population(KEYS, lambda key: {"a": jnp.zeros(500), "b": jnp.zeros(3, jnp.int16)}, progress=True)
    assert sum(leaf.nbytes for leaf in result.values()) == 8 * (2000 + 6)
    assert result_bytes(lambda key: jnp.zeros((7, 2)), KEY) == 56
    assert "8 networks, 8 at once; results take 0.0 MB" in capsys.readouterr().err


def test_threads_have_the_settings_of_their_caller():
    with jax.enable_x64(True):
        assert [str(jnp.ones(1).dtype)] * 2 == in_threads([lambda: str(jnp.ones(1).dtype)] * 2)
    assert in_threads([lambda: str(jnp.ones(1).dtype)]) == ["float32"]
    with pytest.raises(ZeroDivisionError):
        in_threads([lambda: 1, lambda: 1 // 0])


def test_the_four_networks_for_spirals():
    outputs = {name: jax.eval_shape(model.init, KEY) for name, model in SPIRAL_MODELS.items()}
    widths = {name: [layer["bias"].shape[0] for layer in params.values()] for name, params in outputs.items()}
    assert widths == {
        "deep linear": [10, 10, 3],
        "MLP": [10, 10, 3],
        "bottleneck MLP": [10, 2, 10, 2, 3],
        "deep MLP": [6, 6, 6, 6, 6, 3],
    }
    assert [name.split("_")[1] for name in outputs["bottleneck MLP"]] == ["relu", "linear", "relu", "linear", "linear"]
    # Without activations it is a linear map: means of outputs are outputs of means.
    params = SPIRAL_MODELS["deep linear"].init(KEY)
    x = jax.random.normal(KEY, (2, 2))
    out = SPIRAL_MODELS["deep linear"].apply(params, jnp.concatenate([x, x.mean(axis=0, keepdims=True)]))
    np.testing.assert_allclose(out[2], out[:2].mean(axis=0), atol=40 * EPS)


@pytest.mark.parametrize("wrong", [{"num_seeds": 0}, {"num_epochs": 0}])
def test_numbers_of_spiral_runs_are_positive(wrong):
    with pytest.raises(ValueError, match="positive integer, but 0"):
        train_spirals(KEY, **wrong)
