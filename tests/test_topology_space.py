"""Topology of decision regions in space: solids that are known, rasters of voxels, surfaces, and nested boundaries."""

import itertools
import math

import jax
import numpy as np
import pytest
import reference
from scipy import ndimage

import jaxgeom as jg
from jaxgeom.engine import library
from jaxgeom.regions import cells

CUBE = jg.box(-2, 2, dim=3)
TOUCHING = np.ones((3, 3, 3))  # of voxels, corners included


def dense(kernel, bias=0.0):
    kernel = np.array(kernel, float)
    return jg.Dense(kernel, np.broadcast_to(np.array(bias, float), kernel.shape[1:]))


LARGER = np.array([[1.0, 1.0], [1.0, -1.0]])  # |a + b| and |a - b|, of which half the sum is the larger one
SIZE = dense(np.eye(3))  # |x|, |y|, |z|


def torus(radius=1.0, thickness=0.4):
    """max(|max(|x|, |y|) - radius|, |z|) - thickness, with absolute values as activations."""
    pair = np.zeros((3, 3))
    pair[:2, :2], pair[2, 2] = LARGER, 1
    return (
        SIZE,
        dense(pair),
        dense([[0.5, 0], [0.5, 0], [0, 1]], [-radius, 0]),
        dense(LARGER),
        dense([[0.5], [0.5]], -thickness),
    )


def shells(*offsets, last):
    """||x| + |y| + |z| - offset| - ... - last."""
    layers, kernel = [SIZE], np.ones((3, 1))
    for offset in offsets:
        layers.append(dense(kernel, -offset))
        kernel = np.ones((1, 1))
    return (*layers, dense(kernel, -last))


def facts(found):
    return [np.asarray(field).tolist() for field in (found.num_components, found.num_holes, found.num_cavities)]


def of_abs(layers):
    return jg.topology(layers, CUBE, activation="abs")


def test_solids_that_are_known():
    assert facts(of_abs(shells(last=1.0))) == [[1, 1], [0, 0], [0, 1]]
    assert facts(of_abs(shells(1.0, last=0.5))) == [[1, 2], [0, 0], [1, 1]]
    assert facts(of_abs(shells(1.0, 0.5, last=0.25))) == [[2, 3], [0, 0], [2, 2]]
    assert facts(of_abs(shells(last=5.5))) == [[1, 8], [0, 0], [0, 0]]  # the corners of the cube
    assert facts(of_abs(torus())) == [[1, 1], [1, 1], [0, 1]]
    *hidden, last = torus()
    inverse = (*hidden, jg.Dense(-last.kernel, -last.bias))
    assert facts(of_abs(inverse)) == [[1, 1], [1, 1], [1, 0]]
    tunnel = (SIZE, dense([[0, 1], [0, 0], [1, 0]], 0), dense(LARGER), dense([[0.5], [0.5]], -1.0))
    assert facts(of_abs(tunnel)) == [[1, 1], [0, 1], [0, 0]]  # a rod from side to side, and what is around it


def test_tori_in_one_another():
    """The shell of a torus, a surface of genus 1 made thick: one hole of each of its two circles, and a cavity."""
    *hidden, last = torus(1.0, 0.4)
    thick = (*hidden, dense(last.kernel, last.bias), dense([[1.0]], -0.1))
    found = of_abs(thick)
    assert facts(found) == [[1, 2], [2, 2], [1, 1]]
    assert found.boundary_is_closed.all()
    assert sorted(found.boundary_depth.tolist()) == [0, 1]


def test_wedges_that_touch():
    """|x| + |y| - |z|: f > 0 is around the axis, f ≤ 0 two pyramids that share the origin."""
    cone = (SIZE, dense([[1.0], [1.0], [-1.0]]))
    found = of_abs(cone)
    assert facts(found) == [[1, 1], [0, 1], [0, 0]]
    assert found.degenerate
    *_, last = cone
    opposite = (SIZE, jg.Dense(-last.kernel, last.bias))  # the pyramids without their tip, and a belt that has it
    assert facts(of_abs(opposite)) == [[1, 2], [0, 0], [0, 0]]


def test_several_classes():
    """The largest of lines over |x| + |y| + |z|: a ball, a shell, another one, and what is around them."""
    lines = dense([[0.0, 0.5, 1.0, 2.0]] * 3, [0.0, -0.25, -0.75, -2.55])
    found = of_abs((SIZE, lines))
    assert facts(found) == [[1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 1, 1]]
    assert found.num_boundaries == 3
    assert sorted(found.boundary_depth.tolist()) == [0, 1, 2]
    same = of_abs((SIZE, dense([[0.0, 1.0, 1.0]] * 3, [0.0, -1.0, -1.0])))
    assert facts(same) == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]
    # one that is never the largest, since it lies below the mean of two others
    halves = of_abs((dense([[1, 1], [0, 0], [0, 0]], [1, -1]), dense([[1, 0.5, 0], [0, 0.5, 1]], [0, -0.5, 0])))
    assert facts(halves) == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_depth_of_nested_shells():
    found = of_abs(shells(1.0, 0.5, last=0.25))
    assert found.num_closed_boundaries == 4
    depth, parent = found.boundary_depth, found.boundary_parent
    assert sorted(depth.tolist()) == [0, 1, 2, 3]
    for own, around in zip(depth.tolist(), parent.tolist(), strict=True):
        assert (around == -1) if own == 0 else depth[around] == own - 1


# Rasters


def on_raster(layers, size):
    """Betti numbers of both classes from values at points of a grid: closed cubes around those with f ≤ 0; f > 0
    between those that are neighbours."""
    at = np.linspace(-2, 2, size)
    points = np.stack(np.meshgrid(at, at, at, indexing="ij"), axis=-1).reshape(-1, 3)
    is_above = reference.forward(layers, points)[0][:, 0].reshape(size, size, size) > 0
    found = []
    for region, own, others in ((~is_above, TOUCHING, None), (is_above, None, TOUCHING)):
        components = ndimage.label(region, own)[1]
        labels, num = ndimage.label(~region, others)
        border = set()
        for axis in range(3):
            border |= set(np.unique(np.take(labels, [0, -1], axis=axis)))
        cavities = num - len(border - {0})
        euler = closed_euler(region) if own is TOUCHING else inner_euler(region)
        found.append([components, components + cavities - euler, cavities])
    return np.array(found).T.tolist()


def closed_euler(region):
    """Vertices - edges + squares - cubes of a union of closed cubes."""
    padded, total = np.pad(region, 1), 0
    for spread in itertools.product((False, True), repeat=3):  # in which directions a face is a point
        cells = padded
        for axis in range(3):
            near = [slice(None)] * 3
            if spread[axis]:
                near[axis] = slice(1, None)
                far = list(near)
                far[axis] = slice(None, -1)
                cells = cells[tuple(near)] | cells[tuple(far)]
        total += (-1) ** (3 - sum(spread)) * np.count_nonzero(cells)
    return total


def inner_euler(region):
    """Of the cubes whose vertices are points of the region."""
    total = 0
    for extent in itertools.product((False, True), repeat=3):
        cells = region
        for axis in range(3):
            if extent[axis]:
                near, far = [slice(None)] * 3, [slice(None)] * 3
                near[axis], far[axis] = slice(1, None), slice(None, -1)
                cells = cells[tuple(near)] & cells[tuple(far)]
        total += (-1) ** sum(extent) * np.count_nonzero(cells)
    return total


def folded(layers):
    """The layers with absolute values as activations."""
    *hidden, last = layers
    return (*(layer._replace(slope=np.full(len(layer.bias), -1.0)) for layer in hidden), last)


def test_the_raster_knows_a_torus():
    assert on_raster(folded(torus()), 24) == [[1, 1], [1, 1], [0, 1]]


def with_islands(rng, widths, slope=0.0):
    layers = [
        jg.Dense(rng.uniform(-3, 3, (a, b)) / math.sqrt(a), rng.uniform(-2, 2, b), np.full(b, slope))
        for a, b in itertools.pairwise(widths)
    ]
    values = reference.forward((*layers[:-1], layers[-1]._replace(slope=None)), rng.uniform(-2, 2, (500, 3)))[0]
    last = layers[-1]
    return (*layers[:-1], jg.Dense(last.kernel, last.bias - np.quantile(values, rng.choice([0.1, 0.5, 0.9]))))


@pytest.mark.slow
def test_random_networks_are_those_of_rasters():
    """Where two rasters agree, also a little above and below zero, so that nothing is likely to be finer than a voxel,
    theirs are the exact numbers."""
    rng = np.random.default_rng(5)
    compared, holes, cavities = 0, 0, 0
    networks = [with_islands(rng, (3, 6, 6, 1), slope=-1.0) for _ in range(16)]
    for first, *others in (torus(), shells(1.0, last=0.5), shells(last=1.0)):
        turned = first._replace(kernel=1.3 * np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3)), bias=rng.uniform(-0.1, 0.1, 3))
        networks.append(folded((turned, *others)))
    for layers in networks:
        coarse, fine = on_raster(layers, 32), on_raster(layers, 48)
        *hidden, last = layers
        near = [(*hidden, last._replace(bias=last.bias + shift)) for shift in (-0.03, 0.03)]
        if coarse == fine and all(fine == on_raster(other, 48) for other in near):
            assert facts(jg.topology(layers, CUBE)) == fine
            compared += 1
            holes += sum(fine[1])
            cavities += sum(fine[2])
    assert compared > 8
    assert holes > 1
    assert cavities > 1


# Surfaces, populations, bad input


def test_surfaces_part_the_regions():
    """A closed surface of genus g has g holes on each of its sides; and there are as many boundaries as surfaces."""
    rng = np.random.default_rng(6)
    networks = [folded(torus(rng.uniform(0.8, 1.2), rng.uniform(0.2, 0.5))) for _ in range(3)]
    networks += [with_islands(rng, (3, 10, 10, 1)) for _ in range(12)]
    closed = 0
    for layers in networks:
        surface, found = jg.decision_surface(layers, CUBE), jg.topology(layers, CUBE)
        if surface.degenerate and len(layers) == 3:
            continue
        assert surface.num_components == found.num_boundaries
        assert surface.is_closed.sum() == found.num_closed_boundaries
        if surface.is_watertight:
            assert found.num_holes.tolist() == [surface.genus.sum()] * 2
            closed += 1
    assert closed >= 3


def test_populations_are_their_members():
    rng = np.random.default_rng(7)
    networks = [with_islands(rng, (3, 8, 8, 1)) for _ in range(5)]
    population = jax.tree.map(lambda *arrays: np.stack(arrays), *networks)
    found = jg.topology(population, CUBE, chunk_size=2)
    for index, layers in enumerate(networks):
        one = jg.topology(layers, CUBE)
        for many, single in zip(found[:-3], one[:-3], strict=True):
            np.testing.assert_array_equal(many[index], single)
        num = one.boundary_depth.shape[-1]
        for many, single, fill in zip(found[-3:], one[-3:], (False, -2, -2), strict=True):
            np.testing.assert_array_equal(many[index, :num], single)
            assert (many[index, num:] == fill).all()
    population[0].kernel[1, 0, 0] = np.inf
    again = jg.topology(population, CUBE)
    assert facts(again)[0][1] == [-1, -1]
    assert (again.boundary_parent[1] == -2).all()


def test_without_the_engine(monkeypatch):
    layers = with_islands(np.random.default_rng(8), (3, 3, 1))
    expected = jg.topology(layers, CUBE)
    monkeypatch.setattr(library, "is_available", lambda: False)
    cells.warn_once.cache_clear()
    with pytest.warns(RuntimeWarning, match="compiled engine"):
        found = jg.topology(layers, CUBE)
    assert facts(found) == facts(expected)


def test_bad_input(unchecked):
    with pytest.raises(ValueError, match="two or three"):
        jg.topology((jg.Dense(np.ones((4, 1)), np.zeros(1)),), jg.box(-1, 1, dim=4))
    with pytest.raises(ValueError, match="takes 2 inputs"):
        jg.topology((jg.Dense(np.ones((2, 1)), np.zeros(1)),), CUBE)
