"""Exact counts and complexes of deep networks, random and degenerate, against cells cut in rational arithmetic."""

from functools import partial
from itertools import pairwise

import jax
import numpy as np
import pytest
import reference

from jaxgeom import (
    Dense,
    box,
    count_regions,
    enumerate_population,
    enumerate_regions,
    polygon,
    polygon_vertices,
    region_labels,
    whole_plane,
)
from jaxgeom.domains import projective_domain
from jaxgeom.networks.layers import pad_widths, with_activation
from jaxgeom.regions.certificates import check_complex
from jaxgeom.regions.exact_plane import exact_cells


def exact_count(network, start):
    return len({cell.pattern for cell in exact_cells(network, start)})


HALVES = np.array([-1, -0.5, 0, 0.5, 1])


def random_network(rng, widths, out=1):
    """As PyTorch draws it, in float32."""
    layers = []
    for fan_in, fan_out in pairwise((2, *widths, out)):
        bound = 1 / np.sqrt(fan_in)
        kernel, bias = (rng.uniform(-bound, bound, size).astype(np.float32) for size in ((fan_in, fan_out), fan_out))
        layers.append(Dense(kernel, bias))
    return tuple(layers)


def integer_network(rng, widths, out=1):
    return tuple(
        Dense(rng.choice(HALVES, size=(a, b)), rng.choice(HALVES, size=b)) for a, b in pairwise((2, *widths, out))
    )


def without_biases(layers):
    return tuple(Dense(kernel, 0 * bias) for kernel, bias, *_ in layers)


def with_twins(layers):
    """Units come twice, and with both signs."""
    (kernel, bias, *_), *rest = layers
    kernel, bias = kernel.copy(), bias.copy()
    kernel[:, 1], bias[1] = kernel[:, 0], bias[0]
    kernel[:, 3], bias[3] = -kernel[:, 2], -bias[2]
    return (Dense(kernel, bias), *rest)


def with_dead_units(layers):
    (kernel, bias, *_), *rest = layers
    bias = bias.copy()
    bias[:2], bias[2] = -10.0, 10.0
    return (Dense(kernel, bias), *rest)


def through_corners(layers):
    """The first units vanish at corners of the square to the last bit, or almost."""
    (kernel, bias, *_), *rest = layers
    kernel, bias = kernel.astype(np.float64), bias.astype(np.float64)
    bias[0] = -(kernel[0, 0] + kernel[1, 0])
    bias[1] = -(kernel[0, 1] - kernel[1, 1]) * (1 + 1e-13)
    return (Dense(kernel, bias), *rest)


def flat_second_layer(layers):
    """Units of the second layer vanish where the first is dead, and all meet in one point."""
    first, (kernel, bias, *_), *rest = layers
    return (first, Dense(kernel, 0 * bias), *rest)


def members(widths, seed):
    rng = np.random.default_rng(seed)
    plain = [random_network(rng, widths) for _ in range(7)]
    odd = [change(random_network(rng, widths)) for change in (without_biases, with_twins, with_dead_units)]
    odd += [change(random_network(rng, widths)) for change in (through_corners, flat_second_layer)]
    return plain + odd + [integer_network(rng, widths) for _ in range(4)]


def stacked(networks):
    return jax.tree.map(lambda *arrays: np.stack([np.asarray(array, np.float64) for array in arrays]), *networks)


class Case:
    """Networks of one shape, as a population, with their cells in rational arithmetic."""

    def __init__(self, widths, seed, domain):
        self.networks = members(widths, seed)
        self.layers = stacked(self.networks)
        self.domain = domain
        self.cells = [reference.exact_regions(network, polygon_vertices(domain)) for network in self.networks]
        self.counts = np.array([len(cells) for cells in self.cells])


KITE = polygon([(-1, -0.2), (0.1, -1), (1.1, 0.3), (0, 0.9)])


@pytest.fixture(scope="module", params=[((8, 8), box()), ((8, 8, 8), KITE)], ids=["two layers", "three layers"])
def case(request):
    return Case(request.param[0], 7, request.param[1])


@pytest.fixture(scope="module")
def shallow():
    return Case((8, 8), 7, box())


@pytest.fixture(scope="module")
def complexes(case):
    return enumerate_population(case.layers, case.domain)


def test_counts_of_a_mixed_population(case, complexes):
    found = count_regions(case.layers, case.domain)
    np.testing.assert_array_equal(found.count, case.counts)
    assert not found.degenerate[:7].any()  # nothing is exactly zero in random networks
    assert found.degenerate[7]  # all lines of a network without biases meet in one point
    # chunks, neighbours and complexes see the same zeros
    np.testing.assert_array_equal([complex_.degenerate for complex_ in complexes], found.degenerate)


def test_chunks_and_neighbours_do_not_matter(case):
    order = np.arange(40) * 3 % 16
    many = jax.tree.map(lambda array: array[order], case.layers)
    many[1].kernel[2, 0, 0], many[0].bias[20, 1] = np.nan, np.inf
    found = count_regions(
        jax.tree.map(lambda array: array.reshape(4, 10, *array.shape[1:]), many), case.domain, chunk_size=16
    )
    expected = np.where(np.isin(np.arange(40), [2, 20]), -1, case.counts[order])
    np.testing.assert_array_equal(found.count, expected.reshape(4, 10))


def test_complexes_are_those_of_rational_arithmetic(case, complexes):
    close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-13)
    for complex_, cells in zip(complexes, case.cells, strict=True):
        check_complex(complex_)
        by_pattern = {cell.pattern: cell for cell in cells}
        assert complex_.num_faces == len(cells) == len(by_pattern)
        for face in range(complex_.num_faces):
            cell = by_pattern[tuple(complex_.patterns[face].tolist())]
            close(complex_.area[face], float(cell.area), rtol=1e-9)
            close(complex_.gradient[face], np.array(cell.gradient, float))
            close(complex_.intercept[face], np.array(cell.intercept, float))
            span = slice(*complex_.face_offsets[face : face + 2])
            corners = complex_.vertices[complex_.face_vertices[span]]
            # Every exact corner is there; further vertices lie on straight edges, where neighbours have corners.
            for corner in np.array(cell.vertices, float):
                close(np.abs(corners - corner).max(axis=1).min(), 0, atol=1e-9)


def test_each_centroid_has_the_pattern_of_its_face(case, complexes):
    for network, complex_ in zip(case.networks[:7], complexes[:7], strict=True):
        np.testing.assert_array_equal(reference.activation_patterns(network, complex_.centroid), complex_.patterns)


def test_edges_lie_where_their_units_vanish(case, complexes):
    for network, complex_ in zip(case.networks[:7], complexes[:7], strict=True):
        _, pre_activations = reference.forward(network, complex_.vertices[complex_.edges].mean(axis=1))
        inner = np.flatnonzero(complex_.edge_layer >= 0)
        assert len(inner) > 0
        for edge in inner:
            z = pre_activations[complex_.edge_layer[edge]][edge]
            assert abs(z[complex_.edge_unit[edge]]) < 1e-13
            assert np.abs(z).argmin() == complex_.edge_unit[edge]


@pytest.mark.parametrize(
    ("kind", "truth"),
    [("linear", reference.num_linear_regions), ("map", reference.num_distinct_maps_exact), ("activation", len)],
)
def test_kinds_of_regions(case, complexes, kind, truth):
    expected = [truth(cells) for cells in case.cells]
    labels = [region_labels(complex_, kind) for complex_ in complexes]
    assert [len(np.unique(label)) for label in labels] == expected
    assert all((np.unique(label) == np.arange(label.max() + 1)).all() for label in labels)


def test_counts_by_kind_and_area(case):
    threshold = float(np.median([float(cell.area) for cells in case.cells for cell in cells]))
    found = count_regions(case.layers, case.domain, kind="map", min_area=threshold)
    np.testing.assert_array_equal(found.count, [reference.num_distinct_maps_exact(cells) for cells in case.cells])
    found = count_regions(case.layers, case.domain, min_area=threshold)
    areas = [np.array([float(cell.area) for cell in cells]) for cells in case.cells]
    np.testing.assert_array_equal(found.count, case.counts)
    np.testing.assert_array_equal(found.num_large, [(area >= threshold).sum() for area in areas])
    np.testing.assert_allclose(found.smallest_area, [area.min() for area in areas], rtol=1e-7)


def test_padding_changes_nothing(shallow):
    rng = np.random.default_rng(3)
    narrow = [random_network(rng, widths) for widths in [(1, 1), (3, 8), (8, 2), (5, 5)] * 4]
    padded = stacked([pad_widths(network, (8, 8)) for network in narrow])
    expected = [reference.exact_region_count(network, polygon_vertices(box())) for network in narrow]
    np.testing.assert_array_equal(count_regions(padded, box()).count, expected)


def test_the_whole_plane(shallow):
    complexes = enumerate_population(shallow.layers, whole_plane())
    exact = [exact_count(network, projective_domain(whole_plane())) for network in map(as_float64, shallow.networks)]
    assert [complex_.num_faces for complex_ in complexes] == exact
    assert (exact >= shallow.counts).all()
    assert not all(complex_.degenerate for complex_ in complexes[:7])
    # A box that holds all vertices sees every region.
    reach = 2 * max(np.abs(complex_.vertices[~complex_.is_ideal]).max() for complex_ in complexes[:7])
    for inside, complex_ in zip(enumerate_population(shallow.layers, box(-reach, reach)), complexes[:7], strict=False):
        check_complex(complex_)
        assert inside.num_faces == complex_.num_faces
        is_bounded = np.isfinite(complex_.area)
        assert 0 < is_bounded.sum() < complex_.num_faces
        corners = np.abs(inside.vertices[inside.face_vertices]).max(axis=1) < reach * (1 - 1e-9)
        is_free = np.logical_and.reduceat(corners, inside.face_offsets[:-1])
        assert is_free.sum() == is_bounded.sum()
        np.testing.assert_allclose(np.sort(inside.area[is_free]), np.sort(complex_.area[is_bounded]), rtol=1e-6)


def test_counts_in_the_plane_need_no_complex(shallow):
    found = count_regions(shallow.layers, whole_plane())
    some = [0, 1, 2, 7, 15]
    exact = [exact_count(as_float64(shallow.networks[i]), projective_domain(whole_plane())) for i in some]
    np.testing.assert_array_equal(found.count[some], exact)


def as_float64(network):
    return jax.tree.map(lambda array: np.asarray(array, np.float64), network)


def test_generic_lines_in_the_plane():
    rng = np.random.default_rng(0)
    for complex_ in enumerate_population(stacked([random_network(rng, (8,)) for _ in range(16)]), whole_plane()):
        check_complex(complex_)
        assert complex_.num_faces == 1 + 8 + 28
        assert np.isinf(complex_.area).sum() == 16


def test_tent_maps_fold_the_square_into_powers_of_two():
    # x -> 1 - |2 x - 1| by two units, three times; the pieces are strips of all powers.
    first = Dense(np.array([[2.0, 4.0], [0.0, 0.0]]), np.array([0.0, -2.0]))
    again = Dense(np.array([[2.0, 4.0], [-2.0, -4.0]]), np.array([0.0, -2.0]))
    idle = Dense(np.zeros((2, 2)), np.zeros(2))
    read = Dense(np.array([[1.0], [-1.0]]), np.zeros(1))
    networks = [(first, again, again, read), (first, again, idle, read), (first, idle, idle, read)]
    layers = stacked([pad_widths(network, (8, 8, 8)) for network in (networks * 6)[:16]])
    np.testing.assert_array_equal(count_regions(layers, box(0, 1)).count, ([8, 4, 2] * 6)[:16])


def test_a_budget_stops_between_layers(shallow):
    case, network = shallow, shallow.networks[0]
    first = len(
        reference.exact_regions(
            (network[0], Dense(np.zeros((len(network[0].bias), 1)), np.zeros(1))), polygon_vertices(case.domain)
        )
    )
    complex_ = enumerate_regions(network, case.domain, max_regions=first)
    assert not complex_.complete
    assert complex_.num_faces == first
    check_complex(complex_)
    assert np.isnan(complex_.gradient).all()
    with pytest.raises(ValueError, match="not complete"):
        region_labels(complex_, "map")
    assert enumerate_regions(network, case.domain, max_regions=10**6).complete


def test_the_output_can_cut_as_well(shallow):
    case, network = shallow, shallow.networks[1]
    width = network[-1].bias.shape[0]
    further = (*network, Dense(np.eye(width), np.zeros(width)))
    complex_ = enumerate_regions(network, case.domain, cut_output=True)
    check_complex(complex_)
    assert complex_.num_faces == reference.exact_region_count(further, polygon_vertices(case.domain))
    made = np.flatnonzero(complex_.edge_layer == len(network) - 1)
    values, _ = reference.forward(network, complex_.vertices[complex_.edges[made]].mean(axis=1))
    np.testing.assert_allclose(values, 0, atol=1e-13)


@pytest.mark.parametrize("activation", ["leaky_relu", "abs", 0.3, "linear"])
def test_other_kinks_at_zero(activation):
    rng = np.random.default_rng(1)
    slope = {"leaky_relu": 0.01, "abs": -1.0, "linear": 1.0}.get(activation, activation)
    network = random_network(rng, (8, 8), out=2)
    complex_ = enumerate_regions(network, box(), activation=activation)
    check_complex(complex_)
    assert complex_.num_faces == exact_count(with_activation(as_float64(network), slope), projective_domain(box()))
    assert complex_.num_faces == count_regions(network, box(), activation=activation).count
    points = complex_.centroid
    value = points
    for kernel, bias, *_ in network[:-1]:
        value = value @ kernel + bias
        value = np.where(value > 0, value, slope * value)
    value = value @ network[-1].kernel + network[-1].bias
    own = np.einsum("foi,fi->fo", complex_.gradient, points) + complex_.intercept
    np.testing.assert_allclose(own, value, atol=1e-13)


def test_hard_tanh_and_maxout():
    rng = np.random.default_rng(2)
    network = tuple(Dense(3 * kernel, bias) for kernel, bias, *_ in random_network(rng, (4, 4)))
    complex_ = enumerate_regions(network, box(), activation="hard_tanh")
    check_complex(complex_)
    value = complex_.centroid
    for kernel, bias, *_ in network[:-1]:
        value = np.clip(value @ kernel + bias, -1, 1)
    value = value @ network[-1].kernel + network[-1].bias
    own = np.einsum("foi,fi->fo", complex_.gradient, complex_.centroid) + complex_.intercept
    np.testing.assert_allclose(own, value, atol=1e-12)
    codes = set()
    for points in rng.uniform(-1, 1, size=(40, 5000, 2)):
        code, value = [], points
        for kernel, bias, *_ in network[:-1]:
            z = value @ kernel + bias
            code.append((z > -1).astype(int) + (z > 1))
            value = np.clip(z, -1, 1)
        codes |= set(map(tuple, np.concatenate(code, axis=1).tolist()))
    assert 0.8 * complex_.num_faces < len(codes) <= complex_.num_faces

    network = random_network(rng, (8, 8))
    pieces = tuple(
        Dense(kernel[: len(kernel) // 2] if i else kernel, bias) for i, (kernel, bias, _) in enumerate(network)
    )
    complex_ = enumerate_regions(pieces, box(), activation="maxout")
    check_complex(complex_)
    value = complex_.centroid
    for kernel, bias, *_ in pieces[:-1]:
        z = value @ kernel + bias
        value = np.maximum(z[:, :4], z[:, 4:])
    value = value @ pieces[-1].kernel + pieces[-1].bias
    own = np.einsum("foi,fi->fo", complex_.gradient, complex_.centroid) + complex_.intercept
    np.testing.assert_allclose(own, value, atol=1e-13)


def test_bad_input(unchecked):
    network = random_network(np.random.default_rng(0), (4, 4))
    spoilt = (Dense(network[0].kernel * np.nan, network[0].bias), *network[1:])
    deeper = (Dense(np.zeros((3, 4)), np.zeros(4)), *network[1:])
    for function in (count_regions, enumerate_regions):
        with pytest.raises(ValueError, match="layer 0 of the network has NaN"):
            function(spoilt, box())
        with pytest.raises(ValueError, match=r"two|2"):
            function(deeper, box())
        with pytest.raises(TypeError, match=r"domain is needed, such as jaxgeom.box"):
            function(network, "square")
        with pytest.raises(ValueError, match="a box in 3 dimensions was given"):
            function(network, box(dim=3))
        with pytest.raises(ValueError, match="grid_regions"):
            function(network, box(), activation="tanh")
        with pytest.raises(ValueError, match="2 hidden layers, but 3 activations"):
            function(network, box(), activation=["relu"] * 3)
        with pytest.raises(TypeError, match=r"a name or a number.*Names are relu,"):
            function(network, box(), activation=[None, None])
    with pytest.raises(ValueError, match="kind must be one of"):
        count_regions(network, box(), kind="convex")
    with pytest.raises(ValueError, match="min_area"):
        count_regions(network, box(), min_area=-1.0)
    with pytest.raises(ValueError, match="max_regions"):
        enumerate_regions(network, box(), max_regions=0)
    with pytest.raises(ValueError, match="one network is needed"):
        enumerate_regions(stacked([network, network]), box())
    with pytest.raises(ValueError, match="one leading axis"):
        enumerate_population(network, box())
    with pytest.raises(ValueError, match="maxout halves"):
        count_regions(
            (Dense(np.zeros((2, 3)), np.zeros(3)), Dense(np.zeros((2, 1)), np.zeros(1))), box(), activation="maxout"
        )


@pytest.mark.parametrize(
    ("vertices", "message"),
    [
        ([(0, 0), (1, 0)], "at least 3"),
        ([(0, 0), (1, 0), (2, 0)], "not those of a convex polygon"),
        ([(0, 0), (1, 0), (1, 0), (0, 1)], "not those of a convex polygon"),
        ([(0, 0), (2, 0), (0.5, 0.5), (0, 2)], "not those of a convex polygon"),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], "not those of a convex polygon"),
        ([(0, 0), (1, 0), (0, np.nan)], "finite"),
    ],
)
def test_polygons_that_are_not_convex(vertices, message):
    with pytest.raises(ValueError, match=message):
        polygon(vertices)


def test_a_star_that_turns_left_twice_around_is_no_polygon():
    angles = 2 * np.pi * np.arange(5) * 2 / 5
    with pytest.raises(ValueError, match="not those of a convex polygon"):
        polygon(np.stack([np.cos(angles), np.sin(angles)], axis=1))


def test_polygons_run_counter_clockwise():
    clockwise = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)]
    x, y = polygon(clockwise).vertices.T
    assert np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) == 1
    assert {tuple(vertex) for vertex in polygon(clockwise).vertices.tolist()} == set(clockwise)


@pytest.mark.parametrize("gain", [1.0, 2.0])
@pytest.mark.parametrize("slope", [0, 0.1, -1, 2, 1])
def test_deep_networks_whose_last_layers_hardly_cut(slope, gain):
    """Gradients fade with depth in PyTorch's networks, not in others: only layers that never cut are left out."""
    rng = np.random.default_rng(40)
    for widths in [(4,) * 8, (7,) * 5, (12, 3, 9, 4, 3, 5)]:
        drawn = tuple(Dense(gain * kernel, bias) for kernel, bias, *_ in random_network(rng, widths))
        for network in (drawn, with_twins(drawn), with_dead_units(drawn)):
            hidden = [layer._replace(slope=0.0 if i % 2 else float(slope)) for i, layer in enumerate(network[:-1])]
            sloped = (*hidden, network[-1])
            assert count_regions(sloped, box()).count == exact_count(sloped, projective_domain(box()))
