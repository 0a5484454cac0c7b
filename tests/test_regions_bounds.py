"""Theory of region counts, against other ways to derive it, simulation, and counts of real networks."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import reference

from jaxgeom import box
from jaxgeom.domains import polygon, polygon_vertices, whole_plane
from jaxgeom.theory import (
    hanin_rolnick_2019,
    mean_count_ball,
    mean_count_one_layer,
    mean_count_polygon,
    mean_length_ratio,
    montufar_2014,
    montufar_2017,
    raghu_2017,
    serra_2018,
    zaslavsky,
    zaslavsky_central,
)

UPPER = (serra_2018, montufar_2017, raghu_2017)
WIDTHS = [widths for depth in range(4) for widths in itertools.product((1, 2, 3, 5), repeat=depth)]
SQUARE = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
dims = pytest.mark.parametrize("dim", [1, 2, 3, 4])


def random_network(rng, dim, widths, draw="normal"):
    """A ReLU network with one output; "integers" are multiples of ½, with ties of all kinds."""
    sizes = list(itertools.pairwise([dim, *widths, 1]))
    if draw == "integers":
        return [(rng.integers(-2, 3, size) / 2, rng.integers(-2, 3, size[1]) / 2) for size in sizes]
    return [(rng.normal(size=size), rng.normal(size=size[1])) for size in sizes]


def summed(num):
    """The output layer that adds up ``num`` units."""
    return np.ones((num, 1)), np.zeros(1)


def is_mean(samples, expected, error=math.inf):
    """Whether the mean of the samples is the expected one up to 3.5 standard errors, which are at most ``error``."""
    deviation = np.std(samples) / math.sqrt(len(samples))
    return deviation < error and abs(np.mean(samples) - expected) < 3.5 * deviation


# Bounds


def test_published_values():
    assert serra_2018([4, 4], 2) == 121
    assert serra_2018([4, 4], 4) == 163
    assert serra_2018([20, 20, 20], 2) == 9_393_931
    assert serra_2018([11, 11], 784) == 2_449_868
    assert montufar_2017([4, 4], 4) == 256
    assert montufar_2014([4, 4], 2) == 44


def serra_by_tuples(dim, widths):
    """The sum of the theorem, written out over every tuple (j_1, …, j_L)."""
    total = 0
    for js in itertools.product(*(range(n + 1) for n in widths)):
        left = [dim, *(n - j for n, j in zip(widths, js, strict=True))]
        if all(j <= min(left[: index + 1]) for index, j in enumerate(js)):
            total += math.prod(math.comb(n, j) for n, j in zip(widths, js, strict=True))
    return total


def small_subsets(num, most):
    """Subsets of at most ``most`` of ``num`` things, counted one by one."""
    return sum(sum(subset) <= most for subset in itertools.product((0, 1), repeat=num))


@dims
def test_formulas_written_out(dim):
    for widths in WIDTHS:
        assert serra_2018(widths, dim) == serra_by_tuples(dim, widths)
        product = bottleneck = folds = 1
        for index, n in enumerate(widths):
            product *= small_subsets(n, dim)
            bottleneck *= small_subsets(n, min([dim, *widths[:index]]))
            is_last = index == len(widths) - 1
            folds *= small_subsets(n, dim) if is_last else len(range(dim, n + 1, dim)) ** dim
        assert raghu_2017(widths, dim) == product
        assert montufar_2017(widths, dim) == bottleneck
        if min(widths, default=dim) >= dim:
            assert montufar_2014(widths, dim) == folds


@dims
def test_order_and_growth_of_the_bounds(dim):
    for widths in WIDTHS:
        assert 1 <= serra_2018(widths, dim) <= montufar_2017(widths, dim) <= raghu_2017(widths, dim) <= 2 ** sum(widths)
        if min(widths, default=dim) >= dim:
            assert montufar_2014(widths, dim) <= serra_2018(widths, dim)
        for bound in UPPER:
            assert isinstance(bound(widths, dim), int)
            assert bound(widths, dim) <= bound(widths, dim + 1)
            assert bound(widths, dim) <= bound([*widths, 1], dim)
            for index in range(len(widths)):
                wider = [n + (i == index) for i, n in enumerate(widths)]
                assert bound(widths, dim) < bound(wider, dim)
    # narrow layers let the three differ
    assert serra_2018([4, 5], 3) < montufar_2017([4, 5], 3) == raghu_2017([4, 5], 3)
    assert montufar_2017([2, 5], 4) < raghu_2017([2, 5], 4)


def test_one_hidden_layer_has_one_bound():
    for dim, n in itertools.product(range(1, 6), range(1, 12)):
        assert {bound([n], dim) for bound in UPPER} == {zaslavsky(n, dim)}
        if n >= dim:
            assert montufar_2014([n], dim) == zaslavsky(n, dim)


def test_large_numbers_stay_exact():
    assert serra_2018([300], 300) == raghu_2017([500, 200], 700) // 2**400 == 2**300
    assert montufar_2017([64, 64, 64], 784) == 2**192 > serra_2018([64, 64, 64], 784) > 2**64
    assert hanin_rolnick_2019(1536, 784) * math.factorial(784) == 1536**784


@pytest.mark.parametrize("draw", ["normal", "integers"])
@pytest.mark.parametrize("widths", [(4, 4), (6, 2, 4), (1, 5), (3, 3, 3)])
def test_no_network_has_more_regions_than_the_bounds(widths, draw):
    rng = np.random.default_rng(sum(widths))
    counts = [reference.exact_region_count(random_network(rng, 2, widths, draw), 1000 * SQUARE) for _ in range(15)]
    assert serra_2018(widths, 2) / 20 < max(counts) <= serra_2018(widths, 2)


@pytest.mark.parametrize(("dim", "widths"), [(1, (5, 4)), (3, (4, 4)), (5, (3, 4)), (4, (2, 6))])
def test_no_more_patterns_among_random_points_than_the_bounds(dim, widths):
    rng = np.random.default_rng(dim)
    points = rng.normal(size=(4000, dim)) * rng.choice([0.3, 1, 10], (4000, 1))
    most = max(reference.num_distinct_patterns(random_network(rng, dim, widths), points) for _ in range(20))
    assert serra_2018(widths, dim) / 10 < most <= serra_2018(widths, dim)


def test_the_upper_bound_is_reached_on_the_line():
    # -4 relu(x) + 3 relu(x - 2) - 2 relu(6 - x) goes up to -12, down to -16, up to -12 and down again: each of the
    # next layer's three thresholds is passed four times
    zigzag = np.array([[1.0, 1, -1], [0, 0, 0]]), np.array([0.0, -2, 6])
    thresholds = np.outer([-4.0, 3, -2], np.ones(3)), np.array([13.0, 14, 15])
    assert reference.exact_region_count([zigzag, thresholds, summed(3)], 100 * SQUARE) == serra_2018([3, 3], 1) == 16


def test_the_lower_bound_is_reached():
    # 2 relu(x) - 4 relu(x - 1/2) folds [0, 1] in two; four lines that meet inside the unit square, folded along both
    # coordinates, are seen in each of its four parts
    folding = np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]]), np.array([0, -0.5, 0, -0.5])
    fold = np.array([[2.0, 0], [-4, 0], [0, 2], [0, -4]])
    lines = np.array([[1, 0.1, 1, 0.5], [0.1, 1, 1, -1]]), np.array([-0.5, -0.5, -0.9, 0.1])
    unit_square = (SQUARE + 1) / 2
    assert reference.exact_region_count([lines, summed(4)], unit_square) == zaslavsky(4, 2) == 11
    layers = [folding, (fold @ lines[0], lines[1]), (np.array([[1.0], [2], [3], [5]]), np.zeros(1))]
    cells = reference.exact_regions(layers, unit_square)
    assert len(cells) == reference.num_linear_regions(cells) == montufar_2014([4, 4], 2) == 44


# Hyperplanes through one point; the yardstick of Hanin and Rolnick


def test_hyperplanes_through_one_point():
    for num, dim in itertools.product(range(9), range(1, 6)):
        # n - 1 of them cut the last one, and a parallel to it, and with that the space, into generic arrangements
        assert num == 0 or zaslavsky_central(num, dim) == 2 * reference.zaslavsky(num - 1, dim - 1)
        if num <= dim:
            assert zaslavsky_central(num, dim) == 2**num
        if dim > 1:  # one more hyperplane adds as many cells as the others cut it into
            added = zaslavsky_central(num, dim - 1)
            assert zaslavsky_central(num + 1, dim) == zaslavsky_central(num, dim) + added


@pytest.mark.parametrize(("num", "dim"), [(5, 2), (4, 3), (6, 3)])
def test_layers_without_biases(num, dim):
    rng = np.random.default_rng(num)
    layers = [(rng.normal(size=(dim, num)), np.zeros(num)), summed(num)]
    assert reference.num_distinct_patterns(layers, rng.normal(size=(20_000, dim))) == zaslavsky_central(num, dim)


def test_hanin_rolnick_is_what_one_wide_layer_approaches():
    assert hanin_rolnick_2019(64, 2) == 2048
    assert hanin_rolnick_2019(3, 2) == Fraction(9, 2)
    for dim in range(6):
        assert zaslavsky(10**6, dim) / hanin_rolnick_2019(10**6, dim) == pytest.approx(1, abs=1e-4)


# Means at initialisation


def normal_network(rng, width, bias_scale):
    return [(rng.normal(size=(2, width)), bias_scale * rng.normal(size=width)), summed(width)]


@pytest.mark.parametrize(
    ("domain", "bias_scale"),
    [
        (box(), 1.0),
        (box((0.5, -2), (3, 1)), 0.3),
        (polygon([(0, 0), (3, 0), (0, 1)]), 2.0),
        (polygon([(1, 1), (2, 1), (2.5, 1.8), (1.5, 3), (0.8, 2)]), 1.5),
    ],
)
def test_mean_count_on_polygons(domain, bias_scale):
    rng = np.random.default_rng(3)
    corners = polygon_vertices(domain).tolist()
    counts = [reference.exact_region_count(normal_network(rng, 6, bias_scale), corners) for _ in range(400)]
    assert is_mean(counts, mean_count_polygon(6, domain, bias_scale), error=0.25)


def test_means_on_polygons_without_simulation():
    # σ = 1 on [-1, 1]²: the cube's face fills a sixth of the sphere, and two lines meet inside with probability 1/3
    angle = math.acos(1 / 3)  # between neighbouring corners of the cube
    assert mean_count_polygon(1, box()) == pytest.approx(1 + 4 * angle / (2 * math.pi), rel=1e-14)
    assert mean_count_polygon(2, box()) == pytest.approx(1 + 8 * angle / (2 * math.pi) + 1 / 3, rel=1e-14)
    # a polygon of many sides is a disc; a large domain is the plane; scales of domain and biases cancel
    turn = 2 * np.pi * np.arange(2000) / 2000
    disc = 2 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    assert mean_count_polygon(30, polygon(disc), 1.0) == pytest.approx(reference.mean_count_disc(30, 1, 2), rel=1e-5)
    assert mean_count_polygon(12, box(-1e9, 1e9)) == pytest.approx(zaslavsky(12, 2), rel=1e-8)
    assert mean_count_polygon(12, box(-8, 16), 4.0) == pytest.approx(mean_count_polygon(12, box(-2, 4)), rel=1e-14)
    # what is cut off is counted twice along the cut: one more line crosses there
    whole, left, right = box((-1, -1), (2, 1)), box((-1, -1), (0.5, 1)), box((0.5, -1), (2, 1))
    cut = 2 * math.asin(1 / math.hypot(1, math.hypot(0.5, 1)))  # angle that the cut is seen under
    both = mean_count_polygon(1, left) + mean_count_polygon(1, right) - 2
    assert both == pytest.approx(mean_count_polygon(1, whole) - 1 + cut / math.pi, rel=1e-14)
    assert mean_count_polygon(0, box()) == 1


def test_published_means_in_discs():
    for (n, sigma, radius), value in {(10, 1, 1): 21.251, (20, 0.5, 1): 123.918, (30, 1, 2): 268.295}.items():
        assert mean_count_ball(n, 2, radius, sigma) == pytest.approx(value, abs=5e-4)
        assert mean_count_ball(n, 2, radius, sigma) == pytest.approx(reference.mean_count_disc(n, sigma, radius))


@pytest.mark.parametrize(("dim", "radius", "bias_scale"), [(1, 0.5, 1.0), (3, 1.0, 1.0), (3, 0.3, 2.0), (4, 2.0, 0.7)])
def test_mean_count_in_balls(dim, radius, bias_scale):
    # k generic hyperplanes meet in the ball iff the point of their intersection nearest to the origin is inside;
    # every such set of hyperplanes adds one cell to the arrangement in the ball (Zaslavsky)
    rng = np.random.default_rng(dim)
    num = 6
    counts = np.ones(3000)
    normals, offsets = rng.normal(size=(3000, num, dim)), bias_scale * rng.normal(size=(3000, num, 1))
    for k in range(1, dim + 1):
        for chosen in itertools.combinations(range(num), k):
            nearest = np.linalg.pinv(normals[:, chosen]) @ -offsets[:, chosen]
            counts += np.linalg.norm(nearest[..., 0], axis=1) < radius
    assert is_mean(counts, mean_count_ball(num, dim, radius, bias_scale), error=0.4)


def test_means_in_balls_by_integration():
    # the angle θ between axis and subspace has density proportional to sin^(k-1) cos^(d-k)
    def integral(k, dim, upper):
        theta = (np.arange(200_000) + 0.5) / 200_000 * upper
        return np.mean(np.sin(theta) ** (k - 1) * np.cos(theta) ** (dim - k)) * upper

    for dim, ratio in itertools.product((1, 2, 3, 5, 8), (1e-3, 0.2, 1.0, 3.0, 1e3)):
        alpha = math.atan(ratio)
        parts = [integral(k, dim, alpha) / integral(k, dim, math.pi / 2) for k in range(1, dim + 1)]
        expected = 1 + sum(math.comb(9, k) * part for k, part in enumerate(parts, start=1))
        assert mean_count_ball(9, dim, 2 * ratio, 2.0) == pytest.approx(expected, rel=1e-8)


def test_means_in_balls_of_extreme_size():
    assert mean_count_ball(50, 4, 1e200) == pytest.approx(zaslavsky(50, 4), rel=1e-12)
    assert mean_count_ball(50, 4, 1e-200) == mean_count_ball(0, 4) == 1
    # few units in a small ball cross each other rarely; hyperplanes cross it with probability about R · E|x| …
    small = mean_count_ball(1, 3, 1e-8) - 1
    assert small == pytest.approx(1e-8 * math.gamma(2) / math.gamma(1.5) / math.sqrt(math.pi) * 2, rel=1e-6)


def test_mean_at_pytorchs_initialisation():
    rng = np.random.default_rng(5)
    counts = [
        reference.exact_region_count([(rng.uniform(-1, 1, (2, 6)), rng.uniform(-1, 1, 6)), summed(6)], SQUARE)
        for _ in range(400)
    ]
    assert is_mean(counts, mean_count_one_layer(6), error=0.25)


# Lengths


def test_published_length_ratios():
    for width, ratio in {2: 0.712271, 16: 0.960212, 64: 0.990190}.items():
        assert mean_length_ratio([width], width) == pytest.approx(ratio, abs=5e-7)
        assert mean_length_ratio([width] * 5, width) == pytest.approx(ratio**5, rel=1e-5)
    assert mean_length_ratio([], 7) == 1
    # one unit: half of the time √(2/m) |w·u|, whose mean is √(4/(π m)) / 2 for weights of variance 1
    assert mean_length_ratio([1], 3) == pytest.approx(math.sqrt(2 / 3) * math.sqrt(2 / math.pi) / 2, rel=1e-14)
    # lengths are kept on average as layers grow wide: E χ(k) ≈ √(k - ½)
    assert mean_length_ratio([1000], 1000) == pytest.approx(1 - 5 / 8000, abs=1e-6)


@pytest.mark.parametrize("bias", ["zero", "uniform"])
@pytest.mark.parametrize(("dim", "widths"), [(2, [3]), (4, [2, 5]), (3, [6, 4, 3])])
def test_length_ratios_of_random_networks(dim, widths, bias):
    rng = np.random.default_rng(dim)
    num = 20_000
    h = np.broadcast_to(rng.normal(size=dim), (num, dim))
    direction = np.broadcast_to(np.eye(dim)[0], (num, dim))
    for before, n in itertools.pairwise([dim, *widths]):
        kernel = rng.normal(size=(num, before, n)) * math.sqrt(2 / before)
        offset = rng.uniform(-1, 1, (num, n)) * (bias == "uniform")
        z = np.einsum("si,sio->so", h, kernel) + offset
        direction = np.einsum("si,sio->so", direction, kernel) * (z > 0)
        h = np.maximum(z, 0)
    assert is_mean(np.linalg.norm(direction, axis=1), mean_length_ratio(widths, dim), error=0.01)


# Bad input


@pytest.mark.parametrize("function", [*UPPER, montufar_2014, mean_length_ratio])
def test_shapes_that_are_none(function):
    for dim, widths in ((0, [3]), (2, [3, 0]), (2, [-1])):
        with pytest.raises(ValueError, match=rf"must be at least 1, but {dim} and \[{', '.join(map(str, widths))}\]"):
            function(widths, dim)
    assert function([], 2) == function((), 2) == 1
    with pytest.raises(TypeError):
        function(2, [3, 3])  # which once was the order


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"at least dim = 3 units, but the widths \[4, 2\] were given. Use dim = 2"):
        montufar_2014([4, 2], 3)
    with pytest.raises(ValueError, match="at least 0, but -1 and 2"):
        hanin_rolnick_2019(-1, 2)
    with pytest.raises(ValueError, match="dim at least 1, but 2 and 0"):
        zaslavsky_central(2, 0)
    with pytest.raises(ValueError, match="dim must be a positive integer, but 0"):
        mean_count_ball(3, 0)
    for scale in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"bias_scale must be positive and finite, but {scale}"):
            mean_count_polygon(3, box(), scale)
        with pytest.raises(ValueError, match=f"radius must be positive and finite, but {scale}"):
            mean_count_ball(3, 2, radius=scale)
    for function in (lambda: mean_count_polygon(-1, box()), lambda: mean_count_ball(-1, 2)):
        with pytest.raises(ValueError, match="width must be at least 0, but -1"):
            function()
    with pytest.raises(ValueError, match="two-dimensional domain is needed, but a box in 3"):
        mean_count_polygon(3, box(dim=3))


def test_the_whole_plane_has_no_mean(unchecked):
    with pytest.raises(TypeError, match=r"bounded domain is needed, .* WholePlane was given"):
        mean_count_polygon(3, whole_plane())
