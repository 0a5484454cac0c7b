"""Every example runs."""

from pathlib import Path

import pytest
from conftest import run_python

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run(path: Path, tmp_path: Path) -> None:
    assert len(path.read_text().splitlines()) < 100
    assert run_python([str(path), "--seeds", "8"], tmp_path)


def test_there_are_examples() -> None:
    assert EXAMPLES
