"""A whole run of training as the body of one kernel: every lane keeps a network in registers from step to step.

The steps, their order of points, records and snapshots are those of :mod:`jaxgeom.training.loop`; what they compute
comes from graphs of single numbers, as in the compiled engine.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxgeom.training.lane_graph import Arithmetic, Values, no_input
from jaxgeom.training.lane_network import LaneLayer, forward
from jaxgeom.training.lane_step import LaneOptimizer, Memory, Numbers
from jaxgeom.training.loop import NEVER
from jaxgeom.training.plan import Plan
from jaxgeom.training.point_graph import PointGraph
from jaxgeom.training.scalar_graph import Node
from jaxgeom.training.shuffle import keys_of_epoch, shuffled

MOST_UNROLLED = 64
"""Parameters times points of full batches whose points are all in registers, and written out one by one: a straight
line of a few hundred instructions. Beyond, a loop over points compiles in a quarter of the time."""


class Judged(NamedTuple):
    """What is recorded of a split."""

    loss: PointGraph
    accuracy: PointGraph | None


class LaneRun(NamedTuple):
    """A run, of one network."""

    plan: Plan
    layers: list[LaneLayer]
    optimizer: LaneOptimizer
    loss: PointGraph
    """With gradients."""
    share: Node
    """The input of it that is the share of a point in the mean over its batch."""
    judged: tuple[Judged, ...]
    """Of the training split, and of the test split if there is one."""
    num_params: int
    is_state_in_memory: bool
    """Whether the optimizer's state is in memory and not in registers, and a step a loop over parameters: compilers
    take minutes for some hundred loads in a straight line."""
    shared_functions: tuple[str, ...] = ()
    """Powers and the like of numbers that all networks share, such as those of the step in Adam."""
    arithmetic: Arithmetic = Arithmetic()


class LaneSplit(NamedTuple):
    """Points and targets: (numbers, points), or (numbers, points, lanes) where each network has its own."""

    x: Any
    y: Any


class Inputs(NamedTuple):
    """What the kernel reads: a row of lanes for each number."""

    params: Any
    keys: Any
    """Two rows for each round of the permutation; None where points come in order."""
    splits: tuple[LaneSplit, ...]
    mask: Any
    """Which parameters are no padding; None for all."""
    settings: list[Any]
    snapshot_places: Any
    """For every step, the place of its snapshot, or -1; None without snapshots."""


class Outputs(NamedTuple):
    """What the kernel writes, likewise."""

    params: Any
    diverged_step: Any
    stopped_step: Any
    records: tuple[Any, ...]
    """(records, lanes): loss and accuracy of each split, those that there are."""
    batch_losses: Any
    """(steps + 1, lanes), or None."""
    snapshots: Any
    """(snapshots, parameters, lanes), or None."""
    gradients: Any
    """Of the present step; None if the optimizer's state is in registers."""
    state: Any
    """The optimizer's state while the kernel runs; likewise."""


class _Carry(NamedTuple):
    """What goes from step to step."""

    params: Numbers
    state: Numbers
    """Of the optimizer, part by part; empty, as the parameters are, if it is in memory."""
    counts: Numbers
    """Other numbers of the optimizer's state."""
    diverged_step: Array
    stopped_step: Array


def lane_kernel(run: LaneRun, given: Inputs, out: Outputs) -> None:
    """The kernel, from references to references."""
    plan, num = run.plan, run.num_params
    lanes = given.params.shape[-1]
    zeros = jnp.zeros((lanes,), jnp.float32)
    never = jnp.full((lanes,), NEVER, jnp.int32)
    params = [given.params[place, :] for place in range(num)]
    settings = [setting[0, :] for setting in given.settings]
    keys = None if given.keys is None else [given.keys[row, :] for row in range(given.keys.shape[0])]
    in_memory = run.is_state_in_memory
    is_full = plan.batch_size == plan.num_points
    is_unrolled = is_full and num * plan.num_points <= MOST_UNROLLED
    few = [_point(given.splits[0], position, lanes) for position in range(plan.num_points)] if is_unrolled else None

    def memory_of(weights: Numbers, gradients: Numbers, state: Numbers) -> Memory:
        """Where the optimizer finds its numbers: in lists of registers, or in memory, where the next parameters come in
        place of the gradients."""
        lists = {"weight": weights, "gradient": gradients, "state": state}
        rows = {"weight": out.params, "gradient": out.gradients, "state": out.state}

        def read(kind: str, part: int, place: Any) -> Any:
            return rows[kind][part * num + place, :] if in_memory else lists[kind][part * num + place]

        def write(kind: str, part: int, place: Any, value: Any) -> None:
            if in_memory:
                rows["gradient" if kind == "weight" else kind][part * num + place, :] = value
            else:
                lists[kind][part * num + place] = value

        return Memory(read, write, _in_loop if in_memory else _one_by_one)

    def turn(step: Array, carry: _Carry) -> _Carry:
        """Observe, then take the step if it is not the end: so the kernel has the code that observes but once."""
        params = [out.params[place, :] for place in range(num)] if in_memory else carry.params
        stopped_step = _observe(run, given, out, step, params, carry)
        goes_on = (carry.diverged_step == NEVER) & (stopped_step == NEVER) & (step < plan.num_steps)
        if few is not None:
            loss, gradients = zeros, [zeros] * num
            for x, y in few:
                loss, gradients = _add_point(run, params, 1 / plan.batch_size, x, y, loss, gradients)
        else:
            loss, gradients = _batch(run, given.splits[0], keys, step, params, zeros)
        if given.mask is not None:
            gradients = [jnp.where(given.mask[place, :] != 0, g, 0) for place, g in enumerate(gradients)]
        if in_memory:
            for place, gradient in enumerate(gradients):
                out.gradients[place, :] = gradient
        new, state = list(params), list(carry.state)
        memory = memory_of(new, gradients, state)
        counts, infinite = run.optimizer.step(run.arithmetic, memory, loss, carry.counts, settings)
        is_finite = infinite == 0
        is_taken = is_finite & goes_on

        def take(place: Any, _: Any) -> None:
            out.params[place, :] = jnp.where(is_taken, out.gradients[place, :], out.params[place, :])

        # Networks that stop never go on: what becomes of their optimizer's state does not matter.
        if in_memory:
            _in_loop(range(num), take, None)
        else:
            params = [jnp.where(is_taken, a, b) for a, b in zip(new, params, strict=True)]
        if out.batch_losses is not None:
            out.batch_losses[step, :] = jnp.where(goes_on, loss, jnp.nan)
        diverged_step = jnp.where(goes_on & ~is_finite, step + 1, carry.diverged_step)
        return _Carry([] if in_memory else params, state, counts, diverged_step, stopped_step)

    state = [] if in_memory else [zeros] * (num * len(run.optimizer.graph.prefixes))
    if in_memory:
        for place, number in enumerate(params):
            out.params[place, :] = number
    counts = run.optimizer.start(run.arithmetic, memory_of(params, [], state), settings, zeros)
    carry = _Carry([] if in_memory else params, state, counts, never, never)
    carry = lax.fori_loop(np.int32(0), np.int32(plan.num_steps + 1), turn, carry)
    for place, number in enumerate(carry.params):
        out.params[place, :] = number
    out.diverged_step[0, :] = carry.diverged_step
    out.stopped_step[0, :] = carry.stopped_step


def _one_by_one(places: Sequence[int], function: Callable[[Any, Any], Any], carry: Any) -> Any:
    for place in places:
        carry = function(place, carry)
    return carry


def _in_loop(places: Sequence[int], function: Callable[[Any, Any], Any], carry: Any) -> Any:
    """The same as a loop; the places follow one another."""
    return lax.fori_loop(np.int32(places[0]), np.int32(places[-1] + 1), function, carry)


def _batch(
    run: LaneRun, split: LaneSplit, keys: Numbers | None, step: Array, params: Numbers, zeros: Array
) -> tuple[Array, Numbers]:
    """The mean loss of the batch of a step, and its gradient."""
    plan = run.plan
    epoch, number = _divided(step, plan.num_batches)
    first = number * plan.batch_size
    size: Any = np.int32(plan.batch_size)
    share: Any = 1 / plan.batch_size
    if plan.num_batches * plan.batch_size > plan.num_points:  # the last batch is smaller
        size = jnp.minimum(plan.num_points - first, plan.batch_size)
        share = 1 / size.astype(jnp.float32)
    rounds = None
    if keys is not None:
        own = [keys_of_epoch(row, epoch) for row in keys]
        rounds = [own[at : at + 2] for at in range(0, len(own), 2)]

    def add(number: Array, sums: tuple[Array, Numbers]) -> tuple[Array, Numbers]:
        position: Any = first + number
        if rounds is not None:
            position = shuffled(rounds, jnp.broadcast_to(position, zeros.shape), plan.num_points)
        return _add_point(run, params, share, *_point(split, position, len(zeros)), *sums)

    loss, gradients = lax.fori_loop(np.int32(0), size, add, (zeros, [zeros] * len(params)))
    return loss, gradients


def _divided(step: Array, by: int) -> tuple[Array, Array]:
    """Quotient and rest of numbers that are not negative, without the cases that Python's operators have for others."""
    return lax.div(step, np.int32(by)), lax.rem(step, np.int32(by))


def _add_point(
    run: LaneRun, params: Numbers, share: Any, x: Numbers, y: Numbers, loss: Array, gradients: Numbers
) -> tuple[Array, Numbers]:
    """The mean loss and its gradient, with one point more in them."""
    outputs, backward = forward(run.arithmetic, run.layers, params, x)
    numbers = {run.share.number: share}
    value, *derivatives = _of_point(run.arithmetic, run.loss, (run.loss.value, *run.loss.gradient), outputs, y, numbers)
    return loss + value, backward(derivatives, gradients)


def _of_point(
    arithmetic: Arithmetic,
    point: PointGraph,
    nodes: tuple[Node, ...],
    outputs: Numbers,
    targets: Numbers,
    numbers: Values,
) -> list[Any]:
    """Nodes of a loss or an accuracy."""
    own = {node.number: value for node, value in zip(point.outputs, outputs, strict=True)}
    own |= {node.number: value for node, value in zip(point.targets, targets, strict=True)}
    return [arithmetic.evaluate(node, numbers, own, no_input) for node in nodes]


def _point(split: LaneSplit, position: Any, lanes: int) -> tuple[Numbers, Numbers]:
    """Coordinates and targets at a position, or at one for each lane."""

    def numbers(array: Any) -> Numbers:
        if len(array.shape) == 2:  # noqa: PLR2004
            return [array[row, position] for row in range(array.shape[0])]
        lane = slice(None) if jnp.ndim(position) == 0 else lax.iota(jnp.int32, lanes)
        return [array[row, position, lane] for row in range(array.shape[0])]

    return numbers(split.x), numbers(split.y)


def _observe(run: LaneRun, given: Inputs, out: Outputs, step: Array, params: Numbers, carry: _Carry) -> Array:
    """Write what is due of records and snapshots; the steps at which networks stopped."""
    plan = run.plan
    if given.snapshot_places is not None:
        snapshot = given.snapshot_places[0, step]

        def keep() -> None:
            for row, number in enumerate(params):
                out.snapshots[snapshot, row, :] = number

        lax.cond(snapshot >= 0, keep, lambda: None)
    if not len(plan.record_steps):
        return carry.stopped_step
    assert isinstance(plan.record_steps, range)
    place, rest = _divided(step, plan.record_steps.step)
    is_due = rest == 0
    zeros = jnp.zeros(carry.diverged_step.shape, jnp.float32)

    def record() -> Array:
        rows = iter(out.records)
        accuracies = []
        for split, judged in zip(given.splits, run.judged, strict=True):
            for number in _means(run, split, judged, params, zeros):
                next(rows)[place, :] = number
                accuracies.append(number)
        return accuracies[1] if run.judged[0].accuracy is not None else zeros

    accuracy = lax.cond(is_due, record, lambda: zeros)
    if plan.stop_accuracy is None:
        return carry.stopped_step
    goes_on = (carry.diverged_step == NEVER) & (carry.stopped_step == NEVER)
    return jnp.where(is_due & (accuracy >= plan.stop_accuracy) & goes_on, step, carry.stopped_step)


def _means(run: LaneRun, split: LaneSplit, judged: Judged, params: Numbers, zeros: Array) -> list[Array]:
    """Mean loss over a split, and mean accuracy if it is asked for."""
    points = [judged.loss] if judged.accuracy is None else [judged.loss, judged.accuracy]
    num_points = split.x.shape[1]

    def add(position: Array, sums: list[Array]) -> list[Array]:
        x, y = _point(split, position, len(zeros))
        outputs, _ = forward(run.arithmetic, run.layers, params, x)
        values = [_of_point(run.arithmetic, point, (point.value,), outputs, y, {})[0] for point in points]
        return [total + value for total, value in zip(sums, values, strict=True)]

    sums = lax.fori_loop(np.int32(0), np.int32(num_points), add, [zeros] * len(points))
    return [total / num_points for total in sums]
