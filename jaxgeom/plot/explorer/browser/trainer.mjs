// The card that says how networks are trained in the page: lists, layers, features, and buttons that begin anew.

import { CHOICES, MOST_LAYERS, MOST_UNITS } from "./choices.mjs";
import { press } from "./controls.mjs";
import { featureNames, featureText } from "./features.mjs";

const LABELS = {
  data: "Data", points: "Points", noise: "Noise", tested: "Held back", activation: "Activation", optimizer: "Optimizer",
  rate: "Learning rate", batch: "Batch", penalty: "Regularization", strength: "Its strength", seeds: "Networks",
};
const element = (name, properties = {}, ...children) => {
  const found = Object.assign(document.createElement(name), properties);
  found.append(...children);
  return found;
};

/** Fills a section; `set(changes)` takes new settings, `restart()` begins anew, `goToLast()` goes back to the run before,
 * which is at `lastStep()`. Returns what writes the settings into it. */
export function trainerOf(section, { inputs }, { set, restart, goToLast, lastStep }) {
  const lists = {}, fields = {}, place = section.querySelector(".settings");
  const field = (text, ...controls) => element("div", { className: "field" }, element("span", { className: "name", textContent: text }),
    element("div", { className: "views" }, ...controls));
  const listOf = (name) => {
    const choices = CHOICES[name].filter(([value]) => name !== "data" || value === "given" || inputs === 2);
    lists[name] = element("select", { ariaLabel: LABELS[name] }, ...choices.map(([value, text]) => new Option(text, value)));
    lists[name].dataset.set = name;
    if (name === "activation") { // a recorded network may have several, or another one
      lists[name].prepend(Object.assign(new Option("as recorded", ""), { hidden: true, disabled: true }));
    }
    lists[name].addEventListener("change", () => set({ [name]: choices.find(([value]) => String(value) === lists[name].value)[0] }));
    return (fields[name] = field(LABELS[name], lists[name]));
  };
  const button = (text, title, act) => {
    const found = element("button", { textContent: text, title });
    found.addEventListener("click", act);
    return found;
  };
  let settings = null;
  const back = button("Last run", "", goToLast);
  const drawn = button("New data", "Draw other points", () => set({ drawn: settings.drawn + 1 }));
  const features = element("span", { className: "chips" }), layers = element("span", { className: "chips" });
  for (const name of featureNames(inputs)) {
    const chip = button(featureText(name, inputs), `Take ${name} as an input`, () => {
      const chosen = plainOr(settings.features, inputs);
      const next = featureNames(inputs).filter((each) => chosen.includes(each) !== (each === name));
      if (next.length) set({ features: isPlain(next, inputs) ? [] : next });
    });
    chip.dataset.feature = name;
    features.append(chip);
  }
  const setHidden = (change) => () => {
    const hidden = settings.hidden.slice();
    change(hidden);
    set({ hidden });
  };
  const fewer = button("−", "A layer less", setHidden((hidden) => hidden.pop()));
  const more = button("+", "A layer more", setHidden((hidden) => hidden.push(hidden.at(-1) ?? 8)));
  place.replaceChildren(
    ...["data", "points", "noise", "tested"].map(listOf), field("\u00a0", drawn), field("Inputs", features),
    field("Hidden layers", fewer, layers, more), ...["activation", "optimizer", "rate", "batch", "penalty", "strength", "seeds"].map(listOf),
    field("Weights", button("Restart", "From the same weights, at step 0", restart),
      button("New", "Other random weights", () => set({ seed: settings.seed + settings.seeds })),
      button("Recorded", "The weights of the recorded network, at the step that was seen", () => set({ start: 1 })), back),
  );

  const unitsOf = (units, depth) => {
    const input = element("input", { type: "number", min: 1, max: MOST_UNITS, value: units, title: `units of layer ${depth + 1}` });
    input.setAttribute("aria-label", input.title);
    input.dataset.layer = depth;
    input.addEventListener("change", () => {
      const wanted = Math.min(MOST_UNITS, Math.max(1, Math.round(Number(input.value)) || 1));
      input.value = wanted;
      setHidden((hidden) => (hidden[depth] = wanted))();
    });
    return input;
  };
  let written = "";
  return (next, note) => {
    settings = next;
    section.querySelector("small").textContent = note;
    back.hidden = lastStep() === null;
    back.title = `Back to the run before this one, at step ${lastStep()}`;
    const name = JSON.stringify(settings);
    if (name === written) return;
    written = name;
    for (const [key, list] of Object.entries(lists)) list.value = settings[key];
    if (lists.activation.selectedIndex < 0) lists.activation.value = "";
    for (const key of ["points", "noise", "tested"]) fields[key].hidden = settings.data === "given";
    drawn.parentElement.parentElement.hidden = settings.data === "given";
    fields.strength.hidden = settings.penalty === "none";
    const chosen = plainOr(settings.features, inputs);
    for (const chip of features.children) press(chip, chosen.includes(chip.dataset.feature));
    if (layers.children.length !== settings.hidden.length) layers.replaceChildren(...settings.hidden.map(unitsOf)); // else they stay in focus
    settings.hidden.forEach((units, depth) => (layers.children[depth].value = units));
    fewer.disabled = !settings.hidden.length;
    more.disabled = settings.hidden.length >= MOST_LAYERS;
  };
}

/** Without features, coordinates are the inputs. */
const plainOr = (features, inputs) => (features.length ? features : featureNames(inputs).slice(0, inputs));
const isPlain = (features, inputs) => features.length === inputs && features.every((name, place) => name === featureNames(inputs)[place]);
