// The population as small multiples: what every network decides over the plane, all at the same step.

import { frameChosen } from "./chosen.mjs";
import { classColor, classTint, sideTable, toneOf } from "./colors.mjs";
import { sampledLine } from "./line.mjs";
import { forward } from "./network.mjs";
import { layersAt } from "./population.mjs";

const PIXELS = 26;
const LARGE = 110; // pixels of a graph
const MOST = 64;
const STRIPE = 9; // pixels between the stripes of a network that is dead
const SAME = 1e-9; // of outputs, which differ by no more than rounding

/** As many networks as a gallery has room for, the one that is looked at among them: {first, shown}. */
export function roomOf(members, member) {
  const first = MOST * Math.floor(Math.max(0, members.indexOf(member)) / MOST);
  return { first, shown: members.slice(first, first + MOST) };
}

/** Boxes {member, x, y, size} of the networks that are `shown`: rows that fill the width. */
export function galleryOf(shown, width) {
  const gap = 6;
  const across = Math.min(shown.length, Math.max(4, Math.floor(width / 70)));
  const size = Math.min(110, (width - gap * (across - 1)) / across);
  const boxes = shown.map((member, place) => ({
    member, size, x: (place % across) * (size + gap), y: Math.floor(place / across) * (size + gap),
  }));
  return { boxes, height: Math.ceil(shown.length / across) * (size + gap) - gap };
}

/** Small pictures, painted a few at a time so that none holds up the others. */
export function galleryPainter(population, scaleOf, heightsOf) {
  const pictures = new Map(), { inputs } = population;
  let turn = 0;
  return {
    pictures,
    /** Brings up to `most` pictures to a time; whether all are there. */
    refresh(members, time, look, most) {
      const { domain, version } = population, name = `${version}/${time}/${look.paper}`, points = placesOf(population);
      let left = most;
      for (let i = 0; i < members.length && left > 0; i++) {
        const member = members[(turn + i) % members.length];
        if (pictures.get(member)?.name === name) continue;
        const layers = layersAt(population, member, time);
        if (!layers) {
          pictures.delete(member); // it is not finite
          continue;
        }
        const before = pictures.get(member)?.canvas ?? document.createElement("canvas");
        if (inputs === 1) pictures.set(member, { name, ...graph(layers, domain, heightsOf(member), look, before) });
        else pictures.set(member, { name, ...painted(layers, points, look, scaleOf(member), before) });
        left--;
      }
      if (left === 0) turn = (turn + most) % members.length;
      return left > 0;
    },
  };
}

/** Whether outputs {z, width} are the same at all points: the network is dead. */
export function isDead({ z, width }) {
  for (let place = width; place < z.length; place++) {
    const first = z[place % width];
    if (Math.abs(z[place] - first) > SAME * (1 + Math.abs(first))) return false;
  }
  return true;
}

/** Inputs of a small picture's pixels; of space, on the plane in the middle. */
function placesOf({ domain, inputs }) {
  const [x0, y0, x1, y1] = inputs === 3 ? [domain[0], domain[1], domain[3], domain[4]] : domain, points = [];
  const depth = inputs === 3 ? [(domain[2] + domain[5]) / 2] : [];
  for (let row = 0; row < PIXELS; row++) {
    for (let column = 0; column < PIXELS; column++) {
      points.push(x0 + ((column + 0.5) / PIXELS) * (x1 - x0), y1 - ((row + 0.5) / PIXELS) * (y1 - y0), ...depth);
    }
  }
  return points;
}

/** The graph of a network of one input. */
function graph(layers, domain, [low, high], look, canvas) {
  canvas.width = canvas.height = LARGE;
  const context = canvas.getContext("2d"), { points, states } = sampledLine(layers, domain, LARGE);
  const { z, width } = states.at(-1);
  context.lineWidth = 2;
  for (let output = 0; output < width; output++) {
    context.beginPath();
    for (let i = 0; i < points.length; i++) {
      context.lineTo((i * LARGE) / (points.length - 1), (LARGE * (high - z[i * width + output])) / (high - low));
    }
    context.strokeStyle = width > 1 ? classColor(output) : look.ink;
    context.stroke();
  }
  return { canvas, isDead: isDead({ z, width }), isGraph: true };
}

function painted(layers, points, look, scale, canvas) {
  canvas.width = canvas.height = PIXELS;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const image = context.createImageData(PIXELS, PIXELS);
  const { z, width } = forward(layers, points).at(-1), table = sideTable(look).channels;
  const tints = Array.from({ length: width }, (_, output) => classTint(look, output, 0.6).match(/\d+/g).map(Number));
  for (let pixel = 0; pixel < PIXELS * PIXELS; pixel++) {
    let color = table[toneOf(z[pixel * width] / scale)];
    if (width > 1) {
      let best = 0;
      for (let output = 1; output < width; output++) if (z[pixel * width + output] > z[pixel * width + best]) best = output;
      color = tints[best];
    }
    for (let channel = 0; channel < 3; channel++) image.data[4 * pixel + channel] = color[channel];
    image.data[4 * pixel + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return { canvas, isDead: isDead({ z, width }) };
}

export function drawGallery(context, boxes, pictures, shown, look) {
  for (const { member, x, y, size } of boxes) {
    const picture = pictures.get(member);
    if (!picture) {
      context.fillStyle = look.line;
      context.fillRect(x, y, size, size);
    } else if (picture.isDead) drawStripes(context, x, y, size, look);
    if (picture && (picture.isGraph || !picture.isDead)) context.drawImage(picture.canvas, x, y, size, size);
    const seen = shown.find((each) => each.member === member);
    context.strokeStyle = look.line;
    context.lineWidth = 1;
    context.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1);
    if (seen) frameChosen(context, [x - 1, y - 1, size + 2, size + 2], seen, look);
  }
}

/** In place of a colour, which would be that of a class. */
function drawStripes(context, x, y, size, look) {
  context.fillStyle = look.paper;
  context.fillRect(x, y, size, size);
  context.beginPath();
  for (let far = STRIPE; far < 2 * size; far += STRIPE) {
    context.moveTo(x + Math.max(0, far - size), y + Math.min(far, size));
    context.lineTo(x + Math.min(far, size), y + Math.max(0, far - size));
  }
  context.strokeStyle = look.faint;
  context.lineWidth = 1;
  context.stroke();
}
