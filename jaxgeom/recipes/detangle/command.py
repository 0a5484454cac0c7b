"""[edge] ``python -m jaxgeom detangle``."""

import argparse
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgeom.data.datasets import Dataset
from jaxgeom.host.chunks import in_threads
from jaxgeom.host.programs import compiler_options
from jaxgeom.networks.layers import layers_of
from jaxgeom.plot.animate import save_animation
from jaxgeom.plot.training import exponential_smoothing
from jaxgeom.recipes.detangle import experiment as detangle
from jaxgeom.recipes.limits import MOST_NETWORKS, MOST_STEPS, MOST_UNITS, check_memory, check_numbers
from jaxgeom.recipes.output import (
    HOLD,
    check_writable,
    growing_arrays,
    movie_paths,
    rate_of,
    save_explorer,
    save_figure,
    save_report,
)

MOST_POINTS = 600
"""Points of a page, about; of more, some evenly spaced ones are taken."""
LEAST_FRAMES = 2
"""Frames of an animation in which something moves."""

SUMMARY = "how layers pull two classes apart while training, and how often networks die"
DESCRIPTION = (
    "Train networks with ReLU after every layer on line segments and on a disk with holes, many seeds at once: 2-2-2 "
    "and a wider one as in the notebook, by SGD, and 2-16-16-2 by Adam, some of which solve the task. Prints how many "
    "die and what the others come to; draws layers, and animates four networks side by side on one clock: a median one "
    "of the notebook's setting, a dead, a stuck and a solved one. Writes detangle.json and detangle.npz."
)


MOST_BATCHES = 63
"""In an epoch of the larger data set."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=200, help="networks of each kind")
    parser.add_argument("--epochs", type=int, default=100, help="passes over the data")
    parser.add_argument(
        "--wide", type=int, nargs="+", default=[8, 8], metavar="W", help="hidden units of the wider net"
    )
    parser.add_argument("--frames", type=int, default=36, help="of an animation")


def run(options: argparse.Namespace) -> list[Path]:
    """Train, print the table, and save everything."""
    from jaxgeom.plot.style import percent, percent_of
    from jaxgeom.recipes.detangle import pictures as detangle_pictures

    check_numbers(
        options,
        seeds=(1, MOST_NETWORKS),
        epochs=(1, MOST_STEPS),
        wide=(1, MOST_UNITS),
        frames=(-MOST_STEPS, 100_000),
    )
    if options.frames < LEAST_FRAMES:
        raise ValueError(f"an animation needs at least 2 frames, but {options.frames} was given.")
    if options.quick:
        options.seeds, options.epochs = min(options.seeds, 48), min(options.epochs, 100)
        options.frames = min(options.frames, 12)
    out = check_writable(options.out)
    sizes = [2, *options.wide, 2]
    size = sum((a + 1) * b for a, b in pairwise(sizes))
    check_memory(
        options.seeds * (options.epochs * MOST_BATCHES + options.frames * size),
        f"{options.seeds:,} networks over {options.epochs:,} epochs with {options.frames:,} frames",
        "take fewer seeds, epochs or frames, or smaller widths",
    )
    key = jax.random.key(options.key)
    data = {
        name: jax.jit(make, compiler_options=compiler_options())(jax.random.fold_in(key, i))
        for i, (name, make) in enumerate(detangle.DATASETS.items())
    }
    wide = tuple(options.wide)
    widths = ((2,),) if options.quick else ((2,), wide)
    kinds = [(name, hidden, False) for name in data for hidden in widths]
    kinds += [(name, detangle.SOLVERS, True) for name in data]
    save_more = growing_arrays(out / "detangle.npz")

    def train(name: str, hidden: tuple[int, ...], solving: bool) -> detangle.Detangled:
        population = detangle.train_detangle(
            jax.random.fold_in(key, 2),
            data[name],
            options.seeds,
            hidden=hidden,
            num_epochs=options.epochs,
            num_frames=options.frames,
            solving=solving,
            progress=False if options.quiet else f"{name}, {len(hidden)} hidden",
        )
        kept = ("final_loss", "accuracy", "living_before", "living", "is_dead")
        kind = f"{name}_{'_'.join(map(str, hidden))}{'_adam' if solving else ''}"
        save_more({f"{kind}_{field}": value for field, value in population._asdict().items() if field in kept})
        return population

    found = dict(zip(kinds, in_threads([partial(train, *kind) for kind in kinds]), strict=True))
    rows = [(name, hidden, population) for (name, hidden, solving), population in found.items() if not solving]
    settings = {"seeds": options.seeds, "epochs": options.epochs, "wide": wide, "key": options.key}
    statistics = [{**_statistics(name, hidden, found[name, hidden, s]), "adam": s} for name, hidden, s in kinds]
    written = [save_report(out / "detangle.json", settings, statistics), out / "detangle.npz"]
    print(f"{options.seeds} networks of each kind, {options.epochs} epochs; losses and accuracies of those that live")
    print(detangle.detangle_table(rows))
    for name in data:
        fates = [
            f"{percent_of(round(share * options.seeds), options.seeds)} {fate}"
            for fate, (_, share) in _fates(found, name).items()
        ]
        told = ", ".join(fates)
        print(
            f"{name}, 2-16-16-2, Adam, reshuffled: {told} (solved: at least {percent(detangle.SOLVED)} of points right)"
        )

    columns = {name: _columns(found, name, data[name]) for name in data}
    for name, (recording, *_) in ((name, [each.recording for each in some]) for name, some in columns.items()):
        arrays: dict[str, Any] = {f"{name}_layer{i}": layer for i, layer in enumerate(recording.layers)}
        arrays |= {f"{name}_labels": data[name].y, f"{name}_steps": recording.steps, f"{name}_loss": recording.loss}
        arrays[f"{name}_smoothed_loss"] = exponential_smoothing(recording.loss)
        save_more(arrays)
    for name, shown in columns.items():
        # the notebook's network on the lines, one that solves its task on the holes
        column = shown[0] if name == "lines" else shown[-1]
        labels = np.asarray(data[name].y)
        for when, frame in (("before", 0), ("after", -1)):
            figure = detangle_pictures.draw_layers(column.recording, labels, frame, column=column, title=name)
            written += save_figure(figure, out / f"detangle_{name}_{when}", options.formats)
        figure = detangle_pictures.draw_loss(column.recording, title=f"{name}: {column.net} ({column.fate})")
        written += save_figure(figure, out / f"detangle_{name}_loss", options.formats)
    written += save_figure(detangle_pictures.draw_deaths(rows), out / "detangle_deaths", options.formats)
    for name, shown in columns.items():
        solving = found[name, detangle.SOLVERS, True]
        written += _explorer(solving, data[name], out / f"detangle_{name}", options.formats)
        movie = detangle_pictures.fates_movie(shown, data[name])
        movie.draw(movie.num_frames - 1)
        written += save_figure(movie.figure, out / f"detangle_{name}_fates", options.formats, dpi=100)
        if movies := movie_paths(out / f"detangle_{name}", options.formats):
            progress = False if options.quiet else f"drawing {name}"
            rate = rate_of(movie.num_frames, 12)
            written += save_animation(
                movie.figure, movie.draw, movie.num_frames, movies, frames_per_second=rate, hold=HOLD, progress=progress
            )
    return written


def _fates(found: dict[Any, detangle.Detangled], name: str) -> dict[str, tuple[int, float]]:
    return detangle.middle_of_each_fate(found[name, detangle.SOLVERS, True])


def _columns(found: dict[Any, detangle.Detangled], name: str, data: Dataset) -> list[Any]:
    """A median network of the notebook's setting, and one of each fate."""
    from jaxgeom.plot.style import percent_of
    from jaxgeom.recipes.detangle.pictures import column_of

    small, wide = found[name, (2,), False], found[name, detangle.SOLVERS, True]
    solved = int(np.sum(detangle.fate_of(small) == len(detangle.FATES) - 1))
    share = f"{percent_of(solved, len(small.is_dead))} solved"
    columns = [column_of(small, detangle.median_living(small), data, "notebook", share, "2-2-2, SGD")]
    for fate, (member, fraction) in _fates(found, name).items():
        num = len(wide.is_dead)
        columns.append(column_of(wide, member, data, fate, percent_of(round(fraction * num), num), "2-16-16-2, Adam"))
    return columns


def _explorer(found: detangle.Detangled, data: Dataset, path: Path, formats: Sequence[str]) -> list[Path]:
    """The page of some networks, the median living one first and dead ones among them."""
    order = np.argsort(np.arange(len(found.is_dead)) != detangle.median_living(found), kind="stable")
    layers = jax.tree.map(lambda array: np.asarray(array)[order], layers_of(found.snapshots))
    few = Dataset(*(part[:: max(1, len(data.x) // MOST_POINTS)] for part in data))
    dead, num = int(found.is_dead.sum()), len(found.is_dead)
    title = f"Detangling {path.name.removeprefix('detangle_')}: {dead} of {num} networks die"
    batches = -(-len(data.x) // detangle.BATCH_SIZE)
    loss = found.loss[order].reshape(len(order), -1, batches).mean(axis=2)  # of each epoch
    curves = {"loss": ((np.arange(loss.shape[1]) + 0.5) * batches, loss)}
    return save_explorer(
        layers, path, formats, steps=found.steps.tolist(), curves=curves, data=few, title=title, link="network=0"
    )


def _statistics(name: str, hidden: tuple[int, ...], found: detangle.Detangled) -> dict[str, Any]:
    alive = found.final_loss[~found.is_dead]
    return {
        "data": name,
        "hidden": hidden,
        "num_networks": len(found.is_dead),
        "dead_before": float(np.mean(found.was_dead)),
        "dead_after": float(np.mean(found.is_dead)),
        "median_loss_of_living": float(np.median(alive)) if len(alive) else None,
        "median_accuracy_of_living": float(np.median(found.accuracy[~found.is_dead])) if len(alive) else None,
    }
