"""[edge] The command line: ``python -m jaxgeom COMMAND``."""

import argparse
import os
import sys
import time
from collections.abc import Sequence

import jax
import matplotlib

from jaxgeom.commands import detangle, movie, reproduce, rings, spirals, stretch, study, xor
from jaxgeom.recipes.output import FORMATS, check_formats

RECIPES = {
    "spirals": spirals,
    "stretch": stretch,
    "detangle": detangle,
    "rings": rings,
    "xor": xor,
    "movie": movie,
}
"""Commands that make pictures for a gallery."""

COMMANDS = RECIPES | {"reproduce": reproduce, "study": study}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxgeom", description="Geometry of small neural networks: train populations, count regions."
    )
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.DESCRIPTION,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        module.add_arguments(command)
        if name != "study":
            _add_common_arguments(command, name)
        lost = getattr(module, "WHEN_INTERRUPTED", "nothing was saved")
        command.set_defaults(run=module.run, when_interrupted=lost)
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    try:
        if "formats" in options:
            check_formats(options.formats)
            matplotlib.use("agg")  # which draws in any thread, and opens no windows
        written = options.run(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; {options.when_interrupted}", file=sys.stderr)
        return 130
    print(f"\n{', '.join(map(str, written))} written after {time.perf_counter() - start:.0f} s")
    return 0


def _add_common_arguments(command: argparse.ArgumentParser, name: str) -> None:
    command.add_argument("--out", default=f"out/{name}", metavar="DIR", help="directory for the results")
    command.add_argument("--key", type=int, default=0, help="random seed; the same one gives the same results")
    command.add_argument(
        "--formats", nargs="+", default=["png", "gif"], metavar="FORMAT", help=f"pictures: {', '.join(FORMATS)}"
    )
    command.add_argument("--quick", action="store_true", help="a small version that takes seconds")
    command.add_argument("--quiet", action="store_true", help="no progress bars")


def _compile_in_haste() -> None:
    """To be called before JAX starts: what runs for moments is compiled without optimization, as XLA_FLAGS can say only
    then. Trainings ask for theirs themselves."""
    flags = ["--xla_backend_optimization_level=0"]
    if jax.__version_info__ < (0, 11):
        flags.append("--xla_cpu_use_fusion_emitters=false")  # unknown later on
    os.environ["XLA_FLAGS"] = " ".join([*flags, os.environ.get("XLA_FLAGS", "")])


if __name__ == "__main__":
    if "--quick" in sys.argv and sys.argv[1] in RECIPES:
        _compile_in_haste()
    sys.exit(main())
