"""[host] Signals that are answered between two waits of the main thread.

Python calls the handler of a signal between any two instructions of the main thread, and that of Ctrl-C raises
KeyboardInterrupt there. A finalizer (``__del__``, the callback of a weak reference) may be what runs just then: its
errors are printed as ignored, and the interrupt is lost. So what waits long for other threads puts handlers off, and
calls them where their errors are heard.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a program to end: Ctrl-C, ``kill``, and a terminal that is closed (not on Windows)."""

GO_ON, END, ASK_AGAIN = range(3)
"""What Ctrl-C means for work that goes on beside the main thread, as ``interrupts.h`` of the engine has it."""

_pending: list[Callable[[], Any]] = []
_is_deferring = False


@contextmanager
def deferred() -> Iterator[None]:
    """A block in which handlers of :data:`ENDING` signals are called by :func:`answer` only, and at its end.

    A second signal, before the first is answered, is answered at once. Outside the main thread, which alone handles
    signals, and within another such block, nothing changes.
    """
    global _is_deferring
    if _is_deferring or threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: handler for number in ENDING if callable(handler := signal.getsignal(number))}

    def note(number: int, frame: FrameType | None) -> None:
        if _is_deferring and not _pending:
            _pending.append(partial(handlers[number], number, None))
        else:
            handlers[number](number, frame)

    _is_deferring = True
    try:
        for number in handlers:
            signal.signal(number, note)
        yield
    except KeyboardInterrupt:  # the first answer is enough
        _pending.clear()
        raise
    finally:
        _is_deferring = False
        for number, handler in handlers.items():
            if signal.getsignal(number) is note:
                signal.signal(number, handler)
        answer()


def answer() -> None:
    """Call the handler that was put off, if there is one, which may raise KeyboardInterrupt."""
    if _pending and threading.current_thread() is threading.main_thread():
        _pending.pop()()


def meaning_of_interrupt() -> int:
    """Whether Ctrl-C, which has just been pressed, ends the program or command: it does not where a handler of the
    caller's own does something else with it; and who keeps what was finished first is waited for."""
    if _is_deferring:
        return ASK_AGAIN
    return END if signal.getsignal(signal.SIGINT) is signal.default_int_handler else GO_ON
