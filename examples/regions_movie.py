"""The movie of a network's exact regions while it trains, with the loss and the number of regions beside.

python examples/regions_movie.py            writes out/regions_movie.gif
python examples/regions_movie.py --seeds 8  fewer networks, steps and frames, one hidden layer
"""

import argparse

import jax

from jaxgeom import plot
from jaxgeom.recipes.movie.experiment import region_movie
from jaxgeom.recipes.movie.pictures import movie_figure

FEW_SEEDS = 8  # or fewer are for a quick look

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seeds", type=int, default=32, help="networks to train; the one in the middle is shown")
parser.add_argument("--data", default="circles", help="moons, circles or checkerboard")
parser.add_argument("--out", default="out/regions_movie.gif", help="animation to write: .gif or .mp4")
options = parser.parse_args()
is_small = options.seeds <= FEW_SEEDS

movie = region_movie(
    jax.random.key(0),
    data=options.data,
    widths=(12,) if is_small else (16, 16),
    num_networks=options.seeds,
    num_steps=200 if is_small else 1500,
    num_frames=6 if is_small else 90,
)
for frame in range(0, len(movie.steps), max(1, len(movie.steps) // 6)):
    counts = movie.counts[:, frame]
    print(f"step {movie.steps[frame]:>5}: {counts.mean():6.1f} ± {counts.std():.1f} regions")
figure, draw, num = movie_figure(movie)
plot.save_animation(figure, draw, num, [options.out], frames_per_second=12, hold=2)
