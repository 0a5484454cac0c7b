"""Which faces have one affine map: against maps in fractions, where rounding and tiny weights would mislead."""

from fractions import Fraction

import jax
import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom.regions import labels
from jaxgeom.regions.labels import _PRIMES, residues

SQUARE = jg.box()


def exact_maps(layers: jg.Layers, patterns: np.ndarray) -> list[tuple]:
    """The outputs of each face as functions of x, y and 1."""
    found = []
    for pattern in patterns:
        rows, before = [[Fraction(int(i == j)) for j in range(3)] for i in range(2)], 0
        for depth, (kernel, bias, slope) in enumerate(layers):
            rows = [
                [
                    sum((Fraction(float(w)) * row[k] for w, row in zip(column, rows, strict=True)), Fraction(0))
                    + (Fraction(float(b)) if k == 2 else 0)
                    for k in range(3)
                ]
                for column, b in zip(np.asarray(kernel).T, np.asarray(bias), strict=True)
            ]
            if depth < len(layers) - 1:
                factors = np.where(pattern[before : before + len(bias)], 1.0, 0.0 if slope is None else slope)
                rows = [[Fraction(float(s)) * x for x in row] for s, row in zip(factors, rows, strict=True)]
                before += len(bias)
        found.append(tuple(map(tuple, rows)))
    return found


def first_equal(maps: list[tuple]) -> np.ndarray:
    number: dict[tuple, int] = {}
    return np.array([number.setdefault(one, len(number)) for one in maps])


def network(seed: int, widths: tuple[int, ...], values: list[float] | None, factor: float) -> jg.Layers:
    """Random layers; every second unit of the last hidden one reaches the output by a tiny weight, or not at all."""
    rng = np.random.default_rng(seed)
    layers, fan_in = [], 2
    for width in (*widths, 1):
        shapes = (fan_in, width), (width,)
        layers.append(jg.Dense(*(rng.normal(size=s) if values is None else rng.choice(values, s) for s in shapes)))
        fan_in = width
    kernel, bias, _ = layers[-1]
    return (*layers[:-1], jg.Dense(kernel * np.where(np.arange(fan_in) % 2, 1.0, factor)[:, None], bias))


@pytest.mark.slow
@pytest.mark.parametrize("cut_output", [False, True])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "abs", "hard_tanh"])
@pytest.mark.parametrize("factor", [1.0, 0.0, 1e-14, 1e-200])
def test_labels_are_those_of_exact_maps(factor: float, activation: str, cut_output: bool) -> None:
    for seed, widths in enumerate([(6,), (5, 4), (4, 3, 3)]):
        for values in (None, [-1.0, -0.5, 0.0, 0.5, 1.0]):
            layers = network(seed, widths, values, factor)
            found = jg.enumerate_regions(layers, SQUARE, activation=activation, cut_output=cut_output)
            maps = exact_maps(found.layers, found.patterns)
            computed = np.concatenate([found.gradient, found.intercept[..., None]], axis=-1)
            np.testing.assert_allclose(computed, np.array(maps, np.float64), rtol=1e-9, atol=1e-14)
            if activation == "relu":  # nothing is rewritten
                for one, given in zip(jax.tree.leaves(found.layers), jax.tree.leaves(layers), strict=True):
                    np.testing.assert_array_equal(one, given)
            right = first_equal(maps)
            np.testing.assert_array_equal(jg.region_labels(found, "map"), right)
            options = {"activation": activation, "cut_output": cut_output}
            assert jg.count_regions(layers, SQUARE, kind="map", **options).count == right.max() + 1
            linear = jg.region_labels(found, "linear")
            inner = found.edge_faces[(found.edge_faces >= 0).all(axis=1)]
            same = right[inner[:, 0]] == right[inner[:, 1]]
            np.testing.assert_array_equal(linear[inner[:, 0]] == linear[inner[:, 1]], same)
            assert jg.count_regions(layers, SQUARE, kind="linear", **options).count == linear.max() + 1
            for kind in ("linear", "map"):  # which the outputs' zero sets do not part
                plain = jg.count_regions(layers, SQUARE, kind=kind, activation=activation)
                assert jg.count_regions(layers, SQUARE, kind=kind, **options).count == plain.count


def exact_linear_count(layers: jg.Layers, found: jg.PlanarComplex) -> int:
    """Faces joined one by one across edges where their maps in fractions are equal."""
    maps, group = exact_maps(layers, found.patterns), list(range(found.num_faces))
    for a, b in found.edge_faces.tolist():
        if a >= 0 and b >= 0 and maps[a] == maps[b]:
            group = [group[a] if g == group[b] else g for g in group]
    return len(set(group))


@pytest.mark.parametrize("slope", [0.0, -1.0, 0.25])
def test_counts_of_populations(slope: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks with few weights that are not zero, some of them dead further on; one is not finite."""
    networks = [
        network(seed, (5, 4), [-1.0, 0.0, 0.0, 0.5, 1.0] if seed % 3 else None, [0.0, 1e-14, 1.0][seed % 2])
        for seed in range(14)
    ]
    population = jax.tree.map(lambda *arrays: np.stack(arrays), *networks)
    population = jg.networks.layers.with_activation(population, slope)
    alone = [jax.tree.map(lambda array: array[i], population) for i in range(14)]  # noqa: B023
    expected = [exact_linear_count(one, jg.enumerate_regions(one, SQUARE)) for one in alone]
    population[0].kernel[3] = np.nan
    expected[3] = -1
    for at_once in (2**19, 40, 1):
        monkeypatch.setattr(labels, "_NUMBERS_AT_ONCE", at_once)
        found = jg.count_regions(population, SQUARE, kind="linear")
        assert found.count.tolist() == expected
    assert (found.count < jg.count_regions(population, SQUARE).count).sum() > 3


def test_tiny_weights_make_maps_differ() -> None:
    first = jg.Dense(np.eye(2), np.zeros(2))
    for tiny in (1e-12, 1e-17, 1e-100, 1e-310):
        layers = (first, jg.Dense(np.array([[1.0], [tiny]]), np.zeros(1)))
        counts = [int(jg.count_regions(layers, SQUARE, kind=kind).count) for kind in ("activation", "linear", "map")]
        assert counts == [4, 4, 4]


def test_units_that_do_not_reach_the_output_make_no_maps() -> None:
    kernel = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    layers = (jg.Dense(kernel, np.array([0.0, -0.3, 9.0])), jg.Dense(np.array([[0.1], [0.0], [0.3]]), np.zeros(1)))
    assert int(jg.count_regions(layers, SQUARE).count) == 3
    assert int(jg.count_regions(layers, SQUARE, kind="map").count) == 2


def test_residues() -> None:
    numbers = np.array([0.0, 1.0, -1.0, 0.1, -3.7, 5e-324, 1.7e308, 2.0**-1074 * 3, 12345678.9, 2.0**60])
    for prime in _PRIMES:
        right = []
        for number in numbers:
            above, below = number.as_integer_ratio()
            right.append(above * pow(below, -1, prime) % prime)
        np.testing.assert_array_equal(residues(numbers, prime), right)
    assert all(prime % divisor for prime in _PRIMES for divisor in range(2, 1449))


def test_labels_need_the_network() -> None:
    found = jg.enumerate_regions(network(0, (4,), None, 1.0), SQUARE)
    assert all(a is not None for a in jax.tree.leaves(found.layers))
    with pytest.raises(ValueError, match="does not say which network"):
        jg.region_labels(found._replace(layers=None), "map")
