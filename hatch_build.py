"""The build hook that compiles the engine (``jaxgeom/engine``) when jaxgeom is installed or a wheel is built.

With the system's C++ compiler, else with that of the package ziglang. Where neither works or can be had, and where
JAXGEOM_NO_COMPILER is 1, everything but the compiled libraries is installed: jaxgeom then counts in Python integers.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

ZIGLANG = "ziglang>=0.13"
IN_WHEEL = "jaxgeom/engine"


class EngineHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [ZIGLANG] if is_wanted() and not self.compile.system_compiler() and is_to_be_had() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        engine = Path(self.root, IN_WHEEL)
        if version == "editable" and is_wanted() and self.compile.is_up_to_date(engine):
            return self._mark(build_data)
        for old in engine.glob(f"libjaxgeom_*{self.compile.SUFFIX}"):
            old.unlink()
        if not is_wanted():
            return
        self._scratch = tempfile.TemporaryDirectory()
        try:
            compiler = self.compile.find_compiler()
            if compiler is None:
                raise RuntimeError("no C++ compiler was found")
            folder = engine if version == "editable" else Path(self._scratch.name)
            libraries = self.compile.compile_engine(compiler, folder)
        except (RuntimeError, OSError) as error:
            print(
                f"WARNING: jaxgeom is installed without its compiled engine; exact counts will be slow. Install a C++\n"
                f"compiler (or set CXX) and install jaxgeom again. The reason:\n{error}",
                file=sys.stderr,
            )
            return
        self._mark(build_data)
        if version != "editable":
            build_data["force_include"] |= {str(library): f"{IN_WHEEL}/{library.name}" for library in libraries}

    def _mark(self, build_data: dict[str, Any]) -> None:
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_scratch"):
            self._scratch.cleanup()

    @property
    def compile(self) -> ModuleType:
        """jaxgeom/engine/compile.py, without importing jaxgeom, which needs JAX."""
        spec = importlib.util.spec_from_file_location("compile_engine", Path(self.root, IN_WHEEL, "compile.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def is_wanted() -> bool:
    return os.environ.get("JAXGEOM_NO_COMPILER", "") in ("", "0")


def is_to_be_had() -> bool:
    """Whether pip finds ziglang for this platform, in the indices it is set up with; yes where there is no pip to ask.

    pip gives up an installation that asks for a package it does not find, instead of going on without it.
    """
    pip = [sys.executable, "-I", "-m", "pip"]  # that of the environment, which isolated builds hide without -I
    if subprocess.run([*pip, "--version"], capture_output=True).returncode:
        return True
    name, _, _ = ZIGLANG.partition(">")
    ask = [*pip, "index", "versions", name, "--disable-pip-version-check", "--retries=0"]
    return not subprocess.run(ask, capture_output=True).returncode


def platform_tag() -> str:
    """This platform's, as linux_x86_64: whether the libraries run on all manylinux systems is for auditwheel to say."""
    from hatchling.builders.macos import process_macos_plat_tag

    tag = next(
        tag.platform for tag in sys_tags() if "manylinux" not in tag.platform and "musllinux" not in tag.platform
    )
    return process_macos_plat_tag(tag, compat=False) if sys.platform == "darwin" else tag
