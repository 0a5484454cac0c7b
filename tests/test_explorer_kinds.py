"""The explorer's page of networks without regions of the plane: smooth ones, and those of one and three inputs."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from explorer_modules import in_node

import jaxgeom as jg
from jaxgeom.networks.models import ACTIVATIONS

SMOOTH = [name for name in ACTIVATIONS if name not in ("maxout", "linear")]


def parameters(rng: np.random.Generator, sizes: tuple[int, ...], activations: tuple[str, ...], *leading: int) -> Any:
    """Parameters as those of mlp, of any scale."""
    names = [f"dense{depth}_{name}" for depth, name in enumerate((*activations, "linear"))]
    return {
        name: {
            "kernel": rng.normal(size=(*leading, inputs, outputs)).astype(np.float32),
            "bias": 0.5 * rng.normal(size=(*leading, outputs)).astype(np.float32),
        }
        for name, inputs, outputs in zip(names, sizes[:-1], sizes[1:], strict=True)
    }


CURVES = {"tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z)), "relu": lambda z: np.maximum(z, 0)}


def pre_activations(params: Any, x: Any) -> list[np.ndarray]:
    """Of all layers, in float64."""
    found, values = [], np.asarray(x, np.float64)
    for name, layer in params.items():
        found.append(values @ np.asarray(layer["kernel"], np.float64) + layer["bias"])
        values = CURVES.get(name.partition("_")[2], np.asarray)(found[-1])
    return found


def test_activations_are_those_of_the_models(tmp_path: Path) -> None:
    z = np.linspace(-6, 6, 97)
    program = f"""const {{ forward }} = await load("network");
      const identity = {{ kernel: [1], bias: [0], inputs: 1, outputs: 1 }};
      const values = {json.dumps(z.tolist())};
      console.log(JSON.stringify({json.dumps([*SMOOTH, "0.2"])}.map((activation) =>
        Array.from(forward([{{ ...identity, activation }}, identity], values).at(-1).z))));"""
    found = in_node(program)
    for name, values in zip(SMOOTH, found, strict=False):
        with jax.enable_x64(True):
            expected = ACTIVATIONS[name](jnp.asarray(z))
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(found[-1], np.where(z > 0, z, 0.2 * z))


def distances_from_boundary(params: Any, points: np.ndarray) -> np.ndarray:
    """About how far points are from where the output is zero, or the two largest outputs are equal."""
    output = pre_activations(params, points)[-1]
    order = np.argsort(output, axis=1)

    def lead(x: np.ndarray) -> np.ndarray:
        values = np.take_along_axis(pre_activations(params, x)[-1], order, axis=1)
        return values[:, -1] - (values[:, -2] if values.shape[1] > 1 else 0)

    steps = 1e-6 * np.eye(2)
    slopes = [(lead(points + step) - lead(points - step)) / 2e-6 for step in steps]
    return np.abs(lead(points)) / np.hypot(*slopes)


def test_smooth_networks_have_lines_where_they_are_zero(tmp_path: Path) -> None:
    data = jg.datasets.circles(jax.random.key(0), num_points=40, noise=0.1, factor=0.4)
    cell = 4 / 72
    for outputs, activations in ((1, ("tanh", "tanh")), (3, ("sigmoid", "relu"))):
        params = parameters(np.random.default_rng(outputs), (2, 7, 5, outputs), activations)
        last = params["dense2_linear"]
        last["bias"] -= np.median(pre_activations(params, data.x)[-1], axis=0).astype(np.float32)
        page = jg.explore(params, tmp_path / "page.html", data=data, domain=jg.box(-2, 2))
        assert (page.num_networks, page.num_frames, page.num_exact) == (1, 1, 0)
        program = """const { scenes } = await load("scene");
          const scene = scenes(population).at(0, 0);
          console.log(JSON.stringify({ boundary: scene.boundary, unit: scene.edgesOf(0, 3), second: scene.edges[1],
            z: Array.from(scene.data.at(-1).z), regions: scene.regions, curves: about.curves }));"""
        found = in_node(program, page.path)
        assert (found["regions"], found["curves"]) == (None, [])
        np.testing.assert_allclose(np.ravel(pre_activations(params, data.x)[-1]), found["z"], rtol=1e-12, atol=1e-12)
        at = {
            name: pre_activations(params, np.reshape(found[name], (-1, 2))) for name in ("unit", "second", "boundary")
        }
        assert len(found["unit"]) > 40
        np.testing.assert_allclose(at["unit"][0][:, 3], 0, atol=1e-12)  # straight, so exact
        assert len(found["second"]) > 40
        assert np.abs(at["second"][1]).min(axis=1).max() < 1e-2
        distances = distances_from_boundary(params, np.reshape(found["boundary"], (-1, 2)))
        assert len(distances) > 40
        assert np.median(distances) < 1e-2 * cell
        assert distances.max() < cell / 2  # where three classes meet


def test_of_one_input_the_graph_its_thresholds_and_steps(tmp_path: Path) -> None:
    data = jg.datasets.damped_sine()
    params = parameters(np.random.default_rng(0), (1, 6, 1), ("sigmoid",), 2)
    page = jg.explore({"a": params, "b": params}, tmp_path / "page.html", data=data, axis="name")
    program = """const { scenes, factsOf } = await load("scene");
      const { heightsOf, stepOutputs, thresholdsOf } = await load("line");
      const scene = scenes(population).at(3, 0), x = population.arrays["data/x"];
      console.log(JSON.stringify({ domain: about.domain, axes: about.axes,
        steps: Array.from(stepOutputs(scene.layers, x)),
        each: [0, 1, 2, 3, 4, 5].map((unit) => thresholdsOf(scene.line, 0, unit)), facts: factsOf(population, scene),
        heights: heightsOf(population, scene.layers), all: scene.thresholds[0] }));"""
    found = in_node(program, page.path)
    last = jax.tree.map(lambda array: array[1], params)
    assert [axis["name"] for axis in found["axes"]] == ["name", "network"]
    places = np.asarray(jg.thresholds(last))
    low, high = found["domain"]
    assert (low, high) == (pytest.approx(np.min(data.x)), pytest.approx(np.max(data.x)))
    expected = [[place] if low < place < high else [] for place in places.tolist()]
    assert [len(unit) for unit in found["each"]] == [len(unit) for unit in expected]
    np.testing.assert_allclose(list(chain(*found["each"])), list(chain(*expected)), rtol=1e-5, atol=1e-5)
    assert found["all"] == list(chain(*found["each"]))
    np.testing.assert_allclose(found["steps"], np.ravel(jg.step_output(last, data.x)), rtol=1e-5, atol=1e-5)
    error = float(np.mean((pre_activations(last, data.x)[-1] - np.asarray(data.y)) ** 2))
    assert f"mean squared error <b>{float(f'{error:.3g}'):g}</b>" in found["facts"]
    assert found["heights"][0] < np.min(data.y) < np.max(data.y) < found["heights"][1]


def test_of_three_inputs_the_decision_surface(tmp_path: Path) -> None:
    """That of |x| + |y| + |z| = 1, an octahedron, seen from where the output is positive: from inside."""
    kernel = np.concatenate([np.eye(3), -np.eye(3)], axis=1)
    layers = jg.Dense(kernel, np.zeros(6)), jg.Dense(-np.ones((6, 1)), np.ones(1))
    page = jg.explore(layers, tmp_path / "page.html", domain=jg.box([-1.3] * 3, 1.3))
    program = """const { scenes } = await load("scene");
      const scene = scenes(population).at(0, 0);
      console.log(JSON.stringify(scene.surface[0].triangles));"""
    corners = np.reshape(in_node(program, page.path), (-1, 3, 3))
    exact = jg.decision_surface(layers, jg.box(-1.3, 1.3, dim=3))
    edges = corners[:, 1:] - corners[:, :1]
    normals = np.cross(edges[:, 0], edges[:, 1])
    assert np.all(np.einsum("ni,ni->n", normals, corners.mean(axis=1)) <= 1e-12)
    area = np.linalg.norm(normals, axis=1).sum() / 2
    np.testing.assert_allclose(area, exact.area, rtol=0.02)
    np.testing.assert_allclose(np.abs(corners).sum(axis=2), 1, atol=0.07)
    volume = -np.einsum("ni,ni->", np.cross(corners[:, 0], corners[:, 1]), corners[:, 2]) / 6
    np.testing.assert_allclose(volume, 4 / 3, rtol=0.02)


def test_surfaces_between_three_decisions_are_drawn_once(tmp_path: Path) -> None:
    """Of the outputs x, y, z, in the cube: half of a diagonal plane between each two, of area 2√2."""
    layers = jg.Dense(np.eye(3), np.full(3, 9.0)), jg.Dense(np.eye(3), np.zeros(3))
    page = jg.explore(layers, tmp_path / "page.html", domain=jg.box(-1, 1, dim=3))
    program = """const { scenes } = await load("scene");
      console.log(JSON.stringify(scenes(population).at(0, 0).surface));"""
    area = {}
    for surface in in_node(program, page.path):
        corners, others = np.reshape(surface["triangles"], (-1, 3, 3)), np.array(surface["others"])
        sides = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
        for other in np.unique(others).tolist():
            pair = [surface["side"], other]
            area[tuple(pair)] = sides[others == other].sum()
            middles = np.sort(corners[others == other].mean(axis=1), axis=1)
            np.testing.assert_allclose(middles[:, 2], middles[:, 1], atol=0.07)
    assert set(area) == {(0, 1), (0, 2), (1, 2)}
    np.testing.assert_allclose(list(area.values()), 2 * np.sqrt(2), rtol=0.05)


def test_of_many_networks_those_around_the_one_that_is_seen_have_pictures() -> None:
    found = in_node("""const { galleryOf, roomOf } = await load("gallery");
      const members = Array.from({ length: 150 }, (_, place) => 3 * place);
      const found = [0, 300, 447, 1].map((member) => roomOf(members, member)).map(({ first, shown }) =>
        [first, shown.length, shown[0], galleryOf(shown, 700).boxes.length]);
      console.log(JSON.stringify(found));""")
    assert found == [[0, 64, 0, 64], [64, 64, 192, 64], [128, 22, 384, 22], [0, 64, 0, 64]]


def test_tables_of_settings_open_the_median_network(tmp_path: Path) -> None:
    rng, leading = np.random.default_rng(0), (3, 2, 3, 2)
    layers = tuple(
        jg.Dense(rng.normal(size=(*leading, inputs, outputs)), rng.normal(size=(*leading, outputs)))
        for inputs, outputs in ((2, 6), (6, 1))
    )
    axes = {"width": [2, 4, 3], "rate": [0.01, 0.3], "seed": range(3), "step": [0, 20]}
    page = jg.explore(layers, tmp_path / "page.html", axes=axes)
    program = """const { cellsOf, firstPhase, scaleOfCurve } = await load("phase");
      const { firstState, read, written } = await load("state"), { placesOf } = await load("population");
      const phase = firstPhase(population), cells = cellsOf(population, placesOf(population, 0), phase, 1);
      const scale = scaleOfCurve({ name: "loss", values: [1e-3, 1, 0.1, NaN] });
      const withZeros = scaleOfCurve({ name: "loss", values: [0, 1e-3, 1, 0.1, NaN] });
      const other = { rows: "seed", columns: "width", measure: "regions" };
      const link = written({ ...firstState(population), phase: other }, population);
      console.log(JSON.stringify({ phase, cells, shares: [1e-3, 1e-2, 0.1, 1].map(scale.share), link,
        zero: [0, 1e-3, 1e-2, 0.1, 1].map(withZeros.share),
        isCut: [scale.isCut, withZeros.isCut],
        read: read(link, population).phase, wrong: read("map=a~b~c", population).phase,
        seeds: cellsOf(population, { width: 0 }, { ...phase, columns: "seed" }, 0).map(({ member }) => member) }));"""
    found = in_node(program, page.path)
    np.testing.assert_allclose(found["zero"], [0, 0, 1 / 3, 2 / 3, 1], atol=1e-12)
    assert found["isCut"] == [False, True]
    assert found["phase"] == found["wrong"] == {"rows": "width", "columns": "rate", "measure": "regions"}
    counts = np.asarray(jg.count_regions(layers, jg.box(-1, 1)).count)[..., -1]
    for cell in found["cells"]:
        own = counts[cell["row"], cell["column"]]
        assert cell["value"] == np.median(own)
        assert own[cell["member"] - 3 * (2 * cell["row"] + cell["column"])] == cell["value"]
    np.testing.assert_allclose(found["shares"], [0, 1 / 3, 2 / 3, 1])
    assert found["read"] == {"rows": "seed", "columns": "width", "measure": "regions"}
    assert "map=seed~width~regions" in found["link"].replace("%7E", "~")
    assert found["seeds"] == [0, 1, 2, 6, 7, 8, 12, 13, 14]


def test_points_alone_are_coloured_by_their_places(tmp_path: Path) -> None:
    x = np.array([[0.0, 0.0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    layers = jg.Dense(np.eye(2), np.zeros(2)), jg.Dense(np.eye(2), np.zeros(2))
    page = jg.explore(layers, tmp_path / "page.html", data=x, link="#wide=1")
    program = """const { pointColors } = await load("points"), { lookOf } = await load("colors");
      console.log(JSON.stringify([about.link, ...pointColors(population, lookOf("light"))]));"""
    link, *colors = in_node(program, page.path)
    assert link == "wide=1"
    assert len(set(colors)) == 5
    with pytest.raises(ValueError, match=r"points have the shape \(points, 2\), but \(5, 3\)"):
        jg.explore(layers, page.path, data=np.ones((5, 3)))


def test_maxout_beside_smooth_units_is_refused(tmp_path: Path) -> None:
    params = jg.mlp((2, 4, 4, 1), activation=("maxout", "tanh")).init(jax.random.key(0))
    with pytest.raises(ValueError, match="maxout among piecewise linear layers only"):
        jg.explore(params, tmp_path / "page.html")
