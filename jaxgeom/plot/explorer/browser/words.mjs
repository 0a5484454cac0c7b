// What parts of the page are called, which depends on the networks: of one, two or three inputs, smooth or not.

import { coordinateText, featureText } from "./features.mjs";
import { hasSteps } from "./line.mjs";
import { firstHidden, isSmooth } from "./network.mjs";

/** What a layer is called; hidden layers are counted from 1. */
export function layerName(layers, layer) {
  if (layers[layer].features) return "features";
  return layer === layers.length - 1 ? "output" : `layer ${layer + 1 - firstHidden(layers)}`;
}

/** What the first layer of weights has as an input, a coordinate or a feature, as it is written in formulas. */
export function inputName([{ features, inputs }], unit) {
  return features ? featureText(features[unit], inputs) : coordinateText(unit, inputs);
}

/** What is said of a mouse, in words for fingers where there is none. */
export function byHand(text) {
  if (!matchMedia("(hover: none)").matches) return text;
  return text.replace(", click to follow a unit", "").replace(/([Pp])oint at/g, (_, first) => (first === "P" ? "Tap" : "tap"))
    .replace(/([Cc])lick/g, (_, first) => (first === "C" ? "Tap" : "tap"));
}

/** Names of the buttons, of lines (`edge` of a layer, none if empty), marks of the legend [colour, text], and a hint. */
export function wordsOf(layers, { classes } = {}) {
  const { inputs } = layers[0];
  if (inputs === 1) {
    return {
      regions: hasSteps(layers) ? "Steps" : "", edges: "Thresholds", boundary: "Zero", edge: "threshold",
      marks: [["ink", "output"], ...(hasSteps(layers) ? [["steps", "with units that are off or on (Steps)"]] : [])],
      hint: "Point at the graph for the output and its slope; click a unit for what it does along the line.",
    };
  }
  if (inputs === 3) {
    return {
      regions: "", edges: "Mesh", boundary: "Surface", edge: "", marks: [],
      hint: "Drag, or press arrow keys, to turn the box; click a unit for its weights.",
    };
  }
  const isRegression = classes === null;
  const boundary = { boundary: isRegression ? "Zero" : "Boundary", marks: [["boundary", isRegression ? "output zero" : "decision boundary"]] };
  if (isSmooth(layers)) {
    return {
      ...boundary, regions: "Signs", edges: "Zero lines", edge: "zeros",
      hint: "Point at the plane for outputs, their slopes and the signs of all units; click a unit for its zero line.",
    };
  }
  return {
    ...boundary, regions: "Regions", edges: "Edges", edge: "edge",
    hint: "Point at a region for its activation code, affine map and area; click a unit for its bent line.",
  };
}
