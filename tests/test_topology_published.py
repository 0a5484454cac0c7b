"""Topology of deep networks whose Betti numbers are known in closed form, by the idea of Ergen & Grillo.

"Topological expressivity of ReLU neural networks" (2024, arXiv:2310.11130): the first layers fold the unit cube onto
itself, so that what the last hidden layer draws once appears in every small cube, reflected from one to the next. It
draws shells around a corner of the cube, which the reflections close to spheres around every lattice point that is
folded onto this corner. So Betti numbers are numbers of lattice points, which are counted here one by one.
"""

import itertools
import math

import jax
import numpy as np
import pytest

import jaxgeom as jg


def zigzag(teeth):
    """Offsets and factors of t ↦ Σ factor · relu(t - offset), which maps [k/teeth, (k+1)/teeth] onto [0, 1] each."""
    factors = 2.0 * teeth * (-1.0) ** np.arange(teeth)
    factors[0] = teeth
    return np.arange(teeth) / teeth, factors


def shells(num):
    """Offsets and factors of a function that is positive on ``num`` intervals within (0, 1), if 1 is taken off."""
    offsets = np.arange(2 * num + 1) / (2 * num + 1)
    factors = 4.0 * (2 * num + 1) * (-1.0) ** np.arange(2 * num + 1)
    factors[[0, -1]] /= 2
    return offsets, factors


def folded(dim, folds, corner, num_shells, *, axes=None, sign=1):
    """A network that is positive (negative for ``sign`` -1) on shells around the lattice points of a kind.

    Args:
        dim: input dimension.
        folds: into how many pieces each axis is folded, layer by layer; the network has one more hidden layer.
        corner: of the cube, where the shells are: 0 or 1 for each axis.
        num_shells: around each lattice point.
        axes: along which distances from the corner are added up, so that there are tubes along the others; default all.
        sign: -1 for a network that is negative there.
    """
    axes = range(dim) if axes is None else axes
    layers = []
    kernel, bias = np.eye(dim), np.zeros(dim)  # from the last hidden layer to what is folded next
    for teeth in folds:
        offsets, factors = zigzag(teeth)
        spread = np.kron(np.eye(dim), np.ones((1, teeth)))
        layers.append(jg.Dense(kernel @ spread, bias @ spread - np.tile(offsets, dim)))
        kernel, bias = np.kron(np.eye(dim), factors[:, None]), np.zeros(dim)
    direction = np.array([[(1.0 - 2 * corner[axis]) * (axis in axes)] for axis in range(dim)])
    distance, start = kernel @ direction, bias @ direction + sum(corner[axis] for axis in axes)
    offsets, factors = shells(num_shells)
    layers.append(jg.Dense(np.repeat(distance, len(offsets), axis=1), start - offsets))
    return (*layers, jg.Dense(sign * factors[:, None], np.array([-1.0 * sign])))


def lattice_points(folds, corner, axes=None):
    """How many lattice points are folded onto the corner, and how many of them are inside the cube."""
    size = math.prod(folds)
    axes = range(len(corner)) if axes is None else axes
    places = [[place for place in range(size + 1) if place % 2 == corner[axis]] for axis in axes]
    points = list(itertools.product(*places))
    return len(points), sum(all(0 < place < size for place in point) for point in points)


def value(folds, corner, num_shells, axes, x):
    """The function that the network should be, written without layers."""
    size = math.prod(folds)
    at = x * size
    to_even = np.abs(at - 2 * np.round(at / 2))  # distance from the next even place
    apart = np.where(np.array(corner) == 0, to_even, 1 - to_even)[:, list(axes)].sum(axis=1)
    at = apart * (2 * num_shells + 1)  # zigzags between -1 and 1, then stays at -1
    return np.where(at < 2 * num_shells, 1 - 2 * np.abs(at % 2 - 1), -1.0)


CASES_2D = [
    ((), (0, 0), 1),
    ((), (1, 0), 3),
    ((2,), (0, 0), 1),
    ((2,), (1, 1), 2),
    ((2,), (1, 0), 1),
    ((4,), (1, 0), 2),
    ((2, 2), (0, 0), 2),
    ((2, 4), (1, 0), 1),
    ((2, 2, 2), (1, 1), 1),
    ((3,), (1, 0), 2),  # thirds are no floats
    ((3, 2), (0, 0), 1),
    ((6,), (1, 1), 3),
    ((5, 2), (1, 0), 1),
]
CASES_3D = [
    ((), (0, 0, 0), 2, (0, 1, 2)),
    ((2,), (0, 0, 0), 1, (0, 1, 2)),
    ((2,), (1, 1, 1), 2, (0, 1, 2)),
    ((2,), (1, 1, 0), 1, (0, 1, 2)),
    ((4,), (1, 1, 0), 1, (0, 1, 2)),
    ((2, 2), (0, 0, 0), 1, (0, 1, 2)),
    ((3,), (1, 0, 1), 2, (0, 1, 2)),
    ((2,), (1, 1, 0), 2, (0, 1)),
    ((4,), (0, 1, 0), 1, (1, 2)),
    ((2, 2), (0, 0, 1), 1, (0, 2)),
    ((3,), (1, 0, 0), 1, (0, 1)),
]


@pytest.mark.parametrize(("folds", "corner", "num_shells"), CASES_2D)
def test_the_networks_are_what_they_should_be(folds, corner, num_shells):
    x = np.random.default_rng(0).uniform(0, 1, (500, 2))
    h = x
    *hidden, last = folded(2, folds, corner, num_shells)
    for kernel, bias, *_ in hidden:
        h = np.maximum(h @ kernel + bias, 0)
    np.testing.assert_allclose(
        (h @ last.kernel + last.bias)[:, 0], value(folds, corner, num_shells, (0, 1), x), atol=1e-11
    )


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("folds", "corner", "num_shells"), CASES_2D)
def test_in_the_plane(folds, corner, num_shells, sign):
    points, inside = lattice_points(folds, corner)
    found = jg.topology(folded(2, folds, corner, num_shells, sign=sign), jg.box(0, 1))
    # the shells, and what they part: the middle and the space between them, around each point, and the one outside
    components = [1 + num_shells * points, num_shells * points]
    assert found.num_components.tolist() == components[::sign]
    assert found.num_holes.tolist() == [num_shells * inside] * 2
    assert found.num_boundaries == 2 * num_shells * points
    assert found.num_closed_boundaries == 2 * num_shells * inside


def test_depth_multiplies():
    """Each layer of four units makes four times as many components, up to what lies on the border."""
    for depth in range(1, 5):
        found = jg.topology(folded(2, (2,) * depth, (1, 1), 1), jg.box(0, 1))
        assert found.num_components[1] == found.num_holes[1] == 4 ** (depth - 1)


def test_a_population():
    """Corners and signs differ; the shapes are the same."""
    kinds = [(corner, sign) for corner in itertools.product((0, 1), repeat=2) for sign in (1, -1)]
    networks = [folded(2, (2, 2), corner, 2, sign=sign) for corner, sign in kinds]
    found = jg.topology(jax.tree.map(lambda *arrays: np.stack(arrays), *networks), jg.box(0, 1))
    for (corner, sign), components, holes in zip(kinds, found.num_components, found.num_holes, strict=True):
        points, inside = lattice_points((2, 2), corner)
        assert components.tolist() == [1 + 2 * points, 2 * points][::sign]
        assert holes.tolist() == [2 * inside] * 2


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("folds", "corner", "num_shells", "axes"), CASES_3D)
def test_in_space(folds, corner, num_shells, axes, sign):
    points, inside = lattice_points(folds, corner, axes)
    layers = folded(3, folds, corner, num_shells, axes=axes, sign=sign)
    found = jg.topology(layers, jg.box(0, 1, dim=3))
    components = [1 + num_shells * points, num_shells * points]
    assert found.num_components.tolist() == components[::sign]
    # spheres enclose cavities; tubes run from one side of the cube to the other and are holes
    enclosing = [num_shells * inside] * 2
    assert found.num_holes.tolist() == (enclosing if len(axes) == 2 else [0, 0])
    assert found.num_cavities.tolist() == (enclosing if len(axes) == 3 else [0, 0])


@pytest.mark.parametrize(("folds", "corner", "num_shells", "axes"), CASES_3D)
def test_surfaces_in_space(folds, corner, num_shells, axes):
    """Spheres around lattice points inside the cube, discs around those on its border; or cylinders and strips."""
    points, inside = lattice_points(folds, corner, axes)
    found = jg.decision_surface(folded(3, folds, corner, num_shells, axes=axes), jg.box(0, 1, dim=3))
    assert found.num_components == 2 * num_shells * points
    assert found.is_closed.sum() == (2 * num_shells * inside if len(axes) == 3 else 0)
    assert (found.genus[found.is_closed] == 0).all()
    around, beside = (2, 1) if len(axes) == 3 else (0, 1)
    euler = np.sort([*[around] * (2 * num_shells * inside), *[beside] * (2 * num_shells * (points - inside))])
    np.testing.assert_array_equal(np.sort(found.euler_characteristic), euler)
