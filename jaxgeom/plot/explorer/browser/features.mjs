// Features of a point that a network takes in place of its coordinates: x1, x1^2, x1*x2, sin(x1), …, by these names.

const KINDS = [ // how names of a kind look, the value of one, and how it is written in formulas
  [/^x(\d)$/, (x) => x, (x) => x],
  [/^x(\d)\^2$/, (x) => x * x, (x) => `${x}²`],
  [/^x(\d)\*x(\d)$/, (x, y) => x * y, (x, y) => `${x}${y}`],
  [/^sin\(x(\d)\)$/, (x) => Math.sin(x), (x) => `sin ${x}`],
];
const SUBSCRIPTS = "₀₁₂₃";

/** Names of all features of points of one to three coordinates. */
export function featureNames(dim) {
  const axes = Array.from({ length: dim }, (_, axis) => axis + 1), pairs = axes.flatMap((i) => axes.filter((j) => j > i).map((j) => [i, j]));
  return [
    ...axes.map((i) => `x${i}`), ...axes.map((i) => `x${i}^2`), ...pairs.map(([i, j]) => `x${i}*x${j}`), ...axes.map((i) => `sin(x${i})`),
  ];
}

/** The kind of a feature and the coordinates it is made of, counted from 0. */
function parsed(name) {
  for (const [pattern, value, text] of KINDS) {
    const found = pattern.exec(name);
    if (found) return { value, text, axes: found.slice(1).map((axis) => axis - 1) };
  }
  throw new Error(`${name} is no feature`);
}

/** A coordinate, counted from 0, as it is written in formulas; of one alone, without a number. */
export const coordinateText = (axis, dim) => (dim > 1 ? `x${SUBSCRIPTS[axis + 1]}` : "x");

/** A feature as it is written in formulas: x₁², x₁x₂. */
export function featureText(name, dim) {
  const { text, axes } = parsed(name);
  return text(...axes.map((axis) => coordinateText(axis, dim)));
}

/** Features of points, coordinates and features one after the other. */
export function valuesOf(names, points, dim) {
  const num = points.length / dim, found = new Float64Array(num * names.length);
  names.map(parsed).forEach(({ value, axes: [i, j = i] }, place) => {
    for (let point = 0; point < num; point++) found[point * names.length + place] = value(points[point * dim + i], points[point * dim + j]);
  });
  return found;
}

/** The first layer of a network of features, without weights: what its layers of weights have as inputs. */
export function featureLayer(names, dim) {
  const outputs = names.length;
  return {
    features: names, inputs: dim, outputs, kernel: new Float64Array(dim * outputs), bias: new Float64Array(outputs),
    slope: null, activation: null,
  };
}
