"""A control network with five inputs, six layers of 50 units and five advisories, before and after training.

The shape is that of the collision avoidance networks ACAS Xu; what is learned is made up here: to turn away from an
intruder, the harder the nearer it is. Slices are along two inputs, so that their first layer is exact to the bit.

python examples/control_network.py              writes out/control_network.png
python examples/control_network.py --epochs 3   trains for a shorter time
"""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxgeom as jg

WEAK, STRONG = 0.6, 0.3  # time left
ADVISORIES = ("clear", "weak left", "weak right", "strong left", "strong right")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=30, help="passes over the encounters")
parser.add_argument("--seeds", type=int, default=4000, help="encounters")
parser.add_argument("--size", type=float, default=0.5, help="half-width of the slice")
parser.add_argument("--out", type=Path, default=Path("out/control_network.png"), help="picture to write")
options = parser.parse_args()
options.out.parent.mkdir(parents=True, exist_ok=True)

# Inputs: distance ahead, distance to the side (left is positive), heading and two speeds, all from -1 to 1
x = np.random.default_rng(0).uniform(-1, 1, (options.seeds, 5)).astype(np.float32)
time_left = np.hypot(x[:, 0] - 0.2 * x[:, 3], x[:, 1] + 0.3 * x[:, 2]) / (1.2 + 0.4 * x[:, 4])
is_left = x[:, 1] + 0.3 * x[:, 2] > 0
y = np.where(time_left > WEAK, 0, np.where(time_left > STRONG, 1, 3) + is_left).astype(np.int32)
model = jg.mlp((5, *[50] * 6, 5), activation="relu", init="he")
num_steps = options.epochs * (len(x) // min(200, len(x)))
run = jg.fit(
    jax.random.key(0),
    model,
    optax.adam(1e-3),
    jg.losses.softmax_cross_entropy,
    jg.Dataset(x, y),
    num_epochs=options.epochs,
    batch_size=min(200, len(x)),
    accuracy=jg.losses.class_is_right,
    record=None,
    snapshot_steps=(0, num_steps),
)
plane, domain = jg.plane_along_inputs([0.0, 0.0, 0.0, 0.3, 0.3], (0, 1)), jg.box(-options.size, options.size)
figure, axes = plt.subplots(1, 2, figsize=(12.5, 6), layout="constrained")
for place, (ax, when) in enumerate(zip(axes, ("before training", "after training"), strict=True)):
    layers = jg.layers_of(jax.tree.map(lambda array, place=place: array[place], run.snapshots))
    found = jg.slice_network(layers, plane, domain)
    jg.plot.plot_slice(found, names=ADVISORIES, ax=ax)
    ax.set(title=f"{when}: {found.complex_.num_faces:,} linear regions", xlabel="ahead", ylabel="to the left")
    shape = jg.slice_topology(found)
    shares = found.regions.class_area / found.regions.area.sum()
    print(when)
    for name, share, parts, holes in zip(ADVISORIES, shares, shape.num_components, shape.num_holes, strict=True):
        print(f"  {name:<13}{share:7.1%} of the area, components: {parts}, holes: {holes}")
figure.savefig(options.out, dpi=120)
