"""[host] Files that are complete or not there at all, whatever interrupts their writing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path in the same directory, which is created if need be; the file written there gets its name when
    all went well, and is removed else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(directory: Path) -> None:
    """Remove what this process began to write there, for one that ends without unwinding."""
    for path in directory.glob(f".*.{os.getpid()}.*"):
        path.unlink(missing_ok=True)
