"""Linear regions by relucent, which goes from region to neighbouring region by linear programs, in its own process.

Its worker processes are forks, which JAX's threads do not go well with. The process reads a network from its standard
input and writes what it found to its standard output, both as JSON; numbers are the same on both sides.
"""

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np


def version(python: str) -> str | None:
    """Which relucent an interpreter has; None without it."""
    command = [python, "-c", "import relucent; print(relucent.__version__)"]
    done = subprocess.run(command, capture_output=True, text=True)
    return None if done.returncode else done.stdout.strip()


def regions(python: str, weights: list[tuple[np.ndarray, np.ndarray]], radius: float) -> dict[str, Any]:
    """The regions that meet the cube of half-width ``radius`` around the origin, and the seconds of the search."""
    given = {"weights": [[kernel.tolist(), bias.tolist()] for kernel, bias in weights], "radius": radius}
    done = subprocess.run([python, __file__], input=json.dumps(given), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"relucent failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def _search(given: dict[str, Any]) -> dict[str, Any]:
    import relucent
    from relucent.model.model import LinearLayer, ReLULayer, ReLUNetwork

    layers: list[Any] = []
    for kernel, bias in given["weights"]:
        layers += [LinearLayer(np.array(kernel).T.copy(), np.array(bias)), ReLULayer()]
    complex_ = relucent.Complex(ReLUNetwork(layers[:-1]))
    start = time.perf_counter()
    found = complex_.bfs(cube_radius=given["radius"], cube_mode="intersect", verify=False, verbose=0)
    seconds = time.perf_counter() - start
    return {"regions": len(complex_), "seconds": seconds, "complete": bool(found.complete)}


if __name__ == "__main__":
    print(json.dumps(_search(json.load(sys.stdin))))
