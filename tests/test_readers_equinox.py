"""Modules of Equinox read into layers: outputs and gradients against Equinox, refusals."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from read_truth import gradients, outputs

import jaxgeom as jg

eqx = pytest.importorskip("equinox")
nn = eqx.nn
KEYS = jax.random.split(jax.random.key(0), 8)


def function(f: Any) -> Any:
    return nn.Lambda(f)


NETWORKS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "mlp": (lambda: nn.MLP(3, 2, 9, depth=2, key=KEYS[0]), (3,)),
    "conv": (
        lambda: nn.Sequential(
            [
                nn.Conv2d(2, 4, 3, padding=1, groups=2, key=KEYS[0]),
                function(jax.nn.relu),
                nn.MaxPool2d(2, 2),
                nn.Conv2d(4, 3, 2, dilation=2, key=KEYS[1]),
                function(nn.PReLU(0.1)),  # which takes no key
                nn.AdaptiveAvgPool2d(1),
                nn.Dropout(0.5),
                function(jnp.ravel),
                nn.Linear(3, 2, key=KEYS[2]),
            ]
        ),
        (2, 8, 8),
    ),
    "transposed": (
        lambda: nn.Sequential(
            [
                nn.ConvTranspose1d(2, 3, 3, stride=2, output_padding=1, key=KEYS[0]),
                function(jax.nn.relu6),
                nn.AvgPool1d(2, 2),
            ]
        ),
        (2, 3),
    ),
    "maxout": (
        lambda: nn.Sequential(
            [
                nn.Linear(3, 8, key=KEYS[0]),
                function(lambda x: x.reshape(4, 2).max(1)),
                nn.Linear(4, "scalar", key=KEYS[1]),
            ]
        ),
        (3,),
    ),
}


def in_double(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64) if eqx.is_inexact_array(leaf) else leaf, tree)


def check(read: Any, batched: Any, double: Any, shape: tuple[int, ...]) -> None:
    assert read.input_shape == shape
    x = np.random.default_rng(1).normal(size=(1000, *shape)).astype(np.float32)
    expected = np.asarray(jax.jit(jax.vmap(batched))(x)).reshape(1000, -1)
    np.testing.assert_allclose(outputs(read.layers, x), expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())
    with jax.enable_x64(True):
        points = np.random.default_rng(2).normal(size=(10_000 if np.prod(shape) < 8 else 300, *shape))
        wanted = jax.jit(jax.vmap(jax.grad(lambda x: double(x).ravel()[-1])))(points)
    got = gradients(read.layers, points, expected.shape[1] - 1)
    np.testing.assert_allclose(got, np.asarray(wanted).reshape(len(points), -1), rtol=1e-7, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_gradients_are_equinoxs(name: str) -> None:
    build, shape = NETWORKS[name]
    module = build()
    inference = nn.inference_mode(module)
    read = jg.from_equinox(module, None if name in ("mlp", "maxout") else jnp.zeros(shape))
    check(read, inference, in_double(inference), shape)


@pytest.mark.slow
def test_batch_normalisation_has_its_state() -> None:
    module, state = nn.make_with_state(
        lambda: nn.Sequential(
            [
                nn.Conv2d(1, 3, 2, key=KEYS[0]),
                nn.BatchNorm(3, "batch", mode="batch"),
                function(jax.nn.relu),
                function(lambda x: x.mean((1, 2))),
            ]
        )
    )()
    batch = jax.random.normal(KEYS[3], (32, 1, 4, 4)) * 2 + 1
    _, state = jax.vmap(module, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(batch, state)
    read = jg.from_equinox(module, jnp.zeros((1, 4, 4)), state=state)
    inference = nn.inference_mode(module)
    double, inner = in_double(inference), in_double(state)
    check(read, lambda x: inference(x, state)[0], lambda x: double(x, inner)[0], (1, 4, 4))


@pytest.mark.parametrize(
    ("part", "operation"),
    [
        (function(jnp.tanh), "operation tanh"),
        (function(jax.nn.gelu), "operation integer_pow"),
        (nn.LayerNorm(4), r"operation \w+"),
        (nn.GroupNorm(2, 4), r"operation \w+"),
        (function(jnp.sign), "operation sign"),
    ],
)
def test_what_is_not_piecewise_linear_is_refused_by_name(part: Any, operation: str) -> None:
    module = nn.Sequential([nn.Linear(3, 4, key=KEYS[0]), part, nn.Linear(4, 2, key=KEYS[1])])
    with pytest.raises(ValueError, match=operation + r".*grid_regions") as caught:
        jg.from_equinox(module)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"shape of the inputs of the module is not known\. Give an example"):
        jg.from_equinox(NETWORKS["conv"][0]())
    with pytest.raises(TypeError, match=r"callable equinox\.Module is needed, but list was given"):
        jg.from_equinox([1])
