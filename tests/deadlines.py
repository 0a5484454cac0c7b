"""Deadlines that a busy machine does not miss: what takes too long is done again, and the fastest of several counts."""

import functools
import time
from collections.abc import Callable
from typing import ParamSpec

Arguments = ParamSpec("Arguments")
TRIES = 3


class Late(AssertionError):
    """What was to take some seconds took more."""


def in_time(start: float, seconds: float) -> None:
    """Fails if more than some seconds went by since ``start`` of ``time.monotonic()``."""
    taken = time.monotonic() - start
    if taken > seconds:
        raise Late(f"{taken:.2f} seconds; at most {seconds} are allowed")


def fastest_counts(test: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """A test that is late only if it is late every time; whatever else fails in it fails at once."""

    @functools.wraps(test)
    def tried(*arguments: Arguments.args, **options: Arguments.kwargs) -> None:
        for left in reversed(range(TRIES)):
            try:
                return test(*arguments, **options)
            except Late:
                if not left:
                    raise
        raise AssertionError

    return tried
