"""A small study, the same in every process: for killing it, and for several devices and processes."""

import os
import signal
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxgeom as jg

NUM_CHUNKS = 12


def drawn(features, widths, scale):
    """An MLP whose first weights are scaled by an axis."""
    model = jg.mlp(features, widths=widths)
    return model._replace(init=lambda key: jax.tree.map(lambda leaf: scale * leaf, model.init(key)), is_mlp=False)


def slow(layers):
    """The first weight, after some time."""
    time.sleep(float(os.environ.get("STUDY_SLOWNESS", "0")))
    return np.asarray(layers[0].kernel)[:, 0, 0]


def total(params):
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))


AXES = {"width": [2, 5, 9], "seed": range(20), "scale": [0.5, 2.0]}


def run(axes=AXES, **options):
    measure = {"first": jg.study.of_population(slow), "total": total}
    return jg.run_study(axes, measure, **{"model": drawn, "inputs": 2, "chunk_size": 10, "progress": False} | options)


def zoo(out: str) -> None:
    """Three shards."""
    axes = {"width": 4, "seed": range(6), "num_epochs": 2, "num_points": 60, "batch_size": 16}
    jg.zoo(axes, out=out, shard_size=2, progress=False)


def population() -> list[np.ndarray]:
    """Networks trained, tried until they solve a task, of two architectures, and their cells on a grid."""
    keys, data = jax.random.split(jax.random.key(7), 21), jg.parity(2)

    def trained(key, features=(2, 5, 1), widths=None):
        model = jg.mlp(features, widths=widths)._replace(is_mlp=False)
        return jg.fit(key, model, optax.sgd(0.1), jg.losses.squared_error, data, num_epochs=20, record=10)

    def trial(key):
        found = trained(key)
        return jg.Trial(found.params, found.initial_params, found.train_loss[-1] < 0.5, found.diverged)

    with jg.on_devices(jax.devices()):
        fitted = jg.fit_population(keys, trained, chunk_size=4)
        solved = jg.fit_until_solved(keys, trial, chunk_size=4, max_tries=20)
        groups = jg.fit_architectures(keys, [(2, 5, 1), (2, 3, 1), (2, 3, 1)] * 7, trained, chunk_size=3)
        networks, points = jg.layers_of(fitted.params), jg.grid_points(jg.box(-1, 1), 9)
        counts = [jg.count_grid_regions(networks, points, chunk_size=size) for size in (6, 21)]  # 21: for one of them
    found = fitted, solved, [group.result for group in groups], counts
    return [np.asarray(leaf) for leaf in jax.tree.leaves(found)]


def main(out: str, process: int = 0, num_processes: int = 1, port: int = 0) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it may be ignored
    if num_processes > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", num_processes, process, initialization_timeout=60)
    study = run(out=out)
    if num_processes > 1:
        jg.study.save(study, Path(f"{out}-{process}.npz"))
        zoo(f"{out}-zoo")
        np.savez(f"{out}-{process}-population.npz", *population())
    print(jax.local_device_count(), "devices")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
