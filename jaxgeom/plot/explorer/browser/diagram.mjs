// The network as a diagram: inputs or features of them, a column of units for each layer, outputs; each unit shows itself over the plane.

import { frameChosen } from "./chosen.mjs";
import { sideTable, toneOf } from "./colors.mjs";
import { digits } from "./inspector.mjs";
import { forward } from "./network.mjs";
import { inputName, layerName } from "./words.mjs";

const PIXELS = 20;
const LARGEST = 48, SMALLEST = 7, TINY = 16;
const WIDE = 110; // pixels between columns that have long names
const HEAD = 20, NAME = 16, BESIDE = 34; // pixels: above the columns, beneath each input, and to the left of features
const EACH = 14, LEAST_HEIGHT = 290, MOST_HEIGHT = 460; // pixels for every unit of the widest layer
const LEAST_WEIGHT = 0.06; // of the strongest: weaker ones are not drawn
const MOST_WEIGHTS = 260; // of a layer: those that are larger than all others

/** How high a diagram should be for its units to be seen. */
export const heightOf = (layers) =>
  Math.max(LEAST_HEIGHT, Math.min(MOST_HEIGHT, HEAD + EACH * Math.max(...layers.map(({ outputs }) => outputs))));

/** Boxes of all units {layer, unit, x, y, size}; layer -1 are the inputs, in whose place features stand where there are any. Of
 * too many units, those that weigh most are shown. */
export function diagramOf(layers, width, height) {
  const space = height - HEAD, most = Math.floor(space / (SMALLEST + 1)), isOfFeatures = Boolean(layers[0].features);
  const inputs = isOfFeatures ? [] : [Array.from({ length: layers[0].inputs }, (_, input) => input)];
  const columns = [...inputs, ...layers.map((_, depth) => shownUnits(layers, depth, most))], boxes = [];
  const left = LARGEST / 2 + 2 + (isOfFeatures ? BESIDE : 0), right = width - LARGEST / 2 - 2;
  columns.forEach((units, column) => {
    const gap = space / units.length;
    const size = Math.max(SMALLEST, Math.min(LARGEST, gap * 0.86, (width / columns.length) * 0.62));
    const pitch = column || isOfFeatures ? Math.min(gap, size * 1.22) : size + NAME + 4;
    units.forEach((unit, place) => {
      const x = left + (column * (right - left)) / (columns.length - 1);
      const y = HEAD + space / 2 + (place - (units.length - 1) / 2) * pitch;
      boxes.push({ layer: column - inputs.length, unit, x, y, size });
    });
  });
  return boxes;
}

function shownUnits(layers, depth, most) {
  const { outputs } = layers[depth], next = layers[depth + 1];
  const all = Array.from({ length: outputs }, (_, unit) => unit);
  if (outputs <= most) return all;
  const weight = (unit) => Math.max(...next.kernel.slice(unit * next.outputs, (unit + 1) * next.outputs).map(Math.abs));
  return all.sort((a, b) => weight(b) - weight(a)).slice(0, most).sort((a, b) => a - b);
}

/** The unit that is nearest to a place of the picture, none if it is further away than `reach` pixels. */
export function unitAt(boxes, x, y, reach) {
  let nearest = null, least = reach;
  for (const box of boxes) {
    const away = Math.max(Math.abs(x - box.x), Math.abs(y - box.y)) - box.size / 2;
    if (away <= least) [nearest, least] = [box, away];
  }
  return nearest;
}

/** Pictures of all units over the domain: rows of `PIXELS` numbers, y downwards; of a line, one row. */
export function unitPictures({ layers }, domain) {
  const points = [], isSpace = layers[0].inputs === 3; // of which the plane in the middle is shown
  const [x0, y0, x1, y1] = isSpace ? [domain[0], domain[1], domain[3], domain[4]] : domain;
  const depth = isSpace ? [(domain[2] + domain[5]) / 2] : [];
  if (layers[0].inputs === 1) {
    for (let column = 0; column < PIXELS; column++) points.push(domain[0] + ((column + 0.5) / PIXELS) * (domain[1] - domain[0]));
    return [{ a: Float64Array.from(points), width: 1 }, ...forward(layers, points)];
  }
  for (let row = 0; row < PIXELS; row++) {
    for (let column = 0; column < PIXELS; column++) {
      points.push(x0 + ((column + 0.5) / PIXELS) * (x1 - x0), y1 - ((row + 0.5) / PIXELS) * (y1 - y0), ...depth);
    }
  }
  return [{ a: Float64Array.from(points), width: layers[0].inputs }, ...forward(layers, points)];
}

/** The weight {layer, from, to, value} whose line is nearest to a place between two columns, or null. */
export function weightAt(boxes, layers, x, y, reach) {
  let nearest = null, least = reach;
  layers.forEach((layer, depth) => {
    if (layer.features) return;
    const [starts, ends] = [depth - 1, depth].map((each) => boxes.filter((box) => box.layer === each));
    const left = starts[0].x + starts[0].size / 2, right = ends[0].x - ends[0].size / 2;
    if (x < left || x > right) return;
    const share = riseAt((x - left) / (right - left)), smallest = leastDrawn(layer);
    for (const start of starts) {
      for (const end of ends) {
        const value = weightOf(layer, start, end), away = Math.abs(start.y + share * (end.y - start.y) - y);
        if (Math.abs(value) < smallest || away > least) continue;
        [nearest, least] = [{ layer: depth, from: start.unit, to: end.unit }, away];
      }
    }
  });
  return nearest;
}

/** How far a weight's curve has risen, at a share of its way across: both are polynomials of one parameter. */
function riseAt(across) {
  let low = 0, high = 1;
  for (let turn = 0; turn < 20; turn++) {
    const t = (low + high) / 2;
    if (1.5 * t * (1 - t) + t ** 3 < across) low = t;
    else high = t;
  }
  return low * low * (3 - 2 * low);
}

const weightOf = (layer, start, end) => layer.kernel[start.unit * layer.outputs + end.unit];

const isInput = (layers, layer) => layer < 0 || Boolean(layers[layer].features);

/** What a unit is called, an input, a feature or an output too. */
export const nameOf = (layers, layer, unit) => {
  if (isInput(layers, layer)) return inputName(layers, unit);
  if (layer < layers.length - 1) return `unit ${unit + 1} of ${layerName(layers, layer)}`;
  return layers[layer].outputs > 1 ? `output ${unit + 1}` : "the output";
};

/** What a parameter {layer, from, to} is called: a weight, or the bias of a unit if `from` is null. */
export function parameterName(layers, { layer, from, to }) {
  if (from === null) return `bias of ${nameOf(layers, layer, to)}`;
  return `weight from ${nameOf(layers, layer - 1, from)} to ${nameOf(layers, layer, to)}`;
}

/** What is pointed at in a diagram, a unit or a weight, in words. */
export function diagramNote(layers, { unit, weight }) {
  if (weight) {
    const { layer, from, to } = weight, value = weightOf(layers[layer], { unit: from }, { unit: to });
    return `weight ${digits(value)} from ${nameOf(layers, layer - 1, from)} to ${nameOf(layers, layer, to)}`;
  }
  const name = nameOf(layers, unit.layer, unit.unit);
  if (isInput(layers, unit.layer)) return `${unit.layer < 0 ? "input" : "feature"} ${name}`;
  return `${name}, bias ${digits(layers[unit.layer].bias[unit.unit])}`;
}

/** `picked` is a unit, `weight` a weight that is pointed at, `chosen` one that is edited. */
export function drawDiagram(context, boxes, scene, population, { look, picked, weight, chosen }) {
  drawWeights(context, boxes, scene.layers, look, { picked, pointed: weight, chosen });
  drawNames(context, boxes, scene.layers, look);
  const pictures = unitPictures(scene, population.domain), table = sideTable(look).channels;
  const tile = tileOf(context);
  for (const box of boxes) {
    const { a, width } = pictures[box.layer + 1];
    const left = box.x - box.size / 2, top = box.y - box.size / 2;
    if (a.length === PIXELS * width) drawCurveOf(context, a, width, box, look);
    else {
      paint(tile, a, width, box.unit, table);
      context.imageSmoothingEnabled = true;
      context.drawImage(tile.canvas, left, top, box.size, box.size);
    }
    const isPicked = picked && picked.layer === box.layer && picked.unit === box.unit;
    context.strokeStyle = look.line;
    context.lineWidth = 1;
    context.strokeRect(left, top, box.size, box.size);
    const around = [left - 3, top - 3, box.size + 6, box.size + 6];
    if (isPicked) frameChosen(context, around, { color: look.picked }, look, box.size < TINY ? 1.5 : 3);
  }
}

/** What a unit does along the line, from the bottom of its box to the top. */
function drawCurveOf(context, values, width, { unit, x, y, size }, look) {
  const own = Array.from({ length: PIXELS }, (_, i) => values[i * width + unit]);
  const low = Math.min(...own), span = Math.max(...own) - low || 1;
  context.fillStyle = look.paper;
  context.fillRect(x - size / 2, y - size / 2, size, size);
  context.beginPath();
  own.forEach((value, i) => {
    context.lineTo(x + size * ((i + 0.5) / PIXELS - 0.5), y + size * (0.4 - (0.8 * (value - low)) / span));
  });
  context.strokeStyle = look.ink;
  context.lineWidth = 1.4;
  context.stroke();
}

let tiles = null; // one small picture, painted over and over

function tileOf() {
  if (!tiles) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = PIXELS;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    tiles = { canvas, context, image: context.createImageData(PIXELS, PIXELS) };
  }
  return tiles;
}

function paint({ context, image }, values, width, unit, table) {
  let size = 0;
  for (let i = unit; i < values.length; i += width) size = Math.max(size, Math.abs(values[i]));
  for (let pixel = 0; pixel < PIXELS * PIXELS; pixel++) {
    const value = size ? values[pixel * width + unit] / size : 0;
    const color = table[toneOf(value)];
    for (let channel = 0; channel < 3; channel++) image.data[4 * pixel + channel] = color[channel];
    image.data[4 * pixel + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** What the columns and the inputs are called. */
function drawNames(context, boxes, layers, look) {
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = look.faint;
  const first = boxes[0].layer, isTight = boxes.at(-1).x < WIDE * (layers.length - 1 - first);
  for (let layer = first; layer < layers.length; layer++) {
    const column = boxes.filter((box) => box.layer === layer), isLast = layer === layers.length - 1, isFirst = layer === first;
    const num = column.length, all = layers[layer]?.outputs, { x, size } = column[0];
    context.textAlign = isFirst ? "left" : isLast ? "right" : "center";
    const units = `${num < all ? `${num} of ${all}` : all} unit${all === 1 ? "" : "s"}`, name = layer < 0 ? "input" : layerName(layers, layer);
    const text = isFirst || isLast || isTight ? name : `${name}: ${units}`;
    context.fillText(text, isFirst ? x - size / 2 : isLast ? x + size / 2 : x, 11);
    if (!isFirst) continue;
    const isBeside = layer === 0; // of features, there are many
    context.textAlign = isBeside ? "right" : "center";
    for (const { unit, x, y, size } of column) {
      context.fillText(inputName(layers, unit), isBeside ? x - size / 2 - 5 : x, isBeside ? y + 4 : y + size / 2 + 13);
    }
  }
}

/** The size of the smallest weight of a layer that is drawn. */
function leastDrawn(layer) {
  const sizes = Array.from(layer.kernel, Math.abs).sort((a, b) => b - a);
  return Math.max(LEAST_WEIGHT * (sizes[0] || 1), sizes[MOST_WEIGHTS] ?? 0);
}

/** Weights as curves, blue below zero and orange above, as wide as they are large; those of a picked unit alone. */
function drawWeights(context, boxes, layers, look, { picked, pointed, chosen }) {
  layers.forEach((layer, depth) => {
    const least = leastDrawn(layer), largest = layer.kernel.reduce((most, each) => Math.max(most, Math.abs(each)), 0) || 1;
    const touches = (box) => picked && box.layer === picked.layer && box.unit === picked.unit;
    for (const start of boxes.filter((box) => box.layer === depth - 1)) {
      for (const end of boxes.filter((box) => box.layer === depth)) {
        const weight = weightOf(layer, start, end), isOfPicked = touches(start) || touches(end);
        const is = (each) => each && each.layer === depth && each.from === start.unit && each.to === end.unit;
        const isPointed = is(pointed), isChosen = is(chosen), share = Math.abs(weight) / largest;
        if (Math.abs(weight) < least && !isOfPicked && !isChosen) continue;
        if (isChosen) drawHalo(context, start, end, 3 + 2.2 * share, look);
        context.strokeStyle = look.strong[weight < 0 ? 0 : 1];
        context.globalAlpha = isPointed || isChosen ? 1 : picked ? (isOfPicked ? 0.95 : 0.06) : 0.12 + 0.55 * share;
        context.lineWidth = (isPointed ? 2.5 : 0.4) + 2.2 * share;
        drawCurve(context, start, end);
      }
    }
  });
  context.globalAlpha = 1;
}

/** The mark of the weight that is chosen, on both sides of it. */
function drawHalo(context, start, end, width, look) {
  context.globalAlpha = 1;
  for (const [color, more] of [[look.picked, 5], [look.paper, 2]]) {
    context.strokeStyle = color;
    context.lineWidth = width + more;
    drawCurve(context, start, end);
  }
}

function drawCurve(context, start, end) {
  const middle = (start.x + end.x) / 2;
  context.beginPath();
  context.moveTo(start.x + start.size / 2, start.y);
  context.bezierCurveTo(middle, start.y, middle, end.y, end.x - end.size / 2, end.y);
  context.stroke();
}
