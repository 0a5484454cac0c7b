"""What a grid sees of a network, against the reference: patterns point by point, the literal sequential rule."""

import itertools
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

import jaxgeom
from jaxgeom import Dense, box, forward, grid_points, grid_regions, layers_of, mlp, unpack_patterns
from jaxgeom.networks.layers import pad_widths
from jaxgeom.regions.grid.regions import NO_POINT

GRID = grid_points(box(), 15, with_corners=True)


def stacked(networks):
    return jax.tree.map(lambda *arrays: np.stack(arrays), *networks)


def member(tree, index):
    return jax.tree.map(lambda array: np.asarray(array)[index], tree)


def uniform(rng, *widths):
    return tuple(Dense(rng.uniform(-1, 1, (a, b)), rng.uniform(-1, 1, b)) for a, b in itertools.pairwise(widths))


def special_networks(*widths):
    """Seven networks of one shape: random, and degenerate in every way."""
    rng = np.random.default_rng(sum(widths))
    random = uniform(rng, *widths)
    no_bias = tuple(Dense(kernel, 0 * bias) for kernel, bias, *_ in uniform(rng, *widths))
    integers = tuple(
        Dense(rng.integers(-2, 3, (a, b)) / 2, rng.integers(-2, 3, b) / 2) for a, b in itertools.pairwise(widths)
    )
    half_dead = (
        tuple(Dense(kernel, bias - 9 * (np.arange(len(bias)) % 2)) for kernel, bias, *_ in random[:-1]) + random[-1:]
    )
    twins = tuple(
        Dense(kernel[:, np.arange(len(bias)) // 2], bias[np.arange(len(bias)) // 2]) for kernel, bias, *_ in random
    )
    no_kernel = tuple(Dense(0 * kernel, bias) for kernel, bias, *_ in random)
    zero = tuple(Dense(0 * kernel, 0 * bias) for kernel, bias, *_ in random)
    return [random, no_bias, integers, half_dead, twins, no_kernel, zero]


def sequential_rule(rows, atol=1e-3):
    """``reference.sequential_distinct_maps`` for many rows: the same, but kept rows are not copied at each step."""
    kept, indices = np.empty_like(rows), []
    for index, row in enumerate(rows):
        if not np.any(np.linalg.norm(kept[: len(indices)] - row, axis=1) < atol):
            kept[len(indices)] = row
            indices.append(index)
    return indices


def assert_is_the_reference(layers, points, found, atol=1e-3):
    """Every field of an untruncated result."""
    patterns = reference.activation_patterns(layers, points)
    firsts = {}
    cell_of_point = [firsts.setdefault(pattern.tobytes(), len(firsts)) for pattern in patterns]
    representative = [cell_of_point.index(cell) for cell in range(len(firsts))]
    num, capacity = len(firsts), len(points)
    assert (found.num_patterns, found.count, found.overflow) == (num, num, False)
    np.testing.assert_array_equal(found.valid, np.arange(capacity) < num)
    np.testing.assert_array_equal(found.cell_of_point, cell_of_point)
    np.testing.assert_array_equal(found.representative, representative + [NO_POINT] * (capacity - num))
    unpacked = unpack_patterns(jnp.asarray(found.patterns.T), [len(bias) for _, bias, *_ in layers[:-1]])
    unpacked = np.concatenate([np.zeros((0, capacity), bool), *unpacked]).T
    np.testing.assert_array_equal(unpacked[:num], patterns[representative])
    maps = reference.affine_map_at(layers, points[representative])
    for field, expected in zip((found.gradient, found.intercept), maps, strict=True):
        assert field.dtype == np.float64
        np.testing.assert_allclose(field[:num], expected, rtol=1e-12, atol=1e-12)
    for padding in (found.patterns[num:], found.gradient[num:], found.intercept[num:], found.is_new_map[num:]):
        assert not padding.any()
    # the rule, literally, on the maps of all points in their order
    rows = np.concatenate([maps[0].reshape(num, -1), maps[1]], axis=1)[cell_of_point]
    kept = reference.sequential_distinct_maps(rows, atol)
    assert found.num_maps == len(kept)
    np.testing.assert_array_equal(np.flatnonzero(found.is_new_map), [cell_of_point[index] for index in kept])
    # the map of a point's cell is what the network computes there
    gradient, intercept = found.gradient[found.cell_of_point], found.intercept[found.cell_of_point]
    output = reference.forward(layers, points)[0]
    scale = 1 + np.abs(output).max()
    np.testing.assert_allclose(np.einsum("poi,pi->po", gradient, points) + intercept, output, atol=1e-12 * scale)


@pytest.mark.slow
@pytest.mark.parametrize(
    "widths", [(1, 7, 2), (3, 33, 3), (5, 31, 1), (2, 32, 32, 1), (2, 7, 3, 9, 2), (2, 64, 65, 2), (2, 1)]
)
def test_grid_is_the_reference(widths):
    networks = special_networks(*widths)
    points = GRID if widths[0] == 2 else np.random.default_rng(1).uniform(-1, 1, (229, widths[0]))
    with jax.enable_x64(True):
        found = jax.jit(jax.vmap(lambda layers: grid_regions(layers, points)))(stacked(networks))
    for index, layers in enumerate(networks):
        assert_is_the_reference(layers, points, member(found, index))
    # one pattern and one map where nothing depends on the input
    assert found.num_maps[-1] == found.num_maps[-2] == 1


def test_linear_bottleneck():
    rng = np.random.default_rng(0)
    names = ("dense0_relu", "dense1_linear", "dense2_relu", "dense3_linear")
    params = {
        name: {"kernel": np.float32(kernel), "bias": np.float32(bias)}
        for name, (kernel, bias, _) in zip(names, uniform(rng, 2, 9, 2, 8, 1), strict=True)
    }
    layers = layers_of(params)
    with jax.enable_x64(True):
        found = member(jax.jit(grid_regions)(layers, GRID), ...)
    assert_is_the_reference(jax.tree.map(np.asarray, layers), GRID, found)


@pytest.mark.slow
@pytest.mark.parametrize("width", [2, 20, 100])
def test_trained_xor_networks_on_the_customary_grid(trained_xor, width):
    points = grid_points(box(), 101, with_corners=True)
    assert len(points) == 10_205
    population = jax.tree.map(
        lambda array: np.asarray(array)[:20],
        layers_of(jaxgeom.study.networks(trained_xor(width), width=width, step=100)),
    )
    # width 2 is padded to share the compiled program of width 20
    found = jaxgeom.count_grid_regions(pad_widths(population, (max(width, 20),)), points)
    for index in range(20):
        layers = member(population, index)
        patterns = reference.activation_patterns(layers, points)
        _, first = np.unique(np.packbits(patterns, axis=1), axis=0, return_index=True)
        first.sort()
        # Equal patterns have equal maps, and a row equal to an earlier one is never kept: whether that one was kept
        # or dropped, some kept row is near. So the rule may be told each pattern once, at its first point.
        (kernel, bias), (outer, outer_bias) = [
            (np.asarray(layer.kernel, np.float64), np.asarray(layer.bias, np.float64)) for layer in layers
        ]
        maps = (patterns[first] * outer[:, 0]) @ np.concatenate([kernel, bias[None]]).T + [0, 0, outer_bias[0]]
        assert found.num_patterns[index] == len(first)
        assert found.num_maps[index] == len(sequential_rule(maps))


# Capacity


@pytest.mark.slow
def test_capacity():
    layers = jax.tree.map(np.float32, special_networks(2, 6, 1)[0])
    full = member(grid_regions(layers, GRID), ...)
    num = int(full.num_patterns)
    assert num > 8
    for capacity in (num, num // 2):
        found = member(jax.jit(partial(grid_regions, capacity=capacity))(layers, GRID), ...)
        assert found.num_patterns == num
        assert found.overflow == (capacity < num)
        assert found.count == capacity
        assert found.valid.all()
        has_room = full.cell_of_point < capacity
        np.testing.assert_array_equal(found.cell_of_point, np.where(has_room, full.cell_of_point, NO_POINT))
        for name in ("representative", "patterns", "is_new_map"):
            np.testing.assert_array_equal(getattr(found, name), getattr(full, name)[:capacity])
        for name in ("gradient", "intercept"):
            np.testing.assert_allclose(getattr(found, name), getattr(full, name)[:capacity], rtol=0, atol=1e-15)
        assert found.num_maps == full.is_new_map[:capacity].sum()
    more = grid_regions(layers, GRID, capacity=10 * len(GRID))
    jax.tree.map(np.testing.assert_array_equal, more, full)


def test_one_point():
    found = member(jax.jit(grid_regions)(special_networks(2, 3, 1)[0], np.zeros((1, 2))), ...)
    assert (found.num_patterns, found.num_maps, found.count, found.overflow) == (1, 1, 1, False)
    np.testing.assert_array_equal(found.cell_of_point, [0])


# Transformations and precision


def network_with_a_sign_that_float32_loses():
    """float32 loses 2^-30 beside 1, so that x + 2^-30 y - 1 would be 0 on all of x = 1."""
    kernel, bias = np.zeros((2, 6), np.float32), np.zeros(6, np.float32)
    kernel[:, 0], bias[0] = (1, 2**-30), -1
    return Dense(kernel, bias), Dense(np.ones((6, 1), np.float32), np.zeros(1, np.float32))


def test_jit_vmap_and_scan_without_x64_change_nothing():
    networks = [*special_networks(2, 6, 1), network_with_a_sign_that_float32_loses()]
    population = jax.tree.map(np.float32, stacked(networks))
    assert not jax.config.jax_enable_x64

    @jax.jit
    def in_two_steps(population):
        halves = jax.tree.map(lambda array: array.reshape(2, 4, *array.shape[1:]), population)
        step = jax.vmap(lambda layers: grid_regions(layers, GRID))
        found = jax.lax.scan(lambda _, half: (None, step(half)), None, halves)[1]
        return jax.tree.map(lambda array: array.reshape(8, *array.shape[2:]), found)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = [grid_regions(member(population, index), GRID) for index in range(8)]
        with jax.enable_x64(True):
            wide = [grid_regions(member(population, index), GRID) for index in range(8)]
        together = in_two_steps(population)
        # each network beside other neighbours than before
        turned = in_two_steps(jax.tree.map(lambda array: np.roll(array, 3, axis=0), population))
    for index in range(8):
        for found in (wide[index], member(together, index), member(turned, (index + 3) % 8)):
            jax.tree.map(np.testing.assert_array_equal, found, alone[index])
            assert found.gradient.dtype == found.intercept.dtype == alone[index].gradient.dtype == np.float64
    # the last network's signs are those of float64
    kernel, bias, _ = networks[-1][0]
    assert np.all(GRID[GRID[:, 0] == 1] @ kernel[:, 0] + bias[0] == 0)
    active = (GRID[:, 0] == 1) & (GRID[:, 1] > 0)
    np.testing.assert_array_equal(alone[-1].patterns[alone[-1].cell_of_point, 0], active)


def test_vmap_over_numpy_arrays_in_float64():
    # without x64 such arrays count as float32 in jax: rounded, but no crash
    networks = special_networks(2, 6, 1)
    found = jax.vmap(lambda layers: grid_regions(layers, GRID).num_patterns)(stacked(networks))
    expected = [reference.num_distinct_patterns(jax.tree.map(np.float32, layers), GRID) for layers in networks]
    np.testing.assert_array_equal(found, expected)


def test_points_and_tolerance_are_not_rounded_to_float32():
    # a line at 0.1 in float64, and points that float32 cannot tell apart
    layers = (Dense(np.array([[1.0], [0.0]]), np.array([-0.1])), Dense(np.array([[1.0]]), np.zeros(1)))
    points = np.array([[0.1 - 1e-12, 0], [0.1, 0], [0.1 + 1e-12, 0]])
    found = grid_regions(layers, points)
    np.testing.assert_array_equal(found.cell_of_point, [0, 0, 1])
    # maps 0 and (w, 0, 0): new iff w >= atol, where float32(0.001) > 0.001
    points = np.array([[-1.0, 0], [0, 0], [1, 0]])
    for slope, num in ((1e-3, 2), (np.nextafter(1e-3, 0), 1), (np.nextafter(1e-3, 1), 2)):
        layers = (Dense(np.array([[1.0], [0.0]]), np.zeros(1)), Dense(np.array([[slope]]), np.zeros(1)))
        assert grid_regions(layers, points, 1e-3).num_maps == num


# Any function


def test_relu_network_as_a_function_has_the_same_maps():
    layers = uniform(np.random.default_rng(1), 2, 6, 5, 3)
    as_function = member(grid_regions(lambda x: forward(layers, x).output, GRID), ...)
    with jax.enable_x64(True):
        by_layers = member(jax.jit(grid_regions)(layers, GRID), ...)
    assert as_function.num_maps == by_layers.num_maps > 9
    assert as_function.num_patterns == as_function.count == len(GRID)
    assert not as_function.overflow
    assert as_function.valid.all()
    assert as_function.patterns.shape == (len(GRID), 0)
    np.testing.assert_array_equal(as_function.representative, np.arange(len(GRID)))
    np.testing.assert_array_equal(as_function.cell_of_point, np.arange(len(GRID)))
    # kept at the first point of each map
    first = by_layers.representative[by_layers.is_new_map]
    np.testing.assert_array_equal(np.flatnonzero(as_function.is_new_map), first)


def test_smooth_network_under_vmap_and_with_capacity():
    model = mlp((2, 5, 1), activation="tanh")
    rng = np.random.default_rng(2)
    population = {
        "dense0_tanh": {"kernel": rng.uniform(-1, 1, (3, 2, 5)), "bias": rng.uniform(-1, 1, (3, 5))},
        "dense1_linear": {"kernel": rng.uniform(-1, 1, (3, 5, 1)), "bias": rng.uniform(-1, 1, (3, 1))},
    }
    population = jax.tree.map(np.float32, population)
    points = GRID[::7]

    def regions(params):
        return grid_regions(lambda x: model.apply(params, x), points, 0.05, capacity=20)

    found = jax.jit(jax.vmap(regions))(population)
    for index in range(3):
        params = jax.tree.map(np.float64, member(population, index))
        inner, outer = params["dense0_tanh"], params["dense1_linear"]
        h = np.tanh(points @ inner["kernel"] + inner["bias"])
        gradient = ((1 - h**2) * outer["kernel"][:, 0]) @ inner["kernel"].T
        value = h @ outer["kernel"] + outer["bias"]
        intercept = value - np.sum(gradient * points, axis=1, keepdims=True)
        alone = member(found, index)
        np.testing.assert_allclose(alone.gradient[:, 0], gradient[:20], rtol=0, atol=1e-13)
        np.testing.assert_allclose(alone.intercept, intercept[:20], rtol=0, atol=1e-13)
        kept = reference.sequential_distinct_maps(np.concatenate([gradient, intercept], axis=1)[:20], 0.05)
        np.testing.assert_array_equal(np.flatnonzero(alone.is_new_map), kept)
        assert 1 < alone.num_maps == len(kept)
        assert (alone.num_patterns, alone.count, alone.overflow) == (len(points), 20, True)
        np.testing.assert_array_equal(alone.cell_of_point[20:], NO_POINT)


def test_linear_function_has_one_map():
    found = grid_regions(lambda x: x @ jnp.array([[2.0, 1], [-3, 0]]) + 5, GRID)
    assert found.num_maps == 1
    np.testing.assert_array_equal(np.flatnonzero(found.is_new_map), [0])


# Errors


LAYERS = special_networks(2, 3, 1)[0]


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (np.zeros(2), {}, r"points must have shape \(points, in\) with at least one point, but \(2,\)"),
        (np.zeros((0, 2)), {}, r"at least one point, but \(0, 2\)"),
        (np.zeros((1, 1, 2)), {}, r"at least one point, but \(1, 1, 2\)"),
        (np.zeros((4, 3)), {}, "layer 0 takes 2 inputs, but what comes before it has 3 dimensions"),
        (GRID, {"capacity": 0}, "capacity must be a positive integer, but 0 was given. Leave it out"),
        (GRID, {"capacity": -3}, "capacity must be a positive integer"),
        (GRID, {"atol": 0.0}, "atol must be positive, .* but 0.0"),
        (GRID, {"atol": -1}, "atol must be positive"),
        (GRID, {"atol": float("nan")}, "atol must be positive"),
    ],
)
def test_bad_arguments_are_refused(unchecked, points, options, message):
    with pytest.raises(ValueError, match=message):
        grid_regions(LAYERS, points, **options)


@pytest.mark.parametrize("layers", ["ab", None, {"dense0_linear": 1}, 3])
def test_first_argument_must_be_layers_or_a_function(unchecked, layers):
    with pytest.raises(TypeError, match="a network is a tuple of"):
        grid_regions(layers, GRID)


def test_populations_and_bad_weights_are_refused():
    with pytest.raises(ValueError, match=r"leading axes \(4, 5\).*Use jax.vmap, or count_grid_regions"):
        grid_regions(jax.tree.map(lambda a: np.broadcast_to(a, (4, 5, *a.shape)), LAYERS), GRID)
    with pytest.raises(ValueError, match="layer 1 of the network has NaN or infinite weights"):
        grid_regions((LAYERS[0], Dense(LAYERS[1].kernel, np.array([np.nan]))), GRID)


def test_a_hidden_layer_without_units():
    layers = (Dense(np.zeros((2, 0)), np.zeros(0)), Dense(np.zeros((0, 1)), np.ones(1)))
    found = jax.jit(grid_regions)(layers, GRID)
    assert found.num_patterns == found.num_maps == 1


@pytest.mark.usefixtures("unchecked")
def test_functions_of_the_wrong_shape_and_points_that_are_no_numbers_are_refused():
    points = np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match=r"must map \(3, 2\) to \(3, out\)"):
        grid_regions(lambda x: x[:, 0], points)
    with pytest.raises(ValueError, match="points must be finite"):
        grid_regions(lambda x: x, np.full((3, 2), np.nan, np.float32))
