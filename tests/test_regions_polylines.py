"""Breakpoints along paths with corners, against those of their segments in rationals."""

import itertools
import math

import numpy as np
import reference
from complexes import network

from jaxgeom import Dense
from jaxgeom.regions.breakpoints import breakpoints
from jaxgeom.regions.polylines import polyline_breakpoints


def test_a_path_along_a_segment_bends_where_the_segment_does():
    rng = np.random.default_rng(7)
    layers = network(int(rng.integers(100)), 8, 8, 2)
    start, stop = rng.uniform(-1, 1, (2, 2))
    corners = start + np.array([0, 0.2, 0.3, 0.77, 1])[:, None] * (stop - start)
    path = polyline_breakpoints(layers, corners)
    segment = breakpoints(layers, start, stop)
    length = np.linalg.norm(stop - start)
    assert path.count == segment.count > 3
    np.testing.assert_allclose(path.position, length * segment.t, rtol=1e-9)
    np.testing.assert_array_equal(path.unit, segment.unit)
    np.testing.assert_allclose(path.ends[[0, -1]], [0, length], rtol=1e-14)
    assert len(path.ends) == path.count + len(corners)
    middle = (path.ends[1:] + path.ends[:-1]) / 2
    expected = reference.forward(layers, start + (middle / length)[:, None] * (stop - start))[0]
    np.testing.assert_allclose(path.slope * middle[:, None] + path.intercept, expected, 1e-10, 1e-10)


def test_a_path_with_turns_has_the_breakpoints_of_its_segments():
    rng = np.random.default_rng(8)
    layers = network(int(rng.integers(100)), 8, 8, 2)
    corners = rng.uniform(-1, 1, (5, 2))
    path = polyline_breakpoints(layers, corners)
    expected = [
        (segment, point.layer, point.unit)
        for segment, (start, stop) in enumerate(itertools.pairwise(corners))
        for point in reference.exact_breakpoints(layers, start, stop)[0]
    ]
    assert list(zip(path.segment, path.layer, path.unit, strict=True)) == expected
    assert not path.degenerate


def test_a_kink_at_a_corner_counts_if_the_path_crosses_it():
    layers = (Dense(np.eye(2), np.zeros(2)), Dense(np.ones((2, 1)), np.zeros(1)))
    across = polyline_breakpoints(layers, np.array([[-1.0, 0.25], [0.0, 0.5], [1.0, 0.75]]))
    assert (across.count, across.degenerate) == (1, True)
    assert (across.position[0], across.layer[0], across.unit[0]) == (math.hypot(1, 0.25), 0, 0)
    back = polyline_breakpoints(layers, np.array([[-1.0, 0.25], [0.0, 0.5], [-1.0, 0.75]]))
    assert back.count == 0
