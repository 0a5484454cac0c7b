"""The notebooks of docs/ run as they stand, and hold what they check."""

import ast
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "{code-cell}" in path.read_text() and "_build" not in path.parts)


def cells(page: Path) -> list[str]:
    """The code cells of a notebook in MyST Markdown, without their options."""
    found = re.findall(r"^```\{code-cell\}\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [re.sub(r"\A(?::.*\n)+\n", "", code) for code in found]


def run_cell(code: str, names: dict[str, Any], where: str) -> None:
    """Run a cell as a notebook does: ``_`` is the value of a last line that is an expression without semicolon."""
    body = ast.parse(code, where).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), where, "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), where, "eval"), names)
        if value is not None and not code.rstrip().endswith(";"):
            names["_"] = value


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_notebooks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the build of the documentation runs them, which is what CI does instead (``.ci/run``)."""
    found = cells(page)
    assert found
    if "convert.to_trimesh" in page.read_text():
        pytest.importorskip("trimesh")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, code in enumerate(found):
        run_cell(code, names, f"{page.name}, cell {number}")
    plt.close("all")


def test_the_indices_have_every_notebook() -> None:
    for folder in (DOCS / "tutorials", DOCS / "how-to"):
        pages = {path.stem for path in folder.glob("*.md")} - {"index"}
        (listed,) = re.findall(
            r"^```\{toctree\}\n(.*?)^```$", (folder / "index.md").read_text(), re.DOTALL | re.MULTILINE
        )
        lines = [line for line in listed.splitlines() if line and line[0] != ":"]
        assert {line.rstrip(">").split("<")[-1] for line in lines} == pages
