// Principal axes of points in a layer: the directions that a picture of many dimensions is drawn along.

/** For rows of `width` numbers: {center, axes (three or fewer), size}; of up to three coordinates, these themselves. */
export function viewOf(rows, width) {
  const num = rows.length / width;
  const center = new Float64Array(width);
  rows.forEach((value, place) => (center[place % width] += value / num));
  if (width <= 3) {
    const axes = Array.from({ length: width }, (_, axis) => Float64Array.from({ length: width }, (_, i) => +(i === axis)));
    return { center, axes };
  }
  const covariance = new Float64Array(width * width);
  for (let row = 0; row < num; row++) {
    for (let i = 0; i < width; i++) {
      const value = rows[row * width + i] - center[i];
      for (let j = 0; j <= i; j++) covariance[i * width + j] += value * (rows[row * width + j] - center[j]);
    }
  }
  for (let i = 0; i < width; i++) for (let j = 0; j < i; j++) covariance[j * width + i] = covariance[i * width + j];
  const axes = [];
  for (let axis = 0; axis < 3; axis++) axes.push(largestAxis(covariance, width, axes));
  return { center, axes };
}

/** By power iteration, orthogonal to those that were found before. */
function largestAxis(matrix, width, before) {
  let axis = Float64Array.from({ length: width }, (_, i) => Math.cos(1 + 7 * i + before.length));
  for (let round = 0; round < 60; round++) {
    const next = new Float64Array(width);
    for (let i = 0; i < width; i++) for (let j = 0; j < width; j++) next[i] += matrix[i * width + j] * axis[j];
    for (const other of before) {
      const along = dot(next, other);
      for (let i = 0; i < width; i++) next[i] -= along * other[i];
    }
    const size = Math.sqrt(dot(next, next));
    if (size === 0) break;
    axis = next.map((value) => value / size);
  }
  const largest = axis.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
  return largest < 0 ? axis.map((value) => -value) : axis; // of two directions, always the same one
}

const dot = (first, second) => first.reduce((sum, value, place) => sum + value * second[place], 0);

/** Coordinates of rows along the axes, three a row, without scale. */
export function coordinates(rows, width, { center, axes }) {
  const num = rows.length / width, found = new Float64Array(3 * num);
  for (let row = 0; row < num; row++) {
    axes.forEach((axis, number) => {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += (rows[row * width + i] - center[i]) * axis[i];
      found[3 * row + number] = sum;
    });
  }
  return found;
}
