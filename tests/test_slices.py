"""Slices of networks: regions of classes against rationals and samples, what is drawn of them, and as files."""

import itertools
import json
import xml.etree.ElementTree as ET
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
import pytest
import reference
import scipy.sparse
from matplotlib.offsetbox import AnnotationBbox

import jaxgeom as jg

RNG = np.random.default_rng(3)
POINTS = RNG.uniform(-1, 1, (60, 5))


def network(*widths, seed=0):
    rng = np.random.default_rng([seed, *widths])
    return tuple(jg.Dense(rng.normal(size=(a, b)), rng.normal(size=b)) for a, b in itertools.pairwise(widths))


def cut(num_classes, seed=0, domain=None):
    layers = network(5, 7, 6, num_classes, seed=seed)
    plane = jg.plane_through(*POINTS[:3])
    return layers, jg.slice_network(layers, plane, jg.hull_on_plane(plane, POINTS) if domain is None else domain)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def clipped(corners, line):
    """The part of a convex polygon of fractions where ``a x + b y + c >= 0``."""
    a, b, c = line
    values = [a * x + b * y + c for x, y in corners]
    kept = []
    for (p, at_p), (q, at_q) in zip(
        zip(corners, values, strict=True),
        zip(corners[1:] + corners[:1], values[1:] + values[:1], strict=True),
        strict=True,
    ):
        if at_p >= 0:
            kept.append(p)
        if at_p * at_q < 0:
            part = at_p / (at_p - at_q)
            kept.append((p[0] + part * (q[0] - p[0]), p[1] + part * (q[1] - p[1])))
    return kept


def area_of(corners):
    return sum(p[0] * q[1] - q[0] * p[1] for p, q in itertools.pairwise([*corners, *corners[:1]])) / 2


def rational_areas(layers, domain, num_classes):
    """The area on which each class is the largest, one clip after the other."""
    totals = [Fraction(0)] * num_classes
    for cell in reference.exact_regions(layers, domain):
        maps = [(*gradient, intercept) for gradient, intercept in zip(cell.gradient, cell.intercept, strict=True)]
        maps = [(Fraction(0),) * 3, *maps] if len(maps) == 1 else maps
        for label, own in enumerate(maps):
            part = cell.vertices
            for other in maps:
                part = (
                    clipped(part, [a - b for a, b in zip(own, other, strict=True)])
                    if part and other is not own
                    else part
                )
            totals[label] += area_of(part)
    return totals


@pytest.mark.parametrize("num_classes", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_areas_of_classes_are_those_of_rationals(num_classes, seed):
    _, found = cut(num_classes, seed)
    regions = found.regions
    expected = rational_areas(found.complex_.layers, found.domain, max(2, num_classes))
    np.testing.assert_allclose(regions.class_area, np.array(expected, float), atol=1e-12)
    np.testing.assert_allclose(np.bincount(regions.face, regions.area), found.complex_.area, rtol=1e-9, atol=1e-14)
    assert (regions.area > 0).all()


@pytest.mark.parametrize("num_classes", [1, 4])
def test_samples_have_the_class_of_their_polygon(num_classes):
    layers, found = cut(num_classes, seed=2)
    samples = RNG.uniform(found.domain.min(axis=0), found.domain.max(axis=0), (4000, 2))
    outputs = reference.forward(layers, jg.lift(found.plane, samples))[0]
    labels = (outputs[:, 0] > 0).astype(int) if num_classes == 1 else outputs.argmax(axis=1)
    seen = np.full(len(samples), -1)
    regions = found.regions
    for index, cycle in enumerate(np.split(regions.polygon_vertices, regions.polygon_offsets[1:-1])):
        corners = regions.vertices[cycle]
        sides, offset = np.roll(corners, -1, axis=0) - corners, samples[:, None] - corners
        seen[(sides[:, 0] * offset[..., 1] - sides[:, 1] * offset[..., 0] > 0).all(axis=1)] = regions.label[index]
    is_over = seen >= 0
    assert 1000 < is_over.sum() < len(samples)
    np.testing.assert_array_equal(seen[is_over], labels[is_over])
    part = np.bincount(labels[is_over], minlength=regions.num_classes) / is_over.sum()
    exact = regions.class_area / regions.area.sum()
    assert (np.abs(part - exact) <= 4 * np.sqrt(np.maximum(exact * (1 - exact), 0) / is_over.sum()) + 1e-9).all()


def test_ties_go_to_the_first_class():
    twice = (jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.array([[1.0, 1, 0], [0, 0, 1]]), np.zeros(3)))
    found = jg.decision_regions(jg.enumerate_regions(twice, jg.box(-1, 1)))  # relu(x), relu(x), relu(y)
    np.testing.assert_allclose(found.class_area, [2.5, 0, 1.5])
    constant = (jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.zeros((2, 3)), np.ones(3)))
    np.testing.assert_allclose(jg.decision_regions(jg.enumerate_regions(constant, jg.box(-1, 1))).class_area, [4, 0, 0])


def test_sparse_kernels_make_the_same_slices():
    layers, found = cut(4)
    few = tuple(jg.Dense(scipy.sparse.csr_array(layer.kernel), *layer[1:]) for layer in layers[:-1])
    same = jg.slice_network((*few, layers[-1]), found.plane, jg.polygon(found.domain))
    np.testing.assert_array_equal(same.regions.label, found.regions.label)
    np.testing.assert_allclose(same.regions.area, found.regions.area, atol=1e-12)
    np.testing.assert_allclose(same.boundary.length.sum(), found.boundary.length.sum())
    exact = jg.slice_network(layers, found.plane, jg.polygon(found.domain), exact=True)
    np.testing.assert_allclose(exact.regions.class_area, found.regions.class_area, atol=1e-12)
    assert exact.complex_.num_faces == found.complex_.num_faces


def test_slices_of_unbounded_domains(unchecked):
    with pytest.raises(TypeError, match="bounded domain"):
        cut(3, domain=jg.whole_plane())


def test_the_picture_shows_what_was_given():
    _, found = cut(4)
    labels = np.arange(60) % 4
    artists = jg.plot.plot_slice(
        found, POINTS, labels, anchors=POINTS[:3], anchor_names="abc", names=["w", "x", "y", "z"]
    )
    assert [len(faces.get_paths()) for faces in artists.regions] == np.bincount(
        found.regions.label, minlength=4
    ).tolist()
    assert sum(len(lines.get_segments()) for lines in artists.boundary.values()) == len(found.boundary.length)
    assert len(artists.edges.get_segments()) == np.sum(found.complex_.edge_layer >= 0)
    assert set(artists.boundary) == {tuple(sorted(pair)) for pair in found.boundary.classes.tolist()}
    assert sorted(artists.drawn) == list(range(60))  # the domain is their hull
    seen = jg.project(found.plane, POINTS)
    np.testing.assert_allclose(artists.points.get_offsets(), seen.coordinates[artists.drawn])
    sizes, opacity = artists.points.get_sizes(), artists.points.get_facecolor()[:, 3]
    order = np.argsort(seen.distance[artists.drawn])
    assert (np.diff(sizes[order]) <= 0).all()
    assert (np.diff(opacity[order]) <= 0).all()
    texts = [text.get_text() for text in artists.axes.get_legend().get_texts()]
    assert texts == ["distance from the plane", "0", f"{seen.distance.max() / 2:.3g}", f"{seen.distance.max():.3g}"]
    assert [text.get_text() for text in artists.anchors] == ["a", "b", "c"]
    wide = jg.plot.plot_slice(found, anchors=POINTS[:3], anchor_names=["row 0", "row 12,345", "a long name of a row"])
    wide.axes.figure.canvas.draw()
    for text, place in zip(wide.anchors, jg.project(found.plane, POINTS[:3]).coordinates, strict=True):
        box = text.get_bbox_patch().get_window_extent()
        assert not box.padded(2).contains(*wide.axes.transData.transform(place)), text.get_text()
        assert wide.axes.get_window_extent().padded(40).contains(*box.min)
    written = {text.get_text() for text in artists.axes.texts}
    assert {name for name, area in zip("wxyz", found.regions.class_area, strict=True) if area > 1} <= written
    few = jg.plot.plot_slice(found, POINTS, max_distance=0.5, edges=False)
    assert (seen.distance[few.drawn] <= 0.5).all()
    assert len(few.drawn) == np.sum(seen.distance <= 0.5)
    assert few.edges is None


def test_thumbnails_lie_within_the_axes(unchecked):
    layers = network(12, 6, 3)
    x = RNG.uniform(0, 1, (3, 12))
    plane = jg.plane_through(*x)
    found = jg.slice_network(layers, plane, jg.box_on_plane(plane, np.zeros(12), np.ones(12)))
    two = plt.figure(figsize=(11.2, 5.6), layout="constrained").subplots(1, 2)
    for ax, shape in ((None, (4, 3)), (two[0], (4, 3)), (two[1], None)):
        artists = jg.plot.plot_slice(found, anchors=x, image_shape=shape, ax=ax)
        artists.axes.figure.canvas.draw()
        inner = artists.axes.get_window_extent()
        for index, each in enumerate(artists.anchors):
            assert isinstance(each, AnnotationBbox) == (shape is not None)
            if shape is not None:
                np.testing.assert_array_equal(each.offsetbox.get_data(), x[index].reshape(4, 3))
            box = each.get_window_extent(artists.axes.figure.canvas.get_renderer())
            assert inner.x0 <= box.x0 < box.x1 <= inner.x1
            assert inner.y0 <= box.y0 < box.y1 <= inner.y1
    for options, message in (
        ({"anchors": x, "image_shape": (5, 5)}, "image_shape"),
        ({"anchors": x, "anchor_names": ["a"]}, "as many names"),
        ({"names": ["a"]}, "3 classes need as many names"),
        ({"labels": np.zeros(2, int)}, "labels need as many points"),
    ):
        with pytest.raises(ValueError, match=message):
            jg.plot.plot_slice(found, **options)


@pytest.mark.parametrize("num_classes", [1, 5])
def test_shapely_and_geojson_have_the_areas_and_parts_of_classes(num_classes, tmp_path):
    shapely = pytest.importorskip("shapely")
    _, found = cut(num_classes, seed=3)
    shapes = jg.convert.classes_to_shapely(found.regions)
    np.testing.assert_allclose([shape.area for shape in shapes], found.regions.class_area, atol=1e-12)
    assert all(shape.is_valid for shape in shapes)
    topology = jg.topology(jg.on_plane(network(5, 7, 6, num_classes, seed=3), found.plane), jg.polygon(found.domain))
    parts = [list(getattr(shape, "geoms", [shape] if not shape.is_empty else [])) for shape in shapes]
    assert [len(part) for part in parts] == topology.num_components.tolist()
    assert [sum(len(each.interiors) for each in part) for part in parts] == topology.num_holes.tolist()
    text = jg.convert.to_geojson(found, tmp_path / "slice.geojson")
    assert (tmp_path / "slice.geojson").read_text() == text
    features = json.loads(text)["features"]
    kinds = {kind: [f for f in features if f["properties"]["kind"] == kind] for kind in ("class", "boundary", "region")}
    for feature in kinds["class"]:
        shape, label = shapely.from_geojson(json.dumps(feature["geometry"])), feature["properties"]["label"]
        np.testing.assert_allclose(shape.area, found.regions.class_area[label])
        assert all(part.exterior.is_ccw for part in getattr(shape, "geoms", [shape]))
    lengths = [f["properties"]["length"] for f in kinds["boundary"]]
    np.testing.assert_allclose(sum(lengths), found.boundary.length.sum())
    lines = [shapely.from_geojson(json.dumps(f["geometry"])) for f in kinds["boundary"]]
    np.testing.assert_allclose([line.length for line in lines], lengths)
    assert len(kinds["region"]) == found.complex_.num_faces
    single = [f["properties"]["label"] is not None for f in kinds["region"]]
    crossed = np.zeros(found.complex_.num_faces, bool)
    crossed[found.boundary.face] = True
    assert single == (~crossed).tolist()
    short = json.loads(jg.convert.to_geojson(found, decimals=2))["features"][0]["geometry"]["coordinates"]
    assert all(round(x, 2) == x for x in np.ravel(short[0]))


def test_svg_has_a_path_for_each_class_and_pair():
    _, found = cut(5, seed=3)
    root = ET.fromstring(jg.convert.slice_to_svg(found, size=300))
    names = [path.get("class") for path in root.iter("{http://www.w3.org/2000/svg}path")]
    winners = np.flatnonzero(found.regions.class_area > 0)
    pairs = sorted({tuple(sorted(pair)) for pair in found.boundary.classes.tolist()})
    assert names == [*(f"class{k}" for k in winners), "edges", *(f"boundary{a}-{b}" for a, b in pairs), "domain"]
    paths = {path.get("class"): path.get("d") for path in root.iter("{http://www.w3.org/2000/svg}path")}
    for label in winners:
        assert paths[f"class{label}"].count("Z") == np.sum(found.regions.label == label)
    assert max(float(root.get("width")), float(root.get("height"))) == 300


def test_all_classes_have_colours_of_their_own():
    for num in (2, 7, 10):
        colors = jg.plot.plot_slice(_with_classes(num)).regions
        assert len({tuple(each.get_facecolor()[0]) for each in colors if len(each.get_facecolor())}) == num


def _with_classes(num):
    angles = 2 * np.pi * np.arange(num) / num
    layers = (
        jg.Dense(np.concatenate([np.eye(2), -np.eye(2)], axis=1), np.zeros(4)),
        jg.Dense(np.concatenate([[np.cos(angles), np.sin(angles)], [-np.cos(angles), -np.sin(angles)]]), np.zeros(num)),
    )
    return jg.slice_network(layers, jg.plane_along_inputs([0.0, 0.0]), jg.box(-1, 1))
