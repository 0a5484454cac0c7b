"""How long until a newcomer sees something? Import time, and the default command from nothing.

Every run is a process of its own, with no compilation cache. The import, and that of what training and counting need,
are timed in turns with those of the libraries below. The first call that trains a population of 2-20-1 on XOR, 100
steps of Adam, is timed in turns with what one would write by hand (``_first_call.py``). The command is
``python -m jaxgeom xor``: 1,000 networks of each of the widths 2, 20 and 100, trained and counted twice, table and
files written; its seconds by the clock, and those of all cores together.

    python benchmarks/cold_start.py            writes benchmarks/results/cold_start.json
    python benchmarks/cold_start.py --tiny     seconds only
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from _record import environment, interleaved, write_json

LIBRARIES = "import jax, optax"
POPULATIONS = (1, 16, 256)
DAILY = "import jaxgeom; jaxgeom.mlp, jaxgeom.fit, jaxgeom.fit_population, jaxgeom.count_regions"


def run(*arguments: str) -> str:
    """What a fresh Python process prints that must not fail."""
    unlike_users = ("JAX_COMPILATION_CACHE", "PYTHONDONTWRITEBYTECODE")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(unlike_users)}
    done = subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.PIPE, env=clean, text=True)
    return done.stdout


def cpu_seconds() -> float:
    """Of all cores, by the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def first_calls(repeats: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by number of networks and by who trains."""
    script = str(Path(__file__).with_name("_first_call.py"))
    found: dict[str, dict[str, list[float]]] = {str(num): {"jaxgeom": [], "scan": []} for num in POPULATIONS}
    for _ in range(repeats):
        for num, by_name in found.items():
            for name, seconds in by_name.items():
                seconds.append(float(run(script, name, num)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="import runs; the command runs a third as often")
    parser.add_argument("--tiny", action="store_true", help="one import each, and a small study")
    parser.add_argument("--out", default="benchmarks/results/cold_start.json", help="where to write the record")
    options = parser.parse_args()
    repeats = 1 if options.tiny else options.repeats
    codes = {"libraries": LIBRARIES, "jaxgeom": "import jaxgeom", "daily": DAILY}
    for code in codes.values():  # compiles what is imported, as an installation does
        run("-c", code)
    imports = interleaved({name: partial(run, "-c", code) for name, code in codes.items()}, repeats=repeats)
    calls = first_calls(max(1, repeats // 2))
    small = ["--widths", "2", "--seeds", "4", "--grid", "5", "--table-only"] if options.tiny else []
    used: list[float] = []

    def study_once() -> None:
        before = cpu_seconds()
        run("-m", "jaxgeom", "xor", "--quiet", "--out", directory, *small)
        used.append(cpu_seconds() - before)

    with tempfile.TemporaryDirectory() as directory:
        study = interleaved({"study": study_once}, repeats=max(1, repeats // 3))["study"]
    best = {name: timing.best for name, timing in imports.items()}
    record = {
        "environment": environment(("flax", "optax")),
        "settings": {"repeats": repeats, "tiny": options.tiny},
        "import_seconds": {name: timing.seconds for name, timing in imports.items()},
        "import_ratio": best["daily"] / best["libraries"],
        "first_call_seconds": calls,
        "study_seconds": study.seconds,
        "study_cpu_seconds": used,
    }
    write_json(options.out, record)
    print(f"import jaxgeom: {best['jaxgeom']:.3f} s; with training and counting {best['daily']:.2f} s, ", end="")
    print(f"{record['import_ratio']:.2f} times '{LIBRARIES}'")
    for num, by_name in calls.items():
        ours, theirs = (min(by_name[name]) for name in ("jaxgeom", "scan"))
        print(f"first call, {num} networks: {ours:.2f} s; by hand {theirs:.2f} s, {theirs / ours:.1f} times that")
    print(f"python -m jaxgeom xor {' '.join(small)}: {min(study.seconds):.1f} s from a cold start, ", end="")
    print(f"{min(used):.1f} s of all cores together")


if __name__ == "__main__":
    main()
