// The names of buttons and the legend beside them, for the networks that are shown.

import { layerColor } from "./colors.mjs";
import { thresholdColor } from "./line.mjs";
import { isSmooth } from "./network.mjs";
import { wordsOf } from "./words.mjs";

const find = (name) => document.getElementById(name);
let written = "";

/** Writes what has changed; `isAlone` of points without targets, for which nothing is decided. */
export function writeLegend({ layers }, look, isAlone) {
  const { inputs } = layers[0], name = `${layers.length}/${isSmooth(layers)}/${look.ink}`;
  if (name === written) return;
  written = name;
  const words = wordsOf(layers), colorOf = inputs === 1 ? thresholdColor : layerColor;
  document.querySelector('[data-color="regions"]').textContent = words.regions;
  document.querySelector('[data-show="edges"]').textContent = words.edges;
  document.querySelector('[data-show="boundary"]').textContent = words.boundary;
  document.querySelector('[data-show="boundary"]').hidden = isAlone;
  find("color").hidden = !words.regions;
  find("sheet").hidden = inputs !== 2 || isAlone;
  const mark = (color, text) => `<span><i style="background:${color}"></i>${text}</span>`;
  const edges = layers.slice(0, -1).map(({ slope }, layer) =>
    slope?.every((each) => each === 1) || !words.edge ? "" : mark(colorOf(look, layer), `${words.edge} of layer ${layer + 1}`),
  );
  const others = words.marks.map(([kind, text]) => mark(kind === "steps" ? look.strong[1] : look[kind], text));
  find("legend").innerHTML = [...edges, ...(isAlone ? [] : others)].join("");
}
