// Networks that are trained in the page, with what is recorded of them on the way: a population that grows.

import { countRegions } from "./cut.mjs";
import { gradients, meanLoss, memoriesOf, move } from "./learn.mjs";
import { decisions } from "./levels.mjs";
import { forward, isSmooth } from "./network.mjs";
import { problem } from "./problems.mjs";
import { randomOf, seedFor } from "./random.mjs";

const ROOM = 240, LEAST_ROOM = 8; // frames; when there are as many, every second one is dropped
const MOST_BYTES = 2 ** 27; // of the weights of all frames: there may be a second run, to go back to
const FEW = 4, SMALL = 80; // networks and hidden units whose regions are counted at every frame
const SLOPES = { leaky_relu: 0.01, abs: -1, linear: 1 }; // of piecewise linear activations but ReLU
const [DATA, WEIGHTS, ORDER] = [0, 1, 2]; // what random numbers are for

/** Points {x, y, test, classes, domain} to train on: the page's own, or those of a problem, some of them held back. */
export function dataOf({ data, points, noise, tested, drawn }, given) {
  if (data === "given") return given;
  const { x, y, classes, domain } = problem(data, points, noise, seedFor(DATA, drawn));
  const order = randomOf(seedFor(DATA, drawn, 1)).shuffled(points), num = points - Math.round(tested * points);
  const taken = (rows) => ({
    x: Float32Array.from(Array.from(rows).flatMap((row) => [x[2 * row], x[2 * row + 1]])),
    y: Float32Array.from(rows, (row) => y[row]),
  });
  return { ...taken(order.subarray(0, num)), test: num < points ? taken(order.subarray(num)) : null, classes, domain };
}

/** Outputs that a network needs: one for two classes or a number, else one for each class. */
export const outputsFor = ({ classes }) => (classes?.length > 2 ? classes.length : 1);

/** How data can be learned, as "classes" or "targets": null without targets, or by layers with other outputs than they need. */
export function kindFor(data, layers) {
  const { outputs } = layers.at(-1), isMany = outputs > 1 && outputs === data.classes?.length;
  return data.y && (outputs === outputsFor(data) || isMany) ? (data.classes ? "classes" : "targets") : null;
}

/** Frames that a run of networks has room for. */
function roomFor(networks) {
  const numbers = networks[0].layers.reduce((sum, { kernel, bias, slope }) => sum + kernel.length + bias.length + (slope?.length ?? 0), 0);
  const fitting = Math.floor(MOST_BYTES / (8 * numbers * networks.length));
  return Math.max(LEAST_ROOM, Math.min(ROOM, fitting - (fitting % 2)));
}

/** Layers with random weights, uniform within 1 / √inputs, as PyTorch draws them. */
function randomLayers(sizes, activation, { uniform }) {
  return sizes.slice(1).map((outputs, depth) => {
    const inputs = sizes[depth], isLast = depth === sizes.length - 2, draw = () => (2 * uniform() - 1) / Math.sqrt(inputs);
    const isBent = !isLast && activation in SLOPES, isNamed = !isLast && !isBent && activation !== "relu";
    const slope = isBent ? new Float64Array(outputs).fill(SLOPES[activation]) : null;
    return {
      inputs, outputs, slope, activation: isNamed ? activation : null,
      kernel: Float64Array.from({ length: inputs * outputs }, draw), bias: Float64Array.from({ length: outputs }, draw),
    };
  });
}

/** Layers of weights, to be changed. */
const copied = (layers) => {
  const own = layers.filter(({ features }) => !features);
  return own.map((layer) => ({ ...layer, kernel: Float64Array.from(layer.kernel), bias: Float64Array.from(layer.bias) }));
};

/** A run, which has taken no step: of random networks, one for each seed, or of a copy of `origin`, beside which this stays as it
 * was. `front` is a layer that computes features of the points, or null. */
export function runOf(settings, data, front, origin, inputs) {
  const sizes = [front?.outputs ?? inputs, ...settings.hidden, outputsFor(data)];
  const seeds = Array.from({ length: origin ? 1 : settings.seeds }, (_, place) => settings.seed + place);
  const networks = seeds.map((seed) => {
    const layers = origin ? copied(origin) : randomLayers(sizes, settings.activation, randomOf(seedFor(WEIGHTS, seed)));
    return { layers, memories: memoriesOf(layers), random: randomOf(seedFor(ORDER, seed)), order: null, place: 0, isFrozen: false };
  });
  if (origin) networks.push({ layers: copied(origin), isFrozen: true });
  const axes = [origin ? { name: "network", values: ["yours", "as it was"] } : { name: "seed", values: seeds }];
  const lifted = (x) => (front && x ? forward([front], x)[0].a : x);
  const run = {
    data, front, networks, axes, step: 0, moves: 0, taken: 0, room: roomFor(networks), numFrames: 0, isKept: true, every: 1, since: 0,
    diverged: false, kind: kindFor(data, networks[0].layers), values: lifted(data.x), testValues: data.test && lifted(data.test.x),
    steps: [], passed: [], records: [], weights: {},
  };
  networks[0].layers.forEach(({ kernel, bias, slope }, depth) => {
    const room = (size) => new Float64Array(networks.length * run.room * size);
    Object.assign(run.weights, { [`0/kernel/${depth}`]: room(kernel.length), [`0/bias/${depth}`]: room(bias.length) });
    if (slope) run.weights[`0/slope/${depth}`] = Float64Array.from(room(slope.length), (_, place) => slope[place % slope.length]);
  });
  record(run);
  return run;
}

/** Takes a step with every network that is trained; of the last batch of an epoch there may be fewer points. */
export function takeStep(run, settings) {
  const num = run.data.y.length, size = settings.batch ? Math.min(settings.batch, num) : num;
  const { inputs } = run.networks[0].layers[0];
  run.step++;
  run.moves++;
  let taken = 0;
  for (const network of run.networks) {
    if (network.isFrozen) continue;
    if (!network.order || network.place >= num) [network.order, network.place] = [network.random.shuffled(num), 0];
    const rows = network.order.subarray(network.place, network.place + size);
    const values = new Float64Array(rows.length * inputs), y = new Float64Array(rows.length);
    rows.forEach((row, place) => {
      for (let input = 0; input < inputs; input++) values[place * inputs + input] = run.values[row * inputs + input];
      y[place] = run.data.y[row];
    });
    network.place += size;
    taken = rows.length;
    move(network.layers, gradients(network.layers, values, y, run.kind), network.memories, run.moves, settings);
  }
  run.taken += taken;
}

/** Epochs that were begun and finished, whatever the batches were. */
export const epochsOf = ({ taken, data }) => Math.floor(taken / data.y.length);

/** Steps of an epoch. */
export const stepsOf = ({ kind, data }, { batch }) => (kind && batch ? Math.ceil(data.y.length / batch) : 1);

/** What is recorded of a network, by name. */
function measured(run, { layers }) {
  const found = {}, test = run.testValues ? [["test ", run.testValues, run.data.test.y]] : [];
  for (const [set, values, y] of run.kind ? [["", run.values, run.data.y], ...test] : []) {
    const outputs = forward(layers, values).at(-1);
    found[`${set}loss`] = meanLoss(outputs, y, run.kind);
    if (run.kind !== "classes") continue;
    const decided = outputs.width === 1 ? outputs.z.map((z) => (z > 0 ? 1 : 0)) : decisions(outputs.z, outputs.width);
    found[`${set}accuracy`] = y.reduce((right, label, point) => right + (decided[point] === label ? 1 : 0), 0) / y.length;
  }
  const units = layers.slice(0, -1).reduce((sum, { outputs }) => sum + outputs, 0);
  const isCounted = !run.front && layers[0].inputs === 2 && !isSmooth(layers) && run.networks.length <= FEW && units <= SMALL;
  if (isCounted) found.regions = countRegions(layers, run.data.domain);
  return found;
}

const isNumber = (value) => Number.isFinite(Math.fround(value)); // as curves are drawn, in float32
const areFinite = (values) => values.every(isNumber);

/** Writes a frame: after those that are kept, in the place of one that is not, or is of the same step. Networks that are not finite
 * end the run; such a frame is not written. */
export function record(run) {
  const found = run.networks.map((network) => measured(run, network));
  const isFinite = found.every(({ loss }) => loss === undefined || isNumber(loss))
    && run.networks.every(({ layers }) => layers.every(({ kernel, bias }) => areFinite(kernel) && areFinite(bias)));
  if (!isFinite && run.numFrames) return void (run.diverged = true);
  const isAgain = run.numFrames > 0 && run.steps.at(-1) === run.step, isNext = run.isKept && !isAgain;
  if (isNext && run.numFrames === run.room) thin(run);
  if (isNext) run.numFrames++;
  const frame = run.numFrames - 1;
  run.networks.forEach(({ layers }, member) => {
    layers.forEach((layer, depth) => {
      for (const part of ["kernel", "bias"]) run.weights[`0/${part}/${depth}`].set(layer[part], (member * run.room + frame) * layer[part].length);
    });
  });
  run.steps[frame] = run.step;
  run.passed[frame] = run.taken;
  run.records[frame] = found;
  if (isAgain) return;
  run.since++;
  run.isKept = frame === 0 || run.since >= run.every;
  if (run.isKept) run.since = 0;
}

/** Drops every second frame. */
function thin(run) {
  for (const [name, array] of Object.entries(run.weights)) {
    if (name.includes("slope")) continue;
    const size = array.length / (run.networks.length * run.room);
    for (let member = 0; member < run.networks.length; member++) {
      const start = member * run.room * size;
      for (let frame = 1; 2 * frame < run.room; frame++) {
        array.copyWithin(start + frame * size, start + 2 * frame * size, start + (2 * frame + 1) * size);
      }
    }
  }
  const isEven = (_, frame) => frame % 2 === 0;
  for (const name of ["steps", "passed", "records"]) run[name] = run[name].filter(isEven);
  run.numFrames = run.steps.length;
  run.every *= 2;
}

/** The run as it is, whatever becomes of this one. */
export function copyOf(run) {
  const networks = run.networks.map((network) => ({
    ...network, layers: copied(network.layers), random: network.random?.copy(),
    memories: network.memories?.map(({ kernel, bias }) => ({ kernel: kernel.slice(), bias: bias.slice() })),
  }));
  const weights = Object.fromEntries(Object.entries(run.weights).map(([name, array]) => [name, array.slice()]));
  return { ...run, networks, weights, steps: run.steps.slice(), passed: run.passed.slice(), records: run.records.slice() };
}

/** Goes back to a frame: those after it are dropped, and optimizers begin anew. */
export function goBack(run, frame) {
  if (frame >= run.numFrames - 1 && !run.diverged) return;
  run.networks.forEach((network, member) => {
    network.layers.forEach((layer, depth) => {
      for (const part of ["kernel", "bias"]) {
        const size = layer[part].length, start = (member * run.room + frame) * size;
        layer[part].set(run.weights[`0/${part}/${depth}`].subarray(start, start + size));
      }
    });
    if (!network.isFrozen) network.memories = memoriesOf(network.layers);
  });
  Object.assign(run, { numFrames: frame + 1, step: run.steps[frame], taken: run.passed[frame], moves: 0, isKept: true, since: 0, diverged: false });
  for (const name of ["steps", "passed", "records"]) run[name] = run[name].slice(0, frame + 1);
}

/** The run as a population of the page, with what else that has. */
export function populationOf(run, { title, inputs }) {
  const { data, networks, axes, numFrames } = run, names = Object.keys(run.records[0][0]), [{ layers }] = networks;
  const arrays = { ...run.weights };
  if (data.x) arrays["data/x"] = data.x;
  if (data.y) arrays["data/y"] = data.y;
  if (data.test) Object.assign(arrays, { "test/x": data.test.x, "test/y": data.test.y });
  const sizes = [layers[0].inputs, ...layers.map(({ outputs }) => outputs)];
  return {
    title, inputs, arrays, numFrames, room: run.room, steps: run.steps.slice(), axes, start: 0, link: "", domain: data.domain,
    classes: data.classes, features: run.front?.features ?? null,
    groups: [sizes], activations: [layers.map(({ activation }) => activation)],
    homes: new Map(networks.map((_, place) => [place, { group: 0, place, sizes }])),
    curves: names.map((name) => {
      const valueAt = (_, place) => run.records[place % numFrames][Math.floor(place / numFrames)][name];
      const values = Float32Array.from({ length: networks.length * numFrames }, valueAt);
      return { name, num: numFrames, steps: Float32Array.from(run.steps), values };
    }),
  };
}
