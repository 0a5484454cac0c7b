"""A sheet of tiles, one picture each: single panels without axes, of small populations that are trained first.

python examples/gallery.py            writes out/gallery.png (the README's: --out docs/gallery.png)
python examples/gallery.py --seeds 8  fewer networks
"""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxgeom as jg
from jaxgeom import plot

FEW_SEEDS = 8  # or fewer are for a quick look
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=64, help="networks of each kind")
parser.add_argument("--out", type=Path, default=Path("out/gallery.png"), help="picture to write")
options = parser.parse_args()
options.out.parent.mkdir(parents=True, exist_ok=True)
width = 16 if options.seeds > FEW_SEEDS else 4
square, xor_square = jg.box(-1.25, 1.25), jg.box(-1, 1)


def train(sizes, data, num_epochs, activation="relu"):
    model, loss = jg.mlp(sizes, activation=activation, init="pytorch"), jg.losses.binary_cross_entropy
    num_epochs = num_epochs if options.seeds > FEW_SEEDS else num_epochs // 10
    keys, adam = jax.random.split(jax.random.key(1), options.seeds), optax.adam(0.01)
    return jg.fit_population(keys, lambda key: jg.fit(key, model, adam, loss, data, num_epochs=num_epochs))


def one(layers, number):
    return jax.tree.map(lambda array: np.asarray(array)[number], layers)


figure, captions = plt.figure(figsize=(12, 9.9)), []
figure.subplots_adjust(left=0.005, right=0.995, bottom=0.005, top=0.965, wspace=0.04, hspace=0.14)


def tile(caption, **kind):
    captions.append(caption)
    return figure.add_subplot(3, 4, len(captions), **kind)


data = jg.spirals(jax.random.key(0), num_per_class=150, num_classes=2, noise=0.05)
runs = train((2, width, width, 1), data, 500)
population, order = jg.layers_of(runs.params), np.argsort(np.asarray(runs.train_loss)[:, -1])
network = one(population, order[0])
regions = jg.enumerate_regions(network, square)
plot.plot_regions(regions, ax=tile("Linear regions, exactly"))
plot.plot_decision(regions, ax=(ax := tile("Two spirals, parted")))
plot.plot_boundary(jg.decision_boundary(regions), ax=ax, colors="white")
plot.mark_classes(*data, ax=ax, s=16, colors=("#9fd8ff", "#ffe1ac"), edgecolors="#14171c", linewidths=0.6)
grid = jg.grid_points(square, 60)
values = np.stack([np.asarray(jg.forward(one(population, n), grid).output)[:, 0] for n in order[:36]])
plot.plot_multiples(values.reshape(-1, 60, 60), limit=8, ax=tile("A population, side by side"))

ax = tile("Its boundaries, all at once")
for each in jg.enumerate_population(population, square):
    plot.plot_boundary(jg.decision_boundary(each), ax=ax, linewidths=0.8, alpha=0.3)
ax.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")

lines = np.asarray(jg.grid_lines(square, 25))
state = jg.hidden_states(network, lines.reshape(-1, 2))[1].activation
folded = np.asarray(jg.pca_coordinates(jg.pca(state), state)).reshape(lines.shape)
plot.plot_warped_grid(folded, lines[..., 0], ax=tile("Space, folded twice"))
points = np.asarray(jg.grid_points(square, 41), np.float64)
plot.plot_grid_view(regions, points, jg.locate(regions, network, points), ax=tile("What a grid of points misses"), s=3)
plot.plot_distribution(runs.record_steps[0], runs.train_loss, is_log=True, ax=tile("Losses, step by step"))
study = jg.xor_study([2, 20], options.seeds)
pairs, wide = [jg.layers_of(jg.study.networks(study, width=width, step=100)) for width in (2, 20)]
plot.plot_graph(jg.enumerate_regions(one(wide, 0), xor_square), ax=tile("XOR as a sheet", projection="3d"))
kinds = jg.network_kinds(pairs, np.asarray(jg.parity(2).x), xor_square)
regions = jg.enumerate_regions(one(kinds.layers, kinds.example[0]), xor_square)
caption = f"{kinds.num_networks[0]} of {options.seeds} solve XOR this way"
plot.plot_kinds([regions], kinds.num_networks[:1], axes=[tile(caption)])
units = [np.asarray(state.activation).T.reshape(-1, 60, 60)[:8] for state in jg.hidden_states(network, grid)[:-1]]
plot.plot_units(units, square, num_columns=4, ax=tile("Hidden units of two layers"))
rings = jg.rings(jax.random.key(0), num_per_class=400)
found = train((2, 3, 1), rings, 3000, "sigmoid")
states = jg.hidden_states(one(found.params, int(np.argmin(found.train_loss[:, -1]))), rings.x)
plot.plot_hidden(np.asarray(states[0].activation), np.asarray(rings.y), ax=tile("Rings in a cube", projection="3d"))

deep = jg.mlp((3, width + 4, width + 4, 1), activation="abs", init="pytorch")
solid = jg.decision_surface(jg.layers_of(deep.init(jax.random.key(5))), jg.box(-3, 3, dim=3))
ax = tile("A decision surface in space", projection="3d")
plot.plot_decision_surface(solid, colors=np.full((len(solid.patterns), 3), (0.45, 0.75, 0.95)), ax=ax)

for ax, caption in zip([ax for ax in figure.axes if ax.get_subplotspec()], captions, strict=True):
    tile = ax.get_subplotspec().get_position(figure)  # all of a row have captions at one height
    figure.text((tile.x0 + tile.x1) / 2, tile.y1 + 0.008, caption, fontsize=14, ha="center")
    ax.set_title("")
    ax.set_axis_off()
    ax.legend_ = None
figure.savefig(options.out, dpi=90)
print(f"{options.out}: {len(captions)} tiles")
