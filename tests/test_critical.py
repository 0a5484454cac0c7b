"""Critical points: against the Betti numbers of sublevel sets, known functions, flat regions, and bad input."""

import itertools
import math

import jax
import numpy as np
import pytest
import reference

import jaxgeom as jg

SQUARE, CUBE = jg.box(-1, 1), jg.box(-1, 1, dim=3)
SIZE = (jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.ones((2, 1)), -np.ones(1)))


def network(rng, *widths, slope=0.0, step=None):
    """Random layers; with ``step``, of multiples of it, so that edges of one level and flat regions are frequent."""
    layers = []
    for a, b in itertools.pairwise(widths):
        kernel, bias = rng.uniform(-2, 2, (a, b)) / math.sqrt(a), rng.uniform(-1, 1, b)
        if step is not None:
            kernel, bias = np.round(kernel / step) * step, np.round(bias / step) * step
        layers.append(jg.Dense(kernel, bias, np.full(b, slope)))
    return (*layers[:-1], layers[-1]._replace(slope=None))


def betti(layers, levels, domain):
    """(levels, 3), of f ≤ level."""
    *hidden, last = layers
    each = [(*hidden, last._replace(bias=last.bias - level)) for level in levels]
    found = jg.topology(jax.tree.map(lambda *arrays: np.stack(arrays), *each), domain)
    return np.stack([found.num_components[:, 0], found.num_holes[:, 0], found.num_cavities[:, 0]], axis=1)


def check(layers, domain):
    """Between two levels, Betti numbers change by what the critical points between them add; at those alone, one by
    one. Returns how many levels were compared."""
    found = jg.critical_points(layers, domain)
    dim = found.position.shape[1]
    signs = (-1.0) ** np.arange(dim + 1)
    assert (found.multiplicity >= 0).all()
    assert signs @ found.multiplicity.sum(axis=0) == 1
    assert (np.diff(found.value) >= 0).all()
    scale = max(np.abs(found.value).max(), 1e-300)
    values = found.value
    gaps = np.flatnonzero(np.diff(values) > 1e-6 * scale)
    levels = [values[0] - scale, *(values[gaps] + values[gaps + 1]) / 2, values[-1] + scale]
    before, first = np.zeros(3, int), 0
    for level, now in zip(levels, betti(layers, levels, domain), strict=True):
        last = np.searchsorted(values, level)
        added = np.zeros(4, int)
        added[: dim + 1] = found.multiplicity[first:last].sum(axis=0)
        # the exact sequence of the pair: what is added in dimension k is new there, or ends something below
        ends, change = 0, now - before
        for k in range(3):
            new = added[k] - ends
            ends = new - change[k]
            assert new >= 0
            assert ends >= 0
        assert ends == added[3]
        before, first = now, last
    assert before.tolist() == [1, 0, 0]
    return len(levels)


@pytest.mark.parametrize("slope", [0.0, -1.0, 0.1])
def test_sublevel_sets_in_the_plane(slope):
    rng = np.random.default_rng(1)
    assert sum(check(network(rng, 2, 6, 6, 1, slope=slope), SQUARE) for _ in range(8)) > 30


@pytest.mark.parametrize("step", [0.25, 0.5])
def test_sublevel_sets_with_flat_parts(step):
    rng = np.random.default_rng(2)
    flat = 0
    for widths in [(2, 5, 4, 1)] * 6 + [(2, 1, 3, 1), (2, 2, 1, 1), (2, 1, 1)]:
        layers = network(rng, *widths, step=step)
        check(layers, SQUARE)
        flat += jg.critical_points(layers, SQUARE).flat_dimension.max()
    assert flat > 3


@pytest.mark.parametrize("step", [None, 0.5])
def test_sublevel_sets_in_space(step):
    rng = np.random.default_rng(3)
    assert sum(check(network(rng, 3, 5, 4, 1, slope=slope, step=step), CUBE) for slope in (0.0, -1.0, 0.0)) > 10


def around(layers, point):
    """What a small circle around a point tells: minima, saddles and maxima, from values alone."""
    angle = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    circle = point + 1e-7 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    is_higher = reference.forward(layers, circle)[0][:, 0] > reference.forward(layers, point[None])[0][0, 0]
    changes = np.count_nonzero(is_higher != np.roll(is_higher, 1))
    if changes == 0:
        return [1, 0, 0] if is_higher[0] else [0, 0, 1]
    return [0, changes // 2 - 1, 0]


@pytest.mark.parametrize("slope", [-1.0, 0.1])
def test_small_circles_around_all_vertices(slope):
    """Nothing here is shared with what is tested but the positions of vertices."""
    rng = np.random.default_rng(9)
    total = np.zeros(3, int)
    for _ in range(4):
        layers = network(rng, 2, 6, 5, 1, slope=slope)
        vertices = jg.enumerate_regions(layers, SQUARE).vertices
        inner = vertices[(np.abs(vertices) < 1 - 1e-6).all(axis=1)]
        truth = {tuple(point.tolist()): around(layers, point) for point in inner}
        found = jg.critical_points(layers, SQUARE)
        inside = ~found.is_on_border
        numbers = found.multiplicity[inside].tolist()
        own = {tuple(p): m for p, m in zip(found.position[inside].tolist(), numbers, strict=True)}
        assert own == {point: number for point, number in truth.items() if any(number)}
        total += np.sum(list(own.values()), axis=0) if own else 0
    assert total.min() > 0 if slope < 0 else total.sum() > 0


def test_polygons():
    rng = np.random.default_rng(4)
    triangle = jg.polygon([[-0.9, -1.3], [1.2, -0.4], [0.1, 1.1]])
    for step in (None, 0.5):
        check(network(rng, 2, 6, 4, 1, step=step), triangle)


def test_a_ring_of_minima():
    """| |x| + |y| - 1 | in the plane is 0 on a diamond, has a peak inside, and is highest in the corners."""
    found = jg.critical_points((*SIZE, jg.Dense(np.ones((1, 1)), np.zeros(1))), SQUARE, activation="abs")
    assert found.value.tolist() == [0, 1, 1, 1, 1, 1]
    assert found.multiplicity[0].tolist() == [1, 1, 0]
    assert found.flat_dimension.tolist() == [1, 0, 0, 0, 0, 0]
    assert found.is_minimum.tolist() == [True] + [False] * 5
    assert found.is_maximum.tolist() == [False] + [True] * 5
    peak = np.flatnonzero(~found.is_on_border)
    assert found.position[peak].tolist() == [[0, 0]]
    assert found.multiplicity[peak].tolist() == [[0, 0, 1]]


def test_a_saddle():
    """|x| - |y|: minima on the upper and lower sides, a saddle at the origin, maxima left and right."""
    cross = (jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.array([[1.0], [-1.0]]), np.zeros(1)))
    found = jg.critical_points(cross, SQUARE, activation="abs")
    assert found.value.tolist() == [-1, -1, 0, 1, 1]
    assert found.multiplicity.tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert found.is_on_border.tolist() == [True, True, False, True, True]


def test_a_sphere_of_minima_in_space():
    layers = (
        jg.Dense(np.eye(3), np.zeros(3)),
        jg.Dense(np.ones((3, 1)), -np.ones(1)),
        jg.Dense(np.ones((1, 1)), np.zeros(1)),
    )
    found = jg.critical_points(layers, CUBE, activation="abs")
    assert found.multiplicity[0].tolist() == [1, 0, 1, 0]
    assert found.flat_dimension[0] == 2
    assert found.multiplicity.sum(axis=0).tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("domain", [SQUARE, CUBE])
def test_constants_and_planes(domain):
    dim = len(domain.low)
    constant = (jg.Dense(np.ones((dim, 2)), -np.full(2, 9.0)), jg.Dense(np.ones((2, 1)), np.ones(1)))
    found = jg.critical_points(constant, domain)
    assert found.multiplicity.tolist() == [[1] + [0] * dim]
    assert found.flat_dimension.tolist() == [dim]
    assert found.is_minimum.all()
    assert found.is_maximum.all()
    plane = jg.critical_points((jg.Dense(np.arange(1.0, dim + 1)[:, None], np.zeros(1)),), domain)
    assert plane.multiplicity.tolist() == [[1] + [0] * dim, [0] * (dim + 1)]
    assert plane.position.tolist() == [[-1.0] * dim, [1.0] * dim]


def test_a_third_is_not_a_tenth_of_a_third():
    """f = relu(g) - relu(g) + h with weights of 1/3 and 1/10, of which floats do not cancel exactly, rises with h."""
    third, tenth = 1 / 3, 0.1
    first = jg.Dense(np.array([[third, third, 1.0], [tenth, tenth, 0.0]]), np.array([0.7, 0.7, 2.0]))
    for weight in (0.0, 1e-13, -1e-13):
        found = jg.critical_points((first, jg.Dense(np.array([[third], [-third], [weight]]), np.ones(1))), SQUARE)
        assert found.flat_dimension.max() == (2 if weight == 0 else 1)
        assert found.is_minimum.sum() == 1
        if weight:
            low = found.position[found.is_minimum][0, 0]
            assert low == -np.sign(weight)


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_scales_do_not_matter(scale):
    rng = np.random.default_rng(6)
    for layers, domain in ((network(rng, 2, 6, 4, 1), SQUARE), (network(rng, 3, 4, 1), CUBE)):
        *hidden, last = layers
        scaled = (*hidden, jg.Dense(scale * last.kernel, scale * last.bias))
        found, expected = jg.critical_points(scaled, domain), jg.critical_points(layers, domain)
        np.testing.assert_array_equal(found.multiplicity, expected.multiplicity)
        np.testing.assert_array_equal(found.position, expected.position)


def test_populations_are_their_members():
    rng = np.random.default_rng(7)
    networks = [network(rng, 2, 5, 5, 1, step=step) for step in (None, 0.5, None)]
    population = jax.tree.map(lambda *arrays: np.stack(arrays), *networks)
    population[0].kernel[1, 0, 0] = np.nan
    found = jg.critical_points(population, SQUARE, chunk_size=2)
    assert found[1] is None
    for index in (0, 2):
        one = jg.critical_points(networks[index], SQUARE)
        jax.tree.map(np.testing.assert_array_equal, found[index], one)
    assert jg.critical_points(jax.tree.map(lambda array: array[:0], population), SQUARE) == []


def test_bad_input(unchecked):
    layers = network(np.random.default_rng(8), 2, 3, 2)
    with pytest.raises(ValueError, match="one output"):
        jg.critical_points(layers, SQUARE)
    with pytest.raises(ValueError, match="bounded"):
        jg.critical_points(network(np.random.default_rng(8), 2, 3, 1), jg.whole_plane())
    with pytest.raises(ValueError, match="takes 2 inputs"):
        jg.critical_points(network(np.random.default_rng(8), 2, 3, 1), CUBE)
    with pytest.raises(TypeError, match="domain"):
        jg.critical_points(network(np.random.default_rng(8), 2, 3, 1), "square")
