"""How much do the weights of a network tell an ordinary regression of its exact number of linear regions?

A zoo of networks 2-10-10-3 trained on three spirals, three learning rates; least squares from all weights, and from
all weights and their squares, on four fifths of the networks, judged on the last fifth, with and without canonical
form.

python examples/zoo.py              24,000 networks in out/zoo, about ten seconds
python examples/zoo.py --seeds 500  fewer networks
"""

import argparse
from pathlib import Path

import numpy as np

import jaxgeom as jg

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=8000, help="networks of each learning rate")
parser.add_argument("--epochs", type=int, default=10, help="passes over the 2,400 points")
parser.add_argument("--out", type=Path, default=Path("out/zoo"), help="directory of the zoo")
options = parser.parse_args()

axes = {"learning_rate": [0.003, 0.01, 0.03], "seed": range(options.seeds), "num_epochs": options.epochs}
zoo = jg.zoo(axes, out=options.out)
print(f"{zoo.num_networks:,} networks with {zoo['regions'].min()} to {zoo['regions'].max()} regions")


def held_out(features: np.ndarray, counts: np.ndarray) -> float:
    """R² on a fifth of the networks, of least squares on the others."""
    order = np.random.default_rng(0).permutation(len(counts))
    train, test = np.split(order, [len(order) * 4 // 5])
    mean, deviation = features[train].mean(axis=0), features[train].std(axis=0) + 1e-9
    features = np.clip((features - mean) / deviation, -8, 8)
    design = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    # A little ridge, for where there are hardly more networks than features.
    square = design[train].T @ design[train] + 1e-3 * len(train) * np.eye(design.shape[1])
    weights = np.linalg.solve(square, design[train].T @ counts[train])
    residual = counts[test] - design[test] @ weights
    return 1 - (residual**2).mean() / counts[test].var()


for canonical in (False, True):
    examples = jg.study.ZooExamples(zoo, "regions", canonical=canonical)
    weights, counts = examples[np.arange(len(examples))]
    linear = held_out(weights, counts)
    squares = held_out(np.concatenate([weights, weights**2], axis=1), counts)
    form = "canonical form" if canonical else "weights as they are"
    print(f"{form:<20} held-out R²: {linear:.2f} linear, {squares:.2f} with squares")
