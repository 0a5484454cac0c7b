"""[host] How much a study asks for, known before the work: too much is refused with the figure and a remedy."""

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

MOST_LAYERS = 1000
"""Hidden layers of a program. Every one is compiled: about a second each with its training, on a busy core."""
_MEMBER_BYTES = 1000
"""What the host holds for each network, whatever is measured."""
_COPIES = 4
"""Arrays of the size of the parameters that a training step holds: parameters, gradients, updates, optimizer."""


def check_size(lengths: Mapping[str, int]) -> None:
    """Raise a ValueError for axes with more combinations than there is memory for.

    Args:
        lengths: number of values of each axis.
    """
    num, free = math.prod(lengths.values()), free_memory()
    if num * _MEMBER_BYTES > free:
        axes = " × ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise ValueError(
            f"the study has {num:,} networks ({axes}), and keeping book of them takes {_text(num * _MEMBER_BYTES)}, "
            f"but {_text(free)} of memory are free. Take fewer values, or run several studies and merge them."
        )


def check_layers(num_layers: int) -> None:
    """Raise a ValueError for networks of more layers than can be compiled in a reasonable time."""
    if num_layers > MOST_LAYERS:
        raise ValueError(
            f"networks of {num_layers:,} hidden layers were given, but at most {MOST_LAYERS:,} are taken: every layer "
            "is compiled by itself, which takes hours for more. Take a smaller depth."
        )


def check_network(hidden: Sequence[int], param_bytes: int, result_bytes: int) -> None:
    """Raise a ValueError for a network that cannot be trained and measured in the memory that is free.

    Args:
        hidden: units of its hidden layers.
        param_bytes, result_bytes: of its parameters, and of all that is measured and the snapshots.
    """
    needed, free = _COPIES * param_bytes + result_bytes, free_memory()
    if needed > free:
        raise ValueError(
            f"one network with hidden layers of {', '.join(f'{width:,}' for width in hidden)} units takes "
            f"{_text(needed)} with its training and snapshots, but {_text(free)} of memory are free. Take smaller "
            "widths, a smaller depth or fewer at_steps."
        )


def least_bytes(hidden: Sequence[int]) -> int:
    """Bytes that the parameters of a network with such hidden layers take at least, whatever its inputs and outputs."""
    return 4 * (sum(before * after for before, after in pairwise(hidden)) + 3 * sum(hidden))


def check_results(num_networks: int, bytes_each: int) -> None:
    """Raise a ValueError if the variables of all networks together do not fit into memory."""
    needed, free = num_networks * bytes_each, free_memory()
    if needed > free:
        raise ValueError(
            f"the variables of {num_networks:,} networks take {_text(needed)}, but {_text(free)} of memory are free. "
            "Measure less (numbers instead of arrays), at fewer at_steps, or of fewer networks, and merge studies."
        )


def check_data(what: str, num_bytes: int) -> None:
    """Raise a ValueError for data that do not fit into memory."""
    free = free_memory()
    if num_bytes > free:
        raise ValueError(f"{what} takes {_text(num_bytes)}, but {_text(free)} of memory are free. Take fewer points.")


def free_memory() -> int:
    """Bytes of memory that this process may still use: what the machine has, or a container allows."""
    found = [2**62]
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")))
    with suppress(OSError, ValueError):  # "max" where nothing is set
        group = Path("/sys/fs/cgroup")
        found.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    if len(found) == 1:
        with suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return max(0, min(found))


def _text(num_bytes: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000  # type: ignore[assignment]
    return f"{num_bytes:.3g} EB"
