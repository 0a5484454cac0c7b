// What stands around the panels: sliders and buttons as the state is, and words about what is shown.

import { axisSliders, press } from "./controls.mjs";
import { stageNames } from "./hidden.mjs";
import { diagramNote, heightOf, parameterName } from "./diagram.mjs";
import { editorOf, parameterOf } from "./editor.mjs";
import { aboutPoint, aboutRegion, aboutUnit, show } from "./inspector.mjs";
import { writeLegend } from "./legend.mjs";
import { stepAt } from "./population.mjs";
import { factsOf } from "./scene.mjs";
import { areAlone } from "./stage.mjs";
import { wordsOf } from "./words.mjs";

const WIDE = "(min-width: 821px)", TALL = 590; // as in the style sheet
const find = (name) => document.getElementById(name);

/** A function that writes it all, or, while the page moves, the words only now and then. */
export function aroundOf(population, state, view, seen, own, changed) {
  const { sceneOf } = seen;
  let axes = null, setSliders = []; // of these axes
  function writeSliders() {
    if (axes !== population.axes) {
      axes = population.axes;
      setSliders = [0, 1].map((side) =>
        axisSliders(find(`stage-${"ab"[side]}`).querySelector(".axes"), population, (name, place) => {
          state.places[side][name] = place;
          changed();
        }),
      );
    }
    setSliders.forEach((set, side) => set(state.places[side]));
  }

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
    const unit = seen.followedIn(scene), { hint } = wordsOf(scene.layers);
    if (unit) return show(find("inspector"), aboutUnit(scene, unit));
    if (find("inspector").textContent !== hint) find("inspector").textContent = hint;
  }

  /** What is pointed at in the diagram; the picture of the plane is then of that unit. */
  function writeNote({ layers }) {
    const over = seen.overIn({ layers });
    const hint = `${state.compare ? "the first one; " : ""}point at a unit or a line, click to follow a unit`;
    const text = over ? diagramNote(layers, over) : hint;
    if (find("unit-note").textContent !== text) find("unit-note").textContent = text;
    const isTall = state.compare && !state.phase && matchMedia(WIDE).matches; // beside two other panels
    find("network").querySelector("canvas").style.height = `${isTall ? TALL : heightOf(layers)}px`;
  }

  const writeEditor = editorOf(own.edit);
  function writeEdit({ layers, member }) {
    const weight = seen.chosenIn({ layers }), parameter = parameterOf(layers, weight, seen.pickedIn({ layers }));
    const about = { weight, unit: { layer: parameter?.layer, unit: parameter?.to } };
    writeEditor(parameter, layers, parameter && parameterName(layers, about), own.canEdit(member));
  }

  return (isMoving) => {
    const scene = sceneOf(0);
    find("main").classList.toggle("compare", state.compare);
    placeHidden(state.wide);
    find("stage-b").hidden = !state.compare;
    for (const name of ["wide", "compare", "sheet"]) press(find(name), state[name]);
    press(find("train"), state.own !== null);
    press(find("play"), state.playing || state.goal > 0);
    press(find("flow"), view.flow !== 0);
    document.querySelectorAll("[data-color]").forEach((button) => press(button, button.dataset.color === state.color));
    document.querySelectorAll("[data-show]").forEach((button) => press(button, state.show[button.dataset.show]));
    writeSliders();
    find("step").max = population.numFrames - 1;
    find("step").value = state.time;
    find("stepped").textContent = Math.round(stepAt(population, state.time)).toLocaleString("en");
    find("step").setAttribute("aria-valuetext", `step ${find("stepped").textContent}`);
    if (isMoving && view.turns) return; // words are for slower eyes
    seen.sides().forEach(writeFacts);
    if (!scene) return;
    writeThrough(scene);
    const scale = seen.scaleOf(scene.member), isAlone = areAlone(scene, population);
    writeLegend(scene, population, { look: seen.look(), color: state.color, show: state.show, isAlone, scale });
    writeNote(scene);
    writeEdit(scene);
    writeInspector();
  };
}

/** The way through the network, above all else or in its place. */
function placeHidden(isWanted) {
  const section = find("hidden"), isWide = section.parentElement === find("main");
  if (isWanted && !isWide) find("main").prepend(section);
  if (!isWanted && isWide) find("layers").before(section);
}
