"""The engine under the sanitizers: no reads or writes astray, no undefined behaviour, no races between threads.

Ten minutes of compilation: only where JAXGEOM_SANITIZERS is 1.
"""

import os
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest
import training_calls

from jaxgeom.engine import compile as build
from jaxgeom.engine import library

COMPILER = build.system_compiler()
CHECKS = {"memory": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"], "threads": ["-fsanitize=thread"]}


TRAINING = {  # checks, instructions, precision
    "memory, AVX2": ("memory", ["-mavx2", "-mfma"], "float32"),
    "memory, baseline": ("memory", [], "float32"),
    "threads, AVX2": ("threads", ["-mavx2", "-mfma"], "float32"),
    "memory, AVX2, double": ("memory", ["-mavx2", "-mfma"], "float64"),
    "memory, baseline, double": ("memory", [], "float64"),
}
asked_for = pytest.mark.skipif(os.environ.get("JAXGEOM_SANITIZERS") != "1", reason="slow: JAXGEOM_SANITIZERS is not 1")
compiled = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")


@asked_for
@compiled
@pytest.mark.parametrize("check", CHECKS)
def test_sanitizers_find_nothing(check: str, tmp_path: Path) -> None:
    assert COMPILER is not None
    program = tmp_path / "driver"
    own = [build.FOLDER / name for name in build.SOURCES if name != "handlers.cc"]
    sources = [Path(__file__).with_name("engine_driver.cc"), *own]
    flags = ["-std=c++17", "-O1", "-g", "-ffp-contract=off", "-pthread", "-Wno-psabi", f"-I{build.FOLDER}"]
    command = [*COMPILER, *flags, *CHECKS[check], *map(str, sources), "-o", str(program)]
    subprocess.run(command, check=True, timeout=600)
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


@asked_for
@compiled
@pytest.mark.skipif(not library.trainers(), reason="the engine is not built")
@pytest.mark.parametrize("name", TRAINING)
def test_sanitizers_find_nothing_in_training(name: str, tmp_path: Path) -> None:
    assert COMPILER is not None
    check, instructions, dtype = TRAINING[name]
    if instructions and "avx2" not in library.trainers():
        pytest.skip("a processor without AVX2")
    with jax.enable_x64(dtype == "float64"):
        calls = training_calls.calls(dtype)
    calls += training_calls.word_calls() if dtype == "float32" else []
    training_calls.write(calls, tmp_path / "calls")
    program, double = tmp_path / "driver", build.DOUBLE if dtype == "float64" else ()
    sources = [Path(__file__).with_name("training_driver.cc"), *(build.FOLDER / name for name in build.TRAINING)]
    flags = ["-std=c++17", "-O1", "-g", "-pthread", "-Wno-psabi", "-Wno-ignored-attributes", f"-I{build.FOLDER}"]
    flags += [*build.TRAINING_FLAGS, *double, *instructions, *CHECKS[check]]
    subprocess.run([*COMPILER, *flags, *map(str, sources), "-o", str(program)], check=True, timeout=1200)
    command = [str(program), str(tmp_path / "calls"), str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    # What was checked is what the library does: other instructions round otherwise, and divergence ends at numbers that
    # depend on it.
    for call, results in zip(calls, training_calls.read(calls, tmp_path / "results"), strict=True):
        for number, (found, wanted) in enumerate(zip(results, call.results, strict=True)):
            if number == call.layout:
                continue
            if wanted.dtype == np.uint32:
                np.testing.assert_array_equal(found, wanted)
            elif np.abs(wanted[np.isfinite(wanted)]).max(initial=0) < 1e3:
                np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
