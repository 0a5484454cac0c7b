"""[edge] The nodes of an ONNX graph followed one after the other: constants are folded, the rest is done to symbolic
tensors."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgeom.networks.readers import operations as ops
from jaxgeom.networks.readers.expressions import Tape, Values, new_input
from jaxgeom.networks.readers.given_files import short
from jaxgeom.networks.readers.imported import refusal
from jaxgeom.networks.readers.onnx_arrays import FOLDED, attributes_of, computed
from jaxgeom.networks.readers.onnx_files import array_of, first_line
from jaxgeom.networks.readers.onnx_graphs import Graph
from jaxgeom.networks.readers.onnx_operations import OPERATIONS, Node

MOST_IN_ALL = 2**28
"""Numbers in all tensors together, of which those that depend on the inputs count for more."""

_SYMBOLIC = 64
"""What a number counts for that depends on the inputs: it has weights, and takes as long as many plain ones."""


class Rest(NamedTuple):
    """The nodes of an ONNX graph that depend on its inputs, and the constants that they take, folded."""

    nodes: list[Any]
    constants: dict[str, np.ndarray]
    """What the nodes take."""


def followed(graph: Graph, tape: Tape, version: int, folder: Path | None) -> tuple[Values, Rest]:
    """The symbolic tensor that is read, and the nodes that do not only calculate with constants."""
    found: dict[str, Any] = {name: new_input(tape, shape) for name, shape in graph.inputs.items()}
    uses = Counter(name for node in graph.nodes for name in node.input)
    uses[graph.target] += 1
    rest = Rest([], {})
    total = sum(map(_size, found.values()))
    _check_total(total)

    def value(name: str) -> Any:
        if not name:
            return None
        if name not in found:
            if name not in graph.constants:
                raise ValueError(f"nothing makes the tensor {short(name)!r} before it is used.")
            held = graph.constants[name]
            found[name] = held if isinstance(held, np.ndarray) else array_of(held, folder)
        return found[name]

    for proto in graph.nodes:
        inputs = [value(name) for name in proto.input]
        is_symbolic = any(isinstance(each, Values | ops.Condition) for each in inputs)
        results = _done(tape, proto, version, inputs, folder, is_symbolic=is_symbolic)
        if is_symbolic and any(isinstance(each, Values | ops.Condition) for each in results):
            rest.nodes.append(proto)
            rest.constants.update(
                (name, each) for name, each in zip(proto.input, inputs, strict=True) if isinstance(each, np.ndarray)
            )
        for name, result in zip(proto.output, results, strict=False):
            if name:
                found[name] = result
                total += _size(result)
        _check_total(total)
        for name in proto.input:
            uses[name] -= 1
            if not uses[name]:
                found.pop(name, None)
    if graph.target not in found:
        raise ValueError(f"the tensor {short(graph.target)!r} is an output of its node that is not read.")
    target = found[graph.target]
    if isinstance(target, ops.Condition) or target is None:
        raise ValueError(f"the tensor {short(graph.target)!r} holds no real numbers.")
    return ops.lifted(target), rest


def _check_total(total: int) -> None:
    if total > MOST_IN_ALL:
        raise ValueError(
            f"the tensors have more than {MOST_IN_ALL:,} numbers in all, those that depend on the inputs counted "
            f"{_SYMBOLIC} times; no more are read."
        )


def _size(result: Any) -> int:
    result = result.values if isinstance(result, ops.Condition) else result
    return _SYMBOLIC * len(result.const) if isinstance(result, Values) else int(np.size(result))


def _done(
    tape: Tape, proto: Any, version: int, inputs: list[Any], folder: Path | None, *, is_symbolic: bool
) -> Sequence[Any]:
    """The outputs of a node: symbolic tensors, conditions or arrays."""
    operation = short(proto.op_type)
    is_own = proto.domain in ("", "ai.onnx")
    where = short(proto.name or next(iter(proto.output), ""))
    shown = operation if is_own else f"{short(proto.domain)}.{operation}"
    try:
        attributes = attributes_of(proto)
        if is_own and not is_symbolic and proto.op_type in FOLDED:
            if proto.op_type == "Constant" and hasattr(attributes.get("value"), "data_type"):
                return [array_of(attributes["value"], folder)]
            return [np.asarray(each) for each in computed(proto, version, inputs)]
        function = OPERATIONS.get(proto.op_type) if is_own else None
        if function is None:
            raise ValueError(refusal(shown, where))
        if attributes.get("broadcast") or attributes.get("consumed_inputs"):
            raise ops.NotLinear("it is of a version of ONNX before 7; convert the model with onnx.version_converter")
        if isinstance(inputs[0], ops.Condition) and proto.op_type not in _OF_CONDITIONS:
            raise ops.NotLinear("it calculates with truth values")
        node = Node(where, proto.op_type, version, attributes, partial(computed, proto, version))
        results = function(tape, node, *inputs)
        return results if isinstance(results, tuple) and not isinstance(results, Values) else (results,)
    except Exception as error:
        message = str(error)
        if isinstance(error, ValueError) and "the network has the operation" in message:
            raise
        raise ValueError(f"{refusal(shown, where)} Reason: {first_line(error)}.") from error


_OF_CONDITIONS = ("Not", "Where", "Cast", "CastLike", "Mul", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Expand")
