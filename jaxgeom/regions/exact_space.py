"""[host] The regions of networks on boxes of any dimension, polytope by polytope in integers: slow, and never wrong.

The specification of the engine's part for boxes (``engine/spaces.cc``), and what stands in for it where it is not
built. Points are homogeneous, (x_1, …, x_d, w) with w > 0 and without common factor, so that equal points are equal
tuples; functions are vectors (a_1, …, a_d, c) of integers over one denominator a layer; a sign is that of their
product. Numbers are Python's.

A polytope is a set of vertices, each with the set of hyperplanes that it lies on (as the bits of an integer: sides of
the box, then units). Two vertices are the ends of an edge if no third one lies on all hyperplanes that they share
(Motzkin, Raiffa, Thompson & Thrall 1953, "The double description method").
"""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from jaxgeom._typing import PAIR, SPACE
from jaxgeom.domains import Box
from jaxgeom.engine.spaces import Spaces
from jaxgeom.networks.layers import Layers, slope_of
from jaxgeom.regions.complex import OUTSIDE
from jaxgeom.regions.exact_plane import dyadic, rows_of

Point: TypeAlias = tuple[int, ...]


class _Cell(NamedTuple):
    """A cell on its way through the layers, with the functions of the next layer's units."""

    vertices: dict[Point, int]
    pattern: tuple[bool, ...]
    rows: list[Point]
    is_tied: bool


def exact_space_count(layers: Layers, box: Box) -> tuple[int, bool]:
    """Number of regions of a finite network on a box, and whether an exact zero was met."""
    cells, _ = _cells(layers, box)
    return len(cells), any(cell.is_tied for cell in cells)


def exact_space(layers: Layers, box: Box) -> Spaces:
    """The complex of a finite network on a box; numbers are rounded once, from exact ones."""
    cells, denominator = _cells(layers, box)
    dim = len(box.low)
    number: dict[Point, int] = {}
    for cell in cells:
        for point in cell.vertices:
            number.setdefault(point, len(number))
    faces: list[dict[frozenset[int], list[int]]] = [{} for _ in range(dim + 1)]
    volumes, centres = [], []
    for index, cell in enumerate(cells):
        lattice = _lattice(cell.vertices, dim)
        for k, own in enumerate(lattice):
            for face in own:
                faces[k].setdefault(frozenset(number[point] for point in face), []).append(index)
        volume, centre = _measure(lattice, dim)
        volumes.append(float(volume))
        centres.append(centre)
    signs = np.array([_signs(layers, point) for point in number], np.int8).reshape(len(number), -1)
    patterns = np.array([cell.pattern for cell in cells], np.uint8).reshape(len(cells), -1)
    ends = np.stack([box.low, box.high], axis=1).ravel()
    sides = [[Fraction(p[i // 2], p[-1]) == Fraction(end) for i, end in enumerate(ends.tolist())] for p in number]
    facets = list(faces[dim - 1])
    labels, pairs = [], []
    for facet in facets:
        label, beside = _label(sorted(facet), faces[dim - 1][facet], signs, patterns, np.array(sides), layers)
        labels.append(label)
        pairs.append(beside)
    around = [sorted(facet) for facet in facets]
    position = np.array([[x / point[-1] for x in point[:-1]] for point in number])
    if dim == SPACE:
        around = [
            _cycle(facet, faces[1], position, np.array(centres[cells_of[0]]))
            for facet, cells_of in zip(around, pairs, strict=True)
        ]
    members = [sorted(number[point] for point in cell.vertices) for cell in cells]
    maps = [[[x / denominator for x in row] for row in cell.rows] for cell in cells]
    return Spaces(
        position,
        signs,
        np.array(sides, np.uint8),
        np.array([sorted(edge) for edge in faces[1]], np.int64),
        np.cumsum([0, *map(len, around)]),
        np.array(list(itertools.chain(*around)), np.int64),
        np.array(pairs, np.int64),
        np.array(labels, np.int64),
        np.cumsum([0, *map(len, members)]),
        np.array(list(itertools.chain(*members)), np.int64),
        patterns,
        np.array(maps).reshape(len(cells), -1, dim + 1),
        np.array(volumes),
        np.array(centres, float),
        np.array([len(number), *(len(own) for own in faces[1:])], np.int64),
        any(cell.is_tied for cell in cells),
    )


def _cells(layers: Layers, box: Box) -> tuple[list[_Cell], int]:
    """The cells that the hidden layers make, with the functions of the outputs, and their denominator."""
    dim = len(box.low)
    corners = {}
    for ends in itertools.product((0, 1), repeat=dim):
        values = [Fraction(float((box.low, box.high)[end][i])) for i, end in enumerate(ends)]
        scale = math.lcm(*(value.denominator for value in values))
        corners[_reduced((*(int(value * scale) for value in values), scale))] = sum(
            1 << (2 * i + end) for i, end in enumerate(ends)
        )
    together, denominator = dyadic(rows_of(layers[0]))
    cells = [_Cell(corners, (), [tuple(row) for row in together.tolist()], False)]
    first = 2 * dim
    for layer, following in itertools.pairwise(layers):
        slopes = np.asarray(slope_of(layer))
        (factors, slope_scale), (together, scale) = dyadic(slopes), dyadic(rows_of(following))
        bends = ((slopes != 1) & rows_of(layer).any(axis=1)).tolist()
        cells = [piece for cell in cells for piece in _pieces(cell, bends, first)]
        denominator *= slope_scale
        weights = together.tolist()
        after = []
        for cell in cells:
            active = cell.pattern[len(cell.pattern) - len(bends) :]
            factor = [slope_scale if on else f for on, f in zip(active, factors.tolist(), strict=True)]
            rows = []
            for *kernel, bias in weights:
                sums = [0] * dim + [bias * denominator]
                for weight, f, row in zip(kernel, factor, cell.rows, strict=True):
                    if weight * f:
                        sums = [s + weight * f * x for s, x in zip(sums, row, strict=True)]
                rows.append(tuple(sums))
            after.append(cell._replace(rows=rows))
        cells = after
        denominator *= scale
        first += len(bends)
    return cells, denominator


def _pieces(cell: _Cell, bends: list[bool], first: int) -> Iterator[_Cell]:
    """The pieces that the units of one layer cut a cell into; unit j is hyperplane first + j."""
    stack: list[tuple[_Cell, int]] = [(cell, 0)]
    while stack:
        cell, unit = stack.pop()
        if unit == len(bends):
            yield cell
            continue
        values = {point: sum(map(int.__mul__, cell.rows[unit], point)) for point in cell.vertices}
        low, high = min(values.values()), max(values.values())
        bit = 1 << (first + unit)
        if not bends[unit]:
            stack.append((cell._replace(pattern=(*cell.pattern, False)), unit + 1))
            continue
        is_tied = cell.is_tied or 0 in values.values()
        marked = {p: on | bit if values[p] == 0 and low < high else on for p, on in cell.vertices.items()}
        if not low < 0 < high:
            stack.append((_Cell(marked, (*cell.pattern, high > 0), cell.rows, is_tied), unit + 1))
            continue
        wall = _new_vertices(marked, values, bit)
        for sign in (-1, 1):
            part = {p: on for p, on in marked.items() if sign * values[p] >= 0} | wall
            stack.append((_Cell(part, (*cell.pattern, sign > 0), cell.rows, is_tied), unit + 1))


def _new_vertices(vertices: dict[Point, int], values: dict[Point, int], bit: int) -> dict[Point, int]:
    """The points where a function is zero on edges whose ends are on strictly different sides."""
    dim, found = len(next(iter(vertices))) - 1, {}
    above, below = ([p for p in vertices if sign * values[p] > 0] for sign in (1, -1))
    for p, q in itertools.product(above, below):
        shared = vertices[p] & vertices[q]
        if shared.bit_count() < dim - 1 or sum(shared & on == shared for on in vertices.values()) > PAIR:
            continue
        point = _reduced(tuple(values[p] * y - values[q] * x for x, y in zip(p, q, strict=True)))
        found[point] = shared | bit
    return found


def _reduced(point: Point) -> Point:
    divisor = math.gcd(*point)
    return tuple(x // divisor for x in point)


def _lattice(vertices: dict[Point, int], dim: int) -> list[list[frozenset[Point]]]:
    """The faces of a polytope by dimension, as sets of vertices: those of a face are the largest that it shares with
    facets."""
    planes = range(max(vertices.values()).bit_length())
    sets = {frozenset(p for p, on in vertices.items() if on >> bit & 1) for bit in planes} - {frozenset()}
    facets = _largest(sets)
    faces = [[frozenset(vertices)], facets]
    while len(faces) <= dim:
        shared = [_largest({face & facet for facet in facets} - {face, frozenset()}) for face in faces[-1]]
        faces.append(list(dict.fromkeys(itertools.chain(*shared))))
    return faces[::-1]


def _largest(sets: set[frozenset[Point]]) -> list[frozenset[Point]]:
    return [one for one in sorted(sets, key=sorted) if not any(one < other for other in sets)]


def _measure(lattice: list[list[frozenset[Point]]], dim: int) -> tuple[Fraction, list[float]]:
    """Volume and centre of mass from simplices: pyramids over the faces that do not have a face's first vertex."""
    total, moment = Fraction(0), [Fraction(0)] * dim
    for simplex in _simplices(lattice, lattice[-1][0], dim):
        corners = [[Fraction(x, p[-1]) for x in p[:-1]] for p in simplex]
        spokes = [[x - y for x, y in zip(corner, corners[0], strict=True)] for corner in corners[1:]]
        part = abs(_determinant(spokes)) / math.factorial(dim)
        total += part
        moment = [m + part * sum(c[i] for c in corners) / (dim + 1) for i, m in enumerate(moment)]
    return total, [float(m / total) for m in moment]


def _simplices(lattice: list[list[frozenset[Point]]], face: frozenset[Point], k: int) -> Iterator[list[Point]]:
    apex = min(face)
    if k == 0:
        yield [apex]
        return
    for base in lattice[k - 1]:
        if base < face and apex not in base:
            for simplex in _simplices(lattice, base, k - 1):
                yield [apex, *simplex]


def _determinant(rows: list[list[Fraction]]) -> Fraction:
    if not rows:
        return Fraction(1)
    pivot = next((row for row in rows if row[0]), None)
    if pivot is None:
        return Fraction(0)
    sign = -1 if rows.index(pivot) % 2 else 1
    others = [row for row in rows if row is not pivot]
    rest = [[x - row[0] / pivot[0] * y for x, y in zip(row[1:], pivot[1:], strict=True)] for row in others]
    return sign * pivot[0] * _determinant(rest)


def _signs(layers: Layers, point: Point) -> list[int]:
    """Of all hidden units at a point; 0 for linear ones."""
    found, inputs = [], [Fraction(x, point[-1]) for x in point[:-1]]
    for layer in layers[:-1]:
        values = []
        for unit, slope in enumerate(np.asarray(slope_of(layer)).tolist()):
            weights = map(Fraction, layer.kernel[:, unit].tolist())
            value = sum(map(Fraction.__mul__, weights, inputs), Fraction(float(layer.bias[unit])))
            found.append(0 if slope == 1 else (value > 0) - (value < 0))
            values.append(value if value > 0 else Fraction(slope) * value)
        inputs = values
    return found


def _label(
    facet: list[int],
    beside: list[int],
    signs: np.ndarray,
    patterns: np.ndarray,
    sides: np.ndarray,
    layers: Layers,
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Layer and unit that made a facet, and its cells, the one where the unit is active first."""
    if len(beside) == 1:
        return (OUTSIDE, int(np.flatnonzero(sides[facet].all(axis=0))[0])), (beside[0], OUTSIDE)
    one, other = beside
    is_zero = (signs[facet] == 0).all(axis=0)
    unit = int(np.flatnonzero(is_zero & (patterns[one] != patterns[other]))[0])
    starts = np.cumsum([0, *(len(layer.bias) for layer in layers[:-1])])
    layer = int(np.searchsorted(starts, unit, side="right")) - 1
    return (layer, int(unit - starts[layer])), (one, other) if patterns[one, unit] else (other, one)


def _cycle(facet: list[int], edges: dict[Any, Any], position: np.ndarray, inside: np.ndarray) -> list[int]:
    """The vertices of a polygon in space in order, counter-clockwise as seen from the side where ``inside`` is not."""
    beside = {v: [w for w in facet if w != v and frozenset((v, w)) in edges] for v in facet}
    around = [facet[0], beside[facet[0]][0]]
    while len(around) < len(facet):
        around.append(next(w for w in beside[around[-1]] if w != around[-2]))
    spokes = position[around[1:]] - position[around[0]]
    normal = np.cross(spokes[:-1], spokes[1:]).sum(axis=0)
    return around if normal @ (position[around].mean(axis=0) - inside) > 0 else around[::-1]
