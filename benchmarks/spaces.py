"""What does a region in three to six dimensions take, and a surface in space? Against relucent and marching cubes.

Counts on one core and on all, and whole complexes, of networks at PyTorch's initialisation on [-1, 1]^dim. Checked are
that counts and the cells of complexes agree, Euler's relation, and that volumes add up. relucent counts the regions of
the smaller networks, with all cores and without the certificates it can add; the counts must be the same. It is left
out where it is not installed; ``--relucent`` names another interpreter that has it.

Decision surfaces of random and of trained networks: the exact one, whose volume is that of the cells with f > 0, and
those of marching cubes (scikit-image) on grids of values, computed by NumPy and by JAX in float32. Vertices of the
latter lie on edges of the grid whose ends have two signs, and so within a step of the exact surface. What is exact lies
within the diagonal of a cell from the other surface, in cells with two signs; how far it is elsewhere, where features
are finer than the grid, is in the record.

    python benchmarks/spaces.py          writes benchmarks/results/spaces.json
    python benchmarks/spaces.py --tiny   try everything out in seconds; the figures mean nothing
"""

import argparse
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import _relucent
import jax
import numpy as np
import optax
from _meshes import Mesh, distances, marching_cubes, measure, sampled, values_by_jax, values_by_numpy
from _record import environment, interleaved, write_json

import jaxgeom as jg
from jaxgeom.engine import spaces
from jaxgeom.regions.cells import weights_of, with_one_axis

SHAPES = [(3, [16, 16]), (4, [8, 8]), (3, [32]), (3, [32, 32]), (3, [64, 64]), (4, [16, 16]), (5, [16]), (6, [10])]
SHAPES += [(3, [16] * 4), (3, [128, 128])]
TINY = [(3, [4, 4]), (4, [4, 4])]
SURFACES = [[16, 16], [32, 32], [64, 64, 64]]
LEARNED = {
    "torus": lambda x: (np.hypot(x[:, 0], x[:, 1]) - 1) ** 2 + x[:, 2] ** 2 < 0.45**2,
    "shell": lambda x: np.abs(np.linalg.norm(x, axis=1) - 1) < 0.3,
    "two balls": lambda x: np.linalg.norm(np.abs(x[:, :1]) * [1, 0, 0] + x * [0, 1, 1] - [0.8, 0, 0], axis=1) < 0.6,
}
"""Which points are inside of what networks 3-32-32-1 learn."""
GRIDS = [64, 128, 256]
MOST = 150_000  # regions of complexes
MOST_BY_RELUCENT = 1_650


def network(dim: int, widths: list[int], rng: np.random.Generator) -> jg.Layers:
    """At PyTorch's initialisation."""
    draws = [(rng.uniform(-1, 1, (a, b)), rng.uniform(-1, 1, b), a**0.5) for a, b in pairwise([dim, *widths, 1])]
    return tuple(jg.Dense(kernel / size, bias / size) for kernel, bias, size in draws)


def row(dim: int, widths: list[int], rng: np.random.Generator, repeats: int, relucent: str | None) -> dict[str, Any]:
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
    if relucent and num <= MOST_BY_RELUCENT:
        theirs = _relucent.regions(relucent, [(layer.kernel, layer.bias) for layer in layers], 1.0)
        again = interleaved(candidates, repeats=repeats)  # before and after it
        if not theirs["complete"] or theirs["regions"] != num:
            raise AssertionError(f"{dim}-{widths}: {num} regions, but {theirs} by relucent")
        best = {name: min(timing.best, again[name].best) for name, timing in timings.items()}
        found["us_a_region"] = {name: 1e6 * seconds / num for name, seconds in best.items()}
        found["us_a_region"]["relucent"] = 1e6 * theirs["seconds"] / num
        found["ratio"] = {name: theirs["seconds"] / best[name] for name in ("all cores", "complex")}
    return found


def random_surface(widths: list[int], rng: np.random.Generator) -> jg.Layers:
    """A network that is positive on half of the points."""
    *hidden, last = network(3, widths, rng)
    middle = float(np.median(jg.forward((*hidden, last), rng.uniform(-1, 1, (2000, 3))).output))
    return (*hidden, jg.Dense(last.kernel, last.bias - middle))


def learned_surface(name: str, domain: jg.Box, num_epochs: int) -> jg.Layers:
    """A network that has learned what is inside."""
    points = np.random.default_rng(0).uniform(domain.low, domain.high, (4000, 3)).astype(np.float32)
    data = jg.Dataset(points, LEARNED[name](points).astype(np.int32))
    model, loss = jg.mlp((3, 32, 32, 1)), jg.losses.binary_cross_entropy
    options = {"num_epochs": num_epochs, "batch_size": 250, "record": None}
    params = jg.fit(jax.random.key(0), model, optax.adam(5e-3), loss, data, **options).params
    return tuple(jg.Dense(*map(np.float64, layer[:2])) for layer in jg.layers_of(params))


def surface(layers: jg.Layers, domain: jg.Box, grids: list[int], repeats: int) -> dict[str, Any]:
    """Seconds, and how far marching cubes are from what is exact."""
    timing = interleaved({"surface": lambda: jg.decision_surface(layers, domain)}, repeats=repeats)["surface"]
    exact = timing.result
    if sum(len(layer.bias) for layer in layers) < 100:
        whole = jg.enumerate_regions(layers, domain, cut_output=True)
        assert abs(whole.volume[whole.patterns[:, -1]].sum() - exact.volume) < 1e-9
    found: dict[str, Any] = {"seconds": timing.best, "polygons": len(exact.patterns)}
    found |= {"triangles": len(exact.triangles), "components": exact.num_components, "is_closed": exact.is_watertight}
    if measure is not None:
        found["grids"] = {str(num): on_grid(layers, domain, exact, num, repeats) for num in grids}
    return found


def on_grid(layers: jg.Layers, domain: jg.Box, exact: jg.DecisionSurface, num: int, repeats: int) -> dict[str, Any]:
    """Marching cubes on one grid."""
    values = values_by_numpy(layers, domain, num)
    candidates = {
        "surface": lambda: jg.decision_surface(layers, domain),
        "values by NumPy": lambda: values_by_numpy(layers, domain, num),
        "values by JAX": lambda: values_by_jax(layers, domain, num),
        "marching cubes": lambda: marching_cubes(values, domain),
    }
    timings = interleaved(candidates, repeats=repeats, max_seconds=3)
    np.testing.assert_allclose(timings["values by JAX"].result, values, atol=1e-4 * np.abs(values).max())
    mesh, seconds = timings["marching cubes"].result, {name: timing.best for name, timing in timings.items()}
    ours, rng = Mesh(exact.vertices, exact.triangles), np.random.default_rng(0)
    step = float((domain.high - domain.low).max() / (num - 1))
    theirs, mine = sampled(mesh, 20_000, rng), sampled(ours, 20_000, rng)
    from_theirs = distances(theirs, ours, step / 2) / step
    from_mine = distances(mine, mesh, step) / step
    is_met = has_two_signs(values, ((mine - domain.low) / step).astype(int))
    assert from_theirs[20_000:].max() <= 1.001  # vertices, with a margin for float32
    assert from_theirs.max() <= 3**0.5
    assert from_mine[is_met].max() <= 3**0.5
    fastest = min(seconds["values by NumPy"], seconds["values by JAX"]) + seconds["marching cubes"]
    found = {
        "seconds": seconds,
        "ratio": fastest / seconds["surface"],
        "triangles": len(mesh.triangles),
        "components": mesh.num_components,
        "area_error": mesh.area / exact.area - 1,
        "farthest_in_steps": {"of theirs from ours": from_theirs.max(), "of ours from theirs": from_mine.max()},
        "farther_than_a_step": float((from_mine > 1).mean()),
        "in_cells_with_one_sign": float(1 - is_met.mean()),
    }
    return found | ({"volume_error": mesh.volume / exact.volume - 1} if exact.is_watertight else {})


def has_two_signs(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Whether the corners of cells of the grid have two signs."""
    cells = np.clip(cells, 0, np.array(values.shape) - 2)
    corners = cells[:, None] + np.indices((2, 2, 2)).reshape(3, 8).T
    signs = values[tuple(np.moveaxis(corners, -1, 0))] > 0
    return signs.any(axis=1) & ~signs.all(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="try everything out in seconds")
    parser.add_argument("--relucent", default=sys.executable, metavar="PYTHON", help="an interpreter with relucent")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "spaces.json")
    arguments = parser.parse_args()
    version = _relucent.version(arguments.relucent)
    relucent = arguments.relucent if version else None
    if relucent is None:
        print("relucent is left out: it is not installed (pip install relucent)")
    if measure is None:
        print("marching cubes are left out: scikit-image is not installed (pip install scikit-image)")
    rng = np.random.default_rng(0)
    record: dict[str, Any] = {"environment": environment(("scikit-image",)), "shapes": {}, "surfaces": {}}
    record["environment"]["versions"]["relucent"] = version
    repeats = 1 if arguments.tiny else 5
    for dim, widths in TINY if arguments.tiny else SHAPES:
        name = "-".join(map(str, [dim, *widths]))
        found = record["shapes"][name] = row(dim, widths, rng, repeats, relucent)
        write_json(arguments.out, record)
        times = ", ".join(f"{key} {value:.2f}" for key, value in found["us_a_region"].items())
        print(f"{name}: {found['regions']:,} regions; µs a region: {times}", flush=True)
    learned_in = jg.box(-1.7, 1.7, dim=3)
    networks = {f"3-{'-'.join(map(str, widths))}-1, random": (widths, jg.box(-1, 1, dim=3)) for widths in SURFACES}
    networks |= {f"3-32-32-1, {name}": (name, learned_in) for name in LEARNED}
    for name, (kind, domain) in list(networks.items())[:: 3 if arguments.tiny else 1]:
        is_learned = isinstance(kind, str)
        layers = (
            learned_surface(kind, domain, 40 if arguments.tiny else 200) if is_learned else random_surface(kind, rng)
        )
        grids = [24] if arguments.tiny else GRIDS
        found = record["surfaces"][name] = surface(layers, domain, grids, min(repeats, 3))
        write_json(arguments.out, record)
        print(f"surface of {name}: {found['polygons']:,} polygons in {found['seconds']:.3f} s", flush=True)
        for num, at in found.get("grids", {}).items():
            far = max(at["farthest_in_steps"].values())
            print(
                f"  {num}³: {at['ratio']:.1f} x the time, {at['triangles']:,} triangles, area off by "
                f"{at['area_error']:.2%}, at most {far:.2f} steps apart",
                flush=True,
            )


if __name__ == "__main__":
    main()
