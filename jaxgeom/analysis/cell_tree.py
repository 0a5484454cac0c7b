"""[host] Numbers of leaves of a network's tree of cells, by a walk that samples: Knuth 1975, in many steps at once.

Unit after unit, in order, every cell has one child or two (:mod:`jaxgeom.analysis.polytopes`); the leaves are the
activation regions. As long as there are few cells, all of them go on: the top of the tree is known exactly. From then
on there are independent replicates, which keep ``num_cells // num_replicates`` of the cells each: at random, with
chosen probabilities, by systematic sampling in the order of the tree, so that its branches are all seen. A cell that is
kept with probability p counts for 1/p from then on. The sum over the last cells is an unbiased estimate of the number
of leaves (Horvitz & Thompson 1952; stochastic enumeration, Rubinstein 2013, has equal probabilities), whatever the
probabilities are: these matter for the variance only.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxgeom.analysis.polytopes import Cells, Cube, base_of, centered, first_cell, off_zero, other_side, unit_functions
from jaxgeom.networks.layers import slope_of

_DECIMALS = 6  # replicates that agree do so in spite of rounding
_EXACT = -1  # the replicate of cells before the first sampling


class Walk(NamedTuple):
    """What a walk has found."""

    totals: Float[np.ndarray, " replicates"]
    """An unbiased estimate of the number of leaves from each replicate; a single one if nothing was left out."""
    is_complete: bool
    """Whether no cell was left out, so that the number is no estimate."""
    num_seen: int
    """Cells without children that were seen, of which no two contain each other: leaves, and cells left out."""
    num_programs: int
    """Linear programs that were solved."""


class _Kept(NamedTuple):
    """Cells that replicates keep, and for how many they count."""

    replicate: Int[np.ndarray, " kept"]
    cell: Int[np.ndarray, " kept"]
    weight: Float[np.ndarray, " kept"]


def walk(
    cube: Cube,
    dim: int,
    random: np.random.Generator,
    *,
    num_cells: int,
    num_replicates: int,
    tolerance: float,
    num_certain: Callable[[Cells], int],
    tick: Callable[[], object],
) -> Walk:
    """Walk down the tree of cells once.

    Args:
        cube: the network on the cube [-1, 1]^d.
        dim: number of its inputs.
        random: source of all choices.
        num_cells: how many cells all replicates keep together, after each unit.
        num_replicates: of which the spread is the standard error.
        tolerance: how deep a cell must reach beyond a unit's zero set, on the cube.
        num_certain: how many of some cells are certain, and not by rounding only.
        tick: called after each unit.
    """
    cells = first_cell(cube, dim, random)
    kept = _Kept(np.full(1, _EXACT), np.zeros(1, np.int64), np.ones(1))
    num_seen, num_programs = 0, 0
    for layer, hidden in enumerate(cube.hidden):
        is_open, asked = _open_units(cube, cells, layer, tolerance, random)
        num_programs += asked
        for unit in range(len(hidden.bias)):
            cells, parent, asked = _children(cube, cells, is_open[:, unit], layer, unit, tolerance, random)
            num_programs += asked
            is_open = is_open[parent]
            kept = _inherited(kept, parent)
            is_first = kept.replicate[0] == _EXACT
            is_last = cube.starts[layer] + unit + 1 == cube.starts[-1]
            if is_first and not is_last and len(cells.point) > num_cells:
                every = np.arange(num_replicates).repeat(len(cells.point))
                kept = _Kept(every, np.tile(kept.cell, num_replicates), np.ones(len(every)))
                is_first = False
            if not is_first and not is_last:
                kept = _sampled(kept, num_cells // num_replicates, random)
                is_kept = np.zeros(len(cells.point), bool)
                is_kept[kept.cell] = True
                num_seen += num_certain(cells.take(~is_kept))
                cells, is_open = cells.take(is_kept), is_open[is_kept]
                kept = kept._replace(cell=(np.cumsum(is_kept) - 1)[kept.cell])
            tick()
    num_seen += num_certain(cells)
    if not len(kept.cell) or kept.replicate[0] == _EXACT:
        return Walk(np.array([float(len(cells.point))]), True, num_seen, num_programs)
    totals = np.bincount(kept.replicate, kept.weight, num_replicates).round(_DECIMALS)
    return Walk(totals, False, num_seen, num_programs)


def _open_units(
    cube: Cube, cells: Cells, layer: int, tol: float, random: np.random.Generator
) -> tuple[Bool[np.ndarray, "cells units"], int]:
    """Which units of a layer have both signs inside each cell: those that do not need not be asked again below it."""
    num_units, asked = len(cube.hidden[layer].bias), 0
    is_open = np.zeros((len(cells.point), num_units), bool)
    for unit in range(num_units):
        if slope_of(cube.hidden[layer])[unit] == 1:
            continue
        found = unit_functions(cube, cells.pattern, layer, unit)
        reaches = (found.low < -tol) & (found.high > tol)
        cells = off_zero(cube, cells, found.row, random)
        sides = other_side(cube, cells, found.row, reaches, tol)
        is_open[:, unit] = sides.exists
        asked += sides.num_programs
    return is_open, asked


def _children(
    cube: Cube,
    cells: Cells,
    is_open: Bool[np.ndarray, " cells"],
    layer: int,
    unit: int,
    tol: float,
    random: np.random.Generator,
) -> tuple[Cells, Int[np.ndarray, " children"], int]:
    """The cells after one more unit, the children of each one beside each other, and their parents."""
    if slope_of(cube.hidden[layer])[unit] == 1:
        return cells, np.arange(len(cells.point)), 0
    found = unit_functions(cube, cells.pattern, layer, unit)
    cells = off_zero(cube, cells, found.row, random)
    sides = other_side(cube, cells, found.row, is_open, tol)
    value = (found.row * base_of(cube, cells.point)).sum(axis=1)
    is_active = np.where(found.low > 0, True, np.where(found.high <= 0, False, value > 0))
    parent = np.arange(len(cells.point)).repeat(1 + sides.exists)
    is_second = np.append(False, parent[1:] == parent[:-1])
    pattern = cells.pattern[parent]
    pattern[:, cube.starts[layer] + unit] = is_active[parent] ^ is_second
    cuts = cells.is_cut[parent]
    cuts[:, cube.starts[layer] + unit] = sides.exists[parent]
    point = np.where(is_second[:, None], sides.point[parent], cells.point[parent])
    num_rows, rows = cells.num_rows[parent], cells.rows[parent]
    is_cut = sides.exists[parent]
    if is_cut.any():
        if num_rows[is_cut].max() == rows.shape[1]:
            more = np.zeros_like(rows[:, : max(4, rows.shape[1] // 2)])
            more[..., -1] = 1.0
            rows = np.concatenate([rows, more], axis=1)
        sign = np.where(pattern[:, cube.starts[layer] + unit], 1.0, -1.0)[:, None]
        at = np.flatnonzero(is_cut)
        rows[at, num_rows[at]] = (sign * found.row[parent])[at]
        num_rows = num_rows + is_cut
    children = Cells(pattern, cuts, rows, num_rows, point)
    if is_cut.any():
        moved = centered(cube, children.take(is_cut), random)
        children.point[is_cut] = moved.point
    return children, parent, sides.num_programs


def _inherited(kept: _Kept, parent: Int[np.ndarray, " children"]) -> _Kept:
    """What replicates keep, after each cell has been replaced by its children."""
    num = np.bincount(parent, minlength=kept.cell.max() + 1)
    first = np.cumsum(num) - num
    times = num[kept.cell]
    place = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    return _Kept(kept.replicate.repeat(times), first[kept.cell].repeat(times) + place, kept.weight.repeat(times))


def _sampled(kept: _Kept, num: int, random: np.random.Generator) -> _Kept:
    """At most ``num`` cells for each replicate, by systematic sampling, with weights that keep sums unbiased."""
    parts = []
    bounds = np.searchsorted(kept.replicate, np.arange(kept.replicate[-1] + 2))
    for start, stop in pairwise(bounds):
        if stop - start <= num:
            parts.append((np.arange(start, stop), np.ones(stop - start)))
            continue
        share = _probabilities(kept.weight[start:stop], num)
        ends = np.cumsum(np.where(share < 1, share, 0.0)) + random.uniform()
        chosen = np.flatnonzero((np.diff(np.floor(ends), prepend=0.0) > 0) | (share == 1))
        parts.append((start + chosen, share[chosen]))
    members, probability = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _Kept(kept.replicate[members], kept.cell[members], kept.weight[members] / probability)


def _probabilities(size: Float[np.ndarray, " cells"], num: int) -> Float[np.ndarray, " cells"]:
    """Probabilities in proportion to sizes, at most 1, that add up to a number."""
    descending = np.sort(size)[::-1]
    below = np.cumsum(descending[::-1])[::-1]
    # With the i largest certain, the others share num - i; the first i with which none of them exceeds 1.
    rest = num - np.arange(num)
    certain = int(np.argmax(descending[:num] * rest <= below[:num]))
    result: Float[np.ndarray, " cells"] = np.minimum(1.0, size * (rest[certain] / below[certain]))
    return result
