"""The vector machine of training: its functions on all sizes of numbers, optimizers and losses as its programs against
loops of optax, what it refuses, and the same bits whatever the instructions, the threads and the population."""

import warnings
from functools import partial

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import erf
from training_truth import numpy

import jaxgeom as jg
from jaxgeom.engine import library
from jaxgeom.training import native, scalar_graph
from jaxgeom.training.shuffle import random_order

pytestmark = pytest.mark.skipif(not library.trainers(), reason="the engine is not built")
NAMES = list(library.trainers())

# Functions


def applied(name, operation, x):
    """An operation of the machine on numbers, as many as one likes."""
    lib = library.trainers()[name]
    lanes, number = lib.jaxgeom_machine_lanes(), library.machine().operations[operation]
    num = -(-len(x) // lanes) * lanes
    memory = [np.zeros(num + 16, np.float32) for _ in range(2)]
    source, target = (array[-array.ctypes.data // 4 % 16 :][:num] for array in memory)
    source[: len(x)] = x
    lib.jaxgeom_machine_apply(number, num // lanes, target.ctypes.data, source.ctypes.data, source.ctypes.data)
    return target[: len(x)].copy()


def all_sizes(step):
    """Numbers of both signs and of every exponent, and the odd ones out; no subnormal ones, which count as zero."""
    bits = np.arange(0x00800000, 0x7F800000, step, dtype=np.uint32).view(np.float32)
    return np.concatenate([bits, -bits, np.float32([0, -0.0, 1, -1, np.inf, -np.inf, np.nan])])


def in_ulps(found, exact):
    """Distance in units in the last place of the exact result, which float64 has; the smallest normal one at least."""
    with np.errstate(over="ignore", invalid="ignore"):
        spacing = np.spacing(np.maximum(np.abs(exact.astype(np.float32)), np.float32(2**-126)))
        difference = np.abs(found.astype(np.float64) - exact) / spacing
        is_same = found == exact.astype(np.float32)
    largest = np.abs(exact) > np.finfo(np.float32).max
    return np.where(is_same | (largest & np.isinf(found)), 0, difference)


def logistic(x):
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


EXACT = {
    "EXP": (np.exp, 2),
    "EXPM1": (np.expm1, 3),
    "LOG": (np.log, 2),
    "LOG1P": (np.log1p, 3),
    "TANH": (np.tanh, 5),
    "LOGISTIC": (logistic, 4),
    "SQRT": (np.sqrt, 0.5),
    "SIN": (np.sin, 0.51),
    "ERF": (erf, 0.51),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("operation", EXACT)
def test_functions_are_right_at_all_sizes(name, operation):
    exact, tolerance = EXACT[operation]
    x = all_sizes(4999)
    if operation == "LOGISTIC":  # below, results are subnormal
        x = x[(x > -87) | np.isnan(x)]
    with np.errstate(all="ignore"):
        expected = exact(x.astype(np.float64))
    found = applied(name, operation, x)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    is_number = ~np.isnan(expected)
    assert in_ulps(found[is_number], expected[is_number]).max() <= tolerance


@pytest.mark.parametrize("operation", library.machine().operations if library.machine() else [])
def test_instructions_with_multiply_adds_give_the_same_bits(operation):
    if "avx512" not in NAMES:
        pytest.skip("this processor has one library with multiply-adds")
    x = all_sizes(99991)
    narrow, wide = (applied(name, operation, x).view(np.uint32) for name in ("avx2", "avx512"))
    np.testing.assert_array_equal(narrow, wide)


# Optimizers and losses, against the same loop of optax in JAX's own programs

DATA = jg.Dataset(*jnp.asarray(np.random.default_rng(60).normal(size=(2, 10, 2)).astype(np.float32)))
LABELS = jg.Dataset(DATA.x, jnp.arange(10) % 3)
KEYS = jax.random.split(jax.random.key(61), 9)


def on_kernels(params):
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def by_name(params):
    return {layer: {name: name for name in arrays} for layer, arrays in params.items()}


RATE_ALONE = (
    *("adabelief", "adadelta", "adagrad", "adam", "adamax", "adamaxw", "adamw", "adan", "amsgrad", "fromage", "lamb"),
    *("lion", "nadam", "nadamw", "novograd", "optimistic_adam", "optimistic_gradient_descent", "radam", "rmsprop"),
    *("rprop", "sgd", "sign_sgd", "yogi"),
)
OPTIMIZERS = {
    **{name: getattr(optax, name)(1e-2) for name in RATE_ALONE},
    "lars": optax.lars(1e-2, weight_decay=1e-3),
    "polyak_sgd": optax.polyak_sgd(0.1),
    "momentum": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "cosine": optax.adam(optax.cosine_decay_schedule(0.1, 20)),
    "warm-up": optax.adam(optax.warmup_cosine_decay_schedule(0, 0.1, 4, 20)),
    "piecewise": optax.sgd(optax.piecewise_constant_schedule(0.1, {3: 0.5})),
    "exponential": optax.sgd(optax.exponential_decay(0.1, 4, 0.5, staircase=True)),
    "injected": optax.inject_hyperparams(optax.adam)(learning_rate=optax.linear_schedule(0.1, 0, 10)),
    "clip": optax.chain(optax.clip(0.1), optax.sgd(0.1)),
    "global norm": optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.1)),
    "decay of kernels": optax.adamw(0.1, weight_decay=0.1, mask=on_kernels),
    "two optimizers": optax.multi_transform({"kernel": optax.adam(0.1), "bias": optax.sgd(0.1)}, by_name),
    "several steps": optax.MultiSteps(optax.adam(0.1), 2),
    "plateaus": optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(factor=0.5, patience=1, cooldown=1)),
    "schedule-free": optax.contrib.schedule_free_adamw(0.1, warmup_steps=3),
    "averaged": optax.chain(optax.sgd(0.1), optax.ema(0.9)),
    "centralised": optax.chain(optax.scale_by_param_block_norm(), optax.sgd(0.1)),
}
LOSSES = {
    "squared": (jg.losses.squared_error, DATA, 2),
    "softmax": (jg.losses.softmax_cross_entropy, LABELS, 3),
    "labels as indices": (optax.softmax_cross_entropy_with_integer_labels, LABELS, 3),
    "label smoothing": (
        lambda z, y: optax.softmax_cross_entropy(z, optax.smooth_labels(jax.nn.one_hot(y, 3), 0.1)),
        LABELS,
        3,
    ),
    "huber": (lambda z, y: optax.huber_loss(z, y).mean(1), DATA, 2),
    "hinge": (lambda z, y: optax.hinge_loss(z[:, 0], jnp.sign(y[:, 0])), DATA, 2),
    "focal": (lambda z, y: optax.sigmoid_focal_loss(z[:, 0], y[:, 0] > 0, gamma=2.0), DATA, 2),
    "signed labels": (lambda z, y: (z[:, 0] - jnp.where(y == 2, -1, 1) * y) ** 2, LABELS, 3),
    "whole numbers": (lambda z, y: (z[:, 0] - (y**2 - abs(-y) + jnp.sign(1 - y))) ** 2, LABELS, 3),
    "powers of two": (lambda z, y: jnp.exp2(3 * z[:, 0]) * 0.01 + (z[:, 1] - y[:, 1]) ** 2, DATA, 2),
    "labels of 8 bits": (jg.losses.softmax_cross_entropy, jg.Dataset(DATA.x, LABELS.y.astype(jnp.uint8)), 3),
    "labels that are bool": (jg.losses.softmax_cross_entropy, jg.Dataset(DATA.x, LABELS.y == 1), 2),
    "chosen branch": (
        lambda z, y: jax.vmap(lambda z, y: jax.lax.switch(y, [lambda z: z**2, lambda z: z**4, jnp.abs], z[0]))(z, y),
        LABELS,
        3,
    ),
}


def pairs(*trees):
    return zip(*map(jax.tree.leaves, trees), strict=True)


def trained(optimizer, loss, data, num_outputs, activation="tanh", **options):
    def run(key):
        model = jg.mlp((2, 4, 3, num_outputs), activation=activation)
        options_of_run = {"num_epochs": 5, "batch_size": 4, "drop_last": False} | options
        return jg.fit(key, model, optimizer, loss, data, batch_losses=True, **options_of_run)

    return numpy(jax.jit(jax.vmap(run))(KEYS))


order_of = jax.jit(lambda key, epoch: random_order(key, 10, epoch))  # one program, not one for each call


def by_optax(result, optimizer, loss, data, num_outputs, activation="tanh", num_epochs=5):
    """The same from the same parameters on the same batches, a loop of optax; last parameters of each network."""
    model = jg.mlp((2, 4, 3, num_outputs), activation=activation)

    @jax.jit
    def step(params, state, rows):
        value, gradient = jax.value_and_grad(lambda p: loss(model.apply(p, data.x[rows]), data.y[rows]).mean())(params)
        updates, state = optax.with_extra_args_support(optimizer).update(gradient, state, params, value=value)
        return optax.apply_updates(params, updates), state

    for member, key in enumerate(KEYS):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf[member]), result.initial_params)  # noqa: B023
        state = optimizer.init(params)
        order_key = jax.random.split(key)[1]
        for epoch in range(num_epochs):
            order = order_of(order_key, epoch)
            for rows in (order[:4], order[4:8], order[8:]):
                params, state = step(params, state, rows)
        yield member, params


def assert_optaxs(result, *task, **options):
    assert result.by_engine.all()
    assert not result.diverged.any()
    for member, params in by_optax(result, *task, **options):
        for mine, leaf in pairs(result.params, params):
            # Fifteen steps of rounding, which optimizers that divide by small gradients magnify.
            np.testing.assert_allclose(mine[member], leaf, rtol=2e-4, atol=2e-5)
    moved = [np.abs(mine - first).max() for mine, first in pairs(result.params, result.initial_params)]
    assert max(moved) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_are_loops_of_optax(name):
    task = OPTIMIZERS[name], *LOSSES["squared"]
    assert_optaxs(trained(*task), *task)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_loops_of_optax(name):
    task = OPTIMIZERS["momentum"], *LOSSES[name]
    assert_optaxs(trained(*task), *task)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["elu", "gelu", "softplus", "sin", "maxout", ("hard_tanh", 0.3)])
def test_activations_are_those_of_loops_of_optax(activation):
    task = OPTIMIZERS["momentum"], *LOSSES["softmax"]
    assert_optaxs(trained(*task, activation=activation), *task, activation=activation)


@pytest.mark.slow
def test_settings_differ_between_networks():
    """A learning rate, a decay and a schedule of each network's own, and a state that starts from them."""
    rates, decays = np.geomspace(1e-3, 1e-1, 9, dtype=np.float32), np.linspace(0, 0.9, 9, dtype=np.float32)

    def optimizer(rate, decay):
        schedule = optax.exponential_decay(rate, 3, 0.9)
        scaled = optax.inject_hyperparams(optax.adamw, hyperparam_dtype=jnp.float32)(schedule, b1=decay)
        return optax.chain(scaled, optax.clip(rate))

    def run(key, rate, decay):
        model = jg.mlp((2, 4, 3, 2), activation="tanh")
        return jg.fit(key, model, optimizer(rate, decay), jg.losses.squared_error, DATA, num_epochs=5)

    result = numpy(jax.jit(jax.vmap(run))(KEYS, rates, decays))
    assert result.by_engine.all()
    for member in (0, 4, 8):
        own_rate, own_decay = float(rates[member]), float(decays[member])
        alone = numpy(jax.jit(run)(KEYS[member], own_rate, own_decay))
        params = steps(optimizer(own_rate, own_decay), jax.tree.map(lambda leaf: leaf[member], result.initial_params))  # noqa: B023
        for mine, theirs, leaf in pairs(result.params, alone.params, params):
            np.testing.assert_allclose(mine[member], leaf, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(theirs, leaf, rtol=1e-4, atol=1e-6)


def steps(optimizer, params):
    """Five full batches, by optax."""
    model, state = jg.mlp((2, 4, 3, 2), activation="tanh"), optimizer.init(params)
    for _ in range(5):
        gradient = jax.grad(lambda p: jg.losses.squared_error(model.apply(p, DATA.x), DATA.y).mean())(params)
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return params


# What the engine does not take

UNKNOWN = {
    "noise": (optax.noisy_sgd(0.01, key=jax.random.key(0)), *LOSSES["squared"]),
    "rows and columns": (optax.adafactor(0.01), *LOSSES["squared"]),
    "neighbours": (optax.sgd(0.1), lambda z, y: ((z - z.mean(axis=0) - y) ** 2).mean(1), DATA, 2),
    "other points": (optax.sgd(0.1), lambda z, y: ((z - jnp.roll(z, 1, axis=0) - y) ** 2).mean(1), DATA, 2),
    "number of points": (optax.sgd(0.1), lambda z, y: ((z - y) ** 2).mean(1) / z.shape[0], DATA, 2),
    "places": (optax.sgd(0.1), lambda z, y: ((z - y) ** 2).mean(1) * jnp.arange(z.shape[0]), DATA, 2),
    "numbers that wrap around": (
        optax.sgd(0.1),
        lambda z, y: (z[:, 0] - (y - 1).astype(jnp.float32) / 255) ** 2,
        jg.Dataset(DATA.x, LABELS.y.astype(jnp.uint8)),
        3,
    ),
    "fewer bits": (optax.sgd(0.1), lambda z, y: ((jax.lax.reduce_precision(z, 8, 7) - y) ** 2).mean(1), DATA, 2),
    "sorted outputs": (optax.sgd(0.1), lambda z, y: ((jnp.sort(z, axis=1) - y) ** 2).mean(1), DATA, 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UNKNOWN)
def test_the_general_path_takes_the_rest(name, caplog):
    with caplog.at_level("INFO", "jaxgeom"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result = trained(*UNKNOWN[name], num_epochs=2, drop_last=True)
    assert not result.by_engine.any()
    assert "general path" in caplog.text
    assert np.isfinite(result.batch_losses).all()


@pytest.mark.slow
def test_new_operations_of_jax_are_named():
    """What losses and optimizers consist of is known by name: none of it has another name in the installed version."""
    reasons = []
    known = native.native_run

    def spy(*arguments, **options):
        try:
            return known(*arguments, **options)
        except scalar_graph.Unsupported as reason:
            reasons.append(str(reason))
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxgeom.training.fit.native_run", spy)
        tasks = [(optimizer, *LOSSES["squared"]) for optimizer in OPTIMIZERS.values()]
        for task in [*tasks, *((OPTIMIZERS["sgd"], *task) for task in LOSSES.values())]:
            optimizer, loss, data, num_outputs = task
            run = partial(jg.fit, optimizer=optimizer, loss=loss, train=data, num_epochs=1)
            jax.eval_shape(partial(run, model=jg.mlp((2, 3, num_outputs))), KEYS[0])
    assert not reasons


# Bits


def population_run(key):
    model = jg.mlp((2, 7, 5, 3), activation=("relu", "tanh"))
    split = {"test": LABELS, "accuracy": jg.losses.class_is_right, "record": 2, "snapshot_every": 3}
    loss = jg.losses.softmax_cross_entropy
    return jg.fit(key, model, optax.adamw(0.02), loss, LABELS, num_epochs=6, batch_size=4, batch_losses=True, **split)


MANY = jax.random.split(jax.random.key(62), 70)


def assert_same_bits(first, second):
    for mine, desired in pairs(first, second):
        assert np.asarray(mine).tobytes() == np.asarray(desired).tobytes()


@pytest.mark.slow
def test_populations_of_all_sizes_places_and_nestings_give_the_same_bits():
    every = numpy(jax.jit(jax.vmap(population_run))(MANY))
    for num in (1, 2, 7, 8, 9, 16, 17, 33):
        some = numpy(jax.jit(jax.vmap(population_run))(MANY[:num]))
        assert_same_bits(some, jax.tree.map(lambda leaf: leaf[:num], every))  # noqa: B023
    backwards = numpy(jax.jit(jax.vmap(population_run))(MANY[::-1]))
    assert_same_bits(backwards, jax.tree.map(lambda leaf: leaf[::-1], every))
    nested = numpy(jax.jit(jax.vmap(jax.vmap(population_run)))(MANY.reshape(7, 10)))
    assert_same_bits(jax.tree.map(lambda leaf: leaf.reshape(70, *leaf.shape[2:]), nested), every)
    assert_same_bits(numpy(jax.jit(population_run)(MANY[5])), jax.tree.map(lambda leaf: leaf[5], every))
    mapped = numpy(jax.lax.map(population_run, MANY, batch_size=16))
    assert_same_bits(mapped, every)


@pytest.mark.slow
def test_instructions_and_threads_give_the_same_bits(monkeypatch):
    every = numpy(jax.jit(jax.vmap(lambda key: population_run(key)))(MANY))
    if "avx512" in NAMES:
        target = library.train_target(1, 1, is_double=False)
        monkeypatch.setattr(library, "train_target", lambda *_, **__: target)
        assert_same_bits(numpy(jax.jit(jax.vmap(lambda key: population_run(key)))(MANY)), every)
    monkeypatch.setattr(native, "THREADS", 1)
    assert_same_bits(numpy(jax.jit(jax.vmap(lambda key: population_run(key)))(MANY)), every)


def test_without_multiply_adds_it_is_the_same_to_rounding(monkeypatch):
    every = numpy(jax.jit(jax.vmap(lambda key: population_run(key)))(MANY))
    target = library._registered_trainer("baseline", False)
    monkeypatch.setattr(library, "train_target", lambda *_, **__: target)
    plain = numpy(jax.jit(jax.vmap(lambda key: population_run(key)))(MANY))
    np.testing.assert_allclose(plain.batch_losses, every.batch_losses, rtol=1e-3, atol=1e-4)
    assert plain.by_engine.all()


def test_subnormal_numbers_are_as_before_after_training(monkeypatch):
    monkeypatch.setattr(native, "THREADS", 1)  # on the thread that calls, whose mode would stay changed
    jax.block_until_ready(jax.jit(jax.vmap(lambda key: population_run(key)))(MANY))
    assert np.float32(2**-140) * np.float32(0.5) > 0


def test_wide_integers_take_the_general_path(caplog):
    with jax.enable_x64(True), caplog.at_level("INFO", "jaxgeom"):
        data = jg.Dataset(DATA.x, jnp.arange(10, dtype=jnp.int32) % 3)
        loss = lambda z, y: (z[:, 0] - (y.astype(jnp.int64) * 3_000_000_000 % 7)) ** 2  # noqa: E731
        result = trained(optax.sgd(0.1), loss, data, 3)
    assert not result.by_engine.any()
    assert "wider than 32 bits" in caplog.text


# Other devices


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_programs_for_accelerators_take_the_general_path(platform):
    exported = jax.export.export(jax.jit(jax.vmap(population_run)), platforms=[platform])(MANY)
    assert "jaxgeom" not in exported.mlir_module()


@pytest.mark.slow
def test_a_program_for_accelerators_is_the_same_to_rounding(monkeypatch):
    every = numpy(jax.jit(jax.vmap(population_run))(MANY[:10]))
    with monkeypatch.context() as patch:
        patch.setattr("jaxgeom.training.primitive.MOST_PARAMETERS", 0)
        general = numpy(jax.jit(jax.vmap(lambda key: population_run(key)))(MANY[:10]))
    assert not general.by_engine.any()
    for field in every._fields:
        if field != "by_engine":
            for mine, desired in pairs(getattr(every, field), getattr(general, field)):
                np.testing.assert_allclose(mine, desired, rtol=1e-4, atol=1e-4)
