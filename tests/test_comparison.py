"""Affine maps between two networks: against NumPy's least squares, closed forms and a plain R²."""

import jax
import numpy as np
import pytest
from complexes import network

from jaxgeom.analysis import comparison
from jaxgeom.domains import box, corners, grid_points
from jaxgeom.networks.layers import Dense

RNG = np.random.default_rng(0)
POINTS = grid_points(box(), 21, with_corners=True)


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


fit = jax.jit(comparison.fit_affine, static_argnames="decimals")
compare = jax.jit(comparison.compare_networks, static_argnames="decimals")


def triples_by_differences(layers, points):
    """Gradient and intercept from values close by, within one region almost surely."""

    def value(x):
        for kernel, bias, *_ in layers[:-1]:
            x = np.maximum(x @ kernel + bias, 0)
        return x @ layers[-1].kernel + layers[-1].bias

    step = 1e-7
    gradient = np.concatenate(
        [(value(points + step * e) - value(points - step * e)) / (2 * step) for e in np.eye(2)], 1
    )
    return np.column_stack([gradient, value(points)[:, 0] - np.sum(gradient * points, axis=1)])


def plain_r_squared(y, predicted):
    scores = []
    for column, guess in zip(y.T, predicted.T, strict=True):
        mean = sum(column) / len(column)
        total = sum((value - mean) ** 2 for value in column)
        left = sum((value - other) ** 2 for value, other in zip(column, guess, strict=True))
        scores.append(1 - left / total)
    return sum(scores) / len(scores)


def test_triples_are_gradient_and_intercept():
    layers = network(3, 7, 5, 1)
    points = RNG.uniform(-1, 1, (40, 2))
    found = comparison.affine_triples(layers, points)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, triples_by_differences(layers, points), atol=1e-6)


@pytest.mark.parametrize("rank", [3, 2, 1])
def test_the_fit_is_that_of_numpy(rank):
    x = RNG.normal(size=(50, rank)) @ RNG.normal(size=(rank, 3)) + RNG.normal(size=3)
    y = RNG.normal(size=(50, 4))
    found = fit(x, y)
    centred = np.linalg.lstsq(x - x.mean(axis=0), y - y.mean(axis=0), rcond=1e-10)  # the smallest kernel
    assert int(found.rank) == rank
    np.testing.assert_allclose(found.kernel, centred[0], atol=1e-12)
    full = np.column_stack([x, np.ones(50)])
    expected = full @ np.linalg.lstsq(full, y, rcond=1e-10)[0]
    predicted = comparison.predict_affine(found, x)
    np.testing.assert_allclose(predicted, expected, atol=1e-12)
    np.testing.assert_allclose(comparison.r_squared(y, predicted), plain_r_squared(y, expected), atol=1e-12)


def test_fewer_points_than_features():
    x, y = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 1))
    found = fit(x, y)
    expected = np.linalg.lstsq(x - x.mean(axis=0), y - y.mean(axis=0), rcond=1e-10)[0]
    assert int(found.rank) == 1
    np.testing.assert_allclose(found.kernel, expected, atol=1e-13)


def test_rounding_hides_small_errors():
    exact = np.array([[1.0, 2.0, 0.5], [0.25, -1.0, 3.0], [1.0, 2.0, 0.5]])
    noisy = exact + 1e-7 * RNG.normal(size=(3, 3))
    rounded = fit(noisy, exact, decimals=5)
    assert int(rounded.rank) == 1
    assert int(fit(noisy, exact).rank) == 2
    np.testing.assert_allclose(rounded.kernel, fit(exact, exact).kernel, rtol=1e-12)


def test_rounding_moves_maps_of_deficient_rank_apart():
    units = RNG.normal(size=(2, 3))
    x = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) @ units  # maps of two units that are on or off
    y = RNG.normal(size=(4, 3))
    apart, rounded = fit(x, y), fit(x, y, decimals=5)
    assert (int(apart.rank), int(rounded.rank)) == (2, 3)
    assert np.abs(rounded.kernel).max() > 1e4 * np.abs(apart.kernel).max()
    assert float(comparison.r_squared(y, comparison.predict_affine(apart, x))) >= 0


def test_constant_features_give_the_mean():
    x, y = np.full((50, 3), 0.1), RNG.normal(size=(50, 4))
    found = fit(x, y)
    assert int(found.rank) == 0
    np.testing.assert_array_equal(found.kernel, 0)
    np.testing.assert_allclose(found.intercept, y.mean(axis=0), atol=1e-14)


def test_constant_targets():
    y = np.column_stack([np.full(10, 0.1), np.arange(10.0)])
    assert float(comparison.r_squared(y, y + 1e-17)) == 1.0
    off = y.copy()
    off[:, 0] += 0.1
    assert float(comparison.r_squared(y, off)) == 0.5
    assert float(comparison.r_squared(y[:, :1], y[:, :1])) == 1.0
    zeros = np.zeros((4, 2))
    assert float(comparison.r_squared(zeros, zeros)) == 1.0


@pytest.mark.slow
def test_networks_that_are_affine_images_of_each_other():
    first = network(1, 6, 1)
    second = (first[0], Dense(-3 * first[1].kernel, 2 * first[1].bias + 1))
    found = compare(first, second, POINTS)
    x, y = (triples_by_differences(layers, POINTS) for layers in (first, second))
    np.testing.assert_allclose(found.r_squared, 1.0, atol=1e-12)
    predicted = comparison.predict_affine(found.fit, comparison.affine_triples(first, POINTS))
    far = np.abs(POINTS @ first[0].kernel + first[0].bias).min(axis=1) > 1e-3
    np.testing.assert_allclose(predicted[far], y[far], atol=1e-6)
    assert x.shape == predicted.shape


@pytest.mark.slow
def test_many_pairs_at_once_and_at_few_points():
    networks = [[network(seed, 5, 1) for seed in seeds] for seeds in ((1, 2, 3), (4, 5, 6))]
    first, second = (jax.tree.map(lambda *arrays: np.stack(arrays), *each) for each in networks)
    data = corners(box())
    many = jax.jit(jax.vmap(lambda a, b: comparison.compare_networks(a, b, POINTS, fit_points=data)))(first, second)
    for number, (a, b) in enumerate(zip(*networks, strict=True)):
        x, y = (np.asarray(comparison.affine_triples(layers, POINTS)) for layers in (a, b))
        at_data = [np.asarray(comparison.affine_triples(layers, data)) for layers in (a, b)]
        means = [rows.mean(axis=0) for rows in at_data]
        kernel = np.linalg.lstsq(at_data[0] - means[0], at_data[1] - means[1], rcond=1e-10)[0]
        expected = plain_r_squared(y, (x - means[0]) @ kernel + means[1])
        np.testing.assert_allclose(many.r_squared[number], expected, rtol=1e-9)


def test_what_is_refused(unchecked):
    with pytest.raises(ValueError, match="as many rows"):
        comparison.fit_affine(np.zeros((3, 2)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="takes 2 inputs"):
        comparison.affine_triples(network(1, 4, 1), np.zeros((3, 3)))
