"""Programs for the vector machine of the compiled engine (``engine/machine.h``), from graphs of single numbers."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32

from jaxgeom.engine.library import Machine
from jaxgeom.training.scalar_graph import CONSTANT, SHARED, STRIP, Node, Unsupported

TEMPORARY, ARRAY, SCALAR = 0, 1 << 16, 2 << 16
"""Classes of places, to which an index is added."""
_NUMBERS = 6

Code = Int32[np.ndarray, "_ 6"]


class Scalars:
    """The scalars of all programs of a run, each one vector: constants, and nodes of the kinds SHARED and LANE."""

    def __init__(self, real: Any = np.float32) -> None:
        self.real = np.dtype(real)
        self.bits: list[int] = []
        self.places: dict[object, int] = {}
        self.nodes: list[Node] = []

    def place(self, node: Node) -> int:
        """Where a node's number is."""
        key: object = (node.dtype, self.bits_of(node)) if node.kind == CONSTANT else node.number
        if key not in self.places:
            self.places[key] = len(self.bits)
            self.bits.append(self.bits_of(node) if node.kind == CONSTANT else 0)
            if node.kind != CONSTANT:
                self.nodes.append(node)
        return self.places[key]

    def bits_of(self, node: Node) -> int:
        """The bits of a constant as the machine has it: conditions are all ones or zeros."""
        if node.dtype == "f":
            return int(np.array(node.value, self.real).view(self.word))
        return -int(node.value) if node.dtype == "b" else int(node.value)

    @property
    def word(self) -> np.dtype:
        """Whole numbers as wide as floats."""
        return np.dtype(f"i{self.real.itemsize}")

    def __contains__(self, node: Node) -> bool:
        return node.number in self.places


class Schedule(NamedTuple):
    """What all networks share, for the machine to compute once a step."""

    code: Code
    slots: list[int]
    """Bits of all numbers before the first step."""
    targets: list[int]
    """The scalars that are set at every step."""
    sources: list[int]
    """The slots that they are set from."""
    carry: list[int]
    """Pairs of slots: the new number of a step, and where the next step finds it."""


def strip_code(
    machine: Machine,
    scalars: Scalars,
    inputs: Sequence[tuple[Any, ...] | None],
    outputs: Sequence[tuple[Node, int]],
) -> tuple[Code, int]:
    """A program over arrays, and how many temporaries it needs.

    Args:
        machine: its operations.
        scalars: where operands are found that are not strips; those that are missing are added.
        inputs: names of the input nodes that the arrays hold, in order of the arrays.
        outputs: nodes, and the arrays that they go to.

    Raises:
        Unsupported: for operations that the machine lacks.
    """
    order = in_order(node for node, _ in outputs)
    fused = _fused(order, [node for node, _ in outputs])
    strips = [n for n in order if n.kind == STRIP and n.op != "INPUT" and fused.get(n.number, n) is not None]
    operations = {n.number: fused.get(n.number) or (n.op, n.args) for n in strips}
    operands = {number: args for number, (_, args) in operations.items()}
    array_of = {name: index for index, name in enumerate(inputs) if name is not None}
    last_use: dict[int, int] = {}
    for time, node in enumerate(strips):
        last_use.update((arg.number, time) for arg in operands[node.number])
    last_use.update((node.number, len(strips)) for node, _ in outputs)
    array_is_free = {
        array_of[n.value]: last_use.get(n.number, -1) for n in order if n.op == "INPUT" and n.kind == STRIP
    }
    targets: dict[int, list[int]] = {}
    for node, array in outputs:
        targets.setdefault(node.number, []).append(array)

    places: dict[int, int] = {}
    code: list[list[int]] = []
    copies: list[tuple[Node, int]] = []
    free: list[int] = []
    num_temporaries = 0

    def place(node: Node) -> int:
        if node.kind != STRIP:
            return SCALAR + scalars.place(node)
        return places[node.number] if node.number in places else ARRAY + array_of[node.value]

    def write(op: str, to: int, args: Sequence[Node]) -> None:
        if op not in machine.operations:
            raise Unsupported(f"the operation {op.lower()} on vectors")
        own = [machine.operations[op], to, *map(place, args)]
        code.append(own + [SCALAR] * (_NUMBERS - len(own)))

    for time, node in enumerate(strips):
        args = operands[node.number]
        for number in dict.fromkeys(arg.number for arg in args if arg.kind == STRIP):  # known.h expects their order
            if last_use[number] == time and places.get(number, ARRAY) < ARRAY:
                free.append(places[number])
        to = None
        for array in targets.get(node.number, []):  # straight to its array, unless what is there is needed later
            if to is None and array_is_free.get(array, -1) <= time:
                to = ARRAY + array
            else:
                copies.append((node, array))
        if to is None:
            if not free:
                free.append(num_temporaries)
                num_temporaries += 1
            to = free.pop()
        write(operations[node.number][0], to, args)
        places[node.number] = to
    overwritten: set[int] = set()
    for node, array in outputs:
        if (node.kind < STRIP or node.op == "INPUT") and place(node) != ARRAY + array:
            if place(node) in overwritten:
                raise Unsupported("arrays that change places")
            write("COPY", ARRAY + array, [node])
            overwritten.add(ARRAY + array)
    for node, array in copies:
        write("COPY", ARRAY + array, [node])
    return np.array(code, np.int32).reshape(-1, _NUMBERS), num_temporaries


def lane_code(machine: Machine, scalars: Scalars, nodes: Iterable[Node]) -> Code:
    """The program that computes nodes of the kind LANE, each into its scalar."""
    code = []
    for node in nodes:
        if node.op not in machine.operations:
            raise Unsupported(f"the operation {node.op.lower()} on vectors")
        own = [machine.operations[node.op], *[SCALAR + scalars.place(each) for each in (node, *node.args)]]
        code.append(own + [SCALAR] * (_NUMBERS - len(own)))
    return np.array(code, np.int32).reshape(-1, _NUMBERS)


def copy_code(machine: Machine, scalars: Scalars, pairs: Iterable[tuple[Node, Node]]) -> Code:
    """The program that copies scalars: pairs of where to, and from where."""
    code = [
        [machine.operations["COPY"], SCALAR + scalars.place(to), SCALAR + scalars.place(node), *[SCALAR] * 3]
        for to, node in pairs
    ]
    return np.array(code, np.int32).reshape(-1, _NUMBERS)


def schedule_code(machine: Machine, scalars: Scalars, state: Iterable[tuple[Node, Node, Node]]) -> Schedule:
    """The program of what all networks share.

    Args:
        machine: its operations.
        scalars: those among them that are SHARED are set.
        state: (before a step, after it, at the start) for every number that goes from step to step.
    """
    code: list[list[int]] = []
    slots: list[int] = []
    places: dict[int, int] = {}

    def slot(node: Node) -> int:
        if node.number not in places:
            args = [slot(arg) for arg in node.args]
            places[node.number] = len(slots)
            slots.append(
                (int(node.value) if node.dtype == "b" else scalars.bits_of(node)) if node.kind == CONSTANT else 0
            )
            if node.args:
                if node.op not in machine.shared:
                    raise Unsupported(f"the operation {node.op.lower()} on what networks share")
                own = [machine.shared[node.op], places[node.number], *args]
                code.append(own + [0] * (_NUMBERS - len(own)))
        return places[node.number]

    def negated(place: int) -> int:
        """A condition as vectors have it, all ones."""
        slots.extend([0, 0])
        code.append([machine.shared["SUB_I"], len(slots) - 1, len(slots) - 2, place, 0, 0])
        return len(slots) - 1

    shared = [node for node in scalars.nodes if node.kind == SHARED]
    sources = [negated(slot(node)) if node.dtype == "b" else slot(node) for node in shared]
    carry = []
    for before, after, start in state:
        own = slot(before)
        slots[own] = scalars.bits_of(start)
        carry += [slot(after), own]
    targets = [scalars.place(node) for node in shared]
    return Schedule(np.array(code, np.int32).reshape(-1, _NUMBERS), slots, targets, sources, carry)


def in_order(nodes: Iterable[Node]) -> list[Node]:
    """Nodes and all that they depend on, each after its arguments; of sums over parameters only the sums."""
    order: dict[int, Node] = {}

    def visit(node: Node) -> None:
        if node.number not in order:
            for arg in node.args if node.op != "SUM" else ():
                visit(arg)
            order[node.number] = node

    for node in nodes:
        visit(node)
    return list(order.values())


def _fused(order: Sequence[Node], outputs: Sequence[Node]) -> dict[int, tuple[str, tuple[Node, ...]] | None]:
    """Nodes that one instruction computes together with what they alone use (which is then None)."""
    uses: dict[int, int] = {}
    for each in [*(arg for node in order for arg in node.args), *outputs]:
        uses[each.number] = uses.get(each.number, 0) + 1
    fused: dict[int, tuple[str, tuple[Node, ...]] | None] = {}

    def is_own(node: Node, *ops: str) -> bool:
        return node.op in ops and node.kind == STRIP and uses[node.number] == 1 and node.number not in fused

    def factors(node: Node) -> tuple[Node, Node]:
        return (node.args * 2)[0], (node.args * 2)[1]

    for node in order:
        if node.kind != STRIP or node.op not in ("ADD", "SUB"):
            continue
        for index in (1, 0):
            product, other = node.args[index], node.args[1 - index]
            if is_own(product, "MUL", "SQUARE"):
                op = "FMA" if node.op == "ADD" else "FMS" if index == 0 else "FNMA"
                fused[product.number], fused[node.number] = None, (op, (*factors(product), other))
                break
    for node in order:
        if node.kind != STRIP or node.op != "ADD":
            continue
        own = fused.get(node.number)
        if node.number not in fused:
            for index in (1, 0):
                root, other = node.args[index], node.args[1 - index]
                if is_own(root, "SQRT") and is_own(root.args[0], "MUL"):
                    fused[root.number] = fused[root.args[0].number] = None
                    fused[node.number] = "ROOTADD", (*root.args[0].args, other)
                    break
        elif own is not None and own[0] == "FMA" and is_own(own[1][2], "MUL", "SQUARE"):
            fused[own[1][2].number] = None
            fused[node.number] = "EMA", (*own[1][:2], *factors(own[1][2]))
    return fused
