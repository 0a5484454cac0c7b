// What stands around the panels: sliders and buttons as the state is, and words about what is shown.

import { axisSliders, press } from "./controls.mjs";
import { stageNames } from "./hidden.mjs";
import { aboutPoint, aboutRegion, aboutUnit, show } from "./inspector.mjs";
import { writeLegend } from "./legend.mjs";
import { stepAt } from "./population.mjs";
import { factsOf } from "./scene.mjs";
import { areAlone } from "./stage.mjs";
import { wordsOf } from "./words.mjs";

const find = (name) => document.getElementById(name);

/** A function that writes it all, or, while the page moves, the words only now and then. */
export function aroundOf(population, state, view, seen, changed) {
  const { sceneOf } = seen;
  const setSliders = [0, 1].map((side) =>
    axisSliders(find(`stage-${"ab"[side]}`).querySelector(".axes"), population, (name, place) => {
      state.places[side][name] = place;
      changed();
    }),
  );

  function writeFacts(side) {
    const scene = sceneOf(side), facts = find(`stage-${"ab"[side]}`).querySelector(".facts");
    if (!scene) return void (facts.textContent = "");
    facts.innerHTML = factsOf(population, scene).join(" · ");
  }

  function writeThrough(scene) {
    const names = stageNames(scene.layers);
    find("through").max = names.length - 1;
    find("through").value = state.through;
    find("stage-name").textContent = names[Math.min(names.length - 1, Math.round(state.through))];
  }

  function writeInspector() {
    const side = view.hovered[0] ? 0 : view.hovered[1] ? 1 : -1, face = side >= 0 ? seen.hoveredFace(side) : -1;
    const scene = sceneOf(side >= 0 ? side : 0);
    if (face >= 0) return show(find("inspector"), aboutRegion(scene, face, ...view.hovered[side]));
    if (side >= 0 && scene && !scene.regions) return show(find("inspector"), aboutPoint(scene, view.hovered[side]));
    if (seen.pickedIn(scene)) return show(find("inspector"), aboutUnit(scene, seen.pickedIn(scene)));
    find("inspector").textContent = wordsOf(scene.layers).hint;
  }

  return (isMoving) => {
    const scene = sceneOf(0);
    find("main").classList.toggle("compare", state.compare);
    placeHidden(state.wide);
    find("stage-b").hidden = !state.compare;
    for (const name of ["wide", "compare", "sheet"]) press(find(name), state[name]);
    press(find("play"), state.playing);
    press(find("flow"), view.flow !== 0);
    document.querySelectorAll("[data-color]").forEach((button) => press(button, button.dataset.color === state.color));
    document.querySelectorAll("[data-show]").forEach((button) => press(button, state.show[button.dataset.show]));
    setSliders.forEach((set, side) => set(state.places[side]));
    find("step").value = state.time;
    find("stepped").textContent = Math.round(stepAt(population, state.time)).toLocaleString("en");
    find("step").setAttribute("aria-valuetext", `step ${find("stepped").textContent}`);
    if (isMoving && view.turns) return; // words are for slower eyes
    seen.sides().forEach(writeFacts);
    if (!scene) return;
    writeThrough(scene);
    writeLegend(scene, seen.look(), areAlone(scene, population));
    writeInspector();
  };
}

/** The way through the network, above all else or in its place. */
function placeHidden(isWanted) {
  const section = find("hidden"), isWide = section.parentElement === find("main");
  if (isWanted && !isWide) find("main").prepend(section);
  if (!isWanted && isWide) find("layers").before(section);
}
