"""Loaded before every test: shapes and types of all annotated functions are checked at run time."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jaxtyping
import matplotlib
import pytest

matplotlib.use("Agg")
# An int is a float, as for static type checkers (PEP 484).
jaxtyping.install_import_hook("jaxgeom", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

# Compiling takes most of the time of many tests, and a fraction of it without optimization.
OPTIONS: dict[str, Any] = {"xla_backend_optimization_level": 0}
if jax.__version_info__ < (0, 11):
    OPTIONS["xla_cpu_use_fusion_emitters"] = False
quick = partial(jax.jit, compiler_options=OPTIONS)


def run_python(arguments: Sequence[str], directory: Path) -> str:
    """What a program prints that runs in a process of its own, without optimization either, and must succeed."""
    flags = " ".join(f"--{name}={str(value).lower()}" for name, value in OPTIONS.items())
    environ = os.environ | {"XLA_FLAGS": flags, "MPLBACKEND": "Agg"}
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
    """``trained_xor(width)``: 30 networks that learned XOR, 20 of width 100; each width is trained once."""
    import jaxgeom

    @cache
    def train(width: int) -> Any:
        return jaxgeom.train_xor(jax.random.key(0), width, 20 if width == 100 else 30)

    return train
