"""Networks on many planes: each number against a slice, a raster, shapely or NumPy by hand; files and selections."""

import itertools
from fractions import Fraction

import jax
import numpy as np
import pytest
import reference
import scipy.sparse
from test_slices import area_of, clipped

import jaxgeom as jg

INPUTS = 6
X = np.random.default_rng(0).uniform(0, 1, (30, INPUTS))


def network(seed, *widths):
    rng = np.random.default_rng([seed, *widths])
    layers = [
        jg.Dense(2 * rng.normal(size=(a, b)), rng.normal(size=b)) for a, b in itertools.pairwise((INPUTS, *widths))
    ]
    middle = reference.forward(layers, X)[0].mean(axis=0)
    return (*layers[:-1], layers[-1]._replace(bias=layers[-1].bias - middle))


def sparse(layers):
    few = [layer._replace(kernel=scipy.sparse.csr_array(layer.kernel)) for layer in layers[:-1]]
    return (*few, layers[-1])


@pytest.fixture(scope="module")
def planes():
    return jg.random_planes(jax.random.key(0), np.full(INPUTS, 0.5), num_planes=4)


@pytest.fixture(scope="module")
def found(planes):
    networks = {"first": network(0, 10, 10, 4), "second": sparse(network(1, 10, 10, 4))}
    return jg.study.slice_study(
        networks, planes, [jg.box_on_plane(p, 0, 1) for p in planes], radius=0.05, num_points=100
    )


def pieces_of(layers, domain):
    """Convex polygons of fractions with the class of each: linear regions, clipped by every difference of outputs."""
    pieces = []
    for cell in reference.exact_regions(layers, domain):
        maps = [(*gradient, intercept) for gradient, intercept in zip(cell.gradient, cell.intercept, strict=True)]
        for label, own in enumerate(maps):
            part = cell.vertices
            for other in maps:
                if part and other is not own:
                    part = clipped(part, [a - b for a, b in zip(own, other, strict=True)])
            if part and area_of(part):
                pieces.append((label, part))
    return pieces


def turn(p, q, r):
    return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])


def touches(one, other):
    """In how many points of their corners two convex polygons meet: in one, or along a side in several."""
    met = set()
    for a, b in ((one, other), (other, one)):
        for point in a:
            if all(turn(b[i - 1], b[i], point) >= 0 for i in range(len(b))):
                met.add(point)
    return len(met)


def flooded(nodes, links):
    """The sets of nodes that hang together."""
    left, found = set(nodes), []
    while left:
        part, fresh = set(), [left.pop()]
        while fresh:
            node = fresh.pop()
            part.add(node)
            reached = links[node] & left
            left -= reached
            fresh += reached
        found.append(part)
    return found


def topology_by_flooding(layers, domain, num_classes):
    """Components of each class, connected along sides, and holes: parts of all others together, connected through
    points as well, that do not reach the border."""
    pieces = pieces_of(layers, domain)
    extents = [list(zip(*part, strict=True)) for _, part in pieces]
    boxes = np.array([[*map(min, extent), *map(max, extent)] for extent in extents], float)
    sides, points = ([set() for _ in pieces] for _ in range(2))
    for a, b in itertools.combinations(range(len(pieces)), 2):
        if (boxes[a, :2] <= boxes[b, 2:] + 1e-9).all() and (boxes[b, :2] <= boxes[a, 2:] + 1e-9).all():
            met = touches(pieces[a][1], pieces[b][1])
            for links in (points,) * (met > 0) + (sides,) * (met > 1):
                links[a].add(b)
                links[b].add(a)
    corners = [tuple(map(Fraction, corner)) for corner in np.asarray(domain).tolist()]
    borders = list(zip(corners, corners[1:] + corners[:1], strict=True))
    is_border = [any(turn(p, q, corner) == 0 for p, q in borders for corner in part) for _, part in pieces]
    components, holes = [], []
    for label in range(num_classes):
        own = {index for index, piece in enumerate(pieces) if piece[0] == label}
        components.append(len(flooded(own, sides)))
        rest = flooded(set(range(len(pieces))) - own, points)
        holes.append(sum(not any(is_border[index] for index in part) for part in rest))
    return components, holes


def test_numbers_are_those_of_each_slice(found, planes):
    layers = network(1, 10, 10, 4)
    for place, plane in enumerate(planes):
        one = jg.slice_network(layers, plane, jg.box_on_plane(plane, 0, 1))
        at = {name: values[1, place] for name, values in found.variables.items()}
        assert at["num_regions"] == one.complex_.num_faces
        np.testing.assert_allclose(at["region_density"], one.complex_.num_faces / one.regions.area.sum())
        np.testing.assert_allclose(at["boundary_length"], one.boundary.length.sum())
        np.testing.assert_allclose(at["class_area"], one.regions.class_area, atol=1e-12)
        whole = jg.topology(jg.on_plane(layers, plane), jg.polygon(one.domain))
        for name in ("num_components", "num_holes", "num_boundaries", "num_closed_boundaries"):
            np.testing.assert_array_equal(at[name], getattr(whole, name), err_msg=name)
    assert found["num_regions"].shape == (2, 4)
    assert found["num_regions"].max() > 90
    assert (found["class_area"] == 0).any()  # so that classes were left out of the comparison somewhere


def test_lengths_between_classes_are_those_of_shapely(found, planes):
    pytest.importorskip("shapely")
    for place, plane in enumerate(planes):
        one = jg.slice_network(network(0, 10, 10, 4), plane, jg.box_on_plane(plane, 0, 1))
        shapes = jg.convert.classes_to_shapely(one.regions)
        between = found["boundary_between"][0, place]
        np.testing.assert_array_equal(between, between.T)
        for a, b in itertools.combinations(range(4), 2):
            np.testing.assert_allclose(between[a, b], shapes[a].intersection(shapes[b]).length, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_topology_by_flooding(seed, planes):
    found = jg.slice_network(network(seed, 8, 3), planes[seed], jg.box(-1.5, 1.5))
    exact = jg.slice_topology(found)
    components, holes = topology_by_flooding(found.complex_.layers, found.domain, 3)
    assert exact.num_components.tolist() == components
    assert exact.num_holes.tolist() == holes


def test_rings_by_flooding():
    """Classes 0, 1 and 2 are the middle and outside, a ring, and nowhere; 3 is an island in the ring's hole."""
    size = jg.Dense(np.eye(2), np.array([0.01, -0.02]), np.full(2, -1.0))
    radius = jg.Dense(np.array([[1.0, 1, 1], [1, 1, 1]]), np.array([-0.3, -1.0, -0.5]), np.array([0.0, -1, 0]))
    outputs = np.array([[0.0, 0, 0, -9], [0, -1, 0, 0], [0, 0, 0, 0]])
    layers = (size, radius, jg.Dense(outputs, np.array([0.0, 0.25, -1, 1])))
    found = jg.slice_network(layers, jg.plane_along_inputs([0.0, 0.0]), jg.box(-2, 2))
    exact = jg.slice_topology(found)
    components, holes = topology_by_flooding(found.complex_.layers, found.domain, 4)
    assert (components, holes) == ([2, 1, 0, 1], [2, 1, 0, 0])
    assert exact.num_components.tolist() == components
    assert exact.num_holes.tolist() == holes


def test_local_complexity_against_numpy(found, planes):
    layers = network(0, 10, 10, 4)
    part, corners = jg.on_plane(layers, planes[2]), jg.box_on_plane(planes[2], 0, 1).vertices
    rng = np.random.default_rng(1)
    points = rng.uniform(corners.min(axis=0), corners.max(axis=0), (20_000, 2))
    sides, offset = np.roll(corners, -1, axis=0) - corners, points[:, None] - corners
    points = points[(sides[:, 0] * offset[..., 1] - sides[:, 1] * offset[..., 0] > 0).all(axis=1)]
    first = points @ part[0].kernel + part[0].bias
    near = np.abs(first) / np.linalg.norm(part[0].kernel, axis=0) <= 0.05
    gradient = (first > 0)[:, None] * part[0].kernel @ part[1].kernel
    second = np.maximum(first, 0) @ part[1].kernel + part[1].bias
    near = np.concatenate([near, np.abs(second) <= 0.05 * np.linalg.norm(gradient, axis=1)], axis=1)
    per_point = near.sum(axis=1)
    error = per_point.std() / np.sqrt(100)  # of the hundred points of the study's grid
    assert abs(found["local_complexity"][0, 2] - per_point.mean()) < 4 * error
    few = sparse(part)
    np.testing.assert_array_equal(jg.local_complexity(few, points[:50], 0.05), per_point[:50])
    np.testing.assert_array_equal(jg.local_complexity(part, points[:50], 0.05), per_point[:50])


def test_studies_of_slices_are_studies(found, tmp_path):
    read = jg.study.load(jg.study.save(found, tmp_path / "slices.npz"))
    np.testing.assert_array_equal(read["class_area"], found["class_area"])
    second = jg.study.select(read, network="second")
    np.testing.assert_array_equal(second["num_regions"], found["num_regions"][1])
    both = jg.study.merge(
        jg.study.select(found, network=["second"]), jg.study.select(found, network=["first"]), along="network"
    )
    np.testing.assert_array_equal(both["num_holes"], found["num_holes"][::-1])
    assert "4 network" not in repr(found)
    pytest.importorskip("xarray")
    dataset = jg.study.to_xarray(found)
    assert dataset["boundary_between"].dims == ("network", "plane", "class", "other_class")
    assert dataset["num_regions"].sel(network="first", plane=3) == found["num_regions"][0, 3]


def test_one_network_on_one_plane_and_what_is_refused(planes, unchecked):
    layers = network(0, 5, 1)
    one = jg.study.slice_study(layers, planes[0], jg.box(-1, 1), topology=False)
    assert one["num_regions"].shape == (1, 1)
    assert one["class_area"].shape == (1, 1, 2)
    assert "num_holes" not in one
    as_pairs = [tuple(layer[:2]) for layer in layers]
    assert jg.study.slice_study(as_pairs, planes[0], jg.box(-1, 1), topology=False)["num_regions"] == one["num_regions"]
    for networks, some, domains, message in (
        ([], planes, jg.box(-1, 1), "at least one network"),
        (layers, planes, [jg.box(-1, 1)], "4 planes and 1 domains"),
        ([layers, network(0, 5, 3)], planes[:1], jg.box(-1, 1), "different numbers of outputs"),
    ):
        with pytest.raises(ValueError, match=message):
            jg.study.slice_study(networks, some, domains)


def test_ties_between_classes_are_compared_in_full():
    spike = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])
    outputs = np.array([[-1.0, 0, -2], [-1, 0, -2], [0, -1, -2], [0, -1, -2]])  # -|x|, -|y|, and one that only touches
    layers = (jg.Dense(spike, np.zeros(4)), jg.Dense(outputs, np.zeros(3)))
    found = jg.slice_network(layers, jg.plane_along_inputs([0.0, 0.0]), jg.box(-1, 1))
    assert found.has_ties
    assert (
        jg.slice_topology(found).num_components.tolist() == jg.topology(layers, jg.box(-1, 1)).num_components.tolist()
    )
