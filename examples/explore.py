"""A page to explore: networks of three widths learn two circles, and every slider moves all of them.

python examples/explore.py            writes out/explore.html, about 5 MB
python examples/explore.py --seeds 8  fewer networks, steps and frames
"""

import argparse

import jax
import optax

import jaxgeom as jg

FEW_SEEDS = 8  # or fewer are for a quick look

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=16, help="networks to train, of each width")
parser.add_argument("--out", default="out/explore.html", help="page to write")
options = parser.parse_args()
is_small = options.seeds <= FEW_SEEDS
widths, num_steps, num_frames = ((4,), 60, 4) if is_small else ((4, 8, 16), 1000, 50)

data = jg.datasets.circles(jax.random.key(0), num_points=200, noise=0.08, factor=0.45)
steps = sorted({round(num_steps * (frame / (num_frames - 1)) ** 2) for frame in range(num_frames)})


def runs_of(width):
    model, loss = jg.mlp((2, width, width, 1), activation="relu"), jg.losses.binary_cross_entropy

    def train(key):
        return jg.fit(
            key,
            model,
            optax.adam(0.01),
            loss,
            data,
            num_epochs=num_steps,
            accuracy=jg.losses.side_is_right,
            snapshot_steps=steps,
        )

    return jg.fit_population(jax.random.split(jax.random.key(1), options.seeds), train)


runs = {width: runs_of(width) for width in widths}
page = jg.explore(runs, options.out, data=data, axis="width", title="Two circles, learned by many networks")
print(f"{page.path}: {page.num_networks} networks, {page.num_frames} frames, {page.num_bytes / 1e6:.1f} MB")
