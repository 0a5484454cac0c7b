"""Models against NumPy in float64, initialisations against their distributions, adapters against their modules."""

import math
from functools import cache, partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from jaxgeom import fit, from_linen, from_nnx, he_init, hidden_states, mlp
from jaxgeom.data.datasets import Dataset
from jaxgeom.data.losses import squared_error
from jaxgeom.networks.models import ACTIVATIONS, INITIALIZERS, Initializer, small_product

KEY = jax.random.key(11)
EPS = float(np.finfo(np.float32).eps)
# 4 standard errors, two-sided, and the Kolmogorov-Smirnov statistic that is as rare: 2 exp(-2 n d²) = erfc(4 / √2).
SIGMAS = 4
RARE_KS = math.sqrt(math.log(2 / math.erfc(SIGMAS / math.sqrt(2))) / 2)

sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
NUMPY = {
    "linear": lambda z: z,
    "relu": lambda z: np.where(z > 0, z, 0),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "abs": np.abs,
    "hard_tanh": lambda z: np.clip(z, -1, 1),
    "maxout": lambda z: np.maximum(*np.split(z, 2, axis=1)),
    "elu": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "gelu": lambda z: z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "sin": np.sin,
}


X = jnp.asarray(np.random.default_rng(3).normal(size=(20, 2)), jnp.float32)


def double(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def numpy_states(params, x, activations):
    """(pre-activation, activation) of every layer, in float64."""
    states, x = [], np.asarray(x, np.float64)
    layers = [double(params[name]) for name in sorted(params)]  # names sort by their index below 10 layers
    for layer, activation in zip(layers, activations, strict=True):
        z = x @ layer["kernel"] + layer.get("bias", 0)
        x = NUMPY[activation](z)
        states.append((z, x))
    return states


def assert_rounding(actual, desired, num_ops):
    """Equal up to ``num_ops`` roundings to float32 of numbers as large as the largest."""
    scale = max(1.0, float(np.max(np.abs(desired))))
    np.testing.assert_allclose(np.asarray(actual, np.float64), desired, rtol=0, atol=num_ops * EPS * scale)


def evaluated(model, x=X):
    """Parameters of one network, and its outputs."""
    return jax.jit(lambda x: (params := model.init(KEY), model.apply(params, x)))(x)


def shapes(params):
    return jax.tree.map(lambda leaf: leaf.shape, params)


def affine(num_in, num_out):
    return {"kernel": (num_in, num_out), "bias": (num_out,)}


# Shapes, names, values


@pytest.mark.parametrize(
    ("features", "options", "expected"),
    [
        ((2, 3), {}, {"dense0_linear": affine(2, 3)}),
        (
            (2, 10, 10, 3),
            {},
            {"dense0_relu": affine(2, 10), "dense1_relu": affine(10, 10), "dense2_linear": affine(10, 3)},
        ),
        (
            [2, 10, 2, 10, 2, 3],
            {"activation": ("relu", "linear", "relu", "linear")},
            {
                "dense0_relu": affine(2, 10),
                "dense1_linear": affine(10, 2),
                "dense2_relu": affine(2, 10),
                "dense3_linear": affine(10, 2),
                "dense4_linear": affine(2, 3),
            },
        ),
        (
            (1, 4, 1),
            {"activation": "tanh", "output_activation": "sigmoid", "use_bias": False},
            {"dense0_tanh": {"kernel": (1, 4)}, "dense1_sigmoid": {"kernel": (4, 1)}},
        ),
    ],
    ids=["one layer", "deep", "bottlenecks", "no bias"],
)
def test_parameters_describe_themselves(features, options, expected):
    model = mlp(features, **options)
    params = jax.eval_shape(model.init, KEY)
    assert shapes(params) == expected
    chex.assert_type(jax.tree.leaves(params), jnp.float32)
    outputs = jax.eval_shape(model.apply, params, jnp.ones((6, features[0])))
    assert (outputs.shape, outputs.dtype) == ((6, features[-1]), jnp.float32)


def test_all_activations_have_a_numpy_twin():
    assert set(NUMPY) == set(ACTIVATIONS)


@cache
def networks_of_all_activations():
    # Widths on both sides of the limit for tiny products (4), and large enough inputs to saturate. One program for all.
    models = {name: mlp((2, 6, 5, 2), activation=name, output_activation=name) for name in ACTIVATIONS}
    drawn = jax.jit(lambda: {name: models[name].init(KEY) for name in ("relu", "maxout")})()
    layers = {name: list(drawn["maxout" if name == "maxout" else "relu"].values()) for name in models}

    def apply(x):
        return {
            name: model.apply({f"dense{i}_{name}": layer for i, layer in enumerate(layers[name])}, x)
            for name, model in models.items()
        }

    return layers, jax.jit(apply)(4 * X)


@pytest.mark.parametrize("name", NUMPY)
def test_forward_is_numpys(name):
    layers, outputs = networks_of_all_activations()
    expected = numpy_states(dict(enumerate(layers[name])), 4 * X, [name] * 3)[-1][1]
    assert_rounding(outputs[name], expected, num_ops=3 * (6 + 4))


def test_every_layer_has_the_activation_it_was_given():
    activations = ("tanh", "linear", "abs", "sin")
    params, outputs = evaluated(mlp((2, 5, 2, 3, 6, 1), activation=activations, output_activation="softplus"))
    expected = numpy_states(params, X, (*activations, "softplus"))
    assert_rounding(outputs, expected[-1][1], num_ops=5 * (6 + 4))


def test_hidden_states_are_numpys_and_end_in_the_output():
    activations = ("relu", "linear", "maxout", "sigmoid")
    params, outputs = evaluated(mlp((2, 7, 2, 6, 3), activation=activations[:-1], output_activation=activations[-1]))
    states = hidden_states(params, X)
    assert len(states) == len(activations)
    for state, (z, a) in zip(states, numpy_states(params, X, activations), strict=True):
        assert_rounding(state.pre_activation, z, num_ops=4 * (7 + 4))
        assert_rounding(state.activation, a, num_ops=4 * (7 + 4))
    assert_rounding(states[-1].activation, double(outputs), num_ops=4 * (7 + 4))


def test_no_biases():
    params, outputs = evaluated(mlp((2, 3, 2), use_bias=False))
    (first, _), (second, _) = numpy_states(params, X, ("relu", "linear"))
    states = hidden_states(params, X)
    assert_rounding(states[0].pre_activation, first, num_ops=4)
    assert_rounding(states[1].pre_activation, second, num_ops=10)
    assert_rounding(outputs, second, num_ops=10)


def test_layers_are_read_in_their_order_beyond_ten():
    # As text, dense10 comes before dense2.
    rng, widths = np.random.default_rng(6), [2, *[3] * 11]
    params = {
        f"dense{i}_linear": {"kernel": jnp.asarray(rng.normal(size=widths[i : i + 2]) / 2, jnp.float32)}
        for i in range(11)
    }
    product = np.linalg.multi_dot([double(params[f"dense{i}_linear"]["kernel"]) for i in range(11)])
    for order in (params, dict(sorted(params.items())), dict(reversed(params.items()))):
        states = hidden_states(order, X)
        assert len(states) == 11
        assert_rounding(states[-1].activation, double(X) @ product, num_ops=11 * 4)


@pytest.mark.parametrize(("num_in", "num_out"), [(2, 20), (20, 1), (4, 4), (1, 1), (5, 5), (20, 30), (30, 4)])
def test_tiny_products_are_products(num_in, num_out):
    rng = np.random.default_rng(4)
    x, kernel = (rng.normal(size=shape).astype(np.float32) for shape in ((9, num_in), (num_in, num_out)))

    @jax.jit
    def product_and_gradients(x, kernel):
        product, pull = jax.vjp(small_product, x, kernel)
        return product, *pull(jnp.ones_like(product))

    product, of_x, of_kernel = product_and_gradients(x, kernel)
    assert_rounding(product, double(x) @ double(kernel), num_ops=num_in)
    assert_rounding(of_x, np.ones((9, num_out)) @ double(kernel).T, num_ops=num_out)
    assert_rounding(of_kernel, double(x).T @ np.ones((9, num_out)), num_ops=9)


# Initialisation


def assert_distributed(sample, cdf):
    """Kolmogorov-Smirnov, at 4 standard errors."""
    sample = np.sort(np.asarray(sample, np.float64).ravel())
    n, expected = len(sample), cdf(sample)
    distance = max(np.max(np.arange(1, n + 1) / n - expected), np.max(expected - np.arange(n) / n))
    assert distance < RARE_KS / math.sqrt(n)


def normal_cdf(z):
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z])


def population_of(features, num_networks=1000, **options):
    keys = jax.random.split(KEY, num_networks)
    return list(jax.tree.map(np.asarray, jax.jit(jax.vmap(mlp(features, **options).init))(keys)).values())


def test_pytorch_is_uniform_within_one_over_root_fan_in():
    for fan_in, layer in zip((3, 7), population_of((3, 7, 2)), strict=True):
        bound = fan_in**-0.5
        for array in layer.values():
            assert np.abs(array).max() <= np.float32(bound)
            assert_distributed(array, lambda values, bound=bound: (values / bound + 1) / 2)


def test_flax_is_lecun_normal_with_zero_biases():
    # A normal truncated at 2 standard deviations, then scaled to variance 1 / fan_in.
    mass = math.erf(2 / math.sqrt(2))
    z = np.linspace(-2, 2, 100001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) / mass
    variance, fourth = (np.trapezoid(z**power * density, z) for power in (2, 4))
    for fan_in, layer in zip((3, 7), population_of((3, 7, 2), init="flax"), strict=True):
        assert not layer["bias"].any()
        weights = np.asarray(layer["kernel"], np.float64).ravel()
        spread = fan_in**-0.5 / math.sqrt(variance)
        standard_error = spread**2 * math.sqrt((fourth - variance**2) / len(weights))
        assert abs(np.mean(weights**2) - 1 / fan_in) < SIGMAS * standard_error
        assert_distributed(weights, lambda w, spread=spread: 0.5 + (normal_cdf(w / spread) - 0.5) / mass)
        assert np.abs(weights).max() <= 2 * spread * (1 + 4 * EPS)


@pytest.mark.parametrize("bias_scale", [0.0, 0.3])
def test_he_is_normal_of_variance_two_over_fan_in(bias_scale):
    init = he_init(bias_scale) if bias_scale else "he"
    for fan_in, layer in zip((3, 7), population_of((3, 7, 2), init=init), strict=True):
        assert_distributed(layer["kernel"], lambda w, fan_in=fan_in: normal_cdf(w / math.sqrt(2 / fan_in)))
        # The variance of a normal's square is 2: much sharper than the whole distribution.
        square = np.mean(np.asarray(layer["kernel"], np.float64) ** 2) * fan_in / 2
        assert abs(square - 1) < SIGMAS * math.sqrt(2 / layer["kernel"].size)
        if bias_scale:
            assert_distributed(layer["bias"], lambda b: normal_cdf(b / bias_scale))
        else:
            assert not layer["bias"].any()


def test_all_parameters_are_drawn_independently():
    # Fan-ins are equal, so that reused keys would show as equal numbers.
    layers = population_of((4, 4, 4))
    table = np.concatenate([array.reshape(1000, -1) for layer in layers for array in layer.values()], axis=1)
    correlation = np.corrcoef(table.T) - np.eye(table.shape[1])
    # 4 standard errors for one pair; Bonferroni's correction for all pairs adds less than 2.
    assert np.abs(correlation).max() < (SIGMAS + 2) / math.sqrt(1000)


@pytest.mark.parametrize("init", INITIALIZERS)
def test_vmap_of_init_is_a_loop(init):
    model = mlp((2, 5, 3), init=init)
    keys = jax.random.split(KEY, 4)
    one = jax.jit(model.init)
    looped = jax.tree.map(lambda *leaves: np.stack(leaves), *[one(key) for key in keys])
    mapped = jax.jit(jax.vmap(model.init))(keys)
    # Uniform numbers are scaled and shifted: two roundings of numbers below 2.
    chex.assert_trees_all_close(mapped, looped, rtol=2 * EPS, atol=2 * EPS)
    assert len(np.unique(mapped["dense0_relu"]["kernel"])) == 4 * 2 * 5


def test_an_initialiser_of_ones_own():
    init = Initializer(lambda key, shape: jnp.ones(shape), lambda fan_in: fan_in, lambda fan_in: fan_in / 2)
    params = mlp((2, 7, 3), init=init).init(KEY)
    for fan_in, layer in zip((2, 7), params.values(), strict=True):
        assert (layer["kernel"] == fan_in).all()
        assert (layer["bias"] == fan_in / 2).all()


def test_one_trace_serves_all_networks():
    model = mlp((2, 5, 1))
    init = jax.jit(chex.assert_max_traces(model.init, n=1))
    apply = jax.jit(chex.assert_max_traces(model.apply, n=1))
    outputs = [apply(init(key), jnp.ones((3, 2))) for key in jax.random.split(KEY, 3)]
    assert len(np.unique(outputs)) == 3


# Flax modules


class LinenNet(linen.Module):
    # The second layer is created first: names follow creation, not the order of the calls.
    @linen.compact
    def __call__(self, x):
        return linen.Dense(1)(jnp.tanh(linen.Dense(5)(x)))


class LinenBatchNorm(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.BatchNorm(use_running_average=False)(linen.Dense(1)(x))


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(2, 5, rngs=rngs), nnx.Linear(5, 1, rngs=rngs)])

    def __call__(self, x):
        return self.layers[1](jnp.tanh(self.layers[0](x)))


def linen_twin():
    module = LinenNet()
    return from_linen(module, X), lambda key: partial(module.apply, module.init(key, X))


def nnx_twin():
    return from_nnx(NnxNet), lambda key: NnxNet(nnx.Rngs(key))


each_adapter = pytest.mark.parametrize("twin", [linen_twin, nnx_twin])


@each_adapter
def test_adapters_give_the_modules_own_outputs(twin):
    model, own = twin()
    keys = jax.random.split(KEY, 3)
    np.testing.assert_array_equal(model.apply(model.init(keys[0]), X), own(keys[0])(X))
    population, outputs = jax.jit(jax.vmap(lambda key: (params := model.init(key), model.apply(params, X))))(keys)
    for output, key in zip(outputs, keys, strict=True):
        assert_rounding(output, double(own(key)(X)), num_ops=2 * (5 + 4))
    assert len(np.unique(outputs[:, 0])) == 3
    assert shapes(population) == jax.tree.map(lambda leaf: (3, *leaf.shape), model.init(KEY))


@pytest.mark.slow
@each_adapter
def test_adapters_can_be_trained(twin):
    model, _ = twin()
    data = Dataset(X, X[:, :1] * X[:, 1:])
    run = partial(fit, model=model, optimizer=optax.adam(0.05), loss=squared_error, train=data, num_epochs=100)
    result = jax.jit(jax.vmap(run))(jax.random.split(KEY, 3))
    assert (result.train_loss[:, -1] < 0.5 * result.train_loss[:, 0]).all()
    outputs = jax.jit(jax.vmap(model.apply, (0, None)))(result.params, X)
    losses = np.mean((double(outputs) - double(data.y)) ** 2, axis=(1, 2))
    assert_rounding(result.train_loss[:, -1], losses, num_ops=20 + 2 * (5 + 4))


@each_adapter
def test_adapters_leave_the_parameters_they_get_alone(twin):
    model, _ = twin()
    params = model.init(KEY)
    before = double(params)
    model.apply(jax.tree.map(lambda leaf: 2 * leaf, params), X)
    chex.assert_trees_all_equal(double(params), before)
    chex.assert_trees_all_equal(double(model.init(KEY)), before)


def test_state_besides_parameters_is_refused():
    with pytest.raises(ValueError, match="batch_stats"):
        from_linen(LinenBatchNorm(), X)
    with pytest.raises(ValueError, match="besides its parameters"):
        from_nnx(lambda rngs: nnx.Sequential(nnx.Linear(2, 3, rngs=rngs), nnx.BatchNorm(3, rngs=rngs)))
    with pytest.raises(ValueError, match="besides its parameters"):
        from_nnx(lambda rngs: nnx.Sequential(nnx.Linear(2, 3, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)))


# Errors


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        ((), {}, "at least two"),
        ((2,), {}, "at least two"),
        ((2, 0, 1), {}, r"\(2, 0, 1\)"),
        ((2, -3, 1), {}, r"\(2, -3, 1\)"),
        ((2, 2.5, 1), {}, "2.5"),
        ((2, 3, 1), {"activation": ("relu", "relu")}, "1 hidden layers"),
        ((2, 3, 3, 1), {"activation": ("relu",)}, "2 hidden layers"),
        ((2, 3, 1), {"activation": ()}, "1 hidden layers"),
    ],
)
def test_impossible_architectures(features, options, message):
    with pytest.raises(ValueError, match=message):
        mlp(features, **options)


def test_functions_are_no_activations_but_names_are(unchecked):
    with pytest.raises(TypeError, match=r"custom_jvp was given. Names are relu, linear, tanh,"):
        mlp((2, 3, 1), activation=jax.nn.relu)


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"activation": "rleu"}, ACTIVATIONS),
        ({"activation": ("rleu",)}, ACTIVATIONS),
        ({"output_activation": "rleu"}, ACTIVATIONS),
        ({"init": "rleu"}, INITIALIZERS),
    ],
)
def test_unknown_names_list_the_known_ones(options, known):
    with pytest.raises(ValueError, match="'rleu'") as error:
        mlp((2, 3, 1), **options)
    assert all(name in str(error.value) for name in known)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("params", [{}, {"Dense_0": {"kernel": jnp.ones((2, 1))}}, {"dense0_relu": jnp.ones(3)}, None])
def test_hidden_states_of_something_else(params):
    with pytest.raises(ValueError, match="mlp"):
        hidden_states(params, X)


def test_hidden_states_of_a_population_are_arrays_all_the_way() -> None:
    model = mlp((2, 3, 1))
    population = jax.vmap(model.init)(jax.random.split(jax.random.key(0), 4))
    x = jnp.ones((5, 2))
    states = jax.jit(jax.vmap(hidden_states, in_axes=(0, None)))(population, x)
    assert [state.activation.shape for state in states] == [(4, 5, 3), (4, 5, 1)]
    outputs = jax.vmap(model.apply, in_axes=(0, None))(population, x)
    np.testing.assert_allclose(states[-1].activation, outputs, rtol=1e-5)


def test_unknown_activation_in_a_layer_name_is_named() -> None:
    with pytest.raises(ValueError, match="activation must be one of linear"):
        hidden_states({"dense0_foo": {"kernel": jnp.ones((2, 1)), "bias": jnp.ones(1)}}, jnp.ones((5, 2)))
