"""The cache of compiled programs: where it is, how it is turned off, and that it changes no bit."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.recipes import cache


@pytest.mark.parametrize(
    ("system", "variables", "expected"),
    [
        ("linux", {}, "home/.cache/jaxgeom"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/jaxgeom"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache/jaxgeom"),
        ("darwin", {"XDG_CACHE_HOME": "/x"}, "home/Library/Caches/jaxgeom"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/jaxgeom"),
        ("win32", {}, "home/AppData/Local/jaxgeom"),
        ("linux", {"JAXGEOM_CACHE": "/here"}, "/here"),
        ("linux", {"JAXGEOM_CACHE": "off"}, None),
        ("linux", {"JAXGEOM_CACHE": "0"}, None),
    ],
)
def test_the_directory_is_the_platforms(
    system: str, variables: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "JAXGEOM_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    assert cache.cache_directory() == (None if expected is None else Path(expected))


def test_no_home_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("JAXGEOM_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", home)
    assert cache.cache_directory() is None


def test_what_cannot_be_written_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no directory")
    for place in (tmp_path / "file", "/proc/none"):
        monkeypatch.setenv("JAXGEOM_CACHE", str(place))
        assert cache.use_cache() is None
    assert jax.config.jax_compilation_cache_dir is None  # nor has importing jaxgeom, or main, turned it on


COMMAND = ["xor", "--widths", "2", "--seeds", "8", "--grid", "5", "--table-only", "--quiet"]


def run(*arguments: str, place: Path) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"JAXGEOM_CACHE": str(place), "MPLBACKEND": "Agg"}
    # Small programs are kept, too, which commands would rather compile again.
    program = "import jaxgeom.__main__ as m; from jaxgeom.recipes import cache; cache.LEAST_SECONDS = 0; m.entry()"
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, env=environ)


@pytest.mark.slow
def test_results_are_the_same_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "cache"
    monkeypatch.setenv("JAXGEOM_CACHE", str(place))
    assert main([*COMMAND, "--out", str(tmp_path / "without")]) == 0
    assert jax.config.jax_compilation_cache_dir is None  # commands called from programs leave JAX alone
    assert not place.exists()
    results = [jg.study.load(tmp_path / "without" / "xor.npz").variables]
    for name in ("cold", "warm"):
        done = run(*COMMAND, "--out", str(tmp_path / name), place=place)
        assert (done.returncode, done.stderr) == (0, "")
        results.append(jg.study.load(tmp_path / name / "xor.npz").variables)
        programs = sorted(place.rglob("*-cache"))
        assert programs
        for path in programs[::2]:  # as a kill or a full disk leaves them
            path.write_bytes(path.read_bytes()[:100])
    for other in results[1:]:
        assert all(np.array_equal(results[0][name], other[name], equal_nan=True) for name in results[0])


@pytest.mark.slow
@pytest.mark.parametrize("option", [(), ("--no-cache",)])
def test_commands_keep_programs_unless_they_are_told_not_to(option: tuple[str, ...], tmp_path: Path) -> None:
    done = run("study", str(tmp_path / "none.toml"), *option, place=tmp_path / "cache")
    assert done.returncode == 2
    assert (tmp_path / "cache").exists() == (option == ())
