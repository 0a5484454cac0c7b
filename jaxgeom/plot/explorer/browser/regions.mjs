// Linear regions as convex polygons: as the engine found them, or cut in the page (cut.mjs).
//
// Regions are {offsets, corners, labels, codes, maps, units, outputs}: face f has the corners offsets[f] to
// offsets[f + 1], pairs in `corners`; `labels` says which unit, counted through the network, made the edge from a corner
// to the next (-1 for the border of the domain); `codes` has a row of `units` zeros and ones for each face, `maps` the
// outputs' affine maps, rows (∂/∂x, ∂/∂y, constant).

import { firstUnits, mapOfCode } from "./network.mjs";

export const BORDER = -1;

export function emptyRegions(numFaces, numCorners, units, outputs) {
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
  const found = emptyRegions(numFaces, numCorners, units, outputs);
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
