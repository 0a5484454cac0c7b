"""The engine's C++ sources compiled: one shared library for each set of instructions, beside this file.

Installation does this (``hatch_build.py``); ``python jaxgeom/engine/compile.py`` does it again, after a change of the
sources, or once there is a compiler where there was none. Needs nothing but Python and a compiler.
"""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parent
SOURCES = ("spaces.cc", "planes.cc", "lines.cc", "engine.cc", "handlers.cc")  # the slowest first
TRAINING = ("training.cc", "random.cc")
SUFFIX = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")

# Error bounds hold for IEEE arithmetic as it is written: nothing that contracts or reorders operations.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-fno-fast-math",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-pthread",
    "-Wno-psabi",
    "-Wno-ignored-attributes",
)
# Training has no error bounds, and is a third faster with multiply-adds.
TRAINING_FLAGS = ("-ffp-contract=fast",)
DOUBLE = ("-DJAXGEOM_DOUBLE",)  # in double precision, in libraries of their own, which few processes load
HIDDEN = ("-fvisibility=hidden", "-fvisibility-inlines-hidden")

# What the sources ask of a compiler: one that lacks any of it is passed over.
_PROBE = """
#include <algorithm>
#include <thread>
#include <vector>
typedef double Vec __attribute__((vector_size(32), aligned(32)));
extern "C" __attribute__((visibility("default"))) int probe(int n) {
    std::vector<int> v(n, 1);
    std::thread t([&] { std::sort(v.begin(), v.end()); });
    t.join();
    const unsigned __int128 wide = static_cast<unsigned __int128>(n) << 64;
    Vec a = {1, 2, 3, 4}, b = a > 2.0 * a ? a : -a;
    return static_cast<int>(b[0]) + static_cast<int>(wide >> 64);
}
"""


def find_compiler() -> list[str] | None:
    """The command of a C++ compiler that works: $CXX, else the system's, else that of the package ``ziglang``."""
    return system_compiler() or ([sys.executable, "-m", "ziglang", "c++"] if find_spec("ziglang") else None)


def system_compiler() -> list[str] | None:
    """The command of the system's compiler, if it works."""
    # Not those of Windows: MSVC has no vector types, and MinGW's g++ misaligns 32-byte vectors on the stack.
    names = [] if sys.platform == "win32" else ["c++", "g++", "clang++"]
    wanted = os.environ.get("CXX")
    for command in [shlex.split(wanted)] if wanted else [[name] for name in names]:
        if command and shutil.which(command[0]) and _is_working(command):
            return command
    return None


def compile_engine(
    compiler: Sequence[str], folder: Path, *, flags: Sequence[str] = (), target: str | None = None
) -> list[Path]:
    """The engine's shared libraries, written to a folder.

    Args:
        compiler: its command.
        folder: where to write them.
        flags: more flags, for compiling and linking.
        target: of ziglang, another machine than this one, as ``"aarch64-linux-gnu"``.

    Raises:
        RuntimeError: with what the compiler said.
    """
    machine, system = _machine(target), _system(target)
    own = [*compiler, *_target(compiler, target), *shlex.split(os.environ.get("CXXFLAGS", "")), *FLAGS, *flags]
    own += [] if system == "windows" else ["-fPIC", *HIDDEN]
    suffix = {"macos": ".dylib", "windows": ".dll"}.get(system, ".so")
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as threads:
        mark = Path(scratch, "sources.cc")
        mark.write_text(f'extern "C" const char jaxgeom_sources[];\nconst char jaxgeom_sources[] = "{digest()}";\n')
        visible = () if system == "windows" else ("-fvisibility=default",)
        _run([*own, *visible, "-c", str(mark), "-o", f"{mark}.o"])
        objects = {
            name: [f"{scratch}/{name}-{source}.o" for source in sources]
            for name, (sources, _) in libraries_of(machine).items()
        }
        jobs = [
            threads.submit(_run, [*own, *extra, "-c", str(FOLDER / source), "-o", path])
            for name, (sources, extra) in libraries_of(machine).items()
            for source, path in zip(sources, objects[name], strict=True)
        ]
        for job in jobs:
            job.result()
        folder.mkdir(parents=True, exist_ok=True)
        libraries = []
        for name, paths in objects.items():
            library = f"libjaxgeom_{name}{suffix}"
            _link([*own, "-shared", *paths, f"{mark}.o", "-o", f"{scratch}/{library}"], compiler, system, scratch)
            shutil.copy(f"{scratch}/{library}", folder / f"{library}.new")
            libraries.append((folder / f"{library}.new").replace(folder / library))  # processes keep the one they use
    return libraries


def digest() -> str:
    """What the sources beside this file are known by; each library holds that of the sources it was compiled from."""
    paths = [*sorted(path for path in FOLDER.iterdir() if path.suffix in (".cc", ".h")), Path(__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def is_up_to_date(folder: Path) -> bool:
    """Whether the libraries for this machine are in a folder, compiled from the sources as they are."""
    libraries = [folder / f"libjaxgeom_{name}{SUFFIX}" for name in libraries_of(_machine(None))]
    return all(path.exists() and digest().encode() in path.read_bytes() for path in libraries)


def _link(command: list[str], compiler: Sequence[str], system: str, scratch: str) -> None:
    command += shlex.split(os.environ.get("LDFLAGS", ""))
    if system != "linux":
        return _run(command)
    # Only the engine's own functions are seen from outside. Inline functions of the standard library would be, too, and
    # those of the library for AVX2 must never serve the other one.
    exports = Path(scratch, "exports")
    exports.write_text("{ global: jaxgeom_*; local: *; };\n")
    command += [f"-Wl,--version-script={exports}", "-Wl,-s"]
    if _is_zig(compiler):
        return _run(command)
    try:
        _run([*command, "-static-libstdc++", "-static-libgcc"])
    except RuntimeError:  # distributions without static libraries
        _run(command)


def libraries_of(machine: str) -> dict[str, tuple[Sequence[str], Sequence[str]]]:
    """The libraries of a machine, by name: their sources, and the flags of each."""
    libraries: dict[str, tuple[Sequence[str], Sequence[str]]] = {"baseline": (SOURCES, [])}
    instructions: dict[str, list[str]] = {"baseline": []}
    if machine == "x86_64":
        # multiply-adds only where the sources ask for them (-ffp-contract=off): all give the same bits
        libraries["avx2"] = SOURCES, ["-mavx2", "-mfma"]
        libraries["avx512"] = SOURCES, ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mfma"]
        instructions["avx2"] = ["-mavx2", "-mfma"]
        instructions["avx512"] = ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mfma"]
    for name, flags in instructions.items():
        libraries[f"training_{name}"] = TRAINING, [*TRAINING_FLAGS, *flags]
        if name != "avx512":  # a quarter of a minute of compilation less
            libraries[f"training_double_{name}"] = TRAINING, [*TRAINING_FLAGS, *DOUBLE, *flags]
    return libraries


def _is_zig(compiler: Sequence[str]) -> bool:
    return "ziglang" in compiler or Path(compiler[0]).stem == "zig"


def _target(compiler: Sequence[str], target: str | None) -> list[str]:
    if _is_zig(compiler):
        # Without a target, zig compiles for the very processor that it runs on.
        ends = {"linux": "linux-gnu.2.28", "macos": "macos", "windows": "windows-gnu"}
        return ["-target", target or f"{_machine(None)}-{ends[_system(None)]}"]
    return shlex.split(os.environ.get("ARCHFLAGS", "")) if sys.platform == "darwin" else []


def _machine(target: str | None) -> str:
    """x86_64, aarch64, …"""
    name = platform.machine().lower()
    if sys.platform == "darwin" and "ARCHFLAGS" in os.environ:
        name = os.environ["ARCHFLAGS"].split()[-1]
    elif sys.platform == "win32":
        name = sysconfig.get_platform().removeprefix("win-")  # Python's, which may run in emulation
    name = target.split("-")[0] if target else name
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def _system(target: str | None) -> str:
    if target:
        return target.split("-")[1].split(".")[0]
    return {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")


def _is_working(compiler: Sequence[str]) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "probe.cc")
        source.write_text(_PROBE)
        try:
            _run([*compiler, "-std=c++17", "-Wno-psabi", "-fPIC", "-shared", str(source), "-o", f"{scratch}/probe"])
        except (RuntimeError, OSError):
            return False
    return True


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}\n{done.stderr[-4000:]}")


def main() -> int:
    compiler = find_compiler()
    if compiler is None:
        print("There is no C++ compiler. Install one (or the package ziglang), or name it in CXX.", file=sys.stderr)
        return 1
    for library in compile_engine(compiler, FOLDER):
        print(library)
    return 0


if __name__ == "__main__":
    sys.exit(main())
