"""Misspelt names: what is nearest is said, and nothing where nothing is near, wherever names are given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.host.names import check_name, did_you_mean

LAYERS = jg.Dense(np.ones((2, 3)), np.zeros(3)), jg.Dense(np.ones((3, 1)), np.zeros(1))
STUDY: dict[str, Any] = {"measure": {"regions": jg.study.exact_regions(jg.box(-1, 1))}, "inputs": 2, "progress": False}
TRAINED = {"optimizer": optax.sgd, "data": jg.parity(2), "loss": jg.losses.squared_error, "num_epochs": 1}


@pytest.mark.parametrize(
    ("given", "known", "nearest"),
    [
        ("widht", ["depth", "width"], "width"),
        ("LeakyReLU", ["relu", "leaky_relu"], "leaky_relu"),
        ("batch-size", ["batch_size"], "batch_size"),
        ("zebra", ["width", "depth"], None),
        ("", ["width"], None),
        (3, ["width"], None),
        ("width", [], None),
    ],
)
def test_the_nearest_name_is_said(given: Any, known: list[str], nearest: str | None) -> None:
    assert did_you_mean(given, known) == ("" if nearest is None else f" Did you mean {nearest!r}?")


def test_a_known_name_passes_and_another_is_refused() -> None:
    check_name("kind", "map", ("map", "linear"))
    with pytest.raises(ValueError, match=r"^kind must be one of map, linear, but \['map'\] was given\. Take one\.$"):
        check_name("kind", ["map"], ("map", "linear"), "Take one.")


def zoo(**axes: Any) -> Callable[[Path], Any]:
    return lambda path: jg.zoo(axes, out=path / "zoo", progress=False)


def study(axes: dict[str, Any], **given: Any) -> Callable[[Path], Any]:
    return lambda _: jg.run_study(axes, **STUDY | given)


@pytest.mark.parametrize(
    ("call", "nearest"),
    [
        (lambda _: jg.mlp((2, 3, 1), activation="rleu"), "relu"),
        (lambda _: jg.mlp((2, 3, 1), init="pytorh"), "pytorch"),
        (lambda _: jg.count_regions(LAYERS, jg.box(-1, 1), kind="activations"), "activation"),
        (lambda _: jg.count_regions(LAYERS, jg.box(-1, 1), activation="leaky-relu"), "leaky_relu"),
        (zoo(widht=3), "width"),
        (zoo(optimizer="admw"), "adamw"),
        (zoo(data="sprials"), "spirals"),
        (lambda path: jg.zoo({}, out=path / "zoo", labels=["region"]), "regions"),
        (study({"width": [3], "sede": range(3)}), "seed"),
        (study({"widht": [3]}), "width"),
        (study({"width": [3], "learning_rat": [0.1]}, **TRAINED), "learning_rate"),
    ],
)
def test_python_functions_say_it(call: Callable[[Path], Any], nearest: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"Did you mean '{nearest}'\\?"):
        call(tmp_path)
    assert not list(tmp_path.iterdir())


def test_studies_and_zoos_say_it_of_what_they_hold(tmp_path: Path) -> None:
    found = jg.run_study({"width": [2, 3], "seed": range(2)}, **STUDY)
    for call in (lambda: found["region"], lambda: jg.study.select(found, widths=2), lambda: found["with"]):
        with pytest.raises(ValueError, match=r"Did you mean '(regions|width)'\?"):
            call()
    axes = {"width": [2, 3], "seed": range(2), "num_points": 40, "batch_size": 16, "num_epochs": 1}
    held = jg.zoo(axes, out=tmp_path / "zoo", progress=False)
    for call in (
        lambda: held["region"],
        lambda: held.network(widht=2, seed=0),
        lambda: jg.study.ZooExamples(held, "region", width=2),
    ):
        with pytest.raises(ValueError, match=r"Did you mean '(regions|width)'\?"):
            call()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("stduy x.toml", "Did you mean 'study'?"),
        ("zoo --lables regions", "unrecognized arguments: --lables. Did you mean '--labels'?"),
        ("xor --fromats=png", "Did you mean '--formats'?"),
        ("zoo width=3 --zebra", "unrecognized arguments: --zebra (see"),
        ("zoo widht=3", "but 'widht' was given. Did you mean 'width'?"),
    ],
)
def test_the_command_line_says_it(
    line: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status = main(line.split())
    except SystemExit as end:
        status = int(end.code or 0)
    error = capsys.readouterr().err
    assert status == 2
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "nearest"),
    [
        ('what = "loss"', 'what = "los"', "loss"),
        ("[measure.", "[mesure.", "measure"),
        ('name = "sgd"', 'name = "sdg"', "sgd"),
        ("num_epochs", "num_epoch", "num_epochs"),
    ],
)
def test_files_of_studies_say_it(
    old: str, new: str, nearest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
        [axes]
        width = [3]
        learning_rate = 0.1
        [data]
        name = "moons"
        [optimizer]
        name = "sgd"
        [train]
        loss = "softmax_cross_entropy"
        num_epochs = 1
        [measure.loss]
        what = "loss"
    """
    (tmp_path / "right.toml").write_text(text)
    (tmp_path / "wrong.toml").write_text(text.replace(old, new))
    assert text.count(old) == 1
    assert main(["study", str(tmp_path / "right.toml"), "--out", str(tmp_path / "right"), "--quiet"]) == 0
    assert main(["study", str(tmp_path / "wrong.toml"), "--out", str(tmp_path / "wrong"), "--quiet"]) == 2
    assert f"Did you mean '{nearest}'?" in capsys.readouterr().err
