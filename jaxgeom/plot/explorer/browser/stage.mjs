// The input plane with its regions; lifted, the graph of the output as a sheet of flat pieces.

import { ABOVE, between, projection } from "./camera.mjs";
import { classColor, codeColors, layerColor, mixed } from "./colors.mjs";
import { drawField, drawPlaces, drawSheet, drawUnit } from "./field.mjs";
import { sideGradient } from "./fill.mjs";
import { forward } from "./network.mjs";
import { neighboursOf, paintOrder } from "./order.mjs";
import { partsOf, valueAt } from "./parts.mjs";
import { fillPlane, placedCorners, placement, traceFace, tracePieces } from "./plane.mjs";
import { pointColors } from "./points.mjs";
import { drawTicks } from "./ticks.mjs";

const HEIGHT = 0.62; // of a sheet, in halves of the domain's width
const FEW = 400; // points that are drawn with a rim

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

/** Draws a scene; `options` has look, color, show, picked and unit (layer, unit), hovered (a face), lift (0 to 1), turn, scale. */
export function drawStage(context, frame, scene, population, options) {
  const { lift, look, show, scale } = options;
  const radius = (frame.size / 2) * (1 - 0.32 * lift);
  const camera = projection(between(ABOVE, options.turn, lift), [frame.size / 2, frame.size / 2], radius);
  const height = (value) => lift * HEIGHT * Math.max(-1.25, Math.min(1.25, value / scale));
  const view = { context, look, frame, camera, height };
  context.lineJoin = "round";
  const fills = options.color === "sides" ? { ...options, scale: STEEP * scale } : options;
  if (options.unit && lift === 0) drawUnit(view, scene.grid, options.unit, look);
  else if (!scene.regions) (lift > 0 ? drawSheet : drawField)(view, scene.grid, fills);
  else if (lift === 0 && (options.color === "regions" || scene.regions.outputs === 1)) fillPlane(view, scene.regions, fills);
  else drawRegions(view, scene.regions, fills);
  const isPlaces = lift === 0 && options.color === "output" && areAlone(scene, population);
  if (isPlaces) drawPlaces(view, population.domain, look);
  if (lift === 0 && show.edges) drawEdges(view, scene);
  if (options.hovered >= 0) drawHovered(view, scene.regions, options.hovered);
  if (options.picked) drawPicked(view, scene, options.picked);
  if (show.boundary && !areAlone(scene, population)) drawSegments(view, scene.boundary, lift === 0 || scene.layers.at(-1).outputs === 1, options);
  if (show.data) drawData(view, scene, population);
  if (show.test && scene.test) drawTest(view, scene, population);
  if (lift === 0) drawTicks(context, frame, population.domain, look);
}

/** Whether points have no targets, and outputs are places: there is nothing to decide. */
export function areAlone({ layers }, { arrays }) {
  return Boolean(arrays["data/x"] && !arrays["data/y"] && layers.at(-1).outputs > 1);
}

/** Exact pieces of the plane, parted by what is decided, or of the sheet. */
function drawRegions(view, regions, options) {
  const { context } = view, { lift, show } = options;
  const parts = partsOf(regions), all = parts.map((part) => projected(view, regions, part));
  const pieces = lift > 0 ? inOrder(view, regions, parts, all) : all, colors = fills(view, regions, options);
  for (const piece of pieces) {
    trace(context, piece.places);
    context.fillStyle = colors(piece);
    context.fill();
    if (lift > 0) strokePiece(view, regions, piece, show.edges);
  }
}

/** Pieces of a sheet, those behind first. */
function inOrder({ camera }, regions, parts, pieces) {
  const [from, right, up] = [[0, 0], [1, 0], [0, 1]].map(([x, y]) => camera(x, y, 0)[2]);
  regions.neighbours ??= neighboursOf(parts);
  return paintOrder(pieces, regions.neighbours, [right - from, up - from]).map((piece) => pieces[piece]);
}

function projected(view, regions, { face, output, corners }) {
  const values = corners.map(([x, y]) => valueAt(regions, face, output, x, y));
  let depth = 0;
  const places = corners.map(([x, y], i) => {
    const place = view.camera(...view.frame.inward(x, y), view.height(values[i]));
    depth += place[2] / corners.length;
    return place;
  });
  return { face, output, places, values, depth };
}

function fills({ context, look }, regions, { color, scale }) {
  if (color === "regions") {
    const byCode = codeColors(look);
    return ({ face }) => byCode(regions.codes, face * regions.units, regions.units);
  }
  if (regions.outputs === 1) return ({ places, values }) => sideGradient(context, look, places, values, scale);
  const tints = Array.from({ length: regions.outputs }, (_, output) =>
    [0.34, 0.46].map((share) => mixed(look.paper, classColor(output), share)),
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

function strokePiece({ context, look }, regions, piece, hasEdges) {
  context.strokeStyle = hasEdges ? look.ink : context.fillStyle;
  context.globalAlpha = hasEdges ? 0.35 : 1;
  context.lineWidth = 0.6;
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
function drawPicked(view, scene, { layer, unit }) {
  const { context, look } = view;
  context.strokeStyle = look.picked;
  context.lineWidth = 3.5;
  context.lineCap = "round";
  context.beginPath();
  const edges = scene.edgesOf(layer, unit);
  for (let i = 0; i < edges.length; i += 4) moveAlong(view, scene, edges.slice(i, i + 4));
  context.stroke();
}

function moveAlong(view, scene, [x0, y0, x1, y1]) {
  const { context, frame, camera, height } = view;
  const values = view.height(1) === 0 ? [0, 0] : topOutputs(scene, [x0, y0, x1, y1]);
  const from = camera(...frame.inward(x0, y0), height(values[0]));
  const to = camera(...frame.inward(x1, y1), height(values[1]));
  context.moveTo(from[0], from[1]);
  context.lineTo(to[0], to[1]);
}

/** The largest output at each point. */
function topOutputs({ layers }, points) {
  const { z, width } = forward(layers, points).at(-1);
  return Array.from({ length: points.length / 2 }, (_, point) =>
    Math.max(...z.subarray(point * width, (point + 1) * width)),
  );
}

function drawSegments({ context, look, frame, camera }, segments, isFlat, { lift }) {
  if (!isFlat) return;
  context.beginPath();
  for (let i = 0; i < segments.length; i += 4) {
    const from = camera(...frame.inward(segments[i], segments[i + 1]), 0);
    const to = camera(...frame.inward(segments[i + 2], segments[i + 3]), 0);
    context.moveTo(from[0], from[1]);
    context.lineTo(to[0], to[1]);
  }
  context.lineCap = "round";
  context.strokeStyle = look.boundary;
  context.lineWidth = 2.6 - 0.6 * lift;
  context.stroke();
}

function drawData(view, scene, population) {
  const x = population.arrays["data/x"];
  if (!x) return;
  const { context, look, frame, camera, height } = view, colors = pointColors(population, look);
  const num = x.length / 2, { z, width } = scene.data.at(-1);
  const isLifted = height(1) !== 0, radius = num > FEW ? 2.2 : num > 40 ? 3.2 : 6;
  context.lineWidth = num > FEW ? 0.6 : 1.1;
  context.strokeStyle = look.paper;
  for (let point = 0; point < num; point++) {
    const top = isLifted ? Math.max(...z.subarray(point * width, (point + 1) * width)) : 0;
    const place = camera(...frame.inward(x[2 * point], x[2 * point + 1]), height(top));
    context.beginPath();
    context.arc(place[0], place[1], radius, 0, 2 * Math.PI);
    context.fillStyle = colors[point];
    context.fill();
    context.stroke();
  }
}

/** Points that were not trained on: rings. */
function drawTest({ context, look, frame, camera, height }, scene, population) {
  const x = population.arrays["test/x"], colors = pointColors(population, look, "test"), { z, width } = scene.test.at(-1);
  const isLifted = height(1) !== 0, radius = x.length / 2 > FEW ? 2.4 : 3.6;
  context.lineWidth = 1.6;
  colors.forEach((color, point) => {
    const top = isLifted ? Math.max(...z.subarray(point * width, (point + 1) * width)) : 0;
    const place = camera(...frame.inward(x[2 * point], x[2 * point + 1]), height(top));
    context.beginPath();
    context.arc(place[0], place[1], radius, 0, 2 * Math.PI);
    context.fillStyle = look.paper;
    context.fill();
    context.strokeStyle = color;
    context.stroke();
  });
}

/** How large outputs are in a picture: six tenths of them on a grid are smaller. */
export function outputScale(layers, domain, num = 24) {
  const dim = domain.length / 2, points = [];
  for (let place = 0; place < num ** Math.min(dim, 2); place++) {
    const along = [place % num, Math.floor(place / num), (num - 1) / 2];
    for (let axis = 0; axis < dim; axis++) points.push(domain[axis] + ((domain[dim + axis] - domain[axis]) * along[axis]) / (num - 1));
  }
  const sizes = Array.from(forward(layers, points).at(-1).z, Math.abs).sort((a, b) => a - b);
  return sizes[Math.floor(0.6 * (sizes.length - 1))] || 1;
}
