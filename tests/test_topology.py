"""Topology of decision regions: networks whose regions are known, rasters, and populations member by member."""

import itertools
import math

import jax
import numpy as np
import pytest
import reference
from scipy import ndimage

import jaxgeom as jg

SQUARE = jg.box(-1, 1)
TOUCHING = np.ones((3, 3))  # of pixels, corners included


def network(rng, *widths, size=2.0):
    """Weights and biases so large that regions close."""
    return tuple(
        jg.Dense(rng.uniform(-size, size, (a, b)) / math.sqrt(a), rng.uniform(-1, 1, b))
        for a, b in itertools.pairwise(widths)
    )


def folded(slopes, offsets, *, last=0.0):
    """A network of |x| + |y| - offset, its absolute value minus the next offset, and so on."""
    layers = [jg.Dense(np.eye(2), np.zeros(2), np.full(2, -1.0))]
    kernel = np.array([[1.0], [slopes]])
    for offset in offsets:
        layers.append(jg.Dense(kernel, np.array([-offset]), np.array([-1.0])))
        kernel = np.ones((1, 1))
    return (*layers, jg.Dense(kernel, np.array([last])))


# Regions that are known


def facts(found):
    return [np.asarray(field).tolist() for field in found[:4]]


def test_a_diamond_and_rings_around_it():
    diamond = folded(1.0, [], last=-0.5)  # |x| + |y| - 1/2
    assert facts(jg.topology(diamond, SQUARE)) == [[1, 1], [0, 1], 1, 1]
    ring = folded(1.0, [0.5], last=-0.25)  # ||x| + |y| - 1/2| - 1/4
    assert facts(jg.topology(ring, SQUARE)) == [[1, 2], [1, 1], 2, 2]
    rings = folded(1.0, [0.5, 0.25], last=-0.125)  # zero at 1/8, 3/8, 5/8, 7/8
    assert facts(jg.topology(rings, SQUARE)) == [[2, 3], [2, 2], 4, 4]
    beyond = folded(1.0, [], last=-1.5)  # cuts the corners of the square
    assert facts(jg.topology(beyond, SQUARE)) == [[1, 4], [0, 0], 4, 0]


def test_regions_that_touch_in_a_point():
    """|x| - |y|: what is not positive is connected at the origin, what is positive is not."""
    cross = folded(-1.0, [])
    found = jg.topology(cross, SQUARE)
    assert facts(found) == [[1, 2], [0, 0], 1, 0]
    assert found.degenerate
    opposite = (*cross[:-1], jg.Dense(-cross[-1].kernel, cross[-1].bias))
    assert facts(jg.topology(opposite, SQUARE)) == [[1, 2], [0, 0], 1, 0]


def test_flat_zeros_belong_to_what_is_not_positive():
    """relu(x - ½) + relu(-x - ½): zero on a strip, positive beside it. And one that is zero everywhere."""
    first = jg.Dense(np.array([[1.0, -1], [0, 0]]), np.full(2, -0.5))
    assert facts(jg.topology((first, jg.Dense(np.ones((2, 1)), np.zeros(1))), SQUARE)) == [[1, 2], [0, 0], 2, 0]
    assert facts(jg.topology((first, jg.Dense(np.zeros((2, 1)), np.zeros(1))), SQUARE)) == [[1, 0], [0, 0], 0, 0]
    # zero on a square: relu of the distance to it; positive around, with a hole
    sides = jg.Dense(np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]]), np.full(4, -0.5))
    assert facts(jg.topology((sides, jg.Dense(np.ones((4, 1)), np.zeros(1))), SQUARE)) == [[1, 1], [0, 1], 1, 1]


def test_three_classes():
    """The larger of x, y and 0: three sectors that meet at the origin. Equal outputs belong to the first class."""
    sectors = (jg.Dense(np.array([[1.0, 0, 0], [0, 1, 0]]), np.zeros(3)),)
    assert facts(jg.topology(sectors, SQUARE)) == [[1, 1, 1], [0, 0, 0], 1, 0]
    same = (jg.Dense(np.array([[1.0, 1, 0], [0, 0, 1]]), np.zeros(3)),)
    assert facts(jg.topology(same, SQUARE)) == [[1, 0, 1], [0, 0, 0], 1, 0]
    # a diamond of class 0 within class 1, and class 2 in the corners
    size = jg.Dense(np.eye(2), np.zeros(2), np.full(2, -1.0))
    nested = (size, jg.Dense(np.array([[0.0, 2, 4], [0, 2, 4]]), np.array([0.0, -1, -4])))
    assert facts(jg.topology(nested, SQUARE)) == [[1, 1, 4], [0, 1, 0], 5, 1]


def test_two_outputs_are_their_difference():
    rng = np.random.default_rng(0)
    for _ in range(10):
        *hidden, last = network(rng, 2, 8, 8, 2)
        first = jg.topology((*hidden, last), SQUARE)
        linear = jg.Dense(last.kernel, last.bias, np.ones(2))
        second = jg.topology((*hidden, linear, jg.Dense(np.array([[-1.0], [1.0]]), np.zeros(1))), SQUARE)
        assert facts(first) == facts(second)


# Rasters


def on_raster(layers, size):
    """Components and holes of both classes by flooding, from values at the centres of pixels."""
    at = (np.arange(size) + 0.5) / size * 2 - 1
    points = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    is_above = reference.forward(layers, points)[0][:, 0].reshape(size, size) > 0
    found = []
    for region, own, others in ((~is_above, TOUCHING, None), (is_above, None, TOUCHING)):
        components = ndimage.label(region, own)[1]
        labels, num = ndimage.label(~region, others)
        border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
        found.append((components, num - np.count_nonzero(border)))
    return np.array(found).T.tolist()


def with_islands(layers):
    """The network minus what most of its values are below, so that peaks stand out as islands."""
    *hidden, last = layers
    values = reference.forward(layers, np.random.default_rng(0).uniform(-1, 1, (500, 2)))[0]
    return (*hidden, last._replace(bias=last.bias - np.quantile(values, 0.85)))


@pytest.mark.slow
def test_random_networks_are_those_of_rasters():
    """Where two rasters agree, so that nothing is likely to be finer than a pixel, theirs are the exact numbers."""
    rng = np.random.default_rng(1)
    networks = [with_islands(network(rng, 2, 14, 14, 1, size=4.0)) for _ in range(8)]
    for offsets, last in (([], -0.4), ([0.5], -0.25), ([0.5, 0.25], -0.125)):
        first, *others = folded(1.0, offsets, last=last)
        turned = first._replace(kernel=np.array([[0.8, -0.6], [0.5, 0.9]]), bias=rng.uniform(-0.1, 0.1, 2))
        networks.append((turned, *others))
    compared, holes = 0, 0
    for layers in networks:
        found = jg.topology(layers, SQUARE)
        coarse, fine = on_raster(layers, 400), on_raster(layers, 800)
        if coarse == fine:
            assert [found.num_components.tolist(), found.num_holes.tolist()] == fine
            compared += 1
            holes += sum(fine[1])
    assert compared > 6
    assert holes > 3


def test_boundaries_of_one_output_are_between_the_regions():
    """In a square each closed boundary is a hole of one class or the other, where nothing touches in a point."""
    rng = np.random.default_rng(2)
    networks = [network(rng, 2, 10, 10, 1) for _ in range(30)]
    found = jg.topology(jax.tree.map(lambda *arrays: np.stack(arrays), *networks), SQUARE)
    generic = ~found.degenerate
    assert generic.sum() > 25
    np.testing.assert_array_equal(found.num_holes.sum(axis=1)[generic], found.num_closed_boundaries[generic])
    # each boundary parts two components
    np.testing.assert_array_equal(found.num_components.sum(axis=1)[generic], found.num_boundaries[generic] + 1)


# Populations and bad input


def test_rings_enclose_one_another():
    """Boundaries are at 1/8, 3/8, 5/8 and 7/8; those of the next are cut by the square, and enclose nothing."""
    found = jg.topology(folded(1.0, [0.5, 0.25], last=-0.125), SQUARE)
    depth, parent = found.boundary_depth, found.boundary_parent
    assert sorted(depth.tolist()) == [0, 1, 2, 3]
    assert all(parent[own] == (np.flatnonzero(depth == depth[own] - 1)[0] if depth[own] else -1) for own in range(4))
    cut = jg.topology(folded(1.0, [0.75], last=-0.5), SQUARE)  # zero at 1/4 and 5/4
    assert sorted(cut.boundary_is_closed.tolist()) == [False] * 4 + [True]
    assert cut.boundary_depth.tolist() == [0] * 5
    assert cut.boundary_parent.tolist() == [-1] * 5


def test_islands_beside_one_another():
    """Rings around four points: each has a boundary outside and one inside."""
    bumps = (
        jg.Dense(np.eye(2), np.zeros(2), np.full(2, -1.0)),
        jg.Dense(np.eye(2), np.full(2, -0.5), np.full(2, -1.0)),  # ||x| - 1/2|, ||y| - 1/2|
        jg.Dense(np.ones((2, 1)), np.full(1, -0.25), np.full(1, -1.0)),
        jg.Dense(np.ones((1, 1)), np.full(1, -0.1)),  # rings around four points
    )
    found = jg.topology(bumps, SQUARE)
    assert facts(found) == [[4, 5], [4, 4], 8, 8]
    assert sorted(found.boundary_depth.tolist()) == [0] * 4 + [1] * 4
    assert (
        sorted(found.boundary_parent[found.boundary_depth == 1].tolist())
        == np.flatnonzero(found.boundary_depth == 0).tolist()
    )


def test_populations_are_their_members():
    rng = np.random.default_rng(3)
    networks = [network(rng, 2, 6, 6, 3) for _ in range(4)]
    population = jax.tree.map(lambda *arrays: np.stack(arrays).reshape(2, 2, *arrays[0].shape), *networks)
    found = jg.topology(population, SQUARE)
    assert found.num_components.shape == (2, 2, 3)
    for index, layers in enumerate(networks):
        one = jg.topology(layers, SQUARE)
        for many, single in zip(found[:-3], one[:-3], strict=True):
            np.testing.assert_array_equal(many[divmod(index, 2)], single)
        num = one.boundary_depth.shape[-1]
        for many, single in zip(found[-3:], one[-3:], strict=True):
            np.testing.assert_array_equal(many[divmod(index, 2)][:num], single)
    population[0].kernel[0, 1, 0, 0] = np.nan
    found = jg.topology(population, SQUARE)
    assert found.num_components[0, 1].tolist() == [-1, -1, -1]
    assert found.num_boundaries[0, 1] == -1
    assert (found.num_components[[0, 1, 1], [0, 0, 1]] >= 0).all()
    none = jg.topology(jax.tree.map(lambda array: array[:0], population), SQUARE)
    assert none.num_holes.shape == (0, 2, 3)


def test_scales_do_not_matter():
    ring = folded(1.0, [0.5], last=-0.25)
    for scale in (1e-150, 2.0**-500, 1e150):
        *hidden, last = ring
        scaled = (*hidden, jg.Dense(scale * last.kernel, scale * last.bias))
        assert facts(jg.topology(scaled, SQUARE)) == facts(jg.topology(ring, SQUARE))


def test_bad_input(unchecked):
    layers = folded(1.0, [])
    with pytest.raises(ValueError, match="bounded"):
        jg.topology(layers, jg.whole_plane())
    with pytest.raises(ValueError, match="at least one output"):
        jg.topology((*layers[:-1], jg.Dense(np.zeros((2, 0)), np.zeros(0))), SQUARE)
    with pytest.raises(ValueError, match="two inputs"):
        jg.topology((jg.Dense(np.ones((3, 1)), np.zeros(1)),), SQUARE)
    with pytest.raises(ValueError, match=r"NaN|infinite"):
        jg.topology((jg.Dense(np.full((2, 1), np.nan), np.zeros(1)),), SQUARE)
    with pytest.raises(TypeError, match="domain"):
        jg.topology(layers, 3)
