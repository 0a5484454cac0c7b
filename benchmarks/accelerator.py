"""Everything about jaxgeom on one accelerator, in one run of under ten minutes that needs no network.

    PYTHONUNBUFFERED=1 timeout 590 python benchmarks/accelerator.py --out accelerator.jsonl
    python benchmarks/accelerator.py --smoke --out /tmp/accelerator.jsonl     the same at tiny sizes, on any machine

Every finding is one line of JSON, written at once, so that a run which is cut off loses nothing; the parts come in
order of worth, and what there is no time for says so. The rival is the same machine's CPU: a second process computes
there, meanwhile, what must not depend on the device, and the last part compares. On a machine without an accelerator
the run measures the CPU.

What is looked at: copies, products and launches (what bounds the rest); training by the scan of the general path, for
1 to 262,144 networks at once, with its kernels, memory and seconds of compiling; the persistent kernel; populations by
the size of their chunks; equal bits whatever the chunk; products in full precision against TF32 or bfloat16; exact
counts by the host's engine, alone and beside the training of the next networks; counts on grids; XLA's command buffers.
"""

import argparse
import inspect
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

# Two processes may share a device: this one, and that which tries other flags.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
if "--reference" in sys.argv:
    os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _ahead import computations, loop_of, num_rounded_products
from _record import environment

import jaxgeom as jg

FLAGS = (
    "",
    "--xla_gpu_enable_command_buffer=",
    "--xla_gpu_enable_command_buffer=+WHILE",
    "--xla_gpu_enable_command_buffer=+WHILE --xla_gpu_command_buffer_unroll_loops=true",
)
"""Flags of XLA that workload A is tried with, each in a process of its own."""
BOX = jg.box(-1, 1)


class Sizes(NamedTuple):
    """How much is done."""

    networks: tuple[int, ...]
    """Of one program."""
    epochs: dict[str, int]
    """Of each workload."""
    points: int
    """Of each spiral."""
    population: int
    """In chunks of several sizes."""
    chunks: tuple[int | None, ...]
    shapes: dict[str, tuple[tuple[int, ...], int]]
    """Hidden widths of networks that are counted, and how many of them."""
    grid: int
    """Points along each side."""
    zoo: int
    ceiling: int
    """Numbers of an array that is copied."""


FULL = Sizes(
    networks=(4096, 65536, 1, 256, 2048, 8192, 16384, 262144),
    epochs={"A": 1, "B20": 500, "B2": 500, "B100": 500, "C": 50, "wide": 1},
    points=1000,
    population=100_000,
    chunks=(None, 1024, 4096, 16384, 65536),
    shapes={
        "20": ((20,), 2000),
        "100": ((100,), 500),
        "32-32": ((32, 32), 512),
        "64-64-64": ((64,) * 3, 64),
        "20-20-20-20-20": ((20,) * 5, 128),
    },
    grid=101,
    zoo=16384,
    ceiling=2**28,
)
SMOKE = Sizes(
    networks=(24,),
    epochs={"A": 1, "B2": 20},
    points=50,
    population=48,
    chunks=(None, 17),
    shapes={"20": ((20,), 8), "8-8": ((8, 8), 8)},
    grid=11,
    zoo=16,
    ceiling=2**16,
)
MOST = {"C": 4096, "wide": 4096, "B100": 65536}
"""Networks at once, of workloads with much memory a network."""
CHECKED = {"A": 1, "B2": 200, "B20": 200, "B100": 200, "C": 20, "wide": 1}
"""Epochs after which the CPU and the accelerator are compared."""

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--smoke", "--tiny", action="store_true", help="tiny sizes, on any machine; figures mean nothing")
parser.add_argument("--out", default="accelerator.jsonl", help="lines of JSON are added to it; default %(default)s")
parser.add_argument("--budget", type=float, default=540, help="seconds; default %(default)s")
parser.add_argument("--reference", metavar="FILE", help="only: what the CPU gives, for comparison")
parser.add_argument("--flags", action="store_true", help="only: time workload A with the XLA_FLAGS of the environment")

START = time.perf_counter()


def elapsed() -> float:
    return time.perf_counter() - START


# Workloads, as in training.py


@cache
def spirals(points: int) -> jg.Dataset:
    return jg.split(jax.random.key(1), jg.spirals(jax.random.key(0), num_per_class=points))[0]


def relu(*features: int) -> jg.Model:
    return jg.mlp(features, activation="relu", init="pytorch")


def workload(name: str, epochs: int, points: int, **options: Any) -> Callable[[Any], jg.Fit]:
    """One network's training, from its key."""
    losses, batches = jg.losses, {"num_epochs": epochs, "batch_size": 32}
    if name == "A":
        adamw = optax.adamw(1e-3, weight_decay=1e-2)
        given: Any = relu(2, 10, 10, 3), adamw, losses.softmax_cross_entropy, spirals(points), batches
    elif name == "wide":
        given = relu(2, 256, 256, 3), optax.adamw(1e-3), losses.softmax_cross_entropy, spirals(points), batches
    elif name == "C":
        rings = jg.rings(jax.random.key(0))
        given = relu(2, 16, 1), optax.adam(1e-2), losses.binary_cross_entropy, rings, {"num_epochs": epochs}
    else:
        sgd, xor = optax.sgd(0.1), jg.parity(2)
        given = relu(2, int(name[1:]), 1), sgd, losses.squared_error, xor, {"num_epochs": epochs}
    *start, own = given
    return lambda key: jg.fit(key, *start, record=None, **own, **options)


def num_steps(name: str, epochs: int, points: int) -> int:
    return epochs * (len(spirals(points).x) // 32 if name in ("A", "wide") else 1)


def keys_of(num: int, seed: int = 0) -> Any:
    return jax.random.split(jax.random.key(seed), num)


def networks(hidden: tuple[int, ...], num: int) -> jg.Layers:
    layers = jg.layers_of(jax.vmap(relu(2, *hidden, 1).init)(keys_of(num, 7)))
    return jax.tree.map(np.asarray, layers)


def integer_networks(num: int) -> jg.Layers:
    """With ties of all kinds."""
    rng = np.random.default_rng(3)
    draw = lambda *shape: rng.integers(-2, 3, shape).astype(np.float32)  # noqa: E731
    return tuple(jg.Dense(draw(num, a, b), draw(num, b)) for a, b in ((2, 6), (6, 6), (6, 1)))


def flat(params: Any) -> np.ndarray:
    return np.concatenate([np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(params)], axis=1)


def answers(sizes: Sizes) -> dict[str, np.ndarray]:
    """What must not depend on the device: counts to the last one, training to rounding."""
    found = {}
    for name, epochs in CHECKED.items():
        if name in sizes.epochs:
            fit = jg.fit_population(keys_of(16, 5), workload(name, epochs, sizes.points))
            found[f"training {name}"] = flat(fit.params)
    for name, (hidden, num) in sizes.shapes.items():
        found[f"regions {name}"] = jg.count_regions(networks(hidden, min(num, 64)), BOX).count
    found["regions with ties"] = jg.count_regions(integer_networks(20), BOX).count
    counts = jg.count_grid_regions(networks((20,), 20), jg.grid_points(BOX, sizes.grid))
    found["patterns on a grid"], found["maps on a grid"] = counts
    traced = jax.jit(lambda layers: jg.count_regions(layers, BOX).count)
    found["regions inside a program"] = np.asarray(traced(networks((16, 16), 8)))
    lines = jax.jit(partial(jg.breakpoints, capacity=64))
    ends = np.float32([-1, -1]), np.float32([1, 1])
    found["breakpoints inside a program"] = np.asarray(lines(networks((16, 16), 8), *ends).count)
    return found


# Measuring


def best(function: Callable[[], Any], seconds: float = 1.0, most: int = 5) -> float:
    """Seconds of the fastest of some calls, the first of which is not counted."""
    least = 1 if timed(function) > 5 * seconds else 2
    times: list[float] = []
    while len(times) < least or (len(times) < most and sum(times) < seconds):
        times.append(timed(function))
    return min(times)


def timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


class Report(NamedTuple):
    """Lines of JSON, each written as soon as it is known."""

    path: Path

    def __call__(self, part: str, **facts: Any) -> None:
        text = json.dumps({"seconds": round(elapsed(), 1), "part": part, **facts}, default=plain)
        with self.path.open("a") as file:
            file.write(text + "\n")
        print(text if len(text) < 400 else text[:400] + " …", flush=True)


def plain(item: Any) -> Any:
    return np.asarray(item).tolist()


# The parts, in order of worth; each takes what is done, and says what it finds


def device(sizes: Sizes, say: Report, until: float) -> None:
    first = jax.devices()[0]
    memory = first.memory_stats() or {}
    about = {"kind": first.device_kind, "devices": len(jax.devices()), "bytes": memory.get("bytes_limit")}
    say("device", platform=first.platform, flags=os.environ.get("XLA_FLAGS"), **about, **environment(("flax", "optax")))


def ceilings(sizes: Sizes, say: Report, until: float) -> None:
    x = jnp.ones(sizes.ceiling, jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    say("ceilings", copied_GB_a_second=8 * x.size / best(lambda: copy(x)) / 1e9)
    side = int(sizes.ceiling ** (1 / 2)) // 2
    for dtype, precision in ((jnp.float32, "highest"), (jnp.float32, "default"), (jnp.bfloat16, "default")):
        a = jnp.ones((side, side), dtype)
        product = jax.jit(partial(jnp.matmul, precision=precision))
        rate = 2 * side**3 / best(lambda a=a, product=product: product(a, a)) / 1e12
        say("ceilings", product=jnp.dtype(dtype).name, precision=precision, teraflops=rate)
    for dtype in (jnp.float32, jnp.float64):
        with jax.enable_x64(True):
            y = jnp.ones(max(1024, sizes.ceiling // 64), dtype)

            def chain(_: int, y: Any) -> Any:
                for _ in range(64):
                    y = y * 1.0001 + 0.5
                return y

            looped = jax.jit(lambda y: jax.lax.fori_loop(0, 64, chain, y))
            rate = 2 * 64 * 64 * y.size / best(lambda: looped(y)) / 1e12  # noqa: B023
            say("ceilings", multiply_add=jnp.dtype(dtype).name, teraflops=rate)
    turns = max(10, sizes.ceiling // 2**18)
    for num in (1, 8, 27):  # sums along an axis, of which each is a kernel

        def body(_: int, z: Any, num: int = num) -> Any:
            for _ in range(num):
                z = jnp.cumsum(z) * 1e-3
            return z

        loop = jax.jit(lambda z, body=body: jax.lax.fori_loop(0, turns, body, z))
        seconds = best(lambda loop=loop: loop(jnp.ones(1024)))
        say("launches", in_the_body_of_a_loop=num, microseconds_a_turn=seconds / turns * 1e6)


def training(sizes: Sizes, say: Report, until: float) -> None:
    for num in sizes.networks:
        for name, epochs in sizes.epochs.items():
            if num > MOST.get(name, num):
                continue
            if elapsed() > until:
                say("training", workload=name, networks=num, skipped="no time")
                continue
            measure_training("training", workload(name, epochs, sizes.points), name, num, epochs, sizes, say)


def measure_training(
    part: str, run: Callable[[Any], jg.Fit], name: str, num: int, epochs: int, sizes: Sizes, say: Report
) -> None:
    """One program for so many networks; one that fails, as for want of memory, is a finding."""
    keys, steps = keys_of(num), num_steps(name, epochs, sizes.points)
    try:
        start = time.perf_counter()
        program = jax.jit(jax.vmap(run)).lower(keys).compile()
        compiled = time.perf_counter() - start
        seconds = best(lambda: program(keys))
        text, memory = program.as_text(), program.memory_analysis()
        loop = loop_of(computations(text))
        facts = {"kernels": loop and loop.num_kernels, "bytes_a_network": loop and loop.num_bytes / num}
        facts |= {"temporary_MB": memory.temp_size_in_bytes / 1e6, "rounded_products": num_rounded_products(text)}
        facts |= {"model_steps_a_second": num * steps / seconds, "microseconds_a_step": seconds / steps * 1e6}
        say(part, workload=name, networks=num, compile_seconds=compiled, **facts)
    except Exception as error:
        say(part, workload=name, networks=num, error=f"{type(error).__name__}: {error}"[:300])


def persistent(sizes: Sizes, say: Report, until: float) -> None:
    if "persistent" not in inspect.signature(jg.fit).parameters:
        return say("persistent kernel", skipped="this version has none")
    for name in ("B2", "B20"):
        for num in {*sizes.networks[:2], sizes.networks[-1]}:
            if name in sizes.epochs and elapsed() < until:
                run = workload(name, sizes.epochs[name], sizes.points, persistent=True)
                measure_training("persistent kernel", run, name, num, sizes.epochs[name], sizes, say)
    run, kernel = (workload("B2", 50, sizes.points, **options) for options in ({}, {"persistent": True}))
    keys = keys_of(256)
    off = np.abs(flat(jax.jit(jax.vmap(run))(keys).params) - flat(jax.jit(jax.vmap(kernel))(keys).params))
    say("persistent kernel", workload="B2", after_steps=50, largest_difference=off.max())
    return None


def populations(sizes: Sizes, say: Report, until: float) -> None:
    for name in [name for name in ("A", "B20", "B2") if name in sizes.epochs][:2]:
        run, keys = workload(name, sizes.epochs[name], sizes.points), keys_of(sizes.population)
        for size in sizes.chunks:
            if elapsed() < until:
                first = timed(lambda run=run, keys=keys, size=size: jg.fit_population(keys, run, chunk_size=size))
                again = timed(lambda run=run, keys=keys, size=size: jg.fit_population(keys, run, chunk_size=size))
                rate = len(keys) * num_steps(name, sizes.epochs[name], sizes.points) / again
                about = {"workload": name, "networks": len(keys), "chunk": size, "first_seconds": first}
                say("populations", **about, model_steps_a_second=rate)


def same_bits(sizes: Sizes, say: Report, until: float) -> None:
    """Of the same networks in other chunks, at other places, alone."""
    keys = keys_of(96)
    for name in [name for name in ("A", "B20", "wide") if name in sizes.epochs]:
        run = workload(name, 1 if name != "B20" else 200, sizes.points)
        given = ((keys, None), (keys, None), (keys, 17), (keys[::-1], 32), (keys[40:41], None))
        whole, again, chunks, turned, alone = (
            flat(jg.fit_population(k, run, chunk_size=size).params) for k, size in given
        )
        equal = {"again": (whole == again).all(), "chunks": (whole == chunks).all()}
        equal |= {"places": (chunks == turned[::-1]).all(), "alone": (whole[40:41] == alone).all()}
        worst = max(np.abs(whole - chunks).max(), np.abs(whole - turned[::-1]).max())
        say("same bits", workload=name, **equal, largest_difference=worst)


def precision(sizes: Sizes, say: Report, until: float) -> None:
    """What full precision costs, and what is lost without it."""
    model = relu(2, 256, 256, 3)
    params, x = model.init(jax.random.key(0)), spirals(sizes.points).x[:512]
    layers = jax.tree.map(lambda array: np.asarray(array, np.float64), jg.layers_of(params))
    h = np.asarray(x, np.float64)
    for layer in layers[:-1]:
        h = np.maximum(h @ layer.kernel + layer.bias, 0)
    exact = h @ layers[-1].kernel + layers[-1].bias
    for setting in (None, "default"):
        with jax.default_matmul_precision(setting) if setting else jax.default_matmul_precision(None):
            off = np.abs(np.asarray(jax.jit(lambda params, x: model.apply(params, x) + 0)(params, x)) - exact)
            say("precision", setting=setting, largest_error=off.max(), largest_output=np.abs(exact).max())
            if "wide" in sizes.epochs:
                run = workload("wide", 1, sizes.points)
                measure_training(f"precision {setting}", run, "wide", 256, 1, sizes, say)


def counts(sizes: Sizes, say: Report, until: float) -> None:
    """By the engine on the host's cores, whatever computes the rest."""
    for name, (hidden, num) in sizes.shapes.items():
        if elapsed() < until:
            layers = networks(hidden, num)
            first = timed(lambda layers=layers: jg.count_regions(layers, BOX))
            again = timed(lambda layers=layers: jg.count_regions(layers, BOX))
            found = jg.count_regions(layers, BOX)
            about = {"hidden": name, "networks": num, "mean_count": found.count.mean(), "first_seconds": first}
            say("exact counts", **about, microseconds_a_network=again / num * 1e6)
    shard = sizes.zoo // 8
    for num, labels in ((shard, ()), (sizes.zoo, ()), (sizes.zoo, ("regions",))):  # the first one compiles
        if elapsed() < until:
            axes = {"seed": range(num), "num_epochs": 2, "width": 10, "depth": 2}
            with tempfile.TemporaryDirectory() as folder:
                made = {"out": folder, "labels": labels, "progress": False, "shard_size": shard}
                seconds = timed(lambda axes=axes, made=made: jg.zoo(axes, **made))
            say("zoo", networks=num, labels=labels, networks_a_second=num / seconds)


def grids(sizes: Sizes, say: Report, until: float) -> None:
    points = jg.grid_points(BOX, sizes.grid)
    for name, (hidden, num) in sizes.shapes.items():
        if elapsed() < until:
            layers = networks(hidden, min(num, 256))
            first = timed(lambda layers=layers: jg.count_grid_regions(layers, points))
            again = timed(lambda layers=layers: jg.count_grid_regions(layers, points))
            each = again / min(num, 256) * 1e6
            say("grid counts", hidden=name, points=len(points), first_seconds=first, microseconds_a_network=each)


def flags(sizes: Sizes, say: Report, until: float) -> None:
    if jax.default_backend() != "gpu":
        return say("flags", skipped="these are flags for GPUs")
    for given in FLAGS:
        if elapsed() < until:
            command = [sys.executable, __file__, "--flags"] + (["--smoke"] if sizes is SMOKE else [])
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=120, env=os.environ | {"XLA_FLAGS": given}
            )
            say(
                "flags", flags=given, found=done.stdout.strip()[-200:], error=done.stderr[-300:] * bool(done.returncode)
            )
    return None


def time_with_flags(sizes: Sizes) -> None:
    num = sizes.networks[0]
    program, keys = jax.jit(jax.vmap(workload("A", 1, sizes.points))), keys_of(num)
    print(json.dumps({"microseconds_a_step": best(lambda: program(keys)) / num_steps("A", 1, sizes.points) * 1e6}))


PARTS = {
    device: 0.05,
    ceilings: 0.1,
    training: 0.5,
    persistent: 0.6,
    same_bits: 0.65,
    precision: 0.7,
    populations: 0.8,
    counts: 0.87,
    grids: 0.9,
    flags: 0.95,
}
"""And the share of the time after which a part begins nothing new."""


def compare(reference: Path, found: dict[str, np.ndarray], say: Report) -> list[str]:
    """Lines for all answers, and what is wrong: counts that differ, or training that is not equal to rounding."""
    wrong = []
    with np.load(reference) as expected:
        for name in expected.files:
            a, b = np.asarray(found[name]), expected[name]
            off = float(np.abs(a.astype(float) - b.astype(float)).max()) if a.shape == b.shape else None
            say("against the CPU", what=name, equal=bool(off == 0), largest_difference=off)
            if off is None or (off > 0 and "training" not in name) or off > 0.1:
                wrong.append(name)
    return wrong


def main() -> None:
    given = parser.parse_args()
    sizes = SMOKE if given.smoke else FULL
    if given.reference:
        np.savez(given.reference, **answers(sizes))
        return
    if given.flags:
        time_with_flags(sizes)
        return
    jax.config.update("jax_enable_compilation_cache", False)
    say = Report(Path(given.out))
    say.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference.npz"
        command = [sys.executable, __file__, "--reference", str(reference)] + ["--smoke"] * given.smoke
        beside = subprocess.Popen(command, env=os.environ | {"JAX_PLATFORMS": "cpu"})
        failed = []
        try:
            for part, share in PARTS.items():
                try:
                    part(sizes, say, share * given.budget)
                except Exception as error:
                    failed.append(part.__name__)
                    say(
                        part.__name__,
                        error=f"{type(error).__name__}: {error}"[:600],
                        trace=traceback.format_exc()[-1500:],
                    )
            found = answers(sizes)
            beside.wait(timeout=max(10.0, given.budget + 30 - elapsed()))
            failed += compare(reference, found, say)
        finally:
            beside.kill()
    say("end", failed=failed)
    if failed:
        sys.exit(f"these parts failed, or differ from the CPU: {', '.join(failed)}")


if __name__ == "__main__":
    main()
