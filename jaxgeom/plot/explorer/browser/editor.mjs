// A weight or a bias, to be moved: the row beneath the diagram.

import { digits } from "./inspector.mjs";

const REACH = 3; // how far a slider goes beyond the largest weight of the layer, in multiples of it
const find = (name) => document.getElementById(name);

/** What can be edited of a network: the weight {layer, from, to} that is chosen, or the bias of the unit that is picked. */
export function parameterOf(layers, weight, picked) {
  if (weight) {
    return { part: "kernel", layer: weight.layer, place: weight.from * layers[weight.layer].outputs + weight.to, ...weight };
  }
  return picked && { part: "bias", layer: picked.layer, place: picked.unit, to: picked.unit };
}

/** Listens to the row; `edit(parameter, value)` follows what is moved. Returns what writes a parameter of layers into it. */
export function editorOf(edit) {
  const [row, slider, number] = ["edit", "edit-slider", "edit-number"].map(find);
  let shown = null;
  const moved = (input) => () => {
    const value = Number(input.value);
    if (shown && input.value !== "" && Number.isFinite(value)) edit(shown.parameter, value);
  };
  slider.addEventListener("input", moved(slider));
  number.addEventListener("change", moved(number));
  find("edit-zero").addEventListener("click", () => shown && edit(shown.parameter, 0));
  return (parameter, layers, name, canEdit) => {
    row.hidden = parameter === null;
    if (!parameter) return void (shown = null);
    const { part, layer, place } = parameter, values = layers[layer][part], value = values[place], key = [part, layer, place].join();
    if (shown?.key !== key) {
      const most = REACH * Math.max(0.5, values.reduce((largest, each) => Math.max(largest, Math.abs(each)), 0));
      [slider.min, slider.max] = [-most, most];
    }
    shown = { key, parameter };
    find("edit-name").textContent = name;
    for (const input of [slider, number, find("edit-zero")]) input.disabled = !canEdit;
    if (document.activeElement !== slider || Number(slider.value) !== value) slider.value = value;
    if (document.activeElement !== number) number.value = +value.toPrecision(4);
    slider.setAttribute("aria-valuetext", digits(value));
  };
}
