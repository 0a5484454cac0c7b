// The names of buttons and the legend beside them, for the networks that are shown.

import { classPoint, layerColor } from "./colors.mjs";
import { digits } from "./inspector.mjs";
import { thresholdColor } from "./line.mjs";
import { firstHidden, isSmooth } from "./network.mjs";
import { extent, targetColor } from "./points.mjs";
import { wordsOf } from "./words.mjs";

const find = (name) => document.getElementById(name);
const MOST_NAMED = 8;
let written = "";

/** Writes what has changed; `isAlone` of points without targets, for which nothing is decided, `scale` of its colours. */
export function writeLegend({ layers }, population, { look, color, show, isAlone, scale }) {
  const { inputs } = layers[0], { outputs } = layers.at(-1);
  const { classes, arrays } = population, data = [classes, "test/x" in arrays, show.data, show.test];
  const name = [layers.length, firstHidden(layers), isSmooth(layers), look.ink, color, outputs, scale, ...data].join("/");
  if (name === written) return;
  written = name;
  const words = wordsOf(layers, population), colorOf = inputs === 1 ? thresholdColor : layerColor;
  document.querySelector('[data-color="regions"]').textContent = words.regions;
  document.querySelector('[data-show="edges"]').textContent = words.edges;
  document.querySelector('[data-show="boundary"]').textContent = words.boundary;
  document.querySelector('[data-show="boundary"]').hidden = isAlone;
  document.querySelector('[data-color="sides"]').hidden = inputs !== 2 || outputs > 1;
  document.querySelector('[data-color="regions"]').hidden = !words.regions;
  document.querySelector('[data-show="test"]').hidden = !population.arrays["test/x"];
  find("color").hidden = !words.regions;
  find("sheet").hidden = inputs !== 2 || isAlone;
  const mark = (color, text, kind = "") => `<span><i class="${kind}" style="background:${color}"></i>${text}</span>`;
  const edges = layers.slice(firstHidden(layers), -1).map(({ slope }, layer) =>
    slope?.every((each) => each === 1) || !words.edge ? "" : mark(colorOf(look, layer), `${words.edge} of layer ${layer + 1}`),
  );
  const others = words.marks.map(([kind, text]) => mark(kind === "steps" ? "" : look[kind], text, kind));
  const bar = inputs === 2 && outputs === 1 && color !== "regions" ? [colorBar(look, color, scale)] : [];
  find("legend").innerHTML = [...bar, ...edges, ...(isAlone ? [] : others), ...aboutData(population, layers, look, show)].join("");
}

/** The colours of outputs, from below to above zero. */
function colorBar(look, color, scale) {
  const [below, above] = color === "sides" ? look.side : look.weak, end = digits(+scale.toPrecision(2));
  const stops = `${look.side[0]}, ${below} 50%, ${above} 50%, ${look.side[1]}`;
  const ends = color === "sides" ? ["below 0", "above"] : [`−${end}`, `${end} and more`];
  return `<span>output ${ends[0]} <i class="bar-of-colors" style="background:linear-gradient(90deg, ${stops})"></i>${ends[1]}</span>`;
}

/** What the colours of points mean. */
function aboutData({ arrays, classes }, layers, look, show) {
  if (!arrays["data/y"] || (!show.data && !show.test)) return [];
  const dot = (color, text) => `<span><i class="dot" style="background:${color}"></i>${text}</span>`;
  const rings = show.test && arrays["test/x"] ? [`<span><i class="dot ring"></i>test data</span>`] : [];
  if (!classes) {
    const [low, high] = extent(arrays["data/y"]);
    const ends = [low, high].map((target, end) => dot(targetColor(look, end), `target ${digits(+target.toPrecision(3))}`));
    return [...ends, ...rings];
  }
  if (classes.length > MOST_NAMED) return rings;
  const colorOf = (number) => (classes.length <= 2 ? look.strong[number] : classPoint(look, number));
  return [...classes.map((each, number) => dot(colorOf(number), `class ${digits(each)}`)), ...rings];
}
