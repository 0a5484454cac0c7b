// One network: layers {kernel, bias, slope, activation, inputs, outputs}, kernels (inputs, outputs) in one row after the
// other. `activation` is a name where some unit of the network is smooth, else null: then `slope` says what bends. A first
// layer with names of `features` has no weights: it computes these of its inputs (features.mjs).

import { valuesOf } from "./features.mjs";

const CURVES = {
  linear: (z) => z,
  relu: (z) => Math.max(z, 0),
  leaky_relu: (z) => (z > 0 ? z : 0.01 * z),
  abs: Math.abs,
  hard_tanh: (z) => Math.max(-1, Math.min(1, z)),
  tanh: Math.tanh,
  sigmoid: (z) => 1 / (1 + Math.exp(-z)),
  elu: (z) => (z > 0 ? z : Math.expm1(z)),
  gelu: (z) => 0.5 * z * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (z + 0.044715 * z ** 3))),
  softplus: (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))),
  sin: Math.sin,
};

/** An activation by its name, which may be a slope. */
const curveOf = (name) => CURVES[name] ?? ((z) => (z > 0 ? z : Number(name) * z));

/** Whether a network has no linear regions. */
export const isSmooth = (layers) => layers.some(({ activation, features }) => activation || features);

/** The place of the first hidden layer: features may stand in front of it. */
export const firstHidden = (layers) => (layers[0].features ? 1 : 0);

/** Whether a layer is hidden: neither features, nor the output. */
export const isHidden = (layers, depth) => depth >= firstHidden(layers) && depth < layers.length - 1;

/** Whether a network has the weight {layer, from, to}, or, if `from` is null, the bias. */
export const hasWeight = (layers, { layer, from, to }) =>
  layer >= firstHidden(layers) && layer < layers.length && (from ?? 0) < layers[layer].inputs && to < layers[layer].outputs;

/** Numbers of hidden units before each layer; the last entry counts all. */
export function firstUnits(layers) {
  const begins = [0];
  for (const layer of layers.slice(firstHidden(layers), -1)) begins.push(begins.at(-1) + layer.outputs);
  return begins;
}

/** Values before (z) and after (a) the activation of each layer, for points one after the other; float64. */
export function forward(layers, points) {
  const num = points.length / layers[0].inputs;
  const states = [];
  let values = points, width = layers[0].inputs;
  layers.forEach((layer, depth) => {
    const { features } = layer, z = features ? valuesOf(features, values, width) : affine(layer, values, num, width);
    values = isHidden(layers, depth) ? activated(layer, z) : z;
    width = layer.outputs;
    states.push({ z, a: values, width });
  });
  return states;
}

export function affine(layer, values, num, width) {
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

export function activated(layer, z) {
  const { slope, outputs, activation } = layer;
  if (activation) return z.map(curveOf(activation));
  const a = new Float64Array(z.length);
  for (let place = 0; place < z.length; place++) {
    a[place] = z[place] > 0 ? z[place] : slope ? slope[place % outputs] * z[place] : 0;
  }
  return a;
}

export const IDENTITY = Float64Array.of(1, 0, 0, 0, 1, 0);

/** Writes the affine maps of a layer after others, rows (∂/∂x, ∂/∂y, constant), each times a `factor(input)`. */
export function composeInto(found, to, { kernel, bias, inputs, outputs }, maps, from, factor) {
  for (let unit = 0; unit < outputs; unit++) {
    found[to + 3 * unit] = found[to + 3 * unit + 1] = 0;
    found[to + 3 * unit + 2] = bias[unit];
  }
  for (let input = 0; input < inputs; input++) {
    const times = factor(input);
    if (times === 0) continue;
    const place = from + 3 * input, gx = times * maps[place], gy = times * maps[place + 1], c = times * maps[place + 2];
    for (let unit = 0, at = to; unit < outputs; unit++, at += 3) {
      const weight = kernel[input * outputs + unit];
      found[at] += weight * gx;
      found[at + 1] += weight * gy;
      found[at + 2] += weight * c;
    }
  }
}

/** The affine map of the outputs in the region with an activation code. */
export function mapOfCode(layers, code) {
  let maps = IDENTITY, start = 0;
  layers.forEach((layer, depth) => {
    const next = new Float64Array(3 * layer.outputs), slope = layers[depth - 1]?.slope;
    const begin = start - layer.inputs;
    composeInto(next, 0, layer, maps, 0, (input) => (depth === 0 || code[begin + input] ? 1 : slope ? slope[input] : 0));
    maps = next;
    start += layer.outputs;
  });
  return maps;
}

/** The activation code at a point. */
export function codeAt(layers, ...place) {
  const states = forward(layers, place).slice(firstHidden(layers), -1);
  return Uint8Array.from(states.flatMap(({ z }) => Array.from(z, (value) => (value > 0 ? 1 : 0))));
}
