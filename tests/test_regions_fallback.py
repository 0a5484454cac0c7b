"""Without the compiled engine, everything is as with it: counts, complexes, inside programs, in the whole plane."""

import warnings
from functools import partial

import jax
import numpy as np
import pytest
from complexes import network

import jaxgeom as jg
from jaxgeom.engine import library
from jaxgeom.regions import cells

DOMAINS = [jg.box(), jg.polygon([(-1, -0.2), (0.1, -1), (1.1, 0.3), (0, 0.9)]), jg.whole_plane()]


def population(*widths):
    layers = jax.tree.map(lambda *arrays: np.float32(np.stack(arrays)), *(network(seed, *widths) for seed in range(4)))
    layers[0].bias[1] = 0
    layers[0].bias[2, 0] = np.nan
    return layers


@pytest.fixture
def without(monkeypatch):
    """Calls a function without the library, and wants one warning."""

    def call(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(library, "_library", lambda: None)
            library._is_registered.cache_clear()
            cells.warn_once.cache_clear()
            jax.clear_caches()
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    found = jax.block_until_ready(function(*arguments))
            finally:
                library._is_registered.cache_clear()
                jax.clear_caches()
        assert [w.category for w in caught if "compiled engine is not built" in str(w.message)] == [RuntimeWarning]
        return found

    return call


@pytest.fixture(autouse=True)
def is_built():
    if not library.is_available():
        pytest.skip("the engine is not built here, so there is nothing to compare with")


@pytest.mark.slow
@pytest.mark.parametrize("domain", DOMAINS, ids=["box", "polygon", "plane"])
@pytest.mark.parametrize("widths", [(1,), (5, 1), (4, 4, 2)])
def test_counts_and_complexes(without, widths, domain):
    layers = population(*widths)

    def everything():
        return (
            jg.count_regions(layers, domain),
            jg.count_regions(layers, domain, kind="map", activation="leaky_relu"),
            jg.count_regions(layers, domain, cut_output=True),
            jg.enumerate_population(layers, domain),
        )

    *counts, complexes = without(everything)
    *expected, expected_complexes = everything()
    assert expected[0].count.tolist()[2] == -1
    for found, right in zip(counts, expected, strict=True):
        np.testing.assert_array_equal(found.count, right.count)
        np.testing.assert_array_equal(found.degenerate, right.degenerate)
    for found, right in zip(complexes, expected_complexes, strict=True):
        assert (found is None) == (right is None)
        if found is not None:
            jg.check_complex(found)
            order, same = (np.lexsort((complex_.area, *complex_.patterns.T)) for complex_ in (found, right))
            np.testing.assert_array_equal(found.patterns[order], right.patterns[same])
            np.testing.assert_allclose(found.area[order], right.area[same], rtol=1e-9)
            np.testing.assert_allclose(found.gradient[order], right.gradient[same], atol=1e-12)
            assert len(found.vertices) == len(right.vertices)
            assert len(found.edges) == len(right.edges)


def test_units_that_no_weight_reaches_are_no_exact_zeros(without):
    first, second, output = network(0, 3, 3, 1)
    for array in (first.kernel, first.bias):
        array[..., 1] = 0
    second.kernel[[0, 2], 2], second.bias[2] = 0, 0  # takes nothing but the unit without weights
    layers = first, second, output
    for options in ({}, {"activation": "abs"}, {"cut_output": True}):
        count = partial(jg.count_regions, layers, jg.box(), **options)
        right, found = count(), without(count)
        assert (found.count, found.degenerate) == (right.count, right.degenerate)
        assert not found.degenerate


@pytest.mark.parametrize(("dim", "widths"), [(1, (3, 2)), (3, (4, 2)), (3, (3, 2, 1)), (4, (3, 1))])
def test_boxes_of_other_dimensions(without, dim, widths):
    nets = [network(seed, *widths, num_inputs=dim, values=[-1, -0.5, 0.5, 1]) for seed in range(2)]
    nets += [network(seed, *widths, num_inputs=dim) for seed in range(2)]
    layers = jax.tree.map(lambda *arrays: np.stack(arrays), *nets)
    domain = jg.box(-1.5, 1, dim=dim)

    def everything():
        counts = jg.count_regions(layers, domain)
        return counts.count, counts.degenerate, jg.enumerate_population(layers, domain)

    count, degenerate, complexes = without(everything)
    right, right_degenerate, right_complexes = everything()
    assert count.tolist() == right.tolist()
    assert degenerate.tolist() == right_degenerate.tolist()
    for found, same in zip(complexes, right_complexes, strict=True):
        jg.check_complex(found)
        one, other = (np.lexsort(c.patterns.T) for c in (found, same))
        assert found.num_faces == same.num_faces
        np.testing.assert_array_equal(found.patterns[one], same.patterns[other])
        np.testing.assert_allclose(found.volume[one], same.volume[other], atol=1e-12)
        np.testing.assert_allclose(found.centroid[one], same.centroid[other], atol=1e-9)
        np.testing.assert_allclose(found.gradient[one], same.gradient[other], atol=1e-12)
        facets = [
            sorted(zip(*map(np.ndarray.tolist, (c.facet_layer, c.facet_unit)), strict=True)) for c in (found, same)
        ]
        assert facets[0] == facets[1]
        signs = [sorted(map(tuple, np.column_stack([c.signs, c.is_on_side]).tolist())) for c in (found, same)]
        assert signs[0] == signs[1]


def test_inside_programs(without):
    layers = population(4, 3, 1)
    count = partial(jg.count_regions, domain=jg.box())
    expected = count(layers)
    for way in (count, jax.vmap(count), lambda layers: jax.lax.map(count, layers)):
        found = without(lambda way=way: jax.jit(way)(layers))
        np.testing.assert_array_equal(found.count, expected.count)
        assert jax.jit(way)(layers).count.tolist() == expected.count.tolist()
