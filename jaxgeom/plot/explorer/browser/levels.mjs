// Lines where a smooth function is zero, by linear interpolation on a fine grid of the plane.

import { forward } from "./network.mjs";

export const CELLS = 72;

/** All states of a network on a grid of the plane, rows from the bottom to the top: {layers, box, cells, points, states}. */
export function sampled(layers, [x0, y0, x1, y1], cells = CELLS) {
  const side = cells + 1, points = new Float64Array(2 * side * side);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const place = 2 * (row * side + column);
      points[place] = x0 + (column / cells) * (x1 - x0);
      points[place + 1] = y0 + (row / cells) * (y1 - y0);
    }
  }
  return { layers, box: [x0, y0, x1, y1], cells, points, states: forward(layers, points) };
}

/** Pieces x, y, x, y on which a function of the grid's points is zero. */
export function levelLines({ cells, points }, value) {
  const side = cells + 1, found = [];
  for (let row = 0; row < cells; row++) {
    for (let column = 0; column < cells; column++) {
      const a = row * side + column, corners = [a, a + 1, a + 1 + side, a + side];
      const va = value(a), vb = value(a + 1), vc = value(a + 1 + side), vd = value(a + side);
      const num = (va > 0) + (vb > 0) + (vc > 0) + (vd > 0);
      if (num === 0 || num === 4) continue;
      addPieces(found, points, corners, [va, vb, vc, vd]);
    }
  }
  return found;
}

/** One piece, or two where the corners' signs alternate: these are paired as the cell's middle says. */
function addPieces(found, points, corners, values) {
  const ends = [];
  for (let i = 0; i < 4; i++) {
    const j = (i + 1) % 4;
    if (values[i] > 0 === values[j] > 0) continue;
    const share = values[i] / (values[i] - values[j]), [from, to] = [2 * corners[i], 2 * corners[j]];
    ends.push([points[from] + share * (points[to] - points[from]), points[from + 1] + share * (points[to + 1] - points[from + 1])]);
  }
  if (ends.length < 2) return; // of ties
  const isTurned = ends.length === 4 && values[0] > 0 !== values.reduce((sum, value) => sum + value, 0) > 0;
  const order = ends.length === 2 ? [0, 1] : isTurned ? [0, 3, 1, 2] : [0, 1, 2, 3];
  for (const end of order) found.push(...ends[end]);
}

/** The lines on which a unit's pre-activation is zero. */
export function unitLines(grid, layer, unit) {
  const { z, width } = grid.states[layer];
  return levelLines(grid, (point) => z[point * width + unit]);
}

/** Where the output is zero, or the two largest outputs are equal. */
export function boundaryLines(grid) {
  const { z, width } = grid.states.at(-1);
  if (width === 1) return levelLines(grid, (point) => z[point]);
  const decided = decisions(z, width), found = [], { cells, points } = grid, side = cells + 1;
  const lead = (point, a, b) => z[point * width + a] - z[point * width + b];
  for (let row = 0; row < cells; row++) {
    for (let column = 0; column < cells; column++) {
      const a = row * side + column, corners = [a, a + 1, a + 1 + side, a + side];
      const classes = [...new Set(corners.map((point) => decided[point]))];
      if (classes.length === 2) addPieces(found, points, corners, corners.map((point) => lead(point, ...classes)));
      if (classes.length > 2) addStar(found, points, corners, decided, lead);
    }
  }
  return found;
}

/** Where three classes meet: from each side of a cell on which the class changes to the middle of these places. */
function addStar(found, points, corners, decided, lead) {
  const ends = [];
  corners.forEach((from, i) => {
    const to = corners[(i + 1) % 4], [a, b] = [decided[from], decided[to]];
    if (a === b) return;
    const share = lead(from, a, b) / (lead(from, a, b) - lead(to, a, b));
    ends.push([0, 1].map((axis) => points[2 * from + axis] + share * (points[2 * to + axis] - points[2 * from + axis])));
  });
  const middle = [0, 1].map((axis) => ends.reduce((sum, end) => sum + end[axis], 0) / ends.length);
  for (const end of ends) found.push(...end, ...middle);
}

/** The largest output at each point. */
export function decisions(z, width) {
  return Uint16Array.from({ length: z.length / width }, (_, point) => {
    let best = 0;
    for (let output = 1; output < width; output++) if (z[point * width + output] > z[point * width + best]) best = output;
    return best;
  });
}
