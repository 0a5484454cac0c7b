"""A step of an optimizer on networks in lanes: its graph, evaluated for every parameter of a network."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxgeom.training.lane_graph import Values, evaluate
from jaxgeom.training.optimizer_graph import OptimizerGraph
from jaxgeom.training.scalar_graph import LANE, Node
from jaxgeom.training.vector_code import in_order

DTYPES: dict[str, Any] = {"f": jnp.float32, "i": jnp.int32, "b": jnp.bool_}
Numbers = list[Any]
"""Arrays over lanes."""


class StateStore(NamedTuple):
    """Where the parts of the optimizer's state are that are shaped like the parameters."""

    read: Callable[[int, int], Any]
    """``read(part, parameter)``."""
    write: Callable[[int, int, Any], None]
    """``write(part, parameter, value)``."""


class LaneOptimizer(NamedTuple):
    """An optimizer, and whose parameters are its leaves."""

    graph: OptimizerGraph
    leaves: Sequence[np.ndarray]
    """The places of the parameters of each leaf."""
    loss: Node
    """The input that is the loss of a batch."""

    def start(self, params: Numbers, settings: Numbers, store: StateStore, zeros: Array) -> Numbers:
        """The numbers of the state before the first step; the rest is written."""
        numbers = {node.number: value for (_, node), value in zip(self.graph.settings, settings, strict=True)}
        given = self._inputs(numbers, params, [], store)
        for leaf, treatment in zip(self.leaves, self.graph.treatments, strict=True):
            for place in leaf.ravel():
                own: Values = {}
                for part, (initial, _) in enumerate(treatment.states):
                    store.write(part, place, evaluate(initial, numbers, own, given(place)) + zeros)
        counts = [evaluate(each.initial, numbers, {}, given(0)) for each in self.graph.numbers]
        return [
            jnp.broadcast_to(jnp.asarray(value, DTYPES[each.before.dtype]), zeros.shape if _is_own(each.before) else ())
            for value, each in zip(counts, self.graph.numbers, strict=True)
        ]

    def step(
        self, params: Numbers, gradients: Numbers, loss: Array, counts: Numbers, settings: Numbers, store: StateStore
    ) -> tuple[Numbers, Numbers]:
        """The next parameters, and the next numbers of the state; the rest of it is read and written.

        Args:
            params: all parameters of a network.
            gradients: of the mean loss of a batch.
            loss: that mean.
            counts: numbers of the state.
            settings: those that are traced.
            store: the rest of the state.
        """
        graph = self.graph
        numbers = {node.number: value for (_, node), value in zip(graph.settings, settings, strict=True)}
        numbers |= {each.before.number: value for each, value in zip(graph.numbers, counts, strict=True)}
        numbers[self.loss.number] = loss
        given = self._inputs(numbers, params, gradients, store)
        ends = [node for each in graph.treatments for node in (each.new, *(after for _, after in each.states))]
        ends += [each.new for each in graph.numbers]
        for node in in_order(ends):  # before any state is written, since sums read that of other parameters
            if node.kind == LANE:
                evaluate(node, numbers, {}, given(0))
        new = list(params)
        for leaf, treatment in zip(self.leaves, graph.treatments, strict=True):
            for place in leaf.ravel():
                own: Values = {}
                new[place] = evaluate(treatment.new, numbers, own, given(place))
                states = [evaluate(after, numbers, own, given(place)) for _, after in treatment.states]
                for part, value in enumerate(states):
                    store.write(part, place, value)
        after = [evaluate(each.new, numbers, {}, given(0)) for each in graph.numbers]
        return new, [
            jnp.broadcast_to(jnp.asarray(value, before.dtype), before.shape)
            for value, before in zip(after, counts, strict=True)
        ]

    def _inputs(
        self, numbers: Values, params: Numbers, gradients: Numbers, store: StateStore
    ) -> Callable[[int], Callable[[Node], Any]]:
        """The inputs of one parameter's treatment, by its place, and sums over parameters."""

        def of_place(place: int) -> Callable[[Node], Any]:
            def given(node: Node) -> Any:
                if node.op == "SUM":
                    places = self.leaves[node.value].ravel()
                    return sum(evaluate(node.args[0], numbers, {}, of_place(own)) for own in places)
                kind, *rest = node.value
                if kind == "state":
                    return store.read(self.graph.prefixes.index(rest[0]), place)
                return {"weight": params, "gradient": gradients}[kind][place]

            return given

        return of_place


def _is_own(node: Node) -> bool:
    """Whether each network has a number of its own."""
    return node.kind == LANE
