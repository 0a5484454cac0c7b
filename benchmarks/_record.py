"""What every benchmark needs: fair timings of rival candidates, and a JSON record that says where it was made."""

import ctypes
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import jax

import jaxgeom


class Timing(NamedTuple):
    """Repeated calls of one candidate."""

    seconds: list[float]
    """Wall-clock time of each call; the first one includes compilation, if anything is compiled."""
    compile_seconds: list[float]
    """How much of each call JAX spent on tracing and compiling."""
    result: Any
    """What the last call returned."""

    @property
    def best(self) -> float:
        """The fastest call, compilation left out."""
        return min(total - compiling for total, compiling in zip(self.seconds, self.compile_seconds, strict=True))


def interleaved(
    candidates: Mapping[str, Callable[[], Any]],
    *,
    repeats: int = 3,
    max_seconds: float = float("inf"),
    least_seconds: float = 0,
) -> dict[str, Timing]:
    """Time candidates in turns, so that whatever else the machine does meets all of them alike.

    Args:
        candidates: functions without arguments that return when their work is done, by name.
        repeats: rounds; every other one runs backwards.
        max_seconds: a candidate whose last call took longer is not called again.
        least_seconds: a candidate's turn goes on for this long, and its fastest call counts: those of a millisecond are
            else at the mercy of whatever wakes up first.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    compiling: dict[str, list[float]] = {name: [] for name in candidates}
    results: dict[str, Any] = {}
    for number in range(repeats):
        for name in list(candidates)[:: -1 if number % 2 else 1]:
            if seconds[name] and seconds[name][-1] > max_seconds:
                continue
            results.pop(name, None)
            _compilations.clear()
            of_turn: list[float] = []
            while not of_turn or sum(of_turn) < least_seconds:
                start = time.perf_counter()
                results[name] = candidates[name]()
                of_turn.append(time.perf_counter() - start)
            seconds[name].append(min(of_turn))
            compiling[name].append(_union(_compilations))
    return {name: Timing(seconds[name], compiling[name], results[name]) for name in candidates}


def added_megabytes(function: Callable[[], Any]) -> float | None:
    """Most memory that a call adds to the process at any time, if the system tells: what Linux calls resident."""

    def status(name: str) -> float:
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024

    try:
        ctypes.CDLL(None).malloc_trim(0)  # give back what is kept for later
        Path("/proc/self/clear_refs").write_text("5")  # begin to look for the peak anew
        before = status("VmRSS")
    except (OSError, AttributeError):
        return None
    function()
    return status("VmHWM") - before


def environment(packages: Sequence[str] = ()) -> dict[str, Any]:
    """The machine, versions (Python, jaxgeom, JAX, NumPy, more packages), the date, and the commit if there is one."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "jax_backend": jax.default_backend(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {"jaxgeom": jaxgeom.__version__}
        | {name: _version(name) for name in ("jax", "jaxlib", "numpy", *packages)},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
    }


def write_json(path: str | Path, record: Mapping[str, Any]) -> None:
    """Write a record, creating the directory if need be."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")


_compilations: list[tuple[float, float]] = []


def _note_compilation(event: str, duration: float, **_: Any) -> None:
    if event.startswith("/jax/core/compile/"):
        now = time.perf_counter()
        _compilations.append((now - duration, now))


jax.monitoring.register_event_duration_secs_listener(_note_compilation)


def _union(intervals: Sequence[tuple[float, float]]) -> float:
    """Length of a union of intervals: programs are traced while others are, which must not count twice."""
    total, reached = 0.0, float("-inf")
    for start, stop in sorted(intervals):
        total += max(0.0, stop - max(start, reached))
        reached = max(reached, stop)
    return total


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit, marked -dirty if tracked files were changed; None without git or outside of a repository."""
    command = ["git", "describe", "--always", "--exclude=*", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
