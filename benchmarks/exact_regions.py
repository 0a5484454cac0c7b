"""How fast are regions counted and enumerated exactly? Against regioncam, a compiled exact tool, on the same weights.

Networks are drawn from PyTorch's default initialisation, the domain is [-1, 1]². regioncam takes one network at a
time on one core and decides in float32; jaxgeom takes the population in one call on all cores. Both are timed in
turns within one process, after compilation, which is reported apart; the counts are compared network by network.
jaxgeom's counts come with certainty, regioncam's float32 may differ: where they do, integer arithmetic is the referee.
For counts there is also what plain C reaches on all cores, without certainty (`regions_limit.c`, if there is a gcc),
and the memory that a call of jaxgeom adds to the process while it runs (on Linux).
Other parts: a cold start in a fresh process, with and without a warm compilation cache; and how the cost grows with
the number of regions, up to a million in one network.

    python benchmarks/exact_regions.py                   writes benchmarks/results/exact_regions.json
    python benchmarks/exact_regions.py --only cold       that part alone: counts, polygons, cold, growth, population;
                                                         the others stay in the record
    python benchmarks/exact_regions.py --tiny            try everything out in seconds; the figures mean nothing
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import _regions_limit as limit
import jax
import numpy as np
from _record import added_megabytes, environment, interleaved, write_json

import jaxgeom as jg
from jaxgeom.domains import projective_domain
from jaxgeom.regions.exact_plane import exact_count

BOX = jg.box(-1, 1)
# hidden widths, networks of jaxgeom, networks of regioncam, ratio aimed at
COUNTS = [
    ((20,), 1000, 1000, 60),
    ((100,), 1000, 20, 150),
    ((256,), 1000, 4, 500),
    ((10,) * 10, 1000, 40, 8),
    ((20,) * 5, 1000, 40, 10),
    ((32, 32), 1000, 60, 16),
    ((33, 33), 1000, 60, 16),
    ((50,) * 6, 1000, 10, 30),
    ((64,) * 3, 100, 4, 28),
    ((65,) * 3, 100, 4, 28),
    ((128, 128), 100, 3, 80),
    ((129, 129), 100, 3, 80),
    ((512, 512), 4, 1, 350),
    *((widths, 1, 1, 3) for widths in ((2,), (20,), (8, 8), (20,) * 5, (10,) * 20, (64,) * 3, (128, 128), (512, 512))),
]
POLYGONS = [((32, 32), 100, 40, 10), ((64,) * 3, 16, 4, 10), ((128, 128), 4, 2, 10)]
GROWTH = [(500,), (1000,), (2600,), (64, 64), (128, 128), (256, 256), (512, 512), (1024, 1024), (2048, 2048), (8192,)]
COLD = [(100,), (32, 32), (64,) * 3]
TINY_COUNTS = [((8,), 8, 4, 0), ((6, 6), 4, 2, 0)]
TINY_POLYGONS = [((6, 6), 4, 2, 0)]

Network = list[tuple[np.ndarray, np.ndarray]]


def population(widths: tuple[int, ...], num: int, seed: int = 0) -> jg.Layers:
    """Networks as they are drawn by default in PyTorch: weights and biases from U(±1/√fan_in)."""
    rng = np.random.default_rng([seed, *widths])
    layers = []
    for fan_in, fan_out in pairwise((2, *widths, 1)):
        bound = 1 / np.sqrt(fan_in)
        kernel = rng.uniform(-bound, bound, (num, fan_in, fan_out)).astype(np.float32)
        layers.append(jg.Dense(kernel, rng.uniform(-bound, bound, (num, fan_out)).astype(np.float32)))
    return tuple(layers)


def member(layers: jg.Layers, index: int) -> jg.Layers:
    return jax.tree.map(lambda array: array[index], layers)


def rival(layers: jg.Layers, num: int) -> Any:
    """regioncam's complexes of the first networks; it knows how many faces each has once it is built."""
    import regioncam

    built = []
    for index in range(num):
        camera = regioncam.Regioncam(size=1.0)
        for kernel, bias, *_ in member(layers, index)[:-1]:
            camera.linear(kernel, bias)
            camera.relu()
        built.append(camera.num_faces)
    return built


def rival_polygons(layers: jg.Layers, num: int) -> Any:
    """The same with the vertices of every face read out."""
    import regioncam

    built = []
    for index in range(num):
        camera = regioncam.Regioncam(size=1.0)
        for kernel, bias, *_ in member(layers, index)[:-1]:
            camera.linear(kernel, bias)
            camera.relu()
        positions = np.asarray(camera.vertex_inputs)
        built.append([positions[face.vertex_ids] for face in camera.faces])
    return [len(faces) for faces in built]


def compare(
    widths: tuple[int, ...], num: int, rivals: int, aim: float, repeats: int, *, polygons: bool
) -> dict[str, Any]:
    """Seconds a network of both, and whether the counts agree."""
    layers = population(widths, num)
    first = {}

    def timed_first(name: str, function: Any) -> Any:
        start = time.perf_counter()
        result = function()
        first[name] = time.perf_counter() - start
        return result

    if polygons:
        ours = {"jaxgeom": lambda: np.array([c.num_faces for c in jg.enumerate_population(layers, BOX)])}
        theirs = partial(rival_polygons, layers, rivals)
    else:
        given = layers if num > 1 else member(layers, 0)

        def counted(one: jg.Layers) -> Any:
            return jg.count_regions(one, BOX).count

        ours = {"jaxgeom": lambda: np.atleast_1d(jg.count_regions(given, BOX).count)}
        in_program = jax.jit(jax.vmap(counted) if num > 1 else counted)
        ours["jaxgeom in jit"] = lambda: np.atleast_1d(in_program(given))
        theirs = partial(rival, layers, rivals)
    for name, function in ours.items():
        timed_first(name, function)
    others: dict[str, Callable[[], Any]] = {"regioncam": theirs}
    seconds_of_c = []
    if limit.is_available() and not polygons:

        def in_c() -> np.ndarray:
            counts, seconds = limit.count(layers, is_careful=False)
            seconds_of_c.append(seconds)
            return counts

        others["C"] = in_c
    timings = interleaved(ours | others, repeats=repeats, max_seconds=5, least_seconds=0.02)
    counts, their_counts = timings["jaxgeom"].result, timings["regioncam"].result
    differ = [i for i in range(rivals) if counts[i] != their_counts[i]]
    referee = {
        i: exact_count(jax.tree.map(np.float64, member(layers, i)), projective_domain(BOX))[0]
        for i in differ[:3]
        if counts[i] < 3000
    }
    best = timings["regioncam"].best / rivals
    return {
        "widths": widths,
        "networks": num,
        "rival_networks": rivals,
        "mean_regions": float(np.mean(counts)),
        "seconds": {name: timings[name].best / num for name in ours}
        | {"regioncam": best}
        | ({"C": min(seconds_of_c) / num} if seconds_of_c else {}),
        "ratio": {name: best / (timings[name].best / num) for name in ours},
        "aim": aim,
        "first_call_seconds": first,
        "added_megabytes": added_megabytes(ours["jaxgeom"]),
        "counts_that_differ": len(differ),
        "c_counts_that_differ": int((timings["C"].result != counts).sum()) if seconds_of_c else None,
        "referee_agrees_with_jaxgeom": all(counts[i] == exact for i, exact in referee.items()),
        "raw": {name: timing.seconds for name, timing in timings.items()},
        "counts_in_jit_equal": all((timings[name].result == counts).all() for name in ours),
    }


def cold(widths: tuple[int, ...]) -> dict[str, Any]:
    """Seconds of a fresh process that imports jaxgeom, draws one network and counts it; twice with one cache."""
    program = (
        "import sys; sys.path.insert(0, 'benchmarks'); import exact_regions as e; "
        f"print(e.jg.count_regions(e.member(e.population({widths}, 1), 0), e.BOX).count)"
    )
    found: dict[str, Any] = {"widths": widths}
    with tempfile.TemporaryDirectory() as cache:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
        kept = clean | {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        for name, environ in (("cold", clean), ("filling the cache", kept), ("warm", kept)):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL, env=environ)
            found[name] = time.perf_counter() - start
    return found


def growth(widths: tuple[int, ...]) -> dict[str, Any]:
    """Seconds and memory for one network, after compilation."""
    network = member(population(widths, 1), 0)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        result = jg.count_regions(network, BOX)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = int(result.count)
    return {
        "widths": widths,
        "regions": count,
        "seconds": min(seconds),
        "first_seconds": seconds[0],
        "microseconds_per_region": 1e6 * min(seconds) / count,
        "peak_megabytes_of_process": peak,
    }


def big_population(num: int, widths: tuple[int, ...]) -> dict[str, Any]:
    """One call for many networks; memory must stay bounded."""
    layers = population(widths, num)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    counts = jg.count_regions(layers, BOX)
    return {
        "networks": num,
        "widths": widths,
        "seconds": time.perf_counter() - start,
        "mean_regions": float(counts.count.mean()),
        "redone_in_integers": int(counts.degenerate.sum()),
        "peak_megabytes_before": before,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="try everything out; the figures mean nothing")
    parser.add_argument("--out", default="benchmarks/results/exact_regions.json", help="default %(default)s")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of timing")
    parts = ("counts", "polygons", "cold", "growth", "population")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts, help="parts to run")
    given = parser.parse_args()
    repeats = 2 if given.tiny else given.repeats
    is_part = len(given.only) < len(parts) and Path(given.out).exists()
    record: dict[str, Any] = json.loads(Path(given.out).read_text()) if is_part else {}
    record |= {"environment": environment(("regioncam",)), "tiny": given.tiny}
    failed = False
    for part, cases in (("counts", COUNTS), ("polygons", POLYGONS)):
        if part not in given.only:
            continue
        cases = (TINY_COUNTS if part == "counts" else TINY_POLYGONS) if given.tiny else cases
        record[part] = []
        heads = ("regions", "regioncam", "jaxgeom", "C", "ratio", "aim", "in jit", "MB", "differ")
        print(f"{part:<16}" + "".join(f"{head:>11}" for head in heads))
        for widths, num, rivals, aim in cases:
            row = compare(widths, num, rivals, aim, repeats, polygons=part == "polygons")
            record[part].append(row)
            write_json(given.out, record)
            failed |= not (row["referee_agrees_with_jaxgeom"] and row["counts_in_jit_equal"])
            single, memory = row["ratio"].get("jaxgeom in jit"), row["added_megabytes"]
            times = [row["seconds"].get(name) for name in ("regioncam", "jaxgeom", "C")]
            columns = [f"{row['mean_regions']:.0f}", *("" if s is None else f"{1e3 * s:.4f} ms" for s in times)]
            columns += [f"{row['ratio']['jaxgeom']:.1f}", f"{aim}", "" if single is None else f"{single:.1f}"]
            columns += ["" if memory is None else f"{memory:.0f}", f"{row['counts_that_differ']}"]
            print(f"{'-'.join(map(str, widths)):<16}" + "".join(f"{c:>11}" for c in columns), flush=True)
    if "cold" in given.only:
        record["cold"] = [cold(widths) for widths in ([(6,)] if given.tiny else COLD)]
        for row in record["cold"]:
            print(f"{row['widths']}: {row['cold']:.1f} s in a fresh process, {row['warm']:.1f} s with a warm cache")
    if "population" in given.only:
        record["population"] = big_population(*((20, (6, 6)) if given.tiny else (10_000, (32, 32))))
        row = record["population"]
        print(f"{row['networks']} networks {row['widths']} in one call: {row['seconds']:.1f} s", end=", ")
        print(f"at most {row['peak_megabytes']:.0f} MB")
    if "growth" in given.only:
        record["growth"] = [growth(widths) for widths in ([(6, 6)] if given.tiny else GROWTH)]
        for row in record["growth"]:
            print(
                f"{row['widths']}: {row['regions']:,} regions in {row['seconds']:.3f} s, "
                f"{row['microseconds_per_region']:.2f} µs each, {row['peak_megabytes_of_process']:.0f} MB"
            )
    write_json(given.out, record)
    print("A CHECK FAILED" if failed else "all checks passed")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
