// The panels of the page: what each draws, and how it lies in its canvas.

import { chartsOf, drawCurves } from "./curves.mjs";
import { diagramOf, drawDiagram, weightAt } from "./diagram.mjs";
import { drawGallery, galleryOf, galleryPainter } from "./gallery.mjs";
import { drawHidden, pathsOf } from "./hidden.mjs";
import { drawLine } from "./line.mjs";
import { panel } from "./panel.mjs";
import { cellsOf, drawPhase, phaseLayout } from "./phase.mjs";
import { drawSpace } from "./space.mjs";
import { drawStage, frameOf } from "./stage.mjs";
import { layerName } from "./words.mjs";

const NARROW = 90; // pixels, too few for a longer name
const canvasOf = (name) => document.querySelector(`#${name} canvas`);
const eased = (share) => share * share * (3 - 2 * share);

/** Panels by name, and `all` of them; layouts of those that answer to a pointer: `boxes`, `stages`, `charts`, …. */
export function panelsOf(population, state, view, seen) {
  const { inputs } = population, { look, memberOf, sceneOf, pickedIn } = seen;

  function stage(side) {
    return panel(canvasOf(`stage-${"ab"[side]}`), (context, width, height) => {
      const scene = sceneOf(side), member = memberOf(side);
      if (!scene) return drawMissing(context, width, look());
      const [picked, unit] = side ? [pickedIn(scene), null] : [seen.followedIn(scene), seen.unitIn(scene)];
      const options = { look: look(), color: state.color, show: state.show, picked, unit, turn: view.turn };
      if (inputs === 1) {
        const hovered = view.hovered[side]?.[0] ?? null;
        drawLine(context, width, height, scene, population, { ...options, hovered, heights: seen.heightsAt(member) });
      } else if (inputs === 3) drawSpace(context, width, scene, population, options);
      else {
        const more = { lift: eased(view.lift), ...seen.rangeOf(member), hovered: seen.hoveredFace(side) };
        drawStage(context, frameOf(population.domain, width), scene, population, { ...options, ...more });
      }
    });
  }

  const boxes = (width, height) => diagramOf(seen.lastLayers(memberOf(0)), width, height);
  const network = panel(canvasOf("network"), (context, width, height) => {
    const scene = sceneOf(0);
    if (!scene) return;
    const chosen = seen.chosenIn(scene), bias = chosen?.from === null ? { layer: chosen.layer, unit: chosen.to } : null;
    const picked = seen.unitIn(scene) ?? pickedIn(scene) ?? bias, options = { look: look(), weight: seen.overIn(scene)?.weight };
    drawDiagram(context, boxes(width, height), scene, population, { ...options, picked, chosen });
  });
  const weight = ({ clientWidth, clientHeight }, x, y, reach) => {
    const scene = sceneOf(0);
    return scene && weightAt(boxes(clientWidth, clientHeight), scene.layers, x, y, reach);
  };

  let known = null; // paths of this frame, for both panels
  function paths() {
    const scene = sceneOf(0), pointed = view.hovered[0];
    return (known ??= scene && pathsOf(population, scene, seen.viewsAt(memberOf(0)), pickedIn(scene), pointed));
  }
  /** What the large picture of the layers shows, and where: a list of one. */
  const whole = (width, height) => [{ stage: Math.min(state.through, paths().grid.length - 1), box: [0, 0, width, height] }];
  /** The same of the small ones: features, every layer after its activation, and the output. */
  function small(width, height) {
    const last = paths().grid.length - 1, stages = [];
    for (let stage = population.features ? 1 : 2; stage < last; stage += 2) stages.push(stage);
    const each = width / (stages.length + 1);
    return [...stages, last].map((stage, place) => ({ stage, box: [place * each, 16, each - 6, height - 18] }));
  }
  const hiddenOptions = () => ({ look: look(), turn: seen.hiddenTurn(), show: state.show });
  const hidden = panel(canvasOf("hidden"), (context, width, height) => {
    if (!paths()) return;
    for (const { stage, box } of whole(width, height)) drawHidden(context, box, paths(), stage, population, hiddenOptions());
  });
  const layers = panel(canvasOf("layers"), (context, width, height) => {
    if (!paths()) return;
    context.font = "11px system-ui, sans-serif";
    small(width, height).forEach(({ stage, box }, place, all) => {
      drawHidden(context, box, paths(), stage, population, hiddenOptions());
      context.fillStyle = look().faint;
      context.textAlign = "left";
      const { layers } = sceneOf(0), name = layerName(layers, place), isPlain = place === all.length - 1 || layers[place].features;
      context.fillText(isPlain || box[2] < NARROW ? name : `${name}: ${layers[place].outputs} units`, box[0] + 1, 10);
    });
  });

  const charts = (width, height) => chartsOf(population, seen.members(), width, height);
  const curves = panel(canvasOf("curves"), (context, width, height) => {
    drawCurves(context, charts(width, height), seen.members(), seen.shown(), population, state.time, look());
  });
  const painter = galleryPainter(population, seen.scaleOf, seen.heightsAt);
  const gallery = panel(canvasOf("population"), (context, width) => {
    drawGallery(context, galleryOf(seen.room().shown, width).boxes, painter.pictures, seen.shown(), look());
  });
  const phaseAt = (width) => phaseLayout(population, state.phase, width);
  const cells = () => cellsOf(population, state.places[0], state.phase, state.time);
  const phase = panel(canvasOf("phase"), (context, width) => {
    drawPhase(context, phaseAt(width), cells(), state.places[0], state.phase, population, look());
  });
  const stages = [stage(0), stage(1)];
  return {
    stages, network, hidden, layers, curves, phase, gallery,
    all: [...stages, network, hidden, layers, curves, phase, gallery],
    layout: { boxes, weight, whole, small, charts, phase: phaseAt },
    cells, paths, painter,
    forget: () => (known = null),
  };
}

function drawMissing(context, width, look) {
  context.fillStyle = look.faint;
  context.font = "14px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillText("This network is not finite.", width / 2, width / 2);
}
