"""An optimizer's graph (:mod:`jaxgeom.training.optimizer_graph`) as programs for the vector machine of the engine."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jaxgeom.engine.library import Machine
from jaxgeom.training import vector_code
from jaxgeom.training.optimizer_graph import VALUE, Number, OptimizerGraph, Treatment
from jaxgeom.training.scalar_graph import LANE, SHARED, STRIP, Graph, Node, Unsupported
from jaxgeom.training.vector_code import Code, Scalars

FIXED, BEFORE, AFTER = -2, -1, 0
"""When a number of a network is known: at the start, before the loss of a step, or after it; or, counted from 1, after
so many rounds of sums over parameters."""


class OptimizerCode(NamedTuple):
    """What the kernel does with gradients. The arrays of its programs are the next parameters, the parameters, their
    gradient, the arrays of the state, masks of the classes of leaves from 1 on, and those that sums are taken of."""

    step: Code
    """The next parameters and state."""
    start: Code
    """The state before the first step."""
    num_temporaries: int
    num_state: int
    """Arrays of the state, each shaped like the parameters."""
    classes: tuple[int, ...]
    """For every leaf of the parameters, in their order as a pytree, which of several kinds it is."""
    settings: tuple[tuple[tuple[bool, int], Node], ...]
    """The traced settings: whether of ``update``, or else of ``init``, and their place there."""
    shared_state: tuple[Number, ...]
    """Numbers of the state that all networks share."""
    lane_state: tuple[Number, ...]
    """Those of each network."""
    sums: tuple[tuple[Code, tuple[tuple[int, int, Node], ...]], ...]
    """For each round of sums: the program of what is summed, and (array, leaf, the sum)."""


def optimizer_code(graph: Graph, machine: Machine, scalars: Scalars, optimizer: OptimizerGraph) -> OptimizerCode:
    """The programs of an optimizer.

    Raises:
        Unsupported: if it is none of those that the machine can run.
    """
    prefixes = optimizer.prefixes
    classes = list(dict.fromkeys(optimizer.treatments))
    merged = classes[0]
    for number, own in enumerate(classes[1:], start=1):
        is_own = graph.input(("class", number, 0), STRIP, "b")
        select = partial(graph.apply, "SELECT", is_own)
        pairs = zip(own.states, merged.states, strict=True)
        states = tuple((select(a, c), select(b, d)) for (a, b), (c, d) in pairs)
        merged = Treatment(select(own.new, merged.new), states)
    inputs: list[tuple[Any, ...] | None] = [None, ("weight", 0), ("gradient", 0)]
    inputs += [("state", prefix, 0) for prefix in prefixes] + [
        ("class", number, 0) for number in range(1, len(classes))
    ]
    results = [(merged.new, 0), *((after, 3 + k) for k, (_, after) in enumerate(merged.states))]
    step, most = vector_code.strip_code(machine, scalars, inputs, results)
    at_start = [(before, 3 + k) for k, (before, _) in enumerate(merged.states)]
    start, most_at_start = vector_code.strip_code(machine, scalars, inputs, at_start)
    lane_state = tuple(each for each in optimizer.numbers if each.before.kind == LANE)
    for node in (each for own in lane_state for each in own):
        scalars.place(node)
    for _, node in optimizer.settings:
        scalars.place(node)
    sums, most_of_sums = _sums(machine, scalars, inputs)
    return OptimizerCode(
        step,
        start,
        max(most, most_at_start, most_of_sums),
        len(prefixes),
        tuple(map(classes.index, optimizer.treatments)),
        optimizer.settings,
        tuple(each for each in optimizer.numbers if each.before.kind == SHARED),
        lane_state,
        sums,
    )


def _sums(
    machine: Machine, scalars: Scalars, inputs: Sequence[tuple[Any, ...] | None]
) -> tuple[tuple[tuple[Code, tuple[tuple[int, int, Node], ...]], ...], int]:
    """The rounds of sums over parameters that the scalars need, and how many temporaries their programs do."""
    rounds: dict[int, list[Node]] = {}
    seen: set[int] = set()
    known: dict[int, int] = {}
    while True:  # what is summed may depend on further sums
        new = [n for n in vector_code.in_order(list(scalars.nodes)) if n.op == "SUM" and n.number not in seen]
        if not new:
            break
        for node in new:
            seen.add(node.number)
            scalars.place(node)
            rounds.setdefault(when_known(node, known), []).append(node)
            for each in vector_code.in_order(node.args):
                if each.kind == LANE:
                    scalars.place(each)
    code, most = [], 1
    for number in sorted(rounds):
        summed = list(dict.fromkeys(node.args[0] for node in rounds[number]))
        own, num = vector_code.strip_code(
            machine, scalars, inputs, [(node, len(inputs) + k) for k, node in enumerate(summed)]
        )
        code.append(
            (own, tuple((len(inputs) + summed.index(node.args[0]), node.value, node) for node in rounds[number]))
        )
        most = max(most, num)
    if sorted(rounds) != list(range(1, len(rounds) + 1)):
        raise Unsupported("sums over parameters in an order that is not known")
    return tuple(code), most


def when_known(node: Node, known: dict[int, int]) -> int:
    """When a number of a network, or one of each parameter, is known: FIXED, BEFORE, AFTER, or a round of sums.

    Args:
        node: what is asked for.
        known: answers by number of the node, which are added to.
    """
    if node.number not in known:
        if node.op == "INPUT":
            when = AFTER if node.value == VALUE else FIXED if node.value[0] in _GIVEN else BEFORE
        else:
            when = max((when_known(arg, known) for arg in node.args), default=FIXED)
        if node.op == "SUM":
            when = max(AFTER, when) + 1
        known[node.number] = when
    return known[node.number]


_GIVEN = ("setting", "weight", "gradient", "state", "class")
"""First items of the names of inputs that no number of a network has to wait for."""


def lane_programs(
    machine: Machine, scalars: Scalars, optimizer: OptimizerCode
) -> tuple[Code, Code, Code, tuple[Code, ...]]:
    """The programs of what is one number a network: at the start, in every step before and after its loss is known,
    and after every round of sums."""
    known: dict[int, int] = {}
    order = [n for n in vector_code.in_order(list(scalars.nodes)) if n.kind == LANE and n.op not in ("INPUT", "SUM")]

    def at(when: int) -> Iterable[Node]:
        return [node for node in order if when_known(node, known) == when]

    starts = [(own.before, own.initial) for own in optimizer.lane_state]
    start = np.concatenate(
        [vector_code.lane_code(machine, scalars, at(FIXED)), vector_code.copy_code(machine, scalars, starts)]
    )
    rounds = (vector_code.lane_code(machine, scalars, at(number + 1)) for number in range(len(optimizer.sums)))
    before, after = (vector_code.lane_code(machine, scalars, at(when)) for when in (BEFORE, AFTER))
    return start, before, after, tuple(rounds)
