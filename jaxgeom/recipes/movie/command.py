"""[edge] ``python -m jaxgeom movie``."""

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgeom.recipes.limits import MOST_NETWORKS, MOST_STEPS, check_memory, check_numbers
from jaxgeom.recipes.movie import experiment as recipe
from jaxgeom.recipes.output import (
    HOLD,
    check_writable,
    movie_paths,
    rate_of,
    save_arrays,
    save_explorer,
    save_figure,
    save_report,
)

SUMMARY = "the exact regions of a network while it trains"
DESCRIPTION = (
    "Train ReLU networks on two classes in the plane. Enumerate the linear regions of one of them at every frame, and "
    "count those of all. Writes movie.gif (regions, decision boundary, loss and counts), movie_frames.png, "
    "movie_counts.png, movie_colors.png, movie_units.png (hidden units), movie_grid.png (what a grid of points "
    "misses), movie.npz and movie.json."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", choices=list(recipe.MOVIE_DATA), default="circles", help="what is learned")
    parser.add_argument(
        "--widths",
        type=int,
        nargs="+",
        metavar="W",
        help="units of hidden layers; without it 16 16, or 16 with --quick",
    )
    parser.add_argument("--seeds", type=int, default=32, help="networks; at most 8 with --quick")
    parser.add_argument("--steps", type=int, default=1500, help="full-batch steps of Adam; at most 300 with --quick")
    parser.add_argument("--frames", type=int, default=90, help="frames; at most 12 with --quick")
    parser.add_argument(
        "--grid", type=int, default=41, help="points along each axis of the grid that is looked through"
    )


def run(options: argparse.Namespace) -> list[Path]:
    """Train, enumerate, count, and draw it all."""
    check_numbers(
        options,
        widths=(1, 1000),
        seeds=(1, MOST_NETWORKS),
        steps=(1, MOST_STEPS),
        frames=(2, 100_000),
        grid=(2, 10_000),
    )
    out = check_writable(options.out)
    options.widths = options.widths or ([16] if options.quick else [16, 16])
    limits = (8, 300, 12) if options.quick else (options.seeds, options.steps, options.frames)
    seeds, steps, frames = map(min, (options.seeds, options.steps, options.frames), limits)
    sizes = [2, *options.widths, 1]
    size = sum((a + 1) * b for a, b in pairwise(sizes))
    check_memory(
        seeds * (2 * steps + 4 * frames * size),
        f"{seeds:,} networks over {steps:,} steps with {frames:,} frames",
        "take fewer seeds, steps or frames, or smaller widths",
    )
    movie = recipe.region_movie(
        jax.random.key(options.key),
        data=options.data,
        widths=options.widths,
        num_networks=seeds,
        num_steps=steps,
        num_frames=frames,
        progress=not options.quiet,
    )
    return _save(movie, options, out)


def _save(movie: recipe.RegionMovie, options: argparse.Namespace, out: Path) -> list[Path]:
    from jaxgeom.plot.animate import save_animation
    from jaxgeom.recipes.movie import pictures

    settings = {name: getattr(options, name) for name in ("data", "widths", "key")}
    settings |= {"num_networks": len(movie.counts), "num_steps": movie.steps[-1], "num_frames": len(movie.steps)}
    counted = movie.counts[(movie.counts >= 0).all(axis=1)]
    table = [f"{'step':>6} {'regions':>18} {'loss':>10} {'right':>7}    mean (and range) of {len(counted)} networks"]
    facts: list[dict[str, Any]] = []
    for frame in np.unique(np.round(np.linspace(0, len(movie.steps) - 1, 6)).astype(int)):
        counts = counted[:, frame]
        loss, right = (np.nanmean(values[:, frame]) for values in (movie.losses, movie.accuracies))
        spread = f"{counts.mean():.0f} ({counts.min()} to {counts.max()})" if len(counts) else "–"
        table.append(f"{movie.steps[frame]:>6} {spread:>18} {loss:10.4f} {right:7.1%}")
        regions = {"mean": counts.mean(), "sd": counts.std(), "min": counts.min(), "max": counts.max()}
        facts.append({"step": movie.steps[frame], "regions": regions, "loss": loss, "accuracy": right})
    arrays: dict[str, Any] = {name: getattr(movie, name) for name in ("steps", "counts", "losses", "accuracies")}
    arrays |= {"x": movie.data.x, "y": movie.data.y}
    written = [save_report(out / "movie.json", settings, {"training": facts}), save_arrays(out / "movie.npz", arrays)]
    print("\n".join(table))
    figure, seen = pictures.grid_view_figure(movie, num_grid=options.grid)
    save_report(out / "movie.json", settings, {"training": facts, "grid": seen})
    figures = {
        "grid": figure,
        "frames": pictures.frames_figure(movie),
        "counts": pictures.counts_figure(movie),
        "colors": pictures.colors_figure(movie),
        "units": pictures.units_figure(movie),
    }
    for name, figure in figures.items():
        written += save_figure(figure, out / f"movie_{name}", options.formats, dpi=110)
    title = f"{len(movie.counts)} networks learn {options.data}"
    written += save_explorer(
        movie.runs, out / "movie", options.formats, data=movie.data, domain=movie.domain, title=title
    )
    if paths := movie_paths(out / "movie", options.formats):
        figure, draw, num = pictures.movie_figure(movie)
        written += save_animation(
            figure,
            draw,
            num,
            paths,
            frames_per_second=rate_of(num, 12),
            hold=HOLD,
            progress=not options.quiet and "movie",
        )
        pictures.close(figure)
    return written
