"""[host] Fractions of networks with confidence intervals, which say something at 0 and at 1 as well."""

from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxgeom._reprs import readable


@readable
class FractionInterval(NamedTuple):
    """Fractions with their confidence intervals, as :func:`fraction_interval` finds them."""

    fraction: Float[np.ndarray, "*shape"]
    """The observed fractions; NaN of none."""
    low: Float[np.ndarray, "*shape"]
    """Lower ends of the intervals, 0 exactly where nothing was counted; NaN of none."""
    high: Float[np.ndarray, "*shape"]
    """Upper ends of the intervals, 1 exactly where everything was counted; NaN of none."""


def fraction_interval(num: Any, num_all: Any, *, confidence: float = 0.95) -> FractionInterval:
    """The fraction ``num / num_all`` with Wilson's score interval for the probability behind it.

    The interval holds all probabilities p that the observed fraction does not refute: it is at most z standard errors,
    √(p (1 - p) / num_all) each, away from p, where z is the quantile of the normal distribution, 1.96 at 95 %. The
    error is that of p and not that of the observed fraction, which is zero where all networks succeed or none does:
    of 1000 in 1000, the interval begins at 0.996. Its two sides differ in length. On average over p it covers with
    about the probability that was asked for, from few samples on.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
    Statistical Association 22 (1927); recommended by L. D. Brown, T. T. Cai and A. DasGupta, "Interval estimation for
    a binomial proportion", Statistical Science 16 (2001).

    Args:
        num: how many of the independent samples succeeded, such as ``is_solved.sum(axis=-1)``: integers of any shape.
        num_all: how many samples there are, of a shape that fits; of none everything is NaN.
        confidence: probability with which an interval covers, between 0 and 1.

    Returns:
        NumPy arrays float64 of the common shape.

    Raises:
        TypeError: for anything but integers.
        ValueError: for negative numbers, more successes than samples, shapes that do not fit, or another confidence.

    Example:
        >>> import jaxgeom as jg
        >>> found = jg.fraction_interval([338, 1000], 1000)
        >>> found.low.round(3).tolist(), found.high.round(3).tolist()
        ([0.309, 0.996], [0.368, 1.0])
    """
    if isinstance(confidence, bool) or not isinstance(confidence, int | float | np.number) or not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, such as 0.95, but {confidence!r} was given.")
    found, total = _counts("num", num), _counts("num_all", num_all)
    try:
        found, total = np.broadcast_arrays(found, total)
    except ValueError as error:
        raise ValueError(
            f"num and num_all must have shapes that fit, but {found.shape} and {total.shape} were given."
        ) from error
    if (found > total).any():
        raise ValueError(
            f"num must not exceed num_all, but {found[found > total][0]:.0f} of {total[found > total][0]:.0f} was "
            "given. Give the number of successes first, then that of all samples."
        )
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    with np.errstate(invalid="ignore"):
        fraction = np.asarray(found / total)
    return FractionInterval(fraction, _low(found, total, z), np.asarray(1 - _low(np.asarray(total - found), total, z)))


def _low(num: np.ndarray, num_all: np.ndarray, z: float) -> np.ndarray:
    """The smaller root p of (num / num_all - p)² = z² p (1 - p) / num_all, as the product of both divided by the larger
    one, so that nothing cancels and none of any is 0 exactly. The larger root is 1 minus this one of the failures."""
    with np.errstate(invalid="ignore"):
        spread = z * np.sqrt(z**2 / 4 + num * (num_all - num) / num_all)
        low: np.ndarray = np.asarray(num * (num / num_all) / (num + z**2 / 2 + spread))
    return low


def _counts(name: str, value: Any) -> np.ndarray:
    """Integers that are not negative, in float64."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        remedy = " Give the sum of the truth values." if array.dtype.kind == "b" else ""
        raise TypeError(f"{name} must be integers, but {array.dtype} was given.{remedy}")
    if (array < 0).any():
        raise ValueError(f"{name} must not be negative, but {array.min()} was given.")
    return array.astype(np.float64)
