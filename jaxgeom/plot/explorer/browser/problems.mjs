// Problems to learn on the square from -6 to 6: two classes, or a number between -1 and 1 at each point.

import { randomOf } from "./random.mjs";

export const SQUARE = [-6, -6, 6, 6];
const OUTER = 5; // how far points lie from the middle
const NEAR_AXES = 0.3; // where exclusive or has no points
const TURNS = 1.75; // of a spiral
const BUMPS = [[-4, 2.5, 1], [0, 2.5, -1], [4, 2.5, 1], [-4, -2.5, -1], [0, -2.5, 1], [4, -2.5, -1]]; // x, y, sign
const WIDE = 2.5; // of a bump

const inSquare = ({ uniform }) => [OUTER * (2 * uniform() - 1), OUTER * (2 * uniform() - 1)];
const onCircle = ({ uniform }, least, most) => {
  const far = least + (most - least) * uniform(), angle = 2 * Math.PI * uniform();
  return [far * Math.cos(angle), far * Math.sin(angle)];
};

/** What each problem is called, and a function that gives a point: [x, y, label or target]; `label` says whose turn it is. */
const PROBLEMS = {
  circles: ["Circles", (random, label) => [...(label ? onCircle(random, 0, 0.5 * OUTER) : onCircle(random, 0.7 * OUTER, OUTER)), label]],
  xor: ["Exclusive or", (random) => {
    const [x, y] = inSquare(random).map((value) => value + NEAR_AXES * Math.sign(value));
    return [x, y, x * y > 0 ? 1 : 0];
  }],
  gaussians: ["Gaussians", (random, label) => [0, 1].map(() => (label ? 2 : -2) + random.normal()).concat(label)],
  spirals: ["Spirals", (random, label, share) => {
    const angle = 2 * Math.PI * (TURNS * share + label / 2);
    return [OUTER * share * Math.sin(angle), OUTER * share * Math.cos(angle), label];
  }],
  plane: ["Plane", (random) => {
    const [x, y] = inSquare(random);
    return [x, y, (x + y) / (2 * OUTER)];
  }, "target"],
  bumps: ["Bumps", (random) => {
    const [x, y] = inSquare(random);
    const heights = BUMPS.map(([cx, cy, sign]) => sign * Math.max(0, 1 - Math.hypot(x - cx, y - cy) / WIDE));
    return [x, y, heights.reduce((most, height) => (Math.abs(height) > Math.abs(most) ? height : most))];
  }, "target"],
};

/** Names of all problems with what they are called. */
export const problemNames = () => Object.entries(PROBLEMS).map(([name, [text]]) => [name, text]);

/** Points {x, y, classes, domain} of a problem; `noise` is a share, of how far points lie from the middle, of what is added. */
export function problem(name, num, noise, seed) {
  const [, pointOf, kind] = PROBLEMS[name], random = randomOf(seed), x = new Float32Array(2 * num), y = new Float32Array(num);
  for (let point = 0; point < num; point++) {
    const [right, up, target] = pointOf(random, point % 2, (point - (point % 2) + 1) / num);
    x[2 * point] = right + noise * OUTER * (2 * random.uniform() - 1);
    x[2 * point + 1] = up + noise * OUTER * (2 * random.uniform() - 1);
    y[point] = target;
  }
  return { x, y, classes: kind === "target" ? null : [0, 1], domain: SQUARE };
}
