"""[edge] Loops and branches of JAX on symbolic tensors, written out step by step."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgeom.networks.readers import operations as ops
from jaxgeom.networks.readers.expressions import Values, concatenated, places_of, reshaped, select
from jaxgeom.networks.readers.jax_programs import Equation, evaluated, scan_sizes
from jaxgeom.networks.readers.jax_reader import SYMBOLIC, Reader, Step, all_known, tensor_of

_MOST_STEPS = 10_000


def scanned(reader: Reader, equation: Equation, *operands: Any) -> list[Any]:
    params = equation.params
    consts, carried = scan_sizes(equation)
    length, program = params["length"], reader.program(params["jaxpr"])
    if length > _MOST_STEPS:
        raise ops.NotLinear(f"it has {length:,} steps; at most {_MOST_STEPS:,} are read")
    state = list(operands[consts : consts + carried])
    rows: list[list[Any]] = [[] for _ in program.outputs[carried:]]
    for step in reversed(range(length)) if params["reverse"] else range(length):
        each = [_row(operand, step) for operand in operands[consts + carried :]]
        outputs = evaluated(program, [*operands[:consts], *state, *each], reader)
        state = outputs[:carried]
        for row, output in zip(rows, outputs[carried:], strict=True):
            row.append(output)
    return [*state, *(_stacked(row[::-1] if params["reverse"] else row) for row in rows)]


def _row(operand: Any, step: int) -> Any:
    if isinstance(operand, ops.Condition | Step):
        raise ops.NotLinear("it runs over truth values that depend on the inputs")
    return select(operand, places_of(operand)[step]) if isinstance(operand, Values) else operand[step]


def _stacked(rows: list[Any]) -> Any:
    if not any(isinstance(row, SYMBOLIC) for row in rows):
        return jnp.stack(rows) if rows else np.zeros(0)
    found = [ops.lifted(tensor_of(row)) for row in rows]
    return concatenated([reshaped(row, (1, *row.shape)) for row in found], 0)


def repeated(reader: Reader, equation: Equation, *operands: Any) -> list[Any]:
    params = equation.params
    first, second = params["cond_nconsts"], params["body_nconsts"]
    condition, body = reader.program(params["cond_jaxpr"]), reader.program(params["body_jaxpr"])
    state = list(operands[first + second :])
    for _ in range(_MOST_STEPS):
        goes_on = evaluated(condition, [*operands[:first], *state], reader)[0]
        all_known([goes_on], "how many steps it takes does")
        if not bool(goes_on):
            return state
        state = evaluated(body, [*operands[first : first + second], *state], reader)
    raise ops.NotLinear(f"it has more than {_MOST_STEPS:,} steps")


def branched(reader: Reader, equation: Equation, index: Any, *operands: Any) -> list[Any]:
    if isinstance(index, SYMBOLIC):
        raise ops.NotLinear("which branch is taken depends on the inputs")
    branches = equation.params["branches"]
    branch = branches[int(np.clip(int(index), 0, len(branches) - 1))]
    return evaluated(reader.program(branch), operands, reader)
