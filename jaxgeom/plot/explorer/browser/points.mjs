// Colours of the data: by class, by target, or, of points alone, by where they are in the input.

import { channels, classPoint, mixed, oklab } from "./colors.mjs";

let known = { look: null, data: null, colors: {} };

/** One colour for each point of a set, "data" or "test". */
export function pointColors(population, look, set = "data") {
  const data = population.arrays["data/x"];
  if (known.look !== look || known.data !== data) known = { look, data, colors: {} };
  return (known.colors[set] ??= found(population, look, set));
}

function found(population, look, set) {
  const x = population.arrays[`${set}/x`], y = population.arrays[`${set}/y`], { inputs, classes } = population;
  if (!x) return [];
  if (!y) {
    const all = Array.from({ length: x.length / inputs }, (_, point) => x.subarray(point * inputs, (point + 1) * inputs));
    return all.map((place) => placeColor(place, population.domain, look));
  }
  if (!classes) {
    const [low, high] = extent(population.arrays["data/y"]), share = (target) => (target - low) / (high - low || 1);
    return Array.from(y, (target) => targetColor(look, Math.max(0, Math.min(1, share(target)))));
  }
  return Array.from(y, (label) => (classes.length <= 2 ? look.strong[label] : classPoint(look, label)));
}

export function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return [low, high];
}

/** From one strong colour to the other, pale in the middle; the same for readers who do not see red and green apart. */
export function targetColor(look, share) {
  const middle = mixed(look.paper, look.ink, 0.28);
  const hex = `#${middle.match(/\d+/g).map((value) => Number(value).toString(16).padStart(2, "0")).join("")}`;
  return share < 0.5 ? mixed(look.strong[0], hex, 2 * share) : mixed(hex, look.strong[1], 2 * share - 1);
}

/** The colour of a place: its hue goes round the middle, pale there, and what is higher is lighter. */
export function placeColor(place, domain, look) {
  const dim = domain.length / 2;
  const [u, v] = Array.from({ length: Math.min(2, dim) }, (_, axis) => {
    const [low, high] = [domain[axis], domain[dim + axis]];
    return Math.max(-1, Math.min(1, (2 * (place[axis] - low)) / (high - low) - 1));
  });
  if (dim === 1) return targetColor(look, (u + 1) / 2);
  const far = Math.min(1, Math.hypot(u, v)) ** 0.5, isDark = channels(look.paper)[0] < 128;
  return oklab((isDark ? 0.7 : 0.6) + 0.16 * v, 0.04 + 0.12 * far, Math.atan2(v, u));
}
