"""[edge] Width against loss: networks of several widths, many seeds of each, as one study.

Full batches, Adam, PyTorch's initialisation, one hidden layer; losses, accuracies and parameters on the way.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import optax
from jaxtyping import Float

from jaxgeom._reprs import readable
from jaxgeom.analysis.fractions import fraction_interval
from jaxgeom.data.datasets import Dataset
from jaxgeom.host.given import check_positive
from jaxgeom.networks.models import mlp
from jaxgeom.study.measurements import accuracy_on, loss_on
from jaxgeom.study.networks import parameters
from jaxgeom.study.result import Study, select
from jaxgeom.study.run import run_study
from jaxgeom.training.fit import Loss


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
    rank_low: float | None
    """Lower end of its 95 % interval, that of :func:`jaxgeom.fraction_interval`."""
    rank_high: float | None
    """Upper end of that interval."""


def train_widths(
    data: Dataset,
    widths: Sequence[int],
    num_seeds: int,
    *,
    key: int = 0,
    loss: Loss,
    is_right: Loss | None = None,
    learning_rate: float,
    num_epochs: int,
    activation: str = "sigmoid",
    num_records: int = 100,
    progress: bool | str = False,
) -> Study:
    """Networks with one hidden layer trained on one data set, many seeds of each width.

    Args:
        data: points and targets.
        widths: numbers of hidden units.
        num_seeds: networks of each width.
        key: seed of the study; networks of one width and seed start from the same parameters, whatever their data.
        loss: one number a point; see :mod:`jaxgeom.losses`.
        is_right: which points are right, such as :func:`jaxgeom.losses.is_right`; None for no accuracies.
        learning_rate: of Adam.
        num_epochs: full-batch steps.
        activation: of the hidden units, by name.
        num_records: measured about so many times, and before training.
        progress: show a progress bar; a string is its title.

    Returns:
        A study with the axes width, seed and step and the variables loss, accuracy and those of
        :func:`jaxgeom.study.parameters`.

    Raises:
        ValueError: for no widths, repeated widths, or numbers below one.
    """
    for name, value in (("num_epochs", num_epochs), ("num_records", num_records)):
        check_positive(name, value)
    return run_study(
        {"width": widths, "seed": range(num_seeds)},
        {"loss": loss_on(), "params": parameters()}
        | ({"accuracy": accuracy_on(is_right=is_right)} if is_right else {}),
        model=partial(mlp, activation=activation),
        data=data,
        optimizer=optax.adam(learning_rate),
        loss=loss,
        num_epochs=num_epochs,
        at_steps=range(0, num_epochs + 1, max(1, num_epochs // num_records)),
        key=key,
        progress=progress,
    )


def median_seed(study: Study, width: int) -> int:
    """The network of a width with the median of the last losses (the smaller one of the two in the middle).

    Raises:
        ValueError: for a width that is not there.
    """
    last = select(study, width=width).variables["loss"][:, -1]
    return int(study.coords["seed"][np.argsort(last, kind="stable")[(len(last) - 1) // 2]])


def loss_after(study: Study, step: int) -> Float[np.ndarray, "widths seeds"]:
    """The loss of every network at the last record that was taken by a step."""
    found: Float[np.ndarray, "widths seeds"] = study.variables["loss"][
        ..., np.searchsorted(study.coords["step"], step, side="right") - 1
    ]
    return found


def loss_statistics(study: Study, step: int, published: Mapping[int, float] | None = None) -> list[LossStatistics]:
    """How losses are spread over seeds after a step, width by width, beside published ones."""
    rows, last = [], int(study.coords["step"][-1])
    for width, loss in zip(study.coords["width"].tolist(), loss_after(study, step), strict=True):
        low, median, high = np.quantile(loss, [0.1, 0.5, 0.9])
        known = (published or {}).get(width) if step <= last else None
        below = fraction_interval(int(np.sum(loss < known)), len(loss)) if known is not None else (None,) * 3
        rank = tuple(None if end is None else float(end) for end in below)
        spread = (float(median), float(low), float(high), float(loss.min()), float(loss.max()))
        rows.append(LossStatistics(width, len(loss), min(step, last), *spread, known, *rank))
    return rows


def loss_table(rows: Sequence[LossStatistics]) -> str:
    """The statistics as a table in plain text."""
    with_published = any(row.published is not None for row in rows)
    head = f"{'width':>6} {'median':>8} {'10 %':>8} {'90 %':>8} {'min':>8} {'max':>8}"
    lines = [head + (f" {'notebook':>9} {'below it, 95 %':>16}" if with_published else "")]
    for row in rows:
        numbers: list[Any] = [row.median, row.low, row.high, row.min, row.max]
        line = f"{row.width:>6} " + " ".join(f"{number:8.4f}" for number in numbers)
        if row.published is not None and row.rank is not None:
            ends = "–".join(f"{100 * end:.0f}" for end in (row.rank_low, row.rank_high) if end is not None)
            rank = f"{100 * row.rank:.0f} % ({ends})"
            line += f" {row.published:9.3f} {rank:>16}"
        lines.append(line)
    return "\n".join(lines)
