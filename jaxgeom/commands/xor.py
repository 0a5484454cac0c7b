"""[edge] ``python -m jaxgeom xor``."""

import argparse

from jaxgeom.recipes import xor
from jaxgeom.recipes.output import check_writable

SUMMARY = "linear regions of networks that solve XOR, over widths and seeds"
DESCRIPTION = (
    "Train ReLU networks 2-W-1 on XOR, many seeds of each width at once, drawing those that fail anew. Count "
    "the linear regions of each on [-1, 1]² twice: as distinct affine maps on a grid of points, and exactly. "
    "Prints a table; writes xor.json (settings, statistics), xor.npz (one row a network) and xor.png."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--widths", type=int, nargs="+", default=[2, 20, 100], metavar="W", help="hidden units")
    parser.add_argument("--seeds", type=int, default=1000, help="networks of each width")
    parser.add_argument("--grid", type=int, default=101, help="grid points along each axis")
    parser.add_argument(
        "--max-tries", type=int, default=100, help="initialisations that a network may use to solve XOR"
    )


def run(options: argparse.Namespace) -> list:
    """Run the study and save it."""
    check_writable(options.out)
    study = xor.xor_study(
        options.widths,
        options.seeds,
        key=options.key,
        num_grid=options.grid,
        max_tries=options.max_tries,
        progress=not options.quiet,
    )
    print(xor.xor_table(study))
    settings = {
        "widths": options.widths,
        "num_seeds": options.seeds,
        "num_grid": options.grid,
        "key": options.key,
        "max_tries": options.max_tries,
    }
    return xor.save_xor_study(study, options.out, settings)
