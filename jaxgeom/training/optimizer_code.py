"""An optimizer as programs for the vector machine of the compiled engine: one step of all parameters of a network.

The optimizer must work element by element, with what it likes of single numbers beside it (counts, schedules, settings,
the loss) and with sums over the parameters of a layer, such as norms of gradients. It may treat parameters differently
by where they are: weights with decay, and biases without.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgeom._typing import Params
from jaxgeom.engine.library import Machine
from jaxgeom.training import vector_code
from jaxgeom.training.optimizers import Hoisted
from jaxgeom.training.scalar_graph import LANE, SHARED, STRIP, Graph, Node, Unsupported
from jaxgeom.training.trace_graph import cell, dtype_of, interpret
from jaxgeom.training.vector_code import Code, Scalars

FLOAT32_BYTES = 4
"""Size of the numbers that the engine trains with."""

VALUE = ("value",)
"""Name of the input that is the loss of a batch."""
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
    shared_state: tuple[tuple[Node, Node, Node], ...]
    """Numbers of the state that all networks share: before a step, after it, at the start."""
    lane_state: tuple[tuple[Node, Node, Node], ...]
    """Those of each network."""
    sums: tuple[tuple[Code, tuple[tuple[int, int, Node], ...]], ...]
    """For each round of sums: the program of what is summed, and (array, leaf, the sum)."""


def optimizer_code(graph: Graph, machine: Machine, scalars: Scalars, by: Hoisted, params: Params) -> OptimizerCode:
    """The programs of an optimizer.

    Raises:
        Unsupported: if it is none of those that the machine can run.
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
            graph.input(("number", prefix, kinds[prefix]), kinds[prefix], dtype_of(aval.dtype))
            if leaf is None
            else graph.input(("state", prefix, leaf), STRIP, dtype_of(aval.dtype))
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

    prefixes = list(dict.fromkeys(prefix for prefix, leaf in roles if leaf is not None))
    parts = {role: (before, after) for role, before, after in zip(roles, starts, states, strict=True)}

    def of_leaf(leaf: int) -> tuple[Node, ...]:
        """What is done to one parameter: its next value, and every part of its state at the start and after a step.
        What only other parameters have of a state stays as it is."""
        nodes = [news[leaf]]
        known: dict[int, Node] = {}
        for prefix in prefixes:
            own = graph.constant(0, "f"), graph.input(("state", prefix, leaf), STRIP)
            nodes += parts.get((prefix, leaf), own)
        return tuple(graph.moved(node, leaf, known) for node in nodes)

    treatments = [of_leaf(leaf) for leaf in leaves]
    classes = list(dict.fromkeys(treatments))
    merged = list(classes[0])
    for number, own in enumerate(classes[1:], start=1):
        is_own = graph.input(("class", number, 0), STRIP, "b")
        merged = [graph.apply("SELECT", is_own, node, other) for node, other in zip(own, merged, strict=True)]
    inputs: list[tuple[Any, ...] | None] = [None, ("weight", 0), ("gradient", 0)]
    inputs += [("state", prefix, 0) for prefix in prefixes] + [
        ("class", number, 0) for number in range(1, len(classes))
    ]
    results = [(merged[0], 0), *((node, 3 + k) for k, node in enumerate(merged[2::2]))]
    step, most = vector_code.strip_code(machine, scalars, inputs, results)
    at_start = [(node, 3 + k) for k, node in enumerate(merged[1::2])]
    start, most_at_start = vector_code.strip_code(machine, scalars, inputs, at_start)
    numbers = [
        (before, new, initial)
        for (_, leaf), before, new, initial in zip(roles, state, states, starts, strict=True)
        if leaf is None
    ]
    lane_state = tuple(each for each in numbers if each[0].kind == LANE)
    for node in (each for own in lane_state for each in own):
        scalars.place(node)
    for _, node in settings:
        scalars.place(node)
    sums, most_of_sums = _sums(machine, scalars, inputs)
    return OptimizerCode(
        step,
        start,
        max(most, most_at_start, most_of_sums),
        len(prefixes),
        tuple(map(classes.index, treatments)),
        tuple(settings),
        tuple(each for each in numbers if each[0].kind == SHARED),
        lane_state,
        sums,
    )


def _constants(
    graph: Graph, settings: list[tuple[tuple[bool, int], Node]], is_update: bool, values: Sequence[Any]
) -> list[Any]:
    """What an optimizer closes over: numbers that are known, and inputs for the others, which ``settings`` gets."""
    own: list[Any] = []
    for place, value in enumerate(values):
        if not isinstance(value, jax.core.Tracer):
            own.append(value)
            continue
        if value.shape != () or value.dtype.itemsize != FLOAT32_BYTES:
            raise Unsupported(f"a traced setting of shape {value.shape} and type {value.dtype}")
        node = graph.input(("setting", is_update, place), LANE, dtype_of(value.dtype))
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

    starts = [(before, initial) for before, _, initial in optimizer.lane_state]
    start = np.concatenate(
        [vector_code.lane_code(machine, scalars, at(FIXED)), vector_code.copy_code(machine, scalars, starts)]
    )
    rounds = (vector_code.lane_code(machine, scalars, at(number + 1)) for number in range(len(optimizer.sums)))
    before, after = (vector_code.lane_code(machine, scalars, at(when)) for when in (BEFORE, AFTER))
    return start, before, after, tuple(rounds)
