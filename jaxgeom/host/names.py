"""[host] Names as callers give them: one of those that are known, or an error that lists them and names the nearest."""

from collections.abc import Iterable
from typing import Any

_ALIKE = 0.6
"""Of twice the letters in common over the letters of both, from which a name is taken for a misspelt one."""


def check_name(what: str, given: Any, known: Iterable[str], remedy: str = "") -> None:
    """Raise a ValueError, which lists all names and says which is nearest, unless one of them was given.

    Args:
        what: the name stands for, such as "kind".
        given: by the caller.
        known: names.
        remedy: one more sentence.
    """
    known = list(known)
    if not isinstance(given, str) or given not in known:
        also = f" {remedy}" if remedy else ""
        raise ValueError(
            f"{what} must be one of {', '.join(known)}, but {given!r} was given.{did_you_mean(given, known)}{also}"
        )


def did_you_mean(given: Any, known: Iterable[str]) -> str:
    """The end of a message, " Did you mean 'width'?", if one of the known names is much like the one given; or ""."""
    if not isinstance(given, str):
        return ""
    from difflib import get_close_matches  # when it is needed

    alike = {name.lower().replace("-", "_"): name for name in known}
    found = get_close_matches(given.lower().replace("-", "_"), alike, n=1, cutoff=_ALIKE)
    return f" Did you mean {alike[found[0]]!r}?" if found else ""
