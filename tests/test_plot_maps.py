"""Decision maps, formulas, grid views, surfaces, triples and units: what is drawn is what was given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from complexes import complex_of, network, polygons
from matplotlib.colors import to_rgb

from jaxgeom import plot
from jaxgeom.domains import box, grid_points
from jaxgeom.networks.layers import Dense
from jaxgeom.plot import surfaces
from jaxgeom.plot.surfaces import heights

LAYERS = network(4, 6, 5, 1)
COMPLEX = complex_of(LAYERS)
DOMAIN = box((-1, 0), (1, 3))


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def value(layers, points):
    for kernel, bias, *_ in layers[:-1]:
        points = np.maximum(points @ kernel + bias, 0)
    return (points @ layers[-1].kernel + layers[-1].bias)[:, 0]


def test_maps_show_values_where_they_are():
    points = grid_points(DOMAIN, 7)
    values = value(LAYERS, points).reshape(7, 7)
    image = plot.plot_map(values, DOMAIN, limit=0.5)
    np.testing.assert_array_equal(image.get_array(), values)
    assert image.get_clim() == (-0.5, 0.5)
    left, right, below, above = image.get_extent()
    columns, rows = (np.linspace(a, b, 15)[1::2] for a, b in ((left, right), (below, above)))
    np.testing.assert_allclose(np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2), points, atol=1e-6)
    assert image.origin == "lower"
    assert image.axes.get_xlim() == (-1, 1)
    assert image.axes.get_ylim() == (0, 3)
    negative, positive = image.cmap([0.499, 0.501])
    assert negative[2] > negative[0]  # blue
    assert positive[0] > positive[2]  # orange


def test_formulas_stand_in_their_regions_along_level_lines():
    by_hand = (Dense(np.ones((2, 2)), np.array([1.0, 0.0])), Dense(np.array([[2.0], [-4.0]]), np.array([-1.0])))
    complex_ = complex_of(by_hand, box(-2, 2))
    texts = plot.plot_formulas(complex_)
    written = {text.get_text(): text for text in texts}
    assert set(written) == {"$f(x, y) = -1$", "$f(x, y) = 2 x + 2 y + 1$", "$f(x, y) = -2 x - 2 y + 1$"}
    np.testing.assert_allclose([text.get_position() for text in texts], complex_.centroid)
    assert written["$f(x, y) = 2 x + 2 y + 1$"].get_rotation() % 180 == pytest.approx(135)


def test_grid_views_mark_the_faces_without_a_point():
    points = np.array([[0.01, 0.02], [0.5, 0.5], [5.0, 5.0]])
    face = np.array([2, 0, -1])
    drawn = plot.plot_grid_view(COMPLEX, points, face)
    missed = [f for f in range(COMPLEX.num_faces) if f not in (0, 2)]
    for path, number in zip(drawn.missed.get_paths(), missed, strict=True):
        np.testing.assert_array_equal(path.vertices[:-1], polygons(COMPLEX)[number])
    np.testing.assert_array_equal(drawn.points.get_offsets(), points[:2])
    (grey,) = np.unique(drawn.points.get_facecolor()[:, :3], axis=0)
    assert np.ptp(grey) == 0
    assert f"({len(missed)})" in drawn.axes.get_legend().get_texts()[0].get_text()


def test_surfaces_are_the_network(monkeypatch):
    given = []

    class Recorded(surfaces.Poly3DCollection):
        def __init__(self, cycles, **style):
            given.extend(cycles)
            super().__init__(cycles, **style)

    monkeypatch.setattr(surfaces, "Poly3DCollection", Recorded)
    assert np.allclose(heights(COMPLEX), value(LAYERS, COMPLEX.vertices[COMPLEX.face_vertices]), atol=1e-12)
    faces = plot.plot_surface(COMPLEX)
    assert faces.axes.name == "3d"
    for corners, cycle in zip(given, polygons(COMPLEX), strict=True):
        np.testing.assert_array_equal(corners[:, :2], cycle)
        np.testing.assert_allclose(corners[:, 2], value(LAYERS, cycle), atol=1e-12)
    faces.axes.figure.canvas.draw()
    low, high = faces.axes.get_zlim()
    assert low < heights(COMPLEX).min()
    assert high > heights(COMPLEX).max()


def test_wireframes_run_through_the_samples():
    points = grid_points(DOMAIN, 9)
    values = value(LAYERS, points).reshape(9, 9)
    wires = plot.plot_wireframe(values, DOMAIN, num_lines=3, limits=(-4, 4))
    pieces = np.array(wires._segments3d)
    assert pieces.shape == (2 * 3 * 8, 2, 3)
    np.testing.assert_allclose(pieces[..., 2], value(LAYERS, pieces[..., :2].reshape(-1, 2)).reshape(-1, 2), atol=1e-5)
    assert wires.axes.get_zlim() == (-4.4, 4.4)
    above = pieces[:, :, 2].mean(axis=1) > 0
    assert len(np.unique(wires.get_color()[above], axis=0)) <= 1
    assert len(np.unique(wires.get_color(), axis=0)) == len(np.unique(above))


def test_lines_are_lifted():
    segments = np.random.default_rng(0).normal(size=(4, 2, 2))
    height = np.arange(8.0).reshape(4, 2)
    lines = plot.plot_lifted(segments, height)
    np.testing.assert_array_equal(np.array(lines._segments3d), np.concatenate([segments, height[..., None]], axis=2))


def test_triples_in_the_plane_and_in_space():
    rng = np.random.default_rng(0)
    sets = {name: rng.normal(size=(5, 3)) for name in ("1", "2", "1 → 2", "2 → 1")}
    flat = plot.plot_triples(sets)
    for collection, rows in zip(flat, sets.values(), strict=True):
        np.testing.assert_array_equal(collection.get_offsets(), rows[:, :2])
    assert [text.get_text() for text in flat[0].axes.get_legend().get_texts()] == list(sets)
    (space,) = plot.new_axes(dim=3)
    for collection, rows in zip(plot.plot_triples(sets, ax=space), sets.values(), strict=True):
        np.testing.assert_array_equal(np.stack(collection._offsets3d, axis=1), rows)
    (space,) = plot.new_axes(dim=3)
    plot.plot_triples({"1": sets["1"] * [1, 1, 1e-6]}, ax=space)
    assert np.ptp(space.get_zlim()) >= np.ptp(space.get_xlim()) / 4
    with pytest.raises(ValueError, match="at most 4"):
        plot.plot_triples(sets | {"5": sets["1"]})


def test_units_have_a_picture_each_and_their_own_lines():
    values = [np.random.default_rng(0).normal(size=(units, 4, 4)) for units in (6, 5)]
    drawn = plot.plot_units(values, box(), complex_=COMPLEX, num_columns=4)
    assert len(drawn.images) == 11
    for image, picture in zip(drawn.images, np.concatenate(values), strict=True):
        np.testing.assert_array_equal(image.get_array(), picture)
        assert image.get_clim() == (-np.abs(picture).max(), np.abs(picture).max())
    extents = np.array([image.get_extent() for image in drawn.images])
    inner = COMPLEX.edge_layer >= 0
    assert len(drawn.lines.get_segments()) == inner.sum()
    # each line, moved back from its picture, is an edge of that unit
    order = sorted(np.flatnonzero(inner), key=lambda e: (COMPLEX.edge_layer[e], COMPLEX.edge_unit[e], e))
    for edge, segment in zip(order, drawn.lines.get_segments(), strict=True):
        left, _, below, _ = extents[COMPLEX.edge_layer[edge] * 6 + COMPLEX.edge_unit[edge]]
        np.testing.assert_allclose((segment - (left, below)) * 2 - 1, COMPLEX.vertices[COMPLEX.edges[edge]], atol=1e-12)
    assert len({tuple(extent) for extent in extents}) == 11
    off = plot.plot_units([np.stack([values[0][0], np.zeros((4, 4))])], box())
    assert [text.get_text() for text in off.axes.texts] == ["1", "2, off", "layer 1"]


def test_classes_are_told_apart_by_shape_and_colour():
    (ax,) = plot.new_axes()
    even, odd = plot.mark_classes(np.eye(2), np.array([-1, 1]), ax=ax)
    np.testing.assert_array_equal(even.get_offsets(), [[1, 0]])
    np.testing.assert_array_equal(odd.get_offsets(), [[0, 1]])
    assert to_rgb(even.get_facecolor()[0]) != to_rgb(odd.get_facecolor()[0])
    assert even.get_paths()[0].vertices.shape != odd.get_paths()[0].vertices.shape
