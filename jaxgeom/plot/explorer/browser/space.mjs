// A network of three inputs: the surface in the box where its output is zero, or its two largest outputs are equal.

import { projection } from "./camera.mjs";
import { classColor, mixed } from "./colors.mjs";
import { forward } from "./network.mjs";
import { pointColors } from "./points.mjs";

const CELLS = 20; // along each side of the box
const PARTS = [[0, 1, 3, 7], [0, 3, 2, 7], [0, 2, 6, 7], [0, 6, 4, 7], [0, 4, 5, 7], [0, 5, 1, 7]]; // tetrahedra of a cell
const SIZE = 0.56; // of the box in the picture, in halves of its width
const OPAQUE = 0.72; // so that points inside of it are seen
const LIGHT = [0.4, -0.6, 0.7];

/** All states on a grid of the box, the first coordinate fastest. */
export function sampledSpace(layers, domain, cells = CELLS) {
  const side = cells + 1, points = new Float64Array(3 * side ** 3);
  for (let place = 0; place < side ** 3; place++) {
    const along = [place % side, Math.floor(place / side) % side, Math.floor(place / side ** 2)];
    along.forEach((step, axis) => (points[3 * place + axis] = domain[axis] + (step / cells) * (domain[3 + axis] - domain[axis])));
  }
  return { layers, cells, points, states: forward(layers, points) };
}

/** The decision surface as {values, triangles, side, others}: nine coordinates each, counter-clockwise as seen from the side
 * where the values at the grid's points are positive; `side` is the output that decides there, `others` those that decide on
 * the other side of each triangle. Between two outputs, the surface is that of the first of them alone. */
export function decisionSurface(grid) {
  const { z, width } = grid.states.at(-1), num = z.length / width;
  if (width === 1) return [{ values: z, triangles: zeroSurface(grid, z), side: 0, others: [] }];
  return Array.from({ length: width - 1 }, (_, output) => {
    const lead = Float64Array.from({ length: num }, (_, point) => {
      let other = -Infinity;
      for (let i = 0; i < width; i++) if (i !== output) other = Math.max(other, z[point * width + i]);
      return z[point * width + output] - other;
    });
    return { values: lead, side: output, ...towardsLater(grid.layers, zeroSurface(grid, lead), output) };
  });
}

/** Those triangles of an output's surface on whose other side a later output decides, and which. */
function towardsLater(layers, triangles, output) {
  const middles = Array.from({ length: triangles.length / 3 }, (_, place) => {
    const start = 9 * Math.floor(place / 3) + (place % 3);
    return (triangles[start] + triangles[start + 3] + triangles[start + 6]) / 3;
  });
  const { z, width } = forward(layers, middles).at(-1), found = { triangles: [], others: [] };
  for (let triangle = 0; 9 * triangle < triangles.length; triangle++) {
    const at = Array.from(z.subarray(triangle * width, (triangle + 1) * width), (value, i) => (i === output ? -Infinity : value));
    const other = at.indexOf(Math.max(...at));
    if (other < output) continue;
    found.others.push(other);
    found.triangles.push(...triangles.slice(9 * triangle, 9 * triangle + 9));
  }
  return found;
}

/** Where numbers at the grid's points, interpolated in tetrahedra, are zero. */
export function zeroSurface({ cells, points }, values) {
  const side = cells + 1, found = [];
  const steps = Array.from({ length: 8 }, (_, corner) => (corner & 1) + ((corner >> 1) & 1) * side + (corner >> 2) * side ** 2);
  for (let place = 0; place < side ** 3; place++) {
    if (place % side === cells || Math.floor(place / side) % side === cells || place >= cells * side ** 2) continue;
    let low = false, high = false;
    for (const step of steps) {
      if (values[place + step] > 0) high = true;
      else low = true;
    }
    if (low && high) for (const part of PARTS) cutTetrahedron(part.map((corner) => place + steps[corner]), points, values, found);
  }
  return found;
}

function cutTetrahedron(corners, points, values, found) {
  const on = corners.filter((corner) => values[corner] > 0), off = corners.filter((corner) => !(values[corner] > 0));
  if (!on.length || !off.length) return;
  const cut = (a, b) => {
    const share = values[a] / (values[a] - values[b]);
    return [0, 1, 2].map((axis) => points[3 * a + axis] + share * (points[3 * b + axis] - points[3 * a + axis]));
  };
  const alone = on.length === 1 ? on[0] : off.length === 1 ? off[0] : null;
  const ends = alone === null
    ? [cut(on[0], off[0]), cut(on[0], off[1]), cut(on[1], off[1]), cut(on[1], off[0])]
    : corners.filter((corner) => corner !== alone).map((corner) => cut(alone, corner));
  const inside = Array.from(points.subarray(3 * on[0], 3 * on[0] + 3));
  for (let i = 1; i + 1 < ends.length; i++) {
    const [a, b, c] = [ends[0], ends[i], ends[i + 1]];
    const isOutward = dot(normalOf(a, b, c), [0, 1, 2].map((axis) => inside[axis] - a[axis])) > 0;
    found.push(...a, ...(isOutward ? b : c), ...(isOutward ? c : b));
  }
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

function normalOf(a, b, c) {
  const u = [0, 1, 2].map((axis) => b[axis] - a[axis]), v = [0, 1, 2].map((axis) => c[axis] - a[axis]);
  return [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
}

/** Draws a scene from a turn; what is far comes first. */
export function drawSpace(context, size, scene, population, { look, turn, show }) {
  const { domain } = population, camera = projection(turn, [size / 2, size / 2], SIZE * (size / 2));
  const half = Math.max(...[0, 1, 2].map((axis) => domain[3 + axis] - domain[axis])) / 2;
  const inward = (place) => [0, 1, 2].map((axis) => (place[axis] - (domain[axis] + domain[3 + axis]) / 2) / half);
  const items = [];
  const isTwo = scene.layers.at(-1).outputs === 1, view = { camera, inward, look, turn, isTwo };
  if (show.boundary) for (const surface of scene.surface) addTriangles(items, scene.grid, surface, population.domain, view);
  if (show.data) addPoints(items, population, camera, inward, look, "data");
  if (show.test) addPoints(items, population, camera, inward, look, "test");
  drawBox(context, camera, domain, inward, look);
  items.sort((a, b) => b.depth - a.depth);
  for (const item of items) {
    context.beginPath();
    if (item.places) item.places.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    else context.arc(item.x, item.y, 3, 0, 2 * Math.PI);
    context.closePath();
    context.fillStyle = item.isRing ? look.paper : item.color;
    context.globalAlpha = item.places ? OPAQUE : 1;
    context.fill();
    context.strokeStyle = item.places ? (show.edges ? look.faint : item.color) : item.isRing ? item.color : look.paper;
    context.lineWidth = item.places ? (show.edges ? 0.3 : 0.6) : item.isRing ? 1.4 : 0.8;
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** The slope of numbers at the grid's point next to a place. */
function slopeAt({ cells }, values, domain, place) {
  const side = cells + 1, steps = [1, side, side * side];
  const at = place.map((value, axis) => {
    const step = Math.round((cells * (value - domain[axis])) / (domain[3 + axis] - domain[axis]));
    return Math.min(cells - 1, Math.max(1, step));
  });
  const point = dot(at, steps);
  return steps.map((step, axis) => (values[point + step] - values[point - step]) / (domain[3 + axis] - domain[axis]));
}

/** Each side of the surface has the colour of what is decided on it. */
function addTriangles(items, grid, { values, triangles, side, others }, domain, { camera, inward, look, turn, isTwo }) {
  const [ca, sa, ce, se] = [Math.cos(turn.azimuth), Math.sin(turn.azimuth), Math.cos(turn.elevation), Math.sin(turn.elevation)];
  const toReader = [-sa * ce, -ca * ce, se], length = Math.hypot(...LIGHT);
  for (let start = 0; start < triangles.length; start += 9) {
    const ends = [0, 3, 6].map((corner) => triangles.slice(start + corner, start + corner + 3)), corners = ends.map(inward);
    const middle = [0, 1, 2].map((axis) => (ends[0][axis] + ends[1][axis] + ends[2][axis]) / 3);
    const normal = slopeAt(grid, values, domain, middle), long = Math.hypot(...normal) || 1;
    const isOn = dot(normalOf(...corners), toReader) > 0, places = corners.map((corner) => camera(...corner));
    const shade = Math.abs(dot(normal, LIGHT)) / (long * length);
    const color = isTwo ? look.strong[isOn ? 1 : 0] : classColor(isOn ? side : others[start / 9]);
    const shaded = mixed(color, shade > 0.5 ? "#ffffff" : "#000000", 0.5 * Math.abs(shade - 0.5));
    items.push({ places, color: shaded, depth: (places[0][2] + places[1][2] + places[2][2]) / 3 });
  }
}

function addPoints(items, population, camera, inward, look, set) {
  const x = population.arrays[`${set}/x`];
  pointColors(population, look, set).forEach((color, point) => {
    const [right, down, depth] = camera(...inward(x.subarray(3 * point, 3 * point + 3)));
    items.push({ x: right, y: down, depth, color, isRing: set === "test" });
  });
}

function drawBox(context, camera, domain, inward, look) {
  const corner = (number) => camera(...inward([0, 1, 2].map((axis) => domain[axis + (number >> axis) % 2 * 3])));
  context.strokeStyle = look.faint;
  context.lineWidth = 1;
  context.beginPath();
  for (let number = 0; number < 8; number++) {
    for (let axis = 0; axis < 3; axis++) {
      if ((number >> axis) % 2) continue;
      const [from, to] = [corner(number), corner(number + 2 ** axis)];
      context.moveTo(from[0], from[1]);
      context.lineTo(to[0], to[1]);
    }
  }
  context.stroke();
  context.fillStyle = look.faint;
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  ["x₁", "x₂", "x₃"].forEach((name, axis) => {
    const [from, to] = [corner(0), corner(2 ** axis)];
    context.fillText(name, 1.08 * to[0] - 0.08 * from[0], 1.08 * to[1] - 0.08 * from[1] + 4);
  });
}
