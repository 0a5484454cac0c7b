"""Runs of training by the compiled engine: what :func:`jaxgeom.fit` plans, as programs and sizes for its kernel.

The kernel (``engine/training.cc``) multiplies the layers of many networks at once. What is elementwise (the update of
the optimizer, the loss and its gradient, accuracies, activations) is traced, checked to be elementwise, and becomes a
program for its vector machine. Nothing is compiled, so that the first call takes no longer than the others.

:func:`native_run` says of what it cannot take why, with :class:`jaxgeom.training.scalar_graph.Unsupported`.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxgeom._typing import Params, PyTree
from jaxgeom.data.losses import OWN, PerPoint
from jaxgeom.engine import library
from jaxgeom.engine.library import Machine
from jaxgeom.networks.layers import named_layers
from jaxgeom.networks.models import activation_function
from jaxgeom.training import vector_code
from jaxgeom.training.optimizers import Hoisted
from jaxgeom.training.plan import Plan
from jaxgeom.training.scalar_graph import (
    CONSTANT,
    LANE,
    SHARED,
    STRIP,
    Graph,
    Node,
    Unsupported,
    cell,
    converted,
    dtype_of,
    interpret,
    shape_of,
)
from jaxgeom.training.vector_code import Code, Scalars

MOST_SNAPSHOTS = 2**22
"""Bytes of the parameters of all snapshots of a network, of which ``keep`` makes something smaller."""
MOST_STEPS = 2**31 - 2

LINEAR, RELU, PROGRAM = range(3)
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
    keeps_batch_losses: bool
    has_test: bool
    has_accuracy: bool
    num_records: int
    num_snapshots: int
    num_steps: int
    uses_keys: bool

    def leaves(self, params: PyTree) -> list[Any]:
        """The arrays of all layers, as the kernel takes them."""
        names = ("kernel", "bias") if self.has_bias else ("kernel",)
        return [params[layer][name] for layer in self.layers for name in names]

    def named(self, leaves: Sequence[Any]) -> Params:
        """The opposite."""
        names = ("kernel", "bias") if self.has_bias else ("kernel",)
        each = iter(leaves)
        return {layer: {name: next(each) for name in names} for layer in self.layers}


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
        loss, accuracy: one number a point.
        by: the optimizer.
        train, test: shapes and types.
        uses_keys: whether the order of the points is drawn; ``num_rounds`` is the number of its rounds.
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
    if len(biases) > 1 or any(leaf.dtype != jnp.float32 for leaf in jax.tree.leaves(params)):
        raise Unsupported("parameters that are not float32")
    splits = [train] if test is None else [train, test]
    for split in splits:
        if split.x.dtype != jnp.float32:
            raise Unsupported(f"points of type {split.x.dtype}")

    graph, scalars = Graph(), Scalars()
    optimizer = _optimizer(graph, machine, scalars, by, params)
    kinds, activations = _activations(graph, machine, scalars, [activation for _, activation, _ in layers[:-1]])
    num_outputs = layers[-1][-1].kernel.shape[-1]
    output = activation_function(layers[-1][1])
    if layers[-1][1] == "maxout":
        raise Unsupported("maxout units as outputs")
    per_point = functools.partial(_per_point, graph, machine, scalars, num_outputs, output)
    step_loss = per_point(loss, train.y, True)
    judged: list[tuple[Code, int]] = []
    for split in splits:
        judged.append(per_point(loss, split.y, False))
        judged.append((_EMPTY, 0) if accuracy is None else per_point(accuracy, split.y, False))
    judged += [(_EMPTY, 0)] * (4 - len(judged))

    lanes = _lane_programs(graph, machine, scalars, optimizer)
    schedule = vector_code.schedule_code(machine, scalars, optimizer.shared_state)
    codes = [optimizer.code, lanes[1], lanes[2], optimizer.start, lanes[0], step_loss[0], schedule.code]
    codes += [code for code, _ in judged] + [code for code, _ in activations] + [_EMPTY]
    temporaries = max(1, optimizer.num_temporaries, step_loss[1], *(num for _, num in (*judged, *activations)))
    carry = [scalars.place(node) for after, before in optimizer.lane_state for node in (after, before)]
    if len(carry) // 2 > 32:
        raise Unsupported("too many numbers in the optimizer's state")
    every = {steps: steps.step if isinstance(steps, range) else 0 for steps in (plan.record_steps, plan.snapshot_steps)}
    listed = [] if isinstance(plan.snapshot_steps, range) else list(plan.snapshot_steps)
    places = [scalars.places.get(graph.input(name, LANE).number, -1) for name in (_SHARE, _VALUE)]
    if max(len(scalars.bits), temporaries, 3 + optimizer.num_state) >= 2**16:
        raise Unsupported("too many numbers")
    sizes = (
        *(int(biases == {True}), plan.batch_size, plan.num_batches, plan.num_steps),
        *(every[plan.record_steps], len(plan.record_steps), every[plan.snapshot_steps], len(plan.snapshot_steps)),
        *(int(plan.keeps_batch_losses), int(test is not None), int(accuracy is not None)),
        *(num_rounds if uses_keys else 0, int(has_mask), len(optimizer.settings), optimizer.num_state, temporaries),
        *places,
    )
    widths = [layers[0][-1].kernel.shape[-2], *(layer.bias.shape[-1] for *_, layer in layers)]
    arrays: dict[str, tuple[Any, Any]] = {
        "widths": (widths, np.int64),
        "kinds": ([*kinds, LINEAR], np.int64),
        "snapshot_steps": (listed, np.int64),
        "stop": ([math.nan if plan.stop_accuracy is None else plan.stop_accuracy], np.float64),
        "code": (np.concatenate(codes).ravel(), np.int32),
        "code_sizes": ([len(code) for code in codes], np.int64),
        "scalars": (scalars.bits, np.int32),
        "setting_at": ([scalars.place(node) for _, node in optimizer.settings], np.int64),
        "shared_slots": (schedule.slots, np.int32),
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
        plan.keeps_batch_losses,
        test is not None,
        accuracy is not None,
        len(plan.record_steps),
        len(plan.snapshot_steps),
        plan.num_steps,
        uses_keys and num_rounds > 0,
    )


_EMPTY: Code = np.zeros((0, 6), np.int32)
_SHARE, _VALUE = ("share",), ("value",)


class _Optimizer(NamedTuple):
    code: Code
    start: Code
    """What sets the state before the first step."""
    num_temporaries: int
    num_state: int
    """Arrays of the state, each shaped like the parameters."""
    settings: list[tuple[tuple[bool, int], Node]]
    shared_state: list[tuple[Node, Node, Node]]
    """(before a step, after it, at the start)"""
    lane_state: list[tuple[Node, Node]]
    """(after a step, before it)"""
    lane_starts: list[tuple[Node, Node]]
    """(before the first step, what it is then)"""


def _optimizer(graph: Graph, machine: Machine, scalars: Scalars, by: Hoisted, params: Params) -> _Optimizer:
    """The optimizer's programs, which treat all parameters alike."""
    paths, _ = jax.tree_util.tree_flatten_with_path(params)
    state_paths, _ = jax.tree_util.tree_flatten_with_path(by.state)
    roles = [_role(path, leaf, paths) for path, leaf in state_paths]
    settings: list[tuple[tuple[bool, int], Node]] = []

    def constants(is_update: bool, values: Sequence[Any]) -> list[Any]:
        """Numbers that are known, and inputs for those that are not."""
        own: list[Any] = []
        for place, value in enumerate(values):
            if isinstance(value, jax.core.Tracer):
                if value.shape != () or value.dtype.itemsize != 4:
                    raise Unsupported(f"a traced setting of shape {value.shape} and type {value.dtype}")
                node = graph.input(("setting", is_update, place), LANE, dtype_of(value.dtype))
                settings.append(((is_update, place), node))
                own.append(cell(node))
            else:
                own.append(value)
        return own

    each = range(len(paths))
    weights = [cell(graph.input(("weight", leaf), STRIP)) for leaf in each]
    gradients = [cell(graph.input(("gradient", leaf), STRIP)) for leaf in each]
    consts = constants(False, by.init_settings)
    starts = [array[()] for array in interpret(graph, by.init_jaxpr, consts, weights, is_alike=True)]
    consts = constants(True, by.update_settings)
    kinds = {
        prefix: max(SHARED, start.kind) for (prefix, leaf), start in zip(roles, starts, strict=True) if leaf is None
    }
    while True:  # numbers of the state that depend on what differs between networks differ themselves
        state = [
            cell(graph.input(("number", prefix, kinds[prefix]), kinds[prefix], dtype_of(aval.dtype)))
            if leaf is None
            else cell(graph.input(("state", prefix, leaf), STRIP, dtype_of(aval.dtype)))
            for (prefix, leaf), (_, aval) in zip(roles, state_paths, strict=True)
        ]
        value = cell(graph.input(_VALUE, LANE))
        results = interpret(graph, by.update_jaxpr, consts, [*gradients, *state, *weights, value], is_alike=True)
        after = [array[()] for array in results]
        news, states = after[: len(paths)], after[len(paths) :]
        grown = {
            prefix: new.kind
            for (prefix, leaf), new in zip(roles, states, strict=True)
            if leaf is None and new.kind > kinds[prefix]
        }
        if not grown:
            break
        kinds |= grown
    if STRIP in kinds.values():
        raise Unsupported("a number in the optimizer's state that depends on single parameters")

    prefixes = list(dict.fromkeys(prefix for prefix, leaf in roles if leaf is not None))
    groups = [list(enumerate(news))]
    for prefix in prefixes:
        for nodes in (starts, states):
            groups.append([(role[1], node) for role, node in zip(roles, nodes, strict=True) if role[0] == prefix])  # type: ignore[misc]
    known: list[dict[int, Any]] = [{} for _ in paths]
    for group in groups:
        if len({shape_of(node, leaf, known[leaf]) for leaf, node in group}) > 1 or len(group) != len(paths):
            raise Unsupported("an optimizer that treats some parameters differently")

    def of_first(nodes: Sequence[Node]) -> list[Node]:
        return [nodes[roles.index((prefix, 0))] for prefix in prefixes]

    inputs = [None, ("weight", 0), ("gradient", 0), *(("state", prefix, 0) for prefix in prefixes)]
    outputs = [(news[0], 0), *((node, 3 + k) for k, node in enumerate(of_first(states)))]
    code, most = vector_code.strip_code(machine, scalars, inputs, outputs)
    start, most_at_start = vector_code.strip_code(
        machine, scalars, inputs, [(node, 3 + k) for k, node in enumerate(of_first(starts))]
    )
    numbers: list[tuple[Node, Node, Node]] = [
        (before.item(), new, initial)
        for (_, leaf), before, new, initial in zip(roles, state, states, starts, strict=True)
        if leaf is None
    ]
    return _Optimizer(
        code,
        start,
        max(most, most_at_start),
        len(prefixes),
        settings,
        [each for each in numbers if each[0].kind == SHARED],
        [(new, before) for before, new, _ in numbers if before.kind == LANE],
        [(before, initial) for before, _, initial in numbers if before.kind == LANE],
    )


def _role(path: tuple, leaf: Any, paths: Sequence[tuple[tuple, Any]]) -> tuple[str, int | None]:
    """Which part of the optimizer's state a leaf belongs to, and to which parameter; None for a single number."""
    for index, (own, param) in enumerate(paths):
        if path[-len(own) :] == own and leaf.shape == param.shape:
            return jax.tree_util.keystr(path[: -len(own)]), index
    if leaf.shape == ():
        return jax.tree_util.keystr(path), None
    raise Unsupported(f"an optimizer whose state has an array of shape {leaf.shape}")


def _lane_programs(graph: Graph, machine: Machine, scalars: Scalars, optimizer: _Optimizer) -> tuple[Code, Code, Code]:
    """The programs of what is one number a network: of what stays the same in all steps, and of every step before and
    after its loss is known."""
    for _, node in optimizer.settings:
        scalars.place(node)
    for pair in (*optimizer.lane_state, *optimizer.lane_starts):
        for node in pair:
            scalars.place(node)
    value = graph.input(_VALUE, LANE).number
    order = [n for n in vector_code.in_order(list(scalars.nodes)) if n.kind == LANE and n.op != "INPUT"]
    fixed = {node.number for _, node in optimizer.settings}
    late = {value}
    for node in order:
        if all(arg.kind == CONSTANT or arg.number in fixed for arg in node.args):
            fixed.add(node.number)
        if any(arg.number in late for arg in node.args):
            late.add(node.number)
    parts: list[list[Node]] = [[], [], []]
    for node in order:
        parts[0 if node.number in fixed else 2 if node.number in late else 1].append(node)
    start, before, after = (vector_code.lane_code(machine, scalars, part) for part in parts)
    return np.concatenate([start, vector_code.copy_code(machine, scalars, optimizer.lane_starts)]), before, after


def _activations(
    graph: Graph, machine: Machine, scalars: Scalars, names: Sequence[str]
) -> tuple[list[int], list[tuple[Code, int]]]:
    """What follows the hidden layers: its kind, and the program that replaces z by the activation, beside its slope."""
    kinds: list[int] = []
    programs: list[tuple[Code, int]] = []
    for name in names:
        kinds.append({"linear": LINEAR, "relu": RELU}.get(name, PROGRAM))
        programs.append((_EMPTY, 0))
        if kinds[-1] != PROGRAM:
            continue
        if name == "maxout":
            raise Unsupported("maxout units")
        function = activation_function(name)

        def both(z: Array, function: Callable = function) -> tuple[Array, Array]:
            h, pull_back = jax.vjp(function, z)
            return h, pull_back(jnp.ones_like(h))[0]

        closed = jax.make_jaxpr(both)(jax.ShapeDtypeStruct((), jnp.float32))
        z = ("pre-activation", 0)
        h, slope = interpret(graph, closed.jaxpr, closed.consts, [cell(graph.input(z, STRIP))], is_alike=False)
        programs[-1] = vector_code.strip_code(machine, scalars, [z, None], [(h[()], 0), (slope[()], 1)])
    return kinds, programs


def _per_point(
    graph: Graph,
    machine: Machine,
    scalars: Scalars,
    num_outputs: int,
    output: Callable[[Array], Array],
    function: PerPoint,
    y: Any,
    with_gradient: bool,
) -> tuple[Code, int]:
    """The program of a loss or an accuracy, or of a loss times the share of its point, and its gradient instead of the
    outputs."""
    if jnp.issubdtype(y.dtype, jnp.floating):
        dtype = dtype_of(y.dtype)
    elif y.dtype == bool or np.dtype(y.dtype).itemsize <= 4 or function in OWN:
        dtype = "i"
    else:
        raise Unsupported(f"targets of type {y.dtype}")
    num_targets = math.prod(y.shape[1:])

    def value(outputs: Array, y: Array) -> Array:
        return function(output(outputs), y)

    def value_and_gradient(outputs: Array, y: Array, share: Array) -> tuple[Array, Array]:
        losses, pull_back = jax.vjp(lambda outputs: value(outputs, y), outputs)
        return losses * share, pull_back(jnp.full_like(losses, share))[0]

    def nodes_of(num_points: int, with_gradient: bool) -> list[np.ndarray]:
        outputs = np.empty((num_points, num_outputs), object)
        targets = np.empty((num_points, num_targets), object)
        for p, j in np.ndindex(outputs.shape):
            outputs[p, j] = graph.input(("output", j, p), STRIP)
        for p, j in np.ndindex(targets.shape):
            node = graph.input(("target", dtype, j, p), STRIP, dtype)
            targets[p, j] = converted(graph, node, "b") if y.dtype == bool else node
        shapes = [
            jax.ShapeDtypeStruct(outputs.shape, jnp.float32),
            jax.ShapeDtypeStruct((num_points, *y.shape[1:]), y.dtype),
        ]
        arrays = [outputs, targets.reshape(num_points, *y.shape[1:])]
        if with_gradient:
            shapes, arrays = (
                [*shapes, jax.ShapeDtypeStruct((), jnp.float32)],
                [*arrays, cell(graph.input(_SHARE, LANE))],
            )
        try:
            closed = jax.make_jaxpr(value_and_gradient if with_gradient else value)(*shapes)
        except Exception as error:  # a function for one number of points only
            raise Unsupported(f"a loss or an accuracy that is not for any number of points ({error})") from error
        return interpret(graph, closed.jaxpr, closed.consts, arrays, is_alike=False)

    # Neither the other points nor their number matter.
    both = nodes_of(2, with_gradient)
    values = nodes_of(2, False)[0] if with_gradient else both[0]
    if nodes_of(3, False)[0][0] is not values[0]:
        raise Unsupported("a loss or an accuracy of a point that depends on the number of points")
    known: list[dict[int, Any]] = [{}, {}]
    for first, second in zip(
        *[[node for array in both for node in np.atleast_1d(array[p])] for p in (0, 1)], strict=True
    ):
        if shape_of(first, 0, known[0]) != shape_of(second, 1, known[1]):
            raise Unsupported("a loss or an accuracy that treats points differently")

    inputs = [
        None,
        *(("target", dtype, j, 0) for j in range(num_targets)),
        *(("output", j, 0) for j in range(num_outputs)),
    ]
    outputs = [(converted(graph, both[0][0], "f"), 0)]
    if with_gradient:
        outputs += [(both[1][0, j], 1 + num_targets + j) for j in range(num_outputs)]
    return vector_code.strip_code(machine, scalars, inputs, outputs)


class NativeResults(NamedTuple):
    """What the kernel returns, of one network or with leading axes."""

    params: Params
    diverged_step: Array
    stopped_step: Array
    records: Any
    """((loss, accuracy) on the training split, the same on the test split), each None if there is none."""
    batch_losses: Array | None
    snapshots: Params | None


def result_shapes(run: NativeRun, params: PyTree, leading: tuple[int, ...]) -> list[jax.ShapeDtypeStruct]:
    """Shapes of what the kernel returns, in its order, for parameters without leading axes."""
    leaves = [leaf.shape for leaf in run.leaves(params)]
    num_recorded = (1 + run.has_test) * (1 + run.has_accuracy) if run.num_records else 0
    shapes = [(shape, jnp.float32) for shape in leaves] + [((), jnp.int32)] * 2
    shapes += [((run.num_records,), jnp.float32)] * num_recorded
    shapes += [((run.num_steps,), jnp.float32)] * run.keeps_batch_losses
    shapes += [((run.num_snapshots, *shape), jnp.float32) for shape in leaves if run.num_snapshots]
    return [jax.ShapeDtypeStruct((*leading, *shape), dtype) for shape, dtype in shapes]


def named_results(run: NativeRun, results: Sequence[Array]) -> NativeResults:
    """The kernel's results by name."""
    each = iter(results)
    num_leaves = len(run.layers) * (1 + run.has_bias)
    params = run.named([next(each) for _ in range(num_leaves)])
    diverged_step, stopped_step = next(each), next(each)
    records = [[None, None], [None, None]]
    for split in range(1 + run.has_test if run.num_records else 0):
        for column in range(1 + run.has_accuracy):
            records[split][column] = next(each)  # type: ignore[call-overload]
    batch_losses = next(each) if run.keeps_batch_losses else None
    snapshots = run.named([next(each) for _ in range(num_leaves)]) if run.num_snapshots else None
    return NativeResults(params, diverged_step, stopped_step, tuple(map(tuple, records)), batch_losses, snapshots)


def call_kernel(run: NativeRun, depth: int, given: Any, shapes: Sequence[jax.ShapeDtypeStruct]) -> Sequence[Array]:
    """The run, inside a program for CPUs.

    Args:
        run: what to do.
        depth: the number of leading axes of all arrays, along which they count networks or have length 1.
        given: initial parameters, keys, data, mask and settings, as in :mod:`jaxgeom.training.fit`.
        shapes: of the results.
    """
    arrays = [given.shuffle_keys] if run.uses_keys else []
    for split in [given.train, given.test] if run.has_test else [given.train]:
        y = split.y
        arrays += [split.x, y if y.dtype == jnp.float32 else y.astype(jnp.int32)]
    arrays += run.leaves(given.params)
    arrays += [] if given.mask is None else run.leaves(given.mask)
    settings = (given.init_settings, given.update_settings)
    arrays += [settings[is_update][place] for is_update, place in run.settings]
    num = math.prod(shapes[0].shape[:depth])
    attributes = {name: np.frombuffer(data, dtype) for name, dtype, data in run.attributes}
    sizes = np.array([depth, *run.sizes, 0], np.int64)
    call = jax.ffi.ffi_call(library.train_target(num), shapes)
    return call(*arrays, sizes=sizes, **attributes)
