"""[edge] What readers of files ask first: whether there is one; and names from files, on one line."""

from collections.abc import Collection
from pathlib import Path

_MOST_TEXT = 60
_MOST_PATH = 250
_MOST_NAMES = 8


def short(name: str) -> str:
    """A name from a file as one line that is not too long."""
    name = name if name.isprintable() else repr(name)[1:-1]
    return name if len(name) <= _MOST_TEXT else f"{name[:_MOST_TEXT]}…"


def listed(names: Collection[str]) -> str:
    """The first few names in brackets."""
    first = [short(name) for name in list(names)[:_MOST_NAMES]]
    return f"[{', '.join(map(repr, first))}{', …' if len(names) > _MOST_NAMES else ''}]"


def file_at(path: str | Path) -> Path:
    """The path of a file.

    Raises:
        ValueError: if there is none.
    """
    path = Path(path)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # names that are too long, or have a zero in them
        is_file = False
    if not is_file:
        where = str(path)
        is_plain = where.isprintable() and len(where) <= _MOST_PATH
        raise ValueError(f"{where if is_plain else short(path.name)} is no file.")
    return path
