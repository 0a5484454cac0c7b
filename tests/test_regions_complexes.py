"""Complexes of populations, against those of single networks; their maps, against the networks."""

from fractions import Fraction
from itertools import pairwise

import jax
import numpy as np
import pytest
from complexes import network

import jaxgeom as jg
from jaxgeom import box, count_regions, enumerate_population, enumerate_regions
from jaxgeom.domains import projective_domain
from jaxgeom.regions import cells
from jaxgeom.regions.exact_plane import exact_count


def population(widths, num):
    return jax.tree.map(lambda *arrays: np.stack(arrays), *(network(seed, *widths) for seed in range(num)))


def member(layers, index):
    return jax.tree.map(lambda array: array[index], layers)


def assert_same(found, expected):
    for name, a, b in zip(found._fields, found, expected, strict=True):
        for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("domain", [jg.box(), jg.whole_plane()])
@pytest.mark.parametrize("widths", [(5, 1), (6, 5, 1), (4, 5, 6, 3), (1,)])
def test_a_population_is_its_networks(widths, domain):
    layers = population(widths, 7)
    if len(widths) > 1:
        layers[0].bias[2] = 0  # all lines through the centre
    found = jg.enumerate_population(layers, domain, chunk_size=4)
    for index, complex_ in enumerate(found):
        assert_same(complex_, jg.enumerate_regions(member(layers, index), domain))
        jg.check_complex(complex_)
    assert found[2].degenerate == (len(widths) > 1)
    assert not all(complex_.degenerate for complex_ in found)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "abs"])
@pytest.mark.parametrize("widths", [(9, 2), (9, 7, 1), (9, 7, 2), (9, 7, 3), (6, 5, 4, 1), (6, 5, 4, 5), (2, 40, 1)])
def test_maps_are_those_of_the_network(widths, activation):
    layers = population(widths, 5)
    found = jg.enumerate_population(layers, jg.box(), activation=activation)
    slope = {"relu": 0.0, "leaky_relu": 0.01, "abs": -1.0}[activation]
    for index, complex_ in enumerate(found):
        value = complex_.centroid
        gradient = np.broadcast_to(np.eye(2), (complex_.num_faces, 2, 2))
        for kernel, bias, *_ in member(layers, index)[:-1]:
            value = value @ kernel + bias
            factor = np.where(value > 0, 1.0, slope)
            value, gradient = value * factor, gradient @ kernel * factor[:, None]
        kernel, bias, _ = member(layers, index)[-1]
        value, gradient = value @ kernel + bias, (gradient @ kernel).transpose(0, 2, 1)
        np.testing.assert_allclose(complex_.gradient, gradient, rtol=1e-9, atol=1e-12)
        at_centroid = np.einsum("fod,fd->fo", complex_.gradient, complex_.centroid) + complex_.intercept
        np.testing.assert_allclose(at_centroid, value, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("widths", [(1,), (3,), (5, 4)])
@pytest.mark.parametrize("kernel_size", [1e-310, 1e-250, 1.0, 1e300])
@pytest.mark.parametrize("bias_size", [0.0, 1e-300, 1.0, 1e300])
def test_no_warnings_on_the_whole_plane_at_any_scale(widths, kernel_size, bias_size):
    """Vertices may lie beyond what float64 holds: they are infinite then, and the faces are still counted right."""
    rng = np.random.default_rng(5)
    first, *others = pairwise((2, *widths, 1))
    layers = [jg.Dense(kernel_size * rng.normal(size=first), bias_size * rng.normal(size=first[1]))]
    layers += [jg.Dense(rng.normal(size=shape), bias_size * rng.normal(size=shape[1])) for shape in others]
    complex_ = jg.enumerate_regions(tuple(layers), jg.whole_plane())
    assert complex_.num_faces == exact_count(tuple(layers), projective_domain(jg.whole_plane()))[0]


def lines_in_fractions(layers):
    """The lines (a, b, c) of one hidden layer, and its network as a function of a point, in fractions."""
    (kernel, bias, *_), (weights, (offset,), *_) = layers
    lines = [tuple(map(Fraction, (*column, c))) for column, c in zip(kernel.T.tolist(), bias.tolist(), strict=True)]
    factors = [Fraction(weight) for (weight,) in weights.tolist()]

    def value(x, y):
        terms = (weight * max(0, a * x + b * y + c) for weight, (a, b, c) in zip(factors, lines, strict=True))
        return sum(terms, Fraction(offset))

    return lines, value


@pytest.mark.parametrize("angle", [1e-1, 1e-3, 1e-6, 1e-9, 1e-12, 1e-15])
def test_vertices_on_the_whole_plane_are_precise_however_far_they_lie(angle):
    """Lines that are nearly parallel meet far away: finite vertices, where Cramer's rule in fractions has them."""
    rng = np.random.default_rng(3)
    num_far = 0
    for _ in range(10):
        kernel = rng.normal(size=(2, 1)) * (1 + angle * rng.normal(size=(2, 6)))
        layers = jg.Dense(kernel, rng.normal(size=6)), jg.Dense(rng.normal(size=(6, 1)), np.ones(1))
        lines, value = lines_in_fractions(layers)
        found = jg.enumerate_regions(layers, jg.whole_plane())
        jg.check_complex(found)
        units = [set(found.edge_unit[(found.edges == vertex).any(axis=1)]) for vertex in range(len(found.vertices))]
        for vertex, is_ideal, output, through in zip(found.vertices, found.is_ideal, found.outputs, units, strict=True):
            if is_ideal:
                continue
            (a, b, c), (d, e, f) = (lines[unit] for unit in sorted(through))
            x, y = (b * f - c * e) / (a * e - b * d), (c * d - a * f) / (a * e - b * d)
            size = float(max(abs(x), abs(y)))
            np.testing.assert_allclose(vertex, [float(x), float(y)], rtol=1e-11, atol=1e-11 * size)
            np.testing.assert_allclose(output, float(value(x, y)), rtol=1e-5)
            num_far += size > 0.01 / angle
        assert (~found.is_ideal).sum() == 15
        # every line ends in the two directions along it
        ends = found.vertices[found.is_ideal]
        for a, b, _ in lines:
            along = np.array([-float(b), float(a)]) / np.hypot(float(a), float(b))
            for direction in (along, -along):
                np.testing.assert_allclose(np.hypot(*(ends - direction).T).min(), 0, atol=1e-15)
    assert num_far > 60


def test_vertices_beyond_what_float64_holds_are_not_at_infinity():
    hidden = jg.Dense(np.array([[1.0, 1.0], [1.0, 1 + 2.0**-52]]), np.array([0.0, 1e300]))
    found = jg.enumerate_regions((hidden, jg.Dense(np.ones((2, 1)), np.zeros(1))), jg.whole_plane())
    assert found.vertices[~found.is_ideal].tolist() == [[np.inf, -np.inf]]
    assert np.isinf(found.area).all()
    assert found.num_faces == 4


def test_complexes_that_do_not_fit_into_memory_are_refused_with_the_figure(monkeypatch):
    layers = network(0, 300, 300, 1)
    count = count_regions(layers, box()).count
    monkeypatch.setattr(cells, "free_memory", lambda: 10_000_000)
    tried = []
    monkeypatch.setattr(cells.planes, "cells", lambda *args: tried.append(args))
    for function in (
        lambda: enumerate_regions(layers, box()),
        lambda: enumerate_population(jax.tree.map(lambda array: array[None], layers), box()),
        lambda: count_regions(layers, box(), kind="linear"),
    ):
        with pytest.raises(
            ValueError, match=rf"{count:,} regions .* take .* MB, but 10 MB .*max_regions.*count_regions"
        ):
            function()
    assert not tried
    assert count_regions(layers, box()).count == count  # which needs no complex
    # the estimate is within a third of what a complex of many regions takes
    large = network(0, 600, 1)
    monkeypatch.undo()
    taken = sum(np.asarray(array).nbytes for array in enumerate_regions(large, box())[:15])
    for share, fits in ((1.33, True), (0.75, False)):
        monkeypatch.setattr(cells, "free_memory", lambda share=share: share * 2.5 * taken)
        if fits:
            enumerate_regions(large, box())
        else:
            with pytest.raises(ValueError, match="memory are free"):
                enumerate_regions(large, box())


def test_arrays_outlive_their_complex_and_the_memory_of_others_is_used_again():
    def centroids(seed):
        return enumerate_regions(network(seed, 40, 40, 1), box()).centroid

    kept = [centroids(seed) for seed in range(3)]  # of complexes that are gone
    first = [centroid.copy() for centroid in kept]
    for seed in range(3, 30):
        centroids(seed)
    for seed, (centroid, before) in enumerate(zip(kept, first, strict=True)):
        np.testing.assert_array_equal(centroid, before)
        np.testing.assert_array_equal(centroids(seed), before)
