"""[edge] Comparisons of studies as text, and as CSV."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxgeom.host.files import whole_file
from jaxgeom.study.compare import StudyComparison

MOST_LINES = 40
"""Lines that are printed for one variable."""
_LEAST_WIDTH = 40
"""Characters of the first column."""
_NUMBERS = ("first", "second", "difference", "low", "high", "num")


def text_of(found: StudyComparison) -> str:
    """What a comparison found, at the last common step, in lines."""
    kind = "pairs of networks of the same seed" if found.is_paired else "independent networks"
    lines = ["settings that differ:", *(f"  {line}" for line in found.settings or ("none",)), ""]
    last = found.coords["step"][-1] if "step" in found.coords and len(found.coords["step"]) else None
    at = "" if last is None else f"step {last}: "
    lines.append(f"{at}means, and the second minus the first with {found.level:.0%} intervals, over {kind}")
    equal = []
    for name, dims in found.dims.items():
        if set(dims) <= set(found.coords):
            rows = [row for row in rows_of(found, name) if row[0].get("step", last) == last]
            if all(numbers[2:5] == [0, 0, 0] for _, numbers in rows):
                equal.append(name)
                continue
            shown = [(_where(place), numbers) for place, numbers in rows[:MOST_LINES]]
            width = max(_LEAST_WIDTH, *(len(where) for where, _ in shown))
            lines += ["", name, *(_line(where.ljust(width), numbers) for where, numbers in shown)]
            lines += [f"  … and {len(rows) - MOST_LINES} more"] if len(rows) > MOST_LINES else []
    lines += ["", f"the same in both: {', '.join(equal)}"] if equal else []
    return "\n".join(lines)


def rows_of(found: StudyComparison, name: str) -> Iterator[tuple[dict[str, object], list[float]]]:
    """For each place of a variable its coordinates and the numbers of the comparison."""
    dims = found.dims[name]
    for index in np.ndindex(found.difference[name].shape):
        place = {
            dim: found.coords[dim].tolist()[i] if dim in found.coords else i for dim, i in zip(dims, index, strict=True)
        }
        yield place, [getattr(found, field)[name][index].item() for field in _NUMBERS]


def write_csv(found: StudyComparison, path: Path) -> None:
    """A comparison as CSV, one line for each place of each variable; whole or not at all."""
    names = list(dict.fromkeys(dim for dims in found.dims.values() for dim in dims))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["variable", *names, *_NUMBERS])
    for variable in found.dims:
        for place, numbers in rows_of(found, variable):
            writer.writerow([variable, *(place.get(name, "") for name in names), *numbers])
    with whole_file(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def _where(place: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in place.items() if name != "step") or "all"


def _line(where: str, numbers: list[float]) -> str:
    first, second, difference, low, high, num = numbers
    interval = f"[{low:+.4g}, {high:+.4g}]"
    return f"  {where} {first:>10.4g} {second:>10.4g}  {difference:>+10.4g} {interval:<24} {num:.0f} networks"
