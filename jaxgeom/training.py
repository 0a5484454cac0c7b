"""Training one network as a pure function of a random key.

:func:`trainer` pairs a model, an optax optimizer and a loss as ``(init, step)``; :func:`fit` is a whole run:
initialisation, epochs of minibatches or full-batch steps, records and snapshots, in one ``lax.scan``. Both work
under ``jit`` and ``vmap``: a population is ``jax.vmap(lambda key: fit(key, ...))(keys)``.

A step that produces NaN or infinity is not taken: the network stays at its last finite parameters, and ``diverged``
and ``diverged_step`` say so.
"""

import operator
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Int32, Num

from jaxgeom._typing import Params, PyTree, RandomKey
from jaxgeom.datasets import Dataset
from jaxgeom.models import Model

Loss: TypeAlias = Callable[[Array, Array], Array]
"""``loss(outputs, targets)`` gives one number a point, shape (points,); see :mod:`jaxgeom.losses`."""

NEVER = -1
"""``diverged_step`` of a network that did not diverge."""


class TrainState(NamedTuple):
    """What the next step of training needs."""

    params: Params
    opt_state: PyTree
    step: Int32[Array, ""]
    """Steps taken so far."""
    diverged_step: Int32[Array, ""]
    """The first step that gave NaN or infinity, counted from 1; -1 if none did."""


class Trainer(NamedTuple):
    """Training as two pure functions."""

    init: Callable[[RandomKey], TrainState]
    """``init(key)`` draws the parameters."""
    step: Callable[..., tuple[TrainState, Array]]
    """``step(state, x, y, weight=None)`` gives the next state, and the loss before the step. ``weight`` (points,)
    weights the points of the batch; zeros leave points out."""


class Fit(NamedTuple):
    """A finished run. Records and snapshots include the state before training, at step 0."""

    params: Params
    """Parameters at the end, or the last finite ones."""
    initial_params: Params
    """Parameters before training."""
    record_steps: Int[Array, " records"]
    """Steps taken at each record; empty if nothing was recorded."""
    train_loss: Float[Array, " records"]
    """Mean loss over the whole training split."""
    train_accuracy: Float[Array, " records"] | None
    """Fraction of points that are right; None if no ``accuracy`` was given."""
    test_loss: Float[Array, " records"] | None
    """The same on the test split; None without one."""
    test_accuracy: Float[Array, " records"] | None
    snapshot_steps: Int[Array, " snapshots"]
    """Steps taken at each snapshot."""
    snapshots: Params | None
    """Parameters at those steps, stacked along a leading axis; None if not asked for."""
    diverged: Bool[Array, ""]
    """Whether training met NaN or infinity and stopped there."""
    diverged_step: Int32[Array, ""]
    """The step that did, counted from 1; -1 if none."""


def trainer(model: Model, optimizer: optax.GradientTransformation, loss: Loss) -> Trainer:
    """Pair a model, an optimizer and a loss as pure functions ``init`` and ``step``.

    Args:
        model: what to train.
        optimizer: any optax optimizer.
        loss: one number a point; see :mod:`jaxgeom.losses`.
    """

    def init(key: RandomKey) -> TrainState:
        params = model.init(key)
        return TrainState(params, optimizer.init(params), jnp.int32(0), jnp.int32(NEVER))

    def mean_loss(params: Params, x: Array, y: Array, weight: Array | None) -> Array:
        losses = loss(model.apply(params, x), y)
        if weight is None:
            return jnp.mean(losses)
        total = jnp.sum(weight)
        return jnp.sum(losses * weight) / jnp.where(total > 0, total, 1)

    def step(
        state: TrainState,
        x: Num[Array, "points in"],
        y: Num[Array, "points *out"],
        weight: Array | None = None,
    ) -> tuple[TrainState, Array]:
        value, gradient = jax.value_and_grad(mean_loss)(state.params, x, y, weight)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        is_finite = jnp.isfinite(value) & _all_finite(params)
        is_taken = is_finite & (state.diverged_step == NEVER)
        params, opt_state = jax.tree.map(
            partial(jnp.where, is_taken), (params, opt_state), (state.params, state.opt_state)
        )
        diverged_step = jnp.where((state.diverged_step == NEVER) & ~is_finite, state.step + 1, state.diverged_step)
        return TrainState(params, opt_state, state.step + 1, diverged_step), value

    return Trainer(init, step)


def fit(
    key: RandomKey,
    model: Model,
    optimizer: optax.GradientTransformation,
    loss: Loss,
    train: Dataset,
    *,
    num_epochs: int,
    batch_size: int | None = None,
    drop_last: bool = True,
    shuffle: bool = True,
    test: Dataset | None = None,
    accuracy: Loss | None = None,
    record: str | None = "epoch",
    snapshot_every: int | None = None,
) -> Fit:
    """Train one network: a pure function of its key.

    Args:
        key: decides the initial parameters and the order of the points.
        model, optimizer, loss: as for :func:`trainer`.
        train: points and targets.
        num_epochs: passes over the data; with full batches, steps.
        batch_size: points a step; default is the full batch.
        drop_last: leave out the incomplete batch at the end of an epoch, or else take it as a smaller one.
        shuffle: draw a new order of the points for every epoch (minibatches only).
        test: a second split, only evaluated.
        accuracy: which points are right, such as :func:`jaxgeom.losses.class_is_right`.
        record: evaluate the whole splits before training and after every "epoch" or every "step", or never (None).
        snapshot_every: keep the parameters every so many steps, starting with step 0.

    Raises:
        ValueError: for sizes below one, data of different lengths, a batch larger than the data, labels outside the
            classes, or an unknown ``record``.
    """
    num_points = _check_data(model, loss, train, "train")
    if test is not None:
        _check_data(model, loss, test, "test")
    train = Dataset(*map(jnp.asarray, train))
    test = None if test is None else Dataset(*map(jnp.asarray, test))
    for name, value in (("num_epochs", num_epochs), ("batch_size", batch_size), ("snapshot_every", snapshot_every)):
        if value is not None and operator.index(value) < 1:
            raise ValueError(f"{name} must be a positive integer, but {value} was given.")
    if record not in ("epoch", "step", None):
        raise ValueError(f"record must be 'epoch', 'step' or None, but {record!r} was given.")
    if batch_size is not None and batch_size > num_points and drop_last:
        raise ValueError(
            f"batch_size = {batch_size} is larger than the {num_points} points, so that dropping the last incomplete "
            "batch would leave none. Use batch_size=None for full batches, or drop_last=False."
        )
    batch = num_points if batch_size is None else min(batch_size, num_points)
    is_full_batch = batch == num_points
    num_batches = num_points // batch if drop_last else -(-num_points // batch)
    num_steps = num_epochs * num_batches
    init, step = trainer(model, optimizer, loss)
    init_key, order_key = jax.random.split(key)
    state = init(init_key)
    initial_params = state.params

    def evaluate(params: Params) -> tuple[Array | None, ...]:
        results: list[Array | None] = []
        for split in (train, test):
            for function in (loss, accuracy):
                if split is None or function is None:
                    results.append(None)
                else:
                    results.append(jnp.mean(function(model.apply(params, split.x), split.y), dtype=jnp.float32))
        return tuple(results)

    def batches(epoch_key: RandomKey) -> tuple[Array, Array | None]:
        """Row numbers (batches, batch size) of an epoch, and weights where the last batch is incomplete."""
        order = jax.random.permutation(epoch_key, num_points) if shuffle else jnp.arange(num_points)
        missing = num_batches * batch - num_points
        if missing <= 0:
            return order[: num_batches * batch].reshape(num_batches, batch), None
        weight = jnp.pad(jnp.ones(num_points), (0, missing))
        return (
            # Rows of the same batch, so that what is left out by its weight cannot bring in a new infinity.
            jnp.pad(order, (0, missing), mode="edge").reshape(num_batches, batch),
            weight.reshape(num_batches, batch),
        )

    every = snapshot_every or num_steps

    def keep(snapshots: Params, params: Params, step_number: Array) -> Params:
        # Written at every step into the place of the next snapshot due: the last one written there is the one due.
        place = -(-step_number // every)
        return jax.tree.map(lambda kept, now: kept.at[place].set(now, mode="drop"), snapshots, params)

    def take_step(carry: tuple, batch: tuple | None) -> tuple[tuple, tuple | None]:
        state, snapshots, number = carry
        results = evaluate(state.params) if record == "step" or (record and is_full_batch) else None
        if batch is None:
            x, y, weight = train.x, train.y, None
        else:
            rows, weight = batch
            x, y = train.x[rows], train.y[rows]
        state, _ = step(state, x, y, weight)
        if snapshot_every is not None:
            snapshots = keep(snapshots, state.params, number + 1)
        return (state, snapshots, number + 1), results

    def take_epoch(carry: tuple, epoch: Array) -> tuple[tuple, tuple | None]:
        results = evaluate(carry[0].params) if record == "epoch" else None
        carry, of_steps = lax.scan(take_step, carry, batches(jax.random.fold_in(order_key, epoch)))
        return carry, of_steps if record == "step" else results

    snapshots = None
    if snapshot_every is not None:
        num_snapshots = 1 + num_steps // every
        snapshots = jax.tree.map(lambda p: jnp.zeros((num_snapshots, *p.shape), p.dtype).at[0].set(p), state.params)
    carry = (state, snapshots, jnp.int32(0))
    if is_full_batch:
        (state, snapshots, _), results = lax.scan(take_step, carry, length=num_epochs)
    else:
        (state, snapshots, _), results = lax.scan(take_epoch, carry, jnp.arange(num_epochs))
    records: tuple = (None,) * 4
    record_steps = np.zeros(0, np.int32)
    if results is not None:
        records = tuple(
            None if last is None else jnp.append(jnp.reshape(rows, -1), last)
            for rows, last in zip(results, evaluate(state.params), strict=True)
        )
        record_steps = np.arange(0, num_steps + 1, num_batches if record == "epoch" else 1, dtype=np.int32)
    return Fit(
        params=state.params,
        initial_params=initial_params,
        record_steps=jnp.asarray(record_steps),
        train_loss=jnp.zeros(0) if record is None else records[0],
        train_accuracy=records[1],
        test_loss=records[2],
        test_accuracy=records[3],
        snapshot_steps=jnp.arange(0, num_steps + 1, snapshot_every) if snapshot_every else jnp.zeros(0, jnp.int32),
        snapshots=snapshots,
        diverged=state.diverged_step != NEVER,
        diverged_step=state.diverged_step,
    )


def _all_finite(params: Params) -> Bool[Array, ""]:
    flags = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)]
    return jnp.all(jnp.stack(flags))


def _check_data(model: Model, loss: Loss, data: Dataset, name: str) -> int:
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
