"""Training one network as a pure function of a random key.

:func:`trainer` pairs a model, an optax optimizer and a loss as ``(init, step)``; :func:`fit` is a whole run:
initialisation, epochs of minibatches or full-batch steps, records and snapshots. Both work under ``jit`` and
``vmap``: a population is ``jax.vmap(lambda key: fit(key, ...))(keys)``, and settings such as learning rates are
arguments of the function that is mapped.

On CPUs, networks made by :func:`jaxgeom.mlp` are trained by the compiled engine, without compiling anything
(:mod:`jaxgeom.training.native` says which runs it takes). On accelerators, ``persistent=True`` trains very small ones
by a kernel of their own (:mod:`jaxgeom.training.persistent`). Everything else goes the general path, a ``scan``, with
the same results to rounding; ``Fit.by_engine`` says which it was, and the logger ``jaxgeom`` why.

A step that produces NaN or infinity is not taken: the network stays at its last finite parameters, and ``diverged``
and ``diverged_step`` say so.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, Shaped, UInt32

from jaxgeom._reprs import readable
from jaxgeom._typing import Params, PyTree, RandomKey
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import PerPoint
from jaxgeom.host.given import check_flags
from jaxgeom.host.inputs import as_array, as_key
from jaxgeom.host.precision import full_precision
from jaxgeom.host.programs import compiled
from jaxgeom.host.watch import Watch
from jaxgeom.networks.models import Model
from jaxgeom.training.keys import engine_key, initial_params
from jaxgeom.training.lane_kernel import LaneRun
from jaxgeom.training.loop import NEVER, RunFunctions, RunResult, StepFunctions, TrainState, advance, run
from jaxgeom.training.native import MOST_SNAPSHOTS, NativeRun, Split, named_results, native_run
from jaxgeom.training.optimizers import Hoisted, Optimizer, check_optimizer, hoisted, initial_state, masked, update_by
from jaxgeom.training.padding import check_mask, check_padding
from jaxgeom.training.persistent import MOST_PARAMETERS, call_lane_kernel, persistent_run
from jaxgeom.training.plan import Plan, check_data, plan_run
from jaxgeom.training.primitive import Work, bind
from jaxgeom.training.scalar_graph import Unsupported
from jaxgeom.training.shuffle import keys_of_epoch, shuffle_keys, shuffled

Loss = PerPoint
"""``loss(outputs, targets)`` gives one number a point, shape (points,); see :mod:`jaxgeom.losses`."""

_LOG = logging.getLogger("jaxgeom")


@readable
class Trainer(NamedTuple):
    """Training as two pure functions."""

    init: Callable[[RandomKey], TrainState]
    """``init(key)`` draws the parameters."""
    step: Callable[..., tuple[TrainState, Array]]
    """``step(state, x, y, weight=None)`` gives the next state, and the loss before the step. ``weight`` (points,)
    weights the points of the batch; zeros leave points out."""


@readable
class Fit(NamedTuple):
    """A finished run. Records and snapshots include the state before training, at step 0."""

    params: Params
    """Parameters at the end, or the last finite ones."""
    initial_params: Params
    """Parameters before training."""
    record_steps: Int[Array, " records"] | None
    """Steps taken at each record; None if nothing was recorded."""
    train_loss: Float[Array, " records"] | None
    """Mean loss over the whole training split at each record; None if nothing was recorded."""
    train_accuracy: Float[Array, " records"] | None
    """Fraction of points of the training split that are right; None if no ``accuracy`` was given."""
    test_loss: Float[Array, " records"] | None
    """Mean loss over the test split; None without one."""
    test_accuracy: Float[Array, " records"] | None
    """Fraction of points of the test split that are right; None without ``accuracy`` or test split."""
    batch_losses: Float[Array, " steps"] | None
    """Loss of each batch, before the step that it leads to; nan once the network has stopped or diverged; None if not
    asked for."""
    snapshot_steps: Int[Array, " snapshots"] | None
    """Steps taken at each snapshot; None if none was asked for."""
    snapshots: PyTree | None
    """Parameters at those steps (or what ``keep`` makes of them), stacked along a leading axis; None if not asked
    for."""
    diverged: Bool[Array, ""]
    """Whether training met NaN or infinity and stopped there."""
    diverged_step: Int32[Array, ""]
    """The step that did, counted from 1; -1 if none."""
    stopped_step: Int32[Array, ""] | None
    """Steps taken until ``stop_accuracy`` was reached; -1 if it never was, None if it was not asked for."""
    by_engine: Bool[Array, ""]
    """Whether the compiled engine trained the network, or on accelerators the persistent kernel, and not the general
    path."""


def trainer(model: Model, optimizer: Optimizer, loss: Loss) -> Trainer:
    """Training as two pure functions, ``init`` and ``step``, of a model, an optimizer and a loss.

    Args:
        model: what to train.
        optimizer: any optax optimizer that takes plain parameters and mean gradients; ``value``, ``grad`` and
            ``value_fn`` are passed on to those that ask for them, such as line searches.
        loss: one number a point; see :mod:`jaxgeom.losses`.

    Raises:
        TypeError: for what is no optimizer, and for a mask that is not bool.
        ValueError: for a mask of other shapes than the parameters.

    Example:
        >>> import jax, optax, jaxgeom as jg
        >>> init, step = map(jax.jit, jg.trainer(jg.mlp((2, 4, 1)), optax.sgd(0.1), jg.losses.squared_error))
        >>> data = jg.parity(2)
        >>> state, loss = step(init(jax.random.key(0)), data.x, data.y)
        >>> int(state.step), loss.shape
        (1, ())
    """
    optimizer, mean_loss = check_optimizer(optimizer), _mean_loss(model, loss)
    if model.mask is not None:
        check_mask(model.mask, jax.eval_shape(partial(initial_params, model), jax.random.key(0)))
    functions = _functions_of_one(mean_loss, masked(update_by(optimizer, mean_loss), model.mask))

    def init(key: RandomKey) -> TrainState:
        params = model.init(as_key(key))
        return TrainState(params, initial_state(optimizer, params), jnp.int32(0), jnp.int32(NEVER))

    @full_precision()
    def step(
        state: TrainState,
        x: Shaped[Array | np.ndarray, "points in"],
        y: Shaped[Array | np.ndarray, "points *out"],
        weight: Array | None = None,
    ) -> tuple[TrainState, Array]:
        x, y = jnp.asarray(as_array("x", x)), jnp.asarray(as_array("y", y))
        goes_on = state.diverged_step == NEVER
        return advance(functions, state, x, y, weight, goes_on)

    return Trainer(init, step)


def fit(
    key: RandomKey,
    model: Model,
    optimizer: Optimizer,
    loss: Loss,
    train: Dataset,
    *,
    num_epochs: int,
    batch_size: int | None = None,
    drop_last: bool = True,
    shuffle: bool = True,
    test: Dataset | None = None,
    accuracy: Loss | None = None,
    record: str | int | None = "epoch",
    batch_losses: bool = False,
    snapshot_every: int | None = None,
    snapshot_steps: Sequence[int] | None = None,
    keep: Callable[[Params], PyTree] | None = None,
    stop_accuracy: float | None = None,
    order_key: RandomKey | None = None,
    watch: Watch | None = None,
    persistent: bool = False,
) -> Fit:
    """A trained network, with records and snapshots of the run: a pure function of its key.

    Args:
        key: decides the initial parameters and the order of the points.
        model: what to train.
        optimizer: any optax optimizer that takes plain parameters and mean gradients, such as ``optax.adam(1e-3)``.
        loss: one number a point; see :mod:`jaxgeom.losses`.
        train: points and targets.
        num_epochs: passes over the data; with full batches, steps.
        batch_size: points a step; default is the full batch.
        drop_last: leave out the incomplete batch at the end of an epoch, or else take it as a smaller one.
        shuffle: draw a new order of the points for every epoch (minibatches only).
        test: a second split, only evaluated.
        accuracy: which points are right, such as :func:`jaxgeom.losses.class_is_right`.
        record: evaluate the whole splits before training and after every "epoch", every "step" or so many steps, or
            never (None).
        batch_losses: keep the loss of every batch, which costs nothing.
        snapshot_every: take a snapshot every so many steps, starting with step 0.
        snapshot_steps: or after these steps, ascending.
        keep: what to keep in a snapshot, a pure function of the parameters; default is the parameters themselves.
        stop_accuracy: stop a network (keep its parameters as they are) once a record finds this accuracy on the
            training split. Once all networks of a chunk have stopped, the remaining steps compute nothing.
        order_key: decides the order of the points instead of ``key``. Networks that share it see the same batches.
        watch: called on the host with every so many records while the network trains, such as
            :func:`jaxgeom.text_log` or :func:`jaxgeom.plot.live_view`; of a population, for each network. Trainings
            that are watched take the general path, not the compiled engine.
        persistent: on GPUs, train by one kernel that keeps each network on chip for the whole run: models of
            :func:`jaxgeom.mlp` with up to 100 parameters, and optimizers that work element by element, such as SGD with
            momentum, Adam and AdamW. On CPUs it changes nothing. Not the default, as long as no device has shown that
            it is faster.

    Raises:
        ValueError: for sizes below one, data of different lengths, a batch larger than the data, labels outside the
            classes, NaN, infinity or what the parameters' dtype does not hold in the data, a loss that gives truth
            values or integers, an unknown ``record``, snapshots at steps that do not occur, an optimizer that padding
            would disturb, a mask of other shapes than the parameters, a ``watch`` without records, or what the
            persistent kernel cannot do, if it is asked for.
        TypeError: for what is no optimizer or no function, and for a mask that is not bool.

    Programs for CPUs that are exported (``jax.export``) call the engine, which JAX has to be told is meant:
    ``disabled_checks=[jax.export.DisabledSafetyCheck.custom_call(name)]`` for each name that its error lists, such as
    ``jaxgeom_words``. They run in processes in which jaxgeom has trained.

    Example:
        >>> import jax, optax, jaxgeom as jg
        >>> model, loss = jg.mlp((2, 8, 1), activation="relu"), jg.losses.squared_error
        >>> run = jg.fit(jax.random.key(0), model, optax.adam(0.02), loss, jg.parity(2), num_epochs=200)
        >>> run.train_loss.shape, bool(run.train_loss[-1] < run.train_loss[0])
        ((201,), True)
    """
    check_flags(drop_last=drop_last, shuffle=shuffle, batch_losses=batch_losses, persistent=persistent)
    key, optimizer = as_key(key), check_optimizer(optimizer)
    train = check_data(model, loss, accuracy, train, "train")
    test = None if test is None else check_data(model, loss, accuracy, test, "test")
    num_points = train.x.shape[0]
    if stop_accuracy is not None and (accuracy is None or record is None):
        raise ValueError("stop_accuracy needs an accuracy, and records to find it in.")
    if keep is not None and not callable(keep):
        raise TypeError(f"keep must be a function of the parameters, such as jaxgeom.layers_of, but it is {keep!r}.")
    if watch is not None and record is None:
        raise ValueError("watch is called with records, but record=None makes none. Leave it out, or give a number.")
    plan = plan_run(
        num_points,
        num_epochs=num_epochs,
        batch_size=batch_size,
        drop_last=drop_last,
        record=record,
        batch_losses=batch_losses,
        snapshot_every=snapshot_every,
        snapshot_steps=snapshot_steps,
        stop_accuracy=stop_accuracy,
    )
    is_shuffled = shuffle and plan.batch_size < num_points
    order_key = None if order_key is None else as_key(order_key)
    init_key, order = _random_start(key, order_key, num_points if is_shuffled else None)
    params = initial_params(model, init_key)
    mean_loss = _mean_loss(model, loss)
    with full_precision():
        by = hoisted(optimizer, mean_loss, params, _batch_shapes(plan, train))
    if model.mask is not None:
        check_mask(model.mask, params)
        check_padding(by, params)
    given = _Given(
        params,
        order,
        train,
        test,
        model.mask,
        by.init_settings,
        by.update_settings,
    )
    keep = _everything if keep is None else keep
    task = _Task(model, loss, accuracy, keep, by.init, by.update, by.needs_loss, plan, watch)
    one = partial(_run_one, task)
    taken = _native(task, by, given, persistent)
    if taken is not None:
        differentiable = jax.custom_jvp(partial(_run_native, task, *taken))
        differentiable.defjvp(lambda *of: jax.jvp(lambda given: (one(given), jnp.bool_(False)), *of))
        outcome, by_engine = differentiable(given)
    else:
        outcome, by_engine = one(given), jnp.bool_(False)
    is_recorded = len(plan.record_steps) > 0
    (train_loss, train_accuracy), (test_loss, test_accuracy) = outcome.records if is_recorded else ((None,) * 2,) * 2
    return Fit(
        params=outcome.params,
        initial_params=params,
        record_steps=_steps(plan.record_steps),
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        test_loss=test_loss,
        test_accuracy=test_accuracy,
        batch_losses=outcome.batch_losses,
        snapshot_steps=_steps(plan.snapshot_steps),
        snapshots=outcome.snapshots if len(plan.snapshot_steps) else None,
        diverged=outcome.diverged_step != NEVER,
        diverged_step=outcome.diverged_step,
        stopped_step=None if stop_accuracy is None else outcome.stopped_step,
        by_engine=by_engine,
    )


@compiled(2)
def _random_start(
    key: RandomKey, order_key: RandomKey | None, num_points: int | None
) -> tuple[RandomKey, UInt32[Array, "rounds two"] | None]:
    """What decides the initial parameters, and the orders of so many points."""
    impl = jax.random.key_impl(key)
    keys = jax.random.key_data(jax.random.split(engine_key(key)))
    init_key, own_order_key = (jax.random.wrap_key_data(each, impl=impl) for each in keys)
    order_key = engine_key(own_order_key if order_key is None else order_key)
    return init_key, None if num_points is None else shuffle_keys(order_key, num_points)


def _steps(steps: Sequence[int]) -> Int32[Array, " steps"] | None:
    return jnp.asarray(np.array(steps, np.int32)) if len(steps) else None


def _batch_shapes(plan: Plan, train: Dataset) -> tuple[Any, ...]:
    """Shapes of the points, targets and weights of a batch."""
    shapes = [jax.ShapeDtypeStruct((plan.batch_size, *leaf.shape[1:]), leaf.dtype) for leaf in train]
    is_weighted = plan.num_batches * plan.batch_size > plan.num_points
    return (*shapes, jax.ShapeDtypeStruct((plan.batch_size,), jnp.float32) if is_weighted else None)


class _Given(NamedTuple):
    """The arrays that a run starts from."""

    params: Params
    shuffle_keys: Array | None
    """What decides the order of the points; None where it is as given, or does not matter."""
    train: Dataset
    test: Dataset | None
    mask: Params | None
    """``model.mask``, which may be traced."""
    init_settings: list[Array]
    """What ``optimizer.init`` closes over."""
    update_settings: list[Array]
    """What ``optimizer.update`` closes over, such as a learning rate."""


class _Task(NamedTuple):
    """What a run does with them."""

    model: Model
    loss: Loss
    accuracy: Loss | None
    keep: Callable[[Params], PyTree]
    init: Callable[..., PyTree]
    """``init(settings, params)``: the state of the optimizer."""
    update: Callable[..., tuple[Params, PyTree]]
    """``update(settings, gradient, opt_state, params, value, batch)``: the next parameters and state."""
    needs_loss: bool
    """Whether ``update`` takes the batch, on which it evaluates the loss."""
    plan: Plan
    watch: Watch | None

    def rows(self, keys: Array | None, positions: Array) -> Array:
        return positions if keys is None else shuffled(keys, positions, self.plan.num_points)


@full_precision()
def _run_one(task: _Task, given: _Given) -> RunResult:
    """The general path: one network, any model."""
    train = given.train

    def batch(keys: Array | None, positions: Array | None) -> tuple[Array, Array]:
        if positions is None:
            return train.x, train.y
        rows = task.rows(keys, positions)
        return train.x[rows], train.y[rows]

    update: Callable[..., tuple[Params, PyTree]] = partial(task.update, given.update_settings)
    if not task.needs_loss:
        update = _without_batch(update)
    functions = RunFunctions(
        _functions_of_one(_mean_loss(task.model, task.loss), masked(update, given.mask)),
        shuffle=partial(_keys_of_epoch, given.shuffle_keys),
        batch=batch,
        evaluate=lambda params: tuple(_evaluate(task, params, split) for split in (train, given.test)),
        keep=task.keep,
        watch=task.watch,
    )
    return run(functions, task.plan, given.params, task.init(given.init_settings, given.params))


def _native(task: _Task, by: Hoisted, given: _Given, persistent: bool) -> tuple[NativeRun, LaneRun | None] | None:
    """The run as the compiled engine takes it, and as the persistent kernel does if it is asked for; None if the engine
    does not take it."""
    plan, test, keys = task.plan, given.test, given.shuffle_keys
    splits = Split(*given.train), None if test is None else Split(*test)
    try:
        if not task.model.is_mlp:
            raise Unsupported("a model that is not made by jaxgeom.mlp")
        if task.watch is not None:
            raise Unsupported("a watch, which is called while it trains")
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(given.params)) * len(plan.snapshot_steps)
        if task.keep is not _everything and size > MOST_SNAPSHOTS:
            raise Unsupported(f"{size / 1e6:.0f} MB of parameters in snapshots, before `keep` makes less of them")
        native = native_run(
            plan,
            given.params,
            task.loss,
            task.accuracy,
            by,
            *splits,
            uses_keys=keys is not None and plan.batch_size < plan.num_points,
            num_rounds=0 if keys is None else keys.shape[0],
            has_mask=given.mask is not None,
        )
        if not persistent:
            return native, None
        if native.dtype != "float32":
            raise Unsupported(f"parameters of type {native.dtype}")
        return native, persistent_run(plan, given.params, task.loss, task.accuracy, by, *splits)
    except Unsupported as reason:
        if persistent:
            raise ValueError(
                f"persistent=True asks for the persistent kernel, which does not take {reason}. It takes models of "
                f"jaxgeom.mlp with up to {MOST_PARAMETERS} parameters, losses and accuracies that are the same "
                "function of each point, optimizers that work element by element or with sums over a layer, and no "
                "watch. Use persistent=False."
            ) from None
        _LOG.info("fit takes the general path: the compiled engine does not take %s", reason)
        return None


def _run_native(task: _Task, native: NativeRun, lanes: LaneRun | None, given: _Given) -> tuple[RunResult, Array]:
    """The run by the compiled engine if a CPU computes it, or by the persistent kernel if there is one and an
    accelerator does; and whether that is so."""

    def general(given: _Given) -> list[Array]:
        """The arrays that the engine returns, from the general path."""
        outcome = _run_one(task._replace(keep=_everything), given)
        results = [*native.leaves(outcome.params), outcome.diverged_step, outcome.stopped_step, jnp.int32(0)]
        results += jax.tree.leaves(outcome.records if native.num_records else ())
        results += [outcome.batch_losses] if native.keeps_batch_losses else []
        return results + (native.leaves(outcome.snapshots) if native.num_snapshots else [])

    by_kernel = None if lanes is None else partial(call_lane_kernel, lanes, native)
    results = named_results(native, bind(Work(native, jax.tree.structure(given), general, by_kernel), given))
    snapshots = results.snapshots
    if snapshots is not None and task.keep is not _everything:
        snapshots = jax.vmap(task.keep)(snapshots)
    outcome = RunResult(
        results.params, results.diverged_step, results.stopped_step, results.records, snapshots, results.batch_losses
    )
    return outcome, results.by_engine != 0


def _everything(params: Params) -> Params:
    return params


def _without_batch(update: Callable[..., Any]) -> Callable[..., Any]:
    return lambda gradient, opt_state, params, value, batch: update(gradient, opt_state, params, value)


def _keys_of_epoch(keys: Array | None, epoch: Array) -> Array | None:
    return None if keys is None else keys_of_epoch(keys, epoch)


def _mean_loss(model: Model, loss: Loss) -> Callable[..., Array]:
    """``mean_loss(params, x, y, weight)``: the weighted mean of the loss of one network on a batch."""

    def mean_loss(params: Params, x: Array, y: Array, weight: Array | None) -> Array:
        losses = loss(model.apply(params, x), y)
        if losses.shape != x.shape[:1]:
            raise ValueError(
                f"the loss must give one number a point, shape {x.shape[:1]}, but gives shape {losses.shape}."
            )
        if weight is None:
            return jnp.mean(losses)
        total = jnp.sum(weight)
        return jnp.sum(losses * weight) / jnp.where(total > 0, total, 1)

    return mean_loss


def _functions_of_one(mean_loss: Callable[..., Array], update: Callable[..., Any]) -> StepFunctions:
    """A step of one network, whatever the model."""
    return StepFunctions(jax.value_and_grad(mean_loss), update)


def _evaluate(task: _Task, params: Params, split: Dataset | None) -> tuple[Array | None, Array | None]:
    """Mean loss and accuracy on a split."""
    if split is None:
        return None, None
    outputs = task.model.apply(params, split.x)
    loss, accuracy = (
        None if function is None else jnp.mean(function(outputs, split.y), dtype=_dtype(params))
        for function in (task.loss, task.accuracy)
    )
    return loss, accuracy


def _dtype(params: Params) -> Any:
    """That of the parameters, in which means are taken; float32 for parameters that are no floats."""
    dtype = jnp.result_type(*jax.tree.leaves(params))
    return dtype if dtype == jnp.float64 else jnp.float32
