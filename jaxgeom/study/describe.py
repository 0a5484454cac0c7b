"""[host] What a study is, as plain JSON: so that two descriptions can be compared, and their differences named.

Numbers, strings and collections are described by themselves, long arrays by a digest. A function is described by its
name, a digest of its bytecode, and what it holds: defaults, closed-over values, and the globals that it reads.
Functions of JAX, Flax, Optax, NumPy and jaxgeom go by their names and what they hold, since their versions are
recorded beside the description.
"""

import dataclasses
import dis
import functools
import hashlib
import json
import platform
import re
import types
from collections.abc import Iterator, Mapping, Sequence, Set
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PACKAGES = ("jaxgeom", "jax", "jaxlib", "flax", "optax", "numpy")
"""Whose functions are known by name and version."""
MOST_LISTED = 64
"""Arrays of more numbers are described by a digest."""
ABSENT = "(absent)"


def described(value: Any) -> Any:
    """A value as JSON, the same for equal values in every process."""
    return _described(value, ())


def digest(description: Any) -> str:
    """SHA-256 of a description."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def differences(first: Any, second: Any, path: str = "") -> list[str]:
    """Where two descriptions differ, each as one line."""
    if isinstance(first, dict) and isinstance(second, dict):
        names = [*first, *(name for name in second if name not in first)]
        return [
            line
            for name in names
            for line in differences(
                first.get(name, ABSENT), second.get(name, ABSENT), f"{path}.{name}" if path else str(name)
            )
        ]
    if first == second:
        return []
    return [f"{path}: {_short(first)} there, {_short(second)} here"]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _short(value: Any) -> str:
    text = value if value == ABSENT else json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _described(value: Any, above: tuple[int, ...]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if id(value) in above:
        return "(itself)"
    inner = functools.partial(_described, above=(*above, id(value)))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return {"key": inner(jax.random.key_data(value)), "impl": str(jax.random.key_impl(value))}
    if isinstance(value, np.ndarray | jax.Array):
        return _array(np.asarray(value))
    if isinstance(value, range):
        return _array(np.asarray(value))
    if isinstance(value, Mapping):
        return {str(name): inner(item) for name, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {
            "type": _name(type(value)),
            **{name: inner(item) for name, item in zip(value._fields, value, strict=True)},
        }
    if isinstance(value, Sequence):
        return [inner(item) for item in value]
    if isinstance(value, Set):
        return sorted((inner(item) for item in value), key=json.dumps)
    if isinstance(value, functools.partial):
        return {"partial": inner(value.func), "args": inner(value.args), "keywords": inner(value.keywords)}
    if isinstance(value, types.FunctionType):
        return _function(value, inner)
    if isinstance(value, types.MethodType):
        return {"method": value.__name__, "of": inner(value.__self__)}
    if isinstance(value, types.ModuleType):
        return value.__name__
    if not isinstance(value, type) and hasattr(value, "__wrapped__"):  # jit, cache and the like
        return inner(value.__wrapped__)
    if hasattr(value, "__qualname__") or hasattr(value, "__name__"):
        return _name(value)
    if dataclasses.is_dataclass(value):
        fields = {field.name: inner(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": _name(type(value)), **fields}
    if hasattr(value, "__dict__"):
        return {"type": _name(type(value)), **{name: inner(item) for name, item in vars(value).items()}}
    return {"type": _name(type(value)), "value": re.sub(r" at 0x[0-9a-f]+", "", repr(value))}


def _array(array: np.ndarray) -> Any:
    if array.size <= MOST_LISTED:
        return array.tolist()
    content = repr(array.tolist()).encode() if array.dtype.hasobject else np.ascontiguousarray(array).tobytes()
    return {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": hashlib.sha256(content).hexdigest()}


def _name(value: Any) -> str:
    name = getattr(value, "__qualname__", None) or value.__name__
    return f"{getattr(value, '__module__', None) or 'builtins'}.{name}"


def _function(function: types.FunctionType, inner: functools.partial) -> Any:
    closed = dict(zip(function.__code__.co_freevars, map(_content, function.__closure__ or ()), strict=True))
    held = closed | dict(enumerate(function.__defaults__ or ())) | (function.__kwdefaults__ or {})
    is_known = (function.__module__ or "").split(".")[0] in PACKAGES
    if is_known:
        # What a library's function defaults to is the library's; what it closes over was given to it.
        return {"function": _name(function), **{name: inner(item) for name, item in closed.items()}}
    read = {name: function.__globals__[name] for name in _globals(function.__code__) if name in function.__globals__}
    return {
        "function": _name(function),
        "code": hashlib.sha256(repr(_code(function.__code__)).encode()).hexdigest()[:16],
        **{str(name): inner(item) for name, item in (read | held).items()},
    }


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _code(code: types.CodeType) -> tuple:
    constants = tuple(
        _code(item)
        if isinstance(item, types.CodeType)
        else sorted(map(repr, item))
        if isinstance(item, frozenset)
        else item
        for item in code.co_consts
    )
    return code.co_code, code.co_names, code.co_varnames, constants


def _globals(code: types.CodeType) -> Iterator[str]:
    """Names of the globals that a function reads, its inner functions included."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for item in code.co_consts:
        if isinstance(item, types.CodeType):
            yield from _globals(item)
