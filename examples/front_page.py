"""The movie at the top of the README: the exact regions of a network wrap themselves round two classes while it trains.

Of many networks the one with the median number of regions is shown. Frames are as far apart in time as something
changes: between any two of them about as many units change sides on a grid of points. Facets are lit as those of the
graph of the network's output.

python examples/front_page.py            writes front_page.webp
python examples/front_page.py --seeds 8  fewer networks, steps and frames
"""

import argparse
import io
import itertools

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from PIL import Image

import jaxgeom as jg

FEW_SEEDS = 8  # or fewer are for a quick look
NIGHT = "#0b0e14"
SIDES = ["#2a6fa8", "#174a75", "#0f2c49", "#10151f", "#43270f", "#8f4f16", "#e0912f"]  # negative to positive
BOX = {"facecolor": NIGHT, "alpha": 0.7, "linewidth": 0, "boxstyle": "round,pad=0.35"}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=33, help="networks to train")
parser.add_argument("--key", type=int, default=0, help="of data and networks")
parser.add_argument("--out", default="front_page.webp", help="animation to write: .webp or .gif")
options = parser.parse_args()
is_small = options.seeds <= FEW_SEEDS
num_steps, num_frames, width = (60, 4, 8) if is_small else (1500, 100, 16)

data = jg.datasets.circles(jax.random.key(options.key), num_points=240, noise=0.07, factor=0.42)
x = np.asarray((data.x - data.x.mean(axis=0)) / data.x.std(axis=0))
y = np.asarray(data.y)
domain = jg.box((-3.84, -2.16), (3.84, 2.16))
steps = sorted({round(num_steps * share**3) for share in np.linspace(0, 1, 6 * num_frames)})


def train(key):
    return jg.fit(
        key,
        jg.mlp((2, width, width, 1), activation="relu"),
        optax.adam(0.01),
        jg.losses.binary_cross_entropy,
        jg.Dataset(x, y),
        num_epochs=num_steps,
        accuracy=jg.losses.side_is_right,
        snapshot_steps=tuple(steps),
    )


runs = jg.fit_population(jax.random.split(jax.random.key(options.key + 1), options.seeds), train)
counts = jg.count_regions(jg.layers_of(runs.params), domain).count
solved = np.flatnonzero(np.asarray(runs.train_accuracy)[:, -1] >= np.median(runs.train_accuracy[:, -1]))
shown = int(solved[np.argsort(counts[solved])[len(solved) // 2]])
layers = jax.tree.map(lambda array: np.asarray(array)[shown], jg.layers_of(runs.snapshots))

# Time by change: how many units, and outputs, change sides at the points of a grid
grid = jg.grid_points(domain, 40)
signs = []
for place in range(len(steps)):
    state = jg.forward(jax.tree.map(lambda array, place=place: array[place], layers), grid)
    signs.append(np.concatenate([np.asarray(part) > 0 for part in (*state.pre_activations, state.output)], axis=1))
change = np.array([np.mean(a != b) for a, b in itertools.pairwise(signs)])
clock = np.concatenate([[0], np.cumsum(change / change.sum() + 0.3 / len(change))])
frames = np.unique(np.searchsorted(clock, np.linspace(0, clock[-1], num_frames)).clip(0, len(steps) - 1))

colors = LinearSegmentedColormap.from_list("sides", SIDES)
figure = plt.figure(figsize=(8, 4.5), facecolor=NIGHT)
ax = figure.add_axes((0, 0, 1, 1))


def facet_colors(regions):
    """Colours by the output, lit by the slope of each facet."""
    value = np.sum(regions.gradient[:, 0] * regions.centroid, axis=1) + regions.intercept[:, 0]
    tilt = regions.gradient[:, 0] / np.sqrt(1 + np.sum(regions.gradient[:, 0] ** 2, axis=1, keepdims=True))
    light = 1 + 0.3 * tilt @ np.array([-0.6, 0.8])
    return np.clip(colors(0.5 + 0.5 * np.tanh(value / 7))[:, :3] * light[:, None], 0, 1)


def draw(frame):
    ax.clear()
    ax.axis("off")
    regions = jg.enumerate_regions(jax.tree.map(lambda array: array[frames[frame]], layers), domain)
    jg.plot.plot_regions(regions, color_by=facet_colors(regions), edges=False, ax=ax)
    for layer, shade in enumerate(("#e8f1fa", "#8fb0d0")):
        edges = regions.vertices[regions.edges[regions.edge_layer == layer]]
        ax.add_collection(LineCollection(list(edges), colors=shade, linewidths=0.8, alpha=0.6), autolim=False)
    boundary = jg.decision_boundary(regions)
    for width, alpha in ((7, 0.2), (2.2, 1)):
        jg.plot.plot_boundary(boundary, ax=ax, colors="white", linewidths=width, alpha=alpha)
    ax.get_legend().remove()
    for label, shade, marker in ((0, "#bfe6ff", "o"), (1, "#ffd9a0", "s")):
        ax.scatter(*x[y == label].T, s=20, color=shade, marker=marker, edgecolors=NIGHT, linewidths=0.5, zorder=4)
    ax.set(xlim=(-3.84, 3.84), ylim=(-2.16, 2.16))
    for place, side, text in (
        (0.02, "left", f"{regions.num_faces:,} linear regions"),
        (0.98, "right", f"step {steps[frames[frame]]:,}"),
    ):
        ax.text(place, 0.04, text, ha=side, transform=ax.transAxes, color="white", fontsize=17, zorder=6, bbox=BOX)


pictures = []
for frame in range(len(frames)):
    draw(frame)
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=100, facecolor=NIGHT)
    pictures.append(Image.open(memory).convert("RGB"))
pauses = [66] * (len(pictures) - 1) + [2500]
pictures[0].save(
    options.out, save_all=True, append_images=pictures[1:], duration=pauses, loop=0, quality=48, kmin=1, kmax=1
)
print(f"{options.out}: {len(pictures)} frames, network {shown} of {options.seeds}, {counts[shown]} regions at the end")
