"""The pages of docs/tutorials run as they stand, and give the outputs that they show."""

import doctest
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def run(text: str, name: str) -> None:
    """Run the examples of a text in order, with the same names."""
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, name, name, 0)
    assert test.examples
    report: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_pages_run_as_they_stand(page: Path) -> None:
    text = page.read_text()
    if "convert.to_trimesh" in text:
        pytest.importorskip("trimesh")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    assert all(block.startswith(">>> ") for block in blocks)  # or else it would not be run
    run(re.sub(r"^```.*$", "", text, flags=re.MULTILINE), page.name)  # fences would be taken for output
    plt.close("all")


def test_the_index_has_every_page() -> None:
    index = (FOLDER / "README.md").read_text()
    assert sorted(re.findall(r"\]\((\w+\.md)\)", index)) == [page.name for page in PAGES]
    for page in PAGES:
        for link in re.findall(r"\]\((\w+\.md)\)", page.read_text()):
            assert (FOLDER / link).is_file(), f"{page.name} links to {link}"
