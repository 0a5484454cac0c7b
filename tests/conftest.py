"""Loaded before every test: shapes and types of all annotated functions are checked at run time."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Compiling takes most of the time of most tests, and half as long without optimization. JAX reads this once, when it
# is first used; XLA_FLAGS from outside go first, and with XLA_FLAGS="" programs are compiled as users compile them.
FLAGS = "--xla_backend_optimization_level=0"
if tuple(map(int, version("jax").split(".")[:2])) < (0, 11):
    FLAGS += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", FLAGS)
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")  # where operations were written; nothing reads it here

import jaxtyping  # noqa: E402
import matplotlib  # noqa: E402
import pytest  # noqa: E402
from outside import chromium, pytest_terminal_summary  # noqa: E402, F401

# What is imported stays, and JAX makes objects by the million: looking through all of them as often as Python does by
# default takes a tenth of the time of the tests.
gc.set_threshold(20_000, 20, 20)

matplotlib.use("Agg")
# As in what a shell starts in the background, and nohup.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
# An int is a float, as for static type checkers (PEP 484).
jaxtyping.install_import_hook("jaxgeom", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")


# These take the longest. They begin, so that one worker does not have the last of them to itself.
LONGEST = {f"test_{name}.py" for name in ("vector_machine", "optimizers", "examples", "slopes", "docs", "docstrings")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


def run_python(arguments: Sequence[str], directory: Path) -> str:
    """What a program prints that runs in a process of its own, and must succeed."""
    environ = os.environ | {"MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, *arguments], cwd=directory, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Without those checks, which speak up before the library's own error messages can."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def trained_xor() -> Callable[[int], Any]:
    """``trained_xor(width)``: a study of 30 networks that learned XOR, 20 of width 100; each width is trained once."""
    import jaxgeom

    @cache
    def train(width: int) -> Any:
        return jaxgeom.train_xor([width], range(20 if width == 100 else 30))

    return train


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium; skips the tests that ask for it where there is none."""
    with chromium() as found:
        yield found


@pytest.fixture
def sound_pictures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the PNGs that are written meanwhile. None of them may be cut off, or have texts on top of each
    other."""
    from matplotlib.figure import Figure
    from pictures import faults_of_file

    written: list[str] = []
    faults: dict[str, list[str]] = {}
    save = Figure.savefig

    def savefig(figure: Figure, place: Any, **options: Any) -> None:
        save(figure, place, **options)
        name = Path(place).name
        if ".png" in name:
            written.append(name)
            if found := faults_of_file(figure, Path(place)):
                faults[name] = found

    monkeypatch.setattr(Figure, "savefig", savefig)
    yield written
    assert written
    assert not faults, "\n".join(f"{name}: {fault}" for name, found in faults.items() for fault in found[:8])
