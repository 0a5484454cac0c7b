"""An optimizer as a graph of single numbers: one step of all parameters of a network.

The optimizer must work element by element, with what it likes of single numbers beside it (counts, schedules, settings,
the loss) and with sums over the parameters of a layer, such as norms of gradients. It may treat parameters differently
by where they are: weights with decay, and biases without.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from jaxgeom._typing import Params
from jaxgeom.training.optimizers import Hoisted
from jaxgeom.training.scalar_graph import LANE, SHARED, STRIP, Graph, Node, Unsupported
from jaxgeom.training.trace_graph import cell, dtype_of, interpret

WORD = 4
"""Bytes of the least that a setting takes."""

VALUE = ("value",)
"""Name of the input that is the loss of a batch."""


class Treatment(NamedTuple):
    """What a step does to one parameter, as a function of the inputs ("weight", 0), ("gradient", 0) and
    ("state", prefix, 0) of its own, and of single numbers."""

    new: Node
    """The next parameter."""
    states: tuple[tuple[Node, Node], ...]
    """Every part of the parameter's state, by prefix: before the first step, and after a step."""


class Number(NamedTuple):
    """One number of the optimizer's state, such as a count."""

    before: Node
    """The input that stands for it in a step; SHARED by all networks, or one in each LANE."""
    new: Node
    """The same after the step."""
    initial: Node
    """The same before the first step."""


class OptimizerGraph(NamedTuple):
    """A step of an optimizer, and what it starts from."""

    treatments: tuple[Treatment, ...]
    """Of every leaf of the parameters, in their order as a pytree."""
    prefixes: tuple[str, ...]
    """Names of the parts of the state that are shaped like the parameters."""
    numbers: tuple[Number, ...]
    """The other parts of the state."""
    settings: tuple[tuple[tuple[bool, int], Node], ...]
    """The traced settings: whether of ``update``, or else of ``init``, and their place there."""


def optimizer_graph(graph: Graph, by: Hoisted, params: Params) -> OptimizerGraph:
    """The graph of an optimizer.

    Raises:
        Unsupported: if it does not work element by element.
    """
    paths, _ = jax.tree_util.tree_flatten_with_path(params)
    state_paths, _ = jax.tree_util.tree_flatten_with_path(by.state)
    roles = [_role(path, leaf, paths) for path, leaf in state_paths]
    settings: list[tuple[tuple[bool, int], Node]] = []
    leaves = range(len(paths))
    weights = [cell(graph.input(("weight", leaf), STRIP)) for leaf in leaves]
    gradients = [cell(graph.input(("gradient", leaf), STRIP)) for leaf in leaves]
    consts = _constants(graph, settings, False, by.init_settings)
    starts = [array[()] for array in interpret(graph, by.init_jaxpr, consts, weights, is_alike=True)]
    consts = _constants(graph, settings, True, by.update_settings)
    single = [(prefix, start) for (prefix, leaf), start in zip(roles, starts, strict=True) if leaf is None]
    kinds = {prefix: max(SHARED, start.kind) for prefix, start in single}
    while True:  # numbers of the state that depend on what differs between networks differ themselves
        state = [
            graph.input(("number", prefix, kinds[prefix]), kinds[prefix], dtype_of(graph, aval.dtype))
            if leaf is None
            else graph.input(("state", prefix, leaf), STRIP, dtype_of(graph, aval.dtype))
            for (prefix, leaf), (_, aval) in zip(roles, state_paths, strict=True)
        ]
        given = [*gradients, *map(cell, state), *weights, cell(graph.input(VALUE, LANE))]
        after = [array[()] for array in interpret(graph, by.update_jaxpr, consts, given, is_alike=True)]
        news, states = after[: len(paths)], after[len(paths) :]
        single = [(prefix, new) for (prefix, leaf), new in zip(roles, states, strict=True) if leaf is None]
        grown = {prefix: new.kind for prefix, new in single if new.kind > kinds[prefix]}
        if not grown:
            break
        kinds |= grown
    if STRIP in kinds.values():
        raise Unsupported("a number in the optimizer's state that depends on single parameters")

    prefixes = tuple(dict.fromkeys(prefix for prefix, leaf in roles if leaf is not None))
    parts = {role: (before, after) for role, before, after in zip(roles, starts, states, strict=True)}

    def of_leaf(leaf: int) -> Treatment:
        """What only other parameters have of a state stays as it is."""
        known: dict[int, Node] = {}
        states = []
        for prefix in prefixes:
            own = graph.constant(0, "f"), graph.input(("state", prefix, leaf), STRIP)
            start, after = parts.get((prefix, leaf), own)
            states.append((graph.moved(start, leaf, known), graph.moved(after, leaf, known)))
        return Treatment(graph.moved(news[leaf], leaf, known), tuple(states))

    numbers = (
        Number(before, new, initial)
        for (_, leaf), before, new, initial in zip(roles, state, states, starts, strict=True)
        if leaf is None
    )
    return OptimizerGraph(tuple(map(of_leaf, leaves)), prefixes, tuple(numbers), tuple(settings))


def _constants(
    graph: Graph, settings: list[tuple[tuple[bool, int], Node]], is_update: bool, values: Sequence[Any]
) -> list[Any]:
    """What an optimizer closes over: numbers that are known, and inputs for the others, which ``settings`` gets."""
    own: list[Any] = []
    for place, value in enumerate(values):
        if not isinstance(value, jax.core.Tracer):
            own.append(value)
            continue
        if value.shape != () or not WORD <= value.dtype.itemsize <= graph.real.itemsize:
            raise Unsupported(f"a traced setting of shape {value.shape} and type {value.dtype}")
        node = graph.input(("setting", is_update, place), LANE, dtype_of(graph, value.dtype))
        settings.append(((is_update, place), node))
        own.append(cell(node))
    return own


def _role(path: tuple[Any, ...], leaf: Any, paths: Sequence[tuple[tuple[Any, ...], Any]]) -> tuple[str, int | None]:
    """Which part of the optimizer's state a leaf belongs to, and to which parameter; None for a single number."""
    for index, (own, param) in enumerate(paths):
        if path[-len(own) :] == own and leaf.shape == param.shape:
            return jax.tree_util.keystr(path[: -len(own)]), index
    if leaf.shape == ():
        return jax.tree_util.keystr(path), None
    raise Unsupported(f"an optimizer whose state has an array of shape {leaf.shape}")
