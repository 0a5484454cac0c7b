"""[edge] Values in files that describe studies: whether they are of the kind that is needed there."""

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from jaxgeom.host.names import did_you_mean

LINE = 80
"""Characters of a value that a message shows."""
DTYPES = ("float32", "bfloat16", "float16", "float64")


def check_setting(where: str, value: Any, parameter: inspect.Parameter) -> None:
    """Raise a ValueError unless a function can take a value from a file."""
    kind, kinds = parameter.annotation, get_args(parameter.annotation)
    if kind is bool:
        wanted, is_right = "true or false", isinstance(value, bool)
    elif kind is int:
        wanted, is_right = "an integer", is_integer(value)
    elif kind is str or str in kinds:
        many = parameter.name == "activation" and is_list(value)
        items = value if many else [value]
        if float in kinds:
            wanted, is_right = "a text or a number", all(isinstance(item, str) or is_number(item) for item in items)
        else:
            wanted, is_right = "a text", all(isinstance(item, str) for item in items)
    elif parameter.name.endswith("dtype"):
        wanted, is_right = f"one of {', '.join(DTYPES)}", value in DTYPES
    elif isinstance(parameter.default, tuple):
        num = len(parameter.default)
        wanted, is_right = (
            f"a list of {num} numbers",
            is_list(value) and len(value) == num and all(map(is_number, value)),
        )
    elif parameter.name in ("start", "stop", "points"):
        wanted, is_right = "a list of points, each a list of as many numbers", is_array(value)
    elif parameter.name == "learning_rate":
        wanted, is_right = "a number that is not negative", is_number(value) and value >= 0
    else:
        wanted, is_right = "a finite number", is_number(value)
    if not is_right:
        raise ValueError(f"{where} needs {wanted}, but {shown(value)} was given.")


def named(where: str, name: Any, names: Sequence[str], room: Any) -> Any:
    if not isinstance(name, str) or name not in names:
        near = did_you_mean(name, names)
        raise ValueError(f"{where} must be one of {', '.join(names)}, but {shown(name)} was given.{near}")
    return getattr(room, name)


def check_keys(where: str, table: Any, allowed: Sequence[str], needed: Sequence[str] = ()) -> None:
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} must be a table, but {shown(table)} was given.")
    unknown = [name for name in table if name not in allowed]
    if unknown:
        near = did_you_mean(unknown[0], allowed)
        raise ValueError(
            f"{where} has the unknown key {unknown[0]!r}; allowed are {', '.join(allowed) or 'none'}.{near}"
        )
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(f"{where} needs {', '.join(missing)}; allowed are {', '.join(allowed)}.")


def is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    return is_real(value) and math.isfinite(value)


def is_array(value: Any) -> bool:
    """Whether nested lists are an array of finite numbers."""
    if not is_list(value):
        return is_number(value)
    lengths = {len(item) if is_list(item) else -1 for item in value}
    return len(lengths) == 1 and all(map(is_array, value))


def shown(value: Any) -> str:
    """A value in one line that is not long."""
    text = repr(value)
    return text if len(text) <= LINE else f"{text[: LINE - 3]}…"
