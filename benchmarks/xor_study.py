"""How much faster does jaxgeom train networks on XOR and count their linear regions than one network at a time?

The rival is the notebook procedure (one network at a time in PyTorch, eager): networks 2-W-1 are trained on XOR with
a shuffled DataLoader, MSE and 100 steps of SGD, evaluated after every epoch, and drawn anew until all points are
right; at each point of a grid one forward pass and one ``torch.autograd.grad`` give gradient and intercept in
float32; and a Python loop keeps a map iff none kept before it lies within 1e-3.

How it measures: one process, both candidates in turns on the same weights; the fastest of several calls counts, but
calls of more than ten seconds are not repeated. All raw timings are in the JSON file. jaxgeom's time to trace and
compile is measured apart, through JAX's own events; the table has the ratios without it, and those of a first call
with it. jaxgeom uses all cores, which the rival cannot: to compare with a copy of the rival on every core, divide by
their number.

- Training: seconds per solved network; PyTorch takes the better of one thread and two, and jaxgeom evaluates a network
  only after its last epoch, which is what decides. The number of tries is a matter of luck, and at width 2 of much
  luck, so the rival's seconds per try are multiplied by the mean number that jaxgeom's whole population needed.
- Maps: gradient and intercept at *every* point, from weights; jaxgeom in float64.
- Counting: the rival's merge of maps that it has already, against ``count_grid_regions``, which starts from weights,
  so that **jaxgeom's figure contains its maps**. "maps + counting" is from weights to the count on both sides, and has
  the same jaxgeom figure; "all" adds training.

It also checks, on the networks that PyTorch counts, that jaxgeom's maps are PyTorch's in float64 to 1e-9 and that its
counts are those of the rival's rule on float64 maps, and reports where the rival's own float32 gives another count. The
exit status is 1 if a check fails.

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
import optax
from _record import Timing, environment, interleaved, write_json

import jaxgeom as jg

try:
    import torch
    from torch.utils.data import DataLoader, TensorDataset
except ImportError:
    sys.exit('This benchmark compares with PyTorch, which is not installed: pip install -e ".[bench]"')

OURS, THEIRS = "jaxgeom", "PyTorch"
TOLERANCE = 1e-3
MAX_SECONDS = 10.0
CAPACITY = 2048
FULL = {"widths": [2, 20, 100], "networks": [5, 5, 2], "torch_seeds": 5, "seeds": 1000, "repeats": 3, "grid": 101}
TINY = {"widths": [2, 5], "networks": [2], "torch_seeds": 1, "seeds": 16, "repeats": 1, "grid": 11}
Stages = dict[str, dict[str, Any]]
Timer = Callable[..., dict[str, Timing]]
STAGES = ("training", "maps", "counting")


def new_network(width: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.ReLU(), torch.nn.Linear(width, 1))


def xor_loader() -> DataLoader:
    x = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=2)))
    y = -x.prod(dim=1, keepdim=True)
    return DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True)


def accuracy(network: torch.nn.Module, loader: DataLoader) -> float:
    network.eval()
    with torch.no_grad():
        right = sum(((network(x) > 0) == (y > 0)).sum().item() for x, y in loader)
    return right / len(loader.dataset)


def train_one(width: int, loader: DataLoader) -> int:
    """Train until XOR is solved; the number of tries."""
    tries, reached = 0, 0.0
    while reached < 0.99:
        tries += 1
        network = new_network(width)
        loss = torch.nn.MSELoss()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for _ in range(100):
            network.train()
            for x, y in loader:
                optimizer.zero_grad()
                loss(network(x), y).backward()
                optimizer.step()
            reached = accuracy(network, loader)
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
        for other in kept:
            if np.linalg.norm(row - other) < TOLERANCE:
                break
        else:
            kept.append(row)
    return len(kept)


def maps_float64(network: torch.nn.Module, points: np.ndarray) -> np.ndarray:
    """The truth to check against."""
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


@partial(jax.jit, static_argnames="capacity")
def maps_of_chunk(layers: jg.Layers, points: jax.Array, *, capacity: int) -> jax.Array:
    def single(layers: jg.Layers) -> jax.Array:
        regions = jg.grid_regions(layers, points, TOLERANCE, capacity=capacity)
        maps = jnp.concatenate([regions.gradient[:, 0], regions.intercept], axis=1)
        return jnp.where(regions.overflow, jnp.nan, maps[regions.cell_of_point])

    with jax.enable_x64(True):
        return jax.vmap(single)(layers)


def maps_of_population(layers: jg.Layers, points: np.ndarray) -> np.ndarray:
    """Gradient and intercept (networks, points, 3) in float64; NaN where capacity runs out."""
    capacity = min(len(points), jg.zaslavsky(layers[0].bias.shape[-1], 2), CAPACITY)
    return jg.map_chunks(partial(maps_of_chunk, points=points, capacity=capacity), layers, chunk_size=8)


def in_torch(layers: jg.Layers, index: int) -> torch.nn.Sequential:
    network = new_network(layers[0].bias.shape[-1])
    for module, layer in zip((network[0], network[2]), layers, strict=True):
        module.weight.data = torch.tensor(np.asarray(layer.kernel[index]).T.copy())
        module.bias.data = torch.tensor(np.asarray(layer.bias[index]))
    return network


def trial_of(width: int) -> Callable[[jax.Array], jg.Trial]:
    """One try of one network of the study."""
    model, data, optimizer = jg.mlp((2, width, 1)), jg.parity(2), optax.sgd(0.1)

    def trial(key: jax.Array) -> jg.Trial:
        result = jg.fit(key, model, optimizer, jg.losses.squared_error, data, num_epochs=100, record=None)
        is_right = jnp.all(jg.losses.side_is_right(model.apply(result.params, data.x), data.y))
        return jg.Trial(result.params, result.initial_params, is_right & ~result.diverged, result.diverged)

    return trial


def compare_training(width: int, seeds: int, torch_seeds: int, time: Timer) -> tuple[dict, jg.Solved]:
    loader = xor_loader()

    def one_by_one(threads: int) -> int:
        torch.set_num_threads(threads)
        torch.manual_seed(width)
        return sum(train_one(width, loader) for _ in range(torch_seeds))

    candidates = {THEIRS: partial(one_by_one, 1), THEIRS + ", two threads": partial(one_by_one, 2)}
    keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.fold_in(jax.random.key(0), width), seed))(
        np.arange(seeds)
    )
    timings = time(candidates | {OURS: partial(jg.fit_until_solved, keys, trial_of(width), max_tries=100)})
    trained, tries = timings[OURS].result, timings[THEIRS].result
    mean_tries = float(trained.tries.mean())
    # So many tries solve tries / mean_tries networks on average.
    record = stage(timings, tries / mean_tries, seeds)
    return record | {"torch_networks": torch_seeds, "torch_tries": tries, "mean_tries": mean_tries}, trained


def compare_counts(layers: jg.Layers, points: np.ndarray, members: np.ndarray, time: Timer) -> tuple[Stages, dict]:
    networks = [in_torch(layers, index) for index in members]
    num, seeds = len(networks), len(layers[0].bias)
    torch.set_num_threads(1)
    candidate = partial(maps_of_population, layers, points)
    timings = time({THEIRS: lambda: [maps_one_by_one(network, points) for network in networks], OURS: candidate})
    maps = stage(timings, num, seeds)
    if not np.isfinite(timings[OURS].result).all():
        sys.exit(f"a network has more than {CAPACITY} patterns on the grid: raise CAPACITY")
    our_maps, maps32 = timings[OURS].result[members], timings[THEIRS].result
    del timings  # a population's maps are large
    candidate = partial(jg.count_grid_regions, layers, points, TOLERANCE)
    timings = time({THEIRS: lambda: [count_one_by_one(rows) for rows in maps32], OURS: candidate})
    our_counts, counts32 = timings[OURS].result.num_maps[members].tolist(), timings[THEIRS].result
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


def with_ratios(stages: Stages) -> Stages:
    """Add the sums over stages, and all ratios. jaxgeom's counting starts from weights, so its maps are not added."""
    training, maps, counting = (stages[name] for name in STAGES)
    stages["maps + counting"] = summed([maps, counting], [counting])
    stages["all"] = summed([training, maps, counting], [training, counting])
    for item in stages.values():
        item["ratio"] = item["torch"] / item["jaxgeom"]
        item["ratio_first_call"] = item["torch"] / item["jaxgeom_first_call"]
    return stages


def table(rows: dict[str, Stages]) -> str:
    lines = [
        f"{'':<28}{'seconds per network':>24}{'':>9}{'with the compilation':>26}",
        f"{'':<28}{'PyTorch':>12}{'jaxgeom':>12}{'ratio':>9}{'seconds':>16}{'ratio':>10}",
    ]
    for title, stages in rows.items():
        for name, item in stages.items():
            lines.append(
                f"{title if name == 'training' else '':<12}{name:<16}{item['torch']:>12.4f}{item['jaxgeom']:>12.6f}"
                f"{item['ratio']:>9,.0f}{item['jaxgeom_first_call']:>16.6f}{item['ratio_first_call']:>10,.1f}"
            )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="try everything out in seconds; the figures mean nothing")
    parser.add_argument("--out", default="benchmarks/results/xor_study.json", help="JSON file; default %(default)s")
    parser.add_argument("--widths", type=int, nargs="+", help="hidden units")
    parser.add_argument("--networks", type=int, nargs="+", help="networks that PyTorch counts, for all or each width")
    parser.add_argument("--seeds", type=int, help="networks that jaxgeom trains and counts at each width")
    parser.add_argument("--repeats", type=int, help="rounds of timing")
    given = vars(parser.parse_args())
    settings = (TINY if given["tiny"] else FULL) | {k: v for k, v in given.items() if k in FULL and v is not None}
    widths, networks = settings["widths"], settings["networks"]
    networks = networks * len(widths) if len(networks) == 1 else networks
    if len(networks) != len(widths) or min(networks) < 1:
        parser.error("--networks takes one positive number, or one for each width")
    points = jg.grid_points(jg.box(-1, 1), settings["grid"], with_corners=True)

    time = partial(interleaved, repeats=settings["repeats"], max_seconds=MAX_SECONDS)
    rows, checks = {}, {}
    for width, num in zip(widths, networks, strict=True):
        print(f"measuring width {width}", file=sys.stderr, flush=True)
        training, trained = compare_training(width, settings["seeds"], settings["torch_seeds"], time)
        members = np.flatnonzero(trained.is_solved)[:num]
        stages, checks[width] = compare_counts(jg.layers_of(trained.params), points, members, time)
        rows[f"width {width}"] = with_ratios({"training": training} | stages)
    columns = {name: [stages[name] for stages in rows.values()] for name in STAGES}
    rows["all widths"] = with_ratios({name: summed(column, column) for name, column in columns.items()})
    print(table(rows), end="\n\n")
    for width, check in checks.items():
        print(f"width {width}: counts {check['jaxgeom_counts']}, by the rule in float64 {check['float64_counts']},")
        print(f"    in the rival's float32 {check['float32_counts']}; maps within {check['largest_map_error']:.1e}")
    num, differ = (sum(len(check[name]) for check in checks.values()) for name in ("networks", "float32_differs"))
    print(f"{differ} of {num} networks have another count in the rival's float32")
    record = {"environment": environment(("torch",)), "settings": settings, "per_network": rows, "checks": checks}
    write_json(given["out"], record)
    failed = [f"{name} at width {w}" for w, check in checks.items() for name, value in check.items() if value is False]
    print(f"CHECKS FAILED: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
