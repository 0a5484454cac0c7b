"""[edge] Standard output and standard error of commands: a terminal that cannot show something loses no results."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

PLAIN = str.maketrans({"±": "+-", "–": "-", "→": "->", "²": "^2", "³": "^3", "…": "...", "×": "x", "·": "*", "—": "-"})
"""What takes the place of characters that an encoding does not have."""


class Patient:
    """A text stream that writes what it can: plain characters where the encoding has no others, and nothing more once
    the stream is full or closed. Everything else is the stream's own."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.failure: OSError | ValueError | None = None

    def write(self, text: str) -> int:
        if self.failure is None:
            try:
                self.stream.write(self._shown(text))
            except (OSError, ValueError) as error:  # ValueError: closed
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        if self.failure is None:
            try:
                self.stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _shown(self, text: str) -> str:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return text.translate(PLAIN).encode(encoding, "replace").decode(encoding)
        return text

    def _give_up(self, error: OSError | ValueError) -> None:
        self.failure = error
        with suppress(OSError, ValueError, AttributeError):  # else Python complains of the rest when it ends
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)


@contextmanager
def patient_output() -> Iterator[tuple[Patient, Patient]]:
    """Within the block standard output and standard error write what they can, and never raise."""
    before = sys.stdout, sys.stderr
    nowhere = None
    if None in before:  # closed by who started the program
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    out, err = (Patient(nowhere if stream is None else stream) for stream in before)
    sys.stdout, sys.stderr = out, err
    try:
        yield out, err
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before
        if nowhere is not None:
            nowhere.close()


def occupy_descriptors() -> None:
    """Open the null device in place of standard streams that are closed, so that no file that is written later takes
    their numbers, to which libraries in C print."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
