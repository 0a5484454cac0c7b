"""Padded networks in the compiled engine, which trains each set of them without the units that none of it has: all have
the bits of networks without padding. And what a step asks of the loss: updates that take it, and losses of which nobody
asks more than whether they are finite."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_truth import assert_same, member, numpy

from jaxgeom import Dataset, fit, fit_population, mlp
from jaxgeom.data.losses import binary_cross_entropy, softmax_cross_entropy, squared_error
from jaxgeom.training import native

RNG = np.random.default_rng(60)
POINTS = RNG.normal(size=(21, 2)).astype(np.float32)
SIDES = Dataset(POINTS, (POINTS[:, 0] > 0).astype(np.int32))
TARGETS = Dataset(POINTS, POINTS[:, :1] * POINTS[:, 1:])
CORNERS = Dataset(*(np.array(a, np.float32) for a in ([[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]])))
NUM = 40


def widths_of(num_hidden):
    """Of all networks, most of them in order: sets of one width, of some, and of all."""
    return np.sort(RNG.integers(1, 8, (NUM, num_hidden)), axis=0)[np.r_[: NUM - 9, NUM - 1 : NUM - 10 : -1]].astype(
        np.int32
    )


CASES = {
    "shallow": (1, {"activation": "relu"}, binary_cross_entropy, optax.adam(0.02), SIDES, {}),
    "corners": (1, {"activation": "relu"}, squared_error, optax.sgd(0.1), CORNERS, {}),
    "corners, momentum": (1, {"activation": "relu"}, squared_error, optax.sgd(0.1, momentum=0.9), CORNERS, {}),
    "deep": (
        3,
        {"activation": ("tanh", "sigmoid", "abs")},
        squared_error,
        optax.adamw(0.02),
        TARGETS,
        {"batch_size": 5},
    ),
    "without biases": (2, {"activation": "gelu", "use_bias": False}, squared_error, optax.sgd(0.1), TARGETS, {}),
    "maxout": (2, {"activation": ("relu", "maxout")}, squared_error, optax.adam(0.02), TARGETS, {"snapshot_every": 2}),
    "wide": (2, {"activation": "relu"}, squared_error, optax.adam(0.001), TARGETS, {"batch_size": 7}),
}


def unpadded(params, hidden):
    """The arrays of one network without its padding."""
    sizes = [2, *hidden, 1]
    cut = {}
    for i, (name, layer) in enumerate(params.items()):
        columns = np.arange(sizes[i + 1])
        if "maxout" in name:  # two pieces beside each other
            columns = np.concatenate([columns, columns + layer["kernel"].shape[-1] // 2])
        cut[name] = {"kernel": layer["kernel"][..., : sizes[i], :][..., columns]}
        if "bias" in layer:
            cut[name]["bias"] = layer["bias"][..., columns]
    return cut


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_padded_networks_have_the_bits_of_those_without_padding(name):
    num_hidden, options, loss, optimizer, data, more = CASES[name]
    widths = widths_of(num_hidden) * (30 if name == "wide" else 1)
    most = widths.max(axis=0)
    keys = jax.random.split(jax.random.key(61), NUM)
    run = partial(fit, optimizer=optimizer, loss=loss, train=data, num_epochs=6, batch_losses=True, **more)

    def padded(key, own):
        return run(key, mlp((2, *most.tolist(), 1), widths=tuple(own), **options))

    every = fit_population(keys, padded, widths)
    assert every.by_engine.all()
    for i in (0, 7, 20, NUM - 1):
        hidden = widths[i].tolist()
        alone = numpy(jax.jit(partial(run, model=mlp((2, *hidden, 1), **options)))(keys[i]))
        mine = member(every, i)
        assert_same(unpadded(mine.initial_params, hidden), alone.initial_params)
        assert_same(unpadded(mine.params, hidden), alone.params)
        assert_same(mine.batch_losses, alone.batch_losses)
        assert_same(mine.train_loss, alone.train_loss)
        # What is left out is zero, in the results, too.
        size = sum(np.abs(leaf).sum(dtype=np.float64) for leaf in jax.tree.leaves(mine.params))
        own = sum(np.abs(leaf).sum(dtype=np.float64) for leaf in jax.tree.leaves(alone.params))
        np.testing.assert_allclose(size, own, rtol=1e-12)
        if mine.snapshots is not None:
            assert_same(unpadded(mine.snapshots, hidden), alone.snapshots)
    place = np.roll(np.arange(NUM)[::-1], 5)
    assert_same(fit_population(keys[place], padded, widths[place], chunk_size=16), member(every, place))


def test_masks_with_numbers_behind_them_are_no_padding():
    """A unit with masks of zeros but weights takes part, and stays as it is; so does one in the middle of a layer."""
    model = mlp((2, 6, 1), activation="tanh")
    start = jax.tree.map(np.asarray, model.init(jax.random.key(62)))
    mask = jax.tree.map(np.ones_like, start)
    first, last = start
    for unit in (2, 5):
        mask[first]["kernel"][:, unit] = mask[first]["bias"][unit] = mask[last]["kernel"][unit] = 0
    mask = jax.tree.map(lambda leaf: leaf != 0, mask)
    own = model._replace(init=lambda key: jax.tree.map(jnp.asarray, start), mask=mask)

    def run(key, model):
        return fit(key, model, optax.sgd(0.1), squared_error, TARGETS, num_epochs=5)

    results = [
        numpy(jax.jit(jax.vmap(partial(run, model=each)))(jax.random.split(jax.random.key(0), 3)))
        for each in (own, own._replace(is_mlp=False))
    ]
    assert results[0].by_engine.all()
    assert not results[1].by_engine.any()
    for mine in results:
        for leaf, real, before in zip(*map(jax.tree.leaves, (mine.params, mask, start)), strict=True):
            np.testing.assert_array_equal((leaf == before).all(axis=0), ~real)
    for a, b in zip(*(jax.tree.leaves(each.params) for each in results), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("data", [CORNERS, TARGETS], ids=["corners", "points"])
@pytest.mark.parametrize("num", [1, 20])
def test_updates_that_take_the_loss_get_that_of_their_step(data, num):
    """gradient times loss: a program that is one of the commonest ones but for where its number comes from."""

    def update(gradient, state, params=None, *, value, **_):
        return jax.tree.map(lambda g: g * value, gradient), state

    ascent = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)

    def run(key, is_mlp):
        model = mlp((2, 5, 1), activation="relu")._replace(is_mlp=is_mlp)
        return fit(key, model, optax.chain(ascent, optax.identity()), squared_error, data, num_epochs=3)

    keys = jax.random.split(jax.random.key(63), num)
    mine, general = (numpy(jax.jit(jax.vmap(partial(run, is_mlp=each)))(keys)) for each in (True, False))
    assert mine.by_engine.all()
    assert not general.by_engine.any()
    np.testing.assert_allclose(mine.train_loss, general.train_loss, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_wide_networks_have_the_same_bits_alone_and_together(name, monkeypatch):
    optimizer = {"sgd": optax.sgd(0.01), "adamw": optax.adamw(1e-3)}[name]

    def run(key):
        model = mlp((2, 150, 120, 3), activation=("relu", "tanh"))
        data = Dataset(POINTS, np.arange(21, dtype=np.int32) % 3)
        return fit(key, model, optimizer, softmax_cross_entropy, data, num_epochs=3, batch_size=20)

    keys = jax.random.split(jax.random.key(64), 16)
    together = fit_population(keys, run)
    for threads in (1, 3):
        monkeypatch.setattr(native, "THREADS", threads)
        assert_same(fit_population(keys[:1], lambda key: run(key)), member(together, slice(1)))
    general = numpy(jax.jit(jax.vmap(lambda key: fit_general(key, optimizer)))(keys[:2]))
    for a, b in zip(jax.tree.leaves(together.params), jax.tree.leaves(general.params), strict=True):
        np.testing.assert_allclose(a[:2], b, atol=2e-5)


def fit_general(key, optimizer):
    model = mlp((2, 150, 120, 3), activation=("relu", "tanh"))._replace(is_mlp=False)
    data = Dataset(POINTS, np.arange(21, dtype=np.int32) % 3)
    return fit(key, model, optimizer, softmax_cross_entropy, data, num_epochs=3, batch_size=20)


@pytest.mark.parametrize("scale", [1.0, 1e30, 1e38])
def test_losses_that_nobody_keeps_end_training_where_kept_ones_do(scale):
    """Logits of all sizes, up to infinite ones and NaN, which the program that leaves the logarithm out must see."""
    data = Dataset(POINTS * np.float32(scale) / 4, SIDES.y)

    def run(key, rate, keeps):
        model = mlp((2, 3, 1), activation="relu")
        return fit(key, model, optax.sgd(rate), binary_cross_entropy, data, num_epochs=4, batch_losses=keeps)

    keys = jax.random.split(jax.random.key(65), 18)
    rates = np.tile(np.array([0.1, 1e-30, 1e38], np.float32), 6)
    kept, free = (numpy(jax.jit(jax.vmap(partial(run, keeps=keeps)))(keys, rates)) for keeps in (True, False))
    assert kept.by_engine.all()
    assert_same(free, kept._replace(batch_losses=None))
    assert kept.diverged.any()
    assert scale > 1 or not kept.diverged.all()
    steps = np.where(kept.diverged, kept.diverged_step, 5)
    is_taken = np.isfinite(kept.batch_losses).sum(axis=1)  # the loss of the step that diverged may be finite
    assert ((is_taken == steps - 1) | (is_taken == np.minimum(steps, 4))).all()
