"""The explorer's page of networks of features, against NumPy, JAX, the engine and circles; and in a browser."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from explorer_modules import in_node
from feature_truth import FEATURES, by_hand, pre_activations
from outside import Opened, settled

import jaxgeom as jg

SQUARE = jg.box(-2, 2)
NAMES = ("x1", "x2", "x1^2", "x1*x2", "sin(x1)")
CIRCLES = [[[0, 0], [0, 0], [1, 4], [1, 4]], [-2, -1]]
"""Weights and biases on x1, x2, x1^2, x2^2 of two units, zero on the circles of radius √2 and 1/2."""


SCENE = """const { scenes } = await load("scene"), scene = scenes(population).at(0, 0);\n"""
"""What is seen of the first network of a page."""


def parameters(sizes: tuple[int, ...], activation: str, *leading: int, seed: int = 0) -> Any:
    """Random parameters as those of mlp."""
    rng, last = np.random.default_rng(seed), len(sizes) - 2
    return {
        f"dense{depth}_{'linear' if depth == last else activation}": {
            "kernel": rng.normal(size=(*leading, inputs, outputs)).astype(np.float32),
            "bias": 0.5 * rng.normal(size=(*leading, outputs)).astype(np.float32),
        }
        for depth, (inputs, outputs) in enumerate(pairwise(sizes))
    }


def layers_of_circles(names: int = 4) -> jg.Layers:
    kernel, bias = (np.array(each, np.float32) for each in CIRCLES)
    return jg.Dense(kernel[:names], bias), jg.Dense(np.ones((2, 1), np.float32), np.full(1, -1, np.float32))


def lengths(pieces: Any) -> float:
    ends = np.reshape(pieces, (-1, 2, 2))
    return float(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).sum())


def test_modules_compute_features_as_numpy_does() -> None:
    points = {dim: np.random.default_rng(dim).normal(scale=3, size=(20, dim)) for dim in FEATURES}
    program = f"""const {{ featureLayer, featureNames, featureText, valuesOf }} = await load("features");
      const points = {json.dumps({dim: x.tolist() for dim, x in points.items()})}, found = {{}};
      for (const dim of [1, 2, 3]) {{
        const names = featureNames(dim), layer = featureLayer(names, dim);
        found[dim] = {{ names, values: Array.from(valuesOf(names, points[dim].flat(), dim)), layer,
          texts: names.map((name) => featureText(name, dim)) }};
      }}
      let refused = "";
      try {{ featureText("x1^3", 2) }} catch (error) {{ refused = error.message; }}
      console.log(JSON.stringify({{ found, refused }}));"""
    answer = in_node(program)
    for dim, x in points.items():
        found = answer["found"][str(dim)]
        assert tuple(found["names"]) == tuple(FEATURES[dim]) == jg.datasets.feature_names(dim)
        np.testing.assert_allclose(np.reshape(found["values"], (20, -1)), by_hand(x, found["names"]), rtol=1e-15)
        assert (found["layer"]["features"], found["layer"]["inputs"]) == (found["names"], dim)
        assert found["layer"]["outputs"] == len(found["names"])
    assert answer["found"]["1"]["texts"] == ["x", "x²", "sin x"]
    assert answer["found"]["2"]["texts"] == ["x₁", "x₂", "x₁²", "x₂²", "x₁x₂", "sin x₁", "sin x₂"]
    assert answer["refused"] == "x1^3 is no feature"


@pytest.mark.parametrize(("dim", "activation"), [(1, "tanh"), (1, "relu"), (2, "relu"), (2, "tanh"), (3, "relu")])
def test_pages_compute_the_outputs_of_numpy_and_of_jax(tmp_path: Path, dim: int, activation: str) -> None:
    names = jg.datasets.feature_names(dim)
    params = parameters((len(names), 6, 4, 1), activation, 2)
    x = np.random.default_rng(5).uniform(-2, 2, size=(40, dim)).astype(np.float32)
    page = jg.explore(params, tmp_path / "page.html", data=(x, np.sign(x[:, :1])), features=names)
    assert (page.num_networks, page.num_exact) == (2, 0)
    program = (
        SCENE
        + """const { stageNames } = await load("hidden"), { isSmooth } = await load("network");
      const { codeAt, firstUnits } = await load("network"), x = population.arrays["data/x"];
      console.log(JSON.stringify({ z: Array.from(scene.data.at(-1).z), names: stageNames(scene.layers),
        hidden: scene.data.map(({ z }) => Array.from(z)), about, isSmooth: isSmooth(scene.layers),
        code: Array.from(codeAt(scene.layers, ...x.subarray(0, about.inputs))), begins: firstUnits(scene.layers),
        regions: scene.regions, thresholds: scene.thresholds?.map((each) => each.length) ?? null }));"""
    )
    found = in_node(program, page.path)
    first = jax.tree.map(lambda array: array[0], params)
    expected = pre_activations(first, x, names)
    np.testing.assert_allclose(found["z"], expected[-1].ravel(), rtol=1e-12, atol=1e-12)
    model = jg.mlp((len(names), 6, 4, 1), activation=activation)
    by_jax = model.apply(first, jg.datasets.features_of(x, names))
    np.testing.assert_allclose(found["z"], np.ravel(by_jax), rtol=1e-4, atol=1e-4)
    states = [by_hand(x, names), *expected]
    for values, state in zip(found["hidden"], states, strict=True):
        np.testing.assert_allclose(values, state.ravel(), rtol=1e-12, atol=1e-12)
    assert found["code"] == (np.concatenate([state[0] for state in expected[:2]]) > 0).astype(int).tolist()
    assert (found["begins"], found["isSmooth"], found["regions"]) == ([0, 6, 10], True, None)
    assert (found["about"]["inputs"], found["about"]["features"]) == (dim, list(names))
    assert (len(found["about"]["domain"]), found["about"]["curves"]) == (2 * dim, [])
    bent = "tanh" if activation == "tanh" else "bent"
    stages = [f"layer {depth}, {kind}" for depth in (1, 2) for kind in ("affine", bent)]
    assert found["names"] == ["input", "features", *stages, "output"]
    if dim == 1:
        line = np.linspace(*found["about"]["domain"], 481)[:, None]
        changes = [np.abs(np.diff(z > 0, axis=0)).sum() for z in pre_activations(first, line, names)[:2]]
        assert found["thresholds"] == changes, "none of the features, whose zeros are no thresholds"


def test_lines_of_zeros_are_the_circles_they_have_to_be(tmp_path: Path) -> None:
    """Of relu(r² - 2) + relu(4r² - 1) - 1 the zero is where r² is 1/2."""
    names = ("x1", "x2", "x1^2", "x2^2")
    page = jg.explore(layers_of_circles(), tmp_path / "page.html", domain=SQUARE, features=names)
    program = (
        SCENE
        + """const { aboutUnit } = await load("inspector"), { factsOf } = await load("scene");
      console.log(JSON.stringify({ units: [0, 1].map((unit) => scene.edgesOf(1, unit)), edges: scene.edges,
        boundary: scene.boundary, about: aboutUnit(scene, { layer: 1, unit: 1 }),
        facts: factsOf(population, scene) }));"""
    )
    found = in_node(program, page.path)
    assert found["edges"] == [list(np.concatenate(found["units"]))], "one hidden layer, the features are none"
    for pieces, radius in zip([*found["units"], found["boundary"]], np.sqrt([2, 1 / 4, 1 / 2]), strict=True):
        distances = np.linalg.norm(np.reshape(pieces, (-1, 2)), axis=1)
        np.testing.assert_allclose(distances, radius, atol=2e-3)
        np.testing.assert_allclose(lengths(pieces), 2 * np.pi * radius, rtol=3e-3)
    about = dict(row[:2] for row in found["about"])
    assert about["unit"] == "2 of layer 1"
    assert about["z"].startswith("4 x₁² + 4 x₂²"), about["z"]
    share = float(about["on"].split()[1])
    np.testing.assert_allclose(share, 100 * (1 - np.pi / 4 / 16), rtol=2e-3)
    assert not any("region" in fact for fact in found["facts"])


def test_coordinates_as_features_have_the_lines_of_the_engine(tmp_path: Path) -> None:
    params = parameters((2, 7, 1), "relu", seed=3)
    page = jg.explore(params, tmp_path / "page.html", domain=SQUARE, features=("x2", "x1"))
    program = (
        SCENE
        + """console.log(JSON.stringify({ boundary: scene.boundary,
      units: [0, 1, 2, 3, 4, 5, 6].map((unit) => scene.edgesOf(1, unit)) }));"""
    )
    found = in_node(program, page.path)
    first, last = jg.layers_of(params)
    swapped = first._replace(kernel=first.kernel[::-1]), last
    complex_ = jg.enumerate_regions(swapped, SQUARE)
    ends = complex_.vertices[complex_.edges]
    sizes = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    expected = [sizes[(complex_.edge_layer == 0) & (complex_.edge_unit == unit)].sum() for unit in range(7)]
    np.testing.assert_allclose([lengths(pieces) for pieces in found["units"]], expected, rtol=1e-6, atol=1e-6)
    assert min(expected) == 0 or min(expected) > 0.1
    boundary = jg.decision_boundary(complex_).length.sum()
    np.testing.assert_allclose(lengths(found["boundary"]), boundary, rtol=1e-2)
    assert boundary > 1


def test_networks_without_hidden_layers(tmp_path: Path) -> None:
    """Of 1 - r², with features; and of an affine function, which has one region and its zero on a line."""
    names = ("x1^2", "x2^2")
    circle = (jg.Dense(-np.ones((2, 1), np.float32), np.ones(1, np.float32)),)
    program = (
        SCENE
        + """const { stageNames } = await load("hidden");
      console.log(JSON.stringify([scene.boundary, scene.edges, stageNames(scene.layers)]));"""
    )
    page = jg.explore(circle, tmp_path / "page.html", domain=SQUARE, features=names)
    boundary, edges, stages = in_node(program, page.path)
    np.testing.assert_allclose(np.linalg.norm(np.reshape(boundary, (-1, 2)), axis=1), 1, atol=2e-3)
    assert (edges, stages) == ([], ["input", "features", "output"])
    affine = (jg.Dense(np.array([[1], [1]], np.float32), np.zeros(1, np.float32)),)
    page = jg.explore(affine, tmp_path / "page.html", domain=SQUARE)
    assert page.num_exact == 1
    boundary, edges, stages = in_node(program, page.path)
    np.testing.assert_allclose(lengths(boundary), 4 * np.sqrt(2))
    assert (edges, stages) == ([], ["input", "output"])


@pytest.mark.usefixtures("unchecked")
def test_what_are_no_features_of_the_networks_says_why(tmp_path: Path) -> None:
    layers, path = layers_of_circles(), tmp_path / "page.html"
    for names, kind, message in (
        (("x1", "x2", "x1^2"), ValueError, "have 4 inputs, but features has 3 names, x1, x2, x1\\^2"),
        (("x1", "x2", "x1^2", "x1^3"), ValueError, "'x1\\^3' was given"),
        ("x1", TypeError, "tuples of names"),
        (("x1", "x2", "x3", "x4"), ValueError, "one, two or three coordinates, but 4 were given"),
    ):
        with pytest.raises(kind, match=message):
            jg.explore(layers, path, features=names)
    names = ("x1", "x2", "x1^2", "x2^2")
    with pytest.raises(ValueError, match="of points with 1 coordinate must be one of x1, x1\\^2, sin"):
        jg.explore(layers, path, features=names, data=np.ones((3, 1)))
    with pytest.raises(ValueError, match="of points with 1 coordinate must"):
        jg.explore(layers, path, features=names, domain=jg.box(-1, 1, dim=1))
    with pytest.raises(ValueError, match=r"data are points \(points, 2\)"):
        jg.explore(layers, path, features=names, data=(np.ones((3, 2)), np.ones(4)))
    with pytest.raises(ValueError, match=r"one, two or three inputs, but these have 4.*name them: features="):
        jg.explore(layers, path)
    other = jg.Dense(np.ones((3, 2)), np.ones(2)), jg.Dense(np.ones((2, 1)), np.ones(1))
    two = jg.Dense(np.ones((2, 2)), np.ones(2)), other[1]
    with pytest.raises(ValueError, match="the same inputs, but these have 2 and 3"):
        jg.explore({"a": two, "b": other}, path)
    assert not path.exists()


# In Chromium.


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("features") / "page.html"
    x = np.random.default_rng(1).uniform(-2, 2, size=(60, 2))
    data = x, (x[:, 0] * x[:, 1] > 0).astype(int)
    params = parameters((5, 4, 3, 1), "relu", 3, 2)
    axes = {"seed": range(3), "step": [0, 50]}
    jg.explore(jg.layers_of(params), path, data=data, test=data, domain=SQUARE, features=NAMES, axes=axes)
    return path.as_uri()


PICKED = "JSON.parse(JSON.stringify(explorer.state.picked))"
COLORS = """(places) => {
  const seen = document.querySelector("#stage-a canvas"), canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [seen.width, seen.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(seen, 0, 0);
  return places.map(([x, y]) => Array.from(
    context.getImageData(((x + 2) / 4) * canvas.width, ((2 - y) / 4) * canvas.height, 1, 1).data.slice(0, 3)));
}"""


def test_diagrams_have_features_in_place_of_inputs(browser: Any, address: str) -> None:
    with Opened(browser, address + "#step=50&unit=1.3&edges=0&boundary=0&data=0") as page:
        assert page.evaluate(PICKED) == {"layer": 0, "unit": 2}
        assert "3 of layer 1" in page.inner_text("#inspector")
        note = page.locator("#unit-note")
        places = [page.evaluate(f"explorer.unitPlace(0, {feature})") for feature in range(5)]

        def point(x: float, y: float) -> None:
            page.hover("#network canvas", position={"x": x, "y": y})
            settled(page)

        texts = ["x₁", "x₂", "x₁²", "x₁x₂", "sin x₁"]
        at = np.array([[1.5, 0.7], [-1.5, 0.7], [-1.5, -0.7], [1.5, -0.7], [0.05, 0.7]])
        page.keyboard.press("Escape")
        for text, name, place in zip(texts, NAMES, places, strict=True):
            point(*place)
            assert note.inner_text() == f"feature {text}"
            values, colors = FEATURES[2][name](at), np.array(page.evaluate(COLORS, at.tolist()), int)
            warm = colors[:, 0] > colors[:, 2]
            assert (warm == (values > 0)).all(), (name, values, colors)
            page.click("#network canvas", position=dict(zip("xy", place, strict=True)))
            assert page.evaluate(PICKED) is None, "features are no hidden units"
        unit = page.evaluate("explorer.unitPlace(1, 1)")
        kernel = np.array(page.evaluate("Array.from(explorer.sceneOf(0).layers[1].kernel)")).reshape(5, 4)
        strongest = int(np.abs(kernel[:, 1]).argmax())
        point(*((np.array(places[strongest]) + unit) / 2).tolist())
        assert note.inner_text().startswith("weight ")
        assert " from " in note.inner_text()
        page.click("#network canvas", position=dict(zip("xy", unit, strict=True)))
        assert page.evaluate(PICKED) == {"layer": 0, "unit": 1}
        settled(page)
        assert note.inner_text().startswith("unit 2 of layer 1, bias")
        page.wait_for_function("location.hash.includes('unit=1.2')")
        page.keyboard.press("Escape")
        page.focus("#network canvas")
        page.keyboard.press("ArrowDown")
        assert page.evaluate(PICKED) == {"layer": 0, "unit": 0}
        page.keyboard.press("ArrowLeft")
        assert page.evaluate(PICKED) == {"layer": 0, "unit": 0}, "nothing is picked before the first hidden layer"
        page.keyboard.press("ArrowRight")
        assert page.evaluate(PICKED) == {"layer": 1, "unit": 0}
        settled(page)
        assert "1 of layer 2" in page.inner_text("#inspector")
        page.keyboard.press("Escape")
        page.evaluate("location.hash = 'unit=0.1&step=50'")  # no such layer
        settled(page)
        assert "Point at the plane" in page.inner_text("#inspector")


def test_the_way_leads_through_the_features(browser: Any, address: str, tmp_path: Path) -> None:
    with Opened(browser, address + "#step=50&edges=0&boundary=0&data=0") as page:
        seen = []
        for stage in range(7):
            page.locator("#through").fill(str(stage))
            settled(page)
            seen.append(
                (page.inner_text("#stage-name"), page.evaluate("document.querySelector('#hidden canvas').toDataURL()"))
            )
        layers = [f"layer {depth}, {kind}" for depth in (1, 2) for kind in ("affine", "bent")]
        assert [name for name, _ in seen] == ["input", "features", *layers, "output"]
        assert len({picture for _, picture in seen}) == 7
        text = page.inner_text("#legend")
        assert "zeros of layer 1" in text
        assert "zeros of layer 2" in text
        assert "layer 3" not in text
        assert "right" in page.inner_text("#stage-a .facts")
        page.click("[data-show=test]")
        page.hover("#stage-a canvas", position={"x": 200, "y": 100})
        settled(page)
        signs = page.inner_text("#inspector").split("signs")[1].split()[:3]
        assert [len(signs[0]), signs[1], len(signs[2])] == [4, "·", 3]
        page.keyboard.press("d")
        page.wait_for_timeout(700)
        page.keyboard.press("c")
        page.keyboard.press("?")
        assert "Features" in page.inner_text("#terms")
        page.keyboard.press("Escape")
        with page.expect_download() as download:
            page.click("#svg")
        saved = Path(download.value.path()).read_text()
        assert "NaN" not in saved
        for text in (">x₁x₂<", ">sin x₁<", ">features<", ">layer 1: 4 units<"):
            assert text in saved, text


def test_signs_are_those_of_hidden_units_alone(browser: Any, tmp_path: Path) -> None:
    page_ = jg.explore(
        layers_of_circles(), tmp_path / "page.html", domain=SQUARE, features=("x1", "x2", "x1^2", "x2^2")
    )
    with Opened(browser, page_.path.as_uri() + "#color=regions&edges=0&boundary=0") as page:
        settled(page)
        angles = np.linspace(0.3, 2 * np.pi, 9)
        circles = [radius * np.stack([np.cos(angles), np.sin(angles)], axis=1) for radius in (0.3, 1, 1.7)]
        colors = [{tuple(color) for color in page.evaluate(COLORS, circle.tolist())} for circle in circles]
        assert [len(each) for each in colors] == [1, 1, 1], "signs of x1 and x2 part nothing"
        assert len(set.union(*colors)) == 3


@pytest.mark.parametrize("names", [("x1^2", "x2^2"), None])
def test_networks_without_hidden_layers_have_no_units_to_pick(browser: Any, tmp_path: Path, names: Any) -> None:
    layers = (jg.Dense(np.ones((2, 1), np.float32), -np.ones(1, np.float32)),)
    page_ = jg.explore(layers, tmp_path / "page.html", domain=SQUARE, features=names)
    with Opened(browser, page_.path.as_uri() + "#unit=1.1&color=regions") as page:
        page.focus("#network canvas")
        for key in ("ArrowRight", "ArrowDown"):
            page.keyboard.press(key)
        page.hover("#stage-a canvas", position={"x": 200, "y": 100})
        settled(page)
        assert ("slope" if names else "area") in page.inner_text("#inspector")
        page.click("#network canvas", position=dict(zip("xy", page.evaluate("explorer.unitPlace(0, 0)"), strict=True)))
        assert page.evaluate(PICKED) is None
        page.keyboard.press("d")
        page.wait_for_timeout(700)


@pytest.mark.parametrize("dim", [1, 3])
def test_features_of_lines_and_boxes(browser: Any, tmp_path: Path, dim: int) -> None:
    names = jg.datasets.feature_names(dim)
    x = np.random.default_rng(1).uniform(-1, 1, size=(30, dim))
    params = parameters((len(names), 4, 1), "sigmoid" if dim == 1 else "tanh", 2)
    jg.explore(params, tmp_path / "page.html", data=(x, np.sin(4 * x[:, :1])), features=names)
    with Opened(browser, (tmp_path / "page.html").as_uri()) as page:
        place = page.evaluate("explorer.unitPlace(0, 1)")
        picture = "document.querySelector('#stage-a canvas').toDataURL()"
        settled(page)
        before = page.evaluate(picture)
        page.hover("#network canvas", position=dict(zip("xy", place, strict=True)))
        settled(page)
        assert page.inner_text("#unit-note") == ("feature x²" if dim == 1 else "feature x₂")
        assert (page.evaluate(picture) != before) == (dim == 1), "the graph of the feature"
        if dim == 1:
            page.click("[data-color=regions]")
            page.click(
                "#network canvas", position=dict(zip("xy", page.evaluate("explorer.unitPlace(1, 0)"), strict=True))
            )
            settled(page)
            assert "1 of layer 1" in page.inner_text("#inspector")
            assert " x" in page.inner_text("#inspector")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_phones_show_features(browser: Any, address: str, theme: str) -> None:
    options = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True, "color_scheme": theme}
    with Opened(browser, address + "#step=50", **options) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        canvas = page.locator("#network canvas")
        canvas.scroll_into_view_if_needed()
        boxes = [page.evaluate(f"explorer.unitPlace(0, {feature})") for feature in range(5)]
        assert min(x for x, _ in boxes) > 40, "names have room to the left"
        box = canvas.bounding_box()
        page.touchscreen.tap(box["x"] + boxes[3][0], box["y"] + boxes[3][1])
        settled(page)
        assert page.inner_text("#unit-note") == "feature x₁x₂"


def test_what_is_chosen_stays_when_features_and_layers_come_and_go(browser: Any, address: str) -> None:
    """In the training of the page: the same unit and weight, or none if the network does not have it any more."""
    options = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True}
    with Opened(browser, address + "#t.seed=0&t.hidden=4~3", **options) as page:

        def tap(first: tuple[int, int], second: tuple[int, int]) -> None:
            """In the middle between two units."""
            canvas = page.locator("#network canvas")
            canvas.scroll_into_view_if_needed()
            box = canvas.bounding_box()
            (x0, y0), (x1, y1) = (
                page.evaluate("(unit) => explorer.unitPlace(...unit)", [*unit]) for unit in (first, second)
            )
            page.touchscreen.tap(box["x"] + (x0 + x1) / 2, box["y"] + (y0 + y1) / 2)
            settled(page)

        tap((-1, 0), (0, 1))
        edited = page.inner_text("#edit-name")
        assert edited.startswith("weight from x")
        page.tap("[data-feature='x1^2']")
        settled(page)
        assert page.inner_text("#edit-name") == edited
        page.tap("#edit-zero")
        settled(page)
        start, end = "₁₂".index(edited[edited.index("x") + 1]), int(edited.split("unit ")[1][0]) - 1
        assert page.evaluate(f"explorer.sceneOf(0).layers[1].kernel[{start} * 4 + {end}]") == 0
        tap((1, 2), (1, 2))
        assert page.evaluate(PICKED) == {"layer": 0, "unit": 2}
        for name in ("x1^2", "x2^2", "x2^2"):
            page.tap(f"[data-feature='{name}']")
            settled(page)
            assert "3 of layer 1" in page.inner_text("#inspector"), name
            page.wait_for_function("location.hash.includes('unit=1.3')")
        tap((1, 1), (2, 0))
        assert "to the output" in page.inner_text("#unit-note")
        for _ in range(2):
            page.locator("button").filter(has_text="−").first.tap()
            settled(page)
        assert not page.locator("#edit").is_visible()
        assert page.inner_text("#unit-note").startswith("tap a unit")
