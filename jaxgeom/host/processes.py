"""[host] Processes that share the work: number i of n computes chunks i, i + n, … of those that are left to do.

``jax.distributed.initialize()`` comes first. Studies share results by files, populations by messages.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


def process() -> tuple[int, int]:
    """Number of this process, and of processes."""
    return jax.process_index(), jax.process_count()


def wait_for_all(what: str) -> None:
    """Wait until every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"jaxgeom study: {what}")


_PIECE = 2**26
"""Bytes of a message from each process, since all of them are on devices at once."""


def gathered(own: Any, members: Sequence[np.ndarray]) -> Any:
    """Results of all processes, the same in each of them, in the order of the population.

    Args:
        own: NumPy arrays with a leading axis, the members that this process computed.
        members: those of each process.

    Raises:
        ValueError: if the results of processes have other members or shapes.
    """
    leaves, structure = jax.tree.flatten(own)
    row_sizes = [int(np.prod(leaf.shape[1:])) * leaf.dtype.itemsize for leaf in leaves]
    size = sum(row_sizes) * max(map(len, members))
    described = np.array([*map(len, members), *row_sizes])
    described = np.array([len(described), *described], np.uint32)
    description = np.zeros(64, np.uint32)
    description[: min(64, len(described))] = described[:64]
    if (multihost_utils.process_allgather(description) != description).any():
        raise ValueError(
            "processes that share a population need the same call with the same chunk_size, but theirs differ. On "
            "machines of several kinds give chunk_size."
        )
    message = np.frombuffer(b"".join(leaf.tobytes() for leaf in leaves), np.uint8)
    message = np.pad(message, (0, size - len(message)))
    pieces = [multihost_utils.process_allgather(message[start : start + _PIECE]) for start in range(0, size, _PIECE)]
    order = np.argsort(np.concatenate(members))
    of_processes = []
    for some, received in zip(members, np.concatenate(pieces, axis=1), strict=True):
        ends = np.cumsum([len(some) * row for row in row_sizes])
        parts = np.split(received[: ends[-1]], ends[:-1])
        of_processes.append(
            [part.view(leaf.dtype).reshape(-1, *leaf.shape[1:]) for part, leaf in zip(parts, leaves, strict=True)]
        )
    found = [np.concatenate(parts)[order] for parts in zip(*of_processes, strict=True)]
    return jax.tree.unflatten(structure, found)
