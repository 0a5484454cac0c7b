"""Embeddings against NumPy in float64, closed forms, and certificates that are checked by themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgeom as jg

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(200, 5)) * [0.1, 3, 1, 0.5, 2] @ RNG.normal(size=(5, 5)) + 4).astype(np.float32)
PARAMS = jg.mlp((2, 4, 3), activation="sigmoid").init(jax.random.key(0))
POINTS = RNG.uniform(-3, 3, (60, 2)).astype(np.float32)


def layer_of(kernel: list, bias: list) -> dict:
    return {"kernel": jnp.array(kernel, jnp.float32), "bias": jnp.array(bias, jnp.float32)}


def test_pca_diagonalises_the_covariance() -> None:
    axes = jax.jit(lambda x: jg.pca(x, 3))(X)
    values, vectors = np.linalg.eigh(np.cov(X.astype(np.float64).T))
    values, vectors = values[::-1], vectors.T[::-1]
    np.testing.assert_allclose(axes.mean, X.astype(np.float64).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(axes.explained_variance, values[:3], rtol=1e-4)
    np.testing.assert_allclose(axes.explained_ratio, values[:3] / values.sum(), rtol=1e-4)
    for found, vector in zip(np.asarray(axes.components), vectors, strict=False):
        sign = np.sign(vector[np.abs(vector).argmax()])
        np.testing.assert_allclose(found, sign * vector, atol=1e-4)
        assert found[np.abs(found).argmax()] > 0


def test_pca_turns_with_the_points_but_for_the_sign_convention() -> None:
    mirrored = jg.pca(-X, 2)
    np.testing.assert_allclose(mirrored.components, jg.pca(X, 2).components, atol=1e-5)


def test_pca_of_many_frames_and_populations() -> None:
    frames = np.stack([X, 2 * X, X[::-1]])
    axes = jg.pca(frames.reshape(-1, 5), 2)
    shown = jg.pca_coordinates(axes, frames)
    assert shown.shape == (3, 200, 2)
    np.testing.assert_array_equal(shown[0], shown[2][::-1])
    np.testing.assert_allclose(jnp.mean(shown, axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(jg.pca_coordinates(axes, axes.mean[None] + axes.components), np.eye(2), atol=1e-5)
    many = jax.vmap(lambda x: jg.pca(x, 2))(frames)
    np.testing.assert_allclose(many.components[1], jg.pca(frames[1], 2).components, atol=1e-5)


def test_pca_of_flat_points_and_what_is_refused(unchecked) -> None:
    flat = jg.pca(np.ones((4, 2), np.float32), 2)
    np.testing.assert_array_equal(flat.explained_variance, 0)
    assert np.isnan(flat.explained_ratio).all()
    for wrong in (0, 6):
        with pytest.raises(ValueError, match="between 1 and 5"):
            jg.pca(X, wrong)
    with pytest.raises(ValueError, match="between 1 and 3"):
        jg.pca(X[:3], 4)


def test_hyperplanes_are_where_pre_activations_vanish() -> None:
    planes = jax.jit(jg.hyperplanes)(PARAMS)
    weight, bias = np.asarray(planes.weight, np.float64), np.asarray(planes.bias, np.float64)
    length = np.linalg.norm(weight, axis=1)
    feet = planes.distance[:, None] * weight / length[:, None]  # nearest to the origin
    np.testing.assert_allclose(np.sum(feet * weight, axis=1) + bias, 0, atol=1e-6)
    distances = jax.jit(jg.signed_distances)(planes, POINTS)
    np.testing.assert_allclose(distances, (POINTS @ weight.T + bias) / length, atol=1e-5)
    pre_activation = jg.hidden_states(PARAMS, POINTS)[0].pre_activation
    found = jg.codes(planes, POINTS)
    np.testing.assert_array_equal(found.bits, pre_activation > 0)
    np.testing.assert_array_equal(found.number, np.asarray(found.bits) @ (1 << np.arange(4)))


@pytest.mark.slow
def test_padding_has_no_hyperplane_and_lies_on_the_negative_side() -> None:
    params = jg.mlp((2, 4, 1), activation="sigmoid", widths=(2,)).init(jax.random.key(1))
    planes = jg.hyperplanes(params)
    np.testing.assert_array_equal(planes.valid, [True, True, False, False])
    assert np.isnan(planes.distance[2:]).all()
    assert np.isfinite(planes.distance[:2]).all()
    assert not jg.codes(planes, POINTS).bits[:, 2:].any()
    always_on = jg.hyperplanes((jg.Dense(jnp.zeros((2, 1)), jnp.ones(1)), jg.Dense(jnp.ones((1, 1)), jnp.zeros(1))))
    assert np.isinf(always_on.distance[0])
    assert jg.codes(always_on, POINTS).bits.all()


def test_three_lines_in_general_position_make_seven_codes() -> None:
    planes = jg.hyperplanes({"dense0_relu": layer_of([[1, 0, 1], [0, 1, 1]], [0, 0, -1])})
    found = jg.codes(planes, jg.grid_points(jg.box(-3, 3), 40))
    assert sorted(set(np.asarray(found.number).tolist())) == [0, 1, 2, 3, 5, 6, 7]  # never only the third
    with pytest.raises(ValueError, match="at most 32 units"):
        jg.codes(jg.hyperplanes(jg.mlp((2, 33, 1)).init(jax.random.key(0))), POINTS)


def test_who_lives_where_is_counted() -> None:
    labels = np.arange(60) % 3
    number = np.asarray(jg.codes(jg.hyperplanes(PARAMS), POINTS).number)
    counts = np.asarray(jax.jit(lambda number, labels: jg.code_counts(number, labels, 4, 3))(number, labels))
    expected = [[np.sum((number == code) & (labels == label)) for label in range(3)] for code in range(16)]
    np.testing.assert_array_equal(counts, expected)
    with pytest.raises(ValueError, match="16 units"):
        jg.code_counts(jnp.zeros(1, jnp.uint32), np.zeros(1, int), 17, 2)


def test_thresholds_switch_units() -> None:
    params = {"dense0_sigmoid": layer_of([[2, -0.5, 0, 0, 0]], [-3, 1, 0, 1, -1])}
    found = np.asarray(jg.thresholds(params))
    np.testing.assert_allclose(found[:2], [1.5, 2])
    assert np.isnan(found[2])
    np.testing.assert_array_equal(found[3:], np.inf)
    with pytest.raises(ValueError, match="one input"):
        jg.thresholds(PARAMS)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_steps_are_the_limit_of_steep_units(activation: str) -> None:
    params = jg.mlp((2, 4, 3), activation=activation).init(jax.random.key(2))
    first, last = params[f"dense0_{activation}"], params["dense1_linear"]
    far = POINTS[np.abs(jg.hidden_states(params, POINTS)[0].pre_activation).min(axis=1) > 1e-2]
    steep = {f"dense0_{activation}": jax.tree.map(lambda a: 1e4 * a, first), "dense1_linear": last}
    expected = jg.mlp((2, 4, 3), activation=activation).apply(steep, far)
    np.testing.assert_allclose(jax.jit(jg.step_output)(params, far), expected, atol=1e-5)
    assert len(far) > 30


def test_steps_of_one_input_jump_at_the_thresholds() -> None:
    params = jg.mlp((1, 3, 1), activation="sigmoid").init(jax.random.key(3))
    x = np.linspace(-20, 20, 4001, dtype=np.float32)[:, None]
    value = np.asarray(jg.step_output(params, x))[:, 0]
    jumps = x[np.flatnonzero(np.diff(value)), 0]
    inside = np.sort(np.asarray(jg.thresholds(params)))
    np.testing.assert_allclose(jumps, inside[np.abs(inside) < 20], atol=0.011)
    weight = np.asarray(params["dense1_linear"]["kernel"])[:, 0]
    sign = np.sign(np.asarray(params["dense0_sigmoid"]["kernel"])[0])
    np.testing.assert_allclose(value[-1] - value[0], np.sum(sign * weight), rtol=1e-5)


def test_separability_is_proven_one_way_or_bounded_the_other() -> None:
    labels = (POINTS @ np.array([1.0, -2.0]) > 0.5).astype(np.int32)
    gap = np.abs(POINTS @ np.array([1.0, -2.0]) - 0.5) > 0.3
    search = jax.jit(jg.linear_separability)
    points = np.where(gap[:, None], POINTS, POINTS[gap][0])
    labels = np.where(gap, labels, labels[gap][0])
    found = search(points, labels)
    assert found.is_separated
    value = points.astype(np.float64) @ np.asarray(found.weight) + float(found.bias)
    np.testing.assert_array_equal(value > 0, labels == 1)
    # the margin of the hyperplane that the labels come from, in the units of the bound
    size = np.linalg.norm(points, axis=1).max()
    plane = np.array([size, -2 * size, -0.5])
    scaled = np.column_stack([points / size, np.ones(len(points))])
    true_margin = np.min(np.abs(scaled @ plane)) / np.linalg.norm(plane)
    assert 0 < found.margin <= found.margin_bound
    assert found.margin_bound >= true_margin
    rings = jg.rings(jax.random.key(0), num_per_class=30)
    none = search(np.asarray(rings.x), np.asarray(rings.y))
    assert not none.is_separated
    assert none.margin <= 0
    assert none.margin_bound < 0.02
    # on the paraboloid, they are
    lifted = np.column_stack([rings.x, np.sum(np.asarray(rings.x) ** 2, axis=1)])
    assert search(lifted, np.asarray(rings.y)).is_separated


@pytest.mark.slow
def test_lists_and_integers_are_points(unchecked: None) -> None:
    points = [[0, 1], [2, 5], [4, 4], [1, 7]]
    floats = np.array(points, np.float32)
    np.testing.assert_array_equal(jg.pca(points, 1).components, jg.pca(floats, 1).components)
    axes = jg.pca(floats, 2)
    np.testing.assert_array_equal(jg.pca_coordinates(axes, points), jg.pca_coordinates(axes, floats))
    planes = jg.hyperplanes(PARAMS)
    np.testing.assert_array_equal(jg.codes(planes, points).number, jg.codes(planes, floats).number)
    np.testing.assert_array_equal(jg.step_output(PARAMS, points), jg.step_output(PARAMS, floats))
    labels = np.array([0, 1, 0, 1])
    for given in (labels, labels == 1, labels.tolist()):
        assert jg.linear_separability(points, given).is_separated
    assert jg.linear_separability(floats.astype(">f8"), labels).is_separated


@pytest.mark.parametrize(
    ("points", "labels", "message"),
    [
        (X, np.arange(len(X)), "labels must be 0 and 1"),
        (X, np.zeros(3), "a label for each"),
        (X[0], np.zeros(5), "a label for each"),
        ([["a"]], [0], "text|real numbers"),
    ],
)
def test_bad_points_and_labels(points: object, labels: object, message: str, unchecked: None) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        jg.linear_separability(points, labels)  # type: ignore[arg-type]
