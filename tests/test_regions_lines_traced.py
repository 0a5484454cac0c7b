"""Lines under ``jit``, ``vmap`` and ``grad``: the bits of those of arrays, and derivatives of finite differences."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_regions_lines import KINDS, at, check_line, member, network, population_of

from jaxgeom import Dense
from jaxgeom.regions.breakpoints import breakpoints


def traced_all(layers, start, stop, kind="segment", capacity=30):
    return breakpoints(layers, start, stop, kind=kind, capacity=capacity)


@pytest.mark.slow
@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_traced_lines_are_those_of_arrays(kind, x64):
    rng = np.random.default_rng(14)
    dtype = np.float64 if x64 else np.float32
    population = jax.tree.map(lambda array: array.astype(dtype), population_of([network(rng) for _ in range(3)]))
    start, stop = rng.uniform(-1, 1, (2, 4, 2)).astype(dtype)
    expected = breakpoints(population, start, stop, kind=kind, capacity=30)
    with jax.enable_x64(x64):
        for program in (
            jax.jit(lambda *given: traced_all(*given, kind)),
            jax.jit(
                jax.vmap(lambda layers, start, stop: traced_all(layers, start, stop, kind), in_axes=(0, None, None))
            ),
            jax.jit(lambda layers, *ends: jax.lax.map(lambda one: traced_all(one, *ends, kind), layers)),
        ):
            found = program(population, start, stop)
            assert found.t.dtype == np.float64
            jax.tree.map(np.testing.assert_array_equal, jax.tree.map(np.asarray, found), expected)
        one = jax.jit(lambda *given: traced_all(*given, kind, capacity=2))(member(population, 0), start[0], stop[0])
    assert (one.t.shape, bool(one.overflow), int(one.count)) == ((2,), True, int(expected.count[0, 0]))
    np.testing.assert_array_equal(one.t, expected.t[0, 0, :2])


def test_subnormal_weights_stay_what_they_are():
    """Programs take them for zero when they convert them to float64."""
    rng = np.random.default_rng(0)
    layers = tuple(
        Dense(*(np.float32(1e-45 * rng.integers(-3, 4, shape)) for shape in ((a, b), b))) for a, b in ((2, 6), (6, 1))
    )
    assert layers[0].kernel.dtype == np.float32
    points = np.array([-1.0, -0.9]), np.array([1.0, 0.8])
    expected = breakpoints(layers, *points, capacity=8)
    larger = tuple(Dense(np.ldexp(layer.kernel, 149), np.ldexp(layer.bias, 149)) for layer in layers)
    assert expected.count == breakpoints(larger, *points, capacity=8).count > 0
    found = jax.jit(lambda layers: traced_all(layers, *points, capacity=8))(layers)
    assert (int(found.count), found.t.tolist()) == (expected.count, expected.t.tolist())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_are_those_of_finite_differences(kind):
    rng = np.random.default_rng(15)
    layers, ends = network(rng), rng.uniform(-1, 1, (2, 2))
    tangents = jax.tree.map(lambda array: rng.normal(size=array.shape), (layers, ends))

    def facts(given):
        found = breakpoints(given[0], *given[1], kind=kind, capacity=30)
        return jnp.where(found.valid, found.t, 0), found.slope, found.intercept

    with jax.enable_x64(True):
        _, exact = jax.jvp(facts, ((layers, ends),), (tangents,))
        gradient = jax.grad(lambda given: sum(map(jnp.sum, facts(given))))((layers, ends))
        step = 1e-6
        sides = []
        for sign in (1, -1):
            moved = jax.tree.map(lambda a, b, sign=sign: a + sign * step * b, (layers, ends), tangents)
            sides.append(facts(moved))
    assert np.count_nonzero(exact[0]) > 3
    exact = jax.tree.map(np.asarray, exact)
    for right, above, below in zip(exact, *jax.tree.map(np.asarray, sides), strict=True):
        np.testing.assert_allclose(right, (above - below) / (2 * step), rtol=1e-5, atol=1e-6)
    inner = sum(
        np.sum(a * b)
        for a, b in zip(map(np.asarray, jax.tree.leaves(gradient)), jax.tree.leaves(tangents), strict=True)
    )
    np.testing.assert_allclose(inner, sum(map(np.sum, exact)), rtol=1e-9)


@pytest.mark.parametrize("x64", [False, True])
def test_gradients_whatever_the_x64_setting(x64):
    """Of where a unit of the first layer is zero: start @ w + b + t (stop - start) @ w = 0."""
    kernel, bias = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([0.25, -0.125])
    start, stop = np.array([-1.0, -1.0]), np.array([1.0, 0.5])
    last = Dense(np.ones((2, 1)), np.zeros(1))
    speed = (stop - start) @ kernel
    places = -(start @ kernel + bias) / speed
    assert ((places > 0) & (places < 1)).all()

    def place(bias):
        found = breakpoints((Dense(kernel, bias), last), start, stop, capacity=2)
        return found.t[0] + found.t[1] + found.t[1]

    with jax.enable_x64(x64):
        value, gradient = jax.jit(jax.value_and_grad(place))(bias)
    first, second = np.argsort(places)
    assert float(value) == pytest.approx(places[first] + 2 * places[second], rel=1e-6)
    assert gradient[first] == pytest.approx(-1 / speed[first], rel=1e-6)
    assert gradient[second] == pytest.approx(-2 / speed[second], rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_do_not_depend_on_the_capacity(kind):
    rng = np.random.default_rng(16)
    layers, ends = network(rng), rng.uniform(-1, 1, (2, 2))
    tangents = jax.tree.map(lambda array: rng.normal(size=array.shape), (layers, ends))

    def facts(given, capacity):
        found = breakpoints(given[0], *given[1], kind=kind, capacity=capacity)
        return jnp.where(found.valid, found.t, 0), found.slope, found.intercept

    with jax.enable_x64(True):
        few, many = (jax.jvp(partial(facts, capacity=capacity), ((layers, ends),), (tangents,)) for capacity in (1, 30))
        count = int(breakpoints(layers, *ends, kind=kind).count)
    assert count > 1
    for mine, right in zip(jax.tree.leaves(few), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(mine, np.asarray(right)[: len(mine)], rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_traced_networks_and_lines_that_are_not_finite_are_not_counted(kind):
    rng = np.random.default_rng(17)
    layers = network(rng)
    program = jax.jit(lambda layers, start, stop: traced_all(layers, start, stop, kind))
    start, stop = rng.uniform(-1, 1, (2, 5, 2))
    start[1, 0], stop[2, 1], start[3] = np.nan, np.inf, stop[3]
    with jax.enable_x64(True):
        found = jax.tree.map(np.asarray, program(layers, start, stop))
        assert found.count[1:4].tolist() == [-1, -1, 0]
        for index in (0, 4):
            check_line(at(found, index), layers, start[index], stop[index], kind)
        layers[1].kernel[0, 0] = np.nan
        assert program(layers, start, stop).count.tolist() == [-1] * 5


# Bad input
