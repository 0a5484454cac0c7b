"""[edge] Networks from functions of JAX, followed equation by equation."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxgeom.host.given import check_flags
from jaxgeom.networks.readers import operations as ops
from jaxgeom.networks.readers.expressions import new_input
from jaxgeom.networks.readers.imported import Imported, finished
from jaxgeom.networks.readers.jax_endings import Ending, without_ending
from jaxgeom.networks.readers.jax_operations import PRIMITIVES
from jaxgeom.networks.readers.jax_programs import Program, as_function, evaluated, flattened, folded, precisely
from jaxgeom.networks.readers.jax_reader import Indices, Reader, Step

_POINTS_AT_ONCE = 256
_FEW_POINTS = 5


def from_function(
    function: Any, example: Float[Array | np.ndarray, "..."] | Any, *, takes_batch: bool = True
) -> Imported:
    """The layers of a piecewise linear function of JAX.

    The function is traced once (``jax.make_jaxpr``), in float64 where it can be, whatever the state of JAX's x64; its
    equations become affine layers with units of one kink. What depends on constants only, such as
    ``rsqrt(variance + 1e-5)``, is calculated by JAX in the type that the function gives it. What was read is compared
    with the function itself at random points.

    Args:
        function: takes one array and returns one; parameters are closed over, as in
            ``lambda x: model.apply(variables, x)``.
        example: a batch of inputs of the right shape, such as ``jnp.zeros((1, 28, 28, 1))``, or one input.
        takes_batch: whether the function takes a batch of points, on the first axis, or one point.

    Raises:
        ValueError: for an operation that is not piecewise linear, named with its line; if the layers are not what the
            function computes.
        TypeError: for what is no function.

    Example:
        >>> import jax, jax.numpy as jnp, jaxgeom as jg
        >>> kernel = jnp.array([[1.0, -1.0, 2.0], [0.5, 1.0, 0.0]])
        >>> network = jg.from_function(lambda x: jax.nn.relu(x @ kernel).sum(), jnp.zeros(2), takes_batch=False)
        >>> [layer.kernel.shape for layer in network.layers]
        [(2, 3), (3, 1)]
    """
    check_flags(takes_batch=takes_batch)
    if not callable(function):
        raise TypeError(f"a function of one array is needed, but {type(function).__name__} was given.")
    return read_function(function, example, takes_batch=takes_batch, what="the function")


def read_function(
    function: Callable[..., Any], example: Any, *, takes_batch: bool, what: str, notes: Sequence[str] = ()
) -> Imported:
    """The layers of a function of JAX; ``what`` it is, in messages."""
    example = _one_point(example, takes_batch)
    traced = _traced(function, example, takes_batch, what)
    shape = example.shape[1:] if takes_batch else example.shape
    with precisely(is_double=traced.is_double):
        ending, program = _without_ending(traced, example.shape, shape)
        reader = Reader(PRIMITIVES)
        program, constants = folded(program)
        (found,) = evaluated(program, [new_input(reader.tape, example.shape)], reader)
        if isinstance(found, ops.Condition | Step):
            raise ValueError(f"{what} returns truth values; leave the comparison off.")
        if isinstance(found, Indices):
            raise ValueError(f"{what} returns an order; leave the sorting off.")
        outputs = ops.lifted(found)
        output_shape = outputs.shape
        if takes_batch:
            if output_shape[:1] != (1,):
                raise ValueError(
                    f"{what} returns an array of shape {output_shape} for one of shape {example.shape}, so that its "
                    "first axis is not that of points. Functions of one point are read with takes_batch=False."
                )
            output_shape = output_shape[1:]
        source = traced.batched if ending is None else jax.vmap(as_function(program))
        at_once = (-1, *(shape if ending is None else example.shape))
        return finished(
            reader.tape,
            outputs,
            input_shape=shape,
            output_shape=output_shape,
            source=lambda points: _outputs(source, points.reshape(at_once), traced.is_double),
            precision=max(reader.precision, constants),
            what=what,
            notes=[*notes, *([] if ending is None else [ending.note])],
        )


class _Traced(NamedTuple):
    program: Program
    """Of one point."""
    batched: Callable[..., Any]
    """The function of a batch of points."""
    is_double: bool


def _one_point(example: Any, takes_batch: bool) -> np.ndarray:
    found = np.asarray(example)
    if found.dtype.kind not in "fiu":
        raise ValueError(f"example must be an array of numbers, but its type is {found.dtype}.")
    if takes_batch and (found.ndim < 1 or len(found) < 1):
        raise ValueError(
            f"example must be a batch of at least one point, but its shape is {found.shape}. Functions of one point "
            "are read with takes_batch=False."
        )
    return (found[:1] if takes_batch else found).astype(np.float64)


def _traced(function: Callable[..., Any], example: np.ndarray, takes_batch: bool, what: str) -> _Traced:
    """The function's equations, in float64, or in float32 if it insists on that."""
    reason: Exception | None = None
    for is_double in (True, False):
        with precisely(is_double=is_double), contextlib.suppress(_Untraced):
            try:
                closed, shapes = jax.make_jaxpr(function, return_shape=True)(
                    example if is_double else example.astype(np.float32)
                )
            except Exception as error:
                reason = reason or error
                raise _Untraced from error
            leaves = jax.tree.leaves(shapes)
            if len(leaves) != 1:
                raise ValueError(f"{what} returns {len(leaves)} arrays; one is needed. Wrap it in a function.")
            return _Traced(flattened(closed), function if takes_batch else jax.vmap(function), is_double)
    raise ValueError(f"JAX cannot trace {what} at an input of shape {example.shape}: {first_line(reason)}.") from reason


class _Untraced(Exception):
    pass


def _without_ending(traced: _Traced, example: Sequence[int], shape: Sequence[int]) -> tuple[Ending | None, Program]:
    """The program before its softmax, if leaving that off makes the difference that it should."""
    found = without_ending(traced.program)
    if found is None:
        return None, traced.program
    ending, program = found
    points = np.random.default_rng(0).normal(size=(_FEW_POINTS, *shape))
    expected = _outputs(traced.batched, points, traced.is_double)
    single = jax.vmap(lambda x: ending.applied(as_function(program)(x)))
    got = _outputs(single, points.reshape(-1, *example), traced.is_double)
    is_it = expected.shape == got.shape and np.allclose(expected, got, rtol=1e-4, atol=1e-6, equal_nan=True)
    return (ending, program) if is_it else (None, traced.program)


def _outputs(function: Callable[..., Any], points: np.ndarray, is_double: bool) -> np.ndarray:
    """Outputs (points, out) of a function of a batch."""
    function = jax.jit(function)
    points = points if is_double else points.astype(np.float32)
    parts = (points[start : start + _POINTS_AT_ONCE] for start in range(0, len(points), _POINTS_AT_ONCE))
    return np.concatenate([np.asarray(function(part), np.float64).reshape(len(part), -1) for part in parts])


def first_line(error: Any) -> str:
    """The beginning of the message of an error of another library."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".:")[:200]
