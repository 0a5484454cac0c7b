"""Published results: what counts as agreement, the report, and the parts that are cheap to measure."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxgeom import Dense
from jaxgeom.__main__ import main
from jaxgeom.recipes import reproduce
from jaxgeom.recipes.reproduce.claims import Claim, exact, mean, table, within
from jaxgeom.recipes.reproduce.curves import tent
from jaxgeom.recipes.reproduce.narrow import num_bounded


def test_agreement() -> None:
    assert exact("count", 7, 7).agrees
    assert not exact("count", 7, 8).agrees
    samples = np.array([1.0, 3.0] * 50)  # mean 2, standard error 1.005 / 10
    row = mean("mean", 2.2, samples)
    assert row.measured == 2
    assert row.error == pytest.approx(np.std(samples, ddof=1) / 10)
    assert row.agrees
    assert not mean("mean", 2.5, samples).agrees
    assert mean("mean", 2.5, samples, published_error=0.2).agrees
    assert within("about", 10, 9, 1).agrees
    assert not within("about", 10, 8.9, 1).agrees


def test_integers_and_one_function_with_four_counts() -> None:
    for name in ("bounds", "definitions"):
        rows = reproduce.CLAIMS[name](0, True).rows
        assert all(row.agrees for row in rows)
        assert [row.measured for row in rows][-3:] != [0, 0, 0]


def test_tent_maps_are_tents() -> None:
    x = np.linspace(0, 1, 9)[:, None]
    h = x
    *hidden, last = tent(3)
    for kernel, bias, *_ in hidden:
        h = np.maximum(h @ kernel + bias, 0)
    np.testing.assert_allclose((h @ last.kernel + last.bias)[:, 0], [0, 1, 0, 1, 0, 1, 0, 1, 0], atol=1e-15)


def test_bounded_pieces_are_counted() -> None:
    axes = np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])

    def network(output: list[float], bias: float) -> tuple[Dense, ...]:
        return Dense(axes, np.array([0.0, 0.0, 0.0, 0.0])), Dense(np.array(output)[:, None], np.array([bias]))

    assert num_bounded(network([-1, -1, -1, -1], 1)) == 1  # 1 - |x| - |y|, a diamond
    assert num_bounded(network([1, -1, 0, 0], 0.5)) == 0  # a half plane
    assert num_bounded(network([-1, -1, 0, 0], 1)) == 0  # a strip


@pytest.fixture
def two_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    def good(key: int, quick: bool) -> Claim:
        return Claim("A good one", "somebody (2000)", [exact("n", 7, 7)], "Counted.", lambda ax: ax.plot([0, 1]))

    def bad(key: int, quick: bool) -> Claim:
        return Claim("A bad one", "nobody", [within("x", 1.5, float(key), 0.1)], "Guessed.")

    for name in list(reproduce.CLAIMS):
        monkeypatch.delitem(reproduce.CLAIMS, name)
    monkeypatch.setitem(reproduce.CLAIMS, "good", good)
    monkeypatch.setitem(reproduce.CLAIMS, "bad", bad)


def test_the_report_says_what_does_not_agree(two_claims: None, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["reproduce", "all", "--key", "2", "--quiet", "--out", str(tmp_path)]) == 0
    report = (tmp_path / "report.md").read_text()
    assert "All figures agree." in report
    assert "**Does not agree: x.**" in report
    assert "![A good one](good.png)" in report
    assert (tmp_path / "good.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "bad.png").exists()
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved["statistics"]["bad"]["rows"] == [
        {"quantity": "x", "published": 1.5, "measured": 2.0, "error": 0.1, "agrees": False}
    ]
    assert "| x | 1.5 | 2 | ± 0.1 | **no** |" in capsys.readouterr().out
    assert table(reproduce.CLAIMS["good"](0, True)).splitlines()[-1] == "| n | 7 | 7 | exact | yes |"
