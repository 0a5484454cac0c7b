"""Slopes that belong to the layers: every function that takes layers honours them, against rationals and models."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from complexes import complex_in_box, complex_of, counts_in_box
from spatial_truth import exact_spatial_regions

import jaxgeom as jg
from jaxgeom.networks.layers import named_layers, with_activation

SQUARE = jg.box()
CORNERS = jg.polygon_vertices(SQUARE)
POINTS = np.random.default_rng(0).uniform(-1, 1, (40, 2))
ACTIVATIONS = ["leaky_relu", "abs", "linear", -1.5, ["hard_tanh", 0.2]]


def integers(rng, *widths):
    """Weights in {-2, …, 2} and halves as biases: all products are exact."""
    return tuple(
        jg.Dense(rng.integers(-2, 3, (a, b)).astype(float), rng.integers(-3, 4, b) / 2)
        for a, b in itertools.pairwise(widths)
    )


def uniform(rng, *widths, leading=()):
    return tuple(
        jg.Dense(rng.uniform(-1, 1, (*leading, a, b)), rng.uniform(-1, 1, (*leading, b)))
        for a, b in itertools.pairwise(widths)
    )


def member(layers, index):
    return jax.tree.map(lambda array: array[index], layers)


def rational_count(layers, corners=CORNERS):
    return reference.exact_region_count(layers, corners)


# Networks that were trained with each activation


@pytest.fixture(scope="module", params=ACTIVATIONS, ids=str)
def trained(request):
    """Three networks after some steps, their model and their layers."""
    model = jg.mlp((2, 6, 4, 1), activation=request.param)

    @jax.jit
    def step(params):
        slope = jax.grad(lambda params: jnp.mean((model.apply(params, jg.parity(2).x) - jg.parity(2).y) ** 2))(params)
        return jax.tree.map(lambda array, change: array - 0.1 * change, params, slope)

    params = jax.vmap(model.init)(jax.random.split(jax.random.key(1), 3))
    for _ in range(20):
        params = jax.vmap(step)(params)
    layers = jg.layers_of(params, model=model)
    return request.param, model, params, layers


@pytest.mark.slow
def test_layers_compute_what_the_model_does(trained):
    _, model, params, layers = trained
    for index in range(3):
        one, own = member(layers, index), jax.tree.map(lambda array, i=index: np.asarray(array)[i], params)
        expected = model.apply(own, POINTS.astype(np.float32))
        np.testing.assert_allclose(jg.forward(one, POINTS).output, expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(reference.forward(one, POINTS)[0], expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(jg.hidden_states(one, POINTS)[-1].activation, expected, rtol=0, atol=1e-5)


def test_counts_are_those_of_rationals(trained):
    activation, _, params, layers = trained
    right = [rational_count(member(layers, index)) for index in range(3)]
    assert jg.count_regions(layers, SQUARE).count.tolist() == right
    by_hand = tuple(jg.Dense(layer.kernel, layer.bias) for _, _, layer in named_layers(params))
    assert jg.count_regions(by_hand, SQUARE, activation=activation).count.tolist() == right
    assert counts_in_box(layers, SQUARE).tolist() == right
    assert [None if c is None else c.num_faces for c in jg.enumerate_population(layers, SQUARE)] == right
    points = jg.grid_points(SQUARE, 21)
    patterns = [reference.num_distinct_patterns(member(layers, index), points) for index in range(3)]
    assert jg.count_grid_regions(layers, points).num_patterns.tolist() == patterns


def test_counts_in_programs(trained):
    activation, _, params, layers = trained
    right = jg.count_regions(layers, SQUARE)

    def count(params):
        return jg.count_regions(jg.layers_of(params), SQUARE).count

    def count_layers(layers, **options):
        return jg.count_regions(layers, SQUARE, **options).count

    by_hand = tuple(jg.Dense(layer.kernel, layer.bias) for _, _, layer in named_layers(params))
    assert jax.jit(jax.vmap(count))(params).tolist() == right.count.tolist()
    assert jax.jit(count)(params).tolist() == right.count.tolist()
    assert jax.jit(jax.vmap(count_layers))(layers).tolist() == right.count.tolist()
    assert jax.jit(partial(count_layers, activation=activation))(by_hand).tolist() == right.count.tolist()
    measured = jax.jit(lambda params: jg.count_regions(jg.layers_of(params), SQUARE, min_area=1e-3, cut_output=True))(
        params
    )
    expected = jg.count_regions(layers, SQUARE, min_area=1e-3, cut_output=True)
    for found, wanted in zip(measured, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.slow
def test_maps_of_regions_are_jacobians(trained):
    _, model, params, layers = trained
    one, own = member(layers, 0), jax.tree.map(lambda array: np.asarray(array, np.float64)[0], params)
    complex_ = jg.enumerate_regions(one, SQUARE)
    jg.check_complex(complex_)
    with jax.enable_x64(True):
        maps = jg.affine_maps(lambda x: model.apply(own, x), jnp.asarray(complex_.centroid))
        triples = np.asarray(jg.affine_triples(one, complex_.centroid))
        seen = jg.grid_regions(one, complex_.centroid)
    np.testing.assert_allclose(complex_.gradient, maps.gradient, rtol=0, atol=1e-6)
    np.testing.assert_allclose(complex_.intercept, maps.intercept, rtol=0, atol=1e-6)
    np.testing.assert_allclose(triples[:, :2], complex_.gradient[:, 0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(triples[:, 2:], complex_.intercept, rtol=0, atol=1e-12)
    assert int(seen.num_patterns) == complex_.num_faces
    np.testing.assert_array_equal(jg.locate(complex_, one, complex_.centroid), np.arange(complex_.num_faces))
    np.testing.assert_array_equal(reference.activation_patterns(one, complex_.centroid), complex_.patterns)
    slow = complex_of(one)
    assert sorted(map(tuple, slow.patterns.tolist())) == sorted(map(tuple, complex_.patterns.tolist()))
    nd = complex_in_box(one, SQUARE)
    assert sorted(map(tuple, nd.patterns.tolist())) == sorted(map(tuple, complex_.patterns.tolist()))
    np.testing.assert_allclose(np.sort(nd.volume), np.sort(complex_.area), atol=1e-12)


@pytest.mark.slow
def test_decision_boundaries_are_zeros_of_the_model(trained):
    _, model, params, layers = trained
    one, own = member(layers, 1), jax.tree.map(lambda array: np.asarray(array)[1], params)
    boundary = jg.decision_boundary(jg.enumerate_regions(one, SQUARE))
    ends = boundary.segments.reshape(-1, 2).astype(np.float32)
    if len(ends):
        np.testing.assert_allclose(model.apply(own, ends), 0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["segment", "line"])
def test_breakpoints_are_those_of_rationals(trained, kind):
    _, _, _, layers = trained
    start, stop = POINTS[:3], POINTS[3:6]
    found = jg.breakpoints(layers, start, stop, kind=kind)
    core = jax.jit(partial(jg.breakpoints, kind=kind, capacity=40))(member(layers, 0), start, stop)
    for network, line in np.ndindex(3, 3):
        one = member(layers, network)
        right, maps = reference.exact_breakpoints(one, start[line], stop[line], infinite=kind == "line")
        assert int(found.count[network, line]) == len(right)
        assert network or int(core.count[line]) == len(right)
        t = found.t[network, line, : len(right)]
        np.testing.assert_allclose(t, [float(point.t) for point in right], rtol=1e-9)
        makers = zip(found.layer[network, line], found.unit[network, line], strict=True)
        assert list(makers)[: len(right)] == [point[1:] for point in right]
        slopes = found.slope[network, line, : len(maps), 0]
        np.testing.assert_allclose(slopes, [float(outputs[0][0]) for outputs in maps], rtol=1e-9, atol=1e-12)


def test_paths_and_distances(trained):
    activation, _, params, layers = trained
    one = member(layers, 2)
    path = jg.polyline_breakpoints(one, POINTS[:4])
    parts = [len(reference.exact_breakpoints(one, *ends)[0]) for ends in itertools.pairwise(POINTS[:4])]
    assert path.count == sum(parts)
    by_hand = member(tuple(jg.Dense(np.asarray(a.kernel), np.asarray(a.bias)) for _, _, a in named_layers(params)), 2)
    for measure in (jg.distance_to_boundary, jg.image_lengths, partial(jg.local_complexity, radius=0.3)):
        found, expected = measure(one, POINTS), measure(by_hand, POINTS, activation=activation)
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    x = POINTS.astype(np.float32)  # which a program without x64 does not round
    compiled = jax.jit(partial(jg.distance_to_boundary, activation=activation))(by_hand, x)
    np.testing.assert_allclose(compiled.distance, jg.distance_to_boundary(one, x).distance, rtol=1e-6)
    images = [POINTS, *reference_activations(one, POINTS)]
    lengths = [np.linalg.norm(np.diff(image, axis=0), axis=1).sum() for image in images]
    np.testing.assert_allclose(jg.image_lengths(one, POINTS), lengths, rtol=1e-9)


def reference_activations(layers, x):
    output, pre = reference.forward(layers, x)
    slopes = [0.0 if layer.slope is None else np.asarray(layer.slope) for layer in layers[:-1]]
    return [*(np.where(z > 0, z, slope * z) for z, slope in zip(pre, slopes, strict=True)), output]


@pytest.mark.slow
def test_distances_are_those_to_the_edges(trained):
    _, _, _, layers = trained
    complex_ = jg.enumerate_regions(member(layers, 0), jg.whole_plane())
    if complex_.num_faces == 1:
        found = jg.distance_to_boundary(member(layers, 0), POINTS)
        assert np.isinf(found.distance).all()
        assert (np.asarray(found.unit) == -1).all()
        return
    inner = (complex_.edge_layer >= 0) & ~complex_.is_ideal[complex_.edges].any(axis=1)
    middle = complex_.vertices[complex_.edges[inner]].mean(axis=1)
    np.testing.assert_allclose(jg.distance_to_boundary(member(layers, 0), middle).distance, 0, atol=1e-9)


@pytest.mark.slow
def test_networks_that_end_in_an_activation():
    for index, name in enumerate(["relu", "leaky_relu", "abs", "hard_tanh", "linear", 0.3]):
        model = jg.mlp((2, 4, 2), activation="abs", output_activation=name)
        params = model.init(jax.random.key(index))
        layers = jg.layers_of(params, model=model)
        assert layers[-1].slope is None
        found = jg.enumerate_regions(layers, jg.box(-5, 5))
        assert found.num_faces == rational_count(layers, jg.polygon_vertices(jg.box(-5, 5)))
        outputs = np.einsum("foi,fi->fo", found.gradient, found.centroid) + found.intercept
        np.testing.assert_allclose(outputs, model.apply(params, found.centroid.astype(np.float32)), rtol=0, atol=1e-4)


# Slopes of all kinds


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_numbers_rows_and_arrays_are_the_same_slopes(leading):
    plain = uniform(np.random.default_rng(1), 2, 5, 4, 1, leading=leading)
    forms = [0.25, np.float32(0.25), jnp.float32(0.25), np.full(5, 0.25), jnp.full((*leading, 5), 0.25)]
    right = jg.count_regions(plain, SQUARE, activation=[0.25, -1]).count
    for slope in forms:
        layers = (plain[0]._replace(slope=slope), plain[1]._replace(slope=-1), plain[2])
        np.testing.assert_array_equal(jg.count_regions(layers, SQUARE).count, right)
        read = jg.layers_of(layers)
        assert [np.shape(layer.slope) for layer in read[:-1]] == [(*leading, 5), (*leading, 4)]
        if leading:
            flat = jax.tree.map(jnp.asarray, read)
            mapped = jax.vmap(lambda layers: layers[0].kernel.sum() + layers[0].slope.sum())(flat)
            assert mapped.shape == leading[:1]


def test_members_of_a_population_may_differ():
    rng = np.random.default_rng(2)
    plain = uniform(rng, 2, 5, 4, 1, leading=(6,))
    slopes = [rng.choice([0.0, 0.3, -1.0, 1.0], (6, width)) for width in (5, 4)]
    slopes[0][3] = slopes[0][1]
    slopes[1][3] = slopes[1][1]
    layers = (*(layer._replace(slope=slope) for layer, slope in zip(plain, slopes, strict=False)), plain[2])
    right = [rational_count(member(layers, index)) for index in range(6)]
    assert jg.count_regions(layers, SQUARE).count.tolist() == right
    assert jax.jit(lambda layers: jg.count_regions(layers, SQUARE).count)(layers).tolist() == right
    assert jax.jit(jax.vmap(lambda layers: jg.count_regions(layers, SQUARE).count))(layers).tolist() == right
    assert counts_in_box(layers, SQUARE).tolist() == right
    for index, complex_ in enumerate(jg.enumerate_population(layers, SQUARE)):
        alone = jg.enumerate_regions(member(layers, index), SQUARE)
        jax.tree.map(np.testing.assert_array_equal, complex_, alone)
    found = jg.breakpoints(layers, POINTS[0], POINTS[1])
    for index in range(6):
        assert found.count[index] == len(reference.exact_breakpoints(member(layers, index), *POINTS[:2])[0])
    points = jg.grid_points(SQUARE, 15)
    patterns = [reference.num_distinct_patterns(member(layers, index), points) for index in range(6)]
    assert jg.count_grid_regions(layers, points).num_patterns.tolist() == patterns


def test_slopes_that_are_not_finite():
    plain = uniform(np.random.default_rng(3), 2, 4, 1, leading=(3,))
    slope = np.full((3, 4), 0.1)
    slope[1, 2] = np.nan
    layers = (plain[0]._replace(slope=slope), plain[1])
    counts = jg.count_regions(layers, SQUARE).count
    assert counts[1] == -1
    assert counts[[0, 2]].tolist() == [rational_count(member(layers, index)) for index in (0, 2)]
    assert jax.jit(lambda layers: jg.count_regions(layers, SQUARE).count)(layers).tolist() == counts.tolist()
    assert jg.enumerate_population(layers, SQUARE)[1] is None
    assert counts_in_box(layers, SQUARE)[1] == -1
    assert jg.breakpoints(layers, POINTS[0], POINTS[1]).count[1] == -1
    for function in (
        partial(jg.count_regions, domain=SQUARE),
        partial(jg.enumerate_regions, domain=SQUARE),
        partial(jg.grid_regions, points=POINTS),
        partial(jg.distance_to_boundary, x=POINTS),
        partial(jg.affine_triples, points=POINTS),
    ):
        with pytest.raises(ValueError, match="layer 0 of the network has NaN"):
            function(member(layers, 1))
    with pytest.raises(ValueError, match="a slope must be finite, but inf was given"):
        jg.count_regions((plain[0]._replace(slope=np.inf), plain[1]), SQUARE)


def test_what_is_refused(unchecked):
    first, second = uniform(np.random.default_rng(4), 2, 4, 1)
    leaky = (first._replace(slope=0.1), second)
    for function in (
        lambda **given: jg.count_regions(leaky, SQUARE, **given),
        lambda **given: jg.enumerate_regions(leaky, SQUARE, **given),
        lambda **given: jg.breakpoints(leaky, *POINTS[:2], **given),
        lambda **given: jg.breakpoints(leaky, *POINTS[:2], capacity=9, **given),
        lambda **given: jg.polyline_breakpoints(leaky, POINTS[:2], **given),
        lambda **given: jg.distance_to_boundary(leaky, POINTS, **given),
        lambda **given: jg.local_complexity(leaky, POINTS, 0.1, **given),
        lambda **given: jg.image_lengths(leaky, POINTS, **given),
        lambda **given: jg.locate(jg.enumerate_regions(leaky, SQUARE), leaky, POINTS, **given),
    ):
        function()
        for activation in ("relu", "abs", 0.1, ["relu"]):
            with pytest.raises(ValueError, match="slopes of their own, but activation="):
                function(activation=activation)
    with pytest.raises(ValueError, match="the last one, which no activation follows"):
        jg.count_regions((first, second._replace(slope=0.0)), SQUARE)
    with pytest.raises(ValueError, match=r"a bias of shape \(4,\) and a slope of shape \(3,\)"):
        jg.count_regions((first._replace(slope=np.ones(3)), second), SQUARE)
    with pytest.raises(TypeError, match="the slope of layer 0 must be real numbers"):
        jg.count_regions((first._replace(slope=True), second), SQUARE)
    with pytest.raises(TypeError, match="every layer must be"):
        jg.count_regions(((*first, None, None), second), SQUARE)
    with pytest.raises(ValueError, match="formulas are written for ReLU"):
        jg.latex_formula(leaky)
    for bad, error in ((True, TypeError), (np.nan, ValueError), ("swish2", ValueError)):
        with pytest.raises(error, match=r"an activation is|a slope must be|activation must be"):
            jg.mlp((2, 3, 1), activation=bad)
    with pytest.raises(TypeError, match="but a traced one was given"):
        jax.jit(lambda slope: jg.mlp((2, 3, 1), activation=slope).init(jax.random.key(0)))(0.1)


def test_the_model_check_sees_slopes():
    model = jg.mlp((2, 5, 1), activation=0.2)
    params = model.init(jax.random.key(0))
    (name, *_) = params
    assert name == "dense0_0.2"
    jg.layers_of(params, model=model)

    def right(_, x):
        return model.apply(params, x)

    with pytest.raises(ValueError, match="not what the model computes"):
        jg.layers_of({"dense0_0.3": params[name], "dense1_linear": params["dense1_linear"]}, model=right)
    with pytest.raises(ValueError, match="not what the model computes"):
        jg.layers_of({"dense0_relu": params[name], "dense1_linear": params["dense1_linear"]}, model=right)


def test_relu_networks_keep_their_structure():
    params = jg.mlp((2, 5, 1)).init(jax.random.key(0))
    layers = jg.layers_of(params)
    assert len(jax.tree.leaves(layers)) == 4
    assert all(layer.slope is None for layer in layers)
    assert all(layer.slope is None for layer in with_activation(layers, "relu"))


def test_extreme_slopes_are_exact():
    rng = np.random.default_rng(5)
    for values in ([1e300], [-1e-300, 1.0], [1e150, -1e150, 0.0]):
        plain = integers(rng, 2, 4, 3, 1)
        slopes = [rng.choice(values, 4), rng.choice(values, 3)]
        layers = (*(layer._replace(slope=slope) for layer, slope in zip(plain, slopes, strict=False)), plain[2])
        right = rational_count(layers)
        assert jg.count_regions(layers, SQUARE).count == right
        assert counts_in_box(layers, SQUARE)[0] == right
        expected = reference.exact_breakpoints(layers, *POINTS[:2])[0]
        assert jg.breakpoints(layers, *POINTS[:2]).count == len(expected)


def test_thresholds_are_those_of_the_first_layer():
    first, *rest = uniform(np.random.default_rng(7), 1, 4, 1)
    leaky = (first._replace(slope=0.1), *rest)
    np.testing.assert_array_equal(jg.thresholds(leaky), jg.thresholds((first, *rest)))


def test_slopes_in_three_dimensions():
    rng = np.random.default_rng(8)
    plain = uniform(rng, 3, 4, 3, 1)
    for slopes in ([0.01, -1.0], [1.0, 0.2]):
        layers = (*(layer._replace(slope=slope) for layer, slope in zip(plain, slopes, strict=False)), plain[2])
        truth = exact_spatial_regions(layers, [-1] * 3, [1] * 3)
        assert jg.count_regions(layers, jg.box(dim=3)).count == len(truth)
        assert jg.count_regions(plain, jg.box(dim=3), activation=slopes).count == len(truth)


@pytest.mark.slow
def test_a_study_file_with_leaky_units(tmp_path):
    from jaxgeom.__main__ import main

    text = """
key = 0
[axes]
width = [4]
depth = [2]
seed = {stop = 4}
[data]
name = "parity"
dim = 2
[model]
activation = ACTIVATION
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
"""
    for index, activation in enumerate(['"leaky_relu"', '["abs", 0.5]']):
        path, out = tmp_path / f"{index}.toml", tmp_path / f"out{index}"
        path.write_text(text.replace("ACTIVATION", activation))
        assert main(["study", str(path), "--out", str(out)]) == 0
        found = jg.study.load(out)
        assert np.isfinite(found.variables["regions"]).all()
        assert (found.variables["regions"] >= 1).all()
