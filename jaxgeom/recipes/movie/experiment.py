"""[edge] The exact regions of a network while it trains, and how their number goes in many networks.

A population learns to part two classes in the plane (Adam, full batch, binary cross-entropy). Frames are the snapshots
between which edges move equally far, as a grid of points sees them: most are early. The regions of the network that
stays nearest to the middle of all are enumerated at every frame; those of all networks are counted in one call.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import RandomKey
from jaxgeom.data.datasets import Dataset, checkerboard, circles, moons
from jaxgeom.data.losses import binary_cross_entropy, side_is_right
from jaxgeom.domains import Box, box, grid_points
from jaxgeom.host.names import check_name
from jaxgeom.host.programs import compiler_options
from jaxgeom.networks.layers import Layers, forward, layers_of
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


_CANDIDATES = 4
"""Snapshots for each frame, of which some are chosen."""
_NUM_GRID = 31
_SOME = 16
_REST = 0.25
"""What the number of snapshots counts beside what moves."""
_NOTABLE = 0.95
"""Smaller changes of counts are none."""


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
    member: int
    """The network that is shown: the one nearest to the middle of all, by ranks of counts and losses."""
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


def frames_by_change(layers: Layers, domain: Box, num_frames: int) -> Int[np.ndarray, " frames"]:
    """Snapshots between which edges and decision boundaries move about equally far, the first and the last included.

    Args:
        layers: arrays with axes (networks, snapshots, ...).
        domain: where; a grid of 31 × 31 points is looked at, and how many units change sides at them.
        num_frames: at most so many; a snapshot before and after which much moves is taken once.
    """
    points = jnp.asarray(grid_points(domain, _NUM_GRID), jnp.float32)

    def sides(network: Layers) -> Array:
        states = forward(network, points)
        return jnp.concatenate([*(state > 0 for state in states.activations), states.output > 0], axis=-1)

    def swept(network: Layers) -> Array:
        def to_next(before: Array, after: Layers) -> tuple[Array, Array]:
            found = sides(after)
            return found, jnp.sum(jnp.mean(before != found, axis=0))

        return jax.lax.scan(to_next, sides(jax.tree.map(lambda array: array[0], network)), network)[1]

    some = jax.tree.map(lambda array: jnp.asarray(array[:_SOME]), layers)
    change = jax.jit(jax.vmap(swept), compiler_options=compiler_options())(some)
    way = np.cumsum(np.nanmean(np.asarray(change, np.float64), axis=0))
    way = way / (way[-1] or 1.0) + _REST * np.linspace(0, 1, len(way))
    wanted = np.linspace(0, way[-1], num_frames)
    return np.unique(np.searchsorted(way, wanted).clip(0, len(way) - 1))


def middle_network(
    counts: Int[np.ndarray, "networks snapshots"], losses: Float[np.ndarray, "networks snapshots"]
) -> int:
    """The network whose ranks among all, by counts and by losses, whichever is further out, are nearest to the middle
    over all snapshots; diverged ones only if all are."""
    ranks = np.stack([_ranks(counts), _ranks(losses)])
    distance = np.abs(ranks - (len(counts) - 1) / 2).max(axis=0).mean(axis=1)
    return int(np.argmin(np.where((counts < 0).any(axis=1), np.inf, distance)))


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0)


def phases(counts: Int[np.ndarray, " snapshots"], accuracies: Float[np.ndarray, " snapshots"]) -> list[str]:
    """What happens at each snapshot of one network, in a few words, by its number of regions.

    Args:
        counts: regions at each snapshot.
        accuracies: fractions of points that are right.
    """
    start, last = int(counts[0]), len(counts) - 1
    lowest = int(np.argmin(counts))
    falls = counts[lowest] < _NOTABLE * start and lowest < last
    near = np.abs(counts / counts[-1] - 1) <= 1 - _NOTABLE
    settled = last - int(np.argmin(near[::-1])) + 1 if not near.all() else 0
    grows = counts[-1] > counts[lowest] / _NOTABLE if falls else counts[-1] > start / _NOTABLE
    found = []
    for frame in range(len(counts)):
        before = start if not falls or frame <= lowest else int(counts[lowest])
        dies = frame <= lowest if falls else not grows
        goes_on = counts[frame] < before if dies else counts[frame] > before
        if frame == 0:
            found.append("Before training: lines at random")
        elif frame < settled or (falls and frame <= lowest):
            way = f"{before} → {counts[frame]}"
            found.append(f"Regions {'die' if dies else 'are born'}: {way}" if goes_on else f"Regions move: {way}")
        elif accuracies[frame:].min() == 1:
            found.append("Settled, and all points are right")
        else:
            found.append("The regions have settled")
    return found


def region_movie(
    key: RandomKey,
    *,
    data: str = "circles",
    widths: Sequence[int] = (16, 16),
    num_networks: int = 32,
    num_steps: int = 1500,
    num_frames: int = 90,
    learning_rate: float = 0.01,
    progress: bool = False,
) -> RegionMovie:
    """Train networks, count the regions of all at every frame, and enumerate those of the one in the middle.

    Args:
        key: decides the data and the networks.
        data: one of :data:`MOVIE_DATA`.
        widths: hidden units of each layer.
        num_networks: how many are trained.
        num_steps: full-batch steps.
        num_frames: snapshots, the first before training, chosen by :func:`frames_by_change`; sometimes fewer.
        learning_rate: of Adam.
        progress: show progress bars.

    Raises:
        ValueError: for unknown data, or sizes that are too small.
    """
    check_name("data", data, MOVIE_DATA)
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
    steps = movie_steps(num_steps, _CANDIDATES * num_frames)

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
    chosen = frames_by_change(layers_of(runs.snapshots), MOVIE_DOMAIN, num_frames)
    steps = steps[chosen]
    snapshots = jax.tree.map(lambda array: array[:, chosen], runs.snapshots)
    runs = runs._replace(snapshots=snapshots, snapshot_steps=np.asarray(runs.snapshot_steps)[:, chosen])
    layers = layers_of(runs.snapshots)
    counts = count_regions(layers, MOVIE_DOMAIN, progress=progress and "counting").count
    losses = np.asarray(runs.train_loss)[:, steps]
    member = middle_network(counts, losses)
    shown = jax.tree.map(lambda array: np.asarray(array)[member], layers)
    complexes = enumerate_population(shown, MOVIE_DOMAIN, progress=progress and "regions")
    found = [each for each in complexes if each is not None]  # snapshots are finite, even of diverged networks
    assert runs.train_accuracy is not None
    return RegionMovie(
        points,
        MOVIE_DOMAIN,
        steps,
        counts,
        losses,
        np.asarray(runs.train_accuracy)[:, steps],
        member,
        shown,
        found,
        [decision_boundary(each) for each in found],
        runs,
    )
