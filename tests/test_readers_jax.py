"""Functions of JAX read into layers: outputs and gradients against JAX, regions against dense layers, refusals."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from jax import lax, nn
from read_truth import dense, gradients, outputs

import jaxgeom as jg


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


W, V = drawn(0, 4, 6), drawn(1, 6, 3)
KERNEL, SECOND = drawn(2, 3, 3, 2, 4), drawn(3, 2, 2, 2, 6)
VARIANCE = np.abs(drawn(4, 6)) + 0.5


def conv(x: Any, kernel: Any, *, strides: Any = (1, 1), padding: Any = "SAME", **options: Any) -> Any:
    options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), **options}
    return lax.conv_general_dilated(x, jnp.asarray(kernel, x.dtype), strides, padding, **options)


def pooled(x: Any, kind: str, size: int = 2, **options: Any) -> Any:
    """Maxima, minima or sums of channels last."""
    start, operation = {"max": (-jnp.inf, lax.max), "min": (jnp.inf, lax.min), "sum": (0.0, lax.add)}[kind]
    return lax.reduce_window(x, start, operation, (1, size, size, 1), (1, 2, 2, 1), "SAME", **options)


def minmax(x: Any) -> Any:
    a, b = x[:, ::2], x[:, 1::2]
    return jnp.stack([jnp.maximum(a, b), jnp.minimum(a, b)], axis=-1).reshape(x.shape)


def normalised(x: Any) -> Any:
    return (x - W[0]) * lax.rsqrt(VARIANCE + 1e-5) * W[1]


def tied(x: Any) -> Any:
    """One step again and again, as lax.scan, and the sum of its states."""
    last, states = lax.scan(lambda c, row: (nn.relu(c @ row), c), x, drawn(5, 3, 4, 4))
    return last + states.sum(0)


def unet(x: Any) -> Any:
    down = nn.relu(conv(x, KERNEL))
    deep = nn.relu(conv(pooled(down, "max"), drawn(6, 3, 3, 4, 4)))
    up = jax.image.resize(deep, down.shape, "nearest")
    return conv(jnp.concatenate([up, down], axis=-1), drawn(7, 1, 1, 8, 1))


@jax.custom_vjp
def straight(x: Any) -> Any:
    return jnp.maximum(x, 0)


straight.defvjp(lambda x: (straight(x), x), lambda x, g: (jnp.where(x > 0, g, 0),))  # of relu

BATCHES: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "mlp": ((4,), lambda x: nn.relu(x @ W + 1) @ V),
    "leaky": ((4,), lambda x: nn.leaky_relu(x @ W, 0.2) @ V),
    "prelu": ((4,), lambda x: (lambda z: jnp.where(z >= 0, z, VARIANCE * z))(x @ W) @ V),
    "leaky_as_maximum": ((4,), lambda x: (lambda z: jnp.maximum(z, 0.1 * z) - jnp.minimum(-z, 2 * z))(x @ W)),
    "hard_tanh": ((4,), lambda x: nn.hard_tanh(nn.relu6(x @ W - 1) @ V)),
    "hard_sigmoid": ((4,), lambda x: nn.hard_sigmoid(x @ W)),
    "clips": ((4,), lambda x: jnp.clip(x, -0.5, 0.3) + lax.clamp(-1.0, 2 * x, 0.1) - jnp.minimum(x, 0.7)),
    "mask": ((4,), lambda x: x * (x > 0) - x * (1 - 2.0 * (x < 0)) + jnp.where(~(x < 0.5), 2 * x - 1, 0)),
    "minmax": ((4,), lambda x: minmax(minmax(x @ W)[:, ::-1]) @ V),
    "maxout": ((4,), lambda x: jnp.max((x @ W).reshape(-1, 2, 3), axis=2) - jnp.min(x, axis=1, keepdims=True)),
    "group_sort": ((4,), lambda x: jnp.sort((x @ W).reshape(-1, 2, 3), axis=2).reshape(-1, 6) @ V),
    "sorted": ((5,), lambda x: jnp.sort(nn.relu(x), axis=1) * jnp.arange(5) - jnp.median(x, axis=1, keepdims=True)),
    "top_k": ((5, 2), lambda x: lax.top_k(x.swapaxes(1, 2), 2)[0] - lax.cummin(x, 1, reverse=True)[:, :2]),
    "abs": ((4,), lambda x: jnp.abs(x @ W).mean(1)),
    "normalised": ((4,), lambda x: nn.relu(normalised(x @ W)) @ V),
    "skips": ((4,), lambda x: jnp.concatenate([nn.relu(nn.relu(x @ W) @ W.T) + x, x[:, :1] / 3], axis=1)),
    "calls": ((4,), lambda x: jax.checkpoint(straight)(jax.jit(lambda y: y @ W)(x)) @ V),
    "scan": ((4,), tied),
    "einsum": ((3, 4), lambda x: nn.relu(jnp.einsum("bij,jk->bki", x, W)) + jnp.einsum("ji,bkj->bik", W, x)),
    "batched_matrices": ((3, 4), lambda x: jnp.einsum("bij,ijk->bik", x, drawn(8, 3, 4, 2))),
    "constant_first": (
        (3, 4),
        lambda x: jax.vmap(lambda y, m: m @ y.T, (2, 0), 2)(x, drawn(9, 4, 2, 3)).swapaxes(0, 1),
    ),
    "mixer": (
        (3, 4),
        lambda x: x + jnp.swapaxes(nn.relu(jnp.swapaxes(x, 1, 2) @ drawn(10, 3, 5)) @ drawn(11, 5, 3), 1, 2),
    ),
    "conv": ((5, 6, 2), lambda x: nn.relu(conv(x, KERNEL, strides=(2, 1))).sum((1, 2))),
    "conv_grouped": (
        (5, 5, 4),
        lambda x: conv(x, SECOND, padding=((2, 0), (-1, 1)), rhs_dilation=(2, 1), feature_group_count=2),
    ),
    "conv_transposed": (
        (3, 3, 2),
        lambda x: nn.relu(lax.conv_transpose(x, jnp.asarray(KERNEL, x.dtype), (2, 2), "SAME")),
    ),
    "conv_channels_first": (
        (2, 5, 5),
        lambda x: nn.relu(conv(x, KERNEL.transpose(3, 2, 0, 1), dimension_numbers=("NCHW", "OIHW", "NCHW"))).mean(
            (2, 3)
        ),
    ),
    "conv_strange": ((5, 2, 5), lambda x: conv(x, KERNEL, dimension_numbers=("NHCW", "HWIO", "CNWH")).swapaxes(0, 1)),
    "pools": ((5, 5, 2), lambda x: pooled(nn.relu(x), "max") - pooled(x, "min", 3) + pooled(x, "sum") / 4),
    "dilated_pools": (
        (6, 6, 1),
        lambda x: pooled(x, "max", window_dilation=(1, 2, 1, 1)) + pooled(x, "sum", window_dilation=(1, 1, 2, 1)),
    ),
    "unet": ((4, 4, 2), unet),
    "softmax": ((4,), lambda x: nn.softmax(nn.relu(x @ W) @ V)),
    "log_softmax": ((4,), lambda x: nn.log_softmax(nn.relu(x @ W) @ V)),
    "sigmoid": ((4,), lambda x: nn.sigmoid(nn.relu(x @ W) @ V)[:, 0]),
    "constant": ((4,), lambda x: jnp.ones((len(x), 2))),
}

POINTS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "point": ((4,), lambda x: nn.relu(x @ W) @ V[:, 0]),
    "moves": (
        (4,),
        lambda x: (
            jnp.roll(x, 1) - x[::-1] + x[2] + x[jnp.array([0, 0, -1, 3])] + jnp.pad(x, (1, 0), mode="reflect")[:4]
        ),
    ),
    "updates": (
        (4,),
        lambda x: x.at[1].set(3).at[2].add(5).at[jnp.array([0, 0])].multiply(2).at[1:3].set(nn.relu(x[2:])),
    ),
    "sums": (
        (3, 4),
        lambda x: (
            jnp.cumsum(x, 0) - lax.cumsum(x, 1, reverse=True) + lax.cummax(x) + lax.dynamic_slice(x, (2, 0), (1, 4))
        ),
    ),
    "loops": (
        (4,),
        lambda x: lax.while_loop(lambda c: c[1] < 3, lambda c: (nn.relu(c[0] * 2 - 1), c[1] + 1), (x, 0))[0],
    ),
    "branch": ((4,), lambda x: lax.cond(jnp.sum(W) > 1e3, jnp.exp, nn.relu, x)),
    "not_double": ((4,), lambda x: lax.scan(lambda c, w: (c + nn.relu(x * w), None), jnp.zeros(4), W[:, :4])[0]),
}
ENDINGS = {"softmax": nn.softmax, "log_softmax": nn.log_softmax, "sigmoid": nn.sigmoid}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*BATCHES, *POINTS])
def test_outputs_and_gradients_are_those_of_jax(name: str) -> None:
    is_batch = name in BATCHES
    shape, function = BATCHES[name] if is_batch else POINTS[name]
    read = jg.from_function(function, np.zeros((1, *shape) if is_batch else shape), takes_batch=is_batch)
    single = (lambda x: function(x[None])[0]) if is_batch else function
    batched = function if is_batch else jax.vmap(function)
    assert read.input_shape == shape
    x = np.random.default_rng(1).normal(size=(1000, *shape)).astype(np.float32)
    expected = np.asarray(jax.jit(batched)(x)).reshape(1000, -1)
    got = outputs(read.layers, x)
    if name in ENDINGS:
        assert read.notes == (f"{name} at the end is left off: the outputs are what it is applied to",)
        got = np.asarray(ENDINGS[name](got))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    if name in (*ENDINGS, "dilated_pools"):  # which JAX does not differentiate
        return
    differentiated = jax.jacfwd if name == "loops" else jax.grad
    is_double = name != "not_double"
    is_exact = is_double and name != "normalised"  # whose constants have the precision of the function's
    output = expected.shape[1] - 1
    with jax.enable_x64(is_double):
        points = np.random.default_rng(2).normal(size=(10_000 if np.prod(shape) <= 4 else 500, *shape))
        points = points if is_double else points.astype(np.float32)
        wanted = np.asarray(jax.jit(jax.vmap(differentiated(lambda x: single(x).ravel()[output])))(points))
    np.testing.assert_allclose(
        gradients(read.layers, points, output),
        wanted.reshape(len(points), -1),
        rtol=1e-9 if is_exact else 1e-4,
        atol=1e-12,
    )


def test_x64_stays_as_it_is_and_results_do_not_depend_on_it() -> None:
    function = BATCHES["normalised"][1]
    before = jnp.asarray(1.0).dtype
    plain = jg.from_function(function, np.zeros((1, 4)))
    assert jnp.asarray(1.0).dtype == before
    with jax.enable_x64(True):
        double = jg.from_function(function, np.zeros((1, 4), np.float32))
    for a, b in zip(plain.layers, double.layers, strict=True):
        np.testing.assert_array_equal(a.kernel, b.kernel)
        np.testing.assert_array_equal(a.bias, b.bias)


def test_units_have_the_names_of_scopes_and_functions() -> None:
    def net(x: Any) -> Any:
        with jax.named_scope("block"):
            x = nn.relu(x @ W)
        return nn.relu(nn.relu(x @ W.T) @ W)

    read = jg.from_function(net, np.zeros((1, 4)))
    assert [units.names for units in read.units] == [("block/relu",), ("relu",), ("relu.2",)]
    assert jg.unit_name(read.units[0], 5) == "block/relu[0, 5]"


@pytest.mark.parametrize("name", ["clips", "hard_tanh", "leaky_as_maximum", "minmax"])
def test_no_more_units_than_kinks(name: str) -> None:
    """Both bounds of a clip are in one layer, a leaky ReLU is one unit, and max and min share their kink."""
    widths = {
        "clips": [5 * 4],
        "hard_tanh": [2 * 6, 2 * 3],
        "leaky_as_maximum": [2 * 6],
        "minmax": [3 * 3, 3 * 3],
    }
    shape, function = BATCHES[name]
    read = jg.from_function(function, np.zeros((1, *shape)))
    assert [layer.bias.size for layer in read.layers[:-1]] == widths[name]


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "tanh": (lambda x: jnp.tanh(x @ W) @ V, "tanh"),
    "gelu": (lambda x: nn.gelu(x @ W, approximate=False) @ V, "erfc"),
    "silu": (lambda x: nn.silu(x @ W) @ V, "logistic"),
    "elu": (lambda x: nn.elu(x @ W) @ V, "expm1"),
    "softmax inside": (lambda x: nn.softmax(x @ W) @ V, "exp"),
    "square": (lambda x: jnp.square(x), "square"),
    "power": (lambda x: x**3, "integer_pow"),
    "long sort": (lambda x: jnp.sort(jnp.tile(x, 75)), "sort"),
    "order": (lambda x: jnp.take_along_axis(x, jnp.argsort(x), 1), "lt"),
    "equal": (lambda x: jnp.where(x == x[:, ::-1], x, 0), "eq"),
    "argmax": (lambda x: jnp.argmax(x, -1), "argmax"),
    "sign": (lambda x: jnp.sign(x), "sign"),
    "product": (lambda x: x * nn.hard_sigmoid(x), "mul"),
    "attention": (lambda x: (x[:, :, None] * 1.0) @ x[:, None, :], "dot_general"),
    "division": (lambda x: x / (1 + jnp.abs(x)), "div"),
    "jump": (lambda x: jnp.where(x > 0, x + 1, x), "select_n"),
    "indices": (lambda x: x[:, (x[0, 0] > 0).astype(int)], r"\w+"),
    "branch": (lambda x: lax.cond(x[0, 0] > 0, lambda y: y, lambda y: 2 * y, x), "cond"),
    "steps": (lambda x: lax.while_loop(lambda y: y.sum() < 9, lambda y: y + 1, x), "while"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_piecewise_linear_is_refused_by_name_and_line(name: str) -> None:
    function, operation = REFUSED[name]
    with pytest.raises(
        ValueError, match=rf"operation {operation} \(.*test_readers_jax\.py:\d+\).*grid_regions"
    ) as caught:
        jg.from_function(function, np.zeros((1, 4)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x - x.mean(0), r"not what the function computes: at a random point"),
        (lambda x: x.T, r"returns an array of shape \(4, 1\) for one of shape \(1, 4\).*takes_batch=False"),
        (lambda x: (x, x), r"returns 2 arrays; one is needed"),
        (lambda x: x > 0, r"returns truth values"),
        (lambda x: jnp.argsort(x, 1), r"returns an order; leave the sorting off"),
        (lambda x: x @ (W * np.nan), r"NaN or infinite"),
        (lambda x: x if x.sum() > 0 else -x, r"cannot trace the function at an input of shape \(1, 4\): \w+"),
        (lambda x: x @ np.ones((3, 2)), r"cannot trace the function at an input of shape \(1, 4\): \w+"),
    ],
)
def test_other_functions_are_refused_in_a_line(function: Callable[[Any], Any], message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message) as caught:
            jg.from_function(function, np.zeros((1, 4)))
    assert "\n" not in str(caught.value)


def test_what_is_no_function_and_no_example() -> None:
    with pytest.raises(TypeError, match=r"function of one array is needed, but list was given"):
        jg.from_function([1], np.zeros((1, 4)))
    with pytest.raises(ValueError, match=r"batch of at least one point, but its shape is \(\)"):
        jg.from_function(nn.relu, 0.0)
    with pytest.raises(ValueError, match=r"array of numbers, but its type is <U1"):
        jg.from_function(nn.relu, ["a"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["max", "sum"])
def test_regions_of_convolutions_are_those_of_dense_layers(kind: str) -> None:
    """On a plane through three images, where JAX's gradients are those of the regions."""

    def net(x: Any) -> Any:
        x = pooled(nn.relu(conv(x, drawn(12, 3, 3, 1, 4))), kind)
        return nn.relu(conv(x, drawn(13, 3, 3, 4, 5), padding="VALID")).sum((1, 2)) @ drawn(14, 5, 2)

    read = jg.from_function(net, np.zeros((1, 12, 12, 1)))
    assert any(not isinstance(layer.kernel, np.ndarray) for layer in read.layers)
    full = tuple(jg.Dense(dense(layer.kernel), layer.bias, layer.slope) for layer in read.layers)
    images = np.random.default_rng(0).uniform(size=(1, 144)) + drawn(15, 3, 144) / 5
    plane = jg.plane_through(*images)
    triangle = jg.polygon(jg.project(plane, images).coordinates)
    found = jg.enumerate_regions(jg.on_plane(read.layers, plane), triangle)
    wanted = jg.enumerate_regions(jg.on_plane(full, plane), triangle)
    assert found.num_faces == wanted.num_faces > 100
    np.testing.assert_allclose(np.sort(found.area), np.sort(wanted.area), rtol=1e-6)
    with jax.enable_x64(True):
        inside = np.asarray(jg.lift(plane, found.centroid[:200])).reshape(-1, 1, 12, 12, 1)
        slopes = np.asarray(jax.jit(jax.vmap(jax.grad(lambda x: net(x)[0, 0])))(inside)).reshape(len(inside), -1)
    np.testing.assert_allclose(found.gradient[:200, 0], slopes @ plane.directions.T, atol=1e-6)


def test_counts_of_convolutions_are_those_of_rational_arithmetic() -> None:
    """The dense equivalents are not made by the reader: they are what JAX makes of unit vectors."""
    for seed in range(3):
        picture, first, second = (np.round(4 * drawn(16 + seed, *n)) / 4 for n in ((2, 16), (3, 3, 1, 2), (2, 2, 2, 3)))
        parts = [
            lambda x, kernel=first, picture=picture: conv((x @ picture).reshape(-1, 4, 4, 1), kernel, padding="VALID"),
            lambda x, kernel=second: conv(x.reshape(-1, 2, 2, 2), kernel, padding="VALID").reshape(-1, 3),
        ]
        offsets = np.round(4 * drawn(20 + seed, 2)) / 4

        def net(x: Any, parts: Any = parts, offsets: Any = offsets) -> Any:
            x = nn.relu(parts[0](x).reshape(len(x), -1) + offsets[0])
            return nn.relu(parts[1](x) + offsets[1]).sum(1)

        full = [
            np.asarray(part(np.eye(n, dtype=np.float32))).reshape(n, -1) for part, n in zip(parts, (2, 8), strict=True)
        ]
        layers = (
            *(jg.Dense(kernel, np.full(kernel.shape[1], b)) for kernel, b in zip(full, offsets, strict=True)),
            jg.Dense(np.ones((3, 1)), np.zeros(1)),
        )
        square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        read = jg.from_function(net, np.zeros((1, 2)))
        assert jg.count_regions(read.layers, jg.box(-1, 1)).count == reference.exact_region_count(layers, square) > 8
