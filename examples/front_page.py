"""The movie at the top of the README: the exact regions of a network wrap themselves round two classes while it trains.

Of 33 networks the one in the middle is shown. Its frames are the steps between which edges move about equally far.

python examples/front_page.py            writes out/front_page.webp (the README's: --out docs/front_page.webp)
python examples/front_page.py --seeds 8  fewer networks, steps and frames
"""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

import jaxgeom as jg
from jaxgeom.recipes.movie.experiment import region_movie

FEW_SEEDS = 8  # or fewer are for a quick look
NIGHT, EDGES, CLASSES = "#0e1116", ("#f2f2f2", "#a9c7e0"), ("#9fd8ff", "#ffd08a")
BOX = {"facecolor": NIGHT, "alpha": 0.75, "linewidth": 0, "boxstyle": "round,pad=0.35"}
PAUSE, HOLD = 66, 2500  # milliseconds

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=33, help="networks to train")
parser.add_argument("--out", type=Path, default=Path("out/front_page.webp"), help="animation to write: .webp or .gif")
options = parser.parse_args()
options.out.parent.mkdir(parents=True, exist_ok=True)
is_small = options.seeds <= FEW_SEEDS

movie = region_movie(
    jax.random.key(0),
    data="circles",
    widths=(8,) if is_small else (16, 16),
    num_networks=options.seeds,
    num_steps=60 if is_small else 1500,
    num_frames=4 if is_small else 80,
)
domain = jg.box((-3.68, -2.07), (3.68, 2.07))  # as wide as the page
complexes = jg.enumerate_population(movie.layers, domain)

with jg.plot.dark():
    figure = plt.figure(figsize=(8, 4.5))
    ax = figure.add_axes((0, 0, 1, 1))
canvas = FigureCanvasAgg(figure)
pictures = []
for step, regions in zip(movie.steps, complexes, strict=True):
    ax.clear()
    ax.axis("off")
    jg.plot.plot_decision(regions, ax=ax)
    jg.plot.plot_edges(regions, colors=EDGES, ax=ax, linewidths=0.7, alpha=0.8)
    boundary = jg.decision_boundary(regions)
    for width, alpha in ((7, 0.2), (2.6, 1)):
        jg.plot.plot_boundary(boundary, ax=ax, colors="white", linewidths=width, alpha=alpha)
    jg.plot.mark_classes(*movie.data, ax=ax, s=26, colors=CLASSES, edgecolors=NIGHT, linewidths=0.6)
    ax.get_legend().remove()
    words = (0.02, "left", f"{regions.num_faces:,} linear regions"), (0.98, "right", f"step {step:,}")
    for place, side, text in words:
        ax.text(place, 0.04, text, ha=side, transform=ax.transAxes, color="white", fontsize=17, zorder=6, bbox=BOX)
    canvas.draw()
    pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
pauses = [PAUSE] * (len(pictures) - 1) + [HOLD]
# each frame is a picture of its own: differences to the one before leave blocks behind
look = {"quality": 48, "kmin": 1, "kmax": 1} if options.out.suffix == ".webp" else {}
pictures[0].save(options.out, save_all=True, append_images=pictures[1:], duration=pauses, loop=0, **look)
print(f"{options.out}: {len(pictures)} frames, network {movie.member} of {options.seeds}")
