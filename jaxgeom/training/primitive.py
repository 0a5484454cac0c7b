"""The whole run of a network as one operation of JAX, which ``vmap`` turns into one for many networks.

On CPUs the operation is a call of the compiled engine (:mod:`jaxgeom.training.native`); for other devices it is
replaced, when a program is compiled for them, by the general computation, which is traced only then.

All arrays have ``depth`` leading axes, one for each ``vmap``, the outermost first: as long as there are networks, or of
length 1 for what these share.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir
from jaxtyping import Array

from jaxgeom._typing import PyTree
from jaxgeom.training.native import NativeRun, call_kernel, result_shapes


class Work(NamedTuple):
    """What the operation does; equal to another if it computes the same."""

    run: NativeRun
    structure: Any
    """Of what its arrays are the leaves of."""
    general: Callable[[Any, int | None, Any], list[Array]]
    """``general(given, size, is_batched)``: the same results without the engine, of a population, or of one network for
    a size of None. ``is_batched`` says of which leaves."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Work) and (self.run, self.structure) == (other.run, other.structure)

    def __hash__(self) -> int:
        return hash((self.run, self.structure))


def bind(work: Work, given: PyTree) -> list[Array]:
    """The results of a run (:func:`jaxgeom.training.native.result_shapes`) of one network."""
    return train_p.bind(*map(jnp.asarray, jax.tree.leaves(given)), work=work, depth=0)


train_p = Primitive("jaxgeom_train")
train_p.multiple_results = True


def _leading(arrays: Sequence[Any], depth: int) -> tuple[int, ...]:
    """Numbers of networks along the leading axes."""
    return np.broadcast_shapes(*[array.shape[:depth] for array in arrays])


def _shapes(arrays: Sequence[Any], work: Work, depth: int) -> list[jax.ShapeDtypeStruct]:
    of_one = [jax.ShapeDtypeStruct(array.shape[depth:], array.dtype) for array in arrays]
    params = jax.tree.unflatten(work.structure, of_one).params
    return result_shapes(work.run, params, _leading(arrays, depth))


@train_p.def_abstract_eval
def _abstract(*arrays: Any, work: Work, depth: int) -> list[Any]:
    return [jax.core.ShapedArray(each.shape, each.dtype) for each in _shapes(arrays, work, depth)]


@functools.lru_cache(maxsize=64)
def _compiled(work: Work, depth: int) -> Callable[..., list[Array]]:
    return jax.jit(lambda *arrays: train_p.bind(*arrays, work=work, depth=depth))


@train_p.def_impl
def _immediate(*arrays: Array, work: Work, depth: int) -> list[Array]:
    return _compiled(work, depth)(*arrays)


def _batched(arrays: Sequence[Array], axes: Sequence[int | None], *, work: Work, depth: int) -> tuple[list, list[int]]:
    moved = [
        jnp.expand_dims(array, 0) if axis is None else jnp.moveaxis(array, axis, 0)
        for array, axis in zip(arrays, axes, strict=True)
    ]
    results = train_p.bind(*moved, work=work, depth=depth + 1)
    return results, [0] * len(results)


batching.primitive_batchers[train_p] = _batched


def _by_engine(*arrays: Array, work: Work, depth: int) -> Sequence[Array]:
    given = jax.tree.unflatten(work.structure, arrays)
    return call_kernel(work.run, depth, given, _shapes(arrays, work, depth))


def _in_general(*arrays: Array, work: Work, depth: int) -> list[Array]:
    """Without the engine: a ``vmap`` for each leading axis, the innermost by the general computation itself."""
    if depth == 0:
        return work.general(jax.tree.unflatten(work.structure, arrays), None, None)
    (size, *_) = _leading(arrays, depth)
    is_batched = [array.shape[0] == size for array in arrays]
    own = [array if batched else array[0] for array, batched in zip(arrays, is_batched, strict=True)]
    if depth == 1:
        flags = jax.tree.unflatten(work.structure, is_batched)
        return work.general(jax.tree.unflatten(work.structure, own), size, flags)
    inner = functools.partial(_in_general, work=work, depth=depth - 1)
    return jax.vmap(inner, in_axes=tuple(0 if batched else None for batched in is_batched), axis_size=size)(*own)


mlir.register_lowering(train_p, mlir.lower_fun(_in_general, multiple_results=True))
mlir.register_lowering(train_p, mlir.lower_fun(_by_engine, multiple_results=True), platform="cpu")
