"""Decision boundaries: held against complexes that the output cuts as well, and against the network's own values."""

from itertools import pairwise

import jax
import numpy as np
import pytest
import reference
from complexes import network

from jaxgeom.domains import box, polygon, whole_plane
from jaxgeom.networks.layers import Dense
from jaxgeom.regions.boundaries import boundary_sizes
from jaxgeom.regions.boundary import Boundary, decision_boundary
from jaxgeom.regions.compared import compare
from jaxgeom.regions.enumerate import enumerate_population, enumerate_regions

HALVES = [-1.0, -0.5, 0.0, 0.5, 1.0]


def complex_of(layers, domain=None, **options):
    return enumerate_regions(layers, box() if domain is None else domain, **options)


def classes_at(layers, points):
    """The class of each point: the first largest output, or whether the only one is positive."""
    output, _ = reference.forward(layers, points)
    return (output[:, 0] > 0).astype(int) if output.shape[1] == 1 else output.argmax(axis=1)


def lines(*rows):
    """One hidden layer with units a x + b y + c, and what follows it."""
    rows = np.float64(rows)
    return Dense(rows[:, :2].T.copy(), rows[:, 2])


def net(rows, kernel, bias):
    return (lines(*rows), Dense(np.asarray(kernel, np.float64), np.asarray(bias, np.float64)))


@pytest.mark.parametrize("widths", [(1,), (10, 1), (8, 8, 1), (5, 5, 5, 1)])
def test_one_output_is_zero_on_the_boundary_and_only_there(widths):
    num_pieces = 0
    for seed in range(8):
        layers = network(seed, *widths)
        complex_ = complex_of(layers)
        found = decision_boundary(complex_)
        cut = complex_of(layers, cut_output=True)
        edges = cut.vertices[cut.edges[cut.edge_layer == len(widths) - 1]]
        assert len(found.face) == len(edges)
        assert found.length.sum() == pytest.approx(np.hypot(*(edges[:, 1] - edges[:, 0]).T).sum(), abs=1e-12)
        both = np.stack([sorted_pieces(found.segments), sorted_pieces(edges)])
        np.testing.assert_allclose(both[0], both[1], atol=1e-12)
        points = np.concatenate([found.segments[:, 0], found.segments[:, 1], found.segments.mean(axis=1)])
        np.testing.assert_allclose(reference.forward(layers, points)[0], 0, atol=1e-13)
        check_sides(layers, found)
        assert not found.is_flat.any()
        num_pieces += len(edges)
    assert num_pieces > 0


def sorted_pieces(segments):
    """The middles and half-vectors of pieces, in an order and direction that rounding does not change."""
    middle, half = segments.mean(axis=1), (segments[:, 1] - segments[:, 0]) / 2
    half *= np.where(half[:, :1] < 0, -1, 1)
    order = np.argsort(middle @ [1.0, 0.618])
    return np.concatenate([middle, half], axis=1)[order]


def check_sides(layers, found):
    """The classes on both sides of the middle of each piece are those that are named, and its length is right."""
    along = found.segments[:, 1] - found.segments[:, 0]
    np.testing.assert_allclose(found.length, np.hypot(*along.T), rtol=1e-15)
    step = 1e-7 * np.stack([-along[:, 1], along[:, 0]], axis=1)
    for side, expected in zip((step, -step), found.classes.T, strict=True):
        np.testing.assert_array_equal(classes_at(layers, found.segments.mean(axis=1) + side), expected)


def some(found, which):
    """Some of the pieces."""
    return Boundary(*(array[which] for array in found[:4]), found.is_flat)


@pytest.mark.parametrize("widths", [(4,), (8, 3), (6, 6, 5)])
def test_several_outputs_tie_above_all_others(widths):
    num_pieces = 0
    for seed in range(8):
        layers = network(seed, *widths)
        found = decision_boundary(complex_of(layers))
        output, _ = reference.forward(layers, np.concatenate([found.segments[:, 0], found.segments[:, 1]]))
        top = output.max(axis=1)
        for tied in found.classes.T:
            np.testing.assert_allclose(output[np.arange(len(top)), np.tile(tied, 2)], top, atol=1e-13)
        check_sides(layers, found)
        assert not found.is_flat.any()
        num_pieces += len(found.face)
    assert num_pieces > 8


@pytest.mark.parametrize("widths", [(8, 8, 1), (6, 6, 5)])
def test_straight_paths_cross_the_boundary_where_the_class_changes(widths):
    for seed in range(6):
        layers = network(seed, *widths)
        found = decision_boundary(complex_of(layers))
        for height in np.random.default_rng(seed).uniform(-1, 1, 10):
            start, stop = np.moveaxis(found.segments, 1, 0)
            crosses = (start[:, 1] > height) != (stop[:, 1] > height)
            start, stop = start[crosses], stop[crosses]
            at = start[:, 0] + (height - start[:, 1]) / (stop[:, 1] - start[:, 1]) * (stop[:, 0] - start[:, 0])
            x = np.concatenate([[-1.0], np.sort(at), [1.0]])
            middle = np.column_stack([(x[1:] + x[:-1]) / 2, np.full(len(x) - 1, height)])
            between = classes_at(layers, middle)
            assert (between[1:] != between[:-1]).all()
            # nothing changes within the intervals
            inner = x[:-1, None] + np.linspace(0.01, 0.99, 30) * np.diff(x)[:, None]
            points = np.column_stack([inner.ravel(), np.full(inner.size, height)])
            np.testing.assert_array_equal(classes_at(layers, points), np.repeat(between, 30))


def test_two_outputs_are_one_difference():
    for seed in range(5):
        layers = network(seed, 8, 8, 2)
        complex_ = complex_of(layers)
        difference = Dense(layers[-1].kernel @ [[-1.0], [1.0]], layers[-1].bias @ [[-1.0], [1.0]])
        one = decision_boundary(complex_of((*layers[:-1], difference)))
        two = decision_boundary(complex_)
        np.testing.assert_allclose(two.segments, one.segments, atol=1e-12)
        np.testing.assert_array_equal(two.classes, one.classes)
        np.testing.assert_array_equal(two.face, one.face)


def test_the_order_of_the_classes_does_not_matter():
    layers = network(3, 6, 6, 5)
    found = decision_boundary(complex_of(layers))
    order = np.array([3, 0, 4, 1, 2])
    permuted = Dense(layers[-1].kernel[:, order], layers[-1].bias[order])
    again = decision_boundary(complex_of((*layers[:-1], permuted)))
    np.testing.assert_allclose(sorted_pieces(again.segments), sorted_pieces(found.segments), atol=1e-12)
    pairs = [{frozenset(pair) for pair in classes.tolist()} for classes in (found.classes, order[again.classes])]
    assert pairs[0] == pairs[1]


def test_pieces_of_neighbouring_faces_end_in_the_same_points():
    for seed in range(5):
        found = decision_boundary(complex_of(network(seed, 10, 10, 1)))
        ends, num = np.unique(found.segments.reshape(-1, 2), axis=0, return_counts=True)
        on_the_side = np.abs(ends).max(axis=1) == 1
        np.testing.assert_array_equal(num, np.where(on_the_side, 1, 2))


@pytest.mark.parametrize(
    ("rows", "kernel", "bias", "expected", "num_flat"),
    [
        # (class to the left, class to the right, length) of all pieces, seen upwards
        ([[1, 0, 0], [-1, 0, 0]], [[1], [1]], [0], [(1, 1, 2)], 0),  # |x|
        ([[1, 0, 0], [-1, 0, 0]], [[-1], [-1]], [0], [(0, 0, 2)], 0),  # -|x|
        ([[1, 0, 0], [-1, 0, 0]], [[1], [-1]], [0], [(0, 1, 2)], 0),  # x
        ([[1, 0, 0], [0, 1, 0.5]], [[1], [0]], [0], [(0, 1, 1.5), (0, 1, 0.5)], 2),  # relu(x)
        ([[1, 0, 0]], [[-1]], [0], [], 1),  # -relu(x)
        ([[1, 0, 0], [1, 0, -2]], [[0], [1]], [0], [], 2),  # zero in the box
        ([[1, 0, 1]], [[1]], [0], [(1, 1, 2)], 0),  # zero on the left side of the box
        ([[1, 0, -1]], [[1]], [0], [], 1),
        ([[1, 0, 1], [1, 0, -0.5], [1, 0, -0.5 - 2**-50]], [[1], [0], [0]], [-1.5], [(0, 1, 2)], 0),  # x - 1/2
        ([[1, 0, 0], [-1, 0, 0]], [[0, 1, 2], [0, -1, -2]], [0, 0, 0], [(0, 2, 2)], 0),  # 0, x, 2x: edge
        ([[1, 0, -2]], [[0, 0, 0]], [0, 0, 0], [], 1),
        # 2.8e-17 x for x > 0, since the sum of these weights is not zero, and relu(-y): a right angle
        ([[1, 0, 0]] * 3 + [[0, -1, 0]], [[0.1], [0.2], [-0.3], [1]], [0], [(0, 1, 1), (0, 1, 1)], 1),
        # zero for x > 0: a right angle and two more flat faces
        ([[1, 0, 0]] * 3 + [[0, -1, 0]], [[0.25], [0.5], [-0.75], [1]], [0], [(0, 1, 1), (0, 1, 1)], 2),
    ],
)
def test_degenerate_outputs(rows, kernel, bias, expected, num_flat):
    found = decision_boundary(complex_of(net(rows, kernel, bias)))
    upwards = found.segments[:, 1, 1] > found.segments[:, 0, 1]
    classes = np.where(upwards[:, None], found.classes, found.classes[:, ::-1])
    seen = [(*pair, length) for pair, length in zip(classes.tolist(), found.length.tolist(), strict=True)]
    assert sorted(seen) == sorted(expected)
    assert found.is_flat.sum() == num_flat


def test_lines_that_several_classes_share_inside_a_face():
    # 0, x, 2x without hidden units that bend: class 1 is the largest on the line only
    layers = (Dense(np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]]), np.zeros(3)),)
    found = decision_boundary(complex_of(layers))
    assert found.length.tolist() == [2]
    assert sorted(found.classes[0].tolist()) == [0, 2]
    # 0, x, -x, which meet in a line, too, with 0 nowhere the largest
    layers = (Dense(np.array([[0.0, 1.0, -1.0], [0.0, 0.0, 0.0]]), np.zeros(3)),)
    assert sorted(decision_boundary(complex_of(layers)).classes.tolist()[0]) == [1, 2]
    # three classes, equal angles, one point
    angles = 2 * np.pi * np.arange(3) / 3 + 0.1
    layers = (Dense(np.stack([np.cos(angles), np.sin(angles)]), np.zeros(3)),)
    found = decision_boundary(complex_of(layers))
    assert len(found.face) == 3
    np.testing.assert_allclose(np.hypot(*np.moveaxis(found.segments, 2, 0)).min(axis=1), 0, atol=1e-15)
    check_sides(layers, found)


def test_classes_with_one_map():
    layers = network(5, 6, 6, 2)
    last = layers[-1]
    doubled = (*layers[:-1], Dense(last.kernel[:, [0, 0, 1]], last.bias[[0, 0, 1]]))
    plain, found = decision_boundary(complex_of(layers)), decision_boundary(complex_of(doubled))
    assert len(plain.face) > 0
    np.testing.assert_array_equal(found.segments, plain.segments)
    np.testing.assert_array_equal(found.classes, 2 * plain.classes)
    assert not plain.is_flat.any()
    # flat where the doubled class is the largest somewhere on the face
    complex_ = complex_of(layers)
    values = complex_.gradient[:, 0] - complex_.gradient[:, 1], complex_.intercept[:, 0] - complex_.intercept[:, 1]
    at = np.einsum("fi,fi->f", np.repeat(values[0], np.diff(complex_.face_offsets), axis=0), corners(complex_))
    at += np.repeat(values[1], np.diff(complex_.face_offsets))
    np.testing.assert_array_equal(found.is_flat, np.maximum.reduceat(at, complex_.face_offsets[:-1]) > 0)
    assert 0 < found.is_flat.sum() < len(found.is_flat)


def corners(complex_):
    return complex_.vertices[complex_.face_vertices]


def test_integer_networks():
    # parallel, duplicate and concurrent lines, flat faces: the class changes where exact arithmetic says so
    num_flat = num_pieces = 0
    for seed in range(60):
        layers = network(seed, 4, 3, 1, values=HALVES)
        complex_ = complex_of(layers)
        found = decision_boundary(complex_)
        changes = found.classes[:, 0] != found.classes[:, 1]
        check_sides(layers, some(found, changes))
        cut = complex_of(layers, cut_output=True)
        inner = (cut.edge_faces >= 0).all(axis=1)
        is_positive = cut.patterns[:, -1][cut.edge_faces]
        expected = cut.vertices[cut.edges[inner & (is_positive[:, 0] != is_positive[:, 1])]]
        length = np.hypot(*(expected[:, 1] - expected[:, 0]).T).sum()
        assert found.length[changes].sum() == pytest.approx(length, abs=1e-12)
        vanishes = (complex_.gradient == 0).all(axis=(1, 2)) & (complex_.intercept == 0).all(axis=1)
        np.testing.assert_array_equal(found.is_flat, vanishes)
        num_flat += vanishes.sum()
        num_pieces += changes.sum()
    assert num_flat > 20
    assert num_pieces > 20


@pytest.mark.parametrize("num", [3, 5])
def test_ties_of_integer_networks(num):
    num_pieces = 0
    for seed in range(40):
        layers = network(seed, 4, 3, num, values=HALVES)
        found = decision_boundary(complex_of(layers))
        changes = found.classes[:, 0] != found.classes[:, 1]
        # dead outputs tie, and the first one counts
        check_sides(layers, some(found, changes))
        order = np.random.default_rng(seed).permutation(num)
        again = decision_boundary(
            complex_of((*layers[:-1], Dense(layers[-1].kernel[:, order], layers[-1].bias[order])))
        )
        np.testing.assert_array_equal(again.is_flat, found.is_flat)
        num_pieces += changes.sum()
    assert num_pieces > 40


def test_other_activations_and_domains():
    triangle = polygon([(-1, -1), (2, -0.5), (0.5, 1.5)])
    for activation in ("abs", "leaky_relu", "hard_tanh"):
        layers = network(7, 6, 6, 1)
        found = decision_boundary(complex_of(layers, triangle, activation=activation))
        cut = complex_of(layers, triangle, activation=activation, cut_output=True)
        edges = cut.vertices[cut.edges[cut.edge_layer == 2]]
        assert len(found.face) == len(edges) > 0
        np.testing.assert_allclose(sorted_pieces(found.segments), sorted_pieces(edges), atol=1e-12)


def test_what_scales_and_what_does_not():
    layers = network(8, 6, 6, 1)
    plain = decision_boundary(complex_of(layers))
    scaled = (*layers[:-1], Dense(2.0**-60 * layers[-1].kernel, 2.0**-60 * layers[-1].bias))
    for one, other in zip(decision_boundary(complex_of(scaled)), plain, strict=True):
        np.testing.assert_array_equal(one, other)
    tiny = network(3, 6, 6, 5)
    scaled = (*tiny[:-1], Dense(2.0**-700 * tiny[-1].kernel, 2.0**-700 * tiny[-1].bias))
    for one, other in zip(decision_boundary(complex_of(scaled)), decision_boundary(complex_of(tiny)), strict=True):
        np.testing.assert_array_equal(one, other)
    large = (Dense(2.0**-40 * layers[0].kernel, layers[0].bias), *layers[1:])
    found = decision_boundary(complex_of(large, box(-(2.0**40), 2.0**40)))
    np.testing.assert_array_equal(found.segments, 2.0**40 * plain.segments)
    np.testing.assert_array_equal(found.face, plain.face)


@pytest.mark.parametrize("num_outputs", [1, 3])
@pytest.mark.parametrize("powers", [(500, 500, 60), (900, 0, 900), (-500, -500, -60), (-500, -500, -73), (-900,) * 3])
def test_outputs_beyond_what_float64_holds(powers, num_outputs):
    """Layers without biases times powers of two: the same lines, wherever outputs overflow or are next to zero."""
    layers = network(3, 6, 5, num_outputs)
    layers = (layers[0], *(layer._replace(bias=0 * layer.bias) for layer in layers[1:]))
    scaled = tuple(
        layer._replace(kernel=layer.kernel * 2.0**power, bias=layer.bias * 2.0**power)
        for layer, power in zip(layers, powers, strict=True)
    )
    expected, found = decision_boundary(complex_of(layers)), decision_boundary(complex_of(scaled))
    assert len(expected.length) > 2
    np.testing.assert_allclose(found.segments, expected.segments, atol=1e-13)
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_array_equal(found.is_flat, expected.is_flat)
    sizes = boundary_sizes(jax.tree.map(lambda *arrays: np.stack(arrays), layers, scaled), box())
    np.testing.assert_allclose(sizes.length, expected.length.sum(), rtol=1e-12)
    assert sizes.pieces.tolist() == [len(expected.length)] * 2


def test_without_a_boundary():
    layers = network(0, 6, 1)
    positive = (layers[0], Dense(layers[1].kernel, layers[1].bias + 100))
    found = decision_boundary(complex_of(positive))
    assert found.segments.shape == (0, 2, 2)
    assert found.length.sum() == 0
    assert not found.is_flat.any()


def test_what_is_refused():
    layers = network(0, 6, 1)
    with pytest.raises(ValueError, match=r"covers the whole plane.* box\("):
        decision_boundary(complex_of(layers, whole_plane()))
    with pytest.raises(ValueError, match=r"covers the whole plane.* box\("):
        decision_boundary(complex_of((layers[1]._replace(kernel=np.ones((2, 1))),), whole_plane()))
    with pytest.raises(ValueError, match="not complete"):
        decision_boundary(complex_of(layers)._replace(complete=False))


def test_the_box_that_is_named_holds_all_vertices():
    complex_ = complex_of(network(0, 6, 1), whole_plane())
    with pytest.raises(ValueError, match="box") as caught:
        decision_boundary(complex_)
    low, high = eval(str(caught.value).split("box(")[1].split(")")[0])
    finite = complex_.vertices[~complex_.is_ideal]
    assert (low < finite).all()
    assert (finite < high).all()


def test_three_classes_that_meet_make_no_ties_of_three_lines():
    complex_ = complex_of(network(3, 6, 6, 5))
    compared = compare(complex_)
    assert compared.complex_.num_faces > complex_.num_faces  # classes were not told apart by vertices alone
    assert not compared.complex_.degenerate
    seen = reference.forward(complex_.layers, compared.complex_.centroid)[0].argmax(axis=1)
    np.testing.assert_array_equal(compared.classes, np.stack([seen, seen], axis=1))


@pytest.mark.parametrize(("features", "is_integer"), [((2, 6, 1), False), ((2, 5, 3), False), ((2, 4, 4), True)])
def test_boundaries_of_many_networks_are_those_of_each(features, is_integer):
    """Integer weights make ties and flat faces; with several classes some networks are cut, and others are not."""
    rng = np.random.default_rng(3)

    def draw(*shape):
        return rng.integers(-1, 2, shape).astype(float) if is_integer else rng.normal(size=shape)

    layers = tuple(Dense(draw(40, n, m), draw(40, m)) for n, m in pairwise(features))
    layers[0].bias[7] = np.nan
    for domain in (box(-1, 1), polygon([(-2, -1), (2, 0), (0, 1)])):
        found = boundary_sizes(layers, domain)
        assert (found.length[7], found.pieces[7]) == (0, 0)
        for index, complex_ in enumerate(enumerate_population(layers, domain)):
            if index != 7:
                expected = decision_boundary(complex_).length
                assert found.pieces[index] == len(expected), index
                np.testing.assert_allclose(found.length[index], expected.sum(), rtol=1e-13, atol=1e-13)
    with pytest.raises(ValueError, match="needs a bounded domain"):
        boundary_sizes(layers, whole_plane())
