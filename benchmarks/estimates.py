"""How good are estimated numbers of regions? Coverage against exact counts, and what wide inputs cost.

Coverage: networks at PyTorch's initialisation on [-1, 1]^dim in 3 to 5 dimensions, of one to three hidden layers. Each
is counted exactly (`count_regions`) and estimated; counted are the intervals estimate ± 1.96 standard errors that
hold the exact count, all of them, and those of networks with more regions than samples, where something was sampled.
At least 93 % are aimed at. Certain bounds must always hold, and complete walks must be the exact count.

Wide inputs: networks with 784 inputs on [0, 1]^784, as for images, at PyTorch's initialisation; and networks trained
on scikit-learn's 8 × 8 digits (64 inputs, pixels scaled to [0, 1]), if scikit-learn is there. Aimed at is a standard
error of 10 % within a minute each.

    python benchmarks/estimates.py          writes benchmarks/results/estimates.json
    python benchmarks/estimates.py --tiny   try everything out in seconds; the figures mean nothing
"""

import argparse
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from _record import environment, write_json

import jaxgeom as jg

SHAPES = {3: ([16, 16], [24], [12, 12, 12]), 4: ([16, 16], [24], [12, 12, 12]), 5: ([10, 10], [14], [8, 8, 8])}
WIDE = ([11, 11], [4, 18], [18, 4])


def network(dim: int, widths: list[int], rng: np.random.Generator, num_out: int = 1) -> jg.Layers:
    """At PyTorch's initialisation."""
    layers = []
    for before, after in pairwise([dim, *widths, num_out]):
        size = 1 / np.sqrt(before)
        layers.append(jg.Dense(rng.uniform(-size, size, (before, after)), rng.uniform(-size, size, after)))
    return tuple(layers)


def coverage(num: int, num_samples: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    errors, is_complete, wrong_bounds, wrong_counts, seconds = [], [], 0, 0, 0.0
    for index in range(num):
        dim = 3 + index % 3
        layers = network(dim, SHAPES[dim][rng.integers(3)], rng)
        domain = jg.box(-1, 1, dim=dim)
        count = int(jg.count_regions(layers, domain).count)
        start = time.perf_counter()
        found = jg.estimate_regions(jax.random.key(index), layers, domain, num_samples=num_samples)
        seconds += time.perf_counter() - start
        error = float(found.estimate) - count
        errors.append(0.0 if abs(error) < 1e-6 else error / max(float(found.standard_error), 1e-12))
        is_complete.append(bool(found.is_complete))
        wrong_bounds += not found.lower <= count <= found.upper
        wrong_counts += bool(found.is_complete) and error != 0
    covered, complete = np.abs(errors) <= 1.96, np.array(is_complete)
    return {
        "networks": num,
        "num_samples": num_samples,
        "covered": float(covered.mean()),
        "sampled_networks": int((~complete).sum()),
        "covered_of_sampled": float(covered[~complete].mean()) if (~complete).any() else None,
        "standardised_errors": {"mean": float(np.mean(errors)), "std": float(np.std(errors))},
        "wrong_bounds": wrong_bounds,
        "wrong_complete_counts": wrong_counts,
        "seconds_each": seconds / num,
    }


def wide(name: str, layers: jg.Layers, num_samples: int) -> dict[str, Any]:
    dim = layers[0].kernel.shape[0]
    start = time.perf_counter()
    found = jg.estimate_regions(jax.random.key(0), layers, jg.box(0, 1, dim=dim), num_samples=num_samples)
    seconds = time.perf_counter() - start
    row = {
        "network": name,
        "num_samples": num_samples,
        "estimate": float(found.estimate),
        "standard_error": float(found.standard_error),
        "relative": float(found.standard_error / found.estimate),
        "lower": int(found.lower),
        "upper": float(found.upper),
        "serra_2018": jg.serra_2018([len(layer.bias) for layer in layers[:-1]], dim),
        "seconds": seconds,
        "programs": int(found.num_programs),
    }
    print(f"{name}: {row['estimate']:.4g} ± {100 * row['relative']:.1f} %, {row['seconds']:.1f} s", flush=True)
    return row


def trained_on_digits(widths: list[int], num_epochs: int) -> jg.Layers | None:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return None
    x, y = load_digits(return_X_y=True)
    data = jg.Dataset(np.float32(x / 16), y.astype(np.int32))
    model = jg.mlp((64, *widths, 10), activation="relu")
    found = jg.fit(
        jax.random.key(0),
        model,
        optax.adam(3e-3),
        jg.losses.softmax_cross_entropy,
        data,
        num_epochs=num_epochs,
        batch_size=64,
    )
    return jg.layers_of(found.params)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "estimates.json")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    num, samples, wide_samples = (6, 100, 80) if options.tiny else (200, 1000, 600)
    shapes = WIDE[:1] if options.tiny else WIDE
    rows = []
    for widths in shapes:
        name = f"784-{','.join(map(str, widths))} at random"
        rows.append(wide(name, network(784, widths, np.random.default_rng(1), 10), wide_samples))
    for widths in shapes:
        layers = trained_on_digits(widths, 2 if options.tiny else 40)
        if layers is not None:
            rows.append(wide(f"64-{','.join(map(str, widths))} trained on digits", layers, wide_samples))
    covered = coverage(num, samples)
    print(f"covered: {100 * covered['covered']:.1f} % of {num}, {covered['covered_of_sampled']} of those sampled")
    write_json(options.out, {"environment": environment(["scipy"]), "coverage": covered, "wide": rows})


if __name__ == "__main__":
    main()
