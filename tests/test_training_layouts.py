"""The engine's two layouts of vectors, a network in each lane and one network in all lanes: the same bits from both."""

from functools import partial

import jax
import numpy as np
import optax
import pytest
from training_truth import assert_same, numpy

import jaxgeom as jg
from jaxgeom.engine import library
from jaxgeom.training import native

pytestmark = pytest.mark.skipif(not library.trainers(), reason="the engine is not built")

RNG = np.random.default_rng(71)
KEYS = jax.random.split(jax.random.key(72), 35)
IN_GROUPS, ALONE = 1, 2


def data(num_points, num_outputs, num_inputs=2):
    """Points with targets that are numbers, or for None, three classes."""
    x = RNG.normal(size=(num_points, num_inputs)).astype(np.float32)
    if num_outputs is None:
        return jg.Dataset(x, RNG.integers(0, 3, num_points).astype(np.int32))
    return jg.Dataset(x, RNG.normal(size=(num_points, num_outputs)).astype(np.float32))


SQUARED, SOFTMAX = jg.losses.squared_error, jg.losses.softmax_cross_entropy
RIGHT = {"accuracy": jg.losses.class_is_right}
RUNS = {
    # More points than a block of either layout, two vectors of units, and as many points as fill no vector.
    "full batch": (
        jg.mlp((2, 33, 17, 1), activation=("leaky_relu", "abs")),
        SQUARED,
        optax.adam(0.01),
        data(203, 1),
        {},
    ),
    "minibatches": (
        jg.mlp((2, 10, 10, 3)),
        SOFTMAX,
        optax.adamw(0.01),
        data(101, None),
        RIGHT | {"batch_size": 30, "drop_last": False, "test": data(37, None), "snapshot_every": 5},
    ),
    "maxout": (
        jg.mlp((2, 5, 4, 2), activation="maxout", output_activation="maxout"),
        SQUARED,
        optax.sgd(0.05),
        data(40, 2),
        {},
    ),
    "sums of squares, no biases, stopping": (
        jg.mlp((2, 5, 4, 3), activation="softplus", use_bias=False),
        SOFTMAX,
        optax.chain(optax.clip_by_global_norm(0.1), optax.adam(0.02)),
        data(99, None),
        RIGHT | {"batch_size": 7, "stop_accuracy": 0.42},
    ),
    "padded": (jg.mlp((2, 6, 6, 1), activation="tanh", widths=(3, 5)), SQUARED, optax.adam(0.01), data(64, 1), {}),
    "single numbers": (jg.mlp((1, 1)), SQUARED, optax.sgd(0.1), data(16, 1, 1), {}),
    "no hidden layer": (jg.mlp((20, 2)), SQUARED, optax.lamb(0.01), data(50, 2, 20), {}),
    # Wide enough for one network to have its units in lanes, and for threads to share it.
    "wide and shallow": (jg.mlp((2, 130, 1)), SQUARED, optax.adam(0.01), jg.parity(2), {}),
    "wide and shallow, in space": (jg.mlp((3, 93, 1)), SQUARED, optax.sgd(0.01), jg.parity(3), {}),
    "divergence": (jg.mlp((2, 12, 12, 1)), SQUARED, optax.sgd(30.0), data(100, 1), {"snapshot_every": 1}),
}


def run_of(name, key, points=None):
    model, loss, optimizer, train, more = RUNS[name]
    train = train if points is None else train._replace(x=points)
    return jg.fit(key, model, optimizer, loss, train, num_epochs=6, batch_losses=True, **more)


@pytest.fixture
def layouts(monkeypatch):
    """Which layout each network had, instead of the step at which it stopped."""

    def named_results(run, results):
        own = native.named_results(run, results)
        return own._replace(stopped_step=own.by_engine)

    with monkeypatch.context() as patch:
        patch.setattr(native, "THREADS", 1)
        patch.setattr("jaxgeom.training.fit.named_results", named_results)
        yield


@pytest.mark.parametrize("name", RUNS)
def test_few_networks_have_the_bits_that_they_have_among_many(name, monkeypatch):
    monkeypatch.setattr(native, "THREADS", 1)
    every = numpy(jax.jit(jax.vmap(partial(run_of, name)))(KEYS))
    first = 34 if name == "single numbers" else 33  # two of the smallest networks would share vectors
    few = numpy(jax.jit(jax.vmap(partial(run_of, name)))(KEYS[first:]))
    assert few.by_engine.all()
    assert_same(few, jax.tree.map(lambda leaf: leaf[first:], every))
    if name == "divergence":
        assert few.diverged.any()
    if name.endswith("stopping"):
        assert (few.stopped_step >= 0).any()


def test_threads_that_share_a_network_give_its_bits(monkeypatch):
    model, points = jg.mlp((3, 210, 200, 2), activation=("tanh", "relu")), data(140, 2, 3)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.001))

    def trained(threads, num):
        monkeypatch.setattr(native, "THREADS", threads)
        run = partial(jg.fit, model=model, optimizer=optimizer, loss=SQUARED, train=points, num_epochs=4, batch_size=90)
        return numpy(jax.jit(jax.vmap(partial(run, drop_last=False, test=points)))(KEYS[:num]))

    alone = trained(1, 1)
    assert alone.by_engine.all()
    assert alone.train_loss[0, -1] < alone.train_loss[0, 0]
    for threads in (2, 3, 5):
        assert_same(trained(threads, 1), alone)
    assert_same(jax.tree.map(lambda leaf: leaf[:1], trained(4, 2)), alone)


def test_networks_with_points_of_their_own_have_the_same_bits(monkeypatch):
    monkeypatch.setattr(native, "THREADS", 1)
    points = RNG.normal(size=(len(KEYS), *RUNS["minibatches"][3].x.shape)).astype(np.float32)
    run = partial(run_of, "minibatches")
    every = numpy(jax.jit(jax.vmap(run))(KEYS, points))
    assert_same(numpy(jax.jit(run)(KEYS[34], points[34])), jax.tree.map(lambda leaf: leaf[34], every))


@pytest.mark.usefixtures("layouts")
def test_few_networks_have_all_lanes_to_themselves():
    def layout(key):
        model, train = jg.mlp((2, 10, 10, 3)), RUNS["minibatches"][3]
        more = {"batch_size": 32, "stop_accuracy": 2.0, "num_epochs": 1}
        return jg.fit(key, model, optax.sgd(0.1), SOFTMAX, train, **RIGHT, **more).stopped_step

    assert set(np.asarray(jax.jit(jax.vmap(layout))(KEYS[:2])).tolist()) == {ALONE}
    assert set(np.asarray(jax.jit(jax.vmap(layout))(KEYS)).tolist()) == {IN_GROUPS}
