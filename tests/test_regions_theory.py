"""Numbers of regions that are known: closed forms, and means over random networks."""

import itertools
import math

import numpy as np
import pytest
import reference
from test_regions_arrangement import check, counted, uniform

from jaxgeom import box, mean_count_one_layer, polygon, zaslavsky


def test_bounds_are_the_closed_forms(unchecked):
    for num, dim in itertools.product(range(12), range(6)):
        assert zaslavsky(num, dim) == reference.zaslavsky(num, dim) == sum(math.comb(num, k) for k in range(dim + 1))
    for width in range(30):
        assert mean_count_one_layer(width) == pytest.approx(reference.mean_count_one_layer_default_init(width))
    assert zaslavsky(20, 2) == 211
    assert mean_count_one_layer(0) == 1
    assert mean_count_one_layer(20) == pytest.approx(81)
    for arguments in ((-1, 2), (2, -1)):
        with pytest.raises(ValueError, match=rf"at least 0, but {arguments[0]} and {arguments[1]}"):
            zaslavsky(*arguments)
    with pytest.raises(ValueError, match="width must be at least 0, but -1"):
        mean_count_one_layer(-1)
    with pytest.raises(TypeError, match="num_hyperplanes must be a number, but '3' was given"):
        zaslavsky("3", 2)
    with pytest.raises(TypeError, match="width must be a number, but '3' was given"):
        mean_count_one_layer("3")


def test_generic_lines_in_a_big_box_reach_zaslavskys_bound():
    rng = np.random.default_rng(14)
    found = counted([uniform(rng, num) for num in (1, 2, 3, 5, 10, 20)], box(-1e5, 1e5))
    assert not found.degenerate.any()
    assert found.count.tolist() == [zaslavsky(num, 2) for num in (1, 2, 3, 5, 10, 20)]


def test_mean_count_at_initialisation():
    # PyTorch's default: weights and biases uniform within ±1/√2, of which the count does not depend on the scale
    rng = np.random.default_rng(15)
    found = counted([uniform(rng, 20) for _ in range(2000)])
    error = found.count.std() / math.sqrt(2000)
    assert abs(found.count.mean() - mean_count_one_layer(20)) < 3 * error
    assert error < 1


@pytest.mark.parametrize(("num", "sigma", "radius"), [(10, 1.0, 1.0), (20, 0.5, 1.0), (20, 1.0, 2.0)])
def test_mean_count_in_a_disc(num, sigma, radius):
    # the polygon of 64 sides has 0.9984 of the disc's area, and 0.9996 of its perimeter
    turn = 2 * np.pi * np.arange(64) / 64
    disc = polygon(radius * np.stack([np.cos(turn), np.sin(turn)], axis=1))
    rng = np.random.default_rng(16)
    found = counted([rng.normal(size=(num, 3)) * [1, 1, sigma] for _ in range(640)], disc)
    assert not found.degenerate.any()
    error = found.count.std() / math.sqrt(640)
    assert abs(found.count.mean() - reference.mean_count_disc(num, sigma, radius)) < 3 * error


def test_one_network_on_many_boxes():
    units = np.float32([[1, 0, 0], [0, 1, 0], [1, 1, -1]])
    found = [check([units], box(-scale, scale)).count[0] for scale in (0.25, 0.5, 1, 2, 4)]
    assert found == [4, 4, 5, 7, 7]
