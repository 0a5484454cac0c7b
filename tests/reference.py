"""The truth that the library's fast paths are held against: slow, plain NumPy float64 and exact rationals.

Nothing here imports jax or jaxgeom. A network is a list of ``(kernel, bias)`` pairs, kernel ``(in, out)``,
with ReLU after every layer but the last, or of ``(kernel, bias, slope)``, where pre-activations that are not positive
are multiplied with the slope; a unit is active iff its pre-activation is strictly positive, and its slope not 1.

The exact part cuts polygons; it never counts by a formula. A float is a rational number, so every quantity is
kept as integers: a point of the plane as ``(X, Y, W)`` with W > 0, meaning ``(X/W, Y/W)``, and an affine
function ``a x + b y + c`` as ``(a, b, c)`` over a common positive denominator. The sign of the function at
the point is then the sign of the integer ``a X + b Y + c W``, and nothing is ever rounded.
"""

import math
import operator
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Layers = Sequence[Any]  # (kernel, bias) or (kernel, bias, slope): anything np.asarray takes
Point = tuple[int, int, int]  # (X, Y, W), W > 0, without common factor: the point (X/W, Y/W)
Row = tuple[int, int, int]  # (a, b, c): the function a x + b y + c, times a positive denominator kept elsewhere
Segment = tuple[Point, Point]


# ---------------------------------------------------------------------------------------------------------
# Floats: forward pass, patterns, affine maps at points
# ---------------------------------------------------------------------------------------------------------


def forward(layers: Layers, x: Any) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Outputs ``(points, out)`` and the hidden layers' pre-activations, each ``(points, width)``."""
    h = np.asarray(x, np.float64)
    pre_activations = []
    for kernel, bias, *slope in layers[:-1]:
        z = h @ np.asarray(kernel, np.float64) + np.asarray(bias, np.float64)
        pre_activations.append(z)
        h = np.where(z > 0, z, _slope(slope) * z)
    kernel, bias, *_ = layers[-1]
    return h @ np.asarray(kernel, np.float64) + np.asarray(bias, np.float64), pre_activations


def activation_patterns(layers: Layers, x: Any) -> NDArray[np.bool_]:
    """Which hidden units are active (z > 0) at ``x (points, in)``: bool ``(points, hidden units)``."""
    _, pre_activations = forward(layers, x)
    patterns = [(z > 0) & (_slope(layer[2:]) != 1) for z, layer in zip(pre_activations, layers, strict=False)]
    return np.concatenate([np.zeros((len(x), 0), bool), *patterns], axis=1)


def num_distinct_patterns(layers: Layers, x: Any) -> int:
    """Number of distinct activation patterns met at the points ``x (points, in)``."""
    return len({tuple(pattern.tolist()) for pattern in activation_patterns(layers, x)})


def affine_map_at(layers: Layers, x: Any, intercept: str = "direct") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gradients ``(points, out, in)`` and intercepts ``(points, out)`` of the affine piece at each point.

    Masked matrices are multiplied point by point. ``intercept="direct"`` carries the masked biases along;
    ``"residual"`` is the XOR study's way, output minus gradient times x. Equal up to rounding.
    """
    if intercept not in ("direct", "residual"):
        raise ValueError(f"intercept is {intercept!r}; allowed: 'direct', 'residual'")
    x = np.asarray(x, np.float64)
    gradients, intercepts = [], []
    for point in x:
        h = point
        matrix, offset = np.eye(len(point)), np.zeros(len(point))  # h = matrix @ point + offset
        for index, (kernel, bias, *slope) in enumerate(layers):
            weight, bias = np.asarray(kernel, np.float64).T, np.asarray(bias, np.float64)
            h, matrix, offset = weight @ h + bias, weight @ matrix, weight @ offset + bias
            if index < len(layers) - 1:
                factor = np.where(h > 0, 1.0, _slope(slope))
                h, matrix, offset = factor * h, factor[:, None] * matrix, factor * offset
        gradients.append(matrix)
        intercepts.append(offset if intercept == "direct" else h - matrix @ point)
    return np.array(gradients), np.array(intercepts)


def _slope(rest: Sequence[Any]) -> NDArray[np.float64]:
    """What follows kernel and bias, if anything does; else zero."""
    return np.asarray(0.0 if not rest or rest[0] is None else rest[0], np.float64)


def sequential_distinct_maps(maps: Any, atol: float = 1e-3) -> list[int]:
    """Rows kept of ``maps (rows, ...)`` by the XOR study's rule, as indices: first come, first kept.

    Rows are visited in order. A row is dropped iff its Euclidean distance to some row already kept is less
    than ``atol``. What a dropped row is near to does not matter, so a chain of close rows is not one group.
    """
    rows = np.asarray(maps, np.float64)
    rows = rows.reshape(len(rows), math.prod(rows.shape[1:]))
    kept: list[int] = []
    for index, row in enumerate(rows):
        if not np.any(np.linalg.norm(rows[kept] - row, axis=1) < atol):
            kept.append(index)
    return kept


# ---------------------------------------------------------------------------------------------------------
# Exact: the cells of one activation pattern inside a convex polygon
# ---------------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """A convex polygon of positive area with one activation pattern, hence one affine map, of the network."""

    corners: tuple[Point, ...]  # in the order of the domain's own vertices
    pattern: tuple[bool, ...]  # one entry per hidden unit, first layer first
    rows: tuple[Row, ...]  # one per output: (a, b, c) / denominator is the output a x + b y + c
    denominator: int

    @property
    def vertices(self) -> list[tuple[Fraction, Fraction]]:
        """The corners as pairs of rationals."""
        return [(Fraction(x, w), Fraction(y, w)) for x, y, w in self.corners]

    @property
    def area(self) -> Fraction:
        """The exact area."""
        return polygon_area(self.vertices)

    @property
    def centroid(self) -> tuple[Fraction, Fraction]:
        """The mean of the vertices: a point inside the cell."""
        xs, ys = zip(*self.vertices, strict=True)
        return Fraction(sum(xs), len(xs)), Fraction(sum(ys), len(ys))

    @property
    def gradient(self) -> list[list[Fraction]]:
        """Gradient of every output, ``(out, 2)``."""
        return [[Fraction(a, self.denominator), Fraction(b, self.denominator)] for a, b, _ in self.rows]

    @property
    def intercept(self) -> list[Fraction]:
        """Intercept of every output, ``(out,)``."""
        return [Fraction(c, self.denominator) for _, _, c in self.rows]


def exact_regions(layers: Layers, polygon: Any, slopes: Any = None) -> list[Cell]:
    """All full-dimensional cells of one activation pattern inside a convex polygon ``(n, 2)``, exactly.

    Two inputs, any number of hidden layers. The output's sign does not cut; to let it, append an identity
    layer. ``slopes``, one list for each hidden layer, are what negative pre-activations are multiplied with; units of
    slope 1 do not cut and are never active. Coordinates may be integers beyond the range of floats: the whole plane
    has as many cells as a square around all the points where lines meet.
    """
    corners = tuple(_point(x, y) for x, y in _fractions(polygon))
    _check_convex(corners)
    cells = [Cell(corners, (), ((1, 0, 0), (0, 1, 0)), 1)]  # the whole polygon with the identity map
    factors = _slopes(layers, slopes)
    for layer, own in zip(layers[:-1], factors, strict=True):
        cells = [piece for cell in cells for piece in _cut_by_layer(cell, layer, own)]
    return [cell._replace(**_compose(cell, layers[-1])) for cell in cells]


def exact_region_count(layers: Layers, polygon: Any, slopes: Any = None) -> int:
    """Number of full-dimensional cells of one activation pattern inside a convex polygon ``(n, 2)``."""
    return len(exact_regions(layers, polygon, slopes))


def exact_areas(layers: Layers, polygon: Any) -> list[Fraction]:
    """The exact area of every cell; they add up to the polygon's area."""
    return [cell.area for cell in exact_regions(layers, polygon)]


def polygon_area(vertices: Any) -> Fraction:
    """Exact area of a polygon ``(n, 2)`` by the shoelace formula, whichever way round it runs."""
    v = _fractions(vertices)
    twice = sum((v[i - 1][0] * v[i][1] - v[i][0] * v[i - 1][1] for i in range(len(v))), Fraction(0))
    return abs(twice) / 2


def exact_forward(layers: Layers, point: Iterable[Any]) -> tuple[list[Fraction], list[Fraction]]:
    """Outputs and all hidden pre-activations at one point, in rationals, to check cells with."""
    h = [Fraction(value) for value in point]
    pre_activations: list[Fraction] = []
    for index, (kernel, bias, *_) in enumerate(layers):
        kernel, bias = _fractions(kernel), _fractions(bias)
        h = [bias[j] + sum(h[i] * kernel[i][j] for i in range(len(h))) for j in range(len(bias))]
        if index < len(layers) - 1:
            pre_activations += h
            h = [z if z > 0 else s * z for z, s in zip(h, _slopes(layers, None)[index], strict=True)]
    return h, pre_activations


def has_exact_zero(layers: Layers, polygon: Any, cells: Sequence[Cell], slopes: Any = None) -> bool:
    """Whether more units and sides of the polygon than needed run through some vertex of its cells.

    A vertex needs two, a corner of the polygon none but its sides. Units that are zero everywhere, and units of slope
    1, which do not cut, run through none.
    """
    corners = [_point(x, y) for x, y in _fractions(polygon)]
    sides = [_cross(corners[i - 1], corners[i]) for i in range(len(corners))]
    factors = _slopes(layers, slopes)
    scaled = []  # integer columns, the denominator of kernel and bias, integer slopes, their denominator
    for (kernel, bias, *_), own in zip(layers[:-1], factors, strict=True):
        rows = [*_fractions(kernel), _fractions(bias)]
        s, t = (math.lcm(*(value.denominator for value in values)) for values in ([v for r in rows for v in r], own))
        columns = [[int(row[j] * s) for row in rows] for j in range(len(own))]
        scaled.append((columns, s, [int(slope * t) for slope in own], t))
    for x, y, w in {point for cell in cells for point in cell.corners}:
        through = sum(a * x + b * y + c * w == 0 for a, b, c in sides)
        h, one = [x, y], w
        for columns, s, of_units, t in scaled:
            z = [sum(map(operator.mul, column, [*h, one])) for column in columns]
            through += sum(v == 0 and f != t and any(c) for v, f, c in zip(z, of_units, columns, strict=True))
            h, one = [t * v if v > 0 else f * v for v, f in zip(z, of_units, strict=True)], one * s * t
        if through > 2:
            return True
    return False


def _cut_by_layer(cell: Cell, layer: tuple[Any, Any], slopes: list[Fraction]) -> list[Cell]:
    """The cell cut by every unit of one layer, each piece carrying the layer's output after its activation."""
    functions = _compose(cell, layer)
    pieces: list[tuple[tuple[Point, ...], tuple[bool, ...]]] = [(cell.corners, ())]
    for row, slope in zip(functions["rows"], slopes, strict=True):
        pieces = [
            (part, (*active, is_active))
            for corners, active in pieces
            for part, is_active in ([(corners, False)] if slope == 1 else _split(corners, row))
        ]
    common = math.lcm(*(slope.denominator for slope in slopes))
    factors = [int(slope * common) for slope in slopes]
    cells = []
    for corners, active in pieces:
        of_units = [common if on else factor for on, factor in zip(active, factors, strict=True)]
        rows = tuple((f * a, f * b, f * c) for (a, b, c), f in zip(functions["rows"], of_units, strict=True))
        cells.append(Cell(corners, cell.pattern + active, rows, functions["denominator"] * common))
    return cells


def _compose(cell: Cell, layer: tuple[Any, Any]) -> dict[str, Any]:
    """The layer's pre-activations as affine functions of the plane, given the cell's ``rows`` at its input.

    With integers K, k, H and denominators s, d: (K/s) (H/d) + k/s = (K H + k d) / (s d).
    """
    kernel, bias = _fractions(layer[0]), _fractions(layer[1])
    s = math.lcm(*(value.denominator for line in [*kernel, bias] for value in line))
    d = cell.denominator
    rows = []
    for j in range(len(bias)):
        a, b, c = 0, 0, int(bias[j] * s) * d
        for (ha, hb, hc), weights in zip(cell.rows, kernel, strict=True):
            if ha or hb or hc:
                weight = int(weights[j] * s)
                a, b, c = a + weight * ha, b + weight * hb, c + weight * hc
        rows.append((a, b, c))
    return {"rows": tuple(rows), "denominator": s * d}


def _split(corners: tuple[Point, ...], row: Row) -> list[tuple[tuple[Point, ...], bool]]:
    """The cell's positive and negative side, or the whole cell; with each, whether the unit is active."""
    a, b, c = row
    values = [a * x + b * y + c * w for x, y, w in corners]
    if max(values) > 0 > min(values):
        return [(_clip(corners, values), True), (_clip(corners, [-v for v in values]), False)]
    return [(corners, max(values) > 0)]


def _clip(corners: tuple[Point, ...], values: list[int]) -> tuple[Point, ...]:
    """The part of a convex polygon where the affine function with these values at its corners is >= 0."""
    kept: list[Point] = []
    for i, (p, v) in enumerate(zip(corners, values, strict=True)):
        if v >= 0:
            kept.append(p)
        q, w = corners[(i + 1) % len(corners)], values[(i + 1) % len(corners)]
        if v > 0 > w or v < 0 < w:  # |w| p + |v| q lies between p and q, and the function vanishes there
            v, w = abs(v), abs(w)
            kept.append(_reduced(w * p[0] + v * q[0], w * p[1] + v * q[1], w * p[2] + v * q[2]))
    return tuple(kept)


def _reduced(a: int, b: int, c: int) -> tuple[int, int, int]:
    """The triple without its common factor, so that equal points are equal tuples."""
    divisor = math.gcd(a, b, c)
    return a // divisor, b // divisor, c // divisor


def _point(x: Fraction, y: Fraction) -> Point:
    w = math.lcm(x.denominator, y.denominator)
    return int(x * w), int(y * w), w


def _fractions(values: Any) -> list[Any]:
    """Numbers of any shape as nested lists of the very same numbers, as rationals."""

    def convert(value: Any) -> Any:
        return [convert(item) for item in value] if isinstance(value, list) else Fraction(value)

    return convert(np.asarray(values).tolist())


def _check_convex(corners: tuple[Point, ...]) -> None:
    """Refuse a polygon with a repeated vertex, a dent, or no area."""
    turns = [_determinant(corners[i - 2], corners[i - 1], corners[i]) for i in range(len(corners))]
    if len(set(corners)) < len(corners) or min(turns) < 0 < max(turns) or not any(turns):
        raise ValueError("the polygon must be convex, of positive area, with distinct vertices given in order")


def _determinant(p: Point, q: Point, r: Point) -> int:
    a, b, c = _cross(p, q)
    return a * r[0] + b * r[1] + c * r[2]


def _cross(p: Point, q: Point) -> tuple[int, int, int]:
    return p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]


# ---------------------------------------------------------------------------------------------------------
# Exact: coarser regions
# ---------------------------------------------------------------------------------------------------------


def num_distinct_maps_exact(cells: Sequence[Cell]) -> int:
    """Number of distinct affine maps over the cells (of one network, so the denominators agree)."""
    return len({cell.rows for cell in cells})


def num_linear_regions(cells: Sequence[Cell]) -> int:
    """Number of connected sets with one affine map; neighbours share a segment, not just a point."""
    neighbours: list[set[int]] = [set() for _ in cells]
    for sides in segment_sides(cells).values():
        for i in sides:
            neighbours[i] |= {j for j in sides if j != i and cells[i].rows == cells[j].rows}
    seen: set[int] = set()
    count = 0
    for start in range(len(cells)):
        if start in seen:
            continue
        count += 1
        seen.add(start)
        stack = [start]
        while stack:
            new = neighbours[stack.pop()] - seen
            seen |= new
            stack += new
    return count


def segment_sides(cells: Sequence[Cell]) -> dict[Segment, list[int]]:
    """The complex's edges: every segment between neighbouring vertices on a line, with the cells it bounds.

    A cell's edge with other cells' vertices inside it counts as several segments, so two cells that share
    only part of an edge are found to share it. One cell at the domain's boundary, two inside.
    """
    edges_on_line: dict[tuple[int, int, int], list[tuple[int, Point, Point]]] = {}
    for index, cell in enumerate(cells):
        for i, q in enumerate(cell.corners):
            p = cell.corners[i - 1]
            line = _reduced(*_cross(p, q))
            line = max(line, (-line[0], -line[1], -line[2]))  # the same line run through the other way
            edges_on_line.setdefault(line, []).append((index, p, q))
    sides: dict[Segment, list[int]] = {}
    for edges in edges_on_line.values():
        points = sorted(
            {point for _, p, q in edges for point in (p, q)},
            key=lambda point: (Fraction(point[0], point[2]), Fraction(point[1], point[2])),
        )
        rank = {point: position for position, point in enumerate(points)}
        for index, p, q in edges:
            first, last = sorted((rank[p], rank[q]))
            for position in range(first, last):
                sides.setdefault((points[position], points[position + 1]), []).append(index)
    return sides


# ---------------------------------------------------------------------------------------------------------
# Exact: breakpoints along a line
# ---------------------------------------------------------------------------------------------------------


class Breakpoint(NamedTuple):
    """Where the activation pattern changes along a line, and the first unit that changes there."""

    t: Fraction
    layer: int
    unit: int


Affine = tuple[Fraction, Fraction]  # (slope, intercept), a function of t


def exact_breakpoints(
    layers: Layers, start: Any, stop: Any, *, infinite: bool = False, slopes: Any = None
) -> tuple[list[Breakpoint], list[list[Affine]]]:
    """All breakpoints on start + t (stop - start) for 0 < t < 1, or for all t; and the outputs on each piece.

    Walks along the line: with the pattern just right of where it is, every unit is an affine function of t, and
    nothing changes before the first root ahead. There it asks for the pattern again. A unit whose value is zero is
    active just right of there iff its slope is positive. ``slopes``, one list for each hidden layer, are what
    negative pre-activations are multiplied with.
    """
    inputs = [(b - a, a) for a, b in zip(_fractions(start), _fractions(stop), strict=True)]
    weights = [(_fractions(kernel), _fractions(bias)) for kernel, bias, *_ in layers]
    factors = _slopes(layers, slopes)
    here = None if infinite else Fraction(0)  # None is minus infinity
    found: list[Breakpoint] = []
    pattern, functions, outputs = _right_of(weights, factors, inputs, here)
    pieces = [outputs]
    while True:
        roots = [-b / a for layer in functions for a, b in layer if a]
        ahead = [t for t in roots if (here is None or t > here) and (infinite or t < 1)]
        if not ahead:
            return found, pieces
        here = min(ahead)
        before = pattern
        pattern, functions, outputs = _right_of(weights, factors, inputs, here)
        changes = [
            (layer, unit)
            for layer, (old, new) in enumerate(zip(before, pattern, strict=True))
            for unit, (was, is_active) in enumerate(zip(old, new, strict=True))
            if was != is_active and factors[layer][unit] != 1
        ]
        if changes:
            found.append(Breakpoint(here, *changes[0]))
            pieces.append(outputs)


def _right_of(
    weights: Any, factors: Any, inputs: list[Affine], t: Fraction | None
) -> tuple[list[list[bool]], list[list[Affine]], list[Affine]]:
    """Pattern, pre-activations as functions of t, and outputs, just right of t."""
    h = inputs
    pattern: list[list[bool]] = []
    functions: list[list[Affine]] = []
    for index, (kernel, bias, *_) in enumerate(weights):
        z = [
            (
                sum((h[i][0] * kernel[i][j] for i in range(len(h))), Fraction(0)),
                bias[j] + sum((h[i][1] * kernel[i][j] for i in range(len(h))), Fraction(0)),
            )
            for j in range(len(bias))
        ]
        if index == len(weights) - 1:
            return pattern, functions, z
        # at minus infinity the value is -slope, then the intercept; elsewhere the value, then the slope
        signs = [(-a, b) if t is None else (a * t + b, a) for a, b in z]
        active = [first > 0 or (first == 0 and second > 0) for first, second in signs]
        pattern.append(active)
        functions.append(z)
        h = [(a, b) if on else (a * s, b * s) for (a, b), on, s in zip(z, active, factors[index], strict=True)]
    raise ValueError("a network has at least one layer")


def _slopes(layers: Layers, slopes: Any) -> list[list[Fraction]]:
    """For each hidden layer what negative pre-activations are multiplied with: as given, or the third entry of the
    layers, one number or one for each unit; else zero."""
    if slopes is not None:
        return [_fractions(values) for values in slopes]
    of_layers = [(layer[1], layer[2] if len(layer) > 2 and layer[2] is not None else 0.0) for layer in layers[:-1]]
    return [_fractions(np.broadcast_to(np.asarray(slope, np.float64), np.shape(bias))) for bias, slope in of_layers]


# ---------------------------------------------------------------------------------------------------------
# Closed forms
# ---------------------------------------------------------------------------------------------------------


def zaslavsky(n: int, d: int) -> int:
    """Number of regions that n hyperplanes in general position cut R^d into."""
    return sum(math.comb(n, k) for k in range(d + 1))


def mean_count_one_layer_default_init(width: int) -> float:
    """Expected number of cells in [-1, 1]^2 of one hidden layer with PyTorch's default initialisation.

    A unit's weights u1, u2 and bias u3 are independent and uniform on one symmetric interval. Its line meets
    the box iff |u3| < |u1| + |u2|: probability 5/6. Two lines meet where Cramer's rule divides two 2 x 2
    minors of their 2 x 3 matrix by the third, so inside the box iff the third is the largest in absolute
    value: probability 1/3, its columns being exchangeable. Every such line and such pair adds one cell.
    """
    return 1 + width * 5 / 6 + math.comb(width, 2) / 3


def mean_count_disc(n: int, sigma: float, radius: float) -> float:
    """Expected number of cells in a disc around 0: n units, weights N(0, 1), biases N(0, sigma^2)."""
    hypotenuse = math.hypot(radius, sigma)
    return 1 + n * radius / hypotenuse + math.comb(n, 2) * (1 - sigma / hypotenuse)
