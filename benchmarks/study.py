"""How long does a large study take, what does it cost to save it, and does it survive being killed?

- The study: networks 2-W-1 with 20 widths and 500 seeds each learn XOR; exact region counts at 20 steps of the training
  of every network, 200,000 in all, saved chunk by chunk. In a process of its own, whose peak memory is recorded.
- The overhead: the same study without a directory and without a progress bar, in this process, against the same work
  done by hand with ``fit_population`` and ``count_regions``: seconds of processor time of the whole process, in turns.
- Kills: a study of a tenth of the seeds is started and killed (kill -9) after a random time, ten times, each time in a
  directory of its own. The same command then finishes it: no chunk that was there may be written anew, and the arrays
  must be those of an uninterrupted run, to the bit.

The exit status is 1 if they are not.

    python benchmarks/study.py
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import optax
from _record import environment, write_json

import jaxgeom as jg

FULL = {"widths": list(range(5, 101, 5)), "seeds": 500, "steps": list(range(0, 96, 5)), "kills": 10}
TINY = {"widths": [3, 5], "seeds": 32, "steps": [0, 20], "kills": 1}
DOMAIN = jg.box(-1, 1)


def study(sizes: dict, out: Path | None, *, progress: bool) -> jg.Study:
    return jg.run_study(
        {"width": sizes["widths"], "seed": range(sizes["seeds"]), "learning_rate": 0.1},
        {"regions": jg.study.exact_regions(DOMAIN)},
        data=jg.parity(2),
        optimizer=optax.sgd,
        loss=jg.losses.squared_error,
        num_epochs=100,
        at_steps=sizes["steps"],
        out=out,
        progress=progress,
    )


def by_hand(sizes: dict) -> np.ndarray:
    """The counts without the study: the same keys, the same programs, nothing saved."""
    data = jg.parity(2)
    seeds = np.tile(np.arange(sizes["seeds"]), len(sizes["widths"]))
    keys = jax.vmap(lambda seed: jax.random.split(jax.random.fold_in(jax.random.key(0), seed))[0])(seeds)
    architectures = [(2, width, 1) for width in sizes["widths"] for _ in range(sizes["seeds"])]

    def run(key, features, widths):
        return jg.fit(
            key,
            jg.mlp(features, widths=widths),
            optax.sgd(0.1),
            jg.losses.squared_error,
            data,
            num_epochs=100,
            record=None,
            snapshot_steps=sizes["steps"],
        ).snapshots

    counts = np.zeros((len(keys), len(sizes["steps"])), np.int64)
    for group in jg.fit_architectures(keys, architectures, run):
        for place in range(0, len(group.members), 512):
            some = jax.tree.map(lambda leaf, place=place: leaf[place : place + 512], group.result)
            counts[group.members[place : place + 512]] = jg.count_regions(jg.layers_of(some), DOMAIN).count
    return counts.reshape(len(sizes["widths"]), sizes["seeds"], -1)


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def child(sizes: str, out: Path) -> list[str]:
    return [sys.executable, __file__, "--child", sizes, "--out", str(out)]


def whole_study(sizes: dict, name: str, directory: Path) -> dict:
    start = time.perf_counter()
    done = subprocess.run(child(name, directory), check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    megabytes, processor = map(float, done.stdout.split()[-2:])
    found = jg.study.load(directory)
    return {
        "counts": int(found.variables["regions"].size),
        "seconds": seconds,
        "processor_seconds": processor,
        "peak_megabytes": megabytes,
        "degenerate": int(found.variables["regions_degenerate"].sum()),
        "mean_regions_at_the_end": dict(
            zip(
                map(str, sizes["widths"]),
                found.variables["regions"][..., -1].mean(axis=1).round(2).tolist(),
                strict=True,
            )
        ),
    }


def overhead(sizes: dict, repeats: int) -> dict:
    seconds: dict[str, list[float]] = {"by hand": [], "study": []}
    same = []
    for number in range(repeats):
        for name in list(seconds)[:: -1 if number % 2 else 1]:
            jax.clear_caches()
            start = cpu_seconds()
            if name == "by hand":
                expected = by_hand(sizes)
            else:
                with tempfile.TemporaryDirectory() as directory:
                    found = study(sizes, Path(directory) / "study", progress=True)
            seconds[name].append(cpu_seconds() - start)
        same.append(bool(np.array_equal(found.variables["regions"], expected)))
    best = {name: min(values) for name, values in seconds.items()}
    return {"processor_seconds": seconds, "overhead": best["study"] / best["by hand"] - 1, "counts_agree": all(same)}


def killed(name: str, kills: int, directory: Path) -> dict:
    """Kill it at random moments, each time in a directory of its own; then let it finish, and compare."""
    moments, whole = random.Random(0), directory / "whole"
    start = time.perf_counter()
    subprocess.run(child(name, whole), check=True, capture_output=True)
    seconds = time.perf_counter() - start
    expected = jg.study.load(whole).variables
    num_chunks = len(list(whole.glob("chunk-*.npz")))
    found: list[dict] = []
    for number in range(kills):
        broken, moment = directory / f"broken{number}", moments.uniform(0.2, 0.95) * seconds
        process = subprocess.Popen(
            child(name, broken), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        kept = {path.name: path.stat().st_mtime_ns for path in broken.glob("chunk-*.npz")}
        subprocess.run(child(name, broken), check=True, capture_output=True)
        again = jg.study.load(broken).variables
        found.append(
            {
                "seconds": moment,
                "was_killed": process.returncode == -signal.SIGKILL,
                "chunks_saved": len(kept),
                "all_kept": all((broken / chunk).stat().st_mtime_ns == at for chunk, at in kept.items()),
                "identical": again.keys() == expected.keys()
                and all(np.array_equal(array, again[key]) for key, array in expected.items()),
            }
        )
    return {"whole_seconds": seconds, "chunks": num_chunks, "kills": found}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="benchmarks/results/study.json", help="JSON file to write")
    parser.add_argument("--tiny", action="store_true", help="a few networks, to see that it runs")
    parser.add_argument("--only", choices=["study", "overhead", "kills"], help="one part; the file keeps the others")
    parser.add_argument("--child", choices=["full", "tenth", "tiny"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes_of = {"full": FULL, "tiny": TINY, "tenth": FULL | {"seeds": FULL["seeds"] // 10}}
    if options.child:
        study(sizes_of[options.child], Path(options.out), progress=True)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        print(usage.ru_maxrss / 1000, cpu_seconds())
        return 0
    large, small = ("tiny", "tiny") if options.tiny else ("full", "tenth")
    kept = json.loads(Path(options.out).read_text()) if options.only and Path(options.out).exists() else {}
    record: dict = kept | {
        "environment": environment(["optax", "flax"]),
        "sizes": {n: sizes_of[n] for n in (large, small)},
    }
    with tempfile.TemporaryDirectory() as directory:
        if options.only in (None, "study"):
            record["study"] = whole_study(sizes_of[large], large, Path(directory) / "study")
            print(record["study"])
        if options.only in (None, "overhead"):
            record["overhead"] = overhead(sizes_of[small], 1 if options.tiny else 3)
            print(record["overhead"])
        if options.only in (None, "kills"):
            record["kills"] = killed(small, sizes_of[small]["kills"], Path(directory))
            print(record["kills"])
    write_json(options.out, record)
    kills = record.get("kills", {}).get("kills", [])
    is_right = record.get("overhead", {}).get("counts_agree", True) and all(
        kill["identical"] and kill["all_kept"] for kill in kills
    )
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
