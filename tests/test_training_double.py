"""Training in double precision: functions of the vector machine at all sizes of numbers, the general path, and the same
bits whatever the population and the threads."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_truth import numpy

import jaxgeom as jg
from jaxgeom.engine import library
from jaxgeom.training import native

pytestmark = pytest.mark.skipif(not library.trainers(True), reason="the engine is not built")
WIDE = np.longdouble
EPS = np.finfo(np.float64).eps


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def applied(name, operation, x):
    """An operation of the machine on numbers, as many as one likes."""
    lib = library.trainers(True)[name]
    lanes, number = lib.jaxgeom_machine_lanes(), library.machine().operations[operation]
    num = -(-len(x) // lanes) * lanes
    memory = [np.zeros(num + 8) for _ in range(2)]
    source, target = (array[-array.ctypes.data // 8 % 8 :][:num] for array in memory)
    source[: len(x)] = x
    lib.jaxgeom_machine_apply(number, num // lanes, target.ctypes.data, source.ctypes.data, source.ctypes.data)
    return target[: len(x)].copy()


def all_sizes():
    """Numbers of both signs and of every exponent, many that are no larger than 700, and the odd ones out."""
    rng = np.random.default_rng(90)
    bits = np.linspace(1 << 52, (0x7FF << 52) - 1, 40_000).astype(np.int64).view(np.float64)
    middle = rng.normal(size=40_000) * np.exp(rng.uniform(-5, 5, 40_000))
    near_one = 1 + 10.0 ** rng.uniform(-16, 0, 10_000) * rng.choice([-0.5, 1], 10_000)
    return np.concatenate([bits, -bits, middle, near_one, [0, -0.0, 1, -1, np.inf, -np.inf, np.nan]])


EXACT = {
    "EXP": (np.exp, 1),
    "EXPM1": (np.expm1, 2),
    "LOG": (np.log, 1),
    "LOG1P": (np.log1p, 1),
    "TANH": (np.tanh, 2.6),
    "LOGISTIC": (lambda x: 1 / (1 + np.exp(-x)), 2.5),
    "SQRT": (np.sqrt, 0.5),
}


@pytest.mark.skipif(np.finfo(WIDE).nmant < 63, reason="there are no wider numbers to compare with")
@pytest.mark.parametrize("name", list(library.trainers(True)))
@pytest.mark.parametrize("operation", EXACT)
def test_functions_are_right_at_all_sizes(name, operation):
    exact, tolerance = EXACT[operation]
    x = all_sizes()
    with np.errstate(all="ignore"):
        expected = exact(WIDE(x))
        found = applied(name, operation, x)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        rounded = expected.astype(np.float64)
        error = np.abs(found - expected) / np.spacing(np.abs(rounded))
        is_same = (found == rounded) | np.isnan(expected)
        is_lost = (np.abs(expected) < 2.0**-1021) & (np.abs(found) < 2.0**-1021)  # subnormal ones count as zero
    assert np.where(is_same | is_lost, 0, error).max() <= tolerance


RNG = np.random.default_rng(91)
POINTS, LABELS = RNG.normal(size=(10, 2)), np.arange(10) % 3
TRAIN = jg.Dataset(POINTS, LABELS)
TEST = jg.Dataset(POINTS.astype(np.float32)[:7] + np.float32(0.1), LABELS[:7])
KEYS = jax.random.split(jax.random.key(92), 11)
RECORDED = {"record": 2, "snapshot_every": 3, "test": TEST, "accuracy": jg.losses.class_is_right, "batch_losses": True}
TASKS = {
    "classes": (
        jg.mlp((2, 5, 4, 3), activation=("relu", "tanh"), dtype="float64"),
        optax.adamw(optax.cosine_decay_schedule(0.02, 20)),  # whose counts become float32 numbers on the way
        jg.losses.softmax_cross_entropy,
        TRAIN,
        {"batch_size": 4, "drop_last": False, "stop_accuracy": 0.9, **RECORDED},
    ),
    # From its sixth step on, a rounding of 0.999**step is 3e5 times as large in what RAdam divides by.
    "rectified": (
        jg.mlp((2, 5, 1), activation="tanh", dtype="float64"),
        optax.radam(0.05),
        jg.losses.squared_error,
        jg.Dataset(POINTS, RNG.normal(size=(10, 1))),
        {"batch_size": 5},
    ),
    "targets": (
        jg.mlp((2, 6, 1), activation="sigmoid", use_bias=False, dtype="float64"),
        optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.1, momentum=0.9)),
        lambda z, y: jnp.log1p(jnp.exp(-z[:, 0] * y[:, 0])) * jnp.float32(0.1),
        jg.Dataset(POINTS, RNG.normal(size=(10, 1)).astype(np.float32)),
        {},
    ),
}


def population(name, keys, *, is_mlp=True):
    model, optimizer, loss, data, options = TASKS[name]
    model = model._replace(is_mlp=is_mlp)
    run = partial(jg.fit, model=model, optimizer=optimizer, loss=loss, train=data, num_epochs=8, **options)
    return numpy(jax.jit(jax.vmap(run))(keys))


@pytest.mark.parametrize("name", TASKS)
def test_it_is_the_general_path_to_rounding(name):
    mine, general = population(name, KEYS), population(name, KEYS, is_mlp=False)
    assert mine.by_engine.all()
    assert not general.by_engine.any()
    for field, own, desired in zip(mine._fields, mine, general, strict=True):
        if field != "by_engine":
            for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(desired), strict=True):
                assert a.dtype == b.dtype, field
                np.testing.assert_allclose(a, b, rtol=1e3 * EPS, atol=1e3 * EPS, err_msg=field)
    assert np.abs(mine.train_loss[:, -1] - mine.train_loss[:, 0]).min() > 1e-6


def test_populations_and_threads_give_the_same_bits(monkeypatch):
    every = population("classes", KEYS)
    some = population("classes", KEYS[4:5])
    monkeypatch.setattr(native, "THREADS", 1)
    for other, members in ((some, slice(4, 5)), (population("classes", KEYS), slice(None))):
        for a, b in zip(jax.tree.leaves(other), jax.tree.leaves(every), strict=True):
            assert a.tobytes() == b[members].tobytes()


def test_it_starts_from_the_same_parameters():
    narrow, wide = (jg.mlp((2, 3, 1), dtype=dtype).init(KEYS[0]) for dtype in ("float32", "float64"))
    for a, b in zip(jax.tree.leaves(narrow), jax.tree.leaves(wide), strict=True):
        assert (a.dtype, b.dtype) == (np.float32, np.float64)
        np.testing.assert_array_equal(a, b)
    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        jg.mlp((2, 3, 1), dtype="float64").init(KEYS[0])
    with pytest.raises(ValueError, match="float16"):
        jg.mlp((2, 3, 1), dtype="float16")


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray])
def test_parameters_of_ones_own_are_as_precise_as_jax_is(make):
    wide = jax.tree.map(lambda leaf: make(leaf, np.float64), jg.mlp((2, 5, 1)).init(KEYS[0]))
    model = jg.mlp((2, 5, 1))._replace(init=lambda _key: wide)
    run = partial(jg.fit, KEYS[0], optimizer=optax.adam(0.1), loss=jg.losses.squared_error, train=jg.parity(2))
    assert run(model=model, num_epochs=9).train_loss.dtype == np.float64
    with jax.enable_x64(False):
        if make is jnp.asarray:
            with pytest.raises(ValueError, match="jax_enable_x64"):
                run(model=model, num_epochs=9)
        else:
            mine, general = (numpy(run(model=model._replace(is_mlp=own), num_epochs=9)) for own in (True, False))
            assert mine.by_engine
            assert mine.params["dense1_linear"]["bias"].dtype == np.float32
            np.testing.assert_allclose(mine.train_loss, general.train_loss, rtol=1e-5)


@pytest.mark.parametrize("name", list(library.trainers(True)))
@pytest.mark.parametrize("num_points", [5, 1030])
def test_few_networks_of_every_library_are_right(name, num_points, monkeypatch):
    """Points are transposed four at a time, also where vectors have two lanes."""
    rng = np.random.default_rng(94)
    data = jg.Dataset(rng.normal(size=(num_points, 4)), rng.choice([-1.0, 1.0], size=(num_points, 1)))
    target = library._registered_trainer(name, True)
    monkeypatch.setattr(library, "train_target", lambda *_, **__: target)
    run = partial(jg.fit, KEYS[0], optimizer=optax.sgd(0.01), loss=jg.losses.squared_error, train=data, num_epochs=3)
    model = jg.mlp((4, 31, 1), use_bias=False, dtype="float64")
    mine, general = (
        jax.jit(lambda own=own: run(model=model._replace(is_mlp=own)).train_loss)() for own in (True, False)
    )
    np.testing.assert_allclose(mine, general, rtol=1e3 * EPS)
