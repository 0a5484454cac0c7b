"""Slices of published networks, against regioncam: is it at least five times as fast, with the same counts?

Each row is one network on a part of a plane: counting its linear regions, and making all polygons. Both get the
network on the plane (regioncam, which calculates in float32, on a square of its own that this one is scaled to) and are
timed in turns, wall-clock, the best of several rounds; all cores are jaxgeom's to use, one of which regioncam uses.
Counts are compared with each other, and with published ones where there are any. A last column is the time of the whole
slice: polygons, regions of classes and the decision boundary.

    python benchmarks/slices.py --networks DIR     writes benchmarks/results/slices.json
    python benchmarks/slices.py --only PART …      rows that have this in their names; the others stay in the record
    python benchmarks/slices.py                    a random network of the same shape alone
    python benchmarks/slices.py --splinecam PYTHON also SplineCam's polygons, of the smaller slices
    python benchmarks/slices.py --tiny             try everything out in seconds; the figures mean nothing

PYTHON is one in which splinecam can be imported (benchmarks/_splinecam.py says what that takes).
Published networks are not part of this repository. DIR may have ACASXU_experimental_v2a_1_1.npz and _3_3.npz, each with
arrays W0, b0, W1, … (row vectors times W): the collision avoidance networks of the verification literature, 5-50×6-5.
Their plane is that of the first two inputs, the others at 0, 0.3 and 0.3, on squares around (-0.2, 0) and one around 0.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _record import environment, interleaved, write_json

import jaxgeom as jg

AIM = 5.0
MOST_OF_SPLINECAM = 1_000  # regions: more take it minutes
KNOWN = {  # half-width of the square: regions, as published tools find them
    "1_1": {0.05: 531, 0.1: 4585, 0.2: 22650},
    "3_3": {0.05: 420, 0.1: 3411, 0.2: 15566},
}
KNOWN_AROUND_ZERO = {"1_1": {0.5: 52565}}
CENTER, OTHERS = (-0.2, 0.0), np.array([0, 0.3, 0.3], np.float32).astype(np.float64)


class Case(NamedTuple):
    """A network on a square of its first two inputs."""

    layers: jg.Layers
    half_width: float
    expected: int | None = None
    center: tuple[float, float] = CENTER


def read(path: Path) -> jg.Layers:
    with np.load(path) as arrays:
        num = len(arrays.files) // 2
        return tuple(jg.Dense(*(arrays[f"{kind}{i}"].astype(np.float64) for kind in "Wb")) for i in range(num))


def random(*widths: int) -> jg.Layers:
    """He's weights, and biases as large as makes many regions near the centre of the square."""
    rng = np.random.default_rng(widths)
    return tuple(
        jg.Dense(rng.normal(size=(a, b)) * np.sqrt(2 / a), 0.3 * rng.normal(size=b)) for a, b in pairwise(widths)
    )


def cases(folder: Path | None, is_tiny: bool) -> dict[str, Callable[[], Case]]:
    widths = (5, 8, 8, 8, 5) if is_tiny else (5, *[50] * 6, 5)
    found: dict[str, Callable[[], Case]] = {
        f"He, {widths[1]} × {len(widths) - 2}, ±1": lambda: Case(random(*widths), 1)
    }
    known = [(name, counts, CENTER) for name, counts in KNOWN.items()]
    known += [(name, counts, (0.0, 0.0)) for name, counts in KNOWN_AROUND_ZERO.items()]
    for name, counts, center in known if folder is not None else ():
        path = folder / f"ACASXU_experimental_v2a_{name}.npz"
        if not path.exists():
            print(f"There is no {path.name} in {folder}: its rows are left out.")
            continue
        for size, expected in counts.items():
            found[f"ACAS Xu {name}, ±{size}"] = lambda path=path, size=size, expected=expected, center=center: Case(
                read(path), size, expected, center
            )
    return found


def rival(layers: jg.Layers, case: Case, *, polygons: bool) -> int:
    """regioncam's faces on the square; with all their vertices read out, if polygons are made."""
    import regioncam

    (kernel, bias, *_), *hidden = layers[:-1]
    camera = regioncam.Regioncam(size=1.0)
    shifted = np.asarray(bias) + np.array(case.center) @ kernel
    for weights, offset in ((case.half_width * kernel, shifted), *(layer[:2] for layer in hidden)):
        camera.linear(np.asarray(weights, np.float32), np.asarray(offset, np.float32))
        camera.relu()
    if polygons:
        positions = np.asarray(camera.vertex_inputs)
        return len([positions[face.vertex_ids] for face in camera.faces])
    return int(camera.num_faces)


def of_splinecam(python: str, layers: jg.Layers, case: Case) -> dict[str, Any]:
    """Its number of polygons, and the seconds of each round, in a process of another Python."""
    arrays = {
        f"{kind}{i}": np.asarray(array)
        for i, layer in enumerate(layers)
        for kind, array in zip("Wb", layer[:2], strict=True)
    }
    program = Path(__file__).with_name("_splinecam.py")
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "network.npz", **arrays)
        numbers = map(str, (*case.center, case.half_width))
        command = [python, str(program), str(Path(folder) / "network.npz"), *numbers]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compare(case: Case, repeats: int, splinecam: str | None) -> dict[str, Any]:
    (x, y), size = case.center, case.half_width
    plane = jg.plane_along_inputs([0.0, 0.0, *OTHERS])
    layers, domain = jg.on_plane(case.layers, plane), jg.box([x - size, y - size], [x + size, y + size])
    candidates: dict[str, Callable[[], int]] = {
        "count": lambda: int(jg.count_regions(layers, domain).count),
        "polygons": lambda: jg.enumerate_regions(layers, domain).num_faces,
        "slice": lambda: jg.slice_network(case.layers, plane, domain).complex_.num_faces,
    }
    try:
        import regioncam  # noqa: F401

        candidates["regioncam count"] = lambda: rival(layers, case, polygons=False)
        candidates["regioncam polygons"] = lambda: rival(layers, case, polygons=True)
    except ImportError:
        print("regioncam is not installed (the extra 'bench'): nothing to compare with.")
    timings = interleaved(candidates, repeats=repeats, max_seconds=30)
    seconds = {name: timing.best for name, timing in timings.items()}
    counts = {name: timing.result for name, timing in timings.items()}
    ratios = {
        name: seconds[f"regioncam {name}"] / seconds[name] for name in ("count", "polygons") if len(candidates) > 3
    }
    others = {}
    if splinecam is not None and counts["count"] < MOST_OF_SPLINECAM:
        others["splinecam"] = of_splinecam(splinecam, layers, case)
    return {
        "widths": [layer.bias.shape[-1] for layer in case.layers],
        "half_width": size,
        "expected": case.expected,
        "counts": counts,
        "seconds": seconds,
        "ratio": ratios,
        "are_equal": len({*counts.values(), *([case.expected] if case.expected else [])}) == 1,
        "raw": {name: timing.seconds for name, timing in timings.items()},
        **others,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="try everything out; the figures mean nothing")
    parser.add_argument("--networks", type=Path, metavar="DIR", help="where published networks are; default: nowhere")
    parser.add_argument("--out", default="benchmarks/results/slices.json", help="default %(default)s")
    parser.add_argument("--repeats", type=int, default=7, help="rounds of timing")
    parser.add_argument("--only", nargs="+", metavar="PART", help="rows that have one of these in their names")
    parser.add_argument("--splinecam", metavar="PYTHON", help="a Python that can import splinecam; default: none")
    given = parser.parse_args()
    if given.networks is not None and not given.networks.is_dir():
        parser.error(f"--networks: there is no directory {given.networks}.")
    record: dict[str, Any] = {"rows": {}}
    if given.only and Path(given.out).exists():
        record = json.loads(Path(given.out).read_text())
    record |= {"environment": environment(("regioncam",)), "tiny": given.tiny, "aim": AIM}
    heads = ("regions", "count, ms", "regioncam", "ratio", "polygons, ms", "regioncam", "ratio", "slice, ms", "equal")
    print(f"{'':<22}" + "".join(f"{head:>13}" for head in heads))
    for name, make in cases(given.networks, given.tiny).items():
        if given.only and not any(part in name for part in given.only):
            continue
        row = compare(make(), 2 if given.tiny else given.repeats, given.splinecam)
        record["rows"][name] = row
        write_json(given.out, record)
        ms = {key: f"{1e3 * value:.2f}" for key, value in row["seconds"].items()}
        columns = [row["counts"]["count"]]
        for kind in ("count", "polygons"):
            columns += [ms[kind], ms.get(f"regioncam {kind}", ""), f"{row['ratio'].get(kind, float('nan')):.1f}"]
        late = [kind for kind, ratio in row["ratio"].items() if ratio < AIM]
        print(f"{name:<22}" + "".join(f"{c!s:>13}" for c in [*columns, ms["slice"], row["are_equal"]]), end="")
        if "splinecam" in row:
            print(f"   SplineCam {row['splinecam']['count']} in {min(row['splinecam']['seconds']):.2f} s", end="")
        print(f"   MISSES ITS AIM: {', '.join(late)}" if late and not given.tiny else "", flush=True)
    # float32 may lose regions that are smaller than its rounding: published counts decide, where there are any
    failed = [name for name, row in record["rows"].items() if row["expected"] not in (None, row["counts"]["count"])]
    failed += [name for name, row in record["rows"].items() if row["counts"]["count"] != row["counts"]["polygons"]]
    failed += [
        n for n, row in record["rows"].items() if row.get("splinecam", row["counts"])["count"] != row["counts"]["count"]
    ]
    print(f"A CHECK FAILED: {failed}" if failed else "all checks passed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
