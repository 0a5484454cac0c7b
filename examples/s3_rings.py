"""Why three hidden units tell a disk from the ring around it, and two do not: lines, codes and points in regions.

python examples/s3_rings.py            writes out/s3_{losses,lines,codes}.png
python examples/s3_rings.py --seeds 8  fewer networks
"""

import argparse
from pathlib import Path

import jaxgeom as jg
from jaxgeom.recipes.rings import experiment as rings
from jaxgeom.recipes.rings import pictures as rings_pictures
from jaxgeom.recipes.sweep import loss_statistics, loss_table

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=24, help="networks of each width")
parser.add_argument("--epochs", type=int, default=3000, help="full-batch steps")
options = parser.parse_args()
out = Path("out")
out.mkdir(exist_ok=True)

data = rings.ring_data()
study = rings.train_rings((1, 2, 3), options.seeds, num_epochs=options.epochs)
print(loss_table(loss_statistics(study, options.epochs)))
print(rings.occupancy_table(rings.occupancy(study, data), study))

# One network of width 3: its lines, the codes of all points, and its regions.
params = rings_pictures.median_network(study, 3)
planes = jg.hyperplanes(params)
for unit, (weight, bias) in enumerate(zip(planes.weight, planes.bias, strict=True)):
    print(f"unit {unit} is on where {weight[0]:+.2f} x1 {weight[1]:+.2f} x2 {bias:+.2f} > 0")
code = jg.codes(planes, data.x[:1])
print(f"the first point has the code {code.bits[0].astype(int)}, as an integer {code.number[0]}")

rings_pictures.draw_sweep(study, {}, options.epochs).savefig(out / "s3_losses.png", dpi=120)
rings_pictures.draw_lines(study, data).savefig(out / "s3_lines.png", dpi=120)
figure, table = rings_pictures.draw_codes(params, data)
figure.savefig(out / "s3_codes.png", dpi=120)
for name, (disk, ring) in zip(table.codes, table.counts, strict=True):
    print(f"region {name}: {disk} points of the disk, {ring} of the ring")
