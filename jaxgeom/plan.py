"""What a run of training will do, checked before it starts."""

import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxgeom.datasets import Dataset
from jaxgeom.models import Model


class Plan(NamedTuple):
    """The steps of a run, known before it starts."""

    num_epochs: int
    num_batches: int
    """Steps in an epoch."""
    batch_size: int
    num_points: int
    record_steps: Sequence[int]
    """Steps after which the records are taken, ascending: a range that starts with 0, or any tuple."""
    snapshot_steps: Sequence[int]
    keeps_batch_losses: bool = False
    stop_accuracy: float | None = None
    """Networks stop once a record of their accuracy reaches this."""

    @property
    def num_steps(self) -> int:
        return self.num_epochs * self.num_batches


def plan_run(
    num_points: int,
    *,
    num_epochs: int,
    batch_size: int | None,
    drop_last: bool,
    record: str | int | None,
    batch_losses: bool,
    snapshot_every: int | None,
    snapshot_steps: Sequence[int] | None,
    stop_accuracy: float | None,
) -> Plan:
    """The steps of a run; the arguments are those of :func:`jaxgeom.fit`.

    Raises:
        ValueError: for what cannot be done.
    """
    for name, value in (("num_epochs", num_epochs), ("batch_size", batch_size), ("snapshot_every", snapshot_every)):
        if value is not None and operator.index(value) < 1:
            raise ValueError(f"{name} must be a positive integer, but {value} was given.")
    if batch_size is not None and batch_size > num_points and drop_last:
        raise ValueError(
            f"batch_size = {batch_size} is larger than the {num_points} points, so that dropping the last incomplete "
            "batch would leave none. Use batch_size=None for full batches, or drop_last=False."
        )
    batch = num_points if batch_size is None else min(batch_size, num_points)
    num_batches = num_points // batch if drop_last else -(-num_points // batch)
    num_steps = num_epochs * num_batches
    return Plan(
        num_epochs,
        num_batches,
        batch,
        num_points,
        _record_steps(num_steps, num_batches, record),
        _snapshot_steps(num_steps, snapshot_every, snapshot_steps),
        batch_losses,
        stop_accuracy,
    )


def _record_steps(num_steps: int, num_batches: int, record: str | int | None) -> Sequence[int]:
    if record is None:
        return ()
    every = {"epoch": num_batches, "step": 1}.get(record) if isinstance(record, str) else operator.index(record)
    if every is None or every < 1:
        raise ValueError(f"record must be 'epoch', 'step' or None, or a number of steps, but {record!r} was given.")
    return range(0, num_steps + 1, every)


def _snapshot_steps(num_steps: int, every: int | None, at: Sequence[int] | None) -> Sequence[int]:
    if at is None:
        return range(0, num_steps + 1, every) if every else ()
    steps = [operator.index(step) for step in at]
    if every is not None or not steps or steps != sorted(set(steps)) or steps[0] < 0 or steps[-1] > num_steps:
        raise ValueError(
            f"snapshot_steps must be ascending steps from 0 to {num_steps}, instead of snapshot_every, but {steps} was "
            f"given with snapshot_every = {every}."
        )
    return tuple(steps)


def check_data(model: Model, loss: Callable[[Array, Array], Array], data: Dataset, name: str) -> int:
    """Number of points, after checking that points, targets, model and loss fit together."""
    x, y = data
    if np.ndim(x) != 2 or np.ndim(y) < 1 or x.shape[0] != y.shape[0] or x.shape[0] == 0:
        raise ValueError(
            f"{name} needs points x of shape (points, in) and as many targets y, but x has shape {np.shape(x)} and y "
            f"has shape {np.shape(y)}."
        )
    try:
        outputs = jax.eval_shape(lambda key, x: model.apply(model.init(key), x), jax.random.key(0), x)
    except Exception as error:  # of Flax, JAX or the user's own model
        raise ValueError(f"the model does not take points with {x.shape[1]} coordinates: {error}") from error
    is_labels = jnp.issubdtype(y.dtype, jnp.integer)
    if not is_labels and y.shape != outputs.shape:
        raise ValueError(
            f"{name} targets have shape {y.shape}, but the model's outputs have shape {outputs.shape}; for a loss on "
            "numbers they must agree (targets of shape (points, out))."
        )
    if is_labels and not isinstance(y, jax.core.Tracer):
        num_classes = max(2, outputs.shape[1])
        low, high = int(np.asarray(y).min()), int(np.asarray(y).max())
        if low < 0 or high >= num_classes:
            raise ValueError(
                f"{name} labels must lie between 0 and {num_classes - 1} for a model with {outputs.shape[1]} outputs, "
                f"but they range from {low} to {high}."
            )
    if not callable(loss):
        raise TypeError(f"the loss must be a function such as jaxgeom.losses.squared_error, but {loss!r} was given.")
    try:
        per_point = jax.eval_shape(loss, outputs, y)
    except Exception as error:
        raise ValueError(
            f"the loss does not take {name} targets of shape {y.shape} ({y.dtype}) with outputs of shape "
            f"{outputs.shape}: {error}"
        ) from error
    if per_point.shape != (x.shape[0],):
        raise ValueError(
            f"the loss must give one number a point, shape ({x.shape[0]},), but gives shape {per_point.shape}."
        )
    return x.shape[0]
