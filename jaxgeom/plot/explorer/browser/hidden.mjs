// Data and a grid in hidden layers, and on their way from one to the next.

import { coordinates, viewOf } from "./axes.mjs";
import { projection } from "./camera.mjs";
import { forward, isHidden } from "./network.mjs";
import { layersAt } from "./population.mjs";
import { placeColor, pointColors } from "./points.mjs";
import { areAlone } from "./stage.mjs";
import { layerName } from "./words.mjs";

const LINES = [1, 13, 4], STEPS = [240, 36, 24]; // along each axis of one, two and three inputs
const QUADRANGLES = 48; // along each side of a sheet
const FINE = 0.3; // of even spacing in the middle of a sheet, where most networks bend it
const MOST_SHADE = 0.4;
const MARGIN = 0.01; // of the points, on each side: they may lie outside of the picture
const FILLED = 0.8; // of a picture

/** Names of the stages that points pass: the input, then each layer before and after its activation. */
export function stageNames(layers) {
  const names = ["input"];
  layers.forEach((layer, depth) => {
    const name = layerName(layers, depth), isStraight = layer.slope?.every((slope) => slope === 1);
    if (!isHidden(layers, depth)) return void names.push(name);
    names.push(...(isStraight ? [name, name] : [`${name}, affine`, `${name}, ${layer.activation ?? "bent"}`]));
  });
  return names;
}

/** Lines of a grid on a box of one to three dimensions, coordinates one after the other, and numbers of what it has. */
export function gridOf(domain) {
  const dim = domain.length / 2, lines = LINES[dim - 1], steps = STEPS[dim - 1], each = lines ** (dim - 1), points = [];
  for (let axis = 0; axis < dim; axis++) {
    for (let line = 0; line < each; line++) {
      for (let step = 0; step < steps; step++) {
        let rest = line;
        for (let other = 0; other < dim; other++) {
          let share = step / (steps - 1);
          if (other !== axis) [share, rest] = [(rest % lines) / (lines - 1), Math.floor(rest / lines)];
          points.push(domain[other] + share * (domain[dim + other] - domain[other]));
        }
      }
    }
  }
  return { points, families: dim, each, steps };
}

/** Corners of quadrangles that cover a box of the plane, rows one after the other, close together in the middle. */
function latticeOf([x0, y0, x1, y1]) {
  const shares = Array.from({ length: QUADRANGLES + 1 }, (_, step) => {
    const even = (2 * step) / QUADRANGLES - 1;
    return (1 + FINE * even + (1 - FINE) * even ** 3) / 2;
  });
  return shares.flatMap((v) => shares.flatMap((u) => [x0 + u * (x1 - x0), y0 + v * (y1 - y0)]));
}

/** Views of all stages, from where the data, or else the grid, are at the last frame. */
export function viewsOf(population, member) {
  const layers = layersAt(population, member, population.numFrames - 1);
  const points = population.arrays["data/x"] ?? gridOf(population.domain).points;
  const views = [viewOf(points, population.inputs)];
  forward(layers, points).forEach(({ a, width }, depth) => {
    const view = viewOf(a, width);
    views.push(view);
    if (isHidden(layers, depth)) views.push(view);
  });
  return views;
}

/** Coordinates of points at every stage. */
function stagesOf(layers, points, views) {
  const found = [coordinates(points, layers[0].inputs, views[0])];
  forward(layers, points).forEach(({ z, a, width }, depth) => {
    found.push(coordinates(z, width, views[found.length]));
    if (isHidden(layers, depth)) found.push(coordinates(a, width, views[found.length]));
  });
  return found;
}

/** Everything that a picture of the layers shows, at every stage. */
export function pathsOf(population, scene, views, picked, pointed = null) {
  const { layers } = scene, { "data/x": x, "data/y": y } = population.arrays;
  const line = picked ? scene.edgesOf(picked.layer, picked.unit) : [], lines = gridOf(population.domain);
  const isSheet = population.inputs === 2 && x && !y, lattice = isSheet ? latticeOf(population.domain) : null;
  return {
    lines,
    grid: stagesOf(layers, lines.points, views),
    sheet: isSheet ? { points: lattice, stages: stagesOf(layers, lattice, views) } : null,
    data: x ? stagesOf(layers, x, views) : null,
    boundary: scene.boundary.length && !areAlone(scene, population) ? stagesOf(layers, scene.boundary, views) : null,
    picked: line.length ? stagesOf(layers, line, views) : null,
    pointed: pointed ? stagesOf(layers, pointed, views) : null,
  };
}

/** Draws a stage, or the way between two: `stage` counts from 0, fractions in between. */
export function drawHidden(context, box, paths, stage, population, { look, turn, show }) {
  const at = (positions) => blend(positions, stage), { place, data, grid } = placesIn(box, paths, stage, turn);
  context.save();
  context.beginPath();
  context.rect(...box);
  context.clip();
  const dots = data && show.data ? dotsOf(context, data, place, population, look) : [];
  if (paths.sheet) {
    const marks = [...segmentsOf(context, paths.lines, grid, place, look), ...dots];
    drawSheet(context, paths.sheet, at(paths.sheet.stages), marks, place, population, look);
  } else drawGrid(context, paths.lines, grid, place, look);
  if (show.boundary && paths.boundary) drawPieces(context, at(paths.boundary), place, look.boundary, 1.6);
  if (paths.picked) drawPieces(context, at(paths.picked), place, look.picked, 2.6);
  if (!paths.sheet) for (const { paint } of dots) paint();
  if (paths.pointed) drawRing(context, place(at(paths.pointed), 0), look);
  context.restore();
}

/** Where a picture of a stage has its data and its grid: positions, and a function of these and a number. */
export function placesIn(box, paths, stage, turn) {
  const data = paths.data && blend(paths.data, stage), grid = blend(paths.grid, stage);
  return { data, grid, place: fitted(paths.sheet ? grid : data ?? grid, turn, box) };
}

/** The input of the point of the data, or of the grid where none is shown, that is drawn within reach of a place, or null. */
export function pointUnder(box, paths, stage, { arrays, inputs }, { turn, show, reach }, x, y) {
  const { data, grid, place } = placesIn(box, paths, stage, turn), isData = data && show.data;
  const positions = isData ? data : grid, points = isData ? arrays["data/x"] : paths.lines.points;
  let nearest = -1, far = reach;
  for (let point = 0; point < positions.length / 3; point++) {
    const [right, down] = place(positions, point), away = Math.hypot(right - x, down - y);
    if (away < far) [nearest, far] = [point, away];
  }
  return nearest < 0 ? null : Array.from(points.slice(nearest * inputs, (nearest + 1) * inputs));
}

/** A function of positions and a number, which gives its place in a box that nearly all of some positions fill. */
function fitted(positions, turn, [left, top, width, height]) {
  const camera = projection(turn, [0, 0], 1), right = [], down = [];
  for (let i = 0; i < positions.length; i += 3) {
    const [x, y] = camera(positions[i], positions[i + 1], positions[i + 2]);
    right.push(x);
    down.push(y);
  }
  const [x0, x1] = mostOf(right), [y0, y1] = mostOf(down);
  const scale = FILLED * Math.min(width / (x1 - x0 || 1e-9), height / (y1 - y0 || 1e-9));
  const drawn = projection(turn, [left + width / 2 - (scale * (x0 + x1)) / 2, top + height / 2 - (scale * (y0 + y1)) / 2], scale);
  return (values, i) => {
    const found = drawn(values[3 * i], values[3 * i + 1], values[3 * i + 2]);
    found[2] *= scale; // of the depth too
    return found;
  };
}

/** Where nearly all numbers lie. */
function mostOf(values) {
  const sorted = Float64Array.from(values).sort(), last = sorted.length - 1;
  return [sorted[Math.round(MARGIN * last)], sorted[Math.round((1 - MARGIN) * last)]];
}

function blend(stages, stage) {
  const low = Math.min(Math.floor(stage), stages.length - 1), share = stage - low;
  if (share === 0) return stages[low];
  return stages[low].map((value, place) => value + share * (stages[low + 1][place] - value));
}

function drawGrid(context, { families, each, steps }, grid, place, look) {
  context.lineWidth = families === 1 ? 1.6 : 0.8;
  for (let family = 0; family < families; family++) {
    context.beginPath();
    for (let line = family * each; line < (family + 1) * each; line++) {
      for (let step = 0; step < steps; step++) {
        const [x, y] = place(grid, line * steps + step);
        if (step === 0) context.moveTo(x, y);
        else context.lineTo(x, y);
      }
    }
    context.strokeStyle = look.faint;
    context.globalAlpha = family ? 0.65 : 0.4;
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** The same piece by piece, {depth, paint}. */
function segmentsOf(context, { families, each, steps }, grid, place, look) {
  return Array.from({ length: families * each * (steps - 1) }, (_, number) => {
    const line = Math.floor(number / (steps - 1)), start = line * steps + (number % (steps - 1));
    const [from, to] = [place(grid, start), place(grid, start + 1)];
    const paint = () => {
      context.beginPath();
      context.moveTo(from[0], from[1]);
      context.lineTo(to[0], to[1]);
      context.strokeStyle = look.faint;
      context.lineWidth = 0.8;
      context.globalAlpha = line < each ? 0.4 : 0.65;
      context.stroke();
      context.globalAlpha = 1;
    };
    return { depth: (from[2] + to[2]) / 2, paint };
  });
}

/** Quadrangles in the colours of where they come from, shaded by how they stand to the reader, and marks {depth, paint} on them:
 * those far away first, by their middles; marks as if they were nearer by as much as quadrangles are deep. */
function drawSheet(context, { points }, positions, marks, place, { domain }, look) {
  const side = QUADRANGLES + 1, items = [];
  let deep = 1;
  for (let row = 0; row < QUADRANGLES; row++) {
    for (let column = 0; column < QUADRANGLES; column++) {
      const a = row * side + column, corners = [a, a + 1, a + side + 1, a + side];
      const places = corners.map((corner) => place(positions, corner)), depths = places.map((each) => each[2]);
      const middle = [0, 1].map((axis) => corners.reduce((sum, corner) => sum + points[2 * corner + axis], 0) / 4);
      deep += (Math.max(...depths) - Math.min(...depths)) / QUADRANGLES ** 2;
      items.push({ depth: depths.reduce((sum, each) => sum + each, 0) / 4, paint: () => fillQuadrangle(context, places, middle, domain, look) });
    }
  }
  for (const { depth, paint } of marks) items.push({ depth: depth - deep, paint });
  for (const { paint } of items.sort((a, b) => b.depth - a.depth)) paint();
}

function fillQuadrangle(context, places, middle, domain, look) {
  context.beginPath();
  places.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.fillStyle = context.strokeStyle = placeColor(middle, domain, look);
  context.lineWidth = 0.7;
  context.fill();
  context.stroke();
  context.fillStyle = "#000000";
  context.globalAlpha = MOST_SHADE * steepness(places);
  context.fill();
  context.globalAlpha = 1;
}

/** How steep a quadrangle stands: 0 if it faces the reader, 1 if it is seen edge-on. */
function steepness([a, b, c, d]) {
  const [u, v] = [[c, a], [d, b]].map(([to, from]) => to.map((value, axis) => value - from[axis]));
  const normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
  return 1 - Math.abs(normal[2]) / (Math.hypot(...normal) || 1);
}

function drawPieces(context, positions, place, color, width) {
  context.beginPath();
  for (let i = 0; i < positions.length / 3; i += 2) {
    const from = place(positions, i), to = place(positions, i + 1);
    context.moveTo(from[0], from[1]);
    context.lineTo(to[0], to[1]);
  }
  context.strokeStyle = color;
  context.lineWidth = width;
  context.lineCap = "round";
  context.stroke();
}

/** What is pointed at, on its way through the layers. */
function drawRing(context, [right, down], look) {
  context.beginPath();
  context.arc(right, down, 5, 0, 2 * Math.PI);
  context.lineWidth = 4;
  context.strokeStyle = look.paper;
  context.stroke();
  context.lineWidth = 2;
  context.strokeStyle = look.ink;
  context.stroke();
}

/** The data as dots, {depth, paint}. */
function dotsOf(context, data, place, population, look) {
  const colors = pointColors(population, look), num = colors.length, radius = num > 400 ? 1.5 : num > 40 ? 2.1 : 4;
  return Array.from(colors, (color, point) => {
    const [right, down, depth] = place(data, point);
    const paint = () => {
      context.beginPath();
      context.arc(right, down, radius, 0, 2 * Math.PI);
      context.fillStyle = color;
      context.fill();
    };
    return { depth, paint };
  });
}
