"""Runs of training by the compiled engine: what :func:`jaxgeom.fit` plans, as programs and sizes for its kernel.

The kernel (``engine/training.cc``) multiplies the layers of many networks at once. What is elementwise (the update of
the optimizer, the loss and its gradient, accuracies, activations) is traced, checked to be elementwise, and becomes a
program for its vector machine. Nothing is compiled, so that the first call takes no longer than the others.

:func:`native_run` says of what it cannot take why, with :class:`jaxgeom.training.scalar_graph.Unsupported`.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxgeom._typing import Params, PyTree
from jaxgeom.data.losses import PerPoint
from jaxgeom.engine import library
from jaxgeom.networks.layers import named_layers, num_pieces
from jaxgeom.networks.models import activation_function
from jaxgeom.training import vector_code
from jaxgeom.training.optimizer_code import lane_programs, optimizer_code
from jaxgeom.training.optimizer_graph import VALUE, optimizer_graph
from jaxgeom.training.optimizers import Hoisted
from jaxgeom.training.plan import Plan
from jaxgeom.training.point_code import activation_code, point_code
from jaxgeom.training.point_graph import SHARE, PointGraph, activation_graph, point_graph, where_finite
from jaxgeom.training.scalar_graph import LANE, Graph, Unsupported
from jaxgeom.training.vector_code import Code, Scalars

MOST_CARRIED = 32
"""Numbers that the optimizer's state can hold for each network beside those of each parameter."""

MOST_SNAPSHOTS = 2**22
"""Bytes of the parameters of all snapshots of a network, of which ``keep`` makes something smaller."""
MOST_STEPS = 2**31 - 2
THREADS = 0
"""Of one call of the kernel; 0 for as many as there are cores. The results are the same for any number."""

LINEAR, RELU, PROGRAM, MAXOUT = range(4)
"""What follows a layer, as the kernel numbers it."""


class Split(NamedTuple):
    """Shapes and types of the points and targets of a split."""

    x: Any
    y: Any


class NativeRun(NamedTuple):
    """A run as the kernel takes it; equal to another if it computes the same."""

    sizes: tuple[int, ...]
    """As ``engine/training.cc`` reads them, without the number of leading axes."""
    attributes: tuple[tuple[str, str, bytes], ...]
    """Name, dtype and bytes of arrays, for the kernel."""
    settings: tuple[tuple[bool, int], ...]
    """Which settings of the optimizer the kernel takes: whether of ``update``, or else of ``init``, and their place."""
    layers: tuple[str, ...]
    """Names of the layers among the parameters, from input to output."""
    has_bias: bool
    dtype: str
    """Of parameters, points and losses: float32 or float64."""
    keeps_batch_losses: bool
    has_test: bool
    has_accuracy: bool
    num_records: int
    num_snapshots: int
    num_steps: int
    batch_size: int
    uses_keys: bool

    def leaves(self, params: PyTree) -> list[Any]:
        """The arrays of all layers, as the kernel takes them."""
        return [params[layer][name] for layer in self.layers for name in _names(self.has_bias)]

    def named(self, leaves: Sequence[Any]) -> Params:
        """The opposite."""
        each = iter(leaves)
        return {layer: {name: next(each) for name in _names(self.has_bias)} for layer in self.layers}


def _names(has_bias: bool) -> tuple[str, ...]:
    """The arrays of a layer, in the kernel's order."""
    return ("kernel", "bias") if has_bias else ("kernel",)


def native_run(
    plan: Plan,
    params: Params,
    loss: PerPoint,
    accuracy: PerPoint | None,
    by: Hoisted,
    train: Split,
    test: Split | None,
    *,
    uses_keys: bool,
    num_rounds: int,
    has_mask: bool,
) -> NativeRun:
    """The run of one network of a population.

    Args:
        plan: the steps.
        params: of :func:`jaxgeom.mlp`; only names and shapes matter.
        loss: one number a point.
        accuracy: one truth value a point; None for none.
        by: the optimizer.
        train: shapes and types of the training split.
        test: those of the test split; None without one.
        uses_keys: whether the order of the points is drawn.
        num_rounds: rounds of the permutation that draws it; see :mod:`jaxgeom.training.shuffle`.
        has_mask: whether the networks are padded.

    Raises:
        Unsupported: if the kernel cannot do it.
    """
    machine = library.machine()
    if machine is None:
        raise Unsupported("the engine is not built")
    if by.needs_loss:
        raise Unsupported("an optimizer that evaluates the loss")
    if plan.num_steps > MOST_STEPS:
        raise Unsupported("too many steps")
    layers = named_layers(params)
    biases = {"bias" in params[name] for name, *_ in layers}
    real, *others = {leaf.dtype for leaf in jax.tree.leaves(params)}
    if len(biases) > 1 or others or real not in (jnp.float32, jnp.float64):
        raise Unsupported("parameters that are neither float32 nor float64")
    splits = [train] if test is None else [train, test]

    graph, scalars = Graph(real), Scalars(real)
    optimizer = optimizer_code(graph, machine, scalars, optimizer_graph(graph, by, params))
    names = [activation for _, activation, _ in layers]
    if names[-1] != "maxout":  # what follows the last layer is part of the loss
        names[-1] = "linear"
    kinds = [{"linear": LINEAR, "relu": RELU, "maxout": MAXOUT}.get(name, PROGRAM) for name in names]
    activations = [
        activation_code(machine, scalars, *activation_graph(graph, name)) if kind == PROGRAM else (_EMPTY, 0)
        for name, kind in zip(names, kinds, strict=True)
    ]
    widths = [layers[0][-1].kernel.shape[-2]]
    widths += [layer.kernel.shape[-1] // num_pieces(name) for _, name, layer in layers]
    output = activation_function("linear" if kinds[-1] == MAXOUT else layers[-1][1])

    def of_point(**what: Any) -> PointGraph:
        return point_graph(graph, output=output, num_outputs=widths[-1], **what)

    def per_point(**what: Any) -> tuple[Code, int]:
        return point_code(machine, scalars, of_point(**what))

    of_step = of_point(function=loss, y=train.y, with_gradient=True)
    if not (plan.keeps_batch_losses or by.needs_value):
        of_step = of_step._replace(value=where_finite(graph, of_step.value))
    step_loss = point_code(machine, scalars, of_step)
    judged: list[tuple[Code, int]] = []
    for split in splits:
        for function in (loss, accuracy):
            judged.append(
                (_EMPTY, 0) if function is None else per_point(function=function, y=split.y, with_gradient=False)
            )
    judged += [(_EMPTY, 0)] * (4 - len(judged))

    start, before, after, rounds = lane_programs(machine, scalars, optimizer)
    schedule = vector_code.schedule_code(machine, scalars, optimizer.shared_state)
    codes = [optimizer.step, before, after, optimizer.start, start, step_loss[0], schedule.code]
    codes += [code for code, _ in (*judged, *activations)]
    for (summed, _), lane in zip(optimizer.sums, rounds, strict=True):
        codes += [summed, lane]
    temporaries = max(1, optimizer.num_temporaries, step_loss[1], *(num for _, num in (*judged, *activations)))
    carry = [scalars.place(node) for old, new, _ in optimizer.lane_state for node in (new, old)]
    if len(carry) // 2 > MOST_CARRIED:
        raise Unsupported("too many numbers in the optimizer's state")
    num_classes, own_names = max(optimizer.classes) + 1, _names(biases == {True})
    flat = jax.tree.unflatten(jax.tree.structure(params), list(range(len(optimizer.classes))))
    leaves = [flat[name][own] for name, *_ in layers for own in own_names]
    sums: list[int] = []
    for _, round_of_sums in optimizer.sums:
        sums.append(len(round_of_sums))
        for array, leaf, node in round_of_sums:
            sums += [array, leaves.index(leaf), scalars.place(node)]
    summed_arrays = [array for _, round_of_sums in optimizer.sums for array, *_ in round_of_sums]
    num_arrays = max([2 + optimizer.num_state + num_classes, *summed_arrays]) + 1
    every = {steps: steps.step if isinstance(steps, range) else 0 for steps in (plan.record_steps, plan.snapshot_steps)}
    listed = [] if isinstance(plan.snapshot_steps, range) else list(plan.snapshot_steps)
    places = [scalars.places.get(graph.input(name, LANE).number, -1) for name in (SHARE, VALUE)]
    if max(len(scalars.bits), temporaries, num_arrays) >= 2**16:
        raise Unsupported("too many numbers")
    sizes = (
        *(int(biases == {True}), plan.batch_size, plan.num_batches, plan.num_steps),
        *(every[plan.record_steps], len(plan.record_steps), every[plan.snapshot_steps], len(plan.snapshot_steps)),
        *(int(plan.keeps_batch_losses), int(test is not None), int(accuracy is not None)),
        *(num_rounds if uses_keys else 0, int(has_mask), len(optimizer.settings)),
        *(optimizer.num_state, num_classes, num_arrays, temporaries, *places),
    )
    arrays: dict[str, tuple[Any, Any]] = {
        "widths": (widths, np.int64),
        "kinds": (kinds, np.int64),
        "snapshot_steps": (listed, np.int64),
        "stop": ([math.nan if plan.stop_accuracy is None else plan.stop_accuracy], np.float64),
        "classes": ([optimizer.classes[leaf] for leaf in leaves], np.int64),
        "sums": (sums, np.int64),
        "code": (np.concatenate(codes).ravel(), np.int32),
        "code_sizes": ([len(code) for code in codes], np.int64),
        "scalars": (scalars.bits, scalars.word),
        "setting_at": ([scalars.place(node) for _, node in optimizer.settings], np.int64),
        "shared_slots": (schedule.slots, scalars.word),
        "shared_at": (schedule.targets, np.int64),
        "shared_from": (schedule.sources, np.int64),
        "shared_carry": (schedule.carry, np.int64),
        "lane_carry": (carry, np.int64),
    }
    attributes = tuple(
        (name, np.dtype(dtype).name, np.asarray(values, dtype).tobytes()) for name, (values, dtype) in arrays.items()
    )
    return NativeRun(
        sizes,
        attributes,
        tuple(which for which, _ in optimizer.settings),
        tuple(name for name, *_ in layers),
        biases == {True},
        real.name,
        plan.keeps_batch_losses,
        test is not None,
        accuracy is not None,
        len(plan.record_steps),
        len(plan.snapshot_steps),
        plan.num_steps,
        plan.batch_size,
        uses_keys and num_rounds > 0,
    )


_EMPTY: Code = np.zeros((0, 6), np.int32)


class NativeResults(NamedTuple):
    """What the kernel returns, of one network or with leading axes."""

    params: Params
    diverged_step: Array
    stopped_step: Array
    by_engine: Array
    """1 where networks shared vectors, 2 where each had them to itself, 0 from the general path."""
    records: Any
    """((loss, accuracy) on the training split, the same on the test split), each None if there is none."""
    batch_losses: Array | None
    snapshots: Params | None


def result_shapes(run: NativeRun, params: PyTree, leading: tuple[int, ...]) -> list[jax.ShapeDtypeStruct]:
    """Shapes of what the kernel returns, in its order, for parameters without leading axes."""
    leaves = [leaf.shape for leaf in run.leaves(params)]
    num_recorded = (1 + run.has_test) * (1 + run.has_accuracy) if run.num_records else 0
    real, integer = np.dtype(run.dtype), np.dtype(np.int32)
    shapes = [(shape, real) for shape in leaves] + [((), integer)] * 3
    shapes += [((run.num_records,), real)] * num_recorded
    shapes += [((run.num_steps,), real)] * run.keeps_batch_losses
    shapes += [((run.num_snapshots, *shape), real) for shape in leaves if run.num_snapshots]
    return [jax.ShapeDtypeStruct((*leading, *shape), dtype) for shape, dtype in shapes]


def named_results(run: NativeRun, results: Sequence[Array]) -> NativeResults:
    """The kernel's results by name."""
    each = iter(results)
    num_leaves = len(run.layers) * (1 + run.has_bias)
    params = run.named([next(each) for _ in range(num_leaves)])
    diverged_step, stopped_step, by_engine = (next(each) for _ in range(3))
    records: list[list[Array | None]] = [[None, None], [None, None]]
    for split in range(1 + run.has_test if run.num_records else 0):
        for column in range(1 + run.has_accuracy):
            records[split][column] = next(each)
    batch_losses = next(each) if run.keeps_batch_losses else None
    snapshots = run.named([next(each) for _ in range(num_leaves)]) if run.num_snapshots else None
    return NativeResults(
        params, diverged_step, stopped_step, by_engine, tuple(map(tuple, records)), batch_losses, snapshots
    )


def call_kernel(run: NativeRun, depth: int, given: Any, shapes: Sequence[jax.ShapeDtypeStruct]) -> Sequence[Array]:
    """The run, inside a program for CPUs.

    Args:
        run: what to do.
        depth: the number of leading axes of all arrays, along which they count networks or have length 1.
        given: initial parameters, keys, data, mask and settings, as in :mod:`jaxgeom.training.fit`.
        shapes: of the results.
    """
    real = np.dtype(run.dtype)

    def as_wide(array: Array) -> Array:
        return array.astype(real if jnp.issubdtype(array.dtype, jnp.floating) else f"i{real.itemsize}")

    arrays = [given.shuffle_keys] if run.uses_keys else []
    for split in [given.train, given.test] if run.has_test else [given.train]:
        arrays += [as_wide(split.x), as_wide(split.y)]
    arrays += run.leaves(given.params)
    arrays += [] if given.mask is None else run.leaves(given.mask)
    settings = (given.init_settings, given.update_settings)
    arrays += [as_wide(settings[is_update][place]) for is_update, place in run.settings]
    num = math.prod(shapes[0].shape[:depth])
    attributes = {name: np.frombuffer(data, dtype) for name, dtype, data in run.attributes}
    sizes = np.array([depth, *run.sizes, THREADS], np.int64)
    call = jax.ffi.ffi_call(library.train_target(num, run.batch_size, is_double=real == np.float64), shapes)
    return call(*arrays, sizes=sizes, **attributes)
