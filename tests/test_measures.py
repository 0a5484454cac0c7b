"""Measures: identities, brute force, and walks to the boundaries that are named."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from complexes import complex_of, faces_of_corners, network, polygons

from jaxgeom.analysis.measures import (
    boundary_length,
    distance_to_boundary,
    distance_to_decision_boundary,
    edge_lengths,
    image_lengths,
    inradius,
    local_complexity,
    nearest_on_segments,
    region_density,
)
from jaxgeom.domains import polygon, whole_plane
from jaxgeom.networks.layers import Dense
from jaxgeom.regions.boundary import decision_boundary
from jaxgeom.regions.inscribed import inscribed_circles

ONE_FACE = (Dense(np.ones((2, 1)), np.zeros(1)),)


# Edges


def test_lengths_of_lines_of_one_layer():
    layers = network(2, 12, 1)
    complex_ = complex_of(layers)
    found = boundary_length(complex_, [12])
    assert len(found) == 1
    for (a, b), c, length in zip(layers[0].kernel.T, layers[0].bias, found[0], strict=True):
        # the line is c a / |a|² + t (-b, a), in the box while both coordinates are between -1 and 1
        foot, along = -c * np.array([a, b]) / (a * a + b * b), np.array([-b, a])
        ends = np.sort(np.stack([(-1 - foot) / along, (1 - foot) / along]), axis=0)
        first, last = ends[0].max(), ends[1].min()
        assert length == pytest.approx(max(last - first, 0) * math.hypot(a, b), abs=1e-13)
    assert (found[0] > 0).any()
    assert (found[0] == 0).any()


@pytest.mark.parametrize("widths", [(10,), (8, 8), (5, 5, 5)])
def test_lengths_add_up(widths):
    complex_ = complex_of(network(1, *widths, 1))
    lengths = edge_lengths(complex_)
    inner = complex_.edge_layer >= 0
    assert lengths[~inner].sum() == pytest.approx(8, rel=1e-14)
    found = boundary_length(complex_, widths)
    assert [len(layer) for layer in found] == list(widths)
    assert sum(layer.sum() for layer in found) == pytest.approx(lengths[inner].sum(), rel=1e-14)
    # every face has its perimeter, and every inner edge is in two of them
    perimeters = [np.hypot(*(np.roll(cycle, -1, axis=0) - cycle).T).sum() for cycle in polygons(complex_)]
    assert sum(perimeters) == pytest.approx(2 * lengths[inner].sum() + 8, rel=1e-13)
    short = boundary_length(complex_)
    for one, other in zip(short, found, strict=True):
        np.testing.assert_array_equal(one, other[: len(one)])
        assert (other[len(one) :] == 0).all()
    assert region_density(complex_) == pytest.approx(complex_.num_faces / 4, rel=1e-13)


def test_complexes_without_edges_or_bounds():
    assert boundary_length(complex_of(ONE_FACE)) == ()
    assert [layer.tolist() for layer in boundary_length(complex_of(ONE_FACE), [2, 1])] == [[0, 0], [0]]
    layers = network(2, 8, 1)
    plane = complex_of(layers, whole_plane())
    assert np.isinf(edge_lengths(plane)).any()
    assert np.isinf(boundary_length(plane)[0]).all()
    with pytest.raises(ValueError, match="whole plane"):
        region_density(plane)
    with pytest.raises(ValueError, match=r"at least \[\d\] units, but widths = \[1\]"):
        boundary_length(plane, [1])


# Inscribed circles


def largest_circle(vertices):
    """The inradius of a convex polygon by brute force: of all points as far from three sides, the best inside."""
    along = np.roll(vertices, -1, axis=0) - vertices
    normals = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.hypot(*along.T)[:, None]
    offsets = -np.sum(normals * vertices, axis=1)
    best = -np.inf
    for three in itertools.combinations(range(len(vertices)), 3):
        rows = list(three)
        matrix = np.column_stack([normals[rows], -np.ones(3)])
        if abs(np.linalg.det(matrix)) > 1e-12:
            x = np.linalg.solve(matrix, -offsets[rows])
            distances = normals @ x[:2] + offsets
            if distances.min() >= x[2] - 1e-11:
                best = max(best, x[2])
    return best


@pytest.mark.parametrize("widths", [(10,), (6, 6)])
def test_inscribed_circles_against_brute_force(widths):
    complex_ = complex_of(network(3, *widths, 1))
    found = inscribed_circles(complex_)
    np.testing.assert_array_equal(inradius(complex_), found.radius)
    for cycle, center, radius in zip(polygons(complex_), found.center, found.radius, strict=True):
        assert radius == pytest.approx(largest_circle(cycle), rel=1e-9, abs=1e-12)
        along = np.roll(cycle, -1, axis=0) - cycle
        cross = along[:, 0] * (center - cycle)[:, 1] - along[:, 1] * (center - cycle)[:, 0]
        assert (cross / np.hypot(*along.T)).min() == pytest.approx(radius, abs=1e-14)


@pytest.mark.parametrize(
    ("vertices", "radius"),
    [
        ([(0, 0), (3, 0), (3, 4)], 1),
        ([(0, 0), (2, 0), (2, 10), (0, 10)], 1),
        ([(0, 0), (5, 0), (10, 0), (10, 2), (0, 2)], 1),  # a straight angle
        ([(0, 0), (1, -1), (2, 0), (2, 10), (0, 10)], 1),
        ([(0, 0), (1e-9, 0), (1, 1), (1, 1 + 1e-9)], None),
        ([(0, 0), (1, 0), (1, 1e-30)], 5e-31),
        ([(math.cos(2 * math.pi * i / 12), math.sin(2 * math.pi * i / 12)) for i in range(12)], math.cos(math.pi / 12)),
        ([(math.cos(2 * math.pi * i / 99), math.sin(2 * math.pi * i / 99)) for i in range(99)], math.cos(math.pi / 99)),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 2.0**-100, 2.0**100])
def test_inscribed_circles_of_known_polygons(vertices, radius, scale):
    complex_ = complex_of(ONE_FACE, polygon(scale * np.array(vertices)))
    if radius is None:  # a thin parallelogram: as wide as its sides are apart
        radius = 1e-9 / math.sqrt(2) / 2
    assert inradius(complex_)[0] / scale == pytest.approx(radius, rel=1e-6 if radius < 1e-8 else 1e-13)


def slivers():
    """Layers whose lines run within rounding of one point, or are nearly parallel and nearly the same."""
    rng = np.random.default_rng(1)
    for spread in (0.0, 1e-15, 1e-12, 1e-8):
        normals, point = rng.uniform(-1, 1, (7, 2)), rng.uniform(-1, 1, 2)
        yield normals, -(normals @ point) + spread * rng.uniform(-1, 1, 7)
    for spread in (1e-14, 1e-12, 1e-9):
        for _ in range(5):
            yield rng.uniform(-1, 1, 2) + spread * rng.normal(size=(8, 2)), spread * rng.normal(size=8)


def test_inscribed_circles_of_slivers():
    num_thin = 0
    for normals, bias in slivers():
        complex_ = complex_of((Dense(normals.T.copy(), bias), Dense(np.ones((len(bias), 1)), np.zeros(1))))
        found = inscribed_circles(complex_)
        assert np.isfinite(found.center).all()
        length = np.add.reduceat(edge_lengths(complex_)[complex_.face_edges], complex_.face_offsets[:-1])
        ratio = complex_.area / np.maximum(length, 1e-15)
        error = 1e-15 * (1 + length)
        assert (found.radius >= ratio - error).all()
        assert (found.radius <= 2 * ratio + error).all()
        num_thin += ((ratio < 1e-8) & (ratio > 2 * error)).sum()
    assert num_thin > 50


def test_inscribed_circles_of_unbounded_faces():
    plane = complex_of(network(4, 8, 1), whole_plane())
    found = inscribed_circles(plane)
    np.testing.assert_array_equal(np.isnan(found.radius), np.isinf(plane.area))
    np.testing.assert_array_equal(np.isnan(found.center).all(axis=1), np.isinf(plane.area))
    assert (found.radius[np.isfinite(plane.area)] > 0).all()


# Distances to boundaries


@pytest.mark.parametrize(
    ("num_inputs", "widths"), [(2, (8, 8, 1)), (2, (5, 5, 5, 2)), (3, (6, 6, 1)), (50, (30, 20, 1))]
)
def test_the_nearest_boundary_is_where_it_is_said_to_be(num_inputs, widths):
    layers = network(5, *widths, num_inputs=num_inputs)
    points = np.random.default_rng(0).normal(size=(40, num_inputs)) / math.sqrt(num_inputs)
    found = distance_to_boundary(layers, points)
    unit = np.cumsum([0, *widths])[np.asarray(found.layer)] + np.asarray(found.unit)
    distance = np.asarray(found.distance)
    before = reference.activation_patterns(layers, points)
    # a straight step of this length and no shorter one changes the sign of this unit, and no other one
    slopes = np.stack([gradient_of_unit(layers, point, n) for point, n in zip(points, unit, strict=True)])
    _, hidden = reference.forward(layers, points)
    value = np.concatenate(hidden, axis=1)[np.arange(len(points)), unit]
    direction = -np.sign(value)[:, None] * slopes / np.linalg.norm(slopes, axis=1)[:, None]
    for factor, is_changed in ((1 - 1e-9, False), (1 + 1e-9, True)):
        after = reference.activation_patterns(layers, points + factor * distance[:, None] * direction)
        expected = np.zeros_like(before)
        expected[np.arange(len(points)), unit] = is_changed
        np.testing.assert_array_equal(before ^ after, expected)
    # nothing changes nearer by in any direction
    rng = np.random.default_rng(1)
    for _ in range(100):
        direction = rng.normal(size=points.shape)
        direction /= np.linalg.norm(direction, axis=1)[:, None]
        near = points + rng.uniform(0, 1 - 1e-9, (len(points), 1)) * distance[:, None] * direction
        np.testing.assert_array_equal(reference.activation_patterns(layers, near), before)


def gradient_of_unit(layers, point, number):
    """Gradient of one unit's pre-activation, counted through all layers, on the point's region."""
    for index, (_, bias, *_) in enumerate(layers):
        if number < len(bias):
            gradient, _ = reference.affine_map_at(layers[: index + 1], point[None])
            return gradient[0, number]
        number -= len(bias)
    raise AssertionError


def test_the_nearest_boundary_in_the_plane_is_the_nearest_edge():
    layers = network(6, 8, 8, 1)
    complex_ = complex_of(layers)
    points = complex_.centroid
    found = distance_to_boundary(layers, points)
    start, stop = np.moveaxis(complex_.vertices[complex_.edges[complex_.face_edges]], 1, 0)
    inner = complex_.edge_layer[complex_.face_edges] >= 0
    at = points[faces_of_corners(complex_)]
    along = stop - start
    share = np.clip(np.sum((at - start) * along, axis=1) / np.sum(along**2, axis=1), 0, 1)
    away = np.hypot(*(at - start - share[:, None] * along).T)
    nearest = np.minimum.reduceat(np.where(inner, away, np.inf), complex_.face_offsets[:-1])
    to_the_side = 1 - np.abs(points).max(axis=1)
    sees = nearest < to_the_side
    assert sees.sum() > 20
    np.testing.assert_allclose(np.asarray(found.distance)[sees], nearest[sees], rtol=1e-9)
    edge = complex_.face_edges[np.isin(away, nearest[sees]) & inner]
    labels = set(zip(complex_.edge_layer[edge].tolist(), complex_.edge_unit[edge].tolist(), strict=True))
    names = zip(np.asarray(found.layer)[sees].tolist(), np.asarray(found.unit)[sees].tolist(), strict=True)
    assert set(names) == labels


def test_points_on_boundaries_and_networks_without_any():
    layers = network(7, 6, 6, 1, values=[-1.0, -0.5, 0.0, 0.5, 1.0])
    complex_ = complex_of(layers)
    edges = complex_.edges[complex_.edge_layer >= 0]
    found = distance_to_boundary(layers, complex_.vertices[edges].mean(axis=1))
    np.testing.assert_allclose(found.distance, 0, atol=1e-15)
    dead = (Dense(np.zeros((3, 4)), np.ones(4)), Dense(np.ones((4, 1)), np.zeros(1)))
    for nowhere in (dead, dead[1:]):
        found = distance_to_boundary(nowhere, np.zeros((2, nowhere[0].kernel.shape[0])))
        assert found.distance.tolist() == [np.inf, np.inf]
        assert found.layer.tolist() == found.unit.tolist() == [-1, -1]


@pytest.mark.slow
def test_other_activations_have_their_own_boundaries():
    layers = network(8, 5, 5, 1)
    for activation in ("abs", "hard_tanh", ["linear", "leaky_relu"]):
        complex_ = complex_of(layers, activation=activation)
        inner = complex_.edge_layer >= 0
        found = distance_to_boundary(
            layers, complex_.vertices[complex_.edges[inner]].mean(axis=1), activation=activation
        )
        np.testing.assert_allclose(found.distance, 0, atol=1e-14)
        inside = distance_to_boundary(layers, complex_.centroid, activation=activation)
        assert (np.asarray(inside.distance) > 1e-7).all()
        if activation[0] == "linear":
            assert (np.asarray(inside.layer) == 1).all()


@pytest.mark.slow
def test_jit_vmap_precision_and_gradients():
    population = [network(seed, 6, 6, 1, num_inputs=3) for seed in range(3)]
    population = jax.tree.map(np.float32, population)
    stacked = jax.tree.map(lambda *arrays: np.stack(arrays), *population)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    each = [distance_to_boundary(layers, x) for layers in population]
    together = jax.jit(jax.vmap(distance_to_boundary, in_axes=(0, None)))(stacked, x)
    for index, alone in enumerate(each):
        assert alone.distance.dtype == np.float64
        np.testing.assert_allclose(together.distance[index], alone.distance, rtol=1e-13)
        np.testing.assert_array_equal(together.unit[index], alone.unit)
        np.testing.assert_array_equal(together.layer[index], alone.layer)
        near = local_complexity(population[index], x, 0.3)
        counted = jax.jit(local_complexity)(population[index], x, 0.3)
        np.testing.assert_array_equal(counted, near)
        lengths = image_lengths(population[index], x)
        np.testing.assert_allclose(jax.jit(image_lengths)(population[index], x), lengths, rtol=1e-13)

    def total(points):
        return jnp.sum(distance_to_boundary(population[0], points).distance)

    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(total))(jnp.asarray(x, jnp.float64))
    np.testing.assert_allclose(np.linalg.norm(slope, axis=1), 1, rtol=1e-12)  # a distance grows as one walks away


def test_local_complexity():
    layers = network(9, 8, 8, 1)
    points = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    distance = np.asarray(distance_to_boundary(layers, points).distance)
    for index, point in enumerate(points):
        one = point[None]
        assert local_complexity(layers, one, (1 - 1e-9) * distance[index])[0] == 0
        assert local_complexity(layers, one, (1 + 1e-9) * distance[index])[0] == 1
    first = np.abs(points @ layers[0].kernel + layers[0].bias) / np.hypot(*layers[0].kernel)
    np.testing.assert_array_equal(
        local_complexity((layers[0], network(0, 8, 1)[1]), points, 0.4), (first <= 0.4).sum(1)
    )
    gradients = np.array([[gradient_of_unit(layers, point, n) for n in range(16)] for point in points])
    _, hidden = reference.forward(layers, points)
    away = np.abs(np.concatenate(hidden, axis=1)) / np.linalg.norm(gradients, axis=2)
    np.testing.assert_array_equal(local_complexity(layers, points, 0.4), (away <= 0.4).sum(axis=1))
    assert (np.asarray(local_complexity(layers, points, np.inf)) <= 16).all()
    with pytest.raises(ValueError, match="radius must be zero or positive"):
        local_complexity(layers, points, -1.0)


def test_the_decision_boundary_is_where_it_is_said_to_be():
    layers = network(10, 8, 8, 1)
    complex_ = complex_of(layers)
    boundary = decision_boundary(complex_)
    assert len(boundary.face) > 3
    points = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    found = distance_to_decision_boundary(complex_, points)
    for one, other in zip(distance_to_decision_boundary(boundary, points), found, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(reference.forward(layers, found.point)[0], 0, atol=1e-13)
    np.testing.assert_allclose(np.hypot(*(found.point - points).T), found.distance, rtol=1e-13)
    start, stop = boundary.segments[found.piece, 0], boundary.segments[found.piece, 1]
    cross = np.abs(np.linalg.det(np.stack([found.point - start, stop - start], axis=1)))
    np.testing.assert_allclose(cross, 0, atol=1e-14)
    # the class does not change nearer by
    sign = reference.forward(layers, points)[0] > 0
    for angle in np.linspace(0, 2 * np.pi, 60):
        for share in (0.5, 0.999):
            near = points + share * found.distance[:, None] * [np.cos(angle), np.sin(angle)]
            inside = (np.abs(near) <= 1).all(axis=1)
            np.testing.assert_array_equal((reference.forward(layers, near)[0] > 0)[inside], sign[inside])


def test_the_decision_boundary_of_blocks_of_points_and_of_none():
    complex_ = complex_of(network(10, 8, 8, 1))
    points = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    expected = distance_to_decision_boundary(complex_, points)
    in_blocks = nearest_on_segments(decision_boundary(complex_).segments, points, pairs_at_once=100)
    for one, other in zip(in_blocks, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    positive = (*network(10, 8, 1)[:1], Dense(np.ones((8, 1)), np.ones(1)))
    found = distance_to_decision_boundary(complex_of(positive), points)
    assert np.isinf(found.distance).all()
    assert np.isnan(found.point).all()
    assert (found.piece == -1).all()


# Curves


def test_lengths_of_images_with_and_without_breakpoints():
    layers = network(11, 8, 8, 2)
    ends = np.array([[-1.0, -0.7], [0.9, 0.8]])
    fine = ends[0] + np.linspace(0, 1, 200001)[:, None] * (ends[1] - ends[0])
    patterns = reference.activation_patterns(layers, fine)
    breaks = np.flatnonzero((patterns[1:] != patterns[:-1]).any(axis=1))
    assert len(breaks) >= 5
    # between neighbouring fine points one unit changes its sign, and the others are affine
    refined = [ends[0]]
    for index in breaks:
        (unit,) = np.flatnonzero(patterns[index] != patterns[index + 1])
        values = np.concatenate(reference.forward(layers, fine[index : index + 2])[1], axis=1)[:, unit]
        refined.append(fine[index] + values[0] / (values[0] - values[1]) * (fine[index + 1] - fine[index]))
    refined = np.array([*refined, ends[1]])
    exact = np.asarray(image_lengths(layers, refined))
    assert exact[0] == pytest.approx(math.dist(*ends), rel=1e-14)
    output, hidden = reference.forward(layers, fine)
    images = [*(np.maximum(z, 0) for z in hidden), output]
    dense = [np.linalg.norm(np.diff(image, axis=0), axis=1).sum() for image in images]
    # chords across a breakpoint are shorter, by less than a step
    assert (exact[1:] > dense).all()
    assert (exact[1:] < np.array(dense) + 1e-5).all()
    np.testing.assert_allclose(image_lengths(layers, fine)[1:], dense, rtol=1e-12)
    coarse = np.asarray(image_lengths(layers, ends))
    assert (coarse <= exact + 1e-12).all()
    assert coarse[1] < exact[1]
    assert image_lengths(layers, ends[:1]).tolist() == [0, 0, 0, 0]


def test_curves_shrink_at_he_initialisation_as_they_should():
    # E √((2/n) χ²_{Bin(n, 1/2)}) a layer; without biases a ray goes into a ray, so that the ratio is exact
    rng = np.random.default_rng(0)
    num, width, depth = 4000, 16, 3
    kernels = [rng.normal(0, math.sqrt(2 / width), (num, width, width)) for _ in range(depth)]
    kernels.append(np.zeros((num, width, 1)))
    layers = tuple(Dense(kernel, np.zeros((num, kernel.shape[2]))) for kernel in kernels)
    ray = np.stack([np.zeros(width), rng.normal(size=width)])
    lengths = np.asarray(jax.jit(jax.vmap(image_lengths, in_axes=(0, None)))(layers, ray))
    ratio = lengths[:, 1 : depth + 1] / lengths[:, :1]
    error = ratio.std(axis=0) / math.sqrt(num)
    np.testing.assert_array_less(np.abs(ratio.mean(axis=0) - 0.960212 ** np.arange(1, depth + 1)), 4 * error)
    assert (error < 0.01).all()


@pytest.mark.usefixtures("unchecked")
def test_what_is_refused():
    layers = network(0, 6, 1)
    stacked = jax.tree.map(lambda array: np.stack([array, array]), layers)
    for measure in (distance_to_boundary, image_lengths, lambda layers, x: local_complexity(layers, x, 0.1)):
        with pytest.raises(ValueError, match="one network is needed"):
            measure(stacked, np.zeros((3, 2)))
        with pytest.raises(ValueError, match="layer 0 takes 2 inputs"):
            measure(layers, np.zeros((3, 4)))
        with pytest.raises(TypeError, match=r"jaxgeom\.Dense"):
            measure({"kernel": 1}, np.zeros((3, 2)))
