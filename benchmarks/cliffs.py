"""What do depth, training, quantisation and ties cost? Time a region, in multiples of what a random shallow net takes.

Each row is a population, or one network, counted in one call; beside it, in turns with it, one of as many random
networks with two hidden layers of the same width, PyTorch's weights, on a square that is as large as it takes to give
about as many regions (or 64 times the unit square). The time is wall-clock on all cores, the best of several. Counts
are compared with published ones, or with those of a C program in float64 (`regions_limit.c`, if there is a gcc) where
there are no ties; whether they are right in general is what `agreement.py` is for.

Aimed at are at most twice the shallow net's time a region for deep and published networks, five times for degenerate
ones, and 0.1 s for the larger lattice.

    python benchmarks/cliffs.py --networks DIR     writes benchmarks/results/cliffs.json
    python benchmarks/cliffs.py --only deep        rows that have this in their names; the others stay in the record
    python benchmarks/cliffs.py --tiny             try everything out in seconds; the figures mean nothing

Published networks are not part of this repository. DIR may have, each with arrays W0, b0, W1, ... (row vectors times
W): ACASXU_experimental_v2a_1_1.npz and _3_3.npz (the collision avoidance networks of the verification literature),
mnist20x20.npz (784 inputs, 20 layers of 20), tll_8_0.npz and tll_16_0.npz (lattices of VNN-COMP 2022, tllverifybench)
with tll_activations.json (for each a list of the activations of its layers). Rows of files that are not there are left
out, and a line says so.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import _families as of
import _regions_limit as limit
import numpy as np
from _record import environment, interleaved, write_json
from exact_regions import population

import jaxgeom as jg
from jaxgeom.networks.plane_domains import box_on_plane
from jaxgeom.networks.slices import on_plane, plane_through

LARGEST = 64.0  # half-width of the squares of shallow nets
IN_THE_SQUARE = {  # half-width around (-0.2, 0) on the first two inputs: regions, as published tools find them, too
    "1_1": {0.05: 531, 0.1: 4585, 0.2: 22650},
    "3_3": {0.05: 420, 0.1: 3411, 0.2: 15566},
}


class Case(NamedTuple):
    """Networks to count and what is known about them."""

    drawn: of.Drawn
    aim: float
    has_ties: bool = False  # so that the C program is no referee
    expected: int | None = None  # regions of the one network
    most_seconds: float | None = None


def one(network: of.Network | jg.Layers, domain: Any, activation: Any = "relu") -> of.Drawn:
    layers = tuple(jg.Dense(*(np.asarray(array, np.float64)[None] for array in layer[:2])) for layer in network)
    return of.Drawn(layers, domain, activation)


def read(path: Path) -> of.Network:
    with np.load(path) as arrays:
        return [(arrays[f"W{i}"], arrays[f"b{i}"]) for i in range(len(arrays.files) // 2)]


def collision_avoidance(path: Path, size: float) -> of.Drawn:
    """The slice along the first two inputs; the others are 0, 0.3 and 0.3 in float32."""
    (kernel, bias), *rest = read(path)
    fixed = np.array([0, 0.3, 0.3], np.float32).astype(np.float64) @ kernel[2:].astype(np.float64)
    return one([(kernel[:2], bias + fixed), *rest], jg.box([-0.2 - size, -size], [-0.2 + size, size]))


def digits(path: Path) -> of.Drawn:
    """The slice through three random images of 0.2 ink, as far as pixels go."""
    images = np.random.default_rng(0).random((3, 784)) ** 4
    plane = plane_through(*images)
    layers = tuple(jg.Dense(*(array.astype(np.float64) for array in layer)) for layer in read(path))
    return one(on_plane(layers, plane), box_on_plane(plane, 0, 1))


def lattice(path: Path) -> of.Drawn:
    activations = json.loads((path.parent / "tll_activations.json").read_text())
    return one(read(path), jg.box(-2, 2), tuple(activations[path.stem]))


def published(folder: Path | None) -> dict[str, Callable[[], Case]]:
    if folder is None:
        print("Without --networks DIR, the rows of published networks are left out.")
        return {}
    rows: dict[str, Callable[[], Case]] = {}
    found: dict[str, tuple[str, Callable[[Path], Case]]] = {
        f"ACAS Xu {name}, ±{size}": (
            f"ACASXU_experimental_v2a_{name}.npz",
            lambda path, size=size, expected=expected: Case(collision_avoidance(path, size), 2, expected=expected),
        )
        for name, counts in IN_THE_SQUARE.items()
        for size, expected in counts.items()
    }
    found["mnist20x20"] = "mnist20x20.npz", lambda path: Case(digits(path), 2)
    found["tll_8"] = "tll_8_0.npz", lambda path: Case(lattice(path), 5, has_ties=True, expected=433)
    found["tll_16"] = (
        "tll_16_0.npz",
        lambda path: Case(lattice(path), 5, has_ties=True, expected=3984, most_seconds=0.1),
    )
    for name, (file, make) in found.items():
        if (folder / file).exists():
            rows[name] = lambda make=make, file=file: make(folder / file)
        else:
            print(f"{name}: there is no {file} in {folder}, so this row is left out.")
    return rows


def cases(folder: Path | None, is_tiny: bool) -> dict[str, Callable[[], Case]]:
    def rows(width: int, deep: dict[int, tuple[int, int, float]], num: int) -> dict[str, Callable[[], Case]]:
        two, change = (width, width), of.change
        small, num_functions = ((4, 4), 4) if is_tiny else ((20,), 16)
        found: dict[str, Callable[[], Case]] = {}
        for each, (depth, of_deep, size) in deep.items():
            widths = (each,) * depth
            found[f"deep {each} x {depth}"] = lambda w=widths, n=of_deep: Case(of.random(*w)(n), 2)
            found[f"deep {each} x {depth}, He"] = lambda w=widths, n=of_deep, s=size: Case(he(w, n, s), 2)
        name = f"{width}-{width}"
        return found | {
            f"trained {name}": lambda: Case(of.trained(*two)(num), 5, True),
            f"trained {small[0]}": lambda: Case(of.trained(*small)(num), 5, True),
            f"int8 {name}": lambda: Case(of.quantised(of.random(*two))(num), 5, True),
            f"int8 trained {name}": lambda: Case(of.quantised(of.trained(*two))(num), 5, True),
            f"zero biases {name}": lambda: Case(of.changed(of.no_biases, *two)(num), 5, True),
            f"zero biases behind {name}": lambda: Case(of.changed(change.no_biases_behind, *two)(num), 5, True),
            f"twins {name}": lambda: Case(of.changed(change.twins, *two)(num), 5, True),
            f"multiples {name}": lambda: Case(of.changed(of.far_multiples, *two)(num), 5, True),
            f"min-max {num_functions}": lambda: Case(of.min_max(num_functions, is_linear=False)(num), 5, True),
            f"min-max {num_functions}, linear": lambda: Case(of.min_max(num_functions, is_linear=True)(num), 5, True),
        }

    if is_tiny:
        return rows(6, {6: (5, 4, 1.0)}, 4) | published(folder)
    return rows(32, {20: (20, 40, 0.2), 50: (10, 20, 0.1)}, 100) | published(folder)


def he(widths: tuple[int, ...], num: int, size: float) -> of.Drawn:
    rng = np.random.default_rng([5, *widths])
    networks = [of.change.network(rng, *widths, gain=6**0.5) for _ in range(num)]
    return of.Drawn(of.stacked(networks), jg.box(-size, size))


def shallow(drawn: of.Drawn, regions: float) -> of.Drawn:
    """As many random networks with two layers of the same width, on a square with about as many regions."""
    width = max(layer.bias.shape[-1] for layer in drawn.layers[:-1])
    layers = population((width, width), len(drawn.layers[0].bias), seed=6)
    size = 1 / 16
    while size < LARGEST and jg.count_regions(layers, jg.box(-size, size)).count.mean() < regions:
        size *= 1.25
    return of.Drawn(layers, jg.box(-size, size))


def compare(case: Case, repeats: int) -> dict[str, Any]:
    drawn = case.drawn
    found = jg.count_regions(drawn.layers, drawn.domain, activation=drawn.activation)
    beside = shallow(drawn, found.count.mean())
    timings = interleaved(
        {
            "this": lambda: jg.count_regions(drawn.layers, drawn.domain, activation=drawn.activation).count,
            "shallow": lambda: jg.count_regions(beside.layers, beside.domain).count,
        },
        repeats=repeats,
        max_seconds=10,
    )
    a_region = {name: timing.best / int(timing.result.sum()) for name, timing in timings.items()}
    differ = None
    if case.expected is not None:
        differ = int(found.count[0] != case.expected)
    elif limit.is_available() and not case.has_ties:
        differ = int((limit.count(drawn.layers, jg.polygon_vertices(drawn.domain))[0] != found.count).sum())
    return {
        "networks": len(found.count),
        "widths": [layer.bias.shape[-1] for layer in drawn.layers[:-1]],
        "mean_regions": float(found.count.mean()),
        "mean_regions_of_shallow": float(timings["shallow"].result.mean()),
        "degenerate": int(found.degenerate.sum()),
        "seconds": timings["this"].best,
        "seconds_a_region": a_region,
        "ratio": a_region["this"] / a_region["shallow"],
        "aim": case.aim,
        "most_seconds": case.most_seconds,
        "counts_that_differ": differ,
        "raw": {name: timing.seconds for name, timing in timings.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="try everything out; the figures mean nothing")
    parser.add_argument("--networks", type=Path, metavar="DIR", help="where published networks are; default: nowhere")
    parser.add_argument("--out", default="benchmarks/results/cliffs.json", help="default %(default)s")
    parser.add_argument("--repeats", type=int, default=7, help="rounds of timing")
    parser.add_argument("--only", nargs="+", metavar="PART", help="rows that have one of these in their names")
    given = parser.parse_args()
    if given.networks is not None and not given.networks.is_dir():
        parser.error(f"--networks: there is no directory {given.networks}.")
    rows = cases(given.networks, given.tiny)
    names = [name for name in rows if not given.only or any(part in name for part in given.only)]
    if not names:
        parser.error(f"no row has {' or '.join(given.only)} in its name; there are: {', '.join(rows)}.")
    record: dict[str, Any] = {}
    if len(names) < len(rows) and Path(given.out).exists():
        record = json.loads(Path(given.out).read_text())
    record |= {"environment": environment(), "tiny": given.tiny}
    has_failed = False
    heads = ("networks", "regions", "ties", "µs a region", "shallow", "regions", "ratio", "aim", "differ")
    print(f"{'':<28}" + "".join(f"{head:>12}" for head in heads))
    for name in names:
        row = compare(rows[name](), 2 if given.tiny else given.repeats)
        record.setdefault("rows", {})[name] = row
        write_json(given.out, record)
        has_failed |= bool(row["counts_that_differ"])
        times = [f"{1e6 * seconds:.3f}" for seconds in row["seconds_a_region"].values()]
        columns = [row["networks"], f"{row['mean_regions']:.0f}", row["degenerate"], *times]
        columns += [f"{row['mean_regions_of_shallow']:.0f}", f"{row['ratio']:.1f}", f"{row['aim']:g}"]
        columns += ["" if row["counts_that_differ"] is None else row["counts_that_differ"]]
        print(f"{name:<28}" + "".join(f"{column:>12}" for column in columns), end="")
        is_late = row["ratio"] > row["aim"]
        if row["most_seconds"] is not None:
            is_late = row["seconds"] > row["most_seconds"]
            print(f"   {row['seconds']:.3f} s of {row['most_seconds']}", end="")
        print("   MISSES ITS AIM" if is_late and not given.tiny else "", flush=True)
    print("A CHECK FAILED" if has_failed else "all checks passed")
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
