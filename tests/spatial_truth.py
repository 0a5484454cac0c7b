"""Exact regions in any dimension, cell by cell: what :mod:`jaxgeom.regions.space` is held against.

Nothing here imports jax or jaxgeom, and nothing is shared with the library's method: every cell is a convex polytope
of its own, kept as rational vertices, each with the set of inequalities that are equalities there. An inequality
clips it as in the double description method: two vertices span an edge iff no third one lies on all the hyperplanes
that those two have in common. Fractions throughout; minutes for hundreds of regions in four dimensions.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

Layers = Sequence[Any]  # (kernel, bias), or (kernel, bias, slope)
Vertex = tuple[Fraction, ...]
Row = tuple[Fraction, ...]  # (a_1, …, a_d, c): the function a·x + c


class SpatialCell(NamedTuple):
    """A full-dimensional cell with one activation pattern."""

    vertices: dict[Vertex, frozenset[int]]
    """Its vertices; with each, the numbers of the inequalities that are tight there."""
    pattern: tuple[bool, ...]
    """One entry per hidden unit, first layer first."""
    rows: tuple[Row, ...]
    """The outputs as functions on the cell."""


def exact_spatial_regions(layers: Layers, low: Sequence[float], high: Sequence[float]) -> list[SpatialCell]:
    """All full-dimensional cells of one activation pattern inside a box."""
    dim = len(low)
    numbers = itertools.count(2 * dim)
    corners = {
        tuple(Fraction(float(high[i] if end else low[i])) for i, end in enumerate(ends)): frozenset(
            2 * i + end for i, end in enumerate(ends)
        )
        for ends in itertools.product((0, 1), repeat=dim)
    }
    identity = tuple(tuple(Fraction(int(i == j)) for j in range(dim + 1)) for i in range(dim))
    cells = [SpatialCell(corners, (), identity)]
    for index, layer in enumerate(layers):
        cells = [cell._replace(rows=_composed(cell.rows, layer, dim)) for cell in cells]
        if index < len(layers) - 1:
            slope = layer[2] if len(layer) > 2 and layer[2] is not None else 0.0
            slopes = [Fraction(s) for s in np.broadcast_to(np.asarray(slope, float), np.shape(layer[1])).tolist()]
            cells = [piece for cell in cells for piece in _cut_by_units(cell, slopes, numbers, dim)]
    return cells


def exact_faces(cell: SpatialCell) -> dict[frozenset[Vertex], int]:
    """All faces of a cell, itself included, as sets of vertices, with their dimensions.

    A facet is a set of d affinely independent vertices or more on one hyperplane; faces are what facets share. The
    dimension of a face is one more than that of the largest faces in it.
    """
    dim = len(next(iter(cell.vertices)))
    tight: dict[int, set[Vertex]] = {}
    for vertex, numbers in cell.vertices.items():
        for number in numbers:
            tight.setdefault(number, set()).add(vertex)
    facets = {frozenset(vertices) for vertices in tight.values() if _dimension(vertices) == dim - 1}
    found = new = {frozenset(cell.vertices)}
    while new:
        new = {face & facet for face in new for facet in facets} - found - {frozenset()}
        found = found | new
    dimensions: dict[frozenset[Vertex], int] = {}
    for face in sorted(found, key=len):
        dimensions[face] = 1 + max((dimensions[inner] for inner in dimensions if inner < face), default=-1)
    return dimensions


def exact_num_faces(cells: Sequence[SpatialCell]) -> list[int]:
    """Numbers of faces of dimension 0 to d of all cells together; cells that meet have a face in common."""
    dimensions: dict[frozenset[Vertex], int] = {}
    for cell in cells:
        dimensions |= exact_faces(cell)
    return np.bincount(list(dimensions.values())).tolist()


def _dimension(points: Any) -> int:
    """Dimension of the affine hull, by elimination."""
    first, *others = list(points)
    rows = [[x - y for x, y in zip(point, first, strict=True)] for point in others]
    rank = 0
    for column in range(len(first)):
        pivot = next((row for row in rows[rank:] if row[column]), None)
        if pivot is None:
            continue
        rows.remove(pivot)
        rows.insert(rank, pivot)
        for row in rows[rank + 1 :]:
            factor = row[column] / pivot[column]
            row[:] = [x - factor * y for x, y in zip(row, pivot, strict=True)]
        rank += 1
    return rank


def _composed(rows: tuple[Row, ...], layer: tuple[Any, Any], dim: int) -> tuple[Row, ...]:
    kernel, bias = np.asarray(layer[0]).tolist(), np.asarray(layer[1]).tolist()
    found = []
    for unit, offset in enumerate(bias):
        total = [Fraction(0)] * dim + [Fraction(offset)]
        for row, weights in zip(rows, kernel, strict=True):
            weight = Fraction(weights[unit])
            total = [x + weight * y for x, y in zip(total, row, strict=True)]
        found.append(tuple(total))
    return tuple(found)


def _cut_by_units(cell: SpatialCell, slopes: list[Fraction], numbers: Iterator[int], dim: int) -> list[SpatialCell]:
    """The pieces of a cell whose rows are pre-activations, with rows after the activation. Units of slope 1 cut
    nothing, and are never active."""
    pieces = [cell]
    for row, slope in zip(cell.rows, slopes, strict=True):
        number = next(numbers)
        following = []
        if slope == 1:
            pieces = [piece._replace(pattern=(*piece.pattern, False)) for piece in pieces]
            continue
        for piece in pieces:
            values = {v: sum(a * x for a, x in zip(row, v, strict=False)) + row[-1] for v in piece.vertices}
            if max(values.values()) > 0 > min(values.values()):
                for sign in (1, -1):
                    vertices = _clipped(piece.vertices, {v: sign * z for v, z in values.items()}, number)
                    following.append(piece._replace(vertices=vertices, pattern=(*piece.pattern, sign > 0)))
            else:
                vertices = {v: tight | {number} if values[v] == 0 else tight for v, tight in piece.vertices.items()}
                is_active = max(values.values()) > 0
                following.append(piece._replace(vertices=vertices, pattern=(*piece.pattern, is_active)))
        pieces = following
    num = len(cell.rows)

    def activations(pattern: tuple[bool, ...]) -> tuple[Row, ...]:
        units = zip(cell.rows, pattern[len(pattern) - num :], slopes, strict=True)
        return tuple(row if on else tuple(slope * x for x in row) for row, on, slope in units)

    return [piece._replace(rows=activations(piece.pattern)) for piece in pieces]


def _clipped(
    vertices: dict[Vertex, frozenset[int]], values: dict[Vertex, Fraction], number: int
) -> dict[Vertex, frozenset[int]]:
    """The part where the values are >= 0; the inequality gets this number."""
    kept = {v: tight | {number} if values[v] == 0 else tight for v, tight in vertices.items() if values[v] >= 0}
    above, below = ([v for v in vertices if sign * values[v] > 0] for sign in (1, -1))
    for p, q in itertools.product(above, below):
        common = vertices[p] & vertices[q]
        if sum(common <= tight for tight in vertices.values()) == 2:
            share = values[p] / (values[p] - values[q])
            point = tuple(x + share * (y - x) for x, y in zip(p, q, strict=True))
            kept[point] = common | {number}
    return kept


def exact_volume(cell: SpatialCell) -> Fraction:
    """The exact volume: pyramids over the facets that do not contain the first vertex, and so on down."""
    faces = exact_faces(cell)

    def simplices(face: frozenset[Vertex]) -> list[list[Vertex]]:
        apex = min(face)
        bases = [base for base, size in faces.items() if base < face and size == faces[face] - 1 and apex not in base]
        return [[apex, *simplex] for base in bases for simplex in simplices(base)] if faces[face] else [[apex]]

    total = Fraction(0)
    for apex, *others in simplices(frozenset(cell.vertices)):
        total += abs(_determinant([[x - y for x, y in zip(point, apex, strict=True)] for point in others]))
    return total / math.factorial(len(apex))


def _determinant(rows: list[list[Fraction]]) -> Fraction:
    if not rows:
        return Fraction(1)
    return sum(
        (
            (-1) ** i * row[0] * _determinant([r[1:] for j, r in enumerate(rows) if j != i])
            for i, row in enumerate(rows)
        ),
        Fraction(0),
    )
