"""Results of a function that has been traced, evaluated again: with other arguments, and with other constants."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp


def evaluated(closed: Any, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """The flat results of what ``jax.make_jaxpr`` has traced.

    Args:
        closed: what ``jax.make_jaxpr`` gave.
        constants: in place of ``closed.consts``, what the function closed over.
        arguments: the flat arguments.
    """
    # jax.extend imports Pallas, and takes half as long to import as all of jaxgeom.
    from jax.extend.core import jaxpr_as_fun

    result: list[Any] = jaxpr_as_fun(type(closed)(closed.jaxpr, list(constants)))(*arguments)
    return result


def with_reciprocals(closed: Any) -> Any:
    """A trace in which arrays are multiplied by the reciprocal of a number instead of divided by it.

    XLA does that anyway, unless it finds a quotient of quotients first: Adam's (m / c) / d becomes (m · (1 / c)) / d
    where it compiles for one device, and m / (c · d) where it compiles for several. With the product written out, bits
    are the same for any number of devices, and those of one device stay what they were.
    """
    equations = []
    for equation in closed.jaxpr.eqns:
        shapes = [operand.aval.shape for operand in equation.invars]
        dtype = equation.outvars[0].aval.dtype
        if equation.primitive.name == "div" and shapes[0] != () == shapes[1] and jnp.issubdtype(dtype, jnp.floating):
            written = jax.make_jaxpr(lambda x, y: x * (1 / y))(*[operand.aval for operand in equation.invars]).jaxpr
            equations += _inlined(written, equation)
        else:
            equations.append(equation)
    return type(closed)(closed.jaxpr.replace(eqns=equations), closed.consts)


def _inlined(jaxpr: Any, equation: Any) -> list[Any]:
    """The equations of a trace with the operands and results of the equation that it stands for."""
    variables = dict(zip([*jaxpr.invars, *jaxpr.outvars], [*equation.invars, *equation.outvars], strict=True))

    def renamed(atoms: Sequence[Any]) -> list[Any]:
        return [atom if hasattr(atom, "val") else variables.get(atom, atom) for atom in atoms]  # literals have a value

    return [each.replace(invars=renamed(each.invars), outvars=renamed(each.outvars)) for each in jaxpr.eqns]
