// Regions of the plane seen from above, filled and outlined: all corners are placed once, and nothing is made for each.

import { codeColors } from "./colors.mjs";
import { affineFill } from "./fill.mjs";

const SAME = 0.25; // pixels

/** How a picture of the plane lies on the canvas: x goes to left + x · scale, y to top - y · scale. */
export function placement(frame, camera) {
  const [left, top] = camera(...frame.inward(0, 0), 0), [right] = camera(...frame.inward(1, 0), 0);
  return { left, top, scale: right - left };
}

/** All corners of the regions on the canvas, one after the other. */
export function placedCorners({ corners }, { left, top, scale }) {
  const places = new Float64Array(corners.length);
  for (let i = 0; i < corners.length; i += 2) {
    places[i] = left + scale * corners[i];
    places[i + 1] = top - scale * corners[i + 1];
  }
  return places;
}

/** Fills every region: with the colour of its code, or with what its one output is there. */
export function fillPlane({ context, look, frame, camera }, regions, { color, scale }) {
  const { offsets, maps, codes, units } = regions, placed = placement(frame, camera), places = placedCorners(regions, placed);
  const byCode = color === "regions" ? codeColors(look) : null, map = new Float64Array(3);
  for (let face = 0; face < offsets.length - 1; face++) {
    const start = offsets[face], end = offsets[face + 1];
    if (byCode) context.fillStyle = byCode(codes, face * units, units);
    else {
      map[0] = maps[3 * face] / placed.scale;
      map[1] = -maps[3 * face + 1] / placed.scale;
      map[2] = maps[3 * face + 2] - map[0] * placed.left - map[1] * placed.top;
      context.fillStyle = affineFill(context, look, places, start, end, map, scale);
    }
    traceFace(context, places, start, end);
    context.fill();
  }
}

/** A closed path. Corners that lie on the one before are left out: Chromium fills half of a polygon that has such. */
export function traceFace(context, places, start, end) {
  let x = places[2 * start], y = places[2 * start + 1];
  context.beginPath();
  context.moveTo(x, y);
  for (let i = start + 1; i < end; i++) {
    const nextX = places[2 * i], nextY = places[2 * i + 1];
    if (Math.abs(nextX - x) + Math.abs(nextY - y) < SAME) continue;
    x = nextX;
    y = nextY;
    context.lineTo(x, y);
  }
  context.closePath();
}

/** Strokes straight pieces x, y, x, y of the plane as one path. */
export function tracePieces(context, pieces, { left, top, scale }) {
  for (let i = 0; i < pieces.length; i += 4) {
    context.moveTo(left + scale * pieces[i], top - scale * pieces[i + 1]);
    context.lineTo(left + scale * pieces[i + 2], top - scale * pieces[i + 3]);
  }
}
