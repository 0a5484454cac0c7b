"""What users hand in and where they call from: keys, data, copies of models, transformations, forks, settings."""

import copy
import os
import pickle
import signal
import time
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgeom as jg
from jaxgeom.host.chunks import in_threads
from jaxgeom.host.inputs import as_array, as_key, as_keys

KEY = jax.random.key(7)
KEYS, OLD_KEYS = jax.random.split(KEY, 9), jax.random.split(jax.random.PRNGKey(7), 9)
RNG = np.random.default_rng(7)
X = RNG.normal(size=(10, 2)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)
DATA = jg.Dataset(jnp.asarray(X), jnp.asarray(Y))
MODEL = jg.mlp((2, 4, 1))
LOSS = jg.losses.binary_cross_entropy


def run(key, data=DATA, loss=LOSS, **options):
    return jg.fit(key, MODEL, optax.sgd(0.1), loss, data, num_epochs=2, **options)


def assert_same(actual, desired):
    assert jax.tree.structure(actual) == jax.tree.structure(desired)
    jax.tree.map(np.testing.assert_array_equal, actual, desired)


@pytest.mark.slow
def test_keys_of_the_old_style_are_the_same_keys():
    assert_same(jax.jit(run)(OLD_KEYS[0]), jax.jit(run)(KEYS[0]))
    assert_same(jg.fit_population(OLD_KEYS, run), jg.fit_population(KEYS, run))
    for function in (MODEL.init, jg.spirals, jg.datasets.moons, partial(jg.random_order, num_points=9)):
        assert_same(function(OLD_KEYS[1]), function(KEYS[1]))
    assert_same(jax.random.key_data(as_keys(np.asarray(OLD_KEYS))), np.asarray(OLD_KEYS))
    assert_same(jax.random.key_data(as_keys(list(KEYS))), np.asarray(OLD_KEYS))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("function", [as_key, MODEL.init, jg.spirals, run, partial(jg.random_order, num_points=9)])
def test_what_is_no_key_says_so(function):
    for wrong in (0, None, np.zeros(3, np.uint32), np.zeros(2), "seed"):
        with pytest.raises(TypeError, match=r"jax.random.key\(0\) is needed, but"):
            function(wrong)
    with pytest.raises(ValueError, match="9 were given"):
        function(KEYS)


@pytest.mark.usefixtures("unchecked")
def test_no_keys_at_all():
    for keys in (KEYS[:0], OLD_KEYS[:0], KEY, KEYS.reshape(3, 3)):
        with pytest.raises((ValueError, TypeError), match="at least one random key"):
            jg.fit_population(keys, run)
    # Under vmap, as everywhere in JAX, results of none are empty.
    assert jax.vmap(run)(KEYS[:0]).train_loss.shape == (0, 3)


class Tensor:
    """Looks like one of PyTorch's, with gradients, which NumPy refuses to convert."""

    def __init__(self, values):
        self.values = values

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.values


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        (X.tolist(), Y.tolist()),
        jg.Dataset(X.astype(">f4"), Y.astype(">i8")),
        jg.Dataset(Tensor(X), Tensor(Y[:, None])),
        jg.Dataset(X.astype(np.float64), Y.astype(bool)),
        jg.Dataset(X, 2 * Y[:, None] - 1.0),
    ],
    ids=["lists", "big endian", "tensors", "bool", "signs"],
)
@pytest.mark.usefixtures("unchecked")
def test_data_of_any_origin(data):
    expected = jax.jit(run)(KEY)
    assert_same(jax.jit(lambda key: run(key, data=data))(KEY).params, expected.params)
    lanes = jax.jit(jax.vmap(lambda key: run(key, data=data, accuracy=jg.losses.is_right)))(KEYS)
    np.testing.assert_allclose(lanes.train_loss, losses_of_lanes(), rtol=1e-6)


@cache
def losses_of_lanes():
    return jax.jit(jax.vmap(run))(KEYS).train_loss


@pytest.mark.usefixtures("unchecked")
def test_data_that_are_no_numbers():
    with pytest.raises(ValueError, match="rows of one length"):
        as_array("x", [[1.0], [1.0, 2.0]])
    for wrong in (["a"], [None], np.zeros(2, complex)):
        with pytest.raises(TypeError, match="x must be an array of bool, integers or real floats"):
            as_array("x", wrong)


@pytest.mark.usefixtures("unchecked")
def test_a_loss_of_ones_own_must_not_compare_all_with_all():
    with pytest.raises(ValueError, match="every output with every target"):
        run(KEY, loss=lambda outputs, targets: jnp.mean((outputs - targets) ** 2, axis=1))
    with pytest.raises(ValueError, match="one number a point"):
        run(KEY, loss=lambda outputs, targets: (outputs - targets) ** 2)
    with pytest.raises(ValueError, match="one number a point"):
        run(KEY, accuracy=lambda outputs, targets: (outputs > 0) == targets)
    with pytest.raises(ValueError, match="there is one output; use side_is_right"):
        run(KEY, accuracy=jg.losses.class_is_right)
    result = jax.jit(lambda key: run(key, loss=lambda outputs, targets: (outputs[:, 0] - targets) ** 2))(KEY)
    expected = jax.jit(lambda key: run(key, loss=jg.losses.squared_error))(KEY)
    np.testing.assert_allclose(result.train_loss, expected.train_loss, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("use_x64", [False, True])
def test_fit_under_map_and_vmap_of_scan_and_cond(use_x64):
    with jax.enable_x64(use_x64):
        data = jg.Dataset(X.astype(np.float64), Y)
        one = lambda key: run(key, data=data, record=None)  # noqa: E731
        expected = jax.jit(jax.vmap(one))(KEYS)
        mapped = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=4))(KEYS)
        assert jax.tree.structure(mapped) == jax.tree.structure(expected)

        def scanned(key, flag):
            return jax.lax.scan(lambda _, flag: (0, jax.lax.cond(flag, one, one, key)), 0, flag[None])[1]

        nested = jax.jit(jax.vmap(scanned))(KEYS, jnp.arange(9) % 2 == 0)
        nested = jax.tree.map(lambda leaf: leaf[:, 0], nested)
        for result in (mapped, nested):
            jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), result.params, expected.params)
        assert {leaf.dtype for leaf in jax.tree.leaves(expected.params)} == {np.dtype("float32")}


def linear_init(key):
    return {"w": jax.random.normal(key, (2, 1))}


@pytest.mark.parametrize("model", [MODEL, jg.mlp((2, 5, 1), widths=(3,), init="he")], ids=["mlp", "padded"])
def test_models_are_pickled_and_copied(model):
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        params = model.init(KEY)
        assert_same(twin.init(KEY), params)
        assert_same(twin.apply(params, X), model.apply(params, X))
        assert_same(twin.mask, model.mask)


def test_models_and_fits_print_in_a_few_lines():
    assert "2 → 4 relu → 1 linear; 17 parameters" in repr(MODEL)
    assert "2 → 4 relu → 1 linear; 17 parameters" in MODEL._repr_html_()
    twelve = jg.mlp((2, *(3,) * 11, 1))
    assert repr(twelve).count("→ 3 relu") == 11
    own = jg.Model(linear_init, lambda params, x: x @ params["w"])
    assert "(2, 1); 2 parameters" in repr(own)
    assert "layers unknown" in repr(own._replace(init=None))
    assert len(repr(jax.jit(run)(KEY)).splitlines()) < 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
@pytest.mark.filterwarnings("ignore")
def test_a_forked_process_gets_an_error_instead_of_silence():
    jnp.zeros(3).block_until_ready()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = []
        for function in (lambda: run(KEY), lambda: MODEL.init(KEY), lambda: jg.fit_population(KEYS, run)):
            try:
                function()
            except RuntimeError as error:
                said.append("spawn" in str(error))
        os.write(writer, str(said).encode())
        os._exit(0)
    deadline = time.monotonic() + 60
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            pytest.fail("the forked process is silent")
        time.sleep(0.05)
    assert os.read(reader, 99) == b"[True, True, True]"


def test_threads_find_the_settings_of_their_caller():
    with jax.debug_nans(True), jax.enable_x64(True), jax.numpy_rank_promotion("raise"):
        seen = in_threads([lambda: (jax.config.jax_debug_nans, jax.config.jax_enable_x64)])
        with pytest.raises(ValueError, match="rank"):
            in_threads([lambda: jnp.zeros((2, 2)) + jnp.zeros(2)])
    assert seen == [(True, True)]


@pytest.mark.parametrize("value", [0, -3, 2.5, 3.0, True, "3", np.float64(2), [1]], ids=repr)
def test_what_is_a_number_of_things_is_a_positive_integer(value, unchecked):
    layers = (jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), np.zeros(1)))
    population = jax.tree.map(lambda array: array[None], layers)
    square = jg.box(-1, 1)
    for name, call in {
        "dim": lambda: jg.box(-1, 1, dim=value),
        "max_regions": lambda: jg.enumerate_regions(layers, square, max_regions=value),
        "chunk_size": lambda: jg.count_regions(population, square, chunk_size=value),
        "capacity": lambda: jg.breakpoints(layers, [0.0, 0.0], [1.0, 1.0], capacity=value),
        "num_epochs": lambda: jg.fit(KEY, MODEL, optax.sgd(0.1), LOSS, DATA, num_epochs=value),
        "batch_size": lambda: jg.fit(KEY, MODEL, optax.sgd(0.1), LOSS, DATA, num_epochs=1, batch_size=value),
        "max_tries": lambda: jg.fit_until_solved(KEYS, run, max_tries=value),
    }.items():
        with pytest.raises(ValueError, match=f"{name} must be a positive integer, but "):
            call()
    assert jg.box(-1, 1, dim=np.int64(3)).low.shape == (3,)
