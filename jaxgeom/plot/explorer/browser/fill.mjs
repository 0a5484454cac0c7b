// Faces filled exactly: an affine function on a flat piece is a linear gradient of the picture.

import { sideColor } from "./colors.mjs";

const FLAT = 1e-6;
const SMALL = 7; // pixels across: one colour will do
const TONE = 1 / 128; // of the largest value: what lies within has one colour of 256

/** The fill of a piece with the corners `start` to `end` of x, y, x, y, … where a function is map · (x, y, 1). */
export function affineFill(context, look, places, start, end, map, size) {
  let left = Infinity, right = -Infinity, top = Infinity, bottom = -Infinity, low = Infinity, high = -Infinity, sum = 0;
  for (let i = 2 * start; i < 2 * end; i += 2) {
    const x = places[i], y = places[i + 1], value = map[0] * x + map[1] * y + map[2];
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < top) top = y;
    if (y > bottom) bottom = y;
    if (value < low) low = value;
    if (value > high) high = value;
    sum += value;
  }
  const isSmall = right - left < SMALL && bottom - top < SMALL;
  if (isSmall || high - low < TONE * size) return sideColor(look, sum / (end - start) / size);
  if (low >= size || high <= -size) return sideColor(look, low >= size ? 1 : -1);
  const x = places[2 * start], y = places[2 * start + 1];
  return gradient(context, look, x, y, map[0] * x + map[1] * y + map[2], map[0], map[1], low, high, size);
}

/** The fill of a function with given values at the projected corners of a piece. */
export function sideGradient(context, look, places, values, size) {
  if (isSmall(places)) return sideColor(look, values.reduce((sum, value) => sum + value, 0) / values.length / size);
  const slope = slopeOf(places, values);
  const steep = slope ? Math.hypot(...slope) : 0;
  if (steep < (FLAT * size) / 100) return sideColor(look, values[0] / size);
  const low = Math.min(...values), high = Math.max(...values);
  if (low >= size || high <= -size) return sideColor(look, low >= size ? 1 : -1);
  const [[x, y]] = places; // a third number is the depth
  return gradient(context, look, x, y, values[0], ...slope, low, high, size);
}

/** From -size to size, with as many stops as there are between `low` and `high`. */
function gradient(context, look, x, y, value, slopeX, slopeY, low, high, size) {
  const steep = slopeX * slopeX + slopeY * slopeY, from = low >= 0 ? 0 : -size, to = high <= 0 ? 0 : size;
  const first = (from - value) / steep, last = (to - value) / steep;
  const found = context.createLinearGradient(x + first * slopeX, y + first * slopeY, x + last * slopeX, y + last * slopeY);
  if (low < 0) {
    found.addColorStop(0, look.side[0]);
    found.addColorStop(high <= 0 ? 1 : 0.5, look.weak[0]);
  }
  if (high > 0) {
    found.addColorStop(low >= 0 ? 0 : 0.5, look.weak[1]);
    found.addColorStop(1, look.side[1]);
  }
  return found;
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
