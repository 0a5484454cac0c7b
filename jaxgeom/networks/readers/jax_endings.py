"""[edge] The softmax or sigmoid with which classifiers end, found in their equations and left off."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxgeom.networks.readers.jax_programs import Equation, Known, Program, needed, replaced

_PASSED = ("convert_element_type", "copy", "copy_p", "stop_gradient", "broadcast_in_dim", "reshape", "squeeze")
_MOVES = ("slice", "transpose", "rev", "expand_dims")


class Ending(NamedTuple):
    """What was left off at the end of a network."""

    name: str
    applied: Callable[[Any], Any]
    """What it does to what is before it."""

    @property
    def note(self) -> str:
        """A line for who reads the network."""
        return f"{self.name} at the end is left off: the outputs are what it is applied to"


def without_ending(program: Program) -> tuple[Ending, Program] | None:
    """The program up to the softmax, log-softmax or sigmoid at its end, if there is one."""
    makers = {result: equation for equation in program.equations for result in equation.results}

    def maker(variable: Any, *names: str) -> Equation | None:
        equation = None if isinstance(variable, Known) else makers.get(variable)
        return equation if equation is not None and equation.primitive.name in names else None

    def passed(variable: Any, names: tuple[str, ...] = _PASSED) -> Any:
        while (equation := maker(variable, *names)) is not None:
            variable = equation.operands[0]
        return variable

    def summed(variable: Any) -> Equation | None:
        return maker(passed(variable), "reduce_sum")

    def found() -> tuple[Ending, Any] | None:
        last = passed(program.outputs[0], _PASSED[:3])
        if (equation := maker(last, "div")) is not None:
            exp, total = maker(equation.operands[0], "exp"), summed(equation.operands[1])
            if exp is not None and total is not None and total.operands[0] == equation.operands[0]:
                axes = tuple(total.params["axes"])
                return Ending("softmax", lambda z: jax.nn.softmax(z, axes)), before_shift(exp.operands[0])
        if (equation := maker(last, "sub")) is not None:
            log = maker(passed(equation.operands[1]), "log")
            total = None if log is None else summed(log.operands[0])
            exp = None if total is None else maker(total.operands[0], "exp")
            if exp is not None and total is not None and exp.operands[0] == equation.operands[0]:
                axes = tuple(total.params["axes"])
                return Ending("log_softmax", lambda z: jax.nn.log_softmax(z, axes)), before_shift(exp.operands[0])
        return None

    def before_shift(variable: Any) -> Any:
        equation = maker(variable, "sub")
        if equation is None:
            return variable
        most = passed(equation.operands[1])
        while (bounded := maker(most, "max")) is not None:
            most = passed(next(o for o in bounded.operands if not isinstance(o, Known)))
        largest = maker(most, "reduce_max")
        return equation.operands[0] if largest is not None and largest.operands[0] == equation.operands[0] else variable

    if len(program.outputs) != 1:
        return None
    logistic = maker(passed(program.outputs[0], (*_PASSED, *_MOVES)), "logistic")
    if logistic is not None and not isinstance(logistic.operands[0], Known):
        return Ending("sigmoid", jax.nn.sigmoid), replaced(program, logistic.results[0], logistic.operands[0])
    if (pair := found()) is None or isinstance(pair[1], Known):
        return None
    return pair[0], needed(program._replace(outputs=(pair[1],)))
