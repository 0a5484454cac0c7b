"""Where do points go in a network? Lift the plane into space, bend it there, bring it back; watch it in a movie."""

import argparse
from pathlib import Path

import jax
import numpy as np

import jaxgeom as jg
from jaxgeom.recipes.stretch import experiment as stretch
from jaxgeom.recipes.stretch.pictures import draw_prefixes, morph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="networks with random weights to look at")
    parser.add_argument("--out", type=Path, default=Path("out/stretch_example"), help="directory for the pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    # Two networks, 2-3-2 and 2-3-3-2, that share weights: the first layer by hand, tanh, no biases.
    x = stretch.stretch_inputs(jax.random.key(1), "cloud")
    networks = stretch.stretch_networks(jax.random.key(0))
    for fact in stretch.step_facts(networks.long, x):
        print(f"{fact.step:<14} largest coordinate {fact.extent:6.2f}")
    figure = draw_prefixes(networks, x, title="A Gaussian cloud through 2-3-2 and 2-3-3-2")
    figure.savefig(options.out / "stages.png", dpi=80)

    # The same points on their way: every step eases into the next, and a grid is carried along.
    moving = morph(networks.short, np.asarray(x)[:200], frames_per_step=4)
    jg.plot.save_animation(moving.figure, moving.draw, moving.num_frames, [options.out / "short.gif"])

    # A grid at the last layer of a network of one's own.
    model = jg.mlp((2, 8, 8, 2))
    lines = jg.grid_lines(jg.box(-2, 2))
    last = stretch.stages(model.init(jax.random.key(2)), lines)[-1].points
    jg.plot.plot_warped_grid(last, lines[..., 0]).figure.savefig(options.out / "grid.png", dpi=80)

    # ReLU crushes what is below zero for all three units to a point: an eighth of the plane, on average.
    def crushed(key: jax.Array) -> jax.Array:
        params = stretch.stretch_networks(key, activation="relu", weights="random").short
        return (jg.hidden_states(params, x)[0].activation == 0).all(axis=1).mean()

    shares = np.asarray(jax.vmap(crushed)(jax.random.split(jax.random.key(3), options.seeds)))
    print(f"\n{options.seeds} random layers 2 → 3 with ReLU crush {shares.mean():.1%} of the points (1/8 expected)")
    print(f"pictures in {options.out}")


if __name__ == "__main__":
    main()
