"""Counts of lines in general position: never certain and wrong, and certain of all but degenerate networks."""

import jax
import numpy as np
import pytest
from conftest import quick
from test_regions_arrangement import SQUARE, degenerate_networks, layer_of, through, truth, uniform

from jaxgeom import box, count_regions, layers_of, polygon, polygon_vertices
from jaxgeom.layers import Dense
from jaxgeom.regions import count
from jaxgeom.regions.count import _scaled
from jaxgeom.regions.general_position import general_counts, num_partners

WIDTH = 20
"""Networks are padded with zero units to this width, so that they share one compiled program."""
BATCH = 64


def general(networks, vertices=SQUARE, width=WIDTH):
    """Counts of many networks, and which are certain, in batches of one shape."""
    layers = [layer_of(np.float64(units), width) for units in networks]
    layers += layers[-1:] * (-len(layers) % BATCH)
    hidden = _scaled(Dense(*(np.stack(arrays) for arrays in zip(*layers, strict=True))))
    parts = [
        general_counts(Dense(*(array[start : start + BATCH] for array in hidden)), vertices)
        for start in range(0, len(layers), BATCH)
    ]
    return tuple(np.concatenate(arrays)[: len(networks)] for arrays in zip(*parts, strict=True))


def never_wrong(networks, vertices=SQUARE, width=WIDTH):
    """Who is certain; and those are right."""
    networks = list(networks)
    found, is_certain = general(networks, vertices, width)
    for index in np.flatnonzero(is_certain):
        assert found[index] == truth(networks[index], vertices), networks[index]
    return is_certain


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("num_units", [1, 2, 3, 6, 20])
def test_random_networks_are_certain(num_units, dtype):
    rng = np.random.default_rng(num_units)
    assert never_wrong(uniform(rng, num_units).astype(dtype) for _ in range(25)).all()


def test_odd_widths():
    rng = np.random.default_rng(0)
    networks = [uniform(rng, 5) for _ in range(8)]
    found, is_certain = general(networks, width=5)
    np.testing.assert_array_equal(found, [truth(units) for units in networks])
    assert is_certain.all()


def test_trained_networks_are_certain(trained_xor):
    kernel, bias = layers_of(trained_xor(20).params)[0]
    networks = [np.column_stack([k.T, b]) for k, b in zip(kernel, bias, strict=True)]
    # many of their lines run through corners, exactly or nearly so
    is_certain = never_wrong(networks)
    assert is_certain.mean() > 0.9
    corners = np.column_stack([SQUARE, np.ones(4)])
    assert any((np.float64(units) @ corners.T == 0).any() for units in networks)


@pytest.mark.parametrize("single", [True, False])
def test_degenerate_networks(single):
    networks = degenerate_networks(single)
    is_certain = dict(zip(networks, never_wrong(networks.values()), strict=True))
    assert is_certain["dead units"]
    for name in ("duplicates", "negatives", "no biases", "all through the middle", "diagonals"):
        assert not is_certain[name]


@pytest.mark.parametrize("num_units", [2, 4, 8, 16])
def test_integer_networks(num_units):
    rng = np.random.default_rng(num_units)
    is_certain = never_wrong(rng.integers(-2, 3, (num_units, 3)) / 2 for _ in range(60))
    if num_units == 2:
        assert is_certain.any()
    if num_units == 16:
        assert not is_certain.all()


@pytest.mark.parametrize("error", [0, 1e-16, 1e-15, 1e-14, 1e-12, 1e-9])
def test_nearly_degenerate_networks(error):
    rng = np.random.default_rng(1)
    networks = []
    for _ in range(20):
        base = uniform(rng, 3)
        networks += [
            np.concatenate([through(rng, np.tile(rng.uniform(-1, 1, 2), (3, 1)), error), base]),
            np.concatenate([base, base + error * rng.integers(-2, 3, (3, 3))]),
            np.concatenate([through(rng, SQUARE, error), through(rng, SQUARE[:3], error)]),
            np.concatenate([through(rng, np.array([[x, 1.0], [x, 1.0]]), error) for x in rng.uniform(-1, 1, 3)]),
        ]
    never_wrong(networks)


def test_lines_exactly_through_corners_are_certain():
    rng = np.random.default_rng(2)
    networks = []
    for _ in range(30):
        units = rng.integers(-63, 64, (8, 3)) / 64
        units[:5, 2] = -np.sum(units[:5, :2] * SQUARE[rng.integers(0, 4, 5)], axis=1)
        units[5:] = uniform(rng, 3).astype(np.float32)
        networks.append(units)
    assert never_wrong(networks).mean() > 0.5


@pytest.mark.parametrize(
    "domain",
    [
        box((0.1, -3), (0.3, 2.5)),
        box(30, 31),
        polygon([(0, 0), (1, 0.25), (0.5, 1)]),
        polygon([(2, 0), (1, 2), (-1, 2), (-2, 0), (-1, -2), (0, -2), (1, -2)]),  # with a straight angle
        polygon([(np.cos(t), np.sin(t)) for t in np.arange(12) * np.pi / 6]),
    ],
    ids=["thin", "far away", "triangle", "hexagon", "twelve sides"],
)
def test_other_domains(domain):
    vertices = polygon_vertices(domain)
    rng = np.random.default_rng(3)
    weights = rng.dirichlet(np.ones(len(vertices)), (20, 10))
    networks = [through(rng, w @ vertices) for w in weights]
    assert never_wrong(networks, vertices).mean() > 0.9
    networks = [np.concatenate([units[:4], through(rng, vertices)]) for units in networks]
    never_wrong(networks, vertices)


def test_what_is_not_certain_is_counted_all_the_same(monkeypatch):
    monkeypatch.setattr(count, "_arrangements", quick(count._arrangements.__wrapped__))
    rng = np.random.default_rng(4)
    networks = [uniform(rng, 6) for _ in range(6)] + [np.tile(uniform(rng, 3), (2, 1)) for _ in range(2)]
    hidden = Dense(*(np.stack(arrays) for arrays in zip(*(layer_of(units) for units in networks), strict=True)))
    found = count_regions((hidden, Dense(np.ones((8, 6, 1)), np.zeros((8, 1)))), box())
    assert not general(networks, width=6)[1][6:].any()
    np.testing.assert_array_equal(found.count, [truth(units) for units in networks])


def test_weights_without_numbers():
    # too large, too small, or on a polygon too large: never certain and wrong
    rng = np.random.default_rng(5)
    for scale in (1e-310, 1e-300, 1e300):
        never_wrong([scale * uniform(rng, 5) for _ in range(5)])
        never_wrong([uniform(rng, 5) * [1, 1, scale] for _ in range(5)], np.clip(scale, 1e-300, 1e300) * SQUARE)


@pytest.mark.parametrize("units", [*range(1, 30), 100, 101, 102])
def test_of_three_units_one_has_both_others_as_partners(units):
    around = units + 1 - units % 2
    partners = num_partners(units)
    assert partners < around
    for first in range(1, around):
        for second in range(first + 1, around):
            gaps = first, second - first, around - second
            assert min(gaps[0] + gaps[1], gaps[1] + gaps[2], gaps[2] + gaps[0]) <= partners


@pytest.mark.parametrize("places", [(0, 1, 2), (0, 33, 67), (5, 40, 99), (0, 99, 50), (97, 98, 99)])
def test_three_of_many_lines_through_one_point_are_not_certain(places):
    rng = np.random.default_rng(0)
    units = uniform(rng, 100)
    assert general([units], width=100)[1].all()
    for error in (0, 1e-13):
        units[list(places)] = through(rng, np.tile(rng.uniform(-0.9, 0.9, 2), (3, 1)), error)
        assert not general([units], width=100)[1].any()


@pytest.mark.parametrize("num_units", [101, 257, 700, 1024])
def test_wide_layers_have_as_many_regions_as_lines_and_meetings_make(num_units):
    a, b, c = uniform(np.random.default_rng(num_units), num_units).T
    crosses = np.abs(c) < np.abs(a) + np.abs(b)  # some corner of the square is on each side
    i, j = np.triu_indices(num_units, 1)
    determinant = a[i] * b[j] - a[j] * b[i]
    x = (b[i] * c[j] - b[j] * c[i]) / determinant
    y = (a[j] * c[i] - a[i] * c[j]) / determinant
    is_inside = (np.abs(x) < 1) & (np.abs(y) < 1)
    hidden = layer_of(np.stack([a, b, c], axis=1))
    found = count_regions((hidden, Dense(np.ones((num_units, 1)), np.zeros(1))), box())
    assert found.count == 1 + crosses.sum() + is_inside.sum()
    _, is_certain = general_counts(_scaled(jax.tree.map(lambda array: array[None], hidden)), SQUARE)
    assert is_certain.all()
