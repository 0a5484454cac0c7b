"""[edge] Detangling: how the layers of a small ReLU network pull two classes apart while it trains, or die.

Two data sets in the plane, ten short line segments (5 of each class, 50 points each) and a disk with nine holes that
hold the other class (2,000 points each); networks 2-2-2 with ReLU after both layers, the logits included; softmax
cross-entropy, SGD with learning rate 1e-3 and momentum 0.9, batches of 64 in the order of the data, the last smaller
one included, 100 epochs. Wider networks are seen through their principal axes.

The same networks, wider, trained by Adam on reshuffled batches, are the other half: some of them solve the task, and
stand beside those that die and those that get stuck.

ReLU on the logits makes such networks die: a layer none of whose units is on at any point passes nothing on, all
points come out alike, and no gradient leads back. How many do is counted, and the network that is shown is one that
lives.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import Params, PyTree, RandomKey
from jaxgeom.analysis.embeddings import PrincipalAxes, pca, pca_coordinates
from jaxgeom.analysis.fractions import fraction_interval
from jaxgeom.data.datasets import Dataset, disk_with_holes, line_segments
from jaxgeom.data.losses import class_is_right, softmax_cross_entropy
from jaxgeom.host.given import check_flags
from jaxgeom.host.programs import compiler_options
from jaxgeom.networks.layers import Dense, Layers, layers_of
from jaxgeom.networks.models import Model, hidden_states, mlp
from jaxgeom.training.fit import fit
from jaxgeom.training.population import fit_population

SHORT = 100
"""Trainings of fewer steps take less time than the optimization of their programs."""
_LIVELY = 2
"""Units of a layer that are not a line."""

DATASETS: dict[str, Callable[[RandomKey], Dataset]] = {
    "lines": partial(line_segments, num_negative=5, num_positive=5, length=0.2, num_per_segment=50),
    "holes": partial(disk_with_holes, num_negative=2000, num_positive=2000, num_holes=9, hole_radius=0.15),
}
"""Both data sets with the numbers of the demonstration behind them, as functions of a random key."""

BATCH_SIZE = 64

SOLVED = 0.95
"""Fraction of points that are right in a network that has solved its task; where segments cross, not all can be."""
SOLVERS = (16, 16)
"""Hidden units of networks of which some solve their task."""
SOLVING_RATE = 3e-3
"""Of Adam, in their training."""
FATES = ("dead", "stuck", "solved")


@readable
class Detangled(NamedTuple):
    """Trained networks, one row each."""

    loss: Float[np.ndarray, "networks steps"]
    """Cross-entropy of every batch, before the step that it leads to."""
    final_loss: Float[np.ndarray, " networks"]
    """Mean cross-entropy over all points at the end."""
    accuracy: Float[np.ndarray, " networks"]
    """Fraction of points that are right at the end; both outputs alike count as class 0."""
    living_before: Int[np.ndarray, "networks layers"]
    """Units of each layer that are on at some point, before training."""
    living: Int[np.ndarray, "networks layers"]
    """The same at the end."""
    is_dead: Bool[np.ndarray, " networks"]
    """Whether a layer has no living unit at the end: all points come out alike."""
    steps: Int[np.ndarray, " frames"]
    """Steps taken at each snapshot, from 0."""
    snapshots: PyTree
    """Parameters at those steps, (networks, frames, ...)."""

    @property
    def was_dead(self) -> Bool[np.ndarray, " networks"]:
        """Whether that was so before training."""
        result: Bool[np.ndarray, " networks"] = (self.living_before == 0).any(axis=1)
        return result


@readable
class Recording(NamedTuple):
    """One network while it trains."""

    loss: Float[np.ndarray, " steps"]
    """Cross-entropy of every batch."""
    steps: Int[np.ndarray, " frames"]
    """Steps taken at each frame, from 0."""
    layers: tuple[Float[np.ndarray, "frames points units"], ...]
    """Where every point is, in the input (the same in all frames) and after each layer."""


def detangle_model(hidden: Sequence[int] = (2,)) -> Model:
    """Two inputs, hidden layers of these widths and two outputs, with ReLU after every layer, the last one too."""
    return mlp((2, *hidden, 2), output_activation="relu")


def train_detangle(
    key: RandomKey,
    data: Dataset,
    num_seeds: int,
    *,
    hidden: Sequence[int] = (2,),
    num_epochs: int = 100,
    num_frames: int = 2,
    solving: bool = False,
    progress: bool | str = False,
) -> Detangled:
    """Train many networks, and see which of them live.

    Args:
        key: network i has the key ``jax.random.split(key, num_seeds)[i]``.
        data: points in the plane and labels 0 and 1.
        num_seeds: networks.
        hidden: widths of the hidden layers.
        num_epochs: passes over the data.
        num_frames: snapshots, from first to last step, most of them early; fewer if there are not as many steps.
        solving: train by Adam, with learning rate 3e-3, on batches that are shuffled anew in each epoch, instead of as
            the notebook does, by SGD on batches in the order of the data.
        progress: show a progress bar; a string is its title.

    Raises:
        ValueError: for numbers below one, or fewer than two frames.
        TypeError: if ``solving`` is neither True nor False.
    """
    check_flags(solving=solving)
    for name, value, least in (
        ("num_seeds", num_seeds, 1),
        ("num_epochs", num_epochs, 1),
        ("num_frames", num_frames, 2),
    ):
        if value < least:
            raise ValueError(f"{name} must be an integer from {least} up, but {value} was given.")
    model = detangle_model(hidden)
    num_steps = num_epochs * -(-data.x.shape[0] // BATCH_SIZE)
    steps = np.unique(np.round(num_steps * np.linspace(0, 1, num_frames) ** 1.5).astype(int))

    def run(key: RandomKey) -> tuple[Any, ...]:
        result = fit(
            key,
            model,
            optax.adam(SOLVING_RATE) if solving else optax.sgd(1e-3, momentum=0.9),
            softmax_cross_entropy,
            data,
            num_epochs=num_epochs,
            batch_size=BATCH_SIZE,
            drop_last=False,
            shuffle=solving,
            record=None,
            batch_losses=True,
            snapshot_steps=steps.tolist(),
        )
        outputs = model.apply(result.params, data.x)
        return (
            result.batch_losses,
            jnp.mean(softmax_cross_entropy(outputs, data.y)),
            jnp.mean(class_is_right(outputs, data.y), dtype=jnp.float32),
            living_units(result.initial_params, data.x),
            living_units(result.params, data.x),
            result.snapshots,
        )

    keys = jax.random.split(key, num_seeds)
    loss, final_loss, accuracy, before, living, snapshots = fit_population(
        keys, run, fast_compile=num_steps < SHORT, progress=progress
    )
    return Detangled(loss, final_loss, accuracy, before, living, (living == 0).any(axis=1), steps, snapshots)


def living_units(params: Params, x: Float[Array, "points in"]) -> Int[Array, " layers"]:
    """How many units of each layer are on at one point at least."""
    return jnp.stack([jnp.sum(jnp.any(state.activation > 0, axis=0)) for state in hidden_states(params, x)])


def median_living(found: Detangled) -> int:
    """The network to show: the median of the final losses among those that live (the smaller one of the two in the
    middle). If there are some in which at least two units of every layer live, only they count: the layers of the
    others are lines.

    Raises:
        ValueError: if all are dead.
    """
    least = found.living.min(axis=1)
    if (least == 0).all():
        raise ValueError(f"all {len(least)} networks are dead, so there is none to show; train more of them.")
    members = np.flatnonzero(least >= (_LIVELY if (least >= _LIVELY).any() else 1))
    return int(members[np.argsort(found.final_loss[members], kind="stable")[(len(members) - 1) // 2]])


def fate_of(found: Detangled) -> Int[np.ndarray, " networks"]:
    """What became of each network: 0 dead, 1 stuck, 2 solved, as in :data:`FATES`."""
    fate: Int[np.ndarray, " networks"] = np.where(found.is_dead, 0, np.where(found.accuracy >= SOLVED, 2, 1))
    return fate


def middle_of_each_fate(found: Detangled) -> dict[str, tuple[int, float]]:
    """For each fate that there is, the network with the median of the losses, and the share of networks that met it. Of
    the dead, those count that were born alive, if there are any."""
    fate, chosen = fate_of(found), {}
    for number, name in enumerate(FATES):
        members = np.flatnonzero(fate == number)
        if len(members) == 0:
            continue
        share = len(members) / len(fate)
        late = members[~found.was_dead[members]]
        members = late if name == "dead" and len(late) else members
        order = np.argsort(found.final_loss[members], kind="stable")
        chosen[name] = int(members[order[(len(members) - 1) // 2]]), share
    return chosen


def decision_of(found: Detangled, member: int) -> Layers:
    """One network at all its frames, with one more layer: the second output less the first, positive for class 1."""
    layers = layers_of(jax.tree.map(lambda leaf: np.asarray(leaf)[member], found.snapshots))
    num = len(found.steps)
    kernel = np.broadcast_to(np.array([[-1.0], [1.0]], np.float32), (num, 2, 1))
    return (*layers, Dense(kernel, np.zeros((num, 1), np.float32)))


def recording_of(found: Detangled, member: int, x: Float[Array | np.ndarray, "points 2"]) -> Recording:
    """Where every point was after every layer of one network while it was trained.

    Args:
        found: trained networks with their snapshots.
        member: which of them.
        x: points in the plane.
    """

    def everywhere(params: Params) -> tuple[Array, ...]:
        return tuple(state.activation for state in hidden_states(params, x))

    params = jax.tree.map(lambda leaf: leaf[member], found.snapshots)
    layers = jax.jit(jax.vmap(everywhere), compiler_options=compiler_options())(params)
    places = np.broadcast_to(np.asarray(x), (len(found.steps), *np.shape(x)))
    return Recording(found.loss[member], found.steps, (places, *map(np.asarray, layers)))


def shown_layers(
    recording: Recording, dim: int = 2
) -> tuple[list[Float[np.ndarray, "frames points _"]], list[PrincipalAxes | None]]:
    """The layers as they can be drawn: those with more units through principal axes, the same ones in all frames.

    Args:
        recording: one network.
        dim: most units that are drawn as they are.

    Returns:
        Coordinates of each layer, and its principal axes (of all frames together), or None where the units themselves
        are the coordinates.
    """
    shown: list[np.ndarray] = []
    axes: list[PrincipalAxes | None] = []
    for layer in recording.layers:
        if layer.shape[-1] <= dim:
            shown.append(layer)
            axes.append(None)
            continue
        found = pca(layer.reshape(-1, layer.shape[-1]), dim)
        shown.append(np.asarray(pca_coordinates(found, layer)))
        axes.append(found)
    return shown, axes


def detangle_table(rows: Sequence[tuple[str, Sequence[int], Detangled]]) -> str:
    """A table in plain text: how many networks die, with 95 % intervals, and what those that live come to."""
    lines = [
        f"{'data':>6} {'net':>9} {'dead before':>16} {'dead after':>16} {'loss (10-50-90 %)':>22} {'accuracy':>20}",
    ]
    for name, hidden, found in rows:
        net = "-".join(map(str, (2, *hidden, 2)))
        alive = ~found.is_dead
        if alive.any():
            loss = " ".join(f"{value:6.3f}" for value in np.quantile(found.final_loss[alive], [0.1, 0.5, 0.9]))
            right = " ".join(f"{100 * value:3.0f} %" for value in np.quantile(found.accuracy[alive], [0.1, 0.5, 0.9]))
        else:
            loss = right = "–"
        before, after = map(_share, (found.was_dead, found.is_dead))
        lines.append(f"{name:>6} {net:>9} {before:>16} {after:>16} {loss:>22} {right:>20}")
    return "\n".join(lines)


def _share(is_so: Bool[np.ndarray, " networks"]) -> str:
    share, low, high = (100 * end for end in fraction_interval(int(is_so.sum()), len(is_so)))
    return f"{share:.0f} ({low:.0f}–{high:.0f}) %"
