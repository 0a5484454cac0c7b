"""What commands print where printing fails, how they end when they are interrupted, and what is saved then."""

import errno
import io
import os
import re
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from deadlines import fastest_counts, in_time

from jaxgeom import __main__ as program
from jaxgeom.__main__ import main
from jaxgeom.host.chunks import map_chunks
from jaxgeom.host.files import whole_file
from jaxgeom.recipes import limits, output, terminal
from jaxgeom.recipes.xor import command as xor

SMALL = ["xor", "--widths", "2", "--seeds", "4", "--grid", "5", "--table-only", "--quiet", "--out"]


class Full(io.StringIO):
    """A disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class Gone(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


def ascii_stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "status"),
    [(Full(), 1), (Gone(), 0), (closed(), 1), (None, 0), (ascii_stream(), 0)],
    ids=["full", "gone", "closed", "none", "ascii"],
)
def test_the_study_is_saved_whatever_becomes_of_the_table(
    stream: Any, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    assert main([*SMALL, str(tmp_path)]) == status
    assert sys.stdout is stream
    with np.load(tmp_path / "xor.npz") as arrays:
        assert arrays["variable.tries"].shape == (1, 4)
    assert {"xor.json", "xor.npz", "xor.png"} == {path.name for path in tmp_path.iterdir()}
    errors = capsys.readouterr().err
    assert errors.count("\n") == (status == 1)
    assert ("all is saved" in errors) == (status == 1)
    if isinstance(stream, io.TextIOWrapper):
        shown = stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
        assert re.search(r"\d\.\d{3} \(0\.\d{3}-[01]\.\d{3}\)", shown)
        assert str(tmp_path / "xor.npz") in shown


def test_a_full_standard_error_loses_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    assert main([*[word for word in SMALL if word != "--quiet"], str(tmp_path)]) == 0
    assert (tmp_path / "xor.npz").exists()


def test_help_is_shown_on_every_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = ascii_stream()
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit) as stop:
        main(["xor", "--help"])
    assert stop.value.code == 0
    assert b"[-1, 1]^2" in stream.buffer.getvalue()  # type: ignore[attr-defined]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import jaxgeom

    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"jaxgeom {jaxgeom.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("detangle --wide 0", "wide must be a positive integer"),
        ("detangle --wide 8 -2", "wide must be a positive integer"),
        ("detangle --seeds 0", "seeds must be"),
        ("detangle --epochs -1", "epochs must be"),
        ("detangle --frames 1", "at least 2 frames"),
        ("detangle --seeds 10000000 --epochs 100000000", "GB of memory"),
        ("spirals --seeds 0", "seeds must be"),
        ("spirals --epochs 0", "epochs must be"),
        ("spirals --seeds 10000000 --epochs 10000000", "take fewer seeds"),
        ("stretch --hidden 0", "hidden must be"),
        ("stretch --hidden 10000000", "at most 1,000"),
        ("stretch --scale inf", "scale must be a finite number"),
        ("stretch --activations sine", "activation must be"),
        ("stretch --weights none", "weights"),
        ("stretch --inputs disk", "inputs are"),
        ("rings --widths 17", "at most 16"),
        ("rings --widths 2 2", "different"),
        ("rings --regression-widths 0", "regression_widths must be"),
        ("rings --regression-seeds -3", "regression_seeds must be"),
        ("xor --seeds 99999999999999999999", "at most 10,000,000"),
        ("xor --widths 100000 --seeds 10000000", "GB of memory"),
        ("xor --key -1", "key must be at least 0"),
        ("xor --key 4294967296", "at most 4,294,967,295"),
        ("movie --widths 0", "widths must be"),
        ("movie --frames 0", "frames must be"),
        ("movie --steps 0", "steps must be"),
        ("movie --grid 1", "grid must be at least 2"),
        ("movie --formats tiff", "formats must be some of"),
        ("reproduce buck --key -1", "key must be"),
    ],
)
def test_bad_numbers_are_refused_in_one_line_before_any_work(
    arguments: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new"
    assert main([*arguments.split(), "--out", str(out), "--quiet"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(r"error: [^\n]+\n", printed.err)
    assert message in printed.err
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.parametrize("arguments", ["xor --seeds 2.5", "xor --seeds many", "movie --data sun", "nothing", ""])
def test_words_in_place_of_numbers_end_in_one_line(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments.split())
    assert stop.value.code == 2
    assert re.fullmatch(r"error: [^\n]+\n", capsys.readouterr().err)


def test_directories_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("no directory")
    for out in (tmp_path / "file", tmp_path / "file" / "below", "/proc/none", ""):
        assert main([*SMALL, str(out)]) == 2
        assert re.fullmatch(r"error: [^\n]+\n", capsys.readouterr().err)


def raising(error: BaseException) -> Any:
    def run(options: Namespace) -> list[Path]:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.npz"), 2, "error: No space left on device: 'x.npz'"),
        (MemoryError(), 2, "error: the memory of this machine does not suffice"),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes."), 2, "error: the memory"),
        (RecursionError("maximum recursion depth"), 2, "error: the input is nested too deeply"),
        (ImportError("pip install x"), 2, "error: pip install x"),
        (ValueError("they differ in:\n  a: 1\n  b: 2"), 2, "error: they differ in: a: 1; b: 2"),
        (TypeError(""), 2, "error: TypeError"),
        (KeyboardInterrupt(), 130, "interrupted; nothing was saved"),
    ],
)
def test_what_can_be_foreseen_ends_in_one_line(
    error: BaseException,
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(xor, "run", raising(error))
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert main([*SMALL, str(tmp_path)]) == status
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(message)


def test_errors_of_the_program_itself_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (AssertionError(), KeyError("x"), jax.errors.JaxRuntimeError("INTERNAL: x")):
        monkeypatch.setattr(xor, "run", raising(error))
        with pytest.raises(type(error)):
            main([*SMALL, str(tmp_path)])


def test_widths_that_are_finished_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = xor.xor.xor_study

    def some(widths: list[int], *arguments: Any, **settings: Any) -> Any:
        if widths == [3]:
            raise KeyboardInterrupt
        return whole(widths, *arguments, **settings)

    monkeypatch.setattr(xor.xor, "xor_study", some)
    command = ["xor", "--widths", "2", "3", "--seeds", "4", "--table-only", "--quiet", "--out", str(tmp_path)]
    assert main(command) == 130
    with np.load(tmp_path / "xor.npz") as arrays:
        np.testing.assert_array_equal(arrays["coord.width"], [2])
    assert f"interrupted; 2 files are saved in {tmp_path}: xor.json, xor.npz" in capsys.readouterr().err


CODE = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
from jaxgeom import __main__ as program
from jaxgeom.recipes.xor import command as xor
from jaxgeom.host.files import whole_file
from pathlib import Path

def run(options):
    out = Path(options.out)
    (out / "done.txt").write_text("done")
    with whole_file(out / "half.txt") as path:
        path.write_text("half")
        print("ready", flush=True)
        lock = threading.Lock()
        lock.acquire()
        for _ in range(10**6):  # as compiled programs, it lets nobody interrupt it
            try:
                lock.acquire(timeout=60)
            except KeyboardInterrupt:
                pass
    return []

xor.run = run
sys.argv = ["jaxgeom", "xor", "--quiet", "--out", sys.argv[1]]
program.entry()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGHUP, 129, "the terminal was closed")],
)
@fastest_counts
def test_a_signal_ends_a_command_within_two_seconds(number: int, status: int, word: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    start = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    in_time(start, 5)  # 1 on a machine with nothing else to do
    assert process.returncode == status
    assert errors.strip() == f"{word}; 1 file is saved in {tmp_path}: done.txt"
    assert [path.name for path in tmp_path.iterdir()] == ["done.txt"]


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (signal.SIGTERM, 143, "terminated; 1 file is saved"),
        (signal.SIGHUP, 129, "the terminal was closed; 1 file is saved"),
        ("ignored", 0, ""),
    ],
)
def test_a_signal_that_meets_chunks_ends_a_command(
    number: Any, status: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def run(options: Namespace) -> list[Path]:
        (tmp_path / "done.txt").write_text("done")
        map_chunks(chunk, np.arange(9), chunk_size=1)
        return []

    def chunk(members: np.ndarray) -> np.ndarray:
        if members[0] == 3:
            os.kill(os.getpid(), signal.SIGHUP if number == "ignored" else number)
        return members

    monkeypatch.setattr(xor, "run", run)
    before = signal.getsignal(signal.SIGHUP)
    if number == "ignored":  # as by nohup
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main([*SMALL, str(tmp_path)]) == status
    finally:
        signal.signal(signal.SIGHUP, before)
    assert message in capsys.readouterr().err


def test_files_are_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.npz"
    output.save_arrays(path, {"a": np.arange(3)})

    def write_half(error: type[BaseException]) -> None:
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise error

    for error in (OSError, KeyboardInterrupt):
        with pytest.raises(error):
            write_half(error)
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["a"], np.arange(3))
    add = output.growing_arrays(path)
    add({"b": np.ones(2)})
    add({"c": np.zeros(1)})
    with np.load(path) as arrays:
        assert set(arrays) == {"b", "c"}
    assert [each.name for each in path.parent.iterdir()] == ["a.npz"]


@pytest.mark.skipif(np.__version__.startswith("2.0."), reason="NumPy 2.0 cannot be imported without standard error")
def test_streams_that_are_closed_are_occupied() -> None:
    code = "from jaxgeom.recipes.terminal import occupy_descriptors as o; o(); f = open(__import__('sys').argv[1], 'w')"
    check = "; assert f.fileno() > 2"
    closing = f'exec {sys.executable} -c "{code}{check}" {os.devnull} >&- 2>&-'
    assert subprocess.run(["/bin/sh", "-c", closing], check=False).returncode == 0


def test_other_attributes_are_the_streams_own() -> None:
    stream = io.StringIO()
    patient = terminal.Patient(stream)
    assert patient.write("±") == 1
    assert patient.getvalue() == "±"
    assert program.main is main
    limits.check_memory(1e3, "a little", "nothing")
