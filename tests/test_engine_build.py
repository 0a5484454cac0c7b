"""The engine's build: what its libraries show, what they take from XLA, and the same bits from every compiler."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom.engine import compile as build
from jaxgeom.engine import library

needs_compiler = pytest.mark.skipif(build.system_compiler() is None, reason="there is no C++ compiler")

# (name in XLA's header, its fields) against (name in xla.h, the same fields)
LAYOUTS = [
    ("XLA_FFI_Api_Version", "major_version minor_version", "Version", "major_version minor_version"),
    ("XLA_FFI_Metadata", "api_version traits", "Metadata", "version traits"),
    ("XLA_FFI_Metadata_Extension", "metadata", "MetadataExtension", "metadata"),
    ("XLA_FFI_Error_Create_Args", "message errc", "NewError", "message code"),
    ("XLA_FFI_Api", "api_version XLA_FFI_Error_Create", "Api", "version create_error"),
    ("XLA_FFI_Buffer", "dtype data rank dims", "Buffer", "type data rank shape"),
    ("XLA_FFI_Args", "size types args", "Buffers", "size kinds buffers"),
    ("XLA_FFI_Rets", "size types rets", "Buffers", "size kinds buffers"),
    ("XLA_FFI_ByteSpan", "ptr len", "Name", "start size"),
    ("XLA_FFI_Array", "dtype size data", "Array", "type size data"),
    ("XLA_FFI_Attrs", "size types names attrs", "Attributes", "size kinds names values"),
    (
        "XLA_FFI_CallFrame",
        "api ctx stage args rets attrs",
        "CallFrame",
        "api context stage arguments results attributes",
    ),
]
NUMBERS = {
    "XLA_FFI_Extension_Metadata": "kMetadataExtension",
    "XLA_FFI_AttrType_ARRAY": "kArrayAttribute",
    "XLA_FFI_Error_Code_CANCELLED": "kCancelled",
    "XLA_FFI_Error_Code_INVALID_ARGUMENT": "kInvalidArgument",
    "XLA_FFI_Error_Code_RESOURCE_EXHAUSTED": "kResourceExhausted",
    "XLA_FFI_DataType_S32": "kInt32",
    "XLA_FFI_DataType_S64": "kInt64",
    "XLA_FFI_DataType_F32": "kFloat32",
    "XLA_FFI_DataType_F64": "kFloat64",
    "XLA_FFI_API_MAJOR": "kMajorVersion",
}
GROWS = {"XLA_FFI_Api", "XLA_FFI_CallFrame", "XLA_FFI_Metadata"}  # of which xla.h declares the beginning


@needs_compiler
def test_declarations_match_the_header_of_jaxlib(tmp_path: Path) -> None:
    lines = [
        "#include <cstddef>",
        "#include <xla/ffi/api/c_api.h>",
        "#include <xla.h>",
        "namespace own = jaxgeom::xla;",
    ]
    for theirs, their_fields, ours, our_fields in LAYOUTS:
        for a, b in zip(their_fields.split(), our_fields.split(), strict=True):
            lines.append(f"static_assert(offsetof({theirs}, {a}) == offsetof(own::{ours}, {b}));")
            lines.append(f"static_assert(sizeof({theirs}::{a}) == sizeof(own::{ours}::{b}));")
        if theirs not in GROWS:
            lines.append(f"static_assert(sizeof({theirs}) == sizeof(own::{ours}));")
    lines += [f"static_assert(int({theirs}) == int(own::{ours}));" for theirs, ours in NUMBERS.items()]
    lines.append("static_assert(XLA_FFI_API_MINOR >= own::kMinorVersion);")
    source = tmp_path / "layouts.cc"
    source.write_text("\n".join(lines))
    compiler = build.system_compiler()
    assert compiler is not None
    include = [f"-I{jax.ffi.include_dir()}", f"-I{build.FOLDER}"]
    done = subprocess.run(
        [*compiler, "-std=c++17", "-Wno-invalid-offsetof", *include, "-fsyntax-only", str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not library.is_available(), reason="the engine is not built")
@pytest.mark.skipif(shutil.which("nm") is None or sys.platform != "linux", reason="needs nm")
def test_libraries_show_the_engines_own_functions_alone() -> None:
    for path in build.FOLDER.glob("libjaxgeom_*.so"):
        shown = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True).stdout
        names = [line.split()[-1] for line in shown.splitlines()]
        assert names
        assert all(name.startswith("jaxgeom_") for name in names)


@pytest.mark.skipif(sys.platform == "win32", reason="scripts as compilers")
def test_compilers_that_do_not_work_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert build.system_compiler() is None
    monkeypatch.setenv("CXX", str(tmp_path / "nowhere"))
    assert build.system_compiler() is None


def _hook(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """hatch_build.py, which is imported where hatchling is: this stands in for it."""
    interface = ModuleType("hatchling.builders.hooks.plugin.interface")
    interface.BuildHookInterface = object
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    spec = importlib.util.spec_from_file_location("hatch_build", Path(__file__).parents[1] / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(find_spec("pip") is None, reason="needs pip")
def test_a_compiler_is_asked_for_only_where_pip_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip, asked for what it does not find, would not install jaxgeom at all."""
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": tmp_path, "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, str(value))
    module = _hook(monkeypatch)
    hook = module.EngineHook()
    hook.root = str(Path(module.__file__).parent)
    monkeypatch.setenv("CXX", str(tmp_path / "nowhere"))
    assert hook.dependencies() == []
    (tmp_path / "ziglang-0.13.0-py3-none-any.whl").touch()
    assert hook.dependencies() == [module.ZIGLANG]
    monkeypatch.setenv("JAXGEOM_NO_COMPILER", "1")
    assert hook.dependencies() == []
    monkeypatch.delenv("JAXGEOM_NO_COMPILER")
    monkeypatch.delenv("CXX")
    if hook.compile.system_compiler():
        assert hook.dependencies() == []


@needs_compiler
def test_what_the_compiler_says_is_in_the_error(tmp_path: Path) -> None:
    compiler = build.system_compiler()
    assert compiler is not None
    with pytest.raises(RuntimeError, match="no-such-flag"):
        build.compile_engine(compiler, tmp_path, flags=["--no-such-flag"])
    assert not list(tmp_path.iterdir())


# The same numbers, to the last bit, from whatever compiled the engine. A process for each library.
_COUNT = """
import sys
from pathlib import Path
import jax
import numpy as np
import jaxgeom as jg
from jaxgeom.engine import compile as build, library, planes
own = library.opened(sys.argv[1])
library._library = lambda: own
rng = np.random.default_rng(0)
everything = []
for widths in ((2, 20, 1), (2, 8, 8, 2), (2, 10, 10, 10, 10, 3), (2, 33, 33, 1)):
    for values in (None, np.array([-1, -0.5, 0, 0.5, 1])):
        if values is not None and max(widths) > 12:
            continue
        draw = (lambda *s: rng.normal(size=s)) if values is None else (lambda *s: rng.choice(values, s))
        arrays = [draw(5, *s) for a, b in zip(widths, widths[1:]) for s in ((a, b), (b,))]
        slopes = np.zeros(sum(widths[1:-1]))
        corners = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], float)
        everything += library.count(arrays, slopes, corners, [[0, 1, 2, 3]])
        for cells in planes.cells(arrays, slopes, corners, [[0, 1, 2, 3]]):
            everything += [np.asarray(part) for part in cells]
    for num_inputs in (2, 3):
        sizes = zip((num_inputs, *widths[1:]), widths[1:])
        layers = [jg.Dense(rng.normal(size=(a, b)), rng.normal(size=b)) for a, b in sizes]
        line = jg.breakpoints(layers, -np.ones(num_inputs), np.ones(num_inputs))
        everything += [np.asarray(part) for part in line if isinstance(part, (np.ndarray, jax.Array))]
        if num_inputs == 3 and max(widths) < 20:
            cells = jg.enumerate_regions(layers, jg.box(-1, 1, dim=3))
            everything += [part for part in cells if isinstance(part, np.ndarray)]
np.savez(sys.argv[2], *everything)
"""


def _results(path: Path, out: Path) -> list[np.ndarray]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(jg.__file__).parents[1])])}
    subprocess.run([sys.executable, "-c", _COUNT, str(path), str(out)], check=True, env=environment)
    with np.load(out) as file:
        return [file[name] for name in file.files]


def _assert_same_bits(paths: list[Path], tmp_path: Path) -> None:
    first, *others = [_results(path, tmp_path / f"{index}.npz") for index, path in enumerate(paths)]
    assert first[0].max() > 20
    for other in others:
        assert len(first) == len(other)
        for a, b in zip(first, other, strict=True):
            assert a.dtype == b.dtype
            assert a.tobytes() == b.tobytes()


def _runnable(paths: list[Path]) -> list[Path]:
    """The libraries of exact geometry; those of training have tests of their own."""
    paths = [path for path in paths if "training" not in path.name]
    baseline = next(path for path in paths if "baseline" in path.name)
    level = ctypes.CDLL(str(baseline)).jaxgeom_instructions()
    return [path for path in paths if not any(name in path.name for name in ("avx2", "avx512")[level:])]


@pytest.mark.skipif(not library.is_available(), reason="the engine is not built")
def test_the_library_is_that_of_the_processor() -> None:
    """As the system describes it; whatever compiled the library, it must not think less of it."""
    cpus = Path("/proc/cpuinfo")
    flags = cpus.read_text().partition("\nflags")[2].partition("\n")[0].split() if cpus.exists() else []
    if not flags:
        pytest.skip("the system does not say what its processors have")
    sets = [{"avx2", "fma"}, {"avx512f", "avx512dq", "avx512vl"}]
    has = [wanted <= set(flags) for wanted in sets]
    assert library.loaded().jaxgeom_instructions() == has[0] * (1 + has[1])


@pytest.mark.skipif(not library.is_available(), reason="the engine is not built")
def test_libraries_of_other_sources_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build.is_up_to_date(build.FOLDER)
    monkeypatch.setattr(build, "digest", lambda: "0" * 64)
    assert not build.is_up_to_date(build.FOLDER)
    monkeypatch.setattr(library, "_digest", build.digest)
    with pytest.raises(ImportError, match="Compile the engine again: pip install -e"):
        library._libraries("", library.opened)


@pytest.mark.skipif(not library.is_available(), reason="the engine is not built")
@pytest.mark.skipif(sys.platform != "linux", reason="changes a library of Linux")
def test_sources_of_libraries_that_show_functions_alone_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of Windows do: the name is not found, but what it stands for is in the file."""
    hidden = tmp_path / "libhidden.so"
    whole = build.FOLDER.joinpath("libjaxgeom_baseline.so").read_bytes()
    hidden.write_bytes(whole.replace(b"jaxgeom_sources\0", b"jaxgeom_nothing\0"))
    opened = library.opened(hidden)
    with pytest.raises(ValueError, match="jaxgeom_sources"):
        ctypes.c_char.in_dll(opened, "jaxgeom_sources")
    assert library._is_of_sources(opened)
    monkeypatch.setattr(library, "_digest", lambda: "0" * 64)
    assert not library._is_of_sources(opened)


@pytest.mark.slow
@pytest.mark.skipif(not library.is_available(), reason="the engine is not built")
def test_instruction_sets_give_the_same_bits(tmp_path: Path) -> None:
    paths = _runnable(sorted(build.FOLDER.glob(f"libjaxgeom_*{build.SUFFIX}")))
    if len(paths) < 2:
        pytest.skip("this processor has one library")
    _assert_same_bits(paths, tmp_path)


@pytest.mark.slow
@needs_compiler
@pytest.mark.skipif(find_spec("ziglang") is None, reason="needs ziglang")
def test_compilers_give_the_same_bits(tmp_path: Path) -> None:
    system = build.system_compiler()
    assert system is not None
    by_system = build.compile_engine(system, tmp_path / "system")
    by_zig = build.compile_engine([sys.executable, "-m", "ziglang", "c++"], tmp_path / "zig")
    assert len(_runnable(by_zig)) == len(_runnable(by_system))
    _assert_same_bits(_runnable(by_system) + _runnable(by_zig), tmp_path)
