"""python -m jaxgeom, as a newcomer and as someone with a typo would meet it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.recipes.output import what_is_written
from jaxgeom.recipes.xor import experiment

SMALL = ["xor", "--widths", "2", "3", "--seeds", "12", "--grid", "11", "--quiet", "--table-only"]
FIELDS = {"is_solved", "tries", "maps", "regions"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "deep" / "er"
    assert main([*SMALL, "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_files_hold_what_they_promise(finished: Path) -> None:
    study = jg.study.load(finished / "xor.npz")
    assert set(study.variables) >= FIELDS
    np.testing.assert_array_equal(study.coords["width"], [2, 3])
    np.testing.assert_array_equal(study.coords["seed"], np.arange(12))
    report = json.loads((finished / "xor.json").read_text())
    assert report["settings"] == {"widths": [2, 3], "num_seeds": 12, "num_grid": 11, "key": 0, "max_tries": 100}
    assert {"python", "jaxgeom", "jax", "jaxlib", "flax", "optax", "numpy"} == set(report["versions"])
    for place, (row, w) in enumerate(zip(report["statistics"], (2, 3), strict=True)):
        counts = study.variables["regions"][place, study.variables["is_solved"][place], -1]
        assert row["width"] == w
        assert row["exact_count"]["mean"] == pytest.approx(counts.mean())
        assert (row["exact_count"]["min"], row["exact_count"]["max"]) == (counts.min(), counts.max())
    assert (finished / "xor.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_same_key_same_arrays(finished: Path, tmp_path: Path) -> None:
    first = jg.study.load(finished / "xor.npz").variables
    assert main([*SMALL, "--out", str(tmp_path)]) == 0
    second = jg.study.load(tmp_path / "xor.npz").variables
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    assert main([*SMALL, "--out", str(tmp_path), "--key", "1"]) == 0
    other = jg.study.load(tmp_path / "xor.npz").variables
    assert any((first[name] != other[name]).any() for name in FIELDS)


@pytest.mark.slow
def test_rings_write_their_settings_and_nothing_of_the_command_itself(tmp_path: Path) -> None:
    sizes = ["--seeds", "2", "--epochs", "20", "--regression-seeds", "2", "--regression-epochs", "20"]
    command = ["rings", "--widths", "1", "3", "--regression-widths", "2", *sizes, "--formats", "svg", "--quiet"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    expected = {"widths": [1, 3], "regression_widths": [2], "seeds": 2, "epochs": 20}
    expected |= {"regression_seeds": 2, "regression_epochs": 20, "key": 0, "formats": ["svg"], "quick": False}
    assert json.loads((tmp_path / "rings.json").read_text())["settings"] == expected


def test_unsolved_networks_are_marked_and_the_table_still_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # One hidden unit cannot solve XOR.
    command = ["xor", "--widths", "1", "--seeds", "3", "--grid", "5", "--max-tries", "2", "--quiet", "--table-only"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    found = jg.study.load(tmp_path / "xor.npz").variables
    assert not found["is_solved"].any()
    assert (found["tries"] == 2).all()
    assert (found["regions"] >= 1).all()
    assert "0.000 (0.000–0.561)" in capsys.readouterr().out
    assert json.loads((tmp_path / "xor.json").read_text())["statistics"][0]["grid_count"]["mean"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--widths", "0"], "positive"),
        (["--widths", "2", "2"], "different"),
        (["--seeds", "0"], "positive"),
        (["--grid", "1"], "at least 2"),
        (["--max-tries", "0"], "max_tries must be a positive"),
        (["--pairs", "0"], "pairs must be a positive"),
    ],
)
def test_bad_values_are_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["xor", "--quiet", "--out", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_unwritable_directory_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "xor_study", lambda *arguments, **options: pytest.fail("it works"))
    blocker = tmp_path / "file"
    blocker.write_text("not a directory")
    assert main(["xor", "--out", str(blocker / "below")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_help_explains_and_unknown_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["xor", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(option in text for option in ("--widths", "--seeds", "--out", "--grid", "--key", "--max-tries"))
    words = " ".join(text.split())  # defaults as they would be typed, and none where nothing would be
    assert all(default in words for default in ("units (default: 2 20 100)", "same results (default: 0)"))
    assert "png gif)" in words
    assert not any(none in words for none in ("None", "False", "[]"))
    with pytest.raises(SystemExit) as stop:
        main(["xnor"])
    assert stop.value.code == 2
    assert "xor" in capsys.readouterr().err


@pytest.mark.slow
def test_progress_goes_to_stderr_and_interrupt_is_clean(tmp_path: Path) -> None:
    # Who runs the tests in the background has them ignore Ctrl-C; the program itself must not.
    code = (
        "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "runpy.run_module('jaxgeom', run_name='__main__')"
    )
    arguments = ["xor", "--widths", "100", "--seeds", "100000", "--out", str(tmp_path)]
    program = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stderr is not None
    seen = ""
    while "width 100" not in seen:
        piece = os.read(program.stderr.fileno(), 4096).decode()
        assert piece, seen
        seen += piece
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert out == ""


def test_a_few_files_are_named_and_many_are_counted(tmp_path: Path) -> None:
    few = [tmp_path / name for name in ("a.json", "b.png")]
    assert what_is_written(few) == f"{few[0]}, {few[1]}"
    below = tmp_path / "below"
    many = [tmp_path / f"{name}.png" for name in range(12)] + [tmp_path / "x.json", below / "y.gif", below / "README"]
    assert what_is_written([*many, many[0]]) == (
        f"{tmp_path}{os.sep}: 1 json, 12 png; {below}{os.sep}: 1 README, 1 gif"
    )
