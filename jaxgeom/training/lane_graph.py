"""Graphs of single numbers (:mod:`jaxgeom.training.scalar_graph`) as operations of JAX, on arrays with a network in
each lane."""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxgeom.training.scalar_graph import CONSTANT, STRIP, Node

Values = dict[int, Any]
"""Numbers that are known, by the number of their node."""


class Arithmetic(NamedTuple):
    """How graphs are evaluated on a device."""

    multiply_add: Callable[[Any, Any, Any], Any] = lambda a, b, c: a * b + c
    """``multiply_add(a, b, c)``: the product of two numbers added to a third, in one instruction if there is one."""

    def evaluate(self, node: Node, numbers: Values, own: Values, given: Callable[[Node], Any]) -> Any:
        """The value of a node, computed once: an array over lanes, or a number that all of them share.

        Args:
            node: what to evaluate.
            numbers: values of nodes that are the same for all parameters or points, which are added to.
            own: those of nodes that are not, likewise.
            given: values of inputs, and of sums over parameters.
        """
        if node.kind == CONSTANT:
            return node.value
        values = own if node.kind == STRIP else numbers
        if node.number not in values:
            if node.op in ("INPUT", "SUM"):
                values[node.number] = given(node)
            else:
                operands, function = self._fused(node)
                values[node.number] = function(*(self.evaluate(each, numbers, own, given) for each in operands))
        return values[node.number]

    def _fused(self, node: Node) -> tuple[tuple[Node, ...], Callable[..., Any]]:
        """Operands and operation of a node; a sum and a product in it are one, though others may need the product."""
        if node.op in ("ADD", "SUB") and node.kind == STRIP:
            for place in (1, 0):
                product, other = node.args[place], node.args[1 - place]
                if product.op not in ("MUL", "SQUARE"):
                    continue
                factors = (product.args * 2)[:2]
                if node.op == "ADD":
                    return (*factors, other), self.multiply_add
                if place == 0:
                    return (*factors, other), lambda a, b, c: self.multiply_add(a, b, -c)
                return (*factors, other), lambda a, b, c: self.multiply_add(-a, b, c)
        return node.args, OPERATIONS[node.op]


def no_input(node: Node) -> Any:
    """For graphs all of whose inputs are known."""
    raise AssertionError(f"{node.value} is not known")


def _divided(x: Any, y: Any) -> Any:
    """Towards zero, as the machine and XLA divide integers."""
    return lax.div(*jnp.broadcast_arrays(jnp.int32(x), jnp.int32(y)))


def _remainder(x: Any, y: Any) -> Any:
    return lax.rem(*jnp.broadcast_arrays(x, y))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "ADD": operator.add,
    "SUB": operator.sub,
    "MUL": operator.mul,
    "DIV": operator.truediv,
    "REM": _remainder,
    "MAX": jnp.maximum,
    "MIN": jnp.minimum,
    "NEG": operator.neg,
    "ABS": jnp.abs,
    "SQRT": jnp.sqrt,
    "POW": jnp.power,
    "EXP": jnp.exp,
    "EXPM1": jnp.expm1,
    "LOG": jnp.log,
    "LOG1P": jnp.log1p,
    "TANH": jnp.tanh,
    "SIN": jnp.sin,
    "COS": jnp.cos,
    "LOGISTIC": lambda x: 1 / (1 + jnp.exp(-x)),
    "FLOOR": jnp.floor,
    "SIGN": jnp.sign,
    "SQUARE": lambda x: x * x,
    "SELECT": jnp.where,
    "EQ": operator.eq,
    "NE": operator.ne,
    "LT": operator.lt,
    "LE": operator.le,
    "GT": operator.gt,
    "GE": operator.ge,
    "AND": jnp.logical_and,
    "OR": jnp.logical_or,
    "NOT": jnp.logical_not,
    "CVT": lambda x: x.astype(jnp.float32),
    "CVT_I": lambda x: x.astype(jnp.int32),
    "FINITE": lambda x: x * 0 == 0,
    "ADD_I": operator.add,
    "SUB_I": operator.sub,
    "MUL_I": operator.mul,
    "DIV_I": _divided,
    "REM_I": _remainder,
    "MAX_I": jnp.maximum,
    "MIN_I": jnp.minimum,
    "EQ_I": operator.eq,
    "NE_I": operator.ne,
    "LT_I": operator.lt,
    "LE_I": operator.le,
    "GT_I": operator.gt,
    "GE_I": operator.ge,
}
"""Operations by the names of a graph; without the error function, which Pallas lacks on GPUs."""
