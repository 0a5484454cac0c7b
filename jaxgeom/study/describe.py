"""[host] What a study is, as plain JSON: so that two descriptions can be compared, and their differences named.

Numbers, strings and collections are described by themselves, long arrays by a digest. A function is described by its
name, digests of its bytecode and source, and all that it reads: defaults, closed-over values, globals, attributes of
modules and modules that it imports; an object by what it holds and by the code of its class. Functions and classes of
installed packages go by their names and what they hold, since versions are recorded beside the description.

What a function reads from files, from the environment or by names that it makes up while it runs is not described.
"""

import collections
import dataclasses
import enum
import functools
import hashlib
import json
import logging
import math
import re
import sys
import threading
import types
import weakref
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgeom.study.code import Reads, code_digest, imported, reads_of, source_digest
from jaxgeom.study.versions import package_of

LINE = 80
"""Characters of a value that a message shows."""

MOST_LISTED = 64
"""Arrays of more numbers are described by a digest."""
ABSENT = "(absent)"
_PLAIN = (dict, list, tuple, set, frozenset, types.MappingProxyType, collections.OrderedDict, range)
_NO_NUMBERS: tuple[Any, ...] = (weakref.ref, weakref.WeakKeyDictionary, weakref.WeakValueDictionary, logging.Logger)
_NO_NUMBERS += (threading.Event, type(threading.Lock()), type(threading.RLock()), type(sys.__stdout__))
"""Types whose objects a program may hold for reasons other than numbers; they go by their types."""
_OF_EVERY_CLASS = {"__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__firstlineno__", "_abc_impl"}
_OF_EVERY_CLASS |= {"__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__match_args__"}
_OF_EVERY_CLASS |= {"__static_attributes__", "__abstractmethods__", "__dataclass_fields__", "__parameters__"}
_OF_EVERY_CLASS |= {"__orig_bases__", "__classdictcell__", "__type_params__"}


class Found(NamedTuple):
    """What was met on the way through a value."""

    packages: set[str]
    """Installed packages whose functions and classes go by their names."""
    unknown: list[str]
    """Sentences on what cannot be described."""


class _Walk(NamedTuple):
    found: Found
    above: tuple[int, ...]
    """Identities of the values around this one."""
    described: dict[Any, Any]
    """Functions, classes and attributes of modules that were described before, which are described once."""


def described(value: Any, found: Found | None = None) -> Any:
    """A value as JSON, the same for equal values in every process.

    Args:
        value: anything.
        found: gets the packages that were met, and what cannot be described.
    """
    return _described(value, _Walk(found or Found(set(), []), (), {}))


def digest(description: Any) -> str:
    """SHA-256 of a description."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def differences(
    first: Any, second: Any, path: str = "", *, by_source: bool = False, words: tuple[str, str] = ("there", "here")
) -> list[str]:
    """Where two descriptions differ, each as one line.

    Args:
        first: a description.
        second: another one.
        path: where they stand.
        by_source: compare code by its source where both have it, since bytecode depends on the version of Python;
            otherwise by its bytecode, since sources differ in comments.
        words: where the first one is, and the second one.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        names = [*first, *(name for name in second if name not in first)]
        if "source" in first and "source" in second and "code" in first:
            names = [name for name in names if name != ("code" if by_source else "source")]
        return [
            line
            for name in names
            for line in differences(
                first.get(name, ABSENT),
                second.get(name, ABSENT),
                f"{path}.{name}" if path else str(name),
                by_source=by_source,
                words=words,
            )
        ]
    if json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True):
        return []
    return [f"{path}: {_short(first)} {words[0]}, {_short(second)} {words[1]}"]


def _short(value: Any) -> str:
    text = value if value == ABSENT else json.dumps(value)
    return text if len(text) <= LINE else text[: LINE - 3] + "…"


def _described(value: Any, walk: _Walk) -> Any:
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, enum.Enum)):
        return value if type(value) in (bool, int, str, type(None)) else [_name(type(value)), repr(value)]
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, types.ModuleType):
        return _module(value, walk, None)
    if isinstance(value, type):
        return _class(value, walk)
    if id(value) in walk.above:
        return "(itself)"
    walk = walk._replace(above=(*walk.above, id(value)))
    inner = functools.partial(_described, walk=walk)
    if isinstance(value, types.FunctionType):
        return _function(value, walk)
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return inner(value.item())
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return {"key": inner(jax.random.key_data(value)), "impl": str(jax.random.key_impl(value))}
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _array(np.asarray(value), inner)
    if isinstance(value, range):
        return _array(np.asarray(value), inner)
    if isinstance(value, enum.Enum):
        return {"enum": f"{_name(type(value))}.{value.name}", "value": inner(value.value)}
    if isinstance(value, functools.partial):
        return {"partial": inner(value.func), "args": inner(value.args), "keywords": inner(value.keywords)}
    if isinstance(value, types.MethodType):
        return {"method": inner(value.__func__), "of": inner(value.__self__)}
    if isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType | np.ufunc | type(str.join)):
        return _builtin(value, walk)
    if isinstance(value, staticmethod | classmethod):
        return {"type": type(value).__name__, "function": inner(value.__func__)}
    if isinstance(value, property):
        return {"property": [inner(value.fget), inner(value.fset), inner(value.fdel)]}
    if isinstance(value, types.GetSetDescriptorType | types.MemberDescriptorType):
        return {"type": type(value).__name__, "name": value.__name__}
    if isinstance(value, _NO_NUMBERS):
        return {"type": _name(type(value))}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _named({"type": inner(type(value))}, dict(zip(value._fields, value, strict=False)), inner)
    if type(value) in _PLAIN:
        return _collection(value, inner)
    return _object(value, walk)


def _array(array: np.ndarray, inner: Any) -> Any:
    about = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if array.dtype.hasobject:
        return about | {"values": [inner(item) for item in array.ravel().tolist()]}
    if array.size <= MOST_LISTED:
        return about | {"values": np.vectorize(inner, otypes=[object])(array).tolist() if array.size else []}
    return about | {"sha256": hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()}


def _collection(value: Any, inner: Any) -> Any:
    if isinstance(value, Mapping):
        if all(isinstance(name, str) for name in value):
            return {name: inner(item) for name, item in value.items()}
        return {"items": [[inner(name), inner(item)] for name, item in value.items()]}
    if isinstance(value, Set):
        return sorted((inner(item) for item in value), key=json.dumps)
    return [inner(item) for item in value]


def _object(value: Any, walk: _Walk) -> Any:
    """Any other object: its class, its content as a collection or array, and its attributes."""
    inner = functools.partial(_described, walk=walk)
    about = {"type": inner(type(value))}
    if hasattr(value, "__wrapped__") and package_of(type(value).__module__):  # jit, cache and the like
        rules = {
            n: v for n, v in getattr(value, "__dict__", {}).items() if n in ("jvp", "fwd", "bwd", "nondiff_argnums")
        }
        return _named(about | {"of": inner(value.__wrapped__)}, rules, inner)
    if isinstance(value, float | bytes | complex):
        return about | {"value": repr(value)}
    if isinstance(value, Mapping):
        about["items"] = _collection(dict(value), inner)
    elif isinstance(value, Sequence | collections.deque):
        about["items"] = [inner(item) for item in value]
    elif isinstance(value, Set):
        about["items"] = _collection(set(value), inner)
    elif hasattr(value, "__array__"):
        return about | {"array": _array(np.asarray(value), inner)}
    slots = [name for cls in type(value).__mro__ for name in _slots(cls) if hasattr(value, name)]
    held = {name: getattr(value, name) for name in slots}
    if dataclasses.is_dataclass(value):
        held |= {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if hasattr(value, f.name)}
    held |= {name: item for name, item in getattr(value, "__dict__", {}).items() if not _is_cached(value, name)}
    if held or "items" in about or (hasattr(value, "__dict__") and package_of(type(value).__module__) is None):
        return _named(about, held, inner)
    try:
        rebuilt = value.__reduce_ex__(2)
    except Exception:
        text = repr(value)
        if re.search(r" at 0x[0-9a-f]+", text):
            walk.found.unknown.append(f"an object of type {_name(type(value))} shows nothing of what it holds")
        return about | {"value": re.sub(r" at 0x[0-9a-f]+", "", text)}
    if isinstance(rebuilt, str):
        return about | {"value": rebuilt}
    return about | {"state": [inner(item) for item in rebuilt[1:3]]}


def _is_cached(value: Any, name: str) -> bool:
    """Whether an attribute is the remembered value of a property, there or not there by chance."""
    return isinstance(getattr(type(value), name, None), functools.cached_property)


def _slots(cls: type) -> Sequence[str]:
    slots = cls.__dict__.get("__slots__", ())
    names = [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def _builtin(value: Any, walk: _Walk) -> Any:
    """A function that is not written in Python: by its name where that leads to it, and by its module's file."""
    owner = getattr(value, "__self__", None)
    about: dict[str, Any] = {"function": _name(value)}
    if owner is not None and not isinstance(owner, types.ModuleType):
        return about | {"of": _described(owner, walk)}
    module = getattr(value, "__module__", None) or getattr(getattr(value, "__objclass__", None), "__module__", None)
    if isinstance(value, np.ufunc):
        module = next((n for n in ("numpy", "scipy.special") if _resolves(n, value.__name__, value)), None)
        if module is None:
            walk.found.unknown.append(f"{value!r} shows nothing of the function that it was made from")
            return about
    package = package_of(module or "builtins")
    if package is None:
        file = getattr(sys.modules.get(module or ""), "__file__", None)
        if file is None or not Path(file).is_file():
            walk.found.unknown.append(f"the function {about['function']} shows nothing of its code")
            return about
        return about | {"file": hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]}
    walk.found.packages.add(package)
    return about


def _module(module: types.ModuleType, walk: _Walk, names: set[str] | None) -> Any:
    """A module: of one of the user's own, those attributes that have one of the names, or (None) all."""
    package = package_of(module.__name__)
    if package is not None:
        walk.found.packages.add(package)
        return module.__name__
    about: dict[str, Any] = {"module": module.__name__}
    if names is None:
        wanted = sorted(name for name, item in vars(module).items() if name[:2] != "__" and _is_content(item))
    else:
        wanted = sorted(name for name in names if name in vars(module) or _is_submodule(module, name))
    for name in wanted:
        place = id(module), name
        if place not in walk.described:
            walk.described[place] = module
            item: Any = vars(module).get(name, sys.modules.get(f"{module.__name__}.{name}"))
            is_module = isinstance(item, types.ModuleType)
            put(about, name, _module(item, walk, names) if is_module else _described(item, walk))
    return about


def _is_submodule(module: types.ModuleType, name: str) -> bool:
    return f"{module.__name__}.{name}" in sys.modules


def _is_content(item: Any) -> bool:
    """What a module is made of: code and plain values, but not whatever else may lie around."""
    return isinstance(
        item, types.FunctionType | type | functools.partial | np.ndarray | jax.Array | float | int | str
    ) or (type(item) in _PLAIN)


def _class(cls: type, walk: _Walk) -> Any:
    """A class: one of the user's own by the code of its body and of its bases, others by their names."""
    package = package_of(cls.__module__)
    if package is not None:
        walk.found.packages.add(package)
        return _name(cls)
    if cls in walk.described:
        return _name(cls)
    walk.described[cls] = cls
    inner = functools.partial(_described, walk=walk)
    about: dict[str, Any] = {
        "class": _name(cls),
        "bases": [inner(base) for base in cls.__bases__ if base is not object],
    }
    if type(cls) is not type:
        about["metaclass"] = inner(type(cls))
    body = {name: item for name, item in vars(cls).items() if name not in _OF_EVERY_CLASS}
    return _named(about, body, inner)


def _function(function: types.FunctionType, walk: _Walk) -> Any:
    while package_of(function.__globals__.get("__name__")) in ("jaxtyping", "beartype") and hasattr(
        function, "__wrapped__"
    ):  # checks of types change no numbers
        function = function.__wrapped__
    name, inner = _name(function), functools.partial(_described, walk=walk)
    if function in walk.described:
        return name + walk.described[function]
    closed = dict(zip(function.__code__.co_freevars, map(_cell, function.__closure__ or ()), strict=True))
    defaults: dict[Any, Any] = {**dict(enumerate(function.__defaults__ or ())), **(function.__kwdefaults__ or {})}
    package = package_of(function.__globals__.get("__name__"))
    if package is not None:
        # What a library's function defaults to is the library's, but what it closes over was given to it.
        walk.found.packages.add(package)
        is_named = _resolves(function.__module__, function.__qualname__, function)
        held = {} if is_named else closed | (defaults if "<locals>" in function.__qualname__ else {})
        return _named({"function": name}, held, inner)
    if not closed:
        # Others of its name, such as all lambdas of a module, get a stroke each.
        same = sum(_name(other) == name for other in walk.described if isinstance(other, types.FunctionType))
        walk.described[function] = "'" * same
    reads = reads_of(function.__code__)
    for hidden in reads.hidden(function.__globals__):
        walk.found.unknown.append(f"the function {name} calls {hidden}, and may read anything")
    about = {"function": name, "code": code_digest(function.__code__), "source": source_digest(function)}
    for module_name, module in imported(reads, function.__globals__).items():
        put(about, module_name, "(cannot be imported)" if module is None else _module_of(module, reads, walk, True))
    for variable, is_only_for_attributes in reads.variables.items():
        if variable in function.__globals__:
            item = function.__globals__[variable]
            is_module = isinstance(item, types.ModuleType)
            put(about, variable, _module_of(item, reads, walk, is_only_for_attributes) if is_module else inner(item))
    for held in (closed, defaults, _attributes(function)):
        for variable, item in held.items():
            is_module = isinstance(item, types.ModuleType)
            put(about, str(variable), _module_of(item, reads, walk, True) if is_module else inner(item))
    return about


def _module_of(module: types.ModuleType, reads: Reads, walk: _Walk, is_only_for_attributes: bool) -> Any:
    return _module(module, walk, reads.attributes if is_only_for_attributes and not reads.takes_any_attribute else None)


def _attributes(function: types.FunctionType) -> dict[str, Any]:
    return {name: item for name, item in vars(function).items() if name[:2] != "__"}


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _name(value: Any) -> str:
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or type(value).__qualname__
    return f"{getattr(value, '__module__', None) or 'builtins'}.{name}"


def _resolves(module: str | None, name: str, value: Any) -> bool:
    """Whether the name leads to this very value."""
    found: Any = sys.modules.get(module or "")
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value or getattr(found, "__wrapped__", None) is value


def _named(about: dict[str, Any], held: Mapping[Any, Any], inner: Any) -> dict[str, Any]:
    for name, item in held.items():
        put(about, str(name), inner(item))
    return about


def put(about: dict[str, Any], name: str, item: Any) -> None:
    """Set an entry of a description; a name that is taken gets a stroke, so that none hides another."""
    while name in about:
        name += "'"
    about[name] = item
