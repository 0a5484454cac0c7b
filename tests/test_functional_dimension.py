"""Functional dimension against ranks in fractions, closed forms and symmetries."""

from fractions import Fraction
from itertools import pairwise

import jax
import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom.analysis.finite_fields import PRIMES, echelon, product, residues
from jaxgeom.analysis.functional_dimension import _patterns_at


def network(dim: int, widths: list[int], seed: int, num_out: int = 1) -> jg.Layers:
    rng = np.random.default_rng(seed)
    layers = []
    for before, after in zip([dim, *widths], [*widths, num_out], strict=True):
        layers.append(jg.Dense(rng.normal(size=(before, after)), rng.normal(size=after)))
    return tuple(layers)


def fraction_rank(rows: list[list[Fraction]]) -> int:
    rows, rank = [list(row) for row in rows], 0
    for column in range(len(rows[0])):
        at = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
        if at is None:
            continue
        rows[rank], rows[at] = rows[at], rows[rank]
        for i in range(rank + 1, len(rows)):
            if rows[i][column]:
                factor = rows[i][column] / rows[rank][column]
                rows[i] = [x - factor * y for x, y in zip(rows[i], rows[rank], strict=True)]
        rank += 1
    return rank


def derivative_rows(layers: jg.Layers, point: list[Fraction], slope: Fraction = Fraction(0)) -> list[list[Fraction]]:
    """Derivatives of the outputs at a point with respect to one parameter after the other, by dual numbers."""
    shapes = [(layer.kernel.shape, layer.bias.shape) for layer in layers]
    columns = []
    for layer_index, (kernel_shape, bias_shape) in enumerate(shapes):
        places = [("kernel", i, j) for i in range(kernel_shape[0]) for j in range(kernel_shape[1])]
        places += [("bias", 0, j) for j in range(bias_shape[0])]
        for kind, row, column in places:
            value, tangent = point, [Fraction(0)] * len(point)
            for index, layer in enumerate(layers):
                z, dz = [], []
                for j in range(layer.bias.shape[0]):
                    weights = [Fraction(w) for w in layer.kernel[:, j].tolist()]
                    z.append(sum((w * x for w, x in zip(weights, value, strict=True)), Fraction(layer.bias[j].item())))
                    d = sum((w * t for w, t in zip(weights, tangent, strict=True)), Fraction(0))
                    if index == layer_index and j == column:
                        d += value[row] if kind == "kernel" else 1
                    dz.append(d)
                if index < len(layers) - 1:
                    dz = [d if x > 0 else slope * d for d, x in zip(dz, z, strict=True)]
                    z = [x if x > 0 else slope * x for x in z]
                value, tangent = z, dz
            columns.append(tangent)
    return [list(row) for row in zip(*columns, strict=True)]


def points_in_all_regions(layers: jg.Layers, domain: jg.Box) -> np.ndarray:
    """Three random points in each region, far from a line."""
    rng = np.random.default_rng(0)
    complex_ = jg.enumerate_regions(layers, domain)
    found = []
    for start, stop in pairwise(complex_.face_offsets):
        corners = complex_.vertices[complex_.face_vertices[start:stop]]
        found += [rng.dirichlet(np.ones(len(corners))) @ corners for _ in range(3)]
    return np.array(found)


@pytest.mark.parametrize(("widths", "num_out"), [([3], 1), ([2], 2), ([2, 2], 1), ([3, 2], 1), ([1, 2], 1)])
def test_ranks_are_those_in_fractions(widths: list[int], num_out: int) -> None:
    for seed in range(3):
        layers = network(2, widths, seed, num_out)
        domain = jg.box(-2, 2)
        points = points_in_all_regions(layers, domain)
        rows = [row for point in points for row in derivative_rows(layers, [Fraction(x) for x in point.tolist()])]
        truth = fraction_rank(rows)
        assert jg.functional_dimension(layers, domain).dimension == truth
        assert jg.batch_functional_dimension(layers, points).dimension == truth
        few = points[:4]
        rows = [row for point in few for row in derivative_rows(layers, [Fraction(x) for x in point.tolist()])]
        assert jg.batch_functional_dimension(layers, few).dimension == fraction_rank(rows)


def test_leaky_units_in_fractions() -> None:
    layers = network(2, [3], 1)
    points = np.random.default_rng(0).uniform(-2, 2, (12, 2))
    rows = [r for p in points for r in derivative_rows(layers, [Fraction(x) for x in p.tolist()], Fraction(1, 4))]
    assert jg.batch_functional_dimension(layers, points, activation=0.25).dimension == fraction_rank(rows)


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("num_out", [1, 3])
def test_one_hidden_layer_in_the_plane_has_no_symmetries_but_scalings(width: int, num_out: int) -> None:
    found = jg.functional_dimension(network(2, [width], width, num_out), jg.whole_plane())
    assert found.dimension == found.upper == found.num_params - width
    assert found.is_certain
    assert found.float_dimension == found.dimension
    assert found.gap > 1e6


def test_dead_units_lose_their_parameters_and_twins_three() -> None:
    first, last = network(2, [4], 0)
    whole = jg.functional_dimension((first, last), jg.whole_plane()).dimension
    bias = np.append(first.bias[:3], -1000.0)
    crossing = jg.Dense(first.kernel, np.append(0.1 * first.bias[:3], -1000.0))
    dead = jg.functional_dimension((crossing, last), jg.box(-1, 1))
    assert dead.dimension == dead.upper == whole - 3  # of four parameters, one is a scaling
    # A unit that is active everywhere: its affine function is known up to the constant, which the last bias shares.
    always = jg.functional_dimension((jg.Dense(crossing.kernel, -bias * [0.1, 0.1, 0.1, 1]), last), jg.box(-1, 1))
    assert always.dimension == always.upper == whole - 1
    twins = jg.Dense(first.kernel[:, [0, 1, 2, 0]], first.bias[[0, 1, 2, 0]])
    found = jg.functional_dimension((twins, last), jg.whole_plane())
    assert found.dimension == whole - 3
    assert found.upper >= found.dimension
    off = jg.functional_dimension((first, last._replace(kernel=last.kernel * [[1], [1], [1], [0]])), jg.whole_plane())
    assert off.dimension == whole - 2  # of a unit without a way out, only that way counts


def test_linear_networks_have_the_dimension_of_matrices_of_bounded_rank() -> None:
    """Maps through a bottleneck of r units: r (m + n - r), and n for the constant."""
    for dim, width, num_out in [(2, 1, 3), (2, 2, 2), (3, 2, 3)]:
        layers = network(dim, [width], 0, num_out)
        points = np.random.default_rng(0).normal(size=(20, dim))
        found = jg.batch_functional_dimension(layers, points, activation="linear")
        assert found.dimension == width * (dim + num_out - width) + num_out
        assert found.is_certain


def test_without_hidden_layer_it_is_the_number_of_parameters() -> None:
    found = jg.functional_dimension(network(2, [], 0, 3), jg.box(-1, 1))
    assert found.dimension == found.upper == found.num_params == 9


@pytest.mark.parametrize("dim", [1, 3])
def test_other_dimensions(dim: int) -> None:
    layers = network(dim, [3], 1)
    layers = (layers[0]._replace(bias=0.1 * layers[0].bias), layers[1])  # all units bend in the box
    found = jg.functional_dimension(layers, jg.box(-1, 1, dim=dim))
    assert found.dimension == found.upper == found.num_params - 3


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_scales_that_float64_cannot_do(scale: float) -> None:
    first, last = network(2, [4], 0)
    scaled = (first, last._replace(kernel=last.kernel * scale))
    assert jg.functional_dimension(scaled, jg.whole_plane()).dimension == 13
    assert jg.functional_dimension(scaled, jg.whole_plane()).is_certain


def test_signs_at_points_are_exact() -> None:
    kernel = np.array([[1.0], [1e-20]])
    layers = (jg.Dense(kernel, np.array([-1.0])), jg.Dense(np.ones((1, 1)), np.zeros(1)))
    points = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 0.0], [2.0, 0.0]])
    assert _patterns_at(layers, points)[:, 0].tolist() == [True, False, False, True]


def test_populations() -> None:
    three = [network(2, [4], seed) for seed in range(3)]
    population = jax.tree.map(lambda *arrays: np.stack(arrays), *three)
    population[0].kernel[1] = np.nan
    found = jg.functional_dimension(population, jg.box(-1, 1))
    assert found.dimension[1] == -1
    assert not found.is_certain[1]
    for index in (0, 2):
        alone = jg.functional_dimension(three[index], jg.box(-1, 1))
        assert jax.tree.map(lambda array, index=index: array[index], found) == alone
    with pytest.raises(ValueError, match="NaN or infinite"):
        jg.functional_dimension(jax.tree.map(lambda array: array[1], population), jg.box(-1, 1))


def test_what_is_refused(unchecked: None) -> None:
    with pytest.raises(ValueError, match="more parameters"):
        jg.functional_dimension(network(2, [4], 0), jg.box(-1, 1), activation="hard_tanh")
    with pytest.raises(ValueError, match=r"two inputs are needed, but the first layer takes 3"):
        jg.functional_dimension(network(3, [4], 0), jg.whole_plane())
    with pytest.raises(ValueError, match="points"):
        jg.batch_functional_dimension(network(3, [4], 0), np.zeros((4, 2)))


@pytest.mark.parametrize("prime", PRIMES)
def test_arithmetic_modulo_primes(prime: int) -> None:
    assert all(prime % d for d in range(2, 46341))
    values = np.array([1.5, -0.1, 1e300, 5e-324, 0.0, -(2.0**70)])
    for value, found in zip(values.tolist(), residues(values, prime).tolist(), strict=True):
        n, d = value.as_integer_ratio()
        assert (found * d - n) % prime == 0
        assert 0 <= found < prime
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, prime, (3, 4, 50)), rng.integers(0, prime, (50, 5))
    exact = (a.astype(object) @ b.astype(object)) % prime
    np.testing.assert_array_equal(product(a, b, prime), exact.astype(np.int64))
    rows = rng.integers(-3, 4, (6, 3)) @ rng.integers(-3, 4, (3, 8))
    assert len(echelon(rows, prime)) == fraction_rank([[Fraction(int(x)) for x in row] for row in rows])
