"""[edge] Functions of one's own in files that describe studies: ``"module:function"``, looked for beside the file."""

import inspect
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from jaxgeom.host.names import did_you_mean
from jaxgeom.recipes.study.values import check_keys, check_setting, is_list, shown
from jaxgeom.study.measurements import Measurement
from jaxgeom.study.program import named_arguments
from jaxgeom.study.versions import package_of

MOST_LISTED = 12
"""Names that a message lists."""


def is_own(text: Any) -> bool:
    """Whether a text means a function of one's own."""
    return isinstance(text, str) and ":" in text


def own_function(where: str, text: Any, folder: Path) -> Any:
    """What "module:function" names; the module may lie in ``folder``.

    Raises:
        ValueError: for a module that is not found or does not import, a name that is not there or is no function, and a
            function whose arguments have no names.
    """
    module_name, _, name = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not all(part.isidentifier() for part in (*module_name.split("."), *name.split("."))):
        raise ValueError(f'{where} must be "module:function", such as "mine:points", but {shown(text)} was given.')
    module = _module(where, module_name, folder)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found) and not isinstance(found, Measurement):
        functions = [n for n, item in vars(module).items() if inspect.isfunction(item) and n[0] != "_"]
        functions = [n for n in functions if vars(module)[n].__module__ == module.__name__][:MOST_LISTED]
        kind = "no" if found is None else f"{name!r}, which is a {type(found).__name__} and no"
        raise ValueError(
            f"{where}: the module {module_name!r} has {kind} function {name!r}; its functions are "
            f"{', '.join(functions) or 'none'}.{did_you_mean(name, functions)}"
        )
    if not isinstance(found, Measurement):
        _check_signature(where, text, found)
    return found


def with_own_settings(
    where: str, function: Any, settings: Mapping[str, Any], provided: Sequence[str] = ()
) -> dict[str, Any]:
    """Settings for a function of one's own, as it can take them.

    Raises:
        ValueError: for a name that it does not take, or that the study provides, and for a value that is not of the
            kind that its annotation says.
    """
    parameters = inspect.signature(function).parameters
    check_keys(where, settings, [name for name in parameters if name not in provided])
    for name, value in settings.items():
        if parameters[name].annotation in (int, float, bool, str):
            check_setting(f"{name} in {where}", value, parameters[name])
    return {name: tuple(value) if is_list(value) else value for name, value in settings.items()}


def place_of(error: BaseException) -> str | None:
    """Where in code of one's own an error came up, in words; None if it was not there."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    lines = [line for _, line in traceback.walk_tb(error.__traceback__)]
    for frame, line in reversed(list(zip(frames, lines, strict=True))):
        name = frame.f_globals.get("__name__", "")
        if name not in ("__main__", "") and package_of(name) is None and Path(frame.f_code.co_filename).is_file():
            return f"{frame.f_code.co_name} in {Path(frame.f_code.co_filename).name}, line {line},"
    return None


def said(error: BaseException) -> str:
    """What an error says, in one line."""
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _module(where: str, name: str, folder: Path) -> Any:
    top = name.partition(".")[0]
    beside = [path for path in (folder / f"{top}.py", folder / top / "__init__.py") if path.is_file()]
    if str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))
    try:
        found = import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise ValueError(
                f"{where}: there is no module {error.name!r}. It is looked for beside the file of the study, in "
                f"{str(folder.resolve())!r}, and among the installed packages."
            ) from error
        place = place_of(error) or (f"line {error.lineno}" if isinstance(error, SyntaxError) else "it")
        raise ValueError(f"{where}: the module {name!r} cannot be imported: {place} raised {said(error)}.") from error
    file = getattr(sys.modules[top], "__file__", None)
    if beside and file is not None and not Path(file).resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"{where}: {str(beside[0])!r} is hidden by another module {top!r}, {str(file)!r}. Give it another name."
        )
    return found


def _check_signature(where: str, text: str, function: Any) -> None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise ValueError(
            f"{where}: {text!r} does not say what its arguments are called; write a function def name(params, …) that "
            "calls it."
        ) from None
    nameless = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]
    if nameless or (parameters and not named_arguments(function)):
        raise ValueError(
            f"{where}: {text!r} has the signature {inspect.signature(function)}, but the study passes arguments by "
            "their names, such as params, key or learning_rate: give it arguments with names."
        )
