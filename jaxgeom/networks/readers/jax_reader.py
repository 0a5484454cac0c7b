"""[edge] What is remembered while the equations of a function of JAX are followed, and its truth values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgeom.networks.readers import operations as ops
from jaxgeom.networks.readers.expressions import (
    Tape,
    Values,
    below_relu,
    concatenated,
    minus,
    places_of,
    plus,
    reshaped,
    select,
    unit,
)
from jaxgeom.networks.readers.imported import refusal
from jaxgeom.networks.readers.jax_programs import Equation, Program, flattened, spacing


class Step:
    """A tensor of one number where a condition is true, and of another elsewhere."""

    def __init__(self, condition: ops.Condition, high: float, low: float) -> None:
        self.condition, self.high, self.low = condition, high, low


class Indices:
    """Whole numbers that depend on the inputs, such as the places that numbers had before they were sorted."""


SYMBOLIC = (Values, ops.Condition, Step, Indices)


class Reader:
    """The rule for equations on one tape, with what it remembers of tensors.

    Tensors are told apart as objects; those that are remembered are held, so that no other takes their place.
    """

    def __init__(self, rules: Mapping[str, Callable[..., Any]]) -> None:
        self._rules = rules
        self.tape = Tape(channel_axis=-1)
        self.precision = float(np.finfo(np.float64).eps)
        """Of the coarsest type in which a number that depends on the inputs is calculated."""
        self.name = self._node = ""
        self._names: dict[str, int] = {}
        self._multiples: dict[int, tuple[Values, Values, np.ndarray]] = {}
        self._clipped: dict[int, tuple[Values, Values, np.ndarray, float]] = {}
        self._halves: dict[tuple[int, int, bool], tuple[Values, Values, Any]] = {}
        self._above: dict[tuple[int, int], tuple[Values, Any]] = {}
        self._carriers: dict[int, tuple[Values, Values]] = {}
        self._programs: dict[int, tuple[Any, Program]] = {}

    def __call__(self, equation: Equation, operands: list[Any]) -> Sequence[Any] | None:
        """The results of an equation, None if it depends on constants only."""
        if not any(isinstance(operand, SYMBOLIC) for operand in operands):
            return None
        primitive = equation.primitive.name
        self.name, self._node = equation.scope or primitive, ""
        function = self._rules.get(primitive)
        if function is None:
            raise ValueError(refusal(primitive, _where(equation)))
        self.precision = max(self.precision, spacing(equation))
        try:
            with np.errstate(all="ignore"):
                results = function(self, equation, *operands)
        except ops.NotLinear as error:
            raise ValueError(f"{refusal(primitive, _where(equation))} Reason: {error}.") from error
        return results if equation.primitive.multiple_results else (results,)

    def node(self) -> str:
        """The name of the units that are noted next: where they stand, with a number from the second time on."""
        if not self._node:
            self._names[self.name] = number = self._names.get(self.name, 0) + 1
            self._node = self.name if number == 1 else f"{self.name}.{number}"
        return self._node

    def unit(self, values: Values, slope: Any) -> Values:
        """Units on the tape."""
        return unit(self.tape, values, slope, self.node())

    def program(self, jaxpr: Any) -> Program:
        """The equations of an inner function."""
        if id(jaxpr) not in self._programs:
            self._programs[id(jaxpr)] = jaxpr, flattened(jaxpr)
        return self._programs[id(jaxpr)][1]

    def is_multiple(self, values: Values, of: Values, factor: Any) -> Values:
        """Remembers that a tensor is another one times constant factors."""
        root, known = self.multiple(of)
        factor = np.asarray(factor, np.float64)
        if np.broadcast_shapes(factor.shape, root.shape) == root.shape == values.shape:
            self._multiples[id(values)] = values, root, np.asarray(factor * known)
        return values

    def multiple(self, values: Any) -> tuple[Values, np.ndarray]:
        """The tensor, and the factors, of which a tensor is known to be the product."""
        _, root, factor = self._multiples.get(id(values), (None, values, np.ones(())))
        return root, factor

    def is_clipped(self, values: Values, base: Values, bound: np.ndarray, sign: float) -> Values:
        """Remembers that a tensor is another one above (sign 1) or below (sign -1) a bound."""
        self._clipped[id(values)] = values, base, bound, sign
        return values

    def clipped(self, values: Values, sign: float) -> tuple[Values, np.ndarray] | None:
        """The tensor and the bound on one side, if it has been clipped there."""
        _, base, bound, known = self._clipped.get(id(values), (None, values, np.zeros(()), 0.0))
        return (base, bound) if known == sign else None

    def extreme(self, a: Values, b: Values, *, is_largest: bool) -> Values:
        """The larger, or the smaller, of two tensors of one shape."""
        whole, (first, second) = together([a, b])

        def chosen(inner: Values) -> Values:
            key = id(a), id(b), inner is whole
            if inner is not whole and key not in self._halves:
                self._halves[key] = select(inner, first), select(inner, second), (a, b)
            x, y = (a, b) if inner is whole else self._halves[key][:2]
            return self._one_of(x, y, is_largest)

        return below_relu(self.tape, whole, chosen)

    def _one_of(self, a: Values, b: Values, is_largest: bool) -> Values:
        """With d = relu(a - b), the larger one is d + b, the smaller one a - d: of both, there is one unit."""
        if (id(b), id(a)) in self._above:
            a, b = b, a
        if (id(a), id(b)) not in self._above:
            self._above[id(a), id(b)] = self.unit(minus(a, b), 0.0), (a, b)
        above = self._above[id(a), id(b)][0]
        return plus(above, self._carried(b)) if is_largest else minus(self._carried(a), above)

    def _carried(self, values: Values) -> Values:
        if id(values) not in self._carriers:
            self._carriers[id(values)] = self.unit(values, 1.0), values
        return self._carriers[id(values)][0]


def _where(equation: Equation) -> str:
    return ", ".join(part for part in (equation.scope, equation.line) if part)


def together(parts: Sequence[Any]) -> tuple[Values, list[np.ndarray]]:
    """Tensors in one flat one, and for each the places of its numbers there."""
    found = [ops.lifted(part) for part in parts]
    starts = np.cumsum([0, *(len(part.const) for part in found)])
    whole = concatenated([reshaped(part, (len(part.const),)) for part in found], 0)
    return whole, [np.asarray(places_of(part) + start) for part, start in zip(found, starts[:-1], strict=True)]


def all_known(operands: Sequence[Any], what: str) -> None:
    """Raise if an operand depends on the inputs.

    Raises:
        NotLinear: which says ``what``.
    """
    if any(isinstance(operand, SYMBOLIC) for operand in operands):
        raise ops.NotLinear(f"{what} depend on the inputs")


def tensor_of(value: Any) -> Any:
    """A tensor of numbers, or a constant; not one of truth values."""
    if isinstance(value, ops.Condition | Step):
        raise ops.NotLinear("it takes truth values that depend on the inputs")
    if isinstance(value, Indices):
        raise ops.NotLinear("it takes places that depend on the inputs")
    return value if isinstance(value, Values) else np.asarray(value, np.float64)
