"""Estimated numbers of regions against exact counts, closed forms and an independent solver."""

from fractions import Fraction

import jax
import numpy as np
import pytest
from scipy.optimize import linprog

import jaxgeom as jg
from jaxgeom.analysis.cell_tree import _probabilities
from jaxgeom.analysis.linear_programs import maxima
from jaxgeom.analysis.upper_bounds import rounded_up, upper_bound


def network(dim: int, widths: list[int], seed: int, *, zero_bias: bool = False) -> jg.Layers:
    """At PyTorch's initialisation."""
    rng = np.random.default_rng(seed)
    layers = []
    for before, after in zip([dim, *widths], [*widths, 1], strict=True):
        size = 1 / np.sqrt(before)
        bias = rng.uniform(-size, size, after) * (not zero_bias)
        layers.append(jg.Dense(rng.uniform(-size, size, (before, after)), bias))
    return tuple(layers)


def estimate(layers: jg.Layers, dim: int, seed: int = 0, **options: int) -> jg.RegionEstimate:
    return jg.estimate_regions(jax.random.key(seed), layers, jg.box(-1, 1, dim=dim), **options)


@pytest.mark.parametrize(("dim", "num_rows", "seed"), [(1, 3, 0), (2, 6, 1), (4, 12, 2), (6, 20, 3), (40, 15, 4)])
def test_programs_agree_with_the_solver(dim: int, num_rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(40, num_rows, dim + 1))
    rows[..., :-1] /= np.linalg.norm(rows[..., :-1], axis=2, keepdims=True)
    inside = rng.uniform(-1, 1, (40, dim))
    rows[..., -1] = rng.exponential(0.2, (40, num_rows)) - np.einsum("prd,pd->pr", rows[..., :-1], inside)
    objective = rng.normal(size=(40, dim + 1))
    objective[:, :-1] /= np.linalg.norm(objective[:, :-1], axis=1, keepdims=True)
    objective[:, -1] = -(objective[:, :-1] * inside).sum(axis=1) - rng.exponential(0.4 * np.sqrt(dim), 40)
    found = maxima(rows, objective, 1e-9)
    truth = [
        f[-1] - linprog(-f[:-1], A_ub=-r[:, :-1], b_ub=r[:, -1], bounds=(-1, 1)).fun
        for r, f in zip(rows, objective, strict=True)
    ]
    assert found.num_left == 0
    assert found.is_positive.any()
    np.testing.assert_array_equal(found.is_positive, np.array(truth) > 1e-9)
    at_point = (objective[:, :-1] * found.point).sum(axis=1) + objective[:, -1]
    np.testing.assert_allclose(at_point[found.is_positive], np.array(truth)[found.is_positive], atol=1e-10)


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_without_sampling_it_is_the_exact_count(dim: int) -> None:
    domain = jg.box(-1, 1, dim=dim)
    for seed, widths in enumerate([[9], [6, 6], [4, 4, 4], [2, 7]]):
        layers = network(dim, widths, seed)
        found = estimate(layers, dim, num_samples=5000)
        count = int(jg.count_regions(layers, domain).count)
        assert found.is_complete
        assert (found.estimate, found.standard_error, found.lower) == (count, 0, count)
        assert found.upper >= count


def test_ties_and_dead_units_are_decided_as_by_exact_arithmetic() -> None:
    rng = np.random.default_rng(0)
    for seed in range(6):
        layers = network(3, [6, 6], seed, zero_bias=seed % 2 == 0)
        kernel, bias, _ = layers[0]
        kernel, bias = np.round(4 * kernel) / 4, np.round(4 * bias) / 4
        kernel[:, 1], bias[1] = -2 * kernel[:, 0], -2 * bias[0]  # the same zero set as unit 0
        kernel[:, 2], bias[2] = 0.0, rng.choice([-1.0, 0.0, 1.0])  # constant
        layers = (jg.Dense(kernel, bias), *layers[1:])
        found = estimate(layers, 3)
        assert found.estimate == int(jg.count_regions(layers, jg.box(-1, 1, dim=3)).count)
        assert found.is_complete
        assert found.lower <= found.estimate


def test_other_activations() -> None:
    layers = network(3, [5, 5], 3)
    for activation in ("leaky_relu", "abs", "hard_tanh", ["linear", "relu"], -0.5):
        exact = jg.count_regions(layers, jg.box(-1, 1, dim=3), activation=activation).count
        found = jg.estimate_regions(jax.random.key(0), layers, jg.box(-1, 1, dim=3), activation=activation)
        assert found.estimate == exact <= found.upper


def test_many_inputs_have_all_patterns_of_generic_first_units() -> None:
    """Hyperplanes near the centre of a cube of 100 dimensions are in general position, and so are all their sides."""
    rng = np.random.default_rng(0)
    layers = (jg.Dense(rng.normal(size=(100, 9)), rng.normal(size=9)), jg.Dense(np.ones((9, 1)), np.zeros(1)))
    found = estimate(layers, 100)
    assert found.is_complete
    assert found.estimate == found.lower == found.upper == 2**9
    few = estimate(layers, 100, num_samples=80, num_replicates=10)
    assert not few.is_complete
    np.testing.assert_allclose(few.estimate, 2**9, rtol=0.3)
    assert few.lower < 2**9


@pytest.mark.parametrize("scale", [1e-140, 1.0, 1e140])
def test_scales_do_not_matter(scale: float) -> None:
    layers = network(3, [6, 6], 5)
    scaled = (
        jg.Dense(layers[0].kernel * scale, layers[0].bias * scale),
        layers[1]._replace(bias=layers[1].bias * scale),
    )
    scaled = (*scaled, layers[2])
    assert estimate(scaled, 3).estimate == jg.count_regions(layers, jg.box(-1, 1, dim=3)).count
    wide = (layers[0]._replace(kernel=layers[0].kernel / scale), *layers[1:])
    domain = jg.box(-scale, scale, dim=3)
    assert jg.estimate_regions(jax.random.key(0), wide, domain).estimate == estimate(layers, 3).estimate


@pytest.mark.slow
def test_estimates_are_unbiased_and_standard_errors_right() -> None:
    layers = network(4, [10, 10], 1)
    count = int(jg.count_regions(layers, jg.box(-1, 1, dim=4)).count)
    found = [estimate(layers, 4, seed, num_samples=60, num_replicates=10) for seed in range(40)]
    assert not any(one.is_complete for one in found)
    errors = np.array([one.estimate - count for one in found])
    spread = errors.std(ddof=1)
    assert abs(errors.mean()) < 4 * spread / np.sqrt(40)
    np.testing.assert_allclose(np.sqrt(np.mean([one.standard_error**2 for one in found])), spread, rtol=0.5)
    assert all(one.lower <= count <= one.upper for one in found)


def test_probabilities_add_up() -> None:
    rng = np.random.default_rng(0)
    for num in (1, 5, 19):
        size = rng.exponential(size=20) ** 4
        found = _probabilities(size, num)
        np.testing.assert_allclose(found.sum(), num)
        assert (found <= 1).all()
        ratio = (found / size)[found < 1]
        np.testing.assert_allclose(ratio, ratio.max(initial=0))
        assert (size[found == 1] >= size[found < 1].max(initial=0)).all()


def test_a_member_has_the_same_bits_in_any_company() -> None:
    three = [network(3, [8, 8], seed) for seed in range(3)]
    keys = jax.random.split(jax.random.key(3), 3)
    options = {"num_samples": 40, "num_replicates": 10}
    domain = jg.box(-1, 1, dim=3)
    population = jax.tree.map(lambda *arrays: np.stack(arrays), *three)
    together = jg.estimate_regions(keys, population, domain, **options)
    assert together.estimate.shape == (3,)
    for index, one in enumerate(three):
        alone = jg.estimate_regions(keys[index], one, domain, **options)
        assert jax.tree.map(lambda array, index=index: array[index], together) == alone
    one_key = jg.estimate_regions(jax.random.key(3), population, domain, **options)
    first = jg.estimate_regions(jax.random.key(3), jax.tree.map(lambda array: array[:2], population), domain, **options)
    np.testing.assert_array_equal(one_key.estimate[:2], first.estimate)
    old_style = jg.estimate_regions(jax.random.PRNGKey(3), population, domain, **options)
    np.testing.assert_array_equal(old_style.estimate, one_key.estimate)


def test_members_that_are_not_finite() -> None:
    layers = network(3, [4], 0)
    population = jax.tree.map(lambda array: np.stack([array, array * np.nan]), layers)
    found = estimate(population, 3)
    assert found.estimate[0] == estimate(layers, 3).estimate
    assert np.isnan([found.estimate[1], found.upper[1]]).all()
    assert found.lower[1] == -1
    with pytest.raises(ValueError, match="NaN or infinite"):
        estimate(jax.tree.map(lambda array: array[1], population), 3)
    empty = estimate(jax.tree.map(lambda array: array[:0], population), 3)
    assert empty.estimate.shape == (0,)


def test_no_hidden_layer_is_one_region() -> None:
    found = estimate((jg.Dense(np.ones((3, 1)), np.zeros(1)),), 3)
    assert found.estimate == found.lower == found.upper == 1


@pytest.mark.parametrize(
    ("dim", "widths"), [(2, [4, 4]), (4, [4, 4]), (2, [20, 20, 20]), (784, [11, 11]), (784, [4, 18])]
)
def test_upper_bound_is_serras_where_all_units_may_cut(dim: int, widths: list[int]) -> None:
    layers = tuple(layer._replace(bias=0 * layer.bias) for layer in network(dim, widths, 0))
    assert upper_bound(layers, jg.box(-1, 1, dim=dim)) == jg.serra_2018(widths, dim)


def test_upper_bound_sees_what_cannot_cut() -> None:
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(3, 6))
    out = jg.Dense(np.ones((6, 1)), np.zeros(1))
    domain = jg.box(-1, 1, dim=3)
    always = np.array([0, 0, 0, 0, 100.0, -100.0])
    assert upper_bound((jg.Dense(kernel, always), out), domain) == jg.zaslavsky(4, 3)
    kernel[:, 1] = -4 * kernel[:, 0]
    assert upper_bound((jg.Dense(kernel, always), out), domain) == jg.zaslavsky(3, 3)
    # Behind one unit that is always active and one that never is, the image is a segment.
    narrow = jg.Dense(rng.normal(size=(3, 2)), np.array([100.0, -100.0]))
    second = jg.Dense(rng.normal(size=(2, 5)) + np.array([[1.0], [0.0]]), rng.normal(size=5) - 100)
    assert upper_bound((narrow, second, jg.Dense(np.ones((5, 1)), np.zeros(1))), domain) <= 1 + 5
    leaky = tuple(layer._replace(bias=0 * layer.bias) for layer in network(3, [6, 6], 0))
    leaky = jg.networks.layers.with_activation(leaky, "leaky_relu")
    assert upper_bound(leaky, domain) == jg.zaslavsky(6, 3) ** 2


def test_rounding_up() -> None:
    for number in (0, 1, 2**53 + 1, 2**80 + 1, 3**100):
        assert rounded_up(number) >= number
        assert Fraction(rounded_up(number)) <= Fraction(number) * (1 + Fraction(1, 2**52))
    assert rounded_up(10**400) == np.inf


def test_what_is_refused(unchecked: None) -> None:
    layers = network(3, [4], 0)
    with pytest.raises(TypeError, match=r"jaxgeom\.box"):
        jg.estimate_regions(jax.random.key(0), layers, jg.whole_plane())
    with pytest.raises(ValueError, match=r"takes 3 inputs\. Give jaxgeom\.box\(low, high, dim=3\)"):
        estimate(layers, 2)
    with pytest.raises(ValueError, match="at least 10"):
        estimate(layers, 3, num_replicates=2)
    with pytest.raises(ValueError, match="at least 2 for each"):
        estimate(layers, 3, num_samples=40)
    with pytest.raises(TypeError, match="key"):
        jg.estimate_regions(0, layers, jg.box(-1, 1, dim=3))
    with pytest.raises(ValueError, match="one key, or one for each"):
        jg.estimate_regions(jax.random.split(jax.random.key(0), 2), layers, jg.box(-1, 1, dim=3))
    with pytest.raises(TypeError, match="traced"):
        jax.jit(lambda x: estimate(x, 3))(layers)
