"""The explorer's page in a headless Chromium: everything that can be moved, pointed at, pressed, linked and saved."""

import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from outside import Opened, settled

import jaxgeom as jg

SQUARE = jg.box(-1.5, 1.5)
DATA = jg.datasets.circles(jax.random.key(0), num_points=60, noise=0.1, factor=0.4)
WIDTHS = (4, 6)


def runs_of_width(width: int) -> Any:
    model, loss = jg.mlp((2, width, 3, 1), activation="relu"), jg.losses.binary_cross_entropy
    keys = jax.random.split(jax.random.key(1), 4)
    return jg.fit_population(
        keys, lambda key: jg.fit(key, model, optax.adam(0.03), loss, DATA, num_epochs=60, snapshot_every=20)
    )


@pytest.fixture(scope="module")
def runs() -> dict[int, Any]:
    return {width: runs_of_width(width) for width in WIDTHS}


@pytest.fixture(scope="module")
def address(runs: dict[int, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("explorer") / "page.html"
    jg.explore(runs, path, data=DATA, domain=SQUARE, axis="width", title="Circles & <moons>")
    return path.as_uri()


def state(page: Any) -> Any:
    return page.evaluate("JSON.parse(JSON.stringify(explorer.state))")


def picture(page: Any, name: str = "#stage-a") -> str:
    settled(page)
    text: str = page.evaluate(f"document.querySelector('{name} canvas').toDataURL()")
    return text


def network(runs: dict[int, Any], width: int, seed: int, frame: int) -> jg.Layers:
    layers = jg.layers_of(runs[width].snapshots)
    return jax.tree.map(lambda array: np.asarray(array, np.float64)[seed, frame], layers)


@pytest.mark.slow
def test_polygons_are_those_of_the_arrays(browser: Any, address: str, runs: dict[int, Any]) -> None:
    seen = """([member, time]) => {
      const places = [Math.floor(member / 4), member % 4];
      Object.assign(explorer.state.places[0], { width: places[0], seed: places[1] });
      explorer.setTime(time);
      const scene = explorer.sceneOf(0), { offsets, corners } = scene.regions;
      return { isEngines: scene.isEngines, offsets: Array.from(offsets), corners: Array.from(corners) };
    }"""
    with Opened(browser, address) as page:
        for member in range(8):
            for frame in range(4):
                found = page.evaluate(seen, [member, frame])
                assert found["isEngines"]
                complex_ = jg.enumerate_regions(network(runs, WIDTHS[member // 4], member % 4, frame), SQUARE)
                assert found["offsets"] == complex_.face_offsets.tolist()
                expected = complex_.vertices[complex_.face_vertices].astype(np.float32)
                np.testing.assert_array_equal(np.reshape(found["corners"], (-1, 2)), expected)
        between = page.evaluate(seen, [0, 1.5])
        assert not between["isEngines"]
        layers = jax.tree.map(lambda a, b: (a + b) / 2, network(runs, 4, 0, 1), network(runs, 4, 0, 2))
        assert len(between["offsets"]) - 1 == int(jg.count_regions(layers, SQUARE).count)


def test_every_slider_and_button_changes_what_is_seen(browser: Any, address: str) -> None:
    with Opened(browser, address) as page:
        assert page.title() == page.inner_text("h1") == "Circles & <moons>"
        assert state(page)["playing"]
        page.wait_for_function("explorer.state.time > 0.02")
        page.click("#play")
        assert not state(page)["playing"]
        for name in ("#stage-a input[data-axis=width]", "#stage-a input[data-axis=seed]", "#step", "#through"):
            panel = "#hidden" if name == "#through" else "#stage-a"
            slider = page.locator(name)
            pictures = set()
            for value in (slider.get_attribute("min"), slider.get_attribute("max")):
                slider.fill(value)
                pictures.add(picture(page, panel))
            assert len(pictures) == 2, name
        shown = state(page)
        assert (shown["places"][0], shown["time"]) == ({"width": 1, "seed": 3}, 3)
        for button in ("[data-color=regions]", "[data-show=edges]", "[data-show=boundary]", "[data-show=data]"):
            before = picture(page)
            page.click(button)
            assert picture(page) != before, button
        page.click("[data-color=output]")
        page.click("#sheet")
        page.wait_for_timeout(700)
        before = picture(page)
        page.locator("#stage-a canvas").hover()
        page.mouse.down()
        page.mouse.move(300, 400, steps=3)
        page.mouse.up()
        assert picture(page) != before, "a sheet turns"
        page.click("#compare")
        page.locator("#stage-b input[data-axis=seed]").fill("2")
        assert state(page)["places"][1]["seed"] == 2
        assert picture(page, "#stage-a") != picture(page, "#stage-b")
        theme = page.evaluate("document.documentElement.dataset.theme")
        page.click("#theme")
        assert page.evaluate("document.documentElement.dataset.theme") != theme
        page.select_option("#speed", "4")
        assert state(page)["speed"] == 4
        page.click("#flow")
        page.wait_for_function(f"explorer.state.through !== {state(page)['through']}")


def test_keys(browser: Any, address: str) -> None:
    with Opened(browser, address + "#step=20&seed=1") as page:
        assert state(page)["places"][0]["seed"] == 1
        assert (state(page)["time"], state(page)["playing"]) == (1, False)
        for key, name, value in (
            ("ArrowRight", "time", 2),
            ("ArrowLeft", "time", 1),
            ("End", "time", 3),
            ("Home", "time", 0),
            ("r", "color", "regions"),
            ("d", "sheet", True),
            ("c", "compare", True),
            ("t", "theme", "dark"),
            (" ", "playing", True),
        ):
            page.keyboard.press(key)
            assert state(page)[name] == value, key
        page.keyboard.press("ArrowUp")
        assert state(page)["places"][0]["seed"] == 2
        page.keyboard.press("?")
        assert page.locator("#keys").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("#keys").is_visible()
        page.focus("#network canvas")
        page.keyboard.press("ArrowRight")
        assert state(page)["picked"] == {"layer": 1, "unit": 0}
        page.keyboard.press("Escape")
        assert state(page)["picked"] is None


def test_regions_and_units_say_what_they_are(browser: Any, address: str, runs: dict[int, Any]) -> None:
    with Opened(browser, address + "#step=60&width=6&seed=2") as page:
        layers = network(runs, 6, 2, 3)
        box = page.locator("#stage-a canvas").bounding_box()
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"])
        settled(page)
        x, y = page.evaluate("explorer.pointed()")
        np.testing.assert_allclose([x, y], [0.3, -0.6], atol=0.01)
        states = jg.forward(layers, np.array([[x, y]]))
        code = " · ".join("".join(str(int(z > 0)) for z in np.asarray(layer)[0]) for layer in states.pre_activations)
        text = page.inner_text("#inspector")
        assert code in text
        complex_ = jg.enumerate_regions(layers, SQUARE)
        face = int(jg.locate(complex_, layers, np.array([[x, y]]))[0])
        assert f"{float(f'{complex_.area[face]:.4g}'):g}" in text
        assert f"{float(f'{float(np.asarray(states.output)[0, 0]):.4g}'):g}".replace("-", "−") in text
        page.mouse.move(5, 5)
        settled(page)
        share = f"{float(f'{100 * complex_.area.max() / complex_.area.sum():.3g}'):g}"
        assert f"the largest has {share} % of [−1.5, 1.5]²" in page.inner_text("#inspector")
        place = page.evaluate("explorer.unitPlace(0, 4)")
        before = picture(page)
        page.locator("#network canvas").click(position=dict(zip("xy", place, strict=True)))
        assert state(page)["picked"] == {"layer": 0, "unit": 4}
        page.mouse.move(5, 5)
        assert "5 of layer 1" in page.inner_text("#inspector")
        assert picture(page) != before
        page.locator("#population canvas").click(position={"x": 20, "y": 20})
        assert state(page)["places"][0] == {"width": 1, "seed": 0}
        page.locator("#curves canvas").click(position={"x": 52, "y": 60})
        assert state(page)["time"] == 0


def test_diagrams_show_units_and_weights_and_test_data_appear(
    browser: Any, runs: dict[int, Any], tmp_path: Path
) -> None:
    test = jg.datasets.circles(jax.random.key(7), num_points=40, noise=0.1, factor=0.4)
    jg.explore(runs[4], tmp_path / "test.html", data=DATA, test=test, domain=SQUARE)
    with Opened(browser, (tmp_path / "test.html").as_uri() + "#step=60&seed=2") as page:
        layers = network(runs, 4, 2, 3)
        assert page.evaluate("explorer.population.arrays['test/x'].length") == 80
        right = np.mean((np.asarray(jg.forward(layers, test[0]).output).ravel() > 0) == (np.ravel(test[1]) > 0))
        said = page.inner_text("#stage-a .facts").replace("−", "-")
        assert f"{float(f'{100 * right:.4g}'):g} % of test data" in said
        for button in ("[data-show=test]", "[data-color=sides]"):
            changes(page, "#stage-a", lambda button=button: page.click(button), button)
        page.wait_for_function(
            "location.hash.includes('color=sides&theme') || location.hash.endsWith('color=sides&test=1')"
        )
        note = page.locator("#unit-note")

        def point(x: float, y: float) -> None:
            page.hover("#network canvas", position={"x": x, "y": y})

        starts, ends = ([page.evaluate(f"explorer.unitPlace({d}, {u})") for u in range(n)] for d, n in ((0, 4), (1, 3)))
        changes(page, "#stage-a", lambda: point(*starts[1]), "the plane is coloured by the unit")
        assert note.inner_text() == f"unit 2 of layer 1, bias {digits(layers[0].bias[1])}"
        assert "2 of layer 1" in page.inner_text("#inspector")
        strongest = int(np.abs(layers[1].kernel[1]).argmax())
        middle = (np.array(starts[1]) + ends[strongest]) / 2
        changes(page, "#network", lambda: point(*middle), "a weight")
        found = note.inner_text()
        values = {digits(value) for value in np.asarray(layers[1].kernel).ravel()}
        assert found.startswith("weight ")
        assert found.split()[1] in values
        page.click("#next")
        assert state(page)["time"] == 3
        page.click("#previous")
        assert state(page)["time"] == 2


def digits(value: float) -> str:
    return f"{float(f'{value:.4g}'):g}".replace("-", "−")


def test_links_hold_the_state_and_pictures_are_saved(browser: Any, address: str, tmp_path: Path) -> None:
    fragment = "step=40&width=6&seed=3&b.width=4&b.seed=1&color=regions&unit=2.1&through=1.5&theme=light&data=0"
    with Opened(browser, f"{address}#{fragment}", color_scheme="dark") as page:
        page.evaluate("history.replaceState(null, '', '#')")
        page.evaluate("explorer.setTime(explorer.state.time)")
        page.wait_for_function("location.hash.length > 1")
        assert page.evaluate("location.hash").removeprefix("#") == fragment
        shown = state(page)
        assert (shown["time"], shown["compare"], shown["picked"]) == (2, True, {"layer": 1, "unit": 0})
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        for kind in ("svg", "png"):
            with page.expect_download() as download:
                page.click(f"#{kind}")
            download.value.save_as(tmp_path / f"saved.{kind}")
        root = ElementTree.parse(tmp_path / "saved.svg").getroot()
        paths = [each for each in root.iter() if each.tag.endswith("path")]
        assert len(paths) > page.evaluate(
            "[0, 1].reduce((n, side) => n + explorer.numFaces(explorer.sceneOf(side).regions), 0)"
        )
        assert all("NaN" not in each.get("d", "") for each in paths)
        assert (tmp_path / "saved.png").read_bytes()[:4] == b"\x89PNG"
        page.evaluate("location.hash = 'step=nonsense&seed=-1&unit=9.9&width=7.5'")
        settled(page)
        shown = state(page)
        assert shown["places"][0] == {"width": 1, "seed": page.evaluate("explorer.population.start") % 4}
        assert (shown["compare"], shown["color"], shown["playing"]) == (False, "output", True)
        page.wait_for_timeout(100)  # to draw it, with a unit that there is not


def random_layers(sizes: tuple[int, ...], *leading: int) -> jg.Layers:
    rng = np.random.default_rng(0)
    return tuple(
        jg.Dense(rng.normal(size=(*leading, inputs, outputs)), 0.3 * rng.normal(size=(*leading, outputs)))
        for inputs, outputs in pairwise(sizes)
    )


def smooth(sizes: tuple[int, ...], *leading: int) -> Any:
    layers = random_layers(sizes, *leading)
    names = [f"dense{depth}_{'tanh' if depth < len(layers) - 1 else 'linear'}" for depth in range(len(layers))]
    return {name: {"kernel": layer.kernel, "bias": layer.bias} for name, layer in zip(names, layers, strict=True)}


def changes(page: Any, panel: str, act: Any, what: str) -> None:
    before = picture(page, panel)
    act()
    assert picture(page, panel) != before, what


def test_smooth_networks_and_a_large_way_through_them(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "smooth.html"
    jg.explore(
        smooth((2, 3, 4, 2), 3), path, data=np.random.default_rng(1).normal(size=(50, 2)), link="wide=1&through=2"
    )
    with Opened(browser, path.as_uri(), viewport={"width": 900, "height": 600}) as page:
        assert (state(page)["wide"], state(page)["through"], state(page)["playing"]) == (True, 2, False)
        assert page.inner_text("#stage-name") == "layer 1, tanh"
        assert page.locator("#hidden canvas").bounding_box()["width"] > 700
        page.focus("#hidden canvas")
        for key in ("ArrowLeft", "ArrowUp"):
            changes(page, "#hidden", lambda key=key: page.keyboard.press(key), key)
        assert state(page)["places"][0]["network"] == 0, "arrows turn and do nothing else"
        for value in ("0", "1.4", "5"):
            changes(page, "#hidden", lambda value=value: page.locator("#through").fill(value), value)
        changes(page, "#stage-a", lambda: page.click("[data-color=regions]"), "signs")
        page.keyboard.press("w")
        settled(page)
        assert page.locator("#hidden canvas").bounding_box()["width"] < 500
        before = picture(page)
        page.keyboard.press("d")  # of points alone there is no sheet, by the key as by the button
        assert picture(page) == before
        assert (state(page)["sheet"], "no sheet" in page.inner_text("#toast")) == (False, True)
        page.keyboard.press("?")
        assert "sheet" not in page.inner_text("#keys")
        page.keyboard.press("Escape")
        page.locator("#stage-a canvas").hover(position={"x": 200, "y": 100})
        settled(page)
        assert "slope" in page.inner_text("#inspector")
        with page.expect_download() as download:
            page.click("#svg")
        assert "NaN" not in Path(download.value.path()).read_text()


def test_boxes_turn_by_mouse_touch_and_keys(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "space.html"
    data = np.random.default_rng(1).uniform(-1, 1, size=(50, 3))
    jg.explore(random_layers((3, 6, 1), 2), path, data=(data, np.sign(data[:, :1])))
    with Opened(browser, path.as_uri(), has_touch=True) as page:
        canvas = page.locator("#stage-a canvas")
        box = canvas.bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(*middle)
        page.mouse.down()
        changes(page, "#stage-a", lambda: page.mouse.move(middle[0] + 40, middle[1], steps=3), "mouse")
        page.mouse.up()
        changes(page, "#stage-a", lambda: canvas.press("ArrowUp"), "keys")
        session = page.context.new_cdp_session(page)

        def swipe() -> None:
            for kind, far in (("touchStart", 0), ("touchMove", 30), ("touchMove", 60), ("touchEnd", None)):
                points = [] if far is None else [{"x": middle[0], "y": middle[1] + far}]
                session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        changes(page, "#stage-a", swipe, "touch")
        assert page.evaluate("scrollY") == 0
        changes(page, "#stage-a", lambda: page.locator("#stage-a input").fill("1"), "another network")
        changes(page, "#stage-a", lambda: page.click("[data-show=boundary]"), "surface")
        assert f"surface from {21**3} points" in page.inner_text("#stage-a .facts")


def test_lines_and_tables_of_settings(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "line.html"
    axes = {"width": [2, 3, 4], "rate": [0.1, 0.2], "seed": range(3), "step": [0, 10]}
    x = np.linspace(-2, 2, 40)[:, None]
    jg.explore(random_layers((1, 4, 1), 3, 2, 3, 2), path, data=(x, np.sin(x)), axes=axes)
    with Opened(browser, path.as_uri() + "#step=10") as page:
        canvas = page.locator("#phase canvas")
        changes(page, "#stage-a", lambda: canvas.click(position={"x": 160, "y": 120}), "a cell opens its network")
        assert {name: state(page)["places"][0][name] for name in ("width", "rate")} == {"width": 2, "rate": 1}
        changes(page, "#stage-a", lambda: canvas.press("ArrowUp"), "the cell above")
        assert state(page)["places"][0]["width"] == 1
        changes(page, "#phase", lambda: page.select_option("[data-phase=columns]", "seed"), "other axes")
        page.wait_for_function("location.hash.replaceAll('~', '%7E').includes('map=width%7Eseed%7Eregions')")
        changes(page, "#stage-a", lambda: page.hover("#stage-a canvas"), "a point of the graph")
        assert "slope" in page.inner_text("#inspector")
        place = dict(zip("xy", page.evaluate("explorer.unitPlace(0, 1)"), strict=True))
        changes(page, "#stage-a", lambda: page.click("#network canvas", position=place), "a unit")
        page.mouse.move(5, 5)
        assert "switches" in page.inner_text("#inspector")


@pytest.mark.parametrize("dim", [1, 3])
def test_test_data_of_one_and_three_inputs_are_rings(browser: Any, tmp_path: Path, dim: int) -> None:
    x, more = (np.random.default_rng(seed).uniform(-1, 1, size=(20, dim)) for seed in (0, 1))
    data, test = ((each, np.sin(3 * each[:, :1])) for each in (x, more))
    jg.explore(random_layers((dim, 4, 1), 2), tmp_path / "page.html", data=data, test=test)
    with Opened(browser, (tmp_path / "page.html").as_uri()) as page:
        assert page.locator("[data-show=test]").is_visible()
        changes(page, "#stage-a", lambda: page.click("[data-show=test]"), "rings appear")
        assert state(page)["show"]["test"]
        assert "test data" in page.inner_text("#legend")


def luminance(page: Any, name: str) -> float:
    text = page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('{name}').trim()")
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def tapped(page: Any, name: str, place: Any, beside: float) -> bool:
    """A finger that comes down some pixels to the left of what it means; whether the picture is then another one."""
    canvas = page.locator(name)
    canvas.scroll_into_view_if_needed()
    settled(page)
    box, before = canvas.bounding_box(), picture(page, name.split()[0])
    page.touchscreen.tap(box["x"] + place[0] - beside, box["y"] + place[1])
    return picture(page, name.split()[0]) != before


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_phones_show_everything_in_both_themes(browser: Any, address: str, theme: str) -> None:
    options = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True, "color_scheme": theme}
    with Opened(browser, address + "#step=20", **options) as page:
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        small = """[...document.querySelectorAll('button, input, select, canvas')].filter((each) => each.offsetParent)
          .map((each) => [each.id || each.ariaLabel, each.getBoundingClientRect()])
          .filter(([, box]) => box.left < 0 || box.right > 400 || box.width < 22 || box.height < 20)
          .map(([name]) => name)"""
        assert page.evaluate(small) == []
        box = page.locator("#stage-a canvas").bounding_box()
        assert box["width"] > 340
        assert "weights and biases" in page.inner_text("#inspector")
        assert "Tap a region" in page.inner_text("#inspector")
        page.touchscreen.tap(box["x"] + 200, box["y"] + 100)
        settled(page)
        assert "area" in page.inner_text("#inspector")
        drawn = np.array(page.evaluate("Array.from({ length: 60 }, (_, point) => explorer.pointPlace(1, point))"))
        assert tapped(page, "#layers canvas", drawn[7], 0)
        (found,) = np.flatnonzero((np.asarray(DATA[0]) == page.evaluate("explorer.pointed()")).all(axis=1))
        np.testing.assert_allclose(drawn[found], drawn[7], atol=1)
        assert "area" in page.inner_text("#inspector"), "a point of a layer shows its region"
        assert tapped(page, "#network canvas", page.evaluate("explorer.unitPlace(0, 2)"), 12)
        assert state(page)["picked"] == {"layer": 0, "unit": 2}
        facts = page.locator("#unit-facts").bounding_box()
        assert "3 of layer 1" in page.inner_text("#unit-facts")
        assert 0 < facts["y"] < 800 - facts["height"], "in sight of the finger"
        for text in ("--ink", "--faint", "--accent"):
            for behind in ("--card", "--paper"):
                low, high = sorted([luminance(page, text), luminance(page, behind)])
                assert (high + 0.05) / (low + 0.05) > 4.5, (text, behind)
