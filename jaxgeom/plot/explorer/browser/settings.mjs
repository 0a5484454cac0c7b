// The lists that choose what a phase diagram shows.

import { phaseAxes } from "./phase.mjs";
import { repeatedAxis } from "./population.mjs";

/** Writes the lists of a section for `state.phase`; `changed()` follows a choice. */
export function writeSettings(section, state, population, changed) {
  const { phase } = state, repeated = repeatedAxis(population), isMedian = ![phase.rows, phase.columns].includes(repeated);
  const names = phaseAxes(population), measures = population.curves.map(({ name }) => name);
  section.querySelector("small").textContent = `${isMedian ? `of the median ${repeated}, at` : "at"} the step shown; click one to open its network`;
  const lists = [["measure", measures, "number"], ["rows", names, "down"], ["columns", names, "across"]];
  const labels = lists.filter(([, all]) => all.length > 1).map(([kind, all, text]) => {
    const label = document.createElement("label"), list = document.createElement("select");
    all.forEach((name) => list.append(new Option(name.replaceAll("_", " "), name)));
    list.value = phase[kind];
    list.dataset.phase = kind;
    list.addEventListener("change", () => {
      const before = { ...phase };
      phase[kind] = list.value;
      if (phase.rows === phase.columns) phase[kind === "rows" ? "columns" : "rows"] = before[kind];
      changed();
      section.querySelector(`[data-phase=${kind}]`).focus();
    });
    label.append(text, list);
    return label;
  });
  section.querySelector(".views").replaceChildren(...labels);
}
