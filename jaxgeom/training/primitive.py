"""The whole run of a network as one operation of JAX, which ``vmap`` turns into one for many networks.

On CPUs the operation is a call of the compiled engine (:mod:`jaxgeom.training.native`); for other devices it is
replaced, when a program is compiled for them, by the general computation, which is traced only then, or by the
persistent kernel (:mod:`jaxgeom.training.persistent`), if that was asked for.

All arrays have ``depth`` leading axes, one for each ``vmap``, the outermost first: as long as there are networks, or of
length 1 for what these share.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import batching, mlir
from jaxtyping import Array

from jaxgeom._typing import PyTree
from jaxgeom.host.devices import pretended
from jaxgeom.training.native import NativeRun, call_kernel, result_shapes

MOST_PARAMETERS = 2**21
"""Of networks that the engine trains: with more, XLA's products are faster, which copy weights into blocks that stay in
cache. On one core, a step of 2-2048-2048-1 with 32 points took the engine 18.5 ms and XLA 15.5, one of 2-1024-1024-1
2.6 and 3.0, with 256 points 17.0 and 18.1. The number of networks does not matter: a network's result must not depend
on it."""


class Work(NamedTuple):
    """What the operation does; equal to another if it computes the same."""

    run: NativeRun
    structure: Any
    """Of what its arrays are the leaves of."""
    general: Callable[[Any], list[Array]]
    """The same results of one network without the engine, from those leaves in their structure."""
    persistent: Callable[..., Sequence[Array]] | None = None
    """``(depth, given, shapes, platform)``: the same by the persistent kernel, on accelerators; None if it was not
    asked for."""

    def _key(self) -> tuple[Any, ...]:
        return self.run, self.structure, self.persistent is None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Work) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


def bind(work: Work, given: PyTree) -> list[Array]:
    """The results of a run (:func:`jaxgeom.training.native.result_shapes`) of one network."""
    result: list[Array] = _primitive().bind(*map(jnp.asarray, jax.tree.leaves(given)), work=work, depth=0)
    return result


class Amount(NamedTuple):
    """Multiply-adds forward (parameters times points) of the runs in a trace; 0 if there are none."""

    total: int
    of_step: int
    """Of one step of the largest."""


def amount_of_work(jaxpr: Any) -> Amount:
    """How much there is to compute in all such operations of a trace."""
    total = of_step = 0
    for equation in jaxpr.eqns:
        if equation.primitive is _primitive():
            work, depth = equation.params["work"], equation.params["depth"]
            arrays = [variable.aval for variable in equation.invars]
            num_params = sum(leaf.size for leaf in jax.tree.leaves(_params(arrays, work, depth)))
            step = num_params * work.run.batch_size * math.prod(_leading(arrays, depth))
            total, of_step = total + step * work.run.num_steps, max(of_step, step)
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(inner):
                amount = amount_of_work(getattr(inner, "jaxpr", inner))
                total, of_step = total + amount.total * equation.params.get("length", 1), max(of_step, amount.of_step)
    return Amount(total, of_step)


def _is_jaxpr(item: Any) -> bool:
    return hasattr(item, "eqns") or hasattr(item, "jaxpr")


@functools.cache
def _primitive() -> Any:
    from jax.extend.core import Primitive  # imports Pallas, and takes half as long to import as all of jaxgeom

    primitive = Primitive("jaxgeom_train")
    primitive.multiple_results = True

    def batched(
        arrays: Sequence[Array], axes: Sequence[int | None], *, work: Work, depth: int
    ) -> tuple[list[Array], list[int]]:
        moved = [
            jnp.expand_dims(array, 0) if axis is None else jnp.moveaxis(array, axis, 0)
            for array, axis in zip(arrays, axes, strict=True)
        ]
        results = primitive.bind(*moved, work=work, depth=depth + 1)
        return results, [0] * len(results)

    def evaluated(*arrays: Array, work: Work, depth: int) -> list[Array]:
        with jax.disable_jit(False):  # outside of a program, it would be evaluated for evermore
            return _compiled(work, depth)(*arrays)

    primitive.def_impl(evaluated)
    primitive.def_abstract_eval(_abstract)
    batching.primitive_batchers[primitive] = batched
    mlir.register_lowering(primitive, mlir.lower_fun(_in_general, multiple_results=True))
    mlir.register_lowering(primitive, mlir.lower_fun(_by_engine, multiple_results=True), platform="cpu")
    for platform in ("cuda", "rocm", "tpu"):
        lowered = functools.partial(_on_accelerator, platform=platform)
        mlir.register_lowering(primitive, mlir.lower_fun(lowered, multiple_results=True), platform=platform)
    return primitive


@functools.lru_cache(maxsize=64)
def _compiled(work: Work, depth: int) -> Callable[..., list[Array]]:
    return jax.jit(lambda *arrays: _primitive().bind(*arrays, work=work, depth=depth))


def _leading(arrays: Sequence[Any], depth: int) -> tuple[int, ...]:
    """Numbers of networks along the leading axes."""
    return np.broadcast_shapes(*[array.shape[:depth] for array in arrays])


def _params(arrays: Sequence[Any], work: Work, depth: int) -> PyTree:
    """Shapes of the parameters of one network."""
    of_one = [jax.ShapeDtypeStruct(array.shape[depth:], array.dtype) for array in arrays]
    return jax.tree.unflatten(work.structure, of_one).params


def _shapes(arrays: Sequence[Any], work: Work, depth: int) -> list[jax.ShapeDtypeStruct]:
    return result_shapes(work.run, _params(arrays, work, depth), _leading(arrays, depth))


def _abstract(*arrays: Any, work: Work, depth: int) -> list[Any]:
    return [jax.core.ShapedArray(each.shape, each.dtype) for each in _shapes(arrays, work, depth)]


def _by_engine(*arrays: Array, work: Work, depth: int) -> Sequence[Array]:
    """By the engine, unless the networks are too large for it."""
    if pretended() not in (None, "cpu"):
        return _on_accelerator(*arrays, work=work, depth=depth, platform="cpu")
    if sum(leaf.size for leaf in jax.tree.leaves(_params(arrays, work, depth))) > MOST_PARAMETERS:
        return _in_general(*arrays, work=work, depth=depth, one_by_one=True)
    given = jax.tree.unflatten(work.structure, arrays)
    return call_kernel(work.run, depth, given, _shapes(arrays, work, depth))


def _on_accelerator(*arrays: Array, work: Work, depth: int, platform: str) -> Sequence[Array]:
    """By the persistent kernel, if that was asked for; on CPUs in Pallas' interpreter."""
    if work.persistent is None:
        return _in_general(*arrays, work=work, depth=depth)
    given = jax.tree.unflatten(work.structure, arrays)
    shapes = _shapes(arrays, work, depth)
    return work.persistent(depth, given, shapes, platform)


def _in_general(*arrays: Array, work: Work, depth: int, one_by_one: bool = False) -> list[Array]:
    """Without the engine: a ``vmap`` for each leading axis, or else a loop, where all cores work on a network."""
    if depth == 0:
        return work.general(jax.tree.unflatten(work.structure, arrays))
    (size, *_) = _leading(arrays, depth)
    is_batched = [array.shape[0] == size for array in arrays]
    own = [array if batched else array[0] for array, batched in zip(arrays, is_batched, strict=True)]
    inner = functools.partial(_in_general, work=work, depth=depth - 1, one_by_one=one_by_one)
    if not one_by_one:
        return jax.vmap(inner, in_axes=tuple(0 if batched else None for batched in is_batched), axis_size=size)(*own)

    def member(index: Array) -> list[Array]:
        return inner(*[array[index] if batched else array for array, batched in zip(own, is_batched, strict=True)])

    results: list[Array] = jax.lax.map(member, jnp.arange(size))
    return results
