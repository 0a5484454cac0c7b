"""Are exact counts right? Thousands of networks of all kinds, against two references that share nothing with jaxgeom.

Every network is counted by a C program, cell by cell (`regions_limit.c`; needs gcc), and some of them, all of the
degenerate ones (dead units, twins and opposites of units, no biases, lattices of lines, small integers, tents), by
polygons cut in rational arithmetic (`tests/reference.py`). The C program decides in float64 with a tolerance:
where it differs from jaxgeom, rationals are the referee. Published closed forms and means come last.

    python benchmarks/agreement.py                       writes benchmarks/results/agreement.json
    python benchmarks/agreement.py --only "random 20"    these families alone; the others stay in the record
    python benchmarks/agreement.py --tiny                try everything out with a few networks
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _regions_limit as limit
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _record import environment, write_json
from exact_regions import member, population

import jaxgeom as jg
from jaxgeom.layers import pad_widths
from jaxgeom.losses import side_is_right, squared_error

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import reference

SQUARE = jg.box(-1, 1)
INTEGERS = np.array([-1, -0.5, 0, 0.5, 1])
MOST_FOR_REFEREE = 3000  # regions; with more, rationals take too long

Draw = Callable[[int], tuple[jg.Layers, jg.domains.Box]]


def stacked(networks: list[list[tuple[Any, Any]]]) -> jg.Layers:
    """Networks of one shape as a population, with one output that does not matter."""
    for network in networks:
        width = len(network[-1][1])
        network.append((np.ones((width, 1)), np.zeros(1)))
    return tuple(
        jg.Dense(np.stack([layer[0] for layer in layers]), np.stack([layer[1] for layer in layers]))
        for layers in zip(*networks, strict=True)
    )


def layers_of_values(rng: np.random.Generator, widths: tuple[int, ...], values: np.ndarray | None = None) -> list:
    def draw(*shape: int) -> np.ndarray:
        return rng.uniform(-1, 1, shape) if values is None else rng.choice(values, shape)

    return [(draw(a, b), draw(b)) for a, b in zip((2, *widths), widths, strict=False)]


def random(*widths: int) -> Draw:
    return lambda num: (population(widths, num, seed=1), SQUARE)


def integers(*widths: int) -> Draw:
    rng = np.random.default_rng(widths)
    return lambda num: (stacked([layers_of_values(rng, widths, INTEGERS) for _ in range(num)]), SQUARE)


def trained(*widths: int) -> Draw:
    """Networks that solve XOR, by the recipe of the XOR study."""
    model = jg.mlp((2, *widths, 1))
    data = jg.parity(2)
    optimizer = optax.sgd(0.1)

    def trial(key: jax.Array) -> jg.Trial:
        result = jg.fit(key, model, optimizer, squared_error, data, num_epochs=100, record=None)
        is_right = jnp.all(side_is_right(model.apply(result.params, data.x), data.y))
        return jg.Trial(result.params, result.initial_params, is_right & ~result.diverged, result.diverged)

    def draw(num: int) -> tuple[jg.Layers, jg.domains.Box]:
        solved = jg.fit_until_solved(jax.random.split(jax.random.key(0), num), trial, max_tries=100)
        return jax.tree.map(np.asarray, jg.layers_of(solved.params)), SQUARE

    return draw


def dead(rng: np.random.Generator, layers: list) -> list:
    return [(k, np.where(rng.random(len(b)) < 0.4, rng.choice([-9, 9], len(b)), b)) for k, b in layers]


def twins(rng: np.random.Generator, layers: list) -> list:
    for kernel, bias in layers:
        half = len(bias) // 2
        kernel[:, half:], bias[half:] = kernel[:, : len(bias) - half], bias[: len(bias) - half]
    return layers


def opposites(rng: np.random.Generator, layers: list) -> list:
    return [
        (np.concatenate([k[:, ::2], -k[:, ::2]], axis=1)[:, : len(b)], np.concatenate([b[::2], -b[::2]])[: len(b)])
        for k, b in layers
    ]


def no_biases(rng: np.random.Generator, layers: list) -> list:
    return [(kernel, 0 * bias) for kernel, bias in layers]


def lattice(rng: np.random.Generator, layers: list) -> list:
    directions = np.array([[1, 0], [0, 1], [1, 1], [1, -1]])
    first = len(layers[0][1])
    lines = (directions[rng.integers(0, 4, first)].T, rng.integers(-4, 5, first) / 4)
    return [lines, *((np.round(4 * kernel) / 4, np.round(4 * bias) / 4) for kernel, bias in layers[1:])]


def special(*widths: int) -> Draw:
    """Random networks that are made degenerate in one of five ways, in turn."""
    changes = (dead, twins, opposites, no_biases, lattice)
    rng = np.random.default_rng([1, *widths])
    return lambda num: (
        stacked([changes[index % 5](rng, layers_of_values(rng, widths)) for index in range(num)]),
        SQUARE,
    )


def tents(num: int) -> tuple[jg.Layers, jg.domains.Box]:
    """Up to eight tents, x -> 1 - |2 x - 1|, one after the other: 2^n strips."""
    first = (np.array([[2.0, 4.0], [0.0, 0.0]]), np.array([0.0, -2.0]))
    again = (np.array([[2.0, 4.0], [-2.0, -4.0]]), np.array([0.0, -2.0]))
    idle = (np.zeros((2, 2)), np.zeros(2))
    return stacked([[first] + [again] * n + [idle] * (7 - n) for n in np.arange(num) % 8]), jg.box(0, 1)


def families(is_tiny: bool) -> dict[str, tuple[Draw, int, int]]:
    """By name: how to draw them, how many, and how many of them to count in rationals."""
    if is_tiny:
        return {
            "random 6": (random(6), 10, 4),
            "random 6-6": (random(6, 6), 10, 4),
            "trained 2": (trained(2), 10, 4),
            "integers 6-6": (integers(6, 6), 10, 4),
            "degenerate 6-6": (special(6, 6), 10, 5),
        }
    return {
        "random 20": (random(20), 1000, 200),
        "random 100": (random(100), 1000, 10),
        "random 32-32": (random(32, 32), 1000, 10),
        "random 20-20-20-20-20": (random(*[20] * 5), 100, 4),
        "random 64-64-64": (random(64, 64, 64), 10, 0),
        "random 128-128": (random(128, 128), 10, 0),
        "trained 2": (trained(2), 300, 300),
        "trained 20": (trained(20), 300, 100),
        "trained 100": (trained(100), 300, 6),
        "trained 32-32": (trained(32, 32), 300, 10),
        "integers 12": (integers(12), 100, 100),
        "integers 8-8": (integers(8, 8), 100, 100),
        "integers 5-5-5": (integers(5, 5, 5), 100, 100),
        "degenerate 12": (special(12), 150, 150),
        "degenerate 8-8": (special(8, 8), 150, 150),
        "tents": (tents, 8, 8),
    }


def in_rationals(layers: jg.Layers, index: int, vertices: np.ndarray) -> int:
    return reference.exact_region_count(member(layers, index), vertices.tolist())


def compare(draw: Draw, num: int, num_rational: int) -> dict[str, Any]:
    layers, domain = draw(num)
    vertices = jg.polygon_vertices(domain)
    start = time.perf_counter()
    found = jg.count_regions(layers, domain)
    row: dict[str, Any] = {
        "networks": num,
        "widths": [layer.bias.shape[-1] for layer in layers[:-1]],
        "mean_regions": float(found.count.mean()),
        "most_regions": int(found.count.max()),
        "decided_in_integers": int(found.degenerate.sum()),
        "seconds": time.perf_counter() - start,
        "counted_in_c": 0,
        "c_differs": 0,
        "counted_in_rationals": num_rational,
    }
    rational = {index: in_rationals(layers, index, vertices) for index in range(num_rational)}
    if limit.is_available():
        by_c, row["seconds_in_c"] = limit.count(layers, vertices)
        differ = np.flatnonzero(by_c != found.count).tolist()
        row |= {"counted_in_c": num, "c_differs": len(differ)}
        for index in differ:
            if found.count[index] <= MOST_FOR_REFEREE:
                rational[index] = in_rationals(layers, index, vertices)
        row["undecided"] = len([index for index in differ if index not in rational])
    row["wrong"] = [index for index, count in rational.items() if found.count[index] != count]
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
    parser.add_argument("--out", default="benchmarks/results/agreement.json", help="default %(default)s")
    parser.add_argument("--only", nargs="+", metavar="FAMILY", help="these families; 'published' is one of them")
    given = parser.parse_args()
    cases = families(given.tiny)
    names = given.only or [*cases, "published"]
    if unknown := set(names) - {*cases, "published"}:
        parser.error(f"there is no family {', '.join(sorted(unknown))}; there are: {', '.join([*cases, 'published'])}.")
    record: dict[str, Any] = {}
    if given.only and Path(given.out).exists():
        record = json.loads(Path(given.out).read_text())
    record |= {"environment": environment(), "tiny": given.tiny, "has_c": limit.is_available()}
    if not limit.is_available():
        print("THERE IS NO gcc: most networks are counted by jaxgeom alone, and not compared with anything.")
    has_failed = False
    heads = ("networks", "regions", "integers", "in C", "differ", "rational", "WRONG")
    print(f"{'family':<24}" + "".join(f"{head:>10}" for head in heads))
    for name in names:
        if name == "published":
            continue
        draw, num, num_rational = cases[name]
        row = compare(draw, num, num_rational)
        record.setdefault("families", {})[name] = row
        write_json(given.out, record)
        has_failed |= bool(row["wrong"]) or row.get("undecided", 0) > 0
        numbers = (row["decided_in_integers"], row["counted_in_c"], row["c_differs"], row["counted_in_rationals"])
        numbers = (num, round(row["mean_regions"], 1), *numbers, len(row["wrong"]))
        print(f"{name:<24}" + "".join(f"{number:>10}" for number in numbers), end="")
        print(f"   {row['seconds']:.1f} + {row['seconds_of_references']:.1f} s", flush=True)
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
