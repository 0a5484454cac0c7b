// A phase diagram: one number of all networks over two axes, at the step that is shown; a cell opens its network.

import { frameChosen } from "./chosen.mjs";
import { oklab } from "./colors.mjs";
import { spanOf, valueAtStep } from "./curves.mjs";
import { memberAt, repeatedAxis, stepAt } from "./population.mjs";

const ROW = 34, NARROW = 16; // pixels of a row; of one without numbers
const BOTTOM = 34, BAR = 48;
const WIDE = 40; // pixels of a column that holds a number
const LEAST_LABEL = 30;

/** Axes that a diagram can have. */
export const phaseAxes = (population) => population.axes.filter(({ values }) => values.length > 1).map(({ name }) => name);

/** Rows, columns and number that a diagram begins with: settings rather than repetitions; null where there is none. */
export function firstPhase(population) {
  const repeated = repeatedAxis(population), names = phaseAxes(population);
  const [rows, columns] = [...names.filter((name) => name !== repeated), ...names.filter((name) => name === repeated)];
  if (!columns || !population.curves.length) return null;
  const wanted = ["test loss", "loss", "accuracy", "regions"], measures = population.curves.map(({ name }) => name);
  return { rows, columns, measure: wanted.find((name) => measures.includes(name)) ?? measures[0] };
}

/** Cells {row, column, member, value}: over the axis of repetitions, unless it is one of the two, the median network. */
export function cellsOf(population, places, phase, time) {
  const valuesOf = (name) => population.axes.find((axis) => axis.name === name).values;
  const curve = population.curves.find(({ name }) => name === phase.measure), step = stepAt(population, time);
  const repeated = repeatedAxis(population), isRepeated = ![phase.rows, phase.columns].includes(repeated), cells = [];
  valuesOf(phase.rows).forEach((_, row) => {
    valuesOf(phase.columns).forEach((_, column) => {
      const at = { ...places, [phase.rows]: row, [phase.columns]: column };
      const all = isRepeated ? valuesOf(repeated).map((_, place) => ({ ...at, [repeated]: place })) : [at];
      const found = all.map((each) => {
        const member = memberAt(population, each);
        return { member, value: valueAtStep(curve, member, step) };
      });
      const finite = found.filter(({ value }) => Number.isFinite(value)).sort((a, b) => a.value - b.value);
      cells.push({ row, column, ...(finite[(finite.length - 1) >> 1] ?? { ...found[0], value: NaN }) });
    });
  });
  return cells;
}

/** The scale of a number: from its lowest to its highest value at all steps, by logarithms where these span much. */
export function scaleOfCurve(curve) {
  const { low, high, isLog, isCut } = spanOf(curve.name, curve.values.filter(Number.isFinite), 1e-6); // below, the end's colour
  const f = isLog ? Math.log : (value) => value;
  const share = (value) => Math.max(0, Math.min(1, (f(Math.max(value, low)) - f(low)) / (f(high) - f(low))));
  return { low, high, isCut, share: high > low ? share : () => 0.5 };
}

/** From pale yellow to dark blue, each darker than the one before. */
export const shareColor = (share) => oklab(0.94 - 0.6 * share, 0.06 + 0.07 * Math.sin(Math.PI * share), ((100 + 155 * share) * Math.PI) / 180);

/** Of numbers on it: what stands out more. */
export const shareInk = (share) => (share > 0.67 ? "#ffffff" : "#000000");

/** How a diagram lies in a picture of some width. */
export function phaseLayout(population, phase, width) {
  const [rows, columns] = [phase.rows, phase.columns].map((name) => population.axes.find((axis) => axis.name === name).values);
  const left = Math.min(120, 22 + 7 * Math.max(...rows.map((value) => textOf(value).length)));
  const across = Math.min(90, (width - left - 4) / columns.length), isWide = across >= WIDE;
  const down = isWide ? ROW : NARROW;
  return { rows, columns, left, top: BAR, across, down, isWide, height: BAR + rows.length * down + BOTTOM };
}

/** A number with two digits. */
function short(value) {
  const size = Math.abs(value), isLong = size && (size < 1e-3 || size >= 1e5);
  return (isLong ? value.toExponential(1) : String(+value.toPrecision(size >= 100 ? 3 : 2))).replaceAll("-", "−");
}

const textOf = (value) => (typeof value === "number" ? String(+value.toPrecision(4)) : String(value));

/** The row and column under a place, or null. */
export function cellUnder({ rows, columns, left, top, across, down }, x, y) {
  const [row, column] = [Math.floor((y - top) / down), Math.floor((x - left) / across)];
  return row >= 0 && row < rows.length && column >= 0 && column < columns.length ? { row, column } : null;
}

export function drawPhase(context, layout, cells, places, phase, population, look) {
  const { rows, columns, left, top, across, down, isWide } = layout;
  const scale = scaleOfCurve(population.curves.find(({ name }) => name === phase.measure));
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "alphabetic";
  for (const { row, column, value } of cells) {
    const [x, y] = [left + column * across, top + row * down], share = scale.share(value);
    context.fillStyle = Number.isFinite(value) ? shareColor(share) : look.line;
    context.fillRect(x, y, across - 1, down - 1);
    if (!isWide) continue;
    context.fillStyle = !Number.isFinite(value) ? look.faint : shareInk(share);
    context.textAlign = "center";
    context.fillText(Number.isFinite(value) ? short(value) : "–", x + across / 2, y + down / 2 + 4);
  }
  const chosen = [left + places[phase.columns] * across - 1, top + places[phase.rows] * down - 1, across + 1, down + 1];
  frameChosen(context, chosen, { color: look.chosen[0] }, look, 2);
  context.fillStyle = look.faint;
  context.textAlign = "right";
  const skip = Math.ceil(13 / down);
  rows.forEach((value, row) => row % skip || context.fillText(textOf(value), left - 7, top + (row + 0.5) * down + 4));
  context.textAlign = "center";
  const every = Math.ceil(Math.max(LEAST_LABEL, 7 * Math.max(...columns.map((value) => textOf(value).length))) / across);
  const bottom = top + rows.length * down + 14;
  columns.forEach((value, column) => column % every || context.fillText(textOf(value), left + (column + 0.5) * across, bottom));
  drawBar(context, layout, scale, phase, look);
}

function drawBar(context, { left, top, columns, rows, across, down }, { low, high, isCut }, { rows: rowName, columns: columnName, measure }, look) {
  const width = Math.min(150, columns.length * across), steps = 30;
  for (let step = 0; step < steps; step++) {
    context.fillStyle = shareColor(step / (steps - 1));
    context.fillRect(left + (step * width) / steps, 4, width / steps + 0.6, 8);
  }
  context.fillStyle = look.faint;
  context.textAlign = "left";
  context.fillText(`${isCut ? "≤ " : ""}${short(low)}`, left, 24);
  context.textAlign = "right";
  context.fillText(short(high), left + width, 24);
  context.textAlign = "left";
  context.fillStyle = look.ink;
  context.fillText(measure, left + width + 8, 12);
  context.fillStyle = look.faint;
  context.fillText(`${rowName.replaceAll("_", " ")} ↓`, 0, top - 6);
  context.textAlign = "right";
  context.fillText(`${columnName.replaceAll("_", " ")} →`, left + columns.length * across, top + rows.length * down + 28);
}
