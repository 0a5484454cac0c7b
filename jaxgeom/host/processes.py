"""[host] Processes that share the work: number i of n computes chunks i, i + n, … of those that are left to do.

``jax.distributed.initialize()`` comes first.
"""

import jax
from jax.experimental import multihost_utils


def process() -> tuple[int, int]:
    """Number of this process, and of processes."""
    return jax.process_index(), jax.process_count()


def wait_for_all(what: str) -> None:
    """Wait until every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"jaxgeom study: {what}")
