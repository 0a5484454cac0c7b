"""[edge] Ctrl-C, SIGTERM and closed terminals: a command ends within seconds, and says in one line what is saved."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from jaxgeom.host.files import remove_unfinished
from jaxgeom.host.signals import ENDING

GRACE = 1.0
"""Seconds in which a command may end by itself; after that it is ended, in whatever compiled program it is."""
MOST_NAMED = 6
"""Files named in that line."""
Listing = dict[Path, tuple[int, int, int]]


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, which end a command as Ctrl-C does."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


def listing(directory: Path) -> Listing:
    """The files in a directory with what tells whether one is written anew; none where there is no directory."""
    found = {}
    with suppress(OSError):
        for path in directory.iterdir():
            about = path.stat()
            if path.is_file() and not path.name.startswith("."):
                found[path] = (about.st_mtime_ns, about.st_size, about.st_ino)
    return found


def what_is_saved(directory: Path, before: Listing) -> str:
    """In words, which files of a directory are new since it was listed."""
    new = sorted(path.name for path, about in listing(directory).items() if before.get(path) != about)
    if not new:
        return "nothing was saved"
    rest = f" and {len(new) - MOST_NAMED} more" if len(new) > MOST_NAMED else ""
    are = "1 file is" if len(new) == 1 else f"{len(new)} files are"
    return f"{are} saved in {directory}: {', '.join(new[:MOST_NAMED])}{rest}"


def status_of(error: BaseException) -> tuple[str, int]:
    """What happened, in a word, and the exit status."""
    number = _number(error)
    word = {int(signal.SIGINT): "interrupted", int(signal.SIGTERM): "terminated"}.get(number, "the terminal was closed")
    return word, 128 + number


def _number(error: BaseException | None) -> int:
    """The signal behind an error, which may have been raised in answer to another one."""
    while error is not None:
        if isinstance(error, Terminated):
            return error.number
        error = error.__context__
    return int(signal.SIGINT)


@contextmanager
def interruptible(directory: Path | None, saved: Callable[[], str], *, owns_process: bool) -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise :class:`Terminated`, unless they are ignored, as under ``nohup``.

    Python raises nothing before the compiled program at hand is done, and waits for threads. If the process belongs to
    the command, a second after a signal it is ended.

    Args:
        directory: where unfinished files are removed then.
        saved: says what is saved.
        owns_process: whether the process may be ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    heard = [n for n in ENDING if n != signal.SIGINT and signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, _terminate) for number in heard}
    done = threading.Event()
    try:
        if owns_process:
            _watch(directory, saved, done)
        yield
    finally:
        done.set()
        for number, handler in before.items():
            signal.signal(number, handler)
        if owns_process:
            signal.set_wakeup_fd(-1)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within the block signals interrupt nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, _: FrameType | None) -> Any:
    raise Terminated(number)


def _watch(directory: Path | None, saved: Callable[[], str], done: threading.Event) -> None:
    """Start a thread that hears of signals at once, whatever the main thread is at."""
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)
    signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)

    def wait() -> None:
        while (number := os.read(ear, 1)[0]) not in ENDING:
            pass
        if done.wait(GRACE):
            return
        word, status = status_of(KeyboardInterrupt() if number == signal.SIGINT else Terminated(number))
        if directory is not None:
            remove_unfinished(directory)
        print(f"\n{word}; {saved()}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(status)

    threading.Thread(target=wait, daemon=True).start()
