"""Study files that are not right, of every kind: each ends in one line that says so, before anything is computed."""

from pathlib import Path

import pytest

from jaxgeom.__main__ import main

GOOD = """
key = 0
[axes]
width = [3]
depth = [1]
seed = {stop = 2}
learning_rate = [0.05, 0.1]
[data]
name = "parity"
dim = 2
[model]
init = "pytorch"
[optimizer]
name = "sgd"
[train]
loss = "squared_error"
num_epochs = 2
at_steps = [0, 2]
[measure.regions]
what = "exact_regions"
domain = [-1, 1]
[measure.loss]
what = "loss"
[measure.accuracy]
what = "accuracy"
is_right = "side_is_right"
"""

WRONG = {
    "key = 0": ['key = "a"', "key = -1", "key = 99999999999999999999", "key = 0.5", "key = [1]"]
    + [f"key = 0\n{line}" for line in ("chunk_size = 0", 'chunk_size = "a"', "chunk_size = 2.5")]
    + [f"key = 0\n{line}" for line in ('static = "learning_rate"', 'static = ["foo"]', "static = 3")],
    "width = [3]": [
        f"width = {value}" for value in ("[]", "[-3]", "[0]", '["3"]', "[3.0]", "[[3]]", "[true]", "[1000000000]")
    ]
    + ["width = [3]\nhidden = [[3]]", "width = [3]\nfoo = [1, 2]"],
    "width = [3]\ndepth = [1]": ["hidden = [[0]]", 'hidden = [["a"]]'],
    "depth = [1]": ["depth = [0]", "depth = [-1]", "depth = [1.5]", "depth = [100000]"],
    "seed = {stop = 2}": [
        *(f"seed = {{{inner}}}" for inner in ("stopp = 2", "stop = 2.5", 'stop = "2"', "stop = 2, step = 0")),
        "seed = [-1]",
        "seed = {stop = 1000000000000}",
    ],
    "learning_rate = [0.05, 0.1]": [
        *(f"learning_rate = {value}" for value in ('["a"]', "[true, false]", "2020-01-01", '[0.1, "x"]')),
        *(f"learning_rate = {value}" for value in ("[nan, 0.1]", "inf")),
        "",
    ],
    'name = "parity"\ndim = 2': ["", 'name = "os"\ndim = 2', *(f'name = "parity"\ndim = {n}' for n in ('"2"', 0, 200))],
    'init = "pytorch"': [
        *(f"init = {value}" for value in ('"evil"', "3", "[1]")),
        *(f"activation = {value}" for value in ('"tanh"', '"foo"')),
        "features = [1]",
        'use_bias = "no"',
    ],
    "[model]": ["[[model]]"],
    'name = "sgd"': [
        *(f"name = {value}" for value in ("\"__import__('os').system('id')\"", "3", '["sgd"]', "{a = 1}")),
        *(f'name = "sgd"\n{line}' for line in ('momentum = "high"', "foo = 1")),
        'name = "adamw"\nmask = "x"',
    ],
    'loss = "squared_error"': [f"loss = {value}" for value in ('"foo"', '["squared_error"]', "1")],
    "num_epochs = 2": [
        *(f"num_epochs = {value}" for value in ("-2", "0", "2.5", '"2"', "true")),
        "",
        *(f"num_epochs = 2\nbatch_size = {value}" for value in ("-1", "100", "1.5")),
    ],
    "at_steps = [0, 2]": [f"at_steps = {value}" for value in ("[-1]", '"all"', "2", "[0, 3]", "[0.5]", "[[0]]")],
    'what = "exact_regions"': [
        *(f"what = {value}" for value in ('"os.system"', '["loss"]')),
        "",
        *(f'what = "grid_regions"\nnum_grid = {value}' for value in ("1", '"a"')),
    ],
    'what = "exact_regions"\ndomain = [-1, 1]': [
        'what = "line_breakpoints"',
        'what = "line_breakpoints"\nstart = [0, 0]\nstop = [0, 0]',
        'what = "grid_regions"\ndomain = [[0, 0], [1, 0], [0, 1]]',
        'what = "topology"\ndomain = "plane"',
        'what = "topology"\ndomain = {low = -1, high = 1, dim = 3}',
    ],
    "domain = [-1, 1]": [
        *(
            f"domain = {value}"
            for value in (
                '"disk"',
                "[1, -1]",
                '["a", "b"]',
                "[nan, 1]",
                "3",
                "{low = 0}",
                "{low = 0, high = 1, dim = 0}",
            )
        ),
        *(f"domain = {value}" for value in ("[[0, 0], [1, 0], [0.1, 0.1], [0, 1]]", '[["a", 0], [1, 0], [0, 1]]')),
        *(f"domain = [-1, 1]\n{line}" for line in ('kind = "foo"', 'min_area = "a"', "min_area = -1.0")),
    ],
    'is_right = "side_is_right"': ['is_right = "eval"', "is_right = [1]"],
    'what = "loss"': [f'what = "loss"\nsplit = "{split}"' for split in ("val", "test")],
    "[measure.regions]": ["[measure.width]", '[measure."../../x"]', '[measure.""]', "[measure.loss]"],
}


def as_file(text: str | bytes, directory: Path) -> Path:
    path = directory / "study.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def check_error(text: str | bytes, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = directory / "out"
    assert main(["study", str(as_file(text, directory)), "--out", str(out), "--quiet"]) == 2, text
    printed = capsys.readouterr()
    assert printed.err.startswith("error: "), printed.err
    assert printed.err.count("\n") == 1, printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert not list(out.glob("*.npz"))


@pytest.mark.parametrize("right", WRONG)
def test_wrong_values(right: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], unchecked: None) -> None:
    assert right in GOOD
    for wrong in WRONG[right]:
        check_error(GOOD.replace(right, wrong, 1), tmp_path, capsys)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[axes\nwidth = [3",
        bytes(range(100, 256)),
        "\ufeff" + GOOD,
        GOOD + "\n[axes]\nwidth = [1]",
        GOOD + "\n[foo]\na = 1",
        GOOD + "\nmeasure.x = 1",
        "axes = [1]\nmeasure = {}",
        "measure = [1]\n[axes]\nwidth = [3]",
        "a = " + "[" * 3000 + "]" * 3000,
    ],
)
def test_wrong_files(text: str | bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], unchecked: None) -> None:
    check_error(text, tmp_path, capsys)


def test_the_file_is_right_but_for_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", str(as_file(GOOD, tmp_path)), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
