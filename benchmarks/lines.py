"""How fast are breakpoints along lines? Against regioncam's lines, and with what the first call of a process takes.

Networks at PyTorch's initialisation; segments between random points of [-1, 1]²: one network on one segment, one
network on many, and a population on one each. regioncam cuts the same segments, one network and one segment at a time,
as networks of one input; it keeps the activations of all layers, jaxgeom positions, units and affine pieces. The counts
of both must be the same, but for networks whose breakpoints lie closer than float32, in which regioncam computes.

    python benchmarks/lines.py          writes benchmarks/results/lines.json
    python benchmarks/lines.py --tiny   try everything out in seconds; the figures mean nothing

With ``--lindex FILE`` also the learned index of VNN-COMP 2022 (nn4sys), 1-128-128-128-1, from an .npz with its weights
W0, b0, W1, … (inputs by outputs): 299 breakpoints on -10 … 10.
"""

import argparse
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
import regioncam
from _record import environment, interleaved, write_json

import jaxgeom as jg

SHAPES = {"[20]": [20], "[100]": [100], "[32, 32]": [32, 32], "[20] x 5": [20] * 5, "[64] x 3": [64] * 3}
SHAPES |= {"[512, 512]": [512, 512]}
FIRST_CALL = """
import time, numpy as np, jaxgeom as jg
rng = np.random.default_rng(0)
layers = tuple(jg.Dense(rng.normal(size=(a, b)), rng.normal(size=b)) for a, b in ((2, 32), (32, 32), (32, 1)))
start = time.perf_counter()
jg.breakpoints(layers, [-1.0, -1.0], [1.0, 1.0])
print(time.perf_counter() - start)
"""


def population(num: int, widths: list[int], rng: np.random.Generator) -> jg.Layers:
    """At PyTorch's initialisation, in float32."""
    layers = []
    for before, after in pairwise([2, *widths, 1]):
        size = 1 / np.sqrt(before)
        kernel, bias = rng.uniform(-size, size, (num, before, after)), rng.uniform(-size, size, (num, after))
        layers.append(jg.Dense(np.float32(kernel), np.float32(bias)))
    return tuple(layers)


def by_regioncam(networks: jg.Layers, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Numbers of breakpoints of each network on its own segment."""
    counts = []
    for index in range(len(networks[0].bias)):
        first, *others = jax.tree.map(lambda array, index=index: array[index], networks)
        middle, half = (start[index] + stop[index]) / 2, (stop[index] - start[index]) / 2
        line = regioncam.Regioncam1D(2.0)  # from -1 to 1
        line.linear(np.float32(half @ first.kernel)[None], np.float32(middle @ first.kernel + first.bias))
        for layer in others:
            line.relu()
            line.linear(layer.kernel, layer.bias)
        counts.append(line.num_edges - 1)
    return np.array(counts)


def rows(widths: list[int], num: int, rng: np.random.Generator) -> dict[str, Any]:
    """Microseconds a segment, and ratios, in the three cases."""
    networks = population(num, widths, rng)
    start, stop = rng.uniform(-1, 1, (2, num, 2))
    one = jax.tree.map(lambda array: array[0], networks)
    again = jax.tree.map(lambda array: np.broadcast_to(array[:1], array.shape), networks)
    cases = {
        "one network, one segment": (
            lambda: jg.breakpoints(one, start[0], stop[0]).count[None],
            lambda: by_regioncam(jax.tree.map(lambda array: array[:1], networks), start, stop),
            1,
        ),
        "one network, many segments": (
            lambda: jg.breakpoints(one, start, stop).count,
            lambda: by_regioncam(again, start, stop),
            num,
        ),
        "many networks, one segment each": (
            lambda: jg.breakpoints(networks, start[:, None], stop[:, None]).count[:, 0],
            lambda: by_regioncam(networks, start, stop),
            num,
        ),
    }
    found = {}
    for name, (ours, theirs, segments) in cases.items():
        timings = interleaved({"jaxgeom": ours, "regioncam": theirs}, repeats=5)
        mine, rival = (timings[key].result for key in ("jaxgeom", "regioncam"))
        if np.mean(mine != rival) > 0.01:
            raise AssertionError(f"{name}: jaxgeom and regioncam disagree, {mine} against {rival}")
        seconds = {key: timing.best for key, timing in timings.items()}
        found[name] = {
            "segments": segments,
            "breakpoints": int(mine.sum()),
            "segments_with_other_counts": int((mine != rival).sum()),
            "us_a_segment": {key: 1e6 * value / segments for key, value in seconds.items()},
            "us_a_breakpoint": 1e6 * seconds["jaxgeom"] / max(1, int(mine.sum())),
            "ratio": seconds["regioncam"] / seconds["jaxgeom"],
        }
        print(f"  {name}: {found[name]['ratio']:.1f} x regioncam, {found[name]['us_a_breakpoint']:.2f} µs a breakpoint")
    return found


def lindex(path: Path) -> dict[str, Any]:
    """A network that others have trained, on which rational arithmetic finds 299 breakpoints."""
    with np.load(path) as arrays:
        layers = tuple(jg.Dense(arrays[f"W{index}"][None], arrays[f"b{index}"][None]) for index in range(4))
    one = jax.tree.map(lambda array: array[0], layers)
    ends = np.array([[-10.0], [10.0]])
    candidates = {
        "jaxgeom": lambda: int(jg.breakpoints(one, *ends).count),
        "regioncam": lambda: int(by_regioncam(layers, *ends[:, None])[0]),
    }
    timings = interleaved(candidates, repeats=5)
    counts = {name: timing.result for name, timing in timings.items()}
    if set(counts.values()) != {299}:
        raise AssertionError(f"lindex has 299 breakpoints, not {counts}")
    return {"breakpoints": 299, "seconds": {name: timing.best for name, timing in timings.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="try everything out in seconds")
    parser.add_argument("--lindex", type=Path, metavar="FILE", help="weights of the learned index")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "lines.json")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    record: dict[str, Any] = {"environment": environment(("regioncam",)), "shapes": {}}
    for name, widths in list(SHAPES.items())[: 2 if arguments.tiny else None]:
        print(name)
        record["shapes"][name] = rows(widths, 5 if arguments.tiny else 20 if max(widths) > 100 else 500, rng)
    if arguments.lindex:
        record["lindex"] = lindex(arguments.lindex)
        print(f"lindex: {record['lindex']}")
    calls = [
        float(subprocess.check_output([sys.executable, "-c", FIRST_CALL])) for _ in range(1 if arguments.tiny else 3)
    ]
    record["first_call_s"] = min(calls)
    print(f"the first call of a process: {min(calls):.3f} s")
    write_json(arguments.out, record)


if __name__ == "__main__":
    main()
