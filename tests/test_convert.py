"""Complexes for other libraries: their areas and neighbours are the complex's own."""

import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from complexes import complex_of, network

from jaxgeom.analysis.measures import edge_lengths
from jaxgeom.convert import to_networkx, to_shapely, to_svg
from jaxgeom.domains import box, polygon, whole_plane
from jaxgeom.networks.layers import Dense
from jaxgeom.regions.colors import face_colors

LAYERS = network(0, 6, 6, 1)
COMPLEX = complex_of(LAYERS)
PLANE = complex_of(LAYERS, whole_plane())


def test_shapely_polygons():
    shapely = pytest.importorskip("shapely", minversion="2")
    for complex_ in (COMPLEX, complex_of(LAYERS, polygon([(-1, -1), (2, -0.5), (0.5, 1.5)]))):
        found = to_shapely(complex_)
        assert len(found) == complex_.num_faces
        assert all(isinstance(face, shapely.Polygon) and face.is_valid and face.exterior.is_ccw for face in found)
        np.testing.assert_allclose([face.area for face in found], complex_.area, atol=1e-15)
        np.testing.assert_allclose([face.centroid.coords[0] for face in found], complex_.centroid, atol=1e-9)
        whole = shapely.union_all(found, grid_size=1e-12)
        assert whole.area == pytest.approx(complex_.area.sum(), rel=1e-9)
    with pytest.raises(ValueError, match="whole plane"):
        to_shapely(PLANE)


def test_the_graph_of_regions():
    networkx = pytest.importorskip("networkx")
    for complex_ in (COMPLEX, PLANE):
        graph = to_networkx(complex_)
        assert sorted(graph.nodes) == list(range(complex_.num_faces))
        assert networkx.is_connected(graph)
        inner = complex_.edge_layer >= 0
        assert graph.number_of_edges() == inner.sum()
        colors = networkx.bipartite.color(graph)  # one unit changes across every edge
        parity = complex_.patterns.sum(axis=1) % 2
        assert len({(colors[face], parity[face]) for face in graph.nodes}) == 2
        for face, attributes in graph.nodes(data=True):
            assert attributes["area"] == complex_.area[face]
            assert attributes["centroid"] == tuple(complex_.centroid[face])
            assert [digit == "1" for digit in attributes["pattern"]] == complex_.patterns[face].tolist()
        units = np.cumsum([0, 6])
        for one, other, attributes in graph.edges(data=True):
            (changed,) = np.flatnonzero(complex_.patterns[one] != complex_.patterns[other])
            assert changed == units[attributes["layer"]] + attributes["unit"]
        lengths = sorted(length for _, _, length in graph.edges(data="length"))
        np.testing.assert_array_equal(lengths, np.sort(edge_lengths(complex_)[inner]))


def test_neighbours_touch():
    shapely, networkx = pytest.importorskip("shapely"), pytest.importorskip("networkx")
    graph, faces = to_networkx(COMPLEX), [face.buffer(1e-9) for face in to_shapely(COMPLEX)]
    strips = np.array([[shapely.area(shapely.intersection(one, other)) for one in faces] for other in faces])
    # the overlap of two widened neighbours is their common edge, widened
    lengths = networkx.to_numpy_array(graph, nodelist=range(len(faces)), weight="length")
    np.testing.assert_allclose((strips - np.diag(np.diag(strips))) / 2e-9, lengths, atol=1e-5)


def test_a_boundary_with_a_vertex_in_its_middle_is_one_edge():
    pytest.importorskip("networkx")
    line = (Dense(np.array([[1.0], [2.0]]), np.array([0.5])), Dense(np.ones((1, 1)), np.zeros(1)))
    plane = complex_of(line, whole_plane())
    assert (plane.edge_layer == 0).sum() == 2
    assert list(to_networkx(plane).edges(data=True)) == [(0, 1, {"length": np.inf, "layer": 0, "unit": 0})]


@pytest.mark.parametrize(("name", "convert"), [("shapely", to_shapely), ("networkx", to_networkx)])
def test_what_is_missing_is_named(monkeypatch, name, convert):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"needs {name}, .* pip install .*interop"):
        convert(COMPLEX)


def paths_of(text):
    """The paths of the groups of an SVG picture: (attributes, points of each stroke)."""
    root = ET.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    groups = []
    for group in root.findall(f"{space}g"):
        paths = []
        for path in group.findall(f"{space}path"):
            strokes = [part.rstrip("Z").split("L") for part in path.get("d").split("M")[1:]]
            paths.append((path.attrib, [np.array([p.split() for p in stroke], float) for stroke in strokes]))
        groups.append(paths)
    return root, groups


def test_svg_has_one_path_for_each_face_and_layer(tmp_path):
    complex_ = complex_of(LAYERS, box([-1, -2], [3, 0]))
    target = tmp_path / "regions.svg"
    text = to_svg(complex_, target, size=400)
    assert target.read_text() == text
    root, (faces, layers) = paths_of(text)
    left, top, width, height = map(float, root.get("viewBox").split())
    assert width / height == pytest.approx(2, rel=0.02)
    assert len(faces) == complex_.num_faces
    for (attributes, (points,)), cycle, color in zip(
        faces, np.split(complex_.face_vertices, complex_.face_offsets[1:-1]), face_colors(complex_), strict=True
    ):
        expected = (complex_.vertices[cycle] - [-1, 0]) * [100, -100]
        np.testing.assert_allclose(points, expected, atol=1e-3)
        assert (points > [left, top]).all()
        assert (points < [left + width, top + height]).all()
        rgb = [int(attributes["color"][i : i + 2], 16) / 255 for i in (1, 3, 5)]
        np.testing.assert_allclose(rgb, color, atol=0.002)
    assert [attributes["class"] for attributes, _ in layers] == ["layer1", "layer0", "boundary"]
    for (_, strokes), layer in zip(layers, (1, 0, -1), strict=True):
        length = sum(np.hypot(*(stroke[1] - stroke[0])) for stroke in strokes)
        assert length == pytest.approx(100 * edge_lengths(complex_)[complex_.edge_layer == layer].sum(), rel=1e-4)
        assert len(strokes) == (complex_.edge_layer == layer).sum()


def test_colours_of_svg():
    given = np.zeros((COMPLEX.num_faces, 3))
    given[3] = [1, 0.5, 0]
    _, (faces, _) = paths_of(to_svg(COMPLEX, colors=given))
    assert [attributes["color"] for attributes, _ in faces[2:4]] == ["#000000", "#ff8000"]
    _, groups = paths_of(to_svg(COMPLEX, colors="none"))
    assert len(groups) == 1
    for wrong in ("red", given[1:], given + 2):
        with pytest.raises(ValueError, match="colors must be"):
            to_svg(COMPLEX, colors=wrong)
    with pytest.raises(ValueError, match="whole plane"):
        to_svg(PLANE)


def test_neighbours_have_different_colours():
    for seed in range(5):
        complex_ = complex_of(network(seed, 10, 10, 1))
        colors = face_colors(complex_)
        assert ((colors >= 0) & (colors <= 1)).all()
        assert (colors.mean(axis=1) > 0.6).all()  # light
        one, other = complex_.edge_faces[complex_.edge_layer >= 0].T
        assert np.abs(colors[one] - colors[other]).max(axis=1).min() > 0.1
        np.testing.assert_array_equal(face_colors(complex_), colors)
        assert (face_colors(complex_, seed=1) != colors).any()
