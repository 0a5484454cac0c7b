"""Maxout networks: trained, padded, counted and studied like all others, against NumPy and rational arithmetic."""

from fractions import Fraction
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import reference
from complexes import complex_of

import jaxgeom as jg
from jaxgeom.__main__ import main
from jaxgeom.analysis.embeddings import hyperplanes, step_output, thresholds
from jaxgeom.data.losses import squared_error
from jaxgeom.networks.models import INITIALIZERS
from jaxgeom.recipes.stretch import experiment as stretch

KEY = jax.random.key(5)
EPS = float(np.finfo(np.float32).eps)
SQUARE = jg.box()
CORNERS = jg.polygon_vertices(SQUARE)
DATA = jg.parity(2)
X = np.random.default_rng(0).uniform(-1, 1, (60, 2))


def maxout(params, x):
    """A network in float64, whose hidden units are the larger ones of two pieces."""
    x = np.asarray(x, np.float64)
    for name in sorted(params):
        layer = {part: np.asarray(array, np.float64) for part, array in params[name].items()}
        x = x @ layer["kernel"] + layer.get("bias", 0)
        if name.endswith("maxout"):
            half = x.shape[1] // 2
            x = np.where(x[:, :half] > x[:, half:], x[:, :half], x[:, half:])
    return x


def rational_count(params, corners=CORNERS):
    """Regions by cutting polygons in fractions: where two pieces are equal, one after the other, and layer by layer."""
    exact = [[[Fraction(float(w)) for w in row] for row in np.asarray(params[n]["kernel"])] for n in sorted(params)]
    biases = [[Fraction(float(b)) for b in np.asarray(params[n]["bias"])] for n in sorted(params)]
    square = [tuple(map(Fraction, corner)) for corner in corners.tolist()]
    # polygons with the values of the last layer of units, as affine functions (a, b, c) of the plane
    cells = [(square, [(Fraction(1), Fraction(0), Fraction(0)), (Fraction(0), Fraction(1), Fraction(0))])]
    for kernel, bias in zip(exact[:-1], biases[:-1], strict=True):
        after = []
        for polygon, inputs in cells:
            z = [
                tuple(
                    sum((f[k] * kernel[i][j] for i, f in enumerate(inputs)), start=bias[j] if k == 2 else Fraction(0))
                    for k in range(3)
                )
                for j in range(len(bias))
            ]
            pieces = [(polygon, [])]
            for first, second in zip(z[: len(z) // 2], z[len(z) // 2 :], strict=True):
                difference = tuple(f - s for f, s in zip(first, second, strict=True))
                pieces = [
                    (side, [*values, larger])
                    for shape, values in pieces
                    for side, larger in (
                        (clipped(shape, difference, 1), first),
                        (clipped(shape, difference, -1), second),
                    )
                    if area(side) > 0 and (any(difference) or larger is second)
                ]
            after += pieces
        cells = after
    return len(cells)


def clipped(polygon, row, sign):
    """The part of a polygon where ``sign`` times an affine function is not negative."""
    values = [sign * (row[0] * x + row[1] * y + row[2]) for x, y in polygon]
    found = []
    for i in range(len(polygon)):
        (p, f), (q, g) = (polygon[i - 1], values[i - 1]), (polygon[i], values[i])
        if f * g < 0:
            found.append(tuple(a + f / (f - g) * (b - a) for a, b in zip(p, q, strict=True)))
        if g >= 0:
            found.append(q)
    return found


def area(polygon):
    return abs(sum(polygon[i - 1][0] * y - x * polygon[i - 1][1] for i, (x, y) in enumerate(polygon))) / 2


@pytest.fixture(scope="module")
def trained():
    """Six networks, trained in lanes, and their model."""
    model = jg.mlp((2, 4, 3, 1), activation="maxout")

    def run(key):
        return jg.fit(key, model, optax.adam(0.03), squared_error, DATA, num_epochs=60)

    return model, jg.fit_population(jax.random.split(KEY, 6), run)


def member(tree, index):
    return jax.tree.map(lambda array: np.asarray(array)[index], tree)


# The model


def test_a_unit_has_two_pieces():
    model = jg.mlp((2, 5, 3, 2), activation=("maxout", "relu"))
    params = model.init(KEY)
    shapes = {name: layer["kernel"].shape for name, layer in params.items()}
    assert shapes == {"dense0_maxout": (2, 10), "dense1_relu": (5, 3), "dense2_linear": (3, 2)}
    assert "2 → 5 maxout → 3 relu → 2 linear; 56 parameters" in repr(model)
    state = jg.hidden_states(params, X)[0]
    assert (state.pre_activation.shape, state.activation.shape) == ((60, 10), (60, 5))


@pytest.mark.slow
@pytest.mark.parametrize("output", ["linear", "maxout"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_layers_are_the_model_everywhere(use_bias, output):
    model = jg.mlp((2, 4, 3, 2), activation="maxout", output_activation=output, use_bias=use_bias)
    params = jax.vmap(model.init)(jax.random.split(KEY, 3))
    layers = jg.layers_of(params, model=model)
    for index in range(3):
        own = member(params, index)
        expected = maxout(own, 5 * X)
        np.testing.assert_allclose(model.apply(own, 5 * X), expected, rtol=0, atol=60 * EPS * 10)
        # float64, up to some ten roundings of numbers up to 10
        np.testing.assert_allclose(reference.forward(member(layers, index), 5 * X)[0], expected, rtol=0, atol=1e-13)


@pytest.mark.slow
def test_gradients_are_differences(trained):
    model, result = trained
    params = member(result.params, 0)
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        gradient = jax.tree.map(np.asarray, jax.grad(lambda params: jnp.sum(model.apply(params, X)))(exact))
    step = 1e-6
    for name, layer in params.items():
        for part in layer:
            for place in np.ndindex(layer[part].shape):
                moved = [{n: dict(one) for n, one in params.items()} for _ in range(2)]
                for each, sign in zip(moved, (1, -1), strict=True):
                    each[name][part] = np.array(layer[part], np.float64)
                    each[name][part][place] += sign * step
                difference = (maxout(moved[0], X).sum() - maxout(moved[1], X).sum()) / (2 * step)
                # piecewise linear in each weight: off by more only where a kink is within the step
                assert abs(gradient[name][part][place] - difference) < 1e-6


@pytest.mark.parametrize("init", INITIALIZERS)
def test_numbers_of_inputs_are_those_of_units(init):
    """All layers here have four inputs, so that all weights have one and the same spread."""
    params = jax.vmap(jg.mlp((4, 4, 4, 4), activation="maxout", init=init).init)(jax.random.split(KEY, 2000))
    wide = jax.vmap(jg.mlp((4, 8), init=init).init)(jax.random.split(KEY, 2000))["dense0_linear"]
    spread = np.asarray(wide["kernel"], np.float64).std()
    for layer in params.values():
        own = np.asarray(layer["kernel"], np.float64)
        # the fourth moments are below three: five standard errors of a standard deviation
        assert (
            abs(own.std() / spread - 1) < 5 * (2 * 0.5 / own.size) ** 0.5 + 5 * (2 * 0.5 / wide["kernel"].size) ** 0.5
        )
    numbers = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(member(params, 0)) if np.any(leaf)])
    assert len(np.unique(numbers)) == len(numbers)


# Padding


def cut(params, width):
    """Parameters without the padding: the real units of both halves."""
    found = {}
    for name, layer in params.items():
        kernel, bias = layer["kernel"], layer["bias"]
        if name != "dense0_maxout":
            kernel = kernel[:width]
        if name.endswith("maxout"):
            half = len(bias) // 2
            real = np.r_[:width, half : half + width]
            kernel, bias = kernel[:, real], bias[real]
        found[name] = {"kernel": kernel, "bias": bias}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("is_mlp", [True, False])
def test_padded_networks_are_those_without_padding(is_mlp):
    def run(key, width):
        model = jg.mlp((2, 5, 5, 1), activation="maxout", widths=(width, width))._replace(is_mlp=is_mlp)
        return jg.fit(key, model, optax.adam(0.01), squared_error, DATA, num_epochs=20)

    widths, keys = np.array([1, 2, 3, 4, 5, 1, 3, 5], np.int32), jax.random.split(KEY, 8)
    padded = jax.jit(jax.vmap(run))(keys, widths)
    layers = jg.layers_of(padded.params)
    counts = jg.count_regions(layers, SQUARE)
    for index, width in ((0, 1), (2, 3), (4, 5)):
        alone = jax.jit(
            lambda key, width=width: jg.fit(
                key,
                jg.mlp((2, width, width, 1), activation="maxout"),
                optax.adam(0.01),
                squared_error,
                DATA,
                num_epochs=20,
            )
        )(keys[index])
        for mine, own in ((padded.initial_params, alone.initial_params), (padded.params, alone.params)):
            one = member(mine, index)
            real = sum(np.count_nonzero(leaf) for leaf in jax.tree.leaves(cut(one, width)))
            assert sum(np.count_nonzero(leaf) for leaf in jax.tree.leaves(one)) == real
            # Adam: twenty steps of 0.01, each off by some roundings
            jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), cut(one, width), member(own, ...))
        assert int(counts.count[index]) == rational_count(cut(member(padded.params, index), width))


# Training and counting


def test_populations_are_trained_by_the_engine(trained):
    model, result = trained
    assert np.asarray(result.by_engine).all()
    general = model._replace(is_mlp=False)
    run = partial(jg.fit, model=general, optimizer=optax.adam(0.03), loss=squared_error, train=DATA, num_epochs=60)
    expected = jax.jit(jax.vmap(run))(jax.random.split(KEY, 6))
    np.testing.assert_allclose(result.train_loss, expected.train_loss, rtol=1e-3, atol=1e-4)
    assert (result.train_loss[:, -1] < 0.2 * result.train_loss[:, 0]).all()


def test_trained_networks_are_counted_and_studied(trained):
    model, result = trained
    layers = jg.layers_of(result.params, model=model)
    counts = jg.count_regions(layers, SQUARE)
    right = [rational_count(member(result.params, index)) for index in range(6)]
    assert counts.count.tolist() == right
    assert max(right) > 10
    by_hand = tuple(jg.Dense(layer["kernel"], layer["bias"]) for _, layer in sorted(result.params.items()))
    assert jg.count_regions(by_hand, SQUARE, activation="maxout").count.tolist() == right
    assert (
        np.asarray(jax.jit(lambda params: jg.count_regions(jg.layers_of(params), SQUARE).count)(result.params)).tolist()
        == right
    )
    for index in range(3):
        own = member(layers, index)
        complex_ = complex_of(own)
        values = np.einsum("foi,fi->fo", complex_.gradient, complex_.centroid) + complex_.intercept
        np.testing.assert_allclose(values, maxout(member(result.params, index), complex_.centroid), rtol=0, atol=1e-13)


def test_integers_with_ties():
    """Pieces that are equal on lines, everywhere, at corners, or of no unit at all."""
    rng = np.random.default_rng(4)
    for _ in range(30):
        params = {
            name: {"kernel": rng.integers(-2, 3, shape).astype(float), "bias": rng.integers(-1, 2, shape[1]) / 2}
            for name, shape in (("dense0_maxout", (2, 6)), ("dense1_maxout", (3, 4)), ("dense2_linear", (2, 1)))
        }
        count = jg.count_regions(jg.layers_of(params), SQUARE).count
        assert count == rational_count(params)


@pytest.mark.slow
def test_a_study_in_a_file(tmp_path):
    path, out = tmp_path / "study.toml", tmp_path / "out"
    path.write_text("""
key = 0
[axes]
width = [2, 5]
depth = [1, 2]
seed = {stop = 3}
[data]
name = "parity"
dim = 2
[model]
activation = "maxout"
[optimizer]
name = "sgd"
learning_rate = 0.1
[train]
loss = "squared_error"
num_epochs = 5
at_steps = [0, 5]
[measure.regions]
what = "exact_regions"
domain = [-1, 1]
[measure.length]
what = "boundary_lengths"
domain = [-1, 1]
[measure.seen]
what = "grid_regions"
domain = [-1, 1]
num_grid = 5
[measure.kinks]
what = "line_breakpoints"
start = [-1, -1]
stop = [1, 1]
[measure.states]
what = "states"
layer = 0
points = [[0.5, 0.25]]
""")
    assert main(["study", str(path), "--out", str(out)]) == 0
    found = jg.study.load(out)
    regions = found.variables["regions"]
    assert (regions >= 1).all()
    assert (regions >= found.variables["seen"]).all()
    assert found.variables["states"].shape[-1] == 5


# What needs units with one piece


def test_functions_of_single_pre_activations_refuse_maxout():
    params = jg.mlp((1, 3, 1), activation="maxout").init(KEY)
    for function in (hyperplanes, thresholds, lambda params: step_output(params, np.zeros((1, 1)))):
        with pytest.raises(ValueError, match=r"one pre-activation.*maxout.*layers_of"):
            function(params)
    switches = thresholds(jg.layers_of(params))[:3]
    a, b = (np.asarray(params["dense0_maxout"][part], np.float64).ravel() for part in ("kernel", "bias"))
    np.testing.assert_allclose(switches, (b[3:] - b[:3]) / (a[:3] - a[3:]), rtol=1e-5)
    with pytest.raises(ValueError, match=r"stretching.*maxout"):
        stretch.stretch_networks(KEY, activation="maxout")


def test_halves_that_do_not_fit():
    params = {"dense0_maxout": {"kernel": np.ones((2, 5))}, "dense1_linear": {"kernel": np.ones((2, 1))}}
    with pytest.raises(ValueError, match="maxout halves the number of units, but layer 0 has 5"):
        jg.layers_of(params)
