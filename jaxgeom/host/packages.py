"""[host] Packages that are needed for some functions only."""

import importlib
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
