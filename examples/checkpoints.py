"""Two checkpoints of one training compared, on the same forty planes through random data of three classes.

python examples/checkpoints.py             writes out/checkpoints.png and out/checkpoints.npz, a study
python examples/checkpoints.py --seeds 8   fewer planes
"""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxgeom as jg

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=40, help="planes")
parser.add_argument(
    "--out", type=Path, default=Path("out/checkpoints.png"), help="picture to write, the study beside it"
)
options = parser.parse_args()

STEPS = (30, 3000)
# Three classes in ten dimensions: a point belongs to the one of three clouds of centres that is nearest
random = np.random.default_rng(0)
centers = random.normal(size=(18, 10))
x = random.normal(size=(3000, 10)).astype(np.float32)
y = (np.linalg.norm(x[:, None] - centers, axis=2).argmin(axis=1) % 3).astype(np.int32)
model = jg.mlp((10, 40, 40, 3), activation="relu")
run = jg.fit(
    jax.random.key(0),
    model,
    optax.adam(2e-3),
    jg.losses.softmax_cross_entropy,
    jg.Dataset(x, y),
    num_epochs=100,
    batch_size=100,
    record=None,
    snapshot_steps=STEPS,
)
checkpoints = {
    step: jg.layers_of(jax.tree.map(lambda array, place=place: array[place], run.snapshots))
    for place, step in enumerate(STEPS)
}
data = jg.planes_through_data(jax.random.key(1), x, y, num_planes=options.seeds)
domains = [jg.hull_on_plane(plane, x[rows]) for plane, rows in zip(data.planes, data.rows, strict=True)]
study = jg.study.slice_study(checkpoints, data.planes, domains, radius=0.1)
jg.study.save(study, options.out.with_suffix(".npz"))

titles = {
    "region_density": "regions per unit of area",
    "boundary_length": "length of the boundary",
    "local_complexity": "units near a point",
}
figure, axes = plt.subplots(1, len(titles), figsize=(11, 4.3), layout="constrained")
for ax, (name, title) in zip(axes, titles.items(), strict=True):
    before, after = study[name]
    most = 1.05 * max(before.max(), after.max())
    ax.plot([0, most], [0, most], color="0.7", linewidth=1)
    ax.scatter(before, after, s=16, alpha=0.7, linewidths=0, clip_on=False)
    ax.set(xlim=(0, most), ylim=(0, most), aspect="equal", title=title)
    ax.locator_params(nbins=5)
    ax.set_xlabel(f"after {STEPS[0]} steps")
axes[0].set_ylabel(f"after {STEPS[1]} steps")
figure.savefig(options.out, dpi=120)
for name in (*titles, "num_components", "num_holes"):
    values = study[name].sum(axis=2) if name.startswith("num_") else study[name]
    means, differences = values.mean(axis=1), values[1] - values[0]
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    print(f"{name:<18}{means[0]:8.3g} →{means[1]:8.3g}, a difference of {differences.mean():.3g} ± {error:.2g}")
