"""[edge] Compiled programs are kept from one command to the next, in the user's cache directory.

JAX's persistent compilation cache does the work. A program that is read from it is the program that was written, so
that results are the same to the bit. Importing jaxgeom does not turn it on: only commands do.
"""

import hashlib
import os
import platform
import sys
import tempfile
import warnings
from pathlib import Path

import jax

VARIABLE = "JAXGEOM_CACHE"
"""Environment variable: "off", or a directory in place of the default one."""
LEAST_SECONDS = 0.2
"""Programs that compile faster are not kept."""


def cache_directory() -> Path | None:
    """Where programs are kept: the platform's directory for caches, unless the environment names another one; None if
    it turns the cache off, or there is no home directory."""
    given = os.environ.get(VARIABLE, "")
    if given.lower() in ("off", "0", "no", "false"):
        return None
    if given:
        return Path(given)
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        named = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(named) if os.path.isabs(named) else home / ".cache"
    return base / "jaxgeom"


def use_cache() -> Path | None:
    """Turn the cache on for this process, unless JAX already has one or the directory cannot be written.

    Returns:
        The directory in use, or None without one.
    """
    directory = cache_directory()
    if jax.config.values["jax_compilation_cache_dir"] is not None or directory is None:
        return None
    directory = directory / f"jax-{jax.__version__}-{_processor()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError:
        return None
    # a full disk or a damaged entry costs a compilation, and nothing else
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)
    return directory


def _processor() -> str:
    """A name for what this processor can do: machines that share a home directory do not share programs else."""
    told = platform.processor() + platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        told += "".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))
    except OSError:
        pass
    return hashlib.sha256(told.encode()).hexdigest()[:12]
