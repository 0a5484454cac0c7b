"""What do jaxgeom's programs become on an H100 and on a TPU v5e? Compiled on a machine that has neither.

Nothing is run: XLA compiles for a description of the device, with the compilers that would be used there. For each
program this says how many kernels one step of training (the body of its loop) has, how many bytes they move a step and
network, how much memory is needed beside arguments and results, how many registers the kernels take and whether any
are spilled, how many operations are float64 (TPUs emulate these), and how many float32 products may be rounded (to
TF32 on GPUs, to bfloat16 on TPUs). Of training on the H100 there is an estimate, the larger of its kernels' time and
its memory's. What differs from the last record by a tenth is printed.

- training: the workloads of ``training.py`` and a wide network, in chunks of several sizes;
- persistent: the kernel that keeps networks on chip;
- programs: every public function that can be part of a program, the table of ``tests/programs.py``.

    python -m venv ahead && ahead/bin/pip install -e ".[test]"     # in an environment of its own
    ahead/bin/python benchmarks/compiled.py                        # which says what is missing

There is no rival and nothing to agree with: the programs are those that the tests export.
"""

import argparse
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before JAX is imported: the plugins are for compiling alone, and assembly goes to ptxas in files, which can be read.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_gpu_enable_libnvptxcompiler=false --xla_gpu_enable_libnvjitlink=false"

import jax
import numpy as np
import optax
from _ahead import (
    TARGETS,
    compiled_for,
    computations,
    loop_of,
    missing,
    num_double_operations,
    num_rounded_at_first,
    num_rounded_products,
)
from _record import environment, write_json

import jaxgeom as jg

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

SIZES = {"A": (4096, 65536), "B2": (4096, 65536), "B20": (4096, 65536), "B100": (4096,), "C": (4096,), "wide": (64,)}
"""Networks of a chunk."""
KERNEL_SECONDS, BYTES_A_SECOND = 2.2e-6, 3.0e12
"""An H100's, as others have measured them: a kernel inside of a CUDA graph, and its memory. Where XLA makes no graph of
the loop, a kernel takes two to three times as long; what stays in its second cache goes nearly twice as fast."""
TINY = {"B2": (32,)}
SECTIONS = ("training", "persistent", "programs")
COMPARED = ("kernels", "bytes_a_network", "temporary_bytes", "registers", "spilled_bytes", "float64", "rounded")


def relu(*features: int) -> jg.Model:
    return jg.mlp(features, activation="relu", init="pytorch")


def workload(name: str, **more: Any) -> Callable[[Any], jg.Fit]:
    """One network's training, from its key."""
    spirals, losses = jg.spirals(jax.random.key(0), num_per_class=800), jg.losses
    xor, rings = jg.parity(2), jg.rings(jax.random.key(0))
    batches = {"num_epochs": 10, "batch_size": 32}
    if name == "A":
        given: Any = relu(2, 10, 10, 3), optax.adamw(1e-3), losses.softmax_cross_entropy, spirals, batches
    elif name == "wide":
        given = relu(2, 256, 256, 3), optax.adamw(1e-3), losses.softmax_cross_entropy, spirals, batches
    elif name == "C":
        given = relu(2, 16, 1), optax.adam(1e-2), losses.binary_cross_entropy, rings, {"num_epochs": 500}
    else:
        given = relu(2, int(name[1:]), 1), optax.sgd(0.1), losses.squared_error, xor, {"num_epochs": 500}
    *start, options = given
    return lambda key: jg.fit(key, *start, record=None, **options, **more)


def training_programs(sizes: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, int, Callable[..., Any], Any]]:
    for name, numbers in sizes.items():
        for number in numbers:
            keys = jax.ShapeDtypeStruct((number, 2), np.uint32)
            yield f"{name}, {number:,} networks", number, jax.vmap(workload(name)), (keys,)


def persistent_programs(sizes: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, int, Callable[..., Any], Any]]:
    """Training by one kernel that keeps each network on chip, of which no loop is seen."""
    if "persistent" in inspect.signature(jg.fit).parameters:
        for name in ("B2", "B20"):
            if name in sizes:
                keys = jax.ShapeDtypeStruct((4096, 2), np.uint32)
                yield f"{name}, persistent", 4096, jax.vmap(workload(name, persistent=True)), (keys,)


def other_programs(only: tuple[str, ...] | None) -> Iterator[tuple[str, int, Callable[..., Any], Any]]:
    from programs import PROGRAMS

    for name, program in PROGRAMS.items():
        if not program.calls_host and (only is None or name in only):
            yield name, 1, program.function, program.arguments


def described(target: str, num_networks: int, function: Callable[..., Any], arguments: Any) -> dict[str, Any]:
    """What the record says of a program."""
    try:
        program = compiled_for(target, function, arguments)
    except Exception as error:
        return {"error": re.sub(r"\s+", " ", f"{type(error).__name__}: {error}")[:300]}
    loop = loop_of(computations(program.text))
    row = {
        "kernels": None if loop is None else loop.num_kernels,
        "bytes_a_network": None if loop is None else round(loop.num_bytes / num_networks),
        "temporary_bytes": program.temporary_bytes,
        "float64": num_double_operations(program.lowered),
        "rounded": num_rounded_products(program.text) if target == "h100" else num_rounded_at_first(program.lowered),
        "lower_seconds": round(program.lower_seconds, 2),
        "compile_seconds": round(program.compile_seconds, 2),
    }
    if target == "h100" and loop is not None:
        seconds = max(loop.num_kernels * KERNEL_SECONDS, loop.num_bytes / BYTES_A_SECOND)
        row["estimated_model_steps_a_second"] = round(num_networks / seconds)
    if program.kernels is not None:
        row["registers"] = max((kernel.registers for kernel in program.kernels), default=None)
        row["spilled_bytes"] = sum(kernel.spilled_bytes for kernel in program.kernels)
        row["assembled"] = len(program.kernels)
    return row


def differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """What has changed by a tenth, in either direction, or from or to nothing."""
    for section in SECTIONS:
        for name, targets in new.get(section, {}).items():
            for target, row in targets.items():
                before = old.get(section, {}).get(name, {}).get(target, {})
                if ("error" in before) != ("error" in row) and before:
                    yield f"{name} for {target}: {row.get('error', 'compiles again')}"
                for key in COMPARED:
                    a, b = before.get(key), row.get(key)
                    if a is not None and b is not None and abs(a - b) > 0.1 * min(a, b):
                        yield f"{name} for {target}: {key} {a:,} before, {b:,} now"


def line(name: str, target: str, row: dict[str, Any]) -> str:
    if "error" in row:
        return f"{name:<42}{target:>5}  {row['error']}"
    words = [f"{name:<42}{target:>5}{row['kernels'] or '-':>8}{row['bytes_a_network'] or '-':>10}"]
    words += [f"{row['temporary_bytes'] / 1e6:>9.1f}{row.get('registers') or '-':>10}"]
    words += [
        f"{row.get('spilled_bytes', '-'):>10}{row['float64']:>8}{row['rounded']:>8}{row['compile_seconds']:>8.1f}"
    ]
    return "".join(words)


HEAD = f"{'program':<42}{'for':>5}{'kernels':>8}{'B/network':>10}{'temp. MB':>9}{'registers':>10}{'spilled B':>10}"
HEAD += f"{'float64':>8}{'rounded':>8}{'seconds':>8}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a few programs; passes where nothing is installed")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="the rest stays")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--out", default="benchmarks/results/compiled.json", help="JSON file; default %(default)s")
    given = parser.parse_args()
    wanted = {target: missing(target) for target in given.targets}
    targets = [target for target, needs in wanted.items() if needs is None]
    for target, needs in wanted.items():
        if needs is not None:
            print(f"nothing is compiled for {target}, whose compiler is not installed: {needs}", file=sys.stderr)
    if not targets:
        sys.exit(0 if given.tiny else 1)
    out = Path(given.out)
    old = json.loads(out.read_text()) if out.exists() else {}
    present = environment(("jax-cuda13-plugin", "nvidia-cuda-nvcc", "libtpu"))
    record: dict[str, Any] = {"environment": old.get("environment", {}) | dict.fromkeys(given.only, present)}
    record |= {name: {} if name in given.only else old.get(name, {}) for name in SECTIONS}
    programs = {
        "training": lambda: training_programs(TINY if given.tiny else SIZES),
        "persistent": lambda: persistent_programs(TINY if given.tiny else SIZES),
        "programs": lambda: other_programs(("mlp apply", "canonical_form") if given.tiny else None),
    }
    print(HEAD)
    for section in given.only:
        for name, number, function, arguments in programs[section]():
            rows = record[section][name] = {}
            for target in targets:
                rows[target] = described(target, number, function, arguments)
                print(line(name, target, rows[target]), flush=True)
            write_json(given.out, record)
    if old:
        print("\n".join(differences(old, record)) or "as the last record says", flush=True)


if __name__ == "__main__":
    main()
