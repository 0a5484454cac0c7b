"""The exact linear regions of small networks before and after they learn XOR, and their decision boundary.

python examples/exact_regions.py            writes out/exact_regions.png
python examples/exact_regions.py --seeds 8  fewer networks for the mean
"""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import optax

import jaxgeom as jg

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=100, help="networks to train")
parser.add_argument("--out", type=Path, default=Path("out/exact_regions.png"), help="picture to write")
options = parser.parse_args()
options.out.parent.mkdir(parents=True, exist_ok=True)

model = jg.mlp((2, 16, 16, 1), activation="relu", init="pytorch")
data = jg.parity(2)


def run(key):
    return jg.fit(
        key,
        model,
        optax.adam(0.01),
        jg.losses.squared_error,
        data,
        num_epochs=500,
        record=None,
        snapshot_steps=(0, 500),
    )


runs = jg.fit_population(jax.random.split(jax.random.key(0), options.seeds), run)
domain = jg.box(-1.5, 1.5)
figure, axes = plt.subplots(1, 2, figsize=(13, 5.8), layout="constrained")
for index, (title, ax) in enumerate(zip(("before training", "after 500 steps"), axes, strict=True)):
    layers = jg.layers_of(jax.tree.map(lambda array, index=index: array[:, index], runs.snapshots))
    counts = jg.count_regions(layers, domain).count
    regions = jg.enumerate_regions(jax.tree.map(lambda array: array[0], layers), domain)
    jg.plot.plot_regions(regions, color_by="output", ax=ax)
    jg.plot.plot_boundary(jg.decision_boundary(regions), ax=ax)
    ax.set_title(f"{title}: {regions.num_faces} regions\n(mean of {len(counts)} networks: {counts.mean():.0f})")
    print(f"{title}: {counts.mean():.1f} ± {counts.std():.1f} regions")
figure.savefig(options.out, dpi=120)
