"""Populations: the same networks whatever their number and chunks, literal retries, and how often XOR is learnt."""

import os
import subprocess
import sys
from functools import cache, partial
from statistics import NormalDist

import chex
import devices_program
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgeom as jg
from jaxgeom import fit, fit_population, fit_until_solved, mlp, parity, train_xor, xor_statistics, xor_study
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import binary_cross_entropy, squared_error
from jaxgeom.training.population import Trial

KEY = jax.random.key(31)
KEYS = jax.random.split(KEY, 16)
EPS = float(np.finfo(np.float32).eps)
RNG = np.random.default_rng(31)


def numpy(tree):
    return jax.tree.map(np.asarray, tree)


def assert_same(actual, desired):
    assert jax.tree.structure(actual) == jax.tree.structure(desired)
    jax.tree.map(np.testing.assert_array_equal, actual, desired)


# fit_population

X = RNG.normal(size=(7, 2)).astype(np.float32)
DATA = Dataset(jnp.asarray(X), jnp.asarray(X[:, :1] * X[:, 1:]))
NUM_STEPS = 10
# A step sums over 2 inputs, 5 units and 7 points, and roundings add up over the steps.
ATOL = NUM_STEPS * (2 + 5 + 7 + 8) * EPS


def training(key):
    model = mlp((2, 5, 1), activation="tanh")
    return fit(key, model, optax.sgd(0.1), squared_error, DATA, num_epochs=NUM_STEPS, record=None)


@cache
def trained(chunk_size):
    return fit_population(KEYS, training, chunk_size=chunk_size)


@pytest.mark.slow
def test_a_population_is_a_vmap_and_a_loop():
    population = trained(512)
    assert all(isinstance(leaf, np.ndarray) and len(leaf) == 16 for leaf in jax.tree.leaves(population))
    mapped = numpy(jax.jit(jax.vmap(training))(KEYS))
    chex.assert_trees_all_close(population, mapped, rtol=0, atol=ATOL)
    one = jax.jit(training)
    for i in (0, 7, 15):
        member = jax.tree.map(lambda leaf, i=i: leaf[i], population)
        chex.assert_trees_all_close(member, numpy(one(KEYS[i])), rtol=0, atol=ATOL)
    assert len(np.unique(population.initial_params["dense1_linear"]["bias"])) == 16


@pytest.mark.parametrize("chunk_size", [1, 5])
def test_chunks_do_not_change_results(chunk_size):
    # Programs for chunks of different sizes may round differently.
    chex.assert_trees_all_close(trained(chunk_size), trained(512), rtol=0, atol=ATOL)


def bits(key):
    """A run whose result is exact in every program."""
    return {"bits": jax.random.bits(key, (3,)), "flag": jax.random.bits(jax.random.fold_in(key, 1)) % 2 == 0}


@cache
def all_bits():
    return numpy(jax.vmap(bits)(KEYS))


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [1, 3, 5, 17])
@pytest.mark.parametrize("num", [1, 5, 16])
def test_results_come_in_the_order_of_the_keys(num, chunk_size):
    expected = jax.tree.map(lambda leaf: leaf[:num], all_bits())
    assert_same(fit_population(KEYS[:num], bits, chunk_size=chunk_size), expected)


def test_one_program_serves_all_chunks():
    # Traced to see what it asks for, and for the program.
    assert_same(fit_population(KEYS, chex.assert_max_traces(bits, n=2), chunk_size=3), all_bits())


def test_progress_is_shown_and_changes_nothing(capsys):
    assert_same(fit_population(KEYS, bits, chunk_size=5, progress="bits"), fit_population(KEYS, bits, chunk_size=5))
    fit_until_solved(KEYS, toy_trial, chunk_size=5, progress="toys")
    shown = capsys.readouterr().err
    assert "bits: 100%" in shown
    assert "toys: 100%" in shown
    assert "16/16" in shown
    fit_until_solved(KEYS, toy_trial, chunk_size=5)
    assert capsys.readouterr().err == ""


def test_errors_of_a_run_come_through():
    def run(key):
        raise RuntimeError("no such luck")

    with pytest.raises(RuntimeError, match="no such luck"):
        fit_population(KEYS, run)


def test_classifiers_can_be_trained():
    # Integer labels that are part of the program, as in every classification.
    data = Dataset(DATA.x, (DATA.x[:, 0] > 0).astype(jnp.int32))
    run = partial(fit, model=mlp((2, 4, 1)), optimizer=optax.sgd(1.0), loss=binary_cross_entropy, train=data)
    result = fit_population(KEYS[:3], partial(run, num_epochs=100))
    assert (result.train_loss[:, -1] < 0.5 * result.train_loss[:, 0]).all()


# fit_until_solved

RATE = 0.3


def toy_trial(key):
    """Solved with probability 0.3; everything is decided by the key and exact."""
    draw, mark, start = jax.random.bits(key, (3,), "uint32")
    return Trial({"mark": mark}, {"start": start}, draw < int(RATE * 2**32), mark % 5 == 0)


def literal_loop(keys, max_tries):
    """What fit_until_solved promises, one network after the other: last tries, and how many there were."""
    trial = jax.jit(toy_trial)
    last, tries, firsts = [], [], []
    for key in keys:
        for number in range(max_tries):
            outcome = numpy(trial(jax.random.fold_in(key, number)))
            if number == 0:
                firsts.append(bool(outcome.is_solved))
            if outcome.is_solved:
                break
        last.append(outcome)
        tries.append(number + 1)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *last), np.array(tries), np.mean(firsts)


@pytest.mark.parametrize("max_tries", [1, 3, 100])
def test_retries_are_the_literal_loop(max_tries):
    last, tries, rate = literal_loop(KEYS, max_tries)
    solved = fit_until_solved(KEYS, toy_trial, max_tries=max_tries, chunk_size=5)
    assert_same(Trial(solved.params, solved.initial_params, solved.is_solved, solved.diverged), last)
    np.testing.assert_array_equal(solved.tries, tries)
    assert solved.first_try_rate == rate
    np.testing.assert_allclose(solved.first_try_error, np.sqrt(rate * (1 - rate) / 16))
    # The keys must be such that something happens.
    assert 0 < rate < 1
    assert tries.max() == max_tries or max_tries == 100
    assert last.is_solved.all() == (max_tries == 100)
    np.testing.assert_array_equal(solved.tries[~solved.is_solved], max_tries)


@cache
def many_solved():
    return fit_until_solved(jax.random.split(KEY, 2000), toy_trial, max_tries=6)


@pytest.mark.slow
def test_numbers_of_tries_are_geometric():
    # Try t is needed with probability 0.7^(t-1) and solves with 0.3.
    solved = many_solved()
    for number in range(1, 7):
        probability = (1 - RATE) ** (number - 1) * RATE
        observed = np.mean(solved.is_solved & (solved.tries == number))
        assert abs(observed - probability) < 4 * np.sqrt(probability * (1 - probability) / 2000)
    np.testing.assert_array_equal(solved.first_try_rate, np.mean(solved.is_solved & (solved.tries == 1)))


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [1, 3, 100])
@pytest.mark.parametrize("num", [1, 5, 16])
def test_network_i_does_not_depend_on_the_others(num, chunk_size):
    together = many_solved()
    keys = jax.random.split(KEY, 2000)[:num]
    alone = fit_until_solved(keys, toy_trial, max_tries=6, chunk_size=chunk_size)
    fields = ("params", "initial_params", "is_solved", "tries", "diverged")
    for field in fields:
        first = jax.tree.map(lambda leaf: leaf[:num], getattr(together, field))
        assert_same(getattr(alone, field), first)


def test_one_program_serves_all_tries_and_chunks():
    trial = chex.assert_max_traces(toy_trial, n=2)
    assert fit_until_solved(KEYS, trial, chunk_size=3).tries.max() > 2


def test_easy_and_impossible_tasks():
    def always(key):
        return toy_trial(key)._replace(is_solved=jnp.array(True))

    def never(key):
        return toy_trial(key)._replace(is_solved=jnp.array(False))

    easy, impossible = fit_until_solved(KEYS, always, max_tries=5), fit_until_solved(KEYS, never, max_tries=5)
    assert easy.is_solved.all()
    assert (easy.tries == 1).all()
    assert not impossible.is_solved.any()
    assert (impossible.tries == 5).all()
    assert (easy.first_try_rate, easy.first_try_error) == (1, 0)
    assert (impossible.first_try_rate, impossible.first_try_error) == (0, 0)


# Errors


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("function", [fit_population, partial(fit_until_solved)], ids=["population", "until_solved"])
@pytest.mark.parametrize(
    "keys",
    [KEY, KEYS[:0], KEYS.reshape(4, 4), jax.random.PRNGKey(0), jnp.arange(3), np.arange(3.0)],
    ids=["one key", "none", "matrix", "old key", "integers", "numpy"],
)
def test_keys_that_are_no_population(function, keys):
    with pytest.raises((TypeError, ValueError), match=r"one-dimensional array of at least one random key"):
        function(keys, toy_trial)


@pytest.mark.parametrize("function", [fit_population, fit_until_solved])
@pytest.mark.parametrize("chunk_size", [0, -1])
def test_empty_chunks(function, chunk_size):
    with pytest.raises(ValueError, match="chunk_size must be a positive integer"):
        function(KEYS, toy_trial, chunk_size=chunk_size)


@pytest.mark.parametrize("max_tries", [0, -1])
def test_no_tries(max_tries):
    with pytest.raises(ValueError, match="max_tries must be a positive integer"):
        fit_until_solved(KEYS, toy_trial, max_tries=max_tries)


# XOR

# First-try rates over 8 · 10^3 seeds or more a width, found with another library; their own error is at most 0.006.
XOR_RATES = {2: 0.343, 3: 0.660, 5: 0.926, 8: 0.995}
XOR_RATE_ERROR = 0.006
NUM_SEEDS = 2000

CORNERS = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], np.float64)
TARGETS = -CORNERS.prod(axis=1)


def outputs_at_corners(params):
    """Outputs of all networks at the four points, in float64."""
    layers = [{name: np.asarray(leaf, np.float64) for name, leaf in layer.items()} for layer in params.values()]
    hidden = np.maximum(CORNERS @ layers[0]["kernel"] + layers[0]["bias"][:, None], 0)
    return (hidden @ layers[1]["kernel"] + layers[1]["bias"][:, None])[..., 0]


@cache
def trained_once():
    return train_xor(tuple(XOR_RATES), range(NUM_SEEDS), key=31, max_tries=1)


@pytest.mark.slow
@pytest.mark.parametrize("width", XOR_RATES)
def test_xor_is_learnt_as_often_as_known(width):
    study = jg.study.select(trained_once(), width=width)
    is_solved = study.variables["is_solved"]
    rate = XOR_RATES[width]
    error = np.hypot(np.sqrt(rate * (1 - rate) / NUM_SEEDS), XOR_RATE_ERROR)
    assert abs(is_solved.mean() - rate) < 3 * error
    assert (study.variables["tries"] == 1).all()
    # Solved is what has all four signs right, where signs are clear of rounding. What failed may end in the mean, 0.
    before, after = (jg.study.networks(trained_once(), width=width, step=step) for step in (0, 100))
    outputs = outputs_at_corners(after)
    is_clear = np.abs(outputs).min(axis=1) > 1e-4
    is_right = ((outputs > 0) == (TARGETS > 0)).all(axis=1)
    assert is_clear[is_solved].mean() > 0.99
    np.testing.assert_array_equal(is_solved[is_clear], is_right[is_clear])
    # They came from where they say: 100 steps of gradient descent from the initial parameters.
    assert np.mean(squared(outputs)) < np.mean(squared(outputs_at_corners(before)))


def squared(outputs):
    return (outputs - TARGETS) ** 2


def test_xor_networks_are_trained_by_gradient_descent():
    # Full batches, mean squared error, rate 0.1, 100 steps, by hand in float64.
    before, after = (jg.study.networks(trained_once(), width=3, step=step) for step in (0, 100))
    params = [np.asarray(leaf, np.float64) for layer in before.values() for leaf in (layer["kernel"], layer["bias"])]
    for _ in range(100):
        k0, b0, k1, b1 = params
        z = CORNERS @ k0 + b0[:, None]
        hidden = np.maximum(z, 0)
        to_output = 2 / 4 * (hidden @ k1 + b1[:, None] - TARGETS[:, None])
        to_hidden = to_output @ k1.swapaxes(1, 2) * (z > 0)
        gradient = [
            CORNERS.T @ to_hidden,
            to_hidden.sum(1),
            hidden.swapaxes(1, 2) @ to_output,
            to_output.sum(1),
        ]
        params = [p - 0.1 * g for p, g in zip(params, gradient, strict=True)]
    final = [leaf for layer in after.values() for leaf in (layer["kernel"], layer["bias"])]
    error = np.max(
        [np.abs(a - b).reshape(NUM_SEEDS, -1).max(axis=1) for a, b in zip(final, params, strict=True)], axis=0
    )
    # 100 steps of some 20 roundings. A point that crosses a kink can magnify them, in few networks.
    assert np.mean(error < 100 * 20 * EPS) > 0.9


def test_xor_networks_solve_xor_after_enough_tries():
    population = train_xor(2, range(256), key=31)
    assert population.variables["is_solved"].all()
    assert population.variables["tries"].max() > 1
    assert (population.variables["diverged_step"] == -1).all()
    before, after = (jg.study.networks(population, step=step) for step in (0, 100))
    assert ((outputs_at_corners(after) > 0) == (TARGETS > 0)).all()
    # PyTorch's initialisation: weights and biases within one over the root of the number of inputs.
    for layer in before.values():
        assert all(np.abs(leaf).max() <= np.float32(2**-0.5) for leaf in layer.values())


@cache
def study(num_seeds, run=0):
    return xor_study([2, 3], num_seeds, num_grid=21)


def test_xor_study_is_a_table():
    result = study(8)
    assert result.dims["maps"] == result.dims["regions"] == ("width", "seed", "step")
    np.testing.assert_array_equal(result.coords["width"], [2, 3])
    np.testing.assert_array_equal(result.coords["step"], [0, 100])
    assert result.variables["is_solved"].all()
    assert (result.variables["tries"] >= 1).all()
    # One line more cuts a plane into at most that many regions more: 1 + W + W (W - 1) / 2 at most.
    maps, regions = result.variables["maps"], result.variables["regions"]
    assert (regions >= 1).all()
    assert (regions <= np.array([4, 7])[:, None, None]).all()
    # XOR is not affine. Every region has one map, and neighbours may share theirs.
    assert np.isnan(maps[..., 0]).all()
    assert (maps[..., 1] >= 2).all()
    assert (maps[..., 1] <= regions[..., 1]).all()


def assert_same_study(first, second):
    for name, array in first.variables.items():
        np.testing.assert_array_equal(array, second.variables[name], err_msg=name)


@pytest.mark.slow
def test_xor_study_is_a_function_of_its_key():
    assert_same_study(study(8), study(8, run=1))
    other, own = xor_study([2], 8, key=1, num_grid=21), jg.study.select(study(8), width=[2])
    assert (other.variables["regions"] != own.variables["regions"]).any()
    assert (other.variables["tries"] != own.variables["tries"]).any()


def test_first_networks_of_a_study_are_those_of_a_smaller_one():
    # And a width does not depend on the others.
    some = jg.study.select(study(8), width=[3], seed=range(4))
    own = xor_study([3], 4, num_grid=21)
    for name in ("is_solved", "tries", "maps", "regions"):
        np.testing.assert_array_equal(some.variables[name], own.variables[name])


def test_xor_statistics_are_numpys():
    nan = np.nan
    table = jg.Study(
        {
            "is_solved": np.array([[True, True, False], [False, False, False]]),
            "tries": np.array([[1, 3, 4], [1, 2, 2]]),
            "maps": np.array([[[nan, 3], [nan, 5], [nan, 100]], [[nan, 100]] * 3]),
            "regions": np.array([[[1, 4], [2, 7], [6, 100]], [[9, 100]] * 3]),
        },
        {},
        {"width": np.array([2, 5])},
        {},
        {},
        np.ones((2, 3), bool),
    )
    first, second = xor_statistics(table)
    assert (first.width, first.num_networks, first.num_solved) == (2, 3, 2)
    assert first.p_solved == pytest.approx(1 / 3)
    z = NormalDist().inv_cdf(0.975)
    for end in (first.p_solved_low, first.p_solved_high):  # z standard errors away from the fraction
        assert (1 / 3 - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / 3)
    assert first.p_solved_low < 1 / 3 < first.p_solved_high
    assert first.grid_count == pytest.approx({"mean": 4, "sd": np.sqrt(2), "min": 3, "max": 5})
    assert first.exact_count == pytest.approx({"mean": 5.5, "sd": np.sqrt(4.5), "min": 4, "max": 7})
    assert first.exact_count_init == pytest.approx({"mean": 3, "sd": np.sqrt(7), "min": 1, "max": 6})
    assert (second.num_networks, second.num_solved, second.p_solved) == (3, 0, 0)
    assert all(np.isnan(value) for value in second.grid_count.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 2), "'width' needs at least one value"),
        (([2, 2], 2), "all different"),
        (([2, 0], 2), "positive"),
        (([2], 0), "'seed' needs at least one value"),
    ],
)
def test_studies_of_nothing(arguments, message):
    with pytest.raises(ValueError, match=message):
        xor_study(*arguments)


# Devices


@pytest.mark.slow
def test_all_devices_share_the_work_and_give_the_same_bits(tmp_path):
    path = tmp_path / "eight.npz"
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    program = [sys.executable, devices_program.__file__, str(path)]
    subprocess.run(program, env=os.environ | {"XLA_FLAGS": flags}, check=True, timeout=240)
    here, places = devices_program.results()
    assert set(places) == {0}
    with np.load(path) as there:
        assert set(there["places"]) == {0}  # CPUs are one device, with all cores
        assert_same([there[f"cpu_{i}"] for i in range(len(here))], here)
        assert set(there["places_1"]) == {0}
        assert there["places_8"].tolist() == [number // 4 % 8 for number in range(50)]
        of_accelerators = [name.removeprefix("gpu_1_") for name in there if name.startswith("gpu_1_")]
        assert_same(*([there[f"gpu_{num}_{i}"] for i in of_accelerators] for num in (1, 8)))
        # one program trains on all of them, beside a few of one operation, as one squares
        assert there["compiled_8"][0] <= there["compiled_1"][0] + 2 < 8
        assert there["compiled_8"][1] <= there["compiled_1"][1] + 1 < 4


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda run: run, "must return a jaxgeom.Trial"),
        (lambda run: Trial(run.params, run.initial_params, run.train_loss < 1, run.diverged), "single truth values"),
        (lambda run: Trial(run.params, run.initial_params, run.train_loss[-1], run.diverged), "single truth values"),
    ],
    ids=["a fit", "many truths", "a loss"],
)
def test_trials_say_whether_they_solve_their_task(give, message):
    def trial(key):
        return give(fit(key, mlp((2, 2, 1)), optax.sgd(0.1), squared_error, parity(2), num_epochs=1))

    with pytest.raises(TypeError, match=message):
        fit_until_solved(jax.random.split(jax.random.key(0), 8), trial)


@pytest.mark.parametrize("setting", [0.1, [0.1] * 8, {"rate": np.full(7, 0.1)}, np.float32(0.1)])
def test_settings_have_an_axis_of_networks(setting):
    keys = jax.random.split(jax.random.key(0), 8)
    with pytest.raises(ValueError, match="each of the 8 networks needs settings of its own"):
        fit_population(keys, lambda key, setting: jax.random.uniform(key), setting)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("progress", [0, 1, None, ["title"], np.arange(2)])
def test_progress_is_a_flag_or_a_title(progress):
    with pytest.raises(TypeError, match="progress must be True, False or a string"):
        jg.fit_population(jax.random.split(jax.random.key(0), 2), lambda key: key, progress=progress)
    with pytest.raises(TypeError, match="progress must be True, False or a string"):
        jg.map_chunks(lambda x: x, np.zeros(3), chunk_size=1, progress=progress)
