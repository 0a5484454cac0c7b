"""Every code block of the README runs as it stands, and the examples too."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
COMMANDS = [
    command.strip()
    for language, block in BLOCKS
    if language == "bash"
    for line in block.splitlines()
    for command in re.sub(r"\s#.*", "", line).split("&&")
]
PAIRS = [f"{name}_{what}" for name in ("similar", "dissimilar", "unlike") for what in ("triples", "maps", "surfaces")]
PICTURES = ["data", "by_hand", "training", "pairs", *PAIRS, "units", "regions", "grid"]
XOR_FILES = {"xor.json", "xor.npz", "xor.png", "xor_networks.json", "xor_pairs.npz", "xor_training.gif"}
XOR_FILES |= {f"xor_{name}.png" for name in PICTURES}
# The gallery runs every command, each of which has a test of its own; here one of them does.
MORE_ARGUMENTS = {"gallery.py": ["--recipes", "movie"]}
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def test_python_blocks_run_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, object] = {}
    blocks = [block for language, block in BLOCKS if language == "python"]
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)
    assert "regions" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("python -m")])
def test_shell_commands_run(command: str, tmp_path: Path) -> None:
    program = command.split()
    assert program[0] == "python"
    result = subprocess.run([sys.executable, *program[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "P(solved)" in result.stdout
    assert {path.name for path in (tmp_path / "out" / "xor").iterdir()} == XOR_FILES


def test_other_commands_are_installation_and_tests() -> None:
    others = [command for command in COMMANDS if not command.startswith("python -m")]
    benchmarks = [command.split()[1] for command in others if command.startswith("python ")]
    assert all((ROOT / benchmark).is_file() for benchmark in benchmarks)  # CI runs each of them at a tiny size
    rest = [command for command in others if not command.startswith("python ")]
    assert all(command.startswith("pip install") or command == "pytest" for command in rest), rest
    ci = (ROOT / ".ci" / "run").read_text()
    assert 'pip install -q -e ".[test]" && pytest' in ci
    assert 'pip install -e ".[test]" && pytest' in (ROOT / "README.md").read_text()


def test_pictures_of_the_readme_exist() -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run(path: Path, tmp_path: Path) -> None:
    assert len(path.read_text().splitlines()) < 100
    command = [sys.executable, str(path), "--seeds", "8", *MORE_ARGUMENTS.get(path.name, [])]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_there_are_examples() -> None:
    assert EXAMPLES
