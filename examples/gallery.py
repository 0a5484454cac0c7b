"""One contact sheet of what the recipes draw: commands are run with --quick, and their pictures are put together.

python examples/gallery.py                        writes gallery.png
python examples/gallery.py --results out          takes what is there from earlier runs, and runs the other recipes
python examples/gallery.py --recipes movie --seeds 8
"""

import argparse
import math
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

from jaxgeom.__main__ import RECIPES, main

SHOWN = {
    "spirals/spirals_predictions": "Spirals: a linear network and an MLP",
    "spirals/spirals_embeddings": "Bottlenecks of two units",
    "spirals/spirals_sandwich1": "The rainbow sandwich",
    "stretch/stretch_2d_mesh_tanh_manual": "From 2-D to 3-D and back",
    "detangle/detangle_holes_after": "Detangling a disk with holes",
    "detangle/detangle_deaths": "How many networks die",
    "rings/rings_losses": "Rings: three units are enough",
    "rings/rings_codes": "Three lines, seven regions",
    "rings/rings_hidden": "Hidden units as coordinates",
    "rings/regression_halves": "The half that is neglected",
    "xor/xor": "How many regions solve XOR?",
    "xor/xor_by_hand": "XOR by hand",
    "xor/xor_pairs": "Are two networks one affine map apart?",
    "xor/xor_regions": "Exact regions, four colourings",
    "xor/xor_grid": "What a grid of points misses",
    "movie/movie_frames": "Regions while a network trains",
}
"""Which pictures are shown, by recipe and name, and what is written over them."""
MOST_BYTES = 1_000_000


def run(recipe: str, directory: Path, seeds: int | None) -> None:
    """Run a command and see to it that the pictures are there."""
    names = [Path(place).name for place in SHOWN if place.startswith(f"{recipe}/")]
    if not names:
        raise SystemExit(f"no picture of {recipe} is listed.")
    if not all((directory / f"{name}.png").exists() for name in names):
        more = [] if seeds is None or recipe == "stretch" else ["--seeds", str(seeds)]
        if main([recipe, "--quick", "--quiet", "--out", str(directory), *more]):
            raise SystemExit(f"the command {recipe} failed.")
    missing = [name for name in names if not (directory / f"{name}.png").exists()]
    if missing:
        raise SystemExit(f"{recipe} has no pictures {missing}; there are {sorted(directory.glob('*.png'))}.")


def draw(tiles: list[tuple[str, Path]], out: Path, columns: int = 4) -> None:
    """The pictures in rows, each with its title, in one file of at most a megabyte."""
    rows = math.ceil(len(tiles) / columns)
    figure = plt.figure(figsize=(4 * columns, 3.6 * rows), layout="constrained")
    for place, (title, path) in enumerate(tiles):
        ax = figure.add_subplot(rows, columns, place + 1)
        with Image.open(path) as picture:
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="gallery.png", help="picture to write")
    parser.add_argument("--results", help="directory of results, one of each recipe in it; default is a temporary one")
    parser.add_argument("--seeds", type=int, help="networks of each recipe; default is that of --quick")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES), help="which are shown")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(options.results or scratch)
        for recipe in options.recipes:
            run(recipe, results / recipe, options.seeds)
        shown = [place for place in SHOWN if place.split("/")[0] in options.recipes]
        draw([(SHOWN[place], results / f"{place}.png") for place in shown], Path(options.out))
    print(f"{options.out}: {len(shown)} pictures, {Path(options.out).stat().st_size / 1e6:.2f} MB")
