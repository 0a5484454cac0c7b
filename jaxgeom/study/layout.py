"""[host] The members of a study: every combination of its axes, grouped by the program that they share.

Members are numbered in C order over the axes. Networks of one depth whose hidden widths round up to the same powers of
two share a program, as in :func:`jaxgeom.fit_architectures`; numbers are arrays and never split a group, all else
(strings, functions, whatever is named as static) does.
"""

import operator
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from jaxgeom.host.names import did_you_mean
from jaxgeom.study.demand import MEMBER_BYTES, check_layers, check_size
from jaxgeom.training.population import architecture_groups

MOST_SHOWN = 20
"""Values of an axis that a message lists."""

ARCHITECTURE = ("width", "depth", "hidden")
"""Axes that decide the hidden layers."""
SEED = "seed"
PARTS = ("data", "optimizer", "batch_size")
"""Arguments of a study that may be axes: each of their values has programs of its own."""


class Layout(NamedTuple):
    """Axes and fixed settings."""

    coords: dict[str, np.ndarray]
    """Values along each axis, in order: numbers, or names of values that are not numbers."""
    values: dict[str, list[Any]]
    """The values themselves."""
    fixed: dict[str, Any]
    """Settings with a single value, which are no axes."""
    is_traced: dict[str, bool]
    """Whether an axis is an array of numbers, for which nothing is compiled anew."""
    special: tuple[str, ...]
    """The seed, and the names of axes or settings that decide the architecture."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(len, self.values.values()))

    @property
    def num_members(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


class Splits(NamedTuple):
    """A value of the axis "data" that has a second split of its own."""

    train: Any
    test: Any


class Group(NamedTuple):
    """Members that share a program."""

    hidden: tuple[int, ...] | None
    """Units of each hidden layer, of the widest member; None without architectures."""
    static: dict[str, Any]
    """Settings that all members share."""
    members: Int[np.ndarray, " members"]
    """Their numbers, narrow networks first."""
    widths: Int[np.ndarray, "members hidden"] | None
    """Hidden widths of each; None if all are alike."""
    seed: Int[np.ndarray, " members"]
    traced: dict[str, np.ndarray]
    """Settings that are numbers, one a member."""


def layout_of(
    axes: Mapping[str, Any],
    static: Sequence[str] = (),
    *,
    has_architecture: bool = True,
    member_bytes: int = MEMBER_BYTES,
) -> Layout:
    """Sort axes from fixed settings, and check them.

    Args:
        axes: values by name, and dictionaries of values for those with names of their own.
        static: axes of numbers that must not be arrays.
        has_architecture: whether width, depth and hidden mean hidden layers, and are not axes like others.
        member_bytes: what the host will hold for each network.

    Raises:
        TypeError: for axes that are no dictionary, or static that is no list of names.
        ValueError: for empty axes, repeated values, values that become one number, sizes below one, architectures given
            twice, or more networks than there is memory for.
    """
    if not isinstance(axes, Mapping) or not all(isinstance(name, str) for name in axes):
        raise TypeError(f"axes must be a dictionary of values by name, but {axes!r} was given.")
    if isinstance(static, str) or not np.iterable(static) or not all(isinstance(name, str) for name in static):
        raise TypeError(f"static must be a list of names of axes, but {static!r} was given.")
    fixed = {name: given for name, given in axes.items() if _is_single(name, given)}
    many = {name: _sized(given) for name, given in axes.items() if name not in fixed}
    check_size({name: len(given) for name, given in many.items()}, member_bytes)
    for name, given in many.items():
        _check_names(name, given)
    values = {name: _listed(name, given) for name, given in many.items()}
    unknown = sorted(set(static) - set(values))
    if unknown:
        raise ValueError(
            f"static names {unknown}, which are no axes; the axes are {list(values)}.{did_you_mean(unknown[0], values)}"
        )
    every = values | {name: [item] for name, item in fixed.items()}
    if has_architecture:
        _check_architecture(every)
    for seed in every.get(SEED, ()):
        if not _is_integer(seed) or not 0 <= seed < 2**32:
            raise ValueError(f"seeds are integers from 0 to 2³² - 1, but {seed!r} was given.")
    for size in every.get("batch_size", ()):
        if size is not None and not (_is_integer(size) and 1 <= size < 2**31):
            raise ValueError(f"batch sizes are positive integers, or None for the full batch, but {size!r} was given.")
    special = (SEED, *(name for name in ARCHITECTURE if has_architecture and name in every))
    is_traced = {
        name: name not in (*static, *special, *PARTS) and all(isinstance(item, Real) for item in listed)
        and not any(isinstance(item, bool) for item in listed)
        for name, listed in values.items()
    }  # fmt: skip
    for name, traced in is_traced.items():
        if traced:
            _check_stays_apart(name, values[name])
    coords = {
        name: np.array(list(many[name])) if isinstance(many[name], Mapping) else _coordinate(listed)
        for name, listed in values.items()
    }
    return Layout(coords, values, fixed, is_traced, special)


def with_splits(axes: Mapping[str, Any], test: Any) -> tuple[Mapping[str, Any], Any]:
    """Axes and second split of a study; a dictionary of second splits goes into the axis "data", name by name.

    Raises:
        ValueError: if the names are not those of the axis.
    """
    if not isinstance(test, Mapping):
        return axes, test
    given = axes.get("data") if isinstance(axes, Mapping) else None
    data = dict(given) if isinstance(given, Mapping) else {label_of(item): item for item in given or ()}
    if set(data) != set(test):
        raise ValueError(
            f"a dictionary of second splits has the names of the axis 'data', {', '.join(data) or 'which is missing'}, "
            f"but {', '.join(map(str, test)) or 'none'} was given."
        )
    return {**axes, "data": {name: Splits(part, test[name]) for name, part in data.items()}}, None


def groups_of(layout: Layout, *, is_padded: bool = True) -> list[Group]:
    """The members by the program that they share, in a fixed order.

    Args:
        layout: axes and settings.
        is_padded: whether networks of similar widths may share a program; otherwise those of one architecture do.
    """
    num = layout.num_members
    # Without an axis there is one member, and NumPy unravels nothing.
    indices = np.unravel_index(np.arange(num), layout.shape) if layout.shape else ()
    places = dict(zip(layout.values, indices, strict=True))
    of_member = {name: [listed[i] for i in places[name]] for name, listed in layout.values.items()}
    of_member |= {name: [item] * num for name, item in layout.fixed.items()}
    has_architecture = len(layout.special) > 1
    hidden = _hidden(of_member, num) if has_architecture else [()] * num
    static_names = [n for n, traced in layout.is_traced.items() if not traced and n not in layout.special]
    buckets: dict[tuple[Any, ...], list[int]] = {}
    for member in range(num):
        apart = tuple(int(places[name][member]) for name in static_names)
        buckets.setdefault(apart if is_padded else (*apart, hidden[member]), []).append(member)
    found = []
    for bucket in buckets.values():
        for some in architecture_groups([(1, *hidden[member], 1) for member in bucket]):
            members = np.array(bucket)[some]
            widths = np.array([hidden[member] for member in members], np.int32).reshape(len(members), -1)
            order = np.lexsort((members, *widths.T[::-1]))
            members, widths = members[order], widths[order]
            first = members[0]
            fixed = {n: v for n, v in layout.fixed.items() if n not in layout.special}
            found.append(
                Group(
                    tuple(widths.max(axis=0).tolist()) if has_architecture else None,
                    fixed | {name: of_member[name][first] for name in static_names},
                    members,
                    None if (widths == widths[0]).all() else widths,
                    np.array([of_member[SEED][m] for m in members] if SEED in of_member else [0] * len(members)),
                    {
                        name: _numbers(layout.values[name])[places[name][members]]
                        for name, traced in layout.is_traced.items()
                        if traced
                    },
                )
            )
    return found


def _hidden(of_member: Mapping[str, list[Any]], num: int) -> list[tuple[int, ...]]:
    if "hidden" in of_member:
        return [tuple(map(operator.index, item)) for item in of_member["hidden"]]
    depth = of_member.get("depth", [1] * num)
    return [(operator.index(width),) * d for width, d in zip(of_member["width"], depth, strict=True)]


def _check_architecture(every: Mapping[str, list[Any]]) -> None:
    if "hidden" in every and ("width" in every or "depth" in every):
        raise ValueError("architectures are given by `width` and `depth`, or by `hidden`, but not by both.")
    if "depth" in every and "width" not in every:
        raise ValueError("`depth`, the number of hidden layers, needs a `width`.")
    for name in ("width", "depth"):
        for item in every.get(name, ()):
            if not _is_integer(item) or item < 1:
                raise ValueError(f"{name} must be positive integers, but {item!r} was given.")
    for item in every.get("hidden", ()):
        if not _is_architecture(item):
            raise ValueError(f"`hidden` takes tuples of positive integers, one for each layer, but {item!r} was given.")
    check_layers(max(map(int, [0, *every.get("depth", ()), *map(len, every.get("hidden", ()))])))


def _is_architecture(item: Any) -> bool:
    return isinstance(item, tuple | list) and all(_is_integer(width) and width >= 1 for width in item)


def _is_integer(item: Any) -> bool:
    return isinstance(item, int | np.integer) and not isinstance(item, bool)


def _is_single(name: str, given: Any) -> bool:
    is_part = hasattr(given, "_fields")  # a data set or an optimizer
    return isinstance(given, str) or not np.iterable(given) or is_part or (name == "hidden" and _is_architecture(given))


def _check_names(name: str, given: Any) -> None:
    """Raise a ValueError for a dictionary that is no axis, and for values that have no names but need some."""
    if isinstance(given, Mapping):
        if name in (SEED, *ARCHITECTURE) or not all(isinstance(label, str) and label for label in given):
            raise ValueError(
                f"the axis {name!r} takes "
                f"{'a list' if name in (SEED, *ARCHITECTURE) else 'texts for the names of its values'}, but "
                f"{given!r} was given."
            )
        return
    nameless = [item for item in given if _has_no_name(name, item)] if isinstance(given, list | tuple) else []
    if nameless:
        raise ValueError(
            f"a value of the axis {name!r} has no name that says which it is: {str(nameless[0])[:80]}. Give each a "
            f"name of its own: {{{name!r}: {{'first': …, 'second': …}}}}."
        )


def _has_no_name(name: str, item: Any) -> bool:
    is_part = name in PARTS and isinstance(item, tuple)
    is_lambda = name in PARTS and getattr(item, "__name__", "") == "<lambda>"
    return is_part or is_lambda or " at 0x" in label_of(item)


def _sized(given: Any) -> Any:
    try:
        return given if len(given) else []
    except OverflowError:  # of a range that is longer than len can say: too long in any case
        return range(2**62)
    except TypeError:
        return list(given)


def _listed(name: str, given: Any) -> list[Any]:
    """The values of an axis as Python objects."""
    has_names = isinstance(given, Mapping)
    given = list(given.values()) if has_names else given
    listed = np.asarray(given).tolist() if hasattr(given, "dtype") else list(given)
    listed = [item.item() if isinstance(item, np.generic) else item for item in listed]
    if not listed or (not has_names and len(set(map(label_of, listed))) < len(listed)):
        raise ValueError(f"the axis {name!r} needs at least one value, all different, but {_few(listed)} was given.")
    numbers = [item for item in listed if isinstance(item, bool | Real)]
    if any(number != number for number in numbers):
        raise ValueError(f"the axis {name!r} needs numbers, but {_few(listed)} with NaN was given.")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"the axis {name!r} needs different values, but some of {_few(listed)} are the same number.")
    return listed


def _check_stays_apart(name: str, listed: list[Any]) -> None:
    """Raise unless numbers are still different ones, and as large, in the type in which they are computed."""
    if all(map(_is_integer, listed)) and not all(-(2**31) <= item < 2**31 for item in listed):
        raise ValueError(
            f"the axis {name!r} is an array of int32, from -2³¹ to 2³¹ - 1, but {_few(listed)} was given. Write real "
            f"numbers (1.0) for float32, or name it in static=[{name!r}], for Python's integers and a program for each."
        )
    with np.errstate(all="ignore"):
        numbers = _numbers(listed).tolist()
    tiny = np.finfo(np.float32).tiny  # smaller numbers are taken for zero by compiled programs
    lost = [
        given
        for given, number in zip(listed, numbers, strict=True)
        if (np.isinf(number) and not np.isinf(np.float64(given))) or (given != 0 and abs(number) < tiny)
    ]
    if lost:
        raise ValueError(
            f"the axis {name!r} is an array of float32, in which {_few(lost)} becomes zero or infinite. Take values "
            "between 1.2e-38 and 3.4e38 in size."
        )
    first: dict[float, Any] = {}
    for given, number in zip(listed, numbers, strict=True):
        if number in first:
            raise ValueError(
                f"the axis {name!r} is an array of float32, in which {first[number]!r} and {given!r} are one number. "
                f"Take values that differ in the first seven digits, or name it in static=[{name!r}]."
            )
        first[number] = given


def _few(listed: list[Any]) -> str:
    if len(listed) <= MOST_SHOWN:
        return str(listed)
    return f"{str(listed[:10])[:-1]}, …, {listed[-1]!r}] ({len(listed):,} values)"


def _numbers(listed: list[Any]) -> np.ndarray:
    return np.array(listed, np.int32 if all(map(_is_integer, listed)) else np.float32)


def _coordinate(listed: list[Any]) -> np.ndarray:
    if all(isinstance(item, bool | Real) for item in listed):
        found = np.array(listed)
        if found.dtype.kind in "biuf" and len(np.unique(found)) == len(listed):
            return found  # else integers that NumPy has no type for
    return np.array([label_of(item) for item in listed])


def label_of(item: Any) -> str:
    """The coordinate of a value that is no number."""
    if isinstance(item, tuple | list):
        return "-".join(map(label_of, item))
    return getattr(item, "__name__", None) or str(item)
