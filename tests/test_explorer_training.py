"""Networks that are trained and edited in the explorer's page, in a headless Chromium."""

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
MODEL = jg.mlp((2, 5, 3, 1), activation="relu")
WEIGHTS = "explorer.sceneOf(0).layers.map(({ kernel, bias }) => [Array.from(kernel), Array.from(bias)])"
"""Of the network that is seen; layers of features have zeros."""
DONE = "explorer.state.goal === 0 && !explorer.state.playing"


@pytest.fixture(scope="module")
def runs() -> Any:
    keys, loss = jax.random.split(jax.random.key(1), 3), jg.losses.binary_cross_entropy
    return jg.fit_population(
        keys, lambda key: jg.fit(key, MODEL, optax.adam(0.03), loss, DATA, num_epochs=40, snapshot_every=20)
    )


@pytest.fixture(scope="module")
def address(runs: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("training") / "page.html"
    jg.explore(runs, path, data=DATA, domain=SQUARE, title="Circles")
    return path.as_uri()


def layers_of(page: Any) -> jg.Layers:
    """The network that is seen, without features."""
    shapes = page.evaluate(
        "explorer.sceneOf(0).layers.map(({ inputs, outputs, features }) => [inputs, outputs, features])"
    )
    return tuple(
        jg.Dense(np.reshape(kernel, (inputs, outputs)), np.array(bias))
        for (kernel, bias), (inputs, outputs, features) in zip(page.evaluate(WEIGHTS), shapes, strict=True)
        if not features
    )


def last(page: Any, name: str) -> float:
    return float(page.evaluate(f"explorer.population.curves.find(({{ name }}) => name === '{name}').values.at(-1)"))


def numbers(page: Any, array: str) -> np.ndarray:
    return np.array(page.evaluate(f"Array.from(explorer.population.arrays['{array}'])"))


def train(page: Any, epochs: int) -> None:
    """As one would step by step: an epoch at a time."""
    for _ in range(epochs):
        page.click("#next")


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


def outputs(layers: jg.Layers, x: np.ndarray) -> np.ndarray:
    values = x
    for depth, layer in enumerate(layers):
        values = values @ layer.kernel + layer.bias
        values = values if depth == len(layers) - 1 else np.maximum(values, 0)
    return values


def test_a_network_learns_the_page_s_data(browser: Any, address: str) -> None:
    with Opened(browser, address) as page:
        page.click("#train")
        assert page.locator("#own").is_visible()
        page.click("text='New'")
        page.select_option("[data-set=rate]", "0.1")
        page.select_option("#speed", "4")
        first = layers_of(page)
        assert [layer.bias.shape for layer in first] == [(5,), (3,), (1,)]
        for layer in first:
            assert np.abs(layer.kernel).max() <= 1 / np.sqrt(len(layer.kernel))
        x, y = numbers(page, "data/x").reshape(-1, 2), numbers(page, "data/y")
        np.testing.assert_allclose(last(page, "loss"), cross_entropy(outputs(first, x).ravel(), y), rtol=1e-6)
        page.click("#play")
        page.wait_for_function("explorer.population.curves[0].values.at(-1) < 0.3")
        page.click("#play")
        settled(page)
        found = layers_of(page)
        logits = outputs(found, x).ravel()
        np.testing.assert_allclose(last(page, "loss"), cross_entropy(logits, y), rtol=1e-6)
        np.testing.assert_allclose(last(page, "accuracy"), np.mean((logits > 0) == y), rtol=1e-6)
        assert last(page, "loss") < 0.3 < 0.6 < cross_entropy(outputs(first, x).ravel(), y)
        assert last(page, "regions") == int(jg.count_regions(found, SQUARE).count)
        steps = page.evaluate("explorer.population.steps")
        assert (np.diff(steps) > 0).all()
        page.locator("#step").fill("0")
        for was, now in zip(first, layers_of(page), strict=True):
            np.testing.assert_array_equal(now.kernel, was.kernel)
        page.keyboard.press("n")
        assert not page.locator("#own").is_visible()
        assert page.evaluate("explorer.population.axes[0].values") == [0, 1, 2]


def test_a_link_leads_to_the_same_bits(browser: Any, address: str) -> None:
    with Opened(browser, address) as page:
        page.click("#train")
        for name, value in (
            ("data", "spirals"),
            ("activation", "tanh"),
            ("points", "100"),
            ("seeds", "4"),
            ("penalty", "l1"),
            ("batch", "10"),
        ):
            page.select_option(f"[data-set={name}]", value)
        page.click('[data-feature="sin(x1)"]')
        page.click("text='+'")
        train(page, 7)
        page.locator("#stage-a input[data-axis=seed]").fill("2")
        settled(page)
        page.wait_for_function("location.hash.includes('t.member=2')")
        link, weights = page.evaluate("location.hash"), page.evaluate(WEIGHTS)
        units = page.evaluate("explorer.sceneOf(0).layers.map(({ outputs }) => outputs)")
        assert units == [3, 5, 3, 3, 1]
        assert page.evaluate("explorer.population.steps.at(-1)") == 35
    with Opened(browser, address + link) as page:
        page.wait_for_function(DONE)
        settled(page)
        assert page.evaluate(WEIGHTS) == weights
        assert page.evaluate("explorer.population.steps.at(-1)") == 35
    with Opened(browser, address + "#t.seed=x&t.hidden=9999&t.data=nothing&t.features=x9&t.step=-4&t.rate=7") as page:
        assert page.evaluate("explorer.state.own.hidden") == [8, 8]
        assert page.evaluate("[explorer.state.own.data, explorer.state.own.rate, explorer.state.own.features]") == [
            "given",
            0.01,
            [],
        ]


def test_weights_are_edited_beside_what_they_were(browser: Any, address: str, runs: Any) -> None:
    with Opened(browser, address + "#step=40&seed=1") as page:
        layers = jax.tree.map(lambda array: np.asarray(array, np.float64)[1, 2], jg.layers_of(runs.snapshots))
        place = page.evaluate("explorer.unitPlace(0, 3)")
        page.locator("#network canvas").click(position=dict(zip("xy", place, strict=True)))
        page.mouse.move(5, 5)
        assert page.inner_text("#edit-name") == "bias of unit 4 of layer 1"
        assert float(page.input_value("#edit-number")) == pytest.approx(layers[0].bias[3], rel=1e-3)
        assert not page.locator("#own").is_visible()
        page.fill("#edit-number", "0.75")
        page.press("#edit-number", "Enter")
        assert page.locator("#own").is_visible()
        assert page.evaluate("explorer.population.axes") == [{"name": "network", "values": ["yours", "as it was"]}]
        bias = layers[0].bias.copy()
        bias[3] = 0.75
        edited = (layers[0]._replace(bias=bias), *layers[1:])
        for ours, expected in zip(layers_of(page), edited, strict=True):
            np.testing.assert_array_equal(ours.kernel, expected.kernel)
            np.testing.assert_array_equal(ours.bias, expected.bias)
        assert page.evaluate("explorer.numFaces(explorer.sceneOf(0).regions)") == int(
            jg.count_regions(edited, SQUARE).count
        )
        page.click("#compare")
        kept = page.evaluate(WEIGHTS.replace("sceneOf(0)", "sceneOf(1)"))
        np.testing.assert_array_equal(kept[0][1], layers[0].bias)
        page.locator("#stage-a input[data-axis=network]").fill("1")
        settled(page)
        assert page.locator("#edit-slider").is_disabled()
        page.locator("#stage-a input[data-axis=network]").fill("0")
        train(page, 3)
        page.locator("#stage-a input[data-axis=network]").fill("1")
        np.testing.assert_array_equal(layers_of(page)[0].bias, layers[0].bias)
        page.locator("#stage-a input[data-axis=network]").fill("0")
        frames = page.evaluate("explorer.population.numFrames")
        page.locator("#step").fill("1")
        page.click("#edit-zero")
        assert layers_of(page)[0].bias[3] == 0
        assert page.evaluate("explorer.population.numFrames") < frames
        page.click("#train")
        shown = page.evaluate("[explorer.state.places[0].seed, explorer.state.time, explorer.state.compare]")
        assert shown == [1, 2, False]
        for ours, expected in zip(layers_of(page), layers, strict=True):
            np.testing.assert_array_equal(ours.bias, expected.bias)


def test_a_weight_is_moved_by_its_line(browser: Any, address: str, runs: Any) -> None:
    with Opened(browser, address + "#step=40") as page:
        layers = jax.tree.map(lambda array: np.asarray(array, np.float64)[0, 2], jg.layers_of(runs.snapshots))
        unit = int(np.abs(layers[2].kernel[:, 0]).argmax())
        (x0, y0), (x1, y1) = (
            page.evaluate(f"explorer.unitPlace({layer}, {place})") for layer, place in ((1, unit), (2, 0))
        )
        page.locator("#network canvas").click(position={"x": (x0 + x1) / 2, "y": (y0 + y1) / 2})
        settled(page)
        assert page.inner_text("#edit-name") == f"weight from unit {unit + 1} of layer 2 to the output"
        slider = page.locator("#edit-slider")
        slider.focus()
        page.keyboard.press("End")
        found = layers_of(page)[2].kernel[unit, 0]
        assert found == pytest.approx(float(slider.get_attribute("max")))
        assert found > np.abs(layers[2].kernel).max()
        page.keyboard.press("Escape")
        settled(page)
        assert page.locator("#edit").is_hidden()


def test_frames_are_thinned_and_the_last_one_is_the_present(browser: Any, address: str) -> None:
    with Opened(browser, address + "#t.seed=3&t.batch=1") as page:
        page.evaluate("for (let epoch = 0; epoch < 700; epoch++) explorer.own.takeEpoch()")
        steps = np.array(page.evaluate("explorer.population.steps"))
        assert 120 < len(steps) <= 240
        assert steps[-1] == page.evaluate("explorer.own.step()")
        apart = np.diff(steps)[:-1]
        assert apart.min() > 0
        np.testing.assert_allclose(apart, apart[0], rtol=0.5)
        x = numbers(page, "data/x").reshape(-1, 2)
        logits = outputs(layers_of(page), x).ravel()
        np.testing.assert_allclose(last(page, "loss"), cross_entropy(logits, numbers(page, "data/y")), rtol=1e-5)


def test_what_can_not_be_trained_is_said(browser: Any, address: str, tmp_path: Path) -> None:
    with Opened(
        browser, address + "#t.seed=0&t.data=bumps&t.optimizer=sgd&t.rate=3&t.points=50&t.hidden=16~16"
    ) as page:
        page.click("#play")
        page.wait_for_function("document.querySelector('#toast').textContent.includes('no longer finite')")
        assert not page.evaluate("explorer.state.playing")
        assert np.isfinite(np.concatenate([np.concatenate([*each]) for each in page.evaluate(WEIGHTS)])).all()
    layers = jg.layers_of(jax.vmap(MODEL.init)(jax.random.split(jax.random.key(0), 2)))
    jg.explore(layers, tmp_path / "bare.html")
    with Opened(browser, (tmp_path / "bare.html").as_uri()) as page:
        page.click("#train")
        assert page.evaluate("explorer.state.own.data") == "circles"
        page.select_option("[data-set=data]", "given")
        page.click("#next")
        assert "no targets" in page.inner_text("#toast")
        page.select_option("[data-set=data]", "xor")
        train(page, 2)
        assert page.evaluate("explorer.population.steps.at(-1)") == 30


@pytest.mark.parametrize("dim", [1, 3])
def test_lines_and_boxes_learn_too(browser: Any, tmp_path: Path, dim: int) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (80, dim))
    model = jg.mlp((dim, 6, 1), activation="tanh")
    jg.explore(
        jax.vmap(model.init)(jax.random.split(jax.random.key(0), 2)),
        tmp_path / "page.html",
        data=(x, np.sin(3 * x[:, :1])),
    )
    with Opened(browser, (tmp_path / "page.html").as_uri(), viewport={"width": 400, "height": 800}) as page:
        page.click("#train")
        assert page.locator("[data-set=data] option").count() == 1
        page.select_option("[data-set=rate]", "0.03")
        before = last(page, "loss")
        train(page, 6)
        assert last(page, "loss") < before
        values = x.astype(np.float32).astype(np.float64)
        first, second = layers_of(page)
        found = np.tanh(values @ first.kernel + first.bias) @ second.kernel + second.bias
        np.testing.assert_allclose(last(page, "loss"), np.mean((found - np.sin(3 * x[:, :1])) ** 2), rtol=1e-5)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_buttons_work_in_the_frame_in_which_they_appear(browser: Any, address: str) -> None:
    with Opened(browser, address) as page:
        page.evaluate("""document.querySelector("#train").click();
          [...document.querySelectorAll("#own button")].find(({ textContent }) => textContent === "+").click()""")
        assert page.evaluate("explorer.state.own.hidden") == [5, 3, 3]


def choose(page: Any, layer: int, unit: int, start: str) -> None:
    """By keyboard alone: a unit, then its list, and in it the bias or the weight from a unit."""
    page.keyboard.press("Escape")
    page.focus("#network canvas")
    for key in ["ArrowDown", *layer * ["ArrowRight"], *unit * ["ArrowDown"]]:
        page.keyboard.press(key)
    settled(page)
    assert page.evaluate("[explorer.chosen().layer, explorer.chosen().to]") == [layer, unit]
    page.keyboard.press("Enter")
    settled(page)
    assert page.evaluate("document.activeElement.id") == "edit-which"
    names = page.locator("#edit-which option").all_inner_texts()
    for _ in range(names.index(start) - names.index("bias")):
        page.keyboard.press("ArrowDown")
    settled(page)


def test_keys_lead_to_every_bias_and_weight_and_a_run_is_not_lost(browser: Any, address: str) -> None:
    with Opened(browser, address + "#step=40&seed=1") as page:
        num = 0
        for layer, units in enumerate((5, 3, 1)):
            for unit in range(units):
                choose(page, layer, unit, "bias")
                num += page.locator("#edit-which option").count()
        assert num == 2 * 5 + 5 + 5 * 3 + 3 + 3 + 1, "all parameters"
        before = layers_of(page)
        choose(page, 2, 0, "from unit 3 of layer 2")
        assert page.inner_text("#edit-name") == "weight from unit 3 of layer 2 to the output"
        assert page.inner_text("#unit-note").startswith("weight ")
        page.keyboard.press("Tab")
        page.keyboard.press("Home")
        found = layers_of(page)
        assert found[2].kernel[2, 0] == pytest.approx(float(page.get_attribute("#edit-slider", "min")))
        np.testing.assert_array_equal(found[2].kernel[:2], before[2].kernel[:2])
        choose(page, 0, 4, "from x₂")
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement === document.querySelector('#network canvas')")
        settled(page)
        assert page.locator("#edit").is_hidden()

        train(page, 3)
        trained, steps = page.evaluate(WEIGHTS), page.evaluate("explorer.population.steps")
        page.keyboard.press("n")
        settled(page)
        assert page.inner_text("#train") == "Your run"
        assert page.evaluate("explorer.population.axes[0].name") == "seed"
        assert "kept" in page.inner_text("#toast")
        page.click("#train")
        assert (page.evaluate(WEIGHTS), page.evaluate("explorer.population.steps")) == (trained, steps)
        last_run = page.get_by_text("Last run", exact=True)
        assert last_run.is_hidden()
        page.click("text='Restart'")
        assert page.evaluate("explorer.own.step()") == 0
        last_run.click()
        assert page.evaluate(WEIGHTS) == trained
        assert last_run.is_hidden(), "nothing had been trained anew"
        settled(page)  # then the slider has all steps again
        page.locator("#step").fill("1")
        page.evaluate("explorer.own.edit({ part: 'bias', layer: 0, place: 1 }, 7)")
        assert page.evaluate("explorer.population.numFrames") == 2 < len(steps)
        last_run.click()
        settled(page)
        assert page.evaluate("explorer.population.steps") == steps
        page.locator("#step").fill(str(len(steps) - 1))
        assert page.evaluate(WEIGHTS) == trained, "as it was before it was edited"

        page.locator("#step").fill("1")
        settled(page)
        assert page.inner_text("#stepped").split() == [str(steps[1]), "of", str(steps[-1])]
        assert f"from here to step {steps[-1]}" in page.get_attribute("#play", "title")
        times = page.evaluate("""new Promise((done) => {
          const times = [];
          document.querySelector("#play").click();
          const look = () => {
            times.push([explorer.state.time, explorer.own.step()]);
            if (explorer.own.step() > times[0][1]) done(times);
            else requestAnimationFrame(look);
          };
          look();
        })""")
        seen = [time for time, step in times if step == steps[-1]]
        assert seen[0] == 1
        assert sorted(set(seen)) == list(range(1, len(steps))), "what was trained is shown before more is"
