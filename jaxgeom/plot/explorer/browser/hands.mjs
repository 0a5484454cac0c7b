// What a mouse, a finger and arrow keys do on the panels: point, turn, pick, and choose a step or a network.

import { turned } from "./camera.mjs";
import { stepUnder } from "./curves.mjs";
import { unitAt } from "./diagram.mjs";
import { galleryOf } from "./gallery.mjs";
import { pointUnder } from "./hidden.mjs";
import { chartOf } from "./line.mjs";
import { firstHidden, isHidden } from "./network.mjs";
import { onArrows, onDrag, placeOf } from "./panel.mjs";
import { cellUnder } from "./phase.mjs";
import { placesOf, timeOf } from "./population.mjs";
import { frameOf } from "./stage.mjs";

const NEAR = 3, MOUSE = 8, FINGER = 22; // pixels that a pointer may be beside what it means
const reachOf = ({ pointerType }) => (pointerType === "touch" ? FINGER : MOUSE);
const sizeOf = ({ clientWidth, clientHeight }) => [clientWidth, clientHeight];

/** Listens on all panels. */
export function putHands(population, state, view, seen, panels, changed, setTime) {
  panels.stages.forEach(({ canvas }, side) => onStage(population, view, seen, canvas, side, changed));
  onHidden(panels.hidden.canvas, panels.layout.whole, population, state, view, seen, panels, changed);
  onHidden(panels.layers.canvas, panels.layout.small, population, state, view, seen, panels, changed);
  onNetwork(panels, state, view, seen, changed);
  onCurves(panels, population, setTime);
  onPhase(panels, population, state, changed);
  onGallery(panels.gallery.canvas, population, state, view, seen, changed);
}

function onGallery(canvas, population, state, view, seen, changed) {
  const under = (event) => {
    const [x, y] = placeOf(event), { boxes } = galleryOf(seen.room().shown, canvas.clientWidth);
    return boxes.find((box) => x >= box.x && x <= box.x + box.size && y >= box.y && y <= box.y + box.size)?.member ?? null;
  };
  const point = (member) => {
    if (view.member === member) return;
    view.member = member;
    changed();
  };
  canvas.addEventListener("pointermove", (event) => point(under(event)));
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("click", (event) => {
    const member = under(event);
    if (member === null) return;
    state.places[event.shiftKey && state.compare ? 1 : 0] = placesOf(population, member);
    changed();
  });
  onArrows(canvas, (right) => {
    const members = seen.members(), place = members.indexOf(seen.memberOf(0)) + Math.sign(right);
    if (right) state.places[0] = placesOf(population, members[(place + members.length) % members.length]);
    changed();
    return right !== 0;
  });
}

/** Calls `point(event)` for a mouse that moves and for a tap; what was touched stays when the finger goes. */
function onPoint(canvas, point, view, changed) {
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "touch") return;
    view.hovered = [null, null];
    changed();
  });
}

function onStage(population, view, seen, canvas, side, changed) {
  const outward = (x, y) => {
    const { domain, inputs } = population;
    if (inputs === 2) return frameOf(domain, canvas.clientWidth).outward(x, y);
    return [chartOf(domain, seen.heightsAt(seen.memberOf(side)), ...sizeOf(canvas)).outward(x)];
  };
  const point = (event) => {
    view.over = null;
    view.hovered[side] = seen.canTurn() ? null : outward(...placeOf(event));
    view.hovered[1 - side] = null;
    changed();
  };
  const turn = (right, down) => {
    if (!seen.canTurn()) return false;
    view.turn = turned(view.turn, right, down);
    changed();
    return true;
  };
  onPoint(canvas, point, view, changed);
  onDrag(canvas, turn, point);
  onArrows(canvas, turn);
}

/** Pictures of layers turn, and a point of theirs shows where it comes from and goes to. */
function onHidden(canvas, layout, population, state, view, seen, panels, changed) {
  const point = (event) => {
    if (event.type === "pointermove" && event.buttons) return; // it turns
    if (!panels.paths()) return;
    const [x, y] = placeOf(event), drawn = layout(...sizeOf(canvas)).find(({ box: [left, , width] }) => x >= left && x <= left + width);
    const options = { turn: seen.hiddenTurn(), show: state.show, reach: reachOf(event) };
    const found = drawn ? pointUnder(drawn.box, panels.paths(), drawn.stage, population, options, x, y) : null;
    if (!found && !view.hovered[0]) return;
    view.hovered = [found, null];
    changed();
  };
  const turn = (right, down) => {
    view.hiddenTurn = turned(seen.hiddenTurn(), right, down);
    changed();
    return true;
  };
  onPoint(canvas, point, view, changed);
  onDrag(canvas, turn, point);
  onArrows(canvas, turn);
}

function onNetwork({ network: { canvas }, layout }, state, view, { sceneOf, pickedIn, chosenIn }, changed) {
  const under = (event, reach) => {
    if (!sceneOf(0)) return null;
    const unit = unitAt(layout.boxes(...sizeOf(canvas)), ...placeOf(event), reach);
    const weight = unit ? null : layout.weight(canvas, ...placeOf(event), reach);
    const counted = (each) => ({ ...each, layer: each.layer - firstHidden(sceneOf(0).layers) }); // as `seen` places it again
    return unit ? { unit: counted(unit) } : weight ? { weight: counted(weight) } : null;
  };
  const isOutput = (layers, layer) => layer === layers.length - 1;
  /** An output's bias; no unit is followed. */
  const chooseOutput = (layers, unit, isAgain) => {
    const layer = layers.length - 1 - firstHidden(layers), { weight } = view, bias = { layer, from: null, to: unit };
    state.picked = null;
    view.weight = isAgain && weight?.layer === layer && weight.from === null && weight.to === unit ? null : bias;
  };
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const over = under(event, NEAR);
    if (!over && !view.over) return;
    view.over = over;
    changed();
  });
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "touch") return;
    view.over = null;
    changed();
  });
  canvas.addEventListener("click", (event) => {
    if (!sceneOf(0)) return;
    const box = unitAt(layout.boxes(...sizeOf(canvas)), ...placeOf(event), reachOf(event));
    const { layers } = sceneOf(0), first = firstHidden(layers), picked = pickedIn({ layers });
    const isUnit = box && isHidden(layers, box.layer), isSame = isUnit && picked && picked.layer === box.layer && picked.unit === box.unit;
    state.picked = isUnit && !isSame ? { layer: box.layer - first, unit: box.unit } : null;
    if (!box) view.weight = under(event, reachOf(event))?.weight ?? null;
    else if (isOutput(layers, box.layer)) chooseOutput(layers, box.unit, true);
    else view.weight = null;
    view.hovered = [null, null];
    if (event.pointerType === "touch") view.over = isSame ? null : under(event, reachOf(event)); // as a mouse that stays
    changed();
  });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }, move = moves[event.key];
    if (!sceneOf(0) || !(move || event.key === "Enter")) return;
    event.preventDefault();
    if (!move) return document.getElementById("edit-which").focus(); // if a unit or weight is chosen
    const { layers } = sceneOf(0), first = firstHidden(layers), chosen = chosenIn({ layers });
    const from = (chosen ? { layer: chosen.layer, unit: chosen.to } : pickedIn({ layers })) ?? { layer: first, unit: -move[1] };
    const layer = Math.min(layers.length - 1, Math.max(first, from.layer + move[0])), num = layers[layer].outputs;
    const unit = (Math.min(num - 1, from.unit) + move[1] + num) % num;
    view.over = { unit: { layer: layer - first, unit } };
    view.weight = null;
    if (isOutput(layers, layer)) chooseOutput(layers, unit, false);
    else state.picked = view.over.unit;
    changed();
  });
}

function onCurves({ curves: { canvas }, layout }, population, setTime) {
  const scrub = (event) => {
    const step = stepUnder(layout.charts(...sizeOf(canvas)), placeOf(event)[0], population.steps.at(-1));
    if (step !== null) setTime(Math.round(timeOf(population, step)));
  };
  onDrag(canvas, () => {});
  canvas.addEventListener("pointerdown", scrub);
  canvas.addEventListener("pointermove", (event) => event.buttons && scrub(event));
}

function onPhase({ phase: { canvas }, layout, cells }, population, state, changed) {
  const open = (row, column) => {
    const cell = cells().find((each) => each.row === row && each.column === column);
    if (!cell) return;
    state.places[0] = placesOf(population, cell.member);
    changed();
  };
  canvas.addEventListener("click", (event) => {
    const hit = cellUnder(layout.phase(canvas.clientWidth), ...placeOf(event));
    if (hit) open(hit.row, hit.column);
  });
  onArrows(canvas, (right, down) => {
    const { rows, columns } = layout.phase(canvas.clientWidth), { phase, places: [places] } = state;
    const within = (place, by, all) => Math.min(all.length - 1, Math.max(0, place + Math.sign(by)));
    open(within(places[phase.rows], down, rows), within(places[phase.columns], right, columns));
    return true;
  });
}
