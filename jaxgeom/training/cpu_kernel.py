"""A whole computation as one kernel of a CPU, loops and conditionals included.

XLA runs a program for CPUs as a sequence of small kernels, and a loop as a sequence in each of its turns. Starting a
kernel, and deciding which thread runs it, takes longer than a step of a small network, and threads that look for work
hold up those that have some. XLA has another way for loops that touch little memory: it compiles them into a single
function, as a call that is marked ``xla_cpu_small_call``. :func:`one_kernel` marks a computation of its own choice.

Such a function knows no libraries: matrix products, sums, sorting, scattering, random numbers, transforms and the like
cannot be compiled there. What may be in it is listed here; a computation with anything else is left as it is, and so
are all on versions of JAX with which this has not been tried.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, UInt32

from jaxgeom._typing import PyTree
from jaxgeom.training.traced import evaluated

NEXT_VERSION = (0, 13)
"""The first version of JAX that has not been tried."""

MOST_OPERATIONS = 5000
"""Longer computations are left as they are: the time to compile one function grows faster than its length."""

ELEMENTWISE = re.compile(
    "abs|add|add_any|and|clamp|convert_element_type|copy|cos|div|eq|erf|exp|exp2|expm1|floor|ge|gt|integer_pow|"
    "is_finite|le|log|log1p|logistic|lt|max|min|mul|ne|neg|not|or|pow|rem|round|rsqrt|select_n|sign|sin|sqrt|square|"
    "stop_gradient|sub|tanh|xor"
)
"""Operations on single numbers, by name."""
OTHERS = re.compile(
    "argmax|argmin|bitcast_convert_type|broadcast_in_dim|ceil|concatenate|dynamic_slice|dynamic_update_slice|"
    "gather|iota|optimization_barrier|pad|reduce_and|reduce_max|reduce_min|reduce_or|reshape|rev|"
    "shift_left|shift_right_arithmetic|shift_right_logical|slice|split|squeeze|stack|transpose|unstack"
)
"""Those that move numbers about, compare them, or look for the largest."""
_CALL = re.compile("closed_call|cond|custom_jvp_call|custom_vjp_call|jit|pjit|scan|while")


def one_kernel(function: Callable[..., PyTree], *arrays: PyTree) -> PyTree:
    """``function(*arrays)``, as one kernel if it runs on a CPU and consists of what is known to work there."""
    if jax.default_backend() != "cpu":
        return function(*arrays)
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arrays)
    structure, num = jax.tree.structure(shapes), len(closed.consts)
    inputs = [jnp.asarray(leaf) for leaf in (*closed.consts, *jax.tree.leaves(arrays))]

    def evaluate(inputs: list[Array]) -> list[Array]:
        return evaluated(closed, inputs[:num], inputs[num:])

    @jax.jit
    def kernel(words: Array) -> list[Array]:
        with set_xla_metadata(**_UNMARKED):
            return evaluate(_unpacked(words, inputs))

    if not is_known_to_work(closed.jaxpr) or any(leaf.dtype not in _DTYPES for leaf in inputs):
        return jax.tree.unflatten(structure, evaluate(inputs))
    # XLA aborts if simplification leaves an input without use: so there is but one.
    words = jnp.concatenate([_words(leaf) for leaf in inputs])
    with set_xla_metadata(**_MARKS):
        outputs = kernel(words)
    return jax.tree.unflatten(structure, outputs)


_DTYPES = [np.dtype(name) for name in ("float32", "int32", "uint32", "bool", "float64", "int64", "uint64")]


def _words(array: Array) -> UInt32[Array, " words"]:
    """The bits of an array."""
    array = array.astype(jnp.uint32) if array.dtype == bool else array
    return lax.bitcast_convert_type(array, jnp.uint32).reshape(-1)


def _unpacked(words: UInt32[Array, " words"], like: Sequence[Array]) -> list[Array]:
    """Arrays of the same shapes and types as others, from their bits, one after the other."""
    arrays, start = [], 0
    for leaf in like:
        per_number = max(1, leaf.dtype.itemsize // 4)
        part = words[start : start + leaf.size * per_number]
        start += leaf.size * per_number
        if leaf.dtype == bool:
            arrays.append(part.reshape(leaf.shape) != 0)
        else:
            shape = leaf.shape if per_number == 1 else (*leaf.shape, per_number)
            arrays.append(lax.bitcast_convert_type(part.reshape(shape), leaf.dtype))
    return arrays


_MARKS = {"xla_cpu_small_call": "true", "inlineable": "false"}
_UNMARKED = {"xla_cpu_small_call": "false", "inlineable": "true"}  # what is inside would otherwise inherit the marks


def is_known_to_work(jaxpr: Any) -> bool:
    """Whether a computation can be compiled as one kernel."""
    if jax.__version_info__[:2] >= NEXT_VERSION:
        return False
    names = [equation.primitive.name for equation in equations(jaxpr)]
    return len(names) <= MOST_OPERATIONS and all(
        ELEMENTWISE.fullmatch(name) or OTHERS.fullmatch(name) for name in set(names)
    )


def equations(jaxpr: Any) -> Iterator[Any]:
    """All operations of a jaxpr, those of loops, conditionals and calls included; of these, only the insides."""
    for equation in jaxpr.eqns:
        inner = [leaf for leaf in jax.tree.leaves(equation.params, is_leaf=is_jaxpr) if is_jaxpr(leaf)]
        for each in inner:
            yield from equations(getattr(each, "jaxpr", each))
        if not (inner and _CALL.fullmatch(equation.primitive.name)):
            yield equation


def is_jaxpr(leaf: Any) -> bool:
    """Whether a parameter of an operation is a computation of its own."""
    return hasattr(leaf, "eqns") or hasattr(getattr(leaf, "jaxpr", None), "eqns")
