"""Boxes, their corners and vertices, and grids: exact identities."""

import itertools
from fractions import Fraction

import jax
import numpy as np
import pytest
import reference

from jaxgeom import Box, box, corners, grid_lines, grid_points, polygon_vertices, whole_plane
from jaxgeom.domains import projective_domain

BOXES = [box(), box(0.1, 0.3), box((-3, 0.1), (2.5, 0.7)), box(1e-20, 1e20), box(-7, -6)]


def test_box_spreads_one_bound_over_all_coordinates():
    for dim in (1, 2, 5):
        low, high = box(dim=dim)
        np.testing.assert_array_equal(low, [-1.0] * dim)
        np.testing.assert_array_equal(high, [1.0] * dim)
        assert low.dtype == high.dtype == np.float64
    low, high = box((0, 1, 2), 7, dim=3)
    np.testing.assert_array_equal(low, [0, 1, 2])
    np.testing.assert_array_equal(high, [7, 7, 7])


def test_box_copies_its_bounds():
    low = np.array([0.0, 0.0])
    domain = box(low, 1.0)
    low[:] = 5
    np.testing.assert_array_equal(domain.low, [0, 0])
    domain.high[0] = 9  # writable, and its own
    np.testing.assert_array_equal(domain.high, [9, 1])


@pytest.mark.parametrize(
    ("low", "high", "dim", "message"),
    [
        (-1.0, 1.0, 0, "dim must be a positive integer, but 0"),
        (-1.0, 1.0, -1, "dim must be a positive integer"),
        ((0, 0, 0), 1.0, 2, r"needs one bound or 2 of them.*Set dim"),
        ((0, 0), (1, 1), 3, r"needs one bound or 3 of them.*Set dim"),
        (((0, 0), (0, 0)), 1.0, 2, "needs one bound or 2 of them"),
        (np.nan, 1.0, 2, "must be finite"),
        (-1.0, np.inf, 2, r"must be finite.*All of R² is jaxgeom.whole_plane\(\)"),
        ((0, -np.inf), 1.0, 2, "must be finite"),
        (1.0, 1.0, 2, "low must lie below high"),
        (1.0, -1.0, 2, "low must lie below high"),
        ((0, 0), (1, 0), 2, "low must lie below high"),
    ],
)
def test_bad_boxes_are_refused(unchecked, low, high, dim, message):
    with pytest.raises(ValueError, match=message):
        box(low, high, dim=dim)


@pytest.mark.parametrize(
    ("domain", "named"),
    [((-1, 1), r"the tuple \(-1, 1\)"), (None, "NoneType"), (whole_plane, "the function whole_plane itself")],
)
def test_what_is_no_domain_says_what_is(unchecked, domain, named):
    for function in (projective_domain, polygon_vertices, corners):
        with pytest.raises(TypeError, match=rf"such as jaxgeom.box\(-1, 1\).* but {named}.* was given"):
            function(domain)


def test_corners_are_all_choices_of_low_and_high():
    for dim in (1, 2, 3):
        domain = box(tuple(range(dim)), tuple(range(10, 10 + dim)), dim=dim)
        expected = list(itertools.product(*((d, 10 + d) for d in range(dim))))
        np.testing.assert_array_equal(corners(domain), expected)


@pytest.mark.parametrize("domain", BOXES)
def test_vertices_run_counter_clockwise_round_the_box(domain):
    vertices = polygon_vertices(domain)
    assert {tuple(v) for v in vertices.tolist()} == {tuple(c) for c in corners(domain).tolist()}
    x, y = vertices.T
    following_x, following_y = np.roll(vertices, -1, axis=0).T
    assert np.sum(x * following_y - following_x * y) > 0
    sides = [Fraction(high) - Fraction(low) for low, high in zip(domain.low, domain.high, strict=True)]
    assert reference.polygon_area(vertices) == sides[0] * sides[1]


@pytest.mark.parametrize("dim", [1, 3])
def test_vertices_need_two_dimensions(dim):
    with pytest.raises(ValueError, match=rf"a two-dimensional domain is needed, but a box in {dim} dimensions"):
        polygon_vertices(box(dim=dim))


@pytest.mark.parametrize("num", [2, 3, 10, 101])
@pytest.mark.parametrize("domain", [box(dim=1), box(), box((-3, 0.1), (2.5, 0.7)), box((0, 5, -1), (1, 6, 2), dim=3)])
def test_grid_points_are_the_rounded_rationals(domain, num):
    if len(domain.low) == 3 and num == 101:
        num = 4
    axes = [
        [float(Fraction(low) + (Fraction(high) - Fraction(low)) * step / (num - 1)) for step in range(num)]
        for low, high in zip(domain.low.tolist(), domain.high.tolist(), strict=True)
    ]
    points = grid_points(domain, num)
    assert points.shape == (num ** len(axes), len(axes))
    assert points.dtype == np.float32
    # the first coordinate changes fastest
    expected = [point[::-1] for point in itertools.product(*axes[::-1])]
    np.testing.assert_array_equal(points, np.array(expected).astype(np.float32))


def test_the_customary_grid_is_symmetric_and_holds_the_axes():
    points = grid_points(box(), 101)
    found = {tuple(point) for point in points.tolist()}
    assert len(found) == 101**2
    assert found == {(-x, y) for x, y in found} == {(y, x) for x, y in found}
    assert sum(x == 0 for x, _ in found) == 101
    assert sum(abs(x) == 1 for x, _ in found) == 202


@pytest.mark.parametrize("domain", [*BOXES, box(dim=1), box(dim=3)])
def test_corners_come_last_and_once_more(domain):
    plain, with_corners = grid_points(domain, 3), grid_points(domain, 3, with_corners=True)
    np.testing.assert_array_equal(with_corners[: len(plain)], plain)
    np.testing.assert_array_equal(with_corners[len(plain) :], corners(domain).astype(np.float32))
    assert {tuple(c) for c in with_corners[len(plain) :].tolist()} <= {tuple(p) for p in plain.tolist()}


@pytest.mark.parametrize("num", [1, 0, -5, 10.0, "10"])
def test_a_grid_needs_two_points_a_side(num, unchecked):
    with pytest.raises(ValueError, match=f"at least 2 points along each axis, but num = {num!r}"):
        grid_points(Box(np.zeros(2), np.ones(2)), num)


def test_grid_lines_are_subdivided_lines_of_the_grid(unchecked):
    domain = box((-1, 0), (1, 6))
    lines = grid_lines(domain, 4, num_points=7)
    assert lines.shape == (8, 7, 2)
    assert lines.dtype == np.float32
    for along, across in ((0, 1), (1, 0)):
        family = lines[4 * along : 4 * along + 4]
        expected = np.linspace(domain.low[along], domain.high[along], 7, dtype=np.float32)
        assert (family[..., along] == expected).all()
        expected = np.linspace(domain.low[across], domain.high[across], 4, dtype=np.float32)
        assert (family[..., across] == expected[:, None]).all()
    (line,) = grid_lines(box(dim=1), num_points=3)
    np.testing.assert_array_equal(line, [[-1], [0], [1]])
    assert grid_lines(box(dim=3), 3, num_points=5).shape == (27, 5, 3)
    for wrong in ((1, 5), (5, 1), ("10", 5)):
        with pytest.raises(ValueError, match="at least 2 lines and 2 points"):
            grid_lines(box(), wrong[0], num_points=wrong[1])


def test_traced_bounds_are_refused(unchecked):
    with pytest.raises(TypeError, match="the bounds of a box must be known before tracing"):
        jax.jit(lambda high: box(0, high))(1.0)
