"""Named tuples that describe themselves: in a few lines when printed, field by field in ``help()``."""

import ast
import html
import inspect
import linecache
import sys
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

Class = TypeVar("Class", bound=type)
WIDTH = 100
"""Characters in a line of text."""
MOST_SHOWN = 4
"""Arrays of more numbers are shown by shape and dtype alone."""


def readable(cls: Class) -> Class:
    """The same class of named tuples, printed in short, its fields documented by the strings that follow them.

    A method ``_note``, if the class has one, gives a few words that are printed before the fields; a method
    ``_repr_html_`` of the class stays.
    """
    for name, text in _documentation(cls).items():
        getattr(cls, name).__doc__ = text
    methods: Any = cls
    methods.__repr__ = short_text
    if "_repr_html_" not in vars(cls):
        methods._repr_html_ = short_html
    return cls


def short_text(value: Any) -> str:
    """A named tuple in a few lines: shape and dtype of arrays, values of scalars, a tree of arrays in one line."""
    name, inner = type(value).__name__, WIDTH - 4
    items = [f"{field}={short(item, inner - len(field) - 2)}" for field, item in zip(value._fields, value, strict=True)]
    note = getattr(value, "_note", None)
    items = [note(), *items] if note else items
    if len(name) + 2 + len(whole := ", ".join(items)) <= WIDTH:
        return f"{name}({whole})"
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(item) + 3 <= inner:
            lines[-1] += f", {item}"
        else:
            lines.append(item)
    return f"{name}(\n" + ",\n".join(f"    {line}" for line in lines) + ",\n)"


def short_html(value: Any) -> str:
    """The same as a small table for notebooks, with each field's documentation where the mouse rests."""
    note = getattr(value, "_note", None)
    head = f"<b>{type(value).__name__}</b>" + (f" {html.escape(note())}" if note else "")
    rows = "".join(
        f'<tr title="{html.escape(getattr(type(value), field).__doc__ or "")}">'
        f'<td style="text-align: left">{field}</td>'
        f'<td style="text-align: left">{html.escape(short(item, WIDTH))}</td></tr>'
        for field, item in zip(value._fields, value, strict=True)
    )
    return f"<div>{head}<table>{rows}</table></div>"


def short(value: Any, room: int = WIDTH) -> str:
    """A value in one line of at most ``room`` characters."""
    return _cut(_line(value), room)


def _line(value: Any) -> str:
    if _is_array(value):
        numbers = _numbers(value)
        return f"{numbers} {value.dtype}" if numbers else f"{_shape(value)} {value.dtype}"
    if isinstance(value, Mapping | list | tuple):
        return _tree(value)
    if callable(value):
        return f"<{getattr(value, '__qualname__', None) or type(value).__name__}>"
    if isinstance(value, float):
        return f"{value:.6g}"
    return repr(value).partition("\n")[0]


def _tree(value: Any) -> str:
    leaves = list(_leaves(value))
    arrays = [(path, leaf) for path, leaf in leaves if _is_array(leaf)]
    kind = type(value).__name__
    if len(value) > 2 * MOST_SHOWN and isinstance(value, list | tuple):
        kinds = {type(item).__name__ for item in value}
        return f"{kind} of {len(value):,} {kinds.pop() if len(kinds) == 1 else 'values'}"
    if arrays:
        dtypes = {str(array.dtype) for _, array in arrays}
        size = sum(int(np.prod(array.shape)) for _, array in arrays)
        count = f"{len(arrays)} array{'s' if len(arrays) > 1 else ''}, {size:,} {' and '.join(sorted(dtypes))}"
        listed = ", ".join(
            f"{path} {_shape(array)}" + (f" {array.dtype}" if len(dtypes) > 1 else "") for path, array in arrays
        )
        rest = len(leaves) - len(arrays)
        others = f" and {rest} other value{'s' if rest > 1 else ''}" if rest else ""
        return (f"{kind}, " if hasattr(value, "_fields") else "") + f"{count}{others}: {listed}"
    if hasattr(value, "_fields"):
        return f"{kind}({', '.join(f'{name}={_line(item)}' for name, item in zip(value._fields, value, strict=True))})"
    if isinstance(value, Mapping):
        is_flat = not any(isinstance(item, Mapping | list | tuple) for item in value.values())
        return "{" + ", ".join(f"{name}: {_line(item)}" if is_flat else str(name) for name, item in value.items()) + "}"
    ends = "[]" if isinstance(value, list) else "()"
    comma = "," if len(value) == 1 and ends == "()" else ""
    return ends[0] + ", ".join(map(_line, value)) + comma + ends[1]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        items = [(str(name), item) for name, item in value.items()]
    elif isinstance(value, list | tuple):
        items = list(zip(getattr(value, "_fields", map(str, range(len(value)))), value, strict=True))
    elif value is None:
        return
    else:
        yield path, value
        return
    for name, item in items:
        yield from _leaves(item, f"{path}.{name}" if path else name)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, type)


def _shape(array: Any) -> str:
    return str(tuple(array.shape))


def _numbers(array: Any) -> str:
    """The numbers of a small array; nothing where there are none to see: in tracers, keys and deleted arrays."""
    if len(array.shape) > 1 or np.prod(array.shape) > MOST_SHOWN:
        return ""
    try:
        values = np.asanyarray(array)
        if values.dtype == object:
            return ""
        listed = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values.ravel().tolist()]
    except Exception:  # a text about a value must not fail because of the value
        return ""
    return f"[{', '.join(listed)}]" if values.ndim else listed[0]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(room - 1, 0)] + "…"


def _documentation(cls: type) -> dict[str, str]:
    """For each documented field of a class its annotation and the string that follows it, read from the source."""
    module = sys.modules[cls.__module__]
    lines = linecache.getlines(getattr(module, "__file__", None) or "", vars(module))
    heads = tuple(f"class {cls.__name__}({base})" for base in ("NamedTuple", "Record"))
    start = next((i for i, line in enumerate(lines) if line.startswith(heads)), None)
    if start is None:
        return {}
    end = next((i for i, line in enumerate(lines[start + 1 :], start + 1) if line[:1].strip()), len(lines))
    block = lines[start:end]
    source = "".join(block)
    found = {}
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    body = definition.body
    for field, text in zip(body, [*body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            kind = _segment(block, field.annotation)
            said = ""
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                said = inspect.cleandoc(str(text.value.value))
            found[field.target.id] = f"{kind}: {' '.join(said.split())}" if said else f"{kind}"
    return found


def _segment(lines: list[str], node: ast.expr) -> str:
    """The text of a node; ``ast.get_source_segment`` splits the whole source anew for each, 0.1 s in all of jaxgeom."""
    if node.end_lineno != node.lineno:
        return str(ast.get_source_segment("".join(lines), node))
    return lines[node.lineno - 1].encode()[node.col_offset : node.end_col_offset].decode()
