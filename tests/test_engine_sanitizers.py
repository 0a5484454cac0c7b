"""The engine under the sanitizers: no reads or writes astray, no undefined behaviour, no races between threads.

Four minutes of compilation: only where JAXGEOM_SANITIZERS is 1.
"""

import os
import subprocess
from pathlib import Path

import pytest

from jaxgeom.engine import compile as build

COMPILER = build.system_compiler()
CHECKS = {"memory": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"], "threads": ["-fsanitize=thread"]}


@pytest.mark.skipif(os.environ.get("JAXGEOM_SANITIZERS") != "1", reason="slow: JAXGEOM_SANITIZERS is not 1")
@pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")
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
