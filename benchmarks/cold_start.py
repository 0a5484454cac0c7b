"""How long until a newcomer sees something? Import time, and the default command from nothing.

Every run is a process of its own, with no compilation cache. The import, and that of what training and counting need,
are timed in turns with those of the libraries below. The command is ``python -m jaxgeom xor``: 1,000 networks of each
of the widths 2, 20 and 100, trained and counted twice, table and files written.

    python benchmarks/cold_start.py            writes benchmarks/results/cold_start.json
    python benchmarks/cold_start.py --tiny     seconds only
"""

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial

from _record import environment, interleaved, write_json

LIBRARIES = "import jax, optax"
DAILY = "import jaxgeom; jaxgeom.mlp, jaxgeom.fit, jaxgeom.fit_population, jaxgeom.count_regions"


def run(*arguments: str) -> None:
    """A fresh Python process that must not fail."""
    unlike_users = ("JAX_COMPILATION_CACHE", "PYTHONDONTWRITEBYTECODE")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(unlike_users)}
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=clean)


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
    small = ["--widths", "2", "--seeds", "4", "--grid", "5", "--table-only"] if options.tiny else []
    with tempfile.TemporaryDirectory() as directory:
        study = interleaved(
            {"study": lambda: run("-m", "jaxgeom", "xor", "--quiet", "--out", directory, *small)},
            repeats=max(1, repeats // 3),
        )["study"]
    best = {name: timing.best for name, timing in imports.items()}
    record = {
        "environment": environment(("flax", "optax")),
        "settings": {"repeats": repeats, "tiny": options.tiny},
        "import_seconds": {name: timing.seconds for name, timing in imports.items()},
        "import_ratio": best["daily"] / best["libraries"],
        "study_seconds": study.seconds,
    }
    write_json(options.out, record)
    print(f"import jaxgeom: {best['jaxgeom']:.3f} s; with training and counting {best['daily']:.2f} s, ", end="")
    print(f"{record['import_ratio']:.2f} times '{LIBRARIES}'")
    print(f"python -m jaxgeom xor {' '.join(small)}: {min(study.seconds):.1f} s from a cold start")


if __name__ == "__main__":
    main()
