// How a network is trained in the page: what can be chosen, what is chosen at first, and the same as part of a link.

import { problemNames } from "./problems.mjs";

const numbers = (...values) => values.map((value) => [value, String(value)]);

/** Allowed values of each setting, with their texts. */
export const CHOICES = {
  data: [["given", "The page's"], ...problemNames()],
  activation: [
    ["relu", "ReLU"], ["tanh", "tanh"], ["sigmoid", "sigmoid"], ["leaky_relu", "leaky ReLU"], ["abs", "absolute value"],
    ["elu", "ELU"], ["gelu", "GELU"], ["softplus", "softplus"], ["sin", "sine"], ["linear", "linear"],
  ],
  optimizer: [["adam", "Adam"], ["sgd", "SGD"], ["momentum", "SGD, momentum 0.9"]],
  rate: numbers(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
  penalty: [["none", "none"], ["l1", "L1"], ["l2", "L2"]],
  strength: numbers(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1),
  batch: [...numbers(1, 4, 10, 30, 100), [0, "all"]],
  points: numbers(50, 100, 200, 300, 500, 1000),
  noise: [0, 5, 10, 15, 20, 25, 30, 40, 50].map((percent) => [percent / 100, `${percent} %`]),
  tested: [0, 10, 20, 30, 40, 50, 60, 70, 80, 90].map((percent) => [percent / 100, `${percent} %`]),
  seeds: numbers(1, 4, 9, 16, 36, 64),
};
export const MOST_LAYERS = 6;
export const MOST_UNITS = 64;

/** Settings of a first training. `start` is 1 for the weights of the network that was seen, 0 for new ones. */
export const firstSettings = () => ({
  data: "given", noise: 0.1, points: 300, tested: 0.5, drawn: 0, features: [], hidden: [8, 8], activation: "relu",
  optimizer: "adam", rate: 0.01, penalty: "none", strength: 0.001, batch: 10, seeds: 1, seed: 0, start: 0,
});

const PREFIX = "t.";

/** What differs from first settings, written to parts of a link. */
export function writeChoices(parts, settings) {
  const first = firstSettings();
  parts.set(`${PREFIX}seed`, settings.seed);
  for (const [name, value] of Object.entries(settings)) {
    const text = Array.isArray(value) ? value.join("~") : String(value);
    if (name !== "seed" && text !== (Array.isArray(first[name]) ? first[name].join("~") : String(first[name]))) parts.set(PREFIX + name, text);
  }
}

/** Hidden layers and activation as they can be chosen, the nearest to those of a recorded network. */
export const allowed = ({ hidden, activation }) => ({
  hidden: hidden.slice(0, MOST_LAYERS).map((units) => Math.min(units, MOST_UNITS)),
  activation: CHOICES.activation.some(([name]) => name === activation) ? activation : "relu",
});

const whole = (text, least, most) => (/^\d+$/.test(text) && Number(text) >= least && Number(text) <= most ? Number(text) : null);

/** Settings of a link's parts, null where it has none; what is not allowed is as at first. */
export function readChoices(parts, featureNames) {
  if (!parts.has(`${PREFIX}seed`)) return null;
  const settings = firstSettings(), textOf = (name) => parts.get(PREFIX + name) ?? "";
  for (const [name, allowed] of Object.entries(CHOICES)) {
    const found = allowed.find(([value]) => String(value) === textOf(name));
    if (found) [settings[name]] = found;
  }
  for (const [name, most] of [["seed", 1e6], ["drawn", 1e6], ["start", 1]]) settings[name] = whole(textOf(name), 0, most) ?? settings[name];
  const hidden = textOf("hidden").split("~").map((text) => whole(text, 1, MOST_UNITS));
  if (hidden.length <= MOST_LAYERS && hidden.every((units) => units !== null)) settings.hidden = hidden;
  if (parts.get(`${PREFIX}hidden`) === "") settings.hidden = []; // none
  settings.features = featureNames.filter((name) => textOf("features").split("~").includes(name));
  return settings;
}
