// The page: reads its arrays, keeps the state, and draws what has changed once a frame of the screen.

import { unpack } from "./bytes.mjs";
import { CORNER } from "./camera.mjs";
import { aroundOf } from "./around.mjs";
import { lookOf } from "./colors.mjs";
import { KEYS, onKeys } from "./controls.mjs";
import { curvesHeight, isBetweenCounts, shortText, valueAtStep } from "./curves.mjs";
import { parameterOf } from "./editor.mjs";
import { galleryOf } from "./gallery.mjs";
import { placesIn } from "./hidden.mjs";
import { putHands } from "./hands.mjs";
import { ownTraining } from "./own.mjs";
import { panelsOf } from "./panels.mjs";
import { placesOf, readPopulation, repeatedAxis, stepAt } from "./population.mjs";
import { seenOf } from "./seen.mjs";
import { writeSettings } from "./settings.mjs";
import { addressWriter, copyLink, savePicture, toast } from "./share.mjs";
import { read, written } from "./state.mjs";
import { areAlone } from "./stage.mjs";
import { numFaces } from "./regions.mjs";
import { termsOf } from "./terms.mjs";
import { trainerOf } from "./trainer.mjs";
import { byHand } from "./words.mjs";

const find = (name) => document.getElementById(name);
const PLAY_SECONDS = 14; // through all frames
const HOLD_SECONDS = 2; // on the last one
const LIFT_SECONDS = 0.5;
const STAGES_A_SECOND = 0.5; // on the way through the network

const about = JSON.parse(find("about").textContent);
const population = readPopulation(about, await unpack(about.arrays, find("bytes").textContent.trim()));
const state = read(location.hash || about.link, population), { inputs } = population;
if (population.numFrames === 1) state.playing = false;
const view = {
  lift: 0, turn: CORNER, hiddenTurn: null, hovered: [null, null], over: null, weight: null,
  member: null, held: 0, turns: 0, flow: 0, isStale: true, isGalleryStale: true,
};
if (!location.hash && matchMedia("(prefers-reduced-motion: reduce)").matches) {
  Object.assign(state, { time: population.numFrames - 1, playing: false });
}

function linkOf() {
  if (!own.isOn()) return written(state, own.recorded);
  const run = { step: own.step(), member: memberOf(0), beside: state.compare ? memberOf(1) : null, origin: own.origin() };
  return written(state, own.recorded, run);
}
const writeAddress = addressWriter(() => (state.playing || state.goal ? null : linkOf()));
function changed() {
  view.isStale = true;
  writeAddress();
}

const seen = seenOf(population, state, view), { look, members, memberOf, sceneOf } = seen;
if (state.sheet && seen.hasSheet()) view.lift = 1;
const panels = panelsOf(population, state, view, seen);
const own = ownTraining(population, state, seen, changed, resized, toast);
const writeTrainer = trainerOf(find("own"), population, own);
const writeAround = aroundOf(population, state, view, seen, own, changed);
putHands(population, state, view, seen, panels, changed, setTime);

function setTime(time, isPlaying = false) {
  state.time = Math.min(population.numFrames - 1, Math.max(0, time));
  [state.playing, state.goal] = [isPlaying, 0];
  view.held = 0;
  changed();
}

const togglePlay = () => setPlaying(!(state.playing || state.goal));
function setPlaying(isPlaying) {
  const last = population.numFrames - 1;
  if (own.isOn()) return setTime(state.time, isPlaying); // from there to its last step, and it trains on
  if (isPlaying && state.time >= last) state.time = 0;
  setTime(isPlaying ? state.time : Math.round(state.time), isPlaying && last > 0);
}

/** The next frame; of what is trained in the page, another epoch after the last. */
function next() {
  if (own.isOn() && state.time >= population.numFrames - 1) own.takeEpoch();
  else setTime(Math.floor(state.time) + 1);
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

const save = (kind) => savePicture(kind, panels.all, `${population.title}: step ${find("stepped").textContent}`, look());

function writePhase() {
  const section = find("phase"), { phase } = state;
  section.hidden = !phase;
  if (!phase) return;
  const { canvas } = panels.phase;
  canvas.style.height = `${panels.layout.phase(canvas.clientWidth).height}px`;
  writeSettings(section, state, population, resized);
}

const flip = (name) => () => {
  state[name] = !state[name];
  changed();
};
const compare = () => {
  if (own.isOn() && population.homes.size < 2) return toast("There is one network: choose more, or the recorded one, which stays beside");
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
  if (find("edit").contains(document.activeElement)) panels.network.canvas.focus(); // the row goes
  [state.picked, view.over, view.weight] = [null, null, null];
  changed();
};

find("step").addEventListener("input", (event) => setTime(Number(event.target.value)));
find("previous").addEventListener("click", () => setTime(Math.ceil(state.time) - 1));
find("next").addEventListener("click", next);
find("play").addEventListener("click", togglePlay);
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
find("train").addEventListener("click", own.toggle);
find("sheet").addEventListener("click", flip("sheet"));
find("wide").addEventListener("click", flip("wide"));
find("theme").addEventListener("click", nextTheme);
find("link").addEventListener("click", () => copyLink(linkOf()));
find("png").addEventListener("click", () => save("png"));
find("svg").addEventListener("click", () => save("svg"));
find("help").addEventListener("click", help);
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
const row = (list, name, text) =>
  list.append(Object.assign(document.createElement("dt"), { innerHTML: name }), Object.assign(document.createElement("dd"), { textContent: text }));
const BUTTONS = { // of keys, which may be hidden, and what is said then
  d: ["sheet", inputs === 2 ? "Points alone have no sheet: nothing is decided of them." : "Only networks of two inputs have a sheet."],
  r: ["color", "There is one way to colour this."],
};
const hasKey = (key) => !(key in BUTTONS) || !find(BUTTONS[key][0]).hidden;
const ifThere = (key, act) => () => (hasKey(key) ? act() : toast(BUTTONS[key][1]));
/** Words and keys; of what is seen now, which may be trained in the page. */
function help() {
  const [member] = population.homes.keys();
  find("terms").replaceChildren();
  for (const [name, text] of termsOf(seen.lastLayers(member), population)) row(find("terms"), name, byHand(text));
  const list = find("keys").querySelector("#terms ~ dl");
  list.replaceChildren();
  for (const [, names, text] of KEYS.filter(([key]) => hasKey(key))) {
    row(list, names.split(" ").map((name) => `<kbd>${name}</kbd>`).join(" "), text);
  }
  find("keys").showModal();
}
onKeys({
  " ": togglePlay,
  ArrowRight: next,
  ArrowLeft: () => setTime(Math.ceil(state.time) - 1),
  ArrowUp: () => moveNetwork(1),
  ArrowDown: () => moveNetwork(-1),
  Home: () => setTime(0),
  End: () => setTime(population.numFrames - 1),
  r: ifThere("r", toggleColor), d: ifThere("d", flip("sheet")), w: flip("wide"),
  c: compare, n: own.toggle, t: nextTheme, s: () => save("png"), v: () => save("svg"),
  l: () => copyLink(linkOf()), Escape: letGo, "?": help,
});

// Once a frame of the screen.

function resized() {
  writePhase();
  find("own").hidden = !own.isOn();
  if (state.own) writeTrainer(state.own, own.said()); // before anybody can press a button of it
  find("transport").hidden = population.numFrames === 1 && !own.isOn();
  find("curves").hidden = !own.isOn() && population.curves.every(({ num }) => num < 2);
  const section = find("population"), num = members().length;
  panels.curves.canvas.style.height = `${curvesHeight(population, panels.curves.canvas.clientWidth)}px`;
  section.hidden = num < 2 || areAlone(sceneOf(0) ?? { layers: [{ outputs: 0 }] }, population);
  find("band").textContent = num > 2 ? `median and 80 % of ${num} networks; drag to choose a step` : "drag to choose a step";
  changed();
}

const DEAD = "dead, the same output everywhere";
const faultOf = (member) => (!population.homes.has(member) ? "not finite" : panels.painter.pictures.get(member)?.isDead ? DEAD : null);

/** How many networks there are, and which of them are seen. */
function aboutMembers() {
  const num = members().length, { first, shown } = seen.room(), name = repeatedAxis(population);
  const some = num > shown.length ? `${first + 1} to ${first + shown.length} of ` : "";
  const faults = shown.map(faultOf), count = (fault) => faults.filter((each) => each === fault).length;
  const marks = [["striped", DEAD], ["grey", "not finite"]].flatMap(([mark, fault]) => (count(fault) ? [`${mark}: ${count(fault)} ${fault}`] : []));
  return [`${some}${num} networks${name === "network" ? "" : ` that differ in their ${name}`}`, byHand("click one"), ...marks].join("; ");
}

/** Which network of the population is pointed at, and its numbers; or how many there are. */
function writeMember() {
  const member = members().includes(view.member) ? view.member : null;
  const text = find("population").querySelector("small"), name = repeatedAxis(population);
  const { canvas } = panels.gallery, height = `${galleryOf(seen.room().shown, canvas.clientWidth).height}px`;
  if (canvas.style.height !== height) canvas.style.height = height;
  const value = population.axes.find((axis) => axis.name === name)?.values[placesOf(population, member ?? 0)[name]];
  const step = stepAt(population, state.time), fault = member === null ? null : faultOf(member), said = fault ? [fault] : [];
  for (const curve of member === null ? [] : population.curves.slice(0, 3)) {
    const number = valueAtStep(curve, member, step), isKnown = Number.isFinite(number) && !isBetweenCounts(curve, number);
    if (isKnown) said.push(`${curve.name} ${shortText(number)}`);
  }
  const words = member === null ? aboutMembers() : [`${name} ${value}`, ...said].join(", ");
  if (text.textContent !== words) text.textContent = words;
}

function advance(seconds) {
  const last = population.numFrames - 1;
  if (own.isOn()) own.advance();
  else if (state.playing && last > 0) {
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
  const goal = state.sheet && seen.hasSheet() ? 1 : 0;
  if (view.lift !== goal) {
    const step = seconds / LIFT_SECONDS;
    view.lift = goal ? Math.min(1, view.lift + step) : Math.max(0, view.lift - step);
    view.isStale = true;
  }
}

/** Everything; or, while it moves, the stages and one of the panels beside them, in turn. */
function paint(isMoving = false) {
  panels.forget();
  writeAround(isMoving);
  if (state.own) writeTrainer(state.own, own.said());
  seen.sides().forEach((side) => panels.stages[side].paint());
  const { network, hidden, layers, curves, phase } = panels;
  const beside = [[network], [hidden, layers], state.phase ? [curves, phase] : [curves]];
  view.turns = (view.turns + 1) % beside.length;
  (isMoving ? beside[view.turns] : beside.flat()).forEach((each) => each.paint());
}

let before = 0;
function tick(now) {
  advance(Math.min(0.1, (now - before) / 1000));
  before = now;
  if (view.isStale) {
    [view.isStale, view.isGalleryStale] = [false, true];
    paint(state.playing);
  }
  if (view.isGalleryStale && !find("population").hidden) { // also while its pictures are made, a few at a time
    view.isGalleryStale = !panels.painter.refresh(seen.room().shown, state.time, look(), state.playing ? 3 : 8);
    writeMember(); // what the pictures say
    panels.gallery.paint();
  }
  requestAnimationFrame(tick);
}

find("main").dataset.inputs = inputs;
find("layers-note").textContent = byHand(find("layers-note").textContent);
if (!state.phase) find("looks").after(find("curves")); // in the place of the settings
setTheme(state.theme ?? systemTheme());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => state.theme || setTheme(systemTheme()));
window.addEventListener("hashchange", ({ newURL }) => {
  if (own.isOn()) own.leave();
  Object.assign(state, read(new URL(newURL).hash, population)); // the address may have been written since
  own.follow();
  setTheme(state.theme ?? look().name ?? systemTheme());
});
new ResizeObserver(resized).observe(find("main"));
own.follow();
resized();
requestAnimationFrame(tick);

/** For tests and the curious. */
window.explorer = {
  panels: panels.all, population, state, sceneOf, setTime, paint, numFaces, own,
  pointed: () => view.hovered[0],
  /** The unit or the weight in the diagram, {layer, from, to}. */
  chosen: () => parameterOf(sceneOf(0).layers, seen.chosenIn(sceneOf(0)), seen.pickedIn(sceneOf(0))),
  unitPlace: (layer, unit) => {
    const { canvas } = panels.network, boxes = panels.layout.boxes(canvas.clientWidth, canvas.clientHeight);
    const box = boxes.find((each) => each.layer === layer && each.unit === unit);
    return [box.x, box.y];
  },
  /** Where the small picture of a layer draws a point of the data. */
  pointPlace: (layer, point) => {
    const { canvas } = panels.layers, { box, stage } = panels.layout.small(canvas.clientWidth, canvas.clientHeight)[layer];
    const { data, place } = placesIn(box, panels.paths(), stage, seen.hiddenTurn());
    return place(data, point).slice(0, 2);
  },
};
