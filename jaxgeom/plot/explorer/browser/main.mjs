// The page: reads its arrays, keeps the state, and draws what has changed once a frame of the screen.

import { unpack } from "./bytes.mjs";
import { CORNER, ABOVE, turned } from "./camera.mjs";
import { lookOf } from "./colors.mjs";
import { KEYS, axisSliders, onKeys, press } from "./controls.mjs";
import { chartsOf, drawCurves, stepUnder } from "./curves.mjs";
import { diagramOf, drawDiagram, unitAt } from "./diagram.mjs";
import { drawGallery, galleryOf, galleryPainter } from "./gallery.mjs";
import { drawHidden, pathsOf, stageNames, viewsOf } from "./hidden.mjs";
import { aboutPoint, aboutRegion, aboutUnit, digits, show } from "./inspector.mjs";
import { writeLegend } from "./legend.mjs";
import { chartOf, drawLine, heightsOf } from "./line.mjs";
import { onArrows, onDrag, panel, placeOf } from "./panel.mjs";
import { cellUnder, cellsOf, drawPhase, phaseLayout } from "./phase.mjs";
import { layersAt, memberAt, placesOf, readPopulation, repeatedAxis, siblings, stepAt, timeOf } from "./population.mjs";
import { factsOf, scenes } from "./scene.mjs";
import { writeSettings } from "./settings.mjs";
import { addressWriter, copyLink, savePicture } from "./share.mjs";
import { drawSpace } from "./space.mjs";
import { SHOWS, read, written } from "./state.mjs";
import { wordsOf } from "./words.mjs";
import { areAlone, drawStage, frameOf, outputScale } from "./stage.mjs";
import { engineRegions, faceAt, numFaces } from "./regions.mjs";

const find = (name) => document.getElementById(name);
const PLAY_SECONDS = 14; // through all frames
const HOLD_SECONDS = 2; // on the last one
const LIFT_SECONDS = 0.5;
const STAGES_A_SECOND = 0.5; // on the way through the network

const about = JSON.parse(find("about").textContent);
const population = readPopulation(about, await unpack(about.arrays, find("bytes").textContent.trim()));
const sceneAt = scenes(population, engineRegions(population.arrays), 6);
const state = read(location.hash || about.link, population), { inputs } = population;
if (population.numFrames === 1) state.playing = false;
const view = {
  lift: state.sheet ? 1 : 0, turn: CORNER, hiddenTurn: null, hovered: [null, null], held: 0, turns: 0, flow: 0, isStale: true,
};
if (!location.hash && matchMedia("(prefers-reduced-motion: reduce)").matches) {
  Object.assign(state, { time: population.numFrames - 1, playing: false });
}

const remembered = (compute) => {
  const known = new Map();
  return (key) => known.get(key) ?? known.set(key, compute(key)).get(key);
};
const scaleOf = remembered((member) => outputScale(layersAt(population, member, population.numFrames - 1), population.domain));
const heightsAt = remembered((member) => heightsOf(population, layersAt(population, member, population.numFrames - 1)));
const viewsAt = remembered((member) => viewsOf(population, member));
const gallery = galleryPainter(population, scaleOf, heightsAt);

const memberOf = (side) => memberAt(population, state.places[side]);
const sceneOf = (side) => sceneAt(memberOf(side), state.time);
const members = () => siblings(population, state.places[0]);
const look = () => lookOf(document.documentElement.dataset.theme);
const sideColors = () => [look().strong[1], look().layers[3]];
const shown = () => (state.compare ? [0, 1] : [0]).map((side) => ({ member: memberOf(side), color: sideColors()[side] }));

function pickedIn(scene) {
  const { picked } = state;
  return picked && picked.layer < scene.layers.length - 1 && picked.unit < scene.layers[picked.layer].outputs ? picked : null;
}

// The panels.

function stagePanel(side) {
  return panel(find(`stage-${"ab"[side]}`).querySelector("canvas"), (context, width, height) => {
    const scene = sceneOf(side), member = memberOf(side);
    if (!scene) return drawMissing(context, width);
    const options = { look: look(), color: state.color, show: state.show, picked: pickedIn(scene), turn: view.turn };
    if (inputs === 1) {
      const hovered = view.hovered[side]?.[0] ?? null;
      drawLine(context, width, height, scene, population, { ...options, hovered, heights: heightsAt(member) });
    } else if (inputs === 3) drawSpace(context, width, scene, population, options);
    else {
      const more = { lift: eased(view.lift), scale: scaleOf(member), hovered: hoveredFace(side) };
      drawStage(context, frameOf(population.domain, width), scene, population, { ...options, ...more });
    }
  });
}

function drawMissing(context, width) {
  context.fillStyle = look().faint;
  context.font = "14px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillText("This network is not finite.", width / 2, width / 2);
}

const hoveredFace = (side) => {
  const point = view.hovered[side], scene = sceneOf(side);
  return point && scene?.regions && view.lift === 0 ? faceAt(scene.regions, ...point) : -1;
};
const eased = (share) => share * share * (3 - 2 * share);

const diagramBoxes = (width, height) => diagramOf(layersAt(population, memberOf(0), population.numFrames - 1), width, height);
const networkPanel = panel(find("network").querySelector("canvas"), (context, width, height) => {
  const scene = sceneOf(0);
  if (scene) drawDiagram(context, diagramBoxes(width, height), scene, population, { look: look(), picked: pickedIn(scene) });
});

function pathsNow() {
  const scene = sceneOf(0);
  return scene && pathsOf(population, scene, viewsAt(memberOf(0)), pickedIn(scene));
}
const hiddenOptions = () => ({ look: look(), turn: view.hiddenTurn ?? startTurn(), show: state.show });
const startTurn = () => (inputs === 3 || layersAt(population, memberOf(0), 0)?.some(({ outputs }) => outputs === 3) ? CORNER : ABOVE);

let paths = null; // of this frame, for both panels
const hiddenPanel = panel(find("hidden").querySelector("canvas"), (context, width, height) => {
  paths ??= pathsNow();
  if (paths) drawHidden(context, [0, 0, width, height], paths, Math.min(state.through, paths.grid.length - 1), population, hiddenOptions());
});
const layersPanel = panel(find("layers").querySelector("canvas"), (context, width, height) => {
  paths ??= pathsNow();
  if (!paths) return;
  const stages = paths.grid.map((_, stage) => stage).filter((stage) => stage % 2 === 0 && stage < paths.grid.length - 1);
  const drawn = [...stages.slice(1), paths.grid.length - 1], each = width / drawn.length;
  context.font = "11px system-ui, sans-serif";
  drawn.forEach((stage, place) => {
    drawHidden(context, [place * each, 16, each - 6, height - 18], paths, stage, population, hiddenOptions());
    context.fillStyle = look().faint;
    context.textAlign = "left";
    const sizes = sceneOf(0).layers[place].outputs;
    context.fillText(place === drawn.length - 1 ? "output" : `layer ${place + 1}: ${sizes} units`, place * each + 1, 10);
  });
});
const charts = (width, height) => chartsOf(population, members(), width, height);
const curvesPanel = panel(find("curves").querySelector("canvas"), (context, width, height) => {
  drawCurves(context, charts(width, height), members(), shown(), population, state.time, look());
});
const galleryPanel = panel(find("population").querySelector("canvas"), (context, width) => {
  drawGallery(context, galleryOf(members(), width).boxes, gallery.pictures, shown(), look());
});
const phaseAt = (width) => phaseLayout(population, state.phase, width);
const phaseCells = () => cellsOf(population, state.places[0], state.phase, state.time);
const phasePanel = panel(find("phase").querySelector("canvas"), (context, width) => {
  drawPhase(context, phaseAt(width), phaseCells(), state.places[0], state.phase, population, look());
});
const stagePanels = [stagePanel(0), stagePanel(1)];
const panels = [...stagePanels, networkPanel, hiddenPanel, layersPanel, curvesPanel, phasePanel, galleryPanel];

// What stands around them.

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

function writeAround(isMoving) {
  const { classList } = find("main"), scene = sceneOf(0);
  classList.toggle("compare", state.compare);
  placeHidden();
  press(find("wide"), state.wide);
  find("stage-b").hidden = !state.compare;
  press(find("compare"), state.compare);
  press(find("sheet"), state.sheet);
  press(find("play"), state.playing);
  press(find("flow"), view.flow !== 0);
  document.querySelectorAll("[data-color]").forEach((button) => press(button, button.dataset.color === state.color));
  document.querySelectorAll("[data-show]").forEach((button) => press(button, state.show[button.dataset.show]));
  setSliders.forEach((set, side) => set(state.places[side]));
  find("step").value = state.time;
  find("stepped").textContent = Math.round(stepAt(population, state.time)).toLocaleString("en");
  find("step").setAttribute("aria-valuetext", `step ${find("stepped").textContent}`);
  if (isMoving && view.turns) return; // words are for slower eyes
  (state.compare ? [0, 1] : [0]).forEach(writeFacts);
  if (!scene) return;
  writeThrough(scene);
  writeLegend(scene, look(), areAlone(scene, population));
  writeInspector();
}

function writeThrough(scene) {
  const names = stageNames(scene.layers);
  find("through").max = names.length - 1;
  find("through").value = state.through;
  find("stage-name").textContent = names[Math.min(names.length - 1, Math.round(state.through))];
}

/** The way through the network, above all else or in its place. */
function placeHidden() {
  const section = find("hidden"), isWide = section.parentElement === find("main");
  if (state.wide && !isWide) find("main").prepend(section);
  if (!state.wide && isWide) find("layers").before(section);
}

function writeInspector() {
  const side = view.hovered[0] ? 0 : view.hovered[1] ? 1 : -1, face = side >= 0 ? hoveredFace(side) : -1;
  const scene = sceneOf(side >= 0 ? side : 0);
  if (face >= 0) return show(find("inspector"), aboutRegion(scene, face, ...view.hovered[side]));
  if (side >= 0 && scene && !scene.regions) return show(find("inspector"), aboutPoint(scene, view.hovered[side]));
  if (pickedIn(scene)) return show(find("inspector"), aboutUnit(scene, pickedIn(scene)));
  find("inspector").textContent = wordsOf(scene.layers).hint;
}

const writeAddress = addressWriter(() => (state.playing ? null : written(state, population)));
function changed() {
  view.isStale = true;
  writeAddress();
}

function setTime(time, isPlaying = false) {
  state.time = Math.min(population.numFrames - 1, Math.max(0, time));
  state.playing = isPlaying;
  view.held = 0;
  changed();
}

function setPlaying(isPlaying) {
  const last = population.numFrames - 1;
  if (isPlaying && state.time >= last) state.time = 0;
  setTime(isPlaying ? state.time : Math.round(state.time), isPlaying && last > 0);
}

function moveNetwork(by) {
  const name = repeatedAxis(population);
  if (name === null) return;
  const num = population.axes.find((axis) => axis.name === name).values.length;
  state.places[0][name] = (state.places[0][name] + by + num) % num;
  changed();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  changed();
}
const systemTheme = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

const linkOf = () => written(state, population);
const save = (kind) => savePicture(kind, panels, `${population.title}: step ${find("stepped").textContent}`, look());

function writePhase() {
  const section = find("phase"), { phase } = state;
  section.hidden = !phase;
  if (!phase) return;
  phasePanel.canvas.style.height = `${phaseAt(phasePanel.canvas.clientWidth).height}px`;
  writeSettings(section, state, population, resized);
}

function openCell(row, column) {
  const cell = phaseCells().find((each) => each.row === row && each.column === column);
  if (!cell) return;
  state.places[0] = placesOf(population, cell.member);
  changed();
}

const flip = (name) => () => {
  state[name] = !state[name];
  changed();
};
const compare = () => {
  state.compare = !state.compare;
  const name = repeatedAxis(population);
  if (state.compare && name && memberOf(0) === memberOf(1)) {
    const num = population.axes.find((axis) => axis.name === name).values.length;
    state.places[1] = { ...state.places[0], [name]: (state.places[0][name] + 1) % num };
  }
  resized();
};
const nextTheme = () => {
  state.theme = look() === lookOf("dark") ? "light" : "dark";
  setTheme(state.theme);
};
const toggleColor = () => {
  state.color = state.color === "output" ? "regions" : "output";
  changed();
};
const letGo = () => {
  state.picked = null;
  changed();
};

find("step").max = population.numFrames - 1;
find("step").addEventListener("input", (event) => setTime(Number(event.target.value)));
find("play").addEventListener("click", () => setPlaying(!state.playing));
find("speed").addEventListener("change", (event) => (state.speed = Number(event.target.value)));
find("flow").addEventListener("click", () => {
  const isAtEnd = state.through >= Number(find("through").max);
  view.flow = view.flow ? 0 : isAtEnd ? -1 : 1;
  changed();
});
find("through").addEventListener("input", (event) => {
  [state.through, view.flow] = [Number(event.target.value), 0];
  changed();
});
find("compare").addEventListener("click", compare);
find("sheet").addEventListener("click", flip("sheet"));
find("wide").addEventListener("click", flip("wide"));
find("theme").addEventListener("click", nextTheme);
find("link").addEventListener("click", () => copyLink(linkOf()));
find("png").addEventListener("click", () => save("png"));
find("svg").addEventListener("click", () => save("svg"));
find("help").addEventListener("click", () => find("keys").showModal());
document.querySelectorAll("[data-color]").forEach((button) =>
  button.addEventListener("click", () => {
    state.color = button.dataset.color;
    changed();
  }),
);
document.querySelectorAll("[data-show]").forEach((button) =>
  button.addEventListener("click", () => {
    state.show[button.dataset.show] = !state.show[button.dataset.show];
    changed();
  }),
);
for (const [, names, text] of KEYS) {
  const key = document.createElement("dt");
  key.innerHTML = names.split(" ").map((name) => `<kbd>${name}</kbd>`).join(" ");
  find("keys").querySelector("dl").append(key, Object.assign(document.createElement("dd"), { textContent: text }));
}
onKeys({
  " ": () => setPlaying(!state.playing),
  ArrowRight: () => setTime(Math.floor(state.time) + 1),
  ArrowLeft: () => setTime(Math.ceil(state.time) - 1),
  ArrowUp: () => moveNetwork(1),
  ArrowDown: () => moveNetwork(-1),
  Home: () => setTime(0),
  End: () => setTime(population.numFrames - 1),
  r: toggleColor, d: flip("sheet"), w: flip("wide"), c: compare, t: nextTheme, s: () => save("png"), v: () => save("svg"),
  l: () => copyLink(linkOf()), Escape: letGo, "?": () => find("keys").showModal(),
});

const canTurn = () => inputs === 3 || (inputs === 2 && state.sheet);
function turnStage(right, down) {
  if (!canTurn()) return false;
  view.turn = turned(view.turn, right, down);
  changed();
  return true;
}
function turnHidden(right, down) {
  view.hiddenTurn = turned(view.hiddenTurn ?? startTurn(), right, down);
  changed();
  return true;
}
function outward({ clientWidth, clientHeight }, side, x, y) {
  if (inputs === 2) return frameOf(population.domain, clientWidth).outward(x, y);
  return [chartOf(population.domain, heightsAt(memberOf(side)), clientWidth, clientHeight).outward(x)];
}
stagePanels.forEach(({ canvas }, side) => {
  const point = (x, y) => {
    view.hovered[side] = canTurn() ? null : outward(canvas, side, x, y);
    view.hovered[1 - side] = null;
    changed();
  };
  canvas.addEventListener("pointermove", (event) => point(...placeOf(event)));
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "touch") return; // what was touched stays
    view.hovered[side] = null;
    changed();
  });
  onDrag(
    canvas,
    turnStage,
    point,
  );
  onArrows(canvas, (right, down) => canTurn() && turnStage(right, down));
});
[hiddenPanel, layersPanel].forEach(({ canvas }) => {
  onDrag(canvas, turnHidden);
  onArrows(canvas, turnHidden);
});

function pick(box) {
  const isUnit = box && box.layer >= 0 && box.layer < sceneOf(0).layers.length - 1;
  const isSame = isUnit && state.picked && state.picked.layer === box.layer && state.picked.unit === box.unit;
  state.picked = isUnit && !isSame ? { layer: box.layer, unit: box.unit } : null;
  view.hovered = [null, null];
  changed();
}
const networkCanvas = networkPanel.canvas;
networkCanvas.addEventListener("click", (event) => {
  pick(unitAt(diagramBoxes(networkCanvas.clientWidth, networkCanvas.clientHeight), ...placeOf(event)));
});
networkCanvas.addEventListener("keydown", (event) => {
  const { layers } = sceneOf(0), moves = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  const move = moves[event.key];
  if (!move) return;
  event.preventDefault();
  const from = pickedIn(sceneOf(0)) ?? { layer: 0, unit: -move[1] };
  const layer = Math.min(layers.length - 2, Math.max(0, from.layer + move[0])), num = layers[layer].outputs;
  state.picked = { layer, unit: (Math.min(num - 1, from.unit) + move[1] + num) % num };
  changed();
});
onDrag(curvesPanel.canvas, () => {}, () => {});
curvesPanel.canvas.addEventListener("pointerdown", scrub);
curvesPanel.canvas.addEventListener("pointermove", (event) => event.buttons && scrub(event));
function scrub(event) {
  const canvas = curvesPanel.canvas, [x] = placeOf(event);
  const step = stepUnder(charts(canvas.clientWidth, canvas.clientHeight), x, population.steps.at(-1));
  if (step !== null) setTime(Math.round(timeOf(population, step)));
}
phasePanel.canvas.addEventListener("click", (event) => {
  const hit = cellUnder(phaseAt(phasePanel.canvas.clientWidth), ...placeOf(event));
  if (hit) openCell(hit.row, hit.column);
});
onArrows(phasePanel.canvas, (right, down) => {
  const { rows, columns } = phaseAt(phasePanel.canvas.clientWidth), { phase, places: [places] } = state;
  const within = (place, by, all) => Math.min(all.length - 1, Math.max(0, place + Math.sign(by)));
  openCell(within(places[phase.rows], down, rows), within(places[phase.columns], right, columns));
  return true;
});
galleryPanel.canvas.addEventListener("click", (event) => {
  const [x, y] = placeOf(event), { boxes } = galleryOf(members(), galleryPanel.canvas.clientWidth);
  const hit = boxes.find((box) => x >= box.x && x <= box.x + box.size && y >= box.y && y <= box.y + box.size);
  if (!hit) return;
  state.places[event.shiftKey && state.compare ? 1 : 0] = placesOf(population, hit.member);
  changed();
});

// Once a frame of the screen.

function resized() {
  writePhase();
  const section = find("population"), canvas = galleryPanel.canvas, num = members().length;
  const name = repeatedAxis(population), difference = name === "network" ? "" : ` that differ in their ${name}`;
  section.hidden = num < 2 || areAlone(sceneOf(0) ?? { layers: [{ outputs: 0 }] }, population);
  canvas.style.height = `${galleryOf(members(), canvas.clientWidth).height}px`;
  section.querySelector("small").textContent = `${num} networks${difference}; click one`;
  find("band").textContent = num > 2 ? `median and 80 % of ${num} networks; drag to choose a step` : "drag to choose a step";
  changed();
}

function advance(seconds) {
  const last = population.numFrames - 1;
  if (state.playing && last > 0) {
    if (state.time >= last) {
      view.held += seconds;
      if (view.held > HOLD_SECONDS) setTime(0, true);
    } else {
      const next = state.time + (seconds * state.speed * last) / PLAY_SECONDS;
      state.time = Math.min(last, next);
      view.isStale = true;
    }
  }
  if (view.flow) {
    const most = Number(find("through").max);
    state.through = Math.min(most, Math.max(0, state.through + view.flow * STAGES_A_SECOND * seconds));
    if (state.through === 0 || state.through === most) view.flow = -view.flow;
    view.isStale = true;
  }
  const goal = state.sheet ? 1 : 0;
  if (view.lift !== goal) {
    const step = seconds / LIFT_SECONDS;
    view.lift = goal ? Math.min(1, view.lift + step) : Math.max(0, view.lift - step);
    view.isStale = true;
  }
}

/** Everything; or, while it moves, the stages and one of the panels beside them, in turn. */
function paint(isMoving = false) {
  paths = null;
  writeAround(isMoving);
  stagePanels.slice(0, state.compare ? 2 : 1).forEach((each) => each.paint());
  const beside = [[networkPanel], [hiddenPanel, layersPanel], state.phase ? [curvesPanel, phasePanel] : [curvesPanel]];
  view.turns = (view.turns + 1) % beside.length;
  (isMoving ? beside[view.turns] : beside.flat()).forEach((each) => each.paint());
}

let before = 0;
function tick(now) {
  advance(Math.min(0.1, (now - before) / 1000));
  before = now;
  if (view.isStale) {
    view.isStale = false;
    paint(state.playing);
  }
  if (!find("population").hidden) {
    gallery.refresh(members(), state.time, look(), state.playing ? 3 : 8);
    galleryPanel.paint();
  }
  requestAnimationFrame(tick);
}

find("main").dataset.inputs = inputs;
find("curves").hidden = population.curves.every(({ num }) => num < 2);
find("transport").hidden = population.numFrames === 1;
setTheme(state.theme ?? systemTheme());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => state.theme || setTheme(systemTheme()));
window.addEventListener("hashchange", () => {
  Object.assign(state, read(location.hash, population));
  setTheme(state.theme ?? look().name ?? systemTheme());
});
new ResizeObserver(resized).observe(find("main"));
resized();
requestAnimationFrame(tick);

/** For tests and the curious. */
window.explorer = {
  panels, population, state, sceneOf, setTime, paint, numFaces,
  pointed: () => view.hovered[0],
  unitPlace: (layer, unit) => {
    const boxes = diagramBoxes(networkCanvas.clientWidth, networkCanvas.clientHeight);
    const box = boxes.find((each) => each.layer === layer && each.unit === unit);
    return [box.x, box.y];
  },
};
