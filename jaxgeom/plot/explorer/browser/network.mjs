// One network: layers {kernel, bias, slope, inputs, outputs}, kernels (inputs, outputs) in one row after the other.

/** Numbers of hidden units before each layer; the last entry counts all. */
export function firstUnits(layers) {
  const begins = [0];
  for (const layer of layers.slice(0, -1)) begins.push(begins.at(-1) + layer.outputs);
  return begins;
}

/** Values before (z) and after (a) the activation of each layer, for points x, y, x, y, …; float64. */
export function forward(layers, points) {
  const num = points.length / 2;
  const states = [];
  let values = points, width = 2;
  layers.forEach((layer, depth) => {
    const z = affine(layer, values, num, width);
    const isLast = depth === layers.length - 1;
    values = isLast ? z : activated(layer, z);
    width = layer.outputs;
    states.push({ z, a: values, width });
  });
  return states;
}

function affine(layer, values, num, width) {
  const { kernel, bias, outputs } = layer;
  const z = new Float64Array(num * outputs);
  for (let point = 0; point < num; point++) {
    const row = point * outputs;
    for (let unit = 0; unit < outputs; unit++) z[row + unit] = bias[unit];
    for (let input = 0; input < width; input++) {
      const value = values[point * width + input];
      if (value === 0) continue;
      const start = input * outputs;
      for (let unit = 0; unit < outputs; unit++) z[row + unit] += value * kernel[start + unit];
    }
  }
  return z;
}

function activated(layer, z) {
  const { slope, outputs } = layer;
  const a = new Float64Array(z.length);
  for (let place = 0; place < z.length; place++) {
    a[place] = z[place] > 0 ? z[place] : slope ? slope[place % outputs] * z[place] : 0;
  }
  return a;
}

/** The affine maps that a layer applies after `maps`, rows (∂/∂x, ∂/∂y, constant). */
export function composed(layer, maps) {
  const { kernel, bias, inputs, outputs } = layer;
  const found = new Float64Array(3 * outputs);
  for (let unit = 0; unit < outputs; unit++) found[3 * unit + 2] = bias[unit];
  for (let input = 0; input < inputs; input++) {
    const gx = maps[3 * input], gy = maps[3 * input + 1], c = maps[3 * input + 2];
    if (gx === 0 && gy === 0 && c === 0) continue;
    for (let unit = 0; unit < outputs; unit++) {
      const weight = kernel[input * outputs + unit];
      found[3 * unit] += weight * gx;
      found[3 * unit + 1] += weight * gy;
      found[3 * unit + 2] += weight * c;
    }
  }
  return found;
}

/** The maps after the activation, in place: units that are off are multiplied by their slope. */
export function switched(layer, maps, isOn, start = 0) {
  for (let unit = 0; unit < layer.outputs; unit++) {
    if (isOn[start + unit]) continue;
    const slope = layer.slope ? layer.slope[unit] : 0;
    for (let place = 3 * unit; place < 3 * unit + 3; place++) maps[place] *= slope;
  }
  return maps;
}

export const IDENTITY = Float64Array.of(1, 0, 0, 0, 1, 0);

/** The affine map of the outputs in the region with an activation code. */
export function mapOfCode(layers, code) {
  let maps = IDENTITY, start = 0;
  layers.forEach((layer, depth) => {
    maps = composed(layer, maps);
    if (depth === layers.length - 1) return;
    switched(layer, maps, code, start);
    start += layer.outputs;
  });
  return maps;
}

/** The activation code at a point. */
export function codeAt(layers, x, y) {
  const states = forward(layers, [x, y]).slice(0, -1);
  return Uint8Array.from(states.flatMap(({ z }) => Array.from(z, (value) => (value > 0 ? 1 : 0))));
}
