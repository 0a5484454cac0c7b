// A weight or a bias, to be moved: the row beneath the diagram.

import { nameOf, parameterName } from "./diagram.mjs";
import { digits } from "./inspector.mjs";

const BIAS = "bias"; // in the list, which else has numbers of inputs
const REACH = 3; // how far a slider goes beyond the largest weight of the layer, in multiples of it
const find = (name) => document.getElementById(name);

/** What can be edited of a network: the weight {layer, from, to} that is chosen, a bias if `from` is null, or the bias of the unit
 * that is picked. */
export function parameterOf(layers, weight, picked) {
  const chosen = weight ?? (picked && { layer: picked.layer, from: null, to: picked.unit });
  if (!chosen) return null;
  const { layer, from, to } = chosen;
  return from === null ? { part: "bias", place: to, ...chosen } : { part: "kernel", place: from * layers[layer].outputs + to, ...chosen };
}

/** Listens to the row; `edit(parameter, value)` follows what is moved, `choose(parameter, from)` a choice in the list of all
 * parameters of the unit. Returns what writes a parameter of layers into it. */
export function editorOf(edit, choose) {
  const [row, slider, number, list] = ["edit", "edit-slider", "edit-number", "edit-which"].map(find);
  let shown = null, listed = "";
  const moved = (input) => () => {
    const value = Number(input.value);
    if (shown && input.value !== "" && Number.isFinite(value)) edit(shown.parameter, value);
  };
  slider.addEventListener("input", moved(slider));
  number.addEventListener("change", moved(number));
  find("edit-zero").addEventListener("click", () => shown && edit(shown.parameter, 0));
  list.addEventListener("change", () => shown && choose(shown.parameter, list.value === BIAS ? null : Number(list.value)));
  function writeList({ layer, from, to }, layers) {
    const names = Array.from({ length: layers[layer].inputs }, (_, input) => nameOf(layers, layer - 1, input));
    const title = `bias or weight of ${nameOf(layers, layer, to)}`, name = JSON.stringify([title, names]);
    if (name !== listed) list.replaceChildren(new Option("bias", BIAS), ...names.map((each, input) => new Option(`from ${each}`, input)));
    listed = name;
    list.setAttribute("aria-label", title);
    list.value = from ?? BIAS;
  }
  return (parameter, layers, canEdit) => {
    row.hidden = parameter === null;
    if (!parameter) return void (shown = null);
    const { part, layer, place } = parameter, values = layers[layer][part], value = values[place], key = [part, layer, place].join();
    if (shown?.key !== key) {
      const most = REACH * Math.max(0.5, values.reduce((largest, each) => Math.max(largest, Math.abs(each)), 0));
      [slider.min, slider.max] = [-most, most];
    }
    shown = { key, parameter };
    writeList(parameter, layers);
    find("edit-name").textContent = parameterName(layers, parameter);
    for (const input of [slider, number, find("edit-zero")]) input.disabled = !canEdit;
    if (document.activeElement !== slider || Number(slider.value) !== value) slider.value = value;
    if (document.activeElement !== number) number.value = +value.toPrecision(4);
    slider.setAttribute("aria-valuetext", digits(value));
  };
}
