"""Populations as pictures: many networks side by side, the kinds that they fall into, and how numbers are spread.

python examples/populations.py            writes out/populations.gif and out/populations_{maps,kinds,losses,phases}.png
python examples/populations.py --seeds 8  fewer networks
"""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxgeom as jg

FEW_SEEDS = 8  # or fewer are for a quick look
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=64, help="networks side by side; of kinds there are 16 times as many")
parser.add_argument("--out", type=Path, default=Path("out/populations"), help="pictures to write, without endings")
options = parser.parse_args()
is_small = options.seeds <= FEW_SEEDS


def save(figure, name):
    figure.savefig(options.out.with_name(f"{options.out.name}_{name}.png"), dpi=110)
    plt.close(figure)


# 64 networks learn two spirals, side by side
data = jg.spirals(jax.random.key(0), num_per_class=150, num_classes=2, noise=0.05)
steps = (0, 40) if is_small else tuple(frame * frame * 5 // 8 for frame in range(41) if frame != 1)
num = 12 if is_small else 60


def train(key):
    model = jg.mlp((2, 16, 16, 1), activation="relu", init="pytorch")
    loss = jg.losses.binary_cross_entropy
    return jg.fit(key, model, optax.adam(0.01), loss, data, num_epochs=steps[-1], snapshot_steps=steps)


runs = jg.fit_population(jax.random.split(jax.random.key(1), options.seeds), train)
layers = jg.layers_of(runs.snapshots)
domain, order = jg.box(-1.2, 1.2), np.argsort(np.asarray(runs.train_loss)[:, -1])
at_grid = jax.jit(jax.vmap(lambda one: jg.forward(one, jg.grid_points(domain, num)).output[:, 0]))
figure = plt.figure(figsize=(7, 7.25), layout="constrained")
ax = figure.subplots()


def draw(frame):
    ax.clear()
    here = jax.tree.map(lambda array: np.asarray(array)[order, frame], layers)
    boundaries = [jg.decision_boundary(each) for each in jg.enumerate_population(here, domain)]
    values = np.asarray(at_grid(here)).reshape(-1, num, num)
    jg.plot.plot_multiples(values, boundaries=boundaries, domain=domain, limit=15, ax=ax)
    ax.set_title(f"{options.seeds} networks after {steps[frame]:,} steps, the best one first")


jg.plot.save_animation(figure, draw, len(steps), options.out.with_suffix(".gif"), frames_per_second=10, hold=2)
draw(len(steps) - 1)
save(figure, "maps")

# Losses while they train: a density with ridges, and quantiles
drawn = jg.plot.plot_distribution(runs.record_steps[0], runs.train_loss, is_log=True, ylabel="cross-entropy")
save(drawn.axes.figure, "losses")

# The kinds of networks 2-2-1 that solve XOR
study = jg.xor_study([2], 16 * options.seeds)
solved = np.flatnonzero(study["is_solved"][0])
pairs = jax.tree.map(lambda array: np.asarray(array)[solved], jg.layers_of(jg.study.networks(study, width=2, step=100)))
points, targets = (np.asarray(array) for array in jg.parity(2))
kinds = jg.network_kinds(pairs, points, jg.box(-1, 1))
regions = jg.enumerate_population(kinds.layers, jg.box(-1, 1))
shown = range(min(8, len(kinds.num_networks)))
members = [[regions[i] for i in np.flatnonzero(kinds.kind == kind)[:100]] for kind in shown]
names = [f"{kinds.num_regions[k]} regions,\nunits on at {' and '.join(map(str, kinds.num_active[k]))}" for k in shown]
axes = jg.plot.plot_kinds([each[0] for each in members], kinds.num_networks[: len(shown)], num_all=len(solved),
                          members=members, points=points, labels=targets[:, 0], names=names)  # fmt: skip
axes[0].figure.suptitle(
    f"{len(solved):,} networks 2-2-1 that solve XOR, of {len(kinds.num_networks)} kinds: "
    "regions, and how many of the four points each unit is on at"
)
save(axes[0].figure, "kinds")
for share, low, high in zip(*jg.fraction_interval(kinds.num_networks, len(solved)), strict=True):
    print(f"share of a kind: {share:.1%} ({low:.1%} to {high:.1%})")

# A phase diagram: which widths and learning rates solve XOR
rates, widths = ([0.1], [2, 4]) if is_small else ([0.01, 0.03, 0.1, 0.3, 1.0], [2, 3, 4, 6, 10, 20])
is_solved = jg.study.all_right(is_right=jg.losses.side_is_right)
study = jg.run_study(
    {"width": widths, "learning_rate": rates, "seed": range(options.seeds)},
    {"solved": jg.study.Measurement(is_solved, meaning="whether all four points are right"),
     "regions": jg.study.exact_regions(jg.box(-1, 1))},
    data=jg.parity(2), optimizer=optax.sgd, loss=jg.losses.squared_error, num_epochs=100, at_steps=(0, 100),
)  # fmt: skip
figure = plt.figure(figsize=(14, 5), layout="constrained")
for variable, ax in zip(("solved", "regions"), figure.subplots(1, 2), strict=True):
    jg.plot.plot_phases(study, variable, x="width", y="learning_rate", ax=ax)
save(figure, "phases")
