// Words about what is pointed at: a region, or a unit.

import { thresholdsOf } from "./line.mjs";
import { codeAt, firstHidden, firstUnits, forward } from "./network.mjs";
import { area, numFaces } from "./regions.mjs";
import { inputName, layerName } from "./words.mjs";

const MOST_LETTERS = 220;
const PLACES = ["line", "plane", "box"]; // by the number of inputs

/** A number with four digits, its minus as long as a plus. */
export function digits(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : String(+value.toPrecision(4));
  return text.replaceAll("-", "−");
}

const term = (value, name) => `${value < 0 ? " − " : " + "}${digits(Math.abs(value))}${name}`;

/** An affine map as text. */
export function mapText([gx, gy, c]) {
  return `${digits(gx)} x₁${term(gy, " x₂")}${term(c, "")}`;
}

/** Codes of all layers, zeros and ones, a space between layers. */
export function codeText(layers, code) {
  const begins = firstUnits(layers);
  return begins.slice(0, -1).map((begin, layer) => Array.from(code.subarray(begin, begins[layer + 1])).join(""));
}

/** The region that is pointed at, as rows of a list. */
export function aboutRegion(scene, face, x, y) {
  const { regions, layers } = scene, { units, outputs } = regions;
  const code = regions.codes.subarray(face * units, (face + 1) * units);
  const num = code.reduce((sum, bit) => sum + bit, 0);
  const rows = [["at", `(${digits(x)}, ${digits(y)})`]];
  const letters = codeText(layers, code).join(" · ");
  rows.push(["code", letters.length > MOST_LETTERS ? `${letters.slice(0, MOST_LETTERS)}…` : letters, "code"]);
  rows.push(["active", `${num} of ${units} units`]);
  for (let output = 0; output < outputs; output++) {
    const row = 3 * (face * outputs + output), map = regions.maps.subarray(row, row + 3);
    rows.push([outputs > 1 ? `f${output + 1}` : "f", `${mapText(map)} = ${digits(map[0] * x + map[1] * y + map[2])}`]);
  }
  rows.push(["area", digits(area(regions, face))]);
  return rows;
}

const STEP = 1e-4; // of a difference quotient

/** A point of a network without regions: its outputs, their slopes, and which units are positive. */
export function aboutPoint({ layers }, place) {
  const code = codeAt(layers, ...place), values = forward(layers, place).at(-1).z;
  const rows = [["at", place.length > 1 ? `(${place.map(digits).join(", ")})` : digits(place[0])]];
  const letters = codeText(layers, code).join(" · ");
  rows.push(["signs", letters.length > MOST_LETTERS ? `${letters.slice(0, MOST_LETTERS)}…` : letters, "code"]);
  const slopes = place.map((_, axis) => {
    const [low, high] = [-STEP, STEP].map((step) => forward(layers, place.with(axis, place[axis] + step)).at(-1).z);
    return high.map((value, output) => (value - low[output]) / (2 * STEP));
  });
  values.forEach((value, output) => {
    const slope = slopes.map((each) => digits(each[output])).join(", ");
    rows.push([values.length > 1 ? `f${output + 1}` : "f", `${digits(value)}, slope ${place.length > 1 ? `(${slope})` : slope}`]);
  });
  return rows;
}

/** The share of the domain where a unit is positive. */
function shareOn({ layers, regions, line, grid }, layer, unit) {
  if (!regions) {
    const { z, width } = (line ?? grid).states[layer];
    let on = 0;
    for (let place = unit; place < z.length; place += width) on += z[place] > 0 ? 1 : 0;
    return (on * width) / z.length;
  }
  const number = firstUnits(layers)[layer] + unit; // no features: these have no regions
  let on = 0, all = 0;
  for (let face = 0; face < regions.offsets.length - 1; face++) {
    const size = area(regions, face);
    all += size;
    if (regions.codes[face * regions.units + number]) on += size;
  }
  return on / all;
}

/** Where a unit switches. */
function switchText(scene, layer, unit) {
  if (scene.line) {
    const places = thresholdsOf(scene.line, layer, unit);
    return places.length ? `at ${places.slice(0, 4).map(digits).join(", ")}` : "outside of the domain";
  }
  const edges = scene.edgesOf(layer, unit);
  let length = 0;
  for (let i = 0; i < edges.length; i += 4) length += Math.hypot(edges[i + 2] - edges[i], edges[i + 3] - edges[i + 1]);
  if (!edges.length) return "outside of the domain";
  return scene.regions ? `${edges.length / 4} pieces, ${digits(length)} long` : `${digits(length)} long`;
}

/** The unit that is picked: its formula, how often it is on, and its line. */
export function aboutUnit(scene, { layer, unit }) {
  const { layers } = scene, own = layers[layer];
  const nameOf = (input) => (layer === firstHidden(layers) ? inputName(layers, input) : `h${subscript(input + 1)}`);
  const weights = Array.from({ length: own.inputs }, (_, input) => [own.kernel[input * own.outputs + unit], input]);
  weights.sort((a, b) => Math.abs(b[0]) - Math.abs(a[0]));
  const few = weights.slice(0, 3).map(([value, input]) => term(value, ` ${nameOf(input)}`));
  const formula = few.join("").replace(/^ \+ /, "").replace(/^ − /, "−") + (weights.length > 3 ? " + …" : "");
  const after = layers[layer + 1];
  const out = Array.from(after.kernel.slice(unit * after.outputs, (unit + 1) * after.outputs), Math.abs);
  return [
    ["unit", `${unit + 1} of ${layerName(layers, layer)}`],
    ["z", `${formula}${term(own.bias[unit], "")}`],
    ["on", `in ${digits(100 * shareOn(scene, layer, unit))} % of the ${PLACES[layers[0].inputs - 1]}`],
    ...(layers[0].inputs === 3 ? [] : [[scene.line ? "switches" : "line", switchText(scene, layer, unit)]]),
    ["weighs", `up to ${digits(Math.max(...out))} in what follows`],
  ];
}

/** The box in which regions are counted, [low…, high…], as it is written. */
function boxText(domain) {
  const dim = domain.length / 2;
  const sides = Array.from({ length: dim }, (_, axis) => `[${digits(domain[axis])}, ${digits(domain[dim + axis])}]`);
  return sides.every((side) => side === sides[0]) ? `${sides[0]}²` : sides.join(" × ");
}

const summaries = new WeakMap(); // by scene

/** The network, when nothing is pointed at: its layers, how many of its units switch, and, of exact regions, the largest. */
export function aboutNetwork(scene) {
  if (!summaries.has(scene)) summaries.set(scene, summaryOf(scene));
  return summaries.get(scene);
}

function summaryOf(scene) {
  const { layers, regions } = scene, own = layers.slice(firstHidden(layers)), where = PLACES[layers[0].inputs - 1];
  const sizes = [layers[0].inputs, ...layers.map(({ outputs, features }) => (features ? `${outputs} features` : outputs))];
  const num = own.reduce((sum, { kernel, bias }) => sum + kernel.length + bias.length, 0);
  const rows = [["layers", `${sizes.join(" – ")}; ${num.toLocaleString("en")} weights and biases`]];
  const { units, on, off } = switching(scene);
  const rest = [[off, "never on"], [on, "always on"]].flatMap(([many, text]) => (many ? [`${many} ${text}`] : []));
  if (units) rows.push(["units", [`${units - on - off} of ${units} switch on the ${where}`, ...rest].join(", ")]);
  if (regions) {
    const areas = Array.from({ length: numFaces(regions) }, (_, face) => area(regions, face));
    const largest = areas.reduce((most, each) => Math.max(most, each), 0) / areas.reduce((sum, each) => sum + each, 0);
    rows.push(["region", `the largest has ${digits(+(100 * largest).toPrecision(3))} % of ${boxText(scene.domain)}`]);
  }
  return rows;
}

/** Of hidden units, how many are always or never positive, wherever we look. */
function switching({ layers, regions, line, grid }) {
  const found = { units: 0, on: 0, off: 0 };
  const look = (values, start, step) => {
    let isOn = true, isOff = true;
    for (let place = start; place < values.length && (isOn || isOff); place += step) {
      if (values[place] > 0) isOff = false;
      else isOn = false;
    }
    found.units++;
    if (isOn) found.on++;
    else if (isOff) found.off++;
  };
  if (regions) for (let unit = 0; unit < regions.units; unit++) look(regions.codes, unit, regions.units);
  else {
    for (const { z, width } of (line ?? grid).states.slice(firstHidden(layers), -1)) {
      for (let unit = 0; unit < width; unit++) look(z, unit, width);
    }
  }
  return found;
}

export const subscript = (value) => String(value).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

/** Writes rows [name, text, kind] as a list of definitions, and a hint beneath them. */
export function show(element, rows, hint = "") {
  const name = JSON.stringify([rows, hint]);
  if (element.dataset.written === name) return;
  element.dataset.written = name;
  const list = document.createElement("dl");
  for (const [name, text, kind] of rows) {
    const value = document.createElement("dd"), inner = kind ? document.createElement(kind) : value;
    inner.textContent = text;
    if (kind) value.append(inner);
    list.append(Object.assign(document.createElement("dt"), { textContent: name }), value);
  }
  element.replaceChildren(list, ...(hint ? [Object.assign(document.createElement("p"), { textContent: hint })] : []));
}
