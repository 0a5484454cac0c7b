"""Bounds of rounding errors, held against rationals. What they are good for is tested in test_regions_spatial.py."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from jaxgeom.regions import values


def fractions(array):
    return [[Fraction(value) for value in row] for row in array.tolist()]


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300])
def test_pre_activations(scale):
    # inputs anywhere within their bounds: the true products are within those of the result
    rng = np.random.default_rng(16)
    exponents = np.array([0, 3, -5, 900])
    given = rng.uniform(-1, 1, (50, 4)) * rng.integers(0, 2, (50, 4))
    error = np.abs(given) * 10 ** rng.uniform(-16, -6, given.shape)
    true = given + error * rng.choice([-0.9, 0, 0.9], given.shape)
    kernel = rng.uniform(-1, 1, (4, 6)) * np.exp2(-exponents)[:, None] * scale
    bias = np.append(rng.uniform(-1, 1, 4), [0, 0]) * scale
    kernel[:, 3], kernel[:, 5] = 0, 0
    found, after = values.pre_activations(values.Values(given, error), exponents, kernel, bias)
    inputs, weights, offsets = fractions(true), fractions(kernel), fractions(bias[None])[0]
    for row, unit in np.ndindex(found.value.shape):
        terms = (inputs[row][i] * Fraction(2) ** int(exponents[i]) * weights[i][unit] for i in range(4))
        value = (sum(terms) + offsets[unit]) / Fraction(2) ** int(after[unit])
        assert abs(value - Fraction(found.value[row, unit])) <= Fraction(found.error[row, unit])
    # bounds are of the size of what they bound, and zeros are known to be zeros
    assert np.all(found.error[:, :3] <= 1.1 * error.max() * 4 + 1e-14)
    assert np.abs(found.value).max() < 5
    assert not values.is_open(found)[:, [3, 5]].any()
    assert not np.any(found.error[:, 5])


@pytest.mark.parametrize("size", [1.0, 1e-100])
@pytest.mark.parametrize("slope", [0.0, 0.01, -1.0, 1.0, 0.25, -0.3, 1e300, -1.7e308, 1e-300, 5e-324, 2.0])
def test_activations(slope, size):
    rng = np.random.default_rng(17)
    exponents = np.array([0, 900, -900])
    given = rng.uniform(-1, 1, (40, 3)) * rng.integers(0, 2, (40, 3)) * size
    error = np.abs(given) * 10 ** rng.uniform(-16, -6, given.shape)
    true = given + error * rng.choice([-0.9, 0, 0.9], given.shape)
    signs = np.sign(true).astype(np.int8)
    found, after = values.activations(values.Values(given, error), signs, exponents, np.full(3, slope))
    assert np.abs(found.value).max() <= 1
    for row, unit in np.ndindex(found.value.shape):
        z = Fraction(true[row, unit])
        value = (z if z > 0 else Fraction(slope) * z) * Fraction(2) ** int(exponents[unit] - after[unit])
        assert abs(value - Fraction(found.value[row, unit])) <= Fraction(found.error[row, unit])
        assert found.error[row, unit] <= 1e-5 * abs(found.value[row, unit]) + 1e-288 / size
    if slope in (0.0, 1.0, -1.0):  # what is exact stays exact
        exact, _ = values.activations(
            values.Values(given, 0 * error), np.sign(given).astype(np.int8), exponents, np.full(3, slope)
        )
        assert (exact.error <= 1e-280).all()


@pytest.mark.parametrize("size", [1.0, 1e-150])
def test_values_on_edges(size):
    # ends of edges that are off by almost all that their bounds allow, held against rationals
    rng = np.random.default_rng(15)
    num = 300
    true = rng.uniform(0.1, 1, (2 * num, 3)) * rng.choice([-1, 1], (2 * num, 3)) * size
    true[:, 1] = np.abs(true[:, 1]) * np.tile([1, -1], num)
    given = true * (1 + 10 ** rng.uniform(-16, -1, true.shape) * rng.choice([-1, 0, 1], true.shape))
    error = np.abs(given - true) * (1 + 1e-15)
    ends = np.arange(2 * num).reshape(num, 2)
    found, place = values.on_edges(values.Values(given, error), ends, 1)
    is_known = ~np.isnan(place)
    assert 0.2 < is_known.mean() < 1
    assert np.isnan(found.value[~is_known]).all()
    assert values.is_open(found)[~is_known].all()
    np.testing.assert_array_equal(found.value[is_known, 1], 0)
    np.testing.assert_array_equal(found.error[is_known, 1], 0)
    for row, column in itertools.product(np.flatnonzero(is_known), (0, 2)):
        (p, z), (q, w) = ((Fraction(true[end, column]), Fraction(true[end, 1])) for end in ends[row])
        value = (p * -w + q * z) / (z - w)
        assert abs(value - Fraction(found.value[row, column])) <= Fraction(found.error[row, column])
    assert np.median(found.error[is_known] / size) < 1e-6
