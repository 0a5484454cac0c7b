"""Populations on however many devices there are, the same in every process: general training, retries, a grid."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxgeom as jg
from jaxgeom.host.devices import as_platform
from jaxgeom.training.population import Trial

KEYS = jax.random.split(jax.random.key(7), 50)
POINTS = jg.grid_points(jg.box(-1, 1), 9)
DATA = jg.parity(2)
CLASSES = jg.spirals(jax.random.key(3), num_per_class=20)


def training(key):
    """The general path, whose last digits depend on the size of chunks."""
    model = jg.mlp((2, 5, 1))._replace(is_mlp=False)
    return jg.fit(key, model, optax.sgd(0.1), jg.losses.squared_error, DATA, num_epochs=30, record=10)


def by_engine(key):
    """What the engine does on CPUs."""
    return jg.fit(key, jg.mlp((2, 5, 1)), optax.sgd(0.1), jg.losses.squared_error, DATA, num_epochs=30, record=10)


def by_quotients(key, rate):
    """Optimizers that divide quotients, which XLA simplifies in one of two ways where it may choose."""
    model, loss = jg.mlp((2, 6, 5, 3)), jg.losses.softmax_cross_entropy
    makers = (optax.adam, lambda rate: optax.adamw(optax.cosine_decay_schedule(rate, 50)), optax.nadam, optax.lamb)
    return [
        jg.fit(key, model, make(rate), loss, CLASSES, num_epochs=15, batch_size=16, record=None).params
        for make in makers
    ]


def trial(key):
    result = training(key)
    return Trial(result.params, result.initial_params, result.train_loss[-1] < 0.5, result.diverged)


def device(chunk):
    """On which device each member is computed; no program, so that it sees where its chunk is."""
    (found,) = jnp.zeros(1).devices()
    return np.full(len(chunk), found.id)


def results():
    """Arrays of populations; and the device of each of 50 members."""
    fitted = jg.fit_population(KEYS, training, chunk_size=8)
    solved = jg.fit_until_solved(KEYS, trial, chunk_size=16)
    counts = jg.count_grid_regions(jg.layers_of(fitted.params), POINTS)
    other = jg.fit_population(KEYS, by_engine, chunk_size=8)
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves((fitted, solved, counts, other))]
    return arrays, jg.map_chunks(device, np.arange(50), chunk_size=4)


@jax.jit
def squares(chunk):
    return {"squares": chunk**2, "sums": jnp.cumsum(chunk[:, None] * jnp.arange(3.0), axis=1)}


def as_accelerators(num):
    """The same on so many CPUs that are taken for accelerators, and how many programs were compiled to train; and for a
    function that was compiled by ``jax.jit``."""
    compiled = []

    def listen(name, _seconds, **_about):
        compiled.extend([name] * (name == "/jax/core/compile/backend_compile_duration"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    with as_platform("gpu"), jg.on_devices(jax.local_devices()[:num]):
        fitted = jg.fit_population(KEYS, training, chunk_size=6)
        num_compiled = len(compiled)
        solved = jg.fit_until_solved(KEYS, trial, chunk_size=6)
        counts = jg.count_grid_regions(jg.layers_of(fitted.params), POINTS)
        places = jg.map_chunks(device, np.arange(50), chunk_size=4)
        before = len(compiled)
        squared = jg.map_chunks(squares, np.arange(50.0, dtype=np.float32), chunk_size=4)
        num_of_jit = len(compiled) - before
        rates = np.linspace(0.002, 0.02, 16, dtype=np.float32)
        divided = jg.fit_population(KEYS[:16], by_quotients, rates, chunk_size=2)
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves((fitted, solved, counts, squared, divided))]
    return arrays, places, num_compiled, num_of_jit


if __name__ == "__main__":
    arrays, places = results()
    found = {"places": places} | {f"cpu_{i}": array for i, array in enumerate(arrays)}
    for num in (1, 8):
        arrays, places, *compiled = as_accelerators(num)
        found |= {f"gpu_{num}_{i}": array for i, array in enumerate(arrays)}
        found |= {f"places_{num}": places, f"compiled_{num}": np.array(compiled)}
    np.savez(sys.argv[1], **found)
