"""Sheets of the explorer's page in space hide what lies behind them, as rays to the reader say, and nothing else."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from test_explorer_kinds import in_node, parameters, pre_activations

import jaxgeom as jg


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
    assert found["pairs"] == inner
    assert sum(found["byMiddles"]) > 50, "middles alone do not order them"
    assert sum(found["wrong"]) == 0


AZIMUTHS, ELEVATION, SIZE = (0.3, 1.9, 4.0), 0.35, 400
GRAZING = 1e-5
"""How far a ray may pass the sheet, in halves of the plane, and be left out: the page's corners are float32."""


def marks_on_sheet(page: Path) -> Any:
    """Of the sheet from each azimuth: places of points, and of lines' middles with whether later pieces cover them."""
    return in_node(
        f"""const {{ scenes }} = await load("scene");
      const {{ lookOf }} = await load("colors"), {{ drawStage, frameOf, outputRange }} = await load("stage");
      const look = lookOf("light"), scene = scenes(population).at(0, 0);
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
    fine = -1 + step / 2 * np.arange(73)
    top = pre_activations(params, np.stack([fine, fine], axis=1))[-1][:, 0]
    is_cut = np.abs(np.convolve(np.sign(top), np.ones(3), "same")) < 3  # these have the grid's corners
    is_corner = (np.arange(73) % 2 == 0) | is_cut
    corners, top = fine[is_corner], top[is_corner]
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
    program = """const { scenes } = await load("scene");
      const { lookOf } = await load("colors"), { drawHidden, pathsOf, viewsOf } = await load("hidden");
      const { ABOVE } = await load("camera");
      const scene = scenes(population).at(0, 0), events = [];
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


@pytest.mark.parametrize("case", ["tanh", "saddle above", "saddle below"])
def test_a_smooth_sheet_changes_its_colour_where_the_output_is_zero(tmp_path: Path, case: str) -> None:
    if case == "tanh":
        params = parameters(np.random.default_rng(4), (2, 6, 1), ("tanh",), 2)
        page = jg.explore(params, tmp_path / "page.html")
        first = jax.tree.map(lambda array: array[0], params)
    else:  # hyperbolas around the middle of a cell of 1/36, whose corners have signs that alternate
        middle, more = 1 / 72, (1 if case == "saddle above" else -1) / 36**2 / 10
        bias = np.array([middle**2 + more])
        hyperbolas = (jg.Dense(np.array([[-middle], [-middle], [1]]), bias),)
        page = jg.explore(hyperbolas, tmp_path / "page.html", features=("x1", "x2", "x1*x2"), domain=jg.box(-1, 1))

    def output(x: np.ndarray) -> np.ndarray:
        return pre_activations(first, x)[-1].ravel() if case == "tanh" else (x - middle).prod(axis=1) + more

    program = """const { scenes } = await load("scene"), { quadrangles } = await load("field");
      const { lookOf } = await load("colors"), look = lookOf("light"), scene = scenes(population).at(0, 0);
      const channels = (text) => text.match(/\\d+/g).map(Number);
      const view = { frame: { inward: (x, y) => [x, y] }, camera: (x, y, z) => [x, y, z], height: (value) => value };
      const pieces = quadrangles(view, scene.grid, { look, scale: 1 }, [0.6, 0.8]);
      console.log(JSON.stringify({ lines: scene.boundary, pieces: pieces.map(({ corners, places, color, rim }) => {
        const [red, , blue] = channels(color);
        return { corners, values: places.map((place) => place[2]), isAbove: red > blue, rim: rim ?? null };
      }) }));"""
    found = in_node(program, page.path)
    size, cut, ends = 0.0, 0, set()
    for piece in found["pieces"]:
        corners, values = np.array(piece["corners"]), np.array(piece["values"])
        z, on_line = output(corners), values == 0
        np.testing.assert_allclose(values[~on_line], z[~on_line], atol=1e-9 if case == "tanh" else 1e-7)  # float32
        assert (values >= 0).all() if piece["isAbove"] else (values <= 0).all(), "one colour, one side"
        np.testing.assert_allclose(z[on_line], 0, atol=5e-3)
        ends |= {tuple(corner) for corner in np.round(corners[on_line], 9)}
        edges = np.roll(corners, -1, axis=0) - corners
        turns = edges[:, 0] * np.roll(edges, -1, axis=0)[:, 1] - edges[:, 1] * np.roll(edges, -1, axis=0)[:, 0]
        assert (turns > -1e-12).all(), "convex and counter-clockwise"
        size += (corners[:, 0] @ np.roll(corners[:, 1], -1) - corners[:, 1] @ np.roll(corners[:, 0], -1)) / 2
        cut += piece["rim"] is not None
    np.testing.assert_allclose(size, 4)
    assert cut > 40
    assert ends == {tuple(end) for end in np.round(np.reshape(found["lines"], (-1, 2)), 9)}, "the line that is drawn"
