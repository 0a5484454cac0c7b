"""[host] Two studies compared: differences of means over seeds with confidence intervals, and of settings."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgeom._reprs import readable
from jaxgeom.analysis.fractions import fraction_interval
from jaxgeom.host.given import check_flags
from jaxgeom.study.describe import differences
from jaxgeom.study.layout import SEED
from jaxgeom.study.result import Study, check_studies, select

_FEWEST = 2
"""Networks from which a spread can be told."""
_FIELDS = "first", "second", "difference", "low", "high", "num"
_MOST_SHOWN = 8
_WORDS = "in the first", "in the second"


@readable
class StudyComparison(NamedTuple):
    """Means of two studies over their seeds, and differences with confidence intervals, variable by variable."""

    first: dict[str, np.ndarray]
    """Means in the first study, along the axes of ``dims``."""
    second: dict[str, np.ndarray]
    """Means in the second study."""
    difference: dict[str, np.ndarray]
    """Second minus first; NaN where nothing was measured."""
    low: dict[str, np.ndarray]
    """Lower ends of the confidence intervals; NaN where fewer than two networks were measured."""
    high: dict[str, np.ndarray]
    """Upper ends of the confidence intervals; NaN where fewer than two networks were measured."""
    num: dict[str, np.ndarray]
    """Pairs of networks that were measured in both studies; if not paired, those of the study that has fewer."""
    dims: dict[str, tuple[str, ...]]
    """Names of the axes of each variable."""
    coords: dict[str, np.ndarray]
    """Values along the axes that both studies have."""
    is_paired: bool
    """Whether networks of the same seed are compared with each other, which start from the same random numbers."""
    level: float
    """Confidence level of each interval, without a correction for their number."""
    settings: tuple[str, ...]
    """What differs in the settings, the code and the versions of the two, and what was left out, one line each."""

    def _note(self) -> str:
        if not isinstance(self.is_paired, bool) or not isinstance(self.settings, tuple):
            return "settings unknown"
        kind = "pairs of the same seed" if self.is_paired else "independent networks"
        return f"{kind}, {len(self.settings)} difference{'' if len(self.settings) == 1 else 's'} in settings"


def compare(
    first: Study, second: Study, *, over: str = SEED, level: float = 0.95, is_paired: bool | None = None
) -> StudyComparison:
    """Differences between two studies with confidence intervals, where their axes have the same values.

    Networks of one seed and one ``key`` of the study start from the same random numbers and have the same data, so
    that they are compared in pairs: Student's interval of the mean of their differences. Otherwise it is Welch's
    interval for two independent samples. Truth values, such as ``is_solved``, have Newcombe's intervals of differences
    of fractions (1998, Statistics in Medicine 17, pages 873 and 2635, method 10 of each), made of those of
    :func:`jaxgeom.fraction_interval`: they say something where all networks are alike, too. Intervals are not
    corrected for their number: of twenty at 95 %, one misses on average. Values that are NaN are left out, with their
    pairs.

    Args:
        first: a study, which may be unfinished.
        second: another one.
        over: the axis of repetitions, over which means are taken.
        level: probability with which an interval covers the true difference.
        is_paired: compare values of ``over`` with each other; by default if the studies have the same ``key`` and two
            of them or more in common.

    Raises:
        ValueError: for studies without repetitions, an axis that one of them alone has, or no value in common.
        TypeError: for anything but studies.

    Example:
        >>> import jaxgeom as jg
        >>> common = {"measure": {"regions": jg.study.exact_regions(jg.box(-1, 1))}, "inputs": 2, "progress": False}
        >>> narrow, wide = (jg.run_study({"width": width, "seed": range(20)}, **common) for width in (4, 8))
        >>> found = jg.study.compare(narrow, wide)
        >>> found.settings
        ('settings.width: 4 in the first, 8 in the second',)
        >>> bool(found.low["regions"][0] > 0)
        True
    """
    if is_paired is not None:
        check_flags(is_paired=is_paired)
    check_studies("compared", (first, second))
    if not 0 < level < 1:
        raise ValueError(f"the level of confidence is between 0 and 1, such as 0.95, but {level!r} was given.")
    if over == "step" or any(over not in study.axes for study in (first, second)):
        raise ValueError(
            f"studies are compared over an axis of repetitions that both have, but {over!r} was given, and they have "
            f"the axes {', '.join(first.axes) or 'none'}, and {', '.join(second.axes) or 'none'}."
        )
    lines = _differences(first.settings, second.settings)
    for study, other, place in ((first, second, 0), (second, first, 1)):
        for name in [name for name in study.coords if name not in other.coords]:
            settings = _settings(other)
            labels = {str(item): item for item in study.coords[name].tolist()}
            if name not in settings or str(settings[name]) not in labels:
                raise ValueError(
                    f"the axis {name!r} is one of the {('first', 'second')[place]} study alone: choose a value of it, "
                    f"jaxgeom.study.select(study, {name}={study.coords[name].tolist()[0]!r}), or give both the axis."
                )
            study = select(study, **{name: labels[str(settings[name])]})
        first, second = (study, second) if place == 0 else (first, study)
    common = {}
    for name in [name for name in first.coords if name != over]:
        common[name], line = _in_common(name, first.coords[name], second.coords[name])
        lines += line
    first, second = (select(study, **common) for study in (first, second))
    repeated, line = _in_common(over, first.coords[over], second.coords[over], may_differ=True)
    same_key = _key(first) is not None and _key(first) == _key(second)
    paired = same_key and len(repeated) >= _FEWEST if is_paired is None else is_paired
    if paired:
        if len(repeated) < _FEWEST:
            raise ValueError(
                f"pairs need two values of {over!r} that both studies have, but {repeated} are in common. Take "
                "is_paired=False, or more of them."
            )
        first, second = (select(study, **{over: repeated}) for study in (first, second))
        lines += line
    fields: dict[str, dict[str, np.ndarray]] = {name: {} for name in _FIELDS}
    dims: dict[str, tuple[str, ...]] = {}
    for name in [name for name in first.variables if name in second.variables]:
        dims_of = tuple(dim for dim in first.dims[name] if dim != over)
        a, b = (_samples(study, name, (over, *dims_of)) for study in (first, second))
        if a is None or b is None or a.shape[1:] != b.shape[1:]:
            lines.append(f"variable {name}: not of one shape in both, left out")
            continue
        dims[name] = dims_of
        truth = _is_truth(first.variables[name], second.variables[name])
        of_pairs, of_samples = (_paired_fractions, _fractions) if truth else (_paired, _welch)
        for field, array in (of_pairs if paired else of_samples)(a, b, level).items():
            fields[field][name] = array
    names = {**first.variables, **second.variables}
    lines += [
        f"variable {name}: {_WORDS[0] if name in first.variables else _WORDS[1]} alone, left out"
        for name in names
        if not (name in first.variables and name in second.variables)
    ]
    coords = {name: array for name, array in first.coords.items() if name != over}
    return StudyComparison(
        **fields, dims=dims, coords=coords, is_paired=bool(paired), level=level, settings=tuple(lines)
    )


def _samples(study: Study, name: str, dims: tuple[str, ...]) -> np.ndarray | None:
    """A variable as float64 with its axes in this order, repetitions first; None if it is no number or has others."""
    array, there = study.variables[name], study.dims[name]
    if sorted(there) != sorted(dims) or array.dtype.kind not in "biuf":
        return None
    return array.astype(np.float64).transpose([there.index(dim) for dim in dims])


def _paired(first: np.ndarray, second: np.ndarray, level: float) -> dict[str, np.ndarray]:
    is_there = ~np.isnan(first) & ~np.isnan(second)
    both = [np.where(is_there, array, np.nan) for array in (first, second)]
    num, mean, variance = _moments(both[1] - both[0])
    half = _quantile(num - 1, level) * np.sqrt(variance / np.maximum(num, 1))
    means = [_moments(array)[1] for array in both]
    return _interval(means[0], means[1], mean, half, num)


def _welch(first: np.ndarray, second: np.ndarray, level: float) -> dict[str, np.ndarray]:
    (num_a, mean_a, var_a), (num_b, mean_b, var_b) = _moments(first), _moments(second)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_a, of_b = var_a / num_a, var_b / num_b
        degrees = (of_a + of_b) ** 2 / (of_a**2 / (num_a - 1) + of_b**2 / (num_b - 1))
    degrees = np.where(of_a + of_b == 0, np.minimum(num_a, num_b) - 1, degrees)
    half = _quantile(degrees, level) * np.sqrt(of_a + of_b)
    return _interval(mean_a, mean_b, mean_b - mean_a, half, np.minimum(num_a, num_b))


def _is_truth(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether values are True or False; those of an unfinished study are 0, 1 and NaN."""
    arrays = first, second
    return any(array.dtype.kind == "b" for array in arrays) and all(
        array.dtype.kind == "b" or (np.isnan(array) | (array == 0) | (array == 1)).all() for array in arrays
    )


def _fractions(first: np.ndarray, second: np.ndarray, level: float) -> dict[str, np.ndarray]:
    (num_a, *a), (num_b, *b) = (_fraction(values, level) for values in (first, second))
    return _of_fractions(a, b, np.zeros(num_a.shape), np.minimum(num_a, num_b))


def _paired_fractions(first: np.ndarray, second: np.ndarray, level: float) -> dict[str, np.ndarray]:
    is_there = ~np.isnan(first) & ~np.isnan(second)
    (num, *a), (_, *b) = (_fraction(np.where(is_there, values, np.nan), level) for values in (first, second))
    yes_yes, yes_no, no_yes, no_no = (
        (is_there & (first == x) & (second == y)).sum(axis=0) for x, y in ((1, 1), (1, 0), (0, 1), (0, 0))
    )
    surplus = np.asarray(yes_yes * no_no - yes_no * no_yes, np.float64)
    surplus = np.where(surplus > 0, np.maximum(surplus - num / 2, 0), surplus)  # corrected for continuity
    scale = np.sqrt((yes_yes + yes_no) * (no_yes + no_no) * 1.0 * (yes_yes + no_yes) * (yes_no + no_no))
    return _of_fractions(a, b, surplus / np.where(scale > 0, scale, 1), num)


def _fraction(values: np.ndarray, level: float) -> tuple[np.ndarray, ...]:
    """Numbers of values that are not NaN, the fraction of ones, and the ends of its interval; NaN of fewer than two."""
    num = (~np.isnan(values)).sum(axis=0)
    found = fraction_interval((values == 1).sum(axis=0), num, confidence=level)
    low, high = (np.where(num >= _FEWEST, end, np.nan) for end in (found.low, found.high))
    return num, found.fraction, low, high


def _of_fractions(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], correlation: np.ndarray, num: np.ndarray
) -> dict[str, np.ndarray]:
    """Newcombe's interval from fractions, each with the ends of its own."""
    (a, low_a, high_a), (b, low_b, high_b) = first, second

    def distance(of_b: np.ndarray, of_a: np.ndarray) -> np.ndarray:
        squared: np.ndarray = of_b**2 - 2 * correlation * of_b * of_a + of_a**2
        root: np.ndarray = np.sqrt(np.maximum(squared, 0))
        return root

    ends = {"low": b - a - distance(b - low_b, high_a - a), "high": b - a + distance(high_b - b, a - low_a)}
    return {"first": a, "second": b, "difference": b - a, **ends, "num": num}


def _interval(
    first: np.ndarray, second: np.ndarray, difference: np.ndarray, half: np.ndarray, num: np.ndarray
) -> dict[str, np.ndarray]:
    ends = {"low": difference - half, "high": difference + half}
    return {"first": first, "second": second, "difference": difference, **ends, "num": num}


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of values that are not NaN along the first axis, their means, and their variances."""
    is_there = ~np.isnan(values)
    num = is_there.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(is_there, values, 0.0).sum(axis=0) / num
        variance = (np.where(is_there, values - mean, 0.0) ** 2).sum(axis=0) / np.where(num > 1, num - 1, np.nan)
    return num, mean, variance


def _quantile(degrees: np.ndarray, level: float) -> np.ndarray:
    """Student's quantile of an interval with two sides."""
    from scipy.special import stdtrit  # takes a moment to import

    found: np.ndarray = np.asarray(stdtrit(np.maximum(degrees, 1e-9), (1 + level) / 2))
    return np.where(degrees > 0, found, np.nan)


def _in_common(
    name: str, first: np.ndarray, second: np.ndarray, may_differ: bool = False
) -> tuple[list[Any], list[str]]:
    """The values that both have, in the first one's order, and a line if others are left out."""
    there = set(second.tolist())
    found = [value for value in first.tolist() if value in there]
    if not found and not may_differ:
        raise ValueError(
            f"the studies have no value of the axis {name!r} in common: {_some(first)} in the first, {_some(second)} "
            "in the second. Select one value in each to compare these."
        )
    out = [len(array) - len(found) for array in (first, second)]
    left = [f"{num} values {word}" for num, word in zip(out, _WORDS, strict=True) if num]
    return found, [f"{name}: {len(found)} values in common, left out are {' and '.join(left)}"] if left else []


def _some(values: np.ndarray) -> str:
    listed = ", ".join(map(str, values.tolist()[:_MOST_SHOWN]))
    return listed + (", …" if len(values) > _MOST_SHOWN else "")


def _key(study: Study) -> Any:
    return study.settings.get("description", {}).get("key")


def _settings(study: Study) -> dict[str, Any]:
    """What a study has for settings that are no axes there, the argument ``batch_size`` among them."""
    described: dict[str, Any] = study.settings.get("description", {})
    return {name: described[name] for name in ("batch_size",) if name in described} | dict(
        described.get("settings", {})
    )


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Settings and versions that differ, axes left aside."""
    plain = [
        json.loads(json.dumps({name: s.get(name, {}) for name in ("description", "versions")})) for s in (first, second)
    ]
    axes = [one["description"].pop("axes", {}) for one in plain]
    for one in plain:
        one["description"].pop("chunk_size", None)
    for one, other in ((0, 1), (1, 0)):  # a setting of one that is an axis of the other is matched by its value
        for name in axes[one]:
            plain[other]["description"].get("settings", {}).pop(name, None)
    if any("batch_size" in one for one in axes):
        for one in plain:
            one["description"].pop("batch_size", None)
    found = differences(plain[0].pop("description"), plain[1].pop("description"), words=_WORDS)
    for name in axes[0]:
        if isinstance(axes[0][name], dict) and isinstance(axes[1].get(name), dict):  # functions, by their names
            both = [{label: axis[name][label] for label in axes[0][name] if label in axes[1][name]} for axis in axes]
            found += differences(both[0], both[1], f"axes.{name}", words=_WORDS)
    return found + differences(plain[0]["versions"], plain[1]["versions"], "versions", words=_WORDS)
