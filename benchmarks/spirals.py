"""How long do four networks × 64 seeds × 2,000 epochs on spirals take, compilation included?

A fresh Python process trains them with :func:`jaxgeom.train_spirals` (38 million steps; losses and accuracies of both
splits after every epoch); its wall-clock time counts, import and compilation included. What the networks have
learnt is written down too: the deep linear ones must fail and the others must not.

    python benchmarks/spirals.py
"""

import argparse
import json
import subprocess
import sys
import time

from _record import environment, write_json

CODE = """
import json, jax, jaxgeom
runs = jaxgeom.train_spirals(jax.random.key(0), {num_seeds}, num_epochs={num_epochs})
print(json.dumps({{name: [float(v) for v in run.test_accuracy[:, -1]] for name, run in runs.items()}}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="try everything out; the figures mean nothing")
    parser.add_argument("--out", default="benchmarks/results/spirals.json", help="JSON file; default %(default)s")
    given = parser.parse_args()
    sizes = {"num_seeds": 2, "num_epochs": 1} if given.tiny else {"num_seeds": 64, "num_epochs": 2000}
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", CODE.format(**sizes)], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    accuracies = json.loads(done.stdout)
    record = {"environment": environment(("flax", "optax")), **sizes, "seconds": seconds, "test_accuracy": accuracies}
    write_json(given.out, record)
    print(f"{4 * sizes['num_seeds']} networks, {sizes['num_epochs']} epochs: {seconds:.0f} s")
    for name, values in accuracies.items():
        print(f"{name:<16} test accuracy {min(values):.3f} to {max(values):.3f}")


if __name__ == "__main__":
    main()
