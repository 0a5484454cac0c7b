"""Pictures of regions: what is drawn is the complex."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from complexes import complex_of, network, polygons
from matplotlib.colors import to_rgb

from jaxgeom import plot
from jaxgeom.domains import whole_plane
from jaxgeom.regions.boundary import decision_boundary

LAYERS = network(1, 6, 6, 1)
COMPLEX = complex_of(LAYERS)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_faces_and_edges_are_those_of_the_complex():
    drawn = plot.plot_regions(COMPLEX)
    drawn.axes.figure.canvas.draw()
    paths = drawn.faces.get_paths()
    assert len(paths) == COMPLEX.num_faces
    for path, cycle in zip(paths, polygons(COMPLEX), strict=True):
        np.testing.assert_array_equal(path.vertices[:-1], cycle)
    assert len(drawn.edges) == 2
    for layer, lines in enumerate(drawn.edges):
        expected = COMPLEX.vertices[COMPLEX.edges[COMPLEX.edge_layer == layer]]
        np.testing.assert_array_equal(lines.get_segments(), expected)
    assert to_rgb(drawn.edges[0].get_color()[0]) != to_rgb(drawn.edges[1].get_color()[0])
    assert drawn.axes.get_aspect() == 1
    assert drawn.axes.get_xlim() == drawn.axes.get_ylim() == (-1, 1)
    assert drawn.axes.get_xlabel()
    assert drawn.axes.get_ylabel()
    texts = [text.get_text() for text in drawn.axes.get_legend().get_texts()]
    assert texts == ["edges of layer 1", "edges of layer 2"]
    assert drawn.colorbar is None


def test_colours_are_numbers():
    values = COMPLEX.gradient[:, 0] * COMPLEX.centroid
    numbers = {
        "area": COMPLEX.area,
        "output": values.sum(axis=1) + COMPLEX.intercept[:, 0],
        "slope": np.linalg.norm(COMPLEX.gradient[:, 0], axis=1),
        "active": COMPLEX.patterns.sum(axis=1),
    }
    for name, expected in numbers.items():
        drawn = plot.plot_regions(COMPLEX, color_by=name, edges=False)
        np.testing.assert_allclose(drawn.faces.get_array(), expected, rtol=1e-14)
        assert drawn.colorbar is not None
        assert drawn.colorbar.ax.get_ylabel()
        assert drawn.edges == []
        assert drawn.axes.get_legend() is None
        drawn.axes.figure.canvas.draw()
        if name == "output":
            low, high = drawn.faces.get_clim()
            assert low == -high
            assert high == np.abs(expected).max()
    own = np.arange(COMPLEX.num_faces) / 3
    np.testing.assert_array_equal(plot.plot_regions(COMPLEX, color_by=own).faces.get_array(), own)
    rgb = np.random.default_rng(0).uniform(size=(COMPLEX.num_faces, 3))
    np.testing.assert_array_equal(plot.plot_regions(COMPLEX, color_by=rgb).faces.get_facecolor()[:, :3], rgb)


def test_two_outputs_are_coloured_by_their_difference_and_more_say_which_one_is_shown():
    two = complex_of(network(1, 6, 2))
    shown = plot.plot_regions(two, color_by="output")
    by_hand = np.einsum("foi,fi->fo", two.gradient, two.centroid) + two.intercept
    np.testing.assert_allclose(shown.faces.get_array(), by_hand[:, 1] - by_hand[:, 0], rtol=0, atol=1e-12)
    assert shown.colorbar.ax.get_ylabel() == "output 2 − output 1"
    steep = plot.plot_regions(two, color_by="slope")
    np.testing.assert_allclose(steep.faces.get_array(), np.linalg.norm(two.gradient[:, 1] - two.gradient[:, 0], axis=1))
    assert steep.colorbar.ax.get_ylabel() == "norm of the gradient of output 2 − output 1"
    three = plot.plot_regions(complex_of(network(1, 6, 3)), color_by="output")
    assert three.colorbar.ax.get_ylabel() == "output 1 of 3"


def test_the_boundary_is_drawn_over_the_regions():
    boundary = decision_boundary(COMPLEX)
    assert len(boundary.face) > 0
    drawn = plot.plot_regions(COMPLEX)
    lines = plot.plot_boundary(boundary, ax=drawn.axes, colors="red")
    np.testing.assert_array_equal(lines.get_segments(), boundary.segments)
    assert lines.get_zorder() > max(edge.get_zorder() for edge in drawn.edges)
    assert to_rgb(lines.get_color()[0]) == (1, 0, 0)
    assert drawn.axes.get_xlim() == (-1, 1)
    assert "decision boundary" in [text.get_text() for text in drawn.axes.get_legend().get_texts()]
    alone = plot.plot_boundary(boundary)
    low, high = alone.axes.dataLim.min, alone.axes.dataLim.max
    np.testing.assert_allclose([low, high], [boundary.segments.min(axis=(0, 1)), boundary.segments.max(axis=(0, 1))])


def test_the_boundary_is_told_apart_from_edges_by_more_than_its_colour():
    drawn = plot.plot_regions(COMPLEX)
    lines = plot.plot_boundary(decision_boundary(COMPLEX), ax=drawn.axes)
    widest = max(float(edge.get_linewidth()[0]) for edge in drawn.edges)
    assert lines.get_linewidth()[0] >= 2 * widest
    assert not any(edge.get_path_effects() for edge in drawn.edges)
    for color, rim in (("black", 1.0), ("white", 0.0)):
        figure = plt.figure(figsize=(1, 1), facecolor="0.5")
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set_axis_off()
        level = decision_boundary(COMPLEX)._replace(segments=np.array([[[0.0, 0.5], [1.0, 0.5]]]))
        plot.plot_boundary(level, legend=False, ax=ax, colors=color, linewidths=10)
        figure.canvas.draw()
        column = np.asarray(figure.canvas.buffer_rgba())[:, 50, 0] / 255  # across a level line
        places = np.flatnonzero(np.abs(column - (1 - rim)) < 0.1)
        beside = column[[places[0] - 3, places[-1] + 3]]
        np.testing.assert_allclose(beside, rim, atol=0.15)
    assert not plot.plot_boundary(decision_boundary(COMPLEX), alpha=0.3).get_path_effects()


def test_complexes_with_one_face_or_no_boundary():
    one = complex_of(LAYERS[:1], activation="relu")
    drawn = plot.plot_regions(one._replace(gradient=one.gradient[:, :1], intercept=one.intercept[:, :1]))
    assert drawn.edges == []
    for name in ("area", "output", "slope", "active"):
        plot.plot_regions(one, color_by=name).axes.figure.canvas.draw()
    boundary = decision_boundary(COMPLEX)
    nothing = boundary._replace(segments=boundary.segments[:0])
    plot.plot_boundary(nothing, ax=drawn.axes).axes.figure.canvas.draw()
    assert drawn.axes.get_legend() is None
    shown = plot.plot_regions(COMPLEX).axes
    plot.plot_boundary(nothing, ax=shown)
    assert [text.get_text() for text in shown.get_legend().get_texts()] == ["edges of layer 1", "edges of layer 2"]


def test_given_axes_are_used_and_global_style_is_left_alone():
    before = dict(plt.rcParams)
    _, ax = plt.subplots()
    drawn = plot.plot_regions(COMPLEX, ax=ax, linewidths=2.0)
    assert drawn.axes is ax
    assert len(plt.get_fignums()) == 1
    assert drawn.faces.get_linewidth() == [2.0]
    assert dict(plt.rcParams) == before


def test_regions_are_no_boundary_and_no_slice(unchecked):
    with pytest.raises(TypeError, match=r"PlanarComplex was given. Give jaxgeom.decision_boundary\(regions\)"):
        plot.plot_boundary(COMPLEX)
    with pytest.raises(TypeError, match=r"PlanarComplex was given. Give jaxgeom.slice_network.*decision_boundary"):
        plot.plot_slice(COMPLEX)
    assert plt.get_fignums() == []


def test_what_is_refused():
    with pytest.raises(ValueError, match="color_by must be one of random, area"):
        plot.plot_regions(COMPLEX, color_by="size")
    with pytest.raises(ValueError, match="one number or colour for each"):
        plot.plot_regions(COMPLEX, color_by=np.zeros(COMPLEX.num_faces + 1))
    with pytest.raises(ValueError, match="not complete"):
        plot.plot_regions(COMPLEX._replace(complete=False), color_by="slope")
    with pytest.raises(ValueError, match="whole plane"):
        plot.plot_regions(complex_of(LAYERS, whole_plane()))
    assert plt.get_fignums() == []


@pytest.mark.usefixtures("sound_pictures")
@pytest.mark.parametrize(("layout", "inches"), [("constrained", 2.6), ("constrained", 5.6), (None, 3.6)])
def test_legends_hide_no_label_and_are_whole_at_the_first_draw(layout, inches, tmp_path):
    figure, axes = plt.subplots(1, 2, figsize=(2 * inches, inches), layout=layout)
    for ax in axes:
        plot.plot_regions(COMPLEX, ax=ax)
        plot.plot_boundary(decision_boundary(COMPLEX), ax=ax)
    figure.savefig(tmp_path / "small.png")
