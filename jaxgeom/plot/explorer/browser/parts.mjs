// Regions parted further by the class that is decided: convex pieces on each of which one output is the largest.

const ZERO = 1e-6; // of the height of a sheet: along a decision boundary two outputs are equal up to rounding

/** Pieces {face, output, corners: [[x, y], …]}; of a single output, the regions themselves. */
export function partsOf(regions) {
  const { offsets, corners, maps, outputs } = regions, found = [];
  for (let face = 0; face < offsets.length - 1; face++) {
    const polygon = [];
    for (let i = offsets[face]; i < offsets[face + 1]; i++) polygon.push([corners[2 * i], corners[2 * i + 1]]);
    if (outputs === 1) {
      found.push({ face, output: 0, corners: polygon });
      continue;
    }
    for (let output = 0; output < outputs; output++) {
      let piece = polygon;
      for (let other = 0; other < outputs && piece.length; other++) {
        if (other !== output) piece = positivePart(piece, difference(maps, face * outputs, output, other));
      }
      if (piece.length > 2) found.push({ face, output, corners: piece });
    }
  }
  return found;
}

/** Pieces cut further where their values pass two levels: on each, values held between these are affine. */
export function heldParts(regions, [low, high]) {
  return partsOf(regions).flatMap(({ face, output, corners }) => {
    const row = 3 * (face * regions.outputs + output), [a, b, c] = regions.maps.subarray(row, row + 3);
    const within = positivePart(positivePart(corners, [a, b, c - low]), [-a, -b, high - c]);
    return [within, positivePart(corners, [a, b, c - high]), positivePart(corners, [-a, -b, low - c])]
      .filter((piece) => piece.length > 2)
      .map((piece) => ({ face, output, corners: piece }));
  });
}

/** Straight pieces x, y, x, y cut where the largest output changes or passes one of two levels, given the `width` outputs `z` of
 * their ends, between which they are affine: {corners, values} of the ends of all parts. */
export function heldPieces(pieces, { z, width }, levels) {
  const corners = [], values = [];
  for (let end = 0; end < pieces.length / 2; end += 2) {
    const [from, to] = [z.subarray(end * width, (end + 1) * width), z.subarray((end + 1) * width, (end + 2) * width)];
    const shares = [0, ...changesOf(from, to, levels), 1].flatMap((share, i, all) => (i && i < all.length - 1 ? [share, share] : [share]));
    for (const share of shares) {
      corners.push(...[0, 1].map((axis) => pieces[2 * end + axis] + share * (pieces[2 * end + 2 + axis] - pieces[2 * end + axis])));
      values.push(Math.max(...from.map((value, output) => value + share * (to[output] - value))));
    }
  }
  return { corners, values };
}

/** Where on the way between two rows of outputs two of them are equal, or one passes a level. */
function changesOf(from, to, levels) {
  const found = [], zero = ZERO * (levels[1] - levels[0]);
  const cross = (a, b) => a * b < 0 && Math.min(Math.abs(a), Math.abs(b)) > zero && found.push(a / (a - b));
  from.forEach((value, output) => {
    for (const level of levels) cross(value - level, to[output] - level);
    for (let other = 0; other < output; other++) cross(value - from[other], to[output] - to[other]);
  });
  return found.sort((a, b) => a - b);
}

function difference(maps, row, output, other) {
  return [0, 1, 2].map((place) => maps[3 * (row + output) + place] - maps[3 * (row + other) + place]);
}

function positivePart(polygon, [a, b, c]) {
  const found = [];
  const values = polygon.map(([x, y]) => a * x + b * y + c);
  polygon.forEach(([x, y], i) => {
    const j = (i + 1) % polygon.length;
    if (values[i] >= 0) found.push([x, y]);
    if (values[i] * values[j] < 0) {
      const share = values[i] / (values[i] - values[j]);
      found.push([x + share * (polygon[j][0] - x), y + share * (polygon[j][1] - y)]);
    }
  });
  return found;
}

/** The value of an output of a face. */
export function valueAt({ maps, outputs }, face, output, x, y) {
  const row = 3 * (face * outputs + output);
  return maps[row] * x + maps[row + 1] * y + maps[row + 2];
}
