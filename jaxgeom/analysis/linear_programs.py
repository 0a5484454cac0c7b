"""[host] How far affine functions reach in polytopes: many small linear programs at once.

For a polytope in the cube, P = {y in [-1, 1]^dim : C y + c >= 0}, and an affine function f, the maximum of f on P. A
general solver takes 0.1 to 20 ms for each such program, most of it for its own set-up; here some thousand programs of
one shape take their steps of the dual simplex method together, each a few array operations.

The method starts in the corner of the cube where f is largest, an upper bound, and goes down: in each step the most
violated row becomes an equation, and variables between two bounds flip to the other one for as long as this lowers the
bound (the long-step rule). As soon as the bound is at most zero, f is positive nowhere on P, and this is all that is
asked; else the method ends in the maximum. What does not end in either within :data:`MOST_STEPS` is left to SciPy's
solver (HiGHS), one program at a time. Bounds are those of float64; whoever needs a certain answer checks the point.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

MOST_STEPS = 200
"""Steps of the dual simplex method; programs with 700 variables and 20 rows take some 20."""
_PIVOT = 1e-9
_FEASIBLE = 1e-11


class Maxima(NamedTuple):
    """Where affine functions exceed zero on polytopes."""

    is_positive: Bool[np.ndarray, " programs"]
    """Whether the maximum exceeds the tolerance."""
    point: Float[np.ndarray, "programs dim"]
    """Where it is attained, if it does."""
    num_left: int
    """Programs that were left to the solver."""


def maxima(
    rows: Float[np.ndarray, "programs rows columns"], objective: Float[np.ndarray, "programs columns"], tolerance: float
) -> Maxima:
    """Whether affine functions exceed a tolerance on polytopes in the cube [-1, 1]^dim, and where they are largest.

    Args:
        rows: affine functions that are at least zero on the polytope, the constant last, with gradients of length
            about 1. Zero gradients with the constant 1 stand for no condition. The polytope is not empty.
        objective: the function to maximise, with a gradient of length 1.
        tolerance: what the maximum has to exceed.
    """
    is_positive, is_done, point = _dual_simplex(rows, objective, tolerance)
    for index in np.flatnonzero(~is_done):
        is_positive[index], point[index] = _solved(rows[index], objective[index], tolerance)
    return Maxima(is_positive, point, int((~is_done).sum()))


def _solved(
    rows: Float[np.ndarray, "rows columns"], objective: Float[np.ndarray, " columns"], tolerance: float
) -> tuple[bool, Float[np.ndarray, " dim"]]:
    """One program by SciPy's solver."""
    from scipy.optimize import linprog

    found = linprog(-objective[:-1], A_ub=-rows[:, :-1], b_ub=rows[:, -1], bounds=(-1, 1), method="highs-ds")
    if found.x is None:
        return False, np.zeros(len(objective) - 1)
    return bool(objective[-1] - found.fun > tolerance), found.x


class _Programs(NamedTuple):
    """Dictionaries of programs: basic variables and the objective as affine functions of the other variables, which
    are zero. All variables are at least 0, and at most ``upper``. Coordinate j is the variable
    q = ±y + 1; its sign is kept in ``turn``, and those beyond dim are rows' values, without an upper end."""

    which: Int[np.ndarray, " programs"]
    table: Float[np.ndarray, "programs rows dim"]
    value: Float[np.ndarray, "programs rows"]
    price: Float[np.ndarray, "programs dim"]
    """By how much the objective falls with each other variable, at least 0."""
    bound: Float[np.ndarray, " programs"]
    """The objective, an upper bound of its maximum."""
    inside: Int[np.ndarray, "programs rows"]
    """Which variables are basic."""
    outside: Int[np.ndarray, "programs dim"]
    """Which are not."""
    turn: Float[np.ndarray, "programs dim"]
    """Coordinate y = turn · (1 - q)."""


def _dual_simplex(
    rows: Float[np.ndarray, "programs rows columns"], objective: Float[np.ndarray, "programs columns"], tolerance: float
) -> tuple[Bool[np.ndarray, " programs"], Bool[np.ndarray, " programs"], Float[np.ndarray, "programs dim"]]:
    """For each program, whether the maximum is positive, whether that was found out, and where it is attained."""
    num, num_rows, dim = rows.shape[0], rows.shape[1], rows.shape[2] - 1
    is_positive, is_done, point = np.zeros(num, bool), np.zeros(num, bool), np.zeros((num, dim))
    turn = np.where(objective[:, :-1] >= 0, 1.0, -1.0)
    state = _Programs(
        which=np.arange(num),
        table=-rows[..., :-1] * turn[:, None],
        value=np.einsum("prd,pd->pr", rows[..., :-1], turn) + rows[..., -1],
        price=np.abs(objective[:, :-1]),
        bound=np.abs(objective[:, :-1]).sum(axis=1) + objective[:, -1],
        inside=np.broadcast_to(dim + np.arange(num_rows), (num, num_rows)).copy(),
        outside=np.broadcast_to(np.arange(dim), (num, dim)).copy(),
        turn=turn,
    )
    for _ in range(MOST_STEPS):
        over = np.where(state.inside < dim, state.value - 2.0, -np.inf)
        is_feasible = (np.maximum(-state.value, over) <= _FEASIBLE).all(axis=1)
        is_low = state.bound <= tolerance
        is_over = is_feasible | is_low
        if is_over.any():
            ended = _take(state, is_over)
            is_done[ended.which] = True
            is_positive[ended.which] = ~is_low[is_over]
            point[ended.which] = _coordinates(ended)
            state = _take(state, ~is_over)
        if not len(state.which):
            break
        state = _take(state, _step(state, dim))
    return is_positive, is_done, point


def _take(state: _Programs, members: Bool[np.ndarray, " programs"]) -> _Programs:
    return state if members.all() else _Programs(*(array[members] for array in state))


def _coordinates(state: _Programs) -> Float[np.ndarray, "programs dim"]:
    num, dim = state.turn.shape
    q = np.zeros((num, dim + state.inside.shape[1]))
    np.put_along_axis(q, state.inside, state.value, axis=1)
    result: Float[np.ndarray, "programs dim"] = state.turn * (1 - q[:, :dim])
    return result


def _step(state: _Programs, dim: int) -> Bool[np.ndarray, " programs"]:
    """One step of each program, in place. Programs without a further step are false in the result."""
    _, table, value, price, bound, inside, outside, turn = state
    every = np.arange(len(table))

    # The most violated row; one beyond its upper end is turned to the distance from it.
    over = np.where(inside < dim, value - 2.0, -np.inf)
    leaving = np.maximum(-value, over).argmax(axis=1)
    is_above = over[every, leaving] > -value[every, leaving]
    variable = inside[every, leaving]
    value[every[is_above], leaving[is_above]] = 2.0 - value[every[is_above], leaving[is_above]]
    table[every[is_above], leaving[is_above]] *= -1.0
    turn[every[is_above], variable[is_above]] *= -1.0

    # Variables that raise it, the cheapest first: they flip until the row is satisfied.
    slope = table[every, leaving]
    can_rise = slope > _PIVOT
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(can_rise, price / slope, np.inf)
        gain = np.where(can_rise, slope * np.where(outside < dim, 2.0, np.inf), 0.0)
    order = ratio.argsort(axis=1, kind="stable")
    reached = np.cumsum(np.take_along_axis(gain, order, axis=1), axis=1) + value[every, leaving][:, None] >= 0
    place = reached.argmax(axis=1)
    is_found: Bool[np.ndarray, " programs"] = reached[every, place]
    entering = order[every, place]
    flips = np.zeros(table.shape[::2], bool)
    np.put_along_axis(flips, order, np.arange(table.shape[2]) < place[:, None], axis=1)
    flips &= can_rise & is_found[:, None]
    if flips.any():
        bound -= 2.0 * np.where(flips, price, 0.0).sum(axis=1)
        value += 2.0 * np.einsum("prd,pd->pr", table, flips.astype(np.float64))
        sign = np.where(flips, -1.0, 1.0)
        table *= sign[:, None]
        price *= sign
        at, column = np.nonzero(flips)
        turn[at, outside[at, column]] *= -1.0

    # The pivot.
    pivot = np.where(is_found, table[every, leaving, entering], 1.0)
    row = -table[every, leaving] / pivot[:, None]
    row[every, entering] = 1.0 / pivot
    level = -value[every, leaving] / pivot
    column_values = table[every, :, entering]
    cost = price[every, entering]
    table[every, :, entering] = 0.0
    price[every, entering] = 0.0
    table += column_values[:, :, None] * row[:, None]
    value += column_values * level[:, None]
    table[every, leaving] = row
    value[every, leaving] = level
    price += cost[:, None] * row
    np.maximum(price, 0.0, out=price)
    bound -= cost * level
    inside[every, leaving], outside[every, entering] = outside[every, entering], inside[every, leaving]
    return is_found
