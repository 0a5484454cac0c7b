// Gradient descent in the page, in float64: losses, their gradients, and the steps of optimizers.

import { activated, affine } from "./network.mjs";

const sigmoid = (z) => 1 / (1 + Math.exp(-z));
const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
const ROOT = Math.sqrt(2 / Math.PI), CUBE = 0.044715; // of gelu

/** Derivatives of activations by name, of z and a, the values before and after. */
const DERIVATIVES = {
  linear: () => 1,
  relu: (z) => (z > 0 ? 1 : 0),
  leaky_relu: (z) => (z > 0 ? 1 : 0.01),
  abs: (z) => (z > 0 ? 1 : -1),
  hard_tanh: (z) => (Math.abs(z) < 1 ? 1 : 0),
  tanh: (_, a) => 1 - a * a,
  sigmoid: (_, a) => a * (1 - a),
  elu: (z, a) => (z > 0 ? 1 : a + 1),
  gelu(z) {
    const t = Math.tanh(ROOT * (z + CUBE * z ** 3));
    return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * ROOT * (1 + 3 * CUBE * z * z);
  },
  softplus: sigmoid,
  sin: Math.cos,
};
const derivativeOf = (name) => DERIVATIVES[name] ?? ((z) => (z > 0 ? 1 : Number(name)));

/** What a loss is of one point, given outputs z from `at`, `width` of them, and its target. */
const LOSSES = {
  /** The negative logarithm of the probability of the label: of one output, a logit, or of as many as there are classes. */
  classes(z, at, width, label) {
    if (width === 1) return softplus(z[at]) - label * z[at];
    let most = -Infinity, sum = 0;
    for (let i = at; i < at + width; i++) most = Math.max(most, z[i]);
    for (let i = at; i < at + width; i++) sum += Math.exp(z[i] - most);
    return most + Math.log(sum) - z[at + label];
  },
  targets: (z, at, width, target) => (z[at] - target) ** 2,
};

/** Writes the derivatives of the same by the outputs. */
const SLOPES = {
  classes(found, z, at, width, label) {
    if (width === 1) return void (found[at] = sigmoid(z[at]) - label);
    let most = -Infinity, sum = 0;
    for (let i = at; i < at + width; i++) most = Math.max(most, z[i]);
    for (let i = at; i < at + width; i++) sum += found[i] = Math.exp(z[i] - most);
    for (let i = at; i < at + width; i++) found[i] = found[i] / sum - (i === at + label ? 1 : 0);
  },
  targets: (found, z, at, width, target) => void (found[at] = 2 * (z[at] - target)),
};

/** The mean loss, "classes" or "targets", of outputs {z, width} of all points. */
export function meanLoss({ z, width }, y, kind) {
  let sum = 0;
  for (let point = 0; point < y.length; point++) sum += LOSSES[kind](z, point * width, width, y[point]);
  return sum / y.length;
}

/** Gradients {kernel, bias} of the mean loss by the parameters of each layer. `values` are what the first of them takes. */
export function gradients(layers, values, y, kind) {
  const num = y.length, states = [{ a: values }], last = layers.length - 1;
  layers.forEach((layer, depth) => {
    const z = affine(layer, states[depth].a, num, layer.inputs);
    states.push({ z, a: depth === last ? z : activated(layer, z) });
  });
  const { outputs } = layers[last], { z } = states.at(-1);
  let slopes = new Float64Array(z.length);
  for (let point = 0; point < num; point++) SLOPES[kind](slopes, z, point * outputs, outputs, y[point]);
  for (let place = 0; place < slopes.length; place++) slopes[place] /= num;
  const found = [];
  for (let depth = last; depth >= 0; depth--) {
    found[depth] = productsOf(layers[depth], states[depth].a, slopes, num);
    if (depth) slopes = before(layers[depth], layers[depth - 1], slopes, states[depth], num);
  }
  return found;
}

/** Gradients of one layer, from its inputs and the slopes of the loss by its pre-activations. */
function productsOf({ inputs, outputs }, values, slopes, num) {
  const kernel = new Float64Array(inputs * outputs), bias = new Float64Array(outputs);
  for (let point = 0; point < num; point++) {
    const row = point * outputs;
    for (let unit = 0; unit < outputs; unit++) bias[unit] += slopes[row + unit];
    for (let input = 0; input < inputs; input++) {
      const value = values[point * inputs + input], start = input * outputs;
      if (value === 0) continue;
      for (let unit = 0; unit < outputs; unit++) kernel[start + unit] += value * slopes[row + unit];
    }
  }
  return { kernel, bias };
}

/** Slopes of the loss by the pre-activations {z, a} of the layer before. */
function before({ kernel, inputs, outputs }, { activation, slope }, slopes, { z, a }, num) {
  const found = new Float64Array(num * inputs), derivative = activation ? derivativeOf(activation) : null;
  for (let point = 0; point < num; point++) {
    for (let input = 0; input < inputs; input++) {
      const place = point * inputs + input;
      const bent = derivative ? derivative(z[place], a[place]) : z[place] > 0 ? 1 : slope ? slope[input] : 0;
      if (bent === 0) continue;
      let sum = 0;
      for (let unit = 0; unit < outputs; unit++) sum += kernel[input * outputs + unit] * slopes[point * outputs + unit];
      found[place] = bent * sum;
    }
  }
  return found;
}

const DECAYS = [0.9, 0.999], TINY = 1e-8; // of Adam

/** How a parameter moves: functions of its gradient, its memory of two numbers, and how many steps were taken with this one. */
const MOVES = {
  sgd: (gradient) => gradient,
  momentum: (gradient, memory, at) => (memory[at] = DECAYS[0] * memory[at] + gradient),
  adam(gradient, memory, at, step) {
    memory[at] = DECAYS[0] * memory[at] + (1 - DECAYS[0]) * gradient;
    memory[at + 1] = DECAYS[1] * memory[at + 1] + (1 - DECAYS[1]) * gradient * gradient;
    return memory[at] / (1 - DECAYS[0] ** step) / (Math.sqrt(memory[at + 1] / (1 - DECAYS[1] ** step)) + TINY);
  },
};

/** What optimizers remember of layers, before the first step. */
export const memoriesOf = (layers) =>
  layers.map(({ kernel, bias }) => ({ kernel: new Float64Array(2 * kernel.length), bias: new Float64Array(2 * bias.length) }));

/** Moves all parameters by one step. Penalties are of kernels alone: half of their squares (l2), or their sizes (l1), whose
 * proximal step leaves exact zeros; `step` counts from one. */
export function move(layers, slopes, memories, step, { optimizer, rate, penalty, strength }) {
  const next = MOVES[optimizer], decay = penalty === "l2" ? strength : 0, least = penalty === "l1" ? rate * strength : 0;
  layers.forEach((layer, depth) => {
    for (const part of ["kernel", "bias"]) {
      const values = layer[part], by = slopes[depth][part], memory = memories[depth][part];
      const isKernel = part === "kernel";
      for (let place = 0; place < values.length; place++) {
        const gradient = by[place] + (isKernel ? decay * values[place] : 0);
        values[place] -= rate * next(gradient, memory, 2 * place, step);
        if (isKernel && least) values[place] = Math.sign(values[place]) * Math.max(0, Math.abs(values[place]) - least);
      }
    }
  });
}
