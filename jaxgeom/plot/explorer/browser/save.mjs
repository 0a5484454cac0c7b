// The panels as one picture, laid out as they are on the page.

import { svgContext } from "./svg.mjs";

const MARGIN = 16, HEAD = 34;

/** Panels with their places in the picture, and its size. */
function layout(panels) {
  const boxes = panels
    .map((each) => ({ each, box: each.canvas.getBoundingClientRect() }))
    .filter(({ box }) => box.width && box.height);
  const left = Math.min(...boxes.map(({ box }) => box.left)), top = Math.min(...boxes.map(({ box }) => box.top));
  const placed = boxes.map(({ each, box }) => ({
    each, x: box.left - left + MARGIN, y: box.top - top + MARGIN + HEAD, width: box.width, height: box.height,
  }));
  return {
    placed,
    width: Math.max(...placed.map(({ x, width }) => x + width)) + MARGIN,
    height: Math.max(...placed.map(({ y, height }) => y + height)) + MARGIN,
  };
}

function drawHead(context, { width, height }, title, look) {
  context.fillStyle = look.paper;
  context.fillRect(0, 0, width, height);
  context.fillStyle = look.ink;
  context.font = "600 14px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillText(title, MARGIN, MARGIN + 12);
}

export function svgOf(panels, title, look) {
  const picture = layout(panels), context = svgContext();
  drawHead(context, picture, title, look);
  for (const { each, x, y, width, height } of picture.placed) {
    context.moveOrigin(x, y);
    each.draw(context, width, height);
  }
  return new Blob([context.text(picture.width, picture.height)], { type: "image/svg+xml" });
}

export function pngOf(panels, title, look) {
  const picture = layout(panels), canvas = document.createElement("canvas"), sharp = 2;
  canvas.width = Math.round(picture.width * sharp);
  canvas.height = Math.round(picture.height * sharp);
  const context = canvas.getContext("2d");
  context.scale(sharp, sharp);
  drawHead(context, picture, title, look);
  for (const { each, x, y, width, height } of picture.placed) {
    context.setTransform(sharp, 0, 0, sharp, sharp * x, sharp * y);
    each.draw(context, width, height);
  }
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

/** Offers a file to the reader. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
