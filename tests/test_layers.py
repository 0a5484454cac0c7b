"""Networks as tuples of layers: forward against the reference, layers_of against the models they were read off."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import reference
from flax import linen, nnx

import jaxgeom
import jaxgeom as jg
from jaxgeom import Dense, forward, layers_of
from jaxgeom.networks.layers import check_finite, check_layers, first_nonfinite_layer, pad_widths
from jaxgeom.networks.models import ACTIVATIONS

KEY = jax.random.key(3)
X = np.random.default_rng(0).uniform(-1, 1, (30, 2)).astype(np.float32)


def network(seed, *widths, dtype=np.float64, leading=()):
    rng = np.random.default_rng(seed)
    return tuple(
        Dense(rng.uniform(-1, 1, (*leading, a, b)).astype(dtype), rng.uniform(-1, 1, (*leading, b)).astype(dtype))
        for a, b in itertools.pairwise(widths)
    )


def assert_same_arrays(a, b):
    for mine, theirs in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype


# forward


@pytest.mark.parametrize("widths", [(2, 1), (1, 3, 1), (3, 8, 2), (5, 7, 1, 6, 4)])
def test_forward_is_the_reference(widths):
    layers = network(1, *widths)
    x = np.random.default_rng(2).uniform(-1, 1, (17, widths[0]))
    output, pre_activations = reference.forward(layers, x)
    found = forward(layers, x)
    np.testing.assert_allclose(found.output, output, rtol=0, atol=1e-13)
    assert len(found.pre_activations) == len(found.activations) == len(widths) - 2
    for z, h, expected in zip(found.pre_activations, found.activations, pre_activations, strict=True):
        np.testing.assert_allclose(z, expected, rtol=0, atol=1e-13)
        np.testing.assert_array_equal(h, np.maximum(z, 0))


def test_forward_keeps_exact_zeros_inactive():
    layers = (Dense(np.array([[1.0, -1.0]]), np.array([-0.5, 0.5])), Dense(np.ones((2, 1)), np.zeros(1)))
    found = forward(layers, np.array([[0.5]]))
    np.testing.assert_array_equal(found.pre_activations[0], [[0, 0]])
    np.testing.assert_array_equal(found.activations[0], [[0, 0]])


@pytest.mark.parametrize("weights", [np.float32, np.float64])
@pytest.mark.parametrize("points", [np.float32, np.float64])
def test_forward_is_float64_if_weights_or_points_are(weights, points):
    found = forward(network(1, 2, 3, 1, dtype=weights), X.astype(points))
    expected = np.result_type(weights, points)
    assert {array.dtype for array in jax.tree.leaves(found)} == {expected}
    assert isinstance(found.output, jax.Array)


def test_forward_of_a_population_is_vmap():
    population = jax.tree.map(jnp.asarray, network(1, 2, 4, 1, dtype=np.float32, leading=(3,)))
    found = jax.jit(jax.vmap(lambda layers: forward(layers, jnp.asarray(X)).output))(population)
    for index in range(3):
        alone = forward(jax.tree.map(lambda array, index=index: array[index], population), X)
        np.testing.assert_allclose(found[index], alone.output, rtol=0, atol=1e-6)


# layers_of: parameters of mlp


def test_layers_of_an_mlp_are_its_arrays():
    params = parameters((2, 5, 4, 3), ("relu", "relu", "linear"))
    layers = layers_of(params)
    expected = tuple(Dense(params[name]["kernel"], params[name]["bias"]) for name in sorted(params))
    assert all(isinstance(layer, Dense) for layer in layers)
    assert_same_arrays(layers, expected)
    assert_same_arrays(layers_of({"params": params}), expected)


def test_layers_are_ordered_by_number_and_not_by_name():
    # dense10 sorts before dense2 among strings; all layers have the same shape, so shapes do not tell
    params = parameters((3,) * 13, ("relu",) * 11 + ("linear",))
    layers = layers_of(dict(sorted(params.items())))
    for index, layer in enumerate(layers):
        np.testing.assert_array_equal(
            layer.kernel, params[f"dense{index}_{'linear' if index == 11 else 'relu'}"]["kernel"]
        )


def parameters(features, activations, *, use_bias=True, leading=()):
    """Parameters of the MLP with these activations after its layers, float32, without compiling an initialisation."""
    rng = np.random.default_rng(4)
    params = {}
    for index, name in enumerate(activations):
        entry = params[f"dense{index}_{name}"] = {"kernel": (*leading, *features[index : index + 2])}
        if use_bias:
            entry["bias"] = (*leading, features[index + 1])
        params[f"dense{index}_{name}"] = {k: rng.uniform(-1, 1, v).astype(np.float32) for k, v in entry.items()}
    return params


@pytest.mark.slow
@pytest.mark.parametrize(
    ("features", "activations", "use_bias", "num_layers"),
    [
        ((2, 6, 1), ("relu", "linear"), False, 2),
        ((2, 4, 3, 1), ("linear", "linear", "linear"), True, 3),
        ((2, 6, 2, 5, 1), ("relu", "linear", "relu", "linear"), True, 4),
        ((2, 3, 5, 1), ("linear", "relu", "linear"), True, 3),
        ((2, 5, 3, 2), ("relu", "linear", "relu"), True, 4),
        ((2, 5, 3, 2), ("linear", "linear", "relu"), False, 4),
        ((2, 5, 3, 2), ("leaky_relu", "abs", "linear"), False, 3),
        ((2, 5, 3, 2), ("hard_tanh", "abs", "hard_tanh"), True, 4),
        ((2, 5, 3, 2), ("hard_tanh", "hard_tanh", "leaky_relu"), True, 4),
        ((2, 1), ("abs",), True, 2),
        ((2, 1), ("hard_tanh",), True, 2),
        ((2, 1), ("relu",), True, 2),
        ((2, 1), ("linear",), True, 1),
    ],
)
def test_layers_compute_what_the_model_computes(features, activations, use_bias, num_layers):
    *hidden, last = activations
    model = jaxgeom.mlp(features, activation=hidden, output_activation=last, use_bias=use_bias)
    params = parameters(features, activations, use_bias=use_bias)
    assert len(layers_of(params)) == num_layers
    found, expected = jax.jit(lambda params, x: (forward(layers_of(params), x).output, model.apply(params, x)))(
        params, X
    )
    # float32: some ten roundings of numbers up to 10
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_linear_layers_are_layers_of_slope_one():
    params = parameters((2, 6, 2, 5, 1), ("relu", "linear", "relu", "linear"))
    layers = layers_of(params)
    for layer, entry in zip(layers, params.values(), strict=True):
        assert_same_arrays((layer.kernel, layer.bias), (entry["kernel"], entry["bias"]))
    assert [layer.slope is None for layer in layers] == [True, False, True, True]
    np.testing.assert_array_equal(layers[1].slope, np.ones(2))


def test_slopes_are_those_of_the_activations():
    params = parameters((2, 3, 3, 3, 1), ("leaky_relu", "abs", "relu", "linear"), leading=(4, 2))
    slopes = [layer.slope for layer in layers_of(params)]
    np.testing.assert_array_equal(slopes[0], np.full((4, 2, 3), 0.01))
    np.testing.assert_array_equal(slopes[1], np.full((4, 2, 3), -1.0))
    assert slopes[2] is slopes[3] is None


each_kind = pytest.mark.parametrize(
    ("activations", "use_bias"),
    [
        (("relu", "relu", "linear"), True),
        (("relu", "linear", "linear"), True),
        (("relu", "relu", "relu"), False),
        (("relu", "linear", "relu"), True),
        (("abs", "hard_tanh", "leaky_relu"), True),
    ],
)


@each_kind
def test_layers_of_a_population_are_those_of_its_members(activations, use_bias):
    population = parameters((2, 4, 3, 2), activations, use_bias=use_bias, leading=(2, 3))
    layers = layers_of(population)
    for i, j in np.ndindex(2, 3):
        alone = layers_of(jax.tree.map(lambda array, i=i, j=j: array[i, j], population))
        member = jax.tree.map(lambda array, i=i, j=j: array[i, j], layers)
        for mine, theirs in zip(jax.tree.leaves(member), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-14)
            assert mine.dtype == theirs.dtype


@each_kind
def test_layers_of_under_jit(activations, use_bias):
    params = parameters((2, 4, 3, 2), activations, use_bias=use_bias)
    compiled, plain = jax.jit(layers_of)(params), layers_of(params)
    assert jax.tree.structure(compiled) == jax.tree.structure(plain)
    for mine, theirs in zip(compiled, plain, strict=True):
        for array, expected in ((mine.kernel, theirs.kernel), (mine.bias, theirs.bias)):
            np.testing.assert_allclose(array, expected, rtol=0, atol=1e-14)
            assert array.dtype == expected.dtype
        if theirs.slope is not None:  # which leave a compiled function in float32
            np.testing.assert_allclose(mine.slope, theirs.slope, rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_bias_is_a_bias_of_zeros_of_the_same_dtype(dtype):
    kernels = [np.ones((2, 3), dtype), np.ones((3, 1), dtype)]
    layers = layers_of({"dense0_relu": {"kernel": kernels[0]}, "dense1_linear": {"kernel": kernels[1]}})
    for layer, kernel in zip(layers, kernels, strict=True):
        np.testing.assert_array_equal(layer.kernel, kernel)
        np.testing.assert_array_equal(layer.bias, np.zeros(kernel.shape[1]))
        assert layer.kernel.dtype == layer.bias.dtype == dtype


def test_other_activations_are_refused_with_a_way_out():
    with pytest.raises(ValueError, match=r"'dense0_tanh' is followed by tanh.*Use grid_regions"):
        layers_of(parameters((2, 4, 1), ("tanh", "linear")))
    with pytest.raises(ValueError, match=r"maxout halves .* layer 0 has 4 and the next one takes 4 inputs"):
        layers_of(parameters((2, 4, 1), ("maxout", "linear")))
    with pytest.raises(ValueError, match=r"'dense1_sigmoid' is followed by sigmoid.*Use grid_regions"):
        layers_of(parameters((2, 4, 1), ("relu", "sigmoid")))


# layers_of: pairs and foreign modules


def test_pairs_are_layers_with_relu_between():
    layers = network(1, 2, 3, 1)
    for params in (layers, list(layers), tuple(map(tuple, layers)), [list(layer) for layer in layers]):
        assert_same_arrays(layers_of(params), layers)
        assert all(isinstance(layer, Dense) for layer in layers_of(params))


class CalledInAnotherOrder(linen.Module):
    """Flax numbers Dense_0 and Dense_1 as they are made, which is not how they are called."""

    @linen.compact
    def __call__(self, x):
        last, first = linen.Dense(1), linen.Dense(4, use_bias=False)
        last(jnp.zeros((1, 4)))
        return last(linen.relu(first(x)))


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.inner, self.outer = nnx.Linear(2, 4, rngs=rngs), nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, x):
        return self.outer(nnx.relu(self.inner(x)))


def test_foreign_modules_need_the_order():
    module = CalledInAnotherOrder()
    params = module.init(KEY, X)
    with pytest.raises(ValueError, match=r"modules are named \['Dense_0', 'Dense_1'\].*order=\("):
        layers_of(params)
    with pytest.raises(ValueError, match="an order alone"):
        layers_of(params, order=("Dense_1", "Dense_0"))
    layers = layers_of(params, order=("Dense_1", "Dense_0"), model=module)
    np.testing.assert_allclose(forward(layers, X).output, module.apply(params, X), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(layers[0].bias, np.zeros(4))
    model = jaxgeom.from_nnx(lambda rngs: NnxNet(rngs))
    params = model.init(KEY)
    with pytest.raises(ValueError, match="order="):
        layers_of(params)
    found = forward(layers_of(params, order=["inner", "outer"], model=model), X).output
    np.testing.assert_allclose(found, model.apply(params, jnp.asarray(X)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("order", [("Dense_0",), ("Dense_0", "Dense_0"), ("Dense_0", "Dense_2"), ()])
def test_order_must_name_every_layer_once(order):
    params = {f"Dense_{i}": {"kernel": np.zeros((2, 2)), "bias": np.zeros(2)} for i in range(2)}
    with pytest.raises(ValueError, match=r"order must name each of the layers \['Dense_0', 'Dense_1'\] once"):
        layers_of(params, order=order)


@pytest.mark.parametrize("order", [None, ("dense0_linear",)])
@pytest.mark.parametrize(
    "entry",
    [
        {"scale": np.ones(2)},
        {"kernel": np.ones((2, 2)), "scale": np.ones(2)},
        {"kernel": np.ones(2), "bias": np.ones(2)},
        {"dense1_relu": {"kernel": np.ones((2, 2))}},
        np.ones(2),
    ],
)
def test_modules_that_are_not_affine_layers_are_refused(entry, order):
    with pytest.raises(ValueError, match=r"'dense0_linear' holds .* instead of kernel and bias.*order="):
        layers_of({"dense0_linear": entry}, order=order)


@pytest.mark.parametrize("params", [{}, "dense0_relu", None, np.ones((2, 2)), {"params": {}}, {"params": None}])
def test_other_things_than_parameters_are_refused(params):
    with pytest.raises(ValueError, match=r"not the parameters of a jaxgeom.mlp: a \w+ was given"):
        layers_of(params)


# Padding


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_zero_units_change_no_output(leading):
    layers = network(5, 2, 5, 4, 3, leading=leading)
    padded = pad_widths(layers, (8, 4))
    assert [layer.kernel.shape for layer in padded] == [(*leading, 2, 8), (*leading, 8, 4), (*leading, 4, 3)]
    check_layers(padded, dim=2)
    for index in np.ndindex(leading):
        member, wide = (jax.tree.map(lambda array, index=index: array[index], tree) for tree in (layers, padded))
        output, (first, second) = reference.forward(wide, X)
        np.testing.assert_allclose(output, reference.forward(member, X)[0], rtol=0, atol=1e-14)
        np.testing.assert_array_equal(first[:, 5:], np.zeros((30, 3)))
        np.testing.assert_allclose(second, reference.forward(member, X)[1][1], rtol=0, atol=1e-14)
    assert_same_arrays(pad_widths(layers, (5, 4)), layers)


# Checks of shapes and values


@pytest.mark.parametrize("layers", [(), [], {}, {"dense0_relu": 1}, np.ones((2, 2)), None, "ab"])
def test_networks_are_tuples(layers):
    with pytest.raises(TypeError, match=r"a network is a tuple of jaxgeom.Dense.*layers_of\(params\)"):
        check_layers(layers)


def test_what_has_layers_is_answered_with_where_they_are():
    model = jg.mlp((2, 3, 1))
    run = jg.fit(jax.random.key(0), model, optax.sgd(0.1), jg.losses.squared_error, jg.parity(2), num_epochs=1)
    layers = jg.layers_of(run.params)
    complex_ = jg.enumerate_regions(layers, jg.box(-1, 1))
    for given, remedy in [
        (run, r"A Fit has parameters: give jaxgeom\.layers_of\(….params\)"),
        (complex_, r"A PlanarComplex has them: give its \.layers"),
        (jg.mlp((2, 1)), r"A Model holds no parameters: params = model\.init\(key\)"),
        (layers[0], r"one layer; .* \(layer,\)"),
    ]:
        with pytest.raises(TypeError, match=remedy):
            check_layers(given)
        with pytest.raises(TypeError, match=remedy):
            jg.layers_of(given)
    with pytest.raises(TypeError, match="but an empty tuple was given"):
        check_layers(())
    check_layers(jg.layers_of(run.params))  # the remedies work
    check_layers(complex_.layers)
    check_layers((jg.Dense(np.ones((2, 2)), np.ones(2)),))


@pytest.mark.parametrize(
    "layers", [(np.ones((2, 2)),), ((np.ones((2, 2)),),), Dense(np.ones((2, 2)), np.ones(2)), ("ab",)]
)
def test_layers_are_pairs(layers):
    with pytest.raises(TypeError, match=r"every layer must be a jaxgeom\.Dense"):
        check_layers(layers)


@pytest.mark.parametrize(
    ("kernel", "bias"),
    [((2, 3), (2,)), ((2, 3), ()), ((3,), (3,)), ((2, 3), (1, 3)), ((4, 2, 3), (3,)), ((4, 2, 3), (5, 3)), ((), ())],
)
def test_kernel_and_bias_must_fit(kernel, bias):
    with pytest.raises(ValueError, match=r"layer 0 has a kernel of shape .* and a bias of shape"):
        check_layers(((np.zeros(kernel), np.zeros(bias)),))


def test_layers_must_fit_each_other_and_the_domain():
    first, second = network(1, 2, 3, 1)
    with pytest.raises(ValueError, match="layer 1 takes 2 inputs, but what comes before it has 3 dimensions"):
        check_layers((first, first))
    with pytest.raises(ValueError, match="layer 0 takes 2 inputs, but what comes before it has 3 dimensions"):
        check_layers((first, second), dim=3)
    with pytest.raises(ValueError, match=r"layer 1 has a kernel .* same leading axes"):
        check_layers((first, Dense(second.kernel[None], second.bias[None])))
    assert_same_arrays(check_layers([first, second], dim=2), (first, second))
    check_layers(network(1, 2, 3, 1, leading=(4, 5)), dim=2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("part", [0, 1])
def test_the_first_layer_that_is_not_finite_is_named(bad, layer, part):
    layers = network(1, 2, 3, 3, 1)
    assert first_nonfinite_layer(layers) is None
    check_finite(layers)
    layers[layer][part][..., -1] = bad
    layers[2].bias[0] = np.nan
    assert first_nonfinite_layer(layers) == layer
    with pytest.raises(ValueError, match=f"layer {layer} of the network has NaN or infinite weights"):
        check_finite(layers)


def test_tracers_count_as_finite():
    def traced(layers):
        check_finite(layers)
        return layers[0].bias

    assert np.isnan(jax.jit(traced)(jax.tree.map(lambda array: array * np.nan, network(1, 2, 3, 1)))).all()


class Network(linen.Module):
    """Three affine layers, with activations and connections between them that parameters do not show."""

    activation: object = linen.relu
    is_residual: bool = False

    @linen.compact
    def __call__(self, x):
        h = self.activation(linen.Dense(6)(x))
        z = self.activation(linen.Dense(6)(h))
        return linen.Dense(2)(z + h if self.is_residual else z)


NAMES = ("Dense_0", "Dense_1", "Dense_2")


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_layers_in_order_are_those_of_the_model(scale):
    model = jaxgeom.from_linen(Network(), X)
    params = jax.tree.map(lambda array: scale * array, jax.vmap(model.init)(jax.random.split(KEY, 3)))
    layers = layers_of(params, order=NAMES, model=model)
    np.testing.assert_array_equal(layers[1].kernel, params["Dense_1"]["kernel"])
    layers_of(params, order=NAMES, model=model.apply)
    layers_of({"params": jax.tree.map(lambda a: a[0], params)}, order=NAMES, model=Network())


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-3, 1.0])
@pytest.mark.parametrize(
    ("activation", "is_residual"),
    [
        (linen.relu, True),
        (jnp.tanh, False),
        (linen.gelu, False),
        (linen.leaky_relu, False),
        (linen.elu, False),
        (jnp.abs, False),
        (jax.nn.relu6, False),
    ],
)
def test_other_networks_than_relu_layers_in_order_are_refused(activation, is_residual, scale):
    model = jaxgeom.from_linen(Network(activation, is_residual), X)
    params = jax.tree.map(lambda array: scale * array, model.init(KEY))
    if activation is jax.nn.relu6:
        params = jax.tree.map(lambda array: array / scale, params)  # others never come to 6
    with pytest.raises(ValueError, match="not what the model computes"):
        layers_of(params, order=NAMES, model=model)


def test_layers_in_another_order_or_of_another_model_are_refused():
    square = {f"Dense_{i}": {"kernel": np.eye(2) + i, "bias": np.ones(2)} for i in range(2)}

    def apply(params, x):
        h = jax.nn.relu(x @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"])
        return h @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]

    layers_of(square, order=("Dense_1", "Dense_0"), model=apply)
    with pytest.raises(ValueError, match="not what the model computes"):
        layers_of(square, order=("Dense_0", "Dense_1"), model=apply)
    with pytest.raises(ValueError, match="the model maps points of shape"):
        layers_of(square, order=("Dense_0", "Dense_1"), model=lambda params, x: x[:, :1])


def test_derivatives_at_kinks_are_those_of_the_inactive_side():
    one = (Dense(np.array([[1.0]]), np.zeros(1)), Dense(np.array([[1.0]]), np.zeros(1)))
    points = np.array([[-1.0], [0.0], [1.0]])
    found = jaxgeom.grid_regions(lambda x: forward(one, x).output, points)
    assert int(found.num_maps) == int(jaxgeom.grid_regions(one, points).num_maps) == 2
    slopes = {"relu": (0.0, 1.0), "leaky_relu": (0.01, 1.0), "abs": (-1.0, 1.0)}
    for name, (below, above) in slopes.items():
        derivative = jax.vmap(jax.grad(ACTIVATIONS[name]))(jnp.array([-2.0, -0.0, 0.0, 1e-30, 2.0]))
        np.testing.assert_allclose(derivative, [below, below, below, above, above], rtol=1e-6)
    derivative = jax.vmap(jax.grad(ACTIVATIONS["hard_tanh"]))(jnp.array([-2.0, -1.0, -0.5, 0.0, 1.0, 2.0]))
    np.testing.assert_array_equal(derivative, [0, 0, 1, 1, 1, 0])  # of relu(z + 1) - relu(z - 1) - 1
    values = ACTIVATIONS["hard_tanh"](jnp.array([-2.0, -1.0, -0.5, 0.0, 1.0, 2.0]))
    np.testing.assert_array_equal(values, [-1, -1, -0.5, 0, 1, 1])


@pytest.mark.parametrize("points", [np.zeros((3, 3)), np.zeros(2)])
def test_forward_refuses_points_of_another_dimension(unchecked, points):
    with pytest.raises(ValueError, match=r"layer 0 takes 2 inputs|points of shape"):
        forward((Dense(np.ones((2, 1)), np.zeros(1)),), points)
