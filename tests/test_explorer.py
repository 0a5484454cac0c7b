"""The explorer's page: what it holds is what was given, and what it computes is what NumPy and the engine compute."""

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from outside import node

import jaxgeom as jg
from jaxgeom.plot.explorer.page import LINK_WORDS, SOURCES, joined_code
from jaxgeom.recipes.output import MOST_EXPLORED, save_explorer

DATA = jg.datasets.circles(jax.random.key(0), num_points=60, noise=0.1, factor=0.4)
SQUARE = jg.box(-1.5, 1.5)
MODULES = sorted(Path(str(SOURCES)).glob("*.mjs"))


def train(key: Any, features: tuple[int, ...] = (2, 6, 5, 1), activation: Any = "relu") -> Any:
    model, loss = jg.mlp(features, activation=activation), jg.losses.binary_cross_entropy
    return jg.fit(
        key, model, optax.adam(0.03), loss, DATA, num_epochs=60, snapshot_every=20, accuracy=jg.losses.side_is_right
    )


def population(num: int, **options: Any) -> Any:
    return jg.fit_population(jax.random.split(jax.random.key(1), num), lambda key: train(key, **options))


RUNS = population(4)


def in_node(page: Path) -> Any:
    program = Path(__file__).with_name("explorer_truth.mjs")
    done = subprocess.run([node(), program, page], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def member(layers: jg.Layers, *places: int) -> jg.Layers:
    """A network as the page has it, in float32."""
    return jax.tree.map(lambda array: np.asarray(array)[places].astype(np.float32).astype(np.float64), layers)


def by_hand(layers: jg.Layers, x: np.ndarray) -> np.ndarray:
    for kernel, bias, slope in layers[:-1]:
        z = x @ kernel + bias
        x = np.where(z > 0, z, 0 if slope is None else slope * z)
    return x @ layers[-1].kernel + layers[-1].bias


def side_lengths(complex_: jg.PlanarComplex) -> np.ndarray:
    """Lengths of the sides of all faces, in the order of their corners."""
    begin, end = np.moveaxis(complex_.vertices[complex_.edges[complex_.face_edges]], 1, 0)
    return np.hypot(*(end - begin).T)


def agree(found: Any, layers: jg.Layers) -> None:
    """Whether a page's network has the outputs of NumPy and the regions of the engine, by whomever they are cut."""
    x = np.asarray(DATA.x, np.float64)
    outputs = np.reshape(found["outputs"], (len(x), -1))
    np.testing.assert_allclose(outputs, by_hand(layers, x), rtol=1e-12, atol=1e-12)
    complex_ = jg.enumerate_regions(layers, SQUARE)
    truth = {"".join(map(str, code.astype(int))): f for f, code in enumerate(complex_.patterns)}
    length = jg.decision_boundary(complex_).length.sum()
    for side in ("engine", "cut"):
        given = found[side]
        if given is None:
            continue
        assert len(given["areas"]) == complex_.num_faces == len(set(given["codes"]))
        assert set(given["codes"]) == set(truth)
        order = [truth[code] for code in given["codes"]]
        around = np.add.reduceat(side_lengths(complex_), complex_.face_offsets[:-1])[order]
        moved = 2.0**-23 if side == "engine" else 0.0  # corners below 2 in float32: half an ulp in both coordinates
        assert np.all(np.abs(given["areas"] - complex_.area[order]) <= moved * around + 1e-10)
        np.testing.assert_array_equal(given["sizes"], np.diff(complex_.face_offsets)[order])
        maps = np.concatenate([complex_.gradient, complex_.intercept[..., None]], axis=2)[order]
        np.testing.assert_allclose(np.reshape(given["maps"], maps.shape), maps, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(given["boundary"], length, rtol=1e-5)
        ends = complex_.vertices[complex_.edges]
        lengths = np.hypot(*(ends[:, 1] - ends[:, 0]).T)
        units = [layer.bias.shape[-1] for layer in layers[:-1]]
        expected = [
            lengths[(complex_.edge_layer == depth) & (complex_.edge_unit == unit)].sum()
            for depth, width in enumerate(units)
            for unit in range(width)
        ]
        np.testing.assert_allclose(given["lengths"], expected, rtol=1e-5, atol=1e-6)
    assert all(found["cut"]["codes"][face] == code for face, code in found["hits"])
    at_points = np.reshape(found["byCode"], (len(found["hits"]), -1, 3))
    x1 = np.concatenate([x[: len(at_points)], np.ones((len(at_points), 1))], axis=1)
    np.testing.assert_allclose(np.einsum("nok,nk->no", at_points, x1), outputs[: len(at_points)], rtol=1e-9, atol=1e-9)


def test_the_page_computes_what_numpy_and_the_engine_do(tmp_path: Path) -> None:
    page = jg.explore(RUNS, tmp_path / "page.html", data=DATA, domain=SQUARE)
    assert (page.num_networks, page.num_frames, page.num_exact) == (4, 4, 16)
    assert page.num_bytes == page.path.stat().st_size
    kind, shown = page._mime_()
    assert (kind, shown) == ("text/html", page._repr_html_())
    assert html.unescape(re.search('srcdoc="([^"]*)"', shown)[1]) == page.path.read_text()
    found = in_node(page.path)
    layers = jg.layers_of(RUNS.snapshots)
    for each in found["networks"]:
        number = each["member"]
        assert each["places"] == {"seed": number}
        assert each["back"] == number
        assert each["siblings"] == [0, 1, 2, 3]
        assert each["outside"] == -1
        agree(each, member(layers, number, -1))
        kernel = np.asarray(layers[0].kernel, np.float64)[number]
        np.testing.assert_allclose(each["half"], (kernel[-2] + kernel[-1]).ravel() / 2, rtol=1e-12)
    counts = jg.count_regions(jg.layers_of(RUNS.initial_params), SQUARE).count
    np.testing.assert_allclose(found["quantiles"], np.quantile(counts, [0, 0.5, 1]))
    assert found["times"] == [0, 1, 2, 3]
    assert found["half"] == 10
    assert found["link"] == found["again"]
    assert found["nonsense"]["places"][0]["seed"] == found["nonsense"]["places"][1]["seed"]
    assert found["nonsense"]["picked"] is None
    np.testing.assert_allclose(found["corner"][:2], [150, 50])
    assert found["ticks"][0] == [0, 5, 10]
    np.testing.assert_allclose(found["ticks"][1], [1e-4, 1e-2, 1], rtol=1e-9)
    for ticks, expected in zip(found["ticks"][2:], ([15, 20, 25], [0.03, 0.1, 0.3], [4, 4.5, 5]), strict=True):
        np.testing.assert_allclose(ticks, expected, rtol=1e-9)  # never one alone
    assert np.argmax(np.abs(found["axis"])) == 2


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["leaky_relu", "abs", "hard_tanh"])
def test_other_kinks_are_cut_the_same(activation: str, tmp_path: Path) -> None:
    model = jg.mlp((2, 4, 3, 1), activation=activation, init="pytorch")
    layers = jg.layers_of(jax.vmap(model.init)(jax.random.split(jax.random.key(2), 2)))
    found = in_node(jg.explore(layers, tmp_path / "page.html", data=DATA, domain=SQUARE).path)
    for each in found["networks"]:
        agree(each, member(layers, each["member"]))


def test_modules_are_modern_javascript_and_make_one_text(tmp_path: Path) -> None:
    assert len(MODULES) > 15
    for module in MODULES:
        text = module.read_text()
        assert text.startswith("// "), f"{module.name} does not say what it is"
        assert not re.search(r"https?://(?!www\.w3\.org)|console\.log|\bvar \b|debugger", text), module.name
        assert max(map(len, text.splitlines())) <= 150, module.name
    joined = tmp_path / "joined.mjs"
    joined.write_text(joined_code())
    subprocess.run([node(), "--check", joined], check=True)
    text = joined_code()
    exported = dict(re.findall(r"const (\w+)_module = \(.*?\nreturn \{ (.*?) \};\n", text, re.DOTALL))
    imported = re.findall(r"const \{ ([^}]*) \} = (\w+)_module;", text)
    assert len(exported) == len(MODULES) - 1
    for names, module in imported:
        assert set(names.split(", ")) <= set(exported[module].split(", ")), f"{module} exports not all of {names}"


def test_recipes_write_a_page_of_as_many_networks_as_fit(tmp_path: Path) -> None:
    model = jg.mlp((2, 3, 1), activation="relu")
    layers = jg.layers_of(jax.vmap(jax.vmap(model.init))(jax.random.split(jax.random.key(3), (70, 2))))
    assert save_explorer(layers, tmp_path / "page", ("png", "gif"), title="Seventy") == []
    (path,) = save_explorer(layers, tmp_path / "page", ("html",), title="Seventy", steps=[0, 9], data=DATA)
    about = json.loads(re.search(r'id="about">([^<]*)<', path.read_text())[1])
    assert about["axes"] == [{"name": "network", "values": list(range(MOST_EXPLORED))}]
    assert about["steps"] == [0, 9]
    assert about["title"] == "Seventy (64 of 70 networks here)"


def test_recipes_leave_out_frames_before_networks(tmp_path: Path) -> None:
    model = jg.mlp((2, 16, 16, 1), activation="relu")
    layers = jg.layers_of(jax.vmap(jax.vmap(model.init))(jax.random.split(jax.random.key(3), (32, 60))))
    (path,) = save_explorer(layers, tmp_path / "page", ("html",), title="All 32", steps=range(60), data=DATA)
    about = json.loads(re.search(r'id="about">([^<]*)<', path.read_text())[1])
    assert about["title"] == "All 32"
    assert about["axes"] == [{"name": "network", "values": list(range(32))}]
    assert 30 <= len(about["steps"]) < 60
    assert path.stat().st_size < 5e6


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_explored_says_why(tmp_path: Path) -> None:
    page, layers = tmp_path / "page.html", jg.layers_of(RUNS.params)
    with pytest.raises(ValueError, match=r"a page, \.html, but 'page.png'"):
        jg.explore(RUNS, tmp_path / "page.png")
    with pytest.raises(TypeError, match=r"runs of fit or fit_population, a Study .* but int was given"):
        jg.explore(3, page)
    with pytest.raises(ValueError, match="one, two or three inputs, but these have 4"):
        jg.explore((jg.Dense(np.ones((4, 2)), np.ones(2)), jg.Dense(np.ones((2, 1)), np.ones(1))), page)
    with pytest.raises(ValueError, match=r"leading axes \(4,\), but axes has seed of lengths \(3,\)"):
        jg.explore(layers, page, axes={"seed": range(3)})
    with pytest.raises(ValueError, match="data are points"):
        jg.explore(RUNS, page, data=(np.ones((3, 2)), np.ones(4)))
    with pytest.raises(
        ValueError, match=r"allowed\. Give max_megabytes=1, or fewer networks \(.*lambda array: array\[:2\], networks"
    ):
        jg.explore(RUNS, page, max_megabytes=0.01)
    for option in ({"max_megabytes": "1"}, {"link": 3}, {"title": 3}):
        with pytest.raises(TypeError, match=rf"{next(iter(option))} must be (a number|text), but '?[13]'? was given"):
            jg.explore(RUNS, page, **option)
    with pytest.raises(ValueError, match=r"be one of seed, step, .* but 'wid' was given\. Did you mean 'wide'\?"):
        jg.explore(RUNS, page, link="#seed=1&b.seed=2&t.seed=3&step=0&wid=1")
    with pytest.raises(TypeError, match=r"data\.x must be an array of bool, integers or real floats"):
        jg.explore(RUNS, page, data=(np.array([["a", "b"]]), np.ones(1)))
    with pytest.raises(TypeError, match=r"2 were given without names\. Give \{name: run\}"):
        jg.explore([RUNS, RUNS], page)
    with pytest.raises(ValueError, match="max_megabytes must be positive"):
        jg.explore(RUNS, page, max_megabytes=0)
    with pytest.raises(ValueError, match="max_frames"):
        jg.explore(RUNS, page, max_frames=0)
    with pytest.raises(ValueError, match="2 inputs, but a box in 3 dimensions"):
        jg.explore(RUNS, page, domain=jg.box(dim=3))
    with pytest.raises(TypeError, match="box"):
        jg.explore(RUNS, page, domain=3)
    with pytest.raises(ValueError, match="all values of width need the same axes and steps"):
        jg.explore({3: RUNS, 4: layers}, page, axis="width")
    with pytest.raises(ValueError, match="are not the parameters"):
        jg.explore({}, page)
    with pytest.raises(ValueError, match="an axis 'seed' of their own"):
        jg.explore({3: RUNS}, page, axis="seed")
    with pytest.raises(ValueError, match="none of the networks is finite"):
        jg.explore(jax.tree.map(lambda array: array * np.nan, layers), page)
    assert not page.exists()


def test_sizes_that_are_suggested_fit(tmp_path: Path) -> None:
    page, rng = tmp_path / "page.html", np.random.default_rng(0)
    shapes = ((40, 30, 2, 24), (40, 30, 24)), ((40, 30, 24, 1), (40, 30, 1))
    layers = tuple(jg.Dense(*(rng.normal(size=shape).astype(np.float32) for shape in pair)) for pair in shapes)
    with pytest.raises(ValueError, match=r"40 networks at 30 frames take 0\.\d MB") as error:
        jg.explore(layers, page, max_megabytes=0.6)
    (frames,) = map(int, re.findall(r"max_frames=(\d+)", str(error.value)))
    assert 2 <= frames < 30
    assert jg.explore(layers, page, max_megabytes=0.6, max_frames=frames).num_frames == frames
    with pytest.raises(ValueError, match="MB are allowed"):
        jg.explore(layers, page, max_megabytes=0.6, max_frames=frames + 1)


def test_words_of_links_are_those_that_the_page_writes() -> None:
    source = (SOURCES / "state.mjs").read_text()
    shows = re.findall(r'"(\w+)"', re.search(r"SHOWS = \[(.*?)\]", source)[1])
    assert {*re.findall(r'parts\.set\("([a-z]+)"', source), *shows} == set(LINK_WORDS)


@pytest.mark.slow
def test_studies_are_read_with_all_their_axes(tmp_path: Path) -> None:
    study = jg.run_study(
        {"hidden": [(3,), (4, 2)], "rate": [0.01, 0.1], "seed": range(2)},
        {"params": jg.study.parameters(), "loss": jg.study.loss_on()},
        data=DATA,
        optimizer=lambda rate: optax.sgd(rate),
        loss=jg.losses.binary_cross_entropy,
        num_epochs=4,
        at_steps=[0, 4],
        progress=False,
    )
    with pytest.raises(ValueError, match="or fewer networks") as error:
        jg.explore(study, tmp_path / "large.html", max_megabytes=0.01)
    (call,) = re.findall(r"\((jaxgeom\.study\.select\(.*?\))\)", str(error.value))
    assert eval(call, {"jaxgeom": jg, "study": study}).is_finished.shape == (2, 2, 1)
    page = jg.explore(study, tmp_path / "study.html", data=DATA, domain=SQUARE)
    found = in_node(page.path)
    assert [each["places"] for each in found["networks"][:2]] == [
        {"hidden": 0, "rate": 0, "seed": 0},
        {"hidden": 0, "rate": 0, "seed": 1},
    ]
    about = json.loads(re.search(r'id="about">([^<]*)<', page.path.read_text())[1])
    assert about["groups"] == [[2, 3, 1], [2, 4, 2, 1]]
    assert about["curves"] == ["regions", "loss"]
    last = {each["member"]: each for each in found["networks"]}[7]
    sizes, layers = [2, 4, 2, 1], []
    for depth, name in enumerate(("dense0_relu", "dense1_relu", "dense2_linear")):
        kernel, bias = (study[f"params_{name}_{part}"][1, 1, 1, -1] for part in ("kernel", "bias"))
        layers.append(jg.Dense(kernel[: sizes[depth], : sizes[depth + 1]], bias[: sizes[depth + 1]]))
    agree(last, member(tuple(layers)))


def test_curves_of_ones_own_are_in_the_page(tmp_path: Path) -> None:
    layers = jg.layers_of(RUNS.snapshots)
    steps, loss = np.arange(6), np.arange(24.0).reshape(4, 6) ** 2
    axes = {"seed": range(4), "step": RUNS.snapshot_steps[0].tolist()}
    own = jg.explore(layers, tmp_path / "own.html", axes=axes, curves={"loss": (steps, loss)})
    text = own.path.read_text()
    assert '"curves": ["regions", "loss"]' in text
    assert '"start": 1,' in text, "the network with the median of the losses is shown first"
    for wrong in ((steps, loss[:3]), (steps[:5], loss), (steps, loss[0]), (loss, loss)):
        with pytest.raises(ValueError, match=r"'loss' takes steps \(records,\) and numbers \(4, 'records'\)"):
            jg.explore(layers, tmp_path / "wrong.html", axes=axes, curves={"loss": wrong})


@pytest.mark.parametrize(
    ("sizes", "activation", "targets", "title"),
    [
        ((2, 3, 1), "relu", 2, "Linear regions"),
        ((2, 3, 1), "tanh", 2, "Decision boundaries"),
        ((2, 3, 1), "tanh", 9, "Outputs"),
        ((2, 3, 2), "tanh", None, "Points in every layer"),
        ((1, 3, 1), "relu", 9, "Networks and their graphs"),
        ((3, 3, 1), "relu", 2, "Decision surfaces"),
    ],
)
def test_titles_say_what_is_shown(
    tmp_path: Path, sizes: tuple[int, ...], activation: str, targets: int | None, title: str
) -> None:
    params = jg.mlp(sizes, activation=activation).init(jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(9, sizes[0]))
    data = x if targets is None else (x, np.arange(9) % targets)
    moving = jax.tree.map(lambda array: np.stack([array, array + 1]), params)
    for networks, axes, expected in ((params, None, title), (moving, {"step": [0, 1]}, f"{title} while they train")):
        page = jg.explore(networks, tmp_path / "page.html", data=data, axes=axes)
        assert f"<title>{expected}</title>" in page.path.read_text()
        assert f"<h1>{expected}</h1>" in page.path.read_text()
