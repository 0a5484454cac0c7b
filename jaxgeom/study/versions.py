"""[host] Whose code is whose: installed packages are known by their versions, all other code by what it says."""

import hashlib
import platform
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from pathlib import Path

from jaxgeom.host.devices import platform as platform_of_devices
from jaxgeom.host.devices import populations_on

PACKAGES = ("jaxgeom", "jax", "jaxlib", "flax", "optax", "numpy")
"""Packages that decide the numbers of every study."""
PYTHON = "python"
_NO_NUMBERS = ("plot", "recipes")
"""Rooms of jaxgeom that no number of a study comes from."""
_INSTALLED = {"site-packages", "dist-packages"}


def package_of(module: str | None) -> str | None:
    """The installed package, or "python", to which a module belongs by its name; None for the user's own code."""
    top = (module or "").partition(".")[0]
    if top in PACKAGES:
        return top
    if top in ("__main__", "__mp_main__"):  # whatever started it, such as a notebook's kernel
        return None
    files = _files(top)
    if any(_INSTALLED & set(Path(file).parts) for file in files):
        return top
    library = Path(sysconfig.get_path("stdlib"))
    if top in sys.stdlib_module_names and all(Path(file).is_relative_to(library) for file in files):
        return PYTHON
    return None


def versions(also: Iterable[str] = ()) -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers, and the kind of device that computes them: one
    accelerator or several, since programs for several are compiled in another way, and may round otherwise.

    Args:
        also: other packages, by the names that they are imported by.

    Returns:
        Versions by name. jaxgeom's own has a digest of its source, since a working copy changes under one version;
        that of other packages than :data:`PACKAGES` a digest of their list of files.
    """
    found = {PYTHON: platform.python_version(), "backend": _backend()}
    found |= {name: _version(name) for name in PACKAGES}
    found["jaxgeom"] += f" (source {_source_digest()})"
    return found | {name: _version_with_files(name) for name in sorted({*also} - {*PACKAGES, PYTHON})}


def _backend() -> str:
    return platform_of_devices() if len(populations_on()) == 1 else f"several {platform_of_devices()}s"


def _files(top: str) -> list[str]:
    """Where a module that was imported lies; nowhere, if it was not, or is built in."""
    module = sys.modules.get(top)
    file = getattr(module, "__file__", None)
    return [file] if isinstance(file, str) else [str(path) for path in getattr(module, "__path__", ())]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _version_with_files(top: str) -> str:
    names = _distributions().get(top, [])
    listed = [line for name in names for line in (distribution(name).read_text("RECORD") or "").splitlines()]
    # Not what differs from one installation to another: scripts, compiled files, notes of the installer.
    listed = [line for line in listed if not any(part in line for part in ("../", "__pycache__", ".dist-info/"))]
    for file in [] if listed else _files(top):
        listed.append(hashlib.sha256(Path(file).read_bytes()).hexdigest() if Path(file).is_file() else file)
    digest = hashlib.sha256("\n".join(listed).encode()).hexdigest()[:8]
    return f"{' '.join(map(_version, names)) or 'unknown'} (files {digest})"


@cache
def _distributions() -> dict[str, list[str]]:
    return {top: sorted(set(names)) for top, names in packages_distributions().items()}


@cache
def _source_digest() -> str:
    root = Path(__file__).parents[1]
    found = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.suffix in (".py", ".cc", ".h")):
        name = path.relative_to(root)
        if name.parts[0] not in _NO_NUMBERS:
            found.update(f"{name.as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()[:8]
