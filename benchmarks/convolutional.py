"""Exact regions of convolutional networks on slices through images: how many, how long, and in how much memory?

LeNet-5 (with average and with max pooling) on the triangle between three drawn images of 28 x 28, and a residual
network of the size of ResNet-8 on a piece of the triangle between three random images of 32 x 32 x 3: both as PyTorch
initialises them, read by `jg.from_torch`. No other tool takes them, so the rival is jaxgeom itself with dense kernels,
where these fit into memory: counts are the same. As a check from outside, PyTorch's own patterns at random points of
the piece are all different regions: there must be at least as many regions as patterns.

    python benchmarks/convolutional.py           writes benchmarks/results/convolutional.json
    python benchmarks/convolutional.py --tiny    try everything out in seconds; the figures mean nothing

Aimed at are 2 s for LeNet-5 and 60 s for the residual network.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from _record import added_megabytes, environment, interleaved, write_json
from torch import nn

import jaxgeom as jg

Module = Any


class Case(NamedTuple):
    """A module, images of its input's shape, and how much of the triangle between them is counted."""

    module: Module
    images: np.ndarray
    share: float
    aim: float | None = None
    has_dense: bool = False  # whether dense kernels fit


class Block(nn.Module):  # type: ignore[misc]
    """Two convolutions beside a skip connection, which is a convolution where shapes differ."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        is_same = before == after and stride == 1
        self.skip = nn.Identity() if is_same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Any) -> Any:
        return torch.relu(self.path(x) + self.skip(x))


def residual(width: int) -> Module:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        Block(width, width, 1),
        Block(width, 2 * width, 2),
        Block(2 * width, 4 * width, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, 10),
    )


def lenet(pooling: Callable[[int], Module]) -> Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        pooling(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        pooling(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def small() -> Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 3)
    )


def drawn(size: int) -> np.ndarray:
    """A ring, an upright stroke and an angle, (3, 1, size, size), as blurred as strokes of a pen."""
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size * 28 - 14
    ring = np.exp(-(((np.hypot(x, y) - 8) / 2) ** 2))
    stroke = np.exp(-((x / 2) ** 2)) * (np.abs(y) < 10)
    bar, slant = np.exp(-(((y + 9) / 2) ** 2)) * (np.abs(x) < 8), np.exp(-(((y + 1.5 * x) / 4) ** 2)) * (np.abs(y) < 10)
    return np.stack([ring, stroke, np.maximum(bar, slant)])[:, None]


def cases(is_tiny: bool) -> dict[str, Callable[[], Case]]:
    def noise(size: int) -> np.ndarray:
        return np.random.default_rng(0).random((3, 3, size, size))

    if is_tiny:
        return {
            "small": lambda: Case(small(), drawn(14), 0.3, has_dense=True),
            "residual": lambda: Case(residual(2), noise(8), 0.1),
        }
    return {
        "small": lambda: Case(small(), drawn(14), 1, has_dense=True),
        "LeNet-5, average pooling": lambda: Case(lenet(nn.AvgPool2d), drawn(28), 0.6, 2, has_dense=True),
        "LeNet-5, max pooling": lambda: Case(lenet(nn.MaxPool2d), drawn(28), 0.2),
        "residual, 8 layers": lambda: Case(residual(16), noise(32), 0.02, 60),
    }


def patterns_met(module: Module, points: np.ndarray, shape: tuple[int, ...]) -> int:
    """How many patterns of PyTorch's rectifiers are met at points (points, inputs), in float64."""
    bits: list[Any] = []
    hooks = [
        part.register_forward_pre_hook(lambda _, given: bits.append((given[0] > 0).flatten(1)))
        for part in module.modules()
        if isinstance(part, nn.ReLU)
    ]
    module.double()
    with torch.no_grad():
        module(torch.from_numpy(points.reshape(-1, *shape)))
    module.float()
    for hook in hooks:
        hook.remove()
    return len(np.unique(np.packbits(torch.cat(bits, 1).numpy(), axis=1), axis=0))


def measured(case: Case, repeats: int) -> dict[str, Any]:
    torch.manual_seed(0)
    module, images = case.module.eval(), case.images
    start = time.perf_counter()
    layers = jg.from_torch(module, torch.zeros(1, *images.shape[1:])).layers
    reading = time.perf_counter() - start
    plane = jg.plane_through(*images.reshape(3, -1))
    part = jg.on_plane(layers, plane)
    corners = jg.project(plane, images.reshape(3, -1)).coordinates
    corners = corners.mean(0) + case.share * (corners - corners.mean(0))
    triangle = jg.polygon(corners)

    candidates = {"sparse": lambda: jg.count_regions(part, triangle)}
    if case.has_dense:
        dense = jg.on_plane(tuple(layer._replace(kernel=as_dense(layer.kernel)) for layer in layers), plane)
        candidates["dense"] = lambda: jg.count_regions(dense, triangle)
    memory = added_megabytes(candidates["sparse"])
    timings = interleaved(candidates, repeats=repeats, max_seconds=30)
    counts = {name: int(timing.result.count) for name, timing in timings.items()}
    assert len(set(counts.values())) == 1, counts

    shares = np.random.default_rng(1).dirichlet(np.ones(3), 500)
    met = patterns_met(module, jg.lift(plane, shares @ corners), images.shape[1:])
    assert met <= counts["sparse"], (met, counts)
    row: dict[str, Any] = {
        "hidden_units": [len(layer.bias) for layer in layers[:-1]],
        "weights": sum(nonzero(layer.kernel) for layer in layers),
        "share": case.share,
        "regions": counts["sparse"],
        "degenerate": bool(timings["sparse"].result.degenerate),
        "seconds": {name: timing.best for name, timing in timings.items()},
        "seconds_of_reading": reading,
        "added_megabytes": memory,
        "aim": case.aim,
        "patterns_of_500_points": met,
        "raw": {name: timing.seconds for name, timing in timings.items()},
    }
    return row


def as_dense(kernel: Any) -> np.ndarray:
    return kernel.toarray() if hasattr(kernel, "toarray") else np.asarray(kernel)


def nonzero(kernel: Any) -> int:
    return kernel.nnz if hasattr(kernel, "nnz") else int(np.count_nonzero(kernel))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "convolutional.json")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], help="rows that have one of these in their names")
    parser.add_argument("--tiny", action="store_true", help="try everything out in seconds; the figures mean nothing")
    args = parser.parse_args()

    rows = {}
    for name, make in cases(args.tiny).items():
        if args.only and not any(part in name for part in args.only):
            continue
        row = rows[name] = measured(make(), 1 if args.tiny else args.repeats)
        write_json(args.out, {"environment": environment(["torch"]), "tiny": args.tiny, "rows": rows})
        seconds = row["seconds"]
        against = f"; dense {seconds['dense']:.2f} s" if "dense" in seconds else ""
        memory = f"{row['added_megabytes']:.0f} MB" if row["added_megabytes"] is not None else "unknown memory"
        print(f"{name}: {row['regions']:,} regions in {seconds['sparse']:.2f} s, {memory}{against}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
