// In which order the pieces of a sheet are painted: those behind first.

const FINE = 1e6; // parts of a unit by which midpoints of edges are told apart

/** Pairs of pieces with an edge in common: [first, second, normal x, normal y], the normal pointing to the second. */
export function neighboursOf(pieces) {
  const open = new Map(), pairs = [], nameOf = (u, v) => `${u},${v}`;
  const join = (other, piece, i) => {
    const { corners } = pieces[piece], [x0, y0] = corners[i], [x1, y1] = corners[(i + 1) % corners.length];
    const [x, y] = middleOf(corners), side = (y0 - y1) * (x - x0) + (x1 - x0) * (y - y0) > 0 ? 1 : -1;
    pairs.push([other, piece, side * (y0 - y1), side * (x1 - x0)]);
  };
  pieces.forEach(({ corners }, piece) => {
    corners.forEach(([x0, y0], i) => {
      const [x1, y1] = corners[(i + 1) % corners.length], u = Math.round(FINE * (x0 + x1)), v = Math.round(FINE * (y0 + y1));
      const name = nameOf(u, v), other = open.get(name);
      if (other === undefined) return open.set(name, { piece, i, u, v });
      open.delete(name);
      join(other.piece, piece, i);
    });
  });
  for (const [name, { piece, i, u, v }] of open) { // rounded apart, or on the border
    for (let near = 0; near < 9; near++) {
      const beside = nameOf(u - 1 + (near % 3), v - 1 + Math.floor(near / 3)), other = open.get(beside);
      if (other === undefined || other.piece === piece) continue;
      open.delete(beside);
      open.delete(name);
      join(other.piece, piece, i);
      break;
    }
  }
  return pairs;
}

function middleOf(corners) {
  const sum = corners.reduce(([a, b], [x, y]) => [a + x, b + y], [0, 0]);
  return [sum[0] / corners.length, sum[1] / corners.length];
}

/** Numbers of the pieces, each after its neighbours behind it: `away` is where the reader looks, in the plane. Convex pieces
 * of a plane have such an order in every direction; their middles alone do not give it. `depth` decides between the others. */
export function paintOrder(pieces, pairs, away) {
  const behind = pieces.map(() => []), seen = new Uint8Array(pieces.length), order = [];
  for (const [first, second, x, y] of pairs) {
    const far = x * away[0] + y * away[1];
    if (far > 0) behind[first].push(second);
    else if (far < 0) behind[second].push(first);
  }
  const start = pieces.map((_, piece) => piece).sort((a, b) => pieces[b].depth - pieces[a].depth);
  for (const piece of start) {
    const stack = seen[piece] ? [] : [piece];
    while (stack.length) {
      const top = stack.at(-1);
      if (!seen[top]) {
        seen[top] = 1;
        for (const other of behind[top]) if (!seen[other]) stack.push(other);
      } else {
        stack.pop();
        if (seen[top] === 1) order.push(top);
        seen[top] = 2;
      }
    }
  }
  return order;
}
