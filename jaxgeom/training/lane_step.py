"""A step of an optimizer on networks in lanes: its graph, evaluated for every parameter of a network."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxgeom.training.lane_graph import Arithmetic, Values
from jaxgeom.training.optimizer_graph import VALUE, OptimizerGraph
from jaxgeom.training.scalar_graph import LANE, STRIP, Graph, Node
from jaxgeom.training.vector_code import in_order

DTYPES: dict[str, Any] = {"f": jnp.float32, "i": jnp.int32, "b": jnp.bool_}
Numbers = list[Any]
"""Arrays over lanes."""
Place = Any
"""Which parameter, a Python integer or a traced one."""


class Memory(NamedTuple):
    """Where parameters, their gradients and their part of the optimizer's state are, in registers or in memory."""

    read: Callable[[str, int, Place], Any]
    """``read("weight" | "gradient" | "state", part, place)``; only states have other parts than 0."""
    write: Callable[[str, int, Place, Any], None]
    """``write(kind, part, place, value)``."""
    each: Callable[[Sequence[int], Callable[[Place, Any], Any], Any], Any]
    """``each(places, function, carry)``: the carry after ``carry = function(place, carry)`` for all places."""


class LaneOptimizer(NamedTuple):
    """An optimizer, and whose parameters are its leaves."""

    graph: OptimizerGraph
    leaves: tuple[tuple[int, ...], ...]
    """The places of the parameters of each leaf, one after the other."""
    loss: Node
    """The input that is the loss of a batch."""

    def start(self, arithmetic: Arithmetic, memory: Memory, settings: Numbers, zeros: Array) -> Numbers:
        """The numbers of the state before the first step; the rest is written."""
        numbers = {node.number: value for (_, node), value in zip(self.graph.settings, settings, strict=True)}
        states = [initial for each in self.graph.treatments for initial, _ in each.states]
        self._settle([*states, *(each.initial for each in self.graph.numbers)], arithmetic, numbers, memory, zeros)
        for leaf, treatment in zip(self.leaves, self.graph.treatments, strict=True):

            def begin(place: Place, carry: Array, treatment: Any = treatment) -> Array:
                own: Values = {}
                for part, (initial, _) in enumerate(treatment.states):
                    value = arithmetic.evaluate(initial, numbers, own, self._inputs(memory, place))
                    memory.write("state", part, place, value + zeros)
                return carry

            memory.each(leaf, begin, zeros)
        return [
            jnp.broadcast_to(
                jnp.asarray(arithmetic.evaluate(each.initial, numbers, {}, _settled), DTYPES[each.before.dtype]),
                zeros.shape if each.before.kind == LANE else (),
            )
            for each in self.graph.numbers
        ]

    def step(
        self, arithmetic: Arithmetic, memory: Memory, loss: Array, counts: Numbers, settings: Numbers
    ) -> tuple[Numbers, Array]:
        """The next numbers of the state, and zero, or NaN where a parameter or the loss is infinite or NaN; parameters
        and the rest of the state are read and written.

        Args:
            arithmetic: of the device.
            memory: what is read and written.
            loss: the mean loss of the batch.
            counts: numbers of the state.
            settings: those that are traced.
        """
        graph = self.graph
        numbers = {node.number: value for (_, node), value in zip(graph.settings, settings, strict=True)}
        numbers |= {each.before.number: value for each, value in zip(graph.numbers, counts, strict=True)}
        numbers[self.loss.number] = loss
        ends = [node for each in graph.treatments for node in (each.new, *(after for _, after in each.states))]
        # Sums over parameters come before any of these is written.
        self._settle([*ends, *(each.new for each in graph.numbers)], arithmetic, numbers, memory, loss * 0)
        infinite = loss * 0
        for leaf, treatment in zip(self.leaves, graph.treatments, strict=True):

            def advance(place: Place, infinite: Array, treatment: Any = treatment) -> Array:
                own: Values = {}
                given = self._inputs(memory, place)
                new = arithmetic.evaluate(treatment.new, numbers, own, given)
                states = [arithmetic.evaluate(after, numbers, own, given) for _, after in treatment.states]
                memory.write("weight", 0, place, new)
                for part, value in enumerate(states):
                    memory.write("state", part, place, value)
                total: Array = arithmetic.multiply_add(new, 0.0, infinite)
                return total

            infinite = memory.each(leaf, advance, infinite)
        after = [arithmetic.evaluate(each.new, numbers, {}, _settled) for each in graph.numbers]
        return [
            jnp.broadcast_to(jnp.asarray(value, before.dtype), before.shape)
            for value, before in zip(after, counts, strict=True)
        ], infinite

    def _settle(
        self, nodes: Iterable[Node], arithmetic: Arithmetic, numbers: Values, memory: Memory, zeros: Array
    ) -> None:
        """Evaluate what nodes need of single numbers and of sums over parameters."""

        def total(node: Node) -> Any:
            (term,) = node.args
            self._settle([term], arithmetic, numbers, memory, zeros)
            return memory.each(
                self.leaves[node.value],
                lambda place, so_far: so_far + arithmetic.evaluate(term, numbers, {}, self._inputs(memory, place)),
                zeros,
            )

        for node in in_order(nodes):
            if node.kind < STRIP:
                arithmetic.evaluate(node, numbers, {}, total)

    def _inputs(self, memory: Memory, place: Place) -> Callable[[Node], Any]:
        """The inputs of one parameter's treatment."""

        def given(node: Node) -> Any:
            kind, *rest = node.value
            return memory.read(kind, self.graph.prefixes.index(rest[0]) if kind == "state" else 0, place)

        return given


def lane_optimizer(graph: Graph, optimizer: OptimizerGraph, places: Sequence[np.ndarray]) -> LaneOptimizer:
    """An optimizer of parameters at these places, leaf by leaf."""
    leaves = tuple(tuple(map(int, leaf.ravel())) for leaf in places)
    return LaneOptimizer(optimizer, leaves, graph.input(VALUE, LANE))


def _settled(node: Node) -> Any:
    raise AssertionError(f"{node.value} was to be evaluated before")
