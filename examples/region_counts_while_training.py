"""Exact numbers of linear regions while networks of several widths learn XOR: medians, and bands of 80 % of the seeds.

python examples/region_counts_while_training.py            writes out/region_counts_while_training.png
python examples/region_counts_while_training.py --seeds 8  fewer networks

With --out DIR, every finished chunk is saved there, and the same command goes on after an interruption. The same
program runs on whatever devices there are:

    one machine            python examples/region_counts_while_training.py --out out/widths
    several GPUs           the same: all local devices take part (CUDA_VISIBLE_DEVICES chooses some)
    several hosts (Slurm)  srun --nodes 4 --ntasks-per-node 1 python … --out /shared/widths --hosts
    several hosts by hand  python … --out /shared/widths --hosts, with JAX_COORDINATOR_ADDRESS=host0:1234,
                           JAX_NUM_PROCESSES=4 and JAX_PROCESS_ID=0, 1, 2, 3 in the environment

Hosts share the directory; numbers are the same on equal devices, however many there are.
"""

import argparse
import os
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import optax

import jaxgeom as jg

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=200, help="networks of each width")
parser.add_argument("--out", help="directory of the study")
parser.add_argument("--hosts", action="store_true", help="one of several processes")
parser.add_argument(
    "--picture", type=Path, default=Path("out/region_counts_while_training.png"), help="picture to write"
)
options = parser.parse_args()
options.picture.parent.mkdir(parents=True, exist_ok=True)
if options.hosts:  # Slurm tells JAX all it needs
    by_hand = {
        "coordinator_address": os.environ.get("JAX_COORDINATOR_ADDRESS"),
        "num_processes": os.environ.get("JAX_NUM_PROCESSES"),
        "process_id": os.environ.get("JAX_PROCESS_ID"),
    }
    jax.distributed.initialize(**{name: v if ":" in v else int(v) for name, v in by_hand.items() if v is not None})

study = jg.run_study(
    axes={"width": [10, 20, 30], "seed": range(options.seeds), "learning_rate": 0.1},
    measure={
        "regions": jg.study.exact_regions(jg.box(-1, 1)),
        "accuracy": jg.study.accuracy_on("train"),
    },
    data=jg.parity(2),
    optimizer=optax.sgd,
    loss=jg.losses.squared_error,
    num_epochs=100,
    at_steps=range(0, 101, 5),
    out=options.out,
)

if jax.process_index() == 0:
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(7, 6), sharex=True, height_ratios=(3, 1), layout="constrained")
    steps = study.coords["step"]
    for place, width in enumerate(study.coords["width"].tolist()):
        part = jg.study.select(study, width=width)
        counts, is_solved = part.variables["regions"], part.variables["accuracy"] == 1
        look = {"color": jg.plot.COLORS[place], "linestyle": ("-", "--", ":")[place]}
        jg.plot.plot_curves(steps, counts, ax=upper, label=f"{width} units", **look)
        fraction, low, high = jg.fraction_interval(is_solved.sum(axis=0), len(is_solved))
        lower.plot(steps, fraction, **look)
        lower.fill_between(steps, low, high, color=jg.plot.COLORS[place], alpha=0.2, linewidth=0)
        print(f"width {width}: {counts[:, 0].mean():.1f} regions before training, {counts[:, -1].mean():.1f} after")
    upper.set(xlabel="", ylabel="linear regions in [−1, 1]², exact:\nmedian, and 10–90 % of networks", yscale="log")
    upper.set_yticks([10, 20, 30, 50, 100, 200], [10, 20, 30, 50, 100, 200])
    upper.set_yticks([], minor=True)
    upper.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
    lower.set(xlabel="training step", ylabel="fraction that\nsolves XOR, 95 %", ylim=(0, 1.05))
    figure.savefig(options.picture, dpi=120)
