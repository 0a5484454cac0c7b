// Faces filled exactly: an affine function on a flat piece is a linear gradient of the picture.

import { sideColor } from "./colors.mjs";

const FLAT = 1e-6;
const SMALL = 7; // pixels across: one colour will do

/** The gradient from -size to size of a function with given values at the projected corners of a piece. */
export function sideGradient(context, look, places, values, size) {
  if (isSmall(places)) return sideColor(look, values.reduce((sum, value) => sum + value, 0) / values.length / size);
  const slope = slopeOf(places, values);
  const steep = slope ? Math.hypot(...slope) : 0;
  if (steep < (FLAT * size) / 100) return sideColor(look, values[0] / size);
  const [nx, ny] = [slope[0] / steep, slope[1] / steep];
  const at = (value) => {
    const far = (value - values[0]) / steep;
    return [places[0][0] + far * nx, places[0][1] + far * ny];
  };
  const low = Math.min(...values), high = Math.max(...values);
  if (low >= size || high <= -size) return sideColor(look, low >= size ? 1 : -1);
  const gradient = context.createLinearGradient(...at(-size), ...at(size));
  gradient.addColorStop(0, look.side[0]);
  gradient.addColorStop(0.5, look.weak[0]);
  gradient.addColorStop(0.5, look.weak[1]);
  gradient.addColorStop(1, look.side[1]);
  return gradient;
}

function isSmall(places) {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of places) {
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < top) top = y;
    if (y > bottom) bottom = y;
  }
  return right - left < SMALL && bottom - top < SMALL;
}

/** The slope of the affine function in the picture, from the largest triangle of a fan; null for pieces seen edge-on. */
function slopeOf(places, values) {
  let most = FLAT, slope = null;
  const [x0, y0] = places[0];
  for (let i = 1; i + 1 < places.length; i++) {
    const [ax, ay] = [places[i][0] - x0, places[i][1] - y0];
    const [bx, by] = [places[i + 1][0] - x0, places[i + 1][1] - y0];
    const twice = ax * by - ay * bx;
    if (Math.abs(twice) <= most) continue;
    most = Math.abs(twice);
    const [a, b] = [values[i] - values[0], values[i + 1] - values[0]];
    slope = [(a * by - b * ay) / twice, (b * ax - a * bx) / twice];
  }
  return slope;
}
