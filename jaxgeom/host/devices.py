"""[host] Members spread over the devices of this process, and chunks over processes.

Within a process, the population axis is sharded over all local devices, and each device runs the program of one device
on its shard, of a size that depends on the study and not on the number of devices: on equal devices, results are the
same to the bit. (A program partitioned by XLA adds in another order and differs in the last digits.) The price is that
each device compiles the program, all of them side by side. Of several processes (``jax.distributed.initialize()`` comes
first), number i of n computes chunks i, i + n, … of those that are left to do.
"""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from jaxgeom.host.chunks import in_threads, map_chunks
from jaxgeom.host.programs import compiler_options


def over_devices(function: Callable[..., PyTree], batch_size: int) -> Callable[[PyTree], PyTree]:
    """``function`` of one network, for populations of any size on all local devices.

    Args:
        function: pure, of arguments that are arrays or pytrees of such.
        batch_size: networks that one device computes at once.

    Returns:
        A function of a tuple of arguments with a leading axis (networks); its results are NumPy arrays.
    """
    devices = jax.local_devices()
    sharding = NamedSharding(Mesh(np.array(devices), ("networks",)), PartitionSpec("networks"))
    compiled = jax.jit(lambda population: jax.vmap(function)(*population), compiler_options=compiler_options())

    def on_all(population: PyTree) -> PyTree:
        leaves, structure = jax.tree.flatten(jax.device_put(population, sharding))
        shards = [{shard.device: shard.data for shard in leaf.addressable_shards} for leaf in leaves]
        ours = [jax.tree.unflatten(structure, [shard[device] for shard in shards]) for device in devices]
        results = in_threads([partial(compiled, shard) for shard in ours], len(devices))
        return jax.tree.map(lambda *parts: np.concatenate([np.asarray(part) for part in parts]), *results)

    size = batch_size * len(devices)

    def run(population: PyTree) -> PyTree:
        num = len(jax.tree.leaves(population)[0])
        # Filled up to whole batches, so that no other program is compiled, with members that are thrown away.
        members = np.minimum(np.arange(-(-num // size) * size), num - 1)
        filled = jax.tree.map(lambda array: array[members], population)
        results = map_chunks(compiled if len(devices) == 1 else on_all, filled, chunk_size=size)
        return jax.tree.map(lambda array: array[:num], results)

    return run


def process() -> tuple[int, int]:
    """Number of this process, and of processes."""
    return jax.process_index(), jax.process_count()


def wait_for_all(what: str) -> None:
    """Wait until every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"jaxgeom study: {what}")
