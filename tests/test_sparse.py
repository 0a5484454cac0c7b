"""Networks with sparse kernels on planes: the same regions as of their dense equivalents, and as in rationals."""

import itertools

import numpy as np
import pytest
import reference
import scipy.sparse

import jaxgeom as jg
from jaxgeom.host.sparse import SparseKernel

SQUARE = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
KINDS = {"real": lambda x: x, "quarters": lambda x: np.round(4 * x) / 4, "halves": lambda x: np.round(2 * x) / 2}


def networks(rng, widths, kind, slopes=(0.0,), has_bias=True, scale=1.0):
    """A network of which about half of the weights are zero, with dense and with sparse kernels."""
    dense, sparse = [], []
    sizes = list(itertools.pairwise([2, *widths, 2]))
    for index, (inputs, units) in enumerate(sizes):
        kernel = KINDS[kind](rng.normal(size=(inputs, units)))
        if index:
            kernel = kernel * (rng.random(kernel.shape) < 0.5) * scale
        bias = KINDS[kind](rng.normal(size=units)) * has_bias
        slope = None if index == len(sizes) - 1 else rng.choice(slopes, units)
        dense.append(jg.Dense(kernel, bias, slope))
        kernel = scipy.sparse.csr_array(kernel) if index % 3 != 0 else kernel
        sparse.append(jg.Dense(kernel, bias, slope))
    return tuple(dense), tuple(sparse)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("widths", [[5, 4], [3, 6, 4], [4, 4, 4, 4]])
def test_counts_are_those_of_rational_arithmetic(widths, kind):
    for seed in range(4):
        dense, sparse = networks(np.random.default_rng(seed), widths, kind, has_bias=seed != 3)
        relu = tuple(jg.Dense(kernel, bias) for kernel, bias, _ in dense)
        found = jg.count_regions(sparse, jg.box(-1, 1))
        assert found.count == reference.exact_region_count(relu, SQUARE)
        assert found.degenerate == jg.count_regions(dense, jg.box(-1, 1)).degenerate


@pytest.mark.parametrize("slopes", [(0.0,), (0.0, 0.1, -1.0, 1.0)], ids=["relu", "all"])
@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_are_pooled_have_the_same_weights(kind, slopes):
    """A dense layer behind averages, a quarter of whose rows are repeated: what they hand on is added up first."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        first, second = KINDS[kind](rng.normal(size=(2, 12))), KINDS[kind](rng.normal(size=(12, 8)))
        third = np.repeat(KINDS[kind](rng.normal(size=(2, 3))), 4, axis=0)[rng.permutation(8)]
        kernels = [first, second * (rng.random(second.shape) < 0.5), third, rng.normal(size=(3, 2))]
        biases = [KINDS[kind](rng.normal(size=kernel.shape[1])) for kernel in kernels]
        slope = [rng.choice(slopes, len(bias)) for bias in biases[:-1]] + [None]
        dense = tuple(map(jg.Dense, kernels, biases, slope))
        sparse = (dense[0], dense[1]._replace(kernel=scipy.sparse.csr_array(kernels[1])), *dense[2:])
        count = jg.count_regions(sparse, jg.box(-2, 2))
        if len(slopes) == 1:
            assert count.count == reference.exact_region_count(tuple(map(jg.Dense, kernels, biases)), 2 * SQUARE)
        found, wanted = jg.enumerate_regions(sparse, jg.box(-2, 2)), jg.enumerate_regions(dense, jg.box(-2, 2))
        assert count.count == found.num_faces
        np.testing.assert_array_equal(found.patterns, wanted.patterns)
        np.testing.assert_allclose(found.gradient, wanted.gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("domain", [jg.box(-1, 1), jg.box(-40, 60), jg.whole_plane()], ids=["box", "far", "plane"])
@pytest.mark.parametrize("slopes", [(0.0,), (0.0, 1.0), (0.0, 0.1, -1.0, 1.0)], ids=["relu", "skips", "all"])
@pytest.mark.parametrize("kind", KINDS)
def test_complexes_are_those_of_dense_kernels(kind, slopes, domain):
    rng = np.random.default_rng(5)
    for _ in range(6):
        dense, sparse = networks(rng, rng.integers(2, 14, rng.integers(1, 5)).tolist(), kind, slopes)
        found, wanted = jg.enumerate_regions(sparse, domain), jg.enumerate_regions(dense, domain)
        jg.check_complex(found)
        assert found.degenerate == wanted.degenerate
        np.testing.assert_array_equal(found.patterns, wanted.patterns)
        np.testing.assert_allclose(found.gradient, wanted.gradient, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.area, wanted.area, rtol=1e-9)
        assert jg.count_regions(sparse, domain).count == found.num_faces


@pytest.mark.parametrize("scale", [2.0**-1060, 2.0**-900, 2.0**-200, 2.0**200, 2.0**900])
def test_weights_of_any_size(scale):
    """Those of one layer and its biases, so that the regions stay the same, as far as float64 holds the numbers."""
    dense, sparse = (list(layers) for layers in networks(np.random.default_rng(1), [9, 8, 7], "real"))
    for layers in (dense, sparse):
        _, (kernel, bias, slope), after, _ = layers
        layers[1] = jg.Dense(kernel * scale, bias * scale, slope)
        if scale > 2.0**-1000:
            layers[2] = jg.Dense(after.kernel / scale, after.bias, after.slope)
    dense, sparse = tuple(dense), tuple(sparse)
    domain = jg.box(-1, 1)
    assert jg.count_regions(sparse, domain).count == jg.count_regions(dense, domain).count > 8


@pytest.mark.parametrize("small", [1e-60, 1e-150, 1e-200])
def test_units_that_float64_cannot_scale_are_no_zeros(small):
    """Beside units of 1e200, those of 1e-200 vanish in floating point, but not in exact arithmetic."""
    rng = np.random.default_rng(0)
    scale = np.where(np.arange(12) % 2, 1 / small, small)
    first = jg.Dense(rng.uniform(-1, 1, (2, 12)) * scale, rng.uniform(-1, 1, 12) * scale)
    kernel = rng.normal(size=(12, 6)) / scale[:, None]
    kernels = kernel, scipy.sparse.csr_array(kernel)
    last = jg.Dense(rng.normal(size=(6, 1)), np.zeros(1))
    dense, sparse = (jg.count_regions((first, jg.Dense(each, np.zeros(6)), last), jg.box(-1, 1)) for each in kernels)
    assert dense == sparse
    assert dense.count > 50


def test_deep_networks():
    dense, sparse = networks(np.random.default_rng(2), [12] * 12, "real", scale=0.6)
    found = jg.count_regions(sparse, jg.box(-1, 1))
    assert found.count == jg.count_regions(dense, jg.box(-1, 1)).count > 50


def test_what_is_zero_everywhere_costs_nothing_and_is_said():
    """The maximum of two units that are both off is a difference of zeros."""
    pairs = scipy.sparse.csr_array(np.array([[1.0, 0.0], [-1.0, 1.0]]))
    first = jg.Dense(np.eye(2), np.array([-1.0, -1.0]))
    layers = (first, jg.Dense(pairs, np.zeros(2), np.array([0.0, 1.0])), jg.Dense(np.ones((2, 1)), np.zeros(1)))
    assert jg.count_regions(layers, jg.box(-1, 1)) == (1, True, None, None)
    # beyond (1, 1) there is a corner, in which x > y is asked for
    assert jg.count_regions(layers, jg.box(0, 3)).count == 5


def test_outputs_and_slices():
    rng = np.random.default_rng(3)
    first = scipy.sparse.random_array((30, 12), density=0.3, rng=rng, data_sampler=rng.normal).tocsr()
    second = rng.normal(size=(12, 2))
    layers = (jg.Dense(first, rng.normal(size=12)), jg.Dense(second, np.zeros(2)))
    dense = (jg.Dense(first.toarray(), layers[0].bias), layers[1])
    x = rng.normal(size=(50, 30))
    np.testing.assert_allclose(jg.forward(layers, x).output, jg.forward(dense, x).output, rtol=1e-12)
    plane = jg.plane_through(*x[:3])
    part, same = jg.on_plane(layers, plane), jg.on_plane(dense, plane)
    np.testing.assert_allclose(part[0].kernel, same[0].kernel, rtol=1e-12)
    assert jg.count_regions(part, jg.box(-5, 5)).count == jg.count_regions(same, jg.box(-5, 5)).count


def test_several_planes_of_one_network_are_a_population():
    rng = np.random.default_rng(6)
    kernels = [scipy.sparse.random_array((a, b), density=0.4, rng=rng, data_sampler=rng.normal).tocsr()
               for a, b in ((9, 12), (12, 10), (10, 2))]  # fmt: skip
    layers = tuple(jg.Dense(kernel, rng.normal(size=kernel.shape[1])) for kernel in kernels)
    planes = [jg.plane_through(*rng.normal(size=(3, 9))) for _ in range(4)]
    together = jg.count_regions(jg.on_plane(layers, planes), jg.box(-3, 3)).count
    assert together.tolist() == [
        int(jg.count_regions(jg.on_plane(layers, each), jg.box(-3, 3)).count) for each in planes
    ]
    assert len(set(together.tolist())) > 2


def test_other_functions_take_small_ones():
    dense, sparse = networks(np.random.default_rng(4), [6, 5], "real")
    one, same = (jg.breakpoints(layers, np.array([-1.0, 0.3]), np.array([1.0, 0.2])) for layers in (sparse, dense))
    np.testing.assert_array_equal(one.t, same.t)


def test_large_ones_say_what_takes_them():
    wide = scipy.sparse.eye_array(20_000).tocsr()
    layers = (jg.Dense(wide, np.zeros(20_000)), jg.Dense(wide[:, :1], np.zeros(1)))
    with pytest.raises(ValueError, match=r"on a slice with two inputs"):
        jg.layers_of(layers)
    start = np.zeros(20_000)
    plane = jg.plane_through(start, start + (np.arange(20_000) < 7), start + (np.arange(20_000) > 19_990))
    assert jg.count_regions(jg.on_plane(layers, plane), jg.box(-1, 1)).count == 4
    broken = wide.copy()
    broken.data[5] = np.nan
    with pytest.raises(ValueError, match="layer 0 of the network has NaN"):
        jg.count_regions(jg.on_plane((jg.Dense(broken, np.zeros(20_000)), layers[1]), plane), jg.box(-1, 1))


def test_kernels_of_populations():
    each = [networks(np.random.default_rng(seed), [6, 5], "real")[1] for seed in range(3)]
    kernels = [np.stack([network[0].kernel for network in each])]
    kernels.append(SparseKernel([network[1].kernel for network in each], is_population=True))
    kernels.append(SparseKernel([network[2].kernel for network in each], is_population=True))
    biases = [np.stack([network[index].bias for network in each]) for index in range(3)]
    population = tuple(map(jg.Dense, kernels, biases))
    counts = jg.count_regions(population, jg.box(-1, 1)).count.tolist()
    relu = [tuple(jg.Dense(kernel, bias) for kernel, bias, _ in network) for network in each]
    assert counts == [int(jg.count_regions(network, jg.box(-1, 1)).count) for network in relu]
    assert [found.num_faces for found in jg.enumerate_population(population, jg.box(-1, 1), chunk_size=2)] == counts


@pytest.mark.parametrize(
    ("numbers", "error"),
    [(np.array([2**60 + 1]), ValueError), (np.array([True]), TypeError), (np.array([1j]), TypeError)],
    ids=["long", "truth", "complex"],
)
def test_numbers_that_float64_does_not_hold_are_refused(numbers, error):
    kernel = scipy.sparse.csr_array((numbers, [0], [0, 1, 1]), shape=(2, 1))
    layers = (jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(kernel, np.zeros(1)))
    with pytest.raises(error, match="the weights of a sparse kernel must be"):
        jg.count_regions(layers, jg.box(-1, 1))
