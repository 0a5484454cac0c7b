// What the state of the page shows: networks, their scenes, and what is pointed at and picked in them.

import { ABOVE, CORNER } from "./camera.mjs";
import { lookOf } from "./colors.mjs";
import { roomOf } from "./gallery.mjs";
import { viewsOf } from "./hidden.mjs";
import { heightsOf } from "./line.mjs";
import { firstHidden, hasWeight, isHidden } from "./network.mjs";
import { layersAt, memberAt, siblings } from "./population.mjs";
import { faceAt } from "./regions.mjs";
import { scenes } from "./scene.mjs";
import { areAlone, outputRange } from "./stage.mjs";

const SCENES = 6; // that are remembered

const LEAST_SCALE = 1; // of the colours of a network that is being trained

/** A unit or weight of a network: state and view count hidden layers alone, so that it is the same with features and without;
 * inputs and features are those of layer -1. */
const placed = (layers, each) => each && { ...each, layer: each.layer + firstHidden(layers) };

/** Functions of `state` and `view`, which say of what; `side` is 0 or 1, of the two networks that are compared. */
export function seenOf(population, state, view) {
  const scene = scenes(population, SCENES), { inputs } = population, memories = [];
  let views = {};
  const remembered = (compute) => {
    const known = new Map();
    memories.push(known);
    return (key) => known.get(key) ?? known.set(key, compute(key)).get(key);
  };
  const lastLayers = (member) => layersAt(population, member, population.numFrames - 1);
  const look = () => lookOf(document.documentElement.dataset.theme);
  const memberOf = (side) => memberAt(population, state.places[side]);
  const sceneOf = (side) => scene.at(memberOf(side), state.time);
  const rangeOf = remembered((member) => {
    const { middle, scale } = outputRange(lastLayers(member), population.domain);
    return { middle, scale: state.own ? Math.max(LEAST_SCALE, scale) : scale };
  });
  const hasSheet = () => inputs === 2 && sceneOf(0) !== null && !areAlone(sceneOf(0), population);
  return {
    rangeOf, look, memberOf, sceneOf, lastLayers,
    scaleOf: (member) => rangeOf(member).scale,
    heightsAt: remembered((member) => heightsOf(population, lastLayers(member))),
    viewsAt(member) {
      const name = `${population.viewed}/${member}`;
      if (views.name !== name) views = { name, views: viewsOf(population, member) };
      return views.views;
    },
    /** Networks have changed. */
    forget() {
      scene.forget();
      memories.forEach((known) => known.clear());
    },
    members: () => siblings(population, state.places[0]),
    room: () => roomOf(siblings(population, state.places[0]), memberOf(0)),
    sides: () => (state.compare ? [0, 1] : [0]),
    /** The networks that are shown, with the colours of their curves. */
    shown() {
      return this.sides().map((side) => ({ member: memberOf(side), color: look().chosen[side], isSecond: side === 1 }));
    },
    /** The unit that is picked, if the network has it. */
    pickedIn({ layers }) {
      const picked = placed(layers, state.picked);
      return picked && isHidden(layers, picked.layer) && picked.unit < layers[picked.layer].outputs ? picked : null;
    },
    /** The weight that is chosen, likewise. */
    chosenIn({ layers }) {
      const chosen = placed(layers, view.weight);
      return chosen && hasWeight(layers, chosen) ? chosen : null;
    },
    /** What is pointed at in the diagram, {unit} or {weight}, if the network has it. */
    overIn(scene) {
      const unit = this.unitIn(scene), weight = placed(scene.layers, view.over?.weight ?? null);
      return unit ? { unit } : weight && hasWeight(scene.layers, weight) ? { weight } : null;
    },
    /** The unit that is pointed at in the diagram, an input, a feature or an output too, if the network has it. */
    unitIn({ layers }) {
      const unit = placed(layers, view.over?.unit ?? null);
      return unit && unit.layer < layers.length && unit.unit < (layers[unit.layer]?.outputs ?? inputs) ? unit : null;
    },
    /** The same of hidden units alone, or else what is picked. */
    followedIn(scene) {
      const unit = this.unitIn(scene);
      return unit && isHidden(scene.layers, unit.layer) ? unit : this.pickedIn(scene);
    },
    /** The region that is pointed at, or -1. */
    hoveredFace(side) {
      const point = view.hovered[side], scene = sceneOf(side);
      return point && scene?.regions && view.lift === 0 ? faceAt(scene.regions, ...point) : -1;
    },
    /** Whether the output can be lifted into a sheet: of points alone there is none. */
    hasSheet,
    canTurn: () => inputs === 3 || (hasSheet() && state.sheet),
    hiddenTurn() {
      const isSpace = inputs === 3 || layersAt(population, memberOf(0), 0)?.some(({ outputs }) => outputs === 3);
      return view.hiddenTurn ?? (isSpace ? CORNER : ABOVE);
    },
  };
}
