"""[edge] The softmax or sigmoid with which classifiers end, found in exported programs and left off."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgeom.networks.readers.imported import refusal

_ENDINGS = ("softmax", "_softmax", "log_softmax", "_log_softmax", "sigmoid")
_SHAPES_ONLY = ("view", "reshape", "_unsafe_view", "flatten", "squeeze", "unsqueeze", "clone", "alias", "_to_copy")
_FEW_POINTS = 4


def ending_of(graph: Any) -> Any:
    """The node of a softmax, log-softmax or sigmoid whose numbers are the outputs of a graph; or None."""
    node = next(node for node in graph.nodes if node.op == "output").args[0]
    while isinstance(node, tuple | list) and len(node) == 1:
        node = node[0]
    while hasattr(node, "op") and node.op == "call_function" and len(node.users) == 1:
        if _operation(node) in _ENDINGS:
            return node
        if _operation(node) not in _SHAPES_ONLY:
            return None
        node = node.args[0]
    return None


def note_on(ending: Any) -> str:
    """A line for who reads the network."""
    return f"{_operation(ending).removeprefix('_')} at the end is left off: the outputs are what it is applied to"


def check_ending(ending: Any) -> None:
    """Raise a ValueError for a softmax over one number, which is constant, unlike what it is applied to."""
    operation = _operation(ending)
    if operation != "sigmoid" and ending.args[0].meta["val"].shape[ending.args[1]] == 1:
        raise ValueError(f"{refusal(operation.removeprefix('_'), '')} Reason: over a single number, it is constant.")


def before_ending(program: Any, network: Any, shape: tuple[int, ...]) -> Callable[[Any], Any]:
    """The module without its ending, as a function of a batch.

    Raises:
        ValueError: if the module is not the same function for each point of a batch.
    """
    import torch

    whole = _of_each_point(program.module())
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(_FEW_POINTS, *shape)))
    if not torch.allclose(whole(x), network(x), rtol=1e-4, atol=1e-6, equal_nan=True):
        raise ValueError("the module computes something else in a batch than for one point.")
    part = program.module()
    node = ending_of(part.graph)
    node.replace_all_uses_with(node.args[0])
    part.recompile()
    return _of_each_point(part)


def _of_each_point(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    import torch

    return lambda x: torch.cat([function(point[None]) for point in x])


def _operation(node: Any) -> str:
    return str(node.target).removeprefix("aten.").partition(".")[0]
