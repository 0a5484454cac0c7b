"""The explorer's page of networks without regions of the plane: smooth ones, and those of one and three inputs."""

import json
import subprocess
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from outside import node

import jaxgeom as jg
from jaxgeom.networks.models import ACTIVATIONS
from jaxgeom.plot.explorer.page import SOURCES

SMOOTH = [name for name in ACTIVATIONS if name not in ("maxout", "linear")]


def in_node(program: str, page: Path | None = None) -> Any:
    """What a program prints as JSON; it has the page's modules, and, of a page, its ``population``."""
    start = f"const load = (name) => import({json.dumps(Path(str(SOURCES)).as_uri() + '/')} + name + '.mjs');\n"
    if page is not None:
        start += f"""import {{ readFileSync }} from "node:fs";
          const page = readFileSync({json.dumps(str(page))}, "utf8");
          const script = (name) => new RegExp(`id="${{name}}">([^<]*)<`).exec(page)[1];
          const about = JSON.parse(script("about"));
          const {{ unpack }} = await load("bytes"), {{ readPopulation, layersAt }} = await load("population");
          const population = readPopulation(about, await unpack(about.arrays, script("bytes")));\n"""
    done = subprocess.run(
        [node(), "--input-type=module", "-e", start + program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


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
        program = """const { scenes } = await load("scene"), { engineRegions } = await load("regions");
          const scene = scenes(population, engineRegions(population.arrays))(0, 0);
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
    program = """const { scenes, factsOf } = await load("scene"), { engineRegions } = await load("regions");
      const { heightsOf, stepOutputs, thresholdsOf } = await load("line");
      const scene = scenes(population, engineRegions(population.arrays))(3, 0), x = population.arrays["data/x"];
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
    program = """const { scenes } = await load("scene"), { engineRegions } = await load("regions");
      const scene = scenes(population, engineRegions(population.arrays))(0, 0);
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
    program = """const { scenes } = await load("scene"), { engineRegions } = await load("regions");
      console.log(JSON.stringify(scenes(population, engineRegions(population.arrays))(0, 0).surface));"""
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


def test_pieces_of_a_sheet_are_painted_after_those_behind_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    layers = tuple(
        jg.Dense(rng.normal(size=(1, a, b)), rng.normal(size=(1, b)) / 3) for a, b in ((2, 40), (40, 6), (6, 1))
    )
    page = jg.explore(layers, tmp_path / "page.html", axes={"network": [0]})
    program = """const { neighboursOf, paintOrder } = await load("order"), { partsOf } = await load("parts");
      const { cutRegions } = await load("cut"), { faceAt } = await load("regions");
      const regions = cutRegions(layersAt(population, 0, 0), [-1, -1, 1, 1]), parts = partsOf(regions);
      const pairs = neighboursOf(parts), wrong = [], byMiddles = [];
      for (let turn = 0; turn < 7; turn++) {
        const away = [Math.cos(turn), Math.sin(turn)], far = ([x, y]) => x * away[0] + y * away[1];
        const middle = (corners) => corners.reduce((sum, each) => sum + far(each), 0) / corners.length;
        const pieces = parts.map(({ corners }) => ({ depth: middle(corners) }));
        const ranks = (order) => order.reduce((all, piece, rank) => ((all[piece] = rank), all), []);
        const middles = pieces.map((_, piece) => piece).sort((a, b) => pieces[b].depth - pieces[a].depth);
        const own = ranks(paintOrder(pieces, pairs, away)), other = ranks(middles);
        let [bad, worse] = [0, 0];
        for (let place = 0; place < 2000; place++) {  // two points of which one is behind the other
          const [u, v, t] = [0.618034, 0.754878, 0.5698403].map((step) => 2 * ((step * (place + 1)) % 1) - 1);
          const [front, back] = [0, (t + 1) / 2].map((by) => faceAt(regions, u + by * away[0], v + by * away[1]));
          if (front < 0 || back < 0 || front === back) continue;
          bad += own[back] > own[front];
          worse += other[back] > other[front];
        }
        wrong.push(bad);
        byMiddles.push(worse);
      }
      console.log(JSON.stringify({ num: parts.length, pairs: pairs.length, wrong, byMiddles }));"""
    found = in_node(program, page.path)
    complex_ = jg.enumerate_regions(jax.tree.map(lambda array: array[0], layers), jg.box(-1, 1))
    inner = int((complex_.edge_faces >= 0).all(axis=1).sum())
    assert found["num"] == complex_.num_faces > 300
    assert abs(found["pairs"] - inner) <= 0.02 * inner
    assert sum(found["byMiddles"]) > 50, "middles alone do not order them"
    assert sum(found["wrong"]) < 0.02 * sum(found["byMiddles"])


AZIMUTHS, ELEVATION, SIZE = (0.3, 1.9, 4.0), 0.35, 400
GRAZING = 1e-5
"""How far a ray may pass the sheet, in halves of the plane, and be left out: the page's corners are float32."""


def marks_on_sheet(page: Path) -> Any:
    """Of the sheet from each azimuth: places of points, and of lines' middles with whether later pieces cover them."""
    return in_node(
        f"""const {{ scenes }} = await load("scene"), {{ engineRegions }} = await load("regions");
      const {{ lookOf }} = await load("colors"), {{ drawStage, frameOf, outputRange }} = await load("stage");
      const look = lookOf("light"), scene = scenes(population, engineRegions(population.arrays))(0, 0);
      const range = outputRange(scene.layers, population.domain);
      const inside = (path, x, y) => path.every(([ax, ay], i) => {{
        const [bx, by] = path[(i + 1) % path.length];
        return (bx - ax) * (y - ay) - (by - ay) * (x - ax) < 1e-9;
      }});
      const convex = (path) => (path.reduce((sum, [ax, ay], i) => {{
        const [bx, by] = path[(i + 1) % path.length];
        return sum + ax * by - bx * ay;
      }}, 0) > 0 ? path.toReversed() : path);
      const drawn = {json.dumps(AZIMUTHS)}.map((azimuth) => {{
        const events = [];
        let path = [], dot = null;
        const context = {{
          beginPath: () => ([path, dot] = [[], null]),
          moveTo: (x, y) => path.push([x, y]), lineTo: (x, y) => path.push([x, y]),
          closePath() {{}}, arc: (x, y) => (dot = [x, y]), createLinearGradient: () => ({{ addColorStop() {{}} }}),
          fill: () => events.push(dot ? {{ dot }} : {{ path: convex(path) }}),
          stroke: () => context.strokeStyle === look.boundary && events.push({{ line: path }}),
        }};
        const show = {{ boundary: true, data: true, test: false, edges: false }};
        drawStage(context, frameOf(population.domain, {SIZE}), scene, population,
          {{ look, color: "output", show, picked: null, unit: null, hovered: -1, lift: 1, ...range,
            turn: {{ azimuth, elevation: {ELEVATION} }} }});
        const isHidden = ([x, y], start) =>
          events.slice(start + 1).some(({{ path }}) => path?.length > 2 && inside(path, x, y));
        return {{
          dots: events.flatMap(({{ dot }}) => (dot ? [dot] : [])),
          lines: events.flatMap(({{ line }}, start) => {{
            if (!line) return [];
            const middle = [0, 1].map((axis) => (line[0][axis] + line[1][axis]) / 2);
            return [[...middle, isHidden(middle, start)]];
          }}),
        }};
      }});
      console.log(JSON.stringify({{ range, drawn, boundary: Array.from(scene.boundary) }}));""",
        page,
    )


def on_picture(places: np.ndarray, heights: np.ndarray, azimuth: float) -> np.ndarray:
    across, away = np.array([np.cos(azimuth), -np.sin(azimuth)]), np.array([np.sin(azimuth), np.cos(azimuth)])
    up = places @ away * np.sin(ELEVATION) + heights * np.cos(ELEVATION)
    return SIZE / 2 + 0.68 * SIZE / 2 * np.stack([places @ across, -up], axis=1)


def with_zeros(steps: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Places along a line, and where some functions that are affine between them, one a column, are zero."""
    before, after = values[:-1], values[1:]
    place, column = np.nonzero(before * after < 0)
    share = before[place, column] / (before[place, column] - after[place, column])
    return np.union1d(steps, steps[place] + share * (steps[place + 1] - steps[place]))


def ray_to_reader(start: np.ndarray, azimuth: float) -> tuple[np.ndarray, np.ndarray]:
    """The direction to the reader in the plane, and [0, how far it is to the border of [-1, 1]²]."""
    toward = -np.array([np.sin(azimuth), np.cos(azimuth)])
    return toward, np.array([0.0, np.min((np.sign(toward) - start) / toward)])


def is_hidden(steps: np.ndarray, heights: np.ndarray) -> bool | None:
    """Whether the sheet passes the line from its first point to the reader, given its heights where it has corners;
    None if it comes too close to say."""
    over = heights - heights[0] - steps * np.tan(ELEVATION)
    if over.max() > GRAZING and over.min() < -GRAZING:
        return True
    return None if over.max() > 1e-12 and over.min() < -1e-12 else False


def held(one: Any, view: dict[str, float], points: np.ndarray) -> np.ndarray:
    """Heights of the sheet of exact pieces."""
    top = pre_activations(one, points)[-1].max(axis=1)
    return 0.62 * np.clip((top - view["middle"]) / view["scale"], -1.25, 1.25)


def changes_of_outputs(
    one: Any, view: dict[str, float], steps: np.ndarray, start: np.ndarray, along: np.ndarray
) -> np.ndarray:
    """The same with places where two outputs are equal, or one is as large as the sheet is high."""
    outputs = pre_activations(one, start + steps[:, None] * along)[-1]
    pairs = [outputs[:, i] - outputs[:, j] for i in range(outputs.shape[1]) for j in range(i)]
    ends = [view["middle"] + sign * 1.25 * view["scale"] for sign in (-1, 1)]
    levels = [outputs[:, i] - end for i in range(outputs.shape[1]) for end in ends]
    changes = np.stack([*pairs, *levels], axis=1)
    is_clear = np.abs(changes) > 1e-6 * view["scale"]  # on a boundary two outputs are equal, up to rounding
    return with_zeros(steps, np.where(is_clear, changes, 0))


def is_hidden_on_exact_sheet(one: Any, view: dict[str, float], start: np.ndarray, azimuth: float) -> bool | None:
    toward, steps = ray_to_reader(start, azimuth)
    for depth in range(len(one) - 1):
        steps = with_zeros(steps, pre_activations(one, start + steps[:, None] * toward)[depth])
    steps = changes_of_outputs(one, view, steps, start, toward)
    return is_hidden(steps, held(one, view, start + steps[:, None] * toward))


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_sheet_hides_the_points_and_lines_behind_it(tmp_path: Path, outputs: int) -> None:
    """Against rays: what the sheet hides is where it passes the line to the reader once more. No point is mistaken."""
    rng = np.random.default_rng(5)
    params = parameters(rng, (2, 24, 8, outputs), ("relu", "relu"), 1)
    x = rng.uniform(-1, 1, size=(150, 2)).astype(np.float32)
    data = jg.Dataset(x, np.zeros(150, np.int32))
    page = jg.explore(params, tmp_path / "page.html", data=data, domain=jg.box(-1, 1))
    found = marks_on_sheet(page.path)
    one, view = jax.tree.map(lambda array: array[0], params), found["range"]
    parts = []
    for start, end in np.reshape(found["boundary"], (-1, 2, 2)):
        shares = changes_of_outputs(one, view, np.array([0.0, 1.0]), start, end - start)
        parts += [start + np.stack([share]).T * (end - start) for share in pairwise(shares)]
    ends = np.array(parts)
    middles, heights = ends.mean(axis=1), held(one, view, ends.reshape(-1, 2)).reshape(-1, 2).mean(axis=1)
    np.testing.assert_allclose(held(one, view, middles), heights, atol=1e-6)  # a part of a line lies on the sheet
    said: list[tuple[bool | None, bool]] = []
    for azimuth, drawn in zip(AZIMUTHS, found["drawn"], strict=True):
        dots, lines = np.reshape(drawn["dots"], (-1, 2)), np.array(drawn["lines"])
        places = on_picture(x.astype(np.float64), held(one, view, x), azimuth)
        is_drawn = np.abs(places[:, None] - dots).max(axis=2).min(axis=1) < 1e-3
        assert is_drawn.sum() == len(dots)
        apart = np.abs(on_picture(middles, heights, azimuth)[:, None] - lines[None, :, :2]).max(axis=2)
        assert apart.shape == (len(lines), len(lines))
        assert apart.min(axis=1).max() < 1e-3
        is_covered = lines[apart.argmin(axis=1), 2] > 0
        for starts, hidden in ((x.astype(np.float64), ~is_drawn), (middles, is_covered)):
            truth = [is_hidden_on_exact_sheet(one, view, start, azimuth) for start in starts]
            said += zip(truth, hidden.tolist(), strict=True)
    clear = [pair for pair in said if pair[0] is not None]
    assert len(clear) > 0.99 * len(said)
    assert min(sum(truth is kind for truth, _ in clear) for kind in (True, False)) > 50
    assert [pair for pair in clear if pair[0] != pair[1]] == []


def test_a_smooth_sheet_hides_the_points_behind_it(tmp_path: Path) -> None:
    """Against rays, on waves along x₁: their quadrangles are flat, and steep enough that those behind look nearer."""
    centers, step = np.array([-0.7, -0.4, -0.1, 0.3, 0.6]), 1 / 18
    params = {
        "dense0_tanh": {"kernel": np.stack([np.full(5, 14.0), np.zeros(5)]), "bias": -14 * centers},
        "dense1_linear": {"kernel": np.array([[1.0], [-1.0]] * 2 + [[1.0]]), "bias": np.array([-0.2])},
    }
    corners = -1 + step * np.arange(37)
    x = np.stack(np.meshgrid(corners[1:-1], corners[1:-1:3] + step / 2), axis=-1).reshape(-1, 2)
    page = jg.explore(params, tmp_path / "page.html", data=(x, np.zeros(len(x), int)), domain=jg.box(-1, 1))
    found = marks_on_sheet(page.path)
    top = pre_activations(params, np.stack([corners, corners], axis=1))[-1][:, 0]
    height = 0.62 * np.clip(top / found["range"]["scale"], -1.25, 1.25)
    said = []
    for azimuth, drawn in zip(AZIMUTHS, found["drawn"], strict=True):
        places = on_picture(x, np.interp(x[:, 0], corners, height), azimuth)
        apart = np.abs(places[:, None] - np.reshape(drawn["dots"], (-1, 2))).max(axis=2)
        is_drawn = apart.min(axis=1) < 1e-3
        for start, shown in zip(x, is_drawn, strict=True):
            toward, steps = ray_to_reader(start, azimuth)
            steps = with_zeros(steps, start[0] + steps[:, None] * toward[0] - corners)
            said.append((is_hidden(steps, np.interp(start[0] + steps * toward[0], corners, height)), not shown))
    clear = [pair for pair in said if pair[0] is not None]
    assert len(clear) > 0.99 * len(said)
    assert min(sum(truth is kind for truth, _ in clear) for kind in (True, False)) > 200
    assert [pair for pair in clear if pair[0] != pair[1]] == []


def test_a_folded_plane_hides_the_dots_and_lines_behind_it(tmp_path: Path) -> None:
    """The layer (|x₁|, x₂, x₁ / 2), seen along its third axis: where x₁ is negative is behind where it is not."""
    first = jg.Dense(np.array([[1, 0, 0.5], [0, 1, 0]]), np.zeros(3), np.array([-1.0, 1, 1]))
    x = np.random.default_rng(0).uniform(-1, 1, size=(80, 2))
    x = x[np.abs(x[:, 0]) > 0.2].astype(np.float32)
    layers = first, jg.Dense(np.eye(3)[:, :2], np.zeros(2))
    page = jg.explore(layers, tmp_path / "page.html", data=x, domain=jg.box(-1, 1))
    program = """const { scenes } = await load("scene"), { engineRegions } = await load("regions");
      const { lookOf } = await load("colors"), { drawHidden, pathsOf, viewsOf } = await load("hidden");
      const { ABOVE } = await load("camera");
      const scene = scenes(population, engineRegions(population.arrays))(0, 0), events = [];
      const paths = pathsOf(population, scene, viewsOf(population, 0), null);
      let path = [], dot = null;
      const context = {
        beginPath: () => ([path, dot] = [[], null]),
        moveTo: (x, y) => path.push([x, y]), lineTo: (x, y) => path.push([x, y]),
        closePath() {}, save() {}, restore() {}, rect() {}, clip() {}, arc: (x, y) => (dot = [x, y]),
        fill: () => events.push(dot ? { dot } : { path }), stroke() {},
      };
      const look = { look: lookOf("light"), turn: ABOVE, show: { data: true, boundary: false } };
      drawHidden(context, [0, 0, 400, 400], paths, 2, population, look);
      const covers = ([x, y], corners) => [0, 1].every((axis) => {
        const values = corners.map((corner) => corner[axis]);
        return Math.min(...values) < [x, y][axis] && [x, y][axis] < Math.max(...values);
      });
      const isHidden = ({ dot }, start) => events.slice(start).some((each) => each.path && covers(dot, each.path));
      const dots = events.flatMap((event, start) => (event.dot ? [[...event.dot, isHidden(event, start)]] : []));
      console.log(JSON.stringify(dots));"""
    dots = np.array(in_node(program, page.path))
    assert len(dots) == len(x) > 50
    places = np.stack([np.abs(x[:, 0]), -x[:, 1]], axis=1)  # as they lie in the picture, but for scale and origin
    scale, offset = np.polyfit(np.sort(places[:, 1]), np.sort(dots[:, 1]), 1)
    across = np.mean(np.sort(dots[:, 0]) - scale * np.sort(places[:, 0]))
    apart = np.abs(scale * places[:, None] + [across, offset] - dots[None, :, :2]).max(axis=2)
    assert apart.min(axis=1).max() < 1e-3
    np.testing.assert_array_equal(dots[apart.argmin(axis=1), 2], x[:, 0] < 0)


def test_pieces_of_a_sheet_have_the_colours_of_their_values() -> None:
    """A fill begins where the function is -size and ends where it is size, wherever the corners are in space."""
    found = in_node("""const { sideGradient } = await load("fill"), { lookOf } = await load("colors");
      const addColorStop = function (...stop) { this.stops.push(stop); };
      const context = { createLinearGradient: (...ends) => ({ ends, stops: [], addColorStop }) };
      const flat = [[10, 20], [60, 30], [40, 90]], f = ([x, y]) => 0.05 * x - 0.04 * y - 0.2, values = flat.map(f);
      const lifted = flat.map(([x, y], corner) => [x, y, 17 - 5 * corner]), look = lookOf("light");
      const fills = [flat, lifted].map((places) => sideGradient(context, look, places, values, 3));
      console.log(JSON.stringify({ look, values, fills: fills.map(({ ends, stops }) => ({ ends, stops,
        values: [f(ends.slice(0, 2)), f(ends.slice(2))] })) }));""")
    assert min(found["values"]) < 0 < max(found["values"])
    (below, above), (just_below, just_above) = found["look"]["side"], found["look"]["weak"]
    for fill in found["fills"]:
        np.testing.assert_allclose(fill["values"], [-3, 3], atol=1e-9)
        assert fill["stops"] == [[0, below], [0.5, just_below], [0.5, just_above], [1, above]]
