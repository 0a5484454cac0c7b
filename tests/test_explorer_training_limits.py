"""Training in the explorer's page where it is easily wrong: odd networks, huge numbers, links, and random actions."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from outside import Opened, settled

import jaxgeom as jg

DATA = jg.datasets.circles(jax.random.key(0), num_points=60, noise=0.1, factor=0.4)
LAST = """explorer.own.run().networks.every(({ layers }, place) => layers.every((layer, depth) =>
  ["kernel", "bias"].every((part) => {
    const { room, numFrames, arrays } = explorer.population, size = layer[part].length;
    const start = (place * room + numFrames - 1) * size;
    const kept = arrays[`0/${part}/${depth}`].subarray(start, start + size);
    return layer[part].every((value, at) => Number.isFinite(value) && value === kept[at]);
  })))"""
"""Whether all weights are finite, and those of the last frame."""
LAYERS = "explorer.own.run().networks[0].layers.map(({ kernel, bias }) => [[...kernel], [...bias]])"


def page_of(path: Path, sizes: tuple[int, ...], num: int = 2, **options: Any) -> str:
    """The address of a page of networks that were not trained."""
    model = jg.mlp(sizes, activation=options.pop("activation", "relu"))
    params = jax.vmap(model.init)(jax.random.split(jax.random.key(0), num))
    jg.explore(params, path / "page.html", **{"data": DATA, **options})
    return (path / "page.html").as_uri()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(tmp_path_factory.mktemp("limits"), (2, 5, 3, 1))


def steps(page: Any) -> list[int]:
    found: list[int] = page.evaluate("explorer.population.steps")
    assert found[-1] == page.evaluate("explorer.own.step()")
    assert (np.diff(found) > 0).all()
    assert page.evaluate("explorer.population.numFrames") == len(found)
    assert page.evaluate(LAST)
    return found


def train(page: Any, epochs: int) -> None:
    """An epoch at a time; on a slow machine there are frames within it."""
    for _ in range(epochs):
        page.click("#next")
        page.wait_for_function("explorer.state.goal === 0")
    settled(page)


def pick(page: Any, layer: int, unit: int) -> None:
    place = page.evaluate(f"explorer.unitPlace({layer}, {unit})")
    page.locator("#network canvas").click(position=dict(zip("xy", place, strict=True)))
    settled(page)


def test_layers_have_as_many_units_as_are_typed(browser: Any, address: str) -> None:
    with Opened(browser, address) as page:
        page.click("#train")
        page.fill("[data-layer='1']", "7")
        page.press("[data-layer='1']", "Enter")
        settled(page)
        assert page.evaluate("explorer.sceneOf(0).layers.map(({ outputs }) => outputs)") == [5, 7, 1]
        assert page.evaluate("document.activeElement.dataset.layer") == "1"
        page.press("[data-layer='1']", "ArrowUp")
        page.press("[data-layer='1']", "ArrowUp")
        settled(page)
        assert page.evaluate("explorer.state.own.hidden") == [5, 9]
        page.fill("[data-layer='0']", "700")
        page.press("[data-layer='0']", "Tab")
        settled(page)
        assert page.evaluate("explorer.state.own.hidden") == [64, 9]
        assert page.evaluate("document.activeElement.dataset.layer") == "1"
        for _ in range(2):
            page.click("text='−'")
        page.click("#next")
        page.wait_for_function("location.hash.includes('t.step')")
        assert page.evaluate("explorer.sceneOf(0).layers.length") == 1
        link = page.evaluate("location.hash")
        weights = page.evaluate("[...explorer.sceneOf(0).layers[0].kernel]")
    with Opened(browser, address + link) as page:
        page.wait_for_function("explorer.state.goal === 0")
        assert page.evaluate("[...explorer.sceneOf(0).layers[0].kernel]") == weights


def test_what_is_edited_at_one_step_is_one_frame(browser: Any, address: str) -> None:
    with Opened(browser, address) as page:
        page.click("#train")
        pick(page, 0, 1)
        for value in range(5):
            page.evaluate(f"explorer.own.edit({{ part: 'bias', layer: 0, place: 1 }}, {value})")
        assert steps(page) == [0]
        train(page, 2)
        before = steps(page)
        assert before[-1] == 12
        for value in (7, 8):
            page.fill("#edit-number", str(value))
            page.press("#edit-number", "Enter")
        assert steps(page) == before
        assert page.evaluate("explorer.sceneOf(0).layers[0].bias[1]") == 8
        for value in ("1e200", "1e308"):
            page.fill("#edit-number", value)
            page.press("#edit-number", "Enter")
        assert "no longer finite" in page.inner_text("#toast")
        assert steps(page) == before


def test_training_goes_on_after_a_loss_that_was_not_finite(browser: Any, address: str) -> None:
    with Opened(
        browser, address + "#t.seed=0&t.data=bumps&t.optimizer=sgd&t.rate=3&t.points=50&t.hidden=16~16"
    ) as page:
        page.click("#play")
        page.wait_for_function("document.querySelector('#toast').textContent.includes('no longer finite')")
        before = steps(page)[-1]
        page.select_option("[data-set=rate]", "0.0001")
        page.select_option("[data-set=optimizer]", "adam")
        train(page, 1)
        assert steps(page)[-1] == before + 3


def test_epochs_are_counted_when_batches_change(browser: Any, address: str) -> None:
    with Opened(browser, address + "#t.seed=0&t.batch=1") as page:
        train(page, 3)
        page.select_option("[data-set=batch]", "0")
        train(page, 1)
        assert page.inner_text("#own-note").endswith("60 points; epoch 4")
        assert steps(page)[-1] == 181


def test_what_a_link_asks_for_can_be_stopped(browser: Any, address: str) -> None:
    with Opened(browser, address + "#t.seed=0&t.batch=1&t.step=1000000&t.seeds=4") as page:
        page.wait_for_function("explorer.own.step() > 10")
        assert page.get_attribute("#play", "aria-pressed") == "true"
        page.click("#play")
        settled(page)
        found = steps(page)[-1]
        page.wait_for_timeout(200)
        assert steps(page)[-1] == found < 1_000_000
        page.click("text='Restart'")
        page.wait_for_timeout(200)
        assert steps(page) == [0]


def test_links_have_both_networks_that_are_compared(browser: Any, address: str) -> None:
    seen = "[explorer.state.compare, explorer.sceneOf(0).member, explorer.sceneOf(1).member]"
    with Opened(browser, address) as page:
        page.click("#train")
        page.click("#compare")
        assert "one network" in page.inner_text("#toast")
        page.keyboard.press("?")
        assert "Pieces on which" in page.inner_text("#terms")
        page.keyboard.press("Escape")
        page.select_option("[data-set=activation]", "tanh")
        page.keyboard.press("?")
        assert "Pieces on which" not in page.inner_text("#terms")
        page.keyboard.press("Escape")
        page.select_option("[data-set=activation]", "relu")
        assert not page.evaluate("explorer.state.compare")
        page.select_option("[data-set=seeds]", "9")
        page.click("#compare")
        page.locator("#stage-a input[data-axis=seed]").fill("2")
        page.locator("#stage-b input[data-axis=seed]").fill("7")
        train(page, 1)
        page.wait_for_function("location.hash.includes('t.beside=7')")
        assert page.evaluate(seen) == [True, 2, 7]
        page.click("text='Restart'")
        assert page.evaluate(seen) == [True, 2, 7]
        link = page.evaluate("location.hash")
    with Opened(browser, address + link) as page:
        settled(page)
        assert page.evaluate(seen) == [True, 2, 7]
        page.click("#train")
        assert not page.evaluate("explorer.state.compare")


def test_a_network_that_is_pointed_at_may_go(browser: Any, address: str) -> None:
    with Opened(browser, address + "#t.seed=0&t.seeds=9") as page:
        settled(page)
        page.hover("#population canvas", position={"x": 8 * 116 + 50, "y": 50})
        settled(page)
        assert page.inner_text("#population small").startswith("seed 8")
        page.keyboard.press("n")
        settled(page)
        assert page.inner_text("#population small").startswith("2 networks")


def test_networks_that_the_data_do_not_fit_are_edited_and_not_trained(browser: Any, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    address = page_of(tmp_path, (2, 4, 2), data=(generator.normal(size=(30, 2)), np.arange(30) % 3))
    with Opened(browser, address) as page:
        kernel = page.evaluate("[...explorer.sceneOf(0).layers[0].kernel]")
        pick(page, 0, 2)
        page.fill("#edit-number", "0.5")
        page.press("#edit-number", "Enter")
        settled(page)
        assert page.evaluate("[...explorer.sceneOf(0).layers[0].kernel]") == kernel
        assert page.evaluate("explorer.sceneOf(0).layers[0].bias[2]") == 0.5
        assert "3 outputs, the network has 2" in page.inner_text("#own-note")
        page.click("#next")
        assert "3 outputs" in page.inner_text("#toast")
        page.click("text='New'")
        train(page, 1)
        assert page.evaluate("explorer.sceneOf(0).layers.at(-1).outputs") == 3
        assert steps(page)[-1] == 3
        page.select_option("[data-set=data]", "xor")
        page.click("text='Recorded'")
        settled(page)
        assert page.evaluate("explorer.own.run().kind") == "classes"  # two outputs for two classes
        page.select_option("[data-set=data]", "plane")
        assert "new weights" in page.inner_text("#toast")
        train(page, 1)
        assert steps(page)[-1] == 15


def test_few_numbers_are_numbers_to_a_network_of_one_output(browser: Any, tmp_path: Path) -> None:
    x = np.linspace(-1, 1, 6)[:, None]
    y = np.sin(3 * x)
    with Opened(browser, page_of(tmp_path, (1, 4, 1), data=(x, y), test=(x[:2], y[:2]))) as page:
        assert page.evaluate("explorer.population.classes") is None
        page.click("#train")
        train(page, 1)
        layers = page.evaluate(
            "explorer.own.run().networks[0].layers.map(({ kernel, bias }) => [[...kernel], [...bias]])"
        )
        found = (
            np.maximum(x.astype(np.float32) @ [layers[0][0]] + layers[0][1], 0) @ np.transpose([layers[1][0]])
            + layers[1][1]
        )
        curves = page.evaluate("explorer.population.curves.map(({ name, values }) => [name, values.at(-1)])")
        assert [name for name, _ in curves] == ["loss", "test loss"]
        np.testing.assert_allclose(curves[0][1], np.mean((found - y) ** 2), rtol=1e-5)
        np.testing.assert_allclose(curves[1][1], np.mean((found - y)[:2] ** 2), rtol=1e-5)


def test_networks_that_can_not_be_chosen_are_taken_as_they_are(browser: Any, tmp_path: Path) -> None:
    draw = np.random.default_rng(0).normal
    sizes, slopes = ((2, 80), (80, 3), (3, 1)), (0.2, 0.3, None)
    layers = [
        jg.Dense(draw(size=size) / 8, draw(size=size[1]), None if slope is None else np.full(size[1], slope))
        for size, slope in zip(sizes, slopes, strict=True)
    ]
    jg.explore(tuple(layers), tmp_path / "page.html", data=DATA)
    with Opened(browser, (tmp_path / "page.html").as_uri()) as page:
        page.click("#train")
        settled(page)
        assert page.evaluate("[explorer.state.own.hidden, explorer.state.own.activation]") == [[64, 3], "relu"]
        page.click("text='Recorded'")
        train(page, 1)
        page.wait_for_function("location.hash.includes('t.step=6')")
        assert page.evaluate("document.querySelector('[data-set=activation]').selectedOptions[0].text") == "as recorded"
        weights = page.evaluate("explorer.sceneOf(0).layers.map(({ kernel }) => [...kernel])")
        assert [len(each) for each in weights] == [160, 240, 3]
        link = page.evaluate("location.hash")
    with Opened(browser, (tmp_path / "page.html").as_uri() + link) as page:
        page.wait_for_function("explorer.state.goal === 0")
        assert page.evaluate("explorer.sceneOf(0).layers.map(({ kernel }) => [...kernel])") == weights


def test_a_network_that_is_not_finite_is_no_beginning(browser: Any, tmp_path: Path) -> None:
    model = jg.mlp((2, 4, 1), activation="relu")
    layers = jax.tree.map(np.array, jg.layers_of(jax.vmap(model.init)(jax.random.split(jax.random.key(0), 4))))
    layers[0].bias[0] = np.nan
    layers[0].bias[1:3] = -50  # never on
    jg.explore(layers, tmp_path / "page.html", data=DATA, axes={"seed": range(4)})
    with Opened(browser, (tmp_path / "page.html").as_uri() + "#seed=3") as page:
        note = page.locator("#population small")
        page.wait_for_function("document.querySelector('#population small').textContent.includes('striped')")
        assert note.inner_text().endswith("; striped: 2 dead, the same output everywhere; grey: 1 not finite")
        tints = page.evaluate("""[0, 1, 2, 3].map((seed) => {
          const copy = Object.assign(document.createElement("canvas"), { width: 70, height: 70 });
          const context = copy.getContext("2d", { willReadFrequently: true });
          context.drawImage(document.querySelector("#population canvas"), -116 * seed - 20, -20);
          const { data } = context.getImageData(0, 0, 70, 70);
          return Math.max(...data.map((_, at) => (at % 4 ? 0 : Math.abs(data[at] - data[at + 2]))));
        })""")
        assert max(tints[:3]) < 30 < 80 < tints[3], "no colours of classes"
        for seed, words in enumerate(("not finite", "dead, the same output everywhere")):
            page.hover("#population canvas", position={"x": seed * 116 + 50, "y": 50})
            settled(page)
            assert note.inner_text().startswith(f"seed {seed}, {words}")
        page.evaluate("explorer.state.picked = { layer: 0, unit: 1 }")
        for seed, words in enumerate(("not finite", "of layer 1")):
            page.locator("#population canvas").click(position={"x": seed * 116 + 50, "y": 50})
            settled(page)
            assert words in page.inner_text("#inspector")
            assert page.is_visible("#edit") == (seed == 1)
        page.evaluate("explorer.state.picked = null")
        place = page.evaluate("explorer.unitPlace(1, 0)")
        page.locator("#network canvas").click(position=dict(zip("xy", place, strict=True)))
        settled(page)
        assert page.evaluate("explorer.chosen().from") is None
        assert "bias of the output" in page.inner_text("#edit-name")
    with Opened(browser, (tmp_path / "page.html").as_uri() + "#seed=0&t.seed=1&t.start=1") as page:
        assert page.evaluate("explorer.state.own.start") == 0
        page.click("text='Recorded'")
        assert "not finite" in page.inner_text("#toast")
        page.click("#train")
        page.click("#train")
        train(page, 1)
        assert steps(page)[-1] == 6


def test_links_have_the_weights_a_run_began_with(browser: Any, tmp_path: Path) -> None:
    model = jg.mlp((2, 4, 1), activation="relu")
    keys = jax.random.split(jax.random.key(0), (3, 3))
    jg.explore(
        jax.vmap(jax.vmap(model.init))(keys), tmp_path / "page.html", data=DATA,
        axes={"seed": range(3), "step": [0, 7, 20]},
    )  # fmt: skip
    address = (tmp_path / "page.html").as_uri()
    with Opened(browser, address + "#seed=1") as page:
        page.evaluate("explorer.setTime(1.2345678912345)")  # between two snapshots
        page.click("#train")
        page.click("text='Recorded'")
        train(page, 1)
        page.click("#train")
        page.press("body", "ArrowUp")  # another network
        page.press("body", "Home")
        settled(page)
        page.click("text='Your run'")
        page.wait_for_function("location.hash.includes('t.step=6')")
        weights, link = page.evaluate(LAYERS), page.evaluate("location.hash")
        # Where nothing may be copied, the link is in the address, and the run goes on as it was edited.
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
        page.evaluate("explorer.own.edit({ part: 'bias', layer: 0, place: 0 }, 5)")
        page.click("#play")
        page.wait_for_function("explorer.own.step() > 6")
        page.click("#link")
        page.wait_for_function("document.getElementById('toast').textContent.includes('address bar')")
        settled(page)
        assert page.evaluate("explorer.own.run().isEdited && explorer.state.playing")
    with Opened(browser, address + link) as page:
        page.wait_for_function("explorer.own.step() === 6")
        assert page.evaluate(LAYERS) == weights


@pytest.mark.slow
def test_memory_has_an_end(browser: Any, address: str) -> None:
    link = "#t.seed=0&t.seeds=16&t.points=50&t.data=xor&t.activation=tanh&t.hidden=64~64~64~64~64~64&edges=0"
    with Opened(browser, address + link) as page:
        sizes = page.evaluate("Object.values(explorer.own.run().weights).map(({ byteLength }) => byteLength)")
        assert 2**26 < sum(sizes) <= 2**27, "there may be two runs"
        assert page.evaluate("explorer.population.room") < 60
        page.evaluate("explorer.own.takeEpoch()")
        page.wait_for_function("explorer.own.step() > 0")
        assert len(steps(page)) > 1
