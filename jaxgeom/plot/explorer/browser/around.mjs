// What stands around the panels: sliders and buttons as the state is, and words about what is shown.

import { axisSliders, press } from "./controls.mjs";
import { stageNames } from "./hidden.mjs";
import { diagramNote, heightOf } from "./diagram.mjs";
import { editorOf, parameterOf } from "./editor.mjs";
import { aboutNetwork, aboutPoint, aboutRegion, aboutUnit, show } from "./inspector.mjs";
import { writeLegend } from "./legend.mjs";
import { firstHidden, isHidden } from "./network.mjs";
import { stepAt } from "./population.mjs";
import { factsOf } from "./scene.mjs";
import { areAlone } from "./stage.mjs";
import { byHand, wordsOf } from "./words.mjs";

const stepText = (step) => Math.round(step).toLocaleString("en");
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
    const [mark] = state.compare ? seen.shown().slice(side) : []; // as its curves
    const line = mark ? `<i${mark.isSecond ? ' class="second"' : ""} style="color:${mark.color}"></i>` : "";
    facts.innerHTML = line + factsOf(population, scene).join(" · ");
  }

  function writeThrough(scene) {
    const names = stageNames(scene.layers);
    find("through").max = names.length - 1;
    find("through").value = state.through;
    find("stage-name").textContent = names[Math.min(names.length - 1, Math.round(state.through))];
  }

  /** A region or a point that is pointed at, or else a unit, or else the network. */
  function writeInspector() {
    const side = view.hovered[0] ? 0 : view.hovered[1] ? 1 : -1, face = side >= 0 ? seen.hoveredFace(side) : -1;
    const scene = sceneOf(side >= 0 ? side : 0), inspector = find("inspector"), unit = sceneOf(0) && seen.followedIn(sceneOf(0));
    find("unit-facts").hidden = !unit;
    if (unit) show(find("unit-facts"), aboutUnit(sceneOf(0), unit));
    if (!scene) return;
    const isPoint = side >= 0 && !scene.regions, isSummary = face < 0 && !isPoint && !unit;
    inspector.setAttribute("aria-live", isSummary ? "off" : "polite"); // it changes all the time while networks train
    if (face >= 0) show(inspector, aboutRegion(scene, face, ...view.hovered[side]));
    else if (isPoint) show(inspector, aboutPoint(scene, view.hovered[side]));
    else if (unit) show(inspector, aboutUnit(sceneOf(0), unit));
    else show(inspector, aboutNetwork(scene), byHand(wordsOf(scene.layers).hint));
  }

  /** What is pointed at in the diagram; the picture of the plane is then of that unit. */
  function writeNote({ layers }) {
    const over = seen.overIn({ layers });
    const hint = `${state.compare ? "the first one; " : ""}${byHand("point at a unit or a line, click to follow a unit")}`;
    const text = over ? diagramNote(layers, over) : hint;
    if (find("unit-note").textContent !== text) find("unit-note").textContent = text;
    const isTall = state.compare && !state.phase && matchMedia(WIDE).matches; // beside two other panels
    find("network").querySelector("canvas").style.height = `${isTall ? TALL : heightOf(layers)}px`;
  }

  /** A bias, if `from` is null, or a weight, of the unit whose parameters are listed. */
  function choose({ layer, to }, from) {
    const { layers } = sceneOf(0), counted = layer - firstHidden(layers), picked = seen.pickedIn({ layers });
    if (picked?.layer !== layer || picked.unit !== to) state.picked = isHidden(layers, layer) ? { layer: counted, unit: to } : null;
    view.weight = { layer: counted, from, to };
    view.over = from === null ? { unit: { layer: counted, unit: to } } : { weight: view.weight };
    changed();
  }

  const writeEditor = editorOf(own.edit, choose);
  function writeEdit({ layers, member }) {
    writeEditor(parameterOf(layers, seen.chosenIn({ layers }), seen.pickedIn({ layers })), layers, own.canEdit(member));
  }

  /** A network that is not finite has no units, no weights and no colours. */
  function writeNothing() {
    writeEditor(null);
    find("unit-facts").hidden = true;
    find("unit-note").textContent = "";
    show(find("inspector"), [["network", "not finite"]]);
  }

  /** Whether an earlier step is seen than the last that was trained. */
  const isBack = () => own.isOn() && state.time < population.numFrames - 1;

  /** What the button does. */
  function writePlay() {
    const last = stepText(population.steps.at(-1)), isPlaying = state.playing || state.goal > 0;
    const begin = isBack() ? `Play from here to step ${last}, then train on` : "Train on";
    const text = !own.isOn() ? "Play or pause" : isPlaying ? "Pause" : begin;
    if (find("play").title === `${text} (space)`) return;
    find("play").title = `${text} (space)`;
    find("play").setAttribute("aria-label", text.toLowerCase());
  }

  return (isMoving) => {
    const scene = sceneOf(0);
    find("main").classList.toggle("compare", state.compare);
    placeHidden(state.wide);
    find("stage-b").hidden = !state.compare;
    for (const name of ["wide", "compare", "sheet"]) press(find(name), state[name]);
    press(find("train"), state.own !== null);
    const kept = own.isOn() ? null : own.lastStep();
    find("train").textContent = kept === null ? "Train" : "Your run";
    find("train").title = kept === null ? "Train networks in the page (n)" : `Back to what was trained in the page, at step ${kept} (n)`;
    press(find("play"), state.playing || state.goal > 0);
    press(find("flow"), view.flow !== 0);
    document.querySelectorAll("[data-color]").forEach((button) => press(button, button.dataset.color === state.color));
    document.querySelectorAll("[data-show]").forEach((button) => press(button, state.show[button.dataset.show]));
    writeSliders();
    find("step").max = population.numFrames - 1;
    find("step").value = state.time;
    find("stepped").textContent = stepText(stepAt(population, state.time)) + (isBack() ? ` of ${stepText(population.steps.at(-1))}` : "");
    find("step").setAttribute("aria-valuetext", `step ${find("stepped").textContent}`);
    writePlay();
    if (isMoving && view.turns) return; // words are for slower eyes
    seen.sides().forEach(writeFacts);
    if (!scene) return writeNothing();
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
