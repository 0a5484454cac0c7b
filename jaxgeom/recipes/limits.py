"""[edge] Checks of the numbers that commands are given, before any work is done."""

import os
from typing import Any

MOST_NETWORKS = 10_000_000
MOST_STEPS = 100_000_000
MOST_UNITS = 100_000
MOST_KEY = 2**32 - 1


def check_numbers(options: Any, **limits: tuple[int, int]) -> None:
    """Refuse options below the least or above the most allowed number.

    Args:
        options: of the command.
        limits: the least and the most of each, by name.

    Raises:
        ValueError: which names the option.
    """
    for name, (least, most) in limits.items():
        given = getattr(options, name)
        for value in given if isinstance(given, list | tuple) else [given]:
            if value is not None and not least <= value <= most:
                what = "a positive integer" if least == 1 else f"at least {least}"
                above = f" and at most {most:,}" if value > most else ""
                raise ValueError(f"{name} must be {what}{above}, but {value} was given.")


def check_different(name: str, values: list[int]) -> None:
    """Refuse a list in which a number comes twice."""
    if len(set(values)) < len(values):
        raise ValueError(f"{name} must be different positive integers, but {values} was given.")


def check_memory(num_numbers: float, what: str, remedy: str) -> None:
    """Refuse work whose arrays of float32 would not fit into the machine's memory.

    Raises:
        ValueError: with both figures and the remedy.
    """
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on this system
        return
    needed = 4.0 * num_numbers
    if needed > memory:
        raise ValueError(
            f"{what} would need at least {needed / 1e9:,.1f} GB of memory, but this machine has "
            f"{memory / 1e9:,.1f} GB; {remedy}."
        )
