// The network as a diagram: inputs, a column of units for each layer, outputs; each unit shows itself over the plane.

import { sideTable } from "./colors.mjs";
import { forward } from "./network.mjs";

const PIXELS = 20;
const LARGEST = 34, SMALLEST = 7;
const LEAST_WEIGHT = 0.06; // of the strongest: weaker ones are not drawn

/** Boxes of all units {layer, unit, x, y, size}; layer -1 are the inputs. Of too many, those that weigh most are shown. */
export function diagramOf(layers, width, height) {
  const columns = [[0, 1], ...layers.map((layer, depth) => shownUnits(layers, depth, Math.floor(height / (SMALLEST + 1))))];
  const boxes = [];
  columns.forEach((units, column) => {
    const gap = height / units.length;
    const size = Math.max(SMALLEST, Math.min(LARGEST, gap * 0.86, (width / columns.length) * 0.62));
    const pitch = Math.min(gap, size * 1.22);
    units.forEach((unit, place) => {
      const x = LARGEST / 2 + 2 + (column * (width - LARGEST - 4)) / (columns.length - 1);
      const y = height / 2 + (place - (units.length - 1) / 2) * pitch;
      boxes.push({ layer: column - 1, unit, x, y, size });
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

/** The unit at a place of the picture, or null. */
export function unitAt(boxes, x, y) {
  const hit = boxes.find((box) => Math.abs(x - box.x) <= box.size / 2 + 1 && Math.abs(y - box.y) <= box.size / 2 + 1);
  return hit ?? null;
}

/** Pictures of all units over the domain: rows of `PIXELS` numbers, y downwards. */
export function unitPictures({ layers }, [x0, y0, x1, y1]) {
  const points = [];
  for (let row = 0; row < PIXELS; row++) {
    for (let column = 0; column < PIXELS; column++) {
      points.push(x0 + ((column + 0.5) / PIXELS) * (x1 - x0), y1 - ((row + 0.5) / PIXELS) * (y1 - y0));
    }
  }
  return [{ a: Float64Array.from(points), width: 2 }, ...forward(layers, points)];
}

export function drawDiagram(context, boxes, scene, population, { look, picked }) {
  drawWeights(context, boxes, scene.layers, look, picked);
  const pictures = unitPictures(scene, population.domain), table = sideTable(look);
  const tile = tileOf(context);
  for (const box of boxes) {
    const { a, width } = pictures[box.layer + 1];
    paint(tile, a, width, box.unit, table);
    const left = box.x - box.size / 2, top = box.y - box.size / 2;
    context.imageSmoothingEnabled = true;
    context.drawImage(tile.canvas, left, top, box.size, box.size);
    const isPicked = picked && picked.layer === box.layer && picked.unit === box.unit;
    context.strokeStyle = isPicked ? look.picked : look.line;
    context.lineWidth = isPicked ? 2.5 : 1;
    context.strokeRect(left, top, box.size, box.size);
  }
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
    const color = table[Math.round(127.5 * (value + 1))];
    image.data.set([color[0], color[1], color[2], 255], 4 * pixel);
  }
  context.putImageData(image, 0, 0);
}

/** Weights as curves, blue below zero and orange above, as wide as they are large; those of a picked unit alone. */
function drawWeights(context, boxes, layers, look, picked) {
  layers.forEach((layer, depth) => {
    const from = boxes.filter((box) => box.layer === depth - 1), to = boxes.filter((box) => box.layer === depth);
    let largest = 0;
    for (const weight of layer.kernel) largest = Math.max(largest, Math.abs(weight));
    for (const start of from) {
      for (const end of to) {
        const weight = layer.kernel[start.unit * layer.outputs + end.unit] / (largest || 1);
        const touches = picked && [start, end].some((b) => b.layer === picked.layer && b.unit === picked.unit);
        if (Math.abs(weight) < LEAST_WEIGHT) continue;
        const middle = (start.x + end.x) / 2;
        context.beginPath();
        context.moveTo(start.x + start.size / 2, start.y);
        context.bezierCurveTo(middle, start.y, middle, end.y, end.x - end.size / 2, end.y);
        context.strokeStyle = weight < 0 ? look.strong[0] : look.strong[1];
        context.globalAlpha = (picked ? (touches ? 0.95 : 0.06) : 0.15 + 0.55 * Math.abs(weight));
        context.lineWidth = 0.4 + 2.2 * Math.abs(weight);
        context.stroke();
      }
    }
  });
  context.globalAlpha = 1;
}
