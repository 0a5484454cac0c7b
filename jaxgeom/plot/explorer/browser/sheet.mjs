// A sheet of convex pieces over the plane, those behind painted first, and what lies on it: lines, each right after the
// last piece under it, so that the parts of the sheet in front of it hide it, and points, which are seen or not.

const BUCKETS = 24; // along each side of a box, to find pieces by place
const ON_LINE = 1e-6; // of the box: what is on a line between two pieces lies on both

/** Numbers of polygons by place: a function of a place that gives those whose bounding boxes, widened by `reach`, hold it. */
function index(polygons, [x0, y0, x1, y1], reach) {
  const bucketOf = (value, low, high) => Math.max(0, Math.min(BUCKETS - 1, Math.floor((BUCKETS * (value - low)) / (high - low))));
  const buckets = Array.from({ length: BUCKETS ** 2 }, () => []);
  polygons.forEach((corners, number) => {
    let [left, bottom, right, top] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const [x, y] of corners) {
      [left, right] = [Math.min(left, x), Math.max(right, x)];
      [bottom, top] = [Math.min(bottom, y), Math.max(top, y)];
    }
    const last = [bucketOf(right + reach, x0, x1), bucketOf(top + reach, y0, y1)];
    for (let row = bucketOf(bottom - reach, y0, y1); row <= last[1]; row++) {
      for (let column = bucketOf(left - reach, x0, x1); column <= last[0]; column++) buckets[row * BUCKETS + column].push(number);
    }
  });
  return ([x, y]) => buckets[bucketOf(y, y0, y1) * BUCKETS + bucketOf(x, x0, x1)];
}

/** Whether a place is at most so far outside of each edge of a counter-clockwise polygon. */
function isWithin(corners, [x, y], reach) {
  return corners.every(([fromX, fromY], i) => {
    const [toX, toY] = corners[(i + 1) % corners.length], dx = toX - fromX, dy = toY - fromY;
    return dx * (y - fromY) - dy * (x - fromX) >= -reach * Math.hypot(dx, dy);
  });
}

/** Whether a polygon of any shape covers a place: an odd number of its edges pass to the right of it. */
function covers(corners, [x, y]) {
  let isInside = false;
  corners.forEach(([fromX, fromY], i) => {
    const [toX, toY] = corners[(i + 1) % corners.length];
    if (fromY > y !== toY > y && x < fromX + ((y - fromY) / (toY - fromY)) * (toX - fromX)) isInside = !isInside;
  });
  return isInside;
}

/** Of places in the plane, the rank of the last piece under each. Beside the box all pieces are in front of a place, -1, or
 * none is, Infinity: they would be further `away`, the way the reader looks. */
function ranksOf(places, pieces, rank, box, away) {
  const reach = ON_LINE * Math.max(box[2] - box[0], box[3] - box[1]);
  const near = index(pieces.map(({ corners }) => corners), box, reach);
  return places.map((at) => {
    const under = near(at).filter((piece) => isWithin(pieces[piece].corners, at, reach));
    return under.length ? Math.max(...under.map((piece) => rank[piece])) : isBefore(at, box, away) ? Infinity : -1;
  });
}

/** Whether the box is further away than a place beside it, along the line on which the reader looks at it. */
function isBefore(at, box, away) {
  let [low, high] = [-Infinity, Infinity];
  for (const axis of [0, 1]) {
    const ends = [box[axis], box[axis + 2]].map((end) => (end - at[axis]) / away[axis]).sort((a, b) => a - b);
    [low, high] = [Math.max(low, ends[0]), Math.min(high, ends[1])];
  }
  return low + high > 0;
}

/** Paints pieces {corners, places} in an order, and on them `lines` {at: [x, y], paint} and `points` {at, place, paint}: a
 * point is seen whole, if no piece in front of it covers its middle, or not at all. `size` is the picture's. */
export function paintSheet(pieces, order, paintPiece, { lines, points }, { box, away, size }) {
  const rank = new Int32Array(pieces.length), after = pieces.map(() => []), first = [], last = [];
  order.forEach((piece, place) => (rank[piece] = place));
  const ranks = ranksOf([...lines, ...points].map(({ at }) => at), pieces, rank, box, away);
  lines.forEach((line, i) => (ranks[i] === Infinity ? last : (after[ranks[i]] ?? first)).push(line));
  first.forEach(({ paint }) => paint());
  order.forEach((piece, place) => {
    paintPiece(piece);
    after[place].forEach(({ paint }) => paint());
  });
  last.forEach(({ paint }) => paint());
  seenOf(points, ranks.slice(lines.length), pieces, rank, size).forEach(({ paint }) => paint());
}

/** The points that no piece after those under them hides, those behind first. */
function seenOf(points, ranks, pieces, rank, size) {
  const near = index(pieces.map(({ places }) => places), [0, 0, size, size], 0);
  const isHidden = ({ place }, i) => near(place).some((piece) => rank[piece] > ranks[i] && covers(pieces[piece].places, place));
  return points.filter((point, i) => !isHidden(point, i)).sort((a, b) => b.place[2] - a.place[2]);
}
