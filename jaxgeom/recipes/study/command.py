"""[edge] ``python -m jaxgeom study``."""

import argparse
from pathlib import Path

import jax

from jaxgeom.recipes.status import share, status_of_study
from jaxgeom.recipes.study.file import check_file, run_file
from jaxgeom.recipes.study.slurm import write_launch_file
from jaxgeom.recipes.study.tables import text_of, write_csv
from jaxgeom.study.compare import compare
from jaxgeom.study.result import Study, load, merge, save
from jaxgeom.study.status import study_status
from jaxgeom.study.store import is_writable

SUMMARY = "a study that a TOML file describes: settings times measurements"
DESCRIPTION = (
    "Train and measure networks for every combination of the settings in FILE (examples/study.toml explains "
    "it). Every finished chunk is saved in the directory; the same command goes on after an interruption."
)
WHEN_INTERRUPTED = "the same command goes on from the last finished chunk"
MOST_SHARDS = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="the study, in TOML; for --status, --compare and --merge, its directory or result"
    )
    parser.add_argument("--out", metavar="DIR", help="directory of the study; default is out/ and the name of the file")
    parser.add_argument("--netcdf", action="store_true", help="write result.nc, too (needs the extra 'labels')")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--status", action="store_true", help="compute nothing: say what is finished, and who is at work"
    )
    instead.add_argument(
        "--compare",
        metavar="OTHER",
        help="compute nothing: differences to another study (directory, .npz or .nc), with confidence intervals; with "
        "--out also as DIR/compare.csv",
    )
    instead.add_argument(
        "--merge",
        nargs="+",
        metavar="OTHER",
        help="compute nothing: one study of this and others (directories, .npz or .nc) that differ along one axis; "
        "--out names the file to write, .npz or .nc",
    )
    instead.add_argument(
        "--slurm",
        type=int,
        metavar="N",
        help="compute nothing: write DIR/study.sbatch, by which Slurm computes the study in an array of N tasks",
    )
    instead.add_argument(
        "--shard", metavar="I/N", help="compute one of N parts, counted from 0, beside other processes"
    )
    instead.add_argument(
        "--hosts", action="store_true", help="one of several processes, which Slurm and the like started"
    )
    parser.add_argument(
        "--sbatch",
        action="append",
        default=[],
        metavar="OPTION",
        help="for --slurm: an option, as --sbatch=--time=2:00:00",
    )
    parser.add_argument(
        "--any-versions", action="store_true", help="go on with a study that was begun with other versions of packages"
    )
    parser.add_argument("--along", default="seed", metavar="AXIS", help="for --merge: the axis")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> list[Path]:
    """Run or resume the study and print what it holds, or do what is asked for instead."""
    file = Path(options.file)
    if options.compare is not None:
        return _compare(file, Path(options.compare), options.out)
    if options.merge is not None:
        return _merge([file, *map(Path, options.merge)], options.along, options.out, options.any_versions)
    out = Path(options.out) if options.out else Path("out") / file.stem
    if options.status:
        if file.suffix != ".toml" and not file.is_dir():
            what = "was given" if file.exists() else "is not there"
            raise ValueError(f"--status takes a directory of a study or its .toml file, but {str(file)!r} {what}.")
        print(status_of_study(study_status(file if file.is_dir() else out)))
        return []
    if options.sbatch and options.slurm is None:
        raise ValueError("--sbatch is for --slurm N, which writes a launch file.")
    if options.slurm is not None:
        return _slurm(options, file, out)
    if options.hosts:
        jax.distributed.initialize()
    shard = None if options.shard is None else _shard(options.shard)
    study = run_file(file, out=out, any_versions=options.any_versions, progress=not options.quiet, shard=shard)
    if not study.is_finished.all():
        print(f"{share(study.is_finished)} of the study are finished; other shards compute the others")
        return []
    written = [out / "result.npz"] if is_writable(out) else []
    if options.netcdf:
        save(study, out / "result.nc")
        written.append(out / "result.nc")
    for name, array in study.variables.items():
        dims = ", ".join(f"{dim} {size}" for dim, size in zip(study.dims[name], array.shape, strict=True))
        print(f"{name:<24} {dims:<48} {study.attrs[name]['meaning']}")
    return written


def _compare(first: Path, second: Path, out: str | None) -> list[Path]:
    studies = [_read(path) for path in (first, second)]
    found = compare(*studies)
    for path, study in zip((first, second), studies, strict=True):
        finished = "" if study.is_finished.all() else f", {share(study.is_finished)} finished"
        print(f"{path}{finished}")
    print(text_of(found))
    if out is None:
        return []
    write_csv(found, Path(out) / "compare.csv")
    return [Path(out) / "compare.csv"]


def _merge(paths: list[Path], along: str, out: str | None, any_versions: bool) -> list[Path]:
    path = Path(out or "")
    if path.suffix not in (".npz", ".nc"):
        given = "--out was not given" if out is None else f"{out!r} was given"
        raise ValueError(f"--merge writes a file .npz or .nc, but {given}; add --out FILE.npz.")
    if path.exists():
        raise ValueError(f"{str(path)!r} is there already; name a new file.")
    found = merge(*map(_read, paths), along=along, any_versions=any_versions)
    save(found, path)
    shape = ", ".join(f"{name} {len(values)}" for name, values in found.coords.items())
    print(f"{shape}: {share(found.is_finished)} are finished")
    return [path]


def _read(path: Path) -> Study:
    if path.suffix == ".toml":
        raise ValueError(f"studies are taken from directories or results (.npz, .nc), but {str(path)!r} was given.")
    return load(path)


def _slurm(options: argparse.Namespace, file: Path, out: Path) -> list[Path]:
    if not 1 <= options.slurm <= MOST_SHARDS:
        raise ValueError(f"--slurm takes 1 to {MOST_SHARDS:,} tasks, but {options.slurm} was given.")
    num_chunks = check_file(file)
    if options.slurm > num_chunks:
        raise ValueError(
            f"the study has {num_chunks} chunks, so that --slurm takes at most {num_chunks} tasks, but {options.slurm} "
            "was given. A smaller chunk_size in the file makes more chunks."
        )
    path = write_launch_file(file, out, options.slurm, options.sbatch, ["--any-versions"] * options.any_versions)
    print(f"sbatch {path} submits it; python -m jaxgeom study {out} --status says how far it is")
    return [path]


def _shard(text: str) -> tuple[int, int]:
    number, stroke, num = text.partition("/")
    if not (stroke and number.isdecimal() and num.isdecimal() and int(number) < int(num)):
        raise ValueError(f"a shard is I/N with I from 0 to N - 1, such as 0/8, but {text!r} was given.")
    return int(number), int(num)
