"""Regions in space: what is refused, and with which words."""

import numpy as np
import pytest

from jaxgeom import Dense, box, count_regions, enumerate_regions, polygon, whole_plane

LAYERS = Dense(np.ones((3, 4)), np.zeros(4)), Dense(np.ones((4, 1)), np.zeros(1))


def test_bad_input():
    for function in (count_regions, enumerate_regions):
        with pytest.raises(ValueError, match="two inputs are needed, but the first layer takes 3"):
            function(LAYERS, box())
        bad = (LAYERS[0]._replace(bias=np.array([0, np.inf, 0, 0])), LAYERS[1])
        with pytest.raises(ValueError, match="layer 0 of the network has NaN or infinite"):
            function(bad, box(dim=3))
    population = tuple(Dense(kernel[None], bias[None]) for kernel, bias, *_ in LAYERS)
    with pytest.raises(ValueError, match=r"one network is needed, but the layers have leading axes \(1,\)"):
        enumerate_regions(population, box(dim=3))


def test_boxes_of_too_many_dimensions():
    layers = (Dense(np.ones((11, 1)), np.zeros(1)),)
    with pytest.raises(ValueError, match=r"a box in 11 dimensions has 2\^11 corners to begin with, and at most 10"):
        count_regions(layers, box(dim=11))


def test_other_domains():
    for function in (count_regions, enumerate_regions):
        for domain in (polygon([(0, 0), (1, 0), (0, 1)]), whole_plane()):
            with pytest.raises(ValueError, match="two inputs are needed, but the first layer takes 3"):
                function(LAYERS, domain)
        with pytest.raises(ValueError, match=r"a box in 4 dimensions was given, but the first layer takes 3 inputs"):
            function(LAYERS, box(dim=4))
