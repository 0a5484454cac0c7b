"""Every example runs."""

from pathlib import Path

import pytest
from conftest import run_python

# The gallery runs every command, each of which has a test of its own; here one of them does.
MORE_ARGUMENTS = {
    "gallery.py": ["--recipes", "stretch"],
    "s0_spirals.py": ["--epochs", "5"],
    "s2_detangling.py": ["--frames", "4"],
    "s3_rings.py": ["--epochs", "90"],
    "torus.py": ["--seeds", "2", "--epochs", "40"],
}
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run(path: Path, tmp_path: Path) -> None:
    assert len(path.read_text().splitlines()) < 100
    assert run_python([str(path), "--seeds", "8", *MORE_ARGUMENTS.get(path.name, [])], tmp_path)


def test_there_are_examples() -> None:
    assert EXAMPLES
