"""The cache of compiled programs: where it is, how it is turned off, and that it changes no bit."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxgeom.__main__ import main
from jaxgeom.commands import cache


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


def run(out: Path, *arguments: str, place: str) -> str:
    command = ["xor", "--widths", "2", "--seeds", "8", "--grid", "5", "--table-only", "--quiet", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "jaxgeom", *command, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"JAXGEOM_CACHE": place, "MPLBACKEND": "Agg"},
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_results_are_the_same_to_the_bit(tmp_path: Path) -> None:
    place = tmp_path / "cache"
    assert run(tmp_path / "without", "--no-cache", place=str(place)) == ""
    assert not place.exists()
    assert run(tmp_path / "cold", place=str(place)) == ""
    programs = list(place.rglob("*-cache"))
    assert programs
    assert run(tmp_path / "warm", place=str(place)) == ""
    for path in programs:  # as a kill or a full disk leaves them
        path.write_bytes(path.read_bytes()[:100])
    assert run(tmp_path / "damaged", place=str(place)) == ""
    results = [dict(np.load(tmp_path / name / "xor.npz")) for name in ("without", "cold", "warm", "damaged")]
    for other in results[1:]:
        assert all(np.array_equal(results[0][name], other[name]) for name in results[0])


def test_commands_called_from_programs_leave_jax_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAXGEOM_CACHE", str(tmp_path / "cache"))
    command = ["xor", "--widths", "2", "--seeds", "4", "--grid", "5", "--table-only", "--quiet"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    assert jax.config.jax_compilation_cache_dir is None
    assert not (tmp_path / "cache").exists()
