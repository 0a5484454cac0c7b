"""A small convolutional network of PyTorch, trained on 8 × 8 digits, on the plane through three images.

python examples/torch_cnn.py              writes out/torch_cnn.png (needs torch and scikit-learn)
python examples/torch_cnn.py --epochs 2   trains for a shorter time
"""

import argparse
from pathlib import Path

import numpy as np

import jaxgeom as jg

try:
    import torch
    from sklearn.datasets import load_digits
    from torch import nn
except ModuleNotFoundError:
    raise SystemExit("This example needs torch and scikit-learn: pip install torch scikit-learn") from None

NEAR = 1.8  # images nearer to the plane are shown
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=15, help="passes over the images")
parser.add_argument("--seeds", type=int, default=1000, help="images that are shown at most")
parser.add_argument("--out", type=Path, default=Path("out/torch_cnn.png"), help="picture to write")
options = parser.parse_args()
options.out.parent.mkdir(parents=True, exist_ok=True)

torch.manual_seed(0)
digits = load_digits()
x, y = (digits.images / 16).astype(np.float32)[:, None], digits.target
network = nn.Sequential(
    nn.Conv2d(1, 6, 3, padding=1),
    nn.ReLU(),
    nn.AvgPool2d(2),
    nn.Conv2d(6, 12, 3, padding=1),
    nn.BatchNorm2d(12),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(48, 10),
)
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
inputs, labels = torch.as_tensor(x), torch.as_tensor(y)
train, test = inputs[:1400], inputs[1400:]
for _ in range(options.epochs):
    for rows in torch.randperm(len(train)).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(train[rows]), labels[rows]).backward()
        optimizer.step()
network.eval()
right = float((network(test).argmax(dim=1) == labels[1400:]).float().mean())

# Layers as the geometry takes them: convolutions and pooling are affine maps and units with one kink
layers = jg.from_torch(network, inputs[:1]).layers
rows = [int(np.flatnonzero(y == digit)[0]) for digit in (0, 3, 8)]
images = x.reshape(len(x), 64).astype(np.float64)
plane = jg.plane_through(*images[rows])
found = jg.slice_network(layers, plane, jg.box_on_plane(plane, 0, 1))
near = np.flatnonzero(jg.project(plane, images).distance < NEAR)[: options.seeds]
artists = jg.plot.plot_slice(found, images[near], y[near], anchors=images[rows], image_shape=(8, 8))
artists.axes.set_title(f"{found.complex_.num_faces:,} linear regions of a convolutional network")
artists.axes.figure.savefig(options.out, dpi=120)

with torch.no_grad():
    own = network(inputs[rows]).numpy()
ours = np.asarray(jg.forward(layers, images[rows]).output)
print(f"{right:.1%} of test images are classified right; {sum(len(layer.bias) for layer in layers[:-1])} units")
print(f"largest difference from PyTorch's outputs: {np.abs(own - ours).max():.1e}")
shares = {digit: share for digit, share in enumerate(found.regions.class_area / found.regions.area.sum()) if share > 0}
print("shares of the area:", ", ".join(f"{digit}: {share:.1%}" for digit, share in shares.items()))
