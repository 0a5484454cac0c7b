"""[edge] Functions of JAX as plain lists of equations: what they call is written out, what is not needed left out."""

import contextlib
import itertools
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

CALLS = frozenset(
    {
        *("jit", "pjit", "closed_call", "core_call", "call", "composite", "checkpoint", "remat", "remat2"),
        *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_vmap_call", "custom_lin"),
    }
)
"""Primitives that stand for the equations in them."""

_EXACT = frozenset(
    {
        *("broadcast_in_dim", "reshape", "transpose", "squeeze", "slice", "concatenate", "copy", "copy_p", "gather"),
        *("convert_element_type", "neg", "abs", "max", "min", "rev", "pad", "select_n", "expand_dims", "stop_gradient"),
    }
)
"""Primitives that do not round."""

_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr", "call")
_MOST_EQUATIONS = 10**6
_LIBRARIES = ("jax", "jaxlib", "flax", "equinox", "keras", "optax", "chex", "jaxtyping", "jaxgeom")


class Known:
    """An operand that does not depend on the inputs: an array, told apart as an object."""

    def __init__(self, array: Any) -> None:
        self.array = array


class Equation(NamedTuple):
    """One primitive with its operands."""

    primitive: Any
    params: dict[str, Any]
    operands: tuple[Any, ...]
    """A number for each variable, and :class:`Known` ones."""
    results: tuple[int, ...]
    """A number for each variable."""
    dtypes: tuple[Any, ...]
    """Of the results."""
    scope: str
    """The modules and functions in which it stands."""
    line: str
    """The user's file and line, or nothing."""


class Program(NamedTuple):
    """A function: its equations in order, with variables as numbers."""

    inputs: tuple[int, ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Any, ...]
    """A number for each variable, and :class:`Known` ones."""


def flattened(closed: Any) -> Program:
    """The equations of a closed jaxpr, with those of the functions that it calls in their places."""
    numbers = itertools.count()
    libraries = _libraries()
    equations: list[Equation] = []

    def walk(jaxpr: Any, consts: Sequence[Any], operands: Sequence[Any], scope: str, line: str) -> list[Any]:
        found: dict[Any, Any] = dict(zip(jaxpr.constvars, map(Known, consts), strict=True))
        found |= dict(zip(jaxpr.invars, operands, strict=True))

        def value(atom: Any) -> Any:
            aval: Any = atom.aval
            return Known(np.asarray(atom.val, aval.dtype)) if isinstance(atom, Literal) else found[atom]

        for eqn in jaxpr.eqns:
            known = [value(atom) for atom in eqn.invars]
            within = _joined(scope, str(eqn.source_info.name_stack))
            where = _line(eqn, libraries) or line
            inner = next((eqn.params[key] for key in _INNER if key in eqn.params), None)
            if eqn.primitive.name in CALLS and inner is not None:
                name = str(eqn.params.get("name", "")).strip("<>_")
                is_new = name and name not in ("lambda", "where", within.rpartition("/")[2])
                called = getattr(inner, "jaxpr", inner)
                results = walk(
                    called, getattr(inner, "consts", ()), known, _joined(within, name) if is_new else within, where
                )
            else:
                results = [next(numbers) for _ in eqn.outvars]
                avals: list[Any] = [var.aval for var in eqn.outvars]
                dtypes = tuple(aval.dtype for aval in avals)
                equations.append(
                    Equation(eqn.primitive, eqn.params, tuple(known), tuple(results), dtypes, within, where)
                )
                if len(equations) > _MOST_EQUATIONS:
                    raise ValueError(f"the function has more than {_MOST_EQUATIONS:,} operations.")
            found |= dict(zip(eqn.outvars, results, strict=True))
        return [value(atom) for atom in jaxpr.outvars]

    inputs = tuple(next(numbers) for _ in closed.jaxpr.invars)
    outputs = walk(closed.jaxpr, closed.consts, inputs, "", "")
    return needed(Program(inputs, tuple(equations), tuple(outputs)))


def needed(program: Program) -> Program:
    """The program without the equations on which its outputs do not depend."""
    used = {output for output in program.outputs if not isinstance(output, Known)}
    found = []
    for equation in reversed(program.equations):
        if used.intersection(equation.results):
            found.append(equation)
            used |= {operand for operand in equation.operands if not isinstance(operand, Known)}
    return program._replace(equations=tuple(found[::-1]))


def folded(program: Program) -> tuple[Program, float]:
    """The program with what depends on constants only calculated, in one call of JAX; and the spacing of numbers at 1
    in the coarsest type in which there was something to round."""
    known: set[int] = set()
    constant: list[Equation] = []
    rest: list[Equation] = []
    for equation in program.equations:
        is_known = all(isinstance(operand, Known) or operand in known for operand in equation.operands)
        (constant if is_known else rest).append(equation)
        known.update(equation.results if is_known else ())
    if not constant:
        return program, 0.0
    arrays = {id(o.array): o.array for equation in constant for o in equation.operands if isinstance(o, Known)}
    used = {*(o for equation in rest for o in equation.operands), *program.outputs}
    wanted = tuple(sorted(variable for variable in known if variable in used))

    def calculated(values: dict[int, Any]) -> list[Any]:
        def given(operand: Any) -> Any:
            return Known(values[id(operand.array)]) if isinstance(operand, Known) else operand

        filled = (e._replace(operands=tuple(map(given, e.operands))) for e in constant)
        return evaluated(Program((), tuple(filled), wanted), [])

    found = dict(zip(wanted, map(Known, jax.jit(calculated)({k: _array(v) for k, v in arrays.items()})), strict=True))
    equations = tuple(e._replace(operands=tuple(found.get(o, o) for o in e.operands)) for e in rest)
    outputs = tuple(found.get(o, o) for o in program.outputs)
    coarsest = max((spacing(e) for e in constant if e.primitive.name not in _EXACT), default=0.0)
    return program._replace(equations=equations, outputs=outputs), coarsest


def spacing(equation: Equation) -> float:
    """The spacing of numbers at 1 in the coarsest type of an equation's results."""
    return max((float(jnp.finfo(d).eps) for d in equation.dtypes if jnp.issubdtype(d, jnp.floating)), default=0.0)


def evaluated(program: Program, inputs: Sequence[Any], rule: Callable[..., Any] | None = None) -> list[Any]:
    """The outputs of a program.

    Args:
        program: what is evaluated.
        inputs: arrays, or anything that the rule knows.
        rule: takes equations, with their operands, of which it returns the results, or None for those that JAX is to
            evaluate.
    """
    found = dict(zip(program.inputs, inputs, strict=True))

    def value(operand: Any) -> Any:
        return operand.array if isinstance(operand, Known) else found[operand]

    for equation in program.equations:
        operands = [value(operand) for operand in equation.operands]
        results = None if rule is None else rule(equation, operands)
        if results is None:
            results = equation.primitive.bind(*map(_array, operands), **equation.params)
            results = results if equation.primitive.multiple_results else (results,)
        found |= dict(zip(equation.results, results, strict=True))
    return [value(output) for output in program.outputs]


def replaced(program: Program, old: int, new: int) -> Program:
    """The program with one variable in the place of another."""

    def value(operand: Any) -> Any:
        return new if not isinstance(operand, Known) and operand == old else operand

    equations = (e._replace(operands=tuple(map(value, e.operands))) for e in program.equations)
    return needed(program._replace(equations=tuple(equations), outputs=tuple(map(value, program.outputs))))


def as_function(program: Program) -> Callable[..., Any]:
    """A program of one input and one output as a function of JAX."""
    return lambda x: evaluated(program, [x])[0]


@contextlib.contextmanager
def precisely(*, is_double: bool = True) -> Iterator[None]:
    """Arithmetic on the CPU in float64, or in float32, in this block and thread only."""
    with (
        jax.enable_x64(is_double),
        jax.default_device(jax.devices("cpu")[0]),
        jax.default_matmul_precision("highest"),
    ):
        yield


def scan_sizes(equation: Equation) -> tuple[int, int]:
    """How many of the operands of a scan are constants, and how many are carried: JAX 0.12 writes it another way."""
    params = equation.params
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = (len(list(part)) for part in params["ft_in"].unpack())
    return consts, carry


def _array(operand: Any) -> Any:
    return operand if isinstance(operand, jax.Array | jax.core.Tracer) else np.asarray(operand)


def _joined(scope: str, name: str) -> str:
    return "/".join(part for part in (scope, name) if part)


def _line(eqn: Any, libraries: tuple[str, ...]) -> str:
    """The first line outside of libraries."""
    for frame in getattr(eqn.source_info.traceback, "frames", ()):
        if not frame.file_name.startswith(libraries):
            return f"{Path(frame.file_name).name}:{frame.line_num}"
    return ""


def _libraries() -> tuple[str, ...]:
    """How the paths of the files of JAX and of other libraries begin, which are passed over when a line is named."""
    files = (getattr(sys.modules.get(name), "__file__", None) for name in _LIBRARIES)
    return ("<", sysconfig.get_path("stdlib"), *(str(Path(file).parent) for file in files if file))
