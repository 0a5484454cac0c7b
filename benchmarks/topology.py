"""What does the exact topology of decision regions take, and do rasters agree with it?

Populations of networks 2-16-16-1 that have learned an annulus, a disc with three holes, two spirals and XOR. Betti
numbers of both classes are compared with those of rasters: components and holes by flooding (SciPy) on 2,000² points,
and persistent homology of cubical complexes (gudhi, where it is installed) on fewer. A raster cannot see what is finer
than its step: where it disagrees, a finer one is asked in turn; how many then still disagree is in the record. On every
network the critical points must give the Euler characteristic of the points with f ≤ 0.

    python benchmarks/topology.py          writes benchmarks/results/topology.json
    python benchmarks/topology.py --tiny   try everything out in seconds; the figures mean nothing
"""

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from _record import environment, interleaved, write_json
from scipy import ndimage

import jaxgeom as jg

try:
    import gudhi
except ImportError:
    gudhi = None

SQUARE = jg.box(-1, 1)
TOUCHING = np.ones((3, 3))


def _spirals(x: np.ndarray) -> np.ndarray:
    radius, angle = np.hypot(*x.T), np.arctan2(x[:, 1], x[:, 0])
    return np.sin(2 * np.pi * radius - angle) > 0


TASKS = {
    "annulus": lambda x: np.abs(np.hypot(*x.T) - 0.55) < 0.2,
    "holes": lambda x: np.min([np.hypot(*(x - at).T) for at in ([-0.4, -0.3], [0.4, -0.3], [0, 0.45])], axis=0) < 0.2,
    "spirals": _spirals,
    "XOR": lambda x: x.prod(axis=1) > 0,
}
"""Where the classes are that networks learn."""


def learned(name: str, num: int, num_epochs: int) -> jg.Layers:
    """A population that has learned a task."""
    points = np.random.default_rng(0).uniform(-1, 1, (1000, 2)).astype(np.float32)
    data = jg.Dataset(points, TASKS[name](points).astype(np.int32))
    model, optimizer, loss = jg.mlp((2, 16, 16, 1)), optax.adam(1e-2), jg.losses.binary_cross_entropy

    def run(key: jax.Array) -> jg.Fit:
        return jg.fit(key, model, optimizer, loss, data, num_epochs=num_epochs, batch_size=100, record=None)

    runs = jg.fit_population(jax.random.split(jax.random.key(0), num), run)
    return jax.tree.map(np.asarray, jg.layers_of(runs.params))


def random_networks(widths: list[int], num: int) -> jg.Layers:
    """At PyTorch's initialisation."""
    rng = np.random.default_rng(1)
    return tuple(
        jg.Dense(rng.uniform(-1, 1, (num, a, b)) / a**0.5, rng.uniform(-1, 1, (num, b)) / a**0.5)
        for a, b in pairwise([*widths, 1])
    )


def member(layers: jg.Layers, index: int) -> jg.Layers:
    return jax.tree.map(lambda array: array[index], layers)


def raster(layers: jg.Layers, num: int) -> np.ndarray:
    """Whether f > 0 at the points of a grid, borders included."""
    at = np.linspace(-1, 1, num)
    rows = []
    for block in np.array_split(at, max(1, num // 100)):
        states = np.stack(np.meshgrid(block, at, indexing="ij"), axis=-1).reshape(-1, 2)
        for layer in layers[:-1]:
            states = np.maximum(states @ layer.kernel + layer.bias, 0)
        rows.append((states @ layers[-1].kernel + layers[-1].bias > 0).reshape(len(block), num))
    return np.concatenate(rows)


def by_flooding(is_above: np.ndarray) -> list[list[int]]:
    """Components and holes of f ≤ 0, whose pixels touch also at corners, and of f > 0."""
    found = []
    for region, own, others in ((~is_above, TOUCHING, None), (is_above, None, TOUCHING)):
        labels, num = ndimage.label(~region, others)
        border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
        found.append([ndimage.label(region, own)[1], num - np.count_nonzero(border)])
    return np.array(found).T.tolist()


def by_gudhi(is_above: np.ndarray) -> list[list[int]]:
    """The same from persistent homology: closed pixels of f ≤ 0, and f > 0 between neighbouring points."""
    found = []
    for values in ({"top_dimensional_cells": is_above * 1.0}, {"vertices": 1.0 - is_above}):
        cells = gudhi.CubicalComplex(**values)
        cells.compute_persistence(homology_coeff_field=2, min_persistence=0)
        found.append([int(number) for number in cells.persistent_betti_numbers(0.5, 0.5)[:2]])
    return np.array(found).T.tolist()


def compare(layers: jg.Layers, sizes: list[int], gudhi_size: int) -> dict[str, Any]:
    """How many networks of a population have the Betti numbers of a raster."""
    num = len(layers[0].bias)
    found, points = jg.topology(layers, SQUARE), jg.critical_points(layers, SQUARE)
    exact = np.stack([found.num_components, found.num_holes], axis=1).tolist()
    for index in range(num):
        index_sum = (points[index].multiplicity[points[index].value <= 0] @ [1, -1, 1]).sum()
        assert index_sum == exact[index][0][0] - exact[index][1][0]
    left, agreeing = list(range(num)), {}
    for size in sizes:
        left = [index for index in left if by_flooding(raster(member(layers, index), size)) != exact[index]]
        agreeing[f"{size:,}²"] = num - len(left)
    record = {"networks": num, "agreeing_with_flooding": agreeing, "disagreeing": left}
    if gudhi is not None:
        own = [by_gudhi(raster(member(layers, index), gudhi_size)) for index in range(num)]
        same = [by_flooding(raster(member(layers, index), gudhi_size)) for index in range(num)]
        assert own == same
        record["agreeing_with_gudhi"] = {f"{gudhi_size:,}²": sum(a == b for a, b in zip(own, exact, strict=True))}
    record["mean_holes"] = found.num_holes.mean(axis=0).tolist()
    record["mean_components"] = found.num_components.mean(axis=0).tolist()
    return record


def times(layers: jg.Layers, sizes: list[int], gudhi_size: int, repeats: int) -> dict[str, float]:
    """Seconds a network: of all of a population at once, and of rasters of its first members."""
    num, some = len(layers[0].bias), [member(layers, index) for index in range(3)]
    candidates = {
        "topology": lambda: jg.topology(layers, SQUARE),
        "critical points": lambda: jg.critical_points(layers, SQUARE),
        f"flooding, {sizes[0]:,}²": lambda: [by_flooding(raster(one, sizes[0])) for one in some],
    }
    if gudhi is not None:
        candidates[f"gudhi, {gudhi_size:,}²"] = lambda: [by_gudhi(raster(one, gudhi_size)) for one in some]
    timings = interleaved(candidates, repeats=repeats, max_seconds=20)
    return {
        name: timing.best / (num if name in ("topology", "critical points") else 3) for name, timing in timings.items()
    }


def growth(widths: list[int], repeats: int) -> dict[str, Any]:
    """Seconds of one network at PyTorch's initialisation, and how many cells it has."""
    layers, domain = member(random_networks(widths, 1), 0), jg.box(-1, 1, dim=widths[0])
    timings = interleaved({"topology": lambda: jg.topology(layers, domain)}, repeats=repeats, max_seconds=20)
    regions = int(jg.count_regions(layers, domain, cut_output=True).count)
    return {
        "regions": regions,
        "seconds": timings["topology"].best,
        "us_a_region": 1e6 * timings["topology"].best / regions,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="try everything out in seconds")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "topology.json")
    arguments = parser.parse_args()
    is_tiny = arguments.tiny
    if gudhi is None:
        print("gudhi is left out: it is not installed (pip install gudhi)")
    num, epochs, repeats = (3, 5, 1) if is_tiny else (50, 200, 3)
    sizes, gudhi_size = ([50, 100], 40) if is_tiny else ([2000, 4000], 300)
    record: dict[str, Any] = {
        "environment": environment(("gudhi", "scipy")),
        "trained": {},
        "seconds": {},
        "growth": {},
    }
    for name in list(TASKS)[: 1 if is_tiny else None]:
        record["trained"][name] = found = compare(learned(name, num, epochs), sizes, gudhi_size)
        write_json(arguments.out, record)
        print(f"{name}: {found}", flush=True)
    if not is_tiny:
        assert not any(found["disagreeing"] for found in record["trained"].values())
    populations = {"2-16-16-1, random": random_networks([2, 16, 16], 5 if is_tiny else 1000)}
    if not is_tiny:
        populations["2-16-16-1, annulus"] = learned("annulus", 1000, epochs)
    for name, layers in populations.items():
        record["seconds"][name] = times(layers, sizes, gudhi_size, repeats)
        write_json(arguments.out, record)
        print(
            f"{name}: ms a network: { {k: round(1e3 * v, 2) for k, v in record['seconds'][name].items()} }", flush=True
        )
    shapes = (
        [[2, 8], [3, 6]]
        if is_tiny
        else [[2, 128, 128], [2, 512, 512], [2, 1400], [3, 16, 16], [3, 32, 32], [3, 64, 64]]
    )
    for widths in shapes:
        name = "-".join(map(str, [*widths, 1]))
        record["growth"][name] = found = growth(widths, repeats)
        write_json(arguments.out, record)
        print(f"{name}: {found['regions']:,} regions, {found['seconds']:.3f} s", flush=True)
    print("all checks passed")


if __name__ == "__main__":
    main()
