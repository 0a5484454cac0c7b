"""What becomes of tests whose programs are missing, and what CI installs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PROGRAMS = TESTS.parent / ".ci" / "programs"
NEEDY = """
import pytest
from outside import chromium, node

@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found

@pytest.mark.parametrize("number", [1, 2])
def test_page(browser, number): ...

def test_modules():
    node()

def test_neither(): ...
"""


def folder_of_programs(path: Path, *names: str, **scripts: str) -> str:
    """A PATH with these programs of the system, those written here, and nothing else."""
    path.mkdir()
    for name in names:
        (path / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name}"))
    for name, script in scripts.items():
        (path / name.replace("_", "-")).write_text(f"#!/bin/sh\n{script}\n")
        (path / name.replace("_", "-")).chmod(0o755)
    return str(path)


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("need", ["", "chromium", "chromium node"])
def test_what_is_left_out_is_said_and_what_is_needed_fails(tmp_path: Path, need: str, workers: str) -> None:
    (tmp_path / "test_needy.py").write_text(NEEDY)
    (tmp_path / "conftest.py").write_text("from outside import pytest_terminal_summary")
    environ = {"PATH": folder_of_programs(tmp_path / "bin"), "PYTHONPATH": str(TESTS), "JAXGEOM_TESTS_NEED": need}
    command = [sys.executable, "-m", "pytest", "-q", "-n", workers, "-p", "no:cacheprovider", "test_needy.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if line.startswith("LEFT OUT")]
    lines = [
        f"LEFT OUT, since there is no {what}: {num} test{'s' if num > 1 else ''} of test_needy.py"
        for name, what, num in (("chromium", "Chromium", 2), ("node", "Node", 1))
        if name not in need.split()
    ]
    assert sorted(said) == sorted(lines), done.stdout
    assert done.returncode == (1 if need else 0)
    assert ("but JAXGEOM_TESTS_NEED names chromium" in done.stdout) == bool(need)


@pytest.mark.skipif(os.name != "posix" or shutil.which("bash") is None, reason="needs a shell")
@pytest.mark.parametrize(
    ("user", "apt", "found", "installs"),
    [
        (0, "works", "chromium node", True),
        (0, "fails", "", True),
        (0, None, "", False),
        (1000, "works", "", False),
    ],
)
def test_ci_installs_what_is_missing(tmp_path: Path, user: int, apt: str | None, found: str, installs: bool) -> None:
    """Everything on the PATH is a stand-in that notes how it was called."""
    bin_ = tmp_path / "bin"
    scripts = {"id": f"echo {user}"}
    if apt is not None:
        installed = f"for name in chromium node; do echo > {bin_}/$name; chmod +x {bin_}/$name; done"
        does = {"works": installed, "fails": "echo 'E: no such package' >&2; exit 100"}[apt]
        scripts["apt_get"] = f"echo $@ >> {tmp_path}/calls; case $@ in *install*) {does};; esac"
    path = folder_of_programs(bin_, "bash", "tail", "tr", "timeout", "chmod", **scripts)

    def run() -> subprocess.CompletedProcess[str]:
        command = [shutil.which("bash") or "", PROGRAMS]
        return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=True)

    done, calls = run(), tmp_path / "calls"
    assert done.stdout.split() == found.split()
    assert calls.exists() == installs
    if installs:
        assert calls.read_text().rstrip().endswith("chromium nodejs")
    loud = [line for line in done.stderr.splitlines() if line.startswith("--- NO ")]
    assert len(loud) == (0 if found else 2), done.stderr
    assert all(("no such package" if installs else "only root") in line for line in loud)
    if found:
        calls.unlink()
        assert run().stdout == done.stdout
        assert not calls.exists(), "what is there is not installed again"


@pytest.mark.skipif(os.name != "posix" or shutil.which("bash") is None, reason="needs a shell")
def test_ci_installs_one_of_two(tmp_path: Path) -> None:
    path = folder_of_programs(
        tmp_path / "bin", "bash", "tail", "tr", "timeout", id="echo 0", apt_get=f"echo $@ >> {tmp_path}/calls",
        google_chrome="true",
    )  # fmt: skip
    command = [shutil.which("bash") or "", PROGRAMS]
    done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["chromium"]
    assert (tmp_path / "calls").read_text().rstrip().endswith("recommends nodejs")
    assert done.stderr.startswith("--- NO NODE")
