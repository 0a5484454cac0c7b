"""Intervals of fractions against their quadratic in rationals, published numbers, scipy, and by simulation."""

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

import jaxgeom as jg


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999999])
@pytest.mark.parametrize("num_all", [1, 7, 1000, 10**9])
def test_ends_are_the_roots_in_rationals(confidence: float, num_all: int) -> None:
    """Within 1e-13 of each end, (f - p)² - z² p (1 - p) / n changes its sign, for an observed fraction f of n."""
    z = Fraction(NormalDist().inv_cdf((1 + confidence) / 2))
    for num in sorted({0, 1, num_all // 3, num_all - 1, num_all}):
        found = jg.fraction_interval(num, num_all, confidence=confidence)
        observed = Fraction(num, num_all)

        def excess(p: Fraction, observed: Fraction = observed) -> Fraction:
            return (observed - p) ** 2 - z**2 * p * (1 - p) / num_all

        low, high = Fraction(float(found.low)), Fraction(float(found.high))
        assert 0 <= low <= observed <= high <= 1
        assert (low == 0) == (num == 0)
        assert (high == 1) == (num == num_all)
        if num > 0:
            assert excess(low * (1 - Fraction(1, 10**13))) > 0 > excess(low * (1 + Fraction(1, 10**13)))
        if num < num_all:
            width = Fraction(1, 10**13)  # of numbers near 1, float64 has no more digits
            assert excess(high - width) < 0 < excess(high + width)
        assert float(found.fraction) == num / num_all


def test_published_intervals() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3: the score interval of four samples.
    found = jg.fraction_interval([81, 15, 0, 1], [263, 148, 20, 29])
    np.testing.assert_allclose(found.low, [0.2553, 0.0624, 0, 0.0061], atol=5e-5)
    np.testing.assert_allclose(found.high, [0.3662, 0.1605, 0.1611, 0.1718], atol=5e-5)
    # of all in n it is n / (n + z²), of none z² / (n + z²)
    all_, none = jg.fraction_interval(1000, 1000), jg.fraction_interval(0, 3)
    assert all_.low == pytest.approx(1000 / 1003.8414588, rel=1e-9)
    assert none.high == pytest.approx(3.8414588 / 6.8414588, rel=1e-7)


def test_scipy_finds_the_same() -> None:
    for num, num_all, confidence in ((3, 10, 0.95), (338, 1000, 0.99), (0, 5, 0.8), (5, 5, 0.8)):
        theirs = stats.binomtest(num, num_all).proportion_ci(confidence, method="wilson")
        ours = jg.fraction_interval(num, num_all, confidence=confidence)
        np.testing.assert_allclose((ours.low, ours.high), theirs, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_cover_as_often_as_they_say(confidence: float) -> None:
    """On average over probabilities, 100,000 of them; for one near 1, where the binomial error misses most often."""
    random, z = np.random.default_rng(7), NormalDist().inv_cdf((1 + confidence) / 2)
    for num_all in (20, 100, 1000):
        p = random.uniform(size=100_000)
        counts = random.binomial(num_all, p)
        found = jg.fraction_interval(counts, num_all, confidence=confidence)
        covers = (found.low <= p) & (p <= found.high)
        # by the definition: where the fraction is z errors of p away from p at most
        np.testing.assert_array_equal(covers, np.abs(counts / num_all - p) <= z * np.sqrt(p * (1 - p) / num_all))
    # the mean coverage is right up to terms in 1 / num_all; besides, 4 standard errors
    error = math.sqrt(confidence * (1 - confidence) / len(p))
    assert abs(covers.mean() - confidence) < 4 * error + 1 / num_all
    num_all, near_one = 100, 0.997
    counts = random.binomial(num_all, near_one, size=20_000)
    found = jg.fraction_interval(counts, num_all, confidence=confidence)
    rate = counts / num_all
    binomial = np.abs(rate - near_one) <= z * np.sqrt(rate * (1 - rate) / num_all)
    # of 100, no one fails with probability 0.74, and then the binomial error is 0
    assert binomial.mean() < 0.28
    assert ((found.low <= near_one) & (near_one <= found.high)).mean() > confidence - 0.1


def test_shapes_and_nothing() -> None:
    found = jg.fraction_interval(np.array([[0], [2]]), np.array([2, 4]))
    assert found.low.shape == found.high.shape == found.fraction.shape == (2, 2)
    assert all(type(end) is np.ndarray and end.dtype == np.float64 for end in found)
    none = jg.fraction_interval([0, 1], [0, 1])
    assert np.isnan([end[0] for end in none]).all()
    assert np.isfinite([end[1] for end in none]).all()
    scalar = jg.fraction_interval(1, 2)
    assert scalar.low.shape == ()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, 2), ValueError, "num must not exceed num_all, but 3 of 2 was given"),
        ((-1, 2), ValueError, "num must not be negative, but -1"),
        ((0, -2), ValueError, "num_all must not be negative"),
        ((0.5, 2), TypeError, "num must be integers, but float64"),
        ((np.array([True, False]), 2), TypeError, "Give the sum of the truth values"),
        (([1, 2], [3, 4, 5]), ValueError, r"shapes that fit, but \(2,\) and \(3,\)"),
    ],
)
def test_what_is_no_fraction(arguments: tuple, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        jg.fraction_interval(*arguments)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, True, float("nan"), "high"])
def test_what_is_no_confidence(confidence: float, unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"confidence must be between 0 and 1, such as 0\.95, but"):
        jg.fraction_interval(1, 2, confidence=confidence)
