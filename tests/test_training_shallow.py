"""Steps of shallow networks in registers, and programs that the engine knows: the same bits as by the general way."""

import ctypes
from functools import partial

import jax
import numpy as np
import optax
import pytest
from training_truth import assert_same, numpy

import jaxgeom as jg
from jaxgeom.engine import library
from jaxgeom.training import fit as fit_module
from jaxgeom.training import native

pytestmark = pytest.mark.skipif(not library.trainers(), reason="the engine is not built")

KEYS = jax.random.split(jax.random.key(5), 19)
SQUARED, BINARY, SOFTMAX = jg.losses.squared_error, jg.losses.binary_cross_entropy, jg.losses.softmax_cross_entropy
XOR, CLASSES = jg.parity(2), jg.Dataset(np.ones((4, 2), np.float32), np.array([0, 1, 2, 0]))
RUNS = {
    # A model, an optimizer, a loss and the number of inputs: two units and more, each known optimizer and others.
    "sgd, two units": (jg.mlp((2, 2, 1)), optax.sgd(0.1), SQUARED, 2),
    "divergence": (jg.mlp((2, 2, 1)), optax.sgd(2.0), SQUARED, 2),
    "adam": (jg.mlp((3, 4, 1)), optax.adam(0.05), SQUARED, 3),
    "adamw, a schedule": (jg.mlp((2, 3, 1)), optax.adamw(optax.cosine_decay_schedule(0.05, 30)), BINARY, 2),
    "momentum, padded": (jg.mlp((2, 6, 1), widths=(3,)), optax.sgd(0.05, momentum=0.9), SQUARED, 2),
    "momentum, divergence": (jg.mlp((3, 3, 1)), optax.sgd(0.75, momentum=0.9), SQUARED, 3),
    "a norm": (jg.mlp((2, 3, 1)), optax.chain(optax.clip_by_global_norm(0.1), optax.adam(0.02)), BINARY, 2),
}


def run_of(name, key, x=None, *, num_epochs=30, **more):
    model, optimizer, loss, num_inputs = RUNS[name]
    data = jg.parity(num_inputs)
    return jg.fit(key, model, optimizer, loss, data if x is None else data._replace(x=x), num_epochs=num_epochs, **more)


@pytest.mark.parametrize("name", RUNS)
def test_points_that_networks_share_give_the_bits_of_points_of_their_own(name):
    x = np.broadcast_to(jg.parity(RUNS[name][3]).x, (len(KEYS), *jg.parity(RUNS[name][3]).x.shape))
    run = partial(run_of, name, **({"batch_losses": True} if name == "adam" else {"snapshot_every": 10}))

    @jax.jit
    def both(keys, x):  # no step in registers takes points of one's own
        return jax.vmap(run)(keys), jax.vmap(run)(keys, x)

    shared, own = numpy(both(KEYS, x))
    assert shared.by_engine.all()
    assert own.by_engine.all()
    assert_same(shared, own)
    assert shared.diverged.any() == name.endswith("divergence")
    assert not shared.diverged.all()


def test_steps_do_not_depend_on_how_many_are_taken_at_once():
    each = numpy(jax.jit(jax.vmap(partial(run_of, "sgd, two units", batch_losses=True)))(KEYS[:3]))
    assert_same(numpy(jax.jit(jax.vmap(partial(run_of, "sgd, two units")))(KEYS[:3])).params, each.params)


# Programs


def program_of(optimizer, loss, monkeypatch, widths=(2, 2, 1), data=XOR):
    """The instructions of an optimizer and a loss, and the scalars."""
    runs = []

    def native_run(*args, **kwargs):
        runs.append(native.native_run(*args, **kwargs))
        return runs[-1]

    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "native_run", native_run)
        jax.eval_shape(lambda key: jg.fit(key, jg.mlp(widths), optimizer, loss, data, num_epochs=1), KEYS[0])
    arrays = {name: np.frombuffer(data, dtype) for name, dtype, data in runs[0].attributes}
    code, sizes = arrays["code"].reshape(-1, 6), arrays["code_sizes"]
    start = sizes[:5].sum()
    return code[: sizes[0]], code[start : start + sizes[5]], arrays["scalars"].view(np.float32)


def aligned(num):
    """Zeros at an address that vectors may have."""
    memory = np.zeros(num + 16, np.float32)
    return memory[-memory.ctypes.data // 4 % 16 :][:num]


def run_program(lib, code, scalars, arrays, num, is_known):
    """What a program leaves in arrays of so many vectors, and its name."""
    lanes = lib.jaxgeom_machine_lanes()
    given = [aligned(num * lanes) for _ in arrays]
    for to, values in zip(given, arrays, strict=True):
        to[:] = values[: num * lanes]
    own = aligned(len(scalars) * lanes)
    own[:] = np.repeat(scalars, lanes)
    temporaries = aligned(16 * 32 * lanes)
    places = (ctypes.c_void_p * len(given))(*(array.ctypes.data for array in given))
    code = np.ascontiguousarray(code, np.int32)
    more = (temporaries.ctypes.data, places, len(given), own.ctypes.data, is_known)
    return given, lib.jaxgeom_machine_program(code.ctypes.data, len(code), num, *more).decode()


@pytest.mark.parametrize("name", library.trainers())
def test_known_programs_are_found_and_give_the_bits_of_their_instructions(name, monkeypatch):
    lib, rng = library.trainers()[name], np.random.default_rng(3)
    optimizers = {
        "sgd": optax.sgd(0.1),
        "momentum": optax.sgd(0.1, momentum=0.9),
        "adam": optax.adam(0.01),
        "adamw": optax.adamw(0.01),
    }
    arrays = [rng.normal(size=16 * 40).astype(np.float32) for _ in range(5)]
    arrays[4] = np.abs(arrays[4])  # second moments
    for wanted, optimizer in optimizers.items():
        step, loss, scalars = program_of(optimizer, SQUARED, monkeypatch)
        scalars = np.where(scalars == 0, np.float32(0.3), scalars)  # what a schedule sets
        for code, known in ((step, wanted), (loss, "squared_error")):
            at_once, found = run_program(lib, code, scalars, arrays, 37, True)
            assert found == known
            assert_same(at_once, run_program(lib, code, scalars, arrays, 37, False)[0])
            assert np.isfinite(at_once).all()
        among_others = program_of(optimizer, SOFTMAX, monkeypatch, (2, 3, 3, 3), CLASSES)[0]
        np.testing.assert_array_equal(among_others, step)
    _, loss, scalars = program_of(optax.sgd(0.1), SOFTMAX, monkeypatch, (2, 3, 3), CLASSES)
    labels = np.asarray(np.arange(16 * 40) % 3, np.int32).view(np.float32)
    at_once, found = run_program(lib, loss, scalars, [arrays[0], labels, *arrays[1:4]], 37, True)
    assert found == "softmax_cross_entropy"
    assert_same(at_once, run_program(lib, loss, scalars, [arrays[0], labels, *arrays[1:4]], 37, False)[0])
    assert np.isfinite(np.concatenate(at_once[2:])).all()
    other = program_of(optax.rmsprop(0.1), BINARY, monkeypatch)[0]
    assert run_program(lib, other, np.ones(32, np.float32), arrays, 3, True)[1] == ""
