"""[edge] ``python -m jaxgeom xor``."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgeom._typing import SPACE
from jaxgeom.analysis.formula import latex_formula
from jaxgeom.domains import box
from jaxgeom.host.chunks import in_background
from jaxgeom.networks.layers import Layers, layers_of
from jaxgeom.recipes.limits import MOST_NETWORKS, MOST_UNITS, check_different, check_memory, check_numbers
from jaxgeom.recipes.output import HOLD, check_writable, movie_paths, rate_of, save_arrays, save_figure, save_report
from jaxgeom.recipes.xor import experiment as xor
from jaxgeom.recipes.xor import networks as xor_networks
from jaxgeom.study.networks import networks
from jaxgeom.study.result import Study, merge, select

WIDEST_QUICK = 20
"""Hidden units of the widest networks that ``--quick`` trains."""
WIDEST_DRAWN = 30
"""Hidden units of the widest network whose units are drawn."""

SUMMARY = "linear regions of networks that solve XOR, over widths and seeds"
DESCRIPTION = (
    "Train ReLU networks 2-W-1 on XOR, many seeds of each width at once, drawing those that fail anew. Count "
    "the linear regions of each on [-1, 1]² twice: as distinct affine maps on a grid of points, and exactly. "
    "Prints a table; writes xor.json (settings, statistics), xor.npz (one row a network) and xor.png. Then look at "
    "single networks: the one made by hand, training step by step, two networks compared through their affine maps, "
    "hidden units, regions, what a grid misses of them, and the kinds that the narrowest networks fall into; writes "
    "xor_*.png, xor_training.gif, xor_networks.json "
    "(formulas in LaTeX, R²) and xor_pairs.npz (R² of many pairs)."
)
_GRID_SHOWN = 31
_WIDEST_OF_KINDS = 3
"""Hidden units of networks that are grouped into kinds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--widths", type=int, nargs="+", default=[2, 20, 100], metavar="W", help="hidden units")
    parser.add_argument("--seeds", type=int, default=1000, help="networks of each width; at most 100 with --quick")
    parser.add_argument("--grid", type=int, default=101, help="grid points along each axis")
    parser.add_argument(
        "--max-tries", type=int, default=100, help="initialisations that a network may use to solve XOR"
    )
    parser.add_argument("--pairs", type=int, default=100, help="pairs of networks compared, of each kind")
    parser.add_argument("--table-only", action="store_true", help="only the counts, their table and their picture")


def run(options: argparse.Namespace) -> list[Path]:
    """Run the study, look at single networks, and save it all."""
    check_numbers(
        options,
        widths=(1, MOST_UNITS),
        seeds=(1, MOST_NETWORKS),
        grid=(2, 10_000),
        max_tries=(1, MOST_NETWORKS),
        pairs=(1, MOST_NETWORKS),
    )
    check_different("widths", options.widths)
    check_writable(options.out)
    seeds = min(options.seeds, 100) if options.quick else options.seeds
    most = WIDEST_QUICK if options.quick else max(options.widths)
    widths = [width for width in options.widths if width <= most] or options.widths
    settings = {
        "widths": widths,
        "num_seeds": seeds,
        "num_grid": options.grid,
        "key": options.key,
        "max_tries": options.max_tries,
    }
    size = seeds * (4 * max(widths) + 1)
    check_memory(4 * size, f"{seeds:,} networks of width {max(widths):,}", "take fewer seeds or smaller widths")
    check_memory(3 * options.grid**2, f"a grid of {options.grid:,}² points", "take a coarser --grid")
    draw = partial(_of_the_task, options)
    with in_background((lambda: []) if options.table_only else draw) as drawn:
        parts: list[Study] = []
        for width in widths:
            part = xor.xor_study(
                [width],
                seeds,
                key=options.key,
                num_grid=options.grid,
                max_tries=options.max_tries,
                progress=False if options.quiet else f"width {width}",
            )
            parts.append(part)
            study = merge(*parts, along="width")
            xor.save_xor_numbers(study, options.out, settings)
        pictures = drawn()
    written = xor.save_xor_study(study, options.out, settings, options.formats) + pictures
    print(xor.xor_table(study))
    return written if options.table_only else written + _networks(options, study, settings)


def _save(options: argparse.Namespace, name: str, figure: Any) -> list[Path]:
    return save_figure(figure, Path(options.out) / f"xor_{name}", options.formats, dpi=80 if options.quick else 110)


def _of_the_task(options: argparse.Namespace) -> list[Path]:
    """Pictures, and the page, that take none of the networks that are trained for the study."""
    from jaxgeom.recipes.xor import pictures
    from jaxgeom.recipes.xor.page import save_page

    written = _save(options, "data", pictures.data_figure()) + _save(options, "by_hand", pictures.by_hand_figure())
    widths = [width for width in options.widths if width <= WIDEST_QUICK or not options.quick] or options.widths
    page = Path(options.out) / "xor_training.html"
    return written + save_page(page, widths, options.seeds, jax.random.key(options.key), options.formats)


def _networks(options: argparse.Namespace, study: Study, settings: dict[str, Any]) -> list[Path]:
    """Single networks and pairs of them."""
    from jaxgeom.recipes.xor import pair_pictures, pictures

    out, widths = Path(options.out), study.coords["width"].tolist()
    with in_background(partial(_single_networks, options, study)) as drawn:
        scores = xor_networks.xor_pair_scores(
            study, num_pairs=options.pairs, num_grid=options.grid, progress=not options.quiet
        )
        written, facts, first = drawn()
    if scores:
        written.append(save_arrays(out / "xor_pairs.npz", _columns(scores)))
        written += _save(options, "pairs", pair_pictures.pairs_figure(scores))
        facts["pairs"] = [_statistics(each) for each in scores]
        print(
            "\nAffine maps of one network fitted to those of another, R² over the grid (median, range). The four points"
        )
        print("of the data say little of the rest of the grid: what is fitted at them alone may be far below 0 there.")
        for row in facts["pairs"]:
            print(f"{row['widths'][0]:>6} → {row['widths'][1]:<4} {row['num_pairs']:>4} pairs   {_in_words(row)}")
    else:
        print("\nToo few networks solved XOR to compare two of them: no pictures of pairs.")
    chosen = xor_networks.chosen_pairs(scores)
    if options.quick:
        chosen.pop("dissimilar", None)
    for name, (each, number) in chosen.items():
        layers = [
            layers_of(networks(study, width=w, seed=seed, step=xor.NUM_STEPS))
            for w, seed in zip(each.widths, each.members[number].tolist(), strict=True)
        ]
        pair = xor_networks.xor_pair(*layers, num_grid=options.grid)
        titles = (f"2-{each.widths[0]}-1", f"2-{each.widths[1]}-1")
        for what, figure in pair_pictures.pair_figures(pair, titles, name).items():
            written += _save(options, f"{name}_{what}", figure)
        facts[name] = {
            "widths": each.widths,
            "seeds": each.members[number],
            "r_squared": pair.r_squared,
            "formulas": [latex_formula(one) for one in layers],
            "formulas_from_0_to_1": [latex_formula(one, unit_box=box()) for one in layers],
        }
    width = widths[0]
    facts["trained"] = {"width": width, "formula": latex_formula(first)}
    if width <= SPACE:
        print(f"\nThe first of width {width}:  {pictures.in_text(first)}")
    written.append(save_report(out / "xor_networks.json", settings | {"num_pairs": options.pairs}, facts))
    return written


def _single_networks(options: argparse.Namespace, study: Study) -> tuple[list[Path], dict[str, Any], Layers]:
    """A training step by step, and the regions of one network; what was written, facts, and the network trained."""
    from jaxgeom.plot.animate import save_animation
    from jaxgeom.recipes.xor import pictures

    width = int(study.coords["width"][0])
    training = xor_networks.xor_training(study, width, _shown(study, width), every=10 if options.quick else 2)
    written = _save(options, "training", pictures.training_figure(training, width))
    if paths := movie_paths(Path(options.out) / "xor_training", options.formats):
        figure, draw, num = pictures.training_movie(training, width)
        written += save_animation(
            figure,
            draw,
            num,
            paths,
            frames_per_second=rate_of(num, 4 if options.quick else 8),
            hold=HOLD,
            dpi=60 if options.quick else 80,
            progress=not options.quiet and "training",
        )
        pictures.close(figure)
    shown = max([w for w in study.coords["width"].tolist() if w <= WIDEST_DRAWN], default=width)
    seed = _shown(study, shown)
    layers = layers_of(networks(study, width=shown, seed=seed, step=xor.NUM_STEPS))
    title = f"2-{shown}-1"
    written += _save(options, "units", pictures.units_figure(layers, title=f"The hidden units of a network {title}"))
    written += _save(options, "regions", pictures.regions_figure(layers, title=title))
    figure, seen = pictures.grid_view_figure(layers, num_grid=min(options.grid, _GRID_SHOWN), title=title)
    written += _save(options, "grid", figure)
    facts: dict[str, Any] = {}
    if width <= _WIDEST_OF_KINDS and study.variables["is_solved"][0].any():
        solved = select(study, width=width).variables["is_solved"]
        population = jax.tree.map(
            lambda array: np.asarray(array)[solved], layers_of(networks(study, width=width, step=xor.NUM_STEPS))
        )
        figure, kinds = pictures.kinds_figure(population, title=f"2-{width}-1")
        written += _save(options, "kinds", figure)
        facts["kinds"] = [
            {"regions": regions, "networks": num}
            for regions, num in zip(kinds.num_regions, kinds.num_networks, strict=True)
        ]
    facts |= {"shown": {"width": shown, "seed": seed, "num_grid": min(options.grid, _GRID_SHOWN)} | seen}
    return written, facts, layers_of(networks(training, step=xor.NUM_STEPS))


def _shown(study: Study, width: int) -> int:
    """The number of the first network of a width that solves XOR, or of the first one of all if none does."""
    return int(np.argmax(select(study, width=width).variables["is_solved"]))


def _columns(scores: list[xor_networks.PairScores]) -> dict[str, np.ndarray]:
    """One row a pair."""
    repeated = [np.repeat([each.widths], len(each.members), axis=0) for each in scores]
    return {
        "widths": np.concatenate(repeated),
        "seeds": np.concatenate([each.members for each in scores]),
        "r_squared": np.concatenate([each.all_points for each in scores]),
        "r_squared_of_data_fit": np.concatenate([each.data_points for each in scores]),
    }


def _statistics(scores: xor_networks.PairScores) -> dict[str, Any]:
    return {"widths": scores.widths, "num_pairs": len(scores.members)} | {
        name: {"median": np.median(values), "min": values.min(), "max": values.max()}
        for name, values in (("whole_grid", scores.all_points), ("data_points", scores.data_points))
    }


def _in_words(row: dict[str, Any]) -> str:
    return ",  ".join(
        f"fitted {where}: {row[name]['median']:6.2f} ({row[name]['min']:.2f} to {row[name]['max']:.2f})"
        for name, where in (("whole_grid", "on the grid"), ("data_points", "at the data"))
    )
