"""Ties of several outputs, decided for the weights as they are: held against clipping in fractions, cell by cell."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from complexes import network

from jaxgeom import Dense, box, decision_boundary, enumerate_regions
from jaxgeom.domains import projective_domain
from jaxgeom.regions.exact_plane import exact_cells


def value(row, point):
    return row[0] * point[0] + row[1] * point[1] + row[2]


def clipped(polygon, row):
    """The part of a convex polygon, or of a line piece, where a x + b y + c >= 0, in fractions."""
    found = []
    for p, q in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        at_p, at_q = value(row, p), value(row, q)
        if at_p >= 0:
            found.append(p)
        if at_p * at_q < 0:
            share = at_p / (at_p - at_q)
            found.append((p[0] + share * (q[0] - p[0]), p[1] + share * (q[1] - p[1])))
    return list(dict.fromkeys(found))


def truth(layers):
    """Line pieces on which two outputs with different maps tie for the largest, and areas where outputs with one map
    are the largest."""
    pieces, flat = set(), []
    for cell in exact_cells(layers, projective_domain(box())):
        polygon = [(Fraction(x, w), Fraction(y, w)) for x, y, w in cell.vertices]
        for a, b in combinations(range(len(cell.rows)), 2):
            difference = [p - q for p, q in zip(cell.rows[a], cell.rows[b], strict=True)]
            part = clipped(clipped(polygon, difference), [-c for c in difference])
            for row in cell.rows:
                part = clipped(part, [p - q for p, q in zip(cell.rows[a], row, strict=True)])
            if len(part) == 2:
                pieces.add(frozenset(part))
            elif len(part) > 2:
                assert not any(difference)
                flat.append(polygon)
    return pieces, flat


def length(pieces):
    return sum(float(np.hypot(*(float(p - q) for p, q in zip(*piece, strict=True)))) for piece in pieces)


def check(layers, *, has_flat=None):
    complex_ = enumerate_regions(layers, box())
    found = decision_boundary(complex_)
    pieces, flat = truth(layers)
    if has_flat is not None:
        assert bool(flat) == has_flat
    assert found.is_flat.sum() == len({frozenset(polygon) for polygon in flat})
    if not flat:  # beside flat cells, only the pieces where the class changes are listed
        assert found.length.sum() == pytest.approx(length(pieces), rel=1e-9, abs=1e-12)
    return found


FACTORS = [1.0, 2.0**-47, 2.0**-500, 2.0**-1000, 2.0**900]


@pytest.mark.parametrize("factor", FACTORS)
def test_any_scale_of_the_outputs(factor):
    for seed in range(6):
        *hidden, last = network(seed, 6, 3)
        check((*hidden, Dense(last.kernel * factor, last.bias * factor)), has_flat=False)


@pytest.mark.parametrize("small", [2.0**-10, 2.0**-40, 2.0**-46])
def test_outputs_that_are_nearly_the_same(small):
    """The second output is the first one and a tiny multiple of a line: they part on that line, however tiny."""
    hidden = Dense(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([2.0, 2.0]))  # active everywhere
    kernel = np.array([[3.0, 3.0 + small], [5.0, 5.0 - 2 * small]])
    layers = (hidden, Dense(kernel, np.array([1.0, 1.0 + 2 * small])))  # x + 2 - 2 (y + 2) + 2 = x - 2 y
    found = check(layers, has_flat=False)
    assert found.length.sum() == pytest.approx(np.sqrt(5), rel=1e-6)
    assert found.classes.tolist() in ([[0, 1]], [[1, 0]])


@pytest.mark.parametrize("factor", FACTORS)
def test_outputs_that_are_the_same(factor):
    for seed in range(4):
        *hidden, last = network(seed, 5, 2)
        kernel, bias = (np.concatenate([array, array[..., :1]], axis=-1) * factor for array in (last.kernel, last.bias))
        check((*hidden, Dense(kernel, bias)))


@pytest.mark.parametrize("factor", FACTORS)
def test_outputs_that_tie_on_a_whole_cell_along_an_edge_and_at_a_vertex(factor):
    hidden = Dense(np.eye(2), np.zeros(2))  # relu(x), relu(y)
    cases = [
        ([[0.0, 1.0], [0.0, 1.0]], [0.0, 0.0], True),  # the third quadrant
        ([[1.0, 0.0], [1.0, 0.0]], [1.0, 0.0], False),  # nowhere
        ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0], True),  # the diagonal, and the third quadrant
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [0.0, 0.0, 1.0], False),  # at the corner (1, 1) only
    ]
    for kernel, bias, has_flat in cases:
        check((hidden, Dense(factor * np.array(kernel), factor * np.array(bias))), has_flat=has_flat)
    steps = Dense(np.array([[1.0, -1.0], [0.0, 0.0]]), np.zeros(2))
    edge = check((steps, Dense(factor * np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros(2))), has_flat=False)
    assert edge.length.sum() == 2.0  # |x|-like maps tie along x = 0, an edge


@pytest.mark.parametrize("small", [2.0**-10, 2.0**-46])
def test_classes_beside_an_edge_where_nearly_the_same_outputs_tie(small):
    """Beside x = 0, which is an edge, the second output is larger by a tiny share of what they have in common."""
    hidden = Dense(np.array([[1.0, -1.0, 1.0], [0.0, 0.0, 0.0]]), np.array([0.0, 0.0, 2.0]))  # relu(±x), x + 2
    kernel = np.array([[3.0, 3.0 + small], [5.0, 5.0 - small], [7.0, 7.0]])
    found = check((hidden, Dense(kernel, np.zeros(2))), has_flat=False)
    assert found.length.tolist() == [2.0]
    is_right = found.segments[0, 1, 1] < 0  # downwards, the side x > 0 is to the left
    assert found.classes.tolist() == [[1, 0] if is_right else [0, 1]]


@pytest.mark.parametrize("num", [2, 3, 4])
def test_quantised_networks_and_zero_biases(num):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        shapes = ((2, 5), (5, num))
        int8 = tuple(Dense(rng.integers(-7, 8, s) * 2.0**-5, rng.integers(-7, 8, s[1]) * 2.0**-5) for s in shapes)
        check(int8)
        check(tuple(layer._replace(bias=0 * layer.bias) for layer in network(seed, 5, num)))
        check(network(seed, 4, num, values=[-1.0, 0.0, 1.0]))


def test_outputs_that_cut_have_the_same_boundary():
    layers = network(0, 6, 3)
    found, cut = (decision_boundary(enumerate_regions(layers, box(), cut_output=cut)) for cut in (False, True))
    assert cut.length.sum() == pytest.approx(found.length.sum(), rel=1e-12)


def test_complexes_without_their_network_are_refused():
    complex_ = enumerate_regions(network(0, 6, 3), box())
    with pytest.raises(ValueError, match="does not say which network"):
        decision_boundary(complex_._replace(layers=None))
    with pytest.raises(ValueError, match="not the one of its network"):
        decision_boundary(complex_._replace(layers=network(1, 6, 3)))


# Pieces, one by one


def sorted_pieces(segments):
    """Middles and half-vectors of pieces, in an order and direction that rounding does not change."""
    segments = np.reshape(segments, (-1, 2, 2))
    middle, half = segments.mean(axis=1), (segments[:, 1] - segments[:, 0]) / 2
    half = half * np.where(half @ [1.0, 0.273] < 0, -1, 1)[:, None]
    order = np.lexsort(np.round(np.concatenate([half, middle], axis=1), 9).T)
    return np.concatenate([middle, half], axis=1)[order]


def class_beside(layers, segment, side):
    """The class at the left (1) or the right (-1) of the middle of a piece, in fractions: how far away does not matter,
    as the classes there are those of the largest value and slope."""
    (x0, y0), (x1, y1) = [[Fraction(c) for c in point] for point in segment.tolist()]
    step = Fraction(1, 2**40)
    x, y = (x0 + x1) / 2 - side * step * (y1 - y0), (y0 + y1) / 2 + side * step * (x1 - x0)
    values = [x, y]
    for index, (kernel, bias, *_) in enumerate(layers):
        rows = zip(np.transpose(kernel).tolist(), bias.tolist(), strict=True)
        values = [sum((Fraction(w) * v for w, v in zip(row, values, strict=True)), Fraction(b)) for row, b in rows]
        if index < len(layers) - 1:
            values = [max(value, Fraction(0)) for value in values]
    return values.index(max(values))


def check_pieces(layers, size=1.0):
    """There are those pieces that fractions find, no more and no fewer, with the right classes beside them."""
    domain = box(-size, size)
    found = decision_boundary(enumerate_regions(layers, domain))
    pieces = set()
    for cell in exact_cells(layers, projective_domain(domain)):
        polygon = [(Fraction(x, w), Fraction(y, w)) for x, y, w in cell.vertices]
        for a, b in combinations(range(len(cell.rows)), 2):
            difference = [p - q for p, q in zip(cell.rows[a], cell.rows[b], strict=True)]
            assert any(difference)
            part = clipped(clipped(polygon, difference), [-c for c in difference])
            for row in cell.rows:
                part = clipped(part, [p - q for p, q in zip(cell.rows[a], row, strict=True)])
            if len(part) == 2:
                pieces.add(frozenset(part))
    scaled = [[[float(c / Fraction(size)) for c in point] for point in piece] for piece in pieces]
    assert len(found.face) == len(scaled)
    np.testing.assert_allclose(sorted_pieces(found.segments / size), sorted_pieces(scaled), rtol=0, atol=1e-12)
    for segment, classes in zip(found.segments, found.classes.tolist(), strict=True):
        if np.hypot(*(segment[1] - segment[0])) > 1e-6 * size:
            assert classes == [class_beside(layers, segment, 1), class_beside(layers, segment, -1)]
    return found


def affine(kernel, bias, factor, size):
    """One layer, its outputs times a factor, for points of a size."""
    return (Dense(np.array(kernel) * factor / size, np.array(bias, float) * factor),)


# powers of two near 1e-200 and 1e200, so that what is equal stays equal
SIZES = [(1.0, 1.0), (2.0**-664, 1.0), (2.0**664, 1.0), (1.0, 2.0**-664), (1.0, 2.0**664), (2.0**300, 2.0**-500)]
THREE = [[1.0, -0.5, -0.375], [0.0, 0.75, -0.875]]  # a star around the origin


@pytest.mark.parametrize(("factor", "size"), SIZES)
@pytest.mark.parametrize("off", [0.0, 2.0**-52, -(2.0**-52), 2.0**-30, -(2.0**-30), 2.0**-80])
def test_a_class_through_the_point_where_three_others_meet(factor, size, off):
    """The mean of three classes, a little above or below: exactly at the point, or a tiny triangle, or nowhere."""
    kernel = np.column_stack([np.array(THREE), np.mean(THREE, axis=1)])
    check_pieces(affine(kernel, [0.0, 0.0, 0.0, off], factor, size), size)
    shift = np.array([0.3, -0.2]) @ kernel  # rounded: where they meet is decided for the weights as they are
    check_pieces(affine(kernel, off * np.eye(4)[3] - shift, factor, size), size)


@pytest.mark.parametrize(("factor", "size"), SIZES)
@pytest.mark.parametrize("slope", [0.25, 2.0**-30, -(2.0**-30), 1 + 2.0**-30, 1 - 2.0**-30, 2.0**-57, -(2.0**-200)])
def test_three_classes_that_tie_along_a_line(factor, size, slope):
    """0, a line and a multiple of it: on each side the largest one, however small the difference."""
    check_pieces(affine([[0.0, 1.0, slope], [0.0, 0.75, 0.75 * slope]], np.zeros(3), factor, size), size)


@pytest.mark.parametrize(("factor", "size"), SIZES[:5])
@pytest.mark.parametrize("height", [1 / 3, -0.7, 0.0])
@pytest.mark.parametrize("tilt", [0.0, 0.1])
def test_classes_that_tie_along_an_edge_up_to_a_third_one(factor, size, height, tilt):
    """relu(x) and relu(-x) tie on x = 0, and a third class is larger from some height on, within that edge."""
    hidden = Dense(np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]) / size, np.array([0.0, 0.0, 3.0]))
    kernel = np.array([[1.0, 0.0, tilt], [0.0, 1.0, -tilt], [0.0, 0.0, 1.0]])
    found = check_pieces((hidden, Dense(kernel * factor, np.array([0.0, 0.0, -3.0 - height]) * factor)), size)
    assert {frozenset(pair) for pair in found.classes.tolist()} == {frozenset(p) for p in ((0, 1), (0, 2), (1, 2))}
    # a fourth class that is the third one on this edge, and less or more than it beside it
    four = np.column_stack([kernel, kernel[:, 2] + [0.25, -0.5, 0.0]])
    check_pieces((hidden, Dense(four * factor, np.array([0.0, 0.0, -3.0 - height, -3.0 - height]) * factor)), size)


@pytest.mark.parametrize(("factor", "size"), SIZES[:5])
def test_three_classes_meet_on_an_edge_between_its_vertices(factor, size):
    hidden = Dense(np.array([[1.0, 0.0, 0.0], [0.25, 1.0, 0.0]]) / size, np.array([0.125, 3.0, 1.0]))
    for seed in range(6):
        rng = np.random.default_rng(seed)
        kernel = rng.integers(-8, 9, (3, 3)) / 8
        # on the line of the first unit, x + y/4 + 1/8 = 0, at y = -1/2 the units are 0, 5/2 and 1
        bias = -np.array([0.0, 2.5, 1.0]) @ kernel
        check_pieces((hidden, Dense(kernel * factor, bias * factor)), size)


@pytest.mark.slow
@pytest.mark.parametrize("num", [3, 4, 6])
def test_pieces_of_random_and_quantised_networks(num):
    for seed in range(6):
        check_pieces(network(seed, 5, 4, num))
        rng = np.random.default_rng(seed)
        shapes = ((2, 5), (5, num))
        layers = tuple(Dense(rng.integers(-7, 8, s) * 2.0**-3, rng.integers(-7, 8, s[1]) * 2.0**-3) for s in shapes)
        _, flat = truth(layers)
        if not flat and all(
            any(np.diff(cell.rows, axis=0).ravel()) for cell in exact_cells(layers, projective_domain(box()))
        ):
            check_pieces_with_ties(layers)


def check_pieces_with_ties(layers):
    """As check_pieces, where pairs may be equal below others."""
    found = check(layers, has_flat=False)
    pieces, _ = truth(layers)
    assert len(found.face) == len(pieces)
