// All networks of the page: numbered along the axes, the last one fastest, each with weights at every frame. Arrays of
// weights have `room` frames for each network, of which there are `numFrames`.

import { featureLayer } from "./features.mjs";

/** The population from the page's table and arrays. */
export function readPopulation(about, arrays) {
  const homes = new Map();
  about.groups.forEach((sizes, group) => {
    arrays[`${group}/members`].forEach((member, place) => homes.set(member, { group, place, sizes }));
  });
  const curves = about.curves.map((name, number) => ({
    name,
    steps: arrays[`curve/${number}/steps`],
    values: arrays[`curve/${number}/values`],
    num: arrays[`curve/${number}/steps`].length,
  }));
  return { ...about, arrays, homes, curves, numFrames: about.steps.length, room: about.steps.length, version: 0, viewed: 0 };
}

/** The number of the network at places along the axes. */
export function memberAt(population, places) {
  return population.axes.reduce((number, axis) => number * axis.values.length + (places[axis.name] ?? 0), 0);
}

/** Places along the axes of a network. */
export function placesOf(population, member) {
  const places = {};
  for (const { name, values } of [...population.axes].reverse()) {
    places[name] = member % values.length;
    member = Math.floor(member / values.length);
  }
  return places;
}

/** The axis along which networks are repetitions of each other: the seeds, or else the last one. */
export function repeatedAxis(population) {
  const names = population.axes.map((axis) => axis.name);
  return ["seed", "network"].find((name) => names.includes(name)) ?? names.at(-1) ?? null;
}

/** The networks that differ from one in the repeated axis only. */
export function siblings(population, places) {
  const name = repeatedAxis(population);
  if (name === null) return [0];
  const { values } = population.axes.find((axis) => axis.name === name);
  return values.map((_, place) => memberAt(population, { ...places, [name]: place }));
}

/** The layers of a network at a time in frames; between two frames, weights on the straight line between theirs. */
export function layersAt(population, member, time) {
  const home = population.homes.get(member);
  if (!home) return null;
  const frame = Math.floor(time), share = time - frame;
  const read = (name, size) => {
    const array = population.arrays[`${home.group}/${name}`];
    if (!array) return null;
    const start = (home.place * population.room + frame) * size;
    const here = array.subarray(start, start + size);
    if (share === 0) return here;
    const there = array.subarray(start + size, start + 2 * size);
    const between = new Float64Array(size);
    for (let place = 0; place < size; place++) between[place] = here[place] + share * (there[place] - here[place]);
    return between;
  };
  const layers = home.sizes.slice(1).map((outputs, depth) => {
    const inputs = home.sizes[depth];
    const [kernel, bias, slope] = [
      read(`kernel/${depth}`, inputs * outputs),
      read(`bias/${depth}`, outputs),
      read(`slope/${depth}`, outputs),
    ];
    const activation = population.activations?.[home.group]?.[depth] ?? null;
    return { kernel, bias, slope, activation, inputs, outputs };
  });
  return population.features ? [featureLayer(population.features, population.inputs), ...layers] : layers;
}

/** The training step at a time in frames. */
export function stepAt({ steps }, time) {
  const frame = Math.floor(time), next = steps[Math.min(frame + 1, steps.length - 1)];
  return steps[frame] + (time - frame) * (next - steps[frame]);
}

/** The same as a link writes it, with eight digits. */
export const writtenStep = (population, time) => +stepAt(population, time).toPrecision(8);

/** The time in frames of a training step. */
export function timeOf({ steps }, step) {
  if (step <= steps[0]) return 0;
  for (let frame = 1; frame < steps.length; frame++) {
    if (step <= steps[frame]) return frame - 1 + (step - steps[frame - 1]) / (steps[frame] - steps[frame - 1]);
  }
  return steps.length - 1;
}

/** Of some networks, quantiles of a curve at each record; networks without a number are left out. */
export function quantiles(curve, members, shares) {
  const found = shares.map(() => new Float64Array(curve.num));
  for (let record = 0; record < curve.num; record++) {
    const values = members.map((member) => curve.values[member * curve.num + record]).filter(Number.isFinite);
    values.sort((a, b) => a - b);
    shares.forEach((share, number) => {
      const place = share * (values.length - 1), low = Math.floor(place), high = Math.ceil(place);
      found[number][record] = values.length ? values[low] + (place - low) * (values[high] - values[low]) : NaN;
    });
  }
  return found;
}
