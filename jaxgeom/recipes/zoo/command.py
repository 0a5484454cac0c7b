"""[edge] ``python -m jaxgeom zoo``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgeom.recipes.limits import MOST_KEY, check_numbers
from jaxgeom.recipes.status import status_of_zoo
from jaxgeom.study.describe import differences
from jaxgeom.study.shards import MANIFEST, check_shard
from jaxgeom.study.store import is_writable
from jaxgeom.study.versions import versions
from jaxgeom.study.zoo import shard_again, zoo
from jaxgeom.study.zoo_agreement import END, SHARE, START, agreement
from jaxgeom.study.zoo_labels import LABELS
from jaxgeom.study.zoo_plan import SETTINGS
from jaxgeom.study.zoo_reader import Zoo, open_zoo, zoo_arguments, zoo_labels
from jaxgeom.study.zoo_status import zoo_status

SUMMARY = "a zoo: trained networks with labels, shard by shard on disk"
DESCRIPTION = (
    "Train and label a network for every combination of NAME=VALUE,VALUE,… or NAME=START:STOP. Names are "
    f"{', '.join(SETTINGS)}. Every finished shard is saved in the directory; the same command, or one with the "
    "directory alone, goes on after an interruption."
)
WHEN_INTERRUPTED = "the same command goes on from the last finished shard"
_MOST_RANGE = 10**8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "axes", nargs="*", metavar="NAME=VALUES", help="axes and settings, such as width=8,10 seed=0:99"
    )
    parser.add_argument("--out", default="out/zoo", metavar="DIR", help="directory of the zoo")
    parser.add_argument("--labels", nargs="*", metavar="LABEL", help=f"some of {', '.join(LABELS)} (default: regions)")
    parser.add_argument(
        "--domain", nargs=2, type=float, metavar=("LOW", "HIGH"), help="square of the geometry (default: -1 1)"
    )
    parser.add_argument("--key", type=int, help="random seed of the whole zoo (default: 0)")
    parser.add_argument("--licence", metavar="TEXT", help="licence of the zoo, for its manifest")
    parser.add_argument(
        "--any-versions", action="store_true", help="go on with a zoo that was begun with other versions of packages"
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--status", action="store_true", help="make nothing: say what is finished, and who is at work")
    instead.add_argument(
        "--check", action="store_true", help="make nothing: check every shard, and make the first one anew to compare"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> list[Path]:
    """Make or resume the zoo and print what it holds, or do what is asked for instead."""
    check_numbers(options, key=(0, MOST_KEY))
    out = Path(options.out)
    if options.status:
        print(status_of_zoo(zoo_status(out)))
        return []
    if options.check:
        check(open_zoo(out))
        return []
    names = ("labels", "domain", "key", "licence")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    axes = axes_of(options.axes)
    if not axes and (out / MANIFEST).exists():
        axes, there = zoo_arguments(open_zoo(out))
        given = there | given
    elif not axes:
        what = f"has no {MANIFEST}" if out.exists() else "is not there"
        raise ValueError(
            f"a zoo needs axes, such as width=8,10 seed=0:1000, or --out with a zoo to go on with, but {str(out)!r} "
            f"{what}."
        )
    if "domain" in given:
        given["domain"] = tuple(given["domain"])
    found = zoo(axes, out=out, any_versions=options.any_versions, progress=not options.quiet, **given)
    print(f"{found.num_networks:,} networks in {len(found.is_finished)} shards")
    for name, array in zoo_labels(found).variables.items():
        print(f"{name:<20} mean {np.nanmean(array):<10.4g} {found.meanings[name]}")
    return [out / MANIFEST] if is_writable(out) else []


def check(found: Zoo) -> None:
    """Raise a ValueError unless every shard is as it was saved, and the first one comes out again: to the bit with
    the same versions, and to a tolerance with others."""
    digest = found.manifest["digest"]
    wrong = [n for n in range(len(found.is_finished)) if not check_shard(found.directory, n, digest)]
    if wrong:
        raise ValueError(
            f"{len(wrong)} of {len(found.is_finished)} shards are missing or damaged, such as {wrong[0]}; the zoo "
            "command makes them anew."
        )
    shards = f"all {len(found.is_finished)} shards are as they were saved, and shard 0"
    compared = agreement(found.shard(0), shard_again(found.directory, 0))
    if not compared.differing:
        print(f"{shards} comes out again to the bit")
        return
    others = differences(found.manifest["versions"], versions(), "versions")
    figures = (
        f"losses before training agree to {compared.start.max():.1g} (allowed {START:g}), and all weights and labels "
        f"of {compared.is_close.mean():.1%} of the networks to {END:g} (at least {SHARE:.0%})"
    )
    if others and compared.is_within_tolerance:
        print(f"{shards} comes out again to the tolerance of other versions: {figures}; {'; '.join(others)}")
        return
    why = f"beyond the tolerance of other versions: {figures}" if others else "though versions are those of the zoo"
    raise ValueError(f"shard 0 comes out with other numbers in {', '.join(compared.differing)}, {why}.")


def axes_of(given: Sequence[str]) -> dict[str, Any]:
    """Axes from texts such as "width=8,10", "seed=0:1000" and "data=spirals"; one value alone is a setting.

    Raises:
        ValueError: for other texts, and a name given twice.
    """
    found: dict[str, Any] = {}
    for text in given:
        name, is_given, values = text.partition("=")
        if not (name and is_given and values):
            raise ValueError(f"axes are given as NAME=VALUE,VALUE,… or NAME=START:STOP, but {text!r} was given.")
        if name in found:
            raise ValueError(f"the axis {name!r} was given twice.")
        listed = [part for item in values.split(",") for part in _values(item.strip())]
        found[name] = listed if "," in values or ":" in values else listed[0]
    return found


def _values(text: str) -> Sequence[Any]:
    start, is_range, stop = text.partition(":")
    if is_range:
        try:
            found = range(int(start or 0), int(stop))
        except ValueError:
            raise ValueError(f"a range is START:STOP of two integers, but {text!r} was given.") from None
        if not 0 < len(found) <= _MOST_RANGE:
            raise ValueError(f"a range has 1 to {_MOST_RANGE:,} values, but {text!r} was given.")
        return found
    for kind in (int, float):
        try:
            return [kind(text)]
        except ValueError:
            continue
    return [text]
