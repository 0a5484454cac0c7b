"""[host] Members spread over the devices of this process, and chunks over processes.

Every device runs one and the same program, on a batch of a size that depends on the study and not on the number of
devices: on equal devices, results are the same to the bit. Within a process, the population axis of a pass is sharded
with ``jax.shard_map``; of several processes (``jax.distributed.initialize()`` comes first), number i of n computes
chunks i, i + n, ….
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, PartitionSpec

from jaxgeom._typing import PyTree
from jaxgeom.chunks import map_chunks
from jaxgeom.population import compiler_options

AXIS = "networks"


def over_devices(function: Callable[..., PyTree], batch_size: int) -> Callable[[PyTree], PyTree]:
    """``function`` of one network, for populations of any size on all local devices.

    Args:
        function: pure, of arguments that are arrays or pytrees of such.
        batch_size: networks that one device computes at once.

    Returns:
        A function of a tuple of arguments with a leading axis (networks); its results are NumPy arrays.
    """
    devices = jax.local_devices()

    def of_batch(population: PyTree) -> PyTree:
        return jax.vmap(function)(*population)

    mapped: Callable[..., Any] = of_batch
    if len(devices) > 1:
        spec, mesh = PartitionSpec(AXIS), Mesh(np.array(devices), (AXIS,))
        mapped = jax.shard_map(of_batch, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    compiled = jax.jit(mapped, compiler_options=compiler_options())
    size = batch_size * len(devices)

    def run(population: PyTree) -> PyTree:
        num = len(jax.tree.leaves(population)[0])
        # Filled up to whole batches, so that no other program is compiled, with members that are thrown away.
        members = np.minimum(np.arange(-(-num // size) * size), num - 1)
        filled = jax.tree.map(lambda array: array[members], population)
        results = map_chunks(compiled, filled, chunk_size=size)
        return jax.tree.map(lambda array: array[:num], results)

    return run


def process() -> tuple[int, int]:
    """Number of this process, and of processes."""
    return jax.process_index(), jax.process_count()


def wait_for_all(what: str) -> None:
    """Wait until every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"jaxgeom study: {what}")
