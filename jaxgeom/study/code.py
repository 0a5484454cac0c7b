"""[host] What a function reads beside its arguments, found in its bytecode: globals, attributes, imports.

Nothing is run. What a function asks for by names that are made while it runs (``eval``, ``globals()``) cannot be found,
and is reported instead.
"""

import dis
import hashlib
import inspect
import textwrap
import types
from importlib import import_module
from importlib.util import resolve_name
from typing import Any, NamedTuple

LEVEL_BEFORE = 2
"""How many instructions before an import its level is loaded, by which a relative one goes up."""

_BY_TEXT = ("eval", "exec", "globals", "__import__")
"""Built-in functions that reach what bytecode does not name."""
_BY_NAME = ("getattr", "vars")
"""Built-in functions that reach any attribute of a module."""


class Reads(NamedTuple):
    """What code names, its inner functions and classes included."""

    variables: dict[str, bool]
    """Globals and built-in names, each with whether nothing but attributes are taken from it."""
    attributes: set[str]
    """Names of attributes of anything, and every string, since it may name one."""
    imports: set[tuple[str, int]]
    """Modules that are imported when it runs, with the level of relative imports."""

    @property
    def takes_any_attribute(self) -> bool:
        """Whether attributes are taken by names that the bytecode does not show."""
        return "__dict__" in self.attributes or any(name in self.variables for name in _BY_NAME)

    def hidden(self, namespace: dict[str, Any]) -> list[str]:
        """Names of the functions among what is read that can reach anything."""
        found = [name for name in _BY_TEXT if name in self.variables and name not in namespace]
        return found + [name for name in ("import_module", "run_path", "run_module") if name in self.all_names]

    @property
    def all_names(self) -> set[str]:
        return self.attributes | set(self.variables)


def reads_of(code: types.CodeType) -> Reads:
    """What code names."""
    found = Reads({}, set(), set())
    _add_reads(code, found)
    return found


def imported(reads: Reads, namespace: dict[str, Any]) -> dict[str, types.ModuleType | None]:
    """The outermost modules that a function imports when it runs, by name; None for those that cannot be imported.

    Args:
        reads: what the function names; the parts of dotted names are added to its attributes.
        namespace: globals of the function.
    """
    found: dict[str, types.ModuleType | None] = {}
    for name, level in sorted(reads.imports):
        try:
            name = resolve_name("." * level + name, namespace.get("__package__")) if level else name
            import_module(name)
            top, *rest = name.split(".")
            reads.attributes.update(rest)
            found[top] = import_module(top)
        except Exception:  # as an import that the function itself tries, and does without
            found[name] = None
    return found


def code_digest(code: types.CodeType) -> str:
    """A digest of bytecode and constants: the same for the same source, in one version of Python."""
    return _short_digest(repr(_content(code)))


def source_digest(thing: Any) -> str | None:
    """A digest of the source, the same for every Python; None where it is not known."""
    try:
        source = inspect.getsource(thing)
    except (OSError, TypeError):
        return None
    return _short_digest("\n".join(line.rstrip() for line in textwrap.dedent(source).strip().splitlines()))


def _add_reads(code: types.CodeType, found: Reads) -> None:
    instructions = list(dis.get_instructions(code))
    for place, one in enumerate(instructions):
        name = one.argval
        if one.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            after = instructions[place + 1].opname if place + 1 < len(instructions) else ""
            is_only_for_attributes = after in ("LOAD_ATTR", "LOAD_METHOD")
            found.variables[name] = found.variables.get(name, True) and is_only_for_attributes
        elif one.opname == "IMPORT_NAME":
            level = instructions[place - LEVEL_BEFORE].argval if place >= LEVEL_BEFORE else 0
            found.imports.add((name, level if isinstance(level, int) else 0))
        elif isinstance(name, str) and ("ATTR" in one.opname or "METHOD" in one.opname or one.opname == "IMPORT_FROM"):
            found.attributes.add(name)
    for item in code.co_consts:
        if isinstance(item, types.CodeType):
            _add_reads(item, found)
        elif isinstance(item, str):
            found.attributes.add(item)


def _content(item: Any) -> Any:
    if isinstance(item, types.CodeType):
        return (
            item.co_code,
            item.co_exceptiontable,
            (item.co_argcount, item.co_posonlyargcount, item.co_kwonlyargcount, item.co_flags),
            (item.co_names, item.co_varnames, item.co_freevars, item.co_cellvars),
            tuple(map(_content, item.co_consts)),
        )
    if isinstance(item, frozenset):
        return "frozenset", sorted(repr(_content(element)) for element in item)
    if isinstance(item, tuple):
        return tuple(map(_content, item))
    return item


def _short_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
