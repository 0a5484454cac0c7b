"""Calls of the engine give back the memory they take (``python tests/memory_program.py 10000000`` for many more)."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("memory_program.py")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the size of the process from /proc")
def test_thirty_thousand_calls_do_not_make_the_process_grow():
    """Seventy bytes a call would be seen."""
    run = subprocess.run([sys.executable, PROGRAM, "30000"], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 2_000_000
