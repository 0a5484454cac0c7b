"""Published results: what counts as agreement, the report, and the parts that are cheap to measure."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxgeom import Dense, box, forward, whole_plane
from jaxgeom.__main__ import main
from jaxgeom.networks.layers import with_activation
from jaxgeom.plot import COLORS
from jaxgeom.recipes import reproduce
from jaxgeom.recipes.reproduce.claims import Claim, at_most, exact, fraction, mean, table, within
from jaxgeom.recipes.reproduce.curves import tent
from jaxgeom.recipes.reproduce.degrees import SHALLOW, num_and_degree
from jaxgeom.recipes.reproduce.enclosures import num_bounded as bounded_of_classes
from jaxgeom.recipes.reproduce.maxout import example
from jaxgeom.recipes.reproduce.narrow import num_bounded
from jaxgeom.recipes.reproduce.networks import normal_networks
from jaxgeom.regions.enumerate import enumerate_regions
from jaxgeom.theory import zaslavsky


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
    all_right = fraction("P", 0.9, np.ones(99, bool))  # Wilson's interval of one error begins at n / (n + 1)
    assert all_right.measured == 1
    assert all_right.error == pytest.approx(0.01)
    assert not all_right.agrees
    assert fraction("P", 0.97, np.ones(99, bool)).agrees
    assert not fraction("P", 0.95, np.arange(99) < 0).agrees
    assert within("about", 10, 9, 1).agrees
    assert not within("about", 10, 8.9, 1).agrees
    assert at_most("bound", 10, 10).agrees
    assert not at_most("bound", 10, 10.1).agrees


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


def test_average_degrees_are_those_of_arrangements() -> None:
    """Of n lines in general position each is cut into n pieces, which part (n² + n + 2) / 2 regions."""
    rng = np.random.default_rng(0)
    for num in (1, 2, 3, 7):
        layers = Dense(rng.normal(size=(2, num)), rng.normal(size=num)), Dense(np.ones((num, 1)), np.zeros(1))
        cells = (num**2 + num + 2) // 2
        found, degree = num_and_degree(layers, whole_plane())
        assert (found, degree) == (cells, pytest.approx(2 * num**2 / cells))
    # planes x, y, z = 0 in space: eight octants with three neighbours each
    octants = Dense(np.eye(3), np.zeros(3)), Dense(np.ones((3, 1)), np.zeros(1))
    assert num_and_degree(octants, box(-1, 1, dim=3)) == (8, 3)


def test_published_degrees_are_in_closed_form() -> None:
    for (dim, width), (cells, degree) in SHALLOW.items():
        assert zaslavsky(width, dim) == cells
        assert round(2 * width * zaslavsky(width - 1, dim - 1) / cells, 4) == degree


def test_published_degrees_and_a_maxout_network() -> None:
    for name in ("degrees", "maxout"):
        rows = reproduce.CLAIMS[name](0, True).rows
        assert all(row.agrees for row in rows)
    assert [row.measured for row in rows] == [216, 30]


def test_the_maxout_network_is_that_of_its_seed() -> None:
    rng = np.random.RandomState(123)
    x = np.random.default_rng(0).uniform(-3, 3, (50, 2))
    h = x
    for units in (7, 7, 6):
        inputs = h.shape[1]
        kernel = rng.normal(0, np.sqrt(1 / inputs), (units, 2, inputs))
        bias = rng.normal(0, np.sqrt(1 / inputs), (units, 2))
        h = (np.einsum("ukj,ij->iuk", kernel, h) + bias).max(axis=-1)
    logits = h @ rng.normal(0, np.sqrt(2 / 6), (2, 6)).T + rng.normal(0, np.sqrt(2 / 6), 2)
    output = forward(with_activation(example(), "maxout"), x).output
    np.testing.assert_allclose(output[:, 0], logits[:, 1] - logits[:, 0], rtol=1e-5, atol=1e-5)


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


@pytest.mark.slow
def test_bounded_components_are_those_of_the_whole_plane() -> None:
    networks = normal_networks(np.random.default_rng(3), (2, 4, 4), leading=(200,))
    found = bounded_of_classes(networks, 100.0)
    num_near = 0
    for index in range(200):
        network = jax.tree.map(lambda array, index=index: array[index], networks)
        vertices = enumerate_regions(network, whole_plane(), cut_output=True).vertices
        if np.abs(vertices).max() < 100:
            assert found[index].sum() == num_bounded(network)
            num_near += 1
    assert num_near > 50
    assert found.sum() > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["enclosures", "functional-dimension", "sampling"])
def test_theorems_hold(name: str) -> None:
    claim = reproduce.CLAIMS[name](1, True)
    assert all(row.agrees for row in claim.rows)
    assert not any(row.measured == 0 for row in claim.rows)


@pytest.mark.slow
@pytest.mark.usefixtures("sound_pictures")
def test_figures_are_sound_and_in_the_colours_of_the_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[set[tuple[float, ...]]] = []
    save = Figure.savefig

    def savefig(figure: Figure, *args: Any, **options: Any) -> None:
        colors = {to_rgb(line.get_color()) for line in figure.findobj(Line2D)}
        used.append(colors | {to_rgb(patch.get_facecolor()) for patch in figure.findobj(Patch)})
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    names = ["disc", "length", "sawtooth", "local-complexity"]
    assert main(["reproduce", *names, "--quick", "--quiet", "--out", str(tmp_path)]) == 0
    assert len(used) == len(names), "each figure is drawn once"
    palette = {to_rgb(color) for color in COLORS}
    for colors in used:
        assert {color for color in colors if np.ptp(color) > 0.1} <= palette
