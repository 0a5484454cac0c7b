"""Decision surfaces in space: closed forms, the regions that they part, and another library's view of the meshes."""

from itertools import pairwise

import jax
import numpy as np
import pytest
import reference

import jaxgeom as jg
from jaxgeom import plot
from jaxgeom.convert import save_surface, to_trimesh
from jaxgeom.regions import space_cells

BOX = jg.box(-2, 2, dim=3)


def layer(*rows):
    """Units by their rows (weights and bias)."""
    rows = np.array(rows, float)
    return jg.Dense(rows[:, :-1].T, rows[:, -1])


def absolutes():
    return layer(*[(*sign * axis, 0) for axis in np.eye(3) for sign in (1, -1)])


def octahedron():
    return absolutes(), layer((*-np.ones(6), 1))


def square_torus():
    """0.5 - max(|max(|x|, |y|) - 1|, |z|): a square ring of square section."""
    maximum = layer((1, 1, -1, -1, 0, 0, 0), (0, 0, 1, 1, 0, 0, 0), (0, 0, 0, 0, 1, 1, 0))  # |x| - |y|, |y|, |z|
    centred = layer((1, 1, 0, -1), (-1, -1, 0, 1), (0, 0, 1, 0))  # ±(max - 1), |z|
    compared = layer((1, 1, -1, 0), (0, 0, 1, 0))
    return absolutes(), maximum, centred, compared, layer((-1, -1, 0.5))


def random_network(seed, *widths):
    rng = np.random.default_rng(seed)
    sizes = [3, *widths, 1]
    layers = [jg.Dense(rng.uniform(-1, 1, (m, n)) / m**0.5, rng.uniform(-1, 1, n) / m**0.5) for m, n in pairwise(sizes)]
    middle = np.median(reference.forward(tuple(layers), rng.uniform(-1, 1, (500, 3)))[0])
    layers[-1] = jg.Dense(layers[-1].kernel, layers[-1].bias - middle)
    return tuple(layers)


def check(layers, domain, surface):
    """What holds of every surface."""
    sizes = np.diff(surface.polygon_offsets)
    corners = np.split(surface.vertices[surface.polygon_vertices], surface.polygon_offsets[1:-1])
    size = np.abs(surface.vertices).max()
    values = reference.forward(layers, surface.vertices)[0]
    steepest = np.prod([np.abs(layer.kernel).sum(axis=0).max() for layer in layers])
    assert np.abs(values).max() <= 1e-10 * steepest * size
    middles = np.stack([polygon.mean(axis=0) for polygon in corners])
    normals = np.stack([np.cross(p[1:-1] - p[0], p[2:] - p[0]).sum(axis=0) for p in corners])
    areas = np.linalg.norm(normals, axis=1)
    large = np.flatnonzero(areas > 1e-8)
    step = 1e-7 * normals[large] / areas[large, None]
    assert (reference.forward(layers, middles[large] + step)[0] <= 0).all()
    assert (reference.forward(layers, middles[large] - step)[0] > 0).all()
    assert areas.sum() / 2 == pytest.approx(surface.area)
    assert len(surface.triangles) == (sizes - 2).sum()
    assert (surface.vertices >= domain.low).all()
    assert (surface.vertices <= domain.high).all()
    assert surface.num_components == len(surface.euler_characteristic) == surface.component.max(initial=-1) + 1
    assert surface.is_watertight == (surface.is_closed.all() and (surface.genus >= 0).all())


def test_an_octahedron():
    surface = jg.decision_surface(octahedron(), BOX)
    check(octahedron(), BOX, surface)
    assert sorted(map(tuple, surface.vertices.tolist())) == sorted(
        tuple(sign * axis) for axis in np.eye(3) for sign in (1, -1)
    )
    assert len(surface.patterns) == 8
    assert surface.area == pytest.approx(4 * 3**0.5, rel=1e-14)
    assert surface.volume == pytest.approx(4 / 3, rel=1e-14)
    assert (surface.genus.tolist(), surface.euler_characteristic.tolist()) == ([0], [2])
    assert surface.is_watertight


def test_a_torus():
    surface = jg.decision_surface(square_torus(), BOX)
    check(square_torus(), BOX, surface)
    assert surface.area == pytest.approx(32, rel=1e-14)
    assert surface.volume == pytest.approx(8, rel=1e-14)
    assert (surface.genus.tolist(), surface.euler_characteristic.tolist()) == ([1], [0])


def test_a_surface_that_leaves_the_box():
    layers = (layer((1, 0, 0, 3), (0, 1, 0, 3)), layer((1, 0, -3.25)))  # x > 1/4
    surface = jg.decision_surface(layers, BOX)
    check(layers, BOX, surface)
    assert surface.area == pytest.approx(16)
    assert surface.volume == pytest.approx(1.75 * 16)
    assert surface.euler_characteristic.tolist() == [1]
    assert surface.genus.tolist() == [-1]
    assert not surface.is_watertight


def test_a_surface_that_touches_itself():
    # |x + y| - |x - y| is positive where x and y have one sign: two boxes that meet in the z axis
    cross = layer((1, 1, 0, 0), (-1, -1, 0, 0), (1, -1, 0, 0), (-1, 1, 0, 0)), layer((1, 1, -1, -1, 0))
    surface = jg.decision_surface(cross, jg.box(-1, 1, dim=3))
    assert not surface.is_watertight
    assert (surface.genus == -1).all()
    assert surface.volume == pytest.approx(4)
    assert surface.area == pytest.approx(8)


def test_nothing_flat_and_empty_surfaces():
    nowhere = (layer((1, 0, 0, 3)), layer((1, 1)))
    surface = jg.decision_surface(nowhere, BOX)
    assert (surface.area, surface.num_components, len(surface.triangles)) == (0, 0, 0)
    assert surface.volume == pytest.approx(64)
    flat = (layer((1, 0, 0, 0)), layer((1, 0)))  # relu(x): zero on half of the box
    surface = jg.decision_surface(flat, BOX)
    check(flat, BOX, surface)
    assert surface.area == pytest.approx(16)
    assert surface.volume == pytest.approx(32)
    with pytest.raises(ValueError, match="no triangles"):
        save_surface(jg.decision_surface(nowhere, BOX), "x.obj")
    with pytest.raises(ValueError, match="no polygons"):
        plot.plot_decision_surface(jg.decision_surface(nowhere, BOX))


@pytest.mark.parametrize("widths", [(12,), (8, 8), (6, 6, 6), (5, 4, 4, 3)])
def test_the_regions_that_it_parts(widths):
    # the cells that are kept, and those that are never visited, are as in the whole complex
    for seed in range(3):
        layers, domain = random_network(seed, *widths), jg.box(-1, 1.5, dim=3)
        surface = jg.decision_surface(layers, domain)
        check(layers, domain, surface)
        whole = jg.enumerate_regions(layers, domain, cut_output=True)
        first, second = whole.facet_cells.T
        parts = (second >= 0) & (whole.patterns[first, -1] != whole.patterns[second, -1])
        assert len(surface.patterns) == parts.sum()
        inside = np.where(whole.patterns[first, -1], first, second)[parts]
        assert sorted(map(tuple, surface.patterns.tolist())) == sorted(map(tuple, whole.patterns[inside, :-1].tolist()))
        assert surface.volume == pytest.approx(whole.volume[whole.patterns[:, -1]].sum(), rel=1e-9)


def test_another_library_agrees(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    for layers in (octahedron(), square_torus()):
        surface = jg.decision_surface(layers, BOX)
        mesh = to_trimesh(surface)
        assert mesh.is_watertight == surface.is_watertight
        assert mesh.is_winding_consistent
        assert mesh.euler_number == surface.euler_characteristic.sum()
        assert mesh.volume == pytest.approx(surface.volume)
        assert mesh.area == pytest.approx(surface.area)
        for ending in ("obj", "ply", "stl", "glb"):
            save_surface(surface, tmp_path / f"mesh.{ending}")
            again = trimesh.load(tmp_path / f"mesh.{ending}", force="mesh")
            assert abs(again.volume) == pytest.approx(surface.volume, rel=1e-5)
    for seed in range(4):
        surface = jg.decision_surface(random_network(seed, 10, 10), jg.box(-3, 3, dim=3))
        mesh = to_trimesh(surface)
        assert mesh.is_winding_consistent
        assert mesh.euler_number == surface.euler_characteristic.sum()
        assert mesh.is_watertight == surface.is_watertight
    with pytest.raises(ValueError, match=r"written as obj, ply, stl, glb, but 'x.png' was given"):
        save_surface(surface, "x.png")


def test_the_picture():
    surface = jg.decision_surface(square_torus(), BOX)
    pieces = plot.plot_decision_surface(surface)
    assert [getattr(pieces.axes, f"get_{axis}label")() for axis in "xyz"] == ["$x_1$", "$x_2$", "$x_3$"]
    pieces.axes.figure.canvas.draw()
    assert len(pieces.get_facecolor()) == len(surface.patterns)
    assert pieces.axes.get_zlim()[0] < -0.5 < 0.5 < pieces.axes.get_zlim()[1]


def test_colors_of_the_picture(unchecked):
    surface = jg.decision_surface(octahedron(), BOX)
    pieces = plot.plot_decision_surface(surface, colors=[[1, 0, 0]] * 8)
    assert (pieces.get_facecolor()[:, 0] > 0.4).all()
    assert (pieces.get_facecolor()[:, 1:3] == 0).all()
    for colors, given in (("red", "'red'"), (np.ones(3), r"an array \(3,\)"), (np.ones((7, 3)), r"an array \(7, 3\)")):
        with pytest.raises(ValueError, match=rf"colors must be an array \(8, 3\), .* but {given} was given"):
            plot.plot_decision_surface(surface, colors=colors)


def test_what_is_refused(unchecked, monkeypatch):
    with pytest.raises(ValueError, match="three inputs and a box with dim=3"):
        jg.decision_surface(octahedron(), jg.box())
    with pytest.raises(ValueError, match="needs one output, but the networks have 2"):
        jg.decision_surface((absolutes(), layer((*np.ones(6), 1), (*np.ones(6), 2))), BOX)
    with pytest.raises(ValueError, match="one network is needed"):
        jg.decision_surface(jax.tree.map(lambda array: array[None], octahedron()), BOX)
    with pytest.raises(TypeError, match=r"jaxgeom\.box"):
        jg.decision_surface(octahedron(), jg.whole_plane())
    monkeypatch.setattr(space_cells, "free_memory", lambda: 10**5)
    with pytest.raises(ValueError, match="of which complexes take more than the 100 kB"):
        jg.decision_surface(random_network(0, 20, 20), BOX)
