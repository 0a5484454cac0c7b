"""[edge] How far studies and zoos are, in lines of text."""

import math
from collections.abc import Sequence

import numpy as np

from jaxgeom.study.status import StudyStatus
from jaxgeom.study.zoo_status import ZooStatus

MOST_VALUES = 12
"""Values of an axis of which the status says how far they are, and damaged files that are named."""


def status_of_study(found: StudyStatus) -> str:
    """How far a study is, in lines."""
    is_whole = bool(found.is_finished.all())
    ends = ["what is missing is NaN in jaxgeom.study.load(directory), and False in is_finished"]
    if is_whole:
        ends = [] if found.has_result else ["the result is not written yet: the command that began it does that"]
    return _text(found, "chunks", found.num_chunks, ends)


def status_of_zoo(found: ZooStatus) -> str:
    """How far a zoo is, in lines."""
    ends = [] if found.is_finished.all() else ["jaxgeom.open_zoo(directory) reads the networks that are finished"]
    return _text(found, "shards", found.num_shards, ends)


def share(is_finished: np.ndarray) -> str:
    """How many networks are finished, in words."""
    num = int(is_finished.sum())
    return f"{num:,} of {is_finished.size:,} networks ({num * 100 // is_finished.size} %)"


def _text(found: StudyStatus | ZooStatus, parts: str, num_parts: int, ends: Sequence[str]) -> str:
    left = found.num_networks - int(found.is_finished.sum())
    num_there = num_parts - len(found.missing) - len(found.damaged)
    lines = [f"{share(found.is_finished)} are finished, in {num_there:,} of {num_parts:,} {parts}"]
    if found.damaged:
        numbers = ", ".join(map(str, found.damaged[:MOST_VALUES])) + (", …" if len(found.damaged) > MOST_VALUES else "")
        lines.append(f"damaged {parts}, which the same command computes again: {numbers}")
    lines.append("at work: " + ("; ".join(found.holders) if found.holders else "no process"))
    if left and found.holders and math.isfinite(found.rate) and found.rate > 0:
        lines.append(f"about {left / found.rate / 60:,.1f} minutes are left, at {found.rate:,.1f} networks a second")
    if left and not found.holders:
        lines.append("the command that began it goes on with it")
    for axis, (name, values) in enumerate(found.coords.items()):
        others = tuple(place for place in range(found.is_finished.ndim) if place != axis)
        shares = np.atleast_1d(found.is_finished.mean(axis=others))
        if 1 < len(values) <= MOST_VALUES and left:
            lines.append(f"  {name}: " + ", ".join(f"{v} {s:.0%}" for v, s in zip(values, shares, strict=True)))
    return "\n".join([*lines, *ends])
