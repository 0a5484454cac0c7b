"""[edge] ``python -m jaxgeom slice``."""

import argparse
from pathlib import Path
from typing import Any

from jaxgeom._typing import SPACE
from jaxgeom.recipes.limits import check_numbers
from jaxgeom.recipes.output import check_writable, save_figure, save_report
from jaxgeom.recipes.slice import experiment as recipe
from jaxgeom.recipes.slice.files import POINTS, READERS, read_labels, read_network, read_points
from jaxgeom.study.result import save

SUMMARY = "networks from files on planes through data: regions, classes, boundaries, topology"
DESCRIPTION = (
    f"Read networks ({', '.join(READERS)}), one or the checkpoints of a training, and points "
    f"({', '.join(POINTS)}). Cut the networks with the plane through three of the points, and with planes through "
    "random triples. Writes slice.npz (a study: counts, lengths, areas, components, holes and local complexity by "
    "network and plane), slice.json, slice.png (each network on the first plane, with the points) and "
    "slice_numbers.png; with --geojson, too, one file a network."
)
QUICK_PLANES = 4
"""Planes with ``--quick``, at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="networks, all with the same inputs and outputs")
    parser.add_argument("--points", required=True, metavar="FILE", help="points of input space: .npy, .npz, .csv")
    parser.add_argument("--labels", metavar="FILE", help="their classes, if in a file of their own: .npy, .csv")
    parser.add_argument(
        "--rows", type=int, nargs="+", metavar="ROW", help="the points that the first plane goes through, from 0"
    )
    parser.add_argument(
        "--along", type=int, nargs=2, metavar="INPUT", help="a first plane along two inputs, the others as in one row"
    )
    parser.add_argument(
        "--bounds",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="bounds of all inputs; by default those of the points, input by input",
    )
    parser.add_argument(
        "--planes", type=int, default=20, help=f"planes to measure; at most {QUICK_PLANES} with --quick"
    )
    parser.add_argument(
        "--radius", type=float, help="radius of local complexity; by default 2 %% of the size of a plane's part"
    )
    parser.add_argument(
        "--order",
        nargs="+",
        metavar="NAME",
        help="names of the layers in their order, for files that hold weights alone",
    )
    parser.add_argument(
        "--activation",
        help="what follows hidden layers, for files that hold weights alone; by default what the file says, or relu",
    )
    parser.add_argument("--names", nargs="+", metavar="NAME", help="names of the classes")
    parser.add_argument("--image-shape", type=int, nargs="+", metavar="N", help="height, width, channels of inputs")
    parser.add_argument("--geojson", action="store_true", help="write GeoJSON, too (needs the extra 'interop')")


def run(options: argparse.Namespace) -> list[Path]:
    """Read, cut, measure, save and draw."""
    check_numbers(options, planes=(1, 100_000))
    if options.radius is not None and not 0 < options.radius < float("inf"):
        raise ValueError(f"the radius must be a positive number, but {options.radius} was given.")
    if options.rows is not None and len(options.rows) != (SPACE if options.along is None else 1):
        wanted = "three rows" if options.along is None else "one row with --along"
        raise ValueError(f"{wanted} must be given, but {len(options.rows)} were.")
    networks, x, labels = _read(options)
    if options.geojson:
        import shapely  # noqa: F401  so that it is missing before any work
    out = check_writable(options.out)
    found = recipe.slices_of(
        networks,
        x,
        labels,
        rows=options.rows,
        inputs=None if options.along is None else tuple(options.along),
        bounds=None if options.bounds is None else tuple(options.bounds),
        num_planes=min(options.planes, QUICK_PLANES) if options.quick else options.planes,
        radius=options.radius,
        key=options.key,
        progress=not options.quiet and "slices",
    )
    return _save(found, options, x, labels, out)


def _read(options: argparse.Namespace) -> tuple[dict[str, Any], Any, Any]:
    """Networks by name, points and classes, which fit together."""
    try:
        activation: str | float | None = None if options.activation is None else float(options.activation)
    except ValueError:
        activation = options.activation
    x, labels = read_points(options.points)
    if options.labels:
        labels = read_labels(options.labels, len(x))
    names = [Path(file).name for file in options.files]
    names = names if len(set(names)) == len(names) else list(map(str, options.files))
    if len(set(names)) < len(names):
        raise ValueError("a network is given twice; give each file once.")
    networks = {}
    for name, file in zip(names, options.files, strict=True):
        layers = read_network(file, options.order, activation)
        num = layers[0].kernel.shape[0]
        if num != x.shape[1]:
            raise ValueError(f"{name} takes {num} inputs, but the points in {options.points!r} have {x.shape[1]}.")
        networks[name] = layers
    num_outputs = {int(layers[-1].bias.shape[0]) for layers in networks.values()}
    if len(num_outputs) > 1:
        raise ValueError(f"the networks have {sorted(num_outputs)} outputs. Cut those that are alike together.")
    num_classes = max(2, *num_outputs)
    if options.names is not None and len(options.names) < num_classes:
        raise ValueError(f"{num_classes} classes need as many names, but {len(options.names)} were given.")
    return networks, x, labels


def _save(found: recipe.Slices, options: argparse.Namespace, x: Any, labels: Any, out: Path) -> list[Path]:
    from jaxgeom.recipes.slice import pictures

    settings = {name: getattr(options, name) for name in ("files", "points", "along", "bounds", "key")}
    settings |= {"rows": found.rows, "num_planes": len(found.study.coords["plane"])}
    settings |= {"radius": found.study.settings["description"]["radius"]}
    facts = recipe.statistics(found)
    written = [save(found.study, out / "slice.npz"), save_report(out / "slice.json", settings, facts)]
    if options.geojson:
        from jaxgeom.convert import to_geojson

        for name, cut in found.shown.items():
            written.append(out / f"slice_{Path(name).stem}.geojson")
            to_geojson(cut, written[-1])
    print(_table(facts, len(found.study.coords["plane"])))
    figure = pictures.slices_figure(
        found,
        x,
        labels,
        image_shape=None if options.image_shape is None else tuple(options.image_shape),
        names=options.names,
    )
    dpi = 80 if options.quick else 130
    written += save_figure(figure, out / "slice", options.formats, dpi=dpi)
    written += save_figure(pictures.numbers_figure(found), out / "slice_numbers", options.formats, dpi=dpi)
    return written


def _table(facts: list[dict[str, Any]], num_planes: int) -> str:
    """One row a network: the first plane, and in brackets the mean over all."""
    width = max(7, *(len(row["network"]) for row in facts))
    heads = ("regions", "boundary", "components", "holes", "units near")
    keys = ("num_regions", "boundary_length", "num_components", "num_holes", "local_complexity")
    shown = (".0f", ".4g", ".0f", ".0f", ".3g")
    lines = [f"{'network':<{width}}" + "".join(f"{head:>20}" for head in heads)]
    for row in facts:
        cells = [f"{row[key]['first']:{how}} ({row[key]['mean']:.4g})" for key, how in zip(keys, shown, strict=True)]
        lines.append(f"{row['network']:<{width}}" + "".join(f"{cell:>20}" for cell in cells))
    planes = "one plane" if num_planes == 1 else f"{num_planes} planes"
    return "\n".join([*lines, f"On the first plane, and in brackets the mean of {planes}."])
