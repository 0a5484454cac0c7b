"""[host] The linear regions of deep networks in the plane, cell by cell in integer arithmetic: slow, and never wrong.

The specification of the compiled engine, which takes the same steps, and what stands in for it where it is not built.

Floating-point weights are dyadic rationals, and so are the coefficients of every unit's affine function on a cell.
Lines are integer vectors (a, b, c), points homogeneous ones (x, y, w), their cross product is the point shared by two
lines, and the side of a point is the sign of a dot product. On such points a network is one whose biases
are multiplied by w, hence vertices at infinity (w = 0) are vertices as others, and the whole plane is three faces like
triangles. All numbers are Python's integers, over one denominator for each layer.

Layer by layer, each cell gets the rows of its units' functions and is cut by the units that are strictly positive at
one of its vertices and strictly negative at another; each piece goes on with those units only that still change sign
on it. Vertices where a unit vanishes stay as they are, so that duplicate units, several lines in one point and flat
pieces need no special care. Pre-activations are continuous: the cells on both sides of an edge are cut in the same
point of it, and so share whole edges.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import gcd, hypot, inf, ulp
from typing import NamedTuple, TypeAlias

import numpy as np

from jaxgeom._typing import MATRIX
from jaxgeom.domains import ProjectiveDomain
from jaxgeom.networks.layers import Dense, Layers, check_finite, check_layers, slope_of
from jaxgeom.regions.complex import ARTIFICIAL, OUTSIDE, PlanarComplex, complex_of_cycles

Vector: TypeAlias = tuple[int, int, int]
"""A line (a, b, c) or a homogeneous point (x, y, w)."""

Label: TypeAlias = tuple[int, int]
"""What made an edge: (hidden layer, unit), or (-1, side) and (-2, side) for sides of the start."""


class ExactCell(NamedTuple):
    """A full-dimensional cell of the domain with one activation pattern, and its affine map."""

    vertices: tuple[Vector, ...]
    """Homogeneous points (x, y, w) without common factor, w >= 0, counter-clockwise. Equal points are equal tuples; at
    infinity, opposite directions are different points."""
    labels: tuple[Label, ...]
    """What made the edge from each vertex to the next: (hidden layer, unit), or (-1, side) on the start's boundary, or
    (-2, side) between two faces of the start."""
    pattern: tuple[bool, ...]
    """Which hidden units are active, first layer first. False for units of slope 1, which are linear."""
    rows: tuple[Vector, ...]
    """For each output (a, b, c): its value is (a x + b y + c) / denominator."""
    denominator: int
    """Positive, and the same for all cells of a network."""
    is_tied: bool
    """Whether some unit that might have cut was zero at a vertex on the way to this cell."""


class _Cell(NamedTuple):
    """A cell on its way through the layers, with the functions of the next layer's units, as Python integers."""

    vertices: tuple[Vector, ...]
    labels: tuple[Label, ...]
    pattern: tuple[bool, ...]
    rows: np.ndarray
    is_tied: bool


def exact_cells(layers: Layers, start: ProjectiveDomain) -> list[ExactCell]:
    """All cells of one activation pattern of a network with two inputs, without any rounding.

    Args:
        layers: one network, finite. The last layer is the affine output, which cuts nothing. Units of slope 1 are
            linear and never cut, either.
        start: the domain. Of several faces, the cells are those of each face.

    Raises:
        ValueError: if shapes do not fit or numbers are not finite.
    """
    layers = _checked(layers)
    cells, denominator = _cells_of_hidden_layers(layers, start)
    found = []
    for vertices, labels, pattern, functions, is_tied in cells:
        rows = tuple((a, b, c) for a, b, c in functions.tolist())
        found.append(ExactCell(vertices, labels, pattern, rows, denominator, is_tied))
    return _relabelled(found, [layer.bias.shape[0] for layer in layers[:-1]])


def exact_count(layers: Layers, start: ProjectiveDomain) -> tuple[int, bool]:
    """Number of regions of a network with two inputs, without any rounding, and whether an exact zero was met.

    Arguments are those of :func:`exact_cells`. A pattern's cell is convex, so its parts in several faces of the start
    are one region.
    """
    cells = exact_cells(layers, start)
    return len({cell.pattern for cell in cells}), any(cell.is_tied for cell in cells)


def _checked(layers: Layers) -> Layers:
    layers = check_layers(layers, dim=2)
    if np.ndim(layers[0].kernel) != MATRIX:
        raise ValueError(
            f"one network is needed, but the first kernel has shape {np.shape(layers[0].kernel)}. Take one member of "
            "the population at a time."
        )
    check_finite(layers)
    return layers


def _cells_of_hidden_layers(layers: Layers, start: ProjectiveDomain) -> tuple[list[_Cell], int]:
    """The cells that all layers but the last make, with the functions of the last one, and their denominator."""
    together, denominator = dyadic(rows_of(layers[0]))
    cells = [face._replace(rows=together) for face in _faces(start)]
    is_zero = np.zeros(together.shape[1] - 1, bool)  # everywhere, as far as weights tell
    for index, layer in enumerate(layers[1:]):
        slope = np.asarray(slope_of(layers[index]))
        (together, scale), (factors, slope_scale) = dyadic(rows_of(layer)), dyadic(slope)
        denominator *= slope_scale
        kernel, bias = together[:, :-1], together[:, -1] * denominator
        is_zero = ~np.any(rows_of(layers[index])[:, np.append(~is_zero, True)], axis=1)
        bends = np.flatnonzero((slope != 1) & ~is_zero).tolist()
        pieces: list[_Cell] = []
        for cell in cells:
            parts = list(_pieces(cell, bends, index))
            active = np.array([part.pattern[len(cell.pattern) :] for part in parts], bool)
            is_settled = (active == active[0]).all(axis=0)
            # the sum over units that are the same on all pieces comes first, and once
            sums = []
            for on, units in [(active[0], is_settled), *((on, ~is_settled) for on in active)]:
                live = units & (on | (factors != 0))
                sums.append(kernel[:, live] @ (cell.rows[live] * np.where(on, slope_scale, factors)[live, None]))
            sums[0][:, 2] += bias
            pieces += [part._replace(rows=rows + sums[0]) for part, rows in zip(parts, sums[1:], strict=True)]
        cells = pieces
        denominator *= scale
    return cells, denominator


def rows_of(layer: Dense) -> np.ndarray:
    """The layer's numbers, (out, in + 1)."""
    return np.concatenate([layer.kernel, np.asarray(layer.bias)[None]]).T


def dyadic(array: np.ndarray) -> tuple[np.ndarray, int]:
    """The array times the smallest power of two that makes it integers, as Python's; and that power."""
    ratios = [value.as_integer_ratio() for value in np.asarray(array, np.float64).ravel().tolist()]
    scale = max((denominator for _, denominator in ratios), default=1)
    scaled = np.array([numerator * (scale // denominator) for numerator, denominator in ratios], object)
    return scaled.reshape(array.shape), scale


def _faces(start: ProjectiveDomain) -> Iterator[_Cell]:
    """The faces of the start, without functions."""
    points = [reduced(integers(vertex)) for vertex in np.asarray(start.vertices, np.float64).tolist()]
    sides = [[frozenset(side) for side in pairwise((*cycle, cycle[0]))] for cycle in start.cycles]
    together = [side for cycle in sides for side in cycle]
    number = {side: index for index, side in enumerate(dict.fromkeys(together))}
    for cycle, around in zip(start.cycles, sides, strict=True):
        labels = tuple((OUTSIDE if together.count(side) == 1 else ARTIFICIAL, number[side]) for side in around)
        yield _Cell(tuple(points[vertex] for vertex in cycle), labels, (), np.zeros((0, 3), object), False)


def _pieces(cell: _Cell, bends: list[int], layer: int) -> Iterator[_Cell]:
    """The pieces that the units of one layer cut a cell into. Each goes on with the units that change sign on it."""
    functions = cell.rows.tolist()
    stack = [(cell.vertices, cell.labels, [False] * len(functions), bends, cell.is_tied)]
    while stack:
        vertices, labels, active, candidates, is_tied = stack.pop()
        crossing = []
        for unit in candidates:
            a, b, c = functions[unit]
            values = [a * x + b * y + c * w for x, y, w in vertices]
            is_tied = is_tied or 0 in values
            if min(values) < 0 < max(values):
                crossing.append((unit, values))
            else:
                active[unit] = max(values) > 0
        if crossing:
            (unit, values), *others = crossing
            rest = [other for other, _ in others]
            positive, negative = _split(vertices, labels, values, (layer, unit))
            with_unit = active.copy()
            with_unit[unit] = True
            stack += [(*negative, active, rest, is_tied), (*positive, with_unit, rest, is_tied)]
        else:
            yield _Cell(vertices, labels, (*cell.pattern, *active), cell.rows, is_tied)


def _split(
    vertices: tuple[Vector, ...], labels: tuple[Label, ...], values: list[int], label: Label
) -> list[tuple[tuple[Vector, ...], tuple[Label, ...]]]:
    """The parts of a cell where a function with these values at its vertices is positive and where it is negative."""
    sides: tuple[list[tuple[Vector, Label]], ...] = ([], [])
    positive, negative = sides
    last = len(vertices) - 1
    for i, (p, own, v) in enumerate(zip(vertices, labels, values, strict=True)):
        q, w = (vertices[i + 1], values[i + 1]) if i < last else (vertices[0], values[0])
        if v >= 0:
            positive.append((p, own if v > 0 or w > 0 else label))
        if v <= 0:
            negative.append((p, own if v < 0 or w < 0 else label))
        if v > 0 > w or v < 0 < w:
            m, n = abs(w), abs(v)
            point = reduced((m * p[0] + n * q[0], m * p[1] + n * q[1], m * p[2] + n * q[2]))
            positive.append((point, label if v > 0 else own))
            negative.append((point, label if v < 0 else own))
    return [(tuple(point for point, _ in side), tuple(name for _, name in side)) for side in sides]


def _relabelled(cells: list[ExactCell], widths: Sequence[int]) -> list[ExactCell]:
    """The cells with the name of a unit on those artificial edges that happen to run along the unit's line."""
    units = [(layer, unit) for layer, width in enumerate(widths) for unit in range(width)]
    beside = defaultdict(list)
    for index, cell in enumerate(cells):
        for i, (layer, _) in enumerate(cell.labels):
            if layer == ARTIFICIAL:
                edge = frozenset((cell.vertices[i], cell.vertices[(i + 1) % len(cell.vertices)]))
                beside[edge].append((index, i))
    cells = list(cells)
    for (first, i), (second, j) in beside.values():
        for unit, one, other in zip(units, cells[first].pattern, cells[second].pattern, strict=True):
            if one != other:
                for index, place in ((first, i), (second, j)):
                    labels = list(cells[index].labels)
                    labels[place] = unit
                    cells[index] = cells[index]._replace(labels=tuple(labels))
                break
    return cells


def complex_of_cells(cells: list[ExactCell]) -> PlanarComplex:
    """The planar complex of all cells of one network; its numbers are rounded once, from exact ones.

    The artificial edges of a start with several faces are still there:
    :func:`jaxgeom.regions.complex.without_artificial_edges` takes them out.
    """
    number: dict[Vector, int] = {}
    cycles = [[number.setdefault(vertex, len(number)) for vertex in cell.vertices] for cell in cells]
    num = len(cells)
    gradients = [[[_quotient(v, cell.denominator) for v in row[:2]] for row in cell.rows] for cell in cells]
    intercepts = [[_quotient(row[2], cell.denominator) for row in cell.rows] for cell in cells]
    complex_ = complex_of_cycles(
        np.array([_position(vertex) for vertex in number]),
        np.cumsum([0, *map(len, cycles)]),
        np.concatenate(cycles),
        np.array([label for cell in cells for label in cell.labels]),
        np.array([cell.pattern for cell in cells], bool).reshape(len(cells), -1),
        np.array(gradients).reshape(num, -1, 2),
        np.array(intercepts).reshape(num, -1),
        degenerate=any(cell.is_tied for cell in cells),
        complete=True,
    )
    for face, cell in enumerate(cells):
        if all(w > 0 for _, _, w in cell.vertices):
            complex_.area[face], complex_.centroid[face] = _area_and_centroid(cell.vertices)
        for vertex in cell.vertices:
            if vertex[2] > 0:
                complex_.outputs[number[vertex]] = [
                    _output(dot(row, vertex), cell.denominator * vertex[2]) for row in cell.rows
                ]
    return complex_


def _area_and_centroid(vertices: tuple[Vector, ...]) -> tuple[float, tuple[float, float]]:
    """Of a bounded cell, from the triangles of a fan, each rounded once: slivers keep all their digits."""
    x, y, w = vertices[0]
    spokes = [
        (_quotient(p[0] * w - x * p[2], p[2] * w), _quotient(p[1] * w - y * p[2], p[2] * w)) for p in vertices[1:]
    ]
    areas = [_quotient(dot(vertices[0], cross(p, q)), 2 * w * p[2] * q[2]) for p, q in pairwise(vertices[1:])]
    area = sum(areas)
    weights = [part / area for part in areas] if 0 < area < inf else [1 / len(areas)] * len(areas)
    thirds = [((p[0] + q[0]) / 3, (p[1] + q[1]) / 3) for p, q in pairwise(spokes)]
    offset = [sum(weight * third[axis] for weight, third in zip(weights, thirds, strict=True)) for axis in (0, 1)]
    return area, (_quotient(x, w) + offset[0], _quotient(y, w) + offset[1])


def _position(vertex: Vector) -> tuple[float, float, float]:
    """A homogeneous point as floats: (x, y, 1), or (x, y, 0) of length 1."""
    x, y, w = vertex
    if w:
        return _quotient(x, w), _quotient(y, w), 1.0
    size = max(abs(x), abs(y))
    direction = x / size, y / size
    length = hypot(*direction)
    return direction[0] / length, direction[1] / length, 0.0


def _quotient(numerator: int, denominator: int) -> float:
    """The float next to a ratio of integers with a positive denominator; beyond the largest one, infinity."""
    try:
        return numerator / denominator
    except OverflowError:
        return inf if numerator > 0 else -inf


def _output(numerator: int, denominator: int) -> float:
    """The same, of the right sign where float64 has nothing so small."""
    return _quotient(numerator, denominator) or ((numerator > 0) - (numerator < 0)) * ulp(0.0)


def integers(values: Sequence[float]) -> Vector:
    """The three values times the smallest power of two that makes them integers."""
    ratios = [value.as_integer_ratio() for value in values]
    scale = max(denominator for _, denominator in ratios)
    a, b, c = (numerator * (scale // denominator) for numerator, denominator in ratios)
    return a, b, c


def reduced(vector: Vector) -> Vector:
    """The vector over its greatest common divisor: points in one direction become one tuple."""
    a, b, c = vector
    divisor = gcd(a, b, c)
    return (a // divisor, b // divisor, c // divisor) if divisor > 1 else vector


def cross(p: Vector, q: Vector) -> Vector:
    """The cross product: the point shared by two lines, or the line through two points."""
    return (p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0])


def dot(p: Vector, q: Vector) -> int:
    """The dot product: its sign is the side of the line on which the point lies."""
    return p[0] * q[0] + p[1] * q[1] + p[2] * q[2]
