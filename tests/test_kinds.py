"""Kinds of networks: what turns, mirrors, negates and renumbers a network leaves its kind."""

import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom.analysis.kinds import SQUARE

POINTS = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])


def value(layers, number, points):
    first, last = layers
    hidden = np.maximum(points @ first.kernel[number] + first.bias[number], 0)
    return (hidden @ last.kernel[number] + last.bias[number])[:, 0]


def test_symmetric_networks_are_of_one_kind():
    rng = np.random.default_rng(0)
    originals = [
        (np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([1.0, 0.0]), np.array([[2.0], [-4.0]]), np.array([-1.0])),
        (np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([-0.2, -0.3]), np.array([[1.0], [1.0]]), np.array([-0.5])),
        (np.array([[1.0, -1.0], [0.2, 1.0]]), np.array([0.1, 0.2]), np.array([[1.0], [2.0]]), np.array([-1.3])),
    ]
    drawn, origin = [], []
    for number in (0, 1, 1, 0, 2, 1, 1, 0):
        kernel, bias, out, shift = originals[number]
        order, sign = rng.permutation(2), rng.choice([-1.0, 1.0])
        turned = SQUARE[rng.integers(8)] @ kernel
        drawn.append((turned[:, order], bias[order], sign * out[order], sign * shift))
        origin.append(number)
    kernel, bias, out, shift = (np.stack(parts) for parts in zip(*drawn, strict=True))
    layers = (jg.Dense(kernel, bias), jg.Dense(out, shift))
    kinds = jg.network_kinds(layers, POINTS, jg.box(-1, 1))
    assert kinds.num_networks.tolist() == [4, 3, 1]
    assert kinds.kind.tolist() == [{1: 0, 0: 1, 2: 2}[number] for number in origin]
    assert kinds.example.tolist() == [1, 0, 4]
    counts = jg.count_regions(layers, jg.box(-1, 1)).count
    np.testing.assert_array_equal(kinds.num_regions, counts[kinds.example])
    points = rng.uniform(-1, 1, (20, 2))
    for number, matrix in enumerate(kinds.matrix):
        ours, theirs = value(kinds.layers, number, points), value(layers, number, points @ matrix)
        assert np.allclose(ours, theirs) or np.allclose(ours, -theirs)
        assert value(kinds.layers, number, POINTS)[0] <= 0  # the first point is in the negative class
    for kind in (0, 1):  # those of a kind have been carried onto each other
        members = np.flatnonzero(kinds.kind == kind)
        shown = [np.sign(value(kinds.layers, number, POINTS)) for number in members]
        assert (np.array(shown) == shown[0]).all()


def test_what_cannot_be_grouped_is_refused():
    one = (jg.Dense(np.ones((3, 2, 2)), np.ones((3, 2))), jg.Dense(np.ones((3, 2, 1)), np.ones((3, 1))))
    with pytest.raises(ValueError, match="leading axis"):
        jg.network_kinds(tuple(jg.Dense(layer.kernel[0], layer.bias[0]) for layer in one), POINTS, jg.box(-1, 1))
    with pytest.raises(ValueError, match="does not permute"):
        jg.network_kinds(one, POINTS[:3], jg.box(-1, 1))
    wide = (jg.Dense(np.ones((3, 2, 8)), np.ones((3, 8))), jg.Dense(np.ones((3, 8, 1)), np.ones((3, 1))))
    with pytest.raises(ValueError, match="5,040"):
        jg.network_kinds(wide, POINTS, jg.box(-1, 1))
    broken = (jg.Dense(np.full((3, 2, 2), [[[np.nan]], [[1.0]], [[1.0]]]), np.ones((3, 2))), one[1])
    assert jg.network_kinds(broken, POINTS, jg.box(-1, 1)).kind.tolist() == [-1, 0, 0]
