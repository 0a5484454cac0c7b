"""What the explorer's page trains, trained again in NumPy; and a page that is used at random, thousands of times."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from mlp_truth import LOSSES, outputs_of, run_of
from outside import Opened, settled
from training_truth import adam_update, momentum_update, sgd_update

import jaxgeom as jg

SQUARE = jg.box(-6, 6)  # of the page's problems
DATA = jg.datasets.circles(jax.random.key(0), num_points=60, noise=0.1, factor=0.4)
RUN = "explorer.own.run().networks"
WEIGHTS = f"{RUN}.map(({{ layers }}) => layers.map(({{ kernel, bias }}) => [[...kernel], [...bias]]))"
EPOCHS = 4
UPDATES = {"sgd": (sgd_update, 0.1), "momentum": (momentum_update, 0.1), "adam": (adam_update, 0.01)}
"""Steps of NumPy, and their learning rates."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    model = jg.mlp((2, 5, 3, 1), activation="relu")
    params = jax.vmap(model.init)(jax.random.split(jax.random.key(0), 3))
    path = tmp_path_factory.mktemp("replays") / "page.html"
    jg.explore(params, path, data=DATA, test=DATA._replace(x=DATA.x + 0.1))
    return path.as_uri()


@pytest.fixture(scope="module")
def replayed(browser: Any, address: str) -> Iterator[Any]:
    """One page, which goes from run to run by its address."""
    with Opened(browser, address) as page:
        yield page


def follow(page: Any, link: str) -> None:
    version = page.evaluate("explorer.population.version")
    page.evaluate(f"location.hash = {link!r}")
    page.wait_for_function(f"explorer.population.version > {version} && explorer.own.isOn()")
    settled(page)


def numbers(page: Any, name: str) -> np.ndarray:
    return np.array(page.evaluate(f"[...explorer.population.arrays['{name}'] ?? []]"))


def points(page: Any) -> tuple[np.ndarray, ...]:
    x, test_x = (numbers(page, f"{part}/x").reshape(-1, 2) for part in ("data", "test"))
    return x, numbers(page, "data/y"), test_x, numbers(page, "test/y")


def params_of(page: Any, widths: tuple[int, ...], activation: str) -> list[dict[str, dict[str, np.ndarray]]]:
    names = [activation] * (len(widths) - 2) + ["linear"]
    return [
        {
            f"dense{depth}_{name}": {"kernel": np.reshape(kernel, (-1, width)), "bias": np.array(bias)}
            for depth, (name, width, (kernel, bias)) in enumerate(zip(names, widths[1:], layers, strict=True))
        }
        for layers in page.evaluate(WEIGHTS)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "hidden", "activation", "optimizer", "batch", "penalty"),
    [
        ("circles", (6, 4), "relu", "adam", 4, "none"),
        ("xor", (5,), "abs", "sgd", 10, "l1"),
        ("plane", (3,), "tanh", "sgd", 0, "l2"),
        ("spirals", (4, 3), "leaky_relu", "momentum", 30, "l1"),
        ("gaussians", (), "relu", "adam", 1, "l2"),
        ("bumps", (4,), "sin", "adam", 100, "l1"),
    ],
)
def test_runs_of_the_page_are_those_of_numpy(
    replayed: Any, problem: str, hidden: tuple[int, ...], activation: str, optimizer: str,
    batch: int, penalty: str,
) -> None:  # fmt: skip
    update, rate = UPDATES[optimizer]
    strength, widths = 0.03, (2, *hidden, 1)
    page, every = replayed, f"t.seed=7&t.seeds=4&t.data={problem}&t.points=50&t.drawn=3&t.tested=0"
    link = (
        f"{every}.3&t.hidden={'~'.join(map(str, hidden))}&t.activation={activation}&t.optimizer={optimizer}"
        f"&t.rate={rate}&t.batch={batch}&t.penalty={penalty}&t.strength={strength}"
    )
    follow(page, every)
    all_x, all_y, *_ = points(page)
    follow(page, link)
    x, y, test_x, test_y = points(page)
    before, orders = params_of(page, widths, activation), []
    for _ in range(EPOCHS):
        page.click("#next")
        page.wait_for_function("explorer.state.goal === 0")
        orders.append(page.evaluate(f"{RUN}.map(({{ order }}) => [...order])"))
    settled(page)
    after = params_of(page, widths, activation)
    curves = page.evaluate("explorer.population.curves.map(({ name, num, values }) => [name, num, [...values]])")
    parts = np.column_stack([np.concatenate([x, test_x]), np.concatenate([y, test_y])])
    whole = np.column_stack([all_x, all_y])
    np.testing.assert_array_equal(parts[np.lexsort(parts.T)], whole[np.lexsort(whole.T)])
    assert len(np.unique(parts, axis=0)) == 50
    assert len(test_y) == 15

    size, loss = batch or len(y), "squared" if problem in ("plane", "bumps") else "binary"

    def step(number: int, p: np.ndarray, g: np.ndarray, memory: Any) -> Any:
        is_kernel = p.ndim == 2
        p, memory = update(number, p, g + strength * p if is_kernel and penalty == "l2" else g, memory)
        least = rate * strength if is_kernel and penalty == "l1" else 0
        return np.sign(p) * np.maximum(np.abs(p) - least, 0), memory

    recorded = {name: np.reshape(values, (-1, num))[:, -1] for name, num, values in curves}
    for place, (first, last) in enumerate(zip(before, after, strict=True)):
        rows = [np.array(order[place]) for order in orders]
        for each in rows:  # every point once an epoch, none that is held back
            np.testing.assert_array_equal(np.sort(each), np.arange(35))
        assert any((one != other).any() for one, other in pairwise(rows))
        batches = [each[start : start + size] for each in rows for start in range(0, 35, size)]
        expected = run_of(first, x, y[:, None] if loss == "squared" else y, batches, loss, step).history[-1]
        for name, layer in expected.items():
            for part, values in layer.items():
                np.testing.assert_allclose(last[name][part], values, atol=1e-10)
                np.testing.assert_array_equal(last[name][part] == 0, values == 0)
        for prefix, inputs, targets in (("", x, y), ("test ", test_x, test_y)):
            found = outputs_of(last, inputs)
            wanted = LOSSES[loss](found, targets[:, None] if loss == "squared" else targets)[0].mean()
            np.testing.assert_allclose(recorded[f"{prefix}loss"][place], wanted, rtol=1e-6)
            if loss == "binary":
                right = np.mean((found[:, 0] > 0) == targets)
                np.testing.assert_allclose(recorded[f"{prefix}accuracy"][place], right, rtol=1e-6)
        slope = {"relu": 0.0, "abs": -1.0, "leaky_relu": 0.01}.get(activation)
        assert ("regions" in recorded) == (slope is not None)
        if slope is not None:
            layers = [
                jg.Dense(layer["kernel"], layer["bias"], np.full(len(layer["bias"]), slope)) for layer in last.values()
            ]
            layers[-1] = layers[-1]._replace(slope=None)
            assert recorded["regions"][place] == int(jg.count_regions(tuple(layers), SQUARE).count)


RANDOM = (Path(__file__).parent / "explorer_random.mjs").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "width"), [(1, 1280), (2, 400)])
def test_random_readers_break_nothing(browser: Any, address: str, seed: int, width: int) -> None:
    with Opened(browser, address, viewport={"width": width, "height": 800}) as page:
        assert page.evaluate(f"({RANDOM})({seed}, 70)") == []
