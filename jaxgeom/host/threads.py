"""Daemon threads for work that cannot be interrupted, so that neither the caller nor the interpreter waits for its end.

A pool of Python's own waits, after Ctrl-C, until all that runs in it has ended, and so does the interpreter when it
exits. These threads are daemons: who waits for them is interrupted at once, what has not begun never will, in pools
that were started from within this one either, and what is running ends unheard. When the interpreter exits, it gives
them a moment and is then ended without its usual tidying up, since the compiled programs that they are in would not
survive that; open files are flushed, and the exit status is that of the interpreter.
"""

import atexit
import gc
import io
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from jaxgeom.host.signals import answer, deferred

GRACE = 0.5
"""Seconds that work left behind has to end, when the interpreter exits or what it was a part of is interrupted."""


class Future:
    """The result of a function of one argument, when there is one."""

    def __init__(self, argument: Any):
        self.argument = argument
        self.has_begun = False
        self._done = threading.Event()
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self, function: Callable[[Any], Any], stop: "_Stop", finished: "queue.SimpleQueue[Future]") -> None:
        try:
            if stop.is_set():
                raise Stopped("not begun, since what it was a part of has ended")
            self.has_begun = True
            self._value = function(self.argument)
        except BaseException as error:  # handed to the thread that asks for the result
            self._error = error
        self._done.set()
        finished.put(self)

    def wait(self) -> None:
        """Wait for the end. The main thread can be interrupted meanwhile; a thread of a pool that has ended stops."""
        with deferred():
            while not self._done.wait(_TICK):
                _look_up()

    def wait_until(self, deadline: float) -> None:
        """Wait for the end, if it has begun, but not beyond a time of ``time.monotonic()``."""
        if self.has_begun:
            self._done.wait(max(0.0, deadline - time.monotonic()))

    def result(self) -> Any:
        """The result, once there is one, or the error."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._value

    def is_successful(self) -> bool:
        """Whether there is a result."""
        return self._done.is_set() and self._error is None


class Stopped(RuntimeError):
    """Work that was not begun or waited for, because what it was a part of was interrupted or has failed."""


class _Stop:
    """Whether a pool has ended, or one that it was started from."""

    def __init__(self, outer: "_Stop | None"):
        self.outer, self.value = outer, False

    def is_set(self) -> bool:
        return self.value or (self.outer is not None and self.outer.is_set())


_TICK = 0.1  # seconds; on some systems a wait without a limit cannot be interrupted
_present = threading.local()
_working: set[threading.Thread] = set()


def _look_up() -> None:
    """Between two waits: raise what the present thread should hear of."""
    answer()
    stop = getattr(_present, "stop", None)
    if stop is not None and stop.is_set():
        raise Stopped("waited for in vain, since what it was a part of has ended")


class Threads:
    """A pool of daemon threads, which ends with its ``with`` block."""

    def __init__(self, number: int):
        self._number = number
        self._stop = _Stop(getattr(_present, "stop", None))
        self._tasks: queue.SimpleQueue[tuple[Future, Callable[..., Any]] | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Threads":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        for _ in range(len(self._threads)):
            self._tasks.put(None)

    def stop(self) -> None:
        """Begin nothing more, in pools that were started from within this one either."""
        self._stop.value = True

    def submit(self, function: Callable[[Any], Any], argument: Any) -> Future:
        """Begin ``function(argument)`` as soon as a thread is free."""
        future = Future(argument)
        self._tasks.put((future, function))
        if len(self._threads) < self._number:
            thread = threading.Thread(target=self._work, daemon=True, name="jaxgeom")
            self._threads.append(thread)
            _working.add(thread)
            thread.start()
        return future

    def as_completed(self, futures: Sequence[Future]) -> Iterator[Future]:
        """The futures in the order in which they end."""
        missing = set(futures)
        while missing:
            _look_up()
            try:
                future = self._finished.get(timeout=_TICK)
            except queue.Empty:
                continue
            if future in missing:
                missing.remove(future)
                yield future

    def _work(self) -> None:
        _present.stop = self._stop
        try:
            while (task := self._tasks.get()) is not None:
                future, function = task
                future.run(function, self._stop, self._finished)
                del future, function, task  # results would stay in memory until the next task
        finally:
            _working.discard(threading.current_thread())


@atexit.register
def _leave() -> None:
    """End the process if work is left behind that would outlive the interpreter."""
    for thread in tuple(_working):
        thread.join(GRACE / max(1, len(_working)))
    if any(thread.is_alive() for thread in tuple(_working)):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr, *gc.get_objects()):
            with suppress(Exception):
                if isinstance(stream, io.IOBase) and not stream.closed:
                    stream.flush()
        os._exit(_exit_status())


def _exit_status() -> int:
    """Exit status of this process as far as it can be known before the end: 0, or that of an error nobody caught."""
    error = getattr(sys, "last_value", None)
    if error is None or hasattr(sys, "ps1"):
        return 0
    return 130 if isinstance(error, KeyboardInterrupt) else 1
