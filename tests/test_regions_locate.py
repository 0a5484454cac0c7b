"""Faces that hold points: against half-planes, on lines and vertices, in the whole plane."""

import itertools

import numpy as np
import pytest
import reference
from complexes import complex_of, network, polygons

from jaxgeom.domains import box, polygon, whole_plane
from jaxgeom.networks.layers import Dense
from jaxgeom.regions import locate as module
from jaxgeom.regions.enumerate import enumerate_regions
from jaxgeom.regions.locate import locate

HALVES = [-1.0, -0.5, 0.0, 0.5, 1.0]
TRIANGLE = polygon([(-1, -1), (2, -0.5), (0.5, 1.5)])


def holds(polygon_, points):
    """By how far points are inside of a convex polygon: the least distance to a side, negative outside."""
    along = np.roll(polygon_, -1, axis=0) - polygon_
    from_start = points[:, None] - polygon_
    cross = along[:, 0] * from_start[..., 1] - along[:, 1] * from_start[..., 0]
    return (cross / np.hypot(*along.T)).min(axis=1)


@pytest.mark.parametrize("domain", [box(), TRIANGLE])
@pytest.mark.parametrize("widths", [(1,), (12, 1), (8, 8, 2), (5, 5, 5, 1)])
def test_points_are_in_their_polygons(widths, domain):
    layers = network(1, *widths)
    complex_ = complex_of(layers, domain)
    points = np.random.default_rng(0).uniform(-1.5, 2, (2000, 2))
    found = locate(complex_, layers, points)
    inside = np.stack([holds(cycle, points) for cycle in polygons(complex_)], axis=1)
    assert (np.abs(inside).min(axis=1) > 1e-12).all()
    expected = np.where((inside > 0).any(axis=1), inside.argmax(axis=1), -1)
    np.testing.assert_array_equal(found, expected)
    assert (found == -1).any()
    np.testing.assert_array_equal(locate(complex_, layers, complex_.centroid), np.arange(complex_.num_faces))


def test_points_on_edges_are_on_the_inactive_side():
    points = np.array(list(itertools.product(np.arange(-4, 5) / 4, repeat=2)))
    num_on_lines = 0
    for seed in range(10):
        layers = network(seed, 4, 4, 1, values=HALVES)
        complex_ = complex_of(layers)
        found = locate(complex_, layers, points)
        for point, face in zip(points, found, strict=True):
            assert holds(polygons(complex_)[face], point[None]) >= -1e-12
            _, hidden = reference.exact_forward(layers, point)
            own = np.array([z > 0 for z in hidden])
            num_on_lines += 0 in hidden
            if (complex_.patterns == own).all(axis=1).any():
                np.testing.assert_array_equal(complex_.patterns[face], own)
            else:  # the first of the faces around it
                around = [holds(cycle, point[None])[0] >= -1e-12 for cycle in polygons(complex_)]
                assert face == np.flatnonzero(around)[0]
    assert num_on_lines > 100


def test_opposite_units():
    # on x = 0 both units are inactive, which is so on no face
    layers = (Dense(np.array([[1.0, -1.0], [0.0, 0.0]]), np.zeros(2)), Dense(np.ones((2, 1)), np.zeros(1)))
    complex_ = complex_of(layers)
    assert complex_.num_faces == 2
    found = locate(complex_, layers, np.array([[0.0, y] for y in np.linspace(-1, 1, 9)] + [[0.0, 1.1]]))
    np.testing.assert_array_equal(found, [0] * 9 + [-1])


def test_vertices_and_the_boundary_are_inside():
    layers = network(3, 8, 8, 1)
    for domain in (box(), TRIANGLE):
        complex_ = complex_of(layers, domain)
        for vertex, face in zip(complex_.vertices, locate(complex_, layers, complex_.vertices), strict=True):
            assert holds(polygons(complex_)[face], vertex[None]) >= -1e-14
    corners = TRIANGLE.vertices
    share = np.linspace(0, 1, 101)[:, None]
    for p, q in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        points = p + share * (q - p)
        assert (locate(complex_, layers, points) >= 0).all()
        outwards = 1e-13 * np.array([q[1] - p[1], p[0] - q[0]])
        assert (locate(complex_, layers, points + outwards) == -1).all()


def test_the_whole_plane():
    layers = network(4, 8, 6, 1)
    complex_ = complex_of(layers, whole_plane())
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1000, 2)) * 10.0 ** rng.uniform(-3, 6, (1000, 1))
    found = locate(complex_, layers, points)
    np.testing.assert_array_equal(complex_.patterns[found], reference.activation_patterns(layers, points))
    assert np.isinf(complex_.area[found]).any()
    assert np.isfinite(complex_.area[found]).any()


@pytest.mark.parametrize("activation", ["abs", "leaky_relu", "hard_tanh", ["linear", "relu"]])
def test_other_activations(activation):
    layers = network(5, 5, 5, 1)
    complex_ = complex_of(layers, activation=activation)
    found = locate(complex_, layers, complex_.centroid, activation=activation)
    np.testing.assert_array_equal(found, np.arange(complex_.num_faces))


def test_maxout():
    first, last = network(6, 8, 1)
    layers = (first, Dense(last.kernel[:4], last.bias))
    complex_ = complex_of(layers, activation="maxout")
    found = locate(complex_, layers, complex_.centroid, activation="maxout")
    np.testing.assert_array_equal(found, np.arange(complex_.num_faces))


def test_complexes_that_the_output_cuts_or_that_stop_early():
    layers = network(7, 6, 6, 2)
    first = enumerate_regions((layers[0], network(0, 6, 1)[1]), box()).num_faces
    for complex_ in (
        enumerate_regions(layers, box(), cut_output=True),
        enumerate_regions(layers, box(), max_regions=first),
    ):
        found = locate(complex_, layers, complex_.centroid)
        np.testing.assert_array_equal(found, np.arange(complex_.num_faces))
    uncut = enumerate_regions(layers, box(), max_regions=1)
    np.testing.assert_array_equal(locate(uncut, layers, np.array([[0.0, 0.0], [2.0, 0.0]])), [0, -1])


def test_many_units_and_no_points():
    layers = network(8, 70, 1)
    complex_ = complex_of(layers)
    np.testing.assert_array_equal(locate(complex_, layers, complex_.centroid), np.arange(complex_.num_faces))
    assert locate(complex_, layers, np.zeros((0, 2))).shape == (0,)


def test_the_hash_decides_nothing(monkeypatch):
    layers = network(9, 8, 8, 1)
    complex_ = complex_of(layers)
    points = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    expected = locate(complex_, layers, points)
    monkeypatch.setattr(module, "_lookup", lambda table, wanted: np.full(len(wanted), -1))
    np.testing.assert_array_equal(locate(complex_, layers, points), expected)
    # in blocks of points and of faces
    through_origin = (Dense(layers[0].kernel, np.zeros(8)), *layers[1:])
    star = complex_of(through_origin)
    origin, found = np.zeros((3, 2)), []
    for numbers in (1 << 22, 100):
        np.testing.assert_array_equal(locate(complex_, layers, points, most_numbers=numbers), expected)
        found.append(locate(star, through_origin, origin, most_numbers=numbers).tolist())
    around = [holds(cycle, origin[:1])[0] >= -1e-15 for cycle in polygons(star)]
    assert sum(around) > 10
    assert found == [[np.flatnonzero(around)[0]] * 3] * 2


def test_what_is_refused():
    layers = network(0, 6, 1)
    complex_ = complex_of(layers)
    with pytest.raises(ValueError, match="patterns of 6 units"):
        locate(complex_, network(0, 5, 5, 1), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="patterns of 6 units"):
        locate(complex_, layers, np.zeros((1, 2)), activation="hard_tanh")
    with pytest.raises(ValueError, match="points must be finite"):
        locate(complex_, layers, np.array([[0.0, np.nan]]))


@pytest.mark.parametrize("points", [np.zeros((3, 3)), np.zeros(2), np.zeros((2, 1)), np.zeros((1, 1, 2)), 0.0])
def test_points_of_another_dimension_are_refused(unchecked, points):
    layers = network(0, 6, 1)
    with pytest.raises(ValueError, match=r"points must have shape \(points, 2\)"):
        locate(complex_of(layers), layers, points)


@pytest.mark.parametrize("activation", ["relu", "abs", "leaky_relu", "hard_tanh", -2.0])
@pytest.mark.parametrize("domain", [box(), whole_plane(), box(2, 2.001)])
@pytest.mark.parametrize("widths", [(6, 1), (6, 6, 2)])
def test_another_network_of_the_same_shape_is_refused(activation, domain, widths):
    layers, other = network(10, *widths), network(11, *widths)
    complex_ = enumerate_regions(layers, domain, activation=activation)
    assert (locate(complex_, layers, complex_.centroid, activation=activation) == np.arange(complex_.num_faces)).all()
    last, first = layers[-1], layers[0]
    others = [
        other,
        (*layers[:-1], other[-1]),
        (other[0], *layers[1:]),
        (*layers[:-1], Dense(1.001 * last.kernel, last.bias)),
        (*layers[:-1], Dense(last.kernel, last.bias + 1e-6)),
        (Dense(first.kernel[:, ::-1], first.bias[::-1]), *layers[1:]),
    ]
    for another in others:
        with pytest.raises(ValueError, match="not the network that the complex was made of"):
            locate(complex_, another, np.zeros((3, 2)), activation=activation)
    if activation != "hard_tanh" and complex_.num_faces > 1:
        with pytest.raises(ValueError, match="not the network that the complex was made of"):
            locate(complex_, layers, np.zeros((3, 2)), activation=0.7)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("widths", [(64, 64, 2), (20, 20, 20, 20, 1), (8,) * 8])
def test_its_own_network_is_never_refused(seed, widths):
    values = None if seed % 2 else [-1.0, -0.5, 0.0, 0.25, 1.0]
    layers = network(seed, *widths, values=values)
    for options in ({}, {"cut_output": True}, {"activation": "abs"} if sum(widths) < 100 else {}):
        complex_ = enumerate_regions(layers, box(), **options)
        locate(complex_, layers, np.zeros((1, 2)), activation=options.get("activation", "relu"))


def test_maps_of_outputs_that_cut_are_those_of_the_outputs():
    *hidden, (kernel, bias, *_) = network(12, 6, 5, 2)
    layers = (*hidden, Dense(kernel, bias - 1.8))  # negative here and there
    complex_ = enumerate_regions(layers, box(), cut_output=True)
    values, _ = reference.forward(layers, complex_.centroid)
    found = np.einsum("foi,fi->fo", complex_.gradient, complex_.centroid) + complex_.intercept
    np.testing.assert_allclose(found, values, rtol=0, atol=1e-13)
    assert (values < 0).any()


def test_maps_whose_intercepts_are_nothing_beside_their_gradients():
    """The engine has zero for an intercept of 1e-150 beside a gradient of 1e200."""
    first = Dense(np.array([[-4e105], [1.5e200]]), np.array([2e-302]))
    layers = first, Dense(np.ones((1, 1)), np.array([1.8e-150]))
    found = enumerate_regions(layers, box())
    assert (found.num_faces, locate(found, layers, found.centroid).tolist()) == (2, [0, 1])
