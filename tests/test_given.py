"""Numbers that callers give: kinds that are taken as they are, and those that would be rounded or make no sense."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgeom
from jaxgeom import Dense, Polygon, box, count_regions
from jaxgeom.domains import Box, WholePlane
from jaxgeom.host.given import as_array, float64_of, points_of

VALUES = [[0.5, -1.0, 3.0], [2.0, 0.25, -4.0]]
LAST = Dense(np.ones((3, 1)), np.zeros(1))
pytestmark = pytest.mark.usefixtures("unchecked")


class Tensor:
    """What is asked of PyTorch's tensors."""

    def __init__(self, values, dtype="torch.float32"):
        self.values, self.dtype = values, dtype

    def detach(self):
        return Tensor(self.values, self.dtype)

    def cpu(self):
        return self

    def float(self):
        return Tensor(self.values)

    def numpy(self):
        assert self.dtype != "torch.bfloat16"
        return np.array(self.values, np.float32)


KINDS = {
    "list": VALUES,
    "tuples": tuple(map(tuple, VALUES)),
    "float16": np.array(VALUES, np.float16),
    "bfloat16": np.array(VALUES, jnp.bfloat16),
    "jax bfloat16": jnp.array(VALUES, jnp.bfloat16),
    "longdouble": np.array(VALUES, np.longdouble),
    "big-endian": np.array(VALUES, ">f8"),
    "big-endian float32": np.array(VALUES, ">f4"),
    "Fortran": np.asfortranarray(VALUES),
    "strided": np.array(VALUES)[:, ::-1][:, ::-1],
    "objects": np.array(VALUES, object),
    "fractions": [[Fraction(x) for x in row] for row in VALUES],
    "tensor": Tensor(VALUES),
    "tensor bfloat16": Tensor(VALUES, "torch.bfloat16"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_that_are_taken(kind):
    np.testing.assert_array_equal(float64_of(KINDS[kind], "numbers"), VALUES)
    layers = (Dense(KINDS[kind], [0.0, 0.5, -1.0]), LAST)
    right = (Dense(np.array(VALUES), np.array([0.0, 0.5, -1.0])), LAST)
    assert count_regions(layers, box()).count == count_regions(right, box()).count
    np.testing.assert_array_equal(
        jaxgeom.forward(layers, [[1.0, 2.0]]).output, jaxgeom.forward(right, [[1.0, 2.0]]).output
    )


def test_read_only_arrays_stay_as_they_are():
    points = np.array([[0.1, 0.2], [0.3, -0.4]])
    points.setflags(write=False)
    layers = (Dense(np.array(VALUES), np.zeros(3)), LAST)
    complex_ = jaxgeom.enumerate_regions(layers, box())
    assert (jaxgeom.locate(complex_, layers, points) >= 0).all()
    assert jaxgeom.grid_regions(layers, points).num_patterns >= 1


@pytest.mark.parametrize(
    "numbers",
    [
        [[2**62 + 1, 2**62]],
        np.array([[2**62 + 1, 2**62]]),
        np.array([[2**64 - 1]], np.uint64),
        np.array([[-(2**53) - 1]]),
        [[2**53 + 1, 0.5]],
        [[2**2000]],
        [[Fraction(1, 3)]],
        np.array([[1]], np.longdouble) / 3,
    ],
)
def test_numbers_that_would_be_rounded_are_refused(numbers):
    with pytest.raises(ValueError, match=r"numbers that float64 holds, but one of them is .*Scale or round them"):
        as_array(numbers, "weights")


@pytest.mark.parametrize("number", [2**62, -(2**53), 2**53, 2**63, 3 * 2**60])
def test_large_integers_that_float64_holds_are_taken(number):
    assert float64_of([[number]], "weights").tolist() == [[number]]


@pytest.mark.parametrize(
    "numbers",
    [np.ones((2, 3), bool), np.ones((2, 3), complex), [["1", "2"]], [[None]], [[True, Fraction(1)]], {"a": 1}],
)
def test_what_is_no_real_number_is_refused(numbers):
    with pytest.raises(TypeError, match="must be real numbers"):
        as_array(numbers, "weights")
    with pytest.raises(TypeError, match="kernel of layer 0 must be real numbers"):
        count_regions((Dense(numbers, np.zeros(3)), LAST), box())


def test_ragged_and_masked_arrays_are_refused():
    with pytest.raises(ValueError, match="rows of one length"):
        as_array([[1.0, 2.0], [3.0]], "points")
    with pytest.raises(ValueError, match="masked"):
        as_array(np.ma.masked_invalid([1.0, np.nan]), "points")


def test_traced_integers_are_refused_if_float64_may_round_them():
    with jax.enable_x64(True), pytest.raises(TypeError, match="under jit"):
        jax.jit(lambda x: as_array(x, "weights"))(jnp.array([2**62 + 1]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_points_are_finite(bad):
    with pytest.raises(ValueError, match="must be finite"):
        points_of([[0.0, bad]])


SQUARE = [(0, 0), (1, 0), (1, 1), (0, 1)]
ONE = (Dense(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([-0.5, -0.25])), Dense(np.ones((2, 1)), np.zeros(1)))


@pytest.mark.parametrize(
    "vertices",
    [
        [(0, 0), (2, 0), (0.5, 0.5), (0, 2)],  # not convex
        [(0, 0), (1, 1), (1, 0), (0, 1)],  # a bow tie
        [(0, 0), (1, 0), (2, 0)],  # no area
        [*SQUARE, SQUARE[-1]],  # a vertex twice
        [*SQUARE, *SQUARE],  # round twice
        SQUARE[:2],
        [(0, 0), (1, 0), (np.nan, 1)],
        [(0, 0), (1, 0), (np.inf, 1)],
        [0.0, 1.0, 2.0],
    ],
)
def test_polygons_made_by_hand_are_checked(vertices):
    for count in (jaxgeom.count_regions, jaxgeom.enumerate_regions):
        with pytest.raises(ValueError, match="polygon"):
            count(ONE, Polygon(np.array(vertices, float)))


def test_clockwise_polygons_made_by_hand_are_turned_round():
    for vertices in (SQUARE, SQUARE[::-1]):
        complex_ = jaxgeom.enumerate_regions(ONE, Polygon(np.array(vertices, float)))
        assert sorted(complex_.area) == [0.125, 0.125, 0.375, 0.375]
        assert count_regions(ONE, Polygon(vertices)).count == 4


@pytest.mark.parametrize(
    "bounds", [([0, 0], [0, 1]), ([1, 1], [0, 0]), ([np.nan, 0], [1, 1]), ([0, 0], [np.inf, 1]), ([0, 0], [1, 1, 1])]
)
def test_boxes_made_by_hand_are_checked(bounds):
    domain = Box(*map(np.array, bounds))
    for use in (
        lambda: count_regions(ONE, domain),
        lambda: jaxgeom.enumerate_regions(ONE, domain),
        lambda: jaxgeom.count_regions(ONE, domain),
        lambda: jaxgeom.grid_points(domain, 3),
        lambda: jaxgeom.corners(domain),
    ):
        with pytest.raises(ValueError, match=r"box|low must lie below high"):
            use()


def test_other_domains():
    assert count_regions(ONE, Box([0, 0], [1, 1])).count == 4
    with pytest.raises(ValueError, match="centre of the whole plane"):
        count_regions(ONE, WholePlane(np.array([np.nan, 0.0])))


@pytest.mark.parametrize(
    "domain",
    [
        lambda size: box(-size, size),
        lambda size: box(-1, [1, size], dim=2),
        lambda size: Box(-size * jnp.ones(2), size * jnp.ones(2)),
        lambda size: jaxgeom.polygon([(0, 0), (size, 0), (0, size)]),
        lambda size: Polygon(size * jnp.array([[0, 0], [1, 0], [0, 1]])),
        lambda size: WholePlane(size * jnp.ones(2)),
    ],
)
def test_domains_that_are_traced_are_refused(domain):
    layers = (Dense(np.eye(2), np.zeros(2)), Dense(np.ones((2, 1)), np.zeros(1)))
    with pytest.raises(TypeError, match="must be known before tracing, but a traced array was given"):
        jax.jit(lambda size: count_regions(layers, domain(size)).count)(2.0)


def test_a_box_is_not_two_points():
    network, square = (Dense(np.eye(2), np.zeros(2)), Dense(np.ones((2, 1)), np.zeros(1))), box(-1, 1)
    model = jaxgeom.mlp((2, 3, 1))
    params = model.init(jax.random.key(0))
    for call in (
        lambda: jaxgeom.count_grid_regions(network, square),
        lambda: jaxgeom.forward(network, square),
        lambda: jaxgeom.codes(jaxgeom.hyperplanes(params), square),
        lambda: model.apply(params, square),
        lambda: jaxgeom.affine_triples(network, square),
        lambda: jaxgeom.activation_words(network, square),
        lambda: jaxgeom.plot.plot_points(square),
    ):
        with pytest.raises(TypeError, match=r"a Box was given, .* low, high\. Give .* or jaxgeom\.grid_points"):
            call()
    with pytest.raises(TypeError, match=r"points must be one array, but a Dataset was given, .* fields x, y"):
        jaxgeom.forward(network, jaxgeom.parity(2))
