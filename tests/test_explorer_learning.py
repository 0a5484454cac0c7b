"""What the explorer's page learns with: gradients against JAX's, steps against optax, random numbers, and problems."""

import json
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads
from test_explorer_kinds import in_node

from jaxgeom.networks.models import ACTIVATIONS

Parts = list[dict[str, np.ndarray]]
NAMES = ("relu", "leaky_relu", "abs", "hard_tanh", "tanh", "sigmoid", "elu", "gelu", "softplus", "sin", "linear", "0.3")
SLOPES = {"leaky_relu": 0.01, "abs": -1.0, "linear": 1.0}
"""Of layers that the page keeps piecewise linear; ReLU is what has none."""
OPTIMIZERS = {"sgd": optax.sgd, "momentum": lambda rate: optax.sgd(rate, momentum=0.9), "adam": optax.adam}
RATE, STRENGTH = 0.05, 0.3
TASKS = [("classes", 1), ("classes", 3), ("targets", 1)]


def network(rng: np.random.Generator, sizes: tuple[int, ...]) -> Parts:
    return [
        {"kernel": rng.normal(size=(inputs, outputs)), "bias": rng.normal(size=outputs)}
        for inputs, outputs in pairwise(sizes)
    ]


def for_page(layers: Parts, activation: str) -> list[dict[str, Any]]:
    """The same as the page holds it."""
    found = []
    for depth, layer in enumerate(layers):
        inputs, outputs = layer["kernel"].shape
        is_bent = depth < len(layers) - 1 and activation in SLOPES
        is_named = depth < len(layers) - 1 and activation not in SLOPES and activation != "relu"
        slope = [SLOPES[activation]] * outputs if is_bent else None
        found.append(
            {
                "kernel": layer["kernel"].ravel().tolist(),
                "bias": layer["bias"].tolist(),
                "slope": slope,
                "activation": activation if is_named else None,
                "inputs": inputs,
                "outputs": outputs,
            }
        )
    return found


def activated(name: str, z: jax.Array) -> jax.Array:
    if name == "linear":
        return z
    if name in ACTIVATIONS:
        found: jax.Array = ACTIVATIONS[name](z)
        return found
    return jnp.where(z > 0, z, float(name) * z)


def loss_of(layers: Any, x: Any, y: Any, activation: str, kind: str) -> jax.Array:
    values = x
    for layer in layers[:-1]:
        values = activated(activation, values @ layer["kernel"] + layer["bias"])
    z = values @ layers[-1]["kernel"] + layers[-1]["bias"]
    if kind == "targets":
        return jnp.mean((z[:, 0] - y) ** 2)
    if z.shape[1] == 1:
        return optax.sigmoid_binary_cross_entropy(z[:, 0], y).mean()
    return optax.softmax_cross_entropy_with_integer_labels(z, y.astype(int)).mean()


def targets(rng: np.random.Generator, kind: str, outputs: int, num: int) -> np.ndarray:
    return rng.normal(size=num) if kind == "targets" else rng.integers(0, max(outputs, 2), num).astype(float)


def run(program: str, **given: Any) -> Any:
    """What a program prints as JSON, with learn.mjs and what is given; layers' arrays are typed."""
    start = f"""const {{ gradients, meanLoss, memoriesOf, move }} = await load("learn");
      const {{ forward }} = await load("network");
      const given = {json.dumps(given)};
      const typed = (layers) => layers.map((layer) => ({{ ...layer, kernel: Float64Array.from(layer.kernel),
        bias: Float64Array.from(layer.bias) }}));
      const plain = (layers) => layers.map(({{ kernel, bias }}) => [Array.from(kernel), Array.from(bias)]);\n"""
    return in_node(start + program)


@pytest.mark.parametrize(("kind", "outputs"), TASKS)
def test_gradients_are_jax_s(kind: str, outputs: int) -> None:
    rng = np.random.default_rng(outputs)
    layers, x = network(rng, (2, 5, 4, outputs)), rng.normal(size=(9, 2))
    y = targets(rng, kind, outputs, 9)
    found = run(
        """console.log(JSON.stringify(given.networks.map((one) => {
          const layers = typed(one), loss = meanLoss(forward(layers, given.x).at(-1), given.y, given.kind);
          const found = gradients(layers, given.x, given.y, given.kind);
          return [loss, found.map(({ kernel, bias }) => [...kernel, ...bias])];
        })));""",
        networks=[for_page(layers, name) for name in NAMES],
        x=x.ravel().tolist(),
        y=y.tolist(),
        kind=kind,
    )
    with jax.enable_x64(True):
        for name, (loss, slopes) in zip(NAMES, found, strict=True):
            expected, by = jax.value_and_grad(loss_of)(layers, jnp.asarray(x), jnp.asarray(y), name, kind)
            np.testing.assert_allclose(loss, expected, rtol=1e-13, err_msg=name)
            for ours, theirs in zip(slopes, by, strict=True):
                whole = np.concatenate([theirs["kernel"].ravel(), theirs["bias"]])
                np.testing.assert_allclose(ours, whole, rtol=1e-11, atol=1e-14, err_msg=name)
        check_grads(lambda each: loss_of(each, x, y, "tanh", kind), (layers,), order=1, modes=("rev",), rtol=1e-6)


@pytest.mark.parametrize("penalty", ["none", "l1", "l2"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_are_optax_s(optimizer: str, penalty: str) -> None:
    rng = np.random.default_rng(7)
    layers, x = network(rng, (2, 4, 3, 1)), rng.normal(size=(8, 2))
    y = targets(rng, "classes", 1, 8)
    settings = {"optimizer": optimizer, "rate": RATE, "penalty": penalty, "strength": STRENGTH}
    found = run(
        """const layers = typed(given.layers), memories = memoriesOf(layers), seen = [];
        for (let step = 1; step <= 6; step++) {
          move(layers, gradients(layers, given.x, given.y, "classes"), memories, step, given.settings);
          seen.push(plain(layers));
        }
        console.log(JSON.stringify(seen));""",
        layers=for_page(layers, "tanh"),
        x=x.ravel().tolist(),
        y=y.tolist(),
        settings=settings,
    )
    with jax.enable_x64(True):
        params: Any = jax.tree.map(jnp.asarray, layers)
        descent = OPTIMIZERS[optimizer](RATE)
        memory = descent.init(params)
        for step in found:
            slopes = jax.grad(loss_of)(params, x, y, "tanh", "classes")
            if penalty == "l2":
                slopes = [
                    {"kernel": by["kernel"] + STRENGTH * layer["kernel"], "bias": by["bias"]}
                    for by, layer in zip(slopes, params, strict=True)
                ]
            updates, memory = descent.update(slopes, memory)
            params = optax.apply_updates(params, updates)
            if penalty == "l1":
                for layer in params:
                    kernel = layer["kernel"]
                    layer["kernel"] = jnp.sign(kernel) * jnp.maximum(jnp.abs(kernel) - RATE * STRENGTH, 0)
            for (kernel, bias), layer in zip(step, params, strict=True):
                np.testing.assert_allclose(kernel, layer["kernel"].ravel(), rtol=1e-10, atol=1e-13)
                np.testing.assert_allclose(bias, layer["bias"], rtol=1e-10, atol=1e-13)
        assert (np.concatenate([kernel for kernel, _ in found[-1]]) == 0).any() == (penalty == "l1")


def test_random_numbers_are_uniform_normal_and_permutations() -> None:
    found = in_node("""const { randomOf, seedFor } = await load("random"), random = randomOf(seedFor(1, 2));
      const again = randomOf(seedFor(1, 2)), many = Array.from({ length: 40000 }, random.uniform);
      console.log(JSON.stringify({ many, same: many.slice(0, 9).every((each) => each === again.uniform()),
        normal: Array.from({ length: 40000 }, random.normal), order: Array.from(random.shuffled(500)),
        other: randomOf(seedFor(1, 3)).uniform(), swapped: randomOf(seedFor(2, 1)).uniform() }));""")
    many, normal = np.array(found["many"]), np.array(found["normal"])
    assert found["same"]
    assert ((many >= 0) & (many < 1)).all()
    histogram = np.histogram(many, 20, (0, 1))[0]
    assert ((histogram - 2000) ** 2 / 2000).sum() < 45  # chi-squared with 19 degrees: once in a thousand
    assert abs(np.corrcoef(many[1:], many[:-1])[0, 1]) < 0.02
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert abs((np.abs(normal) < 1).mean() - 0.6827) < 0.01
    assert sorted(found["order"]) == list(range(500)) != found["order"]
    assert len({many[0], found["other"], found["swapped"]}) == 3


def test_problems_are_what_they_are_called() -> None:
    found = in_node("""const { problem, problemNames } = await load("problems");
      const listed = ({ x, y, classes }) => ({ x: Array.from(x), y: Array.from(y), classes });
      console.log(JSON.stringify(Object.fromEntries(problemNames().map(([name]) =>
        [name, [0, 0.2].map((noise) => listed(problem(name, 400, noise, 5)))]))));""")
    clean = {name: (np.reshape(a["x"], (-1, 2)), np.array(a["y"])) for name, (a, _) in found.items()}
    radius = {name: np.hypot(*x.T) for name, (x, _) in clean.items()}
    for name, (x, y) in clean.items():
        assert np.abs(x).max() <= 6 or name == "gaussians"
        assert found[name][0]["classes"] == (None if name in ("plane", "bumps") else [0, 1])
        noise = np.reshape(found[name][1]["x"], (-1, 2))
        assert noise.shape == x.shape
        if found[name][0]["classes"]:
            assert 0.4 < y.mean() < 0.6
    assert (
        radius["circles"][clean["circles"][1] == 1].max()
        <= 2.5
        < 3.4
        < radius["circles"][clean["circles"][1] == 0].min()
    )
    x, y = clean["xor"]
    np.testing.assert_array_equal(y, x[:, 0] * x[:, 1] > 0)
    assert np.abs(x).min() > 0.29
    x, y = clean["gaussians"]
    for label, center in ((0, -2), (1, 2)):
        np.testing.assert_allclose(x[y == label].mean(axis=0), center, atol=0.3)
    x, y = clean["spirals"]
    one, other = x[y == 0], x[y == 1]
    np.testing.assert_allclose(one, -other, atol=1e-5)  # turned by half a circle
    x, y = clean["plane"]
    np.testing.assert_allclose(y, x.sum(axis=1) / 10, atol=1e-6)
    x, y = clean["bumps"]
    assert np.abs(y).max() <= 1
    assert np.sign(y[np.hypot(x[:, 0] - 4, x[:, 1] - 2.5) < 1]).min() == 1
    assert np.sign(y[np.hypot(x[:, 0], x[:, 1] - 2.5) < 1]).max() == -1
