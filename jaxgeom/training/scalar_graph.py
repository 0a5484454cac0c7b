"""Graphs of single numbers, for what is elementwise in training: each node is one operation, met once.

:mod:`jaxgeom.training.trace_graph` makes them from traces of JAX, :mod:`jaxgeom.training.vector_code` turns them into
programs. What a graph cannot express raises :class:`Unsupported`, with the reason.
"""

import dataclasses
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SMALL, LARGE = 1e-30, 1e30
"""Between them, a number and its inverse are far from the ends of float32."""

CONSTANT, SHARED, LANE, STRIP = range(4)
"""Kinds of nodes, each a function of those before: constants; what is the same for all networks of a population, such
as the number of steps; one number a network; and one a parameter, a point, or whatever a program runs over."""


class Unsupported(Exception):
    """A computation that is no elementwise one on numbers, or has an operation that is not known."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Node:  # no tuple, which NumPy would take apart
    """One number."""

    number: int
    """Nodes are numbered as they are made, after their arguments."""
    op: str
    """The operation, "CONST" or "INPUT"."""
    args: tuple["Node", ...]
    kind: int
    dtype: str
    """f, i or b."""
    value: Any
    """Of constants; the names of inputs."""


class Graph:
    """Nodes, none of them twice; the floats among them are float32 numbers, or float64 ones."""

    def __init__(self, real: Any = np.float32) -> None:
        self.nodes: dict[Any, Node] = {}
        self.real = np.dtype(real)
        self._types = {"f": self.real.type, "i": int, "b": bool}

    def constant(self, value: Any, dtype: str) -> Node:
        if dtype == "i" and not -(2**31) <= int(value) < 2**31:
            raise Unsupported(f"the integer {value}")
        own = float(self.real.type(value)) if dtype == "f" else int(value) if dtype == "i" else bool(value)
        return self._node("CONST", (), CONSTANT, dtype, own)

    def input(self, name: tuple[Any, ...], kind: int, dtype: str = "f") -> Node:
        return self._node("INPUT", (), kind, dtype, name)

    def apply(self, op: str, *args: Node) -> Node:
        """An operation on numbers, simplified where that is exact (but for the sign of zero)."""
        if op == "POW" and args[1].dtype == "i":
            args = (args[0], self.apply("CVT", args[1]))
        number = args[-1].dtype
        if number == "i" and op in _OF_INTEGERS:
            return _OF_INTEGERS[op](self, args[0])
        is_int = op in (_ON_INTEGERS if number == "i" else _ON_CONDITIONS if number == "b" else ())
        allowed = _ON_CONDITIONS | _CHOICES if number == "b" else _ON_INTEGERS | _CHOICES | {"CVT"}
        if number != "f" and op not in allowed - ({"NOT", "AND", "OR"} if number == "i" else set()):
            raise Unsupported(f"the operation {op.lower()} on {'conditions' if number == 'b' else 'integers'}")
        dtype = "b" if op in _CONDITIONS else {"CVT": "f", "CVT_I": "i"}.get(op, args[-1].dtype)
        if all(arg.kind == CONSTANT for arg in args):
            with np.errstate(all="ignore"):
                return self.constant(_FOLDED[op](*[self._types[arg.dtype](arg.value) for arg in args]), dtype)
        simpler = self._simplified(op, args, is_int)
        if simpler is not None:
            return simpler
        if op in ("ADD", "MUL") and args[0].number > args[1].number:
            args = args[::-1]
        return self._node(f"{op}_I" if is_int else op, args, max(arg.kind for arg in args), dtype, None)

    def total(self, node: Node) -> Node:
        """The sum of a number over all parameters of the leaf that it belongs to: one number a network."""
        places = {each.value[-1] for each in inputs_of(node) if each.kind == STRIP}
        if node.kind != STRIP or len(places) != 1:
            raise Unsupported("a sum over parameters of more than one leaf, or of none")
        (place,) = places
        return self._node("SUM", (self.moved(node, place),), LANE, "f", place)

    def moved(self, node: Node, place: Any, known: dict[int, Node] | None = None) -> Node:
        """A node with its inputs taken from place 0: the last items of their names are places.

        Args:
            node: what to move.
            place: the only place that its inputs may come from.
            known: nodes that were moved before, by number, which are added to.

        Raises:
            Unsupported: if the node depends on inputs of another place.
        """
        known = {} if known is None else known
        if node.kind < STRIP or node.number in known:
            return known.get(node.number, node)
        if node.op == "INPUT":
            if node.value[-1] != place:
                raise Unsupported("what differs between parameters or points depends on others of them")
            moved = self.input((*node.value[:-1], 0), STRIP, node.dtype)
        else:
            args = tuple(self.moved(arg, place, known) for arg in node.args)
            if node.op in ("ADD", "MUL"):
                args = tuple(sorted(args, key=lambda arg: arg.number))  # as apply does
            moved = self._node(node.op, args, STRIP, node.dtype, node.value)
        known[node.number] = moved
        return moved

    def _simplified(self, op: str, args: Sequence[Node], is_int: bool) -> Node | None:
        known = [arg.value if arg.kind == CONSTANT else None for arg in args]
        if op == "MUL" and not is_int:
            for one, other in ((0, 1), (1, 0)):
                if known[one] == 1:
                    return args[other]
                if known[one] == -1:
                    return self.apply("NEG", args[other])
        if op == "ADD":
            for one, other in ((0, 1), (1, 0)):
                if known[one] == 0:
                    return args[other]
        if op == "SUB" and known[1] == 0:
            return args[0]
        if op == "DIV" and not is_int:
            if known[1] == 1:
                return args[0]
            # One rounding more, and no division for each parameter. Inverses that are subnormal would be lost.
            if args[1].kind < args[0].kind and (known[1] is None or SMALL < abs(known[1]) < LARGE):
                return self.apply("MUL", args[0], self.apply("DIV", self.constant(1, "f"), args[1]))
        if op == "NEG" and args[0].op == "NEG":
            return args[0].args[0]
        if op == "SINGLE" and args[0].op == "SINGLE":
            return args[0]
        if op == "SELECT":
            if known[0] is not None:
                return args[1] if known[0] else args[2]
            if args[1] is args[2]:
                return args[1]
        if op == "MAX" and -np.inf in known:
            return args[1 - known.index(-np.inf)]
        return None

    def _node(self, op: str, args: tuple[Node, ...], kind: int, dtype: str, value: Any) -> Node:
        exact = value.hex() if isinstance(value, float) else value  # NaN, and zeros of either sign
        key = (op, tuple(arg.number for arg in args), dtype, type(value).__name__, exact)
        if key not in self.nodes:
            self.nodes[key] = Node(len(self.nodes), op, args, kind, dtype, value)
        return self.nodes[key]


_ON_INTEGERS = {"ADD", "SUB", "MUL", "DIV", "REM", "MAX", "MIN", "EQ", "NE", "LT", "LE", "GT", "GE"}
_ON_CONDITIONS = {"EQ", "NE"}
_CHOICES = {"AND", "OR", "NOT", "SELECT", "COPY"}
_OF_INTEGERS: dict[str, Callable[["Graph", "Node"], "Node"]] = {
    "NEG": lambda graph, x: graph.apply("SUB", graph.constant(0, "i"), x),
    "SQUARE": lambda graph, x: graph.apply("MUL", x, x),
    "ABS": lambda graph, x: graph.apply("SELECT", _is_negative(graph, x), graph.apply("NEG", x), x),
    "SIGN": lambda graph, x: graph.apply(
        "SELECT",
        _is_negative(graph, x),
        graph.constant(-1, "i"),
        graph.apply("SELECT", graph.apply("EQ", x, graph.constant(0, "i")), x, graph.constant(1, "i")),
    ),
}
"""What the machine does not do to integers itself."""


def _is_negative(graph: "Graph", x: "Node") -> "Node":
    return graph.apply("LT", x, graph.constant(0, "i"))


_CONDITIONS = {"EQ", "NE", "LT", "LE", "GT", "GE", "AND", "OR", "NOT", "FINITE"}


def _erf(x: Any) -> Any:
    from scipy.special import erf

    return erf(np.float64(x))


_FOLDED: dict[str, Callable[..., Any]] = {
    "ADD": operator.add,
    "SUB": operator.sub,
    "MUL": operator.mul,
    "DIV": lambda x, y: x / y if isinstance(x, np.floating) else int(x / y),
    "REM": np.fmod,
    "MAX": np.maximum,
    "MIN": np.minimum,
    "NEG": operator.neg,
    "ABS": abs,
    "SQRT": np.sqrt,
    "POW": lambda x, y: np.float64(x) ** np.float64(y),
    "EXP": lambda x: np.exp(np.float64(x)),
    "EXPM1": lambda x: np.expm1(np.float64(x)),
    "LOG": lambda x: np.log(np.float64(x)),
    "LOG1P": lambda x: np.log1p(np.float64(x)),
    "TANH": lambda x: np.tanh(np.float64(x)),
    "SIN": lambda x: np.sin(np.float64(x)),
    "COS": lambda x: np.cos(np.float64(x)),
    "ERF": _erf,
    "LOGISTIC": lambda x: 1 / (1 + np.exp(-np.float64(x))),
    "FLOOR": np.floor,
    "SIGN": np.sign,
    "SQUARE": lambda x: x * x,
    "SELECT": lambda mask, yes, no: yes if mask else no,
    "EQ": operator.eq,
    "NE": operator.ne,
    "LT": operator.lt,
    "LE": operator.le,
    "GT": operator.gt,
    "GE": operator.ge,
    "AND": lambda x, y: x and y,
    "OR": lambda x, y: x or y,
    "NOT": operator.not_,
    "CVT": float,
    "CVT_I": int,
    "FINITE": np.isfinite,
    "SINGLE": np.float32,
}


def inputs_of(node: Node) -> list[Node]:
    """The inputs that a node depends on, but for those of sums over parameters."""
    found: dict[int, Node] = {}
    seen: set[int] = set()

    def visit(each: Node) -> None:
        if each.number in seen or each.op == "SUM":
            return
        seen.add(each.number)
        if each.op == "INPUT":
            found[each.number] = each
        for arg in each.args:
            visit(arg)

    visit(node)
    return list(found.values())
