"""Networks that learn the inside of a torus: genus and volume of their decision surfaces, exactly.

python examples/torus.py            writes out/torus.png, the first surface as out/torus.obj (if trimesh is there)
python examples/torus.py --seeds 2  fewer networks
"""

import argparse
from pathlib import Path

import jax
import numpy as np
import optax

import jaxgeom as jg
from jaxgeom import convert, plot

RADIUS, TUBE = 1.0, 0.45

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=8, help="networks to train")
parser.add_argument("--epochs", type=int, default=200, help="passes over the points")
parser.add_argument("--out", type=Path, default=Path("out/torus.png"), help="picture to write; the mesh goes beside it")
options = parser.parse_args()
options.out.parent.mkdir(parents=True, exist_ok=True)

domain = jg.box(-1.7, 1.7, dim=3)
points = np.random.default_rng(0).uniform(domain.low, domain.high, (4000, 3)).astype(np.float32)
is_inside = (np.hypot(points[:, 0], points[:, 1]) - RADIUS) ** 2 + points[:, 2] ** 2 < TUBE**2
data = jg.Dataset(points, is_inside.astype(np.int32))
model = jg.mlp((3, 24, 24, 1), activation="relu")


def run(key):
    return jg.fit(
        key,
        model,
        optax.adam(5e-3),
        jg.losses.binary_cross_entropy,
        data,
        num_epochs=options.epochs,
        batch_size=250,
        record=None,
    )


runs = jg.fit_population(jax.random.split(jax.random.key(0), options.seeds), run, progress=True)
networks = jax.tree.map(np.asarray, jg.layers_of(runs.params, model=model))
regions = jg.count_regions(networks, domain).count
surfaces = [
    jg.decision_surface(jax.tree.map(lambda array, seed=seed: array[seed], networks), domain)
    for seed in range(options.seeds)
]

axes = plot.new_axes(options.seeds, dim=3, size=3, num_columns=4)
for seed, (ax, surface) in enumerate(zip(axes, surfaces, strict=True)):
    if len(surface.patterns):
        plot.plot_decision_surface(surface, ax=ax)
    ax.set_title(f"seed {seed}: {len(surface.patterns):,} polygons", fontsize=12)
    ax.set_axis_off()
    ax.set_box_aspect(np.ptp([ax.get_xlim(), ax.get_ylim(), ax.get_zlim()], axis=1), zoom=1.5)
    ax.view_init(40, -60)
axes[0].figure.savefig(options.out, dpi=150)
found = [surface for surface in surfaces if len(surface.triangles)]
try:
    for surface in found[:1]:
        convert.save_surface(surface, options.out.with_suffix(".obj"))
except ImportError as error:
    print(error)

print(f"seed  regions  polygons  pieces  genus  volume (of the torus {2 * np.pi**2 * RADIUS * TUBE**2:.3f})")
for seed, surface in enumerate(surfaces):
    genus = " ".join(map(str, surface.genus))
    print(
        f"{seed:4}  {regions[seed]:7}  {len(surface.patterns):8}  {surface.num_components:6}  {genus:5}  "
        f"{surface.volume:6.3f}"
    )
