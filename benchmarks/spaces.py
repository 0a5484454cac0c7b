"""What does a region in three to six dimensions take? Counts on one core and on all, whole complexes, surfaces.

Networks at PyTorch's initialisation on [-1, 1]^dim. No other library counts these exactly without a commercial solver,
so there are no ratios: what is checked is that counts, the cells of complexes and Euler's relation agree, and that
volumes add up; and of surfaces that their volume is that of the cells with f > 0.

    python benchmarks/spaces.py          writes benchmarks/results/spaces.json
    python benchmarks/spaces.py --tiny   try everything out in seconds; the figures mean nothing
"""

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from _record import environment, interleaved, write_json

import jaxgeom as jg
from jaxgeom.engine import spaces
from jaxgeom.regions.cells import weights_of, with_one_axis

SHAPES = [(3, [16, 16]), (4, [8, 8]), (3, [32]), (3, [32, 32]), (3, [64, 64]), (4, [16, 16]), (5, [16]), (6, [10])]
SHAPES += [(3, [16] * 4), (3, [128, 128])]
TINY = SHAPES[:2]
SURFACES = [[16, 16], [32, 32], [64, 64, 64]]
MOST = 150_000  # regions of complexes


def network(dim: int, widths: list[int], rng: np.random.Generator) -> jg.Layers:
    """At PyTorch's initialisation."""
    draws = [(rng.uniform(-1, 1, (a, b)), rng.uniform(-1, 1, b), a**0.5) for a, b in pairwise([dim, *widths, 1])]
    return tuple(jg.Dense(kernel / size, bias / size) for kernel, bias, size in draws)


def row(dim: int, widths: list[int], rng: np.random.Generator, repeats: int) -> dict[str, Any]:
    """Microseconds a region of one network."""
    layers, domain = network(dim, widths, rng), jg.box(-1, 1, dim=dim)
    arrays, slopes = weights_of(with_one_axis(layers)), np.zeros(sum(widths))

    def count(threads: int) -> int:
        return int(spaces.count_in_box(arrays, slopes, *domain, threads=threads)[0][0])

    candidates = {"one core": lambda: count(1), "all cores": lambda: count(0)}
    num = count(0)
    if num <= MOST:
        candidates["complex"] = lambda: jg.enumerate_regions(layers, domain)
    timings = interleaved(candidates, repeats=repeats)
    assert timings["one core"].result == num
    found = {"regions": num, "us_a_region": {name: 1e6 * timing.best / num for name, timing in timings.items()}}
    if num <= MOST:
        complex_ = timings["complex"].result
        jg.check_complex(complex_)
        assert complex_.num_cells == num
        found["num_faces"] = list(complex_.num_faces)
    return found


def surface(widths: list[int], rng: np.random.Generator, repeats: int) -> dict[str, Any]:
    """Seconds for the surface on which half of the points are."""
    *hidden, last = network(3, widths, rng)
    middle = float(np.median(jg.forward((*hidden, last), rng.uniform(-1, 1, (2000, 3))).output))
    layers, domain = (*hidden, jg.Dense(last.kernel, last.bias - middle)), jg.box(-1, 1, dim=3)
    timing = interleaved({"surface": lambda: jg.decision_surface(layers, domain)}, repeats=repeats)["surface"]
    found = timing.result
    if sum(widths) < 100:
        whole = jg.enumerate_regions(layers, domain, cut_output=True)
        assert abs(whole.volume[whole.patterns[:, -1]].sum() - found.volume) < 1e-9
    return {"seconds": timing.best, "polygons": len(found.patterns), "components": found.num_components}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="try everything out in seconds")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "spaces.json")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    record: dict[str, Any] = {"environment": environment(), "shapes": {}, "surfaces": {}}
    repeats = 1 if arguments.tiny else 5
    for dim, widths in TINY if arguments.tiny else SHAPES:
        name = "-".join(map(str, [dim, *widths]))
        found = record["shapes"][name] = row(dim, widths, rng, repeats)
        times = ", ".join(f"{key} {value:.2f}" for key, value in found["us_a_region"].items())
        print(f"{name}: {found['regions']:,} regions; µs a region: {times}", flush=True)
    for widths in SURFACES[: 1 if arguments.tiny else None]:
        name = "-".join(map(str, [3, *widths, 1]))
        found = record["surfaces"][name] = surface(widths, rng, min(repeats, 3))
        print(f"surface of {name}: {found['polygons']:,} polygons in {found['seconds']:.3f} s", flush=True)
    write_json(arguments.out, record)


if __name__ == "__main__":
    main()
