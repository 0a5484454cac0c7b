"""[edge] What a published result says, what was measured, and whether the two agree."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Num

from jaxgeom._reprs import readable
from jaxgeom.analysis.fractions import fraction_interval

AGREEMENT = 3.5
"""Standard errors of the difference within which a measured mean counts as the published one."""
_ONE_ERROR = math.erf(math.sqrt(0.5))
"""Probability with which an interval of one standard error on each side covers."""


@readable
class Row(NamedTuple):
    """One figure of a publication, and its measurement."""

    quantity: str
    """What is measured, in words."""
    published: float
    """The publication's figure."""
    measured: float
    """Ours."""
    error: float
    """Standard error of the measurement and of the published figure together; 0 for exact numbers."""
    agrees: bool
    """Whether both are the same, as far as their errors tell."""


@readable
class Claim(NamedTuple):
    """A published result, measured anew."""

    title: str
    """What is claimed, in a few words."""
    source: str
    """The publication."""
    rows: Sequence[Row]
    """Its figures, and ours."""
    remark: str
    """How it was measured, and what the rows do not say."""
    draw: Callable[[Any], None] | None = None
    """``draw(ax)`` makes the figure."""


def exact(quantity: str, published: float, measured: float) -> Row:
    """A number that must be met exactly."""
    return Row(quantity, published, measured, 0.0, measured == published)


def mean(quantity: str, published: float, samples: Num[np.ndarray, " samples"], published_error: float = 0.0) -> Row:
    """A mean over independent samples; ``published_error`` is the standard error of the published figure."""
    samples = np.asarray(samples, np.float64)
    error = math.hypot(float(samples.std(ddof=1)) / math.sqrt(len(samples)), published_error)
    measured = float(samples.mean())
    return Row(quantity, published, measured, error, abs(measured - published) <= AGREEMENT * error)


def fraction(
    quantity: str, published: float, samples: Bool[np.ndarray, " samples"], published_error: float = 0.0
) -> Row:
    """A fraction of independent samples. Its error is that of Wilson's interval of one standard error on the side of
    the published figure, which is not zero where all samples are alike."""
    found = fraction_interval(int(np.sum(samples)), len(samples), confidence=_ONE_ERROR)
    measured = float(found.fraction)
    end = found.low if published < measured else found.high
    error = math.hypot(abs(float(end) - measured), published_error)
    return Row(quantity, published, measured, error, abs(measured - published) <= AGREEMENT * error)


def within(quantity: str, published: float, measured: float, tolerance: float) -> Row:
    """A number that is published as an approximation, good to some tolerance."""
    return Row(quantity, published, measured, tolerance, abs(measured - published) <= tolerance)


def at_most(quantity: str, published: float, measured: float) -> Row:
    """A number that is published as an upper bound."""
    return Row(quantity, published, measured, 0.0, measured <= published)


def table(claim: Claim) -> str:
    """The rows as a table in Markdown."""
    lines = ["| quantity | published | measured | error | agrees |", "|---|---:|---:|---:|:---:|"]
    for row in claim.rows:
        error = "exact" if row.error == 0 else f"± {row.error:.2g}"
        verdict = "yes" if row.agrees else "**no**"
        lines.append(f"| {row.quantity} | {row.published:.6g} | {row.measured:.6g} | {error} | {verdict} |")
    return "\n".join(lines)
