"""Populations on however many devices there are, the same in every process: general training, retries, a grid."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxgeom as jg
from jaxgeom.training.population import Trial

KEYS = jax.random.split(jax.random.key(7), 50)
POINTS = jg.grid_points(jg.box(-1, 1), 9)
DATA = jg.parity(2)


def training(key):
    """The general path, whose last digits depend on the size of chunks."""
    model = jg.mlp((2, 5, 1))._replace(is_mlp=False)
    return jg.fit(key, model, optax.sgd(0.1), jg.losses.squared_error, DATA, num_epochs=30, record=10)


def trial(key):
    result = training(key)
    return Trial(result.params, result.initial_params, result.train_loss[-1] < 0.5, result.diverged)


def device(chunk):
    """On which device each member is computed; no program, so that it sees where its chunk is."""
    (found,) = jnp.zeros(1).devices()
    return np.full(len(chunk), found.id)


def results():
    fitted = jg.fit_population(KEYS, training)
    solved = jg.fit_until_solved(KEYS, trial, chunk_size=16)
    counts = jg.count_grid_regions(jg.layers_of(fitted.params), POINTS)
    places = jg.map_chunks(device, np.arange(50), chunk_size=4)
    return [np.asarray(leaf) for leaf in jax.tree.leaves((fitted, solved, counts))], places


if __name__ == "__main__":
    arrays, places = results()
    np.savez(sys.argv[1], *arrays, places=places)
