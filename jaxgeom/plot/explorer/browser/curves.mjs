// Curves against the training step: of the networks that are shown, and the population's median and band.

import { quantiles, stepAt } from "./population.mjs";

const TEST = "test ";
const BAND = [0.1, 0.5, 0.9];
const LEFT = 48, BOTTOM = 20, GAP = 14;
const MOST = 3, NARROW = 420, ROW = 170; // charts, and pixels
const LEAST_LOSS = 1e-12; // of the largest
const LETTER = 6; // pixels
const OUTWARD = 40; // pixels that a title begins to the left of its chart

/** How a chart lies in the picture, and its scales; sizes that span more than a factor of 20 are drawn by logarithms. */
function chartOf(curve, test, members, [left, top, width, height], lastStep) {
  const valuesOf = ({ values, num }) => members.flatMap((m) => Array.from(values.subarray(m * num, (m + 1) * num)));
  const seen = [curve, ...(test ? [test] : [])].flatMap(valuesOf);
  const finite = seen.filter(Number.isFinite);
  let { low, high, isLog } = spanOf(curve.name, finite, LEAST_LOSS);
  const f = isLog ? Math.log10 : (value) => value;
  if (!(high > low)) [low, high] = [low - 0.5, high + 0.5];
  const margin = 0.06 * (f(high) - f(low));
  const [bottom, span] = [f(low) - margin, f(high) - f(low) + 2 * margin];
  return {
    curve, test, left, top, width, height, isLog, low, high,
    x: (step) => left + (width * step) / (lastStep || 1),
    y: (value) => top + height - (height * (f(Math.max(value, isLog ? low : -Infinity)) - bottom)) / span,
  };
}

/** From where to where numbers go, and whether by logarithms: losses that span much, zeros among them standing at the low
 * end, which is the smallest positive number or, if that is smaller than a share of the largest, this share. */
export function spanOf(name, finite, least) {
  let [low, high, positive] = [Infinity, -Infinity, Infinity];
  for (const value of finite) {
    [low, high] = [Math.min(low, value), Math.max(high, value)];
    if (value > 0) positive = Math.min(positive, value);
  }
  const isLog = /loss/.test(name) && low >= 0 && high > 20 * (low || positive);
  const end = Math.max(positive, high * least);
  return { low: isLog ? end : low, high, isLog, isCut: isLog && low < end };
}

/** How high a picture of the curves should be. */
export const curvesHeight = (population, width) => (width > NARROW || numCurves(population) < MOST ? ROW : 2 * ROW);

const numCurves = ({ curves }) => curves.filter(({ name }) => !name.startsWith(TEST)).length;

/** Charts of at most three curves side by side, or in two rows; those of test data are in the chart of the same name. */
export function chartsOf(population, members, width, height) {
  const wanted = ["loss", "regions", "accuracy"];
  const named = (name) => population.curves.find((curve) => curve.name === name);
  const own = population.curves.filter(({ name }) => !(name.startsWith(TEST) && named(name.slice(TEST.length))));
  const order = own.sort((a, b) => rank(wanted, a.name) - rank(wanted, b.name));
  const num = Math.min(order.length, MOST), across = width > NARROW ? num : Math.min(num, 2);
  const rows = Math.ceil(num / across);
  const [each, down] = [(width - (across - 1) * GAP) / across, height / rows];
  return order.slice(0, num).map((curve, place) => {
    const top = Math.floor(place / across) * down + 20;
    const box = [(place % across) * (each + GAP) + LEFT, top, each - LEFT - 4, down - BOTTOM - 24];
    return chartOf(curve, named(TEST + curve.name), members, box, population.steps.at(-1));
  });
}

const rank = (wanted, name) => (wanted.includes(name) ? wanted.indexOf(name) : wanted.length);

/** The step under a place of the picture, or null. */
export function stepUnder(charts, x, lastStep) {
  const chart = charts.find(({ left, width }) => x >= left - GAP && x <= left + width + GAP);
  return chart ? Math.min(1, Math.max(0, (x - chart.left) / chart.width)) * lastStep : null;
}

export function drawCurves(context, charts, members, shown, population, time, look) {
  context.font = "11px system-ui, sans-serif";
  for (const chart of charts) {
    drawFrame(context, chart, population, look);
    const { curve, test } = chart;
    if (members.length > 2) {
      const [low, median, high] = quantiles(curve, members, BAND);
      drawBand(context, chart, low, high, look);
      line(context, chart, (record) => median[record], look.faint, 1.3, [4, 3]);
    }
    shown.forEach(({ member, color }) => {
      line(context, chart, (record) => curve.values[member * curve.num + record], color, 1.8);
      if (test) line(context, { ...chart, curve: test }, (record) => test.values[member * test.num + record], color, 1.4, [5, 3]);
    });
    drawCursor(context, chart, stepAt(population, time), shown, look);
  }
}

function drawFrame(context, { curve, left, top, width, height, isLog, low, high, y }, population, look) {
  context.fillStyle = look.ink;
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillText(curve.name, left - OUTWARD, top - 9);
  context.strokeStyle = look.line;
  context.lineWidth = 1;
  context.fillStyle = look.faint;
  context.textAlign = "right";
  for (const value of ticksOf(low, high, isLog).filter((each) => !isBetweenCounts(curve, each))) {
    context.beginPath();
    context.moveTo(left, y(value));
    context.lineTo(left + width, y(value));
    context.stroke();
    context.fillText(tickText(value), left - 6, y(value) + 4);
  }
  context.textAlign = "left";
  context.fillText("0", left, top + height + 15);
  context.textAlign = "right";
  context.fillText(population.steps.at(-1).toLocaleString("en"), left + width, top + height + 15);
}

/** Round numbers from one to another, about as many as asked for, or more where there would be one alone. */
export function ticksOf(low, high, isLog, least = 3) {
  if (isLog) {
    const [first, last] = [Math.floor(Math.log10(low)), Math.floor(Math.log10(high))];
    const every = Math.ceil((last - first + 1) / 4), powers = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    const within = (values) => values.filter((value) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9));
    const tens = within(powers.map((power) => 10 ** power));
    return tens.length < 3 ? within(powers.flatMap((power) => [10 ** power, 3 * 10 ** power])) : tens.filter((_, i) => i % every === 0);
  }
  const rough = (high - low) / least, unit = 10 ** Math.floor(Math.log10(rough));
  const sizes = [0.5, 1, 2, 5, 10].map((n) => n * unit), coarse = sizes.findIndex((size) => size >= rough);
  const found = multiplesOf(sizes[coarse], low, high);
  return found.length > 1 || coarse === 0 ? found : multiplesOf(sizes[coarse - 1], low, high);
}

function multiplesOf(step, low, high) {
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * step);
}

const tickText = (value) => {
  const size = Math.abs(value);
  if (size && (size < 0.001 || size >= 1e5)) return value.toExponential().replace("e-", "e−").replace("e+", "e");
  return String(+value.toPrecision(6));
};

function drawBand(context, { curve, x, y }, low, high, look) {
  context.beginPath();
  for (let i = 0; i < curve.num; i++) context.lineTo(x(curve.steps[i]), y(low[i]));
  for (let i = curve.num - 1; i >= 0; i--) context.lineTo(x(curve.steps[i]), y(high[i]));
  context.closePath();
  context.fillStyle = look.faint;
  context.globalAlpha = 0.22;
  context.fill();
  context.globalAlpha = 1;
}

function line(context, { curve, x, y }, value, color, width, dashes = []) {
  context.beginPath();
  for (let i = 0; i < curve.num; i++) if (Number.isFinite(value(i))) context.lineTo(x(curve.steps[i]), y(value(i)));
  context.setLineDash(dashes);
  context.strokeStyle = color;
  context.lineWidth = width;
  context.stroke();
  context.setLineDash([]);
}

/** Whether a value stands between two counts, so that it is none itself. */
export function isBetweenCounts(curve, value) {
  curve.isCount ??= curve.values.every((each) => !Number.isFinite(each) || Number.isInteger(each));
  return curve.isCount && !Number.isInteger(value);
}

/** A number with three digits, or more if it is whole. */
export const shortText = (value) => tickText(Math.abs(value) >= 100 ? Math.round(value) : +value.toPrecision(3));

function drawCursor(context, { curve, test, x, y, left, top, width, height }, step, shown, look) {
  context.beginPath();
  context.moveTo(x(step), top);
  context.lineTo(x(step), top + height);
  context.strokeStyle = look.ink;
  context.globalAlpha = 0.5;
  context.lineWidth = 1;
  context.stroke();
  context.globalAlpha = 1;
  let right = left + width + 4; // of what is written beside the title, as much as fits
  context.textAlign = "right";
  for (const { member, color } of [...shown].reverse()) {
    const value = valueAtStep(curve, member, step);
    if (!Number.isFinite(value)) continue;
    const both = test && shown.length === 1 ? [value, valueAtStep(test, member, step)] : [value];
    const room = right - left + OUTWARD - LETTER * curve.name.length - 4;
    const fits = [both.map(shortText).join(", test "), shortText(value)].filter((each) => LETTER * each.length < room);
    const text = isBetweenCounts(curve, value) ? "" : (fits[0] ?? "");
    context.fillStyle = color;
    context.fillText(text, right, top - 9);
    right -= LETTER * text.length + 8;
    context.beginPath();
    context.arc(x(step), y(value), 3.5, 0, 2 * Math.PI);
    context.fillStyle = color;
    context.fill();
    context.strokeStyle = look.paper;
    context.lineWidth = 1.2;
    context.stroke();
  }
}

/** The value of a network's curve at a step, on the straight line between its records. */
export function valueAtStep(curve, member, step) {
  let next = 0;
  while (next < curve.num - 1 && curve.steps[next] < step) next++;
  const at = (record) => curve.values[member * curve.num + record];
  if (next === 0 || curve.steps[next] <= step) return at(next);
  const share = (step - curve.steps[next - 1]) / (curve.steps[next] - curve.steps[next - 1]);
  return at(next - 1) + share * (at(next) - at(next - 1));
}
