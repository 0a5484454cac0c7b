"""Planes through input space: networks on a plane agree with those in space; polygons by brute force."""

from itertools import pairwise

import jax
import numpy as np
import pytest

from jaxgeom.domains import box
from jaxgeom.networks.layers import Dense, forward
from jaxgeom.networks.plane_domains import box_on_plane
from jaxgeom.networks.slices import lift, on_plane, plane_through, project
from jaxgeom.regions.count import count_regions

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(3, 20))


def network(*features: int) -> tuple[Dense, ...]:
    rng = np.random.default_rng(sum(features))
    return tuple(
        Dense(rng.normal(size=(a, b)).astype(np.float32), rng.normal(size=b).astype(np.float32))
        for a, b in pairwise(features)
    )


def test_three_points_lie_on_their_plane_where_they_should():
    plane = plane_through(*POINTS)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-15)
    found = project(plane, POINTS)
    np.testing.assert_allclose(found.distance, 0, atol=1e-14)
    np.testing.assert_allclose(lift(plane, found.coordinates), POINTS, atol=1e-14)
    (a, b, c) = found.coordinates
    np.testing.assert_array_equal(a, [0, 0])
    np.testing.assert_allclose(b, [np.linalg.norm(POINTS[1] - POINTS[0]), 0], atol=1e-14)
    assert c[1] > 0
    np.testing.assert_allclose(np.linalg.norm(c - b), np.linalg.norm(POINTS[2] - POINTS[1]), rtol=1e-14)


def test_two_points_and_the_origin():
    plane = plane_through(*POINTS[:2])
    np.testing.assert_array_equal(plane.origin, np.zeros(20))
    np.testing.assert_allclose(project(plane, POINTS[:2]).distance, 0, atol=1e-14)


def test_distances_are_pythagorean():
    plane = plane_through(*POINTS)
    others = RNG.normal(size=(50, 20))
    found = project(plane, others)
    offset = np.linalg.norm(others - plane.origin, axis=1)
    np.testing.assert_allclose(found.distance**2 + (found.coordinates**2).sum(axis=1), offset**2, rtol=1e-13)
    nearest = lift(plane, found.coordinates)
    for step in RNG.normal(size=(10, 2)) * 0.1:
        assert (np.linalg.norm(lift(plane, found.coordinates + step) - others, axis=1) > found.distance).all()
    np.testing.assert_allclose(np.linalg.norm(nearest - others, axis=1), found.distance, rtol=1e-13)


def test_the_network_on_the_plane_is_the_network():
    layers, plane = network(20, 6, 5, 2), plane_through(*POINTS)
    coordinates = RNG.normal(size=(100, 2))
    there = forward(layers, lift(plane, coordinates))
    here = forward(on_plane(layers, plane), coordinates)
    np.testing.assert_allclose(here.output, there.output, atol=1e-12)
    for a, b in zip(here.pre_activations, there.pre_activations, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_populations_are_sliced_member_by_member():
    members = [network(20, 4, 1), network(20, 4, 1)[::1]]
    together = jax.tree.map(lambda *arrays: np.stack(arrays), *members)
    plane = plane_through(*POINTS)
    sliced = on_plane(together, plane)
    for i, member in enumerate(members):
        np.testing.assert_allclose(sliced[0].kernel[i], on_plane(member, plane)[0].kernel, rtol=1e-14)


def test_a_slice_of_a_flat_space_is_the_space():
    layers = network(2, 7, 1)
    plane = plane_through([0.0, 0.0], [1.0, 0.0], [0.0, 1.0])
    assert count_regions(on_plane(layers, plane), box(-3, 3)).count == count_regions(layers, box(-3, 3)).count


@pytest.mark.parametrize("dim", [2, 3, 20])
def test_the_box_on_a_plane_holds_exactly_the_points_of_the_box(dim):
    rng = np.random.default_rng(dim)
    plane = plane_through(*rng.uniform(0.2, 0.8, size=(3, dim)))
    vertices = box_on_plane(plane, 0.0, 1.0).vertices
    lifted = lift(plane, vertices)
    assert (np.abs(lifted - 0.5).max(axis=1) <= 0.5 + 1e-14).all()
    assert (np.abs(np.abs(lifted - 0.5).max(axis=1) - 0.5) < 1e-14).all()
    samples = rng.uniform(-1.5, 1.5, size=(4000, 2))
    is_in_box = np.abs(lift(plane, samples) - 0.5).max(axis=1) <= 0.5
    sides = np.roll(vertices, -1, axis=0) - vertices
    offset = samples[:, None] - vertices
    is_in_polygon = (sides[:, 0] * offset[..., 1] - sides[:, 1] * offset[..., 0] >= 0).all(axis=1)
    np.testing.assert_array_equal(is_in_polygon, is_in_box)
    assert 0 < is_in_box.sum() < len(samples)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ((POINTS[0], POINTS[1], 2 * POINTS[1] - POINTS[0]), "on one line"),
        ((POINTS[0], POINTS[0], POINTS[1]), "on one line"),
        ((POINTS[0], 3 * POINTS[0]), "on one line"),
        ((POINTS[0], POINTS[1], POINTS[2][:5]), "shapes"),
        (([1.0], [2.0], [3.0]), "at least 2 inputs"),
        ((POINTS[0], POINTS[1], np.full(20, np.nan)), "finite"),
    ],
)
def test_points_that_span_no_plane(unchecked, points, message):
    with pytest.raises(ValueError, match=message):
        plane_through(*points)


def test_planes_beside_the_box_and_networks_of_another_size():
    plane = plane_through(np.full(20, 5.0), POINTS[1] * 0.01 + 5, POINTS[2] * 0.01 + 5)
    with pytest.raises(ValueError, match="does not meet the box"):
        box_on_plane(plane_through([0, 0, 5.0], [1, 0, 5.0], [0, 1, 5.0]), 0.0, 1.0)
    with pytest.raises(ValueError, match="low must lie below high"):
        box_on_plane(plane, 1.0, 1.0)
    with pytest.raises(ValueError, match="takes 3 inputs"):
        on_plane(network(3, 4, 1), plane)
