"""[edge] Width against loss: networks of several widths, many seeds of each, trained as one population.

Full batches, Adam, PyTorch's initialisation, one hidden layer. Narrow networks are padded with zero units, so that one
program serves all widths; or, if there are many networks, two: one for those above half of the largest width.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from jaxgeom._reprs import readable
from jaxgeom._typing import Params, PyTree, RandomKey
from jaxgeom.data.datasets import Dataset
from jaxgeom.host.chunks import in_threads
from jaxgeom.host.given import check_positive
from jaxgeom.networks.layers import check_one_piece
from jaxgeom.networks.models import mlp
from jaxgeom.training.fit import Fit, Loss, fit
from jaxgeom.training.population import fit_population

SHORT = 100
"""Trainings of fewer epochs take less time than the optimization of their programs."""

MIN_PROGRAM = 48
"""Networks that are worth a program of their own."""


@readable
class Sweep(NamedTuple):
    """One row a network; widths one after the other, seeds counting up within each."""

    width: Int[np.ndarray, " networks"]
    """Hidden units."""
    seed: Int[np.ndarray, " networks"]
    """Number of the network within its width; its random key follows from it, the width and the sweep's key."""
    steps: Int[np.ndarray, " records"]
    """Steps taken at each record, from 0."""
    loss: Float[np.ndarray, "networks records"]
    """Mean loss over the data."""
    accuracy: Float[np.ndarray, "networks records"] | None
    """Fraction of points that are right; None for regression."""
    snapshots: PyTree
    """Parameters at each record, (networks, records, ...), narrow networks padded with zeros; see
    :func:`network_of`."""

    @property
    def params(self) -> Params:
        """Parameters after the last step, with a leading axis (networks)."""
        return jax.tree.map(lambda leaf: leaf[:, -1], self.snapshots)

    def loss_after(self, step: int) -> Float[np.ndarray, " networks"]:
        """The loss at the last record that was taken by this step."""
        return self.loss[:, np.searchsorted(self.steps, step, side="right") - 1]


@readable
class LossStatistics(NamedTuple):
    """How the loss of one width is spread over seeds."""

    width: int
    """Hidden units."""
    num_networks: int
    """Number of networks of this width."""
    step: int
    """Steps taken when the loss was recorded."""
    median: float
    """Median of the loss over networks."""
    low: float
    """Quantile 0.1."""
    high: float
    """Quantile 0.9."""
    min: float
    """The smallest loss."""
    max: float
    """The largest loss."""
    published: float | None
    """What the notebook behind the study reports for one network."""
    rank: float | None
    """The fraction of networks with a smaller loss than that."""


def train_widths(
    key: RandomKey,
    data: Dataset,
    widths: Sequence[int],
    num_seeds: int,
    *,
    loss: Loss,
    accuracy: Loss | None = None,
    learning_rate: float,
    num_epochs: int,
    activation: str = "sigmoid",
    num_records: int = 100,
    also: tuple[Array, int] | None = None,
    progress: bool | str = False,
) -> Sweep:
    """Train networks with one hidden layer on one data set, many seeds of each width.

    Args:
        key: random key; network i of a width has a key of its own, whatever the number of networks.
        data: points and targets.
        widths: numbers of hidden units.
        num_seeds: networks of each width.
        loss: one number a point; see :mod:`jaxgeom.losses`.
        accuracy: which points are right, such as :func:`jaxgeom.losses.is_right`; None for no accuracies.
        learning_rate: of Adam.
        num_epochs: full-batch steps.
        activation: of the hidden units, by name; not "maxout".
        num_records: losses, accuracies and parameters are recorded about so many times, and before training.
        also: other targets for the same points and one of the widths, whose networks follow as the last rows: the same
            initial parameters, trained by the same program.
        progress: show a progress bar; a string is its title.

    Raises:
        ValueError: for no widths, repeated widths, or numbers below one.
    """
    widths = [int(width) for width in widths]
    if not widths or len(set(widths)) < len(widths) or min(widths) < 1:
        raise ValueError(f"widths must be different positive integers, but {widths} was given.")
    check_one_piece(activation, "a sweep over widths")
    for name, value in (("num_seeds", num_seeds), ("num_epochs", num_epochs), ("num_records", num_records)):
        check_positive(name, value)
    rows = widths if also is None else [*widths, also[1]]
    width, seed = np.repeat(rows, num_seeds), np.tile(np.arange(num_seeds), len(rows))
    is_other = np.arange(len(width)) >= len(widths) * num_seeds
    keys = jax.vmap(lambda w, s: jax.random.fold_in(jax.random.fold_in(key, w), s))(width, seed)
    num_outputs = 1 if data.y.ndim == 1 else data.y.shape[1]
    every = max(1, num_epochs // num_records)

    def train(members: Int[np.ndarray, " members"]) -> Fit:
        most = int(width[members].max())
        is_padded = bool((width[members] < most).any())

        def run(key: RandomKey, width: Array, is_other: Array) -> Fit:
            padded = (width,) if is_padded else None
            return fit(
                key,
                mlp((data.x.shape[1], most, num_outputs), activation=activation, widths=padded),
                optax.adam(learning_rate),
                loss,
                data if also is None else Dataset(data.x, jnp.where(is_other, also[0], data.y)),
                accuracy=accuracy,
                num_epochs=num_epochs,
                record=every,
                snapshot_every=every,
            )

        result = fit_population(
            keys[members], run, width[members], is_other[members], fast_compile=num_epochs < SHORT, progress=progress
        )
        found: Fit = result._replace(snapshots=_filled_up(result.snapshots, max(widths)))
        return found

    # a second program pays when there are enough networks to train
    is_wide = 2 * width > max(widths)
    worth_it = min(is_wide.sum(), (~is_wide).sum()) >= MIN_PROGRAM
    groups = [np.flatnonzero(is_wide), np.flatnonzero(~is_wide)] if worth_it else [np.arange(len(width))]
    results = in_threads([partial(train, members) for members in groups])
    back = np.argsort(np.concatenate(groups), kind="stable")
    parts = [(result.train_loss, result.train_accuracy, result.snapshots) for result in results]
    loss_, accuracy_, snapshots = jax.tree.map(lambda *arrays: np.concatenate(arrays)[back], *parts)
    return Sweep(width, seed, results[0].record_steps[0], loss_, accuracy_, snapshots)


def rows_of(sweep: Sweep, rows: Int[np.ndarray, " rows"] | slice) -> Sweep:
    """Some networks of a sweep."""
    taken = jax.tree.map(
        lambda leaf: leaf[rows], (sweep.width, sweep.seed, sweep.loss, sweep.accuracy, sweep.snapshots)
    )
    width, seed, loss, accuracy, snapshots = taken
    return Sweep(width, seed, sweep.steps, loss, accuracy, snapshots)


def _filled_up(snapshots: PyTree, width: int) -> PyTree:
    """With zero units, so that there are so many."""
    first, last = sorted(snapshots)
    before = snapshots[first]
    none = [(0, 0)] * 2
    room = [(0, width - before["bias"].shape[-1])]
    return {
        first: {
            "kernel": np.pad(before["kernel"], [*none, (0, 0), *room]),
            "bias": np.pad(before["bias"], [*none, *room]),
        },
        last: {"kernel": np.pad(snapshots[last]["kernel"], [*none, *room, (0, 0)]), "bias": snapshots[last]["bias"]},
    }


def network_of(sweep: Sweep, member: int, record: int = -1) -> Params:
    """The parameters of one network at one record, without padding."""
    width = int(sweep.width[member])
    first, last = sorted(sweep.snapshots)
    params = jax.tree.map(lambda leaf: leaf[member, record], sweep.snapshots)
    return {
        first: {"kernel": params[first]["kernel"][:, :width], "bias": params[first]["bias"][:width]},
        last: {"kernel": params[last]["kernel"][:width], "bias": params[last]["bias"]},
    }


def median_member(sweep: Sweep, width: int) -> int:
    """The network of this width with the median of the last losses (the smaller one of the two in the middle).

    Raises:
        ValueError: for a width that is not there.
    """
    members = np.flatnonzero(sweep.width == width)
    if len(members) == 0:
        raise ValueError(f"width must be one of {sorted(set(sweep.width.tolist()))}, but {width} was given.")
    return int(members[np.argsort(sweep.loss[members, -1], kind="stable")[(len(members) - 1) // 2]])


def loss_statistics(sweep: Sweep, step: int, published: Mapping[int, float] | None = None) -> list[LossStatistics]:
    """How losses are spread over seeds after a step, width by width, beside published ones."""
    rows = []
    for width in dict.fromkeys(sweep.width.tolist()):
        loss = sweep.loss_after(step)[sweep.width == width]
        low, median, high = np.quantile(loss, [0.1, 0.5, 0.9])
        known = (published or {}).get(width) if step <= sweep.steps[-1] else None
        rank = None if known is None else float(np.mean(loss < known))
        spread = (float(median), float(low), float(high), float(loss.min()), float(loss.max()))
        rows.append(LossStatistics(width, len(loss), min(step, int(sweep.steps[-1])), *spread, known, rank))
    return rows


def loss_table(rows: Sequence[LossStatistics]) -> str:
    """The statistics as a table in plain text."""
    with_published = any(row.published is not None for row in rows)
    head = f"{'width':>6} {'median':>8} {'10 %':>8} {'90 %':>8} {'min':>8} {'max':>8}"
    lines = [head + (f" {'notebook':>9} {'below it':>9}" if with_published else "")]
    for row in rows:
        numbers: list[Any] = [row.median, row.low, row.high, row.min, row.max]
        line = f"{row.width:>6} " + " ".join(f"{number:8.4f}" for number in numbers)
        if row.published is not None and row.rank is not None:
            line += f" {row.published:9.3f} {f'{100 * row.rank:.0f} %':>9}"
        lines.append(line)
    return "\n".join(lines)
