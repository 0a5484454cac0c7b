"""Every example runs."""

import runpy
import sys
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import pytest

MORE_ARGUMENTS = {
    "control_network.py": ["--epochs", "1", "--size", "0.04"],
    "digits_slice.py": ["--epochs", "3"],
    "s0_spirals.py": ["--epochs", "5"],
    "s2_detangling.py": ["--frames", "4"],
    "s3_rings.py": ["--epochs", "90"],
    "torch_cnn.py": ["--epochs", "1"],
    "torus.py": ["--seeds", "2", "--epochs", "40"],
    "zoo.py": ["--seeds", "20", "--epochs", "1"],
}
NEEDED = {"digits_slice.py": ("sklearn",), "torch_cnn.py": ("torch", "sklearn")}
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.fixture
def sound(request: pytest.FixtureRequest, path: Path) -> None:
    """Pictures are measured, of those examples that write some."""
    if ".savefig(" in path.read_text():
        request.getfixturevalue("sound_pictures")


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run(
    path: Path, sound: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(path.read_text().splitlines()) < 100
    for library in NEEDED.get(path.name, ()):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), "--seeds", "8", *MORE_ARGUMENTS.get(path.name, [])])
    runpy.run_path(str(path), run_name="__main__")
    plt.close("all")
    assert capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} <= {"out"}  # where commands write, and git does not look


@pytest.mark.parametrize(("name", "missing"), [(name, each) for name, needed in NEEDED.items() for each in needed])
def test_examples_say_what_to_install(name: str, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in NEEDED[name]:  # one of them is not there, whatever is installed; others need not be either
        monkeypatch.setitem(sys.modules, library, None if library == missing else ModuleType(library))
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setattr(sys, "argv", [name])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(EXAMPLES[0].with_name(name)), run_name="__main__")
    packages = [{"sklearn": "scikit-learn"}.get(library, library) for library in NEEDED[name]]
    assert stop.value.code == f"This example needs {' and '.join(packages)}: pip install {' '.join(packages)}"


def test_there_are_examples() -> None:
    assert EXAMPLES
