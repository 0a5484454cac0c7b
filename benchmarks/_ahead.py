"""Programs compiled ahead of time for accelerators that are not there, and what the compiled text says.

XLA compiles for a *topology*, a description of a device: what comes out is what would run there, by the compilers that
would run there (ptxas among them).
"""

import os
import re
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import jax
import numpy as np

from jaxgeom.host.devices import as_platform

TARGETS = {"h100": "cuda", "v5e": "tpu"}
"""Devices, and the platforms whose compilers know them."""
_NEEDED = {
    "h100": ("jax_plugins.xla_cuda13", "nvidia.cu13"),
    "v5e": ("libtpu",),
}
_INSTALL = {
    "h100": "pip install --no-deps jax-cuda13-plugin==JAX jax-cuda13-pjrt==JAX nvidia-cuda-nvcc nvidia-nvvm "
    "nvidia-cuda-crt nvidia-cuda-runtime nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-nvjitlink",
    "v5e": "pip install --no-deps libtpu",
}
_H100 = """
gpu_device_info {
  cuda_compute_capability { major: 9 minor: 0 }
  core_count: 132 fpus_per_core: 128 threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  registers_per_block_limit: 65536 registers_per_core_limit: 65536
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448 shared_memory_per_core: 233472
  l2_cache_size: 52428800 memory_bandwidth: 3352320000000 device_memory_size: 84978434048 clock_rate_ghz: 1.98
}
platform_name: "CUDA"
runtime_version { major: 13 minor: 0 patch: 0 }
dnn_version_info { major: 9 minor: 12 patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
# What libtpu asks a machine that has no TPU.
_NO_TPU = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_STDERR_LOG_LEVEL": "3",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
# Instructions of a compiled program that are no work of their own.
_FREE = {
    *("parameter", "get-tuple-element", "tuple", "constant", "bitcast", "after-all", "opt-barrier"),
    *("partition-id", "replica-id", "copy-done", "async-done", "slice-done"),
}
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "f32": 4, "s32": 4, "u32": 4}
_BYTES |= {"f64": 8, "s64": 8, "u64": 8}


def missing(target: str) -> str | None:
    """What to install before programs can be compiled for a device; None if nothing is missing."""
    if all(_is_there(name) for name in _NEEDED[target]):
        return None
    return _INSTALL[target].replace("JAX", jax.__version__)


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@cache
def device_of(target: str) -> Any:
    """A device that is not there."""
    from jax.experimental import topologies

    if target == "h100":
        return topologies.get_topology_desc(platform="cuda", target_config=_H100, topology="1x1x1").devices[0]
    os.environ.update(_NO_TPU)
    return topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2").devices[0]


class Compiled(NamedTuple):
    """A program for a device."""

    lowered: str
    """The program as JAX gives it."""
    text: str
    """The optimized program."""
    temporary_bytes: int
    lower_seconds: float
    compile_seconds: float
    kernels: list["Kernel"] | None
    """What ptxas says of its kernels; None for TPUs."""


class Kernel(NamedTuple):
    """A kernel of a GPU."""

    name: str
    registers: int
    spilled_bytes: int


def compiled_for(target: str, function: Callable[..., Any], arguments: Any) -> Compiled:
    """A function of arrays, compiled as for a device; the arguments are arrays or their shapes."""
    mesh = jax.sharding.Mesh(np.array([device_of(target)]), ("device",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def shape(array: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(array.shape, jax.dtypes.canonicalize_dtype(array.dtype), sharding=sharding)

    with as_platform(TARGETS[target]):
        start = time.perf_counter()
        with _pallas_for(target):
            traced = jax.jit(function).trace(*jax.tree.map(shape, arguments))
            lowered = traced.lower(lowering_platforms=(TARGETS[target],))
        lowered_at = time.perf_counter()
        with _assembly() as folder:
            done = lowered.compile()
            compiled_at = time.perf_counter()
            kernels = _kernels(folder) if target == "h100" else None
    memory = done.memory_analysis()
    return Compiled(
        lowered.as_text(),
        done.as_text(),
        memory.temp_size_in_bytes,
        lowered_at - start,
        compiled_at - lowered_at,
        kernels,
    )


def _pallas_for(target: str) -> AbstractContextManager[Any]:
    """A context in which Pallas takes the device to be this one. It asks JAX for the default device, unless the whole
    program is traced in a mesh that is not there, where arrays have operations of their own."""
    if target != "h100" or not _is_there("jax._src.pallas.triton.gpu_info"):
        return nullcontext()
    from jax._src.pallas.triton import gpu_info

    h100 = gpu_info.get_gpu_info_from_version(gpu_info.GpuVersion.H100)
    return patch.object(gpu_info, "get_gpu_info", lambda: h100)


@contextmanager
def _assembly() -> Iterator[Path]:
    """A folder with the assembly that XLA hands to ptxas meanwhile: files that live as long as ptxas runs, and get
    another name here. XLA itself tells nobody how many registers its kernels take."""
    is_over = threading.Event()
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "assembly"
        folder.mkdir()

        def follow() -> None:
            while not is_over.wait(0.001):
                for path in Path(temporary).glob("tempfile-*"):
                    with suppress(OSError):  # it is gone, or known
                        os.link(path, folder / path.name)

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        os.environ["TMPDIR"] = temporary
        try:
            yield folder
        finally:
            is_over.set()
            follower.join()
            os.environ.pop("TMPDIR")
            if before is not None:
                os.environ["TMPDIR"] = before


def _kernels(folder: Path) -> list[Kernel]:
    ptxas = Path(sysconfig.get_paths()["purelib"]) / "nvidia/cu13/bin/ptxas"
    found: dict[str, Kernel] = {}
    for path in folder.iterdir():
        if not path.read_bytes()[:4096].count(b".version"):
            continue  # what ptxas has made of it
        done = subprocess.run([ptxas, "-arch=sm_90a", "-v", path, "-o", os.devnull], capture_output=True, text=True)
        for part in done.stderr.split("Compiling entry function")[1:]:
            name = part.split("'")[1]
            registers = re.search(r"Used (\d+) registers", part)
            spilled = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", part)
            if registers and spilled:
                found[name] = Kernel(name, int(registers[1]), sum(map(int, spilled.groups())))
    return sorted(found.values())


class Instruction(NamedTuple):
    name: str
    type: str
    operation: str
    operands: list[str]
    line: str


def computations(text: str) -> dict[str, list[Instruction]]:
    """The instructions of an optimized program by computation; that of the entry is "ENTRY", too."""
    found: dict[str, list[Instruction]] = {}
    current: list[Instruction] | None = None
    for line in text.splitlines():
        head = re.match(r"(ENTRY )?%?([\w.\-]+) .*\{$", line)
        if head and not line.startswith(" "):
            current = found[head[2]] = []
            if head[1]:
                found["ENTRY"] = current
        elif line.startswith("}"):
            current = None
        elif current is not None and " = " in line:
            name, _, value = line.strip().removeprefix("ROOT ").partition(" = ")
            type_, rest = _type_and_rest(value)
            call = re.match(r"([\w\-]+)\(([^)]*)\)", rest)
            operands = re.findall(r"%([\w.\-]+)", call[2]) if call else []
            current.append(Instruction(name.lstrip("%"), type_, call[1] if call else "?", operands, rest))
    return found


def _type_and_rest(value: str) -> tuple[str, str]:
    depth = 0
    for place, letter in enumerate(value):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and depth == 0:
            return value[:place], value[place + 1 :]
    return value, ""


def num_bytes(type_: str) -> int:
    """Bytes of the arrays of a type."""
    total = 0
    for name, sizes in re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", type_):
        total += _BYTES.get(name, 0) * int(np.prod([int(size) for size in sizes.split(",") if size]))
    return total


class Loop(NamedTuple):
    """The body of the longest loop at the program's outermost level."""

    num_kernels: int
    num_bytes: int
    """Read and written by its kernels."""


def loop_of(parts: dict[str, list[Instruction]]) -> Loop | None:
    """The loop over steps of a program that trains; None without loops."""
    bodies = []
    for instruction in parts["ENTRY"]:
        if instruction.operation == "while":
            body = re.search(r"body=%?([\w.\-]+)", instruction.line)
            assert body is not None
            own = parts[body[1]]
            types = {each.name: each.type for each in own}
            work = [each for each in own if each.operation not in _FREE]
            moved = sum(num_bytes(each.type) + sum(num_bytes(types.get(o, "")) for o in each.operands) for each in work)
            bodies.append(Loop(len(work), moved))
    return max(bodies, default=None)


def num_rounded_products(text: str) -> int:
    """Products of float32 in an optimized program whose factors may be rounded, to TF32 on GPUs."""
    products = re.findall(r"^.* = f32\[.* (?:dot|convolution)\(.*$", text, re.M)
    rounded = [line for line in products if "operand_precision={highest,highest}" not in line]
    calls = re.findall(r'custom_call_target="__cublas[^\n]*', text)
    return len(rounded) + len([line for line in calls if '"operand_precision":["HIGHEST","HIGHEST"]' not in line])


def num_rounded_at_first(lowered: str) -> int:
    """The same of a program as JAX gives it. A compiler for TPUs makes products of bfloat16 of those of float64, of
    parts that are so short that nothing is rounded; its optimized programs do not tell these from others."""
    products = re.findall(r"stablehlo\.(?:dot_general|convolution) [^\n]*", lowered)
    return len([line for line in products if "f32>" in line and "precision = [HIGHEST, HIGHEST]" not in line])


def num_double_operations(lowered: str) -> int:
    """Operations in float64 of a program as JAX gives it; a compiler for TPUs leaves none, but float32 that emulates
    them."""
    moves = "constant|convert|broadcast_in_dim|reshape|slice|transpose|concatenate|return|while|case|iota"
    return len(re.findall(rf"= stablehlo\.(?!(?:{moves})\b)\w+ [^\n]*f64>", lowered))
