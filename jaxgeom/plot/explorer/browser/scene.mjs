// What is seen of one network at one time: its layers, regions, boundary, and states of the data; computed when asked.

import { decisionBoundary } from "./boundary.mjs";
import { cutRegions } from "./cut.mjs";
import { boundaryLines, decisions, sampled, unitLines } from "./levels.mjs";
import { sampledLine, thresholdsOf } from "./line.mjs";
import { firstHidden, firstUnits, forward, isSmooth } from "./network.mjs";
import { layersAt } from "./population.mjs";
import { decisionSurface, sampledSpace } from "./space.mjs";
import { digits } from "./inspector.mjs";
import { edgesOf, edgesOfLayers, engineRegions, numFaces } from "./regions.mjs";

/** Scenes by network and time, `at(member, time)`, the last ones remembered until the population changes: `forget()`. */
export function scenes(population, most = 4) {
  const known = new Map();
  let engine = engineRegions(population.arrays);
  return {
    at(member, time) {
      const name = `${member}/${time}`;
      if (!known.has(name)) {
        if (known.size >= most) known.delete(known.keys().next().value);
        known.set(name, sceneOf(population, engine, member, time));
      }
      return known.get(name);
    },
    forget() {
      known.clear();
      engine = engineRegions(population.arrays);
    },
  };
}

function sceneOf(population, engine, member, time) {
  const layers = layersAt(population, member, time);
  if (!layers) return null;
  const { arrays, domain, inputs } = population;
  const scene = { member, time, layers, domain, isEngines: false, regions: null };
  later(scene, "data", () => forward(layers, arrays["data/x"] ?? new Float32Array()));
  later(scene, "test", () => (arrays["test/x"] ? forward(layers, arrays["test/x"]) : null));
  if (inputs === 1) addLine(scene, domain);
  else if (inputs === 3) addSpace(scene, domain);
  else if (isSmooth(layers)) addField(scene, domain);
  else addRegions(scene, domain, Number.isInteger(time) ? engine(member, time, layers) : null);
  return scene;
}

const UNIT_CELLS = 48; // along each side of pictures of units, which are there within a frame of the screen
const unitsOf = ({ outputs }) => Array.from({ length: outputs }, (_, unit) => unit);

/** Exact regions, and the pieces x, y, x, y of lines: `edges` of each layer, `edgesOf(layer, unit)`, `boundary`. */
function addRegions(scene, domain, found) {
  const begins = firstUnits(scene.layers);
  scene.isEngines = found !== null;
  later(scene, "regions", () => found ?? cutRegions(scene.layers, domain));
  later(scene, "grid", () => sampled(scene.layers, domain, UNIT_CELLS));
  later(scene, "boundary", () => decisionBoundary(scene.regions));
  later(scene, "edges", () => edgesOfLayers(scene.regions, begins));
  scene.edgesOf = (layer, unit) => edgesOf(scene.regions, begins[layer] + unit);
}

/** The same lines of a smooth network, or of one of features, where pre-activations are zero, on a `grid` of the plane. */
function addField(scene, domain) {
  const { layers } = scene, first = firstHidden(layers);
  later(scene, "grid", () => sampled(layers, domain));
  later(scene, "boundary", () => boundaryLines(scene.grid));
  later(scene, "edges", () =>
    layers.slice(first, -1).map((layer, depth) => unitsOf(layer).flatMap((unit) => scene.edgesOf(first + depth, unit))),
  );
  scene.edgesOf = (layer, unit) => unitLines(scene.grid, layer, unit);
}

/** A network of three inputs: its states on a `grid` of the box, and the decision `surface`. */
function addSpace(scene, domain) {
  Object.assign(scene, { boundary: [], edges: [], edgesOf: () => [] });
  later(scene, "grid", () => sampledSpace(scene.layers, domain));
  later(scene, "surface", () => decisionSurface(scene.grid));
}

/** A network of one input: its states along the `line`, and the `thresholds` of each layer. */
function addLine(scene, domain) {
  const { layers } = scene, first = firstHidden(layers);
  Object.assign(scene, { boundary: [], edges: [], edgesOf: () => [] });
  later(scene, "line", () => sampledLine(layers, domain));
  later(scene, "thresholds", () =>
    layers.slice(first, -1).map((layer, depth) => unitsOf(layer).flatMap((unit) => thresholdsOf(scene.line, first + depth, unit))),
  );
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

/** What there is to say of a scene, as HTML. */
export function factsOf(population, scene) {
  const facts = [];
  const num = scene.regions ? numFaces(scene.regions) : 0;
  if (scene.regions) facts.push(`<b>${num.toLocaleString("en")}</b> linear region${num === 1 ? "" : "s"}`);
  const thresholds = scene.thresholds?.flat().length;
  if (scene.thresholds) facts.push(`<b>${thresholds}</b> threshold${thresholds === 1 ? "" : "s"}`);
  const right = accuracy(population, scene), wrong = error(population, scene);
  const [testRight, testWrong] = [accuracy(population, scene, "test"), error(population, scene, "test")];
  if (right !== null) facts.push(`<b>${digits(100 * right)} %</b> right`);
  if (testRight !== null) facts.push(`<b>${digits(100 * testRight)} %</b> of test data`);
  if (wrong !== null) facts.push(`mean squared error <b>${digits(+wrong.toPrecision(3))}</b>`);
  if (testWrong !== null) facts.push(`<b>${digits(+testWrong.toPrecision(3))}</b> on test data`);
  if (scene.layers[0].inputs === 3) facts.push(`surface from ${(scene.grid.cells + 1) ** 3} points`);
  if (!Number.isInteger(scene.time)) facts.push("interpolated weights");
  return facts;
}

/** The mean squared difference of outputs and targets; null for classes. */
function error(population, scene, set = "data") {
  const y = population.arrays[`${set}/y`];
  if (!y || population.classes || !y.length) return null;
  const { z, width } = scene[set].at(-1);
  return y.reduce((sum, target, point) => sum + (z[point * width] - target) ** 2, 0) / y.length;
}

/** The fraction of points on the right side; null without classes. */
function accuracy(population, scene, set = "data") {
  const y = population.arrays[`${set}/y`];
  if (!y || !population.classes || !y.length) return null;
  const { z, width } = scene[set].at(-1), decided = width === 1 ? z.map((value) => (value > 0 ? 1 : 0)) : decisions(z, width);
  let right = 0;
  for (let point = 0; point < y.length; point++) right += decided[point] === y[point] ? 1 : 0;
  return right / y.length;
}
