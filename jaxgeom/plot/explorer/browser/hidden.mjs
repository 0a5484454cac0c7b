// Data and a grid in hidden layers, and on their way from one to the next.

import { coordinates, viewOf } from "./axes.mjs";
import { projection } from "./camera.mjs";
import { forward } from "./network.mjs";
import { layersAt } from "./population.mjs";
import { edgesOf } from "./regions.mjs";
import { extent, pointColor } from "./stage.mjs";

const LINES = 13, STEPS = 36;
const MARGIN = 0.01; // of the points, on each side: they may lie outside of the picture
const FILLED = 0.8; // of a picture

/** Names of the stages that points pass: the input, then each layer before and after its activation. */
export function stageNames(layers) {
  const names = ["input"];
  layers.forEach((layer, depth) => {
    const isLast = depth === layers.length - 1;
    const isStraight = !isLast && layer.slope?.every((slope) => slope === 1);
    names.push(isLast ? "output" : `layer ${depth + 1}${isStraight ? "" : ", affine"}`);
    if (!isLast) names.push(`layer ${depth + 1}${isStraight ? "" : ", bent"}`);
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
export function drawHidden(context, box, paths, stage, population, { look, turn, show }) {
  const at = (positions) => blend(positions, stage);
  const data = paths.data && at(paths.data), grid = at(paths.grid);
  const place = fitted(data ?? grid, turn, box);
  context.save();
  context.beginPath();
  context.rect(...box);
  context.clip();
  drawGrid(context, grid, place, look);
  if (show.boundary && paths.boundary) drawPieces(context, at(paths.boundary), place, look.boundary, 1.6);
  if (paths.picked) drawPieces(context, at(paths.picked), place, look.picked, 2.6);
  if (data && show.data) drawPoints(context, data, place, population, look);
  context.restore();
}

/** A function of positions and a number, which gives its place in a box that nearly all of some positions fill. */
function fitted(positions, turn, [left, top, width, height]) {
  const camera = projection(turn, [0, 0], 1), right = [], down = [];
  for (let i = 0; i < positions.length; i += 3) {
    const [x, y] = camera(positions[i], positions[i + 1], positions[i + 2]);
    right.push(x);
    down.push(y);
  }
  const [x0, x1] = mostOf(right), [y0, y1] = mostOf(down);
  const scale = FILLED * Math.min(width / (x1 - x0 || 1e-9), height / (y1 - y0 || 1e-9));
  const drawn = projection(turn, [left + width / 2 - (scale * (x0 + x1)) / 2, top + height / 2 - (scale * (y0 + y1)) / 2], scale);
  return (values, i) => drawn(values[3 * i], values[3 * i + 1], values[3 * i + 2]);
}

/** Where nearly all numbers lie. */
function mostOf(values) {
  const sorted = Float64Array.from(values).sort(), last = sorted.length - 1;
  return [sorted[Math.round(MARGIN * last)], sorted[Math.round((1 - MARGIN) * last)]];
}

function blend(stages, stage) {
  const low = Math.min(Math.floor(stage), stages.length - 1), share = stage - low;
  if (share === 0) return stages[low];
  return stages[low].map((value, place) => value + share * (stages[low + 1][place] - value));
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
