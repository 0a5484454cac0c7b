// Words for a reader who sees such a page for the first time.

import { isSmooth } from "./network.mjs";
import { wordsOf } from "./words.mjs";

const PLANES = {
  1: "The graph of the network over its one input. Dashed lines are thresholds, where a unit of the layer switches.",
  2: "All pairs of inputs, each coloured by what the network says of it. Lines are where a unit switches on or off.",
  3: "The surface between the two decisions, in a box of all triples of inputs.",
};

/** What is explained, as pairs [name, text]. */
export function termsOf(layers, population) {
  const { inputs } = layers[0], { outputs } = layers.at(-1), isOne = outputs === 1, found = [["Input", PLANES[inputs]]];
  if (inputs === 2 && isOne) found.push(["Colours", "Blue is below zero and orange above, of outputs, units and weights alike; pale is near zero."]);
  if (inputs === 2 && !isOne) found.push(["Colours", "One for each class, where its output is the largest."]);
  if (inputs === 2 && !isSmooth(layers)) {
    found.push(["Regions", "Pieces on which the network is one affine map. They are exact, not drawn from samples."]);
  }
  if (layers[0].features) found.push(["Features", "What the network is given of an input in place of its coordinates."]);
  const isBox = inputs === 3, where = isBox ? "on the plane in the middle of the box" : "for every input";
  const large = isBox ? "its weights alone" : "it in the large picture";
  found.push(["Network", `Small pictures show what a unit gives ${where}; lines are weights, as wide as they are large. `
    + `Point at a unit to see ${large}, at a line for its weight; a coloured frame is around the unit that is followed.`]);
  found.push(["Through it", "Data and a grid as every layer moves them: first its affine map, then its activation."]);
  if (population.numFrames > 1) found.push(["Training", "All that was recorded; the vertical line is the step that is shown."]);
  if (population.homes.size > 2) {
    found.push(["Population", "Networks trained alike; the one that is seen has a frame. The grey band holds 80 % of them, the dashed line is their "
      + "median. A striped one is dead: its output is the same everywhere."]);
  }
  found.push(["Train", "Networks learn in the page, the page's data or another problem, with settings of your choice. Click a unit or a "
    + "line to move its bias or its weight. A run that is left is kept: the same button leads back to it."]);
  return [...found, ["Here", wordsOf(layers).hint]];
}
