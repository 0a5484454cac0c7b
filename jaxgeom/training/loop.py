"""The training loop of one network, whatever its model: steps, epochs, records and snapshots.

What is computed, :class:`RunFunctions`, comes from :mod:`jaxgeom.training.fit`. The compiled engine has a loop of its
own for MLPs (``engine/training.cc``), with the same results to rounding.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Int32

from jaxgeom._reprs import readable
from jaxgeom._typing import Params, PyTree
from jaxgeom.host.watch import Watch
from jaxgeom.training.plan import Plan
from jaxgeom.training.watch import call_watch

NEVER = -1
"""``diverged_step`` of a network that did not diverge."""


@readable
class TrainState(NamedTuple):
    """What the next step of training needs."""

    params: Params
    """Parameters of the network."""
    opt_state: PyTree
    """State of the optimizer."""
    step: Int32[Array, ""]
    """Steps taken so far."""
    diverged_step: Int32[Array, ""]
    """The first step that gave NaN or infinity, counted from 1; -1 if none did."""


class StepFunctions(NamedTuple):
    """What a step computes."""

    loss_and_gradient: Callable[..., tuple[Array, Params]]
    """``(params, x, y, weight)``: the weighted mean loss of a batch and its gradient."""
    update: Callable[..., tuple[Params, PyTree]]
    """``(gradient, opt_state, params, loss, (x, y, weight))``: the next parameters and state of the optimizer."""


class RunFunctions(NamedTuple):
    """What a whole run computes."""

    step: StepFunctions
    shuffle: Callable[[Array], PyTree]
    """``(epoch)``: the order of the points, in whatever form ``batch`` wants."""
    batch: Callable[[PyTree, Array | None], tuple[Array, Array]]
    """``(order, positions)``: the points at some positions of the order; all of them for None."""
    evaluate: Callable[[Params], PyTree]
    """``(params)``: what is recorded, (loss, accuracy) on the training split first."""
    keep: Callable[[Params], PyTree]
    """``(params)``: what a snapshot holds."""
    watch: Watch | None = None
    """What is called with records on the host."""


class RunResult(NamedTuple):
    """What one run of training ends with."""

    params: Params
    diverged_step: Int32[Array, ""]
    stopped_step: Int32[Array, ""]
    """The step before which a network's accuracy was good enough; -1 if it never was."""
    records: PyTree
    """Results of ``evaluate`` at the record steps, stacked."""
    snapshots: PyTree
    batch_losses: Float[Array, " steps"] | None


def advance(
    functions: StepFunctions, state: TrainState, x: Array, y: Array, weight: Array | None, goes_on: Bool[Array, ""]
) -> tuple[TrainState, Array]:
    """One step of a network that goes on, not taken where it gives NaN or infinity; and the loss before it."""
    loss, gradient = functions.loss_and_gradient(state.params, x, y, weight)
    new = functions.update(gradient, state.opt_state, state.params, loss, (x, y, weight))
    is_finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in (loss, *jax.tree.leaves(new[0]))]))
    is_taken = is_finite & goes_on
    params, opt_state = jax.tree.map(partial(jnp.where, is_taken), new, (state.params, state.opt_state))
    diverged_step = jnp.where(goes_on & ~is_finite, state.step + 1, state.diverged_step)
    return TrainState(params, opt_state, state.step + 1, diverged_step), loss


def run(functions: RunFunctions, plan: Plan, params: Params, opt_state: PyTree) -> RunResult:
    """A run of training from given parameters, as planned: final parameters, records, snapshots.

    Args:
        functions: the step, the order of the points, records and snapshots.
        plan: the steps at which each of them is due.
        params: parameters before the first step.
        opt_state: state of the optimizer before the first step.
    """
    never = jnp.int32(NEVER)
    state = TrainState(params, opt_state, jnp.int32(0), never)
    recorders = _Recorder(plan.record_steps, functions.evaluate), _Recorder(plan.snapshot_steps, functions.keep)
    stacks = [_empty_stack(recorder, params) for recorder in recorders]

    def observe(stacks: list[PyTree], state: TrainState, stopped_step: Array) -> tuple[list[PyTree], Array]:
        rows = [_due_row(recorder, stack, state) for recorder, stack in zip(recorders, stacks, strict=True)]
        record = rows[0]
        if functions.watch is not None and record is not None:
            call_watch(functions.watch, len(plan.record_steps), record.is_due, record.place, state, record.values)
        if plan.stop_accuracy is not None and record is not None:
            (_, accuracy), _ = record.values
            is_good = record.is_due & (accuracy >= plan.stop_accuracy) & (state.diverged_step == NEVER)
            stopped_step = jnp.where(is_good & (stopped_step == NEVER), state.step, stopped_step)
        return [_with_row(stack, row) for stack, row in zip(stacks, rows, strict=True)], stopped_step

    def turn(carry: tuple[Any, ...], step: Array) -> tuple[tuple[Any, ...], Array | None]:
        """Observe, then take the step if it is not the end: so the loop has the code that observes but once."""
        state, stacks, stopped_step = carry
        stacks, stopped_step = observe(stacks, state, stopped_step)
        goes_on = (state.diverged_step == NEVER) & (stopped_step == NEVER) & (step < plan.num_steps)
        order, positions, weight = None, None, None
        if plan.batch_size < plan.num_points:
            order = functions.shuffle(step // plan.num_batches)
            positions, weight = _batch(plan, step % plan.num_batches)
        x, y = functions.batch(order, positions)
        state, loss = advance(functions.step, state, x, y, weight, goes_on)
        return (state, stacks, stopped_step), jnp.where(goes_on, loss, jnp.nan) if plan.keeps_batch_losses else None

    carry: tuple[Any, ...] = (state, stacks, never)
    (state, stacks, stopped_step), losses = lax.scan(turn, carry, jnp.arange(plan.num_steps + 1, dtype=jnp.int32))
    records, snapshots = jax.tree.map(lambda stack: stack[:-1], stacks)
    losses = None if losses is None else losses[:-1]
    return RunResult(state.params, state.diverged_step, stopped_step, records, snapshots, losses)


def _batch(plan: Plan, number: Int[Array, ""]) -> tuple[Int[Array, " batch"], Float[Array, " batch"] | None]:
    """Positions of a batch in the order of its epoch, and weights if the last batch is incomplete."""
    positions = number * plan.batch_size + jnp.arange(plan.batch_size)
    if plan.num_batches * plan.batch_size <= plan.num_points:
        return positions, None
    # Filled up with the last point of the order, so that what has no weight cannot bring in a new infinity.
    weight = (positions < plan.num_points).astype(jnp.float32)
    return jnp.minimum(positions, plan.num_points - 1), weight


class _Recorder(NamedTuple):
    steps: Sequence[int]
    function: Callable[[Params], PyTree]


def _empty_stack(recorder: _Recorder, params: Params) -> PyTree:
    """Rows for all that will be recorded, and one more, where what is not due is written."""
    num = len(recorder.steps)
    if num == 0:
        return None
    row = jax.eval_shape(recorder.function, params)
    return jax.tree.map(lambda leaf: jnp.zeros((num + 1, *leaf.shape), leaf.dtype), row)


class _Row(NamedTuple):
    is_due: Bool[Array, ""]
    place: Int[Array, ""]
    values: PyTree


def _due_row(recorder: _Recorder, stack: PyTree, state: TrainState) -> _Row | None:
    """What is recorded at the present step, and where; None if nothing ever is."""
    steps = recorder.steps
    if not jax.tree.leaves(stack):
        return None
    if isinstance(steps, range):
        is_due, place = state.step % steps.step == 0, state.step // steps.step
    else:
        is_due, place = jnp.any(np.asarray(steps) == state.step), jnp.sum(np.asarray(steps) < state.step)
    values = lax.cond(
        is_due,
        recorder.function,
        lambda params: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), stack),
        state.params,
    )
    return _Row(is_due, jnp.where(is_due, place, len(steps)), values)


def _with_row(stack: PyTree, row: _Row | None) -> PyTree:
    if row is None:
        return stack
    return jax.tree.map(
        lambda rows, values: lax.dynamic_update_index_in_dim(rows, values, row.place, 0), stack, row.values
    )
