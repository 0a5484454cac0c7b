"""[host] How much memory is free, for work that is refused before it begins if it would take more."""

import os
from contextlib import suppress
from pathlib import Path

KILO = 1000
"""Of a unit, in the next larger one."""


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


def in_words(num_bytes: float) -> str:
    """A number of bytes in a fitting unit, such as "1.5 GB"."""
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if num_bytes < KILO:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.3g} EB"
