"""Every code block of the README runs as it stands."""

import re
from pathlib import Path

import pytest
from conftest import run_python

from jaxgeom.__main__ import COMMANDS as KNOWN

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
COMMANDS = [
    command.strip()
    for language, block in BLOCKS
    if language == "bash"
    for line in block.splitlines()
    for command in re.sub(r"\s#.*", "", line).split("&&")
]


@pytest.mark.slow
def test_python_blocks_run_in_order(tmp_path: Path) -> None:
    blocks = [block for language, block in BLOCKS if language == "python"]
    assert blocks
    (tmp_path / "blocks.py").write_text("\n".join(blocks))
    assert "regions" in run_python(["blocks.py"], tmp_path)


@pytest.mark.slow
def test_the_first_command_runs(tmp_path: Path) -> None:
    command = next(command for command in COMMANDS if command.startswith("python -m jaxgeom"))
    assert command == "python -m jaxgeom xor"
    smaller = ["--seeds", "50", "--widths", "2", "--table-only"]
    assert "P(solved)" in run_python([*command.split()[1:], *smaller], tmp_path)
    assert {path.name for path in (tmp_path / "out" / "xor").iterdir()} == {"xor.json", "xor.npz", "xor.png"}


def test_commands_are_known() -> None:
    for command in COMMANDS:
        if command.startswith("python -m jaxgeom"):
            assert command.split()[3] in KNOWN


def test_other_commands_are_installation_and_tests() -> None:
    others = [command for command in COMMANDS if not command.startswith("python -m")]
    benchmarks = [command.split()[1] for command in others if command.startswith("python ")]
    assert all((ROOT / benchmark).is_file() for benchmark in benchmarks)  # CI runs each of them at a tiny size
    rest = [command for command in others if not command.startswith("python ")]
    assert all(command.startswith("pip install") or command == "pytest" for command in rest), rest
    ci = (ROOT / ".ci" / "run").read_text()
    # With fixed versions and what benchmarks and documentation need, and with the tests that are marked slow.
    install = re.search(r'pip" install -q -e "\.\[test,[a-z,]+\]" -c \.ci/lock\.txt\n', ci)
    assert install is not None
    assert 'pytest -m ""\n' in ci[install.end() :]
    assert 'pip install -e ".[test]" && pytest' in (ROOT / "README.md").read_text()


def test_pictures_of_the_readme_exist() -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_the_page_on_tests_names_all_of_them() -> None:
    page = (ROOT / "tests" / "README.md").read_text()
    patterns = [name for name in re.findall(r"`([\w*]+\.(?:py|cc))`", page) if name != "convert.py"]
    found = {path.name for pattern in patterns for path in (ROOT / "tests").glob(pattern)}
    files = {path.name for path in (ROOT / "tests").iterdir() if path.suffix in (".py", ".cc")}
    assert found == files - {"conftest.py"}


def test_pages_name_files_that_exist() -> None:
    for page in (ROOT / "CONTRIBUTING.md", ROOT / "README.md", ROOT / "tests" / "README.md"):
        text = page.read_text()
        places = re.findall(r"`((?:jaxgeom|tests|examples|docs|benchmarks)/[\w./]*)`", text)
        links = [place for place in re.findall(r"\]\(([^)]+)\)", text) if "://" not in place]
        assert [place for place in places if not (ROOT / place).exists()] == []
        assert [link for link in links if not (page.parent / link).exists()] == []
