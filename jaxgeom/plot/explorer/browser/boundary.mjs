// The decision boundary inside of each region: where the output is zero, or the two largest outputs are equal.

/** Straight pieces x, y, x, y, one after the other. */
export function decisionBoundary(regions) {
  const { outputs, maps } = regions, found = [];
  for (let face = 0; face < regions.offsets.length - 1; face++) {
    const at = (output) => maps.subarray(3 * (face * outputs + output), 3 * (face * outputs + output) + 3);
    if (outputs === 1) addSegment(found, crossing(regions, face, at(0)));
    for (let a = 0; a < outputs; a++) {
      for (let b = a + 1; b < outputs; b++) {
        let segment = crossing(regions, face, minus(at(a), at(b)));
        for (let c = 0; segment && c < outputs; c++) {
          if (c !== a && c !== b) segment = clipped(segment, minus(at(a), at(c)));
        }
        addSegment(found, segment);
      }
    }
  }
  return found;
}

const minus = (first, second) => [first[0] - second[0], first[1] - second[1], first[2] - second[2]];
const valueAt = (map, x, y) => map[0] * x + map[1] * y + map[2];

function addSegment(found, segment) {
  if (segment) found.push(...segment);
}

/** Where a map is zero in a face: from one edge to another. */
function crossing({ offsets, corners }, face, map) {
  const start = offsets[face], end = offsets[face + 1], ends = [];
  let x = corners[2 * end - 2], y = corners[2 * end - 1], value = valueAt(map, x, y);
  for (let i = start; i < end; i++) {
    const nextX = corners[2 * i], nextY = corners[2 * i + 1], next = valueAt(map, nextX, nextY);
    if (value > 0 !== next > 0) {
      const share = value / (value - next);
      ends.push(x + share * (nextX - x), y + share * (nextY - y));
    }
    [x, y, value] = [nextX, nextY, next];
  }
  return ends.length === 4 ? ends : null;
}

/** The part of a segment where a map is not negative. */
function clipped([x0, y0, x1, y1], map) {
  const start = valueAt(map, x0, y0), end = valueAt(map, x1, y1);
  if (start < 0 && end < 0) return null;
  if (start >= 0 && end >= 0) return [x0, y0, x1, y1];
  const share = start / (start - end), x = x0 + share * (x1 - x0), y = y0 + share * (y1 - y0);
  return start >= 0 ? [x0, y0, x, y] : [x, y, x1, y1];
}
