"""One contact sheet of what the recipes draw: every command is run with --quick, and its pictures are put together.

python examples/gallery.py                   writes gallery.png
python examples/gallery.py --out docs/gallery.png --results out/gallery
python examples/gallery.py --seeds 8         smaller populations
"""

import argparse
import math
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

from jaxgeom.__main__ import RECIPES, main

# Which pictures of a recipe are shown, and what is written over them. Of recipes that are not listed, all are shown.
CHOSEN = {
    "xor": {
        "xor": "How many linear regions solve XOR?",
        "xor_by_hand": "XOR by hand",
        "xor_training": "XOR, learned",
        "xor_similar_triples": "Two networks compared",
        "xor_pairs": "Many pairs",
        "xor_regions": "Exact regions, four colourings",
        "xor_grid": "What a grid of points misses",
    },
    "movie": {
        "movie_frames": "Regions while a network trains",
        "movie_counts": "Region counts against the step",
        "movie_units": "What hidden units do",
    },
}
ARGUMENTS = {"movie": ["--widths", "12", "12"]}
SEEDED = {"xor", "movie", "spirals", "rings", "detangle"}
MOST_BYTES = 1_000_000


def draw(tiles: list[tuple[str, Path]], out: Path, columns: int = 4) -> None:
    """The pictures in rows, each with its title, in one file of at most a megabyte."""
    rows = math.ceil(len(tiles) / columns)
    figure = plt.figure(figsize=(4 * columns, 3.5 * rows), layout="constrained")
    for place, (title, path) in enumerate(tiles):
        ax = figure.add_subplot(rows, columns, place + 1)
        with Image.open(path) as picture:
            picture.seek(getattr(picture, "n_frames", 1) - 1)  # of animations, the end
            picture = picture.convert("RGB")
            picture.thumbnail((1000, 1000))
            ax.imshow(picture, interpolation="antialiased")
        ax.set_title(title, fontsize=13)
        ax.axis("off")
    for dpi in (150, 120, 100, 80, 65, 50):
        figure.savefig(out, dpi=dpi)
        with Image.open(out) as sheet:
            colors = sheet.convert("RGB").quantize(200, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        colors.save(out, optimize=True)
        if out.stat().st_size < MOST_BYTES:
            break
    plt.close(figure)


def run(names: list[str], results: Path, seeds: int | None) -> list[tuple[str, Path]]:
    """Run these commands and find the pictures to show; anything that is missing is an error."""
    tiles = []
    for name in names:
        directory = results / name
        arguments = [name, "--quick", "--quiet", "--out", str(directory)]
        if seeds is None:
            arguments += ARGUMENTS.get(name, [])
        elif name in SEEDED:
            arguments += ["--seeds", str(seeds)]
        if main(arguments):
            raise SystemExit(f"the command failed: {' '.join(arguments)}")
        found = {path.stem: path for path in sorted(directory.glob("*.png"))}
        chosen = CHOSEN.get(name, {stem: stem.replace("_", " ") for stem in found})
        missing = sorted(set(chosen) - set(found))
        if missing or not chosen:
            raise SystemExit(f"{name} has no pictures {missing or ''}; there are {sorted(found)}.")
        left_out = sorted(set(found) - set(chosen))
        print(f"{name}: {len(chosen)} pictures shown" + (f", not shown: {', '.join(left_out)}" if left_out else ""))
        tiles += [(title, found[stem]) for stem, title in chosen.items()]
    return tiles


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="gallery.png", help="picture to write")
    parser.add_argument("--results", help="where the commands write; default is a temporary directory")
    parser.add_argument("--seeds", type=int, help="networks of each recipe; default is that of --quick")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES), help="which are shown")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        draw(run(options.recipes, Path(options.results or scratch), options.seeds), Path(options.out))
    print(f"{options.out}: {Path(options.out).stat().st_size / 1e6:.2f} MB")
