// Numbers along two sides of the plane.

import { ticksOf } from "./curves.mjs";

const LEAST = 6; // steps: they are as long as a sixth of the plane, or up to 2.5 times that
const FROM_CORNER = 22; // pixels without a number
const LETTER = 6.2, HEIGHT = 14;

/** Writes inputs along the bottom and the left side, each on a strip of paper so that it can be read on any colour. */
export function drawTicks(context, frame, [x0, y0, x1, y1], look) {
  const place = ([right, up]) => [(frame.size * (right + 1)) / 2, (frame.size * (1 - up)) / 2];
  const [left, bottom] = place(frame.inward(x0, y0)), [right, top] = place(frame.inward(x1, y1));
  context.font = "11px system-ui, sans-serif";
  for (const value of ticksOf(x0, x1, false, LEAST)) {
    const [x] = place(frame.inward(value, y0));
    if (x > left + FROM_CORNER && x < right - FROM_CORNER) write(context, look, value, x, bottom - 5, true);
  }
  for (const value of ticksOf(y0, y1, false, LEAST)) {
    const [, y] = place(frame.inward(x0, value));
    if (y < bottom - FROM_CORNER && y > top + FROM_CORNER) write(context, look, value, left + 5, y + 4, false);
  }
}

function write(context, look, value, x, y, isCentered) {
  const text = String(+value.toPrecision(6)).replace("-", "−"), width = LETTER * text.length + 6;
  context.globalAlpha = 0.72;
  context.fillStyle = look.paper;
  context.fillRect(isCentered ? x - width / 2 : x - 3, y - 11, width, HEIGHT);
  context.globalAlpha = 1;
  context.fillStyle = look.ink;
  context.textAlign = isCentered ? "center" : "left";
  context.fillText(text, x, y);
}
