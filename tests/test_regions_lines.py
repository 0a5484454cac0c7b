"""Breakpoints along lines, by the engine and in integers, against a walk in rationals."""

import itertools
import math
import warnings
from fractions import Fraction

import jax
import numpy as np
import pytest
import reference

from jaxgeom import Dense
from jaxgeom.engine import library
from jaxgeom.regions.breakpoints import breakpoints
from jaxgeom.regions.lines import lines_of
from jaxgeom.regions.polylines import polyline_breakpoints

KINDS = ("segment", "line")
WIDTHS = (2, 8, 8, 2)
LARGEST = Fraction(np.finfo(np.float64).max)


def network(rng, widths=WIDTHS, bias=1.0):
    """PyTorch's default initialisation, biases times a factor."""
    return tuple(
        Dense(rng.uniform(-1, 1, (a, b)) / math.sqrt(a), bias * rng.uniform(-1, 1, b) / math.sqrt(a))
        for a, b in itertools.pairwise(widths)
    )


def integer_network(rng, widths=WIDTHS):
    """Weights in {-1, -½, 0, ½, 1}."""
    return tuple(
        Dense(rng.integers(-2, 3, (a, b)) / 2, rng.integers(-2, 3, b) / 2) for a, b in itertools.pairwise(widths)
    )


def population_of(networks):
    return jax.tree.map(lambda *arrays: np.stack(arrays), *networks)


def member(layers, *index):
    return tuple(Dense(kernel[index], bias[index]) for kernel, bias, *_ in layers)


def at(found, *index):
    return jax.tree.map(lambda array: np.asarray(array)[index], found)


def values(layers, start, stop, t):
    """Outputs of a ReLU network at places on a line."""
    return reference.forward(layers, start + np.asarray(t)[:, None] * (stop - start))[0]


def along(found, t):
    """The same by the affine maps that were found."""
    piece = np.searchsorted(found.t, t)
    return found.slope[piece] * np.asarray(t)[:, None] + found.intercept[piece]


def check_line(found, layers, start, stop, kind="segment", rtol=1e-12):
    """One line, as NumPy arrays: breakpoints and maps are the truth's, and beyond them is padding."""
    expected, maps = reference.exact_breakpoints(layers, start, stop, infinite=kind == "line")
    count = int(found.count)
    assert count == len(expected)
    assert [(found.layer[i], found.unit[i]) for i in range(count)] == [point[1:] for point in expected]
    np.testing.assert_allclose(found.t[:count], [float(point.t) for point in expected], rtol, rtol)
    maps = np.array(maps, np.float64)
    np.testing.assert_allclose(found.slope[: count + 1], maps[..., 0], rtol, rtol)
    np.testing.assert_allclose(found.intercept[: count + 1], maps[..., 1], rtol, rtol)
    np.testing.assert_array_equal(found.valid, np.arange(len(found.t)) < count)
    assert np.all(found.t[count:] == np.inf)
    assert np.all(found.layer[count:] == -1)
    assert np.all(found.unit[count:] == -1)
    assert not found.slope[count + 1 :].any()
    assert not found.intercept[count + 1 :].any()
    assert not found.overflow


def check(networks, start, stop, kind="segment"):
    """One line for each network, by the engine and in integers: which are the truth's, and the same."""
    layers = population_of(networks)
    found = breakpoints(layers, start[:, None], stop[:, None], kind=kind)
    for index, one in enumerate(networks):
        check_line(at(found, index, 0), one, start[index], stop[index], kind)
    sets = tuple(np.asarray(points, np.float64)[:, None] for points in (start, stop))
    fast = lines_of(layers, sets, kind, has_ends=True)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        patch.setattr(library, "is_available", lambda: False)
        slow = lines_of(layers, sets, kind, has_ends=True)
    for name in ("counts", "layers", "units", "ends"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name), name)
    for name in ("t", "slope", "intercept"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), 1e-12, 1e-12, err_msg=name)
    return fast.degenerate, slow.degenerate


# The truth


@pytest.mark.parametrize("infinite", [False, True])
def test_the_walk_finds_the_network_and_all_its_changes(infinite):
    rng = np.random.default_rng(0)
    for layers in (network(rng), integer_network(rng), network(rng, (3, 4, 4, 4, 1))):
        start, stop = rng.integers(-4, 5, (2, len(layers[0].kernel))) / 4 + [[1 / 8], [0]]
        found, pieces = reference.exact_breakpoints(layers, start, stop, infinite=infinite)
        places = [point.t for point in found]
        assert places == sorted(set(places))
        ends = [min(places) - 1, *places, max(places) + 1] if infinite else [0, *places, 1]
        patterns = []
        for (left, right), outputs in zip(itertools.pairwise(ends), pieces, strict=True):
            inside = [left + (right - left) * Fraction(k, 7) for k in (1, 3, 6)]
            seen = set()
            for t in inside:
                point = [Fraction(a) + t * (Fraction(b) - Fraction(a)) for a, b in zip(start, stop, strict=True)]
                expected, z = reference.exact_forward(layers, point)
                assert [a * t + b for a, b in outputs] == expected
                seen.add(tuple(value > 0 for value in z))
            assert len(seen) == 1
            patterns += seen
        assert all(a != b for a, b in itertools.pairwise(patterns))


# Random networks


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_networks(kind, dtype):
    rng = np.random.default_rng(1)
    networks = [jax.tree.map(lambda a: a.astype(dtype), network(rng)) for _ in range(16)]
    start, stop = rng.uniform(-1, 1, (2, 16, 2)).astype(dtype)
    assert not np.any(check(networks, start, stop, kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("widths", [(40, 6, 3), (3, 5, 4, 2), (4, 2)])
def test_other_shapes(kind, widths):
    rng = np.random.default_rng(2)
    layers = network(rng, widths)
    start, stop = rng.uniform(-1, 1, (2, 3, widths[0]))
    found = breakpoints(layers, start, stop, kind=kind)
    assert not found.degenerate.any()
    for index in range(3):
        check_line(at(found, index), layers, start[index], stop[index], kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_maps_are_the_network(kind):
    rng = np.random.default_rng(3)
    layers = network(rng, (2, 40, 1))
    start, stop = rng.uniform(-1, 1, (2, 20, 2))
    found = breakpoints(layers, start, stop, kind=kind)
    for index in range(20):
        line = at(found, index)
        t = rng.uniform(0, 1, 100) if kind == "segment" else 10 * rng.standard_cauchy(100)
        expected = values(layers, start[index], stop[index], t)
        np.testing.assert_allclose(along(line, t), expected, 1e-12, 1e-12)
        inside = line.t[line.valid]
        left, right = (line.slope[i : len(inside) + i] * inside[:, None] for i in (0, 1))
        left, right = left + line.intercept[: len(inside)], right + line.intercept[1 : len(inside) + 1]
        np.testing.assert_allclose(left, right, 1e-12, 1e-12)  # continuous, with a kink
        assert np.all(np.abs(np.diff(line.slope[: len(inside) + 1], axis=0)) > 0)


# Counts that are known


@pytest.mark.parametrize("dim", [1, 40])
def test_generic_units_bend_an_infinite_line_once_each(dim):
    rng = np.random.default_rng(4)
    layers = network(rng, (dim, 40, 1))
    start, stop = rng.uniform(-1, 1, (2, 20, dim))
    found = breakpoints(layers, start, stop, kind="line")
    assert found.count.tolist() == [40] * 20
    assert np.all(np.sort(found.unit, axis=1) == np.arange(40))
    # a segment is bent by the units that have different signs at its ends
    at_ends = [end @ layers[0].kernel + layers[0].bias > 0 for end in (start, stop)]
    on_segment = breakpoints(layers, start, stop)
    np.testing.assert_array_equal(on_segment.count, (at_ends[0] != at_ends[1]).sum(axis=1))
    inside = (found.t > 0) & (found.t < 1)
    np.testing.assert_array_equal(on_segment.count, inside.sum(axis=1))
    np.testing.assert_allclose(on_segment.t[on_segment.valid], found.t[inside], 1e-10)


def tent(depth):
    """The tent map on [0, 1], composed with itself."""
    inner = np.array([[2.0, 2.0], [-4.0, -4.0]])
    first = Dense(np.array([[1.0, 1.0]]), np.array([0.0, -0.5]))
    return (first, *[Dense(inner, np.array([0.0, -0.5]))] * (depth - 1), Dense(inner[:, :1], np.zeros(1)))


def test_tent_maps_have_two_to_the_depth_pieces():
    zero, one = np.zeros(1), np.ones(1)
    for depth in (1, 2, 5, 9):
        found = breakpoints(tent(depth), zero, one)
        np.testing.assert_array_equal(found.t, np.arange(1, 2**depth) / 2**depth)
        np.testing.assert_array_equal(found.slope[:, 0], 2**depth * (-1.0) ** np.arange(2**depth))
    found = breakpoints(tent(4), zero, one)
    assert found.degenerate  # the line starts on a kink
    np.testing.assert_array_equal(found.t, np.arange(1, 16) / 16)
    # beyond [0, 1] there is one kink more at either end, and one way down after the last
    found = breakpoints(tent(4), zero - 0.3, one + 0.3)
    np.testing.assert_allclose(-0.3 + 1.6 * found.t, np.arange(17) / 16, atol=1e-14)
    assert found.slope[0] == 0
    unbounded = breakpoints(tent(4), zero - 0.3, one + 0.3, kind="line")
    assert unbounded.count == 17


# Ties


def degenerate_cases():
    """A network, a start and a stop for each of many kinds of ties, by name."""
    rng = np.random.default_rng(6)
    zero = np.zeros(2)
    found = {}
    for number in range(12):
        found[f"integers {number}"] = integer_network(rng), *rng.integers(-2, 3, (2, 2)) / 2 + [[0.25], [0]]
        found[f"integers on the lattice {number}"] = integer_network(rng), rng.integers(-2, 1, 2) / 2, np.ones(2)
    layers = network(rng, bias=0.0)
    found["no biases, from the origin"] = layers, zero, rng.uniform(-1, 1, 2)
    found["no biases, to the origin"] = layers, rng.uniform(-1, 1, 2), zero
    direction = rng.integers(-64, 65, 2) / 64
    found["no biases, through the origin"] = layers, -direction, direction
    found["no biases, past the origin"] = layers, *rng.uniform(-1, 1, (2, 2))
    first, second, last = network(rng)
    twice = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    found["duplicates"] = (Dense(first.kernel[:, twice], first.bias[twice]), second, last), *rng.uniform(-1, 1, (2, 2))
    sign = np.where(np.arange(8) < 4, 1, -1)
    found["± pairs"] = (
        (Dense(first.kernel[:, twice] * sign, first.bias[twice] * sign), second, last),
        *rng.uniform(-1, 1, (2, 2)),
    )
    found["duplicates in the second layer"] = (
        (first, Dense(second.kernel[:, twice] * sign, second.bias[twice] * sign), last),
        *rng.uniform(-1, 1, (2, 2)),
    )
    found["dead units"] = (first._replace(bias=first.bias - 3 * (np.arange(8) % 2)), second, last), -direction, zero + 1
    found["a dead layer"] = (first._replace(bias=first.bias - 9), second, last), *rng.uniform(-1, 1, (2, 2))
    found["a dead layer without biases after it"] = (
        (first._replace(bias=first.bias - 9), second._replace(bias=0 * second.bias), last),
        *rng.uniform(-1, 1, (2, 2)),
    )
    found["zero units"] = (
        (first, Dense(second.kernel * (np.arange(8) < 3), second.bias * (np.arange(8) < 3)), last),
        *rng.uniform(-1, 1, (2, 2)),
    )
    axes = np.tile(np.eye(2), 4)
    kinks = Dense(axes, np.array([0, 0, -0.5, -0.5, 0.25, 0.25, 0.25, -0.25]))
    found["along a unit's line"] = (kinks, second, last), np.array([-1.0, 0]), np.array([1.0, 0])
    found["along a unit's line, all small"] = (kinks, integer_network(rng)[1], last), -np.eye(2)[0], np.eye(2)[0]
    found["from kink to kink"] = (kinks, second, last), np.array([-0.25, 0.5]), np.array([0.5, -0.25])
    found["through the meeting points of kinks"] = (kinks, second, last), np.array([-1.0, -1]), np.array([1.0, 1])
    found["parallel to half of the kinks"] = (kinks, second, last), np.array([-1.0, 0.1]), np.array([1.0, 0.1])
    relu_of_relu = Dense(np.eye(8), np.zeros(8))
    found["the same kinks again"] = (first, relu_of_relu, last), *rng.uniform(-1, 1, (2, 2))
    for error in (0, 1e-16, 1e-15, 1e-13, 1e-11, 1e-8):
        start, stop = rng.uniform(-1, 1, (2, 2))
        places = start + rng.choice([0, 0.3, 0.7, 1], (8, 1)) * (stop - start)
        bias = -np.sum(first.kernel.T * places, axis=1) + error * rng.integers(-1, 2, 8)
        found[f"concurrent up to {error}"] = (Dense(first.kernel, bias), second, last), start, stop
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_ties(kind):
    cases = degenerate_cases()
    networks, start, stop = zip(*cases.values(), strict=True)
    fast, slow = check(networks, np.stack(start), np.stack(stop), kind)
    assert 0.3 < fast.mean() < 0.95
    differ = {name for name, *both in zip(cases, fast, slow, strict=True) if both[0] != both[1]}
    assert not differ


# Hard for floating-point numbers


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_scales(kind):
    """Weights, biases and lines of sizes whose products overflow and underflow in float64, as positions may."""
    rng = np.random.default_rng(10)
    for weights, biases, size in [
        (1e-170, 1.0, 1.0),
        (1e-36, 1e-30, 1e30),
        (1e100, 1e120, 1e-200),
        (1.0, 1e-300, 1e-300),
    ]:
        layers = tuple(Dense(weights * kernel, biases * bias) for kernel, bias, _ in network(rng))
        start, stop = size * rng.uniform(-1, 1, (2, 3, 2))
        found = breakpoints(layers, start, stop, kind=kind)
        for index in range(3):
            expected, _ = reference.exact_breakpoints(layers, start[index], stop[index], infinite=kind == "line")
            line = at(found, index)
            assert [(line.layer[i], line.unit[i]) for i in range(line.count)] == [point[1:] for point in expected]
            places = [float(t) if abs(t) < LARGEST else math.inf * (1 if t > 0 else -1) for t, *_ in expected]
            np.testing.assert_allclose(line.t[: line.count], places, 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_deep_networks(kind):
    """He's initialisation, whose bounds of errors grow with every layer."""
    rng = np.random.default_rng(11)
    for depth, width in ((20, 6), (12, 12)):
        widths = [2, *[width] * depth, 1]
        layers = tuple(
            Dense(rng.normal(0, math.sqrt(2 / a), (a, b)), rng.normal(0, 0.1, b)) for a, b in itertools.pairwise(widths)
        )
        start, stop = rng.uniform(-1, 1, (2, 2))
        check_line(breakpoints(layers, start, stop, kind=kind), layers, start, stop, kind, rtol=1e-10)


def test_lines_in_parallel_and_in_chunks_are_the_same_bits():
    rng = np.random.default_rng(12)
    population = population_of([network(rng, (3, 12, 12, 2)) for _ in range(5)])
    start, stop = rng.uniform(-1, 1, (2, 40, 3)) * np.logspace(-80, 80, 40)[:, None]
    whole = breakpoints(population, start, stop)
    sets = start[None], stop[None]
    for other in (
        breakpoints(population, start, stop, chunk_size=7),
        jax.tree.map(
            lambda *parts: np.stack(parts),
            *[padded(breakpoints(member(population, i), start, stop), whole) for i in range(5)],
        ),
    ):
        jax.tree.map(np.testing.assert_array_equal, whole, other)
    arrays = [array for layer in population for array in layer[:2]]
    for threads in (1, 2, 5):
        lines = library.lines(arrays, np.zeros(24), *sets, threads=threads)
        np.testing.assert_array_equal(lines.t, whole.t.reshape(200, -1))
        np.testing.assert_array_equal(lines.slope, whole.slope.reshape(lines.slope.shape))


def padded(found, like):
    """As wide as another one."""
    missing = like.t.shape[-1] - found.t.shape[-1]
    padding = {"t": np.inf, "layer": -1, "unit": -1}
    return found._replace(
        **{
            name: np.pad(
                getattr(found, name),
                [(0, 0), (0, missing), *[(0, 0)] * (getattr(found, name).ndim - 2)],
                constant_values=padding.get(name, 0),
            )
            for name in ("t", "layer", "unit", "valid", "slope", "intercept")
        }
    )


def test_members_that_are_not_finite_are_not_counted():
    rng = np.random.default_rng(13)
    population = population_of([network(rng) for _ in range(3)])
    population[1].kernel[1, 0, 0] = np.nan
    found = breakpoints(population, -np.ones(2), np.ones(2))
    assert found.count[1] == -1
    assert not found.valid[1].any()
    for index in (0, 2):
        check_line(at(found, index), member(population, index), -np.ones(2), np.ones(2))


def test_points_that_make_no_line(unchecked):
    layers = network(np.random.default_rng(9))
    point = np.array([0.5, 0.5])
    with pytest.raises(ValueError, match="start"):
        breakpoints(layers, point, point)
    with pytest.raises(ValueError, match="kind"):
        breakpoints(layers, point, -point, kind="ray")
    for capacity in (0, True, 1.5):
        with pytest.raises(ValueError, match="capacity"):
            breakpoints(layers, point, -point, capacity=capacity)
    with pytest.raises(ValueError, match="capacity"):
        jax.jit(breakpoints)(layers, point, -point)
    with pytest.raises(ValueError, match="at least two points"):
        polyline_breakpoints(layers, point[None])
    with pytest.raises(ValueError, match="leading axes"):
        polyline_breakpoints(population_of([layers] * 2), np.eye(2))
