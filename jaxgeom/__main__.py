"""[edge] The command line: ``python -m jaxgeom RECIPE``."""

import argparse
import sys
import time
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a recipe; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxgeom", description="Geometry of small neural networks: train populations, count regions."
    )
    commands = parser.add_subparsers(title="recipes", dest="recipe", required=True, metavar="RECIPE")
    _add_xor(commands)
    _add_study(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted; {options.when_interrupted}", file=sys.stderr)
        return 130


def _add_xor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    xor = commands.add_parser(
        "xor",
        help="linear regions of networks that solve XOR, over widths and seeds",
        description=(
            "Train ReLU networks 2-W-1 on XOR, many seeds of each width at once, drawing those that fail anew. Count "
            "the linear regions of each on [-1, 1]² twice: as distinct affine maps on a grid of points, and exactly. "
            "Prints a table; writes xor.json (settings, statistics), xor.npz (one row a network) and xor.png."
        ),
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    xor.add_argument("--widths", type=int, nargs="+", default=[2, 20, 100], metavar="W", help="numbers of hidden units")
    xor.add_argument("--seeds", type=int, default=1000, help="networks of each width")
    xor.add_argument("--out", default="out/xor", metavar="DIR", help="directory for the results; created if need be")
    xor.add_argument("--grid", type=int, default=101, help="grid points along each axis")
    xor.add_argument("--key", type=int, default=0, help="seed of the whole study; the same key gives the same results")
    xor.add_argument("--max-tries", type=int, default=100, help="initialisations that a network may use to solve XOR")
    xor.add_argument("--quiet", action="store_true", help="no progress bars")
    xor.set_defaults(run=_run_xor, when_interrupted="nothing was saved")


def _run_xor(options: argparse.Namespace) -> int:
    from jaxgeom.recipes import xor

    start = time.perf_counter()
    xor.check_writable(options.out)
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
    written = xor.save_xor_study(study, options.out, settings)
    print(f"\n{', '.join(map(str, written))} written after {time.perf_counter() - start:.0f} s")
    return 0


def _add_study(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    study = commands.add_parser(
        "study",
        help="a study that a TOML file describes: settings times measurements",
        description=(
            "Train and measure networks for every combination of the settings in FILE (examples/study.toml explains "
            "it). Every finished chunk is saved in the directory; the same command goes on after an interruption."
        ),
    )
    study.add_argument("file", metavar="FILE", help="the study, in TOML")
    study.add_argument("--out", metavar="DIR", help="directory of the study; default is out/ and the name of the file")
    study.add_argument("--netcdf", action="store_true", help="write result.nc, too (needs the extra 'labels')")
    study.add_argument(
        "--hosts", action="store_true", help="one of several processes, which Slurm and the like started"
    )
    study.add_argument("--quiet", action="store_true", help="no progress bar")
    study.set_defaults(run=_run_study, when_interrupted="the same command goes on from the last finished chunk")


def _run_study(options: argparse.Namespace) -> int:
    from pathlib import Path

    from jaxgeom.recipes.study_file import run_file
    from jaxgeom.study.result import save

    if options.hosts:
        import jax

        jax.distributed.initialize()
    start = time.perf_counter()
    out = Path(options.out) if options.out else Path("out") / Path(options.file).stem
    try:
        study = run_file(options.file, out=out, progress=not options.quiet)
        if options.netcdf:
            save(study, out / "result.nc")
    except (OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, array in study.variables.items():
        dims = ", ".join(f"{dim} {size}" for dim, size in zip(study.dims[name], array.shape, strict=True))
        print(f"{name:<24} {dims:<48} {study.attrs[name]['meaning']}")
    print(f"\n{out / 'result.npz'} written after {time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
