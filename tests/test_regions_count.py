"""The host's drivers: whole populations in chunks, the same numbers whatever the chunks, and clear errors."""

import itertools
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from jaxgeom import Dense, box, count_grid_regions, count_regions, grid_points, map_chunks, polygon_vertices
from jaxgeom.regions.cells import NOT_COUNTED
from jaxgeom.regions.grid.batches import flattened
from jaxgeom.regions.grid.count import grid_counts

VERTICES = polygon_vertices(box()).tolist()
GRID = grid_points(box(), 9)


def population(*leading, widths=(2, 6, 1), dtype=np.float32):
    rng = np.random.default_rng(1)
    return tuple(
        Dense(rng.uniform(-1, 1, (*leading, a, b)).astype(dtype), rng.uniform(-1, 1, (*leading, b)).astype(dtype))
        for a, b in itertools.pairwise(widths)
    )


def member(layers, *index):
    return tuple(Dense(kernel[index], bias[index]) for kernel, bias, *_ in layers)


def exact_truth(layers):
    return reference.exact_region_count(layers, VERTICES)


def grid_truth(layers, points=GRID, atol=1e-3):
    patterns = reference.num_distinct_patterns(layers, points)
    gradient, intercept = reference.affine_map_at(layers, points)
    rows = np.concatenate([gradient.reshape(len(points), -1), intercept], axis=1)
    return patterns, len(reference.sequential_distinct_maps(rows, atol))


# map_chunks


def doubled(tree):
    return {"twice": 2 * tree["a"], "rows": tree["b"].sum(axis=1)}


TREE = {"a": np.arange(7), "b": np.arange(21.0).reshape(7, 3)}


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 7, 8, 1000])
def test_chunks_do_not_change_the_results(chunk_size):
    lengths = []

    def function(tree):
        lengths.append(len(tree["a"]))
        return doubled(tree)

    found = map_chunks(function, TREE, chunk_size=chunk_size)
    jax.tree.map(np.testing.assert_array_equal, found, doubled(TREE))
    assert all(isinstance(array, np.ndarray) for array in found.values())
    # all chunks have one shape, so that one program serves them all
    assert set(lengths) == {min(chunk_size, 7)}
    assert len(lengths) == -(-7 // chunk_size)


def test_chunks_of_random_keys_and_of_jax_arrays():
    keys = jax.random.split(jax.random.key(0), 5)
    found = map_chunks(jax.jit(jax.vmap(jax.random.bits)), keys, chunk_size=2)
    np.testing.assert_array_equal(found, jax.vmap(jax.random.bits)(keys))
    np.testing.assert_array_equal(map_chunks(lambda x: x, jnp.arange(5), chunk_size=2), np.arange(5))


def test_order_is_kept_whatever_finishes_first():
    # each chunk after the first waits for the next one, as far as there are threads for both
    waiting = threading.Semaphore(0)

    def function(x):
        if x[0] == 1:
            waiting.acquire(timeout=0.2)
        if x[0] == 2:
            waiting.release()
        return x

    np.testing.assert_array_equal(map_chunks(function, np.arange(6), chunk_size=1), np.arange(6))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
@pytest.mark.parametrize("where", [0, 3, 6])
def test_errors_inside_a_chunk_come_out(error, where):
    def function(x):
        if where in x:
            raise error("here")
        return x

    with pytest.raises(error, match="here"):
        map_chunks(function, np.arange(7), chunk_size=2)


def test_nan_inside_a_chunk_stays_in_its_place():
    values = np.array([1.0, np.nan, 3, np.inf, 5])
    np.testing.assert_array_equal(map_chunks(lambda x: x, values, chunk_size=2), values)


def test_precision_does_not_depend_on_the_chunk():
    # settings of the calling thread hold for all chunks
    with jax.enable_x64(True):
        found = map_chunks(jax.jit(lambda x: x / 3), np.arange(5.0), chunk_size=1)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, np.arange(5.0) / 3)


@pytest.mark.parametrize(
    "tree",
    [(), {}, np.float32(1), np.zeros((0, 2)), {"a": np.zeros(3), "b": np.zeros(4)}, (np.zeros(3), np.array(1.0))],
)
def test_chunks_need_one_positive_length(tree):
    with pytest.raises(ValueError, match="one and the same, positive, length along its first axis"):
        map_chunks(lambda x: x, tree, chunk_size=2)


@pytest.mark.parametrize("chunk_size", [0, -1])
def test_chunk_size_must_be_positive(chunk_size):
    with pytest.raises(ValueError, match=f"chunk_size must be a positive integer, but {chunk_size} was given"):
        map_chunks(lambda x: x, np.zeros(3), chunk_size=chunk_size)
    with pytest.raises(ValueError, match="chunk_size must be a positive integer"):
        count_regions(population(2), box(), chunk_size=chunk_size)
    with pytest.raises(ValueError, match="chunk_size must be a positive integer"):
        count_grid_regions(population(2), GRID, chunk_size=chunk_size)


def test_progress_goes_to_stderr_and_only_when_asked(capfd):
    map_chunks(lambda x: x, np.arange(7), chunk_size=2)
    assert capfd.readouterr() == ("", "")
    map_chunks(lambda x: x, np.arange(7), chunk_size=2, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "7/7" in err
    map_chunks(lambda x: x, np.arange(7), chunk_size=2, progress="my title")
    out, err = capfd.readouterr()
    assert out == ""
    assert "my title" in err
    assert "7/7" in err
    assert "8/7" not in err


# Both counts


@pytest.fixture(scope="module")
def twelve():
    layers = population(12)
    exact = [exact_truth(member(layers, index)) for index in range(12)]
    on_grid = [grid_truth(member(layers, index)) for index in range(12)]
    return layers, np.array(exact), np.array(on_grid).T


@pytest.mark.parametrize("chunk_size", [1, 3, 1000, None])
def test_counts_of_a_population(twelve, chunk_size):
    layers, exact, on_grid = twelve
    found = count_regions(layers, box(), chunk_size=chunk_size)
    np.testing.assert_array_equal(found.count, exact)
    assert found.count.dtype == np.int64
    assert found.degenerate.dtype == bool
    found = count_grid_regions(layers, GRID, chunk_size=chunk_size)
    np.testing.assert_array_equal(found, on_grid)
    assert found.num_patterns.dtype == found.num_maps.dtype == np.int64


@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 1, 6), (1, 12)])
def test_leading_axes(twelve, shape):
    layers, exact, on_grid = twelve
    reshaped = jax.tree.map(lambda array: jnp.asarray(array.reshape(*shape, *array.shape[1:])), layers)
    found = count_regions(reshaped, box(), chunk_size=3)
    np.testing.assert_array_equal(found.count, exact.reshape(shape))
    assert found.degenerate.shape == shape
    found = count_grid_regions(reshaped, jnp.asarray(GRID), chunk_size=3)
    np.testing.assert_array_equal(found.num_patterns, on_grid[0].reshape(shape))
    np.testing.assert_array_equal(found.num_maps, on_grid[1].reshape(shape))


def test_one_network(twelve):
    layers, exact, on_grid = twelve
    found = count_regions(member(layers, 5), box())
    assert found.count.shape == found.degenerate.shape == ()
    assert found.count == exact[5]
    found = count_grid_regions(member(layers, 5), GRID)
    assert np.shape(found.num_patterns) == np.shape(found.num_maps) == ()
    assert (found.num_patterns, found.num_maps) == tuple(on_grid[:, 5])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_empty_population(shape):
    found = count_regions(population(*shape), box())
    assert found.count.shape == found.degenerate.shape == shape
    assert count_regions(population(*shape), box(), progress=True).count.shape == shape
    found = count_grid_regions(population(*shape), GRID)
    assert found.num_patterns.shape == found.num_maps.shape == shape


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_members_that_are_not_finite_are_marked(twelve, bad):
    layers, exact, on_grid = twelve
    layers = jax.tree.map(np.copy, layers)
    layers[0].kernel[3, 1, 2] = layers[0].bias[0, 0] = layers[1].bias[11, 0] = bad
    expected = exact.copy()
    expected[[0, 3, 11]] = NOT_COUNTED
    found = count_regions(layers, box(), chunk_size=3)
    np.testing.assert_array_equal(found.count, expected)
    assert not found.degenerate[[0, 3, 11]].any()
    expected = on_grid.copy()
    expected[:, [0, 3, 11]] = NOT_COUNTED
    np.testing.assert_array_equal(count_grid_regions(layers, GRID, chunk_size=3), expected)


def test_population_without_a_finite_member():
    layers = jax.tree.map(lambda array: array * np.nan, population(2, 2))
    assert (count_regions(layers, box()).count == NOT_COUNTED).all()
    found = count_grid_regions(layers, GRID)
    assert (found.num_patterns == NOT_COUNTED).all()
    assert (found.num_maps == NOT_COUNTED).all()


@pytest.mark.parametrize("layer", [0, 1])
def test_one_network_that_is_not_finite_is_an_error(layer):
    layers = population()
    layers[layer].kernel[1, 0] = np.nan
    with pytest.raises(ValueError, match=f"layer {layer} of the network has NaN or infinite weights"):
        count_regions(layers, box())
    with pytest.raises(ValueError, match=f"layer {layer} of the network has NaN or infinite weights"):
        count_grid_regions(layers, GRID)


@pytest.mark.parametrize("widths", [(2, 1), (2, 0, 1)])
def test_networks_without_hidden_units_have_one_region(widths):
    layers = population(3, widths=widths)
    np.testing.assert_array_equal(count_regions(layers, box()).count, np.ones(3))
    np.testing.assert_array_equal(count_grid_regions(layers, GRID), np.ones((2, 3)))


def test_degenerate_members_are_marked_and_counted(twelve):
    layers, exact, _ = twelve
    layers = jax.tree.map(np.copy, layers)
    layers[0].bias[::2] = 0
    found = count_regions(layers, box(), chunk_size=3)
    assert found.degenerate.tolist() == [True, False] * 6
    np.testing.assert_array_equal(found.count[::2], [exact_truth(member(layers, i)) for i in range(0, 12, 2)])
    np.testing.assert_array_equal(found.count[1::2], exact[1::2])


def test_progress_of_the_counts(twelve, capfd):
    layers, _, _ = twelve
    count_regions(layers, box(), chunk_size=3)
    count_grid_regions(layers, GRID, chunk_size=3)
    assert capfd.readouterr() == ("", "")
    count_regions(layers, box(), chunk_size=3, progress="exact count")
    out, err = capfd.readouterr()
    assert out == ""
    assert "exact count" in err
    count_grid_regions(layers, GRID, chunk_size=3, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "12/12" in err


# The grid


def by_programs(layers, first_capacity, chunk_size):
    """The counts as on accelerators, by programs with a capacity."""
    flat, _, is_finite = flattened(layers)
    return grid_counts(
        flat, is_finite, GRID, 1e-3, by_numpy=False, first_capacity=first_capacity, chunk_size=chunk_size
    )


@pytest.mark.slow
@pytest.mark.parametrize("first_capacity", [1, 8])
def test_capacity_grows_as_needed(twelve, first_capacity):
    layers, _, on_grid = twelve
    assert on_grid[0].min() <= 8 < on_grid[0].max()
    np.testing.assert_array_equal(by_programs(layers, first_capacity, 3), on_grid)
    np.testing.assert_array_equal(count_grid_regions(layers, GRID, chunk_size=3), on_grid)


@pytest.mark.slow
def test_deep_networks_on_a_grid():
    layers = population(4, widths=(2, 8, 7, 2))
    expected = np.array([grid_truth(member(layers, index)) for index in range(4)]).T
    assert expected[0].max() > 8
    np.testing.assert_array_equal(by_programs(layers, 8, 4), expected)
    np.testing.assert_array_equal(count_grid_regions(layers, GRID, chunk_size=4), expected)


def test_points_weights_and_tolerance_stay_in_float64():
    assert not jax.config.jax_enable_x64
    # a line at 0.1, and points on it and on either side that float32 cannot tell apart
    layers = (Dense(np.array([[1.0], [0.0]]), np.array([-0.1])), Dense(np.ones((1, 1)), np.zeros(1)))
    points = np.array([[0.1 - 1e-12, 0], [0.1, 0], [0.1 + 1e-12, 0]])
    assert tuple(count_grid_regions(layers, points)) == grid_truth(layers, points) == (2, 2)


def test_tolerance_stays_in_float64():
    # the maps are 0 and (slope, 0, 0): two iff slope >= 0.001, and float32(0.001) is greater than that;
    # 9 times float32(0.001 / 9) lies between the two
    inner, outer = np.float32(9), np.float32(1e-3 / 9)
    assert 1e-3 < float(inner) * float(outer) < float(np.float32(1e-3))
    layers = (
        Dense(np.array([[inner], [0]]), np.zeros(1, np.float32)),
        Dense(np.array([[outer]]), np.zeros(1, np.float32)),
    )
    points = np.float32([[-1, 0], [0, 0], [1, 0]])
    assert tuple(count_grid_regions(layers, points)) == grid_truth(layers, points) == (2, 2)


def test_tolerance_is_passed_on(twelve):
    layers, _, on_grid = twelve
    found = count_grid_regions(layers, GRID, 0.5, chunk_size=3)
    expected = [grid_truth(member(layers, index), atol=0.5)[1] for index in range(12)]
    np.testing.assert_array_equal(found.num_maps, expected)
    np.testing.assert_array_equal(found.num_patterns, on_grid[0])
    assert np.any(found.num_maps < on_grid[1])


# Errors


@pytest.mark.parametrize("area", ["0.1", [0.1], np.array([0.1, 0.2]), jax.nn.relu, True])
def test_areas_are_numbers(unchecked, area):
    with pytest.raises(TypeError, match="min_area must be a number known before tracing, but"):
        count_regions(population(), box(), min_area=area)


def test_an_area_may_be_an_array_of_jax(unchecked):
    found = (count_regions(population(), box(), min_area=area) for area in (jnp.float32(0.25), 0.25))
    jax.tree.map(np.testing.assert_array_equal, *found)


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (np.zeros(2), {}, r"points must have shape \(points, in\) .* but \(2,\) was given"),
        (np.zeros((1, 2, 2)), {}, r"points must have shape \(points, in\) .* but \(1, 2, 2\)"),
        (np.zeros((0, 2)), {}, "at least one point"),
        (np.zeros((4, 3)), {}, "layer 0 takes 2 inputs, but what comes before it has 3 dimensions"),
        (GRID, {"atol": 0.0}, "atol must be positive"),
        (GRID, {"atol": -1.0}, "atol must be positive"),
        (GRID, {"atol": float("nan")}, "atol must be positive"),
    ],
)
def test_bad_arguments_of_the_grid_count(unchecked, points, options, message):
    with pytest.raises(ValueError, match=message):
        count_grid_regions(population(2), points, **options)


@pytest.mark.parametrize(
    ("layers", "domain", "options", "message"),
    [
        (population(widths=(3, 3, 1)), box(), {}, "two inputs are needed, but the first layer takes 3"),
        (population(), box(dim=3), {}, "a box in 3 dimensions was given, but the first layer takes 2 inputs"),
        (population(), box(dim=1), {}, "a box in 1 dimensions was given, but the first layer takes 2"),
        (
            population(),
            box(),
            {"kind": "convex"},
            "kind must be one of activation, linear, map, but 'convex' was given",
        ),
        (population(), box(), {"kind": ""}, "kind must be one of"),
        (population(), box(), {"min_area": np.nan}, "min_area must be at least 0, but nan was given"),
    ],
)
def test_bad_arguments_of_the_exact_count(layers, domain, options, message):
    with pytest.raises(ValueError, match=message):
        count_regions(layers, domain, **options)


@pytest.mark.parametrize("layers", [(), {"dense0_linear": 1}, None, "ab"])
def test_networks_must_be_layers(unchecked, layers):
    with pytest.raises(TypeError, match="a network is a tuple of"):
        count_regions(layers, box())
    with pytest.raises(TypeError, match="a network is a tuple of"):
        count_grid_regions(layers, GRID)
