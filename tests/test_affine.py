"""Activation patterns and affine maps against the reference, and against the function itself."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from jaxgeom import Dense, activation_words, affine_maps, affine_maps_of_patterns, forward, unpack_patterns
from jaxgeom.networks.affine import WORD_BITS, num_words

NETWORKS = [(2, 1), (1, 31, 1), (2, 32, 2), (3, 33, 3), (2, 64, 1), (5, 65, 4), (4, 7, 3, 9, 2), (2, 32, 1, 33, 65, 2)]


def network(seed, *widths, leading=()):
    rng = np.random.default_rng(seed)
    return tuple(
        Dense(rng.uniform(-1, 1, (*leading, a, b)), rng.uniform(-1, 1, (*leading, b)))
        for a, b in itertools.pairwise(widths)
    )


def points_of(dim, num=40):
    return np.random.default_rng(dim).uniform(-1, 1, (num, dim))


def in_float64(function, *args):
    """``function`` compiled as one piece, in float64."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(function)(*args))


@pytest.mark.parametrize(
    ("widths", "words"),
    [((), 0), ((1,), 1), ((31,), 1), ((32,), 1), ((33,), 2), ((64,), 2), ((65,), 3), ((1, 1, 1), 3), ((33, 32), 3)],
)
def test_every_layer_starts_a_new_word(widths, words):
    assert num_words(widths) == words


@pytest.mark.parametrize("widths", NETWORKS)
def test_patterns_and_maps_are_the_reference(widths):
    layers, points = network(0, *widths), points_of(widths[0])
    hidden = widths[1:-1]

    def everything(layers, points):
        words = activation_words(layers, points)
        maps = affine_maps_of_patterns(layers, words)
        return words, unpack_patterns(words, hidden), maps, forward(layers, points).output

    words, unpacked, (gradient, intercept), output = in_float64(everything, layers, points)
    pattern = reference.activation_patterns(layers, points).T
    assert words.shape == (num_words(hidden), len(points))
    assert words.dtype == np.uint32
    # bit u mod 32 of the layer's word u // 32, all other bits zero
    expected, start, unit = np.zeros_like(words), 0, 0
    for width in hidden:
        for u in range(width):
            expected[start + u // WORD_BITS] |= pattern[unit + u].astype(np.uint32) << (u % WORD_BITS)
        start, unit = start + num_words([width]), unit + width
    np.testing.assert_array_equal(words, expected)
    assert [layer.shape for layer in unpacked] == [(width, len(points)) for width in hidden]
    assert all(layer.dtype == bool for layer in unpacked)
    np.testing.assert_array_equal(np.concatenate([np.zeros((0, len(points)), bool), *unpacked]), pattern)
    # sums of up to 65 * 33 * 32 terms below 1, in float64
    for found, map_of_reference in zip((gradient, intercept), reference.affine_map_at(layers, points), strict=True):
        np.testing.assert_allclose(found, map_of_reference, rtol=1e-13, atol=1e-11)
    np.testing.assert_allclose(np.einsum("poi,pi->po", gradient, points) + intercept, output, rtol=1e-13, atol=1e-11)


def test_a_unit_at_zero_is_not_active():
    # x + y - 1 and its negative at points on the line, above and below it; a unit that is zero everywhere
    kernel, bias = np.array([[1.0, -1, 0], [1, -1, 0]]), np.array([-1.0, 1, 0])
    points = jnp.array([[0.5, 0.5], [1, 0], [-2, 3], [1, 1], [0, 0]])
    words = activation_words((Dense(kernel, bias), Dense(np.ones((3, 1)), np.zeros(1))), points)
    np.testing.assert_array_equal(words, [[0, 0, 0, 0b001, 0b010]])


def test_maps_of_patterns_that_no_point_has():
    # all active: the product of the matrices; none active: the last bias
    layers = network(2, 2, 3, 4, 2)
    words = jnp.array([[0b111, 0], [0b1111, 0]], jnp.uint32)
    gradient, intercept = in_float64(affine_maps_of_patterns, layers, words)
    (a, p, _), (b, q, _), (c, r, _) = layers
    np.testing.assert_allclose(gradient[0], (a @ b @ c).T, rtol=0, atol=1e-14)
    np.testing.assert_allclose(intercept[0], (p @ b + q) @ c + r, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(gradient[1], np.zeros((2, 2)))
    np.testing.assert_array_equal(intercept[1], r)


def test_patterns_and_maps_of_a_population_are_vmap():
    population, points = network(3, 2, 33, 5, 1, leading=(4,)), points_of(2)

    def patterns_and_maps(layers, points):
        words = activation_words(layers, points)
        return words, affine_maps_of_patterns(layers, words)

    words, maps = in_float64(jax.vmap(patterns_and_maps, (0, None)), population, points)
    for index in range(4):
        layers = [(kernel[index], bias[index]) for kernel, bias, *_ in population]
        unpacked = unpack_patterns(jnp.asarray(words[index]), (33, 5))
        np.testing.assert_array_equal(np.concatenate(unpacked).T, reference.activation_patterns(layers, points))
        gradient, intercept = reference.affine_map_at(layers, points)
        np.testing.assert_allclose(maps.gradient[index], gradient, rtol=0, atol=1e-12)
        np.testing.assert_allclose(maps.intercept[index], intercept, rtol=0, atol=1e-12)


# Any function


@pytest.mark.parametrize("widths", [(3, 8, 2), (2, 8, 5), (1, 1), (2, 6, 4, 2)])
def test_maps_of_a_relu_network_as_a_function(widths):
    # fewer outputs than inputs and more: backward and forward mode
    layers, points = network(4, *widths), points_of(widths[0])
    gradient, intercept = in_float64(lambda points: affine_maps(lambda x: forward(layers, x).output, points), points)
    expected = reference.affine_map_at(layers, points, "residual")
    np.testing.assert_allclose(gradient, expected[0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(intercept, expected[1], rtol=0, atol=1e-13)


def test_maps_of_a_smooth_function_are_its_tangents():
    # (x y, sin x + y³, x) with gradients by hand
    points = points_of(2)

    def function(x):
        return jnp.stack([x[:, 0] * x[:, 1], jnp.sin(x[:, 0]) + x[:, 1] ** 3, x[:, 0]], axis=1)

    gradient, intercept = in_float64(lambda points: affine_maps(function, points), points)
    x, y = points.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = [[y, x], [np.cos(x), 3 * y**2], [one, zero]]
    np.testing.assert_allclose(gradient, np.moveaxis(np.array(rows), 2, 0), rtol=0, atol=1e-15)
    values = np.stack([x * y, np.sin(x) + y**3, x], axis=1)
    np.testing.assert_allclose(np.einsum("poi,pi->po", gradient, points) + intercept, values, rtol=0, atol=1e-15)


def test_the_gradient_of_relu_at_zero_is_zero():
    points = jnp.array([[0.0, 3.0], [1.0, 3.0], [-1.0, 3.0]])
    gradient, intercept = affine_maps(lambda x: jax.nn.relu(x[:, :1]) + x[:, 1:], points)
    np.testing.assert_array_equal(gradient[:, 0], [[0, 1], [1, 1], [0, 1]])
    np.testing.assert_array_equal(intercept, np.zeros((3, 1)))


def test_maps_of_a_function_keep_the_dtype_of_the_points():
    points = jnp.asarray(points_of(2), jnp.float32)
    assert {array.dtype for array in affine_maps(lambda x: x**2, points)} == {np.dtype(np.float32)}
    assert {array.dtype for array in in_float64(lambda x: affine_maps(lambda x: x**2, x), points_of(2))} == {
        np.dtype(np.float64)
    }
