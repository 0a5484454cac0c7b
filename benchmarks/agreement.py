"""Are exact counts right? Thousands of networks of all kinds, against two references that share nothing with jaxgeom.

Every network is counted by a C program, cell by cell (`regions_limit.c`; needs gcc), and some of each family by
polygons cut in rational arithmetic (`tests/reference.py`), which also says whether there was an exact zero. The C
program decides in float64 with a tolerance: where it differs from jaxgeom, rationals are the referee; and so they are
where jaxgeom met a zero in networks of random numbers. Networks with too many regions for rationals are compared on a
part of the square, the one where the two differ. Scales at which floats overflow are counted in rationals alone.

For some of each family, the complex is held to what it must fulfil (`_certificates.py`): V - E + F = 1, areas that add
up, patterns at centroids, kinks between neighbours; and to the regions of the rationals. Published closed forms and
means come last.

    python benchmarks/agreement.py                       writes benchmarks/results/agreement.json
    python benchmarks/agreement.py --only "random 20"    these families alone; the others stay in the record
    python benchmarks/agreement.py --small               ten networks of each family
    python benchmarks/agreement.py --tiny                try everything out with a few networks
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import _families as of
import _regions_limit as limit
import numpy as np
import reference
from _certificates import failures
from _record import environment, write_json
from exact_regions import member, population

import jaxgeom as jg
from jaxgeom.networks.layers import pad_widths

SQUARE = of.SQUARE
MOST_WORK = 5e6  # weights x layers x regions that rationals take at once: about a second


class Family(NamedTuple):
    """What to draw, and how many networks to compare in which way."""

    draw: of.Draw
    networks: int
    rational: int
    complexes: int
    is_generic: bool = False  # random real numbers: zeros have probability nil


def families() -> dict[str, Family]:
    """Those of the full run."""
    random = {
        "20": (1000, 200, 100),
        "100": (1000, 10, 10),
        "32-32": (1000, 10, 20),
        "20-20-20-20-20": (100, 4, 10),
        "64-64-64": (10, 2, 4),
        "128-128": (10, 2, 2),
    }
    deep = {
        "20 x 6": ((20,) * 6, 0.5, (100, 4, 6)),
        "20 x 8": ((20,) * 8, 0.4, (60, 4, 6)),
        "20 x 10": ((20,) * 10, 0.3, (60, 4, 4)),
        "20 x 14": ((20,) * 14, 0.25, (40, 4, 4)),
        "20 x 20": ((20,) * 20, 0.2, (40, 4, 4)),
        "50 x 6": ((50,) * 6, 0.2, (40, 4, 4)),
        "50 x 8": ((50,) * 8, 0.15, (40, 4, 4)),
        "50 x 10": ((50,) * 10, 0.1, (40, 4, 2)),
        "8 x 24": ((8,) * 24, 1.0, (200, 10, 10)),
    }
    change = of.change
    return {
        **{f"random {name}": Family(of.random(*map(int, name.split("-"))), *n, True) for name, n in random.items()},
        **{f"deep {name}": Family(of.deep(*widths, size=size), *n, True) for name, (widths, size, n) in deep.items()},
        "trained 2": Family(of.trained(2), 300, 300, 50),
        "trained 20": Family(of.trained(20), 300, 100, 50),
        "trained 100": Family(of.trained(100), 300, 6, 6),
        "trained 32-32": Family(of.trained(32, 32), 300, 10, 20),
        "quantised 20": Family(of.quantised(of.trained(20)), 300, 100, 50),
        "quantised 32-32": Family(of.quantised(of.trained(32, 32)), 300, 10, 20),
        "quantised 8-8-8": Family(of.quantised(of.random(8, 8, 8)), 300, 60, 50),
        "integers 12": Family(of.integers(12), 100, 100, 50),
        "integers 8-8": Family(of.integers(8, 8), 100, 100, 50),
        "integers 5-5-5": Family(of.integers(5, 5, 5), 100, 100, 50),
        "degenerate 12": Family(of.special(12), 150, 150, 50),
        "degenerate 8-8": Family(of.special(8, 8), 150, 150, 50),
        "tents": Family(of.tents, 8, 8, 8),
        "twins 10-10": Family(of.changed(change.twins, 10, 10), 200, 40, 40),
        "multiples 12": Family(of.changed(change.multiples, 12), 200, 100, 50),
        "multiples 8-8": Family(of.changed(of.far_multiples, 8, 8), 200, 60, 50),
        "near twins 8-8": Family(of.changed(change.slivers, 8, 8), 200, 60, 50),
        "near twins 4 x 16": Family(of.changed(change.slivers, *[4] * 16, gain=3.2, suits_doubles=False), 200, 100, 50),
        "near pairs 3 x 20": Family(
            of.changed(change.near_pairs, *[3] * 20, gain=3.2, suits_doubles=False), 400, 200, 50
        ),
        "near pairs 4 x 16": Family(
            of.changed(change.near_pairs, *[4] * 16, gain=3.2, suits_doubles=False), 400, 100, 50
        ),
        "zero biases 12-12": Family(of.changed(change.no_biases_behind, 12, 12), 200, 40, 40),
        "zero biases 8 x 4": Family(of.changed(change.no_biases_behind, 8, 8, 8, 8), 200, 40, 40),
        "bottleneck 8-1-8": Family(of.changed(of.on_quarters, 8, 1, 8), 200, 100, 50),
        "bottleneck 8-2-8": Family(of.changed(of.on_quarters, 8, 2, 8), 200, 100, 50),
        "bottleneck 6-1-6-2-6": Family(of.changed(of.on_quarters, 6, 1, 6, 2, 6), 200, 100, 50),
        "corners 20": Family(of.changed(change.through_corners, 20), 200, 60, 50),
        "corners 8-8": Family(of.changed(change.through_corners, 8, 8), 200, 60, 50),
        "min-max 8": Family(of.min_max(8, is_linear=False), 60, 10, 20),
        "min-max 16": Family(of.min_max(16, is_linear=False), 30, 2, 8),
        "min-max 8, linear": Family(of.min_max(8, is_linear=True), 10, 10, 10),
        "hair 8-8": Family(of.changed(change.hair, 8, 8, suits_doubles=False), 60, 60, 0),
        "scales of units 5-5": Family(of.changed(change.single_scales, 5, 5, suits_doubles=False), 60, 60, 0),
        "scales of layers 6-6": Family(of.changed(of.scaled, 6, 6, suits_doubles=False), 60, 60, 0),
        "scales of layers 4 x 4": Family(of.changed(of.scaled, 4, 4, 4, 4, suits_doubles=False), 60, 60, 0),
        "vanishing 5-5-5": Family(of.changed(of.vanishing, 5, 5, 5, suits_doubles=False), 60, 60, 0),
        "vanishing 3 x 10": Family(of.changed(of.vanishing, *[3] * 10, suits_doubles=False), 60, 60, 0),
    }


TINY = {
    "random 6": Family(of.random(6), 10, 4, 4, True),
    "random 6-6": Family(of.random(6, 6), 10, 4, 4, True),
    "deep 6 x 8": Family(of.deep(*[6] * 8), 10, 2, 2, True),
    "trained 2": Family(of.trained(2), 10, 4, 4),
    "quantised 6-6": Family(of.quantised(of.random(6, 6)), 10, 4, 4),
    "integers 6-6": Family(of.integers(6, 6), 10, 4, 4),
    "degenerate 6-6": Family(of.special(6, 6), 10, 5, 5),
    "multiples 4-4": Family(of.changed(of.far_multiples, 4, 4), 10, 4, 4),
    "bottleneck 5-1-5": Family(of.changed(of.on_quarters, 5, 1, 5), 10, 4, 4),
    "min-max 4": Family(of.min_max(4, is_linear=False), 4, 4, 4),
    "min-max 4, linear": Family(of.min_max(4, is_linear=True), 4, 4, 4),
    "scales of layers 3-3": Family(of.changed(of.scaled, 3, 3, suits_doubles=False), 8, 8, 0),
    "vanishing 3 x 10": Family(of.changed(of.vanishing, *[3] * 10, suits_doubles=False), 4, 4, 0),
}


def slopes_of(drawn: of.Drawn) -> list[list[int]]:
    widths = [layer.bias.shape[-1] for layer in drawn.layers[:-1]]
    names = [drawn.activation] * len(widths) if isinstance(drawn.activation, str) else drawn.activation
    return [[{"relu": 0, "linear": 1}[name]] * width for name, width in zip(names, widths, strict=True)]


def count(drawn: of.Drawn, index: int, vertices: np.ndarray) -> jg.RegionCounts:
    return jg.count_regions(member(drawn.layers, index), jg.polygon(vertices), activation=drawn.activation)


def quarters(vertices: np.ndarray) -> list[np.ndarray]:
    """Of a box, with vertices in order."""
    (x0, y0), (x2, y2) = vertices.min(axis=0), vertices.max(axis=0)
    x1, y1 = (x0 + x2) / 2, (y0 + y2) / 2
    return [
        np.array([[a, c], [b, c], [b, d], [a, d]]) for a, b in ((x0, x1), (x1, x2)) for c, d in ((y0, y1), (y1, y2))
    ]


def is_within_reach(drawn: of.Drawn, regions: int) -> bool:
    weights = sum(layer.kernel[0].size for layer in drawn.layers)
    return regions * weights * (len(drawn.layers) - 1) <= MOST_WORK


def part_within_reach(drawn: of.Drawn, index: int, vertices: np.ndarray, *, must_differ: bool) -> np.ndarray | None:
    """The box, or as small a part of it as rationals need; one where C differs, if so asked, or None."""
    regions = int(count(drawn, index, vertices).count)
    while not is_within_reach(drawn, regions):
        parts = quarters(vertices)
        ours = [int(count(drawn, index, part).count) for part in parts]
        if must_differ:
            network = tuple(jg.Dense(*(array[index : index + 1] for array in layer[:2])) for layer in drawn.layers)
            parts = [
                part for part, number in zip(parts, ours, strict=True) if limit.count(network, part)[0][0] != number
            ]
            if not parts:
                return None
            vertices, regions = parts[0], int(count(drawn, index, parts[0]).count)
        else:
            vertices, regions = parts[int(np.argmax(ours))], max(ours)
    return vertices


def wrong_in_rationals(drawn: of.Drawn, index: int, vertices: np.ndarray) -> list[str]:
    """What rationals find wrong with one network's count, flag and complex; empty if nothing."""
    layers = [tuple(np.asarray(array, np.float64) for array in layer[:2]) for layer in member(drawn.layers, index)]
    slopes = slopes_of(drawn)
    cells = reference.exact_regions(layers, vertices.tolist(), slopes)
    found = count(drawn, index, vertices)
    wrong = [] if found.count == len(cells) else [f"count {found.count}, but there are {len(cells)}"]
    if bool(found.degenerate) != reference.has_exact_zero(layers, vertices.tolist(), cells, slopes):
        wrong.append(f"degenerate is {found.degenerate}")
    complex_ = jg.enumerate_regions(member(drawn.layers, index), jg.polygon(vertices), activation=drawn.activation)
    if complex_.num_faces != len(cells) or complex_.degenerate != found.degenerate:
        wrong.append(f"the complex has {complex_.num_faces} faces, degenerate {complex_.degenerate}")
    return wrong + failures(complex_, vertices, layers if drawn.activation == "relu" else None, cells)


def wrong_complexes(drawn: of.Drawn, num: int, counts: np.ndarray) -> dict[int, list[str]]:
    """Certificates that fail, of the complexes of the first networks."""
    first = tuple(jg.Dense(*(array[:num] for array in layer[:2])) for layer in drawn.layers)
    vertices = jg.polygon_vertices(drawn.domain)
    found = {}
    for index, complex_ in enumerate(jg.enumerate_population(first, drawn.domain, activation=drawn.activation)):
        assert complex_ is not None
        layers = [tuple(np.asarray(array, np.float64) for array in layer[:2]) for layer in member(drawn.layers, index)]
        wrong = failures(complex_, vertices, layers if drawn.activation == "relu" else None)
        wrong += [] if complex_.num_faces == counts[index] else [f"{complex_.num_faces} faces, not {counts[index]}"]
        if wrong:
            found[index] = wrong
    return found


def compare(family: Family) -> dict[str, Any]:
    drawn, num = family.draw(family.networks), family.networks
    vertices = jg.polygon_vertices(drawn.domain)
    start = time.perf_counter()
    found = jg.count_regions(drawn.layers, drawn.domain, activation=drawn.activation)
    row: dict[str, Any] = {
        "networks": num,
        "widths": [layer.bias.shape[-1] for layer in drawn.layers[:-1]],
        "mean_regions": float(found.count.mean()),
        "most_regions": int(found.count.max()),
        "degenerate": int(found.degenerate.sum()),
        "seconds": time.perf_counter() - start,
        "counted_in_c": 0,
        "c_differs": 0,
    }
    differ: list[int] = []
    if limit.is_available() and drawn.suits_doubles:
        by_c, row["seconds_in_c"] = limit.count(drawn.layers, vertices)
        differ = np.flatnonzero(by_c != found.count).tolist()
        row |= {"counted_in_c": num, "c_differs": len(differ)}
    doubtful = np.flatnonzero(found.degenerate).tolist() if family.is_generic else []
    wrong: dict[int, list[str]] = wrong_complexes(drawn, family.complexes, found.count) if family.complexes else {}
    undecided = 0
    asked = sorted({*range(family.rational), *differ, *doubtful})
    for index in asked:
        part = part_within_reach(drawn, index, vertices, must_differ=index in differ)
        if part is None or (index in doubtful and part is not vertices):
            undecided += 1
        elif is_wrong := wrong_in_rationals(drawn, index, part):
            wrong[index] = wrong.get(index, []) + is_wrong
    row |= {"complexes": family.complexes, "counted_in_rationals": len(asked) - undecided, "undecided": undecided}
    row["wrong"] = wrong
    row["seconds_of_references"] = time.perf_counter() - start - row["seconds"]
    return row


# Published numbers


def mean_row(counts: np.ndarray, expected: float) -> dict[str, float]:
    return {
        "expected": expected,
        "mean": float(counts.mean()),
        "standard_errors_off": float((counts.mean() - expected) / counts.std(ddof=1) * math.sqrt(len(counts))),
    }


def normal_layers(rng: np.random.Generator, num: int, units: int, sigma: float) -> jg.Layers:
    hidden = jg.Dense(rng.normal(size=(num, 2, units)), sigma * rng.normal(size=(num, units)))
    return hidden, jg.Dense(np.ones((num, units, 1)), np.zeros((num, 1)))


def published(is_tiny: bool) -> dict[str, Any]:
    """What the literature says, and what is found: exact numbers, and means with their distance."""
    rng = np.random.default_rng(2)
    num = 40 if is_tiny else 4000
    plane = jg.whole_plane()
    rows: dict[str, Any] = {}
    in_plane = {3: 7, 5: 16} if is_tiny else {3: 7, 5: 16, 10: 56, 20: 211, 64: 2081}
    for units, expected in in_plane.items():
        layers = pad_widths(normal_layers(rng, 4, units, 1e-3), (max(in_plane),))
        rows[f"{units} lines in the plane"] = {
            "expected": expected,
            "found": sorted({*jg.count_regions(layers, plane).count.tolist()}),
        }
    for units in (20,) if is_tiny else (20, 100, 256):
        drawn = population((units,), num // (1 if units < 256 else 8), seed=3)
        rows[f"mean of {units} units on the square"] = mean_row(
            jg.count_regions(drawn, SQUARE).count, jg.mean_count_one_layer(units)
        )
    turn = 2 * np.pi * np.arange(400) / 400
    for units, sigma, radius, expected in ((10, 1, 1, 21.251), (20, 0.5, 1, 123.918), (30, 1, 2, 268.295)):
        disc = jg.polygon(radius * np.stack([np.cos(turn), np.sin(turn)], axis=1))
        layers = pad_widths(normal_layers(rng, num, units, sigma), (32,))
        rows[f"mean of {units} units in a disc of {radius}"] = mean_row(jg.count_regions(layers, disc).count, expected)
    wedge = (
        jg.Dense(np.array([[1.0, 0, 0], [0, 1, -1]]), np.zeros(3)),
        jg.Dense(np.array([[1.0, 1], [-1, 0], [1, 0]]), np.zeros(2)),
        jg.Dense(np.array([[1.0], [-1]]), np.zeros(1)),
    )
    rows["max(-y, min(0, -x))"] = {
        "expected": [5, 3, 3],
        "found": [int(jg.count_regions(wedge, SQUARE, kind=kind).count) for kind in ("activation", "linear", "map")],
    }
    if is_tiny:
        return rows
    # Not exact, and for large N: about N² / 2 in the plane at any depth.
    fan_in = [2, 32]
    layers = tuple(
        jg.Dense(rng.normal(size=(8, n, 32)) * math.sqrt(2 / n), 1e-3 * rng.normal(size=(8, 32))) for n in fan_in
    )
    deep = (*layers, jg.Dense(np.ones((8, 32, 1)), np.zeros((8, 1))))
    rows["two layers of 32 in the plane"] = {
        "about": 64**2 // 2,
        "mean": float(jg.count_regions(deep, plane).count.mean()),
    }
    return rows


def is_right(row: dict[str, Any]) -> bool:
    if "found" in row:
        return row["found"] in (row["expected"], [row["expected"]])
    # 4.5 standard errors: one in 150,000
    return "about" in row or abs(row["standard_errors_off"]) < 4.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="try everything out with a few networks")
    parser.add_argument("--small", action="store_true", help="at most ten networks of each family, two in rationals")
    parser.add_argument("--out", default="benchmarks/results/agreement.json", help="default %(default)s")
    parser.add_argument("--only", nargs="+", metavar="FAMILY", help="these families; 'published' is one of them")
    given = parser.parse_args()
    cases = TINY if given.tiny else families()
    if given.small:
        cases = {
            name: family._replace(networks=min(10, family.networks), rational=min(2, family.rational), complexes=2)
            for name, family in cases.items()
        }
    names = given.only or [*cases, "published"]
    if unknown := set(names) - {*cases, "published"}:
        parser.error(f"there is no family {', '.join(sorted(unknown))}; there are: {', '.join([*cases, 'published'])}.")
    record: dict[str, Any] = {}
    if given.only and Path(given.out).exists():
        record = json.loads(Path(given.out).read_text())
    record |= {"environment": environment(), "tiny": given.tiny or given.small, "has_c": limit.is_available()}
    if not limit.is_available():
        print("THERE IS NO gcc: most networks are counted by jaxgeom alone, and not compared with anything.")
    has_failed = False
    heads = ("networks", "regions", "zeros", "in C", "differ", "rational", "complexes", "WRONG")
    print(f"{'family':<24}" + "".join(f"{head:>10}" for head in heads))
    for name in names:
        if name == "published":
            continue
        row = compare(cases[name])
        record.setdefault("families", {})[name] = row
        write_json(given.out, record)
        has_failed |= bool(row["wrong"]) or row["undecided"] > 0
        columns = ("networks", "mean_regions", "degenerate", "counted_in_c", "c_differs", "counted_in_rationals")
        numbers = [round(row[column], 1) for column in columns] + [row["complexes"], len(row["wrong"])]
        print(f"{name:<24}" + "".join(f"{number:>10}" for number in numbers), end="")
        print(f"   {row['seconds']:.1f} + {row['seconds_of_references']:.1f} s", flush=True)
        for index, found in row["wrong"].items():
            print(f"    network {index}: {', '.join(found)}")
        if row["undecided"]:
            print(f"    C DIFFERS IN {row['undecided']} NETWORKS WITH TOO MANY REGIONS FOR RATIONALS")
    if "published" in names:
        record["published"] = published(given.tiny)
        for name, row in record["published"].items():
            has_failed |= not is_right(row)
            print(f"{name}: {', '.join(f'{key} {value}' for key, value in row.items())}", flush=True)
    write_json(given.out, record)
    print("A CHECK FAILED" if has_failed else "all checks passed")
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
