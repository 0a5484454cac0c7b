// A sheet of convex pieces over the plane, those behind painted first, and what lies on it: lines and points, which come
// right after the last piece under them, so that the parts of the sheet in front of them hide them.

const BUCKETS = 24; // along each side of the box, to find pieces by place

/** For each of some places [x, y], the numbers of the pieces {corners} that it lies in, or at most `reach` beside; less
 * where a piece is steep and looks larger in the picture than from above, `stretches` times. */
export function piecesUnder(pieces, places, reach, [x0, y0, x1, y1], stretches) {
  const bucketOf = (value, low, high) => Math.max(0, Math.min(BUCKETS - 1, Math.floor((BUCKETS * (value - low)) / (high - low))));
  const buckets = Array.from({ length: BUCKETS ** 2 }, () => []);
  pieces.forEach(({ corners }, piece) => {
    let [left, bottom, right, top] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const [x, y] of corners) {
      [left, right] = [Math.min(left, x), Math.max(right, x)];
      [bottom, top] = [Math.min(bottom, y), Math.max(top, y)];
    }
    const last = [bucketOf(right + reach, x0, x1), bucketOf(top + reach, y0, y1)];
    for (let row = bucketOf(bottom - reach, y0, y1); row <= last[1]; row++) {
      for (let column = bucketOf(left - reach, x0, x1); column <= last[0]; column++) buckets[row * BUCKETS + column].push(piece);
    }
  });
  return places.map(([x, y]) =>
    buckets[bucketOf(y, y0, y1) * BUCKETS + bucketOf(x, x0, x1)].filter((piece) => isWithin(pieces[piece].corners, x, y, reach / stretches[piece])),
  );
}

/** Whether a place is at most so far outside of each edge of a counter-clockwise polygon. */
function isWithin(corners, x, y, reach) {
  return corners.every(([fromX, fromY], i) => {
    const [toX, toY] = corners[(i + 1) % corners.length], dx = toX - fromX, dy = toY - fromY;
    return dx * (y - fromY) - dy * (x - fromX) >= -reach * Math.hypot(dx, dy);
  });
}

/** How many times as large pieces {corners, places} look as from above, where the plane has so many pixels a unit; at least 1. */
export function stretchesOf(pieces, pixels) {
  return pieces.map(({ corners, places }) => Math.max(1, areaOf(places) / (pixels ** 2 * areaOf(corners)) || 1));
}

const areaOf = (corners) =>
  Math.abs(corners.reduce((sum, [x, y], i) => sum + x * corners[(i + 1) % corners.length][1] - y * corners[(i + 1) % corners.length][0], 0)) / 2;

/** Paints pieces in an order, each followed by the items {at: [x, y], reach, paint} that lie on it and on no later one.
 * Items beside the sheet come before it if they are behind its middle, as `away` says, the way the reader looks; else after it. */
export function paintSheet(pieces, order, paintPiece, items, { box, away, pixels }) {
  const stretches = stretchesOf(pieces, pixels), rank = new Int32Array(pieces.length), after = pieces.map(() => []), first = [], last = [];
  order.forEach((piece, place) => (rank[piece] = place));
  for (const reach of new Set(items.map((item) => item.reach))) {
    const those = items.filter((item) => item.reach === reach);
    const under = piecesUnder(pieces, those.map(({ at }) => at), reach, box, stretches);
    those.forEach((item, i) => {
      item.rank = under[i].reduce((most, piece) => Math.max(most, rank[piece]), -1);
    });
  }
  for (const item of items) {
    const far = (item.at[0] - (box[0] + box[2]) / 2) * away[0] + (item.at[1] - (box[1] + box[3]) / 2) * away[1];
    (item.rank >= 0 ? after[item.rank] : far > 0 ? first : last).push(item);
  }
  first.forEach(({ paint }) => paint());
  order.forEach((piece, place) => {
    paintPiece(piece);
    after[place].forEach(({ paint }) => paint());
  });
  last.forEach(({ paint }) => paint());
}
