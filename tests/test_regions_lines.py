"""Breakpoints along lines, against a walk along each line in rational arithmetic."""

from itertools import pairwise

import numpy as np
import pytest
import reference

from jaxgeom.layers import Dense
from jaxgeom.regions.breakpoints import breakpoints

HALVES = np.array([-1, -0.5, 0, 0.5, 1])


def networks():
    rng = np.random.default_rng(0)
    shapes = list(pairwise((3, 6, 6, 2)))
    for _ in range(4):
        yield tuple(
            Dense(rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[1]).astype(np.float32))
            for shape in shapes
        )
    for _ in range(4):
        yield tuple(Dense(rng.choice(HALVES, size=shape), rng.choice(HALVES, size=shape[1])) for shape in shapes)
    without_biases = tuple(Dense(rng.normal(size=shape), np.zeros(shape[1])) for shape in shapes)
    twins = tuple(
        Dense(np.repeat(layer.kernel[:, ::2], 2, axis=1)[:, : layer.bias.size], layer.bias * 0)
        for layer in without_biases
    )
    yield without_biases
    yield (twins[0], *without_biases[1:])


NETWORKS = list(networks())
POPULATION = tuple(
    Dense(*(np.stack([np.asarray(array, np.float64) for array in arrays]) for arrays in zip(*layers, strict=True)))
    for layers in zip(*NETWORKS, strict=True)
)
RNG = np.random.default_rng(1)
START = np.concatenate([RNG.normal(size=(5, 3)), RNG.choice(HALVES, size=(3, 3)), np.zeros((1, 3))])
STOP = np.concatenate([RNG.normal(size=(5, 3)), [[1.0, 1, 1], [1, 0, -1], [2, 0, 0]], np.ones((1, 3))])


@pytest.mark.parametrize("kind", ["segment", "line"])
def test_populations_against_rational_walks(kind):
    found = breakpoints(POPULATION, START, STOP, kind=kind)
    assert not found.overflow.any()
    for member, network in enumerate(NETWORKS):
        for line, (start, stop) in enumerate(zip(START, STOP, strict=True)):
            points, _ = reference.exact_breakpoints(network, start, stop, infinite=kind == "line")
            count = len(points)
            assert found.count[member, line] == count
            t = np.array([float(point.t) for point in points])
            np.testing.assert_allclose(found.t[member, line, :count], t, rtol=1e-9, atol=1e-12)
            np.testing.assert_array_equal(found.valid[member, line].sum(), count)
            # The affine pieces give the network's outputs in the middle of each.
            ends = (
                np.concatenate([[t[0] - 1 if kind == "line" else 0], t, [t[-1] + 1 if kind == "line" else 1]])
                if count
                else np.array([0.0, 1.0])
            )
            middle = (ends[1:] + ends[:-1]) / 2
            outputs, _ = reference.forward(network, start + middle[:, None] * (stop - start))
            own = found.slope[member, line, : count + 1] * middle[:, None] + found.intercept[member, line, : count + 1]
            np.testing.assert_allclose(own, outputs, rtol=1e-8, atol=1e-8 * (1 + np.abs(middle).max()))


def test_one_generic_layer_bends_once_a_unit_on_an_infinite_line():
    rng = np.random.default_rng(2)
    layers = (Dense(rng.normal(size=(3, 6)), rng.normal(size=6)), Dense(rng.normal(size=(6, 1)), np.zeros(1)))
    found = breakpoints(layers, START[:5], STOP[:5], kind="line")
    np.testing.assert_array_equal(found.count, 6)
    for line in range(5):
        assert sorted(found.unit[line, :6].tolist()) == list(range(6))
    backwards = breakpoints(layers, STOP[:5], START[:5], kind="line")
    np.testing.assert_allclose(backwards.t[:, :6], 1 - found.t[:, 5::-1], rtol=1e-9, atol=1e-12)


def test_points_that_make_no_line(unchecked):
    with pytest.raises(ValueError, match="start"):
        breakpoints(NETWORKS[0], START[0], START[0])
