// Training in the page: while it lasts, the page's population is the run that grows; then it is again what was recorded.

import { allowed, firstSettings } from "./choices.mjs";
import { featureLayer } from "./features.mjs";
import { layersAt, placesOf, timeOf, writtenStep } from "./population.mjs";
import { copyOf, dataOf, epochsOf, goBack, kindFor, outputsFor, populationOf, record, runOf, stepsOf, takeStep } from "./trained.mjs";

const BUDGET = 12, MOST_BUDGET = 100, PRESS = 1000; // milliseconds of a frame of the screen, and of one press of a button
const NEW_NETWORKS = ["features", "hidden", "activation", "seeds", "seed"]; // settings that begin a run anew with new weights
const NEW_DATA = ["data", "noise", "points", "tested", "drawn"]; // the same with the weights that there were
const NAMES = { 0: "relu", 0.01: "leaky_relu", "-1": "abs", 1: "linear" }; // of slopes
const KEPT = ["places", "time", "phase", "compare", "picked"]; // of the state, for when it is over

/** The page's data {x, y, test, classes, domain}; what it does not have is null. */
function givenOf({ arrays, classes, domain }) {
  const test = arrays["test/x"] ? { x: arrays["test/x"], y: arrays["test/y"] } : null;
  return { x: arrays["data/x"] ?? null, y: arrays["data/y"] ?? null, test, classes, domain };
}

/** What settings call the layers of a network: hidden units, features and activation, "" if there are several. */
function settingsOf(layers) {
  const hidden = layers.filter(({ features }) => !features).slice(0, -1);
  const nameOf = ({ activation, slope }) => {
    if (activation || !slope) return activation ?? "relu";
    return slope.every((each) => each === slope[0]) ? (NAMES[+slope[0].toPrecision(6)] ?? "") : "";
  };
  const names = new Set(hidden.map(nameOf));
  const activation = names.size === 1 ? [...names][0] : "";
  return { hidden: hidden.map(({ outputs }) => outputs), activation, features: layers[0].features ?? [] };
}

/** Functions that begin, drive and end it. `population` becomes the run; `changed()` follows whenever what it holds has changed,
 * `resized()` when there is another one, and `say(text)` takes words for the reader. */
export function ownTraining(population, state, seen, changed, resized, say) {
  const recorded = { ...population }, given = givenOf(recorded), isPlane = recorded.inputs === 2;
  const firstData = given.y || !isPlane ? "given" : "circles";
  let run = null, origin = null; // {layers, time, places} that a run begins with, if they are those of a recorded network
  let shown = null, last = null; // the recorded network that was seen before, and the run before this one, to go back to
  let due = 0, version = 0, begun = 0, recording = 0; // milliseconds, the last time

  function show() {
    const viewed = `${begun}/${Math.floor(Math.log2(run.step + 1))}`; // principal axes stay for as many steps as were taken
    Object.assign(population, populationOf(run, recorded), { version: ++version, viewed });
    seen.forget();
    state.time = run.numFrames - 1;
    changed();
  }

  /** Remembers the run as it is, if there is anything to lose. */
  function keep(found = run) {
    if (!found || !(found.step || found.isEdited)) return;
    const { own, places, time, compare } = state;
    last = { run: found, origin, own: { ...own }, places: places.map((each) => ({ ...each })), time, compare };
  }

  /** Goes back to the run before this one, which then is the one to go back to. */
  function goToLast() {
    const { run: found, origin: first, ...seenThen } = last;
    last = null;
    keep();
    [run, origin, due, begun] = [found, first, 0, begun + 1];
    Object.assign(state, { playing: false, goal: 0, phase: null, ...seenThen });
    show();
    Object.assign(state, { time: seenThen.time });
    resized();
  }

  /** A run from its beginning: with the weights of the network that was seen, or new ones. */
  function begin() {
    if (run) Object.assign(state, { member: seen.memberOf(0), beside: state.compare ? seen.memberOf(1) : null });
    const { own } = state, data = dataOf(own, given);
    if (!own.start) Object.assign(own, allowed(own));
    const front = own.features.length ? featureLayer(own.features, recorded.inputs) : null;
    run = runOf(own, data, front, own.start ? origin.layers : null, recorded.inputs);
    const placeOf = (member) => placesOf(run, Math.min(member, run.networks.length - 1));
    const places = [placeOf(state.member), placeOf(state.beside ?? state.member + 1)];
    Object.assign(state, { playing: false, phase: null, places, member: 0, beside: null });
    if (run.networks.length < 2) state.compare = false;
    [due, begun] = [0, begun + 1];
    show();
    resized();
  }

  function restart() {
    keep();
    state.goal = 0;
    begin();
  }

  /** Why nothing can be trained. */
  function reason() {
    if (!run.data.y) return "There are no targets to learn: choose other data.";
    const { outputs } = run.networks[0].layers.at(-1);
    return `These data need ${outputsFor(run.data)} output${run.data.classes?.length > 2 ? "s" : ""}, the network has ${outputs}: take new weights.`;
  }

  function stop(text) {
    Object.assign(state, { playing: false, goal: 0 });
    say(text);
  }

  /** The last frame that was finite, if what came after it is not. */
  function restore(text) {
    if (!run.diverged) return;
    goBack(run, run.numFrames - 1);
    stop(text);
  }

  /** Trains until a step, or as long as there is room for it, in a frame of the screen if nothing is said; whether that step was
   * reached. */
  function train(until, most = BUDGET) {
    if (!run.kind) return void stop(reason());
    const end = performance.now() + Math.max(most, Math.min(recording, MOST_BUDGET)); // training takes no less time
    do takeStep(run, state.own);
    while (run.step < until && performance.now() < end);
    const trained = performance.now();
    record(run);
    recording = performance.now() - trained;
    restore("The loss is no longer finite. Take a smaller learning rate, and go on or restart.");
    if (state.goal <= run.step) state.goal = 0;
    show();
    return run.step >= until;
  }

  /** The next of the frames that there are, as many as are due. */
  function replay() {
    state.time = Math.min(run.numFrames - 1, Math.floor(state.time) + Math.floor(due));
    due %= 1;
    changed();
  }

  const fits = () => {
    const data = dataOf(state.own, given);
    return !data.y || kindFor(data, origin.layers) !== null;
  };

  /** Remembers what is seen of what was recorded. */
  function comeFrom() {
    state.before = Object.fromEntries(KEPT.map((name) => [name, state[name]]));
    const time = timeOf(recorded, writtenStep(recorded, state.time)), layers = layersAt(recorded, seen.memberOf(0), time);
    shown = layers && { layers, time, places: state.places.map((each) => ({ ...each })) }; // null if it was not finite
  }

  function enter(settings) {
    comeFrom();
    origin = shown;
    if (!origin) settings.start = 0;
    Object.assign(settings, origin && (settings.start || settings.isLike) ? settingsOf(origin.layers) : {});
    delete settings.isLike;
    state.own = settings;
    begin();
  }

  function leave() {
    keep();
    if (last?.run === run) say("The run is kept: “Your run” leads back to it.");
    Object.assign(state, state.before, { own: null, before: null, goal: 0, playing: false });
    [run, origin] = [null, null];
    Object.assign(population, recorded);
    seen.forget();
    resized();
  }

  return {
    recorded, given, leave, restart,
    isOn: () => run !== null,
    run: () => run,
    step: () => run.step,
    /** The recorded network {time, places} whose weights the run begins with, or null. */
    origin: () => (state.own.start ? origin : null),
    goToLast: () => last && goToLast(),
    /** The step of the run to go back to, as it was left; null if there is none. */
    lastStep: () => last && last.run.step,
    toggle() {
      if (run) leave();
      else if (last) {
        comeFrom();
        goToLast();
      } else enter({ ...firstSettings(), data: firstData, isLike: true });
    },
    /** Does what the state says, of a link. */
    follow() {
      if (!state.own) return;
      const isBeside = state.beside !== null;
      enter({ ...state.own, data: isPlane ? state.own.data : "given" });
      state.compare = isBeside && run.networks.length > 1;
      resized();
    },
    /** Changes settings; some begin a run anew, with other networks or on other data. */
    set(changes) {
      const isOneOf = (names) => Object.keys(changes).some((name) => names.includes(name));
      if (changes.start && !shown) return say("The recorded network is not finite.");
      const isAnew = isOneOf([...NEW_NETWORKS, ...NEW_DATA, "start"]);
      if (isAnew) keep();
      if (changes.start) origin = shown;
      Object.assign(state.own, changes, isOneOf(NEW_NETWORKS) ? { start: 0 } : {}, changes.start ? settingsOf(origin.layers) : {});
      if (state.own.start && isOneOf(NEW_DATA) && !fits()) {
        state.own.start = 0;
        say("The recorded network has other outputs than these data need: it begins with new weights.");
      }
      if (!isAnew) return changed();
      state.goal = 0;
      begin();
    },
    /** What a frame of the screen adds while the page plays, or until the step of a link is reached. */
    advance() {
      if (state.goal > run.step) return void train(state.goal);
      state.goal = 0;
      if (!state.playing) return;
      due += state.speed;
      if (state.time < run.numFrames - 1) return replay(); // what was trained already
      if (due >= 1) due = train(run.step + Math.floor(due) * stepsOf(run, state.own)) ? due % 1 : 0;
    },
    /** A whole epoch, be it in several frames of the screen. */
    takeEpoch() {
      state.goal = Math.max(run.step, state.goal) + stepsOf(run, state.own);
      train(state.goal, PRESS);
    },
    canEdit: (member) => !run?.networks[member].isFrozen,
    /** Sets a parameter of the network that is seen; later frames are dropped. What was recorded is edited as a copy. */
    edit({ part, layer, place }, value) {
      if (!run && !layersAt(recorded, seen.memberOf(0), state.time)) return; // it was not finite
      if (!run) enter({ ...firstSettings(), start: 1 }); // also if it can not be trained
      const network = run.networks[seen.memberOf(0)], values = network.layers[layer - (run.front ? 1 : 0)]?.[part];
      if (network.isFrozen || !(place < values?.length)) return;
      state.goal = 0;
      if (Math.round(state.time) < run.numFrames - 1) keep(copyOf(run)); // whose later frames are dropped
      goBack(run, Math.round(state.time));
      run.isEdited = true;
      values[place] = value;
      record(run);
      restore("With this weight the loss is no longer finite.");
      show();
    },
    /** What has been trained, in words. */
    said() {
      if (!run.kind) return reason();
      const held = run.data.test?.y.length, epoch = epochsOf(run).toLocaleString("en");
      return `${run.data.y.length} points${held ? `, ${held} held back` : ""}; epoch ${epoch}`;
    },
  };
}
