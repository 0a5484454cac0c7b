"""[edge] ``python -m jaxgeom spirals``."""

import argparse
from pathlib import Path

import jax

from jaxgeom.recipes.limits import MOST_NETWORKS, check_memory, check_numbers
from jaxgeom.recipes.output import check_writable
from jaxgeom.recipes.spirals import experiment as spirals
from jaxgeom.recipes.spirals import pictures as spirals_pictures

SUMMARY = "four kinds of networks on three spirals, and what their hidden layers look like"
DESCRIPTION = (
    "Train a deep linear network, an MLP, an MLP with two-dimensional bottlenecks and a deep MLP on three spirals, "
    "many seeds of each at once. Prints their test accuracies; writes spirals.json (settings, accuracies), spirals.npz "
    "(data, learning curves, parameters), pictures of data, predictions, bottlenecks and learning curves, the rainbow "
    "sandwich of the deep MLP, and a movie of the bottlenecks during training."
)


MOST_EPOCHS = 10_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=16, help="networks of each kind")
    parser.add_argument("--epochs", type=int, default=2000, help="passes over the training points")


def run(options: argparse.Namespace) -> list[Path]:
    """Train, draw and save."""
    if options.seeds < 1:
        raise ValueError(f"num_seeds must be a positive integer, but {options.seeds} was given.")
    check_numbers(options, seeds=(1, MOST_NETWORKS), epochs=(1, MOST_EPOCHS))
    check_writable(options.out)
    key = jax.random.key(options.key)
    num_epochs = min(options.epochs, 40) if options.quick else options.epochs
    num_seeds = min(options.seeds, 8) if options.quick else options.seeds
    num_snapshots = 16 if options.quick else 72
    check_memory(
        num_seeds * (16 * num_epochs + 4000),
        f"{num_seeds:,} networks of each kind over {num_epochs:,} epochs",
        "take fewer seeds or epochs",
    )
    runs = spirals.train_spirals(
        key,
        num_seeds,
        num_epochs=num_epochs,
        num_snapshots=num_snapshots,
        progress=not options.quiet,
    )
    written = spirals_pictures.save_spirals(
        key,
        runs,
        options.out,
        {"num_seeds": num_seeds, "num_epochs": num_epochs, "key": options.key},
        formats=options.formats,
        num_sandwiches=2 if options.quick else 4,
        progress=not options.quiet,
    )
    print(spirals_pictures.spiral_table(spirals_pictures.spiral_facts(runs)))
    return written
