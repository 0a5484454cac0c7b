// What a smooth network computes over the plane: a picture of it, and, lifted, a sheet of small quadrangles.

import { classTint, codeColors, sideColor, sideTable, toneOf } from "./colors.mjs";
import { firstHidden } from "./network.mjs";
import { neighboursOf, paintOrder } from "./order.mjs";
import { partsOf, valueAt } from "./parts.mjs";
import { placeColor } from "./points.mjs";

const FINER = 4; // pixels of the picture for each cell of the grid
const COARSE = 3; // the same of a unit, which has to be there within a frame of the screen
const QUADRANGLES = 36; // along each side of the sheet
const BELOW = -1 / 128; // of the scale: a colour of the side below zero

/** Numbers of the grid's points, `width` each, between them: rows from the top to the bottom. */
function refined(grid, values, width, finer = FINER) {
  const { cells } = grid, side = cells + 1, across = cells * finer, found = new Float32Array(across * across * width);
  for (let row = 0; row < across; row++) {
    const y = cells - (row + 0.5) / finer, below = Math.min(cells - 1, Math.floor(y)), v = y - below;
    for (let column = 0; column < across; column++) {
      const x = (column + 0.5) / finer, left = Math.min(cells - 1, Math.floor(x)), u = x - left;
      const a = (below * side + left) * width, b = a + side * width, place = (row * across + column) * width;
      for (let i = 0; i < width; i++) {
        const low = values[a + i] + u * (values[a + width + i] - values[a + i]);
        const high = values[b + i] + u * (values[b + width + i] - values[b + i]);
        found[place + i] = low + v * (high - low);
      }
    }
  }
  return found;
}

const channelsOf = (text) => text.match(/\d+/g).map(Number);

/** A function of a pixel that gives its colour. */
function painter(grid, { look, color, scale }) {
  if (color === "regions") {
    const hidden = grid.states.slice(firstHidden(grid.layers), -1).map(({ z, width }) => ({ width, z: refined(grid, z, width) }));
    const units = hidden.reduce((sum, { width }) => sum + width, 0), code = new Uint8Array(units), known = new Map();
    const byCode = codeColors(look);
    return (pixel) => {
      let unit = 0, name = 0;
      for (const { z, width } of hidden) {
        for (let i = 0; i < width; i++) {
          code[unit] = z[pixel * width + i] > 0 ? 1 : 0;
          name = (name * 31 + code[unit++] + 1) % 2147483647;
        }
      }
      return known.get(name) ?? known.set(name, channelsOf(byCode(code, 0, units))).get(name);
    };
  }
  const { z, width } = grid.states.at(-1), values = refined(grid, z, width), table = sideTable(look).channels;
  if (width === 1) return (pixel) => table[toneOf(values[pixel] / scale)];
  const tints = Array.from({ length: width }, (_, output) => channelsOf(classTint(look, output, 0.4)));
  return (pixel) => {
    let best = 0;
    for (let output = 1; output < width; output++) if (values[pixel * width + output] > values[pixel * width + best]) best = output;
    return tints[best];
  };
}

/** The plane as a picture. */
export function drawField(view, grid, options) {
  drawPicture(view, grid.box, grid.cells * FINER, painter(grid, options));
}

/** What one unit gives, an input, a feature or an output, over the plane, from its largest size below zero to that above. */
export function drawUnit(view, grid, { layer, unit }, look) {
  const { a, width } = layer < 0 ? { a: grid.points, width: 2 } : grid.states[layer];
  const own = Float64Array.from({ length: a.length / width }, (_, point) => a[point * width + unit]);
  const size = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const values = refined(grid, own, 1, COARSE), table = sideTable(look).channels;
  drawPicture(view, grid.box, grid.cells * COARSE, (pixel) => table[toneOf(values[pixel] / size)]);
}

const PLACES = 96; // pixels along each side of a picture of the plane's own colours

/** The plane in the colours of its places. */
export function drawPlaces(view, box, look) {
  const [x0, y0, x1, y1] = box;
  drawPicture(view, box, PLACES, (pixel) => {
    const [column, row] = [pixel % PLACES, Math.floor(pixel / PLACES)];
    const place = [x0 + ((column + 0.5) / PLACES) * (x1 - x0), y1 - ((row + 0.5) / PLACES) * (y1 - y0)];
    return channelsOf(placeColor(place, box, look));
  });
}

function drawPicture({ context, frame, camera }, [x0, y0, x1, y1], across, colorOf) {
  const canvas = Object.assign(document.createElement("canvas"), { width: across, height: across });
  const own = canvas.getContext("2d"), image = own.createImageData(across, across);
  for (let pixel = 0; pixel < across * across; pixel++) {
    image.data.set(colorOf(pixel), 4 * pixel);
    image.data[4 * pixel + 3] = 255;
  }
  own.putImageData(image, 0, 0);
  const [left, top] = camera(...frame.inward(x0, y1), 0), [right, bottom] = camera(...frame.inward(x1, y0), 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(canvas, left, top, right - left, bottom - top);
}

/** Pieces {corners, places, color} of the graph of the largest output, those behind first, as `away` says, the way the reader
 * looks: quadrangles, all alike, so that one corner gives their order; where the decision changes, they are cut, and where a
 * single output is zero, along the line that the grid's cells have there. */
export function quadrangles({ frame, camera, height }, grid, { look, scale }, away) {
  const { cells, points, states } = grid, side = cells + 1, step = cells / QUADRANGLES, found = [];
  const { z, width } = states.at(-1), tint = Array.from({ length: width }, (_, output) => classTint(look, output, 0.4));
  const piece = (corners, values, color) => {
    const places = corners.map(([x, y], i) => camera(...frame.inward(x, y), height(values[i])));
    return { corners, places, color, depth: places.reduce((sum, place) => sum + place[2], 0) / places.length };
  };
  for (let row = 0; row < cells; row += step) {
    for (let column = 0; column < cells; column += step) {
      const a = row * side + column, around = [a, a + step, a + step * (side + 1), a + step * side];
      const corners = around.map((point) => [points[2 * point], points[2 * point + 1]]);
      const outputs = around.map((point) => z.subarray(point * width, (point + 1) * width)), tops = outputs.map((each) => Math.max(...each));
      const best = outputs.map((each, i) => each.indexOf(tops[i])), far = corners[0][0] * away[0] + corners[0][1] * away[1];
      const middle = tops.reduce((sum, value) => sum + value, 0) / 4;
      const cut = width === 1 ? zeroParts(grid, a, step) : [];
      if (cut.length) {
        const pieces = cut.map(({ side: isAbove, corners: part, values }) => {
          const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
          const drawn = piece(part, values, sideColor(look, isAbove ? Math.max(mean, 0) / scale : Math.min(mean / scale, BELOW)));
          return { ...drawn, rim: rimOf(part, corners) };
        });
        found.push({ far, pieces: paintOrder(pieces, neighboursOf(pieces), away).map((number) => pieces[number]) });
        continue;
      }
      if (best.every((each) => each === best[0])) {
        found.push({ far, pieces: [piece(corners, tops, width > 1 ? tint[best[0]] : sideColor(look, middle / scale))] });
        continue;
      }
      const triangles = trianglesOf(corners, outputs);
      const pieces = partsOf(triangles).map(({ face, output, corners: part }) =>
        piece(part, part.map(([x, y]) => valueAt(triangles, face, output, x, y)), tint[output]),
      );
      found.push({ far, pieces: paintOrder(pieces, neighboursOf(pieces), away).map((number) => pieces[number]) });
    }
  }
  return found.sort((a, b) => b.far - a.far).flatMap(({ pieces }) => pieces);
}

/** The cells of a quadrangle, cut where the output is zero, as {side, corners, values}; none if it is not. Parts are convex, and
 * between them run the pieces of `levelLines`. */
function zeroParts({ cells, points, states }, first, step) {
  const { z } = states.at(-1), side = cells + 1, found = [];
  const all = Array.from({ length: (step + 1) ** 2 }, (_, i) => z[first + (i % (step + 1)) + side * Math.floor(i / (step + 1))] > 0);
  if (all.every((isAbove) => isAbove === all[0])) return found;
  for (let cell = 0; cell < step ** 2; cell++) {
    const a = first + (cell % step) + side * Math.floor(cell / step), around = [a, a + 1, a + 1 + side, a + side];
    const ends = around.flatMap((from, i) => {
      const to = around[(i + 1) % 4], here = { at: [points[2 * from], points[2 * from + 1]], value: z[from], isAbove: z[from] > 0 };
      if (here.isAbove === z[to] > 0) return [here];
      const share = z[from] / (z[from] - z[to]);
      const at = here.at.map((value, axis) => value + share * (points[2 * to + axis] - value));
      return [here, { at, value: 0, isZero: true }];
    });
    const isMiddle = around.reduce((sum, point) => sum + z[point], 0) > 0, isSaddle = ends.length === 8;
    const add = (isAbove, part) => part.length > 2
      && found.push({ side: isAbove, corners: part.map(({ at }) => at), values: part.map(({ value }) => value) });
    for (const isAbove of [true, false]) {
      if (!isSaddle || isAbove === isMiddle) add(isAbove, ends.filter((end) => end.isZero || end.isAbove === isAbove));
      else ends.forEach((end, i) => end.isAbove === isAbove && add(isAbove, [ends.at(i - 1), end, ends[(i + 1) % 8]]));
    }
  }
  return found;
}

/** Pairs of neighbouring corners of a part that lie on the same side of a quadrangle: where the mesh is drawn. */
function rimOf(part, [[x0, y0], , [x1, y1]]) {
  return part.flatMap(([x, y], i) => {
    const next = (i + 1) % part.length, [u, v] = part[next];
    return (x === u && (x === x0 || x === x1)) || (y === v && (y === y0 || y === y1)) ? [[i, next]] : [];
  });
}

/** A quadrangle as two triangles, on each of which outputs, given at its corners, are affine: regions as those of regions.mjs. */
function trianglesOf(corners, outputs) {
  const maps = [[0, 1, 2], [0, 2, 3]].flatMap((ends) => {
    const [[x0, y0], [x1, y1], [x2, y2]] = ends.map((end) => corners[end]), twice = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
    return Array.from(outputs[0], (_, output) => {
      const [v0, v1, v2] = ends.map((end) => outputs[end][output]);
      const gx = ((v1 - v0) * (y2 - y0) - (v2 - v0) * (y1 - y0)) / twice, gy = ((v2 - v0) * (x1 - x0) - (v1 - v0) * (x2 - x0)) / twice;
      return [gx, gy, v0 - gx * x0 - gy * y0];
    }).flat();
  });
  return { offsets: [0, 3, 6], corners: [0, 1, 2, 0, 2, 3].flatMap((end) => corners[end]), maps, outputs: outputs[0].length };
}
