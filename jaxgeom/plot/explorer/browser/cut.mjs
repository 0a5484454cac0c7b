// Linear regions cut in the page: polygons of the box are parted layer by layer and unit by unit. This happens once a
// frame of the screen, so polygons share a few arrays, which grow when they are full.

import { IDENTITY, composeInto, firstUnits } from "./network.mjs";
import { BORDER, emptyRegions } from "./regions.mjs";

const RELATIVE = 1e-12; // of the largest value at a corner: smaller ones are zero

let pool = new Float64Array(3 * 2 ** 15), used = 0; // corners x, y, label (which unit made the edge to the next corner)
let zero = 0; // of the polygon that was looked at last: values that are not larger are none

/** The regions of a network on a box [x0, y0, x1, y1]. */
export const cutRegions = (layers, box) => flat(facesOf(layers, box), layers, firstUnits(layers));

/** How many they are, which takes less time. */
export const countRegions = (layers, box) => facesOf(layers, box).num;

function facesOf(layers, [x0, y0, x1, y1]) {
  const begins = firstUnits(layers), units = begins.at(-1);
  pool.set([x0, y0, BORDER, x1, y0, BORDER, x1, y1, BORDER, x0, y1, BORDER]);
  used = 12;
  let faces = { num: 1, starts: [0], ends: [used], rows: [0], codes: new Uint8Array(units), maps: IDENTITY };
  layers.slice(0, -1).forEach((_, depth) => (faces = cutFaces(faces, layers, depth, begins)));
  return faces;
}

/** Faces {num, starts, ends, rows, codes, maps} after a layer: where their corners are, which row of `maps` (what the units
 * of the layer compute before they bend it) is theirs, and for each a row of zeros and ones. */
function cutFaces(faces, layers, depth, begins) {
  const { outputs, slope } = layers[depth], begin = begins[depth], units = begins.at(-1), width = 3 * outputs;
  const maps = new Float64Array(width * faces.num), codes = new Uint8Array(2 * faces.codes.length);
  const found = { num: 0, starts: [], ends: [], rows: [], codes, maps };
  for (let face = 0; face < faces.num; face++) {
    const start = faces.starts[face], end = faces.ends[face], first = found.num;
    compose(maps, face, faces, layers, depth, begins);
    append(found, start, end, face, faces.codes, face, units);
    for (let unit = 0; unit < outputs; unit++) {
      if (slope && slope[unit] === 1) continue;
      const place = width * face + 3 * unit, a = maps[place], b = maps[place + 1], c = maps[place + 2];
      const side = sideOf(start, end, a, b, c); // most units leave a face whole: its parts need no look
      if (side === 0) continue;
      for (let part = first, last = found.num; part < last; part++) {
        if (side === 1) found.codes[part * units + begin + unit] = 1;
        else cutFace(found, part, a, b, c, begin + unit, units);
      }
    }
  }
  return found;
}

/** Writes what a layer computes on a face to a row of `maps`, from the layer before it as the face's code bends it. */
function compose(maps, row, faces, layers, depth, begins) {
  const before = layers[depth - 1], from = before ? 3 * before.outputs * faces.rows[row] : 0, code = row * begins.at(-1);
  composeInto(maps, 3 * layers[depth].outputs * row, layers[depth], faces.maps, from, (input) => {
    if (!before || faces.codes[code + begins[depth - 1] + input]) return 1;
    return before.slope ? before.slope[input] : 0;
  });
}

function append(faces, start, end, row, codes, from, units) {
  const to = faces.num * units;
  if (to + units > faces.codes.length) faces.codes = grown(faces.codes);
  for (let unit = 0; unit < units; unit++) faces.codes[to + unit] = codes[from * units + unit];
  faces.starts.push(start);
  faces.ends.push(end);
  faces.rows.push(row);
  faces.num++;
}

function grown(array) {
  const found = new array.constructor(2 * array.length);
  found.set(array);
  return found;
}

/** 1 or 0 where a map is positive or negative on all of a polygon, else -1. */
function sideOf(start, end, a, b, c) {
  let low = 0, high = 0;
  for (let i = start; i < end; i += 3) {
    const value = a * pool[i] + b * pool[i + 1] + c;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  zero = RELATIVE * Math.max(high, -low);
  if (low < -zero && high > zero) return -1;
  return high > -low ? 1 : 0;
}

const rounded = (value) => (Math.abs(value) <= zero ? 0 : value);

/** A face stays as it is, or keeps its positive side, and its negative side is appended. */
function cutFace(faces, face, a, b, c, label, units) {
  const start = faces.starts[face], end = faces.ends[face], side = sideOf(start, end, a, b, c);
  if (side >= 0) {
    faces.codes[face * units + label] = side;
    return;
  }
  const on = used, most = 2 * (end - start), off = on + most; // a side has fewer corners than that
  while (off + most > pool.length) pool = grown(pool);
  const first = rounded(a * pool[start] + b * pool[start + 1] + c);
  let lastOn = on, lastOff = off;
  for (let i = start, from = first; i < end; i += 3) {
    const j = i + 3 === end ? start : i + 3, x = pool[i], y = pool[i + 1], edge = pool[i + 2];
    const to = j === start ? first : rounded(a * pool[j] + b * pool[j + 1] + c);
    if (from >= 0) lastOn = addCorner(lastOn, x, y, from === 0 && to < 0 ? label : edge);
    if (from <= 0) lastOff = addCorner(lastOff, x, y, from === 0 && to > 0 ? label : edge);
    if ((from < 0 && to > 0) || (from > 0 && to < 0)) {
      const share = from / (from - to), px = x + share * (pool[j] - x), py = y + share * (pool[j + 1] - y);
      lastOn = addCorner(lastOn, px, py, from > 0 ? label : edge);
      lastOff = addCorner(lastOff, px, py, from < 0 ? label : edge);
    }
    from = to;
  }
  append(faces, off, lastOff, faces.rows[face], faces.codes, face, units);
  faces.starts[face] = on;
  faces.ends[face] = lastOn;
  faces.codes[face * units + label] = 1;
  used = lastOff;
}

function addCorner(place, x, y, label) {
  pool[place] = x;
  pool[place + 1] = y;
  pool[place + 2] = label;
  return place + 3;
}

function flat(faces, layers, begins) {
  const units = begins.at(-1), { outputs } = layers.at(-1);
  let corner = faces.starts.reduce((sum, start, face) => sum + (faces.ends[face] - start) / 3, 0);
  const found = emptyRegions(faces.num, corner, units, outputs), { offsets, corners, labels } = found;
  found.codes.set(faces.codes.subarray(0, faces.num * units));
  corner = 0;
  for (let face = 0; face < faces.num; face++) {
    for (let i = faces.starts[face]; i < faces.ends[face]; i += 3, corner++) {
      corners[2 * corner] = pool[i];
      corners[2 * corner + 1] = pool[i + 1];
      labels[corner] = pool[i + 2];
    }
    offsets[face + 1] = corner;
    compose(found.maps, face, faces, layers, layers.length - 1, begins);
  }
  return found;
}
