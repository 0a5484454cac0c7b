// A network of one input: the graph of its outputs, and where each unit switches.

import { classColor, layerColor } from "./colors.mjs";
import { ticksOf } from "./curves.mjs";
import { firstHidden, forward, isHidden } from "./network.mjs";
import { extent, pointColors } from "./points.mjs";

const SAMPLES = 480;
const MOST_TICKS = 6;
const MARGIN = 0.12; // of what is seen, above and below
const STEPS = [2, 3]; // dashes
const EDGES = { left: 44, right: 10, top: 10, bottom: 26 };

/** All states of a network along the line: {points, states}. */
export function sampledLine(layers, [x0, x1], num = SAMPLES) {
  const points = Float64Array.from({ length: num + 1 }, (_, i) => x0 + (i / num) * (x1 - x0));
  return { points, states: forward(layers, points) };
}

/** Where a unit's pre-activation is zero, by linear interpolation: exact for the first layer of coordinates. */
export function thresholdsOf({ points, states }, layer, unit) {
  const { z, width } = states[layer], found = [];
  for (let i = 0; i + 1 < points.length; i++) {
    const from = z[i * width + unit], to = z[(i + 1) * width + unit];
    if (from > 0 !== to > 0) found.push(points[i] + (from / (from - to)) * (points[i + 1] - points[i]));
  }
  return found;
}

/** The outputs if each hidden unit were off or on, as a sigmoid is far from its threshold. */
export function stepOutputs(layers, points) {
  let values = points;
  layers.forEach((layer, depth) => {
    const z = forward([{ ...layer, activation: null, slope: null }], values).at(-1).z;
    values = isHidden(layers, depth) ? z.map((value) => (value > 0 ? 1 : 0)) : z;
  });
  return values;
}

/** Whether steps stand for all units. */
export function hasSteps(layers) {
  const hidden = layers.slice(firstHidden(layers), -1);
  return hidden.length > 0 && hidden.every(({ activation }) => activation === "sigmoid");
}

/** The lowest and the highest value that a picture shows: those of the targets, or of the outputs at the end. */
export function heightsOf(population, layers) {
  const y = population.classes === null ? population.arrays["data/y"] : null;
  const seen = y ?? sampledLine(layers, population.domain).states.at(-1).z;
  const [low, high] = extent(seen), margin = MARGIN * (high - low || 1);
  return [low - margin, high + margin];
}

/** How the line and the values lie in a picture. */
export function chartOf([x0, x1], [low, high], width, height) {
  const { left, right, top, bottom } = EDGES, across = width - left - right, down = height - top - bottom;
  return {
    left, top, across, down,
    x: (value) => left + (across * (value - x0)) / (x1 - x0),
    y: (value) => top + (down * (high - value)) / (high - low),
    outward: (place) => Math.min(x1, Math.max(x0, x0 + ((x1 - x0) * (place - left)) / across)),
  };
}

/** Draws a scene; `options` has look, color, show, picked and unit (layer, unit), hovered (x or null), heights. */
export function drawLine(context, width, height, scene, population, options) {
  const { look, show, heights } = options, chart = chartOf(population.domain, heights, width, height);
  drawFrame(context, chart, population.domain, heights, look);
  context.save();
  context.beginPath();
  context.rect(chart.left, chart.top, chart.across, chart.down);
  context.clip();
  if (show.edges) drawThresholds(context, chart, scene, look);
  if (show.boundary) drawLevel(context, chart, look);
  if (show.data) drawPoints(context, chart, scene.data, population, look, "data");
  if (show.test && scene.test) drawPoints(context, chart, scene.test, population, look, "test");
  const { states, points } = scene.line, { z, width: outputs } = states.at(-1);
  if (options.color === "regions" && hasSteps(scene.layers)) {
    context.setLineDash(STEPS);
    drawCurve(context, chart, points, stepOutputs(scene.layers, points), outputs, 0, { color: look.ink, width: 1.6 });
    context.setLineDash([]);
  }
  for (let output = 0; output < outputs; output++) {
    const color = outputs > 1 ? classColor(output) : look.ink;
    drawCurve(context, chart, points, z, outputs, output, { color, width: 2.2 });
  }
  if (options.picked) drawPicked(context, chart, scene, options.picked, look);
  if (options.unit && scene.layers[options.unit.layer]?.features) drawValues(context, chart, scene, options.unit, look);
  if (options.hovered !== null) drawHovered(context, chart, scene, options.hovered, look);
  context.restore();
}

function drawFrame(context, chart, [x0, x1], [low, high], look) {
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "alphabetic";
  context.lineWidth = 1;
  context.strokeStyle = look.line;
  context.fillStyle = look.faint;
  context.textAlign = "right";
  for (const value of ticksOf(low, high, false, MOST_TICKS)) {
    straight(context, chart.left, chart.y(value), chart.left + chart.across, chart.y(value));
    context.fillText(String(+value.toPrecision(6)).replace("-", "−"), chart.left - 6, chart.y(value) + 4);
  }
  context.textAlign = "center";
  for (const value of ticksOf(x0, x1, false, MOST_TICKS)) {
    context.fillText(String(+value.toPrecision(6)).replace("-", "−"), chart.x(value), chart.top + chart.down + 16);
  }
}

function straight(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

function drawThresholds(context, chart, { thresholds }, look) {
  context.lineWidth = 1;
  context.globalAlpha = 0.55;
  thresholds.forEach((places, layer) => {
    context.strokeStyle = thresholdColor(look, layer);
    context.setLineDash([4, 3]);
    for (const place of places) straight(context, chart.x(place), chart.top, chart.x(place), chart.top + chart.down);
  });
  context.setLineDash([]);
  context.globalAlpha = 1;
}

const FIRST = 3; // colour of the layers: those before would be the graph's, and the targets'

/** The colour of a layer's thresholds. */
export const thresholdColor = (look, layer) => layerColor(look, layer + FIRST);

function drawLevel(context, chart, look) {
  context.strokeStyle = look.boundary;
  context.lineWidth = 1;
  straight(context, chart.left, chart.y(0), chart.left + chart.across, chart.y(0));
}

function drawCurve(context, chart, points, values, width, unit, { color, width: lineWidth }) {
  context.beginPath();
  for (let i = 0; i < points.length; i++) context.lineTo(chart.x(points[i]), chart.y(values[i * width + unit]));
  context.strokeStyle = color;
  context.lineWidth = lineWidth;
  context.lineJoin = "round";
  context.stroke();
}

/** What a unit does along the line, in its own values, and where it switches. */
function drawPicked(context, chart, scene, picked, look) {
  context.strokeStyle = look.picked;
  context.lineWidth = 2;
  for (const place of thresholdsOf(scene.line, picked.layer, picked.unit)) {
    straight(context, chart.x(place), chart.top, chart.x(place), chart.top + chart.down);
  }
  drawValues(context, chart, scene, picked, look);
}

/** What a unit or a feature gives along the line. */
function drawValues(context, chart, { line }, { layer, unit }, look) {
  const { a, width } = line.states[layer];
  context.setLineDash([6, 3]);
  drawCurve(context, chart, line.points, a, width, unit, { color: look.picked, width: 2 });
  context.setLineDash([]);
}

function drawHovered(context, chart, { layers }, x, look) {
  context.strokeStyle = look.ink;
  context.lineWidth = 1;
  context.globalAlpha = 0.5;
  straight(context, chart.x(x), chart.top, chart.x(x), chart.top + chart.down);
  context.globalAlpha = 1;
  for (const value of forward(layers, [x]).at(-1).z) {
    context.beginPath();
    context.arc(chart.x(x), chart.y(value), 4, 0, 2 * Math.PI);
    context.fillStyle = look.ink;
    context.fill();
  }
}

/** Points at their targets, or, without targets, on the graph: dots, and rings of those that were not trained on. */
function drawPoints(context, chart, states, population, look, set) {
  const { [`${set}/x`]: x, [`${set}/y`]: y } = population.arrays;
  if (!x) return;
  const colors = pointColors(population, look, set), { z, width } = states.at(-1);
  for (let point = 0; point < x.length; point++) {
    const value = population.classes === null ? y[point] : z[point * width];
    context.beginPath();
    context.arc(chart.x(x[point]), chart.y(value), x.length > 120 ? 2.4 : 3.6, 0, 2 * Math.PI);
    context.fillStyle = set === "test" ? look.paper : colors[point];
    context.fill();
    if (set !== "test") continue;
    context.strokeStyle = colors[point];
    context.lineWidth = 1.4;
    context.stroke();
  }
}
