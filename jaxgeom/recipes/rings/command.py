"""[edge] ``python -m jaxgeom rings``."""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from jaxgeom._typing import SPACE
from jaxgeom.data.datasets import Dataset
from jaxgeom.host.chunks import in_threads
from jaxgeom.plot.hidden import MOST_UNITS
from jaxgeom.recipes.limits import MOST_NETWORKS, MOST_STEPS, check_different, check_memory, check_numbers
from jaxgeom.recipes.output import (
    check_writable,
    growing_arrays,
    movie_paths,
    save_figure,
    save_report,
    save_study_explorer,
)
from jaxgeom.recipes.regression import experiment as regression
from jaxgeom.recipes.rings import experiment as rings
from jaxgeom.recipes.sweep import loss_statistics, loss_table
from jaxgeom.study.networks import networks
from jaxgeom.study.result import Study

MOST_POINTS = 400
"""Points of a page, about."""

SUMMARY = "what hidden units do: lines, codes and thresholds, over widths and seeds"
DESCRIPTION = (
    "Train sigmoid networks 2-W-1 on a disk and a ring, and 1-W-1 on a damped sine, many seeds of several widths at "
    "once: as it is, reversed, and with a loss in percent. Prints losses by width beside those of the notebook behind "
    "it, the regions that the hidden units' lines cut and the points in them, and how much each half of the curve "
    "leaves unexplained; draws learning curves, lines, codes, hidden space, thresholds and steps, and writes "
    "rings.json and rings.npz."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--widths", type=int, nargs="+", default=[1, 2, 3, 5], metavar="W", help="units, rings")
    parser.add_argument("--seeds", type=int, default=32, help="networks of each width, rings")
    parser.add_argument("--epochs", type=int, default=10_000, help="full-batch steps, rings")
    parser.add_argument(
        "--regression-widths",
        type=int,
        nargs="+",
        default=list(regression.REGRESSION_WIDTHS),
        metavar="W",
        help="units, regression; the largest one is compared in both directions",
    )
    parser.add_argument("--regression-seeds", type=int, default=24, help="networks of each width, regression")
    parser.add_argument("--regression-epochs", type=int, default=20_000, help="full-batch steps, regression")


def run(options: argparse.Namespace) -> list[Path]:
    """Train, print the tables, and save everything."""
    from jaxgeom.recipes.regression import pictures as regression_pictures
    from jaxgeom.recipes.rings import pictures as rings_pictures

    check_numbers(
        options,
        widths=(1, 16),  # for each has a code, one digit a unit
        seeds=(1, MOST_NETWORKS),
        epochs=(1, MOST_STEPS),
        regression_widths=(1, 10_000),
        regression_seeds=(1, MOST_NETWORKS),
        regression_epochs=(1, MOST_STEPS),
    )
    check_different("widths", options.widths)
    check_different("regression_widths", options.regression_widths)
    if options.quick:
        options.seeds, options.epochs = min(options.seeds, 4), min(options.epochs, 3000)
        options.regression_widths = [width for width in options.regression_widths if width in (1, 3, 10)] or [3]
        options.regression_seeds = min(options.regression_seeds, 4)
        options.regression_epochs = min(options.regression_epochs, 4000)
    out = check_writable(options.out)
    for seeds, widths in ((options.seeds, options.widths), (options.regression_seeds, options.regression_widths)):
        check_memory(
            seeds * len(widths) * 100 * (4 * max(widths) + 1),
            f"{seeds:,} networks of each width up to {max(widths):,}",
            "take fewer seeds or smaller widths",
        )
    data = rings.ring_data(options.key)
    widest = max(options.regression_widths)
    save_more = growing_arrays(out / "rings.npz")
    save_more({"x": data.x, "y": data.y})

    def of_the_rings() -> Study:
        found = rings.train_rings(
            options.widths,
            options.seeds,
            key=options.key,
            num_epochs=options.epochs,
            progress=False if options.quiet else "rings",
        )
        save_more({f"rings_{name}": value for name, value in _arrays(found).items()})
        return found

    def of_the_sine(what: str) -> Study:
        found = regression.train_regression(
            what,
            options.regression_widths if what == "as it is" else [widest],
            options.regression_seeds,
            key=options.key,
            num_epochs=options.regression_epochs,
            progress=False if options.quiet else f"sine, {what}",
        )
        save_more({f"{what.replace(' ', '_')}_{name}": value for name, value in _arrays(found).items()})
        return found

    study, *found = in_threads([of_the_rings, *(partial(of_the_sine, what) for what in regression.EXPERIMENTS)])
    studies = dict(zip(regression.EXPERIMENTS, found, strict=True))
    lived = rings.occupancy(study, data)
    shares = {name: regression.shares_of(name, found, widest) for name, found in studies.items()}
    of_rings = loss_statistics(study, rings.PUBLISHED_STEP, rings.PUBLISHED_LOSSES)
    of_sine = loss_statistics(studies["as it is"], options.regression_epochs)
    settings = {
        name: value
        for name, value in vars(options).items()
        if name not in ("out", "quiet", "command", "no_cache") and isinstance(value, bool | int | float | str | list)
    }
    statistics = {
        "rings": [row._asdict() for row in of_rings],
        "regions": {name: column.ravel().tolist() for name, column in lived._asdict().items()},
        "regression": [row._asdict() for row in of_sine],
        "unexplained_left_right": {name: share.tolist() for name, share in shares.items()},
    }
    written = [save_report(out / "rings.json", settings, statistics), out / "rings.npz"]
    print(f"Rings: cross-entropy of {options.seeds} networks of each width after {of_rings[0].step:,} steps")
    print(loss_table(of_rings))
    print("\nRings: regions that the lines make (within ±10,000), and those with points of the data; medians")
    print(rings.occupancy_table(lived, study))
    print(f"\nDamped sine: mean squared error of {options.regression_seeds} networks of each width")
    print(loss_table(of_sine))
    print(f"\nDamped sine, {widest} units: variation left unexplained, median over the seeds")
    for name, share in shares.items():
        left, right = np.median(share, axis=0)
        print(f"{name:>16}: left half {100 * left:4.0f} %, right half {100 * right:4.0f} %")

    def save(figure: Figure, name: str) -> list[Path]:
        return save_figure(figure, out / name, options.formats)

    title = "A disk and the ring around it: cross-entropy by the number of hidden units"
    written += save(rings_pictures.draw_sweep(study, what="cross-entropy", title=title), "rings_losses")
    written += save(rings_pictures.draw_lines(study, data), "rings_lines")
    shown = SPACE if SPACE in options.widths else max(options.widths)
    median = rings_pictures.median_network(study, shown)
    figure, table = rings_pictures.draw_codes(median, data)
    statistics["codes"] = {
        code: count.tolist() for code, count in zip(table.codes, table.counts, strict=True)
    }  # code -> [disk, ring]
    save_report(out / "rings.json", settings, statistics)
    written += save(figure, "rings_codes")
    if shown == SPACE:
        written += save(rings_pictures.draw_hidden(median, data), "rings_hidden")
    if SPACE <= max(options.widths) <= MOST_UNITS:
        of_widest = rings_pictures.median_network(study, max(options.widths))
        written += save(rings_pictures.draw_triples(of_widest, data), "rings_triples")
    sine, as_it_is = regression.regression_data(), studies["as it is"]
    what = "mean squared error"
    title = "A damped sine: mean squared error by the number of hidden units"
    sweep = rings_pictures.draw_sweep(as_it_is, {}, options.regression_epochs, what=what, title=title)
    written += save(sweep, "regression_losses")
    few = sorted(options.regression_widths)
    few = [few[i] for i in sorted({round(p * (len(few) - 1)) for p in (0, 0.12, 0.25, 0.45, 0.7, 1)})]
    written += save(regression_pictures.draw_fits(as_it_is, sine, few), "regression_fits")
    written += save(regression_pictures.draw_halves(studies, widest), "regression_halves")
    title = "What hidden units do: a disk and the ring around it"
    written += save_study_explorer(study, out / "rings", options.formats, data=_few(data), title=title)
    title = "What hidden units do: a damped sine"
    written += save_study_explorer(as_it_is, out / "regression", options.formats, data=sine, title=title)
    frames = {"num_frames": 12} if options.quick else {}
    if movies := movie_paths(out / "rings", options.formats):
        progress = False if options.quiet else "drawing the rings"
        written += rings_pictures.animate_rings(study, shown, data, movies, progress=progress, **frames)
    if movies := movie_paths(out / "regression", options.formats):
        progress = False if options.quiet else "drawing the regression"
        written += regression_pictures.animate_regression(as_it_is, widest, sine, movies, progress=progress, **frames)
    return written


def _few(data: Dataset) -> Dataset:
    """Some of the points, evenly: as many as a page shows."""
    return Dataset(*(part[:: max(1, len(data.x) // MOST_POINTS)] for part in data))


def _arrays(study: Study) -> dict[str, np.ndarray]:
    """What the file of arrays holds of a study: its axes, losses and accuracies, and the parameters at the end."""
    arrays = dict(study.coords) | {n: study.variables[n] for n in ("loss", "accuracy") if n in study.variables}
    params = networks(study, step=study.coords["step"][-1])
    for name, layer in zip(("first", "last"), sorted(params), strict=True):
        arrays |= {f"{name}_{part}": value for part, value in params[layer].items()}
    return arrays
