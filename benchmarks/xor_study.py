"""How much faster does jaxgeom train networks on XOR and count their linear regions than one network at a time?

The rival is the notebook procedure (one network at a time in PyTorch, eager): networks 2-W-1 are trained on XOR with
a shuffled DataLoader, MSE and 100 steps of SGD, evaluated after every epoch, and drawn anew until all points are
right; at each point of a grid one forward pass and one ``torch.autograd.grad`` give gradient and intercept in
float32; and a Python loop keeps a map iff none kept before it lies within 1e-3.

How it measures:

- One process, both candidates in turns on the same weights; the fastest of several calls counts. Calls of more than
  20 seconds are not repeated. Raw timings are in the JSON file.
- jaxgeom's time to trace and compile is measured apart, through JAX's own events. The table gives the ratio without
  it, and that of a first call with it.
- PyTorch takes the better of one thread and two. jaxgeom uses all cores, which the rival cannot: to compare with one
  copy of the rival on every core, divide the ratios by the number of cores.
- Training: seconds per solved network. The number of tries is a matter of luck, and at width 2 of much luck, so the
  rival's seconds per try are multiplied by the mean number of tries that jaxgeom's whole population needed.
- Maps: gradient and intercept at *every* point, from weights; jaxgeom in float64.
- Counting: the rival's merge of maps that it has already, against ``count_grid_regions``, which starts from weights,
  so that **jaxgeom's figure contains its maps**. Hence "maps + counting", which is from weights to the count on both
  sides, has the same jaxgeom figure.

It also checks, on the networks timed, that jaxgeom's maps are PyTorch's in float64 to 1e-9, that its counts are
those of the rival's rule on float64 maps, and how often the rival's own float32 gives another count.

    pip install -e ".[bench]" && python benchmarks/xor_study.py
"""

import argparse
import itertools
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _record import Timing, environment, interleaved, write_json

import jaxgeom as jg

try:
    import torch
    from torch.utils.data import DataLoader, TensorDataset
except ImportError:
    sys.exit('This benchmark compares with PyTorch, which is not installed: pip install -e ".[bench]"')

THREADS = (1, 2)
OURS, THREAD_NAME = "jaxgeom", "PyTorch, threads: 1"
TOLERANCE = 1e-3
MAX_SECONDS = 20.0
FULL = {"widths": [2, 20, 100], "networks": [5, 5, 2], "torch_seeds": 5, "seeds": 1000, "repeats": 3, "grid": 101}
TINY = {"widths": [2, 5], "networks": [2], "torch_seeds": 1, "seeds": 16, "repeats": 1, "grid": 11}
SETTINGS = {
    "widths": "hidden units",
    "networks": "networks whose regions PyTorch counts, one number or one for each width",
    "torch_seeds": "networks that PyTorch trains at each width",
    "seeds": "networks that jaxgeom trains and counts at each width",
    "repeats": "rounds of timing",
    "grid": "grid points along each axis",
}
STAGES = ("training", "maps", "counting", "maps + counting", "all")


# The notebook procedure, one network at a time in PyTorch.


def new_network(width: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.ReLU(), torch.nn.Linear(width, 1))


def xor_loader() -> DataLoader:
    x = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=2)))
    y = -x.prod(dim=1, keepdim=True)
    return DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True)


def accuracy(network: torch.nn.Module, loader: DataLoader) -> float:
    network.eval()
    right = 0
    with torch.no_grad():
        for x, y in loader:
            right += ((network(x) > 0) == (y > 0)).sum().item()
    return right / len(loader.dataset)


def train_one(width: int, loader: DataLoader) -> int:
    """Train until XOR is solved; the number of tries."""
    for tries in itertools.count(1):
        network = new_network(width)
        loss = torch.nn.MSELoss()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        reached = 0.0
        for _ in range(100):
            network.train()
            for x, y in loader:
                optimizer.zero_grad()
                loss(network(x), y).backward()
                optimizer.step()
            reached = accuracy(network, loader)
        if reached >= 0.99:
            return tries


def maps_one_by_one(network: torch.nn.Module, points: np.ndarray) -> np.ndarray:
    """Gradient and intercept (points, 3), a backward pass a point, in float32."""
    loader = DataLoader(TensorDataset(torch.from_numpy(points)), batch_size=1, shuffle=False)
    maps = np.zeros((len(points), 3))
    for index, (x,) in enumerate(loader):
        x.requires_grad_()
        network.zero_grad()
        output = network(x)
        gradient = torch.autograd.grad(output, x)[0]
        intercept = output[0, 0] - torch.dot(x.squeeze(), gradient.squeeze())
        maps[index] = np.array([*gradient.tolist()[0], intercept.tolist()])
    return maps


def count_one_by_one(maps: np.ndarray) -> int:
    """First come, first kept: a map is new iff no kept one is within the tolerance."""
    kept: list[np.ndarray] = []
    for row in maps:
        is_new = True
        for other in kept:
            if np.linalg.norm(row - other) < TOLERANCE:
                is_new = False
                break
        if is_new:
            kept.append(row)
    return len(kept)


def on_threads(function: Callable[[], Any]) -> dict[str, Callable[[], Any]]:
    """The rival's candidates: one function, with each number of threads."""

    def call(threads: int) -> Any:
        torch.set_num_threads(threads)
        return function()

    return {f"PyTorch, threads: {threads}": partial(call, threads) for threads in THREADS}


# The truth: the same rule on maps in float64.


def maps_float64(network: torch.nn.Module, points: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(points).double().requires_grad_()
    output = network.double()(x)
    gradient = torch.autograd.grad(output.sum(), x)[0]
    intercept = output[:, 0] - (x * gradient).sum(dim=1)
    network.float()
    return torch.cat([gradient, intercept[:, None]], dim=1).detach().numpy()


def count_array(maps: np.ndarray) -> int:
    """The rule of ``count_one_by_one``, each map against all kept ones at once."""
    kept, count = np.empty_like(maps), 0
    for row in maps:
        if not (np.linalg.norm(kept[:count] - row, axis=1) < TOLERANCE).any():
            kept[count] = row
            count += 1
    return count


# jaxgeom


@partial(jax.jit, static_argnames="capacity")
def maps_of_chunk(layers: jg.Layers, points: jax.Array, *, capacity: int) -> jax.Array:
    def single(layers: jg.Layers) -> jax.Array:
        regions = jg.grid_regions(layers, points, TOLERANCE, capacity=capacity)
        maps = jnp.concatenate([regions.gradient[:, 0], regions.intercept], axis=1)
        return maps[regions.cell_of_point]

    with jax.enable_x64(True):
        return jax.vmap(single)(layers)


def maps_of_population(layers: jg.Layers, points: np.ndarray) -> np.ndarray:
    """Gradient and intercept (networks, points, 3) in float64, with room for as many regions as there can be."""
    capacity = min(len(points), jg.zaslavsky(layers[0].bias.shape[-1], 2))
    return jg.map_chunks(partial(maps_of_chunk, points=points, capacity=capacity), layers, chunk_size=8)


def in_torch(layers: jg.Layers, index: int) -> torch.nn.Sequential:
    network = new_network(layers[0].bias.shape[-1])
    for module, layer in zip((network[0], network[2]), layers, strict=True):
        module.weight.data = torch.tensor(np.asarray(layer.kernel[index]).T.copy())
        module.bias.data = torch.tensor(np.asarray(layer.bias[index]))
    return network


# The comparison


def compare_training(width: int, seeds: int, torch_seeds: int, repeats: int) -> tuple[dict[str, Any], jg.Solved]:
    loader = xor_loader()

    def one_by_one() -> int:
        torch.manual_seed(width)
        return sum(train_one(width, loader) for _ in range(torch_seeds))

    ours = partial(jg.train_xor, jax.random.key(0), width, seeds)
    timings = interleaved(on_threads(one_by_one) | {OURS: ours}, repeats=repeats, max_seconds=MAX_SECONDS)
    trained, tries = timings[OURS].result, timings[THREAD_NAME].result
    mean_tries = float(trained.tries.mean())
    # So many tries solve tries / mean_tries networks on average.
    record = stage(timings, tries / mean_tries, seeds)
    return record | {"torch_networks": torch_seeds, "torch_tries": tries, "mean_tries": mean_tries}, trained


def compare_counts(
    layers: jg.Layers, points: np.ndarray, members: np.ndarray, repeats: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    networks = [in_torch(layers, index) for index in members]
    num, seeds = len(networks), len(layers[0].bias)
    candidates = on_threads(lambda: [maps_one_by_one(network, points) for network in networks])
    candidates[OURS] = partial(maps_of_population, layers, points)
    timings = interleaved(candidates, repeats=repeats, max_seconds=MAX_SECONDS)
    maps = stage(timings, num, seeds)
    our_maps, maps32 = timings[OURS].result[members], timings[THREAD_NAME].result
    del timings  # a population's maps are large

    candidates = {
        "Python loop": lambda: [count_one_by_one(rows) for rows in maps32],
        OURS: partial(jg.count_grid_regions, layers, points, TOLERANCE),
    }
    timings = interleaved(candidates, repeats=repeats, max_seconds=MAX_SECONDS)
    our_counts, counts32 = timings[OURS].result.num_maps[members].tolist(), timings["Python loop"].result
    maps64 = [maps_float64(network, points) for network in networks]
    counts64 = [count_array(rows) for rows in maps64]
    error = max(float(np.abs(ours - theirs).max()) for ours, theirs in zip(our_maps, maps64, strict=True))
    checks = {
        "networks": members.tolist(),
        "jaxgeom_counts": our_counts,
        "float64_counts": counts64,
        "float32_counts": counts32,
        "float32_differs": [f"{a} for {b}" for a, b in zip(counts32, counts64, strict=True) if a != b],
        "largest_map_error": error,
        "counts_agree": our_counts == counts64,
        "maps_agree": error < 1e-9,
        "is_solved_in_torch": all(accuracy(network, xor_loader()) == 1 for network in networks),
        "array_rule_is_loop": [count_array(rows) for rows in maps32] == counts32,
    }
    return {"maps": maps, "counting": stage(timings, num, seeds)}, checks


def stage(timings: dict[str, Timing], torch_networks: float, seeds: int) -> dict[str, Any]:
    """Seconds per network of both sides, and all raw timings."""
    torch_best = min(set(timings) - {OURS}, key=lambda name: timings[name].best)
    ours = timings[OURS]
    return {
        "torch": timings[torch_best].best / torch_networks,
        "torch_best": torch_best,
        "jaxgeom": ours.best / seeds,
        "jaxgeom_first_call": ours.seconds[0] / seeds,
        "jaxgeom_compile_seconds": ours.compile_seconds[0],
        "raw": {name: {"seconds": t.seconds, "compile_seconds": t.compile_seconds} for name, t in timings.items()},
    }


def summed(torch_stages: list[dict[str, Any]], our_stages: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("jaxgeom", "jaxgeom_first_call", "jaxgeom_compile_seconds")
    ours = {name: sum(item[name] for item in our_stages) for name in names}
    return {"torch": sum(item["torch"] for item in torch_stages)} | ours


def with_ratios(stages: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Add the sums over stages, and all ratios. jaxgeom's counting starts from weights, so its maps are not added."""
    training, maps, counting = (stages[name] for name in STAGES[:3])
    stages["maps + counting"] = summed([maps, counting], [counting])
    stages["all"] = summed([training, maps, counting], [training, counting])
    for item in stages.values():
        item["ratio"] = item["torch"] / item["jaxgeom"]
        item["ratio_first_call"] = item["torch"] / item["jaxgeom_first_call"]
    return stages


def table(rows: dict[str, dict[str, dict[str, Any]]]) -> str:
    lines = [
        f"{'':<28}{'seconds per network':>24}{'':>9}{'with the compilation':>26}",
        f"{'':<28}{'PyTorch':>12}{'jaxgeom':>12}{'ratio':>9}{'seconds':>16}{'ratio':>10}",
    ]
    for title, stages in rows.items():
        for name in STAGES:
            item = stages[name]
            lines.append(
                f"{title if name == STAGES[0] else '':<12}{name:<16}{item['torch']:>12.4f}{item['jaxgeom']:>12.6f}"
                f"{item['ratio']:>9,.0f}{item['jaxgeom_first_call']:>16.6f}{item['ratio_first_call']:>10,.1f}"
            )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="try everything out in seconds; the figures mean nothing")
    parser.add_argument("--out", default="benchmarks/results/xor_study.json", help="JSON file; default %(default)s")
    for name, text in SETTINGS.items():
        nargs = "+" if name in ("widths", "networks") else None
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, nargs=nargs, help=f"{text}; default {FULL[name]}")
    given = vars(parser.parse_args())
    settings = TINY if given["tiny"] else FULL
    settings = settings | {name: given[name] for name in settings if given[name] is not None}
    widths, networks = settings["widths"], settings["networks"]
    networks = networks * len(widths) if len(networks) == 1 else networks
    if len(networks) != len(widths) or min(networks) < 1:
        parser.error("--networks takes one positive number, or one for each width")
    points = jg.grid_points(jg.box(-1, 1), settings["grid"], with_corners=True)

    rows, checks = {}, {}
    for width, num in zip(widths, networks, strict=True):
        print(f"measuring width {width}", file=sys.stderr, flush=True)
        training, trained = compare_training(width, settings["seeds"], settings["torch_seeds"], settings["repeats"])
        members = np.flatnonzero(trained.is_solved)[:num]
        stages, checks[width] = compare_counts(jg.layers_of(trained.params), points, members, settings["repeats"])
        rows[f"width {width}"] = with_ratios({"training": training} | stages)
    columns = {name: [stages[name] for stages in rows.values()] for name in STAGES[:3]}
    rows["all widths"] = with_ratios({name: summed(column, column) for name, column in columns.items()})

    print(table(rows), end="\n\n")
    for width, check in checks.items():
        differs = check["float32_differs"]
        print(f"width {width}: counts {check['jaxgeom_counts']}, by the rule in float64 {check['float64_counts']};")
        print(f"    maps within {check['largest_map_error']:.1e}; the notebook procedure's float32 counts differ for")
        print(f"    {len(differs)} of {len(check['networks'])} networks{': ' * bool(differs)}{', '.join(differs)}")
    where = environment(("torch",))
    write_json(given["out"], {"environment": where, "settings": settings, "per_network": rows, "checks": checks})
    failed = [f"{name} at width {w}" for w, check in checks.items() for name, value in check.items() if value is False]
    print(f"CHECKS FAILED: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
