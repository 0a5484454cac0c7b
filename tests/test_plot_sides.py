"""Exact decision maps, lit sheets and densities of gradients: what is drawn is the network."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from complexes import complex_of, network

from jaxgeom import plot
from jaxgeom.networks.layers import Dense
from jaxgeom.plot.pieces import cut_at_zero

LAYERS = network(4, 6, 5, 1)
COMPLEX = complex_of(LAYERS)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def value(points):
    for kernel, bias, *_ in LAYERS[:-1]:
        points = np.maximum(points @ kernel + bias, 0)
    return (points @ LAYERS[-1].kernel + LAYERS[-1].bias)[:, 0]


def area(corners):
    x, y = corners.T
    return np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2


def test_pieces_have_one_sign_and_fill_their_faces():
    pieces = cut_at_zero(COMPLEX)
    areas = [area(corners[:, :2]) for corners in pieces.corners]
    np.testing.assert_allclose(np.bincount(pieces.face, areas), COMPLEX.area, atol=1e-12)
    for corners, is_positive in zip(pieces.corners, pieces.is_positive, strict=True):
        np.testing.assert_allclose(corners[:, 2], value(corners[:, :2]), atol=1e-12)
        assert (corners[:, 2] >= 0).all() if is_positive else (corners[:, 2] <= 0).all()
    assert 0 < len(pieces.zeros) == len(pieces.corners) - COMPLEX.num_faces
    np.testing.assert_allclose(value(pieces.zeros.reshape(-1, 2)), 0, atol=1e-12)


def test_maps_are_linear_on_pieces_and_jump_at_zero():
    drawn = plot.plot_decision_map(COMPLEX, limit=0.5)
    mesh = drawn.mesh._triangulation
    shown = drawn.mesh.get_array()
    exact = value(np.column_stack([mesh.x, mesh.y]))
    np.testing.assert_allclose(shown, np.clip(exact, -0.5, 0.5), atol=1e-6)
    sides = np.sign(shown[mesh.triangles])
    assert (sides == sides[:, :1]).all()  # no triangle has a zero inside
    covered = sum(abs(area(np.column_stack([mesh.x[t], mesh.y[t]]))) for t in mesh.triangles)
    assert covered == pytest.approx(COMPLEX.area.sum(), rel=1e-3)  # but for slivers
    low, high = COMPLEX.vertices.min(axis=0), COMPLEX.vertices.max(axis=0)
    assert (*drawn.axes.get_xlim(), *drawn.axes.get_ylim()) == (low[0], high[0], low[1], high[1])


def test_a_sheet_is_seen_along_its_valley():
    assert len(plot.plot_graph(COMPLEX, limits=(-2, 2)).get_facecolor()) == len(cut_at_zero(COMPLEX).corners)

    def valley(*along):  # |x . across|
        across = np.array([[along[1]], [-along[0]]], float)
        return complex_of((Dense(np.hstack([across, -across]), np.zeros(2)), Dense(np.ones((2, 1)), -np.ones(1))))

    for along in ((1, 1), (1, -1)):
        azimuth = np.radians(plot.azimuth_of(valley(*along)))
        assert abs(np.dot([np.cos(azimuth), np.sin(azimuth)], along)) > 1  # of at most the root of 2

    # of graphs that are compared, the flat one does not mind; so it is the direction of the other, in either order
    flat = complex_of((Dense(np.eye(2), np.zeros(2)), Dense(np.zeros((2, 1)), np.ones(1))))
    for along in ((1, 1), (1, -1)):
        alone = plot.azimuth_of(valley(*along), (-1, 1))
        assert (
            plot.azimuth_of([valley(*along), flat], (-1, 1))
            == plot.azimuth_of([flat, valley(*along)], (-1, 1))
            == alone
        )
    with pytest.raises(ValueError, match="at least one network"):
        plot.azimuth_of([])


def test_densities_are_where_the_gradients_are():
    rows = np.zeros((100, 3))
    rows[:75, :2], rows[75:, :2] = (1, 0), (-1, 2)
    mesh = plot.plot_gradient_density(rows, rows + np.array([0, 0, 5]))
    counts = np.asarray(mesh.get_array())
    assert counts.sum() == pytest.approx(100, rel=0.05)  # what is blurred over the border is missing
    row, column = np.unravel_index(counts.argmax(), counts.shape)
    (left, below), (right, above) = mesh.get_datalim(mesh.axes.transData).get_points()
    assert left + (column + 0.5) * (right - left) / 80 == pytest.approx(1, abs=(right - left) / 80)
    assert below + (row + 0.5) * (above - below) / 80 == pytest.approx(0, abs=(right - left) / 80)
    with pytest.raises(ValueError, match="rows"):
        plot.plot_gradient_density(rows[:, :2])
