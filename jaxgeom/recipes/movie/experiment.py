"""[edge] The exact regions of a network while it trains, and how their number goes in many networks.

A population learns to part two classes in the plane (Adam, full batch, binary cross-entropy), with snapshots that are
close together at first and further apart later on. The regions of one network are enumerated at every snapshot; those
of all networks at all snapshots are counted in one call.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import RandomKey
from jaxgeom.data.datasets import Dataset, checkerboard, circles, moons
from jaxgeom.data.losses import binary_cross_entropy, side_is_right
from jaxgeom.domains import Box, box
from jaxgeom.networks.layers import Layers, layers_of
from jaxgeom.networks.models import mlp
from jaxgeom.regions.boundary import Boundary, decision_boundary
from jaxgeom.regions.complex import PlanarComplex
from jaxgeom.regions.count import count_regions
from jaxgeom.regions.enumerate import enumerate_population
from jaxgeom.training.fit import Fit, fit
from jaxgeom.training.population import fit_population

MOVIE_DATA: dict[str, Callable[[RandomKey], Dataset]] = {
    "moons": lambda key: moons(key, num_points=200, noise=0.12),
    "circles": lambda key: circles(key, num_points=200, noise=0.08, factor=0.45),
    "checkerboard": lambda key: checkerboard(key, num_points=300, num_cells=3),
}
"""Two classes each, by name."""

MOVIE_DOMAIN = box(-2.2, 2.2)
"""What is shown; the data are shifted and scaled to mean 0 and standard deviation 1 in each coordinate."""


@readable
class RegionMovie(NamedTuple):
    """Regions of one network, and region counts of many, while they train."""

    data: Dataset
    """The points that all networks learn."""
    domain: Box
    """Where regions are counted and drawn."""
    steps: Int[np.ndarray, " snapshots"]
    """Steps taken at each snapshot."""
    counts: Int[np.ndarray, "networks snapshots"]
    """Regions of every network at every snapshot, exact; -1 if training diverged."""
    losses: Float[np.ndarray, "networks snapshots"]
    """Mean loss over the data."""
    accuracies: Float[np.ndarray, "networks snapshots"]
    """Fraction of points that are right."""
    layers: Layers
    """The network that is shown, at every snapshot: a population."""
    complexes: list[PlanarComplex]
    """Its regions at every snapshot."""
    boundaries: list[Boundary]
    """Its decision boundaries."""
    runs: Fit
    """All networks with their snapshots."""


def movie_steps(num_steps: int, num_frames: int) -> Int[np.ndarray, " snapshots"]:
    """Steps from 0 to ``num_steps``, the distances between which grow evenly; those that coincide are given once."""
    share = np.linspace(0, 1, num_frames)
    return np.unique(np.round(num_steps * share**2).astype(np.int64))


def region_movie(
    key: RandomKey,
    *,
    data: str = "moons",
    widths: Sequence[int] = (16, 16),
    num_networks: int = 32,
    num_steps: int = 1500,
    num_frames: int = 90,
    learning_rate: float = 0.01,
    progress: bool = False,
) -> RegionMovie:
    """Train networks, enumerate the regions of the first one at every snapshot, and count those of all.

    Args:
        key: decides the data and the networks.
        data: one of :data:`MOVIE_DATA`.
        widths: hidden units of each layer.
        num_networks: how many are trained.
        num_steps: full-batch steps.
        num_frames: snapshots, the first before training; fewer if there are not as many steps.
        learning_rate: of Adam.
        progress: show progress bars.

    Raises:
        ValueError: for unknown data, or sizes that are too small.
    """
    if data not in MOVIE_DATA:
        raise ValueError(f"data must be one of {', '.join(MOVIE_DATA)}, but {data!r} was given.")
    if not widths:
        raise ValueError("at least one hidden layer is needed; give its number of units.")
    for name, value, least in (
        ("num_networks", num_networks, 1),
        ("num_steps", num_steps, 1),
        ("num_frames", num_frames, 2),
    ):
        if value < least:
            raise ValueError(f"{name} must be an integer from {least} up, but {value} was given.")
    data_key, network_key = jax.random.split(key)
    x, y = MOVIE_DATA[data](data_key)
    points = Dataset((x - jnp.mean(x, axis=0)) / jnp.std(x, axis=0), y)
    model = mlp((2, *widths, 1))
    steps = movie_steps(num_steps, num_frames)

    def run(key: RandomKey) -> Fit:
        return fit(
            key,
            model,
            optax.adam(learning_rate),
            binary_cross_entropy,
            points,
            num_epochs=num_steps,
            accuracy=side_is_right,
            record="step",
            snapshot_steps=tuple(steps.tolist()),
        )

    runs = fit_population(jax.random.split(network_key, num_networks), run, progress=progress and "training")
    layers = layers_of(runs.snapshots)
    counts = count_regions(layers, MOVIE_DOMAIN, progress=progress and "counting").count
    shown = jax.tree.map(lambda array: np.asarray(array)[0], layers)
    complexes = enumerate_population(shown, MOVIE_DOMAIN, progress=progress and "regions")
    found = [each for each in complexes if each is not None]  # snapshots are finite, even of diverged networks
    assert runs.train_accuracy is not None
    return RegionMovie(
        points,
        MOVIE_DOMAIN,
        steps,
        counts,
        np.asarray(runs.train_loss)[:, steps],
        np.asarray(runs.train_accuracy)[:, steps],
        shown,
        found,
        [decision_boundary(each) for each in found],
        runs,
    )
