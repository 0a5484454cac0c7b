"""Runs of training by one kernel on an accelerator, which keeps each network on chip for the whole run (Pallas).

A program of XLA's reads and writes all parameters at every step; with networks of a few numbers, that is what takes its
time. Here a network is a lane of a kernel: each of its parameters is a register, and memory is met for points, records
and snapshots only. The kernel is written out weight by weight (:mod:`jaxgeom.training.lane_network`), so that it suits
networks of up to about a hundred parameters.

:func:`persistent_run` says of what the kernel cannot take why, with
:class:`jaxgeom.training.scalar_graph.Unsupported`.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxgeom._typing import MATRIX, Params
from jaxgeom.data.losses import PerPoint
from jaxgeom.networks.layers import named_layers
from jaxgeom.networks.models import activation_function
from jaxgeom.training.lane_graph import OPERATIONS, Arithmetic
from jaxgeom.training.lane_kernel import Inputs, Judged, LaneRun, LaneSplit, Outputs, lane_kernel
from jaxgeom.training.lane_network import lane_layers, places_of
from jaxgeom.training.lane_step import lane_optimizer
from jaxgeom.training.native import NativeRun, Split
from jaxgeom.training.optimizer_graph import optimizer_graph
from jaxgeom.training.optimizers import Hoisted
from jaxgeom.training.plan import Plan
from jaxgeom.training.point_graph import SHARE, PointGraph, point_graph
from jaxgeom.training.scalar_graph import LANE, SHARED, Graph, Unsupported

MOST_PARAMETERS = 100
"""Of a network, all of which are written out: with 81 of them, a compiler takes some seconds."""
MOST_REGISTERS = 200
"""Parameters, gradients and optimizer state that are in registers, of the 255 that a thread has; with more, the state
is in memory, which caches hold."""

_OF_SCALARS = {"INPUT", "ADD", "SUB", "MUL", "DIV", "NEG", "MAX", "MIN", "SELECT", "SQUARE", "CVT", "CVT_I", "FLOOR"}
_OF_SCALARS |= {"EQ", "NE", "LT", "LE", "GT", "GE", "AND", "OR", "NOT", "COPY", "ABS", "SIGN"}
_OF_SCALARS |= {f"{name}_I" for name in _OF_SCALARS} | {"DIV_I", "REM_I"}
"""Operations that the scalar unit of a TPU has."""


class Shape(NamedTuple):
    """How a kernel is spread over a device."""

    lanes: int
    """Networks of a block."""
    warps: int | None
    """Of a block, on GPUs."""
    multiply_add: str | None = None
    """The instruction of the device; None where compilers find it by themselves."""
    has_scalar_memory: bool = False
    """Whether numbers that lanes share are in a memory of their own."""


SHAPES = {
    "cuda": Shape(32, 1, "fma.rn.f32 $0, $1, $2, $3;"),
    "rocm": Shape(64, 1),
    "tpu": Shape(1024, None, has_scalar_memory=True),
    "cpu": Shape(8, None),
}
"""One warp a block, so that even 4,096 networks reach all of a hundred multiprocessors. On CPUs, where
:func:`jaxgeom.host.devices.as_platform` pretends to be an accelerator, Pallas interprets the kernel."""


def persistent_run(
    plan: Plan,
    params: Params,
    loss: PerPoint,
    accuracy: PerPoint | None,
    by: Hoisted,
    train: Split,
    test: Split | None,
) -> LaneRun:
    """The run of one network as the kernel does it; the arguments are those of
    :func:`jaxgeom.training.native.native_run`, which has taken them.

    Raises:
        Unsupported: if the kernel cannot do it.
    """
    num_params = sum(leaf.size for leaf in jax.tree.leaves(params))
    if num_params > MOST_PARAMETERS:
        raise Unsupported(f"a network of {num_params} parameters")
    graph = Graph()
    layers = lane_layers(graph, params)
    optimizer = optimizer_graph(graph, by, params)
    _, last, _ = named_layers(params)[-1]
    output = activation_function("linear" if last == "maxout" else last)
    num_outputs = layers[-1].kernel.shape[1] // (2 if last == "maxout" else 1)

    def point(function: PerPoint, split: Split, with_gradient: bool) -> PointGraph:
        return point_graph(graph, function, output, num_outputs, split.y, with_gradient=with_gradient)

    def judged(split: Split) -> Judged:
        return Judged(point(loss, split, False), None if accuracy is None else point(accuracy, split, False))

    step_loss = point(loss, train, True)
    all_judged = tuple(judged(split) for split in (train, test) if split is not None)
    missing = {node.op for node in graph.nodes.values()} - {*OPERATIONS, "INPUT", "SUM", "CONST"}
    if missing:
        raise Unsupported(f"the operation {min(missing).lower()} on GPUs")
    functions = {node.op for node in graph.nodes.values() if node.kind == SHARED} - _OF_SCALARS
    return LaneRun(
        plan,
        layers,
        lane_optimizer(graph, optimizer, jax.tree.leaves(places_of(params))),
        step_loss,
        graph.input(SHARE, LANE),
        all_judged,
        num_params,
        (2 + len(optimizer.prefixes)) * num_params > MOST_REGISTERS,
        tuple(f"{name.lower()} of the step" for name in sorted(functions)),
    )


def call_lane_kernel(
    run: LaneRun, native: NativeRun, depth: int, given: Any, shapes: Sequence[jax.ShapeDtypeStruct], platform: str
) -> Sequence[Array]:
    """The run, inside a program for an accelerator; the other arguments are those of
    :func:`jaxgeom.training.native.call_kernel`, of which it returns the results.

    Raises:
        ValueError: on TPUs for minibatches of a random order, since points cannot be looked up there, and for functions
            of single numbers, such as the powers in Adam, which their scalar units lack.
    """
    if platform == "tpu" and (native.uses_keys or run.shared_functions):
        what = " and ".join(["minibatches in a random order"] * native.uses_keys + list(run.shared_functions))
        raise ValueError(
            f"persistent=True trains on TPUs in the order of the points and without functions of the step, but {what} "
            "were asked for. Use full batches or shuffle=False, SGD or momentum with one rate, or persistent=False."
        )
    leading = shapes[0].shape[:depth]
    num, shape = math.prod(leading), SHAPES[platform]
    num_padded = -(-num // shape.lanes) * shape.lanes

    def rows(array: Array) -> Array:
        """A row of lanes for every number of an array, padded with copies of the last network."""
        own = jnp.broadcast_to(array, (*leading, *array.shape[depth:])).reshape(num, -1)
        return jnp.pad(own, ((0, num_padded - num), (0, 0)), mode="edge").T

    def split_of(data: Any) -> LaneSplit:
        return LaneSplit(*(_numbers_first(array, depth, rows) for array in data))

    def joined(params: Params) -> Array:
        return jnp.concatenate([rows(leaf) for leaf in jax.tree.leaves(params)])

    settings = (given.init_settings, given.update_settings)
    inputs = Inputs(
        joined(given.params),
        rows(given.shuffle_keys) if native.uses_keys else None,
        tuple(split_of(split) for split in (given.train, given.test) if split is not None),
        None if given.mask is None else joined(jax.tree.map(lambda leaf: leaf.astype(jnp.int32), given.mask)),
        [rows(settings[is_update][place]) for is_update, place in native.settings],
        _snapshot_places(run.plan) if native.num_snapshots else None,
    )
    num_recorded = sum(1 + (judged.accuracy is not None) for judged in run.judged) if native.num_records else 0
    num_state = run.num_params * len(run.optimizer.graph.prefixes)

    # One block more than there are: with rows as long as those of the inputs, a compiler would keep the offset of every
    # row from the first loads to the last stores, which costs 2-20-1 six registers more than a thread has.
    num_out = num_padded + shape.lanes

    def floats(*sizes: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((*sizes, num_out), jnp.float32)

    step = jax.ShapeDtypeStruct((1, num_out), jnp.int32)
    outputs = Outputs(
        floats(run.num_params),
        step,
        step,
        (floats(native.num_records),) * num_recorded,
        floats(native.num_steps + 1) if native.keeps_batch_losses else None,
        floats(native.num_snapshots, run.num_params) if native.num_snapshots else None,
        floats(run.num_params) if run.is_state_in_memory else None,
        floats(num_state) if run.is_state_in_memory else None,
    )
    found = _call(run, inputs, outputs, shape, num_padded // shape.lanes, is_interpreted=platform == "cpu")
    leaves = jax.tree.leaves(given.params)
    ends = np.cumsum([leaf.size // math.prod(leaf.shape[:depth]) for leaf in leaves])[:-1]

    def params_of(numbers: Array) -> list[Array]:
        structure = jax.tree.structure(given.params)
        return native.leaves(jax.tree.unflatten(structure, jnp.split(numbers, ends, axis=-2)))

    results = [*params_of(found.params), found.diverged_step, found.stopped_step, jnp.ones((1, num_out), jnp.int32)]
    results += found.records
    results += [found.batch_losses[:-1]] if native.keeps_batch_losses else []
    results += params_of(found.snapshots) if native.num_snapshots else []
    return [
        jnp.moveaxis(array[..., :num], -1, 0).reshape(each.shape) for array, each in zip(results, shapes, strict=True)
    ]


def _numbers_first(array: Array, depth: int, rows: Any) -> Array:
    """Points or targets, numbers first: (numbers, points), or with lanes behind where each network has its own."""
    num_points = array.shape[depth]
    dtype = jnp.float32 if jnp.issubdtype(array.dtype, jnp.floating) else jnp.int32
    array = array.astype(dtype)
    if math.prod(array.shape[:depth]) == 1:
        return array.reshape(num_points, -1).T
    own = rows(array)
    return jnp.moveaxis(own.reshape(num_points, -1, own.shape[-1]), 0, 1)


def _snapshot_places(plan: Plan) -> Array:
    places = np.full((1, plan.num_steps + 1), -1, np.int32)
    places[0, np.asarray(plan.snapshot_steps)] = np.arange(len(plan.snapshot_steps))
    return jnp.asarray(places)


def _call(
    run: LaneRun, inputs: Inputs, outputs: Outputs, shape: Shape, num_blocks: int, is_interpreted: bool
) -> Outputs:
    """The kernel on blocks of lanes."""
    from jax.experimental import pallas as pl  # takes half as long to import as all of jaxgeom

    def whole(array: Any) -> Any:
        return pl.BlockSpec(array.shape, lambda _: (0,) * array.ndim, **_of_scalars(shape))

    def blocks(array: Any) -> Any:
        return pl.BlockSpec((*array.shape[:-1], shape.lanes), lambda block: (*(0,) * (array.ndim - 1), block))

    splits = jax.tree.map(lambda array: whole(array) if array.ndim == MATRIX else blocks(array), inputs.splits)
    in_specs = jax.tree.map(blocks, inputs)._replace(
        splits=splits, snapshot_places=jax.tree.map(whole, inputs.snapshot_places)
    )
    leaves, structure = jax.tree.flatten(inputs)
    of_outputs, out_structure = jax.tree.flatten(outputs)

    def jaxgeom_persistent(*references: Any) -> None:
        own = jax.tree.unflatten(structure, references[: len(leaves)])
        lane_kernel(
            run._replace(arithmetic=_arithmetic(shape)),
            own,
            jax.tree.unflatten(out_structure, references[len(leaves) :]),
        )

    results = pl.pallas_call(
        jaxgeom_persistent,
        grid=(num_blocks,),
        in_specs=jax.tree.leaves(in_specs),
        out_specs=[blocks(each) for each in of_outputs],
        out_shape=of_outputs,
        interpret=is_interpreted,
        compiler_params=_compiler_params(shape),
    )(*leaves)
    found: Outputs = jax.tree.unflatten(out_structure, results)
    return found


def _arithmetic(shape: Shape) -> Arithmetic:
    instruction = shape.multiply_add
    if instruction is None:
        return Arithmetic()
    from jax.experimental.pallas import triton

    def multiply_add(*numbers: Any) -> Any:
        arrays = jnp.broadcast_arrays(*map(jnp.float32, numbers))
        like = jax.ShapeDtypeStruct(arrays[0].shape, jnp.float32)
        (result,) = triton.elementwise_inline_asm(
            instruction, args=arrays, constraints="=f,f,f,f", pack=1, result_shape_dtypes=[like]
        )
        return result

    return Arithmetic(multiply_add)


def _of_scalars(shape: Shape) -> dict[str, Any]:
    if not shape.has_scalar_memory:
        return {}
    from jax.experimental.pallas import tpu

    return {"memory_space": tpu.SMEM}


def _compiler_params(shape: Shape) -> Any:
    if shape.warps is None:
        return None
    from jax.experimental.pallas import triton

    return triton.CompilerParams(num_warps=shape.warps, num_stages=1)
