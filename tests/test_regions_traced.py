"""Exact counts inside programs of JAX, under every transformation, against eager counts and these against rationals."""

from functools import partial
from itertools import pairwise

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import reference
from conftest import run_python

import jaxgeom as jg

BOX = jg.box()
DOMAINS = [BOX, jg.polygon([(-1, -0.2), (0.1, -1), (1.1, 0.3), (0, 0.9)]), jg.whole_plane()]
count = partial(jg.count_regions, domain=BOX)


def population(num=8, widths=(6, 5), dtype=np.float32, seed=0):
    """Random networks; the second has no biases, the third a weight that is not a number."""
    rng = np.random.default_rng(seed)
    layers = tuple(
        jg.Dense(rng.uniform(-1, 1, (num, a, b)).astype(dtype), rng.uniform(-1, 1, (num, b)).astype(dtype))
        for a, b in pairwise((2, *widths, 1))
    )
    for _, bias, *_ in layers:
        bias[1:2] = 0
    layers[0].kernel[2:3, 0, 1:2] = np.nan
    return layers


LAYERS = population()


def member(layers, index):
    return jax.tree.map(lambda array: array[index], layers)


def folded(layers, *shape):
    return jax.tree.map(lambda array: jnp.reshape(array, (*shape, *array.shape[1:])), layers)


@pytest.fixture(scope="module")
def eager():
    found = count(LAYERS)
    finite = [index for index in range(8) if index != 2]
    vertices = jg.polygon_vertices(BOX)
    assert [reference.exact_region_count(member(LAYERS, i), vertices) for i in finite] == found.count[finite].tolist()
    assert found.count[2] == -1
    assert found.degenerate.tolist() == [False, True] + [False] * 6
    return found


def assert_same(found, expected):
    for name, a, b in zip(expected._fields, found, expected, strict=True):
        if b is not None:
            np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=name)
            assert a.shape == b.shape


def scanned(layers):
    return jax.lax.scan(lambda total, one: (total + 1, count(one)), 0, layers)[1]


def by_cond(layers):
    return jax.lax.cond(
        layers[0].bias.sum() < 1e9, count, lambda layers: jax.tree.map(jnp.zeros_like, count(layers)), layers
    )


def in_a_loop(layers):
    empty = jax.tree.map(lambda array: jnp.zeros(array.shape, array.dtype), jax.eval_shape(count, layers))

    def body(index, found):
        one = count(jax.tree.map(lambda array: array[index], layers))
        return jax.tree.map(lambda all_, value: all_.at[index].set(value), found, one)

    return jax.lax.fori_loop(0, 8, body, empty)


WAYS = {
    "jit": count,
    "vmap": jax.vmap(count),
    "scan": scanned,
    "cond": by_cond,
    "vmap of cond": jax.vmap(by_cond),
    "fori_loop": in_a_loop,
    "map in batches": lambda layers: jax.lax.map(count, layers, batch_size=3),
    "checkpoint": jax.checkpoint(count),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("x64", [False, True])
def test_transformations(eager, way, x64):
    with jax.enable_x64(x64):
        found = jax.jit(WAYS[way])(LAYERS)
        assert_same(found, eager)
        assert (found.count.dtype, found.degenerate.dtype) == (np.int64 if x64 else np.int32, bool)


@pytest.mark.parametrize("function", [jax.vmap(jax.vmap(count)), jax.vmap(scanned), count])
def test_two_axes(eager, function):
    expected = jax.tree.map(lambda array: array.reshape(2, 4), eager)
    assert_same(jax.jit(function)(folded(LAYERS, 2, 4)), expected)
    # the second axis may be mapped, too
    turned = jax.tree.map(lambda array: jnp.swapaxes(array, 0, 1), folded(LAYERS, 2, 4))
    assert_same(jax.jit(jax.vmap(count, 1))(turned), expected)


def test_weights_that_are_not_mapped():
    first, *rest = member(LAYERS, 0)
    shifts = np.linspace(-1, 1, 5, dtype=np.float32)
    found = jax.jit(jax.vmap(lambda shift: count((jg.Dense(first.kernel, first.bias + shift), *rest))))(shifts)
    expected = [count((jg.Dense(first.kernel, first.bias + shift), *rest)).count for shift in shifts]
    assert found.count.tolist() == expected


@pytest.mark.parametrize("domain", DOMAINS, ids=["box", "polygon", "plane"])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "abs", ["relu", "linear"], "hard_tanh", "maxout"])
def test_domains_and_activations(domain, activation):
    layers = population(5, (6, 6))
    if activation == "maxout":
        layers = tuple(jg.Dense(k if i == 0 else k[:, :3], b) for i, (k, b, _) in enumerate(layers))
    expected = jg.count_regions(layers, domain, activation=activation)
    function = lambda layers: jg.count_regions(layers, domain, activation=activation)  # noqa: E731
    for way in (function, jax.vmap(function)):
        assert_same(jax.jit(way)(layers), expected)


@pytest.mark.parametrize(
    "options",
    [{"kind": "linear"}, {"kind": "map"}, {"min_area": 0.01}, {"cut_output": True}, {"kind": "map", "min_area": 0.1}],
    ids=str,
)
def test_options(options):
    expected = jg.count_regions(LAYERS, BOX, **options)
    for way in (jax.vmap(partial(count, **options)), partial(count, **options)):
        assert_same(jax.jit(way)(LAYERS), expected)


def test_callbacks_of_many_programs_at_once_do_not_wait_for_one_another():
    function = jax.jit(jax.vmap(partial(count, kind="map")))
    layers = population(64, (20, 20))
    started = [function(layers) for _ in range(4)]
    expected = jg.count_regions(layers, BOX, kind="map").count
    for found in started:
        np.testing.assert_array_equal(found.count, expected)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64, jnp.bfloat16])
def test_precisions(dtype):
    with jax.enable_x64(dtype == jnp.float64):
        layers = jax.tree.map(lambda array: jnp.asarray(array, dtype), population(dtype=np.float64))
        expected = count(jax.tree.map(lambda array: np.asarray(array, np.float64), layers))
        assert_same(jax.jit(count)(layers), expected)
        assert_same(jax.jit(jax.vmap(count))(layers), expected)


@pytest.mark.parametrize(("dtype", "unit"), [(np.float32, 1e-45), (np.float64, 5e-324)])
def test_maps_of_subnormal_weights(dtype, unit):
    """Programs call back from threads that take subnormal numbers for zero."""
    rng = np.random.default_rng(0)
    layers = jax.tree.map(lambda array: (rng.integers(-3, 4, array.shape) * dtype(unit)).astype(dtype), LAYERS)
    expected = jg.count_regions(layers, BOX, kind="map")
    assert expected.count.max() > 5
    with jax.enable_x64(dtype == np.float64):
        assert_same(jax.jit(partial(count, kind="map"))(layers), expected)


@pytest.mark.parametrize("widths", [(), (0,), (0, 3)])
def test_without_hidden_units(widths):
    layers = jax.tree.map(np.zeros_like, population(3, widths))
    for way in (count, jax.vmap(count)):
        assert jax.jit(way)(layers).count.tolist() == [1, 1, 1]


def test_one_network_that_is_not_finite_is_marked(eager):
    found = jax.jit(count)(member(LAYERS, 2))
    assert (found.count, found.degenerate) == (-1, False)
    assert jax.jit(count)(member(LAYERS, 3)).count == eager.count[3]


def test_beside_a_gradient(eager):
    def loss(layers):
        hidden = jnp.tanh(jnp.ones(2) @ layers[0].kernel + layers[0].bias)
        return hidden.sum(), count(layers)

    one = member(LAYERS, 0)
    (_, found), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(one)
    assert found.count == eager.count[0]
    assert np.abs(gradient[0].kernel).max() > 0


def test_kept_while_fitting():
    data = jg.parity(2)
    model = jg.mlp((2, 5, 1), activation="relu")
    keep = lambda params: (jg.layers_of(params), count(jg.layers_of(params)))  # noqa: E731

    def fitted(key):
        return jg.fit(
            key, model, optax.sgd(0.3), jg.losses.squared_error, data, num_epochs=4, snapshot_every=2, keep=keep
        )

    fit = jg.fit_population(jax.random.split(jax.random.key(0), 3), fitted)
    layers, found = fit.snapshots
    np.testing.assert_array_equal(found.count, count(jax.tree.map(np.asarray, layers)).count)
    assert found.count.min() > 0


def test_exported_programs(eager):
    shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), LAYERS)
    safe = [jax.export.DisabledSafetyCheck.custom_call("jaxgeom_count")]
    exported = jax.export.export(jax.jit(lambda layers: tuple(count(layers))[:2]), disabled_checks=safe)(shapes)
    found = exported.call(LAYERS)
    np.testing.assert_array_equal(found[0], eager.count)
    np.testing.assert_array_equal(found[1], eager.degenerate)


SHARDED = """
import jax, numpy as np, jaxgeom as jg
from functools import partial
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
rng = np.random.default_rng(0)
layers = tuple(
    jg.Dense(rng.uniform(-1, 1, (8, a, b)).astype(np.float32), rng.uniform(-1, 1, (8, b)).astype(np.float32))
    for a, b in ((2, 6), (6, 5), (5, 1))
)
assert len(jax.devices()) == 2
mesh = Mesh(np.array(jax.devices()), ("n",))
for kind in ("activation", "map"):
    count = lambda layers: jg.count_regions(layers, jg.box(), kind=kind).count
    expected = count(layers)
    mapped = jax.jit(jax.shard_map(count, mesh=mesh, in_specs=P("n"), out_specs=P("n"), check_vma=False))(layers)
    placed = jax.device_put(layers, NamedSharding(mesh, P("n")))
    for found in (mapped, jax.jit(count)(placed), jax.jit(jax.vmap(count))(placed)):
        np.testing.assert_array_equal(found, expected)
print("equal")
"""


def test_two_devices(tmp_path):
    program = 'import os\nos.environ["XLA_FLAGS"] += " --xla_force_host_platform_device_count=2"\n' + SHARDED
    assert run_python(["-c", program], tmp_path).strip() == "equal"
