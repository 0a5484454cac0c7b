// Data and a grid in hidden layers, and on their way from one to the next.

import { coordinates, viewOf } from "./axes.mjs";
import { projection } from "./camera.mjs";
import { forward } from "./network.mjs";
import { layersAt } from "./population.mjs";
import { edgesOf } from "./regions.mjs";
import { extent, pointColor } from "./stage.mjs";

const LINES = 13, STEPS = 36;
const NEARLY_ALL = 0.98;

/** Names of the stages that points pass: the input, then each layer before and after its activation. */
export function stageNames(layers) {
  const names = ["input"];
  layers.forEach((layer, depth) => {
    const isLast = depth === layers.length - 1;
    names.push(isLast ? "output" : `layer ${depth + 1}, affine`);
    if (!isLast) names.push(`layer ${depth + 1}, bent`);
  });
  return names;
}

/** Lines of a grid on a box, points x, y, x, y: LINES along each axis, of STEPS points. */
export function gridOf([x0, y0, x1, y1]) {
  const points = [];
  for (const isAcross of [true, false]) {
    for (let line = 0; line < LINES; line++) {
      for (let step = 0; step < STEPS; step++) {
        const [a, b] = [step / (STEPS - 1), line / (LINES - 1)];
        const [u, v] = isAcross ? [a, b] : [b, a];
        points.push(x0 + u * (x1 - x0), y0 + v * (y1 - y0));
      }
    }
  }
  return points;
}

/** Views of all stages, from where the data, or else the grid, are at the last frame. */
export function viewsOf(population, member) {
  const layers = layersAt(population, member, population.numFrames - 1);
  const points = population.arrays["data/x"] ?? gridOf(population.domain);
  const states = forward(layers, points);
  const views = [viewOf(points, 2)];
  states.forEach(({ a, width }, depth) => {
    const view = viewOf(a, width);
    views.push(view);
    if (depth < states.length - 1) views.push(view);
  });
  return views;
}

/** Coordinates of points at every stage. */
function stagesOf(layers, points, views) {
  const found = [coordinates(points, 2, views[0])];
  forward(layers, points).forEach(({ z, a, width }, depth, states) => {
    found.push(coordinates(z, width, views[found.length]));
    if (depth < states.length - 1) found.push(coordinates(a, width, views[found.length]));
  });
  return found;
}

/** Everything that a picture of the layers shows, at every stage. */
export function pathsOf(population, scene, views, picked, begins) {
  const { layers } = scene, x = population.arrays["data/x"];
  const line = picked ? edgesOf(scene.regions, begins[picked.layer] + picked.unit) : [];
  return {
    grid: stagesOf(layers, gridOf(population.domain), views),
    data: x ? stagesOf(layers, x, views) : null,
    boundary: scene.boundary.length ? stagesOf(layers, scene.boundary, views) : null,
    picked: line.length ? stagesOf(layers, line, views) : null,
  };
}

/** Draws a stage, or the way between two: `stage` counts from 0, fractions in between. */
export function drawHidden(context, [left, top, width, height], paths, stage, population, { look, turn, show }) {
  const at = (positions) => blend(positions, stage);
  const data = paths.data && at(paths.data), grid = at(paths.grid);
  const { center, size } = extentOf(data ?? grid);
  const camera = projection(turn, [left + width / 2, top + height / 2], (0.4 * Math.min(width, height)) / size);
  const place = (positions, i) => {
    const at = 3 * i;
    return camera(positions[at] - center[0], positions[at + 1] - center[1], positions[at + 2] - center[2]);
  };
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  drawGrid(context, grid, place, look);
  if (show.boundary && paths.boundary) drawPieces(context, at(paths.boundary), place, look.boundary, 1.6);
  if (paths.picked) drawPieces(context, at(paths.picked), place, look.picked, 2.6);
  if (data && show.data) drawPoints(context, data, place, population, look);
  context.restore();
}

function blend(stages, stage) {
  const low = Math.min(Math.floor(stage), stages.length - 1), share = stage - low;
  if (share === 0) return stages[low];
  return stages[low].map((value, place) => value + share * (stages[low + 1][place] - value));
}

/** The middle of points, and how far nearly all of them are from there. */
function extentOf(positions) {
  const num = positions.length / 3, center = [0, 0, 0];
  positions.forEach((value, place) => (center[place % 3] += value / num));
  const far = Array.from({ length: num }, (_, i) =>
    Math.hypot(...[0, 1, 2].map((axis) => positions[3 * i + axis] - center[axis])),
  ).sort((a, b) => a - b);
  return { center, size: far[Math.floor(NEARLY_ALL * (num - 1))] || 1 };
}

function drawGrid(context, grid, place, look) {
  context.lineWidth = 0.8;
  [0, 1].forEach((family) => {
    context.beginPath();
    for (let line = family * LINES; line < (family + 1) * LINES; line++) {
      for (let step = 0; step < STEPS; step++) {
        const [x, y] = place(grid, line * STEPS + step);
        if (step === 0) context.moveTo(x, y);
        else context.lineTo(x, y);
      }
    }
    context.strokeStyle = look.faint;
    context.globalAlpha = family ? 0.65 : 0.4;
    context.stroke();
  });
  context.globalAlpha = 1;
}

function drawPieces(context, positions, place, color, width) {
  context.beginPath();
  for (let i = 0; i < positions.length / 3; i += 2) {
    const from = place(positions, i), to = place(positions, i + 1);
    context.moveTo(from[0], from[1]);
    context.lineTo(to[0], to[1]);
  }
  context.strokeStyle = color;
  context.lineWidth = width;
  context.lineCap = "round";
  context.stroke();
}

function drawPoints(context, data, place, population, look) {
  const y = population.arrays["data/y"], num = y.length, radius = num > 400 ? 1.5 : num > 40 ? 2.1 : 4;
  const [low, high] = population.classes ? [0, 1] : extent(y);
  for (let point = 0; point < num; point++) {
    const [right, down] = place(data, point);
    context.beginPath();
    context.arc(right, down, radius, 0, 2 * Math.PI);
    context.fillStyle = pointColor(population, look, y[point], low, high);
    context.fill();
  }
}
