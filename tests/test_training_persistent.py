"""The persistent kernel in Pallas' interpreter, against the engine: batches, records, divergence; refusals; and that it
is lowered for other devices."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_truth import EPS, assert_close, numpy

from jaxgeom import fit, mlp, parity, text_log
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import class_is_right, softmax_cross_entropy, squared_error
from jaxgeom.engine import library
from jaxgeom.host.devices import as_platform
from jaxgeom.training import persistent

pytestmark = pytest.mark.skipif(library.machine() is None, reason="the engine is not built")
NUM = 11
"""Networks: more than a block of the interpreter's, and less than two."""
KEYS = jax.random.split(jax.random.key(71), NUM)
XOR = parity(2)
RNG = np.random.default_rng(72)
LABELS = RNG.integers(0, 2, 10).astype(np.int32)
POINTS = (RNG.normal(size=(10, 2)) + 2 * np.eye(2)[LABELS]).astype(np.float32)


def both(run, *settings):
    """A population trained by the persistent kernel, and by the engine."""
    axes = (0,) * (1 + len(settings))
    desired = numpy(jax.jit(jax.vmap(partial(run, persistent=False), in_axes=axes))(KEYS, *settings))
    with as_platform("gpu"):
        return numpy(jax.jit(jax.vmap(partial(run, persistent=True), in_axes=axes))(KEYS, *settings)), desired


def assert_alike(result, desired, num_steps):
    """Every field the same, to roundings of so many steps."""
    for field, mine, other in zip(result._fields, result, desired, strict=True):
        assert jax.tree.map(lambda a: (a.shape, a.dtype), mine) == jax.tree.map(lambda a: (a.shape, a.dtype), other), (
            field
        )
        if field in ("diverged", "diverged_step", "stopped_step", "record_steps", "snapshot_steps", "by_engine"):
            jax.tree.map(np.testing.assert_array_equal, mine, other)
        else:
            assert_close(mine, other, num_steps * 8 * EPS)
    assert result.by_engine.all()


@pytest.mark.slow
def test_minibatches_records_and_snapshots_are_those_of_the_engine():
    def run(key, rate, x, *, persistent):
        # Sums over parameters, a schedule, and settings of each network.
        optimizer = optax.chain(
            optax.clip_by_global_norm(0.5), optax.sgd(lambda count: rate * 0.9**count, momentum=0.5)
        )
        train, test = Dataset(x, jnp.asarray(LABELS)), Dataset(jnp.asarray(POINTS[:4] + 0.5), jnp.asarray(LABELS[:4]))
        return fit(
            key,
            mlp((2, 2, 2), activation="tanh"),
            optimizer,
            softmax_cross_entropy,
            train,
            test=test,
            num_epochs=3,
            batch_size=4,
            drop_last=False,
            record=2,
            accuracy=class_is_right,
            batch_losses=True,
            snapshot_steps=(0, 4, 5),
            stop_accuracy=0.95,
            persistent=persistent,
        )

    rates = 0.5 + np.arange(NUM, dtype=np.float32) / 8
    own = POINTS + 0.1 * RNG.normal(size=(NUM, *POINTS.shape)).astype(np.float32)
    result, desired = both(run, rates, own)
    assert_alike(result, desired, 9)
    assert result.stopped_step.min() == -1
    assert len(np.unique(result.stopped_step)) > 2


@pytest.mark.slow
def test_full_batches_and_divergence_are_those_of_the_engine(monkeypatch):
    monkeypatch.setattr(persistent, "MOST_REGISTERS", 0)  # the optimizer's state in memory
    when = np.full(NUM, 99, np.int32)
    when[[2, 7]] = 0, 4

    def run(key, when, *, persistent):
        model = mlp((2, 3, 1), activation="relu", widths=(2,))
        adamw = optax.adamw(lambda count: jnp.where(count < when, 0.02, 3e38), weight_decay=10.0)
        return fit(key, model, adamw, squared_error, XOR, num_epochs=10, record="step", persistent=persistent)

    result, desired = both(run, when)
    assert_alike(result, desired, 10)
    np.testing.assert_array_equal(result.diverged_step, np.where(when < 99, when + 1, -1))


REFUSED = {
    "101 parameters": ({"model": mlp((2, 25, 1))}, "a network of 101 parameters"),
    "a watch": ({"watch": text_log()}, "a watch"),
    "a line search": ({"optimizer": optax.lbfgs()}, "an optimizer that evaluates the loss"),
    "products of parameters": ({"optimizer": optax.contrib.muon(0.1)}, "an optimizer whose state"),
    "the error function": ({"model": mlp((2, 2, 1))._replace(is_mlp=False)}, "a model that is not made by jaxgeom.mlp"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_kernel_cannot_do_is_refused(name):
    changed, reason = REFUSED[name]
    run = {"model": mlp((2, 2, 1)), "optimizer": optax.sgd(0.1), "loss": squared_error, "train": XOR} | changed
    with pytest.raises(ValueError, match=f"does not take {reason}.*Use persistent=False"):
        fit(KEYS[0], **run, num_epochs=2, persistent=True)


def lowered_for(platform, optimizer):
    def run(key):
        return fit(key, mlp((2, 2, 1)), optimizer, squared_error, XOR, num_epochs=3, record=None, persistent=True)

    return jax.jit(jax.vmap(run)).trace(KEYS).lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning")
def test_other_devices_are_sent_a_kernel(monkeypatch):
    try:
        from jax._src.pallas.triton import gpu_info
    except ImportError:
        pass  # older versions of JAX do not ask which GPU it is
    else:
        found = gpu_info._get_gpu_info_impl(gpu_info.GpuVersion.H100)
        monkeypatch.setattr(gpu_info, "get_gpu_info", lambda: found)
    calls = {"cuda": "triton", "rocm": "triton", "tpu": "tpu_custom_call"}
    for platform, call in calls.items():
        assert call in lowered_for(platform, optax.sgd(0.1, momentum=0.9)), platform
    with pytest.raises(ValueError, match="pow of the step were asked for"):
        lowered_for("tpu", optax.adam(0.1))
