"""[edge] ``python -m jaxgeom study``."""

import argparse
from pathlib import Path

import jax

from jaxgeom.recipes.study.file import run_file
from jaxgeom.study.result import save

SUMMARY = "a study that a TOML file describes: settings times measurements"
DESCRIPTION = (
    "Train and measure networks for every combination of the settings in FILE (examples/study.toml explains "
    "it). Every finished chunk is saved in the directory; the same command goes on after an interruption."
)
WHEN_INTERRUPTED = "the same command goes on from the last finished chunk"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the study, in TOML")
    parser.add_argument("--out", metavar="DIR", help="directory of the study; default is out/ and the name of the file")
    parser.add_argument("--netcdf", action="store_true", help="write result.nc, too (needs the extra 'labels')")
    parser.add_argument(
        "--hosts", action="store_true", help="one of several processes, which Slurm and the like started"
    )
    parser.add_argument(
        "--any-versions", action="store_true", help="go on with a study that was begun with other versions of packages"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> list[Path]:
    """Run or resume the study, and print what it holds."""
    if options.hosts:
        jax.distributed.initialize()
    out = Path(options.out) if options.out else Path("out") / Path(options.file).stem
    study = run_file(options.file, out=out, any_versions=options.any_versions, progress=not options.quiet)
    written = [out / "result.npz"]
    if options.netcdf:
        save(study, out / "result.nc")
        written.append(out / "result.nc")
    for name, array in study.variables.items():
        dims = ", ".join(f"{dim} {size}" for dim, size in zip(study.dims[name], array.shape, strict=True))
        print(f"{name:<24} {dims:<48} {study.attrs[name]['meaning']}")
    return written
