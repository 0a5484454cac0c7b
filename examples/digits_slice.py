"""Handwritten digits: a classifier with 64 inputs on the plane through the means of three classes, and on twenty more.

python examples/digits_slice.py              writes out/digits_slice.png (needs scikit-learn for the digits)
python examples/digits_slice.py --epochs 5   trains for a shorter time
"""

import argparse
from pathlib import Path

import jax
import numpy as np
import optax

import jaxgeom as jg

try:
    from sklearn.datasets import load_digits
except ModuleNotFoundError:
    raise SystemExit("This example needs scikit-learn: pip install scikit-learn") from None

NEAR = 2.1  # images nearer to the plane are shown
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=30, help="passes over the images")
parser.add_argument("--seeds", type=int, default=20, help="planes through random images")
parser.add_argument("--out", type=Path, default=Path("out/digits_slice.png"), help="picture to write")
options = parser.parse_args()
options.out.parent.mkdir(parents=True, exist_ok=True)

digits = load_digits()
x, y = (digits.data / 16).astype(np.float32), digits.target.astype(np.int32)
train, test = jg.split(jax.random.key(0), jg.Dataset(x, y))
model = jg.mlp((64, 32, 32, 10), activation="relu", init="pytorch")
run = jg.fit(
    jax.random.key(1),
    model,
    optax.adam(3e-3),
    jg.losses.softmax_cross_entropy,
    train,
    num_epochs=options.epochs,
    batch_size=64,
    test=test,
    accuracy=jg.losses.class_is_right,
    record=None,
)
layers = jg.layers_of(run.params)

# The plane that is drawn, as far as every pixel is between black and white
plane = jg.plane_through_class_means(x, y, (1, 4, 7))
found = jg.slice_network(layers, plane, jg.box_on_plane(plane, 0, 1))
means = np.stack([x[y == digit].mean(axis=0) for digit in (1, 4, 7)])
near = jg.project(plane, test.x).distance < NEAR
artists = jg.plot.plot_slice(
    found, np.asarray(test.x)[near], np.asarray(test.y)[near], anchors=means, image_shape=(8, 8)
)
artists.axes.set_title(f"{found.complex_.num_faces} linear regions between the mean 1, 4 and 7")
artists.axes.figure.savefig(options.out, dpi=120)

# Many planes, each through three random images of three classes
planes = jg.planes_through_data(jax.random.key(2), x, y, num_planes=options.seeds).planes
study = jg.study.slice_study(layers, planes, [jg.box_on_plane(each, 0, 1) for each in planes], radius=0.05)
right = float(np.mean(np.asarray(model.apply(run.params, test.x)).argmax(axis=1) == np.asarray(test.y)))
print(f"{right:.1%} of test images are classified right")
for name in ("num_regions", "boundary_length", "num_boundaries", "local_complexity"):
    values = study[name][0]
    print(f"{study.attrs[name]['meaning']}: {values.mean():.3g} (from {values.min():.3g} to {values.max():.3g})")
