"""Planes through data, along inputs and axes; networks and boxes on them, against rationals."""

import itertools
from fractions import Fraction

import jax
import numpy as np
import pytest
import reference
import scipy.sparse

import jaxgeom as jg
from jaxgeom.networks.exact_products import exact_product

RNG = np.random.default_rng(7)
DATA = RNG.normal(size=(40, 6)) * [3.0, 0.1, 2.0, 1.0, 0.5, 0.2] + 1.0
LABELS = np.arange(40) % 4


def network(*widths, dtype=np.float64, seed=0):
    rng = np.random.default_rng([seed, *widths])
    draw = lambda *shape: rng.normal(size=shape).astype(dtype).astype(float)  # noqa: E731
    return tuple(jg.Dense(draw(a, b), draw(b)) for a, b in itertools.pairwise(widths))


def sparse(layers):
    return (jg.Dense(scipy.sparse.csr_array(layers[0].kernel), *layers[0][1:]), *layers[1:])


def lifted(plane, point):
    """A point of the plane, in rationals."""
    u, v = map(Fraction, point)
    rows = zip(plane.origin.tolist(), *plane.directions.tolist(), strict=True)
    return [Fraction(x) + u * Fraction(a) + v * Fraction(b) for x, a, b in rows]


def agrees_exactly(layers, plane, sliced):
    num = sum(len(layer.bias) for layer in layers[:-1])
    for point in RNG.normal(size=(6, 2)):
        expected, hidden = reference.exact_forward(layers, lifted(plane, point))
        found, units = reference.exact_forward(sliced, point)
        if found != expected or units[len(units) - num :] != hidden:
            return False
    return True


@pytest.mark.parametrize("make", [lambda layers: layers, sparse], ids=["dense", "sparse"])
def test_networks_on_planes_in_exact_arithmetic(make):
    layers = network(6, 5, 4, 3)
    plane = jg.plane_through(*DATA[:3])
    rounded, exact = jg.on_plane(make(layers), plane), jg.on_plane(make(layers), plane, exact=True)
    assert len(rounded) == len(layers)
    assert len(exact) == len(layers) + 1
    assert not agrees_exactly(layers, plane, rounded)
    dense = _dense(exact)
    assert agrees_exactly(layers, plane, dense)
    domain = jg.box(-4, 4)
    cells = reference.exact_region_count(dense, jg.polygon_vertices(domain))
    assert jg.count_regions(exact, domain).count == jg.count_regions(rounded, domain).count == cells
    found = jg.enumerate_regions(exact, domain)
    assert 0 not in found.edge_layer  # the plane makes no edges


def _dense(layers):
    return tuple(
        jg.Dense(
            layer.kernel.toarray() if scipy.sparse.issparse(layer.kernel) else np.asarray(layer.kernel), *layer[1:]
        )
        for layer in layers
    )


@pytest.mark.parametrize("make", [lambda layers: layers, sparse], ids=["dense", "sparse"])
def test_planes_along_inputs_take_rows_to_the_bit_and_round_sums_once(make):
    point = RNG.normal(size=6)
    plane = jg.plane_along_inputs(point, (4, 1))
    layers = network(6, 5, 2)
    kernel, bias = layers[0][:2]
    first = jg.on_plane(make(layers), plane)[0]
    np.testing.assert_array_equal(first.kernel, kernel[[4, 1]])
    others = [0, 2, 3, 5]
    for unit in range(5):
        total = sum(Fraction(point[i]) * Fraction(kernel[i, unit]) for i in others) + Fraction(bias[unit])
        assert first.bias[unit] == float(total)
    np.testing.assert_array_equal(jg.lift(plane, np.array([[2.0, 3.0]])), [[point[0], 3.0, *point[2:4], 2.0, point[5]]])
    short = network(6, 5, 2, dtype=np.float16)
    plane = jg.plane_along_inputs(np.round(point * 8) / 8, (0, 5))
    sliced = jg.on_plane(make(short), plane, exact=True)
    assert len(sliced) == len(short)  # sums of few digits are float64 numbers: nothing is rounded
    assert agrees_exactly(short, plane, sliced)
    assert len(jg.on_plane(make(layers), jg.plane_along_inputs(point), exact=True)) == len(layers) + 1


def test_exact_products_against_fractions():
    rows, kernel = RNG.normal(size=(3, 5)), RNG.normal(size=(5, 4)) * 10.0 ** RNG.integers(-300, 290, (5, 4))
    rows[1], kernel[:, 3], kernel[2, 1] = [1, 0, 0, 2, 0], [0, 0, 0, 0.5, 3], 0
    offset = np.array([1.0, -2.0, 5e-324, 0.25])
    found, is_exact = exact_product(rows, kernel, offset)
    for (row, column), value in np.ndenumerate(found):
        terms = zip(rows[row].tolist(), kernel[:, column].tolist(), strict=True)
        total = sum(Fraction(a) * Fraction(b) for a, b in terms) + Fraction(offset[column])
        assert float(total) == value
        assert (total == Fraction(value)) == is_exact[row, column]
    assert is_exact[1].tolist() != [True] * 4
    assert is_exact[1, 3]
    overflows, is_exact = exact_product(np.full((1, 2), 1e300), np.array([[1e300, 1.0], [1.0, -1e300]]))
    assert overflows.tolist() == [[np.inf, -np.inf]]
    assert not is_exact.any()


def test_several_planes_of_several_networks(unchecked):
    planes = jg.random_planes(jax.random.key(1), DATA[0], num_planes=3)
    members = [network(6, 5, 2, seed=seed) for seed in range(4)]
    together = jax.tree.map(lambda *arrays: np.stack(arrays), *members)
    domain = jg.box(-1, 1)
    counts = jg.count_regions(jg.on_plane(together, planes), domain).count
    assert counts.shape == (3, 4)
    for (which, member), count in np.ndenumerate(counts):
        assert jg.count_regions(jg.on_plane(members[member], planes[which]), domain).count == count
    assert len(set(counts.ravel().tolist())) > 1
    exactly = jg.on_plane(together, planes, exact=True)
    np.testing.assert_array_equal(jg.count_regions(exactly, domain).count, counts)
    with_few_weights = jg.on_plane(sparse(members[1]), planes)
    np.testing.assert_array_equal(jg.count_regions(with_few_weights, domain).count, counts[:, 1])
    assert len(jg.enumerate_population(with_few_weights, domain)) == 3
    along = [jg.plane_along_inputs(DATA[0], pair) for pair in ((0, 1), (2, 5))]
    sliced = jg.on_plane(together, along)
    np.testing.assert_array_equal(sliced[0].kernel[1, 3], members[3][0].kernel[[2, 5]])
    for refused in ([], [planes[0], jg.plane_along_inputs([1.0, 2.0])], "xy"):
        with pytest.raises(ValueError, match=r"Plane|dimensions"):
            jg.on_plane(together, refused)


def corners_of_the_box(plane, low, high):
    """All points where two bounds are met, and no other is violated, in rationals, rounded; without those that lie
    between others then."""
    first, second = ([Fraction(x) for x in row] for row in plane.directions.tolist())
    origin = [Fraction(x) for x in plane.origin.tolist()]
    lines = []
    for i in range(len(origin)):
        lines += [
            (first[i], second[i], origin[i] - Fraction(low[i])),
            (-first[i], -second[i], Fraction(high[i]) - origin[i]),
        ]
    found = set()
    for (a, b, c), (d, e, f) in itertools.combinations(lines, 2):
        determinant = a * e - b * d
        if determinant:
            x, y = (b * f - c * e) / determinant, (c * d - a * f) / determinant
            if all(p * x + q * y + r >= 0 for p, q, r in lines):
                found.add((float(x), float(y)))
    return {point for point in found if is_corner(point, found - {point})}


def is_corner(point, others):
    """Whether all others are seen within less than half a turn."""
    x, y = map(Fraction, point)
    seen = [(Fraction(p) - x, Fraction(q) - y) for p, q in others]
    return any(all(a * d - b * c > 0 or (a * d == b * c and a * c + b * d > 0) for c, d in seen) for a, b in seen)


@pytest.mark.parametrize("seed", range(4))
def test_corners_of_boxes_are_those_of_rationals(seed):
    rng = np.random.default_rng(seed)
    low, high = -rng.uniform(0.1, 2, 7), rng.uniform(0.1, 2, 7)
    planes = [
        jg.plane_through(*rng.uniform(-0.1, 0.1, size=(3, 7))),
        jg.plane_through(*rng.choice([low, high, 0 * low], size=3, replace=False) * rng.integers(0, 2, (3, 7))),
        jg.plane_along_inputs(rng.uniform(-0.1, 0.1, 7), (seed, 6)),
    ]
    for plane in planes:
        found = jg.box_on_plane(plane, low, high).vertices
        assert {tuple(corner) for corner in found.tolist()} == corners_of_the_box(plane, low, high)


def test_boxes_with_inputs_that_stand_still(unchecked):
    low, high = np.zeros(4), np.array([1.0, 2.0, 0.0, 0.5])  # as pixels that are black in all images
    plane = jg.plane_along_inputs([9.0, 9.0, 0.0, 0.25], (1, 0))
    np.testing.assert_array_equal(np.ptp(jg.box_on_plane(plane, low, high).vertices, axis=0), [2.0, 1.0])
    with pytest.raises(ValueError, match="does not meet the box"):
        jg.box_on_plane(plane._replace(origin=np.array([0, 0, 1e-300, 0.25])), low, high)
    with pytest.raises(ValueError, match=r"1\.0 and 0\.0 were given for input 2"):
        jg.box_on_plane(plane, [0, 0, 1, 0], high)
    with pytest.raises(ValueError, match="one number or 4"):
        jg.box_on_plane(plane, [0, 0], 1)
    with pytest.raises(ValueError, match="must be finite"):
        jg.box_on_plane(plane, -np.inf, 1)
    with pytest.raises(ValueError, match="parallel"):
        jg.box_on_plane(plane._replace(directions=np.ones((2, 4))), -10, 10)


def test_areas_of_regions_sum_up_to_the_box():
    layers, plane = network(6, 8, 8, 3), jg.plane_through(*DATA[:3])
    domain = jg.box_on_plane(plane, DATA.min(axis=0), DATA.max(axis=0))
    found = jg.enumerate_regions(jg.on_plane(layers, plane), domain)
    x, y = domain.vertices.T
    area = 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
    assert found.num_faces > 30
    np.testing.assert_allclose(found.area.sum(), area, rtol=1e-13)


def test_hulls_are_those_of_the_projections():
    plane = jg.plane_through(*DATA[:3])
    hull = jg.hull_on_plane(plane, DATA).vertices
    points = jg.project(plane, DATA).coordinates
    sides = np.roll(hull, -1, axis=0) - hull
    offset = points[:, None] - hull
    assert (sides[:, 0] * offset[..., 1] - sides[:, 1] * offset[..., 0] > -1e-12).all()
    assert {tuple(corner) for corner in hull.tolist()} <= {tuple(point) for point in points.tolist()}
    with pytest.raises(ValueError, match="span no area"):
        jg.hull_on_plane(plane, DATA[:2])


def test_planes_along_principal_axes_leave_least_variance_out(unchecked):
    plane = jg.plane_along_principal_axes(DATA)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-14)
    np.testing.assert_allclose(plane.origin, DATA.mean(axis=0))
    best = np.mean(jg.project(plane, DATA).distance ** 2)
    sizes = np.linalg.svd(DATA - DATA.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(best, np.sum(sizes[2:] ** 2) / len(DATA))
    few = jg.plane_along_principal_axes(DATA[:5], (1, 0))  # fewer points than inputs: another way to compute them
    spread = np.var(jg.project(few, DATA[:5]).coordinates, axis=0)
    sizes = np.linalg.svd(DATA[:5] - DATA[:5].mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(spread, sizes[[1, 0]] ** 2 / 5)
    assert (few.directions[[0, 1], np.abs(few.directions).argmax(axis=1)] > 0).all()
    for axes in ((0, 0), (0, 6), (0, 1, 2)):
        with pytest.raises(ValueError, match="two different axes of the 6"):
            jg.plane_along_principal_axes(DATA, axes)


def test_planes_through_class_means(unchecked):
    plane = jg.plane_through_class_means(DATA, LABELS, (3, 0, 2))
    means = [DATA[label == LABELS].mean(axis=0) for label in (3, 0, 2)]
    found = jg.project(plane, means)
    np.testing.assert_allclose(found.distance, 0, atol=1e-14)
    np.testing.assert_array_equal(found.coordinates[0], [0, 0])
    for classes in ((0, 1, 9), (0, 1), (0, 1, 1)):
        with pytest.raises(ValueError, match="three different classes"):
            jg.plane_through_class_means(DATA, LABELS, classes)
    with pytest.raises(ValueError, match="40 integers"):
        jg.plane_through_class_means(DATA, LABELS[:5], (0, 1, 2))


def test_planes_through_random_data(unchecked):
    key = jax.random.key(3)
    found = jg.planes_through_data(key, DATA, LABELS, num_planes=30)
    assert all(len(set(LABELS[rows])) == 3 for rows in found.rows)
    assert set(found.rows.ravel()) > set(range(10))
    again = jg.planes_through_data(key, DATA, LABELS, num_planes=30)
    np.testing.assert_array_equal(found.rows, again.rows)
    one = jg.planes_through_data(key, DATA, LABELS, num_planes=30, one_class=True)
    assert all(len(set(LABELS[rows])) == 1 for rows in one.rows)
    for plane, rows in zip([*found.planes, *one.planes], [*found.rows, *one.rows], strict=True):
        seen = jg.project(plane, DATA[rows])
        np.testing.assert_allclose(seen.distance, 0, atol=1e-12)
        np.testing.assert_array_equal(seen.coordinates[0], [0, 0])
    line = np.outer(np.arange(5.0), np.ones(3))
    with pytest.raises(ValueError, match="lie on lines"):
        jg.planes_through_data(key, line)
    with pytest.raises(ValueError, match="three points of three classes"):
        jg.planes_through_data(key, DATA, LABELS % 2)
    with pytest.raises(ValueError, match="needs the labels"):
        jg.planes_through_data(key, DATA, one_class=True)


def test_random_planes_are_uniform():
    planes = jg.random_planes(jax.random.key(0), np.ones(3), num_planes=2000)
    normals = np.array([np.cross(*plane.directions) for plane in planes])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-12)
    second = normals.T @ normals / len(normals)  # of a uniform direction 1/3; its standard error 0.007
    np.testing.assert_allclose(second, np.eye(3) / 3, atol=0.03)
    with pytest.raises(ValueError, match="at least 2 inputs"):
        jg.random_planes(jax.random.key(0), [1.0])


@pytest.mark.parametrize("inputs", [(0, 0), (0, 6), (-1, 2), (1,)])
def test_inputs_that_are_no_pair(unchecked, inputs):
    with pytest.raises(ValueError, match="two different inputs from 0 to 5"):
        jg.plane_along_inputs(DATA[0], inputs)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("part", ["kernel", "bias"])
def test_diverged_networks_stay_so_and_leave_others_alone(part, value, exact):
    networks = [network(4, 6, 2, seed=seed) for seed in range(3)]
    population = tuple(
        jg.Dense(*map(np.stack, zip(*each, strict=True))) for each in zip(*map(plain, networks), strict=True)
    )
    changed = getattr(population[0], part).copy()
    changed[(1, 3, 2) if part == "kernel" else (1, 2)] = value  # of an input that the plane holds still
    diverged = (population[0]._replace(**{part: changed}), population[1])
    plane = jg.plane_along_inputs(np.array([0.1, 0.2, 0.3, 0.4]), (0, 1))
    counts = jg.count_regions(jg.on_plane(diverged, plane, exact=exact), jg.box(-1, 1)).count
    expected = jg.count_regions(jg.on_plane(population, plane, exact=exact), jg.box(-1, 1)).count
    assert counts[1] == -1
    assert counts[0] == expected[0] > 0
    assert counts[2] == expected[2] > 0


def plain(layers):
    return [layer[:2] for layer in layers]
