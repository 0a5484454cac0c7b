// The input plane with its regions; lifted, the graph of the output as a sheet of flat pieces.

import { ABOVE, between, projection } from "./camera.mjs";
import { classTint, codeColors, layerColor } from "./colors.mjs";
import { drawField, drawPlaces, drawUnit, quadrangles } from "./field.mjs";
import { sideGradient } from "./fill.mjs";
import { forward } from "./network.mjs";
import { neighboursOf, paintOrder } from "./order.mjs";
import { heldParts, heldPieces, partsOf, valueAt } from "./parts.mjs";
import { fillPlane, placedCorners, placement, traceFace, tracePieces } from "./plane.mjs";
import { pointColors } from "./points.mjs";
import { paintSheet } from "./sheet.mjs";
import { drawTicks } from "./ticks.mjs";

const HEIGHT = 0.62; // of a sheet, in halves of the domain's width
const HIGHEST = 1.25; // times the scale: larger outputs are drawn as high
const FEW = 400; // points that are drawn with a rim
const RIM = 2.6; // both sides of it, in pixels

/** How the domain lies in a picture: to the camera's coordinates, and back from a picture of the plane. */
export function frameOf([x0, y0, x1, y1], size) {
  const half = Math.max(x1 - x0, y1 - y0) / 2, cx = (x0 + x1) / 2, cy = (y0 + y1) / 2;
  return {
    size,
    inward: (x, y) => [(x - cx) / half, (y - cy) / half],
    outward: (right, down) => [cx + half * ((2 * right) / size - 1), cy - half * ((2 * down) / size - 1)],
  };
}

const STEEP = 1e-3; // of the scale: where outputs have two colours, and nothing between

/** Draws a scene; `options` has look, color, show, picked and unit (layer, unit), hovered (a face), lift (0 to 1), turn, and what
 * `outputRange` gives: scale and middle. */
export function drawStage(context, frame, scene, population, options) {
  const { lift, look, show, scale, middle } = options;
  const radius = (frame.size / 2) * (1 - 0.32 * lift);
  const camera = projection(between(ABOVE, options.turn, lift), [frame.size / 2, frame.size / 2], radius);
  const height = (value) => lift * HEIGHT * Math.max(-HIGHEST, Math.min(HIGHEST, (value - middle) / scale));
  const view = { context, look, frame, camera, height, ends: lift > 0 ? [-1, 1].map((end) => middle + end * HIGHEST * scale) : null };
  context.lineJoin = context.lineCap = "round";
  const fills = options.color === "sides" ? { ...options, scale: STEEP * scale } : options;
  const isAlone = areAlone(scene, population), marks = { lines: [], points: [] };
  if (options.picked) addPicked(marks.lines, view, scene, options.picked);
  if (show.boundary && !isAlone) addBoundary(marks.lines, view, scene, 2.6 - 0.6 * lift);
  if (show.data) addData(marks.points, view, scene, population);
  if (show.test && scene.test) addTest(marks.points, view, scene, population);
  if (lift > 0) return drawLifted(view, scene, fills, marks, population.domain);
  if (options.unit) drawUnit(view, scene.grid, options.unit, look);
  else if (!scene.regions) drawField(view, scene.grid, fills);
  else if (options.color === "regions" || scene.regions.outputs === 1) fillPlane(view, scene.regions, fills);
  else drawRegions(view, scene.regions, fills);
  if (options.color === "output" && isAlone) drawPlaces(view, population.domain, look);
  if (show.edges) drawEdges(view, scene);
  if (options.hovered >= 0) drawHovered(view, scene.regions, options.hovered);
  for (const { paint } of [...marks.lines, ...marks.points]) paint();
  drawTicks(context, frame, population.domain, look);
}

/** Whether points have no targets, and outputs are places: there is nothing to decide. */
export function areAlone({ layers }, { arrays }) {
  return Boolean(arrays["data/x"] && !arrays["data/y"] && layers.at(-1).outputs > 1);
}

/** Exact pieces of the plane, parted by what is decided. */
function drawRegions(view, regions, options) {
  const colors = fills(view, regions, options);
  for (const part of partsOf(regions)) fillPiece(view, projected(view, regions, part), colors);
}

function fillPiece({ context }, piece, colors) {
  trace(context, piece.places);
  context.fillStyle = colors(piece);
  context.fill();
}

/** The sheet with the marks that lie on it: exact pieces, or quadrangles of a smooth network. */
function drawLifted(view, { regions, grid }, options, marks, box) {
  const [from, right, up] = [[0, 0], [1, 0], [0, 1]].map(([x, y]) => view.camera(x, y, 0)[2]);
  const where = { box, away: [right - from, up - from], size: view.frame.size }, hasEdges = options.show.edges;
  if (!regions) {
    const pieces = quadrangles(view, grid, options, where.away);
    const paint = (piece) => {
      fillPiece(view, pieces[piece], ({ color }) => color);
      strokePiece(view, hasEdges, 0.5, pieces[piece]);
    };
    return paintSheet(pieces, pieces.map((_, piece) => piece), paint, marks, where);
  }
  const name = view.ends.join();
  if (regions.held?.name !== name) {
    const parts = heldParts(regions, view.ends);
    regions.held = { name, parts, neighbours: neighboursOf(parts) };
  }
  const { parts, neighbours } = regions.held, pieces = parts.map((part) => projected(view, regions, part));
  const colors = fills(view, regions, options);
  const paint = (piece) => {
    fillPiece(view, pieces[piece], colors);
    strokePiece(view, hasEdges, 0.6);
  };
  paintSheet(pieces, paintOrder(pieces, neighbours, where.away), paint, marks, where);
}

function projected(view, regions, { face, output, corners }) {
  const values = corners.map(([x, y]) => valueAt(regions, face, output, x, y));
  let depth = 0;
  const places = corners.map(([x, y], i) => {
    const place = view.camera(...view.frame.inward(x, y), view.height(values[i]));
    depth += place[2] / corners.length;
    return place;
  });
  return { face, output, corners, places, values, depth };
}

function fills({ context, look }, regions, { color, scale }) {
  if (color === "regions") {
    const byCode = codeColors(look);
    return ({ face }) => byCode(regions.codes, face * regions.units, regions.units);
  }
  if (regions.outputs === 1) return ({ places, values }) => sideGradient(context, look, places, values, scale);
  const tints = Array.from({ length: regions.outputs }, (_, output) =>
    [0.34, 0.46].map((share) => classTint(look, output, share)),
  );
  return ({ face, output }) => {
    let num = 0;
    for (let unit = 0; unit < regions.units; unit++) num += regions.codes[face * regions.units + unit];
    return tints[output][num % 2];
  };
}

function trace(context, places) {
  traceFace(context, Float64Array.from(places.flatMap(([x, y]) => [x, y])), 0, places.length);
}

/** Around a piece that has been traced, or, of one with a `rim`, only there. */
function strokePiece({ context, look }, hasEdges, width, { rim = null, places } = {}) {
  if (rim) {
    context.strokeStyle = context.fillStyle;
    context.lineWidth = width;
    context.stroke();
    context.beginPath();
    for (const [from, to] of rim) {
      context.moveTo(places[from][0], places[from][1]);
      context.lineTo(places[to][0], places[to][1]);
    }
  }
  context.strokeStyle = hasEdges ? look.ink : context.fillStyle;
  context.globalAlpha = hasEdges ? 0.35 : 1;
  context.lineWidth = width;
  context.stroke();
  context.globalAlpha = 1;
}

/** All edges of a layer as one path. */
function drawEdges({ context, look, frame, camera }, { edges }) {
  const placed = placement(frame, camera);
  for (let layer = edges.length - 1; layer >= 0; layer--) {
    context.beginPath();
    tracePieces(context, edges[layer], placed);
    context.strokeStyle = layerColor(look, layer);
    context.lineWidth = layer === 0 ? 1.1 : 0.9;
    context.globalAlpha = 0.75;
    context.stroke();
    context.globalAlpha = 1;
  }
}

function drawHovered({ context, look, frame, camera }, regions, face) {
  const { offsets } = regions;
  traceFace(context, placedCorners(regions, placement(frame, camera)), offsets[face], offsets[face + 1]);
  context.fillStyle = look.ink;
  context.globalAlpha = 0.16;
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = look.ink;
  context.lineWidth = 2;
  context.stroke();
}

/** The line on which a unit switches: its bent hyperplane. */
function addPicked(lines, view, scene, { layer, unit }) {
  addLines(lines, view, scene, scene.edgesOf(layer, unit), { color: view.look.picked, width: 3.5 });
}

function addBoundary(lines, view, scene, width) {
  // with a rim, at which edges end, so that it is told apart from them by more than its colour
  if (view.ends === null) addLines(lines, view, scene, scene.boundary, { color: view.look.paper, width: width + RIM });
  addLines(lines, view, scene, scene.boundary, { color: view.look.boundary, width });
}

/** Straight pieces x, y, x, y: one path on the plane, each by itself on a sheet. */
function addLines(lines, view, { layers }, segments, { color, width }) {
  const { context, frame, camera, height, ends } = view, { values, corners } = ends === null
    ? { values: new Float64Array(segments.length / 2), corners: segments }
    : heldPieces(segments, forward(layers, segments).at(-1), ends);
  const place = (end) => camera(...frame.inward(corners[2 * end], corners[2 * end + 1]), height(values[end]));
  const paintAll = (first, last) => () => {
    context.beginPath();
    for (let end = first; end < last; end += 2) {
      const [from, to] = [place(end), place(end + 1)];
      context.moveTo(from[0], from[1]);
      context.lineTo(to[0], to[1]);
    }
    context.strokeStyle = color;
    context.lineWidth = width;
    context.stroke();
  };
  if (ends === null) return void lines.push({ paint: paintAll(0, values.length) });
  for (let end = 0; end < values.length; end += 2) {
    const at = [0, 1].map((axis) => (corners[2 * end + axis] + corners[2 * end + 2 + axis]) / 2);
    lines.push({ at, paint: paintAll(end, end + 2) });
  }
}

/** The largest output of each point. */
function topOutputs({ z, width }) {
  return Float64Array.from({ length: z.length / width }, (_, point) => Math.max(...z.subarray(point * width, (point + 1) * width)));
}

/** Points, each drawn by `paint(number)` after its disk has been traced. */
function addPoints(points, { context, frame, camera, height }, x, states, size, paint) {
  topOutputs(states.at(-1)).forEach((top, point) => {
    const at = [x[2 * point], x[2 * point + 1]], place = camera(...frame.inward(...at), height(top));
    const paintOne = () => {
      context.beginPath();
      context.arc(place[0], place[1], size, 0, 2 * Math.PI);
      paint(point);
    };
    points.push({ at, place, paint: paintOne });
  });
}

function addData(points, view, scene, population) {
  const x = population.arrays["data/x"];
  if (!x) return;
  const { context, look } = view, colors = pointColors(population, look), num = x.length / 2;
  const size = num > FEW ? 2.2 : num > 40 ? 3.2 : 6;
  addPoints(points, view, x, scene.data, size, (point) => {
    context.fillStyle = colors[point];
    context.fill();
    context.lineWidth = num > FEW ? 0.6 : 1.1;
    context.strokeStyle = look.paper;
    context.stroke();
  });
}

/** Points that were not trained on: rings. */
function addTest(points, view, scene, population) {
  const x = population.arrays["test/x"], { context, look } = view, colors = pointColors(population, look, "test");
  addPoints(points, view, x, scene.test, x.length / 2 > FEW ? 2.4 : 3.6, (point) => {
    context.fillStyle = look.paper;
    context.fill();
    context.lineWidth = 1.6;
    context.strokeStyle = colors[point];
    context.stroke();
  });
}

/** How large outputs are in a picture: `scale`, which six tenths of them on a grid do not exceed, around zero; of several
 * outputs, of which the largest is seen, the `middle` of these and half of how far nine tenths of them spread. */
export function outputRange(layers, domain, num = 24) {
  const dim = domain.length / 2, points = [];
  for (let place = 0; place < num ** Math.min(dim, 2); place++) {
    const along = [place % num, Math.floor(place / num), (num - 1) / 2];
    for (let axis = 0; axis < dim; axis++) points.push(domain[axis] + ((domain[dim + axis] - domain[axis]) * along[axis]) / (num - 1));
  }
  const outputs = forward(layers, points).at(-1), isOne = outputs.width === 1;
  const sorted = (isOne ? outputs.z.map(Math.abs) : topOutputs(outputs)).sort(), at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
  if (isOne) return { middle: 0, scale: at(0.6) || 1 };
  return { middle: (at(0.05) + at(0.95)) / 2, scale: (at(0.95) - at(0.05)) / 2 || 1 };
}
