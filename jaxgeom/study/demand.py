"""[host] How much a study asks for, known before the work: too much is refused with the figure and a remedy."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from jaxgeom.host.memory import free_memory, in_words

MOST_LAYERS = 1000
"""Hidden layers of a program. Every one is compiled: about a second each with its training, on a busy core."""
MEMBER_BYTES = 1000
"""What the host holds for each network, whatever is measured."""
_COPIES = 4
"""Arrays of the size of the parameters that a training step holds: parameters, gradients, updates, optimizer."""


def check_size(lengths: Mapping[str, int], member_bytes: int = MEMBER_BYTES) -> None:
    """Raise a ValueError for axes with more combinations than there is memory for.

    Args:
        lengths: number of values of each axis.
        member_bytes: what the host holds for each network.
    """
    num, free = math.prod(lengths.values()), free_memory()
    if num * member_bytes > free:
        axes = " × ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise ValueError(
            f"the study has {num:,} networks ({axes}), and keeping book of them takes {in_words(num * member_bytes)}, "
            f"but {in_words(free)} of memory are free. Take fewer values, or run several studies and merge them."
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
        param_bytes: size of its parameters.
        result_bytes: size of all that is measured, and of the snapshots.
    """
    needed, free = _COPIES * param_bytes + result_bytes, free_memory()
    if needed > free:
        raise ValueError(
            f"one network with hidden layers of {', '.join(f'{width:,}' for width in hidden)} units takes "
            f"{in_words(needed)} with its training and snapshots, but {in_words(free)} of memory are free. Take "
            "smaller widths, a smaller depth or fewer at_steps."
        )


def least_bytes(hidden: Sequence[int]) -> int:
    """Bytes that the parameters of a network with such hidden layers take at least, whatever its inputs and outputs."""
    return 4 * (sum(before * after for before, after in pairwise(hidden)) + 3 * sum(hidden))


def check_results(num_networks: int, bytes_each: int) -> None:
    """Raise a ValueError if the variables of all networks together do not fit into memory."""
    needed, free = num_networks * bytes_each, free_memory()
    if needed > free:
        raise ValueError(
            f"the variables of {num_networks:,} networks take {in_words(needed)}, but {in_words(free)} of memory are "
            "free. Measure less (numbers instead of arrays), at fewer at_steps, or of fewer networks, and merge "
            "studies."
        )


def check_data(what: str, num_bytes: int) -> None:
    """Raise a ValueError for data that do not fit into memory."""
    free = free_memory()
    if num_bytes > free:
        raise ValueError(
            f"{what} takes {in_words(num_bytes)}, but {in_words(free)} of memory are free. Take fewer points."
        )
