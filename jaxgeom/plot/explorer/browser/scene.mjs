// What is seen of one network at one time: its layers, regions, boundary, and states of the data; computed when asked.

import { decisionBoundary } from "./boundary.mjs";
import { forward } from "./network.mjs";
import { layersAt } from "./population.mjs";
import { cutRegions } from "./regions.mjs";

/** A function of network and time that remembers the last scenes. */
export function scenes(population, engine, most = 4) {
  const known = new Map();
  return (member, time) => {
    const name = `${member}/${time}`;
    if (!known.has(name)) {
      if (known.size >= most) known.delete(known.keys().next().value);
      known.set(name, sceneOf(population, engine, member, time));
    }
    return known.get(name);
  };
}

function sceneOf(population, engine, member, time) {
  const layers = layersAt(population, member, time);
  if (!layers) return null;
  const { arrays, domain } = population;
  const found = Number.isInteger(time) ? engine(member, time, layers) : null;
  const scene = { member, time, layers, isEngines: found !== null };
  later(scene, "regions", () => found ?? cutRegions(layers, domain));
  later(scene, "boundary", () => decisionBoundary(scene.regions));
  later(scene, "data", () => forward(layers, arrays["data/x"] ?? new Float32Array()));
  return scene;
}

/** A property that is computed when it is first read. */
function later(object, name, compute) {
  Object.defineProperty(object, name, {
    configurable: true,
    get() {
      const value = compute();
      Object.defineProperty(object, name, { value });
      return value;
    },
  });
}

/** The fraction of points on the right side; null without classes. */
export function accuracy(population, scene) {
  const y = population.arrays["data/y"];
  if (!y || !population.classes || !y.length) return null;
  const { z, width } = scene.data.at(-1);
  let right = 0;
  for (let point = 0; point < y.length; point++) right += decided(z, point, width) === y[point] ? 1 : 0;
  return right / y.length;
}

function decided(z, point, width) {
  if (width === 1) return z[point] > 0 ? 1 : 0;
  let best = 0;
  for (let output = 1; output < width; output++) if (z[point * width + output] > z[point * width + best]) best = output;
  return best;
}
