"""Networks at the border of what there is: without units, outputs or members, too large, under vmap of control flow."""

import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complexes import complex_in_box, counts_in_box
from jax import lax

import jaxgeom as jg
from jaxgeom import Dense, box
from jaxgeom.regions import space_cells
from jaxgeom.regions.grid.distinct_maps import first_kept
from jaxgeom.regions.grid.host import first_columns, num_kept

SQUARE = box()
POINTS = np.random.default_rng(0).uniform(-1, 1, (40, 2))
START, STOP = np.array([-1.0, -0.9]), np.array([1.0, 0.8])


def random(*widths, leading=(), seed=0):
    rng = np.random.default_rng(seed)
    return tuple(
        Dense(rng.normal(size=(*leading, a, b)), rng.normal(size=(*leading, b))) for a, b in itertools.pairwise(widths)
    )


# x + y = 0 and -1 and -2, of which the last only touches the square: regions by hand
LINES = Dense(np.ones((2, 3)), np.arange(3.0))
EMPTY = {
    "no outputs": ((LINES, Dense(np.ones((3, 0)), np.zeros(0))), 3, 2, (3, 0)),
    "no units": ((Dense(np.ones((2, 0)), np.zeros(0)), Dense(np.ones((0, 1)), np.ones(1))), 1, 0, (0, 1)),
    "no units in the second layer": (
        (LINES, Dense(np.ones((3, 0)), np.zeros(0)), Dense(np.ones((0, 2)), np.ones(2))),
        3,
        2,
        (3, 2),
    ),
    "no units in the first layer": (
        (Dense(np.ones((2, 0)), np.zeros(0)), Dense(np.ones((0, 4)), np.ones(4)), Dense(np.ones((4, 1)), np.zeros(1))),
        1,
        0,
        (4, 1),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EMPTY)
def test_layers_without_units_and_outputs(name):
    layers, num, num_breaks, (units, outputs) = EMPTY[name]
    population = jax.tree.map(lambda array: np.stack([array, array]), layers)
    assert jg.count_regions(layers, SQUARE).count == num
    assert jg.count_regions(layers, SQUARE, kind="linear").count == 1
    assert jg.count_regions(population, SQUARE).count.tolist() == [num] * 2
    for complex_ in (jg.enumerate_regions(layers, SQUARE), *jg.enumerate_population(population, SQUARE)):
        assert complex_.num_faces == num
        assert complex_.patterns.shape == (num, units)
        assert complex_.gradient.shape == (num, outputs, 2)
        assert complex_.intercept.shape == (num, outputs)
    found = jg.locate(complex_, layers, complex_.centroid)
    np.testing.assert_array_equal(found, np.arange(num))
    assert counts_in_box(layers, SQUARE)[0] == num
    spatial = complex_in_box(layers, SQUARE)
    assert spatial.num_cells == num
    assert spatial.gradient.shape == (num, outputs, 2)
    found = jg.breakpoints(layers, START, STOP)
    assert found.count == num_breaks
    assert found.slope.shape == (num_breaks + 1, outputs)
    found = jg.breakpoints(layers, START, STOP, capacity=4)
    assert found.count == num_breaks
    assert found.slope.shape == (5, outputs)
    grid = jg.grid_regions(layers, POINTS)
    assert (int(grid.num_patterns), int(grid.num_maps)) == (num, 1)
    counts = jg.count_grid_regions(population, POINTS)
    assert counts.num_patterns.tolist() == [num] * 2
    assert counts.num_maps.tolist() == [1, 1]


def test_populations_of_none_give_empty_arrays():
    none = random(2, 5, 1, leading=(0,))
    for kind in ("activation", "linear"):
        assert jg.count_regions(none, SQUARE, kind=kind).count.shape == (0,)
    assert jg.count_regions(none, SQUARE, min_area=0.1).num_large.shape == (0,)
    assert jg.enumerate_population(none, SQUARE) == []
    assert jg.count_grid_regions(none, POINTS).num_maps.shape == (0,)
    assert counts_in_box(none, SQUARE).shape == (0,)
    assert jg.breakpoints(none, START, STOP).count.shape == (0,)
    assert jax.vmap(lambda layers: jg.grid_regions(layers, POINTS).num_maps)(none).shape == (0,)


@pytest.mark.parametrize(("dim", "widths"), [(8, (32,)), (8, (16, 16)), (3, (1400, 1400)), (4, (8,))])
def test_spatial_complexes_that_would_take_too_much_are_refused(dim, widths, monkeypatch):
    monkeypatch.setattr(space_cells, "free_memory", lambda: 10**6)
    layers = random(dim, *widths, 1)
    with pytest.raises(ValueError, match=r"more than [\d,]+ regions, of which complexes take more than the 1 MB"):
        jg.enumerate_regions(layers, box(dim=dim))


def test_complexes_in_many_dimensions_are_refused_at_once():
    with pytest.raises(ValueError, match=r"regions are enumerated in at most 8 dimensions\. count_regions takes 10"):
        jg.enumerate_regions(random(9, 4, 1), box(dim=9))


@pytest.mark.parametrize("atol", [np.array(-1.0), np.array(np.nan), np.array([1e-3]), jnp.array(0.0), np.inf])
def test_tolerances_in_arrays_are_checked(unchecked, atol):
    for function in (jg.grid_regions, jg.count_grid_regions):
        with pytest.raises(ValueError, match="atol must be positive"):
            function(random(2, 3, 1), POINTS, atol)


@pytest.mark.slow
@pytest.mark.parametrize("values", [[0.0, 0.5, 1.0], None])
def test_distinct_columns_and_rows_by_numpy(values):
    rng = np.random.default_rng(1)
    for num, width, atol in ((1, 3, 0.1), (50, 1, 0.5), (300, 3, 0.2), (300, 2, 1e-9), (400, 9, 0.6)):
        rows = rng.normal(size=(num, width)) if values is None else rng.choice(values, (num, width))
        kept = []
        for row in rows:
            if all(((row - other) ** 2).sum() >= atol**2 for other in kept):
                kept.append(row)
        assert num_kept(rows, atol) == len(kept)
        with jax.enable_x64(True):
            assert int(first_kept(jnp.asarray(rows), jnp.ones(num, bool), atol).sum()) == len(kept)
        words = rng.integers(0, 3, (2, num)).astype(np.uint32)
        assert first_columns(words).tolist() == sorted(np.unique(words, axis=1, return_index=True)[1].tolist())


CORE = {
    "breakpoints with a capacity": lambda layers: jg.breakpoints(layers, START, STOP, capacity=8),
    "grid_regions": lambda layers: jg.grid_regions(layers, POINTS, capacity=16),
    "affine_triples": lambda layers: jg.affine_triples(layers, POINTS),
    "distance_to_boundary": lambda layers: jg.distance_to_boundary(layers, POINTS),
    "image_lengths": lambda layers: jg.image_lengths(layers, POINTS),
    "forward": lambda layers: jg.forward(layers, POINTS),
}
AROUND = {
    "scan": lambda function: lambda layers: lax.scan(lambda c, _: (c, function(layers)), 0, None, length=1)[1],
    "cond": lambda function: lambda layers: lax.cond(layers[0].bias[0] < 9, function, function, layers),
}


@pytest.mark.slow
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", CORE)
def test_vmap_of_control_flow_with_x64_off(name, around):
    population = jax.tree.map(jnp.float32, random(2, 6, 5, 1, leading=(3,)))
    function = CORE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = jax.jit(jax.vmap(AROUND[around](function)))(population)
    for number in range(3):
        right = jax.jit(function)(jax.tree.map(lambda array, number=number: array[number], population))
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(right), strict=True):
            own = np.asarray(one)[number].reshape(np.shape(other))
            assert own.dtype == other.dtype
            np.testing.assert_allclose(own, other, rtol=1e-12, atol=1e-12)


def test_maps_of_very_large_weights_are_finite():
    first = Dense(np.array([[1.0, -1.0], [0.5, 1.0]]) * 2.0**600, np.array([0.25, 0.5]) * 2.0**600)
    second = Dense(np.array([[1.0, 2.0], [-1.0, 1.0]]) * 2.0**600, np.zeros(2))
    last = Dense(np.array([[1.0], [-1.0]]) * 2.0**-1000, np.zeros(1))
    plain = tuple(
        Dense(np.ldexp(layer.kernel, -power), np.ldexp(layer.bias, -power))
        for layer, power in ((first, 600), (second, 600), (last, -1000))
    )
    large, small = (jg.enumerate_regions(layers, SQUARE) for layers in ((first, second, last), plain))
    assert large.num_faces == small.num_faces
    order = [np.lexsort(complex_.centroid.T) for complex_ in (large, small)]
    found, right = (complex_.gradient[some] for complex_, some in zip((large, small), order, strict=True))
    np.testing.assert_allclose(found, right * 2.0**200, rtol=1e-14)
    assert (found != 0).any()
