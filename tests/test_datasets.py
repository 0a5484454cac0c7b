"""Datasets against their formulas in float64, their geometry, and the promises on keys, jit and vmap."""

import itertools
from functools import cache, partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgeom as jg
from jaxgeom import datasets
from jaxgeom.data.datasets import Dataset

KEY = jax.random.key(7)

# Every dataset with randomness, small: (function, static arguments, points, dim).
RANDOM = {
    "spirals": (datasets.spirals, {"num_per_class": 20}, 60, 2),
    "rings": (datasets.rings, {"num_per_class": 20}, 40, 2),
    "disk_with_holes": (datasets.disk_with_holes, {"num_negative": 40, "num_positive": 20}, 60, 2),
    "line_segments": (datasets.line_segments, {"num_per_segment": 3}, 60, 2),
    "moons": (datasets.moons, {"num_points": 31, "noise": 0.1}, 31, 2),
    "circles": (datasets.circles, {"num_points": 31, "noise": 0.1}, 31, 2),
    "blobs": (datasets.blobs, {"num_points": 31, "dim": 3}, 31, 3),
    "checkerboard": (datasets.checkerboard, {"num_points": 31}, 31, 2),
}
each_random = pytest.mark.parametrize(("make", "sizes", "points", "dim"), RANDOM.values(), ids=RANDOM.keys())

# Compiling takes nearly all the time of these tests, and half as much without optimization.


def run(make, *args, **static):
    """``make`` of the module, compiled as one piece."""
    return jax.jit(partial(make, **static))(*args)


def hole_centers(num_holes, radius=1.0, center=True):
    on_circle = num_holes - center
    angle = np.arange(on_circle) * 2 * np.pi / on_circle if on_circle else np.zeros(0)
    ring = radius / 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.concatenate([ring, np.zeros((int(center), 2))])


def distances(x, centers):
    return np.linalg.norm(np.asarray(x, np.float64)[:, None] - centers, axis=-1)


def rows(*arrays):
    """Rows of all arrays side by side, sorted: a multiset."""
    table = np.concatenate([np.asarray(a, np.float64).reshape(len(a), -1) for a in arrays], axis=1)
    return table[np.lexsort(table.T)]


# Promises of every random dataset


@pytest.mark.slow
@each_random
def test_vmap_over_keys_is_a_loop(make, sizes, points, dim):
    keys = jax.random.split(KEY, 1000)
    one = jax.jit(partial(make, **sizes))
    looped = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[one(key) for key in keys[:4]])
    x, y = mapped = jax.tree.map(np.asarray, jax.jit(jax.vmap(partial(make, **sizes)))(keys))
    chex.assert_trees_all_equal(jax.tree.map(lambda leaf: leaf[:4], mapped), looped)
    chex.assert_shape([x, y], [(1000, points, dim), (1000, points)])
    assert np.isfinite(x).all()
    assert len(np.unique(x, axis=0)) == 1000
    num_classes = 3 if make in (datasets.spirals, datasets.blobs) else 2
    np.testing.assert_array_equal(np.unique(y), np.arange(num_classes))


@cache
def disk_of_traced_radii():
    make, sizes, _, _ = RANDOM["disk_with_holes"]
    return jax.jit(lambda key, radii: make(key, **sizes, **radii))


def test_compiling_and_tracing_and_legacy_keys_change_nothing():
    make, sizes, _, _ = RANDOM["disk_with_holes"]
    radii = {"radius": 2.0, "hole_radius": 0.2, "positive_radius": 0.1}
    plain, traced = make(jax.random.PRNGKey(7), **sizes, **radii), disk_of_traced_radii()(KEY, radii)
    chex.assert_trees_all_close(plain.x, traced.x, atol=1e-5)
    chex.assert_trees_all_equal(plain.y, traced.y)


@pytest.mark.parametrize("use_x64", [False, True])
def test_float32_and_int32_whatever_the_default(use_x64):
    with jax.enable_x64(use_x64):
        for make, sizes, points, dim in RANDOM.values():
            for key in (jax.random.key(7), jax.random.PRNGKey(7)):
                x, y = jax.eval_shape(partial(make, **sizes), key)
                assert (x.shape, x.dtype) == ((points, dim), jnp.float32)
                assert (y.shape, y.dtype) == ((points,), jnp.int32)
        wide = np.float64(0.1) if use_x64 else 0.1
        assert jax.eval_shape(lambda noise: datasets.spirals(KEY, noise=noise), wide).x.dtype == jnp.float32
        assert jax.eval_shape(datasets.gaussian_cloud, KEY).dtype == jnp.float32
        leaves = jax.tree.leaves(
            (datasets.mesh_grid(), datasets.line_grid(), datasets.parity(), datasets.damped_sine())
        )
        assert all(leaf.dtype == jnp.float32 for leaf in leaves)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (datasets.spirals, "radius"),
        (datasets.rings, "outer"),
        (datasets.disk_with_holes, "hole_radius"),
        (datasets.line_segments, "length"),
        (datasets.moons, "noise"),
        (datasets.circles, "noise"),
        (datasets.circles, "factor"),
        (datasets.blobs, "cluster_std"),
    ],
)
def test_scalars_may_be_traced(make, name):
    values = jnp.array([0.1, 0.2])
    values = (values, 2 * values) if name in ("radius", "outer") else values
    jax.eval_shape(jax.vmap(lambda value: make(KEY, **{name: value})), values)


# Each dataset against its definition


@pytest.mark.parametrize(("num", "classes", "radius"), [(1000, 3, (0.2, 1.0)), (1, 1, (0.2, 1.0)), (7, 5, (0, 2))])
def test_spirals_follow_the_formula(num, classes, radius):
    x, y = run(datasets.spirals, KEY, num_per_class=num, num_classes=classes, noise=0.0, radius=radius)
    t = np.linspace(0, 1, num)
    expected = []
    for k in range(classes):
        angle = (2 * t + k) * 2 * np.pi / classes
        length = (radius[1] - radius[0]) * t + radius[0]
        expected.append(np.stack([length * np.sin(angle), length * np.cos(angle)], axis=1))
    np.testing.assert_allclose(x, np.concatenate(expected), atol=2e-6)
    np.testing.assert_array_equal(y, np.repeat(np.arange(classes), num))


def test_spirals_noise_turns_points():
    clean, noisy = (jax.jit(lambda s: datasets.spirals(KEY, noise=s))(noise).x for noise in (0.0, 0.2))
    clean, noisy = (np.asarray(x, np.float64) @ [1, 1j] for x in (clean, noisy))
    np.testing.assert_allclose(abs(noisy), abs(clean), atol=1e-6)
    turn = np.angle(noisy / clean)
    assert abs(turn.mean()) < 0.02  # five standard errors of 3000 angles
    assert abs(turn.std() - 0.2) < 0.013


def test_rings_radii_and_order():
    x, y = run(datasets.rings, KEY)
    np.testing.assert_array_equal(y, np.tile([0, 1], 1000))
    radius = np.linalg.norm(np.asarray(x, np.float64), axis=1)
    assert radius[::2].max() < 1 + 1e-6
    assert radius[1::2].min() > 3 - 1e-6
    assert radius[1::2].max() < 4 + 1e-6
    # Uniform radius, uniform angle: bins of 100 have standard deviation below 10.
    for distance in (radius[::2], radius[1::2] - 3):
        assert abs(np.histogram(distance, 10, (0, 1))[0] - 100).max() < 45
    angle = np.arctan2(x[:, 1], x[:, 0])
    assert abs(np.histogram(angle, 20, (-np.pi, np.pi))[0] - 100).max() < 45


@cache
def disk(num_negative=2000, num_holes=9, radius=1.0, hole_radius=0.1, positive_radius=0.02, center=True):
    x, y = run(
        datasets.disk_with_holes,
        KEY,
        num_negative=num_negative,
        num_positive=5003,
        num_holes=num_holes,
        radius=radius,
        hole_radius=hole_radius,
        positive_radius=positive_radius,
        center=center,
    )
    return np.asarray(x, np.float64), np.asarray(y)


BIG_DISK = {"num_negative": 40_000, "hole_radius": 0.15}


@pytest.mark.parametrize(
    "options",
    [
        BIG_DISK,
        {"num_holes": 3, "radius": 2.0, "hole_radius": 1 / 3, "positive_radius": 1 / 3, "center": False},
    ],
)
def test_disk_classes_stay_in_their_places(options):
    given = {
        "num_negative": 2000,
        "num_holes": 9,
        "radius": 1.0,
        "positive_radius": 0.02,
        "center": True,
    } | options
    (x, y), num_holes, radius = disk(**options), given["num_holes"], given["radius"]
    assert np.bincount(y).tolist() == [given["num_negative"], 5003]
    assert len(np.unique(x, axis=0)) > 0.99 * len(x)  # no point stands in for a missing one
    assert np.linalg.norm(x[y == 0], axis=1).max() <= radius * (1 + 1e-6)
    to_holes = distances(x, hole_centers(num_holes, radius, given["center"]))
    assert to_holes[y == 0].min() > given["hole_radius"] * (1 - 1e-5)
    assert to_holes[y == 1].min(axis=1).max() <= given["positive_radius"] + 1e-6 * radius
    # As even as possible, the remainder to the first holes, which are on the circle from angle 0.
    shares = np.bincount(to_holes[y == 1].argmin(axis=1), minlength=num_holes)
    np.testing.assert_array_equal(shares, [5003 // num_holes + (i < 5003 % num_holes) for i in range(num_holes)])


def test_disk_negatives_are_uniform_in_area():
    """Chi-square over rings and sectors, whose free areas a fine grid measures."""
    x, y = disk(**BIG_DISK)

    def cells(points):
        ring = np.minimum((np.sum(points**2, axis=1) * 8).astype(int), 7)
        sector = ((np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) + 0.5) * 12).astype(int) % 12
        return np.bincount(ring * 12 + sector, minlength=96)

    axis = (np.arange(1000) + 0.5) / 500 - 1
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    grid = grid[np.sum(grid**2, axis=1) < 1]
    is_free = np.all([np.sum((grid - c) ** 2, axis=1) > 0.15**2 for c in hole_centers(9)], axis=0)
    expected = cells(grid[is_free]) / is_free.sum() * 40_000
    chi_square = np.sum((cells(x[y == 0]) - expected) ** 2 / expected)
    assert 50 < chi_square < 160  # 95 degrees of freedom: mean 95, standard deviation 13.8


def test_disk_positives_are_uniform_in_area_and_rows_shuffled():
    x, y = disk(**BIG_DISK)
    squared = distances(x[y == 1], hole_centers(9)).min(axis=1) ** 2 / 0.02**2
    assert abs(squared.mean() - 0.5) < 0.02  # r² is uniform: standard error 0.0041
    assert abs(np.histogram(squared, 10, (0, 1))[0] - 500).max() < 110
    assert abs(y[:22_500].sum() - 2500) < 180


def test_disk_without_room_ends_and_says_so():
    for hole_radius in (5.0, np.nan):
        radii = {"radius": 2.0, "hole_radius": hole_radius, "positive_radius": 0.1}
        x, y = map(np.asarray, disk_of_traced_radii()(KEY, radii))
        assert np.isnan(x[y == 0]).all()
        assert np.isfinite(x[y == 1]).all()


def test_line_segments():
    num, per = 40, 200
    x, y = run(datasets.line_segments, KEY, num_negative=30, num_positive=10, length=0.2, num_per_segment=per)
    labels = np.asarray(y).reshape(num, per)
    assert (labels == labels[:, :1]).all()
    assert labels[:, 0].sum() == 10
    assert labels[-10:, 0].sum() < 10  # shuffled
    points = np.asarray(x, np.float64).reshape(num, per, 2)
    middle = points - points.mean(axis=1, keepdims=True)
    _, spread, axes = np.linalg.svd(middle, full_matrices=False)
    assert spread[:, 1].max() < 1e-4  # on a line
    along = np.einsum("spi,si->sp", middle, axes[:, 0])
    reach = along.max(axis=1) - along.min(axis=1)
    assert reach.max() <= 0.2 + 1e-6
    assert reach.min() > 0.18
    place = (along - along.min(axis=1, keepdims=True)) / reach[:, None]
    assert abs(np.histogram(place, 10, (0, 1))[0] - 800).max() < 160  # uniform along the segment
    assert abs(points).max() <= 1.2
    start, end, classes = map(np.asarray, datasets.segments_of(KEY, num_negative=30, num_positive=10, length=0.2))
    np.testing.assert_array_equal(classes, labels[:, 0])
    np.testing.assert_allclose(np.linalg.norm(end - start, axis=1), 0.2, atol=1e-6)
    share = np.einsum("spi,si->sp", points - start[:, None], end - start) / 0.2**2
    assert ((share > -1e-5) & (share < 1 + 1e-5)).all()
    np.testing.assert_allclose(points, start[:, None] + share[..., None] * (end - start)[:, None], atol=1e-6)


def test_centers_of_holes_are_where_class_1_is():
    options = {"num_holes": 7, "radius": 2.0}
    x, y = run(datasets.disk_with_holes, KEY, num_positive=70, hole_radius=0.1, positive_radius=0.05, **options)
    centers = np.asarray(datasets.hole_centers(**options))
    distance = np.linalg.norm(np.asarray(x)[np.asarray(y) == 1, None] - centers, axis=-1)
    assert distance.min(axis=1).max() <= 0.05 + 1e-6
    np.testing.assert_array_equal(np.bincount(distance.argmin(axis=1)), np.full(7, 10))
    assert datasets.hole_centers(num_holes=3, center=False).shape == (3, 2)


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_parity_lists_all_corners(dim):
    x, y = datasets.parity(dim)
    corners = list(itertools.product([-1, 1], repeat=dim))
    np.testing.assert_array_equal(x, corners)
    np.testing.assert_array_equal(y, [[1 if corner.count(1) % 2 else -1] for corner in corners])
    assert x.dtype == y.dtype == jnp.float32


def test_parity_of_two_is_xor():
    x, y = datasets.parity()
    xor = {(-1, -1): -1, (-1, 1): 1, (1, -1): 1, (1, 1): -1}
    assert {tuple(map(int, row)): int(target[0]) for row, target in zip(x, y, strict=True)} == xor


def test_damped_sine():
    x, y = datasets.damped_sine()
    expected = np.arange(-100, 100) / 10
    chex.assert_shape([x, y], (200, 1))
    np.testing.assert_allclose(x[:, 0], expected, rtol=1e-7)
    np.testing.assert_allclose(y[:, 0], np.sin(3 * expected) * np.exp(-expected / 8), rtol=1e-6, atol=1e-7)
    turned = datasets.damped_sine(reverse=True)
    chex.assert_trees_all_equal(turned, Dataset(x, y[::-1]))
    chex.assert_trees_all_equal(jax.jit(datasets.damped_sine)(), Dataset(x, y))


def test_mesh_grid():
    points = datasets.mesh_grid()
    axis = np.arange(-50, 50) / 10
    np.testing.assert_allclose(points, list(itertools.product(axis, axis)), rtol=1e-6)
    for low, high, step, num in [
        (0, 1, 0.1, 10),
        (-1, 1, 0.02, 100),
        (0, 1, 0.3, 4),
        (0, 1, 5, 1),
        (0, 0.7, 0.1, 7),
    ]:
        column = datasets.mesh_grid(low=low, high=high, step=step, dim=1)
        chex.assert_shape(column, (num, 1))
        assert low <= float(column.min()) <= float(column.max()) < high
    chex.assert_shape(datasets.mesh_grid(step=2.5, dim=3), (64, 3))


def test_line_grid():
    np.testing.assert_allclose(datasets.line_grid()[:, 0], -1 + 2 * np.arange(50) / 49, rtol=1e-6)
    np.testing.assert_array_equal(datasets.line_grid(low=0, high=3, num_points=4), [[0], [1], [2], [3]])


def test_gaussian_cloud():
    x = np.asarray(run(datasets.gaussian_cloud, KEY, num_points=20_000, dim=3), np.float64)
    assert abs(x.mean(axis=0)).max() < 0.035
    assert abs(np.cov(x.T) - np.eye(3)).max() < 0.05
    chex.assert_shape(jax.eval_shape(datasets.gaussian_cloud, KEY), (1000, 2))


@pytest.mark.parametrize("num_points", [2, 101])
def test_moons_without_noise(num_points):
    x, y = run(datasets.moons, KEY, num_points=num_points)
    upper, lower = np.linspace(0, np.pi, num_points // 2), np.linspace(0, np.pi, (num_points + 1) // 2)
    expected = [(np.cos(t), np.sin(t), 0) for t in upper] + [(1 - np.cos(t), 0.5 - np.sin(t), 1) for t in lower]
    expected, given = rows(expected), rows(x, y)
    # Rounding may swap neighbours in the sorted rows, so that both are matched by distance.
    gap = np.linalg.norm(expected[:, None] - given, axis=-1)
    assert gap.min(axis=0).max() < 1e-6
    assert gap.min(axis=1).max() < 1e-6


@pytest.mark.parametrize("num_points", [2, 101])
def test_circles_without_noise(num_points):
    x, y = run(datasets.circles, KEY, num_points=num_points, factor=0.25)
    x, y = np.asarray(x, np.float64), np.asarray(y)
    for label, radius, num in [(0, 1.0, num_points // 2), (1, 0.25, (num_points + 1) // 2)]:
        angle = np.sort(np.arctan2(x[y == label, 1], x[y == label, 0]) % (2 * np.pi - 1e-5))
        np.testing.assert_allclose(np.linalg.norm(x[y == label], axis=1), radius, rtol=1e-6)
        np.testing.assert_allclose(angle, 2 * np.pi * np.arange(num) / num, atol=1e-4)


def test_noise_has_its_standard_deviation():
    make = jax.jit(lambda noise: datasets.moons(KEY, num_points=5000, noise=noise).x)
    difference = np.asarray(make(0.3) - make(0.0))
    assert abs(difference.std() - 0.3) < 0.011
    assert abs(difference.mean()) < 0.016


def test_blobs():
    x, y = run(datasets.blobs, KEY, num_points=10_001, num_classes=3, dim=2, cluster_std=0.5)
    x, y = np.asarray(x, np.float64), np.asarray(y)
    np.testing.assert_array_equal(np.bincount(y), [3334, 3334, 3333])
    centers = np.stack([x[y == k].mean(axis=0) for k in range(3)])
    assert abs(centers).max() < 10.1
    assert abs((x - centers[y]).std(axis=0) - 0.5).max() < 0.02


@pytest.mark.parametrize("num_cells", [3, 4])
def test_checkerboard(num_cells):
    x, y = run(datasets.checkerboard, KEY, num_points=4000, num_cells=num_cells)
    place = (np.asarray(x, np.float64) + 1) * num_cells / 2
    is_clear = (abs(place - np.round(place)) > 1e-5).all(axis=1)
    column_row = np.floor(place).astype(int)
    np.testing.assert_array_equal(np.asarray(y)[is_clear], (column_row.sum(axis=1) % 2)[is_clear])
    cells = np.bincount(column_row[:, 0] * num_cells + column_row[:, 1])
    assert len(cells) == num_cells**2
    assert abs(cells - 4000 / num_cells**2).max() <= 5 * np.sqrt(4000 / num_cells**2)


# Splitting


def test_split_is_a_partition_that_keeps_pairs():
    dataset = Dataset(
        np.random.default_rng(7).normal(size=(3000, 2)).astype(np.float32), np.arange(3000, dtype=np.int32)
    )
    train, test = jax.jit(datasets.split)(KEY, dataset)
    chex.assert_shape([train.x, test.x, test.y], [(2400, 2), (600, 2), (600,)])
    assert train.y.dtype == jnp.int32
    both = [np.concatenate(pair) for pair in zip(train, test, strict=True)]
    np.testing.assert_array_equal(rows(*both), rows(*dataset))
    assert not np.array_equal(train.x, dataset.x[:2400])
    assert abs(np.asarray(test.y).mean() - 1499.5) < 160  # drawn from everywhere


def test_split_of_a_population_with_targets_in_columns():
    population = Dataset(jnp.zeros((3, 10, 2)), jnp.zeros((3, 10, 1)))
    train, test = jax.eval_shape(jax.vmap(datasets.split), jax.random.split(KEY, 3), population)
    chex.assert_shape([*train, *test], [(3, 8, 2), (3, 8, 1), (3, 2, 2), (3, 2, 1)])


@pytest.mark.parametrize(("points", "fraction", "num_train"), [(10, 0.75, 8), (10, 0.25, 3), (2, 0.5, 1), (7, 0.1, 1)])
def test_split_rounds_to_the_nearest(points, fraction, num_train):
    dataset = Dataset(jnp.zeros((points, 1)), jnp.zeros(points, jnp.int32))
    train, test = jax.eval_shape(partial(datasets.split, train_fraction=fraction), KEY, dataset)
    assert (train.x.shape[0], test.x.shape[0]) == (num_train, points - num_train)


# Named columns


def test_columns_of_segments_say_which_one_and_where_it_starts():
    sizes = {"num_negative": 5, "num_positive": 5, "length": 0.2}
    data, segments = datasets.line_segments(KEY, num_per_segment=50, **sizes), datasets.segments_of(KEY, **sizes)
    table = jg.columns_of(data, segments=segments)
    assert list(table) == ["segment", "start_x1", "start_x2", "x1", "x2", "label"]
    assert table.num_rows == 500
    np.testing.assert_array_equal(table["segment"], np.arange(500) // 50)
    away = np.hypot(table["x1"] - table["start_x1"], table["x2"] - table["start_x2"])
    assert 0.19 < away.max() < 0.2001
    assert "500 rows, 6 columns" in repr(table)
    assert len(repr(table).splitlines()) == 13
    assert len(repr(table.head(2)).splitlines()) == 4
    with pytest.raises(ValueError, match="do not belong"):
        jg.columns_of(data, segments=datasets.segments_of(jax.random.key(1), **sizes))


def test_columns_of_a_disk_have_holes_and_polar_coordinates_about_them():
    data, centers = datasets.disk_with_holes(KEY, num_negative=60, num_positive=40), datasets.hole_centers()
    table = jg.columns_of(data, centers=centers)
    assert list(table) == ["hole", "r", "theta", "x1", "x2", "label"]
    np.testing.assert_array_equal(table["hole"] >= 0, table["label"] == 1)
    assert set(np.bincount(table["hole"][table["label"] == 1])) == {4, 5}
    assert table["r"][table["label"] == 1].max() <= 0.02001
    about = np.where(table["hole"][:, None] >= 0, np.asarray(centers)[table["hole"]], 0)
    back = about + table["r"][:, None] * np.stack([np.cos(table["theta"]), np.sin(table["theta"])], axis=1)
    np.testing.assert_allclose(back, data.x, atol=1e-7)


def test_columns_of_numbers_and_of_points_alone():
    rings = jg.columns_of(datasets.rings(KEY, num_per_class=20), polar=True)
    np.testing.assert_array_equal(rings["r"] > 2, rings["label"] == 1)
    assert list(jg.columns_of(datasets.damped_sine())) == ["x1", "y"]
    assert list(jg.columns_of(datasets.mesh_grid(step=5.0, dim=3))) == ["x1", "x2", "x3"]
    assert all(f">{text}<" in rings._repr_html_() for text in ("label", "theta", "0", "39", "40 rows, 5 columns"))
    for wrong, options in (
        (np.zeros(3), {}),
        ((np.zeros((3, 2)), [0, 1]), {}),
        (np.zeros((3, 1)), {"polar": True}),
        (np.zeros((3, 2)), {"centers": np.zeros((1, 2))}),
    ):
        with pytest.raises(ValueError, match="points"):
            jg.columns_of(wrong, **options)
