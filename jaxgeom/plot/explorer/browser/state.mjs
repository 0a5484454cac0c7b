// What the page shows, and the same as a link: `#step=120&width=16&seed=3&color=regions&unit=2.5`.

import { readChoices, writeChoices } from "./choices.mjs";
import { featureNames } from "./features.mjs";
import { firstPhase, phaseAxes } from "./phase.mjs";
import { placesOf, timeOf, writtenStep } from "./population.mjs";

export const SHOWS = ["edges", "boundary", "data"]; // at first; test data when asked for
const COLORS = ["output", "sides", "regions"];
const MOST_STEPS = 1e9, MOST_NETWORKS = 64; // that a link may ask for

/** The state that a page begins with. */
export function firstState(population) {
  const places = placesOf(population, population.start);
  return {
    time: 0, playing: true, speed: 1, color: "output", compare: false, sheet: false, theme: null, picked: null,
    through: 0, wide: false, phase: firstPhase(population), places: [places, { ...places }],
    show: { ...Object.fromEntries(SHOWS.map((name) => [name, true])), test: false },
    own: null, before: null, goal: 0, // of training in the page: settings, what was seen before, a step to reach,
    member: 0, beside: null, // the network that is seen, and the one beside it, if there is one
  };
}

/** What differs from the beginning, as the text behind the #, of what was recorded; `run` is what is trained in the page, at a
 * step, with the network that is seen and the one beside it, and the `origin` {time, places} of its weights, if they were recorded. */
export function written(state, population, run = null) {
  const before = state.before ?? state, { time, places } = run?.origin ?? before, { compare, phase: map } = before;
  const parts = new URLSearchParams();
  parts.set("step", writtenStep(population, time));
  const sides = compare ? [0, 1] : [0];
  for (const side of sides) {
    for (const { name, values } of population.axes) {
      parts.set((side ? "b." : "") + name, values[places[side][name]]);
    }
  }
  if (state.own) {
    writeChoices(parts, state.own);
    if (run.step) parts.set("t.step", run.step);
    if (run.member) parts.set("t.member", run.member);
    if (run.beside !== null) parts.set("t.beside", run.beside);
  }
  if (state.color !== "output") parts.set("color", state.color);
  if (state.sheet) parts.set("sheet", 1);
  if (state.picked) parts.set("unit", `${state.picked.layer + 1}.${state.picked.unit + 1}`);
  if (state.through) parts.set("through", +state.through.toFixed(3));
  if (state.wide) parts.set("wide", 1);
  const phase = phaseText(map);
  if (phase !== phaseText(firstPhase(population))) parts.set("map", phase);
  if (state.theme) parts.set("theme", state.theme);
  for (const name of SHOWS) if (!state.show[name]) parts.set(name, 0);
  if (state.show.test) parts.set("test", 1);
  return parts.toString();
}

const phaseText = (phase) => (phase ? [phase.rows, phase.columns, phase.measure].join("~") : "");

/** The state of a link; what it does not say, or says wrongly, is as at the beginning. */
export function read(text, population) {
  const state = firstState(population), parts = new URLSearchParams(text.replace(/^#/, ""));
  const number = (name, least, most) => {
    const value = parts.has(name) ? Number(parts.get(name)) : NaN;
    return value >= least && value <= most ? value : null;
  };
  const step = number("step", population.steps[0], population.steps.at(-1));
  if (step !== null) Object.assign(state, { time: timeOf(population, step), playing: false });
  population.axes.forEach(({ name, values }) => {
    [name, `b.${name}`].forEach((key, side) => {
      const place = values.findIndex((value) => String(value) === parts.get(key));
      if (place >= 0) state.places[side][name] = place;
      else if (side) state.places[1][name] = state.places[0][name];
    });
  });
  state.compare = population.axes.some(({ name }) => parts.has(`b.${name}`));
  if (COLORS.includes(parts.get("color"))) state.color = parts.get("color");
  state.sheet = parts.get("sheet") === "1";
  if (["light", "dark"].includes(parts.get("theme"))) state.theme = parts.get("theme");
  state.own = readChoices(parts, featureNames(population.inputs));
  if (state.own) {
    const whole = (name, most) => Math.floor(number(name, 0, most) ?? 0);
    Object.assign(state, { goal: whole("t.step", MOST_STEPS), member: whole("t.member", MOST_NETWORKS - 1), playing: false });
    if (parts.has("t.beside")) state.beside = whole("t.beside", MOST_NETWORKS - 1);
  }
  const unit = /^(\d+)\.(\d+)$/.exec(parts.get("unit") ?? "");
  if (unit) state.picked = { layer: unit[1] - 1, unit: unit[2] - 1 };
  state.through = number("through", 0, 1000) ?? 0;
  state.wide = parts.get("wide") === "1";
  const [rows, columns, measure] = (parts.get("map") ?? "").split("~"), names = phaseAxes(population);
  const isMeasure = population.curves.some(({ name }) => name === measure);
  if (isMeasure && rows !== columns && names.includes(rows) && names.includes(columns)) state.phase = { rows, columns, measure };
  for (const name of SHOWS) if (parts.get(name) === "0") state.show[name] = false;
  state.show.test = parts.get("test") === "1" && Boolean(state.own || population.arrays["test/x"]);
  return state;
}
