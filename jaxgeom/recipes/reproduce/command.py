"""[edge] ``python -m jaxgeom reproduce``."""

import argparse
import sys
import time
from pathlib import Path

from jaxgeom.recipes.output import check_writable
from jaxgeom.recipes.reproduce import CLAIMS
from jaxgeom.recipes.reproduce.claims import table
from jaxgeom.recipes.reproduce.report import save_claim_figure, save_claims

WHEN_INTERRUPTED = "what was measured before is saved"
SUMMARY = "published results, measured anew, beside what was published"
DESCRIPTION = (
    "Measure published results on linear regions anew, each with its error, and say which agree. Writes report.md with "
    "tables and figures, and report.json. Results: " + ", ".join(CLAIMS) + "; all of them: all."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", choices=[*CLAIMS, "all"], metavar="NAME", help="which results")


def run(options: argparse.Namespace) -> list[Path]:
    """Measure, print and save; what was measured is saved even if a later one fails or is interrupted."""
    directory = check_writable(options.out)
    names = list(CLAIMS) if "all" in options.names else list(dict.fromkeys(options.names))
    settings = {"names": names, "key": options.key, "quick": options.quick}
    claims, pictures, written = {}, {}, []
    for name in names:
        start = time.perf_counter()
        if not options.quiet:
            print(f"{name} …", file=sys.stderr)
        claims[name] = CLAIMS[name](options.key, options.quick)
        print(f"\n{claims[name].title} ({name}, {time.perf_counter() - start:.0f} s)\n\n{table(claims[name])}")
        pictures[name] = save_claim_figure(claims[name], directory / name, options.formats)
        written = save_claims(claims, pictures, directory, settings)
    return written
