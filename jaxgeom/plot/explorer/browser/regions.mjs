// Linear regions as convex polygons: cut here, layer by layer and unit by unit, or as the engine found them.
//
// Regions are {offsets, corners, labels, codes, maps, units, outputs}: face f has the corners offsets[f] to
// offsets[f + 1], pairs in `corners`; `labels` says which unit, counted through the network, made the edge from a corner
// to the next (-1 for the border of the domain); `codes` has a row of `units` zeros and ones for each face, `maps` the
// outputs' affine maps, rows (∂/∂x, ∂/∂y, constant).

import { IDENTITY, composed, firstUnits, mapOfCode, switched } from "./network.mjs";

const BORDER = -1;
const RELATIVE = 1e-12; // of the largest value at a corner: smaller ones are zero

/** The regions of a network on a box [x0, y0, x1, y1]. */
export function cutRegions(layers, box) {
  const [x0, y0, x1, y1] = box, begins = firstUnits(layers), code = new Uint8Array(begins.at(-1));
  let faces = [{ corners: [x0, y0, BORDER, x1, y0, BORDER, x1, y1, BORDER, x0, y1, BORDER], code, maps: IDENTITY }];
  layers.slice(0, -1).forEach((layer, depth) => {
    const next = [];
    for (const face of faces) cutFace(face, layer, begins[depth], next);
    faces = next;
  });
  return flat(faces, layers);
}

/** Most units leave a face whole: they are found at its own corners, before those of its parts are looked at. */
function cutFace(face, layer, begin, found) {
  const maps = composed(layer, face.maps), whole = face.corners, parts = [face];
  for (let unit = 0; unit < layer.outputs; unit++) {
    if (layer.slope && layer.slope[unit] === 1) continue;
    const a = maps[3 * unit], b = maps[3 * unit + 1], c = maps[3 * unit + 2], side = sideOf(whole, a, b, c);
    for (let place = 0, num = parts.length; place < num; place++) {
      if (side >= 0) parts[place].code[begin + unit] = side;
      else cutPart(parts, place, a, b, c, begin + unit);
    }
  }
  for (const part of parts) {
    part.maps = switched(layer, parts.length > 1 ? maps.slice() : maps, part.code, begin);
    found.push(part);
  }
}

let zero = 0; // of the polygon that was looked at last: values that are not larger are none

/** 1 or 0 where a map is positive or negative on all of a polygon, else -1. */
function sideOf(corners, a, b, c) {
  let low = 0, high = 0;
  for (let i = 0; i < corners.length; i += 3) {
    const value = a * corners[i] + b * corners[i + 1] + c;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  zero = RELATIVE * Math.max(high, -low);
  if (low < -zero && high > zero) return -1;
  return high > -low ? 1 : 0;
}

/** Part `place` stays as it is, or keeps its positive side and appends the other one. */
function cutPart(parts, place, a, b, c, label) {
  const part = parts[place], { corners, code } = part, num = corners.length, side = sideOf(corners, a, b, c);
  if (side >= 0) {
    code[label] = side;
    return;
  }
  const on = [], off = [];
  const rounded = (value) => (Math.abs(value) <= zero ? 0 : value);
  const first = rounded(a * corners[0] + b * corners[1] + c);
  let from = first;
  for (let i = 0; i < num; i += 3) {
    const j = i + 3 === num ? 0 : i + 3, x = corners[i], y = corners[i + 1], edge = corners[i + 2];
    const to = j === 0 ? first : rounded(a * corners[j] + b * corners[j + 1] + c);
    if (from >= 0) on.push(x, y, from === 0 && to < 0 ? label : edge);
    if (from <= 0) off.push(x, y, from === 0 && to > 0 ? label : edge);
    if ((from < 0 && to > 0) || (from > 0 && to < 0)) {
      const share = from / (from - to), px = x + share * (corners[j] - x), py = y + share * (corners[j + 1] - y);
      on.push(px, py, from > 0 ? label : edge);
      off.push(px, py, from < 0 ? label : edge);
    }
    from = to;
  }
  parts.push({ corners: off, code: code.slice(), maps: null });
  part.corners = on;
  code[label] = 1;
}

function flat(faces, layers) {
  const units = firstUnits(layers).at(-1), outputs = layers.at(-1).outputs;
  const num = faces.reduce((sum, face) => sum + face.corners.length / 3, 0);
  const found = empty(faces.length, num, units, outputs), { offsets, corners, labels, codes, maps } = found;
  for (let f = 0, corner = 0; f < faces.length; f++) {
    const face = faces[f], own = face.corners;
    for (let i = 0; i < own.length; i += 3, corner++) {
      corners[2 * corner] = own[i];
      corners[2 * corner + 1] = own[i + 1];
      labels[corner] = own[i + 2];
    }
    offsets[f + 1] = corner;
    codes.set(face.code, f * units);
    maps.set(composed(layers.at(-1), face.maps), 3 * outputs * f);
  }
  return found;
}

function empty(numFaces, numCorners, units, outputs) {
  return {
    offsets: new Uint32Array(numFaces + 1),
    corners: new Float64Array(2 * numCorners),
    labels: new Int32Array(numCorners),
    codes: new Uint8Array(numFaces * units),
    maps: new Float64Array(numFaces * 3 * outputs),
    units,
    outputs,
  };
}

/** Finds the engine's regions among the page's arrays: a function of network and frame, null where there are none. */
export function engineRegions(arrays) {
  const entries = arrays["exact/entries"] ?? { shape: [1] }, rows = new Map();
  for (let row = 0; row < entries.shape[0] - 1; row++) rows.set(`${entries[6 * row]}/${entries[6 * row + 1]}`, row);
  return (member, frame, layers) => {
    const row = rows.get(`${member}/${frame}`);
    return row === undefined ? null : readRegions(arrays, row, layers);
  };
}

function readRegions(arrays, row, layers) {
  const bound = (end, column) => arrays["exact/entries"][6 * (row + end) + column];
  const [vertex, corner, face, byte] = [2, 3, 4, 5].map((column) => bound(0, column));
  const numCorners = bound(1, 3) - corner, numFaces = bound(1, 4) - face;
  const units = firstUnits(layers).at(-1), outputs = layers.at(-1).outputs, width = Math.ceil(units / 8);
  const found = empty(numFaces, numCorners, units, outputs);
  for (let i = 0; i < numCorners; i++) {
    const place = 2 * (vertex + arrays["exact/corners"][corner + i]);
    found.corners[2 * i] = arrays["exact/vertices"][place];
    found.corners[2 * i + 1] = arrays["exact/vertices"][place + 1];
    found.labels[i] = arrays["exact/labels"][corner + i] - 1;
  }
  for (let f = 0; f < numFaces; f++) {
    found.offsets[f + 1] = found.offsets[f] + arrays["exact/sizes"][face + f];
    const start = byte + f * width;
    for (let unit = 0; unit < units; unit++) {
      found.codes[f * units + unit] = (arrays["exact/codes"][start + (unit >> 3)] >> (unit & 7)) & 1;
    }
    found.maps.set(mapOfCode(layers, found.codes.subarray(f * units, (f + 1) * units)), 3 * outputs * f);
  }
  return found;
}

export const numFaces = (regions) => regions.offsets.length - 1;

/** Twice the signed area is the sum of cross products; counter-clockwise faces have positive areas. */
export function area(regions, face) {
  const { offsets, corners } = regions, start = offsets[face], end = offsets[face + 1];
  const x0 = corners[2 * start], y0 = corners[2 * start + 1];
  let twice = 0;
  for (let i = start + 1; i < end - 1; i++) {
    const ax = corners[2 * i] - x0, ay = corners[2 * i + 1] - y0;
    twice += ax * (corners[2 * i + 3] - y0) - ay * (corners[2 * i + 2] - x0);
  }
  return twice / 2;
}

/** The face that holds a point, -1 outside of all. */
export function faceAt(regions, x, y) {
  const { offsets, corners } = regions;
  for (let face = 0; face < numFaces(regions); face++) {
    const start = offsets[face], end = offsets[face + 1];
    let isInside = true;
    for (let i = start; isInside && i < end; i++) {
      const j = i + 1 === end ? start : i + 1;
      const dx = corners[2 * j] - corners[2 * i], dy = corners[2 * j + 1] - corners[2 * i + 1];
      isInside = dx * (y - corners[2 * i + 1]) - dy * (x - corners[2 * i]) >= -1e-12;
    }
    if (isInside) return face;
  }
  return -1;
}

/** The edges that each layer makes, each once, as x, y, x, y. */
export function edgesOfLayers(regions, begins) {
  const { offsets, corners, labels, codes, units } = regions, found = begins.slice(1).map(() => []);
  for (let face = 0; face < numFaces(regions); face++) {
    const end = offsets[face + 1];
    for (let i = offsets[face]; i < end; i++) {
      const unit = labels[i];
      if (unit < 0 || !codes[face * units + unit]) continue;
      let layer = 0;
      while (unit >= begins[layer + 1]) layer++;
      const j = i + 1 === end ? offsets[face] : i + 1;
      found[layer].push(corners[2 * i], corners[2 * i + 1], corners[2 * j], corners[2 * j + 1]);
    }
  }
  return found;
}

/** The edges that a unit makes, each once, as x, y, x, y: seen from the side where the unit is on. */
export function edgesOf(regions, unit) {
  const { offsets, corners, labels, codes, units } = regions, found = [];
  for (let face = 0; face < numFaces(regions); face++) {
    if (!codes[face * units + unit]) continue;
    for (let i = offsets[face]; i < offsets[face + 1]; i++) {
      if (labels[i] !== unit) continue;
      const j = i + 1 === offsets[face + 1] ? offsets[face] : i + 1;
      found.push(corners[2 * i], corners[2 * i + 1], corners[2 * j], corners[2 * j + 1]);
    }
  }
  return found;
}
