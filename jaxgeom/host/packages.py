"""[host] Packages that are needed for some functions only."""

import importlib
import re
import warnings
from importlib.metadata import PackageNotFoundError, requires
from types import ModuleType
from typing import Any


def optional(name: str, extra: str) -> Any:
    """A module of a package that is no requirement of jaxgeom.

    Args:
        name: of the module.
        extra: the extra of jaxgeom that installs it.

    Raises:
        ImportError: if it is not installed, with the command that installs it.
    """
    try:
        module: ModuleType = importlib.import_module(name)
    except ImportError as error:
        message = f'this needs {name}, which is not installed: pip install "jaxgeom[{extra}]"'
        raise ImportError(message) from error
    return module


def warn_if_excluded(name: str, version: str) -> None:
    """A warning if the requirements of the jaxgeom that is installed exclude this version of a package.

    pip keeps to requirements only where it installs both in one command. This takes 0.7 ms.
    """
    try:
        listed = requires("jaxgeom") or []
    except PackageNotFoundError:  # a working copy that is not installed
        return
    required = next((each for each in listed if re.match(rf"{name}(?![\w.-])", each)), "")
    if version in re.findall(r"!=\s*([\w.]+)", required):
        warnings.warn(
            f"{name} {version} is installed, which jaxgeom excludes since it returns wrong numbers. Install another: "
            f'pip install "{required}" (for a GPU or TPU with its extra after the name, such as {name}[cuda13]).',
            stacklevel=2,
        )
