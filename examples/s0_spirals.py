"""Which networks untwist three spirals? Train four kinds, many seeds of each, and look into one of them."""

import argparse
from pathlib import Path

import jax
import numpy as np

import jaxgeom as jg
from jaxgeom.recipes.spirals import pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=16, help="networks of each kind")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the data; 2,000 in the full study")
    parser.add_argument("--out", type=Path, default=Path("out/spirals_example"), help="directory for the pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    key = jax.random.key(0)
    train, test = jg.spiral_data(jax.random.fold_in(key, 0))
    runs = jg.train_spirals(key, options.seeds, num_epochs=options.epochs)
    facts = pictures.spiral_facts(runs)
    print(pictures.spiral_table(facts))

    # What the median MLP and the median deep linear network predict.
    members = {name: jax.tree.map(lambda leaf, s=facts[name].median_seed: leaf[s], runs[name].params) for name in runs}
    shown = [(name, members[name], name) for name in ("deep linear", "MLP")]
    pictures.draw_predictions(test, shown).savefig(options.out / "predictions.png", dpi=80)

    # Where the points lie in the first bottleneck, and how well a line can tell one spiral from the others there.
    hidden = jg.hidden_states(members["bottleneck MLP"], train.x)
    for name, points in (("input", train.x), ("second bottleneck", hidden[3].activation)):
        x = np.column_stack([points, np.ones(len(points))])
        targets = np.eye(3)[np.asarray(train.y)]
        scores = x @ np.linalg.lstsq(x, targets, rcond=None)[0]
        right = np.mean(scores.argmax(axis=1) == np.asarray(train.y))
        print(f"least squares on the {name}: {right:.1%} of the training points right")

    # The rainbow sandwich: six units of each hidden layer as place, colour and size of dots.
    layers = [np.asarray(state.activation) for state in jg.hidden_states(members["deep MLP"], train.x)[:-1]]
    drawn = jg.plot.sandwich(layers, (5, 4, 1, 2, 3, 0), base=40.0)
    drawn[0].figure.savefig(options.out / "sandwich.png", dpi=50)
    print(f"pictures in {options.out}")


if __name__ == "__main__":
    main()
