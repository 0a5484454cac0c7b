"""How the layers of a 2-2-2 network with ReLU pull two classes of line segments apart, and how often it dies.

python examples/s2_detangling.py            writes out/s2_layers.png and out/s2_detangling.gif
python examples/s2_detangling.py --seeds 8  fewer networks
"""

import argparse
from pathlib import Path

import jax
import numpy as np

import jaxgeom as jg
from jaxgeom.plot.style import percent_of
from jaxgeom.recipes.detangle import experiment as detangle
from jaxgeom.recipes.detangle import pictures as detangle_pictures

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=200, help="networks to train")
parser.add_argument("--frames", type=int, default=40, help="of the animation")
options = parser.parse_args()
out = Path("out")
out.mkdir(exist_ok=True)

data = jg.line_segments(jax.random.key(0), num_negative=5, num_positive=5, length=0.2, num_per_segment=50)
key = jax.random.key(1)
found = detangle.train_detangle(key, data, options.seeds, num_frames=options.frames)
print(detangle.detangle_table([("lines", (2,), found)]))

# A median network that lives, with every point after every layer at each frame.
member = detangle.median_living(found)
recording = detangle.recording_of(found, member, data.x)
print(f"network {member}: {recording.layers[1].shape} coordinates (frames, points, units) after layer 1")
labels = np.asarray(data.y)
last = recording.layers[-2][-1]
print("its hidden layer separates the classes:", bool(jg.linear_separability(last, labels).is_separated))
detangle_pictures.draw_layers(recording, labels, -1).savefig(out / "s2_layers.png", dpi=120)

# Beside it, wider networks that Adam trains: dead, stuck and solved ones on one clock.
wide = detangle.train_detangle(key, data, options.seeds, hidden=(16, 16), num_frames=options.frames, solving=True)
columns = [detangle_pictures.column_of(found, member, data, "median", "", "2-2-2, SGD")]
for fate, (chosen, share) in detangle.middle_of_each_fate(wide).items():
    known = percent_of(round(share * options.seeds), options.seeds)
    columns.append(detangle_pictures.column_of(wide, chosen, data, fate, known, "2-16-16-2, Adam"))
movie = detangle_pictures.fates_movie(columns, data)
jg.plot.save_animation(
    movie.figure, movie.draw, movie.num_frames, out / "s2_detangling.gif", frames_per_second=12, hold=2
)
