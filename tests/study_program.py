"""A small study, the same in every process: for killing it, and for several devices and processes."""

import os
import signal
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

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


def main(out: str, process: int = 0, num_processes: int = 1, port: int = 0) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it may be ignored
    if num_processes > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", num_processes, process, initialization_timeout=60)
    study = run(out=out)
    if num_processes > 1:
        jg.study.save(study, Path(f"{out}-{process}.npz"))
        zoo(f"{out}-zoo")
    print(jax.local_device_count(), "devices")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
