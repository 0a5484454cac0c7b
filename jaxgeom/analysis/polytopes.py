"""[host] Cells of a network's activation patterns as lists of inequalities, with a point inside each.

A cell is given by a pattern of the units that were decided so far. On it the next unit is an affine function, found by
going backwards through the layers; two cells come of it if the function has both signs inside. One sign is that at the
cell's point. Whether there is the other one is asked first of the range on the whole box, and then of a linear program
(:mod:`jaxgeom.analysis.linear_programs`), whose answer is a point with the other sign: the new cell's, moved inside.

The box is scaled to the cube [-1, 1]^dim. Where the first layer has fewer units than the network has inputs, functions
are written as those of the first layer's pre-activations, which are few.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom.analysis.linear_programs import maxima
from jaxgeom.domains import Box
from jaxgeom.networks.layers import Dense, Layers, slope_of

_ROUNDING = 1e-13
_NEAR_ZERO = 1e-12
_PROGRAM_BYTES = 2**22
_SMALL_PROGRAMS = 1024
_ASCENTS = 12


class Cube(NamedTuple):
    """A network on the cube [-1, 1]^dim, every unit scaled by a power of two to weights of about 1."""

    hidden: Layers
    """The hidden layers, each with its slopes."""
    is_reduced: bool
    """Whether functions are written as those of the first layer's pre-activations, and not of the coordinates."""

    @property
    def starts(self) -> list[int]:
        """Where the units of each layer begin in a pattern; the last entry is the number of hidden units."""
        result: list[int] = np.cumsum([0, *(len(layer.bias) for layer in self.hidden)]).tolist()
        return result


class Cells(NamedTuple):
    """Cells, and what is known of them."""

    pattern: Bool[np.ndarray, "cells units"]
    """Which units are active; False for those that are not decided yet."""
    is_cut: Bool[np.ndarray, "cells units"]
    """Which units have cut, so that the cell lies on one side of them and other cells on the other."""
    rows: Float[np.ndarray, "cells rows columns"]
    """Functions that are positive on the cell, one for each unit that has cut, as :class:`Cube` writes them; with
    gradients of length 1 on the cube. Unused rows are (0, …, 0, 1)."""
    num_rows: Int[np.ndarray, " cells"]
    """How many rows are used."""
    point: Float[np.ndarray, "cells dim"]
    """A point of the cell's interior."""

    def take(self, members: np.ndarray) -> "Cells":
        """Some of the cells."""
        taken = Cells(*(array[members] for array in self))
        return taken._replace(rows=taken.rows[:, : max(taken.num_rows.max(initial=0), 1)])


def cube_of(layers: Layers, domain: Box) -> Cube:
    """The hidden layers of a network in float64, on a box that is scaled to the cube."""
    center, radius = domain.low / 2 + domain.high / 2, domain.high / 2 - domain.low / 2
    hidden: list[Dense] = []
    exponents = np.zeros(len(center), np.int64)
    for index, layer in enumerate(layers[:-1]):
        kernel, bias = np.asarray(layer.kernel, np.float64), np.asarray(layer.bias, np.float64)
        if index == 0:
            kernel, bias = kernel * radius[:, None], bias + center @ kernel
        rows = np.concatenate([kernel, bias[None]])
        into = np.append(exponents, 0)[:, None]
        sizes = np.where(rows != 0, np.frexp(rows)[1] + into, np.iinfo(np.int64).min).max(axis=0)
        exponents = np.where((rows != 0).any(axis=0), sizes, 0)
        rows = np.ldexp(rows, np.clip(into - exponents, -4000, 4000))
        slope = np.broadcast_to(np.asarray(slope_of(layer), np.float64), bias.shape)
        hidden.append(Dense(rows[:-1], rows[-1], slope))
    is_reduced = bool(hidden) and hidden[0].kernel.shape[1] < hidden[0].kernel.shape[0]
    return Cube(tuple(hidden), is_reduced)


def first_cell(cube: Cube, dim: int, random: np.random.Generator) -> Cells:
    """The whole cube, with a random point near its centre."""
    base = cube.hidden[0].kernel.shape[1] if cube.is_reduced else dim
    rows = np.zeros((1, 1, base + 1))
    rows[..., -1] = 1.0
    point = random.uniform(-0.25, 0.25, (1, dim))
    units = np.zeros((1, cube.starts[-1]), bool)
    return Cells(units, units, rows, np.zeros(1, np.int64), point)


class Functions(NamedTuple):
    """One unit's affine function on each cell."""

    row: Float[np.ndarray, "cells columns"]
    """As :class:`Cube` writes them, with gradients of length 1 on the cube, unless they are zero."""
    low: Float[np.ndarray, " cells"]
    """Lower end of the range on the cube; more than zero only where that is no matter of rounding."""
    high: Float[np.ndarray, " cells"]
    """Upper end, likewise."""


def unit_functions(cube: Cube, pattern: Bool[np.ndarray, "cells units"], layer: int, unit: int) -> Functions:
    """The affine functions that a unit's pre-activation is on cells."""
    num = len(pattern)
    gradient = np.broadcast_to(cube.hidden[layer].kernel[:, unit], (num, len(cube.hidden[layer].kernel)))
    constant = np.full(num, cube.hidden[layer].bias[unit])
    size, total = np.abs(gradient), np.abs(constant)
    for below in range(layer - 1, -1, -1):
        start, stop = cube.starts[below : below + 2]
        factor = np.where(pattern[:, start:stop], 1.0, slope_of(cube.hidden[below]))
        gradient, size = gradient * factor, size * np.abs(factor)
        if below or not cube.is_reduced:
            constant = constant + gradient @ cube.hidden[below].bias
            gradient = gradient @ cube.hidden[below].kernel.T
        total = total + size @ np.abs(cube.hidden[below].bias)
        size = size @ np.abs(cube.hidden[below].kernel.T)
    row = np.concatenate([gradient, constant[:, None]], axis=1)
    if cube.is_reduced and layer == 0:
        row = np.zeros((num, cube.hidden[0].kernel.shape[1] + 1))
        row[:, unit] = 1.0
    on_cube = on_coordinates(cube, row)
    rounding = _ROUNDING * (total + size.sum(axis=1))
    norm = np.linalg.norm(on_cube[:, :-1], axis=1)
    is_constant = norm <= rounding
    reach = np.abs(on_cube[:, :-1]).sum(axis=1)
    low, high = on_cube[:, -1] - reach, on_cube[:, -1] + reach
    low = np.where(low > rounding, low, np.minimum(low, 0.0))
    high = np.where(high > rounding, high, np.minimum(high, 0.0))
    low = np.where(is_constant, np.where(on_cube[:, -1] > rounding, 1.0, -1.0), low)
    high = np.where(is_constant, low, high)
    return Functions(row / np.where(is_constant, 1.0, norm)[:, None], low, high)


def on_coordinates(cube: Cube, rows: Float[np.ndarray, "*shape columns"]) -> Float[np.ndarray, "*shape inputs"]:
    """Functions of the cube's coordinates."""
    if not cube.is_reduced:
        return rows
    last = rows[..., -1] + rows[..., :-1] @ cube.hidden[0].bias
    return np.concatenate([rows[..., :-1] @ cube.hidden[0].kernel.T, last[..., None]], axis=-1)


def base_of(cube: Cube, points: Float[np.ndarray, "cells dim"]) -> Float[np.ndarray, "cells columns"]:
    """What functions are applied to at points: with a 1 at the end, for the constant."""
    base = points @ cube.hidden[0].kernel + cube.hidden[0].bias if cube.is_reduced else points
    return np.concatenate([base, np.ones((len(points), 1))], axis=1)


class OtherSide(NamedTuple):
    """Cells in which a function has the sign that it does not have at their points."""

    exists: Bool[np.ndarray, " cells"]
    """Whether there is such a part of the cell."""
    point: Float[np.ndarray, "cells dim"]
    """A point in its interior."""
    num_programs: int
    """Linear programs that were solved."""
    num_left: int
    """And those that SciPy solved."""


def other_side(
    cube: Cube, cells: Cells, row: Float[np.ndarray, "cells columns"], is_asked: Bool[np.ndarray, " cells"], tol: float
) -> OtherSide:
    """Whether functions have, inside cells, the sign that they do not have at the cells' points.

    Args:
        cube: the network on the cube [-1, 1]^d.
        cells: some of its cells.
        row: one function for each cell.
        is_asked: for which cells to find out.
        tol: how far, on the cube, the part must reach beyond the function's zero set.
    """
    exists, points = np.zeros(len(row), bool), cells.point.copy()
    value = (row * base_of(cube, cells.point)).sum(axis=1)
    objective = -np.where(value > 0, 1.0, -1.0)[:, None] * row
    asked = np.flatnonzero(is_asked)
    num_asked, num_left = len(asked), 0
    if cube.is_reduced:
        asked = _by_first_layer(cube, cells, objective, asked, exists, points)
    step = max(1, _PROGRAM_BYTES // (cells.rows.shape[1] * (cells.point.shape[1] + 1) * 8))
    for first in range(0, len(asked), step):
        some = asked[first : first + step]
        found = maxima(on_coordinates(cube, cells.rows[some]), on_coordinates(cube, objective[some]), tol)
        num_left += found.num_left
        inside = _points_beyond(cube, cells, objective, some[found.is_positive], found.point[found.is_positive])
        exists[some[found.is_positive]] = inside.exists
        points[some[found.is_positive]] = inside.point
    return OtherSide(exists, points, num_asked, num_left)


def _points_beyond(
    cube: Cube,
    cells: Cells,
    objective: Float[np.ndarray, "cells columns"],
    some: Int[np.ndarray, " some"],
    goal: Float[np.ndarray, "some dim"],
) -> OtherSide:
    """Points where functions are positive inside cells, on the way from the cells' points, where they are negative, to
    goals. Whether there is one does not rest on the rounding of the programs: all rows are evaluated there."""
    start, function, rows = cells.point[some], objective[some], cells.rows[some]
    direction = goal - start
    with np.errstate(divide="ignore", invalid="ignore"):
        to_side = np.where(direction > 0, (1 - start) / direction, (-1 - start) / direction)
        end = np.minimum(1.0, np.where(direction == 0, np.inf, to_side).min(axis=1, initial=np.inf))
        here, there = ((function * base_of(cube, x)).sum(axis=1) for x in (start, start + end[:, None] * direction))
        crossing = end * here / (here - there)
        point = start + ((crossing + end) / 2)[:, None] * direction
    base = base_of(cube, point)
    is_inside = (np.einsum("cri,ci->cr", rows, base) > 0).all(axis=1) & ((function * base).sum(axis=1) > 0)
    is_inside &= (np.abs(point) <= 1).all(axis=1)
    return OtherSide(is_inside, np.where(is_inside[:, None], point, start), len(some), 0)


def _by_first_layer(
    cube: Cube,
    cells: Cells,
    objective: Float[np.ndarray, "cells columns"],
    asked: Int[np.ndarray, " asked"],
    exists: Bool[np.ndarray, " cells"],
    points: Float[np.ndarray, "cells dim"],
) -> Int[np.ndarray, " left"]:
    """Answers that need no program in all inputs, where the first layer has fewer units than there are inputs.

    Let every pre-activation of the first layer vary by itself, in the interval that it has on the cube: a function that
    is positive nowhere in that box, a small program, is positive nowhere on the cube. Of the others, most become
    positive within a few steps of affine scaling.

    Args:
        cube: the network on the cube [-1, 1]^d.
        cells: some of its cells.
        objective: for each cell, the function that is to be positive somewhere.
        asked: the cells for which to find out.
        exists: where answers are written: whether there is such a part.
        points: where a point of each such part is written.

    Returns:
        Those of the cells that are left.
    """
    middle, half = np.asarray(cube.hidden[0].bias), np.abs(cube.hidden[0].kernel).sum(axis=0)
    left = [np.zeros(0, np.int64)]
    for first in range(0, len(asked), _SMALL_PROGRAMS):
        some = asked[first : first + _SMALL_PROGRAMS]
        found = maxima(_on_box(cells.rows[some], middle, half), _on_box(objective[some], middle, half), 0.0)
        some = some[found.is_positive]
        goal = _ascended(cube, cells.rows[some], objective[some], cells.point[some])
        inside = _points_beyond(cube, cells, objective, some, goal)
        exists[some], points[some] = inside.exists, inside.point
        left.append(some[~inside.exists])
    return np.concatenate(left)


def _ascended(
    cube: Cube,
    rows: Float[np.ndarray, "cells rows columns"],
    function: Float[np.ndarray, "cells columns"],
    start: Float[np.ndarray, "cells dim"],
) -> Float[np.ndarray, "cells dim"]:
    """Points of cells where functions are larger than at the start: by affine scaling (Dikin 1967).

    Each step goes in the direction in which the function grows most within an ellipsoid that fits between the cell's
    sides, nearly to the first side. The normal equations are those of the first layer's units.
    """
    kernel, points = cube.hidden[0].kernel, start.copy()
    step = max(1, _PROGRAM_BYTES // (8 * kernel.size))
    for first in range(0, len(points), step):
        some = np.arange(first, min(first + step, len(points)))
        for _ in range(_ASCENTS):
            base = base_of(cube, points[some])
            some = some[(function[some] * base).sum(axis=1) <= 0]
            if not len(some):
                break
            base, point, c = base_of(cube, points[some]), points[some], rows[some]
            room = np.minimum(1 - point, 1 + point) ** 2
            metric = (room[:, None] * kernel.T) @ kernel
            value = np.einsum("cri,ci->cr", c, base)
            scaled = c[..., :-1] / np.maximum(value, 1e-12)[..., None]
            matrix = np.eye(kernel.shape[1]) + scaled.mT @ scaled @ metric
            toward = np.linalg.solve(matrix, function[some][:, :-1, None])[..., 0]
            direction = room * (toward @ kernel.T)
            slope = np.einsum("cri,ci->cr", c[..., :-1], direction @ kernel)
            with np.errstate(divide="ignore", invalid="ignore"):
                ends = np.concatenate(
                    [
                        np.where(slope < 0, -value / slope, np.inf),
                        np.where(direction > 0, (1 - point) / direction, np.inf),
                        np.where(direction < 0, (-1 - point) / direction, np.inf),
                    ],
                    axis=1,
                ).min(axis=1)
            points[some] = point + 0.9 * np.minimum(ends, 1e6)[:, None] * direction
    return points


def _on_box(
    rows: Float[np.ndarray, "*shape columns"], middle: Float[np.ndarray, "*_ _"], half: Float[np.ndarray, "*_ _"]
) -> Float[np.ndarray, "*shape columns"]:
    """Functions of q, where base = middle + half · q, with gradients of length 1 unless they are zero."""
    constant = rows[..., -1] + (rows[..., :-1] * middle).sum(axis=-1)
    scaled = np.concatenate([rows[..., :-1] * half, constant[..., None]], axis=-1)
    norm = np.linalg.norm(scaled[..., :-1], axis=-1, keepdims=True)
    return scaled / np.where(norm > 0, norm, 1.0)


def off_zero(cube: Cube, cells: Cells, row: Float[np.ndarray, "cells columns"], random: np.random.Generator) -> Cells:
    """The cells with their points moved where a function, one for each cell, vanishes at them."""
    for _ in range(8):
        value = (row * base_of(cube, cells.point)).sum(axis=1)
        is_zero = (np.abs(value) < _NEAR_ZERO) & (row[:, :-1] != 0).any(axis=1)
        if not is_zero.any():
            break
        point = cells.point.copy()
        point[is_zero] = centered(cube, cells.take(is_zero), random, 1).point
        cells = cells._replace(point=point)
    return cells


def centered(cube: Cube, cells: Cells, random: np.random.Generator, rounds: int = 2) -> Cells:
    """The cells with points nearer to their middle: that of a chord in a random direction, again and again."""
    point = cells.point
    for _ in range(rounds):
        direction = random.normal(size=point.shape)
        value = np.einsum("cri,ci->cr", cells.rows, base_of(cube, point))
        slope = direction @ cube.hidden[0].kernel if cube.is_reduced else direction
        slope = np.einsum("cri,ci->cr", cells.rows[..., :-1], slope)
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.concatenate([-value / slope, (1 - point) / direction, (-1 - point) / direction], axis=1)
        slopes = np.concatenate([slope, -direction, direction], axis=1)
        after = np.where(slopes < 0, ends, np.inf).min(axis=1)
        before = np.where(slopes > 0, ends, -np.inf).max(axis=1)
        point = point + ((after + before) / 2)[:, None] * direction
    return cells._replace(point=np.clip(point, -1, 1))
